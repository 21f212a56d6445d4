"""The independent check: every rule and every cent, from the inputs, without a solver.

Written against the words of the design and not against the program: plain Python on one placement
at a time, sharing no code with the candidates or the program but the exact arithmetic. What it
is given of the market is what can be bought: rows of one create key already in their worst case.
What placements and GPUs must be together is in `verify_coupling`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from planner.market.disks import DISKS
from planner.market.gpus import GPUS
from planner.market.market import ADDRESSABLE
from planner.market.providers import documented_limits
from planner.schema import exactly, records
from planner.solve import verify_coupling as coupling
from planner.solve import verify_existing as existing
from planner.solve import verify_growth as growth
from planner.solve import verify_packing as packing
from planner.solve.solution import Placement
from planner.text import visible
from planner.units import plain, usd_hr

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    import pandas as pd

    from planner.demand.model import Demand, Volume, Workload
    from planner.solve.rentals import Gpu
    from planner.solve.tenures import Tenure

Row = dict[str, Any]

_LEVELS = {"Unavailable": 0, "unknown": 1, "Low": 2, "Medium": 3, "Available": 4, "High": 4}


def verify(
    demand: Demand,
    offers: pd.DataFrame,
    placements: Sequence[Placement],
    *,
    gpus: pd.DataFrame | None = None,
    rented: Sequence[Gpu] = (),
    disks: pd.DataFrame | None = None,
    schedule: Sequence[Tenure] = (),
    limits: Mapping[str, int] | None = None,
) -> tuple[str, ...]:
    """Return every way in which a plan breaks the demand or contradicts the market.

    Parameters
    ----------
    demand : Demand
        What was asked.
    offers : DataFrame
        Columns ``ADDRESSABLE``.
    placements : sequence of Placement
        What was chosen of them.
    gpus : DataFrame, optional
        Columns ``GPUS``, of one listing or both; without it no workload can be placed.
    rented : sequence of Gpu
        What was chosen of these, one for each workload.
    disks : DataFrame, optional
        Columns ``DISKS``: what the account has; without it nothing can be kept.
    schedule : sequence of Tenure
        What is to be bought later, where volumes grow.
    limits : mapping, optional
        How many disks one pod can mount, by provider, beside the policy's; None for what is
        documented.

    Returns
    -------
    tuple of str
        One sentence for each violation; empty when all holds.
    """
    gpu_rows = () if gpus is None or not rented else records(exactly(gpus, GPUS, what="gpus"))
    disk_rows = () if disks is None else records(exactly(disks, DISKS, what="disks"))
    offer_rows = records(exactly(offers, ADDRESSABLE, what="offers"))
    documented = documented_limits() if limits is None else limits
    known = {**documented, **demand.policy.attach_limits}
    return violations(
        demand, offer_rows, placements, gpu_rows, rented, disk_rows, schedule, limits=known
    )


def violations(
    demand: Demand,
    market: Sequence[Row],
    placements: Sequence[Placement],
    gpus: Sequence[Row] = (),
    rented: Sequence[Gpu] = (),
    disks: Sequence[Row] = (),
    schedule: Sequence[Tenure] = (),
    *,
    limits: Mapping[str, int] | None = None,
) -> tuple[str, ...]:
    """Return what `verify` does, of rows in place of frames.

    Without ``limits``, only those that the policy states are held against it: what is known of
    providers may have been otherwise when a plan was made.
    """
    sold: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in market:
        sold.setdefault(_key(row), []).append(row)
    by_name = {volume.name: volume for volume in demand.volumes}
    live = {row["id"]: row for row in disks}
    account = _Account(demand, by_name, existing.regions_of(market), sold, live, gpus, limits, {})
    until = growth.ends(demand, placements, schedule)
    now = [_InForce(account, each, end) for each, end in zip(placements, until, strict=True)]
    of_volume: dict[str, list[Placement]] = {}
    for placement in placements:
        of_volume.setdefault(placement.volume, []).append(placement)
    return (
        *_replicas(demand, placements),
        *(problem for there in now for problem in there.problems),
        *(each for v in demand.volumes for each in _order(v, of_volume.get(v.name, ()))),
        *existing.claims(demand, placements, account.live),
        *coupling.workloads(demand, _where(now), gpus, rented),
        *_together(account, now, rented),
        *growth.gaps(demand, placements, schedule),
        *_later(account, now, schedule),
    )


class _Account(NamedTuple):
    """What placements are held against: demand, regions of places, offers by key, live disks by id.

    And GPU offers, with how many disks one pod can mount, by provider. And what is judged already:
    what is wrong with an offer for a volume.
    """

    demand: Demand
    volumes: Mapping[str, Volume]
    regions: Mapping[tuple[Any, ...], set[Any]]
    sold: Mapping[tuple[Any, ...], list[Row]]
    live: Mapping[str, Row]
    gpus: Sequence[Row]
    limits: Mapping[str, int] | None
    judged: dict[tuple[str, int], tuple[str, ...]]


class _InForce:
    """A placement until a month: the offer that it is, and what is wrong with it alone."""

    def __init__(self, account: _Account, placement: Placement, end: int) -> None:
        self.placement, self.end, demand = placement, end, account.demand
        listed = account.sold.get(_key(vars(placement)), [])
        self.offer = offer = _of_size(listed, placement.disk_sizes_gb)
        is_kept = placement.action == "keep"
        volume = account.volumes.get(placement.volume)
        self.need_gb = 0 if volume is None else growth.need_gb(volume, end, exists=is_kept)
        problems: list[str] = []
        if is_kept:
            self.offer = offer = existing.stand_in(placement, account.regions)
            offer["multinode"] = existing.multinode(placement, account.live)
            if volume is not None:
                problems += existing.problems(placement, volume, self.need_gb, account.live, offer)
        elif offer is None:
            problems = ["no such offer in this market"]
        elif volume is not None:
            pair = placement.volume, id(offer)
            if pair not in account.judged:  # of however many sizes
                account.judged[pair] = (*_admissible(volume, offer),)
            problems = [*account.judged[pair], *_as_sold(placement, volume, offer)]
            if placement.disk_group is None:
                if len(listed) > 1:
                    rivals = _rivals(demand, volume, offer, listed)
                    known = _known_at(demand, volume)
                    problems += _tiers(placement, volume, self.need_gb, rivals, known)
                problems += _sizes(placement, volume, self.need_gb, offer)
        who = f"{placement.volume} replica {placement.replica}" if problems else ""
        self.problems = [f"{who}: {problem}" for problem in problems]


def _where(there: Iterable[_InForce]) -> coupling.Where:
    where: coupling.Where = {}
    for each in there:
        if each.offer is not None:
            where.setdefault(each.placement.volume, []).append(each.offer)
    return where


def _together(
    account: _Account,
    there: Sequence[_InForce],
    rented: Sequence[Gpu] = (),
    changed: Container[str] | None = None,
) -> Iterator[str]:
    """Yield what is wrong with placements that are there at one time, and what jobs run on then.

    Of a later month, spread is only held against the volumes that changed.
    """
    demand, here = account.demand, [each.placement for each in there]
    looked_at = changed if changed is not None and not demand.groups else None
    where = _where(
        there if looked_at is None else (e for e in there if e.placement.volume in looked_at)
    )
    for volume in demand.volumes:
        if changed is None or volume.name in changed:
            yield from coupling.spread(volume, where.get(volume.name, ()))
    yield from coupling.groups(demand, where)
    yield from coupling.caps(demand, here)
    yield from coupling.budgets(demand, here)
    if demand.workloads or demand.groups or any(each.disk_group for each in here):
        yield from _packing(account, there, rented)


def _packing(account: _Account, there: Sequence[_InForce], rented: Sequence[Gpu]) -> Iterator[str]:
    """Yield what is wrong with disks that volumes share, and with what pods mount."""
    demand, limits = account.demand, account.limits
    needs = {
        (each.placement.volume, each.placement.replica): (each.end, each.need_gb) for each in there
    }
    need_gb = {each.placement.volume: each.need_gb for each in there}
    placed = [(each.placement, each.offer) for each in there if each.offer is not None]
    known = {volume.name: _known_at(demand, volume) for volume in demand.volumes}
    shared = coupling.shared_volumes(demand)

    def allows(volume: Volume, row: Row) -> bool:
        return not any(_admissible(volume, row)) and not _is_unknown(row, known[volume.name])

    def fewest(volume: Volume, row: Row) -> int | None:
        need = need_gb.get(volume.name, volume.need_gb)
        disks = _fewest(need, row) if allows(volume, row) else None
        return disks if disks is not None and disks <= volume.max_disks else None

    def reaches(workload: Workload, name: str, gpu: Row, row: Row) -> bool:
        return coupling.reaches(workload, name, gpu, row, shared)

    scene = packing.Scene(demand, placed, needs, account.sold, allows, fewest, reaches)
    yield from packing.shared_disks(scene)
    yield from packing.groups(scene)
    ids = [gpu.offer_id for gpu in rented]
    rows = [[row for row in account.gpus if row["offer_id"] == each] for each in ids]
    stated = demand.policy.attach_limits if limits is None else limits
    judged = limits is not None and (bool(rented) or not demand.workloads)
    yield from packing.pods(scene, stated, [*zip(rented, rows, strict=True)], justified=judged)


def _fewest(need_gb: int, row: Row) -> int | None:
    """Return how few disks of an offer hold a volume; None where it sells none."""
    low, step, high = row["min_gb"], row["step_gb"], row["max_gb"]
    least = low if low >= 1 else step
    if high is None:
        return 1
    return None if least > high else -(-need_gb // (least + (high - least) // step * step))


def _is_unknown(row: Row, known: set[str]) -> bool:
    """Return whether an offer's place is unknown where it must be known."""
    return ("country" in known and row["country"] is None) or (
        "region" in known and None in row["regions"]
    )


def _later(account: _Account, now: Sequence[_InForce], schedule: Sequence[Tenure]) -> Iterator[str]:
    """Yield what is wrong with the months of a schedule in which something changes."""
    there = {(each.placement.volume, each.placement.replica): each for each in now}
    bought: defaultdict[int, list[Tenure]] = defaultdict(list)
    for row in schedule:
        bought[row.month].append(row)
    for month in sorted(bought):
        problems: list[str] = []
        for row in bought[month]:
            if (row.volume, row.replica) in there:
                new = _InForce(account, _bought(account, row), row.until_month)
                there[row.volume, row.replica] = new
                problems += new.problems
        here = [*there.values()]
        problems += _together(account, here, changed={row.volume for row in bought[month]})
        if account.demand.workloads:
            problems += coupling.stranded(account.demand, _where(here), account.gpus)
        yield from (f"in month {month}: {problem}" for problem in problems)


def _bought(account: _Account, tenure: Tenure) -> Placement:
    """Return a tenure as a placement at its offer's price."""
    volume = account.volumes.get(tenure.volume)
    offer = _of_size(account.sold.get(_key(vars(tenure)), []), tenure.disk_sizes_gb)
    return Placement(
        tenure.volume,
        tenure.replica,
        tenure.action,
        tenure.offer_id,
        tenure.provider,
        tenure.cloud_id,
        tenure.data_center,
        tenure.country,
        tenure.region,
        tenure.disk_sizes_gb,
        tenure.provision_gb,
        (offer or {}).get("usd_gb_hr") or Decimal(0),
        tenure.usd_hr,
        volume.owner if volume else None,
        dict(volume.tags) if volume else {},
        disk_group=tenure.disk_group,
    )


def _key(row: Any) -> tuple[Any, ...]:  # noqa: ANN401 -- an offer's record or a placement's fields
    return (row["provider"], row["cloud_id"], row["data_center"], row["country"])


def _of_size(listed: Sequence[dict[str, Any]], sizes: Sequence[int]) -> dict[str, Any] | None:
    """Return what sells the first disk of a placement; any offer of the key where nothing does."""
    if len(listed) == 1:
        return listed[0]
    selling = (offer for offer in listed if sizes and _sells(offer, sizes[0]))
    return next(selling, listed[0] if listed else None)


def _sells(offer: dict[str, Any], size: int) -> bool:
    low, step, high = offer["min_gb"], offer["step_gb"], offer["max_gb"]
    return bool(size >= max(1, low) and (high is None or size <= high) and (size - low) % step == 0)


def _known_at(demand: Demand, volume: Volume) -> set[str]:
    """Return where a volume's place must be known: null is no country and no region."""
    levels: set[str] = {volume.spread} if volume.replicas > 1 else set()
    for group in demand.groups:
        if volume.name in group.volumes:
            levels |= {level for level in (group.same, group.different) if level is not None}
    return levels & {"country", "region"}


def _rivals(
    demand: Demand, volume: Volume, offer: dict[str, Any], listed: Sequence[dict[str, Any]]
) -> Sequence[dict[str, Any]]:
    """Return the offers of a key that could serve instead; what is mounted may need multi-node."""
    mounted = any(volume.name in workload.mounts for workload in demand.workloads)
    if not mounted or offer["multinode"] is not True:
        return listed
    return [offer for offer in listed if offer["multinode"] is True]


def _tiers(
    placement: Placement,
    volume: Volume,
    need_gb: int,
    listed: Sequence[dict[str, Any]],
    known: set[str],
) -> Iterator[str]:
    """Yield where another size that the key sells holds the volume in fewer disks, or for less."""
    disks = len(placement.disk_sizes_gb)
    for other in listed if len(listed) > 1 and disks else ():
        step, most = other["step_gb"], other["max_gb"]
        least = other["min_gb"] or step
        if most is None:
            most = least + need_gb + step
        largest = least + (most - least) // step * step
        if _is_unknown(other, known) or least > most or any(_admissible(volume, other)):
            continue
        if (disks - 1) * largest >= need_gb:
            yield "another size of the same place holds it in fewer disks"
        if disks * largest >= need_gb:
            steps = max(0, -(-(need_gb - disks * least) // step))
            if usd_hr(disks * least + steps * step, other["usd_gb_hr"]) < placement.usd_hr:
                yield "another size of the same place holds it for less"


def _replicas(demand: Demand, placements: Sequence[Placement]) -> Iterator[str]:
    wanted = Counter((v.name, r) for v in demand.volumes for r in range(1, v.replicas + 1))
    placed = Counter((placement.volume, placement.replica) for placement in placements)
    for name, replica in wanted - placed:
        yield f"{name} replica {replica}: is not placed"
    order = {volume.name: index for index, volume in enumerate(demand.volumes)}
    places = [order.get(placement.volume, -1) for placement in placements]
    if places != sorted(places):
        yield "placements are not in the demand's order"
    for name, replica in placed - wanted:
        yield f"{name} replica {replica}: is placed but was not asked for, or twice"


def _order(volume: Volume, mine: Sequence[Placement]) -> Iterator[str]:
    numbers = [placement.replica for placement in mine]
    if numbers != sorted(numbers):
        yield f"{volume.name}: replicas are not in order"
    keys = [
        [(part is not None, part or "") for part in _key(vars(placement))]
        for placement in mine
        if placement.action != "keep"
    ]
    if keys != sorted(keys):
        yield f"{volume.name}: replicas are not numbered by create key, null first"


def _admissible(volume: Volume, offer: dict[str, Any]) -> Iterator[str]:
    if offer["problem"] is not None or offer["usd_gb_hr"] is None:
        yield "the offer cannot be bought"
    if offer["stock"] == "Unavailable":
        yield "the offer is out of stock"
    if volume.stock is not None and _LEVELS.get(offer["stock"], 1) < _LEVELS[volume.stock]:
        yield f"stock is {visible(offer['stock'])}, {volume.stock} was asked for"
    if volume.security not in {"any", offer["security"]}:
        yield f"security is {visible(str(offer['security']))}, {volume.security} was asked for"
    if volume.multinode and offer["multinode"] is not True:
        yield "it is not multi-node, or unknown"
    limit = volume.max_usd_gb_hr
    if limit is not None and offer["usd_gb_hr"] is not None and offer["usd_gb_hr"] > limit:
        yield f"it costs more than max_usd_gb_hr {plain(limit)}"
    places = {
        "providers": (offer["provider"],),
        "data_centers": (offer["data_center"],),
        "countries": (offer["country"],),
        "regions": offer["regions"],
    }
    for word, here in places.items():
        allowed, excluded = getattr(volume, word), getattr(volume.exclude, word)
        if allowed is not None and not set(here) <= set(allowed):
            yield f"{word} {here} are not all allowed"
        if set(here) & set(excluded):
            yield f"{word} {here} are excluded"


def _as_sold(placement: Placement, volume: Volume, offer: dict[str, Any]) -> Iterator[str]:
    for name in ("offer_id", "region", "usd_gb_hr"):
        if getattr(placement, name) != offer[name]:
            yield f"{name} is not the offer's"
    if (placement.owner, placement.tags) != (volume.owner, volume.tags):
        yield "owner or tags are not the volume's"
    if placement.action not in {"create", "replace"}:
        yield f"action {placement.action} is not known"
    if placement.usd_hr != usd_hr(placement.provision_gb, placement.usd_gb_hr):
        yield "usd_hr is not size times price"


def _sizes(
    placement: Placement, volume: Volume, need_gb: int, offer: dict[str, Any]
) -> Iterator[str]:
    low, step, high = offer["min_gb"], offer["step_gb"], offer["max_gb"]
    sizes = placement.disk_sizes_gb
    if sum(sizes) != placement.provision_gb:
        yield "provision_gb is not the sum of the disks"
    for size in sizes:
        if not _sells(offer, size):
            yield f"the offer sells no disk of {size} GB"
    if not 1 <= len(sizes) <= volume.max_disks:
        yield f"{len(sizes)} disks, max_disks is {volume.max_disks}"
        return
    if sum(sizes) < need_gb:
        yield f"{sum(sizes)} GB cannot hold {need_gb} GB"
    if list(sizes) != sorted(sizes, reverse=True) or sizes[0] - sizes[-1] > step:
        yield "disks differ by more than a step, or the larger are not first"
    smallest = low if low >= 1 else step
    if sum(sizes) - step >= max(need_gb, len(sizes) * smallest):
        yield "a step less would hold it"
    if len(sizes) > 1:
        largest = low + (high - low) // step * step if high is not None else need_gb
        if (len(sizes) - 1) * largest >= need_gb:
            yield "fewer disks would hold it"
