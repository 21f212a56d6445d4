"""JSON and TOML: the text as plain values, and where in the text each value stands.

Places are looked for only when something is wrong; a sound file never pays for them.
"""

import json
import re
import tomllib
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from planner.demand.words import FieldPath, cut

Places = Mapping[FieldPath, tuple[int, int]]


@dataclass(frozen=True)
class Parsed:
    """A text's value and, on demand, the 1-based line and column of every field."""

    value: Any
    places: Callable[[], Places]


class UnreadableError(Exception):
    """The text is not what its format asks for.

    Attributes
    ----------
    message : str
        What would be right.
    line, column : int | None
        Where, 1-based.
    """

    def __init__(self, message: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


class _DuplicateKeyError(Exception):
    """A JSON object names a key twice."""


def parse_json(text: str) -> Parsed:
    """Return the value of a JSON text, with exact decimals.

    Raises
    ------
    UnreadableError
        When it is not JSON, names a key twice, or nests too deeply.
    """
    try:
        value = json.loads(
            text, parse_float=Decimal, parse_constant=Decimal, object_pairs_hook=_unique
        )
    except json.JSONDecodeError as error:
        raise UnreadableError(f"not valid JSON: {error.msg}", error.lineno, error.colno) from error
    except _DuplicateKeyError as error:
        place = _json_places(text)[1]
        message = f"the key '{cut(str(error))}' stands here a second time"
        raise UnreadableError(message, *(place or (None, None))) from error
    except RecursionError as error:
        raise UnreadableError("the values are nested too deeply for a demand") from error
    except (ValueError, InvalidOperation) as error:
        raise UnreadableError("a number is beyond all bounds") from error
    return Parsed(value, lambda: _json_places(text)[0])


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise _DuplicateKeyError(Counter(key for key, _ in pairs).most_common(1)[0][0])
    return result


_JSON_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s"{}\[\],:]+')


def _json_places(text: str) -> tuple[Places, tuple[int, int] | None]:
    """Return where each field of a JSON text stands, and the first key that stands there twice."""
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    places: dict[FieldPath, tuple[int, int]] = {}
    twice: tuple[int, int] | None = None
    stack: list[str | int] = []
    in_list: list[bool] = []
    key_next = False
    for match in _JSON_PIECE.finditer(text):
        piece, offset = match[0], match.start()
        line = bisect_right(starts, offset)
        place = (line, offset - starts[line - 1] + 1)
        if piece in "]}":
            stack.pop()
            in_list.pop()
            key_next = False
        elif piece == ",":
            key_next = not in_list[-1]
            if in_list[-1]:
                stack[-1] = int(stack[-1]) + 1
        elif key_next and piece != ":":
            stack[-1] = json.loads(piece)
            twice = twice or (place if tuple(stack) in places else None)
            places[tuple(stack)] = place
            key_next = False
        elif piece != ":":
            places.setdefault(tuple(stack), place)
            if piece in "[{":
                in_list.append(piece == "[")
                stack.append(0 if piece == "[" else "")
                key_next = piece == "{"
    return places, twice


_TOML_PLACE = re.compile(r"(?P<message>.*) \(at line (?P<line>\d+), column (?P<column>\d+)\)")


def parse_toml(text: str) -> Parsed:
    """Return the value of a TOML text, with exact decimals.

    Raises
    ------
    UnreadableError
        When it is not TOML or nests too deeply.
    """
    try:
        value = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        match = _TOML_PLACE.fullmatch(str(error))
        if match is None:
            raise UnreadableError(f"not valid TOML: {cut(str(error))}") from error
        message = f"not valid TOML: {cut(match['message'])}"
        raise UnreadableError(message, int(match["line"]), int(match["column"])) from error
    except RecursionError as error:
        raise UnreadableError("the values are nested too deeply for a demand") from error
    except (ValueError, InvalidOperation) as error:
        raise UnreadableError("a number is beyond all bounds") from error
    return Parsed(value, lambda: _toml_places(text))


_TOML_HEADER = re.compile(r"\s*(\[\[?)([^\[\]]+)\]\]?\s*(?:#.*)?")
_TOML_KEY = re.compile(r"\s*([\w.\"'-]+(?:\s*\.\s*[\w\"'-]+)*)\s*=")


def _toml_places(text: str) -> Places:
    """Return where tables and keys stand that begin a line; inline values have their line's."""
    places: dict[FieldPath, tuple[int, int]] = {}
    counts: dict[FieldPath, int] = {}
    table: FieldPath = ()
    for number, line in enumerate(text.splitlines(), start=1):
        column = len(line) - len(line.lstrip()) + 1
        if header := _TOML_HEADER.fullmatch(line):
            *outer, last = _segments(header[2])
            table = (*_entered(outer, (), counts), last)
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
            table = _with_index(table, counts)
            places.setdefault(table, (number, column))
        elif key := _TOML_KEY.match(line):
            places.setdefault(_entered(_segments(key[1]), table, counts), (number, column))
    return places


def _segments(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in dotted.split(".")]


def _entered(segments: list[str], table: FieldPath, counts: Mapping[FieldPath, int]) -> FieldPath:
    for segment in segments:
        table = _with_index((*table, segment), counts)
    return table


def _with_index(table: FieldPath, counts: Mapping[FieldPath, int]) -> FieldPath:
    return (*table, counts[table]) if table in counts else table
