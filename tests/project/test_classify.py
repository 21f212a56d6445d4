"""The table of answers, as a pure function."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from planner.errors import (
    ContractBroken,
    Invalid,
    MarketError,
    NotFound,
    OutcomeUnknown,
    PaymentRequired,
    RateLimited,
    RequestNotSent,
    RequestRefused,
    Unauthorized,
    Unavailable,
)
from planner.market.disks import read_disk
from planner.project.reconcile import classify
from planner.project.state import ExpectedDisk

FACTS = ExpectedDisk("data-1", 100, "runpod", "cloud-1", "US-1", "US", Decimal("0.01"))
ECHO = {
    "id": "aaaaaaaaaaaa",
    "name": "data-1",
    "size": 100,
    "providerType": "runpod",
    "info": {"cloudId": "cloud-1", "dataCenterId": "US-1", "country": "US"},
}


def test_as_sent() -> None:
    """Everything that was sent comes back, with an id."""
    verdict = classify(read_disk(ECHO), FACTS)
    assert (verdict.kind, verdict.id) == ("as_sent", "aaaaaaaaaaaa")


@pytest.mark.parametrize("absent", ["info", "priceHr", "status", "pods", "userId"])
def test_an_absent_field_is_no_contradiction(absent: str) -> None:
    """The marketplace promises only name, provider and user."""
    echo = {key: value for key, value in ECHO.items() if key != absent}
    assert classify(read_disk(echo), FACTS).kind == "as_sent"


@pytest.mark.parametrize(
    "change",
    [
        {"id": None},
        {"id": "../../x"},
        {"id": 7},
        {"name": None},
        {"name": "data-2"},
        {"size": None},
        {"size": 101},
        {"size": "100"},
        {"providerType": None},
        {"providerType": "other"},
        {"info": {"dataCenterId": "US-2"}},
        {"info": {"cloudId": "cloud-2"}},
        {"info": {"country": "DE"}},
    ],
)
def test_odd(change: dict[str, Any]) -> None:
    """An answer that lacks or changes what was sent is not believed, and says why."""
    verdict = classify(read_disk({**ECHO, **change}), FACTS)
    assert verdict.kind == "odd"
    assert verdict.why
    assert (verdict.id is None) == ("id" in change)


@pytest.mark.parametrize(
    ("failure", "kind", "stock"),
    [
        (RequestNotSent("no"), "not_sent", False),
        (RateLimited("no", status=429, retry_after=3), "limited", False),
        (Unauthorized("no", status=401), "paused", False),
        (Unauthorized("no", status=403), "paused", False),
        (PaymentRequired("no", status=402), "paused", False),
        (RequestRefused("no", status=307), "paused", False),
        (RequestRefused("no", status=409), "taken", True),
        (NotFound("no (404)", status=404), "refused", False),
        (Invalid("no (422): size too large", status=422), "refused", False),
        (Invalid("no (422): Out of stock", status=422), "refused", True),
        (Invalid("no (400): no capacity left", status=400), "refused", True),
        (OutcomeUnknown("no", retry_after=5), "unknown", False),
        (ContractBroken("no"), "unknown", False),
        (Unavailable("no"), "unknown", False),
        (RequestRefused("no", status=418), "unknown", False),
        (MarketError("no"), "unknown", False),
    ],
)
def test_failures(failure: MarketError, kind: str, stock: bool) -> None:
    """Whatever the table does not name is unknown, never failed."""
    verdict = classify(failure, FACTS)
    assert (verdict.kind, verdict.stock) == (kind, stock)
    assert verdict.wait_s == failure.retry_after


@pytest.mark.parametrize(
    ("price", "dearer"),
    [
        (None, False),
        ("0.01", False),
        ("0.0101", False),  # a ten-thousandth is rounding
        ("0.01011", True),
        ("0", False),
    ],
)
def test_a_higher_price(price: str | None, dearer: bool) -> None:
    """By more than half a per cent or 0.0001 USD/h, whichever is more."""
    from planner.market.disks import read_disk

    disk = read_disk({**ECHO, "priceHr": None if price is None else Decimal(price)})
    assert FACTS.costs_more(disk) is dearer
    big = FACTS.at(Decimal(10))
    assert big.costs_more(read_disk({**ECHO, "priceHr": Decimal("10.05")})) is False
    assert big.costs_more(read_disk({**ECHO, "priceHr": Decimal("10.06")})) is True
