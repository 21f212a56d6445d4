"""Texts of charts: labels that stay apart, amounts for people, sentences that fit."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, TypeVar

from planner.text import visible
from planner.units import money

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal

_Key = TypeVar("_Key")
_Name = TypeVar("_Name", str, str | None)
_LINE = 100
"""Characters of a subtitle that fit into one line."""


def labels(texts: Mapping[_Key, str]) -> dict[_Key, str]:
    """Return a visible label for each key that no other key has: equal ones are numbered.

    >>> labels({1: "US-1", 2: "US-1"})
    {1: 'US-1', 2: 'US-1 (2)'}
    """
    taken: set[str] = set()
    found = {}
    for key, text in texts.items():
        name, times = visible(text) or '""', 1
        label = name
        while label in taken:
            times += 1
            label = f"{name} ({times})"
        taken.add(label)
        found[key] = label
    return found


def named(amounts: Mapping[_Name, Decimal | int], most: int, noun: str) -> dict[_Name, str]:
    """Return a label for each name, that of the largest amount first, and one for all beyond most.

    Where only one would be beyond, it keeps its own: that takes no more room. None is no name.

    >>> named({"a": 1, None: 3, "b": 2, "c": 1}, 2, "owner")
    {None: '(no owner)', 'b': 'b', 'a': '2 more owners', 'c': '2 more owners'}
    """
    order = sorted(amounts, key=lambda name: (-amounts[name], name is None, name or ""))
    cut = len(order) if len(order) <= most + 1 else most
    texts: dict[object, str] = {
        name: f"(no {noun})" if name is None else name for name in order[:cut]
    }
    others = tuple(order[cut:])
    if others:
        texts[others] = f"{len(others)} more {noun}s"
    shown = labels(texts)
    return {name: shown[name if name in order[:cut] else others] for name in order}


def usd(amount: Decimal) -> str:
    """Return an amount of dollars, exact to the cent.

    >>> from decimal import Decimal
    >>> usd(Decimal("1340.505"))
    '$1,340.51'
    """
    text = money(amount)
    return f"-${text[1:]}" if text.startswith("-") else f"${text}"


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun.

    >>> counted(1, "site"), counted(1200, "site")
    ('1 site', '1,200 sites')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def lines(sentences: Iterable[str]) -> list[str]:
    """Return sentences as lines of a subtitle; empty ones say nothing."""
    return wrap(" ".join(f"{one}." for one in sentences if one), _LINE)
