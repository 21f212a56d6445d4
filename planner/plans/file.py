"""The shape of a plan file: what is stored in it, field by field, before anything is believed.

What can be computed from these fields (totals, requests, ids) is not read but made again.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator

from planner.errors import InputError
from planner.marketplace.credentials import checked_base_url
from planner.units import plain


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


class _Stored(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


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
        return {name: one.model_dump() for name, one in self if one is not None}


class Solver(_Stored):
    """How the decision was found."""

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
    action: Literal["create", "keep"]
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


class Market(_Stored):
    """Canonical rows of the market and the account; they are read by their own rooms."""

    offers: list[dict[str, Any]]
    gpus: list[dict[str, Any]]
    disks: list[dict[str, Any]]


class StoredPlan(BaseModel):
    """The stored part of a plan file; its computed part is ignored here."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    project: str
    created_at: Utc
    nonce: Annotated[str, Field(pattern="^[0-9A-Za-z_-]{1,64}$")]
    target: Target | None
    inputs: Inputs
    solver: Solver
    warnings: list[str]
    placements: list[StoredPlacement]
    gpus: list[StoredGpu]
    demand: dict[str, Any]
    market: Market
