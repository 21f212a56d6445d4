"""Offers as they can be bought: one for each create key and set of rows that sell the same sizes.

A create request names provider, cloud id, data centre, country and size, nothing else. A size that
one row sells is that row's: tiered prices are listed so. Rows that sell the same size cannot be
told apart when buying it, so a plan relies only on what all of them give.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from planner.market.offers import KEY, OFFERS, offer_records
from planner.market.tiers import divide, grid_of
from planner.market.wire import STOCK_RANK, UNBOUNDED_GB
from planner.schema import AMOUNT, EXACT, TEXT, WHOLE, YES_NO, Column, build, handed_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd


ADDRESSABLE = (
    Column("offer_id", TEXT, "short id of the dearest row"),
    Column("offer_ids", EXACT, "tuple of the short ids of all rows"),
    *(column for column in OFFERS if column.name in KEY),
    Column("region", TEXT, "null: unknown; several, comma-separated, where rows differ"),
    Column("regions", EXACT, "tuple of the regions of all rows, None for unknown"),
    Column("min_gb", WHOLE, "smallest size; sizes are min_gb + k * step_gb"),
    Column("max_gb", WHOLE, "largest bound of sizes; null: unbounded"),
    Column("step_gb", WHOLE, "step between sizes"),
    Column("usd_gb_hr", AMOUNT, "highest price; null: a row is unpriced"),
    Column("default_included", YES_NO, "a row's price is said to include the default size"),
    Column("stock", TEXT, "weakest level"),
    Column("security", TEXT, "weakest class; null: unknown"),
    Column("multinode", YES_NO, "true only where all rows are; null: unknown"),
    Column("ambiguous", YES_NO, "several rows sell these sizes at this create key"),
    Column("open_key", YES_NO, "a request without what is null could match rows that have it"),
    Column("problem", TEXT, "why it cannot be bought at all; null: it can"),
)
"""Columns of the offers that a plan chooses from, by create key, null first, and sizes."""


def addressable(offers: pd.DataFrame, *, exact: bool = False) -> pd.DataFrame:
    """Return the rows (columns ``ADDRESSABLE``) of each create key: no size is in two of them.

    Parameters
    ----------
    offers : DataFrame
        Columns ``OFFERS``.
    exact : bool
        Amounts are Decimals; else floats.

    Raises
    ------
    FrameError
        When the frame is not one of offers.
    """
    return handed_out(build(as_sold(offer_records(offers)), ADDRESSABLE), exact=exact)


def as_sold(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows (keys ``ADDRESSABLE``) of each create key: no size is in two of them.

    Parameters
    ----------
    rows : sequence of dict
        Of `offer_records`.
    """
    groups: dict[tuple[str | None, ...], list[dict[str, Any]]] = {}
    for index, row in enumerate(rows):
        key = tuple(row[name] for name in KEY)
        # Without a provider there is no request that could be confused with another.
        groups.setdefault(key if key[0] else (*key, str(index)), []).append(row)
    # A request leaves out all nulls: it could match offers that have a cloud id or a place there.
    wider = {
        (key[0], *less)
        for key in groups
        if key[0]
        for less in product(*({part, None} for part in key[1:4]))
        if less != key[1:4]
    }
    return [
        {**segment, "open_key": key in wider}
        for key in sorted(groups, key=key_order)
        for segment in _segments(groups[key])
    ]


def key_order(key: Sequence[str | None]) -> tuple[tuple[bool, str], ...]:
    """Return what sorts create keys: part by part, null first."""
    return tuple((part is not None, part or "") for part in key)


class Sold:
    """The offers as they can be bought, by create key and size.

    Parameters
    ----------
    offers : iterable of dict
        Keys ``ADDRESSABLE``, or those of ``OFFERS``: what its rows sell.
    """

    def __init__(self, offers: Iterable[dict[str, Any]]) -> None:
        self._of_key: dict[tuple[str | None, ...], list[tuple[int, dict[str, Any]]]] = {}
        for number, row in enumerate(offers):
            key = tuple(row[name] for name in KEY)
            self._of_key.setdefault(key, []).append((number, row))

    def rows(self, key: Sequence[str | None]) -> list[dict[str, Any]]:
        """Return the rows of a create key, of any size."""
        return [row for _, row in self._of_key.get(tuple(key), ())]

    def numbers(self, key: Sequence[str | None], size_gb: int) -> list[int]:
        """Return the numbers of the rows of a create key that sell disks of a size."""
        mine = self._of_key.get(tuple(key), ())
        return [number for number, row in mine if size_gb in grid_of(row)]

    def offer(self, key: Sequence[str | None], size_gb: int) -> dict[str, Any] | None:
        """Return the first row of a create key that sells disks of a size, None where none does."""
        return next((row for row in self.rows(key) if size_gb in grid_of(row)), None)


def _segments(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a create key's rows by the sizes that the same of them sell.

    A row with errors may sell any of them. One that sells nothing stands alone.
    """
    if len(rows) == 1:
        return [_worst_case(rows)]
    rows = sorted(rows, key=_any_order)
    broken = [row for row in rows if row["problem"] is not None]
    sound = [(row, grid_of(row)) for row in rows if row["problem"] is None]
    selling = [(row, grid) for row, grid in sound if grid]
    if not selling and broken:
        return [_worst_case(rows)]
    found = [_worst_case([row]) for row, grid in sound if not grid]
    worst: dict[frozenset[int], dict[str, Any]] = {}
    for grid, sellers in divide([grid for _, grid in selling]):
        if sellers not in worst:
            mine = [selling[seller][0] for seller in sorted(sellers)]
            worst[sellers] = _worst_case([*mine, *broken])
        sizes = {
            "min_gb": grid.first,
            "max_gb": None if grid.last + grid.step > UNBOUNDED_GB else grid.last,
            "step_gb": grid.step,
        }
        found.append({**worst[sellers], **sizes})
    return sorted(found, key=lambda row: (row["min_gb"], row["step_gb"], row["offer_id"]))


def _any_order(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return what sorts rows whatever order they are listed in."""
    bound = UNBOUNDED_GB if row["max_gb"] is None else row["max_gb"]
    return (row["min_gb"], bound, row["step_gb"], row["offer_id"], str(row["usd_gb_hr"]))


def _worst_case(rows: list[dict[str, Any]]) -> dict[str, Any]:
    prices = [row["usd_gb_hr"] for row in rows]
    priced = [price for price in prices if price is not None]
    usd_gb_hr = max(priced) if len(priced) == len(prices) else None
    dearest = max(priced, default=None)
    offer_id = min(row["offer_id"] for row in rows if row["usd_gb_hr"] == dearest or not priced)
    regions = tuple(sorted({row["region"] for row in rows}, key=lambda name: (name or "",)))
    problems = sorted({row["problem"] for row in rows if row["problem"] is not None})
    return {
        **{name: rows[0][name] for name in (*KEY, "min_gb", "max_gb", "step_gb")},
        "offer_id": offer_id,
        "offer_ids": tuple(sorted(row["offer_id"] for row in rows)),
        "region": ", ".join(name or "unknown" for name in regions) if regions != (None,) else None,
        "regions": regions,
        "usd_gb_hr": usd_gb_hr,
        "default_included": _any_true(row["default_included"] for row in rows),
        "stock": min((row["stock"] for row in rows), key=_stock_order),
        "security": _weakest_security([row["security"] for row in rows]),
        "multinode": _all_true([row["multinode"] for row in rows]),
        "ambiguous": len(rows) > 1,
        "problem": "; ".join(problems) or None,
    }


def _any_true(values: Iterable[bool | None]) -> bool | None:
    known = [value for value in values if value is not None]
    return any(known) if known else None


def _all_true(values: list[bool | None]) -> bool | None:
    if False in values:
        return False
    return None if None in values else True


def _stock_order(level: str) -> tuple[int, bool, str]:
    return (STOCK_RANK[level], level == "unknown", level)  # a listed word is quoted


def _weakest_security(classes: list[str | None]) -> str | None:
    order = {"secure_cloud": 2, "community_cloud": 1}
    return min(classes, key=lambda name: (name is not None, order.get(name or "", 0), name or ""))
