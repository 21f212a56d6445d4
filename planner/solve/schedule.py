"""When to buy what for volumes that grow: the cheapest disks over the whole horizon.

Months are t = 0 … H-1; at the end of month t a volume needs need_t. A stay is one disk of one
replica from month i to month j. It is bought for need_{j-1}, and costs

    usd_hr (hours (j - i) + overlap [j < H]) + egress need_{j-1} [j < H]

Replicas are covered by stays over all months.

Where nothing couples the replicas the least cost is a shortest path through the months. Replicas
that are spread stay in different domains in every month: see `apart`. Other volumes, and those
that are coupled, are decided in a program: `schedule_program`.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from planner.requirements.spread import spreads
from planner.solve.apart import TOGETHER, SpreadReplicas
from planner.solve.problem import Scope
from planner.solve.stats import SolveStats, Undecided
from planner.solve.timeline import Schedule, Stay
from planner.units import difference, total

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from numpy.typing import NDArray

    from planner.solve.timeline import Stays, Timeline


class Paths:
    """Shortest paths of volumes alone, in whole numbers: cost, then the number of stays.

    Parameters
    ----------
    line : Timeline
        V volumes, H months, O offers.

    Attributes
    ----------
    few : dict of list of Stay
        Of volumes whose copies need a program: the stays that may be in an optimum.
    """

    def __init__(self, line: Timeline) -> None:
        self.line, self.horizon = line, line.horizon
        volumes, hours = line.demand.volumes, line.demand.policy.hours_per_month
        scale, overlap, egress = line.scale
        ends = range(1, self.horizon + 1)
        prices = [
            int(Fraction(price or 0) * scale / overlap.denominator)
            for price in line.months[0].offers["usd_gb_hr"]
        ]
        billed = [
            [
                int((hours * (j - i) + overlap * (j < self.horizon)) * overlap.denominator)
                for j in ends
            ]
            for i in range(self.horizon)
        ]
        once = [
            [int(egress * scale * volume.need_at(j - 1) * (j < self.horizon)) for j in ends]
            if egress
            else [0] * self.horizon
            for volume in volumes
        ]
        copies = max(volume.replicas for volume in volumes)
        unit = self.horizon * copies + 1
        dearest = 0
        for pairs in line.months:
            sizes = np.where(pairs.broken == 0, pairs.provision_gb, 0).max(axis=0, initial=0)
            costs = (size * usd for size, usd in zip(sizes.tolist(), prices, strict=True))
            dearest = max(dearest, *costs, 0)
        most = dearest * sum(row[i] for i, row in enumerate(billed)) + max(map(sum, once))
        most = (most * unit + unit) * copies
        kind: Any = np.int64 if most < _MOST else object
        self.never = max(most, _MOST)
        self._billed = np.array(billed, dtype=object).astype(kind) * unit
        self._once = np.array(once, dtype=object).astype(kind) * unit + 1
        self.few: Stays = {}
        self.penalty = np.array(line.months[0].facts.penalty, np.int64)
        self._prices = np.array(prices, dtype=object).astype(kind) * 4
        # Of each volume until each month: the offer to take, and its weight.
        self.best = np.zeros((len(volumes), self.horizon), np.int64)
        self.least = np.full(self.best.shape, self.never, kind)
        for month in range(self.horizon if prices else 0):
            weights = self._weights(month)
            self.best[:, month] = weights.argmin(axis=1)
            self.least[:, month] = weights.min(axis=1)

    def _weights(self, month: int, rows: NDArray[np.int64] | slice = slice(None)) -> NDArray[Any]:
        """Return an hour's cost, times four, and stock, (V, O): the least is to be taken."""
        pairs = self.line.months[month]
        cost = pairs.provision_gb[rows].astype(self._prices.dtype) * self._prices + self.penalty
        return np.where(pairs.broken[rows] == 0, cost, self.never)

    def stays(self, v: int, path: NDArray[np.int64], start: int) -> list[Stay]:
        """Return the stays of a path from a month on, each at the best offer of a volume."""
        return [
            Stay(month, end, int(self.best[v, end - 1]) * self.horizon + end - 1)
            for month, end in self._steps(path, start)
        ]

    def _steps(self, path: NDArray[np.int64], start: int) -> list[tuple[int, int]]:
        """Return where each stay of a path from a month on starts and ends."""
        months = [start]
        while months[-1] < self.horizon:
            months.append(int(path[months[-1]]))
        return list(pairwise(months))

    def arcs(self, least: NDArray[Any], once: NDArray[Any], start: int) -> NDArray[Any]:
        """Return what stays from a month on cost: of weights (…, H) until each month after it."""
        weight = least[..., start:]
        cost = (weight >> 2) * self._billed[start, start:] + once[..., start:]
        return np.where(weight < self.never, cost, self.never)

    def paths(
        self, least: NDArray[Any], once: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Return the least cost from each month to the end, and where the stay from it ends."""
        shape = least.shape[:-1]
        left = np.zeros((*shape, self.horizon + 1), least.dtype)
        following = np.zeros((*shape, self.horizon), np.int64)
        for start in reversed(range(self.horizon)):
            cost = self.arcs(least, once, start) + left[..., start + 1 :]
            best = np.argmin(cost, axis=-1)
            following[..., start] = best + start + 1
            cheapest = np.take_along_axis(cost, best[..., None], -1)[..., 0]
            left[..., start] = np.minimum(cheapest, self.never)
        return left, following

    def cheapest(self) -> Stays:
        """Return the cheapest stays of every volume, were its replicas not kept apart."""
        _, following = self.paths(self.least, self._once)
        cheapest: Stays = {}
        for v, volume in enumerate(self.line.demand.volumes):
            mine = self.line.first[v]
            starts = [*(stay.end for stay in mine), *[0] * (volume.replicas - len(mine))]
            paths = (self.stays(v, following[v], start) for start in starts)
            cheapest[v] = [*mine, *(stay for path in paths for stay in path)]
        return cheapest

    def alone(self) -> tuple[Stays, set[int]] | None:
        """Return the best stays of each volume alone, and the volumes of which that is not known.

        None where a volume has no choice in some month.
        """
        line = self.line
        left, following = self.paths(self.least, self._once)
        done: Stays = {}
        unknown: set[int] = set()
        apart: dict[str, list[int]] = {}
        for v, volume in enumerate(line.demand.volumes):
            mine = list(line.first[v])
            starts = [*(stay.end for stay in mine), *[0] * (volume.replicas - len(mine))]
            if any(left[v, start] >= self.never for start in starts):
                return None
            if not spreads(volume.replicas, volume.spread):
                for start in starts:
                    mine += self.stays(v, following[v], start)
                done[v] = mine
            else:
                apart.setdefault(volume.spread, []).append(v)
        for level, volumes in apart.items():
            proven = self._apart(level, volumes)
            done.update(proven)
            unknown.update(v for v in volumes if v not in proven)
        return done, unknown

    def _apart(self, level: str, volumes: Sequence[int]) -> Stays:
        """Return the stays of volumes of which the cheapest are known without a program.

        Offers that lie in several places are first taken for a place of their own: stays that are
        apart even so are the cheapest.
        """
        market, live = self.line.domains(level)
        several = any(len(place) > 1 for place in (*market, *live.values()))
        numbers = {place: n for n, place in enumerate(dict.fromkeys((*market, *live.values())))}
        code = np.array([numbers[place] for place in market], np.int64)
        until = np.zeros((len(volumes), len(numbers)), np.int64)
        able = np.ones(len(volumes), np.bool_)
        for n, v in enumerate(volumes):
            for stay in self.line.first[v]:
                d = numbers[live[stay.choice]]
                able[n] &= stay.end > 0 and not until[n, d]
                until[n, d] = stay.end
        stays: Stays = {}
        rows = np.flatnonzero(able)
        step = max(1, TOGETHER // len(numbers))
        for first in range(0, len(rows), step):
            some = rows[first : first + step]
            stays.update(self._together(np.array(volumes)[some], code, until[some]))
        if several:
            for v in volumes:  # more may be in an optimum than where those places are apart
                self.few.pop(v, None)
            stays = {v: mine for v, mine in stays.items() if self._are_apart(mine, market, live)}
        return stays

    def _are_apart(
        self,
        stays: Sequence[Stay],
        market: Sequence[frozenset[Any]],
        live: Mapping[int, frozenset[Any]],
    ) -> bool:
        """Return whether stays share no place in any month."""
        placed = [(s, live.get(s.choice) or market[s.choice // self.horizon]) for s in stays]
        return not any(
            here & there and s.start < other.end and other.start < s.end
            for (s, here), (other, there) in combinations(placed, 2)
        )

    def _together(
        self, volumes: NDArray[np.int64], code: NDArray[np.int64], until: NDArray[np.int64]
    ) -> Stays:
        """Return those stays of some volumes, of offers in numbered domains."""
        inside = [np.flatnonzero(code == d) for d in range(until.shape[1])]
        offer = np.zeros((*until.shape, self.horizon), np.int64)
        least = np.full(offer.shape, self.never, self.least.dtype)
        every = np.stack([self._weights(t, volumes) for t in range(self.horizon)], axis=1)
        for d, offers in enumerate(inside):
            if len(offers):
                weights = every[..., offers]
                offer[:, d] = offers[weights.argmin(axis=2)]
                least[:, d] = weights.min(axis=2)
        # What is to be least among equally cheap stays: stock, then keys.
        ranks = (self.penalty[offer] << 32) + offer
        once = self._once[volumes][:, None]
        cost = [self.arcs(least, once, start) for start in range(self.horizon)]
        copies = np.array([self.line.demand.volumes[v].replicas for v in volumes.tolist()])
        stays: Stays = {}
        for n, parts, is_known in SpreadReplicas(cost, until, copies, ranks, self.never).cheapest():
            v, at = int(volumes[n]), offer[n]
            few = [Stay(i, j, int(at[d, j - 1]) * self.horizon + j - 1) for d, i, j in parts]
            if is_known:
                stays[v] = [*self.line.first[v], *few]
            else:
                self.few[v] = few
        return stays


_MOST = 2**60
"""Up to what sums are held in 64 bits, exactly; beyond it in whole numbers of Python."""


def schedule(line: Timeline, stats: SolveStats) -> Schedule | None:
    """Return the cheapest schedule; None where there is none.

    Raises
    ------
    Undecided
        When time ran out before there was any.
    """
    paths = Paths(line)
    alone = paths.alone()
    if alone is None:
        return None
    stays, unknown = alone
    bounds: list[Decimal] = []
    parts = [Scope((v,), (), ()) for v in sorted(unknown)]
    for scope in (*parts, *(line.instance.components if line.is_coupled else ())):
        volumes = {v: stays[v] for v in scope.volumes if v in stays}
        if len(volumes) == len(scope.volumes) and _settles(line, scope, volumes):
            continue
        few = paths.few if not (scope.ties or scope.workloads) else {}
        part = _solved(line, scope, stats, few)
        if part is None:
            return None
        stays.update(part.stays)
        if part.bound_usd is not None:
            bounds.append(difference(part.usd, part.bound_usd))
    usd = line.disks_usd(stays)
    if line.is_coupled:
        if not line.holds(line.instance.whole, stays):
            return _solved(line, line.instance.whole, stats)
        gpus = line.gpus_usd(stays, line.instance.whole.workloads)
        if gpus is None:
            return None
        usd = total([usd, gpus])
    return Schedule(stays, usd, difference(usd, total(bounds)) if bounds else None)


def least_usd(line: Timeline) -> Schedule | None:
    """Return the cheapest schedule where no solver is needed to know it; None where there is none.

    Elsewhere its cost and bound are those of every volume and workload alone: nothing costs less.
    """
    try:
        return schedule(line, SolveStats(forbidden=True))
    except Undecided:
        usd = line.disks_usd(Paths(line).cheapest())
        rentals = line.instance.rentals
        if rentals is not None:
            anywhere = np.ones(len(rentals.gpus), np.bool_)
            best = [(w, rentals.best(w, anywhere)) for w in range(len(rentals.workloads))]
            costs = (rentals.usd_month(w, g) * line.horizon for w, g in best if g is not None)
            usd = total([usd, *costs])
        return Schedule({}, usd, usd)


def _settles(line: Timeline, scope: Scope, stays: Stays) -> bool:
    """Return whether the best stays of each volume alone are the best of a scope."""
    if not line.holds(scope, stays):
        return False
    rentals = line.instance.rentals
    if rentals is None or not scope.workloads:
        return not line.demand.workloads or rentals is not None
    anywhere = np.ones(len(rentals.gpus), np.bool_)
    best = [rentals.best(w, anywhere) for w in scope.workloads]
    if None in best:
        return False
    least = [
        rentals.usd_month(w, g) for w, g in zip(scope.workloads, best, strict=True) if g is not None
    ]
    return line.gpus_usd(stays, scope.workloads) == total(least * line.horizon)


def _solved(
    line: Timeline, scope: Scope, stats: SolveStats, few: Stays | None = None
) -> Schedule | None:
    from planner.solve.schedule_program import solve_scope  # noqa: PLC0415 -- it loads the solver

    if stats.forbidden:
        raise Undecided
    return solve_scope(line, scope, stats, few or {})
