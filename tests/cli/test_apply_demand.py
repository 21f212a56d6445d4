"""`planner apply` of a demand file: planned on the live market, shown, asked about, bought."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from planner.marketplace.sim.local import Sim
from tests.solve.live_disks import MARKET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Ran, Run

DEMAND = """\
version: 1
project: lab
volumes:
- {name: a, size: 100 GB}
- {name: b, size: 200 GB, replicas: 2}
"""
"""At `MARKET`: a and b #1 at alpha for 0.01 and 0.02, b #2 at beta for 0.04: 0.07 an hour."""
QUICK = {"PLANNER_SETTLE": "1", "PLANNER_QUARANTINE": "1", "PLANNER_TIMEOUT": "10"}


@pytest.fixture
def sim() -> Iterator[Sim]:
    """Yield a marketplace of three places."""
    with Sim(offers_rows=MARKET, gpu_rows=[], provisioning_s=0.2) as market:
        yield market


@pytest.fixture
def demand(tmp_path: Path) -> str:
    """Write the demand as YAML, under a name that says nothing."""
    (tmp_path / "lab").write_text(DEMAND)
    return "lab"


def ran(run: Run, sim: Sim, *words: str, stdin: str = "", terminal: bool = False) -> Ran:
    done = run(*words, env={**sim.environ, **QUICK}, stdin=stdin, terminal=terminal)
    assert sim.key not in done.out + done.err
    return done


def creates(sim: Sim) -> int:
    return sum(one["method"] == "POST" for one in sim.audit())


@pytest.mark.slow
def test_a_demand_is_planned_shown_asked_about_and_bought(
    run: Run, sim: Sim, demand: str, tmp_path: Path
) -> None:
    """The plan stands above the prompt; it is kept in the state directory, and can be applied."""
    done = ran(run, sim, "apply", demand, "--state", "s", stdin="yes\n", terminal=True)
    assert done.code == 0, done.err
    plan, prompt = done.err.split("Type 'yes' to buy", 1)
    assert "Plan: 3 to create" in plan
    assert "lab costs $0.0000/h" in plan
    assert "Plan:" not in prompt + done.out
    assert {disk["size"] for disk in sim.live()} == {100, 200}
    (kept,) = (tmp_path / "s" / "plans").iterdir()
    again = ran(run, sim, "apply", str(kept), "--state", "s", "--yes")
    assert (again.code, creates(sim)) == (0, 3)


@pytest.mark.slow
def test_a_second_time_there_is_nothing_to_buy(run: Run, sim: Sim, demand: str) -> None:
    """The disks are kept: nothing is asked, nothing is sent, exit 0."""
    assert ran(run, sim, "apply", demand, "--yes").code == 0
    again = ran(run, sim, "apply", demand, terminal=True)
    assert again.code == 0, again.err
    assert "Plan: 3 unchanged. $51.10/month, as before." in again.err
    assert "Type 'yes'" not in again.err
    assert creates(sim) == 3


@pytest.mark.slow
def test_a_volume_that_grew(run: Run, sim: Sim, demand: str, tmp_path: Path) -> None:
    """The plan says what is replaced and what both copies cost; the prompt says it too."""
    assert ran(run, sim, "apply", demand, "--yes").code == 0
    (tmp_path / demand).write_text(DEMAND.replace("100 GB", "300 GB"))
    rehearsed = ran(run, sim, "apply", demand, "--rehearse")
    assert (rehearsed.code, creates(sim)) == (0, 3)
    grown = ran(run, sim, "apply", demand, stdin="yes\n", terminal=True)
    assert grown.code == 0, grown.err
    plan, prompt = grown.err.split("To buy", 1)
    assert re.search(r"~ +a +alpha A-1 \(US\) +100 → 300 ", plan)
    assert "Plan: 1 to replace, 2 unchanged. +$14.60/month ($51.10 → $65.70)." in plan
    assert "While both copies of a exist you pay $73.00/month." in plan
    assert re.search(r"~ +a +alpha A-1 \(US\) +300 +0.0300 +21.90 +\w{8}", prompt)
    said = " ".join(prompt.split())
    assert "lab costs $0.0700/h ($51.10/month) now, $0.1000/h ($73.00/month) while both" in said
    assert "and $0.0900/h ($65.70/month) once the old disk is retired." in said
    assert sorted(disk["size"] for disk in sim.live()) == [100, 200, 200, 300]


@pytest.mark.slow
def test_what_is_added_later_is_bought_alone(
    run: Run, sim: Sim, demand: str, tmp_path: Path
) -> None:
    """A volume more is a disk more."""
    assert ran(run, sim, "apply", demand, "--yes").code == 0
    (tmp_path / demand).write_text(DEMAND + "- {name: c, size: 50 GB}\n")
    more = ran(run, sim, "apply", demand, "--yes", "-o", "json")
    assert more.code == 0, more.err
    assert creates(sim) == 4
    assert more.json()["exit_code"] == 0


@pytest.mark.slow
@pytest.mark.sweep
@pytest.mark.parametrize("form", ["json", "toml"])
def test_other_formats_of_a_demand(form: str, run: Run, sim: Sim, tmp_path: Path) -> None:
    """JSON is a demand too, as long as it is no plan; TOML is one by its name."""
    text = {
        "json": json.dumps({"version": 1, "volumes": [{"name": "a", "size": "100 GB"}]}),
        "toml": 'version = 1\n[[volumes]]\nname = "a"\nsize = "100 GB"\n',
    }
    (tmp_path / f"lab.{form}").write_text(text[form])
    assert ran(run, sim, "apply", f"lab.{form}", "--yes").code == 0
    assert [disk["size"] for disk in sim.live()] == [100]


@pytest.mark.parametrize("words", [("--settle", "-1"), ("--failover", "x"), ("--state", "")])
def test_wrong_options_are_two(words: tuple[str, str], run: Run, sim: Sim, demand: str) -> None:
    """Before anything is asked of the marketplace, not after the plan is made."""
    asked = len(sim.audit())
    assert ran(run, sim, "apply", demand, "--yes", *words).code == 2
    assert len(sim.audit()) == asked


@pytest.mark.slow
def test_declined(run: Run, sim: Sim, demand: str) -> None:
    """No is exit 130; without a terminal nothing is even planned: exit 2."""
    assert ran(run, sim, "apply", demand, stdin="no\n", terminal=True).code == 130
    asked = len(sim.audit())
    refused = ran(run, sim, "apply", demand)
    assert (refused.code, len(sim.audit())) == (2, asked)
    assert "--yes" in refused.err
    assert creates(sim) == 0


@pytest.mark.slow
def test_a_dry_run_keeps_nothing(run: Run, sim: Sim, demand: str, tmp_path: Path) -> None:
    """The plan is shown and checked; no state directory is made."""
    dry = ran(run, sim, "apply", demand, "--dry-run", "--state", "s")
    assert dry.code == 0, dry.err
    assert "Plan: 3 to create" in dry.err
    assert "3 disks would be bought" in dry.out
    assert not (tmp_path / "s").exists()
    assert creates(sim) == 0


@pytest.mark.slow
def test_a_rehearsal_has_the_disks_of_the_account(
    run: Run, sim: Sim, demand: str, tmp_path: Path
) -> None:
    """What is kept is there in the rehearsal too, and what is new is bought only there."""
    assert ran(run, sim, "apply", demand, "--yes").code == 0
    (tmp_path / demand).write_text(DEMAND + "- {name: c, size: 50 GB}\n")
    done = ran(run, sim, "apply", demand, "--rehearse", "-o", "json")
    assert done.code == 0, done.err
    assert "nothing real was sent" in done.err
    assert creates(sim) == 3


@pytest.mark.slow
def test_an_account_that_cannot_be_read_buys_nothing(run: Run, sim: Sim, demand: str) -> None:
    """A plan may be made without the account; a purchase may not."""
    env = {**sim.environ, **QUICK, "PRIME_API_KEY": "sim-read"}
    assert run("apply", demand, "--yes", env=env).code == 4
    assert creates(sim) == 0


@pytest.mark.slow
def test_what_cannot_be_had_is_three(run: Run, sim: Sim, tmp_path: Path) -> None:
    """An infeasible demand ends as it does in `plan`, and nothing is bought."""
    (tmp_path / "none.yaml").write_text("version: 1\nvolumes: [{name: a, size: 900 TB}]\n")
    none = ran(run, sim, "apply", "none.yaml", "--yes", "-o", "json")
    assert (none.code, none.json()["exit_code"]) == (3, 3)
    assert creates(sim) == 0


@pytest.mark.slow
def test_a_plan_is_known_by_its_content(run: Run, sim: Sim, demand: str, tmp_path: Path) -> None:
    """A plan under a demand's name is a plan; a damaged plan is exit 5, never planned again."""
    words = ("plan", demand, "--out", "renamed.yaml", "-o", "csv")
    assert ran(run, sim, *words).code == 0
    done = ran(run, sim, "apply", "renamed.yaml", "--dry-run")
    assert done.code == 0
    assert "Plan:" not in done.err
    text = (tmp_path / "renamed.yaml").read_text()
    for damaged in (text.replace('"size_gb": 100', '"size_gb": 101', 1), text[: len(text) // 2]):
        (tmp_path / "renamed.yaml").write_text(damaged)
        assert ran(run, sim, "apply", "renamed.yaml", "--yes").code == 5
    assert creates(sim) == 0


@pytest.mark.slow
def test_killed_and_run_again(run: Run, sim: Sim, demand: str, tmp_path: Path) -> None:
    """Kill -9 during each create, then the same line again: three disks, never a fourth."""
    for number in (1, 2, 3):
        sim.fault(f"POST /disks/#{number}:hang-after=2")
        process = subprocess.Popen(
            [sys.executable, "-m", "planner", "apply", demand, "--yes", "--state", "s"],
            cwd=tmp_path,
            env={**os.environ, **sim.environ, **QUICK, "HOME": str(tmp_path)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while creates(sim) < number and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.kill()
        process.wait()
    for _ in range(3):
        done = ran(run, sim, "apply", demand, "--yes", "--state", "s")
        if done.code == 0:
            break
        time.sleep(1.1)
    assert done.code == 0, done.err
    assert sorted(disk["size"] for disk in sim.live()) == [100, 200, 200]
    assert creates(sim) == 3


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["drop-before", "drop-after", "hang-before=15"])
def test_a_lost_answer_and_the_same_line_again(fault: str, run: Run, sim: Sim, demand: str) -> None:
    """Whether the disk was created or not, at most three runs later every volume has one disk."""
    sim.fault(f"POST /disks/#2:{fault}")
    codes = []
    for _ in range(4):
        codes.append(ran(run, sim, "apply", demand, "--yes").code)
        if codes[-1] == 0:
            break
        time.sleep(1.1)
    assert codes[-1] == 0, codes
    assert set(codes[:-1]) <= {6}
    assert sorted(disk["size"] for disk in sim.live()) == [100, 200, 200]


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["drop-before", "drop-after", "out-of-stock"])
def test_a_growth_that_was_disturbed(
    fault: str, run: Run, sim: Sim, demand: str, tmp_path: Path
) -> None:
    """Every volume grows, one create goes wrong, the line is typed again: each replaced once."""
    assert ran(run, sim, "apply", demand, "--yes").code == 0
    grown = DEMAND.replace("200 GB", "400 GB").replace("100 GB", "300 GB")
    (tmp_path / demand).write_text(grown)
    sim.fault(f"POST /disks/#5:{fault}")
    codes = []
    for _ in range(4):
        codes.append(ran(run, sim, "apply", demand, "--yes", "--failover", "100%").code)
        if codes[-1] == 0:
            break
        time.sleep(1.1)
    assert codes[-1] == 0, codes
    assert ran(run, sim, "apply", demand, "--yes", "--wait").code == 0
    assert sorted(disk["size"] for disk in sim.live()) == [100, 200, 200, 300, 400, 400]
    assert ran(run, sim, "retire", "lab", "--yes", "--confirm", "lab").code == 0
    assert sorted(disk["size"] for disk in sim.live()) == [300, 400, 400]
    assert ran(run, sim, "plan", demand, "--detailed-exitcode").code == 0


@pytest.mark.slow
def test_a_stock_out_goes_elsewhere(run: Run, sim: Sim, demand: str) -> None:
    """With --failover the rest is bought at another offer, and the line again changes nothing."""
    sim.fault("POST /disks/#2:out-of-stock")
    done = ran(run, sim, "apply", demand, "--yes", "--failover", "100%")
    assert done.code == 0, done.err
    assert sorted(disk["size"] for disk in sim.live()) == [100, 200, 200]
    sent = creates(sim)
    assert ran(run, sim, "apply", demand, "--yes", "--failover", "100%").code == 0
    assert creates(sim) == sent


@pytest.mark.slow
def test_standard_input_is_a_demand(run: Run, sim: Sim) -> None:
    """`-` reads a demand, as in `plan`."""
    done = ran(run, sim, "apply", "-", "--yes", stdin=DEMAND)
    assert done.code == 0, done.err
    assert creates(sim) == 3


@pytest.mark.slow
def test_each_pod_of_the_example_mounts_what_it_can(run: Run) -> None:
    """One pod of the provider mounts one disk: the volumes share it, and nothing is warned of."""
    with Sim() as market:
        done = ran(run, market, "apply", "shipped:finetune", "--yes", "-o", "json")
        outcome = done.json()
        assert not [text for text in outcome["warnings"] if "one pod can mount" in text]
        assert [command.count("--disks") for command in outcome["pods"]] == [1, 1]
