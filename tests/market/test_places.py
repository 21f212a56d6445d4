"""A place that no offer has is answered with what was meant, wherever that belongs."""

from __future__ import annotations

from itertools import permutations

import pytest

from planner.market.places import PLACES, as_list, as_options, unknown_place

KNOWN = {
    "provider": {"hyperstack", "nebius"},
    "data_center": {"US-1", "eu-west1"},
    "country": {"US", "FR"},
    "region": {"eu_north", "eu_west"},
}


@pytest.mark.parametrize(("asked", "meant"), [*permutations(PLACES, 2)])
def test_a_place_of_another_field_is_named_with_its_field(asked: str, meant: str) -> None:
    """A country in regions, a provider in countries: every pair, in any case of letters."""
    name = max(KNOWN[meant])
    for written in (name, name.lower(), name.upper()):
        told = unknown_place(asked, written, KNOWN, as_list)
        assert told.endswith(f"; did you mean `{PLACES[meant]}: [{name}]`?")
    told = unknown_place(asked, name, KNOWN, as_options)
    assert f"`--{meant.replace('_', '-')} {name}`" in told


@pytest.mark.parametrize("pattern", ["eu_*", "EU_*", "eu%", "eu_n????"])
def test_a_pattern_is_answered_with_what_it_matches(pattern: str) -> None:
    """Patterns are not read; the places they match are listed."""
    told = unknown_place("region", pattern, KNOWN, as_list)
    assert "patterns are not read; did you mean `regions: [eu_" in told


def test_own_field_first_and_nothing_where_nothing_is_near() -> None:
    """A misspelt place is the nearest of its own field; a riddle gets no hint."""
    told = unknown_place("region", "eu_nort", KNOWN, as_list)
    assert told == "no region eu_nort in this market; did you mean eu_north?"
    assert unknown_place("country", "\x1b[2J", KNOWN, as_list).endswith("in this market")
