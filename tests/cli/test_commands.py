"""The commands as a user meets them: results on stdout, talk on stderr, documented exit codes."""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner.shipped import shipped_path

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run

MARKET = ("--offers", "shipped:disk-offers")
SMALL = "version: 1\nvolumes:\n  - {name: x, size_gb: 100}\n"


@pytest.mark.slow
def test_plan_json_is_the_saved_document_and_nothing_else(run: Run, tmp_path: Path) -> None:
    """Standard output of -o json is, byte for byte, the file that --out saves."""
    ran = run("plan", "shipped:research", *MARKET, "-o", "json", "--out", "plan.json")
    assert ran.code == 0
    assert ran.out == (tmp_path / "plan.json").read_text()
    assert ran.json()["solver"]["status"] == "optimal"


@pytest.mark.sweep
@pytest.mark.parametrize("columns", ["80", "160"])
def test_plan_table_fits_the_terminal(run: Run, columns: str) -> None:
    """No line is wider than the terminal, and the total is there."""
    ran = run("plan", "shipped:research", *MARKET, env={"COLUMNS": columns})
    assert ran.code == 0
    assert max(len(line) for line in ran.out.splitlines()) <= int(columns)
    assert "total" in ran.out
    assert "optimal: no cheaper plan exists" in ran.out


@pytest.mark.slow
def test_plan_csv_and_markdown_have_every_placement(run: Run) -> None:
    """CSV has a row for each placement; Markdown the same and a total."""
    rows = list(
        csv.DictReader(io.StringIO(run("plan", "shipped:research", *MARKET, "-o", "csv").out))
    )
    placements = run("plan", "shipped:research", *MARKET, "-o", "json").json()["placements"]
    assert [row["usd_hr"] for row in rows] == [one["usd_hr"] for one in placements]
    text = run("plan", "shipped:research", *MARKET, "-o", "md").out
    assert text.count("\n| ") == len(placements) + 2


def test_demand_from_standard_input(run: Run) -> None:
    """A dash reads the demand from standard input."""
    ran = run("plan", "-", *MARKET, "-o", "json", stdin=SMALL)
    assert ran.json()["placements"][0]["volume"] == "x"


@pytest.mark.slow
def test_infeasible_is_three_and_says_why(run: Run) -> None:
    """No plan: exit 3, the reason in prose, and as JSON on stdout with -o json."""
    text = SMALL.replace("100}", "100, regions: [mars]}")
    ran = run("plan", "-", *MARKET, "-o", "json", stdin=text)
    assert ran.code == 3
    failure = ran.json()
    assert failure["exit_code"] == 3
    assert failure["conflicts"][0]["volume"] == "x"
    assert failure["conflicts"][0]["rules"] == {"region": 13}
    assert "x: none of 13 offers qualifies" in ran.err
    assert run("plan", "-", *MARKET, stdin=text).out == ""


def test_a_wrong_field_is_two_with_file_line_and_field(run: Run, tmp_path: Path) -> None:
    """A wrong field exits 2 and names file, line, column and field."""
    (tmp_path / "d.yaml").write_text(SMALL.replace("100}", "100, replicas: two}"))
    ran = run("plan", "d.yaml", *MARKET, "-o", "json")
    assert ran.code == 2
    problem = ran.json()["problems"][0]
    assert (problem["line"], problem["field"]) == (3, "volumes[0].replicas")
    assert "d.yaml:3:" in ran.err
    (tmp_path / "d.yaml").write_text(SMALL.replace("size_gb", "size_bg"))
    assert "did you mean `size_gb`?" in run("plan", "d.yaml", *MARKET).err


@pytest.mark.slow
@pytest.mark.parametrize("what", ["missing", "directory", "binary", "empty", "large"])
@pytest.mark.parametrize("place", ["demand", "offers", "plan"])
def test_unusable_files_are_one_clear_error(
    run: Run, tmp_path: Path, what: str, place: str
) -> None:
    """Missing, directory, junk, empty, 50 MB: one error, naming the file, never a traceback."""
    path = tmp_path / "file"
    if what == "directory":
        path.mkdir()
    elif what != "missing":
        content = {"binary": os.urandom(4096), "empty": b"", "large": b" " * 50 * 10**6}[what]
        path.write_bytes(content)
    words = {
        "demand": ("plan", "file", *MARKET),
        "offers": ("plan", "shipped:minimal", "--offers", "file"),
        "plan": ("emit", "file"),
    }[place]
    ran = run(*words)
    assert ran.code == (5 if place == "plan" and what in {"binary", "empty", "large"} else 2)
    assert "file" in ran.err
    assert len(ran.err.splitlines()) <= 3


@pytest.mark.slow
def test_no_offers_is_infeasible(run: Run, tmp_path: Path) -> None:
    """An empty file of offers is believed: exit 3."""
    empty: list[Any] = [[], {"items": []}, {"items": [], "totalCount": 0}]
    for document in empty:
        (tmp_path / "none.json").write_text(json.dumps(document))
        ran = run("plan", "shipped:minimal", "--offers", "none.json")
        assert ran.code == 3
        assert "no offers" in ran.err


def test_without_key_or_file_is_two(run: Run) -> None:
    """A missing key is exit 2 and says how to log in or go on without."""
    ran = run("plan", "shipped:minimal")
    assert ran.code == 2
    assert "prime login" in ran.err
    assert "--offers" in ran.err


def test_usage_errors_are_two_and_json_where_asked(run: Run) -> None:
    """An unknown option is exit 2; with -o json the failure is JSON too."""
    ran = run("plan", "shipped:minimal", "--no-such-option", "-o", "json")
    assert ran.code == 2
    assert ran.json()["exit_code"] == 2
    assert run("plan").code == 2


def test_the_last_output_option_says_what_a_failure_is(run: Run) -> None:
    """Given twice, the format that the result would have is the format of the failure."""
    words = ("plan", "none.yaml", *MARKET)
    assert run(*words, "-o", "json", "-o", "csv").out == ""
    assert run(*words, "-o", "csv", "--output=json").json()["exit_code"] == 2


@pytest.mark.slow
def test_hostile_text_reaches_no_terminal_or_cell(run: Run, tmp_path: Path) -> None:
    """Escape sequences, formulas, pipes, tags and links are shown as text in every format."""
    document = json.loads(shipped_path("disk-offers").read_text())
    for row in document["items"]:
        row["dataCenter"] = "=cmd|'/C calc'!A0<b>|x https://evil.example @everyone"
        row["provider"] = "=1+1"
        row["region"] = "\x1b[31m\u202e<b>"
    document["items"][0]["dataCenter"] = "\x1b[31m\u202e\nrm -rf"
    (tmp_path / "m.json").write_text(json.dumps(document))
    for words in (("offers",), ("plan", "-")):
        for form in ("table", "csv", "md", "json"):
            ran = run(*words, "--offers", "m.json", "-o", form, stdin=SMALL)
            assert ran.code == 0
            shown = ran.out + ran.err
            assert "\x1b" not in shown
            assert "\u202e" not in shown
            if form == "csv":
                cells = [cell for line in csv.reader(io.StringIO(ran.out)) for cell in line]
                assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]
            if form == "md":
                assert not [raw for raw in ("<b>", "://", "@") if raw in ran.out]


@pytest.mark.slow
def test_init_writes_a_demand_that_plans(run: Run, tmp_path: Path) -> None:
    """What init writes is a commented file that plans as it is, and never over another."""
    for name in ("minimal", "research"):
        assert run("init", f"{name}.yaml", "--example", name).code == 0
        assert "#" in (tmp_path / f"{name}.yaml").read_text()
        assert run("plan", f"{name}.yaml", *MARKET).code == 0
    (tmp_path / "minimal.yaml").write_text("mine")
    assert run("init", "minimal.yaml").code == 2
    assert (tmp_path / "minimal.yaml").read_text() == "mine"
    assert run("init", "minimal.yaml", "--force").code == 0
    assert run("init", "-").out.startswith("#")


@pytest.mark.parametrize("name", ["2026", "true", "null", "1e3", "my dir"])
def test_init_in_any_directory_names_a_project(run: Run, tmp_path: Path, name: str) -> None:
    """What YAML reads as a number, a truth value or nothing is still the project's name."""
    (tmp_path / name).mkdir()
    assert run("init", f"{name}/demand.yaml").code == 0
    assert planner.read_demand(tmp_path / name / "demand.yaml").project == name.replace(" ", "-")


@pytest.mark.slow
def test_an_empty_listing_is_said(run: Run, tmp_path: Path) -> None:
    """Not "0 of no offers"."""
    (tmp_path / "none.json").write_text("[]")
    assert "No offers listed by none.json" in run("offers", "--offers", "none.json").out
    assert "No GPU offers listed by none.json" in run("gpus", "--gpus-file", "none.json").out
    refused = run("where", "4TB", "--offers", "none.json")
    assert refused.code == 3
    assert "data: no offers in this market" in refused.err
    assert "requirement" not in refused.err


@pytest.mark.slow
def test_schema_accepts_the_examples(run: Run) -> None:
    """The printed JSON Schema accepts the shipped demands and refuses a wrong key."""
    import jsonschema
    from ruamel.yaml import YAML

    schema = run("schema").json()
    for name in ("minimal", "research"):
        document: Any = YAML(typ="safe").load(shipped_path(name).read_text())
        jsonschema.validate(document, schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**document, "volumez": []}, schema)


@pytest.mark.slow
def test_an_unknown_place_is_said_with_the_nearest(run: Run) -> None:
    """Whether there is a plan or not, a misspelt place is named with what was meant."""
    wrong = SMALL.replace("100}", "100, providers: [hyperstak]}")
    ran = run("plan", "-", *MARKET, "-o", "json", stdin=wrong)
    assert ran.code == 3
    assert "did you mean hyperstack?" in ran.err
    assert "did you mean hyperstack?" in ran.json()["warnings"][0]
    assert "did you mean eu_north?" in run("offers", *MARKET, "--region", "eu_nort").err


def test_a_plan_never_overwrites_its_inputs(run: Run, tmp_path: Path) -> None:
    """--out on the demand or the snapshot is refused, and so is standard output."""
    (tmp_path / "d.yaml").write_text(SMALL)
    (tmp_path / "m.json").write_text(shipped_path("disk-offers").read_text())
    for out in ("d.yaml", "./d.yaml", "m.json", "-", ""):
        assert run("plan", "d.yaml", "--offers", "m.json", "--out", out).code == 2
    assert (tmp_path / "d.yaml").read_text() == SMALL


@pytest.mark.sweep
@pytest.mark.parametrize("columns", ["20", "40"])
def test_amounts_are_never_cut(run: Run, columns: str) -> None:
    """On a screen too narrow for the table every amount is whole all the same."""
    ran = run("plan", "shipped:research", *MARKET, env={"COLUMNS": columns})
    assert "1,340.51" in ran.out
    assert "511.00" in ran.out


@pytest.mark.slow
def test_an_unusable_standard_output_is_no_traceback(tmp_path: Path) -> None:
    """Closed, full or gone, either stream: the command ends quietly or says so."""
    command = f"{sys.executable} -m planner {shlex.join(('offers', *MARKET))}"
    env = {**os.environ, "HOME": str(tmp_path)}
    redirects = {">&-": 0, ">/dev/full": 2, "| true": 0, "2>&-": 0, "2>/dev/full": 0}
    for redirect, code in redirects.items():
        line = f"{command} {redirect}"
        done = subprocess.run(
            ["/bin/bash", "-o", "pipefail", "-c", line],
            capture_output=True,
            text=True,
            env=env,
            cwd=tmp_path,
            check=False,
        )
        assert (redirect, done.returncode) == (redirect, code), done.stderr
        assert "Traceback" not in done.stderr
