"""The certificate of a bound: a price on each limit, from which anyone can compute the bound again.

The prices come from floats (see `dual`); what they prove is computed here, exactly, from demand,
market and prices alone: every volume takes its cheapest replicas at these prices, volumes that
groups or jobs keep together their cheapest place, a kept disk costs what it costs, and what the
limits allow is paid back. GB are whole: what a share of all leaves of the last one is paid too.
Whatever the prices are, no plan costs less.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from planner.requirements.spread import spreads
from planner.solve.bundles import Bundles, bundled, least_gpus, needs_several_nodes
from planner.solve.dual import Coupled, Taken
from planner.solve.whole_gb import Place, SumLimit, WholeGB

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from planner.solve.presolve import Columns
    from planner.solve.problem import Instance, Scope

    _Floats = NDArray[np.float64]
    _Ints = NDArray[np.int64]


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
    """Return whether nothing couples a scope's volumes but limits on sums, and common places."""
    only_sums = all(requirement.sums is not None for requirement in instance.requirements)
    return scope.capped and only_sums and chooses_by_units(instance)


def chooses_by_units(instance: Instance) -> bool:
    """Return whether all that connects volumes, but for the policy, keeps them in common places."""
    if instance.forced or instance.pairs.shared:
        return False
    parts, whole = [part for part, _ in _bundled(instance)], instance.whole
    is_bundled = len(whole.ties) == sum(len(part.ties) for part in parts)
    are_bundled = len(whole.workloads) == sum(len(part.workloads) for part in parts)
    return is_bundled and are_bundled and has_single_places(instance)


def _bundled(instance: Instance) -> Iterator[tuple[Scope, _Ints]]:
    broken = instance.pairs.broken
    return bundled(instance, instance.whole, lambda volumes: broken[list(volumes)] == 0)


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
        if requirement.sums is None:
            continue
        places: list[Place] = [()] * len(instance.pairs.offers)
        if requirement.sums[1] is not None:
            places = [place for (place,) in instance.places(requirement.sums[1])]
        numbers: dict[Place, int] = {}
        code = np.array([numbers.setdefault(place, len(numbers)) for place in places], np.int64)
        limits.append(SumLimit(requirement, code, tuple(numbers)))
    return tuple(limits)


class Choice(NamedTuple):
    """What is left to choose, the column that each of its columns is, and the kept ones, (n,)."""

    coupled: Coupled
    column: _Ints
    kept: NDArray[np.bool_]

    def on_columns(self, values: _Floats | _Ints, kept: float = 0, never: float = 0) -> _Floats:
        """Return values of all columns, given those of the columns that are left."""
        every = np.where(self.kept, float(kept), float(never))
        every[self.column] = values
        return every


def coupled(instance: Instance, columns: Columns, limits: Sequence[SumLimit]) -> Choice:
    """Return columns and limits as the dual sees them.

    Kept disks are no choice: what they cost and take is spent at any rate.
    """
    pairs, volume, offer = instance.pairs, columns.volume, columns.offer
    price = np.array([float(usd or 0) for usd in pairs.offers["usd_gb_hr"]])
    amounts = {
        "gb": pairs.provision_gb[volume, offer].astype(float),
        "disks": pairs.disks[volume, offer].astype(float),
    }
    amounts["usd_hr"] = amounts["gb"] * price[offer]
    owners = np.array([v.owner or "" for v in pairs.volumes], object)[volume]
    taken, parts, right, first = [], list[float](), list[float](), 0
    for limit in limits:
        what, owner = (limit.requirement.sums or ("", None))[0], limit.requirement.owner
        mine = amounts[what] if owner is None else amounts[what] * (owners == owner)
        part, more = limit.requirement.room(instance.demand)
        taken.append(Taken(first + limit.code[offer], mine))
        parts += [float(part)] * len(limit.places)
        right += [float(more)] * len(limit.places)
        first += len(limit.places)
    sizes = np.array([len(limit.places) for limit in limits], np.int64)
    of = np.repeat(np.arange(len(limits)), sizes)
    matrix = np.eye(first) - np.where(of[:, None] == of, parts, 0)
    bundles, unit = Bundles.of(instance, instance.whole, columns), columns.unit
    kept, free = _kept(instance, columns)
    left = np.array([each.count for each in columns.units], np.int64)
    left -= np.bincount(unit[kept], minlength=len(left)).astype(np.int64)
    free &= bundles.possible & (left[unit] > 0)
    most = [
        n if each.spread is None else each.most
        for n, each in zip(left.tolist(), columns.units, strict=True)
    ]
    of_column, inside = bundles.of_unit[unit], bundles.inside[unit]
    left[bundles.inside] = 0
    left[of_column[free & inside]] = 1
    number = np.cumsum(left > 0) - 1
    at = np.flatnonzero(free)[np.argsort(of_column[free], kind="stable")]
    # A bundle pays the GPUs of its jobs with the first of its members that is not kept.
    payer = np.full(len(left), len(left))
    np.minimum.at(payer, of_column[at], unit[at])
    usd_hr = amounts["usd_hr"] + np.where(payer[of_column] == unit, bundles.jobs_usd_hr, 0)
    stay = kept & (left[of_column] == 0)
    _, once = np.unique(of_column[stay], return_index=True)
    choice = Coupled(
        unit=number[of_column[at]],
        domain=np.where(inside, bundles.slot, _domains(instance, columns))[at],
        member=np.where(inside, unit + 1, 0)[at],
        usd_hr=usd_hr[at],
        count=left[left > 0],
        most=np.where(bundles.inside, 1, most)[left > 0],
        taken=tuple(Taken(t.row[at], t.amount[at]) for t in taken),
        limits=matrix,
        right=np.array(right)
        - sum(matrix @ np.bincount(t.row, t.amount * kept, first) for t in taken),
        spent_usd_hr=float(amounts["usd_hr"][kept].sum() + bundles.jobs_usd_hr[stay][once].sum()),
    )
    return Choice(choice, at, kept)


def _kept(instance: Instance, columns: Columns) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the columns that are kept disks, and those that replicas beside these may have."""
    width, keys = len(instance.sites), columns.volume * len(instance.sites) + columns.offer
    kept = np.isin(keys, [v * width + o for v, o in instance.kept])
    places = columns.unit * (width + 1) + _domains(instance, columns)
    apart = np.array([each.spread is not None for each in columns.units])[columns.unit]
    return kept, ~kept & ~(apart & np.isin(places, places[kept]))


def _domains(instance: Instance, columns: Columns) -> NDArray[np.int64]:
    """Return a number for the domains of each column's offer, at the spread of its unit."""
    spread = np.array([unit.spread or "" for unit in columns.units], object)[columns.unit]
    domain = np.zeros(len(columns), np.int64)
    for level in sorted({unit.spread for unit in columns.units if unit.spread}):
        mine = spread == level
        domain[mine] = instance.pairs.facts.grouped(level)[1][columns.offer[mine]]
    return domain


def bound_month(
    instance: Instance, multipliers: Sequence[Multiplier], *, whole_gb: bool = True
) -> Decimal | None:
    """Return the monthly cost that multipliers prove no plan to be below, rounded down.

    Without ``whole_gb`` what they prove of parts of a GB. None where they prove nothing: one is
    negative, or of no limit, or there are other limits.
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
    usd_hr = exact.least(whole_gb=whole_gb)
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
        self._whole_gb = WholeGB(Fraction(0), [Fraction(0)], np.zeros(offers, np.int64))
        dearer: dict[str | None, Fraction] = {}
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
                dearer[owner] = dearer.get(owner, Fraction(0)) + sum(mine)
                continue
            if what == "gb" and owner is None:
                self._whole_gb = WholeGB(part, mine, limit.code)
            rest = part * sum(mine)
            for o, code in enumerate(limit.code.tolist()):
                each[what][o] += mine[code] - rest
        pairs = instance.pairs
        usd = [Fraction(price or 0) for price in pairs.offers["usd_gb_hr"]]
        sizes_gb: list[int] = pairs.offers["min_gb"].tolist()
        for o, usd_hr in pairs.fixed_usd_hr.items():
            usd[o] = Fraction(usd_hr) / max(1, sizes_gb[o])
        self._owner_of = [v.owner if v.owner in dearer else None for v in pairs.volumes]
        per_gb: dict[str | None, list[Fraction]] = {}
        for owner in dict.fromkeys(self._owner_of):
            more = sum({o: dearer.get(o, Fraction(0)) for o in (None, owner)}.values(), Fraction(1))
            per_gb[owner] = [p * more + gb for p, gb in zip(usd, each["gb"], strict=True)]
        largest = max(abs(x) for row in [*per_gb.values(), each["disks"]] for x in row)
        room = int(_LARGEST / ((largest + 1) * self._most() * 2))
        self.scale = 10 ** (len(str(room)) - 1) if room else 0
        self._whole_gb.most = int(self._whole_gb.usd_hr * self.scale)
        self._per_disk = _whole(each["disks"], self.scale)
        self._per_gb = {owner: _whole(row, self.scale) for owner, row in per_gb.items()}
        self._kept: dict[int, list[int]] = {}
        for v, o in instance.kept:
            self._kept.setdefault(v, []).append(o)

    def _most(self) -> int:
        """Return the most GB, or disks, of a replica."""
        pairs, most = self.instance.pairs, 1
        for at in range(0, len(pairs.volumes), self._size):
            rows = slice(at, at + self._size)
            larger = np.maximum(pairs.provision_gb[rows], pairs.disks[rows])
            most = int(larger.max(initial=most, where=pairs.broken[rows] == 0))
        return most

    @property
    def _size(self) -> int:
        """Return how many volumes are looked at at once."""
        return max(1, _BLOCK // len(self.instance.sites))

    def least(self, *, whole_gb: bool) -> Fraction | None:
        """Return what all volumes and GPUs cost at least; None where one has too few places."""
        if not self.scale:
            return None
        whole, parts = 0, [*_bundled(self.instance)]
        together = {v for part, _ in parts for v in part.volumes}
        for owner in self._per_gb:
            mine = [v for v, o in enumerate(self._owner_of) if o == owner and v not in together]
            for at in range(0, len(mine), self._size):
                block = np.array(mine[at : at + self._size], np.int64)
                least = self._placed(block, self._cost(block, owner))
                if least is None:
                    return None
                whole += least
        for part, place in parts:
            here = self._least_in_each_place(part, place)
            if not here:
                return None
            whole += min(here)
        if whole_gb and not parts and not self._kept:
            whole += self._whole_gb.beyond(self.scale)
        return Fraction(whole, self.scale)

    def _cost(self, volumes: _Ints, owner: str | None) -> _Ints:
        """Return what a replica of some volumes of an owner costs, (volumes, O)."""
        pairs = self.instance.pairs
        cost: _Ints = pairs.provision_gb[volumes] * self._per_gb[owner]
        cost += pairs.disks[volumes] * self._per_disk
        cost[pairs.broken[volumes] != 0] = _NEVER
        return cost

    def _least_in_each_place(self, part: Scope, place: _Ints) -> list[int]:
        """Return what volumes and the GPUs of their jobs cost in each place that has all."""
        rentals, count = self.instance.rentals, int(place.max(initial=-1)) + 1
        total, there = np.zeros(count, object), np.ones(count, np.bool_)
        needs = np.zeros(len(part.volumes), np.bool_)
        if rentals is not None:
            needs = needs_several_nodes(rentals, part)
        for v, several in zip(part.volumes, needs.tolist(), strict=True):
            (row,) = self._cost(np.array([v]), self._owner_of[v])
            least, inside = np.full(count, _NEVER), place >= 0
            if several and rentals is not None:
                inside &= rentals.multinode
            if v in self._kept:
                inside &= np.isin(np.arange(len(place)), self._kept[v])
            np.minimum.at(least, place[inside], row[inside])
            there &= least < _NEVER
            total += least.astype(object)
        for gpus in least_gpus(self.instance, part, place):
            there &= np.isin(np.arange(count), [*gpus])
            for at, usd_month in gpus.items():
                usd_hr = Fraction(usd_month) / self.instance.demand.policy.hours_per_month
                total[at] += usd_hr.numerator * self.scale // usd_hr.denominator
        return [int(each) for each in total[there]]

    def _placed(self, block: _Ints, cost: _Ints) -> int | None:
        """Return what the replicas of some volumes cost in places as far apart as they ask.

        Of those that are kept disks, what these cost.
        """
        whole, share, gb = 0, self._whole_gb, self.instance.pairs.provision_gb[block]
        volumes = [self.instance.pairs.volumes[v] for v in block.tolist()]
        together = np.array([not spreads(v.replicas, v.spread) for v in volumes], np.bool_)
        first, dearest = cost.argmin(axis=1), cost.min(axis=1)
        first_gb = gb[np.arange(len(gb)), first]
        beyond = cost[together] - dearest[together, None]
        share.choose(gb[together], beyond, first_gb[together])
        for n, (v, volume, row) in enumerate(zip(block.tolist(), volumes, cost, strict=True)):
            kept = self._kept.get(v, [])
            replicas = volume.replicas - len(kept)
            whole += sum(row[kept].tolist())
            if not together[n]:
                code = self.instance.pairs.facts.grouped(volume.spread)[1]
                in_place = np.full(int(code.max()) + 1, _NEVER)
                np.minimum.at(in_place, code, row)
                beyond = row - in_place[code]
                in_place[code[kept]] = _NEVER
                taken = np.argsort(in_place, kind="stable")[:replicas]
                each = in_place[taken].tolist()
                for place in taken.tolist():
                    held = gb[n, np.flatnonzero((code == place) & (beyond == 0))[:1]]
                    share.choose(gb[n : n + 1], beyond[None], held)
                    share.gb += int(held.sum())
            elif kept:
                row[kept] = _NEVER
                each = [int(row.min())] * replicas
            else:
                each = [int(dearest[n])] * replicas
                share.gb += int(first_gb[n]) * replicas
            if len(each) < replicas or _NEVER in each[-1:]:
                return None
            whole += sum(each)
            dearest[n] = max(each, default=0)
        if share.outside.any():
            elsewhere = cost[:, share.outside].min(axis=1) - dearest
            share.elsewhere = max(0, min(share.elsewhere, int(elsewhere.min())))
        return whole


def _whole(numbers: Sequence[Fraction], scale: int) -> NDArray[np.int64]:
    """Return numbers times a scale, rounded down."""
    return np.array([x.numerator * scale // x.denominator for x in numbers], np.int64)
