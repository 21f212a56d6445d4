"""What the price of an offer decides: which parts of a plan, and which budgets."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from planner.units import difference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from planner.analysis.evaluator import Evaluator
    from planner.solve.problem import Chosen

EVERYTHING = -1
"""Number of the part that a price decides where the policy ties all parts together."""
ABOVE_ROUNDING = 1 + 1e-9
"""What a float is multiplied by to be no less than what it stands for."""


class PriceParts:
    """The parts of a plan that the price of an offer decides, and what moves there cost."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator

    @cached_property
    def _limits(self) -> NDArray[np.float64]:
        limits = (volume.max_usd_gb_hr for volume in self._evaluator.instance.volumes)
        return np.array([np.inf if most is None else float(most) for most in limits])

    def at(
        self, o: int, volumes: NDArray[np.int64], least: Callable[[], Fraction]
    ) -> Iterator[int]:
        """Yield the parts that may change at no less than a price, the highest first.

        Those of which only a program tells come last.
        """
        evaluator = self._evaluator
        if evaluator.is_capped:
            yield EVERYTHING
            return
        gb = evaluator.instance.pairs.provision_gb[volumes, o]
        most = np.minimum(evaluator.dearest_usd_hr[volumes] / gb, self._limits[volumes])
        highest = np.zeros(len(evaluator.members))
        number = evaluator.part_numbers[volumes]
        np.maximum.at(highest, number, most * ABOVE_ROUNDING)
        parts = np.unique(number)
        is_bounded = np.isfinite(highest[parts])
        bounded = parts[is_bounded]
        for p in bounded[np.argsort(-highest[bounded], kind="stable")].tolist():
            if highest[p] < float(least()):
                break
            yield p
        yield from parts[~is_bounded].tolist()

    # Moves from the plan.

    @cached_property
    def _spent_usd_hr(self) -> dict[str | None, Fraction]:
        """Return what the volumes of each owner cost an hour, and all of them."""
        volumes, spent = (
            self._evaluator.instance.volumes,
            defaultdict[str | None, Fraction](Fraction),
        )
        for v in self._evaluator.chosen:
            usd_hr = Fraction(self._evaluator.instance.disk_usd_hr({v: self._evaluator.chosen[v]}))
            for owner in dict.fromkeys((None, volumes[v].owner)):
                spent[owner] += usd_hr
        return spent

    def _more(self, o: int, moved: Chosen, owner: str | None = None) -> tuple[Fraction, int]:
        """Return what moves of all volumes, or an owner's, cost, and their GB at an offer."""
        evaluator, instance = self._evaluator, self._evaluator.instance
        mine = {v: at for v, at in moved.items() if owner in {None, instance.volumes[v].owner}}
        was = {v: evaluator.chosen[v] for v in mine}
        gb = (instance.gb(v, o) * (at.count(o) - was[v].count(o)) for v, at in mine.items())
        usd_hr = difference(instance.disk_usd_hr(mine), instance.disk_usd_hr(was))
        return Fraction(usd_hr), sum(gb)

    def budgets(self, o: int, moved: Chosen) -> Iterator[tuple[Fraction, str]]:
        """Yield up to which price of an offer the plan after moves keeps within each budget."""
        evaluator, instance = self._evaluator, self._evaluator.instance
        price, policy = Fraction(instance.usd_gb_hr(o)), instance.demand.policy
        for owner, limit in policy.enforced:
            gb = sum(
                instance.gb(v, o) * evaluator.chosen[v].count(o)
                for v in evaluator.placed.get(o, ())
                if owner in {None, instance.volumes[v].owner}
            )
            usd_hr, more = self._more(o, moved, owner)
            if gb + more:
                room = Fraction(limit) / policy.hours_per_month - self._spent_usd_hr[owner] - usd_hr
                yield price + room / (gb + more), f"the plan exceeds {budget_name(owner)}"

    def meeting(self, o: int, moved: Chosen, *, rises: bool) -> Fraction | None:
        """Return the price from which a plan after moves is cheaper; None where it never is."""
        price = Fraction(self._evaluator.instance.usd_gb_hr(o))
        usd_hr, gb = self._more(o, moved)
        if (gb >= 0) if rises else (gb <= 0):
            return None
        edge = price - usd_hr / gb
        edge = max(edge, price) if rises else min(edge, price)
        is_within = all(edge <= most for most, _ in self.budgets(o, moved))
        return edge if is_within and edge >= 0 else None


def budget_name(owner: str | None) -> str:
    """Return what a budget is called."""
    return "budget_usd_month" if owner is None else f"the budget of {owner}"
