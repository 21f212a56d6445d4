"""The market as a person looks at it: filtered, priced for a size, sorted, grouped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

from planner.errors import InputError
from planner.market.market import Sold, as_sold
from planner.market.offers import KEY, Sizes, conform_offers, offer_records
from planner.market.places import PLACES, as_options, known_places, unknown_place
from planner.market.tiers import grid_of
from planner.market.wire import STOCK_RANK, UNBOUNDED_GB
from planner.schema import (
    AMOUNT,
    TEXT,
    WHOLE,
    Column,
    as_pandas,
    build,
    conformed,
    handed_out,
    records,
    with_columns,
)
from planner.text import suggestion, visible
from planner.units import HOURS_PER_MONTH, as_decimal, usd_hr, usd_month

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from decimal import Decimal

    from planner.schema import Table

SITE = ("provider", "data_center", "country")
GROUPS = ("provider", "data_center", "country", "region", "security", "stock")
"""Columns that offers can be grouped by."""
_GROUPED = (
    Column("offers", WHOLE, "rows"),
    Column("in_stock", WHOLE, "rows that are not Unavailable"),
    Column("sites", WHOLE, "places: provider, data centre and country"),
    Column("min_usd_gb_hr", AMOUNT, "lowest price; null: none is priced"),
    Column("max_usd_gb_hr", AMOUNT, "the same, highest"),
)
_SIZED = (
    Column("provision_gb", WHOLE, "the cheapest disk that holds the size"),
    Column("usd_hr", AMOUNT, "what it costs an hour; null: unpriced"),
    Column("usd_month", AMOUNT, f"the same in {HOURS_PER_MONTH} hours"),
)

_WORDS = {
    "security": ("secure_cloud", "community_cloud"),
    "stock": tuple(STOCK_RANK),
}
_PRICE_WORDS = {"price", "cost", "usd", "$/gb/h", "$/tb/month", "cheapest"}
"""What people call the price when they sort by it: headings of the table among them."""
_PLACES = {field: column for column, field in PLACES.items()}


@dataclass(frozen=True)
class PlaceFilter:
    """Which disk or GPU offers to show; None and empty ask for nothing.

    Attributes
    ----------
    regions, countries, providers, data_centers : sequence of str
        Keep offers at any of these places.
    security : str | None
        Keep this security class.
    stock : str | None
        Keep this stock level and better.

    Raises
    ------
    InputError
        When a value is not known, or a list is a text.
    """

    regions: Sequence[str] = ()
    countries: Sequence[str] = ()
    providers: Sequence[str] = ()
    data_centers: Sequence[str] = ()
    security: str | None = None
    stock: str | None = None

    def __post_init__(self) -> None:
        for field, known in _WORDS.items():
            word = getattr(self, field)
            if word is not None and word not in known:
                hint = suggestion(str(word), known, f"one of {', '.join(known)}")
                raise InputError(f"{field} {visible(str(word))!r} is not known", hint=hint)
        for field in (*_PLACES, *self.lists):
            if isinstance(getattr(self, field), str):
                raise InputError(f"{field} is one text", hint=f"give a list: {field}=[…]")

    lists: ClassVar[tuple[str, ...]] = ()
    """Fields that are lists, beside the places."""


@dataclass(frozen=True)
class Filter(PlaceFilter):
    """Which disk offers to show: at which places (see `PlaceFilter`), and what is below.

    Attributes
    ----------
    multinode : bool
        Keep offers that several nodes can mount.
    size_gb : int | None
        Keep offers with one disk that holds this many GB.
    max_usd_gb_hr : Decimal | float | None
        Keep priced offers up to this price.
    """

    multinode: bool = False
    size_gb: int | None = None
    max_usd_gb_hr: Decimal | float | None = None


def unknown_places(offers: Sequence[Mapping[str, Any]], which: PlaceFilter) -> list[str]:
    """Return a sentence for each place of a filter that no offer has, with the nearest one.

    Without any offer there is none: no place is known then.
    """
    known = known_places(offers)
    return [
        unknown_place(column, name, known, as_options)
        for field, column in _PLACES.items()
        for name in getattr(which, field)
        if offers and name not in known[column]
    ]


def offers(
    listing: pd.DataFrame,
    which: Filter | None = None,
    *,
    sort: str | None = None,
    descending: bool = False,
    group_by: str | None = None,
    exact: bool = False,
) -> pd.DataFrame:
    """Return the disk market: what is for sale where, at what price.

    Parameters
    ----------
    listing : DataFrame
        Columns ``OFFERS``: see `read_offers` and `fetch_offers`.
    which : Filter | None
        What to keep, and for which size to price it; None keeps every row.
    sort : str | None
        A column; None sorts by cost. Nulls come last.
    descending : bool
        Largest first.
    group_by : str | None
        One of ``GROUPS``: one row for each value.
    exact : bool
        Amounts are Decimals; else floats.

    Returns
    -------
    DataFrame
        As of `list_offers`, grouped as of `group_offers`.

    Raises
    ------
    InputError
        When there is no such column or group.
    FrameError
        When the frame is not one of offers.

    Examples
    --------
    >>> import planner
    >>> listing = planner.read_offers("shipped:disk-offers")
    >>> planner.offers(listing, planner.Filter(size_gb=4000))["usd_month"].min().item()
    204.4
    """
    which = which or Filter()
    if group_by is None:
        return list_offers(listing, which, sort=sort, descending=descending, exact=exact)
    groups = group_offers(list_offers(listing, which, exact=True), group_by, exact=exact)
    return sort_frame(groups, sort, descending=descending) if sort else groups


def list_offers(
    offers: pd.DataFrame,
    which: Filter,
    *,
    sort: str | None = None,
    descending: bool = False,
    exact: bool = False,
) -> pd.DataFrame:
    """Return the offers a filter keeps, priced for its size.

    Parameters
    ----------
    offers : DataFrame
        Columns ``OFFERS``; others are kept.
    sort : str | None
        A column; None sorts by cost, or by price where the filter has no size. Nulls come last.
    exact : bool
        Amounts are Decimals; else floats.

    Returns
    -------
    DataFrame
        With a size also ``provision_gb`` (the cheapest disk that holds it), ``usd_hr`` and
        ``usd_month`` (the month at 730 h; null where unpriced): where several rows
        sell that size at one create key, those of the dearest, as a plan counts them.

    Raises
    ------
    InputError
        When there is no such column to sort by.
    FrameError
        When the frame is not one of offers.
    """
    offers = as_pandas(offers)
    kept: pd.DataFrame = conformed(offers, conform_offers(offers))
    kept = kept[_kept(kept, which)]
    if which.size_gb is not None:
        sold, rows = Sold(as_sold(offer_records(offers))), records(conform_offers(kept))
        cheapest = [
            _cheapest(row, sold.rows([row[name] for name in KEY]), which.size_gb) for row in rows
        ]
        costs = [cost for cost, _ in cheapest]
        provision_gb = [size for _, size in cheapest]
        months = [None if cost is None else usd_month(cost) for cost in costs]
        kept = with_columns(kept, dict(zip(_SIZED, (provision_gb, costs, months), strict=True)))
    cost = "usd_gb_hr" if which.size_gb is None else "usd_hr"
    return handed_out(sort_frame(kept, sort or cost, descending=descending), exact=exact)


def _cheapest(
    row: Mapping[str, Any], offers: Sequence[Mapping[str, Any]], size_gb: int
) -> tuple[Decimal | None, int]:
    """Return cost and size of the cheapest disk of a row that holds a size, as a plan buys it.

    Parameters
    ----------
    offers : sequence of mapping
        The offers of the row's create key (columns ``ADDRESSABLE``).
    """
    sizes = grid_of(row)
    found = []
    for one in offers:
        least = grid_of(one).between(size_gb, UNBOUNDED_GB)
        if one["usd_gb_hr"] is not None and one["problem"] is None and least:
            found.append((usd_hr(least.first, one["usd_gb_hr"]), least.first))
    mine = [(cost, size) for cost, size in found if size in sizes]
    return min(mine, default=(None, sizes.between(size_gb, UNBOUNDED_GB).first))


def kept_rows(offers: pd.DataFrame, which: PlaceFilter) -> pd.Series[bool]:
    """Return which disk or GPU offers are at the places, of the class and in the stock asked."""
    keep = pd.Series(data=True, index=offers.index)
    for field, column in _PLACES.items():
        names = getattr(which, field)
        if names:
            keep &= offers[column].isin(list(names)).astype(bool)
    if which.security is not None:
        keep &= (offers["security"] == which.security).fillna(value=False).astype(bool)
    if which.stock is not None:
        keep &= offers["stock"].map(STOCK_RANK) >= STOCK_RANK[which.stock]
    return keep


def _kept(offers: pd.DataFrame, which: Filter) -> pd.Series[bool]:
    keep = kept_rows(offers, which)
    if which.multinode:
        keep &= offers["multinode"].fillna(value=False).astype(bool)
    if which.size_gb is not None:
        sizes = Sizes(offers)
        keep &= offers["problem"].isna() & sizes.sells & (sizes.provision(which.size_gb)[0] == 1)
    if which.max_usd_gb_hr is not None:
        limit = as_decimal(which.max_usd_gb_hr)
        cheap = [not pd.isna(price) and price <= limit for price in offers["usd_gb_hr"]]
        keep &= offers["problem"].isna() & pd.Series(cheap, index=offers.index, dtype=bool)
    return keep


def sort_frame(
    frame: pd.DataFrame, column: str, *, descending: bool = False, price: str = "usd_gb_hr"
) -> pd.DataFrame:
    """Return a frame sorted by a column, nulls last, ties in their order.

    Parameters
    ----------
    price : str
        The column that was likely meant by somebody who asks for the price.

    Raises
    ------
    InputError
        When there is no such column.
    """
    if column not in frame:
        meant = price if column.casefold() in _PRICE_WORDS else column
        hint = suggestion(meant, frame.columns, f"columns: {', '.join(frame.columns)}")
        raise InputError(f"there is no column {visible(column)!r} to sort by", hint=hint)
    ranks = frame[column].map(STOCK_RANK) if column == "stock" else frame[column]
    keys = [(pd.isna(value), value) for value in ranks]
    known = [index for index, (null, _) in enumerate(keys) if not null]
    known.sort(key=lambda index: keys[index][1], reverse=descending)
    nulls = [index for index, (null, _) in enumerate(keys) if null]
    return frame.iloc[[*known, *nulls]]


def group_offers(offers: pd.DataFrame, by: str, *, exact: bool = False) -> pd.DataFrame:
    """Return one row for each value of a column, the cheapest first.

    Parameters
    ----------
    offers : DataFrame
        Columns ``OFFERS``.
    by : str
        One of ``GROUPS``.
    exact : bool
        Amounts are Decimals; else floats.

    Returns
    -------
    DataFrame
        The column, ``offers`` (rows), ``in_stock`` (rows not Unavailable), ``sites``,
        ``min_usd_gb_hr`` and ``max_usd_gb_hr`` (of priced rows; null: none).

    Raises
    ------
    InputError
        When the column is not one of ``GROUPS``.
    FrameError
        When the frame is not one of offers.
    """
    if by not in GROUPS:
        raise InputError(
            f"cannot group by {visible(by)!r}", hint=f"choose from {', '.join(GROUPS)}"
        )
    groups = grouped(conform_offers(offers), (by,), lambda rows: sums(rows, "usd_gb_hr"), _GROUPED)
    shown = sort_frame(groups, "min_usd_gb_hr").reset_index(drop=True)
    return handed_out(shown, exact=exact)


def grouped(
    frame: pd.DataFrame,
    by: Sequence[str],
    summed: Callable[[Sequence[Mapping[str, Any]]], Mapping[str, Any]],
    columns: Sequence[Column],
) -> Table:
    """Return one row for each group, by the columns that name it, null last."""
    groups: dict[tuple[str | None, ...], list[dict[str, Any]]] = {}
    for row in records(frame):
        groups.setdefault(tuple(row[name] for name in by), []).append(row)
    named = [Column(name, TEXT, "of the group; null: unknown") for name in by]
    ordered = sorted(groups, key=lambda key: [(part is None, part or "") for part in key])
    rows = [{**dict(zip(by, key, strict=True)), **summed(groups[key])} for key in ordered]
    return build(rows, [*named, *columns])


def sums(rows: Sequence[Mapping[str, Any]], price: str) -> dict[str, Any]:
    """Return how many offers there are, in stock and at how many sites, and their prices."""
    prices = [row[price] for row in rows if row[price] is not None]
    return {
        "offers": len(rows),
        "in_stock": sum(row["stock"] != "Unavailable" for row in rows),
        "sites": len(sites(rows)),
        f"min_{price}": min(prices, default=None),
        f"max_{price}": max(prices, default=None),
    }


def sites(rows: Iterable[Mapping[str, Any]]) -> set[tuple[str | None, ...]]:
    """Return the places where offers are: provider, data centre and country."""
    return {tuple(row[name] for name in SITE) for row in rows}
