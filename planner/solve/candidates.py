"""Candidates and rejections: every pair of a volume and an offer becomes one of the two.

A rejection keeps every rule that it breaks, so that "why not there?" always has a full answer.
Rows are volumes, columns are offers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from planner.frames import EXACT, TEXT, WHOLE, Column, build
from planner.markup import MOST_ROWS, counted, table_html
from planner.solve.rules import BIT, Market, rules_of
from planner.units import usd_hr

if TYPE_CHECKING:
    from decimal import Decimal

    from numpy.typing import NDArray

    from planner.demand import Demand, Volume

CANDIDATES = (
    Column("volume", TEXT, "name in the demand"),
    Column("offer_id", TEXT, "short id of the offer"),
    Column("provider", TEXT, "of the offer"),
    Column("data_center", TEXT, "of the offer; null: unknown"),
    Column("disks", WHOLE, "fewest disks that can hold the volume there"),
    Column("provision_gb", WHOLE, "least total size on the offer's grid"),
    Column("usd_gb_hr", EXACT, "price, exact Decimal"),
    Column("usd_hr", EXACT, "hourly cost of one replica, exact Decimal"),
)
REJECTIONS = (
    Column("volume", TEXT, "name in the demand"),
    Column("offer_id", TEXT, "short id of the offer"),
    Column("provider", TEXT, "of the offer; null: the row names none"),
    Column("data_center", TEXT, "of the offer; null: unknown"),
    Column("rules", EXACT, "tuple of every rule it breaks, see RULES"),
)


Site = tuple[str | None, ...]


@dataclass(frozen=True, repr=False)
class Pairs:
    """All pairs of V volumes and O offers.

    Attributes
    ----------
    volumes : tuple of Volume
        In the demand's order.
    offers : DataFrame
        Columns ``ADDRESSABLE``, O rows, sorted by create key.
    broken : ndarray of uint32, shape (V, O)
        Rules broken, as bits; zero is a candidate.
    disks : ndarray of int64, shape (V, O)
        Fewest disks that can hold the volume; meaningless where the offer sells nothing.
    provision_gb : ndarray of int64, shape (V, O)
        Least total size for that many disks, in GB.
    fixed_usd_hr : dict of Decimal
        Hourly cost of offers that are live disks, by number: what is billed.
    """

    volumes: tuple[Volume, ...]
    offers: pd.DataFrame
    broken: NDArray[np.uint32]
    disks: NDArray[np.int64]
    provision_gb: NDArray[np.int64]
    fixed_usd_hr: dict[int, Decimal] = field(default_factory=dict)

    def usd_hr(self, volume: int, offer: int) -> Decimal:
        """Return the exact hourly cost of one replica of a candidate."""
        if offer in self.fixed_usd_hr:
            return self.fixed_usd_hr[offer]
        return usd_hr(int(self.provision_gb[volume, offer]), self._prices[offer])

    @cached_property
    def _prices(self) -> list[Decimal]:
        return self.offers["usd_gb_hr"].tolist()

    def candidates(self) -> pd.DataFrame:
        """Return the admissible pairs (columns ``CANDIDATES``), by volume and create key."""
        rows = []
        for volume, offer in np.argwhere(self.broken == 0).tolist():
            row = self._pair(volume, offer)
            row["disks"] = int(self.disks[volume, offer])
            row["provision_gb"] = int(self.provision_gb[volume, offer])
            row["usd_gb_hr"] = self._prices[offer]
            row["usd_hr"] = self.usd_hr(volume, offer)
            rows.append(row)
        return build(rows, CANDIDATES)

    def rejections(self) -> pd.DataFrame:
        """Return the other pairs (columns ``REJECTIONS``), by volume and create key."""
        rows = []
        for volume, offer in np.argwhere(self.broken != 0).tolist():
            row = self._pair(volume, offer)
            row["rules"] = rules_of(int(self.broken[volume, offer]))
            rows.append(row)
        return build(rows, REJECTIONS)

    def __repr__(self) -> str:
        volumes, offers = self.broken.shape
        admissible = int(np.count_nonzero(self.broken == 0))
        return f"<Pairs: {volumes} volumes x {offers} offers, {admissible} of them candidates>"

    def _repr_html_(self) -> str:
        few = self.volumes[:MOST_ROWS]
        rows = [(volume.name, *self._counts(v)) for v, volume in enumerate(few)]
        headings = ("volume", "candidates", "rejections", "rules broken (offers)")
        caption = counted(len(self.volumes), "volume", len(few))
        return table_html(headings, rows, {1, 2}, caption=caption)

    def _counts(self, volume: int) -> tuple[str, str, str]:
        """Return how many offers are candidates, how many not, and which rules keep them out."""
        broken = self.broken[volume]
        admissible = int(np.count_nonzero(broken == 0))
        fallen = {rule: int(np.count_nonzero(broken & bit)) for rule, bit in BIT.items()}
        most = sorted((-count, rule) for rule, count in fallen.items() if count)
        rules = ", ".join(f"{rule} ({-count:,})" for count, rule in most)
        return f"{admissible:,}", f"{len(broken) - admissible:,}", rules

    def _pair(self, volume: int, offer: int) -> dict[str, Any]:
        named = ("offer_id", "provider", "data_center")
        return {
            "volume": self.volumes[volume].name,
            **{name: self.offers[name].iat[offer] for name in named},
        }


def pair(demand: Demand, offers: pd.DataFrame) -> Pairs:
    """Hold every volume against every offer.

    Parameters
    ----------
    demand : Demand
        V volumes.
    offers : DataFrame
        Columns ``ADDRESSABLE``, O rows.
    """
    market = Market(offers)
    shape = (len(demand.volumes), len(offers))
    broken = np.zeros(shape, dtype=np.uint32)
    disks, provision_gb = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    levels = group_levels(demand)
    for index, volume in enumerate(demand.volumes):
        disks[index], provision_gb[index] = market.sizes.provision(volume.need_gb)
        broken[index] = market.broken_rules(volume, disks[index], levels.get(volume.name, ()))
    return Pairs(demand.volumes, offers, broken, disks, provision_gb)


def group_levels(demand: Demand) -> dict[str, set[str]]:
    """Return the levels that groups look at, by name of the volumes in them."""
    levels: dict[str, set[str]] = {}
    for group in demand.groups:
        asked = {level for level in (group.same, group.different) if level is not None}
        for name in group.volumes:
            levels.setdefault(name, set()).update(asked)
    return levels


def domains(offers: pd.DataFrame, level: str) -> list[frozenset[tuple[Any, ...]]]:
    """Return the failure domains that each offer lies in at a level.

    Two offers share a data centre when the names are equal, whoever the provider is; one that
    leaves it null is a domain of its own at its site. An ambiguous offer lies in all its regions.
    """
    if level == "region":
        return [frozenset((name,) for name in names) for names in offers["regions"]]
    if level in {"provider", "country"}:
        return [frozenset([(name,)]) for name in _plain(offers[level])]
    if level == "site":
        return [frozenset([site]) for site in sites(offers)]
    return [
        frozenset([(site[1],) if site[1] else (site[0], None, site[2])]) for site in sites(offers)
    ]


def sites(offers: pd.DataFrame) -> list[Site]:
    """Return where each offer is: (provider, data_center, country), None where unknown."""
    columns = (_plain(offers[name]) for name in ("provider", "data_center", "country"))
    return list(zip(*columns, strict=True))


def _plain(column: pd.Series[Any]) -> list[str | None]:
    return [None if pd.isna(value) else str(value) for value in column]
