"""Where offers are: their sites, and the failure domains that copies may not share."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

Site = tuple[str | None, ...]


def domains(offers: pd.DataFrame, level: str) -> list[frozenset[tuple[Any, ...]]]:
    """Return the failure domains that each offer lies in at a level.

    Two offers share a data centre when the names are equal, whoever the provider is; one that
    leaves it null is a domain of its own at its site. An ambiguous offer lies in all its regions.
    """
    if level == "region":
        return [frozenset((name,) for name in names) for names in offers["regions"]]
    if level in {"provider", "country"}:
        return [frozenset([(name,)]) for name in plain_texts(offers[level])]
    if level == "site":
        return [frozenset([site]) for site in sites(offers)]
    return [
        frozenset([(site[1],) if site[1] else (site[0], None, site[2])]) for site in sites(offers)
    ]


def spread_domains(offers: pd.DataFrame, level: str) -> list[frozenset[Any]]:
    """Return the domains of which copies spread over a level may share none.

    Levels are nested: copies in two providers, countries or regions are also in two data centres.
    A data centre that lies in several places of the level, as where two providers sell one
    building, is therefore one more domain of its offers; elsewhere the level implies it.
    """
    own: list[frozenset[Any]] = list(domains(offers, level))
    if level not in _ABOVE_DATA_CENTER:
        return own
    data_centers = domains(offers, "data_center")
    places: defaultdict[frozenset[Any], set[frozenset[Any]]] = defaultdict(set)
    for data_center, place in zip(data_centers, own, strict=True):
        places[data_center].add(place)
    return [
        place | {("data_center", data_center)} if len(places[data_center]) > 1 else place
        for data_center, place in zip(data_centers, own, strict=True)
    ]


_ABOVE_DATA_CENTER = frozenset({"provider", "country", "region"})


def sites(offers: pd.DataFrame) -> list[Site]:
    """Return where each offer is: (provider, data_center, country), None where unknown."""
    columns = (plain_texts(offers[name]) for name in ("provider", "data_center", "country"))
    return list(zip(*columns, strict=True))


def plain_texts(column: pd.Series[Any]) -> list[str | None]:
    """Return a column of nullable text as Python has it."""
    return [
        None if is_missing else text
        for text, is_missing in zip(column.tolist(), column.isna().tolist(), strict=True)
    ]
