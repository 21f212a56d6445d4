"""``planner docs``: the manual that travels with planner."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from planner.cli.render import to_stdout

_WIDEST = 100
"""Characters of a line that are read without losing the next."""


def docs(
    topic: Annotated[str | None, typer.Argument(help="A page; without one, the list.")] = None,
) -> None:
    """Print a page of the manual, or the list of its pages."""
    from planner.present.manual import page_sections
    from planner.present.terminal import has_colour, terminal_width, to_terminal
    from planner.shipped import docs as page

    text = page(topic)
    if topic is None:
        to_stdout(text)
        return
    width = min(terminal_width(), _WIDEST)
    is_paged = sys.stdin.isatty() and sys.stdout.isatty()
    text = to_terminal(
        page_sections(text, width), width=width, colour=has_colour() and not is_paged
    )
    if is_paged:
        import pydoc

        pydoc.pager(text)
    else:
        to_stdout(text)
