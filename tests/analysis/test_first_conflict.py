"""Why there is no plan, in one sentence: true, and found without any search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from planner.analysis.reasons import first_conflict
from planner.demand.read import demand_from
from planner.market.gpus import gpus_frame
from planner.market.market import addressable
from planner.market.offers import offers_frame
from planner.solve.existing import keep
from planner.solve.optimum import optimum
from planner.solve.problem import Instance
from tests.solve.live_disks import MARKET, disk, frame, gpu, offer

if TYPE_CHECKING:
    import pandas as pd

A: dict[str, Any] = {"name": "a", "size_gb": 100}
B: dict[str, Any] = {"name": "b", "size_gb": 100, "owner": "ada"}
JOB = {"name": "train", "gpu": "H100_80GB", "mounts": ["a"]}


def why(
    *volumes: dict[str, Any],
    market: list[dict[str, Any]] = MARKET,
    gpus: list[dict[str, Any]] | None = None,
    disks: pd.DataFrame | None = None,
    **top: Any,
) -> str:
    """Return the sentence, having made sure that there is no plan."""
    demand = demand_from({"version": 1, "volumes": list(volumes), **top})
    offers = addressable(offers_frame(market), exact=True)
    kept = () if disks is None else keep(demand, disks, {}, offers)[0]
    instance = Instance.of(demand, offers, None if gpus is None else gpus_frame(gpus), kept)
    assert optimum(instance) is None
    return first_conflict(instance)


@pytest.mark.parametrize(
    ("volumes", "top", "sentence"),
    [
        (
            [{**A, "regions": ["canada"]}],
            {},
            "a: none of 3 offers qualifies; region is not canada, or unknown (3 of 3)",
        ),
        (
            [{**A, "size_gb": 1001}, {**B, "size_gb": 1001, "regions": ["eu_north"]}],
            {},
            (
                "a: none of 3 offers qualifies; needs more than one disk (max_disks: 1) (3 of 3); "
                "the same for 1 more volume"
            ),
        ),
        (
            [{**A, "replicas": 4}],
            {},
            "a: 4 replicas need as many data centres, and the 3 offers that qualify lie in 3",
        ),
        (
            [{**A, "replicas": 2, "spread": "region", "regions": ["united_states"]}],
            {},
            "a: 2 replicas need as many regions, and the only offer that qualifies lies in 1",
        ),
        (
            [A, B],
            {"policy": {"budget_usd_month": "14.59"}},
            (
                "policy.budget_usd_month is $14.59, and the cheapest plan needs $14.60/month, "
                "$0.01 more"
            ),
        ),
        (
            [A, B],
            {"policy": {"budgets": {"ada": "7.29"}}},
            "policy.budgets.ada is $7.29, and the cheapest plan needs $7.30/month, $0.01 more",
        ),
        (
            [{**A, "replicas": 3}],
            {"policy": {"max_sites": 2}},
            "no plan satisfies max_sites 2",
        ),
        (
            [A, B],
            {
                "groups": [{"volumes": ["a", "b"], "different": "provider"}],
                "policy": {"max_providers": 1},
            },
            "no plan satisfies max_providers 1 and the groups together",
        ),
        (
            [A, B],
            {
                "groups": [{"volumes": ["a", "b"], "different": "provider"}],
                "policy": {"budgets": {"ada": "7.30"}, "budget_usd_month": "14.60"},
            },
            "no plan satisfies budget_usd_month 14.6, budgets.ada 7.3 and the groups together",
        ),
    ],
)
def test_a_sentence_says_why(
    volumes: list[dict[str, Any]], top: dict[str, Any], sentence: str
) -> None:
    """100 GB cost 7.30 USD a month at alpha, 14.60 at beta, 21.90 at gamma."""
    assert why(*volumes, **top) == sentence


def test_a_market_without_offers() -> None:
    """Nothing is for sale: that is the reason, and no rule."""
    assert why(A, market=[]) == "a: no offers in this market"


def test_gpus() -> None:
    """None of the kind, none at all, none beside the disks."""
    other = {**gpu("alpha", "2"), "gpuType": "A100_80GB"}
    sentence = "train: the only GPU offer does not qualify; different GPU model (1 of 1)"
    assert why(A, workloads=[JOB], gpus=[other]) == sentence
    assert why(A, workloads=[JOB], gpus=[]) == "train: no GPU offers in this market"
    beside = {**A, "providers": ["beta"]}
    said = why(beside, workloads=[JOB], gpus=[gpu("alpha", "2")])
    assert said == "no plan satisfies the workloads"


@pytest.mark.slow
def test_disks_that_are_kept() -> None:
    """A disk of another volume is no offer that fell to a rule, and keeping is what is asked."""
    apart = {"volumes": ["a", "b"], "different": "provider"}
    named = [{**A, "disks": ["disk-0001"]}, {**B, "disks": ["disk-0002"]}]
    live = frame(disk("disk-0001"), disk("disk-0002"))
    said = why(*named, disks=live, groups=[apart])
    assert said == "no plan satisfies the groups and the existing disks together"
    nowhere = {**B, "regions": ["canada"]}
    said = why(named[0], nowhere, disks=live)
    assert said == "b: none of 3 offers qualifies; region is not canada, or unknown (3 of 3)"


def test_what_the_market_says_is_made_safe() -> None:
    """A budget's owner is any text."""
    said = why({**A, "owner": "a\u202eb"}, policy={"budgets": {"a\u202eb": 1}})
    assert "a\\u202eb" in said
    assert said.isprintable()


def test_a_place_in_two_regions_is_no_two_places() -> None:
    """Rows of one create key differ in region: copies apart by region have one offer there."""
    twin = [offer("alpha", "0.0001", "united_states"), offer("alpha", "0.0001", "eu_north")]
    said = why({**A, "replicas": 2, "spread": "region"}, market=twin)
    assert said.endswith(
        "2 replicas need as many regions, and the only offer that qualifies lies in 2 and in 1 "
        "data centre, which copies must not share either"
    )
