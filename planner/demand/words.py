"""Values of a demand file, as they are shown in a message."""

import re
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal

from planner.text import visible

FieldPath = tuple[str | int, ...]
"""Keys and indices that lead to a field, from the top of the document."""

SHOWN = 60
"""Characters of a value that a message repeats."""

_BITS = 200
_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (Mapping, "a mapping"),
    ((list, tuple, set, frozenset), "a list"),
    ((date, time), "a date or time"),
)
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def cut(text: str) -> str:
    """Return text made safe to show, and cut where it is long."""
    shown = visible(text[: SHOWN + 1])
    return shown if len(shown) <= SHOWN else shown[: SHOWN - 1] + "…"


def shown(value: object) -> str:
    """Return how a message names a value.

    >>> shown("4 TB"), shown(True), shown([1])
    ("'4 TB'", 'true', 'a list')
    """
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, str):
        return f"'{cut(value)}'"
    if isinstance(value, (int, float, Decimal)):
        long = isinstance(value, int) and value.bit_length() > _BITS
        return "a number with a great many digits" if long else cut(str(value))
    return next(
        (name for kind, name in _KINDS if isinstance(value, kind)), "a value of another kind"
    )


def dotted(path: FieldPath) -> str:
    """Return a field's path in words.

    >>> dotted(("volumes", 2, "replicas"))
    'volumes[2].replicas'
    """
    parts: list[str] = []
    for part in path:
        if isinstance(part, int):
            parts.append(f"[{part}]")
        else:
            key = part if _PLAIN_KEY.fullmatch(part) and len(part) <= SHOWN else f"'{cut(part)}'"
            parts.append(f".{key}" if parts else key)
    return "".join(parts)
