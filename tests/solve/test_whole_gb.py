"""What stays free of every limit where GB are whole is a part of the proof."""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest

from planner.solve import decompose
from planner.solve.optimum import optimum
from planner.solve.presolve import presolve
from planner.solve.stats import SolveStats
from tests.solve.hand import demanded, instance_of, row, volume

VOLUMES, PROVIDERS, HOURS = 6, 4, 730


def fleet(seed: int) -> tuple[dict[str, Any], list[dict[str, Any]], Fraction | None]:
    """Return volumes at providers under a share, some with a budget, and the least cost."""
    rng = random.Random(seed)
    step, percent = rng.choice([1, 1, 10, 100]), rng.choice([35, 40, 55])
    prices = [rng.randint(600, 900) + 150 * n for n in range(PROVIDERS)]  # 1e-7 USD per GB, hour
    sizes = [rng.randint(1, 900 // step) * step for _ in range(VOLUMES)]
    policy: dict[str, Any] = {"max_provider_share": percent / 100}
    budget = rng.choice([None, 60])
    if budget:
        policy["budgets"] = {"ada": budget}
    owners = ["ada" if n % 2 else "bob" for n in range(VOLUMES)]
    at = np.array([*product(range(PROVIDERS), repeat=VOLUMES)])  # every placement there is
    cost = np.array(prices)[at] * sizes
    held = np.array([((at == n) * sizes).sum(axis=1) for n in range(PROVIDERS)]).max(axis=0)
    keeps = held * 100 <= percent * sum(sizes)
    if budget:
        keeps &= cost[:, 1::2].sum(axis=1) * HOURS <= budget * 10**7
    least = min(cost.sum(axis=1)[keeps].tolist(), default=None)
    rows = [row(f"p{n}", str(Decimal(price) / 10**7), str(n)) for n, price in enumerate(prices)]
    volumes = [
        volume(f"v{n}", size, owner=owner)
        for n, (size, owner) in enumerate(zip(sizes, owners, strict=True))
    ]
    best = None if least is None else Fraction(least * HOURS, 10**7)
    return demanded(*volumes, policy=policy), rows, best


@pytest.mark.slow
def test_no_plan_costs_less_than_whole_gb_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against enumeration: sound for all, and for many the proof of the optimum."""
    monkeypatch.setattr(decompose, "_listed", lambda *_: None)
    proven = searched = 0
    for seed in range(20):
        document, rows, best = fleet(seed)
        instance = instance_of(document, rows)
        found = optimum(instance)
        assert (found is None) == (best is None), seed
        if found is None or best is None:
            continue
        assert (seed, found.bound_month, Fraction(found.usd_month)) == (seed, None, best)
        columns, whole = presolve(instance, instance.whole), instance.whole
        ideal = decompose._relaxed(instance, whole, columns, SolveStats())
        rounded = ideal and decompose._rounded(instance, whole, columns, ideal)
        if not ideal or rounded is None:
            continue
        assert min(Fraction(rounded.usd_month), ideal.least_month) <= best, seed
        proven += rounded.bound_month is None and len(columns) > VOLUMES
        searched += rounded.bound_month is not None
    assert proven > 2
    assert searched > 2
