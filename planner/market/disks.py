"""The account's disks as a frame: what exists, where, at what price.

Source of the row's meaning: the vendor's guide and its API description of ``GET /disks``. An
absent field is unknown, never wrong.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd

from planner.errors import FrameError, InputError
from planner.formats import JsonError, identity, parse, read_bytes
from planner.market.shapes import ACCOUNT, document_name, row_kind
from planner.market.wire import is_price
from planner.schema import (
    AMOUNT,
    EXACT,
    TEXT,
    WHOLE,
    YES_NO,
    Column,
    build,
    conform,
    handed_out,
    records,
    require,
)
from planner.shipped import resolve
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from planner.schema import Table


ID = re.compile(r"[0-9A-Za-z_-]{8,64}", re.ASCII)
"""What an id has to look like before it enters a URL, a file or a command."""
UNREADABLE = "\N{REPLACEMENT CHARACTER}"
"""Stands for a value that should be text and is not; equal to nothing that was sent."""
_MAX_USD_HR = Decimal(10**9)
_MAX_DIGITS = 40


@dataclass(frozen=True)
class Disk:
    """One disk of the account.

    Attributes
    ----------
    key : str
        What tells rows of a listing apart: the id, or the whole row where it has no usable id.
    id : str | None
        None where it is missing or does not match `ID`.
    name, provider, cloud_id, data_center, country : str | None
        None where absent.
    status : str
        As listed; ``UNKNOWN`` where it is missing.
    size_gb : int | None
        None where missing, -1 where it is not a size.
    usd_hr : Decimal | None
        Hourly price; None where missing or not a plausible price.
    multinode : bool | None
        Whether several nodes can mount it; None where missing or not a boolean.
    attached : tuple of str | None
        Pods and clusters that it is attached to; None where the lists cannot be read.
    """

    key: str
    id: str | None
    name: str | None
    status: str
    size_gb: int | None
    provider: str | None
    cloud_id: str | None
    data_center: str | None
    country: str | None
    usd_hr: Decimal | None
    attached: tuple[str, ...] | None
    created_at: str | None
    multinode: bool | None = None

    @property
    def is_live(self) -> bool:
        """Return whether it still exists, and is billed."""
        return self.status != "TERMINATED"


DISKS = (
    Column("id", TEXT, "null: the marketplace gives none that can be used"),
    Column("name", TEXT, "null: none"),
    Column("status", TEXT, "PROVISIONING, ACTIVE, ERROR …; UNKNOWN where it is missing"),
    Column("provider", TEXT, "where; null: unknown"),
    Column("cloud_id", TEXT, "where; null: none, or unknown"),
    Column("data_center", TEXT, "where; null: unknown"),
    Column("country", TEXT, "where; null: unknown"),
    Column("size_gb", WHOLE, "null: unknown"),
    Column("usd_hr", AMOUNT, "USD per hour for the whole disk; null: unknown"),
    Column("multinode", YES_NO, "several nodes can mount it; null: unknown"),
    Column("attached", EXACT, "tuple of pods and clusters it is attached to; null: unknown"),
)
"""Columns of a frame of live disks, sorted by id, one row each; terminated ones are left out."""

ACCOUNT_FACTS = tuple(column.name for column in DISKS)
"""What a plan keeps of a disk, and its digest covers."""

LISTED = (*DISKS, Column("created_at", TEXT, "when, UTC, ISO 8601; null: unknown"))
"""Columns of disks as they were listed: those of a plan, and what only a report looks at."""

HEALTHY = frozenset({"PROVISIONING", "PENDING", "ACTIVE"})
"""Statuses of a disk that is, or is about to be, usable; any other needs attention."""
NOT_KEPT = frozenset({"ERROR", "DELETING", "TERMINATED"})
"""States of a disk that holds nothing to rely on."""


def read_disk(row: dict[str, Any]) -> Disk:
    """Return the disk that a row or an answer describes."""
    listed = row.get("info")
    info = listed if isinstance(listed, dict) else {}
    listed_multinode = info.get("isMultinode")
    raw_id = row.get("id")
    disk_id = raw_id if isinstance(raw_id, str) and ID.fullmatch(raw_id) else None
    return Disk(
        key=disk_id or identity(raw_id if isinstance(raw_id, str) else row),
        id=disk_id,
        name=text_field(row.get("name")),
        status=text_field(row.get("status")) or "UNKNOWN",
        size_gb=_size(row.get("size")),
        provider=text_field(row.get("providerType")),
        cloud_id=text_field(info.get("cloudId")),
        data_center=text_field(info.get("dataCenterId")),
        country=text_field(info.get("country")),
        usd_hr=amount_field(row.get("priceHr")),
        attached=_attached(row),
        created_at=text_field(row.get("createdAt")),
        multinode=listed_multinode if isinstance(listed_multinode, bool) else None,
    )


def disks_frame(disks: Iterable[Disk]) -> pd.DataFrame:
    """Return disks that exist as a frame (columns ``LISTED``)."""
    rows = [
        {
            **vars(disk),
            "size_gb": None if disk.size_gb is None or disk.size_gb < 0 else disk.size_gb,
            "created_at": utc_text(disk.created_at),
        }
        for disk in disks
        if disk.is_live
    ]
    return build(sorted(rows, key=_order), LISTED)


def disk_records(disks: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a frame of disks as checked rows in canonical order (keys ``DISKS``).

    Raises
    ------
    FrameError
        When the frame is not one of disks.
    """
    return sorted(records(_conform(disks)), key=_order)


def read_disks(path: str | Path, *, exact: bool = False) -> pd.DataFrame:
    """Return the disks of a file in the API's shape (columns ``LISTED``).

    A bare list of disks, or ``{data, totalCount}`` with every one of them.

    Parameters
    ----------
    path : str | Path
        What ``GET /disks`` answered.
    exact : bool
        Amounts are Decimals; else floats.

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
        known = document_name(document) or "no list of disks"
        what = known if known != ACCOUNT else "no list of disks: they are not under `data`"
        raise InputError(f"{shown}: is {what}", hint=hint)
    for place, row in enumerate(rows, 1):
        if row_kind(row) != "disk of the account":
            known = document_name(rows) or f"no list of disks: row {place} is not a disk's"
            raise InputError(f"{shown}: is {known}", hint=hint)
    for name in ("totalCount", "total_count"):
        total = document.get(name) if isinstance(document, dict) else None
        if total is not None and total != len(rows):
            message = f"{shown}: holds {len(rows)} of {visible(str(total))[:20]} disks"
            raise InputError(message, hint="save every page: a part of the account is not it")
    disks = [read_disk(row) for row in rows]
    for disk_id, times in Counter(disk.id for disk in disks if disk.id is not None).most_common(1):
        if times > 1:
            message = f"{shown}: lists disk {disk_id} {times} times"
            raise InputError(message, hint="save one listing, whole: a disk is there once")
    frame = disks_frame(disks)
    frame.attrs = {"source": str(path), "fetched_at": None}
    return handed_out(frame, exact=exact)


def utc_text(stamp: str | None) -> str | None:
    """Return a time of the API, which leaves out that it is UTC, as planner writes times."""
    try:
        moment = datetime.fromisoformat(stamp or "")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        return None


def _order(row: Mapping[str, Any]) -> tuple[bool, str, str]:
    return row["id"] is not None, row["id"] or "", str(sorted(row.items(), key=str))


def _conform(disks: pd.DataFrame) -> Table:
    frame = conform(disks, DISKS, what="disks")
    if frame["id"].dropna().duplicated().any():
        raise FrameError("disks", ["column id names one disk twice"])
    prices = [price is None or price == 0 or is_price(price) for price in frame["usd_hr"]]
    sound = {
        "usd_hr": pd.Series(prices, dtype="boolean"),
        "size_gb": frame["size_gb"].isna() | (frame["size_gb"] >= 0),
    }
    return require(frame, "disks", sound, "disk")


def text_field(value: Any) -> str | None:  # noqa: ANN401 -- any JSON value
    """Return a text, None where absent, `UNREADABLE` where it is something else."""
    if value is None:
        return None
    return value if isinstance(value, str) else UNREADABLE


def _size(value: Any) -> int | None:  # noqa: ANN401 -- any JSON value
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return -1
    whole = 0 <= value < 10**15 and value == int(value)
    return int(value) if whole else -1


def amount_field(value: Any) -> Decimal | None:  # noqa: ANN401 -- any JSON value
    """Return an amount from 0 to a billion USD; None where it is anything else."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    price = Decimal(value)
    if not 0 <= price <= _MAX_USD_HR or len(price.as_tuple().digits) > _MAX_DIGITS:
        return None
    return price if price == 0 or price.adjusted() > -_MAX_DIGITS else None


def _attached(row: dict[str, Any]) -> tuple[str, ...] | None:
    """Return pods and clusters; absent is the documented default, none."""
    attached: list[str] = []
    for name in ("pods", "clusters"):
        listed = row.get(name, [])
        if not isinstance(listed, list):
            return None
        attached += [part if isinstance(part, str) else UNREADABLE for part in listed]
    return tuple(attached)
