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
