"""What runs in a pull request: the action's steps, typed as a runner types them; the hook."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import planner
from planner.cli.validate import annotation
from planner.shipped import docs, shipped_path
from planner.text import visible
from tests.looks import HOSTILE

ROOT = Path(__file__).parent.parent
EXPRESSION = re.compile(r"\$\{\{ (?:inputs|secrets)\.([\w-]+) \}\}")


def _yaml(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def _file(*parts: str) -> Any:
    return _yaml(ROOT.joinpath(*parts).read_text(encoding="utf-8"))


ACTION = _file(".github", "actions", "plan", "action.yml")


@dataclass
class Runner:
    """A machine of GitHub's, as far as the action sees it."""

    folder: Path
    outputs: str = ""
    summary: str = ""
    log: str = ""
    ran: list[str] = field(default_factory=list)

    def use(self, **inputs: str) -> int:
        """Run the action's steps with inputs, as long as they succeed; return the last code."""
        given = {name: each.get("default", "") for name, each in ACTION["inputs"].items()}
        given |= {name.replace("_", "-"): value for name, value in inputs.items()}
        code = 0
        for step in ACTION["runs"]["steps"]:
            skipped = "if" in step and not given[step["if"].split(".")[1].split()[0]]
            if "run" not in step or "pip" in step["run"] or skipped or code:
                continue
            code = self._run(step, given)
        return code

    def _run(self, step: dict[str, Any], given: dict[str, str]) -> int:
        files = {name: self.folder / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        values = {
            name: EXPRESSION.sub(lambda match: given[match[1]], text)
            for name, text in step.get("env", {}).items()
        }
        path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
        home = {"HOME": str(self.folder), "PATH": path, "LANG": "C.UTF-8"}
        ran = subprocess.run(
            ["/bin/bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            check=False,
            cwd=self.folder,
            encoding="utf-8",
            env={**home, **{name: str(file) for name, file in files.items()}, **values},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
        )
        self.ran.append(step["name"])
        self.log += ran.stdout
        self.outputs, self.summary = (
            file.read_text(encoding="utf-8") if file.exists() else "" for file in files.values()
        )
        return ran.returncode


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """Return a runner whose checkout has the shipped files."""
    for name in ("disk-offers", "gpu-offers", "research", "finetune"):
        shutil.copy(shipped_path(name), tmp_path)
    return Runner(tmp_path)


@pytest.mark.slow
def test_the_action_plans_and_shows_the_plan(runner: Runner) -> None:
    """With the inputs of the workflow: a valid file, a plan in the summary, a saved plan."""
    (step,) = [
        step
        for step in _file(".github", "workflows", "ci.yml")["jobs"]["plan"]["steps"]
        if step["uses"].startswith("./")
    ]
    assert step["uses"] == "./.github/actions/plan"
    files = {name: text.removeprefix("data/") for name, text in step["with"].items()}
    assert runner.use(**files) == 0, runner.log
    assert runner.ran == ["Validate", "Plan"]
    plan = planner.Plan.load(runner.folder / runner.outputs.strip().removeprefix("plan="))
    assert all(placement.volume in runner.summary for placement in plan.placements)


@pytest.mark.slow
def test_a_cost_that_rises_fails_and_is_shown(runner: Runner) -> None:
    """Against a baseline: the difference is in the summary, and the step ends with exit 10."""
    research = runner.folder / "research.yaml"
    offers, old = str(runner.folder / "disk-offers.json"), runner.folder / "old.json"
    planner.plan(planner.read_demand(research), planner.read_offers(offers)).save(old)
    text = research.read_text(encoding="utf-8").replace("owner: serving", "owner: research")
    research.write_text(text, encoding="utf-8")
    same = {"demand": "research.yaml", "offers": offers, "baseline": "old.json"}
    assert runner.use(**same, fail_on_increase="0%") == 0, runner.log
    assert "reassigned" in runner.summary
    research.write_text(text.replace("size_gb: 600", "size_gb: 700"), encoding="utf-8")
    assert runner.use(**same, fail_on_increase="0%") == 10
    assert "more than" in runner.log or "above" in runner.log


@pytest.mark.slow
def test_a_wrong_file_is_annotated_and_nothing_is_planned(runner: Runner) -> None:
    """The log has a workflow command for each problem, and the plan's step does not run."""
    name = "$(touch pwned);-o.yaml"
    (runner.folder / name).write_text("version: 1\nvolumes: [{name: a, sice: 1 TB}]\n")
    assert runner.use(demand=name, offers="disk-offers.json") == 2
    assert runner.ran == ["Validate"]
    assert f"::error file={name},line=2,col=21::volumes[0].sice: " in runner.log
    assert not (runner.folder / "pwned").exists()


@pytest.mark.slow
def test_no_plan_is_in_the_summary_too(runner: Runner) -> None:
    """What makes the demand infeasible stands where a reviewer looks."""
    text = "version: 1\nvolumes: [{name: a, size: 1 TB, max_usd_gb_hr: 0.00001}]\n"
    (runner.folder / "demand.yaml").write_text(text)
    assert runner.use(demand="demand.yaml", offers="disk-offers.json") == 3
    assert "No plan satisfies demand.yaml" in runner.summary
    assert runner.outputs == ""


def test_no_text_of_a_pull_request_is_pasted_into_a_script() -> None:
    """Inputs reach the shell as variables, in quotes."""
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step.get("run", "")
        named = {name for text in step.get("env", {}).values() for name in EXPRESSION.findall(text)}
        assert named <= set(ACTION["inputs"])


def test_the_action_of_the_manual_is_used_as_it_is_declared() -> None:
    """The example gives inputs that exist, and all that are required."""
    (text,) = re.findall(r"(?ms)^```yaml\n(on: .*?)^```$", docs("ci"))
    (step,) = [step for step in _yaml(text)["jobs"]["storage"]["steps"] if step["uses"][0] == "."]
    assert (ROOT / step["uses"]).is_dir()
    required = {name for name, each in ACTION["inputs"].items() if each.get("required")}
    assert required <= set(step["with"]) <= set(ACTION["inputs"])


def test_the_hook_checks_demand_files() -> None:
    """What pre-commit runs is a command that takes files, for files that are named so."""
    (hook,) = _file(".pre-commit-hooks.yaml")
    assert (hook["entry"], hook["language"]) == ("planner validate", "python")
    right = ("demand.yaml", "team/demand.yml", "a/llm.demand.toml", "demand.json")
    assert all(re.search(hook["files"], name) for name in right)
    assert not any(re.search(hook["files"], name) for name in ("demands.yaml", "ondemand.yaml"))


@pytest.mark.parametrize(
    "text", [*HOSTILE, "a\n::error::b", "a\r\n::set-output name=x::y", "100%0A"]
)
def test_a_hostile_text_stays_one_annotation(text: str) -> None:
    """One line, one command; GitHub decodes what is shown, and nothing of it is a command."""
    written = annotation(text, file=text, line=1, column=2)
    assert len(written.splitlines()) == 1
    properties, _, message = written.removeprefix("::error ").partition("::")
    assert set(re.findall(r"(?:^|,)(\w+)=", properties)) == {"file", "line", "col"}
    assert "::" not in properties
    assert message.replace("%25", "%") == visible(text)
