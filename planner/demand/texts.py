"""Texts and their values: JSON, YAML and TOML, with exact decimals and the place of every field."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import count
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
    value = _plain_yaml(text)
    if value is not None:
        return Parsed(value, lambda: _with_places(text)[1])
    value, places = _with_places(text)
    return Parsed(value, lambda: places)


def _plain_yaml(text: str) -> Any:  # noqa: ANN401 -- any value
    """Return the value of a YAML text, None where it has errors or more than most demands need.

    Nodes and places of a long file take many times its memory; most files need neither.
    """
    from ruamel.yaml import YAML  # noqa: PLC0415 -- JSON and TOML must not pay for it
    from ruamel.yaml.error import YAMLError, YAMLStreamError  # noqa: PLC0415 -- the same

    try:
        return _Plain(YAML(typ="safe", pure=True), text).value()
    except (YAMLError, YAMLStreamError, RecursionError, StopIteration, *_SLIPS, *_NO_VALUE):
        return None


class _Plain:
    """The value of a YAML text, built from its events."""

    def __init__(self, yaml: Any, text: str) -> None:  # noqa: ANN401 -- ruamel's
        self._resolver, self._events = yaml.resolver, yaml.parse(text)
        self._known: dict[tuple[str, bool], Any] = {}
        self._built = count(1)

    def value(self) -> Any:  # noqa: ANN401 -- any value
        """Return the value of a stream that is one document."""
        _, document = next(self._events), next(self._events)
        value = self._of(next(self._events), 1)
        end = [event.crepr for event in self._events]
        if document.version or document.tags or end != ["-DOC", "-STR"]:
            raise _SpecialError
        return value

    def _of(self, event: Any, depth: int) -> Any:  # noqa: ANN401 -- ruamel's event, any value
        if depth > MAX_DEPTH or next(self._built) > MAX_VALUES:
            raise _SpecialError
        if event.anchor is not None or event.ctag is not None:
            raise _SpecialError
        if event.crepr == "=VAL":
            return self._scalar(event)
        if event.crepr == "+SEQ":
            items: list[Any] = []
            while (item := next(self._events)).crepr != "-SEQ":
                items.append(self._of(item, depth + 1))
            return items
        result: dict[str, Any] = {}
        while (named := next(self._events)).crepr != "-MAP":
            key = self._of(named, MAX_DEPTH)
            if not isinstance(key, str) or key in result:
                raise _SpecialError
            result[key] = self._of(next(self._events), depth + 1)
        return result

    def _scalar(self, event: Any) -> Any:  # noqa: ANN401 -- ruamel's event, any value
        from ruamel.yaml.nodes import ScalarNode  # noqa: PLC0415 -- as in `_plain_yaml`

        look = event.value, event.implicit[0]
        if look not in self._known:
            tag = self._resolver.resolve(ScalarNode, event.value, event.implicit)
            self._known[look] = _value(str(tag), event.value)
        return self._known[look]


class _SpecialError(Exception):
    """A YAML text has an anchor, a tag, or a key that is not as it should be."""


_NO_VALUE = (_SpecialError, InvalidOperation)


def _with_places(text: str) -> tuple[Any, Places]:
    """Return the value of a YAML text and where its fields stand, or what is wrong with it."""
    root = _composed(text)
    builder = _Builder()
    try:
        value = None if root is None else builder.build(root, ())
    except RecursionError as error:
        raise UnreadableError("the values are nested too deeply for a demand") from error
    return value, builder.places


def _composed(text: str) -> Any:  # noqa: ANN401 -- a ruamel node, or None
    from ruamel.yaml import YAML  # noqa: PLC0415 -- JSON and TOML must not pay for it
    from ruamel.yaml.error import YAMLError, YAMLStreamError  # noqa: PLC0415 -- the same

    yaml = YAML(typ="safe", pure=True)
    yaml.max_depth = MAX_DEPTH
    yaml.composer.warn_double_anchors = False
    try:
        return yaml.compose(text)
    except (YAMLError, YAMLStreamError) as error:
        raise _translated(error) from error
    except RecursionError as error:
        raise UnreadableError("the values are nested too deeply for a demand") from error
    except _SLIPS as error:
        raise UnreadableError("not valid YAML") from error


def _translated(error: Exception) -> UnreadableError:
    """Return ruamel's error as a message for whoever writes the file."""
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
    if "another document" in problem:
        message = "a second document begins here; a demand is one YAML document"
    elif "maximum depth" in problem:
        message = "the values are nested too deeply for a demand"
    elif "'\\t'" in problem or "tab" in problem.split():
        message = "a tab cannot indent YAML; use spaces"
    else:
        message = f"not valid YAML: {cut(problem)}"
    mark = getattr(error, "problem_mark", None)
    return UnreadableError(message, *(_place(mark) if mark else (None, None)))


def _place(mark: Any) -> tuple[int, int]:  # noqa: ANN401 -- ruamel's mark
    return mark.line + 1, mark.column + 1


class _Builder:
    """Values and places of one tree of nodes."""

    def __init__(self) -> None:
        self.places: dict[FieldPath, tuple[int, int]] = {}
        self._open: set[int] = set()
        self._built = 0

    def build(self, node: Any, path: FieldPath) -> Any:  # noqa: ANN401 -- ruamel's node, any value
        """Return a node's value and note where it stands."""
        self.places.setdefault(path, _place(node.start_mark))
        self._built += 1
        if self._built > MAX_VALUES:
            raise _refused(node, f"more than {MAX_VALUES:,} values, counting every alias in full")
        if node.id == "scalar":
            return _scalar(node)
        if id(node) in self._open:
            raise _refused(node, "this contains itself, through an alias")
        if str(node.tag) not in {f"{_TAG}map", f"{_TAG}seq"}:
            raise _refused(node, _foreign(node))
        self._open.add(id(node))
        value: Any
        if node.id == "mapping":
            value = {key: self.build(item, (*path, key)) for key, item in self._items(node, path)}
        else:
            value = [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        self._open.remove(id(node))
        return value

    def _items(self, node: Any, path: FieldPath) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 -- the same
        seen: set[str] = set()
        for key_node, item in node.value:
            key = _key(key_node)
            if key in seen:
                raise _refused(key_node, f"the key '{cut(key)}' stands here a second time")
            seen.add(key)
            self.places[(*path, key)] = _place(key_node.start_mark)
            yield key, item


def _key(node: Any) -> str:  # noqa: ANN401 -- ruamel's node
    if node.id != "scalar":
        raise _refused(node, "a key must be text, not a list or a mapping")
    if str(node.tag) == f"{_TAG}merge":
        raise _refused(node, "merge keys (<<) are not YAML 1.2; use `defaults` for what is shared")
    if str(node.tag) != f"{_TAG}str":
        raise _refused(node, f"a key must be text; write {cut(node.value)!r} in quotes")
    return str(node.value)


def _scalar(node: Any) -> Any:  # noqa: ANN401 -- ruamel's node, any scalar
    try:
        return _value(str(node.tag), node.value)
    except (ValueError, KeyError, InvalidOperation) as error:
        text = f"'{cut(node.value)}' is not a value that is understood here"
        raise _refused(node, text) from error
    except _SpecialError as error:
        raise _refused(node, _foreign(node)) from error


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
    raise _SpecialError


def _whole(text: str) -> int:
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    return sign * int(digits, 0 if digits[:2].lower() in {"0x", "0o", "0b"} else 10)


def _foreign(node: Any) -> str:  # noqa: ANN401 -- ruamel's node
    tag = str(node.tag)
    if tag == f"{_TAG}timestamp":
        return f"{shown(node.value)} reads as a date; write it in quotes"
    return f"the tag {cut(tag.replace(_TAG, '!!'))} is not understood; leave it out"


def _refused(node: Any, message: str) -> UnreadableError:  # noqa: ANN401 -- ruamel's node
    return UnreadableError(message, *_place(node.start_mark))
