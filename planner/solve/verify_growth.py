"""The independent check of a schedule: every month by itself, from the words of the design.

Needs are exact fractions of what the demand file says. What is there in a month is held against
every rule that `verify` holds a plan against.
"""

from __future__ import annotations

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


def need_gb(volume: Volume, until_month: int, *, exists: bool = False) -> int:
    """Return what a disk of a volume must hold until it is replaced, in whole GB.

    Parameters
    ----------
    volume : Volume
        That may grow.
    until_month : int
        When its disk is replaced.
    exists : bool
        Whether the disk is there already: it was not bought for the headroom of today.
    """
    base = volume.size_gb
    if volume.headroom_percent and not exists:
        base = ceil(base * (100 + Fraction(volume.headroom_percent)) / 100)
    if volume.growth is None:
        return base
    over, more, under = _growth(volume.growth, until_month)
    return -(-(base * over + more) // under)


@lru_cache(maxsize=2**16)
def _growth(growth: str, months: int) -> tuple[int, int, int]:
    """Return what a size is multiplied by, what is added, and what both are divided by."""
    amount, _, _ = growth.partition("/")
    if amount.endswith("%"):
        over, under = ((1 + Fraction(amount[:-1]) / 100) ** months).as_integer_ratio()
        return over, 0, under
    more, under = (Fraction(amount.split(" ")[0]) * months).as_integer_ratio()
    return under, more, under


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
