"""Integrity of what ships: the documented market and the example demands."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import planner
from planner.schema import records
from planner.shipped import shipped_names, shipped_path

DATA = Path(__file__).parent.parent / "data"
FILES = sorted(path for path in DATA.iterdir() if not path.name.startswith("."))
FACTS = "providers.yaml"
DEMANDS = [path for path in FILES if path.suffix == ".yaml" and path.name != FACTS]
LISTINGS = {"disk-offers.json": 13, "gpu-offers.json": 9}

DISK_KEYS = {
    "cloudId",
    "provider",
    "dataCenter",
    "country",
    "region",
    "spec",
    "stockStatus",
    "security",
    "isMultinode",
}
SPEC_KEYS = {
    "minCount",
    "defaultCount",
    "maxCount",
    "pricePerUnit",
    "step",
    "defaultIncludedInPrice",
    "additionalInfo",
}
GPU_KEYS = {
    "cloudId",
    "gpuType",
    "socket",
    "provider",
    "dataCenter",
    "country",
    "region",
    "gpuCount",
    "gpuMemory",
    "stockStatus",
    "security",
    "prices",
    "images",
    "isSpot",
    "prepaidTime",
    "interconnect",
    "interconnectType",
    "internetSpeed",
    "provisioningTime",
}
PRICE_KEYS = {"onDemand", "communityPrice", "isVariable", "currency"}
STOCK = {"Available", "High", "Medium", "Low", "Unavailable"}
SECURITY = {"secure_cloud", "community_cloud"}

SHORT_IDS = {
    # Written down once, from the published rule and not by planner: the first six hex digits of
    # the MD5 of "{provider}-{cloudId}-{dataCenter}-{country}-{region}-{defaultCount}-", with None
    # for null.
    ("runpod", "US-CA-2"): "c008ad",
    ("runpod", "US-IL-1"): "4e50ab",
    ("runpod", "US-KS-2"): "4eb3b5",
    ("runpod", "US-MO-1"): "334eaa",
    ("runpod", "US-NC-1"): "d9c8e5",
    ("runpod", "US-TX-3"): "241b41",
    ("runpod", "US-WA-1"): "7d2232",
    ("hyperstack", "US-1"): "a869c3",
    ("crusoecloud", "us-southcentral1-a"): "8121df",
    ("crusoecloud", "us-east1-a"): "81cdd2",
    ("dc_roan", None): "2f139f",
    ("hyperstack", "NORWAY-1"): "472b26",
    ("crusoecloud", "eu-iceland1-a"): "dbb3e8",
}


def _document(name: str) -> dict[str, Any]:
    document = json.loads((DATA / name).read_text(encoding="utf-8"), parse_float=Decimal)
    assert isinstance(document, dict)
    return document


def test_nothing_else_ships() -> None:
    """What travels in the package is known to these tests: listings, facts and demand files."""
    assert {path.name for path in FILES} == {*LISTINGS, FACTS, *(path.name for path in DEMANDS)}
    assert {"minimal.yaml", "research.yaml", "finetune.yaml"} <= {path.name for path in DEMANDS}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_shipped_file_is_reached_by_its_name(path: Path) -> None:
    """`shipped:NAME` and the file in `data/` are the same bytes."""
    assert path.stem in shipped_names()
    assert shipped_path(path.stem).read_bytes() == path.read_bytes()
    assert shipped_path(path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_shipped_file_is_clean_text(path: Path) -> None:
    """UTF-8 without a mark, Unix lines, and none of the tabs that YAML forbids."""
    content = path.read_bytes()
    assert content.decode("utf-8").strip()
    assert not any(mark in content for mark in (b"\xef\xbb\xbf", b"\r", b"\t"))


@pytest.mark.parametrize("name", LISTINGS)
def test_a_listing_is_complete(name: str) -> None:
    """It holds as many rows as it says, as many as were published, and none twice."""
    document = _document(name)
    assert document["totalCount"] == len(document["items"]) == LISTINGS[name]
    assert len({json.dumps(row, default=str) for row in document["items"]}) == LISTINGS[name]


def test_disk_rows_have_the_documented_keys() -> None:
    """A key that the API does not document would be a guess of ours."""
    for row in _document("disk-offers.json")["items"]:
        assert set(row) == DISK_KEYS
        assert set(row["spec"]) == SPEC_KEYS
        assert row["stockStatus"] in STOCK
        assert row["security"] in SECURITY


def test_gpu_rows_have_the_documented_keys() -> None:
    """The same for GPUs."""
    for row in _document("gpu-offers.json")["items"]:
        assert set(row) == GPU_KEYS
        assert set(row["prices"]) == PRICE_KEYS
        assert row["prices"]["currency"] == "USD"
        assert row["stockStatus"] in STOCK
        assert row["security"] in SECURITY


def test_disk_offers_are_sellable() -> None:
    """Every row is read without a problem, has an exact positive price and room for a disk."""
    offers = planner.read_offers("shipped:disk-offers", exact=True)
    assert len(offers) == LISTINGS["disk-offers.json"]
    assert offers["problem"].isna().all()
    assert not offers["ambiguous"].any()
    assert all(isinstance(price, Decimal) and price > 0 for price in offers["usd_gb_hr"])
    assert (offers["max_gb"] >= offers["min_gb"]).all()
    assert (offers["step_gb"] >= 1).all()


def test_gpu_offers_are_rentable() -> None:
    """The same for GPUs."""
    gpus = planner.read_gpus("shipped:gpu-offers", exact=True)
    assert len(gpus) == LISTINGS["gpu-offers.json"]
    assert gpus["problem"].isna().all()
    assert all(isinstance(price, Decimal) and price > 0 for price in gpus["usd_hr"])
    assert (gpus["gpus"] >= 1).all()


def test_prices_are_read_to_the_last_digit() -> None:
    """The price in the frame is the number in the file, not a float near it."""
    listed = {
        (row["provider"], row["dataCenter"]): row["spec"]["pricePerUnit"]
        for row in _document("disk-offers.json")["items"]
    }
    rows = records(planner.read_offers("shipped:disk-offers", exact=True))
    read = {(row["provider"], row["data_center"]): row["usd_gb_hr"] for row in rows}
    assert read == listed


def test_short_ids_are_the_published_ones() -> None:
    """A row here and a row of the vendor's client are the same row."""
    rows = records(planner.read_offers("shipped:disk-offers", exact=True))
    read = {(row["provider"], row["data_center"]): row["offer_id"] for row in rows}
    assert read == SHORT_IDS


@pytest.mark.slow
@pytest.mark.parametrize("path", DEMANDS, ids=lambda path: path.name)
def test_a_shipped_demand_has_a_proven_plan(path: Path) -> None:
    """On the shipped market every example is planned to proven optimality, and the plan holds."""
    demand = planner.read_demand(path)
    offers = planner.read_offers("shipped:disk-offers", exact=True)
    gpus = planner.read_gpus("shipped:gpu-offers", exact=True)
    plan = planner.plan(demand, offers, gpus)
    assert plan.solver.status == "optimal"
    assert plan.solver.objective_usd_hr == plan.solver.bound_usd_hr
    assert plan.violations() == ()
    buyable, placed, rented = planner.addressable(offers, exact=True), plan.placements, plan.gpus
    assert planner.verify(demand, buyable, placed, gpus=gpus, rented=rented) == ()
    known = ("data centre not listed", "one pod can mount")
    assert all(any(text in warning for text in known) for warning in plan.warnings)


@pytest.mark.slow
def test_one_example_shows_disks_that_are_cheapest_where_there_are_no_gpus() -> None:
    """The cheapest disks of the market have no GPUs beside them, and the plan says what that is."""
    plan = planner.plan(
        planner.read_demand("shipped:finetune"),
        planner.read_offers("shipped:disk-offers", exact=True),
        planner.read_gpus("shipped:gpu-offers", exact=True),
    )
    *_, disks = plan.baselines()
    assert disks.usd_month is None
    assert disks.disks_usd_month is not None
    assert disks.disks_usd_month < Decimal(plan.exact_totals["disk_usd_hr"]) * 730
    assert {one.workload for one in plan.gpus} == {"finetune", "evaluate"}
