"""The optimum of volumes that can only be in one place together, without a solver."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from planner.solve.bound import CLOSE
from planner.solve.bundles import least_gpus_usd_hr, needs_several_nodes, places

if TYPE_CHECKING:
    from decimal import Decimal

    from numpy.typing import NDArray

    from planner.solve.problem import Chosen, Instance, Scope

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
    rentals = instance.rentals
    if scope.workloads and rentals is not None:
        needs = needs_several_nodes(rentals, scope)
        usd_hr[needs[:, None] & ~rentals.multinode] = np.inf
    code = places(instance, scope, np.isfinite(usd_hr))
    if code is None:
        return None
    count = int(code.max(initial=-1)) + 1
    cost = sum((_least_in_each(row, code, count) for row in usd_hr), np.zeros(count))
    cost += least_gpus_usd_hr(instance, scope, code)[:-1]
    near = np.flatnonzero(np.isfinite(cost) & (cost <= cost.min(initial=np.inf) * CLOSE))
    ranks = [_first(instance, scope, usd_hr, code == place) for place in near.tolist()]
    first = min((rank for rank in ranks if rank is not None), default=None)
    if first is None:
        return None
    chosen = {v: [o] for v, o in zip(scope.volumes, first[-1], strict=True)}
    return chosen if instance.holds(scope, chosen) else None


def _least_in_each(usd: _Floats, code: _Ints, count: int) -> _Floats:
    """Return the least of each place, infinite where there is nothing."""
    least = np.full(count, np.inf)
    np.minimum.at(least, code[code >= 0], usd[code >= 0])
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
