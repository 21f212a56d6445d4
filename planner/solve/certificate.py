"""The certificate of a bound: a price on each limit, from which anyone can compute the bound again.

The prices come from floats (see `dual`); what they prove is computed here, exactly, from demand,
market and prices alone: every volume takes its cheapest replicas at these prices, and what the
limits allow is paid back. Whatever the prices are, no plan costs less.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from planner.requirements.spread import spreads
from planner.solve.dual import Coupled, Taken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from planner.requirements.base import PolicyRequirement
    from planner.solve.presolve import Columns
    from planner.solve.problem import Instance, Scope

    _Floats = NDArray[np.float64]


Place = tuple[str | None, ...]
_DIGITS = 12
"""Digits that a multiplier is written with."""
_LARGEST = 2**61
_NEVER = 2**62
_BLOCK = 2_000_000
"""Pairs that are looked at at once."""
_PLACES = 9


@dataclass(frozen=True)
class Multiplier:
    """The price of a limit at a place: what a plan saves at most for each unit of more room.

    Attributes
    ----------
    limit : str
        Field of the policy: ``max_provider_share``, ``max_disks_per_site``, ``budget_usd_month``.
    owner : str | None
        Whose budget it is; None for a limit of all.
    place : tuple of str
        Provider, or site (provider, data centre, country; None where unknown); empty for a budget.
    usd_hr : Decimal
        USD an hour for a GB, a disk, or a USD an hour.
    """

    limit: str
    owner: str | None
    place: Place
    usd_hr: Decimal


class SumLimit(NamedTuple):
    """A limit on a sum, and the places that it is held in: codes of offers, and their names."""

    requirement: PolicyRequirement
    code: NDArray[np.int64]
    places: tuple[Place, ...]


def as_multipliers(
    limits: Sequence[SumLimit], prices: _Floats
) -> tuple[tuple[Multiplier, ...], _Floats]:
    """Return prices as multipliers of few digits, and as they are then."""
    multipliers: list[Multiplier] = []
    rounded, at = np.zeros(len(prices)), 0
    for limit in limits:
        field, owner = limit.requirement.field, limit.requirement.owner
        for row, place in enumerate(limit.places, start=at):
            if prices[row] > 0:
                usd = Decimal(f"{prices[row]:.{_DIGITS}g}")
                multipliers.append(Multiplier(field, owner, place, usd))
                rounded[row] = float(usd)
        at += len(limit.places)
    return tuple(multipliers), rounded


def proves(instance: Instance, scope: Scope) -> bool:
    """Return whether nothing couples a scope's volumes but limits on sums."""
    apart = scope.ties or scope.workloads or instance.kept or instance.forced
    only_sums = all(requirement.sums is not None for requirement in instance.requirements)
    if not (scope.capped and only_sums) or apart or instance.pairs.shared:
        return False
    return has_single_places(instance)


def has_single_places(instance: Instance) -> bool:
    """Return whether each offer is in one place, for copies that must be apart.

    A building that two providers sell is in several. Dual and rounding have one number for each
    offer, which cannot keep copies apart then.
    """
    levels = {v.spread for v in instance.pairs.volumes if spreads(v.replicas, v.spread)}
    return all(instance.least.is_single(level) for level in levels)


def limits_of(instance: Instance) -> tuple[SumLimit, ...]:
    """Return the limits on sums that a policy sets, and in which places."""
    limits = []
    for requirement in instance.requirements:
        places: list[Place] = [()] * len(instance.pairs.offers)
        if requirement.sums is not None and requirement.sums[1] is not None:
            places = [place for (place,) in instance.places(requirement.sums[1])]
        numbers: dict[Place, int] = {}
        code = np.array([numbers.setdefault(place, len(numbers)) for place in places], np.int64)
        limits.append(SumLimit(requirement, code, tuple(numbers)))
    return tuple(limits)


def coupled(instance: Instance, columns: Columns, limits: Sequence[SumLimit]) -> Coupled:
    """Return columns and limits as the dual sees them."""
    pairs, volume, offer = instance.pairs, columns.volume, columns.offer
    price = np.array([float(usd or 0) for usd in pairs.offers["usd_gb_hr"]])
    amounts = {
        "gb": pairs.provision_gb[volume, offer].astype(float),
        "disks": pairs.disks[volume, offer].astype(float),
    }
    amounts["usd_hr"] = amounts["gb"] * price[offer]
    owners = np.array([v.owner or "" for v in pairs.volumes], object)[volume]
    taken, blocks, right, first = [], [], [], 0
    for limit in limits:
        what, owner = (limit.requirement.sums or ("", None))[0], limit.requirement.owner
        mine = amounts[what] if owner is None else amounts[what] * (owners == owner)
        part, more = limit.requirement.room(instance.demand)
        taken.append(Taken(first + limit.code[offer], mine))
        blocks.append(np.eye(len(limit.places)) - float(part))
        right += [float(more)] * len(limit.places)
        first += len(limit.places)
    matrix = np.zeros((first, first))
    at = 0
    for block in blocks:
        matrix[at : at + len(block), at : at + len(block)] = block
        at += len(block)
    return Coupled(
        unit=columns.unit,
        domain=_domains(instance, columns),
        usd_hr=amounts["usd_hr"],
        count=np.array([unit.count for unit in columns.units], np.int64),
        most=np.array([unit.most for unit in columns.units], np.int64),
        taken=tuple(taken),
        limits=matrix,
        right=np.array(right),
    )


def _domains(instance: Instance, columns: Columns) -> NDArray[np.int64]:
    """Return a number for the domains of each column's offer, at the spread of its unit."""
    spread = np.array([unit.spread or "" for unit in columns.units], object)[columns.unit]
    domain = np.zeros(len(columns), np.int64)
    for level in sorted({unit.spread for unit in columns.units if unit.spread}):
        mine = spread == level
        domain[mine] = _codes(instance, level)[columns.offer[mine]]
    return domain


def _codes(instance: Instance, level: str) -> NDArray[np.int64]:
    numbers: dict[Any, int] = {}
    places = instance.spread_domains(level)
    return np.array([numbers.setdefault(place, len(numbers)) for place in places], np.int64)


def bound_month(instance: Instance, multipliers: Sequence[Multiplier]) -> Decimal | None:
    """Return the monthly cost that multipliers prove no plan to be below, rounded down.

    None where they prove nothing: one is negative, or of no limit, or there are other limits.
    """
    if not proves(instance, instance.whole):
        return None
    limits = limits_of(instance)
    prices = {(m.limit, m.owner, m.place): Fraction(m.usd_hr) for m in multipliers}
    known = {
        (limit.requirement.field, limit.requirement.owner, place)
        for limit in limits
        for place in limit.places
    }
    is_known = len(prices) == len(multipliers) and prices.keys() <= known
    if not is_known or min(prices.values(), default=Fraction(0)) < 0:
        return None
    exact = _Exact(instance, limits, prices)
    usd_hr = exact.least()
    if usd_hr is None:
        return None
    month = (usd_hr - exact.allowed) * instance.demand.policy.hours_per_month
    return Decimal(month.numerator * 10**_PLACES // month.denominator).scaleb(-_PLACES)


class _Exact:
    """What volumes cost at prices of limits, in whole numbers."""

    def __init__(
        self,
        instance: Instance,
        limits: Sequence[SumLimit],
        prices: dict[tuple[str, str | None, Place], Fraction],
    ) -> None:
        self.instance, offers = instance, len(instance.pairs.offers)
        self.allowed = Fraction(0)
        self.dearer: dict[str | None, Fraction] = {}
        each = {what: [Fraction(0)] * offers for what in ("gb", "disks")}
        for limit in limits:
            what, owner = (limit.requirement.sums or ("", None))[0], limit.requirement.owner
            part, more = limit.requirement.room(instance.demand)
            mine = [
                prices.get((limit.requirement.field, owner, place), Fraction(0))
                for place in limit.places
            ]
            self.allowed += more * sum(mine)
            if what == "usd_hr":
                self.dearer[owner] = self.dearer.get(owner, Fraction(0)) + sum(mine)
                continue
            rest = part * sum(mine)
            for o, code in enumerate(limit.code.tolist()):
                each[what][o] += mine[code] - rest
        self.gb, self.disks = each["gb"], each["disks"]
        self._codes: dict[str, NDArray[np.int64]] = {}

    def _code(self, level: str) -> NDArray[np.int64]:
        if level not in self._codes:
            self._codes[level] = _codes(self.instance, level)
        return self._codes[level]

    def least(self) -> Fraction | None:
        """Return what all volumes cost at least; None where one has too few places."""
        pairs = self.instance.pairs
        usd = [Fraction(price or 0) for price in pairs.offers["usd_gb_hr"]]
        size = max(1, _BLOCK // pairs.broken.shape[1])
        most = 1
        for at in range(0, len(pairs.volumes), size):
            rows = slice(at, at + size)
            larger = np.maximum(pairs.provision_gb[rows], pairs.disks[rows])
            most = int(larger.max(initial=most, where=pairs.broken[rows] == 0))
        owner_of = [v.owner if v.owner in self.dearer else None for v in pairs.volumes]
        by_owner = {}
        for owner in dict.fromkeys(owner_of):
            more = 1 + sum({o: self.dearer.get(o, Fraction(0)) for o in (None, owner)}.values())
            by_owner[owner] = [p * more + gb for p, gb in zip(usd, self.gb, strict=True)]
        largest = max(abs(x) for row in [*by_owner.values(), self.disks] for x in row)
        room = int(_LARGEST / ((largest + 1) * most * 2))
        if not room:
            return None
        scale = 10 ** (len(str(room)) - 1)
        per_disk = _whole(self.disks, scale)
        whole = 0
        for owner, row in by_owner.items():
            mine = [v for v, whose in enumerate(owner_of) if whose == owner]
            per_gb = _whole(row, scale)
            for at in range(0, len(mine), size):
                block = np.array(mine[at : at + size], np.int64)
                cost = pairs.provision_gb[block] * per_gb + pairs.disks[block] * per_disk
                cost[pairs.broken[block] != 0] = _NEVER
                least = self._placed(block, cost)
                if least is None:
                    return None
                whole += least
        return Fraction(whole, scale)

    def _placed(self, block: NDArray[np.int64], cost: NDArray[np.int64]) -> int | None:
        """Return what the replicas of some volumes cost in places as far apart as they ask."""
        whole = 0
        volumes = self.instance.pairs.volumes
        spread = [spreads(volumes[v].replicas, volumes[v].spread) for v in block.tolist()]
        for v, apart, row, least in zip(
            block.tolist(), spread, cost, cost.min(axis=1).tolist(), strict=True
        ):
            replicas = volumes[v].replicas
            if apart:
                code = self._code(volumes[v].spread)
                in_place = np.full(int(code.max()) + 1, _NEVER)
                np.minimum.at(in_place, code, row)
                each = np.sort(in_place)[:replicas].tolist()
            else:
                each = [least] * replicas
            if len(each) < replicas or each[-1] == _NEVER:
                return None
            whole += sum(each)
        return whole


def _whole(numbers: Sequence[Fraction], scale: int) -> NDArray[np.int64]:
    """Return numbers times a scale, rounded down."""
    return np.array([x.numerator * scale // x.denominator for x in numbers], np.int64)
