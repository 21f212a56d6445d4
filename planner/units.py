"""Money and sizes: exact decimals, rounded in one place.

GB is decimal (10^9 bytes), a price is USD per GB and hour, a month has 730 hours unless the
policy says otherwise. Money never passes through binary floats on its way to a person.
"""

from __future__ import annotations

import re
from decimal import (
    ROUND_CEILING,
    ROUND_DOWN,
    ROUND_HALF_EVEN,
    ROUND_HALF_UP,
    Context,
    Decimal,
    Inexact,
    InvalidOperation,
)
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HOURS_PER_MONTH = 730
MAX_GB = 10**9
"""The largest size a demand may name (an exabyte); a larger one is a typing mistake."""
MAX_PRICE_DIGITS = 40
"""Digits of a published price that are accepted; documented prices have at most 20."""

_EXACT = Context(prec=120, traps=[Inexact, InvalidOperation])
_ROUNDED = Context(prec=120)
_AVERAGED_PLACES = Decimal("1E-12")
_HOUR_US = Decimal(3_600_000_000)

_BYTES = {
    **{unit: Decimal(1000) ** power for power, unit in enumerate("MGTP", start=2)},
    **{f"{unit}I": Decimal(1024) ** power for power, unit in enumerate("MGTP", start=2)},
}
"""Bytes of a unit without its B: G and GB are 10^9, Gi and GiB 2^30."""
_GROUPED = r"\d{1,3}(?:[,_ ]\d{3}){1,9}|\d{1,30}"
_SIZE = re.compile(rf"\s*({_GROUPED})(\.\d{{1,30}})?\s*([MGTP]I?)B?\s*", re.ASCII | re.IGNORECASE)
_BLANKS = str.maketrans("\u00a0\u2007\u2009\u202f", "    ")
"""The spaces that typesetting puts into and behind a number."""
SIZE_PATTERN = r"^\s*(\d{1,3}([,_\s]\d{3})+|\d+)(\.\d+)?\s*[MmGgTtPp][Ii]?[Bb]?\s*$"
"""What a size looks like, for the JSON Schema."""
_PERCENT = re.compile(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*%?\s*", re.ASCII)


def usd_hr(size_gb: int, usd_gb_hr: Decimal) -> Decimal:
    """Return the exact hourly cost of a disk.

    Parameters
    ----------
    size_gb : int
        Size in GB, at most 10^15.
    usd_gb_hr : Decimal
        Published price, at most 40 digits.
    """
    return _EXACT.multiply(Decimal(size_gb), usd_gb_hr)


def as_decimal(number: Decimal | float) -> Decimal:
    """Return a number as the decimal that it reads as.

    >>> as_decimal(0.1), as_decimal(5)
    (Decimal('0.1'), Decimal('5'))
    """
    return Decimal(str(number))


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Return the exact sum; zero when there is nothing to add."""
    result = Decimal(0)
    for amount in amounts:
        result = _EXACT.add(result, amount)
    return result


def difference(left: Decimal, right: Decimal) -> Decimal:
    """Return ``left - right``, exactly."""
    return _EXACT.subtract(left, right)


def usd_month(amount_usd_hr: Decimal, hours_per_month: int = HOURS_PER_MONTH) -> Decimal:
    """Return what an hourly amount comes to in a month, exactly."""
    return _EXACT.multiply(amount_usd_hr, Decimal(hours_per_month))


def averaged_usd_hr(amount_usd_month: Decimal, hours_per_month: int) -> Decimal:
    """Return a month's cost per hour of the month: the one place where such a quotient is rounded.

    Exact where the quotient ends (a job that runs all month costs its price); one that goes on
    forever is rounded half to even at 12 decimal places.

    Parameters
    ----------
    amount_usd_month : Decimal
        USD in a month, exact, at most 80 digits.
    hours_per_month : int
        Hours of the month, as in a policy: ``672 ≤ h ≤ 744``.

    Examples
    --------
    >>> averaged_usd_hr(Decimal("500"), 730)
    Decimal('0.684931506849')
    """
    hours = Decimal(hours_per_month)
    try:
        return _EXACT.divide(amount_usd_month, hours)
    except Inexact:
        # 120 digits tell such a quotient from a tie: rounding it twice is rounding it once.
        return _ROUNDED.divide(amount_usd_month, hours).quantize(
            _AVERAGED_PLACES, ROUND_HALF_EVEN, _ROUNDED
        )


def usd_elapsed(amount_usd_hr: Decimal, microseconds: int) -> Decimal:
    """Return what an hourly amount comes to in a time, rounded half even at 12 decimal places.

    Examples
    --------
    >>> usd_elapsed(Decimal("0.075"), 1_000_000)
    Decimal('0.000020833333')
    """
    parts = _EXACT.multiply(amount_usd_hr, Decimal(microseconds))
    return _ROUNDED.divide(parts, _HOUR_US).quantize(_AVERAGED_PLACES, ROUND_HALF_EVEN, _ROUNDED)


def hours_left(balance_usd: Decimal, amount_usd_hr: Decimal) -> Decimal | None:
    """Return for how many hours a balance pays, rounded down at 6 places; None where nothing costs.

    >>> hours_left(Decimal("100"), Decimal("0.3"))
    Decimal('333.333333')
    """
    if not amount_usd_hr:
        return None
    hours = _ROUNDED.divide(max(balance_usd, Decimal(0)), amount_usd_hr)
    return hours.quantize(Decimal("1E-6"), ROUND_DOWN, _ROUNDED)


def product(left: Decimal, right: Decimal) -> Decimal:
    """Return ``left * right``, exactly: a price times a factor."""
    return _EXACT.multiply(left, right)


def part(amount: Decimal, percent: Decimal) -> Decimal:
    """Return per cent of an amount, exactly.

    >>> part(Decimal("1600"), Decimal("80"))
    Decimal('1280.00')
    """
    return _EXACT.scaleb(_EXACT.multiply(amount, percent), -2)


def percent_of(amount: Decimal, whole: Decimal) -> Decimal | None:
    """Return an amount as per cent of a whole, rounded half even at 4 places; None of nothing.

    >>> percent_of(Decimal("1340.507"), Decimal("1600"))
    Decimal('83.7817')
    """
    if not whole:
        return None
    shared = _ROUNDED.divide(_EXACT.multiply(amount, Decimal(100)), whole)
    return shared.quantize(Decimal("1E-4"), ROUND_HALF_EVEN, _ROUNDED)


def quotient(amount: Decimal, parts: int) -> Decimal:
    """Return an equal part of an amount, rounded half even to 30 digits where it goes on."""
    return Context(prec=30).divide(amount, Decimal(parts))


def split_gb(size_gb: int, weights: Sequence[int]) -> tuple[int, ...]:
    """Return whole GB in proportion to weights; what rounding adds goes to the largest.

    >>> split_gb(3000, [2000, 1000]), split_gb(100, [1, 1, 1])
    ((2000, 1000), (34, 33, 33))
    """
    largest, all_of_it = _largest(weights), sum(weights)
    parts = [size_gb * weight // all_of_it for weight in weights]
    parts[largest] += size_gb - sum(parts)
    return tuple(parts)


def split_usd(usd: Decimal, weights: Sequence[int]) -> tuple[Decimal, ...]:
    """Return an amount in proportion to weights; the parts add up to it, to the last decimal.

    >>> [str(part) for part in split_usd(Decimal("0.3"), [2000, 1000])]
    ['0.2', '0.1']
    """
    largest, all_of_it = _largest(weights), sum(weights)
    parts = [_divided(product(usd, Decimal(weight)), all_of_it) for weight in weights]
    rest = total(part for number, part in enumerate(parts) if number != largest)
    parts[largest] = difference(usd, rest)
    return tuple(parts)


def _divided(amount: Decimal, parts: int) -> Decimal:
    """Return an equal part, exact where it ends."""
    try:
        return _EXACT.divide(amount, Decimal(parts))
    except Inexact:
        return quotient(amount, parts)


def _largest(weights: Sequence[int]) -> int:
    """Return the number of the largest weight, the first of equal ones."""
    return max(range(len(weights)), key=lambda number: (weights[number], -number))


def plain(amount: Decimal) -> str:
    """Return the shortest plain notation of an exact amount: no exponent, no trailing zeros.

    >>> plain(Decimal("9.70E-5"))
    '0.000097'
    """
    text = f"{amount:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def money(amount: Decimal, places: int = 2, *, is_enough: bool = False) -> str:
    """Return an amount for people, rounded half up: the one place where money is rounded.

    ``is_enough`` rounds up, where it is a limit that a person may write.

    >>> money(Decimal("1234.565"))
    '1,234.57'
    >>> money(Decimal("1234.561"), is_enough=True)
    '1,234.57'
    """
    rounding = ROUND_CEILING if is_enough else ROUND_HALF_UP
    return f"{amount.quantize(Decimal(1).scaleb(-places), rounding, _ROUNDED):z,f}"


def hourly(usd_hr: Decimal | None) -> str:
    """Return an exact price of a disk, as people read it."""
    return "price unknown" if usd_hr is None else f"${plain(usd_hr)}/h"


def lasting(hours: Decimal) -> str:
    """Return how long something lasts, as people say it: days, and hours where there are few.

    >>> lasting(Decimal("240")), lasting(Decimal("7.25"))
    ('10.0 days', '7.3 hours')
    """
    days = hours / 24
    return f"{money(hours, 1)} hours" if days < 2 else f"{money(days, 1)} days"  # noqa: PLR2004


def parse_size_gb(text: str) -> int:
    """Return whole GB for a size as people write it, rounded up.

    >>> parse_size_gb("4 TB"), parse_size_gb("500Gi"), parse_size_gb("6,000 GB")
    (4000, 537, 6000)

    Raises
    ------
    ValueError
        When there is no number, no unit, or nothing is left of it; the message says what to write.
    """
    size_gb = int(exact_gb(text).to_integral_value(ROUND_CEILING))
    if size_gb < 1:
        raise ValueError("the size is nothing; write at least 1 GB")
    return size_gb


def exact_gb(text: str) -> Decimal:
    """Return GB for a size as people write it, exactly.

    >>> exact_gb("0.5 TB"), exact_gb("1 GiB")
    (Decimal('500.0'), Decimal('1.073741824'))

    Raises
    ------
    ValueError
        When there is no number or no unit; the message says what to write.
    """
    match = _SIZE.fullmatch(text.translate(_BLANKS))
    if match is None:
        hint = "write a number and a unit, such as '800 GB' or '4 TB'"
        if _SIZE.fullmatch(pointed := text.strip().replace(",", ".")):
            hint = f"write decimals with a point, such as '{pointed}'"
        raise ValueError(f"{text!r} is not a size; {hint}")
    number = Decimal(re.sub("[,_ ]", "", match[1]) + (match[2] or ""))
    return _ROUNDED.divide(_ROUNDED.multiply(number, _BYTES[match[3].upper()]), _BYTES["G"])


def parse_percent(text: str) -> Decimal:
    """Return per cent for ``5`` or ``5%``.

    >>> parse_percent("5%")
    Decimal('5')

    Raises
    ------
    ValueError
        When it is not a percentage, or a number below one without its sign: 0.25 could mean
        either 25 % or a quarter of one.
    """
    match = _PERCENT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a percentage; write '25%' or 25")
    value = Decimal(match[1])
    if 0 < value < 1 and "%" not in text:
        percent = plain(value * 100)
        raise ValueError(f"{text} is ambiguous; write '{percent}%' or '{plain(value)}%'")
    return value


@lru_cache(maxsize=2**16)
def grown_gb(size_gb: int, percent: Decimal) -> int:
    """Return a size with headroom in whole GB, rounded up."""
    if not percent:
        return size_gb
    grown = _EXACT.multiply(Decimal(size_gb), _EXACT.add(Decimal(100), percent))
    return int(_EXACT.scaleb(grown, -2).to_integral_value(ROUND_CEILING))
