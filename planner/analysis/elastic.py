"""The elastic program: the demand with a variable for every step that relaxes it.

Sets
    V, O, D_L    volumes, offers, places at level L, as in `planner.solve.model`
    J            steps; J_vo those that volume v needs at offer o, J_wg workload w on GPU offer g
    L_v          the spread level of v, and the weaker ones

Variables
    s_j          1 if step j is taken
    x_vo         replicas of v at o, integer
    a_vl         1 if the replicas of v are spread over level l
    z_wg         1 if w runs on g
    y_vd, u_d    1 if v, or anything, is present at place d

Objectives
    minimise     Σ s_j                                    the fewest changes, then
                 Σ c_vo x_vo + Σ c_wg z_wg                the cost with so many, then
                 one limit with the steps fixed           its least sufficient value

Constraints
    needs        Σ_{o: j in J_vo} x_vo ≤ R_v s_j,  Σ_{g: j in J_wg} z_wg ≤ s_j
    chains       s_j ≤ s_i                                the second level down needs the first
    replicas     Σ_o x_vo + Σ_{j fewer} s_j = R_v
    spread       Σ_l a_vl = 1,  Σ_{l weaker} a_vl ≤ s_j,
                 Σ_{o in d} x_vo ≤ 1 + (R_v - 1)(1 - a_vl)      for every d of level l
    the others as in `planner.solve.model`, each with M s_j added to its right side
    no-good      Σ_{j in S} s_j ≤ |S| - 1                 for every set S that is already listed

A candidate that needs at least as much as another of the same volume in the same place, and costs
no less, is left out.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from planner.analysis.evaluator import OutOfBudget, SearchBudget
from planner.analysis.needs import undominated_jobs, undominated_places
from planner.analysis.relaxation import LIMITS
from planner.requirements.base import ProgramColumn, negated
from planner.requirements.field import Step
from planner.requirements.group import GroupConstraint, labelled
from planner.requirements.offer import OfferLimit
from planner.requirements.packing import AttachLimit, Mountable, one_disk_groups, pod_limit
from planner.requirements.spread import ReplicaSpread
from planner.requirements.volume import KIND_OF
from planner.requirements.workload import Mount
from planner.solve.model import Model, Terms, Variable
from planner.solve.packing import pod_limits

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from decimal import Decimal

    from planner.analysis.needs import Catalogue, Job, Place
    from planner.solve.problem import Chosen, Instance

MOST_CANDIDATES = 60_000
"""Candidates of a program at most; a larger one is out of every budget."""
NODES = 20_000
"""Branch-and-bound nodes after which one program is given up."""
LOOSE, STRICT = 1e-7, -1e-6
"""Part of a budget, and of a share, that is added to it, for a solver cannot tell such amounts.

What only a loose program holds to be enough is planned in vain; then the strict one is asked."""
_COST_RANGE = 1e6
_VARIABLES_A_CALL = 200
"""Variables with which a program counts as one more call of the solver."""


@dataclass(frozen=True)
class Incumbent:
    """A solution of the elastic program.

    Attributes
    ----------
    spread : dict of str
        Level over which the replicas of a volume are spread, by volume.
    """

    steps: frozenset[Step]
    chosen: Chosen
    spread: dict[int, str]
    objective: float


@dataclass
class _Candidate:
    place: Place
    usd_hr: Decimal
    x: Variable


@dataclass
class _Volume:
    v: int
    replicas: int
    candidates: list[_Candidate] = field(default_factory=list)
    fewer: list[Variable] = field(default_factory=list)
    levels: dict[str, Variable] = field(default_factory=dict)

    def terms(self, offers: Callable[[int], bool] = lambda _: True) -> Terms:
        return [(c.x, 1.0) for c in self.candidates if offers(c.place.offer)]


class Elastic(Model):
    """The elastic program of an instance without existing disks.

    Parameters
    ----------
    catalogue : Catalogue
        The demand, and what each pair of it needs.
    taken : frozenset of Step | None
        Take exactly these steps.
    tolerance : float
        ``LOOSE`` or ``STRICT``.
    releasing : bool
        Let each kept replica be released by a step, whose value is the number of the replica.

    Raises
    ------
    OutOfBudget
        When there are more than ``MOST_CANDIDATES``.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        budget: SearchBudget,
        *,
        taken: frozenset[Step] | None = None,
        tolerance: float = LOOSE,
        releasing: bool = False,
    ) -> None:
        super().__init__()
        self.catalogue, self.instance, self.budget = catalogue, catalogue.instance, budget
        self.steps: dict[Step, Variable] = {}
        self.mounts: dict[tuple[int, int], Variable] = {}
        """For each mount what is 1 if it is ignored: part of a conflict, never of a relaxation."""
        self.has_empty_domain = False
        """Whether something has no candidate at all, whatever is relaxed."""
        self._names = self._candidates = 0
        self._z: list[tuple[Variable, float]] = []
        self._taken, self.tolerance, self._releasing = taken, tolerance, releasing
        self._volumes: list[_Volume] = []
        for v in range(len(self.instance.pairs.volumes)):
            self._volume(v)
        self._groups()
        self.pods: dict[Step, Variable] = {}
        """Disks that a pod of a provider may mount beyond its limit, by the step that opens it."""
        self._needing: list[tuple[int, Variable, int]] = []
        for w in range(len(self.instance.demand.workloads)):
            self._workload(w)
        self._shared_disks()
        self._policy()
        self._chains()
        for mount in self.mounts.values():
            self.fix(mount, 0)
        if taken is not None:
            for step, s in self.steps.items():
                if step.action != "release":
                    self.fix(s, float(step in taken))
        self._scale = max([*(float(u) for _, u in self._costs()), *(u for _, u in self._z), 1e-12])

    # What is minimised.

    def fewest(self, cost: Mapping[Step, float] | None = None) -> Incumbent | None:
        """Return a solution with the fewest steps; None where nothing helps."""
        weights = cost or {}
        return self._solve([(s, weights.get(j, 1.0)) for j, s in self.steps.items()])

    def cheapest(self) -> Incumbent | None:
        """Return a solution of least cost, which is its ``objective`` in USD per hour."""
        unit = _COST_RANGE / self._scale
        terms = [(x, float(usd_hr) * unit) for x, usd_hr in self._costs()]
        best = self._solve([*terms, *((z, usd_hr * unit) for z, usd_hr in self._z)])
        if best is None:
            return None
        return Incumbent(best.steps, best.chosen, best.spread, best.objective / unit)

    def least(self, terms: Terms) -> Incumbent | None:
        """Return a solution in which an expression is least."""
        return self._solve(terms)

    def at_most(self, count: int) -> None:
        """Let at most so many steps be taken from now on."""
        self.add([(s, 1.0) for s in self.steps.values()], "<=", count)

    def exclude(self, steps: Iterable[Step]) -> None:
        """Rule out a set of steps, and every larger set, from now on."""
        taken = [(self.steps[j], 1.0) for j in steps]
        self.add(taken, "<=", len(taken) - 1)

    def fix(self, variable: Variable, value: float | None) -> None:
        """Fix a 0-1 variable; None lets it be either again."""
        variable.lowBound, variable.upBound = (0, 1) if value is None else (value, value)

    def _solve(self, terms: Terms) -> Incumbent | None:
        if self.has_empty_domain:
            return None
        self.budget.spend(1 + self.size[0] / _VARIABLES_A_CALL)
        run = self.minimise(terms, nodes=NODES, time_limit_s=self.budget.left_s)
        if run.status == "infeasible":
            return None
        if run.status != "optimal":
            raise OutOfBudget
        chosen = {
            each.v: sorted(
                o for c in each.candidates for o in [c.place.offer] * round(c.x.value() or 0)
            )
            for each in self._volumes
        }
        spread = {
            each.v: level
            for each in self._volumes
            for level, a in each.levels.items()
            if round(a.value() or 0)
        }
        taken = frozenset(j for j, s in self.steps.items() if round(s.value() or 0))
        return Incumbent(taken, chosen, spread, sum(c * (x.value() or 0) for x, c in terms))

    def _costs(self) -> list[tuple[Variable, Decimal]]:
        return [(c.x, c.usd_hr) for each in self._volumes for c in each.candidates]

    # Limits: what there is to minimise of each, with the steps fixed.

    def limit_terms(self, step: Step) -> Terms:
        """Return an expression that is the least where an opened limit is the strictest.

        A share is no linear expression; see `ProviderShare.excess`.
        """
        if step.kind == "provider":
            return [(self.pods[step], 1.0)]
        if step.kind == "volume":
            v = self.instance.index[step.name]
            limit = offer_limit(step)
            return self._spread_terms(v) if limit is None else self._threshold_terms(v, limit)
        return self.limits[step].measure(self)

    def _spread_terms(self, v: int) -> Terms:
        levels = list(reversed(list(self._volumes[v].levels.items())))
        return [(a, float(n)) for n, (_, a) in enumerate(levels)]

    def _threshold_terms(self, v: int, limit: type[OfferLimit]) -> Terms:
        """Return what counts the values above the first that candidates of a volume need."""
        each = self._volumes[v]
        offers = [c.place.offer for c in each.candidates]
        value = {o: limit.measure(self.view, v, o) for o in offers}
        terms: Terms = []
        for threshold in sorted({*value.values()}):
            h = self._variable("h", 1)
            above = each.terms(lambda o, t=threshold: value[o] >= t)  # type: ignore[misc]
            self.add([*above, (h, -each.replicas)], "<=", 0)
            terms.append((h, 1.0))
        return terms

    def hold_pods(self, step: Step) -> int:
        """Let a pod mount no more disks than a solution needs, from now on; return how many."""
        more = round(self.pods[step].value() or 0)
        self.add([(self.pods[step], 1.0)], "<=", more)
        return pod_limits(self.instance.demand)[step.name] + more

    def hold_places(self, v: int, is_allowed: Callable[[int], bool]) -> None:
        """Keep a volume to some offers from now on."""
        for c in self._volumes[v].candidates:
            if not is_allowed(c.place.offer):
                self.fix(c.x, 0)

    def hold_spread(self, v: int, level: str) -> None:
        """Spread the replicas of a volume over one level from now on."""
        self.fix(self._volumes[v].levels[level], 1)

    # Volumes.

    def _variable(self, prefix: str, most: float | None, *, whole: bool = True) -> Variable:
        self._names += 1
        return self.variable(f"{prefix}_{self._names}", most, whole=whole)

    def step(self, step: Step) -> Variable:
        """Return the variable of a step."""
        if step not in self.steps:
            self.steps[step] = self._variable("s", 1)
        return self.steps[step]

    def _volume(self, v: int) -> None:
        volume = self.instance.pairs.volumes[v]
        each = _Volume(v, volume.replicas)
        self._volumes.append(each)
        for place, usd_hr in undominated_places(self.catalogue, v, self._taken):
            each.candidates.append(_Candidate(place, usd_hr, self._variable("x", volume.replicas)))
        if not each.candidates:
            self.has_empty_domain = True
            return
        self._candidates += len(each.candidates)
        if self._candidates > MOST_CANDIDATES:
            raise OutOfBudget
        needing: dict[Step, Terms] = defaultdict(list)
        for c in each.candidates:
            for j in c.place.needs:
                needing[j].append((c.x, 1.0))
        for j in sorted(needing, key=_order):
            self.add([*needing[j], (self.step(j), -volume.replicas)], "<=", 0)
        if volume.replicas > 1:
            each.fewer = [
                self.step(Step("volume", volume.name, "replicas", "lower", n))
                for n in range(1, volume.replicas)
            ]
            self._spread(each)
        self.add([*each.terms(), *((r, 1.0) for r in each.fewer)], "==", volume.replicas)
        self._keep(each)

    def _keep(self, each: _Volume) -> None:
        """Keep the existing replicas of a volume, or let each be released by a step.

        What volumes share is released for all of them: its number is that of the first.
        """
        disks: dict[Any, int] = {}
        for n, (v, o) in enumerate(self.instance.kept):
            number = disks.setdefault(self.instance.pairs.offers["offer_id"].iat[o], n)
            if v == each.v:
                stays: Terms = [(c.x, 1.0) for c in each.candidates if c.place.offer == o]
                if self._releasing:
                    name = self.instance.pairs.volumes[v].name
                    release = Step("volume", name, "disks", "release", number)
                    stays.append((self.step(release), 1.0))
                self.add(stays, "==", 1)

    def _spread(self, each: _Volume) -> None:
        volume = self.instance.pairs.volumes[each.v]
        unknown = [(c.x, c.place.levels) for c in each.candidates if c.place.levels]
        for asked in ReplicaSpread.of(volume):
            each.levels = {level: self.new("a", 1) for level in asked.levels}
            opened = self.step(Step("volume", volume.name, asked.field, "open"))
            asked.relax(self, each.v, each.levels, opened, each.fewer[-1], unknown)

    def _chains(self) -> None:
        """Let a level down be taken only after those before it."""
        for j, s in list(self.steps.items()):
            if j.action == "lower" and j.value > 1:
                before = Step(j.kind, j.name, j.field, j.action, j.value - 1)
                self.add([(s, 1.0), (self.step(before), -1.0)], "<=", 0)

    # Groups.

    def _groups(self) -> None:
        index, volumes = self.instance.index, self.instance.pairs.volumes
        for group, (label, which) in labelled(self.instance.demand.groups):
            dropped = partial(self.step, Step("group", label, "groups", "drop", which))
            for tie in GroupConstraint.of(group, index, volumes):
                tie.constrain(self, dropped)

    # Workloads.

    def _workload(self, w: int) -> None:
        rentals = self.instance.rentals
        if rentals is None:
            self.has_empty_domain = True
            return
        candidates = {each.v: [c.place.offer for c in each.candidates] for each in self._volumes}
        jobs = undominated_jobs(self.catalogue, w, candidates, self._taken)
        if not jobs:
            self.has_empty_domain = True
            return
        z = [self._variable("z", 1) for _ in jobs]
        self._z += [(var, job.usd_hr) for var, job in zip(z, jobs, strict=True)]
        self.add([(var, 1.0) for var in z], "==", 1)
        needing: dict[Step, Terms] = defaultdict(list)
        for var, job in zip(z, jobs, strict=True):
            for j in job.rental.needs:
                needing[j].append((var, 1.0))
        for j in sorted(needing, key=_order):
            self.add([*needing[j], (self.step(j), -1.0)], "<=", 0)
        for n, v in enumerate(rentals.mounts[w]):
            ignored = self.mounts[w, v] = self._variable("m", 1)
            alike: dict[tuple[int, ...], Terms] = defaultdict(list)
            for var, job in zip(z, jobs, strict=True):
                alike[job.mounts[n]].append((var, 1.0))
            for offers, terms in alike.items():
                Mount.constrain(self, terms, v, {*offers}, [(ignored, -1.0)])
        for var, job in zip(z, jobs, strict=True):
            self._pods(w, var, job)

    def _pods(self, w: int, z: Variable, job: Job) -> None:
        """Let a job run only where a pod can mount its disks, or where its limit is opened."""
        rentals, limits, pairs = self.instance.rentals, self.instance.limits, self.instance.pairs
        g = job.rental.gpu
        self._needing.append((w, z, g))
        if rentals is None or limits is None or not limits.limited[w]:
            return
        mounts: list[tuple[int, list[Mountable]]] = []
        ignored: Terms = []
        for v, offers in zip(rentals.mounts[w], job.mounts, strict=True):
            counts = {o: max(int(pairs.disks[v, o]), 1) for o in offers}
            placed = [
                Mountable(self.replicas(v, {o}), pairs.disk(v, o), n) for o, n in counts.items()
            ]
            mounts.append((self._volumes[v].replicas, placed))
            ignored.append((self.mounts[w, v], -float(max(counts.values(), default=0))))
        most = sum(max((each.disks for each in placed), default=0) for _, placed in mounts)
        if most <= limits.most[g]:
            return
        step = pod_limit(rentals.rows[g]["provider"])
        if step not in self.pods:
            room = most * len(self.instance.volumes)
            self.pods[step] = self._variable("p", room)
            self.add([(self.pods[step], 1.0), (self.step(step), -room)], "<=", 0)
        relaxing = [*ignored, (self.pods[step], -1.0)]
        AttachLimit.constrain(self, [(z, 1.0)], mounts, int(limits.most[g]), relaxing)

    def _shared_disks(self) -> None:
        """Let all volumes of a shared disk use it equally often, and only where jobs need it."""
        instance, rentals, limits = self.instance, self.instance.rentals, self.instance.limits
        for o, members in instance.shared_disks.items():
            terms = [self.replicas(v, {o}) for v in members]
            for each in terms if not all(terms) else ():
                if each:
                    self.add(each, "<=", 0)
            for each in terms[1:] if all(terms) else ():
                self.add([*terms[0], *negated(each)], "==", 0)
            if not instance.is_packed(o) or not all(terms) or rentals is None or limits is None:
                continue
            together = one_disk_groups(instance.demand)
            for unit in {together.get(name, (name,)) for name in instance.pairs.shared[o].members}:
                needing = [
                    (z, -float(self._volumes[members[0]].replicas))
                    for w, z, g in self._needing
                    if limits.too_many[w, g]
                    and rentals.meets[g, o]
                    and not {*unit}.isdisjoint(rentals.workloads[w].mounts)
                ]
                self.add([*terms[0], *needing], "<=", 0)

    # The policy.

    def _policy(self) -> None:
        self._used_at: dict[str, list[Variable]] = {}
        self.limits = {
            Step(*limit.step, "open"): limit
            for limit in self.instance.requirements
            if limit.owner is None or any(v.owner == limit.owner for v in self.view.volumes)
        }
        for step, limit in self.limits.items():
            limit.constrain(self, self.step(step))

    # What a requirement sees.

    @property
    def view(self) -> Instance:
        """Return what the numbers mean."""
        return self.instance

    def columns_of(self) -> list[ProgramColumn]:
        """Return every candidate."""
        return [
            ProgramColumn(
                c.x,
                each.v,
                c.place.offer,
                c.usd_hr,
                self.view.gb(each.v, c.place.offer),
                self.view.disks(each.v, c.place.offer),
                each.replicas,
            )
            for each in self._volumes
            for c in each.candidates
        ]

    def new(self, name: str, most: float | None, *, whole: bool = True) -> Variable:
        """Add a variable of a requirement."""
        return self._variable(name, most, whole=whole)

    def replicas(self, volume: int, offers: Collection[int] | None = None) -> Terms:
        """Return how many replicas a volume has, at some offers or at all."""
        each = self._volumes[volume]
        return each.terms() if offers is None else each.terms(offers.__contains__)

    def inside(self, volume: int, places: Sequence[frozenset[Any]]) -> Mapping[Any, Terms]:
        """Return how many replicas a volume has in each place, given the places of each offer."""
        inside: dict[Any, Terms] = defaultdict(list)
        for c in self._volumes[volume].candidates:
            for place in sorted(places[c.place.offer], key=str):
                inside[place].append((c.x, 1.0))
        return inside

    def used(self, level: str) -> list[Variable]:
        """Return for each place of a level what is 1 if anything is there."""
        if level not in self._used_at:
            used: dict[Any, Variable] = {}
            for each in self._volumes:
                for place, terms in self.inside(each.v, self.instance.places(level)).items():
                    if place not in used:
                        used[place] = self._variable("u", 1)
                    self.add([*terms, (used[place], -each.replicas)], "<=", 0)
            self._used_at[level] = list(used.values())
        return self._used_at[level]


def _order(step: Step) -> tuple[Any, ...]:
    return step.kind, step.name, step.field, step.action, str(step.value)


def offer_limit(step: Step) -> type[OfferLimit] | None:
    """Return the limit on single offers that a step opens; None where it opens another."""
    kind = KIND_OF[step.field] if step.kind == "volume" else None
    return kind if kind is not None and issubclass(kind, OfferLimit) else None


def limit_order(step: Step) -> tuple[int, str]:
    """Sort limits as they take their values: spread, prices and disks first, budgets last."""
    return LIMITS.index(step.field), step.name
