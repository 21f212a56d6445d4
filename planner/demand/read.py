"""Read a demand from a file, standard input or a mapping: parse, check, merge, expand."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from pydantic import ValidationError

from planner.demand.fields import MAX_NAME, FieldPath, cut, dotted, shown
from planner.demand.model import Demand, Group, Policy, Volume, Workload
from planner.demand.problems import Problem, invalid, plain_problems
from planner.demand.rules import VolumeNames, entries, named, numbered, section, whole_problems
from planner.demand.schema import DemandInput
from planner.demand.texts import Parsed, UnreadableError, parse_json, parse_toml, parse_yaml
from planner.errors import DemandError, InputError
from planner.formats import MAX_BYTES, read_bytes
from planner.present.progress import working
from planner.shipped import resolve
from planner.text import visible

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


class DemandProblem(NamedTuple):
    """What is wrong at a place of a demand file; line and column are 1-based, None is unknown."""

    file: str
    line: int | None
    column: int | None
    field: str
    message: str

    @property
    def place(self) -> str:
        """Return file, line and column as editors and terminals link them."""
        parts = (self.file, self.line, self.column)
        return ":".join(str(part) for part in parts if part is not None)


def validate(*sources: str | Path | Readable) -> list[DemandProblem]:
    r"""Return every problem of demand files; none is an empty list. Reads no market.

    Parameters
    ----------
    *sources : str | Path | file-like
        Demand files, as of `planner.read_demand`.

    Examples
    --------
    >>> import io
    >>> validate("shipped:minimal")
    []
    >>> validate(io.StringIO("version: 1\nvolumes: [{name: corpus, size: 4}]"))[0].field
    'volumes[0].size'
    """
    problems: list[DemandProblem] = []
    for source in sources:
        try:
            read_demand(source)
        except DemandError as error:
            problems += (DemandProblem(error.path, *problem) for problem in error.problems)
    return problems


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
        what = "empty" if document is None else shown(document)
        message = f"a demand begins with `version: 1` and `volumes:`; this is {what}"
        raise _failure(name, message)
    values, problems = check(document)
    if values is not None and not problems:
        try:
            return normalised(values, project)
        except ValidationError as error:
            problems = [*plain_problems(error, Demand)]
    raise DemandError(name, located(problems, parsed.places()))


def _failure(
    name: str, message: str, line: int | None = None, column: int | None = None
) -> DemandError:
    return DemandError(name, [(line, column, "", message)])


def _file_bytes(path: Path, name: str) -> bytes:
    try:
        return read_bytes(path, what="demand file")
    except InputError as error:
        problem = str(error).removeprefix(f"{name}: ")
        raise _failure(name, f"{problem}; {error.hint}") from error


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


_SIZES = ("size", "size_gb")
_MERGED = ("exclude", "tags")


def check(document: Mapping[str, Any]) -> tuple[dict[str, Any] | None, list[Problem]]:
    """Return what the file sets, and everything that is wrong with the document.

    Parameters
    ----------
    document : Mapping
        As the file says it, not yet validated; whatever it holds, this does not raise.

    Returns
    -------
    values : dict | None
        Validated, nulls included; None where a single field is wrong by itself.
    problems : list of (path, message)
        Empty for a sound document.
    """
    values: dict[str, Any] | None = None
    problems: list[Problem] = []
    try:
        values = DemandInput.model_validate(dict(document)).model_dump(exclude_unset=True)
    except ValidationError as error:
        problems += plain_problems(error, DemandInput)
    problems += _sizes(section(document, "defaults"), entries(document, "volumes"))
    return values, [*named(problems, document), *whole_problems(document)]


def normalised(values: Mapping[str, Any], project: str) -> Demand:
    """Return the demand of validated values in which `check` finds nothing wrong.

    The project is taken where the file names none.

    Raises
    ------
    ValidationError
        What only shows once sizes are read and merged, at its place in the file.
    """
    defaults = values.get("defaults") or {}
    expanded = [
        (entry["name"], list(_expanded(merged(defaults, entry)))) for entry in values["volumes"]
    ]
    names = VolumeNames((name, [each.name for each in volumes]) for name, volumes in expanded)
    try:
        return Demand(
            project=values.get("project") or project,
            volumes=tuple(volume for _, volumes in expanded for volume in volumes),
            policy=Policy(**_without_null(values.get("policy") or {})),
            workloads=tuple(
                Workload(**{**_without_null(each), "mounts": names.ordered(each["mounts"])})
                for each in values.get("workloads") or ()
            ),
            groups=tuple(
                Group(**{**_without_null(each), "volumes": names.ordered(each["volumes"])})
                for each in values.get("groups") or ()
            ),
        )
    except ValidationError as error:
        entry_of = [index for index, (_, volumes) in enumerate(expanded) for _ in volumes]
        wrong = {
            (part, entry_of[int(volume)], *rest): message
            for (part, volume, *rest), message in plain_problems(error, Demand)
        }
        raise invalid("Demand", wrong.items()) from error


def merged(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return a volume's values over the defaults.

    Scalars and lists are replaced, `exclude` and `tags` merge by key, a size in either form
    replaces a size in either form, and an explicit null lifts the default.

    >>> merged({"size": 5, "tags": {"a": "1"}}, {"size_gb": 7, "tags": {"b": "2"}})
    {'tags': {'a': '1', 'b': '2'}, 'size_gb': 7}
    """
    sized = any(own.get(key) is not None for key in _SIZES)
    base = {key: value for key, value in defaults.items() if not (sized and key in _SIZES)}
    result = {**base, **own}
    for key in _MERGED:
        if base.get(key) is not None and own.get(key) is not None:
            result[key] = {**base[key], **own[key]}
    return result


def _without_null(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_null(value) if isinstance(value, Mapping) else value
        for key, value in values.items()
        if value is not None
    }


def _expanded(values: dict[str, Any]) -> Iterator[Volume]:
    """Yield the volumes of one entry; they differ in nothing but their names."""
    known = _without_null(values)
    known["size_gb"] = known[next(key for key in _SIZES if key in known)]
    known["headroom_percent"] = known.get("headroom", 0)
    names = numbered(known["name"], known.get("count"))
    fields = {key: known[key] for key in Volume.model_fields if key in known}
    volume = Volume(**{**fields, "name": names[0]})
    yield volume
    for name in names[1:]:
        yield volume.model_copy(update={"name": name})


def _sizes(
    defaults: Mapping[str, Any], volumes: list[tuple[int, Mapping[str, Any]]]
) -> Iterator[Problem]:
    """Yield each place without exactly one of size and size_gb."""
    twice = "write either `size` or `size_gb`, not both"
    if all(defaults.get(key) is not None for key in _SIZES):
        yield ("defaults", "size_gb"), twice
    for index, entry in volumes:
        values = merged(
            {key: defaults.get(key) for key in _SIZES},
            {key: entry[key] for key in _SIZES if key in entry},
        )
        sizes = [key for key in _SIZES if values.get(key) is not None]
        if not sizes:
            yield ("volumes", index, "size"), "missing; write `size: 800 GB` or `size_gb: 800`"
        elif all(entry.get(key) is not None for key in _SIZES):
            yield ("volumes", index, "size_gb"), twice


def located(
    problems: list[Problem], places: Mapping[FieldPath, tuple[int, int]]
) -> list[tuple[int | None, int | None, str, str]]:
    """Return problems as rows of (line, column, field, message), in the order of the file.

    A field that is not there is placed at the nearest thing around it.
    """
    rows: list[tuple[int | None, int | None, str, str]] = []
    for path, message in problems:
        around = (path[:length] for length in range(len(path), -1, -1))
        place = next((places[each] for each in around if each in places), (None, None))
        rows.append((*place, dotted(path), message))
    return sorted(rows, key=lambda row: (row[0] or 0, row[1] or 0))
