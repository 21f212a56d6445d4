"""``planner resolve``: decide a disk whose outcome is unknown."""

from __future__ import annotations

from typing import Annotated

import typer

from planner.cli import purchases
from planner.cli.purchases import StateOption
from planner.cli.render import to_stderr
from planner.errors import InputError


def resolve(
    slot: Annotated[str, typer.Argument(help="The slot: its disk's name, or volume/replica/disk.")],
    disk_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="This disk is the slot's.")
    ] = None,
    not_id: Annotated[
        str | None, typer.Option("--not", metavar="ID", help="This disk is not the slot's.")
    ] = None,
    forget: Annotated[
        bool, typer.Option("--give-up", help="Stop looking for it, and do not send it again.")
    ] = False,
    state: StateOption = None,
) -> None:
    """Record what became of a disk whose outcome is unknown or in conflict; nothing is deleted."""
    from planner.project import resolve as decisions

    if sum((disk_id is not None, not_id is not None, forget)) != 1:
        raise InputError("Use exactly one of --id, --not and --give-up.")
    with purchases.context(state) as ctx:
        entry = decisions.find_entry(ctx.state, slot, ctx.target)
        if disk_id is not None:
            decisions.resolve_id(ctx, entry, disk_id)
        elif not_id is not None:
            decisions.resolve_not(ctx, entry, not_id)
        else:
            decisions.give_up(ctx, entry)
        to_stderr(f"{entry.key} ({entry.name}) is now {entry.stage.replace('_', ' ')}")
