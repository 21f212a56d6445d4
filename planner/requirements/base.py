"""What a requirement on the whole plan is, and what it sees of a program and of a choice."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from planner.requirements.field import shown

if TYPE_CHECKING:
    from decimal import Decimal

    from planner.demand.model import Demand, Policy, Volume

Terms = list[tuple[Any, float]]
"""A linear expression: variables of the program with their coefficients."""


@dataclass(frozen=True)
class ProgramColumn:
    """One replica of a volume at one offer, as a variable of the program.

    Attributes
    ----------
    usd_hr : Decimal
        Hourly cost of one replica.
    most : int
        Replicas that the volumes of this column have in all.
    """

    x: Any
    volume: int
    offer: int
    usd_hr: Decimal
    gb: int
    disks: int
    most: int


class ProblemView(Protocol):
    """A demand held against a market, as requirements see it."""

    @property
    def demand(self) -> Demand:
        """Return what is asked."""

    @property
    def volumes(self) -> Sequence[Volume]:
        """Return the volumes."""

    def places(self, level: str) -> Sequence[frozenset[Any]]:
        """Return the places in which each offer lies at a level."""

    def spread_domains(self, level: str) -> Sequence[frozenset[Any]]:
        """Return the places in which each offer lies of which copies may share none."""

    def usd_hr(self, volume: int, offer: int) -> Decimal:
        """Return the hourly cost of one replica."""

    def gb(self, volume: int, offer: int) -> int:
        """Return what one replica takes, in GB."""

    def disks(self, volume: int, offer: int) -> int:
        """Return in how many disks one replica is held."""

    def usd_gb_hr(self, offer: int) -> Decimal:
        """Return the price of an offer."""


class ProgramRows(Protocol):
    """A program that a requirement adds its rows to."""

    tolerance: float
    """Part of an amount by which it may be exceeded, since a solver cannot tell."""

    @property
    def view(self) -> ProblemView:
        """Return what the numbers mean."""

    def columns_of(self) -> Sequence[ProgramColumn]:
        """Return every column."""

    def replicas(self, volume: int, offers: Collection[int] | None = None) -> Terms:
        """Return how many replicas a volume has, at some offers or at all."""

    def inside(self, volume: int, places: Sequence[frozenset[Any]]) -> Mapping[Any, Terms]:
        """Return how many replicas a volume has in each place, given the places of each offer."""

    def used(self, level: str) -> list[Any]:
        """Return for each place of a level a variable that is 1 if anything is there."""

    def add(self, terms: Terms, sense: str, right: float) -> None:
        """Add a row, ``<=`` or ``==``."""

    def new(self, name: str, most: float | None, *, whole: bool = True) -> Any:  # noqa: ANN401 -- a variable
        """Add a variable from zero to the most it can be."""


Choice = Mapping[int, Sequence[int]]
"""Offers of each volume, one entry for each replica."""


def negated(terms: Terms) -> Terms:
    """Return what takes an expression off."""
    return [(variable, -coefficient) for variable, coefficient in terms]


def opened_by(opened: Any, room: float) -> Terms:  # noqa: ANN401 -- a variable
    """Return what lets a row exceed its limit where it is opened."""
    return [] if opened is None else [(opened, -max(0.0, room))]


@dataclass(frozen=True)
class PolicyRequirement(ABC):
    """A limit on the whole plan, or on all disks of one owner.

    Attributes
    ----------
    owner : str | None
        Whose disks it is about; None for all.
    """

    value: Any
    owner: str | None = None
    field: ClassVar[str]
    """The field of the policy."""
    levels: ClassVar[frozenset[str]] = frozenset()
    """Levels of places that it looks at."""
    looks_at: ClassVar[frozenset[str]] = frozenset()
    """What else it looks at: ``gb``, ``disks``; costs are always looked at."""
    sums: ClassVar[tuple[str, str | None] | None] = None
    """What of all replicas it limits the sum of (``gb``, ``disks``, ``usd_hr``), in each place of a
    level or anywhere; None where it limits no sum."""

    @classmethod
    def of(cls, policy: Policy) -> Iterator[PolicyRequirement]:
        """Yield what a policy asks of this kind."""
        value = getattr(policy, cls.field)
        if value is not None:
            yield cls(value)

    @property
    def step(self) -> tuple[str, str, str]:
        """Return how relaxations name it: kind, name, field."""
        return (
            ("policy", "", self.field) if self.owner is None else ("owner", self.owner, "budgets")
        )

    def fitted(self, least: Any) -> Any:  # noqa: ANN401 -- the limit's
        """Return a least value as a demand may write it, rounded up."""
        return least

    @property
    def text(self) -> str:
        """Return it as the demand says it."""
        owner = "" if self.owner is None else f" {self.owner}:"
        return f"{self.step[2]}:{owner} {self.shown}"

    @property
    def shown(self) -> str:
        """Return the limit as a demand writes it."""
        return shown(self.value)

    def lifted(self, policy: Policy) -> Policy:
        """Return the policy without it."""
        return policy.model_copy(update={self.field: None})

    @abstractmethod
    def constrain(self, program: ProgramRows, opened: Any = None) -> None:  # noqa: ANN401 -- a variable
        """Add the rows; ``opened`` is a variable that is 1 where the limit may be exceeded."""

    def measure(self, program: ProgramRows) -> Terms:
        """Return an expression that is least where the limit can be strictest."""
        raise TypeError(f"{self.field} is no linear expression of {program}")

    def room(self, demand: Demand) -> tuple[Fraction, Fraction]:
        """Return what its sum may be: a part of the sum of all places, and so much more."""
        del demand
        return Fraction(0), Fraction(self.value)

    @abstractmethod
    def least(self, view: ProblemView, chosen: Choice) -> Any:  # noqa: ANN401 -- the field's own
        """Return the least limit with which a choice holds it."""

    def holds(self, view: ProblemView, chosen: Choice) -> bool:
        """Return whether a choice holds it."""
        return bool(self.least(view, chosen) <= self.value)
