"""The axes of a grid: what each changes, and to which values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from planner.demand.words import cut
from planner.errors import InputError
from planner.solve.grid.keys import FACTORS, Known, Part, Subject, subject
from planner.solve.grid.values import setting, told

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from planner.demand import Demand

MAX_POINTS = 100_000
"""Plans that one grid may ask for: beyond it lies a mistake, or a night."""


@dataclass(frozen=True)
class Axis:
    """One key of a grid with its values.

    Attributes
    ----------
    key : str
        As the caller wrote it.
    about : Subject
        What it changes.
    given : tuple
        The values, as the caller gave them.
    settings : tuple
        The same as the demand has them; factors on prices are decimals.
    """

    key: str
    about: Subject
    given: tuple[Any, ...]
    settings: tuple[Any, ...]

    @property
    def is_factor(self) -> bool:
        """Return whether it changes prices, and not the demand."""
        return self.about.part in FACTORS


def axes_of(
    grid: Mapping[str, Any], demand: Demand, providers: Mapping[Part, Collection[str]]
) -> tuple[Axis, ...]:
    """Return the axes of a grid, in its order.

    Parameters
    ----------
    grid : mapping
        What is changed → the values to try; see `planner.sweep`.
    demand : Demand
        What is changed.
    providers : mapping
        Providers of the listings there are, by the factor that is on their prices.

    Raises
    ------
    InputError
        When a key stands for nothing, two stand for one thing, a value is not one that the demand
        file may have there, or the grid has more than ``MAX_POINTS`` points; the hint has the
        nearest name.
    """
    if not isinstance(grid, Mapping):
        raise InputError(
            f"a grid is a mapping of what is changed to the values to try, not {told(grid)}",
            hint="write it as {'replicas': [1, 2, 3], 'policy.max_sites': [1, 2]}",
        )
    listed = {_checked(key): _values(str(key), given) for key, given in grid.items()}
    points = prod(len(values) for values in listed.values())
    if points > MAX_POINTS:
        raise InputError(
            f"the grid has {points:,} points; at most {MAX_POINTS:,} are planned",
            hint="try fewer values of each",
        )
    known = Known(demand, providers, _owners(listed))
    axes = tuple(_axis(key, values, known) for key, values in listed.items())
    _each_once(axes)
    return axes


def _checked(key: object) -> str:
    if isinstance(key, str):
        return key
    raise InputError(
        f"a key of a grid is text, not {told(key)}", hint="name a field of the demand file"
    )


def _values(key: str, given: object) -> tuple[Any, ...]:
    """Return the values of an axis; what is no list of values is one value."""
    if isinstance(given, AbstractSet):
        raise InputError(
            f"`{cut(key)}`: its values are a set, which has no order", hint="write a list"
        )
    listed = given.tolist() if hasattr(given, "tolist") else given
    if isinstance(listed, (str, bytes, Mapping)) or not isinstance(listed, Iterable):
        return (listed,)
    values = tuple(one.item() if isinstance(one, np.generic) else one for one in listed)
    if not values:
        raise InputError(f"`{cut(key)}`: there are no values to try", hint="give at least one")
    return values


def _owners(listed: Mapping[str, tuple[Any, ...]]) -> list[str]:
    """Return the owners that a grid gives to volumes."""
    given = (values for key, values in listed.items() if key.rpartition(".")[2] == "owner")
    return [one for values in given for one in values if isinstance(one, str)]


def _axis(key: str, values: tuple[Any, ...], known: Known) -> Axis:
    about = subject(key, known)
    return Axis(key, about, values, tuple(setting(key, about, one, known.names) for one in values))


def _each_once(axes: Sequence[Axis]) -> None:
    seen: dict[tuple[Any, ...], str] = {}
    for axis in axes:
        word = "size" if axis.about.word == "size_gb" else axis.about.word
        first = seen.setdefault((axis.about.part, axis.about.names, word), axis.key)
        if first != axis.key:
            raise InputError(
                f"`{cut(first)}` and `{cut(axis.key)}` change the same thing",
                hint="keep one of them",
            )
