"""Status: what the journal says, compared with the account."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from planner.errors import NotFound
from planner.marketplace.protocol import target_of, utc_now
from planner.project.reconcile import match_name
from planner.project.replace import Superseded, commands_for, copy_advice, superseded_of
from planner.project.sightings import IDLE_DAYS, record_sightings
from planner.project.state import SENDABLE, Entry, State, sorted_entries
from planner.units import plain, total

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from decimal import Decimal
    from pathlib import Path

    from planner.market.disks import Disk
    from planner.marketplace.protocol import DiskListing, Marketplace
    from planner.project.sightings import Sighting


Condition = Literal[
    "in order",
    "pending",
    "unrecorded",
    "conflict",
    "drifted",
    "vanished",
    "duplicate",
    "superseded",
    "retired",
    "waiting",
    "refused",
    "given up",
    "destroyed",
]
_DRIFT = frozenset({"conflict", "drifted", "vanished", "duplicate"})
_PENDING = frozenset({"pending", "unrecorded"})


@dataclass(frozen=True)
class DiskStatus:
    """A recorded slot, compared with the account.

    Attributes
    ----------
    notes : tuple of str
        What differs: renamed, repriced, resized, its status, what it is attached to.
    unattached_since : datetime | None
        As far as planner has seen it; None where it is attached, or unknown.
    """

    entry: Entry
    condition: Condition
    notes: tuple[str, ...]
    disk: Disk | None
    unattached_since: datetime | None = None

    def to_document(self) -> dict[str, Any]:
        """Return the standing as JSON values."""
        entry, disk = self.entry, self.disk
        return {
            "project": entry.project,
            "volume": entry.volume,
            "disk_group": entry.disk_group,
            "replica": entry.replica,
            "disk": entry.disk,
            "name": entry.name,
            "state": entry.stage,
            "condition": self.condition,
            "ids": list(entry.ids) or sorted(entry.claimed),
            "status": disk.status if disk else None,
            "size_gb": disk.size_gb if disk else entry.expected.size_gb,
            "usd_hr": plain(disk.usd_hr if disk and disk.usd_hr else entry.counted_usd_hr),
            **{
                name: getattr(disk or entry.expected, name)
                for name in ("provider", "data_center", "country")
            },
            "attached_to": list(disk.attached or ()) if disk else [],
            "unattached_since": self.unattached_since and self.unattached_since.isoformat(),
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Status:
    """All recorded slots, compared with the account."""

    disks: tuple[DiskStatus, ...]

    @property
    def exit_code(self) -> int:
        """Return 0 where all is in order, 6 where an outcome is unknown, 7 for a person."""
        conditions = {disk.condition for disk in self.disks}
        return 7 if conditions & _DRIFT else 6 if conditions & _PENDING else 0

    @property
    def usd_hr(self) -> Decimal:
        """Return the run-rate of existing and pending disks."""
        return total(
            status.disk.usd_hr
            if status.disk is not None and status.disk.usd_hr is not None and status.disk.is_live
            else status.entry.counted_usd_hr
            for status in self.disks
            if status.entry.may_exist and status.condition not in {"vanished", "retired"}
        )

    @property
    def advice(self) -> tuple[str, ...]:
        """Return what a person can do about what is not in order."""
        return tuple(
            f"{disk.entry.key}: planner resolve {disk.entry.name} --id ID | --not ID | --give-up"
            for disk in self.disks
            if disk.condition in {"pending", "conflict", "duplicate"}
        ) + tuple(copy_advice(self.superseded))

    @property
    def superseded(self) -> tuple[Superseded, ...]:
        """Return the superseded disks that exist."""
        there = {d.entry.name for d in self.disks if d.condition == "superseded"}
        everything = superseded_of(
            (disk.entry for disk in self.disks),
            {disk.disk.id: disk.disk for disk in self.disks if disk.disk is not None},
        )
        return tuple(disk for disk in everything if disk.entry.name in there)

    def to_document(self) -> dict[str, Any]:
        """Return the status as JSON values."""
        return {
            "exit_code": self.exit_code,
            "disks": [disk.to_document() for disk in self.disks],
            "usd_hr": plain(self.usd_hr),
            "advice": list(self.advice),
            "commands": list(commands_for(self.superseded)),
        }


def read_status(
    records: Sequence[dict[str, Any]],
    marketplace: Marketplace,
    *,
    project: str | None = None,
    plan: str | None = None,
    folder: Path | None = None,
) -> Status:
    """Return the journal compared with the account; nothing is changed.

    What was bought at another marketplace, or for another team, is left out; where that is all,
    the error names it.

    Parameters
    ----------
    project, plan : str | None
        Only the slots of this project, or of the plan with this digest and those that continue
        it.
    folder : Path | None
        State directory, to write down which disks are unattached, see `sightings`.

    Raises
    ------
    InputError
        When nothing that is recorded matches.
    MarketError
        When the account cannot be read.
    """
    state = State(records)
    target = target_of(marketplace)
    chosen: Iterable[Entry] = (
        entry
        for entry in state.at(target, project)
        if plan in {None, entry.plan, state.agreed_plan(entry.plan)}
        and entry.stage != "transferred"
    )
    entries = list(sorted_entries(_without_abandoned(chosen)))
    if not entries:
        if state.entries or project is not None or plan is not None:
            raise state.nothing_selected(project, target)
        return Status(())
    listing = marketplace.disks()
    statuses = [disk_status(entry, listing, marketplace) for entry in entries]
    if folder is not None:
        at = listing.date or utc_now()
        seen = record_sightings(folder, target, listing.attachments, at)
        statuses = [_with_idle(status, seen, at) for status in statuses]
    return Status(tuple(statuses))


def _with_idle(status: DiskStatus, seen: Mapping[str, Sighting], now: datetime) -> DiskStatus:
    """Return a slot with since when its disk is unattached, marked where that is long."""
    disk = status.disk
    known = None if disk is None else seen.get(disk.id or "")
    if known is None or known.unattached_since is None or not disk or not disk.is_live:
        return status
    since = known.unattached_since
    days = (now - since).days
    note = f"unattached since {since:%Y-%m-%d} ({days} days), still billed"
    notes = (*status.notes, note) if days >= IDLE_DAYS else status.notes
    return replace(status, unattached_since=since, notes=notes)


def _without_abandoned(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries without slots that were never created and that a later plan has filled."""
    listed = list(entries)
    filled = {(e.project, e.key): n for n, e in enumerate(listed) if e.stage == "created"}
    return [
        entry
        for number, entry in enumerate(listed)
        if entry.stage not in SENDABLE or filled.get((entry.project, entry.key), -1) < number
    ]


def disk_status(entry: Entry, listing: DiskListing, marketplace: Marketplace) -> DiskStatus:
    """Return one slot compared with the account, whose disks are listed."""
    if entry.stage in {"created", "transferred"}:
        return _created(entry, listing, marketplace)
    if entry.is_pending or entry.stage == "conflict":
        match = match_name(listing, entry.expected, entry.not_ours)
        if match.kind == "ours":
            note = "it exists: run the same apply again to record it"
            return DiskStatus(entry, "unrecorded", (note,), match.disks[0])
        kind: Condition = "conflict" if entry.stage == "conflict" else "pending"
        shown = match.disks[0] if match.disks else None
        return DiskStatus(entry, kind, (match.why or entry.why,), shown)
    conditions: dict[str, Condition] = {
        "refused": "refused",
        "given_up": "given up",
        "destroyed": "destroyed",
    }
    return DiskStatus(
        entry, conditions.get(entry.stage, "waiting"), (entry.why,) if entry.why else (), None
    )


def _created(entry: Entry, listing: DiskListing, marketplace: Marketplace) -> DiskStatus:
    disk = listing.find(entry.ids[0])
    if disk is None:
        try:
            disk = marketplace.disk(entry.ids[0])
        except NotFound:
            gone: Condition = "retired" if entry.is_superseded else "vanished"
            return DiskStatus(entry, gone, ("the account has no such disk",), None)
    if not disk.is_live:
        gone = "retired" if entry.is_superseded else "vanished"
        return DiskStatus(entry, gone, ("it is terminated",), disk)
    others = [
        other.id or "?"
        for other in listing.named(entry.name)
        if other.id != disk.id and other.id not in entry.not_ours
    ]
    if others:
        note = f"also live under its name: {', '.join(others)}"
        return DiskStatus(entry, "duplicate", (note,), disk)
    drift = list(drift_of(entry, disk))
    pods = disk.attached or ()
    attached = [f"attached to {', '.join(pods)}"] if pods else []
    condition: Condition = "drifted" if drift else "in order"
    if entry.is_superseded:
        condition = "superseded"
    return DiskStatus(entry, condition, (*drift, *attached), disk)


def drift_of(entry: Entry, disk: Disk) -> tuple[str, ...]:
    """Return how a disk differs from its record."""
    recorded = entry.usd_hr if entry.usd_hr is not None else entry.expected.usd_hr
    notes = entry.expected.at(entry.expected.counted(recorded)).drift(disk)
    if disk.name is not None and disk.name != entry.as_name:
        notes = (*notes, f"renamed to {disk.name}")
    return notes
