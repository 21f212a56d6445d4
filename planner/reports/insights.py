"""Insights: why a plan costs what it does, as sections and charts of its report.

The market it was chosen from, what each requirement costs, and what fewer sites or a smaller share
for one provider would cost. Each amount but the market's is a plan solved again.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.analysis.curve import CURVE, Point, curve
from planner.analysis.explain import costly, free_notes, requirements, with_range
from planner.market.market import Sold
from planner.market.offers import KEY, place_text
from planner.plans.explain import evaluator_of
from planner.present.charts.price import price_chart, requirement_chart
from planner.present.charts.tradeoff import tradeoff_chart
from planner.present.table import Cell, Section, TableColumn, counted, ranged, split
from planner.schema import AMOUNT, WHOLE, Column, build, handed_out, records, with_columns
from planner.units import plain, usd_hr, usd_month

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from planner.analysis.evaluator import Evaluator
    from planner.plans.plan import Plan


_SHARES = ("1", "0.8", "0.7", "0.6", "0.5", "0.4", "0.3")
_MORE_SITES, _MOST_SITES = 2, 8
_TB = 1000
_PLANS, _PROGRAMS = 1, 100
"""What programs for the requirements of a large plan may be worth, in plans, and how many there may
be of a small one: others are ranges."""


@dataclass(frozen=True)
class Insights:
    """Why one plan costs what it does.

    Attributes
    ----------
    requirements : DataFrame
        Columns ``REQUIREMENTS``.
    by_sites, by_share : DataFrame
        Columns ``max_sites`` or ``max_provider_share``, and ``CURVE``, budgets aside: what a cap
        costs is the question, whoever may pay for it.
    """

    plan: Plan
    requirements: pd.DataFrame
    by_sites: pd.DataFrame
    by_share: pd.DataFrame

    @classmethod
    def of(cls, plan: Plan) -> Insights:
        """Ask a plan; a large one takes its time."""
        known = evaluator_of(plan)
        sites = {(p.provider, p.data_center, p.country) for p in plan.placements}
        most = min(_MOST_SITES, max(len(sites), plan.demand.policy.max_sites or 0) + _MORE_SITES)
        by_sites = _against(plan, known, "max_sites", range(1, most + 1))
        by_share = _against(plan, known, "max_provider_share", [*map(Decimal, _SHARES)])
        known.ration(_PLANS, _PROGRAMS)
        asked = handed_out(requirements(known), exact=True)
        return cls(plan, asked, by_sites, by_share)

    @property
    def frames(self) -> dict[str, pd.DataFrame]:
        """Return what it knows by the name of the section that shows it."""
        return {
            "requirements": self.requirements,
            "sites": self.by_sites,
            "share": self.by_share,
        }

    def sections(self, most: int | None) -> tuple[Section, ...]:
        """Return them as tables of texts: see `Report.sections`."""
        return (
            self._market(most),
            self._requirements(most),
            _curve(self.by_sites, "max_sites", "sites", "Cost against the number of sites"),
            _curve(
                self.by_share,
                "max_provider_share",
                "share",
                "Cost against the share of one provider",
            ),
        )

    def charts(self) -> dict[str, Any]:
        """Return their charts by the name of the section that each stands beside."""
        return {
            "market": price_chart(self.plan.market.offers),
            "requirements": requirement_chart(self.requirements),
            "sites": tradeoff_chart(self.by_sites, "max_sites"),
            "share": tradeoff_chart(self.by_share, "max_provider_share"),
        }

    def _market(self, most: int | None) -> Section:
        offers, sold = [dict(one) for one in self.plan.market.sold], Sold(self.plan.market.sold)
        for one in self.plan.placements:
            if one.action != "keep":
                key = tuple(getattr(one, name) for name in KEY)
                for number in sold.numbers(key, one.disk_sizes_gb[0]):
                    offers[number]["chosen"] = "chosen"
        priced = [one for one in offers if one["usd_gb_hr"] is not None]
        priced.sort(key=lambda one: one["usd_gb_hr"])
        shown, rest = split(priced, most)
        rows = (
            {
                "chosen": "",
                **one,
                "offer": f"{place_text(one)} ({one['offer_id']})",
                "usd_tb_month": usd_month(usd_hr(_TB, one["usd_gb_hr"])),
            }
            for one in shown
        )
        left = len(offers) - len(priced)
        notes = [f"{counted(len(rest), 'more expensive offer')} not shown"] if rest else []
        notes += [f"{counted(left, 'offer')} without a valid price"] if left else []
        columns = (
            TableColumn("offer", "offer"),
            TableColumn("usd_tb_month", "$/TB/month", "usd_month"),
            TableColumn("usd_gb_hr", "$/GB/h", "usd_gb_hr"),
            TableColumn("stock", "stock"),
            TableColumn("chosen", "status", "status"),
        )
        return Section.of(
            "market",
            "The market it was chosen from",
            columns,
            rows,
            notes=tuple(notes),
            expendable=("usd_gb_hr",),
        )

    def _requirements(self, most: int | None) -> Section:
        shown, rest = split([*map(with_range, records(costly(self.requirements)))], most)
        columns = (
            TableColumn("about", "of", null="the whole"),
            TableColumn("saves_usd_month", "saves $/month", "usd_month"),
            TableColumn("requirement", "requirement"),
            TableColumn("without", "without it"),
        )
        notes = free_notes(self.requirements)
        notes += [f"{counted(len(rest), 'cheaper requirement')} not shown"] if rest else []
        title = "What each requirement costs"
        return Section.of("requirements", title, columns, shown, notes=tuple(notes))


def _against(
    plan: Plan, known: Evaluator, field: str, values: Sequence[int | Decimal]
) -> pd.DataFrame:
    """Return what values of a limit cost, budgets aside (columns ``CURVE``)."""
    policy = plan.demand.policy
    if policy.months or plan.solver.cost_slack_percent:  # a schedule, or stock for cost
        aside = {f"budgets.{owner}": [None] for owner in policy.budgets}
        frame = plan.what_if({field: values, **aside, "budget_usd_month": None}, exact=True)
        proven = frame["usd_month"].where(frame["status"] == "optimal", None).tolist()
        column = Column("least_usd_month", AMOUNT, "usd_month where that is proven; else null")
        return with_columns(frame, {column: proven}, "extra_usd_month")
    record, hours = plan.solver, policy.hours_per_month
    least = None if plan.gpus else min(usd_month(record.bound_usd_hr, hours), known.usd_month)
    point = Point(known.usd_month, least, known.chosen, known.rented, record.multipliers)
    rows = curve(known.instance, plan.kept, plan.market, point, field, values)
    kind = WHOLE if field == "max_sites" else AMOUNT
    return build(rows, [Column(field, kind, "value of the limit"), *CURVE])


def _curve(frame: pd.DataFrame, axis: str, name: str, title: str) -> Section:
    rows, ranges, last = [], 0, None
    for one in records(frame):
        value, least, most = one[axis], one["least_usd_month"], one["usd_month"]
        limit = f"{plain(value * 100)} %" if isinstance(value, Decimal) else str(value)
        where = one["where"] or one["why"] or ""
        row = {**one, axis: Cell(value, limit), "where": "the same" if where == last else where}
        last = where
        if one["status"] != "optimal" and least is not None:
            ranges += 1
            row["usd_month"] = ranged(least, most, "usd_month")
            if most is not None:
                more = one["extra_usd_month"]
                row["extra_usd_month"] = ranged(more - (most - least), more, "difference")
        rows.append(row)
    columns = (
        TableColumn(axis, "at most", "number"),
        TableColumn("usd_month", "$/month", "usd_month", "no plan"),
        TableColumn("extra_usd_month", "more $", "difference"),
        TableColumn("where", "where, or why not"),
    )
    notes = ["budgets are not applied here"]
    if ranges:
        what = "1 amount is a range" if ranges == 1 else f"{ranges} amounts are ranges"
        notes.append(f"{what}: a plan costs the larger one, and none costs less than the smaller")
    return Section.of(name, title, columns, rows, notes=tuple(notes))
