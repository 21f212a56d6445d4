"""The parts of a demand that has no plan: those that have one of their own, and those that fail.

What groups and workloads connect is a part. Budgets, caps and the share are not part of any.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from planner.requirements.policy import policy_requirements, without_limits
from planner.solve.decompose import Effort
from planner.solve.optimum import solve_component
from planner.units import total

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from planner.demand.model import Demand
    from planner.solve.problem import Chosen, Instance


@dataclass
class Parts:
    """The parts of an instance.

    Attributes
    ----------
    failing : list of Demand
        Those without a plan of their own, by first volume.
    chosen, rented : dict
        The best plan of all others, in the indices of the instance; see `Optimum`.
    usd_month, usd_hr : Decimal
        What it costs.
    """

    failing: list[Demand]
    chosen: Chosen = field(default_factory=dict)
    rented: dict[int, int] = field(default_factory=dict)
    usd_month: Decimal = field(default_factory=lambda: total([]))
    usd_hr: Decimal = field(default_factory=lambda: total([]))

    @property
    def scope(self) -> Demand | None:
        """Return the failing parts together; None where there are none."""
        if not self.failing:
            return None
        update: dict[str, Any] = {
            name: tuple(one for part in self.failing for one in getattr(part, name))
            for name in ("volumes", "groups", "workloads")
        }
        return self.failing[0].model_copy(update=update)


def parts_of(instance: Instance) -> Parts:
    """Return the parts of an instance, each solved on its own."""
    demand = instance.demand
    alone = instance.least.settle()
    placed = {v: offers for v, offers in enumerate(alone) if offers is not None}
    failing: list[tuple[int, ...]] = []
    parts = Parts([])
    coupled: set[int] = set()
    for scope in instance.components:
        coupled.update(scope.volumes)
        found = None
        if placed.keys() >= {*scope.volumes}:
            found = solve_component(instance, scope, placed, Effort(), settled=False)
        if found is None:
            failing.append(scope.volumes)
            continue
        parts.chosen.update(found.chosen)
        rented = {w: instance.rent_best(w, found.chosen) for w in scope.workloads}
        parts.rented.update((w, g) for w, g in rented.items() if g is not None)
    alone_too = [v for v in range(len(demand.volumes)) if v not in coupled]
    parts.chosen.update((v, placed[v]) for v in alone_too if v in placed)
    failing += [(v,) for v in alone_too if v not in placed]
    parts.failing = [part_of(demand, volumes) for volumes in sorted(failing)]
    rentals = instance.rentals
    gpus = () if rentals is None else (rentals.usd_hr(w, g) for w, g in parts.rented.items())
    parts.usd_month = instance.usd_month(parts.chosen, parts.rented)
    parts.usd_hr = total([instance.disk_usd_hr(parts.chosen), *gpus])
    return parts


def part_of(demand: Demand, volumes: Iterable[int]) -> Demand:
    """Return volumes with all that connects them, free of budgets, caps and share."""
    mine = tuple(demand.volumes[v] for v in volumes)
    names = {volume.name for volume in mine}
    update: dict[str, Any] = {
        "volumes": mine,
        "policy": without_limits(demand.policy),
        "groups": tuple(g for g in demand.groups if not names.isdisjoint(g.volumes)),
        "workloads": tuple(w for w in demand.workloads if not names.isdisjoint(w.mounts)),
    }
    return demand.model_copy(update=update)


def is_capped(demand: Demand) -> bool:
    """Return whether the policy has any say."""
    return bool(policy_requirements(demand.policy))
