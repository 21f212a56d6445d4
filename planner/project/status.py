"""Status: the journal held against the account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from planner.errors import NotFound
from planner.marketplace.protocol import target_of
from planner.project.reconcile import look
from planner.project.state import Entry, State, in_order
from planner.units import plain, total

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from planner.market.disks import Disk
    from planner.marketplace.protocol import DiskListing, Marketplace


Found = Literal[
    "in order",
    "in doubt",
    "found",
    "conflict",
    "drifted",
    "vanished",
    "duplicate",
    "waiting",
    "refused",
    "given up",
    "destroyed",
]
_DRIFT = frozenset({"conflict", "drifted", "vanished", "duplicate"})
_DOUBT = frozenset({"in doubt", "found"})


@dataclass(frozen=True)
class Standing:
    """One recorded slot and what the account shows of it.

    Attributes
    ----------
    entry : Entry
        What the journal knows.
    found : str
        How the two compare.
    notes : tuple of str
        What differs: renamed, repriced, resized, its status, what it is attached to.
    disk : Disk | None
        What the account shows.
    """

    entry: Entry
    found: Found
    notes: tuple[str, ...]
    disk: Disk | None

    def to_document(self) -> dict[str, Any]:
        """Return the standing as JSON values."""
        entry, disk = self.entry, self.disk
        return {
            "project": entry.project,
            "volume": entry.volume,
            "replica": entry.replica,
            "disk": entry.disk,
            "name": entry.name,
            "state": entry.stage,
            "found": self.found,
            "ids": list(entry.ids) or sorted(entry.claimed),
            "status": disk.status if disk else None,
            "size_gb": disk.size_gb if disk else entry.facts.size_gb,
            "usd_hr": plain(disk.usd_hr if disk and disk.usd_hr else entry.counted_usd_hr),
            "attached_to": list(disk.attached or ()) if disk else [],
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Status:
    """All standings, and what they come to.

    Attributes
    ----------
    standings : tuple of Standing
        By project, volume, replica and disk.
    """

    standings: tuple[Standing, ...]

    @property
    def exit_code(self) -> int:
        """Return 0 where all is in order, 6 in doubt, 7 where a person must look."""
        kinds = {one.found for one in self.standings}
        return 7 if kinds & _DRIFT else 6 if kinds & _DOUBT else 0

    @property
    def usd_hr(self) -> Decimal:
        """Return the run-rate of what exists and what is in doubt."""
        return total(
            one.disk.usd_hr
            if one.disk is not None and one.disk.usd_hr is not None and one.disk.is_live
            else one.entry.counted_usd_hr
            for one in self.standings
            if one.entry.may_exist and one.found != "vanished"
        )

    @property
    def advice(self) -> tuple[str, ...]:
        """Return what a person can do about what is not in order."""
        return tuple(
            f"{one.entry.key}: planner resolve {one.entry.name} --id ID | --not ID | --give-up"
            for one in self.standings
            if one.found in {"in doubt", "conflict", "duplicate"}
        )

    def to_document(self) -> dict[str, Any]:
        """Return the status as JSON values."""
        return {
            "exit_code": self.exit_code,
            "disks": [one.to_document() for one in self.standings],
            "usd_hr": plain(self.usd_hr),
            "advice": list(self.advice),
        }


def read_status(
    records: Sequence[dict[str, Any]],
    marketplace: Marketplace,
    *,
    project: str | None = None,
    plan: str | None = None,
) -> Status:
    """Return how what the journal records stands in the account; nothing is changed.

    What was bought at another marketplace, or for another team, is left out.

    Parameters
    ----------
    records : sequence of dict
        The journal's.
    marketplace : Marketplace
        Where to look.
    project, plan : str | None
        Only the slots of this project, or of the plan with this digest.

    Raises
    ------
    MarketError
        When the account cannot be read.
    """
    state = State(records)
    target = target_of(marketplace)
    chosen: Iterable[Entry] = (
        entry
        for entry in state.entries.values()
        if project in {None, entry.project}
        and plan in {None, entry.plan}
        and state.is_at(entry, target)
    )
    entries = list(in_order(chosen))
    if not entries:
        return Status(())
    listing = marketplace.disks()
    return Status(tuple(_standing(entry, listing, marketplace) for entry in entries))


def _standing(entry: Entry, listing: DiskListing, marketplace: Marketplace) -> Standing:
    if entry.stage == "created":
        return _created(entry, listing, marketplace)
    if entry.in_doubt or entry.stage == "conflict":
        found = look(listing, entry.facts, entry.not_ours)
        if found.kind == "ours":
            note = "it is there: run the same apply again to record it"
            return Standing(entry, "found", (note,), found.disks[0])
        kind: Found = "conflict" if entry.stage == "conflict" else "in doubt"
        shown = found.disks[0] if found.disks else None
        return Standing(entry, kind, (found.why or entry.why,), shown)
    words: dict[str, Found] = {
        "refused": "refused",
        "given_up": "given up",
        "destroyed": "destroyed",
    }
    return Standing(
        entry, words.get(entry.stage, "waiting"), (entry.why,) if entry.why else (), None
    )


def _created(entry: Entry, listing: DiskListing, marketplace: Marketplace) -> Standing:
    disk = listing.find(entry.ids[0])
    if disk is None:
        try:
            disk = marketplace.disk(entry.ids[0])
        except NotFound:
            return Standing(entry, "vanished", ("the account has no such disk",), None)
    if not disk.is_live:
        return Standing(entry, "vanished", ("it is terminated",), disk)
    others = [
        one.id or "?"
        for one in listing.named(entry.name)
        if one.id != disk.id and one.id not in entry.not_ours
    ]
    if others:
        note = f"also live under its name: {', '.join(others)}"
        return Standing(entry, "duplicate", (note,), disk)
    drift = list(drift_of(entry, disk))
    pods = disk.attached or ()
    attached = [f"attached to {', '.join(pods)}"] if pods else []
    found: Found = "drifted" if drift else "in order"
    return Standing(entry, found, (*drift, *attached), disk)


def drift_of(entry: Entry, disk: Disk) -> tuple[str, ...]:
    """Return what about a recorded disk is no longer as recorded."""
    notes = list(entry.facts.differences(disk))
    if disk.name is not None and disk.name != entry.as_name:
        notes.append(f"renamed to {disk.name}")
    recorded = entry.usd_hr if entry.usd_hr is not None else entry.facts.usd_hr
    if disk.usd_hr is not None and entry.facts.counted(disk.usd_hr) != entry.facts.counted(
        recorded
    ):
        notes.append(f"repriced from {plain(recorded)} to {plain(disk.usd_hr)} USD/h")
    if disk.status in {"ERROR", "UNKNOWN", "DELETING", "STOPPED"}:
        notes.append(f"is {disk.status}")
    return tuple(notes)
