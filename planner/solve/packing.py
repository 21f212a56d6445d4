"""Disks that volumes share, as offers of their own, and what one pod can mount.

A job may need more disks than one pod of a provider can mount. Where separate disks would be too
many, its volumes may share a disk: each such disk, of some volumes at one of the market's offers,
is one more offer, which only they may have and all of them choose equally often. Its size is the
sum of their needs on the offer's grid; each pays for its own GB, the largest for what rounding
adds. Spread, groups, budgets, caps and shares then hold as they do for any other offer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations, count
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from planner.market.offers import Sizes
from planner.market.providers import documented_limits
from planner.requirements.packing import one_disk_groups
from planner.solve.candidates import BIT, Pairs, SharedDisk
from planner.solve.tiers import Tiers
from planner.units import total

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from decimal import Decimal

    from numpy.typing import NDArray

    from planner.demand.model import Demand
    from planner.solve.rentals import Rentals

    _Bools = NDArray[np.bool_]

_UNKNOWN = 2**31
"""How many disks a pod can mount where that is unknown: any number."""
_EVERY_SUBSET = 7
"""Volumes of connected jobs up to which every subset of them may share a disk."""
_OF_ONE = np.uint32(BIT["max_disks"] | BIT["tier"] | BIT["one_disk"])
"""Rules about the disks that a volume has to itself."""


@dataclass(frozen=True)
class AttachLimits:
    """What one pod can mount, where that is less than what some job may need.

    Attributes
    ----------
    most : ndarray of int64, shape (G,)
        Network disks that one pod can mount, by GPU offer.
    too_many : ndarray of bool, shape (W, G)
        Whether a disk for each volume of a workload, at best, would be more.
    limited : ndarray of bool, shape (W,)
        Whether some choice of disks could be more, anywhere.
    """

    most: NDArray[np.int64]
    too_many: NDArray[np.bool_]
    limited: NDArray[np.bool_]


def stated_limits(demand: Demand) -> dict[str, int]:
    """Return how many disks one pod can mount, by provider: what is documented, or stated.

    Empty where no job mounts more than one disk.
    """
    several = {volume.name for volume in demand.volumes if volume.max_disks > 1}
    if not any(len(job.mounts) > 1 or several & {*job.mounts} for job in demand.workloads):
        return {}
    return pod_limits(demand)


def pod_limits(demand: Demand) -> dict[str, int]:
    """Return the same, whatever jobs mount."""
    return {**documented_limits(), **demand.policy.attach_limits}


def attach_limits(
    demand: Demand, pairs: Pairs, rentals: Rentals, *, everywhere: bool = False
) -> AttachLimits | None:
    """Return what pods can mount; None where no job can need more.

    Parameters
    ----------
    pairs : Pairs
        V volumes at offers for one volume each, live disks among them.
    rentals : Rentals
        W workloads and G GPU offers.
    everywhere : bool
        Also what pods would have to mount if requirements were relaxed.
    """
    at_most = np.array([volume.max_disks for volume in pairs.volumes])
    for v, o in np.argwhere(pairs.broken[:, [*pairs.fixed_usd_hr]] == 0).tolist():
        at_most[v] = max(at_most[v], pairs.disks[v, [*pairs.fixed_usd_hr][o]])
    if everywhere:
        at_most = np.maximum(at_most, [pairs.disks[v].max(initial=1) for v in range(len(at_most))])
    needed = [int(at_most[list(mounts)].sum()) for mounts in rentals.mounts]
    if max(needed, default=0) < 2:  # noqa: PLR2004 -- one disk can be mounted everywhere
        return None
    limits = pod_limits(demand)
    most = np.array([limits.get(name, _UNKNOWN) for name in rentals.gpus["provider"]], np.int64)
    too_many = np.zeros(rentals.broken.shape, np.bool_)
    limited = np.zeros(len(rentals.mounts), np.bool_)
    together = one_disk_groups(demand)
    for w, mounts in enumerate(rentals.mounts):
        known: dict[bytes, tuple[int, int]] = {}
        for g in np.flatnonzero(most < needed[w]).tolist():
            reached = [rentals.mountable(w, v, g) & (pairs.broken[v] == 0) for v in mounts]
            look = b"".join(each.tobytes() for each in reached)
            if look not in known:
                known[look] = _disks(pairs, together, dict(zip(mounts, reached, strict=True)))
            fewest, worst = known[look]
            if everywhere:
                there = [pairs.disks[v, rentals.mountable(w, v, g)] for v in mounts]
                worst = sum(max(int(disks.max(initial=1)), 1) for disks in there)
            too_many[w, g] = fewest > most[g]
            limited[w] |= worst > most[g]
    return AttachLimits(most, too_many, limited) if limited.any() else None


def _disks(
    pairs: Pairs, together: Mapping[str, tuple[str, ...]], reached: Mapping[int, _Bools]
) -> tuple[int, int]:
    """Return how many separate disks volumes take at best and at worst; shared ones are one."""
    best: dict[object, int] = {}
    worst = 0
    for v, offers in reached.items():
        name = pairs.volumes[v].name
        disks = np.maximum(pairs.disks[v, offers], 1)
        worst += int(disks.max(initial=1))
        if name in together:
            best[together[name]] = 1
            continue
        here = np.flatnonzero(offers)
        o = int(here[disks.argmin()]) if len(here) else -1
        best[pairs.disk(v, o)] = int(disks.min()) if len(here) else 1
    return sum(best.values()), worst


def with_shared_disks(
    demand: Demand,
    pairs: Pairs,
    rentals: Rentals | None,
    limits: AttachLimits | None,
    *,
    known: Mapping[int, SharedDisk] | None = None,
    everywhere: bool = False,
) -> tuple[Pairs, Rentals | None]:
    """Return pairs and rentals with one more offer for each disk that volumes may share.

    Parameters
    ----------
    pairs, rentals
        Without shared disks.
    known : mapping
        Shared disks that keep their numbers, whether or not they are still possible.
    everywhere : bool
        Also where a requirement that could be relaxed is in the way.
    """
    made = _made(demand, pairs, rentals, limits, everywhere=everywhere)
    listed = {(disk.members, disk.offer): o for o, disk in (known or {}).items()}
    numbers = count(len(pairs.offers) + len(listed))
    for disk in made:
        if (disk.members, disk.offer) not in listed:
            listed[disk.members, disk.offer] = next(numbers)
    if not listed:
        return pairs, rentals
    shared = {**(known or {}), **{listed[disk.members, disk.offer]: disk for disk in made}}
    shape = (len(pairs.volumes), len(shared))
    broken = np.full(shape, BIT["shared"], np.uint32)
    disks, gb = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    index = {volume.name: v for v, volume in enumerate(pairs.volumes)}
    for n, disk in enumerate(shared.values()):
        if disk in made:
            rows = [index[name] for name in disk.members]
            broken[rows, n], gb[rows, n] = made[disk].broken, made[disk].gb
            disks[rows[0], n] = 1
    base = [disk.offer for disk in shared.values()]
    wider = replace(
        pairs,
        offers=pd.concat([pairs.offers, pairs.offers.iloc[base]], ignore_index=True),
        broken=np.hstack([pairs.broken, broken]),
        disks=pairs.disks.beside(disks),
        provision_gb=pairs.provision_gb.beside(gb),
        shared=shared,
    )
    return wider, None if rentals is None else reaching(rentals, base)


def _made(
    demand: Demand,
    pairs: Pairs,
    rentals: Rentals | None,
    limits: AttachLimits | None,
    *,
    everywhere: bool,
) -> dict[SharedDisk, _Shares]:
    """Return the disks that volumes may share: those of groups, then those that jobs may need."""
    groups = dict.fromkeys(one_disk_groups(demand).values())
    if not groups and (limits is None or not limits.too_many.any()):
        return {}
    market = _Market(pairs, everywhere=everywhere)
    made = {
        SharedDisk(members, o, by_group=True): column
        for members in groups
        for o, column in market.columns(members)
    }
    if rentals is None or limits is None or not limits.too_many.any():
        return made
    if demand.policy.packing == "auto" or everywhere:
        for members, offers in _of_jobs(demand, pairs, rentals, limits, everywhere=everywhere):
            if members not in groups:
                columns = ((o, column) for o, column in market.columns(members) if offers[o])
                made.update({SharedDisk(members, o, by_group=False): c for o, c in columns})
    return made


def reaching(rentals: Rentals, more: list[int]) -> Rentals:
    """Return rentals with some of the disk offers a second time."""
    return replace(
        rentals,
        meets=np.hstack([rentals.meets, rentals.meets[:, more]]),
        multinode=np.concatenate([rentals.multinode, rentals.multinode[more]]),
    )


@dataclass(frozen=True)
class _Shares:
    """A shared disk at an offer: of each of its volumes the rules it breaks, and its GB."""

    broken: NDArray[np.uint32]
    gb: NDArray[np.int64]


class _Market:
    """The market's offers, for disks that volumes share."""

    def __init__(self, pairs: Pairs, *, everywhere: bool) -> None:
        self._pairs, self._everywhere = pairs, everywhere
        offers = pairs.offers.iloc[: pairs.sold]
        self._sizes, self._tiers = Sizes(offers), Tiers(offers)
        self._index = {volume.name: v for v, volume in enumerate(pairs.volumes)}

    def columns(self, members: tuple[str, ...]) -> Iterator[tuple[int, _Shares]]:
        """Yield the offers that sell one disk for volumes, and that each of them may have."""
        rows = [self._index[name] for name in members]
        needs = np.array([self._pairs.volumes[v].need_gb for v in rows], np.int64)
        disks, gb = self._sizes.provision(int(needs.sum()))
        own = self._pairs.broken[rows, : self._pairs.sold] & ~_OF_ONE
        fits = (disks == 1) & self._sizes.sells
        admissible = fits & ((own & ~np.uint32(BIT["kept"])) == 0).all(axis=0)
        mounted = any(name in self._pairs.mounted for name in members)
        beaten = self._tiers.beaten(admissible, disks, gb, mounted=mounted)
        own = own | np.where(beaten, np.uint32(BIT["tier"]), np.uint32(0))
        largest = int(needs.argmax())
        for o in np.flatnonzero(fits if self._everywhere else admissible & ~beaten).tolist():
            share = needs.copy()
            share[largest] += gb[o] - needs.sum()
            yield o, _Shares(own[:, o], share)


def _of_jobs(
    demand: Demand, pairs: Pairs, rentals: Rentals, limits: AttachLimits, *, everywhere: bool
) -> Iterator[tuple[tuple[str, ...], _Bools]]:
    """Yield the volumes that may share a disk because of jobs, and at which offers they may."""
    together = one_disk_groups(demand)
    names = [volume.name for volume in pairs.volumes]
    units = {v: together.get(name, (name,)) for v, name in enumerate(names)}
    several = rentals.meets[limits.most > 1].any(axis=0) | everywhere
    for jobs in _connected(rentals, units):
        needing: dict[tuple[str, ...], _Bools] = {}
        for w in jobs:
            there = limits.too_many[w] & ((rentals.broken[w] == 0) | everywhere)
            offers = rentals.meets[there].any(axis=0)
            for unit in {units[v] for v in rentals.mounts[w]} if offers.any() else ():
                needing[unit] = needing.get(unit, False) | offers
        copies = any(pairs.volumes[v].replicas > 1 for w in jobs for v in rentals.mounts[w])
        ordered = sorted(needing, key=lambda unit: names.index(unit[0]))
        for subset in subsets(ordered):
            offers = np.logical_and.reduce([needing[unit] for unit in subset])
            if not copies and len(subset) < len(ordered):
                # One disk for a pod: single copies of connected jobs are all on it, or elsewhere.
                offers &= several
            if offers.any():
                members = {name for unit in subset for name in unit}
                yield tuple(name for name in names if name in members), offers


PARTLY_TRIED = "too many volumes to try every way of sharing disks"
"""How the warning begins of a plan that not every partition was looked at for."""


def partly_tried(demand: Demand, rentals: Rentals, limits: AttachLimits) -> list[str]:
    """Return the jobs whose volumes are too many to try every way of sharing disks."""
    together, names = one_disk_groups(demand), [volume.name for volume in demand.volumes]
    units = {v: together.get(name, (name,)) for v, name in enumerate(names)}
    jobs: list[int] = []
    for connected in _connected(rentals, units) if demand.policy.packing == "auto" else ():
        there = {w: limits.too_many[w] & (rentals.broken[w] == 0) for w in connected}
        needing = {units[v] for w in connected if there[w].any() for v in rentals.mounts[w]}
        one_each = not any(volume.replicas > 1 for volume in demand.volumes)
        one_disk = one_each and all((limits.most[mask] == 1).all() for mask in there.values())
        if len(needing) > _EVERY_SUBSET and not one_disk:
            jobs += [w for w in connected if there[w].any()]
    return [demand.workloads[w].name for w in sorted(jobs)]


def _connected(rentals: Rentals, units: Mapping[int, tuple[str, ...]]) -> list[list[int]]:
    """Return the jobs that volumes connect, those of each set in order."""
    sets: list[tuple[set[tuple[str, ...]], list[int]]] = []
    for w, mounts in enumerate(rentals.mounts):
        mine, jobs = {units[v] for v in mounts}, [w]
        apart = []
        for theirs, others in sets:
            if mine & theirs:
                mine, jobs = mine | theirs, [*others, *jobs]
            else:
                apart.append((theirs, others))
        sets = [*apart, (mine, jobs)]
    return [sorted(jobs) for _, jobs in sets]


def subsets(units: list[tuple[str, ...]]) -> Iterator[tuple[tuple[str, ...], ...]]:
    """Yield the sets of two volumes or more that may share a disk, small ones first.

    Of many volumes not every set can be tried: then those that follow on one another, see
    `partly_tried`.
    """
    number = len(units)
    for size in range(2, number + 1):
        if number <= _EVERY_SUBSET:
            yield from combinations(units, size)
        else:
            yield from (tuple(units[at : at + size]) for at in range(number - size + 1))


def best_rented(
    rentals: Rentals,
    limits: AttachLimits | None,
    allowed: Mapping[int, _Bools],
    rented: Mapping[int, int | None],
    needed: Sequence[tuple[int, tuple[int, ...]]],
) -> dict[int, int] | None:
    """Return the cheapest GPU offers under which jobs need every disk that volumes share.

    Parameters
    ----------
    allowed : mapping of ndarray of bool, shape (G,)
        The GPU offers that each workload can run on.
    rented : mapping
        The best of them, None where there is none.
    needed : sequence of (int, tuple of int)
        Offers that are shared disks, each with volumes of which a job has to need one there.
    """
    if None in rented.values():
        return None
    best = {w: g for w, g in rented.items() if g is not None}
    if not needed or limits is None:
        return best if not needed else None
    serves: dict[int, list[tuple[frozenset[int], int]]] = {}
    for w, mask in allowed.items():
        mine = [
            n for n, (_, unit) in enumerate(needed) if not set(unit).isdisjoint(rentals.mounts[w])
        ]
        kinds: dict[frozenset[int], NDArray[np.bool_]] = {}
        for g in np.flatnonzero(mask & (rentals.broken[w] == 0)).tolist() if mine else ():
            there = limits.too_many[w, g]
            served = frozenset(n for n in mine if there and rentals.meets[g, needed[n][0]])
            kinds.setdefault(served, np.zeros(len(mask), np.bool_))[g] = True
        options = {served: rentals.best(w, kind) for served, kind in kinds.items()}
        serves[w] = [(served, g) for served, g in options.items() if g is not None]
        serves[w].sort(key=lambda option: rentals.usd_month(w, option[1]))
    jobs = [w for w, options in serves.items() if options]
    least = [rentals.usd_month(w, serves[w][0][1]) for w in jobs]
    cheapest: tuple[Decimal, dict[int, int]] | None = None

    def descend(at: int, left: frozenset[int], spent: Decimal, taken: dict[int, int]) -> None:
        nonlocal cheapest
        if cheapest is not None and total([spent, *least[at:]]) >= cheapest[0]:
            return
        if at == len(jobs):
            if not left:
                cheapest = spent, taken
            return
        w = jobs[at]
        for served, g in serves[w]:
            cost = rentals.usd_month(w, g)
            descend(at + 1, left - served, total([spent, cost]), {**taken, w: g})

    descend(0, frozenset(range(len(needed))), total([]), {})
    return None if cheapest is None else {**best, **cheapest[1]}
