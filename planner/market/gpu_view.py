"""The GPU market as a person looks at it: the price of one GPU, and which sites have disks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

from planner.errors import InputError
from planner.market.gpus import conform_gpus, meeting_price, unknown_model
from planner.market.market import as_sold
from planner.market.offers import offer_records
from planner.market.tiers import grid_of
from planner.market.view import SITE, PlaceFilter, grouped, kept_rows, sites, sort_frame, sums
from planner.schema import (
    AMOUNT,
    EXACT,
    TEXT,
    WHOLE,
    Column,
    handed_out,
    records,
    with_columns,
)
from planner.text import suggestion, visible
from planner.units import quotient, usd_hr, usd_month

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from decimal import Decimal

GPU_GROUPS = {
    "model": ("gpu_type",),
    "provider": ("provider",),
    "site": SITE,
    "region": ("region",),
}
"""What GPU offers can be grouped by, and the columns that name a group."""
_SUMS = (
    Column("offers", WHOLE, "rows"),
    Column("in_stock", WHOLE, "rows that are not Unavailable"),
    Column("sites", WHOLE, "places: provider, data centre and country"),
    Column("models", EXACT, "tuple of the GPU models"),
    Column("gpus", EXACT, "tuple of the numbers of GPUs in one offer"),
    Column("min_usd_gpu_hr", AMOUNT, "lowest price of one GPU; null: none is priced"),
    Column("max_usd_gpu_hr", AMOUNT, "the same, highest"),
    Column("disk_sites", WHOLE, "sites with disks, unconfirmed ones included; null: unknown"),
    Column("disk_usd_tb_month", AMOUNT, "lowest price there; null: none"),
)
"""Columns of GPU groups, after those that name the group."""
_PRICED = (
    Column("usd_gpu_hr", AMOUNT, "of one GPU, to 30 digits; null: it cannot be rented"),
    Column("disks", TEXT, "at the site: yes, unconfirmed or no; null: unknown"),
    Column("disk_usd_tb_month", AMOUNT, "cheapest disk in stock there, 1,000 GB; null: none"),
)
_GPU = re.compile(r"(?P<model>[^:]*[^:\s])\s*(?::\s*(?P<gpus>\d{1,4}))?")


def parse_gpu(text: str) -> tuple[str, int | None]:
    """Return a GPU model and how many GPUs one offer has to have; None where that is not asked.

    >>> parse_gpu("A100_80GB:8"), parse_gpu("H100_80GB")
    (('A100_80GB', 8), ('H100_80GB', None))

    Raises
    ------
    InputError
        When it is not ``MODEL`` or ``MODEL:NUMBER``.
    """
    match = _GPU.fullmatch(text.strip())
    gpus = int(match["gpus"]) if match and match["gpus"] else None
    if match is None or gpus == 0:
        hint = "write a model, such as A100_80GB, or a model and a number, such as A100_80GB:8"
        raise InputError(f"{visible(text[:100])!r} is not a GPU", hint=hint)
    return match["model"], gpus


@dataclass(frozen=True)
class GpuFilter(PlaceFilter):
    """Which GPU offers to show: at which places (see `PlaceFilter`), and what is below.

    Attributes
    ----------
    gpus : sequence of str
        Keep these models, such as ``A100_80GB``, or ``A100_80GB:8`` for offers of eight.
    spot : bool | None
        Keep spot offers, or the others; unknown counts as not spot.
    multinode : bool
        Keep offers of the multi-node listing.
    """

    gpus: Sequence[str] = ()
    spot: bool | None = None
    multinode: bool = False
    lists: ClassVar[tuple[str, ...]] = ("gpus",)

    def __post_init__(self) -> None:
        super().__post_init__()
        for text in self.gpus:
            parse_gpu(text)


def gpus(
    listing: pd.DataFrame,
    offers: pd.DataFrame | None = None,
    which: GpuFilter | None = None,
    *,
    sort: str | None = None,
    descending: bool = False,
    group_by: str | None = None,
    exact: bool = False,
) -> pd.DataFrame:
    """Return the GPU market: what one GPU costs where, and what disks cost there.

    Parameters
    ----------
    listing : DataFrame
        Columns ``GPUS``: see `read_gpus` and `fetch_gpus`.
    offers : DataFrame | None
        Columns ``OFFERS``, the disk market; None leaves unknown which sites have disks.
    which : GpuFilter | None
        What to keep; None keeps every row.
    sort : str | None
        A column; None sorts by price. Nulls come last.
    descending : bool
        Largest first.
    group_by : str | None
        ``model``, ``provider``, ``site`` or ``region``: one row for each value.
    exact : bool
        Amounts are Decimals; else floats.

    Returns
    -------
    DataFrame
        Columns ``GPUS`` and: ``usd_gpu_hr`` (price of the offer divided by its
        GPUs; null where it cannot be rented),
        ``disks`` (yes, unconfirmed or no; null: unknown) and ``disk_usd_tb_month`` (lowest price
        of a disk in stock there, USD per 1000 GB and 730 h). Grouped: the columns of the group,
        then offers, in_stock, sites, models, gpus, min_usd_gpu_hr, max_usd_gpu_hr, disk_sites and
        disk_usd_tb_month.

    Raises
    ------
    InputError
        When there is no such column or group.
    FrameError
        When a frame is not what it is declared to be.

    Examples
    --------
    >>> import planner
    >>> shown = gpus(planner.read_gpus("shipped:gpu-offers"), which=GpuFilter(gpus=["A100_80GB"]))
    >>> shown["usd_gpu_hr"].iloc[0].item()
    1.6568
    """
    which = which or GpuFilter()
    if group_by is not None and group_by not in GPU_GROUPS:
        hint = suggestion(group_by, GPU_GROUPS, f"choose from {', '.join(GPU_GROUPS)}")
        raise InputError(f"cannot group by {visible(group_by)!r}", hint=hint)
    frame: pd.DataFrame = conform_gpus(listing)
    frame = frame[kept_rows(frame, which) & _kept(frame, which)]
    rows = records(frame)
    beside = _disks_beside(rows, offers)
    more = (map(_per_gpu, rows), (state for state, _ in beside), (usd for _, usd in beside))
    frame = with_columns(frame, dict(zip(_PRICED, more, strict=True)))
    price = "usd_gpu_hr"
    if group_by is not None:
        frame, price = grouped(frame, GPU_GROUPS[group_by], _sums, _SUMS), "min_usd_gpu_hr"
    shown = sort_frame(frame, sort or price, descending=descending, price=price)
    return handed_out(shown.reset_index(drop=True), exact=exact)


def unknown_gpus(rows: Sequence[Mapping[str, Any]], which: GpuFilter) -> Iterator[str]:
    """Yield a sentence for each GPU of a filter that no offer has, with what was likely meant.

    Parameters
    ----------
    rows : sequence of mapping
        Keys ``GPUS``: the whole listing; without any offer no GPU is unknown.
    """
    offered: dict[str, set[int | None]] = {}
    for row in rows:
        if row["gpu_type"] is not None:
            offered.setdefault(row["gpu_type"], set()).add(row["gpus"])
    for model, count in map(parse_gpu, which.gpus if offered else ()):
        if model not in offered:
            yield unknown_model(model, offered)
        elif count is not None and count not in offered[model]:
            known = sorted(number for number in offered[model] if number is not None)
            listed = ", ".join(map(str, known)) or "an unknown number of"
            yield f"no offer has {count} {visible(model)}; offers have {listed}"


def _kept(frame: pd.DataFrame, which: GpuFilter) -> pd.Series[bool]:
    keep = pd.Series(data=True, index=frame.index)
    if which.gpus:
        wanted = [parse_gpu(text) for text in which.gpus]
        pairs = zip(frame["gpu_type"], frame["gpus"], strict=True)
        keep &= pd.Series(
            [not pd.isna(model) and _is_wanted(model, count, wanted) for model, count in pairs],
            index=frame.index,
            dtype=bool,
        )
    if which.spot is not None:
        keep &= frame["spot"].fillna(value=False).astype(bool) == which.spot
    if which.multinode:
        keep &= (frame["listing"] == "multi-node").astype(bool)
    return keep


def _is_wanted(model: str, count: Any, wanted: Sequence[tuple[str, int | None]]) -> bool:  # noqa: ANN401 -- a whole number or null
    return any(
        model == asked and (number is None or (not pd.isna(count) and count == number))
        for asked, number in wanted
    )


def _per_gpu(row: Mapping[str, Any]) -> Decimal | None:
    if row["problem"] is not None or row["usd_hr"] is None or not row["gpus"]:
        return None
    return quotient(row["usd_hr"], row["gpus"])


def _disks_beside(
    rows: Sequence[Mapping[str, Any]], offers: pd.DataFrame | None
) -> list[tuple[str | None, Decimal | None]]:
    """Return for each GPU offer whether its site has disks it can mount, and the lowest price.

    An offer of several nodes needs disks that several nodes can mount.
    """
    if offers is None:
        return [(None, None)] * len(rows)
    disks = [
        {**row, "usd_tb_month": usd_month(usd_hr(1000, row["usd_gb_hr"]))}
        for row in as_sold(offer_records(offers))
        if row["problem"] is None
        and row["usd_gb_hr"] is not None
        and row["stock"] != "Unavailable"
        and grid_of(row)
    ]
    shared = [row for row in disks if row["multinode"]]
    known: dict[tuple[Any, ...], tuple[str | None, Decimal | None]] = {}
    beside = []
    for row in rows:
        several = row["listing"] == "multi-node"
        site = (*(row[name] for name in SITE), several)
        if site not in known:
            known[site] = meeting_price(row, shared if several else disks, "usd_tb_month")
        beside.append(known[site])
    return beside


def _sums(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    disks = [row["disk_usd_tb_month"] for row in rows if row["disk_usd_tb_month"] is not None]
    is_known = any(row["disks"] is not None for row in rows)
    beside = sites(row for row in rows if row["disks"] != "no")
    return {
        **sums(rows, "usd_gpu_hr"),
        "models": tuple(sorted({row["gpu_type"] for row in rows} - {None})),
        "gpus": tuple(sorted({row["gpus"] for row in rows} - {None})),
        "disk_sites": len(beside) if is_known else None,
        "disk_usd_tb_month": min(disks, default=None),
    }
