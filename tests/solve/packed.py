"""An independent optimiser for shared disks: every partition of replicas into disks, and all GPUs.

Shares with planner only how the sizes of a key are divided. Instances are tiny, so that everything
can be tried: where each replica is, which of those at one offer share a disk, on what jobs run.
"""

from __future__ import annotations

import itertools
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.solve import brute

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

Row = dict[str, Any]
SITES = [("alpha", "A-1"), ("alpha", "A-2"), ("beta", "B-1"), ("gamma", "G-1")]
PRICES = ["0.0001", "0.0001", "0.0002", "0.00015", "0.00011"]
LEVELS = ["site", "data_center", "provider"]


class Disk(NamedTuple):
    """One disk or, of a volume alone, a few: which replicas are on it, where, and its cost."""

    volumes: tuple[int, ...]
    offer: int
    gb: int
    pieces: int
    usd_hr: Fraction


def instance(rng: random.Random) -> tuple[Row, list[Row], list[Row]]:
    """Return a demand, rows of disk offers and rows of GPU offers."""
    rows = [row for site in SITES for row in _disks(rng, *site) if rng.random() < 0.8]
    gpus = [_gpu(rng) for _ in range(rng.randint(2, 5))]
    volumes = [_volume(rng, name) for name in "abcd"[: rng.choice([2, 3, 3, 3, 4])]]
    if len(volumes) == 4:
        for volume in volumes:
            volume.pop("replicas", None)
    names = [volume["name"] for volume in volumes]
    jobs: list[Row] = []
    for n in range(rng.choice([0, 1, 1, 2, 2])):
        mounts = rng.sample(names, rng.randint(min(2, len(names)), len(names)))
        hours = rng.choice([100, 300])
        jobs.append({"name": f"job-{n}", "gpu": "H100_80GB", "mounts": sorted(mounts)})
        jobs[-1] |= {"hours_per_month": hours} | ({"nodes": 2} if rng.random() < 0.15 else {})
    policy: Row = {"attach_limits": {"alpha": 1, "beta": 2}, "sequential": rng.random() < 0.7}
    wishes: list[tuple[float, str, Any]] = [
        (0.15, "packing", "never"),
        (0.15, "max_sites", rng.randint(1, 2)),
        (0.1, "max_disks_per_site", rng.randint(1, 3)),
        (0.1, "max_provider_share", rng.choice([0.5, 0.7, 0.8])),
    ]
    policy |= {word: value for chance, word, value in wishes if rng.random() < chance}
    groups = [_group(rng, names) for _ in range(rng.choice([0, 0, 1, 1, 2]))]
    if any(group.get("same") == "disk" for group in groups):
        for volume in volumes:
            volume.pop("replicas", None)
    demand = {"version": 1, "volumes": volumes, "workloads": jobs}
    return {**demand, "groups": groups, "policy": policy}, rows, gpus


def _group(rng: random.Random, names: list[str]) -> Row:
    same = rng.random() < 0.6
    word = "disk" if same and rng.random() < 0.6 else rng.choice(LEVELS)
    return {"volumes": sorted(rng.sample(names, 2)), "same" if same else "different": word}


def _disks(rng: random.Random, provider: str, data_center: str) -> Iterator[Row]:
    for cloud in [None, "c1"][: rng.choice([1, 1, 2])]:
        spec = {
            "minCount": rng.choice([1, 1, 5, 20]),
            "step": rng.choice([1, 1, 10]),
            "maxCount": rng.choice([None, 60, 60, 30]),
            "pricePerUnit": Decimal(rng.choice(PRICES)),
        }
        row = {
            "provider": provider,
            "cloudId": cloud,
            "dataCenter": data_center,
            "country": "US",
            "region": "united_states",
            "spec": spec,
            "stockStatus": "Available",
            "security": rng.choice(["secure_cloud", "secure_cloud", "community_cloud"]),
            "isMultinode": rng.random() < 0.8,
        }
        yield row
        if rng.random() < 0.2 and spec["maxCount"] is not None:  # larger sizes at another price
            larger = {"minCount": spec["maxCount"] + 1, "maxCount": 120, "step": 1}
            yield {
                **row,
                "spec": {**larger, "pricePerUnit": Decimal(rng.choice([*PRICES, "0.00005"]))},
            }


def _gpu(rng: random.Random) -> Row:
    provider, data_center = rng.choice(SITES)
    return {
        "cloudId": rng.choice(["x", "y"]),
        "gpuType": rng.choice(["H100_80GB", "H100_80GB", "H100_80GB", "A100_80GB"]),
        "socket": "PCIe",
        "provider": provider,
        "dataCenter": data_center if rng.random() < 0.85 else None,
        "country": "US",
        "region": "united_states",
        "gpuCount": 1,
        "gpuMemory": 80,
        "stockStatus": "Available",
        "security": "secure_cloud",
        "prices": {
            "onDemand": Decimal(rng.choice(["0.0004", "0.0007", "0.01", "2"])),
            "currency": "USD",
        },
        "isSpot": None,
    }


def _volume(rng: random.Random, name: str) -> Row:
    volume: Row = {"name": name, "size_gb": rng.randint(1, 40)}
    if rng.random() < 0.3:
        volume["replicas"] = 2
    if rng.random() < 0.5:
        volume["spread"] = rng.choice(["none", "site", "data_center", "provider"])
    if rng.random() < 0.3:
        volume["max_disks"] = 2
    if rng.random() < 0.2:
        volume["security"] = "secure_cloud"
    if rng.random() < 0.15:
        volume["providers"] = sorted(rng.sample(["alpha", "beta", "gamma"], 2))
    if rng.random() < 0.1:
        volume["multinode"] = True
    return volume


def best(demand: Row, rows: list[Row], gpus: list[Row]) -> tuple[Fraction, int] | None:
    """Return the least monthly cost, and how few replicas jobs have share disks at that cost."""
    search = _Search(demand, rows, gpus)
    found: tuple[Fraction, int] | None = None
    for layout in search.layouts():
        disks = [disk for here in layout for disk in here]
        cost = sum((disk.usd_hr for disk in disks), Fraction(0)) * 730
        packed = sum(len(disk.volumes) for disk in disks if search.is_for_jobs(disk))
        if found is not None and (cost, packed) >= found:
            continue
        if not search.holds(disks):
            continue
        jobs = search.cheapest_jobs(disks)
        if jobs is not None and (found is None or (cost + jobs, packed) < found):
            found = cost + jobs, packed
    return found


class _Search:
    def __init__(self, demand: Row, rows: list[Row], gpus: list[Row]) -> None:
        self.demand, self.offers, self.gpus = demand, brute.merge(rows), gpus
        self.volumes, self.policy = demand["volumes"], demand["policy"]
        self.index = {volume["name"]: v for v, volume in enumerate(self.volumes)}
        self.unit = {v: frozenset([v]) for v in range(len(self.volumes))}
        for group in demand["groups"]:
            if group.get("same") == "disk":
                merged = frozenset[int]().union(
                    *(self.unit[self.index[name]] for name in group["volumes"])
                )
                self.unit.update(dict.fromkeys(merged, merged))
        self.mounts = [[self.index[name] for name in job["mounts"]] for job in demand["workloads"]]
        self.alone = {
            (v, o): held
            for v, volume in enumerate(self.volumes)
            for o, offer in enumerate(self.offers)
            if (held := brute.provision_of(volume, offer)) is not None and len(self.unit[v]) == 1
        }

    def is_for_jobs(self, disk: Disk) -> bool:
        return len(disk.volumes) > 1 and self.unit[disk.volumes[0]] != {*disk.volumes}

    # Where replicas are, and on which disks.

    def layouts(self) -> Iterator[list[list[Disk]]]:
        """Yield every placement: for each offer the disks that are bought there."""
        places = [list(self._places(volume)) for volume in self.volumes]
        for chosen in itertools.product(*places):
            here: list[list[int]] = [[] for _ in self.offers]
            for v, offers in enumerate(chosen):
                for o in offers:
                    here[o].append(v)
            options = [
                [list(map(self._sized(o), blocks)) for blocks in partitions(members)]
                for o, members in enumerate(here)
            ]
            sold = [[disks for disks in each if None not in disks] for each in options]
            yield from itertools.product(*sold)

    def _places(self, volume: Row) -> Iterator[tuple[int, ...]]:
        replicas, level = volume.get("replicas", 1), volume.get("spread", "data_center")
        for offers in itertools.combinations_with_replacement(range(len(self.offers)), replicas):
            apart = replicas == 1 or level == "none"
            if apart or brute.are_apart([self.offers[o] for o in offers], level):
                yield offers

    def _sized(self, o: int) -> Any:
        def disk(block: tuple[int, ...]) -> Disk | None:
            offer = self.offers[o]
            if len(block) == 1:
                held = self.alone.get((block[0], o))
                return held and Disk(block, o, held[0], held[1], held[0] * offer["price"])
            if len({*block}) < len(block) or any(not self.unit[v] <= {*block} for v in block):
                return None
            gb = self._one_disk(block, offer)
            sizes = [(self._one_disk(block, tier), tier) for tier in offer["of_key"]]
            costs = [
                (size * tier["price"], size, n) for n, (size, tier) in enumerate(sizes) if size
            ]
            if gb is None or offer["of_key"][min(costs)[2]] is not offer:
                return None
            return Disk(block, o, gb, 1, gb * offer["price"])

        return disk

    def _one_disk(self, block: tuple[int, ...], offer: Row) -> int | None:
        """Return the size of one disk for volumes, None where one of them may not be there."""
        if not all(brute.admissible(self.volumes[v], offer) for v in block):
            return None
        need = sum(brute.need_gb(self.volumes[v]) for v in block)
        return min((size for size in offer["sizes"] if size >= need), default=None)

    # What disks must be together.

    def holds(self, disks: list[Disk]) -> bool:
        policy = self.policy
        at = [self.offers[disk.offer] for disk in disks]
        sites = [(offer["provider"], offer["data_center"]) for offer in at]
        if len({*sites}) > policy.get("max_sites", 9):
            return False
        for site in {*sites}:
            here = sum(d.pieces for d, s in zip(disks, sites, strict=True) if s == site)
            if here > policy.get("max_disks_per_site", 99):
                return False
        for provider in {offer["provider"] for offer in at}:
            share = Fraction(str(policy.get("max_provider_share", 1)))
            held = sum(d.gb for d, o in zip(disks, at, strict=True) if o["provider"] == provider)
            if held > share * sum(disk.gb for disk in disks):
                return False
        return all(self._grouped(group, disks) for group in self.demand["groups"])

    def _grouped(self, group: Row, disks: list[Disk]) -> bool:
        first, second = (self.index[name] for name in group["volumes"])
        for word in ("same", "different"):
            level = group.get(word)
            if level in {None, "disk"}:
                continue
            level = "site" if word == "same" and level == "data_center" else level
            one, other = (
                {
                    domain
                    for disk in disks
                    if v in disk.volumes
                    for domain in brute.domains(self.offers[disk.offer], level)
                }
                for v in (first, second)
            )
            if word == "different" and one & other:
                return False
            counts = [self.volumes[v].get("replicas", 1) for v in (first, second)]
            if word == "same" and counts[0] <= counts[1] and not one <= other:
                return False
            if word == "same" and counts[1] <= counts[0] and not other <= one:
                return False
        return True

    # What jobs run on.

    def cheapest_jobs(self, disks: list[Disk]) -> Fraction | None:
        """Return what jobs cost on the cheapest GPUs that go with the disks, in a month."""
        options = []
        for w, job in enumerate(self.demand["workloads"]):
            runs = [
                (Fraction(gpu["prices"]["onDemand"]) * job["hours_per_month"] * self._nodes(w), gpu)
                for gpu in self.gpus
                if gpu["gpuType"] == job["gpu"] and self._mounts(w, gpu, disks)
            ]
            options.append(runs)
        packed = [disk for disk in disks if self.is_for_jobs(disk)]
        costs = [
            sum((usd for usd, _ in chosen), Fraction(0))
            for chosen in itertools.product(*options)
            if all(self._needed(disk, [gpu for _, gpu in chosen]) for disk in packed)
        ]
        return min(costs, default=None)

    def _nodes(self, w: int) -> int:
        nodes: int = self.demand["workloads"][w].get("nodes", 1)
        return nodes

    def _meets(self, gpu: Row, o: int) -> bool:
        offer = self.offers[o]
        return bool(
            gpu["provider"] == offer["provider"]
            and gpu["dataCenter"] in {None, offer["data_center"]}
        )

    def _reaches(self, w: int, v: int, gpu: Row, o: int) -> bool:
        jobs = [job for job, mounts in enumerate(self.mounts) if v in mounts]
        hours = sum(self.demand["workloads"][job]["hours_per_month"] for job in jobs)
        turns = self.policy["sequential"] and hours <= 730
        many = self._nodes(w) > 1 or (len(jobs) > 1 and not turns)
        return self._meets(gpu, o) and (not many or bool(self.offers[o]["multinode"]))

    def _mounts(self, w: int, gpu: Row, disks: list[Disk]) -> bool:
        """Return whether a pod there can mount a replica of each volume of a job."""
        replicas = [
            [d for d, disk in enumerate(disks) if v in disk.volumes] for v in self.mounts[w]
        ]
        reached = [
            [d for d in mine if self._reaches(w, v, gpu, disks[d].offer)]
            for v, mine in zip(self.mounts[w], replicas, strict=True)
        ]
        limit = self.policy["attach_limits"].get(gpu["provider"], 99)
        return any(
            sum(disks[d].pieces for d in {*chosen}) <= limit
            for chosen in itertools.product(*reached)
        )

    def _too_many(self, w: int, gpu: Row) -> bool:
        """Return whether a disk for each volume would be more than a pod there can mount."""
        if self.policy.get("packing") == "never":
            return False
        least = {}
        for v in self.mounts[w]:
            counts = [
                count
                for (u, o), (_, count) in self.alone.items()
                if u == v and self._reaches(w, v, gpu, o)
            ]
            least[self.unit[v]] = min(counts, default=1)
        limit: int = self.policy["attach_limits"].get(gpu["provider"], 99)
        return sum(least.values()) > limit

    def _needed(self, disk: Disk, chosen: list[Row]) -> bool:
        """Return whether jobs that are connected need each volume, or group, on a disk there."""
        connected = {*self.unit[disk.volumes[0]]}
        for _ in self.mounts:
            for mounts in self.mounts:
                members = frozenset[int]().union(*(self.unit[v] for v in mounts))
                if members & connected:
                    connected |= members
        return {*disk.volumes} <= connected and all(
            any(
                not self.unit[v].isdisjoint(self.mounts[w])
                and self._meets(gpu, disk.offer)
                and self._too_many(w, gpu)
                for w, gpu in enumerate(chosen)
            )
            for v in disk.volumes
        )


def partitions(members: list[int]) -> Iterator[list[tuple[int, ...]]]:
    """Yield every way to divide members into blocks."""
    if not members:
        yield []
        return
    first, *rest = members
    for others in partitions(rest):
        yield [(first,), *others]
        for n, block in enumerate(others):
            yield [*others[:n], tuple(sorted((first, *block))), *others[n + 1 :]]
