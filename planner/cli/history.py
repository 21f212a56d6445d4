"""``planner history``: how often offers were in stock, and how their prices moved."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner.cli import options, purchases
from planner.cli.options import OutputOption, Places
from planner.cli.purchases import StateOption
from planner.cli.render import Output, render, to_stderr
from planner.errors import InputError
from planner.present.table import Cell, Section, TableColumn, counted, moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal
    from pathlib import Path

    import pandas as pd

EPILOG = (
    "JSON: an array, one object for each offer: offer_id, provider, cloud_id, data_center, "
    "country, region, min_gb, max_gb, usd_gb_hr (last price, exact decimal as text), "
    "min_usd_gb_hr, max_usd_gb_hr, price_changes, change_percent (last price against the first), "
    "stock (newest listing; null: not listed), listings (read since it was first listed), "
    "stock_listings (of these, stock known), in_stock, in_stock_percent, first_seen_at, "
    "last_seen_at. For GPUs listing, gpu_type, gpus, socket, spot instead of the sizes, and "
    "usd_hr and usd_month instead of usd_gb_hr. With --changes one object for each stretch without "
    "a change: from_at, to_at, listings, the offer, its price and stock. Null is unknown."
)


def history(
    gpu: Annotated[
        str | None,
        typer.Option(metavar="MODEL[:N]", help="Offers of this GPU, instead of disks."),
    ] = None,
    gpus: Annotated[
        bool, typer.Option("--gpus", help="Every GPU offer, instead of disks.")
    ] = False,
    region: Places = None,
    country: Places = None,
    provider: Places = None,
    data_center: Places = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Leave out earlier listings, such as 2026-10-01."),
    ] = None,
    changes: Annotated[
        bool, typer.Option("--changes", help="Show each change of price or stock with its time.")
    ] = False,
    chart: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Draw price and stock over time: SVG, PNG or PDF."),
    ] = None,
    state: StateOption = None,
    output: OutputOption = Output.table,
) -> None:
    """Show how often offers were in stock and how prices moved, in every listing read so far."""
    from planner.market.history import history as recorded
    from planner.schema import frame_view

    options.check_out(chart, name="--chart")
    folder = purchases.state_folder(state)
    asked: dict[str, Any] = {
        "gpu": gpu,
        "gpus": gpus,
        "providers": provider or (),
        "data_centers": data_center or (),
        "countries": country or (),
        "regions": region or (),
        "since": options.moment(since, "--since"),
        "target": _target(folder),
        "state": folder,
        "exact": True,
    }
    shown = recorded(**asked, changes=changes)
    if chart is not None:
        from planner.present.charts.base import save_chart
        from planner.present.charts.history import history_chart

        save_chart(history_chart(recorded(**asked, changes=True)), chart)
        to_stderr(f"chart: {chart}")
    section = _changes(shown) if changes else _offers(shown)
    notes = tuple(_notes(shown, section.noun))
    render(frame_view(shown, lambda: [replace(section, notes=notes)]), output)


def _target(folder: Path) -> Mapping[str, str | None] | None:
    """Return the marketplace of this user's key, None where there is no key.

    Raises
    ------
    InputError
        When other marketplaces or teams have a history, and this one has none.
    """
    from planner.market.history_file import read_targets
    from planner.marketplace.fetch import find_credentials

    try:
        credentials = find_credentials()
    except InputError:
        return None
    targets = read_targets(folder)
    mine = (credentials.base_url, credentials.team_id)
    if targets and mine not in [(each.base_url, each.team_id) for each in targets]:
        raise InputError(
            f"no market history of {credentials.base_url} and this team",
            hint=f"recorded for {'; '.join(map(str, targets))}: use that key, team and URL",
        )
    return {"base_url": credentials.base_url, "team_id": credentials.team_id}


def _notes(shown: pd.DataFrame, noun: str) -> Iterator[str]:
    about = shown.attrs
    if not about["listings"]:
        yield (
            "No market history yet: planner records each listing that a command reads live. "
            "`planner offers` reads the first."
        )
        return
    read = f"{counted(about['listings'], 'listing')} read at {about['source']}"
    yield f"{counted(len(shown), noun)} from {read} since {moment(about['since'])}"


def _price(shown: pd.DataFrame) -> TableColumn:
    if "usd_hr" in shown:
        return TableColumn("usd_hr", "$/h", "usd_hr", "unpriced")
    return TableColumn("usd_gb_hr", "$/GB/h", "usd_gb_hr", "unpriced")


def _offer(shown: pd.DataFrame) -> tuple[TableColumn, ...]:
    model = (TableColumn("gpu_type", "model", null="unknown"), TableColumn("gpus", "GPUs"))
    return (
        TableColumn("offer_id", "id"),
        *(model if "usd_hr" in shown else ()),
        TableColumn("where", "where"),
    )


def _offers(shown: pd.DataFrame) -> Section:
    from planner.market.offers import place_text
    from planner.schema import records

    price = _price(shown)
    columns = (
        *_offer(shown),
        price,
        TableColumn("change_percent", "change", null="unpriced"),
        TableColumn("stock", "stock", null="not listed"),
        TableColumn("in_stock_percent", "in stock", "percent", "unknown"),
        TableColumn("listings", "of listings", "count"),
    )
    rows = []
    for row in records(shown):
        percent, moved = row["in_stock_percent"], row["change_percent"]
        values = {
            **row,
            "where": place_text(row),
            "change_percent": moved if moved is None else Cell(moved, _moved(moved, row)),
            "in_stock_percent": percent if percent is None else Cell(percent, f"{percent:.0f} %"),
        }
        rows.append(values)
    expendable = ("offer_id", "listings", "change_percent")
    return Section.of("history", "", columns, rows, expendable=expendable, noun="offer")


def _moved(percent: Decimal, row: Mapping[str, Any]) -> str:
    """Return how far a price is from where it was first."""
    return f"{percent:+.1f} %" if row["price_changes"] else "none"


def _changes(shown: pd.DataFrame) -> Section:
    from planner.market.offers import place_text
    from planner.schema import records

    columns = (
        TableColumn("from_at", "since"),
        *_offer(shown),
        _price(shown),
        TableColumn("stock", "stock", null="not listed"),
        TableColumn("listings", "listings", "count"),
    )
    rows = (
        {
            **row,
            "where": place_text(row),
            "from_at": Cell(row["from_at"], moment(row["from_at"]).removesuffix(" UTC")),
        }
        for row in records(shown)
    )
    expendable = ("listings", "offer_id")
    return Section.of("changes", "", columns, rows, expendable=expendable, noun="change")
