"""The plan file: its text and digest, its versions, and what is stored in it, field by field.

The digest is that of the stored bytes, so that a file from another version of planner stays
valid; fields that this version does not know are kept in the text and ignored.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
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


def write(document: Mapping[str, Any]) -> str:
    """Return the text of a plan file: a line for each key, and for each record of a list.

    Parameters
    ----------
    document : mapping
        JSON values, without ``format`` and ``digest``; an iterator stands for a list of records,
        and is read as it is written.
    """
    stated = {"format": FORMAT, "digest": "", **document}
    pieces, digest = list[str](), hashlib.sha256()
    for batch in batches(_lines(stated, ""), _BATCH):
        pieces.append("".join(batch))
        digest.update(pieces[-1].encode("ascii"))
    digest.update(b"\n")
    pieces[0] = pieces[0].replace('"digest": ""', f'"digest": "{digest.hexdigest()}"', 1)
    return "".join((*pieces, "\n"))


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


def stated_digest(text: str) -> str:
    """Return the digest that the text of a plan file states."""
    head = _HEAD.match(text[:200].encode("ascii"))
    if head is None:
        raise ValueError("not the text of a plan file")
    return head.group(1).decode("ascii")


def read(content: bytes, shown: str) -> tuple[dict[str, Any], str]:
    """Return the document in a plan file, and its text in the newest format.

    A file of format 2 keeps its text; format 1 has the same fields, and is written again.

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
    try:
        document = parse(content)
    except JsonError as error:
        hint = EDITED if content.lstrip().startswith(b"{") else _MAKE
        raise PlanCorrupt(f"{shown}: not a plan: {error}", hint=hint) from error
    stated = document.get("format") if isinstance(document, dict) else None
    if stated == FORMAT:
        is_whole = _is_whole(content)
    elif stated == "planner.plan/1":
        is_whole = _is_whole_1(content)
    elif isinstance(stated, str) and stated.startswith("planner.plan/"):
        message = f"{shown}: written as {visible(stated)[:40]}; this version reads {FORMAT}"
        raise PlanVersionUnknown(message, hint="use a newer planner, or plan again")
    else:
        raise PlanCorrupt(f"{shown}: not a plan", hint=_MAKE)
    if not is_whole:
        raise PlanCorrupt(f"{shown}: changed after it was made", hint=EDITED)
    if stated == FORMAT:
        return document, content.decode("ascii")
    values = json.loads(content)
    return values, write({k: v for k, v in values.items() if k not in {"format", "digest"}})


def _is_whole(content: bytes) -> bool:
    """Return whether the digest is that of all other bytes."""
    head = _HEAD.match(content)
    if head is None:
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
    if not isinstance(value, str) or not value.replace(".", "", 1).isdecimal() or len(value) > 200:  # noqa: PLR2004 -- beyond any sum of prices
        raise ValueError("not an amount")
    amount = Decimal(value)
    if plain(amount) != value:
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
