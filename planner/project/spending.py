"""What a project costs now, and the run-rates that a run never exceeds.

A disk counts from the moment its create is about to be sent until it is seen to be gone, whichever
plan of the project bought it: live, superseded, or with an unknown outcome.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from planner.errors import PlanStale
from planner.units import difference, hourly, part, total

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable

    from planner.plans.plan import Plan
    from planner.project.context import Context
    from planner.project.preflight import Limits
    from planner.project.state import Entry


@dataclass(frozen=True)
class Ceiling:
    """A run-rate that a run never exceeds.

    Attributes
    ----------
    usd_hr : Decimal
        Its amount, in USD per hour.
    plans : collection of str | None
        Digests of the plans whose purchases count; None: all disks of the project, kept ones too.
    what, name, hint : str
        Whose disks, what the limit is called, and how it is raised.
    """

    usd_hr: Decimal
    plans: Collection[str] | None
    what: str
    name: str
    hint: str


def ceilings_of(ctx: Context, limits: Limits) -> list[Ceiling]:
    """Return the run-rates that a run never exceeds.

    What the plan buys may cost what was planned, and the price tolerance: it is what the plan adds
    to the project, so disks that it keeps are not in it. After a stock-out, all that was bought
    since may cost what was agreed, and the percentage of that plan's run-rate.
    """
    planned = limits.may_cost(total(slot.usd_hr for slot in ctx.slots.values()))
    again = "allow it with --price-tolerance, or plan again"
    ceilings = [Ceiling(planned, {ctx.plan}, "the plan's disks", "the plan's limit", again)]
    if len(ctx.plans) > 1:
        agreed = _with_failover(ctx.plans[0], ctx.percent or Decimal(0))
        what = "the plan's disks and those of its failovers"
        more = "allow more with --failover PCT, or plan again"
        ceilings.append(Ceiling(agreed, ctx.chain, what, "the limit of --failover", more))
    if limits.max_usd_hr is not None:
        what, higher = "the project's disks", "raise --max-usd-hr, or plan again"
        ceilings.append(Ceiling(limits.max_usd_hr, None, what, "--max-usd-hr", higher))
    return ceilings


def _with_failover(agreed: Plan, percent: Decimal) -> Decimal:
    new, fleet = (agreed.exact_totals[name] for name in ("new_usd_hr", "disk_usd_hr"))
    return total((new, part(fleet, percent)))


def project_usd_hr(
    ctx: Context, *, plans: Container[str] | None = None, without: Container[str] = ()
) -> Decimal:
    """Return what the project costs per hour, as it was last listed.

    Parameters
    ----------
    plans : container of str | None
        Only what plans with these digests bought; otherwise everything, kept disks too.
    """
    entries = [entry for entry in ctx.entries if entry.may_exist and entry.name not in without]
    costs = [cost(ctx, entry) for entry in entries if plans is None or entry.plan in plans]
    if plans is None:
        known = {disk_id for entry in entries for disk_id in entry.ids}
        known |= {i for entry in ctx.entries if entry.stage == "destroyed" for i in entry.ids}
        costs += [kept_cost(ctx, disk_id) for disk_id in ctx.kept.keys() - known]
    return total(costs)


def cost(ctx: Context, entry: Entry) -> Decimal:
    """Return what a slot costs per hour: what is listed of its disk, or else what is recorded."""
    if is_gone(ctx, entry):
        return Decimal(0)
    disk = ctx.listed.get(entry.ids[0]) if _has_disk(entry) else None
    if disk is None or disk.usd_hr is None:
        return entry.counted_usd_hr
    return entry.expected.counted(disk.usd_hr)


def is_gone(ctx: Context, entry: Entry) -> bool:
    """Return whether the disk of a slot was seen not to exist any more."""
    if not _has_disk(entry):
        return False
    disk = ctx.listed.get(entry.ids[0])
    return entry.ids[0] in ctx.gone if disk is None else not disk.is_live


def _has_disk(entry: Entry) -> bool:
    return entry.may_exist and not entry.is_pending and not entry.has_conflict


def kept_cost(ctx: Context, disk_id: str) -> Decimal:
    """Return what a disk that the plan keeps costs per hour; one that is not listed is gone."""
    planned = ctx.kept[disk_id]["usd_hr"] or Decimal(0)
    disk = ctx.listed.get(disk_id)
    if ctx.listing is None or disk is None or not disk.is_live:
        return planned if ctx.listing is None else Decimal(0)
    return planned if disk.usd_hr is None else disk.usd_hr


def allowed_usd_hr(ctx: Context, ceilings: Iterable[Ceiling]) -> Decimal:
    """Return what the project may cost per hour at most with what it has beside the plan."""
    now = project_usd_hr(ctx)
    return min(
        total((ceiling.usd_hr, difference(now, project_usd_hr(ctx, plans=ceiling.plans))))
        for ceiling in ceilings
    )


def check_ceilings(
    ctx: Context,
    more: Iterable[Decimal],
    ceilings: Iterable[Ceiling],
    *,
    without: Container[str] = (),
) -> None:
    """Refuse to exceed a run-rate.

    Parameters
    ----------
    more : iterable of Decimal
        What is to be sent, in USD per hour.
    without : container of str
        Names of the slots that are to be sent.

    Raises
    ------
    PlanStale
        When existing, pending and next disks together exceed a ceiling.
    """
    added = total(more)
    for ceiling in ceilings:
        existing = project_usd_hr(ctx, plans=ceiling.plans, without=without)
        sum_usd_hr = total((existing, added))
        if sum_usd_hr > ceiling.usd_hr:
            usd, most = hourly(sum_usd_hr), hourly(ceiling.usd_hr)
            raise PlanStale(
                f"{ceiling.what} would cost {usd}, {ceiling.name} is {most}: "
                f"{hourly(existing)} exist or are pending",
                drift=[f"{usd} exceeds {most}"],
                hint=ceiling.hint,
            )
