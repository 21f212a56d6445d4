"""The account's disks as a frame: what exists, where, at what price.

Source of the row's meaning: the vendor's guide and its API description of ``GET /disks``. An
absent field is unknown, never wrong.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.errors import FrameError, InputError
from planner.formats import JsonError, parse, read_bytes
from planner.market.wire import is_price
from planner.marketplace.prime.disks import read_disk
from planner.schema import EXACT, TEXT, WHOLE, YES_NO, Column, build, conform, json_value, records
from planner.shipped import resolve
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from planner.marketplace.prime.disks import Disk

DISKS = (
    Column("id", TEXT, "null: the marketplace gives none that can be used"),
    Column("name", TEXT, "null: none"),
    Column("status", TEXT, "PROVISIONING, ACTIVE, ERROR …; UNKNOWN where nobody says"),
    Column("provider", TEXT, "where; null: unknown"),
    Column("cloud_id", TEXT, "where; null: none, or unknown"),
    Column("data_center", TEXT, "where; null: unknown"),
    Column("country", TEXT, "where; null: unknown"),
    Column("size_gb", WHOLE, "null: unknown"),
    Column("usd_hr", EXACT, "exact Decimal, USD per hour for the whole disk; null: unknown"),
    Column("multinode", YES_NO, "several nodes can mount it; null: unknown"),
    Column("attached", EXACT, "tuple of pods and clusters it is attached to; null: unknown"),
)
"""Columns of a frame of live disks, sorted by id, one row each; terminated ones are left out."""

LISTED = (*DISKS, Column("created_at", TEXT, "when, UTC, ISO 8601; null: unknown"))
"""Columns of disks as they were listed: those of a plan, and what only a report looks at."""

NOT_KEPT = frozenset({"ERROR", "DELETING", "TERMINATED"})
"""States of a disk that holds nothing to rely on."""


def disks_frame(disks: Iterable[Disk]) -> pd.DataFrame:
    """Return disks that exist as a frame (columns ``LISTED``)."""
    rows = [
        {
            **{column.name: getattr(disk, column.name, None) for column in DISKS},
            "size_gb": None if disk.size_gb is None or disk.size_gb < 0 else disk.size_gb,
            "attached": disk.users,
            "created_at": _utc(disk.created_at),
        }
        for disk in disks
        if disk.is_live
    ]
    return _built(rows, LISTED)


def disk_rows(disks: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a frame of disks as canonical JSON rows, sorted, amounts as text.

    Raises
    ------
    FrameError
        When the frame is not one of disks.
    """
    rows = records(_conform(disks))
    return [{name: json_value(value) for name, value in row.items()} for row in rows]


def disks_from_rows(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the frame (columns ``DISKS``) that `disk_rows` described.

    Raises
    ------
    FrameError, KeyError, TypeError, ValueError, decimal.InvalidOperation
        When a row is not one of `disk_rows`.
    """
    return _conform(
        _built(
            [
                {
                    **{column.name: row[column.name] for column in DISKS},
                    "usd_hr": None if row["usd_hr"] is None else Decimal(row["usd_hr"]),
                    "attached": None if row["attached"] is None else tuple(row["attached"]),
                }
                for row in rows
            ]
        )
    )


def read_disks(path: str | Path) -> pd.DataFrame:
    """Return the disks of a file in the API's shape (columns ``LISTED``).

    A bare list of disks, or ``{data, totalCount}`` with every one of them.

    Raises
    ------
    InputError
        When the file cannot be read, is no list of disks, or holds only a part of one.
    """
    shown = visible(str(path))
    hint = "a file of disks is what `GET /api/v1/disks/` answers, saved whole"
    try:
        document = parse(read_bytes(resolve(str(path)), what="disks"))
    except JsonError as error:
        raise InputError(f"{shown}: is {error}", hint=hint) from error
    rows = document.get("data") if isinstance(document, dict) else document
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{shown}: is no list of disks", hint=hint)
    for name in ("totalCount", "total_count"):
        total = document.get(name) if isinstance(document, dict) else None
        if total is not None and total != len(rows):
            message = f"{shown}: holds {len(rows)} of {visible(str(total))[:20]} disks"
            raise InputError(message, hint="save every page: a part of the account is not it")
    disks = [read_disk(row) for row in rows]
    for disk_id, times in Counter(one.id for one in disks if one.id is not None).most_common(1):
        if times > 1:
            message = f"{shown}: lists disk {disk_id} {times} times"
            raise InputError(message, hint="save one listing, whole: a disk is there once")
    frame = disks_frame(disks)
    frame.attrs = {"source": str(path), "fetched_at": None}
    return frame


def _utc(stamp: str | None) -> str | None:
    """Return a time of the API, which leaves out that it is UTC, as planner writes times."""
    try:
        moment = datetime.fromisoformat(stamp or "")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        return None


def _built(rows: Sequence[dict[str, Any]], columns: Sequence[Column] = DISKS) -> pd.DataFrame:
    def order(row: Mapping[str, Any]) -> tuple[bool, str, str]:
        return row["id"] is not None, row["id"] or "", str(sorted(row.items(), key=str))

    return build(sorted(rows, key=order), columns)


def _conform(disks: pd.DataFrame) -> pd.DataFrame:
    frame = conform(disks, DISKS, what="disks")
    prices = [price is None or price == 0 or is_price(price) for price in frame["usd_hr"]]
    ids = frame["id"].dropna()
    failures = [] if all(prices) else ["column usd_hr has a value that no disk has"]
    if ids.duplicated().any():
        failures.append("column id names one disk twice")
    if (frame["size_gb"].dropna() < 0).any():
        failures.append("column size_gb has a value that no disk has")
    if failures:
        raise FrameError("disks", failures)
    return frame
