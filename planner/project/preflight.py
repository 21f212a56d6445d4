"""Everything that is checked before money is spent.

The plan fits this marketplace and team, its project is not bought already, every offer that is
still to be bought is listed, in stock, sells the size and costs no more than planned, the sum
stays within the limit, and the wallet lasts.
"""

from __future__ import annotations

import decimal
import re
import shlex
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from planner.errors import Conflict, MarketError, OutOfStock, PlanStale
from planner.market.disks import disks_frame
from planner.market.market import Sold, as_sold
from planner.market.offers import offer_records
from planner.market.wire import STOCK_RANK
from planner.project.state import UNPROVEN, State, account_text
from planner.schema import records as records_of
from planner.text import visible
from planner.units import (
    difference,
    hourly,
    lasting,
    money,
    part,
    percent_of,
    plain,
    total,
    usd_hr,
    usd_month,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pandas as pd

    from planner.marketplace.protocol import DiskListing, Marketplace
    from planner.plans.plan import Plan
    from planner.project.context import Context
    from planner.project.state import Entry, Slot

LEAST_HOURS = 72
"""For how long a wallet has to last where nothing else is asked for."""
_SKEW = timedelta(minutes=5)
_EXACT = decimal.Context(prec=120)


@dataclass(frozen=True)
class Limits:
    """What a run may spend.

    Attributes
    ----------
    price_tolerance : Decimal
        Per cent by which a price may have risen since the plan.
    max_usd_hr : Decimal | None
        Run-rate of all disks of the project that is never exceeded; the plan's own limit is what
        it adds.
    min_runway_hr : Decimal | None
        Hours that the wallet has to last with everything bought.
    max_age : timedelta
        How old a plan may be that still has something to send.
    again : bool
        Buy although another plan of the project has bought the same.
    """

    price_tolerance: Decimal = Decimal(0)
    max_usd_hr: Decimal | None = None
    min_runway_hr: Decimal | None = None
    max_age: timedelta = timedelta(hours=24)
    again: bool = False

    def may_cost(self, usd: Decimal) -> Decimal:
        """Return the highest acceptable price for a planned one."""
        return _EXACT.divide(_EXACT.multiply(usd, 100 + self.price_tolerance), Decimal(100))


@dataclass(frozen=True)
class Problem:
    """Why a slot cannot be bought as planned; ``stock`` where it is sold out or gone."""

    text: str
    stock: bool


def offers_by_key(offers: pd.DataFrame) -> Sold:
    """Return the offers as they can be bought, by create key and size."""
    return Sold(as_sold(offer_records(offers)))


def check_target(plan: Plan, digest: str, state: State, target: Mapping[str, str | None]) -> None:
    """Check the plan's marketplace and team against those of the key.

    Raises
    ------
    PlanStale
        When they differ.
    """
    bound = plan.target or (state.plans.get(digest) or {}).get("target")
    if bound is None or dict(bound) == dict(target):
        return
    there, here = account_text(bound), account_text(target)
    raise PlanStale(
        f"the plan is for {there}; your key is for {here}",
        drift=[f"plan for {there}, key for {here}"],
        hint="set PRIME_API_BASE_URL and PRIME_TEAM_ID to the plan's, or plan again",
    )


def check_age(plan: Plan, now: datetime, max_age: timedelta) -> None:
    """Refuse a plan that is too old.

    Raises
    ------
    PlanStale
        When it is too old, or from the future.
    """
    age = now - datetime.fromisoformat(plan.created_at)
    if age > max_age:
        hour = timedelta(hours=1)
        text = f"the plan is {age / hour:.1f} hours old, and at most {max_age / hour:g} are allowed"
        raise PlanStale(text, drift=[text], hint="plan again, or allow it with --max-age 48h")
    if age < -_SKEW:
        raise PlanStale("the plan was made in the future", hint="correct this machine's clock")


def check_second_purchase(
    ctx: Context, slots: Sequence[Slot], volumes: Iterable[str], listing: DiskListing
) -> None:
    """Refuse to buy for a project what another of its plans has bought, and this one replaces not.

    Parameters
    ----------
    ctx : Context
        The run; `again` in it allows a second purchase.
    volumes : iterable of str
        Names of all volumes of the demand.

    Raises
    ------
    Conflict
        When another plan's disk is live, under the same name or one that the demand lacks.
    """
    if ctx.again:
        return
    _check_renamed(ctx, slots, {*volumes}, listing)
    wanted = {key for slot in slots for key in slot.keys}
    replaced = {disk_id for slot in slots for disk_id in slot.replaces}
    twins = [
        entry
        for entry in ctx.entries
        if entry.plan != ctx.plan
        and not wanted.isdisjoint(entry.keys)
        and entry.is_in_use
        and replaced.isdisjoint(entry.ids)
    ]
    alive = [entry for entry in twins if ctx.is_live(entry, listing)]
    if alive:
        lines = [
            f"  {visible(entry.key)}: {entry.ids[0]} at {hourly(entry.counted_usd_hr)}"
            for entry in alive
        ]
        raise Conflict(
            f"an earlier plan of {visible(ctx.plans[-1].project)} has bought this already:\n"
            + "\n".join(lines),
            hint="plan again, which keeps them; or buy a second set on purpose with --again",
        )


def _check_renamed(
    ctx: Context, slots: Sequence[Slot], volumes: set[str], listing: DiskListing
) -> None:
    """Check that no new volume is one that the project has on a disk under another name."""
    before = [entry for entry in ctx.entries if entry.may_exist and entry.plan != ctx.plan]
    known = {volume for entry in before for volume in entry.volumes}
    former = [
        (entry, share)
        for entry in ctx.entries
        if entry.is_in_use
        for share in entry.shares
        if share.volume not in volumes
    ]
    for new in (share for slot in slots for share in slot.shares if share.volume not in known):
        same = (each for each in former if each[1].size_gb == new.size_gb)
        entry, share = next(same, (None, new))
        if entry is not None and ctx.is_live(entry, listing):
            old, name = visible(f"{ctx.plans[-1].project}/{share.volume}"), visible(new.volume)
            rename = f"planner rename {shlex.quote(old)} {shlex.quote(name)}"
            raise Conflict(
                f"{name} is new, and {old} is no longer in the demand: disk {entry.ids[0]} of "
                f"{entry.size_gb:,} GB may be the same data under its former name",
                hint=f"if it is: `{rename}`, then plan again; if not, buy with --again, or "
                "destroy the old disk first",
            )


def check_offer(slot: Slot, offers: Sold, limits: Limits) -> Problem | None:
    """Return why a slot cannot be bought as planned today; None where it can."""
    offer, listed = offers.offer(slot.offer, slot.size_gb), offers.rows(slot.offer)
    where = f"{visible(slot.key)} at {visible(' '.join(str(part) for part in slot.offer if part))}"
    if not listed:
        return Problem(f"{where}: the offer is gone", stock=True)
    if offer is None:
        problems = {visible(row["problem"]) for row in listed if row["problem"] is not None}
        why = "; ".join(sorted(problems)) or f"{slot.size_gb} GB is no longer a size it sells"
        return Problem(f"{where}: {why}", stock=False)
    if STOCK_RANK[offer["stock"]] < STOCK_RANK[slot.stock or "unknown"]:
        return Problem(f"{where}: stock is {visible(offer['stock'])}", stock=True)
    wrong = next(_drift(slot, offer, limits), None)
    return Problem(f"{where}: {wrong}", stock=False) if wrong else None


def _drift(slot: Slot, offer: Mapping[str, Any], limits: Limits) -> Iterator[str]:
    """Yield what about an offer is no longer as planned."""
    if offer["problem"] is not None:
        yield visible(offer["problem"])
    price = offer["usd_gb_hr"]
    if price is None:
        yield "the offer has no usable price"
    elif price > limits.may_cost(slot.usd_gb_hr):
        yield f"${plain(price)} per GB and hour where ${plain(slot.usd_gb_hr)} was planned"


def check_offers(
    slots: Sequence[Slot],
    offers: Sold,
    limits: Limits,
) -> None:
    """Check all slots that are to be sent against today's market.

    Raises
    ------
    OutOfStock
        When the only problems are missing offers and stock.
    PlanStale
        When something else has changed; ``drift`` lists it.
    """
    problems = [p for slot in slots if (p := check_offer(slot, offers, limits))]
    if not problems:
        return
    texts = [problem.text for problem in problems]
    kind = OutOfStock if all(problem.stock for problem in problems) else PlanStale
    raise kind(
        "the market has changed since the plan was made:\n" + "\n".join(f"  {t}" for t in texts),
        drift=texts,
    )


def price_now(slot: Slot, offers: Sold) -> Decimal:
    """Return what a slot may cost per hour today: the plan's price, or the market's if higher."""
    offer = offers.offer(slot.offer, slot.size_gb)
    now = slot.usd_gb_hr if offer is None else offer["usd_gb_hr"]
    return usd_hr(slot.size_gb, max(slot.usd_gb_hr, now))


@dataclass(frozen=True)
class Funds:
    """The wallet, and what it pays for.

    Attributes
    ----------
    balance_usd : Decimal | None
        None where the key may not know it.
    usd_hr : Decimal
        Every disk of the account, whoever's it is, with what is bought.
    """

    balance_usd: Decimal | None
    usd_hr: Decimal


def check_wallet(
    ctx: Context, listing: DiskListing, to_send_usd_hr: Decimal, limits: Limits
) -> Funds:
    """Return what is in the wallet, and what it pays for once everything is bought.

    Raises
    ------
    PlanStale
        When a runway is asked for and the balance does not last, or is unknown.
    """
    running = total(disk.usd_hr for disk in listing.live if disk.usd_hr is not None)
    pending = total(
        entry.counted_usd_hr for entry in ctx.state.entries.values() if entry.is_pending
    )
    burn = total((running, pending, to_send_usd_hr))
    try:
        balance = ctx.marketplace.wallet().balance_usd
    except MarketError as error:
        if limits.min_runway_hr is not None:
            raise PlanStale(
                f"the balance is unknown, so the runway cannot be checked ({error})",
                hint="use a key that may read the wallet, or leave out --min-runway",
            ) from error
        ctx.warnings.append(
            "balance unknown: this key may not read the wallet, or the wallet has none"
        )
        return Funds(None, burn)
    least = limits.min_runway_hr
    if least is not None and burn * least > balance:
        raise PlanStale(
            f"the wallet has ${money(balance)}; all disks together cost ${money(burn, 4)}/h, "
            f"so it lasts {lasting(balance / burn)}, less than the {lasting(least)} asked for",
            hint="add funds, or ask for less with --min-runway",
        )
    if least is None and burn and burn * LEAST_HOURS > balance:
        ctx.warnings.append(
            f"the wallet has ${money(balance)}; at ${money(burn, 4)}/h for all disks it lasts "
            f"{lasting(max(balance, Decimal(0)) / burn)}: add funds, or disks may be lost"
        )
    return Funds(balance, burn)


Recorded = dict[tuple[str, int], tuple[str, ...]]
"""(volume, replica) → ids of the disks bought as that replica, the first disk first."""


def read_account(marketplace: Marketplace) -> pd.DataFrame:
    """Return the disks of an account, read whole (columns ``DISKS``).

    Raises
    ------
    MarketError
        When the account cannot be read.
    """
    listing = marketplace.disks(trust_empty=False)
    frame = disks_frame(listing.live)
    frame.attrs = {"source": listing.source, "fetched_at": None}
    return frame


def _listed_id(entry: Entry, same_name: Sequence[Any]) -> str | None:
    """Return the id of a slot's disk: as recorded, or listed under a name that may be live."""
    if entry.stage == "created" and len(entry.ids) == 1:
        return entry.ids[0]
    may_be_live = entry.is_pending or entry.stage in UNPROVEN
    if not may_be_live or len(same_name) != 1 or entry.expected.differences(same_name[0]):
        return None
    disk_id: str | None = same_name[0].id
    return disk_id


def listed_ids(entries: Iterable[Entry], disks: pd.DataFrame | None) -> dict[str, str | None]:
    """Return the id of each slot's disk by its name: recorded, or of a pending create listed now.

    Parameters
    ----------
    disks : DataFrame | None
        Columns ``DISKS``: the account.
    """
    listed: dict[str, list[SimpleNamespace]] = {}
    for row in records_of(disks) if disks is not None else ():
        listed.setdefault(row["name"], []).append(SimpleNamespace(**row))
    return {entry.name: _listed_id(entry, listed.get(entry.name, [])) for entry in entries}


@dataclass(frozen=True)
class ProjectDisks:
    """The disks that the journal has of a project.

    Attributes
    ----------
    in_use, superseded : dict
        (volume, replica) → ids: as much of a replica as there is, and disks that later ones
        replaced.
    warnings : tuple of str
        One sentence for each disk whose outcome is unknown, or that is far dearer than when bought.
    origins : tuple of str
        The demand files that they were bought for.
    """

    in_use: Recorded
    superseded: Recorded
    warnings: tuple[str, ...]
    origins: tuple[str, ...]


def recorded_disks(
    records: Sequence[dict[str, Any]],
    project: str,
    target: dict[str, str | None],
    disks: pd.DataFrame | None = None,
) -> ProjectDisks:
    """Return the disks that the journal says a project has, and its unknown outcomes.

    Where several plans bought a replica, the disks of the last plan that has all of them are in
    use.

    Parameters
    ----------
    target : dict
        Base URL and team of the marketplace.
    disks : DataFrame | None
        Columns ``DISKS``: the account. A pending create whose disk is listed counts as bought.
    """
    state = State(records)
    mine = state.at(target, project)
    ids = listed_ids(mine, disks)
    bought: dict[tuple[str, int], dict[str, dict[int, str | None]]] = {}
    superseded: Recorded = {}
    disks_of: dict[tuple[str, str, int], int] = {}
    for entry, share in ((each, share) for each in mine for share in each.shares):
        replica = (share.volume, share.replica)
        if entry.is_superseded:
            superseded[replica] = (*superseded.get(replica, ()), *entry.ids)
        elif entry.stage != "transferred":
            plans = bought.setdefault(replica, {})
            plans.setdefault(entry.plan, {})[entry.disk] = ids[entry.name]
            size = max(entry.disk, entry.disks, disks_of.get((entry.plan, *replica), 0))
            disks_of[entry.plan, *replica] = size
    complete: Recorded = {}
    incomplete: Recorded = {}
    for replica, plans in bought.items():
        for plan, by_number in plans.items():
            known = [disk_id for _, disk_id in sorted(by_number.items()) if disk_id is not None]
            if known:
                is_complete = len(known) == disks_of[plan, *replica]
                (complete if is_complete else incomplete)[replica] = tuple(known)
    return ProjectDisks(
        {**incomplete, **complete},
        superseded,
        (
            *(
                f"volume {entry.title}: whether {entry.name} was bought is unknown; "
                "`planner apply` reconciles it, and buys nothing twice"
                for entry in mine
                if entry.is_pending and ids[entry.name] is None
            ),
            *_repriced((e for e in mine if not e.is_superseded), ids, disks),
        ),
        tuple(dict.fromkeys(e.origin for e in mine if e.origin and ids[e.name] is not None)),
    )


_DEARER_PERCENT = 10
"""Per cent above its price when bought from which a disk is warned of."""


def _repriced(
    entries: Iterable[Entry], ids: Mapping[str, str | None], disks: pd.DataFrame | None
) -> Iterator[str]:
    """Yield which disks cost far more by now than when they were bought."""
    prices = {row["id"]: row["usd_hr"] for row in records_of(disks)} if disks is not None else {}
    for entry in entries:
        disk_id, bought = ids[entry.name], entry.expected.usd_hr
        now = prices.get(disk_id) or bought
        if now > total((bought, part(bought, Decimal(_DEARER_PERCENT)))):
            was, is_now = (money(usd_month(usd)) for usd in (bought, now))
            more = f"{percent_of(difference(now, bought), bought):.0f} % more" if bought else "more"
            yield (
                f"disk {disk_id} (volume {entry.title}) costs ${is_now}/month, {more} than when it "
                f"was bought (${was}/month)"
            )


_REMOTE = re.compile(r'\[remote "origin"\][^\[]*?^\s*url\s*=\s*(\S+)', re.MULTILINE)
_SECRET = re.compile(r"(?<=//)[^/@]*@")


def origin_of(source: str) -> str:
    """Return where a demand file lives: repository and path in it, or else the absolute path.

    Parameters
    ----------
    source : str
        As it was typed. Standard input and shipped files live nowhere: the text stays as it is.
    """
    path = Path(source)
    if source == "-" or not path.exists():
        return source
    path = path.resolve()
    for folder in path.parents:
        config = folder / ".git" / "config"
        try:
            remote = _REMOTE.search(config.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            continue
        if remote is not None:
            url = _SECRET.sub("", remote[1])
            return f"{url}#{path.relative_to(folder).as_posix()}"
        break
    return str(path)


def is_known_place(origin: str) -> bool:
    """Return whether an origin says where a file lives, and can be compared with another."""
    return origin.startswith("/") or "#" in origin
