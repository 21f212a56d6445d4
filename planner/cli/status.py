"""``planner status``: what was bought, held against the account."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Annotated

import typer

from planner.cli import purchases
from planner.cli.options import OutputOption
from planner.cli.purchases import StateOption
from planner.cli.render import Output, paragraphs, result, table
from planner.text import visible

EPILOG = (
    "JSON: exit_code, disks (project, volume, replica, disk, name, state, found, ids, status, "
    "size_gb, usd_hr, attached_to, notes), usd_hr, advice. Exit codes: 0 in order, 6 in doubt, "
    "7 a disk drifted, vanished, is there twice or in conflict, 4 unreachable, 8 state damaged."
)
_HEADINGS = ("project", "volume", "id", "$/hour", "is", "notes")


def status(
    project: Annotated[
        str | None, typer.Argument(help="Only this project; without it, everything recorded.")
    ] = None,
    plan: Annotated[
        str | None, typer.Option("--plan", metavar="FILE", help="Only the disks of this plan.")
    ] = None,
    state: StateOption = None,
    output: OutputOption = Output.table,
) -> None:
    """Show what was bought and how it stands in the account now; nothing is changed."""
    from planner.project.journal import Journal
    from planner.project.status import read_status
    from planner.units import money

    purchases.check_output(output)
    digest = None
    if plan is not None:
        from planner.plans.plan import Plan

        digest = Plan.load(plan).digest
    pace = purchases.pace(None, None, None)
    with Journal(purchases.state_folder(state), write=False) as journal:
        records = journal.records
    with purchases.marketplace(pace) as marketplace:
        found = read_status(records, marketplace, project=project, plan=digest)
    document = found.to_document()
    if output is Output.json:
        result(json.dumps(document, indent=2))
    elif not found.standings:
        paragraphs(["nothing is recorded"])
    else:
        rows = [
            (
                one["project"],
                f"{one['volume']} #{one['replica']}.{one['disk']}",
                ", ".join(one["ids"]),
                money(Decimal(one["usd_hr"]), 4),
                one["found"] + (f" ({one['status']})" if one["status"] else ""),
                "; ".join(one["notes"]),
            )
            for one in document["disks"]
        ]
        footer = ("now", "", "", money(Decimal(document["usd_hr"]), 4), "", "")
        table(_HEADINGS, rows, {"$/hour", "id"}, footer=footer)
        paragraphs([visible(line) for line in document["advice"]])
    raise typer.Exit(found.exit_code)
