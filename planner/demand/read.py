"""Read a demand: from a file, standard input, or a plain mapping."""

from __future__ import annotations

import json
import re
import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Protocol

from planner.demand.fields import MAX_NAME, FieldPath, cut, shown
from planner.demand.model import Demand, Policy
from planner.demand.normalise import check, located, normalised
from planner.errors import DemandError, InputError
from planner.formats import MAX_BYTES
from planner.present.progress import working
from planner.shipped import resolve
from planner.text import visible

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


_STDIN = "<stdin>"
_PROJECT = "demand"
_PARSERS = {".json": parse_json, ".toml": parse_toml, ".yaml": parse_yaml, ".yml": parse_yaml}
_TOML_START = re.compile(r"[\w.\"'-]+\s*=|\[{1,2}[\w.\"' -]+\]{1,2}\s*(?:#|$)")
_JSON_START = re.compile(r"\{\s*[\"}]|\[")


class Readable(Protocol):
    """Anything with ``read``, of text or bytes."""

    def read(self, size: int, /) -> str | bytes:
        """Return at most ``size`` characters or bytes."""


def read_demand(source: str | Path | Readable | Mapping[str, Any] | Demand) -> Demand:
    """Read a demand: a file, or a mapping in the file's shape.

    Parameters
    ----------
    source : str | Path | file-like | Mapping | Demand
        A path: ``.yaml``, ``.yml``, ``.json`` and ``.toml`` are read as such; of any other
        suffix, the content decides. ``-`` is standard input; ``shipped:NAME`` is an example that
        travels with planner. A mapping says what a file would; a demand is returned as it is.

    Returns
    -------
    Demand
        Normalised: defaults merged, counts expanded. Its project is the file's, else the
        file's stem, else ``demand``.

    Raises
    ------
    DemandError
        With ``path`` and ``problems``: every field that is wrong, with line and column.
    InputError
        When there is no such shipped example.

    Examples
    --------
    >>> read_demand("shipped:minimal").volumes[0].name
    'corpus'
    >>> read_demand({"version": 1, "volumes": [{"name": "corpus", "size": "4 TB"}]}).project
    'demand'
    """
    if isinstance(source, Demand):
        return source
    if isinstance(source, Mapping):
        return demand_from(source)
    if not isinstance(source, (str, Path)) and not hasattr(source, "read"):
        raise InputError(
            f"a demand is needed, not {type(source).__name__}",
            hint="give a file's name, or a dict in the file's shape",
        )
    with working("Reading the demand"):
        return _demand(*_parsed(source))


def read_policy(source: str | Path | Readable) -> tuple[str, Policy]:
    """Read a file with `version`, `policy` and perhaps `project`: what holds for several demands.

    Returns
    -------
    tuple of (str, Policy)
        Its project, by default the file's stem, and the policy.

    Raises
    ------
    DemandError
        As `read_demand`; a policy file has no volumes, workloads or groups.
    """
    parsed, name, project = _parsed(source)
    if not isinstance(parsed.value, Mapping) or "policy" not in parsed.value:
        raise _failure(name, "a policy file has `version: 1` and `policy:`")
    if extra := parsed.value.keys() - {"version", "project", "policy"}:
        raise _failure(name, f"a policy file has no {shown(min(map(str, extra)))}")
    whole = {**parsed.value, "volumes": [{"name": "volume", "size_gb": 1}]}
    demand = _demand(Parsed(whole, parsed.places), name, project)
    return demand.project, demand.policy


def _parsed(source: str | Path | Readable) -> tuple[Parsed, str, str]:
    """Return what a source holds, its name, and the project where it names none."""
    if isinstance(source, (str, Path)) and str(source) != "-":
        path = resolve(str(source))
        name = visible(str(path))
        return _parse(_file_bytes(path, name), name, path.suffix), name, _safe(path.stem)
    if isinstance(source, (str, Path)):
        if sys.stdin is None:
            raise _failure(_STDIN, "standard input is closed; name a file")
        stream: Readable = getattr(sys.stdin, "buffer", sys.stdin)
        return _parse(_stream_bytes(stream, _STDIN), _STDIN), _STDIN, _PROJECT
    name = cut(str(getattr(source, "name", "<stream>")))
    return _parse(_stream_bytes(source, name), name), name, _PROJECT


def demand_from(document: Mapping[str, Any], *, project: str = _PROJECT) -> Demand:
    """Return the demand that a mapping in the file's shape describes.

    Parameters
    ----------
    document : Mapping
        What a demand file would say: ``version``, ``volumes`` and the rest.
    project : str
        Taken where the document names none.

    Raises
    ------
    DemandError
        With path ``demand`` and every field that is wrong.

    Examples
    --------
    >>> demand = demand_from({"version": 1, "volumes": [{"name": "corpus", "size": "4 TB"}]})
    >>> demand.volumes[0].size_gb
    4000
    """
    return _demand(Parsed(document, dict), "demand", _safe(project))


def _parse(content: bytes, name: str, suffix: str = "") -> Parsed:
    text = _decoded(content, name)
    parse = _PARSERS.get(suffix.lower()) or _sniffed(text)
    try:
        return parse(text)
    except UnreadableError as error:
        raise _failure(name, error.message, error.line, error.column) from error


def _demand(parsed: Parsed, name: str, project: str) -> Demand:
    document = parsed.value
    if not isinstance(document, Mapping):
        what = "nothing" if document is None else shown(document)
        message = f"a demand begins with `version: 1` and `volumes:`; here is {what}"
        raise _failure(name, message)
    values, problems = check(document)
    if values is None or problems:
        raise DemandError(name, located(problems, parsed.places()))
    return normalised(values, project)


def _failure(
    name: str, message: str, line: int | None = None, column: int | None = None
) -> DemandError:
    return DemandError(name, [(line, column, "", message)])


def _file_bytes(path: Path, name: str) -> bytes:
    try:
        with path.open("rb") as file:
            return _bounded(file.read(MAX_BYTES + 1), name)
    except FileNotFoundError as error:
        raise _failure(name, "there is no such file") from error
    except IsADirectoryError as error:
        raise _failure(name, "this is a directory; name the demand file in it") from error
    except PermissionError as error:
        raise _failure(name, "there is no permission to read it") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _failure(name, f"it cannot be read: {cut(str(reason))}") from error


def _stream_bytes(stream: Readable, name: str) -> bytes:
    try:
        content = stream.read(MAX_BYTES + 1)
        return _bounded(content.encode() if isinstance(content, str) else content, name)
    except UnicodeError as error:
        raise _failure(name, "this is not UTF-8 text") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _failure(name, f"it cannot be read: {cut(str(reason))}") from error


def _bounded(content: bytes, name: str) -> bytes:
    if len(content) > MAX_BYTES:
        raise _failure(name, f"it is larger than {MAX_BYTES // 2**20} MiB; no demand is that long")
    return content


def _decoded(content: bytes, name: str) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _failure(name, "this is not UTF-8 text") from error
    if "\0" in text:
        raise _failure(name, "this is binary, not text")
    if not text.strip():
        raise _failure(name, "it is empty; `planner init` writes one to start from")
    return text


def _sniffed(text: str) -> Callable[[str], Parsed]:
    """Return the parser that the first line asks for which is neither blank nor a comment."""
    lines = (line.strip() for line in text.splitlines())
    first = next((line for line in lines if line and not line.startswith("#")), "")
    if _TOML_START.match(first):
        return parse_toml
    return parse_json if _JSON_START.match(first) or first == "{" else parse_yaml


def _safe(stem: str) -> str:
    """Return a project's name made of a file's: anything else becomes a dash."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", stem, flags=re.ASCII)[:MAX_NAME] or _PROJECT
