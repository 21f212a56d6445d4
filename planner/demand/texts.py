"""Texts and their values: JSON, YAML and TOML, with exact decimals and the place of every field."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from planner.demand.fields import FieldPath, cut, shown

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
        message = f"the key '{cut(str(error))}' appears here for the second time"
        raise UnreadableError(message, *(place or (None, None))) from error
    except RecursionError as error:
        raise UnreadableError("the values are nested too deeply for a demand") from error
    except (ValueError, InvalidOperation) as error:
        raise UnreadableError("a number is too large") from error
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
    import tomllib  # noqa: PLC0415 -- as YAML: JSON must not pay for it

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
        raise UnreadableError("a number is too large") from error
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


MAX_DEPTH = 64
MAX_VALUES = 2_000_000
"""Values of one file, each alias counted in full: more than this is an attack, not a demand."""

_TAG = "tag:yaml.org,2002:"
_SLIPS = (
    AssertionError,
    AttributeError,
    LookupError,
    NotImplementedError,
    TypeError,
    ValueError,
)
"""What ruamel.yaml lets through on some malformed texts, such as a directive of YAML 3.0."""
_TRUTH = {"true": True, "false": False}


def parse_yaml(text: str) -> Parsed:
    """Return the value of a YAML text, and where its fields stand.

    Raises
    ------
    UnreadableError
        With line and column, when it is not YAML, holds several documents, names a key twice,
        contains itself, or holds what a demand cannot: dates, tags, keys that are not text.
    """

    def places() -> Places:
        # Those of a long file take many times its memory, and most files need none.
        where: dict[FieldPath, tuple[int, int]] = {}
        _read_yaml(text, where)
        return where

    return Parsed(_read_yaml(text), places)


def _read_yaml(text: str, places: dict[FieldPath, tuple[int, int]] | None = None) -> Any:  # noqa: ANN401 -- any value
    """Return the value of a YAML text; fill in the places of its fields where asked."""
    from ruamel.yaml import YAML  # noqa: PLC0415 -- JSON and TOML must not pay for it
    from ruamel.yaml.error import YAMLError, YAMLStreamError  # noqa: PLC0415 -- the same

    try:
        return _Reader(YAML(typ="safe", pure=True), text, places).document()
    except (YAMLError, YAMLStreamError) as error:
        raise _translated(error) from error
    except _SLIPS as error:
        raise UnreadableError("not valid YAML") from error


def _translated(error: Exception) -> UnreadableError:
    """Return ruamel's error as a message for whoever writes the file."""
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
    message = f"not valid YAML: {cut(problem)}"
    if "'\\t'" in problem or "tab" in problem.split():
        message = "a tab cannot indent YAML; use spaces"
    mark = getattr(error, "problem_mark", None)
    return UnreadableError(message, *(_place(mark) if mark else (None, None)))


def _place(mark: Any) -> tuple[int, int]:  # noqa: ANN401 -- ruamel's mark
    return mark.line + 1, mark.column + 1


class _Reader:
    """The value of one YAML document, built from its events."""

    def __init__(
        self,
        yaml: Any,  # noqa: ANN401 -- ruamel's
        text: str,
        places: dict[FieldPath, tuple[int, int]] | None,
    ) -> None:
        self._resolver, self._events = yaml.resolver, yaml.parse(text)
        self._places = places
        self._scalars: dict[tuple[str, Any, str], Any] = {}
        self._anchored: dict[str, tuple[FieldPath, Any] | None] = {}
        self._built = 0

    def document(self) -> Any:  # noqa: ANN401 -- any value
        """Return the value of a stream of one document, None of an empty one."""
        _, start = next(self._events), next(self._events)
        if start.crepr == "-STR":
            return None
        value = self._of(next(self._events), (), 1)
        _, after = next(self._events), next(self._events)
        if after.crepr != "-STR":
            text = "a second document begins here; a demand is one YAML document"
            raise _refused(after, text)
        return value

    def _of(self, event: Any, path: FieldPath, depth: int) -> Any:  # noqa: ANN401 -- ruamel's event, any value
        """Return the value that begins with an event, and note where it stands."""
        if self._places is not None:
            self._places.setdefault(path, _place(event.start_mark))
        if event.crepr == "=ALI":
            return self._alias(event, path)
        if depth > MAX_DEPTH:
            raise _refused(event, "the values are nested too deeply for a demand")
        self._count(event)
        if event.anchor is not None:
            self._anchored[event.anchor] = None  # until it ends
        if event.crepr == "=VAL":
            value = self._scalar(event)
        else:
            tag = str(event.ctag or "!")
            if tag not in {"!", f"{_TAG}map", f"{_TAG}seq"}:
                raise _refused(event, _foreign(tag, []))
            value = (self._list if event.crepr == "+SEQ" else self._mapping)(path, depth)
        if event.anchor is not None:
            self._anchored[event.anchor] = path, value
        return value

    def _list(self, path: FieldPath, depth: int) -> list[Any]:
        items: list[Any] = []
        while (item := next(self._events)).crepr != "-SEQ":
            items.append(self._of(item, (*path, len(items)), depth + 1))
        return items

    def _mapping(self, path: FieldPath, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while (named := next(self._events)).crepr != "-MAP":
            key = self._key(named, path)
            if key in result:
                raise _refused(named, f"the key '{cut(key)}' appears here for the second time")
            if self._places is not None:
                self._places[*path, key] = _place(named.start_mark)
            result[key] = self._of(next(self._events), (*path, key), depth + 1)
        return result

    def _key(self, event: Any, path: FieldPath) -> str:  # noqa: ANN401 -- ruamel's event
        if event.crepr not in {"=VAL", "=ALI"}:
            raise _refused(event, "a key must be text, not a list or a mapping")
        if getattr(event, "value", "") == "<<" and self._tag(event) == f"{_TAG}merge":
            text = "merge keys (<<) are not YAML 1.2; use `defaults` for what is shared"
            raise _refused(event, text)
        key = self._of(event, path, MAX_DEPTH)
        if not isinstance(key, str):
            text = getattr(event, "value", event.anchor)
            raise _refused(event, f"a key must be text; write {cut(text)!r} in quotes")
        return key

    def _count(self, event: Any) -> None:  # noqa: ANN401 -- ruamel's event
        self._built += 1
        if self._built > MAX_VALUES:
            raise _refused(event, f"more than {MAX_VALUES:,} values, counting every alias in full")

    def _alias(self, event: Any, path: FieldPath) -> Any:  # noqa: ANN401 -- the same
        """Return the value that an alias repeats; its fields stand where they are written."""
        if event.anchor not in self._anchored:
            raise _refused(event, f"not valid YAML: no anchor is called '{cut(event.anchor)}'")
        anchored = self._anchored[event.anchor]
        if anchored is None:
            raise _refused(event, "this contains itself, through an alias")
        source, value = anchored
        self._repeat(event, value, source, path)
        return value

    def _repeat(self, event: Any, value: object, source: FieldPath, to: FieldPath) -> None:  # noqa: ANN401 -- the same
        self._count(event)
        inner = enumerate(value) if isinstance(value, list) else ()
        for key, item in value.items() if isinstance(value, dict) else inner:
            if self._places is not None:
                self._places[*to, key] = self._places[*source, key]
            self._repeat(event, item, (*source, key), (*to, key))

    def _tag(self, event: Any) -> str:  # noqa: ANN401 -- the same
        from ruamel.yaml.nodes import ScalarNode  # noqa: PLC0415 -- as in `_read_yaml`

        if event.ctag is None or str(event.ctag) == "!":
            return str(self._resolver.resolve(ScalarNode, event.value, event.implicit))
        return str(event.ctag)

    def _scalar(self, event: Any) -> Any:  # noqa: ANN401 -- ruamel's event, any scalar
        look = event.value, event.implicit, str(event.ctag)
        if look not in self._scalars:
            tag = self._tag(event)
            try:
                self._scalars[look] = _value(tag, event.value)
            except NotImplementedError as error:
                raise _refused(event, _foreign(tag, event.value)) from error
            except (ValueError, KeyError, InvalidOperation) as error:
                text = f"'{cut(event.value)}' is not a value that is understood here"
                raise _refused(event, text) from error
        return self._scalars[look]


def _value(tag: str, text: str) -> Any:  # noqa: ANN401 -- any scalar
    match tag.removeprefix(_TAG):
        case "str":
            return text
        case "null":
            return None
        case "bool":
            return _TRUTH[text.lower()]
        case "int":
            return _whole(text.replace("_", ""))
        case "float":
            return Decimal(re.sub(r"\.(?=inf|nan)", "", text.replace("_", "").lower()))
    raise NotImplementedError(tag)


def _whole(text: str) -> int:
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    return sign * int(digits, 0 if digits[:2].lower() in {"0x", "0o", "0b"} else 10)


def _foreign(tag: str, value: object) -> str:
    if tag == f"{_TAG}timestamp":
        return f"{shown(value)} reads as a date; write it in quotes"
    return f"the tag {cut(tag.replace(_TAG, '!!'))} is not understood; leave it out"


def _refused(event: Any, message: str) -> UnreadableError:  # noqa: ANN401 -- ruamel's event
    return UnreadableError(message, *_place(event.start_mark))
