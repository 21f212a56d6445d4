"""Pairs as they are shown: how many can be, how many not, and which rules keep them out."""

from __future__ import annotations

import pytest

from planner.demand.read import demand_from
from planner.market.market import addressable
from planner.market.offers import offers_frame
from planner.schema import Table
from planner.solve.candidates import Pairs, pair
from tests.looks import HOSTILE, SHOWN, look
from tests.solve.hand import demanded, row, volume

ROWS = [
    row("alpha", "0.0001"),
    row("beta", "0.0002", stockStatus="Unavailable"),
    row("gamma", "0.0002", region="eu_north", stockStatus="Unavailable"),
]


def paired(*volumes: dict[str, object]) -> Pairs:
    """Return the pairs of some volumes and three offers."""
    return pair(demand_from(demanded(*volumes)), addressable(offers_frame(ROWS), exact=True))


def test_pairs_are_counted_where_they_are_printed() -> None:
    """Two volumes and three offers are six pairs; alpha can be for both, beta and gamma never."""
    pairs = paired(volume("x"), volume("y", regions=["united_states"]))
    assert repr(pairs) == "<Pairs: 2 volumes x 3 offers, 2 of them candidates>"


def test_a_notebook_shows_which_rules_keep_offers_out() -> None:
    """A row for each volume, the rule that most offers fall to first."""
    pairs = paired(volume("x"), volume("y", regions=["united_states"]))
    assert look(pairs).rows == [
        ["volume", "candidates", "rejections", "rules broken (offers)"],
        ["x", "1", "2", "unavailable (2)"],
        ["y", "1", "2", "unavailable (2), region (1)"],
    ]


def test_rejections_show_every_rule() -> None:
    """In a cell as words, whole; in the frame as a tuple."""
    rejections = paired(volume("y", regions=["united_states"])).rejections()
    assert isinstance(rejections, Table)
    assert look(rejections).rows[2] == [
        "y",
        rejections["offer_id"][1],
        "gamma",
        "gamma-1",
        "unavailable, region",
    ]
    assert rejections["rules"][1] == ("unavailable", "region")


def test_a_fleet_is_counted() -> None:
    """The first sixty of many volumes."""
    seen = look(paired(*(volume(f"v{n}") for n in range(70))))
    assert len(seen.rows) == 61
    assert seen.lines[-1] == "70 volumes, the first 60 shown"


@pytest.mark.sweep
@pytest.mark.parametrize(("evil", "shown"), [*zip(HOSTILE, SHOWN, strict=True)])
def test_hostile_offers_are_shown_as_text(evil: str, shown: str) -> None:
    """What cannot be sent is rejected, and shown with its reason all the same."""
    rows = [row("alpha", "0.0001", region=evil, dataCenter="alpha-1")]
    offers = addressable(offers_frame(rows), exact=True)
    assert look(offers).rows[1][6] == shown
    assert shown in look(offers_frame(rows)).rows[1]
