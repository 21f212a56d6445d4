"""A row of a disk listing: absent is unknown, and nonsense equals nothing that was sent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from planner.market.disks import UNREADABLE, read_disk

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
    assert disk.attached == ("c-1",)
    assert disk.is_live


def test_only_what_the_api_promises() -> None:
    """Name, provider and user: everything else is unknown, and nothing fails."""
    disk = read_disk({"name": "x", "providerType": "y", "userId": "z"})
    assert (disk.id, disk.size_gb, disk.usd_hr, disk.status) == (None, None, None, "UNKNOWN")
    assert disk.attached == ()
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
    assert read_disk({**DOCUMENTED, "pods": pods}).attached is None
