"""What the plan is compared with: what a person would do without a program."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from planner.analysis.changes import on_offers, without_budgets
from planner.market.market import key_order
from planner.requirements.spread import spreads
from planner.schema import AMOUNT, TEXT, Column, build, frame_html, handed_out
from planner.solve.optimum import optimum
from planner.solve.places import domains
from planner.text import some
from planner.units import usd_month

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from decimal import Decimal

    import pandas as pd

    from planner.requirements.base import PolicyRequirement
    from planner.requirements.group import GroupConstraint
    from planner.solve.candidates import Pairs
    from planner.solve.problem import Chosen, Instance


BASELINES = (
    Column("name", TEXT, "what is kept simple"),
    Column("place", TEXT, "provider or site it ends at; null: no one place, or impossible"),
    Column("usd_month", AMOUNT, "disks and GPUs of the best such placement; null: impossible"),
    Column("disks_usd_month", AMOUNT, "its disks, also where GPUs are missing; null: impossible"),
    Column("why_not", TEXT, "what rules it out; empty: it is possible"),
)
"""Columns of baselines as a frame; amounts are exact Decimals."""
_NAMED = 3


@dataclass(frozen=True)
class Baseline:
    """A simpler way to place the same demand, budgets aside.

    Attributes
    ----------
    place : str | None
        The provider or site it ends at; None where it is no one place, or impossible.
    usd_month : Decimal | None
        Exact monthly cost of disks and GPUs of the best such placement; None where it is
        impossible.
    why_not : str
        What rules it out; empty where it is possible.
    disks_usd_month : Decimal | None
        Exact monthly cost of its disks, also where there are no GPUs beside them.
    """

    name: str
    place: str | None
    usd_month: Decimal | None
    why_not: str = ""
    disks_usd_month: Decimal | None = None


class Baselines(tuple[Baseline, ...]):
    """What a plan is compared with; a notebook shows it as a table."""

    __slots__ = ()

    def to_frame(self, *, exact: bool = False) -> pd.DataFrame:
        """Return them as a frame (columns ``BASELINES``), amounts as floats or Decimals."""
        return handed_out(build([vars(baseline) for baseline in self], BASELINES), exact=exact)

    def _repr_html_(self) -> str:
        return frame_html(self.to_frame())


def baselines(instance: Instance) -> Baselines:
    """Return what the cheapest offers, one provider, one site, and the cheapest disks alone cost.

    Existing disks are kept in all of them, as in the plan.
    """
    free = without_budgets(instance)
    providers = [(site[0],) for site in instance.sites]
    disks_alone = [_disks_alone(instance)] if instance.demand.workloads else []
    return Baselines(
        [
            _cheapest_offers(free),
            _best("single provider", free, providers),
            _best("single site", free, instance.sites),
            *disks_alone,
        ]
    )


def _cheapest_offers(instance: Instance) -> Baseline:
    name = "cheapest offer per volume"
    chosen = cheapest_in_turn(instance)
    if isinstance(chosen, str):
        return Baseline(name, None, None, chosen)
    if not instance.holds(instance.whole, chosen):
        return Baseline(name, None, None, "it breaks max_provider_share or a group")
    return _with_gpus(instance, chosen, name)


def _disks_alone(instance: Instance) -> Baseline:
    """Return what the cheapest disks cost together with the GPUs that are to be had there."""
    name = "cheapest disks, then GPUs"
    demand = instance.demand.model_copy(update={"workloads": ()})
    disks = optimum(replace(instance, demand=demand, rentals=None))
    if disks is None:
        return Baseline(name, None, None, "the disks alone have no plan")
    return _with_gpus(instance, disks.chosen, name)


def _with_gpus(instance: Instance, chosen: Chosen, name: str) -> Baseline:
    """Return the cost of chosen disks with the cheapest GPUs beside them."""
    rented: dict[int, int] = {}
    disks = usd_month(instance.disk_usd_hr(chosen), instance.demand.policy.hours_per_month)
    for w, workload in enumerate(instance.demand.workloads):
        g = instance.rent_best(w, chosen)
        if g is None:
            mounted = {o for volume in workload.mounts for o in chosen[instance.index[volume]]}
            at = sorted({_named(instance.sites[o]) for o in mounted})
            why = f"no {workload.gpu} for {workload.name} can be rented beside {', '.join(at)}"
            return Baseline(name, None, None, why, disks)
        rented[w] = g
    together = instance.rent(rented, chosen)
    if together is None:
        return Baseline(name, None, None, "no job needs its volumes to share a disk", disks)
    return Baseline(name, None, instance.usd_month(chosen, together), disks_usd_month=disks)


def _best(name: str, instance: Instance, groups: Sequence[tuple[str | None, ...]]) -> Baseline:
    """Try groups of offers from the least lower bound up, until none left can be cheaper."""
    members: dict[tuple[str | None, ...], list[int]] = {}
    existing = {groups[o] for _, o in instance.kept}
    if len(existing) > 1:
        where = ", ".join(sorted(map(_named, existing)))
        return Baseline(name, None, None, f"the existing disks are at {where}")
    for offer, group in enumerate(groups):
        if not existing or group in existing:
            members.setdefault(group, []).append(offer)
    ordered = sorted(members, key=key_order)
    bounds = _lower_bounds(instance.pairs, [members[group] for group in ordered])
    hours = instance.demand.policy.hours_per_month
    best: tuple[Decimal, str] | None = None
    for index in np.argsort(bounds, kind="stable").tolist():
        bound = bounds[index]
        if not np.isfinite(bound) or (best and bound * hours > float(best[0])):
            break
        here = optimum(on_offers(instance, members[ordered[index]]), tie_break=False)
        if here is not None and (best is None or here.usd_month < best[0]):
            best = (here.usd_month, _named(ordered[index]))
    if best is None:
        return Baseline(name, None, None, _why_not(instance, list(members.values())))
    return Baseline(name, best[1], best[0])


def _named(place: tuple[str | None, ...]) -> str:
    return " ".join(part or "unnamed" for part in place)


_BLOCK = 4096
"""Volumes that are looked at together, so that no array has all of them."""


def _lower_bounds(pairs: Pairs, members: Sequence[list[int]]) -> list[float]:
    """Return, for each group, the hourly cost of every replica at the group's cheapest offer."""
    price = np.array([np.nan if usd is None else float(usd) for usd in pairs.offers["usd_gb_hr"]])
    replicas = np.array([volume.replicas for volume in pairs.volumes])
    below = 1 - 1e-9  # so that rounding never makes a bound exceed the cost it bounds
    kept_apart: dict[str, int] = {}
    for volume in pairs.volumes:
        if spreads(volume.replicas, volume.spread):
            most = max(volume.replicas, kept_apart.get(volume.spread, 0))
            kept_apart[volume.spread] = most
    places = {level: domains(pairs.offers, level) for level in kept_apart}

    def bound(offers: list[int]) -> float:
        for level, most in kept_apart.items():
            if len(frozenset[Any]().union(*(places[level][o] for o in offers))) < most:
                return np.inf
        return 0.0

    bounds = np.array([bound(offers) for offers in members])
    for start in range(0, len(replicas), _BLOCK):
        rows = slice(start, start + _BLOCK)
        usd_hr = np.where(pairs.broken[rows] == 0, pairs.provision_gb[rows] * price, np.inf)
        least = [usd_hr[:, offers].min(axis=1) @ replicas[rows] for offers in members]
        bounds += np.array(least) * below
    return list(map(float, bounds))


def _why_not(instance: Instance, members: Sequence[list[int]]) -> str:
    """Return what rules it out in the group that has an offer for most volumes."""
    if not members:
        return "no offers in this market"
    admissible = instance.pairs.broken == 0
    closest = max(members, key=lambda offers: int(admissible[:, offers].any(axis=1).sum()))
    here = on_offers(instance, closest)
    impossible = (here.pairs.broken != 0).all(axis=1)
    left = [
        volume.name
        for v, volume in enumerate(instance.pairs.volumes)
        if impossible[v] or (spreads(volume.replicas, volume.spread) and here.least.cost(v) is None)
    ]
    if not left:
        return "a group, a cap or a workload rules it out"
    return f"no place for {some(left, _NAMED)}"


def cheapest_in_turn(instance: Instance) -> Chosen | str:
    """Return what somebody chooses who never takes a choice back, or where that ends.

    Each volume in the demand's order keeps its existing disks and takes its cheapest offers that
    agree with the volumes before it: their groups, the caps on sites and providers, and GPUs for
    what is mounted with them. Volumes share a disk where a group wants it; and where a job could
    not mount one more disk, a volume joins those before it on the cheapest disk for all of them.

    Returns
    -------
    dict of list of int, or str
        Offers of each volume; or the sentence that says which one found none.
    """
    ties: dict[int, list[GroupConstraint]] = {}
    for tie in instance.ties:
        for v in tie.members:
            ties.setdefault(v, []).append(tie)
    jobs: dict[int, list[int]] = {}
    for w, mounts in enumerate(instance.rentals.mounts if instance.rentals is not None else ()):
        for v in mounts:
            jobs.setdefault(v, []).append(w)
    chosen: Chosen = {}
    alone = None if _place_caps(instance) else instance.least.choices()
    existing = {v for v, _ in instance.kept}
    for v, volume in enumerate(instance.pairs.volumes):
        is_free = v not in ties and v not in jobs and v not in existing
        offers = alone[v] if alone is not None and is_free else None
        if offers is None:
            offers = _cheapest(instance, v, ties.get(v, []), jobs.get(v, []), chosen)
        joined = {v: offers} if offers is not None else _joined(instance, v, ties, jobs, chosen)
        if joined is None:
            return f"after the cheapest choices before it, none is left for {volume.name}"
        chosen.update(joined)
    return chosen


def _joined(
    instance: Instance,
    v: int,
    ties: Mapping[int, list[GroupConstraint]],
    jobs: Mapping[int, list[int]],
    chosen: Chosen,
) -> Chosen | None:
    """Return a volume and some before it on the cheapest disk that they may share for a job."""
    broken, kept = instance.pairs.broken, {u for u, _ in instance.kept}
    disks = {
        o: members
        for o, members in instance.shared_disks.items()
        if v in members
        and instance.is_packed(o)
        and {*members} <= {v, *chosen} - kept
        and not broken[list(members), o].any()
        and all(instance.volumes[u].replicas == 1 for u in members)
    }

    def usd_hr(o: int) -> Decimal:
        return instance.disk_usd_hr({u: [o] for u in disks[o]})

    for o in sorted(disks, key=lambda o: (usd_hr(o), o)):
        mine = {u: [o] for u in disks[o]}
        together = {**chosen, **mine}
        needed = {w for u in mine for w in jobs.get(u, ())}
        if (
            _agree(instance, [tie for u in mine for tie in ties.get(u, ())], together)
            and all(cap.holds(instance, together) for cap in _place_caps(instance))
            and all(_has_gpus(instance, w, together) for w in needed)
        ):
            return mine
    return None


def _agree(instance: Instance, ties: Iterable[GroupConstraint], chosen: Chosen) -> bool:
    """Return whether groups hold among the volumes that are placed."""
    placed = (replace(t, members=tuple(u for u in t.members if u in chosen)) for t in ties)
    return all(tie.holds(instance, chosen) for tie in placed)


def _cheapest(
    instance: Instance, v: int, ties: list[GroupConstraint], jobs: list[int], chosen: Chosen
) -> list[int] | None:
    volume = instance.pairs.volumes[v]
    apart = spreads(volume.replicas, volume.spread)
    mine = [o for u, o in instance.kept if u == v]
    for o in _by_cost(instance, v):
        if o in instance.pairs.fixed_usd_hr:
            continue
        while len(mine) < volume.replicas and _fits(
            instance, v, o, mine, chosen, ties, apart=apart
        ):
            if not mine and not all(_has_gpus(instance, w, {**chosen, v: [o]}) for w in jobs):
                break  # the workloads mount the first replica
            mine.append(o)
            if apart:
                break
        if len(mine) == volume.replicas:
            break
    if len(mine) < volume.replicas:
        return None
    together = {**chosen, v: sorted(mine)}
    if not _agree(instance, ties, together):
        return None
    if not all(_has_gpus(instance, w, together) for w in jobs):
        return None
    return together[v]


def _by_cost(instance: Instance, v: int) -> Iterator[int]:
    offers = np.flatnonzero(instance.pairs.broken[v] == 0).tolist()
    alone = (o for o in offers if not instance.is_packed(o))
    yield from sorted(alone, key=lambda o: (instance.pairs.usd_hr(v, o), o))


def _fits(
    instance: Instance,
    v: int,
    o: int,
    mine: list[int],
    chosen: Chosen,
    ties: list[GroupConstraint],
    *,
    apart: bool,
) -> bool:
    """Return whether one more replica there agrees with what is placed already."""
    volumes = instance.pairs.volumes
    if apart:
        places = instance.spread_domains(volumes[v].spread)
        if any(places[o] & places[other] for other in mine):
            return False
    if not all(tie.admits(instance, chosen, v, o) for tie in ties):
        return False
    before = [chosen[u] for u in instance.shared_disks.get(o, ()) if u in chosen]
    if any(other.count(o) <= mine.count(o) for other in before):
        return False
    together = {**chosen, v: [*mine, o]}
    return all(cap.holds(instance, together) for cap in _place_caps(instance))


def _place_caps(instance: Instance) -> list[PolicyRequirement]:
    """Return the limits on places, which a choice that breaks one never mends."""
    return [limit for limit in instance.requirements if limit.levels and "gb" not in limit.looks_at]


def _has_gpus(instance: Instance, w: int, chosen: Chosen) -> bool:
    """Return whether a workload has GPUs beside those of its volumes that are placed."""
    rentals = instance.rentals
    return rentals is not None and bool(
        (instance.reachable(w, chosen) & (rentals.broken[w] == 0)).any()
    )
