"""``planner docs``: the manual that travels with planner."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from planner.cli.render import to_stdout


def docs(
    topic: Annotated[str | None, typer.Argument(help="A page; without one, the list.")] = None,
) -> None:
    """Print a page of the manual, or the list of its pages."""
    from planner.shipped import docs as page

    text = page(topic)
    if topic is not None and sys.stdin.isatty() and sys.stdout.isatty():
        import pydoc

        pydoc.pager(text)
    else:
        to_stdout(text)
