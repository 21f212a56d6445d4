"""The program over all months that decides schedules of coupled volumes, in variables of PuLP.

Sets
    V, T         volumes, months 0 … H-1
    S_v          stays of v: an offer, from month i to month j

Variables
    x_vs         replicas of v that have stay s, integer
    …            for each month those of `planner.solve.model`

Objective
    minimise     Σ cost_vs x_vs, and the GPUs of every month

Constraints
    every month  all of `planner.solve.model`, of the stays that are there in that month

Each volume's least cost is taken off: a stay's cost is what it adds to the volume's shortest path.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING

import numpy as np

from planner.requirements.spread import spreads
from planner.solve.model import FEASIBILITY_TOLERANCE, Model, Program, constrain
from planner.solve.presolve import Columns, VolumeClass, every_column, presolve
from planner.solve.stats import SolveStats, Undecided
from planner.solve.timeline import Schedule, Stay, Timeline
from planner.units import difference, total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planner.solve.model import Terms, Variable
    from planner.solve.problem import Scope
    from planner.solve.timeline import Stays

SMALL = 6_000
"""Stays up to which a program is solved with every stay that may be in an optimum."""
_WORK = 1e8
"""Columns to the power of 1.5, times nodes, of a program before what it has must do."""
_RANGE = Decimal(10) ** 9
_MOST = 10**7
"""Up to what two weights are one: far below what a solver tells from zero."""


@dataclass(frozen=True)
class _Column:
    """A stay of a volume, and what it adds to the volume's shortest path, in USD."""

    volume: int
    stay: Stay
    extra_usd: Decimal


def solve_scope(line: Timeline, scope: Scope, stats: SolveStats, few: Stays) -> Schedule | None:
    """Return the cheapest stays of a scope; None where there are none.

    Parameters
    ----------
    few : dict of list of Stay
        Of some volumes: the only stays that may be in an optimum.

    Raises
    ------
    Undecided
        When time ran out before there were any.
    """
    columns, least = _columns(line, scope, stats, few)
    if len(columns) <= SMALL:
        return _solve(line, scope, columns, least, stats)
    columns.sort(key=lambda column: column.extra_usd)
    best, size = None, SMALL // 2
    while best is None:  # the stays that add least, more of them where they are not enough
        some = columns[:size] + [c for c in columns[size:] if c.stay.choice >= _live(line)]
        best = _solve(line, scope, some, least, stats)
        if best is None and size >= len(columns):
            return None
        size *= 4
    # Whatever adds more than the distance from the bound is in no better schedule.
    left = [c for c in columns if c.extra_usd <= difference(best.usd, least)]
    if len(left) <= SMALL and not stats.is_over:
        return _solve(line, scope, left, least, stats)
    return Schedule(best.stays, best.usd, least)


def _live(line: Timeline) -> int:
    return line.horizon * line.offers


def _columns(
    line: Timeline, scope: Scope, stats: SolveStats, few: Stays
) -> tuple[list[_Column], Decimal]:
    """Return the stays that a scope may use, and what its volumes and workloads cost at least."""
    known = set(few) >= set(scope.volumes) and not stats.full
    choices = {} if known else _choices(line, scope, stats)
    columns: list[_Column] = []
    least = list[Decimal]()
    for v in scope.volumes:
        stays = few[v] if known else _stays(choices[v])
        usd = {stay: line.usd(v, stay) for stay in stays}
        to_end = _shortest(line.horizon, usd)
        first = line.first[v]
        starts = [0] * (line.demand.volumes[v].replicas - len(first)) + [s.end for s in first]
        least += [to_end[start] for start in starts] + [line.usd(v, stay) for stay in first]
        columns += [
            _Column(v, stay, difference(total([cost, to_end[stay.end]]), to_end[stay.start]))
            for stay, cost in usd.items()
            if to_end[stay.end].is_finite() and to_end[stay.start].is_finite()
        ]
        columns += [_Column(v, stay, Decimal(0)) for stay in first]
    rentals = line.instance.rentals
    if rentals is not None:
        anywhere = np.ones(len(rentals.gpus), np.bool_)
        best = [(w, rentals.best(w, anywhere)) for w in scope.workloads]
        least += [rentals.usd_month(w, g) * line.horizon for w, g in best if g is not None]
    return columns, total(least)


def _choices(line: Timeline, scope: Scope, stats: SolveStats) -> dict[int, set[tuple[int, int]]]:
    """Return what each volume may buy, by the month until which it has to do."""
    choices: dict[int, set[tuple[int, int]]] = {v: set() for v in scope.volumes}
    for month in range(line.horizon):
        view = line.month(month)
        seen = (every_column if stats.full else presolve)(view, scope)
        for unit, offer in zip(seen.unit.tolist(), seen.offer.tolist(), strict=True):
            for v in seen.units[unit].members:
                choices[v].add((month + 1, offer * line.horizon + month))
    mine = list(scope.volumes)
    sold = sum(int((each.broken[mine] == 0).sum()) for each in line.months)
    stats.dominated += sold - sum(len(each) for each in choices.values())
    return choices


def _stays(choices: set[tuple[int, int]]) -> list[Stay]:
    return [Stay(start, end, choice) for end, choice in sorted(choices) for start in range(end)]


def _shortest(horizon: int, usd: dict[Stay, Decimal]) -> list[Decimal]:
    """Return the least cost from each month to the end; infinite where there is no way."""
    left = [Decimal("Infinity")] * horizon + [Decimal(0)]
    of_start: dict[int, list[tuple[int, Decimal]]] = {}
    for stay, cost in usd.items():
        of_start.setdefault(stay.start, []).append((stay.end, cost))
    for start in reversed(range(horizon)):
        for end, cost in of_start.get(start, ()):
            if left[end].is_finite():
                left[start] = min(left[start], total([cost, left[end]]))
    return left


def _solve(
    line: Timeline, scope: Scope, columns: Sequence[_Column], least: Decimal, stats: SolveStats
) -> Schedule | None:
    """Return the cheapest schedule of these stays; its bound is that of these stays."""
    if {column.volume for column in columns} != set(scope.volumes):
        return None
    for tolerance in (FEASIBILITY_TOLERANCE, -FEASIBILITY_TOLERANCE):
        program = ScheduleProgram(line, scope, columns, tolerance)
        stays = program.cheapest(stats)
        if program.is_infeasible:
            return None
        if stays is None:
            raise Undecided
        if line.holds(scope, stays):
            break
    else:
        raise Undecided
    gpus = line.gpus_usd(stays, scope.workloads)
    if gpus is None:
        raise Undecided
    usd = total([line.disks_usd(stays), gpus])
    bound = None
    if not program.is_proven:
        bound = max(least, total([least, Decimal(program.bound_usd)]))
        bound = min(usd, bound.quantize(Decimal("1e-9"), ROUND_FLOOR))
    return Schedule(stays, usd, bound)


class ScheduleProgram(Model):
    """All months of a scope in one program.

    Parameters
    ----------
    line : Timeline
        Choices and months.
    scope : Scope
        What is decided.
    columns : sequence of _Column
        Stays to choose from.
    tolerance : float
        Part of a budget that it is given more than it has.
    """

    def __init__(
        self, line: Timeline, scope: Scope, columns: Sequence[_Column], tolerance: float
    ) -> None:
        super().__init__()
        self.line, self.scope, self.columns, self.tolerance = line, scope, columns, tolerance
        volumes, live = line.demand.volumes, _live(line)
        self.x = [
            self.variable(f"x_{n}", 1 if column.stay.choice >= live else self._most(column.volume))
            for n, column in enumerate(columns)
        ]
        for x, column in zip(self.x, columns, strict=True):
            if column.stay.choice >= live:
                self.add([(x, 1)], "==", 1)
        units = [VolumeClass((v,), volumes[v].replicas, self._level(v)) for v in scope.volumes]
        self.units = tuple(units)
        self.months = [_Month(self, month) for month in range(line.horizon)]
        self.is_infeasible = self.is_proven = False
        self.bound_usd = 0.0

    def _level(self, v: int) -> str | None:
        volume = self.line.demand.volumes[v]
        return volume.spread if spreads(volume.replicas, volume.spread) else None

    def _most(self, v: int) -> int:
        return self.line.demand.volumes[v].replicas if self._level(v) is None else 1

    def cheapest(self, stats: SolveStats) -> Stays | None:
        """Return the cheapest stays; of equal ones the fewest, then those in better stock."""
        costs = [*zip(self.x, (c.extra_usd for c in self.columns), strict=True), *self._gpus()]
        positive = [cost for _, cost in costs if cost > 0]
        unit = max(min(positive), max(positive) / _RANGE) if positive else Decimal(1)
        terms: Terms = [(x, float(cost / unit)) for x, cost in costs if cost > 0]
        limit_s, nodes = stats.left_s, max(1, int(_WORK / max(1, len(self.x)) ** 1.5))
        run = self.minimise(terms, time_limit_s=limit_s, nodes=nodes)
        stats.note(run, self)
        self.is_infeasible = run.status == "infeasible"
        self.is_proven = run.status == "optimal"
        self.bound_usd = max(0.0, (run.bound or 0.0) * float(unit))
        if run.status not in {"optimal", "feasible"}:
            return None
        stays = self._stays()
        if not self.is_proven or stats.is_over:
            return stays
        spent = sum(value * (x.value() or 0.0) for x, value in terms)
        self.add(terms, "<=", spent + max(1e-6, spent * 1e-12))
        for level in self._levels():
            run = self.minimise(level, time_limit_s=limit_s, nodes=nodes)
            stats.note(run, self)
            first = self._stays() if run.status in {"optimal", "feasible"} else stays
            # Floats hold the cost only nearly: what is dearer by less than they see is no equal.
            if self._usd(first) > self._usd(stays):
                return stays
            stays = first
            self.add(level, "<=", sum(rank * round(x.value() or 0.0) for x, rank in level) + 0.5)
        return stays

    def _levels(self) -> list[Terms]:
        """Return what is to be least among equally cheap stays: moves and stock, then keys."""
        penalty, horizon = self.line.instance.penalty, self.line.horizon
        copies = horizon * sum(unit.count for unit in self.units)
        stock = [4 * copies + int(penalty[column.stay.choice]) for column in self.columns]
        keys = [column.stay.choice // horizon for column in self.columns]
        span = copies * max(keys) + 1
        levels = [stock, keys]
        if max(stock) * span < _MOST:  # one weighs more than all of the other
            levels = [[first * span + then for first, then in zip(stock, keys, strict=True)]]
        return [
            [(x, float(rank)) for x, rank in zip(self.x, level, strict=True)] for level in levels
        ]

    def _usd(self, stays: Stays) -> Decimal:
        gpus = self.line.gpus_usd(stays, self.scope.workloads)
        if gpus is None or not self.line.holds(self.scope, stays):
            return Decimal("Infinity")
        return total([self.line.disks_usd(stays), gpus])

    def _stays(self) -> Stays:
        stays: Stays = {v: [] for v in self.scope.volumes}
        for x, column in zip(self.x, self.columns, strict=True):
            stays[column.volume] += [column.stay] * round(x.value() or 0.0)
        return stays

    def _gpus(self) -> list[tuple[Variable, Decimal]]:
        """Return what GPUs cost in each month beyond the cheapest of their workload."""
        rentals = self.line.instance.rentals
        if rentals is None:
            return []
        anywhere = np.ones(len(rentals.gpus), np.bool_)
        costs = []
        for month in self.months:
            for (w, g), z in month.z.items():
                best = rentals.best(w, anywhere)
                if best is not None:
                    extra = difference(rentals.usd_month(w, g), rentals.usd_month(w, best))
                    costs.append((z, extra))
        return costs


class _Month(Program):
    """What requirements see of one month: the stays that are there."""

    def __init__(self, whole: ScheduleProgram, month: int) -> None:
        self.whole, self.number, self.rows = whole, month, whole.rows
        self.instance, self.scope = whole.line.instance, whole.scope
        self.tolerance = whole.tolerance
        here = [n for n, c in enumerate(whole.columns) if c.stay.start <= month < c.stay.end]
        at = {unit.members[0]: k for k, unit in enumerate(whole.units)}
        self.x = [whole.x[n] for n in here]
        self.volume = [whole.columns[n].volume for n in here]
        self.offer = [whole.columns[n].stay.choice for n in here]
        self.usd_hr = [
            self.instance.usd_hr(v, o) for v, o in zip(self.volume, self.offer, strict=True)
        ]
        unit = np.array([at[v] for v in self.volume], np.int64)
        self.columns = Columns(whole.units, unit, np.array(self.offer, np.int64), 0)
        self.of_unit = [np.flatnonzero(unit == k).tolist() for k in range(len(whole.units))]
        self.unit_of = at
        self.z, self._used_at = {}, {}
        constrain(self)

    def variable(self, name: str, most: float | None, *, whole: bool = True) -> Variable:
        """Add a variable of this month."""
        return self.whole.variable(f"{name}_month_{self.number}", most, whole=whole)

    def add(self, terms: Terms, sense: str, right: float) -> None:
        """Add a constraint to the program of all months."""
        self.whole.add(terms, sense, right)
        self.rows = self.whole.rows
