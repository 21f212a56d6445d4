"""A disk, a page, a wallet: absent is unknown, nonsense equals nothing, and NaN is no answer."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from planner.formats import JsonError
from planner.market.disks import UNREADABLE, read_disk
from planner.marketplace.prime.wire import read_disk_page, read_wallet, understood

DOCUMENTED = {
    "id": "fdb5205fd9b14c9d804d3f70b4c96da0",
    "name": "ml-training-data",
    "createdAt": "2025-11-07T21:07:15.183000",
    "terminatedAt": None,
    "status": "PROVISIONING",
    "providerType": "hyperstack",
    "size": 500,
    "info": {"cloudId": None, "country": "US", "isMultinode": False, "dataCenterId": "US-1"},
    "priceHr": Decimal("0.075"),
    "pods": [],
    "clusters": ["c-1"],
}


def test_the_documented_disk() -> None:
    """The guide's example, field by field."""
    disk = read_disk(DOCUMENTED)
    assert (disk.id, disk.name, disk.status) == (
        "fdb5205fd9b14c9d804d3f70b4c96da0",
        "ml-training-data",
        "PROVISIONING",
    )
    assert (disk.provider, disk.size_gb, disk.usd_hr) == ("hyperstack", 500, Decimal("0.075"))
    assert (disk.cloud_id, disk.data_center, disk.country) == (None, "US-1", "US")
    assert disk.users == ("c-1",)
    assert disk.is_live


def test_only_what_the_api_promises() -> None:
    """Name, provider and user: everything else is unknown, and nothing fails."""
    disk = read_disk({"name": "x", "providerType": "y", "userId": "z"})
    assert (disk.id, disk.size_gb, disk.usd_hr, disk.status) == (None, None, None, "UNKNOWN")
    assert disk.users == ()
    assert disk.is_live


@pytest.mark.parametrize(
    "text", ["", "short", "x" * 65, "../../etc", "aaaaaaaa/b", "aaaaaaaaä", "aaaaaaaa\n", 7, None]
)
def test_what_no_id_looks_like_is_none(text: Any) -> None:
    """It never enters a URL; the row keeps an identity of its own."""
    disk = read_disk({**DOCUMENTED, "id": text})
    assert disk.id is None
    assert disk.key != read_disk({**DOCUMENTED, "id": "another/one"}).key


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, 0),
        (Decimal("5E+2"), 500),
        (Decimal("0.5"), -1),
        (Decimal("1E+40"), -1),
        ("500", -1),
        (True, -1),
        (-5, -1),
        ([], -1),
        (None, None),
    ],
)
def test_sizes(size: Any, expected: int | None) -> None:
    """Whole GB, however written; anything else equals no size."""
    assert read_disk({**DOCUMENTED, "size": size}).size_gb == expected


@pytest.mark.parametrize("price", [None, "0.1", -1, True, [], Decimal("1E+10"), Decimal("1E-99")])
def test_prices_that_are_not_believed(price: Any) -> None:
    """They count as planned, so they are unknown."""
    assert read_disk({**DOCUMENTED, "priceHr": price}).usd_hr is None


@pytest.mark.parametrize("field", ["name", "providerType", "status", "createdAt"])
def test_a_text_that_is_none_equals_nothing(field: str) -> None:
    """A number where a text is due is not silently absent."""
    disk = read_disk({**DOCUMENTED, field: 5})
    assert UNREADABLE in {disk.name, disk.provider, disk.status, disk.created_at}


@pytest.mark.parametrize("pods", [None, "pod", {}])
def test_users_that_are_not_understood(pods: Any) -> None:
    """Nothing is deleted on the strength of them."""
    assert read_disk({**DOCUMENTED, "pods": pods}).users is None


@pytest.mark.parametrize("name", ["totalCount", "total_count"])
def test_both_names_of_the_total(name: str) -> None:
    """The guide's and the API description's."""
    assert read_disk_page({"data": [DOCUMENTED], name: 1}).total == 1
    assert read_disk_page({"data": [], name: None}).total is None


@pytest.mark.parametrize(
    "document", [{}, {"data": {}}, {"data": [1]}, {"data": [], "totalCount": Decimal("1.5")}]
)
def test_pages_that_are_none(document: dict[str, Any]) -> None:
    """Half understood is not understood."""
    with pytest.raises(JsonError):
        read_disk_page(document)


@pytest.mark.parametrize(
    "document",
    [{}, {"balance_usd": "7"}, {"balance_usd": True}, {"balance_usd": 7, "currency": "EUR"}],
)
def test_wallets_that_are_none(document: dict[str, Any]) -> None:
    """A balance is a number of US dollars."""
    with pytest.raises(JsonError):
        read_wallet(document)


def test_a_wallet() -> None:
    """Exact, and below zero where it is."""
    assert read_wallet({"balance_usd": Decimal("-0.10")}).balance_usd == Decimal("-0.10")


def test_bills_are_believed_row_by_row() -> None:
    """Exact amounts, credits included; what is no amount in USD is none, and still a row."""
    rows = [
        {"id": "b1", "amount_usd": Decimal("1.5"), "resource_type": "disks", "resource_id": "d1"},
        {"id": "b2", "amount_usd": Decimal("-0.25"), "currency": "USD"},
        {"id": "b3", "amount_usd": "7"},
        {"id": "b4", "amount_usd": 7, "currency": "EUR"},
        {"id": "b5", "amount_usd": True},
        {"id": "b6", "amount_usd": 10**30},
        "nonsense",
    ]
    wallet = read_wallet({"balance_usd": 1, "total_billings": 9, "recent_billings": rows})
    assert [one.amount_usd for one in wallet.bills] == [
        *(Decimal("1.5"), Decimal("-0.25")),
        *(None, None, None, None, None),
    ]
    assert (wallet.bills[0].resource_type, wallet.bills[0].resource_id) == ("disks", "d1")
    assert wallet.bills[1].resource_type == "unknown"
    assert len({one.key for one in wallet.bills}) == 7
    assert wallet.total_bills == 9


@pytest.mark.parametrize("total", [None, "9", -1, True, Decimal("1.5")])
def test_a_number_of_bills_that_is_none(total: Any) -> None:
    """Then nobody says how many there are; the balance stands."""
    wallet = read_wallet({"balance_usd": 1, "total_billings": total, "recent_billings": {}})
    assert (wallet.bills, wallet.total_bills) == ((), None)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"null",
        b'"x"',
        b"",
        b"{",
        b'{"a": NaN}',
        b'{"a": [1, {"b": -Infinity}]}',
        b'{"a": 1, "a": 1}',
        b'{"a":' * 40 + b"1" + b"}" * 40,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"\xff\xfe",
    ],
)
def test_answers_that_are_not_understood(body: bytes) -> None:
    """Nobody can mean them, so nobody acts on them."""
    with pytest.raises(JsonError):
        understood(body)


def test_an_answer_that_is() -> None:
    """Digits are kept."""
    text = json.dumps({"priceHr": 0.1}).replace("0.1", "0.1000000000000000000001")
    assert understood(text.encode()) == {"priceHr": Decimal("0.1000000000000000000001")}
