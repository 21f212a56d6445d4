"""The optimum near another: as good as the program of the whole, from few of its columns."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pytest

import planner
from planner.analysis.changes import edited, excluding, forbid, force, including
from planner.analysis.evaluator import Evaluator, SearchBudget
from planner.analysis.nearby import Nearby, _lowered
from planner.analysis.sensitivity import prices
from planner.demand.read import demand_from
from planner.market.market import addressable
from planner.schema import records
from planner.solve.candidates import BIT
from planner.solve.optimum import optimum
from planner.solve.problem import Instance
from tests.analysis.questions import case
from tests.benchmarks.beside import market
from tests.benchmarks.instances import Size, fleet

if TYPE_CHECKING:
    from collections.abc import Callable

    from planner.demand.model import Demand
    from planner.solve.optimum import Optimum

LIFTED = ("stock", "security", "multinode", "region", "provider")


@pytest.mark.slow
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


def coupled(share: str) -> tuple[Instance, Optimum]:
    """Return volumes under a share, budgets and a group, and their plan."""
    document, offers = fleet(Size(7, 18)), market(18)
    for n, volume in enumerate(document["volumes"]):
        volume |= {"owner": f"team-{n % 2}", "replicas": 1 + (n % 4 == 3)}
    document["groups"] = [{"volumes": [f"v-{n}" for n in (0, 1, 2)], "same": "site"}]
    document["policy"] = {"max_provider_share": share}
    spent = dict.fromkeys(("team-0", "team-1"), Decimal(0))
    for placement in planner.plan(demand_from(document), offers).placements:
        spent[str(placement.owner)] += placement.usd_hr * 730
    document["policy"]["budgets"] = {owner: f"{usd + 20:.2f}" for owner, usd in spent.items()}
    instance = Instance.of(demand_from(document), addressable(offers, exact=True), None)
    plan = optimum(instance)
    assert plan is not None
    return instance, plan


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_what_is_known_without_a_program_holds_the_optimum(seed: int) -> None:
    """Share, budgets and a group: bounds and repairs of every change enclose its optimum."""
    rng, asked, near = random.Random(seed), 0, 0
    instance, plan = coupled(rng.choice(["0.4", "0.5"]))
    nearby = Nearby(instance, plan)
    for v in rng.sample(range(7), 2):
        volume = instance.volumes[v]
        here, other = plan.chosen[v][0], rng.randrange(18)
        changes = [excluding(volume.name, here), including(volume.name, other)]
        changes += [edited(_lifted(volume.name, name)) for name in ("owner", "providers")]
        for change in changes:
            changed = change(instance)
            best, bracket = optimum(changed, tie_break=False), nearby.bracket(changed)
            if best is None:
                assert bracket.best is None
                continue
            usd_hr = float(best.usd_month) / 730
            assert bracket.least_usd_hr <= usd_hr
            assert bracket.best is None or bracket.best.usd_month >= best.usd_month
            found = nearby.best(changed)
            assert found is not None
            assert found.usd_month == best.usd_month
            near += bracket.best is not None
            asked += 1
    assert asked >= near > 3


def test_where_there_is_no_plan_the_bound_stays_infinite() -> None:
    """Infinity less a part of itself is no number, and a change without a plan was searched for."""
    assert _lowered(np.inf) == np.inf
    assert 0.9999 < _lowered(1.0) < 1


def _lifted(name: str, field: str) -> Callable[[Demand], Demand]:
    def edit(demand: Demand) -> Demand:
        volumes = tuple(
            volume.model_copy(update={field: None}) if volume.name == name else volume
            for volume in demand.volumes
        )
        return demand.model_copy(update={"volumes": volumes})

    return edit


@pytest.mark.slow
def test_what_is_known_of_a_price_holds_the_threshold() -> None:
    """No plan is cheaper before the proven price; at that of the rival one is."""
    instance, plan = coupled("0.5")
    many = Evaluator(instance, plan.chosen, plan.rented, SearchBudget(0))
    every = Evaluator(instance, plan.chosen, plan.rented)
    used = {o for at in plan.chosen.values() for o in at}
    offers = [*sorted(used)[:2], *sorted({*range(18)} - used)[:2]]
    quick, exact = (records(prices(each, offers)) for each in (many, every))
    thresholds = {row["offer_id"]: row["threshold_usd_gb_hr"] for row in exact}
    known = 0
    for row in quick:
        threshold, up = thresholds[row["offer_id"]], 1 if row["chosen"] else -1
        if threshold is not None:
            assert up * row["proven_usd_gb_hr"] <= up * threshold + Decimal("1e-9")
            rival = row["threshold_usd_gb_hr"]
            assert rival is None or up * rival >= up * threshold - Decimal("1e-12")
            known += 1
    assert known
