"""The terminal: tables, sentences and commands at its width, in colours that mean something."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import sys
import textwrap
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TextIO

    from planner.present.table import Section

_NARROW = 15
"""Cells that a column of text keeps, however narrow the terminal."""
_WIDE = 32
"""Cells of a column of text beyond which it is wrapped before another column is left out."""
_GAP = 3
"""Cells between two columns."""
_WHOLE = frozenset({"id", "date", "action", "status"})
"""Kinds beside numbers that are never wrapped."""
_STYLES = {
    **dict.fromkeys(("create", "created", "+"), "green"),
    **dict.fromkeys(("replace", "waiting", "pending", "warning", "at risk", "~", "!"), "yellow"),
    **dict.fromkeys(("over", "failed", "refused", "conflict", "missing", "-"), "red"),
}
"""Texts of an action or a status → their colour, which is never all that tells them apart."""

_LABELS = {"warning:": "33", "planner:": "1;31"}
"""Label of a message → the terminal's code for its colour."""


def to_terminal(sections: Iterable[Section], *, width: int, colour: bool = False) -> str:
    """Return sections as a terminal shows them.

    Where the width is not enough, the expendable columns of a table go, the first named first, and
    a line under it names them; then texts are wrapped. An amount and an id are never cut, and
    a command is broken only where a shell goes on reading it.

    Parameters
    ----------
    sections : iterable of Section
        In their order.
    """
    screen = _Screen(width, colour)
    return "\n".join(filter(None, (_section(section, screen) for section in sections)))


@dataclass(frozen=True)
class _Screen:
    """What there is to draw on."""

    width: int
    colour: bool

    def drawn(self, what: Any, width: int | None = None) -> str:  # noqa: ANN401 -- rich stays inside
        """Return something of rich's as lines, without blank ones around it."""
        from rich.console import Console  # noqa: PLC0415 -- only where something is drawn

        out = io.StringIO()
        Console(
            file=out,
            width=width or self.width,
            force_terminal=self.colour,
            color_system="standard" if self.colour else None,
            no_color=not self.colour,
            highlight=False,
            markup=False,
            emoji=False,
        ).print(what)
        lines = [line.rstrip() for line in out.getvalue().splitlines()]
        return "\n".join(lines).strip("\n") + "\n"

    def line(self, text: str, style: str = "") -> str:
        """Return a sentence, wrapped; rich is not loaded for one that needs neither."""
        shown = visible(text)
        is_plain = not self.colour and shown.isascii() and shown.isprintable()
        if is_plain and max(map(len, shown.split()), default=0) <= self.width:
            return textwrap.fill(shown, self.width, break_on_hyphens=False) + "\n"
        from rich.text import Text  # noqa: PLC0415

        return self.drawn(Text(shown, style=style))


def _section(section: Section, screen: _Screen) -> str:
    """Return one section: title and table, then the notes, then commands to paste."""
    table = screen.line(section.title, "bold") if section.title else ""
    if section.is_table:
        table += _table(section, screen)
    notes = "".join(
        screen.line(note, "yellow" if note.startswith("warning: ") else "")
        for note in section.notes
    )
    commands = "".join(f"{folded(command, screen.width)}\n" for command in section.commands)
    gap = "\n" if section.is_table and notes else ""
    return f"{table}{gap}{notes}{commands}"


def folded(command: str, width: int) -> str:
    r"""Return a command on lines that a shell reads as one, broken before its options.

    >>> print(folded("prime pods create --id 15fbab --name finetune", 40))
    prime pods create --id 15fbab \
      --name finetune
    """
    arguments: list[str] = []
    if len(visible(command)) > width:
        with contextlib.suppress(ValueError):  # not what a shell reads: shown as it is
            arguments = shlex.split(command)
    if shlex.join(arguments) != command:
        return visible(command)
    parts: list[str] = []
    before = ""
    for argument in arguments:
        quoted = visible(shlex.quote(argument))
        if before.startswith("--") and "=" not in before and not argument.startswith("-"):
            parts[-1] += f" {quoted}"  # an option keeps its value beside it
        else:
            parts.append(quoted)
        before = argument
    lines = parts[:1]
    for part in parts[1:]:
        if len(lines[-1]) + len(part) + len("  \\") > width:
            lines.append(f"  {part}")
        else:
            lines[-1] += f" {part}"
    return " \\\n".join(lines)


def _table(section: Section, screen: _Screen) -> str:
    """Return a table, and a line that names the columns for which there is no room."""
    section = section.filled()
    columns = section.columns
    lines = [[visible(cell.text) for cell in row] for row in section.readings(section.most)]
    headings = [visible(column.heading) for column in columns]
    widths = _widths([headings, *lines])
    wholes = [column.is_right or column.kind in _WHOLE for column in columns]
    wanted = [
        width if whole else min(width, _WIDE + _GAP)
        for width, whole in zip(widths, wholes, strict=True)
    ]
    kept = _kept(section, wanted, screen.width)
    shown = [[line[at] for at in kept] for line in (headings, *lines)]
    fits = sum(widths[at] for at in kept) + len("  ") - _GAP <= screen.width
    if fits and lines and not screen.colour and all(map(str.isprintable, chain(*shown))):
        text = _plain([columns[at].is_right for at in kept], [widths[at] for at in kept], shown)
    else:
        text = _wrapped(section, screen, kept, shown, wholes, widths)
    gone = [columns[at].heading for at in range(len(columns)) if at not in kept]
    if gone:
        text += screen.line(f"Not shown at this width: {', '.join(gone)}.")
    return text + "".join(map(screen.line, section.rest))


def _plain(is_right: Sequence[bool], widths: Sequence[int], lines: Sequence[Sequence[str]]) -> str:
    """Return a table that needs neither colour nor wrapping, as rich draws it in a tenth of it."""
    drawn = []
    for line in lines:
        cells = []
        for text, right, width in zip(line, is_right, widths, strict=True):
            pad = " " * (width - _GAP - _cells(text))
            cells.append(pad + text if right else text + pad)
        drawn.append(f" {(' ' * _GAP).join(cells)}".rstrip())
    drawn.insert(1, f" {'─' * (sum(widths) - _GAP)}")
    return "\n".join(drawn) + "\n"


def _wrapped(
    section: Section,
    screen: _Screen,
    kept: Sequence[int],
    lines: Sequence[Sequence[str]],
    wholes: Sequence[bool],
    widths: Sequence[int],
) -> str:
    """Return a table with its colours, texts wrapped where there is no room."""
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="")
    least = 0
    for at, heading in zip(kept, lines[0], strict=True):
        drawn.add_column(
            Text(heading),
            justify="right" if section.columns[at].is_right else "left",
            overflow="fold",
            no_wrap=wholes[at],
        )
        least += widths[at] if wholes[at] else min(widths[at], _NARROW + _GAP)
    for number, line in enumerate(lines[1:]):
        drawn.add_row(
            *(Text(text, _style(section, at, text)) for at, text in zip(kept, line, strict=True)),
            style="bold" if number == len(section.rows[: section.most]) else "",
        )
    # An amount is never cut: where even the rest is too wide, the terminal wraps the lines.
    return screen.drawn(drawn, max(screen.width, least))


def _style(section: Section, at: int, text: str) -> str:
    """Return the colour of an action or a status."""
    if section.columns[at].kind not in {"action", "status"}:
        return ""
    return _STYLES.get(text.partition(",")[0].partition(" (")[0], "")


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
    return [max(map(_cells, column)) + _GAP for column in zip(*lines, strict=True)]


def _cells(text: str) -> int:
    """Return how many cells of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # noqa: PLC0415

    return cell_len(text)


def terminal_width() -> int:
    """Return how wide the terminal is; 80 where there is none and nothing says so."""
    said = os.environ.get("COLUMNS", "")
    if said.isdigit():
        return int(said) or 80
    for descriptor in (0, 1, 2):
        with contextlib.suppress(OSError):
            return os.get_terminal_size(descriptor).columns or 80
    return 80


def has_colour(stream: TextIO | None = None) -> bool:
    """Return whether a stream may have colours: a terminal, and no ``NO_COLOR``.

    Parameters
    ----------
    stream : TextIO | None
        None is standard output.
    """
    is_terminal = (sys.stdout if stream is None else stream).isatty()
    return is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def labelled(text: str, *, colour: bool) -> str:
    r"""Return a message, its label in colour: a warning yellow, an error red.

    >>> labelled("warning: low stock", colour=True)
    '\x1b[33mwarning:\x1b[0m low stock'
    """
    label, space, rest = text.partition(" ")
    code = _LABELS.get(label)
    return f"\x1b[{code}m{label}\x1b[0m{space}{rest}" if colour and code else text
