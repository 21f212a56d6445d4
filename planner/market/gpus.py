"""GPU offers as a frame, and where they meet disks.

Source of the row's meaning: the vendor's API description of ``/availability/gpus`` and
``/availability/multi-node``, and its client's price rule.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pandas as pd

from planner.frames import EXACT, TEXT, WHOLE, YES_NO, Column, build, conform, records
from planner.market.offers import conform_offers
from planner.market.wire import RowReader, id_part
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

GPUS = (
    Column("row", WHOLE, "place in the listing, from 1"),
    Column("listing", TEXT, "gpus (one node) or multi-node"),
    Column("offer_id", TEXT, "short id, as the vendor's client prints it"),
    Column("provider", TEXT, "null: the row names none and is not rentable"),
    Column("cloud_id", TEXT, "null: unknown"),
    Column("gpu_type", TEXT, "model, such as H100_80GB"),
    Column("gpus", WHOLE, "GPUs in the offer"),
    Column("gpu_gb", WHOLE, "memory of one GPU in GB; null: unknown"),
    Column("socket", TEXT, "null: unknown"),
    Column("data_center", TEXT, "null: unknown"),
    Column("country", TEXT, "null: unknown"),
    Column("region", TEXT, "null: unknown"),
    Column("usd_hr", EXACT, "exact Decimal, USD per hour for the whole offer; null: unpriced"),
    Column("price_varies", YES_NO, "the price may change while it runs; null: unknown"),
    Column("prepaid_hours", EXACT, "hours charged at the start, Decimal; null: none"),
    Column("spot", YES_NO, "can be interrupted; null: unknown, taken as not spot"),
    Column("stock", TEXT, "Unavailable, unknown, Low, Medium, Available or High"),
    Column("security", TEXT, "secure_cloud, community_cloud; null: unknown"),
    Column("problem", TEXT, "why the row cannot be believed; null: it can"),
)
"""Columns of a GPU frame, sorted by type, place and price."""

_ORDER = ("gpu_type", "provider", "data_center", "country", "cloud_id", "gpus", "usd_hr")


def gpus_frame(rows: Iterable[Any], *, listing: str = "gpus") -> pd.DataFrame:
    """Return rows of the API as a GPU frame (columns ``GPUS``), every row kept.

    Parameters
    ----------
    rows : iterable
        Rows of ``/availability/gpus`` or ``/availability/multi-node``.
    listing : str
        Which of the two: ``gpus`` or ``multi-node``.
    """
    found = [_gpu(place, row, listing) for place, row in enumerate(rows, 1)]
    return build(sorted(found, key=_order), GPUS)


def _order(row: Mapping[str, Any]) -> tuple[Any, ...]:
    named = tuple(
        (row[name] is not None, row[name] or 0)
        if name in {"gpus", "usd_hr"}
        else (row[name] is not None, row[name] or "")
        for name in _ORDER
    )
    return (*named, tuple(str(row[column.name]) for column in GPUS[1:]), row["row"])


def _gpu(place: int, row: Any, listing: str) -> dict[str, Any]:  # noqa: ANN401 -- any JSON value
    read = RowReader(row)
    currency = read.text("prices.currency")
    community = read.price("prices.communityPrice")
    on_demand = read.price("prices.onDemand")
    listed = read.raw("prices.communityPrice") is not None
    values = {
        "row": place,
        "listing": listing,
        "offer_id": _short_id(row if isinstance(row, dict) else {}),
        "provider": read.text("provider", required=True),
        "cloud_id": read.text("cloudId"),
        "gpu_type": read.text("gpuType", required=True),
        "gpus": read.whole("gpuCount"),
        "gpu_gb": read.whole("gpuMemory"),
        "socket": read.text("socket"),
        "data_center": read.text("dataCenter"),
        "country": read.text("country"),
        "region": read.text("region"),
        "usd_hr": community if listed else on_demand,
        "price_varies": read.yes_no("prices.isVariable"),
        "prepaid_hours": read.price("prepaidTime"),
        "spot": read.yes_no("isSpot"),
        "stock": read.stock("stockStatus"),
        "security": read.text("security"),
    }
    if currency != "USD":
        shown = visible(currency)[:40] if currency else "missing"
        read.problems.append(f"prices.currency is {shown}, only USD is understood")
    return {**values, "problem": read.problem}


def _short_id(row: Mapping[str, Any]) -> str:
    """Return the id that ``prime availability list`` shows (the vendor's client, 0.18)."""

    def default(name: str) -> Any:  # noqa: ANN401 -- whatever the row says
        spec = row.get(name)
        return spec.get("defaultCount") if isinstance(spec, dict) else None

    place = f"{row.get('country') or 'N/A'} - {row.get('dataCenter') or 'N/A'}"
    text = "-".join(
        id_part(part)
        for part in (
            row.get("cloudId"),
            row.get("gpuType"),
            row.get("socket") or "N/A",
            place,
            row.get("provider") or "N/A",
            default("memory"),
            default("vcpu"),
            row.get("gpuCount"),
        )
    )
    digest = hashlib.md5(text.encode(errors="backslashreplace"), usedforsecurity=False)
    return digest.hexdigest()[:6]


def mark_gpus(offers: pd.DataFrame, gpus: pd.DataFrame, gpu_type: str) -> pd.DataFrame:
    """Return an offers frame with what is known of a GPU at each offer's site.

    A disk and a GPU meet when provider and data centre are equal, and country where both know it.
    Where both leave the data centre null they may meet: ``unconfirmed``, to be checked with the
    API's ``disks`` filter after buying.

    Parameters
    ----------
    offers : DataFrame
        Columns ``OFFERS``.
    gpus : DataFrame
        Columns ``GPUS``.
    gpu_type : str
        GPU model, as listed.

    Returns
    -------
    DataFrame
        The offers with ``gpu`` (yes, unconfirmed or no) and ``gpu_usd_hr`` (the cheapest price of
        one such GPU offer there, exact Decimal, null where there is none or it is unpriced).

    Raises
    ------
    FrameError
        When a frame is not what it is declared to be.
    """
    rentable = [
        row
        for row in records(conform(gpus, GPUS, what="gpus"))
        if row["gpu_type"] == gpu_type and row["problem"] is None and row["stock"] != "Unavailable"
    ]
    met = [_met(row, rentable) for row in records(conform_offers(offers))]
    marked = offers.copy()
    marked["gpu"] = pd.Series([state for state, _ in met], index=offers.index, dtype="string")
    marked["gpu_usd_hr"] = pd.Series([usd for _, usd in met], index=offers.index, dtype="object")
    return marked


def _met(offer: Mapping[str, Any], gpus: Iterable[Mapping[str, Any]]) -> tuple[str, Any]:
    here = [
        gpu
        for gpu in gpus
        if gpu["provider"] == offer["provider"]
        and gpu["data_center"] == offer["data_center"]
        and (None in (gpu["country"], offer["country"]) or gpu["country"] == offer["country"])
    ]
    prices = [gpu["usd_hr"] for gpu in here if gpu["usd_hr"] is not None]
    state = "no" if not here else "unconfirmed" if offer["data_center"] is None else "yes"
    return state, min(prices, default=None)
