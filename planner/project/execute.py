"""Apply: reconcile what was intended, check what is left, buy it, and prove that it is there."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.errors import (
    ApplyError,
    Conflict,
    IncompleteListing,
    Interrupted,
    MarketError,
    NotFound,
    OutOfStock,
    PendingActions,
    PlanError,
    PlannerError,
)
from planner.market.disks import HEALTHY
from planner.plans.sharing import by_disk
from planner.present.progress import working
from planner.project import preflight
from planner.project.buy import PurchaseContext, buy
from planner.project.context import Context, Event, Heartbeat
from planner.project.failover import MAX_FAILOVERS, lineage, replan
from planner.project.journal import Journal
from planner.project.outcome import ApplyOutcome, make_outcome
from planner.project.pods import check_reach
from planner.project.preflight import Funds, Limits
from planner.project.reconcile import (
    check_no_duplicates,
    match_name,
    reconcile_pending,
    settle_absent,
    take_over,
)
from planner.project.replace import supersede
from planner.project.sightings import record_sightings
from planner.project.spending import ceilings_of, check_ceilings, project_usd_hr
from planner.project.state import SENDABLE, ExpectedDisk, Slot, State, assignment
from planner.project.status import disk_status
from planner.units import total

if TYPE_CHECKING:
    from pathlib import Path

    from planner.marketplace.protocol import DiskListing, Marketplace
    from planner.plans.plan import Plan
    from planner.present.progress import Progress
    from planner.project.context import Pace
    from planner.project.state import Entry


Confirm = Callable[[Sequence[Slot], Decimal, Decimal, Funds], bool]
"""Asked before the first POST: slots, USD/h of the project now and after, the wallet."""


@dataclass(frozen=True)
class Order:
    """How a plan is to be applied.

    Attributes
    ----------
    parallel : int
        How many requests may be open at once, after the first disk is proved.
    wait : bool
        Wait until disks are ready, through quarantines and requested pauses.
    dry_run : bool
        Check everything, send nothing and write nothing.
    failover : Decimal | None
        After a stock-out the rest is bought at other offers, if the whole plan then costs at
        most so many per cent more than the plan agreed to; None stops there.
    """

    limits: Limits = field(default_factory=Limits)
    parallel: int = 1
    wait: bool = False
    dry_run: bool = False
    failover: Decimal | None = None


def apply_plan(
    plan: Plan,
    marketplace: Marketplace,
    *,
    folder: Path,
    pace: Pace,
    order: Order,
    confirm: Confirm = lambda *_: True,
    on_event: Callable[[Event], None] = lambda _: None,
    step: Callable[[str], object] = lambda _: None,
) -> ApplyOutcome:
    """Buy the disks of a plan, at most one for each slot.

    Parameters
    ----------
    plan : Plan
        What to buy. Its names are the keys: applied again, it buys nothing twice.
    pace : Pace
        Time; its ``stop`` ends the run after the open request.
    step : callable
        Called at every step of the journal.

    Returns
    -------
    ApplyOutcome
        Every slot and its outcome; ``stop`` is the error that ended the run, if any.

    Raises
    ------
    JournalLocked, StateUnusable
        When the state directory cannot be used.
    """
    heartbeat = Heartbeat(on_event)

    def ask(*figures: Any) -> bool:  # noqa: ANN401 -- as `Confirm`
        with heartbeat.asking(), working(""):
            return confirm(*figures)

    with (
        Journal(folder, write=not order.dry_run, now=pace.now, step=step) as journal,
        heartbeat.running(),
        working("Applying the plan"),
    ):
        state = State(journal.records)
        plans = lineage(plan, state, folder)
        last = len(plans)
        if order.failover is not None and not order.dry_run:
            last += MAX_FAILOVERS
        while True:
            ctx = Context(
                marketplace,
                journal,
                state,
                pace,
                plans,
                again=order.limits.again,
                failover=order.failover,
                on_event=heartbeat,
            )
            outcome = _apply_last(ctx, order, ask)
            if ctx.listing is not None and not order.dry_run:
                seen_at = ctx.listing.date or pace.now()
                record_sightings(folder, ctx.target, ctx.listing.attachments, seen_at)
            if len(plans) == last or not isinstance(outcome.stop, OutOfStock):
                return outcome
            try:
                plans = (*plans, replan(ctx, plans[0]))
            except PlannerError as error:  # what is bought already is shown all the same
                return replace(outcome, stop=error)
            heartbeat({"event": "failover", "why": str(outcome.stop)})


def _apply_last(ctx: Context, order: Order, confirm: Confirm) -> ApplyOutcome:
    """Apply the last of the plans; the ones before it have met a stock-out."""
    run = _Run(ctx, order, confirm)
    stop: PlannerError | None = None
    try:
        run.run()
    except (MarketError, PlanError, ApplyError) as error:
        stop = error
    if isinstance(stop, OutOfStock) and not ctx.pace.stop.is_set():
        # What was lost long ago is not sent again here, so nothing else would settle it.
        with contextlib.suppress(MarketError):
            settle_absent(ctx, ctx.entries)
    outcome = make_outcome(
        ctx, stop, ceilings=run.ceilings, balance=run.balance, to_send=run.to_send
    )
    if stop is not None or order.dry_run or ctx.pace.stop.is_set():
        return outcome
    reach = check_reach(outcome.project, outcome.jobs, ctx.marketplace, clock=ctx.pace.clock)
    return replace(outcome, reach=reach)


class _Run:
    def __init__(self, ctx: Context, order: Order, confirm: Confirm) -> None:
        self.ctx, self.plan, self.order, self.confirm = ctx, ctx.plans[-1], order, confirm
        self.balance: Decimal | None = None
        self.to_send: list[Slot] = []
        self.ceilings = ceilings_of(ctx, order.limits)
        self._halt = threading.Event()

    def run(self) -> None:
        """Reconcile, check, buy, prove; an error ends the run."""
        ctx = self.ctx
        preflight.check_target(self.plan, ctx.plan, ctx.state, ctx.target)
        while True:
            reconcile_pending(ctx, wait=self.order.wait)
            take_over(ctx)
            self.to_send = [slot for slot in ctx.slots.values() if ctx.is_open(slot)]
            self._check_refused()
            if not self.to_send:
                self._close()
                return
            listing = ctx.disks()
            self._check(listing)
            if self.order.dry_run:
                return
            ctx.record_plan()
            try:
                self._buy_all(listing)
            except PendingActions:
                if not self.order.wait or ctx.pace.stop.is_set():
                    raise
                self._halt.clear()
                self.confirm = lambda *_: True
                continue
            self._close()
            return

    def _close(self) -> None:
        supersede(self.ctx)
        self._assign()
        with working("Checking that every disk is listed"):
            check_final_listing(self.ctx)
        self._accept_prices()
        if self.order.wait:
            wait_active(self.ctx)

    def _assign(self) -> None:
        """Write down who pays for kept disks, where the plan divides them otherwise."""
        bought = {e.ids[0]: e for e in self.ctx.entries if e.stage == "created"}
        for members in by_disk(self.plan.placements):
            for entry in (bought[i] for i in members[0].disk_ids if i in bought):
                owner, tags, shares = assignment(entry, members)
                if (entry.owner, entry.tags, entry.group) != (owner, tags, shares):
                    named = {"owner": owner, "tags": tags, "shares": [*map(vars, shares)]}
                    self.ctx.record("assigned", name=entry.name, **named)

    def _accept_prices(self) -> None:
        """Write down what kept disks cost by now: it is what the plan that was applied says."""
        for entry in [e for e in self.ctx.entries if e.stage == "created"]:
            disk = self.ctx.listed.get(entry.ids[0]) if entry.ids[0] in self.ctx.kept else None
            if disk is None or disk.usd_hr is None:
                continue
            if entry.expected.counted(disk.usd_hr) != entry.expected.counted(entry.usd_hr):
                self.ctx.record_seen(entry, disk)

    def _check_refused(self) -> None:
        """Stop where the marketplace refused a slot permanently, unless its disk exists."""
        entries = self.ctx.state.of_plan(self.ctx.plan)
        refused = [entry for entry in entries if entry.stage == "refused"]
        if not refused:
            return
        listing = self.ctx.disks()
        for entry in refused:
            match = match_name(listing, entry.expected, entry.not_ours)
            if match.kind == "ours":
                self.ctx.created(entry, match.disks[0], "listing", "it exists, though refused")
            elif entry.stock:
                raise OutOfStock(f"{entry.key}: {entry.why}", drift=[f"{entry.key}: out of stock"])
            else:
                settle_absent(self.ctx, entries)
                raise MarketError(
                    f"{entry.key}: refused permanently: {entry.why}",
                    method="POST",
                    hint="plan again",
                )

    def _check(self, listing: DiskListing) -> None:
        """Check all slots that are to be sent: plan, market, limits and wallet."""
        ctx, limits = self.ctx, self.order.limits
        preflight.check_age(self.plan, ctx.pace.now(), limits.max_age)
        preflight.check_second_purchase(
            ctx, self.to_send, (volume.name for volume in self.plan.demand.volumes), listing
        )
        offers = preflight.offers_by_key(ctx.offers())
        preflight.check_offers(self.to_send, offers, limits)
        names = {slot.name for slot in self.to_send}
        more = [preflight.price_now(slot, offers) for slot in self.to_send]
        look_for_unlisted(ctx, listing)
        check_ceilings(ctx, more, self.ceilings, without=names)
        funds = preflight.check_wallet(ctx, listing, total(more), limits)
        self.balance = funds.balance_usd
        if not self.order.dry_run:
            now = project_usd_hr(ctx, without=names)
            if not self.confirm(self.to_send, now, total((now, *more)), funds):
                raise Interrupted("declined; nothing was sent")

    def _buy_all(self, listing: DiskListing) -> None:
        prove_listing(self.ctx, listing)
        created = any(entry.stage == "created" for entry in self.ctx.state.of_plan(self.ctx.plan))
        purchase = PurchaseContext(self.order.limits, self.ceilings, self._halt.is_set)
        rest = list(self.to_send)
        with working("Creating disks", len(rest)) as task:
            if not created:
                first = buy(self.ctx, rest.pop(0), purchase)
                task.advance()
                if rest:
                    wait_listed(self.ctx, [first])
            self._buy_rest(rest, purchase, task)

    def _buy_rest(self, slots: Sequence[Slot], purchase: PurchaseContext, task: Progress) -> None:
        """Buy slots, several at a time; after a stop no other is begun."""
        stops: list[PlannerError] = []

        def buy_slot(slot: Slot) -> None:
            try:
                if not self._halt.is_set():
                    buy(self.ctx, slot, purchase)
                    task.advance()
            except PlannerError as error:
                stops.append(error)
                self._halt.set()

        left = list(slots)
        if self.order.parallel > 1:
            with ThreadPoolExecutor(self.order.parallel, "planner-buy") as pool:
                list(pool.map(buy_slot, left))
            entries = [self.ctx.state.entries.get(slot.name) for slot in left]
            is_known = not any(entry is not None and entry.is_pending for entry in entries)
            kinds = {type(stop) for stop in stops}
            if is_known and IncompleteListing in kinds <= {IncompleteListing, Interrupted}:
                # A long listing moves while other disks are created: the rest one at a time.
                stops.clear()
                self._halt.clear()
            pairs = zip(left, entries, strict=True)
            left = [slot for slot, entry in pairs if entry is None or entry.stage in SENDABLE]
        for slot in left:
            buy_slot(slot)
        if stops:
            raise max(stops, key=lambda error: (error.exit_code != 130, error.exit_code))  # noqa: PLR2004 -- an interrupt is the least informative


def prove_listing(ctx: Context, listing: DiskListing) -> None:
    """Check that the listing shows the disks this plan bought before."""
    created = [e for e in ctx.state.of_plan(ctx.plan) if e.stage == "created"]
    if any(listing.find(entry.ids[0]) for entry in created):
        return
    alive = [entry for entry in created if ctx.is_live(entry)]
    if alive:
        wait_listed(ctx, alive)


def look_for_unlisted(ctx: Context, listing: DiskListing) -> None:
    """Ask by id for every recorded disk of the project that a listing does not show."""
    for entry in ctx.entries:
        if entry.may_exist and len(entry.ids) == 1 and entry.ids[0] not in listing.by_id:
            ctx.is_live(entry)


def wait_listed(ctx: Context, entries: Sequence[Entry]) -> None:
    """Wait until a listing shows at least one of the disks.

    Raises
    ------
    PendingActions
        When none does within the settling time.
    """
    for pause in ctx.pace.listing_pauses():
        ctx.pace.pause(pause)
        try:
            listing = ctx.disks()
        except MarketError as error:
            ctx.on_event({"event": "listing_failed", "why": str(error)})
            continue
        if any(listing.find(entry.ids[0]) for entry in entries):
            return
        if ctx.pace.stop.is_set():
            raise Interrupted("stopped before the next disk was sent")
    ids = ", ".join(entry.ids[0] for entry in entries)
    raise PendingActions(
        f"disk {ids} exists, but the account's list does not show it: a lost create could not be "
        "looked up there, so nothing more is sent",
        hint="run again later with the same key and team",
    )


def check_final_listing(ctx: Context) -> None:
    """Prove the outcome: every disk of the plan is listed, live and as bought or as kept.

    Raises
    ------
    Conflict
        When a disk vanished, changed, or needs attention.
    PendingActions
        When an existing disk is not listed within the settling time.
    MarketError
        When the account cannot be read.
    """
    entries = [ctx.state.entries[name] for name in ctx.slots]
    entries = [entry for entry in entries if entry.stage != "given_up"]
    unlisted: list[Entry] = []
    for pause in ctx.pace.listing_pauses():
        ctx.pace.pause(pause)
        listing = ctx.disks()
        check_no_duplicates(ctx, listing)
        look_for_unlisted(ctx, listing)
        unlisted = [e for e in entries if e.ids and listing.find(e.ids[0]) is None]
        unlisted = [entry for entry in unlisted if ctx.is_live(entry)]
        if not unlisted or ctx.pace.stop.is_set():
            break
    statuses = [disk_status(entry, listing, ctx.marketplace) for entry in entries]
    problems = [
        f"{status.entry.key} ({', '.join(status.entry.ids)}): "
        f"{'; '.join(status.notes) or status.condition}"
        for status in statuses
        if status.condition != "in order"
    ]
    for disk_id, row in ctx.kept.items():
        disk = listing.find(disk_id)
        if disk is None or not disk.is_live:
            problems.append(f"{disk_id}: kept by the plan, but not in the account")
        else:
            price = disk.usd_hr if row["usd_hr"] is None else row["usd_hr"]
            expected = ExpectedDisk(**{**row, "usd_hr": price or Decimal(0)})
            problems += [f"{disk_id}: kept by the plan, {text}" for text in expected.drift(disk)]
    if problems:
        raise Conflict(
            "not as planned:\n" + "\n".join(f"  {text}" for text in problems),
            hint="`planner status` compares every disk; plan again to go on from what exists",
        )
    if unlisted:
        ids = ", ".join(entry.ids[0] for entry in unlisted)
        raise PendingActions(
            f"disk {ids} exists and is not listed yet", hint="run the same apply again"
        )


def wait_active(ctx: Context) -> None:
    """Wait until every disk of the plan, kept ones too, is ACTIVE; a quarantine at most.

    Raises
    ------
    Conflict
        When a disk has another final status, or vanished.
    PendingActions
        When a disk is not ready in time.
    """
    started, pause = ctx.pace.clock(), 1.0
    recorded = {entry.ids[0]: entry for entry in ctx.entries if entry.stage == "created"}
    bought = [disk_id for disk_id, entry in recorded.items() if entry.plan == ctx.plan]
    waiting = dict.fromkeys((*bought, *ctx.kept), "")
    failed: list[str] = []
    with working("Waiting until disks are ready", len(waiting)) as task:
        while waiting and not ctx.pace.stop.is_set():
            for disk_id in list(waiting):
                entry = recorded.get(disk_id)
                name = entry.key if entry else "kept by the plan"
                try:
                    disk = ctx.marketplace.disk(disk_id)
                except NotFound:
                    failed.append(f"{name}: disk {disk_id} vanished")
                    del waiting[disk_id]
                    continue
                if entry is not None and disk.status != entry.status:
                    ctx.record_seen(entry, disk)
                ctx.saw(disk)
                waiting[disk_id] = f"{name} ({disk.status})"
                if disk.status == "ACTIVE" or disk.status not in HEALTHY:
                    del waiting[disk_id]
                if disk.status not in HEALTHY:
                    failed.append(f"{name}: disk {disk_id} is {disk.status}")
            task.done = task.total - len(waiting)
            if waiting and ctx.pace.clock() - started > ctx.pace.quarantine_s:
                names = ", ".join(waiting.values())
                raise PendingActions(f"not ready yet: {names}", hint="run again with --wait")
            if waiting:
                ctx.pace.pause(pause * ctx.pace.scale)
                pause = min(pause * 1.5, 15.0)
    if failed:
        raise Conflict("; ".join(failed), hint="`planner status` compares every disk")
