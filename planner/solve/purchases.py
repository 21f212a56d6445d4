"""What a schedule buys, in the words of the plan: placements now, and tenures later."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from planner.market.offers import KEY, disk_sizes_gb
from planner.solve.packed_volumes import shares_gb
from planner.solve.solution import Placement, kept_placement
from planner.solve.tenures import Tenure
from planner.units import split_usd, usd_hr

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from planner.demand.model import Volume
    from planner.solve.existing import Kept
    from planner.solve.timeline import Stay, Stays, Timeline


def purchases(line: Timeline, stays: Stays) -> tuple[tuple[Placement, ...], tuple[Tenure, ...]]:
    """Return what is there now and what is bought later, replica by replica.

    What is kept has its number; what is bought takes the numbers that are left, by create key.
    """
    rows, live = line.months[0].facts.rows, line.horizon * line.offers
    places = [{name: row[name] for name in ("offer_id", *KEY, "region")} for row in rows]
    now: dict[str, list[Placement]] = {volume.name: [] for volume in line.asked.volumes}
    later: dict[str, list[Tenure]] = {name: [] for name in now}
    for v in range(len(line.demand.volumes)):
        members, paths = line.members(v), _paths(line, stays[v])
        group = tuple(each.name for each in members) if len(members) > 1 else None
        for m, volume in enumerate(members):
            for replica, path in _numbered(line, volume, paths):
                for stay in path:
                    if stay.choice >= live:
                        now[volume.name].append(_kept(line, members, m, stay))
                        continue
                    o, month = divmod(stay.choice, line.horizon)
                    row, pairs = rows[o], line.months[month]
                    size_gb, disks = pairs.provision_gb[v, o], pairs.disks[v, o]
                    share_gb = size_gb
                    if group is not None:
                        needs = [each.need_at(month) for each in members]
                        share_gb = shares_gb(needs, size_gb)[m]
                    grid = row["min_gb"], row["step_gb"]
                    bought: dict[str, Any] = {
                        "volume": volume.name,
                        "replica": replica,
                        **places[o],
                        "disk_sizes_gb": disk_sizes_gb(size_gb, disks, *grid),
                        "usd_hr": usd_hr(share_gb, row["usd_gb_hr"]),
                        "disk_group": group,
                    }
                    if stay.start:
                        bought["share_gb"] = None if group is None else share_gb
                        disk = Tenure(stay.start, stay.end, action="replace", **bought)
                        later[volume.name].append(disk)
                        continue
                    placement = Placement(
                        action="create",
                        **bought,
                        provision_gb=share_gb,
                        usd_gb_hr=row["usd_gb_hr"],
                        owner=volume.owner,
                        tags=dict(volume.tags),
                    )
                    now[volume.name].append(placement)
    return tuple(chain(*now.values())), tuple(chain(*later.values()))


def _numbered(
    line: Timeline, volume: Volume, paths: Sequence[list[Stay]]
) -> Iterator[tuple[int, list[Stay]]]:
    """Yield the paths of a volume's replicas, with their numbers, in order."""
    live = [_existing(line, volume, path[0]) for path in paths]
    taken = {each.replica for each in live if each is not None}
    free = iter(r for r in range(1, len(paths) + 1) if r not in taken)
    numbers = [next(free) if each is None else each.replica for each in live]
    yield from sorted(zip(numbers, paths, strict=True))


def _existing(line: Timeline, volume: Volume, stay: Stay) -> Kept | None:
    """Return the live disk that a stay is to a volume; None where it is bought."""
    number = stay.choice - line.horizon * line.offers
    if number < 0:
        return None
    ids = line.kept[number].disk_ids
    return next(
        each for each in line.existing if (each.volume, each.disk_ids) == (volume.name, ids)
    )


def _kept(line: Timeline, members: Sequence[Volume], m: int, stay: Stay) -> Placement:
    """Return a live disk as a placement; of a shared one, what each volume has to the end."""
    existing = _existing(line, members[m], stay)
    if existing is None:
        raise ValueError("the disk does not exist yet")
    if len(members) > 1:
        needs = [each.held_gb(stay.end - 1) for each in members]
        shares = shares_gb(needs, sum(existing.sizes_gb))
        cost = split_usd(line.usd_hr(0, stay.choice), shares)[m]
        existing = replace(existing, share_gb=shares[m], usd_hr=cost)
    region = line.instance.pairs.facts.rows[stay.choice]["region"]
    return kept_placement(existing, members[m], region)


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
