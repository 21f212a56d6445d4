"""The independent check, second half: what placements and GPUs must be together.

Spread, groups, workloads, caps, shares and budgets, written against the words of the design, in
plain Python and exact fractions. No line is shared with the program or with what prepares it.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from planner.units import plain, total, usd_month

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from planner.demand.model import Demand, Group, Volume, Workload
    from planner.solve.rentals import Gpu
    from planner.solve.solution import Placement

Row = dict[str, Any]
Where = dict[str, list[Row]]
"""For each volume the offers at which its replicas are."""


def spread(volume: Volume, offers: Sequence[Row]) -> Iterator[str]:
    """Yield how replicas of a volume at these offers break its spread."""
    if volume.spread == "none" or volume.replicas == 1:
        return
    levels = [volume.spread]
    if volume.spread in {"provider", "country", "region"}:
        levels.append("data_center")
    for level in levels:
        seen: set[Any] = set()
        for offer in offers:
            here = _domains(offer, level)
            if None in here:
                yield f"{volume.name}: a replica's {level} is unknown"
            if seen & here:
                yield f"{volume.name}: two replicas share a {level}"
            seen |= here


def _domains(offer: Row, level: str) -> set[Any]:
    if level == "region":
        return set(offer["regions"])
    site = (offer["provider"], offer["data_center"], offer["country"])
    if level == "site" or (level == "data_center" and offer["data_center"] is None):
        return {site}
    return {offer[level]}


def groups(demand: Demand, where: Where) -> Iterator[str]:
    """Yield how volumes break the groups they are in."""
    replicas = {volume.name: volume.replicas for volume in demand.volumes}
    for number, group in enumerate(demand.groups, 1):
        for problem in _group(group, replicas, where):
            yield f"group {number}: {problem}"


def _group(group: Group, replicas: Mapping[str, int], where: Where) -> Iterator[str]:
    if group.same is not None:
        # One data centre's name at two providers is not one place to be together in.
        level = "site" if group.same in {"data_center", "disk"} else group.same
        members = _members(group, level, where)
        yield from _unknown(members, level)
        yield from _same(members, replicas, group.same)
    if group.different is not None:
        members = _members(group, group.different, where)
        yield from _unknown(members, group.different)
        yield from _different(members, group.different)


def _members(group: Group, level: str, where: Where) -> dict[str, set[Any]]:
    """Return the domains where each member is present; an offer of two regions is in both."""
    return {
        name: {domain for offer in where.get(name, ()) for domain in _domains(offer, level)}
        for name in group.volumes
    }


def _unknown(members: Mapping[str, set[Any]], level: str) -> Iterator[str]:
    for name, domains in members.items():
        if None in domains:
            yield f"the {level} of {name} is unknown"


def _same(
    members: Mapping[str, set[Any]], replicas: Mapping[str, int], level: str
) -> Iterator[str]:
    """Hold each member against the next by number of replicas: what is within is so in a chain."""
    for fewer, more in pairwise(sorted(members, key=lambda name: replicas[name])):
        if members[fewer] - members[more]:
            yield f"{fewer} is in a {level} where {more} is not"
        elif replicas[fewer] == replicas[more] and members[more] - members[fewer]:
            yield f"{more} is in a {level} where {fewer} is not"


def _different(members: Mapping[str, set[Any]], level: str) -> Iterator[str]:
    first: dict[Any, str] = {}
    for name, domains in members.items():
        for other in sorted({first[domain] for domain in domains if domain in first}):
            yield f"{other} and {name} share a {level}"
        for domain in domains:
            first.setdefault(domain, name)


def caps(demand: Demand, placements: Sequence[Placement]) -> Iterator[str]:
    """Yield how disks break the policy's caps on sites and providers."""
    policy = demand.policy
    limits = (policy.max_sites, policy.max_providers, policy.max_disks_per_site)
    if limits == (None, None, None) and policy.max_provider_share is None:
        return
    gb: Counter[str] = Counter()
    for placement in placements:
        gb[placement.provider] += placement.provision_gb
    sites = len(
        {(placement.provider, placement.data_center, placement.country) for placement in placements}
    )
    if policy.max_sites is not None and sites > policy.max_sites:
        yield f"the plan uses {sites} sites, max_sites is {policy.max_sites}"
    if policy.max_providers is not None and len(gb) > policy.max_providers:
        yield f"the plan uses {len(gb)} providers, max_providers is {policy.max_providers}"
    here: Counter[tuple[str | None, ...]] = Counter()
    for placement in placements:
        own = placement.disk_group is None or placement.disk_group[0] == placement.volume
        site = placement.provider, placement.data_center, placement.country
        here[site] += len(placement.disk_sizes_gb) * own
    most = max(here.values(), default=0)
    if policy.max_disks_per_site is not None and most > policy.max_disks_per_site:
        yield f"a site holds {most} disks, max_disks_per_site is {policy.max_disks_per_site}"
    if (share := policy.max_provider_share) is not None:
        for provider in sorted(gb):
            if gb[provider] > Fraction(share) * gb.total():
                held = f"{provider} holds {gb[provider]} of {gb.total()} GB"
                yield f"{held}, max_provider_share is {plain(share)}"


def budgets(demand: Demand, placements: Sequence[Placement]) -> Iterator[str]:
    """Yield the budgets that disks exceed."""
    if demand.policy.over_budget == "allow":
        return
    whole, by_owner = demand.policy.budget_usd_month, demand.policy.budgets
    for owner, limit in [(None, whole), *by_owner.items()]:
        mine = (p.usd_hr for p in placements if owner is None or p.owner == owner)
        spent = usd_month(total(mine), demand.policy.hours_per_month)
        if limit is not None and spent > limit:
            whose = f"owner {owner}" if owner else "the plan"
            yield f"{whose} spends {plain(spent)} USD a month, the budget is {plain(limit)}"


def workloads(
    demand: Demand, where: Where, gpus: Sequence[Row], rented: Sequence[Gpu]
) -> Iterator[str]:
    """Yield how the GPUs rented break the demand or contradict the market."""
    yield from _each_once(demand, rented)
    listed: dict[str, list[Row]] = {}
    for row in gpus:
        listed.setdefault(row["offer_id"], []).append(row)
    wanted = {workload.name: workload for workload in demand.workloads}
    shared = shared_volumes(demand)
    for gpu in rented:
        workload = wanted.get(gpu.workload)
        if workload is None:
            continue
        problems = ["no such GPU offer in this market"]
        likeness: tuple[int, int] | None = None
        for row in listed.get(gpu.offer_id, ()):
            unlike = list(_as_listed(gpu, workload, row, demand))
            unfit = [*_suits(workload, row), *_mounts(workload, row, where, shared)]
            # Rows may share an id: the one rented is the most like, and of such the fittest.
            if likeness is None or (len(unlike), len(unfit)) < likeness:
                likeness, problems = (len(unlike), len(unfit)), [*unlike, *unfit]
        yield from (f"workload {gpu.workload}: {problem}" for problem in problems)


def stranded(demand: Demand, where: Where, gpus: Sequence[Row]) -> Iterator[str]:
    """Yield the workloads that no GPU offer can run where the volumes are."""
    shared = shared_volumes(demand)
    for workload in demand.workloads:
        if not any(
            not [*_suits(workload, row), *_mounts(workload, row, where, shared)] for row in gpus
        ):
            yield f"workload {workload.name}: no GPU offer is where its volumes are"


def _each_once(demand: Demand, rented: Sequence[Gpu]) -> Iterator[str]:
    wanted = Counter(workload.name for workload in demand.workloads)
    counts = Counter(gpu.workload for gpu in rented)
    for name in wanted - counts:
        yield f"workload {name}: no GPU is rented"
    for name in counts - wanted:
        yield f"workload {name}: a GPU is rented but was not asked for, or twice"
    order = {workload.name: index for index, workload in enumerate(demand.workloads)}
    places = [order.get(gpu.workload, -1) for gpu in rented]
    if places != sorted(places):
        yield "GPUs are not in the demand's order"


_NAMED = (
    *("provider", "cloud_id", "gpu_type", "gpus", "socket"),
    *("security", "data_center", "country", "region"),
)


def _as_listed(gpu: Gpu, workload: Workload, row: Row, demand: Demand) -> Iterator[str]:
    for name in _NAMED:
        if getattr(gpu, name) != row[name]:
            yield f"{name} is not the GPU offer's"
    if gpu.spot is not (row["spot"] is True):
        yield "spot is not the GPU offer's"
    hours, month = demand.hours_of(workload), demand.policy.hours_per_month
    if gpu.nodes != workload.nodes:
        yield f"nodes is {gpu.nodes}, {workload.nodes} was asked for"
    if gpu.hours_per_month != hours:
        yield f"hours_per_month is {gpu.hours_per_month}, {hours} was asked for"
    on = None if row["usd_hr"] is None else Fraction(row["usd_hr"]) * workload.nodes
    if on is None or gpu.usd_hr_on != on:
        yield "usd_hr_on is not nodes times price"
    if on is None or gpu.usd_hr != _as_decimal(on * hours / month):
        yield "usd_hr is not usd_hr_on averaged over the month"


def _as_decimal(amount: Fraction) -> Fraction:
    """Return an amount that decimals can write; else rounded half to even at 12 places."""
    rest = amount.denominator
    for factor in (2, 5):
        while rest % factor == 0:
            rest //= factor
    return amount if rest == 1 else Fraction(round(amount * 10**12), 10**12)


def _suits(workload: Workload, row: Row) -> Iterator[str]:
    if row["problem"] is not None or row["usd_hr"] is None:
        yield "the GPU offer cannot be rented"
    if row["stock"] == "Unavailable":
        yield "the GPU offer is out of stock"
    wishes = {"gpu_type": workload.gpu, "gpus": workload.gpus, "socket": workload.socket}
    if workload.security != "any":
        wishes["security"] = workload.security
    for name, wish in wishes.items():
        if wish is not None and row[name] != wish:
            yield f"{name} is {row[name]}, {wish} was asked for"
    if row["spot"] is True and not workload.spot:
        yield "it is a spot offer, and spot was not asked for"
    for name, allowed in (("provider", workload.providers), ("region", workload.regions)):
        if allowed is not None and row[name] not in allowed:
            yield f"{name} {row[name]} is not allowed"


def reaches(workload: Workload, name: str, gpu: Row, offer: Row, shared: set[str]) -> bool:
    """Return whether a workload on a GPU offer can mount a volume of its from an offer."""
    many = workload.nodes > 1 or gpu["listing"] == "multi-node" or name in shared
    return _meets(gpu, offer) and (not many or offer["multinode"] is True)


def _mounts(workload: Workload, row: Row, where: Where, shared: set[str]) -> Iterator[str]:
    many = workload.nodes > 1 or row["listing"] == "multi-node"
    for name in workload.mounts:
        here = [offer for offer in where.get(name, ()) if _meets(row, offer)]
        if not here:
            yield f"no copy of {name} is at the GPU's site"
        elif (many or name in shared) and not any(offer["multinode"] is True for offer in here):
            yield f"{name} is not on multi-node disks at the GPU's site"


def _meets(gpu: Row, offer: Row) -> bool:
    if gpu["provider"] is None or gpu["provider"] != offer["provider"]:
        return False
    named = ("data_center", "country")
    return all(gpu[name] is None or offer[name] in {None, gpu[name]} for name in named)


def shared_volumes(demand: Demand) -> set[str]:
    """Return the volumes that workloads may mount at one time."""
    hours: dict[str, list[int]] = {}
    for workload in demand.workloads:
        for name in workload.mounts:
            hours.setdefault(name, []).append(demand.hours_of(workload))
    policy = demand.policy
    return {
        name
        for name, each in hours.items()
        if len(each) > 1 and not (policy.sequential and sum(each) <= policy.hours_per_month)
    }
