"""Results on standard output, in the format that was asked for; messages on standard error."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from typing import TYPE_CHECKING

from planner.errors import InputError
from planner.present import progress
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from planner.present.table import Section, View


class Output(StrEnum):
    """How a result is written."""

    table = "table"
    json = "json"
    csv = "csv"
    md = "md"


def render(view: View, output: Output) -> None:
    """Write what a command answers to standard output."""
    with progress.working("Writing the answer"):
        to_stdout(_WRITERS[output](view))


def _table(view: View) -> str:
    from planner.present import terminal

    return terminal.to_terminal(
        view.sections(),
        width=terminal.terminal_width(),
        colour=terminal.has_colour(),
    )


def _json(view: View) -> Iterable[str]:
    from planner.present.writers import json_blocks

    document = view.document()
    if isinstance(document, dict | list):
        return json_blocks(document)
    return [document] if isinstance(document, str) else document


def _csv(view: View) -> str:
    from planner.present.writers import to_csv

    text = to_csv(next(iter(view.sections())) if view.rows is None else view.rows())
    # Without the mark, a spreadsheet takes UTF-8 for the code page of its machine.
    return text if text.isascii() else f"\N{BYTE ORDER MARK}{text}"


def _markdown(view: View) -> str:
    from planner.present.writers import to_markdown

    return to_markdown(view.sections() if view.page is None else view.page())


_WRITERS: dict[Output, Callable[[View], str | Iterable[str]]] = {
    Output.table: _table,
    Output.json: _json,
    Output.csv: _csv,
    Output.md: _markdown,
}


def show(sections: Iterable[Section]) -> None:
    """Write sections for people to standard error, beside a result that is not theirs."""
    from planner.present import terminal

    colour = terminal.has_colour(sys.stderr)
    text = terminal.to_terminal(sections, width=terminal.terminal_width(), colour=colour)
    _write_stderr(text)


def to_stderr(text: str) -> None:
    """Write a message for people to standard error."""
    from planner.present import terminal

    lines = "\n".join(visible(line) for line in text.split("\n"))
    _write_stderr(terminal.labelled(lines, colour=terminal.has_colour(sys.stderr)) + "\n")


def _write_stderr(text: str) -> None:
    progress.erase()
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        # A message that cannot be shown is no reason to lose a result.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


_BLOCK = 2**20
"""Characters that are written together: a stream keeps a copy of what it is given."""


def to_stdout(text: str | Iterable[str]) -> None:
    """Write text of a result, or its blocks, to standard output."""
    last = ""
    try:
        for block in [text] if isinstance(text, str) else text:
            progress.erase()
            for start in range(0, len(block), _BLOCK):
                sys.stdout.write(block[start : start + _BLOCK])
            last = block or last
        if not last.endswith("\n"):
            sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError as error:
        # Nothing may be written there again, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            sys.exit(0)  # the reader has what it wanted
        message = f"standard output cannot be written: {error.strerror}"
        raise InputError(message, hint="write somewhere else") from error
