"""When pods cannot mount what jobs need: which requirements conflict, and what would help."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner.demand.read import demand_from
from planner.errors import Infeasible
from planner.market.gpus import gpus_frame
from planner.market.offers import offers_frame
from tests.market.rows import disk, gpu

if TYPE_CHECKING:
    from planner import Demand, Plan

SIZES = {"a": 100, "b": 250, "c": 301}


def demand(
    mounts: str, *, policy: dict[str, Any] | None = None, groups: Any = (), **fields: Any
) -> Demand:
    """Return three volumes and a job that mounts some, where a pod mounts one disk."""
    job = {"name": "job", "gpu": "H100_80GB", "mounts": [*mounts]}
    document = {
        "version": 1,
        "volumes": [{"name": name, "size_gb": gb, **fields} for name, gb in SIZES.items()],
        "workloads": [job] if mounts else [],
        "groups": groups,
        "policy": {"attach_limits": {"alpha": 1}, **(policy or {})},
    }
    return demand_from(document)


def made(asked: Demand, **spec: Any) -> Plan:
    """Plan on one offer and one GPU beside it."""
    return planner.plan(asked, offers_frame([disk(spec=spec)]), gpus_frame([gpu()]))


def why_not(asked: Demand, **spec: Any) -> Infeasible:
    """Return why there is no plan; every change that is offered costs what it says."""
    with pytest.raises(Infeasible) as caught:
        made(asked, **spec)
    for relaxation in caught.value.relaxations:
        total = made(relaxation.demand, **spec).totals["usd_month"]
        assert Decimal(str(total)) == relaxation.usd_month
    return caught.value


@pytest.mark.slow
def test_a_volume_in_two_disks_needs_a_pod_that_mounts_two() -> None:
    """The limit conflicts with the mount, and is raised to what is needed and no further."""
    why = why_not(demand("c", max_disks=2), maxCount=300)
    assert [(one["field"], one["value"]) for one in why.conflicts] == [
        ("attach_limits", 1),
        ("mounts", "c"),
    ]
    (only,) = why.relaxations
    assert only.text == "write `attach_limits: {alpha: 2}` if one pod there can mount 2 disks"
    assert only.demand.policy.attach_limits == {"alpha": 2}
    (change,) = only.changes
    assert (change["provider"], change["from"], change["to"]) == ("alpha", 1, 2)


def test_more_disks_and_a_pod_that_mounts_them_are_proposed_together() -> None:
    """Neither helps alone: one disk is too small, and a pod mounts no second one."""
    (only,) = why_not(demand("c"), maxCount=300).relaxations
    assert only.text == (
        "raise `max_disks` to 2 on c; "
        "write `attach_limits: {alpha: 2}` if one pod there can mount 2 disks"
    )


@pytest.mark.slow
def test_packing_that_is_ruled_out_is_one_of_the_ways() -> None:
    why = why_not(demand("ab", policy={"packing": "never"}))
    assert {one["field"] for one in why.conflicts} == {"attach_limits", "packing", "mounts"}
    assert [one.text for one in why.relaxations] == [
        "use `packing: auto`: volumes of a job may share a disk",
        "write `attach_limits: {alpha: 2}` if one pod there can mount 2 disks",
    ]


@pytest.mark.slow
def test_what_no_disk_can_hold_together_needs_more_disks() -> None:
    """Of 100, 250 and 301 GB, disks of 360 GB hold the first two together: two disks are needed."""
    (only,) = why_not(demand("abc"), maxCount=360).relaxations
    assert only.demand.policy.attach_limits == {"alpha": 2}
    (three,) = why_not(demand("abc"), maxCount=310).relaxations
    assert three.demand.policy.attach_limits == {"alpha": 3}


def test_a_group_that_fits_on_no_disk_can_be_dropped() -> None:
    groups = [{"volumes": ["a", "c"], "same": "disk"}]
    why = why_not(demand("", groups=groups), maxCount=310)
    assert "its group is to be on one disk" in str(why)
    assert [one.text for one in why.relaxations] == ["drop the group a, c (same disk)"]


def test_the_rest_of_a_plan_says_what_packing_and_limits_mean_for_it() -> None:
    """An offer where volumes share a disk is possible, and so is another price for it."""
    rows = [disk(), disk(dataCenter="A-2", cloudId="two", spec={"pricePerUnit": Decimal("0.0003")})]
    gpus = [gpu(), gpu(dataCenter="A-2", cloudId="a2")]
    plan = planner.plan(demand("ab"), offers_frame(rows), gpus_frame(gpus))
    assert {placement.disk_group for placement in plan.placements} == {("a", "b"), None}
    offers = planner.explain(plan).offers
    elsewhere = offers[(offers["volume"] == "a") & ~offers["chosen"]]
    # Both volumes of the disk go there together: 350 GB at 0.0002 more, for 730 hours.
    assert [round(float(usd), 6) for usd in elsewhere["extra_usd_month"]] == [51.1]
    assert set(offers["rules"]) == {()}


@pytest.mark.slow
def test_a_sweep_has_volumes_share_disks_where_they_have_to() -> None:
    """With the documented limit, without packing, and where the demand knows better."""
    plan = planner.plan(
        planner.read_demand("shipped:finetune"),
        planner.read_offers("shipped:disk-offers"),
        planner.read_gpus("shipped:gpu-offers"),
    )
    packing = plan.what_if(packing=["auto", "never"])
    assert packing["feasible"].tolist() == [True, False]
    pods = plan.what_if(attach_limits=[{"runpod": 1}, {"runpod": 2}])
    assert pods["disks"].tolist() == [2, 3]
    assert len({*pods["usd_month"]}) == 1
