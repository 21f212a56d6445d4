"""Cost against a limit: every point is the plan under it, and a range has that plan within it."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from planner.analysis import curve as curves
from planner.analysis.changes import without_budgets
from planner.analysis.curve import Curve, Point
from planner.solve.optimum import optimum
from tests.solve.hand import coupled, demanded, instance_of, row, volume

if TYPE_CHECKING:
    from planner.solve.problem import Instance

LIMITS: dict[str, list[int | Decimal]] = {
    "max_sites": [1, 2, 3, 5],
    "max_providers": [1, 2, 3],
    "max_provider_share": [Decimal("0.3"), Decimal("0.5"), Decimal("0.7"), Decimal(1)],
}
NO_PLAN = Point(None, None, {}, {})


def held_against_optima(instance: Instance, *, exact: bool) -> None:
    """Hold the points of every limit against the optimum under it."""
    for field, values in LIMITS.items():
        asked = Curve(instance, field, NO_PLAN)
        points = asked.points(values)
        assert list(points) == sorted(values)
        for value, point in points.items():
            best = optimum(asked.under(value), tie_break=False)
            if best is None:
                assert point.usd_month is None
                assert point.least_month is None or not exact
                continue
            assert point.least_month is not None
            assert point.least_month <= best.usd_month
            assert point.usd_month is None or best.usd_month <= point.usd_month
            if point.usd_month is not None:
                under = asked.under(value)
                assert under.holds(under.whole, point.chosen)
                assert under.usd_month(point.chosen, point.rented) == point.usd_month
            if exact:
                assert point.least_month == point.usd_month == best.usd_month


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 3, 4])
def test_points_of_a_small_demand_are_the_optima(seed: int) -> None:
    """With groups, jobs, budgets and disks that exist, which each demand has by chance."""
    held_against_optima(without_budgets(instance_of(*coupled(seed))), exact=True)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [6, 8, 9, 10])
def test_a_range_has_the_optimum_within_it(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same demands, with no more work for a point than a large demand has."""
    monkeypatch.setattr(curves, "_SMALL", 0)
    held_against_optima(without_budgets(instance_of(*coupled(seed))), exact=False)


@pytest.mark.slow
@pytest.mark.parametrize("share", [None, "0.5"])
def test_few_sites_of_many_volumes(share: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the search for few sites finds is proven, or a range around the best."""
    monkeypatch.setattr(curves, "_SMALL", 0)
    rng = random.Random(5)
    rows = [
        row(rng.choice(["alpha", "beta", "gamma"]), f"{rng.uniform(1, 3):.5f}e-4", str(n))
        for n in range(9)
    ]
    volumes = [
        volume(
            f"v{n}",
            rng.randint(50, 400),
            data_centers=[each["dataCenter"] for each in rng.sample(rows, 4)],
            **({"replicas": 2, "spread": "site"} if n % 5 == 0 else {}),
        )
        for n in range(12)
    ]
    policy = {} if share is None else {"max_provider_share": share}
    instance = instance_of(demanded(*volumes, policy=policy), rows)
    held_against_optima(instance, exact=False)
    points = Curve(instance, "max_sites", NO_PLAN).points(range(1, 10))
    amounts = [(p.least_month, p.usd_month) for p in points.values()]
    known = [(least, usd) for least, usd in amounts if least is not None and usd is not None]
    assert len(known) > 3
    assert sum(least > usd * Decimal("0.99") for least, usd in known) > len(known) / 2
