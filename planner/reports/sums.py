"""The sums of a report: what is there, what is to be bought, and what of it budgets count.

Everything here is made of what was read, each time; nothing of it is stored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from planner.errors import InputError
from planner.plans.file import Amount, Utc
from planner.reports.budgets import Budget, Limit, check_budgets, checked_percent, limit_of
from planner.reports.groups import Group, groups, ways
from planner.reports.lines import Copies, GpuLine, Line
from planner.reports.parts import Comparison, Simpler, Source, comparisons
from planner.reports.periods import Month, Rate
from planner.reports.wallets import Wallet
from planner.text import nearest, visible
from planner.units import total

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Sums:
    """What a report was made from, and what it comes to.

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
    baselines : tuple of Simpler
        Simpler ways to place the demands of the plans.
    wallets : tuple of Wallet
        One for each account that was read.
    warnings : tuple of str
        What is amiss, or was not read.
    doubts : tuple of str
        Why nobody can say that a budget is kept: what may exist unseen, or is gone, or is
        claimed twice.
    warn_above : Decimal | None
        Per cent of a budget beyond which it is warned about.
    """

    created_at: Utc
    sources: tuple[Source, ...]
    lines: tuple[Line, ...]
    gpus: tuple[GpuLine, ...]
    limits: tuple[Limit, ...]
    baselines: tuple[Simpler, ...]
    wallets: tuple[Wallet, ...]
    warnings: tuple[str, ...]
    doubts: tuple[str, ...] = ()
    warn_above: Amount | None = None

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
        """Return whether anybody looked at what is there."""
        return any(source.kind != "plan" for source in self.sources)

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
    def comparisons(self) -> tuple[Comparison, ...]:
        """Return each plan beside simpler ways, and beside the account as it is."""
        return comparisons(self)

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
    def _copies(self) -> Copies:
        return Copies.of(self.lines)

    def title_of(self, line: Line) -> str:
        """Return what a person calls a line of this report."""
        return self._copies.title_of(line)

    @property
    def by(self) -> tuple[str, ...]:
        """Return how the lines can be grouped."""
        return ways(self.lines)

    def groups(self, by: str) -> tuple[Group, ...]:
        """Return the lines grouped one way, the dearest group first.

        Raises
        ------
        InputError
            When it is none of ``by``.
        """
        if by not in self.by:
            meant = nearest(by, self.by)
            hint = f"did you mean {meant}?" if meant else f"one of {', '.join(self.by)}"
            raise InputError(f"nothing is grouped by {visible(by)!r}", hint=hint)
        return groups(self.lines, self.gpus, by, knows_now=self.knows_now)

    def against(
        self, budgets: Mapping[str | None, Decimal], warn_above: Decimal | None = None
    ) -> Self:
        """Return the report with more budgets, over every disk in it.

        Parameters
        ----------
        budgets : mapping
            Owner (None: everybody) → most that the disks may cost in a month of 730 h, in USD.
        warn_above : Decimal | None
            Per cent of a budget beyond which it is warned about; None leaves what there is.

        Raises
        ------
        InputError
            When an amount is none, or nobody of that name owns anything.
        """
        named = {line.owner for line in self.lines} | {limit.owner for limit in self.limits}
        owners = {owner for owner in named if owner is not None}
        more = [limit_of(owner, usd, owners) for owner, usd in budgets.items()]
        warn = self.warn_above if warn_above is None else checked_percent(warn_above)
        return replace(self, limits=(*self.limits, *more), warn_above=warn)

    @property
    def alerts(self) -> tuple[str, ...]:
        """Return a sentence for each budget that is not simply kept."""
        return tuple(told for one in self.budgets if (told := one.alert(self.warn_above)))

    @property
    def notices(self) -> tuple[str, ...]:
        """Return what a person should look at: warnings, doubts and alerts."""
        return (*self.warnings, *self.doubts, *self.alerts)

    def check(self, fail_above: Decimal = Decimal(100)) -> None:
        """Let the report pass when no budget is spent beyond a percentage of its limit.

        Raises
        ------
        InputError
            When there is no budget.
        BudgetGate
            When one is exceeded, or cannot be shown to be kept; ``over`` says by how much.
        """
        check_budgets(self.budgets, checked_percent(fail_above), self.doubts)

    def runways(self) -> tuple[dict[str, Any], ...]:
        """Return, for each wallet, how long it lasts now, with the plans, and with their GPUs."""
        only = len(self.wallets) == 1

        def pays(wallet: Wallet, account: str | None) -> bool:
            return account == wallet.account or (only and account is None)

        return tuple(
            wallet.runway(
                [one for one in self.lines if pays(wallet, one.account)],
                [one for one in self.gpus if pays(wallet, one.account)],
            )
            for wallet in self.wallets
        )

    @property
    def title(self) -> str:
        """Return what it is about."""
        return "Storage of " + (", ".join(map(visible, self.projects)) or "the account")
