"""The evaluator: what it takes over from one evaluation to the next changes no answer."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from planner.analysis import evaluator
from planner.analysis.changes import with_demand
from planner.analysis.evaluator import Evaluator, cheaper
from planner.solve.optimum import optimum
from planner.solve.problem import Instance
from tests.analysis.questions import case
from tests.analysis.test_explain import asked
from tests.solve.live_disks import disk, plan

if TYPE_CHECKING:
    from planner.demand.model import Demand

FIELDS: tuple[dict[str, object], ...] = (
    {"security": "any"},
    {"max_disks": 3},
    {"size_gb": 700},
    {"stock": "Low"},
    {"regions": None, "countries": None},
    {"replicas": 1},
)


def _changed(demand: Demand, rng: random.Random) -> Demand:
    """Return a demand with other volumes in another order, maybe without groups and workloads."""
    volumes = [
        volume.model_copy(update=rng.choice(FIELDS)) if rng.random() < 0.5 else volume
        for volume in demand.volumes
    ]
    rng.shuffle(volumes)
    update: dict[str, object] = {"volumes": tuple(volumes)}
    if rng.random() < 0.4:
        update["groups"] = ()
    if rng.random() < 0.3:
        update["workloads"] = ()
    return demand.model_copy(update=update)


def _same(left: Instance, right: Instance) -> bool:
    pairs: list[tuple[Any, Any]] = [
        (left.pairs.broken, right.pairs.broken),
        (left.pairs.disks, right.pairs.disks),
    ]
    pairs += [(left.pairs.provision_gb, right.pairs.provision_gb)]
    if left.rentals is not None and right.rentals is not None:
        pairs += [(left.rentals.broken, right.rentals.broken)]
        pairs += [(left.rentals.meets, right.rentals.meets)]
        assert left.rentals.mounts == right.rentals.mounts
        assert left.rentals.hours == right.rentals.hours
    return (
        all(np.array_equal(here, there) for here, there in pairs)
        and left.pairs.volumes == right.pairs.volumes
        and left.pairs.mounted == right.pairs.mounted
        and (left.rentals is None) == (right.rentals is None)
        and left.kept == right.kept
    )


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(25))
def test_a_changed_demand_is_as_if_made_from_the_start(seed: int) -> None:
    """Pairs and rentals that are taken over are those that would be computed."""
    made = case(seed)
    if made is None:
        return
    before = made.evaluator.instance
    rng = random.Random(seed)
    for _ in range(5):
        demand = _changed(before.demand, rng)
        after = with_demand(before, demand)
        gpus = None if before.rentals is None else before.rentals.gpus
        assert _same(after, Instance.of(demand, before.pairs.offers, gpus))
        before = after if after.rentals is not None or gpus is None else before


def test_existing_disks_stay_with_a_changed_demand() -> None:
    """What is kept keeps its price and its volume; the other volume is held against the market."""
    volumes: list[dict[str, Any]] = [{"name": "a", "disks": ["disk-0001"]}, {"name": "b"}]
    made = plan(volumes, disk("disk-0001", usd_hr="0.0371"))
    before, (first, second) = made.instance, made.demand.volumes
    smaller = second.model_copy(update={"size_gb": 70})
    demand = made.demand.model_copy(update={"volumes": (smaller, first)})
    after = with_demand(before, demand)
    assert _same(after, Instance.of(demand, made.market.addressable, None, made.kept))
    best = optimum(after)
    assert best is not None
    assert best.chosen[1] == [before.kept[0][1]]


def test_nothing_is_solved_where_the_bound_is_not_below(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no plan can cost less than an amount, the dual bound says so without an optimum."""
    instance = asked({"name": "x", "size_gb": 100}).evaluator.instance
    best = optimum(instance)
    assert best is not None
    more = best.usd_month * 2
    rival = cheaper(instance, more)
    assert rival is not None
    assert rival.usd_month == best.usd_month
    monkeypatch.setattr(evaluator, "optimum", None)
    assert cheaper(instance, best.usd_month) is None


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(25))
def test_cheaper_is_the_optimum_where_that_costs_less(seed: int) -> None:
    """The bound never hides a plan: an amount a little above the optimum gives the optimum."""
    made = case(seed)
    if made is None:
        return
    instance = replace(made.evaluator.instance)
    usd_month = made.evaluator.usd_month
    assert cheaper(instance, usd_month) is None
    rival = cheaper(instance, usd_month * 2)
    assert rival is not None
    assert rival.usd_month == usd_month


def test_parts_are_solved_once_for_all_answers() -> None:
    """What one evaluation needs of the other parts is there for the next."""
    made = asked({"name": "x", "size_gb": 100}, {"name": "y", "size_gb": 200}).evaluator
    assert isinstance(made, Evaluator)
    assert made.part(0) is made.part_of(0)
    assert made.members == [((0,), ()), ((1,), ())]
