"""What planning growth costs and saves: time beside a plan without it, and a back-test.

Run it with ``python -m tests.benchmarks growing``. The first table times `planner.plan` with growth
over 24 months, of one replica, up to three, or four, against the same demand without growth, in
processor time: of several markets the longest time, and the ratios, least first. The second buys
for a volume in a seeded market of 24 months in which prices and stock move; a disk keeps the price
that it was bought at:

schedule     plans every month with growth and a horizon of 12 months, beside its existing disk
once         buys the final size in the first month
when full    buys what is needed now, again each time it is full, at the cheapest offer of then
clairvoyant  the least cost for whoever knows all prices and stock: nothing can do better
"""

from __future__ import annotations

import random
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import planner
from planner.demand.growth import grown
from planner.demand.read import demand_from
from planner.market.disks import disks_frame, read_disk
from planner.market.offers import offers_frame
from tests.solve.hand import row

if TYPE_CHECKING:
    from planner.demand.model import Demand

MONTHS, OFFERS, HOURS, OVERLAP = 24, 12, 730, 72
PRICES = (60, 140)
"""Millionths of a USD per GB and hour, cheapest and dearest."""


def market(rng: random.Random, count: int) -> list[dict[str, Any]]:
    """Return offers in the API's shape, each in its own data centre."""
    return [
        row(
            f"p{number % 10}",
            str(Decimal(rng.randint(*PRICES)) / 10**6),
            str(number),
            spec={"maxCount": 1_000_000, "step": rng.choice([1, 10, 100])},
        )
        for number in range(count)
    ]


def fleet(rng: random.Random, volumes: int, replicas: tuple[int, int], *, grows: bool) -> Demand:
    """Return volumes of so many replicas that grow over 24 months, or do not."""
    listed = []
    for number in range(volumes):
        growth = rng.choice([f"{rng.randint(1, 10)}%/month", f"{rng.randint(10, 400)} GB/month"])
        volume: dict[str, Any] = {"name": f"v{number}", "size_gb": rng.randint(100, 6000)}
        volume["replicas"] = rng.randint(*replicas)
        listed.append({**volume, "growth": growth} if grows else volume)
    return demand_from({"version": 1, "volumes": listed, "policy": {"horizon": MONTHS}})


def seconds(demand: Demand, offers: Any) -> float:
    """Return the least processor time of three plans."""
    times = []
    for _ in range(3):
        started = time.process_time()
        planner.plan(demand, offers)
        times.append(time.process_time() - started)
    return min(times)


def ratios() -> None:
    """Print how long plans with growth take, beside plans without it."""
    print(f"{'volumes':>10}{'replicas':>10}{'seconds':>10}  ratios")
    for volumes, seeds in ((50, 8), (500, 2), (2000, 1)):
        for replicas in ((1, 1), (1, 3), (4, 4)):
            times, compared = [], []
            for seed in range(seeds):
                offers = offers_frame(market(random.Random(seed), 30))
                fixed, grows = (
                    fleet(random.Random(100 + seed), volumes, replicas, grows=each)
                    for each in (False, True)
                )
                times.append(seconds(grows, offers))
                compared.append(times[-1] / seconds(fixed, offers))
            listed = " ".join(f"{ratio:.1f}" for ratio in sorted(compared))
            copies = "-".join(map(str, dict.fromkeys(replicas)))
            print(f"{volumes:>10}{copies:>10}{max(times):>9.2f}s  {listed}")


def history(rng: random.Random) -> list[list[dict[str, Any]]]:
    """Return the offers of each month: prices drift, and stock comes and goes."""
    rows, months = market(rng, OFFERS), []
    for _ in range(MONTHS):
        rows = [
            {
                **each,
                "stockStatus": "Unavailable" if rng.random() < 0.2 else "Available",
                "spec": {
                    **each["spec"],
                    "pricePerUnit": (
                        each["spec"]["pricePerUnit"] * Decimal(str(rng.choice([0.95, 1, 1, 1.05])))
                    ).quantize(Decimal("1e-9")),
                },
            }
            for each in rows
        ]
        months.append(rows)
    return months


def simulated(months: list[list[dict[str, Any]]], size: int, growth: str, kind: str) -> Decimal:
    """Return what a way of buying costs over all months."""
    cost, live = Decimal(0), None
    for month, rows in enumerate(months):
        held = size if month == 0 else grown(size, growth, month - 1)
        volume: dict[str, Any] = {"name": "v", "size_gb": held}
        policy: dict[str, Any] = {}
        if kind == "schedule":
            volume, policy = {**volume, "growth": growth}, {"horizon": min(12, MONTHS - month)}
        else:
            last = MONTHS - 1 if kind == "once" else month
            volume["size_gb"] = grown(size, growth, last)
        demand = demand_from({"version": 1, "volumes": [volume], "policy": policy})
        disks = disks_frame([read_disk(live)] if live else [])
        bought = {("v", 1): (live["id"],)} if live else None
        plan = planner.plan(demand, offers_frame(rows), disks=disks, recorded=bought)
        (placement,) = plan.placements
        if placement.action != "keep":
            cost += (live["priceHr"] * OVERLAP) if live else 0
            live = {
                "id": f"disk-{month:04}",
                "name": "v",
                "status": "ACTIVE",
                "providerType": placement.provider,
                "size": placement.provision_gb,
                "priceHr": placement.usd_hr,
                "info": {"dataCenterId": placement.data_center, "country": placement.country},
            }
        cost += placement.usd_hr * HOURS
    return cost


def clairvoyant(months: list[list[dict[str, Any]]], size: int, growth: str) -> Decimal:
    """Return the least cost for whoever knows every month: a shortest path."""
    least = [Decimal(0)] * (MONTHS + 1)
    for start in reversed(range(MONTHS)):
        costs = []
        for end in range(start + 1, MONTHS + 1):
            hours = HOURS * (end - start) + OVERLAP * (end < MONTHS)
            need = grown(size, growth, end - 1)
            for each in months[start]:
                if each["stockStatus"] != "Unavailable":
                    step = each["spec"]["step"]
                    gb = -(-need // step) * step
                    usd_hr = gb * each["spec"]["pricePerUnit"]
                    costs.append(usd_hr * hours + least[end])
        least[start] = min(costs)
    return least[0]


def back_test(seeds: int = 6) -> None:
    """Print what each way of buying costs, and how much more than the clairvoyant."""
    kinds = ("schedule", "when full", "once")
    totals = dict.fromkeys((*kinds, "clairvoyant"), Decimal(0))
    for seed in range(seeds):
        rng = random.Random(seed)
        months = history(rng)
        size, growth = rng.randint(500, 5000), rng.choice(["3%/month", "8%/month", "300 GB/month"])
        totals["clairvoyant"] += clairvoyant(months, size, growth)
        for kind in kinds:
            totals[kind] += simulated(months, size, growth, kind)
    best = totals["clairvoyant"]
    print(f"\n{f'24 months, {seeds} volumes':<22}{'total':>12}{'regret':>10}")
    for kind, usd in sorted(totals.items(), key=lambda item: item[1]):
        print(f"{kind:<22}{f'${usd:,.2f}':>12}{f'{(usd - best) / best:.1%}':>10}")


def main(_: list[str] | None = None) -> int:
    """Print both tables."""
    back_test()
    ratios()
    return 0
