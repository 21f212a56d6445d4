"""The sizes of one create key, divided by which of its rows sell them."""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from math import lcm
from typing import TYPE_CHECKING, Any, NamedTuple

from planner.market.wire import UNBOUNDED_GB

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_OVERLAPS = 10_000
"""With more pairs of a row and a range of sizes, each size of a key counts as sold by all rows."""
MOST_SEGMENTS = 512
"""With more segments, all rows of a range count as sellers of each of its sizes."""


class SizeGrid(NamedTuple):
    """Sizes of at least 1 GB: ``first``, ``first + step``, … ``last``; none where last is less."""

    first: int
    last: int
    step: int

    @classmethod
    def of(cls, least: int, bound: int, step: int) -> SizeGrid:
        """Return the sizes ``least + k * step`` of at least 1 GB up to a bound."""
        first = least if least >= 1 else step
        return cls(first, first + (bound - first) // step * step, step)

    def __bool__(self) -> bool:
        return self.last >= self.first

    def __contains__(self, size_gb: object) -> bool:
        return (
            isinstance(size_gb, int)
            and self.first <= size_gb <= self.last
            and (size_gb - self.first) % self.step == 0
        )

    def between(self, low: int, high: int) -> SizeGrid:
        """Return the sizes from one bound to another, both included."""
        first = self.first + max(0, -((self.first - low) // self.step)) * self.step
        last = min(self.last, first + (high - first) // self.step * self.step)
        return SizeGrid(first, last, self.step)

    def sizes(self) -> int:
        """Return how many sizes there are."""
        return max(0, (self.last - self.first) // self.step + 1)


def grid_of(row: Mapping[str, Any]) -> SizeGrid:
    """Return the sizes that an offer, or a row of one, sells."""
    bound = UNBOUNDED_GB if row["max_gb"] is None else row["max_gb"]
    return SizeGrid.of(row["min_gb"], bound, max(1, row["step_gb"]))


Segment = tuple[SizeGrid, frozenset[int]]
"""Sizes, and the numbers of the rows that sell all of them."""


def divide(grids: Sequence[SizeGrid]) -> list[Segment]:
    """Return the sizes of rows as grids, each with the rows that sell just these.

    Where exact segments would be too many, more rows count as sellers than sell a size, and a size
    can be in several grids of equal sellers: a plan then relies on less, never on more.

    >>> divide([SizeGrid(10, 1000, 1), SizeGrid(900, 4000, 1)])  # doctest: +NORMALIZE_WHITESPACE
    [(SizeGrid(first=10, last=899, step=1), frozenset({0})),
     (SizeGrid(first=900, last=1000, step=1), frozenset({0, 1})),
     (SizeGrid(first=1001, last=4000, step=1), frozenset({1}))]
    """
    cuts = sorted({cut for grid in grids for cut in (grid.first, grid.last + 1)})
    spans = [
        (bisect_left(cuts, grid.first), bisect_left(cuts, grid.last + 1), row)
        for row, grid in enumerate(grids)
    ]
    if sum(end - start for start, end, _ in spans) > MOST_OVERLAPS:
        return [(grid, frozenset(range(len(grids)))) for grid in sorted(set(grids))]
    ranges: list[list[int]] = [[] for _ in cuts]
    for start, end, row in spans:
        for at in range(start, end):
            ranges[at].append(row)
    found: list[Segment] = []
    for (low, after), rows in zip(pairwise(cuts), ranges, strict=False):
        sold: dict[SizeGrid, set[int]] = {}
        for row in rows:
            if part := grids[row].between(low, after - 1):
                sold.setdefault(part, set()).add(row)
        if sold:
            every = frozenset[int]().union(*sold.values())
            exact = _exactly(sold, MOST_SEGMENTS - len(found))
            found += exact or [(part, every) for part in sold]
    return sorted(_joined(found), key=lambda one: (one[0], sorted(one[1])))


def _exactly(sold: dict[SizeGrid, set[int]], most: int) -> list[Segment]:
    """Return the segments of a range of sizes; none where they would be more than so many."""
    if len(sold) == 1:
        return [(part, frozenset(rows)) for part, rows in sold.items()]
    finest, *others = sorted(sold, key=lambda part: (part.step, part.first))
    period = lcm(*(part.step for part in sold))
    if sum(part.sizes() for part in others) <= most // 4:
        return _one_by_one(sold, finest, others)
    if sum(period // part.step for part in sold) > most:
        return []
    high = max(part.last for part in sold)
    firsts = {size for part in sold for size in range(part.first, part.first + period, part.step)}
    return [
        (SizeGrid.of(size, high, period), _sellers(sold, size))
        for size in sorted(firsts)
        if size <= high
    ]


def _one_by_one(
    sold: dict[SizeGrid, set[int]], finest: SizeGrid, others: Sequence[SizeGrid]
) -> list[Segment]:
    """Return each size of the coarser rows, and what the finest row sells between them."""
    sizes = sorted({s for part in others for s in range(part.first, part.last + 1, part.step)})
    found: list[Segment] = []
    for size in sizes:
        step = min(lcm(*(part.step for part in sold if size in part)), UNBOUNDED_GB)
        found.append((SizeGrid(size, size, step), _sellers(sold, size)))
    gaps = pairwise([finest.first - 1, *sizes, finest.last + 1])
    alone = frozenset(sold[finest])
    cut = (finest.between(low + 1, high - 1) for low, high in gaps if high > finest.first)
    return found + [(part, alone) for part in cut if part]


def _sellers(sold: dict[SizeGrid, set[int]], size: int) -> frozenset[int]:
    return frozenset[int]().union(*(rows for part, rows in sold.items() if size in part))


def _joined(segments: Sequence[Segment]) -> list[Segment]:
    """Return segments with those of the same rows joined where one continues the other."""
    found: dict[tuple[frozenset[int], int, int], list[SizeGrid]] = {}
    for grid, rows in sorted(segments, key=lambda one: one[0]):
        mine = found.setdefault((rows, grid.step, grid.first % grid.step), [])
        if mine and mine[-1].last + grid.step == grid.first:
            mine[-1] = mine[-1]._replace(last=grid.last)
        else:
            mine.append(grid)
    return [(grid, rows) for (rows, _, _), mine in found.items() for grid in mine]
