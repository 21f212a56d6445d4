"""From a plan, an account, or both, to a report."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, overload

from planner.errors import InputError
from planner.formats import JsonError, parse, read_bytes
from planner.market.disks import HEALTHY
from planner.market.market import addressable
from planner.plans.given import a_plan
from planner.plans.plan import MAX_BYTES, Plan
from planner.plans.track_record import track_record
from planner.present.progress import tracked
from planner.present.table import reading
from planner.reports.aggregates import PlanBaseline
from planner.reports.budgets import Limit
from planner.reports.holdings import Holdings, Source, existing_then, wallet_of
from planner.reports.ledger import account_of, bought_as, lines_of
from planner.reports.lines import GpuLine, Month
from planner.reports.months import MonthReport, month_report
from planner.reports.past import handovers, past_disks
from planner.reports.report import Report
from planner.reports.shares import divided, whole
from planner.solve.existing import regions_by_site
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from decimal import Decimal
    from pathlib import Path

    import pandas as pd

    from planner.reports.ledger import Purchase, Regions
    from planner.reports.lines import Line


@overload
def report(
    plan: Plan | None = None,
    holdings: Holdings | None = None,
    *,
    bought: Mapping[str, Purchase] | None = None,
    doubts: Sequence[str] = (),
    records: Sequence[dict[str, Any]] = (),
    offers: pd.DataFrame | None = None,
    budgets: Mapping[str | None, Decimal | float] | None = None,
    warn_above: Decimal | float | None = None,
    plan_source: str = "plan",
    now: datetime | None = None,
    month: None = None,
    state: str | Path | None = None,
) -> Report: ...


@overload
def report(
    plan: Plan | None = None,
    holdings: Holdings | None = None,
    *,
    records: Sequence[dict[str, Any]] = (),
    offers: pd.DataFrame | None = None,
    plan_source: str = "plan",
    now: datetime | None = None,
    month: str,
    compare: str | None = None,
) -> MonthReport: ...


def report(
    plan: Plan | None = None,
    holdings: Holdings | None = None,
    *,
    bought: Mapping[str, Purchase] | None = None,
    doubts: Sequence[str] = (),
    records: Sequence[dict[str, Any]] = (),
    offers: pd.DataFrame | None = None,
    budgets: Mapping[str | None, Decimal | float] | None = None,
    warn_above: Decimal | float | None = None,
    plan_source: str = "plan",
    now: datetime | None = None,
    month: str | None = None,
    compare: str | None = None,
    state: str | Path | None = None,
) -> Report | MonthReport:
    """Return the budget report of a plan, of an account, or of both, or what a month cost.

    Parameters
    ----------
    plan : Plan | None
        What is to be there. Without an account, the account's disks are those the plan was made
        with, if it was.
    holdings : Holdings | None
        What is there: see `fetch_holdings`.
    bought : mapping | None
        Id of a disk → what the journal says it was bought as: see `bought_as`.
    doubts : sequence of str
        What may exist and was not seen, such as `bought_as` says; no budget is known to be kept
        then.
    records : sequence of dict
        The journal's; they say both, and which disks are gone.
    offers : DataFrame | None
        Columns ``OFFERS``: they tell the region of a disk's place, which no disk does; None takes
        the plan's.
    budgets : mapping | None
        Owner (None: everybody) → most that every disk of the report may cost in a month of
        730 h, in USD. The plan's own budgets are always there, and count its disks.
    warn_above : Decimal | None
        Per cent of a budget beyond which it is warned about.
    plan_source : str
        Where the plan came from, for the record.
    now : datetime | None
        Time of the report; this moment when None.
    month : str | None
        A calendar month, such as ``2026-10``: what disks that are there or gone cost in it, see
        `MonthReport`. It takes an account, and no budgets.
    compare : str | None
        The month that it is compared with.
    state : str | Path | None
        State directory with the market's history, for how the plan's offers did so far; None is
        planner's own.

    Raises
    ------
    InputError
        When there is neither plan nor account, or they are of different marketplaces.

    Examples
    --------
    >>> import planner
    >>> demand = planner.read_demand("shipped:minimal")
    >>> offers = planner.read_offers("shipped:disk-offers")
    >>> plan = planner.plan(demand, offers)
    >>> planner.report(plan).summary[0]
    '3 disks, 5,000 GB: $294.92/month, $0.4040/h'
    """
    if plan is None and holdings is None:
        raise InputError("There is nothing to report on.", hint="Give a plan, an account, or both.")
    if month is not None or compare is not None:
        return _month(plan, holdings, records, offers, now, month, compare)
    if records and holdings is not None:
        bought, doubts = bought_as(records, holdings)
    created = (now or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0)
    read = holdings
    if holdings is None and plan is not None and "disks" in a_plan(plan).inputs:
        holdings = planned_with(plan)
    later: tuple[str, ...] = ()
    if holdings is not None:
        holdings, later = existing_then(holdings)
    regions = regions_of(plan, offers)
    lines, notes, gone = lines_of(plan, holdings, bought or {}, regions, created)
    account = account_of(holdings, plan)
    sources: list[Source] = []
    if plan is not None:
        sources.append(_plan_source(plan, plan_source, account_of(None, plan)))
    if holdings is not None:
        at = holdings.read_at.isoformat()
        kind: Literal["account", "remembered"] = "remembered" if read is None else "account"
        sources.append(Source(kind, holdings.source, at, account))
    report = Report(
        created_at=created.isoformat(),
        sources=tuple(sources),
        lines=lines,
        gpus=() if plan is None else tuple(gpu_lines_of(plan, account)),
        limits=() if plan is None else _limits(plan),
        baselines=() if plan is None else _baselines(plan),
        wallets=() if read is None or not read.has_wallet else (wallet_of(read, account),),
        warnings=(*later, *notes, *_amiss(lines), *(() if read is None else read.notes)),
        doubts=(*gone, *doubts),
        gone=() if holdings is None else _deleted(records, holdings, regions),
        track_record=() if plan is None else track_record(plan, state),
        planned_months=() if plan is None else tuple(plan.outlook.months()),
    )
    return report.against(budgets or {}, warn_above)


def _month(
    plan: Plan | None,
    holdings: Holdings | None,
    records: Sequence[dict[str, Any]],
    offers: pd.DataFrame | None,
    now: datetime | None,
    month: str | None,
    compare: str | None,
) -> MonthReport:
    """Return what a month cost."""
    if month is None:
        raise InputError("compare needs a month", hint="give both, such as 2026-10 and 2026-09")
    if holdings is None:
        raise InputError("A month is reported of an account.", hint="Give its disks too.")
    made = report(plan, holdings, records=records, offers=offers, now=now)
    return month_of(made, holdings, (month, compare), records, regions_of(plan, offers))


def month_of(
    made: Report,
    holdings: Holdings,
    months: tuple[str, str | None],
    records: Sequence[dict[str, Any]],
    regions: Regions,
) -> MonthReport:
    """Return what a month cost, and what it is compared with: see `month_report`."""
    gone, earlier = past_disks(records, holdings, regions), handovers(records, holdings)
    return month_report(made, holdings, *months, past=tuple(gone), earlier=earlier)


def _deleted(
    records: Sequence[dict[str, Any]], holdings: Holdings, regions: Regions
) -> tuple[Line, ...]:
    """Return the disks that were deleted since the calendar month began."""
    start = Month.of(holdings.read_at).start
    past = past_disks(records, holdings, regions)
    return divided(one.line for one in past if one.ended_at is not None and one.ended_at >= start)


def regions_of(plan: Plan | None, offers: pd.DataFrame | None) -> Regions:
    """Return the regions of the places that a market knows."""
    if offers is not None:
        return regions_by_site(addressable(offers, exact=True))
    return {} if plan is None else regions_by_site(plan.market.addressable)


def planned_with(plan: Plan) -> Holdings:
    """Return the account as it was when a plan was made."""
    target = plan.target or {"base_url": None, "team_id": None}
    return Holdings(
        source=str(plan.inputs["disks"]["source"]),
        base_url=target["base_url"],
        team_id=target["team_id"],
        read_at=datetime.fromisoformat(plan.created_at),
        listed=plan.market.disks,
    )


def _plan_source(plan: Plan, name: str, account: str | None) -> Source:
    offers = plan.inputs["offers"]
    return Source(
        kind="plan",
        name=name,
        as_of=plan.created_at,
        account=account,
        project=plan.project,
        plan_id=plan.plan_id,
        digest=plan.digest,
        prices=str(offers["source"]),
        prices_at=offers["fetched_at"],
        hours_per_month=plan.demand.policy.hours_per_month,
    )


def _limits(plan: Plan) -> tuple[Limit, ...]:
    policy = plan.demand.policy
    return tuple(Limit(plan.project, *each, policy.hours_per_month) for each in policy.limits)


def gpu_lines_of(plan: Plan, account: str | None) -> Iterator[GpuLine]:
    """Yield the GPUs of the workloads of a plan."""
    left_out = {"cloud_id", "security"}
    for gpu in plan.gpus:
        values = {name: value for name, value in vars(gpu).items() if name not in left_out}
        yield GpuLine(account=account, project=plan.project, **values)


def _baselines(plan: Plan) -> tuple[PlanBaseline, ...]:
    return tuple(
        PlanBaseline(plan.project, one.name, one.place, one.usd_month, one.why_not)
        for one in plan.baselines()
    )


def _amiss(lines: Sequence[Line]) -> Iterator[str]:
    """Yield what a person should look at: disks that are ill, or have no price."""
    for one in whole(lines):
        name = visible(one.disk_id or "without id")
        if one.status is not None and one.status not in HEALTHY:
            cost = (
                "price unknown"
                if one.usd_hr is None
                else f"${reading(one.usd_hr, 'usd_hr').text}/h"
            )
            yield f"disk {name} ({one.title}) is {one.status} and still billed: {cost}"
        elif one.usd_hr is None:
            yield f"disk {name} ({one.title}) has no price: no amount includes it"


def read_inputs(files: Sequence[str]) -> tuple[list[tuple[str, Plan]], list[Report]]:
    """Return the plans, each with its file, and the saved reports among files.

    Raises
    ------
    InputError
        When a file cannot be read, or is a report that was changed.
    PlanError
        When it is neither, or a plan that was changed.
    """
    plans: list[tuple[str, Plan]] = []
    saved: list[Report] = []
    for file in tracked(files, "Reading plans"):
        if _is_report(read_bytes(file, what="plan or report", limit=MAX_BYTES)):
            saved.append(Report.load(file))
        else:
            plans.append((file, Plan.load(file)))
    return plans, saved


def _is_report(content: bytes) -> bool:
    """Return whether a file states that it is a report; a plan says so at its beginning."""
    if b'"planner.plan/' in content[:200]:
        return False  # a long one is not parsed twice
    try:
        document = parse(content)
    except JsonError:
        return False
    return isinstance(document, dict) and str(document.get("format")).startswith("planner.report/")
