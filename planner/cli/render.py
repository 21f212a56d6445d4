"""Tables and other results on standard output; talk on standard error.

Everything shown passes through ``planner.text``: what the marketplace says never reaches a
terminal as anything but text; ``planner.present.table`` sees to the other formats.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from planner.errors import InputError
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence


_NARROW = 15
"""Cells that a column of words keeps, however narrow the terminal."""


class Output(StrEnum):
    """How a result is written."""

    table = "table"
    json = "json"
    csv = "csv"
    md = "md"


def talk(text: str) -> None:
    """Write a line for people to standard error."""
    try:
        sys.stderr.write("\n".join(visible(line) for line in text.split("\n")) + "\n")
        sys.stderr.flush()
    except OSError:
        # Talk that nobody can hear is no reason to lose a result.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def result(text: str) -> None:
    """Write text of a result to standard output."""
    try:
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
        sys.stdout.flush()
    except OSError as error:
        # Nothing may be written there again, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            sys.exit(0)  # the reader has what it wanted
        message = f"standard output cannot be written: {error.strerror}"
        raise InputError(message, hint="write somewhere else") from error


@contextlib.contextmanager
def working(what: str) -> Iterator[None]:
    """Show on a terminal's standard error that something is being done."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True, markup=False, emoji=False).status(what):
        yield


def table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Collection[str],
    *,
    footer: Sequence[str] | None = None,
    expendable: Sequence[str] = (),
) -> None:
    """Draw a table on standard output.

    Where the terminal is too narrow the expendable columns go, the first named first, and
    standard error says which.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    screen = console()
    shown = [headings, *rows, *([footer] if footer else [])]
    gone = _too_many(headings, shown, expendable, screen.width)
    kept = [index for index, name in enumerate(headings) if name not in gone]
    drawn = Table(box=box.SIMPLE_HEAD, show_footer=footer is not None, pad_edge=False)
    for index in kept:
        drawn.add_column(
            Text(headings[index]),
            footer=Text(footer[index]) if footer else "",
            justify="right" if headings[index] in right else "left",
            overflow="fold",
            no_wrap=headings[index] in right,
        )
    for row in rows:
        drawn.add_row(*(Text(visible(row[index])) for index in kept))
    # An amount is never cut: where even the rest is too wide, the terminal wraps the lines.
    screen.width = max(screen.width, _least_width(headings, shown, gone, right))
    screen.print(drawn)
    _drawn(screen)
    if gone:
        talk(f"not shown at this width: {', '.join(gone)}")


def _too_many(
    headings: Sequence[str],
    shown: Sequence[Sequence[str]],
    expendable: Sequence[str],
    width: int,
) -> list[str]:
    widths = _widths(headings, shown)
    gone: list[str] = []
    for name in expendable:
        if sum(widths.values()) <= width:
            break
        if widths.pop(name, None) is not None:
            gone.append(name)
    return gone


def _least_width(
    headings: Sequence[str],
    shown: Sequence[Sequence[str]],
    gone: Sequence[str],
    right: Collection[str],
) -> int:
    widths = {name: w for name, w in _widths(headings, shown).items() if name not in gone}
    return sum(w if name in right else min(w, _NARROW) for name, w in widths.items())


def _widths(headings: Sequence[str], shown: Sequence[Sequence[str]]) -> dict[str, int]:
    from rich.cells import cell_len

    return {
        name: max(cell_len(visible(row[index])) for row in shown) + 3
        for index, name in enumerate(headings)
    }


def paragraphs(lines: Iterable[str]) -> None:
    """Write sentences below a table, wrapped at the terminal's width."""
    from rich.text import Text

    screen = console()
    for line in lines:
        screen.print(Text(visible(line)))
    _drawn(screen)


def _drawn(screen: Any) -> None:  # noqa: ANN401 -- rich stays inside this room
    """Write what was drawn; the blanks that fill its lines are nothing to a pipe or a copy."""
    result("\n".join(line.rstrip() for line in screen.file.getvalue().split("\n")))


def console() -> Any:  # noqa: ANN401 -- rich stays inside this room
    """Return a console as wide as the terminal that draws into memory, without colour."""
    from rich.console import Console

    width = Console().width
    return Console(file=io.StringIO(), width=width, highlight=False, markup=False, emoji=False)
