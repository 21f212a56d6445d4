"""What must hold after any run, read from the world's own log of requests and disks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from planner.project.journal import Journal
from planner.project.state import State
from tests.project.world import KEY, URL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal
    from pathlib import Path

    from planner.plans.plan import Plan
    from planner.project.outcome import ApplyOutcome
    from tests.project.world import World


def broken(
    world: World,
    folder: Path,
    report: ApplyOutcome | None,
    *plans: Plan,
    limit: Decimal | None = None,
) -> list[str]:
    """Return every rule that a history of runs broke; empty when all hold.

    Parameters
    ----------
    world : World
        Whose log is believed.
    folder : Path
        The state directory.
    report : ApplyOutcome | None
        The last run's; None where the last run was killed.
    plans : Plan
        What was applied; those that are kept beside the journal count as well.
    limit : Decimal | None
        Run-rate that no create may exceed; None is the plans' own together.
    """
    with Journal(folder, write=False) as journal:
        state = State(journal.records)
    documents = [json.loads(path.read_bytes()) for path in folder.glob("plans/*.json")]
    requests = [one for plan in plans for one in plan.requests]
    requests += [one for document in documents for one in document["requests"]]
    bodies = {one["body"]["disk"]["name"]: one["body"] for one in requests}
    most = limit if limit is not None else sum(plan.solver.objective_usd_hr for plan in plans)
    return [
        *_duplicates(world, report),
        *_orphans(world, state, report),
        *_blind(world),
        *_strangers(world, bodies),
        *_leaks(world, folder),
        *(f"a create would have made it {one} USD/h" for one in world.spent if one > most),
        *_unread(world, state),
        *(f"{name} was sent again after an id was named" for name in world.heard_resent),
    ]


def _said(report: ApplyOutcome | None) -> str:
    if report is None:
        return ""
    return str(report.to_document())


def _duplicates(world: World, report: ApplyOutcome | None) -> Iterator[str]:
    if report is None:
        return  # killed: there is no outcome
    by_name: dict[str, list[str]] = {}
    for name, disk_id in world.made:
        if world.status(disk_id) != "TERMINATED":
            by_name.setdefault(name, []).append(disk_id)
    for name, ids in by_name.items():
        reported = report.exit_code == 7
        if len(ids) > 1 and not (reported and all(one in _said(report) for one in ids)):
            yield f"{name} is live {len(ids)} times, and that is not reported"


def _orphans(world: World, state: State, report: ApplyOutcome | None) -> Iterator[str]:
    if report is None:
        return
    recorded = state.recorded_ids()
    for name, disk_id in world.made:
        if world.status(disk_id) == "TERMINATED" or disk_id in recorded:
            continue
        entry = state.entries.get(name)
        reported = disk_id in _said(report) or (entry is not None and entry.is_pending)
        if not (reported and report.exit_code in {6, 7, 130}):
            yield f"{disk_id} ({name}) is billed, and that is not reported"


def _blind(world: World) -> Iterator[str]:
    """Yield creates of a name without a whole listing since the one before."""
    listed: dict[str, bool] = {}
    offsets: set[str] = set()
    for one in world.log:
        if one.method == "POST":
            name = one.body["disk"]["name"]
            if not listed.get(name, True):
                yield f"{name} was sent again without a look"
            listed[name] = False
        elif one.path == "/api/v1/disks/":
            offsets.add(one.path)
            listed = dict.fromkeys(listed, True)


def _strangers(world: World, bodies: dict[str, Any]) -> Iterator[str]:
    for one in world.log:
        if one.method == "POST" and one.body != bodies.get(one.body["disk"]["name"]):
            yield "a create was sent that the plan does not have"
        if one.method in {"PATCH", "DELETE"}:
            yield f"{one.method} was sent by apply"


def _leaks(world: World, folder: Path) -> Iterator[str]:
    for one in world.log:
        rest = {name: text for name, text in one.headers.items() if name != "authorization"}
        if KEY in f"{one.path} {one.body} {rest}" or one.headers.get("host", "") not in URL:
            yield "the key is outside its header"
    for path in folder.rglob("*"):
        if path.is_file() and KEY.encode() in path.read_bytes():
            yield f"the key is in {path.name}"


def _unread(world: World, state: State) -> Iterator[str]:
    """Yield ids recorded as created that no GET and no listing ever showed."""
    for entry in state.entries.values():
        if entry.stage == "created" and entry.ids[0] not in world.read:
            yield f"{entry.ids[0]} is recorded, and was never read back"
