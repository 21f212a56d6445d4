"""What a file of JSON looks like: a listing that was asked for, or something else by its name.

A file that is taken for a market and is none gives a table of unnamed, unpriced rows; so a row in
which none of the documented fields is there refuses the file, and the error says what it is.
"""

from __future__ import annotations

from decimal import InvalidOperation
from typing import TYPE_CHECKING, Any, Literal

from planner.errors import FrameError
from planner.market.api_rows import api_rows
from planner.market.offers import MARKET, offer_records, stored_offers
from planner.schema import json_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        return api_rows(json_rows(offer_records(stored_offers(rows)), MARKET))
    except (FrameError, TypeError, ValueError, InvalidOperation) as error:
        raise ValueError("is the output of `planner offers -o json`, changed since") from error
