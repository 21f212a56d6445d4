"""Attach limits: a plan says first where a job mounts more disks than one pod can."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner.demand.read import demand_from
from planner.market.gpus import gpus_frame
from planner.market.offers import offers_frame
from tests.market.rows import disk, gpu

if TYPE_CHECKING:
    from planner import Plan

NOW = datetime(2026, 11, 27, tzinfo=UTC)
LATE = datetime(2028, 1, 1, tzinfo=UTC)
SIZES = {"a": 100, "b": 200, "c": 300}
CAN = "where one pod can mount"


def plan(provider: str, *mounts: str, now: datetime = NOW, jobs: int = 1, **given: Any) -> Plan:
    """Plan three volumes, of which jobs mount some, at the only site of a provider."""
    policy = {"sequential": True, **given.pop("policy", {})}
    document = {
        "version": 1,
        "volumes": [{"name": n, "size_gb": gb, **given} for n, gb in SIZES.items()],
        "workloads": [
            {"name": f"job-{i}", "gpu": "H100_80GB", "hours_per_month": 9, "mounts": [*mounts]}
            for i in range(1, jobs + 1)
        ],
        "policy": policy,
    }
    offers = offers_frame(
        [disk(provider=provider, spec={"maxCount": 100 * given.get("max_disks", 9)})]
    )
    gpus = gpus_frame([gpu(provider=provider)])
    return planner.plan(demand_from(document), offers, gpus, now=now)


def test_more_disks_than_a_pod_can_mount_is_the_first_warning() -> None:
    """The job, its volumes, the limit, and what to do."""
    first, *others = plan("runpod", "a", "c").warnings
    assert first.startswith(f"job job-1 mounts 2 disks at runpod (a, c), {CAN} 1: store them in")
    assert "`attach_limits: {runpod: 2}`" in first
    assert not any("mount" in other for other in others)


@pytest.mark.parametrize(
    ("provider", "mounts", "limits"),
    [
        ("runpod", "a", {}),  # one disk
        ("runpod", "abc", {"runpod": 3}),  # the demand knows better
        ("crusoecloud", "abc", {}),  # within the documented limit
        ("alpha", "a", {}),  # unknown, and one disk
        ("alpha", "ab", {"alpha": 2}),
    ],
)
def test_what_a_pod_can_mount_needs_no_warning(
    provider: str, mounts: str, limits: dict[str, int]
) -> None:
    """Within a documented or stated limit, and with one disk anywhere."""
    assert plan(provider, *mounts, policy={"attach_limits": limits}).warnings == ()


def test_a_stated_limit_can_be_stricter_than_the_fact() -> None:
    """What the demand says is what counts, in both directions."""
    said = plan("crusoecloud", "a", "b", policy={"attach_limits": {"crusoecloud": 1}}).warnings
    assert f"2 disks at crusoecloud (a, b), {CAN} 1" in said[0]


def test_a_volume_in_several_disks_counts_each_of_them() -> None:
    """A volume split in two cannot be mounted by a pod that mounts one disk."""
    (first, *_) = plan("runpod", "c", max_disks=2).warnings
    assert f"job-1 mounts 2 disks at runpod (c), {CAN} 1: store them in fewer disks" in first


def test_an_unknown_limit_is_one_warning() -> None:
    """However many jobs mount several disks there."""
    (said,) = plan("alpha", "a", "b", jobs=2).warnings
    assert said == (
        "how many disks one pod can mount at alpha is unknown; check it before you buy "
        "(job-1 (2 disks), job-2 (2 disks))"
    )


def test_an_old_fact_says_so_where_it_matters() -> None:
    """A year after its source was read, whether the plan exceeds the limit or keeps to it."""
    assert (
        "1 (read on 2026-08-01, over a year ago: check https://"
        in (plan("runpod", "a", "b", now=LATE).warnings[0])
    )
    (within,) = plan("crusoecloud", "a", "b", now=LATE).warnings
    assert within.startswith("one pod at crusoecloud can mount 15 disks, read on 2026-11-27, over")
    assert plan("crusoecloud", "a", now=LATE).warnings == ()


def test_a_limit_of_a_provider_that_is_not_there_is_warned_with_the_nearest() -> None:
    """A misspelt provider would leave the fact in force without a word."""
    said = plan("runpod", "a", policy={"attach_limits": {"runpd": 4}}).warnings
    assert said == ("no provider runpd in this market (attach_limits); did you mean runpod?",)


def test_the_attach_limits_of_a_demand_are_part_of_its_plan_only_where_stated() -> None:
    """Demands that state none keep the digests they had; stated ones are read back the same."""
    stated = {"version": 1, "volumes": [{"name": "x", "size_gb": 1}]}
    assert "attach_limits" not in demand_from(stated).to_document()["policy"]
    policy = {"attach_limits": {"runpod": 4, "alpha": 2, "beta": None}}
    demand = demand_from({**stated, "policy": policy})
    assert demand.to_document()["policy"]["attach_limits"] == {"alpha": 2, "runpod": 4}
    assert planner.Demand.from_document(demand.to_document()) == demand
