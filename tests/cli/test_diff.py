"""`planner diff` as a user runs it: two plans, two reports, gated."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run

DEMAND = "version: 1\nproject: lab\nvolumes:\n- {{name: corpus, size: {size}, owner: research}}\n"


@pytest.fixture
def plans(run: Run, tmp_path: Path) -> tuple[str, str]:
    """Save the plans of 4 TB and of 5 TB: $204.40 and $255.50 a month."""
    for name, size in (("old", "4 TB"), ("new", "5 TB")):
        (tmp_path / f"{name}.yaml").write_text(DEMAND.format(size=size))
        words = ("plan", f"{name}.yaml", "--offers", "shipped:disk-offers", "--out")
        assert run(*words, f"{name}.json").code == 0
    return "old.json", "new.json"


@pytest.mark.slow
def test_two_plans(run: Run, plans: tuple[str, str]) -> None:
    """One line says what changed and what it costs, then the table; every format has it."""
    shown = run("diff", *plans)
    assert (shown.code, shown.err) == (0, "")
    first = shown.out.splitlines()[0]
    assert first == "Diff: 1 changed. +$51.10/month ($204.40 → $255.50, +25.0 %)."
    assert re.search(r"~ +corpus +resized: 4,000 GB → 5,000 GB +204.40 +255.50 +\+51.10", shown.out)
    assert "4,000 GB → 5,000 GB" in run("diff", *plans, "-o", "md").out
    (row,) = csv.DictReader(io.StringIO(run("diff", *plans, "-o", "csv").out))
    assert (row["change"], row["old_size_gb"], row["new_size_gb"]) == ("resized", "4000", "5000")
    document = run("diff", *plans, "-o", "json").json()
    assert document["changes"][0]["difference_usd_month"] == "51.1"
    assert document["totals"]["together"]["percent"] == "25"


@pytest.mark.slow
def test_the_gate(run: Run, plans: tuple[str, str]) -> None:
    """Exit 10 above the percentage, the comparison printed all the same; 0 at it and for less."""
    failed = run("diff", *plans, "--fail-on-increase", "10%")
    assert failed.code == 10
    assert "corpus" in failed.out
    assert "The cost rises by more than 10 %: +$51.10/month" in failed.err
    document = run("diff", *plans, "--fail-on-increase", "10", "-o", "json")
    assert (document.code, document.json()["exit_code"]) == (10, 10)
    assert document.json()["increase"]["allowed_percent"] == "10"
    assert run("diff", *plans, "--fail-on-increase", "25%").code == 0
    assert run("diff", *reversed(plans), "--fail-on-increase", "0").code == 0
    assert run("diff", *plans, "--fail-on-increase", "much").code == 2


@pytest.mark.slow
def test_two_reports(run: Run, plans: tuple[str, str], tmp_path: Path) -> None:
    """What `report -o json` prints and what --out saves are compared alike; a mix is refused."""
    old, new = plans
    (tmp_path / "old-report.json").write_text(run("report", old, "-o", "json").out)
    assert run("report", new, "--out", "new-report.json").code == 0
    files = ("old-report.json", "new-report.json")
    shown = run("diff", *files)
    assert shown.out.startswith("Diff: 1 changed. +$51.10/month ($204.40 → $255.50, +25.0 %).")
    mixed = run("diff", plans[0], files[1])
    assert mixed.code == 2
    assert "The old file is a plan, the new file is a report." in mixed.err


@pytest.mark.slow
def test_a_damaged_plan_is_five(run: Run, plans: tuple[str, str], tmp_path: Path) -> None:
    """A plan in which a byte changed is not compared."""
    path = tmp_path / plans[1]
    path.write_text(path.read_text().replace("5000", "5001", 1))
    assert run("diff", *plans).code == 5
    assert run("diff", plans[0], "none.json").code == 2
