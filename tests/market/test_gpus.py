"""GPU offers as a frame, and where they meet disks."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from itertools import product
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.errors import FrameError
from planner.formats import parse
from planner.market.gpus import (
    FACTS,
    GPUS,
    gpus_by_key,
    gpus_frame,
    mark_gpus,
    meeting,
    meets,
    rental_notes,
)
from planner.market.offers import offers_frame
from planner.market.snapshot import join_gpus, read_gpus
from planner.schema import records
from tests.market.rows import brief, cells, disk, gpu, gpu_rows, gpus_from_rows


def only(row: Any) -> dict[str, Any]:
    """Return the single row of the GPU frame of one row of the API."""
    return cells(gpus_frame([row]))[0]


def marks(disks: list[dict[str, Any]], gpus: list[dict[str, Any]]) -> list[tuple[str | None, Any]]:
    """Return ``gpu`` and ``gpu_usd_hr`` of disks in their given order, for an H100."""
    marked = mark_gpus(offers_frame(disks), gpus_frame(gpus), "H100_80GB", exact=True).sort_values(
        "row"
    )
    return [(row["gpu"], row["gpu_usd_hr"]) for row in cells(marked)]


def test_short_ids_are_the_vendors() -> None:
    """The ids of all documented GPU offers are those that the vendor's client 0.18 prints."""
    listed = read_gpus("shipped:gpu-offers.json", exact=True).sort_values("row")
    assert " ".join(listed["offer_id"]) == (
        "159a0a c9a1b5 0b3f95 1365fc f7c044 28d55f 241d7e 976b70 3c3e5a"
    )


def test_short_id_of_nulls_and_of_written_out_numbers() -> None:
    """Null places print as N/A, and 8.0 is 8, as the vendor's client reads it."""
    row = gpu(cloudId="n3-H100x1", provider="hyperstack", country="CA", dataCenter=None)
    row |= {"socket": None, "gpuCount": Decimal("8.0")}
    row |= {"memory": {"defaultCount": 64}, "vcpu": {"defaultCount": Decimal("8.0")}}
    assert only(row)["offer_id"] == "40e440"


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        ({"onDemand": Decimal("2.5"), "communityPrice": Decimal("1.5")}, "1.5"),
        ({"onDemand": Decimal("1.5"), "communityPrice": Decimal("2.5")}, "2.5"),
        ({"onDemand": Decimal("2.5"), "communityPrice": None}, "2.5"),
        ({"onDemand": None, "communityPrice": Decimal("1.5")}, "1.5"),
        ({"onDemand": None, "communityPrice": None}, None),
        ({"onDemand": Decimal("2.5"), "communityPrice": 0}, None),
        ({"onDemand": 0, "communityPrice": None}, None),
        ({"onDemand": Decimal(-1), "communityPrice": None}, None),
        ({"onDemand": Decimal("NaN"), "communityPrice": None}, None),
    ],
)
def test_price(prices: dict[str, Any], expected: str | None) -> None:
    """The community price where one is set, else on demand; a free GPU is unpriced."""
    found = only(gpu(prices=prices))
    assert found["usd_hr"] == (None if expected is None else Decimal(expected))
    assert found["problem"] is None


@pytest.mark.parametrize("currency", ["EUR", "US", None, "", "\x1b[2J", "x" * 200])
def test_only_usd_is_understood(currency: str | None) -> None:
    """Another currency, or none, is a malformed row, said in words that can be shown."""
    problem = only(gpu(prices={"currency": currency}))["problem"]
    assert problem is not None
    assert problem.startswith("prices.currency is ")
    assert problem.isprintable()
    assert len(problem) < 100


@pytest.mark.parametrize("spot", [None, True, False])
def test_spot(*, spot: bool | None) -> None:
    """Null stays null: unknown."""
    assert only(gpu(isSpot=spot))["spot"] is spot


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (gpu(prices={"onDemand": "2.5"}), "prices.onDemand: a number was expected, not text"),
        (gpu(prices={"communityPrice": True}), "prices.communityPrice: a number was expected"),
        (gpu(gpuCount=Decimal("1.5")), "gpuCount is 1.5, not a whole number"),
        (gpu(gpuCount=-1), "gpuCount is negative"),
        (gpu(gpuType=None), "gpuType is missing"),
        (gpu(provider=""), "provider is missing"),
        (gpu(isSpot="no"), "isSpot: true or false was expected"),
        ({**gpu(), "prices": [1]}, "prices: an object was expected, not a list; prices.currency"),
        ({**gpu(), "prices": None}, "prices.currency is missing"),
        (7, "the row is not an object"),
    ],
)
def test_malformed_row_stays_with_its_reason(row: object, why: str) -> None:
    """A row that cannot be believed keeps its place and says why, once."""
    frame = gpus_frame([gpu(), row])
    (bad,) = [found for found in cells(frame) if found["row"] == 2]
    assert why in bad["problem"]
    assert frame["problem"].isna().sum() == 1


@pytest.mark.parametrize("count", ["Infinity", "1e5000", "NaN", "9" * 5000, "[]"])
def test_absurd_count_is_one_rows_problem(count: str) -> None:
    """A count that no integer can hold breaks neither the id nor the listing."""
    frame = gpus_frame([gpu(gpuCount=parse(count.encode())), gpu(memory={"defaultCount": count})])
    assert frame["offer_id"].str.fullmatch("[0-9a-f]{6}").all()


@pytest.mark.parametrize("rows", [0, 1, 9], ids=str)
def test_declared_columns_and_types(rows: int) -> None:
    """The columns and types are the declared ones for any number of rows."""
    frame = gpus_frame([gpu(dataCenter=f"A-{at}", gpuCount=None) for at in range(rows)])
    assert list(frame.columns) == [column.name for column in GPUS]
    assert [str(dtype) for dtype in frame.dtypes] == [column.stored for column in GPUS]
    assert len(frame) == rows


AMOUNTS = [None, Decimal(1), Decimal("2.50"), Decimal("2.5"), Decimal("NaN")]
LISTINGS: st.SearchStrategy[list[Any]] = st.lists(
    st.builds(
        gpu,
        gpuType=st.sampled_from([None, "H100_80GB", "A100_80GB", 3]),
        gpuCount=st.sampled_from([None, 0, 1, 8, "1"]),
        dataCenter=st.sampled_from([None, "A", "B"]),
        isSpot=st.sampled_from([None, True, False]),
        prepaidTime=st.sampled_from([None, 24, Decimal("0.50")]),
        prices=st.fixed_dictionaries(
            {"onDemand": st.sampled_from(AMOUNTS), "isVariable": st.sampled_from([None, True])}
        ),
    )
    | st.sampled_from([None, [], "row"]),
    max_size=6,
)
PERMUTED = LISTINGS.flatmap(lambda rows: st.tuples(st.just(rows), st.permutations(rows)))


@pytest.mark.slow
@brief
@given(PERMUTED)
def test_order_of_the_listing_does_not_show(listings: tuple[list[Any], list[Any]]) -> None:
    """Permuting rows changes nothing but ``row``, and drops none."""
    left, right = (gpus_frame(rows).drop(columns="row") for rows in listings)
    pd.testing.assert_frame_equal(left, right)
    assert len(left) == len(listings[0])


@pytest.mark.parametrize(("single", "multi"), [(0, 0), (0, 2), (2, 0), (1, 2)])
def test_both_listings_as_one(single: int, multi: int) -> None:
    """Both listings together, empty ones too, keep types, origin and their names."""
    left = gpus_frame([gpu()] * single)
    left.attrs = {"source": "here"}
    both = join_gpus(left, gpus_frame([gpu()] * multi, listing="multi-node"))
    assert both["listing"].tolist() == ["gpus"] * single + ["multi-node"] * multi
    assert [str(dtype) for dtype in both.dtypes] == [column.stored for column in GPUS]
    assert both.attrs == {"source": "here"}


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("place", "where", "state"),
    [
        ({}, {}, "yes"),
        ({}, {"provider": "beta"}, "no"),
        ({}, {"dataCenter": "B"}, "no"),
        ({}, {"country": "CA"}, "no"),
        ({}, {"country": None}, "yes"),
        ({"country": None}, {}, "yes"),
        ({"country": None}, {"country": None}, "yes"),
        ({"dataCenter": None}, {}, "unconfirmed"),
        ({}, {"dataCenter": None}, "unconfirmed"),
        ({"dataCenter": None}, {"country": "CA"}, "no"),
        ({"provider": "beta"}, {"dataCenter": None}, "no"),
        ({"dataCenter": None}, {"dataCenter": None}, "unconfirmed"),
        ({"dataCenter": None}, {"dataCenter": None, "country": None}, "unconfirmed"),
        ({"dataCenter": None}, {"dataCenter": None, "country": "CA"}, "no"),
        ({}, {"gpuType": "A100_80GB"}, "no"),
        ({}, {"stockStatus": "Unavailable"}, "no"),
        ({}, {"stockStatus": None}, "yes"),
        ({}, {"gpuCount": "1"}, "no"),
        ({"cloudId": "x"}, {"cloudId": "y"}, "yes"),
    ],
)
def test_where_disks_and_gpus_meet(
    place: dict[str, Any], where: dict[str, Any], state: str
) -> None:
    """The provider is equal, and what both name; a data centre that one leaves out: unconfirmed."""
    price = None if state == "no" else Decimal("2.5")
    assert marks([disk(**place)], [gpu(**where)]) == [(state, price)]


def test_gpus_are_unknown_where_nothing_says_what_is_there() -> None:
    """No data centre, and no GPU of the provider listed: not "no", but unknown, as for `where`."""
    assert marks([disk(provider="beta", dataCenter=None)], [gpu()]) == [(None, None)]
    assert marks([disk(provider="beta")], [gpu()]) == [("no", None)]


def test_rows_without_a_provider_do_not_meet() -> None:
    """Two unknown providers are not one provider."""
    assert marks([disk(provider=None)], [gpu(provider=None)]) == [("no", None)]
    nowhere = {"provider": None, "data_center": "A-1", "country": "US"}
    assert not meets(nowhere, nowhere)


@pytest.mark.slow
def test_meeting_is_meets_of_every_pair() -> None:
    """The whole table says what the rule says of each pair, repeats and every null included."""
    sites = list(product([None, "alpha", "beta"], [None, "A"], [None, "US", "CA"]))
    keys = ("provider", "dataCenter", "country")
    named: list[dict[str, Any]] = [dict(zip(keys, site, strict=True)) for site in sites]
    offers = offers_frame([disk(**site) for site in named])
    gpus = gpus_frame([gpu(**site) for site in [*named, *named]])
    found = meeting(offers, gpus)
    assert found.shape == (36, 18)
    assert found.tolist() == [[meets(offer, at) for offer in cells(offers)] for at in cells(gpus)]
    assert found.sum() == 2 * 2 * 4 * 7  # of 3 x 3 countries all but US/CA and CA/US meet
    assert meeting(offers, gpus_frame([])).shape == (0, 18)
    assert meeting(offers_frame([]), gpus).shape == (36, 0)


def test_cheapest_gpu_of_the_site() -> None:
    """Each offer has the cheapest price at its own site; unpriced ones are there, without one."""
    gpus = [
        gpu(prices={"onDemand": Decimal("2.50")}),
        gpu(prices={"onDemand": Decimal("2.40"), "communityPrice": Decimal("2.45")}),
        gpu(prices={"onDemand": None}),
        gpu(dataCenter="B", prices={"onDemand": None}),
        gpu(dataCenter="C", prices={"onDemand": Decimal("0.1")}),
    ]
    disks = [disk(), disk(dataCenter="B"), disk(dataCenter="D")]
    assert marks(disks, gpus) == [("yes", Decimal("2.45")), ("yes", None), ("no", None)]


def test_marking_leaves_the_callers_frames_alone() -> None:
    """The result is a copy, aligned to whatever index the caller has, types as declared."""
    offers = offers_frame([disk(), disk(dataCenter="B"), disk(provider="beta")]).iloc[[2, 0, 1]]
    gpus = gpus_frame([gpu(dataCenter="B")])
    before = offers.copy(), gpus.copy()
    marked = mark_gpus(offers, gpus, "H100_80GB", exact=True)
    pd.testing.assert_frame_equal(offers, before[0])
    pd.testing.assert_frame_equal(gpus, before[1])
    assert marked.index.tolist() == [2, 0, 1]
    assert marked["gpu"].tolist() == ["no", "no", "yes"]
    assert (str(marked["gpu"].dtype), str(marked["gpu_usd_hr"].dtype)) == ("string", "object")


def test_marking_with_repeated_index() -> None:
    """Frames put together by a caller, with an index that repeats, are marked row by row."""
    part = offers_frame([disk()])
    both = pd.concat([part, offers_frame([disk(dataCenter="B")])])
    assert mark_gpus(both, gpus_frame([gpu()]), "H100_80GB", exact=True)["gpu"].tolist() == [
        "yes",
        "no",
    ]


def test_no_gpus_and_no_offers() -> None:
    """Empty frames mark nothing, with the same columns."""
    assert marks([disk()], []) == [("no", None)]
    assert list(mark_gpus(offers_frame([]), gpus_frame([gpu()]), "x", exact=True).columns[-2:]) == [
        "gpu",
        "gpu_usd_hr",
    ]


def test_frames_that_are_not_theirs() -> None:
    """A missing column is named, in either frame."""
    with pytest.raises(FrameError, match="offers: column provider is missing"):
        mark_gpus(offers_frame([disk()]).drop(columns="provider"), gpus_frame([]), "x", exact=True)
    with pytest.raises(FrameError, match="gpus: column usd_hr is missing"):
        mark_gpus(offers_frame([disk()]), gpus_frame([]).drop(columns="usd_hr"), "x", exact=True)


@pytest.mark.slow
@brief
@given(PERMUTED)
def test_canonical_rows_round_trip(listings: tuple[list[Any], list[Any]]) -> None:
    """Canonical rows are JSON, describe the frame they came from, and do not know its order."""
    frame = gpus_frame(listings[0])
    canonical = gpu_rows(frame)
    back = gpus_from_rows(json.loads(json.dumps(canonical)))
    assert gpu_rows(gpus_frame(listings[1])) == canonical
    assert gpu_rows(back) == canonical
    assert sorted(back["row"]) == list(range(1, len(frame) + 1))
    if len(frame):
        pd.testing.assert_frame_equal(
            gpus_by_key(back).drop(columns="row"), gpus_by_key(frame).drop(columns="row")
        )


def test_canonical_rows_do_not_know_how_an_amount_was_written() -> None:
    """2.50 and 2.5 are one price: what else differs sorts the rows, before and after saving."""
    pair = [
        gpu(prices={"onDemand": Decimal("2.5"), "isVariable": True}),
        gpu(prices={"onDemand": Decimal("2.50"), "isVariable": False}),
    ]
    canonical = gpu_rows(gpus_frame(pair))
    assert [row["price_varies"] for row in canonical] == [False, True]
    assert gpu_rows(gpus_from_rows(canonical)) == canonical


def test_canonical_rows_are_facts_of_both_listings() -> None:
    """Every fact is kept, amounts as plain text, and the two listings stay apart."""
    both = join_gpus(
        gpus_frame([gpu(prices={"onDemand": Decimal("9.70E-1")}, prepaidTime=24)]),
        gpus_frame([gpu(gpuType="A100_80GB")], listing="multi-node"),
    )
    multi, single = gpu_rows(both)
    assert tuple(single) == FACTS
    assert "row" not in single
    assert (single["usd_hr"], single["prepaid_hours"], single["listing"]) == ("0.97", "24", "gpus")
    assert (multi["listing"], multi["gpu_type"]) == ("multi-node", "A100_80GB")
    assert gpu_rows(both.iloc[::-1]) == [multi, single]


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("usd_hr", -2.5),
        ("usd_hr", "2.5"),
        ("usd_hr", Decimal(0)),
        ("usd_hr", Decimal("-0.1")),
        ("usd_hr", Decimal("Infinity")),
        ("usd_hr", (1,)),
        ("prepaid_hours", Decimal(-1)),
        ("gpus", -1),
        ("gpus", "8"),
        ("gpu_gb", -1),
        ("stock", "low"),
        ("stock", None),
        ("listing", "gpu"),
        ("listing", None),
        ("offer_id", None),
        ("provider", None),
        ("gpu_type", None),
        ("gpu_type", 5),
        ("spot", "yes"),
    ],
)
def test_frame_of_a_caller_is_not_believed(column: str, value: object) -> None:
    """A value that no listing gives is an error that names the column, never a wrong plan."""
    frame = gpus_frame([gpu(), gpu(dataCenter="B")])
    frame[column] = pd.Series([value, value], dtype="object")
    with pytest.raises(FrameError, match=f"column {column} ") as caught:
        gpu_rows(frame)
    assert len(caught.value.failures) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"usd_hr": "-1"},
        {"usd_hr": "Infinity"},
        {"usd_hr": "abc"},
        {"usd_hr": "NaN"},
        {"usd_hr": [1]},
        {"prepaid_hours": "0"},
        {"gpus": "many"},
        {"spot": "yes"},
        {"stock": "sold out"},
        {"listing": "disks"},
        {"provider": None},
    ],
)
def test_rows_that_are_no_gpu_offers(change: dict[str, Any]) -> None:
    """Rows that ``gpu_rows`` cannot have written are refused."""
    row = gpu_rows(gpus_frame([gpu()]))[0]
    kinds = (FrameError, KeyError, TypeError, ValueError, InvalidOperation)
    with pytest.raises(kinds):
        gpus_from_rows([{**row, **change}] * 2)


@pytest.mark.slow
@brief
@given(PERMUTED)
def test_sorted_by_key_whatever_the_order(listings: tuple[list[Any], list[Any]]) -> None:
    """Sorting for choosing drops nothing, ignores the listing's order, and counts from 0."""
    left, right = (gpus_by_key(gpus_frame(rows)) for rows in listings)
    pd.testing.assert_frame_equal(left.drop(columns="row"), right.drop(columns="row"))
    assert left.index.tolist() == list(range(len(listings[0])))


def test_sorted_by_key_null_first() -> None:
    """Provider, cloud id, data centre and country decide in this order, null before any name."""
    keys = [
        ("alpha", None, "B", "US"),
        ("alpha", "a", None, "US"),
        ("alpha", "a", "A", None),
        ("alpha", "a", "A", "CA"),
        ("beta", None, None, None),
    ]
    rows = [
        gpu(provider=p, cloudId=cloud, dataCenter=dc, country=country)
        for p, cloud, dc, country in reversed(keys)
    ]
    frame = gpus_frame(rows)
    frame.attrs = {"source": "here"}
    found = gpus_by_key(frame)
    key = ("provider", "cloud_id", "data_center", "country")
    assert [tuple(row[name] for name in key) for row in cells(found)] == keys
    assert found.attrs == {"source": "here"}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (gpu(), []),
        (gpu(prices={"isVariable": False}), []),
        (gpu(prices={"isVariable": True}), ["price may change"]),
        (gpu(prepaidTime=24), ["hours charged in advance: 24"]),
        (gpu(stockStatus=None), ["stock is not listed"]),
        (gpu(dataCenter=None), ["`planner status` ask the marketplace"]),
        (
            gpu(dataCenter=None, stockStatus="odd", prepaidTime=1, prices={"isVariable": True}),
            [
                "price may change",
                "in advance: 1;",
                "listed as 'odd'",
                "`planner status` ask the marketplace",
            ],
        ),
    ],
)
def test_what_is_to_be_said_of_a_gpu_offer(row: dict[str, Any], words: list[str]) -> None:
    """Each fact that a plan should warn about is one sentence, and a plain offer has none."""
    notes = rental_notes(only(row))
    assert len(notes) == len(words)
    assert all(word in note for word, note in zip(words, notes, strict=True))


@pytest.mark.parametrize(
    ("parts", "extra"),
    [
        ({}, None),
        ({"vcpu": {"defaultIncludedInPrice": True, "pricePerUnit": 0.01}}, None),
        ({"vcpu": {"defaultIncludedInPrice": False}}, "vcpu"),
        ({"memory": {"pricePerUnit": 0.005}, "disk": {"pricePerUnit": None}}, "memory"),
        ({"vcpu": {"pricePerUnit": 0.02}, "disk": {"defaultIncludedInPrice": False}}, "vcpu, disk"),
    ],
)
def test_what_a_price_leaves_out_is_said(parts: dict[str, Any], extra: str | None) -> None:
    """vCPU, memory and disk that cost extra, or may, are named in row and notes."""
    (row,) = records(gpus_frame([gpu(**parts)]))
    assert row["charged_extra"] == extra
    notes = [note for note in rental_notes(row) if "does not include" in note]
    assert notes == (
        [f"its price does not include {extra}; add what the marketplace charges for it"]
        if extra
        else []
    )
