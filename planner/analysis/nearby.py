"""Plans near an optimum: one relaxation of the whole says which candidates a change may need.

With the prices of its constraints, a solution costs the relaxation's bound and the reduced cost of
every candidate that it uses. A change of some volumes' candidates leaves these as they are. So what
they need at least is known, every candidate that costs more beyond it than the solution in hand is
in no better one, and the program of the few that are left is solved to the last cent.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from planner.solve.bundles import Bundles
from planner.solve.candidates import BIT
from planner.solve.model import Program
from planner.solve.optimum import Optimum, solve_columns
from planner.solve.presolve import every_column
from planner.solve.stats import Undecided

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from planner.demand.model import Volume
    from planner.solve.problem import Instance

_OF_OFFERS = ("malformed", "unpriced", "unavailable", "unsellable", "one_disk", "kept", "shared")
_FACTS = np.uint32(sum(BIT[rule] for rule in _OF_OFFERS))
"""Rules that no requirement asks: what breaks one of them is no candidate under any change."""
_LARGE, _NEAR = 3000, 1e-7
"""Pairs up to which a changed instance is solved to the last cent; and to which part of its cost a
larger one is."""
_WIDER, _ROUNDING, _TRIES = 8, 1e-9, 12
_NEVER = 1e6
"""USD an hour that a candidate costs which there is not: more than anything."""
_MOST_COLUMNS = 4000


class Nearby:
    """The relaxation of an instance, and the optimum of it under changes.

    Parameters
    ----------
    instance : Instance
        What is changed.
    plan : Optimum
        A solution of it.

    Attributes
    ----------
    columns_solved : int
        Of all programs so far: what they were worth.

    Raises
    ------
    Undecided
        When there is no relaxation.
    """

    def __init__(self, instance: Instance, plan: Optimum) -> None:
        self._instance, self._plan, self.columns_solved = instance, plan, 0
        pairs, scope = instance.pairs, instance.whole
        open_pairs = np.where(pairs.broken & _FACTS, pairs.broken, np.uint32(0))
        everywhere = replace(instance, pairs=replace(pairs, broken=open_pairs))
        self._columns = columns = every_column(everywhere, scope)
        self._volume, self._offer = columns.volume, columns.offer
        self._bundles = Bundles.of(instance, scope, columns)
        self._bundle = self._bundles.of_unit[columns.unit]
        units = np.bincount(self._bundles.of_unit, minlength=len(columns.units))
        counts = np.array([unit.count for unit in columns.units])
        self._counts = np.where(units == 1, counts, np.minimum(units, 1))
        is_candidate = self._is_candidate(instance)
        program = Program(instance, scope, columns, relaxed=True)
        for i in np.flatnonzero(~is_candidate).tolist():
            program.x[i].upBound = 0
        ideal = program.cheapest(time_limit_s=None)
        if ideal.reduced is None or ideal.bound_usd_hr is None:
            raise Undecided
        self._near_enough = (pairs.broken.size > _LARGE) * _NEAR * ideal.bound_usd_hr
        self._bound = ideal.bound_usd_hr * (1 - _ROUNDING)
        self._reduced = np.where(is_candidate, np.maximum(ideal.reduced, 0), ideal.reduced)

    def _is_candidate(self, other: Instance) -> NDArray[np.bool_]:
        return np.asarray(other.pairs.broken[self._volume, self._offer] == 0)

    @cached_property
    def base(self) -> Optimum:
        """Return the optimum of the instance itself."""
        if self._usd_hr(self._plan) - self._bound <= self._near_enough:
            return self._plan
        best = self._solved(self._instance)
        return self._plan if best is None or self._plan.usd_month <= best.usd_month else best

    def _usd_hr(self, best: Optimum) -> float:
        return float(best.usd_month) / self._instance.demand.policy.hours_per_month

    def is_near(self, other: Instance) -> bool:
        """Return whether candidates of volumes are all that is different in another instance."""
        mine, theirs = self._instance, other
        same = ("groups", "workloads", "policy")
        if any(getattr(mine.demand, name) != getattr(theirs.demand, name) for name in same):
            return False
        if mine.pairs.broken.shape != theirs.pairs.broken.shape or mine.kept != theirs.kept:
            return False
        if mine.rentals is not theirs.rentals or mine.pairs.offers is not theirs.pairs.offers:
            return False
        if any(_look(v) != _look(w) for v, w in zip(mine.volumes, theirs.volumes, strict=True)):
            return False
        known = np.count_nonzero(self._is_candidate(other))
        return bool(known == np.count_nonzero(theirs.pairs.broken == 0))

    def best(self, other: Instance) -> Optimum | None:
        """Return the optimum of a changed instance; None where there is none.

        Raises
        ------
        Undecided
            When it takes too much work.
        """
        before, after = self._is_candidate(self._instance), self._is_candidate(other)
        if not other.forced and not (before & ~after).any():
            beyond, floor = self._beyond(other)
            new = beyond[after & ~before].min(initial=np.inf)
            if floor + new > self._usd_hr(self.base):
                return self.base  # no solution with what is new costs as little
        return self._solved(other)

    def _beyond(self, other: Instance) -> tuple[NDArray[np.float64], float]:
        """Return what a column costs beyond the least of its bundle, (n,), and the sum of all."""
        weight = np.where(self._is_candidate(other), self._reduced, _NEVER)
        each = self._bundles.at_best(weight)
        least = np.full(len(self._counts), np.inf)
        np.minimum.at(least, self._bundle, each)
        beyond, floor = each - least[self._bundle], self._bound
        bundles = self._counts > 0
        floor += float(least[bundles] @ self._counts[bundles])
        for v, offers in other.forced:
            mine = (self._volume == v) & np.isin(self._offer, list(offers))
            further = float(beyond[mine].min(initial=_NEVER))
            floor += further
            beyond = beyond - np.where(self._bundle == self._bundle[mine][:1], further, 0)
        return beyond, floor

    def _solved(self, other: Instance) -> Optimum | None:
        beyond, floor = self._beyond(other)
        if floor >= _NEVER / 2:
            return None
        candidates = self._is_candidate(other)
        width = max(_NEAR * self._bound, 2 * (self._usd_hr(self._plan) - self._bound))
        for _ in range(_TRIES):
            kept = candidates & (beyond <= width)
            many = int(kept.sum())
            if many > _MOST_COLUMNS and many < candidates.sum():
                raise Undecided
            self.columns_solved += many
            best = solve_columns(other, self._columns.take(kept), self._near_enough)
            spare = np.inf if best is None else self._usd_hr(best) - floor
            if spare <= width or many == candidates.sum():
                return best
            further = width * _WIDER if best is None else spare
            width = further * (1 + _ROUNDING) + abs(floor) * _ROUNDING
        raise Undecided


def _look(volume: Volume) -> tuple[object, ...]:
    """Return what a program sees of a volume beside its candidates."""
    return volume.name, volume.need_gb, volume.replicas, volume.spread, volume.owner
