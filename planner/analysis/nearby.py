"""Plans near a plan: what a change costs at least, what it costs at most, and what it costs.

With prices of the limits that couple volumes, no plan costs less than all volumes at their least
(see `planner.analysis.priced`). A change of some volumes leaves that of the others as it is: what
it costs at least is known at once, and so is a plan that is not much dearer, from few moves. Where
the two are apart, candidates that cost more than the distance between them are in no better plan,
and the program of those that are left decides.

Where something else couples volumes too (workloads, a cap on sites, live disks), the relaxed
program of the whole takes the place of the prices.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from planner.analysis.priced import LimitPrices, Unit, has_prices, multipliers_of, units_of
from planner.analysis.pricing import CostBound
from planner.analysis.repair import Repairs, differing, keeps
from planner.requirements.spread import spreads
from planner.solve.candidates import BIT
from planner.solve.optimum import Optimum, solve_columns
from planner.solve.presolve import every_column
from planner.solve.stats import Undecided

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from numpy.typing import NDArray

    from planner.solve.certificate import Multiplier
    from planner.solve.problem import Chosen, Instance

    _Floats = NDArray[np.float64]
    _Ints = NDArray[np.int64]

_OF_OFFERS = ("malformed", "unpriced", "unavailable", "unsellable", "one_disk", "kept", "shared")
_FACTS = np.uint32(sum(BIT[rule] for rule in _OF_OFFERS))
"""Rules that no requirement asks: what breaks one of them is no candidate under any change."""
_LARGE, _NEAR = 3000, 1e-7
"""Pairs up to which a changed instance is solved to the last cent; and to which part of its cost a
larger one is."""
_OF_MANY = 10
"""How many times that far many answers may be from what is proven: as far as a plan."""
_WIDER, _ROUNDING, _TRIES = 8, 1e-9, 12
_MOST_COLUMNS, _EVERY = 4000, 1500
"""Candidates that a program may have, and of which all are taken after a few have no plan."""


@dataclass(frozen=True)
class Bracket:
    """What a changed instance costs.

    Attributes
    ----------
    best : Optimum | None
        The best plan that is known.
    least_usd_hr : float
        No plan costs less; infinite where there is none.
    is_exact : bool
        Whether nothing is cheaper, to the last cent.
    beyond : dict of ndarray of float, shape (O,)
        Of each changed volume, what a plan with a replica costs beyond that, at least.
    """

    best: Optimum | None
    least_usd_hr: float
    is_exact: bool = False
    beyond: dict[int, _Floats] = field(default_factory=dict)


class Nearby:
    """The plans near a plan.

    Parameters
    ----------
    instance : Instance
        What is changed.
    plan : Optimum
        A solution of it.
    multipliers : sequence of Multiplier
        Prices of its limits, where they are known.

    Attributes
    ----------
    columns_solved : int
        Of all programs so far: what they were worth.

    Raises
    ------
    Undecided
        When there is no relaxation.
    """

    def __init__(
        self, instance: Instance, plan: Optimum, multipliers: Sequence[Multiplier] = ()
    ) -> None:
        self._instance, self._plan, self.columns_solved = instance, plan, 0
        self._multipliers = tuple(multipliers)
        self._is_priced = has_prices(instance)
        if self._is_priced:
            self._multipliers = self._multipliers or multipliers_of(instance)
            self._priced = LimitPrices(instance, self._multipliers)
            self._constant = self._priced.constant
        else:
            self._constant, self._program_rows = _relaxed(instance)
        self._units = units_of(instance)
        self._rows = self._weights(instance, range(len(instance.volumes)))
        self._each, self._beyond = self._costs(instance, self._units, self._rows)
        self._bound = _lowered(sum(self._each.values()) + self._constant)
        priced = self._priced if self._is_priced else None
        self._repairs = Repairs(instance, plan, priced, self._rows)
        self._near_enough = (instance.pairs.broken.size > _LARGE) * _NEAR * self._bound

    # The least.

    def _weights(
        self, other: Instance, volumes: Sequence[int], priced: LimitPrices | None = None
    ) -> _Floats:
        """Return what a replica of volumes costs at the prices, infinite where none can be."""
        if self._is_priced:
            return (priced or self._priced).rows(other, volumes)
        at = list(volumes)
        rows: _Floats = np.where(other.pairs.broken[at] == 0, self._program_rows[at], np.inf)
        return rows

    def _costs(
        self, other: Instance, units: Sequence[Unit], rows: _Floats
    ) -> tuple[dict[Unit, float], _Floats]:
        """Return what units cost at least, and what each offer costs beyond that, (V, O)."""
        each, beyond = dict[Unit, float](), np.full(rows.shape, np.inf)
        for unit in units:
            mine = list(unit.volumes)
            each[unit], beyond[mine] = _cost(other, unit, rows[mine])
        return each, beyond

    @cached_property
    def base(self) -> Optimum:
        """Return the optimum of the instance itself."""
        if self.is_settled(Bracket(self._plan, self._bound), is_one_of_many=True):
            return self._plan
        best = self.solved(self._instance, Bracket(self._plan, self._bound))
        return self._plan if best is None or self._plan.usd_month <= best.usd_month else best

    def _usd_hr(self, best: Optimum) -> float:
        return float(best.usd_month) / self._instance.demand.policy.hours_per_month

    def is_near(self, other: Instance) -> bool:
        """Return whether what it costs follows from what is known of this instance."""
        mine, theirs = self._instance, other
        hours = [each.demand.policy.hours_per_month for each in (mine, theirs)]
        if (
            mine.pairs.broken.shape != theirs.pairs.broken.shape
            or mine.pairs.offers is not theirs.pairs.offers
            or mine.kept != theirs.kept
            or hours[0] != hours[1]
        ):
            return False
        if self._is_priced:
            return has_prices(other)
        same = ("groups", "workloads", "policy")
        opened = (theirs.pairs.broken == 0) & (mine.pairs.broken != 0)
        return (
            all(getattr(mine.demand, name) == getattr(theirs.demand, name) for name in same)
            and mine.rentals is theirs.rentals
            and not differing(mine, theirs)
            and bool(np.isfinite(self._program_rows[opened]).all())
        )

    def bracket(self, other: Instance) -> Bracket:
        """Return what a changed instance costs at least, and a plan of it, without a program."""
        is_tied_alike = _is_tied_alike(other, self._instance)
        mine, theirs, priced = self._instance.pairs, other.pairs, None
        if self._is_priced and other.demand.policy != self._instance.demand.policy:
            priced, changed = LimitPrices(other, self._multipliers), {*range(len(other.volumes))}
        else:
            differs = ((mine.broken == 0) != (theirs.broken == 0)).any(axis=1)
            changed = {*np.flatnonzero(differs).tolist(), *(v for v, _ in other.forced)}
            changed |= differing(self._instance, other)
        touched = {
            unit
            for unit in self._units
            if changed & {*unit.volumes} or not (is_tied_alike or len(unit.volumes) == 1)
        }
        units: Sequence[Unit] = self._units
        if any(unit.place is not None for unit in touched):
            units = units_of(other)
        again = [unit for unit in units if unit not in self._each or unit in touched]
        each = {**self._each}
        rows: dict[int, _Floats] = {}
        beyond: dict[int, _Floats] = {}
        for unit in again:
            weights = self._weights(other, unit.volumes, priced)
            each[unit], costs = _cost(other, unit, weights)
            rows.update(zip(unit.volumes, weights, strict=True))
            beyond.update(zip(unit.volumes, costs, strict=True))
        constant = self._constant if priced is None else priced.constant
        least = _lowered(sum(each[unit] for unit in units) + constant)
        if np.isinf(least):
            return Bracket(None, np.inf, is_exact=True)
        if priced is None and self._is_still_best(other, changed, least, beyond):
            return Bracket(self.base, least, is_exact=True)
        best = self._repairs.repair(other, again, rows, is_moved=priced is None)
        return Bracket(best, least, beyond=beyond)

    def _is_still_best(
        self, other: Instance, changed: set[int], least: float, beyond: dict[int, _Floats]
    ) -> bool:
        """Return whether the plan is allowed still, and what is new is in no better one."""
        if not _is_tied_alike(other, self._instance) or differing(self._instance, other):
            return False
        if not all(keeps(other, v, self.base.chosen[v]) for v in changed):
            return False
        new = np.inf
        for v in changed:
            opened = (other.pairs.broken[v] == 0) & (self._instance.pairs.broken[v] != 0)
            new = min(new, beyond[v][opened].min(initial=np.inf))
        return least + new > self._usd_hr(self.base)

    # A replica at each offer.

    def with_replica(
        self, v: int, offers: Sequence[int]
    ) -> tuple[list[float], list[Decimal | None]]:
        """Return what a replica of a volume at each of some offers costs without a program.

        What no plan costs less than in an hour, infinite where there is none; and what a plan costs
        in a month, None where none is known.
        """
        unit = next(unit for unit in self._units if v in unit.volumes)
        least = (self._bound + self._beyond[v, list(offers)]).tolist()
        there = [o for o, usd_hr in zip(offers, least, strict=True) if usd_hr < np.inf]
        known = dict(zip(there, self._repairs.with_replica(unit, v, there), strict=True))
        return least, [known.get(o) for o in offers]

    # A price.

    def rival(self, o: int, *, rises: bool) -> Chosen | None:
        """Return a plan that becomes cheaper as the price of an offer rises, or falls."""
        if not self._is_priced:
            return None
        beyond = self._bound + self._beyond[:, o] - self._usd_hr(self._plan)
        return self._repairs.rival(self._units, o, None if rises else beyond)

    def proven_price(self, o: int, end: float, gb: float) -> float | None:
        """Return how far a price may move towards an end with no plan cheaper than the plan.

        By more than what counts as near enough. None where no prices of limits prove anything.

        Parameters
        ----------
        gb : float
            What the plan has at the offer.
        """
        if not self._is_priced:
            return None
        bound = CostBound(self._instance, self._priced, self._units, self._rows, o)
        today = float(self._instance.usd_gb_hr(o))
        usd_hr, spare = self._usd_hr(self._plan), max(self._near_enough * _OF_MANY, _ROUNDING)
        return bound.proven(today, end, usd_hr - spare, gb)

    # The program.

    def best(self, other: Instance) -> Optimum | None:
        """Return the optimum of a changed instance; None where there is none.

        Raises
        ------
        Undecided
            When it takes too much work.
        """
        bracket = self.bracket(other)
        return bracket.best if self.is_settled(bracket) else self.solved(other, bracket)

    def is_settled(self, bracket: Bracket, *, is_one_of_many: bool = False) -> bool:
        """Return whether the best plan that is known is as near to the least as need be.

        A large one is near enough at a ten millionth of its cost, at a millionth as one of many.
        """
        if bracket.is_exact or bracket.best is None:
            return bracket.is_exact
        usd_hr = self._usd_hr(bracket.best)
        if is_one_of_many:
            return self.is_near_enough(usd_hr, bracket.least_usd_hr)
        return usd_hr - bracket.least_usd_hr <= self._near_enough

    @property
    def is_large(self) -> bool:
        """Return whether prices of limits answer, and no program to the last cent."""
        return self._is_priced and self._near_enough > 0

    def is_near_enough(self, usd_hr: float, least_usd_hr: float) -> bool:
        """Return whether a cost is near enough to the least, as one of many."""
        return usd_hr - least_usd_hr <= self._near_enough * _OF_MANY

    def solved(self, other: Instance, bracket: Bracket) -> Optimum | None:
        """Return the optimum of a changed instance, from the program of few candidates.

        Raises
        ------
        Undecided
            When it takes too much work.
        """
        columns, least = every_column(other, other.whole), bracket.least_usd_hr
        beyond = self._beyond[columns.volume, columns.offer]
        for v, costs in bracket.beyond.items():
            mine = columns.volume == v
            beyond[mine] = costs[columns.offer[mine]]
        width = max(_NEAR * self._bound, 2 * (self._usd_hr(self._plan) - self._bound))
        if bracket.best is not None:
            width = self._usd_hr(bracket.best) - least
        possible, before = int(np.isfinite(beyond).sum()), -1
        for _ in range(_TRIES):
            kept = np.isfinite(beyond) & (beyond <= width + _ROUNDING * abs(least))
            many, some = int(kept.sum()), columns.take(kept)
            if many == before or (some.has_empty_domain and many < possible):
                width = max(width, _NEAR * self._bound) * _WIDER
                continue
            if many > _MOST_COLUMNS and many < possible:
                raise Undecided
            before = many
            self.columns_solved += many
            best = solve_columns(other, some, self._near_enough)
            spare = np.inf if best is None else self._usd_hr(best) - least
            if spare <= width or many == possible:
                return best
            if best is not None:
                width = spare * (1 + _ROUNDING)
            else:  # there may be none at all: a small program of every candidate tells
                width = np.inf if possible <= _EVERY else width * _WIDER
        raise Undecided


def _lowered(usd_hr: float) -> float:
    return usd_hr - _ROUNDING * abs(usd_hr) if np.isfinite(usd_hr) else usd_hr


def _relaxed(instance: Instance) -> tuple[float, _Floats]:
    """Return what the relaxed program proves, and the reduced costs of candidates, (V, O).

    Infinite where there is no candidate under any change.
    """
    from planner.solve.model import Program  # noqa: PLC0415 -- it loads PuLP and HiGHS

    broken = instance.pairs.broken
    open_pairs = np.where(broken & _FACTS, broken, np.uint32(0))
    everywhere = replace(instance, pairs=replace(instance.pairs, broken=open_pairs))
    columns = every_column(everywhere, instance.whole)
    program = Program(instance, instance.whole, columns, relaxed=True)
    is_candidate = broken[columns.volume, columns.offer] == 0
    for i in np.flatnonzero(~is_candidate).tolist():
        program.x[i].upBound = 0
    ideal = program.cheapest(time_limit_s=None)
    if ideal.reduced is None or ideal.bound_usd_hr is None:
        raise Undecided
    rows = np.full(broken.shape, np.inf)
    reduced = np.where(is_candidate, np.maximum(ideal.reduced, 0), ideal.reduced)
    rows[columns.volume, columns.offer] = reduced
    return ideal.bound_usd_hr, rows


def _cost(other: Instance, unit: Unit, rows: _Floats) -> tuple[float, _Floats]:
    """Return what a unit costs at least, and what each offer costs beyond that, (m, O)."""
    if unit.place is not None:
        code = unit.place
        rows = np.where(code < 0, np.inf, rows)
        each = np.full((len(rows), int(code.max()) + 2), np.inf)
        for row, costs in zip(each, rows, strict=True):
            np.minimum.at(row, code, costs)
        sums = each.sum(axis=0)
        least = float(sums.min())
        if np.isinf(least):
            return least, np.full(rows.shape, np.inf)
        here = each[:, code]
        return least, rows - np.where(np.isinf(here), 0, here) + (sums[code] - least)
    (v,), (row,) = unit.volumes, rows
    volume = other.volumes[v]
    if spreads(volume.replicas, volume.spread) and other.least.is_single(volume.spread):
        code = codes(other, volume.spread, apart=True)
        cell = np.full(int(code.max()) + 1, np.inf)
        np.minimum.at(cell, code, row)
        order = np.sort(cell)
        if len(order) < volume.replicas or np.isinf(order[volume.replicas - 1]):
            return np.inf, np.full(rows.shape, np.inf)
        last = order[volume.replicas - 1]
        least, instead = float(order[: volume.replicas].sum()), np.minimum(cell, last)[code]
    else:
        last = row.min()
        least, instead = float(last) * volume.replicas, np.full(len(row), last)
        if np.isinf(last):
            return np.inf, np.full(rows.shape, np.inf)
    beyond = np.maximum(row - instead, 0)
    for of, offers in other.forced:
        if of == v:
            further = beyond[list(offers)].min(initial=np.inf)
            least, beyond = least + further, np.maximum(beyond - further, 0)
    return least, beyond[np.newaxis]


def codes(instance: Instance, level: str, *, apart: bool = False) -> _Ints:
    """Return a number for the places of each offer at a level, or of copies that are apart."""
    numbers: dict[object, int] = {}
    places = instance.spread_domains(level) if apart else instance.places(level)
    return np.array([numbers.setdefault(place, len(numbers)) for place in places], np.int64)


def _is_tied_alike(left: Instance, right: Instance) -> bool:
    return left.demand.groups == right.demand.groups
