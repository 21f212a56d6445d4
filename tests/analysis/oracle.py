"""The relaxations of small demands by brute force: every step, every set of one, two and three."""

from __future__ import annotations

import itertools
import random
from functools import partial
from typing import TYPE_CHECKING, Any

from planner.analysis.relax import Offers
from planner.analysis.relaxation import relaxed
from planner.demand.read import demand_from
from planner.market.market import addressable
from planner.market.offers import offers_frame
from planner.requirements.field import Step
from planner.requirements.group import labelled
from planner.requirements.offer import stocks_below
from planner.requirements.spread import SPREADS
from planner.solve.optimum import optimum
from tests.solve import exact, instances
from tests.solve.plans import listings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from fractions import Fraction

    from planner.demand.model import Demand, Volume, Workload

Row = dict[str, Any]
_LEVELS = {
    "regions": "region",
    "countries": "country",
    "data_centers": "dataCenter",
    "providers": "provider",
}


def file_of(demand: Demand) -> Row:
    """Return a demand as its file would say it, for the enumeration."""
    made: Row = demand.model_dump(exclude_none=True)
    for volume in made["volumes"]:
        volume["headroom"] = str(volume.pop("headroom_percent"))
        volume["exclude"] = {word: list(names) for word, names in volume["exclude"].items()}
    for workload in made["workloads"]:
        workload["mounts"] = list(workload["mounts"])
    return made


class World:
    """A demand and its market, and two ways to plan it."""

    def __init__(self, rows: list[Row], gpus: list[Row], nodes: list[Row], demand: Demand) -> None:
        self.rows, self.gpus, self.nodes, self.demand = rows, gpus, nodes, demand
        self.offers = Offers(addressable(offers_frame(rows), exact=True), listings(gpus, nodes))

    @classmethod
    def coupled(cls, seed: int) -> World:
        """Return a world with groups, workloads and a policy."""
        rng = random.Random(seed)
        rows = instances.coupled_market(rng)
        gpus, nodes = instances.gpu_market(rng)
        return cls(rows, gpus, nodes, demand_from(instances.coupled_demand(rng)))

    @classmethod
    def of_lists(cls, seed: int) -> World:
        """Return an uncoupled world, where volumes have lists, levels of stock and headroom."""
        rng = random.Random(seed)
        return cls(instances.market(rng), [], [], demand_from(instances.demand(rng)))

    def is_feasible(self, demand: Demand) -> bool:
        """Return whether planner has a plan."""
        return optimum(self.offers.instance(demand), tie_break=False) is not None

    def cost(self, demand: Demand) -> Fraction | None:
        """Return the least cost in a month, by enumeration of all plans."""
        found = exact.best(file_of(demand), self.rows, self.gpus, self.nodes)
        return None if found is None else found[0]

    def steps(self) -> list[Step]:
        """Return every step there can be, whether it helps or not."""
        policy, steps = self.demand.policy, list[Step]()
        for name in ("budget_usd_month", "max_sites", "max_providers", "max_provider_share"):
            if getattr(policy, name) is not None:
                steps.append(Step("policy", "", name, "open"))
        steps += [Step("owner", owner, "budgets", "open") for owner in policy.budgets]
        steps += [
            Step("group", label, "groups", "drop", which)
            for _, (label, which) in labelled(self.demand.groups)
        ]
        return [*steps, *self._of_volumes(), *self._of_workloads()]

    def _of_volumes(self) -> Iterator[Step]:
        for volume in self.demand.volumes:
            step = partial(Step, "volume", volume.name)
            for field, key in _LEVELS.items():
                names = self._values(self.rows, key)
                if (allowed := getattr(volume, field)) is not None:
                    yield from (step(field, "add", name) for name in sorted(names - {*allowed}))
                excluded = getattr(volume.exclude, field)
                yield from (step(f"exclude.{field}", "take", name) for name in excluded)
            yield step("max_disks", "open")
            if volume.security != "any":
                yield step("security", "set", "any")
            if volume.multinode:
                yield step("multinode", "set", value=False)
            if volume.max_usd_gb_hr is not None:
                yield step("max_usd_gb_hr", "open")
            yield from self._lowered(volume)

    def _lowered(self, volume: Volume) -> Iterator[Step]:
        step = partial(Step, "volume", volume.name)
        for n in range(len(stocks_below(volume.stock))):
            yield step("stock", "lower", n + 1)
        for n in range(1, volume.replicas):
            yield step("replicas", "lower", n)
        if volume.replicas > 1 and volume.spread != SPREADS[0]:
            yield step("spread", "open")

    @staticmethod
    def _values(rows: list[Row], key: str) -> set[Any]:
        return {row[key] for row in rows if row.get(key) is not None}

    def _of_workloads(self) -> Iterator[Step]:
        rows = [*self.gpus, *self.nodes]
        for job in self.demand.workloads:
            step = partial(Step, "workload", job.name)
            for model in sorted(self._values(rows, "gpuType") - {job.gpu}):
                yield step("gpu", "set", model)
            for gpus in sorted(self._values(rows, "gpuCount") - {job.gpus, 0}):
                if job.gpus * job.nodes % gpus == 0:
                    yield step("gpus", "set", (gpus, job.gpus * job.nodes // gpus))
            if job.socket is not None:
                yield step("socket", "set", None)
            if not job.spot:
                yield step("spot", "set", value=True)
            if job.security != "any":
                yield step("security", "set", "any")
            yield from self._places(job, rows)

    def _places(self, job: Workload, rows: list[Row]) -> Iterator[Step]:
        for field, key in (("regions", "region"), ("providers", "provider")):
            if (allowed := getattr(job, field)) is not None:
                for name in sorted(self._values(rows, key) - {*allowed}):
                    yield Step("workload", job.name, field, "add", name)

    def least_sets(self, most: int) -> set[frozenset[Step]]:
        """Return the smallest sets of steps that give a plan, of at most so many steps.

        A level of spread is not part of a step: it helps where any weaker level does.
        """
        steps = self.steps()
        for size in range(1, most + 1):
            sets = {
                frozenset(some)
                for some in itertools.combinations(steps, size)
                if _is_chained(some) and any(map(self.is_feasible, _variants(self.demand, some)))
            }
            if sets:
                return sets
        return set()


def _is_chained(steps: tuple[Step, ...]) -> bool:
    """Return whether no level down is skipped, and nothing is set twice."""
    lowered = [step for step in steps if step.action == "lower"]
    fields = [(s.kind, s.name, s.field) for s in steps if s.action == "set"]
    return len({*fields}) == len(fields) and all(
        step.value == 1
        or (step.requirement, step.value - 1) in {(o.requirement, o.value) for o in lowered}
        for step in lowered
    )


def _variants(demand: Demand, steps: tuple[Step, ...]) -> Iterator[Demand]:
    """Yield the demand with steps applied, at every weaker level of spread."""
    spread = [step for step in steps if step.field == "spread"]
    levels = {volume.name: SPREADS[: SPREADS.index(volume.spread)] for volume in demand.volumes}
    for chosen in itertools.product(*(levels[step.name] for step in spread)):
        yield relaxed(demand, frozenset(steps), dict(zip(spread, chosen, strict=True)))
