"""Canonical rows of GPU offers: what a plan file keeps of them, and what is to be said of them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.frames import build, json_value, records
from planner.market.gpus import FACTS, GPUS, conform_gpus, gpu_order
from planner.market.merge import key_order
from planner.market.offers import KEY
from planner.units import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

_REST = tuple(name for name in FACTS if name not in KEY)


def gpu_rows(gpus: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a GPU frame as canonical JSON rows: facts only, sorted, amounts as text.

    The rows do not depend on the order of the listing or of the frame.

    Parameters
    ----------
    gpus : DataFrame
        Columns ``GPUS``; ``row``, the place in the listing, is left out.

    Raises
    ------
    FrameError
        When the frame is not one of GPU offers.
    """
    rows = sorted(records(conform_gpus(gpus)), key=gpu_order)
    return [{name: json_value(row[name]) for name in FACTS} for row in rows]


def gpus_from_rows(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the GPU frame (columns ``GPUS``) that ``gpu_rows`` described.

    Its ``row`` is the place among these rows, from 1.

    Raises
    ------
    FrameError, KeyError, TypeError, ValueError, decimal.InvalidOperation
        When a row is not one of ``gpu_rows``.
    """
    read = [
        {
            "row": place,
            **{name: row[name] for name in FACTS},
            **{name: _amount(row[name]) for name in ("usd_hr", "prepaid_hours")},
        }
        for place, row in enumerate(rows, 1)
    ]
    return conform_gpus(build(sorted(read, key=gpu_order), GPUS))


def _amount(text: Any) -> Decimal | None:  # noqa: ANN401 -- any JSON value
    return None if text is None else Decimal(text)


def gpus_by_key(gpus: pd.DataFrame) -> pd.DataFrame:
    """Return a GPU frame sorted for choosing, every row kept, index from 0.

    Parameters
    ----------
    gpus : DataFrame
        Columns ``GPUS``, in any order.

    Returns
    -------
    DataFrame
        Sorted by provider, cloud_id, data_center and country, then by the other facts in the
        order of ``GPUS``, each by value and null first; ``row`` decides between equal rows only.

    Raises
    ------
    FrameError
        When the frame is not one of GPU offers.
    """
    result = build(sorted(records(conform_gpus(gpus)), key=_key_and_rest), GPUS)
    result.attrs = dict(gpus.attrs)
    return result


def _key_and_rest(row: Mapping[str, Any]) -> tuple[Any, ...]:
    rest = tuple((row[name] is not None, 0 if row[name] is None else row[name]) for name in _REST)
    return (key_order([row[name] for name in KEY]), rest, row["row"])


def rental_notes(gpus_row: Mapping[str, Any]) -> list[str]:
    """Return what the reader of a plan should know of a GPU offer, one sentence each.

    Parameters
    ----------
    gpus_row : mapping
        A row with the columns ``GPUS``, None for null.
    """
    notes = []
    if gpus_row["price_varies"]:
        notes.append("its price may change while it runs; planned at the price listed")
    if gpus_row["prepaid_hours"] is not None:
        hours = plain(gpus_row["prepaid_hours"])
        notes.append(f"hours charged in advance: {hours}; planned by the hours it runs")
    if gpus_row["stock"] == "unknown":
        notes.append("the market does not say whether it is in stock")
    if gpus_row["data_center"] is None:
        notes.append(
            "the market does not name its data centre, so nothing confirms that it reaches the "
            "disks; once they are bought, ask for GPUs with the API's `disks` filter"
        )
    return notes
