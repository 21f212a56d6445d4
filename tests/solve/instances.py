"""Small random instances: markets in the API's shape, demands in the file's."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

PROVIDERS = ["alpha", "beta", "gamma"]
DATA_CENTERS = ["DC-1", "DC-2", "DC-3", None]
COUNTRIES = ["US", "NO", "IS", None]
REGIONS = ["united_states", "eu_north", None]
PRICES = ["0.0001", "0.000100001", "0.000099999", "0.0002", "0.00011545611010752688", "0.00007"]


def market(rng: random.Random, most: int = 11) -> list[dict[str, Any]]:
    """Return up to ``most`` rows with nulls in every nullable field and now and then a twin."""
    rows = [_row(rng) for _ in range(rng.choice([0, 1, *range(4, most)]))]
    twins = [row for row in rows if rng.random() < 0.2]
    return rows + [{**_row(rng), **{key: row[key] for key in _KEY}} for row in twins]


_KEY = ("provider", "cloudId", "dataCenter", "country")


def _row(rng: random.Random) -> dict[str, Any]:
    price = rng.choice([*PRICES, *PRICES, *PRICES, None, "0", "-1"])
    return {
        "provider": rng.choice(PROVIDERS),
        "cloudId": rng.choice([None, None, "c1"]),
        "dataCenter": rng.choice(DATA_CENTERS),
        "country": rng.choice(COUNTRIES),
        "region": rng.choice(REGIONS),
        "spec": {
            "minCount": rng.choice([None, 0, 0, 1, 5, 7]),
            "defaultCount": rng.choice([None, 0, 10]),
            "maxCount": rng.choice([None, 20, 40, 60]),
            "step": rng.choice([None, 0, 1, 1, 3, 4]),
            "pricePerUnit": None if price is None else Decimal(price),
        },
        "stockStatus": rng.choice(["Available", "High", "Medium", "Low", "Unavailable", "odd"]),
        "security": rng.choice(["secure_cloud", "community_cloud", "secure_cloud", None]),
        "isMultinode": rng.choice([True, False, None]),
    }


def demand(rng: random.Random) -> dict[str, Any]:
    """Return a demand with one to three volumes and sometimes a budget."""
    volumes = [_volume(rng, f"v-{number}") for number in range(1, rng.randint(1, 3) + 1)]
    policy: dict[str, Any] = {}
    if rng.random() < 0.3:
        policy["budget_usd_month"] = round(rng.uniform(0.1, 12), 2)
    if rng.random() < 0.2:
        policy["budgets"] = {"ada": round(rng.uniform(0.1, 6), 2)}
    return {"version": 1, "volumes": volumes, "policy": policy}


def _volume(rng: random.Random, name: str) -> dict[str, Any]:
    volume: dict[str, Any] = {"name": name, "size_gb": rng.randint(1, 45)}
    wishes: dict[str, Any] = {
        "replicas": rng.choice([2, 2, 3]),
        "spread": rng.choice(["none", "site", "data_center", "provider", "country", "region"]),
        "multinode": True,
        "stock": rng.choice(["Low", "Medium", "High"]),
        "security": rng.choice(["secure_cloud", "community_cloud"]),
        "regions": rng.sample(REGIONS[:2], rng.randint(1, 2)),
        "countries": rng.sample(COUNTRIES[:3], rng.randint(1, 3)),
        "providers": rng.sample(PROVIDERS, 2),
        "data_centers": rng.sample(DATA_CENTERS[:3], 2),
        "exclude": {
            "regions": [rng.choice(REGIONS[:2])],
            "providers": [rng.choice(PROVIDERS)],
            "countries": [rng.choice(COUNTRIES[:3])],
        },
        "max_usd_gb_hr": 0.00015,
        "max_disks": rng.choice([2, 3]),
        "headroom": rng.choice(["25%", "10%", "7"]),
        "owner": "ada",
    }
    chances = {"replicas": 0.5, "spread": 0.7, "max_disks": 0.4, "owner": 0.5}
    made = {w: value for w, value in wishes.items() if rng.random() < chances.get(w, 0.05)}
    return volume | made


SITES = [
    ("alpha", "DC-1", "US", "united_states"),
    ("alpha", "DC-2", "NO", "eu_north"),
    ("beta", "DC-1", "US", "united_states"),
    ("beta", "DC-3", "IS", "eu_north"),
    ("beta", "DC-3", None, "eu_north"),
    ("gamma", "DC-2", "NO", "eu_north"),
    ("gamma", None, "US", "united_states"),
    ("gamma", "DC-4", None, None),
]
"""Few places, so that disks meet, and meet GPUs; one data centre's name at two providers."""


def coupled_market(rng: random.Random) -> list[dict[str, Any]]:
    """Return rows of four to eight create keys at few sites, now and then with a twin."""
    rows: dict[Any, dict[str, Any]] = {}
    for _ in range(rng.randint(8, 12)):
        row = _offer(rng)
        rows.setdefault(tuple(row[key] for key in _KEY), row)
    listed = list(rows.values())[:8]
    twins = [{**_offer(rng), **{key: row[key] for key in _KEY}} for row in listed]
    return listed + [twin for twin in twins if rng.random() < 0.1]


def _offer(rng: random.Random) -> dict[str, Any]:
    provider, data_center, country, region = rng.choice(SITES)
    price = rng.choice(PRICES) if rng.random() < 0.97 else None
    return {
        "provider": provider,
        "cloudId": rng.choice([None, None, "c1"]),
        "dataCenter": data_center,
        "country": country,
        "region": region if rng.random() < 0.93 else rng.choice(REGIONS),
        "spec": {
            "minCount": rng.choice([None, 0, 1, 5]),
            "maxCount": rng.choice([60, 60, None, 40]),
            "step": rng.choice([None, 1, 3, 4]),
            "pricePerUnit": None if price is None else Decimal(price),
        },
        "stockStatus": rng.choice(
            [*["Available", "High", "Medium", "Low", "odd"] * 4, "Unavailable"]
        ),
        "security": rng.choice(["secure_cloud", "community_cloud", "secure_cloud", None]),
        "isMultinode": rng.choice([True, True, True, False, False, None]),
    }


def gpu_market(rng: random.Random) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return rows of the GPU listing and of the multi-node listing, at the sites of the disks."""
    return [_gpu(rng) for _ in range(rng.randint(26, 40))], [
        _gpu(rng) for _ in range(rng.randint(0, 4))
    ]


GPU_PRICES = ["1.79", "1.79001", "1.78999", "2", "0.0004", "0.0004000001", "0.0007", "1.6568"]
"""Most beside the disks' cost, some as small as that, so that both sides decide."""


def _gpu(rng: random.Random) -> dict[str, Any]:
    provider, data_center, country, region = rng.choice(SITES)
    on_demand, community = rng.choice(GPU_PRICES), rng.choice([None, None, *GPU_PRICES[4:7]])
    odd = rng.random() < 0.06
    prices = {
        "onDemand": rng.choice([None, 0, -1]) if odd else Decimal(on_demand),
        "communityPrice": None if community is None else Decimal(community),
        "isVariable": rng.choice([None, False, True]),
        "currency": "EUR" if rng.random() < 0.03 else "USD",
    }
    return {
        "cloudId": rng.choice(["NVIDIA A100", "NVIDIA A100-SXM4", None]),
        "gpuType": rng.choice(["A100_80GB", "A100_80GB", "A100_80GB", "H100_80GB"]),
        "socket": rng.choice(["SXM4", "SXM4", "PCIe", None]),
        "provider": provider,
        "dataCenter": data_center if rng.random() < 0.85 else None,
        "country": country if rng.random() < 0.9 else rng.choice(COUNTRIES),
        "region": region,
        "gpuCount": rng.choice([1, 1, 1, 8, None]),
        "gpuMemory": 80,
        "stockStatus": rng.choice(["Available", "Medium", "Low", "odd", "Low", "Unavailable"]),
        "security": rng.choice(["secure_cloud", "secure_cloud", "community_cloud", None]),
        "prices": prices,
        "isSpot": rng.choice([None, None, False, True]),
        "prepaidTime": None,
    }


def coupled_demand(rng: random.Random) -> dict[str, Any]:
    """Return a demand of two to four volumes whose choices hang together in several ways."""
    volumes = [_member(rng, f"v-{number}") for number in range(1, rng.randint(2, 4) + 1)]
    names = [volume["name"] for volume in volumes]
    made: dict[str, Any] = {"version": 1, "volumes": volumes, "policy": _policy(rng, volumes)}
    groups = [_group(rng, names) for _ in range(rng.choice([0, 0, 0, 1, 1, 1, 2, 3]))]
    if groups:
        made["groups"] = groups
    workloads = [
        _workload(rng, f"job-{n}", names) for n in range(1, rng.choice([0, 0, 1, 1, 2, 2]) + 1)
    ]
    if len(workloads) == 2 and rng.random() < 0.5:
        workloads[1]["mounts"] = workloads[0]["mounts"][:1]
    if workloads:
        made["workloads"] = workloads
    return made


def _member(rng: random.Random, name: str) -> dict[str, Any]:
    volume: dict[str, Any] = {"name": name, "size_gb": rng.randint(1, 45)}
    if rng.random() < 0.25:
        volume["replicas"] = 2
    if rng.random() < 0.6:
        volume["spread"] = rng.choice(["none", "site", "data_center", "provider", "country"])
    if rng.random() < 0.15:
        volume["max_disks"] = 2
    if rng.random() < 0.5:
        volume["owner"] = "ada"
    if rng.random() < 0.06:
        volume["security"] = "secure_cloud"
    if rng.random() < 0.06:
        volume["stock"] = "Low"
    if rng.random() < 0.06:
        volume["exclude"] = {"providers": [rng.choice(PROVIDERS)]}
    return volume


LEVELS = ["site", "data_center", "provider", "country", "region"]


def _group(rng: random.Random, names: list[str]) -> dict[str, Any]:
    members = rng.sample(names, rng.choice([2, 2, 2, 2, 3]) if len(names) > 2 else 2)
    kinds = rng.choice([["same"], ["same"], ["different"], ["different"], ["same", "different"]])
    if len(kinds) == 2:  # the only kind of both that can hold: together far out, apart further in
        return {
            "volumes": members,
            "same": rng.choice(["country", "region"]),
            "different": rng.choice(["site", "data_center", "provider"]),
        }
    return {"volumes": members, kinds[0]: rng.choice(LEVELS)}


def _workload(rng: random.Random, name: str, names: list[str]) -> dict[str, Any]:
    mounts = rng.sample(names, rng.choice([1, 1, 1, 2]))
    workload: dict[str, Any] = {"name": name, "gpu": "A100_80GB", "mounts": mounts}
    wishes: dict[str, tuple[float, Any]] = {
        "gpus": (0.06, 8),
        "nodes": (0.15, 2),
        "socket": (0.15, "SXM4"),
        "spot": (0.3, True),
        "security": (0.2, rng.choice(["secure_cloud", "any"])),
        "regions": (0.1, ["eu_north", "united_states"]),
        "providers": (0.1, rng.sample(PROVIDERS, 2)),
        "hours_per_month": (0.85, rng.choice([1, 100, 360, 365, 366])),
    }
    return workload | {word: value for word, (odds, value) in wishes.items() if rng.random() < odds}


def _policy(rng: random.Random, volumes: list[dict[str, Any]]) -> dict[str, Any]:
    gb = sum(volume["size_gb"] * volume.get("replicas", 1) for volume in volumes)
    mine = sum(v["size_gb"] * v.get("replicas", 1) for v in volumes if "owner" in v)
    wishes: dict[str, tuple[float, Any]] = {
        "budget_usd_month": (0.15, round(gb * rng.uniform(0.065, 0.13), 2)),
        "budgets": (0.15, {"ada": round(mine * rng.uniform(0.065, 0.13) + 0.01, 2)}),
        "max_sites": (0.25, rng.choice([1, 2, 2, 2, 3])),
        "max_providers": (0.2, rng.choice([1, 2, 2])),
        "max_provider_share": (0.25, rng.choice([0.5, 0.6, 0.75, 0.9, 1])),
        "sequential": (0.7, True),
        "hours_per_month": (0.2, rng.choice([672, 720, 744])),
    }
    return {word: value for word, (odds, value) in wishes.items() if rng.random() < odds}
