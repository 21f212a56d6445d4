"""Volumes in one place, found without a solver: the cheapest place, and when it does not say."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from planner.solve.common_place import best_common_place
from planner.solve.decompose import solve_scope
from planner.solve.stats import SolveStats
from planner.solve.tiebreak import break_ties
from tests.solve.hand import coupled, demanded, instance_of, providers, row, volume

LEVELS = ["site", "data_center", "provider", "country", "region"]
MARKET = [
    row("alpha", "0.0001", security="secure_cloud"),
    row("beta", "0.0002", isMultinode=True),
    row("gamma", "0.0003", country="NO", region="eu_north"),
    row("gamma", "0.00005", "2", country="NO", region="eu_north", isMultinode=True),
]


def together(level: str, *volumes: dict[str, Any], kind: str = "same") -> dict[str, Any]:
    group = {"volumes": [one["name"] for one in volumes], kind: level}
    return demanded(*volumes, groups=[group])


def test_the_cheapest_place_of_all_members_together() -> None:
    """Alone each would be elsewhere; at one site beta costs least, at one provider gamma."""
    volumes = volume("a", providers=["alpha", "beta", "gamma"]), volume("b", multinode=True)
    expected = {"site": ["gamma"] * 2, "provider": ["gamma"] * 2}
    for level, where in expected.items():
        instance = instance_of(together(level, *volumes), MARKET)
        chosen = best_common_place(instance, instance.whole)
        assert chosen is not None
        assert [one for (one,) in providers(instance, chosen)] == where
    instance = instance_of(together("site", *volumes), MARKET[:3])
    chosen = best_common_place(instance, instance.whole)
    assert chosen is not None
    assert providers(instance, chosen) == [["beta"], ["beta"]]
    assert instance.disk_usd_hr(chosen) == Decimal("0.04")


@pytest.mark.parametrize("level", LEVELS)
def test_it_costs_what_the_solver_finds(level: str) -> None:
    """At every level the place found without a solver is as cheap as the program's."""
    volumes = (
        volume("a"),
        volume("b", 30, multinode=True),
        volume("c", 7, regions=["united_states"]),
    )
    instance = instance_of(together(level, *volumes), MARKET)
    chosen = best_common_place(instance, instance.whole)
    found = solve_scope(instance, instance.whole, SolveStats())
    if found is None:
        assert chosen is None
    else:
        assert chosen is not None
        assert instance.ties[0].holds(instance, chosen)
        assert instance.usd_month(chosen, {}) == found.usd_month


def test_no_place_for_all_is_no_answer() -> None:
    """Where no place has an offer for every member, nothing is made up."""
    volumes = volume("a", providers=["alpha"]), volume("b", multinode=True)
    instance = instance_of(together("site", *volumes), MARKET)
    assert best_common_place(instance, instance.whole) is None


@pytest.mark.slow
def test_what_is_no_single_place_is_left_to_the_solver() -> None:
    """Copies, volumes that must differ, and offers of two regions are not its business."""
    pair = volume("a"), volume("b")
    copies = instance_of(together("site", *pair, volume("c", replicas=2)), MARKET)
    assert best_common_place(copies, copies.whole) is None
    apart = instance_of(together("site", *pair, kind="different"), MARKET)
    assert best_common_place(apart, apart.whole) is None
    twice = [*MARKET, row("alpha", "0.0001", region="eu_north")]
    both = instance_of(together("region", *pair), twice)
    assert best_common_place(both, both.whole) is None
    plain = instance_of(together("site", *pair), twice)
    assert best_common_place(plain, plain.whole) is not None


@pytest.mark.slow
def test_jobs_and_groups_in_one_place_cost_and_rank_as_the_program_says() -> None:
    """Connected volumes of random demands: the same offers as program and tie-breaking take."""
    decided = 0
    for seed in range(60):
        document, rows, gpus, nodes = coupled(seed)
        for each in document["volumes"]:
            each["replicas"] = 1
        instance = instance_of(document, rows, gpus, nodes)
        if document.get("workloads") and instance.rentals is None:
            continue
        for scope in instance.components:
            chosen = best_common_place(instance, scope)
            if chosen is None:
                continue
            best = solve_scope(instance, scope, SolveStats())
            assert best is not None, seed
            assert best.usd_month == instance.usd_month(
                chosen, instance.rent(scope.workloads, chosen) or {}
            )
            decided += bool(scope.workloads)
            assert break_ties(instance, scope, best, SolveStats()).chosen == chosen, seed
    assert decided >= 7
