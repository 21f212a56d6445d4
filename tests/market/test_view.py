"""The market as a person looks at it: filtered, priced for a size, sorted, grouped."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.errors import FrameError, InputError
from planner.market.gpus import gpus_frame, mark_gpus
from planner.market.offers import OFFERS, offers_frame
from planner.market.view import (
    GROUPS,
    Filter,
    group_offers,
    list_offers,
    sort_frame,
    unknown_places,
)
from planner.schema import Table, records
from tests.market.rows import brief, cells, disk, gpu

ROWS = [
    disk(),
    disk(provider="beta", dataCenter="B-1", country="CA", region="canada", isMultinode=False),
    disk(provider="gamma", dataCenter="G-1", security="community_cloud", stockStatus="Low"),
    disk(provider="delta", dataCenter="D-1", stockStatus="Unavailable", isMultinode=None),
    disk(provider="nulls", dataCenter=None, country=None, region=None, security=None)
    | {"stockStatus": None, "isMultinode": None, "spec": None},
    disk(provider="sized", dataCenter="S-1", spec={"minCount": 500, "step": 300, "maxCount": None}),
    disk(provider="dear", dataCenter="E-1", spec={"pricePerUnit": Decimal("0.0002")}),
]
"""Row 5 knows nothing but its provider."""


def shown(which: Filter, **options: Any) -> list[int]:
    """Return the rows, by their place, that a filter keeps of ``ROWS``, in the order shown."""
    frame = list_offers(offers_frame(ROWS), which, **options, exact=True)
    return frame["row"].tolist()


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("which", "rows"),
    [
        (Filter(), [1, 2, 3, 4, 5, 6, 7]),
        (Filter(regions=["canada"]), [2]),
        (Filter(regions=["canada", "united_states"]), [1, 2, 3, 4, 6, 7]),
        (Filter(regions=["Canada"]), []),
        (Filter(countries=["US"]), [1, 3, 4, 6, 7]),
        (Filter(providers=["beta", "nulls"]), [2, 5]),
        (Filter(data_centers=["B-1", "G-1"]), [2, 3]),
        (Filter(data_centers=["None", "nan", "<NA>", ""]), []),
        (Filter(security="secure_cloud"), [1, 2, 4, 6, 7]),
        (Filter(security="community_cloud"), [3]),
        (Filter(multinode=True), [1, 3, 6, 7]),
        (Filter(stock="Low"), [1, 2, 3, 6, 7]),
        (Filter(stock="Medium"), [1, 2, 6, 7]),
        (Filter(stock="High"), [1, 2, 6, 7]),
        (Filter(stock="unknown"), [1, 2, 3, 5, 6, 7]),
        (Filter(stock="Unavailable"), [1, 2, 3, 4, 5, 6, 7]),
        (Filter(size_gb=1000), [1, 2, 3, 4, 5, 6, 7]),
        (Filter(size_gb=1001), [5, 6]),
        (Filter(max_usd_gb_hr=Decimal("0.0001")), [1, 2, 3, 4, 6]),
        (Filter(max_usd_gb_hr=Decimal("0.00009999999999999999999")), []),
        (Filter(max_usd_gb_hr=Decimal("0.0002")), [1, 2, 3, 4, 6, 7]),
        (Filter(countries=["US"], stock="Low", multinode=True, size_gb=2000), [6]),
        (Filter(countries=["US"], regions=["canada"]), []),
    ],
)
def test_filters(which: Filter, rows: list[int]) -> None:
    """Each filter keeps what it names, together they all hold, and a null never matches."""
    assert sorted(shown(which)) == rows


@pytest.mark.parametrize(
    ("size_gb", "rows"),
    [(1, [1, 2]), (60, [1, 2]), (100, [1, 2]), (110, [1, 2]), (111, []), (0, [])],
)
def test_size_must_fit_on_the_grid(size_gb: int, rows: list[int]) -> None:
    """One disk must hold the size: from 50 by 20 up to 120, that is 110 and not 120."""
    grid = {"minCount": 50, "step": 20, "maxCount": 120}
    offers = offers_frame(
        [
            disk(spec=grid),
            disk(dataCenter="B", spec={**grid, "maxCount": 110}),
            disk(dataCenter="C", spec={**grid, "maxCount": 49}),
            disk(dataCenter="D", spec={"maxCount": 0}),
        ]
    )
    assert list_offers(offers, Filter(size_gb=size_gb), exact=True)["row"].tolist() == rows


def test_priced_for_a_size() -> None:
    """The least disk that holds the size, its exact price an hour and at 730 hours a month."""
    price = Decimal("0.00011545611010752688")
    offers = offers_frame(
        [
            disk(spec={"minCount": 500, "step": 300, "pricePerUnit": price, "maxCount": None}),
            disk(dataCenter="B", spec={"pricePerUnit": None, "maxCount": None}),
        ]
    )
    first, second = cells(list_offers(offers, Filter(size_gb=1234), exact=True))
    assert first["provision_gb"] == 1400
    assert first["usd_hr"] == Decimal("0.161638554150537632")
    assert first["usd_month"] == Decimal("117.99614452989247136")
    assert (second["provision_gb"], second["usd_hr"], second["usd_month"]) == (1234, None, None)


def test_listing_leaves_the_callers_frame_alone() -> None:
    """The frame stays as it was; the result keeps index, origin and the caller's columns."""
    offers = offers_frame(ROWS).assign(mine=range(len(ROWS)))
    offers.index = pd.Index([*"gfedcba"])
    offers.attrs = {"source": "here"}
    before = offers.copy()
    found = list_offers(
        offers, Filter(size_gb=100, regions=["united_states"]), sort="provider", exact=True
    )
    pd.testing.assert_frame_equal(offers, before)
    assert found.attrs == {"source": "here"}
    assert set(found.index) < set("abcdefg")
    assert found["mine"].tolist() == [offers["mine"].loc[name] for name in found.index]
    assert list(found.columns) == [*before.columns, "provision_gb", "usd_hr", "usd_month"]


@pytest.mark.slow
def test_types_of_a_callers_frame() -> None:
    """A frame without declared types, as pandas reads one, is filtered all the same."""
    loose = offers_frame(ROWS).astype(object)
    loose = loose.where(loose.notna(), float("nan"))
    which = Filter(multinode=True, stock="Low", security="secure_cloud", size_gb=900)
    which_places = Filter(regions=["united_states"], max_usd_gb_hr=Decimal("0.0001"))
    for each in (which, which_places):
        strict = list_offers(offers_frame(ROWS), each, exact=True)
        pd.testing.assert_frame_equal(list_offers(loose, each, exact=True), strict)


@pytest.mark.sweep
@pytest.mark.parametrize("column", [column.name for column in OFFERS])
@pytest.mark.parametrize("descending", [False, True])
def test_sort_by_every_column(column: str, *, descending: bool) -> None:
    """Any column sorts, nulls last whichever the direction, stock by level."""
    found = cells(
        list_offers(offers_frame(ROWS), Filter(), sort=column, descending=descending, exact=True)
    )
    values = [row[column] for row in found]
    known = [value for value in values if value is not None]
    assert values == known + [None] * (len(values) - len(known))
    levels = ["Unavailable", "unknown", "Low", "Available"]
    key = levels.index if column == "stock" else None
    assert known == sorted(known, key=key, reverse=descending)


def test_ties_keep_their_order() -> None:
    """Sorting is stable in both directions."""
    for descending in (False, True):
        rows = shown(Filter(security="secure_cloud"), sort="security", descending=descending)
        assert rows == [1, 2, 7, 4, 6]


def test_the_cheapest_is_listed_first() -> None:
    """Where nobody asks for another order, the price decides; with a size, what the disk costs."""
    assert shown(Filter(security="secure_cloud")) == [1, 2, 4, 6, 7]
    frame = list_offers(offers_frame(ROWS), Filter(size_gb=100), exact=True)
    *costs, unsold = frame["usd_hr"].tolist()
    assert costs == sorted(costs)
    assert unsold is None


def test_sort_by_price_is_exact() -> None:
    """Prices that no float tells apart are told apart."""
    prices = ["0.1000000000000000000002", "0.1", "0.1000000000000000000001"]
    offers = offers_frame(
        disk(dataCenter=str(at), spec={"pricePerUnit": Decimal(price)})
        for at, price in enumerate(prices)
    )
    assert sort_frame(offers, "usd_gb_hr")["row"].tolist() == [2, 3, 1]


@pytest.mark.parametrize(
    ("column", "hint"),
    [
        ("usd_gb_h", "did you mean usd_gb_hr?"),
        ("Provider", "did you mean provider?"),
        ("price", "did you mean usd_gb_hr?"),
        ("$/GB/h", "did you mean usd_gb_hr?"),
        ("usd_month", None),
        ("zzzzzz", "columns: row, offer_id"),
    ],
)
def test_unknown_column(column: str, hint: str | None) -> None:
    """A column that is not there is an error with the nearest name, or all of them."""
    with pytest.raises(InputError, match="there is no column") as caught:
        shown(Filter(), sort=column)
    assert hint is None or (caught.value.hint or "").startswith(hint)


def test_unknown_column_is_shown_harmless() -> None:
    """What the user typed comes back with its escapes visible."""
    with pytest.raises(InputError) as caught:
        sort_frame(offers_frame(ROWS), "\x1b[2J")
    assert str(caught.value).isprintable()


def test_sort_by_marked_gpus() -> None:
    """Columns added by ``mark_gpus`` can be sorted by."""
    marked = mark_gpus(offers_frame(ROWS), gpus_frame([gpu()]), "H100_80GB", exact=True)
    assert list_offers(marked, Filter(), sort="gpu_usd_hr", exact=True)["row"].iat[0] == 1


def test_groups_by_hand() -> None:
    """Rows, rows in stock, sites, and the exact range of prices of each provider."""
    rows = [
        disk(),
        disk(cloudId="c", spec={"pricePerUnit": Decimal("0.0003")}),
        disk(dataCenter="A-2", stockStatus="Unavailable"),
        disk(dataCenter=None, stockStatus=None, spec={"pricePerUnit": None}),
        disk(dataCenter=None, cloudId="c", spec={"pricePerUnit": Decimal("0.00005")}),
        disk(provider="beta", spec={"pricePerUnit": None}),
        disk(provider=None, spec={"pricePerUnit": Decimal("0.00001")}),
    ]
    assert cells(group_offers(offers_frame(rows), "provider", exact=True)) == [
        {
            "provider": None,
            "offers": 1,
            "in_stock": 1,
            "sites": 1,
            "min_usd_gb_hr": Decimal("0.00001"),
            "max_usd_gb_hr": Decimal("0.00001"),
        },
        {
            "provider": "alpha",
            "offers": 5,
            "in_stock": 4,
            "sites": 3,
            "min_usd_gb_hr": Decimal("0.00005"),
            "max_usd_gb_hr": Decimal("0.0003"),
        },
        {
            "provider": "beta",
            "offers": 1,
            "in_stock": 1,
            "sites": 1,
            "min_usd_gb_hr": None,
            "max_usd_gb_hr": None,
        },
    ]


@pytest.mark.slow
@brief
@given(
    st.lists(
        st.builds(
            disk,
            region=st.sampled_from([None, "a", "b"]),
            dataCenter=st.sampled_from([None, "x", "y"]),
            stockStatus=st.sampled_from([None, "Low", "Unavailable"]),
            spec=st.fixed_dictionaries(
                {"pricePerUnit": st.sampled_from([None, Decimal("0.1"), Decimal("0.2")])}
            ),
        ),
        max_size=8,
    ),
    st.sampled_from(GROUPS),
)
def test_groups_count_every_row_once(rows: list[dict[str, Any]], by: str) -> None:
    """Counts of groups add up to the whole, nulls are a group, the cheapest comes first."""
    offers = offers_frame(rows)
    groups = cells(group_offers(offers, by, exact=True))
    listed = cells(offers)
    assert sum(group["offers"] for group in groups) == len(rows)
    assert {group[by] for group in groups} == {row[by] for row in listed}
    least = [group["min_usd_gb_hr"] for group in groups]
    assert least == sorted(least, key=lambda price: (price is None, price or 0))
    for group in groups:
        prices = [row["usd_gb_hr"] for row in listed if row[by] == group[by] and row["usd_gb_hr"]]
        expected = (min(prices, default=None), max(prices, default=None))
        assert (group["min_usd_gb_hr"], group["max_usd_gb_hr"]) == expected


def test_group_by_something_else() -> None:
    """Only some columns make groups, and the error says which."""
    with pytest.raises(InputError, match="cannot group by 'row'") as caught:
        group_offers(offers_frame(ROWS), "row", exact=True)
    assert all(name in (caught.value.hint or "") for name in GROUPS)


@pytest.mark.slow
def test_empty_frame() -> None:
    """No offers, and no offers that match, are filtered, sorted and grouped like any other."""
    which = Filter(size_gb=5, stock="Low", multinode=True, security="secure_cloud", regions=["x"])
    for offers in (offers_frame([]), offers_frame(ROWS)):
        found = list_offers(offers, which, sort="usd_month", exact=True)
        assert len(found) == 0
        assert {"provision_gb", "usd_hr", "usd_month"} <= set(found.columns)
        assert str(found["provision_gb"].dtype) == "Int64"
        grouped = group_offers(found, "region", exact=True)
        assert "region" in grouped
        assert len(grouped) == 0


def test_frame_that_is_not_offers() -> None:
    """A missing column is named."""
    lacking = offers_frame(ROWS).drop(columns="stock")
    with pytest.raises(FrameError, match="column stock is missing"):
        list_offers(lacking, Filter(), exact=True)
    with pytest.raises(FrameError, match="column stock is missing"):
        group_offers(lacking, "region", exact=True)


def test_places_that_no_offer_has_are_named() -> None:
    """A known place is not said, an unknown one with the nearest, a null matches nothing."""
    frame = offers_frame([disk(region="eu_north"), disk(region=None)])
    assert unknown_places(records(frame), Filter(regions=["eu_north"])) == []
    assert unknown_places(records(frame), Filter(regions=["eu_nort"])) == [
        "no region eu_nort in this market; did you mean eu_north?"
    ]
    assert unknown_places([], Filter(regions=["eu_north"])) == []


@pytest.mark.parametrize("fields", [{"regions": "eu_north"}, {"stock": "high"}, {"security": "x"}])
def test_filters_that_mean_nothing_are_refused(fields: dict[str, Any]) -> None:
    """One text for a list, and words that the market does not use, are wrong input."""
    with pytest.raises(InputError):
        Filter(**fields)


def test_every_view_of_the_market_is_a_table() -> None:
    """Listed, sorted, grouped or marked: a notebook shows it well."""
    offers = offers_frame(ROWS)
    views = [
        list_offers(offers, Filter(size_gb=100), sort="usd_hr", exact=True),
        group_offers(offers, "provider", exact=True),
        mark_gpus(offers, gpus_frame([gpu()]), "A100_80GB", exact=True),
    ]
    assert [type(view) for view in views] == [Table] * 3
