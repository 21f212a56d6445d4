"""Existing disks that volumes share: they stay, or go, for all of these volumes."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from planner.errors import Infeasible
from planner.plans.explain import explain
from tests.solve.live_disks import disk, gpu, plan

if TYPE_CHECKING:
    from planner import Plan

SHARED = {("a", 1): ("disk-0ab",), ("b", 1): ("disk-0ab",)}


def made(names: str, mounts: str) -> Plan:
    """Plan volumes of which a and b share a disk, and a job whose pods mount one disk."""
    job = {"name": "job", "gpu": "H100_80GB", "hours_per_month": 10, "mounts": [*mounts]}
    return plan(
        [{"name": name} for name in names],
        disk("disk-0ab", 200),
        recorded=SHARED,
        gpus=[gpu("alpha", "1"), gpu("beta", "1")],
        workloads=[job],
        policy={"attach_limits": {"alpha": 1, "beta": 1}},
    )


def test_a_shared_disk_stays_and_counts_once() -> None:
    kept = made("ab", "ab")
    assert [(p.action, p.disk_group, p.provision_gb) for p in kept.placements] == [
        ("keep", ("a", "b"), 100),
        ("keep", ("a", "b"), 100),
    ]
    assert sum(p.usd_hr for p in kept.placements) == Decimal("0.02")
    assert not kept.requests


def test_a_third_volume_of_the_job_does_not_fit_on_it() -> None:
    """It is released for both volumes at once, and then all three share a new one."""
    with pytest.raises(Infeasible) as caught:
        made("abc", "abc")
    message = str(caught.value)
    assert "no plan keeps the disks disk-0ab where they are" in message
    assert "without disk-0ab for a + b: $31.90/month" in message  # 300 GB for 730 h, and 10 h


def test_a_shared_disk_is_moved_for_all_of_its_volumes() -> None:
    """200 GB at the market's price cost half of what the disk does."""
    apart = plan(
        [{"name": "a"}, {"name": "b", "providers": ["alpha"]}],
        disk("disk-0ab", 200, usd_hr="0.04"),
        recorded=SHARED,
    ).moving()
    assert apart is not None
    assert apart.disk_ids == ("disk-0ab",)
    assert apart.saves_usd_month == Decimal("0.02") * 730


def test_a_shared_disk_is_one_row_of_the_prices() -> None:
    """It is listed for its first volume, not once more for each of the others."""
    answers = explain(made("ab", "ab"))
    assert answers.prices["offer_id"].tolist().count("disk-0ab") == 1
    assert answers.choices["offer_id"].tolist() == ["disk-0ab", "disk-0ab"]


@pytest.mark.slow
def test_what_a_pod_can_mount_is_a_requirement_with_a_cost() -> None:
    """Two volumes on one disk of a pod at beta; two pods' worth of disks are cheaper at alpha."""
    job = {"name": "job", "gpu": "H100_80GB", "hours_per_month": 10, "mounts": ["a", "b"]}
    plans = plan(
        [{"name": "a"}, {"name": "b"}],
        gpus=[gpu("alpha", "1"), gpu("beta", "3")],
        workloads=[job],
        policy={"attach_limits": {"alpha": 1}, "packing": "never"},
    )
    asked = explain(plans).requirements.set_index("requirement")["saves_usd_month"]
    assert asked["policy attach_limits: {alpha: 1}"] > 0
