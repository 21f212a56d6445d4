"""Rows of the API, read field by field.

The marketplace adds providers and regions without notice, and a row may say anything. Each field
is taken for what it is; what cannot be used becomes the row's ``problem``, and the row stays.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from functools import cache, lru_cache
from math import isfinite
from typing import Any

from planner.text import visible
from planner.units import MAX_PRICE_DIGITS

UNBOUNDED_GB = 10**12
"""A bound at or beyond this, a zettabyte, bounds nothing."""


class _Ranks(dict[str, int]):
    """Ranks of stock levels; a word that is not one of them ranks as unknown."""

    def __missing__(self, word: str) -> int:
        return self["unknown"]


STOCK_RANK = _Ranks(Unavailable=-1, unknown=0, Low=1, Medium=2, Available=3, High=3)
"""Stock levels, weakest first; Available and High are the same level, other words are unknown."""
_NONE_LEFT = re.compile(
    r"\b(?:unavailable|unavail|(?<!not )(?:out of stock|sold out)|outofstock|soldout|oos|none|"
    r"(?:not|un|no longer) available|not in stock|no (?:stock|capacity|availability)|"
    r"depleted|exhausted|discontinued)\b"
)
"""Words that plainly say that there is none, in lower case with single blanks."""
SECURITY = ("secure_cloud", "community_cloud")
SOCKETS = ("PCIe", "SXM2", "SXM3", "SXM4", "SXM5", "SXM6")
REGIONS = (
    *("africa", "asia_south", "asia_northeast", "australia", "canada", "eu_east", "eu_north"),
    *("eu_west", "middle_east", "south_america", "united_states"),
)
_MAX_TEXT = 255
_MAX_SHOWN = 60
_MAX_PRICE = Decimal(10) ** 6


class RowReader:
    """Read fields of one row, collecting what is wrong with it.

    Parameters
    ----------
    row : Any
        One element of a listing; anything but an object has no fields.

    Attributes
    ----------
    problems : list of str
        One sentence for each field that cannot be used.
    """

    def __init__(self, row: Any) -> None:  # noqa: ANN401 -- a listing may hold anything
        self.problems: list[str] = []
        self._row: dict[str, Any] = row if isinstance(row, dict) else {}
        if not isinstance(row, dict):
            self.problems.append("the row is not an object")

    def raw(self, path: str) -> Any:  # noqa: ANN401 -- as above
        """Return the value of a key, or of a key inside another, None where any is missing."""
        outer, _, inner = path.partition(".")
        value = self._row.get(outer)
        if not inner or value is None:
            return value
        if not isinstance(value, dict):
            self._wrong(outer, "an object", value)
            return None
        return value.get(inner)

    def text(self, path: str, *, required: bool = False, sent: bool = False) -> str | None:
        """Return a text; an empty text is null.

        A text that is sent back in a request has to be printable: it ends up in commands.
        """
        value = self.raw(path)
        if value is None or value == "":
            if required:
                self.problems.append(f"{path} is missing")
            return None
        if not isinstance(value, str):
            self._wrong(path, "text", value)
            return None
        if sent and visible(value) != value:
            self.problems.append(f"{path} has characters that cannot be shown")
            return None
        if len(value) > _MAX_TEXT or not _encodable(value):
            self.problems.append(f"{path} is not a usable text of up to {_MAX_TEXT} characters")
            return None
        return value

    def word(self, path: str, known: tuple[str, ...]) -> str | None:
        """Return a text, as documented where only its case or separators differ from that."""
        value = self.text(path)
        if value is None:
            return None
        return _by_fold(known).get(_folded(value), value)

    def whole(self, path: str) -> int | None:
        """Return a whole number that is not negative."""
        value = self.raw(path)
        if value is None:
            return None
        if not _is_number(value):
            self._wrong(path, "a number", value)
            return None
        number = _decimal(value)
        if not number.is_finite() or number != number.to_integral_value():
            self.problems.append(f"{path} is {_shown(number)}, not a whole number")
            return None
        if number < 0:
            self.problems.append(f"{path} is negative ({_shown(number)})")
            return None
        return int(min(number, Decimal(UNBOUNDED_GB)))

    def yes_no(self, path: str) -> bool | None:
        """Return a boolean; null stays unknown."""
        value = self.raw(path)
        if value is None or isinstance(value, bool):
            return value
        self._wrong(path, "true or false", value)
        return None

    def price(self, path: str) -> Decimal | None:
        """Return a price, or None where there is none: null, zero, negative, NaN, infinite."""
        value = self.raw(path)
        if value is None:
            return None
        if not _is_number(value):
            self._wrong(path, "a number", value)
            return None
        number = _decimal(value)
        if not number.is_finite() or number <= 0:
            return None
        if not is_price(number):
            self.problems.append(f"{path} is not a plausible price ({_shown(number)})")
            return None
        return number

    def stock(self, path: str) -> str:
        """Return the stock of an offer, see `stock_word`."""
        return stock_word(self.raw(path))

    def _wrong(self, path: str, expected: str, value: object) -> None:
        names = {str: "text", bool: "true or false", list: "a list", dict: "an object"}
        kind = names.get(type(value), "a number")
        shown = "" if isinstance(value, list | dict) else f" ({visible(as_written(value))})"
        self.problems.append(f"{path}: {expected} was expected, not {kind}{shown}")

    @property
    def problem(self) -> str | None:
        """Return what is wrong with the row, or None."""
        return "; ".join(dict.fromkeys(self.problems)) or None


def stock_word(value: object) -> str:
    """Return a stock level, ``unknown`` where there is none, any other value as written.

    Case does not matter; words that plainly say there is none are ``Unavailable``.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return "unknown"
    folded = _folded(value) if isinstance(value, str) else ""
    levels = _by_fold(tuple(STOCK_RANK))
    if folded in levels:
        return levels[folded]
    return "Unavailable" if _NONE_LEFT.search(folded) else as_written(value)


def as_written(value: object) -> str:
    """Return a value of a listing as short text: text as it is, anything else as JSON."""
    if isinstance(value, str):
        text = value.encode(errors="backslashreplace").decode()
    else:
        try:
            text = json.dumps(value, default=str)
        except (ValueError, TypeError, RecursionError):
            text = type(value).__name__
    return text if len(text) <= _MAX_SHOWN + 1 else f"{text[:_MAX_SHOWN]}…"


@cache
def _by_fold(known: tuple[str, ...]) -> dict[str, str]:
    """Return words by what they are in any case and with any separators."""
    return {_folded(word): word for word in known}


@lru_cache(maxsize=1024)
def _folded(text: str) -> str:
    """Return text in lower case, separators as single blanks."""
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()


def is_price(number: Decimal) -> bool:
    """Return whether a number can be a price: positive, not absurd, of no more digits than ours."""
    if not number.is_finite() or not 0 < number < _MAX_PRICE:
        return False
    _, digits, exponent = number.as_tuple()
    return max(len(digits), -int(exponent)) <= MAX_PRICE_DIGITS


def id_part(value: object) -> str:
    """Return a value as the vendor's client writes it into a short id: whole numbers as such."""
    if isinstance(value, float | Decimal) and isfinite(value):
        return str(int(value)) if value == int(value) else str(value)
    return "malformed" if isinstance(value, list | dict) else str(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _decimal(number: float | Decimal) -> Decimal:
    return Decimal(str(number)) if isinstance(number, float) else Decimal(number)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(number: Decimal) -> str:
    return visible(str(number))[:40]
