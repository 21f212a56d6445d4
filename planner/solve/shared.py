"""Volumes of one replica each that must share a place: the cheapest place, without a solver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from planner.solve.least import CLOSE
from planner.units import total

if TYPE_CHECKING:
    from decimal import Decimal

    from planner.solve.instance import Chosen, Instance, Tie


def share_one_place(instance: Instance, tie: Tie) -> Chosen | None:
    """Return the offers of a group in its cheapest place, the first one among equals.

    None where this is not the case: members with several replicas, volumes that must differ, or
    offers that lie in several places.
    """
    places = instance.places(tie.level)
    volumes = [instance.pairs.volumes[v] for v in tie.members]
    if not tie.same or any(volume.replicas > 1 for volume in volumes):
        return None
    if any(len(one) != 1 for one in places):
        return None
    numbers: dict[Any, int] = {}
    code = np.array([numbers.setdefault(one, len(numbers)) for one in places], np.int64)
    cost = _least_by_place(instance, tie, code, len(numbers))
    if not np.isfinite(cost).any():
        return None
    near = np.flatnonzero(cost <= cost.min() * CLOSE).tolist()
    hands = [_hand(instance, tie, np.flatnonzero(code == place)) for place in near]
    rank = min(hands, key=lambda hand: _rank(instance, sorted(hand.items())))
    return {v: [o] for v, o in rank.items()}


def _least_by_place(instance: Instance, tie: Tie, code: Any, count: int) -> Any:  # noqa: ANN401 -- arrays
    """Return what all members cost in each place, infinite where one has no candidate."""
    sums = np.zeros(count)
    usd_hr = instance.least.float_usd_hr
    for v in tie.members:
        least = np.full(count, np.inf)
        np.minimum.at(least, code, usd_hr[v])
        sums += least
    return sums


def _hand(instance: Instance, tie: Tie, inside: Any) -> dict[int, int]:  # noqa: ANN401 -- an array
    """Return the first offer of each member among those of one place."""
    usd_hr = instance.least.float_usd_hr
    hand = {}
    for v in tie.members:
        mine = usd_hr[v, inside]
        near = inside[mine <= mine.min() * CLOSE].tolist()
        ranked = [(instance.pairs.usd_hr(v, o), *_rest(instance, o)) for o in near]
        hand[v] = min(ranked)[-1]
    return hand


def _rest(instance: Instance, offer: int) -> tuple[int, int, int]:
    return int(instance.penalty[offer]), -int(instance.popularity[offer]), offer


def _rank(
    instance: Instance, hand: list[tuple[int, int]]
) -> tuple[Decimal, int, int, tuple[int, ...]]:
    """Return what sorts choices: exact cost, stock, popularity of sites, keys."""
    rests = [_rest(instance, o) for _, o in hand]
    cost = total(instance.pairs.usd_hr(v, o) for v, o in hand)
    return cost, sum(r[0] for r in rests), sum(r[1] for r in rests), tuple(r[2] for r in rests)
