"""The report: a document of what is there and to be bought, what it costs, and what it may cost.

What is stored is what was read; every sum is made of it again, and never read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pydantic import TypeAdapter, ValidationError

from planner.formats import digest_of, write_atomic
from planner.reports.assumptions import assumptions
from planner.reports.budgets import BUDGETS
from planner.reports.document import changed, read_stored, to_document
from planner.reports.groups import GROUPS
from planner.reports.lead import lead
from planner.reports.lines import LEDGER, RENTALS, row_of
from planner.reports.parts import COMPARISONS
from planner.reports.sections import MOST, sections
from planner.reports.sums import Sums
from planner.reports.writers import to_csv, to_fragment, to_html, to_markdown
from planner.schema import build
from planner.units import HOURS_PER_MONTH, money

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from planner.present.table import Section
    from planner.reports.insights import Insights


@dataclass(frozen=True, repr=False)
class Report(Sums):
    """A budget report, saved, loaded, shown; see `make_report`."""

    def to_frame(self) -> pd.DataFrame:
        """Return the lines as a frame (columns ``LEDGER``)."""
        return build([row_of(line) for line in self.lines], LEDGER)

    def groups_frame(self, by: str | None = None) -> pd.DataFrame:
        """Return the groups as a frame (columns ``GROUPS``); None takes every way of grouping."""
        chosen = self.by if by is None else (by,)
        rows = [one.row(self.month) for way in chosen for one in self.groups(way)]
        return build(rows, GROUPS)

    def gpus_frame(self) -> pd.DataFrame:
        """Return the GPUs as a frame (columns ``RENTALS``)."""
        rows = [{**vars(g), "site": g.site, "usd_month": g.usd_month} for g in self.gpus]
        return build(rows, RENTALS)

    def comparisons_frame(self) -> pd.DataFrame:
        """Return the comparisons as a frame (columns ``COMPARISONS``)."""
        rows = [{**vars(c), "saves_usd_month": c.saves_usd_month} for c in self.comparisons]
        return build(rows, COMPARISONS)

    def budgets_frame(self) -> pd.DataFrame:
        """Return the budgets as a frame (columns ``BUDGETS``)."""
        return build([one.row(self.warn_above) for one in self.budgets], BUDGETS)

    def to_document(self) -> dict[str, Any]:
        """Return the report as JSON values: what was read, and every sum of it."""
        return to_document(self)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """Return what the figures rest on, in sentences."""
        return assumptions(self)

    @property
    def lead(self) -> tuple[str, ...]:
        """Return the key figures in sentences."""
        return lead(self)

    def sections(self, most: int | None = MOST) -> tuple[Section, ...]:
        """Return the report as tables of texts, in the order in which people read.

        Parameters
        ----------
        most : int | None
            Rows that a table shows before it sums the rest in one; None shows all.
        """
        return sections(self, most)

    def to_json(self) -> str:
        """Return the document as text; `load` reads it."""
        return json.dumps(self.to_document(), indent=2) + "\n"

    def to_markdown(self, insights: Insights | None = None) -> str:
        """Return the report as Markdown, fit for a pull-request comment."""
        return to_markdown(self, insights)

    def to_csv(self, section: str | None = None) -> str:
        """Return the report as CSV.

        Parameters
        ----------
        section : str | None
            One of its sections with columns of its own; None takes every sum and every disk as
            rows of one shape: ``section``, ``name``, ``disks``, ``unpriced``, ``size_gb``,
            ``usd_hr``, ``usd_day``, ``usd_month``, ``usd_calendar_month``.

        Raises
        ------
        InputError
            When it has no such section.
        """
        return to_csv(self, section)

    def to_html(self, insights: Insights | None = None, *, charts: bool = True) -> str:
        """Return one self-contained page: see `planner.reports.page`.

        Parameters
        ----------
        insights : Insights | None
            Why the plan costs what it does, `Insights.of(plan)`, to stand there too.
        charts : bool
            Draw charts, where what draws them is installed.
        """
        return to_html(self, insights, charts=charts)

    def save(self, path: str | Path) -> None:
        """Write the document, whole or not at all.

        Raises
        ------
        InputError
            When the place cannot be written.
        """
        write_atomic(path, self.to_json().encode("ascii"))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a report that was saved, and make every sum of it again.

        Raises
        ------
        InputError
            When the file cannot be read, is no report, or was changed after it was made.
        """
        document, stored = read_stored(path)
        try:
            report: Self = TypeAdapter(cls).validate_python(stored)
            unchanged = digest_of(report.to_document()) == digest_of(document)
        except (ValidationError, KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise changed(path) from error
        if not unchanged:
            raise changed(path)
        return report

    def __repr__(self) -> str:
        what = ", ".join(self.projects) or "the account"
        return (
            f"<Report of {what}: {len(self.lines)} disks, "
            f"{money(self.after.per(HOURS_PER_MONTH))} USD a month>"
        )

    def _repr_html_(self) -> str:
        return to_fragment(self)
