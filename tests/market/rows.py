"""Rows of the API as the tests of this room write them: one good row, and what differs."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hypothesis import settings

from planner.market.canonical import Market
from planner.market.offers import offers_frame

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

brief = settings(max_examples=40, deadline=None)
"""For properties over frames, which take milliseconds an example."""


def disk(*, spec: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """Return a good disk row with these fields, and these fields of ``spec``, in their place."""
    return {
        "cloudId": None,
        "provider": "alpha",
        "dataCenter": "A-1",
        "country": "US",
        "region": "united_states",
        "spec": {
            "minCount": 0,
            "defaultCount": 0,
            "maxCount": 1000,
            "pricePerUnit": Decimal("0.0001"),
            "step": 1,
            "defaultIncludedInPrice": False,
            "additionalInfo": None,
            **(spec or {}),
        },
        "stockStatus": "Available",
        "security": "secure_cloud",
        "isMultinode": True,
        **fields,
    }


def gpu(*, prices: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """Return a good GPU row with these fields, and these prices, in their place."""
    return {
        "cloudId": "a-h100",
        "gpuType": "H100_80GB",
        "socket": "SXM5",
        "provider": "alpha",
        "dataCenter": "A-1",
        "country": "US",
        "region": "united_states",
        "gpuCount": 1,
        "gpuMemory": 80,
        "stockStatus": "Low",
        "security": "secure_cloud",
        "prices": {
            "onDemand": Decimal("2.5"),
            "communityPrice": None,
            "isVariable": None,
            "currency": "USD",
            **(prices or {}),
        },
        "isSpot": None,
        "prepaidTime": None,
        **fields,
    }


def one(row: Any) -> dict[str, Any]:
    """Return the single row of the offers frame of one row of the API."""
    return cells(offers_frame([row]))[0]


def cells(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame, nulls as None, without the module under test."""
    columns = {
        name: [
            None if null else value
            for value, null in zip(frame[name].astype(object), frame[name].isna(), strict=True)
        ]
        for name in frame.columns
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def market_rows(offers: pd.DataFrame) -> list[Mapping[str, Any]]:
    """Return the rows that a plan keeps of an offers frame."""
    return list(Market.of(offers).offer_rows)


def gpu_rows(gpus: pd.DataFrame) -> list[Mapping[str, Any]]:
    """Return the rows that a plan keeps of a GPU frame."""
    return list(Market.of(offers_frame([]), gpus).gpu_rows)


def disk_rows(disks: pd.DataFrame) -> list[Mapping[str, Any]]:
    """Return the rows that a plan keeps of a frame of disks."""
    return list(Market.of(offers_frame([]), None, disks).disk_rows)


def offers_from_market(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the offers frame of the rows of a plan."""
    return Market(tuple(rows)).offers


def gpus_from_rows(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the GPU frame of the rows of a plan."""
    return Market((), tuple(rows)).gpus


def disks_from_rows(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the frame of disks of the rows of a plan."""
    return Market((), (), tuple(rows)).disks
