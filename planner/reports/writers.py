"""Writers: a report as Markdown, CSV and HTML; all of them show the same sections and sums."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.errors import InputError
from planner.present.charts.base import drawable
from planner.present.data import to_csv as csv_of
from planner.present.html import to_html as html_of
from planner.present.markdown import body_markdown, markdown_text, markup_text, section_markdown
from planner.present.table import Section, TableColumn
from planner.reports.page import page
from planner.reports.periods import Rate
from planner.reports.pictures import pictures
from planner.reports.sections import MOST, assumptions_section
from planner.schema import frame_section
from planner.text import nearest, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from planner.reports.insights import Insights
    from planner.reports.report import Report


_RATE = (
    *("disks", "unpriced", "size_gb"),
    *("usd_hr", "usd_day", "usd_month", "usd_calendar_month"),
)
_OPEN = frozenset({"totals", "budgets", "wallet"})
"""Sections that Markdown does not fold away."""
_MOST_MARKDOWN = 20


def to_markdown(report: Report, insights: Insights | None) -> str:
    """Return a report as Markdown: figures, warnings, then tables, the longer ones folded."""
    more = () if insights is None else insights.sections(_MOST_MARKDOWN)
    parts = [f"### {markdown_text(report.title)}\n"]
    parts.append("".join(f"- {markdown_text(line)}\n" for line in report.lead))
    if notices := report.notices:
        listed = "".join(f"> - {markdown_text(one)}\n" for one in notices)
        parts.append(f"> **To look at**\n>\n{listed}")
    assumed = assumptions_section(report.assumptions)
    for one in (*report.sections(_MOST_MARKDOWN), *more, assumed):
        if one.name in _OPEN:
            parts.append(section_markdown(one))
        else:
            summary = f"<summary>{markup_text(one.title)}</summary>"
            parts.append(f"<details>{summary}\n\n{body_markdown(one)}\n</details>\n")
    return "\n".join(parts)


def to_csv(report: Report, section: str | None) -> str:
    """Return a report as CSV: see `Report.to_csv`."""
    if section is None:
        columns = tuple(TableColumn(name, name) for name in ("section", "name", *_RATE))
        return csv_of(Section("rates", columns=columns, rows=tuple(_rates(report))))
    frames = {
        "disks": report.to_frame,
        "budgets": report.budgets_frame,
        "groups": report.groups_frame,
        "gpus": report.gpus_frame,
        "comparisons": report.comparisons_frame,
    }
    if section not in frames:
        meant = nearest(section, frames)
        hint = f"did you mean {meant}?" if meant else f"one of {', '.join(frames)}"
        raise InputError(f"a report has no section {visible(section)!r}", hint=hint)
    return csv_of(frame_section(frames[section]()))


def _rates(report: Report) -> Iterator[tuple[Any, ...]]:
    """Yield every sum and every disk as one row of the same shape; each section adds up."""
    document = report.to_document()
    totals = document["totals"]
    looked = ("now", "idle", "outside_plans") if report.knows_now else ()
    for name in ("new", "after", *looked):
        if totals[name] is not None:
            yield ("totals", name, *_rate(totals[name]))
    for name in ("gpus", "together"):
        if report.gpus:
            yield ("totals", name, *_rate(totals[name]))
    for by, found in document["by"].items():
        for one in found:
            yield (by, one["value"], *_rate(one))
    month = report.month
    for line in report.lines:
        yield (
            "disk",
            report.title_of(line),
            *_rate(Rate.of([line]).to_document(month)),
        )


def _rate(values: dict[str, Any]) -> Iterator[Any]:
    for name in _RATE:
        value = values.get(name)
        yield Decimal(value) if name.startswith("usd") and value is not None else value


def to_html(report: Report, insights: Insights | None, *, charts: bool) -> str:
    """Return a report as one self-contained page, with charts where they can be drawn."""
    drawn = pictures(report, insights) if charts and drawable() else {}
    more = () if insights is None else insights.sections(MOST)
    return page(
        report.title,
        report.lead,
        (*report.sections(), *more, assumptions_section(report.assumptions)),
        drawn,
        report.notices,
    )


def to_fragment(report: Report) -> str:
    """Return a report as a piece of HTML, for notebooks."""
    figures = Section("figures", report.title, notes=(*report.lead, *report.notices))
    return html_of([figures, *report.sections()])
