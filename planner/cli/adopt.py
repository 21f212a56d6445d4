"""``planner adopt``: the demand file of an account that has disks already."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli import purchases
from planner.cli.options import refuse_existing
from planner.cli.purchases import StateOption
from planner.cli.render import to_stderr, to_stdout
from planner.present.progress import working
from planner.present.table import counted
from planner.text import visible
from planner.units import money

if TYPE_CHECKING:
    import pandas as pd

    from planner.project.adopt import Adopted

EPILOG = (
    "Writes YAML: version, project and volumes, each with name, size_gb, disks (ids of what it "
    "already is), and, where they are known, replicas, spread, providers, data_centers, countries "
    "and multinode. Disks in ERROR or DELETING are comments. Exit codes: 2 nothing to adopt, or a "
    "file is in the way, 4 the account cannot be read whole, 8 state damaged."
)


def adopt(
    file: Annotated[str, typer.Argument(help="File to write; - prints it.")] = "demand.yaml",
    disks: Annotated[
        str | None,
        typer.Option(
            "--disks",
            metavar="FILE",
            help="Read the disks from a file in the API's shape instead of the live account.",
        ),
    ] = None,
    project: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Name of the demand; by default the project that planner bought the disks for, "
            "else the file's name.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    state: StateOption = None,
) -> None:
    """Write the demand file of an account that has disks already; nothing is changed there."""
    from planner.formats import write_atomic
    from planner.project.adopt import adopt as adopted_from
    from planner.project.adopt import to_yaml
    from planner.project.journal import Journal
    from planner.project.state import State

    if file != "-":
        refuse_existing(file, force=force)
    with Journal(purchases.state_folder(state), write=False) as journal:
        known = State(journal.records)
    with working("Reading the account's disks"):
        listed, target = _disks(disks)
    stem = "adopted" if file == "-" else Path(file).stem
    adopted = adopted_from(listed, known, target=target, project=project, otherwise=stem)
    text = to_yaml(adopted)
    if file == "-":
        to_stdout(text)
    else:
        write_atomic(file, text.encode())
    _summarise(adopted, file)


def _disks(file: str | None) -> tuple[pd.DataFrame, dict[str, str | None] | None]:
    """Return every live disk and its account; None where a file was read."""
    from planner.market.disks import disks_frame, read_disks
    from planner.marketplace.protocol import target_of

    if file is not None:
        return read_disks(file, exact=True), None
    pace = purchases.pace(None, None, None)
    with purchases.marketplace(pace) as marketplace:
        listing = marketplace.disks(trust_empty=False)
    frame = disks_frame(listing.disks)
    frame.attrs = {"source": listing.source}
    return frame, target_of(marketplace)


def _summarise(adopted: Adopted, file: str) -> None:
    written = "" if file == "-" else f"wrote {file}: "
    size_gb = sum(disk["size_gb"] for disk in adopted.disks)
    to_stderr(
        f"{written}project {adopted.project}, {counted(len(adopted.volumes), 'volume')} on "
        f"{counted(len(adopted.disks), 'disk')}, {size_gb:,} GB, ${money(adopted.usd_hr, 4)}/h"
    )
    for row, reason in adopted.left_out:
        name = visible(row["name"] or "")
        to_stderr(f"left out: {row['id'] or 'no id'} '{name}': {visible(reason)}")
    if file != "-":
        to_stderr(
            f"next: add owners and new volumes, then: planner plan "
            f"{shlex.quote(file)}; it keeps these disks and buys none of them again"
        )
