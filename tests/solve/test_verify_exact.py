"""The independent check and the enumeration: two statements of the rules, held side by side."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import pytest

from planner.demand.read import demand_from
from planner.market.market import Sold, addressable
from planner.market.offers import offers_frame
from planner.schema import records
from planner.solve.verify import verify
from tests.solve import brute, exact, instances
from tests.solve.plans import KEY, key, listings, place, rent


@pytest.mark.slow
def test_it_accepts_exactly_what_the_enumeration_accepts() -> None:
    """Around optima of random instances two statements of the rules agree on every choice."""
    verdicts = [0, 0]
    for seed in range(50):
        rng = random.Random(seed)
        rows, (gpu_rows, nodes) = instances.coupled_market(rng), instances.gpu_market(rng)
        document = instances.coupled_demand(rng)
        found = exact.optimum(document, rows, gpu_rows, nodes)
        if found is None:
            continue
        world = World(document, rows, gpu_rows, nodes)
        assert world.verify(found) == (), seed
        for _ in range(20):
            other = world.near(found, rng)
            allowed = world.allows(other)
            assert (world.verify(other) == ()) == allowed, (seed, other)
            verdicts[allowed] += 1
    assert min(verdicts) > 40


class World:
    """One random instance, as the enumeration and as planner see it."""

    def __init__(self, document: Any, rows: Any, gpu_rows: Any, nodes: Any) -> None:
        self.document, self.demand = document, demand_from(document)
        self.merged = brute.merge(rows)
        self.options = exact.options_of(document, self.merged)
        self.rentals = set(map(_ids, exact.rentals(document, gpu_rows, nodes, every=True)))
        self.offers = addressable(offers_frame(rows), exact=True)
        self.sold = Sold(records(self.offers))
        self.gpus = listings(gpu_rows, nodes)
        self.listed = {(row["listing"], row["row"]): row for row in records(self.gpus)}
        both = (("gpus", gpu_rows), ("multi-node", nodes))
        self.rows = [(name, n, row) for name, of in both for n, row in enumerate(of, 1)]
        self.row_of = {(name, id(row)): self.listed[name, n] for name, n, row in self.rows}

    def near(self, found: exact.Found, rng: random.Random) -> exact.Found:
        """Return a choice a step or two away, allowed or not."""
        options, gpus = list(found.options), list(found.gpus)
        for _ in range(rng.choice([1, 1, 2])):
            if gpus and rng.random() < 0.4:
                name, n, row = rng.choice(self.rows)
                if self.listed[name, n]["usd_hr"] is not None:
                    index = rng.randrange(len(gpus))
                    gpus[index] = gpus[index]._replace(row=row, listing=name)
                continue
            index = rng.randrange(len(options))
            volume, offers = self.document["volumes"][index], list(options[index].offers)
            can = [one for one in self.merged if brute.provision_of(volume, one) is not None]
            offers[rng.randrange(len(offers))] = rng.choice(can)
            usd_hr = sum(
                (brute.price_of(volume, one) or Fraction(0) for one in offers), Fraction(0)
            )
            usd = usd_hr * exact.hours(self.document)
            options[index] = options[index]._replace(offers=tuple(offers), usd_month=usd)
        return found._replace(options=tuple(options), gpus=tuple(gpus))

    def allows(self, found: exact.Found) -> bool:
        """Return whether the enumeration would have come by this choice and kept it."""
        options = zip(self.document["volumes"], self.options, found.options, strict=True)
        return (
            _ids(found.gpus) in self.rentals
            and exact.holds(self.document, found.options)
            and all(
                _keys(mine) in map(_keys, those)
                and exact.serves(self.document, volume, mine, found.gpus)
                for volume, those, mine in options
            )
        )

    def at(self, merged: dict[str, Any]) -> dict[str, Any]:
        """Return planner's offer of the enumeration's."""
        offer = self.sold.offer([merged[name] for name in KEY], merged["sizes"][0])
        assert offer is not None
        return offer

    def verify(self, found: exact.Found) -> tuple[str, ...]:
        """Return what `verify` says of this choice, bought and rented as it should be."""
        chosen = [
            place(volume, replica, offer)
            for volume, option in zip(self.demand.volumes, found.options, strict=True)
            for replica, offer in enumerate(
                sorted((self.at(one) for one in option.offers), key=key), 1
            )
        ]
        rented = [
            rent(self.demand, index, self.row_of[gpu.listing, id(gpu.row)])
            for index, gpu in enumerate(found.gpus)
        ]
        return verify(self.demand, self.offers, chosen, gpus=self.gpus, rented=rented)


def _keys(option: exact.Option) -> list[tuple[list[tuple[bool, str]], int]]:
    return sorted((key(one), one["sizes"][0]) for one in option.offers)


def _ids(gpus: tuple[exact.Gpu, ...]) -> tuple[tuple[str, int], ...]:
    return tuple((gpu.listing, id(gpu.row)) for gpu in gpus)
