"""The independent check of what exists: kept disks against the account and the demand."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.solve.verify_growth import need_gb as need_gb_until
from planner.units import quotient, total

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from planner.demand.model import Demand, Volume
    from planner.solve.solution import Placement

Row = dict[str, Any]

_PLACES = ("provider", "cloud_id", "data_center", "country")
_LOST = {"ERROR", "DELETING", "TERMINATED"}


def regions_of(market: Sequence[Row]) -> dict[tuple[Any, ...], set[Any]]:
    """Return the regions that the market gives each place."""
    regions: dict[tuple[Any, ...], set[Any]] = {}
    for row in market:
        place = (row["provider"], row["data_center"], row["country"])
        regions.setdefault(place, set()).update(row["regions"])
    return regions


def stand_in(placement: Placement, regions: Mapping[tuple[Any, ...], set[Any]]) -> Row:
    """Return a kept placement as an offer: its place, and the regions that the market gives it."""
    place = (placement.provider, placement.data_center, placement.country)
    named = {name: getattr(placement, name) for name in _PLACES}
    return {**named, "regions": regions.get(place) or {None}}


def problems(
    placement: Placement, volume: Volume, need_gb: int, disks: Mapping[str, Row], offer: Row
) -> Iterator[str]:
    """Yield how a kept placement contradicts the account's disks or its volume."""
    rows = [disks[disk] for disk in placement.disk_ids if disk in disks]
    if not rows or len(rows) < len(placement.disk_ids):
        yield "the account has no such disk"
        return
    yield from _as_listed(placement, rows, offer)
    if placement.provision_gb < need_gb:
        yield f"{placement.provision_gb} GB cannot hold {need_gb} GB"
    if (placement.owner, placement.tags) != (volume.owner, volume.tags):
        yield "owner or tags are not the volume's"
    if len(placement.disk_ids) > volume.max_disks:
        yield f"{len(placement.disk_ids)} disks, max_disks is {volume.max_disks}"
    limit = volume.max_usd_gb_hr
    if limit is not None and placement.usd_hr > limit * placement.provision_gb:
        yield "it costs more than max_usd_gb_hr"
    if volume.multinode and any(row["multinode"] is not True for row in rows):
        yield "it is not multi-node, or unknown"
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


def claims(
    demand: Demand, placements: Sequence[Placement], live: Mapping[str, Row]
) -> Iterator[str]:
    """Yield where placements claim one disk, or one is not the replica that the demand calls it."""
    needs = {v.name: need_gb_until(v, 1, exists=True) for v in demand.volumes}
    of_replica = {
        (volume.name, number): disk
        for volume in demand.volumes
        for number, disk in enumerate(volume.disks, 1)
    }
    named = {*of_replica.values()}
    taken: dict[str, list[Placement]] = {}
    replaced = {disk: "" for placement in placements for disk in placement.disk_ids}
    for placement in placements:
        mine = (placement.volume, placement.replica)
        who = f"{placement.volume} replica {placement.replica}"
        on_disks = [taken.setdefault(disk, []) for disk in placement.disk_ids]
        if any(not _share(placement, other) for held in on_disks for other in held):
            yield f"{who}: its disk is another replica already"
        for held in on_disks:
            held.append(placement)
        if placement.action != "keep" and placement.disk_ids:
            yield f"{who}: what is to be bought has an id"
        if bool(placement.replaces) != (placement.action == "replace"):
            yield f"{who}: it is a {placement.action}, and replaces {len(placement.replaces)} disks"
        # Several volumes may have shared it.
        if any(replaced.get(disk) in {"", placement.volume} for disk in placement.replaces):
            yield f"{who}: a disk that it replaces is replaced or kept already"
        replaced.update(dict.fromkeys(placement.replaces, placement.volume))
        if not live.keys() >= set(placement.replaces):
            yield f"{who}: it replaces a disk that the account does not have"
        beside = placement.disk_group or ()  # what one of them names, all of them share
        own = (
            {disk for (name, _), disk in of_replica.items() if name in beside} if beside else set()
        )
        if named.intersection(placement.disk_ids) - own - {of_replica.get(mine)} or (
            placement.action == "keep"
            and mine in of_replica
            and placement.disk_ids != (of_replica[mine],)
            and _holds(live.get(of_replica[mine]), needs.get(placement.volume, 0))
        ):
            yield f"{who}: the demand names another disk for this replica"
    for members in taken.values():
        yield from _shared_problems(members, live)


def _share(placement: Placement, other: Placement) -> bool:
    """Return whether two placements say that they are different volumes of one disk."""
    group = placement.disk_group
    return group is not None and group == other.disk_group and placement.volume != other.volume


def _shared_problems(members: Sequence[Placement], live: Mapping[str, Row]) -> Iterator[str]:
    """Yield where the volumes of one kept disk are not its group, or their shares not all of it."""
    group, (disk_id, *_) = members[0].disk_group, members[0].disk_ids
    if group is None:
        return
    who = " + ".join(other.volume for other in members)
    if tuple(other.volume for other in members) != group:
        yield f"{who}: the disk is shared by {' + '.join(group)}"
    row = live.get(disk_id, {})
    size_gb, usd_hr = row.get("size_gb") or 0, row.get("usd_hr") or Decimal(0)
    if (sum(other.provision_gb for other in members), total(other.usd_hr for other in members)) != (
        size_gb,
        usd_hr,
    ):
        yield f"{who}: their shares do not add up to the disk"
    parts = (other.usd_hr * size_gb - usd_hr * other.provision_gb for other in members)
    if any(abs(part) > _UNEVEN for part in parts):
        yield f"{who}: the cost is not shared by GB"


_UNEVEN = Decimal("1e-12")
"""USD per hour times GB that rounding one share may make of the others."""


def _holds(row: Row | None, size_gb: int) -> bool:
    """Return whether a disk that the demand names can still be the volume."""
    return row is not None and row["status"] not in _LOST and (row["size_gb"] or 0) >= size_gb


def _as_listed(placement: Placement, rows: Sequence[Row], offer: Row) -> Iterator[str]:
    """Yield where a kept placement is not what the account says of its disks."""
    usd_hr = total(row["usd_hr"] for row in rows if row["usd_hr"] is not None)
    is_alone = placement.disk_group is None  # else see `_shared_problems`
    wrong = {
        "one disk is counted twice": len(set(placement.disk_ids)) < len(rows),
        "its price is not listed in the account": any(row["usd_hr"] is None for row in rows),
        "the disk keeps nothing": any(row["status"] in _LOST for row in rows),
        "what is kept has no offer": placement.offer_id is not None,
        "the disk is elsewhere": any(
            row[name] != getattr(placement, name) for row in rows for name in _PLACES
        ),
        "region is not what the market says of the place": placement.region
        != _region(offer["regions"]),
        "the disks have other sizes": tuple(row["size_gb"] for row in rows)
        != placement.disk_sizes_gb,
        "provision_gb is not the sum of the disks": is_alone
        and sum(placement.disk_sizes_gb) != placement.provision_gb,
        "usd_hr is not what the disks cost": is_alone and placement.usd_hr != usd_hr,
        "usd_gb_hr is not their price by size": placement.usd_gb_hr
        != quotient(placement.usd_hr, max(placement.provision_gb, 1)),
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
