"""How volumes grow, how far ahead is planned, and what moving data costs: section `policy`.

Each is kept as the text that a person would write, in one canonical form; numbers are read from
it exactly.
"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Annotated

from pydantic import Field, PlainValidator, WithJsonSchema

from planner.demand.fields import Budget, Value, shown
from planner.units import exact_gb, parse_percent, plain

MAX_MONTHS = 120
MAX_GROWTH_PERCENT = 1_000
MAX_HOURS = 24 * 366
_A_MONTH = re.compile(r"\s*(\S.{0,58}?)\s*(?:/|\bper\b|\ba\b)\s*month\s*", re.IGNORECASE)
_SPAN = re.compile(r"\s*(\d{1,6}(?:\.\d{1,6})?)\s*(hour|day|week|month|year)s?\s*", re.IGNORECASE)
_HOURS = {"hour": 1, "day": 24, "week": 168}
_MONTHS = {"month": 1, "year": 12}


def _growth(value: object) -> str:
    """Return how a volume grows, in its canonical form."""
    match = _A_MONTH.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        hint = f"; write '{value}/month'" if isinstance(value, str) and value.endswith("%") else ""
        raise ValueError(
            f"growth such as '10%/month' or '400 GB/month' was expected, not {shown(value)}{hint}"
        )
    amount = match[1]
    if not amount.endswith("%"):
        return f"{plain(exact_gb(amount))} GB/month"
    percent = parse_percent(amount)
    if percent > MAX_GROWTH_PERCENT:
        raise ValueError(f"growth is at most {MAX_GROWTH_PERCENT}%/month, not {shown(value)}")
    return f"{plain(percent)}%/month"


def _horizon(value: object) -> str:
    """Return how far ahead is planned, in whole months."""
    text = f"{value} months" if type(value) is int else value
    match = _SPAN.fullmatch(text) if isinstance(text, str) else None
    months = Decimal(match[1]) * _MONTHS.get(match[2].lower(), 0) if match else Decimal(0)
    if months % 1 or not 1 <= months <= MAX_MONTHS:
        raise ValueError(
            f"1 to {MAX_MONTHS} whole months such as '12 months' were expected, not {shown(value)}"
        )
    return f"{plain(months)} month{'s' * (months != 1)}"


def _span(value: object) -> str:
    """Return a time in days, or in hours where it is no whole number of days."""
    match = _SPAN.fullmatch(value) if isinstance(value, str) else None
    unit = match[2].lower() if match else ""
    if match is None or unit not in _HOURS:
        raise ValueError(f"a time such as '3 days' or '36 hours' was expected, not {shown(value)}")
    hours = Decimal(match[1]) * _HOURS[unit]
    if hours > MAX_HOURS:
        raise ValueError(f"{shown(value)} is more than a year")
    amount, unit = (hours, "hour") if hours % 24 else (hours / 24, "day")
    return f"{plain(amount)} {unit}{'s' * (amount != 1)}"


def _text(example: str, *more: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "examples": [example, *more]})


Growth = Annotated[str, PlainValidator(_growth), _text("10%/month", "400 GB/month")]
Horizon = Annotated[str, PlainValidator(_horizon), _text("12 months", "2 years")]
Span = Annotated[str, PlainValidator(_span), _text("3 days", "36 hours")]


class Move(Value):
    """What moving data from one disk to another costs, and when it may happen for a better price.

    Examples
    --------
    >>> Move().overlap_hours
    Decimal('72')
    """

    payback: Span | None = Field(
        None,
        description="An existing disk is replaced by a cheaper one if the saving pays for the move "
        "within this time. Default: existing disks never move for a better price.",
    )
    overlap: Span = Field(
        "3 days", description="How long both disks are billed while data is copied. Default 3 days."
    )
    egress_usd_gb: Budget = Field(
        Decimal(0), description="What the old provider charges for each GB copied. Default 0."
    )

    @property
    def overlap_hours(self) -> Decimal:
        """Return for how long both disks are billed."""
        return span_hours(self.overlap)

    @property
    def payback_hours(self) -> Decimal | None:
        """Return within which time a move has to pay for itself; None: it never happens."""
        return None if self.payback is None else span_hours(self.payback)


@lru_cache(maxsize=64)
def span_hours(span: str) -> Decimal:
    """Return the hours of a time in its canonical form."""
    amount, unit = span.split()
    return Decimal(amount) * _HOURS[unit.removesuffix("s")]


@lru_cache(maxsize=64)
def months_of(horizon: str) -> int:
    """Return the months of a horizon in its canonical form."""
    return int(horizon.split(maxsplit=1)[0])


@lru_cache(maxsize=2**16)
def grown(base_gb: int, growth: str | None, month: int) -> int:
    """Return what a volume holds at the end of a month, in whole GB, rounded up.

    Parameters
    ----------
    growth : str | None
        In its canonical form; None: it stays as it is.
    month : int
        From 0.

    Examples
    --------
    >>> grown(1000, "10%/month", 1), grown(1000, "400 GB/month", 1)
    (1210, 1800)
    """
    if growth is None:
        return base_gb
    factor, more, under = _grows_by(growth, month + 1)
    return -(-(base_gb * factor + more) // under)


@lru_cache(maxsize=2**16)
def _grows_by(growth: str, months: int) -> tuple[int, int, int]:
    """Return by what GB are multiplied, what is added, and by what both are divided."""
    amount = growth.removesuffix("/month")
    if amount.endswith("%"):
        factor = (1 + Fraction(Decimal(amount[:-1])) / 100) ** months
        return factor.numerator, 0, factor.denominator
    more = Fraction(Decimal(amount.split()[0])) * months
    return more.denominator, more.numerator, more.denominator
