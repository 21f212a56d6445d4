"""After a stock-out: place what is left elsewhere, with everything bought where it is."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pandas as pd

from planner.errors import Infeasible, OutOfStock
from planner.market.offers import KEY
from planner.plans.planning import make_plan
from planner.schema import records
from planner.units import difference, money, plain

if TYPE_CHECKING:
    from planner.plans.plan import Plan
    from planner.project.outcome import ApplyReport
    from planner.project.preflight import Recorded


def replan(
    plan: Plan,
    report: ApplyReport,
    offers: pd.DataFrame,
    disks: pd.DataFrame,
    recorded: Recorded,
    percent: Decimal,
) -> Plan:
    """Return a plan for the rest of one that met a stock-out.

    Parameters
    ----------
    plan : Plan
        What was applied.
    report : ApplyReport
        How far it came.
    offers : DataFrame
        Columns ``OFFERS``: the market now.
    disks : DataFrame
        Columns ``DISKS``: the account now.
    recorded : mapping
        What was bought for the project: it stays where it is.
    percent : Decimal
        By how much the run-rate of the whole fleet may rise.

    Raises
    ------
    OutOfStock
        When there is no other place, or none within the percentage.
    """
    gone = {row.slot.offer for row in report.rows if row.entry is not None and row.entry.stock}
    keys = [tuple(row[name] for name in KEY) for row in records(offers)]
    stock = [
        "Unavailable" if key in gone else now
        for key, now in zip(keys, offers["stock"], strict=True)
    ]
    left = offers.assign(stock=pd.Series(stock, offers.index, offers["stock"].dtype))
    left.attrs = dict(offers.attrs)
    drift = [f"{_place(key)}: out of stock" for key in sorted(gone, key=str)]
    try:
        other = make_plan(
            plan.demand,
            left,
            plan.market.gpus if plan.demand.workloads else None,
            disks=disks,
            recorded=recorded,
            target=plan.target,
            demand_source=str(plan.inputs["demand"]["source"]),
        )
    except Infeasible as error:
        raise OutOfStock(f"no other place is left: {error}", drift=drift) from error
    before, after = (Decimal(one.totals["disk_usd_hr"]) for one in (plan, other))
    most = before + before * percent / 100
    if after > most:
        more = money(difference(after, before), 4)
        raise OutOfStock(
            f"the next best place makes the fleet ${more} an hour dearer, more than the "
            f"{plain(percent)} % allowed",
            drift=drift,
            hint="allow more with --failover PCT, or plan again",
        )
    return other


def _place(key: tuple[str | None, ...]) -> str:
    return " ".join(part for part in key if part)
