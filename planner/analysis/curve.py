"""Cost against a limit of the policy: a plan for each of its values, or what is proven of it.

Points come from the loosest to the tightest. What is infeasible is infeasible under a tighter
limit too; a plan that keeps the next limit is the best there as it was; and no plan costs less
than under a looser limit. So only some points are solved. A small demand is solved to the last
cent. Of a large one a point may be a range: what a plan costs, and what none costs less than, from
so much work as a few plans take; the work is counted, and no clock is looked at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from planner.analysis.changes import only_at, without_budgets
from planner.analysis.points import SWEEP, measured, no_plan
from planner.analysis.priced import LimitPrices, Unit, has_prices, units_of
from planner.analysis.reasons import first_conflict
from planner.errors import Defect
from planner.present.progress import tracked
from planner.requirements.policy import PlaceLimit
from planner.requirements.spread import spreads
from planner.schema import AMOUNT, Column
from planner.solve.few_places import FewPlaces
from planner.solve.optimise import PROOF
from planner.solve.optimum import Optimum, dual_bound, optimum
from planner.solve.packing import stated_limits
from planner.solve.rentals import gpu_choice
from planner.solve.solution import placements
from planner.solve.stats import Undecided
from planner.solve.verify import violations
from planner.units import difference, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from planner.market.canonical import Market
    from planner.solve.certificate import Multiplier
    from planner.solve.existing import Kept
    from planner.solve.problem import Chosen, Instance

    _Floats = NDArray[np.float64]
    _Ints = NDArray[np.int64]

_AT = [column.name for column in SWEEP].index("usd_month") + 1
CURVE = (
    *SWEEP[:_AT],
    Column("extra_usd_month", AMOUNT, "how much more than the plan; null: no plan"),
    Column("least_usd_month", AMOUNT, "no plan costs less; usd_month where proven; null: none is"),
    *SWEEP[_AT:],
)
"""Columns of a curve, behind its limit."""

_SMALL = 3000
"""Pairs of volumes and offers up to which each point is solved to the last cent."""
_NODES, _PROGRAM_NODES = 20, 20
"""Nodes of the search for few places, and of a program, at one point of a large demand."""
_NEAR, _OF_GAP = 9e-7, 0.1
"""Relative distance to its bound at which a point is near enough; and at few places, as a part of
the distance that is left there."""
_ROUNDING = 1e-9
_PLACES = Decimal("1e-9")
_NOT_DECIDED = "no plan is known, and none is ruled out"


@dataclass(frozen=True)
class Point:
    """What is known of the cheapest plan under a limit.

    Attributes
    ----------
    usd_month : Decimal | None
        Of the best plan that is known; None: none is.
    least_month : Decimal | None
        No plan costs less; None: there is none.
    chosen, rented : dict
        The plan, as in `Optimum`.
    multipliers : tuple of Multiplier
        Prices of its limits, where they are known.
    """

    usd_month: Decimal | None
    least_month: Decimal | None
    chosen: Chosen
    rented: dict[int, int]
    multipliers: tuple[Multiplier, ...] = ()

    def or_cheaper(self, other: Point) -> Point:
        """Return the same with another plan of its limit where that is cheaper."""
        if other.usd_month is None or (
            self.usd_month is not None and self.usd_month <= other.usd_month
        ):
            return self
        if self.least_month is None:
            raise Defect("a plan keeps a limit under which none was thought to exist")
        return replace(other, least_month=min(self.least_month, other.usd_month))


_NO_PLAN = Point(None, None, {}, {})


def curve(
    instance: Instance,
    kept: Sequence[Kept],
    market: Market,
    plan: Point,
    field: str,
    values: Sequence[int | Decimal],
) -> list[dict[str, Any]]:
    """Return a row for each value of a limit of the policy, budgets aside (columns ``CURVE``).

    Parameters
    ----------
    instance : Instance
        Demand and market of a plan.
    kept : sequence of Kept
        What the instance's kept offers stand for.
    market : Market
        The same market, for the check of every plan.
    plan : Point
        The plan.
    field : str
        A field of the policy that is tighter the less it is.

    Raises
    ------
    Defect
        When a plan fails its check.
    """
    known = Curve(instance, field, plan)
    rows: dict[int | Decimal, dict[str, Any]] = {}
    before: tuple[Point, dict[str, Any]] | None = None
    for value, point in known.points(values).items():
        other = known.under(value)
        if before is None or point.chosen is not before[0].chosen or point.usd_month is None:
            before = point, _row(other, kept, market, point)
        row = before[1]
        if point.usd_month is not None and point.least_month is not None:
            spare = difference(point.usd_month, point.least_month)
            is_proven = spare <= point.usd_month * PROOF
            row = {**row, "status": "optimal" if is_proven else "feasible"}
            extra = difference(point.usd_month, plan.usd_month or Decimal(0))
            row["extra_usd_month"] = Decimal(plain(extra))
        row["least_usd_month"] = point.least_month and Decimal(plain(point.least_month))
        rows[value] = {field: value, **row}
    return [rows[value] for value in values]


def _row(instance: Instance, kept: Sequence[Kept], market: Market, point: Point) -> dict[str, Any]:
    """Return the columns ``SWEEP`` of a point, after the check of its plan."""
    if point.least_month is None:
        return {**no_plan("infeasible", first_conflict(instance)), "extra_usd_month": None}
    if point.usd_month is None:
        return {**no_plan("unknown", _NOT_DECIDED), "extra_usd_month": None}
    demand = instance.demand
    live = {o: replica for (_, o), replica in zip(instance.kept, kept, strict=True)}
    placed = placements(instance.pairs, [point.chosen[v] for v in sorted(point.chosen)], live)
    gpus = tuple(
        gpu_choice(instance.rentals, w, g)
        for w, g in point.rented.items()
        if instance.rentals is not None
    )
    wrong = violations(
        demand,
        market.sold,
        placed,
        market.gpu_records,
        gpus,
        market.disk_records,
        limits=stated_limits(demand),
    )
    if wrong:
        raise Defect(f"a plan of the curve fails its own check: {'; '.join(wrong)}")
    return measured(placed, gpus, demand, "optimal")


class Curve:
    """The cheapest plans of an instance under values of one limit, budgets aside.

    Parameters
    ----------
    instance : Instance
        Demand and market.
    field : str
        The limit: a field of the policy that is tighter the less it is.
    plan : Point
        A plan that is known.
    """

    def __init__(self, instance: Instance, field: str, plan: Point) -> None:
        self._free, self._field, self._plan = without_budgets(instance), field, plan
        self._policy = instance.demand.policy
        self._few: _FewPlans | None = None

    def under(self, value: int | Decimal) -> Instance:
        """Return the instance under a value of the limit."""
        policy = self._free.demand.policy
        return self._free.under(policy.model_copy(update={self._field: value}))

    def points(self, values: Iterable[int | Decimal]) -> dict[int | Decimal, Point]:
        """Return what is known under each value, from the tightest to the loosest."""
        known: dict[int | Decimal, Point] = {}
        looser, tighter = None, _NO_PLAN
        ordered = sorted(values, reverse=True)
        for value in tracked(ordered, "Testing limits"):
            known[value] = looser = self._point(self.under(value), looser)
        for value in reversed(ordered):  # what a tighter limit allows, this one allows
            known[value] = known[value].or_cheaper(tighter)
            if self.under(value).within_policy(self._plan.chosen):
                known[value] = known[value].or_cheaper(self._plan)
            tighter = known[value]
        return {value: known[value] for value in reversed(ordered)}

    def _point(self, other: Instance, looser: Point | None) -> Point:
        """Return what is known under a limit, given what is under a looser one."""
        if looser is None:
            return self._solved(other)
        if looser.least_month is None:
            return _NO_PLAN
        if looser.usd_month is not None and other.within_policy(looser.chosen):
            return looser
        point = self._solved(other)
        if point.least_month is None:
            return point
        return replace(point, least_month=max(point.least_month, looser.least_month))

    def _solved(self, other: Instance) -> Point:
        if other.pairs.broken.size <= _SMALL:
            return _as_point(other, optimum(other, tie_break=False))
        limits = [each for each in other.requirements if isinstance(each, PlaceLimit)]
        if len(limits) != 1 or any(len(place) > 1 for place in other.places(limits[0].level)):
            return _as_point(other, *_solved(other))
        (limit,), few = limits, self._few
        if few is None:
            policy = limit.lifted(other.demand.policy)
            is_plans = policy == self._policy and self._plan.least_month is not None
            few = _FewPlans(other.under(policy), limit.level, self._plan if is_plans else None)
        if limit.field == self._field:
            self._few = few
        return few.point(other, int(limit.value))


def _as_point(instance: Instance, best: Optimum | None, is_decided: bool = True) -> Point:
    """Return what is known where this is the best plan, or the best that is known."""
    if best is None:
        least = None if is_decided else dual_bound(instance)
        return Point(None, least, {}, {})
    least = best.usd_month if best.bound_month is None else best.bound_month
    least = min(least, best.usd_month)
    return Point(best.usd_month, least, best.chosen, best.rented, best.multipliers)


def _solved(instance: Instance, near: float = _NEAR) -> tuple[Optimum | None, bool]:
    """Return the best plan that some work finds, and whether there is none without one."""
    try:
        return optimum(instance, tie_break=False, nodes=_PROGRAM_NODES, near=near), True
    except Undecided:
        return None, False


class _FewPlans:
    """The best plans at few places of an instance that may have any number of them.

    What they cost at least follows from prices of its other limits. Where they are is as good as
    given then, and what they cost there is the optimum of a smaller market.
    """

    def __init__(self, instance: Instance, level: str, anywhere: Point | None) -> None:
        self._instance, self._level = instance, level
        self._anywhere = anywhere or _as_point(instance, *_solved(instance))
        codes: dict[Any, int] = {}
        self._code = np.array(
            [codes.setdefault(place, len(codes)) for place in instance.places(level)], np.int64
        )
        weights, self._constant = self._weights()
        units = [self._unit(unit, weights) for unit in self._units()]
        cost, apart = (np.array(each) for each in zip(*units, strict=True))
        self._few = FewPlaces(cost, apart, [int(self._code[o]) for _, o in instance.kept])

    def point(self, other: Instance, count: int) -> Point:
        """Return what is known of the best plan at so many places, of the instance so limited."""
        anywhere, share = self._anywhere, other.demand.policy.max_provider_share
        if anywhere.least_month is None or count < self._few.fewest:
            return _NO_PLAN
        if anywhere.usd_month is not None and other.within_policy(anywhere.chosen):
            return anywhere
        if share is not None and count < math.ceil(1 / Fraction(share)):
            return _NO_PLAN
        few = self._few.best(count, _NODES)
        if math.isinf(few.least):
            return _NO_PLAN
        hours = other.demand.policy.hours_per_month
        usd_hr = few.least + self._constant
        usd_hr -= _ROUNDING * (abs(few.least) + abs(self._constant))
        least = Decimal(usd_hr * hours).quantize(_PLACES, ROUND_FLOOR)
        point = Point(None, max(least, anywhere.least_month), {}, {})
        if few.places:
            there = only_at(self._instance, np.isin(self._code, few.places))
            gap = 1 - few.least / few.most
            best, _ = _solved(there, max(_NEAR, gap * _OF_GAP))
            if best is not None:
                point = point.or_cheaper(_as_point(there, best))
        is_known = point.usd_month is not None and not other.demand.workloads
        return point if is_known else self._by_program(other, point)

    def _by_program(self, other: Instance, point: Point) -> Point:
        """Return what a program knows more of a point: shares and jobs may ask for other places."""
        whole = _as_point(other, *_solved(other))
        if whole.least_month is None:
            return _NO_PLAN.or_cheaper(point)
        proven = max(whole.least_month, point.least_month or whole.least_month)
        return replace(whole.or_cheaper(point), least_month=proven)

    def _weights(self) -> tuple[_Floats, float]:
        """Return what a replica of each volume costs at least at each offer, (V, O), and beside."""
        instance, every = self._instance, range(len(self._instance.volumes))
        if has_prices(instance):
            prices = LimitPrices(instance, self._anywhere.multipliers)
            return prices.rows(instance, every), prices.constant
        weights = instance.least.float_usd_hr(slice(None))
        for v, o in instance.kept:
            weights[v, o] = float(instance.usd_hr(v, o))
        gpus = Fraction(dual_bound(instance) or 0) / instance.demand.policy.hours_per_month
        return weights, float(gpus - Fraction(instance.least_usd_hr))

    def _units(self) -> Iterator[Unit]:
        """Yield units whose places are in one place of the level each, and every other volume."""
        for unit in units_of(self._instance):
            if unit.place is None or _is_inside(unit.place, self._code):
                yield unit
            else:
                yield from (Unit((v,)) for v in unit.volumes)

    def _unit(self, unit: Unit, weights: _Floats) -> tuple[_Floats, int]:
        """Return what a unit costs at least in each place, and how many places it needs."""
        rows, result = weights[list(unit.volumes)], np.full(int(self._code.max()) + 1, np.inf)
        if unit.place is not None:
            here = unit.place >= 0
            each = np.full((len(rows), int(unit.place.max(initial=-1)) + 1), np.inf)
            for row, costs in zip(each, rows, strict=True):
                np.minimum.at(row, unit.place[here], costs[here])
            np.minimum.at(result, self._code[here], each.sum(axis=0)[unit.place[here]])
            return result, 1
        volume = self._instance.volumes[unit.volumes[0]]
        np.minimum.at(result, self._code, rows[0])
        is_apart = spreads(volume.replicas, volume.spread)
        if is_apart and self._level in {"site", volume.spread}:
            return result, volume.replicas
        return result * volume.replicas, 1


def _is_inside(inner: _Ints, outer: _Ints) -> bool:
    """Return whether each inner place lies in one outer place."""
    here = inner >= 0
    pairs = np.unique(np.c_[inner, outer][here], axis=0)
    return len(pairs) == len(np.unique(inner[here]))
