"""The program itself: what the solvers say of it, its bound, and prices near one another."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from planner.solve.decompose import counts_of, disaggregate
from planner.solve.model import Program
from planner.solve.presolve import Columns, every_column, presolve
from tests.solve import exact
from tests.solve.hand import coupled, demanded, every_plan, instance_of, providers, row, volume

if TYPE_CHECKING:
    from planner.solve.problem import Instance

APART = {"groups": [{"volumes": ["a", "b"], "different": "provider"}]}


def program_of(
    instance: Instance, *, needed: bool = False, relaxed: bool = False
) -> tuple[Columns, Program]:
    columns = (presolve if needed else every_column)(instance, instance.whole)
    return columns, Program(instance, instance.whole, columns, relaxed=relaxed)


@pytest.mark.slow
@pytest.mark.parametrize("needed", [False, True])
def test_the_solver_itself_finds_the_optimum(needed: bool) -> None:
    """The solver, on all columns and on the needed ones, chooses what is enumerated."""
    feasible = 0
    for seed in range(100, 125):
        document, rows, gpus, nodes = coupled(seed)
        instance = instance_of(document, rows, gpus, nodes)
        expected = exact.best(document, rows, gpus, nodes)
        columns, program = program_of(instance, needed=needed)
        if columns.has_empty_domain:
            assert expected is None
            continue
        outcome = program.cheapest(time_limit_s=None)
        if expected is None:
            assert (seed, outcome.run.status, outcome.counts) == (seed, "infeasible", None)
            continue
        feasible += 1
        assert outcome.counts is not None
        chosen = disaggregate(instance, columns, outcome.counts)
        jobs = range(len(instance.demand.workloads))
        rented = {w: g for w in jobs if (g := instance.rent_best(w, chosen)) is not None}
        cost = Fraction(instance.usd_month(chosen, rented))
        assert (seed, cost, outcome.run.status) == (seed, expected[0], "optimal")
    assert feasible >= 10


def test_relaxed_it_is_a_bound_and_reduced_costs_are_what_a_replica_costs_more() -> None:
    """Without coupling the relaxation is the optimum, and each other offer's distance exact."""
    rows = [row("alpha", "0.0001"), row("beta", "0.00013"), row("gamma", "0.00025")]
    columns, program = program_of(instance_of(demanded(volume("a")), rows), relaxed=True)
    ideal = program.cheapest(time_limit_s=None)
    assert ideal.bound_usd_hr == pytest.approx(0.01)
    assert ideal.reduced is not None
    assert ideal.reduced - ideal.reduced.min() == pytest.approx([0, 0.003, 0.015])
    assert columns.offer.tolist() == [0, 1, 2]
    three = instance_of(demanded(*(volume(name) for name in "abc")), rows)
    _, together = program_of(three, needed=True, relaxed=True)
    bound = together.cheapest(time_limit_s=None).bound_usd_hr
    assert bound == pytest.approx(0.03)


@pytest.mark.slow
def test_the_relaxation_bounds_every_plan() -> None:
    """On random instances no plan costs less than the relaxation proves, reduced costs included."""
    compared = 0
    for seed in range(200, 230):
        instance = instance_of(*coupled(seed))
        plans = every_plan(instance)
        if not plans:
            continue
        columns, program = program_of(instance, relaxed=True)
        ideal = program.cheapest(time_limit_s=None)
        assert ideal.reduced is not None
        assert ideal.bound_usd_hr is not None
        hours = instance.demand.policy.hours_per_month
        for chosen, _, cost in plans:
            used = ideal.reduced[np.flatnonzero(counts_of(columns, chosen))]
            # A column is left out where its reduced cost alone is beyond what is to be beaten.
            assert float(cost) / hours >= ideal.bound_usd_hr + max(0, used.max()) - 1e-9
        compared += 1
    assert compared >= 10


def test_a_difference_of_a_billionth_is_seen() -> None:
    """1e-9 USD a GB on one GB decides, beside a volume that costs a dollar an hour."""
    rows = [row("near", "0.000100000"), row("far", "0.000099999"), row("dear", "0.00012")]
    document = demanded(volume("a", 1), volume("b", 8000), volume("c", 1), policy={"max_sites": 1})
    columns, program = program_of(instance_of(document, rows))
    outcome = program.cheapest(time_limit_s=None)
    assert outcome.counts is not None
    assert outcome.bound_usd_hr == pytest.approx(8002 * 0.000099999, rel=1e-12)
    instance = instance_of(document, rows)
    assert providers(instance, disaggregate(instance, columns, outcome.counts)) == [["far"]] * 3


def test_a_held_cost_leaves_only_what_costs_no_more() -> None:
    """Once the cost is held, other wishes are decided among plans of that cost."""
    rows = [row("alpha", "0.0001"), row("beta", "0.0001"), row("gamma", "0.0001000000001")]
    instance = instance_of(demanded(volume("a"), volume("b"), **APART), rows)
    columns, program = program_of(instance)
    wish = (-columns.offer).tolist()  # as far back as can be: gamma, then beta
    free = program.first(wish, time_limit_s=None)
    assert free.counts is not None
    assert sorted(columns.offer[free.counts > 0]) == [1, 2]
    program.hold_cost(Decimal("0.02"))
    held = program.first(wish, time_limit_s=None)
    assert held.counts is not None
    assert sorted(columns.offer[held.counts > 0]) == [0, 1]


def test_sums_of_weights_and_sites_are_held() -> None:
    """What was decided first stays decided: the sum of a weight, the number of sites."""
    rows = [row("alpha", "0.0001", spec={"maxCount": 50}), row("beta", "0.0002")]
    instance = instance_of(demanded(volume("a"), volume("b", 50)), rows)
    columns, program = program_of(instance)
    fewest = program.fewest_sites(time_limit_s=None)
    assert fewest.counts is not None
    assert set(columns.offer[fewest.counts > 0]) == {1}
    program.hold_sites(1)
    one = program.cheapest(time_limit_s=None)
    assert one.bound_usd_hr == pytest.approx(0.03)
    _, other = program_of(instance)
    other.hold([1.0 if o == 1 else 0.0 for o in columns.offer], 1)
    two = other.cheapest(time_limit_s=None)
    assert two.bound_usd_hr == pytest.approx(0.025)
    other.hold([1.0 if o == 1 else 0.0 for o in columns.offer], 0)
    assert other.cheapest(time_limit_s=None).run.status == "infeasible"


def test_a_solution_that_is_excluded_is_not_found_again() -> None:
    """What turned out not to hold in exact decimals is left out, and the next best found."""
    rows = [row("alpha", "0.0001"), row("beta", "0.0002"), row("gamma", "0.0003")]
    instance = instance_of(demanded(volume("a"), volume("b", 99), **APART), rows)
    columns, program = program_of(instance)
    costs: list[Decimal] = []
    for _ in range(6):
        outcome = program.cheapest(time_limit_s=None)
        assert outcome.counts is not None
        costs.append(instance.disk_usd_hr(disaggregate(instance, columns, outcome.counts)))
        assert program.exclude(outcome.counts)
    every = every_plan(instance)
    assert every is not None
    assert costs == sorted(instance.disk_usd_hr(chosen) for chosen, _, _ in every)
    assert program.cheapest(time_limit_s=None).run.status == "infeasible"


def test_a_gap_that_is_allowed_is_in_the_bound() -> None:
    """A solver that may stop early says what it proved, which is never above the optimum."""
    rows = [row(f"p{n}", f"0.000{n + 11}") for n in range(6)]
    volumes: list[Any] = [volume(f"v{n}", 100 + n) for n in range(6)]
    document = demanded(*volumes, policy={"max_provider_share": 0.2})
    instance = instance_of(document, rows)
    _, program = program_of(instance)
    best = program.cheapest(time_limit_s=None)
    assert best.bound_usd_hr is not None
    _, program = program_of(instance)
    near = program.cheapest(time_limit_s=None, gap_usd_hr=0.02)
    assert near.bound_usd_hr is not None
    assert near.run.gap > 0
    assert best.bound_usd_hr - 0.02 <= near.bound_usd_hr <= best.bound_usd_hr * (1 + 1e-9)


def test_the_needed_columns_make_a_smaller_program() -> None:
    """Alike volumes and dominated candidates are variables that the solver need not see."""
    rows = [row("alpha", f"0.000{n}", cloudId=f"c{n}") for n in range(1, 6)] + [row("b", "0.0003")]
    document = demanded(*(volume(f"v{n}") for n in range(10)), policy={"max_provider_share": 0.8})
    instance = instance_of(document, rows)
    sizes = [program_of(instance, needed=needed)[1].size for needed in (True, False)]
    assert sizes[0] == (2, 3)  # two offers; replicas and two providers
    assert sizes[1] == (60, 12)
