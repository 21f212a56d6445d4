"""The independent check of a schedule: every month by itself, from the words of the design.

Needs are exact fractions of what the demand file says. What is there in a month is held against
every rule that `verify` holds a plan against.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from planner.demand.model import Demand, Volume
    from planner.solve.solution import Placement
    from planner.solve.tenures import Tenure


def months_of(demand: Demand) -> int:
    """Return how many months a demand that grows is planned for; 1 where nothing grows."""
    grows = any(volume.growth for volume in demand.volumes)
    return int((demand.policy.horizon or "1").split(" ")[0]) if grows else 1


def as_bought(volume: Volume, until_month: int, *, exists: bool = False) -> Volume:
    """Return a volume that needs now what this one needs at the end of the last month before one.

    Parameters
    ----------
    volume : Volume
        That may grow.
    until_month : int
        When its disk is replaced.
    exists : bool
        Whether the disk is there already: it was not bought for the headroom of today.
    """
    if volume.growth is None:
        return volume
    headroom = Decimal(0) if exists else volume.headroom_percent
    size_gb = _size_gb(volume.size_gb, headroom, volume.growth, until_month)
    now = {"size_gb": size_gb, "headroom_percent": Decimal(0), "growth": None}
    return volume.model_copy(update=now)


def _size_gb(size_gb: int, headroom_percent: Decimal, growth: str, months: int) -> int:
    base = size_gb
    if headroom_percent:
        base = ceil(Fraction(size_gb) * (100 + Fraction(headroom_percent)) / 100)
    amount, _, _ = growth.partition("/")
    if amount.endswith("%"):
        return ceil(base * _times(amount[:-1], months))
    return ceil(base + Fraction(amount.split(" ")[0]) * months)


@lru_cache(maxsize=2**16)
def _times(percent: str, months: int) -> Fraction:
    return (1 + Fraction(percent) / 100) ** months


def gaps(
    demand: Demand, placements: Sequence[Placement], schedule: Sequence[Tenure]
) -> Iterator[str]:
    """Yield where the tenures of a replica do not follow one another to the end of the horizon."""
    months = months_of(demand)
    if schedule and months == 1 and not any(volume.growth for volume in demand.volumes):
        yield "there is a schedule, and no volume grows"
    expected = {(each.volume, each.replica): months for each in placements}
    for row in reversed(schedule):
        expected[row.volume, row.replica] = row.month
    placed = {(each.volume, each.replica) for each in placements}
    order = {volume.name: n for n, volume in enumerate(demand.volumes)}
    keys = [(order.get(row.volume, -1), row.replica, row.month) for row in schedule]
    if keys != sorted(keys):
        yield "the schedule is not in order"
    for row in schedule:
        replica = (row.volume, row.replica)
        who = f"{row.volume} replica {row.replica} in month {row.month}"
        if replica not in placed:
            yield f"{who}: no such replica"
        elif row.month != expected[replica] or not 0 < row.month < row.until_month <= months:
            yield f"{who}: the disks before and after it do not meet"
        if row.action != "replace":
            yield f"{who}: action {row.action} is not known"
        expected[replica] = row.until_month
    for (name, number), end in expected.items():
        if end != months:
            yield f"{name} replica {number}: has no disk from month {end} on"


def ends(demand: Demand, placements: Sequence[Placement], schedule: Sequence[Tenure]) -> list[int]:
    """Return in which month each placement is replaced, or the horizon ends."""
    first: dict[tuple[str, int], int] = {}
    for row in schedule:
        replica = (row.volume, row.replica)
        first[replica] = min(row.month, first.get(replica, row.month))
    last = months_of(demand)
    return [first.get((each.volume, each.replica), last) for each in placements]
