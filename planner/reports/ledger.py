"""The ledger: a plan and an account as lines, every disk once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from planner.errors import InputError
from planner.plans.sharing import DiskShare, by_disk, shares_of
from planner.project.preflight import listed_ids
from planner.project.state import State, sorted_entries
from planner.reports.holdings import account_name
from planner.reports.lines import Line
from planner.reports.shares import divided, with_shares
from planner.schema import records
from planner.text import visible
from planner.units import total, usd_hr

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from planner.plans.plan import Plan
    from planner.project.state import Entry
    from planner.reports.holdings import Holdings
    from planner.reports.lines import Standing
    from planner.solve.solution import Placement


Regions = dict[tuple[Any, ...], tuple[str | None, ...]]
"""Site → the regions that offers there have."""


@dataclass(frozen=True)
class Purchase:
    """What the journal says a disk was bought as.

    Attributes
    ----------
    plan : str
        Digest of the plan that was agreed to: what a stock-out made of it belongs to it.
    owner, tags
        Who pays, and labels, as the demand said when it was bought.
    group : tuple of DiskShare
        What each volume has of a disk that several share; else empty.
    """

    plan: str
    project: str
    volume: str
    replica: int
    disk: int
    owner: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    superseded: bool = False
    group: tuple[DiskShare, ...] = ()

    @property
    def slot(self) -> SlotKey:
        """Return which disk of the project it is."""
        alone = ((self.volume, self.replica),)
        return tuple((share.volume, share.replica) for share in self.group) or alone, self.disk


SlotKey = tuple[tuple[tuple[str, int], ...], int]
"""Volumes with their replicas that are on a disk, and which disk of the replica it is."""


def bought_as(
    records: Sequence[dict[str, Any]], holdings: Holdings
) -> tuple[dict[str, Purchase], tuple[str, ...]]:
    """Return what a journal says the disks of an account were bought as.

    Returns
    -------
    bought : dict
        Id of a disk → its slot.
    doubts : tuple of str
        A sentence for each disk that may exist and is not listed.
    """
    state = State(records)
    mine = entries_at(state, holdings)
    ids = listed_ids(mine, holdings.listed)
    bought = {
        disk_id: Purchase(
            plan=state.agreed_plan(one.plan),
            project=one.project,
            disk=one.disk,
            superseded=one.is_superseded,
            **paid_by(one),
        )
        for one in sorted_entries(mine)
        if (disk_id := ids[one.name]) is not None
    }
    doubts = tuple(
        f"whether {one.name} was bought for {one.project} is unknown: if it exists and is not "
        "listed, it is not counted as there"
        for one in sorted_entries(mine)
        if one.is_pending and ids[one.name] is None
    )
    return bought, doubts


def paid_by(entry: Entry) -> dict[str, Any]:
    """Return volume, replica, owner and tags of who pays for a disk, and the group they are."""
    first, *others = entry.paying
    names = ("volume", "replica", "owner", "tags")
    return {**{n: getattr(first, n) for n in names}, "group": entry.paying if others else ()}


def entries_at(state: State, holdings: Holdings) -> list[Entry]:
    """Return the slots that a journal has at an account; a file may be of any account."""
    target = {"base_url": holdings.base_url, "team_id": holdings.team_id}
    is_file = holdings.base_url is None
    return [entry for entry in state.entries.values() if is_file or state.is_at(entry, target)]


def lines_of(
    plan: Plan | None,
    holdings: Holdings | None,
    bought: Mapping[str, Purchase],
    regions: Regions,
    now: datetime,
) -> tuple[tuple[Line, ...], tuple[str, ...], tuple[str, ...]]:
    """Return the lines of a plan, of an account, or of a plan held against the account.

    A live disk is the plan's when the plan keeps it, or when the project has it in that slot: the
    journal says so, whichever plan bought it, or the account has a disk of exactly the name that
    the plan gives.

    Parameters
    ----------
    bought : mapping
        Id of a disk → what it was bought as.
    regions : mapping
        Site → regions, see `regions_by_site`: the listing of live disks has none.
    now : datetime
        From when a new disk would cost, where no account was read.

    Returns
    -------
    lines : tuple of Line
        The plan's in its order, then the other disks of the account by id.
    notes : tuple of str
        What is there twice.
    gone : tuple of str
        What the plan counts on that is not there.

    Raises
    ------
    InputError
        When the plan was made for another marketplace or team.
    """
    if plan is not None and holdings is not None:
        _check_target(plan, holdings)
    live = {} if holdings is None else _live(holdings)
    found: list[Line] = []
    notes: list[str] = []
    gone: list[str] = []
    if plan is not None:
        at = now if holdings is None else holdings.read_at
        there = _There.of(plan, live, bought)
        for line, note in _planned(plan, there, regions, account_of(holdings, plan), at):
            found += () if line is None else divided([line])
            (gone if line is None else notes).append(note)
    taken = {line.disk_id for line in found if line.is_live}
    found += divided(
        _other(row, regions, bought.get(row["id"] or ""))
        for row in live.values()
        if row["id"] is None or row["id"] not in taken
    )
    return tuple(found), tuple(filter(None, notes)), tuple(gone)


def account_of(holdings: Holdings | None, plan: Plan | None = None) -> str | None:
    """Return whose disks they are, of what was read, else of the plan; None where unknown."""
    if holdings is not None:
        return holdings.account
    target = None if plan is None else plan.target
    if target is None or target["base_url"] is None:
        return None
    return account_name(target["base_url"], target["team_id"])


def _check_target(plan: Plan, holdings: Holdings) -> None:
    planned, here = account_of(None, plan), account_of(holdings)
    if planned is not None and holdings.base_url is not None and planned != here:
        raise InputError(
            f"the plan was made for {visible(planned)}, the account is at {visible(str(here))}",
            hint="report on the plan alone, or use the key that it was made with",
        )


def _live(holdings: Holdings) -> dict[str, dict[str, Any]]:
    """Return the rows of the account's disks, each with what it was billed, by id or place."""
    billed: dict[str, list[Any]] = {}
    for bill in holdings.bills:
        if bill.resource_type == "disks" and bill.resource_id is not None:
            billed.setdefault(bill.resource_id, []).append(bill.amount_usd)
    rows = {}
    for number, row in enumerate(records(holdings.listed)):
        seen = holdings.seen.get(row["id"] or "")
        since = None if seen is None else seen.unattached_since
        amounts = billed.get(row["id"] or "")
        known = amounts is not None and None not in amounts
        rows[row["id"] or f"#{number}"] = {
            "created_at": None,
            **row,
            "billed_usd": total(amounts or ()) if known else None,
            "account": account_of(holdings),
            "as_of": holdings.read_at.isoformat(),
            "unattached_since": None if since is None else since.isoformat(),
        }
    return rows


_LISTED = (
    *("account", "as_of", "name", "status", "size_gb", "usd_hr", "created_at", "billed_usd"),
    "unattached_since",
)


def _listed(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a line takes from the account's row of its disk, whoever it belongs to."""
    return {
        **{name: row[name] for name in _LISTED},
        "usd_hr": row["usd_hr"] or None,  # a price of zero is none: nothing is free
        "disk_id": row["id"],
        "attached": row["attached"],
    }


_PLACE = ("provider", "data_center", "country")


def place_of(row: Mapping[str, Any], regions: Regions) -> dict[str, Any]:
    """Return where a live disk is; the market tells the region of a place."""
    place = {name: row[name] for name in _PLACE}
    here = regions.get(tuple(place.values()), (None,))
    return {**place, "region": here[0] if len(here) == 1 else None}


def _other(row: Mapping[str, Any], regions: Regions, slot: Purchase | None) -> Line:
    """Return the line of a live disk that is no plan's."""
    line = Line(**_listed(row), **place_of(row, regions), standing="other")
    if slot is None:
        return line
    names = ("project", "volume", "replica", "disk", "owner", "tags")
    known: dict[str, Any] = {name: getattr(slot, name) for name in names}
    known |= {"standing": "superseded"} if slot.superseded else {}
    return with_shares(replace(line, **known), slot.group)


@dataclass(frozen=True)
class _There:
    """What the account has of a plan: rows by id, by name, and by the slot they were bought as."""

    by_id: dict[str, dict[str, Any]]
    by_name: dict[str, list[dict[str, Any]]]
    by_slot: dict[SlotKey, dict[str, Any]]

    @classmethod
    def of(
        cls, plan: Plan, live: dict[str, dict[str, Any]], bought: Mapping[str, Purchase]
    ) -> _There:
        digest = plan.digest
        # What the plan keeps is in its own slot already; what it replaces is in none any more.
        placed = {i for one in plan.placements for i in (*one.disk_ids, *one.replaces)}
        slots = {
            disk_id: slot
            for disk_id, slot in bought.items()
            if disk_id in live and disk_id not in placed
        }
        by_slot = {
            slot.slot: live[disk_id]
            for is_own in (False, True)  # a deliberate second set has its own disks
            for disk_id, slot in slots.items()
            if (slot.plan == digest if is_own else slot.project == plan.project)
            and not slot.superseded
        }
        by_name: dict[str, list[dict[str, Any]]] = {}
        for row in live.values():
            by_name.setdefault(row["name"] or "", []).append(row)
        return cls(live, by_name, by_slot)


def _planned(
    plan: Plan, there: _There, regions: Regions, account: str | None, at: datetime
) -> Iterator[tuple[Line | None, str]]:
    """Yield a line for each disk of a plan; and what is amiss, else an empty text."""
    names = {(one.volume, one.replica, one.disk): one.request.name for one in plan.planned_disks}
    for members in by_disk(plan.placements):
        placement = members[0]
        for disk, size_gb in enumerate(placement.disk_sizes_gb, 1):
            if placement.action == "keep":
                row = there.by_id.get(placement.disk_ids[disk - 1])
                yield _kept(plan, members, disk, row)
                continue
            name = names[placement.volume, placement.replica, disk]
            slot = tuple((member.volume, member.replica) for member in members), disk
            same = there.by_name.get(name, [])
            found = there.by_slot.get(slot) or next(iter(same), None)
            if found is not None:
                note = f"{len(same)} disks are called {name}: one is a duplicate"
                line = _line(plan, members, disk, "bought", _listed(found))
                if any(found[name] not in {None, getattr(line, name)} for name in _PLACE):
                    line = replace(line, **place_of(found, regions))
                yield line, note if len(same) > 1 else ""
                continue
            new = {
                "account": account,
                "as_of": at.isoformat(),
                "name": name,
                "size_gb": size_gb,
                "usd_gb_hr": placement.usd_gb_hr,
                "usd_hr": usd_hr(size_gb, placement.usd_gb_hr),
            }
            yield _line(plan, members, disk, "new", new), ""


def _kept(
    plan: Plan, members: Sequence[Placement], disk: int, row: dict[str, Any] | None
) -> tuple[Line | None, str]:
    if row is not None:
        return _line(plan, members, disk, "kept", _listed(row)), ""
    gone, volumes = members[0].disk_ids[disk - 1], " + ".join(each.volume for each in members)
    return None, (
        f"disk {visible(gone)}, which the plan keeps for {visible(volumes)}, is no longer "
        "there and is not counted; plan again"
    )


def _line(
    plan: Plan, members: Sequence[Placement], disk: int, standing: Standing, listed: dict[str, Any]
) -> Line:
    placement = members[0]
    line = Line(
        **listed,
        **{name: getattr(placement, name) for name in (*_PLACE, "region")},
        project=plan.project,
        volume=placement.volume,
        replica=placement.replica,
        disk=disk,
        standing=standing,
        owner=placement.owner,
        tags=dict(placement.tags),
    )
    return with_shares(line, shares_of(members))
