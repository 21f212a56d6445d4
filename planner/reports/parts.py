"""What a report is made from, and what a plan is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from planner.plans.file import Amount, Size, Utc
from planner.reports.periods import Rate
from planner.schema import EXACT, TEXT, WHOLE, Column
from planner.units import difference, total

if TYPE_CHECKING:
    from planner.reports.sums import Sums


COMPARISONS = (
    Column("project", TEXT, "the plan's"),
    Column("name", TEXT, "what is compared"),
    Column("place", TEXT, "where a baseline ends; null: at no one place"),
    Column("usd_month", EXACT, "its cost in the policy's month, exact; null: impossible"),
    Column("plan_usd_month", EXACT, "what the plan costs beside it, exact Decimal"),
    Column("why_not", TEXT, "what rules it out; else empty"),
    Column("unpriced", WHOLE, "disks of the account without a price, not in its amount"),
    Column("saves_usd_month", EXACT, "how much cheaper the plan is; null: impossible"),
)
"""Columns of what a plan is compared with."""


FILE = "file "
"""What the name of an account begins with that a file shows."""
AS_IT_IS = "the account as it is"
"""What the comparison with what there is now is called."""
AS_IT_IS_NOTE = (
    "the account as it is has disks only; what the plan saves against it is saved once the disks "
    "that no plan keeps are deleted, by hand"
)


def account_name(base_url: str, team_id: str | None) -> str:
    """Return what an account of a marketplace is called."""
    return base_url if team_id is None else f"{base_url} team {team_id}"


@dataclass(frozen=True)
class Source:
    """What a report was made from.

    Attributes
    ----------
    kind : str
        ``plan``, ``account``, or ``remembered``: the account as a plan was made with.
    name : str
        The file or the URL.
    as_of : str
        When it was so, UTC: when the plan was made, or the account read.
    account : str | None
        Base URL and team; None where nobody says.
    project, plan_id, digest : str | None
        Of a plan.
    prices, prices_at : str | None
        Where the offers of a plan came from, and when they were fetched; the latter is None for a
        file that does not say.
    hours_per_month : int | None
        Hours of the month in which a plan counts its budgets.
    """

    kind: Literal["plan", "account", "remembered"]
    name: str
    as_of: Utc
    account: str | None
    project: str | None = None
    plan_id: str | None = None
    digest: str | None = None
    prices: str | None = None
    prices_at: str | None = None
    hours_per_month: Size | None = None


@dataclass(frozen=True)
class Simpler:
    """A simpler way to place the demand of a plan, see `Baseline`.

    Attributes
    ----------
    project : str
        The plan's.
    name : str
        What is kept simple.
    place : str | None
        Where it ends; None where it is no one place, or impossible.
    usd_month : Decimal | None
        Its exact cost in the policy's month; None where it is impossible.
    why_not : str
        What rules it out; else empty.
    """

    project: str
    name: str
    place: str | None
    usd_month: Amount | None
    why_not: str = ""


@dataclass(frozen=True)
class Comparison:
    """What a simpler way, or the account as it is, costs beside a plan.

    Attributes
    ----------
    project, name, place, usd_month, why_not
        As in `Simpler`.
    plan_usd_month : Decimal
        What of the plan is held against it: disks and GPUs, or disks beside the account as it is.
    unpriced : int
        Disks of the account without a price, which are not in its amount.
    """

    project: str
    name: str
    place: str | None
    usd_month: Decimal | None
    plan_usd_month: Decimal
    why_not: str = ""
    unpriced: int = 0

    @property
    def saves_usd_month(self) -> Decimal | None:
        """Return how much cheaper the plan is; less than zero where it is dearer."""
        if self.usd_month is None:
            return None
        return difference(self.usd_month, self.plan_usd_month)


def comparisons(report: Sums) -> tuple[Comparison, ...]:
    """Return each plan of a report beside simpler ways, and beside the account as it is."""
    found: list[Comparison] = []
    for source in report.sources:
        project, hours = source.project, source.hours_per_month
        if project is None or hours is None or project in {one.project for one in found}:
            continue
        mine = [one for one in report.lines if one.is_planned and one.project == project]
        disks = Rate.of(mine).per(hours)
        gpus = total(one.usd_month for one in report.gpus if one.project == project)
        found += (
            Comparison(**vars(one), plan_usd_month=total([disks, gpus]))
            for one in report.baselines
            if one.project == project
        )
        if report.now is not None:
            now = report.now
            found.append(
                Comparison(project, AS_IT_IS, None, now.per(hours), disks, unpriced=now.unpriced)
            )
    return tuple(found)
