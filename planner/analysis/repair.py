"""Plans of a changed instance that are hardly dearer than a plan: what has to move, and few moves.

A change of one volume has it go elsewhere, which takes more of some limits than is left. The moves
of other volumes that make room for it at the least cost are taken from a list (see `Moves`).
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from planner.analysis.moves import MOVES, Moves
from planner.requirements.spread import spreads
from planner.solve.optimum import Optimum
from planner.solve.stats import SolveStats
from planner.units import difference, total, usd_month

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from numpy.typing import NDArray

    from planner.analysis.moves import Moved
    from planner.analysis.priced import LimitPrices, Unit
    from planner.demand.model import Volume
    from planner.solve.problem import Chosen, Instance

    _Floats = NDArray[np.float64]
    _Ints = NDArray[np.int64]

_ROUNDING = 1e-9
_OPTIONS, _FILLED = 16, 3
"""Places that are tried for a volume that a change moves; those tried in more than two moves where
two never do."""


class Repairs:
    """Plans near a plan.

    Parameters
    ----------
    instance : Instance
        What the plan is of.
    plan : Optimum
        Where everything is.
    priced : LimitPrices | None
        What volumes take of the limits; None where something else couples them.
    rows : ndarray of float, shape (V, O)
        What replicas cost at prices of the limits.
    """

    def __init__(
        self, instance: Instance, plan: Optimum, priced: LimitPrices | None, rows: _Floats
    ) -> None:
        self._instance, self._plan, self._rows, self._limits = instance, plan, rows, priced
        self._known_usd_hr: dict[tuple[int, int], Decimal] = {}
        self._taken: dict[Unit, tuple[_Floats, _Floats]] = {}

    @property
    def _priced(self) -> LimitPrices:
        if self._limits is None:
            raise ValueError("no prices stand for what couples these volumes")
        return self._limits

    @cached_property
    def _moves(self) -> Moves:
        """Return moves of the plan's replicas that volumes in no group can make."""
        tied = {v for tie in self._instance.ties for v in tie.members}
        lists: list[tuple[_Ints, ...]] = [(np.empty(0, np.int64),) * 3]
        weights = [np.empty(0)]
        for v, at in self._plan.chosen.items():
            for gone in dict.fromkeys(at) if v not in tied else ():
                to = elsewhere(self._instance, v, [o for o in at if o != gone], self._rows[v])
                to = to[to != gone]
                lists.append((np.full(len(to), v), np.full(len(to), gone), to))
                weights.append(self._rows[v, to] - self._rows[v, gone])
        weight = np.concatenate(weights)
        cheapest = np.argsort(weight, kind="stable")[:MOVES]
        volume, start, to = (np.concatenate(each)[cheapest] for each in zip(*lists, strict=True))
        instance, priced = self._instance, self._priced
        usd_hr = _usd_hr(instance, volume, to) - _usd_hr(instance, volume, start)
        effects = priced.effects(instance, volume, to) - priced.effects(instance, volume, start)
        return Moves(volume, start, to, weight[cheapest], usd_hr, effects)

    @cached_property
    def _room(self) -> _Floats:
        """Return what the plan leaves of each limit."""
        taken, right = self._takes(self._instance, [self._plan.chosen])[1][0], self._priced.right
        room: _Floats = right - taken
        room[np.abs(room) <= self._dust] = 0
        return room

    @cached_property
    def _dust(self) -> _Floats:
        """Return what floats do not tell from nothing, of each limit."""
        taken, right = self._takes(self._instance, [self._plan.chosen])[1][0], self._priced.right
        dust: _Floats = _ROUNDING * np.maximum(np.abs(right), np.abs(taken))
        return dust

    def repair(
        self, other: Instance, units: Sequence[Unit], rows: dict[int, _Floats], *, is_moved: bool
    ) -> Optimum | None:
        """Return the plan with the units that a change is about elsewhere, and a few moves."""
        chosen = {**self._plan.chosen}
        if self._limits is None or not is_moved or len(units) > _OPTIONS:
            held = all(keeps(other, v, offers) for v, offers in chosen.items())
            return self._checked(other, chosen) if held else None
        room, stay = self._room, [v for unit in units for v in unit.volumes]
        for unit in units:
            options = _options(other, unit, rows, chosen)
            usd_hr, taken = self._takes(other, options)
            left = room - (taken - self._taken_by(unit)[1])
            some, least = [*range(len(options))[:_FILLED]], np.inf
            for i, usd in enumerate(usd_hr.tolist()):
                moved = self._moves.cheapest(left[i], stay, least - usd)
                if moved is not None:
                    some, least = [i], usd + moved.usd_hr
            filled = [(i, self._moves.filled(left[i], stay)) for i in some]
            possible = [(usd_hr[i] + moved.usd_hr, i, moved) for i, moved in filled if moved]
            if not possible:
                return None
            _, i, moved = min(possible, key=lambda each: each[0])
            chosen.update(self._after(options[i], moved))
            room = left[i] - moved.effects
            stay += [v for v, _, _ in moved.moves]
        return self._checked(other, chosen, is_within=self._is_within(room))

    def with_replica(self, unit: Unit, v: int, offers: Sequence[int]) -> list[Decimal | None]:
        """Return what plans cost a month with a replica of a volume at each of some offers.

        With two moves beside it at most: many answers for little work. None where none is known.
        """
        if self._limits is None:
            return [None] * len(offers)
        options = [self._with(unit, v, o) for o in offers]
        possible = [option for option in options if option is not None]
        _, before = self._taken_by(unit)
        _, taken = self._takes(self._instance, possible)
        rooms = iter(self._room - np.where(self._room > 0, self._dust, 0) - (taken - before))
        return [None if option is None else self._cost(option, next(rooms)) for option in options]

    def rival(self, units: Sequence[Unit], o: int, beyond: _Floats | None) -> Chosen | None:
        """Return the moves that meet the plan's cost first as the price of an offer changes.

        Parameters
        ----------
        beyond : ndarray of float, shape (V,)
            What a replica there costs beyond the plan, as its price falls; None where it rises.
        """
        best, least, left = None, np.inf, self._room
        gb = self._instance.pairs.provision_gb[:, o].astype(float)
        first = np.zeros(len(gb)) if beyond is None else beyond / np.maximum(gb, 1)
        for unit in sorted(units, key=lambda unit: min(first[v] for v in unit.volumes)):
            mine = [v for v in unit.volumes if first[v] < least]
            if not mine:
                break
            chosen = self._at(unit.volumes)
            options = self._away(unit, chosen, o) if beyond is None else self._there(unit, mine, o)
            if not options:
                continue
            was, before = self._taken_by(unit)
            usd_hr, taken = self._takes(self._instance, options)
            rooms = self._room - (taken - before)
            held = _gb_at(chosen, o, gb)
            for option, usd, room in zip(options, (usd_hr - was).tolist(), rooms, strict=True):
                more = abs(_gb_at(option, o, gb) - held)
                moved = self._moves.cheapest(room, unit.volumes, least * more - usd)
                if moved is not None and more:
                    best, least = self._after(option, moved), (usd + moved.usd_hr) / more
                    left = room - moved.effects
        if best is None:
            return None
        whole = replace(self._instance.whole, capped=not self._is_within(left))
        return best if self._instance.holds(whole, {**self._plan.chosen, **best}) else None

    def _is_within(self, room: _Floats) -> bool:
        """Return whether what is left of each limit is so much that floats are sure of it."""
        return bool(((room >= self._dust) | (room == self._room)).all())

    def _away(self, unit: Unit, chosen: Chosen, o: int) -> list[Chosen]:
        """Return where a unit may be that has replicas at an offer, without it."""
        if not any(o in at for at in chosen.values()):
            return []
        rows = {v: self._rows[v].copy() for v in unit.volumes}
        for row in rows.values():
            row[o] = np.inf
        options = _options(self._instance, unit, rows, chosen)
        return [option for option in options if not any(o in at for at in option.values())]

    def _there(self, unit: Unit, volumes: Iterable[int], o: int) -> list[Chosen]:
        """Return where a unit is with a replica of some of its volumes at an offer, more."""
        more = (v for v in volumes if o not in self._plan.chosen[v])
        return [option for v in more if (option := self._with(unit, v, o)) is not None]

    def _cost(self, option: Chosen, room: _Floats) -> Decimal | None:
        moved = self._moves.cheapest(room, [*option], np.inf)
        if moved is None:
            return None
        new = [(v, o) for v, at in option.items() for o in at]
        old = [(v, o) for v in option for o in self._plan.chosen[v]]
        new += ((v, to) for v, _, to in moved.moves)
        old += ((v, start) for v, start, _ in moved.moves)
        spent, saved = (total(itertools.starmap(self._exact_usd_hr, each)) for each in (new, old))
        hours = self._instance.demand.policy.hours_per_month
        return total([self._plan.usd_month, usd_month(difference(spent, saved), hours)])

    def _exact_usd_hr(self, v: int, o: int) -> Decimal:
        if (v, o) not in self._known_usd_hr:
            self._known_usd_hr[v, o] = self._instance.usd_hr(v, o)
        return self._known_usd_hr[v, o]

    def _at(self, volumes: Iterable[int]) -> Chosen:
        return {v: self._plan.chosen[v] for v in volumes}

    def _after(self, option: Chosen, moved: Moved) -> Chosen:
        """Return where volumes are after moves beside what a change makes of some of them."""
        chosen = {**option}
        for v, start, to in moved.moves:
            chosen[v] = sorted([*_without(chosen.get(v, self._plan.chosen[v]), start), to])
        return chosen

    def _with(self, unit: Unit, v: int, o: int) -> Chosen | None:
        """Return where a unit is with a replica of one of its volumes at an offer."""
        if unit.place is not None:
            rows = np.where(unit.place == unit.place[o], self._rows[[*unit.volumes]], np.inf)
            at = {u: [int(row.argmin())] for u, row in zip(unit.volumes, rows, strict=True)}
            return {**at, v: [o]} if np.isfinite(rows.min(axis=1)).all() else None
        volume, mine = self._instance.volumes[v], self._plan.chosen[v]
        displaced = sorted(mine, key=lambda each: -float(self._rows[v, each]))
        if spreads(volume.replicas, volume.spread):
            places = self._instance.spread_domains(volume.spread)
            displaced = [each for each in displaced if places[each] & places[o]] or displaced
        option = sorted([*_without(mine, displaced[0]), o])
        return {v: option} if keeps(self._instance, v, option) else None

    def _taken_by(self, unit: Unit) -> tuple[_Floats, _Floats]:
        """Return what a unit costs an hour as it is, (1,), and what it takes of limits, (1, L)."""
        if unit not in self._taken:
            self._taken[unit] = self._takes(self._instance, [self._at(unit.volumes)])
        return self._taken[unit]

    def _takes(self, other: Instance, options: Sequence[Chosen]) -> tuple[_Floats, _Floats]:
        """Return what offers cost an hour, (k,), and what they take of each limit, (k, L)."""
        each = [
            (k, v, o)
            for k, option in enumerate(options)
            for v, offers in option.items()
            for o in offers
        ]
        of, volume, offer = np.array(each, np.int64).reshape(-1, 3).T
        taken = np.zeros((len(options), len(self._priced.right)))
        np.add.at(taken, of, self._priced.effects(other, volume, offer))
        usd_hr = np.zeros(len(options))
        np.add.at(usd_hr, of, _usd_hr(other, volume, offer))
        return usd_hr, taken

    def _checked(
        self, other: Instance, chosen: Chosen, *, is_within: bool = False
    ) -> Optimum | None:
        """Return a plan where it holds all that is asked, exactly; or that it is within limits."""
        rented = other.rent(other.whole.workloads, chosen)
        if rented is None or not other.holds(replace(other.whole, capped=not is_within), chosen):
            return None
        changed = differing(self._instance, other)
        moved = [v for v, at in chosen.items() if v in changed or at != self._plan.chosen[v]]
        gpus = [
            each.usd_month(each_chosen, r)
            for each, each_chosen, r in (
                (self._instance, {v: self._plan.chosen[v] for v in moved}, self._plan.rented),
                (other, {v: chosen[v] for v in moved}, rented),
            )
        ]
        usd_month = total([difference(self._plan.usd_month, gpus[0]), gpus[1]])
        return Optimum(dict(sorted(chosen.items())), rented, usd_month, None, SolveStats())


def _gb_at(chosen: Chosen, o: int, gb: _Floats) -> float:
    return sum(float(gb[v]) * at.count(o) for v, at in chosen.items())


def _options(other: Instance, unit: Unit, rows: dict[int, _Floats], chosen: Chosen) -> list[Chosen]:
    """Return offers that a unit may take, the cheapest at the prices first."""
    mine = np.array([rows[v] for v in unit.volumes])
    options = []
    if all(keeps(other, v, chosen[v]) for v in unit.volumes):
        options.append({v: chosen[v] for v in unit.volumes})
    if unit.place is not None:
        costs = []
        for place in range(int(unit.place.max()) + 1):
            here = np.where(unit.place == place, mine, np.inf)
            best, usd = here.argmin(axis=1), here.min(axis=1).sum()
            if np.isfinite(usd):
                costs.append((float(usd), [[o] for o in best.tolist()]))
        costs.sort(key=lambda cost: cost[0])
        return options + [
            dict(zip(unit.volumes, each, strict=True)) for _, each in costs[:_OPTIONS]
        ]
    (v,), (row,) = unit.volumes, mine
    wanted = other.volumes[v].replicas
    kept = [o for o in chosen[v] if np.isfinite(row[o])]
    kept = sorted(kept, key=lambda o: float(row[o]))[:wanted]
    bases = [kept] if len(kept) < wanted else [_without(kept, o) for o in dict.fromkeys(kept)]
    for base in bases:
        at = [*base]
        while len(at) < wanted - 1:
            to = elsewhere(other, v, at, row)
            if not len(to):
                break
            at.append(int(to[0]))
        options += [{v: sorted([*at, o])} for o in elsewhere(other, v, at, row)[:_OPTIONS].tolist()]
    return [option for option in options if keeps(other, v, option[v])]


def elsewhere(instance: Instance, v: int, beside: Sequence[int], row: _Floats) -> _Ints:
    """Return where another replica of a volume may be, the cheapest first."""
    volume, there = instance.volumes[v], np.isfinite(row)
    if spreads(volume.replicas, volume.spread):
        places = instance.spread_domains(volume.spread)
        taken = {place for o in beside for place in places[o]}
        there = there & np.array([taken.isdisjoint(place) for place in places])
    to = np.flatnonzero(there)
    return to[np.argsort(row[to], kind="stable")]


def keeps(other: Instance, v: int, offers: Sequence[int]) -> bool:
    """Return whether a volume may be at offers, but for what couples it to others."""
    volume = other.volumes[v]
    if len(offers) != volume.replicas or other.pairs.broken[v, list(offers)].any():
        return False
    if any(of == v and some.isdisjoint(offers) for of, some in other.forced):
        return False
    if not spreads(volume.replicas, volume.spread):
        return True
    domains = other.spread_domains(volume.spread)
    places = [place for o in offers for place in domains[o]]
    return len(places) == len({*places})


def _without(offers: Sequence[int], gone: int) -> list[int]:
    left = [*offers]
    left.remove(gone)
    return left


def _usd_hr(instance: Instance, volume: _Ints, offer: _Ints) -> _Floats:
    pairs = instance.pairs
    usd_hr: _Floats = pairs.provision_gb[volume, offer] * pairs.facts.float_prices[offer]
    return usd_hr


def differing(left: Instance, right: Instance) -> set[int]:
    """Return the volumes of which a program sees other than candidates."""
    pairs = enumerate(zip(left.volumes, right.volumes, strict=True))
    return {v for v, (a, b) in pairs if a is not b and _look(a) != _look(b)}


def _look(volume: Volume) -> tuple[object, ...]:
    """Return what a program sees of a volume beside its candidates."""
    return volume.name, volume.need_gb, volume.replicas, volume.spread, volume.owner
