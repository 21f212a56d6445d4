"""The report: a document of what exists and is to be bought, what it costs, and its budgets.

What is stored is what was read; every sum is computed from it again, and never read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import TypeAdapter, ValidationError

from planner.errors import InputError
from planner.formats import JsonError, Stream, digest_of, parse, read_bytes, whole, write_atomic
from planner.present.charts.base import drawable
from planner.present.charts.budget import budget_chart
from planner.present.charts.cost import cost_chart
from planner.present.charts.months import PLANNED_MONTHS, planned_chart
from planner.present.table import Section, TableColumn
from planner.present.writers import json_blocks, to_csv, to_html, to_markdown
from planner.reports.aggregates import COMPARISONS, GROUPS, Aggregates
from planner.reports.budgets import BUDGETS
from planner.reports.figures import FirstScreen, assumptions, figures, further, summary
from planner.reports.focus import forecast_rows
from planner.reports.lines import ACCRUED, HOURS_PER_DAY, LEDGER, RATE, RENTALS, RunRate, summed
from planner.reports.page import page
from planner.reports.sections import MOST, sections
from planner.schema import build, frame_section, handed_out, json_rows, json_value, json_values
from planner.text import suggestion, visible
from planner.units import money, usd_month

if TYPE_CHECKING:
    import pandas as pd

    from planner.reports.insights import Insights


FORMAT = "planner.report/1"
_MAX_BYTES = 256 * 2**20

_STORED = {
    "created_at": "created_at",
    "sources": "sources",
    "lines": "disks",
    "gpus": "gpus",
    "limits": "limits",
    "baselines": "baselines",
    "wallets": "wallets",
    "warnings": "warnings",
    "doubts": "doubts",
    "warn_above": "warn_above",
    "idle_after_hr": "idle_after_hr",
    "gone": "gone",
    "planned_months": "planned_months",
}
"""What a saved report is made of again, and where its file has it."""
_ADDED = ("error", "hint", "exit_code", "over", "why")
"""What the command line puts beside a report: a gate that fails, and answers to ``--why``."""
_AGAIN = "make it again with `planner report … -o json`; it is not edited by hand"
_OPEN = frozenset({"by-owner", "changes", "by-site", "months"})
"""Sections that a page does not fold."""
_LEAD = frozenset({"low-wallet", "summary", "notices"})
"""Sections that a page has in its header."""
_MOST_MARKDOWN = 20
_TOP_LINES = 8
"""Sentences that Markdown does not fold."""


@dataclass(frozen=True, repr=False)
class Report(Aggregates):
    """A budget report, saved, loaded, shown; see `planner.report`."""

    def to_frame(self, *, exact: bool = False) -> pd.DataFrame:
        """Return the lines as a frame (columns ``LEDGER`` and ``usd_month``)."""
        return handed_out(build(self.lines, LEDGER), exact=exact)

    def groups_frame(self, by: str | None = None, *, exact: bool = False) -> pd.DataFrame:
        """Return the groups as a frame (columns ``GROUPS``); None takes every way of grouping."""
        chosen = self.by if by is None else (by,)
        rows = [one.row() for way in chosen for one in self.groups(way)]
        return handed_out(build(rows, GROUPS), exact=exact)

    def gpus_frame(self, *, exact: bool = False) -> pd.DataFrame:
        """Return the GPUs as a frame (columns ``RENTALS``)."""
        return handed_out(build(self.gpus, RENTALS), exact=exact)

    def comparisons_frame(self, *, exact: bool = False) -> pd.DataFrame:
        """Return the comparisons as a frame (columns ``COMPARISONS``)."""
        return handed_out(build(self.comparisons, COMPARISONS), exact=exact)

    def budgets_frame(self, *, exact: bool = False) -> pd.DataFrame:
        """Return the budgets as a frame (columns ``BUDGETS``)."""
        rows = [one.row(self.warn_above) for one in self.budgets]
        return handed_out(build(rows, BUDGETS), exact=exact)

    def months_frame(self, *, exact: bool = False) -> pd.DataFrame:
        """Return the months of plans that grow as a frame (columns ``PLANNED_MONTHS``)."""
        return handed_out(build(self.planned_months, PLANNED_MONTHS), exact=exact)

    def to_document(self) -> dict[str, Any]:
        """Return the report as JSON values: what was read, and every sum of it."""
        document: dict[str, Any] = whole(self.streamed())
        return document

    def streamed(self) -> dict[str, Any]:
        """Return `to_document` with streams for what there is of each disk."""
        month = self.month
        document = {
            "created_at": self.created_at,
            "as_of": self.as_of,
            "calendar_month": {"name": month.name, "hours": month.hours},
            "projects": list(self.projects),
            "totals": self._totals(),
            "budgets": [json_values(one.row(self.warn_above)) for one in self.budgets],
            "by": {by: Stream(partial(self._grouped, by)) for by in self.by},
            "comparisons": json_rows(self.comparisons, [one.name for one in COMPARISONS]),
            "runways": list(self.runways()),
            "disks": Stream(lambda: (json_values(line.row()) for line in self.lines)),
            "gpus": [
                json_values({**vars(one), "site": one.site, "usd_month": one.usd_month})
                for one in self.gpus
            ],
            "baselines": [json_values(vars(one)) for one in self.baselines],
            "wallets": [json_values(asdict(one)) for one in self.wallets],
            "limits": [json_values(vars(one)) for one in self.limits],
            "sources": [json_values(vars(one)) for one in self.sources],
            "warn_above": json_value(self.warn_above),
            "idle_after_hr": json_value(self.idle_after_hr),
            "gone": [json_values(line.row()) for line in self.gone],
            "planned_months": [json_values(vars(each)) for each in self.planned_months],
            "warnings": list(self.warnings),
            "doubts": list(self.doubts),
            "alerts": list(self.alerts),
            "assumptions": list(self.assumptions),
        }
        if not self.planned_months:
            del document["planned_months"]
        return {"format": FORMAT, "digest": digest_of(document), **document}

    def _grouped(self, by: str) -> Iterator[dict[str, Any]]:
        return (one.to_document() for one in self.groups(by))

    def _totals(self) -> dict[str, Any]:
        live = [one for one in self.lines if one.is_live]
        undated = sum(one.leads and one.created_at is None for one in live)
        sums = {name: summed(live, name) for name in ACCRUED}
        return json_values({**self.rates(), **sums, "undated": undated})

    @property
    def assumptions(self) -> tuple[str, ...]:
        """Return the assumptions behind the figures, in sentences."""
        return tuple(assumptions(self))

    @property
    def summary(self) -> tuple[str, ...]:
        """Return the key figures in sentences."""
        return tuple(summary(self))

    def sections(self, most: int | None = MOST) -> tuple[Section, ...]:
        """Return the report as tables of texts, in the order in which people read.

        Parameters
        ----------
        most : int | None
            Rows that a table shows before it sums the rest in one; None shows all.
        """
        return tuple(sections(self, most))

    def to_json(self) -> str:
        """Return the document as text; `load` reads it."""
        return "".join(self._pieces())

    def _pieces(self) -> Iterator[str]:
        yield from json_blocks(self.streamed())
        yield "\n"

    def page_sections(
        self, insights: Insights | None = None, most: int | None = MOST
    ) -> tuple[Section, ...]:
        """Return the report as a page shows it: key figures, notices, tables, assumptions.

        Parameters
        ----------
        insights : Insights | None
            Why its plan costs what it does, to stand there too.
        most : int | None
            Rows that a table shows before it sums the rest in one; None shows all.
        """
        more = () if insights is None else insights.sections(most)
        assumed = Section("assumptions", "Assumptions", notes=self.assumptions)
        record = Section("history", "Stock and price so far", notes=self.track_record)
        folded = (
            replace(one, is_folded=one.name not in _OPEN)
            for one in (*self.sections(most), *more, *([record] if record.notes else []), assumed)
        )
        key = Section("summary", self.title, notes=self.summary)
        notices = Section("notices", "Warnings", notes=self.first_notices)
        low = Section("low-wallet", notes=self.low_wallets)
        first = (low,) if self.low_wallets else ()
        return (*first, key, *([notices] if self.notices else []), *folded)

    def to_markdown(self, insights: Insights | None = None) -> str:
        """Return the report as Markdown for a pull request: the change first, the rest folded."""
        first = ("low-wallet", "summary", "notices")
        sections = self.page_sections(insights, _MOST_MARKDOWN)
        folded = [replace(one, is_folded=True) for one in sections if one.name not in first]
        changed = [one for one in [*figures(self)][1:2] if one.value[:1] in {"+", "-"}]
        sentences = [one for one in self.summary if one not in {f.sentence for f in changed}]
        notes = [*(one.sentence for one in changed), *sentences]
        notes += [f"Warning: {one}" for one in self.first_notices]
        top = Section("summary", self.title, notes=tuple(notes[:_TOP_LINES]))
        rest = Section("notices", "More warnings", notes=tuple(notes[_TOP_LINES:]), is_folded=True)
        low = Section("low-wallet", notes=self.low_wallets)
        shown = (low if low.notes else None, top, rest if rest.notes else None, *folded)
        return to_markdown(one for one in shown if one is not None)

    def to_csv(self, section: str | None = None) -> str:
        """Return the report as CSV.

        Parameters
        ----------
        section : str | None
            One of its sections with columns of its own. None takes every disk, and the GPUs of
            every workload, as rows of one shape, so that a column can be summed: ``section``,
            ``name``, ``disks``, ``unpriced``, ``size_gb``, ``usd_hr``, ``usd_day``,
            ``usd_month``, ``usd_calendar_month``. ``sums`` takes every sum in the same shape.

        Raises
        ------
        InputError
            When it has no such section.
        """
        return to_csv(self.rows(section))

    def to_focus_forecast(self) -> str:
        """Return the rest of the month at list price, with what is to be bought, as FOCUS rows."""
        now = datetime.fromisoformat(self.as_of)
        return to_csv(forecast_rows(self.lines, self.month, now))

    def rows(self, section: str | None = None) -> Section:
        """Return what `to_csv` writes, as a section."""
        if section in {None, "sums"}:
            names = ("section", "name", *RATE)
            empty = dict.fromkeys(names)
            rates = _costs(self) if section is None else _sums(self)
            columns = (TableColumn(name, name) for name in names)
            return Section.of("rates", "", columns, ({**empty, **rate} for rate in rates))
        frames = {
            "disks": self.to_frame,
            "budgets": self.budgets_frame,
            "groups": self.groups_frame,
            "gpus": self.gpus_frame,
            "comparisons": self.comparisons_frame,
            "months": self.months_frame,
        }
        if section not in frames:
            hint = suggestion(section, frames, f"one of {', '.join(frames)}, sums")
            raise InputError(f"a report has no section {visible(section)!r}", hint=hint)
        return frame_section(frames[section](exact=True))

    def to_html(self, insights: Insights | None = None, *, charts: bool = True) -> str:
        """Return one self-contained page: see `planner.reports.page`.

        Parameters
        ----------
        insights : Insights | None
            Why the plan costs what it does, `Insights.of(plan)`, to stand there too.
        charts : bool
            Draw charts, where what draws them is installed.
        """
        drawn = self.charts(insights) if charts and drawable() else {}
        tables = [
            replace(one, is_folded=one.is_folded and one.name not in drawn)
            for one in self.page_sections(insights)
            if one.name not in _LEAD
        ]
        first = FirstScreen(tuple(figures(self)), tuple(further(self)))
        return page(self.title, self.low_wallets, tables, drawn, self.first_notices, first)

    def charts(self, insights: Insights | None = None) -> dict[str, Any]:
        """Return the charts by the name of the section that each stands beside.

        Parameters
        ----------
        insights : Insights | None
            Why its plan costs what it does, to be drawn too.

        Raises
        ------
        InputError
            When the library that draws them is not installed.
        """
        found: dict[str, Any] = {}
        is_owned = any(limit.owner is not None for limit in self.limits)
        if self.limits:
            found["by-owner" if is_owned else "budgets"] = budget_chart(self._owner_budgets())
        if self.lines:
            found["by-site" if is_owned else "by-owner"] = cost_chart(self.to_frame())
        if self.planned_months:
            found["months"] = planned_chart(self.months_frame())
        return found if insights is None else found | insights.charts()

    def _owner_budgets(self) -> pd.DataFrame:
        """Return the budgets of owners, most used first; where no owner has one, all."""
        budgets = self.budgets_frame().sort_values("percent", ascending=False, kind="stable")
        owned = budgets[budgets["owner"].notna()]
        return owned if len(owned) else budgets

    def save(self, path: str | Path) -> None:
        """Write the document, whole or not at all.

        Raises
        ------
        InputError
            When the place cannot be written.
        """
        write_atomic(path, (piece.encode("ascii") for piece in self._pieces()))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a report that was saved, and make every sum of it again.

        Raises
        ------
        InputError
            When the file cannot be read, is no report, or was changed after it was made.
        """
        document, stored = _read_stored(path)
        try:
            report: Self = TypeAdapter(cls).validate_python(stored)
            unchanged = digest_of(report.streamed()) == digest_of(document)
        except (ValidationError, KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise _changed(path) from error
        if not unchanged:
            raise _changed(path)
        return report

    def __repr__(self) -> str:
        what = ", ".join(self.projects) or "the account"
        return (
            f"<Report of {what}: {len(self.lines)} disks, "
            f"{money(self.after.usd_month)} USD a month>"
        )

    def _repr_html_(self) -> str:
        return to_html(one for one in self.page_sections() if one.name != "assumptions")


def _read_stored(path: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the document of a saved report, and of it what a report is made of again.

    Raises
    ------
    InputError
        When the file cannot be read, or is no report.
    """
    shown = visible(str(path))
    try:
        document = parse(read_bytes(path, what="report", limit=_MAX_BYTES))
    except JsonError as error:
        raise InputError(f"{shown}: is no report: {error}", hint=_AGAIN) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError(f"{shown}: is no report that this version reads", hint=_AGAIN)
    for name in _ADDED:
        document.pop(name, None)
    try:
        known = {"planned_months": [], **document}  # there are none where nothing grows
        return document, {name: known[key] for name, key in _STORED.items()}
    except KeyError as error:
        raise _changed(path) from error


def _changed(path: str | Path) -> InputError:
    """Return the error of a report that is not as it was made."""
    message = f"{visible(str(path))}: was changed after it was made, or made by another version"
    return InputError(message, hint=_AGAIN)


def _sums(report: Report) -> Iterator[dict[str, Any]]:
    """Yield every sum as one row of the same shape; each way of grouping adds up."""
    rates = report.rates()
    names = ["new", "after", *(("now", "idle", "outside_plans") if report.knows_now else ())]
    names += ["gpus", "together"] if report.gpus else []
    yield from ({"section": "totals", "name": name, **(rates[name] or {})} for name in names)
    for by in report.by:
        yield from (
            {"section": by, "name": one.value, **one.rate.row()} for one in report.groups(by)
        )


def _costs(report: Report) -> Iterator[dict[str, Any]]:
    """Yield every disk and the GPUs of every workload once, in the same shape."""
    for line in report.lines:
        title = report.title_of(line)
        yield {"section": "disk", "name": title, **RunRate.of([line]).row()}
    for gpu in report.gpus:
        amounts = {"usd_day": usd_month(gpu.usd_hr, HOURS_PER_DAY), "usd_hr": gpu.usd_hr}
        months = dict.fromkeys(("usd_month", "usd_calendar_month"), gpu.usd_month)
        yield {"section": "gpus", "name": gpu.workload, **amounts, **months}
