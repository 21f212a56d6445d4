"""YAML 1.2: the text as plain values with exact decimals, and where each field stands.

ruamel.yaml parses and composes; the values are built here from its nodes, so that a number never
becomes a binary float, a date never a guess, and a key that is there twice never half a truth.
"""

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from planner.demand.formats import Parsed, UnreadableError
from planner.demand.words import FieldPath, cut, shown

MAX_DEPTH = 64
MAX_VALUES = 2_000_000
"""Values of one file, each alias counted in full: what grows beyond it is a bomb, not a demand."""

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
    root = _composed(text)
    builder = _Builder()
    try:
        value = None if root is None else builder.build(root, ())
    except RecursionError as error:
        raise UnreadableError("the values are nested too deeply for a demand") from error
    return Parsed(value, lambda: builder.places)


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
    """Return ruamel's error in words for who writes the file."""
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
    tag, text = str(node.tag), node.value
    try:
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
    except (ValueError, KeyError, InvalidOperation) as error:
        raise _refused(node, f"'{cut(text)}' is not a value that is understood here") from error
    raise _refused(node, _foreign(node))


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
