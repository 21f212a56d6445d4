"""Baselines: greedy, one provider, one site, cheapest disks; or the sentence that rules one out."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from planner import read_gpus, read_offers
from planner.analysis.baselines import Baseline, Baselines, baselines
from planner.demand.read import demand_from
from planner.market.market import addressable
from planner.solve.optimum import optimum
from planner.solve.problem import Instance
from tests.looks import HOSTILE, SHOWN, look
from tests.solve.hand import coupled, demanded, gpu, instance_of, row, volume

MARKET = [
    row("alpha", "0.0001", isMultinode=True),
    row("alpha", "0.0003", "2"),
    row("beta", "0.0002", isMultinode=True),
    row("gamma", "0.00001"),
]
MULTINODE = volume("x", multinode=True)


def compared(*volumes: dict[str, Any], **more: Any) -> dict[str, Baseline]:
    gpus = more.pop("gpus", ())
    found = baselines(instance_of(demanded(*volumes, **more), MARKET, gpus))
    return {one.name: one for one in found}


def test_the_cheapest_single_provider_and_site() -> None:
    """Only one node can mount gamma, so alpha's first site is every simple way."""
    found = compared(MULTINODE)
    assert list(found) == ["cheapest offer per volume", "single provider", "single site"]
    assert {one.usd_month for one in found.values()} == {Decimal("7.3")}
    assert found["single provider"].place == "alpha"
    assert found["single site"].place == "alpha alpha-1 US"


def test_copies_that_need_two_sites_rule_a_single_site_out() -> None:
    """Two data centres are two sites; one provider that has two still does."""
    found = compared(volume("x", replicas=2))
    provider, site = found["single provider"], found["single site"]
    assert (provider.place, provider.usd_month) == ("alpha", Decimal("29.2"))
    assert (site.place, site.usd_month, site.why_not) == (None, None, "no place for x")


def test_copies_at_two_providers_rule_a_single_provider_out() -> None:
    """The volumes that stand in the way are named, at most three of them."""
    apart = [volume(f"apart-{n}", 1, replicas=2, spread="provider") for n in range(5)]
    found = compared(volume("fine", 1), *apart)["single provider"]
    assert found.usd_month is None
    assert found.why_not == "no place for apart-0, apart-1, apart-2 and 2 more"


@pytest.mark.slow
def test_the_greedy_user_pays_more_or_ends() -> None:
    """Small x goes to gamma and takes what must be beside it along, or finds it cannot."""
    together: dict[str, Any] = {"groups": [{"volumes": ["x", "y"], "same": "site"}]}
    rigid = compared(volume("x", 1), volume("y", multinode=True), **together)
    greedy = rigid["cheapest offer per volume"]
    assert greedy.usd_month is None
    assert greedy.why_not == "after the cheapest choices before it, none is left for y"
    assert rigid["single site"].usd_month == Decimal("0.0101") * 730
    half: dict[str, Any] = {"policy": {"max_provider_share": 0.5}}
    share = compared(volume("x"), volume("y"), **half)["cheapest offer per volume"]
    assert share.why_not == "it breaks max_provider_share or a group"


def test_budgets_do_not_rule_a_baseline_out() -> None:
    """What it would cost is the point of it, also where that is too much."""
    found = compared(MULTINODE, policy={"budget_usd_month": 1})
    assert found["single site"].usd_month == Decimal("7.3")


@pytest.mark.slow
def test_groups_caps_and_workloads_can_rule_all_out() -> None:
    """Where each volume by itself would fit, the sentence says that it is not the volumes."""
    groups = [{"volumes": ["x", "y"], "different": "provider"}]
    found = compared(volume("x"), volume("y"), groups=groups)
    assert found["single provider"].why_not == "a group, a cap or a workload rules it out"


JOB = {"name": "job", "gpu": "A100_80GB", "hours_per_month": 100, "mounts": ["x"]}


def test_the_cheapest_disks_and_then_gpus() -> None:
    """Disks first means gamma; its GPUs cost more than going to alpha for both would."""
    gpus = [gpu("gamma", "3"), gpu("alpha", "2")]
    found = compared(volume("x"), workloads=[JOB], gpus=gpus)
    disks = found["cheapest disks, then GPUs"]
    assert disks.disks_usd_month == Decimal("0.73")
    assert disks.usd_month == Decimal("300.73")
    assert found["single site"].usd_month == Decimal("207.3")


@pytest.mark.slow
def test_the_cheapest_disks_may_have_no_gpus() -> None:
    """Then what they cost is said all the same, and where it is that none can be rented."""
    found = compared(volume("x"), workloads=[JOB], gpus=[gpu("alpha", "2")])
    disks = found["cheapest disks, then GPUs"]
    assert disks.usd_month is None
    assert disks.disks_usd_month == Decimal("0.73")
    assert disks.why_not == "no A100_80GB for job can be rented beside gamma gamma-1 US"
    none = compared(volume("x", providers=["mars"]), workloads=[JOB], gpus=[gpu("alpha", "2")])
    assert none["cheapest disks, then GPUs"].why_not == "the disks alone have no plan"


@pytest.mark.slow
def test_on_the_shipped_market_the_cheapest_disks_are_where_there_are_no_gpus() -> None:
    """4,800 GB at dc_roan are $245.28 a month; beside the GPUs they are $144.05 more."""
    document = demanded(volume("x", 4800), workloads=[{**JOB, "mounts": ["x"]}])
    offers, gpus = read_offers("shipped:disk-offers"), read_gpus("shipped:gpu-offers", exact=True)
    instance = Instance.of(demand_from(document), addressable(offers, exact=True), gpus)
    *_, disks = baselines(instance)
    assert disks.usd_month is None
    assert disks.disks_usd_month == Decimal("245.28")
    assert disks.why_not.startswith("no A100_80GB for job can be rented beside dc_roan")
    best = optimum(instance)
    assert best is not None
    joint_usd_month = instance.disk_usd_hr(best.chosen) * 730
    assert round(joint_usd_month - disks.disks_usd_month, 2) == Decimal("144.05")


@pytest.mark.slow
def test_no_baseline_beats_the_plan() -> None:
    """On random instances every possible baseline costs at least what the optimum costs."""
    possible = 0
    for seed in range(300, 330):
        document, *listed = coupled(seed)
        for word in ("budget_usd_month", "budgets"):
            document["policy"].pop(word, None)
        instance = instance_of(document, *listed)
        best = optimum(instance)
        for one in baselines(instance):
            assert (one.usd_month is None) == bool(one.why_not)
            if one.usd_month is not None:
                assert best is not None
                assert one.usd_month >= best.usd_month, (seed, one)
                possible += 1
    assert possible >= 20


def test_a_notebook_shows_baselines_as_a_table() -> None:
    """One row each, its cost or what rules it out; they are a tuple all the same."""
    found = baselines(instance_of(demanded(volume("x", replicas=2)), MARKET))
    assert isinstance(found, tuple)
    dash = "\N{EN DASH}"
    assert look(found).rows == [
        ["name", "place", "usd_month", "disks_usd_month", "why_not"],
        ["cheapest offer per volume", dash, "8.03", "8.03", ""],
        ["single provider", "alpha", "29.20", dash, ""],
        ["single site", dash, dash, dash, "no place for x"],
    ]
    assert found.to_frame(exact=True)["usd_month"].tolist() == [
        Decimal("8.03"),
        Decimal("29.2"),
        None,
    ]


@pytest.mark.parametrize(("evil", "shown"), [*zip(HOSTILE, SHOWN, strict=True)])
def test_hostile_places_are_shown_as_text(evil: str, shown: str) -> None:
    """A provider may be called anything."""
    seen = look(Baselines([Baseline("single provider", evil, None, evil)]))
    assert seen.rows[1][1] == seen.rows[1][4] == shown
