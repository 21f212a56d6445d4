"""The market of a plan, as rows of the API again: what a rehearsal is held on."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def api_rows(market: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return disk offers in the API's shape, with the short ids that they had.

    Parameters
    ----------
    market : iterable of mapping
        Rows as a plan file keeps them under ``market.offers``: columns ``MARKET``, prices as text.
        A row with a ``problem`` comes back unpriced, since what it said is not kept: it is shown,
        and nothing is sold by it.

    Examples
    --------
    >>> from planner.market.canonical import Market
    >>> from planner.market.snapshot import read_offers
    >>> rows = api_rows(Market.of(read_offers("shipped:disk-offers")).offer_rows)
    >>> rows[0]["provider"], rows[0]["spec"]["pricePerUnit"]
    ('crusoecloud', Decimal('0.00011545611010752688'))
    """
    return [_row(offer) for offer in market]


def api_gpu_rows(market: Iterable[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return GPU offers in the API's shape, by listing: ``gpus`` and ``multi-node``.

    Parameters
    ----------
    market : iterable of mapping
        Rows as a plan file keeps them under ``market.gpus``. Their short ids are not kept: those
        hash vCPU and memory, which a plan does not have.
    """
    rows: dict[str, list[dict[str, Any]]] = {"gpus": [], "multi-node": []}
    for offer in market:
        rows[offer["listing"]].append(_gpu_row(offer))
    return rows


def _gpu_row(offer: Mapping[str, Any]) -> dict[str, Any]:
    rented = offer["problem"] is None and offer["usd_hr"] is not None
    price = Decimal(offer["usd_hr"]) if rented else None
    prepaid = offer["prepaid_hours"]
    return {
        "cloudId": offer["cloud_id"],
        "gpuType": offer["gpu_type"],
        "socket": offer["socket"],
        "provider": offer["provider"],
        "region": offer["region"],
        "dataCenter": offer["data_center"],
        "country": offer["country"],
        "gpuCount": offer["gpus"],
        "gpuMemory": offer["gpu_gb"],
        "stockStatus": offer["stock"],
        "security": offer["security"],
        "prices": {
            "onDemand": price,
            "communityPrice": None,
            "isVariable": offer["price_varies"],
            "currency": "USD",
        },
        "isSpot": offer["spot"],
        "prepaidTime": None if prepaid is None else Decimal(prepaid),
    }


def _row(offer: Mapping[str, Any]) -> dict[str, Any]:
    sold = offer["problem"] is None and offer["usd_gb_hr"] is not None
    return {
        "cloudId": offer["cloud_id"],
        "provider": offer["provider"],
        "dataCenter": offer["data_center"],
        "country": offer["country"],
        "region": offer["region"],
        "spec": {
            "minCount": offer["min_gb"],
            "defaultCount": offer["default_gb"],
            "maxCount": offer["max_gb"],
            "pricePerUnit": Decimal(offer["usd_gb_hr"]) if sold else None,
            "step": offer["step_gb"],
            "defaultIncludedInPrice": offer["default_included"],
            "additionalInfo": None,
        },
        "stockStatus": offer["stock"],
        "security": offer["security"],
        "isMultinode": offer["multinode"],
    }
