"""The independent check, third part: disks that volumes share, and what one pod can mount.

Written against the words of the design, on single placements and rows; no line is shared with the
program or with what prepares it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from planner.demand.model import Demand, Volume, Workload
    from planner.solve.rentals import Gpu
    from planner.solve.solution import Placement

Row = dict[str, Any]


@dataclass(frozen=True)
class Scene:
    """What shared disks are held against.

    Attributes
    ----------
    demand : Demand
        What was asked.
    placed : sequence of (Placement, Row)
        What was chosen, each with its offer, or for a live disk with its place.
    needs : mapping
        (volume, replica) → the month until which its disk is there, and what it has to hold, in GB.
    sold : mapping
        (provider, cloud_id, data_center, country) → the market's offers there.
    allows : function
        Whether a volume may be at an offer.
    fewest : function
        How few disks a volume alone needs at an offer; None where it cannot be there.
    reaches : function
        Whether a job on a GPU offer can mount a volume from a place.
    """

    demand: Demand
    placed: Sequence[tuple[Placement, Row]]
    needs: Mapping[tuple[str, int], tuple[int, int]]
    sold: Mapping[tuple[Any, ...], Sequence[Row]]
    allows: Callable[[Volume, Row], bool]
    fewest: Callable[[Volume, Row], int | None]
    reaches: Callable[[Workload, str, Row, Row], bool]

    @property
    def placements(self) -> list[Placement]:
        """Return what was chosen."""
        return [placement for placement, _ in self.placed]


def key_of(placement: Placement) -> tuple[Any, ...]:
    """Return the create key of a placement."""
    named = ("provider", "cloud_id", "data_center", "country")
    return tuple(getattr(placement, name) for name in named)


def shared_disks(scene: Scene) -> Iterator[str]:
    """Yield where placements that share a disk do not fit together, or are not one disk."""
    names = [volume.name for volume in scene.demand.volumes]
    together: dict[Any, list[tuple[Placement, Row]]] = defaultdict(list)
    for placement, offer in scene.placed:
        group = placement.disk_group
        if group is None:
            continue
        who = f"{placement.volume} replica {placement.replica}"
        in_order = [name for name in names if name in group]
        if list(group) != in_order or len(group) < 2 or placement.volume not in group:  # noqa: PLR2004
            yield f"{who}: its disk_group is not itself and other volumes in the demand's order"
            continue
        end, _ = scene.needs[placement.volume, placement.replica]
        disk = placement.disk_ids or (key_of(placement), placement.offer_id, end)
        together[group, disk, placement.disk_sizes_gb].append((placement, offer))
    for (group, _, sizes), placed in together.items():
        members = [placement for placement, _ in placed]
        who = f"the disk of {', '.join(group)}"
        times = Counter(placement.volume for placement in members)
        if len({times[name] for name in group}) > 1:
            yield f"{who}: not all of them are on it equally often"
        elif len(sizes) != 1:
            yield f"{who}: it is {len(sizes)} disks, not one"
        elif not members[0].disk_ids:
            yield from (f"{who}: {wrong}" for wrong in _new_disk(scene, placed, sizes[0]))


def _new_disk(scene: Scene, placed: Sequence[tuple[Placement, Row]], size_gb: int) -> Iterator[str]:
    first, offer = placed[0]
    group, listed = first.disk_group or (), scene.sold.get(key_of(first), ())
    volumes = [volume for volume in scene.demand.volumes if volume.name in group]
    held = {each.volume: scene.needs[each.volume, each.replica][1] for each, _ in placed}
    needs = [held[volume.name] for volume in volumes]
    largest = needs.index(max(needs))
    due = {volume.name: need for volume, need in zip(volumes, needs, strict=True)}
    due[volumes[largest].name] += size_gb - sum(needs)
    for placement, _ in placed:
        if placement.provision_gb != due[placement.volume]:
            yield f"the share of {placement.volume} is not {due[placement.volume]} GB"
    least = _least_size(sum(needs), offer)
    if size_gb != least:
        yield f"its size is {size_gb} GB, and {least} GB are the least that holds them"
    for other in listed:
        size = _least_size(sum(needs), other)
        dearer = size is not None and other["usd_gb_hr"] is not None and offer["usd_gb_hr"]
        if (
            dearer
            and (other["multinode"] is True or offer["multinode"] is not True)
            and all(scene.allows(volume, other) for volume in volumes)
            and (size or 0) * other["usd_gb_hr"] < size_gb * offer["usd_gb_hr"]
        ):
            yield "another size of the same place holds them for less"


def _least_size(need_gb: int, offer: Row) -> int | None:
    """Return the smallest disk of an offer that holds so much; None where none does."""
    low, step, high = offer["min_gb"], offer["step_gb"], offer["max_gb"]
    least: int = low if low >= 1 else step
    size = least + max(0, -(-(need_gb - least) // step)) * step
    return size if high is None or size <= high else None


def one_disk_groups(demand: Demand) -> list[set[str]]:
    """Return the volumes that groups want on one disk; groups with a common volume are one."""
    joined: list[set[str]] = []
    for group in demand.groups:
        if group.same == "disk":
            mine = {*group.volumes}
            apart = [other for other in joined if mine.isdisjoint(other)]
            mine.update(*(other for other in joined if not mine.isdisjoint(other)))
            joined = [*apart, mine]
    return joined


def groups(scene: Scene) -> Iterator[str]:
    """Yield the volumes that a group wants on one disk and that are not."""
    for wanted in one_disk_groups(scene.demand):
        for placement in scene.placements:
            if placement.volume in wanted and not wanted <= {*(placement.disk_group or ())}:
                who = f"{placement.volume} replica {placement.replica}"
                yield f"{who}: it is not on one disk with {', '.join(sorted(wanted))}"


def pods(
    scene: Scene,
    limits: Mapping[str, int],
    rented: Sequence[tuple[Gpu, Sequence[Row]]],
    *,
    justified: bool,
) -> Iterator[str]:
    """Yield the jobs whose pods mount too many disks, and shared disks that no job needs.

    Parameters
    ----------
    limits : mapping
        How many disks one pod can mount, by provider; a provider that is not there has no limit.
    rented : sequence of (Gpu, sequence of Row)
        What jobs run on, and the rows of the market that it may be.
    justified : bool
        Whether every shared disk has to be needed.
    """
    jobs = {workload.name: workload for workload in scene.demand.workloads}
    needing: list[tuple[set[str], Row]] = []
    for gpu, rows in rented:
        workload = jobs.get(gpu.workload)
        limit = limits.get(gpu.provider)
        if workload is None or limit is None:
            continue
        mounted = min((n for row in rows if (n := _mounted(scene, workload, row))), default=0)
        if mounted > limit:
            yield (
                f"workload {workload.name}: {mounted} disks at {gpu.provider}, where one pod can "
                f"mount {limit}"
            )
        if scene.demand.policy.packing == "auto":
            many = (row for row in rows if _separate(scene, workload, row) > limit)
            needing += (({*workload.mounts}, row) for row in many)
    if justified:
        yield from _unneeded(scene, needing)


def _mounted(scene: Scene, workload: Workload, gpu: Row) -> int | None:
    """Return on how few disks a job has one replica of each volume; None where one is missing."""
    options: list[dict[Any, int]] = []
    for name in workload.mounts:
        here = [
            placement
            for placement, place in scene.placed
            if placement.volume == name and scene.reaches(workload, name, gpu, place)
        ]
        options.append({_disk(placement): len(placement.disk_sizes_gb) for placement in here})
    if not all(options):
        return None
    return min(
        sum(dict(chosen).values()) for chosen in product(*(each.items() for each in options))
    )


def _disk(placement: Placement) -> Any:  # noqa: ANN401 -- what is equal for one disk
    if placement.disk_ids:
        return placement.disk_ids
    if placement.disk_group is not None:
        return placement.disk_group, key_of(placement), placement.offer_id
    return placement.volume, placement.replica


def _separate(scene: Scene, workload: Workload, gpu: Row) -> int:
    """Return how many disks a job's volumes take at best where each has its own."""
    together = one_disk_groups(scene.demand)
    least: dict[Any, int] = {}
    for volume in scene.demand.volumes:
        if volume.name not in workload.mounts:
            continue
        group = next((tuple(sorted(each)) for each in together if volume.name in each), None)
        if group is not None:
            least[group] = 1
            continue
        mine = [(p, at) for p, at in scene.placed if p.volume == volume.name and p.disk_ids]
        counts: dict[Any, int] = {
            p.disk_ids: len(p.disk_ids)
            for p, place in mine
            if scene.reaches(workload, volume.name, gpu, place)
        }
        if len(mine) < volume.replicas:
            counts |= {
                (volume.name, n): disks
                for listed in scene.sold.values()
                for n, row in enumerate(listed)
                if scene.reaches(workload, volume.name, gpu, row)
                and (disks := scene.fewest(volume, row)) is not None
            }
        disk = min(counts, key=lambda each: counts[each], default=(volume.name,))
        disk = (volume.name,) if disk[0] == volume.name else disk
        least[disk] = min(counts.values(), default=1)
    return sum(least.values())


def _unneeded(scene: Scene, needing: Sequence[tuple[set[str], Row]]) -> Iterator[str]:
    wanted = one_disk_groups(scene.demand)
    for placement in scene.placements:
        group = {*(placement.disk_group or ())}
        if not group or group in wanted or placement.disk_ids or not placement.leads:
            continue
        who = f"the disk of {', '.join(placement.disk_group or ())}"
        for name in placement.disk_group or ():
            unit = next((each for each in wanted if name in each), {name})
            if not any(unit & mounts and _meets(gpu, placement) for mounts, gpu in needing):
                yield f"{who}: no job there needs {name} to share a disk"
        if not group <= _connected(scene, next(iter(group))):
            yield f"{who}: no jobs connect its volumes"


def _connected(scene: Scene, name: str) -> set[str]:
    sets = [{*workload.mounts} for workload in scene.demand.workloads]
    sets += one_disk_groups(scene.demand)
    reached = {name}
    for _ in sets:
        reached.update(*(each for each in sets if each & reached))
    return reached


def _meets(gpu: Row, placement: Placement) -> bool:
    named = ("data_center", "country")
    return gpu["provider"] == placement.provider and all(
        gpu[name] is None or getattr(placement, name) in {None, gpu[name]} for name in named
    )
