"""Months of growth: planned, applied, killed and applied again, retired, and reported."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner.demand.growth import grown
from planner.demand.read import demand_from
from planner.project.journal import Journal
from planner.reports.holdings import account_holdings
from tests.project.test_replace import make_active, retired
from tests.project.world import Killed, World, planned_live

if TYPE_CHECKING:
    from pathlib import Path

    from planner.plans.plan import Plan

MONTHS, DAYS = 4, 31
GROWTH = {"corpus": (600, "20%/month"), "logs": (100, "150 GB/month")}
PRICE_HR = Decimal("0.0001")


def planned(world: World, folder: Path, month: int) -> Plan:
    """Plan what the volumes hold by then, on one disk, and three months more."""
    volumes: list[dict[str, Any]] = []
    for name, (size, growth) in GROWTH.items():
        held = grown(size, growth, month - 1) if month else size
        volumes.append({"name": name, "size_gb": held, "growth": growth})
    document = {
        "version": 1,
        "project": "lab",
        "volumes": volumes,
        "groups": [{"volumes": ["corpus", "logs"], "same": "disk"}],
        "policy": {"horizon": 3},
    }
    return planned_live(world, folder, demand_from(document), f"nonce-{month}")


def lived(world: World, folder: Path, kill: int | None = None) -> list[int]:
    """Live through the months; return the size of the disk in each.

    ``kill`` is the step of each `apply` at which it is killed; then it is run again.
    """
    sizes = []
    for month in range(MONTHS):
        plan = planned(world, folder, month)
        world.kill_at = None if kill is None else world.steps + kill
        while True:
            try:
                outcome = world.apply(folder, plan)
            except Killed:
                world.kill_at = None
                world.clock.sleep(1)
                continue
            if outcome.exit_code == 0:
                break
            world.clock.sleep(1200)
        world.kill_at = None
        make_active(world)
        retired(world, folder)
        (disk,) = world.live
        sizes.append(disk.size_gb)
        assert disk.size_gb == sum({each.disk_sizes_gb for each in plan.placements}.pop())
        world.clock.sleep(timedelta(days=DAYS).total_seconds())
    return sizes


@pytest.mark.slow
def test_months_of_growth_are_the_same_wherever_apply_is_killed(tmp_path: Path) -> None:
    """One disk lives after each month, as large as planned; and no disk is bought twice."""
    world = World()
    sizes = lived(world, tmp_path / "whole")
    bought = len(world.disks)
    assert bought == len(set(sizes)) > 2
    for kill in (3, 11, 17, 25):
        world = World()
        assert lived(world, tmp_path / str(kill), kill) == sizes
        assert world.killed
        assert len(world.disks) == bought


@pytest.mark.slow
def test_months_of_growth_are_billed_by_volume(tmp_path: Path) -> None:
    """What a month cost is the price of every hour of its disks, divided between the volumes."""
    world = World()
    lived(world, tmp_path, kill=9)
    with world.account() as account, Journal(tmp_path, write=False) as journal:
        now = world.clock.now()
        there = account_holdings(account, now)
        records = list(journal.records)
    usd = Decimal(0)
    for number in range(1, 6):
        made = planner.report(None, there, month=f"2026-0{number}", records=records, now=now)
        assert {one.line.volume for one in made.lines} <= {"corpus", "logs"}
        usd += made.total.usd
    due = Decimal(0)
    for disk in world.disks.values():
        end = disk.terminated_us or round(now.timestamp() * 10**6)
        due += PRICE_HR * disk.size_gb * Decimal(end - disk.created_us) / 3_600_000_000
    assert abs(usd - due) < Decimal("0.01")
