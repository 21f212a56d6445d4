"""JSON from the marketplace keeps its digits and cannot break its reader."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.formats import JsonError, digest_of, digest_of_list, identity, parse


def test_numbers_are_exact() -> None:
    """A price keeps every digit; a whole number stays one."""
    assert parse(b'{"p": 0.00009700000000000000001, "n": 12}') == {
        "p": Decimal("0.00009700000000000000001"),
        "n": 12,
    }


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e99999999999999999999"])
def test_constants_are_kept_for_the_row_to_be_refused(text: str) -> None:
    """NaN, the infinities and an exponent without bounds are values, not failures."""
    value = parse(f"[{text}]".encode())[0]
    assert isinstance(value, Decimal)
    assert not value.is_finite()


def test_absurdly_long_number() -> None:
    """A whole number that Python would refuse to read is read."""
    assert parse(b"9" * 5000) == Decimal("9" * 5000)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b"[1, 2", "not JSON"),
        (b"\xff[]", "not UTF-8"),
        (b"[" * 100_000, "nested"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'[{"b": {"a": 1, "a": 1}}]', "twice"),
    ],
)
def test_what_is_not_wire(body: bytes, why: str) -> None:
    """Anything else is one error, without a word of the answer and without a chain."""
    with pytest.raises(JsonError, match=why) as caught:
        parse(body)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.slow
@given(
    st.decimals(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, allow_infinity=False),
)
def test_identity_is_equality_of_decimals(left: Decimal, right: Decimal) -> None:
    """Two decimals have one identity exactly when they are equal."""
    assert (identity([left]) == identity([right])) == (left == right)


@pytest.mark.parametrize("text", ["0.10", "1E-1", "0.1000", "100e-3"])
def test_identity_ignores_notation(text: str) -> None:
    """Order of keys and notation of decimals do not matter."""
    assert identity({"b": 1, "a": Decimal(text)}) == identity({"a": Decimal("0.1"), "b": 1})


def test_identity_of_long_decimals() -> None:
    """Decimals beyond the usual precision are not rounded together."""
    assert identity(Decimal("0." + "1" * 40)) != identity(Decimal("0." + "1" * 39 + "2"))


def test_identity_of_huge_exponent_is_short() -> None:
    """An exponent without bounds does not fill the memory."""
    assert len(identity(Decimal("1e999999999"))) < 100


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2500])
def test_a_digest_of_items_one_by_one_is_that_of_their_list(count: int) -> None:
    """What is written in pieces is the text that `json` would write whole."""
    rows = [{"b": n, "a": ["\u00e9", None, {"c": str(n)}]} for n in range(count)]
    document = {"rows": rows, "empty": {}, "none": [], "nested": {"z": 1, "more": rows[:2]}}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode("ascii")).hexdigest()
    assert digest_of(document) == digest
    assert digest_of({**document, "rows": iter(rows)}) == digest
    parts = [document | {"rows": iter(rows)}, "x", rows, {}]
    assert digest_of_list(parts) == digest_of([document, "x", rows, {}])
    assert digest_of_list([]) == digest_of([])
