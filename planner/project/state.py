"""The state: the fold of the journal's records, one entry for each slot ever intended."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from planner.errors import InputError, StateUnusable
from planner.formats import digest_of
from planner.market.disks import HEALTHY
from planner.market.offers import KEY
from planner.market.wire import STOCK_RANK
from planner.marketplace.protocol import DiskRequest
from planner.plans.sharing import DiskShare, VolumesOnDisk, by_disk, shares_of
from planner.present.table import SHORT_ID
from planner.schema import records, stored_amount
from planner.text import suggestion, visible
from planner.units import hourly, usd_hr

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from planner.market.disks import Disk
    from planner.plans.plan import Plan
    from planner.solve.solution import Placement


_COMPARED = ("size_gb", "provider", "cloud_id", "data_center", "country")
_SHARE, _LEAST = Decimal("0.005"), Decimal("0.0001")


@dataclass(frozen=True)
class Slot(VolumesOnDisk):
    """One disk of a plan.

    Attributes
    ----------
    volume, replica, disk : str, int, int
        Which disk of the demand it is.
    name : str
        The key: a function of plan and slot, never of the attempt.
    offer : tuple of str | None
        Create key of its offer: provider, cloud id, data centre, country.
    usd_gb_hr : Decimal
        What the plan says a GB costs per hour.
    stock : str | None
        Weakest stock level that the demand accepts.
    replaces : tuple of str
        Ids of the live disks that the slot's replica replaces.
    group : tuple of DiskShare
        What each volume has of a disk that several share; else empty.
    """

    volume: str
    replica: int
    disk: int
    name: str
    request: DiskRequest
    offer: tuple[str | None, ...]
    usd_gb_hr: Decimal
    stock: str | None
    owner: str | None
    tags: dict[str, str]
    replaces: tuple[str, ...] = ()
    disks: int = 1
    group: tuple[DiskShare, ...] = ()

    @property
    def digest(self) -> str:
        """Return a hash of what is sent."""
        return digest_of(vars(self.request))

    @property
    def size_gb(self) -> int:
        """Return the size that is sent."""
        return self.request.size_gb

    @property
    def usd_hr(self) -> Decimal:
        """Return what the plan says it costs per hour."""
        return usd_hr(self.size_gb, self.usd_gb_hr)

    @property
    def expected(self) -> ExpectedDisk:
        """Return what the created disk has to be."""
        return ExpectedDisk(**vars(self.request), usd_hr=self.usd_hr)


@dataclass(frozen=True)
class ExpectedDisk(DiskRequest):
    """A request and its price: what the created disk has to be. None may be anything."""

    usd_hr: Decimal

    def to_record(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        return {**vars(self), "usd_hr": str(self.usd_hr)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> ExpectedDisk:
        """Return the facts that ``to_record`` described."""
        return cls(**{**record, "usd_hr": Decimal(record["usd_hr"])})

    def at(self, usd_hr: Decimal) -> ExpectedDisk:
        """Return the same disk at another accepted price."""
        return replace(self, usd_hr=usd_hr)

    def differences(self, disk: Disk) -> tuple[str, ...]:
        """Return what about a disk contradicts what was sent, its name apart.

        An absent field is no contradiction: the marketplace promises only name, provider, user.
        """
        return tuple(
            f"{field.replace('_', ' ')} {actual!r}, {sent!r} was requested"
            for field in _COMPARED
            if (sent := getattr(self, field)) is not None
            and (actual := getattr(disk, field)) is not None
            and actual != sent
        )

    def drift(self, disk: Disk) -> tuple[str, ...]:
        """Return how a live disk differs by now: what was sent, its price, its status."""
        notes = list(self.differences(disk))
        if disk.usd_hr is not None and self.counted(disk.usd_hr) != self.usd_hr:
            notes.append(f"repriced from {hourly(self.usd_hr)} to {hourly(disk.usd_hr)}")
        if disk.status not in HEALTHY:
            notes.append(f"is {disk.status}")
        return tuple(notes)

    def is_like(self, disk: Disk) -> bool:
        """Return whether size and provider are those that were sent, under whatever name."""
        return disk.size_gb == self.size_gb and disk.provider == self.provider

    def costs_more(self, disk: Disk) -> bool:
        """Return whether the price is higher than planned, rounding apart."""
        spare = max(self.usd_hr * _SHARE, _LEAST)
        return disk.usd_hr is not None and disk.usd_hr > self.usd_hr + spare

    def counted(self, price: Decimal | None) -> Decimal:
        """Return what a disk counts as: its price, or the planned one where rounding differs."""
        if price is None or abs(price - self.usd_hr) <= max(self.usd_hr * _SHARE, _LEAST):
            return self.usd_hr
        return price


def slots_of(plan: Plan) -> tuple[Slot, ...]:
    """Return the slots of a plan, in its order."""
    on_disk = {
        (members[0].volume, members[0].replica): members for members in by_disk(plan.placements)
    }
    volumes = {volume.name: volume for volume in plan.demand.volumes}
    slots = []
    for disk in plan.planned_disks:
        members = on_disk[disk.volume, disk.replica]
        placement = members[0]
        stocks = [volumes[member.volume].stock for member in members]
        slots.append(
            Slot(
                **vars(disk),
                name=disk.request.name,
                offer=tuple(getattr(placement, name) for name in KEY),
                usd_gb_hr=placement.usd_gb_hr,
                stock=max(stocks, key=lambda stock: STOCK_RANK[stock or "unknown"]),
                owner=volumes[disk.volume].owner,
                tags=dict(volumes[disk.volume].tags),
                replaces=tuple(dict.fromkeys(old for member in members for old in member.replaces)),
                disks=len(placement.disk_sizes_gb),
            )
        )
    return tuple(slots)


def kept_disks(plan: Plan) -> dict[str, dict[str, Any]]:
    """Return the disks that a plan keeps, by id, as they were then: fields of `ExpectedDisk`."""
    ids = {disk_id for placement in plan.placements for disk_id in placement.disk_ids}
    if not ids:
        return {}
    names = [field.name for field in fields(ExpectedDisk)]
    rows = [row for row in records(plan.market.disks) if row["id"] in ids]
    return {row["id"]: {name: row[name] for name in names} for row in rows}


Stage = Literal[
    "intended",
    "not_sent",
    "limited",
    "paused",
    "refused",
    "claimed",
    "unknown",
    "created",
    "conflict",
    "given_up",
    "destroyed",
    "transferred",
]
PENDING = frozenset({"intended", "claimed", "unknown"})
SENDABLE = frozenset({"not_sent", "limited", "paused"})
"""Stages in which nothing is there and, after a listing, the name may be sent again."""
UNPROVEN = frozenset({"limited", "paused"})
"""Stages of a refusal that no listing has confirmed: the disk may exist all the same."""


@dataclass
class Entry(VolumesOnDisk):
    """What the journal says of one slot.

    Attributes
    ----------
    name, plan, project, volume, replica, disk
        Which slot of which plan; the name is the key.
    attempts : int
        How often it was about to be sent.
    baseline : frozenset of str
        Live ids of its provider and size before it was last sent.
    claimed : set of str
        Ids that a 2xx answer named.
    not_ours : set of str
        Ids that a person said belong to another disk.
    ids : tuple of str
        The disk's id when created; the ids to look at in a conflict.
    as_name, status : str
        As read back; a person may rename a disk.
    server_at, local_at : datetime | None
        When it was last sent or answered, by the server's clock and by ours.
    why : str
        The reason for the stage, safe to show.
    deleting : bool
        Whether a DELETE was about to be sent.
    replaces : tuple of str
        Ids of the disks that its replica replaces, once all ``disks`` of it are created.
    superseded_by : tuple of str
        Names of the disks that replaced it; it is billed until it is retired.
    owner, tags, origin
        Who pays, labels, and the demand file that it was bought for.
    group : tuple of DiskShare
        What each volume has of a disk that several share; else empty.
    """

    name: str
    plan: str
    project: str
    volume: str
    replica: int
    disk: int
    expected: ExpectedDisk
    stage: Stage = "intended"
    attempts: int = 0
    baseline: frozenset[str] = frozenset()
    claimed: set[str] = field(default_factory=set)
    not_ours: set[str] = field(default_factory=set)
    ids: tuple[str, ...] = ()
    usd_hr: Decimal | None = None
    as_name: str = ""
    status: str = ""
    created_at: str | None = None
    server_at: datetime | None = None
    local_at: datetime | None = None
    until: datetime | None = None
    why: str = ""
    stock: bool = False
    deleting: bool = False
    offer: tuple[str | None, ...] = ()
    replaces: tuple[str, ...] = ()
    disks: int = 1
    superseded_by: tuple[str, ...] = ()
    owner: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    origin: str = ""
    group: tuple[DiskShare, ...] = ()

    @property
    def size_gb(self) -> int:
        """Return the size that was sent, or the disk's own."""
        return self.expected.size_gb

    @property
    def is_pending(self) -> bool:
        """Return whether its outcome is unknown: a disk may exist that no listing has shown."""
        return self.stage in PENDING

    @property
    def is_in_use(self) -> bool:
        """Return whether its disk exists and no later one has replaced it."""
        return self.stage == "created" and not self.superseded_by

    @property
    def is_superseded(self) -> bool:
        """Return whether its disk exists and later ones have replaced it."""
        return self.stage == "created" and bool(self.superseded_by)

    @property
    def has_conflict(self) -> bool:
        """Return whether a person has to decide."""
        return self.stage == "conflict"

    @property
    def may_exist(self) -> bool:
        """Return whether it counts as money being spent."""
        return self.is_pending or self.stage in {"created", "conflict"}

    @property
    def counted_usd_hr(self) -> Decimal:
        """Return what it counts as per hour."""
        return self.expected.counted(self.usd_hr) if self.may_exist else Decimal(0)

    @property
    def claimed_ids(self) -> frozenset[str]:
        """Return the ids that a 2xx answer named and no person has rejected."""
        return frozenset(self.claimed - self.not_ours)


class State:
    """All entries by name, and the plans they belong to.

    Parameters
    ----------
    records : iterable of dict
        The journal's records, in order.

    Raises
    ------
    StateUnusable
        When a record was not written by this version.
    """

    def __init__(self, records: Iterable[dict[str, Any]] = ()) -> None:
        self.entries: dict[str, Entry] = {}
        self.plans: dict[str, dict[str, Any]] = {}
        for number, record in enumerate(records, 1):
            try:
                self.take(record)
            except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
                message = (
                    f"record {number} of the journal was not written by this version of planner"
                )
                raise StateUnusable(message, hint="use the planner that wrote it") from error

    def of_plan(self, plan: str) -> list[Entry]:
        """Return the entries of one plan."""
        return [entry for entry in self.entries.values() if entry.plan == plan]

    def at(self, target: Mapping[str, str | None], project: str | None = None) -> list[Entry]:
        """Return the entries of a marketplace and team, perhaps only a project's."""
        return [
            entry
            for entry in self.entries.values()
            if project in {None, entry.project} and self.is_at(entry, target)
        ]

    def agreed_plan(self, plan: str) -> str:
        """Return the plan that was agreed to: this plan, or the plan that it continues."""
        return str(self.plans.get(plan, {}).get("continues") or plan)

    def is_at(self, entry: Entry, target: Mapping[str, str | None]) -> bool:
        """Return whether an entry belongs to a marketplace and team."""
        bound = self.plans.get(entry.plan, {}).get("target")
        return bound is None or bound == dict(target)

    def nothing_selected(self, project: str | None, target: Mapping[str, str | None]) -> InputError:
        """Return the error for an empty selection; it names the accounts that have the project."""
        entries = [e for e in self.entries.values() if project in {None, e.project}]
        plans = {e.plan for e in entries} & self.plans.keys()
        targets = {account_text(self.plans[plan]["target"]) for plan in plans}
        elsewhere = sorted(targets - {account_text(target)})
        what = "disk" if project is None else f"disk of {visible(project)}"
        return InputError(
            f"no recorded {what} matches at {account_text(target)}",
            hint=f"recorded at {'; '.join(elsewhere)}: use that key, team and PRIME_API_BASE_URL"
            if elsewhere
            else suggestion(project or "", {e.project for e in self.entries.values()}, LISTED),
        )

    def recorded_ids(self) -> frozenset[str]:
        """Return every id that is some slot's own."""
        return frozenset(
            disk_id
            for entry in self.entries.values()
            if entry.stage in {"created", "destroyed"}
            for disk_id in entry.ids
        )

    def take(self, record: dict[str, Any]) -> None:
        """Move the state by one record."""
        kind = record["kind"]
        if kind == "plan":
            self.plans[record["plan"]] = record
        elif kind == "intent":
            self._intend(record)
        elif kind == "transferred":
            self._transfer(record)
        elif kind == "volume":
            for name in record["names"]:
                _called(self.entries[name], record.get("was"), record["volume"])
        elif kind != "journal":
            _moved(self.entries[record["name"]], record)
            if kind == "destroyed":
                self._release(record["name"])

    def _transfer(self, record: dict[str, Any]) -> None:
        """Let the disk of a slot of an earlier plan serve a slot of a later one."""
        source = self.entries[record["source"]]
        for entry in (self.entries[record["name"]], source):
            _created(entry, record)
        source.stage, source.why = "transferred", f"serves {record['name']}"

    def _release(self, name: str) -> None:
        """Replace what a deleted disk replaced by what replaced it; by nothing, it is in use."""
        for entry in self.entries.values():
            if name in entry.superseded_by:
                entry.superseded_by = self.entries[name].superseded_by

    def _intend(self, record: dict[str, Any]) -> None:
        names = ("name", "plan", "project", "volume", "replica", "disk")
        facts = ExpectedDisk.from_record(record["facts"])
        entry = self.entries.setdefault(
            record["name"], Entry(**{name: record[name] for name in names}, expected=facts)
        )
        # An intent that sends nothing only makes room for a disk that is there already.
        entry.expected, entry.stage = facts, "intended" if record["sends"] else "not_sent"
        entry.offer = tuple(record.get("offer", ()))
        # Records of earlier versions lack what follows.
        entry.replaces, entry.disks = tuple(record.get("replaces", ())), record.get("disks", 1)
        entry.owner, entry.origin = record.get("owner"), record.get("origin", "")
        entry.tags = dict(record.get("tags", {}))
        entry.group = tuple(map(DiskShare.from_record, record.get("shares", ())))
        entry.attempts += record["sends"]
        entry.baseline = frozenset(record["baseline"])
        entry.until = None
        entry.why = "planner was stopped before the answer was recorded" if record["sends"] else ""
        _mark_pending(entry, record)


LISTED = "`planner status` lists what is recorded"


def no_such_volume(project: str, volume: str, known: Iterable[str]) -> InputError:
    """Return the error for a volume of which no disk of a project is recorded."""
    return InputError(
        f"no recorded disk of {visible(project)} is volume {visible(volume)!r}",
        hint=suggestion(volume, known, LISTED),
    )


def known_id(text: str, known: Collection[str | None]) -> str:
    """Return the one id that a text is or begins: tables show the first eight characters.

    Raises
    ------
    InputError
        When there is none, or several begin so.
    """
    begun = [each for each in known if each and each.startswith(text)]
    matches = [text] if text in begun else begun if len(text) >= SHORT_ID else []
    if len(matches) > 1:
        listed = ", ".join(sorted(matches))
        raise InputError(f"{len(matches)} ids begin with {text}", hint=f"use one of {listed}")
    if not matches:
        hint = suggestion(text, filter(None, known), LISTED)
        raise InputError(f"no disk has the id {visible(text)[:80]!r}", hint=hint)
    return matches[0]


def account_text(target: Mapping[str, str | None]) -> str:
    """Return marketplace and team, or personal account, as people read them."""
    team = target["team_id"]
    account = f"team {visible(team)}" if team else "the personal account"
    return f"{visible(str(target['base_url']))}, {account}"


def _mark_pending(entry: Entry, record: dict[str, Any]) -> None:
    server_at = record.get("server_at")
    entry.server_at = datetime.fromisoformat(server_at) if server_at else None
    entry.local_at = datetime.fromisoformat(record["at"])


def assignment(
    entry: Entry, members: Sequence[Placement]
) -> tuple[str | None, dict[str, str], tuple[DiskShare, ...]]:
    """Return owner, tags and shares of a disk as the placements that keep it have them.

    A volume of the disk that is no longer in the demand stays on it, with nothing to pay.
    """
    shares = shares_of(members)
    if entry.group:
        first = members[0]
        paid = first.provision_gb, first.owner, dict(first.tags)
        own = DiskShare(first.volume, first.replica, *paid)
        kept = {share.volume: share for share in shares or (own,)}
        was = {share.volume: replace(share, size_gb=0) for share in entry.group}
        shares = tuple({**was, **kept}.values())
    return members[0].owner, dict(members[0].tags), shares


def _moved(entry: Entry, record: dict[str, Any]) -> None:  # noqa: C901, PLR0912 -- a case a kind
    """Move an entry by one record."""
    match record["kind"]:
        case "not_sent" | "paused" | "refused" | "given_up" as stage:
            entry.stage, entry.why = stage, record.get("why", "")
            entry.stock = record.get("stock", False)
        case "limited":
            entry.stage, entry.why = "limited", record["why"]
            entry.until = datetime.fromisoformat(record["until"])
        case "claimed":
            entry.stage, entry.why = "claimed", record["why"]
            if record.get("existed"):
                entry.baseline |= {record["id"]}
            if record["id"] is not None:
                entry.claimed.add(record["id"])
            _mark_pending(entry, record)
        case "unknown":
            entry.stage, entry.why = "unknown", record["why"]
            _mark_pending(entry, record)
        case "created":
            _created(entry, record)
        case "conflict":
            entry.stage, entry.why, entry.ids = "conflict", record["why"], tuple(record["ids"])
            entry.usd_hr = stored_amount(record.get("usd_hr"))
        case "not_ours":
            _not_ours(entry, record["id"])
        case "assigned":
            entry.owner, entry.tags = record["owner"], dict(record["tags"])
            if "shares" in record:  # records of earlier versions lack them
                entry.group = tuple(map(DiskShare.from_record, record["shares"]))
        case "seen":
            entry.status, entry.usd_hr = record["status"], stored_amount(record["usd_hr"])
        case "renamed":
            entry.as_name = record["as_name"]
        case "superseded":
            entry.superseded_by = tuple(record["by"])
        case "deleting":
            entry.deleting = True
        case "destroyed":
            entry.stage, entry.status, entry.why = "destroyed", "", ""
        case kind:
            raise KeyError(kind)


def _created(entry: Entry, record: dict[str, Any]) -> None:
    entry.stage, entry.why, entry.ids = "created", record.get("note", ""), (record["id"],)
    entry.usd_hr = stored_amount(record["usd_hr"])
    entry.as_name, entry.status = record["as_name"], record["status"]
    entry.created_at = record.get("created_at")
    entry.not_ours.discard(record["id"])
    if record.get("size_gb") is not None:
        entry.expected = ExpectedDisk(**{**vars(entry.expected), "size_gb": record["size_gb"]})


def _not_ours(entry: Entry, disk_id: str) -> None:
    entry.not_ours.add(disk_id)
    entry.claimed.discard(disk_id)
    entry.ids = tuple(each for each in entry.ids if each != disk_id)
    if entry.stage == "conflict" and not entry.ids:
        entry.stage = "unknown"
        entry.why = "its outcome is unknown: the disk that was suspected is not it"


def _called(entry: Entry, was: str | None, volume: str) -> None:
    """Give a volume on a disk another name; ``was`` is None where the disk has only one."""
    if was in {None, entry.volume}:
        entry.volume = volume
    entry.group = tuple(
        replace(share, volume=volume) if share.volume == was else share for share in entry.group
    )


def sorted_entries(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Yield entries by project, volume, replica and disk."""
    return iter(
        sorted(entries, key=lambda entry: (entry.project, entry.volume, entry.replica, entry.disk))
    )
