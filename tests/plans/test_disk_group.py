"""The field of placements that says which volumes share a disk."""

from dataclasses import replace

import planner
from planner.plans.file import values_of
from planner.plans.stored import StoredPlan


def test_a_placement_without_a_group_is_written_as_before() -> None:
    demand = planner.read_demand("shipped:minimal")
    plan = planner.plan(demand, planner.read_offers("shipped:disk-offers"))
    for placement in plan.placements:
        assert placement.leads
        assert "disk_group" not in values_of(placement)


def test_a_group_is_read_as_it_was_written() -> None:
    """The first volume leads: its disks are counted, the others' are the same ones."""
    demand = planner.read_demand("shipped:minimal")
    plan = planner.plan(demand, planner.read_offers("shipped:disk-offers"))
    first = replace(plan.placements[0], disk_group=("corpus", "logs"))
    second = replace(first, volume="logs")
    assert (first.leads, second.leads) == (True, False)
    document = {**plan.to_document(), "placements": [values_of(first), values_of(second)]}
    assert tuple(StoredPlan.model_validate(document).placements) == (first, second)
