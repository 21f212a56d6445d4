"""Wait until a demand is feasible, in stock or cheaper: the market is read now and then.

The clock decides only when to ask. What a reading gives is planned as `planner plan` does, with the
account's disks, and compared with the reading before.
"""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from planner.errors import (
    ContractBroken,
    IncompleteListing,
    Infeasible,
    InputError,
    NotFound,
    RateLimited,
    RequestNotSent,
    Unauthorized,
    Unavailable,
)
from planner.formats import default_state
from planner.market.history import is_in_stock
from planner.market.market import Sold, as_sold
from planner.market.offers import KEY, offer_records, place_text
from planner.market.snapshot import join_gpus
from planner.marketplace.fetch import connect
from planner.marketplace.protocol import LISTING_S, target_of, utc_now
from planner.plans import planning
from planner.plans.summary import money_change
from planner.present.table import counted, reading
from planner.project.journal import Journal
from planner.project.preflight import read_account, recorded_disks
from planner.schema import TEXT
from planner.text import visible
from planner.units import money, parse_percent, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    import pandas as pd

    from planner.demand.model import Demand
    from planner.marketplace.credentials import Credentials
    from planner.marketplace.protocol import ListingName, Marketplace
    from planner.plans.plan import Plan
    from planner.solve.solution import Placement

MIN_EVERY_S = 60.0
"""The market is read once a minute at most."""
EVERY_S = 600.0
_PASSING = (RequestNotSent, Unavailable, RateLimited, ContractBroken, IncompleteListing)
"""Failures that another reading may not have; any other ends the watch."""
_NAMED = 3
"""Reasons that a sentence names."""

Event = Literal["plan", "no_plan", "cost", "stock", "price", "moved", "unread", "read", "reached"]


@dataclass(frozen=True)
class WatchChange:
    """What a reading showed that the reading before did not.

    Attributes
    ----------
    at : datetime
        When the market was read, UTC.
    event : str
        ``plan`` (there is one now), ``no_plan`` (there is none), ``cost`` (of the plan), ``stock``
        and ``price`` (of an offer), ``moved`` (a volume goes elsewhere), ``unread`` (the market
        could not be read), ``read`` (it can be again), ``reached`` (what was waited for; the last).
    """

    at: datetime
    event: Event
    text: str
    plan: Plan | None = field(default=None, repr=False)

    @property
    def usd_month(self) -> Decimal | None:
        """Return what the plan costs a month, None where there is none."""
        return None if self.plan is None else _cost(self.plan)

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON values; the amount is exact text."""
        usd = self.usd_month
        return {
            "at": self.at.isoformat(timespec="seconds"),
            "event": self.event,
            "text": self.text,
            "usd_month": None if usd is None else plain(usd),
        }


@dataclass(frozen=True)
class _Goal:
    """What is waited for: a plan, the best plan in stock, or one so many per cent cheaper."""

    kind: Literal["feasible", "stock", "cheaper"]
    percent: Decimal = Decimal(0)

    @classmethod
    def of(cls, text: str) -> _Goal:
        kind, colon, percent = text.partition(":")
        if text in {"feasible", "stock", "cheaper"}:
            return cls(kind)  # type: ignore[arg-type]  # one of the three
        hint = "one of feasible, stock, cheaper, or cheaper:5%"
        if kind != "cheaper" or not colon:
            raise InputError(f"until {visible(text[:60])!r} is unknown", hint=hint)
        try:
            value = parse_percent(percent)
        except ValueError as error:
            raise InputError(f"until: {error}", hint=hint) from error
        if not 0 < value < 100:  # noqa: PLR2004 -- per cent
            raise InputError(f"until: {visible(percent)} is not between 0 and 100 %", hint=hint)
        return cls("cheaper", value)

    def is_reached(self, plan: Plan | None, ideal: Plan | None, first: Decimal | None) -> bool:
        """Return whether a plan is what is waited for."""
        if plan is None:
            return False
        cost = _cost(plan)
        if self.kind == "stock":
            return ideal is not None and cost <= _cost(ideal)
        if self.kind == "cheaper":
            return (
                first is not None and cost < first and (cost * 100 <= first * (100 - self.percent))
            )
        return True


@dataclass(frozen=True)
class _Reading:
    """A market, and what planning on it gave.

    Attributes
    ----------
    plan : Plan | None
        None: there is none.
    why_not : str
        Why there is none.
    ideal : Plan | None
        The plan if everything were in stock, where that was worked out.
    sold : Sold
        The disk offers as they can be bought.
    """

    at: datetime
    plan: Plan | None
    why_not: str
    ideal: Plan | None
    sold: Sold

    @property
    def wanted(self) -> dict[tuple[str, int], Placement]:
        """Return the placements whose offers matter: those of the ideal plan, else of the plan."""
        plan = self.ideal or self.plan
        placements = () if plan is None else plan.placements
        return {(p.volume, p.replica): p for p in placements if p.action != "keep"}

    def offer(self, placement: Placement) -> Mapping[str, Any]:
        """Return the offer of a placement as it is listed now."""
        key = tuple(getattr(placement, name) for name in KEY)
        offer = self.sold.offer(key, placement.disk_sizes_gb[0])
        return {"stock": None, "usd_gb_hr": None} if offer is None else offer


def watch(
    demand: Demand,
    *,
    until: str = "feasible",
    every_s: float = EVERY_S,
    credentials: Credentials | None = None,
    state: str | Path | None = None,
    marketplace: Marketplace | None = None,
    sleep: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    on_failure: Callable[[str], object] = lambda _: None,
) -> Iterator[WatchChange]:
    """Read the market again and again, and yield each change; end when what is waited for is so.

    Readings begin at least ``every_s`` apart, and later where the marketplace asks to wait. Each
    reads the listings that the demand needs, one after the other, and the account's disks. An
    outage is waited out: what fails is tried again with the next reading. The listings are
    recorded, see `history`.

    Parameters
    ----------
    demand : Demand
        What is to be stored: see `read_demand`.
    until : str
        ``feasible``: there is a plan. ``stock``: there is one, and none would be cheaper if
        everything were in stock. ``cheaper:5%``: the plan costs 5 % less than the first plan of
        this watch; ``cheaper``: less.
    every_s : float
        Seconds between readings, 60 at least.
    credentials : Credentials | None
        None finds them as the vendor's client does.
    state : str | Path | None
        State directory; None is planner's own.
    marketplace : Marketplace | None
        Read this one instead; it stays open. Its failed requests are better not repeated by itself.
    sleep, clock : callable
        The pause between readings, and monotonic seconds.
    on_failure : callable
        Called with a sentence, once, where a listing cannot be recorded, or the key may not read
        the account's disks: the plan is then made as if there were none.

    Yields
    ------
    WatchChange
        In order; the last is ``reached``.

    Raises
    ------
    InputError
        When ``until`` or ``every_s`` is not understood, or there is no usable key.
    MarketError
        When the marketplace refuses the key.
    """
    goal = _Goal.of(until)
    if not every_s >= MIN_EVERY_S:
        raise InputError("the market is read once a minute at most", hint="such as every 10m")
    folder = default_state() if state is None else Path(state)
    opened = (
        connect(credentials, state=folder, on_failure=on_failure, attempts=1)
        if marketplace is None
        else nullcontext(marketplace)
    )
    warned: set[str] = set()

    def warn_once(text: str) -> None:
        if text not in warned:
            warned.add(text)
            on_failure(text)

    def read(market: Marketplace) -> _Reading:
        return _read(demand, goal, market, folder, warn_once)

    return _watch(goal, every_s, opened, read, (sleep, clock))


def _watch(
    goal: _Goal,
    every_s: float,
    opened: Any,  # noqa: ANN401 -- a marketplace, or one that stays open
    read: Callable[[Marketplace], _Reading],
    timing: tuple[Callable[[float], object], Callable[[], float]],
) -> Iterator[WatchChange]:
    sleep, clock = timing
    before: _Reading | None = None
    first: Decimal | None = None
    failed = False
    with opened as market:
        while True:
            begun, pause_s = clock(), every_s
            try:
                now = read(market)
            except _PASSING as error:
                pause_s = max(pause_s, clock() - begun + (error.retry_after or 0))
                if not failed:
                    minutes = counted(math.ceil(pause_s / 60), "minute")
                    text = f"The market cannot be read: {error}. Next try in {minutes}."
                    yield WatchChange(utc_now(), "unread", text)
                failed = True
            else:
                if failed:
                    yield WatchChange(now.at, "read", "The market can be read again.", now.plan)
                failed = False
                yield from _changes(before, now)
                before = now
                if first is None and now.plan is not None:
                    first = _cost(now.plan)
                if goal.is_reached(now.plan, now.ideal, first):
                    yield WatchChange(now.at, "reached", _reached(goal, now, first), now.plan)
                    return
            sleep(max(0.0, begun + pause_s - clock()))


def _cost(plan: Plan) -> Decimal:
    usd_month: Decimal = plan.exact_totals["usd_month"]
    return usd_month


def _read(
    demand: Demand,
    goal: _Goal,
    market: Marketplace,
    folder: Path,
    warn: Callable[[str], object],
) -> _Reading:
    """Read the market and the account once, and plan."""
    names: list[ListingName] = ["disks"]
    names += ["gpus", "multi-node"] if demand.workloads else []
    deadline = time.monotonic() + LISTING_S
    read = [market.listing(name, within_s=deadline - time.monotonic()) for name in names]
    offers = read[0].offers()
    gpus = None
    if demand.workloads:
        gpus = join_gpus(read[1].gpus(), read[2].gpus(listing="multi-node"))
    account = _account(demand, market, folder, warn)
    plan, why_not = _planned(demand, offers, gpus, account)
    ideal = None
    if plan is None or goal.kind == "stock":
        rentable = None if gpus is None else _in_stock(gpus)
        ideal, _ = _planned(demand, _in_stock(offers), rentable, account)
    sold = Sold(as_sold(offer_records(offers)))
    return _Reading(read[0].fetched_at or utc_now(), plan, why_not, ideal, sold)


def _account(
    demand: Demand, market: Marketplace, folder: Path, warn: Callable[[str], object]
) -> dict[str, Any]:
    """Return the account's disks as a plan takes them; nothing where the key may not read them."""
    target = target_of(market)
    try:
        disks = read_account(market)
    except (Unauthorized, NotFound) as error:
        if any(volume.disks for volume in demand.volumes):
            raise
        warn(f"planned as if the account had no disks: {error}")
        return {"target": target}
    with Journal(folder, write=False) as journal:
        known = recorded_disks(journal.records, demand.project, target, disks)
    return {
        "target": target,
        "disks": disks,
        "recorded": known.in_use,
        "superseded": known.superseded,
    }


def _planned(
    demand: Demand,
    offers: pd.DataFrame,
    gpus: pd.DataFrame | None,
    account: Mapping[str, Any],
) -> tuple[Plan | None, str]:
    """Return the plan, or why there is none."""
    try:
        return planning.plan(demand, offers, gpus, **account), ""
    except Infeasible as error:
        reasons = [str(each["message"]).partition("\n")[0] for each in error.conflicts[:_NAMED]]
        return None, "; ".join(reasons) or str(error)


def _in_stock(listed: pd.DataFrame) -> pd.DataFrame:
    """Return a market as if everything in it were in stock."""
    return listed.assign(stock="Available").astype({"stock": TEXT})


def _changes(before: _Reading | None, now: _Reading) -> Iterator[WatchChange]:
    """Yield what is different from the reading before, the most important first."""

    def change(event: Event, text: str) -> WatchChange:
        return WatchChange(now.at, event, text, now.plan)

    old = None if before is None else before.plan
    if now.plan is None:
        if before is None or old is not None:
            still = "No plan yet" if before is None else "No longer feasible"
            yield change("no_plan", f"{still}: {now.why_not}.")
    elif old is None:
        is_new = "Plan" if before is None else "Feasible now"
        yield change("plan", f"{is_new}: ${money(_cost(now.plan))}/month.")
    elif _cost(old) != _cost(now.plan):
        text = money_change(_cost(old), _cost(now.plan), percent=True)
        yield change("cost", f"Plan: {text}.")
    yield from (change(event, text) for event, text in _of_offers(before, now))
    if old is not None and now.plan is not None:
        yield from (change("moved", text) for text in _moves(old, now.plan))


def _of_offers(before: _Reading | None, now: _Reading) -> Iterator[tuple[Event, str]]:
    """Yield how stock and price of the wanted offers changed."""
    if before is None:
        for (volume, _), placement in now.wanted.items():
            if is_in_stock(now.offer(placement)["stock"]) is False:
                yield "stock", f"{_named(volume, placement)} is out of stock."
        return
    for (volume, _), placement in {**now.wanted, **before.wanted}.items():
        was, is_now = before.offer(placement), now.offer(placement)
        name = _named(volume, placement)
        had, has = is_in_stock(was["stock"]), is_in_stock(is_now["stock"])
        if has is False and had is not False:
            gone = "is no longer listed" if is_now["stock"] is None else "went out of stock"
            yield "stock", f"{name} {gone}."
        elif had is False and has is not False:
            yield "stock", f"{name} is in stock again ({visible(is_now['stock'])})."
        prices = was["usd_gb_hr"], is_now["usd_gb_hr"]
        if None not in prices and prices[0] != prices[1]:
            old, new = (reading(price, "usd_gb_hr").text for price in prices)
            yield "price", f"{name}: ${old} to ${new} per GB and hour."


def _moves(old: Plan, new: Plan) -> Iterator[str]:
    places = [{(p.volume, p.replica): p for p in plan.placements} for plan in (old, new)]
    for key, placement in places[1].items():
        was = places[0].get(key)
        if was is not None and place_text(vars(was)) != place_text(vars(placement)):
            there, here = (visible(place_text(vars(each))) for each in (was, placement))
            yield f"{visible(key[0])}: {there} to {here}."


def _named(volume: str, placement: Placement) -> str:
    return f"{visible(volume)}: {visible(place_text(vars(placement)))}"


def _reached(goal: _Goal, now: _Reading, first: Decimal | None) -> str:
    cost = "" if now.plan is None else f"${money(_cost(now.plan))}/month"
    if goal.kind == "cheaper" and first is not None:
        return f"Cheaper: {cost}, ${money(first)} when the watch began."
    if goal.kind == "stock":
        return f"In stock, and nothing cheaper is out of stock: {cost}."
    return f"Feasible: {cost}."
