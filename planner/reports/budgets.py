"""Budgets: limits, what is spent of each, and who spends most of one that is exceeded."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from planner.errors import BudgetGate, InputError
from planner.plans.file import Amount, Size
from planner.present.table import counted
from planner.reports.lines import RunRate
from planner.schema import AMOUNT, TEXT, WHOLE, Column, json_values
from planner.text import suggestion, visible
from planner.units import (
    HOURS_PER_MONTH,
    as_decimal,
    difference,
    money,
    part,
    percent_of,
    plain,
    total,
    usd_month,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from planner.reports.lines import Line


BUDGETS = (
    Column("project", TEXT, "whose plan it is about; null: everything in the report"),
    Column("owner", TEXT, "whose disks; null: everybody's"),
    Column("limit_usd_month", AMOUNT, "most that may be spent in a month"),
    Column("hours_per_month", WHOLE, "hours of that month"),
    Column("now_usd_month", AMOUNT, "cost of existing disks; null: no account was read"),
    Column("projected_usd_month", AMOUNT, "with what is to be bought"),
    Column("left_usd_month", AMOUNT, "what is left of it, negative where it is exceeded"),
    Column("percent", AMOUNT, "spent of the limit, rounded at 4 places; null: the limit is zero"),
    Column("unpriced", WHOLE, "disks without a price, which are not in the amounts"),
    Column("state", TEXT, "within, warn, over; unknown: within, but for unpriced disks or doubts"),
)
"""Columns of the budgets, in the order of the plans, each whole before its owners."""

State = Literal["within", "warn", "over", "unknown"]
_HUNDRED = Decimal(100)
_LARGEST = 3


@dataclass(frozen=True)
class Limit:
    """A budget as it was set.

    Attributes
    ----------
    project : str | None
        The plan whose disks count; None counts every disk of the report.
    owner : str | None
        Whose disks count; None counts everybody's.
    usd_month : Decimal
        Most that they may cost in a month.
    hours_per_month : int
        Hours of that month.
    """

    project: str | None
    owner: str | None
    usd_month: Amount
    hours_per_month: Size

    def counts(self, line: Line) -> bool:
        """Return whether a line is spent from it."""
        if self.owner is not None and line.owner != self.owner:
            return False
        return self.project is None or (line.is_planned and line.project == self.project)

    @property
    def title(self) -> str:
        """Return what a person calls it."""
        owner = "" if self.owner is None else f" of {visible(self.owner)}"
        return f"budget{owner}" + (", everything" if self.project is None else "")


def limit_of(owner: str | None, usd: object, owners: Collection[str]) -> Limit:
    """Return a budget over everything in a report, in a month of 730 hours.

    Parameters
    ----------
    owner : str | None
        Whose disks; None counts everybody's.
    usd : Decimal | int | float
        Most that they may cost in a month.

    Raises
    ------
    InputError
        When the amount is invalid, or no disk has that owner.
    """
    amount = _checked(usd, "budget", "an amount of USD")
    if owner is not None and owner not in owners:
        known = f"owners: {', '.join(sorted(map(visible, owners)))}"
        hint = suggestion(owner, owners, known if owners else "no disk has an owner")
        raise InputError(f"No disk in the report has the owner {visible(owner)!r}", hint=hint)
    return Limit(None, owner, amount, HOURS_PER_MONTH)


def checked_percent(percent: object) -> Decimal:
    """Return a threshold in per cent.

    Raises
    ------
    InputError
        When it is no number, or less than zero.
    """
    return _checked(percent, "threshold", "per cent of the budget")


def _checked(value: object, noun: str, what: str) -> Decimal:
    """Return a number of zero or more."""
    number = None
    if isinstance(value, Decimal | int | float) and not isinstance(value, bool):
        number = as_decimal(value)
    if number is None or not number.is_finite() or number < 0:
        shown = visible(repr(value))[:60] if number is None else str(number)
        raise InputError(f"a {noun} is {shown}", hint=f"give {what}, zero or more")
    return number


@dataclass(frozen=True)
class Budget:
    """A limit and the lines that are spent from it."""

    limit: Limit
    lines: tuple[Line, ...]
    knows_now: bool
    in_doubt: bool = False
    several: bool = False

    @property
    def title(self) -> str:
        """Return what a person calls it, with the project where there are several."""
        project = self.limit.project
        if project is None or not self.several:
            return self.limit.title
        return f"{self.limit.title}, {visible(project)}"

    @property
    def projected_usd_month(self) -> Decimal:
        """Return what the lines cost in its month, those without a price aside."""
        return self._month(self.lines)

    @property
    def now_usd_month(self) -> Decimal | None:
        """Return what those cost that are there; None where the account was not read."""
        return self._month(one for one in self.lines if one.is_live) if self.knows_now else None

    def _month(self, lines: Any) -> Decimal:  # noqa: ANN401 -- an iterable of lines
        return RunRate.of(lines).per(self.limit.hours_per_month)

    @property
    def unpriced(self) -> int:
        """Return how many of the lines have no price."""
        return RunRate.of(self.lines).unpriced

    @property
    def percent(self) -> Decimal | None:
        """Return the part of the limit that is spent; None of a limit of zero."""
        return percent_of(self.projected_usd_month, self.limit.usd_month)

    def is_above(self, percent: Decimal) -> bool:
        """Return whether more than a percentage of the limit is spent, compared exactly."""
        return self.projected_usd_month > part(self.limit.usd_month, percent)

    def state(self, warn_above: Decimal | None) -> State:
        """Return how it stands."""
        if self.is_above(_HUNDRED):
            return "over"
        if warn_above is not None and self.is_above(warn_above):
            return "warn"
        return "unknown" if self.unpriced or self.in_doubt else "within"

    def alert(self, warn_above: Decimal | None, *, brief: bool = False) -> str:
        """Return what is to be said of it; nothing where it is simply kept.

        Whose most of it is stays unsaid where it is to be brief.
        """
        state = self.state(warn_above)
        if state == "over":
            return _sentence(self, _HUNDRED, brief=brief)
        if state == "warn" and warn_above is not None:
            return _sentence(self, warn_above, brief=brief)
        if state == "unknown" and self.unpriced:
            unpriced = counted(self.unpriced, "disk")
            return f"{self.title}: within, not counting {unpriced} without a price"
        return ""

    def row(self, warn_above: Decimal | None) -> dict[str, Any]:
        """Return it as a row of ``BUDGETS``."""
        limit = self.limit
        return {
            "project": limit.project,
            "owner": limit.owner,
            "limit_usd_month": limit.usd_month,
            "hours_per_month": limit.hours_per_month,
            "now_usd_month": self.now_usd_month,
            "projected_usd_month": self.projected_usd_month,
            "left_usd_month": difference(limit.usd_month, self.projected_usd_month),
            "percent": self.percent,
            "unpriced": self.unpriced,
            "state": self.state(warn_above),
        }

    def largest(self) -> list[tuple[str, Decimal]]:
        """Return whose most of it is: by owner of a whole budget, else by volume; dearest first."""
        sums: dict[str, Decimal] = {}
        for line in self.lines:
            name = line.title
            if self.limit.owner is None:
                name = "no owner" if line.owner is None else visible(line.owner)
            month = usd_month(line.usd_hr or Decimal(0), self.limit.hours_per_month)
            sums[name] = total([sums.get(name, Decimal(0)), month])
        return sorted(sums.items(), key=lambda one: (-one[1], one[0]))


def check_budgets(
    budgets: Sequence[Budget], fail_above: Decimal, doubts: Sequence[str] = ()
) -> None:
    """Let a report pass when no budget is spent beyond a percentage of its limit.

    Parameters
    ----------
    doubts : sequence of str
        Why a budget cannot be confirmed, whatever the sums are.

    Raises
    ------
    InputError
        When there is no budget: a gate that cannot close is none.
    BudgetGate
        When one is exceeded, or cannot be shown to be kept: a disk of it has no price, or there
        are doubts.
    """
    if not budgets:
        raise InputError(
            "There is no budget to check.",
            hint="Set policy.budget_usd_month in the demand, or pass --budget.",
        )
    over = [one for one in budgets if one.is_above(fail_above) or one.unpriced]
    if not over and not doubts:
        return
    sentences = [_sentence(one, fail_above) for one in over]
    sentences += [f"The budgets cannot be confirmed: {doubt}" for doubt in doubts]
    raise BudgetGate(
        "\n".join(sentences),
        over=[_data(one, fail_above) for one in over],
        hint="Spend less, or raise the budget in the demand or in --budget."
        if over
        else "Find out what became of them, then run the report again.",
    )


def _above_usd(one: Budget, fail_above: Decimal) -> Decimal:
    return difference(one.projected_usd_month, part(one.limit.usd_month, fail_above))


def _sentence(one: Budget, fail_above: Decimal, *, brief: bool = False) -> str:
    spent, limit = money(one.projected_usd_month), money(one.limit.usd_month)
    if not one.is_above(fail_above):
        unpriced = f"{counted(one.unpriced, 'disk')} without a price"
        return f"{one.title}: ${spent} of ${limit}/month and {unpriced}: it cannot be confirmed"
    share = "" if one.percent is None else f" ({money(one.percent, 1)} %)"
    above = f"${money(_above_usd(one, fail_above))} above {plain(fail_above)} %"
    most = ", ".join(f"{name} ${money(usd)}" for name, usd in one.largest()[:_LARGEST])
    more = f" and {counted(one.unpriced, 'disk')} without a price" if one.unpriced else ""
    most = "" if brief else f"; {most}"
    return f"{one.title}: ${spent} of ${limit}/month{share}{more}, {above}{most}"


def _data(one: Budget, fail_above: Decimal) -> dict[str, Any]:
    return json_values(
        {
            "project": one.limit.project,
            "owner": one.limit.owner,
            "limit_usd_month": one.limit.usd_month,
            "projected_usd_month": one.projected_usd_month,
            "above_usd_month": max(_above_usd(one, fail_above), Decimal(0)),
            "percent": one.percent,
            "unpriced": one.unpriced,
            "largest": dict(one.largest()),
        }
    )
