"""Rows that sell the same sizes at one create key are one offer in its worst case."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.errors import FrameError
from planner.market.market import ADDRESSABLE, addressable
from planner.market.offers import offers_frame
from tests.market.rows import brief, cells, disk

REACH_GB = 400
"""Beyond this no pattern of the small grids below is new: steps are at most 12, three rows."""

GRID = st.fixed_dictionaries(
    {
        "minCount": st.sampled_from([None, 0, 1, 2, 5, 7, 12, 30]),
        "maxCount": st.sampled_from([None, 0, 3, 10, 24, 60, 400]),
        "step": st.integers(0, 12),
    }
)


def merged(*rows: dict[str, Any]) -> dict[str, Any]:
    """Return the single addressable offer of rows of the API."""
    frame = addressable(offers_frame(rows), exact=True)
    assert len(frame) == 1
    return cells(frame)[0]


def priced(price: str | None, **fields: Any) -> dict[str, Any]:
    """Return a row at this price."""
    return disk(spec={"pricePerUnit": None if price is None else Decimal(price)}, **fields)


def sold(minimum: int | None, maximum: int | None, step: int | None) -> set[int]:
    """Return the sizes up to ``REACH_GB`` that one row sells, from the words of the rule."""
    low, top = minimum or 0, REACH_GB if maximum is None else min(maximum, REACH_GB)
    return {size for size in range(low, top + 1, step or 1) if size >= 1}


def test_single_row_is_itself() -> None:
    """Where nothing shares a key, nothing changes."""
    offers = offers_frame([disk(cloudId="c", spec={"minCount": 5, "step": 3})])
    row, offer = cells(offers)[0], cells(addressable(offers, exact=True))[0]
    for name in ("offer_id", "provider", "cloud_id", "data_center", "country", "region"):
        assert offer[name] == row[name]
    for name in ("min_gb", "max_gb", "step_gb", "usd_gb_hr", "stock", "security", "multinode"):
        assert offer[name] == row[name]
    assert (offer["offer_ids"], offer["regions"]) == ((row["offer_id"],), ("united_states",))
    assert (offer["ambiguous"], offer["problem"]) == (False, None)


@pytest.mark.parametrize("rows", [0, 1, 5], ids=str)
def test_declared_columns_and_types(rows: int) -> None:
    """The columns and types are the declared ones for any number of offers."""
    frame = addressable(
        offers_frame([disk(dataCenter=f"A-{at}") for at in range(rows)]), exact=True
    )
    assert list(frame.columns) == [column.name for column in ADDRESSABLE]
    assert [str(dtype) for dtype in frame.dtypes] == [column.stored for column in ADDRESSABLE]
    assert len(frame) == rows


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        (["0.1", "0.3", "0.2"], "0.3"),
        (["0.1", None], None),
        ([None, None], None),
        (["0.1", "0"], None),
        (["0.1", "0.10"], "0.1"),
        (["0.1000000000000000000000000000001", "0.1"], "0.1000000000000000000000000000001"),
    ],
)
def test_highest_price_and_unpriced_if_any_is(
    prices: list[str | None], expected: str | None
) -> None:
    """The price is the highest to the last digit; one unpriced row makes the offer unpriced."""
    found = merged(*(priced(price) for price in prices))["usd_gb_hr"]
    assert found == (None if expected is None else Decimal(expected))


def test_unpriced_is_none_not_nan() -> None:
    """A caller's NaN price is None afterwards, so that ``is None`` and ``isna`` agree."""
    offers = offers_frame([priced("0.1"), priced("0.1", dataCenter="B")])
    offers["usd_gb_hr"] = pd.Series([float("nan"), Decimal("0.1")], dtype="object")
    assert addressable(offers, exact=True)["usd_gb_hr"].tolist() == [None, Decimal("0.1")]


@pytest.mark.parametrize(
    ("levels", "weakest"),
    [
        (["High", "Low", "Medium"], "Low"),
        (["Low", None], "unknown"),
        (["Low", "Plenty"], "Plenty"),
        ([None, "vorrätig"], "vorrätig"),
        ([None, "Unavailable", "High"], "Unavailable"),
        (["High", "Available"], "Available"),
        (["Available", "High"], "Available"),
    ],
)
def test_weakest_stock(levels: list[str | None], weakest: str) -> None:
    """Unavailable if any is, then unknown, Low, Medium; Available and High are one level."""
    assert merged(*(disk(stockStatus=level) for level in levels))["stock"] == weakest


@pytest.mark.parametrize(
    ("classes", "weakest"),
    [
        (["secure_cloud", "secure_cloud"], "secure_cloud"),
        (["secure_cloud", "community_cloud"], "community_cloud"),
        (["secure_cloud", None], None),
        (["community_cloud", None], None),
        (["secure_cloud", "vault"], "vault"),
        (["community_cloud", "vault"], "vault"),
    ],
)
def test_weakest_security(classes: list[str | None], weakest: str | None) -> None:
    """Community is weaker than secure; an unknown class and none at all are weaker still."""
    assert merged(*(disk(security=name) for name in classes))["security"] == weakest


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([True, True], True),
        ([True, None], None),
        ([True, False], False),
        ([None, False], False),
        ([None, None], None),
    ],
)
def test_multinode_only_if_all_are(values: list[bool | None], *, expected: bool | None) -> None:
    """One row that several nodes cannot mount settles it; one that does not say leaves it open."""
    for order in (values, values[::-1]):
        rows = [priced(f"0.{at}", isMultinode=value) for at, value in enumerate(order, 1)]
        assert merged(*rows)["multinode"] is expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [([False, True], True), ([None, True], True), ([None, False], False), ([None, None], None)],
)
def test_default_included_if_any_is(values: list[bool | None], *, expected: bool | None) -> None:
    """The warning is given when any row gives cause for it."""
    rows = (disk(spec={"defaultIncludedInPrice": value}) for value in values)
    assert merged(*rows)["default_included"] is expected


def test_regions_are_all_of_theirs() -> None:
    """The regions of all rows, each once, and None for a row that does not say."""
    rows = [disk(region=name) for name in ("eu_west", None, "eu_north", "eu_west")]
    found = merged(*rows)
    assert found["regions"] == (None, "eu_north", "eu_west")
    assert found["region"] == "unknown, eu_north, eu_west"
    only = merged(disk(region=None), disk(region=None))
    assert (only["regions"], only["region"]) == ((None,), None)


def test_offer_id_is_the_dearest_rows() -> None:
    """The dearest row gives the id, and all ids are kept."""
    rows = [priced("0.1", region="a"), priced("0.3", region="b"), priced("0.2", region="c")]
    ids = [cells(offers_frame([row]))[0]["offer_id"] for row in rows]
    found = merged(*rows)
    assert found["offer_id"] == ids[1]
    assert found["offer_ids"] == tuple(sorted(ids))


@pytest.mark.sweep
@pytest.mark.parametrize("price", ["0.1", None])
def test_offer_id_of_equally_dear_rows_is_the_least(price: str | None) -> None:
    """Ties go to the least id, whether all are equally dear or all unpriced."""
    rows = [priced(price, region=name) for name in "abcdef"]
    ids = sorted(cells(offers_frame([row]))[0]["offer_id"] for row in rows)
    for order in (rows, rows[::-1]):
        assert merged(*order)["offer_id"] == ids[0]


def test_offer_id_where_one_is_unpriced() -> None:
    """An unpriced row is not the dearest while another has a price."""
    rows = [priced(None, region="a"), priced("0.1", region="b")]
    assert merged(*rows)["offer_id"] == cells(offers_frame([rows[1]]))[0]["offer_id"]


def test_problem_of_any_row_is_the_offers() -> None:
    """A row that cannot be believed shares its problem with all that cannot be told from it."""
    found = merged(disk(), disk(spec={"step": -1}), disk(spec={"step": "1"}))
    assert found["problem"] == (
        "spec.step is negative (-1); spec.step: a number was expected, not text (1)"
    )


@pytest.mark.parametrize("field", ["cloudId", "dataCenter", "country"])
def test_null_is_a_value_of_the_key(field: str) -> None:
    """Two nulls are equal, and null is no other name."""
    row = {**disk(cloudId="c"), field: None}
    frame = addressable(offers_frame([row, row, disk(cloudId="c")]), exact=True)
    assert sorted(frame["ambiguous"]) == [False, True]


def test_sorted_by_key_null_first() -> None:
    """The order is that of create keys, part by part, null before any name."""
    rows = [
        disk(provider="b"),
        disk(country=None),
        disk(cloudId="0"),
        disk(dataCenter=None),
        disk(),
    ]
    keys = [
        (row["provider"], row["cloud_id"], row["data_center"], row["country"])
        for row in cells(addressable(offers_frame(rows), exact=True))
    ]
    assert keys == [
        ("alpha", None, None, "US"),
        ("alpha", None, "A-1", None),
        ("alpha", None, "A-1", "US"),
        ("alpha", "0", "A-1", "US"),
        ("b", None, "A-1", "US"),
    ]


@pytest.mark.parametrize(
    ("asked", "other", "expected"),
    [
        ({}, {"cloudId": "c"}, True),
        ({}, {"cloudId": "c", "provider": "beta"}, False),
        ({}, {"cloudId": "c", "dataCenter": "B"}, False),
        ({}, {"cloudId": "c", "country": "CA"}, False),
        ({}, {"cloudId": "c", "dataCenter": None}, False),
        ({"dataCenter": None}, {"cloudId": "c"}, True),
        ({"country": None}, {"cloudId": "c"}, True),
        ({"dataCenter": None}, {"cloudId": "c", "country": "CA"}, False),
        ({"cloudId": "c"}, {"cloudId": "d"}, False),
        ({"country": None}, {}, True),
        ({"dataCenter": None, "country": None}, {"country": None}, True),
        ({"cloudId": "c", "dataCenter": None}, {"cloudId": "c"}, True),
        ({"country": None}, {"dataCenter": "B"}, False),
        ({"country": None}, {"provider": "beta"}, False),
        ({}, {}, False),
    ],
)
def test_open_key(asked: dict[str, Any], other: dict[str, Any], *, expected: bool) -> None:
    """A request leaves out what is null, so it could match a row that has a cloud id or place."""
    rows = [disk(region="asked", **asked), disk(region="other", **other)]
    frame = addressable(offers_frame(rows), exact=True)
    flags = [row["open_key"] for row in cells(frame) if "asked" in row["regions"]]
    assert flags == [expected]
    assert sum(frame["open_key"]) == expected


@pytest.mark.slow
@brief
@given(st.lists(st.tuples(GRID, st.sampled_from(["0.1", "0.2", "0.3"])), min_size=1, max_size=3))
def test_each_size_costs_what_its_dearest_row_does(
    rows: list[tuple[dict[str, int | None], str]],
) -> None:
    """A size is sold once, at the highest price of the rows that sell it, by enumeration."""
    expected: dict[int, Decimal] = {}
    for grid, price in rows:
        for size in sold(grid["minCount"], grid["maxCount"], grid["step"]):
            expected[size] = max(expected.get(size, Decimal(0)), Decimal(price))
    frame = addressable(
        offers_frame(disk(spec={**grid, "pricePerUnit": Decimal(price)}) for grid, price in rows),
        exact=True,
    )
    found: dict[int, Decimal] = {}
    for row in cells(frame):
        for size in sold(row["min_gb"], row["max_gb"], row["step_gb"]):
            assert found.setdefault(size, row["usd_gb_hr"]) == row["usd_gb_hr"]
    assert found == expected


def test_tiered_prices_are_two_offers() -> None:
    """Rows of one place that sell different sizes stand side by side, each at its own price."""
    frame = addressable(
        offers_frame(
            [
                disk(spec={"minCount": 10, "pricePerUnit": Decimal("0.2")}),
                disk(spec={"minCount": 1001, "maxCount": 4000, "pricePerUnit": Decimal("0.1")}),
            ]
        ),
        exact=True,
    )
    shown = [
        (row["min_gb"], row["max_gb"], row["usd_gb_hr"], row["ambiguous"]) for row in cells(frame)
    ]
    assert shown == [
        (10, 1000, Decimal("0.2"), False),
        (1001, 4000, Decimal("0.1"), False),
    ]


def test_sizes_of_several_rows_are_their_worst_case() -> None:
    """Where rows overlap, the sizes in both are marked, at the highest price and weakest stock."""
    low = {"minCount": 10, "maxCount": 1000, "pricePerUnit": Decimal("0.2")}
    high = {"minCount": 900, "maxCount": 4000, "pricePerUnit": Decimal("0.1")}
    frame = addressable(
        offers_frame([disk(spec=low, stockStatus="High"), disk(spec=high, stockStatus="Low")]),
        exact=True,
    )
    names = ("min_gb", "max_gb", "usd_gb_hr", "stock", "ambiguous")
    assert [tuple(row[name] for name in names) for row in cells(frame)] == [
        (10, 899, Decimal("0.2"), "High", False),
        (900, 1000, Decimal("0.2"), "Low", True),
        (1001, 4000, Decimal("0.1"), "Low", False),
    ]


@pytest.mark.slow
@brief
@given(
    st.lists(
        st.tuples(GRID, st.sampled_from(["0.1", "0.2", None]), st.sampled_from(["Low", None])),
        min_size=1,
        max_size=4,
    ).flatmap(lambda rows: st.tuples(st.just(rows), st.permutations(rows)))
)
def test_order_of_the_listing_does_not_show(listings: tuple[list[Any], list[Any]]) -> None:
    """Permuted rows merge into the same offer."""
    left, right = (
        addressable(
            offers_frame(
                disk(
                    spec={**grid, "pricePerUnit": price and Decimal(price)},
                    stockStatus=stock,
                    region=stock,
                )
                for grid, price, stock in rows
            ),
            exact=True,
        )
        for rows in listings
    )
    pd.testing.assert_frame_equal(left, right)


def test_frame_that_is_not_offers() -> None:
    """A caller's frame without a column is refused."""
    with pytest.raises(FrameError, match="column country is missing"):
        addressable(offers_frame([disk()]).drop(columns="country"), exact=True)


def test_a_row_whose_key_cannot_be_read_stands_alone() -> None:
    """A data centre that is a number is unknown, not null: the sound row beside it stands."""
    frame = addressable(offers_frame([disk(dataCenter=None), disk(dataCenter=5)]), exact=True)
    assert frame["ambiguous"].tolist() == [False, False]
    assert frame["problem"].isna().sum() == 1
