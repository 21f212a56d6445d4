"""What a file of JSON looks like: a listing that was asked for, or something else by its name.

A file that is taken for a market and is none gives a table of unnamed, unpriced rows; so a row in
which none of the documented fields is there refuses the file, and the error says what it is.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal

from planner.errors import FrameError
from planner.market.offers import MARKET, OFFERS, offer_records
from planner.schema import json_rows, stored

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Listing = Literal["disks", "gpus", "multi-node"]

_KINDS: tuple[tuple[str, set[str], int], ...] = (
    ("own offer", {"offer_id", "min_gb", "usd_gb_hr"}, 0),
    ("own GPU", {"offer_id", "gpu_type", "usd_hr"}, 0),
    ("own group", {"offers", "in_stock", "sites"}, 0),
    ("disk offer", {"spec", "isMultinode"}, 1),
    ("GPU offer", {"gpuType", "gpuCount", "gpuMemory", "socket", "prices", "isSpot"}, 1),
    ("disk of the account", {"priceHr", "providerType", "info"}, 1),
    ("offer", {"cloudId", "provider", "dataCenter", "country", "region"}, 1),
    ("offer", {"stockStatus", "security"}, 1),
    ("disk of the account", {"id", "name", "status", "size"}, 1),
)
"""Kinds of rows, the fields that tell them, and how many of these it takes; 0 is all."""
_DOCUMENTS = {
    "planner.plan/": "a plan file of planner",
    "planner.report/": "a report of planner",
}
ACCOUNT = "a list of the account's disks"
_NAMES = {
    "disk offer": "a listing of disk offers",
    "GPU offer": "a listing of GPU offers",
    "disk of the account": ACCOUNT,
    "own offer": "the output of `planner offers -o json`",
    "own GPU": "a table of GPU offers that planner wrote",
    "own group": "the output of `planner offers` or `gpus` with --group-by",
}


def document_name(document: object) -> str | None:
    """Return what a JSON document is, for people; None for a listing and for what is not known."""
    if isinstance(document, list):
        kinds = {row_kind(row) for row in document}
        return _NAMES.get(kinds.pop() or "") if len(kinds) == 1 else None
    if not isinstance(document, dict):
        return None
    stated = str(document.get("format"))
    names = [name for start, name in _DOCUMENTS.items() if stated.startswith(start)]
    names += ["a demand file"] if "volumes" in document else []
    names += ["the error of a planner command"] if {"error", "exit_code"} <= document.keys() else []
    held = [document[name] for name in ("data", "items") if isinstance(document.get(name), list)]
    names += [name for rows in held if (name := document_name(rows))]
    return names[0] if names else None


def row_kind(row: object) -> str | None:
    """Return what one row of a file is, None where it has no field that planner knows."""
    keys = row.keys() if isinstance(row, dict) else set()
    return next(
        (kind for kind, fields, least in _KINDS if len(keys & fields) >= (least or len(fields))),
        None,
    )


def listed_rows(rows: Sequence[Any], listing: Listing) -> list[Any]:
    """Return the rows of a file as the API lists them.

    Parameters
    ----------
    rows : sequence
        JSON values; those that ``planner offers -o json`` wrote are understood for ``disks``. A
        row that was left out for a problem comes back unpriced.
    listing : str
        What the rows are to be.

    Raises
    ------
    ValueError
        When a row is not of that listing; the text says which row, and what it is.
    """
    wanted = "disk offer" if listing == "disks" else "GPU offer"
    kinds = [row_kind(row) for row in rows]
    if wanted == "disk offer" and rows and set(kinds) == {"own offer"}:
        return _read_back(rows)
    for place, kind in enumerate(kinds, 1):
        if kind is None:
            raise ValueError(f"row {place} has none of the fields of a {wanted}")
        if kind not in {wanted, "offer"}:
            if len(set(kinds)) == 1:
                raise ValueError(f"is {_NAMES[kind]}, not of {wanted}s")
            raise ValueError(f"row {place} is from {_NAMES[kind]}, not a {wanted}")
    return list(rows)


def _read_back(rows: Sequence[dict[str, Any]]) -> list[Any]:
    for place, row in enumerate(rows, 1):
        if missing := [name for name in MARKET if name not in row]:
            what = f"row {place} of `planner offers -o json` has no {', '.join(missing)}"
            raise ValueError(what)
    try:
        return api_rows(json_rows(offer_records(stored(rows, OFFERS, MARKET)), MARKET))
    except (FrameError, TypeError, ValueError, InvalidOperation) as error:
        raise ValueError("is the output of `planner offers -o json`, changed since") from error


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
