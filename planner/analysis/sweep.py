"""What if, many times: the plan of every combination of changes, as rows of one frame."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from planner.analysis.grid import axes_of
from planner.analysis.variants import Variants
from planner.analysis.workers import work_on
from planner.errors import Defect, InputError
from planner.market.canonical import Market
from planner.market.market import key_order
from planner.market.offers import place_text
from planner.schema import EXACT, TEXT, WHOLE, YES_NO, Column, build
from planner.solve.candidates import LEVELS, RULES, rules_of
from planner.solve.cost_tolerance import with_slack
from planner.solve.decompose import Undecided
from planner.solve.existing import keep
from planner.solve.optimise import prove
from planner.solve.optimum import optimum
from planner.solve.problem import Instance
from planner.solve.rentals import GPU_RULES, gpu_rules_of
from planner.solve.verify import verify
from planner.text import visible
from planner.units import money, plain, total, usd_month

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import Executor

    import pandas as pd

    from planner.analysis.grid import Axis, Part
    from planner.analysis.variants import Point
    from planner.demand.model import Demand
    from planner.solve.existing import Kept
    from planner.solve.optimise import Solution


def first_conflict(instance: Instance) -> str:
    """Return why an instance has no plan: the first of these that holds.

    A volume has no admissible offer, or too few places for its replicas; a workload has no GPUs;
    the cheapest disks exceed a budget; else all that ties volumes together is named.

    Parameters
    ----------
    instance : Instance
        What is known to have no plan.
    """
    return next(_sentences(instance))


def _sentences(instance: Instance) -> Iterator[str]:
    alone = instance.least.settle()
    unplaced = [v for v, offers in enumerate(alone) if offers is None]
    for v in unplaced:
        yield _unplaced(instance, v) + _more(len(unplaced) - 1, "volume")
    rentals = instance.rentals
    if rentals is not None:
        unrented = np.flatnonzero((rentals.broken != 0).all(axis=1)).tolist()
        for w in unrented:
            job = rentals.workloads[w].name
            fallen = Counter(r for bits in rentals.broken[w].tolist() for r in gpu_rules_of(bits))
            told = _fallen(fallen, GPU_RULES, rentals.broken.shape[1], "GPU offers")
            yield f"workload {job}: {told}" + _more(len(unrented) - 1, "workload")
    yield from _budgets(instance)
    yield _together(instance)


def _more(count: int, kind: str) -> str:
    return f"; so it is with {count} more {kind}{'s' * (count > 1)}" if count else ""


def _unplaced(instance: Instance, v: int) -> str:
    volume, pairs = instance.pairs.volumes[v], instance.pairs
    sold = len(pairs.offers) - len(instance.kept)
    fits = np.flatnonzero(pairs.broken[v] == 0).tolist()
    if not fits:
        fallen = Counter(r for bits in pairs.broken[v, :sold].tolist() for r in rules_of(bits))
        return f"volume {volume.name}: {_fallen(fallen, RULES, sold, 'offers')}"
    places = instance.places(volume.spread)
    inside = len({domain for o in fits for domain in places[o]})
    told = "1 admissible offer lies" if len(fits) == 1 else f"{len(fits)} admissible offers lie"
    return (
        f"volume {volume.name}: {volume.replicas} replicas must each be at another "
        f"{LEVELS[volume.spread]}, and {told} in {inside}"
        f"{instance.least.shared_data_centers(v, fits)}"
    )


def _fallen(fallen: Counter[str], meaning: Mapping[str, str], offers: int, what: str) -> str:
    if not offers:
        return f"the market has no {what}"
    rule, count = fallen.most_common(1)[0]
    return f"none of {offers} {what} will do; of {count}, {meaning[rule]} ({rule})"


def _budgets(instance: Instance) -> Iterator[str]:
    policy = instance.demand.policy
    for owner, limit in policy.limits:
        costs = (
            instance.least.cost(v)
            for v, volume in enumerate(instance.pairs.volumes)
            if owner is None or volume.owner == owner
        )
        hourly = total(cost for cost in costs if cost is not None)
        needed = usd_month(hourly, policy.hours_per_month)
        if needed > limit:
            whose, field = "", "budget_usd_month"
            if owner is not None:
                whose, field = f" of {visible(owner)}", f"budgets.{visible(owner)}"
            sum_month = f"the cheapest disks{whose} come to {money(needed)} USD a month"
            yield f"{sum_month}, and {field} is {plain(limit)}"


def _together(instance: Instance) -> str:
    demand = instance.demand
    asked = [
        f"{one.field if one.owner is None else f'budgets.{visible(one.owner)}'} {one.shown}"
        for one in instance.requirements
    ]
    asked += ["the groups"] if demand.groups else []
    asked += ["the workloads"] if demand.workloads else []
    asked += ["the disks that are kept"] if instance.kept else []
    listed = ", ".join(asked[:-1]) + " and " * (len(asked) > 1) + "".join(asked[-1:])
    return f"no plan satisfies {listed or 'the demand'}{' together' * (len(asked) > 1)}"


SWEEP = (
    Column("feasible", YES_NO, "whether there is a plan; null: not decided in time"),
    Column("status", TEXT, "optimal; feasible: not proven in time; infeasible; unknown"),
    Column("usd_hr", EXACT, "disks and averaged GPUs, USD per hour, exact Decimal; null: no plan"),
    Column("usd_month", EXACT, "the same in a month of the policy's hours; null: no plan"),
    Column("disk_usd_month", EXACT, "disks alone, exact Decimal; null: no plan"),
    Column("gpu_usd_month", EXACT, "GPUs alone, exact Decimal; null: no plan"),
    Column("gb", WHOLE, "what is provisioned; null: no plan"),
    Column("disks", WHOLE, "how many are bought or kept; null: no plan"),
    Column("sites", WHOLE, "how many have disks; null: no plan"),
    Column("providers", WHOLE, "how many have disks; null: no plan"),
    Column("where", TEXT, "the sites by provider, data centre and country; null: no plan"),
    Column("why", TEXT, "why there is no plan, in one sentence; empty where there is one"),
)
"""Columns of a sweep, behind one column for each key of its grid."""

_SITES_TOLD = 8
_NO_PLAN = {column.name: None for column in SWEEP}
_PLACE = ("provider", "data_center", "country")


@dataclass(frozen=True)
class Task:
    """What the plans of all points have in common; it is sent to every worker.

    Attributes
    ----------
    variants : Variants
        Their demands and markets.
    disks : DataFrame | None
        Columns ``DISKS``.
    recorded : dict
        (volume, replica) → ids of disks bought as that replica.
    time_limit_s, cost_slack
        As `sweep` has them.
    """

    variants: Variants
    disks: pd.DataFrame | None
    recorded: dict[tuple[str, int], tuple[str, ...]]
    time_limit_s: float | None
    cost_slack: Decimal


def solved(task: Task, points: Sequence[Point]) -> list[dict[str, Any]]:
    """Return the columns ``SWEEP`` of each point."""
    rows, known = list[dict[str, Any]](), None
    for point in points:
        if known is None or known[0] != task.variants.of_market(point):
            known = (task.variants.of_market(point), task.variants.market_at(point))
        rows.append(_row(task, point, *known[1]))
    return rows


def _row(
    task: Task, point: Point, offers: pd.DataFrame, gpus: pd.DataFrame | None
) -> dict[str, Any]:
    demand = task.variants.demand_at(point)
    kept: tuple[Kept, ...] = ()
    if task.disks is not None:
        existing = keep(demand, task.disks, task.recorded, offers)
        kept = existing.kept
        for one, broken in existing.contradictions:
            why = f"volume {one.volume}: disk {one.disk_ids[0]} is named in `disks` and {broken}"
            return {**_NO_PLAN, "feasible": False, "status": "infeasible", "why": why}
    instance = Instance.of(demand, offers, gpus, kept)
    try:
        found = optimum(instance, time_limit_s=task.time_limit_s)
        if found is not None and task.cost_slack > 0:
            found = with_slack(instance, found, task.cost_slack)
    except Undecided:
        limit = task.time_limit_s
        why = "no plan was found" + ("" if limit is None else f" in {limit:g} s")
        return {**_NO_PLAN, "status": "unknown", "why": why}
    if found is None:
        why = first_conflict(instance)
        return {**_NO_PLAN, "feasible": False, "status": "infeasible", "why": why}
    solution = prove(instance, found, task.cost_slack, kept)
    violations = verify(
        demand, offers, solution.placements, gpus=gpus, rented=solution.gpus, disks=task.disks
    )
    if violations:
        where = task.variants.text(point) or "the demand as it is"
        raise Defect(f"the solution fails its own check ({where}): {'; '.join(violations)}")
    return _measured(solution, demand.policy.hours_per_month)


def _measured(solution: Solution, hours: int) -> dict[str, Any]:
    """Return the figures of a solution, exact amounts of its placements and GPUs."""
    placed, rented = solution.placements, solution.gpus
    disk_usd_hr = total(one.usd_hr for one in placed)
    disks = usd_month(disk_usd_hr, hours)
    gpus = total(usd_month(gpu.usd_hr_on, gpu.hours_per_month) for gpu in rented)
    amounts = {
        "usd_hr": total([disk_usd_hr, *(gpu.usd_hr for gpu in rented)]),
        "usd_month": total([disks, gpus]),
        "disk_usd_month": disks,
        "gpu_usd_month": gpus,
    }
    sites = {tuple(getattr(one, name) for name in _PLACE) for one in placed}
    return {
        "feasible": True,
        "status": solution.solver.status,
        **{name: Decimal(plain(amount)) for name, amount in amounts.items()},
        "gb": sum(one.provision_gb for one in placed),
        "disks": sum(len(one.disk_sizes_gb) for one in placed),
        "sites": len(sites),
        "providers": len({one.provider for one in placed}),
        "where": _where(sites),
        "why": "",
    }


def _where(sites: set[tuple[Any, ...]]) -> str:
    ordered = sorted(sites, key=key_order)
    texts = [
        visible(place_text(dict(zip(_PLACE, site, strict=True)))) for site in ordered[:_SITES_TOLD]
    ]
    more = len(ordered) - len(texts)
    return ", ".join(texts) + (f" and {more} more" if more else "")


_AS_MUCH = 50_000
"""Pairs of volumes and offers that take as long as all else about a point."""


def sweep(
    demand: Demand,
    offers: pd.DataFrame,
    grid: Mapping[str, Any],
    gpus: pd.DataFrame | None = None,
    *,
    disks: pd.DataFrame | None = None,
    recorded: Mapping[tuple[str, int], Sequence[str]] | None = None,
    executor: Executor | None = None,
    time_limit_s: float | None = None,
    cost_slack: Decimal = Decimal(0),
) -> pd.DataFrame:
    """Return the cheapest plan of every combination of changes, as `planner.plan` would find it.

    Keys are the demand file's words. A bare word of a volume (``replicas``, ``size``,
    ``exclude.regions``) is about every volume, ``NAME.replicas`` or ``volumes.NAME.replicas`` about
    one; the common name of a counted volume (``scratch`` of scratch-1 to scratch-3) about all of
    them. ``max_sites`` or ``policy.max_sites`` is the policy's, ``budgets.OWNER`` one owner's
    budget. ``workloads.NAME.gpus`` is about one job, ``workloads.gpus`` about every one, and so is
    a bare word that volumes and policy do not have (``gpus``, ``nodes``, ``spot``). A word that
    several have is the policy's or the volumes' when it stands alone: ``workloads.regions`` and
    ``workloads.NAME.hours_per_month`` reach the jobs. Where a volume is called like such a word,
    ``volumes.NAME.`` reaches it. What is said of one volume goes before what is said of all.

    ``price_factor`` multiplies the price of every disk offer, ``price_factor.PROVIDER`` that of one
    provider's, ``gpu_price_factor`` (``.PROVIDER``) those of GPUs; several on one offer multiply,
    exactly. What is kept costs what is billed for it, whatever the market asks.

    Each key has a list of values: numbers, sizes and percentages as in the file, a list of places
    (or the name of one) for each try, None for the file's null, which lifts what the demand says.
    So ``{"regions": ["canada", ["canada", "eu_north"], None]}`` are three tries. What is no list is
    a single try.

    Parameters
    ----------
    demand : Demand
        What is changed; stays as it is.
    offers : DataFrame
        Columns ``OFFERS``.
    grid : mapping
        What is changed → the values to try.
    gpus : DataFrame | None
        Columns ``GPUS``; needed where there are workloads.
    disks : DataFrame | None
        Columns ``DISKS``: what the account has; see `planner.plan`.
    recorded : mapping | None
        (volume, replica) → ids of disks that were bought as that replica.
    executor : Executor | None
        Who solves: any of ``concurrent.futures``; it is left open. None solves fewer than 100
        points in this process, as starting others takes longer, and more in one process for each
        core; with every 50,000 pairs of volumes and offers a point counts as one more. A script has
        to call this under ``if __name__ == "__main__":`` then. A process pool of your own had
        better not fork: give it ``mp_context=multiprocessing.get_context("forkserver")``.
    time_limit_s : float | None
        Seconds for the solver at each point; None waits for the proof.
    cost_slack : Decimal
        Per cent of the least cost that better stock and fewer sites may cost.

    Returns
    -------
    DataFrame
        A column for each key with the values as they were given (``volumes.disks`` and
        ``volumes.providers`` where the key is one of ``SWEEP``), then the columns ``SWEEP``. A row
        for each combination, the last key's values in turn first, whoever solves.

    Raises
    ------
    InputError
        When a key or value of the grid is wrong, alone or together; when there are workloads and no
        GPUs, or named disks and no ``disks``; when workers cannot start or die.
    FrameError
        When a frame is not what it is declared to be.

    Examples
    --------
    >>> from planner import read_demand, read_offers
    >>> demand, offers = read_demand("shipped:minimal"), read_offers("shipped:disk-offers")
    >>> frame = sweep(demand, offers, {"corpus.replicas": [1, 2], "price_factor": [1, "1.1"]})
    >>> frame[["corpus.replicas", "price_factor", "feasible"]].to_numpy().tolist()
    [[1, 1, True], [1, '1.1', True], [2, 1, True], [2, '1.1', True]]
    """
    market = Market.of(offers, gpus, disks)
    listings: dict[Part, pd.DataFrame] = {"price_factor": market.offers}
    if gpus is not None:
        listings["gpu_price_factor"] = market.gpus
    providers = {part: set(frame["provider"].dropna()) for part, frame in listings.items()}
    variants = Variants(
        demand,
        listings["price_factor"],
        listings.get("gpu_price_factor"),
        axes_of(grid, demand, providers),
    )
    account = None if disks is None else market.disks
    bought = {key: tuple(ids) for key, ids in (recorded or {}).items()}
    task = Task(variants, account, bought, time_limit_s, cost_slack)
    points = list(product(*(range(len(axis.given)) for axis in variants.axes)))
    _check(task, points)
    # Points of one market stand side by side, so that a chunk of them makes it once.
    order = sorted(range(len(points)), key=lambda n: variants.of_market(points[n]))
    weight = 1 + len(demand.volumes) * len(offers) // _AS_MUCH
    rows = work_on(partial(solved, task), [points[n] for n in order], executor, weight=weight)
    placed = dict(zip(order, rows, strict=True))
    return _frame(variants.axes, points, [placed[n] for n in range(len(points))])


def _check(task: Task, points: Sequence[Point]) -> None:
    """Raise what is wrong with any point before the first is solved."""
    variants = task.variants
    if variants.demand.workloads and variants.gpus is None:
        raise InputError(
            "the demand has workloads, and there are no GPU offers to run them on",
            hint="give the GPU market too: gpus=",
        )
    for point in {variants.of_demand(point): point for point in points}.values():
        demand = variants.demand_at(point)
        if task.disks is None and any(volume.disks for volume in demand.volumes):
            raise InputError(
                "the demand names live disks, and the account's disks are not given",
                hint="give the account's disks too: disks=",
            )
    for point in {variants.of_market(point): point for point in points}.values():
        variants.listings_at(point)


_RESULTS = frozenset(column.name for column in SWEEP)


def _frame(
    axes: Sequence[Axis], points: Sequence[Point], rows: Sequence[Mapping[str, Any]]
) -> pd.DataFrame:
    keys = [f"volumes.{axis.key}" if axis.key in _RESULTS else axis.key for axis in axes]
    tried = [
        {key: axis.given[n] for key, axis, n in zip(keys, axes, point, strict=True)}
        for point in points
    ]
    columns = [Column(key, EXACT, "value as it was given") for key in keys]
    return build([{**one, **row} for one, row in zip(tried, rows, strict=True)], [*columns, *SWEEP])


__all__ = ["SWEEP", "sweep"]
