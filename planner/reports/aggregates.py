"""Aggregates: what a report adds up to, by budget, by group, and compared with simpler plans.

Everything here is computed from what was read, each time; nothing of it is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, Self, TypeVar

from planner.errors import BudgetGate, InputError
from planner.plans.file import Amount, Utc
from planner.plans.growth import PlannedMonth
from planner.present.table import counted, split
from planner.reports.budgets import Budget, Limit, check_budgets, checked_percent, limit_of
from planner.reports.holdings import Runway, Source, Wallet
from planner.reports.lines import (
    RATE,
    GpuLine,
    Line,
    Month,
    ReplicaLabels,
    RunRate,
    has_projects,
)
from planner.schema import AMOUNT, TEXT, WHOLE, Column, json_value, json_values
from planner.text import suggestion, visible
from planner.units import difference, lasting, total

Item = TypeVar("Item")
COMPARISONS = (
    Column("project", TEXT, "the plan's"),
    Column("name", TEXT, "what is compared"),
    Column("place", TEXT, "where a baseline ends; null: at no one place"),
    Column("usd_month", AMOUNT, "its cost in the policy's month; null: impossible"),
    Column("plan_usd_month", AMOUNT, "what the plan costs beside it"),
    Column("why_not", TEXT, "what rules it out; else empty"),
    Column("unpriced", WHOLE, "disks of the account without a price, not in its amount"),
    Column("saves_usd_month", AMOUNT, "how much cheaper the plan is; null: impossible"),
)
"""Columns of what a plan is compared with."""


AS_IT_IS = "the account as it is"
"""What the comparison with what there is now is called."""
AS_IT_IS_NOTE = (
    "the account as it is has disks only; the plan saves that much once the disks that no plan "
    "keeps are deleted by hand"
)
GROUPS = (
    Column("by", TEXT, "volume, owner, tag:NAME, provider, site or region"),
    Column("value", TEXT, "null: no owner, no volume, no such tag, or unknown"),
    Column("disks", WHOLE, "how many"),
    Column("unpriced", WHOLE, "how many of them have no price, and are not in the amounts"),
    Column("size_gb", WHOLE, "their sizes together"),
    Column(
        "now_usd_hr",
        AMOUNT,
        "of existing disks; null: no account was read",
    ),
    Column("usd_hr", AMOUNT, "with those to be bought"),
    Column("usd_day", AMOUNT, "the same in 24 hours"),
    Column("usd_month", AMOUNT, "the same in 730 hours"),
    Column("usd_calendar_month", AMOUNT, "list cost of their hours in the calendar month"),
    Column("gpu_usd_month", AMOUNT, "GPUs of workloads there, in a month; null: not by place"),
)
"""Columns of the groups, the dearest of each kind first."""

_KEYS = ("volume", "owner", "provider", "site", "region")
_PLACES = ("provider", "site", "region")
TAG = "tag:"


@dataclass(frozen=True)
class CostGroup:
    """Lines that have one value in common.

    Attributes
    ----------
    knows_now : bool
        Whether an account was read.
    gpu_usd_month : Decimal | None
        What GPUs there cost; None where they are not grouped so.
    """

    by: str
    value: str | None
    lines: tuple[Line, ...]
    knows_now: bool
    gpu_usd_month: Decimal | None

    @classmethod
    def sum(cls, groups: Sequence[CostGroup]) -> CostGroup:
        """Return several groups as one."""
        gpus = [one.gpu_usd_month for one in groups if one.gpu_usd_month is not None]
        lines = tuple(line for one in groups for line in one.lines)
        return replace(
            groups[0], value=None, lines=lines, gpu_usd_month=total(gpus) if gpus else None
        )

    @cached_property
    def rate(self) -> RunRate:
        """Return what they cost."""
        return RunRate.of(self.lines)

    @cached_property
    def now(self) -> RunRate | None:
        """Return what those cost that exist; None where no account was read."""
        return RunRate.of(one for one in self.lines if one.is_live) if self.knows_now else None

    def row(self) -> dict[str, Any]:
        """Return it as a row of ``GROUPS``."""
        now = None if self.now is None else self.now.usd_hr
        known = {name: getattr(self, name) for name in ("by", "value", "gpu_usd_month")}
        return {**known, **self.rate.row(), "now_usd_hr": now}

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        now = None if self.now is None else json_values(self.now.row())
        return {
            "value": self.value,
            **json_values(self.rate.row()),
            "now": now and {name: now[name] for name in RATE if name.startswith("usd")},
            "gpu_usd_month": json_value(self.gpu_usd_month),
        }


def group_keys(lines: Sequence[Line]) -> tuple[str, ...]:
    """Return how lines can be grouped: the usual ways, and one for each tag."""
    tags = sorted({name for line in lines for name in line.tags})
    return (*_KEYS[:2], *(f"{TAG}{name}" for name in tags), *_KEYS[2:])


def grouped(
    items: Sequence[Item], by: str, ways: Sequence[str], line_of: Callable[[Item], Line]
) -> dict[str | None, list[Item]]:
    """Return items by what their lines have in common; volumes by project where there are several.

    Raises
    ------
    InputError
        When ``by`` is none of ``ways``.
    """
    if by not in ways:
        hint = suggestion(by, ways, f"one of {', '.join(ways)}")
        raise InputError(f"Cannot group by {visible(by)!r}", hint=hint)
    several = by == "volume" and has_projects(map(line_of, items))
    found: dict[str | None, list[Item]] = {}
    for item in items:
        line = line_of(item)
        value = line.tags.get(by.removeprefix(TAG)) if by.startswith(TAG) else getattr(line, by)
        value = f"{line.project}/{value}" if several and value is not None else value
        found.setdefault(value, []).append(item)
    return found


MANY_PROJECTS = 3
"""Projects that are named in a title; more are counted."""
MOST_ALERTS = 3
"""Budgets that the first screen names."""


@dataclass(frozen=True)
class PlanBaseline:
    """A simpler plan for the demand of a plan, see `Baseline`.

    Attributes
    ----------
    place : str | None
        Where it ends; None where it is several places, or impossible.
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
class Comparison(PlanBaseline):
    """What a simpler plan, or the account as it is, costs compared with a plan.

    Attributes
    ----------
    plan_usd_month : Decimal
        What of the plan is held against it: disks and GPUs, or disks beside the account as it is.
    unpriced : int
        Disks of the account without a price, which are not in its amount.
    """

    plan_usd_month: Decimal = Decimal(0)
    unpriced: int = 0

    @property
    def saves_usd_month(self) -> Decimal | None:
        """Return how much cheaper the plan is; less than zero where it is dearer."""
        if self.usd_month is None:
            return None
        return difference(self.usd_month, self.plan_usd_month)


@dataclass(frozen=True)
class Aggregates:
    """What a report was made from, and what it comes to.

    Attributes
    ----------
    created_at : str
        When it was made, UTC.
    lines : tuple of Line
        One for each disk; see ``LEDGER``.
    baselines : tuple of PlanBaseline
        PlanBaseline ways to place the demands of the plans.
    wallets : tuple of Wallet
        One for each account that was read.
    warnings : tuple of str
        What is amiss, or was not read.
    doubts : tuple of str
        Why a budget cannot be confirmed: disks that may exist, are gone, or are claimed twice.
    warn_above : Decimal | None
        Per cent of a budget beyond which it is warned about.
    track_record : tuple of str
        How the offers of its plans did so far; not saved.
    gone : tuple of Line
        Disks that planner deleted since the calendar month began.
    planned_months : tuple of PlannedMonth
        What its plans that grow cost in each month of their horizons.
    idle_after_hr : Decimal | None
        Hours unattached, as far as planner saw it, from which a disk counts as idle; None: all.
    """

    created_at: Utc
    sources: tuple[Source, ...]
    lines: tuple[Line, ...]
    gpus: tuple[GpuLine, ...]
    limits: tuple[Limit, ...]
    baselines: tuple[PlanBaseline, ...]
    wallets: tuple[Wallet, ...]
    warnings: tuple[str, ...]
    doubts: tuple[str, ...] = ()
    warn_above: Amount | None = None
    track_record: tuple[str, ...] = ()
    idle_after_hr: Amount | None = None
    gone: tuple[Line, ...] = ()
    planned_months: tuple[PlannedMonth, ...] = ()

    @property
    def as_of(self) -> str:
        """Return when what it says was so, UTC: the latest reading of an account, else now."""
        for kind in ("account", "remembered"):
            read = [source.as_of for source in self.sources if source.kind == kind]
            if read:
                return max(read)
        return self.created_at

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
        """Return whether an account was read."""
        return any(source.kind != "plan" for source in self.sources)

    @property
    def now(self) -> RunRate | None:
        """Return the cost of what exists; None where no account was read."""
        return RunRate.of(one for one in self.lines if one.is_live) if self.knows_now else None

    @property
    def new(self) -> RunRate:
        """Return what is to be bought costs: the difference between now and after."""
        return RunRate.of(one for one in self.lines if not one.is_live)

    @property
    def after(self) -> RunRate:
        """Return what everything costs once the plans are carried out; nothing is deleted."""
        return RunRate.of(self.lines)

    @property
    def changed(self) -> tuple[tuple[Line, ...], tuple[Line, ...]]:
        """Return what was added and what went: by the plan, else since the month began."""
        if self.projects:
            superseded = (line for line in self.lines if line.standing == "superseded")
            return tuple(line for line in self.lines if not line.is_live), tuple(superseded)
        start = self.month.start
        added = (line for line in self.lines if line.is_live and line.is_since(start))
        return tuple(added), tuple(line for line in self.gone if not line.is_since(start))

    @property
    def idle(self) -> tuple[Line, ...]:
        """Return the disks that are unattached, those that are so for long enough."""
        unattached = (line for line in self.lines if line.is_idle)
        if self.idle_after_hr is None:
            return tuple(unattached)
        least = timedelta(hours=float(self.idle_after_hr))
        return tuple(one for one in unattached if (one.idle_time or timedelta(-1)) >= least)

    @property
    def gpu_usd_month(self) -> Decimal:
        """Return what the GPUs of all workloads cost in a month, exactly."""
        return total(gpu.usd_month for gpu in self.gpus)

    @property
    def gpu_usd_hr(self) -> Decimal:
        """Return the same, averaged over the hours of the month."""
        return total(gpu.usd_hr for gpu in self.gpus)

    def rates(self) -> dict[str, dict[str, Any] | None]:
        """Return what everything costs, exactly, by what it is of; None where it is unknown."""
        hr, monthly = self.gpu_usd_hr, self.gpu_usd_month
        disks = {
            "now": self.now,
            "new": self.new,
            "after": self.after,
            "idle": RunRate.of(self.idle),
            "outside_plans": RunRate.of(one for one in self.lines if not one.is_planned),
        }
        return {
            **{name: None if rate is None else rate.row() for name, rate in disks.items()},
            "gpus": {"usd_hr": hr, "usd_month": monthly},
            "together": {
                "usd_hr": total([self.after.usd_hr, hr]),
                "usd_month": total([self.after.usd_month, monthly]),
                "usd_calendar_month": total([self.after.usd_calendar_month, monthly]),
            },
        }

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Return each plan compared with simpler plans, and with the account as it is."""
        found: list[Comparison] = []
        for source in self.sources:
            project, hours = source.project, source.hours_per_month
            if project is None or hours is None or project in {one.project for one in found}:
                continue
            mine = (one for one in self.lines if one.is_planned and one.project == project)
            disks = RunRate.of(mine).per(hours)
            gpus = total(one.usd_month for one in self.gpus if one.project == project)
            found += (
                Comparison(**vars(one), plan_usd_month=total([disks, gpus]))
                for one in self.baselines
                if one.project == project
            )
            if (now := self.now) is not None:
                then = now.per(hours)
                found.append(Comparison(project, AS_IT_IS, None, then, "", disks, now.unpriced))
        return tuple(found)

    @cached_property
    def budgets(self) -> tuple[Budget, ...]:
        """Return every budget with what is spent from it."""
        several = len(self.projects) > 1
        return tuple(
            Budget(
                limit,
                tuple(filter(limit.counts, self.lines)),
                knows_now=self.knows_now,
                in_doubt=bool(self.doubts),
                several=several,
            )
            for limit in self.limits
        )

    @cached_property
    def _labels(self) -> ReplicaLabels:
        lines = [*self.lines, *self.gone]
        return ReplicaLabels.of(lines, by_project=has_projects(lines))

    def title_of(self, line: Line) -> str:
        """Return what a person calls a line of this report."""
        return self._labels.title_of(line)

    @property
    def by(self) -> tuple[str, ...]:
        """Return how the lines can be grouped."""
        return group_keys(self.lines)

    def groups(self, by: str) -> tuple[CostGroup, ...]:
        """Return the lines grouped one way, the dearest group first; GPUs are at places only.

        Raises
        ------
        InputError
            When it is none of ``by``.
        """
        members = grouped(self.lines, by, self.by, lambda line: line)
        rented: dict[str | None, list[Decimal]] = {}
        for gpu in self.gpus if by in _PLACES else ():
            rented.setdefault(getattr(gpu, by), []).append(gpu.usd_month)
        found = (
            CostGroup(
                by,
                value,
                tuple(members.get(value, ())),
                self.knows_now,
                total(rented.get(value, ())) if by in _PLACES else None,
            )
            for value in dict.fromkeys([*members, *rented])
        )
        order = sorted(
            found, key=lambda one: (-one.rate.usd_hr, one.value is None, one.value or "")
        )
        return tuple(order)

    def against(
        self,
        budgets: Mapping[str | None, Decimal | float],
        warn_above: Decimal | float | None = None,
    ) -> Self:
        """Return the report with more budgets, over every disk in it.

        Parameters
        ----------
        budgets : mapping
            Owner (None: everybody) → most that the disks may cost in a month of 730 h, in USD.
        warn_above : Decimal | None
            Per cent of a budget beyond which it is at risk; None keeps the present one.

        Raises
        ------
        InputError
            When an amount is invalid, or no disk has that owner.
        """
        named = {line.owner for line in self.lines} | {limit.owner for limit in self.limits}
        owners = {owner for owner in named if owner is not None}
        more = [limit_of(owner, usd, owners) for owner, usd in budgets.items()]
        warn = self.warn_above if warn_above is None else checked_percent(warn_above)
        return replace(self, limits=(*self.limits, *more), warn_above=warn)

    @property
    def alerts(self) -> tuple[str, ...]:
        """Return a sentence for each budget that is not simply kept."""
        return tuple(text for one in self.budgets if (text := one.alert(self.warn_above)))

    @property
    def notices(self) -> tuple[str, ...]:
        """Return what a person should look at: warnings, doubts and alerts."""
        return (*self.warnings, *self.doubts, *self.alerts)

    @property
    def first_notices(self) -> tuple[str, ...]:
        """Return the same with the budgets nearest to or above their limit; more are counted."""
        worst = sorted(self.budgets, key=lambda one: -(one.percent or Decimal("Infinity")))
        brief = len(self.alerts) > 1
        alerts = [text for one in worst if (text := one.alert(self.warn_above, brief=brief))]
        shown, rest = split(alerts, MOST_ALERTS)
        more = [f"{counted(len(rest), 'more budget')} over, at risk or unknown"] if rest else []
        return (*self.warnings, *self.doubts, *shown, *more)

    def check(self, fail_above: Decimal | float = 100) -> None:
        """Let the report pass when no budget is spent beyond a percentage of its limit.

        Raises
        ------
        InputError
            When there is no budget.
        BudgetGate
            When one is exceeded, or cannot be shown to be kept; ``over`` says by how much.
        """
        check_budgets(self.budgets, checked_percent(fail_above), self.doubts)

    def check_runway(self, hours: Decimal) -> None:
        """Let the report pass when every wallet lasts so many hours, with what is to be bought.

        Raises
        ------
        InputError
            When no wallet was read.
        BudgetGate
            When one does not last, or cannot be shown to: its balance or a price is unknown;
            ``over`` has its runway.
        """
        if not self.wallets:
            raise InputError(
                "There is no wallet to check.", hint="Report the live account, or give --wallet."
            )
        short = [one for one in self.lasting if not one.is_lasting(hours)]
        if short or self.doubts:
            asked = f"less than the {lasting(hours)} asked for"
            sentences = [f"{one}, {asked}" for one in short]
            sentences += [f"The runway cannot be confirmed: {doubt}" for doubt in self.doubts]
            raise BudgetGate(
                "\n".join(sentences),
                over=[json_values({**asdict(one), "asked_hours": hours}) for one in short],
                hint="Add funds, or delete what you do not need.",
            )

    @property
    def low_wallets(self) -> tuple[str, ...]:
        """Return a sentence for each wallet that does not last long."""
        low = (one for one in self.lasting if one.is_low)
        return tuple(f"{one}. Disks of an empty wallet may be lost: add funds." for one in low)

    def runways(self) -> tuple[dict[str, Any], ...]:
        """Return `lasting` as JSON values."""
        return tuple(json_values(asdict(one)) for one in self.lasting)

    @cached_property
    def lasting(self) -> tuple[Runway, ...]:
        """Return, for each wallet, how long it lasts now, with the plans, and with their GPUs."""
        only = len(self.wallets) == 1

        def paid(wallet: Wallet, lines: Sequence[Any]) -> list[Any]:
            whose = {wallet.account, None if only else wallet.account}
            return [one for one in lines if one.account in whose]

        return tuple(
            wallet.runway(paid(wallet, self.lines), paid(wallet, self.gpus))
            for wallet in self.wallets
        )

    @property
    def title(self) -> str:
        """Return what it is about."""
        several = len(self.projects)
        if several > MANY_PROJECTS:
            return f"Storage of {several} projects"
        return "Storage of " + (", ".join(map(visible, self.projects)) or "the account")
