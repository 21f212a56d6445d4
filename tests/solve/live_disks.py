"""Live disks as the account lists them, and a market of three places to hold them against."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import planner
from planner.demand.read import demand_from
from planner.market.disks import disks_frame, read_disk
from planner.market.gpus import gpus_frame
from planner.market.offers import offers_frame

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from planner.plans.plan import Plan

PLACES = {
    "alpha": ("A-1", "US"),
    "beta": ("B-1", "NO"),
    "gamma": ("C-1", "IS"),
}


def disk(disk_id: str, size: int = 100, provider: str = "alpha", **more: Any) -> dict[str, Any]:
    """Return a disk as ``GET /disks/`` lists it; 0.02 USD an hour unless told otherwise."""
    data_center, country = PLACES[provider]
    info = {
        "cloudId": more.pop("cloud_id", None),
        "dataCenterId": more.pop("data_center", data_center),
        "country": more.pop("country", country),
        "isMultinode": more.pop("multinode", True),
    }
    usd_hr = more.pop("usd_hr", "0.02")
    return {
        "id": disk_id,
        "name": disk_id,
        "status": "ACTIVE",
        "providerType": provider,
        "size": size,
        "priceHr": None if usd_hr is None else Decimal(usd_hr),
        "userId": "u",
        "info": info,
        **more,
    }


def frame(*rows: dict[str, Any]) -> pd.DataFrame:
    return disks_frame(read_disk(row) for row in rows)


def offer(provider: str, price: str, region: str) -> dict[str, Any]:
    data_center, country = PLACES[provider]
    return {
        "provider": provider,
        "dataCenter": data_center,
        "country": country,
        "region": region,
        "stockStatus": "Available",
        "security": "secure_cloud",
        "isMultinode": True,
        "spec": {"minCount": 0, "maxCount": 1000, "step": 1, "pricePerUnit": Decimal(price)},
    }


MARKET = [
    offer("alpha", "0.0001", "united_states"),
    offer("beta", "0.0002", "eu_north"),
    offer("gamma", "0.0003", "eu_north"),
]
"""100 GB cost 0.01, 0.02 and 0.03 USD an hour."""


def gpu(provider: str, usd_hr: str) -> dict[str, Any]:
    data_center, country = PLACES[provider]
    return {
        "cloudId": "h100",
        "gpuType": "H100_80GB",
        "socket": "SXM5",
        "provider": provider,
        "dataCenter": data_center,
        "country": country,
        "region": "united_states",
        "gpuCount": 1,
        "stockStatus": "Available",
        "security": "secure_cloud",
        "prices": {"onDemand": Decimal(usd_hr), "currency": "USD"},
    }


def plan(
    volumes: Sequence[Mapping[str, Any]],
    *disks: dict[str, Any],
    recorded: Mapping[tuple[str, int], tuple[str, ...]] | None = None,
    superseded: Mapping[tuple[str, int], tuple[str, ...]] | None = None,
    market: list[dict[str, Any]] = MARKET,
    gpus: list[dict[str, Any]] | None = None,
    **top: Any,
) -> Plan:
    """Return the plan of volumes (100 GB unless told otherwise) beside the disks there are."""
    entries = [{"size_gb": 100, **volume} for volume in volumes]
    return planner.plan(
        demand_from({"version": 1, "project": "p", "volumes": entries, **top}),
        offers_frame(market),
        None if gpus is None else gpus_frame(gpus),
        disks=frame(*disks),
        recorded=recorded,
        superseded=superseded,
        nonce="nonce-1",
    )


def held(made: Plan) -> list[tuple[str, int, str, str, str]]:
    """Return volume, replica, action, provider and USD per hour of each placement."""
    return [
        (one.volume, one.replica, one.action, one.provider, f"{one.usd_hr.normalize():f}")
        for one in made.placements
    ]
