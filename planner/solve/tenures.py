"""Tenures: a schedule in the words of the plan, and what it costs over the horizon."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from planner.market.offers import KEY
from planner.schema import TEXT, WHOLE, Column
from planner.solve.solution import PLACEMENTS
from planner.units import product, total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planner.demand.model import Demand, Volume
    from planner.solve.solution import Placement

_OF_PLACEMENT = {"volume", "replica", "offer_id", *KEY, "region", "disk_sizes_gb", "usd_hr"}
_OF_PLACEMENT |= {"provision_gb", "disk_group"}
SCHEDULE = (
    Column("month", WHOLE, "when it is bought; 0 is now, and is in the placements"),
    Column("until_month", WHOLE, "when it is replaced, or the horizon ends"),
    Column("action", TEXT, "replace: the disk before it is copied, then deleted"),
    *(column for column in PLACEMENTS if column.name in _OF_PLACEMENT),
)
"""Columns of a schedule as a frame, by volume, replica and month."""


@dataclass(frozen=True)
class Tenure:
    """A disk that is to be bought in a later month; fields as in ``SCHEDULE``.

    Where volumes share it, ``share_gb`` is what this one has of it, and ``usd_hr`` its part.
    """

    month: int
    until_month: int
    volume: str
    replica: int
    action: Literal["replace"]
    offer_id: str
    provider: str
    cloud_id: str | None
    data_center: str | None
    country: str | None
    region: str | None
    disk_sizes_gb: tuple[int, ...]
    usd_hr: Decimal
    share_gb: int | None = None
    disk_group: tuple[str, ...] | None = None

    @property
    def provision_gb(self) -> int:
        """Return what the volume has: its disks, or its share of one."""
        return sum(self.disk_sizes_gb) if self.share_gb is None else self.share_gb

    @property
    def leads(self) -> bool:
        """Return whether its disk is counted here, not with another volume's."""
        return self.disk_group is None or self.disk_group[0] == self.volume


def _replica(row: Placement | Tenure) -> tuple[str, int]:
    return row.volume, row.replica


def horizon_usd(
    demand: Demand, placements: Sequence[Placement], schedule: Sequence[Tenure]
) -> Decimal:
    """Return what the disks of all months cost, with overlap and egress of every move, exactly."""
    volumes = {volume.name: volume for volume in demand.volumes}
    begin: defaultdict[tuple[str, int], list[tuple[int, Decimal]]] = defaultdict(list)
    for placement in placements:
        begin[_replica(placement)].append((0, placement.usd_hr))
    for row in schedule:
        begin[_replica(row)].append((row.month, row.usd_hr))
    return total(
        tenure_usd(demand, volumes[name], usd_hr, start, end)
        for (name, _), each in begin.items()
        if name in volumes
        for (start, usd_hr), end in zip(
            sorted(each),
            [*(month for month, _ in sorted(each)[1:]), demand.policy.months],
            strict=True,
        )
    )


def tenure_usd(demand: Demand, volume: Volume, usd_hr: Decimal, start: int, end: int) -> Decimal:
    """Return what a disk of a volume costs from one month to another, exactly."""
    policy = demand.policy
    billed = Decimal(policy.hours_per_month * (end - start))
    if end == policy.months:
        return product(usd_hr, billed)
    moving = policy.moving
    usd = product(usd_hr, billed + moving.overlap_hours)
    if not moving.egress_usd_gb:
        return usd
    return total([usd, product(moving.egress_usd_gb, Decimal(volume.need_at(end - 1)))])


def bought_now(
    demand: Demand, placements: Sequence[Placement], schedule: Sequence[Tenure]
) -> Demand:
    """Return a demand that does not grow, and asks for the sizes that a plan buys now."""
    ends: dict[str, int] = {}
    first = {_replica(row): row.month for row in reversed(schedule)}
    for placement in placements:
        if placement.action != "keep":
            end = first.get(_replica(placement), demand.policy.months)
            ends[placement.volume] = max(end, ends.get(placement.volume, 0))
    volumes = tuple(
        volume.bought_for(ends[volume.name] - 1) if volume.name in ends else volume.in_month(0)
        for volume in demand.volumes
    )
    return demand.model_copy(update={"volumes": volumes})
