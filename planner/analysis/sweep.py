"""What if, many times: the plan of every combination of changes, as rows of one frame."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

from planner.analysis.grid import axes_of
from planner.analysis.points import PLANNING, SWEEP, Task, solved
from planner.analysis.variants import Variants
from planner.analysis.workers import work_on
from planner.demand.read import read_demand
from planner.market.canonical import Market
from planner.schema import AMOUNT, EXACT, TEXT, WHOLE, YES_NO, Column, build, handed_out
from planner.solve.optimise import require_listings
from planner.units import as_decimal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from concurrent.futures import Executor

    import pandas as pd

    from planner.analysis.grid import Axis, Section
    from planner.analysis.variants import Point
    from planner.demand.model import Demand


_AS_MUCH = 50_000
"""Pairs of volumes and offers that take as long as all else about a point."""


def sweep(
    demand: Demand | Mapping[str, Any],
    offers: pd.DataFrame,
    grid: Mapping[str, Any],
    gpus: pd.DataFrame | None = None,
    *,
    disks: pd.DataFrame | None = None,
    recorded: Mapping[tuple[str, int], Sequence[str]] | None = None,
    executor: Executor | None = None,
    time_limit_s: float | None = None,
    cost_slack: Decimal | float = 0,
    exact: bool = False,
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
    demand : Demand | Mapping
        What is changed, see `read_demand`; stays as it is.
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
        Who solves: any of ``concurrent.futures``, or a cluster's, such as ``get_executor()`` of a
        dask ``Client``; it is left open. Threads are no faster. None solves fewer than 100
        points in this process, as starting others takes longer, and more in one process for each
        core; with every 50,000 pairs of volumes and offers a point counts as one more. A script has
        to call this under ``if __name__ == "__main__":`` then. A process pool of your own had
        better not fork: give it ``mp_context=multiprocessing.get_context("forkserver")``.
    time_limit_s : float | None
        Seconds for the solver at each point; None waits for the proof.
    cost_slack : Decimal
        Per cent of the least cost that better stock and fewer sites may cost.
    exact : bool
        Amounts are Decimals; else floats.

    Returns
    -------
    DataFrame
        A column for each key with the values that were given, numbers and factors as numbers, lists
        as tuples (``volumes.disks`` and ``volumes.providers`` where the key is one of ``SWEEP``),
        then the columns ``SWEEP``. A row for each combination, the last key's values in turn first,
        whoever solves.

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
    [[1, 1.0, True], [1, 1.1, True], [2, 1.0, True], [2, 1.1, True]]
    """
    demand = read_demand(demand)
    market = Market.of(offers, gpus, disks)
    listings: dict[Section, pd.DataFrame] = {"price_factor": market.offers}
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
    task = Task(variants, account, bought, time_limit_s, as_decimal(cost_slack))
    points = list(product(*(range(len(axis.given)) for axis in variants.axes)))
    _check(task, points)
    # Points of one market stand side by side, so that a chunk of them makes it once.
    scales = not demand.workloads and account is None
    by = variants.order if scales else variants.of_market
    order = sorted(range(len(points)), key=lambda n: by(points[n]))
    weight: float = 1 + len(demand.volumes) * len(offers) // _AS_MUCH
    if scales:
        weight *= len({variants.scale(point)[0] for point in points}) / len(points)
    rows = work_on(
        partial(solved, task), [points[n] for n in order], executor, weight=weight, what=PLANNING
    )
    placed = dict(zip(order, rows, strict=True))
    frame = _frame(variants.axes, points, [placed[n] for n in range(len(points))])
    return handed_out(frame, exact=exact)


def _check(task: Task, points: Sequence[Point]) -> None:
    """Raise what is wrong with any point before the first is solved."""
    variants = task.variants
    for point in {variants.of_demand(point): point for point in points}.values():
        require_listings(variants.demand_at(point), variants.gpus, task.disks)
    for point in {variants.of_market(point): point for point in points}.values():
        variants.listings_at(point)


_TYPES: Sequence[tuple[str, type | tuple[type, ...]]] = (
    (YES_NO, bool),
    (WHOLE, int),
    (AMOUNT, (int, float, Decimal)),
    (TEXT, str),
)


def _type_of(values: Iterable[Any]) -> str:
    """Return the type of a column of values: numbers can be computed with, lists are tuples."""
    known = [value for value in values if value is not None]
    flags = {isinstance(value, bool) for value in known}
    for name, kinds in _TYPES:
        if all(isinstance(value, kinds) for value in known) and flags <= {name == YES_NO}:
            return name
    return EXACT


_RESULTS = frozenset(column.name for column in SWEEP)


def _frame(
    axes: Sequence[Axis], points: Sequence[Point], rows: Sequence[Mapping[str, Any]]
) -> pd.DataFrame:
    keys = [f"volumes.{axis.key}" if axis.key in _RESULTS else axis.key for axis in axes]
    given = [axis.settings if axis.is_factor else axis.given for axis in axes]
    tried = [
        {key: values[n] for key, values, n in zip(keys, given, point, strict=True)}
        for point in points
    ]
    columns = [
        Column(key, _type_of(values), "value that was given")
        for key, values in zip(keys, given, strict=True)
    ]
    return build(
        [{**values, **row} for values, row in zip(tried, rows, strict=True)], [*columns, *SWEEP]
    )


__all__ = ["SWEEP", "sweep"]
