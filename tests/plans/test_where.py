"""Where should this much data live: the chosen site, what others cost, and what they lack."""

from __future__ import annotations

from decimal import Decimal
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import planner
from planner.demand.texts import parse_yaml
from planner.errors import Infeasible, InputError
from planner.market.gpus import gpus_frame
from planner.market.offers import offers_frame
from planner.market.snapshot import join_gpus
from planner.plans.where import WhereQuestion
from planner.schema import records
from tests.market.rows import disk, gpu

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

OFFERS = planner.read_offers("shipped:disk-offers")
GPUS = planner.read_gpus("shipped:gpu-offers")
SITE = ("provider", "data_center", "country")
KINDS = {"provider": "providers", "data_center": "data_centers", "country": "countries"}


def cost(demand: planner.Demand, offers: pd.DataFrame, gpus: pd.DataFrame) -> Decimal | None:
    """Return what planning costs, None where there is no plan."""
    try:
        return Decimal(planner.plan(demand, offers, gpus).exact_totals["usd_month"])
    except Infeasible:
        return None


def only_at(site: dict[str, Any], offers: pd.DataFrame) -> dict[str, Any]:
    """Return the fields of a volume that keep it at one site: lists, and exclusions for nulls."""
    fields: dict[str, Any] = {"exclude": {}}
    for column, lists in KINDS.items():
        if site[column] is not None:
            fields[lists] = [site[column]]
        else:
            fields["exclude"][lists] = sorted(set(offers[column].dropna()))
    return fields


@pytest.mark.slow
def test_every_site_costs_what_planning_there_costs() -> None:
    """On the documented market, to the last digit, with the site forced by allow-lists."""
    answered = planner.where("4TB", OFFERS, GPUS, gpu="A100_80GB", hours_per_month=200)
    rows = records(answered.exact_sites)
    assert len(rows) == 13
    assert [row["data_center"] for row in rows[:2]] == ["US-KS-2", "US-CA-2"]
    for row in rows:
        document = dict(answered.question.document)
        document["volumes"] = [{**document["volumes"][0], **only_at(row, OFFERS)}]
        forced = cost(planner.demand_from(document), OFFERS, GPUS)
        assert forced == row["usd_month"], row
        assert (forced is None) == bool(row["missing"])


places = st.builds(
    lambda provider, center, country: {
        "provider": provider,
        "dataCenter": center,
        "country": country,
        "region": {"US": "united_states", "CA": "canada"}.get(country),
    },
    st.sampled_from(["alpha", "beta"]),
    st.sampled_from(["A-1", "A-2", None]),
    st.sampled_from(["US", "CA", None]),
)
disks = st.builds(
    lambda place, price, largest, **fields: disk(
        spec={"pricePerUnit": Decimal(price) / 100_000, "maxCount": largest}, **place, **fields
    ),
    places,
    st.integers(5, 30),
    st.sampled_from([500, 2000, 2000]),
    cloudId=st.sampled_from([None, "x"]),
    stockStatus=st.sampled_from(["Available", "Available", "Low", "Unavailable"]),
    isMultinode=st.sampled_from([True, False, None]),
)
rented = st.builds(
    lambda place, price, **fields: gpu(prices={"onDemand": Decimal(price) / 10}, **place, **fields),
    places,
    st.integers(10, 40),
    gpuType=st.sampled_from(["H100_80GB", "A100_80GB"]),
    gpuCount=st.sampled_from([1, 8]),
    stockStatus=st.sampled_from(["Low", "Unavailable"]),
)
questions = st.fixed_dictionaries(
    {
        "gpu": st.sampled_from([None, "H100_80GB", "H100_80GB:8"]),
        "replicas": st.sampled_from([1, 1, 2, 3]),
        "multinode": st.booleans(),
        "regions": st.sampled_from([[], ["united_states"]]),
    }
)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.lists(disks, min_size=1, max_size=5), st.lists(rented, max_size=4), questions)
def test_sites_of_random_markets(
    listed: list[dict[str, Any]], rows: list[dict[str, Any]], asked: dict[str, Any]
) -> None:
    """Each site's cost is that of planning with a copy there, each other site says what it lacks.

    A copy is held at a site by leaving the plan as many sites as there are copies, that one among
    them.
    """
    offers, gpus = offers_frame(listed), gpus_frame(rows)
    try:
        answered = planner.where("800 GB", offers, gpus, **asked)
    except Infeasible:
        assert cost(WhereQuestion.of("800 GB", **asked).demand, offers, gpus) is None
        return
    sites = [tuple(row[name] for name in SITE) for row in records(answered.exact_sites)]
    assert len({*sites}) == len(sites)
    at = [tuple(row[name] for name in SITE) for row in records(offers)]
    assert {*sites} == {*at}
    demand = answered.question.demand
    for site, row in zip(sites, records(answered.exact_sites), strict=True):
        costs = [
            cost(demand, offers[[here in {site, *others} for here in at]], gpus)
            for others in combinations(set(sites) - {site}, asked["replicas"] - 1)
        ]
        least = min((amount for amount in costs if amount is not None), default=None)
        assert row["usd_month"] == least, (site, row)
        assert bool(row["missing"]) == (least is None)
    total = Decimal(answered.plan.exact_totals["usd_month"])
    chosen = [row for row in records(answered.exact_sites) if row["chosen"]]
    assert chosen
    assert {row["usd_month"] for row in chosen} == {total}
    assert all(
        row["extra_usd_month"] is None or row["extra_usd_month"] == row["usd_month"] - total
        for row in records(answered.exact_sites)
    )


def lacks(asked: dict[str, Any], *rows: dict[str, Any], gpus: list[dict[str, Any]]) -> list[str]:
    """Return what the sites lack that are no candidates."""
    answered = planner.where("800 GB", offers_frame(rows), gpus_frame(gpus), **asked)
    return [text for row in records(answered.exact_sites) for text in row["missing"]]


GOOD = disk()
NEAR = gpu()


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("asked", "other", "gpus", "reason"),
    [
        ({"multinode": True}, disk(dataCenter="B", isMultinode=None), [], "not multi-node"),
        ({}, disk(dataCenter="B", stockStatus="Sold out"), [], "out of stock"),
        ({}, disk(dataCenter="B", spec={"maxCount": 500}), [], "needs more than one disk"),
        ({}, disk(dataCenter="B", spec={"pricePerUnit": None}), [], "no usable price"),
        ({"regions": ["united_states"]}, disk(region="canada", country="CA"), [], "region is not"),
        ({"gpu": "H100_80GB"}, disk(dataCenter="B"), [NEAR], "no H100_80GB"),
        ({"gpu": "H100_80GB"}, disk(provider="c", dataCenter=None), [NEAR], "GPUs unknown"),
        (
            {"gpu": "H100_80GB"},
            disk(dataCenter="B"),
            [NEAR, gpu(dataCenter="B", stockStatus="Unavailable")],
            "H100_80GB: out of stock",
        ),
        (
            {"gpu": "H100_80GB"},
            disk(dataCenter="B"),
            [NEAR, gpu(dataCenter="B", gpuCount=8)],
            "no offer of 1 H100_80GB",
        ),
        (
            {"gpu": "H100_80GB"},
            disk(dataCenter="B"),
            [NEAR, gpu(dataCenter="B", isSpot=True)],
            "H100_80GB: spot offer",
        ),
    ],
)
def test_what_a_site_lacks(
    asked: dict[str, Any], other: dict[str, Any], gpus: list[dict[str, Any]], reason: str
) -> None:
    """The reason is that of the demand's own rules, or of the GPUs that are there."""
    (text,) = lacks(asked, GOOD, other, gpus=gpus)
    assert text.startswith(reason)


def test_a_cluster_beside_single_node_disks() -> None:
    """GPUs of the multi-node listing need multi-node disks, and the site says so."""
    both = gpus_frame([gpu(dataCenter="B")], listing="multi-node")
    near = join_gpus(gpus_frame([NEAR]), both)
    offers = offers_frame([GOOD, disk(dataCenter="B", isMultinode=False)])
    answered = planner.where("800 GB", offers, near, gpu="H100_80GB")
    assert records(answered.exact_sites)[1]["missing"] == (
        "its disks are not multi-node, as its GPUs need",
    )


def test_a_site_that_no_two_copies_can_use() -> None:
    """One copy needs the GPU: without it, in the GPU's own data centre, is nowhere to be."""
    offers = offers_frame([disk(), disk(provider="beta"), disk(provider="beta", dataCenter="B")])
    answered = planner.where("800 GB", offers, gpus_frame([NEAR]), gpu="H100_80GB", replicas=2)
    rows = {(row["provider"], row["data_center"]): row for row in records(answered.exact_sites)}
    assert rows["beta", "A-1"]["missing"] == ("no H100_80GB",)
    assert {site for site, row in rows.items() if row["chosen"]} == {
        ("alpha", "A-1"),
        ("beta", "B"),
    }


ASKED: list[dict[str, Any]] = [
    {},
    {"replicas": 2, "multinode": True, "regions": ["united_states"], "stock": "Low"},
    {"gpu": "A100_80GB:1", "hours_per_month": 200, "providers": ["runpod"], "countries": ["US"]},
    {"gpu": "A100_80GB", "security": "secure_cloud", "data_centers": ["US-KS-2", "US-WA-1"]},
]


@pytest.mark.sweep
@pytest.mark.parametrize("asked", ASKED)
def test_the_saved_demand_plans_to_the_same_result(asked: dict[str, Any], tmp_path: Path) -> None:
    """Reading the file and planning gives the same plan, whatever the project is called."""
    answered = planner.where("4 TB", OFFERS, GPUS, **asked)
    answered.save(tmp_path / "demand.yaml", "elsewhere")
    demand = planner.read_demand(tmp_path / "demand.yaml")
    assert demand.project == "elsewhere"
    again = planner.plan(demand, OFFERS, GPUS)
    assert again.plan_id == answered.plan.plan_id
    assert again.exact_totals == answered.plan.exact_totals


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20),
    st.sampled_from(["NO", "null", "1e5", "a: b", "- x", "#", "'", '"', "0x1"]),
)
def test_any_place_survives_the_file(name: str, other: str) -> None:
    """Texts that YAML could read as something else come back as they were."""
    try:
        question = WhereQuestion.of("4 TB", regions=[name], providers=[other])
    except InputError:
        return
    text = question.to_yaml("p")
    parsed = parse_yaml(text).value
    assert parsed["volumes"][0]["regions"] == [name]
    assert parsed["volumes"][0]["providers"] == [other]


@pytest.mark.parametrize(
    ("size", "asked", "message"),
    [
        ("4000", {}, "size: '4000' is not a size; write a number and a unit"),
        ("4 XB", {}, "is not a size"),
        ("4 TB", {"hours_per_month": 10}, "hours are given without a GPU"),
        ("4 TB", {"gpu": "A100:x"}, "is not a GPU"),
        ("4 TB", {"gpu": "A100", "hours_per_month": 800}, "hours_per_month: "),
        ("4 TB", {"security": "secure"}, "security: 'secure' is not one of"),
        ("4 TB", {"stock": "plenty"}, "stock: 'plenty' is not one of"),
        ("4 TB", {"replicas": 0}, "replicas: at least 1"),
        ("4 TB", {"gpu": "A100"}, "GPU"),
    ],
)
def test_questions_that_are_not_understood(size: str, asked: dict[str, Any], message: str) -> None:
    """Each is an error that says what to write; a GPU without a GPU market as well."""
    with pytest.raises(InputError, match=message):
        planner.where(size, OFFERS, **asked)


@pytest.mark.slow
def test_an_infeasible_question_says_what_to_change() -> None:
    """As a demand file would: relaxations with their cost, and the model that was meant."""
    with pytest.raises(Infeasible) as caught:
        planner.where("4TB", OFFERS, GPUS, gpu="A100")
    assert "use GPU A100_80GB instead of A100" in str(caught.value)
    assert "did you mean A100_80GB?" in " ".join(caught.value.warnings)
