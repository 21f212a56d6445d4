"""Requirements that the listing of an existing disk cannot answer: said, and never claimed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.market.places import PLACES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from planner.demand.model import Demand, Volume
    from planner.solve.solution import Placement


def _unchecked(volume: Volume, placement: Placement) -> tuple[str, ...]:
    """Return the requirements of a volume that the listing of its existing disk cannot answer."""
    names = [("security", volume.security != "any"), ("stock", volume.stock is not None)]
    regions = (placement.region or "unknown").split(", ")
    for level, word in PLACES.items():
        known = "unknown" not in regions if level == "region" else getattr(placement, level)
        is_asked = getattr(volume, word) is not None or getattr(volume.exclude, word)
        names.append((word, bool(is_asked and not known)))
    return tuple(name for name, is_open in names if is_open)


def unchecked_existing(demand: Demand, placements: Iterable[Placement]) -> str:
    """Return which requirements were not held against which existing disks; else nothing."""
    volumes = {volume.name: volume for volume in demand.volumes}
    of_field: dict[str, dict[str, None]] = {}
    for placement in placements:
        if placement.action == "keep":
            for name in _unchecked(volumes[placement.volume], placement):
                of_field.setdefault(name, {})[placement.volume] = None
    return "; ".join(
        f"{field} of {', '.join(list(names)[:_NAMED])}"
        + f" and {len(names) - _NAMED} more" * (len(names) > _NAMED)
        for field, names in of_field.items()
    )


_NAMED = 5
