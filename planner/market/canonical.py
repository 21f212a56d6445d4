"""The market and the account as one value: checked once, trusted from there on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from planner.formats import digest_of
from planner.market.disks import ACCOUNT_FACTS, DISKS, disk_records
from planner.market.gpus import FACTS, GPUS, gpu_records
from planner.market.market import ADDRESSABLE, as_sold
from planner.market.offers import MARKET, OFFERS, offer_records
from planner.schema import build, json_rows, stored

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from planner.schema import Column

    Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Market:
    """Offers, GPU offers and the account's disks, in canonical form.

    Equal markets are equal values, in whatever order they were listed. Each input is held against
    its declaration once, here; records, frames and digests are made when first asked for.

    Attributes
    ----------
    offer_rows, gpu_rows, disk_rows : tuple of dict
        Canonical JSON rows, amounts as text: what a plan file keeps and its digests cover.
    """

    offer_rows: tuple[Mapping[str, Any], ...]
    gpu_rows: tuple[Mapping[str, Any], ...] = ()
    disk_rows: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def of(
        cls,
        offers: pd.DataFrame,
        gpus: pd.DataFrame | None = None,
        disks: pd.DataFrame | None = None,
    ) -> Self:
        """Return the market of frames as they were read.

        Parameters
        ----------
        offers : DataFrame
            Columns ``OFFERS``.
        gpus : DataFrame | None
            Columns ``GPUS``.
        disks : DataFrame | None
            Columns ``DISKS``.

        Raises
        ------
        FrameError
            When a frame lacks a declared column, or holds what no listing gives.
        """
        listed = {
            "offer_records": offer_records(offers),
            "gpu_records": [] if gpus is None else gpu_records(gpus),
            "disk_records": [] if disks is None else disk_records(disks),
        }
        market = cls(
            tuple(json_rows(listed["offer_records"], MARKET)),
            tuple(json_rows(listed["gpu_records"], FACTS)),
            tuple(json_rows(listed["disk_records"], ACCOUNT_FACTS)),
        )
        vars(market).update(listed)  # as `offer_records` and the others would read them again
        return market

    def to_document(self) -> dict[str, list[Mapping[str, Any]]]:
        """Return the rows as a plan file has them."""
        return {
            "offers": list(self.offer_rows),
            "gpus": list(self.gpu_rows),
            "disks": list(self.disk_rows),
        }

    @cached_property
    def digests(self) -> dict[str, tuple[str, int]]:
        """Return the digest and the number of rows of each part, as of `to_document`."""
        return {name: (digest_of(rows), len(rows)) for name, rows in self.to_document().items()}

    @cached_property
    def offer_records(self) -> list[dict[str, Any]]:
        """Return the disk offers (keys ``OFFERS``); ``row`` is the place in what was read."""
        return offer_records(stored(self.offer_rows, OFFERS, MARKET))

    @cached_property
    def gpu_records(self) -> list[dict[str, Any]]:
        """Return the GPU offers (keys ``GPUS``); ``row`` is the place in what was read."""
        return gpu_records(stored(self.gpu_rows, GPUS, FACTS))

    @cached_property
    def disk_records(self) -> list[dict[str, Any]]:
        """Return the account's disks (keys ``DISKS``)."""
        return disk_records(stored(self.disk_rows, DISKS, ACCOUNT_FACTS))

    @cached_property
    def sold(self) -> list[dict[str, Any]]:
        """Return the disk offers as they can be bought (keys ``ADDRESSABLE``)."""
        return as_sold(self.offer_records)

    @cached_property
    def offers(self) -> pd.DataFrame:
        """Return the disk offers (columns ``OFFERS``)."""
        return _frame(self.offer_records, OFFERS)

    @cached_property
    def addressable(self) -> pd.DataFrame:
        """Return the disk offers as they can be bought (columns ``ADDRESSABLE``)."""
        return build(self.sold, ADDRESSABLE)

    @cached_property
    def gpus(self) -> pd.DataFrame:
        """Return the GPU offers (columns ``GPUS``)."""
        return _frame(self.gpu_records, GPUS)

    @cached_property
    def disks(self) -> pd.DataFrame:
        """Return the account's disks (columns ``DISKS``)."""
        return build(self.disk_records, DISKS)

    def written_otherwise(self) -> tuple[str, ...]:
        """Return the parts whose rows hold a value in another form than planner writes.

        Columns that only one side has, and the order of rows, are those of another version.
        """
        forms = (
            ("offers", self.offer_rows, json_rows(self.offer_records, MARKET)),
            ("gpus", self.gpu_rows, json_rows(self.gpu_records, FACTS)),
            ("disks", self.disk_rows, json_rows(self.disk_records, ACCOUNT_FACTS)),
        )
        return tuple(name for name, stored, canonical in forms if _differ(stored, canonical))


def _frame(listed: Iterable[Mapping[str, Any]], columns: Sequence[Column]) -> pd.DataFrame:
    """Return rows as a frame, numbered as they stand here: the listing's order does not show."""
    return build([{**row, "row": place} for place, row in enumerate(listed, 1)], columns)


def _differ(stored: Rows, canonical: Rows) -> bool:
    known = canonical[0].keys() if canonical else ()
    written = {column for row in stored for column in row if column in known}
    left, right = (
        sorted(digest_of({k: v for k, v in row.items() if k in written}) for row in rows)
        for rows in (stored, canonical)
    )
    return left != right
