"""What is demanded, normalised: every default merged, every count expanded.

Equal demands are equal values and give equal documents, whatever file they came from: lists of
places are sorted sets, money is exact, tags and budgets are in key order, and the names in groups
and mounts stand in the order of the volumes. Volumes, workloads and groups keep the order of the
file, for ties between offers are decided in that order.
"""

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import (
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from planner.demand.fields import (
    MAX_GROUPS,
    MAX_VOLUMES,
    MAX_WORKLOADS,
    Allowed,
    Budget,
    Budgets,
    Cap,
    Denied,
    DiskIds,
    Disks,
    HeadroomPercent,
    Hours,
    Name,
    Price,
    Replicas,
    Security,
    Share,
    Spread,
    Stock,
    Switch,
    Tags,
    Text,
    Value,
    WholeGb,
)
from planner.demand.jobs import Group, Workload
from planner.demand.look import demand_html
from planner.demand.names import VolumeNames
from planner.demand.problems import plain_problems
from planner.demand.words import dotted, shown
from planner.errors import DemandError
from planner.exact_json import digest_of
from planner.units import HOURS_PER_MONTH, grown_gb


class Exclude(Value):
    """Places where a volume must not be.

    Attributes
    ----------
    regions, countries, data_centers, providers : tuple of str
        Each sorted and without repetition; empty excludes nothing.
    """

    regions: Denied = ()
    countries: Denied = ()
    data_centers: Denied = ()
    providers: Denied = ()


class Volume(Value):
    """One thing the user needs stored.

    Attributes
    ----------
    name : str
        Unique in its demand.
    size_gb : int
        What is stored, in decimal GB.
    headroom_percent : Decimal
        Bought beyond the size, because disks cannot be resized; ``0 ≤ h ≤ 1000``.
    replicas : int
        Copies, each in another failure domain; ``1 ≤ r ≤ 100``.
    spread : str
        Level at which the copies must differ.
    multinode : bool
        Whether several nodes must be able to mount it at once.
    stock : str | None
        Weakest acceptable stock level; None accepts every level but Unavailable.
    regions, countries, data_centers, providers : tuple of str | None
        The only ones allowed, sorted; None allows every one.
    exclude : Exclude
        The ones not allowed, whatever the lists above say.
    security : str
        ``secure_cloud``, ``community_cloud`` or ``any``.
    max_usd_gb_hr : Decimal | None
        Highest acceptable price, in USD per GB and hour.
    max_disks : int
        How many disks of one offer may hold it together.
    disks : tuple of str
        Ids of live disks that already are this volume, one for each replica from the first.
    owner : str | None
        Whose budget it counts against.
    tags : dict of str
        Carried into plans and reports.
    """

    name: Name
    size_gb: WholeGb
    headroom_percent: HeadroomPercent = Decimal(0)
    replicas: Replicas = 1
    spread: Spread = "data_center"
    multinode: Switch = False
    stock: Stock | None = None
    regions: Allowed | None = None
    countries: Allowed | None = None
    data_centers: Allowed | None = None
    providers: Allowed | None = None
    exclude: Exclude = Exclude()
    security: Security = "any"
    max_usd_gb_hr: Price | None = None
    max_disks: Disks = 1
    disks: DiskIds = ()
    owner: Text | None = None
    tags: Tags = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_disk_a_replica(self) -> Self:
        if wrong := beyond_replicas(len(self.disks), self.replicas):
            raise ValueError(wrong)
        return self

    @property
    def need_gb(self) -> int:
        """Return what must be bought at least: the size with its headroom, in whole GB."""
        return grown_gb(self.size_gb, self.headroom_percent)


def beyond_replicas(disks: int, replicas: int) -> str | None:
    """Return what is wrong with naming so many disks for so many replicas; None for nothing."""
    if disks <= replicas:
        return None
    return (
        f"{disks} disks for {replicas} {'replica' if replicas == 1 else 'replicas'}; name one for "
        f"each, or write `replicas: {disks}`"
    )


class Policy(Value):
    """Rules over the whole plan.

    Attributes
    ----------
    budget_usd_month : Decimal | None
        Most that all disks may cost in a month.
    budgets : dict of Decimal
        Most that the disks of one owner may cost in a month, by owner.
    hours_per_month : int
        Hours that make a month; ``672 ≤ h ≤ 744``.
    max_sites, max_providers : int | None
        Most sites, and most providers, that all disks may be spread over; at least 1.
    max_provider_share : Decimal | None
        Most that one provider may hold of all provisioned GB, as a part of 1; ``0 < s ≤ 1``.
    sequential : bool
        Whether workloads that mount one volume may take turns, where their hours fit the month.
    """

    budget_usd_month: Budget | None = None
    budgets: Budgets = Field(default_factory=dict)
    hours_per_month: Hours = HOURS_PER_MONTH
    max_sites: Cap | None = None
    max_providers: Cap | None = None
    max_provider_share: Share | None = None
    sequential: Switch = False

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

    @field_validator("workloads")
    @classmethod
    def _mounts_known(
        cls, workloads: tuple[Workload, ...], info: ValidationInfo
    ) -> tuple[Workload, ...]:
        names = _names_of(info) if workloads else None
        return tuple(
            each.model_copy(
                update={"mounts": _ordered(names, each.mounts, f"workload {shown(each.name)}")}
            )
            for each in workloads
        )

    @field_validator("groups")
    @classmethod
    def _members_known(cls, groups: tuple[Group, ...], info: ValidationInfo) -> tuple[Group, ...]:
        names = _names_of(info) if groups else None
        return tuple(
            each.model_copy(update={"volumes": _ordered(names, each.volumes, f"groups[{index}]")})
            for index, each in enumerate(groups)
        )

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        for kind in ("volumes", "workloads"):
            common = Counter(each.name for each in getattr(self, kind)).most_common(1)
            if common and common[0][1] > 1:
                name, times = common[0]
                raise ValueError(f"{times} {kind} are called {shown(name)}; a name is used once")
        return self

    @model_validator(mode="after")
    def _disks_differ(self) -> Self:
        named = Counter(disk for volume in self.volumes for disk in volume.disks)
        for disk, times in named.most_common(1):
            if times > 1:
                raise ValueError(f"disk {shown(disk)} is named by {times} volumes; it is one")
        return self

    @model_validator(mode="after")
    def _hours_fit(self) -> Self:
        for workload in self.workloads:
            if wrong := beyond_month(workload.hours_per_month, self.policy.hours_per_month):
                raise ValueError(f"{wrong} (workload {shown(workload.name)})")
        return self

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

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return the demand that `to_document` wrote.

        Raises
        ------
        DemandError
            With path ``plan`` and every field that is not as planner writes it.
        """
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            rows = [
                (None, None, dotted(path), message) for path, message in plain_problems(error, cls)
            ]
            raise DemandError("plan", rows) from error

    def _repr_html_(self) -> str:
        return demand_html(self)

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the canonical document without its project, in hex."""
        document = self.to_document()
        del document["project"]
        return digest_of(document)


def beyond_month(hours: int | None, month: int) -> str | None:
    """Return what is wrong with a job's hours in a month of the policy's."""
    if hours is None or hours <= month:
        return None
    return f"the policy's month has {month} hours; write at most {month}, not {hours}"


def _names_of(info: ValidationInfo) -> VolumeNames | None:
    """Return the names that may be used; None where the volumes themselves are wrong."""
    volumes: tuple[Volume, ...] | None = info.data.get("volumes")
    return VolumeNames((each.name, [each.name]) for each in volumes) if volumes else None


def _ordered(names: VolumeNames | None, members: tuple[str, ...], owner: str) -> tuple[str, ...]:
    try:
        return names.ordered(members) if names else members
    except ValueError as error:
        raise ValueError(f"{error} ({owner})") from error
