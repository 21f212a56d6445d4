"""The demand file as a person writes it, and its JSON Schema."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import ConfigDict, Field, model_validator

from planner.demand.fields import (
    MAX_GROUPS,
    MAX_WORKLOADS,
    AllowList,
    Budget,
    Cap,
    Count,
    DenyList,
    DiskIdList,
    Disks,
    GpuCount,
    Headroom,
    Hours,
    JobHours,
    Label,
    Level,
    Name,
    NameList,
    Price,
    Replicas,
    Security,
    Share,
    Size,
    Spread,
    Stock,
    Switch,
    Text,
    Value,
    Version,
    WholeGb,
    wrong_levels,
)
from planner.errors import InputError
from planner.shipped import shipped_path
from planner.text import nearest


class ExcludeShape(Value):
    """Places where the volume must not be."""

    regions: DenyList | None = Field(None, description="Regions to stay out of.")
    countries: DenyList | None = Field(
        None, description="Countries to stay out of, as two-letter codes."
    )
    data_centers: DenyList | None = Field(None, description="Data centres to stay out of.")
    providers: DenyList | None = Field(None, description="Providers not to buy from.")


class VolumeFields(Value):
    """Everything a volume can say but its name. Null lifts what `defaults` says."""

    size: Size | None = Field(
        None,
        description="What is stored: a number and a unit. GiB and TiB are converted and "
        "rounded up to whole GB. Either this or size_gb.",
    )
    size_gb: WholeGb | None = Field(
        None, description="What is stored, in whole decimal GB. Either this or size."
    )
    headroom: Headroom | None = Field(
        None, description="Bought beyond the size, because disks cannot be resized."
    )
    replicas: Replicas | None = Field(
        None, description="Copies, each in another failure domain. Default 1."
    )
    spread: Spread | None = Field(
        None, description="Level at which the copies must differ. Default data_center."
    )
    count: Count | None = Field(
        None, description="How many alike: with 3, `scratch` becomes scratch-1 to scratch-3."
    )
    multinode: Switch | None = Field(
        None, description="Whether several nodes must be able to mount it at once."
    )
    stock: Stock | None = Field(
        None, description="Weakest acceptable stock level. Default: any but Unavailable."
    )
    regions: AllowList | None = Field(None, description="The only regions allowed.")
    countries: AllowList | None = Field(
        None, description="The only countries allowed, as two-letter codes."
    )
    data_centers: AllowList | None = Field(None, description="The only data centres allowed.")
    providers: AllowList | None = Field(None, description="The only providers allowed.")
    exclude: ExcludeShape | None = Field(
        None, description="Places and providers not allowed, whatever the lists above say."
    )
    security: Security | None = Field(None, description="Kind of cloud. Default any.")
    max_usd_gb_hr: Price | None = Field(
        None, description="Highest acceptable price, in USD per GB and hour."
    )
    max_disks: Disks | None = Field(
        None,
        description="How many disks of one offer may hold it together, where it is larger "
        "than one disk may be. Default 1.",
    )
    owner: Text | None = Field(None, description="Whose budget it counts against.")
    tags: dict[Text, Label | None] | None = Field(
        None, description="Names and values that are carried into plans and reports."
    )
    disks: DiskIdList | None = Field(
        None,
        description="Ids of live disks that already are this volume, one for each replica; no "
        "second one is bought for them.",
    )


class DefaultsShape(VolumeFields):
    """Merged under every volume; `exclude` and `tags` key by key."""


class VolumeShape(VolumeFields):
    """One thing to be stored."""

    name: Name = Field(description="Unique. Letters, digits, `-`, `_` and `.`, at most 64.")


class WorkloadShape(Value):
    """A GPU job that mounts volumes. Nothing is inherited from the volumes or `defaults`."""

    name: Name = Field(
        description="Unique among the workloads. Letters, digits, `-`, `_` and `.`, at most 64."
    )
    gpu: Text = Field(description="GPU type as the market calls it, such as A100_80GB.")
    gpus: GpuCount | None = Field(
        None, description="GPUs of one offer, exactly as it is listed. Default 1."
    )
    nodes: GpuCount | None = Field(
        None,
        description="How many of that offer are rented. More than one needs disks that several "
        "nodes can mount. Default 1.",
    )
    socket: Text | None = Field(
        None, description="Socket of the GPU, such as SXM4 or PCIe. Default: any."
    )
    spot: Switch | None = Field(None, description="Whether spot offers will do. Default false.")
    security: Security | None = Field(None, description="Kind of cloud. Default any.")
    regions: AllowList | None = Field(None, description="The only regions allowed.")
    providers: AllowList | None = Field(None, description="The only providers allowed.")
    hours_per_month: JobHours | None = Field(
        None,
        description="Hours it runs in a month, at most the policy's. Default: the policy's.",
    )
    mounts: NameList = Field(
        description="Volumes it needs at its site. The name of a counted volume means all of "
        "them, a numbered name such as scratch-2 that one."
    )


class GroupShape(Value):
    """Volumes that must share a place, or must not: `same`, `different`, or both."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["same"]}, {"required": ["different"]}]}
    )

    volumes: NameList = Field(
        description="Two volumes or more. The name of a counted volume means all of them, a "
        "numbered name such as scratch-2 that one."
    )
    same: Level | None = Field(None, description="Level at which all must be in one place.")
    different: Level | None = Field(None, description="Level at which no two may be in one place.")

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if wrong := wrong_levels(self.same, self.different):
            raise ValueError(wrong)
        return self


class PolicyShape(Value):
    """Rules over the whole plan."""

    budget_usd_month: Budget | None = Field(
        None, description="Most that all disks together may cost in a month, in USD."
    )
    budgets: dict[Text, Budget | None] | None = Field(
        None, description="Most that the disks of one owner may cost in a month, in USD."
    )
    hours_per_month: Hours | None = Field(None, description="Hours that make a month. Default 730.")
    max_sites: Cap | None = Field(
        None, description="At how many sites the disks may be, all together."
    )
    max_providers: Cap | None = Field(
        None, description="From how many providers the disks may come, all together."
    )
    max_provider_share: Share | None = Field(
        None,
        description="Most that one provider may hold of all GB that are bought: '70%' or 0.7.",
    )
    sequential: Switch | None = Field(
        None,
        description="Whether workloads that mount one volume may take turns, where their hours "
        "together fit the month. Default false.",
    )


class DemandShape(Value):
    """What to store and under which rules, for planner to place."""

    version: Version = Field(description="Version of this format.")
    project: Name | None = Field(
        None,
        description="What this is about; plans of one project know each other's purchases. "
        "Default: the file's name.",
    )
    defaults: DefaultsShape | None = Field(None, description="Merged under every volume.")
    volumes: Annotated[list[VolumeShape], Field(min_length=1)] = Field(
        description="What is to be stored."
    )
    policy: PolicyShape | None = Field(None, description="Rules over the whole plan.")
    workloads: Annotated[list[WorkloadShape], Field(max_length=MAX_WORKLOADS)] | None = Field(
        None, description="GPU jobs, each to run at a site where the volumes it mounts are."
    )
    groups: Annotated[list[GroupShape], Field(max_length=MAX_GROUPS)] | None = Field(
        None, description="Volumes that belong in one place, or must be kept apart."
    )


def demand_schema() -> dict[str, Any]:
    """Return the JSON Schema of a demand file, for editors.

    Examples
    --------
    >>> demand_schema()["properties"]["version"]["const"]
    1
    """
    schema = DemandShape.model_json_schema()
    schema["title"] = "planner demand file"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


ExampleName = Literal["minimal", "research"]


def example(name: ExampleName) -> str:
    """Return the text of an example demand file.

    Parameters
    ----------
    name : {'minimal', 'research'}
        The smallest file worth planning, or that of a research group.

    Raises
    ------
    InputError
        When there is no such example.

    Examples
    --------
    >>> "volumes:" in example("minimal")
    True
    """
    known = get_args(ExampleName)
    if name not in known:
        meant = nearest(str(name), known)
        raise InputError(
            f"there is no example called {str(name)[:60]!r}",
            hint=f"did you mean {meant}?" if meant else f"there are {' and '.join(known)}",
        )
    return shipped_path(name).read_text(encoding="utf-8")
