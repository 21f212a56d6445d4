"""Disk offers as a frame.

Source of the row's meaning: the vendor's guide and API description of ``/availability/disks``.
Missing is unknown, never yes; unpriced is not free; nothing is dropped.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from planner.market.tiers import divide, grid_of
from planner.market.wire import (
    REGIONS,
    SECURITY,
    STOCK_RANK,
    UNBOUNDED_GB,
    RowReader,
    id_part,
    is_price,
    stock_word,
)
from planner.schema import (
    AMOUNT,
    TEXT,
    WHOLE,
    YES_NO,
    Column,
    build,
    conform,
    json_value,
    records,
    require,
)
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from planner.schema import Table


OFFERS = (
    Column("row", WHOLE, "place in the listing, from 1"),
    Column("offer_id", TEXT, "short id, as the vendor's client prints it"),
    Column("provider", TEXT, "null: the row names no usable create key and is not sellable"),
    Column("cloud_id", TEXT, "null: the offer has none"),
    Column("data_center", TEXT, "null: unknown"),
    Column("country", TEXT, "null: unknown"),
    Column("region", TEXT, "null: unknown"),
    Column("min_gb", WHOLE, "smallest size; sizes are min_gb + k * step_gb, at least 1"),
    Column("max_gb", WHOLE, "largest size; null: unbounded"),
    Column("step_gb", WHOLE, "step between sizes"),
    Column("default_gb", WHOLE, "the vendor's default size; null: none"),
    Column("usd_gb_hr", AMOUNT, "price, USD per GB and hour; null: unpriced"),
    Column("default_included", YES_NO, "the price is said to include the default size"),
    Column("stock", TEXT, "level, see STOCK_RANK; a word planner does not know as it is listed"),
    Column("security", TEXT, "secure_cloud, community_cloud; null: unknown"),
    Column("multinode", YES_NO, "several nodes can mount it; null: unknown"),
    Column(
        "ambiguous", YES_NO, "another row of its create key sells, or may sell, one of its sizes"
    ),
    Column("problem", TEXT, "why the row cannot be used; null: it can"),
)
"""Columns of an offers frame, sorted by create key and price."""

KEY = ("provider", "cloud_id", "data_center", "country")
"""What a create request names besides the size: offers that share it cannot be distinguished."""

MARKET = ("offer_id", *(column.name for column in OFFERS[2:-2]), "problem")
"""Columns that are facts of the market: what a plan keeps and its digest covers."""


def short_id(row: Mapping[str, Any]) -> str:
    """Return the id that ``prime availability disks`` shows for a row of the API.

    The first six hex digits of the MD5 of provider, cloud id, data centre, country, region and
    default size, each followed by a hyphen, ``None`` for null (the vendor's client, 0.18).
    """
    spec = row.get("spec")
    default = spec.get("defaultCount") if isinstance(spec, dict) else None
    names = ("provider", "cloudId", "dataCenter", "country", "region")
    text = "".join(f"{id_part(part)}-" for part in (*(row.get(name) for name in names), default))
    digest = hashlib.md5(text.encode(errors="backslashreplace"), usedforsecurity=False)
    return digest.hexdigest()[:6]


def place_text(offer: Mapping[str, Any]) -> str:
    """Return where an offer or placement is, as people read it: provider, data centre, country."""
    country = f" ({offer['country']})" if offer["country"] else ""
    return f"{offer['provider'] or 'no provider'} {offer['data_center'] or 'unnamed'}{country}"


def stock_note(stock: str) -> str | None:
    """Return what a buyer has to know where the stock of an offer is unknown, None where it is not.

    Parameters
    ----------
    stock : str
        Value of the column ``stock``.
    """
    if stock == "unknown":
        return "stock is not listed, so it may be out of stock"
    if stock not in STOCK_RANK:
        return f"stock is listed as '{visible(stock)}', which planner does not know; check it first"
    return None


def offers_frame(rows: Iterable[Any]) -> pd.DataFrame:
    """Return rows of the API as an offers frame (columns ``OFFERS``), every row kept."""
    return build(_marked([offer_facts(place, row) for place, row in enumerate(rows, 1)]), OFFERS)


def offer_facts(place: int, row: Any) -> dict[str, Any]:  # noqa: ANN401 -- any JSON value
    """Return what one row of the API says, all but ``ambiguous``, which other rows decide."""
    read = RowReader(row)
    where = {
        "provider": read.text("provider", required=True, sent=True),
        "cloud_id": read.text("cloudId", sent=True),
        "data_center": read.text("dataCenter", sent=True),
        "country": read.text("country", sent=True),
    }
    if read.problems:
        where["provider"] = None  # its create key is unknown, and may be no other row's
    currency = read.text("currency")
    if currency is not None and currency.upper() != "USD":
        read.problems.append(f"currency is {visible(currency)[:40]}, only USD is understood")
    max_gb, min_gb = read.whole("spec.maxCount"), read.whole("spec.minCount") or 0
    step_gb = read.whole("spec.step") or 1
    if (min_gb or step_gb) >= UNBOUNDED_GB:
        read.problems.append("the smallest size is larger than any disk")
    values = {
        "row": place,
        "offer_id": short_id(row if isinstance(row, dict) else {}),
        **where,
        "region": read.word("region", REGIONS),
        "min_gb": min_gb,
        "max_gb": None if max_gb is None or max_gb >= UNBOUNDED_GB else max_gb,
        "step_gb": step_gb,
        "default_gb": read.whole("spec.defaultCount"),
        "usd_gb_hr": read.price("spec.pricePerUnit"),
        "default_included": read.yes_no("spec.defaultIncludedInPrice"),
        "stock": read.stock("stockStatus"),
        "security": read.word("security", SECURITY),
        "multinode": read.yes_no("isMultinode"),
        "ambiguous": False,
    }
    return {**values, "problem": read.problem}


def conform_offers(offers: pd.DataFrame) -> Table:
    """Return a caller's offers frame, columns ``OFFERS``, held against what an offer can be.

    Raises
    ------
    FrameError
        When a declared column is missing, of another type, or has a value that no listing gives.
    """
    frame = conform(offers, OFFERS, what="offers")
    prices = [price is None or is_price(price) for price in frame["usd_gb_hr"]]
    sound = {
        "offer_id": frame["offer_id"].notna(),
        "provider": frame["provider"].notna() | frame["problem"].notna(),
        "min_gb": frame["min_gb"] >= 0,
        "step_gb": frame["step_gb"] >= 1,
        "usd_gb_hr": pd.Series(prices, dtype="boolean"),
        "stock": frame["stock"].notna()
        & pd.Series([stock_word(word) == word for word in frame["stock"].fillna("")]),
    }
    for name in KEY:
        sent = pd.Series([_is_sent(text) for text in frame[name]], dtype="boolean")
        sound[name] = sound[name] & sent if name in sound else sent
    return require(frame, "offers", sound, "offer")


def _is_sent(text: object) -> bool:
    """Return whether a part of a create key can be sent, and shown: null, or printable text."""
    return not isinstance(text, str) or (text != "" and visible(text) == text)


def _marked(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mark sizes that several rows sell and sort, so that the order of a listing does not show."""
    of_key: dict[tuple[str | None, ...], list[int]] = {}
    for number, row in enumerate(rows):
        of_key.setdefault(tuple(row[name] for name in KEY), []).append(number)
    shared = set[int]()
    for numbers in of_key.values():
        if len(numbers) > 1:
            shared.update(_overlapping(rows, numbers))
    marked = [{**row, "ambiguous": number in shared} for number, row in enumerate(rows)]
    return _sorted(marked)


def _overlapping(rows: Sequence[dict[str, Any]], numbers: Sequence[int]) -> Iterable[int]:
    """Return which rows of a create key another may sell a size of; a broken row may sell any."""
    if any(rows[number]["problem"] is not None for number in numbers):
        return numbers
    grids = [grid_of(rows[number]) for number in numbers]
    selling = [number for number, grid in zip(numbers, grids, strict=True) if grid]
    divided = divide([grid for grid in grids if grid])
    return {selling[at] for _, sellers in divided if len(sellers) > 1 for at in sellers}


def _sorted(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sort by create key, null first, then price; where these are equal by every other fact."""

    def first(row: Mapping[str, Any]) -> tuple[Any, ...]:
        price = row["usd_gb_hr"]
        key = tuple((row[name] is not None, row[name] or "") for name in KEY)
        return (key, price is not None, price or 0)

    def rest(row: Mapping[str, Any]) -> tuple[Any, ...]:
        return (tuple(str(json_value(row[name])) for name in MARKET), row["row"])

    equal = (list(some) for _, some in groupby(sorted(rows, key=first), key=first))
    return [row for some in equal for row in (sorted(some, key=rest) if some[1:] else some)]


def offer_records(offers: pd.DataFrame) -> list[dict[str, Any]]:
    """Return an offers frame as checked rows in canonical order (keys ``OFFERS``).

    Raises
    ------
    FrameError
        When the frame is not one of offers.
    """
    return _marked(records(conform_offers(offers)))


class Sizes:
    """The size grids of N offers as arrays.

    Parameters
    ----------
    offers : DataFrame
        Columns min_gb, max_gb (null: unbounded) and step_gb, N rows.

    Attributes
    ----------
    sells : ndarray of bool, shape (N,)
        Whether an offer sells any size at all.
    """

    def __init__(self, offers: pd.DataFrame) -> None:
        most = offers["max_gb"].fillna(UNBOUNDED_GB).astype("int64").to_numpy()
        self._min = offers["min_gb"].astype("int64").to_numpy()
        self._step = offers["step_gb"].astype("int64").to_numpy()
        self._first = np.where(self._min >= 1, 0, 1)
        last = (most - self._min) // self._step
        self.sells = last >= self._first
        self._largest = np.maximum(self._min + np.maximum(last, 0) * self._step, 1)

    @cached_property
    def grids(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return an offer of each different grid, and the number of each offer's grid."""
        looks = np.stack([self._min, self._step, self._first, self._largest])
        _, offers, numbers = np.unique(looks, axis=1, return_index=True, return_inverse=True)
        return offers, numbers.reshape(-1)

    def provision(
        self, need_gb: int | NDArray[np.int64], offers: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the fewest disks that hold a size, and their least total in GB, shape (N,).

        Meaningless where an offer sells nothing.

        Parameters
        ----------
        need_gb : int or ndarray of int64, shape (R, 1)
            A size; of several, the results have shape (R, N).
        offers : ndarray of int64 | None
            Some of the offers; None: all of them.
        """
        at: Any = slice(None) if offers is None else offers
        least, step = self._min[at], self._step[at]
        disks = -(-need_gb // self._largest[at])
        missing = need_gb - disks * least
        steps = np.maximum(disks * self._first[at], -(-missing // step))
        return disks, disks * least + steps * step


def disk_sizes_gb(provision_gb: int, disks: int, min_gb: int, step_gb: int) -> tuple[int, ...]:
    """Return the sizes of the disks that make up a provision: equal within a step, larger first.

    >>> disk_sizes_gb(12_001, 2, 0, 1)
    (6001, 6000)
    """
    steps, larger = divmod((provision_gb - disks * min_gb) // step_gb, disks)
    small = min_gb + steps * step_gb
    return (small + step_gb,) * larger + (small,) * (disks - larger)
