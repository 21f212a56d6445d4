"""Options that several commands share, and how their words become values."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Annotated

import typer

from planner.cli.render import Output
from planner.errors import InputError
from planner.text import visible
from planner.units import MAX_GB, parse_percent, parse_size_gb


class Solver(StrEnum):
    """Solvers that can prove a plan."""

    highs = "highs"
    cbc = "cbc"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How to write the result.")]
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
        raise InputError(f"--size: {size} GB is no size of a disk", hint=f"1 to {MAX_GB} GB")
    return size


def price(text: str | None, name: str) -> Decimal | None:
    """Return an exact price.

    Raises
    ------
    InputError
        When it is no positive number.
    """
    if text is None:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value <= 0:
        raise InputError(f"{name}: {visible(text)!r} is no price", hint="such as 0.00012")
    return value


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
