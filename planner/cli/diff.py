"""``planner diff``: what changed between two plans, or two reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli import options, purchases
from planner.cli.options import OutputOption
from planner.cli.render import Output, render
from planner.errors import CostIncrease
from planner.present.table import View

if TYPE_CHECKING:
    from planner.plans.plan import Plan
    from planner.reports.report import Report

EPILOG = (
    "JSON: old and new (kind, plan_id of a plan, created_at, projects, disks, unpriced), "
    "hours_per_month, totals (disks, gpus, together: old_usd_month, new_usd_month, "
    "difference_usd_month, percent), owners (owner and the same), changes, unchanged, notes. "
    "A change: change (added, removed, moved, resized, repriced, renamed, reassigned, "
    "reconfigured, rescheduled), kind (disk or gpus), project, name, replica, disk, and old_ and "
    "new_ disk_id, owner, site, size_gb, gpus, usd_month; difference_usd_month. CSV has the "
    "changes. Where --fail-on-increase fails, error, hint, exit_code and increase are added. Exit "
    "codes: 10 the cost rises by more, or cannot be shown not to; 5 a plan is damaged."
)


def diff(
    old: Annotated[str, typer.Argument(help="Plan file, or report saved with --out.")],
    new: Annotated[str, typer.Argument(help="The same kind of file, to compare with it.")],
    fail_on_increase: Annotated[
        str | None,
        typer.Option(
            metavar="PCT",
            help="Exit 10 if disks and GPUs together cost more than this above OLD: 10 or 10%. "
            "Any increase from $0 is too much.",
        ),
    ] = None,
    output: OutputOption = Output.table,
) -> None:
    """Show what changed between two plans, or two reports, in disks and dollars."""
    from planner.reports.diff import diff as compare

    most = options.percent(fail_on_increase, "--fail-on-increase")
    made = compare(_read(old), _read(new))
    gate = None
    if most is not None:
        try:
            made.check(most)
        except CostIncrease as error:
            gate = error
    failure = gate.to_document() if gate else {}
    render(View(made.sections, lambda: {**failure, **made.to_document()}, made.rows), output)
    purchases.exit_with(gate, output)


def _read(file: str) -> Plan | Report:
    """Return the plan or report in a file: its content says which it is."""
    from planner.reports.make import read_inputs

    plans, reports = read_inputs([file])
    return plans[0][1] if plans else reports[0]
