"""``planner where``: the question in one line, for people and for programs."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Run

DISKS = ("--offers", "shipped:disk-offers")
MARKET = (*DISKS, "--gpus-file", "shipped:gpu-offers")
QUESTION = ("where", "4TB", "--gpu", "A100_80GB", "--hours", "200")


def test_the_question_at_80_columns(run: Run) -> None:
    """Chosen first, then the others by cost, then what they lack, then how to go on."""
    ran = run(*QUESTION, *MARKET, env={"COLUMNS": "80"})
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0] == "4,000 GB next to one A100_80GB, 200 h a month"
    command = " ".join(line.removesuffix(" \\").strip() for line in lines[-2:])
    assert max(map(len, lines)) <= 80
    assert lines[3].split() == [
        *("✓", "runpod", "US-KS-2", "(US)", "$324.44", "$331.36", "$655.80"),
    ]
    assert "$675.80   +$20.00" in lines[4]
    assert "GPUs unknown" in ran.out
    assert "no A100_80GB" in ran.out
    assert "Cheapest of 13 sites, proven." in ran.out
    assert command == f"planner {' '.join((*QUESTION, *MARKET))} --save demand.yaml"


def test_all_shows_every_site(run: Run) -> None:
    """Without --all the rest is counted, with it nothing is left out."""
    few, every = run("where", "4TB", *DISKS), run("where", "4TB", "--all", *DISKS)
    assert "8 sites that cost more" in few.out
    assert "Not shown" not in every.out
    assert every.out.count("$204.40") + every.out.count("+$") == 14


@pytest.mark.slow
def test_the_command_it_ends_with_works(run: Run) -> None:
    """The saved file plans to what was shown; it is named after the directory, and never lost."""
    asked = run(*QUESTION, *MARKET, "--save", "demand.yaml", "-o", "json")
    assert asked.code == 0
    command = asked.err.splitlines()[-1].split()
    assert command[:3] == ["planner", "plan", "demand.yaml"]
    made = run(*command[1:], "-o", "json").json()
    assert made["plan_id"] == asked.json()["plan_id"]
    assert made["totals"]["usd_month"] == asked.json()["usd_month"]
    assert made["project"] not in {"demand", "data"}
    again = run(*QUESTION, *MARKET, "--save", "demand.yaml")
    assert (again.code, "is already there" in again.err) == (2, True)
    assert run(*QUESTION, *MARKET, "--save", "demand.yaml", "--force").code == 0


@pytest.mark.slow
def test_json_csv_and_markdown(run: Run) -> None:
    """The same sites in each, exact, under the keys of --help."""
    document = run(*QUESTION, *MARKET, "-o", "json").json()
    sites = document["sites"]
    assert (document["size_gb"], document["gpus"], document["status"]) == (4000, 1, "optimal")
    assert document["usd_month"] == sites[0]["usd_month"]
    assert (sites[0]["chosen"], sites[0]["extra_usd_month"], sites[0]["missing"]) == (
        True,
        None,
        [],
    )
    help_text = " ".join(run("where", "--help", env={"COLUMNS": "200"}).out.split())
    assert all(key in help_text for key in (*document, *sites[0]))
    table = [*csv.reader(io.StringIO(run(*QUESTION, *MARKET, "-o", "csv").out))]
    assert table[0] == list(sites[0])
    assert len(table) == 14
    assert "| runpod US-KS-2 (US) |" in run(*QUESTION, *MARKET, "-o", "md").out


def test_copies(run: Run) -> None:
    """Two copies are two ticks, and the total is that of both."""
    ran = run("where", "4TB", "--replicas", "2", *MARKET, "--gpu", "A100_80GB")
    assert ran.out.count("✓") == 2
    assert "Total: all 2 copies, one of them at that site." in ran.out
    assert ran.out.startswith("2 copies of 4,000 GB, one next to one A100_80GB, 730 h a month")


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("4000", *DISKS), 2, "write a number and a unit"),
        (("4TB", "--gpu", "A100_80G", *MARKET), 3, "did you mean A100_80GB?"),
        (("4TB", "--gpu", "A100_80GB:8", *MARKET), 3, "use 1 GPU on each of 8 nodes"),
        (("9TB", "--multinode", "--region", "eu_north", *DISKS), 3, "drop `multinode`"),
        (("4TB", "--region", "canda", *DISKS), 3, "no region canda in this market"),
        (("4TB", "--hours", "20", *DISKS), 2, "--gpu MODEL"),
        (("4TB", *MARKET), 2, "--gpu MODEL"),
        (("4TB", "--gpu", "A100_80GB", *DISKS), 2, "--gpus-file"),
        (("4TB", "--gpu", "", *MARKET), 2, "is not a GPU"),
        (("4TB", "--replicas", "0", *DISKS), 2, "--replicas"),
        (("4TB", "--save", "-", *DISKS), 2, "--save names a file"),
        (("4TB", "--stock", "high", *DISKS), 2, "did you mean High?"),
    ],
)
def test_what_is_wrong_is_said(run: Run, words: tuple[str, ...], code: int, text: str) -> None:
    """An unclear question is 2, one without an answer 3 with what to change; JSON alike."""
    ran = run("where", *words)
    assert (ran.code, text in ran.err) == (code, True), ran.err
    failed = run("where", *words, "-o", "json")
    assert (failed.code, failed.json()["exit_code"]) == (code, code)
    if code == 3:
        assert failed.json()["conflicts"]


@pytest.mark.slow
def test_hostile_text_is_shown_not_obeyed(run: Run) -> None:
    """What is typed comes back escaped, in the error and in its hint."""
    ran = run("where", "4TB", "--gpu", "A100\x1b[2J", *MARKET)
    assert ran.code == 3
    assert "\x1b" not in ran.err + ran.out
    assert "A100\\x1b[2J" in ran.err
