"""``planner status``: what was bought, held against the account."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import typer

from planner.cli import purchases
from planner.cli.options import OutputOption
from planner.cli.purchases import StateOption
from planner.cli.render import Output, render
from planner.present.table import Section, TableColumn, View

EPILOG = (
    "JSON: exit_code, disks (project, volume, replica, disk, name, state, condition, ids, status, "
    "size_gb, usd_hr, attached_to, notes), usd_hr, advice, commands (to paste). Exit codes: 0 in "
    "order, 6 outcome unknown, 7 a disk changed, vanished, is duplicated or in conflict, 4 "
    "unreachable, 8 state damaged."
)
_COLUMNS = (
    TableColumn("project", "project"),
    TableColumn("volume", "volume"),
    TableColumn("ids", "disk", "id"),
    TableColumn("usd_hr", "$/hour", "usd_hr"),
    TableColumn("status", "status", "status"),
    TableColumn("notes", "notes"),
)


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
    """Show what was bought and its state in the account now; nothing is changed."""
    from planner.project.journal import Journal
    from planner.project.status import read_status

    digest = None
    if plan is not None:
        from planner.plans.plan import Plan

        digest = Plan.load(plan).digest
    pace = purchases.pace(None, None, None)
    with Journal(purchases.state_folder(state), write=False) as journal:
        records = journal.records
    with purchases.marketplace(pace) as marketplace:
        result = read_status(records, marketplace, project=project, plan=digest)
    document = result.to_document()
    render(View(lambda: [_section(document)], lambda: document), output)
    raise typer.Exit(result.exit_code)


def _section(document: dict[str, Any]) -> Section:
    rows = tuple(
        (
            disk["project"],
            f"{disk['volume']} #{disk['replica']}.{disk['disk']}",
            disk["ids"],
            Decimal(disk["usd_hr"]),
            disk["condition"] + (f" ({disk['status']})" if disk["status"] else ""),
            "; ".join(disk["notes"]),
        )
        for disk in document["disks"]
    )
    if not rows:
        return Section("disks", columns=_COLUMNS, notes=("No disks are recorded.",))
    footer = ("now", "", None, Decimal(document["usd_hr"]), "", "")
    return Section(
        "disks", "", _COLUMNS, rows, footer, tuple(document["advice"]), tuple(document["commands"])
    )
