"""What the market did, as far as it was read: shares, prices, stretches, one offer's record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner.errors import InputError
from planner.market.history import CHANGES, GPU_HISTORY, HISTORY, OfferRecord, offer_records
from planner.market.history_file import Recorder
from planner.market.snapshot import Snapshot
from planner.schema import records
from tests.market.rows import disk

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2026, 10, 1, tzinfo=UTC)
URL = "https://market.test"
TARGET = {"base_url": URL, "team_id": None}
KEY = ("alpha", None, "A-1", "US")


def listed(folder: Path, *listings: list[dict[str, Any]], name: Any = "disks") -> None:
    """Record listings, a day between them."""
    record = Recorder(folder, URL, None, pytest.fail)
    for day, rows in enumerate(listings):
        record(name, Snapshot(rows, "test", START + timedelta(days=day)))


def record_of(folder: Path, team: str | None = None) -> OfferRecord | None:
    (record,) = offer_records([(KEY, 500)], {**TARGET, "team_id": team}, folder)
    return record


def priced(price: str, stock: str = "High", **more: Any) -> dict[str, Any]:
    return disk(spec={"pricePerUnit": Decimal(price)}, stockStatus=stock, **more)


def test_stock_and_price_are_counted_over_the_listings(tmp_path: Path) -> None:
    """In stock in 3 of 5: once out of stock, once not listed; the price fell by a fifth."""
    other = priced("0.5", dataCenter="B-1")
    listed(
        tmp_path,
        [priced("0.0001"), other],
        [priced("0.0001", "Unavailable"), other],
        [other],
        [priced("0.00008", "Low"), other],
        [priced("0.00008", "Low"), other],
    )
    frame = planner.history(exact=True, state=tmp_path, data_centers=["A-1"])
    assert [column.name for column in HISTORY] == list(frame.columns)
    (row,) = records(frame)
    wanted = {
        "usd_gb_hr": Decimal("0.00008"),
        "min_usd_gb_hr": Decimal("0.00008"),
        "max_usd_gb_hr": Decimal("0.0001"),
        "price_changes": 1,
        "change_percent": Decimal(-20),
        "stock": "Low",
        "listings": 5,
        "in_stock": 3,
        "in_stock_percent": Decimal(60),
        "first_seen_at": "2026-10-01T00:00:00+00:00",
        "last_seen_at": "2026-10-05T00:00:00+00:00",
    }
    assert {name: row[name] for name in wanted} == wanted
    assert frame.attrs == {"listings": 5, "since": wanted["first_seen_at"], "source": URL}
    assert planner.history(exact=True, state=tmp_path)["data_center"].tolist() == ["A-1", "B-1"]


def test_changes_are_stretches(tmp_path: Path) -> None:
    """Four listings, three stretches: available, gone, and back at another price."""
    row = priced("0.0001")
    listed(tmp_path, [row], [row], [priced("2", provider="b")], [priced("0.0002")])
    frame = planner.history(exact=True, state=tmp_path, providers=["alpha"], changes=True)
    assert [column.name for column in CHANGES] == list(frame.columns)
    assert [
        (row["from_at"][:10], row["to_at"][:10], row["listings"], row["usd_gb_hr"], row["stock"])
        for row in records(frame)
    ] == [
        ("2026-10-01", "2026-10-02", 2, Decimal("0.0001"), "High"),
        ("2026-10-03", "2026-10-03", 1, None, None),
        ("2026-10-04", "2026-10-04", 1, Decimal("0.0002"), "High"),
    ]


def test_an_offer_counts_from_its_first_listing(tmp_path: Path) -> None:
    """What came later is not held to listings before it was there."""
    listed(tmp_path, [priced("1")], [priced("1"), priced("1", dataCenter="New")])
    frame = planner.history(exact=True, state=tmp_path)
    assert frame["listings"].tolist() == [2, 1]
    assert frame["in_stock_percent"].tolist() == [Decimal(100), Decimal(100)]


def test_unknown_stock_is_neither_in_stock_nor_out(tmp_path: Path) -> None:
    """A share is of the listings in which the stock is known."""
    listed(tmp_path, [priced("1", "maybe")], [priced("1", "Low")], [priced("1", "Unavailable")])
    (row,) = records(planner.history(exact=True, state=tmp_path))
    assert (row["listings"], row["stock_listings"], row["in_stock"]) == (3, 2, 1)
    listed(tmp_path / "other", [disk(stockStatus=None)] * 1, [disk(stockStatus=None)])
    (row,) = records(planner.history(exact=True, state=tmp_path / "other"))
    assert row["in_stock_percent"] is None


def test_earlier_listings_can_be_left_out(tmp_path: Path) -> None:
    """A date is midnight, UTC."""
    listed(tmp_path, [priced("1")], [priced("2")], [priced("3")])
    frame = planner.history(exact=True, state=tmp_path, since="2026-10-02")
    assert frame["listings"].tolist() == [2]
    assert frame["min_usd_gb_hr"].tolist() == [Decimal(2)]
    with pytest.raises(InputError, match="not a date"):
        planner.history(exact=True, state=tmp_path, since="yesterday")


def test_gpus_have_a_history_too(tmp_path: Path) -> None:
    """A model, or offers of so many of it; both listings."""
    gpu = {
        "provider": "alpha",
        "gpuType": "A100_80GB",
        "gpuCount": 8,
        "gpuMemory": 80,
        "dataCenter": "A-1",
        "prices": {"onDemand": Decimal("12.5"), "currency": "USD"},
        "stockStatus": "Low",
        "isSpot": False,
    }
    listed(tmp_path, [gpu, {**gpu, "gpuCount": 1}], [gpu], name="gpus")
    listed(tmp_path, [{**gpu, "gpuType": "H100_80GB", "isSpot": None}], name="multi-node")
    frame = planner.history(exact=True, state=tmp_path, gpu="A100_80GB:8")
    assert {column.name for column in GPU_HISTORY} | {"usd_month"} == set(frame.columns)
    assert frame[["gpus", "listings", "usd_hr"]].values.tolist() == [[8, 2, Decimal("12.5")]]
    every = planner.history(exact=True, state=tmp_path, gpus=True)
    assert every["listing"].tolist() == ["gpus", "gpus", "multi-node"]
    assert every["spot"].tolist()[:2] == [False, False]


def test_nothing_recorded_is_an_empty_frame(tmp_path: Path) -> None:
    """With the same columns, and no file is made by asking."""
    assert list(planner.history(state=tmp_path).columns) == [column.name for column in HISTORY]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("later", "text"),
    [
        (priced("0.0001"), "in stock in 100 % of 3 listings since 2026-10-01, price unchanged"),
        (
            priced("0.00009", "Unavailable"),
            "in stock in 67 % of 3 listings since 2026-10-01, price changed once, by -10.0 %",
        ),
    ],
)
def test_the_record_of_one_offer_is_a_sentence(
    tmp_path: Path, later: dict[str, Any], text: str
) -> None:
    """Only the row that sells the size counts: tiers of one create key have prices of their own."""
    tier = disk(spec={"minCount": 2000, "maxCount": 4000, "pricePerUnit": Decimal(9)})
    listed(tmp_path, [priced("0.0001"), tier], [priced("0.0001")], [later, tier])
    assert str(record_of(tmp_path)) == text


def test_one_listing_is_no_record(tmp_path: Path) -> None:
    """Nor is what another team was offered."""
    listed(tmp_path, [priced("1")])
    assert record_of(tmp_path) is None
    listed(tmp_path, [priced("1")])
    assert record_of(tmp_path) is not None
    assert record_of(tmp_path, "x") is None
