"""An independent optimiser for what couples volumes: enumerate replicas and GPUs, from the rows.

What one volume may be is `brute`'s; groups, workloads, caps, shares and budgets are written down
here once more, in the plainest words. A branch is left only where nothing below it can help: a
rule that more volumes cannot mend is broken, or it already costs as much as the best in hand.
"""

from __future__ import annotations

import itertools
from collections import Counter
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from tests.solve import brute

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tests.solve.brute import Row


class Gpu(NamedTuple):
    """A GPU offer that a workload may rent."""

    row: Row
    listing: str
    usd_hr: Fraction
    usd_month: Fraction


class Option(NamedTuple):
    """Where all replicas of one volume may be, at one cost."""

    usd_month: Fraction
    penalty: int
    offers: tuple[Row, ...]
    gb: int


class Found(NamedTuple):
    """An optimum: options in the order of volumes, GPUs in the order of workloads."""

    usd_month: Fraction
    penalty: int
    options: tuple[Option, ...]
    gpus: tuple[Gpu, ...]


def best(
    demand: Row, rows: list[Row], gpu_rows: Sequence[Row] = (), multinode_rows: Sequence[Row] = ()
) -> tuple[Fraction, int] | None:
    """Return the least monthly cost and, at that cost, the least stock penalty; None if none."""
    found = optimum(demand, rows, gpu_rows, multinode_rows)
    return None if found is None else (found.usd_month, found.penalty)


def optimum(
    demand: Row, rows: list[Row], gpu_rows: Sequence[Row] = (), multinode_rows: Sequence[Row] = ()
) -> Found | None:
    """Return an optimum, of least cost and then least stock penalty; None if there is none."""
    options = options_of(demand, brute.merge(rows))
    found: Found | None = None
    for gpus in rentals(demand, gpu_rows, multinode_rows):
        mine = [
            [option for option in those if serves(demand, volume, option, gpus)]
            for volume, those in zip(demand["volumes"], options, strict=True)
        ]
        found = _search(demand, mine, gpus, found)
    return found


def _search(
    demand: Row, options: list[list[Option]], gpus: tuple[Gpu, ...], found: Found | None
) -> Found | None:
    """Return the better of what is in hand and the best choice of options beside these GPUs."""
    if not all(options):
        return found
    least = [min(option.usd_month for option in those) for those in options]
    rest = [sum(least[index:], Fraction(0)) for index in range(len(least) + 1)]
    rented = sum((gpu.usd_month for gpu in gpus), Fraction(0))
    hand = found

    def down(chosen: tuple[Option, ...], usd: Fraction, penalty: int) -> None:
        nonlocal hand
        depth = len(chosen)
        if hand is not None and (usd + rest[depth], penalty) >= (hand.usd_month, hand.penalty):
            return
        if not holds(demand, chosen):
            return
        if depth == len(options):
            hand = Found(usd, penalty, chosen, gpus)
            return
        for option in options[depth]:
            down((*chosen, option), usd + option.usd_month, penalty + option.penalty)

    down((), rented, 0)
    return hand


def options_of(demand: Row, offers: list[Row]) -> list[list[Option]]:
    """Return for each volume every way to place its replicas that the volume alone allows."""
    return [
        sorted(_options(demand, volume, offers), key=lambda option: option.usd_month)
        for volume in demand["volumes"]
    ]


def _options(demand: Row, volume: Row, offers: list[Row]) -> Iterator[Option]:
    replicas, spread = volume.get("replicas", 1), volume.get("spread", "data_center")
    apart = replicas > 1 and spread != "none"
    levels = tuple(level for _, level in looked_at(demand, volume) if level != "data_center")
    mounted = any(volume["name"] in job["mounts"] for job in demand.get("workloads", ()))
    shared = {**volume, "multinode": True}
    held = [
        (
            offer,
            brute.provision_of(volume, offer, levels)
            or (brute.provision_of(shared, offer, levels) if mounted else None),
        )
        for offer in offers
    ]
    places = [(offer, found[0]) for offer, found in held if found is not None]
    for combo in itertools.combinations_with_replacement(places, replicas):
        if apart and not brute.are_apart([offer for offer, _ in combo], spread):
            continue
        chosen = tuple(offer for offer, _ in combo)
        if any(None in present(chosen, *kind) for kind in looked_at(demand, volume)):
            continue
        usd_hr = sum((gb * offer["price"] for offer, gb in combo), Fraction(0))
        penalty = sum(3 - offer["stock"] for offer in chosen)
        yield Option(usd_hr * hours(demand), penalty, chosen, sum(gb for _, gb in combo))


def hours(demand: Row) -> int:
    found: int = demand.get("policy", {}).get("hours_per_month", 730)
    return found


def looked_at(demand: Row, volume: Row) -> list[tuple[str, str]]:
    """Return kind and level of each group that the volume is in."""
    mine = [group for group in demand.get("groups", []) if volume["name"] in group["volumes"]]
    return [
        (kind, group[kind]) for group in mine for kind in ("same", "different") if kind in group
    ]


def present(offers: Iterable[Row], kind: str, level: str) -> set[object]:
    """Return the domains in which a volume at these offers is present."""
    if (kind, level) == ("same", "data_center"):
        level = "site"
    return {domain for offer in offers for domain in brute.domains(offer, level)}


def site(offer: Row) -> tuple[object, ...]:
    return (offer["provider"], offer["data_center"], offer["country"])


def holds(demand: Row, chosen: tuple[Option, ...]) -> bool:
    """Return whether the first volumes placed so break no rule that more volumes cannot mend.

    The provider's share is the one rule that they can, and is looked at when all are placed.
    """
    placed = list(zip(demand["volumes"], chosen, strict=False))
    policy = demand.get("policy", {})
    if not _places_hold(policy, placed):
        return False
    whole = sum(option.usd_month for option in chosen)
    if "budget_usd_month" in policy and whole > Fraction(str(policy["budget_usd_month"])):
        return False
    for owner, limit in policy.get("budgets", {}).items():
        mine = [option.usd_month for volume, option in placed if volume.get("owner") == owner]
        if sum(mine) > Fraction(str(limit)):
            return False
    if not all(_group_holds(group, placed) for group in demand.get("groups", [])):
        return False
    complete = len(chosen) == len(demand["volumes"])
    return not complete or "max_provider_share" not in policy or _share_holds(demand, chosen)


def _places_hold(policy: Row, placed: list[tuple[Row, Option]]) -> bool:
    here: Counter[tuple[object, ...]] = Counter()
    for volume, option in placed:
        for offer in option.offers:
            here[site(offer)] += brute.provision_alone(volume, offer)[1]  # type: ignore[index]
    providers = {place[0] for place in here}
    most = max(here.values(), default=0)
    used = {"max_sites": len(here), "max_providers": len(providers), "max_disks_per_site": most}
    return all(count <= policy.get(name, count) for name, count in used.items())


def _group_holds(group: Row, placed: list[tuple[Row, Option]]) -> bool:
    for kind in ("same", "different"):
        if kind not in group:
            continue
        members = [
            (volume.get("replicas", 1), present(option.offers, kind, group[kind]))
            for volume, option in placed
            if volume["name"] in group["volumes"]
        ]
        for (fewer, here), (more, there) in itertools.permutations(members, 2):
            if kind == "different" and here & there:
                return False
            if kind == "same" and fewer <= more and not here <= there:
                return False
    return True


def _share_holds(demand: Row, chosen: tuple[Option, ...]) -> bool:
    share = Fraction(str(demand["policy"]["max_provider_share"]))
    gb: Counter[str] = Counter()
    for volume, option in zip(demand["volumes"], chosen, strict=True):
        for offer in option.offers:
            gb[offer["provider"]] += brute.provision_alone(volume, offer)[0]  # type: ignore[index]
    return all(mine <= share * gb.total() for mine in gb.values())


def rentals(
    demand: Row, gpu_rows: Sequence[Row], multinode_rows: Sequence[Row], *, every: bool = False
) -> list[tuple[Gpu, ...]]:
    """Return every choice of a GPU offer for each workload, cheapest first.

    Of offers at one place in one listing a workload sees only the price: unless ``every`` one is
    wanted, the cheapest stands for them.
    """
    choices = []
    for workload in demand.get("workloads", []):
        listed = [("gpus", row) for row in gpu_rows] + [
            ("multi-node", row) for row in multinode_rows
        ]
        mine = [gpu for listing, row in listed for gpu in _rental(demand, workload, listing, row)]
        cheapest: dict[object, Gpu] = {}
        for gpu in sorted(mine, key=lambda gpu: gpu.usd_month):
            place = tuple(gpu.row.get(name) for name in ("provider", "dataCenter", "country"))
            cheapest.setdefault((gpu.listing, place), gpu)
        choices.append(mine if every else list(cheapest.values()))
    return sorted(itertools.product(*choices), key=lambda gpus: sum(gpu.usd_month for gpu in gpus))


def _rental(demand: Row, workload: Row, listing: str, row: Row) -> list[Gpu]:
    """Return the offer as the workload would rent it; nothing where it must not or cannot be."""
    prices = row.get("prices") or {}
    usd = prices.get("communityPrice")
    if usd is None:
        usd = prices.get("onDemand")
    wanted = {"gpuType": workload["gpu"], "gpuCount": workload.get("gpus", 1)}
    if "socket" in workload:
        wanted["socket"] = workload["socket"]
    if workload.get("security", "any") != "any":
        wanted["security"] = workload["security"]
    ok = (
        all(row.get(name) == value for name, value in wanted.items())
        and (workload.get("spot", False) or not row.get("isSpot"))
        and ("regions" not in workload or row.get("region") in workload["regions"])
        and ("providers" not in workload or row.get("provider") in workload["providers"])
        and row.get("stockStatus") != "Unavailable"
        and prices.get("currency") == "USD"
        and usd is not None
        and usd > 0
    )
    if not ok:
        return []
    usd_hr = Fraction(str(usd))
    return [Gpu(row, listing, usd_hr, usd_hr * workload.get("nodes", 1) * runs(demand, workload))]


def runs(demand: Row, workload: Row) -> int:
    """Return the hours a month for which the workload runs."""
    found: int = workload.get("hours_per_month", hours(demand))
    return found


def serves(demand: Row, volume: Row, option: Option, gpus: tuple[Gpu, ...]) -> bool:
    """Return whether every workload that mounts the volume has a replica at its GPU's site."""
    workloads = list(zip(demand.get("workloads", []), gpus, strict=True))
    mounting = [(work, gpu) for work, gpu in workloads if volume["name"] in work["mounts"]]
    together = sum(runs(demand, work) for work, _ in mounting) > hours(demand)
    in_turn = demand.get("policy", {}).get("sequential", False) and not together
    for work, gpu in mounting:
        shared = len(mounting) > 1 and not in_turn
        several = work.get("nodes", 1) > 1 or gpu.listing == "multi-node" or shared
        if not any(_meets(offer, gpu.row, several=several) for offer in option.offers):
            return False
    return True


def _meets(offer: Row, gpu: Row, *, several: bool) -> bool:
    return (
        offer["provider"] == gpu["provider"]
        and (
            offer["data_center"] == gpu.get("dataCenter")
            or offer["data_center"] is None
            or gpu.get("dataCenter") is None
        )
        and (
            offer["country"] == gpu.get("country")
            or offer["country"] is None
            or gpu.get("country") is None
        )
        and (offer["multinode"] is True or not several)
    )
