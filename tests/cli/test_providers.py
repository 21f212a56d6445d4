"""``planner providers``: facts with their sources, in every format."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import planner
from planner.schema import frame_document

if TYPE_CHECKING:
    from tests.cli.conftest import Run


def test_every_fact_is_shown_with_its_source(run: Run) -> None:
    """What a person reads has each value, each source and the day it was read."""
    shown = run("providers")
    assert (shown.code, shown.err) == (0, "")
    unwrapped = "".join(shown.out.split())
    for row in frame_document(planner.providers()):
        assert all(word in shown.out for word in (row["provider"], row["value"], row["read_on"]))
        assert row["source"] in unwrapped
    assert max(map(len, shown.out.splitlines())) <= 80


def test_one_provider_as_data(run: Run) -> None:
    """JSON and CSV have the same facts as the function."""
    facts = frame_document(planner.providers("runpod"))
    assert json.loads(run("providers", "runpod", "-o", "json").out) == facts
    rows = [*csv.DictReader(io.StringIO(run("providers", "runpod", "-o", "csv").out))]
    assert [row["source"] for row in rows] == [fact["source"] for fact in facts]
    assert [row["is_old"] for row in rows] == [str(fact["is_old"]).lower() for fact in facts]


def test_an_unknown_provider_is_refused(run: Run) -> None:
    """Wrong input, with the nearest name."""
    ran = run("providers", "runpd")
    assert (ran.code, ran.out) == (2, "")
    assert "did you mean runpod?" in ran.err
