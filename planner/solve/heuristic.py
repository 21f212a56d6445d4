"""The greedy user: volume by volume, always the cheapest offer that still fits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from planner.requirements.policy import ProviderShare
from planner.solve.bound import spreads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from planner.requirements.base import PolicyRequirement
    from planner.requirements.group import GroupConstraint
    from planner.solve.problem import Chosen, Instance


def greedy(instance: Instance) -> Chosen | str:
    """Return what somebody chooses who never takes a choice back, or where that ends.

    Each volume in the demand's order keeps its existing disks and takes its cheapest offers that
    agree with the volumes before it: their groups, the caps on sites and providers, and GPUs for
    what is mounted with them.

    Returns
    -------
    dict of list of int, or str
        Offers of each volume; or the sentence that says which one found none.
    """
    ties: dict[int, list[GroupConstraint]] = {}
    for tie in instance.ties:
        for v in tie.members:
            ties.setdefault(v, []).append(tie)
    jobs: dict[int, list[int]] = {}
    for w, mounts in enumerate(instance.rentals.mounts if instance.rentals is not None else ()):
        for v in mounts:
            jobs.setdefault(v, []).append(w)
    chosen: Chosen = {}
    alone = None if _place_caps(instance) else instance.least.settle()
    existing = {v for v, _ in instance.kept}
    for v, volume in enumerate(instance.pairs.volumes):
        is_free = v not in ties and v not in jobs and v not in existing
        offers = alone[v] if alone is not None and is_free else None
        if offers is None:
            offers = _cheapest(instance, v, ties.get(v, []), jobs.get(v, []), chosen)
        if offers is None:
            return f"after the cheapest choices before it, none is left for {volume.name}"
        chosen[v] = offers
    return chosen


def _cheapest(
    instance: Instance, v: int, ties: list[GroupConstraint], jobs: list[int], chosen: Chosen
) -> list[int] | None:
    volume = instance.pairs.volumes[v]
    apart = spreads(volume.replicas, volume.spread)
    mine = [o for u, o in instance.kept if u == v]
    for o in _by_cost(instance, v):
        if o in instance.pairs.fixed_usd_hr:
            continue
        while len(mine) < volume.replicas and _fits(
            instance, v, o, mine, chosen, ties, apart=apart
        ):
            if not mine and not all(_has_gpus(instance, w, {**chosen, v: [o]}) for w in jobs):
                break  # the first replica is the one that the workloads mount
            mine.append(o)
            if apart:
                break
        if len(mine) == volume.replicas:
            break
    if len(mine) < volume.replicas:
        return None
    together = {**chosen, v: sorted(mine)}
    placed = [replace(t, members=tuple(u for u in t.members if u in together)) for t in ties]
    if not all(tie.holds(instance, together) for tie in placed):
        return None
    if not all(_has_gpus(instance, w, together) for w in jobs):
        return None
    return together[v]


def _by_cost(instance: Instance, v: int) -> Iterator[int]:
    offers = np.flatnonzero(instance.pairs.broken[v] == 0).tolist()
    yield from sorted(offers, key=lambda o: (instance.pairs.usd_hr(v, o), o))


def _fits(
    instance: Instance,
    v: int,
    o: int,
    mine: list[int],
    chosen: Chosen,
    ties: list[GroupConstraint],
    *,
    apart: bool,
) -> bool:
    """Return whether one more replica there agrees with what is placed already."""
    volumes = instance.pairs.volumes
    if apart:
        places = instance.spread_domains(volumes[v].spread)
        if any(places[o] & places[other] for other in mine):
            return False
    if not all(tie.admits(instance, chosen, v, o) for tie in ties):
        return False
    together = {**chosen, v: [*mine, o]}
    return all(cap.holds(instance, together) for cap in _place_caps(instance))


def _place_caps(instance: Instance) -> list[PolicyRequirement]:
    """Return the limits on places, which a choice that breaks one never mends."""
    return [one for one in instance.requirements if one.levels and "gb" not in one.looks_at]


def _has_gpus(instance: Instance, w: int, chosen: Chosen) -> bool:
    """Return whether a workload has GPUs beside those of its volumes that are placed."""
    rentals = instance.rentals
    return rentals is not None and bool(
        (instance.reachable(w, chosen) & (rentals.broken[w] == 0)).any()
    )


if TYPE_CHECKING:
    from numpy.typing import NDArray

    from planner.solve.presolve import Columns
    from planner.solve.problem import Instance

    _Floats = NDArray[np.float64]
    _Ints = NDArray[np.int64]

_MOVES = 1000
"""Moves that are held against each other at a time: pairs are this many squared."""
_ROUNDS = 80
_PATIENCE = 6
"""Samples without a better pair, after which a few random moves give a fresh start."""
_KICK = 3
_SEED = 20
_POOL = 8
"""Cheapest alternatives of a volume that are moved to."""


def repaired(
    instance: Instance,
    columns: Columns,
    values: _Floats,
    reduced: _Floats,
    good_enough: float,
) -> _Ints | None:
    """Return whole counts near a relaxed solution that keep the share; None where none is found.

    Parameters
    ----------
    values, reduced : ndarray of float, shape (n,)
        Relaxed counts, and reduced costs in USD per hour.
    good_enough : float
        USD per hour of reduced cost and unused room at which the search ends.
    """
    shares = [one.value for one in instance.requirements if isinstance(one, ProviderShare)]
    if not shares:
        return None
    counts = _rounded(columns, values)
    if counts is None:
        return None
    search = _Search(instance, columns, reduced, float(shares[0]))
    return search.run(counts, good_enough)


def _rounded(columns: Columns, values: _Floats) -> _Ints | None:
    """Return each unit's replicas at their largest parts; None where several would be split."""
    counts = np.floor(values + 1e-6).astype(np.int64)
    placed = np.bincount(columns.unit, weights=counts, minlength=len(columns.units))
    rest = values - counts
    for k in np.flatnonzero(placed < [unit.count for unit in columns.units]).tolist():
        unit = columns.units[k]
        mine = np.flatnonzero(columns.unit == k)
        if unit.count > 1 and unit.spread is not None:
            return None
        for i in mine[np.argsort(-rest[mine], kind="stable")][: unit.count - int(placed[k])]:
            counts[i] += 1
    return counts


class _Search:
    """A local search over single moves and pairs of them, cheapest first, no randomness."""

    def __init__(
        self, instance: Instance, columns: Columns, reduced: _Floats, share: float
    ) -> None:
        self._columns, self._reduced, self._share = columns, reduced, share
        offers = instance.pairs.offers
        names = offers["provider"].tolist()
        numbers = {name: n for n, name in enumerate(dict.fromkeys(names))}
        self._provider = np.array([numbers[name] for name in names], np.int64)[columns.offer]
        self._providers = len(numbers)
        volume = columns.volume
        self._gb = instance.pairs.provision_gb[volume, columns.offer].astype(float)
        price = np.array([float(usd or 0) for usd in offers["usd_gb_hr"]])
        self._usd_hr = self._gb * price[columns.offer]
        # A GB too much must cost more than any move that mends it can.
        self._penalty = 10 * float(price.max())
        single = np.array([unit.count == 1 for unit in columns.units])
        order = np.lexsort((reduced, columns.unit))
        starts = np.flatnonzero(np.r_[True, np.diff(columns.unit[order]) != 0])
        sizes = np.diff(np.r_[starts, len(order)])
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order)) - np.repeat(starts, sizes)
        movable = np.flatnonzero(single[columns.unit] & (rank < _POOL))
        self._is_movable = np.zeros(len(columns), np.bool_)
        self._is_movable[movable] = True
        self._cheapest = order[starts]
        self._movable = movable[np.argsort(reduced[movable], kind="stable")]

    def run(self, counts: _Ints, good_enough: float) -> _Ints | None:
        """Return the best counts found that keep the share, or None."""
        random = np.random.default_rng(_SEED)
        self._start(counts)
        best, best_usd_hr, idle = None, np.inf, 0
        for _ in range(_ROUNDS):
            idle = 0 if self._improve(random) else idle + 1
            if self._usd < best_usd_hr and self._excess() <= 0:
                best, best_usd_hr = self._counts.copy(), self._usd
            if best_usd_hr <= good_enough:
                break
            if idle > _PATIENCE:
                idle = 0
                moves = self._sample(random)
                if not len(moves):
                    break
                for to in random.choice(moves, _KICK):
                    self._move(int(to))
        return best

    def _improve(self, random: np.random.Generator) -> bool:
        """Make the best pair of moves, half of the time after taking back a costly one."""
        before, undone = self._merit(), None
        costly = np.flatnonzero((self._counts > 0) & (self._reduced > 0) & self._is_movable)
        if len(costly) and random.random() < 0.5:  # noqa: PLR2004 -- half of the time
            undone = int(random.choice(costly))
            self._move(int(self._cheapest[self._columns.unit[undone]]))
        moves = self._best(self._sample(random), before)
        for to in moves or ():
            self._move(to)
        if moves is None and undone is not None and self._merit() >= before:
            self._move(undone)
            return False
        return moves is not None or undone is not None

    def _merit(self) -> float:
        """Return the cost, and far more for every GB too much."""
        over = self._load - self._share * self._load.sum()
        return self._usd + self._penalty * float(np.maximum(over, 0).sum())

    def _start(self, counts: _Ints) -> None:
        self._counts = counts.copy()
        self._at = np.full(len(self._columns.units), -1, np.int64)
        used = np.flatnonzero(counts)
        self._at[self._columns.unit[used]] = used
        self._load = np.bincount(
            self._provider, weights=self._gb * counts, minlength=self._providers
        )
        self._usd = float(self._usd_hr @ counts)

    def _move(self, to: int) -> None:
        """Move the only replica of a column's unit to that column."""
        k = self._columns.unit[to]
        start = self._at[k]
        self._counts[start] -= 1
        self._counts[to] += 1
        self._load[self._provider[start]] -= self._gb[start]
        self._load[self._provider[to]] += self._gb[to]
        self._usd += self._usd_hr[to] - self._usd_hr[start]
        self._at[k] = to

    def _excess(self) -> float:
        return float(np.maximum(self._load - self._share * self._load.sum(), 0).max())

    def _sample(self, random: np.random.Generator) -> _Ints:
        """Return columns to move to, where their replica is not already; rather the cheap ones."""
        away = self._movable[self._at[self._columns.unit[self._movable]] != self._movable]
        if len(away) <= _MOVES:
            return np.asarray(away)
        near = (random.random(_MOVES) ** 2 * len(away)).astype(np.int64)
        return np.asarray(away[np.unique(near)])

    def _best(self, moves: _Ints, before: float) -> list[int] | None:
        """Return the move or pair of moves of most merit, None where that is not below before."""
        start = self._at[self._columns.unit[moves]]
        change = np.zeros((len(moves) + 1, self._providers))  # the last one moves nothing
        rows = np.arange(len(moves))
        np.add.at(change, (rows, self._provider[moves]), self._gb[moves])
        np.add.at(change, (rows, self._provider[start]), -self._gb[start])
        usd_hr = np.r_[self._usd_hr[moves] - self._usd_hr[start], 0.0]
        over = self._load - self._share * self._load.sum()
        tilt = change - self._share * change.sum(axis=1, keepdims=True)
        merit = self._usd + usd_hr[:, None] + usd_hr[None, :]
        reach = 2 * tilt.max(axis=0, initial=0)
        for p in np.flatnonzero(over + reach > 0).tolist():
            merit += self._penalty * np.maximum(over[p] + tilt[:, None, p] + tilt[None, :, p], 0)
        unit = np.r_[self._columns.unit[moves], -1]
        merit[unit[:, None] == unit[None, :]] = np.inf
        best = int(np.argmin(merit))
        if merit.flat[best] >= before - 1e-12 * abs(before):
            return None
        pair = divmod(best, len(moves) + 1)
        return [int(moves[i]) for i in pair if i < len(moves)]
