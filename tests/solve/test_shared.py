"""Volumes in one place, found without a solver: the cheapest place, and when it does not say."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from planner.solve.decompose import solve_scope
from planner.solve.presolve import merge_same_site_groups
from planner.solve.stats import SolveStats
from tests.solve.hand import demanded, instance_of, providers, row, volume

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
        chosen = merge_same_site_groups(instance, instance.ties[0])
        assert chosen is not None
        assert [one for (one,) in providers(instance, chosen)] == where
    instance = instance_of(together("site", *volumes), MARKET[:3])
    chosen = merge_same_site_groups(instance, instance.ties[0])
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
    chosen = merge_same_site_groups(instance, instance.ties[0])
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
    assert merge_same_site_groups(instance, instance.ties[0]) is None


@pytest.mark.slow
def test_what_is_no_single_place_is_left_to_the_solver() -> None:
    """Copies, volumes that must differ, and offers of two regions are not its business."""
    pair = volume("a"), volume("b")
    copies = instance_of(together("site", *pair, volume("c", replicas=2)), MARKET)
    assert merge_same_site_groups(copies, copies.ties[0]) is None
    apart = instance_of(together("site", *pair, kind="different"), MARKET)
    assert merge_same_site_groups(apart, apart.ties[0]) is None
    twice = [*MARKET, row("alpha", "0.0001", region="eu_north")]
    both = instance_of(together("region", *pair), twice)
    assert merge_same_site_groups(both, both.ties[0]) is None
    plain = instance_of(together("site", *pair), twice)
    assert merge_same_site_groups(plain, plain.ties[0]) is not None
