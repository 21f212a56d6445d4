"""The GPUs of a plan file: part of its id, held against its market, refused where changed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner import Plan, read_demand, read_gpus, read_offers
from planner.demand.read import demand_from
from planner.errors import PlanCorrupt, PlanInvalid
from planner.formats import digest_of
from planner.market.gpus import gpus_frame
from planner.market.offers import offers_frame
from planner.solve.rentals import CHOSEN_GPUS
from tests.market.rows import disk, gpu
from tests.shipped_plans import TARGET, finetune

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def joint() -> Plan:
    return finetune(target=TARGET)


@pytest.mark.slow
def test_plan_id_depends_on_the_gpus_and_their_market(joint: Plan) -> None:
    """Another price of a GPU that is not even rented is another input, and so is another GPU."""
    gpus = read_gpus("shipped:gpu-offers")
    gpus["usd_hr"] = [usd + 1 if gpu == "H200_141GB" else usd for gpu, usd in _prices(gpus)]
    gpus.loc[gpus["gpu_type"] != "A100_80GB", "stock"] = "Low"
    demand, offers = read_demand("shipped:finetune"), read_offers("shipped:disk-offers")
    other = planner.plan(demand, offers, gpus)
    assert other.gpus == joint.gpus
    assert other.plan_id != joint.plan_id
    first, *others = joint.gpus
    moved = replace(joint, gpus=(replace(first, cloud_id="another"), *others))
    assert moved.plan_id != joint.plan_id


def _prices(gpus: Any) -> Any:
    return zip(gpus["gpu_type"], gpus["usd_hr"], strict=True)


def test_each_gpu_says_what_runs_where_at_what_cost(joint: Plan) -> None:
    """A GPU's entry has the documented keys; its disks are at its site; the month is averaged."""
    document = joint.to_document()
    assert [gpu["workload"] for gpu in document["gpus"]] == ["finetune", "evaluate"]
    first = document["gpus"][0]
    assert list(first) == [column.name for column in CHOSEN_GPUS]
    assert (first["gpu_type"], first["socket"], first["spot"]) == ("A100_80GB", "SXM4", False)
    assert (first["nodes"], first["hours_per_month"]) == (1, 120)
    corpus = next(one for one in joint.placements if one.volume == "corpus")
    assert (first["provider"], first["data_center"]) == (corpus.provider, corpus.data_center)
    averaged = Decimal(first["usd_hr_on"]) * 120 / 730
    assert abs(Decimal(first["usd_hr"]) - averaged) <= Decimal("1e-12")


GPU_CHANGES: dict[str, dict[str, Any]] = {
    "another workload": {"workload": "evaluate"},
    "another offer": {"offer_id": "ffffff"},
    "another provider": {"provider": "hyperstack"},
    "another model": {"gpu_type": "H100_80GB"},
    "more GPUs": {"gpus": 8},
    "more nodes": {"nodes": 2},
    "another socket": {"socket": "PCIe"},
    "spot": {"spot": True},
    "another site": {"data_center": "US-1"},
    "fewer hours": {"hours_per_month": 1},
    "a lower price": {"usd_hr_on": Decimal(1)},
    "a lower average": {"usd_hr": Decimal("0.1")},
    "nodes that are none": {"nodes": -1},
}


@pytest.mark.slow
@pytest.mark.parametrize("change", GPU_CHANGES)
def test_a_changed_gpu_is_refused(joint: Plan, tmp_path: Path, change: str) -> None:
    """However consistent the file, what it says of its GPUs is what its market sells."""
    path = tmp_path / "plan.json"
    first, *others = joint.gpus
    replace(joint, gpus=(replace(first, **GPU_CHANGES[change]), *others)).save(path)
    with pytest.raises((PlanCorrupt, PlanInvalid)):
        Plan.load(path)


@pytest.mark.slow
def test_a_gpu_too_few_or_too_many_is_refused(joint: Plan, tmp_path: Path) -> None:
    """Every workload runs once."""
    path = tmp_path / "plan.json"
    for gpus in ((), joint.gpus[:1], (*joint.gpus, joint.gpus[0]), joint.gpus[::-1]):
        replace(joint, gpus=gpus).save(path)
        with pytest.raises(PlanInvalid):
            Plan.load(path)


GPU_MARKETS: dict[str, dict[str, Any]] = {
    "no price": {"usd_hr": None},
    "a lower price": {"usd_hr": "0.5"},
    "a price that is none": {"usd_hr": "abc"},
    "a price in another notation": {"usd_hr": "1.7E0"},
    "out of stock": {"stock": "Unavailable"},
    "stock in another case": {"stock": "low"},
    "no listing": {"listing": "spot"},
    "a count as text": {"gpus": "1"},
    "a provider in a list": {"provider": ["x"]},
    "a name that cannot be shown": {"cloud_id": "x\ntouch y"},
}


@pytest.mark.sweep
@pytest.mark.parametrize("change", GPU_MARKETS)
def test_a_gpu_market_that_is_none_is_refused(joint: Plan, tmp_path: Path, change: str) -> None:
    """Rows that no listing gives, or on which the plan does not rest, are not believed."""
    path = tmp_path / "plan.json"
    market = tuple(
        {**row, **GPU_MARKETS[change]} if row["offer_id"] == joint.gpus[0].offer_id else row
        for row in joint.market.gpu_rows
    )
    assert market != joint.market.gpu_rows
    sealed = {**joint.inputs["gpus"], "digest": digest_of(list(market))}
    replace(
        joint,
        market=replace(joint.market, gpu_rows=market),
        inputs={**joint.inputs, "gpus": sealed},
    ).save(path)
    with pytest.raises((PlanCorrupt, PlanInvalid)):
        Plan.load(path)


@pytest.mark.sweep
@pytest.mark.parametrize("listed", ["disk", "gpu", "neither"])
def test_a_place_that_one_side_leaves_out_is_unconfirmed(listed: str, tmp_path: Path) -> None:
    """A data centre is not listed on one side: the plan stands, and says what to check."""
    disk_at = "A-1" if listed == "disk" else None
    gpu_at = "A-1" if listed == "gpu" else None
    document = {
        "version": 1,
        "volumes": [{"name": "x", "size_gb": 100}],
        "workloads": [{"name": "job", "gpu": "H100_80GB", "mounts": ["x"]}],
    }
    offers = offers_frame([disk(dataCenter=disk_at), disk(provider="beta", dataCenter="A-1")])
    made = planner.plan(demand_from(document), offers, gpus_frame([gpu(dataCenter=gpu_at)]))
    made.save(tmp_path / "plan.json")
    plan = Plan.load(tmp_path / "plan.json")
    assert [one.provider for one in plan.placements] == ["alpha"]
    asks = "`disks` filter" if disk_at is None else "`planner status` ask the marketplace"
    assert asks in " ".join(plan.warnings)
