"""The best of few places, against every choice of places."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from planner.solve.few_places import FewPlaces


@pytest.mark.parametrize("seed", range(16))
def test_the_best_of_every_count(seed: int) -> None:
    """To the end the search finds the least cost; cut short it has it between two amounts."""
    rng = np.random.default_rng(seed)
    units, places = int(rng.integers(1, 9)), int(rng.integers(2, 6))
    cost = rng.uniform(1, 10, (units, places))
    cost[rng.random((units, places)) < rng.choice([0, 0.3, 0.6])] = np.inf
    cost[~np.isfinite(cost).any(axis=1), 0] = 3
    apart = np.minimum(rng.integers(1, 3, units), np.isfinite(cost).sum(axis=1)).astype(np.int64)
    fixed = [0] if seed % 4 == 0 else []
    few = FewPlaces(cost, apart, fixed)
    for count in range(1, places + 1):
        least = cheapest(cost, apart, fixed, count)
        whole, part = few.best(count, 5000), few.best(count, 1)
        assert part.least <= least * (1 + 1e-9)
        assert whole.most == pytest.approx(least) or whole.most == least
        assert whole.least == pytest.approx(least, rel=1e-6) or whole.least == least
        if np.isinf(least):
            assert part.most == np.inf
        else:
            assert few.fewest <= count
            assert whole.most == pytest.approx(costs_at(cost, apart, whole.places))
            assert {*fixed} <= {*whole.places}
            assert len(whole.places) <= count


def costs_at(cost: np.ndarray, apart: np.ndarray, chosen: tuple[int, ...]) -> float:
    """Return what units cost at some places; infinite where they have too few."""
    here = np.sort(cost[:, list(chosen)], axis=1)
    if here.shape[1] < apart.max():
        return float("inf")
    return float(sum(here[u, :n].sum() for u, n in enumerate(apart.tolist())))


def cheapest(cost: np.ndarray, apart: np.ndarray, fixed: list[int], count: int) -> float:
    """Return the least that units cost at so many places, from every choice of them."""
    every = itertools.combinations(range(cost.shape[1]), count)
    chosen = (each for each in every if {*fixed} <= {*each})
    return min((costs_at(cost, apart, each) for each in chosen), default=float("inf"))


def test_places_that_are_open_in_any_case() -> None:
    """Three places that exist are not one, and the fewest are those and what is missing."""
    cost = np.array([[1.0, 2.0, np.inf], [np.inf, np.inf, 5.0]])
    few = FewPlaces(cost, np.array([1, 1]), [0, 1])
    assert few.fewest == 3
    assert few.best(1, 10).least == np.inf
    assert few.best(3, 10).places == (0, 1, 2)
