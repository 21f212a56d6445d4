"""From the disk to the pod: one request for each node, and whether its GPUs reach the disks."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner.demand.read import demand_from
from planner.market.gpus import gpus_frame
from planner.market.offers import offers_frame
from planner.market.snapshot import join_gpus
from planner.marketplace.prime.emit import emit_pods
from planner.project.journal import Journal
from planner.project.pods import Reach, jobs_of, read_reach
from planner.project.state import State
from tests.project.world import START, URL, World, offer, plan_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from planner.plans.plan import Plan

PLACE = {"provider": "runpod", "dataCenter": "US-1", "country": "US", "region": "united_states"}


def gpu(**over: Any) -> dict[str, Any]:
    """Return a GPU offer at the place of the disk offer."""
    return {
        "cloudId": "a100",
        "gpuType": "A100_80GB",
        "socket": "SXM4",
        **PLACE,
        "gpuCount": 1,
        "gpuMemory": 80,
        "stockStatus": "High",
        "security": "secure_cloud",
        "prices": {"onDemand": Decimal("1.5"), "communityPrice": None, "currency": "USD"},
        "vcpu": {"defaultCount": 8},
        "memory": {"defaultCount": 64},
        **over,
    }


def plan(
    single: Sequence[Any],
    several: Sequence[Any] = (),
    *,
    offers: Sequence[Any] | None = None,
    team_id: str | None = None,
    **job: Any,
) -> Plan:
    """Return a plan of two disks and a job that mounts both."""
    volumes = [{"name": "v1", "size_gb": 100}, {"name": "v2", "size_gb": 200}]
    wanted = {"name": "train", "gpu": "A100_80GB", "hours_per_month": 10, "mounts": ["v1", "v2"]}
    return planner.plan(
        demand_from(
            {
                "version": 1,
                "project": "lab",
                "volumes": volumes,
                "workloads": [{**wanted, **job}],
                "policy": {"attach_limits": {"runpod": 2}},
            }
        ),
        offers_frame(offers or [offer()]),
        join_gpus(gpus_frame(single), gpus_frame(several, listing="multi-node")),
        target={"base_url": URL, "team_id": team_id},
        now=START - timedelta(hours=1),
        nonce="nonce-1",
    )


def asked(world: World) -> list[str]:
    """Return the listings of GPUs that were asked for."""
    return [one.path for one in world.requests("GET", "/availability/") if "disks" not in one.path]


def nowhere(row: dict[str, Any]) -> dict[str, Any]:
    """Return an offer whose data centre is not listed."""
    return {**row, "dataCenter": None}


@pytest.mark.slow
def test_one_command_for_each_node(tmp_path: Path) -> None:
    """Each node is a pod of its own, with every disk of the job; a team that pays is named."""
    world = World(gpus=[gpu()])
    outcome = world.apply(tmp_path, plan([gpu()], nodes=2))
    one, two = (disk.id for disk in world.live)
    (job,) = outcome.jobs
    start = f"prime pods create --id {job.gpu.offer_id} --name"
    disks = f"--disks {one} --disks {two}"
    assert outcome.pods == (f"{start} train-1 {disks}", f"{start} train-2 {disks}")
    assert outcome.to_document()["pods"] == list(outcome.pods)
    with Journal(tmp_path, write=False) as journal:
        entries = State(journal.records).entries
    made = plan([gpu()], team_id="team-1")
    (again,) = jobs_of(made, entries)
    assert again.commands == (f"{start} train {disks} --team-id team-1",)


@pytest.mark.slow
def test_requests_have_the_planned_price_as_their_cap(tmp_path: Path) -> None:
    """The body of each pod: the offer, its price exactly, and the disks."""
    world = World(gpus=[gpu()])
    outcome = world.apply(tmp_path, plan([gpu()], nodes=2))
    pods = outcome.jobs[0].pods
    bodies = [json.loads(line, parse_float=Decimal) for line in emit_pods(pods, "json")]
    assert [body["pod"]["name"] for body in bodies] == ["train-1", "train-2"]
    assert bodies[0] == {
        "pod": {
            "name": "train-1",
            "cloudId": "a100",
            "gpuType": "A100_80GB",
            "socket": "SXM4",
            "gpuCount": 1,
            "maxPrice": Decimal("1.5"),
            "dataCenterId": "US-1",
            "country": "US",
            "security": "secure_cloud",
        },
        "provider": {"type": "runpod"},
        "disks": [disk.id for disk in world.live],
    }
    (first, _) = emit_pods(pods, "curl", base_url="http://127.0.0.1:9")
    assert "http://127.0.0.1:9/api/v1/pods/" in first
    assert tuple(emit_pods(pods, "prime")) == outcome.pods


@pytest.mark.slow
def test_no_pod_before_all_its_disks_exist(tmp_path: Path) -> None:
    """A workload whose second disk is pending is not offered, and nothing is asked."""
    world = World(gpus=[gpu()])
    world.fault("ok", "lost_before")
    outcome = world.apply(tmp_path, plan([gpu()]))
    assert (outcome.jobs, outcome.pods, outcome.reach) == ((), (), ())
    assert asked(world) == []


@pytest.mark.slow
def test_the_marketplace_confirms_what_the_plan_could_not(tmp_path: Path) -> None:
    """Neither names a data centre: the plan says so, and one listing turns it into yes."""
    offers, gpus = [nowhere(offer())], [nowhere(gpu()), nowhere(gpu(gpuType="H100_80GB"))]
    world = World(offers, gpus=gpus)
    outcome = world.apply(tmp_path, plan(gpus, offers=offers))
    (reach,) = outcome.reach
    assert (reach.beside, reach.why) == ("yes", "")
    assert asked(world) == ["/api/v1/availability/gpus"]
    query = world.service.store.audit()[-1]["query"]
    assert query["disks"] == [disk.id for disk in world.live]
    assert query["gpu_type"] == ["A100_80GB"]
    (shown,) = outcome.to_document()["workloads"]
    assert shown["beside_disks"] == "yes"
    assert shown["disks"] == [disk.id for disk in world.live]


@pytest.mark.slow
def test_gpus_that_are_elsewhere_are_named(tmp_path: Path) -> None:
    """The plan could only hope; the answer is no, with what is listed beside the disks."""
    hoped, there = nowhere(gpu()), gpu(cloudId="other", gpuCount=8)
    world = World(gpus=[hoped, there])
    outcome = world.apply(tmp_path, plan([hoped]))
    (reach,) = outcome.reach
    assert outcome.exit_code == 0
    assert reach.beside == "no"
    (other,) = gpus_frame([there])["offer_id"]
    assert reach.why == f"listed there: {other} (8 GPUs)"
    assert reach.text.startswith("warning: train: A100_80GB at runpod")
    world = World(gpus=[hoped])
    (reach,) = world.apply(tmp_path / "two", plan([hoped])).reach
    assert (reach.beside, reach.why) == ("no", "none is there")


@pytest.mark.slow
def test_a_node_offer_is_looked_up_in_its_own_listing(tmp_path: Path) -> None:
    """An offer of the multi-node listing is not among single nodes."""
    node = gpu(gpuCount=16)
    world = World(nodes=[node])
    (reach,) = world.apply(tmp_path, plan([], [node], gpus=16)).reach
    assert (reach.beside, reach.job.listing) == ("yes", "multi-node")
    assert asked(world) == ["/api/v1/availability/multi-node"]


def test_status_knows_what_is_left_to_buy(tmp_path: Path) -> None:
    """A key that is rejected after the first disk: the third was never sent, and is named."""
    world = World()
    world.fault("ok", "401")
    assert world.apply(tmp_path, plan_of(3)).exit_code == 4
    assert read(world, tmp_path)[1] == ("1 disk of lab not bought yet (v3): run its apply again",)
    assert world.apply(tmp_path, plan_of(3)).exit_code == 0
    assert read(world, tmp_path)[1] == ()


@pytest.mark.slow
def test_a_failure_to_ask_is_a_warning(tmp_path: Path) -> None:
    """The disks are bought all the same: exit 0, unconfirmed, and why."""
    world = World(gpus=[gpu()])
    world.order("GET /availability/gpus:403")
    outcome = world.apply(tmp_path, plan([gpu()]))
    (reach,) = outcome.reach
    assert (outcome.exit_code, reach.beside) == (0, "unconfirmed")
    assert "403" in reach.why
    assert len(outcome.pods) == 1


def read(world: World, folder: Path, **chosen: Any) -> tuple[tuple[Reach, ...], tuple[str, ...]]:
    """Ask again, as status does."""
    with Journal(folder, write=False) as journal, world.account() as account:
        return read_reach(journal.records, folder, account, **chosen)


@pytest.mark.slow
def test_status_asks_for_what_was_applied_last(tmp_path: Path) -> None:
    """By the plan that is kept in the state directory; of another project, nothing."""
    world = World(gpus=[gpu()])
    made = plan([gpu()])
    world.apply(tmp_path, made)
    (reach,), problems = read(world, tmp_path)
    assert (reach.project, reach.beside, problems) == ("lab", "yes", ())
    assert read(world, tmp_path, project="other") == ((), ())
    (reach,), _ = read(world, tmp_path, plan=made.digest)
    assert reach.beside == "yes"
    world.terminate(world.live[0].id)
    (reach,), _ = read(world, tmp_path)
    assert reach.beside == "unconfirmed"
    assert "404" in reach.why
    (tmp_path / "plans" / f"{made.digest}.json").unlink()
    results, (problem,) = read(world, tmp_path)
    assert results == ()
    assert "cannot be used" in problem
