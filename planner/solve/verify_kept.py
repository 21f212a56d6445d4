"""The independent check, third part: replicas that are said to exist already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from planner.units import quotient, total

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from planner.demand import Demand, Volume
    from planner.solve.placements import Placement

Row = dict[str, Any]
_PLACES = ("provider", "cloud_id", "data_center", "country")
_LOST = {"ERROR", "DELETING", "TERMINATED"}


def stand_in(placement: Placement, market: Sequence[Row]) -> Row:
    """Return a kept placement as an offer: its place, and the regions that the market gives it."""
    place = (placement.provider, placement.data_center, placement.country)
    regions = {
        name
        for row in market
        if (row["provider"], row["data_center"], row["country"]) == place
        for name in row["regions"]
    }
    return {**{name: getattr(placement, name) for name in _PLACES}, "regions": regions or {None}}


def problems(
    placement: Placement, volume: Volume, disks: Mapping[str, Row], offer: Row
) -> Iterator[str]:
    """Yield how a kept placement contradicts the account's disks or its volume."""
    rows = [disks[disk] for disk in placement.disk_ids if disk in disks]
    if not rows or len(rows) < len(placement.disk_ids):
        yield "the account has no such disk"
        return
    yield from _as_listed(placement, rows, offer)
    if placement.provision_gb < volume.size_gb:
        yield f"{placement.provision_gb} GB cannot hold {volume.size_gb} GB"
    if (placement.owner, placement.tags) != (volume.owner, volume.tags):
        yield "owner or tags are not the volume's"
    if volume.multinode and any(row["multinode"] is not True for row in rows):
        yield "several nodes cannot mount it"
    places = {
        "providers": {offer["provider"]},
        "data_centers": {offer["data_center"]},
        "countries": {offer["country"]},
        "regions": offer["regions"],
    }
    for word, names in places.items():
        here, allowed = names - {None}, getattr(volume, word)
        if (allowed is not None and not here <= set(allowed)) or here & set(
            getattr(volume.exclude, word)
        ):
            yield f"{word} {sorted(here)} are excluded, or not allowed"


def claims(demand: Demand, placements: Sequence[Placement]) -> Iterator[str]:
    """Yield where placements share a disk, or one is not the replica that the demand calls it."""
    named = {
        disk: (volume.name, number)
        for volume in demand.volumes
        for number, disk in enumerate(volume.disks, 1)
    }
    of_replica = {replica: disk for disk, replica in named.items()}
    taken: set[str] = set()
    for placement in placements:
        mine = (placement.volume, placement.replica)
        who = f"{placement.volume} replica {placement.replica}"
        if taken.intersection(placement.disk_ids):
            yield f"{who}: its disk is another replica already"
        taken.update(placement.disk_ids)
        if placement.action == "create" and placement.disk_ids:
            yield f"{who}: what is to be bought has an id"
        if any(named.get(disk, mine) != mine for disk in placement.disk_ids) or (
            placement.action == "keep"
            and mine in of_replica
            and placement.disk_ids != (of_replica[mine],)
        ):
            yield f"{who}: the demand names another disk for this replica"


def _as_listed(placement: Placement, rows: Sequence[Row], offer: Row) -> Iterator[str]:
    """Yield where a kept placement is not what the account says of its disks."""
    usd_hr = total(row["usd_hr"] for row in rows if row["usd_hr"] is not None)
    wrong = {
        "one disk is counted twice": len(set(placement.disk_ids)) < len(rows),
        "the account does not tell its price": any(row["usd_hr"] is None for row in rows),
        "the disk keeps nothing": any(row["status"] in _LOST for row in rows),
        "what is kept has no offer": placement.offer_id is not None,
        "the disk is elsewhere": any(
            row[name] != getattr(placement, name) for row in rows for name in _PLACES
        ),
        "region is not what the market says of the place": placement.region
        != _region(offer["regions"]),
        "the disks have other sizes": tuple(row["size_gb"] for row in rows)
        != placement.disk_sizes_gb,
        "provision_gb is not the sum of the disks": sum(placement.disk_sizes_gb)
        != placement.provision_gb,
        "usd_hr is not what the disks cost": placement.usd_hr != usd_hr,
        "usd_gb_hr is not their price by size": placement.usd_gb_hr
        != quotient(placement.usd_hr, max(sum(placement.disk_sizes_gb), 1)),
    }
    yield from (sentence for sentence, holds in wrong.items() if holds)


def _region(regions: set[str | None]) -> str | None:
    if regions == {None}:
        return None
    return ", ".join(sorted((name or "unknown" for name in regions), key=_null_first))


def _null_first(name: str) -> str:
    return "" if name == "unknown" else name


def multinode(placement: Placement, disks: Mapping[str, Row]) -> bool:
    """Return whether several nodes can mount all disks of a kept placement."""
    return all(disks.get(disk, {}).get("multinode") is True for disk in placement.disk_ids)
