"""The integer program that chooses placements, in variables of PuLP.

Sets
    K            classes of identical volumes (in the full program every volume is its own)
    O_k          offers that are candidates of class k
    D_L          places at level L: failure domains, sites, providers
    S_L          domains that replicas spread over L may not share: D_L, and for providers,
                 countries and regions also the data centres (levels are nested)
    W, G         workloads, GPU offers; G_w those that are candidates of workload w

Parameters
----------
    c_ko, s_ko   hourly cost (USD) and size (GB) of one replica of k at o
    R_k, m_k     replicas of a volume of k; volumes in k
    c_wg         hourly cost of GPU offer g for w, averaged over the month
    M_wvg        offers at which a replica of v lets w run on g
    L_g          network disks that one pod can mount at g; T_w those where separate ones are more
    P, S_p       disks that volumes may share, each an offer; the volumes on p
    B, H, N, P   budget, hours of a month, most sites, most providers
    q            most that one provider may hold of all GB

Variables
    x_ko         replicas of k at o, integer
    y_kd         1 if k is present at place d (x itself, where one replica cannot be more)
    u_d          1 if a site or provider d is used
    z_wg         1 if w runs on g
    t            GB of all disks

Objective
    minimise     Σ c_ko x_ko + Σ c_wg z_wg               or what breaks ties among equals

Constraints
    replicas     Σ_o x_ko = m_k R_k                       for every k
    spread       Σ_{o in d} x_ko ≤ m_k                    for every d of S_L, L the spread of k
    same         y_kd ≤ y_k'd                             where R_k ≤ R_k'; equal where R_k = R_k'
    different    Σ_k y_kd ≤ 1                             for every d of the group's level
    workload     Σ_g z_wg = 1,  z_wg ≤ Σ_{o in M_wvg} x_vo   for every mounted v
    shared       x_vp = x_v'p                             for all v of S_p
    needed       x_vp ≤ R_v Σ_{w mounts v, g of T_w at p} z_wg    where no group asks for p
    attach       Σ_{disks with one replica of each mounted v at g} ≤ L_g + M (1 - z_wg)
    budget       Σ c_ko x_ko ≤ B / H                      whole, and by owner
    sites        Σ_d u_d ≤ N,  Σ_{o in d} x_ko ≤ m_k R_k u_d   likewise P for providers
    share        Σ_{o of p} s_ko x_ko ≤ q t               for every provider p; ≤ ⌊q t⌋ where t
                                                          is the same whatever is chosen;
                 Σ_d u_d ≥ ⌈1/q⌉                          where sites or providers are limited

Prices are about 1e-4 USD and may differ by 1e-9, while the tolerances of solvers are absolute.
Since the x_k of a class sum to a constant, each class's least cost is taken off its c_ko, and what
is left is divided by the least difference (or by a billionth of the largest, where that is more).
Budgets have a tolerance; whether they hold is decided afterwards, in exact decimals.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from itertools import starmap
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pulp

from planner.requirements.base import ProgramColumn, negated
from planner.requirements.packing import AttachLimit, Mountable, one_disk_groups
from planner.requirements.spread import ReplicaSpread
from planner.requirements.workload import Mount
from planner.solve.solver import Run, run
from planner.units import difference

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from planner.solve.presolve import Columns
    from planner.solve.problem import Instance, Scope
    from planner.solve.solver import Run


Variable: TypeAlias = pulp.LpVariable
Terms: TypeAlias = list[tuple[Variable, float]]
"""A linear expression: variables with their coefficients."""


class Model:
    """Variables, constraints and an objective to minimise.

    Parameters
    ----------
    relaxed : bool
        Let every variable be a fraction.
    """

    def __init__(self, *, relaxed: bool = False) -> None:
        self._relaxed = relaxed
        self._problem = pulp.LpProblem("placement", pulp.LpMinimize)
        self.rows = 0

    @property
    def size(self) -> tuple[int, int]:
        """Return the numbers of variables and constraints."""
        return self._problem.numVariables(), self._problem.numConstraints()

    def variable(self, name: str, most: float | None, *, whole: bool = True) -> Variable:
        """Add a variable from zero to the most it can be; names are numbered by the caller."""
        cat = pulp.LpInteger if whole and not self._relaxed else pulp.LpContinuous
        return self._problem.add_variable(name, 0, most, cat=cat)

    def add(self, terms: Terms, sense: str, right: float) -> None:
        """Add a constraint, ``<=`` or ``==``, under a numbered name: PuLP confuses others."""
        self.rows += 1
        left = pulp.LpAffineExpression(terms)
        made = left == right if sense == "==" else left <= right
        self._problem += made, f"row_{self.rows}"

    def minimise(
        self,
        terms: Iterable[tuple[Variable, float]],
        *,
        time_limit_s: float | None = None,
        gap: float = 0.0,
        nodes: int | None = None,
    ) -> Run:
        """Minimise an expression; see `run`."""
        self._problem.setObjective(pulp.LpAffineExpression(list(terms)))
        return run(self._problem, time_limit_s=time_limit_s, gap=gap, nodes=nodes)


_RANGE = Decimal(10) ** 9
FEASIBILITY_TOLERANCE = 1e-7
"""Part of a budget within which a solver cannot tell whether it is met."""


@dataclass(frozen=True)
class Outcome:
    """What the program says.

    Attributes
    ----------
    run : Run
        Solver, status, termination and seconds.
    counts : ndarray of int64, shape (n,) | None
        Replicas at each column; None where there is no solution.
    values, reduced : ndarray of float, shape (n,) | None
        Of a relaxed program: its fractions, and each column's reduced cost in USD per hour.
    bound_usd_hr : float | None
        What the solver proves: no solution costs less.
    """

    run: Run
    counts: NDArray[np.int64] | None
    values: NDArray[np.float64] | None
    reduced: NDArray[np.float64] | None
    bound_usd_hr: float | None


class Program(Model):
    """The program of a scope, in variables of PuLP.

    Parameters
    ----------
    instance : Instance
        What the numbers mean.
    scope : Scope
        Which part of it is decided.
    columns : Columns
        The candidates to choose from.
    relaxed : bool
        Let every variable be a fraction.
    tolerance : float
        Part of a budget that it is given more than it has.
    """

    def __init__(
        self,
        instance: Instance,
        scope: Scope,
        columns: Columns,
        *,
        relaxed: bool = False,
        tolerance: float = FEASIBILITY_TOLERANCE,
    ) -> None:
        self.instance, self.scope, self.columns = instance, scope, columns
        super().__init__(relaxed=relaxed)
        self.tolerance = tolerance
        self.volume = columns.volume.tolist()
        self.offer = columns.offer.tolist()
        pairs = instance.pairs
        self.usd_hr = [pairs.usd_hr(v, o) for v, o in zip(self.volume, self.offer, strict=True)]
        self.x = [
            self.variable(f"x_{i}", columns.units[k].most)
            for i, k in enumerate(columns.unit.tolist())
        ]
        self.of_unit: list[list[int]] = [[] for _ in columns.units]
        for i, k in enumerate(columns.unit.tolist()):
            self.of_unit[k].append(i)
        self.unit_of = {unit.members[0]: k for k, unit in enumerate(columns.units)}
        self.z: dict[tuple[int, int], Variable] = {}
        self._used_at: dict[str, list[Variable]] = {}
        constrain(self)
        self._cost, self._unit_usd, self._constant = self._costs()

    def cheapest(
        self, *, time_limit_s: float | None, gap_usd_hr: float = 0.0, nodes: int | None = None
    ) -> Outcome:
        """Minimise cost; with ``gap_usd_hr`` a solution that near to the best will do."""
        unit = float(self._unit_usd)
        return self._run(self._cost, time_limit_s, gap_usd_hr / unit, unit, nodes)

    def first(
        self, weights: Sequence[float], *, time_limit_s: float | None, nodes: int | None = None
    ) -> Outcome:
        """Minimise a weight for each column."""
        terms: Terms = [(x, weight) for x, weight in zip(self.x, weights, strict=True) if weight]
        return self._run(terms, time_limit_s, 0.0, 1.0, nodes)

    def hold(self, weights: Sequence[float], most: float) -> None:
        """Let the sum of a weight for each column be at most this from now on."""
        terms = [(x, weight) for x, weight in zip(self.x, weights, strict=True) if weight]
        self.add(terms, "<=", most)

    def hold_cost(self, usd_hr: Decimal) -> None:
        """Let the cost be at most this from now on, as well as floats can say it."""
        spare = float(difference(usd_hr, self._constant) / self._unit_usd)
        self.add(self._cost, "<=", spare + max(1e-6, abs(spare) * 1e-12))

    def exclude(self, counts: NDArray[np.int64]) -> bool:
        """Rule one solution out from now on; False where no single constraint can."""
        most = np.array([unit.most for unit in self.columns.units])[self.columns.unit]
        used = np.flatnonzero(counts)
        if (counts[used] < most[used]).any():
            return False
        self.add([(self.x[i], 1) for i in used.tolist()], "<=", float(counts.sum()) - 1)
        return True

    def fewest_sites(self, *, time_limit_s: float | None) -> Outcome:
        """Minimise the number of sites used."""
        objective: Terms = [(u, 1) for u in self.used("site")]
        return self._run(objective, time_limit_s, 0.0, 1.0)

    def hold_sites(self, most: int) -> None:
        """Let the number of sites used be at most this from now on."""
        self.add([(u, 1) for u in self.used("site")], "<=", most)

    # What a requirement sees.

    @property
    def view(self) -> Instance:
        """Return what the numbers mean."""
        return self.instance

    @cached_property
    def _seen(self) -> tuple[ProgramColumn, ...]:
        units, pairs = self.columns.units, self.instance.pairs
        counts = [units[k].count for k in self.columns.unit.tolist()]
        gb = pairs.provision_gb[self.volume, self.offer].tolist()
        disks = pairs.disks[self.volume, self.offer].tolist()
        rows = (self.x, self.volume, self.offer, self.usd_hr, gb, disks, counts)
        return tuple(starmap(ProgramColumn, zip(*rows, strict=True)))

    def columns_of(self) -> tuple[ProgramColumn, ...]:
        """Return every column."""
        return self._seen

    def replicas(self, volume: int, offers: Collection[int] | None = None) -> Terms:
        """Return how many replicas a volume, and those decided with it, have at offers."""
        columns = self.of_unit[self.unit_of[volume]]
        return [(self.x[i], 1) for i in columns if offers is None or self.offer[i] in offers]

    def inside(self, volume: int, places: Sequence[frozenset[Any]]) -> Mapping[Any, Terms]:
        """Return how many replicas a volume has in each place, given the places of each offer."""
        inside = defaultdict[Any, Terms](list)
        for i in self.of_unit[self.unit_of[volume]]:
            for place in places[self.offer[i]]:
                inside[place].append((self.x[i], 1))
        return inside

    def used(self, level: str) -> list[Variable]:
        """Return for each place of a level what is 1 if anything is there."""
        if level in self._used_at:
            return self._used_at[level]
        used: dict[Any, Variable] = {}
        places = self.instance.places(level)
        for unit in self.columns.units:
            most = unit.most if unit.spread == level else unit.count
            for place, terms in self.inside(unit.members[0], places).items():
                if place not in used:
                    used[place] = self.variable(f"u_{level}_{self.rows}", 1)
                self.add([*terms, (used[place], -most)], "<=", 0)
        self._used_at[level] = list(used.values())
        return self._used_at[level]

    def mountable(self, volume: int, offer: int) -> Mountable:
        """Return a replica that a job can mount."""
        pairs = self.instance.pairs
        disks = max(int(pairs.disks[volume, offer]), 1)
        return Mountable(self.replicas(volume, {offer}), pairs.disk(volume, offer), disks)

    def new(self, name: str, most: float | None, *, whole: bool = True) -> Variable:
        """Add a variable of a requirement."""
        return self.variable(f"{name}_{self.rows}", most, whole=whole)

    def _costs(self) -> tuple[Terms, Decimal, Decimal]:
        """Return the scaled objective, what one of it costs, and what is spent at any rate."""
        lowest: dict[int, Decimal] = {}
        for k, usd_hr in zip(self.columns.unit.tolist(), self.usd_hr, strict=True):
            lowest[k] = min(usd_hr, lowest.get(k, usd_hr))
        extra = [
            (x, difference(usd_hr, lowest[k]))
            for x, k, usd_hr in zip(self.x, self.columns.unit.tolist(), self.usd_hr, strict=True)
        ]
        constant = [lowest[k] * self.columns.units[k].count for k in lowest]
        hours = self.instance.demand.policy.hours_per_month
        cheapest: dict[int, Decimal] = {}
        rented = {
            (w, g): self.instance.rentals.usd_month(w, g) / hours
            for w, g in self.z
            if self.instance.rentals is not None
        }
        for (w, _), usd_hr in rented.items():
            cheapest[w] = min(usd_hr, cheapest.get(w, usd_hr))
        extra += [(self.z[w, g], usd_hr - cheapest[w]) for (w, g), usd_hr in rented.items()]
        positive = [cost for _, cost in extra if cost > 0]
        unit = max(min(positive), max(positive) / _RANGE) if positive else Decimal(1)
        terms = [(variable, float(cost / unit)) for variable, cost in extra if cost > 0]
        return terms, unit, sum([*constant, *cheapest.values()], Decimal(0))

    def _run(
        self,
        objective: Terms,
        time_limit_s: float | None,
        gap: float,
        unit_usd: float,
        nodes: int | None = None,
    ) -> Outcome:
        done = self.minimise(objective, time_limit_s=time_limit_s, gap=gap, nodes=nodes)
        counts = values = reduced = None
        if done.status in {"optimal", "feasible"}:
            values = np.array([x.value() or 0.0 for x in self.x])
            counts = np.rint(values).astype(np.int64)
            if not self._relaxed and not self._placed(counts):
                counts = None
            if self._relaxed and done.status == "optimal":
                reduced = np.array([x.dj or 0.0 for x in self.x]) * unit_usd
                counts = np.ceil(values - 1e-9).astype(np.int64)
        bound = None if done.bound is None else done.bound * unit_usd + float(self._constant)
        return Outcome(done, counts, values if self._relaxed else None, reduced, bound)

    def _placed(self, counts: NDArray[np.int64]) -> bool:
        """Return whether every replica has a place: a stopped solver may have none to tell."""
        placed = np.bincount(self.columns.unit, weights=counts, minlength=len(self.columns.units))
        return bool(np.array_equal(placed, [unit.count for unit in self.columns.units]))


def constrain(program: Program) -> None:
    """Add every constraint of a program's scope."""
    _replicas(program)
    for v, offers in program.instance.forced:
        mine = program.of_unit[program.unit_of[v]] if v in program.unit_of else []
        if mine:
            program.add([(program.x[i], -1) for i in mine if program.offer[i] in offers], "<=", -1)
    at = dict(zip(zip(program.volume, program.offer, strict=True), program.x, strict=True))
    for place in program.instance.kept:
        if place in at:
            program.add([(at[place], 1)], "==", 1)
        elif place[0] in program.unit_of:  # left out of these columns: there is no such plan
            mine = program.of_unit[program.unit_of[place[0]]]
            program.add([(program.x[i], 1) for i in mine], "<=", 0)
    for tie in program.scope.ties:
        tie.constrain(program)
    for w in program.scope.workloads:
        _workload(program, w)
    _shared_disks(program)
    if program.scope.capped:
        for requirement in program.instance.requirements:
            requirement.constrain(program)


def _replicas(program: Program) -> None:
    """Place every replica, those of one volume apart where they must be."""
    for k, unit in enumerate(program.columns.units):
        program.add([(program.x[i], 1) for i in program.of_unit[k]], "==", unit.count)
        if unit.spread is not None:
            ReplicaSpread(unit.spread).constrain(program, unit.members[0], len(unit.members))


def _workload(program: Program, w: int) -> None:
    rentals, limits = program.instance.rentals, program.instance.limits
    if rentals is None:
        return
    for g, needs in _runnable(program, w):
        z = program.z[w, g] = program.variable(f"z_{w}_{g}", 1)
        for v, offers in zip(rentals.mounts[w], needs, strict=True):
            Mount.constrain(program, [(z, 1)], v, {*offers})
        if limits is not None and limits.limited[w]:
            mounts = [
                (program.instance.volumes[v].replicas, [program.mountable(v, o) for o in offers])
                for v, offers in zip(rentals.mounts[w], needs, strict=True)
            ]
            AttachLimit.constrain(program, [(z, 1)], mounts, int(limits.most[g]))
    program.add([(z, 1) for (job, _), z in program.z.items() if job == w], "==", 1)


def _shared_disks(program: Program) -> None:
    """Let all volumes of a shared disk use it equally often, and only where jobs need it."""
    instance, rentals, limits = program.instance, program.instance.rentals, program.instance.limits
    together = one_disk_groups(instance.demand) if instance.pairs.shared else {}
    for o, members in instance.shared_disks.items():
        disk = instance.pairs.shared[o]
        if members[0] not in program.unit_of:
            continue
        terms = [program.replicas(v, {o}) for v in members]
        used = [each for each in terms if each]
        if len(used) < len(terms):
            for each in used:
                program.add(each, "<=", 0)
            continue
        for each in terms[1:]:
            program.add([*terms[0], *negated(each)], "==", 0)
        if disk.by_group or rentals is None or limits is None:
            continue
        for unit in {together.get(name, (name,)) for name in disk.members}:
            needing = [
                (z, -float(instance.volumes[members[0]].replicas))
                for (w, g), z in program.z.items()
                if limits.too_many[w, g]
                and rentals.meets[g, o]
                and not {*unit}.isdisjoint(rentals.workloads[w].mounts)
            ]
            program.add([*terms[0], *needing], "<=", 0)


def _runnable(program: Program, w: int) -> Iterator[tuple[int, list[tuple[int, ...]]]]:
    """Yield the first of all GPU offers that reach the same, with the offers for each mount."""
    rentals, limits = program.instance.rentals, program.instance.limits
    if rentals is None:
        return
    shared = [*program.instance.pairs.shared]
    alike: dict[Any, NDArray[np.bool_]] = {}
    wants: dict[Any, list[tuple[int, ...]]] = {}
    for g in np.flatnonzero(rentals.broken[w] == 0).tolist():
        each = []
        for v in rentals.mounts[w]:
            mountable = rentals.mountable(w, v, g)
            columns = program.of_unit[program.unit_of[v]]
            each.append(tuple(o for o in (program.offer[i] for i in columns) if mountable[o]))
        if all(each):
            look: tuple[Any, ...] = tuple(each)
            if limits is not None and limits.limited[w]:
                here = rentals.meets[g, shared].tobytes()
                look = (*look, limits.most[g], limits.too_many[w, g], here)
            alike.setdefault(look, np.zeros(len(rentals.gpus), np.bool_))[g] = True
            wants[look] = each
    for look, mask in alike.items():
        best = rentals.best(w, mask)
        if best is not None:
            yield best, wants[look]
