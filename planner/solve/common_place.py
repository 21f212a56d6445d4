"""The optimum of volumes that can only be in one place together, without a solver.

Groups keep their volumes in one place of a level, and a job has its volumes where its GPUs are.
Where every place is apart from every other, volumes and GPUs are cheapest place by place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from planner.solve.bound import CLOSE

if TYPE_CHECKING:
    from decimal import Decimal

    from numpy.typing import NDArray

    from planner.solve.problem import Chosen, Instance, Scope
    from planner.solve.rentals import Rentals

    _Floats = NDArray[np.float64]
    _Ints = NDArray[np.int64]
    _Rank = tuple[Decimal, int, int, tuple[int, ...]]


def best_common_place(instance: Instance, scope: Scope) -> Chosen | None:
    """Return the offers of connected volumes in their cheapest place, the first among equals.

    None where this does not decide: volumes with several replicas or on shared disks, groups that
    must differ or name several levels, GPUs that meet disks of several places, and no such place.
    """
    connected = scope.ties or scope.workloads
    simple = all(tie.same for tie in scope.ties) and not instance.pairs.shared
    if not connected or not simple or any(instance.volumes[v].replicas > 1 for v in scope.volumes):
        return None
    usd_hr = instance.least.float_usd_hr(list(scope.volumes))
    if scope.workloads and instance.rentals is not None:
        needs = _needs_several_nodes(instance.rentals, scope)
        usd_hr[needs[:, None] & ~instance.rentals.multinode] = np.inf
    code = _places(instance, scope, np.flatnonzero(np.isfinite(usd_hr).any(axis=0)))
    if code is None:
        return None
    count = int(code.max(initial=-1)) + 1
    cost = sum((_least_in_each(row, code, count) for row in usd_hr), np.zeros(count))
    for w in scope.workloads:
        cost += _least_gpus_in_each(instance, w, code, count)
    near = np.flatnonzero(np.isfinite(cost) & (cost <= cost.min(initial=np.inf) * CLOSE))
    ranks = [_first(instance, scope, usd_hr, code == place) for place in near.tolist()]
    first = min((rank for rank in ranks if rank is not None), default=None)
    if first is None:
        return None
    chosen = {v: [o] for v, o in zip(scope.volumes, first[-1], strict=True)}
    return chosen if instance.holds(scope, chosen) else None


def _needs_several_nodes(rentals: Rentals, scope: Scope) -> NDArray[np.bool_]:
    """Return which volumes of a scope need an offer that several nodes can mount."""
    needs = rentals.shared.copy()
    for w in scope.workloads:
        if (rentals.several_nodes(w) & (rentals.broken[w] == 0)).any():
            needs[list(rentals.mounts[w])] = True
    return needs[list(scope.volumes)]


def _places(instance: Instance, scope: Scope, asked: _Ints) -> _Ints | None:
    """Return a number for the place of each offer, -1 where no volume can be; None: not apart."""
    looks: list[list[Any]] = []
    for level in sorted({tie.level for tie in scope.ties}):
        looks.append([instance.places(level)[o] for o in asked.tolist()])
        if any(len(place) != 1 for place in looks[-1]):
            return None
    if scope.workloads:
        met = _gpus_met(instance, scope, asked)
        if met is None:
            return None
        there = met.any(axis=0)
        without = [{look[i] for i in np.flatnonzero(~there)} for look in looks]
        looks.append([column.tobytes() for column in met.T])
        looks = [[look[i] for i in np.flatnonzero(there)] for look in looks]
        if any(not gone.isdisjoint(look) for gone, look in zip(without, looks, strict=False)):
            return None  # a place with disks that meet GPUs and disks that meet none
        asked = asked[there]
    if len({len(set(look)) for look in [*looks, list(zip(*looks, strict=True))]}) != 1:
        return None  # two levels, or a level and the GPUs, have other places
    numbers: dict[Any, int] = {}
    code = np.full(len(instance.sites), -1)
    code[asked] = [numbers.setdefault(look, len(numbers)) for look in looks[0]]
    return code


def _gpus_met(instance: Instance, scope: Scope, asked: _Ints) -> NDArray[np.bool_] | None:
    """Return which GPU offers of a scope's jobs each offer meets; None where places overlap."""
    rentals, limits, jobs = instance.rentals, instance.limits, list(scope.workloads)
    if rentals is None or (limits is not None and limits.limited[jobs].any()):
        return None
    fit = rentals.broken[jobs] == 0
    several = np.array([rentals.several_nodes(w) for w in jobs])
    if ((fit & several).any(axis=1) & (fit & ~several).any(axis=1)).any():
        return None  # what volumes need depends on the GPU
    met: NDArray[np.bool_] = rentals.meets[fit.any(axis=0)][:, asked]
    return None if (np.unique(met, axis=1).sum(axis=1) > 1).any() else met


def _least_in_each(usd: _Floats, code: _Ints, count: int) -> _Floats:
    """Return the least of each place, infinite where there is nothing."""
    least = np.full(count, np.inf)
    np.minimum.at(least, code[code >= 0], usd[code >= 0])
    return least


def _least_gpus_in_each(instance: Instance, w: int, code: _Ints, count: int) -> _Floats:
    """Return what a job's GPUs cost at least in each place, by the hour of a month."""
    least, rentals = np.full(count, np.inf), instance.rentals
    if rentals is not None:
        hours = instance.demand.policy.hours_per_month
        for g in np.flatnonzero((rentals.broken[w] == 0) & rentals.meets.any(axis=1)).tolist():
            here = code[rentals.meets[g]]
            usd_hr = float(rentals.usd_month(w, g)) / hours
            least[here[here >= 0]] = np.minimum(least[here[here >= 0]], usd_hr)
    return least


def _first(
    instance: Instance, scope: Scope, usd_hr: _Floats, inside: NDArray[np.bool_]
) -> _Rank | None:
    """Return the first offers in one place, by exact cost, stock, volumes tied at sites, keys."""
    hand = []
    for v, mine in zip(scope.volumes, usd_hr, strict=True):
        near = np.flatnonzero(inside & (mine <= mine[inside].min() * CLOSE)).tolist()
        hand.append(min((instance.usd_hr(v, o), *_rest(instance, o)) for o in near))
    chosen = {v: [rest[-1]] for v, rest in zip(scope.volumes, hand, strict=True)}
    rented = instance.rent(scope.workloads, chosen)
    if rented is None:
        return None
    stock, tied = sum(rest[1] for rest in hand), sum(rest[2] for rest in hand)
    return instance.usd_month(chosen, rented), stock, tied, tuple(rest[-1] for rest in hand)


def _rest(instance: Instance, offer: int) -> tuple[int, int, int]:
    return int(instance.penalty[offer]), -int(instance.tied_volumes[offer]), offer
