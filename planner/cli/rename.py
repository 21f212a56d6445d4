"""``planner rename``: another name for a disk that planner bought, or for a volume."""

from __future__ import annotations

from typing import Annotated

import typer

from planner.cli import purchases
from planner.cli.purchases import StateOption
from planner.cli.render import to_stderr
from planner.present.table import counted


def rename(
    disk: Annotated[
        str,
        typer.Argument(
            help="The disk: its id, its first name, or volume/replica/disk. Or a volume: "
            "project/volume."
        ),
    ],
    name: Annotated[str, typer.Argument(help="Its new name.")],
    state: StateOption = None,
) -> None:
    """Rename a disk that planner bought, or a volume that has another name in the demand now.

    The disks of a renamed volume stay as they are: the next plan keeps them under the new name.
    """
    from planner.project import resolve as decisions

    project, slash, volume = disk.partition("/")
    with purchases.context(state) as ctx:
        if slash and "/" not in volume:
            disks = decisions.rename_volume(ctx, project, volume, name)
            to_stderr(f"{counted(disks, 'disk')} of {project}: {volume} is now volume {name}")
            return
        entry = decisions.find_entry(ctx.state, disk, ctx.target)
        decisions.rename(ctx, entry, name)
        to_stderr(f"{entry.ids[0]} is now named {name}")
