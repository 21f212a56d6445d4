"""The integer program.

Sets
    V            volumes
    O_v          offers that are candidates of volume v (with ``full`` all, else the undominated)
    D_v          failure domains at the level at which the replicas of v must differ

Parameters
----------
    c_vo         hourly cost of one replica of v at o, USD
    R_v          replicas of v
    B, B_w       budgets, whole and of owner w, USD per month; H hours per month

Variables
    x_vo         1 if a replica of v is at o; up to R_v where nothing keeps replicas apart

Objective
    minimise     Σ_v Σ_o c_vo x_vo

Constraints
    replicas     Σ_o x_vo = R_v                          for every v
    spread       Σ_{o in d} x_vo ≤ 1                     for every v, d in D_v
    budget       Σ_v Σ_o c_vo x_vo ≤ B / H
    owner        Σ_{v of w} Σ_o c_vo x_vo ≤ B_w / H      for every owner w with a budget

Prices are about 1e-4 USD and may differ by 1e-9, while the tolerances of solvers are absolute.
Since every x_v sums to R_v, each volume's least cost is taken off its c_vo, and what is left is
divided by the least difference (or by a billionth of the largest, where that is more). Budgets are
given a hair more than they have; whether they hold is decided afterwards, in exact decimals.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pulp

from planner.solve.least import Least, spreads
from planner.solve.solver import Run, SolverName, run
from planner.units import difference

if TYPE_CHECKING:
    from collections.abc import Iterable

    from planner.demand import Policy
    from planner.solve.candidates import Pairs

_RANGE = Decimal(10) ** 9
_HAIR = 1e-7
_Key = tuple[int, int]


@dataclass(frozen=True)
class Outcome:
    """What the program says.

    Attributes
    ----------
    run : Run
        Solver, status, termination and seconds.
    chosen : list of list of int | None
        Offers of each volume, one entry for each replica; None where there is no solution.
    variables, constraints : int
        Size of the program.
    """

    run: Run
    chosen: list[list[int]] | None
    variables: int
    constraints: int


def solve_program(
    pairs: Pairs,
    least: Least,
    policy: Policy,
    *,
    solver: SolverName = "highs",
    time_limit_s: float | None = None,
    full: bool = False,
) -> Outcome:
    """Write the program, solve it, and return the chosen offers.

    Parameters
    ----------
    solver : str
        ``highs`` or ``cbc``.
    time_limit_s : float | None
        Seconds after which the best solution so far is returned; None waits for the proof.
    full : bool
        Give the solver every candidate, also the dominated.

    Raises
    ------
    InputError
        When the solver is not installed.
    """
    problem = pulp.LpProblem("placement", pulp.LpMinimize)
    x, usd_hr = _variables(problem, pairs, least, full=full)
    problem.setObjective(_objective(x, usd_hr))
    _replicas_and_spread(problem, pairs, least, x)
    _budgets(problem, pairs, policy, x, usd_hr)
    outcome = run(problem, solver=solver, time_limit_s=time_limit_s)
    chosen = None
    if outcome.status in {"optimal", "feasible"}:
        chosen = _chosen(pairs, x)
    return Outcome(outcome, chosen, problem.numVariables(), problem.numConstraints())


def _variables(
    problem: pulp.LpProblem, pairs: Pairs, least: Least, *, full: bool
) -> tuple[dict[_Key, pulp.LpVariable], dict[_Key, Decimal]]:
    """Return x and c; numbered names, since PuLP takes ``a-1`` and ``a_1`` for one."""
    x, usd_hr = {}, {}
    for v, volume in enumerate(pairs.volumes):
        most = 1 if spreads(volume.replicas, volume.spread) else volume.replicas
        offers = (pairs.broken[v] == 0).nonzero()[0].tolist() if full else least.undominated(v)
        for o in offers:
            x[v, o] = problem.add_variable(f"x_{v}_{o}", 0, most, cat=pulp.LpInteger)
            usd_hr[v, o] = pairs.usd_hr(v, o)
    return x, usd_hr


def _objective(
    x: dict[_Key, pulp.LpVariable], usd_hr: dict[_Key, Decimal]
) -> pulp.LpAffineExpression:
    lowest: dict[int, Decimal] = {}
    for (v, _), cost in usd_hr.items():
        lowest[v] = min(cost, lowest.get(v, cost))
    extra = {key: difference(cost, lowest[key[0]]) for key, cost in usd_hr.items()}
    positive = [cost for cost in extra.values() if cost]
    unit = max(min(positive), max(positive) / _RANGE) if positive else Decimal(1)
    return pulp.LpAffineExpression([(x[key], float(cost / unit)) for key, cost in extra.items()])


def _replicas_and_spread(
    problem: pulp.LpProblem, pairs: Pairs, least: Least, x: dict[_Key, pulp.LpVariable]
) -> None:
    offers_of: dict[int, list[int]] = {v: [] for v in range(len(pairs.volumes))}
    for v, o in x:
        offers_of[v].append(o)
    for v, volume in enumerate(pairs.volumes):
        everywhere = (x[v, o] for o in offers_of[v])
        problem += _sum(everywhere) == volume.replicas, f"replicas_{v}"
        if not spreads(volume.replicas, volume.spread):
            continue
        inside: dict[Any, list[pulp.LpVariable]] = {}
        domains = least.domains(volume.spread)
        for o in offers_of[v]:
            for domain in domains[o]:
                inside.setdefault(domain, []).append(x[v, o])
        for d, members in enumerate(inside.values()):
            if len(members) > 1:
                problem += _sum(members) <= 1, f"spread_{v}_{d}"


def _budgets(
    problem: pulp.LpProblem,
    pairs: Pairs,
    policy: Policy,
    x: dict[_Key, pulp.LpVariable],
    usd_hr: dict[_Key, Decimal],
) -> None:
    for number, (owner, limit) in enumerate(policy.limits):
        mine = [key for key in x if owner is None or pairs.volumes[key[0]].owner == owner]
        if not mine:
            continue
        limit_usd_hr = limit / policy.hours_per_month
        scale = max([limit_usd_hr, *(usd_hr[key] for key in mine)])
        spent = pulp.LpAffineExpression([(x[key], float(usd_hr[key] / scale)) for key in mine])
        problem += spent <= float(limit_usd_hr / scale) * (1 + _HAIR), f"budget_{number}"


def _sum(variables: Iterable[pulp.LpVariable]) -> pulp.LpAffineExpression:
    return pulp.LpAffineExpression([(variable, 1) for variable in variables])


def _chosen(pairs: Pairs, x: dict[_Key, pulp.LpVariable]) -> list[list[int]]:
    chosen: list[list[int]] = [[] for _ in pairs.volumes]
    for (v, o), variable in x.items():
        chosen[v].extend([o] * round(variable.value() or 0))
    return chosen
