"""Options that several commands share, and how their words become values."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.render import Output, to_stderr
from planner.errors import InputError
from planner.present.progress import be_quiet
from planner.present.table import Section, View
from planner.text import visible
from planner.units import MAX_GB, MAX_PRICE_DIGITS, parse_percent, parse_size_gb

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from planner.market.snapshot import Snapshot
    from planner.marketplace.protocol import ListingName


class PictureFormat(StrEnum):
    """How a chart is written."""

    svg = "svg"
    png = "png"
    pdf = "pdf"


def _heard(output: Output) -> Output:
    """Show progress beside a table; other formats are not for who watches."""
    be_quiet(quiet=output is not Output.table)
    return output


OutputOption = Annotated[
    Output, typer.Option("--output", "-o", help="How to write the result.", callback=_heard)
]
OffersOption = Annotated[
    str | None,
    typer.Option(
        "--offers",
        metavar="FILE",
        help="Read disk offers from a snapshot in the API's shape instead of the live market; "
        "shipped:disk-offers is the documented market.",
    ),
]
GpusOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Snapshot of the single-node GPU listing; shipped:gpu-offers is the documented one.",
    ),
]
MultinodeOption = Annotated[
    str | None, typer.Option(metavar="FILE", help="Snapshot of the multi-node GPU listing.")
]
Places = Annotated[
    list[str] | None, typer.Option(help="Keep offers there; may be given several times.")
]
SecurityFilter = Annotated[str | None, typer.Option(help="secure_cloud or community_cloud.")]
StockFilter = Annotated[
    str | None, typer.Option(help="Weakest stock level: Low, Medium, Available, High.")
]
MultinodeFilter = Annotated[
    bool, typer.Option("--multinode", help="Only disks that several nodes can mount.")
]


def size_gb(text: str | None) -> int | None:
    """Return GB for ``4TB``, ``500 GB`` or a bare number of GB.

    Raises
    ------
    InputError
        When it is no size.
    """
    if text is None:
        return None
    try:
        size = int(text) if text.strip().isdecimal() and len(text) < 20 else parse_size_gb(text)  # noqa: PLR2004 -- digits enough
    except ValueError as error:
        raise InputError(f"--size: {error}") from error
    if not 1 <= size <= MAX_GB:
        raise InputError(f"--size: {size} GB is no size of a disk", hint=f"1 to {MAX_GB:,} GB")
    return size


def number(text: str) -> Decimal:
    """Return an exact number; what is none is not a number."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("NaN")


def price(text: str | None, name: str) -> Decimal | None:
    """Return an exact price.

    Raises
    ------
    InputError
        When it is no positive number.
    """
    if text is None:
        return None
    value = number(text)
    if not value.is_finite() or value <= 0:
        raise InputError(f"{name}: {visible(text)!r} is no price", hint="such as 0.00012")
    return value


def amount(text: str, name: str) -> Decimal:
    """Return an exact amount in USD, zero or more.

    Raises
    ------
    InputError
        When it is none.
    """
    value = number(text)
    if not value.is_finite() or value < 0 or len(text) > MAX_PRICE_DIGITS:
        raise InputError(f"{name}: {visible(text)!r} is no amount", hint="such as 900 or 899.50")
    return value


def budgets(words: Sequence[str]) -> dict[str | None, Decimal]:
    """Return budgets by owner, None for everybody, for ``900`` and ``research=600``.

    Raises
    ------
    InputError
        When a word is no budget, or one is given twice.
    """
    found: dict[str | None, Decimal] = {}
    for word in words:
        owner, equals, usd = word.rpartition("=")
        if equals and not owner:
            raise InputError(f"--budget: {visible(word)!r} names no owner", hint="OWNER=USD")
        name = owner if equals else None
        if name in found:
            raise InputError(f"--budget: {visible(word)!r} is a second one", hint="give one")
        found[name] = amount(usd, "--budget")
    return found


def check_out(
    out: str | None, *inputs: str | None, name: str = "--out", other: str | None = None
) -> None:
    """Refuse to write a result over what it is made from.

    Raises
    ------
    InputError
        When the file is one of the inputs, or none.
    """
    if out is None:
        return
    if out in {"", "-"}:
        raise InputError(f"{name} names a file", hint="-o json prints to standard output")
    if other is not None and Path(out).absolute() == Path(other).absolute():
        raise InputError(f"{name} names a file that is written already", hint="name another file")
    for given in inputs:
        with contextlib.suppress(OSError):
            if given is not None and Path(out).samefile(given):
                raise InputError(f"{name} would overwrite {given}", hint="name another file")


def moment(text: str | None, name: str) -> datetime | None:
    """Return a time; UTC where it does not say.

    Raises
    ------
    InputError
        When it is no time in ISO 8601.
    """
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        message = f"{name}: {visible(text)!r} is no time"
        raise InputError(message, hint="such as 2026-03-01 or 2026-03-01T12:00") from error


def percent(text: str | None, name: str) -> Decimal | None:
    """Return per cent for ``5`` or ``5%``.

    Raises
    ------
    InputError
        When it is no percentage.
    """
    if text is None:
        return None
    try:
        return parse_percent(text)
    except ValueError as error:
        raise InputError(f"{name}: {error}") from error


def snapshots(files: dict[ListingName, str | None]) -> dict[ListingName, Snapshot]:
    """Return listings by name: from the file where there is one, the rest live."""
    from planner.cli.purchases import warn
    from planner.market.snapshot import read_snapshot

    read = {name: read_snapshot(file, name) for name, file in files.items() if file is not None}
    missing = [name for name in files if name not in read]
    if missing:
        from planner.marketplace.fetch import fetch_market

        read |= dict(zip(missing, fetch_market(*missing, on_failure=warn), strict=True))
    return read


def keep(snapshot: Snapshot | None, path: str | None, what: str) -> None:
    """Write a listing where a person asked for it."""
    if snapshot is not None and path is not None:
        from planner.market.snapshot import save_snapshot

        save_snapshot(snapshot, path)
        to_stderr(f"saved {len(snapshot.rows)} {what} to {path}")


def listing_view(
    section: Section, shown: pd.DataFrame, listed: str, *more: str, is_empty: bool
) -> View:
    """Return offers with a sentence on how many of those listed they are."""
    from planner.schema import frame_view

    count = f"{len(shown)} {'groups ' if section.name == 'groups' else ''}of {listed}"
    notes = (f"{listed[:1].upper()}{listed[1:]}" if is_empty else count, *more)
    sections = [section, Section("count", notes=notes)]
    if shown.empty and not is_empty:
        sections = [replace(section, notes=(f"None of {listed} matches the filters.",))]
    return frame_view(shown.reset_index(drop=True), lambda: sections)


def refuse_existing(file: str, *, force: bool) -> None:
    """Refuse to replace a file, unless that was asked for.

    Raises
    ------
    InputError
        When there is one, as far as can be seen.
    """
    with contextlib.suppress(OSError, ValueError):
        if Path(file).exists() and not force:
            message = f"{visible(file)}: is already there"
            raise InputError(message, hint="name another file, or use --force")


def gpu_frame(single: Snapshot, multi: Snapshot | None) -> pd.DataFrame:
    """Return the GPU listings as one frame, and say which rows cannot be used."""
    from planner.market.snapshot import join_gpus
    from planner.plans.advice import market_warnings
    from planner.schema import records

    frame = single.gpus()
    if multi is not None:
        frame = join_gpus(frame, multi.gpus(listing="multi-node"))
    for warning in market_warnings(records(frame)):
        to_stderr(f"warning: GPU {warning}")
    return frame
