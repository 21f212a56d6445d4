"""What a person sees of a plan: the rows and sentences that every format shares.

Amounts are rounded here for reading; the plan itself stays exact.
"""

from __future__ import annotations

from decimal import Decimal
from html import escape
from typing import TYPE_CHECKING

from planner.text import visible
from planner.units import difference, money, total, usd_month

if TYPE_CHECKING:
    from planner.plan import Plan
    from planner.solve import Placement

HEADINGS = ("volume", "copy", "where", "size GB", "$/hour", "$/month")
RIGHT = frozenset({"copy", "size GB", "$/hour", "$/month"})
"""Headings of columns that are aligned to the right."""


def plan_rows(plan: Plan) -> list[tuple[str, ...]]:
    """Return one row of texts under ``HEADINGS`` for each placement."""
    hours = plan.demand.policy.hours_per_month
    return [
        (
            visible(placement.volume),
            str(placement.replica),
            where(placement),
            _sizes(placement.disk_sizes_gb),
            money(placement.usd_hr, 4),
            money(usd_month(placement.usd_hr, hours)),
        )
        for placement in plan.placements
    ]


def total_row(plan: Plan) -> tuple[str, ...]:
    """Return the texts under ``HEADINGS`` of the whole plan."""
    size = sum(placement.provision_gb for placement in plan.placements)
    usd = total(placement.usd_hr for placement in plan.placements)
    month = usd_month(usd, plan.demand.policy.hours_per_month)
    return ("total", "", "", f"{size:,}", money(usd, 4), money(month))


def where(placement: Placement) -> str:
    """Return provider, data centre and country in one text."""
    place = placement.data_center or "unnamed"
    country = f" ({placement.country})" if placement.country else ""
    return visible(f"{placement.provider} {place}{country}")


def _sizes(sizes: tuple[int, ...]) -> str:
    groups = [(size, sizes.count(size)) for size in dict.fromkeys(sizes)]
    return " + ".join(f"{size:,}" if n == 1 else f"{n} x {size:,}" for size, n in groups)


def plan_notes(plan: Plan) -> list[str]:
    """Return what stands below the table: how sure, under which budgets, compared with what."""
    return [*_certainty(plan), *_budgets(plan), *_compared(plan), _origin(plan)]


def _certainty(plan: Plan) -> list[str]:
    record = plan.solver
    if record.status == "optimal":
        sure = "optimal: no cheaper plan exists, proven exactly"
    else:
        gap = money(Decimal(record.gap) * 100, 2)
        sure = f"NOT PROVEN (time limit): at most {gap} % above the best plan"
    size = f"{record.variables:,} variables, {record.constraints:,} constraints"
    checked = "every constraint and cost checked again without the solver"
    return [f"{sure} ({record.name}, {size}, {record.seconds:.2f} s); {checked}"]


def _budgets(plan: Plan) -> list[str]:
    policy = plan.demand.policy
    limits = [(None, policy.budget_usd_month), *policy.budgets.items()]
    lines = []
    for owner, limit in limits:
        if limit is None:
            continue
        mine = (p.usd_hr for p in plan.placements if owner is None or p.owner == owner)
        spent = usd_month(total(mine), policy.hours_per_month)
        share = f" ({money(spent / limit * 100, 0)} %)" if limit else ""
        name = "budget" if owner is None else f"budget of {visible(owner)}"
        lines.append(f"{name}: ${money(spent)} of ${money(limit)} a month{share}")
    return lines


def _compared(plan: Plan) -> list[str]:
    cost = plan.solver.objective_usd_hr
    hours = plan.demand.policy.hours_per_month
    lines = []
    for baseline in plan.baselines():
        if baseline.usd_hr is None or baseline.place is None:
            lines.append(f"{baseline.name}: impossible, {visible(baseline.why_not)}")
            continue
        extra = usd_month(difference(baseline.usd_hr, cost), hours)
        month = money(usd_month(baseline.usd_hr, hours))
        dearer = f"${money(extra)} more" if extra else "the same"
        lines.append(f"{baseline.name} ({visible(baseline.place)}): ${month} a month, {dearer}")
    return lines


def _origin(plan: Plan) -> str:
    offers = plan.inputs["offers"]
    asked = f", fetched {offers['fetched_at']}" if offers["fetched_at"] else ""
    source = visible(str(offers["source"]))
    hours = plan.demand.policy.hours_per_month
    return (
        f"plan {plan.plan_id} on {offers['rows']} offers of {source}{asked}; "
        f"a month is {hours} hours"
    )


def plan_html(plan: Plan) -> str:
    """Return the plan as a piece of HTML: a table and its notes, everything escaped, no scripts."""
    align = {True: "right", False: "left"}

    def cells(tag: str, row: tuple[str, ...]) -> str:
        made = (
            f'<{tag} style="text-align:{align[name in RIGHT]}">{escape(cell)}</{tag}>'
            for name, cell in zip(HEADINGS, row, strict=True)
        )
        return f"<tr>{''.join(made)}</tr>"

    body = "".join(cells("td", row) for row in plan_rows(plan))
    told = (visible(note) for note in (*plan_notes(plan), *plan.warnings))
    notes = "".join(f"<li>{escape(note)}</li>" for note in told)
    title = escape(visible(plan.project))
    return (
        f"<table><caption>{title}</caption><thead>{cells('th', HEADINGS)}</thead>"
        f"<tbody>{body}</tbody><tfoot>{cells('th', total_row(plan))}</tfoot></table>"
        f"<ul>{notes}</ul>"
    )
