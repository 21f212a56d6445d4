"""Rounding under limits on sums: whole replicas, every unit placed, and no sum above its limit."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from planner.solve.certificate import coupled, limits_of
from planner.solve.decompose import disaggregate
from planner.solve.dual import Lagrangian
from planner.solve.heuristic import round_units
from planner.solve.presolve import Columns, presolve
from tests.solve.hand import demanded, instance_of, row, violations, volume

if TYPE_CHECKING:
    from planner.solve.problem import Instance


def repair(instance: Instance, near: float = 1e-6) -> tuple[Columns, float, Any]:
    """Return columns, the dual's bound in USD an hour, and whole counts."""
    columns = presolve(instance, instance.whole)
    choice = coupled(instance, columns, limits_of(instance))
    dual = Lagrangian(choice.coupled)
    best = dual.best()
    assert best is not None
    bound = dual.bound(best.prices)
    return columns, bound, round_units(dual, best.counts, best.prices, bound * (1 + near))


def fleet(seed: int, **policy: Any) -> Instance:
    rng = random.Random(seed)
    rows = [
        row(f"p{n % 4}", str(Decimal(rng.randint(5000, 20000)) / 10**8), str(n), spec={"step": 3})
        for n in range(16)
    ]
    sizes = [rng.randint(10, 3000) for _ in range(40)]
    volumes = [volume(f"v{n}", size) for n, size in enumerate(sizes)]
    return instance_of(demanded(*volumes, policy=policy), rows)


def grouped(seed: int, **policy: Any) -> Instance:
    """Return volumes of two owners, three in a row at one site; a site sells two grids of sizes."""
    rng = random.Random(seed)
    rows = [
        row(
            f"p{n % 4}",
            str(Decimal(rng.randint(5000, 20000)) / 10**8),
            str(n // 8),
            cloudId=f"c{n}",
            spec={"step": 7 if n % 8 < 4 else 1},
        )
        for n in range(24)
    ]
    volumes = [
        volume(f"v{n}", rng.randint(10, 3000), owner=("ada", "bob")[n % 2]) for n in range(30)
    ]
    groups = [
        {"volumes": [f"v{n}" for n in range(k, k + 3)], "same": "site"} for k in range(0, 24, 3)
    ]
    return instance_of(demanded(*volumes, groups=groups, policy=policy), rows)


@pytest.mark.slow
def test_groups_move_as_one_and_every_limit_is_kept() -> None:
    """A share, an owner's budget and a cap of disks bind, and the groups stay together."""
    free = grouped(1)
    least = free.least_usd_hr * free.demand.policy.hours_per_month
    budget = str((least / 2 * Decimal("1.2")).quantize(Decimal("0.01")))
    instance = grouped(1, max_provider_share=0.3, budgets={"ada": budget}, max_disks_per_site=6)
    columns, bound, counts = repair(instance, near=1e-9)
    assert counts is not None
    chosen = disaggregate(instance, columns, counts)
    assert violations(instance, chosen, {}) == ()
    assert instance.holds(instance.whole, chosen)
    assert float(instance.disk_usd_hr(chosen)) <= bound * 1.01


@pytest.mark.slow
def test_whole_counts_keep_the_share_and_come_near_the_bound() -> None:
    """Every replica has one place, the independent check agrees, and little is lost."""
    for seed in range(3):
        instance = fleet(seed, max_provider_share=0.3)
        columns, bound, counts = repair(instance)
        assert counts is not None, seed
        placed = np.bincount(columns.unit, weights=counts, minlength=len(columns.units))
        assert placed.tolist() == [unit.count for unit in columns.units]
        assert (counts >= 0).all()
        chosen = disaggregate(instance, columns, counts)
        assert violations(instance, chosen, {}) == ()
        cost = float(instance.disk_usd_hr(chosen))
        assert bound * (1 - 1e-9) <= cost <= bound * 1.001


@pytest.mark.slow
def test_the_same_relaxation_is_rounded_the_same() -> None:
    """Its random starts have a seed of their own: two runs are one."""
    instance = fleet(1, max_provider_share=0.3)
    assert np.array_equal(repair(instance)[2], repair(instance)[2])


def test_split_copies_of_volumes_that_are_alike_are_rounded_apart() -> None:
    """Six copies of three volumes, of which no provider has two of one: two at each of three."""
    rows = [row(f"p{n}", f"0.000{n + 1}") for n in range(4)]
    volumes = [volume(f"v{n}", 10, replicas=2, spread="provider") for n in range(3)]
    instance = instance_of(demanded(*volumes, policy={"max_provider_share": 0.4}), rows)
    columns = presolve(instance, instance.whole)
    assert len(columns.units) == 1
    dual = Lagrangian(coupled(instance, columns, limits_of(instance)).coupled)
    prices = np.array([0.0002, 0.0001, 0, 0])
    counts = round_units(dual, np.array([2.4, 2.4, 1.2, 0]), prices, 0.0)
    assert counts is not None
    assert counts.tolist() == [2, 2, 2, 0]
    assert violations(instance, disaggregate(instance, columns, counts), {}) == ()


def test_nothing_that_may_move_is_no_answer_and_no_crash() -> None:
    """Three alike volumes of which no half may be moved: the share stays broken, so None."""
    rows = [row(f"p{n}", f"0.000{n + 1}") for n in range(2)]
    document = demanded(
        *(volume(f"v{n}", 10) for n in range(3)), policy={"max_provider_share": 0.5}
    )
    assert repair(instance_of(document, rows))[2] is None
