"""Of equally cheap plans the first one: better stock, more popular sites, least create keys."""

from __future__ import annotations

import random
from typing import Any

import pytest

from planner.solve import tiebreak
from planner.solve.decompose import counts_of, solve_scope
from planner.solve.optimum import optimum
from planner.solve.stats import SolveStats
from planner.solve.tiebreak import break_ties, levels
from tests.solve.hand import (
    coupled,
    demanded,
    every_plan,
    instance_of,
    penalty,
    providers,
    row,
    volume,
)


def tied(seed: int) -> tuple[Any, ...]:
    """Return a random coupled instance in which most offers cost the same."""
    document, rows, gpus, nodes = coupled(seed)
    for one in rows:
        one["spec"] |= {"pricePerUnit": 0.0001, "minCount": 0, "step": 1, "maxCount": None}
    for one in [*gpus, *nodes]:
        one["prices"] |= {"onDemand": 1, "communityPrice": None}
    document["policy"].pop("budget_usd_month", None)
    document["policy"].pop("budgets", None)
    return document, rows, gpus, nodes


@pytest.mark.slow
@pytest.mark.parametrize("block", range(3))
def test_the_settled_plan_is_the_first_of_all_that_cost_the_least(block: int) -> None:
    """Enumerating every plan and ranking it by the words of the design gives the same choice."""
    compared, solved = 0, 0
    for seed in range(6000 + block * 40, 6040 + block * 40):
        instance = instance_of(*tied(seed))
        found = optimum(instance)
        plans = every_plan(instance, at_most=None if found is None else found.usd_month)
        if found is None or plans is None:
            assert not plans, seed
            continue
        least = min(cost for _, _, cost in plans)
        equal = [chosen for chosen, _, cost in plans if cost == least]
        ranked = [
            (
                penalty(instance, chosen),
                -sum(int(instance.tied_volumes[o]) for offers in chosen.values() for o in offers),
                [chosen[v] for v in sorted(chosen)],
            )
            for chosen in equal
        ]
        assert (seed, found.usd_month) == (seed, least)
        assert (seed, list(found.chosen.values())) == (seed, min(ranked)[-1])
        compared += len(equal) > 1
        solved += bool(found.stats.runs)
    assert compared >= 10
    assert solved >= 5


P, Q = "papa", "quebec"


def market(**at_p: Any) -> list[dict[str, Any]]:
    """Return offers at which 50 + 100 GB cost the same at either provider, and neither is split.

    Papa sells small disks at 1 and large ones at 2; Quebec small ones at 2 and large ones at 1.5.
    """
    small, large = {"maxCount": 50}, {"minCount": 90}
    return [
        row(P, "0.0001", cloudId="small", spec=small),
        row(P, "0.0002", cloudId="large", spec=large, **at_p),
        row(Q, "0.0002", cloudId="small", spec=small),
        row(Q, "0.00015", cloudId="large", spec=large),
    ]


TOGETHER: dict[str, dict[str, Any]] = {
    "by place": {"groups": [{"volumes": ["a", "b"], "same": "provider"}]},
    "by solver": {
        "groups": [
            {"volumes": ["a", "b"], "same": "provider"},
            {"volumes": ["a", "b"], "same": "country"},
        ]
    },
}


@pytest.mark.sweep
@pytest.mark.parametrize("how", TOGETHER)
def test_a_tie_of_two_providers_ends_with_the_key_then_popularity_then_stock(how: str) -> None:
    """50 and 100 GB together cost $0.025 an hour at either: what comes first is worked out here."""
    pair = (volume("a", 50), volume("b", 100))

    def at(document: dict[str, Any], **at_p: Any) -> list[list[str]]:
        instance = instance_of(document, market(**at_p))
        found = optimum(instance)
        assert found is not None
        assert bool(found.stats.runs) == (how == "by solver")
        assert instance.disk_usd_hr({v: found.chosen[v] for v in (0, 1)}) * 1000 == 25
        return providers(instance, found.chosen)[:2]

    assert at(demanded(*pair, **TOGETHER[how])) == [[P], [P]]  # papa is the lesser key
    more = demanded(*pair, volume("c", 100), **TOGETHER[how])  # c is cheapest at quebec
    assert at(more) == [[Q], [Q]]
    loved = demanded(*pair, volume("c", 50), **TOGETHER[how])  # c is cheapest at papa
    assert at(loved) == [[P], [P]]
    assert at(loved, stockStatus="Low") == [[Q], [Q]]


def test_what_is_settled_already_is_left_alone() -> None:
    """Where each volume has one candidate left, no program is made of it."""
    document = demanded(volume("a", 10, providers=[P]), policy={"max_sites": 1})
    instance = instance_of(document, [row(P, "0.0001"), row(Q, "0.0001")])
    stats = SolveStats()
    found = solve_scope(instance, instance.whole, stats)
    assert found is not None
    before = len(stats.runs)
    assert break_ties(instance, instance.whole, found, stats) is found
    assert len(stats.runs) <= before + 1  # the relaxation that says which columns are alive


def test_levels_weigh_stock_then_popularity_then_the_keys_of_each_volume() -> None:
    """The levels of the first choice are what they say, and only keys rank within a volume."""
    document = demanded(volume("a", 50), volume("b", 100), **TOGETHER["by solver"])
    instance = instance_of(document, market(stockStatus="Low"))
    stats = SolveStats()
    found = solve_scope(instance, instance.whole, stats)
    assert found is not None
    assert found.columns is not None
    stock, tied_volumes, *keys = levels(instance, found.columns)
    counts = counts_of(found.columns, found.chosen)
    assert stock @ counts == penalty(instance, found.chosen)
    assert -tied_volumes @ counts == sum(instance.tied_volumes[o] for (o,) in found.chosen.values())
    assert len(keys) == 2
    for k, weights in enumerate(keys):
        assert (weights[found.columns.unit != k] == 0).all()
        assert sorted(weights[found.columns.unit == k]) == list(range(2))


def test_ties_of_many_columns_are_searched_for_where_two_replicas_can_move_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Equal sizes end as in any search; where no two moves cancel out, no solver is asked."""
    searched, unasked = 0, 0
    for seed in range(8):
        rng = random.Random(seed)
        rows = [
            row(f"p{n % 3}", f"0.000{rng.choice([1, 2, 3])}", str(n), stockStatus=stock)
            for n, stock in enumerate(rng.choices(["Low", "High"], k=6))
        ]
        sizes = rng.choice([[100] * 6, [101, 203, 407, 811, 1613, 3217]])
        volumes = [volume(f"v{n}", size, owner=f"o{n}") for n, size in enumerate(sizes)]
        instance = instance_of(
            demanded(*volumes, policy={"max_sites": 3, "max_disks_per_site": 3}), rows
        )
        found = solve_scope(instance, instance.whole, SolveStats())
        assert found is not None
        chosen = []
        for searched_up_to in (0, 10**9):
            monkeypatch.setattr(tiebreak, "_SEARCHED", searched_up_to)
            stats = SolveStats()
            chosen.append(break_ties(instance, instance.whole, found, stats).chosen)
            if not searched_up_to:
                unasked += len(stats.runs) <= 1
                searched += len(stats.runs) > 1
        assert chosen[0] == chosen[1], seed
    assert searched >= 2
    assert unasked >= 1
