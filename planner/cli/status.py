"""``planner status``: what was bought, held against the account."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import typer

from planner.cli import purchases
from planner.cli.options import OutputOption
from planner.cli.purchases import StateOption, titles_of
from planner.cli.render import Output, render
from planner.present.table import FIRST, MANY, Cell, Section, TableColumn, View, counted

EPILOG = (
    "JSON: exit_code, disks (project, volume, disk_group (volumes that share it), replica, disk, "
    "name, state, condition, ids, status, size_gb, usd_hr, provider, data_center, country, "
    "attached_to, unattached_since, notes), usd_hr, advice, commands (to paste), workloads "
    "(project, workload, offer_id, nodes, disks, beside_disks: yes, no or unconfirmed, why), "
    "warnings. Exit codes: 0 in order, 6 outcome unknown, 7 a disk changed, vanished, is "
    "duplicated or in conflict, 4 unreachable, 8 state damaged."
)
_COLUMNS = (
    TableColumn("condition", "", "status"),
    TableColumn("project", "project"),
    TableColumn("volume", "volume"),
    TableColumn("ids", "disk", "id"),
    TableColumn("size_gb", "size GB", "size_gb"),
    TableColumn("where", "where"),
    TableColumn("status", "status", "status"),
    TableColumn("pods", "pods", "count"),
)
_OK = "\N{CHECK MARK}"
_PAST = frozenset({"retired", "destroyed"})


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
    from planner.project.pods import read_reach
    from planner.project.status import read_status

    digest = None
    if plan is not None:
        from planner.plans.plan import Plan

        digest = Plan.load(plan).digest
    pace = purchases.pace(None, None, None)
    folder = purchases.state_folder(state)
    with Journal(folder, write=False) as journal:
        records = journal.records
    with purchases.marketplace(pace) as marketplace:
        result = read_status(records, marketplace, project=project, plan=digest, folder=folder)
        reach, problems = read_reach(records, folder, marketplace, project=project, plan=digest)
    workloads = [each.to_document() for each in reach]
    document = {**result.to_document(), "workloads": workloads, "warnings": list(problems)}
    notes = (*(each.text for each in reach), *(f"warning: {problem}" for problem in problems))
    render(View(lambda: [_section(document, notes)], lambda: document), output)
    raise typer.Exit(result.exit_code)


def _section(document: dict[str, Any], more: tuple[str, ...]) -> Section:
    from planner.market.offers import place_text
    from planner.units import money, usd_month

    disks = [disk for disk in document["disks"] if disk["condition"] not in _PAST]
    past = len(document["disks"]) - len(disks)
    deleted = (f"{counted(past, 'deleted disk')} not shown.",) if past else ()
    if not disks:
        notes = deleted or ("No disks are recorded.",)
        return Section("disks", columns=_COLUMNS, notes=notes)
    if len(disks) > MANY:
        disks.sort(key=lambda disk: disk["condition"] == "in order")
    projects = {disk["project"] for disk in disks}
    names = [
        f"{title}, disk {disk['disk']}" if disk["disk"] > 1 else title
        for title, disk in zip(titles_of(disks), disks, strict=True)
    ]
    rows = (
        {
            **disk,
            "condition": Cell(disk["condition"], _OK if disk["condition"] == "in order" else "!"),
            "volume": name,
            "where": place_text(disk),
            "status": _shown(disk),
            "pods": len(disk["attached_to"]),
        }
        for disk, name in zip(disks, names, strict=True)
    )
    lines = [
        f"{' '.join([name, *(i[:8] for i in disk['ids'][:1])])}: {note}"
        for disk, name in zip(disks, names, strict=True)
        for note in disk["notes"]
        if not note.startswith("attached to")
    ]
    columns = _COLUMNS if len(projects) > 1 else tuple(c for c in _COLUMNS if c.name != "project")
    usd_hr = Decimal(document["usd_hr"])
    name = projects.pop() if len(projects) == 1 else f"{len(projects)} projects"
    title = f"{name}: ${money(usd_hr, 4)}/h, ${money(usd_month(usd_hr))}/month"
    return Section.of(
        "disks",
        title,
        columns,
        rows,
        notes=(*lines, *more, *document["advice"], *deleted),
        commands=tuple(document["commands"]),
        expendable=("size_gb",),
        noun="disk",
        first=max(FIRST, sum(disk["condition"] != "in order" for disk in disks)),
    )


def _shown(disk: dict[str, Any]) -> str:
    status, condition = str(disk["status"] or ""), str(disk["condition"])
    if condition == "in order":
        return status
    return condition + (f" ({status})" if status not in {"", "ACTIVE"} else "")
