"""The plan file: its text and digest, its versions, and what is stored in it, field by field.

The digest is that of the stored bytes, so that a file from another version of planner stays
valid; fields that this version does not know are kept in the text and ignored.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field, PlainValidator

from planner.errors import PlanCorrupt, PlanVersionUnknown
from planner.formats import JsonError, batches, digest_of, parse
from planner.schema import json_value
from planner.solve.optimise import SolverRecord
from planner.solve.solution import Placement
from planner.solve.tenures import Tenure
from planner.text import visible
from planner.units import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from planner.solve.rentals import Gpu

FORMAT = "planner.plan/2"
EDITED = "make the plan again; a plan is not edited by hand"
"""What to do about a damaged plan."""
_MAKE = "`planner plan DEMAND --out FILE` makes a plan"
_HEAD = re.compile(rb'\A\{\n"format": "planner\.plan/2",\n"digest": "([0-9a-f]{64})"')
_NAMED = re.compile(rb'\A[\s\xef\xbb\xbf]*\{\s*"format"\s*:\s*"planner\.')


def is_plan(content: bytes) -> bool:
    """Return whether a file begins as planner's own files do, damaged or not: no demand does."""
    return _NAMED.match(content) is not None


class Written:
    """The text of a plan file, compressed: that of many volumes is fifteen times as long.

    Parameters
    ----------
    blocks : iterable of bytes
        The text; iterating gives it again.
    """

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._packed = [zlib.compress(block, 1) for block in blocks]

    def __iter__(self) -> Iterator[bytes]:
        """Yield the text in blocks, the head of the file in the first."""
        return map(zlib.decompress, self._packed)

    @property
    def text(self) -> str:
        """Return the text."""
        return b"".join(self).decode("ascii")

    @property
    def digest(self) -> str:
        """Return the digest that the text states."""
        head = _HEAD.match(next(iter(self)))
        if head is None:
            raise ValueError("not the text of a plan file")
        return head.group(1).decode("ascii")

    def state(self, digest: str) -> None:
        """Put the digest into the head, where there is none yet."""
        head = next(iter(self)).replace(b'"digest": ""', f'"digest": "{digest}"'.encode(), 1)
        self._packed[0] = zlib.compress(head, 1)


def write(document: Mapping[str, Any]) -> Written:
    """Return the text of a plan file: a line for each key, and for each record of a list.

    Parameters
    ----------
    document : mapping
        JSON values, without ``format`` and ``digest``; an iterator stands for a list of records,
        and is read as it is written.
    """
    digest = hashlib.sha256()

    def blocks() -> Iterator[bytes]:
        for batch in batches(_lines({"format": FORMAT, "digest": "", **document}, ""), _BATCH):
            block = "".join(batch).encode("ascii")
            digest.update(block)
            yield block
        digest.update(b"\n")
        yield b"\n"

    written = Written(blocks())
    written.state(digest.hexdigest())
    return written


_BATCH = 1000


_PLAIN = frozenset({str, int, type(None), dict})


def values_of(record: Placement | Gpu | Tenure | SolverRecord) -> dict[str, Any]:
    """Return the fields of a placement, GPU, tenure or solver's record as JSON values."""
    values = {
        name: value if value.__class__ in _PLAIN else json_value(value)
        for name, value in vars(record).items()
    }
    if isinstance(record, Placement) and record.action != "replace":
        del values["replaces"]  # as in files of versions that could not replace
    if isinstance(record, Placement) and record.disk_group is None:
        del values["disk_group"]  # as in files of versions that could not pack
    if isinstance(record, Tenure) and record.disk_group is None:
        del values["disk_group"], values["share_gb"]  # as in files without shared disks
    if isinstance(record, SolverRecord):
        del values["multipliers"]
        if record.multipliers:
            values["multipliers"] = [
                {name: json_value(value) for name, value in vars(price).items()}
                for price in record.multipliers
            ]
    return values


def _lines(value: Any, indent: str) -> Iterator[str]:  # noqa: ANN401 -- any JSON value
    """Yield a value with its records on lines of their own, each record on one line."""
    deeper = indent + "  "
    if isinstance(value, list) and any(isinstance(record, dict) for record in value):
        value = iter(value)
    if isinstance(value, Iterator):
        separator = f"[\n{indent}"
        for record in value:
            yield separator + json.dumps(record)
            separator = f",\n{indent}"
        yield "[]" if separator.startswith("[") else f"\n{indent[2:]}]"
    elif isinstance(value, dict) and any(
        isinstance(part, dict | list | Iterator) for part in value.values()
    ):
        for place, (key, part) in enumerate(value.items()):
            yield f"{',' if place else '{'}\n{indent}{json.dumps(key)}: "
            yield from _lines(part, deeper)
        yield f"\n{indent[2:]}}}"
    else:
        yield json.dumps(value)


class Records:
    """Records in a plan file, parsed whenever they are looped over: none is kept.

    Parameters
    ----------
    content : bytes
        The file.
    start, end : int
        Where the first record begins and the last one ends; each has a line.
    """

    def __init__(self, content: bytes, start: int, end: int) -> None:
        self._content, self._start, self._end = content, start, end

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield each record.

        Raises
        ------
        JsonError
            When one is not valid JSON.
        """
        at = self._start
        while at < self._end:
            stop = self._content.find(b"},\n", min(at + _BLOCK, self._end), self._end)
            stop = self._end if stop < 0 else stop + 1
            records = parse(b"[" + self._content[at:stop] + b"]")
            if {*map(type, records)} != {dict}:
                raise JsonError("a list that is not written as planner writes it")
            yield from records
            at = stop + 1


_BLOCK = 2**18
_LIST = re.compile(rb"\[\n( +)\{")
_STREAMED = {("placements",), ("schedule",), ("requests",), ("demand", "volumes")}
"""Lists of as many records as there are volumes."""


def _parsed(content: bytes) -> dict[str, Any]:
    """Return the document in a file, with `Records` for the lists that have one for each volume.

    What is left without the records is short. It is parsed as a whole, so that no text of the
    file can pass for a place where records were.
    """
    mark, lists, left, done = secrets.token_hex(16), list[Records](), list[bytes](), 0
    for match in _LIST.finditer(content):
        start, end = match.end() - 1, content.find(b"}\n", match.end()) + 1
        between = b"},\n" + match.group(1) + b"{"
        is_one_a_line = content.count(b"\n", start, end) == content.count(between, start, end)
        if start >= done and end > 0 and is_one_a_line:
            left += (content[done:start], f'"{mark} {len(lists)}"'.encode("ascii"))
            lists.append(Records(content, start, end))
            done = end

    def restored(value: Any, path: tuple[str, ...]) -> Any:  # noqa: ANN401 -- any JSON value
        if isinstance(value, dict):
            return {key: restored(part, (*path, key)) for key, part in value.items()}
        if isinstance(value, list) and value and str(value[0]).startswith(mark):
            records = lists[int(value[0].removeprefix(mark))]
            if len(value) > 1:
                raise JsonError("a list that is not written as planner writes it")
            return records if path in _STREAMED else [*records]
        return value

    document: dict[str, Any] = restored(parse(b"".join((*left, content[done:]))), ())
    return document


def read(content: bytes, shown: str) -> tuple[dict[str, Any], Written]:
    """Return the document in a plan file, and its text in the newest format.

    A file of format 2 keeps its text; format 1 has the same fields, and is written again. Of the
    lists that have as many records as there are volumes, the document has `Records`.

    Parameters
    ----------
    content : bytes
        What the file holds.
    shown : str
        The file's name, fit for a message.

    Raises
    ------
    PlanCorrupt
        When it is not a plan, or a byte of it changed.
    PlanVersionUnknown
        When it is written in a format that this version does not read.
    """
    is_whole = _is_whole(content)
    try:
        document = _parsed(content) if is_whole else parse(content)
    except JsonError as error:
        hint = EDITED if content.lstrip().startswith(b"{") else _MAKE
        raise PlanCorrupt(f"{shown}: not a plan: {error}", hint=hint) from error
    stated = document.get("format") if isinstance(document, dict) else None
    if stated == "planner.plan/1":
        is_whole = _is_whole_1(content)
    elif isinstance(stated, str) and stated.startswith("planner.plan/") and stated != FORMAT:
        message = f"{shown}: written as {visible(stated)[:40]}; this version reads {FORMAT}"
        raise PlanVersionUnknown(message, hint="use a newer planner, or plan again")
    elif stated != FORMAT:
        raise PlanCorrupt(f"{shown}: not a plan", hint=_MAKE)
    if not is_whole:
        raise PlanCorrupt(f"{shown}: changed after it was made", hint=EDITED)
    if stated == FORMAT:
        starts = range(0, len(content), _BLOCK)
        return document, Written(content[at : at + _BLOCK] for at in starts)
    values = json.loads(content)
    return values, write({k: v for k, v in values.items() if k not in {"format", "digest"}})


def _is_whole(content: bytes) -> bool:
    """Return whether the digest is that of all other bytes."""
    head = _HEAD.match(content)
    if head is None or not content.isascii():
        return False
    digest = hashlib.sha256(content[: head.start(1)])
    digest.update(memoryview(content)[head.end(1) :])
    return digest.hexdigest().encode("ascii") == head.group(1)


def _is_whole_1(content: bytes) -> bool:
    """Return whether a file of format 1 is as it was written: digest of values, indented text."""
    document = json.loads(content)
    values = {key: value for key, value in document.items() if key not in {"format", "digest"}}
    text = json.dumps(document, indent=2) + "\n"
    return text.encode("ascii") == content and digest_of(values) == document.get("digest")


def _amount(value: object) -> Decimal:
    """Return an exact amount from its plain text, the only way a plan writes it."""
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise ValueError("not an amount")
    return _amount_in(value)


_LONGEST = 200
"""Digits of an amount: beyond any sum of prices."""


@lru_cache(1024)
def _amount_in(text: str) -> Decimal:
    if not text.replace(".", "", 1).isdecimal():
        raise ValueError("not an amount")
    amount = Decimal(text)
    if plain(amount) != text:
        raise ValueError("not an amount in its plain form")
    return amount


def _signed(value: object) -> Decimal:
    """Return an exact amount that may be owed."""
    if isinstance(value, str) and value.startswith("-") and value != "-0":
        return -_amount(value.removeprefix("-"))
    return _amount(value)


def _utc(value: str) -> str:
    """Return a time as planner writes it: ISO 8601, UTC."""
    if not value.endswith("+00:00") or datetime.fromisoformat(value).isoformat() != value:
        raise ValueError("not a time in UTC")
    return value


Amount = Annotated[Decimal, PlainValidator(_amount)]
Utc = Annotated[str, AfterValidator(_utc)]
Signed = Annotated[Decimal, PlainValidator(_signed)]
Size = Annotated[int, Field(ge=0, le=10**12)]
