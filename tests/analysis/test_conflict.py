"""The conflict: what it says cannot hold cannot, and nothing in it can be left out."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from planner.analysis.conflict import ConflictSearch
from planner.analysis.evaluator import SearchBudget
from planner.analysis.needs import Catalogue
from planner.analysis.relax import Offers
from planner.analysis.relaxation import relaxed
from planner.demand.read import demand_from
from planner.market.market import addressable
from planner.market.offers import offers_frame
from tests.analysis.oracle import World
from tests.analysis.test_relax import NORWAY, X, row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from planner.analysis.conflict import Requirement
    from planner.requirements.field import Step


def conflicts(offers: Offers, demand: Any, calls: float = 1000) -> list[Any]:
    """Return every conflict of a demand, and whether it is irreducible."""
    catalogue = Catalogue(offers.instance(demand))
    return list(ConflictSearch(catalogue, SearchBudget(calls)).conflicts(set(), 20))


def can_hold(world: World, kept: Iterable[Requirement]) -> bool:
    """Return whether some of a world's requirements can hold, by trying every relaxation.

    Fewer replicas may be in the way of a group or a share, so every number of them is tried.
    """
    keys = {one.key for one in kept}
    steps = [step for step in world.steps() if step.requirement not in keys]
    fewer = [step for step in steps if step.field == "replicas"]
    others = frozenset(step for step in steps if step.field != "replicas")
    return any(
        world.is_feasible(relaxed(world.demand, others | chosen)) for chosen in _lowered(fewer)
    )


def _lowered(fewer: list[Step]) -> Iterator[frozenset[Step]]:
    names = sorted({step.name for step in fewer})
    counts = [range(sum(step.name == name for step in fewer) + 1) for name in names]
    for down in itertools.product(*counts):
        most = dict(zip(names, down, strict=True))
        yield frozenset(step for step in fewer if step.value <= most[step.name])


def hold_irreducible(world: World, seed: int) -> int:
    """Assert that every conflict of a world is irreducible, and return how many there are."""
    found = conflicts(world.offers, world.demand)
    for conflict, is_irreducible in found:
        assert is_irreducible
        assert (seed, can_hold(world, conflict)) == (seed, False)
        for one in conflict:
            rest = [other for other in conflict if other is not one]
            assert (seed, one.text, can_hold(world, rest)) == (seed, one.text, True)
    return len(found)


@pytest.mark.slow
def test_conflicts_are_irreducible() -> None:
    """Brute force says so of random demands, with lists and levels and with all that couples."""
    count = 0
    for seed in range(30):
        for world in (World.of_lists(seed), World.coupled(seed)):
            world.demand = world.demand.model_copy(update={"workloads": ()})
            if not world.is_feasible(world.demand):
                count += hold_irreducible(world, seed)
    assert count >= 15


def texts(rows: list[Any], *volumes: Any, **rest: Any) -> list[list[str]]:
    demand = demand_from({"version": 1, "volumes": list(volumes), **rest})
    found = conflicts(Offers(addressable(offers_frame(rows), exact=True), None), demand)
    return [[one.text for one in conflict] for conflict, _ in found]


def test_two_wishes_that_exclude_each_other() -> None:
    """Norway is at a, several nodes at b: the security that both have is not to blame."""
    rows = [row("a", "0.0001", isMultinode=False, **NORWAY), row("b", "0.0001")]
    wishes = {"regions": ["eu_north"], "multinode": True, "security": "secure_cloud"}
    assert texts(rows, {**X, **wishes}) == [
        ["`regions: [eu_north]` on x", "`multinode: true` on x"]
    ]


def test_policy_against_a_group() -> None:
    """One provider at most, and two volumes that may not share one."""
    rows = [row("a", "0.0001"), row("b", "0.0001")]
    group = {"volumes": ["x", "y"], "different": "provider"}
    assert texts(rows, X, {**X, "name": "y"}, groups=[group], policy={"max_providers": 1}) == [
        ["`max_providers: 1`", "group x, y (different provider)"]
    ]


def test_conflicts_share_no_requirement() -> None:
    """Two volumes in places that do not exist are two conflicts of one requirement each."""
    volumes = [{**X, "name": name, "regions": ["mars"]} for name in "xy"]
    assert texts([row("a", "0.0001")], *volumes) == [
        ["`regions: [mars]` on x"],
        ["`regions: [mars]` on y"],
    ]


def test_what_can_hold_has_no_conflict() -> None:
    """A demand that has a plan has none."""
    assert texts([row("a", "0.0001")], X) == []


def test_facts_alone_are_an_empty_conflict() -> None:
    """Out of stock is a fact: no requirement is to blame."""
    assert texts([row("a", "0.0001", stockStatus="Unavailable")], X) == [[]]


def test_out_of_work_a_conflict_is_not_said_to_be_irreducible() -> None:
    """With one call of the solver for the filter and none for the proof, it says so."""
    rows = [row("a", "0.0001", isMultinode=False, **NORWAY), row("b", "0.0001")]
    demand = demand_from(
        {"version": 1, "volumes": [{**X, "regions": ["eu_north"], "multinode": True}]}
    )
    offers = Offers(addressable(offers_frame(rows), exact=True), None)
    ((conflict, is_irreducible),) = conflicts(offers, demand, calls=1)
    assert conflict
    assert not is_irreducible
