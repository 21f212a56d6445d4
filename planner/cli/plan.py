"""``planner plan``: the cheapest plan for a demand, proven and checked."""

from __future__ import annotations

import shlex
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner.cli import options
from planner.cli.options import GpusOption, MultinodeOption, OffersOption, OutputOption
from planner.cli.purchases import StateOption
from planner.cli.render import Output, render, to_stderr
from planner.errors import Infeasible, InputError, NotProven
from planner.present.progress import working
from planner.present.table import Section, View
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from planner.demand.model import Demand
    from planner.market.snapshot import Snapshot
    from planner.marketplace.protocol import ListingName
    from planner.plans.plan import Plan
    from planner.project.preflight import ProjectDisks

EPILOG = (
    "JSON: the plan document, exactly what --out saves: format, digest, plan_id, project, "
    "created_at, nonce, target, limit_usd_hr, inputs, solver, totals, warnings, placements, gpus, "
    "requests, demand, market; amounts are exact decimals as text. A failure is an object with "
    "error, hint, exit_code and the error's data. Exit codes: 12 with --detailed-exitcode where "
    "the plan has something to buy, 0 where every volume has its disk."
)
_CHANGES = 12
"""What --detailed-exitcode exits with where the plan is not what there is already."""


def plan(
    demand: Annotated[
        list[str],
        typer.Argument(
            help="Demand file (YAML, JSON, TOML); - reads standard input. Several are planned "
            "together."
        ),
    ],
    policy: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Policy for several demand files together: budgets, caps, a share."
        ),
    ] = None,
    offers_file: OffersOption = None,
    gpus_file: GpusOption = None,
    multinode_file: MultinodeOption = None,
    disks_file: Annotated[
        str | None,
        typer.Option(
            "--disks",
            metavar="FILE",
            help="Read the account's disks from a file in the API's shape; disks that fit a "
            "volume are kept.",
        ),
    ] = None,
    state: StateOption = None,
    out: Annotated[str | None, typer.Option(metavar="FILE", help="Save the plan there.")] = None,
    time_limit: Annotated[
        float | None,
        typer.Option(
            min=0, help="Seconds for the solver. Without it, its work is limited instead."
        ),
    ] = None,
    accept_gap: Annotated[
        str | None,
        typer.Option(metavar="PCT", help="Accept a plan proven within this of the best: 5 or 5%."),
    ] = None,
    cost_slack: Annotated[
        str,
        typer.Option(
            metavar="PCT",
            help="Let better stock and then fewer sites cost up to this much more: 5 or 5%.",
        ),
    ] = "0",
    over_budget_ok: Annotated[
        bool,
        typer.Option(
            "--over-budget-ok",
            help="Where no plan is within the budgets, show the cheapest over them, marked OVER.",
        ),
    ] = False,
    full_program: Annotated[
        bool,
        typer.Option(
            "--full-program",
            help="Solve one program with every pair of volume and offer, and compare its "
            "result with the presolve's. Slow.",
        ),
    ] = False,
    detailed_exitcode: Annotated[
        bool,
        typer.Option(
            "--detailed-exitcode", help="Exit 12 if there is something to buy, 0 if there is not."
        ),
    ] = False,
    output: OutputOption = Output.table,
) -> None:
    """Find the cheapest place for everything a demand file asks for."""
    gap = options.percent(accept_gap, "--accept-gap")
    slack = options.percent(cost_slack, "--cost-slack") or Decimal(0)
    options.check_out(out, *demand, policy, offers_file, gpus_file, multinode_file, disks_file)
    try:
        made = planned(
            demand,
            {"disks": offers_file, "gpus": gpus_file, "multi-node": multinode_file},
            policy_file=policy,
            disks_file=disks_file,
            state=state,
            time_limit_s=time_limit,
            accept_gap=gap,
            cost_slack=slack,
            full=full_program,
            over_budget_ok=over_budget_ok,
        )
    except NotProven as error:
        if error.plan is not None:
            warn(error.plan.warnings)
            if output is not Output.json:
                render(_view(error.plan), output)
        raise
    if out is not None:
        with working("Writing the plan"):
            made.save(out)
    render(_view(made), output)
    warn(made.warnings)
    if out is not None:
        following = f" Next:\nplanner apply {shlex.quote(out)}" if made.buys else ""
        to_stderr(f"Saved to {out}.{following}")
    if detailed_exitcode and made.buys:
        raise typer.Exit(_CHANGES)


def planned(
    source: str | Sequence[str],
    files: dict[ListingName, str | None] | None = None,
    *,
    policy_file: str | None = None,
    disks_file: str | None = None,
    state: str | None = None,
    needs_account: bool = False,
    records: bool = True,
    **settings: Any,  # noqa: ANN401 -- those of `planner.plan`
) -> Plan:
    """Return the plan of a demand file on the market and the account, live where no file is given.

    Parameters
    ----------
    source : str | sequence of str
        The demand file; several are planned as one demand.
    files : dict | None
        Snapshots to read instead of the live listings.
    policy_file : str | None
        What holds for several demand files together.
    disks_file, state : str | None
        Account to read instead of the live account, and state directory.
    needs_account : bool
        Fail where the account cannot be read, instead of planning without it.
    records : bool
        Whether the market history records the listings.
    **settings
        As of `planner.plan`.
    """
    from planner.plans import planning
    from planner.project.preflight import origin_of

    sources = [source] if isinstance(source, str) else [*source]
    demanded, parts = _demanded(sources, policy_file)
    offers, gpus, target = market_for(
        demanded, files or dict.fromkeys(("disks", "gpus", "multi-node")), state, records=records
    )
    disks, project = _account(demanded, disks_file, state, target, is_needed=needs_account)
    if project is not None and disks is not None:
        for part in parts:
            _refuse_apart(part, _recorded(part, state, target, disks))
    origin = origin_of(policy_file or sources[0])
    _warn_of_others(project, demanded.project, origin)
    try:
        with working(f"Placing {len(demanded.volumes):,} volumes on {len(offers):,} offers"):
            return planning.plan(
                demanded,
                offers,
                gpus,
                disks=disks,
                recorded=project.in_use if project else None,
                superseded=project.superseded if project else None,
                target=target,
                demand_source=", ".join(sources),
                origin=origin,
                **settings,
            )
    except Infeasible as error:
        warn(error.warnings)
        raise


def _demanded(sources: list[str], policy_file: str | None) -> tuple[Demand, list[Demand]]:
    """Return what is planned, and the demands that it is made of where there are several."""
    from planner.demand.read import read_demand

    if len(sources) == 1:
        if policy_file is not None:
            raise InputError(
                "--policy comes with several demand files",
                hint="a single file has a policy of its own",
            )
        return read_demand(sources[0]), []
    from planner.demand.fleet import fleet
    from planner.demand.read import read_policy

    parts = [read_demand(each) for each in sources]
    project, policy = (None, None) if policy_file is None else read_policy(policy_file)
    return fleet(parts, policy, project=project), parts


def _refuse_apart(part: Demand, bought: ProjectDisks) -> None:
    """Refuse to buy a project's disks a second time, under the name of several."""
    if bought.in_use:
        raise InputError(
            f"project {part.project} has disks of its own",
            hint="plan it alone: planned together, its volumes would be bought a second time",
        )


def _warn_of_others(project: ProjectDisks | None, name: str, origin: str) -> None:
    """Say whose disks are about to be kept where another demand file has the project's name."""
    from planner.project.preflight import is_known_place

    others = [text for text in project.origins if is_known_place(text)] if project else []
    if is_known_place(origin) and others and origin not in others:
        text = f"were bought for {visible(others[-1])}, and this demand is {visible(origin)}"
        hint = "if it is about something else, give it another name (`project:`)"
        warn([f"the disks of project {name} {text}; {hint}"])


def warn(warnings: Sequence[str]) -> None:
    """Write warnings to standard error."""
    for warning in warnings:
        to_stderr(f"warning: {warning}")


def market_for(
    demand: Demand,
    files: dict[ListingName, str | None],
    state: str | None = None,
    *,
    records: bool = True,
) -> tuple[pd.DataFrame, pd.DataFrame | None, dict[str, str | None] | None]:
    """Return disk offers, GPU offers where there are any, and the marketplace to buy at.

    What no file gives is asked live, GPUs only for workloads; a plan of live disk offers is bought
    where they were read.
    """
    from planner.market.snapshot import join_gpus, read_gpus, read_offers, read_snapshot

    offers_file, gpus_file, multinode_file = files["disks"], files["gpus"], files["multi-node"]
    if multinode_file is not None and gpus_file is None and offers_file is not None:
        raise InputError("--multinode-file comes with --gpus-file", hint="give both listings")
    wanted: list[ListingName] = [] if offers_file is not None else ["disks"]
    if demand.workloads and gpus_file is None:
        if offers_file is not None:
            raise InputError(
                "the demand has workloads, and --offers reads disks only",
                hint="give the GPU market too: --gpus-file FILE (shipped:gpu-offers)",
            )
        wanted.append("gpus")
        wanted += ["multi-node"] if multinode_file is None else []
    read, target = _read_live(wanted, state, records=records)
    offers = (
        read_offers(offers_file, exact=True) if offers_file is not None else read["disks"].offers()
    )
    gpus = None
    if gpus_file is not None:
        gpus = read_gpus(gpus_file, multinode=multinode_file, exact=True)
    elif "gpus" in read:
        several = read.get("multi-node") or read_snapshot(str(multinode_file), "multi-node")
        gpus = join_gpus(read["gpus"].gpus(), several.gpus(listing="multi-node"))
    return offers, gpus, target


def _read_live(
    names: list[ListingName], state: str | None, *, records: bool
) -> tuple[dict[ListingName, Snapshot], dict[str, str | None] | None]:
    if not names:
        return {}, None
    from planner.cli import purchases
    from planner.marketplace.fetch import fetch_market, find_credentials

    credentials = find_credentials()
    to_stderr(f"reading the market at {credentials.base_url}")
    target = {"base_url": credentials.base_url, "team_id": credentials.team_id}
    read = fetch_market(
        *names,
        credentials=credentials,
        state=purchases.state_folder(state) if records else None,
        on_failure=purchases.warn,
    )
    return dict(zip(names, read, strict=True)), target


def _account(
    demand: Demand,
    disks_file: str | None,
    state: str | None,
    target: dict[str, str | None] | None,
    *,
    is_needed: bool,
) -> tuple[pd.DataFrame | None, ProjectDisks | None]:
    """Return the account's disks and what was bought before; nothing of it for an offline plan."""
    from planner.cli import purchases

    if disks_file is not None:
        from planner.market.disks import read_disks

        disks = read_disks(disks_file, exact=True)
        return disks, _recorded(demand, state, target, disks) if state else None
    if target is None:
        return None, None
    from planner.errors import NotFound, Unauthorized
    from planner.project.preflight import read_account

    waits = purchases.pace(None, None, None)
    try:
        with purchases.marketplace(waits, state) as marketplace:
            disks = read_account(marketplace)
    except (Unauthorized, NotFound) as error:
        # The key may not read disks. What fails otherwise ends here: a plan that takes a full
        # account for an empty one says what is wrong about money.
        if is_needed or any(volume.disks for volume in demand.volumes):
            raise
        to_stderr(f"warning: planned as if the account had no disks: {error}")
        return None, None
    return disks, _recorded(demand, state, target, disks)


def _recorded(
    demand: Demand,
    state: str | None,
    target: dict[str, str | None] | None,
    disks: pd.DataFrame,
) -> ProjectDisks:
    from planner.cli import purchases
    from planner.project.journal import Journal
    from planner.project.preflight import recorded_disks

    with Journal(purchases.state_folder(state), write=False) as journal:
        records = journal.records
    project = recorded_disks(records, demand.project, target or {}, disks)
    warn(project.warnings)
    return project


def _view(made: Plan) -> View:
    from planner.schema import frame_section

    def sections() -> list[Section]:
        first, *others = made.sections()
        return [replace(first, title=""), *others]

    return View(
        sections,
        made.pieces,
        lambda: frame_section(made.to_frame(exact=True)),
    )
