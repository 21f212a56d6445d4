"""Volumes that nothing ties: their own least choice answers what a program of all would."""

from __future__ import annotations

import random

import pytest
from pandas.testing import assert_frame_equal

from planner.analysis.evaluator import Evaluator
from planner.analysis.explain import choices, offers, requirements
from planner.demand.read import demand_from
from planner.market.market import addressable
from planner.solve.optimum import optimum
from planner.solve.problem import Instance
from tests.benchmarks.beside import market
from tests.benchmarks.instances import Size, fleet

POLICIES = [
    {},
    {"budgets": {"ada": 10**6}, "max_provider_share": "0.9", "max_disks_per_site": 9},
    {"max_provider_share": "0.61"},
]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_free_volume_is_answered_as_if_it_were_solved(policy: dict[str, object]) -> None:
    """Some choices move once and some twice; some policies leave room for all of them."""
    rng = random.Random(2)
    document = fleet(Size(6, 18, seed=5, wishes=0.15)) | {"policy": policy}
    for volume in document["volumes"]:
        volume["owner"] = rng.choice(["ada", "bo"])
        volume["replicas"] = rng.choice([1, 1, 2, 3])
        volume["spread"] = rng.choice(["provider", "data_center", "none"])
    instance = Instance.of(demand_from(document), addressable(market(18), exact=True), None)
    plan = optimum(instance)
    assert plan is not None
    free, solved = (Evaluator(instance, plan.chosen, {}) for _ in range(2))
    vars(solved)["_free"] = None
    assert_frame_equal(choices(free, range(6)), choices(solved, range(6)))
    assert_frame_equal(offers(free, [0, 3]), offers(solved, [0, 3]))
    assert_frame_equal(requirements(free), requirements(solved))
