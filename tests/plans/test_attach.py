"""Attach limits: a plan keeps to those that are known, and says where one is unknown or old."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner.demand.read import demand_from
from planner.errors import Infeasible
from planner.market.gpus import gpus_frame
from planner.market.offers import offers_frame
from tests.market.rows import disk, gpu

if TYPE_CHECKING:
    from planner import Plan

NOW = datetime(2026, 11, 27, tzinfo=UTC)
LATE = datetime(2028, 1, 1, tzinfo=UTC)
SIZES = {"a": 100, "b": 200, "c": 300}


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


def groups(made: Plan) -> list[tuple[str, ...] | None]:
    """Return the volumes with which each volume shares its disk."""
    return [placement.disk_group for placement in made.placements]


def test_a_documented_limit_is_kept_to_without_a_warning() -> None:
    """The volumes of the job share a disk; the third, which it does not mount, has its own."""
    made = plan("runpod", "a", "c")
    assert groups(made) == [("a", "c"), None, ("a", "c")]
    assert made.warnings == ()


@pytest.mark.sweep
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


@pytest.mark.slow
def test_a_stated_limit_can_be_stricter_than_the_fact() -> None:
    """What the demand says is what counts, in both directions."""
    stricter = plan("crusoecloud", "a", "b", policy={"attach_limits": {"crusoecloud": 1}})
    assert groups(stricter) == [("a", "b"), ("a", "b"), None]
    assert groups(plan("runpod", "a", "b", policy={"attach_limits": {"runpod": 2}})) == [None] * 3


@pytest.mark.slow
def test_a_volume_in_several_disks_counts_each_of_them() -> None:
    """A volume split in two cannot be mounted by a pod that mounts one disk."""
    with pytest.raises(Infeasible):
        plan("runpod", "c", max_disks=2)


def test_an_unknown_limit_is_one_warning() -> None:
    """However many jobs mount several disks there."""
    (said,) = plan("alpha", "a", "b", jobs=2).warnings
    assert said == (
        "how many disks one pod can mount at alpha is unknown; check it before you buy "
        "(job-1 (2 disks), job-2 (2 disks))"
    )


@pytest.mark.slow
def test_an_old_fact_says_so_where_it_matters() -> None:
    """A year after its source was read, where it decides what shares a disk, and where not."""
    (decides,) = plan("runpod", "a", "b", now=LATE).warnings
    assert decides.startswith("one pod at runpod can mount 1 disk, read on 2026-08-01, over a year")
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


@pytest.mark.slow
def test_very_many_volumes_are_not_tried_in_every_way_and_the_plan_says_so() -> None:
    """On pods that mount several disks; where all must be on one disk there is one way only."""
    volumes = [{"name": f"v-{n}", "size_gb": 10} for n in range(9)]
    job = {"name": "job", "gpu": "H100_80GB", "mounts": [volume["name"] for volume in volumes]}
    offers, gpus = offers_frame([disk(provider="alpha")]), gpus_frame([gpu(provider="alpha")])

    def made(limit: int) -> Plan:
        document = {
            "version": 1,
            "volumes": volumes,
            "workloads": [job],
            "policy": {"attach_limits": {"alpha": limit}},
        }
        return planner.plan(demand_from(document), offers, gpus, now=NOW)

    plan = made(3)
    (said,) = plan.warnings
    assert said.startswith("too many volumes to try every way of sharing disks (job): only")
    assert "among the ways of sharing disks that were tried" in str(plan.summary().notes)
    for plan in (made(1), made(9)):
        assert plan.warnings == ()
        assert "that were tried" not in str(plan.summary().notes)
