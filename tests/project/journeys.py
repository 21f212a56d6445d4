"""Kill points times journeys: ``python -m tests.project.journeys`` runs all of them.

A project is bought, meets a stock-out and other faults, dies at one step of network or journal,
perhaps twice, and the same commands are typed again: ``apply`` alone, or ``plan`` over the same
file and ``apply``. Within three reruns every volume has its disk, once, and nobody had to decide.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.demand.read import demand_from
from tests.project.checker import broken
from tests.project.faults import FAULTS
from tests.project.world import QUARANTINE_S, URL, Killed, World, offer, planned_live, usd_hr

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from planner.demand.model import Demand

RERUNS = 3
PERCENT = Decimal(200)
OFFERS = (
    offer(),
    offer("hyperstack", "NO-1", price=0.00015),
    offer("crusoe", "CA-1", price=0.0003),
)


def lab(*volumes: dict[str, Any], together: bool = False) -> Demand:
    """Return a demand of the project, its volumes perhaps on one disk."""
    document: dict[str, Any] = {"version": 1, "project": "lab", "volumes": list(volumes)}
    if together:
        document["groups"] = [{"volumes": [v["name"] for v in volumes], "same": "disk"}]
    return demand_from(document)


@dataclass(frozen=True)
class Project:
    """What is bought at last, and perhaps before; the limit, and the sizes that may be live."""

    demand: Demand
    limit: Decimal
    sizes: tuple[tuple[int, ...], ...]
    before: Demand | None = None


V1, V2 = {"name": "v1", "size_gb": 100}, {"name": "v2", "size_gb": 200}
PROJECTS = {
    # 0.03 USD an hour; all at the second place is 0.045, v2 at the third alone 0.06.
    "two volumes": Project(lab(V1, V2), Decimal("0.045"), ((100, 200),)),
    # 0.91; half of big at the first place, and all at the second: 1.815.
    "a volume on two disks": Project(
        lab(V1, {"name": "big", "size_gb": 9000, "max_disks": 2}),
        Decimal("1.815"),
        ((100, 4500, 4500), (100, 4500, 4500, 4500)),
    ),
    # 0.03 before, and 0.06 for the larger disk at the second place.
    "a volume that grows": Project(
        lab(V1, {**V2, "size_gb": 400}), Decimal("0.09"), ((100, 200, 400),), lab(V1, V2)
    ),
    # 0.03 before, and both at the third place: 0.09.
    "leaving a provider": Project(
        lab(*({**volume, "exclude": {"providers": ["runpod"]}} for volume in (V1, V2))),
        Decimal("0.12"),
        ((100, 100, 200, 200),),
        lab(V1, V2),
    ),
    # 0.03 USD an hour at the first place, 0.045 at the second.
    "volumes on one disk": Project(lab(V1, V2, together=True), Decimal("0.045"), ((300,),)),
    # 0.03 before, and 0.075 for all 500 GB at the second place.
    "a volume on a shared disk grows": Project(
        lab(V1, {**V2, "size_gb": 400}, together=True),
        Decimal("0.105"),
        ((300, 500),),
        lab(V1, V2, together=True),
    ),
    # 0.03 before; 0.045 for one disk at the second place.
    "volumes come together": Project(
        lab(V1, V2, together=True), Decimal("0.075"), ((100, 200, 300),), lab(V1, V2)
    ),
    # The other way: 0.015 and 0.03 for two disks at the second place.
    "volumes part": Project(
        demand_from(
            {
                "version": 1,
                "project": "lab",
                "volumes": [V1, V2],
                "policy": {"packing": "never"},
            }
        ),
        Decimal("0.075"),
        ((100, 200, 300), (200, 300), (100, 300)),
        lab(V1, V2, together=True),
    ),
}
TARGET: dict[str, str | None] = {"base_url": URL, "team_id": None}
HISTORIES: tuple[tuple[str, ...], ...] = (
    (),
    ("409_stock",),
    ("ok", "422_stock"),
    ("409_stock", "lost_after"),
    ("ok", "409_stock", "lost_before"),
    ("ok", "409_stock", "lost_after_late"),
    ("409_stock", "ok", "500_after"),
    ("ok", "409_stock", "401"),
    ("ok", "409_stock", "429_told"),
    ("lost_after_very_late", "409_stock"),
    ("lost_before", "ok", "409_stock"),
    ("ok", "409_stock", "409_stock"),
    ("409_stock", "ok", "409_stock"),
)
"""What the creates meet, in order. A second stock-out leads beyond the limit."""
LAST_CODES = {
    **dict.fromkeys(("400", "404", "405", "413", "415", "422"), 4),
    "ghost": 6,
    **dict.fromkeys((name for name in FAULTS if name.startswith("made_")), 7),
    **dict.fromkeys(("lost_other_name", "lost_dearer", "twice"), 7),
}
"""Faults after which a project may stay as it is: refused permanently, or a person has to look."""
EXCESSIVE = {"made_dearer", "lost_dearer", "twice"}
"""The marketplace makes more than it was asked for, or a dearer disk; that is reported."""


@dataclass(frozen=True)
class Journey:
    """A history of creates, the steps at which one run after another dies, and what is typed."""

    faults: tuple[str, ...]
    kills: tuple[int, ...]
    plans_again: bool
    project: str = "two volumes"

    @property
    def endings(self) -> set[int]:
        """Return the exit codes besides 0 that the last run may have."""
        # A disk in ERROR is billed until it is deleted: the one that replaces it may be too much.
        beyond = {5} if sum("stock" in f for f in self.faults) > 1 or self.replaces_error else set()
        return beyond | {LAST_CODES[fault] for fault in self.faults if fault in LAST_CODES}

    @property
    def replaces_error(self) -> bool:
        """Return whether a later plan replaces a disk that was created and went wrong."""
        return self.plans_again and "made_error" in self.faults

    def __str__(self) -> str:
        typed = "plan && apply" if self.plans_again else "apply"
        faults = " ".join(self.faults) or "no fault"
        return f"{self.project}: {typed}, {faults}, killed at {self.kills}"


def play(journey: Journey, folder: Path) -> list[str]:
    """Return what a journey broke."""
    project = PROJECTS[journey.project]
    world, limit = begun(project, folder), project.limit
    theirs = {disk.id for disk in world.live if disk.name == "somebody-elses"}
    plan = planned_live(world, folder, project.demand, "n0")
    world.fault(*journey.faults)
    last, codes = len(journey.kills) + RERUNS, list[int | None]()
    for run in range(last):
        if run and journey.plans_again:
            plan = planned_live(world, folder, project.demand, f"n{run}")
        kill_at = journey.kills[run] if run < len(journey.kills) else None
        world.kill_at = None if kill_at is None else world.steps + kill_at
        report = None
        with contextlib.suppress(Killed):
            report = world.apply(folder, plan, failover=PERCENT, max_usd_hr=limit)
        world.kill_at = None
        codes.append(report.exit_code if report else None)
        violations = broken(world, folder, report, limit=limit)
        if usd_hr(world) > limit and not EXCESSIVE & {*journey.faults}:
            violations.append(f"{usd_hr(world)} USD/h, {limit} is allowed")
        if violations:
            return [f"{journey}, run {run + 1} of {codes}: {text}" for text in violations]
        if report is not None and report.exit_code == 0 and run >= len(journey.kills):
            break
        world.clock.sleep(2 * QUARANTINE_S + 60)
    if codes[-1] != 0 and codes[-1] in journey.endings:
        return []
    if codes[-1] != 0:
        return [f"{journey}: does not converge: {codes}"]
    sizes = tuple(sorted(disk.size_gb for disk in world.live if disk.id not in theirs))
    if sizes not in project.sizes:
        return [f"{journey}: {sizes} GB are live"]
    posts = len(world.posts)
    if world.apply(folder, plan, failover=PERCENT).exit_code or len(world.posts) > posts:
        return [f"{journey}: applied once more it does something"]
    return []


def begun(project: Project, folder: Path) -> World:
    """Return a world in which the project has what it had before."""
    world = World(offers=list(OFFERS))
    world.foreign()
    if project.before is not None:
        assert (
            world.apply(folder, planned_live(world, folder, project.before, "first")).exit_code == 0
        )
    return world


def steps_of(faults: tuple[str, ...], name: str) -> int:
    """Return how many steps the first run of a history takes that is not killed."""
    project = PROJECTS[name]
    with tempfile.TemporaryDirectory() as folder:
        world = begun(project, Path(folder))
        plan = planned_live(world, Path(folder), project.demand, "n0")
        world.fault(*faults)
        before = world.steps
        world.apply(Path(folder), plan, failover=PERCENT, max_usd_hr=project.limit)
        return world.steps - before


def journeys(
    histories: Sequence[tuple[str, ...]] = HISTORIES,
    *,
    projects: Iterable[str] = PROJECTS,
    every: int = 1,
) -> Iterator[Journey]:
    """Yield each project and history with both ways to go on, killed at every so many steps."""
    for number, (faults, name) in enumerate(product(histories, projects)):
        steps = steps_of(faults, name)
        for plans_again in (False, True):
            first = 1 + (number + plans_again) % every
            for step in range(first, steps + 1, every):
                yield Journey(faults, (step,), plans_again, name)
            for step in range(first + 4, steps + 1, 5 * every):
                yield Journey(faults, (step, 1 + (step * 7) % steps), plans_again, name)


def after_a_stock_out(*, every: int = 1) -> Iterator[Journey]:
    """Yield every fault as what the create elsewhere meets, killed at every so many steps."""
    for number, fault in enumerate(FAULTS):
        faults = ("ok", "409_stock", fault)
        for step in range(40 + number % every, 90, every):
            # A disk without a price cannot be planned with.
            plans_again = bool((number + step) % 2) and fault != "made_no_price"
            yield Journey(faults, (step,), plans_again)


def sample() -> list[Journey]:
    """Return one journey for each history of each project, killed at the first 97 steps in all."""
    sampled = []
    for number, (faults, name) in enumerate(product(HISTORIES, PROJECTS)):
        step, plans_again = 1 + number * 11 % 97, (number + number // len(PROJECTS)) % 2 == 1
        kills = (step, 1 + step * 7 % 97) if number % 5 == 0 else (step,)
        sampled.append(Journey(faults, kills, plans_again, name))
    return sampled


def main() -> int:
    """Play everything and print what broke."""
    started, played, failed = time.monotonic(), 0, []
    with tempfile.TemporaryDirectory() as name:
        for played, journey in enumerate(chain(journeys(), after_a_stock_out()), 1):
            failed += play(journey, Path(name) / str(played))
    for text in failed:
        sys.stdout.write(f"{text}\n")
    seconds = time.monotonic() - started
    sys.stdout.write(f"{played} journeys, {len(failed)} broken, {seconds:.0f} s\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
