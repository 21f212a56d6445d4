"""The plan file: its text and digest, its versions, and what is stored in it, field by field.

The digest is that of the stored bytes, so that a file from another version of planner stays
valid; fields that this version does not know are kept in the text and ignored.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator

from planner.errors import InputError, PlanCorrupt, PlanVersionUnknown
from planner.formats import JsonError, digest_of, parse
from planner.marketplace.credentials import checked_base_url
from planner.text import visible
from planner.units import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        JSON values, without ``format`` and ``digest``.
    """
    stated = {"format": FORMAT, "digest": "", **document}
    lines = ",\n".join(f"{json.dumps(key)}: {_lines(value)}" for key, value in stated.items())
    text = f"{{\n{lines}\n}}\n"
    digest = hashlib.sha256(text.encode("ascii")).hexdigest()
    return text.replace('"digest": ""', f'"digest": "{digest}"', 1)


def _lines(value: Any, indent: str = "  ") -> str:  # noqa: ANN401 -- any JSON value
    """Return a value with its records on lines of their own, each record on one line."""
    deeper = indent + "  "
    if isinstance(value, list) and any(isinstance(record, dict) for record in value):
        records = f",\n{indent}".join(json.dumps(record) for record in value)
        return f"[\n{indent}{records}\n{indent[2:]}]"
    if isinstance(value, dict) and any(isinstance(part, dict | list) for part in value.values()):
        parts = (f"{json.dumps(key)}: {_lines(part, deeper)}" for key, part in value.items())
        return f"{{\n{indent}" + f",\n{indent}".join(parts) + f"\n{indent[2:]}}}"
    return json.dumps(value)


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
    rest = content[: head.start(1)] + content[head.end(1) :]
    return hashlib.sha256(rest).hexdigest().encode("ascii") == head.group(1)


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


def _base_url(value: str) -> str:
    try:
        return checked_base_url(value, "target.base_url")
    except InputError as error:
        raise ValueError(str(error)) from error


def _utc(value: str) -> str:
    """Return a time as planner writes it: ISO 8601, UTC."""
    if not value.endswith("+00:00") or datetime.fromisoformat(value).isoformat() != value:
        raise ValueError("not a time in UTC")
    return value


Amount = Annotated[Decimal, PlainValidator(_amount)]
Utc = Annotated[str, AfterValidator(_utc)]
Signed = Annotated[Decimal, PlainValidator(_signed)]
Size = Annotated[int, Field(ge=0, le=10**12)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def known_fields(model: type[BaseModel], document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document without the fields that a model, or a model inside it, lacks."""
    known: dict[str, Any] = {}
    for name, value in document.items():
        if name not in model.model_fields:
            continue
        inner = _model_in(model.model_fields[name].annotation)
        if inner is not None and isinstance(value, dict):
            known[name] = known_fields(inner, value)
        elif inner is not None and isinstance(value, list):
            known[name] = [
                known_fields(inner, part) if isinstance(part, dict) else part for part in value
            ]
        else:
            known[name] = value
    return known


def _model_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 -- any annotation
    """Return the model that an annotation speaks of, however deep inside it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(part) for part in get_args(annotation))
    return next((model for model in inner if model is not None), None)


class _Stored(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, defer_build=True)


class Target(_Stored):
    """The marketplace that a plan was made for."""

    base_url: Annotated[str, AfterValidator(_base_url)]
    team_id: Annotated[str, Field(pattern="^[!-~]{1,200}$")] | None


class Input(_Stored):
    """Where one input came from."""

    source: str
    digest: str
    rows: Size
    fetched_at: Utc | None


class Inputs(_Stored):
    """Where all inputs came from; GPUs only where they were asked for."""

    demand: Input
    offers: Input
    gpus: Input | None = None
    disks: Input | None = None

    def present(self) -> dict[str, dict[str, Any]]:
        """Return the inputs that there are, as values."""
        return {name: record.model_dump() for name, record in self if record is not None}


class Solver(_Stored):
    """How the decision was made."""

    name: str
    status: Literal["optimal", "feasible"]
    termination: Literal["proven", "time_limit"]
    objective_usd_hr: Amount
    bound_usd_hr: Amount
    gap: Share
    seconds: Seconds
    variables: Size
    constraints: Size
    dominated: Size
    cost_slack_percent: Amount


class StoredPlacement(_Stored):
    """One replica of a volume at one offer."""

    volume: str
    replica: Size
    action: Literal["create", "keep", "replace"]
    offer_id: str | None
    provider: str
    cloud_id: str | None
    data_center: str | None
    country: str | None
    region: str | None
    disk_sizes_gb: list[Size]
    provision_gb: Size
    usd_gb_hr: Amount
    usd_hr: Amount
    owner: str | None
    tags: dict[str, str]
    disk_ids: list[str]
    replaces: list[str] = []


class StoredGpu(_Stored):
    """The GPU offer that a workload runs on."""

    workload: str
    offer_id: str
    provider: str
    cloud_id: str | None
    gpu_type: str
    gpus: Size
    nodes: Size
    socket: str | None
    spot: bool
    security: str | None
    data_center: str | None
    country: str | None
    region: str | None
    hours_per_month: Size
    usd_hr_on: Amount
    usd_hr: Amount


class StoredLeftover(_Stored):
    """A disk of the project that the plan neither keeps nor replaces."""

    id: str
    volume: str
    replica: Size
    superseded: bool


class StoredMarket(_Stored):
    """Canonical rows of the market and the account; they are read by their own rooms."""

    offers: list[dict[str, Any]]
    gpus: list[dict[str, Any]]
    disks: list[dict[str, Any]]


class StoredPlan(_Stored):
    """A plan file; what is computed from the decision is held against it after loading."""

    digest: str
    plan_id: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    project: str
    created_at: Utc
    nonce: Annotated[str, Field(pattern="^[0-9A-Za-z_-]{1,64}$")]
    target: Target | None
    inputs: Inputs
    solver: Solver
    warnings: list[str]
    placements: list[StoredPlacement]
    gpus: list[StoredGpu]
    totals: dict[str, Any]
    requests: list[dict[str, Any]]
    leftover: list[StoredLeftover] = []
    origin: str = ""
    demand: dict[str, Any]
    market: StoredMarket
