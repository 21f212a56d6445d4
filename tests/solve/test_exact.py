"""The enumeration itself: what it leaves out of its search could not have helped."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import product
from math import prod
from typing import Any

import pytest

from tests.solve import brute, exact, instances


@pytest.mark.slow
def test_leaving_branches_out_changes_nothing() -> None:
    """On instances small enough every choice of everything is tried, with the same result."""
    tried = 0
    for seed in range(60):
        rng = random.Random(seed)
        rows, (gpus, nodes) = instances.coupled_market(rng), instances.gpu_market(rng)
        demand = instances.coupled_demand(rng)
        options = exact.options_of(demand, brute.merge(rows))
        rentals = exact.rentals(demand, gpus, nodes, every=True)
        if len(rentals) * prod(map(len, options)) < 5000:
            tried += 1
            expected = _everything(demand, options, rentals)
            assert (seed, exact.best(demand, rows, gpus, nodes)) == (seed, expected)
    assert tried >= 20


def _everything(
    demand: dict[str, Any], options: list[list[exact.Option]], rentals: list[tuple[exact.Gpu, ...]]
) -> tuple[Fraction, int] | None:
    costs = []
    for gpus, chosen in product(rentals, product(*options)):
        placed = zip(demand["volumes"], chosen, strict=True)
        if all(exact.serves(demand, volume, one, gpus) for volume, one in placed):
            if not exact.holds(demand, chosen):
                continue
            usd = sum((one.usd_month for one in chosen), Fraction(0))
            usd += sum((gpu.usd_month for gpu in gpus), Fraction(0))
            costs.append((usd, sum(one.penalty for one in chosen)))
    return min(costs, default=None)


@pytest.mark.slow
def test_without_coupling_it_is_the_best_of_each_volume() -> None:
    """Where nothing couples but budgets, both optimisers say the same."""
    for seed in range(60):
        rng = random.Random(seed)
        rows, demand = instances.market(rng), instances.demand(rng)
        alone = brute.best(demand, rows)
        expected = None if alone is None else (alone[0] * 730, alone[1])
        assert (seed, exact.best(demand, rows)) == (seed, expected)


@pytest.mark.slow
def test_instances_are_feasible_often_and_coupling_decides_often() -> None:
    """More than half have a plan, and in more than half of these it is not the uncoupled one."""
    feasible, decided = 0, 0
    for seed in range(100):
        rng = random.Random(seed)
        rows, listings = instances.coupled_market(rng), instances.gpu_market(rng)
        demand = instances.coupled_demand(rng)
        found = exact.best(demand, rows, *listings)
        feasible += found is not None
        decided += found is not None and found != exact.best(_alone(demand), rows, *listings)
    assert 55 <= feasible <= 80
    assert decided >= feasible / 2


def _alone(demand: dict[str, Any]) -> dict[str, Any]:
    """Return the demand without what couples its volumes."""
    workloads = [{**one, "mounts": []} for one in demand.get("workloads", [])]
    policy = {k: value for k, value in demand["policy"].items() if k == "hours_per_month"}
    return {"volumes": demand["volumes"], "workloads": workloads, "policy": policy}
