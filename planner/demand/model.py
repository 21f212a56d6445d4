"""What is demanded, normalised: every default merged, every count expanded.

Equal demands are equal values and give equal documents, whatever file they came from: lists of
places are sorted sets, money is exact, tags and budgets are in key order. Volumes keep the order
of the file, for ties between offers are decided in that order.
"""

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from planner.demand.fields import (
    MAX_VOLUMES,
    Allowed,
    Budget,
    Budgets,
    Denied,
    Disks,
    HeadroomPercent,
    Hours,
    Name,
    Price,
    Replicas,
    Security,
    Spread,
    Stock,
    Switch,
    Tags,
    Text,
    WholeGb,
)
from planner.demand.problems import plain_problems
from planner.demand.words import dotted, shown
from planner.errors import DemandError
from planner.exact_json import digest_of
from planner.units import HOURS_PER_MONTH, grown_gb


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Exclude(_Value):
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


class Volume(_Value):
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
    owner: Text | None = None
    tags: Tags = Field(default_factory=dict)

    @property
    def need_gb(self) -> int:
        """Return what must be bought at least: the size with its headroom, in whole GB."""
        return grown_gb(self.size_gb, self.headroom_percent)


class Policy(_Value):
    """Rules over the whole plan.

    Attributes
    ----------
    budget_usd_month : Decimal | None
        Most that all disks may cost in a month.
    budgets : dict of Decimal
        Most that the disks of one owner may cost in a month, by owner.
    hours_per_month : int
        Hours that make a month; ``672 ≤ h ≤ 744``.
    """

    budget_usd_month: Budget | None = None
    budgets: Budgets = Field(default_factory=dict)
    hours_per_month: Hours = HOURS_PER_MONTH

    @property
    def limits(self) -> list[tuple[str | None, Decimal]]:
        """Return every budget with its owner, None for the whole plan's."""
        whole = [] if self.budget_usd_month is None else [(None, self.budget_usd_month)]
        return [*whole, *self.budgets.items()]


class Demand(_Value):
    """What is to be placed, and under which rules.

    Attributes
    ----------
    project : str
        What the demand is about; it may come from a file's name, and the digest leaves it out.
    volumes : tuple of Volume
        In the order of the file, each with its own name.
    policy : Policy
        Rules over the whole plan.

    Examples
    --------
    >>> demand = Demand(project="demo", volumes=(Volume(name="corpus", size_gb=4000),))
    >>> Demand.from_document(demand.to_document()) == demand
    True
    """

    project: Name
    volumes: Annotated[tuple[Volume, ...], Field(min_length=1, max_length=MAX_VOLUMES)]
    policy: Policy = Policy()

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        name, times = Counter(volume.name for volume in self.volumes).most_common(1)[0]
        if times > 1:
            raise ValueError(f"{times} volumes are called {shown(name)}; a name is used once")
        return self

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

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the canonical document without its project, in hex."""
        document = self.to_document()
        del document["project"]
        return digest_of(document)
