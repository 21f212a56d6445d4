"""Few sites and providers: found without a solver, and equal to what the whole program says."""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from planner.solve import place_limits, place_search
from planner.solve.decompose import solve_scope
from planner.solve.optimum import least_month, optimum
from planner.solve.problem import Instance
from planner.solve.stats import SolveStats, Undecided
from tests.benchmarks.instances import Size, inputs
from tests.solve.hand import demanded, instance_of, row, volume

REGIONS = ["united_states", "canada", "eu_north"]
SPREADS = ["none", "site", "data_center", "provider"]


def capped(seed: int, *, sums: bool = False) -> Instance:
    """Return volumes of one to three copies and groups, where sites or providers are limited."""
    rng = random.Random(seed)
    sites, providers = rng.choice([4, 6, 9, 12]), rng.choice([3, 4, 5])
    rows = []
    for n in range(rng.randint(2 * sites, 4 * sites)):
        price = Decimal(rng.choice([110, 120, rng.randint(90, 150)])) / 10**6
        place = {"region": REGIONS[n % sites % 3], "spec": {"step": rng.choice([1, 7])}}
        number = str(n % sites)
        rows.append(row(f"p{n % sites % providers}", str(price), number, cloudId=f"c{n}", **place))
    volumes = []
    for n in range(rng.randint(6, 14)):
        asked: dict[str, Any] = {"spread": rng.choice(SPREADS)}
        if rng.random() < 0.4:
            asked["exclude"] = {"providers": [f"p{rng.randrange(providers)}"]}
        if rng.random() < 0.2:
            asked["replicas"] = rng.choice([2, 3])
        volumes.append(volume(f"v{n}", rng.choice([100, rng.randint(10, 3000)]), **asked))
    single = [each["name"] for each in volumes if "replicas" not in each]
    level = rng.choice(["site", "provider"])
    groups = [{"volumes": single[:2], "same": level}] if rng.random() < 0.3 else []
    policy: dict[str, Any] = {
        "max_sites": rng.choice([2, 3, 4]),
        "max_providers": rng.choice([1, 2]),
    }
    for limit in rng.sample([*policy], rng.choice([0, 1, 1])):
        del policy[limit]
    if sums:
        policy["max_provider_share"] = rng.choice(["0.5", "0.6", "0.75"])
        policy["max_disks_per_site"] = rng.choice([4, 6, 8])
    return instance_of(demanded(*volumes, groups=groups, policy=policy), rows)


@pytest.mark.slow
@pytest.mark.parametrize("sums", [False, True])
def test_the_cheapest_few_places_are_those_of_the_whole_program(
    monkeypatch: pytest.MonkeyPatch, *, sums: bool
) -> None:
    """The same cost to the last cent, or no plan in both; without sums no solver is needed."""
    monkeypatch.setattr(place_limits, "_SMALL", 0)
    seen = Counter[str]()
    for seed in range(8 if sums else 24):
        instance = capped(seed, sums=sums)
        alone = instance.least.choices()
        if None in alone or instance.holds(instance.whole, dict(enumerate(alone))):  # type: ignore[arg-type]
            continue
        expected = solve_scope(instance, instance.whole, SolveStats())
        best = optimum(instance)
        assert (seed, best is None) == (seed, expected is None)
        if best is None or expected is None:
            seen["none"] += 1
            continue
        assert (seed, best.usd_month) == (seed, expected.usd_month)
        assert instance.holds(instance.whole, best.chosen)
        least = least_month(instance)
        assert least in {None, best.usd_month}
        seen["with a solver" if least is None else "without"] += 1
    assert seen["with a solver" if sums else "without"] >= 1
    assert seen["none"] >= 1


def test_the_first_of_equally_cheap_sites_is_that_of_better_stock() -> None:
    """Two sites cost the same, and one of them may be used."""
    rows = [
        row("p", "0.0001", "1", stockStatus="Low"),
        row("p", "0.0001", "2", stockStatus="High"),
        row("q", "0.00009", "3"),
    ]
    volumes = [volume("a"), volume("b", exclude={"providers": ["q"]})]
    instance = instance_of(demanded(*volumes, policy={"max_sites": 1}), rows)
    best = optimum(instance)
    assert best is not None
    assert [instance.sites[o][1] for (o,) in best.chosen.values()] == ["p-2", "p-2"]


def test_a_search_that_ends_early_says_how_near_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its plan comes with a bound below the optimum; without a plan a solver is asked."""
    instance = Instance.of(*inputs(Size(60, 60, sites=3, team=1, seed=5)))
    best, bounds = optimum(instance), set[Decimal]()
    assert best is not None
    assert best.bound_month is None
    for work in (1e4, 1e5):
        monkeypatch.setattr(place_search, "_WORK", work)
        early = optimum(instance)
        assert early is not None
        assert early.usd_month >= best.usd_month
        assert (early.bound_month or Decimal(0)) <= best.usd_month
        bounds |= {early.bound_month} - {None}  # type: ignore[arg-type]
    assert bounds


def test_too_few_places_are_known_before_any_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five volumes, each at one of two neighbours in a ring of five sites, need three of them."""
    rows = [row(f"p{n}", "0.0001", str(n)) for n in range(5)]
    ring = [volume(f"v{n}", providers=[f"p{n}", f"p{(n + 1) % 5}"]) for n in range(5)]
    two, three = (instance_of(demanded(*ring, policy={"max_sites": most}), rows) for most in (2, 3))
    assert optimum(three) is not None
    monkeypatch.setattr(place_search, "_WORK", 0)
    stats = SolveStats()
    assert place_limits.best_in_few_places(two, two.whole, stats, lambda _: None) is None


def test_what_keeps_volumes_apart_is_left_to_the_solver() -> None:
    """A group beside the limit of sites, and a share of a few columns."""
    rows = [row(f"p{n}", "0.0001", str(n)) for n in range(3)]
    apart = [{"volumes": ["a", "b"], "different": "site"}]
    policies: list[dict[str, Any]] = [
        {"policy": {"max_sites": 2, "max_provider_share": "0.6"}},
        {"policy": {"max_sites": 2}, "groups": apart},
    ]
    for asked in policies:
        instance = instance_of(demanded(volume("a"), volume("b"), **asked), rows)
        with pytest.raises(Undecided):
            place_limits.best_in_few_places(instance, instance.whole, SolveStats(), lambda _: None)
