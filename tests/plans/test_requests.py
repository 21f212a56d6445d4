"""Create requests: what the vendor documents and no more, under names that are made once."""

from __future__ import annotations

import jsonschema
import pytest

import planner
from planner import Plan, read_demand, read_offers
from planner.demand.read import demand_from
from tests.shipped_plans import TARGET, finetune, research


@pytest.fixture(scope="module")
def plan() -> Plan:
    return research(target=TARGET)


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
    other = planner.plan(
        read_demand("shipped:research"), read_offers("shipped:disk-offers"), nonce="f" * 16
    )
    assert not {one["body"]["disk"]["name"] for one in other.requests} & set(names)


@pytest.mark.sweep
@pytest.mark.parametrize("name", ["9lives", "A.B_c", "x" * 64, "_", "-.-"])
def test_awkward_volume_names_make_valid_disk_names(name: str) -> None:
    """Digits first, capitals, dots, length: the disk's name stays within the safe alphabet."""
    demand = demand_from({"version": 1, "volumes": [{"name": name, "size_gb": 1}]})
    plan = planner.plan(demand, read_offers("shipped:disk-offers"))
    (request,) = plan.requests
    jsonschema.validate(request["body"], REQUEST)


def test_gpus_are_rented_later_and_no_request_of_a_plan() -> None:
    """A plan buys disks, a shared one once; what runs on them is rented when it runs."""
    joint = finetune()
    assert joint.gpus
    assert [one["volume"] for one in joint.requests] == ["corpus", "backup"]
    assert all(set(one["body"]) == {"disk", "provider"} for one in joint.requests)
