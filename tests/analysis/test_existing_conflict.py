"""Existing disks that cannot all stay: the smallest sets to release, and what each costs."""

from __future__ import annotations

import random
import re
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest

from planner.analysis import elastic, evaluator, infeasible
from planner.analysis.evaluator import SearchBudget
from planner.analysis.infeasible import _existing_conflict as conflict_of
from planner.analysis.infeasible import _released
from planner.analysis.relax import Offers
from planner.demand.read import demand_from
from planner.errors import Infeasible
from planner.market.market import addressable
from planner.market.offers import offers_frame
from planner.solve.existing import keep
from planner.solve.optimum import optimum
from planner.solve.problem import Instance
from tests.solve.live_disks import MARKET, PLACES, disk, frame, plan

if TYPE_CHECKING:
    from decimal import Decimal

    from planner.solve.existing import Existing

OFFERS = addressable(offers_frame(MARKET), exact=True)


def _case(seed: int) -> tuple[Any, Existing] | None:
    """Return a demand of three volumes, most of them existing; None where it has a plan."""
    rng = random.Random(seed)
    volumes: list[dict[str, Any]] = []
    disks = []
    for name in "abc":
        replicas = rng.choice([1, 1, 2])
        named = [f"disk-00{name}{n}" for n in range(rng.choice([1, replicas]))]
        disks += [
            disk(one, provider=rng.choice([*PLACES]), usd_hr=rng.choice(["0.005", "0.02", "0.04"]))
            for one in named
        ]
        spread = rng.choice(["none", "provider", "data_center"])
        volumes.append(
            {"name": name, "size_gb": 100, "replicas": replicas, "spread": spread, "disks": named}
        )
    policy = rng.choice([{"max_sites": 2}, {"budget_usd_month": 45}, {}])
    kind = rng.choice([{"same": "site"}, {"different": "provider"}])
    groups = [{"volumes": ["a", "b"], **kind}] if rng.random() < 0.8 else []
    demand = demand_from({"version": 1, "volumes": volumes, "policy": policy, "groups": groups})
    existing = keep(demand, frame(*disks), {}, OFFERS)
    kept = existing.kept
    if not kept or optimum(Instance.of(demand, OFFERS, None, kept)) is not None:
        return None
    return demand, existing


@pytest.mark.slow
@pytest.mark.parametrize("block", range(1))
def test_the_sets_are_the_smallest_and_their_costs_those_of_planning(block: int) -> None:
    """Every set of so many disks that is enough is listed, and no larger one, cheapest first."""
    compared = 0
    for seed in range(block * 30, block * 30 + 30):
        made = _case(seed)
        if made is None:
            continue
        demand, existing = made
        kept = existing.kept
        expected: dict[frozenset[int], Decimal] = {}
        for size in range(len(kept) + 1):
            for gone in combinations(range(len(kept)), size):
                left = [one for n, one in enumerate(kept) if n not in gone]
                best = optimum(Instance.of(demand, OFFERS, None, left))
                if best is not None:
                    expected[frozenset(gone)] = best.usd_month
            if expected:
                break
        offers = Offers(OFFERS, None, lambda _, kept=kept: kept)  # type: ignore[misc]
        listed = [*_released(demand, offers, SearchBudget())]
        error = conflict_of(demand, offers, existing, SearchBudget())
        assert (seed, {*listed}) == (seed, {*expected})
        costs = [expected[gone] for gone in listed]
        assert costs == sorted(costs)
        assert (error is None) == (not expected)
        if error is not None:
            shown = re.findall(r"\$([\d.,]+)/month", str(error))
            assert len(shown) == len(expected)
            compared += 1
    assert compared >= 8


@pytest.mark.slow
def test_two_disks_have_to_go_where_no_single_one_is_enough() -> None:
    """One site for three volumes: of three places, two disks have to leave theirs."""
    volumes = [{"name": name, "disks": [f"disk-000{name}"]} for name in "abc"]
    live = [
        disk(f"disk-000{name}", provider=where) for name, where in zip("abc", PLACES, strict=True)
    ]
    with pytest.raises(Infeasible) as caught:
        plan(volumes, *live, policy={"max_sites": 1})
    # Two bought at alpha for 0.01 beside the one there for 0.02: 0.04 * 730.
    assert str(caught.value).splitlines()[1:] == [
        "  without disk-000b for b, disk-000c for c: $29.20/month",
        "  without disk-000a for a, disk-000c for c: $43.80/month",
        "  without disk-000a for a, disk-000b for b: $58.40/month",
    ]


def test_a_program_that_is_too_large_is_not_solved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound of work nothing is searched: what keeping none of them costs is said."""
    monkeypatch.setattr(elastic, "MOST_CANDIDATES", 1)
    named = {"name": "a", "replicas": 2, "disks": ["disk-0001", "disk-0002"]}
    with pytest.raises(Infeasible, match=r"keeping none of them: \$21.90/month"):
        plan([named], disk("disk-0001"), disk("disk-0002"))


def test_no_clock_is_read_without_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same disks are listed on a busy machine: only an explicit limit looks at the time."""
    monkeypatch.setattr(infeasible, "time", None)
    monkeypatch.setattr(evaluator, "time", None)
    named = {"name": "a", "replicas": 2, "disks": ["disk-0001", "disk-0002"]}
    with pytest.raises(Infeasible, match="without disk-0002 for a"):
        plan([named], disk("disk-0001"), disk("disk-0002"))
