"""What came of a run: every slot, what it costs, what is in doubt, and what a person can do."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.errors import Interrupted, PendingActions, PlannerError, StateUnusable
from planner.market.gpus import is_confirmed, meets
from planner.market.offers import KEY
from planner.units import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planner.plans.plan import Plan
    from planner.project.context import Context
    from planner.project.state import Entry, Slot


@dataclass(frozen=True)
class Row:
    """One slot and what came of it; ``entry`` is None where it was never intended."""

    slot: Slot
    entry: Entry | None

    @property
    def state(self) -> str:
        """Return created, in_doubt, conflict, refused, waiting, given_up, destroyed or planned."""
        if self.entry is None:
            return "planned"
        if self.entry.in_doubt:
            return "in_doubt"
        waiting = self.entry.stage in {"not_sent", "limited", "paused"}
        return "waiting" if waiting else self.entry.stage

    def to_document(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        entry = self.entry
        known = entry.ids if entry else ()
        return {
            "volume": self.slot.volume,
            "replica": self.slot.replica,
            "disk": self.slot.disk,
            "name": self.slot.name,
            "state": self.state,
            "id": known[0] if len(known) == 1 else None,
            "ids": list(known) or sorted(entry.claimed if entry else ()),
            "size_gb": self.slot.size_gb,
            "usd_hr": plain(entry.counted_usd_hr if entry else Decimal(0)),
            "planned_usd_hr": plain(self.slot.usd_hr),
            "status": (entry.status or None) if entry else None,
            "created_at": entry.created_at if entry else None,
            "why": (entry.why or None) if entry else None,
        }


@dataclass(frozen=True)
class ApplyReport:
    """The outcome of a run.

    Attributes
    ----------
    rows : tuple of Row
        All slots, in the plan's order.
    stop : PlannerError | None
        Why the run ended before everything was done.
    advice : tuple of str
        What a person can do.
    warnings : tuple of str
        What else should be known.
    usd_hr, limit_usd_hr : Decimal
        Run-rate now, what is in doubt included, and the plan's limit.
    balance_usd : Decimal | None
        What the wallet had, where it was read.
    to_send : tuple of Slot
        What was still to be sent when it was last checked.
    pods : tuple of str
        One command for each workload of the plan that rents its GPUs with its disks attached.
    """

    plan_id: str
    project: str
    rows: tuple[Row, ...]
    stop: PlannerError | None
    advice: tuple[str, ...]
    warnings: tuple[str, ...]
    usd_hr: Decimal
    limit_usd_hr: Decimal
    balance_usd: Decimal | None
    to_send: tuple[Slot, ...]
    pods: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """Return what the command exits with."""
        return self.stop.exit_code if self.stop else 0

    def to_document(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        rows = [row.to_document() for row in self.rows]
        by_volume: dict[str, list[str]] = {}
        for row in rows:
            if row["state"] == "created":
                by_volume.setdefault(row["volume"], []).append(row["id"])
        document: dict[str, Any] = {
            "plan_id": self.plan_id,
            "project": self.project,
            "exit_code": self.exit_code,
            "slots": rows,
            "volumes": by_volume,
            "in_doubt": [row["name"] for row in rows if row["state"] == "in_doubt"],
            "to_send": [slot.name for slot in self.to_send],
            "totals": {
                "slots": len(rows),
                "created": sum(row["state"] == "created" for row in rows),
                "usd_hr": plain(self.usd_hr),
                "since": min(
                    (row["created_at"] for row in rows if row["created_at"]), default=None
                ),
                "limit_usd_hr": plain(self.limit_usd_hr),
                "balance_usd": None if self.balance_usd is None else plain(self.balance_usd),
            },
            "usd_hr": plain(self.usd_hr),
            "pods": list(self.pods),
            "advice": list(self.advice),
            "warnings": list(self.warnings),
        }
        if self.stop is not None:
            failure = {"error": str(self.stop), "hint": self.stop.hint}
            document = {**failure, **document, **self.stop.data}
        return document


def make_report(
    ctx: Context,
    plan: Plan,
    slots: Sequence[Slot],
    stop: PlannerError | None,
    *,
    balance: Decimal | None,
    to_send: Sequence[Slot],
) -> ApplyReport:
    """Return what came of a run.

    Parameters
    ----------
    ctx : Context
        The run.
    plan, slots : Plan, sequence of Slot
        What was to be bought.
    stop : PlannerError | None
        What ended it early; a slot in doubt or in conflict is worse than any of them.
    balance : Decimal | None
        What the wallet had.
    to_send : sequence of Slot
        What was still to be sent.
    """
    rows = tuple(Row(slot, ctx.state.entries.get(slot.name)) for slot in slots)
    entries = [row.entry for row in rows if row.entry is not None]
    document = plan.to_document()
    return ApplyReport(
        plan_id=plan.plan_id,
        project=plan.project,
        rows=rows,
        stop=_worst(ctx, entries, stop),
        advice=tuple(_advice(ctx, entries)),
        warnings=(*ctx.warnings, *_unwell(entries)),
        usd_hr=ctx.state.committed_usd_hr(ctx.plan),
        limit_usd_hr=Decimal(plan.totals["new_usd_hr"]),
        balance_usd=balance,
        to_send=tuple(slot for slot in to_send if _is_open(ctx, slot)),
        pods=pod_lines(document, rows),
    )


def _is_open(ctx: Context, slot: Slot) -> bool:
    entry = ctx.state.entries.get(slot.name)
    return entry is None or entry.stage in {"not_sent", "limited", "paused"} or entry.in_doubt


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
    if any(entry.in_doubt for entry in entries):
        return PendingActions(f"{stop}; an outcome is unknown as well", hint=stop.hint)
    return stop


def _advice(ctx: Context, entries: Sequence[Entry]) -> list[str]:
    """Return what a person can do about each slot that is not settled."""
    lines = []
    for entry in entries:
        ways = f"planner resolve {entry.name} --id ID | --not ID | --give-up"
        if entry.in_doubt and entry.named:
            lines.append(
                f"{entry.key}: an answer named {', '.join(sorted(entry.named))}; it is never sent "
                f"again by itself. Look in the account, then: {ways}"
            )
        elif entry.in_doubt:
            when = ctx.sends_again_at(entry).isoformat(timespec="seconds")
            lines.append(
                f"{entry.key}: run the same apply again; from {when} on it may send {entry.name} "
                f"again if it is still nowhere. If you know better: {ways}"
            )
        elif entry.stage == "conflict":
            told = ", ".join(entry.ids) or "no usable id"
            lines.append(f"{entry.key}: look at {told} ({entry.why}), then: {ways}")
    return lines


def _unwell(entries: Sequence[Entry]) -> list[str]:
    return [
        f"{entry.key}: disk {entry.ids[0]} is {entry.status} and is billed; it is never replaced "
        f"by itself. To delete it: planner destroy {shlex.quote(entry.project)} --id {entry.ids[0]}"
        for entry in entries
        if entry.stage == "created" and entry.status in {"ERROR", "UNKNOWN"}
    ]


def pod_lines(document: dict[str, Any], rows: Sequence[Row]) -> tuple[str, ...]:
    """Return, for each workload, the vendor's command that rents its GPUs with its disks.

    Source: ``prime pods create --help`` of the vendor's client, 0.18: ``--disks`` is repeated.
    """
    mounts = {one["name"]: one.get("mounts", []) for one in document["demand"].get("workloads", [])}
    lines = []
    for gpu in document["gpus"]:
        kept = [one for one in document.get("placements", ()) if one["action"] == "keep"]
        disks = [
            _kept_at(gpu, volume, kept) or _disks_at(gpu, volume, rows)
            for volume in mounts.get(gpu["workload"], [])
        ]
        if not all(disks):
            continue  # not all of its volumes have been created there
        words = ["prime", "pods", "create", "--id", gpu["offer_id"], "--name", gpu["workload"]]
        words += [word for ids in disks for disk_id in ids for word in ("--disks", disk_id)]
        lines.append(shlex.join(words))
    return tuple(lines)


def _kept_at(gpu: dict[str, Any], volume: str, kept: Sequence[dict[str, Any]]) -> list[str]:
    """Return the disks of a replica that was there before, where a GPU offer is; or none."""
    here = [one for one in kept if one["volume"] == volume and meets(one, gpu)]
    # A disk in a data centre that both name goes before one that may only be there.
    here.sort(key=lambda one: not is_confirmed(one, gpu))
    return list(here[0]["disk_ids"]) if here else []


def _disks_at(gpu: dict[str, Any], volume: str, rows: Sequence[Row]) -> list[str]:
    """Return the disks of one whole replica of a volume where a GPU offer is, empty for none."""
    replicas: dict[tuple[bool, int], list[Row]] = {}
    for row in rows:
        place = dict(zip(KEY, row.slot.offer, strict=True))
        if row.slot.volume == volume and meets(place, gpu):
            near = not is_confirmed(place, gpu), row.slot.replica
            replicas.setdefault(near, []).append(row)
    for _, listed in sorted(replicas.items(), key=lambda item: item[0]):
        entries = [row.entry for row in listed if row.entry and row.entry.stage == "created"]
        if len(entries) == len(listed):
            return [disk_id for entry in entries for disk_id in entry.ids]
    return []
