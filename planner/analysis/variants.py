"""A demand and a market, and what a sweep changes about them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd
from pydantic import ValidationError

from planner.analysis.grid import NAMED, written
from planner.demand.fields import cut
from planner.demand.model import Demand
from planner.demand.problems import plain_problems
from planner.errors import InputError
from planner.market.market import addressable
from planner.market.wire import is_price
from planner.schema import records
from planner.units import MAX_PRICE_DIGITS, plain
from planner.units import product as multiplied

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import BaseModel

    from planner.analysis.grid import Axis

Point = tuple[int, ...]
"""For each axis the number of one of its values."""
Setting = tuple["Axis", Any]
"""An axis with one of its settings."""


@dataclass(frozen=True)
class Variants:
    """A demand and a market, and what is changed about them.

    Attributes
    ----------
    demand : Demand
        What is asked.
    offers : DataFrame
        Columns ``OFFERS``.
    gpus : DataFrame | None
        Columns ``GPUS``.
    axes : tuple of Axis
        What is changed.
    """

    demand: Demand
    offers: pd.DataFrame
    gpus: pd.DataFrame | None
    axes: tuple[Axis, ...]

    def text(self, point: Point) -> str:
        """Return a point in words; empty where there are no axes."""
        pairs = zip(self.axes, point, strict=True)
        return ", ".join(f"{cut(axis.key)} = {written(axis.given[n])}" for axis, n in pairs)

    def of_demand(self, point: Point) -> Point:
        """Return a point's places on the axes of the demand: where they are equal, it is."""
        return tuple(n for axis, n in zip(self.axes, point, strict=True) if not axis.is_factor)

    def of_market(self, point: Point) -> Point:
        """Return a point's places on the axes of prices: where they are equal, the market is."""
        return tuple(n for axis, n in zip(self.axes, point, strict=True) if axis.is_factor)

    def demand_at(self, point: Point) -> Demand:
        """Return the demand of a point.

        Raises
        ------
        InputError
            When it contradicts itself.
        """
        try:
            return changed(
                self.demand, [setting for setting in self._at(point) if not setting[0].is_factor]
            )
        except InputError as error:
            raise InputError(f"at {self.text(point)}: {error}", hint=error.hint) from error

    def order(self, point: Point) -> tuple[Any, ...]:
        """Return what puts points together that can take over most: of equal prices but for all."""
        alike, factor = self.scale(point)
        axes = zip(self.axes, point, strict=True)
        return tuple(n for axis, n in axes if axis.is_factor and not axis.is_of_all), alike, factor

    def scale(self, point: Point) -> tuple[Point, Decimal]:
        """Return a point but for the factor on all prices of disks, and that."""
        pairs = [*zip(self.axes, point, strict=True)]
        rest = tuple(n for axis, n in pairs if not axis.is_of_all)
        factors = (axis.settings[n] for axis, n in pairs if axis.is_of_all)
        return rest, next(factors, Decimal(1))

    @cached_property
    def addressable(self) -> pd.DataFrame:
        """Return the disk offers as they can be bought (columns ``ADDRESSABLE``), as listed."""
        return addressable(self.offers, exact=True)

    @cached_property
    def _rows(self) -> list[dict[str, Any]]:
        return records(self.addressable)

    def rows_at(self, offers: pd.DataFrame) -> list[dict[str, Any]]:
        """Return what `market_at` did as rows."""
        prices = offers["usd_gb_hr"].tolist()
        return [{**row, "usd_gb_hr": price} for row, price in zip(self._rows, prices, strict=True)]

    def market_at(self, point: Point) -> tuple[pd.DataFrame, pd.DataFrame | None]:
        """Return the disk offers (columns ``ADDRESSABLE``) and the GPUs of a point.

        Raises
        ------
        InputError
            As `listings_at`.
        """
        return self._at_prices(point, self.addressable)

    def listings_at(self, point: Point) -> tuple[pd.DataFrame, pd.DataFrame | None]:
        """Return the listings (columns ``OFFERS`` and ``GPUS``) at the prices of a point.

        Raises
        ------
        InputError
            When a price becomes one that no market has.
        """
        return self._at_prices(point, self.offers)

    def _at_prices(
        self, point: Point, offers: pd.DataFrame
    ) -> tuple[pd.DataFrame, pd.DataFrame | None]:
        factors = [setting for setting in self._at(point) if setting[0].is_factor]
        of_disks = [setting for setting in factors if setting[0].about.part == "price_factor"]
        of_gpus = [setting for setting in factors if setting not in of_disks]
        try:
            offers = priced(offers, "usd_gb_hr", of_disks)
            return offers, None if self.gpus is None else priced(self.gpus, "usd_hr", of_gpus)
        except InputError as error:
            raise InputError(f"at {self.text(point)}: {error}", hint=error.hint) from error

    def _at(self, point: Point) -> list[Setting]:
        return [(axis, axis.settings[n]) for axis, n in zip(self.axes, point, strict=True)]


def changed(demand: Demand, settings: Iterable[Setting]) -> Demand:
    """Return a demand with settings in place of what it says.

    What is said of fewer volumes goes before what is said of more, and what is said of a part of a
    field (``exclude.regions``) before what is said of the whole.

    Parameters
    ----------
    demand : Demand
        Stays as it is.
    settings : iterable of (Axis, Any)
        Axes of the demand, each with one of its settings.

    Raises
    ------
    InputError
        When the values contradict each other or the rest of the demand.
    """
    ordered = sorted(
        settings,
        key=lambda setting: (-len(setting[0].about.names), setting[0].about.word.count(".")),
    )
    held: dict[str, dict[str, Any]] = {
        "policy": {"": demand.policy},
        "volumes": {volume.name: volume for volume in demand.volumes},
        "workloads": {workload.name: workload for workload in demand.workloads},
    }
    updates: dict[tuple[str, str], dict[str, Any]] = {}
    for axis, value in ordered:
        about = axis.about
        for name in about.names or ("",):
            update = updates.setdefault((about.part, name), {})
            _put(update, held[about.part][name], about.word, value)
    if not updates:
        return demand
    for (part, name), update in updates.items():
        held[part][name] = _rebuilt(held[part][name], update)
    try:
        return Demand(
            project=demand.project,
            volumes=tuple(held["volumes"].values()),
            policy=held["policy"][""],
            workloads=tuple(held["workloads"].values()),
            groups=demand.groups,
        )
    except ValidationError as error:
        raise InputError(next(plain_problems(error, Demand))[1], hint=_TOGETHER) from error


_TOGETHER = "leave out the value that does not go with the others"


def _put(update: dict[str, Any], before: BaseModel, word: str, value: Any) -> None:  # noqa: ANN401 -- the field's
    outer, _, inner = word.partition(".")
    name = NAMED.get(outer, outer)
    if not inner:
        update[name] = value
        return
    parts = {**dict(update.get(name, getattr(before, name)) or {}), inner: value}
    update[name] = {key: each for key, each in parts.items() if each is not None}


def _rebuilt(before: BaseModel, update: Mapping[str, Any]) -> BaseModel:
    if all(getattr(before, name) == value for name, value in update.items()):
        return before
    try:
        return type(before)(**{**dict(before), **update})
    except ValidationError as error:
        sentence = next(plain_problems(error, type(before)))[1]
        who = f" (volume {before.name})" if hasattr(before, "name") else ""
        raise InputError(f"{sentence}{who}", hint=_TOGETHER) from error


def priced(frame: pd.DataFrame, column: str, settings: Iterable[Setting]) -> pd.DataFrame:
    """Return a market with factors on its prices, multiplied exactly.

    Parameters
    ----------
    frame : DataFrame
        With ``provider``; stays as it is.
    column : str
        The prices: exact Decimals, null where there is none.
    settings : iterable of (Axis, Decimal)
        Factors of all providers or of one; several on one price are multiplied.

    Raises
    ------
    InputError
        When a price becomes one that no market has.
    """
    factors, prices = list(settings), frame[column].tolist()
    if not factors:
        return frame
    for axis, factor in factors:
        for n, (price, provider) in enumerate(zip(prices, frame["provider"], strict=True)):
            if isinstance(price, Decimal) and (
                provider in axis.about.names or not axis.about.names
            ):
                prices[n] = multiplied(price, factor)
    result = frame.copy()
    scaled = [_believable(price) if isinstance(price, Decimal) else None for price in prices]
    result[column] = pd.Series(scaled, index=frame.index, dtype="object")
    return result


def _believable(price: Decimal) -> Decimal:
    scaled = Decimal(plain(price))
    if not is_price(scaled):
        raise InputError(
            f"a price becomes {cut(plain(scaled))}, which is none that a market has",
            hint=f"a price has at most {MAX_PRICE_DIGITS} digits; write a factor of fewer",
        )
    return scaled
