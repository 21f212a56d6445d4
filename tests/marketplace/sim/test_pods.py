"""Pods: rented, listed, terminated and billed, with disks attached as their providers allow."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from planner.marketplace.sim.local import Sim
from tests.marketplace.sim.plain_http import (
    API,
    DISKS,
    HERE,
    THERE,
    Answer,
    ask,
    create,
    gpu,
    offer,
)

if TYPE_CHECKING:
    from pathlib import Path

PODS = f"{API}/pods/"
LEFT_OPEN = {"maxPrice": None, "country": None, "security": None, "jupyterPassword": None}
"""Fields that the vendor's client sends as null."""


def market(**over: Any) -> Sim:
    """Return a market with one disk offer and one GPU offer, whose clock stands still."""
    options = {"clock_speed": 0, "provisioning_s": 0, "attach_limits": {"acme": 2}, **over}
    gpus, nodes = options.pop("gpus", [gpu()]), options.pop("nodes", [])
    disks = options.pop("disks", [offer(), offer(THERE)])
    return Sim(disks, gpus, nodes, **options)


def wanted(*disks: str, provider: str = "acme", **pod: Any) -> dict[str, Any]:
    """Return a create request as the vendor's client sends it."""
    asked = {
        "name": "train",
        "cloudId": "a100",
        "gpuType": "A100_80GB",
        "socket": "SXM4",
        "gpuCount": 1,
        "vcpus": 8,
        "memory": 64,
        "diskSize": 100,
        "image": "ubuntu_22_cuda_12",
        "dataCenterId": "A-1",
        **LEFT_OPEN,
        **pod,
    }
    return {"pod": asked, "provider": {"type": provider}, "disks": list(disks), "team": None}


def rent(sim: Sim, *disks: str, **pod: Any) -> Answer:
    """Create a pod."""
    return ask(sim, "POST", PODS, wanted(*disks, **pod))


def pods_of(sim: Sim, disk_id: str) -> list[str]:
    """Return what a disk is attached to, as the API shows it."""
    pods: list[str] = ask(sim, "GET", DISKS + disk_id).json["pods"]
    return pods


def test_a_pod_lives_from_its_create_to_its_history() -> None:
    """Created with a disk, listed, ready after a while, terminated, and in the history."""
    with market(provisioning_s=5) as sim:
        disk = create(sim).json["id"]
        sim.advance(seconds=5)
        made = rent(sim, disk)
        assert made.status == 200
        assert (made.json["name"], made.json["status"]) == ("train", "PROVISIONING")
        assert (made.json["gpuName"], made.json["gpuCount"]) == ("A100_80GB", 1)
        assert made.json["priceHr"] == Decimal("1.5")
        assert made.json["resources"] == {
            "memory": 64,
            "disk": 100,
            "shared_disk": 500,
            "vcpus": 8,
        }
        (attached,) = made.json["attachedResources"]
        assert (attached["id"], attached["resourceType"], attached["size"]) == (disk, "DISK", 500)
        pod = made.json["id"]
        assert pods_of(sim, disk) == [pod]
        sim.advance(seconds=5)
        listed = ask(sim, "GET", PODS).json
        assert (listed["total_count"], listed["offset"], listed["limit"]) == (1, 0, 100)
        assert listed["data"] == [ask(sim, "GET", PODS + pod).json]
        assert listed["data"][0]["status"] == "ACTIVE"
        assert listed["data"][0]["installationStatus"] == "FINISHED"
        statuses = ask(sim, "GET", f"{PODS}status?pod_ids={pod}&pod_ids=unknown").json["data"]
        assert [(row["podId"], row["status"]) for row in statuses] == [(pod, "ACTIVE")]
        assert statuses[0]["sshConnection"].startswith("root@")
        sim.advance(hours=2)
        assert ask(sim, "DELETE", PODS + pod).json == {"status": "TERMINATED"}
        assert ask(sim, "DELETE", PODS + pod).status == 404
        assert ask(sim, "GET", PODS).json["data"] == []
        assert ask(sim, "GET", PODS + pod).json["status"] == "TERMINATED"
        (past,) = ask(sim, "GET", f"{PODS}history").json["data"]
        assert (past["id"], past["type"], past["totalBilledPrice"]) == (pod, "Instance", 3)
        assert pods_of(sim, disk) == []


def test_a_disk_cannot_be_deleted_while_attached_and_shortly_after() -> None:
    """Attached, then detaching for as long as the simulator is told to take, then free."""
    with market(detaching_s=30) as sim:
        disk = create(sim).json["id"]
        pod = rent(sim, disk).json["id"]
        assert ask(sim, "DELETE", DISKS + disk).status == 409
        ask(sim, "DELETE", PODS + pod)
        sim.advance(seconds=29)
        refused = ask(sim, "DELETE", DISKS + disk)
        assert (refused.status, "detaching" in refused.json["detail"]) == (409, True)
        again = rent(sim, disk)
        assert again.status == 422
        assert "detaching" in again.json["errors"][0]["details"]
        sim.advance(seconds=1)
        assert ask(sim, "DELETE", DISKS + disk).status == 200


def test_a_pod_is_billed_by_the_clock_from_when_it_is_ready() -> None:
    """Hours at the offer's price, exact, in the wallet as compute; it stops with the pod."""
    with market(provisioning_s=3600, balance_usd=100) as sim:
        pod = rent(sim).json["id"]
        sim.advance(hours=Decimal("3.5"))
        assert sim.balance_usd == Decimal("96.25")
        ask(sim, "DELETE", PODS + pod)
        sim.advance(hours=10)
        assert sim.balance_usd == Decimal("96.25")
        wallet = ask(sim, "GET", f"{API}/billing/wallet").json
        (bill,) = wallet["recent_billings"]
        assert (bill["resource_type"], bill["resource_id"]) == ("compute", pod)
        assert bill["amount_usd"] == Decimal("3.75")
        assert [each["cost_usd"] for each in sim.pods()] == [Decimal("3.75")]


@pytest.mark.parametrize(
    ("change", "param", "why"),
    [
        ({"cloudId": "other"}, "body.pod.cloudId", "No such GPU offer"),
        ({"gpuType": "H100_80GB"}, "body.pod.cloudId", "No such GPU offer"),
        ({"gpuCount": 2}, "body.pod.cloudId", "No such GPU offer"),
        ({"dataCenterId": "B-1"}, "body.pod.cloudId", "No such GPU offer"),
        ({"country": "NO"}, "body.pod.cloudId", "No such GPU offer"),
        ({"security": "community_cloud"}, "body.pod.cloudId", "No such GPU offer"),
        ({"provider": "nobody"}, "body.pod.cloudId", "No such GPU offer"),
        ({"maxPrice": 1.49}, "body.pod.maxPrice", "more than maxPrice 1.49"),
        ({"gpuCount": 0}, "body.pod.gpuCount", "greater than 0"),
        ({"colour": "red"}, "body.pod.colour", "not permitted"),
    ],
)
def test_a_pod_that_is_not_on_offer_is_refused(
    change: dict[str, Any], param: str, why: str
) -> None:
    """422 names the field, and nothing is rented."""
    with market() as sim:
        refused = rent(sim, **change)
        assert refused.status == 422
        (problem,) = refused.json["errors"]
        assert problem["param"] == param
        assert why in problem["details"]
        assert sim.pods() == []


def test_of_offers_that_are_alike_the_dearest_rents_and_the_cap_decides() -> None:
    """The cap is compared with what would be charged; at the price itself it is rented."""
    dear = gpu(prices={"onDemand": Decimal(2), "communityPrice": None, "currency": "USD"})
    with market(gpus=[gpu(), dear]) as sim:
        assert rent(sim, maxPrice=1.99).status == 422
        assert rent(sim, maxPrice=2).json["priceHr"] == 2
    with market(gpus=[gpu(stockStatus="Unavailable")]) as sim:
        assert rent(sim).status == 409
    with market(gpus=[gpu(prices=None)]) as sim:
        assert rent(sim).status == 422
    with market(balance_usd=0) as sim:
        assert rent(sim).status == 402


def refusal(sim: Sim, *disks: str, **pod: Any) -> str:
    """Return why a pod with these disks is refused."""
    refused = rent(sim, *disks, **pod)
    assert refused.status == 422
    (problem,) = refused.json["errors"]
    assert problem["param"] == "body.disks"
    return str(problem["details"])


def test_disks_that_cannot_be_attached_are_refused() -> None:
    """Unknown, terminated, not ready, at another location, in use: 422, and nothing changes."""
    with market(provisioning_s=60) as sim:
        far = sim.add_disk(provider="acme", data_center="B-1", country="NO")["id"]
        other = sim.add_disk(provider="runpod", data_center="A-1")["id"]
        gone = sim.add_disk(provider="acme", data_center="A-1")["id"]
        sim.change_disk(gone, vanish=True)
        fresh = create(sim).json["id"]
        assert "does not exist" in refusal(sim, "unknown")
        assert "does not exist" in refusal(sim, gone)
        assert "PROVISIONING" in refusal(sim, fresh)
        assert "another location" in refusal(sim, far)
        assert "another location" in refusal(sim, other)
        sim.advance(seconds=60)
        rent(sim, fresh)
        assert "attached to another instance" in refusal(sim, fresh)
        assert len(sim.pods()) == 1


def test_a_provider_mounts_only_so_many_disks() -> None:
    """One more than the limit is refused; a disk named twice counts once."""
    with market() as sim:
        ids = [create(sim, f"d{n}", 10).json["id"] for n in range(3)]
        assert refusal(sim, *ids) == "A pod of acme can mount 2 disks at most"
        made = rent(sim, ids[0], ids[0], ids[1])
        assert [each["id"] for each in made.json["attachedResources"]] == ids[:2]
    with market(attach_limits={"acme": 1}) as sim:
        ids = [create(sim, f"d{n}", 10).json["id"] for n in range(2)]
        assert refusal(sim, *ids) == "A pod of acme can mount 1 disk at most"
    with market(attach_limits={}) as sim:
        ids = [create(sim, f"d{n}", 10).json["id"] for n in range(5)]
        assert rent(sim, *ids).status == 200


def test_a_multi_node_disk_serves_several_pods() -> None:
    """It may be in use, and several nodes can mount it; any other disk they cannot."""
    with market(disks=[offer(isMultinode=True)], nodes=[gpu(cloudId="8x", gpuCount=8)]) as sim:
        shared = create(sim).json["id"]
        first, second = rent(sim, shared).json["id"], rent(sim, shared).json["id"]
        assert pods_of(sim, shared) == [first, second]
        assert rent(sim, shared, cloudId="8x", gpuCount=8).status == 200
        lone = sim.add_disk(provider="acme", data_center="A-1", multinode=False)["id"]
        assert "several nodes" in refusal(sim, lone, cloudId="8x", gpuCount=8)


def test_pods_survive_a_restart(tmp_path: Path) -> None:
    """The pod, what it mounts and what it has cost are in the state file."""
    state = tmp_path / "state"
    with market(state=state, balance_usd=100) as sim:
        disk = create(sim).json["id"]
        pod = rent(sim, disk).json["id"]
        sim.advance(hours=2)
    with Sim(state=state, clock_speed=0) as sim:
        (kept,) = sim.running()
        assert (kept["id"], kept["cost_usd"]) == (pod, 3)
        assert pods_of(sim, disk) == [pod]
        assert ask(sim, "DELETE", PODS + pod).status == 200
    with Sim(state=state, clock_speed=0) as sim:
        assert (sim.running(), pods_of(sim, disk)) == ([], [])


def test_the_history_is_sorted_and_cut() -> None:
    """The latest end first unless asked; other orders are refused."""
    with market() as sim:
        ids = []
        for _ in range(3):
            ids.append(rent(sim).json["id"])
            sim.advance(hours=1)
        for pod in (ids[1], ids[0], ids[2]):
            ask(sim, "DELETE", PODS + pod)
            sim.advance(hours=1)

        def history(query: str) -> list[str]:
            return [row["id"] for row in ask(sim, "GET", f"{PODS}history{query}").json["data"]]

        assert history("") == [ids[2], ids[0], ids[1]]
        assert history("?sort_by=createdAt&sort_order=asc") == ids
        assert history("?offset=1&limit=1") == [ids[0]]
        assert ask(sim, "GET", f"{PODS}history?sort_by=price").status == 422


def test_the_audit_names_the_pod_and_the_key_needs_the_permission() -> None:
    """Created and deleted, as for disks; a key that only reads availability rents nothing."""
    with market() as sim:
        pod = rent(sim).json["id"]
        ask(sim, "DELETE", PODS + pod)
        made, ended = sim.audit()
        assert (made["created"], ended["deleted"]) == ([pod], [pod])
        assert ask(sim, "POST", PODS, wanted(), key="sim-read").status == 403
        assert ask(sim, "GET", f"{API}/pods").status == 307


def test_who_the_key_belongs_to() -> None:
    """The user, the key's permissions, the team and its members, as the vendor's client reads."""
    with market() as sim:
        user = ask(sim, "GET", f"{API}/user/whoami").json["data"]
        assert user["scope"]["instances"] == {"read": True, "write": True}
        (team,) = ask(sim, "GET", f"{API}/user/teams").json["data"]
        assert set(team) == {"teamId", "name", "slug", "role", "createdAt"}
        path = f"{API}/teams/{team['teamId']}/members"
        (member,) = ask(sim, "GET", path).json["data"]
        assert member["userId"] == user["id"]
        assert ask(sim, "GET", f"{path}?offset=1").json["data"] == []
        assert ask(sim, "GET", f"{API}/teams/other/members").status == 404
        limited = ask(sim, "GET", f"{API}/user/whoami", key="sim-read").json["data"]
        assert list(limited["scope"]) == ["availability"]
        assert ask(sim, "GET", f"{API}/user/whoami", key="wrong").status == 401


def test_the_summary_has_the_cheapest_price_of_each_model_and_count() -> None:
    """What is out of stock or unpriced is left out; both listings count."""
    cheap = gpu(THERE, prices={"onDemand": 9, "communityPrice": 1, "currency": "USD"})
    gone = gpu(HERE, gpuType="H100_80GB", stockStatus="Unavailable")
    with market(gpus=[gpu(), cheap, gone], nodes=[gpu(gpuCount=8, isSpot=True)]) as sim:
        summary = ask(sim, "GET", f"{API}/availability/gpu-summary").json
    assert list(summary) == ["A100_80GB"]
    assert summary["A100_80GB"]["1"]["cheapest"]["communityPrice"] == 1
    assert summary["A100_80GB"]["8"]["cheapest"]["spotPrice"] == Decimal("1.5")
