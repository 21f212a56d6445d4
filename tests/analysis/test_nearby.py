"""The optimum near another: as good as the program of the whole, from few of its columns."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from planner.analysis.changes import forbid, force
from planner.analysis.nearby import Nearby
from planner.solve.candidates import BIT
from planner.solve.optimum import optimum
from tests.analysis.questions import case

LIFTED = ("stock", "security", "multinode", "region", "provider")


@pytest.mark.parametrize("block", range(2))
def test_a_changed_instance_has_the_optimum_of_its_whole_program(block: int) -> None:
    """Offers taken away from a volume, required for it, or opened to it."""
    asked = 0
    for seed in range(block * 12 + 1, block * 12 + 13):
        made = case(seed)
        if made is None or not made.evaluator.instance.requirements:
            continue
        rng, instance = random.Random(seed), made.evaluator.instance
        plan = optimum(instance)
        assert plan is not None
        nearby = Nearby(instance, plan)
        assert nearby.base.usd_month == plan.usd_month
        for v in range(len(instance.volumes)):
            free = instance.pairs.broken.copy()
            free[v] &= ~np.uint32(BIT[rng.choice(LIFTED)])
            some = rng.choice(np.flatnonzero(instance.pairs.broken[v] == 0).tolist())
            opened = replace(instance, pairs=replace(instance.pairs, broken=free))
            for other in (forbid(instance, v, [some]), force(instance, v, [some]), opened):
                if nearby.is_near(other):
                    best, whole = nearby.best(other), optimum(other, tie_break=False)
                    costs = [each and each.usd_month for each in (best, whole)]
                    assert costs[0] == costs[1], (seed, v)
                    asked += 1
    assert asked > 10
