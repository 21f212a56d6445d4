"""Pictures: which chart stands beside which section of a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.errors import InputError
from planner.present.charts.base import save_chart
from planner.present.charts.budget import budget_chart
from planner.present.charts.cost import cost_chart
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from planner.reports.insights import Insights
    from planner.reports.report import Report


def pictures(report: Report, insights: Insights | None = None) -> dict[str, Any]:
    """Return the charts of a report by the name of the section that each stands beside.

    Parameters
    ----------
    report : Report
        What to draw.
    insights : Insights | None
        Why its plan costs what it does, to be drawn too.

    Raises
    ------
    InputError
        When the library that draws them is not installed.
    """
    found: dict[str, Any] = {}
    if report.limits:
        found["budgets"] = budget_chart(report.budgets_frame())
    if report.lines:
        found["by-owner"] = cost_chart(report.to_frame())
    return found if insights is None else found | insights.pictures()


def save_pictures(
    charts: Mapping[str, Any], folder: str | Path, formats: Sequence[str]
) -> tuple[Path, ...]:
    """Write charts as files, each named for its section, and return their paths.

    Parameters
    ----------
    charts : mapping
        See `pictures`.
    folder : str | Path
        Made where it is not there.
    formats : sequence of str
        ``svg``, ``png`` and ``pdf``.

    Raises
    ------
    InputError
        When the folder cannot be written, a format is none of these, or the library that draws
        is not installed.
    """
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"{visible(str(folder))}: cannot be made: {error.strerror}"
        raise InputError(message, hint="name another directory") from error
    paths = []
    for name, chart in charts.items():
        for suffix in formats:
            path = place / f"{name}.{suffix}"
            save_chart(chart, path)
            paths.append(path)
    return tuple(paths)
