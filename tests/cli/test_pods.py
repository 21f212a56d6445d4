"""From the disk to the pod, as a user goes: apply, status, emit --pods, and the pod itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

import planner
from planner.demand.read import demand_from
from planner.market.snapshot import join_gpus
from planner.marketplace.credentials import Credentials
from planner.marketplace.fetch import connect
from planner.marketplace.sim.local import Sim
from tests.marketplace.sim.plain_http import API, ask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Run

QUICK = {"PLANNER_SETTLE": "1", "PLANNER_QUARANTINE": "1", "PLANNER_TIMEOUT": "10"}
DEMAND = {
    "version": 1,
    "project": "tour",
    "volumes": [{"name": "corpus", "size_gb": 2000}],
    "workloads": [
        {
            "name": "train",
            "gpu": "A100_80GB",
            "nodes": 2,
            "hours_per_month": 10,
            "mounts": ["corpus"],
        }
    ],
}


@pytest.fixture
def sim() -> Iterator[Sim]:
    """Yield the documented market, where a disk is ready at once."""
    with Sim(provisioning_s=0) as market:
        yield market


@pytest.mark.slow
def test_the_way_to_the_pod(run: Run, sim: Sim, tmp_path: Path) -> None:
    """Bought, confirmed, emitted and rented; status then names the pods that mount the disk."""
    target: dict[str, str | None] = {"base_url": sim.base_url, "team_id": None}
    with connect(Credentials(SecretStr(sim.key), sim.base_url)) as market:
        single, several = market.listing("gpus"), market.listing("multi-node")
        gpus = join_gpus(single.gpus(), several.gpus(listing="multi-node"))
        offers = market.listing("disks").offers()
    planner.plan(demand_from(DEMAND), offers, gpus, target=target).save(tmp_path / "p.json")
    env = {**sim.environ, **QUICK}
    early = run("emit", "p.json", "--pods", "--format", "prime", env=env)
    assert (early.code, early.out) == (2, "")
    assert "the disks of train are not bought" in early.err
    bought = run("apply", "p.json", "--yes", env=env)
    assert bought.code == 0
    assert "the marketplace lists it beside its disks" in " ".join(bought.out.split())
    status = run("status", "tour", env=env)
    assert "the marketplace lists it beside its disks" in " ".join(status.out.split())
    (shown,) = run("status", "-o", "json", env=env).json()["workloads"]
    assert (shown["workload"], shown["nodes"], shown["beside_disks"]) == ("train", 2, "yes")
    commands = run("emit", "p.json", "--pods", "--format", "prime", env=env).out.splitlines()
    assert len(commands) == 2
    shown = bought.out.replace(" \\\n ", "")
    assert all(command in shown for command in commands)
    emitted = run("emit", "p.json", "--pods", env=env).out.splitlines()
    for line in emitted:
        assert ask(sim, "POST", f"{API}/pods/", json.loads(line)).status == 200
    pods = [pod["id"] for pod in sim.running()]
    (disk,) = run("status", "-o", "json", env=env).json()["disks"]
    assert (len(pods), disk["attached_to"]) == (2, pods)
    sim.change_offer({"gpuType": "A100_80GB"}, listing="gpus", vanish=True)
    later = " ".join(run("status", "tour", env=env).out.split())
    assert "warning: train: A100_80GB at runpod" in later
    assert "none is there" in later
    sim.fault("GET /availability/gpus:403")
    refused = run("status", "tour", env=env)
    assert refused.code == 0
    assert "is unconfirmed" in " ".join(refused.out.split())
