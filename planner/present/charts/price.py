"""What the market asks for a disk, by site, and what each requirement costs."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from planner.analysis.explain import REQUIREMENTS
from planner.errors import InputError
from planner.market.offers import Sizes, conform_offers, place_text
from planner.present.charts.bars import (
    MOST_KINDS,
    MOST_ROWS,
    ChartRow,
    bars,
    kinds_of,
    nothing,
    titled,
    usd_axis,
)
from planner.present.charts.base import altair, counted, labels, named, usd
from planner.schema import conform, records
from planner.text import visible
from planner.units import HOURS_PER_MONTH, plain, usd_hr, usd_month

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal

    import altair as alt
    import pandas as pd

_TOOLTIP = {
    "row": "site",
    "kind": "region",
    "amount": f"USD a month of {HOURS_PER_MONTH} h",
    "price": "USD per GB and hour",
    "disk": "disk",
    "sizes": "sizes sold",
    "stock": "stock",
}
_Offer = dict[str, Any]


@dataclass(frozen=True)
class _Site:
    """A site that sells the size, and its offers of it, the cheapest first."""

    name: str
    offers: Sequence[_Offer]

    @property
    def least_usd_month(self) -> Decimal:
        """Return what its cheapest disk costs."""
        amount: Decimal = self.offers[0]["usd_month"]
        return amount

    @property
    def amount(self) -> str:
        """Return what it asks: one amount, or the least and the most."""
        least, most = (usd(self.offers[at]["usd_month"]) for at in (0, -1))
        return least if least == most else f"{least} to {most}"

    @property
    def sizes(self) -> str:
        """Return the smallest and the largest size it sells."""
        least = max(1, min(offer["min_gb"] for offer in self.offers))
        bounds = [offer["max_gb"] for offer in self.offers]
        return f"from {least:,} GB" if None in bounds else f"{least:,} to {max(bounds):,} GB"

    @property
    def region(self) -> str | None:
        """Return where it is, where an offer says so."""
        return next((offer["region"] for offer in self.offers if offer["region"]), None)


def price_chart(offers: pd.DataFrame, size_gb: int = 1000) -> alt.LayerChart:
    """Return what a disk costs a month at each site: a bar for each, a colour for each region.

    A bar ends at the cheapest offer that is available; beside it stand the amounts of the
    cheapest and the dearest, and the sizes that are sold. Offers that are unpriced, cannot be
    used, or sell no single disk of the size are counted below the title, not drawn.

    Parameters
    ----------
    offers : DataFrame
        Columns ``OFFERS``; without rows the chart says so.
    size_gb : int
        Size of the disk, at least 1 GB; where a site sells none of just this size, the smallest
        that holds it.

    Raises
    ------
    FrameError
        When the frame is not one of offers.
    InputError
        When the size is less than 1 GB, or the extra ``charts`` is not installed.
    """
    altair()
    if size_gb < 1:
        raise InputError(f"{size_gb} GB is no size of a disk", hint="ask for at least 1 GB")
    title = f"What a disk of {size_gb:,} GB costs a month, by site"
    known = conform_offers(offers)
    sold, why_not = _sold(known, size_gb)
    facts = [f"{counted(why_not[why], 'offer')} not drawn: {why}" for why in sorted(why_not)]
    sites = sorted(_sites(sold), key=lambda site: (site.least_usd_month, site.name))
    if not sites:
        return nothing(title, facts or ["There are no offers"])
    drawn, beyond = sites[:MOST_ROWS], sites[MOST_ROWS:]
    pale = any(_is_pale(site) for site in drawn)
    said = [
        f"USD, {HOURS_PER_MONTH} hours a month",
        f"The {len(drawn)} cheapest of {counted(len(sites), 'site')}" if beyond else "",
        f"{len(beyond)} more from {usd(beyond[0].least_usd_month)}" if beyond else "",
        "Outlined: unavailable now" if pale else "",
        *facts,
    ]
    return titled(_drawn(drawn), title, said)


def _sold(offers: pd.DataFrame, size_gb: int) -> tuple[list[_Offer], Counter[str]]:
    """Return the offers of a size with their cost, and why how many others are not drawn."""
    sizes = Sizes(offers)
    rows = zip(records(offers), sizes.sells, *sizes.provision(size_gb), strict=True)
    sold, why_not = [], Counter[str]()
    for offer, sells, disks, provision_gb in rows:
        if offer["problem"] is not None:
            why_not["the listing cannot be used"] += 1
        elif offer["usd_gb_hr"] is None:
            why_not["unpriced"] += 1
        elif not sells or disks > 1:
            why_not[f"no one disk holds {size_gb:,} GB"] += 1
        else:
            gb = int(provision_gb)
            month = usd_month(usd_hr(gb, offer["usd_gb_hr"]))
            sold.append({**offer, "provision_gb": gb, "usd_month": month})
    return sold, why_not


def _sites(offers: Sequence[_Offer]) -> Iterator[_Site]:
    """Yield the sites with what can be had there now, or where nothing can, with all."""
    groups: dict[tuple[Any, ...], list[_Offer]] = defaultdict(list)
    for offer in offers:
        groups[offer["provider"], offer["data_center"], offer["country"]].append(offer)
    names = labels({key: place_text(group[0]) for key, group in groups.items()})
    for key, group in groups.items():
        now = [offer for offer in group if offer["stock"] != "Unavailable"] or group
        yield _Site(names[key], sorted(now, key=lambda offer: offer["usd_month"]))


def _is_pale(site: _Site) -> bool:
    return bool(site.offers[0]["stock"] == "Unavailable")


def _drawn(sites: Sequence[_Site]) -> alt.LayerChart:
    kind_of = named(Counter(site.region for site in sites), MOST_KINDS, "region")
    rows, pieces = [], []
    for site in sites:
        cheapest = site.offers[0]
        rows.append(ChartRow(f"{site.name}, {site.sizes}", site.amount))
        pieces.append(
            {
                "row": rows[-1].label,
                "kind": kind_of[site.region],
                "start": 0,
                "end": float(site.least_usd_month),
                "pale": _is_pale(site),
                "amount": site.amount,
                "price": plain(cheapest["usd_gb_hr"]),
                "disk": f"{cheapest['provision_gb']:,} GB",
                "sizes": site.sizes,
                "stock": cheapest["stock"],
            }
        )
    kinds = kinds_of("region", list(dict.fromkeys(kind_of.values())))
    return bars(rows, pieces, x=usd_axis(), tooltip=_TOOLTIP, kinds=kinds)


_TITLE = "What each requirement costs a month"
_REQUIREMENT_TOOLTIP = {
    "row": "requirement",
    "without": "without it",
    "amount": "saves a month",
    "why": "note",
}


def requirement_chart(requirements: pd.DataFrame) -> alt.LayerChart:
    """Return what each requirement costs: how much cheaper the best plan is without it.

    Those that cost nothing by themselves, and those without an amount, are counted below the
    title; so are those beyond the dearest. Savings do not add up, so they are not summed.

    Parameters
    ----------
    requirements : DataFrame
        Columns ``REQUIREMENTS``; without rows, or where none costs anything, the chart says so.

    Raises
    ------
    FrameError
        When the frame is not one of requirements.
    InputError
        When the extra ``charts`` is not installed.
    """
    altair()
    rows = records(conform(requirements, REQUIREMENTS, what="requirements"))
    known = [row for row in rows if row["saves_usd_month"] is not None]
    dear = [row for row in known if row["saves_usd_month"] > 0]
    dear.sort(key=lambda row: -row["saves_usd_month"])
    drawn, beyond = dear[:MOST_ROWS], dear[MOST_ROWS:]
    free, unknown = len(known) - len(dear), len(rows) - len(known)
    facts = [
        f"{len(beyond)} more save up to {usd(beyond[0]['saves_usd_month'])} each" if beyond else "",
        f"{counted(free, 'requirement costs', 'requirements cost')} nothing" if free else "",
        f"{counted(unknown, 'has', 'have')} no amount and no bar" if unknown else "",
    ]
    if not drawn:
        return nothing(_TITLE, facts if rows else ["There are no requirements"])
    said = ["How much less the best plan without it costs; savings do not add up", *facts]
    return titled(_requirements_drawn(drawn), _TITLE, said)


def _requirements_drawn(requirements: Sequence[dict[str, Any]]) -> alt.LayerChart:
    about = [f"{row['about']}: " if row["about"] else "" for row in requirements]
    names = labels({at: about[at] + row["requirement"] for at, row in enumerate(requirements)})
    rows, pieces = [], []
    for name, row in zip(names.values(), requirements, strict=True):
        rows.append(ChartRow(name, usd(row["saves_usd_month"])))
        pieces.append(
            {
                "row": name,
                "start": 0,
                "end": float(row["saves_usd_month"]),
                "pale": False,
                "without": visible(row["without"] or ""),
                "amount": rows[-1].amount,
                "why": visible(row["why"] or ""),
            }
        )
    return bars(rows, pieces, x=usd_axis(), tooltip=_REQUIREMENT_TOOLTIP)
