"""Warnings: what a plan assumes, and what to check before buying."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from planner.errors import Defect
from planner.market.disks import NOT_KEPT
from planner.market.gpus import meets, rental_notes, unknown_model
from planner.market.market import Sold
from planner.market.offers import KEY, Sizes, place_text, stock_note
from planner.market.places import PLACES, as_list, known_places, unknown_place
from planner.market.providers import attach_limit
from planner.market.wire import SECURITY
from planner.plans.requests import slug
from planner.plans.summary import renamed
from planner.solve.packing import PARTLY_TRIED, partly_tried
from planner.solve.unchecked import unchecked_existing
from planner.text import nearest, some, visible
from planner.units import difference, money, plain, total, usd_hr, usd_month

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import date, datetime

    from planner.demand.model import Demand, Volume
    from planner.market.canonical import Market
    from planner.solve.existing import Existing, Kept
    from planner.solve.optimise import Solution
    from planner.solve.rentals import Gpu
    from planner.solve.solution import Placement

    Row = Mapping[str, Any]

_MOST = 20
_NAMED = 3
"""Disks that a sentence names before it counts them."""


def market_warnings(offers: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return one sentence for each disk or GPU offer of a listing that cannot be used."""
    rows = sorted((row for row in offers if row["problem"]), key=lambda row: row["row"])
    warnings = [
        f"row {row['row']} ({visible(place_text(row))}) is left out: {row['problem']}"
        for row in rows[:_MOST]
    ]
    if len(rows) > _MOST:
        warnings.append(
            f"{len(rows) - _MOST} more rows are left out; `planner offers -o json` has all"
        )
    return warnings


def input_warnings(demand: Demand, market: Market) -> tuple[str, ...]:
    """Return what is odd about a demand and a market before anything is planned.

    Of a market without offers, no name is unknown: that there are none is said by itself.
    """
    return (
        *market_warnings(market.offer_records),
        *(f"GPU {warning}" for warning in market_warnings(market.gpu_records)),
        *_unknown_gpus(demand, market.gpu_records),
        *_unknown_names(demand, market.offer_records),
        *_unknown_limits(demand, market),
        *limit_warnings(demand, market),
        *price_warnings(market.offer_records),
    )


def plan_warnings(demand: Demand, market: Market, solution: Solution) -> tuple[str, ...]:
    """Return what the reader of a plan should know before buying."""
    sold = Sold(market.sold)
    volumes = {volume.name: volume for volume in demand.volumes}
    chosen: dict[str, list[str]] = {}
    for placement in solution.placements:
        if placement.action == "keep":
            continue
        key = tuple(getattr(placement, name) for name in KEY)
        offer = sold.offer(key, placement.disk_sizes_gb[0])
        if offer is None:
            raise Defect(f"{placement.volume} is placed where no offer sells its size")
        notes = [*_offer_notes(offer), *_place_notes(volumes[placement.volume], offer)]
        for note in notes:
            names = chosen.setdefault(f"{visible(place_text(offer))}: {note}", [])
            if placement.volume not in names:
                names.append(placement.volume)
    notes_of_offers = [f"{note} ({some(names)})" for note, names in chosen.items()]
    dear = disk_warnings(demand, market, solution.placements)
    return (*dear, *input_warnings(demand, market), *notes_of_offers, *_gpu_notes(demand, solution))


def attach_warnings(
    demand: Demand, placements: Sequence[Placement], gpus: Sequence[Gpu], day: date
) -> Iterator[str]:
    """Yield where it is unknown, or old, how many disks one pod of a job can mount.

    What is known the plan already keeps to.

    Parameters
    ----------
    demand : Demand
        What was asked; its policy may know better than the provider facts.
    day : date
        When the age of a fact is counted from.
    """
    mounts = {workload.name: workload.mounts for workload in demand.workloads}
    unknown: dict[str, list[str]] = {}
    old: dict[str, str] = {}
    for gpu in gpus:
        volumes, where = mounts[gpu.workload], visible(gpu.provider)
        number = _mounted(placements, gpu, volumes)
        if max(number, len(volumes)) < 2:  # noqa: PLR2004 -- one disk can be mounted everywhere
            continue
        limit, age = attach_limit(gpu.provider, demand.policy.attach_limits, day)
        if limit is None and number > 1:
            unknown.setdefault(where, []).append(f"{gpu.workload} ({number} disks)")
        elif limit is not None and age:
            old[where] = f"one pod at {where} can mount {limit} disk{'s' * (limit != 1)}, {age}"
    for where, jobs in unknown.items():
        yield (
            f"how many disks one pod can mount at {where} is unknown; check it before you buy "
            f"({some(jobs)})"
        )
    yield from old.values()


def _mounted(placements: Sequence[Placement], gpu: Gpu, volumes: Sequence[str]) -> int:
    """Return how many disks a job mounts where its GPUs are: one replica of each volume."""
    here: dict[str, tuple[int, object]] = {}
    for placement in placements:
        if placement.volume in volumes and meets(vars(placement), vars(gpu)):
            disk = placement.disk_group or placement.volume
            least = here.setdefault(placement.volume, (len(placement.disk_sizes_gb), disk))
            if len(placement.disk_sizes_gb) < least[0]:
                here[placement.volume] = (len(placement.disk_sizes_gb), disk)
    return sum(number for number, _ in set(here.values()))


def account_warnings(
    demand: Demand,
    disks: Sequence[Mapping[str, Any]],
    existing: Existing,
    placements: Sequence[Placement],
) -> Iterator[str]:
    """Yield the disks of the account that the plan does not use: nothing is done to them.

    Parameters
    ----------
    existing : Existing
        What disks are to the demand; it says itself which are replaced or left over.
    """
    kept = existing.kept
    used = {disk for replica in kept for disk in replica.disk_ids}
    used.update(disk for ids in existing.replaced.values() for disk in ids)
    used.update(disk.id for disk in existing.leftover)
    named = {disk for volume in demand.volumes for disk in volume.disks}
    served = Counter(replica.volume for replica in kept)
    wanting = {slug(v.name): v for v in demand.volumes if served[v.name] < v.replicas}
    sizes = {row["id"]: row["size_gb"] for row in disks}
    for former, name in dict.fromkeys(renamed(placements, existing.leftover, sizes).values()):
        old = shlex.quote(f"{demand.project}/{former}")
        yield (
            f"{former} is no longer in the demand, and {name} is new: if it is the same data, keep "
            f"its disks with: planner rename {old} {shlex.quote(name)}"
        )
    idle = [row for row in disks if row["id"] not in used]
    others = []
    for row in idle:
        looks = re.fullmatch(r"(.+)-[0-9a-f]{12}", row["name"] or "")
        meant = wanting.get(looks[1]) if looks else None
        serves = row["id"] not in {None, *named} and row["status"] not in NOT_KEPT
        if meant is not None and serves and (row["size_gb"] or 0) >= meant.size_gb:
            yield (
                f"disk {_disk(row)} is not used by this plan; planner will not touch it; its name "
                f"looks like volume {meant.name}: `disks: [{row['id']}]` keeps it"
            )
        else:
            others.append(row)
    if len(others) == 1:
        yield f"disk {_disk(others[0])} is not used by this plan; planner will not touch it"
    elif others:
        first = "; ".join(_disk(row) for row in others[:_NAMED])
        more = f"; and {len(others) - _NAMED:,} more" if len(others) > _NAMED else ""
        yield (
            f"{len(others):,} disks of the account are not used by this plan; planner will not "
            f"touch them: {first}{more}"
        )


def _disk(row: Mapping[str, Any]) -> str:
    cost = f"${money(Decimal(row['usd_hr']), 4)} an hour" if row["usd_hr"] else "price unknown"
    return f"{visible(row['id'] or 'without id')} ({visible(row['name'] or 'no name')}, {cost})"


def existing_warnings(demand: Demand, placements: Sequence[Placement]) -> Iterator[str]:
    """Yield which requirements could not be held against the existing disks of a plan."""
    if left := unchecked_existing(demand, placements):
        yield (
            f"not checked for existing disks, whose listing lacks it: {left}; check it yourself, "
            "or take the disk out of `disks` to buy a new one"
        )


def size_warnings(
    demand: Demand, kept: Sequence[Kept], disks: pd.DataFrame | None, now: datetime
) -> Iterator[str]:
    """Yield which growing volumes have had a disk for a month: their size may be that of then.

    Parameters
    ----------
    disks : DataFrame | None
        Columns ``LISTED``; without ``created_at`` nothing is known.
    """
    if disks is None or "created_at" not in disks:
        return
    month = timedelta(hours=demand.policy.hours_per_month)
    times = pd.to_datetime(disks["created_at"], utc=True, errors="coerce", format="ISO8601")
    old = set(disks["id"][times <= pd.Timestamp(now - month)].dropna())
    since = {each.volume for each in kept if old.issuperset(each.disk_ids)}
    grow = [volume.name for volume in demand.volumes if volume.growth and volume.name in since]
    if grow:
        yield (
            f"growing volumes that have had their disk for a month or more: {some(grow)}; check "
            "that `size` is what they hold today, for planner cannot see how full a disk is"
        )


def _gpu_notes(demand: Demand, solution: Solution) -> Iterator[str]:
    """Yield what is to be known of the GPUs that workloads would run on, and of their disks."""
    instance, rentals = solution.instance, solution.instance.rentals
    if rentals is None:
        return
    limits = instance.limits
    if limits is not None and (jobs := partly_tried(instance.demand, rentals, limits)):
        yield (
            f"{PARTLY_TRIED} ({some(jobs)}): only volumes "
            "that follow each other in the demand were put on one disk; a cheaper plan may exist"
        )
    if limits is not None and demand.grows:
        short = limits.too_many & (rentals.broken == 0)
        jobs = [job.name for w, job in enumerate(rentals.workloads) if short[w].any()]
        names = sorted({rentals.rows[g]["provider"] for g in np.flatnonzero(short.any(axis=0))})
        if jobs:
            yield (
                f"volumes that grow share no disk: {some(jobs)} cannot run at "
                f"{visible(some(names))}, where a pod mounts fewer disks; without `growth` "
                "there may be a cheaper plan"
            )
    for w, g in solution.rented.items():
        row, name = rentals.rows[g], rentals.workloads[w].name
        for note in rental_notes(row):
            yield f"{visible(place_text(row))}: {note} (GPUs of {name})"


def _unknown_gpus(demand: Demand, gpus: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a warning for each GPU, socket or place of a workload that no GPU offer has."""
    asked: list[tuple[str, str, str]] = []
    for workload in demand.workloads:
        asked += [("gpu_type", workload.gpu, workload.name)]
        asked += [("socket", workload.socket, workload.name)] if workload.socket else []
        asked += [("region", name, workload.name) for name in workload.regions or ()]
        asked += [("provider", name, workload.name) for name in workload.providers or ()]
    places = known_places(gpus)
    for column, word, name in dict.fromkeys(asked if gpus else ()):
        known = {gpu[column] for gpu in gpus} - {None}
        if word not in known and column in PLACES:
            # A workload allows regions and providers only.
            here = {level: places[level] for level in ("provider", "region")}
            yield f"workload {name}: GPUs: {unknown_place(column, word, here, as_list)}"
        elif word not in known:
            unknown = f"no GPU offer has the {column} {visible(word)}{_meant(word, known)}"
            if column == "gpu_type":
                unknown = unknown_model(word, known)
            yield f"workload {name}: {unknown}"


def _offer_notes(offer: dict[str, Any]) -> Iterator[str]:
    if offer["ambiguous"]:
        ids = ", ".join(offer["offer_ids"])
        yield f"offers {ids} cannot be distinguished when buying; planned as their worst case"
    if offer["data_center"] is None:
        yield (
            "data centre not listed, so the GPUs next to it are known only after buying; check "
            "then with the API's `disks` filter"
        )
    if offer["open_key"]:
        unlisted = [name.replace("_", " ") for name in KEY[1:] if offer[name] is None]
        yield f"a request without {' or '.join(unlisted)} could be served by an offer that has one"
    if offer["default_included"]:
        yield "the price is said to include the default size; planned in full all the same"
    if note := stock_note(offer["stock"]):
        yield note
    if offer["security"] not in {None, *SECURITY}:
        yield f"security is listed as '{visible(offer['security'])}', which planner does not know"
    if offer["min_gb"] % offer["step_gb"]:
        yield (
            f"sizes are taken as {offer['min_gb']} GB plus steps of {offer['step_gb']} GB; "
            "whether steps count from there is not documented"
        )


def _place_notes(volume: Volume, offer: dict[str, Any]) -> Iterator[str]:
    for level, word in PLACES.items():
        known = None not in offer["regions"] if level == "region" else offer[level] is not None
        if getattr(volume.exclude, word) and not known:
            yield f"{word} are excluded, and its {level} is unknown"


def _unknown_names(demand: Demand, offers: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a warning for each place that is not in the market, and each owner without volumes."""
    known = known_places(offers)
    for level, word in PLACES.items() if offers else ():
        named: dict[str, list[str]] = {}
        for volume in demand.volumes:
            lists = (*(getattr(volume, word) or ()), *getattr(volume.exclude, word))
            for name in lists:
                if name not in known[level] and volume.name not in named.setdefault(name, []):
                    named[name].append(volume.name)
        for name, names in named.items():
            yield f"{unknown_place(level, name, known, as_list)} ({some(names)})"
    owners = {volume.owner for volume in demand.volumes if volume.owner is not None}
    for owner in demand.policy.budgets:
        if owner not in owners:
            yield f"no volume belongs to {visible(owner)}, who has a budget{_meant(owner, owners)}"


def _unknown_limits(demand: Demand, market: Market) -> Iterator[str]:
    """Yield a warning for each provider with an attach limit that is not in the market."""
    rows = (*market.offer_records, *market.gpu_records)
    known = {row["provider"] for row in rows} - {None}
    for provider in demand.policy.attach_limits:
        if rows and provider not in known:
            hint = _meant(provider, known)
            yield f"no provider {visible(provider)} in this market (attach_limits){hint}"


def _meant(name: str, known: set[str]) -> str:
    close = nearest(name, known)
    return f"; did you mean {visible(close)}?" if close else ""


def over_budget_warnings(demand: Demand, placements: Sequence[Placement]) -> Iterator[str]:
    """Yield by how much disks exceed each budget that does not bind them."""
    for owner, limit in demand.policy.limits:
        mine = (each.usd_hr for each in placements if owner is None or each.owner == owner)
        spent = usd_month(total(mine), demand.policy.hours_per_month)
        if spent > limit:
            whose = "the budget" if owner is None else f"the budget of {visible(owner)}"
            amounts = f"${money(spent)} of ${money(limit)}/month"
            yield f"over {whose}: {amounts}, ${money(difference(spent, limit))} more"


TIMES = 10
"""How many times the median is out of proportion."""
_FEWEST = 3
"""Prices that it takes to tell which of them is odd."""
_CLOSE = 1 - 1e-9
"""What floats may be off by, and far more."""


def price_warnings(offers: Iterable[Row]) -> Iterator[str]:
    """Yield what is to be said of prices far from the median of the offers that can be bought.

    Parameters
    ----------
    offers : iterable of mapping
        Keys ``OFFERS`` or ``ADDRESSABLE``.
    """
    rows = [row for row in _priced(offers) if row["stock"] != "Unavailable"]
    if len(rows) < _FEWEST:
        return
    middle = Decimal(median(row["usd_gb_hr"] for row in rows))
    low = [row for row in rows if row["usd_gb_hr"] * TIMES < middle]
    high = [row for row in rows if row["usd_gb_hr"] > middle * TIMES]
    for side, far in (("below", low), ("above", high)):
        if far:
            named = ", ".join(
                f"{visible(place_text(row))} ${plain(row['usd_gb_hr'])}/GB/h"
                for row in far[:_NAMED]
            )
            rest = f" and {len(far) - _NAMED} more" if len(far) > _NAMED else ""
            yield (
                f"price more than {TIMES} times {side} the market's median "
                f"(${_short(middle)}/GB/h): {named}{rest}; check it with the provider before buying"
            )


def limit_warnings(demand: Demand, market: Market) -> Iterator[str]:
    """Yield each limit of a demand that is far beyond what any offer could reach."""
    dearest = max((row["usd_gb_hr"] for row in _priced(market.sold)), default=None)
    if dearest is None:
        return
    limits: dict[Decimal, list[str]] = {}
    for volume in demand.volumes:
        if volume.max_usd_gb_hr is not None and volume.max_usd_gb_hr > dearest * TIMES:
            limits.setdefault(volume.max_usd_gb_hr, []).append(volume.name)
    for limit, names in limits.items():
        yield (
            f"max_usd_gb_hr {plain(limit)} is above every offer (${plain(dearest)}); is it a "
            f"monthly price? ({', '.join(names[:_NAMED])}{' …' if len(names) > _NAMED else ''})"
        )
    hours = demand.policy.hours_per_month
    costs = _Costs(market)
    for owner, budget in demand.policy.limits:
        volumes = [volume for volume in demand.volumes if owner in {None, volume.owner}]
        most = sum((costs.most(volume) * volume.replicas for volume in volumes), Decimal(0))
        if most and budget > usd_month(most, hours) * TIMES:
            whose = "the budget" if owner is None else f"the budget of {visible(owner)}"
            yield (
                f"{whose}, ${money(budget)}/month, is more than {TIMES} times what the dearest "
                f"offers would cost (${money(usd_month(most, hours))}/month); is it for a year?"
            )


def disk_warnings(demand: Demand, market: Market, placements: Sequence[Placement]) -> Iterator[str]:
    """Yield each volume whose new disk costs far more than the market's median for its size."""
    costs = _Costs(market)
    volumes = {volume.name: volume for volume in demand.volumes}
    warned: set[tuple[Any, ...]] = set()
    for placement in placements:
        key = (placement.volume, *(getattr(placement, name) for name in KEY))
        volume = volumes[placement.volume]
        if placement.action == "keep" or key in warned or not costs.may_exceed(volume, placement):
            continue
        each = costs.of(volume)
        middle = Decimal(median(each))
        if len(each) >= _FEWEST and placement.usd_hr > middle * TIMES:
            warned.add(key)
            hours = demand.policy.hours_per_month
            yield (
                f"{placement.volume}: its disk costs "
                f"${money(usd_month(placement.usd_hr, hours))}/month, more than "
                f"{TIMES} times the market's median for its size "
                f"(${money(usd_month(middle, hours))}); see `planner explain` for why cheaper "
                "offers are ruled out"
            )


class _Costs:
    """Hourly costs of a size at every offer that can be bought, ascending."""

    def __init__(self, market: Market) -> None:
        self._sizes = Sizes(market.addressable)
        self._prices = [
            row["usd_gb_hr"]
            if row["problem"] is None and row["stock"] != "Unavailable" and sells
            else None
            for row, sells in zip(market.sold, self._sizes.sells, strict=True)
        ]
        self._float_prices = np.array([float(price or 0) for price in self._prices])
        prices = [float(price) for price in self._prices if price is not None]
        self._middle = median(prices) if prices else 0.0
        self._known: dict[int, list[Decimal]] = {}

    def may_exceed(self, volume: Volume, placement: Placement) -> bool:
        """Return whether a placement may be out of proportion: by floats, no size rounded up."""
        return float(placement.usd_hr) > volume.need_gb * self._middle * TIMES * _CLOSE

    def most(self, volume: Volume) -> Decimal:
        """Return the exact cost of a replica at the dearest offer: floats say which it can be."""
        _, total_gb = self._sizes.provision(volume.need_gb)
        cost = total_gb * self._float_prices
        near = np.flatnonzero(cost >= cost.max(initial=0) * (1 - 1e-9)).tolist()
        return max(
            (usd_hr(int(total_gb[o]), price) for o in near if (price := self._prices[o])),
            default=Decimal(0),
        )

    def of(self, volume: Volume) -> list[Decimal]:
        """Return what a replica of a volume costs at each offer, USD per hour; never empty."""
        size_gb = volume.need_gb
        if size_gb not in self._known:
            _, total_gb = self._sizes.provision(size_gb)
            self._known[size_gb] = sorted(
                usd_hr(int(gb), price)
                for gb, price in zip(total_gb, self._prices, strict=True)
                if price is not None
            ) or [Decimal(0)]
        return self._known[size_gb]


def _priced(offers: Iterable[Row]) -> list[Row]:
    return [row for row in offers if row["problem"] is None and row["usd_gb_hr"] is not None]


def _short(price: Decimal) -> str:
    return plain(Decimal(f"{price:.4g}"))
