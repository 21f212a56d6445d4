"""The dual of limits on sums: as high as the linear program, and certified in whole numbers."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from planner.solve.certificate import (
    Multiplier,
    as_multipliers,
    bound_month,
    coupled,
    limits_of,
    proves,
)
from planner.solve.decompose import disaggregate
from planner.solve.dual import Lagrangian
from planner.solve.model import Program
from planner.solve.presolve import presolve
from planner.solve.rounding import round_dual
from planner.solve.whole_gb import eased
from tests.solve.hand import demanded, every_plan, instance_of, row, violations, volume

if TYPE_CHECKING:
    from planner.solve.problem import Instance

SPREADS = ["provider", "data_center", "region", "none"]


def fleet(seed: int, volumes: int = 12, offers: int = 18, *, budget: str | None = None) -> Instance:
    """Return volumes of one to three copies under a share, a cap of disks and an owner's budget."""
    rng = random.Random(seed)
    regions = ["united_states", "canada", "eu_north"]
    rows = [
        row(
            f"p{n % 4}",
            str(Decimal(rng.randint(5000, 20000)) / 10**8),
            str(n % 9),
            cloudId=f"c{n}",
            region=regions[n % 9 % 3],
            spec={"step": rng.choice([1, 7])},
        )
        for n in range(offers)
    ]
    wanted = [
        volume(
            f"v{n}",
            rng.randint(10, 3000),
            replicas=rng.choice([1, 1, 2, 3]),
            spread=rng.choice(SPREADS),
            owner=rng.choice(["ada", "bob"]),
        )
        for n in range(volumes)
    ]
    policy: dict[str, Any] = {"max_provider_share": "0.4", "max_disks_per_site": 2 + volumes // 3}
    free = instance_of(demanded(*wanted), rows)
    if budget is not None:
        mine = [v for v, one in enumerate(free.volumes) if one.owner == "ada"]
        least = sum((free.least.cost(v) or Decimal(0) for v in mine), Decimal(0)) * 730
        policy["budgets"] = {"ada": str((least * Decimal(budget)).quantize(Decimal("0.000001")))}
    return instance_of(demanded(*wanted, policy=policy), rows)


def certified(instance: Instance) -> tuple[tuple[Multiplier, ...], Decimal]:
    """Return the multipliers of an instance, and what they prove."""
    columns, limits = presolve(instance, instance.whole), limits_of(instance)
    best = Lagrangian(coupled(instance, columns, limits).coupled).best()
    assert best is not None
    multipliers, _ = as_multipliers(limits, best.prices)
    bound = bound_month(instance, multipliers)
    assert bound is not None
    return multipliers, bound


@pytest.mark.slow
@pytest.mark.parametrize("budget", [None, "1.05"])
@pytest.mark.parametrize("seed", range(6))
def test_the_dual_proves_what_the_linear_program_proves(seed: int, budget: str | None) -> None:
    """Shares, caps of disks and budgets bind; copies are apart; the two bounds are one."""
    instance = fleet(seed, budget=budget)
    columns = presolve(instance, instance.whole)
    program = Program(instance, instance.whole, columns, relaxed=True)
    expected = program.cheapest(time_limit_s=None)
    dual = Lagrangian(coupled(instance, columns, limits_of(instance)).coupled)
    best = dual.best()
    if expected.run.status == "infeasible":
        assert best is None
        return
    _, bound = certified(instance)
    assert expected.bound_usd_hr is not None
    assert best is not None
    assert dual.bound(best.prices) == pytest.approx(expected.bound_usd_hr, rel=2e-7)
    assert float(bound) >= expected.bound_usd_hr * 730 * (1 - 2e-7)  # GB are whole, too


@pytest.mark.slow
def test_most_of_these_fleets_are_possible_and_coupled() -> None:
    """What the tests before compare is not empty: limits bind, and prove more than none do."""
    more = 0
    for seed in range(6):
        multipliers, bound = certified(fleet(seed))
        more += bool(multipliers) and bound > bound_month(fleet(seed), ())  # type: ignore[operator]
    assert more >= 5


@pytest.mark.parametrize("seed", range(8))
def test_whatever_the_multipliers_are_no_plan_costs_less(seed: int) -> None:
    """Enumerated plans are never below the bound, which is computed without floats."""
    instance = fleet(seed, volumes=3, offers=6)
    plans = every_plan(instance, most=20000)
    assert plans is not None
    rng = random.Random(seed)
    least = min((cost for _, _, cost in plans), default=None)
    for scale in ("0", "1e-6", "1e-4"):
        multipliers = [
            Multiplier(
                limit.requirement.field, None, place, Decimal(rng.randint(0, 99)) * Decimal(scale)
            )
            for limit in limits_of(instance)
            for place in limit.places
        ]
        bound = bound_month(instance, multipliers)
        assert bound is not None
        assert least is None or bound <= least
    if least is not None:
        assert certified(instance)[1] <= least


def whole_gb_fleet(seed: int) -> Instance:
    """Return a few volumes at providers that each may have a half or a third, some in steps."""
    rng = random.Random(seed)
    prices = [rng.randint(100, 104) for _ in range(4)]
    rows = [
        row(f"p{n}", f"0.000{price}", spec={"step": rng.choice([1, 1, 10])})
        for n, price in enumerate(prices)
    ]
    volumes = [
        volume(f"v{n}", rng.randint(1, 60), replicas=rng.choice([1, 1, 1, 2]), spread="provider")
        for n in range(rng.randint(4, 6))
    ]
    share = rng.choice(["0.5", "0.4", "0.65", "0.3334"])
    return instance_of(demanded(*volumes, policy={"max_provider_share": share}), rows)


@pytest.mark.slow
def test_whole_gb_prove_more_than_the_linear_program_and_no_plan_costs_less() -> None:
    """Where providers may just hold all, or their share ends within a GB; plans are enumerated."""
    more = 0
    for seed in range(60):
        instance = whole_gb_fleet(seed)
        columns, limits = presolve(instance, instance.whole), limits_of(instance)
        dual = Lagrangian(coupled(instance, columns, limits).coupled)
        best = dual.best()
        if best is None:
            continue
        for prices in (best.prices, eased(instance, limits, best.prices)):
            multipliers, rounded = as_multipliers(limits, prices)
            bound = bound_month(instance, multipliers)
            assert bound is not None
            plans = every_plan(instance, most=20000, at_most=bound)
            assert all(bound <= cost for _, _, cost in plans or ())
            more += plans is not None and float(bound) > dual.bound(rounded) * 730 * (1 + 1e-6)
    assert more >= 20


@pytest.mark.slow
def test_a_reduced_cost_is_a_bound_with_that_column() -> None:
    """No enumerated plan that uses a column costs less than the bound and its reduced cost."""
    for seed in range(8):
        instance = fleet(seed, volumes=3, offers=6)
        columns = presolve(instance, instance.whole)
        dual = Lagrangian(coupled(instance, columns, limits_of(instance)).coupled)
        best = dual.best()
        if best is None:
            continue
        bound, reduced = dual.bound(best.prices), dual.reduced(best.prices)
        for chosen, _, cost in every_plan(instance, most=20000) or ():
            used = [
                i
                for i, (v, o) in enumerate(zip(columns.volume, columns.offer, strict=True))
                if o in chosen[int(v)] and len(columns.units[columns.unit[i]].members) == 1
            ]
            assert float(cost) / 730 >= bound + max(reduced[used], default=0) - 1e-9


def test_prices_that_prove_nothing_are_refused() -> None:
    """A negative price, a place twice, one that is not there, and limits that are no sums."""
    instance = fleet(1)
    multipliers, bound = certified(instance)
    first = multipliers[0]
    assert bound_month(instance, [replace(first, usd_hr=-first.usd_hr)]) is None
    assert bound_month(instance, [first, first]) is None
    assert bound_month(instance, [replace(first, place=("nowhere",))]) is None
    assert bound_month(instance, [replace(first, usd_hr=Decimal("1e40"))]) is None
    assert bound_month(instance, [replace(first, usd_hr=first.usd_hr * 2)]) != bound
    other = instance_of(demanded(volume("v"), policy={"max_providers": 1}), [row("p", "0.0001")])
    assert not proves(other, other.whole)
    assert bound_month(other, ()) is None


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_rounding_keeps_every_limit(seed: int) -> None:
    """Copies stay apart, all is placed, and where a plan is found the independent check agrees."""
    instance = fleet(seed, volumes=30, budget="1.3")
    columns = presolve(instance, instance.whole)
    together = coupled(instance, columns, limits_of(instance)).coupled
    dual = Lagrangian(together)
    best = dual.best()
    assert best is not None
    reduced = dual.reduced(best.prices)
    counts = round_dual(together, best.counts, reduced, best.prices, 0.0)
    assert counts is not None
    again = round_dual(together, best.counts, reduced, best.prices, 0.0)
    assert again is not None
    assert np.array_equal(counts, again)
    chosen = disaggregate(instance, columns, counts)
    assert violations(instance, chosen, {}) == ()
    assert float(instance.disk_usd_hr(chosen)) <= dual.bound(best.prices) * 1.02
