"""What a plan file stores, field by field; the records in it are as they are declared."""

from __future__ import annotations

from dataclasses import MISSING, fields
from decimal import Decimal
from functools import cache
from sys import intern
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, create_model

from planner.demand.model import Demand, Volume
from planner.errors import InputError
from planner.marketplace.credentials import checked_base_url
from planner.plans.file import Amount, Records, Size, Utc
from planner.solve.certificate import Multiplier
from planner.solve.existing import Leftover
from planner.solve.optimise import SolverRecord
from planner.solve.rentals import Gpu
from planner.solve.solution import Placement
from planner.solve.tenures import Tenure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def known_fields(model: type[BaseModel], document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document without the fields that a model, or a model inside it, lacks."""
    known: dict[str, Any] = {}
    models = _models_in(model)
    for name, value in document.items():
        if name not in models:
            continue
        inner = models[name]
        if inner is not None and isinstance(value, dict):
            known[name] = known_fields(inner, value)
        elif inner is not None and isinstance(value, list):
            known[name] = [
                known_fields(inner, part) if isinstance(part, dict) else part for part in value
            ]
        else:
            known[name] = value
    return known


@cache
def _models_in(model: type[BaseModel]) -> dict[str, type[BaseModel] | None]:
    """Return the model that each field of a model speaks of: a file has them thousands of times."""
    return {name: _model_in(field.annotation) for name, field in model.model_fields.items()}


def _model_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 -- any annotation
    """Return the model that an annotation speaks of, however deep inside it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(part) for part in get_args(annotation))
    return next((model for model in inner if model is not None), None)


def _base_url(value: str) -> str:
    try:
        return checked_base_url(value, "target.base_url")
    except InputError as error:
        raise ValueError(str(error)) from error


class _Stored(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


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


class StoredMarket(_Stored):
    """Canonical rows of the market and the account; they are read by their own rooms."""

    offers: list[dict[str, Any]]
    gpus: list[dict[str, Any]]
    disks: list[dict[str, Any]]


def _reader(record: Any) -> Callable[[Any], Any]:  # noqa: ANN401 -- a dataclass
    """Return what reads such a record as it is declared; what has a default may be missing.

    Amounts are stored as text, tuples as lists.
    """
    kinds = get_type_hints(record, localns={"Decimal": Decimal, "Multiplier": Multiplier})
    stored: dict[str, Any] = {}
    for field in fields(record):
        kind = _STORED.get(kinds[field.name], kinds[field.name])
        is_required = field.default is MISSING and field.default_factory is MISSING
        stored[field.name] = (kind, ... if is_required else None)
    model: Any = create_model(f"Stored{record.__name__}", __base__=_Stored, **stored)

    def read(value: object) -> Any:  # noqa: ANN401 -- the record
        valid = model.model_validate(value)
        stated = {name: getattr(valid, name) for name in valid.model_fields_set}
        lists = {name: tuple(part) for name, part in stated.items() if isinstance(part, list)}
        return record(**{**stated, **lists})

    return read


def _every(record: Any) -> PlainValidator:  # noqa: ANN401 -- a dataclass
    """Return what reads a list of such records, one after the other."""
    read = _reader(record)
    return PlainValidator(lambda value: tuple(map(read, _listed(value))))


def _listed(value: object) -> list[Any] | Records:
    if not isinstance(value, list | Records):
        raise TypeError("not a list")
    return value


def demand_from(document: Mapping[str, Any]) -> Demand:
    """Return the demand in a plan file, without the fields that it does not know.

    Its volumes are read one after the other; what is as by default is not read, and not held
    twice.

    Raises
    ------
    DemandError
        When it is none.
    """
    rest = {name: part for name, part in document.items() if name != "volumes"}
    required = {"name", "size_gb"}
    default = Volume(name="any", size_gb=1).model_dump(mode="json", exclude=required)

    def stated(volume: Mapping[str, Any]) -> dict[str, Any]:
        return known_fields(
            Volume,
            {
                name: value
                for name, value in volume.items()
                if name not in default
                or value != default[name]
                or value.__class__ is not default[name].__class__
            },
        )

    volumes = (stated(each) for each in _listed(document.get("volumes")))
    return Demand.from_document({**known_fields(Demand, rest), "volumes": volumes})


_TEXT = Annotated[str, AfterValidator(intern)]
"""Text that many records have, held once."""
_STORED: dict[Any, Any] = {
    str: _TEXT,
    str | None: _TEXT | None,
    int: Size,
    int | None: Size | None,
    float: Annotated[float, Field(ge=0, allow_inf_nan=False)],
    Decimal: Amount,
    tuple[int, ...]: list[Size],
    tuple[str, ...]: list[str],
    tuple[str, ...] | None: list[str] | None,
    tuple[str | None, ...]: list[str | None],
}
"""How a file holds the types of a record."""
_STORED[tuple[Multiplier, ...]] = list[Annotated[Any, PlainValidator(_reader(Multiplier))]]


class StoredPlan(_Stored):
    """A plan file; what is computed from the decision is held against it after loading."""

    digest: str
    plan_id: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    project: str
    created_at: Utc
    nonce: Annotated[str, Field(pattern="^[0-9A-Za-z_-]{1,64}$")]
    target: Target | None
    inputs: Inputs
    solver: Annotated[Any, PlainValidator(_reader(SolverRecord))]
    warnings: list[str]
    placements: Annotated[Any, _every(Placement)]
    gpus: Annotated[Any, _every(Gpu)]
    totals: dict[str, Any]
    requests: Annotated[Any, PlainValidator(_listed)]
    leftover: Annotated[Any, _every(Leftover)] = ()
    origin: str = ""
    schedule: Annotated[Any, _every(Tenure)] = ()
    demand: dict[str, Any]
    market: StoredMarket
