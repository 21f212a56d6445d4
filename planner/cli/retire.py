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
    from planner.project.destroy import superseded

    with purchases.context(state, settle=settle) as ctx:
        name, chosen = superseded(ctx, project)
        check_confirmed(name, confirm, yes=yes)
        ended = delete(ctx, chosen, confirm=partial(ask, name, yes=yes))
    render(deleted_view(name, "retired", ended), output)
