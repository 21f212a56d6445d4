"""The kinds of value a demand may hold, each with its bounds and its place in the JSON Schema.

What a plain type cannot say (units, exact money, ambiguous percentages) is read by a function
that raises ``ValueError`` with a sentence saying what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, time
from decimal import Decimal
from typing import Annotated, Any, Literal, NoReturn

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
)

from planner.text import visible
from planner.units import (
    MAX_GB,
    MAX_PRICE_DIGITS,
    SIZE_PATTERN,
    parse_percent,
    parse_size_gb,
    plain,
)

FieldPath = tuple[str | int, ...]
"""Keys and indices that lead to a field, from the top of the document."""

SHOWN = 60
"""Characters of a value that a message repeats."""

_BITS = 200
_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (Mapping, "a mapping"),
    ((list, tuple, set, frozenset), "a list"),
    ((date, time), "a date or time"),
)
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def cut(text: str) -> str:
    """Return text made safe to show, and cut where it is long."""
    shown = visible(text[: SHOWN + 1])
    return shown if len(shown) <= SHOWN else shown[: SHOWN - 1] + "…"


def shown(value: object) -> str:
    """Return how a message names a value.

    >>> shown("4 TB"), shown(True), shown([1])
    ("'4 TB'", 'true', 'a list')
    """
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, str):
        return f"'{cut(value)}'"
    if isinstance(value, (int, float, Decimal)):
        long = isinstance(value, int) and value.bit_length() > _BITS
        return "a number with a great many digits" if long else cut(str(value))
    return next(
        (name for kind, name in _KINDS if isinstance(value, kind)), "a value of another kind"
    )


def dotted(path: FieldPath) -> str:
    """Return a field's path as people read it.

    >>> dotted(("volumes", 2, "replicas"))
    'volumes[2].replicas'
    """
    parts: list[str] = []
    for part in path:
        if isinstance(part, int):
            parts.append(f"[{part}]")
        else:
            key = part if _PLAIN_KEY.fullmatch(part) and len(part) <= SHOWN else f"'{cut(part)}'"
            parts.append(f".{key}" if parts else key)
    return "".join(parts)


MAX_REPLICAS = 100
MAX_COUNT = 10_000
MAX_DISKS = 1_000
MAX_HEADROOM_PERCENT = 1_000
MAX_VOLUMES = 100_000
MAX_GROUPS = 10_000
MAX_WORKLOADS = 10_000
MAX_MEMBERS = 1_000_000
"""Volumes that all groups and workloads of a file may name together, counts expanded."""
MAX_GPUS = 10_000
MAX_CAP = 1_000_000
MAX_SHARE_DECIMALS = 12
MAX_NAME = 64
HOURS_OF_MONTH = (672, 744)

NAME = re.compile(rf"[A-Za-z0-9._-]{{1,{MAX_NAME}}}", re.ASCII)
_AMOUNT = re.compile(r"\d{1,60}(\.\d{1,60})?([eE][+-]?\d{1,3})?", re.ASCII)
_UNITLESS = re.compile(r"\s*\d+\s*", re.ASCII)


class Value(BaseModel):
    """A model that refuses keys it does not know, and cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


def _refuse(value: object, expected: str) -> NoReturn:
    raise ValueError(f"{expected} was expected, not {shown(value)}")


def _exact(value: object, expected: str) -> Decimal:
    """Return the number a value stands for, without passing through a binary float."""
    if isinstance(value, str) and _AMOUNT.fullmatch(value.strip()):
        number = Decimal(value.strip())
    elif isinstance(value, float):
        number = Decimal(float.__repr__(value))
    elif isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        number = Decimal(value)
    else:
        _refuse(value, expected)
    if not number.is_finite():
        _refuse(value, expected)
    exponent = number.as_tuple().exponent
    after = max(0, -exponent) if isinstance(exponent, int) else 0
    if max(0, number.adjusted() + 1) + after > MAX_PRICE_DIGITS:
        raise ValueError(f"{shown(value)} has more than {MAX_PRICE_DIGITS} digits")
    return number


def _budget(value: object) -> Decimal:
    amount = _exact(value, "an amount in USD, such as 900 or 899.50,")
    if amount < 0:
        raise ValueError(f"a budget is at least 0, not {shown(value)}")
    return amount


def _price(value: object) -> Decimal:
    amount = _exact(value, "a price in USD per GB and hour, such as 0.00012,")
    if amount <= 0:
        raise ValueError(f"a price is more than 0, not {shown(value)}")
    return amount


def _size(value: object) -> int:
    """Return whole GB; a number without its unit is refused."""
    if isinstance(value, str) and not _UNITLESS.fullmatch(value):
        if len(value) > SHOWN:
            _refuse(value, "a size such as '800 GB' or '4 TB'")
        size_gb = parse_size_gb(value)
        if size_gb > MAX_GB:
            raise ValueError(f"{shown(value)} is more than {MAX_GB} GB, the largest size planned")
        return size_gb
    if isinstance(value, (int, float, Decimal, str)) and not isinstance(value, bool):
        number = value.strip() if isinstance(value, str) else shown(value)
        if len(number) <= SHOWN and re.fullmatch(r"\d+(\.\d+)?", number, re.ASCII):
            whole = "" if "." in number else f", or size_gb: {number}"
            raise ValueError(f"{number} has no unit; write '{number} GB'{whole}")
    _refuse(value, "a size such as '800 GB' or '4 TB'")


def _in_range(percent: Decimal, value: object) -> Decimal:
    if not 0 <= percent <= MAX_HEADROOM_PERCENT:
        raise ValueError(f"headroom is 0% to {MAX_HEADROOM_PERCENT}%, not {shown(value)}")
    return percent


def _headroom(value: object) -> Decimal:
    """Return per cent as a person writes it: 25, '25%', and never 0.25."""
    expected = "a percentage such as '25%' or 25"
    if isinstance(value, str):
        if len(value) > SHOWN:
            _refuse(value, expected)
        return _in_range(parse_percent(value), value)
    number = _exact(value, expected)
    return _in_range(number if number < 0 else parse_percent(plain(number)), value)


def _headroom_percent(value: object) -> Decimal:
    """Return per cent as the normalised demand has it: any number in range."""
    return _in_range(_exact(value, "a percentage"), value)


def _share(value: object) -> Decimal:
    """Return a part of the whole: 0.7 and '70%' are the same, and 70 is neither."""
    expected = "a share such as '70%' or 0.7"
    text = value.strip() if isinstance(value, str) else ""
    percent = text.endswith("%")
    if percent and not _AMOUNT.fullmatch(text[:-1].strip()):
        _refuse(value, expected)
    number = _exact(text[:-1] if percent else value, expected)
    whole = 100 if percent else 1
    if number <= 0:
        raise ValueError(f"a share is more than 0, not {shown(value)}")
    if whole < number <= 100:  # noqa: PLR2004 -- per cent
        fraction = plain(number.scaleb(-2))
        raise ValueError(f"{shown(value)} has no sign; write '{plain(number)}%' or {fraction}")
    if number > whole:
        raise ValueError(f"a share is at most 100%, not {shown(value)}")
    if len(plain(number).partition(".")[2]) > MAX_SHARE_DECIMALS - 2 * percent:
        raise ValueError(
            f"{shown(value)} has more than {MAX_SHARE_DECIMALS} decimals as a part of 1"
        )
    return number.scaleb(-2) if percent else number


def _encodable(text: str) -> str:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(f"{shown(text)} is not valid Unicode text")
    return text


def _version(value: object) -> Literal[1]:
    if type(value) is int and value == 1:
        return 1
    raise ValueError(f"this planner reads version 1; write `version: 1`, not {shown(value)}")


def _canonical(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(values)))


def _once(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _by_key(values: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(values.items()))


_NUMBER_OR_TEXT = [{"type": "number"}, {"type": "string"}]
_AS_TEXT = PlainSerializer(plain, return_type=str, when_used="json")

Version = Annotated[Literal[1], PlainValidator(_version), WithJsonSchema({"const": 1})]
Name = Annotated[str, Field(strict=True, pattern=rf"^[A-Za-z0-9._-]{{1,{MAX_NAME}}}$")]
Text = Annotated[str, Field(strict=True, min_length=1, max_length=200), AfterValidator(_encodable)]
Label = Annotated[str, Field(strict=True, max_length=200), AfterValidator(_encodable)]
WholeGb = Annotated[int, Field(strict=True, ge=1, le=MAX_GB)]
Size = Annotated[
    int,
    PlainValidator(_size),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": SIZE_PATTERN,
            "examples": ["800 GB", "4 TB", "500 GiB", "6,000 GB"],
        }
    ),
]
Headroom = Annotated[
    Decimal,
    PlainValidator(_headroom),
    WithJsonSchema({"anyOf": _NUMBER_OR_TEXT, "examples": ["25%", 25]}),
]
HeadroomPercent = Annotated[Decimal, PlainValidator(_headroom_percent), _AS_TEXT]
Budget = Annotated[
    Decimal,
    PlainValidator(_budget),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}]}),
    _AS_TEXT,
]
Price = Annotated[
    Decimal,
    PlainValidator(_price),
    WithJsonSchema({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string"}]}),
    _AS_TEXT,
]
Replicas = Annotated[int, Field(strict=True, ge=1, le=MAX_REPLICAS)]
Count = Annotated[int, Field(strict=True, ge=1, le=MAX_COUNT)]
Disks = Annotated[int, Field(strict=True, ge=1, le=MAX_DISKS)]
Hours = Annotated[int, Field(strict=True, ge=HOURS_OF_MONTH[0], le=HOURS_OF_MONTH[1])]
JobHours = Annotated[int, Field(strict=True, ge=1, le=HOURS_OF_MONTH[1])]
GpuCount = Annotated[int, Field(strict=True, ge=1, le=MAX_GPUS)]
Cap = Annotated[int, Field(strict=True, ge=1, le=MAX_CAP)]
Share = Annotated[
    Decimal,
    PlainValidator(_share),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
                {"type": "string"},
            ],
            "examples": ["70%", 0.7],
        }
    ),
    _AS_TEXT,
]
Switch = Annotated[bool, Field(strict=True)]
Level = Literal["site", "data_center", "provider", "country", "region"]
Together = Literal["disk", Level]
Packing = Literal["auto", "never"]
OverBudget = Literal["refuse", "allow"]
Spread = Literal["none", Level]
Stock = Literal["Low", "Medium", "Available", "High"]
Security = Literal["secure_cloud", "community_cloud", "any"]

Allowed = Annotated[tuple[Text, ...], Field(min_length=1), AfterValidator(_canonical)]
Denied = Annotated[tuple[Text, ...], AfterValidator(_canonical)]
Members = Annotated[tuple[Name, ...], Field(min_length=1), AfterValidator(_once)]
Tags = Annotated[dict[Text, Label], AfterValidator(_by_key)]
Budgets = Annotated[dict[Text, Budget], AfterValidator(_by_key)]
AttachLimits = Annotated[dict[Text, Cap], AfterValidator(_by_key)]

DiskId = Annotated[str, Field(strict=True, pattern=r"^[0-9A-Za-z_-]{8,64}$")]
DiskIds = Annotated[tuple[DiskId, ...], AfterValidator(_once)]
