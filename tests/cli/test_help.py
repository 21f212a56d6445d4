"""What a person sees while typing: help with examples and panels, completion, colour."""

from __future__ import annotations

import re
import shlex
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner.cli import options
from planner.cli.complete import COMPLETIONS, SECTIONS
from planner.cli.help import COMMAND_PANELS, EXAMPLES, helped
from planner.cli.main import COMMANDS, command_line
from planner.cli.offers import offers
from planner.cli.render import to_stderr
from planner.shipped import docs
from tests.shipped_plans import research

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run

GROUP: Any = command_line()
LINES = [(name, line) for name, lines in EXAMPLES.items() for line in lines]


def test_every_command_has_examples() -> None:
    """Two or three, or the one line that there is to type."""
    assert {*EXAMPLES} == {*COMMANDS}
    assert all(1 <= len(lines) <= 3 for lines in EXAMPLES.values())
    assert set(COMMAND_PANELS) <= set(COMMANDS)


@pytest.mark.parametrize(("name", "line"), LINES, ids=[line for _, line in LINES])
def test_an_example_is_a_line_that_planner_takes(name: str, line: str) -> None:
    """Command, options and values are understood, and it fits a terminal."""
    words = shlex.split(line.partition(" > ")[0])
    assert words[:2] == ["planner", name]
    context = GROUP.commands[name].make_context(name, words[2:])
    assert context.params is not None
    assert len(line) <= 76


@pytest.mark.sweep
@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_examples_panels_and_words(run: Run, name: str) -> None:
    """Each example on a line of its own, at 80 columns; no type is Python's."""
    shown = run(name, "--help", env={"COLUMNS": "80"}).out
    lines = [line.strip() for line in shown.splitlines()]
    assert lines.count("Examples:") == 1
    assert {*EXAMPLES[name]} <= {*lines}
    assert max(map(len, shown.splitlines())) <= 80
    assert re.findall(r"<(?:str|int|float|bool|list).*", shown) == []
    assert [*_arguments(shown)] == [*map(str.upper, _arguments(shown))]


def _arguments(shown: str) -> list[str]:
    panel = shown.partition("─ Arguments ─")[2].partition("╰")[0]
    return re.findall(r"^│ (?:\*  )? {1,3}(\S+) ", panel, re.MULTILINE)


def test_options_of_a_kind_stand_together(run: Run) -> None:
    """Panels group what a person looks for."""
    shown = run("plan", "--help").out
    assert re.search(r"─ Inputs ─.*--offers.*─ Solver ─.*--time-limit", shown, re.DOTALL)
    assert re.search(r"─ Limits ─.*--max-usd-hr", run("apply", "--help").out, re.DOTALL)
    assert re.search(r"─ Market ─.*where.*─ Buy ─.*apply", run("--help").out, re.DOTALL)


def test_shared_declarations_stay_as_they_are() -> None:
    """What is added for a command is added to a copy."""
    helped(offers)
    shared: tuple[Any, ...] = (options.Places, options.StockFilter, options.OffersOption)
    assert all(hint.__metadata__[0].rich_help_panel is None for hint in shared)


def _completed(run: Run, line: str) -> list[str]:
    """Return what bash offers at the end of a line, which it cuts at `:` and `=` as well."""
    words = re.findall(r"[:=]|[^ :=]+", line) + [""] * line.endswith(" ")
    env = {
        "_PLANNER_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    ran = run(env=env)
    assert (ran.code, ran.err) == (0, "")
    return ran.out.split()


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("planner whe", ["where"]),
        ("planner offers --region ", ["eu_north", "united_states"]),
        ("planner offers --provider run", ["runpod"]),
        ("planner offers --country N", ["NO"]),
        ("planner gpus --data-center US-K", ["US-KS-2"]),
        ("planner where 4TB --gpu A100", ["A100_80GB"]),
        ("planner where 4TB --stock ", ["Low", "Medium", "Available", "High"]),
        ("planner offers --security com", ["community_cloud"]),
        ("planner report p.json --section by-r", ["by-region"]),
        ("planner docs gl", ["glossary"]),
        ("planner plan shipped", ["shipped:minimal", "shipped:research", "shipped:finetune"]),
        ("planner plan demand.yaml --offers sh", ["shipped:disk-offers"]),
        ("planner plan shipped:", ["minimal", "research", "finetune"]),
        ("planner plan a.yaml shipped:r", ["research"]),
        ("planner plan demand.yaml --offers=shipped:d", ["disk-offers"]),
        ("planner offers --provider=run", ["runpod"]),
        ("planner offers --provider=", ["crusoecloud", "dc_roan", "hyperstack", "runpod"]),
        ("planner offers --offers shipped:disk-offers --country N", ["NO"]),
        ("planner init --example re", ["research"]),
        ("planner explain nothing.json --volume ", []),
        ("planner offers --offers nothing.json --region ", []),
    ],
)
def test_a_value_is_completed(run: Run, line: str, values: list[str]) -> None:
    """Commands, places, GPUs, levels, sections, pages and shipped files; no network, no error."""
    assert _completed(run, line) == values


@pytest.mark.slow
def test_what_a_file_has_is_completed(run: Run, tmp_path: Path) -> None:
    """Volumes and offers of the plan, places of the listing, files with their directories."""
    plan = research()
    plan.save(tmp_path / "plan.json")
    volumes = {placement.volume for placement in plan.placements}
    assert {*_completed(run, "planner explain plan.json --volume ")} == volumes
    assert _completed(run, "planner explain plan.json --volume corp") == ["corpus"]
    offers = {placement.offer_id for placement in plan.placements}
    assert {*_completed(run, "planner explain plan.json --offer ")} == offers
    (tmp_path / "market.json").write_text('{"items": [{"provider": "acme"}, {"provider": "a b"}]}')
    assert _completed(run, "planner offers --offers market.json --provider ") == ["acme"]
    (tmp_path / "teams").mkdir()
    (tmp_path / "teams" / "vision.yaml").touch()
    assert _completed(run, "planner plan te") == ["teams/"]
    assert _completed(run, "planner plan teams/") == ["teams/vision.yaml"]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_what_stands_in_brackets(run: Run, name: str) -> None:
    """A bracket such as [#N] is text, not a style."""
    more = getattr(import_module(f"planner.cli.{name}"), "EPILOG", "") if name != "schema" else ""
    shown = "".join(run(name, "--help").out.split())
    assert "".join(more.split()) in shown


def test_what_completes_is_a_parameter_of_a_command() -> None:
    """A name that no command has completes nothing; sections are those of a report."""
    names = {param.name for command in GROUP.commands.values() for param in command.params}
    assert {*COMPLETIONS} <= names
    report = planner.report(research())
    names = {section.name for section in report.sections(None)}
    assert {name for name in names if not name.startswith("by-tag:")} <= {*SECTIONS}
    assert all(line.split()[0] in COMPLETIONS["topic"]() for line in docs().splitlines())


def test_a_label_has_its_colour_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red for an error, yellow for a warning; none off a terminal, or with NO_COLOR."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    to_stderr("warning: a")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    to_stderr("warning: \x1b[2Jb")
    to_stderr("planner: c")
    to_stderr("saved")
    monkeypatch.setenv("NO_COLOR", "1")
    to_stderr("warning: d")
    assert capsys.readouterr().err == (
        "warning: a\n\x1b[33mwarning:\x1b[0m \\x1b[2Jb\n\x1b[1;31mplanner:\x1b[0m c\nsaved\n"
        "warning: d\n"
    )
