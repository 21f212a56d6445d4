"""``planner retire``: delete the disks that later ones replaced."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from planner.cli import purchases
from planner.cli.destroy import ask, check_confirmed, deleted_view
from planner.cli.options import OutputOption
from planner.cli.purchases import ConfirmOption, SettleOption, StateOption, YesOption
from planner.cli.render import Output, render
from planner.errors import InputError
from planner.text import visible

EPILOG = (
    "JSON: project, retired (volume, disk_group, replica, disk, id), usd_hr_saved. Exit codes: "
    "0 done, 2 usage, or nothing is superseded, 4 refused, 6 a new disk is not ready, or an old "
    "one not gone yet: run again, 7 attached, renamed or changed: nothing was deleted, "
    "130 declined."
)


def retire(
    project: Annotated[
        str | None,
        typer.Argument(help="Project; without it, the only one that has superseded disks."),
    ] = None,
    yes: YesOption = False,
    confirm: ConfirmOption = None,
    state: StateOption = None,
    settle: SettleOption = None,
    output: OutputOption = Output.table,
) -> None:
    """Delete superseded disks: those that a later plan replaced. Copy their data first.

    The disk that replaced it must be ACTIVE, and the old one unattached and unchanged.
    """
    from planner.project.destroy import retire as delete

    with purchases.context(state, settle=settle) as ctx:
        mine = [e for e in ctx.state.entries.values() if ctx.state.is_at(e, ctx.target)]
        chosen = [e for e in mine if e.is_superseded and project in {None, e.project}]
        projects = sorted({entry.project for entry in chosen})
        if len(projects) > 1:
            raise InputError(
                f"{len(projects)} projects have superseded disks",
                hint=f"name one: {', '.join(map(visible, projects))}",
            )
        retired = [
            e for e in mine if e.superseded_by and e.stage == "destroyed" and e.project == project
        ]
        if not chosen and not retired:
            if not any(project in {None, entry.project} for entry in mine):
                raise ctx.state.nothing_selected(project, ctx.target)
            raise InputError(
                "no superseded disk to retire",
                hint="`planner status` lists the disks; `planner destroy` deletes others",
            )
        name = projects[0] if projects else str(project)
        check_confirmed(name, confirm, yes=yes)
        ended = delete(ctx, chosen, confirm=partial(ask, name, yes=yes))
    render(deleted_view(name, "retired", ended), output)
