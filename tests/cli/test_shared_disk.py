"""Two volumes on one disk, as a user meets them: from the demand to the last destroy."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from planner.marketplace.sim.local import Sim
from tests.cli.test_apply import ran
from tests.project.test_pods import gpu
from tests.project.world import offer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Run

DEMAND = """\
version: 1
project: lab
volumes:
  - {name: corpus, size: 2 TB, owner: ann}
  - {name: ckpt, size: 1 TB, owner: bob}
workloads:
  - {name: train, gpu: A100_80GB, hours_per_month: 10, mounts: [corpus, ckpt]}
policy: {budgets: {ann: 200, bob: 120}}
"""
"""3 TB at 0.0001 USD are 219 a month: 146 for ann, 73 for bob; one Runpod pod mounts one disk."""


@pytest.fixture
def sim() -> Iterator[Sim]:
    """Yield a marketplace of one place with disks and GPUs."""
    with Sim([offer()], [gpu()], provisioning_s=0.2) as market:
        yield market


@pytest.mark.slow
def test_from_the_demand_to_the_pod_and_back(run: Run, sim: Sim, tmp_path: Path) -> None:
    """One disk is bought, mounted, reported by owner, kept, grown, retired and deleted."""
    (tmp_path / "d.yaml").write_text(DEMAND)
    planned = ran(run, sim, "plan", "d.yaml", "--out", "p.json")
    assert planned.code == 0, planned.err
    assert "corpus + ckpt on one disk of 3,000 GB, as directories" in planned.out
    rows = ran(run, sim, "plan", "d.yaml", "-o", "csv").out.splitlines()
    columns = rows[0].split(",")
    assert len(rows) == 3
    assert {"disk_group", "provision_gb"} <= {*columns}
    (line,) = ran(run, sim, "emit", "p.json").out.splitlines()
    assert json.loads(line)["disk"]["size"] == 3000
    bought = ran(run, sim, "apply", "p.json", "--yes", "--wait", "-o", "json")
    assert bought.code == 0, bought.err
    (disk,) = sim.live()
    assert bought.json()["volumes"] == {"corpus": [disk["id"]], "ckpt": [disk["id"]]}
    assert bought.json()["pods"][0].count("--disks") == 1
    pods = ran(run, sim, "emit", "p.json", "--pods")
    assert json.loads(pods.out)["disks"] == [disk["id"]]
    assert "directories there: corpus/, ckpt/" in pods.err

    report = ran(run, sim, "report", "-o", "json").json()
    owners = {each["value"]: Decimal(each["usd_month"]) for each in report["by"]["owner"]}
    assert owners == {"ann": Decimal(146), "bob": Decimal(73)}
    assert report["totals"]["after"]["disks"] == 1
    kept = ran(run, sim, "plan", "d.yaml", "--detailed-exitcode")
    assert kept.code == 0
    assert "Plan: 1 unchanged." in kept.out

    (tmp_path / "d.yaml").write_text(DEMAND.replace("1 TB", "1.5 TB"))
    grown = ran(run, sim, "apply", "d.yaml", "--yes", "--wait", "-o", "json")
    assert grown.code == 0, grown.err
    assert [each["disk_group"] for each in grown.json()["superseded"]] == [["corpus", "ckpt"]]
    status = ran(run, sim, "status")
    assert "corpus + ckpt " in status.out
    assert ran(run, sim, "retire", "--yes", "--confirm", "lab").code == 0
    (disk,) = sim.live()
    assert disk["size"] == 3500

    alone = ran(run, sim, "destroy", "lab", "--volume", "ckpt", "--yes", "--confirm", "lab")
    assert alone.code == 2
    assert "also holds corpus" in alone.err
    assert len(sim.live()) == 1
    both = ("--volume", "ckpt", "--volume", "corpus", "--yes", "--confirm", "lab")
    assert ran(run, sim, "destroy", "lab", *both).code == 0
    assert sim.live() == []
