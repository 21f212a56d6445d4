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
from planner.solve import verify_growth as growth
from planner.solve import verify_packing as packing
from planner.solve.solution import Placement
from planner.text import visible
from planner.units import plain, quotient, total, usd_hr

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
    account = _Account(demand, by_name, _regions(market), sold, live, gpus, limits, {})
    until = growth.ends(demand, placements, schedule)
    now = [_InForce(account, each, end) for each, end in zip(placements, until, strict=True)]
    of_volume: dict[str, list[Placement]] = {}
    for placement in placements:
        of_volume.setdefault(placement.volume, []).append(placement)
    return (
        *_replicas(demand, placements),
        *(problem for there in now for problem in there.problems),
        *(each for v in demand.volumes for each in _order(v, of_volume.get(v.name, ()))),
        *claims(demand, placements, account.live),
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
        self.placement, demand = placement, account.demand
        listed = account.sold.get(_key(vars(placement)), [])
        self.offer = offer = _of_size(listed, placement.disk_sizes_gb)
        is_kept, who = placement.action == "keep", f"{placement.volume} replica {placement.replica}"
        volume = account.volumes.get(placement.volume)
        if volume is not None:
            volume = growth.as_bought(volume, end, exists=is_kept)
        self.volume = volume
        problems: list[str] = []
        if is_kept:
            self.offer = offer = stand_in(placement, account.regions)
            offer["multinode"] = multinode(placement, account.live)
            if volume is not None:
                problems += existing_problems(placement, volume, account.live, offer)
        elif offer is None:
            problems = ["no such offer in this market"]
        elif volume is not None:
            pair = placement.volume, id(offer)
            if pair not in account.judged:  # of however many sizes
                account.judged[pair] = (*_admissible(volume, offer),)
            problems = [*account.judged[pair], *_as_sold(placement, volume, offer)]
            if placement.disk_group is None:
                rivals = _rivals(demand, volume, offer, listed)
                problems += _tiers(placement, volume, rivals, _known_at(demand, volume))
                problems += _sizes(placement, volume, offer)
        self.problems = [f"{who}: {problem}" for problem in problems]


def _where(there: Sequence[_InForce]) -> coupling.Where:
    where: coupling.Where = {}
    for each in there:
        if each.offer is not None:
            where.setdefault(each.placement.volume, []).append(each.offer)
    return where


def _together(
    account: _Account, there: Sequence[_InForce], rented: Sequence[Gpu] = ()
) -> Iterator[str]:
    """Yield what is wrong with placements that are there at one time, and what jobs run on then."""
    where, here = _where(there), [each.placement for each in there]
    demand = account.demand
    for volume in demand.volumes:
        yield from coupling.spread(volume, where.get(volume.name, ()))
    yield from coupling.groups(demand, where)
    yield from coupling.caps(demand, here)
    yield from coupling.budgets(demand, here)
    bought = {**account.volumes, **{each.volume.name: each.volume for each in there if each.volume}}
    then = demand.model_copy(update={"volumes": tuple(bought.values())})
    placed = [(each.placement, each.offer) for each in there if each.offer is not None]
    yield from _packing(account._replace(demand=then), placed, rented)


def _packing(
    account: _Account, placed: Sequence[tuple[Placement, Row]], rented: Sequence[Gpu]
) -> Iterator[str]:
    """Yield what is wrong with disks that volumes share, and with what pods mount."""
    demand, limits = account.demand, account.limits
    known = {volume.name: _known_at(demand, volume) for volume in demand.volumes}
    shared = coupling.shared_volumes(demand)

    def allows(volume: Volume, row: Row) -> bool:
        return not any(_admissible(volume, row)) and not _is_unknown(row, known[volume.name])

    def fewest(volume: Volume, row: Row) -> int | None:
        disks = _fewest(volume, row) if allows(volume, row) else None
        return disks if disks is not None and disks <= volume.max_disks else None

    def reaches(workload: Workload, name: str, gpu: Row, row: Row) -> bool:
        return coupling.reaches(workload, name, gpu, row, shared)

    scene = packing.Scene(demand, placed, account.sold, allows, fewest, reaches)
    yield from packing.shared_disks(scene)
    yield from packing.groups(scene)
    ids = [gpu.offer_id for gpu in rented]
    rows = [[row for row in account.gpus if row["offer_id"] == each] for each in ids]
    stated = demand.policy.attach_limits if limits is None else limits
    judged = limits is not None and (bool(rented) or not demand.workloads)
    yield from packing.pods(scene, stated, [*zip(rented, rows, strict=True)], justified=judged)


def _fewest(volume: Volume, row: Row) -> int | None:
    """Return how few disks of an offer hold a volume; None where it sells none."""
    low, step, high = row["min_gb"], row["step_gb"], row["max_gb"]
    least = low if low >= 1 else step
    if high is None:
        return 1
    return None if least > high else -(-volume.need_gb // (least + (high - least) // step * step))


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
        problems += _together(account, here)
        problems += coupling.stranded(account.demand, _where(here), account.gpus)
        yield from (f"in month {month}: {problem}" for problem in problems)


def _bought(account: _Account, tenure: Tenure) -> Placement:
    """Return a tenure as a placement at its offer's price."""
    size_gb, volume = sum(tenure.disk_sizes_gb), account.volumes.get(tenure.volume)
    offer = _of_size(account.sold.get(_key(vars(tenure)), []), tenure.disk_sizes_gb)
    mine = {name: value for name, value in vars(tenure).items() if not name.endswith("month")}
    return Placement(
        **mine,
        provision_gb=size_gb,
        usd_gb_hr=(offer or {}).get("usd_gb_hr") or Decimal(0),
        owner=volume.owner if volume else None,
        tags=dict(volume.tags) if volume else {},
    )


def _key(row: Any) -> tuple[Any, ...]:  # noqa: ANN401 -- an offer's record or a placement's fields
    return (row["provider"], row["cloud_id"], row["data_center"], row["country"])


def _of_size(listed: Sequence[dict[str, Any]], sizes: Sequence[int]) -> dict[str, Any] | None:
    """Return what sells the first disk of a placement; any offer of the key where nothing does."""
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
    placement: Placement, volume: Volume, listed: Sequence[dict[str, Any]], known: set[str]
) -> Iterator[str]:
    """Yield where another size that the key sells holds the volume in fewer disks, or for less."""
    disks = len(placement.disk_sizes_gb)
    for other in listed if len(listed) > 1 and disks else ():
        step, most = other["step_gb"], other["max_gb"]
        least = other["min_gb"] or step
        if most is None:
            most = least + volume.need_gb + step
        largest = least + (most - least) // step * step
        if _is_unknown(other, known) or least > most or any(_admissible(volume, other)):
            continue
        if (disks - 1) * largest >= volume.need_gb:
            yield "another size of the same place holds it in fewer disks"
        if disks * largest >= volume.need_gb:
            steps = max(0, -(-(volume.need_gb - disks * least) // step))
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


def _sizes(placement: Placement, volume: Volume, offer: dict[str, Any]) -> Iterator[str]:
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
    if sum(sizes) < volume.need_gb:
        yield f"{sum(sizes)} GB cannot hold {volume.need_gb} GB"
    if list(sizes) != sorted(sizes, reverse=True) or sizes[0] - sizes[-1] > step:
        yield "disks differ by more than a step, or the larger are not first"
    smallest = low if low >= 1 else step
    if sum(sizes) - step >= max(volume.need_gb, len(sizes) * smallest):
        yield "a step less would hold it"
    if len(sizes) > 1:
        largest = low + (high - low) // step * step if high is not None else volume.need_gb
        if (len(sizes) - 1) * largest >= volume.need_gb:
            yield "fewer disks would hold it"


_PLACES = ("provider", "cloud_id", "data_center", "country")
_LOST = {"ERROR", "DELETING", "TERMINATED"}


def _regions(market: Sequence[Row]) -> dict[tuple[Any, ...], set[Any]]:
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


def existing_problems(
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
    needs = {v.name: growth.as_bought(v, 1, exists=True).size_gb for v in demand.volumes}
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
