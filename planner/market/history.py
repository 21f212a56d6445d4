"""How price and stock of offers moved, as far as planner has read the market.

A history is a sequence of complete listings. An offer that a listing lacks was not for sale then;
where several rows cannot be told apart when buying, the dearest price and the weakest stock count,
as in a plan.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.errors import InputError, StateUnusable
from planner.formats import default_state
from planner.market.gpu_view import parse_gpu
from planner.market.history_file import Readings, read_readings, read_targets
from planner.market.market import key_order
from planner.market.offers import KEY
from planner.market.tiers import grid_of
from planner.market.wire import STOCK_RANK
from planner.present.progress import tracked
from planner.present.table import counted
from planner.schema import AMOUNT, TEXT, WHOLE, YES_NO, Column, build, handed_out
from planner.text import visible
from planner.units import difference, percent_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from planner.market.shapes import Listing

_PLACE = (
    Column("provider", TEXT, "null: unknown"),
    Column("cloud_id", TEXT, "null: none, or unknown"),
    Column("data_center", TEXT, "null: unknown"),
    Column("country", TEXT, "null: unknown"),
    Column("region", TEXT, "null: unknown"),
)
_DISK = (
    Column("offer_id", TEXT, "short id"),
    *_PLACE,
    Column("min_gb", WHOLE, "smallest size"),
    Column("max_gb", WHOLE, "largest size; null: unbounded"),
)
_GPU = (
    Column("listing", TEXT, "gpus (one node) or multi-node"),
    Column("offer_id", TEXT, "short id"),
    *_PLACE,
    Column("gpu_type", TEXT, "model"),
    Column("gpus", WHOLE, "GPUs in the offer"),
    Column("socket", TEXT, "null: unknown"),
    Column("spot", YES_NO, "can be interrupted; null: unknown"),
)


def _summary(offer: Sequence[Column], price: str) -> tuple[Column, ...]:
    return (
        *offer,
        Column(price, AMOUNT, "last price, null: never priced"),
        Column(f"min_{price}", AMOUNT, "lowest price"),
        Column(f"max_{price}", AMOUNT, "highest price"),
        Column("price_changes", WHOLE, "how often the price changed"),
        Column("change_percent", AMOUNT, "last price against the first"),
        Column("stock", TEXT, "level in the newest listing; null: it is not listed there"),
        Column("listings", WHOLE, "listings read since it was first listed"),
        Column("stock_listings", WHOLE, "listings of these in which its stock is known"),
        Column("in_stock", WHOLE, "listings of these in which it was in stock"),
        Column("in_stock_percent", AMOUNT, "share of them, null: never known"),
        Column("first_seen_at", TEXT, "when it was first listed, UTC"),
        Column("last_seen_at", TEXT, "when it was last listed, UTC"),
    )


def _changes(offer: Sequence[Column], price: str) -> tuple[Column, ...]:
    return (
        Column("from_at", TEXT, "first listing in which price and stock were so, UTC"),
        Column("to_at", TEXT, "last listing in a row in which they were, UTC"),
        Column("listings", WHOLE, "how many listings in a row"),
        *offer,
        Column(price, AMOUNT, "null: unpriced or not listed"),
        Column("stock", TEXT, "level, or as listed; null: it was not listed"),
    )


HISTORY, GPU_HISTORY = _summary(_DISK, "usd_gb_hr"), _summary(_GPU, "usd_hr")
"""Columns of a history: one row for each offer, sorted by place."""
CHANGES, GPU_CHANGES = _changes(_DISK, "usd_gb_hr"), _changes(_GPU, "usd_hr")
"""Columns of the changes: one row for each stretch without a change, sorted by time."""
_FEWEST = 2
"""Listings that make a record: one is today's."""
_Row = dict[str, Any]


@dataclass(frozen=True)
class _Stretch:
    """Listings in a row in which an offer had one price and one stock.

    Attributes
    ----------
    offer : dict
        Its row, of the newest listing that has it.
    price : Decimal | None
        None: unpriced, or not listed.
    stock : str | None
        None: not listed.
    """

    offer: Mapping[str, Any]
    first: int
    last: int
    price: Decimal | None
    stock: str | None

    @property
    def readings(self) -> int:
        """Return how many listings there are."""
        return self.last - self.first + 1

    @property
    def is_in_stock(self) -> bool | None:
        """Return whether it could be bought, None where that is unknown."""
        return is_in_stock(self.stock)


def is_in_stock(stock: str | None) -> bool | None:
    """Return whether an offer can be bought at a stock level, None where that is unknown.

    Parameters
    ----------
    stock : str | None
        None: the offer is not listed.
    """
    rank = -1 if stock is None else STOCK_RANK[stock]
    return None if rank == 0 else rank > 0


def _stretches(read: Readings, names: Sequence[str]) -> list[list[_Stretch]]:
    """Return the stretches of each offer, in order; names are what tells offers apart."""
    keys = {row_id: tuple(row[name] for name in names) for row_id, row in read.rows.items()}
    now: dict[tuple[Any, ...], set[int]] = defaultdict(set)
    begun: dict[tuple[Any, ...], list[tuple[int, Decimal | None, str | None]]] = {}
    offers: dict[tuple[Any, ...], int] = {}
    before: frozenset[int] = frozenset()
    for at, listing_id in enumerate(tracked(read.listing_ids, "Comparing listings")):
        rows = read.row_ids[listing_id]
        if rows == before:
            continue
        changed = {keys[row_id] for row_id in rows ^ before}
        for row_id in before - rows:
            now[keys[row_id]].discard(row_id)
        for row_id in rows - before:
            now[keys[row_id]].add(row_id)
            offers[keys[row_id]] = row_id
        for key in changed:
            state = _state([read.rows[row_id] for row_id in now[key]])
            turns = begun.setdefault(key, [])
            if not turns or turns[-1][1:] != state:
                turns.append((at, *state))
        before = rows
    end = len(read.listing_ids)
    return [
        [
            _Stretch(read.rows[offers[key]], first, after - 1, price, stock)
            for (first, price, stock), (after, *_) in zip(
                turns, [*turns[1:], (end, None, None)], strict=True
            )
        ]
        for key, turns in begun.items()
    ]


def _state(rows: Sequence[Mapping[str, Any]]) -> tuple[Decimal | None, str | None]:
    """Return price and stock of rows that are one offer; those of an offer that is not listed."""
    if not rows:
        return None, None
    weakest = min((row["stock"] for row in rows), key=lambda word: (STOCK_RANK[word], word))
    prices = [_price(row) for row in rows]
    return (None if None in prices else max(filter(None, prices))), weakest


def _price(row: Mapping[str, Any]) -> Decimal | None:
    text = row["usd_gb_hr" if "usd_gb_hr" in row else "usd_hr"]
    return None if text is None or row["problem"] is not None else Decimal(text)


def _summarised(stretches: Sequence[_Stretch], read: Readings, price: str) -> _Row:
    prices = [each.price for each in stretches if each.price is not None]
    listed = [each for each in stretches if each.stock is not None]
    known = sum(each.readings for each in stretches if each.is_in_stock is not None)
    in_stock = sum(each.readings for each in stretches if each.is_in_stock)
    return {
        **stretches[-1].offer,
        price: prices[-1] if prices else None,
        f"min_{price}": min(prices, default=None),
        f"max_{price}": max(prices, default=None),
        "price_changes": sum(old != new for old, new in pairwise(prices)),
        "change_percent": _change_percent(prices),
        "stock": stretches[-1].stock,
        "listings": sum(each.readings for each in stretches),
        "stock_listings": known,
        "in_stock": in_stock,
        "in_stock_percent": percent_of(Decimal(in_stock), Decimal(known)),
        "first_seen_at": read.seen_at[listed[0].first],
        "last_seen_at": read.seen_at[listed[-1].last],
    }


def _change_percent(prices: Sequence[Decimal]) -> Decimal | None:
    return percent_of(difference(prices[-1], prices[0]), prices[0]) if prices else None


def history(
    *,
    gpu: str | None = None,
    providers: Sequence[str] = (),
    data_centers: Sequence[str] = (),
    countries: Sequence[str] = (),
    regions: Sequence[str] = (),
    since: str | datetime | None = None,
    changes: bool = False,
    gpus: bool = False,
    target: Mapping[str, str | None] | None = None,
    state: str | Path | None = None,
    exact: bool = False,
) -> pd.DataFrame:
    """Return how often each offer was in stock, and how its price moved, in the listings so far.

    Every command that reads the live market records what it listed; so do `fetch_offers` and
    `fetch_gpus`. Without any record the frame is empty.

    Parameters
    ----------
    gpu : str | None
        Offers of this GPU, such as ``A100_80GB``, or ``A100_80GB:8`` for eight, instead of disks.
    providers, data_centers, countries, regions : sequence of str
        Keep offers at any of these places; empty keeps all.
    since : str | datetime | None
        Leave out earlier listings; a text is a date or time in ISO 8601, UTC unless it says so.
    changes : bool
        Return a row for each stretch of listings without a change, instead of one for each offer.
    gpus : bool
        Every GPU offer, instead of disks.
    target : mapping | None
        ``base_url`` and ``team_id``; None takes the marketplace that was read last.
    state : str | Path | None
        State directory; None is planner's own.
    exact : bool
        Amounts as Decimals instead of floats.

    Returns
    -------
    DataFrame
        Columns ``HISTORY``, for GPUs ``GPU_HISTORY``; with ``changes`` ``CHANGES`` or
        ``GPU_CHANGES``. Times are UTC. ``attrs`` has ``listings`` (how many listings of disks, or
        of GPUs on one node, there are), ``since`` (the first of them) and ``source``.

    Raises
    ------
    InputError
        When a value is not understood.
    StateUnusable
        When the record cannot be read.

    Examples
    --------
    >>> history(state="/nowhere").empty
    True
    """
    folder = default_state() if state is None else Path(state)
    if target is None:
        targets = read_targets(folder)
        target = vars(targets[0]) if targets else {"base_url": "", "team_id": None}
    where: dict[str, Sequence[Any]] = {
        "provider": providers,
        "data_center": data_centers,
        "country": countries,
        "region": regions,
    }
    if gpu is not None:
        model, count = parse_gpu(gpu)
        where |= {"gpu_type": [model], "gpus": [] if count is None else [count]}
    is_gpu = gpus or gpu is not None
    names: tuple[Listing, ...] = ("gpus", "multi-node") if is_gpu else ("disks",)
    columns = (GPU_CHANGES, GPU_HISTORY) if is_gpu else (CHANGES, HISTORY)
    price = "usd_hr" if is_gpu else "usd_gb_hr"
    offer = tuple(column.name for column in (_GPU if is_gpu else _DISK))
    kinds = tracked(names, "Reading the market history")
    read = [read_readings(folder, name, target, since=_time(since), where=where) for name in kinds]
    rows: list[_Row] = []
    for part in read:
        for stretches in _stretches(part, offer):
            if changes:
                rows += _changed(stretches, part, price)
            else:
                rows.append(_summarised(stretches, part, price))
    frame = build(sorted(rows, key=_by_time if changes else _by_place), columns[not changes])
    first = read[0].seen_at
    frame.attrs = {
        "listings": len(first),
        "since": first[0] if first else None,
        "source": target["base_url"],
    }
    return handed_out(frame, exact=exact)


def _changed(stretches: Sequence[_Stretch], read: Readings, price: str) -> Iterator[_Row]:
    for each in stretches:
        yield {
            **each.offer,
            "from_at": read.seen_at[each.first],
            "to_at": read.seen_at[each.last],
            "listings": each.readings,
            price: each.price,
            "stock": each.stock,
        }


def _by_place(row: Mapping[str, Any]) -> tuple[Any, ...]:
    texts = key_order([row.get(name) for name in ("gpu_type", *KEY)])
    return (*texts, row.get("gpus") or 0, row.get("min_gb") or 0, row["offer_id"])


def _by_time(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return (row["from_at"], *_by_place(row))


def _time(since: str | datetime | None) -> datetime | None:
    if since is None:
        return None
    try:
        moment = since if isinstance(since, datetime) else datetime.fromisoformat(since)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        message = f"since: {visible(str(since))!r} is not a date or time"
        raise InputError(message, hint="such as 2026-03-01 or 2026-03-01T12:00") from error


@dataclass(frozen=True)
class OfferRecord:
    """How one offer did in the listings so far.

    Attributes
    ----------
    in_stock, listings : int
        Listings in which it was in stock, and in which its stock is known.
    change_percent : Decimal | None
        The last price against the first; None where it was never priced.
    """

    in_stock: int
    listings: int
    since: str
    price_changes: int
    change_percent: Decimal | None

    def __str__(self) -> str:
        stock = f"stock unknown since {self.since[:10]}"
        if self.listings:
            percent = f"{100 * self.in_stock / self.listings:.0f} %"
            of = f"of {counted(self.listings, 'listing')} since {self.since[:10]}"
            stock = f"in stock in {percent} {of}"
        return f"{stock}, {self._price}"

    @property
    def _price(self) -> str:
        if self.change_percent is None:
            return "never priced"
        if not self.price_changes:
            return "price unchanged"
        if self.price_changes == 1:
            return f"price changed once, by {self.change_percent:+.1f} %"
        if not self.change_percent:
            return f"price changed {self.price_changes} times, now as at first"
        return f"price changed {self.price_changes} times, by {self.change_percent:+.1f} % in all"


def offer_records(
    disks: Sequence[tuple[Sequence[str | None], int]],
    target: Mapping[str, str | None],
    state: str | Path | None = None,
) -> list[OfferRecord | None]:
    """Return how the offers of disks did, None where fewer than two listings have shown one.

    Parameters
    ----------
    disks : sequence of (sequence of str | None, int)
        Create key (provider, cloud id, data centre, country) and size in GB: rows that do not
        sell the size are left out.
    target : mapping
        ``base_url`` and ``team_id``.
    state : str | Path | None
        State directory; None is planner's own.
    """
    folder = default_state() if state is None else Path(state)
    providers = [*dict.fromkeys(key[0] for key, _ in disks)]
    try:
        read = read_readings(folder, "disks", target, where={"provider": providers})
    except StateUnusable:
        return [None] * len(disks)  # recording, or `planner history`, says so
    return [_offer_record(read, tuple(key), size_gb) for key, size_gb in disks]


def _offer_record(read: Readings, key: tuple[str | None, ...], size_gb: int) -> OfferRecord | None:
    sold = {
        row_id
        for row_id, row in read.rows.items()
        if tuple(row[name] for name in KEY) == key and size_gb in grid_of(row)
    }
    row_ids = {number: rows.intersection(sold) for number, rows in read.row_ids.items()}
    stretches = next(iter(_stretches(replace(read, row_ids=row_ids), KEY)), [])
    if sum(each.readings for each in stretches) < _FEWEST:
        return None
    summary = _summarised(stretches, read, "usd_gb_hr")
    return OfferRecord(
        summary["in_stock"],
        summary["stock_listings"],
        summary["first_seen_at"],
        summary["price_changes"],
        summary["change_percent"],
    )
