"""``planner rename``: another name for a disk that planner bought."""

from __future__ import annotations

from typing import Annotated

import typer

from planner.cli import purchases
from planner.cli.purchases import StateOption
from planner.cli.render import to_stderr


def rename(
    disk: Annotated[
        str, typer.Argument(help="The disk: its id, its first name, or volume/replica/disk.")
    ],
    name: Annotated[str, typer.Argument(help="Its new name.")],
    state: StateOption = None,
) -> None:
    """Rename a disk that planner bought; any other is left alone."""
    from planner.project import resolve as decisions

    with purchases.context(state) as ctx:
        entry = decisions.find_entry(ctx.state, disk, ctx.target)
        decisions.rename(ctx, entry, name)
        to_stderr(f"{entry.ids[0]} is now named {name}")
