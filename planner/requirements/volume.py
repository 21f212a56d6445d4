"""Everything that a volume asks for itself: one line for a new kind."""

from __future__ import annotations

from decimal import Decimal
from operator import attrgetter
from typing import TYPE_CHECKING

from planner.market.places import PLACES
from planner.requirements.field import FieldRequirement
from planner.requirements.offer import (
    AllowedPlaces,
    DiskLimit,
    ExcludedPlaces,
    Multinode,
    OfferLimit,
    OfferRequirement,
    PriceLimit,
    SecurityClass,
    StockLevel,
)
from planner.requirements.spread import ReplicaCount, ReplicaSpread

if TYPE_CHECKING:
    from collections.abc import Hashable

    from planner.demand.model import Volume


class Headroom(FieldRequirement):
    """What is bought beyond the size; a fact to everything but its price."""

    fields = ("headroom_percent",)
    without = Decimal(0)
    instead = "none"

    @property
    def text(self) -> str:
        """Return it as the demand says it."""
        return f"headroom: {self.shown}%"


WHERE: tuple[type[OfferRequirement], ...] = (AllowedPlaces, ExcludedPlaces)
"""Where an offer is."""
WHAT: tuple[type[OfferRequirement], ...] = (SecurityClass, StockLevel, Multinode)
"""What it is."""
LIMITS: tuple[type[OfferLimit], ...] = (PriceLimit, DiskLimit)
"""Of what it may have at most so much."""
COPIES: tuple[type[FieldRequirement], ...] = (ReplicaSpread, ReplicaCount)
"""How replicas lie to each other."""
OF_OFFERS: tuple[type[OfferRequirement], ...] = (
    *(StockLevel, SecurityClass, Multinode),
    *WHERE,
    *LIMITS,
    ReplicaSpread,
)
"""What single offers can break, in the order of their rules."""
KIND_OF: dict[str, type[FieldRequirement]] = {
    field: kind for kind in (*WHERE, *WHAT, *LIMITS, *COPIES) for field in kind.fields
}
"""Field → its kind."""


_FIELDS = sorted({field.partition(".")[0] for kind in OF_OFFERS for field in kind.fields})
_LOOK = attrgetter(*_FIELDS, *ReplicaCount.fields)


def asks_alike(volume: Volume) -> Hashable:
    """Return what is equal for volumes that ask the same of each offer, see `of_offers`."""
    look: Hashable = _LOOK(volume)
    return look


def of_offers(volume: Volume) -> tuple[OfferRequirement, ...]:
    """Return what a volume asks of each offer."""
    return tuple(item for kind in OF_OFFERS for item in kind.of(volume))


def limits_of(volume: Volume) -> tuple[OfferLimit, ...]:
    """Return its limits on an offer."""
    return tuple(item for kind in LIMITS for item in kind.of(volume))


def places_of(volume: Volume) -> list[OfferRequirement]:
    """Return its lists of places, level by level."""
    levels = [*PLACES]
    places = [item for kind in WHERE for item in kind.of(volume)]
    return sorted(places, key=lambda item: levels.index(str(item.level)))


def of_disks(volume: Volume) -> list[OfferRequirement]:
    """Return what live disks are held against: how many and how dear, what and where they are."""
    what = [item for kind in WHAT for item in kind.of(volume)]
    apart = ReplicaSpread.of(volume)
    return [*reversed(limits_of(volume)), *what, *places_of(volume), *apart]


def asked_by(volume: Volume) -> list[FieldRequirement]:
    """Return all that a volume asks: places, the offer, then replicas."""
    kinds: tuple[type[FieldRequirement], ...] = (*WHAT, *LIMITS, *COPIES)
    return [*places_of(volume), *(item for kind in kinds for item in kind.of(volume))]


def priced_of(volume: Volume) -> list[FieldRequirement]:
    """Return what a volume can be planned without, to see what it costs: replicas first."""
    kinds: tuple[type[FieldRequirement], ...] = (*WHERE, Headroom, *COPIES, *WHAT, *LIMITS)
    asked = [item for kind in kinds for item in kind.of(volume)]
    return [item for item in asked if item.value != item.without]
