"""Sizes against their definition: ``min + k * step``, at least 1 GB, at most ``max``."""

from __future__ import annotations

from itertools import combinations_with_replacement

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.market.market import addressable
from planner.market.offers import Sizes, disk_sizes_gb, offers_frame
from tests.market.rows import brief, disk

MOST_DISKS = 4
Grid = tuple[int, int | None, int]

GRIDS = st.tuples(st.integers(0, 9), st.none() | st.integers(0, 24), st.integers(1, 7))
NEEDS = st.integers(1, 40)


def sizes_of(*grids: Grid) -> Sizes:
    """Return the sizes of offers with these bounds and steps."""
    names = ("min_gb", "max_gb", "step_gb")
    columns = zip(names, zip(*grids, strict=True), strict=True)
    return Sizes(pd.DataFrame({name: pd.Series(list(c), dtype="Int64") for name, c in columns}))


def enumerate_sizes(grid: Grid, need_gb: int) -> list[int]:
    """Return the sizes of one offer that could matter for a need, by the words of the rule."""
    low, high, step = grid
    top = low + step + need_gb if high is None else high
    return [size for size in range(low, top + 1, step) if size >= 1]


def enumerate_disks(grid: Grid, need_gb: int) -> tuple[int, ...] | None:
    """Return the disks that must be bought, larger first; None beyond ``MOST_DISKS``."""
    sizes = enumerate_sizes(grid, need_gb)
    for disks in range(1, MOST_DISKS + 1):
        fits = [
            choice
            for choice in combinations_with_replacement(sizes, disks)
            if sum(choice) >= need_gb
        ]
        if fits:
            least = min(map(sum, fits))
            even = min((max(c) - min(c), c) for c in fits if sum(c) == least)
            return tuple(sorted(even[1], reverse=True))
    return None


@pytest.mark.slow
@brief
@given(st.lists(GRIDS, min_size=1, max_size=4), NEEDS)
def test_provision_against_enumeration(grids: list[Grid], need_gb: int) -> None:
    """Fewest disks, then the least total, equal within a step, larger first: by brute force."""
    sizes = sizes_of(*grids)
    disks, provision_gb = sizes.provision(need_gb)
    for at, grid in enumerate(grids):
        assert sizes.sells[at] == bool(enumerate_sizes(grid, need_gb))
        if not sizes.sells[at]:
            continue
        expected = enumerate_disks(grid, need_gb)
        if expected is None:
            assert disks[at] > MOST_DISKS
            continue
        assert (disks[at], provision_gb[at]) == (len(expected), sum(expected))
        found = disk_sizes_gb(int(provision_gb[at]), int(disks[at]), grid[0], grid[2])
        assert found == expected


@pytest.mark.slow
@brief
@given(GRIDS, st.integers(1, 10**9))
def test_every_disk_is_sold_and_holds_its_part(grid: Grid, need_gb: int) -> None:
    """For any size: on the grid, within bounds, at least 1 GB, within a step, never short."""
    low, high, step = grid
    sizes = sizes_of(grid)
    if not sizes.sells[0]:
        return
    disks, provision_gb = (int(value[0]) for value in sizes.provision(need_gb))
    if disks > 1000:
        return
    found = disk_sizes_gb(provision_gb, disks, low, step)
    assert len(found) == disks
    assert sum(found) == provision_gb >= need_gb
    assert list(found) == sorted(found, reverse=True)
    assert found[0] - found[-1] in {0, step}
    for size in found:
        assert size >= max(1, low)
        assert (size - low) % step == 0
        assert high is None or size <= high


def test_by_hand() -> None:
    """Offers of 10 to 100 by 20, of any size, of at most nothing, and of 50 alone, for 95 GB."""
    sizes = sizes_of((10, 100, 20), (0, None, 1), (0, 0, 1), (50, 50, 1), (60, 50, 1), (0, 3, 5))
    assert sizes.sells.tolist() == [True, True, False, True, False, False]
    disks, provision_gb = sizes.provision(95)
    assert [int(disks[at]) for at in (0, 1, 3)] == [2, 1, 2]
    assert [int(provision_gb[at]) for at in (0, 1, 3)] == [100, 95, 100]
    assert disk_sizes_gb(100, 2, 10, 20) == (50, 50)


def test_smallest_disk_is_one_gb() -> None:
    """A minimum of zero still sells nothing below 1 GB; the first size is the first step."""
    _, provision_gb = sizes_of((0, 100, 1), (0, 100, 30), (1, 100, 30)).provision(1)
    assert provision_gb.tolist() == [1, 30, 1]


def test_largest_demand_on_odd_offers() -> None:
    """An exabyte with headroom on the oddest grids stays within 64-bit arithmetic."""
    need_gb = 11 * 10**9
    grids: list[Grid] = [(0, None, 1), (1, 1, 1), (1, None, 10**12), (10**12 - 1, None, 1)]
    disks, provision_gb = sizes_of(*grids).provision(need_gb)
    assert disks.tolist() == [1, need_gb, need_gb, 1]
    assert provision_gb.tolist() == [need_gb, need_gb, need_gb, 10**12 - 1]


def test_no_offers() -> None:
    """An empty market has sizes of shape (0,)."""
    sizes = Sizes(addressable(offers_frame([]), exact=True))
    assert sizes.sells.shape == (0,)
    assert [array.shape for array in sizes.provision(5)] == [(0,), (0,)]


@pytest.mark.slow
def test_null_bound_of_offers_is_unbounded() -> None:
    """The frames of the market are understood as they are."""
    rows = [disk(spec={"maxCount": None}), disk(dataCenter="B", spec={"maxCount": 10})]
    disks, _ = Sizes(addressable(offers_frame(rows), exact=True)).provision(100_000)
    assert disks.tolist() == [1, 10_000]
