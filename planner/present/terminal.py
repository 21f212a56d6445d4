"""The terminal: tables, sentences and commands at its width, in colours that mean something."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, Any

from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from planner.present.table import Section

_NARROW = 15
"""Cells that a column of words keeps, however narrow the terminal."""
_GAP = 2
"""Cells between two columns."""
_STYLES = {
    **dict.fromkeys(("create", "created", "+"), "green"),
    **dict.fromkeys(("replace", "waiting", "in doubt", "warning", "at risk", "~", "!"), "yellow"),
    **dict.fromkeys(("over", "failed", "refused", "conflict", "missing", "-"), "red"),
}
"""Texts of an action or a status → their colour, which is never all that tells them apart."""
_ASCII = str.maketrans(
    {
        "\N{EN DASH}": "-",
        "\N{HORIZONTAL ELLIPSIS}": "...",
        "\N{MIDDLE DOT}": "-",
        "\N{MULTIPLICATION SIGN}": "x",
        "\N{RIGHTWARDS ARROW}": "->",
    }
)


def to_terminal(
    sections: Iterable[Section], *, width: int, colour: bool = False, ascii_only: bool = False
) -> str:
    """Return sections as a terminal shows them.

    Where the width is not enough, the expendable columns of a table go, the first named first, and
    a line under it names them; then texts are wrapped. An amount, an id and a command are never
    cut.

    Parameters
    ----------
    sections : iterable of Section
        In their order.
    width : int
        Characters of a line.
    colour : bool
        Use colours and bold totals.
    ascii_only : bool
        Draw with characters that every terminal has.
    """
    from rich.console import Console  # noqa: PLC0415 -- only where something is drawn
    from rich.text import Text  # noqa: PLC0415

    out = io.StringIO()
    screen = Console(
        file=out,
        width=width,
        force_terminal=colour,
        color_system="standard" if colour else None,
        no_color=not colour,
        highlight=False,
        markup=False,
        emoji=False,
    )

    def line(text: str, style: str = "") -> None:
        screen.print(Text(_plain(text, ascii_only=ascii_only), style=style))

    for section in sections:
        if section.title:
            line(section.title)
        if section.columns:
            gone = _table(section, screen, width, ascii_only=ascii_only)
            if gone:
                line(f"Not shown at this width: {', '.join(gone)}.")
        for note in section.notes:
            line(note, "yellow" if note.startswith("warning: ") else "")
        for command in section.commands:
            out.write(f"{visible(command)}\n")
    return out.getvalue()


def _plain(text: str, *, ascii_only: bool) -> str:
    shown = visible(text)
    return shown.translate(_ASCII) if ascii_only else shown


def _table(section: Section, screen: Any, width: int, *, ascii_only: bool) -> list[str]:  # noqa: ANN401 -- rich stays inside
    """Draw a table, and return the headings of the columns that were left out."""
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    columns = section.columns
    lines = [
        [_plain(cell.text, ascii_only=ascii_only) for cell in row] for row in section.readings()
    ]
    headings = [_plain(column.heading, ascii_only=ascii_only) for column in columns]
    widths = _widths([headings, *lines])
    kept = _kept(section, widths, width)
    drawn = Table(
        box=box.ASCII_DOUBLE_HEAD if ascii_only else box.SIMPLE_HEAD,
        show_footer=section.footer is not None,
        pad_edge=False,
        header_style="",
        footer_style="bold" if screen.is_terminal else "",
    )
    footer = lines.pop() if section.footer is not None else [""] * len(columns)
    for at in kept:
        column = columns[at]
        is_whole = column.is_right or column.kind in {"id", "date", "action", "status"}
        drawn.add_column(
            Text(headings[at]),
            footer=Text(footer[at]),
            justify="right" if column.is_right else "left",
            overflow="fold",
            no_wrap=is_whole,
        )
        widths[at] = widths[at] if is_whole else min(widths[at], _NARROW + _GAP + 1)
    for row in lines:
        drawn.add_row(
            *(
                Text(row[at], style=_STYLES.get(row[at], "") if _has_style(section, at) else "")
                for at in kept
            )
        )
    # An amount is never cut: where even the rest is too wide, the terminal wraps the lines.
    screen.width = max(width, sum(widths[at] for at in kept))
    screen.print(drawn)
    screen.width = width
    return [columns[at].heading for at in range(len(columns)) if at not in kept]


def _has_style(section: Section, at: int) -> bool:
    return section.columns[at].kind in {"action", "status"}


def _kept(section: Section, widths: Sequence[int], width: int) -> list[int]:
    """Return which columns are shown at a width."""
    names = [column.name for column in section.columns]
    kept = [*range(len(names))]
    for name in section.expendable:
        if sum(widths[at] for at in kept) <= width:
            break
        kept = [at for at in kept if names[at] != name]
    return kept


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    """Return how wide each column is, with the gap after it."""
    from rich.cells import cell_len  # noqa: PLC0415

    return [max(map(cell_len, column)) + _GAP + 1 for column in zip(*lines, strict=True)]


def terminal_width() -> int:
    """Return how wide the terminal is; 80 where there is none and nothing says so."""
    from rich.console import Console  # noqa: PLC0415

    return Console().width


def has_colour() -> bool:
    """Return whether standard output may have colours: a terminal, and no ``NO_COLOR``."""
    return (
        sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )


def is_ascii() -> bool:
    """Return whether standard output has no more than ASCII."""
    try:
        "\N{EN DASH}\N{BOX DRAWINGS LIGHT HORIZONTAL}".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return True
    return False


@contextlib.contextmanager
def working(what: str) -> Iterator[None]:
    """Show on a terminal's standard error that something is being done."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console  # noqa: PLC0415

    with Console(stderr=True, markup=False, emoji=False).status(visible(what)):
        yield
