"""Instances made by hand or by chance, from the API's rows, and all the plans they have."""

from __future__ import annotations

import itertools
import math
import random
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.demand.read import demand_from
from planner.market.market import addressable
from planner.market.offers import offers_frame
from planner.requirements.spread import spreads
from planner.solve.problem import Instance
from planner.solve.rentals import gpu_choice
from planner.solve.solution import placements
from planner.solve.verify import verify
from tests.solve import instances
from tests.solve.plans import listings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Row = dict[str, Any]
Choice = tuple[dict[int, list[int]], dict[int, int], Decimal]
"""Offers of each volume, GPUs of each workload, cost in a month."""


def row(provider: str, price: str, site: str = "1", **fields: Any) -> Row:
    """Return a disk offer in the API's shape; ``provider`` and ``site`` name its data centre."""
    spec = {"minCount": 0, "maxCount": 8192, "step": 1, "pricePerUnit": Decimal(price)}
    return {
        "provider": provider,
        "dataCenter": f"{provider}-{site}",
        "country": "US",
        "region": "united_states",
        "stockStatus": "Available",
        "security": "secure_cloud",
        "isMultinode": False,
        "spec": {**spec, **fields.pop("spec", {})},
        **fields,
    }


def gpu(provider: str, usd_hr: str, site: str = "1", **fields: Any) -> Row:
    """Return a GPU offer in the API's shape, at the site of the disk offer of these names."""
    return {
        "cloudId": "A100",
        "gpuType": "A100_80GB",
        "socket": "SXM4",
        "provider": provider,
        "dataCenter": f"{provider}-{site}",
        "country": "US",
        "region": "united_states",
        "gpuCount": 1,
        "gpuMemory": 80,
        "stockStatus": "Available",
        "security": "secure_cloud",
        "prices": {"onDemand": Decimal(usd_hr), "currency": "USD"},
        "isSpot": None,
        "prepaidTime": None,
        **fields,
    }


def volume(name: str, size_gb: int = 100, **fields: Any) -> Row:
    return {"name": name, "size_gb": size_gb, **fields}


def demanded(*volumes: Row, **more: Any) -> Row:
    """Return a demand file's document; groups, workloads and policy by name."""
    return {"version": 1, "volumes": list(volumes), **more}


def instance_of(
    document: Row, rows: Sequence[Row], gpus: Sequence[Row] = (), nodes: Sequence[Row] = ()
) -> Instance:
    """Return the instance of a document and rows of the three listings."""
    offers = addressable(offers_frame(list(rows)), exact=True)
    rented = listings(gpus, nodes) if document.get("workloads") else None
    return Instance.of(demand_from(document), offers, rented)


def coupled(seed: int) -> tuple[Row, list[Row], list[Row], list[Row]]:
    """Return a random demand with every constraint mixed, and rows of the three listings."""
    rng = random.Random(seed)
    rows, (gpus, nodes) = instances.coupled_market(rng), instances.gpu_market(rng)
    return instances.coupled_demand(rng), rows, gpus, nodes


def violations(
    instance: Instance, chosen: Mapping[int, Sequence[int]], rented: Mapping[int, int]
) -> tuple[str, ...]:
    """Return what the independent check says of a choice."""
    pairs, rentals = instance.pairs, instance.rentals
    return verify(
        instance.demand,
        pairs.offers,
        placements(pairs, [chosen[v] for v in range(len(pairs.volumes))]),
        gpus=None if rentals is None else rentals.gpus,
        rented=[] if rentals is None else [gpu_choice(rentals, w, g) for w, g in rented.items()],
    )


def providers(instance: Instance, chosen: Mapping[int, Sequence[int]]) -> list[list[str]]:
    """Return the providers of each volume's replicas, in volume order, replicas by create key."""
    names = instance.pairs.offers["provider"].tolist()
    return [[names[o] for o in chosen[v]] for v in sorted(chosen)]


def penalty(instance: Instance, chosen: Mapping[int, Sequence[int]]) -> int:
    """Return the sum of ``3 - rank`` of the stock of a choice."""
    return sum(int(instance.penalty[o]) for offers in chosen.values() for o in offers)


def choices(instance: Instance, v: int) -> list[tuple[int, ...]]:
    """Return every way to place the replicas of one volume on its own."""
    demanded = instance.pairs.volumes[v]
    offers = (instance.pairs.broken[v] == 0).nonzero()[0].tolist()
    if not spreads(demanded.replicas, demanded.spread):
        return list(itertools.combinations_with_replacement(offers, demanded.replicas))
    places = instance.spread_domains(demanded.spread)
    return [
        choice
        for choice in itertools.combinations(offers, demanded.replicas)
        if all(places[a].isdisjoint(places[b]) for a, b in itertools.combinations(choice, 2))
    ]


def every_plan(
    instance: Instance, most: int = 4000, at_most: Decimal | None = None
) -> list[Choice] | None:
    """Return all plans with the best GPUs beside each; None where there is too much to try.

    Those whose disks alone cost clearly more than ``at_most`` in a month may be left out.
    """
    each = [choices(instance, v) for v in range(len(instance.pairs.volumes))]
    if math.prod(map(len, each)) > most:
        return None
    limit = math.inf if at_most is None else float(at_most) * (1 + 1e-9) + 1e-9
    return list(_plans(instance, each, limit))


def _plans(instance: Instance, each: list[list[tuple[int, ...]]], limit: float) -> Iterator[Choice]:
    usd = [
        {one: float(instance.usd_month({v: list(one)}, {})) for one in mine}
        for v, mine in enumerate(each)
    ]
    for combination in itertools.product(*each):
        if sum(map(dict.__getitem__, usd, combination)) > limit:
            continue
        chosen = {v: list(offers) for v, offers in enumerate(combination)}
        if not instance.holds(instance.whole, chosen):
            continue
        rented = {w: instance.rent_best(w, chosen) for w in range(len(instance.demand.workloads))}
        ready = {w: g for w, g in rented.items() if g is not None}
        if len(ready) == len(rented):
            yield chosen, ready, instance.usd_month(chosen, ready)
