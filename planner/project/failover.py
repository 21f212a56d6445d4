"""After a stock-out: the same demand planned again, with everything bought where it is.

The plan that goes on is one like any other. It is kept in the state directory before anything of
it is sent, and the journal names the plan that was agreed to, which limits and percentage are
measured against: a rerun of that plan goes on with the last one that continues it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pandas as pd

from planner.errors import Infeasible, InputError, OutOfStock, PlanError, StateUnusable
from planner.market.market import Sold
from planner.plans import planning
from planner.plans.plan import Plan
from planner.project.journal import plan_file
from planner.project.preflight import read_account, recorded_disks
from planner.schema import records
from planner.text import visible
from planner.units import difference, money, part, plain, total

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from planner.project.context import Context
    from planner.project.state import Entry, State


MAX_FAILOVERS = 5
"""Stock-outs in one run after which a person should look at the market."""


def lineage(plan: Plan, state: State, folder: Path) -> tuple[Plan, ...]:
    """Return the plan that was agreed to, and every plan that continues it, the last one last.

    Parameters
    ----------
    plan : Plan
        What is to be applied: the plan that was agreed to, or one that continues it.

    Raises
    ------
    StateUnusable
        When a plan that the journal names is not there any more, or changed.
    """
    root = state.agreed_plan(plan.digest)
    later = (digest for digest in state.plans if digest != root)
    digests = [root, *(digest for digest in later if state.agreed_plan(digest) == root)]
    return tuple(plan if digest == plan.digest else kept_plan(folder, digest) for digest in digests)


def kept_plan(folder: Path, digest: str) -> Plan:
    """Return an applied plan, as it is kept in the state directory.

    Raises
    ------
    StateUnusable
        When it is not there any more, or changed.
    """
    path = folder / plan_file(digest)
    try:
        plan = Plan.load(path)
        if plan.digest == digest:
            return plan
        why = "is another plan"
    except (InputError, PlanError) as error:
        why = str(error)
    raise StateUnusable(
        f"{visible(str(path))}, a plan that the journal names, cannot be used: {why}",
        hint="put the file back, or plan again: a new plan keeps what was bought",
    )


def sold_out(ctx: Context) -> list[Entry]:
    """Return what was refused as sold out since the plan was agreed to."""
    return [entry for entry in ctx.entries if entry.plan in ctx.chain and entry.stock]


def replan(ctx: Context, agreed: Plan) -> Plan:
    """Return a plan for what is left after a stock-out.

    Parameters
    ----------
    agreed : Plan
        The plan that was agreed to.

    Raises
    ------
    OutOfStock
        When no other place is left, or none within the percentage.
    """
    percent = ctx.percent or Decimal(0)
    disks = read_account(ctx.marketplace)
    known = recorded_disks(ctx.journal.records, agreed.project, ctx.target, disks)
    recorded = known.in_use
    if ctx.again:  # a second set: what earlier plans bought serves the first
        own = {id_ for entry in ctx.entries if entry.plan in ctx.chain for id_ in entry.ids}
        recorded = {slot: ids for slot, ids in recorded.items() if own.issuperset(ids)}
    refused = sold_out(ctx)
    drift = sorted({f"{_place(entry.offer)}: out of stock" for entry in refused})
    try:
        other = planning.plan(
            agreed.demand,
            without_stock(ctx.offers(), refused),
            agreed.market.gpus if agreed.demand.workloads else None,
            disks=disks,
            recorded=recorded,
            superseded=known.superseded,
            target=ctx.target,
            demand_source=str(agreed.inputs["demand"]["source"]),
            origin=agreed.origin,
            now=ctx.pace.now(),
        )
    except Infeasible as error:
        raise OutOfStock(f"no other place is left: {error}", drift=drift) from error
    before, after = (plan.exact_totals["disk_usd_hr"] for plan in (agreed, other))
    if after > total((before, part(before, percent))):
        more = money(difference(after, before), 4)
        raise OutOfStock(
            f"the next best place makes the plan cost ${more}/h more than agreed, above the "
            f"{plain(percent)} % allowed",
            drift=drift,
            hint="allow more with --failover PCT, or plan again",
        )
    return other


def without_stock(offers: pd.DataFrame, refused: Sequence[Entry]) -> pd.DataFrame:
    """Return offers, those that refused a disk of its size marked as sold out."""
    sold = Sold(records(offers))
    numbers = {
        number for entry in refused for number in sold.numbers(entry.offer, entry.expected.size_gb)
    }
    stock = [
        "Unavailable" if number in numbers else now for number, now in enumerate(offers["stock"])
    ]
    left = offers.assign(stock=pd.Series(stock, offers.index, offers["stock"].dtype))
    left.attrs = dict(offers.attrs)
    return left


def _place(key: tuple[str | None, ...]) -> str:
    return " ".join(visible(part) for part in key if part)
