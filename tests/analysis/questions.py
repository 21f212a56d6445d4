"""What the enumeration says to the questions of `explain`, asked of the rows."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from planner.analysis.evaluator import Evaluator
from planner.demand.read import demand_from
from planner.market.market import addressable
from planner.market.offers import offers_frame
from planner.schema import records
from planner.solve.optimum import optimum
from planner.solve.problem import Instance
from tests.solve import brute, exact, instances
from tests.solve.plans import KEY, listings

if TYPE_CHECKING:
    from fractions import Fraction

Row = dict[str, Any]
Keep = Callable[[int, exact.Option], bool]


@dataclass(frozen=True)
class Case:
    """A random instance that has a plan, and the plan to ask about."""

    demand: Row
    rows: list[Row]
    gpus: list[Row]
    nodes: list[Row]
    evaluator: Evaluator

    @property
    def keys(self) -> list[tuple[Any, ...]]:
        """Return the create key and least size of each offer, in planner's order."""
        return [
            (*(row[name] for name in KEY), row["min_gb"] or row["step_gb"])
            for row in records(self.evaluator.instance.pairs.offers)
        ]

    def best(self, **changed: Any) -> Fraction | None:
        """Return the enumerated optimum with another demand or other rows."""
        given = {"demand": self.demand, "rows": self.rows, **changed}
        found = exact.best(given["demand"], given["rows"], self.gpus, self.nodes)
        return None if found is None else found[0]

    def best_where(self, keep: Keep) -> Fraction | None:
        """Return the enumerated optimum over some of the options of each volume."""
        options = [
            [option for option in those if keep(v, option)]
            for v, those in enumerate(exact.options_of(self.demand, brute.merge(self.rows)))
        ]
        return self._search(options, exact.rentals(self.demand, self.gpus, self.nodes))

    def best_at(self, key: tuple[Any, ...], price: Fraction) -> Fraction | None:
        """Return the enumerated optimum with another price for one offer."""
        merged = brute.merge(self.rows)
        for offer in merged:
            if key_of(offer) == key:
                offer["price"] = price
        options = exact.options_of(self.demand, merged)
        return self._search(options, exact.rentals(self.demand, self.gpus, self.nodes))

    def best_on(self, workload: int, row: Row, listing: str) -> Fraction | None:
        """Return the enumerated optimum with a workload on one GPU row."""
        every = exact.rentals(self.demand, self.gpus, self.nodes, every=True)
        mine = [g for g in every if (g[workload].row, g[workload].listing) == (row, listing)]
        return self._search(exact.options_of(self.demand, brute.merge(self.rows)), mine)

    def _search(
        self, options: list[list[exact.Option]], rentals: list[tuple[exact.Gpu, ...]]
    ) -> Fraction | None:
        found: exact.Found | None = None
        for gpus in rentals:
            mine = [
                [one for one in those if exact.serves(self.demand, volume, one, gpus)]
                for volume, those in zip(self.demand["volumes"], options, strict=True)
            ]
            found = exact._search(self.demand, mine, gpus, found)
        return None if found is None else found.usd_month


def key_of(offer: Row) -> tuple[Any, ...]:
    return (*(offer[name] for name in KEY), offer["sizes"][0])


def case(seed: int) -> Case | None:
    """Return a random coupled instance, every third one with nothing coupled; None without plan."""
    rng = random.Random(seed)
    if seed % 3:
        rows, (gpus, nodes) = instances.coupled_market(rng), instances.gpu_market(rng)
        demand = instances.coupled_demand(rng)
    else:
        rows, demand, gpus, nodes = instances.market(rng), instances.demand(rng), [], []
    return made(demand, rows, gpus, nodes)


def made(demand: Row, rows: list[Row], gpus: list[Row], nodes: list[Row]) -> Case | None:
    instance = Instance.of(
        demand_from(demand), addressable(offers_frame(rows), exact=True), listings(gpus, nodes)
    )
    best = optimum(instance)
    if best is None:
        return None
    return Case(demand, rows, gpus, nodes, Evaluator(instance, best.chosen, best.rented))
