"""The same problems as small programs of their own, for HiGHS called directly, CP-SAT and PuLP.

The best formulation is the smallest that is exact here. Of a volume's offers that only their price
tells apart, the cheapest is a column. A group has a binary for each site. A job has a column for
each place that GPUs share, on the cheapest GPUs there, which needs its volumes there. A cap on
sites has a binary for each site. Pair by pair, every volume has a binary for each offer, and every
job one for each GPU offer. Every volume has one replica, and every group is one site's.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from planner.solve.problem import Instance

NANO = 10**9
"""Costs are whole billionths of a USD per month, so that each solver gets the same numbers."""
_SHARE = 10_000
Row = tuple[list[int], list[int], int | None, int | None]
"""Columns, their values, least and most."""


@dataclass(frozen=True)
class Measured:
    """Monthly cost (None: none found) and bound, processor seconds, peak MB, and who stopped."""

    usd: float | None
    bound: float
    cpu: float
    mb: float = 0.0
    stopped: bool = False


@dataclass
class Program:
    """Columns with a cost and a most, binary where that is 1, and rows over them."""

    costs: list[int] = field(default_factory=list)
    most: list[int] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    def add(self, cost: int = 0, most: int = 1) -> int:
        """Return a new column."""
        self.costs.append(cost)
        self.most.append(most)
        return len(self.costs) - 1

    def row(
        self, terms: Iterable[tuple[int, int]], low: int | None = None, high: int | None = None
    ) -> None:
        """Add a row, whose least and most are the bounds of a sum."""
        columns, values = zip(*terms, strict=True)
        self.rows.append(([*columns], [*values], low, high))

    def one_of(self, columns: Iterable[int]) -> None:
        """Add the row of which exactly one column is chosen."""
        self.row(((column, 1) for column in columns), 1, 1)


@dataclass(frozen=True)
class _Column:
    column: int
    offer: int
    gb: int


def written(instance: Instance, *, best: bool) -> Program:
    """Return an instance as a program: the best formulation, or pair by pair."""
    program, policy, pairs = Program(), instance.demand.policy, instance.pairs
    placed = [[*_placed(program, instance, v, best=best)] for v in range(len(pairs.volumes))]
    for columns in placed:
        program.one_of(each.column for each in columns)
    _groups(program, instance, placed, best=best)
    if instance.rentals is not None:
        _jobs(program, instance, placed, best=best)
    if policy.max_sites is not None:
        sites: dict[Hashable, int] = {
            site: program.add() for site in sorted(set(instance.sites), key=str)
        }
        program.row(((column, 1) for column in sites.values()), high=policy.max_sites)
        for columns in placed:
            for site, those in _by(columns, lambda each: instance.sites[each.offer]).items():
                terms = [*((each.column, 1) for each in those), (sites[site], -1)]
                program.row(terms, high=0)
    if policy.max_provider_share is not None:
        _share(program, instance, placed, best=best)
    for owner, limit in policy.budgets.items():
        mine = [v for v, volume in enumerate(pairs.volumes) if volume.owner == owner]
        paid = [each.column for v in mine for each in placed[v]]
        program.row(((c, program.costs[c]) for c in paid), high=int(Decimal(limit) * NANO))
    return program


def _placed(program: Program, instance: Instance, v: int, *, best: bool) -> Iterable[_Column]:
    """Yield the columns of a volume."""
    pairs, policy = instance.pairs, instance.demand.policy
    hours, rentals = policy.hours_per_month, instance.rentals
    tied = any(v in tie.members for tie in instance.ties)
    prices, providers = _prices(instance), pairs.offers["provider"].tolist()
    cheapest: dict[Hashable, tuple[int, int, int]] = {}
    for o in np.flatnonzero(pairs.broken[v] == 0).tolist():
        gb = int(pairs.provision_gb[v, o])
        key: list[Hashable] = [] if best else [o]
        if policy.max_provider_share is not None:
            key += [providers[o], gb]
        if policy.max_sites is not None or tied:
            key.append(instance.sites[o])
        if rentals is not None:
            key += [rentals.meets[:, o].tobytes(), bool(rentals.multinode[o])]
        cost = gb * prices[o] * hours
        at = tuple(key)
        if at not in cheapest or cost < cheapest[at][0]:
            cheapest[at] = cost, o, gb
    for cost, o, gb in cheapest.values():
        yield _Column(program.add(cost), o, gb)


def _prices(instance: Instance) -> list[int]:
    """Return prices per GB and hour in billionths."""
    known = instance.pairs.offers["usd_gb_hr"].tolist()
    return [0 if price is None else int(price * NANO) for price in known]


def _by(
    columns: Iterable[_Column], key: Callable[[_Column], Hashable]
) -> dict[Hashable, list[_Column]]:
    grouped: dict[Hashable, list[_Column]] = defaultdict(list)
    for each in columns:
        grouped[key(each)].append(each)
    return grouped


def _groups(
    program: Program, instance: Instance, placed: list[list[_Column]], *, best: bool
) -> None:
    """Put every group at one site: by a binary of each site, or two volumes at a time."""
    for tie in instance.ties:
        there = [_by(placed[v], lambda each: instance.sites[each.offer]) for v in tie.members]
        every = sorted({site for sites in there for site in sites}, key=str)
        if best:
            common = [site for site in every if all(site in sites for sites in there)]
            chosen = {site: program.add() for site in common}
            program.one_of(chosen.values())
        for n, sites in enumerate(there):
            for site in every:
                terms = [(each.column, 1) for each in sites.get(site, ())]
                if best:
                    terms += [(chosen[site], -1)] if site in chosen else []
                elif n:
                    terms += [(each.column, -1) for each in there[n - 1].get(site, ())]
                if terms and (best or n):
                    program.row(terms, 0, 0)


def _jobs(program: Program, instance: Instance, placed: list[list[_Column]], *, best: bool) -> None:
    """Rent GPUs for every job where its volumes are."""
    rentals = instance.rentals
    assert rentals is not None
    for w, mounts in enumerate(rentals.mounts):
        cheapest: dict[Hashable, tuple[int, int]] = {}
        for g in np.flatnonzero(rentals.broken[w] == 0).tolist():
            cost = int(rentals.usd_month(w, g) * NANO)
            near = tuple(rentals.mountable(w, v, g).tobytes() for v in mounts)
            key: Hashable = near if best else g
            if key not in cheapest or cost < cheapest[key][0]:
                cheapest[key] = cost, g
        runs = []
        for cost, g in cheapest.values():
            runs.append(program.add(cost))
            for v in mounts:
                near_v = rentals.mountable(w, v, g)
                terms = [(each.column, -1) for each in placed[v] if near_v[each.offer]]
                program.row([(runs[-1], 1), *terms], high=0)
        program.one_of(runs)


def _share(
    program: Program, instance: Instance, placed: list[list[_Column]], *, best: bool
) -> None:
    """Limit what one provider has of all GB: of each volume's least, and of what is beyond.

    Pair by pair all GB are a column of their own, as people write it.
    """
    share = int(Decimal(instance.demand.policy.max_provider_share or 1) * _SHARE)
    providers = instance.pairs.offers["provider"].tolist()
    every = [each for columns in placed for each in columns]
    least = [min(each.gb for each in columns) for columns in placed]
    beyond = {
        each.column: -share * (each.gb - least[v])
        for v, columns in enumerate(placed)
        for each in columns
        if each.gb > least[v]
    }
    high = share * sum(least)
    if not best:
        everything = program.add(most=sum(max(each.gb for each in columns) for columns in placed))
        program.row([*((each.column, each.gb) for each in every), (everything, -1)], 0, 0)
        beyond, high = {everything: -share}, 0
    for those in _by(every, lambda each: providers[each.offer]).values():
        values = dict(beyond)
        for each in those:
            values[each.column] = values.get(each.column, 0) + _SHARE * each.gb
        program.row(values.items(), high=high)


# Solvers. All have one thread, a relative gap and a limit in seconds.


def by_highs(program: Program, gap: float, limit_s: float) -> tuple[float | None, float, bool]:
    """Return cost, bound and whether the time ran out, of HiGHS called directly."""
    import highspy

    n, highs = len(program.costs), highspy.Highs()  # type: ignore[no-untyped-call]
    options = {"output_flag": False, "threads": 1, "mip_rel_gap": gap, "mip_abs_gap": 0.0}
    for name, value in {**options, "time_limit": limit_s}.items():
        highs.setOptionValue(name, value)
    lp: Any = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = n, len(program.rows)
    lp.col_cost_ = np.array(program.costs, float) / NANO
    lp.col_lower_, lp.col_upper_ = np.zeros(n), np.array(program.most, float)
    kinds = highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger
    lp.integrality_ = [kinds[most == 1] for most in program.most]
    scales = [float(max(map(abs, values))) for _, values, _, _ in program.rows]
    bounds = [
        [far if each is None else each / scale for each, scale in zip(side, scales, strict=True)]
        for side, far in (
            ([low for _, _, low, _ in program.rows], -np.inf),
            ([high for _, _, _, high in program.rows], np.inf),
        )
    ]
    lp.row_lower_, lp.row_upper_ = np.array(bounds[0]), np.array(bounds[1])
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = np.r_[0, np.cumsum([len(columns) for columns, *_ in program.rows])]
    lp.a_matrix_.index_ = np.concatenate([columns for columns, *_ in program.rows])
    lp.a_matrix_.value_ = np.concatenate(
        [np.array(row[1], float) / scale for row, scale in zip(program.rows, scales, strict=True)]
    )
    highs.passModel(lp)
    highs.run()
    return _of_highs(highs)


def _of_highs(highs: Any) -> tuple[float | None, float, bool]:
    import highspy

    info = highs.getInfo()
    usd = float(info.objective_function_value) if info.primal_solution_status == 2 else None
    ended = highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kInfeasible
    stopped = highs.getModelStatus() not in ended
    return usd, float(info.mip_dual_bound), stopped


def by_cp_sat(program: Program, gap: float, limit_s: float) -> tuple[float | None, float, bool]:
    """Return cost, bound and whether the time ran out, of OR-Tools' CP-SAT."""
    from ortools.sat.python import cp_model

    model: Any = cp_model.CpModel()
    x = [model.new_int_var(0, most, "") for most in program.most]
    far = 2**62
    for columns, values, low, high in program.rows:
        terms = cp_model.LinearExpr.weighted_sum([x[column] for column in columns], values)
        bounds = (-far if low is None else low, far if high is None else high)
        model.add_linear_constraint(terms, *bounds)
    model.minimize(cp_model.LinearExpr.weighted_sum(x, program.costs))
    solver: Any = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.relative_gap_limit = gap
    solver.parameters.max_time_in_seconds = limit_s
    status = solver.solve(model)
    solved = status in {cp_model.OPTIMAL, cp_model.FEASIBLE}
    usd = solver.objective_value / NANO if solved else None
    stopped = status not in {cp_model.OPTIMAL, cp_model.INFEASIBLE}
    return usd, solver.best_objective_bound / NANO, stopped


def by_pulp(program: Program, gap: float, limit_s: float) -> tuple[float | None, float, bool]:
    """Return cost, bound and whether the time ran out, of PuLP with HiGHS."""
    import pulp

    start, problem, total = time.process_time(), pulp.LpProblem("pairs"), pulp.LpAffineExpression
    kinds = pulp.LpContinuous, pulp.LpInteger
    x = [
        problem.add_variable(f"x{n}", 0, most, kinds[most == 1])
        for n, most in enumerate(program.most)
    ]
    for columns, values, low, high in program.rows:
        scale = max(map(abs, values))
        terms = total([(x[c], value / scale) for c, value in zip(columns, values, strict=True)])
        if low == high and low is not None:
            problem += terms == low / scale
        elif high is not None:
            problem += terms <= high / scale
    problem.setObjective(total([(x[n], cost / NANO) for n, cost in enumerate(program.costs)]))
    left = max(1.0, limit_s - (time.process_time() - start))
    problem.solve(pulp.HiGHS(msg=False, gapRel=gap, gapAbs=0, threads=1, timeLimit=left))
    return _of_highs(problem.solverModel)


RIVALS = {"HiGHS": (by_highs, True), "CP-SAT": (by_cp_sat, True), "PuLP": (by_pulp, False)}
"""Name → who solves it, and whether the best formulation, instead of pair by pair."""


def measured(who: str, instance: Instance, gap: float, limit_s: float) -> Measured:
    """Write and solve an instance, and return what that took of the processor."""
    solve, best = RIVALS[who]
    start = time.process_time()
    usd, bound, stopped = solve(written(instance, best=best), gap, limit_s)
    return Measured(usd, bound, time.process_time() - start, stopped=stopped)
