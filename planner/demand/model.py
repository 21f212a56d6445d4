"""What is demanded, normalised: every default merged, every count expanded.

Equal demands are equal values and give equal documents, whatever file they came from: lists of
places are sorted sets, money is exact, tags and budgets are in key order, and the names in groups
and mounts stand in the order of the volumes. Volumes, workloads and groups keep the order of the
file, for ties between offers are decided in that order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import (
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from planner.demand.fields import (
    MAX_GROUPS,
    MAX_VOLUMES,
    MAX_WORKLOADS,
    Allowed,
    AttachLimits,
    Budget,
    Budgets,
    Cap,
    Denied,
    DiskIds,
    Disks,
    GpuCount,
    HeadroomPercent,
    Hours,
    JobHours,
    Level,
    Members,
    Name,
    OverBudget,
    Packing,
    Price,
    Replicas,
    Security,
    Share,
    Spread,
    Stock,
    Switch,
    Tags,
    Text,
    Together,
    Value,
    WholeGb,
    dotted,
    shown,
)
from planner.demand.growth import Growth, Horizon, Move, grown, months_of
from planner.demand.problems import invalid, plain_problems
from planner.demand.rules import whole_problems
from planner.errors import DemandError
from planner.formats import batches, digest_of
from planner.present.table import UNKNOWN, Section, TableColumn, reading
from planner.present.writers import MOST_ROWS, to_html
from planner.units import HOURS_PER_MONTH, MAX_GB, grown_gb

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence


class Group(Value):
    """Volumes that must share a place, or must not: `same`, `different`, or both.

    Examples
    --------
    >>> Group(volumes=("corpus", "backup"), different="provider").same is None
    True
    """

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["same"]}, {"required": ["different"]}]}
    )

    volumes: Members = Field(
        description="Two volumes or more. The name of a counted volume means all of them, a "
        "numbered name such as scratch-2 that one."
    )
    same: Together | None = Field(
        None,
        description="Level at which all must be in one place; `disk`: they are directories of one "
        "disk, in every replica.",
    )
    different: Level | None = Field(None, description="Level at which no two may be in one place.")

    @model_validator(mode="after")
    def _levels_fit(self) -> Self:
        both = f"`same: {self.same}` and `different: {self.different}` contradict each other"
        if self.same is None and self.different is None:
            raise ValueError(
                "a group asks for something; write `same: site`, or `different: provider`"
            )
        if self.same == "disk" and self.different is not None:
            raise ValueError(f"{both}: one disk is in one place; keep one of them")
        if self.same == self.different:
            raise ValueError(f"{both}; keep one of them")
        return self


class Workload(Value):
    """A GPU job that mounts volumes. Nothing is inherited from the volumes or `defaults`.

    Examples
    --------
    >>> Workload(name="finetune", gpu="A100_80GB", mounts=("corpus",)).nodes
    1
    """

    name: Name = Field(
        description="Unique among the workloads. Letters, digits, `-`, `_` and `.`, at most 64."
    )
    gpu: Text = Field(description="GPU type as the market calls it, such as A100_80GB.")
    gpus: GpuCount = Field(1, description="GPUs of one offer, exactly as it is listed. Default 1.")
    nodes: GpuCount = Field(
        1,
        description="How many of that offer are rented. More than one needs disks that several "
        "nodes can mount. Default 1.",
    )
    socket: Text | None = Field(
        None, description="Socket of the GPU, such as SXM4 or PCIe. Default: any."
    )
    spot: Switch = Field(
        default=False, description="Whether spot offers are accepted. Default false."
    )
    security: Security = Field("any", description="Kind of cloud. Default any.")
    regions: Allowed | None = Field(None, description="The only regions allowed.")
    providers: Allowed | None = Field(None, description="The only providers allowed.")
    hours_per_month: JobHours | None = Field(
        None,
        description="Hours it runs in a month, at most the policy's. Default: the policy's.",
    )
    mounts: Members = Field(
        description="Volumes it needs at its site. The name of a counted volume means all of "
        "them, a numbered name such as scratch-2 that one."
    )


class Exclude(Value):
    """Places where a volume must not be; an empty list excludes nothing."""

    regions: Denied = Field((), description="Regions to stay out of.")
    countries: Denied = Field((), description="Countries to stay out of, as two-letter codes.")
    data_centers: Denied = Field((), description="Data centres to stay out of.")
    providers: Denied = Field((), description="Providers not to buy from.")


_ADDED_LATER: Mapping[str, Any] = {
    "max_disks_per_site": None,
    "attach_limits": {},
    "packing": "auto",
    "growth": None,
    "horizon": None,
    "move": None,
    "over_budget": "refuse",
}
"""Fields that plans made before them do not have, and what those plans mean."""


class _Dated(Value):
    """A part of a demand that has fields that came later."""

    @model_serializer(mode="wrap")
    def _as_before(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what came later and is not asked: equal demands keep their plan ids."""
        return {
            name: value
            for name, value in serialize(self).items()
            if name not in _ADDED_LATER or value != _ADDED_LATER[name]
        }


class Volume(_Dated):
    """Something to be stored."""

    name: Name = Field(description="Unique. Letters, digits, `-`, `_` and `.`, at most 64.")
    size_gb: WholeGb = Field(
        description="What is stored, in whole decimal GB. Either this or size."
    )
    headroom_percent: HeadroomPercent = Field(
        Decimal(0), description="Bought beyond the size, because disks cannot be resized."
    )
    growth: Growth | None = Field(
        None,
        description="How it grows over the policy's horizon: 10%/month or 400 GB/month. Default: "
        "it does not.",
    )
    replicas: Replicas = Field(1, description="Copies, each in another failure domain. Default 1.")
    spread: Spread = Field(
        "data_center", description="Level at which the copies must differ. Default data_center."
    )
    multinode: Switch = Field(
        default=False, description="Whether several nodes must be able to mount it at once."
    )
    stock: Stock | None = Field(
        None, description="Weakest acceptable stock level. Default: any but Unavailable."
    )
    regions: Allowed | None = Field(None, description="The only regions allowed.")
    countries: Allowed | None = Field(
        None, description="The only countries allowed, as two-letter codes."
    )
    data_centers: Allowed | None = Field(None, description="The only data centres allowed.")
    providers: Allowed | None = Field(None, description="The only providers allowed.")
    exclude: Exclude = Field(
        Exclude(),
        description="Places and providers not allowed, whatever the lists above say.",
    )
    security: Security = Field("any", description="Kind of cloud. Default any.")
    max_usd_gb_hr: Price | None = Field(
        None, description="Highest acceptable price, in USD per GB and hour."
    )
    max_disks: Disks = Field(
        1,
        description="How many disks of one offer may hold it together, where it is larger "
        "than one disk may be. Default 1.",
    )
    disks: DiskIds = Field(
        (),
        description="Ids of live disks that already are this volume, one for each replica; no "
        "second one is bought for them.",
    )
    owner: Text | None = Field(None, description="Whose budget it counts against.")
    tags: Tags = Field(
        default_factory=dict,
        description="Names and values that are carried into plans and reports.",
    )

    @property
    def need_gb(self) -> int:
        """Return what must be bought at least: the size with its headroom, in whole GB."""
        return grown_gb(self.size_gb, self.headroom_percent)

    def held_gb(self, month: int) -> int:
        """Return what a disk that exists must hold at least until the end of a month, from 0."""
        return grown(self.size_gb, self.growth, month)

    def need_at(self, month: int) -> int:
        """Return what a disk must be bought for that is to last until the end of a month."""
        return grown(self.need_gb, self.growth, month)

    def in_month(self, month: int) -> Volume:
        """Return the volume as it is at the end of a month; it grows no more."""
        size = {"size_gb": self.held_gb(month), "growth": None}
        return self if self.growth is None else self.model_copy(update=size)

    def bought_for(self, month: int) -> Volume:
        """Return a volume that needs, now, what this one needs at the end of a month."""
        size = {"size_gb": self.need_at(month), "headroom_percent": Decimal(0), "growth": None}
        return self if self.growth is None else self.model_copy(update=size)


_MOVE = Move()


class Policy(_Dated):
    """Rules over the whole plan."""

    budget_usd_month: Budget | None = Field(
        None, description="Most that all disks together may cost in a month, in USD."
    )
    budgets: Budgets = Field(
        default_factory=dict,
        description="Most that the disks of one owner may cost in a month, in USD.",
    )
    over_budget: OverBudget = Field(
        "refuse",
        description="Whether a plan may exceed the budgets, which are then shown and not enforced: "
        "refuse or allow. Default refuse.",
    )
    hours_per_month: Hours = Field(
        HOURS_PER_MONTH, description="Hours that make a month. Default 730."
    )
    max_sites: Cap | None = Field(
        None, description="At how many sites the disks may be, all together."
    )
    max_providers: Cap | None = Field(
        None, description="From how many providers the disks may come, all together."
    )
    max_disks_per_site: Cap | None = Field(
        None, description="How many disks may be at one site, existing ones included."
    )
    attach_limits: AttachLimits = Field(
        default_factory=dict,
        description="How many network disks one pod can mount, by provider, where you know better "
        "than `planner providers`.",
    )
    packing: Packing = Field(
        "auto",
        description="Whether volumes that a job mounts may share a disk, as directories, where one "
        "pod cannot mount a disk for each: auto or never. Default auto.",
    )
    max_provider_share: Share | None = Field(
        None,
        description="Most that one provider may hold of all GB that are bought: '70%' or 0.7.",
    )
    sequential: Switch = Field(
        default=False,
        description="Whether workloads that mount one volume may take turns, where their hours "
        "together fit the month. Default false.",
    )
    horizon: Horizon | None = Field(
        None, description="How far ahead growth is planned. Default: today's sizes only."
    )
    move: Move | None = Field(
        None,
        description="What moving data costs, and when an existing disk may move for a better "
        "price.",
    )

    @property
    def months(self) -> int:
        """Return how many months ahead are planned; 0 where no horizon is given."""
        return 0 if self.horizon is None else months_of(self.horizon)

    @property
    def moving(self) -> Move:
        """Return what moving data costs."""
        return self.move or _MOVE

    @property
    def enforced(self) -> list[tuple[str | None, Decimal]]:
        """Return the budgets that a plan must keep, with their owners."""
        return self.limits if self.over_budget == "refuse" else []

    @property
    def limits(self) -> list[tuple[str | None, Decimal]]:
        """Return every budget with its owner, None for the whole plan's."""
        whole = [] if self.budget_usd_month is None else [(None, self.budget_usd_month)]
        return [*whole, *self.budgets.items()]


class Demand(Value):
    """What is to be placed, and under which rules.

    Attributes
    ----------
    project : str
        What the demand is about; it may come from a file's name, and the digest leaves it out.
    volumes : tuple of Volume
        In the order of the file, each with its own name.
    policy : Policy
        Rules over the whole plan.
    workloads : tuple of Workload
        In the order of the file, each with its own name; they mount volumes of this demand.
    groups : tuple of Group
        In the order of the file; they tie volumes of this demand.

    Examples
    --------
    >>> demand = Demand(project="demo", volumes=(Volume(name="corpus", size_gb=4000),))
    >>> Demand.from_document(demand.to_document()) == demand
    True
    """

    project: Name
    volumes: Annotated[tuple[Volume, ...], Field(min_length=1, max_length=MAX_VOLUMES)]
    policy: Policy = Policy()
    workloads: Annotated[tuple[Workload, ...], Field(max_length=MAX_WORKLOADS)] = ()
    groups: Annotated[tuple[Group, ...], Field(max_length=MAX_GROUPS)] = ()

    @field_validator("workloads", "groups")
    @classmethod
    def _in_order(cls, listed: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
        """Put the names of volumes in their order; those of none come last, see `_whole`."""
        volumes = info.data.get("volumes", ()) if listed else ()
        place = {each.name: number for number, each in enumerate(volumes)}
        field = "mounts" if info.field_name == "workloads" else "volumes"

        def ordered(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(sorted(names, key=lambda name: place.get(name, len(place))))

        return tuple(
            each.model_copy(update={field: ordered(getattr(each, field))}) for each in listed
        )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        """Hold a demand made in Python to the rules of a file, and growth to the largest disk."""
        sections = ("volumes", "workloads", "groups")
        listed = {name: [*map(vars, getattr(self, name))] for name in sections}
        problems = whole_problems({"policy": vars(self.policy), **listed})
        months = self.policy.months
        for index, volume in enumerate(self.volumes if months else ()):
            if volume.growth is not None and volume.need_at(months - 1) > MAX_GB:
                beyond = f"{volume.growth} for {months} months makes it larger than any disk"
                text = f"{beyond}; at most {MAX_GB:,} GB are planned (volume {shown(volume.name)})"
                problems.append((("volumes", index, "growth"), text))
        if problems:
            raise invalid("Demand", problems)
        return self

    def share_disks(self, volumes: Collection[str]) -> bool:
        """Return whether a group wants all of the volumes, by name, on one disk."""
        return any(group.same == "disk" and {*volumes} <= {*group.volumes} for group in self.groups)

    @property
    def grows(self) -> bool:
        """Return whether any volume grows."""
        return any(volume.growth is not None for volume in self.volumes)

    def in_month(self, month: int) -> Demand:
        """Return the demand as it is at the end of a month, from 0; it grows no more."""
        volumes = tuple(volume.in_month(month) for volume in self.volumes)
        return self.model_copy(update={"volumes": volumes})

    def hours_of(self, workload: Workload) -> int:
        """Return the hours a workload runs in a month: its own, or the policy's.

        >>> demand = Demand(project="demo", volumes=(Volume(name="corpus", size_gb=4000),))
        >>> demand.hours_of(Workload(name="finetune", gpu="A100_80GB", mounts=("corpus",)))
        730
        """
        return workload.hours_per_month or self.policy.hours_per_month

    def to_document(self) -> dict[str, Any]:
        """Return the demand as JSON values, in canonical form and with amounts as text."""
        return self.model_dump(mode="json")

    def streamed(self) -> dict[str, Any]:
        """Return `to_document` with an iterator for the list of volumes, which is never made."""
        document = self.model_dump(mode="json", exclude={"volumes"})
        written = (
            volume
            for some in batches(self.volumes, _BATCH)
            for volume in _VOLUMES.dump_python(some, mode="json")
        )
        return {"project": document.pop("project"), "volumes": written, **document}

    @classmethod
    def from_document(cls, document: Mapping[str, Any], *, path: str = "plan") -> Self:
        """Return the demand that `to_document` wrote, or that has these fields.

        Raises
        ------
        DemandError
            With the path and every field that is not as planner writes it.
        """
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            rows = [
                (None, None, dotted(field), message)
                for field, message in plain_problems(error, cls)
            ]
            raise DemandError(path, rows) from error

    def _repr_html_(self) -> str:
        return demand_html(self)

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the canonical document without its project, in hex."""
        document = self.streamed()
        del document["project"]
        return digest_of(document)


_VOLUMES = TypeAdapter(list[Volume], config=ConfigDict(defer_build=True))
_BATCH = 1000


_OF_VOLUME = ("name", "size_gb", "replicas", "owner")
_OF_WORKLOAD = ("name", "gpu", "gpus", "nodes", "hours_per_month", "mounts")
_NUMBERS = frozenset({"size_gb", "replicas", "gpus", "nodes", "hours_per_month"})


def demand_html(demand: Demand) -> str:
    """Return a demand as a piece of HTML: tables of volumes and workloads, groups and policy."""
    rules = [*(_group(asked) for asked in demand.groups)]
    rules += [f"policy: {field}" for field in _asked(demand.policy)]
    shown = [*islice(rules, MOST_ROWS)]
    if len(rules) > len(shown):
        shown.append(f"and {len(rules) - len(shown):,} more")
    volumes = _section("volume", demand.volumes, _OF_VOLUME, title=demand.project)
    jobs = [_section("workload", demand.workloads, _OF_WORKLOAD)] if demand.workloads else []
    return to_html([volumes, *jobs, Section("rules", notes=tuple(shown))])


def _section(
    noun: str, rows: Sequence[Volume | Workload], fields: Sequence[str], title: str = ""
) -> Section:
    columns = [
        TableColumn(field, field, "count" if field in _NUMBERS else "text", UNKNOWN)
        for field in fields
    ]
    return Section(
        noun,
        title,
        (*columns, TableColumn("asks", "asks")),
        tuple(
            (*(getattr(row, field) for field in fields), "; ".join(_asked(row, fields)))
            for row in rows
        ),
        noun=noun,
    )


def _group(group: Value) -> str:
    asked = group.model_dump(mode="json", exclude_none=True)
    members = ", ".join(asked.pop("volumes"))
    return f"{members}: {', '.join(f'{kind} {level}' for kind, level in asked.items())}"


def _asked(value: Value, shown: Collection[str] = ()) -> Iterator[str]:
    """Yield every field that is not at its default, except those shown elsewhere."""
    yield from _flat(value.model_dump(mode="json", exclude_defaults=True, exclude={*shown}))


def _flat(values: Mapping[str, Any], of: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{of}{key} ")
        else:
            yield f"{of}{key}: {reading(value).text}"
