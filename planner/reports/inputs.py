"""Inputs: which files are plans, and which are reports that were saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.formats import JsonError, parse, read_bytes
from planner.plans.plan import MAX_BYTES, Plan
from planner.reports.report import Report

if TYPE_CHECKING:
    from collections.abc import Sequence


def read_inputs(files: Sequence[str]) -> tuple[list[tuple[str, Plan]], list[Report]]:
    """Return the plans, each with its file, and the saved reports among files.

    Raises
    ------
    InputError
        When a file cannot be read, or is a report that was changed.
    PlanError
        When it is neither, or a plan that was changed.
    """
    plans: list[tuple[str, Plan]] = []
    saved: list[Report] = []
    for file in files:
        try:
            document = parse(read_bytes(file, what="plan or report", limit=MAX_BYTES))
        except JsonError:
            document = None
        stated = document.get("format") if isinstance(document, dict) else None
        if isinstance(stated, str) and stated.startswith("planner.report/"):
            saved.append(Report.load(file))
        else:
            plans.append((file, Plan.load(file)))
    return plans, saved
