"""What if, many times: the plan of every combination of changes, as rows of one frame."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

from planner.errors import InputError
from planner.frames import EXACT, Column, build
from planner.market import (
    disk_rows,
    disks_from_rows,
    gpu_rows,
    gpus_from_rows,
    market_rows,
    offers_from_market,
)
from planner.solve.grid.axes import axes_of
from planner.solve.grid.rows import SWEEP, Task, solved
from planner.solve.grid.variants import Variants
from planner.solve.grid.workers import work_on
from planner.solve.solver import solver_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Executor

    import pandas as pd

    from planner.demand import Demand
    from planner.solve.grid.axes import Axis
    from planner.solve.grid.keys import Part
    from planner.solve.grid.variants import Point
    from planner.solve.solver import SolverName


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
    solver: SolverName = "highs",
    time_limit_s: float | None = None,
    cost_slack: Decimal = Decimal(0),
) -> pd.DataFrame:
    """Return the cheapest plan of every combination of changes, as `make_plan` would find it.

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
        Columns ``DISKS``: what the account has; see `make_plan`.
    recorded : mapping | None
        (volume, replica) → ids of disks that were bought as that replica.
    executor : Executor | None
        Who solves: any of ``concurrent.futures``; it is left open. None solves fewer than 100
        points in this process, as starting others takes longer, and more in one process for each
        core; with every 50,000 pairs of volumes and offers a point counts as one more. A script has
        to call this under ``if __name__ == "__main__":`` then. A process pool of your own had
        better not fork: give it ``mp_context=multiprocessing.get_context("forkserver")``.
    solver : str
        ``highs`` or ``cbc``.
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
    solver_name(solver)
    listings: dict[Part, pd.DataFrame] = {"price_factor": offers_from_market(market_rows(offers))}
    if gpus is not None:
        listings["gpu_price_factor"] = gpus_from_rows(gpu_rows(gpus))
    providers = {part: set(frame["provider"].dropna()) for part, frame in listings.items()}
    variants = Variants(
        demand,
        listings["price_factor"],
        listings.get("gpu_price_factor"),
        axes_of(grid, demand, providers),
    )
    account = None if disks is None else disks_from_rows(disk_rows(disks))
    bought = {key: tuple(ids) for key, ids in (recorded or {}).items()}
    task = Task(variants, account, bought, solver, time_limit_s, cost_slack)
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
                "the demand names live disks, and nobody says what the account has",
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
