"""Money and sizes are exact, and rounded in one place."""

from __future__ import annotations

from decimal import Decimal, Inexact
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.units import (
    MAX_PRICE_DIGITS,
    difference,
    grown_gb,
    money,
    parse_percent,
    parse_size_gb,
    plain,
    total,
    usd_hr,
    usd_month,
)

PRICES = st.decimals(
    min_value=Decimal("1e-30"), max_value=Decimal(999999), allow_nan=False, allow_infinity=False
).filter(lambda price: len(price.as_tuple().digits) <= MAX_PRICE_DIGITS)
AMOUNTS = st.decimals(
    min_value=-(10**12), max_value=10**12, places=20, allow_nan=False, allow_infinity=False
)
quick = settings(deadline=None)


@pytest.mark.slow
@quick
@given(st.integers(1, 10**15), PRICES)
def test_hourly_and_monthly_cost_are_exact(size_gb: int, price: Decimal) -> None:
    """Size times price, and times the hours of a month, as fractions have it."""
    cost = usd_hr(size_gb, price)
    assert Fraction(cost) == size_gb * Fraction(price)
    assert Fraction(usd_month(cost)) == Fraction(cost) * 730
    assert Fraction(usd_month(cost, 672)) == Fraction(cost) * 672


def test_longest_price_of_the_largest_disk() -> None:
    """Forty digits times 10^15 GB times 744 hours lose none."""
    price = Decimal("0." + "9" * MAX_PRICE_DIGITS)
    cost = usd_month(usd_hr(10**15, price), 744)
    assert Fraction(cost) == Fraction(price) * 10**15 * 744


@pytest.mark.slow
@quick
@given(st.lists(AMOUNTS, max_size=20))
def test_sums_are_exact(amounts: list[Decimal]) -> None:
    """A sum is the sum, in any order; nothing is zero."""
    assert Fraction(total(amounts)) == sum(map(Fraction, amounts))
    assert total(reversed(amounts)) == total(amounts)
    assert total([]) == 0


@pytest.mark.slow
@quick
@given(AMOUNTS, AMOUNTS)
def test_differences_are_exact(left: Decimal, right: Decimal) -> None:
    """What is left is exactly that, and what was taken away can be added again."""
    assert Fraction(difference(left, right)) == Fraction(left) - Fraction(right)


def test_what_cannot_be_exact_is_an_error() -> None:
    """Digits beyond the bound are never rounded in silence."""
    with pytest.raises(Inexact):
        total([Decimal("1e-200"), Decimal(1)])


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0.10", "0.1"),
        ("9.7E-5", "0.000097"),
        ("1E+3", "1000"),
        ("100", "100"),
        ("100.00", "100"),
        ("0", "0"),
        ("0.000", "0"),
        ("0E+5", "0"),
        ("-0", "0"),
        ("-0.00", "0"),
        ("-0.50", "-0.5"),
        ("1e-30", "0." + "0" * 29 + "1"),
    ],
)
def test_plain(amount: str, text: str) -> None:
    """No exponent, no trailing zeros, no negative zero."""
    assert plain(Decimal(amount)) == text


@pytest.mark.slow
@quick
@given(PRICES)
def test_plain_is_exact_and_shortest(price: Decimal) -> None:
    """The text is the amount, one text for one amount."""
    text = plain(price)
    assert Decimal(text) == price
    assert "e" not in text.lower()
    assert text == plain(price.normalize() if len(price.as_tuple().digits) <= 28 else price)


@pytest.mark.parametrize(
    ("amount", "places", "text"),
    [
        ("1234.565", 2, "1,234.57"),
        ("0.005", 2, "0.01"),
        ("0.0049999999999999999999999999999999", 2, "0.00"),
        ("-0.005", 2, "-0.01"),
        ("-0.001", 2, "0.00"),
        ("-0", 2, "0.00"),
        ("1234567.5", 0, "1,234,568"),
        ("0.00012345", 6, "0.000123"),
        ("1e30", 2, "1,000,000,000,000,000,000,000,000,000,000.00"),
    ],
)
def test_money(amount: str, places: int, text: str) -> None:
    """Rounded half up, from the exact amount, with thousands apart and no negative zero."""
    assert money(Decimal(amount), places) == text


@pytest.mark.parametrize(
    ("text", "size_gb"),
    [
        ("4 TB", 4000),
        ("4TB", 4000),
        ("4T", 4000),
        ("500G", 500),
        ("500 Gi", 537),
        ("1.5Ti", 1650),
        ("2\u00a0TB", 2000),
        ("2\u202fTB", 2000),
        ("6,000 GB", 6000),
        ("1_000 GB", 1000),
        ("1 234 567 GB", 1_234_567),
        ("1\u00a0234 GB", 1234),
        ("1,234.5 GB", 1235),
        ("  4   tb  ", 4000),
        ("800 GB", 800),
        ("1.5 TB", 1500),
        ("0.5 GB", 1),
        ("1 MB", 1),
        ("1000 MB", 1),
        ("1001 MB", 2),
        ("1 GiB", 2),
        ("500 GiB", 537),
        ("1 TiB", 1100),
        ("1 PB", 10**6),
        ("1 PiB", 1_125_900),
        ("0.000000000000000000000000000001 PB", 1),
        ("1.000000000000000000000000000001 GB", 2),
        ("9" * 30 + " PiB", -(-int("9" * 30) * 2**50 // 10**9)),
    ],
)
def test_size(text: str, size_gb: int) -> None:
    """Decimal units as they are, binary ones converted, both rounded up to whole GB."""
    assert parse_size_gb(text) == size_gb


@pytest.mark.parametrize(
    "text",
    [
        *("", "4", "TB", "4 X", "-4 TB", "+4 TB", "4e3 GB", "4,00 GBs", "4 GBs", "4 G B", "4 kB"),
        *("NaN GB", "inf GB", ".5 TB", "4. TB", "\u0664 TB", "4\u200bTB", "4 TB\x00", "1__000 GB"),
        *("9" * 31 + " GB", "0x4 GB", "4 Gb/s", "1,0000 GBB", "4,000", "10,00,000 GB", "1_000"),
    ],
)
def test_what_is_no_size(text: str) -> None:
    """Anything else says what to write."""
    with pytest.raises(ValueError, match="write a number and a unit"):
        parse_size_gb(text)


def test_a_decimal_comma_is_answered_with_a_point() -> None:
    """A comma that groups nothing is not guessed at."""
    with pytest.raises(ValueError, match=r"with a point, such as '1\.5 TB'"):
        parse_size_gb("1,5 TB")


@pytest.mark.parametrize("text", ["0 GB", "0.0 TB", "0 MiB"])
def test_size_of_nothing(text: str) -> None:
    """Nothing is not a size."""
    with pytest.raises(ValueError, match="write at least 1 GB"):
        parse_size_gb(text)


@quick
@given(st.integers(1, 10**6), st.sampled_from(["MB", "GB", "TB", "MiB", "GiB", "TiB", "PiB"]))
def test_size_is_the_least_that_holds_it(number: int, unit: str) -> None:
    """Rounded up, and by less than a GB."""
    power = "MGTP".index(unit[0]) + 2
    size = number * (1024 if "i" in unit else 1000) ** power
    assert 0 <= parse_size_gb(f"{number} {unit}") * 10**9 - size < 10**9


@pytest.mark.parametrize(
    ("text", "percent"),
    [
        *(("5", "5"), ("5%", "5"), (" 5 % ", "5"), ("0", "0"), ("0%", "0"), ("0.5%", "0.5")),
        *(("12.5", "12.5"), ("1", "1"), ("250%", "250")),
    ],
)
def test_percent(text: str, percent: str) -> None:
    """A percentage is written with its sign or without."""
    assert parse_percent(text) == Decimal(percent)


@pytest.mark.parametrize("text", ["", "%", "-5%", "5%%", "1e2", "NaN", "five", "5 %x", "\u0665%"])
def test_what_is_no_percentage(text: str) -> None:
    """Anything else says what to write."""
    with pytest.raises(ValueError, match="is not a percentage"):
        parse_percent(text)


def test_ambiguous_percentage() -> None:
    """A number below one could be a share; the message offers both."""
    with pytest.raises(ValueError, match=r"write '25%' or '0\.25%'"):
        parse_percent("0.25")


@quick
@given(st.integers(1, 10**9), st.decimals(0, 1000, places=6))
def test_headroom_is_rounded_up(size_gb: int, percent: Decimal) -> None:
    """The least whole size that has the headroom."""
    grown = Fraction(size_gb) * (100 + Fraction(percent)) / 100
    assert 0 <= grown_gb(size_gb, percent) - grown < 1
