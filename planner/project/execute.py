"""Apply: reconcile what was intended, check what is left, buy it, and prove that it is there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from planner.errors import (
    ApplyError,
    Interrupted,
    MarketError,
    OutOfStock,
    PendingActions,
    PlanError,
    PlannerError,
)
from planner.marketplace.protocol import target_of
from planner.project import preflight
from planner.project.buy import Shop, buy
from planner.project.context import Context, Event
from planner.project.evidence import close, prove_listing, wait_active, wait_listed
from planner.project.journal import Journal
from planner.project.outcome import ApplyReport, make_report
from planner.project.preflight import Limits
from planner.project.reconcile import clear_doubts, look
from planner.project.state import SENDABLE, Slot, State, slots_of
from planner.units import total

if TYPE_CHECKING:
    from pathlib import Path

    from planner.marketplace.protocol import DiskListing, Marketplace
    from planner.plans.plan import Plan
    from planner.project.pace import Pace


Confirm = Callable[[Sequence[Slot], Decimal, Decimal, Decimal | None], bool]
"""Asked before the first POST: slots, USD/h now, USD/h after, balance."""


@dataclass(frozen=True)
class Order:
    """How a plan is to be applied.

    Attributes
    ----------
    limits : Limits
        What may be spent.
    parallel : int
        How many requests may be open at once, after the first disk is proved.
    wait : bool
        Wait until disks are ACTIVE or ERROR, through quarantines and told pauses too.
    dry_run : bool
        Check everything, send nothing and write nothing.
    """

    limits: Limits = field(default_factory=Limits)
    parallel: int = 1
    wait: bool = False
    dry_run: bool = False


def apply_plan(
    plan: Plan,
    marketplace: Marketplace,
    *,
    folder: Path,
    pace: Pace,
    order: Order,
    confirm: Confirm = lambda *_: True,
    tell: Callable[[Event], None] = lambda _: None,
    step: Callable[[str], object] = lambda _: None,
) -> ApplyReport:
    """Buy what a plan asks for, at most one disk for each of its slots.

    Parameters
    ----------
    plan : Plan
        What to buy. Its names are the keys: applied again, it buys nothing twice.
    marketplace : Marketplace
        Where the disks are created.
    folder : Path
        State directory.
    pace : Pace
        Time; its ``stop`` ends the run after the open request.
    order : Order
        Limits and manner.
    confirm : callable
        Asked once before the first POST.
    tell : callable
        Gets an event for every step.
    step : callable
        Called at every step of the journal.

    Returns
    -------
    ApplyReport
        Every slot and what came of it; ``stop`` is the error that ended the run, if one did.

    Raises
    ------
    JournalLocked, StateUnusable
        When the state directory cannot be used.
    """
    slots = slots_of(plan)
    with Journal(folder, write=not order.dry_run, now=pace.now, step=step) as journal:
        ctx = Context(
            marketplace=marketplace,
            journal=journal,
            state=State(journal.records),
            pace=pace,
            plan=plan.digest,
            project=plan.project,
            names=frozenset(slot.name for slot in slots),
            tell=tell,
        )
        run = _Run(ctx, plan, slots, order, confirm, target_of(marketplace))
        stop: PlannerError | None = None
        try:
            run.go()
        except (MarketError, PlanError, ApplyError) as error:
            stop = error
        return make_report(ctx, plan, slots, stop, balance=run.balance, to_send=run.to_send)


class _Run:
    def __init__(
        self,
        ctx: Context,
        plan: Plan,
        slots: Sequence[Slot],
        order: Order,
        confirm: Confirm,
        target: dict[str, str | None],
    ) -> None:
        self.ctx, self.plan, self.slots = ctx, plan, slots
        self.order, self.confirm, self.target = order, confirm, target
        self.balance: Decimal | None = None
        self.to_send: list[Slot] = []
        self._planned = total(slot.usd_hr for slot in slots)
        self._halt = threading.Event()

    def go(self) -> None:
        """Do everything; whatever is raised ends the run."""
        ctx = self.ctx
        preflight.check_target(self.plan, ctx.plan, ctx.state, self.target)
        while True:
            clear_doubts(ctx, wait=self.order.wait)
            self.to_send = [slot for slot in self.slots if self._is_open(slot)]
            self._check_refused()
            if not self.to_send:
                self._close(strict=False)
                return
            listing = ctx.marketplace.disks()
            self._check(listing)
            if self.order.dry_run:
                return
            if ctx.plan not in ctx.state.plans:
                ctx.record(
                    "plan",
                    plan=ctx.plan,
                    plan_id=self.plan.plan_id,
                    project=ctx.project,
                    target=self.target,
                )
            try:
                self._buy_all(listing)
            except PendingActions:
                if not self.order.wait or ctx.pace.stop.is_set():
                    raise
                self._halt.clear()
                self.confirm = lambda *_: True
                continue
            self._close(strict=True)
            return

    def _close(self, *, strict: bool) -> None:
        close(self.ctx, strict=strict)
        if self.order.wait:
            wait_active(self.ctx)

    def _is_open(self, slot: Slot) -> bool:
        """Return whether a slot is still to be sent; what is in doubt here is out of quarantine."""
        entry = self.ctx.state.entries.get(slot.name)
        return entry is None or entry.stage in SENDABLE or entry.in_doubt

    def _check_refused(self) -> None:
        """Stop where the marketplace has refused a slot for good, unless its disk exists."""
        mine = self.ctx.state.of_plan(self.ctx.plan)
        refused = [entry for entry in mine if entry.stage == "refused"]
        if not refused:
            return
        listing = self.ctx.marketplace.disks()
        for entry in refused:
            found = look(listing, entry.facts, entry.not_ours)
            if found.kind == "ours":
                self.ctx.created(entry, found.disks[0], "listing", "it exists, though refused")
            elif entry.stock:
                raise OutOfStock(f"{entry.key}: {entry.why}", drift=[f"{entry.key}: out of stock"])
            else:
                raise MarketError(
                    f"{entry.key}: refused for good: {entry.why}", method="POST", hint="plan again"
                )

    def _check(self, listing: DiskListing) -> None:
        """Hold everything that is to be sent against plan, market, limits and wallet."""
        ctx, limits = self.ctx, self.order.limits
        preflight.check_age(self.plan, ctx.pace.now(), limits.max_age)
        preflight.check_twins(ctx, self.to_send, listing, again=limits.again)
        offers = preflight.shelf(ctx.offers())
        preflight.check_offers(self.to_send, offers, limits)
        names = {slot.name for slot in self.to_send}
        mine = ctx.state.of_plan(ctx.plan)
        committed = total(one.counted_usd_hr for one in mine if one.name not in names)
        more = [preflight.price_now(slot, offers) for slot in self.to_send]
        preflight.check_limit(committed, more, self._planned, limits)
        self.balance = preflight.check_wallet(ctx, listing, total(more), limits)
        if not self.order.dry_run:
            after = total((committed, *more))
            if not self.confirm(self.to_send, committed, after, self.balance):
                raise Interrupted("declined; nothing was sent")

    def _buy_all(self, listing: DiskListing) -> None:
        prove_listing(self.ctx, listing)
        created = any(one.stage == "created" for one in self.ctx.state.of_plan(self.ctx.plan))
        shop = Shop(self.order.limits, self._planned, self.order.wait, self._halt.is_set)
        rest = list(self.to_send)
        if not created:
            first = buy(self.ctx, rest.pop(0), shop)
            if rest:
                wait_listed(self.ctx, [first])
        self._buy_rest(rest, shop)

    def _buy_rest(self, slots: Sequence[Slot], shop: Shop) -> None:
        """Buy slots, several at a time; when one stops, no other is begun."""
        stops: list[PlannerError] = []

        def one(slot: Slot) -> None:
            try:
                if not self._halt.is_set():
                    buy(self.ctx, slot, shop)
            except PlannerError as error:
                stops.append(error)
                self._halt.set()

        if self.order.parallel == 1:
            for slot in slots:
                one(slot)
        else:
            with ThreadPoolExecutor(self.order.parallel, "planner-buy") as pool:
                list(pool.map(one, slots))
        if stops:
            raise max(stops, key=lambda error: (error.exit_code != 130, error.exit_code))  # noqa: PLR2004 -- interrupted says least
