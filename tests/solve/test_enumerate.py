"""The cheapest solutions by enumeration, against all that there are."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from planner.solve import enumerate as enumerate_
from planner.solve.dual import Coupled, Lagrangian, Taken
from planner.solve.enumerate import MORE_WORK, Enumeration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

PLACES = 3


def units(seed: int) -> Coupled:
    """Return units with one or two replicas, apart or not, and units of two members in one place.

    They are held in three places, each of which has room for a part of all, and take a budget.
    """
    rng = random.Random(seed)
    columns, counts, mosts = [], [], []
    for k in range(rng.randint(2, 5)):
        kind = rng.choice(["single", "single", "apart", "together", "members"])
        counts.append(2 if kind in {"apart", "together"} else 1)
        mosts.append(1 if kind != "together" else 2)
        for member in (1, 2) if kind == "members" else (0,):
            size = rng.randint(1, 9)
            columns += [
                (k, place, member, size * rng.randint(4, 8), size)
                for place in range(PLACES)
                for _ in range(rng.choice([1, 1, 2]))
            ]
    unit, domain, member, usd_hr, size = np.array(columns).T
    room = float(rng.choice([0.4, 0.5, 0.7]))
    limits = np.zeros((PLACES + 1, PLACES + 1))
    limits[:PLACES, :PLACES] = np.eye(PLACES) - room
    limits[PLACES, PLACES] = 1
    budget = rng.choice([1e9, 0.3 * usd_hr.sum()])
    return Coupled(
        unit=unit,
        domain=domain,
        member=member,
        usd_hr=usd_hr.astype(float),
        count=np.array(counts),
        most=np.array(mosts),
        taken=(
            Taken(domain, size.astype(float)),
            Taken(np.full(len(unit), PLACES), usd_hr.astype(float)),
        ),
        limits=limits,
        right=np.array([0.0] * PLACES + [budget]),
    )


def every(coupled: Coupled) -> Iterator[NDArray[np.int64]]:
    """Yield the counts of every solution."""
    each = []
    for k, (count, most) in enumerate(zip(coupled.count, coupled.most, strict=True)):
        mine = np.flatnonzero(coupled.unit == k).tolist()
        members = {*coupled.member[mine].tolist()}
        ways = itertools.combinations_with_replacement(mine, int(count) * len(members))
        each.append([way for way in ways if _is_allowed(coupled, way, int(most), members)])
    for chosen in itertools.product(*each):
        counts = np.zeros(len(coupled.unit), np.int64)
        np.add.at(counts, list(itertools.chain(*chosen)), 1)
        if (coupled.limits @ coupled.take(counts.astype(float)) <= coupled.right + 1e-9).all():
            yield counts


def _is_allowed(coupled: Coupled, way: tuple[int, ...], most: int, members: set[int]) -> bool:
    domains = coupled.domain[list(way)].tolist()
    if members != {0}:
        return len({*domains}) == 1 and {*coupled.member[list(way)].tolist()} == members
    return all(domains.count(domain) <= most for domain in domains)


@pytest.mark.parametrize("seed", range(60))
def test_all_solutions_of_least_cost_are_listed(seed: int) -> None:
    """What is not listed is dearer; a solution far from the bound may be missed."""
    coupled = units(seed)
    dual = Lagrangian(coupled)
    best = dual.best()
    solutions = [*every(coupled)]
    if best is None:
        assert not solutions
        return
    listed = Enumeration(dual, best.prices).cheapest(MORE_WORK)
    least = min((counts @ coupled.usd_hr for counts in solutions), default=np.inf)
    if listed is None:
        assert least > 1.3 * dual.bound(best.prices)
        return
    cheapest = [counts for counts in solutions if counts @ coupled.usd_hr <= least + 1e-9]
    assert listed.columns.tolist() == (np.sum(cheapest, axis=0) > 0).tolist()
    assert {tuple(counts.tolist()) for counts in listed.counts} <= {
        tuple(counts.tolist()) for counts in cheapest
    }
    assert len(listed.counts)


def test_too_many_ways_are_given_up_and_more_work_goes_on() -> None:
    """The work is bounded, and what is not looked at to the end proves nothing."""
    coupled = next(each for each in map(units, range(60)) if len(each.unit) > 15)
    dual = Lagrangian(coupled)
    best = dual.best()
    assert best is not None
    whole, enumeration = Enumeration(dual, best.prices), Enumeration(dual, best.prices)
    assert enumeration.cheapest(10) is None
    assert enumeration.is_open
    more, every_ = enumeration.cheapest(MORE_WORK), whole.cheapest(MORE_WORK)
    assert more is not None
    assert every_ is not None
    assert more.columns.tolist() == every_.columns.tolist()
    assert not enumeration.is_open


def test_where_most_ways_cost_nothing_they_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more work would help soon."""
    coupled = next(each for each in map(units, range(60)) if len(each.unit) > 15)
    dual = Lagrangian(coupled)
    best = dual.best()
    assert best is not None
    monkeypatch.setattr(enumerate_, "_FIRST_WORK", 10)
    enumeration = Enumeration(dual, best.prices)
    assert enumeration.cheapest(MORE_WORK) is None
    assert not enumeration.is_open
