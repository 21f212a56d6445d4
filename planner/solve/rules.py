"""The rules that a pair of volume and offer can break, asked of all offers at once.

One bit stands for one rule, so that a pair keeps every rule that it breaks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from planner.market.sizes import Sizes
from planner.market.wire import STOCK_RANK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from planner.demand import Volume

RULES = {
    "malformed": "the row cannot be believed",
    "unpriced": "it has no usable price",
    "unavailable": "it is out of stock",
    "unsellable": "it sells no size of at least 1 GB",
    "stock": "its stock is below the level asked for, or unknown",
    "security": "its security class is not the one asked for, or unknown",
    "multinode": "several nodes cannot mount it, or nobody says",
    "provider": "its provider is not in the allow-list",
    "data_center": "its data centre is not in the allow-list, or unknown",
    "country": "its country is not in the allow-list, or unknown",
    "region": "its region is not in the allow-list, or unknown",
    "excluded_provider": "its provider is excluded",
    "excluded_data_center": "its data centre is excluded",
    "excluded_country": "its country is excluded",
    "excluded_region": "its region is excluded",
    "max_usd_gb_hr": "it costs more than max_usd_gb_hr",
    "max_disks": "it needs more disks than max_disks allows",
    "spread": "copies must differ by a place that it does not tell",
    "group": "a group looks at a place that it does not tell",
    "kept": "a live disk already is this volume, or it is a live disk that is another one",
}
"""Every rule a pair can break, and what breaking it means."""

BIT = {rule: 1 << index for index, rule in enumerate(RULES)}
PLACES = {
    "provider": "providers",
    "data_center": "data_centers",
    "country": "countries",
    "region": "regions",
}
"""A level that an allow-list or an exclusion speaks of, and the demand's word for the list."""
MAY_BE_UNKNOWN = frozenset({"country", "region"})
"""Levels at which a null is no place: a null data centre is one of its own at its site."""


def rules_of(bits: int) -> tuple[str, ...]:
    """Return the rules that bits stand for."""
    return tuple(rule for rule, bit in BIT.items() if bits & bit)


class Market:
    """The offers as arrays; every question a volume can ask is answered once.

    Parameters
    ----------
    offers : DataFrame
        Columns ``ADDRESSABLE``, O rows.

    Attributes
    ----------
    sizes : Sizes
        What each offer sells.
    """

    def __init__(self, offers: pd.DataFrame) -> None:
        self.sizes = Sizes(offers)
        self._offers = offers
        self._columns: dict[str, pd.Series[Any]] = {}
        self._rank = np.array([STOCK_RANK[level] for level in offers["stock"]], dtype=np.int64)
        self._known: dict[tuple[str, Any], NDArray[np.bool_]] = {}
        self._facts = (
            _bits("malformed", offers["problem"].notna().to_numpy())
            | _bits("unpriced", offers["usd_gb_hr"].isna().to_numpy())
            | _bits("unavailable", self._rank < 0)
            | _bits("unsellable", ~self.sizes.sells)
        )

    def broken_rules(
        self, volume: Volume, disks: NDArray[np.int64], levels: Iterable[str] = ()
    ) -> NDArray[np.uint32]:
        """Return the rules that a volume breaks at each offer as bits, shape (O,).

        Parameters
        ----------
        volume : Volume
            What asks.
        disks : ndarray of int64, shape (O,)
            Fewest disks that hold it at each offer.
        levels : iterable of str
            Levels that its groups look at.
        """
        broken = self._facts | _bits("max_disks", self.sizes.sells & (disks > volume.max_disks))
        looked_at = (("group", level) for level in levels if level in MAY_BE_UNKNOWN)
        for rule, value in (*_wishes(volume), *looked_at):
            if (rule, value) not in self._known:
                self._known[rule, value] = self._breaks(rule, value)
            broken = broken | _bits(rule, self._known[rule, value])
        return broken

    def _breaks(self, rule: str, value: Any) -> NDArray[np.bool_]:  # noqa: ANN401 -- the wish's own
        """Return the offers that break one rule for one value of the wish."""
        offers = self._offers
        if rule == "stock":
            return np.less(self._rank, STOCK_RANK[value]).astype(np.bool_)
        if rule == "security":
            return np.asarray(offers["security"].fillna("") != value, dtype=np.bool_)
        if rule == "multinode":
            return ~offers["multinode"].fillna(value=False).to_numpy(np.bool_)
        if rule == "max_usd_gb_hr":
            dear = [price is not None and price > value for price in offers["usd_gb_hr"]]
            return np.array(dear, dtype=np.bool_)
        if rule in PLACES:
            return ~self._inside(rule, value, every=True)
        level, names = (
            (value, (None,)) if rule in {"spread", "group"} else (rule[len("excluded_") :], value)
        )
        return self._inside(level, names, every=False)

    def _inside(self, level: str, names: Sequence[str | None], *, every: bool) -> NDArray[np.bool_]:
        """Return the offers of which every, or any, place at a level is among the names."""
        if level != "region":
            column = self._column(level)
            return (column.isna() if names == (None,) else column.isin(names)).to_numpy(bool)
        test = all if every else any
        found = [test(name in names for name in regions) for regions in self._column("regions")]
        return np.array(found, dtype=bool)

    def _column(self, name: str) -> pd.Series[Any]:
        """Return a column that is asked for hundreds of times; pandas makes it anew each time."""
        if name not in self._columns:
            self._columns[name] = self._offers[name]
        return self._columns[name]


def _wishes(volume: Volume) -> Iterator[tuple[str, Any]]:
    """Yield the rules that a volume's own wishes add, with the value of the wish."""
    if volume.stock is not None:
        yield "stock", volume.stock
    if volume.security != "any":
        yield "security", volume.security
    if volume.multinode:
        yield "multinode", True
    if volume.max_usd_gb_hr is not None:
        yield "max_usd_gb_hr", volume.max_usd_gb_hr
    if volume.replicas > 1 and volume.spread in MAY_BE_UNKNOWN:
        yield "spread", volume.spread
    for level, word in PLACES.items():
        if (allowed := getattr(volume, word)) is not None:
            yield level, allowed
        if excluded := getattr(volume.exclude, word):
            yield f"excluded_{level}", excluded


def _bits(rule: str, mask: NDArray[np.bool_]) -> NDArray[np.uint32]:
    return np.where(mask, np.uint32(BIT[rule]), np.uint32(0))
