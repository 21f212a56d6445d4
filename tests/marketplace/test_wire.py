"""Pages, wallets and bodies: half understood is not understood, and digits are kept."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
import simplejson

from planner.formats import JsonError
from planner.marketplace.prime import wire

ROW = {"id": "aaaaaaaaaaaa", "name": "a", "providerType": "x"}


def written(document: Any) -> bytes:
    return bytes(simplejson.dumps(document, use_decimal=True).encode())


@pytest.mark.parametrize("name", ["totalCount", "total_count"])
def test_both_names_of_the_total(name: str) -> None:
    """The guide's and the API description's."""
    assert wire.read_disks(written({"data": [ROW], name: 1})).total == 1
    assert wire.read_disks(written({"data": [], name: None})).total is None


@pytest.mark.parametrize(
    "document", [{}, {"data": {}}, {"data": [1]}, {"data": [], "totalCount": Decimal("1.5")}]
)
def test_pages_that_are_none(document: dict[str, Any]) -> None:
    """Half understood is not understood."""
    with pytest.raises(JsonError):
        wire.read_disks(written(document))


@pytest.mark.parametrize(
    "document",
    [{}, {"balance_usd": "7"}, {"balance_usd": True}, {"balance_usd": 7, "currency": "EUR"}],
)
def test_wallets_that_are_none(document: dict[str, Any]) -> None:
    """A balance is a number of US dollars."""
    with pytest.raises(JsonError):
        wire.read_wallet(written(document))


def test_a_wallet() -> None:
    """Exact, and below zero where it is."""
    assert wire.read_wallet(written({"balance_usd": Decimal("-0.10")})).balance_usd == Decimal(
        "-0.10"
    )


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
    wallet = wire.read_wallet(
        written({"balance_usd": 1, "total_billings": 9, "recent_billings": rows})
    )
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
    """The number is unknown; the balance stands."""
    wallet = wire.read_wallet(
        written({"balance_usd": 1, "total_billings": total, "recent_billings": {}})
    )
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
    """Nothing is concluded from them."""
    with pytest.raises(JsonError):
        wire.read_object(body)


def test_an_answer_that_is() -> None:
    """Digits are kept."""
    text = json.dumps({"priceHr": 0.1}).replace("0.1", "0.1000000000000000000001")
    assert wire.read_object(text.encode()) == {"priceHr": Decimal("0.1000000000000000000001")}
