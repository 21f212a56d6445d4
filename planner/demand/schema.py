"""The demand file as a person writes it, derived from the model, and its JSON Schema.

A field of the model may be left out of the file or be null, which lifts what `defaults` says. Only
what a file can say and a normalised demand does not have is declared here.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, create_model

from planner.demand.fields import (
    MAX_GROUPS,
    MAX_REPLICAS,
    MAX_WORKLOADS,
    Budget,
    Cap,
    Count,
    DiskIds,
    Headroom,
    Label,
    Name,
    Size,
    Text,
    Value,
    Version,
)
from planner.demand.growth import Move
from planner.demand.model import Exclude, Group, Policy, Volume, Workload
from planner.errors import InputError
from planner.shipped import shipped_path
from planner.text import suggestion


def _input(
    name: str,
    model: type[Value],
    *,
    without: tuple[str, ...] = (),
    **own: Any,  # noqa: ANN401 -- types
) -> type[Value]:
    """Return a model of what a file may say of another model: what has a default may be null.

    Parameters
    ----------
    without : tuple of str
        Fields that a file does not have.
    **own
        Types that differ in the file, and fields that only a file has.
    """
    fields: dict[str, Any] = {}
    for field, declared in model.model_fields.items():
        if field in without:
            continue
        kind: Any = own.pop(field, declared.annotation)
        if kind is declared.annotation and declared.metadata:
            kind = Annotated[(kind, *declared.metadata)]
        if declared.is_required() and field not in _OPTIONAL:
            fields[field] = (kind, Field(description=declared.description))
        else:
            fields[field] = (kind | None, Field(None, description=declared.description))
    return create_model(name, __base__=Value, __doc__=model.__doc__, **{**fields, **own})


_OPTIONAL = frozenset({"size_gb"})
"""What a file may leave out although the model requires it."""

ExcludeInput = _input("ExcludeInput", Exclude)
MoveInput = _input("MoveInput", Move)
PolicyInput = _input(
    "PolicyInput",
    Policy,
    budgets=dict[Text, Budget | None],
    attach_limits=dict[Text, Cap | None],
    move=MoveInput,
)
WorkloadInput = _input("WorkloadInput", Workload)
_OF_VOLUME: dict[str, Any] = {
    "exclude": ExcludeInput,
    "disks": Annotated[DiskIds, Field(max_length=MAX_REPLICAS)],
    "tags": dict[Text, Label | None],
    "size": (
        Size | None,
        Field(
            None,
            description="What is stored: a number and a unit. GiB and TiB are converted and "
            "rounded up to whole GB. Either this or size_gb.",
        ),
    ),
    "headroom": (
        Headroom | None,
        Field(None, description=Volume.model_fields["headroom_percent"].description),
    ),
    "count": (
        Count | None,
        Field(
            None, description="How many alike: with 3, `scratch` becomes scratch-1 to scratch-3."
        ),
    ),
}
VolumeInput = _input("VolumeInput", Volume, without=("headroom_percent",), **_OF_VOLUME)
DefaultsInput = _input("DefaultsInput", Volume, without=("headroom_percent", "name"), **_OF_VOLUME)


class DemandInput(Value):
    """What to store and under which rules, for planner to place."""

    version: Version = Field(description="Version of this format.")
    project: Name | None = Field(
        None,
        description="What this is about; plans of one project know each other's purchases. "
        "Default: the file's name.",
    )
    defaults: DefaultsInput | None = Field(  # type: ignore[valid-type]
        None, description="Merged under every volume; `exclude` and `tags` key by key."
    )
    volumes: Annotated[list[VolumeInput], Field(min_length=1)] = Field(  # type: ignore[valid-type]
        description="What is to be stored."
    )
    policy: PolicyInput | None = Field(  # type: ignore[valid-type]
        None, description="Rules over the whole plan."
    )
    workloads: (
        Annotated[list[WorkloadInput], Field(max_length=MAX_WORKLOADS)] | None  # type: ignore[valid-type]
    ) = Field(None, description="GPU jobs, each to run at a site where the volumes it mounts are.")
    groups: Annotated[list[Group], Field(max_length=MAX_GROUPS)] | None = Field(
        None, description="Volumes that belong in one place, or must be kept apart."
    )


def demand_schema() -> dict[str, Any]:
    """Return the JSON Schema of a demand file, for editors.

    Examples
    --------
    >>> demand_schema()["properties"]["version"]["const"]
    1
    """
    schema = DemandInput.model_json_schema()
    schema["title"] = "planner demand file"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


ExampleName = Literal["minimal", "research"]


def init(name: ExampleName = "minimal", *, project: str | None = None) -> str:
    """Return the text of a commented demand file to start from.

    Parameters
    ----------
    name : {'minimal', 'research'}
        The smallest file worth planning, or that of a research group.
    project : str | None
        Its project; None keeps the example's.

    Raises
    ------
    InputError
        When there is no such example.

    Examples
    --------
    >>> 'project: "mine"' in init(project="mine")
    True
    """
    known = get_args(ExampleName)
    if name not in known:
        raise InputError(
            f"there is no example called {str(name)[:60]!r}",
            hint=suggestion(str(name), known, f"there are {' and '.join(known)}"),
        )
    text = shipped_path(name).read_text(encoding="utf-8")
    if project is None:
        return text
    # In quotes: a project may be called 2026, or true.
    return re.sub(r"(?m)^project: \S+", f'project: "{project}"', text, count=1)
