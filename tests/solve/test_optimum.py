"""The optimum of coupled volumes, held against enumeration: cost, stock, whether there is one."""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from planner.solve.decompose import solve_scope
from planner.solve.optimum import Optimum, dual_bound, least_month, optimum, solve_component
from planner.solve.stats import SolveStats, Undecided
from tests.solve import exact
from tests.solve.hand import (
    coupled,
    demanded,
    gpu,
    instance_of,
    penalty,
    providers,
    row,
    violations,
    volume,
)

if TYPE_CHECKING:
    from planner.solve.problem import Instance

BLOCK = 50


def solved(instance: Instance, *, full: bool = False) -> Optimum:
    found = optimum(instance, full=full)
    assert found is not None
    return found


@pytest.mark.slow
@pytest.mark.parametrize("block", range(5))
def test_cost_and_stock_equal_the_enumeration(block: int) -> None:
    """With presolve and without, every constraint mixed: the enumerated optimum, or none at all.

    What is found passes the independent check, and the solver needs no presolve to find it.
    """
    feasible = 0
    for seed in range(block * BLOCK, block * BLOCK + BLOCK):
        document, rows, gpus, nodes = coupled(seed)
        expected = exact.best(document, rows, gpus, nodes)
        instance = instance_of(document, rows, gpus, nodes)
        found = optimum(instance)
        whole = _without_presolve(instance)
        if expected is None:
            assert (seed, found, whole) == (seed, None, None)
            continue
        feasible += 1
        assert found is not None, seed
        assert (seed, Fraction(found.usd_month), found.bound_month) == (seed, expected[0], None)
        assert (seed, penalty(instance, found.chosen)) == (seed, expected[1])
        assert (seed, violations(instance, found.chosen, found.rented)) == (seed, ())
        assert whole is not None, seed
        assert (seed, Fraction(whole)) == (seed, expected[0])
    assert feasible >= 20


def _without_presolve(instance: Instance) -> Decimal | None:
    """Return the cost that the solver finds where it is given every pair; None if no plan."""
    if instance.demand.workloads and instance.rentals is None:
        return None
    whole = solve_scope(instance, instance.whole, SolveStats(full=True))
    return None if whole is None else whole.usd_month


@pytest.mark.slow
def test_full_program_gives_the_same_plan() -> None:
    """What the full program is held against is what comes of it, placement by placement."""
    compared = 0
    for seed in range(1000, 1040):
        instance = instance_of(*coupled(seed))
        found, full = optimum(instance), optimum(instance, full=True)
        if found is None or full is None:
            assert (seed, found, full) == (seed, None, None)
            continue
        compared += 1
        assert (seed, full.chosen, full.rented) == (seed, found.chosen, found.rented)
        assert full.stats.full
        assert full.stats.variables >= found.stats.variables
    assert compared >= 20


@pytest.mark.slow
def test_rows_in_any_order_give_the_same_plan() -> None:
    """Permuted listings give the same offers for the volumes and the same GPUs."""
    compared = 0
    rng = random.Random(4)
    for seed in range(2000, 2040):
        document, *listed = coupled(seed)
        instance = instance_of(document, *listed)
        found = optimum(instance)
        if found is None:
            continue
        compared += 1
        for rows in listed:
            rng.shuffle(rows)
        shuffled = instance_of(document, *listed)
        again = solved(shuffled)
        assert (seed, again.chosen) == (seed, found.chosen)
        assert (seed, _rented(shuffled, again)) == (seed, _rented(instance, found))
    assert compared >= 20


def _rented(instance: Instance, found: Optimum) -> list[dict[str, object]]:
    """Return the GPU rows of the workloads, but for where in the listing they stand."""
    if instance.rentals is None:
        return []
    rows = [instance.rentals.rows[g] for g in found.rented.values()]
    return [{name: value for name, value in row.items() if name != "row"} for row in rows]


MARKET = [row("alpha", "0.0001"), row("beta", "0.0002"), row("gamma", "0.0003")]
PAIR = (volume("a"), volume("b"))


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"groups": [{"volumes": ["a", "b"], "same": "site"}]},
        {"policy": {"max_sites": 1, "max_provider_share": 1, "budget_usd_month": 15}},
    ],
)
def test_a_least_choice_that_satisfies_the_coupling_needs_no_solver(
    more: dict[str, object],
) -> None:
    """Where every volume's cheapest offer is allowed with the others, that is the optimum."""
    found = solved(instance_of(demanded(*PAIR, **more), MARKET))
    assert (found.usd_month, found.bound_month) == (Decimal("14.6"), None)
    assert found.stats.runs == []


def test_components_are_solved_apart() -> None:
    """Two groups that nothing connects are two small programs, of two volumes each."""
    names = "abcd"
    groups = [
        {"volumes": ["a", "b"], "different": "provider"},
        {"volumes": ["c", "d"], "different": "provider"},
    ]
    instance = instance_of(demanded(*map(volume, names), groups=groups), MARKET)
    found, whole = solved(instance), solved(instance, full=True)
    assert providers(instance, found.chosen) == [["alpha"], ["beta"]] * 2
    assert 0 < found.stats.variables <= whole.stats.variables / 2


@pytest.mark.slow
def test_disks_and_gpus_are_decided_at_once() -> None:
    """Beta's disks cost $7.30 a month more, and its GPUs, for ten hours, $10 less."""
    job = {"name": "job", "gpu": "A100_80GB", "hours_per_month": 10, "mounts": ["a"]}
    document = demanded(volume("a"), workloads=[job])
    gpus = [gpu("alpha", "3"), gpu("beta", "2"), gpu("delta", "0.5")]
    instance = instance_of(document, MARKET, gpus)
    found = solved(instance)
    assert providers(instance, found.chosen) == [["beta"]]
    assert found.usd_month == Decimal("14.6") + 20
    gpus[1] = gpu("beta", "2.271")
    closer = instance_of(document, MARKET, gpus)
    assert providers(closer, solved(closer).chosen) == [["alpha"]]


@pytest.mark.slow
def test_workloads_without_gpus_have_no_plan() -> None:
    """A market whose GPUs are all elsewhere, or that has none, gives no plan."""
    job = {"name": "job", "gpu": "A100_80GB", "mounts": ["a"]}
    document = demanded(volume("a"), workloads=[job])
    assert optimum(instance_of(document, MARKET, [gpu("delta", "1")])) is None
    assert optimum(instance_of(document, MARKET)) is None


def test_no_time_is_undecided_and_not_infeasible() -> None:
    """A solver that is stopped before it has anything does not claim that there is nothing."""
    document = demanded(*PAIR, groups=[{"volumes": ["a", "b"], "different": "provider"}])
    instance = instance_of(document, MARKET)
    assert optimum(instance) is not None
    alone = {v: offers or [] for v, offers in enumerate(instance.least.choices())}
    forbidden = SolveStats(forbidden=True)
    with pytest.raises(Undecided):
        solve_component(instance, instance.components[0], alone, forbidden, tie_break=True)
    assert least_month(instance) is None


@pytest.mark.slow
def test_the_floor_is_below_every_plan_and_met_where_nothing_couples() -> None:
    """Every volume at its least, every workload on its cheapest GPUs: an exact limit."""
    met = 0
    for seed in range(4000, 4040):
        document, rows, gpus, nodes = coupled(seed)
        expected = exact.best(document, rows, gpus, nodes)
        instance = instance_of(document, rows, gpus, nodes)
        floor, least = dual_bound(instance), least_month(instance)
        if expected is None:
            assert least is None
            continue
        assert floor is not None, seed
        assert Fraction(floor) <= expected[0], seed
        assert least is None or Fraction(least) == expected[0], seed
        met += least is not None
    assert met >= 5
