"""The examples of every ``--help`` work as they are typed, at a local marketplace."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import pytest

import planner
from planner.cli.help import EXAMPLES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run

DEMAND = """\
version: 1
project: llama-run
volumes:
  - {name: corpus, size: 1 TB, providers: [runpod]}
  - {name: scratch-1, size: 1 TB, disks: []}
workloads:
  - {name: train, gpu: A100_80GB, hours_per_month: 10, mounts: [corpus]}
policy: {budget_usd_month: 900}
"""
SEARCH = "version: 1\nproject: search\nvolumes: [{name: index, size: 1 TB}]\n"
VISION = SEARCH.replace("search", "vision")
ENDLESS = {"sim", "mcp"}
"""Commands that run until they are stopped."""
NEEDS = {
    "retire": "a superseded disk",
    "planner emit plan.json --pods": "disks that are bought",
    "resolve": "a disk whose outcome is unknown",
    "planner watch demand.yaml --until": "a price that falls",
    "planner rename fdb5205f": "a disk of that id",
}
"""Command, or beginning of an example → what it needs that is not here."""
LINES = [
    line
    for name, lines in EXAMPLES.items()
    if name not in {*ENDLESS, *NEEDS}
    for line in lines
    if not line.startswith((*NEEDS,))
]


@pytest.mark.slow
def test_the_examples_of_help_work(run: Run, tmp_path: Path) -> None:
    """One after the other, in the order of the help: what they name is bought, then deleted."""

    def typed(line: str) -> None:
        (tmp_path / "demand.yaml").write_text(DEMAND)
        if line in {"planner init", "planner adopt demand.yaml"} or "--save demand" in line:
            (tmp_path / "demand.yaml").unlink()
        answer = "llama-run\n" if "destroy" in line or "retire" in line else "yes\n"
        words, _, _ = line.replace("*.yaml", "vision.yaml search.yaml").partition(" > ")
        ran = run(*shlex.split(words)[1:], env=env, stdin=answer, terminal=True)
        assert (line, ran.code, ran.err if ran.code else "") == (line, 0, "")

    (tmp_path / "vision.yaml").write_text(VISION)
    (tmp_path / "search.yaml").write_text(SEARCH)
    (tmp_path / "fleet.yaml").write_text("version: 1\npolicy: {max_sites: 9}\n")
    plan = planner.plan(
        planner.read_demand(str(tmp_path / "search.yaml")),
        planner.read_offers("shipped:disk-offers"),
    )
    plan.save(tmp_path / "old.json")
    plan.save(tmp_path / "new.json")
    with planner.Sim(provisioning_s=0.05) as sim:
        env = {**sim.environ, "PLANNER_SETTLE": "5"}
        sim.add_disk(id="d" * 32, size=100, provider="runpod", data_center="US-KS-2")
        disks = sim.disks()
        (tmp_path / "disks.json").write_text(json.dumps(disks, default=float))
        for line in LINES:
            typed(line)
