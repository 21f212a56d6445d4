"""Lines: one disk each, there now or to be bought. Everything a report says is their sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from planner.market.offers import place_text
from planner.plans.file import Amount, Signed, Size, Utc
from planner.reports.periods import Accrual
from planner.schema import EXACT, TEXT, WHOLE, Column
from planner.solve.rentals import CHOSEN_GPUS
from planner.text import visible
from planner.units import usd_month

Standing = Literal["kept", "bought", "new", "other"]

LEDGER = (
    Column("account", TEXT, "base URL and team; null: a file, or a plan made offline"),
    Column("as_of", TEXT, "when it was so, UTC, ISO 8601"),
    Column("project", TEXT, "null: no plan and no purchase of planner's is known"),
    Column("volume", TEXT, "name in the demand; null: of none that is known"),
    Column("replica", WHOLE, "from 1; null: unknown"),
    Column("disk", WHOLE, "of the replica, from 1; null: unknown"),
    Column("standing", TEXT, "kept or bought: live, the plan's; new: to be bought; other: live"),
    Column("owner", TEXT, "from the demand; null: nobody"),
    Column("tags", EXACT, "dict, from the demand"),
    Column("disk_id", TEXT, "null: it is not there yet, or has none that can be used"),
    Column("name", TEXT, "as the account or the request has it; null: none"),
    Column("status", TEXT, "as the account has it; null: it is not there yet"),
    Column("provider", TEXT, "where; null: unknown"),
    Column("data_center", TEXT, "where; null: unknown"),
    Column("country", TEXT, "where; null: unknown"),
    Column("region", TEXT, "where; null: unknown"),
    Column("size_gb", WHOLE, "null: unknown"),
    Column("usd_gb_hr", EXACT, "price of a new disk, exact Decimal; null: live"),
    Column("usd_hr", EXACT, "list price of the whole disk per hour, exact Decimal; null: unpriced"),
    Column("attached", EXACT, "tuple of pods and clusters; null: unknown, or not there yet"),
    Column("created_at", TEXT, "when it was created, UTC; null: unknown, or not there yet"),
    Column("billed_usd", EXACT, "sum of its billing rows, exact Decimal; null: none were read"),
    Column("site", TEXT, "provider, data centre and country as people read them"),
    Column("hours", EXACT, "since it was created; null: unknown, or not there yet"),
    Column("accrued_usd", EXACT, "list cost since it was created; null: unknown or unpriced"),
    Column("month_so_far_usd", EXACT, "the same since the calendar month began"),
    Column("rest_of_month_usd", EXACT, "list cost from the report's moment to the month's end"),
)
"""Columns of a report's disks, in the order of the plans; other disks of the account last."""

RENTALS = (
    Column("account", TEXT, "base URL and team; null: a file, or a plan made offline"),
    Column("project", TEXT, "the plan's"),
    *(column for column in CHOSEN_GPUS if column.name not in {"cloud_id", "security"}),
    Column("site", TEXT, "provider, data centre and country as people read them"),
    Column("usd_month", EXACT, "usd_hr_on times the hours of the job, exact Decimal"),
)
"""Columns of a report's GPUs, in the order of the plans."""


@dataclass(frozen=True)
class Line:
    """One disk; fields as in ``LEDGER``, but for those that are computed."""

    account: str | None
    as_of: Utc
    project: str | None
    volume: str | None
    replica: Size | None
    disk: Size | None
    standing: Standing
    owner: str | None
    disk_id: str | None
    name: str | None
    status: str | None
    provider: str | None
    data_center: str | None
    country: str | None
    region: str | None
    size_gb: Size | None
    usd_gb_hr: Amount | None
    usd_hr: Amount | None
    attached: tuple[str, ...] | None
    created_at: Utc | None
    billed_usd: Signed | None
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def is_live(self) -> bool:
        """Return whether it exists, and is billed."""
        return self.standing != "new"

    @property
    def is_planned(self) -> bool:
        """Return whether a plan wants it."""
        return self.standing != "other"

    @property
    def is_idle(self) -> bool:
        """Return whether it is there and attached to nothing."""
        return self.is_live and self.attached == ()

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
    account, project, workload
        Whose.
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
    def usd_month(self) -> Decimal:
        """Return what they cost in a month: exact, whatever the month."""
        return usd_month(self.usd_hr_on, self.hours_per_month)


@dataclass(frozen=True)
class Copies:
    """How many replicas a volume has, and how many disks a replica: they are told apart by it."""

    replicas: dict[Any, frozenset[Any]]
    disks: dict[Any, frozenset[Any]]

    @classmethod
    def of(cls, lines: Sequence[Line]) -> Copies:
        """Return those of lines."""
        replicas: dict[Any, set[Any]] = {}
        disks: dict[Any, set[Any]] = {}
        for line in lines:
            volume = (line.project, line.volume)
            replicas.setdefault(volume, set()).add(line.replica)
            disks.setdefault((*volume, line.replica), set()).add(line.disk)
        return cls(
            {key: frozenset(found) for key, found in replicas.items()},
            {key: frozenset(found) for key, found in disks.items()},
        )

    def title_of(self, line: Line) -> str:
        """Return what a person calls a line."""
        if line.volume is None:
            return line.title
        volume = (line.project, line.volume)
        number = f" #{line.replica}" if len(self.replicas[volume]) > 1 else ""
        disk = f", disk {line.disk}" if len(self.disks[*volume, line.replica]) > 1 else ""
        return f"{line.title}{number}{disk}"


def row_of(line: Line) -> dict[str, Any]:
    """Return a line with what is computed of it, as a row of ``LEDGER``."""
    return {**vars(line), "site": line.site, **vars(Accrual.of(line))}
