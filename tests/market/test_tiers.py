"""The sizes of a create key are divided by which rows sell them: held against enumeration."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.market.tiers import SizeGrid, divide
from planner.market.wire import UNBOUNDED_GB
from tests.market.rows import brief

REACH_GB = 300
GRIDS = st.builds(
    SizeGrid.of,
    st.integers(0, 60),
    st.one_of(st.integers(60, 200), st.just(UNBOUNDED_GB)),
    st.sampled_from([1, 2, 3, 4, 6, 12]),
)


def sizes(grid: SizeGrid) -> list[int]:
    return list(range(grid.first, min(grid.last, REACH_GB) + 1, grid.step))


@pytest.mark.slow
@brief
@given(st.lists(GRIDS, min_size=1, max_size=4))
def test_each_size_is_in_one_segment_with_its_sellers(grids: list[SizeGrid]) -> None:
    """Every size that a row sells is in one segment, whose rows are those that sell it."""
    sellers: dict[int, set[int]] = {}
    for row, grid in enumerate(grids):
        for size in sizes(grid):
            sellers.setdefault(size, set()).add(row)
    divided = [(size, set(rows)) for grid, rows in divide(grids) for size in sizes(grid)]
    assert sorted(divided, key=lambda one: one[0]) == sorted(sellers.items())


@pytest.mark.slow
@brief
@given(st.lists(GRIDS, min_size=1, max_size=4).flatmap(st.permutations))
def test_the_order_of_rows_does_not_matter(grids: list[SizeGrid]) -> None:
    """The segments are the same, each with the same grids, however rows are listed."""

    def named(listed: list[SizeGrid]) -> set[tuple[SizeGrid, tuple[SizeGrid, ...]]]:
        return {(grid, tuple(sorted(listed[row] for row in rows))) for grid, rows in divide(listed)}

    assert named(grids) == named(sorted(grids))


@pytest.mark.parametrize(
    ("grids", "expected"),
    [
        ([(10, 1000, 1), (1001, 9000, 1)], [(10, 1000, {0}), (1001, 9000, {1})]),
        ([(10, 990, 20), (20, 1000, 20)], [(10, 990, {0}), (20, 1000, {1})]),
        (
            [(1, UNBOUNDED_GB, 1), (100, 300, 100)],
            [
                (1, 99, {0}),
                (100, 300, {0, 1}),
                (101, 199, {0}),
                (201, 299, {0}),
                (301, UNBOUNDED_GB, {0}),
            ],
        ),
        ([(10, 500, 1), (10, 500, 1)], [(10, 500, {0, 1})]),
        ([(10, 11, 1), (20, 19, 1)], [(10, 11, {0})]),
    ],
)
def test_no_segment_is_cut_without_need(
    grids: list[tuple[int, int, int]], expected: list[tuple[int, int, set[int]]]
) -> None:
    """Sizes of the same rows that follow each other are one segment."""
    found = divide([SizeGrid(*grid) for grid in grids])
    assert [(grid.first, grid.last, set(rows)) for grid, rows in found] == expected


@pytest.mark.slow
@pytest.mark.sweep
@pytest.mark.parametrize(
    "grids",
    [
        [SizeGrid(n, 10_000 + n, 1) for n in range(1, 300)],
        [SizeGrid.of(n, UNBOUNDED_GB, 997 + n) for n in range(1, 60)],
        [SizeGrid.of(n, 10**6, 1 + n % 13) for n in range(1, 100)],
        [
            SizeGrid.of(1, UNBOUNDED_GB, 999_999_999_989),
            SizeGrid.of(2, UNBOUNDED_GB, 999_999_999_961),
        ],
    ],
    ids=["overlapping", "steps without a common divisor", "many steps", "huge steps"],
)
def test_what_is_too_much_is_the_worst_case(grids: list[SizeGrid]) -> None:
    """A listing made to be slow is divided at once: all sizes stay, with their sellers or more."""
    start = time.process_time()
    found = divide(grids)
    assert time.process_time() - start < 0.5
    for row, grid in enumerate(grids):
        for size in {grid.first, grid.first + grid.step, grid.last} if grid else ():
            rows = [sellers for part, sellers in found if size in part]
            assert rows, size
            assert all(row in sellers for sellers in rows), size
            assert len(set(rows)) == 1, size
