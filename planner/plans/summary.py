"""What a person sees of a plan: the rows and sentences that every format shares.

Amounts are rounded here for reading; the plan itself stays exact.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.market.offers import place_text
from planner.present.table import Cell, Section, TableColumn, moment
from planner.solve.moving import OVERLAP_DAYS
from planner.text import visible
from planner.units import difference, money, plain, total, usd_month

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from planner.analysis.baselines import Baseline
    from planner.demand.model import Policy
    from planner.solve.moving import Moving
    from planner.solve.optimise import SolverRecord
    from planner.solve.rentals import Gpu
    from planner.solve.solution import Placement


_COLUMNS = (
    TableColumn("action", "", "action"),
    TableColumn("volume", "volume"),
    TableColumn("where", "where"),
    TableColumn("size_gb", "size GB", "size_gb"),
    TableColumn("usd_hr", "$/hour", "usd_hr"),
    TableColumn("usd_month", "$/month", "usd_month"),
)
_SIGNS = {"create": "+", "replace": "~", "keep": "="}
"""Actions as people read them beside a placement."""


def placements_section(
    title: str, placements: Sequence[Placement], hours: int, notes: tuple[str, ...]
) -> Section:
    """Return the placements of a plan as a table with their total."""
    replicas = Counter(placement.volume for placement in placements)
    rows = tuple(
        (
            Cell(placement.action, _SIGNS[placement.action]),
            placement.volume + (f" #{placement.replica}" if replicas[placement.volume] > 1 else ""),
            place_text(vars(placement)),
            Cell(placement.provision_gb, _sizes(placement.disk_sizes_gb)),
            placement.usd_hr,
            usd_month(placement.usd_hr, hours),
        )
        for placement in placements
    )
    usd = total(placement.usd_hr for placement in placements)
    size = sum(placement.provision_gb for placement in placements)
    footer = ("", "total", "", size, usd, usd_month(usd, hours))
    return Section(
        "placements", title, _COLUMNS, rows, footer, notes, expendable=("usd_hr",), noun="placement"
    )


def outcome(placements: Sequence[Placement], hours: int) -> str:
    """Return what the plan does, and what its disks cost."""
    counts = Counter[str](placement.action for placement in placements)
    named = {"create": "to create", "replace": "to replace", "keep": "unchanged"}
    shown = [f"{counts[action]} {text}" for action, text in named.items() if counts[action]]
    month = money(usd_month(total(placement.usd_hr for placement in placements), hours))
    return f"Plan: {', '.join(shown)}. Disks: ${month}/month."


def _sizes(sizes: tuple[int, ...]) -> str:
    groups = [(size, sizes.count(size)) for size in dict.fromkeys(sizes)]
    return " + ".join(f"{size:,}" if n == 1 else f"{n} x {size:,}" for size, n in groups)


def certainty(record: SolverRecord, *, keeps: bool = False, unchecked: str = "") -> str:
    """Return how sure the plan is, and of what.

    Parameters
    ----------
    record : SolverRecord
        What was proved.
    keeps : bool
        Whether the plan keeps existing disks: no plan that moves them was looked at.
    unchecked : str
        Requirements that were not held against them, see `unchecked_existing`.
    """
    spare = difference(record.objective_usd_hr, record.bound_usd_hr)
    if record.cost_slack_percent:
        percent = plain(record.cost_slack_percent)
        sure = (
            f"within {percent} % of the least cost, ${money(record.bound_usd_hr, 4)} an hour, as "
            "was allowed for better stock and fewer sites"
        )
    elif record.status == "optimal" and not spare:
        which = "no cheaper plan keeps the existing disks" if keeps else "no cheaper plan exists"
        sure = f"optimal: {which}, proven exactly"
    elif record.status == "optimal":
        sure = f"optimal: proven to {record.gap:.1e} of its cost, ${money(spare, 6)} an hour"
    else:
        gap = money(Decimal(record.gap) * 100, 2)
        sure = f"NOT PROVEN (time limit): at most {gap} % of its cost above the best plan"
    size = f"{record.variables:,} variables, {record.constraints:,} constraints"
    how = f"{record.name}, {size}, {record.seconds:.2f} s"
    if not record.variables:
        how = "by presolve, without a solver"
    checked = "every constraint and cost checked again without the solver"
    if unchecked:
        checked += f", but not for existing disks: {unchecked}"
    return f"{sure} ({how}); {checked}"


def gpu_lines(gpus: Sequence[Gpu], totals: Mapping[str, Any]) -> list[str]:
    """Return where each workload runs, at what cost, and what disks and GPUs cost together."""
    lines = []
    for gpu in gpus:
        nodes = f"{gpu.nodes} x " if gpu.nodes > 1 else ""
        socket = f" {visible(gpu.socket)}" if gpu.socket else ""
        spot = ", spot" if gpu.spot else ""
        month = money(usd_month(gpu.usd_hr_on, gpu.hours_per_month))
        lines.append(
            f"GPUs of {visible(gpu.workload)}: {nodes}{gpu.gpus} {visible(gpu.gpu_type)}{socket} "
            f"at {visible(place_text(vars(gpu)))} ({visible(gpu.offer_id)}{spot}), "
            f"${money(gpu.usd_hr_on, 4)} an hour x {gpu.hours_per_month} h = ${month} a month"
        )
    if gpus:
        lines.append(f"disks and GPUs together: ${money(Decimal(totals['usd_month']))} a month")
    return lines


def budgets(placements: Sequence[Placement], policy: Policy) -> list[str]:
    """Return what is spent of each budget."""
    lines = []
    for owner, limit in policy.limits:
        mine = (p.usd_hr for p in placements if owner is None or p.owner == owner)
        spent = usd_month(total(mine), policy.hours_per_month)
        share = f" ({money(spent / limit * 100, 0)} %)" if limit else ""
        name = "budget" if owner is None else f"budget of {visible(owner)}"
        lines.append(f"{name}: ${money(spent)} of ${money(limit)} a month{share}")
    return lines


def compared(
    cost_usd_month: Decimal,
    disks_usd_month: Decimal,
    others: Sequence[Baseline],
    *,
    keeps: bool = False,
    proven: bool = False,
) -> list[str]:
    """Return what simpler plans would cost, beside the plan's cost and that of its disks.

    Parameters
    ----------
    keeps : bool
        Whether there are existing disks: they are kept in all of them, and that is said.
    proven : bool
        Whether only a budget, which simpler plans leave aside, can let one of them cost less.
    """
    lines = ["Compared with simpler plans; each keeps the existing disks:"] if keeps else []
    for baseline in others:
        name = f"{baseline.name[:1].upper()}{baseline.name[1:]}"
        if baseline.usd_month is None:
            lines.append(f"{name}: impossible ({visible(baseline.why_not)})")
            if baseline.disks_usd_month is not None:
                saved = money(difference(disks_usd_month, baseline.disks_usd_month))
                disks = money(baseline.disks_usd_month)
                lines[-1] += f"; its disks are ${disks}/month, ${saved} less than the plan's"
            continue
        extra = difference(baseline.usd_month, cost_usd_month)
        dearer = "same as this plan"
        if extra:
            dearer = f"${money(abs(extra))} {'more' if extra > 0 else 'less'}"
            dearer += ", but over a budget" * (proven and extra < 0)
        where = "" if baseline.place is None else f" ({visible(baseline.place)})"
        lines.append(f"{name}{where}: ${money(baseline.usd_month)}/month ({dearer})")
    return lines


def moving_line(moving: Moving) -> str:
    """Return what moving existing disks would save, what it costs once, and when that is back."""
    ids = ", ".join(disk_id[:8] for disk_id in moving.disk_ids[:_MOVED])
    more = len(moving.disk_ids) - _MOVED
    listed = ids + (f" and {more} more" if more > 0 else "")
    line = (
        f"Moving existing disks ({listed}) would save ${money(moving.saves_usd_month)}/month, and "
        f"costs ${money(moving.once_usd)} once ({OVERLAP_DAYS} days of both disks, transfer at no "
        "cost assumed)"
    )
    return f"{line}, paid back in {money(moving.payback_days, 1)} days"


_MOVED = 5


def origin(plan_id: str, offers: Mapping[str, Any], hours: int) -> str:
    """Return which plan this is, of which offers."""
    asked = f", fetched {moment(offers['fetched_at'])}" if offers["fetched_at"] else ""
    source = visible(str(offers["source"]))
    return f"plan {plan_id} on {offers['rows']} offers of {source}{asked}; a month is {hours} hours"
