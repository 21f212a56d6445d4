"""Lines: one disk each, live or to be bought, what it costs, and in which time.

Everything a report says is their sum.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal

from planner.errors import InputError
from planner.market.offers import place_text
from planner.plans.file import Amount, Signed, Size, Utc
from planner.schema import AMOUNT, EXACT, TEXT, WHOLE, Column
from planner.solve.rentals import CHOSEN_GPUS
from planner.text import visible
from planner.units import HOURS_PER_MONTH, total, usd_elapsed, usd_month

Standing = Literal["kept", "bought", "new", "superseded", "other"]

LEDGER = (
    Column("account", TEXT, "base URL and team; null: a file, or a plan made offline"),
    Column("as_of", TEXT, "when it was so, UTC, ISO 8601"),
    Column("project", TEXT, "null: no plan and no purchase of planner's is known"),
    Column("volume", TEXT, "name in the demand; null: of none that is known"),
    Column("replica", WHOLE, "from 1; null: unknown"),
    Column("disk", WHOLE, "of the replica, from 1; null: unknown"),
    Column("disk_group", EXACT, "volumes that share the disk, as a tuple; null: it has its own"),
    Column("standing", TEXT, "kept or bought: live, the plan's; new: to be bought; other: live"),
    Column("owner", TEXT, "from the demand; null: none"),
    Column("tags", EXACT, "dict, from the demand"),
    Column("disk_id", TEXT, "null: it is not there yet, or has none that can be used"),
    Column("name", TEXT, "as the account or the request has it; null: none"),
    Column("status", TEXT, "as the account has it; null: it is not there yet"),
    Column("provider", TEXT, "where; null: unknown"),
    Column("data_center", TEXT, "where; null: unknown"),
    Column("country", TEXT, "where; null: unknown"),
    Column("region", TEXT, "where; null: unknown"),
    Column("size_gb", WHOLE, "of a shared disk, the volume's part; null: unknown"),
    Column("usd_gb_hr", AMOUNT, "price of a new disk; null: live"),
    Column("usd_hr", AMOUNT, "list price of those GB per hour; null: unpriced"),
    Column("attached", EXACT, "tuple of pods and clusters; null: unknown, or not there yet"),
    Column("created_at", TEXT, "when it was created, UTC; null: unknown, or not there yet"),
    Column("billed_usd", AMOUNT, "sum of its billing rows; null: none were read"),
    Column("site", TEXT, "provider, data centre and country as people read them"),
    Column("hours", AMOUNT, "since it was created; null: unknown, or not there yet"),
    Column("accrued_usd", AMOUNT, "list cost since it was created; null: unknown or unpriced"),
    Column("month_so_far_usd", AMOUNT, "the same since the calendar month began"),
    Column("rest_of_month_usd", AMOUNT, "list cost from the report's moment to the month's end"),
)
"""Columns of a report's disks, in the order of the plans; other disks of the account last.

A disk that volumes share has a line for each, with its part of all amounts; it counts as a disk
where the volume is the first of ``disk_group``.
"""

RENTALS = (
    Column("account", TEXT, "base URL and team; null: a file, or a plan made offline"),
    Column("project", TEXT, "the plan's"),
    *(column for column in CHOSEN_GPUS if column.name not in {"cloud_id", "security"}),
    Column("site", TEXT, "provider, data centre and country as people read them"),
    Column("usd_month", AMOUNT, "usd_hr_on times the hours of the job"),
)
"""Columns of a report's GPUs, in the order of the plans."""


ACCRUED = ("accrued_usd", "month_so_far_usd", "rest_of_month_usd")
"""What a disk has come to at its present list price, and what the month will make of it."""
_COMPUTED = ("site", "idle_usd", "hours", *ACCRUED)
HOURS_PER_DAY = 24
_MICROSECOND = timedelta(microseconds=1)
_HOUR_US = 3_600_000_000


@dataclass(frozen=True)
class Month:
    """The calendar month, UTC, that a moment lies in; it ends where the next begins."""

    start: datetime
    end: datetime

    @classmethod
    def of(cls, moment: datetime) -> Month:
        """Return the month of a moment."""
        start = moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        try:
            return cls(start, (start + timedelta(days=32)).replace(day=1))
        except OverflowError:
            return cls(start, datetime.max.replace(tzinfo=UTC))

    @classmethod
    def named(cls, text: str) -> Month:
        """Return the month of ``2026-10``.

        Raises
        ------
        InputError
            When it is no month.
        """
        try:
            return cls.of(datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC))
        except (ValueError, OverflowError) as error:
            message = f"{visible(text)!r} is not a month"
            raise InputError(message, hint="write year and month, such as 2026-10") from error

    @property
    def hours(self) -> int:
        """Return how many hours it has."""
        return (self.end - self.start).days * HOURS_PER_DAY

    @property
    def name(self) -> str:
        """Return its year and month, such as 2026-11."""
        return f"{self.start:%Y-%m}"


def in_hours(hours: Decimal, start: datetime) -> datetime | None:
    """Return the moment after so many hours; None where no calendar reaches."""
    try:
        return start + timedelta(microseconds=int(hours * _HOUR_US))
    except OverflowError:
        return None


@lru_cache(1024)
def _in_month(as_of: str, created_at: str | None, *, is_live: bool) -> timedelta:
    """Return how long a disk is there in the calendar month of a moment, up to the month's end.

    Where its creation is unknown, a live disk is there from the beginning, a new one from then on.
    """
    now = datetime.fromisoformat(as_of)
    month = Month.of(now)
    known = None if created_at is None else datetime.fromisoformat(created_at)
    return month.end - max(month.start, known or (month.start if is_live else now))


@dataclass(frozen=True, kw_only=True)
class Line:
    """One disk, or a volume's part of one; fields as in ``LEDGER``, but for what is computed."""

    account: str | None = None
    as_of: Utc
    project: str | None = None
    volume: str | None = None
    replica: Size | None = None
    disk: Size | None = None
    standing: Standing
    owner: str | None = None
    disk_id: str | None = None
    name: str | None = None
    status: str | None = None
    provider: str | None = None
    data_center: str | None = None
    country: str | None = None
    region: str | None = None
    size_gb: Size | None = None
    usd_gb_hr: Amount | None = None
    usd_hr: Amount | None = None
    attached: tuple[str, ...] | None = None
    created_at: Utc | None = None
    billed_usd: Signed | None = None
    tags: dict[str, str] = field(default_factory=dict)
    disk_group: tuple[str, ...] | None = None
    unattached_since: Utc | None = None

    @property
    def leads(self) -> bool:
        """Return whether its disk is counted here: a shared one with the first of its volumes."""
        return self.disk_group is None or self.disk_group[0] == self.volume

    @property
    def is_live(self) -> bool:
        """Return whether it exists, and is billed."""
        return self.standing != "new"

    @property
    def is_planned(self) -> bool:
        """Return whether a plan wants it."""
        return self.standing not in {"superseded", "other"}

    @property
    def is_idle(self) -> bool:
        """Return whether it exists and is attached to nothing."""
        return self.is_live and self.attached == ()

    def is_since(self, start: datetime) -> bool:
        """Return whether it was created then or later; not where that is unknown."""
        return self._created is not None and self._created >= start

    @property
    def _now(self) -> datetime:
        return datetime.fromisoformat(self.as_of)

    @property
    def _created(self) -> datetime | None:
        return None if self.created_at is None else datetime.fromisoformat(self.created_at)

    @property
    def _age(self) -> timedelta | None:
        """Return for how long it exists: a disk is billed from creation until termination."""
        known = self._created if self.is_live else None
        return None if known is None else max(self._now - known, timedelta(0))

    @property
    def usd_month(self) -> Decimal | None:
        """Return what it costs in a month."""
        return None if self.usd_hr is None else usd_month(self.usd_hr)

    @property
    def usd_calendar_month(self) -> Decimal | None:
        """Return what its hours within the calendar month cost; a new disk begins now."""
        hours = _in_month(self.as_of, self.created_at, is_live=self.is_live)
        return usd_between(self.usd_hr, hours)

    @property
    def hours(self) -> Decimal | None:
        """Return for how long it exists."""
        return None if self._age is None else usd_between(Decimal(1), self._age)

    @property
    def accrued_usd(self) -> Decimal | None:
        """Return what it has come to since then, at its present list price."""
        return None if self._age is None else usd_between(self.usd_hr, self._age)

    @property
    def month_so_far_usd(self) -> Decimal | None:
        """Return the same since the month began, where that was later."""
        if self._age is None:
            return None
        return usd_between(self.usd_hr, min(self._age, self._now - Month.of(self._now).start))

    @property
    def rest_of_month_usd(self) -> Decimal | None:
        """Return what it costs from now, or from its creation where that is later, on."""
        end = Month.of(self._now).end
        return usd_between(self.usd_hr, end - max(self._now, self._created or self._now))

    @property
    def idle_time(self) -> timedelta | None:
        """Return for how long it is unattached, as far as planner has seen it; None: unknown."""
        if not self.is_idle or self.unattached_since is None:
            return None
        return max(self._now - datetime.fromisoformat(self.unattached_since), timedelta(0))

    @property
    def idle_usd(self) -> Decimal | None:
        """Return what it costs since then."""
        return None if self.idle_time is None else usd_between(self.usd_hr, self.idle_time)

    def row(self) -> dict[str, Any]:
        """Return its fields, and what is computed of them."""
        return {**vars(self), **{name: getattr(self, name) for name in _COMPUTED}}

    @property
    def site(self) -> str:
        """Return where it is, as people read it."""
        return visible(place_text(vars(self)))

    @property
    def title(self) -> str:
        """Return what a person calls it: its volume, else its name, else its id."""
        return visible(self.volume or self.name or self.disk_id or "a disk without name and id")


@dataclass(frozen=True)
class GpuLine:
    """The GPUs of one workload of a plan: rented when they are needed, never bought.

    Attributes
    ----------
    offer_id, provider, gpu_type, gpus, nodes, socket, spot, data_center, country, region
        As in ``CHOSEN_GPUS``.
    hours_per_month : int
        Hours the job runs, in any kind of month.
    usd_hr_on : Decimal
        List price of all nodes per hour while it runs, exact.
    usd_hr : Decimal
        The month's cost over the policy's hours, see `averaged_usd_hr`.
    """

    account: str | None
    project: str
    workload: str
    offer_id: str
    provider: str
    gpu_type: str
    gpus: Size
    nodes: Size
    socket: str | None
    spot: bool
    data_center: str | None
    country: str | None
    region: str | None
    hours_per_month: Size
    usd_hr_on: Amount
    usd_hr: Amount

    @property
    def site(self) -> str:
        """Return where they are, as people read it."""
        return visible(place_text(vars(self)))

    @property
    def title(self) -> str:
        """Return nodes, GPUs and model, as people read them."""
        nodes = f"{self.nodes} x " if self.nodes > 1 else ""
        socket = f" {self.socket}" if self.socket else ""
        return f"{nodes}{self.gpus} {self.gpu_type}{socket}{', spot' if self.spot else ''}"

    @property
    def usd_month(self) -> Decimal:
        """Return what they cost in a month: exact, whatever the month."""
        return usd_month(self.usd_hr_on, self.hours_per_month)


def _disks(lines: Iterable[Line]) -> int:
    """Return on how many disks lines are, whether or not the first volume's is among them."""
    shared, alone = set(), 0
    for line in lines:
        if line.disk_group is None:
            alone += 1
        else:
            shared.add((line.account, line.disk_id, line.name))
    return alone + len(shared)


@dataclass(frozen=True)
class RunRate:
    """What disks cost while they are there.

    Attributes
    ----------
    disks : int
        How many; a shared disk counts with the first of its volumes.
    unpriced : int
        How many of them have no price, and are not in the amount: it is the least, then.
    size_gb : int
        Their sizes together, as far as they are known.
    usd_hr : Decimal
        Exact list price per hour of those that have one.
    usd_calendar_month : Decimal
        List cost of the hours that they live within the calendar month of the report, if none of
        them is deleted before it ends; one of unknown age counts from the month's beginning.
    """

    disks: int
    unpriced: int
    size_gb: int
    usd_hr: Decimal
    usd_calendar_month: Decimal

    @classmethod
    def of(cls, lines: Iterable[Line]) -> RunRate:
        """Return the rate of lines together."""
        taken = list(lines)
        return cls(
            disks=sum(line.leads for line in taken),
            unpriced=_disks(line for line in taken if line.usd_hr is None),
            size_gb=sum(line.size_gb or 0 for line in taken),
            usd_hr=total(line.usd_hr for line in taken if line.usd_hr is not None),
            usd_calendar_month=total(
                usd for line in taken if (usd := line.usd_calendar_month) is not None
            ),
        )

    def per(self, hours: int) -> Decimal:
        """Return what it comes to in so many hours, exactly."""
        return usd_month(self.usd_hr, hours)

    @property
    def usd_day(self) -> Decimal:
        """Return what it comes to in a day."""
        return self.per(HOURS_PER_DAY)

    @property
    def usd_month(self) -> Decimal:
        """Return what it comes to in a month of 730 hours."""
        return self.per(HOURS_PER_MONTH)

    def row(self) -> dict[str, Any]:
        """Return counts and exact amounts, per hour, day, month and in the calendar month."""
        return {name: getattr(self, name) for name in RATE}


RATE = (
    *("disks", "unpriced", "size_gb"),
    *("usd_hr", "usd_day", "usd_month", "usd_calendar_month"),
)
"""What is known of a run-rate, under the names that every format has for it."""


def summed(lines: Iterable[Line], name: str) -> Decimal | None:
    """Return an amount of lines together, as far as it is known; None where it is of none."""
    known = [usd for line in lines if (usd := getattr(line, name)) is not None]
    return total(known) if known else None


def usd_between(usd_hr: Decimal | None, time: timedelta) -> Decimal | None:
    """Return what an hourly amount comes to in a time; None where it is unknown.

    It is rounded at 12 decimal places, for an hour has no end in decimals.
    """
    return None if usd_hr is None else usd_elapsed(usd_hr, max(time // _MICROSECOND, 0))


def has_projects(lines: Iterable[Line]) -> bool:
    """Return whether volumes are of several projects."""
    return len({line.project for line in lines if line.volume is not None}) > 1


@dataclass(frozen=True)
class ReplicaLabels:
    """Replicas of each volume and disks of each replica; a title is numbered where needed."""

    replicas: dict[Any, set[Any]]
    disks: dict[Any, set[Any]]
    by_project: bool

    @classmethod
    def of(cls, lines: Iterable[Line], *, by_project: bool = False) -> ReplicaLabels:
        """Return those of lines; ``by_project`` puts the project before each volume."""
        replicas: dict[Any, set[Any]] = {}
        disks: dict[Any, set[Any]] = {}
        for line in lines:
            volume = (line.project, line.volume)
            replicas.setdefault(volume, set()).add(line.replica)
            disks.setdefault((*volume, line.replica), set()).add(line.disk)
        return cls(replicas, disks, by_project)

    def title_of(self, line: Line) -> str:
        """Return what a person calls a line."""
        if line.volume is None:
            return line.title
        volume = (line.project, line.volume)
        number = f" #{line.replica}" if len(self.replicas[volume]) > 1 else ""
        disk = f", disk {line.disk}" if len(self.disks[*volume, line.replica]) > 1 else ""
        shared = "" if line.disk_group is None else ", shared disk"
        project = f"{visible(line.project or '')}/" if self.by_project else ""
        return f"{project}{line.title}{number}{disk}{shared}"
