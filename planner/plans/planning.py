"""From a demand and a market to a plan, in one call: solved, checked, proven."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.demand.read import read_demand
from planner.errors import Defect, Infeasible, NotProven
from planner.market.canonical import Market
from planner.plans.advice import (
    account_warnings,
    attach_warnings,
    existing_warnings,
    input_warnings,
    over_budget_warnings,
    plan_warnings,
    size_warnings,
)
from planner.plans.plan import Plan
from planner.present.progress import working
from planner.solve.existing import keep
from planner.solve.moving import moves_that_pay
from planner.solve.optimise import optimise, require_listings, solve, solve_growing
from planner.solve.packing import stated_limits
from planner.solve.problem import Instance
from planner.solve.timeline import Timeline
from planner.units import as_decimal, difference, money

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    import pandas as pd

    from planner.demand.model import Demand
    from planner.solve.existing import Existing, Kept
    from planner.solve.optimise import Solution


def plan(
    demand: Demand | Mapping[str, Any] | str | Path,
    offers: pd.DataFrame,
    gpus: pd.DataFrame | None = None,
    *,
    disks: pd.DataFrame | None = None,
    recorded: Mapping[tuple[str, int], Sequence[str]] | None = None,
    superseded: Mapping[tuple[str, int], Sequence[str]] | None = None,
    time_limit_s: float | None = None,
    full: bool = False,
    cost_slack: Decimal | float = 0,
    accept_gap: Decimal | float | None = None,
    over_budget_ok: bool = False,
    target: dict[str, str | None] | None = None,
    demand_source: str = "demand",
    origin: str = "",
    now: datetime | None = None,
    nonce: str | None = None,
) -> Plan:
    """Return the cheapest plan for a demand on a market, proven and checked.

    Parameters
    ----------
    demand : Demand | Mapping | str | Path
        What is to be stored, under which rules; a mapping or a file is read by `read_demand`.
    offers : DataFrame
        Columns ``OFFERS``: see `read_offers` and `fetch_offers`.
    gpus : DataFrame | None
        Columns ``GPUS``, see `read_gpus` and `fetch_gpus`; needed where there are workloads.
    disks : DataFrame | None
        Columns ``DISKS``: what the account has now, see `read_disks`. A volume that one of them
        already is gets no second one; needed where the demand names `disks`.
    recorded : mapping | None
        (volume, replica) → ids of disks that were bought as that replica.
    superseded : mapping | None
        The same of disks that later ones replaced: they are kept for no volume.
    time_limit_s : float | None
        Seconds for the solver; None waits for the proof.
    full : bool
        Give the solver every candidate of every volume in one program, without presolve.
    cost_slack : Decimal | float
        Per cent of the least cost that better stock and fewer sites may cost.
    accept_gap : Decimal | float | None
        Per cent by which an unproven plan may exceed the bound and still be returned.
    over_budget_ok : bool
        Where no plan is within the budgets, return the cheapest that exceeds them; its demand says
        so (``over_budget: allow``), and its warnings by how much.
    target : dict | None
        ``base_url`` and ``team_id`` of the marketplace the plan is for.
    origin : str
        Where the demand file lives, see `origin_of`: the journal keeps it with every purchase.
    demand_source : str
        Where the demand came from, for the plan's record.
    now, nonce
        Time and nonce of the plan; made here when None.

    Raises
    ------
    Infeasible
        When no plan satisfies the demand; ``conflicts`` says why, ``relaxations`` what would help.
    NotProven
        When time ran out before the proof; ``plan`` is the incumbent.
    InputError
        When there are workloads, but no GPU offers were given.
    FrameError
        When a frame lacks a declared column.

    Examples
    --------
    >>> import planner
    >>> offers = planner.read_offers("shipped:disk-offers")
    >>> demand = {"version": 1, "volumes": [{"name": "corpus", "size": "4 TB"}]}
    >>> planner.plan(demand, offers).totals["usd_month"]
    204.4
    >>> dearer = offers.assign(usd_gb_hr=offers["usd_gb_hr"] * 1.1)
    >>> planner.plan(demand, dearer).totals["usd_month"]
    224.84
    """
    if isinstance(demand, str | Path):
        demand_source = str(demand)
    demand, cost_slack = read_demand(demand), as_decimal(cost_slack)
    require_listings(demand, gpus, disks)
    market = Market.of(offers, gpus, disks)
    choice = market.addressable
    existing = _moved(
        demand, market, keep(demand, market.disks, recorded or {}, choice, superseded)
    )

    @working(f"Placing {len(demand.volumes):,} volumes on {len(choice):,} offers")
    def solved(asked: Demand) -> Solution | None:
        if existing.contradictions:
            return None
        listed = market.gpus if asked.workloads else None
        with suppress(Infeasible):
            if asked.grows:
                line = Timeline.of(asked, choice, listed, existing.kept)
                return solve_growing(
                    line, time_limit_s=time_limit_s, full=full, cost_slack=cost_slack
                )
            instance = Instance.of(asked, choice, listed, existing.kept)
            return solve(
                instance,
                existing.kept,
                time_limit_s=time_limit_s,
                full=full,
                cost_slack=cost_slack,
            )
        return None

    solution = solved(demand)
    if solution is None and over_budget_ok and demand.policy.enforced:
        policy = demand.policy.model_copy(update={"over_budget": "allow"})
        allowed = demand.model_copy(update={"policy": policy})
        solution = solved(allowed)
        demand = demand if solution is None else allowed
    if solution is None:
        name = "the demand" if demand_source == "demand" else demand_source
        raise _infeasible(demand, market, recorded or {}, superseded, name, time_limit_s)
    inputs = {
        "demand": _input(demand_source, demand.digest, len(demand.volumes), None),
        **{
            name: _market_input(frame, *market.digests[name])
            for name, frame in (("offers", offers), ("gpus", gpus), ("disks", disks))
            if frame is not None
        },
    }
    created = (now or datetime.now(UTC)).astimezone(UTC)
    plan = Plan(
        project=demand.project,
        created_at=created.isoformat(timespec="seconds"),
        nonce=nonce or secrets.token_hex(8),
        target=target,
        inputs=inputs,
        solver=solution.solver,
        warnings=(
            *attach_warnings(demand, solution.placements, solution.gpus, created.date()),
            *over_budget_warnings(demand, solution.placements),
            *plan_warnings(demand, market, solution),
            *existing.notes,
            *existing_warnings(demand, solution.placements),
            *size_warnings(demand, existing.kept, disks, created),
            *account_warnings(demand, market.disk_rows, existing, solution.placements),
        ),
        placements=tuple(
            replace(placement, action="replace", replaces=ids)
            if (ids := existing.replaced.get((placement.volume, placement.replica)))
            else placement
            for placement in solution.placements
        ),
        gpus=solution.gpus,
        demand=demand,
        market=market,
        leftover=existing.leftover,
        origin=origin,
        schedule=solution.schedule,
    )
    vars(plan)["instance"] = solution.instance  # what was solved; the plan would make it again
    violations = plan.choice_violations(stated_limits(demand))
    if violations:
        raise Defect("the solution fails its own check: " + "; ".join(violations))
    require_proof(plan, None if accept_gap is None else as_decimal(accept_gap))
    return plan


def _moved(demand: Demand, market: Market, existing: Existing) -> Existing:
    """Return what disks are to a demand where those move whose move pays for itself in time.

    A disk that the demand names stays, and so does one that volumes share.
    """
    if demand.policy.moving.payback is None or not existing.kept or existing.contradictions:
        return existing
    named = {disk for volume in demand.volumes for disk in volume.disks}
    stay = {each.disk_ids[0] for each in existing.kept if each.disk_group}
    asked = demand.in_month(0)
    listed = market.gpus if demand.workloads else None
    instance = Instance.of(asked, market.addressable, listed, existing.kept)
    moves = moves_that_pay(instance, frozenset(named | stay))
    if moves is None:
        return existing
    days = money(moves.payback_days, 1)
    return existing.without(
        moves.disk_ids, f"costs more than moving, which pays back in {days} days"
    )


def _infeasible(
    demand: Demand,
    market: Market,
    recorded: Mapping[tuple[str, int], Sequence[str]],
    superseded: Mapping[tuple[str, int], Sequence[str]] | None,
    name: str,
    time_limit_s: float | None,
) -> Infeasible:
    """Return why there is no plan; of a demand that grows, in the first month that has none."""
    from planner.analysis.infeasible import infeasible  # noqa: PLC0415 -- only then
    from planner.analysis.relax import Offers  # noqa: PLC0415 -- the same

    choice = market.addressable

    def kept_of(changed: Demand) -> Sequence[Kept]:
        return keep(changed, market.disks, recorded, choice).kept

    asked = demand
    if demand.grows:
        gpus = market.gpus if demand.workloads else None
        for month in range(demand.policy.months):
            asked = demand.in_month(month)
            try:
                optimise(asked, choice, gpus, kept=kept_of(asked), time_limit_s=time_limit_s)
            except Infeasible:
                name = f"{name} in month {month + 1} of {demand.policy.months}"
                break
    existing = keep(asked, market.disks, recorded, choice, superseded)
    listed = Offers(choice, market.gpus, kept_of)
    with working("There is no plan. Finding out why"):
        why = infeasible(asked, listed, existing, name=name, time_limit_s=time_limit_s)
    why.warnings = input_warnings(demand, market)
    return why


def require_proof(plan: Plan, accept_gap: Decimal | None) -> None:
    """Let a plan pass when it is proven, or its gap is accepted.

    Parameters
    ----------
    accept_gap : Decimal | None
        Per cent of the plan's cost; None accepts proven plans only.

    Raises
    ------
    NotProven
        Otherwise, with the plan.
    """
    record = plan.solver
    if record.status == "optimal":
        return
    spare = difference(record.objective_usd_hr, record.bound_usd_hr)
    gap_percent = spare / record.objective_usd_hr * 100
    if accept_gap is not None and gap_percent <= accept_gap:
        return
    limit = record.termination.replace("_", " ")
    raise NotProven(
        f"not proven within the {limit}: the plan below may cost up to ${money(spare, 4)}/h "
        f"({gap_percent:.2g} %) more than the best",
        plan=plan,
        hint="give it more time with --time-limit SECONDS, or accept it with --accept-gap PCT",
    )


def _market_input(frame: pd.DataFrame, digest: str, rows: int) -> dict[str, Any]:
    origin = getattr(frame, "attrs", {})  # a polars frame has none
    return _input(origin.get("source", "frame"), digest, rows, origin.get("fetched_at"))


def _input(source: str, digest: str, rows: int, fetched_at: str | None) -> dict[str, Any]:
    return {"source": source, "digest": digest, "rows": rows, "fetched_at": fetched_at}
