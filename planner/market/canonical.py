"""The market and the account as one value: checked once, trusted from there on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from planner.formats import digest_of
from planner.market.disks import disk_rows, disks_from_rows
from planner.market.gpus import gpu_rows, gpus_from_rows
from planner.market.market import addressable
from planner.market.offers import market_rows, offers_from_market

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Market:
    """Offers, GPU offers and the account's disks, in canonical form.

    Equal markets are equal values, in whatever order they were listed. Frames and digests are made
    when first asked for, each once.

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
        return cls(
            tuple(market_rows(offers)),
            () if gpus is None else tuple(gpu_rows(gpus)),
            () if disks is None else tuple(disk_rows(disks)),
        )

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
    def offers(self) -> pd.DataFrame:
        """Return the disk offers (columns ``OFFERS``)."""
        return offers_from_market(self.offer_rows)

    @cached_property
    def addressable(self) -> pd.DataFrame:
        """Return the disk offers as they can be bought (columns ``ADDRESSABLE``)."""
        return addressable(self.offers)

    @cached_property
    def gpus(self) -> pd.DataFrame:
        """Return the GPU offers (columns ``GPUS``)."""
        return gpus_from_rows(self.gpu_rows)

    @cached_property
    def disks(self) -> pd.DataFrame:
        """Return the account's disks (columns ``DISKS``)."""
        return disks_from_rows(self.disk_rows)

    def written_otherwise(self) -> tuple[str, ...]:
        """Return the parts whose rows hold a value in another form than planner writes.

        Columns that only one side has, and the order of rows, are those of another version.
        """
        forms = (
            ("offers", self.offer_rows, market_rows(self.offers)),
            ("gpus", self.gpu_rows, gpu_rows(self.gpus)),
            ("disks", self.disk_rows, disk_rows(self.disks)),
        )
        return tuple(name for name, stored, canonical in forms if _differ(stored, canonical))


def _differ(stored: Rows, canonical: Rows) -> bool:
    known = canonical[0].keys() if canonical else ()
    written = {column for row in stored for column in row if column in known}
    left, right = (
        sorted(digest_of({k: v for k, v in row.items() if k in written}) for row in rows)
        for rows in (stored, canonical)
    )
    return left != right
