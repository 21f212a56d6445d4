"""``planner offers``: the market as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli import options
from planner.cli.options import GpusOption, MultinodeOption, OffersOption, OutputOption
from planner.cli.render import Output, paragraphs, result, table, talk
from planner.errors import InputError
from planner.present.table import frame_csv, frame_json, markdown

if TYPE_CHECKING:
    import pandas as pd

    from planner.market.snapshot import Snapshot
    from planner.marketplace.protocol import ListingName

_MANY = typer.Option(help="Keep offers there; may be given several times.")
_RIGHT = frozenset(
    {
        "GB",
        "buy GB",
        "$/GB/h",
        "$/TB/month",
        "$/month",
        "GPU $/h",
        "offers",
        "sites",
        "in stock",
        "from $/GB/h",
        "to $/GB/h",
    }
)
_EXPENDABLE = ("security", "nodes", "GB", "region", "GPU $/h", "stock", "buy GB", "$/TB/month")
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
    region: Annotated[list[str] | None, _MANY] = None,
    country: Annotated[list[str] | None, _MANY] = None,
    provider: Annotated[list[str] | None, _MANY] = None,
    data_center: Annotated[list[str] | None, _MANY] = None,
    security: Annotated[str | None, typer.Option(help="secure_cloud or community_cloud.")] = None,
    multinode: Annotated[
        bool, typer.Option("--multinode", help="Only disks that several nodes can mount.")
    ] = False,
    stock: Annotated[
        str | None, typer.Option(help="Weakest stock level: Low, Medium, Available, High.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="Size one disk must hold, such as 4TB; adds its price.")
    ] = None,
    max_price: Annotated[
        str | None, typer.Option(help="Highest price in USD per GB and hour.")
    ] = None,
    sort: Annotated[str | None, typer.Option(help="Column to sort by, as in the JSON.")] = None,
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
    from planner.plans.advice import market_warnings
    from planner.proportion import price_warnings

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
        raise InputError("GPU files are read for --gpus", hint="give --gpus and --gpus-file too")
    found = _snapshots(files)
    snapshot, single, multi = found["disks"], found.get("gpus"), found.get("multi-node")
    listed = snapshot.offers()
    if save is not None and save == save_gpus:
        raise InputError("--save and --save-gpus name one file", hint="name two")
    _save(snapshot, save, "offers")
    _save(single, save_gpus, "GPU offers")
    odd = price_warnings(listed)
    for warning in (*market_warnings(listed), *unknown_places(listed, which), *odd):
        talk(f"warning: {warning}")
    if gpus is not None and single is not None:
        listed = _marked(listed, gpus, single, multi)
    shown = list_offers(listed, which, sort=None if group_by else sort, descending=desc)
    if group_by is not None:
        shown = group_offers(shown, group_by)
        shown = sort_frame(shown, sort, descending=desc) if sort else shown
    _write(shown, output, grouped=group_by is not None)
    if output is Output.table:
        talk(f"{len(shown)} rows shown of {len(listed)} offers listed by {snapshot.source}")


def _snapshots(files: dict[ListingName, str | None]) -> dict[ListingName, Snapshot]:
    """Return listings by name: from the file where there is one, the rest live."""
    from planner.market.snapshot import read_snapshot

    found = {name: read_snapshot(file, name) for name, file in files.items() if file is not None}
    missing = [name for name in files if name not in found]
    if missing:
        from planner.marketplace.fetch import fetch_market

        found |= dict(zip(missing, fetch_market(*missing), strict=True))
    return found


def _save(snapshot: Snapshot | None, path: str | None, what: str) -> None:
    if snapshot is not None and path is not None:
        from planner.market.snapshot import save_snapshot

        save_snapshot(snapshot, path)
        talk(f"saved {len(snapshot.rows)} {what} to {path}")


def _marked(
    listed: pd.DataFrame, gpu_type: str, single: Snapshot, multi: Snapshot | None
) -> pd.DataFrame:
    from planner.market.gpus import mark_gpus
    from planner.market.snapshot import join_gpus
    from planner.plans.advice import market_warnings
    from planner.text import nearest

    frame = single.gpus()
    if multi is not None:
        frame = join_gpus(frame, multi.gpus(listing="multi-node"))
    for warning in market_warnings(frame):
        talk(f"warning: GPU {warning}")
    known = set(frame["gpu_type"].dropna())
    if gpu_type not in known:
        close = nearest(gpu_type, known)
        talk(
            f"warning: no GPU offer is a {gpu_type}" + (f"; did you mean {close}?" if close else "")
        )
    return mark_gpus(listed, frame, gpu_type)


def _write(shown: pd.DataFrame, output: Output, *, grouped: bool) -> None:
    if output is Output.json:
        result(frame_json(shown))
    elif output is Output.csv:
        result(frame_csv(shown))
    else:
        headings, rows = _group_table(shown) if grouped else _offer_table(shown)
        if output is Output.md:
            result(markdown(headings, rows, _RIGHT))
        elif not rows:
            paragraphs(["no offers match"])
        else:
            table(headings, rows, _RIGHT, expendable=_EXPENDABLE)


def _offer_table(shown: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    from planner.market.offers import place_text
    from planner.market.wire import STOCK_RANK
    from planner.schema import records
    from planner.units import money, plain, usd_hr, usd_month

    sized, marked = "provision_gb" in shown, "gpu" in shown
    headings = ["id", "where", "region", "GB", "stock", "security", "nodes", "$/GB/h"]
    headings += ["buy GB", "$/month"] if sized else ["$/TB/month"]
    headings += ["GPU", "GPU $/h"] if marked else []
    rows = []
    for row in records(shown):
        price = None if row["problem"] else row["usd_gb_hr"]
        most = "no limit" if row["max_gb"] is None else f"{row['max_gb']:,}"
        cells = [
            row["offer_id"],
            place_text(row),
            row["region"] or "unknown",
            f"{row['min_gb']:,}-{most}",
            row["stock"] if row["stock"] in STOCK_RANK else f"'{row['stock']}'",
            (row["security"] or "unknown").removesuffix("_cloud"),
            {True: "several", False: "one", None: "unknown"}[row["multinode"]],
            "left out" if row["problem"] else "unpriced" if price is None else _short(plain(price)),
        ]
        if sized:
            month = None if price is None else row["usd_month"]
            cells += [f"{row['provision_gb']:,}", "" if month is None else money(month)]
        else:
            cells.append("" if price is None else money(usd_month(usd_hr(1000, price))))
        if marked:
            gpu = row["gpu_usd_hr"]
            cells += [row["gpu"], "" if gpu is None else money(gpu)]
        rows.append(cells)
    return headings, rows


def _short(price: str) -> str:
    """Return a price in at most eight decimals; the JSON has all of them."""
    whole, _, places = price.partition(".")
    return f"{whole}.{places[:8]}…" if len(places) > 8 else price  # noqa: PLR2004 -- see above


def _group_table(shown: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    from planner.schema import records
    from planner.units import plain

    by = str(shown.columns[0])
    headings = [by, "offers", "in stock", "sites", "from $/GB/h", "to $/GB/h"]
    rows = [
        [
            "unknown" if row[by] is None else str(row[by]),
            *(str(row[name]) for name in ("offers", "in_stock", "sites")),
            *(
                "unpriced" if row[name] is None else _short(plain(row[name]))
                for name in ("min_usd_gb_hr", "max_usd_gb_hr")
            ),
        ]
        for row in records(shown)
    ]
    return headings, rows
