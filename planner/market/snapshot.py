"""Snapshots: one complete listing, from the live marketplace or from a file in the API's shape."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd
import simplejson

from planner.errors import InputError
from planner.formats import JsonError, parse, read_bytes, write_atomic
from planner.market.gpus import GPUS, gpus_frame
from planner.market.offers import offers_frame
from planner.market.shapes import document_name, listed_rows
from planner.schema import Table, handed_out
from planner.shipped import resolve
from planner.text import visible

if TYPE_CHECKING:
    from pathlib import Path

    from planner.market.shapes import Listing


@dataclass(frozen=True)
class Snapshot:
    """All rows of one complete listing, as the API gave them.

    Attributes
    ----------
    rows : list
        JSON values, numbers with a fraction as Decimal.
    fetched_at : datetime | None
        When it was read from the marketplace, UTC; None where the file does not record it.
    """

    rows: list[Any] = field(repr=False)
    source: str
    fetched_at: datetime | None = None

    def offers(self) -> pd.DataFrame:
        """Return the rows as an offers frame; ``attrs`` has source and fetched_at."""
        return self._with_origin(offers_frame(self.rows))

    def gpus(self, *, listing: str = "gpus") -> pd.DataFrame:
        """Return the rows as a GPU frame; ``attrs`` has source and fetched_at."""
        return self._with_origin(gpus_frame(self.rows, listing=listing))

    def _with_origin(self, frame: pd.DataFrame) -> pd.DataFrame:
        fetched_at = self.fetched_at.isoformat() if self.fetched_at else None
        frame.attrs = {"source": self.source, "fetched_at": fetched_at}
        return frame


def read_snapshot(path: str | Path, listing: Listing | None = None) -> Snapshot:
    """Return a snapshot file: a bare list of rows or ``{items, totalCount}``.

    Parameters
    ----------
    path : str | Path
        The file; the output of ``planner offers -o json`` can be read back.
    listing : str | None
        Which listing it has to be: ``disks``, ``gpus`` or ``multi-node``; None takes any rows.

    Raises
    ------
    InputError
        When the file cannot be read, is no listing or another one, or holds only a part of one.
    """
    shown = visible(str(path))
    content = read_bytes(resolve(str(path)), what="snapshot")
    hint = "a snapshot is what the availability API answers, saved: see `planner offers --save`"
    if not content.strip():
        raise InputError(f"{shown}: is empty", hint=hint)
    try:
        document = parse(content)
    except JsonError as error:
        raise InputError(f"{shown}: is {error}", hint=hint) from error
    if isinstance(document, list):
        return Snapshot(_checked(document, listing, shown), source=str(path))
    if not isinstance(document, dict) or not isinstance(document.get("items"), list):
        known = document_name(document)
        what = (
            f"{known}, not a market" if known else "neither a list of rows nor an object with items"
        )
        raise InputError(f"{shown}: is {what}", hint=hint)
    rows, count = document["items"], document.get("totalCount")
    if count is not None and (isinstance(count, bool) or not isinstance(count, int | Decimal)):
        raise InputError(f"{shown}: its totalCount is not a number", hint=hint)
    if count is not None and count != len(rows):
        message = f"{shown}: holds {len(rows)} of {visible(str(count))[:20]} rows"
        raise InputError(
            message, hint="a part of the market is not the market; save every page of the listing"
        )
    rows = _checked(rows, listing, shown)
    return Snapshot(rows, source=str(path), fetched_at=_time(document.get("fetched_at")))


def _checked(rows: list[Any], listing: Listing | None, shown: str) -> list[Any]:
    if listing is None:
        return rows
    try:
        return listed_rows(rows, listing)
    except ValueError as error:
        name = "GET /api/v1/availability/" + listing
        option = "--save" if listing == "disks" else "--save-gpus"
        hint = f"give a saved answer of `{name}`; `planner offers {option} FILE` writes one"
        raise InputError(f"{shown}: {error}", hint=hint) from error


def save_snapshot(snapshot: Snapshot, path: str | Path) -> None:
    """Write a snapshot in the API's shape, with ``fetched_at`` and ``source`` beside the rows.

    Raises
    ------
    InputError
        When the place cannot be written, or a row is nested too deeply to be.
    """
    fetched_at = snapshot.fetched_at.isoformat() if snapshot.fetched_at else None
    document = {
        "fetched_at": fetched_at,
        "source": snapshot.source,
        "items": snapshot.rows,
        "totalCount": len(snapshot.rows),
    }
    try:
        text = simplejson.dumps(document, indent=1, use_decimal=True, allow_nan=True)
    except RecursionError as error:
        message = "the listing has a row that is nested too deeply to be saved"
        raise InputError(message, hint="plan without saving it") from error
    write_atomic(path, f"{text}\n".encode())


def read_offers(path: str | Path, *, exact: bool = False) -> pd.DataFrame:
    """Return the disk offers of a snapshot file as a frame (columns ``OFFERS``).

    Parameters
    ----------
    path : str | Path
        What ``planner offers --save`` wrote, or ``shipped:disk-offers``.
    exact : bool
        Amounts are Decimals; else floats.

    Raises
    ------
    InputError
        When the file cannot be read whole.

    Examples
    --------
    >>> import planner
    >>> offers = planner.read_offers("shipped:disk-offers")
    >>> offers.groupby("provider")["usd_gb_hr"].min().nsmallest(2).to_dict()
    {'dc_roan': 7e-05, 'hyperstack': 9.7e-05}
    """
    return handed_out(read_snapshot(path, "disks").offers(), exact=exact)


def read_gpus(
    path: str | Path, *, multinode: str | Path | None = None, exact: bool = False
) -> pd.DataFrame:
    """Return the GPU offers of snapshot files as a frame (columns ``GPUS``).

    Parameters
    ----------
    path : str | Path
        A snapshot of the single-node listing.
    multinode : str | Path | None
        A snapshot of the multi-node listing.
    exact : bool
        Amounts are Decimals; else floats.

    Raises
    ------
    InputError
        When a file cannot be read whole.
    """
    listed = read_snapshot(path, "gpus").gpus()
    if multinode is not None:
        more = read_snapshot(multinode, "multi-node").gpus(listing="multi-node")
        listed = join_gpus(listed, more)
    return handed_out(listed, exact=exact)


def join_gpus(single: pd.DataFrame, multinode: pd.DataFrame) -> pd.DataFrame:
    """Return the two GPU listings as one frame, with the origin of the first."""
    both = Table.of(pd.concat([single, multinode], ignore_index=True), GPUS)
    both.attrs = dict(single.attrs)
    return both


def _time(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
        return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
