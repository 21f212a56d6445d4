"""The points of a sweep, one after the other: each takes over what it has in common with others.

Where prices are all that differs, nothing but costs is worked out again. Where all of them are
multiplied by one factor, the cheapest plan stays the cheapest, and costs so many times as much.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from planner.analysis.changes import repriced, with_demand
from planner.analysis.reasons import first_conflict
from planner.errors import Defect, Infeasible, NotProven
from planner.market.market import key_order
from planner.market.offers import place_text
from planner.present.progress import tracked
from planner.schema import AMOUNT, TEXT, WHOLE, YES_NO, Column, records
from planner.solve.existing import keep
from planner.solve.optimise import solve, solve_growing
from planner.solve.packing import stated_limits
from planner.solve.problem import Instance
from planner.solve.tenures import horizon_usd
from planner.solve.timeline import Timeline
from planner.solve.verify import violations
from planner.text import visible
from planner.units import plain, total, usd_month

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from planner.analysis.variants import Point, Variants
    from planner.demand.model import Demand
    from planner.solve.existing import Kept
    from planner.solve.optimise import Solution
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
        self._market: Point | None = None
        self._last: tuple[Instance, tuple[Kept, ...]] | None = None
        self._scaled: _Scaled | None = None

    def row(self, point: Point) -> dict[str, Any]:
        """Return the columns ``SWEEP`` of a point."""
        key, factor = self._variants.scale(point)
        known, demand = self._scaled, self._variants.demand_at(point)
        row = known.at(factor) if known is not None and known.key == key else None
        if row is not None and (row["feasible"] or known is None or known.least is None):
            return row
        self._to_market(point)
        if row is not None:  # of the prices here
            return {**row, "why": self._why(demand, ())}
        row, solution = self._solved(point, demand)
        if not (demand.workloads or demand.grows or self._task.disks is not None):
            self._scaled = _Scaled.of(key, factor, row, demand, solution)
        return row

    def _to_market(self, point: Point) -> None:
        """Take over the market of a point, and an instance of the last one at its prices."""
        if self._market == self._variants.of_market(point):
            return
        self._market = self._variants.of_market(point)
        self._offers, self._gpus = self._variants.market_at(point)
        if self._last is not None:
            instance, kept = self._last
            is_bound = kept or instance.demand.workloads or instance.pairs.shared
            prices = self._offers["usd_gb_hr"].tolist()
            self._last = None if is_bound else (repriced(instance, prices), kept)

    def _solved(self, point: Point, demand: Demand) -> tuple[dict[str, Any], Solution | None]:
        """Return the columns of a point, and its plan; None where there is none."""
        task = self._task
        kept: tuple[Kept, ...] = ()
        if task.disks is not None:
            existing = keep(demand, task.disks, task.recorded, self._offers)
            kept = existing.kept
            if existing.contradictions:
                return no_plan("infeasible", existing.messages[0]), None
        limits: dict[str, Any] = {"time_limit_s": task.time_limit_s, "cost_slack": task.cost_slack}
        try:
            if demand.grows:
                line = Timeline.of(demand, self._offers, self._gpus, kept)
                solution = solve_growing(line, **limits)
            else:
                solution = solve(self._instance(demand, kept), kept, **limits)
        except NotProven as error:
            return no_plan("unknown", str(error)), None
        except Infeasible:
            return no_plan("infeasible", self._why(demand, kept)), None
        wrong = violations(
            demand,
            self._variants.rows_at(self._offers),
            solution.placements,
            () if self._gpus is None else records(self._gpus),
            solution.gpus,
            () if task.disks is None else records(task.disks),
            solution.schedule,
            limits={**stated_limits(demand), **demand.policy.attach_limits},
        )
        if wrong:
            where = self._variants.text(point) or "the demand as it is"
            raise Defect(f"the solution fails its own check ({where}): {'; '.join(wrong)}")
        row = measured(
            solution.placements,
            solution.gpus,
            demand,
            solution.solver.status,
            solution.schedule,
        )
        return row, solution

    def _why(self, demand: Demand, kept: tuple[Kept, ...]) -> str:
        """Return why there is no plan; of a demand that grows, at what it needs in the end."""
        if not demand.grows:
            return first_conflict(self._instance(demand, kept))
        last = demand.in_month(demand.policy.months - 1)
        conflict = first_conflict(Instance.of(last, self._offers, self._gpus))
        return f"within {demand.policy.horizon}: {conflict}"

    def _instance(self, demand: Demand, kept: tuple[Kept, ...]) -> Instance:
        if self._last is not None and self._last[1] == kept:
            before = self._last[0]
            instance = before if before.demand is demand else with_demand(before, demand)
        else:
            instance = Instance.of(demand, self._offers, self._gpus, kept)
        self._last = instance, kept
        return instance


_DIGITS = Context(prec=400)
"""What amounts that end are divided with."""


@dataclass(frozen=True)
class _Scaled:
    """A plan where all prices are multiplied by one factor: so is what every plan costs.

    The cheapest stays the cheapest, unless an amount in the demand allows fewer plans, or more. So
    does no plan, unless lower prices allow one.

    Attributes
    ----------
    key : Point
        Everything else.
    factor : Decimal
        Of the plan.
    row : dict
        Its columns ``SWEEP``.
    least, most : Fraction | None
        Between which times its prices it stays the cheapest; None: without end.
    """

    key: Point
    factor: Decimal
    row: dict[str, Any]
    least: Fraction | None
    most: Fraction | None

    @classmethod
    def of(
        cls,
        key: Point,
        factor: Decimal,
        row: dict[str, Any],
        demand: Demand,
        solution: Solution | None,
    ) -> _Scaled | None:
        """Return a plan of a demand, or that there is none; None where that may change."""
        caps = {volume.name: volume.max_usd_gb_hr for volume in demand.volumes}
        is_free = not demand.policy.enforced and not any(caps.values())
        if row["feasible"] is None:
            return None
        if solution is None or is_free:
            return cls(key, factor, row, None if is_free else Fraction(1), None)
        room = [
            Fraction(most) / Fraction(placed.usd_gb_hr)
            for placed in solution.placements
            if (most := caps[placed.volume]) is not None
        ]
        for owner, limit in demand.policy.enforced:
            mine = (p.usd_hr for p in solution.placements if owner in {None, p.owner})
            spent = Fraction(usd_month(total(mine), demand.policy.hours_per_month))
            room += [Fraction(limit) / spent] if spent else []
        return cls(key, factor, row, Fraction(1), min(room, default=None))

    def at(self, factor: Decimal) -> dict[str, Any] | None:
        """Return the columns at another factor; None where another plan may be cheapest."""
        times = Fraction(factor) / Fraction(self.factor)
        if (self.least is not None and times < self.least) or (
            self.most is not None and times > self.most
        ):
            return None
        row = {**self.row}
        for name in ("usd_hr", "usd_month", "disk_usd_month"):
            if row[name] is not None:
                usd = Fraction(row[name]) * times
                usd_exact = _DIGITS.divide(Decimal(usd.numerator), Decimal(usd.denominator))
                row[name] = Decimal(plain(usd_exact))
        return row


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
