"""What a project costs now, and the run-rates that a run never exceeds.

A disk counts from the moment its create is about to be sent until it is seen to be gone, whichever
plan of the project bought it: live, superseded, or with an unknown outcome.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from planner.errors import PlanStale
from planner.units import difference, part, plain, total

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from planner.market.disks import Disk
    from planner.plans.plan import Plan
    from planner.project.context import Context
    from planner.project.preflight import Limits
    from planner.project.state import Entry


@dataclass(frozen=True)
class Ceilings:
    """Run-rates that a run never exceeds, in USD per hour.

    Attributes
    ----------
    plan : Decimal
        What the disks that the plan buys may cost: as planned, and the price tolerance. It is
        what the plan adds to the project, so disks that it keeps are not in it.
    failover : Decimal | None
        What the plan that was agreed to and every plan that continues it may buy together: as
        agreed, and the percentage of that plan's run-rate. None where nothing is continued.
    project : Decimal | None
        What all disks of the project may cost, kept ones too: ``--max-usd-hr``.
    """

    plan: Decimal
    failover: Decimal | None = None
    project: Decimal | None = None

    @classmethod
    def of(
        cls,
        limits: Limits,
        planned: Decimal,
        agreed: Plan | None = None,
        percent: Decimal | None = None,
    ) -> Ceilings:
        """Return the ceilings of a plan.

        Parameters
        ----------
        planned : Decimal
            What the plan buys, in USD per hour.
        agreed : Plan | None
            The plan that this one continues after a stock-out.
        percent : Decimal | None
            By how much the run-rate of that plan may rise.
        """
        failover = None if agreed is None else _with_failover(agreed, percent or Decimal(0))
        return cls(limits.may_cost(planned), failover, limits.max_usd_hr)


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
    listed = {disk.id: disk for disk in ctx.listing.disks} if ctx.listing else {}
    entries = [entry for entry in ctx.entries if entry.may_exist and entry.name not in without]
    costs = [cost(ctx, entry, listed) for entry in entries if plans is None or entry.plan in plans]
    if plans is None:
        known = {disk_id for entry in entries for disk_id in entry.ids}
        known |= {i for entry in ctx.entries if entry.stage == "destroyed" for i in entry.ids}
        costs += [kept_cost(ctx, disk_id, listed) for disk_id in ctx.kept.keys() - known]
    return total(costs)


def cost(ctx: Context, entry: Entry, listed: Mapping[str | None, Disk]) -> Decimal:
    """Return what a slot costs per hour: what is listed of its disk, or else what is recorded."""
    if is_gone(ctx, entry, listed):
        return Decimal(0)
    disk = listed.get(entry.ids[0]) if _has_disk(entry) else None
    if disk is None or disk.usd_hr is None:
        return entry.counted_usd_hr
    return entry.expected.counted(disk.usd_hr)


def is_gone(ctx: Context, entry: Entry, listed: Mapping[str | None, Disk]) -> bool:
    """Return whether the disk of a slot was seen not to exist any more."""
    if not _has_disk(entry):
        return False
    disk = listed.get(entry.ids[0])
    return entry.ids[0] in ctx.gone if disk is None else not disk.is_live


def _has_disk(entry: Entry) -> bool:
    return entry.may_exist and not entry.is_pending and not entry.has_conflict


def kept_cost(ctx: Context, disk_id: str, listed: Mapping[str | None, Disk]) -> Decimal:
    """Return what a disk that the plan keeps costs per hour; one that is not listed is gone."""
    planned = ctx.kept[disk_id]["usd_hr"] or Decimal(0)
    disk = listed.get(disk_id)
    if ctx.listing is None or disk is None or not disk.is_live:
        return planned if ctx.listing is None else Decimal(0)
    return planned if disk.usd_hr is None else disk.usd_hr


def allowed_usd_hr(ctx: Context, ceilings: Ceilings) -> Decimal:
    """Return what the project may cost per hour at most with what it has beside the plan."""
    now = project_usd_hr(ctx)
    groups = ((ceilings.plan, {ctx.plan}), (ceilings.failover, ctx.chain), (ceilings.project, None))
    return min(
        total((ceiling, difference(now, project_usd_hr(ctx, plans=plans))))
        for ceiling, plans in groups
        if ceiling is not None
    )


def check_ceilings(
    ctx: Context, more: Iterable[Decimal], ceilings: Ceilings, *, without: Container[str] = ()
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
    groups = (
        (
            "the plan's disks",
            "the plan's limit",
            {ctx.plan},
            ceilings.plan,
            "allow it with --price-tolerance, or plan again",
        ),
        (
            "the plan's disks and those of its failovers",
            "the limit of --failover",
            ctx.chain,
            ceilings.failover,
            "allow more with --failover PCT, or plan again",
        ),
        (
            "the project's disks",
            "--max-usd-hr",
            None,
            ceilings.project,
            "raise --max-usd-hr, or plan again",
        ),
    )
    for what, name, plans, ceiling, hint in groups:
        if ceiling is None:
            continue
        existing = project_usd_hr(ctx, plans=plans, without=without)
        sum_usd_hr = total((existing, added))
        if sum_usd_hr > ceiling:
            raise PlanStale(
                f"{what} would cost {plain(sum_usd_hr)} USD/h, {name} is {plain(ceiling)}: "
                f"{plain(existing)} exist or are pending",
                drift=[f"{plain(sum_usd_hr)} USD/h exceeds {plain(ceiling)}"],
                hint=hint,
            )
