"""The values of a grid, held against what the demand file may say in their place."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from planner.demand import Exclude, Policy, Volume, Workload
from planner.demand.problems import plain_problems
from planner.demand.shape import ExcludeShape, PolicyShape, VolumeFields, WorkloadShape
from planner.demand.words import SHOWN, cut, shown
from planner.errors import InputError
from planner.market.wire import is_price
from planner.solve.grid.keys import FACTORS

if TYPE_CHECKING:
    from planner.demand.names import VolumeNames
    from planner.solve.grid.keys import Subject

NAMED = {"size": "size_gb", "headroom": "headroom_percent"}
"""Fields that the demand has under another name than the file."""
_SHAPES: dict[str, tuple[type[BaseModel], dict[str, Any]]] = {
    "volumes": (VolumeFields, {}),
    "policy": (PolicyShape, {}),
    "workloads": (WorkloadShape, {"name": "job", "gpu": "any", "mounts": ["any"]}),
}
"""What the file may say of each part, and what has to be there beside the field in question."""
_MODELS: dict[str, type[BaseModel]] = {
    "volumes": Volume,
    "policy": Policy,
    "workloads": Workload,
    "exclude": Exclude,
}
_LISTS = frozenset({"regions", "countries", "data_centers", "providers", "disks", "mounts"})
_FACTOR = re.compile(r"\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,2})?", re.ASCII)


def told(value: object) -> str:
    """Return a value as a message names it, with the members of a list.

    >>> told(["eu_north", "canada"]), told(2)
    ("['eu_north', 'canada']", '2')
    """
    if not isinstance(value, (list, tuple)):
        return shown(value)
    text = f"[{', '.join(shown(one) for one in value[:SHOWN])}]"
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 2]}…]"


def setting(key: str, about: Subject, value: object, names: VolumeNames) -> Any:  # noqa: ANN401 -- the field's
    """Return a value as the demand has it, held against what its file may say there.

    Parameters
    ----------
    key : str
        As the caller wrote it, for the message.
    about : Subject
        What it sets.
    value : object
        As the caller gave it: text where a list of places belongs is a list of one, and None is
        the file's null.
    names : VolumeNames
        What mounts may name.

    Raises
    ------
    InputError
        When the file may not say so.
    """
    try:
        if about.part in FACTORS:
            return _factor(value)
        return _as_demanded(about, _validated(about, value), names)
    except ValueError as error:
        raise InputError(
            f"`{cut(key)}` = {told(value)}: {error}",
            hint="write what the demand file may have there; `planner schema` tells all",
        ) from error


def _validated(about: Subject, value: object) -> Any:  # noqa: ANN401 -- the field's
    """Return what the file's shape makes of a value."""
    shape, beside = _SHAPES[about.part]
    outer, _, inner = about.word.partition(".")
    said = [value] if (inner or outer) in _LISTS and isinstance(value, str) else value
    try:
        model = shape.model_validate({**beside, outer: {inner: said} if inner else said})
    except ValidationError as error:
        raise ValueError(next(plain_problems(error, shape))[1]) from error
    held = getattr(model, outer)
    if not inner:
        return held
    return held[inner] if isinstance(held, dict) else getattr(held, inner)


def _as_demanded(about: Subject, value: Any, names: VolumeNames) -> Any:  # noqa: ANN401 -- the field's
    outer, _, inner = about.word.partition(".")
    if value is None:
        if outer in {"size", "size_gb"}:
            raise ValueError("a volume has a size")
        return None if outer == "budgets" and inner else _default(about.part, outer, inner)
    if outer == "mounts":
        return names.ordered(value)
    if isinstance(value, ExcludeShape):
        value = dict(value)
    if isinstance(value, dict):
        return {name: each for name, each in value.items() if each is not None}
    return tuple(value) if isinstance(value, list) else value


def _default(part: str, outer: str, inner: str) -> Any:  # noqa: ANN401 -- the field's
    """Return what null leaves of a field."""
    model, name = (_MODELS[outer], inner) if inner else (_MODELS[part], NAMED.get(outer, outer))
    return model.model_fields[name].get_default(call_default_factory=True)


def _factor(value: object) -> Decimal:
    """Return a factor on prices, exactly as it is written."""
    text = float.__repr__(value) if isinstance(value, float) else str(value).strip()
    is_number = isinstance(value, (int, float, Decimal, str)) and not isinstance(value, bool)
    factor = Decimal(text) if is_number and _FACTOR.fullmatch(text) else Decimal(0)
    if not is_price(factor):
        raise ValueError("a factor on prices is a number above 0, such as 1.1 or '0.95'")
    return factor
