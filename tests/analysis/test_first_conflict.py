"""Why there is no plan, in one sentence: true, and found without any search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from planner.analysis.sweep import first_conflict
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
    offers = addressable(offers_frame(market))
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
            (
                "volume a: none of 3 offers will do; of 3, its region is not in the allow-list, or "
                "unknown (region)"
            ),
        ),
        (
            [{**A, "size_gb": 1001}, {**B, "size_gb": 1001, "regions": ["eu_north"]}],
            {},
            (
                "volume a: none of 3 offers will do; of 3, it needs more disks than max_disks "
                "allows (max_disks); so it is with 1 more volume"
            ),
        ),
        (
            [{**A, "replicas": 4}],
            {},
            (
                "volume a: 4 replicas must each be at another data centre, and 3 admissible offers "
                "lie in 3"
            ),
        ),
        (
            [{**A, "replicas": 2, "spread": "region", "regions": ["united_states"]}],
            {},
            "volume a: 2 replicas must each be at another region, and 1 admissible offer lies in 1",
        ),
        (
            [A, B],
            {"policy": {"budget_usd_month": "14.59"}},
            "the cheapest disks come to 14.60 USD a month, and budget_usd_month is 14.59",
        ),
        (
            [A, B],
            {"policy": {"budgets": {"ada": "7.29"}}},
            "the cheapest disks of ada come to 7.30 USD a month, and budgets.ada is 7.29",
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
    assert why(A, market=[]) == "volume a: the market has no offers"


def test_gpus() -> None:
    """None of the kind, none at all, none beside the disks."""
    other = {**gpu("alpha", "2"), "gpuType": "A100_80GB"}
    sentence = "workload train: none of 1 GPU offers will do; of 1, it is another GPU model"
    assert why(A, workloads=[JOB], gpus=[other]) == f"{sentence} (gpu_type)"
    assert why(A, workloads=[JOB], gpus=[]) == "workload train: the market has no GPU offers"
    beside = {**A, "providers": ["beta"]}
    said = why(beside, workloads=[JOB], gpus=[gpu("alpha", "2")])
    assert said == "no plan satisfies the workloads"


def test_disks_that_are_kept() -> None:
    """A disk of another volume is no offer that fell to a rule, and keeping is what is asked."""
    apart = {"volumes": ["a", "b"], "different": "provider"}
    named = [{**A, "disks": ["disk-0001"]}, {**B, "disks": ["disk-0002"]}]
    live = frame(disk("disk-0001"), disk("disk-0002"))
    said = why(*named, disks=live, groups=[apart])
    assert said == "no plan satisfies the groups and the disks that are kept together"
    nowhere = {**B, "regions": ["canada"]}
    said = why(named[0], nowhere, disks=live)
    assert said.startswith("volume b: none of 3 offers will do; of 3, its region")


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
        "2 replicas must each be at another region, and 1 admissible offer lies in 2 and in 1 "
        "data centre, which copies must not share either"
    )
