"""What if, many times: the plan of every combination of changes, as rows of one frame."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import pandas as pd
from pydantic import ValidationError

from planner.analysis.changes import with_demand
from planner.analysis.grid import NAMED, axes_of, written
from planner.analysis.reasons import first_conflict
from planner.analysis.workers import work_on
from planner.demand.fields import cut
from planner.demand.model import Demand
from planner.demand.problems import plain_problems
from planner.demand.read import read_demand
from planner.errors import Defect, Infeasible, InputError, NotProven
from planner.market.canonical import Market
from planner.market.market import addressable, key_order
from planner.market.offers import place_text
from planner.market.wire import is_price
from planner.present.progress import tracked
from planner.schema import AMOUNT, EXACT, TEXT, WHOLE, YES_NO, Column, build, handed_out
from planner.solve.existing import keep
from planner.solve.optimise import require_listings, solve, solve_growing
from planner.solve.packing import stated_limits
from planner.solve.problem import Instance
from planner.solve.tenures import horizon_usd
from planner.solve.timeline import Timeline
from planner.solve.verify import verify
from planner.text import visible
from planner.units import MAX_PRICE_DIGITS, as_decimal, plain, total, usd_month
from planner.units import product as multiplied

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from concurrent.futures import Executor

    from pydantic import BaseModel

    from planner.analysis.grid import Axis, Section
    from planner.solve.existing import Kept
    from planner.solve.rentals import Gpu
    from planner.solve.solution import Placement
    from planner.solve.tenures import Tenure


SWEEP = (
    Column("feasible", YES_NO, "whether there is a plan; null: not decided in time"),
    Column("status", TEXT, "optimal; feasible: not proven in time; infeasible; unknown"),
    Column("usd_hr", AMOUNT, "disks and averaged GPUs, USD per hour; null: no plan"),
    Column("usd_month", AMOUNT, "the same in a month of the policy's hours; null: no plan"),
    Column("disk_usd_month", AMOUNT, "disks alone; null: no plan"),
    Column("gpu_usd_month", AMOUNT, "GPUs alone; null: no plan"),
    Column(
        "horizon_usd",
        AMOUNT,
        "disks over the whole horizon, with every move; null: no plan, or no horizon",
    ),
    Column("gb", WHOLE, "what is provisioned; null: no plan"),
    Column("disks", WHOLE, "how many are bought or kept; null: no plan"),
    Column("sites", WHOLE, "how many have disks; null: no plan"),
    Column("providers", WHOLE, "how many have disks; null: no plan"),
    Column("where", TEXT, "the sites by provider, data centre and country; null: no plan"),
    Column("why", TEXT, "why there is no plan, in one sentence; empty where there is one"),
)
"""Columns of a sweep, behind one column for each key of its grid."""

Point = tuple[int, ...]
"""For each axis the number of one of its values."""
Setting = tuple["Axis", Any]
"""An axis with one of its settings."""


@dataclass(frozen=True)
class Variants:
    """A demand and a market, and what is changed about them.

    Attributes
    ----------
    demand : Demand
        What is asked.
    offers : DataFrame
        Columns ``OFFERS``.
    gpus : DataFrame | None
        Columns ``GPUS``.
    axes : tuple of Axis
        What is changed.
    """

    demand: Demand
    offers: pd.DataFrame
    gpus: pd.DataFrame | None
    axes: tuple[Axis, ...]

    def text(self, point: Point) -> str:
        """Return a point in words; empty where there are no axes."""
        pairs = zip(self.axes, point, strict=True)
        return ", ".join(f"{cut(axis.key)} = {written(axis.given[n])}" for axis, n in pairs)

    def of_demand(self, point: Point) -> Point:
        """Return a point's places on the axes of the demand: where they are equal, it is."""
        return tuple(n for axis, n in zip(self.axes, point, strict=True) if not axis.is_factor)

    def of_market(self, point: Point) -> Point:
        """Return a point's places on the axes of prices: where they are equal, the market is."""
        return tuple(n for axis, n in zip(self.axes, point, strict=True) if axis.is_factor)

    def demand_at(self, point: Point) -> Demand:
        """Return the demand of a point.

        Raises
        ------
        InputError
            When it contradicts itself.
        """
        try:
            return changed(
                self.demand, [setting for setting in self._at(point) if not setting[0].is_factor]
            )
        except InputError as error:
            raise InputError(f"at {self.text(point)}: {error}", hint=error.hint) from error

    def market_at(self, point: Point) -> tuple[pd.DataFrame, pd.DataFrame | None]:
        """Return the disk offers (columns ``ADDRESSABLE``) and the GPUs of a point.

        Raises
        ------
        InputError
            As `listings_at`.
        """
        offers, gpus = self.listings_at(point)
        return addressable(offers, exact=True), gpus

    def listings_at(self, point: Point) -> tuple[pd.DataFrame, pd.DataFrame | None]:
        """Return the listings (columns ``OFFERS`` and ``GPUS``) at the prices of a point.

        Raises
        ------
        InputError
            When a price becomes one that no market has.
        """
        factors = [setting for setting in self._at(point) if setting[0].is_factor]
        of_disks = [setting for setting in factors if setting[0].about.part == "price_factor"]
        of_gpus = [setting for setting in factors if setting not in of_disks]
        try:
            offers = priced(self.offers, "usd_gb_hr", of_disks)
            return offers, None if self.gpus is None else priced(self.gpus, "usd_hr", of_gpus)
        except InputError as error:
            raise InputError(f"at {self.text(point)}: {error}", hint=error.hint) from error

    def _at(self, point: Point) -> list[Setting]:
        return [(axis, axis.settings[n]) for axis, n in zip(self.axes, point, strict=True)]


def changed(demand: Demand, settings: Iterable[Setting]) -> Demand:
    """Return a demand with settings in place of what it says.

    What is said of fewer volumes goes before what is said of more, and what is said of a part of a
    field (``exclude.regions``) before what is said of the whole.

    Parameters
    ----------
    demand : Demand
        Stays as it is.
    settings : iterable of (Axis, Any)
        Axes of the demand, each with one of its settings.

    Raises
    ------
    InputError
        When the values contradict each other or the rest of the demand.
    """
    ordered = sorted(
        settings,
        key=lambda setting: (-len(setting[0].about.names), setting[0].about.word.count(".")),
    )
    held: dict[str, dict[str, Any]] = {
        "policy": {"": demand.policy},
        "volumes": {volume.name: volume for volume in demand.volumes},
        "workloads": {workload.name: workload for workload in demand.workloads},
    }
    updates: dict[tuple[str, str], dict[str, Any]] = {}
    for axis, value in ordered:
        about = axis.about
        for name in about.names or ("",):
            update = updates.setdefault((about.part, name), {})
            _put(update, held[about.part][name], about.word, value)
    if not updates:
        return demand
    for (part, name), update in updates.items():
        held[part][name] = _rebuilt(held[part][name], update)
    try:
        return Demand(
            project=demand.project,
            volumes=tuple(held["volumes"].values()),
            policy=held["policy"][""],
            workloads=tuple(held["workloads"].values()),
            groups=demand.groups,
        )
    except ValidationError as error:
        raise InputError(next(plain_problems(error, Demand))[1], hint=_TOGETHER) from error


_TOGETHER = "leave out the value that does not go with the others"


def _put(update: dict[str, Any], before: BaseModel, word: str, value: Any) -> None:  # noqa: ANN401 -- the field's
    outer, _, inner = word.partition(".")
    name = NAMED.get(outer, outer)
    if not inner:
        update[name] = value
        return
    parts = {**dict(update.get(name, getattr(before, name)) or {}), inner: value}
    update[name] = {key: each for key, each in parts.items() if each is not None}


def _rebuilt(before: BaseModel, update: Mapping[str, Any]) -> BaseModel:
    if all(getattr(before, name) == value for name, value in update.items()):
        return before
    try:
        return type(before)(**{**dict(before), **update})
    except ValidationError as error:
        sentence = next(plain_problems(error, type(before)))[1]
        who = f" (volume {before.name})" if hasattr(before, "name") else ""
        raise InputError(f"{sentence}{who}", hint=_TOGETHER) from error


def priced(frame: pd.DataFrame, column: str, settings: Iterable[Setting]) -> pd.DataFrame:
    """Return a market with factors on its prices, multiplied exactly.

    Parameters
    ----------
    frame : DataFrame
        With ``provider``; stays as it is.
    column : str
        The prices: exact Decimals, null where there is none.
    settings : iterable of (Axis, Decimal)
        Factors of all providers or of one; several on one price are multiplied.

    Raises
    ------
    InputError
        When a price becomes one that no market has.
    """
    factors, prices = list(settings), frame[column].tolist()
    if not factors:
        return frame
    for axis, factor in factors:
        for n, (price, provider) in enumerate(zip(prices, frame["provider"], strict=True)):
            if isinstance(price, Decimal) and (
                provider in axis.about.names or not axis.about.names
            ):
                prices[n] = multiplied(price, factor)
    result = frame.copy()
    scaled = [_believable(price) if isinstance(price, Decimal) else None for price in prices]
    result[column] = pd.Series(scaled, index=frame.index, dtype="object")
    return result


def _believable(price: Decimal) -> Decimal:
    scaled = Decimal(plain(price))
    if not is_price(scaled):
        raise InputError(
            f"a price becomes {cut(plain(scaled))}, which is none that a market has",
            hint=f"a price has at most {MAX_PRICE_DIGITS} digits; write a factor of fewer",
        )
    return scaled


PLANNING = "Planning the points of the sweep"
_SITES_SHOWN = 8
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
    solver = _PointSolver(task)
    return [solver.row(point) for point in tracked(points, PLANNING)]


class _PointSolver:
    """Solves one point after another, and takes over what is the same as at the last one."""

    def __init__(self, task: Task) -> None:
        self._task, self._variants = task, task.variants
        self._prices: Point | None = None
        self._last: tuple[Instance, tuple[Kept, ...]] | None = None

    def row(self, point: Point) -> dict[str, Any]:
        """Return the columns ``SWEEP`` of a point."""
        task, demand = self._task, self._variants.demand_at(point)
        if self._prices != self._variants.of_market(point):
            self._prices, self._last = self._variants.of_market(point), None
            self._offers, self._gpus = self._variants.market_at(point)
        kept: tuple[Kept, ...] = ()
        if task.disks is not None:
            existing = keep(demand, task.disks, task.recorded, self._offers)
            kept = existing.kept
            if existing.contradictions:
                return no_plan("infeasible", existing.messages[0])
        limits: dict[str, Any] = {"time_limit_s": task.time_limit_s, "cost_slack": task.cost_slack}
        try:
            if demand.grows:
                line = Timeline.of(demand, self._offers, self._gpus, kept)
                solution = solve_growing(line, **limits)
            else:
                solution = solve(self._instance(demand, kept), kept, **limits)
        except NotProven as error:
            return no_plan("unknown", str(error))
        except Infeasible:
            return no_plan("infeasible", self._why(demand, kept))
        violations = verify(
            demand,
            self._offers,
            solution.placements,
            gpus=self._gpus,
            rented=solution.gpus,
            disks=task.disks,
            limits=stated_limits(demand),
            schedule=solution.schedule,
        )
        if violations:
            where = self._variants.text(point) or "the demand as it is"
            raise Defect(f"the solution fails its own check ({where}): {'; '.join(violations)}")
        return measured(
            solution.placements,
            solution.gpus,
            demand,
            solution.solver.status,
            solution.schedule,
        )

    def _why(self, demand: Demand, kept: tuple[Kept, ...]) -> str:
        """Return why there is no plan; of a demand that grows, at what it needs in the end."""
        if not demand.grows:
            return first_conflict(self._instance(demand, kept))
        last = demand.in_month(demand.policy.months - 1)
        conflict = first_conflict(Instance.of(last, self._offers, self._gpus))
        return f"within {demand.policy.horizon}: {conflict}"

    def _instance(self, demand: Demand, kept: tuple[Kept, ...]) -> Instance:
        if self._last is not None and self._last[1] == kept:
            instance = with_demand(self._last[0], demand)
        else:
            instance = Instance.of(demand, self._offers, self._gpus, kept)
        self._last = instance, kept
        return instance


def no_plan(status: str, why: str) -> dict[str, Any]:
    """Return the columns ``SWEEP`` where there is no plan, or none is known."""
    feasible = False if status == "infeasible" else None
    return {**_NO_PLAN, "feasible": feasible, "status": status, "why": why}


def measured(
    placed: Sequence[Placement],
    rented: Sequence[Gpu],
    demand: Demand,
    status: str,
    schedule: Sequence[Tenure] = (),
) -> dict[str, Any]:
    """Return the columns ``SWEEP`` of a plan, exact amounts of its placements and GPUs."""
    hours = demand.policy.hours_per_month
    disk_usd_hr = total(placement.usd_hr for placement in placed)
    disks = usd_month(disk_usd_hr, hours)
    gpus = total(usd_month(gpu.usd_hr_on, gpu.hours_per_month) for gpu in rented)
    amounts = {
        "usd_hr": total([disk_usd_hr, *(gpu.usd_hr for gpu in rented)]),
        "usd_month": total([disks, gpus]),
        "disk_usd_month": disks,
        "gpu_usd_month": gpus,
    }
    if demand.policy.months:
        amounts["horizon_usd"] = horizon_usd(demand, placed, schedule)
    sites = {tuple(getattr(placement, name) for name in _PLACE) for placement in placed}
    return {
        **_NO_PLAN,
        "feasible": True,
        "status": status,
        **{name: Decimal(plain(amount)) for name, amount in amounts.items()},
        "gb": sum(placement.provision_gb for placement in placed),
        "disks": sum(len(each.disk_sizes_gb) for each in placed if each.leads),
        "sites": len(sites),
        "providers": len({placement.provider for placement in placed}),
        "where": _where(sites),
        "why": "",
    }


def _where(sites: set[tuple[Any, ...]]) -> str:
    ordered = sorted(sites, key=key_order)
    texts = [
        visible(place_text(dict(zip(_PLACE, site, strict=True)))) for site in ordered[:_SITES_SHOWN]
    ]
    more = len(ordered) - len(texts)
    return ", ".join(texts) + (f" and {more} more" if more else "")


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
    order = sorted(range(len(points)), key=lambda n: variants.of_market(points[n]))
    weight = 1 + len(demand.volumes) * len(offers) // _AS_MUCH
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
