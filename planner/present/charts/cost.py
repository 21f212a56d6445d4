"""What disks cost a month, by owner and site."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from planner.present.charts.bars import (
    MOST_KINDS,
    MOST_ROWS,
    ChartRow,
    bars,
    kinds_of,
    nothing,
    stacked,
    summed,
    titled,
    usd_axis,
)
from planner.present.charts.base import altair, counted, usd
from planner.schema import AMOUNT, TEXT, Column, conform, records
from planner.units import HOURS_PER_MONTH, total, usd_month

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    import altair as alt
    import pandas as pd


COST_DISKS = (
    Column("owner", TEXT, "who pays; null: unknown"),
    Column("site", TEXT, "where it is, as people read it"),
    Column("standing", TEXT, "kept, bought, new or other; new is not bought yet"),
    Column("usd_hr", AMOUNT, "USD an hour; null: unpriced"),
)
"""Columns of the disks that ``cost_chart`` reads."""

_TOOLTIP = {"kind": "site", "amount": "USD a month", "disks": "disks"}
_Row = dict[str, Any]


def cost_chart(
    disks: pd.DataFrame, *, by: str = "owner", hours_per_month: int = HOURS_PER_MONTH
) -> alt.LayerChart:
    """Return what disks cost a month: a bar for each owner or volume, a colour for each site.

    The dearest have bars of their own and the dearest sites colours of their own; the
    others are summed up in one more. Unpriced disks are counted below the title, not drawn.

    Parameters
    ----------
    disks : DataFrame
        Columns ``COST_DISKS``, one row for each disk; without rows the chart says so.
    by : str
        The column that has a bar for each of its values: ``owner``, or another in its place.
    hours_per_month : int
        What an hourly amount is multiplied by.

    Raises
    ------
    FrameError
        When a column is missing or of another type.
    InputError
        When the extra ``charts`` is not installed.
    """
    altair()
    columns = (replace(COST_DISKS[0], name=by), *COST_DISKS[1:])
    rows = records(conform(disks, columns, what="disks"))
    title = f"Cost a month by {by} and site"
    priced = [row for row in rows if row["usd_hr"] is not None]
    unpriced = len(rows) - len(priced)
    facts = [f"{counted(unpriced, 'disk is', 'disks are')} unpriced and not drawn"][:unpriced]
    if not priced:
        return nothing(title, facts or ["There are no disks"])
    pale = {row["standing"] == "new" for row in priced} == {True, False}
    month = usd(_usd_month(priced, hours_per_month))
    said = [
        f"{counted(len(priced), 'disk')}, {month} a month of {hours_per_month} hours",
        "Outlined: not bought yet" if pale else "",
        *facts,
    ]
    return titled(_drawn(priced, by, hours_per_month, pale=pale), title, said)


def _usd_month(disks: Iterable[_Row], hours: int) -> Decimal:
    return usd_month(total(disk["usd_hr"] for disk in disks), hours)


def _drawn(disks: Sequence[_Row], by: str, hours: int, *, pale: bool) -> alt.LayerChart:
    """Return the chart of disks that have a price."""
    owner_of = summed(((disk[by], disk["usd_hr"]) for disk in disks), MOST_ROWS, by)
    site_of = summed(((disk["site"], disk["usd_hr"]) for disk in disks), MOST_KINDS, "site")
    cells: dict[tuple[str, str, bool], list[_Row]] = defaultdict(list)
    for disk in disks:
        new = pale and disk["standing"] == "new"
        cells[owner_of[disk[by]], site_of[disk["site"]], new].append(disk)
    sites = list(dict.fromkeys(site_of.values()))
    rows, pieces = [], []
    for owner in dict.fromkeys(owner_of.values()):
        order = [(site, new) for site in sites for new in (False, True)]
        mine = {(site, new): here for site, new in order if (here := cells.get((owner, site, new)))}
        pieces += stacked(
            (
                _usd_month(here, hours),
                {"row": owner, "kind": site, "pale": new, "disks": _counted(here)},
            )
            for (site, new), here in mine.items()
        )
        everything = [disk for part in mine.values() for disk in part]
        rows.append(ChartRow(owner, usd(_usd_month(everything, hours))))
    return bars(
        rows, pieces, x=usd_axis(), tooltip={"row": by, **_TOOLTIP}, kinds=kinds_of("site", sites)
    )


def _counted(disks: Sequence[_Row]) -> str:
    standing = ", ".join(sorted({disk["standing"] for disk in disks if disk["standing"]}))
    return f"{len(disks)} ({standing})" if standing else f"{len(disks)}"
