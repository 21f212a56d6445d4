"""From the disk to the pod: the pods of a plan, and whether their GPUs are beside their disks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from planner.errors import MarketError, StateUnusable
from planner.market.gpus import is_confirmed, meets
from planner.market.offers import KEY
from planner.marketplace.protocol import LISTING_S, PodRequest, target_of
from planner.plans.requests import pod_commands
from planner.present.table import counted
from planner.project.failover import kept_plan
from planner.project.state import State, slots_of
from planner.schema import records
from planner.text import some, visible
from planner.units import usd_hr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from decimal import Decimal
    from pathlib import Path

    from planner.marketplace.protocol import GpuListing, Marketplace
    from planner.plans.plan import Plan
    from planner.project.state import Entry, Slot
    from planner.solve.rentals import Gpu


_OFFER = ("provider", "cloud_id", "gpu_type", "gpus", "socket", "data_center", "country")
"""What a GPU offer is recognised by: its short id changes with vCPU and memory."""


@dataclass(frozen=True)
class ReadyJob:
    """A workload of a plan whose disks all exist.

    Attributes
    ----------
    disk_ids : tuple of str
        The disks that each of its pods mounts.
    directories : tuple of (str, tuple of str)
        Disk that it shares with others or mounts for several volumes, and its volumes there.
    """

    gpu: Gpu
    listing: GpuListing
    usd_hr: Decimal
    disk_ids: tuple[str, ...]
    team_id: str | None
    directories: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def mounted(self) -> tuple[str, ...]:
        """Return where the job finds its volumes on disks that volumes share, in sentences."""
        return tuple(
            f"{self.gpu.workload} mounts disk {disk_id[:8]} once; its volumes are directories "
            f"there: {', '.join(f'{volume}/' for volume in volumes)}"
            for disk_id, volumes in self.directories
        )

    @property
    def pods(self) -> tuple[PodRequest, ...]:
        """Return one request for each node: one request is one pod."""
        gpu = self.gpu
        names = [gpu.workload]
        if gpu.nodes > 1:
            names = [f"{gpu.workload}-{number}" for number in range(1, gpu.nodes + 1)]
        asked: dict[str, Any] = {
            field: getattr(gpu, field) for field in ("offer_id", *_OFFER, "security")
        }
        asked |= {"max_usd_hr": self.usd_hr, "disk_ids": self.disk_ids}
        return tuple(PodRequest(name=name, **asked) for name in names)

    @property
    def commands(self) -> tuple[str, ...]:
        """Return the command of the vendor's client for each pod."""
        return pod_commands(self.pods, self.team_id)


def jobs_of(plan: Plan, entries: Mapping[str, Entry]) -> tuple[ReadyJob, ...]:
    """Return the workloads of a plan whose disks all exist, in its order.

    Parameters
    ----------
    entries : mapping of str to Entry
        What became of each slot, by name.
    """
    mounts = {workload.name: workload.mounts for workload in plan.demand.workloads}
    slots = slots_of(plan)
    team_id = plan.target["team_id"] if plan.target else None
    groups: dict[str, Sequence[str] | None] = {}
    for placement in plan.placements:
        groups |= dict.fromkeys(placement.disk_ids, placement.disk_group)
    for entry in entries.values():
        groups |= dict.fromkeys(entry.ids, entry.disk_group)
    jobs = []
    for gpu in plan.gpus:
        disks = [
            _kept_at(gpu, volume, plan) or _bought_at(gpu, volume, slots, entries)
            for volume in mounts[gpu.workload]
        ]
        if all(disks):
            listing, price = _listed(gpu, plan)
            ids = tuple(dict.fromkeys(disk_id for listed in disks for disk_id in listed))
            shared = {disk_id: groups[disk_id] for disk_id in ids if groups[disk_id]}
            directories = tuple(
                (disk_id, tuple(v for v in mounts[gpu.workload] if v in (group or ())))
                for disk_id, group in shared.items()
            )
            jobs.append(ReadyJob(gpu, listing, price, ids, team_id, directories))
    return tuple(jobs)


def _listed(gpu: Gpu, plan: Plan) -> tuple[GpuListing, Decimal]:
    """Return where the chosen offer is listed, and its price."""
    return next(
        (row["listing"], row["usd_hr"])
        for row in plan.market.gpu_records
        if row["usd_hr"] is not None
        and row["offer_id"] == gpu.offer_id
        and _is_offer(row, gpu)
        and usd_hr(gpu.nodes, row["usd_hr"]) == gpu.usd_hr_on
    )


def _is_offer(row: Mapping[str, Any], gpu: Gpu) -> bool:
    return all(row[name] == getattr(gpu, name) for name in _OFFER)


def _kept_at(gpu: Gpu, volume: str, plan: Plan) -> tuple[str, ...]:
    """Return the disks of an existing replica at the place of a GPU offer, if any."""
    place = vars(gpu)
    here = [
        placement
        for placement in plan.placements
        if placement.action == "keep"
        and placement.volume == volume
        and meets(vars(placement), place)
    ]
    # A disk in a data centre that both name goes before one that may only be there.
    here.sort(key=lambda placement: not is_confirmed(vars(placement), place))
    return tuple(here[0].disk_ids) if here else ()


def _bought_at(
    gpu: Gpu, volume: str, slots: Sequence[Slot], entries: Mapping[str, Entry]
) -> tuple[str, ...]:
    """Return the disks of a complete replica at the place of a GPU offer, if any."""
    replicas: dict[tuple[bool, int], list[Entry | None]] = {}
    for slot in slots:
        place = dict(zip(KEY, slot.offer, strict=True))
        replica = next((share.replica for share in slot.shares if share.volume == volume), None)
        if replica is not None and meets(place, vars(gpu)):
            near = not is_confirmed(place, vars(gpu)), replica
            replicas.setdefault(near, []).append(entries.get(slot.name))
    for _, listed in sorted(replicas.items(), key=lambda item: item[0]):
        created = [entry for entry in listed if entry and entry.stage == "created"]
        if len(created) == len(listed):
            return tuple(disk_id for entry in created for disk_id in entry.ids)
    return ()


@dataclass(frozen=True)
class Reach:
    """Whether the GPUs of a job are beside its disks, as the marketplace says.

    Attributes
    ----------
    beside : {"yes", "no", "unconfirmed"}
        Unconfirmed: the marketplace could not be asked.
    why : str
        What is listed there instead, or why it could not be asked; empty otherwise.
    """

    project: str
    job: ReadyJob
    beside: Literal["yes", "no", "unconfirmed"]
    why: str = ""

    @property
    def text(self) -> str:
        """Return it as one sentence."""
        gpu = self.job.gpu
        start = "" if self.beside == "yes" else "warning: "
        outcome = {
            "yes": "the marketplace lists it beside its disks",
            "no": "the marketplace does not list it beside its disks now",
            "unconfirmed": "whether it is beside its disks is unconfirmed",
        }[self.beside]
        what = f"{gpu.workload}: {gpu.gpu_type} at {gpu.provider} ({gpu.offer_id})"
        return f"{start}{what}: {outcome}{'; ' if self.why else ''}{self.why}"

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "project": self.project,
            "workload": self.job.gpu.workload,
            "offer_id": self.job.gpu.offer_id,
            "nodes": self.job.gpu.nodes,
            "disks": list(self.job.disk_ids),
            "beside_disks": self.beside,
            "why": self.why or None,
        }


def check_reach(
    project: str,
    jobs: Iterable[ReadyJob],
    marketplace: Marketplace,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Reach, ...]:
    """Ask the marketplace which GPUs are beside the disks of each job; one listing for each.

    After a failure nothing else is asked, and what is left is unconfirmed: no failure is raised.
    """
    deadline = clock() + LISTING_S
    results: list[Reach] = []
    failure: MarketError | None = None
    for job in jobs:
        if failure is None:
            try:
                results.append(_asked(project, job, marketplace, deadline - clock()))
                continue
            except MarketError as error:
                failure = error
        results.append(Reach(project, job, "unconfirmed", str(failure)))
    return tuple(results)


def _asked(project: str, job: ReadyJob, marketplace: Marketplace, within_s: float) -> Reach:
    """Return what one listing shows beside the disks of a job."""
    snapshot = marketplace.gpus_beside(
        job.disk_ids, job.gpu.gpu_type, listing=job.listing, within_s=within_s
    )
    rows = [r for r in records(snapshot.gpus(listing=job.listing)) if r["problem"] is None]
    if any(_is_offer(row, job.gpu) for row in rows):
        return Reach(project, job, "yes")
    others = dict.fromkeys(
        f"{row['offer_id']} ({row['gpus']} GPUs)" if row["gpus"] else row["offer_id"]
        for row in rows
        if row["stock"] != "Unavailable"
    )
    listed = ", ".join(list(others)[:3])
    return Reach(project, job, "no", f"listed there: {listed}" if others else "none is there")


def last_plans(
    state: State,
    folder: Path,
    target: Mapping[str, str | None],
    *,
    project: str | None = None,
    plan: str | None = None,
) -> tuple[list[Plan], list[str]]:
    """Return the last plan of each project that was applied, and why others cannot be read.

    Parameters
    ----------
    project, plan : str | None
        Only of this project, or the plan with this digest and those that continue it.
    """
    agreed = None if plan is None else state.agreed_plan(plan)
    last = {
        record["project"]: digest
        for digest, record in state.plans.items()
        if record["target"] in (None, target)
        and project in {None, record["project"]}
        and agreed in {None, state.agreed_plan(digest)}
    }
    plans, problems = [], []
    for digest in last.values():
        try:
            plans.append(kept_plan(folder, digest))
        except StateUnusable as error:
            problems.append(str(error))
    return plans, problems


def read_reach(
    records_: Sequence[dict[str, Any]],
    folder: Path,
    marketplace: Marketplace,
    *,
    project: str | None = None,
    plan: str | None = None,
) -> tuple[tuple[Reach, ...], tuple[str, ...]]:
    """Return whether the GPUs of what was applied last are beside its disks, and what failed.

    Parameters
    ----------
    folder : Path
        The state directory, where applied plans are kept.
    project, plan : str | None
        As `last_plans`.
    """
    state = State(records_)
    plans, problems = last_plans(state, folder, target_of(marketplace), project=project, plan=plan)
    results: list[Reach] = []
    for made in plans:
        results += check_reach(made.project, jobs_of(made, state.entries), marketplace)
        left = [slot.title for slot in slots_of(made) if slot.name not in state.entries]
        if left:
            what = f"{counted(len(left), 'disk')} of {visible(made.project)}"
            names = visible(some([*dict.fromkeys(left)]))
            problems.append(f"{what} not bought yet ({names}): run its apply again")
    return tuple(results), tuple(problems)
