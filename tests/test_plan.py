"""The plan: a document that loads back equal, notices every change, and names its disks once."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from planner import Plan, make_plan, read_demand, read_offers
from planner.demand import demand_from
from planner.errors import InputError, NotProven, PlanCorrupt, PlanInvalid, PlanVersionUnknown
from planner.exact_json import digest_of
from planner.market import offers_frame
from planner.plan import FORMAT

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TARGET: dict[str, str | None] = {"base_url": "https://market.example", "team_id": "team-1"}


def research(**options: Any) -> Plan:
    demand, offers = read_demand("shipped:research"), read_offers("shipped:disk-offers")
    return make_plan(demand, offers, now=NOW, nonce="0123456789abcdef", **options)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return research(target=TARGET)


@pytest.fixture
def saved(plan: Plan, tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    plan.save(path)
    return path


def test_a_plan_loads_back_equal(plan: Plan, saved: Path) -> None:
    """Saved and loaded, a plan is the same value and the same bytes."""
    loaded = Plan.load(saved)
    assert loaded == plan
    assert loaded.to_json().encode() == saved.read_bytes()


def test_any_changed_byte_is_noticed(saved: Path) -> None:
    """One byte changed, removed or added anywhere, and the plan is refused."""
    content = saved.read_bytes()
    rng = random.Random(1)
    places = [0, 1, len(content) - 1, *rng.sample(range(len(content)), 60)]
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
        (b'{"format": "planner.plan/2"}', PlanVersionUnknown),
        (b"[" * 100_000, PlanCorrupt),
    ],
)
def test_what_is_no_plan_is_refused(content: bytes, error: type[Exception], tmp_path: Path) -> None:
    """Junk of every kind is one clear error."""
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    with pytest.raises(error):
        Plan.load(path)


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
    """Every documented key is there, and demand and market come last."""
    document = plan.to_document()
    assert list(document) == [
        "format",
        "digest",
        "plan_id",
        "project",
        "created_at",
        "nonce",
        "target",
        "limit_usd_hr",
        "inputs",
        "solver",
        "totals",
        "warnings",
        "placements",
        "gpus",
        "requests",
        "demand",
        "market",
    ]
    assert document["format"] == FORMAT
    assert set(document["inputs"]) == {"demand", "offers"}
    for one in document["inputs"].values():
        assert set(one) == {"source", "digest", "rows", "fetched_at"}
    assert json.loads(plan.to_json()) == document


def test_totals_are_the_sum_of_size_times_price(plan: Plan) -> None:
    """Totals equal the sum worked out from sizes and published prices, to the last decimal."""
    cost = sum(
        (sum(one.disk_sizes_gb) * one.usd_gb_hr for one in plan.placements), start=Decimal(0)
    )
    totals = plan.totals
    assert Decimal(totals["usd_hr"]) == cost
    assert Decimal(totals["usd_month"]) == cost * totals["hours_per_month"]
    assert totals["new_usd_hr"] == totals["disk_usd_hr"] == totals["usd_hr"]


def test_plan_id_depends_on_inputs_and_placements_only(tmp_path: Path) -> None:
    """Time, nonce, target, solver and file names leave the id alone; a price does not."""
    plan = research()
    again = make_plan(
        read_demand("shipped:research"), read_offers("shipped:disk-offers"), solver="cbc"
    )
    assert again.plan_id == plan.plan_id
    assert again.nonce != plan.nonce
    text = Path(_shipped("research.yaml")).read_text()
    other = tmp_path / "another-name.yaml"
    other.write_text(re.sub(r"(?m)^project:.*$", "", text))
    offers = read_offers("shipped:disk-offers")
    assert make_plan(read_demand(other), offers).plan_id == plan.plan_id
    offers["usd_gb_hr"] = [price * Decimal("0.99") for price in offers["usd_gb_hr"]]
    assert make_plan(read_demand("shipped:research"), offers).plan_id != plan.plan_id


def test_rows_in_any_order_give_the_same_plan(plan: Plan, tmp_path: Path) -> None:
    """A permuted snapshot gives the same id, placements and market, byte for byte."""
    document = json.loads(Path(_shipped("disk-offers.json")).read_text())
    rng = random.Random(5)
    for _ in range(5):
        rng.shuffle(document["items"])
        path = tmp_path / "market.json"
        path.write_text(json.dumps(document))
        again = make_plan(read_demand("shipped:research"), read_offers(path))
        assert again.plan_id == plan.plan_id
        assert (again.placements, again.market) == (plan.placements, plan.market)


def _shipped(name: str) -> str:
    from planner.shipped import shipped_path

    return str(shipped_path(name))


REQUEST = {
    "type": "object",
    "required": ["disk", "provider"],
    "properties": {
        "disk": {
            "type": "object",
            "required": ["size", "name"],
            "additionalProperties": False,
            "properties": {
                "size": {"type": "integer", "exclusiveMinimum": 0},
                "name": {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,47}$"},
                "country": {"type": "string"},
                "cloudId": {"type": "string"},
                "dataCenterId": {"type": "string"},
            },
        },
        "provider": {
            "type": "object",
            "required": ["type"],
            "additionalProperties": False,
            "properties": {"type": {"type": "string"}},
        },
        "team": {"type": "object", "required": ["teamId"]},
    },
    "additionalProperties": False,
}
"""What the vendor documents of POST /disks/, and no more: other keys are not allowed."""


def test_requests_are_what_the_vendor_documents(plan: Plan) -> None:
    """Every body has the documented keys only, and the offer's place and size."""
    requests = plan.requests
    sizes = [size for one in plan.placements for size in one.disk_sizes_gb]
    assert [request["body"]["disk"]["size"] for request in requests] == sizes
    for request in requests:
        jsonschema.validate(request["body"], REQUEST)
        assert request["body"]["team"] == {"teamId": "team-1"}
    assert all("team" not in request["body"] for request in research().requests)


def test_what_the_offer_does_not_have_is_left_out(plan: Plan) -> None:
    """A null data centre or cloud id is no key of the body, never a null."""
    bodies = [
        one["body"]["disk"] for one in plan.requests if one["body"]["provider"]["type"] == "dc_roan"
    ]
    assert bodies
    assert all("dataCenterId" not in body and "cloudId" not in body for body in bodies)


def test_disk_names_follow_plan_and_slot(plan: Plan) -> None:
    """Names are unique, readable, and change with the nonce but not with the run."""
    names = [request["body"]["disk"]["name"] for request in plan.requests]
    assert len(set(names)) == len(names)
    assert [one["body"]["disk"]["name"] for one in research(target=TARGET).requests] == names
    for request, name in zip(plan.requests, names, strict=True):
        assert name.startswith(request["volume"])
    other = make_plan(
        read_demand("shipped:research"), read_offers("shipped:disk-offers"), nonce="f" * 16
    )
    assert not {one["body"]["disk"]["name"] for one in other.requests} & set(names)


@pytest.mark.parametrize("name", ["9lives", "A.B_c", "x" * 64, "_", "-.-"])
def test_awkward_volume_names_make_valid_disk_names(name: str) -> None:
    """Digits first, capitals, dots, length: the disk's name stays within the safe alphabet."""
    demand = demand_from({"version": 1, "volumes": [{"name": name, "size_gb": 1}]})
    plan = make_plan(demand, read_offers("shipped:disk-offers"))
    (request,) = plan.requests
    jsonschema.validate(request["body"], REQUEST)


def test_html_is_escaped_and_has_no_scripts() -> None:
    """What the market says reaches the page as text."""
    evil = "<script>alert(1)</script>"
    row = {
        "provider": evil,
        "dataCenter": '"><img src=x onerror=alert(1)>',
        "region": "\x1b[2J",
        "stockStatus": "High",
        "security": "secure_cloud",
        "spec": {"pricePerUnit": Decimal("0.0001")},
    }
    demand = demand_from({"version": 1, "volumes": [{"name": "x", "size_gb": 1}]})
    html = make_plan(demand, offers_frame([row]))._repr_html_()
    assert "<script" not in html
    assert "<img" not in html
    assert "\x1b" not in html
    assert "&lt;script&gt;" in html


def test_an_unproven_plan_is_not_returned_unless_its_gap_is_accepted() -> None:
    """NotProven carries the incumbent; accept_gap at or above its gap returns it."""
    from planner.make import require_proof

    plan = research()
    bound = plan.solver.objective_usd_hr * Decimal("0.9")
    open_gap = replace(plan.solver, status="feasible", bound_usd_hr=bound, gap=0.1)
    unproven = replace(plan, solver=open_gap)
    with pytest.raises(NotProven) as caught:
        require_proof(unproven, None)
    assert caught.value.plan is unproven
    with pytest.raises(NotProven):
        require_proof(unproven, Decimal(9))
    require_proof(unproven, Decimal(10))


def test_plan_as_frame_has_the_declared_columns(plan: Plan) -> None:
    """to_frame has one row a placement and exact costs."""
    from planner.solve import PLACEMENTS

    frame = plan.to_frame()
    assert list(frame.columns) == [column.name for column in PLACEMENTS]
    assert len(frame) == len(plan.placements)
    assert sum(frame["usd_hr"], Decimal(0)) == Decimal(plan.totals["disk_usd_hr"])


def test_make_plan_leaves_the_callers_frame_alone() -> None:
    """Frames go in and come out unchanged."""
    offers = read_offers("shipped:disk-offers")
    before = offers.copy()
    make_plan(read_demand("shipped:minimal"), offers)
    assert offers.equals(before)


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


RECORDS: dict[str, dict[str, Any]] = {
    "a gap": {"gap": 0.5},
    "a bound": {"bound_usd_hr": Decimal(0)},
    "a status": {"status": "feasible"},
    "an objective": {"objective_usd_hr": Decimal(1)},
    "an infinite time": {"seconds": float("inf")},
}


@pytest.mark.parametrize("change", RECORDS)
def test_a_record_that_does_not_follow_is_refused(plan: Plan, tmp_path: Path, change: str) -> None:
    """Status, gap and bound have to follow from cost and placements."""
    path = tmp_path / "plan.json"
    replace(plan, solver=replace(plan.solver, **RECORDS[change])).save(path)
    with pytest.raises((PlanCorrupt, PlanInvalid)):
        Plan.load(path)


MARKETS: dict[str, dict[str, Any]] = {
    "no stock": {"stock": None},
    "odd stock": {"stock": "odd"},
    "a price that is none": {"usd_gb_hr": "abc"},
    "a negative price": {"usd_gb_hr": "-1"},
    "a price in a list": {"usd_gb_hr": [1]},
    "a provider in a list": {"provider": ["x"]},
    "a step of nothing": {"step_gb": 0},
    "a size as text": {"min_gb": "0"},
    "an unknown column": {"extra": 1},
    "a price in another notation": {"usd_gb_hr": "1E-4"},
    "a flag for a size": {"min_gb": False},
    "a name that cannot be shown": {"cloud_id": "x\ntouch y"},
    "an empty name": {"cloud_id": ""},
}


def test_a_dearer_plan_that_calls_itself_optimal_is_refused(plan: Plan, tmp_path: Path) -> None:
    """A consistent record of a dearer placement does not meet the bound of its own market."""
    demand = demand_from({"version": 1, "volumes": [{"name": "x", "size_gb": 10}]})
    best = make_plan(demand, read_offers("shipped:disk-offers"))
    (placement,) = best.placements
    other = next(one for one in plan.placements if one.provider == "runpod")
    cost = other.usd_gb_hr * 10
    moved = replace(
        other,
        volume="x",
        replica=1,
        disk_sizes_gb=(10,),
        provision_gb=10,
        usd_hr=cost,
        owner=None,
        tags={},
    )
    assert cost > placement.usd_hr
    record = replace(best.solver, objective_usd_hr=cost, bound_usd_hr=cost)
    path = tmp_path / "plan.json"
    replace(best, placements=(moved,), solver=record).save(path)
    with pytest.raises(PlanInvalid, match="bound is not the least"):
        Plan.load(path)


@pytest.mark.parametrize("change", MARKETS)
def test_a_market_that_is_none_is_refused(plan: Plan, tmp_path: Path, change: str) -> None:
    """Rows that no market gives are corruption, never a crash."""
    path = tmp_path / "plan.json"
    first, *others = plan.market
    market = ({**first, **MARKETS[change]}, *others)
    sealed = {**plan.inputs["offers"], "digest": digest_of(list(market))}
    replace(plan, market=market, inputs={**plan.inputs, "offers": sealed}).save(path)
    with pytest.raises((PlanCorrupt, PlanInvalid)):
        Plan.load(path)
