"""Text from outside, made safe to show.

Everything in a listing or a demand file is untrusted: it may carry escape sequences that
rewrite a terminal, direction marks that reorder a line, or a formula for a spreadsheet.
"""

from __future__ import annotations

import difflib
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
).union(map(chr, [*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]))
"""Letters and marks that show nothing: fillers, selectors, the empty Braille pattern."""


def visible(text: str) -> str:
    r"""Return text with every control, direction and invisible character as a visible escape.

    >>> visible("US\x1b[2J-1")
    'US\\x1b[2J-1'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if unicodedata.category(character) in _UNSAFE or character in _BLANK
        else character
        for character in text
    )


def some(names: Sequence[str], most: int = 5) -> str:
    """Return the first names, and how many more there are.

    >>> some(["a", "b", "c", "d"], 2)
    'a, b and 2 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def titles(replicas: Sequence[tuple[str, int]]) -> list[str]:
    """Return what a person calls replicas: the number only where a volume has several.

    >>> titles([("corpus", 1), ("corpus", 2), ("ckpt", 1)])
    ['corpus #1', 'corpus #2', 'ckpt']
    """
    several = {volume for volume, number in replicas if number > 1}
    return [f"{volume} #{number}" if volume in several else volume for volume, number in replicas]


def nearest(text: str, known: Iterable[str]) -> str | None:
    """Return the known name that was most likely meant, or None."""
    by_fold = {name.casefold(): name for name in sorted(known)}
    if text.casefold() in by_fold:
        return by_fold[text.casefold()]
    close = difflib.get_close_matches(text.casefold(), list(by_fold), n=1, cutoff=0.6)
    return by_fold[close[0]] if close else None


def suggestion(text: str, known: Iterable[str], otherwise: str | None) -> str | None:
    """Return the hint for a name that is not known: the nearest that is, or else another."""
    close = nearest(text[:100], known)
    return f"did you mean {visible(close)}?" if close else otherwise
