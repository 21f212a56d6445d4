"""Requirements of the policy: budgets, caps on places and on disks at one site, a share."""

from __future__ import annotations

import math
from collections import defaultdict
from decimal import ROUND_CEILING, Context, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

from planner.requirements.base import (
    Choice,
    PolicyRequirement,
    ProblemView,
    ProgramColumn,
    ProgramRows,
    Terms,
    opened_by,
)
from planner.units import MAX_PRICE_DIGITS, total, usd_month

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from planner.demand.model import Demand, Policy


SHARE_PLACES = 12
"""Decimal places that a share may have in a demand."""
_CEILING = Context(prec=200, rounding=ROUND_CEILING)


def _most(columns: Iterable[ProgramColumn], size: Callable[[ProgramColumn], float]) -> float:
    """Return the most that columns can add up to: the dearest of each volume, all replicas."""
    dearest: dict[int, float] = {}
    for column in columns:
        here = size(column) * column.most
        dearest[column.volume] = max(here, dearest.get(column.volume, 0.0))
    return sum(dearest.values())


class BudgetLimit(PolicyRequirement):
    """Most that all disks, or those of one owner, may cost in a month."""

    field = "budget_usd_month"
    sums = ("usd_hr", None)

    @classmethod
    def of(cls, policy: Policy) -> Iterator[BudgetLimit]:
        """Yield the budget of the whole plan, then those of owners."""
        yield from (cls(limit, owner) for owner, limit in policy.enforced)

    def lifted(self, policy: Policy) -> Policy:
        """Return the policy without it."""
        if self.owner is None:
            return policy.model_copy(update={"budget_usd_month": None})
        left = {owner: limit for owner, limit in policy.budgets.items() if owner != self.owner}
        return policy.model_copy(update={"budgets": left})

    def constrain(self, program: ProgramRows, opened: Any = None) -> None:  # noqa: ANN401 -- a variable
        """Add one row, scaled by the largest amount in it."""
        view = program.view
        mine = [
            column
            for column in program.columns_of()
            if self.owner is None or view.volumes[column.volume].owner == self.owner
        ]
        if not mine:
            return
        limit_usd_hr = self.value / view.demand.policy.hours_per_month
        scale = max([limit_usd_hr, *(column.usd_hr for column in mine)]) or Decimal(1)
        right = float(limit_usd_hr / scale) * (1 + program.tolerance)
        spent = [(column.x, float(column.usd_hr / scale)) for column in mine]
        room = _most(mine, lambda column: float(column.usd_hr / scale)) - right
        program.add([*spent, *opened_by(opened, room)], "<=", right)

    def room(self, demand: Demand) -> tuple[Fraction, Fraction]:
        """Return what an hour may cost."""
        return Fraction(0), Fraction(self.value) / demand.policy.hours_per_month

    def measure(self, program: ProgramRows) -> Terms:
        """Return what the disks cost, in USD per hour."""
        volumes = program.view.volumes
        return [
            (column.x, float(column.usd_hr))
            for column in program.columns_of()
            if self.owner is None or volumes[column.volume].owner == self.owner
        ]

    def least(self, view: ProblemView, chosen: Choice) -> Decimal:
        """Return what chosen disks cost in a month."""
        hourly = total(
            view.usd_hr(v, o)
            for v, offers in chosen.items()
            if self.owner is None or view.volumes[v].owner == self.owner
            for o in offers
        )
        return usd_month(hourly, view.demand.policy.hours_per_month)

    def fitted(self, least: Decimal) -> Decimal:
        """Return an amount with no more digits than a demand may have, rounded up."""
        places = MAX_PRICE_DIGITS - max(1, least.adjusted() + 1)
        exponent = least.as_tuple().exponent
        if isinstance(exponent, int) and -exponent > places:
            return least.quantize(Decimal(1).scaleb(-places), context=_CEILING)
        return least


class PlaceLimit(PolicyRequirement):
    """Most sites, or providers, that all disks may be at."""

    level: ClassVar[str]

    def constrain(self, program: ProgramRows, opened: Any = None) -> None:  # noqa: ANN401 -- a variable
        """Count the places that are used."""
        used = program.used(self.level)
        room = opened_by(opened, len(used) - self.value)
        program.add([*((u, 1.0) for u in used), *room], "<=", self.value)

    def measure(self, program: ProgramRows) -> Terms:
        """Return the number of places."""
        return [(u, 1.0) for u in program.used(self.level)]

    def least(self, view: ProblemView, chosen: Choice) -> int:
        """Return at how many places chosen disks are."""
        places = view.places(self.level)
        return len({place for offers in chosen.values() for o in offers for place in places[o]})


class SiteLimit(PlaceLimit):
    """Most sites that all disks may be at."""

    field = "max_sites"
    level = "site"
    levels = frozenset(["site"])


class ProviderLimit(PlaceLimit):
    """Most providers that all disks may come from."""

    field = "max_providers"
    level = "provider"
    levels = frozenset(["provider"])


class ProviderShare(PolicyRequirement):
    """Most that one provider may hold of all GB that are bought, as a part of 1."""

    field = "max_provider_share"
    levels = frozenset(["provider"])
    looks_at = frozenset(["gb"])
    sums = ("gb", "provider")

    def constrain(self, program: ProgramRows, opened: Any = None) -> None:  # noqa: ANN401 -- a variable
        """Hold each provider's GB against those of all.

        So many providers as it needs, and as many sites, are used; no relaxation sees that.
        """
        needed = math.ceil(1 / Fraction(self.value))
        for limit in policy_requirements(program.view.demand.policy):
            if isinstance(limit, PlaceLimit):
                used = [(u, -1.0) for u in program.used(limit.level)]
                program.add([*used, *opened_by(opened, needed)], "<=", -needed)
        columns, places = program.columns_of(), program.view.places("provider")
        sizes_of = defaultdict[int, set[int]](set)
        for column in columns:
            sizes_of[column.volume].add(column.gb)
        if opened is None and all(len(sizes) == 1 for sizes in sizes_of.values()):
            most = {column.volume: column.gb * column.most for column in columns}
            room = math.floor(Fraction(self.value) * sum(most.values()))
            held = defaultdict[Any, Terms](list)
            for column in columns:
                held[places[column.offer]].append((column.x, float(column.gb)))
            for terms in held.values():
                program.add(terms, "<=", room)
            return
        all_gb = program.new("t", None, whole=False)
        scale = 1.0 if opened is None else max((float(column.gb) for column in columns), default=1)
        sizes: Terms = [(column.x, column.gb / scale) for column in columns]
        program.add([*sizes, (all_gb, -1.0)], "==", 0)
        held = defaultdict[Any, Terms](list)
        for term, column in zip(sizes, columns, strict=True):
            held[places[column.offer]].append(term)
        share = float(self.value) * (1.0 if opened is None else 1 + min(program.tolerance, 0))
        relaxing = opened_by(opened, _most(columns, lambda column: column.gb) / scale)
        for terms in held.values():
            program.add([*terms, (all_gb, -share), *relaxing], "<=", 0)

    def room(self, demand: Demand) -> tuple[Fraction, Fraction]:
        """Return the share, of all GB."""
        del demand
        return Fraction(self.value), Fraction(0)

    def least(self, view: ProblemView, chosen: Choice) -> Fraction:
        """Return the largest share of a provider."""
        places, held = view.places("provider"), defaultdict[Any, int](int)
        for v, offers in chosen.items():
            for o in offers:
                held[places[o]] += view.gb(v, o)
        everything = sum(held.values())
        return Fraction(max(held.values()), everything) if everything else Fraction(0)

    def fitted(self, least: Fraction) -> Decimal:
        """Return a share with the places that a demand may have, rounded up."""
        scaled = -(-least.numerator * 10**SHARE_PLACES // least.denominator)
        return Decimal(max(scaled, 1)).scaleb(-SHARE_PLACES).normalize()

    def excess(self, program: ProgramRows, share: float) -> tuple[Terms, float]:
        """Return what grows with the largest provider's GB beyond a share, and its value there."""
        columns, places = program.columns_of(), program.view.places("provider")
        scale = max((float(column.gb) for column in columns), default=1.0)
        at_share = _most(columns, lambda column: column.gb) / scale  # so that it is not negative
        excess = program.new("excess", None, whole=False)
        for place in sorted({places[column.offer] for column in columns}, key=str):
            terms = [
                (column.x, ((places[column.offer] == place) - share) * column.gb / scale)
                for column in columns
            ]
            program.add([*terms, (excess, -1.0)], "<=", -at_share)
        return [(excess, 1.0)], at_share

    def holds(self, view: ProblemView, chosen: Choice) -> bool:
        """Return whether no provider holds more, exactly."""
        return self.least(view, chosen) <= Fraction(self.value)


class SiteDiskLimit(PolicyRequirement):
    """Most disks that may be at one site."""

    field = "max_disks_per_site"
    levels = frozenset(["site"])
    looks_at = frozenset(["disks"])
    sums = ("disks", "site")

    def constrain(self, program: ProgramRows, opened: Any = None) -> None:  # noqa: ANN401 -- a variable
        """Count the disks at each site."""
        most = _most(program.columns_of(), lambda column: column.disks)
        room = opened_by(opened, most - self.value)
        for terms in self._by_site(program).values():
            program.add([*terms, *room], "<=", self.value)

    def _by_site(self, program: ProgramRows) -> dict[Any, Terms]:
        places, here = program.view.places("site"), defaultdict[Any, Terms](list)
        for column in program.columns_of():
            here[places[column.offer]].append((column.x, float(column.disks)))
        return here

    def measure(self, program: ProgramRows) -> Terms:
        """Return the number of disks at the fullest site."""
        fullest = program.new("m", None, whole=False)
        for terms in self._by_site(program).values():
            program.add([*terms, (fullest, -1.0)], "<=", 0)
        return [(fullest, 1.0)]

    def least(self, view: ProblemView, chosen: Choice) -> int:
        """Return how many disks are at the fullest site."""
        places, here = view.places("site"), defaultdict[Any, int](int)
        for v, offers in chosen.items():
            for o in offers:
                here[places[o]] += view.disks(v, o)
        return max(here.values(), default=0)


KINDS: tuple[type[PolicyRequirement], ...] = (
    SiteLimit,
    ProviderLimit,
    SiteDiskLimit,
    ProviderShare,
    BudgetLimit,
)
"""Every kind of requirement on the whole plan: one line for a new one."""


def policy_requirements(policy: Policy) -> tuple[PolicyRequirement, ...]:
    """Return what a policy asks."""
    return tuple(requirement for kind in KINDS for requirement in kind.of(policy))


def without_limits(policy: Policy) -> Policy:
    """Return a policy that asks nothing of the whole plan."""
    for requirement in policy_requirements(policy):
        policy = requirement.lifted(policy)
    return policy
