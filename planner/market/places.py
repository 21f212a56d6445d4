"""Places that no offer has: what was meant, also where it stands in another field."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Any

from planner.text import nearest, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

PLACES = {
    "provider": "providers",
    "data_center": "data_centers",
    "country": "countries",
    "region": "regions",
}
"""Each column that is a place, and the list of a demand that names it."""
LEVELS = {level: level.replace("_center", " centre") for level in ("site", *PLACES)}
"""What a place at a level is called."""
_MATCHES = 5
"""Places that a pattern matches and a hint lists at most."""


def known_places(offers: Sequence[Mapping[str, Any]]) -> dict[str, set[str]]:
    """Return the places that disk or GPU offers have, by column."""
    return {level: {offer[level] for offer in offers} - {None} for level in PLACES}


def unknown_place(
    level: str,
    name: str,
    known: Mapping[str, Collection[str]],
    write: Callable[[str, Collection[str]], str],
) -> str:
    """Return the sentence about a place that no offer has, and what was likely meant.

    Parameters
    ----------
    level : str
        The column that was asked for, as in ``PLACES``.
    known : mapping
        For each column the places of the market.
    write : callable
        How a column's list of places is written where this one was.
    """
    return f"no {level.replace('_', ' ')} {visible(name)} in this market" + _meant(
        level, name, known, write
    )


def _meant(
    level: str,
    name: str,
    known: Mapping[str, Collection[str]],
    write: Callable[[str, Collection[str]], str],
) -> str:
    if any(sign in name for sign in "*?%"):
        pattern = name.casefold().replace("%", "*")
        match = sorted(name for name in known[level] if fnmatch.fnmatch(name.casefold(), pattern))
        matched = f"; did you mean `{visible(write(level, match[:_MATCHES]))}`?" if match else ""
        return f"; patterns are not read{matched}"
    here = {place.casefold(): place for place in sorted(known[level])}
    if name.casefold() not in here:
        for other, places in known.items():
            exact = {place.casefold(): place for place in sorted(places)}.get(name.casefold())
            if other != level and exact is not None:
                return f"; did you mean `{visible(write(other, [exact]))}`?"
    close = nearest(name, known[level])
    return f"; did you mean {visible(close)}?" if close else ""


def as_list(level: str, names: Collection[str]) -> str:
    """Return places as a demand lists them.

    >>> as_list("country", ["US"])
    'countries: [US]'
    """
    return f"{PLACES[level]}: [{', '.join(names)}]"


def as_options(level: str, names: Collection[str]) -> str:
    """Return places as options of a command.

    >>> as_options("data_center", ["US-1", "US-2"])
    '--data-center US-1 --data-center US-2'
    """
    return " ".join(f"--{level.replace('_', '-')} {name}" for name in names)
