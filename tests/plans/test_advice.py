"""Warnings: what a plan rests on that nobody has confirmed is said."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner import Plan
from planner.demand.read import demand_from
from planner.market.canonical import Market
from planner.market.gpus import gpus_frame
from planner.market.offers import offers_frame
from planner.plans.advice import input_warnings

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = {
    "provider": "alpha",
    "cloudId": None,
    "dataCenter": "A-1",
    "country": "US",
    "region": "united_states",
    "stockStatus": "Available",
    "security": "secure_cloud",
    "isMultinode": True,
    "spec": {"minCount": 0, "maxCount": 9000, "step": 1, "pricePerUnit": Decimal("0.0001")},
}


def warnings(*rows: dict[str, Any], volume: dict[str, Any] | None = None, **policy: Any) -> str:
    document = {
        "version": 1,
        "volumes": [{"name": "x", "size_gb": 100, **(volume or {})}],
        "policy": policy,
    }
    return "\n".join(planner.plan(demand_from(document), offers_frame(rows)).warnings)


def spec(**fields: Any) -> dict[str, Any]:
    base: dict[str, Any] = PLAIN["spec"]  # type: ignore[assignment]
    return {**PLAIN, "spec": {**base, **fields}}


def test_a_plain_offer_needs_no_warning() -> None:
    """Where everything is known nothing is said."""
    assert warnings(PLAIN) == ""


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({**PLAIN, "stockStatus": None}, "stock is not listed"),
        ({**PLAIN, "stockStatus": "Plenty"}, "stock is listed as 'Plenty', which planner does not"),
        ({**PLAIN, "security": "gold"}, "security is listed as 'gold', which planner does not"),
        ({**PLAIN, "dataCenter": None}, "data centre not listed"),
        (spec(defaultIncludedInPrice=True), "said to include the default size"),
        (spec(minCount=5, step=10), "whether steps count from there"),
    ],
)
def test_what_is_unsure_of_the_chosen_offer_is_said(row: dict[str, Any], said: str) -> None:
    """Unknown stock or place, an included default size and an assumed grid are each a warning."""
    assert said in warnings(row)


def test_offers_that_cannot_be_told_apart_are_named() -> None:
    """Two rows of one create key are planned in the worst case, and the plan says so."""
    assert "cannot be distinguished" in warnings(PLAIN, spec(pricePerUnit=Decimal("0.0002")))


def test_a_request_without_cloud_id_that_could_match_another_row_is_said() -> None:
    """The chosen row has no cloud id and a dearer one at the same place has."""
    other = {**spec(pricePerUnit=Decimal("0.0002")), "cloudId": "c1"}
    assert "could be served by an offer that has one" in warnings(PLAIN, other)


def test_an_exclusion_that_the_market_cannot_confirm_is_said() -> None:
    """A null region is not excluded, but the user who excludes regions is told."""
    unknown = {**PLAIN, "region": None}
    said = warnings(unknown, volume={"exclude": {"regions": ["eu_north"]}})
    assert "regions are excluded, and its region is unknown" in said


def test_places_and_owners_that_nothing_has_are_warned_with_the_nearest() -> None:
    """A misspelt place or owner of a budget is a warning with what was probably meant."""
    said = warnings(PLAIN, volume={"regions": ["united_states", "united_sates"]})
    assert "no region united_sates in this market; did you mean united_states?" in said
    said = warnings(PLAIN, volume={"owner": "research"}, budgets={"reserch": 5})
    assert "no volume belongs to reserch, who has a budget; did you mean research?" in said


def test_of_an_empty_market_no_name_is_unknown() -> None:
    """That there are no offers is one message, not one for each region, provider and GPU."""
    volume = {
        "name": "x",
        "size_gb": 100,
        "regions": ["eu_north"],
        "exclude": {"countries": ["US"]},
    }
    job = {"name": "j", "gpu": "H100_80GB", "mounts": ["x"], "regions": ["eu_north"]}
    document = {
        "version": 1,
        "volumes": [volume],
        "workloads": [job],
        "policy": {"attach_limits": {"runpod": 2}},
    }
    empty = Market.of(offers_frame([]), gpus_frame([]))
    assert input_warnings(demand_from(document), empty) == ()


def test_rows_that_cannot_be_believed_are_named_with_place_and_reason() -> None:
    """A malformed row is a warning, at most twenty of them, and a count of the rest."""
    bad = spec(pricePerUnit="0.0001")
    good = {**PLAIN, "provider": "beta"}
    said = warnings(good, *[bad] * 25).splitlines()
    assert "row 2 (alpha A-1 (US)) is left out: spec.pricePerUnit" in said[0]
    assert "5 more rows are left out" in said[20]


def test_stock_words_decide_what_is_bought(tmp_path: Path) -> None:
    """Case does not matter, sold out is not bought, and an odd word is quoted after a load too."""
    gone = [
        {**spec(pricePerUnit=Decimal("0.00001")), "dataCenter": f"G-{at}", "stockStatus": word}
        for at, word in enumerate(("UNAVAILABLE", "Sold out", "out_of_stock"))
    ]
    cased = {**spec(pricePerUnit=Decimal("0.00009")), "stockStatus": "available"}
    demand = demand_from({"version": 1, "volumes": [{"name": "x", "size_gb": 100}]})
    plan = planner.plan(demand, offers_frame([*gone, cased, {**PLAIN, "dataCenter": "B"}]))
    assert [one.data_center for one in plan.placements] == ["A-1"]
    assert plan.warnings == ()
    odd = {**cased, "stockStatus": "Plenty\x1b[2J"}
    planner.plan(demand, offers_frame([*gone, odd])).save(tmp_path / "plan.json")
    plan = Plan.load(tmp_path / "plan.json")
    assert "stock is listed as 'Plenty\\x1b[2J'" in "\n".join(plan.warnings)
    assert plan.market.addressable.query("data_center == 'A-1'")["stock"].tolist() == [
        "Plenty\x1b[2J"
    ]
