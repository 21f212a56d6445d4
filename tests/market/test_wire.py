"""A row of the API is read field by field, and says itself what cannot be believed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.formats import parse
from planner.market.wire import SECURITY, STOCK_RANK, UNBOUNDED_GB, RowReader, id_part, is_price
from tests.market.rows import brief

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=5,
).filter(lambda value: not (isinstance(value, Decimal) and value.is_snan()))


def read(json: str) -> RowReader:
    """Return a reader of ``{"a": ...}``."""
    return RowReader(parse(f'{{"a": {json}}}'.encode()))


@pytest.mark.parametrize(
    ("json", "expected"),
    [
        ("null", None),
        ("0", 0),
        ("-0", 0),
        ("7", 7),
        ("7.0", 7),
        ("-0.0", 0),
        ("8e3", 8000),
        ("9223372036854775808", UNBOUNDED_GB),
        ("1e999", UNBOUNDED_GB),
        ("9" * 5000, UNBOUNDED_GB),
    ],
)
def test_whole_numbers(json: str, expected: int | None) -> None:
    """A whole number is one however it is written, and an absurd one is the largest."""
    reader = read(json)
    assert reader.whole("a") == expected
    assert reader.problem is None


@pytest.mark.parametrize(
    ("json", "why"),
    [
        ('"7"', "a: a number was expected, not text"),
        ("true", "a: a number was expected, not true or false"),
        ("[7]", "a: a number was expected, not a list"),
        ("{}", "a: a number was expected, not an object"),
        ("7.5", "a is 7.5, not a whole number"),
        ("7." + "0" * 40 + "1", "not a whole number"),
        ("1e-2000000", "a is 1E-2000000, not a whole number"),
        ("1e-999999999", "not a whole number"),
        ("NaN", "a is NaN, not a whole number"),
        ("Infinity", "a is Infinity, not a whole number"),
        ("-Infinity", "a is -Infinity, not a whole number"),
        ("-1", "a is negative (-1)"),
        ("-1e999", "a is negative (-1E+999)"),
    ],
)
def test_what_is_no_whole_number(json: str, why: str) -> None:
    """Anything else is null, with a reason that names the field and what it holds."""
    reader = read(json)
    assert reader.whole("a") is None
    assert reader.problem is not None
    assert why in reader.problem


@pytest.mark.parametrize("json", ["null", "0", "-0", "0.0", "-0.1", "-7", "NaN", "Infinity"])
def test_unpriced(json: str) -> None:
    """A price that is null, zero, negative, NaN or infinite is none, which is no malformed row."""
    reader = read(json)
    assert reader.price("a") is None
    assert reader.problem is None


@pytest.mark.parametrize(
    ("json", "why"),
    [
        ('"0.0001"', "a: a number was expected, not text"),
        ("true", "not true or false"),
        ("[]", "not a list"),
        ("0." + "1" * 60, "not a plausible price"),
        ("1" + "0" * 60, "not a plausible price"),
        ("1e999", "not a plausible price"),
        ("1e-999", "not a plausible price"),
        ("1000000", "not a plausible price"),
    ],
)
def test_what_is_no_price(json: str, why: str) -> None:
    """A price of the wrong type, or beyond all measure, makes the row malformed."""
    reader = read(json)
    assert reader.price("a") is None
    assert reader.problem is not None
    assert why in reader.problem
    assert len(reader.problem) < 100


@pytest.mark.parametrize("json", ["0.00011545611010752688", "1", "1e-7", "0." + "1" * 40])
def test_price_keeps_every_digit(json: str) -> None:
    """A price is the published number, exactly."""
    reader = read(json)
    assert reader.price("a") == Decimal(json)
    assert reader.problem is None


def test_price_from_python() -> None:
    """Rows that never were JSON may hold floats; they mean what they print as."""
    assert RowReader({"a": 0.1}).price("a") == Decimal("0.1")
    assert RowReader({"a": float("nan")}).price("a") is None


@pytest.mark.parametrize("text", ["a", "x" * 255, "NO", "\x1b[2J", "\u202eabc", "=1+1", "<b>"])
def test_text_is_kept_as_it_is(text: str) -> None:
    """Escape sequences and direction marks are data here; showing them is another's job."""
    reader = RowReader({"a": text})
    assert reader.text("a") == text
    assert reader.problem is None


@pytest.mark.parametrize("value", ["x" * 256, "x" * 10_000, "\ud800", "a\udfff"])
def test_unusable_text(value: str) -> None:
    """A text that is endless or cannot be written in UTF-8 is null, and not repeated."""
    reader = RowReader({"a": value})
    assert reader.text("a") is None
    assert reader.problem == "a is not a usable text of up to 255 characters"


@pytest.mark.parametrize("value", [None, ""])
def test_empty_text_says_nothing(value: str | None) -> None:
    """An empty text is null; that is a problem only where a text is required."""
    reader = RowReader({"a": value})
    assert reader.text("a") is None
    assert reader.problem is None
    assert reader.text("a", required=True) is None
    assert reader.problem == "a is missing"


@pytest.mark.parametrize("value", [0, 1, True, ["x"], {"x": 1}, Decimal(1)])
def test_text_of_another_type(value: object) -> None:
    """What is no text is not turned into one."""
    reader = RowReader({"a": value})
    assert reader.text("a") is None
    assert reader.problem is not None
    assert reader.problem.startswith("a: text was expected, not ")


@pytest.mark.parametrize("value", [0, 1, "true", "yes", [True], Decimal(1)])
def test_yes_no_of_another_type(value: object) -> None:
    """Only true and false are believed; 1 and "true" are not."""
    reader = RowReader({"a": value})
    assert reader.yes_no("a") is None
    assert reader.problem is not None


@pytest.mark.parametrize("value", [None, True, False])
def test_yes_no(*, value: bool | None) -> None:
    """Null stays unknown."""
    reader = RowReader({"a": value})
    assert reader.yes_no("a") is value
    assert reader.problem is None


@pytest.mark.parametrize("value", [None, "", " ", "unknown", "UNKNOWN"])
def test_stock_that_is_missing(value: object) -> None:
    """Absent is unknown, which is not malformed."""
    reader = RowReader({"a": value})
    assert reader.stock("a") == "unknown"
    assert reader.problem is None


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("Plenty", "Plenty"),
        ("in stock soon", "in stock soon"),
        ("Not sold out", "Not sold out"),
        ("avail", "avail"),
        (3, "3"),
        (["Low"], '["Low"]'),
        ({}, "{}"),
        (True, "true"),
        (Decimal("0.5"), '"0.5"'),
        ("x" * 300, "x" * 60 + "…"),
        ("\ud800", "\\ud800"),
    ],
)
def test_stock_that_is_not_understood_stays_as_written(value: object, kept: str) -> None:
    """Not understood is not the same as missing, though both rank as unknown."""
    reader = RowReader({"a": value})
    assert reader.stock("a") == kept
    assert STOCK_RANK[kept] == STOCK_RANK["unknown"]
    assert reader.problem is None


@pytest.mark.parametrize("level", ["Unavailable", "Low", "Medium", "Available", "High"])
def test_stock_without_regard_to_case(level: str) -> None:
    """The five documented levels are read however they are cased."""
    for value in (level, level.upper(), level.lower(), f" {level.swapcase()}"):
        assert RowReader({"a": value}).stock("a") == level


@pytest.mark.parametrize(
    "value",
    [
        *("Out of stock", "out_of_stock", "OUT-OF-STOCK", "OutOfStock", "Sold out", "SOLDOUT"),
        *("not available", "Currently unavailable", "none", "No stock", "no capacity"),
        *("Not in stock", "depleted", "OOS"),
    ],
)
def test_words_that_plainly_say_there_is_none(value: str) -> None:
    """They count as Unavailable: what is said to be gone is not bought."""
    assert RowReader({"a": value}).stock("a") == "Unavailable"


@pytest.mark.parametrize(
    ("value", "read_as"),
    [
        ("SECURE_CLOUD", "secure_cloud"),
        ("Secure Cloud", "secure_cloud"),
        ("secure-cloud", "secure_cloud"),
        ("gold", "gold"),
        (None, None),
    ],
)
def test_a_documented_word_in_another_spelling(value: str | None, read_as: str | None) -> None:
    """Case and separators do not matter; a word that is not documented stays as it is."""
    reader = RowReader({"a": value})
    assert reader.word("a", SECURITY) == read_as
    assert reader.problem is None


def test_a_value_of_the_wrong_type_is_quoted() -> None:
    """Whoever reads why a row is set aside sees what it said."""
    reader = RowReader({"a": "true\x1b[2J"})
    assert reader.yes_no("a") is None
    assert reader.problem == "a: true or false was expected, not text (true\\x1b[2J)"


@pytest.mark.parametrize("row", [None, 1, "row", [], [["provider", "x"]], True])
def test_row_that_is_no_object(row: object) -> None:
    """It has no fields, and one problem."""
    reader = RowReader(row)
    assert reader.raw("provider") is None
    assert reader.problem == "the row is not an object"


@pytest.mark.parametrize("spec", [[], "spec", 5, True])
def test_object_of_another_type(spec: object) -> None:
    """A nested object of another type is reported once, however many of its fields are read."""
    reader = RowReader({"spec": spec})
    assert reader.whole("spec.minCount") is None
    assert reader.price("spec.pricePerUnit") is None
    assert reader.problem is not None
    assert reader.problem.count("spec:") == 1


@pytest.mark.slow
@brief
@given(JSON)
def test_any_json_value_is_read(value: object) -> None:
    """No JSON value, in any field, is more than a problem."""
    reader = RowReader({"a": value})
    whole, price = reader.whole("a"), reader.price("a")
    assert whole is None or 0 <= whole <= UNBOUNDED_GB
    assert price is None or is_price(price)
    assert reader.text("a") in {None, value if isinstance(value, str) else None}
    assert reader.yes_no("a") in {None, True, False}
    assert reader.raw("a.b") is None or isinstance(value, dict)
    assert isinstance(id_part(value), str)


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (None, "None"),
        (0, "0"),
        (0.0, "0"),
        (Decimal("100.0"), "100"),
        (Decimal("1E+2"), "100"),
        (Decimal("0.5"), "0.5"),
        (Decimal("NaN"), "NaN"),
        (Decimal("Infinity"), "Infinity"),
        (Decimal("1E+5000"), "1E+5000"),
        (Decimal("1E-999999999"), "1E-999999999"),
        ("", ""),
        ([], "malformed"),
        ({}, "malformed"),
    ],
)
def test_part_of_a_short_id(value: Any, part: str) -> None:
    """Whole numbers are written without a point, and no value breaks the id."""
    assert id_part(value) == part
