"""Signs that an output's encoding lacks, in ASCII: rules stay rules where there are no boxes."""

from __future__ import annotations

import codecs
import unicodedata

ERRORS = "planner.ascii"
"""The name of the error handler, for ``TextIOWrapper.reconfigure(errors=…)``."""
_SIGNS = {
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{RIGHTWARDS ARROW}": "->",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{LESS-THAN OR EQUAL TO}": "<=",
    "\N{GREATER-THAN OR EQUAL TO}": ">=",
    "\N{MINUS SIGN}": "-",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{BULLET}": "*",
    "\N{CHECK MARK}": "v",
}


def register() -> None:
    """Make the error handler known to Python's codecs."""
    codecs.register_error(ERRORS, _in_ascii)


def _in_ascii(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(map(_sign, text)), error.end


def _sign(character: str) -> str:
    """Return an ASCII sign that looks alike, or the character as a visible escape.

    >>> _sign("─"), _sign("│"), _sign("┼")
    ('-', '|', '+')
    """
    name = unicodedata.name(character, "")
    if name.startswith("BOX DRAWINGS"):
        lines = {"HORIZONTAL": "-", "VERTICAL": "|"}
        return "+" if " AND " in name else lines.get(name.split()[-1], "+")
    return _SIGNS.get(character) or character.encode("ascii", "backslashreplace").decode()
