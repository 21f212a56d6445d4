"""The plan: a document that loads back equal, notices every change, and names its disks once."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner import Plan, read_demand, read_gpus, read_offers
from planner.errors import InputError, PlanCorrupt, PlanInvalid, PlanVersionUnknown
from planner.formats import digest_of
from planner.plans.file import FORMAT
from planner.shipped import shipped_path
from planner.solve.rentals import CHOSEN_GPUS
from planner.solve.solution import PLACEMENTS
from tests.shipped_plans import TARGET, finetune, research

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module", params=[research, finetune])
def plan(request: pytest.FixtureRequest) -> Plan:
    made: Plan = request.param(target=TARGET)
    return made


@pytest.fixture(scope="module")
def joint() -> Plan:
    return finetune(target=TARGET)


@pytest.fixture
def saved(plan: Plan, tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    plan.save(path)
    return path


@pytest.mark.sweep
def test_a_plan_loads_back_equal(plan: Plan, saved: Path) -> None:
    """Saved and loaded, a plan is the same value and the same bytes."""
    loaded = Plan.load(saved)
    assert loaded == plan
    assert loaded.to_json().encode() == saved.read_bytes()


@pytest.mark.sweep
def test_any_changed_byte_is_noticed(saved: Path) -> None:
    """One byte changed, removed or added anywhere, and the plan is refused."""
    content = saved.read_bytes()
    rng = random.Random(1)
    places = [0, 1, len(content) - 1, *rng.sample(range(len(content)), 30)]
    for place in places:
        for other in (
            content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :],
            content[:place] + content[place + 1 :],
            content[:place] + b" " + content[place:],
        ):
            if other == content:
                continue
            saved.write_bytes(other)
            with pytest.raises((PlanCorrupt, PlanVersionUnknown)):
                Plan.load(saved)


def test_an_edit_that_mends_its_digest_is_still_refused(plan: Plan, saved: Path) -> None:
    """Whoever changes a price and computes the digest anew meets the check of every cent."""
    first, *others = plan.placements
    cheaper = replace(first, usd_gb_hr=first.usd_gb_hr / 2, usd_hr=first.usd_hr / 2)
    replace(plan, placements=(cheaper, *others)).save(saved)
    with pytest.raises(PlanInvalid) as caught:
        Plan.load(saved)
    assert any("usd_gb_hr is not the offer's" in one for one in caught.value.violations)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", PlanCorrupt),
        (b"\x00\xff\xfe binary", PlanCorrupt),
        (b"[]", PlanCorrupt),
        (b"null", PlanCorrupt),
        (b"{}", PlanCorrupt),
        (b'{"format": 3}', PlanCorrupt),
        (b'{"format": "planner.plan/1"}', PlanCorrupt),
        (b'{"format": "planner.plan/2"}', PlanCorrupt),
        (b'{"format": "planner.plan/3"}', PlanVersionUnknown),
        (b"[" * 100_000, PlanCorrupt),
    ],
)
def test_what_is_no_plan_is_refused(content: bytes, error: type[Exception], tmp_path: Path) -> None:
    """Junk of every kind is one clear error."""
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    with pytest.raises(error):
        Plan.load(path)


@pytest.mark.slow
@pytest.mark.sweep
def test_values_of_wrong_types_are_refused(plan: Plan, tmp_path: Path) -> None:
    """Replacing any stored value by another type is corruption, never a crash."""
    path = tmp_path / "plan.json"
    document = plan.to_document()
    for key in document:
        for value in (None, 1, "x", [], {}, [1], {"a": 1}):
            if document[key] == value:
                continue
            path.write_text(json.dumps({**document, key: value}, indent=2) + "\n")
            with pytest.raises((PlanCorrupt, PlanVersionUnknown)):
                Plan.load(path)


def test_a_missing_plan_is_wrong_input(tmp_path: Path) -> None:
    """No file and a directory are exit 2, like every wrong path."""
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(InputError):
            Plan.load(path)


def test_document_has_the_keys_of_the_format(plan: Plan) -> None:
    """Every documented key is there, demand and market last, GPUs among the inputs if asked for."""
    document = plan.to_document()
    assert list(document) == [
        "format",
        "digest",
        "plan_id",
        "project",
        "created_at",
        "nonce",
        "target",
        "origin",
        "limit_usd_hr",
        "inputs",
        "solver",
        "totals",
        "warnings",
        "placements",
        "gpus",
        "schedule",
        "requests",
        "leftover",
        "demand",
        "market",
    ]
    assert document["format"] == FORMAT
    both = {"demand", "offers"} | ({"gpus"} if plan.gpus else set())
    assert set(document["inputs"]) == both
    assert set(document["market"]) == {"offers", "gpus", "disks"}
    for one in document["inputs"].values():
        assert set(one) == {"source", "digest", "rows", "fetched_at"}
    assert json.loads(plan.to_json()) == document


@pytest.mark.slow
def test_plan_id_depends_on_inputs_and_placements_only(tmp_path: Path) -> None:
    """Time, nonce, target, solver and file names leave the id alone; a price does not."""
    plan = research()
    again = planner.plan(read_demand("shipped:research"), read_offers("shipped:disk-offers"))
    assert again.plan_id == plan.plan_id
    assert again.nonce != plan.nonce
    text = shipped_path("research").read_text()
    other = tmp_path / "another-name.yaml"
    other.write_text(re.sub(r"(?m)^project:.*$", "", text))
    offers = read_offers("shipped:disk-offers")
    assert planner.plan(read_demand(other), offers).plan_id == plan.plan_id
    offers["usd_gb_hr"] *= 0.99
    assert planner.plan(read_demand("shipped:research"), offers).plan_id != plan.plan_id


@pytest.mark.slow
def test_rows_in_any_order_give_the_same_plan(joint: Plan, tmp_path: Path) -> None:
    """Permuted listings of disks and GPUs give the same id, choice and market, byte for byte."""
    disks, gpus = (
        json.loads(shipped_path(name).read_text()) for name in ("disk-offers", "gpu-offers")
    )
    rng = random.Random(5)
    for _ in range(5):
        for name, listing in (("disks", disks), ("gpus", gpus)):
            rng.shuffle(listing["items"])
            (tmp_path / f"{name}.json").write_text(json.dumps(listing))
        offers, rented = read_offers(tmp_path / "disks.json"), read_gpus(tmp_path / "gpus.json")
        again = planner.plan(read_demand("shipped:finetune"), offers, rented)
        assert again.plan_id == joint.plan_id
        assert (again.placements, again.gpus) == (joint.placements, joint.gpus)
        assert again.market == joint.market


def test_a_plan_as_frames_has_the_declared_columns(plan: Plan) -> None:
    """One row a placement and one a workload, with exact costs that add up to the totals."""
    frame, gpus = plan.to_frame(exact=True), plan.gpus_to_frame(exact=True)
    declared = [column.name for column in PLACEMENTS]
    declared.insert(declared.index("usd_hr") + 1, "usd_month")
    assert list(frame.columns) == declared
    assert list(gpus.columns) == [*(column.name for column in CHOSEN_GPUS), "usd_month"]
    assert (len(frame), len(gpus)) == (len(plan.placements), len(plan.demand.workloads))
    assert sum(frame["usd_hr"], Decimal(0)) == Decimal(plan.exact_totals["disk_usd_hr"])
    assert sum(gpus["usd_hr"], Decimal(0)) == Decimal(plan.exact_totals["gpu_usd_hr"])
    months = [*frame["usd_month"], *gpus["usd_month"]]
    assert sum(months, Decimal(0)) == plan.exact_totals["usd_month"]
    assert plan.to_frame()["usd_month"].sum() == pytest.approx(float(sum(frame["usd_month"])))
    assert plan.totals == {name: float(usd) for name, usd in plan.exact_totals.items()}


STRANGE: dict[str, dict[str, Any]] = {
    "target without a URL": {"target": {"team_id": None}},
    "target in the clear": {"target": {"base_url": "http://evil.example", "team_id": None}},
    "target that is an option": {"target": {"base_url": "--output /tmp/x", "team_id": None}},
    "no nonce": {"nonce": ""},
    "no inputs": {"inputs": {}},
    "a team of two lines": {"target": {**TARGET, "team_id": "t\ntouch y"}},
    "a time that is none": {"created_at": "tomorrow"},
    "a time elsewhere": {"created_at": "2026-01-02T03:04:05+05:00"},
    "another project": {"project": "other"},
}


@pytest.mark.parametrize("change", STRANGE)
def test_a_plan_made_with_strange_values_is_refused(
    plan: Plan, tmp_path: Path, change: str
) -> None:
    """However consistent a file is with itself, what no planner writes is not believed."""
    path = tmp_path / "plan.json"
    replace(plan, **STRANGE[change]).save(path)
    with pytest.raises((PlanCorrupt, PlanInvalid)):
        Plan.load(path)


MARKETS: dict[str, dict[str, Any]] = {
    "no stock": {"stock": None},
    "a stock word for none": {"stock": "sold out"},
    "a price that is none": {"usd_gb_hr": "abc"},
    "a negative price": {"usd_gb_hr": "-1"},
    "a price in a list": {"usd_gb_hr": [1]},
    "a provider in a list": {"provider": ["x"]},
    "a step of nothing": {"step_gb": 0},
    "a size as text": {"min_gb": "0"},
    "a flag for a size": {"min_gb": False},
    "a name that cannot be shown": {"cloud_id": "x\ntouch y"},
    "an empty name": {"cloud_id": ""},
}


@pytest.mark.sweep
@pytest.mark.parametrize("change", MARKETS)
def test_a_market_that_is_none_is_refused(plan: Plan, tmp_path: Path, change: str) -> None:
    """Rows that no market gives are corruption, never a crash."""
    path = tmp_path / "plan.json"
    first, *others = plan.market.offer_rows
    rows = ({**first, **MARKETS[change]}, *others)
    sealed = {**plan.inputs["offers"], "digest": digest_of(list(rows))}
    replace(
        plan, market=replace(plan.market, offer_rows=rows), inputs={**plan.inputs, "offers": sealed}
    ).save(path)
    with pytest.raises((PlanCorrupt, PlanInvalid)):
        Plan.load(path)
