"""Plans made by hand: what a choice of offers and GPUs would be as placements and rentals."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd

from planner.market.gpus import gpus_frame
from planner.market.offers import disk_sizes_gb
from planner.solve.rentals import Gpu
from planner.solve.solution import Placement
from planner.units import averaged_usd_hr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planner.demand.model import Demand, Volume

KEY = ("provider", "cloud_id", "data_center", "country")


def listings(gpus: Sequence[Any], nodes: Sequence[Any]) -> pd.DataFrame:
    return pd.concat([gpus_frame(gpus), gpus_frame(nodes, listing="multi-node")], ignore_index=True)


def place(volume: Volume, replica: int, offer: dict[str, Any]) -> Placement:
    """Return the placement at an offer, as it should be bought if it were allowed."""
    low, step, high = offer["min_gb"], offer["step_gb"], offer["max_gb"]
    disks = 1 if high is None else -(-volume.need_gb // (low + (high - low) // step * step))
    steps = max(-(-(volume.need_gb - disks * low) // step), 0 if low else disks)
    sizes = disk_sizes_gb(disks * low + steps * step, disks, low, step)
    named = (*KEY, "offer_id", "region", "usd_gb_hr")
    return Placement(
        volume=volume.name,
        replica=replica,
        action="create",
        **{name: offer[name] for name in named},
        disk_sizes_gb=sizes,
        provision_gb=sum(sizes),
        usd_hr=sum(sizes) * offer["usd_gb_hr"],
        owner=volume.owner,
    )


def rent(demand: Demand, index: int, row: dict[str, Any]) -> Gpu:
    """Return the GPU of a workload, as it should be rented if it were allowed."""
    workload = demand.workloads[index]
    usd_hr_on = (row["usd_hr"] or Decimal(1)) * workload.nodes
    hours = demand.hours_of(workload)
    named = ("offer_id", "provider", "cloud_id", "gpu_type", "gpus", "socket", "security")
    return Gpu(
        workload=workload.name,
        **{name: row[name] for name in (*named, "data_center", "country", "region")},
        nodes=workload.nodes,
        spot=row["spot"] is True,
        hours_per_month=hours,
        usd_hr_on=usd_hr_on,
        usd_hr=averaged_usd_hr(usd_hr_on * hours, demand.policy.hours_per_month),
    )


def key(offer: dict[str, Any]) -> list[tuple[bool, str]]:
    return [(offer[name] is not None, offer[name] or "") for name in KEY]
