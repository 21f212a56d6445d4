"""The outcome of an apply: every slot and what came of it, and what a person can do."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.errors import Interrupted, PendingActions, PlannerError, StateUnusable
from planner.market.disks import HEALTHY
from planner.plans.advice import attach_warnings
from planner.plans.sharing import by_disk
from planner.project.pods import Reach, ReadyJob, jobs_of
from planner.project.replace import (
    Superseded,
    commands_for,
    copy_advice,
    foreign_advice,
    superseded_of,
)
from planner.project.spending import allowed_usd_hr, cost, is_gone, kept_cost, project_usd_hr
from planner.project.state import SENDABLE, Entry
from planner.units import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from planner.market.disks import Disk
    from planner.plans.plan import Plan
    from planner.project.context import Context
    from planner.project.spending import Ceiling
    from planner.project.state import Slot


@dataclass(frozen=True)
class OutcomeRow:
    """One slot, what came of it (None: it was never intended), and its disk as it is listed."""

    slot: Slot
    entry: Entry | None
    listed: Disk | None = None

    @property
    def state(self) -> str:
        """Return created, pending, conflict, refused, waiting, given_up, destroyed or planned."""
        return "planned" if self.entry is None else _shown_state(self.entry)

    def to_document(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        slot, entry = self.slot, self.entry
        return _disk_document(
            (slot.volume, slot.replica, slot.disk, slot.name, self.state),
            slot.disk_group,
            slot.size_gb,
            entry.counted_usd_hr if entry else Decimal(0),
            slot.usd_hr,
            entry=entry,
            disk=self.listed,
        )


def _shown_state(entry: Entry) -> str:
    if entry.is_pending:
        return "pending"
    if entry.is_superseded:
        return "superseded"
    return "waiting" if entry.stage in SENDABLE else entry.stage


def _disk_document(
    what: tuple[str, int, int, str, str],
    disk_group: Sequence[str] | None,
    size_gb: int,
    usd_hr: Decimal,
    planned_usd_hr: Decimal,
    *,
    entry: Entry | None = None,
    disk: Disk | None = None,
) -> dict[str, Any]:
    """Return a disk of the project as JSON values; its status is what is listed, where it is."""
    ids = (entry.ids or sorted(entry.claimed)) if entry else [disk.id] if disk else []
    known = entry.ids if entry else ids
    status = disk.status if disk else entry.status if entry else ""
    return {
        **dict(zip(("volume", "replica", "disk", "name", "state"), what, strict=True)),
        "disk_group": None if disk_group is None else [*disk_group],
        "id": known[0] if len(known) == 1 else None,
        "ids": list(ids),
        "size_gb": size_gb,
        "usd_hr": plain(usd_hr),
        "planned_usd_hr": plain(planned_usd_hr),
        "status": status or None,
        "created_at": entry.created_at if entry else disk.created_at if disk else None,
        "why": (entry.why or None) if entry else None,
    }


@dataclass(frozen=True)
class ApplyOutcome:
    """The outcome of a run.

    Attributes
    ----------
    rows : tuple of OutcomeRow
        All slots, in the plan's order.
    disks : tuple of dict
        The slots and every other disk that the project pays for, bought by an earlier plan or
        kept, as JSON values in the demand's order.
    stop : PlannerError | None
        Why the run ended before everything was done.
    usd_hr, limit_usd_hr : Decimal
        Run-rate of the project now, pending disks included, and what it may be at most.
    balance_usd : Decimal | None
        What the wallet had, where it was read.
    to_send : tuple of Slot
        What was still to be sent when it was last checked.
    jobs : tuple of ReadyJob
        The workloads of the plan whose disks exist, with the pods that mount them.
    pending : tuple of str
        Names of the project's disks whose outcome is unknown, earlier plans' included.
    superseded : tuple of Superseded
        The project's disks that later ones replaced: to be copied and retired.
    reach : tuple of Reach
        Whether the GPUs of each job are beside its disks, where the marketplace was asked.
    is_read : bool
        Whether the account was listed; else everything is as recorded.
    """

    plan_id: str
    project: str
    rows: tuple[OutcomeRow, ...]
    disks: tuple[dict[str, Any], ...]
    stop: PlannerError | None
    advice: tuple[str, ...]
    warnings: tuple[str, ...]
    usd_hr: Decimal
    limit_usd_hr: Decimal
    balance_usd: Decimal | None
    to_send: tuple[Slot, ...]
    jobs: tuple[ReadyJob, ...]
    pending: tuple[str, ...]
    superseded: tuple[Superseded, ...]
    reach: tuple[Reach, ...] = ()
    is_read: bool = True

    @property
    def pods(self) -> tuple[str, ...]:
        """Return one command for each pod: it rents its GPUs with its disks attached."""
        return tuple(command for job in self.jobs for command in job.commands)

    @property
    def exit_code(self) -> int:
        """Return what the command exits with."""
        return self.stop.exit_code if self.stop else 0

    def to_document(self) -> dict[str, Any]:
        """Return the outcome as JSON values."""
        rows = self.disks
        by_volume: dict[str, list[str]] = {}
        for row in rows:
            if row["state"] in {"created", "kept"}:
                for volume in row["disk_group"] or (row["volume"],):
                    by_volume.setdefault(volume, []).append(row["id"])
        document: dict[str, Any] = {
            "plan_id": self.plan_id,
            "project": self.project,
            "exit_code": self.exit_code,
            "slots": list(rows),
            "volumes": by_volume,
            "pending": list(self.pending),
            "to_send": [slot.name for slot in self.to_send],
            "totals": {
                "slots": sum(row["state"] not in {"kept", "superseded"} for row in rows),
                "created": sum(row["state"] == "created" for row in rows),
                "usd_hr": plain(self.usd_hr),
                "since": min(
                    (row["created_at"] for row in rows if row["created_at"]), default=None
                ),
                "limit_usd_hr": plain(self.limit_usd_hr),
                "balance_usd": None if self.balance_usd is None else plain(self.balance_usd),
            },
            "usd_hr": plain(self.usd_hr),
            "superseded": [disk.to_document() for disk in self.superseded],
            "pods": list(self.pods),
            "workloads": [reach.to_document() for reach in self.reach],
            "commands": list(commands_for(self.superseded)),
            "advice": list(self.advice),
            "warnings": list(self.warnings),
        }
        if self.stop is not None:
            failure = {"error": str(self.stop), "hint": self.stop.hint}
            document = {**failure, **document, **self.stop.data}
        return document


def make_outcome(
    ctx: Context,
    stop: PlannerError | None,
    *,
    ceilings: Sequence[Ceiling],
    balance: Decimal | None,
    to_send: Sequence[Slot],
) -> ApplyOutcome:
    """Return what came of a run.

    Parameters
    ----------
    stop : PlannerError | None
        What ended it early; a pending slot or a conflict is worse.
    """
    plan = ctx.plans[-1]
    intended = ((slot, ctx.state.entries.get(slot.name)) for slot in ctx.slots.values())
    rows = tuple(OutcomeRow(slot, entry, _disk_of(ctx, entry)) for slot, entry in intended)
    entries = [row.entry for row in rows if row.entry is not None]
    entries += [e for e in ctx.entries if e.plan != ctx.plan and (e.is_pending or e.has_conflict)]
    superseded = superseded_of((e for e in ctx.entries if not is_gone(ctx, e)), ctx.listed)
    jobs = jobs_of(plan, ctx.state.entries)
    attached = attach_warnings(plan.demand, plan.placements, plan.gpus, ctx.pace.now().date())
    return ApplyOutcome(
        plan_id=plan.plan_id,
        project=plan.project,
        rows=rows,
        disks=tuple(_project_disks(ctx, plan, rows)),
        stop=_worst(ctx, entries, stop),
        advice=(
            *_advice(ctx, entries),
            *copy_advice(superseded),
            *foreign_advice(ctx, plan),
            *(text for job in jobs for text in job.mounted),
        ),
        warnings=(*ctx.warnings, *_unwell(entries), *attached),
        usd_hr=project_usd_hr(ctx),
        limit_usd_hr=allowed_usd_hr(ctx, ceilings),
        balance_usd=balance,
        to_send=tuple(filter(ctx.is_open, to_send)),
        jobs=jobs,
        pending=tuple(entry.name for entry in entries if entry.is_pending),
        superseded=superseded,
        is_read=ctx.listing is not None,
    )


def _disk_of(ctx: Context, entry: Entry | None) -> Disk | None:
    """Return the disk of a slot that was created, as it is listed."""
    return None if entry is None or entry.stage != "created" else ctx.listed.get(entry.ids[0])


def _project_disks(
    ctx: Context, plan: Plan, rows: Sequence[OutcomeRow]
) -> Iterator[dict[str, Any]]:
    """Yield a plan's slots and every other disk that the project pays for, in its order."""
    names = {row.slot.name for row in rows}
    documents = [row.to_document() for row in rows]
    paid = [entry for entry in ctx.entries if entry.may_exist]
    for entry in paid:
        if entry.name not in names and not is_gone(ctx, entry):
            what = entry.volume, entry.replica, entry.disk, entry.name, _shown_state(entry)
            documents.append(
                _disk_document(
                    what,
                    entry.disk_group,
                    entry.size_gb,
                    cost(ctx, entry),
                    entry.expected.usd_hr,
                    entry=entry,
                    disk=_disk_of(ctx, entry),
                )
            )
    recorded = {disk_id for entry in paid for disk_id in entry.ids}
    for placement, *_ in by_disk(plan.placements):
        for number, disk_id in enumerate(placement.disk_ids, 1):
            disk = ctx.listed.get(disk_id)
            if disk_id not in recorded and disk is not None and disk.is_live:
                what = placement.volume, placement.replica, number, disk.name or "", "kept"
                price = kept_cost(ctx, disk_id)
                documents.append(
                    _disk_document(
                        what,
                        placement.disk_group,
                        disk.size_gb or 0,
                        price,
                        ctx.kept[disk_id]["usd_hr"] or price,
                        disk=disk,
                    )
                )
    order = {volume.name: number for number, volume in enumerate(plan.demand.volumes)}
    yield from sorted(
        documents,
        key=lambda row: (order.get(row["volume"], len(order)), row["replica"], row["disk"]),
    )


def _worst(
    ctx: Context, entries: Sequence[Entry], stop: PlannerError | None
) -> PlannerError | None:
    """Return why the run ended, in the order of what matters most."""
    if stop is None or isinstance(stop, StateUnusable):
        return stop
    if isinstance(stop, Interrupted):
        stop.hint = stop.hint or "run the same apply again to go on"
        return stop
    if ctx.pace.stop.is_set():
        return Interrupted(f"interrupted: {stop}", hint="run the same apply again to go on")
    if stop.exit_code in {6, 7}:
        return stop
    if any(entry.is_pending for entry in entries):
        return PendingActions(
            f"{stop}; the outcome of another create is unknown too", hint=stop.hint
        )
    return stop


def _advice(ctx: Context, entries: Sequence[Entry]) -> list[str]:
    """Return what a person can do about each slot that is not resolved."""
    lines = []
    for entry in entries:
        command = f"planner resolve {entry.name} --id ID | --not ID | --give-up"
        if entry.is_pending and entry.claimed_ids:
            ids = ", ".join(sorted(entry.claimed_ids))
            lines.append(
                f"{entry.key}: the marketplace answered with {ids}, so planner does not send it "
                f"again. Check the account, then: {command}"
            )
        elif entry.is_pending:
            when = f"{ctx.sends_again_at(entry):%Y-%m-%d %H:%M:%S} UTC"
            lines.append(
                f"{entry.key}: run the same apply again; from {when} on it may send {entry.name} "
                f"again if it is still not listed. If you know its outcome: {command}"
            )
        elif entry.stage == "conflict":
            ids = ", ".join(entry.ids) or "no usable id"
            lines.append(f"{entry.key}: check {ids} ({entry.why}), then: {command}")
    return lines


def _unwell(entries: Sequence[Entry]) -> list[str]:
    return [
        f"{entry.key}: disk {entry.ids[0]} is {entry.status} and billed; it stays until you delete "
        f"it: planner destroy {shlex.quote(entry.project)} --id {entry.ids[0]}"
        for entry in entries
        if entry.stage == "created" and entry.status not in HEALTHY
    ]
