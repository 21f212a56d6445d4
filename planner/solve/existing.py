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
from planner.solve.candidates import BIT, sites
from planner.text import visible
from planner.units import quotient, total

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    """

    id: str
    volume: str
    replica: int
    superseded: bool


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
    names a disk which breaks its other requirements contradicts itself.

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
        asked = (*of_disks(volume), *tied.get(volume.name, ()))
        for ids in claims:
            replica = _replica(volume, number, [live.get(disk, {"id": disk}) for disk in ids])
            why = replica if isinstance(replica, str) else _outgrown(replica, volume)
            if isinstance(replica, Kept) and not why:
                here = regions.get((replica.provider, replica.data_center, replica.country))
                why = _broken(replica, asked, here or (None,))
                if not why:
                    kept.append(replica)
                    break
                if ids[0] in volume.disks:
                    contradictions.append((replica, why))
                    break
            there = tuple(disk for disk in ids if disk in live)
            if ids is not claims[-1]:
                then = "a disk that was bought later is used: take this one out of `disks`"
            elif there:
                replaced[volume.name, number] = there
                then = f"replica {number} will be replaced"
            else:
                then = f"replica {number} will be created again"
            notes.append(f"volume {volume.name}: disk {' and '.join(ids)} {why}; {then}")
    used = {disk for volume in demand.volumes for disk in volume.disks}
    used.update(disk for replica in kept for disk in replica.disk_ids)
    used.update(disk for ids in replaced.values() for disk in ids)
    past = (*(superseded or {}).items(), *recorded.items())
    leftover = {
        disk: Leftover(
            disk, volume, replica, superseded=disk in (superseded or {}).get((volume, replica), ())
        )
        for (volume, replica), ids in past
        for disk in ids
        if disk in live and disk not in used
    }
    return Existing(
        tuple(kept), tuple(notes), tuple(contradictions), replaced, tuple(leftover.values())
    )


def _claims(
    demand: Demand, recorded: Mapping[tuple[str, int], Sequence[str]]
) -> Iterator[tuple[Volume, int, list[tuple[str, ...]]]]:
    """Yield each replica that disks may be, with them: as the demand says, then as bought."""
    taken = {disk for volume in demand.volumes for disk in volume.disks}
    for volume in demand.volumes:
        for number in range(1, volume.replicas + 1):
            claims: list[tuple[str, ...]] = [(disk,) for disk in volume.disks[number - 1 : number]]
            bought = tuple(dict.fromkeys(recorded.get((volume.name, number), ())))
            if bought and taken.isdisjoint(bought):
                claims.append(bought)
                taken.update(bought)
            if claims:
                yield volume, number, claims


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


def _outgrown(replica: Kept, volume: Volume) -> str:
    size_gb = sum(replica.sizes_gb)
    if size_gb >= volume.size_gb:
        return ""
    return f"has {size_gb:,} GB, and {volume.size_gb:,} GB are needed"


def _broken(replica: Kept, asked: Iterable[OfferRequirement], regions: Names) -> str:
    """Return which requirements disks break; what their listing lacks: `unchecked_existing`."""
    places: dict[str, Names] = {level: (getattr(replica, level, None),) for level in PLACES}
    live = LiveReplica(
        len(replica.disk_ids),
        sum(replica.sizes_gb),
        replica.usd_hr,
        replica.multinode,
        places | {"region": regions},
    )
    broken = (why for requirement in asked for why in requirement.broken_by(live))
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
    more = np.zeros(shape, np.int64)
    wider = replace(
        pairs,
        offers=pd.concat([pairs.offers, _offers(pairs.offers, kept)], ignore_index=True),
        broken=np.hstack([pairs.broken, np.zeros(shape, np.uint32)]),
        disks=np.hstack([pairs.disks, more]),
        provision_gb=np.hstack([pairs.provision_gb, more]),
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
    at = {volume.name: v for v, volume in enumerate(pairs.volumes)}
    broken, disks, gb = pairs.broken.copy(), pairs.disks.copy(), pairs.provision_gb.copy()
    for name, many in Counter(name for name, _ in kept).items():
        if name in at and many == pairs.volumes[at[name]].replicas:
            broken[at[name]] |= np.uint32(BIT["kept"])
    live = sorted(pairs.fixed_usd_hr)
    broken[:, live] |= np.uint32(BIT["kept"])
    disks[:, live] = [len(ids) for ids in pairs.offers["offer_ids"].iloc[live]]
    gb[:, live] = pairs.offers["min_gb"].iloc[live].to_numpy(np.int64)
    for name, o in kept:
        if name in at:
            broken[at[name], o] = 0
    return replace(pairs, broken=broken, disks=disks, provision_gb=gb)


def movable(pairs: Pairs) -> Pairs:
    """Return the pairs with what a volume may have instead of the live disks that are its own."""
    broken = pairs.broken.copy()
    sold = [o for o in range(broken.shape[1]) if o not in pairs.fixed_usd_hr]
    broken[:, sold] &= ~np.uint32(BIT["kept"])
    return replace(pairs, broken=broken)


def _offers(market: pd.DataFrame, kept: Iterable[Kept]) -> pd.DataFrame:
    regions = regions_by_site(market)
    rows = []
    for replica in kept:
        size_gb = sum(replica.sizes_gb)
        here = regions.get((replica.provider, replica.data_center, replica.country), (None,))
        rows.append(
            {
                "offer_id": replica.disk_ids[0],
                "offer_ids": replica.disk_ids,
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
                "usd_gb_hr": quotient(replica.usd_hr, max(size_gb, 1)),
                "default_included": None,
                "stock": "Available",
                "security": None,
                "multinode": replica.multinode,
                "ambiguous": False,
                "cloud_open": False,
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
