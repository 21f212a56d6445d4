"""``planner offers``: the market as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli import options
from planner.cli.options import (
    GpusOption,
    MultinodeFilter,
    MultinodeOption,
    OffersOption,
    OutputOption,
    Places,
    SecurityFilter,
    StockFilter,
    gpu_frame,
    keep,
    snapshots,
)
from planner.cli.render import Output, render, to_stderr
from planner.errors import InputError
from planner.present.table import Cell, Section, TableColumn, counted

if TYPE_CHECKING:
    import pandas as pd

    from planner.market.snapshot import Snapshot
    from planner.marketplace.protocol import ListingName

_EXPENDABLE = (
    *("security", "multinode", "gb", "region", "gpu_usd_hr"),
    *("stock", "provision_gb", "usd_gb_hr", "usd_tb_month"),
)
EPILOG = (
    "JSON: an array, one object for each listed row: row, offer_id, provider, cloud_id, "
    "data_center, country, region, min_gb, max_gb, step_gb, default_gb, usd_gb_hr (exact decimal "
    "as text), default_included, stock (a level, or as listed: unknown), security, multinode, "
    "ambiguous, problem; with --size also "
    "provision_gb, usd_hr, usd_month (730 h); with --gpus also gpu (yes, unconfirmed, no), "
    "gpu_usd_hr. Null is unknown. With --group-by one object for each value: the column, offers, "
    "in_stock, sites, min_usd_gb_hr, max_usd_gb_hr."
)


def offers(
    offers_file: OffersOption = None,
    region: Places = None,
    country: Places = None,
    provider: Places = None,
    data_center: Places = None,
    security: SecurityFilter = None,
    multinode: MultinodeFilter = False,
    stock: StockFilter = None,
    size: Annotated[
        str | None, typer.Option(help="Size one disk must hold, such as 4TB; adds its price.")
    ] = None,
    max_price: Annotated[
        str | None, typer.Option(help="Highest price in USD per GB and hour.")
    ] = None,
    sort: Annotated[
        str | None, typer.Option(help="Column to sort by, as in the JSON.  [default: the price]")
    ] = None,
    desc: Annotated[bool, typer.Option("--desc", help="Sort the largest first.")] = False,
    group_by: Annotated[
        str | None,
        typer.Option(help="Count by provider, data_center, country, region, security or stock."),
    ] = None,
    gpus: Annotated[
        str | None, typer.Option(help="Mark the sites that have this GPU, such as H100_80GB.")
    ] = None,
    gpus_file: GpusOption = None,
    multinode_file: MultinodeOption = None,
    save: Annotated[
        str | None, typer.Option(metavar="FILE", help="Keep the listing, all of it, as a snapshot.")
    ] = None,
    save_gpus: Annotated[
        str | None, typer.Option(metavar="FILE", help="Keep the single-node GPU listing.")
    ] = None,
    output: OutputOption = Output.table,
) -> None:
    """Show what the market offers, every listed row unless a filter asks for less."""
    from planner.market.view import Filter, group_offers, list_offers, sort_frame, unknown_places
    from planner.plans.advice import market_warnings, price_warnings
    from planner.schema import records

    which = Filter(
        regions=region or (),
        countries=country or (),
        providers=provider or (),
        data_centers=data_center or (),
        security=security,
        multinode=multinode,
        stock=stock,
        size_gb=options.size_gb(size),
        max_usd_gb_hr=options.price(max_price, "--max-price"),
    )
    files: dict[ListingName, str | None] = {"disks": offers_file}
    if gpus is not None or save_gpus is not None:
        files["gpus"] = gpus_file
    if gpus is not None and (multinode_file or not gpus_file):
        files["multi-node"] = multinode_file
    if (gpus_file and "gpus" not in files) or (multinode_file and not (gpus and gpus_file)):
        raise InputError("GPU files come with --gpus", hint="give --gpus MODEL, and --gpus-file")
    found = snapshots(files)
    snapshot, single, multi = found["disks"], found.get("gpus"), found.get("multi-node")
    listed = snapshot.offers()
    if save is not None and save == save_gpus:
        raise InputError("--save and --save-gpus name the same file", hint="name two files")
    keep(snapshot, save, "offers")
    keep(single, save_gpus, "GPU offers")
    rows = records(listed)
    odd = price_warnings(rows)
    for warning in (*market_warnings(rows), *unknown_places(rows, which), *odd):
        to_stderr(f"warning: {warning}")
    if gpus is not None and single is not None:
        listed = _marked(listed, gpus, single, multi)
    shown = list_offers(listed, which, sort=None if group_by else sort, descending=desc, exact=True)
    if group_by is not None:
        shown = group_offers(shown, group_by, exact=True)
        shown = sort_frame(shown, sort, descending=desc) if sort else shown
    section = _offers(shown) if group_by is None else _groups(shown)
    listed_by = f"{counted(len(listed), 'offer')} listed by {snapshot.source}"
    render(options.listing_view(section, shown, listed_by, is_empty=listed.empty), output)


def _marked(
    listed: pd.DataFrame, gpu_type: str, single: Snapshot, multi: Snapshot | None
) -> pd.DataFrame:
    from planner.market.gpus import mark_gpus, unknown_model

    frame = gpu_frame(single, multi)
    known = set(frame["gpu_type"].dropna())
    if gpu_type not in known:
        to_stderr(f"warning: {unknown_model(gpu_type, known)}")
    return mark_gpus(listed, frame, gpu_type, exact=True)


def _offers(shown: pd.DataFrame) -> Section:
    from planner.market.offers import place_text
    from planner.market.wire import STOCK_RANK
    from planner.schema import records
    from planner.units import usd_hr, usd_month

    is_sized = "provision_gb" in shown
    sized = (
        TableColumn("provision_gb", "buy GB", "size_gb"),
        TableColumn("usd_month", "$/month", "usd_month"),
    )
    marked = (
        TableColumn("gpu", "GPU", null="unknown"),
        TableColumn("gpu_usd_hr", "GPU $/h", "usd"),
    )
    columns = (
        TableColumn("offer_id", "id"),
        TableColumn("where", "where"),
        TableColumn("region", "region", null="unknown"),
        TableColumn("gb", "GB"),
        TableColumn("stock", "stock"),
        TableColumn("security", "security", null="unknown"),
        TableColumn("multinode", "nodes", null="unknown"),
        TableColumn("usd_gb_hr", "$/GB/h", "usd_gb_hr", "unpriced"),
        *(sized if is_sized else [TableColumn("usd_tb_month", "$/TB/month", "usd_month")]),
        *(marked if "gpu" in shown else ()),
    )
    rows = []
    for row in records(shown):
        price = None if row["problem"] else row["usd_gb_hr"]
        most = "no limit" if row["max_gb"] is None else f"{row['max_gb']:,}"
        values = {
            "where": place_text(row),
            "gb": f"{row['min_gb']:,}-{most}",
            "stock": row["stock"] if row["stock"] in STOCK_RANK else f"'{row['stock']}'",
            "security": row["security"] and row["security"].removesuffix("_cloud"),
            "multinode": {True: "several", False: "one", None: None}[row["multinode"]],
            "usd_gb_hr": Cell(price, "left out") if row["problem"] else price,
            "usd_tb_month": None if price is None else usd_month(usd_hr(1000, price)),
            "usd_month": None if price is None or not is_sized else row["usd_month"],
        }
        rows.append({**row, **values})
    return Section.of("offers", "", columns, rows, expendable=_EXPENDABLE)


def _groups(shown: pd.DataFrame) -> Section:
    from planner.schema import records

    by = str(shown.columns[0])
    columns = (
        TableColumn(by, by.replace("_", " "), null="unknown"),
        TableColumn("offers", "offers", "count"),
        TableColumn("in_stock", "in stock", "count"),
        TableColumn("sites", "sites", "count"),
        TableColumn("min_usd_gb_hr", "from $/GB/h", "usd_gb_hr", "unpriced"),
        TableColumn("max_usd_gb_hr", "to $/GB/h", "usd_gb_hr", "unpriced"),
    )
    return Section.of("groups", "", columns, records(shown))
