"""What a person and a program are told when there is no plan."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from planner.analysis.infeasible import infeasible
from planner.analysis.relax import Offers
from planner.demand.read import demand_from
from planner.errors import Infeasible
from planner.market.market import addressable
from planner.market.offers import offers_frame
from planner.solve.optimise import optimise
from tests.analysis.test_relax import X, gpu, row
from tests.solve import hand
from tests.solve.plans import listings


def refused(rows: list[Any], *volumes: Any, gpus: Any = None, **rest: Any) -> Infeasible:
    demand = demand_from({"version": 1, "volumes": list(volumes), **rest})
    listed = None if gpus is None else listings(gpus, [])
    offers = addressable(offers_frame(rows), exact=True)
    with pytest.raises(Infeasible):
        optimise(demand, offers, listed)
    error = infeasible(demand, Offers(offers, listed))
    json.dumps(error.data)
    return error


def test_the_sentence_says_what_conflicts_and_what_would_help() -> None:
    """Conflicts first, then the relaxations with their cost in a month, cheapest first."""
    rows = [row("a", "0.0001"), row("b", "0.0002")]
    group = {"volumes": ["x", "y"], "different": "provider"}
    policy = {"max_providers": 1}
    error = refused(rows, X, {**X, "name": "y"}, groups=[group], policy=policy)
    assert str(error).splitlines() == [
        "No plan satisfies the demand.",
        "",
        "These requirements conflict:",
        "  `max_providers: 1`",
        "  group x, y (different provider)",
        "",
        "Ways to make it feasible, cheapest first:",
        "  $14.60/month   drop the group x, y (different provider)",
        "  $21.90/month   raise `max_providers` to 2",
    ]
    assert [one["conflict"] for one in error.conflicts] == [1, 1]
    assert error.conflicts[1]["group"] == "x, y (different provider)"
    assert error.hint is not None
    assert error.hint.startswith("Make one of these changes to the demand;")


def test_a_budget_is_rounded_up_to_what_is_enough() -> None:
    """$58.4009 is needed, so $58.41 is proposed, and $58.40 is a cent short."""
    rows = [row("a", "0.000800012")]
    error = refused(rows, X, policy={"budget_usd_month": "58.40"})
    assert "needs $58.41/month, $0.01 more" in str(error)
    assert error.hint == "Raise the budget to at least $58.41, or store less."


def test_each_volume_alone_has_its_own_smallest_conflict() -> None:
    """What no offer admits is told with its rules, and with the wishes that are to blame."""
    rows = [row("a", "0.0001", isMultinode=False), row("b", "0.0001", stockStatus="Unavailable")]
    error = refused(rows, {**X, "multinode": True, "security": "secure_cloud"})
    (conflict,) = error.conflicts
    assert conflict["rules"] == {"multinode": 1, "unavailable": 1}
    assert [one["field"] for one in conflict["requirements"]] == ["multinode"]
    assert conflict["irreducible"] is True


@pytest.mark.slow
def test_a_workload_that_no_gpu_suits_is_named_with_its_rules() -> None:
    """The GPU offers are counted by rule, like disk offers."""
    job = {"name": "ft", "gpu": "A100_80GB", "mounts": ["x"], "socket": "PCIe"}
    gpus = [gpu("a", "1"), gpu("a", "1", gpuType="H100_80GB")]
    error = refused([row("a", "0.0001")], X, gpus=gpus, workloads=[job])
    (conflict,) = error.conflicts
    assert (conflict["reason"], conflict["workload"]) == ("no_gpu", "ft")
    assert conflict["rules"] == {"socket": 2, "gpu_type": 1}
    assert [one["field"] for one in conflict["requirements"]] == ["socket"]


@pytest.mark.slow
def test_gpus_and_disks_that_never_meet() -> None:
    """A job's GPUs are where its volume may not be: the mount is part of the conflict."""
    job = {"name": "ft", "gpu": "A100_80GB", "mounts": ["x"]}
    rows = [row("a", "0.0001"), row("b", "0.0001")]
    error = refused(
        rows, {**X, "exclude": {"providers": ["a"]}}, gpus=[gpu("a", "1")], workloads=[job]
    )
    assert [one["message"] for one in error.conflicts] == [
        "`mounts: [x]` on ft",
        "`exclude.providers: [a]` on x",
    ]
    assert [one.text for one in error.relaxations] == ["stop excluding provider a on x"]


def test_workloads_without_a_listing_of_gpus() -> None:
    """Without any GPU listing there is nothing to relax."""
    job = {"name": "ft", "gpu": "A100_80GB", "mounts": ["x"]}
    error = refused([row("a", "0.0001")], X, workloads=[job])
    assert "no listing of GPUs" in str(error)
    assert error.relaxations == ()


def test_facts_that_nothing_relaxes_are_said() -> None:
    """GPUs at no site of any disk: the mount cannot hold, and no relaxation helps."""
    job = {"name": "ft", "gpu": "A100_80GB", "mounts": ["x"]}
    error = refused([row("a", "0.0001")], X, gpus=[gpu("b", "1")], workloads=[job])
    assert error.relaxations == ()
    assert "This requirement cannot hold: `mounts: [x]` on ft" in str(error)
    assert "No change to the requirements would help x, ft" in str(error)


def test_a_budget_says_what_is_needed_beside_what_else_conflicts() -> None:
    """The budget's own sentence survives, and the wish that makes it dear stands beside it."""
    rows = [row("a", "0.0001"), row("b", "0.0002", isMultinode=True)]
    rows[0]["isMultinode"] = False
    error = refused(rows, {**X, "multinode": True}, policy={"budget_usd_month": 10})
    budget, wish = error.conflicts
    assert (budget["reason"], budget["needed_usd_month"]) == ("budget", "14.6")
    assert "policy.budget_usd_month is $10.00" in budget["message"]
    assert wish["field"] == "multinode"
    assert [one.text for one in error.relaxations] == [
        "drop `multinode` on x",
        "raise `budget_usd_month` to $14.60",
    ]


def test_two_budgets_that_are_too_small_each_say_what_they_need() -> None:
    """Neither is enough to raise alone, and both have their sentence."""
    policy = {"budget_usd_month": 4, "budgets": {"ann": 3}}
    error = refused([row("a", "0.0001")], {**X, "owner": "ann"}, policy=policy)
    assert [one["message"] for one in error.conflicts] == [
        "policy.budget_usd_month is $4.00, and its volumes need at least $7.30/month, $3.30 more",
        "policy.budgets.ann is $3.00, and its volumes need at least $7.30/month, $4.30 more",
    ]
    assert "\n`budget" not in str(error)


def test_names_from_outside_are_made_visible() -> None:
    """A region with an escape sequence is shown, never sent to the terminal."""
    rows = [row("a", "0.0001", region="eu\x1b[2J")]
    error = refused(rows, {**X, "regions": ["mars"]})
    assert "\x1b" not in str(error)
    assert error.relaxations[0].text == "allow region eu\\x1b[2J on x"
    assert error.relaxations[0].changes[0]["to"] == ["eu\x1b[2J", "mars"]


@pytest.mark.slow
def test_many_conflicts_are_told_in_part_and_kept_in_full() -> None:
    """Thirty volumes without a place: twenty are told, the data has all."""
    volumes = [{**X, "name": f"v{n}", "regions": ["mars"]} for n in range(30)]
    error = refused([row("a", "0.0001")], *volumes)
    assert len(error.conflicts) == 30
    assert "10 more conflicts" in str(error)
    (one,) = error.relaxations
    assert len(one.changes) == 30


@pytest.mark.slow
def test_an_empty_market_is_what_no_relaxation_helps() -> None:
    """No disk offers, or no GPUs: the sentence ends with that, not with nothing."""
    job = {"name": "ft", "gpu": "A100_80GB", "mounts": ["x"]}
    no_disks = refused([], X)
    assert "x: no offers in this market" in str(no_disks)
    assert (no_disks.hint or "").startswith("No disk offers in this market.")
    no_gpus = refused([row("a", "0.0001")], X, gpus=[], workloads=[job])
    assert "ft: no GPU offers in this market" in str(no_gpus)
    assert "No change to the requirements would help x, ft" in str(no_gpus)


@pytest.mark.slow
def test_a_budget_needs_the_cost_to_the_last_decimal() -> None:
    """One unit of the last place short: the amount that is needed is exact, and is enough."""
    rows = [row("a", "0.00011545611010752688")]
    exact = Decimal("0.00011545611010752688") * 800 * 730
    volume = {"name": "x", "size_gb": 800, "owner": "ada"}
    short = exact - Decimal("1e-18")
    for policy in ({"budget_usd_month": str(short)}, {"budgets": {"ada": str(short)}}):
        error = refused(rows, volume, policy=policy)
        (conflict,) = error.conflicts
        assert Decimal(conflict["needed_usd_month"]) == exact
        assert error.hint == "Raise the budget to at least $67.43, or store less."
        (one,) = error.relaxations
        assert optimise(one.demand, addressable(offers_frame(rows), exact=True)).placements


def test_each_volume_is_named_with_how_many_offers_break_each_rule() -> None:
    """Both volumes without a place are named, the one that has a place is not."""
    rows = [
        row("a", "0.0001", isMultinode=False),
        row("b", "0.0001", isMultinode=False, stockStatus="Unavailable"),
    ]
    shared = {**X, "name": "shared", "multinode": True}
    error = refused(rows, X, shared, {**X, "name": "apart", "replicas": 2})
    by_name = {conflict["volume"]: conflict for conflict in error.conflicts}
    assert {*by_name} == {"shared", "apart"}
    assert by_name["shared"]["rules"] == {"multinode": 2, "unavailable": 1}
    assert by_name["apart"]["reason"] == "spread"


@pytest.mark.slow
def test_offers_of_several_sizes_are_counted_by_place_and_size() -> None:
    """Rows of one place that sell different sizes are counted apart, and the text says so."""
    tiers = [
        hand.row("alpha", price, spec={"minCount": low, "maxCount": high})
        for price, low, high in (("0.0003", 1, 99), ("0.0002", 100, 999), ("0.0001", 1000, 9999))
    ]
    elsewhere = {**X, "regions": ["nowhere"]}
    assert "none of 3 offers by place and size qualifies" in str(refused(tiers, elsewhere))
    assert "the only offer does not qualify" in str(refused(tiers[:1], elsewhere))
