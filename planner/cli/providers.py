"""``planner providers``: what is known of providers beyond the marketplace's listings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.options import OutputOption
from planner.cli.render import Output, render
from planner.present.table import Section, TableColumn

if TYPE_CHECKING:
    import pandas as pd

EPILOG = (
    "JSON: an array, one object for each fact: provider, fact (attach_limit: network disks that "
    "one pod can mount; attach_when; can_grow), value, says (what the source says), source, "
    "read_on, is_old (read more than a year ago)."
)


def providers(
    name: Annotated[str | None, typer.Argument(help="A provider; without one, all.")] = None,
    output: OutputOption = Output.table,
) -> None:
    """Show limits of providers that the marketplace does not list, with their sources.

    A fact that is not shown is unknown. Where you know better, say so in the demand:
    policy: {attach_limits: {runpod: 4}}.
    """
    from planner.market.providers import providers as facts_of
    from planner.schema import frame_view

    facts = facts_of(name)
    render(frame_view(facts, lambda: _sections(facts)), output)


def _sections(facts: pd.DataFrame) -> list[Section]:
    from planner.schema import records

    facts_read = records(facts)
    columns = (
        TableColumn("provider", "provider"),
        TableColumn("fact", "fact"),
        TableColumn("value", "value"),
        TableColumn("read_on", "source read on"),
    )
    rows = (
        {**row, "read_on": row["read_on"] + ", over a year ago" * row["is_old"]}
        for row in facts_read
    )
    table = Section.of("providers", "", columns, rows)
    said = [
        note
        for row in facts_read
        for note in (f"{row['provider']} {row['fact']}: {row['says']}", row["source"])
    ]
    return [table, Section("sources", notes=tuple(said))]
