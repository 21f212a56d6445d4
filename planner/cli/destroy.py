"""``planner destroy``: delete disks that planner bought, and all their data."""

from __future__ import annotations

import shlex
import sys
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli import purchases
from planner.cli.options import OutputOption
from planner.cli.purchases import ConfirmOption, SettleOption, StateOption, YesOption
from planner.cli.render import Output, render, to_stderr
from planner.errors import InputError
from planner.present.table import Section, TableColumn, View, counted
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planner.project.destroy import DeletionTarget

EPILOG = (
    "JSON: project, destroyed (volume, disk_group, replica, disk, id), usd_hr_saved. Exit codes: "
    "0 done, 2 usage, 4 refused, 6 not gone yet: run again, 7 attached, renamed or changed: "
    "nothing was deleted, 130 declined."
)
_COLUMNS = (
    TableColumn("volume", "volume"),
    TableColumn("replica", "replica", "count"),
    TableColumn("disk", "disk", "count"),
    TableColumn("id", "id", "id"),
    TableColumn("status", "status", "status"),
)


def destroy(
    project: Annotated[str, typer.Argument(help="Project whose disks are deleted.")],
    volume: Annotated[
        list[str] | None, typer.Option(help="Only this volume; may be given several times.")
    ] = None,
    disk_id: Annotated[
        list[str] | None,
        typer.Option("--id", help="Only this disk; may be given several times."),
    ] = None,
    yes: YesOption = False,
    confirm: ConfirmOption = None,
    state: StateOption = None,
    settle: SettleOption = None,
    output: OutputOption = Output.table,
) -> None:
    """Delete disks that planner bought. Their data is lost.

    Each disk is checked first: if one is attached, renamed or changed, nothing is deleted.
    """
    from planner.project.destroy import destroy as delete
    from planner.project.destroy import selected

    check_confirmed(project, confirm, yes=yes)
    with purchases.context(state, settle=settle) as ctx:
        chosen, pending = selected(ctx, project, volume or (), disk_id or ())
        ended = delete(ctx, chosen, confirm=partial(ask, project, yes=yes))
    for entry in pending:
        to_stderr(
            f"warning: {entry.key} ({entry.name}) has an unknown outcome and may still appear"
        )
    render(deleted_view(project, "destroyed", ended), output)


def check_confirmed(project: str, confirm: str | None, *, yes: bool) -> None:
    """Check that a deletion can be confirmed: at a terminal, or by the project's name.

    Raises
    ------
    InputError
        When it cannot.
    """
    hint = f"pass --yes --confirm {shlex.quote(visible(project))} to delete without asking"
    if yes and confirm != project:
        raise InputError("--yes needs the project's name again", hint=hint)
    if not yes and not sys.stdin.isatty():
        raise InputError("no terminal to prompt on", hint=hint)


def deleted_view(project: str, key: str, ended: Sequence[DeletionTarget]) -> View:
    """Return what was deleted and what it saves; ``key`` names the list in JSON."""
    from planner.units import money, plain, total

    saved = total(
        (target.disk.usd_hr or Decimal(0)) if target.disk and target.is_live else Decimal(0)
        for target in ended
    )
    names = ("volume", "disk_group", "replica", "disk")
    listed = [
        {**{name: getattr(one.entry, name) for name in names}, "id": one.entry.ids[0]}
        for one in ended
    ]
    document = {"project": project, key: listed, "usd_hr_saved": plain(saved)}
    rows = (
        {
            **row,
            "volume": one.entry.title,
            "status": "deleted" if one.is_live else "was gone already",
        }
        for row, one in zip(listed, ended, strict=True)
    )
    notes = (f"{counted(len(ended), 'disk')}; ${money(saved, 4)}/h less",)
    section = Section.of(key, "", _COLUMNS, rows, notes=notes)
    return View(lambda: [section], lambda: document)


def ask(project: str, targets: Sequence[DeletionTarget], *, yes: bool) -> bool:
    """Show what would be lost, and have the project's name typed unless that is confirmed."""
    if yes:
        return True
    for target in targets:
        entry, price = target.entry, target.disk.usd_hr if target.disk else None
        to_stderr(
            f"  {' + '.join(entry.keys)}: {entry.ids[0]}, {entry.size_gb:,} GB, "
            f"${price if price is not None else entry.counted_usd_hr}/h"
        )
    for origin in dict.fromkeys(t.entry.origin for t in targets if t.entry.origin):
        to_stderr(f"  bought for {visible(origin)}")
    to_stderr(
        f"This permanently deletes {counted(len(targets), 'disk')} and all data on them. "
        f"Type '{project}' to confirm: "
    )
    return sys.stdin.readline().strip() == project
