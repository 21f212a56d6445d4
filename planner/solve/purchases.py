"""What a schedule buys, in the words of the plan: placements now, and tenures later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from planner.market.offers import KEY, disk_sizes_gb
from planner.solve.solution import Placement, kept_placement
from planner.solve.tenures import Tenure
from planner.units import usd_hr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planner.solve.timeline import Stay, Stays, Timeline


def purchases(line: Timeline, stays: Stays) -> tuple[tuple[Placement, ...], tuple[Tenure, ...]]:
    """Return what is there now and what is bought later, replica by replica.

    What is kept has its number; what is bought takes the numbers that are left, by create key.
    """
    rows, live = line.months[0].facts.rows, line.horizon * line.offers
    now: list[Placement] = []
    later: list[Tenure] = []
    for v, volume in enumerate(line.demand.volumes):
        for replica, path in enumerate(_paths(line, stays[v]), 1):
            for stay in path:
                if stay.choice >= live:
                    existing = line.kept[stay.choice - live]
                    region = line.instance.pairs.facts.rows[stay.choice]["region"]
                    now.append(kept_placement(existing, volume, region))
                    continue
                o, month = divmod(stay.choice, line.horizon)
                row, pairs = rows[o], line.months[month]
                size_gb, disks = int(pairs.provision_gb[v, o]), int(pairs.disks[v, o])
                bought: dict[str, Any] = {
                    "volume": volume.name,
                    "replica": replica,
                    **{name: row[name] for name in ("offer_id", *KEY, "region")},
                    "disk_sizes_gb": disk_sizes_gb(size_gb, disks, row["min_gb"], row["step_gb"]),
                    "usd_hr": usd_hr(size_gb, row["usd_gb_hr"]),
                }
                if stay.start:
                    later.append(Tenure(stay.start, stay.end, action="replace", **bought))
                    continue
                now.append(
                    Placement(
                        action="create",
                        **bought,
                        provision_gb=size_gb,
                        usd_gb_hr=row["usd_gb_hr"],
                        owner=volume.owner,
                        tags=dict(volume.tags),
                    )
                )
    return tuple(now), tuple(later)


def _paths(line: Timeline, stays: Sequence[Stay]) -> list[list[Stay]]:
    """Return the stays of each replica: what begins where one ends, at the same offer if it can."""
    live = line.horizon * line.offers
    begin = sorted((stay for stay in stays if not stay.start), key=lambda stay: stay.choice)
    kept = {line.kept[stay.choice - live].replica: stay for stay in begin if stay.choice >= live}
    new = iter(stay for stay in begin if stay.choice < live)
    paths = [[kept[r] if r in kept else next(new)] for r in range(1, len(begin) + 1)]
    months: dict[int, list[Stay]] = {}
    for stay in sorted(stays):
        if stay.start:
            months.setdefault(stay.start, []).append(stay)
    for month, later in months.items():
        ended = [path for path in paths if path[-1].end == month]
        for same in (True, False):
            for stay in [*later]:
                offer = stay.choice // line.horizon
                free = (p for p in ended if not same or p[-1].choice // line.horizon == offer)
                path = next(free, None)
                if path is not None:
                    path.append(stay)
                    ended.remove(path)
                    later.remove(stay)
    return paths
