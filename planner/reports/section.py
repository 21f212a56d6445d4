"""A section of a report: a table as every format shows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """One table of a report, its cells as texts.

    Attributes
    ----------
    name : str
        What it is called in commands and links: lower case, hyphens.
    title : str
        What a person reads above it.
    headings : tuple of str
        One for each column.
    rows : tuple of tuple of str
        Cells, already made visible (`planner.text.visible`), not yet escaped for any format.
    right : frozenset of str
        Headings of columns that are aligned to the right.
    footer : tuple of str | None
        The row of totals.
    notes : tuple of str
        Sentences below the table.
    expendable : tuple of str
        Headings that a narrow terminal can do without, the first to go first.
    """

    name: str
    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: frozenset[str]
    footer: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    expendable: tuple[str, ...] = ()
