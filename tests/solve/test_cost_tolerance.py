"""--cost-slack: stock first, then the fewest sites there can be, and never a cent too much."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from planner.solve.cost_tolerance import with_slack
from planner.solve.optimum import Optimum, optimum
from tests.solve.hand import (
    coupled,
    demanded,
    every_plan,
    instance_of,
    penalty,
    providers,
    row,
    violations,
    volume,
)

if TYPE_CHECKING:
    from planner.solve.problem import Chosen, Instance


def slackened(instance: Instance, percent: str) -> Optimum:
    found = optimum(instance)
    assert found is not None
    return with_slack(instance, found, Decimal(percent))


def sites(instance: Instance, chosen: Chosen) -> int:
    return len({instance.sites[o] for offers in chosen.values() for o in offers})


@pytest.mark.slow
def test_stock_then_sites_then_cost_are_least_within_the_slack() -> None:
    """Of every plan that costs at most so much more, enumerated: the first by these three."""
    compared, moved = 0, Counter[str]()
    for seed in range(8000, 8040):
        instance = instance_of(*coupled(seed))
        found = optimum(instance)
        plans = every_plan(instance, at_most=None if found is None else found.usd_month * 2)
        if found is None or not plans:
            continue
        compared += 1
        for percent in ("0.5", "5", "40"):
            most = found.usd_month * (1 + Decimal(percent) / 100)
            first = min(
                (penalty(instance, chosen), sites(instance, chosen), cost)
                for chosen, _, cost in plans
                if cost <= most
            )
            best = with_slack(instance, found, Decimal(percent))
            got = penalty(instance, best.chosen), sites(instance, best.chosen), best.usd_month
            assert (seed, percent, got) == (seed, percent, first)
            assert best.bound_month == found.usd_month
            assert violations(instance, best.chosen, best.rented) == ()
            moved[percent] += best.chosen != found.chosen
    assert compared >= 20
    assert moved["0.5"] >= 2
    assert min(moved["5"], moved["40"]) >= 5


MARKET = [
    row("alpha", "0.0001"),
    row("beta", "0.000099", spec={"maxCount": 50}),
    row("gamma", "0.000105", isMultinode=True),
]
VOLUMES = (volume("a", 50), volume("b", 100), volume("c", 100, multinode=True))


def test_three_sites_become_two_and_one_as_more_may_be_spent() -> None:
    """A site each is $0.02545 an hour; alpha for a is 0.2 % more, gamma for all 3.14 %."""
    instance = instance_of(demanded(*VOLUMES), MARKET)
    for percent, expected in (
        ("0.1", ["beta", "alpha", "gamma"]),
        ("0.2", ["alpha", "alpha", "gamma"]),
        ("3.1", ["alpha", "alpha", "gamma"]),
        ("3.2", ["gamma", "gamma", "gamma"]),
    ):
        best = slackened(instance, percent)
        assert [one for (one,) in providers(instance, best.chosen)] == expected, percent


def test_stock_comes_before_sites() -> None:
    """What may be spent goes to better stock, though it takes a site more."""
    rows = [row("alpha", "0.0001", stockStatus="Low"), row("beta", "0.000101", isMultinode=True)]
    rows += [row("gamma", "0.0001005", spec={"maxCount": 50})]
    instance = instance_of(demanded(volume("a", 50), volume("b", 100)), rows)
    assert sites(instance, slackened(instance, "0.3").chosen) == 2
    best = slackened(instance, "0.9")
    assert [one for (one,) in providers(instance, best.chosen)] == ["gamma", "beta"]
    assert penalty(instance, best.chosen) == 0


def test_a_slack_that_is_met_exactly_is_enough() -> None:
    """A plan that costs the last decimal of what is allowed is within it; one more is not."""
    rows = [row("alpha", "0.0001", stockStatus="Low"), row("beta", "0.000125")]
    instance = instance_of(demanded(volume("a")), rows)
    expected: dict[str, Any] = {"25": "beta", "24.99999999": "alpha"}
    for percent, name in expected.items():
        assert providers(instance, slackened(instance, percent).chosen) == [[name]]
