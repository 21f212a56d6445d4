"""Markets and fleets for the benchmarks: random but seeded, as the API and a file have them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.demand.read import demand_from
from planner.market.gpus import gpus_frame
from planner.market.market import addressable
from planner.market.offers import offers_frame

if TYPE_CHECKING:
    import pandas as pd

    from planner.demand.model import Demand

GPUS = ["A100_80GB", "H100_80GB"]


@dataclass(frozen=True)
class Size:
    """What is placed where.

    ``groups`` of ``team`` volumes each are at one site; ``budgets`` are owners that have one;
    ``sites`` is the most sites there may be. With ``even`` every size can be bought exactly, and
    ``wishes`` is how likely each wish of a volume is.
    """

    volumes: int
    offers: int
    share: str | None = None
    groups: int = 0
    jobs: int = 0
    gpus: int = 0
    sites: int | None = None
    budgets: tuple[tuple[str, str], ...] = ()
    team: int = 5
    even: bool = False
    wishes: float = 0.3
    seed: int = 3


def market(offers: int, seed: int = 1) -> list[dict[str, Any]]:
    """Return so many offers at a third as many data centres of twelve providers."""
    rng = random.Random(seed)
    return [
        {
            "cloudId": None if n % 3 else f"c{n}",
            "provider": f"provider-{rng.randrange(12)}",
            "dataCenter": f"DC-{n % (offers // 3)}",
            "country": rng.choice(["US", "NO", "IS", "CA"]),
            "region": rng.choice(["united_states", "eu_north", "canada"]),
            "spec": {
                "minCount": 0,
                "maxCount": rng.choice([8192, 100_000]),
                "step": rng.choice([1, 1, 10]),
                "pricePerUnit": round(rng.uniform(5e-5, 3e-4), 9),
            },
            "stockStatus": rng.choice(["Available", "Low", "High"]),
            "security": rng.choice(["secure_cloud", "community_cloud"]),
            "isMultinode": rng.choice([True, False, None]),
        }
        for n in range(offers)
    ]


def listing(size: Size) -> list[dict[str, Any]]:
    """Return disk offers as the API lists them, three at a site."""
    sites, disks = dict[str, Any](), list[dict[str, Any]]()
    for n, row in enumerate(market(size.offers)):
        first = sites.setdefault(row["dataCenter"], row)
        site = {key: first[key] for key in ("provider", "dataCenter", "country", "region")}
        spec = row["spec"] | ({"step": 1, "maxCount": 100_000} if size.even else {})
        disks.append({**row, **site, "cloudId": f"c{n}", "spec": spec})
    return disks


def fleet(size: Size) -> dict[str, Any]:
    """Return volumes of 100 to 8000 GB, some with wishes that meet at their team's home."""
    rng, volumes = random.Random(size.seed), list[dict[str, Any]]()
    homes = market(size.offers)[: size.offers // 3]  # the first of each site, see `listing`
    for n in range(size.volumes):
        if n % size.team == 0:
            home = rng.choice(homes)
        wishes = {
            "regions": sorted({home["region"], rng.choice(homes)["region"]}),
            "providers": sorted({one["provider"] for one in [home, *rng.choices(homes, k=5)]}),
            "stock": home["stockStatus"],
        }
        chosen = {wish: value for wish, value in wishes.items() if rng.random() < size.wishes}
        volumes.append({"name": f"v-{n}", "size_gb": rng.randint(100, 8000), **chosen})
    names = [volume["name"] for volume in volumes]
    teams = [names[n : n + size.team] for n in range(0, len(names), size.team)]
    jobs = []
    for n in range(size.jobs):
        job = {"name": f"job-{n}", "gpu": rng.choice(GPUS), "hours_per_month": rng.randint(20, 700)}
        jobs.append({**job, "mounts": rng.sample(teams[n % len(teams)], rng.choice([1, 1, 2]))})
    policy: dict[str, Any] = {}
    if size.share is not None:
        policy["max_provider_share"] = size.share
    if size.sites is not None:
        policy["max_sites"] = size.sites
    if size.budgets:
        owners = [owner for owner, _ in size.budgets]
        for n, volume in enumerate(volumes):
            volume["owner"] = owners[n % len(owners)]
        policy["budgets"] = dict(size.budgets)
    groups = [{"volumes": team, "same": "site"} for team in teams[: size.groups]]
    parts = {"volumes": volumes, "groups": groups, "workloads": jobs, "policy": policy}
    return {"version": 1, **{name: part for name, part in parts.items() if part}}


def rows(size: Size) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return disk offers and GPU offers at their sites, prices exact."""
    rng, disks, gpus = random.Random(4), listing(size), list[dict[str, Any]]()
    for row in disks:
        spec = row["spec"]
        row["spec"] = {**spec, "pricePerUnit": Decimal(str(spec["pricePerUnit"]))}
    for disk in rng.choices(disks, k=size.gpus):
        price = {"onDemand": Decimal(rng.randint(80, 400)) / 100, "currency": "USD"}
        gpus.append({**disk, "gpuType": rng.choice(GPUS), "gpuCount": 1, "prices": price})
    return disks, gpus


def frames(size: Size) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Return disk offers (columns ``ADDRESSABLE``), and GPU offers where there are any."""
    disks, gpus = rows(size)
    return addressable(offers_frame(disks), exact=True), gpus_frame(gpus) if gpus else None


def inputs(size: Size) -> tuple[Demand, pd.DataFrame, pd.DataFrame | None]:
    """Return a fleet as a demand, with the frames of its market."""
    return demand_from(fleet(size)), *frames(size)
