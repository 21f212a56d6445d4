"""Plans in which volumes share a disk, made by hand from plans in which they do not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from planner.units import usd_hr

if TYPE_CHECKING:
    from planner.plans.plan import Plan


def packed(plan: Plan, *names: str) -> Plan:
    """Return a plan with the first replicas of volumes on one disk, each with what it had."""
    together = [p for p in plan.placements if p.volume in names and p.replica == 1]
    size_gb = sum(placement.provision_gb for placement in together)
    places = {(p.provider, p.data_center, p.usd_gb_hr) for p in together}
    assert len(places) == 1
    shared = {
        (one.volume, one.replica): replace(
            one,
            disk_group=tuple(placement.volume for placement in together),
            disk_sizes_gb=(size_gb,),
            usd_hr=usd_hr(one.provision_gb, one.usd_gb_hr),
        )
        for one in together
    }
    placements = [shared.get((one.volume, one.replica), one) for one in plan.placements]
    return replace(plan, placements=tuple(placements))
