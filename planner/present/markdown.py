"""Markdown: tables fit for a pull-request comment, every text shown as it is."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from planner.present.table import Section


def to_markdown(sections: Iterable[Section]) -> str:
    """Return sections as Markdown: title, table, notes and commands of each."""
    return "\n".join(filter(None, map(_section, sections)))


def _section(section: Section) -> str:
    section = section.filled()
    parts = []
    if section.title and not section.is_folded:
        parts.append(f"**{markdown_text(section.title)}**\n")
    if section.is_table:
        lines = [
            [markdown_text(column.heading) for column in section.columns],
            ["---:" if column.is_right else "---" for column in section.columns],
        ]
        lines += [
            [markdown_text(cell.text) for cell in row] for row in section.readings(section.most)
        ]
        parts.append("".join(f"| {' | '.join(line)} |\n" for line in lines))
    if notes := (*section.rest, *section.notes):
        parts.append("".join(f"- {markdown_text(note)}\n" for note in notes))
    parts += [f"```\n{visible(command)}\n```\n" for command in section.commands]
    text = "\n".join(parts)
    if not section.is_folded:
        return text
    # Within an element of HTML, Markdown's own signs mean nothing.
    title = _inert(escape(visible(section.title), quote=False))
    return f"<details><summary>{title}</summary>\n\n{text}\n</details>\n"


def markdown_text(text: str) -> str:
    r"""Return text that Markdown shows as it is.

    >>> markdown_text("a|b")
    'a\\|b'
    """
    cell = visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for character in "\\`*_[]|~!":
        cell = cell.replace(character, f"\\{character}")
    return _inert(cell)


def _inert(text: str) -> str:
    """Return text in which nothing becomes a link, or calls a person, where it is rendered."""
    for written, shown in (
        ("#", "&#35;"),
        ("@", "&#64;"),
        ("://", "&#58;//"),
        ("www.", "www&#46;"),
    ):
        text = text.replace(written, shown)
    return text
