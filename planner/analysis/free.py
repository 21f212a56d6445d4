"""Volumes that nothing ties to others: each one's own least choice answers what changes only it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.analysis.answers import NO_PLACE, Answer, ExtraCosts
from planner.solve.candidates import pair
from planner.solve.problem import Instance
from planner.units import averaged_usd_hr, difference, total, usd_month

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from decimal import Decimal

    from planner.analysis.priced import PolicyRoom
    from planner.demand.model import Volume
    from planner.solve.problem import Chosen


class FreeVolumes:
    """The plans in which one volume is placed otherwise, and all others at their best.

    Parameters
    ----------
    instance : Instance
        All volumes.
    volumes : collection of int
        Those that no group, workload or existing disk ties to anything.
    chosen : dict of list of int
        The best choice of every part, which the policy allows.
    usd_month : Decimal
        What that costs.
    room : PolicyRoom
        What the policy leaves beside it.
    """

    def __init__(
        self,
        instance: Instance,
        volumes: Collection[int],
        chosen: Chosen,
        usd_month: Decimal,
        room: PolicyRoom,
    ) -> None:
        self._instance, self._room = instance, room
        self._chosen, self._usd_month = chosen, usd_month
        self._volumes = {*volumes}.difference(v for v, _ in instance.kept)
        self._hours = instance.demand.policy.hours_per_month

    def answers(self, volumes: Iterable[int]) -> bool:
        """Return whether the least choices of volumes answer whatever changes one of them."""
        return not self._instance.requirements and self._volumes.issuperset(volumes)

    def without(self, v: int, o: int) -> Answer | None:
        """Return the best plan without a volume at an offer; None where more decides."""
        if v not in self._volumes:
            return None
        at = self._instance.least.choice_without(v, self._instance.pairs.alike(o))
        usd_hr = None if at is None else self._instance.disk_usd_hr({v: at})
        return self._answer(v, self._instance, v, at, usd_hr)

    def changed(self, changed: Sequence[tuple[int, Volume]]) -> list[Answer | None]:
        """Return the best plans with a volume each that asks for something else."""
        answers: list[Answer | None] = [None] * len(changed)
        free = [n for n, (v, _) in enumerate(changed) if v in self._volumes]
        alone = {"volumes": tuple(changed[n][1] for n in free), "groups": (), "workloads": ()}
        pairs = self._instance.pairs
        demand = self._instance.demand.model_copy(update=alone)
        other = Instance(demand, pair(demand, pairs.facts.first(pairs.sold)), None)
        for i, n in enumerate(free):
            usd_hr = other.least.cost(i)
            at = other.least.choice(i) if self._instance.requirements else []
            at = None if usd_hr is None else at
            answers[n] = self._answer(changed[n][0], other, i, at, usd_hr)
        return answers

    def at(self, v: int, offers: Sequence[int], plan_month: Decimal) -> ExtraCosts | None:
        """Return what plans with a replica of a volume at offers cost more; None if more decides.

        Parameters
        ----------
        plan_month : Decimal
            What the plan costs that they are held against.
        """
        if v not in self._volumes or self._instance.requirements:
            return None
        usd_hr = self._instance.least.costs_with(v, offers)
        if usd_hr is None:
            return None
        mine_month = difference(plan_month, self._others_month(v))
        more = [difference(usd_month(usd, self._hours), mine_month) for usd in usd_hr]
        mine_hr = averaged_usd_hr(mine_month, self._hours)
        if usd_month(mine_hr, self._hours) == mine_month:
            per_hour = [difference(usd, mine_hr) for usd in usd_hr]
        else:
            per_hour = [averaged_usd_hr(usd, self._hours) for usd in more]
        return ExtraCosts(per_hour, more, more, [""] * len(more))

    def _answer(
        self, v: int, other: Instance, i: int, at: list[int] | None, usd_hr: Decimal | None
    ) -> Answer | None:
        """Return the answer where a volume, of whatever number in another instance, is so."""
        if at is None or usd_hr is None:
            return Answer(None, {}, {}, NO_PLACE)
        if self._instance.requirements and not self._room.allows([v], other, {i: at}):
            return None
        month = total([self._others_month(v), usd_month(usd_hr, self._hours)])
        return Answer(month, {v: at}, {})

    def _others_month(self, v: int) -> Decimal:
        mine = self._instance.disk_usd_hr({v: self._chosen[v]})
        return difference(self._usd_month, usd_month(mine, self._hours))
