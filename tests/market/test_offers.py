"""Disk offers as a frame: missing is unknown, unpriced is not free, nothing is dropped."""

from __future__ import annotations

import copy
import json
from decimal import Decimal, InvalidOperation
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.errors import FrameError
from planner.formats import parse
from planner.market.offers import (
    MARKET,
    OFFERS,
    offers_frame,
    short_id,
)
from planner.market.snapshot import read_offers
from planner.schema import Column
from planner.text import visible
from tests.market.rows import brief, cells, disk, market_rows, offers_from_market, one

FIELDS = ("cloudId", "provider", "dataCenter", "country", "region", "stockStatus", "security")
SPEC = ("minCount", "defaultCount", "maxCount", "pricePerUnit", "step", "defaultIncludedInPrice")

NAMES: st.SearchStrategy[Any] = st.sampled_from(
    [None, "", "a", "b", "=x", "\x1b[2J", "\u202e", "\ud800", "x" * 300, 5]
)
SIZES: st.SearchStrategy[Any] = st.sampled_from(
    [None, 0, 1, 5, 100, -1, Decimal("2.5"), "7", True, 2**63, []]
)
PRICES: st.SearchStrategy[Any] = st.sampled_from(
    [None, Decimal("0.1"), Decimal("0.10"), Decimal("9.7E-5"), 0, -1, "1", Decimal("NaN"), 1, []]
)
ROWS: st.SearchStrategy[Any] = st.builds(
    disk,
    spec=st.fixed_dictionaries(
        {
            "minCount": SIZES,
            "defaultCount": SIZES,
            "maxCount": SIZES,
            "step": SIZES,
            "pricePerUnit": PRICES,
        }
    ),
    cloudId=NAMES,
    provider=NAMES,
    dataCenter=NAMES,
    country=NAMES,
    region=NAMES,
    stockStatus=st.sampled_from([None, "Low", "High", "Available", "Unavailable", "Some", 3]),
    security=NAMES,
    isMultinode=st.sampled_from([None, True, False, 1, "yes"]),
) | st.sampled_from([None, 5, "row", [], {}])
LISTINGS = st.lists(ROWS, max_size=6)


def test_documented_row() -> None:
    """The first row of the vendor's guide, field by field."""
    frame = read_offers("shipped:disk-offers.json", exact=True)
    row = cells(frame[frame["row"] == 1])[0]
    assert row == {
        "row": 1,
        "offer_id": "c008ad",
        "provider": "runpod",
        "cloud_id": None,
        "data_center": "US-CA-2",
        "country": "US",
        "region": "united_states",
        "min_gb": 0,
        "max_gb": 8192,
        "step_gb": 1,
        "default_gb": 0,
        "usd_gb_hr": Decimal("0.0001111111111111111"),
        "default_included": False,
        "stock": "Available",
        "security": "secure_cloud",
        "multinode": True,
        "ambiguous": False,
        "problem": None,
    }


def test_short_ids_are_the_vendors() -> None:
    """The ids of all documented offers are those that the vendor's client 0.18 prints."""
    listed = read_offers("shipped:disk-offers.json", exact=True).sort_values("row")
    assert " ".join(listed["offer_id"]) == (
        "c008ad 4e50ab 4eb3b5 334eaa d9c8e5 241b41 7d2232 a869c3 8121df 81cdd2 2f139f 472b26 dbb3e8"
    )


def test_short_id_of_nulls_and_of_written_out_numbers() -> None:
    """Null is the word None; 100 and 100.0 are one default size, as the vendor's client has it."""
    assert short_id({}) == short_id(dict.fromkeys(FIELDS)) == "80556c"
    row = {"provider": "runpod", "dataCenter": "US-CA-2", "country": "US"}
    row["region"] = "united_states"
    for default in (100, Decimal("100.0"), 100.0):
        assert short_id({**row, "spec": {"defaultCount": default}}) == "895978"


@pytest.mark.parametrize(
    "default", ["Infinity", "-Infinity", "NaN", "1e5000", "1e99999999999999999999", "9" * 5000]
)
def test_absurd_default_size_is_one_rows_problem(default: str) -> None:
    """A default size that no integer can hold breaks neither the id nor the listing."""
    row = {**disk(), "spec": {**disk()["spec"], "defaultCount": parse(default.encode())}}
    frame = offers_frame([row, disk(dataCenter="A-2")])
    assert frame["offer_id"].str.fullmatch("[0-9a-f]{6}").all()
    assert cells(frame)[1]["problem"] is None


@pytest.mark.slow
def test_deeply_nested_value_is_one_rows_problem() -> None:
    """A value nested as deeply as Python holds one is no text, and nothing worse."""
    value: Any = []
    for _ in range(100_000):
        value = [value]
    assert one(disk(provider=value))["problem"] == "provider: text was expected, not a list"
    while value:
        value = value.pop()


@pytest.mark.parametrize("missing", [False, True], ids=["null", "absent"])
def test_every_nullable_field_null_or_absent(*, missing: bool) -> None:
    """A row that says only who sells it is unknown in everything, and not malformed."""
    row = disk(spec=dict.fromkeys(SPEC), **dict.fromkeys(FIELDS), isMultinode=None)
    row["provider"] = "alpha"
    if missing:
        row = {"provider": "alpha"}
    found = one(row)
    assert found.pop("offer_id") == short_id({"provider": "alpha"})
    assert found == {
        **dict.fromkeys(column.name for column in OFFERS if column.name != "offer_id"),
        "row": 1,
        "provider": "alpha",
        "min_gb": 0,
        "step_gb": 1,
        "stock": "unknown",
        "ambiguous": False,
    }


@pytest.mark.parametrize("field", [*FIELDS, "isMultinode", "spec"])
def test_one_field_absent_is_one_field_null(field: str) -> None:
    """Absent means what null means, for every field."""
    row = disk(cloudId="c1")
    absent = {name: value for name, value in row.items() if name != field}
    pd.testing.assert_frame_equal(offers_frame([absent]), offers_frame([{**row, field: None}]))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"minCount": None}, {"min_gb": 0}),
        ({"step": None}, {"step_gb": 1}),
        ({"step": 0}, {"step_gb": 1}),
        ({"maxCount": None}, {"max_gb": None}),
        ({"maxCount": 2**63}, {"max_gb": None}),
        ({"minCount": 100, "step": 2**63}, {"min_gb": 100}),
        ({"maxCount": 0}, {"max_gb": 0}),
        ({"defaultCount": None}, {"default_gb": None}),
        ({"defaultIncludedInPrice": True}, {"default_included": True}),
        ({"pricePerUnit": 0}, {"usd_gb_hr": None}),
        ({"pricePerUnit": Decimal("-0.1")}, {"usd_gb_hr": None}),
        ({"pricePerUnit": Decimal("NaN")}, {"usd_gb_hr": None}),
        ({"pricePerUnit": Decimal("Infinity")}, {"usd_gb_hr": None}),
    ],
)
def test_what_null_and_zero_mean(spec: dict[str, Any], expected: dict[str, Any]) -> None:
    """Each field of the specification has its own reading, and none of these is malformed."""
    found = one(disk(spec=spec))
    assert {name: found[name] for name in expected} == expected
    assert found["problem"] is None


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"pricePerUnit": "0.0001"}, "spec.pricePerUnit: a number was expected, not text"),
        ({"minCount": -1}, "spec.minCount is negative (-1)"),
        ({"step": -1}, "spec.step is negative (-1)"),
        ({"step": True}, "spec.step: a number was expected, not true or false"),
        ({"maxCount": Decimal("1.5")}, "spec.maxCount is 1.5, not a whole number"),
        ({"maxCount": []}, "spec.maxCount: a number was expected, not a list"),
        ({"minCount": 2**63}, "the smallest size is larger than any disk"),
        ({"minCount": 0, "step": 2**63}, "the smallest size is larger than any disk"),
        ({"defaultIncludedInPrice": 1}, "spec.defaultIncludedInPrice: true or false was expected"),
    ],
)
def test_malformed_row_stays_with_its_reason(spec: dict[str, Any], why: str) -> None:
    """A row that cannot be believed keeps its place and says why; its neighbours stand."""
    frame = offers_frame([disk(), disk(spec=spec, dataCenter="B"), disk(dataCenter="C")])
    assert frame["problem"].isna().tolist() == [True, False, True]
    assert frame["row"].tolist() == [1, 2, 3]
    assert why in str(frame["problem"].iat[1])


def test_every_problem_of_a_row_is_named() -> None:
    """Several unbelievable fields are several reasons."""
    problem = one(disk(provider=None, spec={"step": -1, "minCount": "0"}, isMultinode="no"))
    assert problem["problem"].split("; ") == [
        "provider is missing",
        "spec.minCount: a number was expected, not text (0)",
        "spec.step is negative (-1)",
        "isMultinode: true or false was expected, not text (no)",
    ]


@pytest.mark.parametrize("row", [None, 5, "x", [1], True])
def test_row_that_is_no_object(row: object) -> None:
    """It keeps its place too."""
    frame = offers_frame([disk(), row])
    assert frame["row"].tolist() == [2, 1]
    assert str(frame["problem"].iat[0]).startswith("the row is not an object")


def test_words_the_vendor_adds_later_are_carried() -> None:
    """Unknown providers, regions and security classes are data; only stock has a fixed scale."""
    found = one(disk(provider="newcloud", region="moon", security="vault", stockStatus="Plenty"))
    assert (found["provider"], found["region"], found["security"]) == ("newcloud", "moon", "vault")
    assert (found["stock"], found["problem"]) == ("Plenty", None)


def test_hostile_names_are_data() -> None:
    """An escape sequence stays in the frame as it came, and is shown as an escape."""
    found = one(disk(region="A\x1b[2J\u202e"))
    assert found["region"] == "A\x1b[2J\u202e"
    assert visible(found["region"]) == "A\\x1b[2J\\u202e"
    assert found["problem"] is None


@pytest.mark.parametrize("field", ["provider", "cloudId", "dataCenter", "country"])
def test_a_create_key_that_cannot_be_shown_is_not_bought(field: str) -> None:
    """What would be sent back in a request, and printed in commands, has to be printable."""
    for name in ("a\nrm -rf", "\x1b[2J", "\u202e", "\x07"):
        problem = one({**disk(), field: name})["problem"]
        assert problem == f"{field} has characters that cannot be shown"


@pytest.mark.parametrize("rows", [0, 1, 40], ids=str)
def test_declared_columns_and_types(rows: int) -> None:
    """A frame has the declared columns in their order and types, however many rows it has."""
    frame = offers_frame([disk(dataCenter=f"A-{place}") for place in range(rows)])
    assert len(frame) == rows
    assert list(frame.columns) == [column.name for column in OFFERS]
    assert [str(dtype) for dtype in frame.dtypes] == [column.stored for column in OFFERS]


def test_types_do_not_follow_the_values() -> None:
    """All null, and one null among values, are the declared types too; unpriced is None."""
    rows = [disk(spec=dict.fromkeys(SPEC), cloudId=None), disk(dataCenter="A-2", isMultinode=None)]
    frame = offers_frame(rows)
    assert [str(dtype) for dtype in frame.dtypes] == [column.stored for column in OFFERS]
    assert frame["usd_gb_hr"].tolist() == [None, Decimal("0.0001")]


def test_shared_create_key_is_ambiguous() -> None:
    """Provider, cloud id, data centre and country make the key, and null is a value of it."""
    same = [disk(country=None), disk(country=None, region="other", security="any")]
    others = [disk(), disk(cloudId="c"), disk(dataCenter=None), disk(provider="beta")]
    frame = offers_frame([*same, *others])
    assert sorted(frame.loc[frame["ambiguous"], "row"]) == [1, 2]


def test_rows_that_sell_other_sizes_are_not_ambiguous() -> None:
    """Tiers are told apart by size; a row that cannot be believed may sell any size."""
    low, high = disk(spec={"maxCount": 1000}), disk(spec={"minCount": 1001, "maxCount": 4000})
    assert not offers_frame([low, high])["ambiguous"].any()
    between = disk(spec={"minCount": 900, "maxCount": 1000})
    frame = offers_frame([low, high, between])
    assert sorted(frame.loc[frame["ambiguous"], "row"]) == [1, 3]
    assert offers_frame([low, high, disk(spec={"step": -1})])["ambiguous"].all()


def test_sorted_by_create_key_null_first_then_price() -> None:
    """The order of a frame is the order of create keys, unpriced and cheap rows first."""
    rows = [
        disk(provider="b"),
        disk(cloudId="c"),
        disk(spec={"pricePerUnit": Decimal("0.0003")}),
        disk(spec={"pricePerUnit": Decimal("0.0002")}),
        disk(spec={"pricePerUnit": None}),
        disk(dataCenter=None),
    ]
    assert offers_frame(rows)["row"].tolist() == [6, 5, 4, 3, 2, 1]


@pytest.mark.slow
@brief
@given(LISTINGS.flatmap(lambda rows: st.tuples(st.just(rows), st.permutations(rows))))
def test_order_of_the_listing_does_not_show(listings: tuple[list[Any], list[Any]]) -> None:
    """Permuting rows changes nothing but ``row``."""
    left, right = (offers_frame(rows).drop(columns="row") for rows in listings)
    pd.testing.assert_frame_equal(left, right)


@pytest.mark.slow
@brief
@given(LISTINGS)
def test_nothing_is_dropped_or_changed(rows: list[Any]) -> None:
    """Every row has its place in the frame, and the caller's rows stay as they were."""
    before = copy.deepcopy(rows)
    frame = offers_frame(rows)
    assert sorted(frame["row"]) == list(range(1, len(rows) + 1))
    assert str(rows) == str(before)


@pytest.mark.slow
@brief
@given(LISTINGS)
def test_market_rows_round_trip(rows: list[Any]) -> None:
    """Canonical rows are JSON, and describe the frame they came from but for ``row``."""
    frame = offers_frame(rows)
    canonical = market_rows(frame)
    back = offers_from_market(json.loads(json.dumps(canonical)))
    pd.testing.assert_frame_equal(back.drop(columns="row"), frame.drop(columns="row"))
    assert market_rows(back) == canonical
    assert back["row"].tolist() == list(range(1, len(rows) + 1))


def test_market_rows_are_facts() -> None:
    """A canonical row has the market's facts with money as text, and nothing of the listing."""
    (row,) = market_rows(offers_frame([disk(spec={"pricePerUnit": Decimal("9.70E-5")})]))
    assert tuple(row) == MARKET
    assert row["usd_gb_hr"] == "0.000097"
    assert {"row", "ambiguous"}.isdisjoint(row)


def test_market_rows_of_a_callers_order() -> None:
    """A caller's frame in another order, with another index, has the same canonical rows."""
    frame = offers_frame([disk(), disk(dataCenter="B"), disk(provider="beta")])
    assert market_rows(frame.sort_values("row", ascending=False)) == market_rows(frame)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("usd_gb_hr", 0.0),
        ("usd_gb_hr", float("inf")),
        ("usd_gb_hr", "0.0001"),
        ("usd_gb_hr", Decimal(0)),
        ("usd_gb_hr", Decimal("-0.1")),
        ("usd_gb_hr", Decimal("Infinity")),
        ("usd_gb_hr", Decimal("0." + "1" * 60)),
        ("min_gb", None),
        ("min_gb", -1),
        ("min_gb", "5"),
        ("step_gb", 0),
        ("step_gb", None),
        ("stock", "low"),
        ("stock", None),
        ("offer_id", None),
        ("provider", None),
        ("provider", 5),
    ],
)
def test_frame_of_a_caller_is_not_believed(column: str, value: object) -> None:
    """A value that no listing gives is an error that names the column, never a wrong plan."""
    frame = offers_frame([disk(), disk(dataCenter="B")])
    frame[column] = pd.Series([value, value], dtype="object")
    with pytest.raises(FrameError, match=f"column {column} ") as caught:
        market_rows(frame)
    assert len(caught.value.failures) == 1


def test_frame_without_a_column() -> None:
    """A missing column is an error that names it."""
    with pytest.raises(FrameError, match="column stock is missing"):
        market_rows(offers_frame([disk()]).drop(columns="stock"))


@pytest.mark.parametrize("null", [None, float("nan"), pd.NA, Decimal("NaN")], ids=str)
def test_every_null_is_unpriced(null: object) -> None:
    """Whatever pandas makes of a missing price, it is a missing price."""
    frame = offers_frame([disk(), disk(dataCenter="B")])
    frame["usd_gb_hr"] = pd.Series([null, Decimal("0.1")], dtype="object")
    assert [row["usd_gb_hr"] for row in market_rows(frame)] == [None, "0.1"]


@pytest.mark.parametrize(
    "change",
    [
        {"usd_gb_hr": "-1"},
        {"usd_gb_hr": "Infinity"},
        {"usd_gb_hr": "abc"},
        {"usd_gb_hr": "NaN"},
        {"usd_gb_hr": [1]},
        {"min_gb": "many"},
        {"step_gb": 0},
        {"stock": "sold out"},
        {"provider": None},
    ],
)
def test_rows_that_are_no_market(change: dict[str, Any]) -> None:
    """Rows that ``market_rows`` cannot have written are refused."""
    row = {**market_rows(offers_frame([disk()]))[0], **change}
    kinds = (FrameError, KeyError, TypeError, ValueError, InvalidOperation)
    with pytest.raises(kinds):
        offers_from_market([row, row])


def test_every_column_says_what_it_means() -> None:
    """Columns are declared once, with a meaning."""
    assert all(isinstance(column, Column) and column.meaning for column in OFFERS)
    assert len({column.name for column in OFFERS}) == len(OFFERS)


def test_equal_prices_written_differently_order_as_one_price() -> None:
    """0.00010 and 0.0001 are one price: rows of it stand as the facts after it say, either way."""
    twins = [
        {"provider": "p", "spec": {"pricePerUnit": Decimal(price)}, "stockStatus": stock}
        for price, stock in (("0.00010", "Available"), ("0.0001", "Low"))
    ]
    for rows in (twins, twins[::-1]):
        canonical = market_rows(offers_frame(rows))
        assert market_rows(offers_from_market(canonical)) == canonical
