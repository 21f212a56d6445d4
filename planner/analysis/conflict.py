"""The conflict: requirements that cannot hold together, none of which can be left out.

First an elastic filter (Chinneck and Dravnieks, 1991): the requirements that a solution of fewest
relaxations breaks are enforced, again and again, until nothing holds. Then a deletion filter: each
of them that is not needed for that is let go. What remains is an irreducible infeasible subset.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from planner.analysis.elastic import LOOSE, Elastic
from planner.analysis.evaluator import OutOfBudget, SearchBudget
from planner.analysis.relaxation import as_json
from planner.requirements import volume, workload
from planner.requirements.group import labelled
from planner.requirements.packing import PACKING, pod_limit
from planner.requirements.policy import policy_requirements
from planner.solve.packing import pod_limits
from planner.text import visible
from planner.units import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from planner.analysis.needs import Catalogue
    from planner.demand.model import Demand
    from planner.requirements.field import FieldRequirement
    from planner.solve.model import Terms, Variable

Key = tuple[str, str, str, Any]


@dataclass(frozen=True)
class Requirement:
    """One thing that a demand asks.

    Attributes
    ----------
    kind : str
        Who asks: ``volume``, ``workload``, ``group``, ``policy`` or ``owner``.
    name : str
        Its name; the label of a group; empty for the policy.
    field : str
        As in the demand; ``exclude.regions`` for a list in an exclusion, ``mounts`` for one mount.
    which : Any
        The volume of a mount; which of equal groups.
    shown : str
        The same as a demand writes it.
    """

    kind: str
    name: str
    field: str
    which: Any = None
    value: Any = None
    shown: str = ""

    @property
    def key(self) -> tuple[str, str, str, Any]:
        """Return what identifies it, as `Step.requirement` does."""
        return self.kind, self.name, self.field, self.which

    @property
    def text(self) -> str:
        """Return it as the demand says it, and where."""
        name = visible(self.name)
        if self.kind == "group":
            return f"group {name}"
        if self.kind == "owner":
            return f"`budgets: {{{name}: {plain(self.value)}}}`"
        asked = f"`{self.field}: {self.shown}`"
        if self.kind == "provider":
            disks = f"{self.value} disk{'s' * (self.value != 1)}"
            return f"{asked}: one pod at {name} can mount {disks}"
        return asked if self.kind == "policy" else f"{asked} on {name}"

    @property
    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        subject: dict[str, Any] = {"policy": True} if self.kind == "policy" else {}
        subject = subject or {self.kind: self.name}
        return {**subject, "field": self.field, "value": as_json(self.value), "text": self.text}


def requirements(demand: Demand) -> list[Requirement]:
    """Return everything that a demand asks: of the policy, groups, workloads, then volumes.

    Sizes and hours are facts here, not requirements: nothing relaxes them.
    """
    asked = [
        Requirement(*limit.step, value=limit.value, shown=limit.shown)
        for limit in policy_requirements(demand.policy)
    ]
    asked += [
        Requirement(*pod_limit(name).requirement, value=most, shown=f"{{{name}: {most}}}")
        for name, most in (pod_limits(demand) if demand.workloads else {}).items()
    ]
    if demand.policy.packing == "never":
        asked.append(Requirement(*PACKING.requirement, value="never", shown="never"))
    for _, (label, which) in labelled(demand.groups):
        asked.append(Requirement("group", label, "groups", which, label))
    for job in demand.workloads:
        asked += [_of("workload", job.name, field) for field in workload.asked_by(job)]
    for each in demand.volumes:
        asked += [_of("volume", each.name, field) for field in volume.asked_by(each)]
    return asked


def _of(kind: str, name: str, field: FieldRequirement) -> Requirement:
    return Requirement(kind, name, field.field, field.which, field.value, field.shown)


class ConflictSearch:
    """The irreducible conflicts of an instance that share no requirement.

    Parameters
    ----------
    catalogue : Catalogue
        The demand, and what each pair of it needs.
    tolerance : float
        See `Elastic`.
    """

    def __init__(
        self, catalogue: Catalogue, budget: SearchBudget, tolerance: float = LOOSE
    ) -> None:
        self._model = Elastic(catalogue, budget, tolerance=tolerance)
        demand = catalogue.instance.demand
        self._asked = {requirement.key: requirement for requirement in requirements(demand)}
        self._broken: dict[Key, Variable] = {}
        relaxing: dict[Key, list[Variable]] = defaultdict(list)
        for step, s in self._model.steps.items():
            relaxing[step.requirement].append(s)
        for (w, v), ignored in self._model.mounts.items():
            self._model.fix(ignored, None)
            names = demand.workloads[w].name, demand.volumes[v].name
            relaxing["workload", names[0], "mounts", names[1]].append(ignored)
        for n, key in enumerate(key for key in self._asked if key in relaxing):
            t = self._broken[key] = self._model.variable(f"t_{n}", 1)
            for s in relaxing[key]:
                self._model.add([(s, 1.0), (t, -1.0)], "<=", 0)

    def conflicts(
        self, known: set[Key], most: int
    ) -> Iterator[tuple[tuple[Requirement, ...], bool]]:
        """Yield each conflict with whether it is irreducible, as long as something cannot hold.

        Parameters
        ----------
        known : set of tuple
            Requirements of conflicts that are known already; those that are yielded are added.
        most : int
            Conflicts at most. An empty one is yielded where the market alone is in the way.
        """
        for _ in range(most):
            enforced: list[Key] = []
            try:
                if self._holds(known, enforced):
                    return
                is_irreducible = True
                core = self._irreducible(known, enforced)
            except OutOfBudget:
                if not enforced:
                    return
                core, is_irreducible = enforced, False
            known.update(core)
            in_order = [requirement for key, requirement in self._asked.items() if key in {*core}]
            yield tuple(in_order), is_irreducible
            if not core or not is_irreducible:
                return

    def _holds(self, known: set[Key], enforced: list[Key]) -> bool:
        """Return whether all that is not known can hold; else enforce requirements that cannot."""
        for key, t in self._broken.items():
            self._model.fix(t, 1 if key in known else None)
        while True:
            left = [key for key in self._broken if key not in known and key not in enforced]
            fewest = self._model.least([(self._broken[key], 1.0) for key in left])
            if fewest is None:
                return False
            broken = [key for key in left if round(self._broken[key].value() or 0)]
            if not broken:
                return not enforced
            for key in broken:
                self._model.fix(self._broken[key], 0)
            enforced += broken

    def _irreducible(self, known: set[Key], enforced: list[Key]) -> list[Key]:
        """Return a part of what is enforced of which nothing can be left out."""
        for key, t in self._broken.items():
            if key not in enforced and key not in known:
                self._model.fix(t, 1)
        core = list(enforced)
        objective: Terms = []
        for key in reversed(enforced):
            self._model.fix(self._broken[key], 1)
            if self._model.least(objective) is None:
                core.remove(key)
            else:
                self._model.fix(self._broken[key], 0)
        return core
