"""``planner sim`` as a user runs it: an address, a clean end, and a state that is kept."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from planner.marketplace.sim.faults import KINDS
from planner.shipped import shipped_path
from tests.marketplace.sim.plain_http import ask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Run


class Running:
    """A marketplace in another process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self._base_url = process.stdout.readline().strip()

    @property
    def base_url(self) -> str:
        """Return the line that it printed."""
        return self._base_url

    def stop(self, number: int = signal.SIGINT) -> tuple[int, str, str]:
        """Send a signal; return the exit code, and what else was printed."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


@contextlib.contextmanager
def running(tmp_path: Path, *words: str) -> Iterator[Running]:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "planner", "sim", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    try:
        yield Running(process)
    finally:
        process.kill()
        process.communicate()


def post(sim: Running, name: str) -> int:
    place = {"dataCenterId": "US-1"}
    body = {"disk": {"size": 500, "name": name, **place}, "provider": {"type": "hyperstack"}}
    return ask(sim, "POST", "/api/v1/disks/", body).status


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_says_where_it_is_and_ends_cleanly(tmp_path: Path, number: int) -> None:
    """One line on standard output, how to get there on the other, and 0 with what exists."""
    with running(tmp_path, "--state", "market.state", "--dialect", "guide") as sim:
        assert sim.base_url.startswith("http://127.0.0.1:")
        assert post(sim, "corpus") == 201
        code, out, err = sim.stop(number)
        assert (code, out) == (0, "")
        assert f"export PRIME_API_BASE_URL={sim.base_url}\n" in err
        assert "export PRIME_API_KEY=sim-key\n" in err
        assert "stopped after 1 requests; disks: 1 at $0.0485/hour" in err
        assert "corpus 500 GB" in err
    with running(tmp_path, "--state", "market.state") as sim:
        assert ask(sim, "GET", "/api/v1/disks/").json["data"][0]["name"] == "corpus"
        assert "disks: 1 at" in sim.stop()[2]


@pytest.mark.slow
def test_options_reach_the_marketplace(tmp_path: Path) -> None:
    """Faults, listings, balance, clock and audit."""
    rows = json.loads(shipped_path("gpu-offers").read_text())["items"][:2]
    (tmp_path / "gpus.json").write_text(json.dumps(rows))
    words = ["--fault", "POST /disks/#1:402", "--balance", "0.5", "--audit", "audit.jsonl"]
    words += ["--gpus-file", "gpus.json", "--multinode-file", "gpus.json", "--clock-speed", "0"]
    words += ["--seed-disks", "shipped:disk-offers", "--provisioning", "60"]
    with running(tmp_path, *words) as sim:
        assert [post(sim, "a"), post(sim, "a")] == [402, 200]
        for listing in ("gpus", "multi-node"):
            found = ask(sim, "GET", f"/api/v1/availability/{listing}")
            assert found.json["totalCount"] == 2
        ask(sim, "POST", "/sim/clock", {"seconds": 59})
        assert ask(sim, "GET", "/api/v1/disks/").json["data"][0]["status"] == "PROVISIONING"
        err = sim.stop()[2]
        assert "fault: POST /disks/#1:402" in err
        assert "nothing of this is kept" in err
    assert len((tmp_path / "audit.jsonl").read_text().splitlines()) == 5


@pytest.mark.slow
def test_the_kinds_of_fault_are_listed(run: Run) -> None:
    """``--fault list`` explains the notation and every kind."""
    ran = run("sim", "--fault", "list")
    assert ran.code == 0
    assert "METHOD PATH[#N]:KIND" in ran.out
    assert all(f"\n{name}" in ran.out and kind.summary in ran.out for name, kind in KINDS.items())


@pytest.mark.parametrize(
    "words",
    [
        ["--fault", "nonsense"],
        ["--fault", "POST /disks/:nonsense"],
        ["--balance", "lots"],
        ["--balance", "NaN"],
        ["--host", "0.0.0.0"],  # noqa: S104 -- refused
        ["--offers", "missing.json"],
        ["--state", "missing/state"],
        ["--audit", "missing/audit"],
        ["--clock-speed", "-1"],
        ["--clock-speed", "inf"],
        ["--port", "70000"],
        ["--dialect", "klingon"],
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(run: Run, words: list[str]) -> None:
    """Exit 2, and nothing on standard output."""
    ran = run("sim", *words)
    assert (ran.code, ran.out) == (2, "")


@pytest.mark.slow
def test_planner_plans_on_it(run: Run, tmp_path: Path) -> None:
    """The line from market to create requests, with the address that was printed."""
    with running(tmp_path) as sim:
        env = {"PRIME_API_KEY": "sim-key", "PRIME_API_BASE_URL": sim.base_url}
        assert len(run("offers", "-o", "json", env=env).json()) == 13
        demand = "version: 1\nvolumes: [{name: x, size_gb: 100}]\n"
        plan = run("plan", "-", "-o", "json", stdin=demand, env=env).json()
        body = plan["requests"][0]["body"]
        made = ask(sim, "POST", "/api/v1/disks/", body)
        assert made.status == 200
        assert str(made.json["priceHr"]) == plan["placements"][0]["usd_hr"]
