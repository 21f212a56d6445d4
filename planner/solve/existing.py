"""Live disks that already are replicas of volumes: kept, never bought a second time.

A replica that is kept is one more place for its volume and for no other, at its live price, and
the program must choose it. So it counts in budgets, shares and caps, ties its group, and has its
GPUs beside it, like any other.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from planner.errors import InputError
from planner.market.disks import NOT_KEPT
from planner.market.market import ADDRESSABLE
from planner.market.offers import KEY
from planner.market.places import PLACES
from planner.requirements.group import group_places
from planner.requirements.offer import LiveReplica
from planner.requirements.volume import of_disks
from planner.schema import build, records
from planner.solve.candidates import BIT
from planner.solve.places import sites
from planner.text import visible
from planner.units import quotient, split_usd, total

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from decimal import Decimal

    from planner.demand.model import Demand, Volume
    from planner.requirements.offer import Names, OfferRequirement
    from planner.solve.candidates import Pairs


@dataclass(frozen=True)
class Kept:
    """One replica that exists.

    Attributes
    ----------
    volume : str
        Name in the demand.
    replica : int
        From 1.
    disk_ids : tuple of str
        Its live disks, the larger first.
    sizes_gb : tuple of int
        Their sizes.
    usd_hr : Decimal
        What they cost together, as billed.
    multinode : bool | None
        Whether several nodes can mount all of them; None where unknown.
    disk_group : tuple of str | None
        Volumes that share the disk, in the demand's order; None where it is this one's alone.
    share_gb : int | None
        What this volume has of a shared disk; ``usd_hr`` then is what that part costs.
    provider, cloud_id, data_center, country : str | None
        Where they are.
    """

    volume: str
    replica: int
    disk_ids: tuple[str, ...]
    sizes_gb: tuple[int, ...]
    usd_hr: Decimal
    multinode: bool | None
    provider: str
    cloud_id: str | None
    data_center: str | None
    country: str | None
    disk_group: tuple[str, ...] | None = None
    share_gb: int | None = None

    @property
    def provision_gb(self) -> int:
        """Return what the volume has: its disks, or its share of one."""
        return sum(self.sizes_gb) if self.share_gb is None else self.share_gb

    @property
    def usd_gb_hr(self) -> Decimal:
        """Return the price of a GB; shares of a disk cost the same."""
        return quotient(self.usd_hr, max(self.provision_gb, 1))

    @property
    def leads(self) -> bool:
        """Return whether its disks are counted here, not with another volume's."""
        return self.disk_group is None or self.disk_group[0] == self.volume


@dataclass(frozen=True)
class Leftover:
    """A live disk of the project that the plan neither keeps nor replaces: billed until deleted.

    Attributes
    ----------
    id, volume : str
        The disk, and what it was bought for.
    replica : int
        Which replica of the volume.
    superseded : bool
        Whether a later disk replaced it; otherwise the demand has no such replica any more.
    disk_group : tuple of str | None
        The volumes that are on it, where there are several.
    """

    id: str
    volume: str
    replica: int
    superseded: bool
    disk_group: tuple[str, ...] | None = None


class Existing(NamedTuple):
    """What live disks are to a demand.

    Attributes
    ----------
    kept : tuple of Kept
        In the demand's order, by replica.
    notes : tuple of str
        One sentence for each disk that was named or bought for a volume, and is not kept.
    contradictions : tuple of (Kept, str)
        Disks that the demand names for a volume whose requirements they break, and how.
    replaced : dict
        (volume, replica) → ids of the live disks that its new disks replace.
    leftover : tuple of Leftover
        The project's other live disks.
    """

    kept: tuple[Kept, ...]
    notes: tuple[str, ...]
    contradictions: tuple[tuple[Kept, str], ...]
    replaced: dict[tuple[str, int], tuple[str, ...]]
    leftover: tuple[Leftover, ...]

    def without(self, disks: Collection[str], why: str) -> Existing:
        """Return the same where replicas, named by their first disks, will be replaced."""
        gone = {
            (each.volume, each.replica): each.disk_ids
            for each in self.kept
            if each.disk_ids[0] in disks
        }
        notes = (
            f"volume {volume}: disk {' and '.join(ids)} {why}; replica {replica} will be replaced"
            for (volume, replica), ids in gone.items()
        )
        return self._replace(
            kept=tuple(each for each in self.kept if each.disk_ids[0] not in disks),
            notes=(*self.notes, *notes),
            replaced={**self.replaced, **gone},
        )

    @property
    def messages(self) -> list[str]:
        """Return the contradictions as a person reads them."""
        return [
            f"volume {visible(kept.volume)}: disk {kept.disk_ids[0]} is named in `disks` and {why}"
            for kept, why in self.contradictions
        ]


def keep(
    demand: Demand,
    disks: pd.DataFrame,
    recorded: Mapping[tuple[str, int], Sequence[str]],
    offers: pd.DataFrame,
    superseded: Mapping[tuple[str, int], Sequence[str]] | None = None,
) -> Existing:
    """Return the replicas that live disks already are, and what becomes of the other disks.

    A disk is a replica because the demand names it, or because it was bought as that replica, and
    it is held against every requirement that its listing can answer. One that lost its data or is
    outgrown is replaced, and so is one that was bought and breaks a requirement. A demand that
    names a disk which breaks its other requirements contradicts itself. A disk that volumes share
    is kept or replaced for all of them.

    Parameters
    ----------
    demand : Demand
        What is asked.
    disks : DataFrame
        Columns ``DISKS``.
    recorded, superseded : mapping
        (volume, replica) → ids of disks bought as that replica: in use, and replaced since.
    offers : DataFrame
        Columns ``ADDRESSABLE``: they tell the region of a place, which disks do not.

    """
    live = {row["id"]: row for row in records(disks) if row["id"] is not None}
    kept: list[Kept] = []
    notes: list[str] = []
    contradictions: list[tuple[Kept, str]] = []
    replaced: dict[tuple[str, int], tuple[str, ...]] = {}
    regions, tied = regions_by_site(offers), group_places(demand)
    for volume, number, claims in _claims(demand, recorded):
        for claim in claims:
            ids = claim.ids
            replica = _replica(volume, number, [live.get(disk, {"id": disk}) for disk in ids])
            why = replica if isinstance(replica, str) else _outgrown(replica, claim.members)
            if isinstance(replica, Kept) and not why:
                here = regions.get((replica.provider, replica.data_center, replica.country))
                asked = [
                    (*of_disks(member), *tied.get(member.name, ())) for member in claim.members
                ]
                why = _unwanted(demand, claim) or _broken(replica, claim, asked, here or (None,))
                replica = _shared(replica, claim.members)
                if not why:
                    kept.append(replica)
                    break
                if ids[0] in volume.disks:
                    contradictions.append((replica, why))
                    break
            there = tuple(disk for disk in ids if disk in live)
            if claim is not claims[-1]:
                then = "a disk that was bought later is used: take this one out of `disks`"
            elif there:
                replaced[volume.name, number] = there
                then = f"replica {number} will be replaced"
            else:
                then = f"replica {number} will be created again"
            if volume is claim.members[0]:
                notes.append(f"{claim.title}: disk {' and '.join(ids)} {why}; {then}")
    used = {disk for volume in demand.volumes for disk in volume.disks}
    used.update(disk for replica in kept for disk in replica.disk_ids)
    used.update(disk for ids in replaced.values() for disk in ids)
    left = _leftover(recorded, superseded or {}, live.keys() - used)
    return Existing(tuple(kept), tuple(notes), tuple(contradictions), replaced, tuple(left))


def _leftover(
    recorded: Mapping[tuple[str, int], Sequence[str]],
    superseded: Mapping[tuple[str, int], Sequence[str]],
    unused: Collection[str],
) -> Iterator[Leftover]:
    """Yield the disks that were bought for volumes and that are of no use to them any more."""
    left: dict[str, list[tuple[str, int]]] = {}
    for replica, ids in (*superseded.items(), *recorded.items()):
        for disk in filter(unused.__contains__, dict.fromkeys(ids)):
            left.setdefault(disk, []).append(replica)
    for disk, replicas in left.items():
        yield Leftover(
            disk,
            *replicas[0],
            superseded=disk in superseded.get(replicas[0], ()),
            disk_group=tuple(volume for volume, _ in replicas) if len(replicas) > 1 else None,
        )


class _Claim(NamedTuple):
    """Disks that may be a replica, and the volumes that are on them: one, or those that share."""

    ids: tuple[str, ...]
    members: tuple[Volume, ...]

    @property
    def group(self) -> tuple[str, ...]:
        """Return the volumes that share the disk; nothing where it holds one."""
        return tuple(volume.name for volume in self.members) if len(self.members) > 1 else ()

    @property
    def title(self) -> str:
        """Return what the disks hold, for a message."""
        names = " + ".join(volume.name for volume in self.members)
        return f"volume{'s' * (len(self.members) > 1)} {names}"


def _claims(
    demand: Demand, recorded: Mapping[tuple[str, int], Sequence[str]]
) -> Iterator[tuple[Volume, int, list[_Claim]]]:
    """Yield each replica that disks may be, with them: as the demand says, then as bought."""
    named = {
        (volume.name, number): (disk,)
        for volume in demand.volumes
        for number, disk in enumerate(volume.disks, 1)
    }
    bought = {replica: tuple(dict.fromkeys(ids)) for replica, ids in recorded.items()}
    # A disk that is named for one volume alone is no longer another's, unless both are on it.
    alone = {ids for slot, ids in named.items() if bought.get(slot) != ids}
    alone -= {ids for ids, times in Counter(named.values()).items() if times > 1}
    by_name = {volume.name: volume for volume in demand.volumes}
    slots = [(v.name, number) for v in demand.volumes for number in range(1, v.replicas + 1)]
    holders: defaultdict[tuple[str, ...], dict[str, int]] = defaultdict(dict)
    for name, number in slots:
        ids = named.get((name, number)) or bought.get((name, number), ())
        if len(ids) == 1 and ((name, number) in named or ids not in alone):
            holders[ids].setdefault(name, number)
    taken = {disk for ids in named.values() for disk in ids}
    for name, number in slots:
        claims: list[tuple[str, ...]] = [named[name, number]] if (name, number) in named else []
        ids = bought.get((name, number), ())
        is_shared = len(holders[ids]) > 1 and holders[ids].get(name) == number
        if ids and (taken.isdisjoint(ids) or (is_shared and not claims)):
            claims.append(ids)
            taken.update(ids)
        if claims:
            on_disk = ([*holders[ids]] if name in holders[ids] else [name] for ids in claims)
            members = (tuple(by_name[each] for each in names) for names in on_disk)
            yield by_name[name], number, [*map(_Claim, claims, members)]


def _unwanted(demand: Demand, claim: _Claim) -> str:
    """Return why volumes may not share a disk that they are on; nothing where they may."""
    if not claim.group or demand.policy.packing != "never":
        return ""
    if demand.share_disks(claim.group):
        return ""
    return "is shared, which `packing: never` rules out"


def _shared(replica: Kept, members: Sequence[Volume]) -> Kept:
    """Return a volume's share of a disk: what it needs, the largest the rest as well."""
    if len(members) == 1:
        return replica
    size_gb = sum(replica.sizes_gb)
    needs = [volume.need_at(0) for volume in members]
    needs = needs if sum(needs) <= size_gb else [volume.held_gb(0) for volume in members]
    largest = needs.index(max(needs))
    needs[largest] += size_gb - sum(needs)
    names = tuple(volume.name for volume in members)
    number = names.index(replica.volume)
    usd_hr = split_usd(replica.usd_hr, needs)[number]
    return replace(replica, disk_group=names, share_gb=needs[number], usd_hr=usd_hr)


def _replica(volume: Volume, number: int, rows: list[dict[str, Any]]) -> Kept | str:
    """Return a replica of these disks, or why they are none."""
    gone = ", ".join(row["id"] for row in rows if "status" not in row)
    if gone:
        return "no longer exists" if len(rows) == 1 else f"are no longer complete ({gone} is gone)"
    lost = next((row["status"] for row in rows if row["status"] in NOT_KEPT), None)
    if lost is not None:
        return f"is {lost}"
    unknown = [n for n in ("provider", "size_gb", "usd_hr") if any(row[n] is None for row in rows)]
    if unknown:
        # It may well be the volume: a second one is not bought on the strength of a missing field.
        shown = " and ".join(row["id"] for row in rows)
        raise InputError(
            f"volume {volume.name}: the {unknown[0]} of disk {shown} is not listed in the account",
            hint=f"planner status shows it; take {shown} out of `disks` to buy a new one",
        )
    if len({tuple(row[name] for name in KEY) for row in rows}) > 1:
        return "are not at one place"
    rows = sorted(rows, key=lambda row: (-row["size_gb"], row["id"]))
    multinode = [row["multinode"] for row in rows]
    return Kept(
        volume=volume.name,
        replica=number,
        disk_ids=tuple(row["id"] for row in rows),
        sizes_gb=tuple(row["size_gb"] for row in rows),
        usd_hr=total(row["usd_hr"] for row in rows),
        multinode=False if False in multinode else None if None in multinode else True,
        **{name: rows[0][name] for name in KEY},
    )


def _outgrown(replica: Kept, members: Sequence[Volume]) -> str:
    size_gb, needed = sum(replica.sizes_gb), sum(volume.held_gb(0) for volume in members)
    return "" if size_gb >= needed else f"has {size_gb:,} GB, and {needed:,} GB are needed"


def _broken(
    replica: Kept, claim: _Claim, asked: Iterable[Iterable[OfferRequirement]], regions: Names
) -> str:
    """Return which requirements disks break; what their listing lacks: `unchecked_existing`."""
    places: dict[str, Names] = {level: (getattr(replica, level, None),) for level in PLACES}
    live = LiveReplica(
        len(replica.disk_ids),
        sum(replica.sizes_gb),
        replica.usd_hr,
        replica.multinode,
        places | {"region": regions},
        claim.group,
    )
    broken = (why for each in asked for requirement in each for why in requirement.broken_by(live))
    # A place that two lists rule out is named once.
    reasons = {why.partition(",")[0]: why for why in broken}
    return " and ".join(reasons.values())


def with_kept(pairs: Pairs, kept: Sequence[Kept]) -> Pairs:
    """Return the pairs with one more offer for each kept replica, which only its volume may have.

    The offers are last, in the order of the kept replicas; their region is that of the market's
    offers at the same place.
    """
    if not kept:
        return pairs
    shape, first = (len(pairs.volumes), len(kept)), len(pairs.offers)
    more = np.zeros(len(kept), np.int64)
    wider = replace(
        pairs,
        offers=pd.concat([pairs.offers, existing_offers(pairs.offers, kept)], ignore_index=True),
        broken=np.hstack([pairs.broken, np.zeros(shape, np.uint32)]),
        disks=pairs.disks.beside(more),
        provision_gb=pairs.provision_gb.beside(more),
        fixed_usd_hr={first + n: replica.usd_hr for n, replica in enumerate(kept)},
    )
    return reserve(wider, [(replica.volume, first + n) for n, replica in enumerate(kept)])


def reserve(pairs: Pairs, kept: Sequence[tuple[str, int]]) -> Pairs:
    """Return the pairs with every offer that is a live disk left to its own volume alone.

    Parameters
    ----------
    pairs : Pairs
        Of any volumes and of offers of which some are live disks: those of ``fixed_usd_hr``.
    kept : sequence of (str, int)
        Volumes, and the live disk that is a replica of theirs.
    """
    if not kept and not pairs.fixed_usd_hr:
        return pairs
    at = {volume.name: v for v, volume in enumerate(pairs.volumes)}
    broken = pairs.broken.copy()
    for name, many in Counter(name for name, _ in kept).items():
        if name in at and many == pairs.volumes[at[name]].replicas:
            broken[at[name]] |= np.uint32(BIT["kept"])
    live = sorted(pairs.fixed_usd_hr)
    broken[:, live] |= np.uint32(BIT["kept"])
    # A disk that volumes share is counted for the first of them.
    disks = [len(ids) for ids in pairs.offers["offer_ids"].iloc[live]]
    gb = pairs.offers["min_gb"].iloc[live].to_numpy(np.int64)
    for name, o in kept:
        if name in at:
            broken[at[name], o] = 0
    return replace(
        pairs,
        broken=broken,
        disks=pairs.disks.set_columns(live, disks),
        provision_gb=pairs.provision_gb.set_columns(live, gb),
    )


def movable(pairs: Pairs) -> Pairs:
    """Return the pairs with what a volume may have instead of the live disks that are its own."""
    broken = pairs.broken.copy()
    sold = [o for o in range(broken.shape[1]) if o not in pairs.fixed_usd_hr]
    broken[:, sold] &= ~np.uint32(BIT["kept"])
    return replace(pairs, broken=broken)


def existing_offers(market: pd.DataFrame, kept: Iterable[Kept]) -> pd.DataFrame:
    """Return kept replicas as offers (columns ``ADDRESSABLE``), in their order."""
    regions = regions_by_site(market)
    rows = []
    for replica in kept:
        size_gb = replica.provision_gb
        here = regions.get((replica.provider, replica.data_center, replica.country), (None,))
        rows.append(
            {
                "offer_id": replica.disk_ids[0],
                "offer_ids": replica.disk_ids if replica.leads else (),
                "provider": replica.provider,
                "cloud_id": replica.cloud_id,
                "data_center": replica.data_center,
                "country": replica.country,
                "region": ", ".join(name or "unknown" for name in here)
                if here != (None,)
                else None,
                "regions": here,
                "min_gb": size_gb,
                "max_gb": size_gb,
                "step_gb": 1,
                "usd_gb_hr": replica.usd_gb_hr,
                "default_included": None,
                "stock": "Available",
                "security": None,
                "multinode": replica.multinode,
                "ambiguous": False,
                "open_key": False,
                "problem": None,
            }
        )
    return build(rows, ADDRESSABLE)


def regions_by_site(market: pd.DataFrame) -> dict[tuple[str | None, ...], tuple[str | None, ...]]:
    """Return the regions that the market gives each site."""
    by_site: defaultdict[tuple[str | None, ...], set[str | None]] = defaultdict(set)
    for site, names in zip(sites(market), market["regions"], strict=True):
        by_site[site].update(names)
    return {
        site: tuple(sorted(names, key=lambda name: (name or "",)))
        for site, names in by_site.items()
    }
