"""Rounding under limits on sums: whole replicas, every unit placed, and no sum above its limit."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from planner.solve.decompose import disaggregate
from planner.solve.heuristic import round_relaxation
from planner.solve.model import Outcome, Program
from planner.solve.presolve import Columns, presolve
from tests.solve.hand import demanded, instance_of, row, violations, volume

if TYPE_CHECKING:
    from planner.solve.problem import Instance


def relaxed(instance: Instance) -> tuple[Columns, Outcome]:
    columns = presolve(instance, instance.whole)
    program = Program(instance, instance.whole, columns, relaxed=True)
    return columns, program.cheapest(time_limit_s=None)


def repair(instance: Instance, near: float = 1e-6) -> tuple[Columns, Outcome, Any]:
    columns, ideal = relaxed(instance)
    assert ideal.values is not None
    assert ideal.reduced is not None
    assert ideal.bound_usd_hr is not None
    limit = ideal.bound_usd_hr * (1 + near)
    return (
        columns,
        ideal,
        round_relaxation(instance, instance.whole, columns, ideal.values, ideal.reduced, limit),
    )


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


def test_groups_move_as_one_and_every_limit_is_kept() -> None:
    """A share, an owner's budget and a cap of disks bind, and the groups stay together."""
    free = grouped(1)
    least = free.least_usd_hr * free.demand.policy.hours_per_month
    budget = str((least / 2 * Decimal("1.2")).quantize(Decimal("0.01")))
    instance = grouped(1, max_provider_share=0.3, budgets={"ada": budget}, max_disks_per_site=6)
    columns, ideal, counts = repair(instance, near=1e-9)
    assert counts is not None
    chosen = disaggregate(instance, columns, counts)
    assert violations(instance, chosen, {}) == ()
    assert instance.holds(instance.whole, chosen)
    assert ideal.bound_usd_hr is not None
    assert float(instance.disk_usd_hr(chosen)) <= ideal.bound_usd_hr * 1.01


@pytest.mark.slow
def test_whole_counts_keep_the_share_and_come_near_the_bound() -> None:
    """Every replica has one place, the independent check agrees, and little is lost."""
    for seed in range(6):
        instance = fleet(seed, max_provider_share=0.3)
        columns, ideal, counts = repair(instance)
        assert counts is not None, seed
        placed = np.bincount(columns.unit, weights=counts, minlength=len(columns.units))
        assert placed.tolist() == [unit.count for unit in columns.units]
        assert (counts >= 0).all()
        chosen = disaggregate(instance, columns, counts)
        assert violations(instance, chosen, {}) == ()
        assert ideal.bound_usd_hr is not None
        cost = float(instance.disk_usd_hr(chosen))
        assert ideal.bound_usd_hr * (1 - 1e-9) <= cost <= ideal.bound_usd_hr * 1.001


def test_the_same_relaxation_is_rounded_the_same() -> None:
    """Its random starts have a seed of their own: two runs are one."""
    instance = fleet(1, max_provider_share=0.3)
    assert np.array_equal(repair(instance)[2], repair(instance)[2])


def test_without_a_limit_on_sums_there_is_nothing_to_repair() -> None:
    """It knows shares, budgets and caps of disks, and says nothing where none is asked."""
    assert repair(fleet(1, max_providers=2))[2] is None


def test_split_copies_of_volumes_that_are_alike_are_rounded_apart() -> None:
    """Six copies of three volumes, of which no provider has two of one: two at each of three."""
    rows = [row(f"p{n}", f"0.000{n + 1}") for n in range(4)]
    volumes = [volume(f"v{n}", 10, replicas=2, spread="provider") for n in range(3)]
    instance = instance_of(demanded(*volumes, policy={"max_provider_share": 0.4}), rows)
    columns, ideal = relaxed(instance)
    assert len(columns.units) == 1
    assert ideal.values is not None
    assert (np.abs(ideal.values - np.rint(ideal.values)) > 0.1).any()
    counts = repair(instance)[2]
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
