"""Requirements that the listing of an existing disk cannot answer: said, and never claimed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.market.places import PLACES
from planner.requirements.volume import WHAT, places_of
from planner.text import some

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from planner.demand.model import Demand, Volume
    from planner.solve.solution import Placement


def _unchecked(volume: Volume, placement: Placement) -> Iterator[str]:
    """Yield the requirements of a volume that the listing of its existing disk cannot answer."""
    yield from (
        requirement.field
        for kind in WHAT
        for requirement in kind.of(volume)
        if not requirement.is_listed
    )
    regions = (placement.region or "unknown").split(", ")
    for places in places_of(volume):
        level = str(places.level)
        known = "unknown" not in regions if level == "region" else getattr(placement, level)
        if not known:
            yield PLACES[level]


def unchecked_existing(demand: Demand, placements: Iterable[Placement]) -> str:
    """Return which requirements were not held against which existing disks; else nothing."""
    volumes = {volume.name: volume for volume in demand.volumes}
    of_field: dict[str, dict[str, None]] = {}
    for placement in placements:
        if placement.action == "keep":
            for name in _unchecked(volumes[placement.volume], placement):
                of_field.setdefault(name, {})[placement.volume] = None
    return "; ".join(f"{field} of {some(list(names))}" for field, names in of_field.items())
