"""Offers as they can be bought: one for each create key, in its worst case.

A create request names provider, cloud id, data centre, country and size, nothing else. Rows that
agree on these cannot be told apart when buying, so a plan may rely only on what all of them give.
"""

from __future__ import annotations

from math import lcm
from typing import TYPE_CHECKING, Any

from planner.market.offers import KEY, OFFERS, conform_offers
from planner.market.wire import STOCK_RANK, UNBOUNDED_GB
from planner.schema import EXACT, TEXT, WHOLE, YES_NO, Column, build, records

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd


ADDRESSABLE = (
    Column("offer_id", TEXT, "short id of the dearest row"),
    Column("offer_ids", EXACT, "tuple of the short ids of all rows"),
    *(column for column in OFFERS if column.name in KEY),
    Column("region", TEXT, "null: unknown; several, comma-separated, where rows differ"),
    Column("regions", EXACT, "tuple of the regions of all rows, None for unknown"),
    Column("min_gb", WHOLE, "smallest size that every row sells; sizes are min_gb + k * step_gb"),
    Column("max_gb", WHOLE, "largest bound of sizes that every row sells; null: unbounded"),
    Column("step_gb", WHOLE, "step between sizes that every row sells"),
    Column("usd_gb_hr", EXACT, "highest price, exact Decimal; null: a row is unpriced"),
    Column("default_included", YES_NO, "a row's price is said to include the default size"),
    Column("stock", TEXT, "weakest level"),
    Column("security", TEXT, "weakest class; null: unknown"),
    Column("multinode", YES_NO, "true only where all rows are; null: unknown"),
    Column("ambiguous", YES_NO, "several rows have this create key"),
    Column("cloud_open", YES_NO, "a request without cloud id could match rows that have one"),
    Column("problem", TEXT, "why it cannot be bought at all; null: it can"),
)
"""Columns of the offers that a plan chooses from, sorted by create key, null first."""


def addressable(offers: pd.DataFrame) -> pd.DataFrame:
    """Return one row (columns ``ADDRESSABLE``) for each create key of an offers frame.

    Parameters
    ----------
    offers : DataFrame
        Columns ``OFFERS``.

    Raises
    ------
    FrameError
        When the frame is not one of offers.
    """
    groups: dict[tuple[str | None, ...], list[dict[str, Any]]] = {}
    for index, row in enumerate(records(conform_offers(offers))):
        key = tuple(row[name] for name in KEY)
        # Without a provider there is no request that could be confused with another.
        groups.setdefault(key if key[0] else (*key, str(index)), []).append(row)
    with_cloud: dict[str | None, list[tuple[str | None, ...]]] = {}
    for key in groups:
        if key[1] is not None:
            with_cloud.setdefault(key[0], []).append(key)
    merged = [
        {**_worst_case(groups[key]), "cloud_open": _is_open(key, with_cloud.get(key[0], ()))}
        for key in sorted(groups, key=key_order)
    ]
    return build(merged, ADDRESSABLE)


def _is_open(key: Sequence[str | None], with_cloud: Iterable[Sequence[str | None]]) -> bool:
    """Return whether a request without cloud id, which leaves out all nulls, could match others."""
    return key[1] is None and any(
        all(part is None or part == other for part, other in zip(key, row, strict=True))
        for row in with_cloud
    )


def key_order(key: Sequence[str | None]) -> tuple[tuple[bool, str], ...]:
    """Return what sorts create keys: part by part, null first."""
    return tuple((part is not None, part or "") for part in key)


def _worst_case(rows: list[dict[str, Any]]) -> dict[str, Any]:
    prices = [row["usd_gb_hr"] for row in rows]
    priced = [price for price in prices if price is not None]
    usd_gb_hr = max(priced) if len(priced) == len(prices) else None
    dearest = max(priced, default=None)
    offer_id = min(row["offer_id"] for row in rows if row["usd_gb_hr"] == dearest or not priced)
    regions = tuple(sorted({row["region"] for row in rows}, key=lambda name: (name or "",)))
    problems = sorted({row["problem"] for row in rows if row["problem"] is not None})
    sizes = _common_sizes(rows)
    if sizes is None:
        problems.append("rows that share its create key sell no common size")
    min_gb, max_gb, step_gb = sizes or (0, 0, 1)
    return {
        **{name: rows[0][name] for name in KEY},
        "offer_id": offer_id,
        "offer_ids": tuple(sorted(row["offer_id"] for row in rows)),
        "region": ", ".join(name or "unknown" for name in regions) if regions != (None,) else None,
        "regions": regions,
        "min_gb": min_gb,
        "max_gb": max_gb,
        "step_gb": step_gb,
        "usd_gb_hr": usd_gb_hr,
        "default_included": _any_true(row["default_included"] for row in rows),
        "stock": min((row["stock"] for row in rows), key=_stock_order),
        "security": _weakest_security([row["security"] for row in rows]),
        "multinode": _all_true([row["multinode"] for row in rows]),
        "ambiguous": len(rows) > 1,
        "problem": "; ".join(problems) or None,
    }


def _common_sizes(rows: list[dict[str, Any]]) -> tuple[int, int | None, int] | None:
    """Return (min, max, step) of the sizes that every row sells, or None where there are none."""
    start, step, bound = 0, 1, UNBOUNDED_GB
    for row in rows:
        found = _meet(start, step, row["min_gb"], row["step_gb"])
        if found is None:
            return None
        start, step = found
        bound = min(bound, row["max_gb"] if row["max_gb"] is not None else UNBOUNDED_GB)
    if len(rows) > 1 and (start or step) > min(bound, UNBOUNDED_GB - 1):
        return None
    return start, None if bound == UNBOUNDED_GB else bound, step


def _meet(a: int, step_a: int, b: int, step_b: int) -> tuple[int, int] | None:
    """Return start and step of the sizes in both ``a + i*step_a`` and ``b + j*step_b``."""
    step = lcm(step_a, step_b)
    gcd = step_a * step_b // step
    if (b - a) % gcd:
        return None
    modulus = step_b // gcd
    i = (b - a) // gcd * pow(step_a // gcd, -1, modulus) % modulus
    first = a + i * step_a
    least = max(a, b)
    first += -((first - least) // step) * step
    return first, min(step, UNBOUNDED_GB)


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
