"""The report: what is there and what is to be bought, what it costs, and what it may cost.

What is stored is what was read; every sum is made of it again, and never read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from pydantic import TypeAdapter, ValidationError

from planner.exact_json import digest_of
from planner.files import write_atomic
from planner.frames import build
from planner.report.assumptions import assumptions
from planner.report.budgets import BUDGETS, Budget, Limit, check_budgets
from planner.report.document import changed, read_stored, to_document
from planner.report.groups import GROUPS, Group, groups, ways
from planner.report.lead import lead
from planner.report.lines import LEDGER, RENTALS, GpuLine, Line, row_of, titles
from planner.report.parts import COMPARISONS, Comparison, Source
from planner.report.periods import Month, Rate
from planner.report.sections import MOST, sections
from planner.report.wallets import Wallet
from planner.report.writers import to_csv, to_fragment, to_html, to_markdown
from planner.stored import Amount, Utc
from planner.text import visible
from planner.units import HOURS_PER_MONTH, money, total

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from planner.report.insights import Insights
    from planner.report.section import Section


@dataclass(frozen=True)
class Report:
    """A budget report; see `make_report`.

    Attributes
    ----------
    created_at : str
        When it was made, UTC.
    sources : tuple of Source
        What it was made from.
    lines : tuple of Line
        One for each disk; see ``LEDGER``.
    gpus : tuple of GpuLine
        GPUs of the plans' workloads.
    limits : tuple of Limit
        Budgets as they were set.
    comparisons : tuple of Comparison
        Simpler ways, and the account as it is.
    wallets : tuple of Wallet
        One for each account that was read.
    warnings : tuple of str
        What is amiss, or was not read.
    warn_above : Decimal | None
        Per cent of a budget beyond which it is warned about.
    """

    created_at: Utc
    sources: tuple[Source, ...]
    lines: tuple[Line, ...]
    gpus: tuple[GpuLine, ...]
    limits: tuple[Limit, ...]
    comparisons: tuple[Comparison, ...]
    wallets: tuple[Wallet, ...]
    warnings: tuple[str, ...]
    warn_above: Amount | None = None

    @property
    def as_of(self) -> str:
        """Return when what it says was so, UTC: the latest reading of an account, else now."""
        read = [source.as_of for source in self.sources if source.kind == "account"]
        return max(read, default=self.created_at)

    @property
    def month(self) -> Month:
        """Return the calendar month of the report."""
        return Month.of(datetime.fromisoformat(self.as_of))

    @property
    def projects(self) -> tuple[str, ...]:
        """Return the projects of the plans."""
        return tuple(dict.fromkeys(one.project for one in self.sources if one.project is not None))

    @property
    def knows_now(self) -> bool:
        """Return whether anybody looked at what is there."""
        return any(source.kind == "account" for source in self.sources)

    @property
    def now(self) -> Rate | None:
        """Return what is there costs; None where nobody looked."""
        return Rate.of(one for one in self.lines if one.is_live) if self.knows_now else None

    @property
    def new(self) -> Rate:
        """Return what is to be bought costs: the difference between now and after."""
        return Rate.of(one for one in self.lines if not one.is_live)

    @property
    def after(self) -> Rate:
        """Return what everything costs once the plans are carried out; nothing is deleted."""
        return Rate.of(self.lines)

    @property
    def gpu_usd_month(self) -> Decimal:
        """Return what the GPUs of all workloads cost in a month, exactly."""
        return total(gpu.usd_month for gpu in self.gpus)

    @property
    def gpu_usd_hr(self) -> Decimal:
        """Return the same, averaged over the hours of the month."""
        return total(gpu.usd_hr for gpu in self.gpus)

    @cached_property
    def budgets(self) -> tuple[Budget, ...]:
        """Return every budget with what is spent from it."""
        several = len(self.projects) > 1
        return tuple(
            Budget(limit, tuple(filter(limit.counts, self.lines)), self.knows_now, several)
            for limit in self.limits
        )

    @cached_property
    def _titles(self) -> dict[int, str]:
        return titles(self.lines)

    def title_of(self, line: Line) -> str:
        """Return what a person calls a line of this report."""
        return self._titles[id(line)]

    @property
    def by(self) -> tuple[str, ...]:
        """Return how the lines can be grouped."""
        return ways(self.lines)

    def groups(self, by: str) -> tuple[Group, ...]:
        """Return the lines grouped one way, the dearest group first."""
        return groups(self.lines, self.gpus, by, knows_now=self.knows_now)

    def against(
        self, budgets: Mapping[str | None, Decimal], warn_above: Decimal | None = None
    ) -> Report:
        """Return the report with more budgets, over every disk in it.

        Parameters
        ----------
        budgets : mapping
            Owner (None: everybody) → most that the disks may cost in a month of 730 h, in USD.
        warn_above : Decimal | None
            Per cent of a budget beyond which it is warned about; None leaves what there is.
        """
        more = (Limit(None, owner, usd, HOURS_PER_MONTH) for owner, usd in budgets.items())
        warn = self.warn_above if warn_above is None else warn_above
        return replace(self, limits=(*self.limits, *more), warn_above=warn)

    @property
    def alerts(self) -> tuple[str, ...]:
        """Return a sentence for each budget that is not simply kept."""
        return tuple(told for one in self.budgets if (told := one.alert(self.warn_above)))

    def check(self, fail_above: Decimal = Decimal(100)) -> None:
        """Let the report pass when no budget is spent beyond a percentage of its limit.

        Raises
        ------
        InputError
            When there is no budget.
        BudgetGate
            When one is exceeded, or cannot be shown to be kept; ``over`` says by how much.
        """
        check_budgets(self.budgets, fail_above)

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

    def runways(self) -> tuple[dict[str, Any], ...]:
        """Return, for each wallet, how long it lasts now, with the plans, and with their GPUs."""
        only = len(self.wallets) == 1
        return tuple(
            wallet.runway(
                [one for one in self.lines if one.account == wallet.account or only],
                [one for one in self.gpus if one.account == wallet.account or only],
            )
            for wallet in self.wallets
        )

    def to_document(self) -> dict[str, Any]:
        """Return the report as JSON values: what was read, and every sum of it."""
        return to_document(self)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """Return what the figures rest on, in sentences."""
        return assumptions(self)

    @property
    def title(self) -> str:
        """Return what it is about."""
        return "Storage of " + (", ".join(map(visible, self.projects)) or "the account")

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
        """Return one self-contained page: see `planner.report.page`.

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
