"""The conflict: requirements that cannot hold together, none of which can be left out.

First an elastic filter (Chinneck and Dravnieks, 1991): the requirements that a solution of fewest
relaxations breaks are enforced, again and again, until nothing holds. Then a deletion filter: each
of them that is not needed for that is let go. What remains is an irreducible infeasible subset.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from planner.analysis.elastic import LOOSE, Elastic
from planner.analysis.evaluator import OutOfBudget, SearchBudget
from planner.analysis.requirements import Requirement, requirements

if TYPE_CHECKING:
    from collections.abc import Iterator

    from planner.analysis.needs import Catalogue
    from planner.solve.model import Terms, Variable

Key = tuple[str, str, str, Any]


class ConflictSearch:
    """The irreducible conflicts of an instance that share no requirement.

    Parameters
    ----------
    catalogue : Catalogue
        The demand, and what each pair of it needs.
    budget : SearchBudget
        Work that may be done.
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
