"""``planner gpus``: the GPU market as a table, and which sites have disks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner.cli.options import (
    GpusOption,
    MultinodeOption,
    OffersOption,
    OutputOption,
    Places,
    SecurityFilter,
    StockFilter,
    gpu_frame,
    keep,
    listing_view,
    snapshots,
)
from planner.cli.render import Output, render, to_stderr
from planner.errors import InputError
from planner.present.table import Cell, Section, TableColumn, counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from planner.marketplace.protocol import ListingName

_EXPENDABLE = (
    *("region", "security", "listing", "spot", "gpu_gb", "socket", "usd_hr", "offer_id"),
    *("stock", "disk_usd_tb_month"),
)
_GROUPS_EXPENDABLE = ("max_usd_gpu_hr", "in_stock", "gpus", "sites", "offers", "models")
EPILOG = (
    "JSON: an array, one object for each listed row: row, listing (gpus or multi-node), offer_id, "
    "provider, cloud_id, gpu_type, gpus, gpu_gb, socket, data_center, country, region, usd_hr "
    "(the whole offer, exact decimal as text), usd_month (730 h), charged_extra, price_varies, "
    "prepaid_hours, spot, "
    "stock, security, problem, usd_gpu_hr (one GPU), disks (yes, unconfirmed, no), "
    "disk_usd_tb_month (cheapest disk there, 1,000 GB for 730 h). Null is unknown. With --group-by "
    "one object for each value: its columns, offers, in_stock, sites, models, gpus, "
    "min_usd_gpu_hr, max_usd_gpu_hr, disk_sites, disk_usd_tb_month."
)


def gpus(
    gpu: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL[:N]",
            help="Keep this model, or offers of N of it; may be given several times.",
        ),
    ] = None,
    region: Places = None,
    country: Places = None,
    provider: Places = None,
    data_center: Places = None,
    security: SecurityFilter = None,
    stock: StockFilter = None,
    spot: Annotated[
        bool | None, typer.Option("--spot/--no-spot", help="Only spot offers, or none of them.")
    ] = None,
    multinode: Annotated[
        bool, typer.Option("--multinode", help="Only offers of the multi-node listing.")
    ] = False,
    sort: Annotated[str | None, typer.Option(help="Column to sort by, as in the JSON.")] = None,
    desc: Annotated[bool, typer.Option("--desc", help="Sort the largest first.")] = False,
    group_by: Annotated[
        str | None, typer.Option(help="Count by model, provider, site or region.")
    ] = None,
    offers_file: OffersOption = None,
    gpus_file: GpusOption = None,
    multinode_file: MultinodeOption = None,
    save: Annotated[
        str | None, typer.Option(metavar="FILE", help="Keep the single-node listing, all of it.")
    ] = None,
    save_multinode: Annotated[
        str | None, typer.Option(metavar="FILE", help="Keep the multi-node listing.")
    ] = None,
    output: OutputOption = Output.table,
) -> None:
    """Show which GPUs are for rent, at what price, and what disks cost beside them."""
    from planner.market.gpu_view import GpuFilter, unknown_gpus
    from planner.market.gpu_view import gpus as listed_gpus
    from planner.market.view import unknown_places
    from planner.schema import records

    which = GpuFilter(
        gpus=gpu or (),
        regions=region or (),
        countries=country or (),
        providers=provider or (),
        data_centers=data_center or (),
        security=security,
        stock=stock,
        spot=spot,
        multinode=multinode,
    )
    if save is not None and save == save_multinode:
        raise InputError("--save and --save-multinode name the same file", hint="name two files")
    # A snapshot of GPUs alone is shown alone: it needs no key.
    files: dict[ListingName, str | None] = {"gpus": gpus_file}
    if offers_file is not None or gpus_file is None:
        files["disks"] = offers_file
    if multinode_file is not None or gpus_file is None:
        files["multi-node"] = multinode_file
    elif save_multinode is not None:
        raise InputError("there is no multi-node listing", hint="give --multinode-file FILE")
    read = snapshots(files)
    single, multi, disks = read["gpus"], read.get("multi-node"), read.get("disks")
    keep(single, save, "GPU offers")
    keep(multi, save_multinode, "multi-node GPU offers")
    frame = gpu_frame(single, multi)
    rows = records(frame)
    for warning in (*unknown_gpus(rows, which), *unknown_places(rows, which)):
        to_stderr(f"warning: {warning}")
    shown = listed_gpus(
        frame,
        None if disks is None else disks.offers(),
        which,
        sort=sort,
        descending=desc,
        group_by=group_by,
        exact=True,
    )
    listed = f"{counted(len(frame), 'GPU offer')} listed by {single.source}"
    unknown = ("Which sites have disks is unknown: give --offers FILE too.",)
    more = unknown if disks is None and not shown.empty else ()
    section = _gpus(shown) if group_by is None else _groups(shown, group_by)
    render(listing_view(section, shown, listed, *more, is_empty=frame.empty), output)


def _gpus(shown: pd.DataFrame) -> Section:
    from planner.market.offers import place_text
    from planner.market.wire import STOCK_RANK
    from planner.schema import records

    columns = (
        TableColumn("offer_id", "id"),
        TableColumn("gpu_type", "model", null="unknown"),
        TableColumn("gpus", "GPUs", "count", "unknown"),
        TableColumn("where", "where"),
        TableColumn("region", "region", null="unknown"),
        TableColumn("stock", "stock"),
        TableColumn("socket", "socket", null="unknown"),
        TableColumn("gpu_gb", "GB each", "count", "unknown"),
        TableColumn("spot", "spot", null="unknown"),
        TableColumn("security", "security", null="unknown"),
        TableColumn("listing", "nodes"),
        TableColumn("usd_hr", "$/h", "usd_hr", "unpriced"),
        TableColumn("usd_gpu_hr", "$/GPU/h", "usd_hr", "unpriced"),
        TableColumn("disk_usd_tb_month", "disk $/TB", "usd_month", "unknown"),
    )
    rows = (
        {
            **row,
            "where": place_text(row),
            "stock": row["stock"] if row["stock"] in STOCK_RANK else f"'{row['stock']}'",
            "security": row["security"] and row["security"].removesuffix("_cloud"),
            "listing": "several" if row["listing"] == "multi-node" else "one",
            "usd_gpu_hr": Cell(row["usd_gpu_hr"], "left out")
            if row["problem"]
            else row["usd_gpu_hr"],
            "disk_usd_tb_month": _disk(row),
        }
        for row in records(shown)
    )
    cut: dict[str, Any] = {"expendable": _EXPENDABLE, "noun": "GPU offer"}
    return Section.of("gpus", "", columns, rows, notes=_about_disks(shown), **cut)


def _groups(shown: pd.DataFrame, group_by: str) -> Section:
    from planner.market.gpu_view import GPU_GROUPS
    from planner.market.offers import place_text
    from planner.schema import records

    about = (
        TableColumn("models", "models") if group_by != "model" else TableColumn("gpus", "per offer")
    )
    columns = (
        TableColumn(group_by, "where" if group_by == "site" else group_by, null="unknown"),
        TableColumn("offers", "offers", "count"),
        TableColumn("in_stock", "in stock", "count"),
        *(() if group_by == "site" else (TableColumn("sites", "sites", "count"),)),
        about,
        TableColumn("min_usd_gpu_hr", "from $/GPU/h", "usd_hr", "unpriced"),
        TableColumn("max_usd_gpu_hr", "to $/GPU/h", "usd_hr", "unpriced"),
        TableColumn("disk_sites", "with disks", "count", "unknown"),
        TableColumn("disk_usd_tb_month", "disk $/TB", "usd_month", "none"),
    )
    if group_by == "site":
        columns = tuple(column for column in columns if column.name != "disk_sites")
    rows: list[dict[str, Any]] = []
    for row in records(shown):
        price = row["disk_usd_tb_month"]
        name = place_text(row) if group_by == "site" else row[GPU_GROUPS[group_by][0]]
        cell = Cell(price, "unknown") if row["disk_sites"] is None else price
        rows.append({**row, group_by: name, "disk_usd_tb_month": cell})
    cut: dict[str, Any] = {"expendable": _GROUPS_EXPENDABLE, "noun": "group"}
    return Section.of("groups", "", columns, rows, notes=_about_disks(shown), **cut)


def _disk(row: Mapping[str, Any]) -> Any:  # noqa: ANN401 -- a cell
    """Return the price of the cheapest disk beside a GPU offer, with how sure that is."""
    from planner.units import money

    price = row["disk_usd_tb_month"]
    if row["disks"] == "no":
        return Cell(None, "none")
    return Cell(price, f"{money(price)} ?") if row["disks"] == "unconfirmed" else price


def _about_disks(shown: pd.DataFrame) -> tuple[str, ...]:
    """Return what the price of disks is, and what a question mark beside it means."""
    from planner.schema import records

    rows = records(shown)
    if all(row["disk_usd_tb_month"] is None for row in rows):
        return ()
    unsure = any(row.get("disks") == "unconfirmed" for row in rows)
    note = "disk $/TB: the cheapest disk at the site, 1,000 GB for a month of 730 h"
    mark = "; ? where no data centre is listed, so whether it is there is unconfirmed"
    return (note + mark * unsure,)
