"""``planner plan`` with GPUs, slack and too little time: what it prints, saves and refuses."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from planner import Plan
from tests.solve.hand import demanded, gpu, row, volume

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run

MARKET = ("--offers", "shipped:disk-offers")
GPUS = ("--gpus-file", "shipped:gpu-offers")
JOB = {"name": "job", "gpu": "A100_80GB", "hours_per_month": 100, "mounts": ["x"]}


def write(path: Path, **files: Any) -> None:
    for name, document in files.items():
        (path / f"{name}.json").write_text(json.dumps(document, default=float))


@pytest.mark.slow
def test_a_joint_plan_is_printed_saved_and_read_back(run: Run, tmp_path: Path) -> None:
    """The file has the GPUs, their market and its record; standard output is that file."""
    ran = run("plan", "shipped:finetune", *MARKET, *GPUS, "-o", "json", "--out", "p.json")
    assert ran.code == 0, ran.err
    assert ran.out == (tmp_path / "p.json").read_text()
    plan = ran.json()
    assert [gpu["workload"] for gpu in plan["gpus"]] == ["finetune", "evaluate"]
    assert plan["inputs"]["gpus"]["source"] == "shipped:gpu-offers"
    assert plan["inputs"]["gpus"]["rows"] == len(plan["market"]["gpus"]) == 9
    assert plan["solver"]["status"] == "optimal"
    assert Plan.load(tmp_path / "p.json").plan_id == plan["plan_id"]


@pytest.mark.slow
@pytest.mark.sweep
@pytest.mark.parametrize("form", ["table", "md"])
def test_what_is_read_of_a_joint_plan(run: Run, form: str) -> None:
    """Each job's GPUs with their cost, the sum, and what the cheapest disks alone would be."""
    ran = run("plan", "shipped:finetune", *MARKET, *GPUS, "-o", form, env={"COLUMNS": "160"})
    text = " ".join(ran.out.replace("\\", "").split())
    assert "GPUs of finetune: 1 A100_80GB SXM4 at runpod" in text
    assert "$1.7568 an hour x 120 h = $210.82 a month" in text
    assert "disks and GPUs together: $" in text
    assert "Cheapest offer per volume" in text
    assert "Cheapest disks, then GPUs: impossible (no A100_80GB for" in text
    assert "less than the plan's" in text


def test_workloads_without_gpus_are_two(run: Run) -> None:
    """A file of disks says nothing of GPUs: exit 2, and which option would."""
    ran = run("plan", "shipped:finetune", *MARKET, "-o", "json")
    assert ran.code == 2
    assert "workloads" in ran.json()["error"]
    assert "--gpus-file" in ran.json()["hint"]


@pytest.mark.slow
def test_multinode_gpus_want_disks_that_several_nodes_can_mount(run: Run, tmp_path: Path) -> None:
    """The cheaper GPUs of the other listing bring the volume to the disk that suits them."""
    write(
        tmp_path,
        disks=[row("alpha", "0.0001"), row("beta", "0.0002", isMultinode=True)],
        gpus=[gpu("alpha", "2")],
        nodes=[gpu("alpha", "0.1"), gpu("beta", "1")],
        d=demanded(volume("x"), workloads=[JOB]),
    )
    words = ("plan", "d.json", "--offers", "disks.json", "--gpus-file", "gpus.json", "-o", "json")
    single, both = run(*words).json(), run(*words, "--multinode-file", "nodes.json").json()
    assert [one["provider"] for one in single["gpus"] + both["gpus"]] == ["alpha", "beta"]
    assert [plan["placements"][0]["provider"] for plan in (single, both)] == ["alpha", "beta"]
    assert both["inputs"]["gpus"]["rows"] == 3
    wrong = run("plan", "d.json", "--offers", "disks.json", "--multinode-file", "nodes.json")
    assert wrong.code == 2
    assert "--gpus-file" in wrong.err


@pytest.mark.slow
def test_the_full_program_gives_the_same_plan(run: Run) -> None:
    """Without presolve the program is larger, nothing is dominated, and the plan is the same."""
    words = ("plan", "shipped:finetune", *MARKET, *GPUS, "-o", "json")
    plan, full = run(*words).json(), run(*words, "--full-program").json()
    assert full["plan_id"] == plan["plan_id"]
    assert full["solver"]["variables"] > plan["solver"]["variables"]
    assert full["solver"]["dominated"] == 0 < plan["solver"]["dominated"]


@pytest.mark.slow
def test_cost_slack_buys_better_stock_and_says_so(run: Run, tmp_path: Path) -> None:
    """Five per cent are enough for stock that is four dearer; three are not."""
    rows = [row("alpha", "0.0001", stockStatus="Low"), row("beta", "0.000104")]
    write(tmp_path, disks=rows, d=demanded(volume("x")))
    words = ("plan", "d.json", "--offers", "disks.json")
    for slack, provider in (("5%", "beta"), ("5", "beta"), ("3%", "alpha"), ("0", "alpha")):
        plan = run(*words, "--cost-slack", slack, "-o", "json").json()
        assert plan["placements"][0]["provider"] == provider, slack
        assert plan["solver"]["cost_slack_percent"] == slack.rstrip("%")
    shown = " ".join(run(*words, "--cost-slack", "5%").out.split())
    assert "within 5 % of the least cost, $0.0100 an hour" in shown
    for wrong in ("much", "-1", "nan"):
        assert run(*words, "--cost-slack", wrong).code == 2


def too_hard(tmp_path: Path) -> tuple[str, ...]:
    """Write 40 volumes to be packed into 20 providers of a seventeenth each: hours of proof."""
    rng = random.Random(1)
    rows = [
        row(f"p{n}", f"0.000{rng.randint(100, 200)}", spec={"maxCount": 9000}) for n in range(20)
    ]
    volumes = [volume(f"v{n}", rng.randint(300, 700)) for n in range(40)]
    write(tmp_path, hard=demanded(*volumes, policy={"max_provider_share": 0.06}), disks=rows)
    return ("plan", "hard.json", "--offers", "disks.json", "--time-limit", "2")


@pytest.mark.slow
def test_an_incumbent_is_printed_with_its_gap_and_not_saved(run: Run, tmp_path: Path) -> None:
    """Time that ends before the proof is exit 11: the plan is there to read, labelled."""
    ran = run(*too_hard(tmp_path), "--out", "p.json")
    assert ran.code == 11
    shown = " ".join(ran.out.split())
    assert "NOT PROVEN (time limit): at most" in shown
    assert "total" in shown
    assert "may cost up to $" in ran.err
    assert "--accept-gap" in ran.err
    assert not (tmp_path / "p.json").exists()


@pytest.mark.slow
def test_a_gap_that_is_accepted_is_saved_with_its_proof(run: Run, tmp_path: Path) -> None:
    """With --accept-gap the incumbent is a plan like any other, and its record says what it is."""
    words = too_hard(tmp_path)
    ran = run(*words, "--accept-gap", "60%", "--out", "p.json", "-o", "json")
    assert ran.code == 0, ran.err
    loaded = Plan.load(tmp_path / "p.json")
    record = loaded.solver
    assert (record.status, record.termination) == ("feasible", "time_limit")
    assert 1e-6 < record.gap < 0.6
    assert record.bound_usd_hr < record.objective_usd_hr
    refused = run(*words, "--accept-gap", "0.0002%", "-o", "json")
    assert refused.code == 11
    assert refused.json()["plan"]["solver"]["status"] == "feasible"
    assert len(refused.json()["plan"]["placements"]) == 40


@pytest.mark.slow
def test_no_time_is_eleven(run: Run, tmp_path: Path) -> None:
    """With no time for the solver there is no plan, nothing is saved and the exit code is 11."""
    rows = [row(f"p{n}", f"0.000{100 + n * 7 % 31}") for n in range(30)]
    volumes = [volume(f"v{n}", 100 + 37 * n % 90, replicas=2) for n in range(60)]
    apart = [{"volumes": ["v0", "v1"], "different": "provider"}]
    policy = {"max_sites": 7, "max_provider_share": 0.17}
    write(tmp_path, d=demanded(*volumes, groups=apart, policy=policy), disks=rows)
    words = ("plan", "d.json", "--offers", "disks.json", "--time-limit", "0")
    ran = run(*words, "--out", "p.json", "-o", "json")
    assert ran.code == 11
    assert ran.json()["exit_code"] == 11
    assert ran.json()["plan"] is None
    assert not (tmp_path / "p.json").exists()


@pytest.mark.slow
def test_what_needs_no_solver_needs_no_time(run: Run, tmp_path: Path) -> None:
    """Thousands of volumes that nothing couples are proven by presolve, whatever the limit."""
    copies = {"name": "v", "size_gb": 10, "replicas": 2, "count": 3000}
    write(tmp_path, d={"version": 1, "volumes": [copies]})
    ran = run("plan", "d.json", *MARKET, "--time-limit", "0", "-o", "json")
    assert ran.code == 0
    assert ran.json()["solver"]["variables"] == 0
    assert len(ran.json()["placements"]) == 6000


@pytest.mark.slow
def test_a_gpu_that_nobody_rents_is_said_with_the_nearest(run: Run, tmp_path: Path) -> None:
    """A misspelt model is exit 3 and a warning with what was meant."""
    write(tmp_path, d=demanded(volume("x"), workloads=[{**JOB, "gpu": "A100_80G"}]))
    ran = run("plan", "d.json", *MARKET, *GPUS, "-o", "json")
    assert ran.code == 3
    assert "did you mean A100_80GB?" in ran.err
    assert "did you mean A100_80GB?" in " ".join(ran.json()["warnings"])
