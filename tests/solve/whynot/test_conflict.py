"""The smallest conflict: what it says cannot hold cannot, and it can without any one of it."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from planner.demand.read import demand_from
from planner.market.market import addressable
from planner.market.offers import offers_frame
from planner.solve.optimum import optimum
from planner.solve.problem import Instance
from planner.solve.whynot.conflict import can_hold, smallest_conflict
from planner.solve.whynot.requirements import Requirement, only, requirements
from planner.solve.whynot.trials import Bench
from tests.solve import exact, instances
from tests.solve.plans import listings
from tests.solve.whynot.test_relax import NORWAY, X, file_of, row


class World:
    """A random demand and market, and whether some of its requirements can hold together."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        self.rows = instances.coupled_market(rng)
        self.gpus, self.nodes = instances.gpu_market(rng)
        self.demand = demand_from(instances.coupled_demand(rng))
        offers = addressable(offers_frame(self.rows))
        self.instance = Instance.of(self.demand, offers, listings(self.gpus, self.nodes))
        self.bench = Bench(self.instance)

    def can_hold(self, kept: Any) -> bool:
        """Return what the enumeration says, where volumes without replicas have any number."""
        variant, fewest, loose = only(self.demand, kept)
        counts = [range(fewest.get(v.name, v.replicas), v.replicas + 1) for v in variant.volumes]
        for replicas in itertools.product(*counts):
            document = file_of(variant)
            document["workloads"] = [
                *document["workloads"],
                *({**one.model_dump(exclude_none=True), "mounts": []} for one in loose),
            ]
            for volume, count in zip(document["volumes"], replicas, strict=True):
                volume["replicas"] = count
            if exact.best(document, self.rows, self.gpus, self.nodes) is not None:
                return True
        return False


@pytest.mark.parametrize("block", range(2))
def test_a_conflict_cannot_hold_and_holds_without_any_one_of_it(block: int) -> None:
    """The enumeration says so of every smallest conflict of random demands."""
    found = 0
    for seed in range(block * 25, block * 25 + 25):
        world = World(seed)
        if optimum(world.instance, settled=False) is not None:
            continue
        conflict = smallest_conflict(world.bench, world.demand)
        assert conflict is not None
        assert conflict.is_smallest
        found += 1
        kept = set(conflict.requirements)
        assert not world.can_hold(kept), seed
        for one in kept:
            assert world.can_hold(kept - {one}), (seed, one)
    assert found >= 4


def test_no_smaller_conflict_exists() -> None:
    """Of all sets with one requirement less than the conflict, every one can hold."""
    sizes = set()
    for seed in (2, 7, 16, 17, 26, 41, 49):
        world = World(seed)
        conflict = smallest_conflict(world.bench, world.demand)
        assert conflict is not None
        size = len(conflict.requirements)
        sizes.add(size)
        for kept in itertools.combinations(requirements(world.demand), size - 1):
            assert can_hold(world.bench, world.demand, kept)[0], (seed, kept)
    assert sizes >= {1, 2, 3}


def texts(rows: list[Any], *volumes: Any, **rest: Any) -> list[str]:
    demand = demand_from({"version": 1, "volumes": list(volumes), **rest})
    instance = Instance.of(demand, addressable(offers_frame(rows)), None)
    conflict = smallest_conflict(Bench(instance), demand)
    assert conflict is not None
    return [one.text for one in conflict.requirements]


def test_two_wishes_that_exclude_each_other() -> None:
    """Norway is at a, several nodes at b: the security that both have is not to blame."""
    rows = [row("a", "0.0001", isMultinode=False, **NORWAY), row("b", "0.0001")]
    wishes = {"regions": ["eu_north"], "multinode": True, "security": "secure_cloud"}
    assert texts(rows, {**X, **wishes}) == [
        "volume x: only region eu_north",
        "volume x: several nodes must be able to mount it",
    ]


def test_policy_against_a_group() -> None:
    """One provider at most, and two volumes that may not share one."""
    rows = [row("a", "0.0001"), row("b", "0.0001")]
    group = {"volumes": ["x", "y"], "different": "provider"}
    assert texts(rows, X, {**X, "name": "y"}, groups=[group], policy={"max_providers": 1}) == [
        "max_providers is 1",
        "the group of x, y (different provider)",
    ]


def test_what_can_hold_has_no_conflict() -> None:
    """A demand that has a plan gives None, and so does one without what is in conflict."""
    rows = [row("a", "0.0001")]
    demand = demand_from({"version": 1, "volumes": [{**X, "regions": ["mars"]}]})
    bench = Bench(Instance.of(demand, addressable(offers_frame(rows)), None))
    (one,) = [r for r in requirements(demand) if r.field == "regions"]
    assert smallest_conflict(bench, demand, without=[one]) is None
    assert one == Requirement("volume", "x", "regions", value=("mars",))


def test_out_of_questions_a_conflict_may_have_spare_parts_and_says_so() -> None:
    """With no more questions, everything that is asked is the conflict, and it is not proven."""
    demand = demand_from({"version": 1, "volumes": [{**X, "regions": ["mars"]}]})
    bench = Bench(Instance.of(demand, addressable(offers_frame([row("a", "0.0001")])), None))
    bench.allowance.calls = 0
    conflict = smallest_conflict(bench, demand)
    assert conflict is not None
    assert not conflict.is_smallest
    assert not conflict.is_bare
    assert conflict.requirements == tuple(requirements(demand))
