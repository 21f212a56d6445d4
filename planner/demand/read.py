"""Read a demand: from a file, standard input, or a plain mapping."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from planner.demand.fields import MAX_NAME, cut, shown
from planner.demand.model import Demand, Policy
from planner.demand.normalise import check, located, normalised
from planner.demand.problems import plain_problems
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
