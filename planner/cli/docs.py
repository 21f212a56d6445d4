"""``planner docs``: the manual that travels with planner, as sections for a terminal."""

from __future__ import annotations

import re
import sys
import textwrap
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.render import to_stdout
from planner.present.table import Section, TableColumn

if TYPE_CHECKING:
    from collections.abc import Iterator

_WIDEST = 100
"""Characters of a line that are read without losing the next."""


def docs(
    topic: Annotated[str | None, typer.Argument(help="A page; without one, the list.")] = None,
) -> None:
    """Print a page of the manual, or the list of its pages."""
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


_LINK = re.compile(r"\[([^\]]+)\]\((?:#[^)]*|([\w-]+)\.md[^)]*|(\w+:[^)]+))\)")
_ITEM = re.compile(r"- |\d+\. ")
_CELL = re.compile(r"(?<!\\)\|")


def page_sections(markdown: str, width: int) -> Iterator[Section]:
    """Yield a page's headings, paragraphs, lists, tables and code, in their order.

    Texts are wrapped at the width; code stays as it is, so that a command can be copied.
    """
    for number, part in enumerate(re.split(r"^```(?:\w+\n)?", markdown, flags=re.MULTILINE)):
        if number % 2:
            yield Section("code", commands=tuple(part.splitlines()))
            continue
        for kind, lines in groupby(part.splitlines(), key=_kind):
            texts = [line if kind == "heading" else _plain(line) for line in lines]
            if kind == "heading":
                yield from (Section("heading", title=text) for text in texts)
            elif kind == "table":
                yield _table(texts)
            elif kind == "text":
                yield Section("text", notes=tuple(_wrapped(texts, width)))


def _kind(line: str) -> str:
    return (
        "table" if line.startswith("|") else "heading" if line.startswith("#") else "text"
    ) * bool(line.strip())


def _plain(text: str) -> str:
    """Return a line without the signs of bold text, and with links that a terminal can follow."""

    def link(match: re.Match[str]) -> str:
        text, topic, address = match.groups()
        where = f"planner docs {topic}" if topic else address
        return f"{text} ({where})" if where else text

    return _LINK.sub(link, text.replace("**", ""))


def _wrapped(lines: list[str], width: int) -> Iterator[str]:
    for line in lines:
        item = _ITEM.match(line)
        indent = " " * (item.end() if item else 0)
        yield from textwrap.wrap(
            line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )


def _table(lines: list[str]) -> Section:
    headings, _, *rows = (
        tuple(cell.strip().replace("\\|", "|") for cell in _CELL.split(line)[1:-1])
        for line in lines
    )
    columns = tuple(TableColumn(f"column-{at}", text) for at, text in enumerate(headings))
    return Section("table", columns=columns, rows=tuple(rows))
