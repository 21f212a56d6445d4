"""Candidates and rejections: every pair of a volume and an offer becomes one of the two.

A rejection keeps every rule that it breaks, so that "why not there?" always has a full answer.
Rows are volumes, columns are offers.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from planner.market.market import ADDRESSABLE
from planner.market.wire import STOCK_RANK
from planner.present.table import Section, TableColumn
from planner.present.writers import to_html
from planner.requirements.group import GroupPlace, group_places
from planner.requirements.offer import At, OfferColumns
from planner.requirements.packing import OneDisk
from planner.requirements.volume import OF_OFFERS, asks_alike, of_offers
from planner.schema import AMOUNT, EXACT, TEXT, WHOLE, Column, build, exactly, handed_out, records
from planner.solve.amounts import Amounts, repeated
from planner.solve.places import Site, domains, sites, spread_domains
from planner.solve.tiers import Tiers
from planner.units import usd_hr

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence
    from decimal import Decimal

    import pandas as pd
    from numpy.typing import NDArray

    from planner.demand.model import Demand, Volume
    from planner.requirements.offer import OfferRequirement

KINDS: tuple[type[OfferRequirement], ...] = (*OF_OFFERS, GroupPlace, OneDisk)
"""What volumes and their groups ask of an offer."""
RULES = {
    "malformed": "its row in the listing has errors",
    "unpriced": "it has no usable price",
    "unavailable": "it is out of stock",
    "unsellable": "it sells no size of at least 1 GB",
    **{rule: meaning for kind in KINDS for rule, meaning in kind.rules},
    "tier": "another size that the same place sells takes fewer disks, or costs less",
    "kept": "an existing disk already holds this volume, or another volume is on this disk",
    "shared": "the disk is shared by other volumes",
}
"""Every rule a pair can break, and what breaking it means."""

BIT = {rule: 1 << index for index, rule in enumerate(RULES)}


@cache
def rules_of(bits: int) -> tuple[str, ...]:
    """Return the rules that bits stand for."""
    return tuple(rule for rule, bit in BIT.items() if bits & bit)


class OfferRules:
    """The rules that offers break; every requirement is held against them once.

    Parameters
    ----------
    offers : DataFrame
        Columns ``ADDRESSABLE``, O rows.

    Attributes
    ----------
    columns : OfferColumns
        What requirements look at.
    """

    def __init__(self, offers: pd.DataFrame) -> None:
        self.columns = OfferColumns(offers)
        self._known: dict[OfferRequirement, NDArray[np.uint32]] = {}
        self._asked: dict[Hashable, tuple[OfferRequirement, ...]] = {}
        self._tiers = Tiers(offers)
        self._facts = (
            _bits("malformed", offers["problem"].notna().to_numpy())
            | _bits("unpriced", offers["usd_gb_hr"].isna().to_numpy())
            | _bits("unavailable", self.columns.stock < 0)
            | _bits("unsellable", ~self.columns.sizes.sells)
        )

    def asked(
        self, volume: Volume, tied: tuple[OfferRequirement, ...] = ()
    ) -> tuple[OfferRequirement, ...]:
        """Return what a volume and its groups ask; the same value where they ask the same."""
        look = asks_alike(volume), tied
        if look not in self._asked:
            self._asked[look] = (*of_offers(volume), *tied)
        return self._asked[look]

    def pairs(
        self,
        needs_gb: Sequence[int],
        asked: Sequence[tuple[OfferRequirement, ...]],
        mounted: Sequence[bool],
        known: dict[Hashable, bytes],
    ) -> tuple[NDArray[np.uint32], Amounts, Amounts]:
        """Return rules broken, disks and GB of V volumes, given what `asked` returned of each.

        Volumes that ask the same of offers and take the same there are held against them once;
        ``known`` keeps their rows from one call to the next.
        """
        needs, rows = np.unique(needs_gb, return_inverse=True)
        offers, columns = self.columns.sizes.grids
        taken = self.columns.sizes.provision(needs[:, np.newaxis], offers)
        disks, gb = (Amounts(_narrow(values), rows, columns) for values in taken)
        seen = np.hstack([disks.distinct, gb.distinct] if self._tiers else [disks.distinct])
        looks = [row.tobytes() for row in seen]
        distinct, number, at = dict[bytes, int](), dict[Any, int](), list[int]()
        for v, (mine, need, each) in enumerate(zip(asked, rows.tolist(), mounted, strict=True)):
            is_mounted = bool(self._tiers) and each
            look = id(mine), looks[need], is_mounted
            if look not in number:
                if look not in known:
                    bits = self.broken_rules(mine, disks[v], gb[v], mounted=is_mounted)
                    known[look] = bits.tobytes()
                number[look] = distinct.setdefault(known[look], len(distinct))
            at.append(number[look])
        rules = np.frombuffer(b"".join(distinct), np.uint32).reshape(len(distinct), len(columns))
        return repeated(rules, np.array(at, np.int64)), disks, gb

    def broken_rules(
        self,
        asked: Iterable[OfferRequirement],
        disks: NDArray[np.int64],
        provision_gb: NDArray[np.int64],
        *,
        mounted: bool = False,
    ) -> NDArray[np.uint32]:
        """Return the rules that a volume breaks at each offer as bits, shape (O,).

        Parameters
        ----------
        asked : iterable of OfferRequirement
            What the volume and its groups ask.
        disks : ndarray of int64, shape (O,)
            Fewest disks that hold it at each offer.
        provision_gb : ndarray of int64, shape (O,)
            Least total size of so many.
        mounted : bool
            Whether a workload mounts it.
        """
        broken, at = self._facts, At(self.columns, disks)
        for requirement in asked:
            bits = self._known.get(requirement)
            if bits is None:
                bits = _bits(requirement.rule, requirement.breaks(at))
            if not requirement.looks_at_disks:
                self._known[requirement] = bits
            broken = broken | bits
        return broken | _bits(
            "tier", self._tiers.beaten(broken == 0, disks, provision_gb, mounted=mounted)
        )


def _narrow(values: NDArray[np.int64]) -> NDArray[Any]:
    """Return whole numbers in half the space where they fit."""
    fits = values.max(initial=0) < 2**31
    return values.astype(np.int32) if fits else values


def _bits(rule: str, mask: NDArray[np.bool_]) -> NDArray[np.uint32]:
    return np.where(mask, np.uint32(BIT[rule]), np.uint32(0))


CANDIDATES = (
    Column("volume", TEXT, "name in the demand"),
    Column("offer_id", TEXT, "short id of the offer"),
    Column("provider", TEXT, "of the offer"),
    Column("data_center", TEXT, "of the offer; null: unknown"),
    Column("disks", WHOLE, "fewest disks that can hold the volume there"),
    Column("provision_gb", WHOLE, "least total size on the offer's grid"),
    Column("usd_gb_hr", AMOUNT, "price"),
    Column("usd_hr", AMOUNT, "hourly cost of one replica"),
    Column("disk_group", EXACT, "volumes that share the disk, of which this is one's part; null"),
)
REJECTIONS = (
    Column("volume", TEXT, "name in the demand"),
    Column("offer_id", TEXT, "short id of the offer"),
    Column("provider", TEXT, "of the offer; null: the row names none"),
    Column("data_center", TEXT, "of the offer; null: unknown"),
    Column("rules", EXACT, "tuple of every rule it breaks, see RULES"),
)


class OfferFacts:
    """What pairs read of their offers, worked out once for all pairs of the same offers.

    Parameters
    ----------
    offers : DataFrame
        Columns ``ADDRESSABLE``, O rows.
    """

    def __init__(self, offers: pd.DataFrame) -> None:
        self.offers = offers
        self._domains: dict[str, list[frozenset[Any]]] = {}
        self._grouped: dict[str, tuple[list[frozenset[Any]], NDArray[np.int64], bool]] = {}
        self._numbered: dict[str, tuple[NDArray[np.int64], NDArray[np.bool_]]] = {}
        self._first: OfferFacts | None = None

    @cached_property
    def rules(self) -> OfferRules:
        """Return the rules that the offers break."""
        return OfferRules(self.offers)

    @cached_property
    def sites(self) -> list[Site]:
        """Return the site of each offer."""
        return sites(self.offers)

    @cached_property
    def prices(self) -> list[Decimal]:
        """Return the price of each offer; None where it has none."""
        return self.offers["usd_gb_hr"].tolist()

    @cached_property
    def float_prices(self) -> NDArray[np.float64]:
        """Return the price of each offer as a float, infinite where it has none, shape (O,)."""
        return np.array([np.inf if usd is None else float(usd) for usd in self.prices])

    @cached_property
    def penalty(self) -> list[int]:
        """Return ``3 - rank`` of each offer's stock."""
        return [3 - STOCK_RANK[stock] for stock in self.offers["stock"]]

    @cached_property
    def tiers(self) -> Tiers:
        """Return the offers whose create key sells other sizes too."""
        return Tiers(self.offers)

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """Return the offers as plain values, None for null."""
        return records(self.offers)

    def repriced(self, prices: Sequence[Decimal | None]) -> OfferFacts:
        """Return the facts of the same offers at other prices."""
        offers = self.offers.assign(usd_gb_hr=np.array([*prices, None], object)[:-1])
        other = OfferFacts(offers)
        other._domains, other._grouped = self._domains, self._grouped
        other._numbered = self._numbered
        other.sites, other.penalty = self.sites, self.penalty
        if not self.tiers:
            other.tiers = self.tiers
        return other

    def domains(self, level: str) -> list[frozenset[Any]]:
        """Return the failure domains of each offer at a level."""
        if level not in self._domains:
            self._domains[level] = [*domains(self.offers, level)]
        return self._domains[level]

    def grouped(self, level: str) -> tuple[list[frozenset[Any]], NDArray[np.int64], bool]:
        """Return what copies may not share, a number for each such set, and whether all are single.

        Of each offer the domains of which copies that are spread over the level may share none.
        """
        if level not in self._grouped:
            every = spread_domains(self.offers, level)
            codes = _numbered(every)
            self._grouped[level] = (every, codes, all(len(place) == 1 for place in every))
        return self._grouped[level]

    def numbered(self, level: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return a number for the domains of each offer at a level, and whether it is in one."""
        if level not in self._numbered:
            every = self.domains(level)
            single = np.array([len(place) == 1 for place in every], np.bool_)
            self._numbered[level] = _numbered(every), single
        return self._numbered[level]

    def first(self, count: int) -> OfferFacts:
        """Return the facts of the first offers."""
        if count == len(self.offers):
            return self
        if self._first is None or len(self._first.offers) != count:
            self._first = OfferFacts(self.offers.iloc[:count])
        return self._first


def _numbered(every: Sequence[frozenset[Any]]) -> NDArray[np.int64]:
    """Return a number for each set of domains, by first appearance."""
    numbers: dict[frozenset[Any], int] = {}
    return np.array([numbers.setdefault(place, len(numbers)) for place in every], np.int64)


@dataclass(frozen=True)
class SharedDisk:
    """A disk that volumes share as directories, where one of the market's offers is.

    Attributes
    ----------
    members : tuple of str
        Volumes, in the demand's order; the first leads.
    offer : int
        The market's offer.
    by_group : bool
        Whether a group wants it everywhere; else it is only where jobs need it.
    """

    members: tuple[str, ...]
    offer: int
    by_group: bool


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
    disks : Amounts, shape (V, O)
        Fewest disks that can hold the volume; meaningless where the offer sells nothing.
    provision_gb : Amounts, shape (V, O)
        Least total size for that many disks, in GB.
    fixed_usd_hr : dict of Decimal
        Hourly cost of offers that are live disks, by number: what is billed.
    mounted : frozenset of str
        Names of the volumes that a workload mounts.
    shared : dict of SharedDisk
        Disks that volumes may share: the last of the offers, by number. Amounts there are a
        volume's share of one disk, which is counted once, for the first of its volumes.
    known : OfferFacts | None
        Facts that other pairs worked out; see `facts`.
    """

    volumes: tuple[Volume, ...]
    offers: pd.DataFrame
    broken: NDArray[np.uint32]
    disks: Amounts
    provision_gb: Amounts
    fixed_usd_hr: dict[int, Decimal] = field(default_factory=dict)
    mounted: frozenset[str] = frozenset()
    shared: dict[int, SharedDisk] = field(default_factory=dict)
    known: OfferFacts | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Take over what is known of these offers, and nothing that is known of others."""
        if self.known is None or self.known.offers is not self.offers:
            object.__setattr__(self, "known", OfferFacts(self.offers))

    @property
    def facts(self) -> OfferFacts:
        """Return what is known of the offers."""
        return cast("OfferFacts", self.known)

    def usd_hr(self, volume: int, offer: int) -> Decimal:
        """Return the exact hourly cost of one replica of a candidate."""
        if offer in self.fixed_usd_hr:
            return self.fixed_usd_hr[offer]
        return usd_hr(int(self.provision_gb[volume, offer]), self._prices[offer])

    def usd_hr_at(self, volume: int, offers: Sequence[int]) -> list[Decimal]:
        """Return the exact hourly costs of a replica of a volume at candidates."""
        gb, prices = self.provision_gb[volume, np.array(offers, np.int64)].tolist(), self._prices
        fixed = self.fixed_usd_hr
        return [
            fixed[o] if o in fixed else usd_hr(size, prices[o])
            for size, o in zip(gb, offers, strict=True)
        ]

    def rules_at(self, volume: int) -> NDArray[np.uint32]:
        """Return the rules that a volume breaks at offers, on its own disk or a shared one."""
        bits = self.broken[volume, : self.own].copy()
        bits[[disk.offer for o, disk in self.shared.items() if not self.broken[volume, o]]] = 0
        return bits

    def usd_gb_hr(self, offer: int) -> Decimal:
        """Return the price of an offer."""
        return self._prices[offer]

    def base(self, offer: int) -> int:
        """Return the offer of which a shared disk is bought; any other offer is its own."""
        return self.shared[offer].offer if offer in self.shared else offer

    def alike(self, offer: int) -> list[int]:
        """Return the offer of a disk of one's own, and the shared disks that are bought there."""
        return [offer, *self._shared_at[offer]]

    def broken_at(self, offer: int) -> NDArray[np.uint32]:
        """Return the rules that volumes break at an offer, alone or sharing a disk, shape (V,)."""
        is_possible = (self.broken[:, self.alike(offer)] == 0).any(axis=1)
        return np.where(is_possible, np.uint32(0), self.broken[:, offer])

    @cached_property
    def _shared_at(self) -> dict[int, list[int]]:
        at = defaultdict[int, list[int]](list)
        for o, disk in self.shared.items():
            at[disk.offer].append(o)
        return at

    def disk_gb(self, offer: int) -> int:
        """Return the size of a disk that volumes share: the sum of their shares."""
        return int(self.provision_gb[:, offer].sum())

    def disk(self, volume: int, offer: int) -> Hashable:
        """Return what is equal for volumes that share a disk there, and different for others."""
        if offer in self.shared:
            return offer
        if offer in self.fixed_usd_hr:
            return self.offers["offer_id"].iat[offer]
        return volume, offer

    @property
    def sold(self) -> int:
        """Return how many offers the market has: first they, then live disks, then shared ones."""
        return self.own - len(self.fixed_usd_hr)

    @property
    def _prices(self) -> list[Decimal]:
        return self.facts.prices

    @property
    def own(self) -> int:
        """Return how many offers are for disks of one's own: they come before the shared ones."""
        return len(self.offers) - len(self.shared)

    def candidates(self, *, exact: bool = False) -> pd.DataFrame:
        """Return the admissible pairs (``CANDIDATES``, ``usd_month``), by volume and create key."""
        rows = []
        for volume, offer in np.argwhere(self.broken == 0).tolist():
            row = self._pair(volume, offer)
            row["disks"] = int(self.disks[volume, offer])
            row["provision_gb"] = int(self.provision_gb[volume, offer])
            row["usd_gb_hr"] = self._prices[offer]
            row["usd_hr"] = self.usd_hr(volume, offer)
            row["disk_group"] = self.shared[offer].members if offer in self.shared else None
            rows.append(row)
        return handed_out(build(rows, CANDIDATES), exact=exact)

    def rejections(self) -> pd.DataFrame:
        """Return the other pairs (columns ``REJECTIONS``), by volume and create key."""
        rows = []
        for volume, offer in np.argwhere(self.broken[:, : self.own] != 0).tolist():
            row = self._pair(volume, offer)
            row["rules"] = rules_of(int(self.broken[volume, offer]))
            rows.append(row)
        return build(rows, REJECTIONS)

    def __repr__(self) -> str:
        volumes, offers = self.broken.shape
        admissible = int(np.count_nonzero(self.broken == 0))
        return f"<Pairs: {volumes} volumes x {offers} offers, {admissible} of them candidates>"

    def _repr_html_(self) -> str:
        columns = (
            TableColumn("volume", "volume"),
            TableColumn("candidates", "candidates", "count"),
            TableColumn("rejections", "rejections", "count"),
            TableColumn("rules", "rules broken (offers)"),
        )
        rows = tuple((volume.name, *self._counts(v)) for v, volume in enumerate(self.volumes))
        return to_html([Section("pairs", columns=columns, rows=rows, noun="volume")])

    def _counts(self, volume: int) -> tuple[int, int, str]:
        """Return how many offers are candidates, how many not, and which rules keep them out."""
        broken = self.broken[volume, : self.own]
        admissible = int(np.count_nonzero(broken == 0))
        fallen = {rule: int(np.count_nonzero(broken & bit)) for rule, bit in BIT.items()}
        most = sorted((-count, rule) for rule, count in fallen.items() if count)
        rules = ", ".join(f"{rule} ({-count:,})" for count, rule in most)
        return admissible, len(broken) - admissible, rules

    def _pair(self, volume: int, offer: int) -> dict[str, Any]:
        named = ("offer_id", "provider", "data_center")
        return {
            "volume": self.volumes[volume].name,
            **{name: self.offers[name].iat[offer] for name in named},
        }


def pair(demand: Demand, offers: pd.DataFrame | OfferFacts) -> Pairs:
    """Hold every volume against every offer.

    Parameters
    ----------
    demand : Demand
        V volumes.
    offers : DataFrame or OfferFacts
        Columns ``ADDRESSABLE``, O rows; or what is known of them.
    """
    needs = [[volume.need_gb for volume in demand.volumes]]
    return _pairs(demand, offers, needs, group_places(demand))[0]


def monthly_pairs(
    demand: Demand, offers: pd.DataFrame, tied: Mapping[str, tuple[OfferRequirement, ...]]
) -> list[Pairs]:
    """Hold every volume against every offer, at what it needs at the end of each month.

    The volumes are as the demand has them.

    Parameters
    ----------
    demand : Demand
        V volumes, and a horizon.
    offers : DataFrame
        Columns ``ADDRESSABLE``, O rows.
    tied : mapping
        What volumes ask of offers beside their own fields, by name.
    """
    months = range(demand.policy.months)
    needs = [[each.need_at(month) for each in demand.volumes] for month in months]
    return _pairs(demand, offers, needs, tied)


def _pairs(
    demand: Demand,
    offers: pd.DataFrame | OfferFacts,
    needs_gb: Sequence[Sequence[int]],
    tied: Mapping[str, tuple[OfferRequirement, ...]],
) -> list[Pairs]:
    """Return the pairs at each of several sizes of the volumes."""
    facts = offers
    if not isinstance(facts, OfferFacts):
        facts = OfferFacts(exactly(facts, ADDRESSABLE, what="offers"))
    market = facts.rules
    names = frozenset(name for workload in demand.workloads for name in workload.mounts)
    mounted = [volume.name in names for volume in demand.volumes]
    known: dict[Hashable, bytes] = {}
    asked = [market.asked(each, tied.get(each.name, ())) for each in demand.volumes]
    return [
        Pairs(
            demand.volumes,
            facts.offers,
            *market.pairs(needs, asked, mounted, known),
            mounted=names,
            known=facts,
        )
        for needs in needs_gb
    ]


def tiered(pairs: Pairs) -> Pairs:
    """Return the pairs with each volume's choice among the sizes of a create key made again."""
    market = pairs.sold
    tiers = pairs.facts.first(market).tiers
    if not tiers:
        return pairs
    bit = np.uint32(BIT["tier"])
    broken = pairs.broken & ~bit
    for v, row in enumerate(broken[:, :market]):
        amounts = pairs.disks[v, :market], pairs.provision_gb[v, :market]
        mounted = pairs.volumes[v].name in pairs.mounted
        row[tiers.beaten(row == 0, *amounts, mounted=mounted)] |= bit
    return replace(pairs, broken=broken)
