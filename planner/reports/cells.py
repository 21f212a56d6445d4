"""Cells: amounts, sizes and times as a report's tables have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from planner.units import money, usd_month

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal


Item = TypeVar("Item")


def gb(size_gb: int) -> str:
    """Return a size."""
    return f"{size_gb:,}"


def usd(amount: Decimal | None, unknown: str = "") -> str:
    """Return an amount rounded to the cent, or what stands for one that nobody knows."""
    return unknown if amount is None else money(amount)


def usd_month_of(amount_usd_hr: Decimal | None) -> str:
    """Return what an hourly amount comes to in a month of 730 hours."""
    return "" if amount_usd_hr is None else money(usd_month(amount_usd_hr))


def cut(items: Sequence[Item], most: int | None) -> tuple[Sequence[Item], Sequence[Item]]:
    """Return the items that a table shows, and those that it sums; one alone is never summed."""
    if most is None or len(items) <= most + 1:
        return items, ()
    return items[:most], items[most:]
