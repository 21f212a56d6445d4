"""What is asked of an offer, wherever else disks are: place, kind of cloud, stock, price, disks.

What an offer does not list satisfies no requirement. Workloads ask some of the same of GPU offers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from planner.demand.fields import MAX_DISKS
from planner.market.offers import Sizes
from planner.market.places import LEVELS, PLACES
from planner.market.wire import STOCK_RANK
from planner.requirements.field import (
    FieldRequirement,
    FieldValue,
    Subject,
    levels_down,
    value_of,
)
from planner.schema import records
from planner.text import visible
from planner.units import plain, quotient

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from decimal import Decimal
    from typing import Self

    import pandas as pd
    from numpy.typing import NDArray

    from planner.requirements.base import ProblemView

Moves = tuple[tuple[str, FieldValue], ...]
"""Actions and values of the steps that relax one field, see `planner.requirements.field.Step`."""
Names = tuple[str | None, ...]
"""Places of one level, None for one that is unknown."""


class OfferColumns:
    """The offers of a market, read once: as arrays of O offers and as rows.

    Parameters
    ----------
    offers : DataFrame
        Columns ``ADDRESSABLE`` or ``GPUS``, O rows.
    """

    def __init__(self, offers: pd.DataFrame) -> None:
        self._offers = offers
        self._columns: dict[str, pd.Series[Any]] = {}

    def column(self, name: str) -> pd.Series[Any]:
        """Return a column that is read hundreds of times; pandas makes a new one each time."""
        if name not in self._columns:
            self._columns[name] = self._offers[name]
        return self._columns[name]

    @cached_property
    def sizes(self) -> Sizes:
        """Return what disk offers sell."""
        return Sizes(self._offers)

    @cached_property
    def stock(self) -> NDArray[np.int64]:
        """Return the rank of each offer's stock."""
        return np.array([STOCK_RANK[level] for level in self.column("stock")], dtype=np.int64)

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """Return the offers as plain values, None for null."""
        return records(self._offers)

    def names(self, level: str, offer: int) -> Names:
        """Return the places of an offer at a level: a disk offer can be in several regions."""
        row = self.rows[offer]
        several: Names | None = row.get("regions") if level == "region" else None
        return several or (row[level],)

    def inside(self, level: str, names: Names, *, every: bool) -> NDArray[np.bool_]:
        """Return the offers of which every, or any, place at a level is among the names."""
        if level != "region" or "regions" not in self._offers:
            column = self.column(level)
            return (column.isna() if names == (None,) else column.isin(names)).to_numpy(bool)
        test = all if every else any
        is_inside = [test(name in names for name in regions) for regions in self.column("regions")]
        return np.array(is_inside, dtype=bool)


@dataclass(frozen=True)
class At:
    """The offers as one volume sees them.

    Attributes
    ----------
    disks : ndarray of int64, shape (O,)
        Fewest disks that hold the volume at each; empty for GPU offers.
    """

    offers: OfferColumns
    disks: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))


@dataclass(frozen=True)
class LiveReplica:
    """What the account lists of the disks that are one replica.

    Attributes
    ----------
    disks, size_gb : int
        How many there are, and their size together.
    multinode : bool | None
        Whether several nodes can mount all of them; None where unknown.
    group : tuple of str
        The volumes that share them; empty where they hold one.
    """

    disks: int
    size_gb: int
    usd_hr: Decimal
    multinode: bool | None
    places: Mapping[str, Names]
    group: tuple[str, ...] = ()


@dataclass(frozen=True)
class OfferRequirement(FieldRequirement, ABC):
    """One thing that is asked of an offer.

    Those of several volumes are equal where they ask the same.

    Attributes
    ----------
    level : str | None
        Level of the places that it names; None where it names none.
    """

    level: str | None = None
    rules: ClassVar[Sequence[tuple[str, str]]]
    """Each rule that offers can break, and what breaking it means."""
    wrong: ClassVar[str]
    """What is wrong with an offer that breaks it, as a template."""
    is_listed: ClassVar[bool] = True
    """Whether the account lists of a live disk what it asks."""
    looks_at_disks: ClassVar[bool] = False
    """Whether it looks at how many disks a volume needs."""

    @property
    def rule(self) -> str:
        """Return the rule that offers break."""
        return self.rules[0][0]

    @property
    def reason(self) -> str:
        """Return what is wrong with an offer that breaks it."""
        return self.wrong.format(value=self.shown, place=LEVELS.get(str(self.level)))

    @abstractmethod
    def breaks(self, at: At) -> NDArray[np.bool_]:
        """Return the offers that break it, shape (O,)."""

    def moves(self, at: At, offer: int) -> Moves | None:
        """Return how it is relaxed for an offer that breaks it; None where it cannot be."""
        del at, offer
        return (("open", None),) if self.is_limit else (("set", self.without),)

    def broken_by(self, live: LiveReplica) -> Iterator[str]:
        """Yield how live disks break it; what the account does not list breaks nothing."""
        del live
        yield from ()


class PlaceList(OfferRequirement):
    """A list of places at one level."""

    levels: ClassVar[Sequence[str]] = tuple(PLACES)
    """For each field its level."""

    @classmethod
    def of(cls, subject: Subject) -> Iterator[Self]:
        """Yield the list of each level that has one."""
        for level, name in zip(cls.levels, cls.fields, strict=True):
            value = value_of(subject, name)
            if value != cls.without:
                yield cls(value, level)

    @property
    def field(self) -> str:
        """Return the list of its level."""
        return self.fields[self.levels.index(str(self.level))]

    @classmethod
    def changed(cls, field: str, old: FieldValue, new: FieldValue) -> str:
        """Return the places by which two lists differ."""
        word, values = field.removeprefix("exclude."), sorted({*old} ^ {*new})
        level = next(level for level, plural in PLACES.items() if plural == word)
        which = LEVELS[level] if len(values) == 1 else word.replace("_centers", " centres")
        return cls.change.format(places=f"{which} {', '.join(map(visible, values))}")

    def broken_by(self, live: LiveReplica) -> Iterator[str]:
        """Yield the places that the list rules out."""
        level = str(self.level)
        for name in live.places[level]:
            if why := self._rules_out(name):
                yield f"is at {level.replace('_', ' ')} {name}, {why}"

    @abstractmethod
    def _rules_out(self, name: str | None) -> str:
        """Return why a place is not one to be at; empty where it is."""


_FEW = 3
"""Places of an allow-list that are named; more are called the allow-list."""


class AllowedPlaces(PlaceList):
    """The only places allowed at one level."""

    rules = tuple(
        (level, f"its {LEVELS[level]} is not in the allow-list" + ", or unknown" * (n > 0))
        for n, level in enumerate(PLACES)
    )
    fields = tuple(PLACES.values())
    without = None
    instead = "all allowed"
    change = "allow {places}"

    @property
    def rule(self) -> str:
        """Return the rule of its level."""
        return str(self.level)

    @property
    def reason(self) -> str:
        """Return what the place is not."""
        *rest, last = map(visible, self.value)
        names = f"{', '.join(rest)} or {last}" if rest else last
        names = names if len(self.value) <= _FEW else "in the allow-list"
        return f"{LEVELS[str(self.level)]} is not {names}, or unknown"

    def breaks(self, at: At) -> NDArray[np.bool_]:
        """Return the offers of which some place is not in the list."""
        return ~at.offers.inside(str(self.level), self.value, every=True)

    def moves(self, at: At, offer: int) -> Moves | None:
        """Return the places to add; an unknown one cannot be."""
        missing = {*at.offers.names(str(self.level), offer)} - {*self.value}
        return None if None in missing else tuple(("add", name) for name in missing)

    @classmethod
    def relaxed_value(cls, old: FieldValue, values: Sequence[FieldValue]) -> FieldValue:
        """Return the list with more places."""
        return tuple(sorted({*(old or ()), *values}))

    def _rules_out(self, name: str | None) -> str:
        is_inside = name is None or name in self.value
        return "" if is_inside else f"and {self.field} are {', '.join(self.value)}"


class ExcludedPlaces(PlaceList):
    """Places that are not allowed at one level."""

    rules = tuple((f"excluded_{level}", f"its {LEVELS[level]} is excluded") for level in PLACES)
    fields = tuple(f"exclude.{word}" for word in PLACES.values())
    without = ()
    instead = "none excluded"
    wrong = "{place} is excluded"
    change = "stop excluding {places}"

    @property
    def rule(self) -> str:
        """Return the rule of its level."""
        return f"excluded_{self.level}"

    def breaks(self, at: At) -> NDArray[np.bool_]:
        """Return the offers of which some place is in the list."""
        return at.offers.inside(str(self.level), self.value, every=False)

    def moves(self, at: At, offer: int) -> Moves:
        """Return the places to take from the list."""
        taken = {*at.offers.names(str(self.level), offer)} & {*self.value}
        return tuple(("take", name) for name in taken)

    @classmethod
    def relaxed_value(cls, old: FieldValue, values: Sequence[FieldValue]) -> FieldValue:
        """Return the list with fewer places."""
        return tuple(name for name in old if name not in values)

    def _rules_out(self, name: str | None) -> str:
        return "which is excluded" if name in self.value else ""


class ExactValue(OfferRequirement):
    """A value that offers must have."""

    column: ClassVar[str]
    """Column of the offers that holds it."""

    @property
    def accepted(self) -> FieldValue:
        """Return the value of the column that is asked."""
        return self.value

    def breaks(self, at: At) -> NDArray[np.bool_]:
        """Return the offers with another value, or none."""
        return ~at.offers.column(self.column).isin((self.accepted,)).to_numpy(bool)


class SecurityClass(ExactValue):
    """The kind of cloud."""

    rules = (("security", "its security class is not the one asked for, or unknown"),)
    fields = ("security",)
    column = "security"
    without = instead = "any"
    wrong = "security is not {value}, or unknown"
    change = "accept any security"
    is_listed = False


STOCKS = (None, "Low", "Medium", "Available")
"""Levels of stock that a volume can ask for, weakest first; High is the same as Available."""


def stocks_below(stock: str | None) -> tuple[str | None, ...]:
    """Return the levels of stock below one, the nearest first; None accepts all but Unavailable."""
    rank = STOCKS.index("Available" if stock == "High" else stock)
    return tuple(reversed(STOCKS[:rank]))


class StockLevel(OfferRequirement):
    """The weakest acceptable level of stock."""

    rules = (("stock", "its stock is below the level asked for, or unknown"),)
    fields = ("stock",)
    without = None
    instead = "any but Unavailable"
    wrong = "stock is below {value}, or unknown"
    is_listed = False

    def breaks(self, at: At) -> NDArray[np.bool_]:
        """Return the offers with a lower level."""
        return np.less(at.offers.stock, STOCK_RANK[self.value]).astype(np.bool_)

    def moves(self, at: At, offer: int) -> Moves:
        """Return each level down to the offer's own."""
        below = stocks_below(self.value)
        down = [level is None or at.offers.stock[offer] >= STOCK_RANK[level] for level in below]
        return tuple(("lower", n) for n in range(1, down.index(True) + 2))

    @classmethod
    def relaxed_value(cls, old: FieldValue, values: Sequence[FieldValue]) -> FieldValue:
        """Return the level so many levels down."""
        return (old, *stocks_below(old))[levels_down(values)]

    @classmethod
    def changed(cls, field: str, old: FieldValue, new: FieldValue) -> str:
        """Return which level is accepted."""
        del field
        return f"accept {f'stock {new}' if new else 'unknown stock'} instead of {old}"


class Multinode(OfferRequirement):
    """Disks that several nodes can mount at once."""

    rules = (("multinode", "it is not multi-node, or unknown"),)
    fields = ("multinode",)
    without = False
    instead = "not needed"
    wrong = "not multi-node, or unknown"
    change = "drop `multinode`"

    def breaks(self, at: At) -> NDArray[np.bool_]:
        """Return the offers that are not multi-node, or do not list it."""
        return ~at.offers.column("multinode").fillna(value=False).to_numpy(np.bool_)

    def broken_by(self, live: LiveReplica) -> Iterator[str]:
        """Yield that disks are not multi-node: also where the account does not list it."""
        if live.multinode is not True:
            yield "is not multi-node" + ", or unknown" * (live.multinode is None)


class OfferLimit(OfferRequirement):
    """The most that an offer may have of something."""

    is_limit = True

    @classmethod
    @abstractmethod
    def measure(cls, view: ProblemView, volume: int, offer: int) -> Any:  # noqa: ANN401 -- the limit's
        """Return the least limit with which a volume may be at an offer."""


class PriceLimit(OfferLimit):
    """The highest acceptable price per GB and hour."""

    rules = (("max_usd_gb_hr", "it costs more than max_usd_gb_hr"),)
    fields = ("max_usd_gb_hr",)
    without = None
    instead = "any price"
    wrong = "costs more than ${value} per GB and hour"

    def breaks(self, at: At) -> NDArray[np.bool_]:
        """Return the offers that are dearer."""
        prices = at.offers.column("usd_gb_hr")
        return np.array([price is not None and price > self.value for price in prices], np.bool_)

    @classmethod
    def measure(cls, view: ProblemView, volume: int, offer: int) -> Decimal | None:
        """Return the price."""
        del volume
        return view.usd_gb_hr(offer)

    def broken_by(self, live: LiveReplica) -> Iterator[str]:
        """Yield that disks are billed at more."""
        if live.usd_hr > self.value * live.size_gb:
            price = plain(quotient(live.usd_hr, live.size_gb))
            limit = f"{self.field} is {plain(self.value)}"
            yield f"costs {price} USD per GB and hour, and {limit}"


class DiskLimit(OfferLimit):
    """The most disks of one offer that may hold a replica together."""

    rules = (("max_disks", "it needs more disks than max_disks allows"),)
    fields = ("max_disks",)
    without = MAX_DISKS
    instead = f"up to {MAX_DISKS}"
    looks_at_disks = True

    @classmethod
    def of(cls, subject: Subject) -> Iterator[Self]:
        """Yield the limit; there always is one."""
        yield cls(subject.max_disks)

    @property
    def reason(self) -> str:
        """Return that more disks are needed."""
        most = "one disk" if self.value == 1 else f"{self.value} disks"
        return f"needs more than {most} ({self.text})"

    def breaks(self, at: At) -> NDArray[np.bool_]:
        """Return the offers of which more disks are needed."""
        return np.asarray(at.offers.sizes.sells & (at.disks > self.value), np.bool_)

    def moves(self, at: At, offer: int) -> Moves | None:
        """Return that the limit is raised, as far as a demand can say it."""
        return super().moves(at, offer) if at.disks[offer] <= MAX_DISKS else None

    @classmethod
    def measure(cls, view: ProblemView, volume: int, offer: int) -> int:
        """Return how many disks are needed."""
        return view.disks(volume, offer)

    def broken_by(self, live: LiveReplica) -> Iterator[str]:
        """Yield that there are more disks."""
        if live.disks > self.value:
            yield f"are {live.disks} disks, and {self.field} is {self.value}"
