"""Requirements on the whole plan, each held against an enumeration."""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from planner.demand.model import Policy
from planner.demand.read import demand_from
from planner.errors import Infeasible
from planner.requirements.policy import KINDS, policy_requirements, without_limits
from planner.solve.optimum import optimum
from tests.solve import exact
from tests.solve.hand import coupled, instance_of, row, violations, volume

ALL = Policy(
    budget_usd_month=Decimal(900),
    budgets={"ada": Decimal(600)},
    max_sites=3,
    max_providers=2,
    max_disks_per_site=4,
    max_provider_share=Decimal("0.7"),
)


def test_every_limit_of_a_policy_is_a_requirement() -> None:
    """Each can be lifted alone, and without all of them a policy asks nothing."""
    asked = policy_requirements(ALL)
    assert {type(one) for one in asked} == set(KINDS)
    assert len(asked) == 6
    for one in asked:
        left = policy_requirements(one.lifted(ALL))
        assert [other.text for other in left] == [other.text for other in asked if other != one]
    assert without_limits(ALL) == Policy()


@pytest.mark.slow
@pytest.mark.parametrize("block", range(3))
def test_disks_per_site_equal_the_enumeration(block: int) -> None:
    """With every other constraint mixed in: the enumerated optimum, or none at all."""
    feasible = 0
    for seed in range(block * 25, block * 25 + 25):
        document, rows, gpus, nodes = coupled(seed)
        document["policy"]["max_disks_per_site"] = random.Random(seed).choice([1, 2, 2, 3])
        expected = exact.best(document, rows, gpus, nodes)
        instance = instance_of(document, rows, gpus, nodes)
        solution = optimum(instance)
        if expected is None:
            assert (seed, solution) == (seed, None)
            continue
        feasible += 1
        assert solution is not None, seed
        assert (seed, Fraction(solution.usd_month)) == (seed, expected[0])
        assert (seed, violations(instance, solution.chosen, solution.rented)) == (seed, ())
    assert feasible >= 5


@pytest.mark.slow
def test_too_many_disks_at_a_site_are_spread_or_said() -> None:
    """Two disks and one a site take a second site; with one site there is no plan, and why."""
    import planner
    from planner.market.offers import offers_frame

    rows = [row("alpha", "0.0001"), row("beta", "0.0002")]
    asked: dict[str, Any] = {
        "version": 1,
        "volumes": [volume("a"), volume("b")],
        "policy": {"max_disks_per_site": 1},
    }
    plan = planner.plan(demand_from(asked), offers_frame(rows))
    assert {one.provider for one in plan.placements} == {"alpha", "beta"}
    with pytest.raises(Infeasible) as caught:
        planner.plan(demand_from(asked), offers_frame(rows[:1]))
    assert "max_disks_per_site" in str(caught.value)
    (change,) = caught.value.relaxations
    assert change.changes[0]["to"] == 2


def test_a_limit_that_is_not_asked_leaves_plan_ids_as_they_were() -> None:
    """A field that came later is in a demand's document only where it is asked."""
    stated = {"version": 1, "volumes": [{"name": "a", "size": "1 TB"}]}
    assert "max_disks_per_site" not in demand_from(stated).to_document()["policy"]
    asked = demand_from({**stated, "policy": {"max_disks_per_site": 2}})
    assert asked.to_document()["policy"]["max_disks_per_site"] == 2
    assert type(asked).from_document(asked.to_document()) == asked
