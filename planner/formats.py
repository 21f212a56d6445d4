"""Files and exact JSON: nothing rounded, nothing half written, nothing trusted."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.errors import InputError
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping


class JsonError(ValueError):
    """A text that is not valid JSON; the message contains none of it."""


def parse(body: bytes) -> Any:  # noqa: ANN401 -- whatever JSON says
    """Return the JSON value of an answer or a file.

    Numbers with a point or exponent become exact decimals; NaN, the infinities and what no
    decimal can hold become special decimals, so that the row they stand in can be refused rather
    than the whole listing. Whole numbers of any length are read.

    Raises
    ------
    JsonError
        When the answer is not UTF-8, not JSON, nested too deeply, or names a key twice in
        one object (two readers would then see two different offers).
    """
    problem = "not JSON"
    try:
        return json.loads(
            body.decode("utf-8-sig"),
            parse_float=_decimal,
            parse_int=_integer,
            parse_constant=Decimal,
            object_pairs_hook=_object,
        )
    except UnicodeDecodeError:
        problem = "not UTF-8"
    except JsonError as error:
        problem = str(error)
    except RecursionError:
        problem = "nested too deeply"
    except json.JSONDecodeError as error:
        problem = f"not JSON (at character {error.pos})"
    # Raised outside the handlers: a decoding error carries the answer, and whatever it echoes.
    raise JsonError(problem)


def identity(row: Any) -> str:  # noqa: ANN401 -- a row is whatever was listed
    """Return canonical text of a whole row: equal for equal values, however they were written.

    >>> identity({"b": Decimal("0.10"), "a": 1}) == identity({"a": 1, "b": Decimal("1E-1")})
    True

    Raises
    ------
    JsonError
        When the row is nested too deeply.
    """
    try:
        return json.dumps(row, sort_keys=True, separators=(",", ":"), default=_value_text)
    except RecursionError:
        pass
    raise JsonError("nested too deeply")


def digest_of(value: Any) -> str:  # noqa: ANN401 -- JSON values
    """Return the SHA-256 of JSON values in canonical form, in hex.

    What can be looped over stands for the list of its items, which is never made.
    """
    return _digest(_canonical(value))


def digest_of_list(values: Iterable[Any]) -> str:
    """Return `digest_of` the list of some values."""
    pieces = (piece for value in values for piece in chain([","], _canonical(value)))
    return _digest(chain(["["], islice(pieces, 1, None), ["]"]))


def _digest(pieces: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece.encode("ascii"))
    return digest.hexdigest()


_compact = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
_BATCH = 1000
"""Records that are written together: calls cost time, texts cost memory."""


def _canonical(value: Any) -> Iterator[str]:  # noqa: ANN401 -- JSON values
    """Yield canonical JSON in pieces."""
    if isinstance(value, dict):
        for place, key in enumerate(sorted(value)):
            yield f"{',' if place else '{'}{_compact(key)}:"
            yield from _canonical(value[key])
        yield "}" if value else "{}"
    elif isinstance(value, Iterable) and not isinstance(value, str):
        yield "["
        separator = ""
        for batch in batches(value, _BATCH):
            yield separator + _compact(batch)[1:-1]
            separator = ","
        yield "]"
    else:
        yield _compact(value)


@dataclass(frozen=True)
class Stream:
    """A list of JSON values that are made whenever it is looped over, and never kept."""

    make: Callable[[], Iterator[Any]]

    def __iter__(self) -> Iterator[Any]:
        """Make the values."""
        return self.make()


def whole(value: Any) -> Any:  # noqa: ANN401 -- JSON values
    """Return JSON values with a list for each stream in their mappings."""
    if isinstance(value, dict):
        return {name: whole(part) for name, part in value.items()}
    return [*value] if isinstance(value, Stream) else value


def batches(values: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Yield values in lists of so many, the last with what is left."""
    left = iter(values)
    while batch := list(islice(left, size)):
        yield batch


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise JsonError("JSON with the same key twice in one object")
    return result


def _integer(text: str) -> int | Decimal:
    """Return a whole number; Python refuses to read very long ones as int."""
    try:
        return int(text)
    except ValueError:
        return Decimal(text)


def _decimal(text: str) -> Decimal:
    """Return an exact decimal, NaN where the exponent is beyond any decimal."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("NaN")


def _value_text(value: Decimal) -> dict[str, str]:
    """Return a decimal by value; written out, not normalised, which would round long ones."""
    if not value.is_finite():
        return {"decimal": str(value)}
    sign, digits, exponent = value.as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    kept = text.rstrip("0")
    if not kept:
        return {"decimal": "0"}
    return {"decimal": f"{'-' * sign}{kept}e{int(exponent) + len(text) - len(kept)}"}


def state_home(environ: Mapping[str, str], home: Path) -> Path:
    """Return the default state directory (under the XDG state home)."""
    base = environ.get("XDG_STATE_HOME", "")
    return (Path(base) if base.startswith("/") else home / ".local" / "state") / "planner"


def default_state() -> Path:
    """Return the state directory of this user."""
    return state_home(os.environ, Path(os.path.expanduser("~")))  # noqa: PTH111 -- no home is no error


MAX_BYTES = 16 * 2**20
"""The largest demand file or snapshot that is read."""


def read_bytes(path: str | Path, *, what: str, limit: int = MAX_BYTES) -> bytes:
    """Return the content of a file, never reading past the limit.

    Raises
    ------
    InputError
        When the file is missing, a directory, unreadable, or larger than the limit.
    """
    shown = visible(str(path))
    try:
        with Path(path).open("rb") as file:
            content = file.read(limit + 1)
    except FileNotFoundError as error:
        raise InputError(f"{shown}: there is no such {what}", hint="check the path") from error
    except IsADirectoryError as error:
        raise InputError(f"{shown}: is a directory, not a {what}", hint="name a file") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable path"
        raise InputError(f"{shown}: cannot be read: {reason}", hint="check the path") from error
    if len(content) > limit:
        message = f"{shown}: is larger than {limit // 2**20} MiB, which no {what} is"
        raise InputError(message, hint="check that this is the right file")
    return content


def write_atomic(path: str | Path, content: bytes | Iterable[bytes]) -> None:
    """Replace a file so that a reader sees the old or the new content and nothing between.

    A link stays a link. What is no regular file, such as ``/dev/stdout``, is written to directly.

    Raises
    ------
    InputError
        When the place cannot be written.
    """
    try:
        with contextlib.suppress(FileNotFoundError):
            Path(path).stat()  # from Python 3.13 on, resolve() alone passes a loop of links
        target = Path(path).resolve()
        if target.exists() and not target.is_file():
            with target.open("wb") as file:
                file.writelines([content] if isinstance(content, bytes) else content)
        else:
            _replace(target, content)
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable path"
        message = f"{visible(str(path))}: cannot be written: {reason}"
        raise InputError(message, hint="name a writable place") from error


def _replace(target: Path, content: bytes | Iterable[bytes]) -> None:
    temporary = target.with_name(f".planner-{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            file.writelines([content] if isinstance(content, bytes) else content)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o777)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
