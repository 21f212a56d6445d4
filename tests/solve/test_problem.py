"""What is to be solved: components, ties, whether a choice holds, and which GPUs it reaches."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from planner.requirements.group import GroupConstraint
from planner.solve.problem import Instance
from tests.solve.hand import choices, coupled, demanded, gpu, instance_of, row, violations, volume

MARKET = [
    row("alpha", "0.0001"),
    row("alpha", "0.0002", "2", country="NO", region="eu_north"),
    row("beta", "0.0003", isMultinode=True),
    row("gamma", "0.0004", country="NO", region="eu_north"),
]
ALPHA_1, ALPHA_2, BETA, GAMMA = range(4)
JOB = {"name": "job", "gpu": "A100_80GB"}


def test_groups_and_workloads_connect_and_the_rest_is_alone() -> None:
    """Volumes that are connected, also by way of another, are one component; others in none."""
    groups = [
        {"volumes": ["a", "c"], "same": "site"},
        {"volumes": ["c", "e"], "different": "provider"},
    ]
    document = demanded(
        *(volume(name) for name in "abcdefg"),
        groups=groups,
        workloads=[JOB | {"mounts": ["g", "f"]}],
    )
    instance = instance_of(document, MARKET, [gpu("alpha", "1")])
    first, second = instance.components
    assert (first.volumes, first.workloads) == ((0, 2, 4), ())
    assert [(tie.members, tie.same, tie.level) for tie in first.ties] == [
        ((0, 2), True, "site"),
        ((2, 4), False, "provider"),
    ]
    assert (second.volumes, second.workloads, second.ties) == ((5, 6), (0,), ())
    assert not first.capped
    assert (instance.whole.capped, instance.whole.volumes) == (True, tuple(range(7)))


def test_a_question_makes_a_volume_a_component() -> None:
    """A volume that must be at some offer is no longer chosen on its own."""
    instance = instance_of(demanded(volume("a"), volume("b")), MARKET)
    assert instance.components == ()
    asked = replace(instance, forced=((1, frozenset({GAMMA})),))
    assert [one.volumes for one in asked.components] == [(1,)]
    assert not asked.holds(asked.whole, {0: [ALPHA_1], 1: [ALPHA_1]})
    assert asked.holds(asked.whole, {0: [ALPHA_1], 1: [GAMMA]})


def test_a_group_of_both_kinds_is_two_ties_with_fewer_replicas_first() -> None:
    """Same data centre means same site; members are in the order of their replicas."""
    group = {"volumes": ["a", "b"], "same": "country", "different": "data_center"}
    near = {"volumes": ["a", "b"], "same": "data_center"}
    document = demanded(volume("a", replicas=2), volume("b"), groups=[group])
    instance = instance_of(document, MARKET)
    assert instance.ties == (
        GroupConstraint((1, 0), same=True, level="country"),
        GroupConstraint((1, 0), same=False, level="data_center"),
    )
    (tie,) = instance_of({**document, "groups": [near]}, MARKET).ties
    assert tie == GroupConstraint((1, 0), same=True, level="site")


SAME: list[tuple[list[int], list[int], bool]] = [
    ([BETA], [ALPHA_1, BETA], True),
    ([GAMMA], [ALPHA_1, BETA], False),
    ([ALPHA_2], [ALPHA_1, BETA], True),  # another site of the same provider
]


@pytest.mark.parametrize(("one", "two", "expected"), SAME)
def test_fewer_replicas_lie_where_the_others_are(
    one: list[int], two: list[int], expected: bool
) -> None:
    """The member with fewer replicas sits only where the others are, not the other way round."""
    group = {"volumes": ["a", "b"], "same": "provider"}
    document = demanded(volume("a"), volume("b", replicas=2), groups=[group])
    instance = instance_of(document, MARKET)
    assert instance.ties[0].holds(instance, {0: one, 1: two}) is expected


def test_equal_replicas_lie_in_equal_places_and_different_ones_in_none() -> None:
    """With as many replicas each the places are the same; a group apart shares no place at all."""
    pair = volume("a", replicas=2), volume("b", replicas=2)
    same = instance_of(
        demanded(*pair, groups=[{"volumes": ["a", "b"], "same": "provider"}]), MARKET
    )
    assert same.ties[0].holds(same, {0: [ALPHA_1, BETA], 1: [ALPHA_2, BETA]})
    assert not same.ties[0].holds(same, {0: [ALPHA_1, BETA], 1: [ALPHA_1, ALPHA_2]})
    assert not same.ties[0].holds(same, {0: [ALPHA_1, ALPHA_2], 1: [ALPHA_1, BETA]})
    apart = instance_of(
        demanded(*pair, groups=[{"volumes": ["a", "b"], "different": "country"}]), MARKET
    )
    assert apart.ties[0].holds(apart, {0: [ALPHA_1, BETA], 1: [ALPHA_2, GAMMA]})
    assert not apart.ties[0].holds(apart, {0: [ALPHA_1, ALPHA_2], 1: [GAMMA, GAMMA]})


POLICIES: list[tuple[dict[str, Any], list[int], list[int], bool]] = [
    ({"max_sites": 1}, [BETA], [BETA], True),
    ({"max_sites": 1}, [ALPHA_1], [ALPHA_2], False),
    ({"max_providers": 1}, [ALPHA_1], [ALPHA_2], True),
    ({"max_providers": 1}, [ALPHA_1], [BETA], False),
    ({"max_provider_share": 0.75}, [ALPHA_1], [BETA], True),
    ({"max_provider_share": 0.7499}, [ALPHA_1], [BETA], False),
    ({"budget_usd_month": "29.2"}, [ALPHA_1], [ALPHA_1], True),
    ({"budget_usd_month": "29.1999"}, [ALPHA_1], [ALPHA_1], False),
    ({"budgets": {"ada": "21.9"}}, [ALPHA_1], [GAMMA], True),
    ({"budgets": {"ada": "21.8999"}}, [ALPHA_1], [GAMMA], False),
]


@pytest.mark.sweep
@pytest.mark.parametrize(("policy", "one", "two", "expected"), POLICIES)
def test_a_policy_is_kept_to_its_last_unit(
    policy: dict[str, Any], one: list[int], two: list[int], expected: bool
) -> None:
    """300 GB of ada's and 100 GB of nobody's: each rule holds at its limit and not beyond it."""
    document = demanded(volume("a", 300, owner="ada"), volume("b", 100), policy=policy)
    instance = instance_of(document, MARKET)
    chosen = {0: one, 1: two}
    assert instance.within_policy(chosen) is expected
    assert (violations(instance, chosen, {}) == ()) is expected


def test_gpus_are_reached_where_every_mounted_volume_has_a_replica() -> None:
    """A GPU counts where all that is mounted and placed is; multi-node where several mount it."""
    gpus = [gpu("alpha", "3"), gpu("beta", "2"), gpu("gamma", "1", country="NO")]
    document = demanded(
        volume("a"), volume("b", replicas=2), workloads=[JOB | {"mounts": ["a", "b"]}]
    )
    instance = instance_of(document, MARKET, gpus)
    at = {"alpha": 0, "beta": 1, "gamma": 2}
    both = {0: [BETA], 1: [BETA, GAMMA]}
    assert instance.reachable(0, both).tolist() == [False, True, False]
    assert instance.rent_best(0, both) == at["beta"]
    assert instance.rent_best(0, {1: [BETA, GAMMA]}) == at["gamma"]  # a is not placed yet
    assert instance.rent_best(0, {0: [ALPHA_1], 1: [BETA, GAMMA]}) is None
    several = demanded(*document["volumes"], workloads=[{**document["workloads"][0], "nodes": 2}])
    wide = instance_of(several, MARKET, gpus)
    assert wide.rent_best(0, both) == at["beta"]
    assert wide.rent_best(0, {0: [GAMMA], 1: [BETA, GAMMA]}) is None


def test_costs_are_exact_and_gpus_are_paid_by_their_hours() -> None:
    """Disks for the month of the policy, GPUs for the hours of the job, on every node."""
    job = JOB | {"mounts": ["a"], "hours_per_month": 7, "nodes": 2}
    document = demanded(volume("a", 3), workloads=[job], policy={"hours_per_month": 700})
    instance = instance_of(document, MARKET, [gpu("beta", "1.7568")])
    chosen = {0: [BETA]}
    assert instance.disk_usd_hr(chosen) == Decimal("0.0009")
    assert instance.usd_month(chosen, {0: 0}) == Decimal("0.63") + Decimal("24.5952")


def test_offers_are_ordered_by_price_stock_popularity_and_key() -> None:
    """The order that decides between offers that look the same, unpriced ones last."""
    rows = [
        row("alpha", "0.0001", stockStatus="Low"),
        row("beta", "0.0001"),
        row("delta", "0.0001"),
        row("gamma", "0.00009"),
    ]
    rows.append({**row("zeta", "1"), "spec": {"pricePerUnit": None}})
    document = demanded(volume("a"), volume("b", providers=["delta"]), volume("c", stock="Low"))
    instance = instance_of(document, rows)
    names = instance.pairs.offers["provider"].iloc[instance.static_order].tolist()
    assert names == ["gamma", "delta", "beta", "alpha", "zeta"]
    assert instance.penalty.tolist()[:2] == [2, 0]


@pytest.mark.slow
def test_what_holds_is_what_the_independent_check_accepts() -> None:
    """On random instances a choice of admissible offers holds exactly when `verify` says so."""
    rng = np.random.default_rng(9)
    verdicts = [0, 0]
    for seed in range(60):
        instance = instance_of(*coupled(9000 + seed))
        every = [choices(instance, v) for v in range(len(instance.pairs.volumes))]
        if not all(every):
            continue
        for _ in range(8):
            chosen = {v: list(each[rng.integers(len(each))]) for v, each in enumerate(every)}
            jobs = range(len(instance.demand.workloads))
            rented = {w: instance.rent_best(w, chosen) for w in jobs}
            if None in rented.values():
                continue
            holds = instance.holds(instance.whole, chosen)
            ready = {w: g for w, g in rented.items() if g is not None}
            assert (violations(instance, chosen, ready) == ()) is holds, seed
            verdicts[holds] += 1
    assert min(verdicts) >= 20


def test_workloads_without_a_gpu_market_have_no_rentals() -> None:
    """Without GPU offers nothing can be said of them, and asking is a mistake of ours."""
    document = demanded(volume("a"), workloads=[JOB | {"mounts": ["a"]}])
    with_market = instance_of(document, MARKET, [])
    without = Instance.of(with_market.demand, with_market.pairs.offers, None)
    assert without.rentals is None
    with pytest.raises(ValueError, match="no workloads"):
        without.rent_best(0, {0: [ALPHA_1]})
