"""Relaxations as values: short where they are printed, tables where they are shown."""

from __future__ import annotations

import pickle
from decimal import Decimal
from typing import Any

import pytest

from planner.analysis.infeasible import infeasible
from planner.analysis.relax import Offers
from planner.analysis.relaxation import RELAXATIONS, Relaxation, Relaxations
from planner.demand.model import Demand
from planner.demand.read import demand_from
from planner.errors import Infeasible
from planner.market.market import addressable
from planner.market.offers import offers_frame
from planner.schema import records
from tests.looks import HOSTILE, SHOWN, look
from tests.solve.hand import demanded, row, volume

ROWS = [row("alpha", "0.0001"), row("beta", "0.0002", region="eu_north", country="NO")]


def refused(rows: list[dict[str, Any]], *volumes: dict[str, Any]) -> Infeasible:
    """Return why a demand has no plan."""
    offers = Offers(addressable(offers_frame(rows), exact=True), None)
    return infeasible(demand_from(demanded(*volumes)), offers)


def made(text: str) -> Relaxation:
    """Return a relaxation that changes a list of places."""
    demand = Demand.from_document({"project": "x", "volumes": [{"name": "x", "size_gb": 1}]})
    change = {"volume": "x", "field": "regions", "from": [text], "to": None, "text": text}
    return Relaxation((change,), text, Decimal("0.02"), Decimal("14.6"), demand)


@pytest.fixture
def error() -> Infeasible:
    """Return two copies in one region that has one provider: three relaxations, by hand.

    Not spread: 2 x 100 GB x 0.0001 x 730 = 14.60. One replica: 7.30. The other region:
    100 x (0.0001 + 0.0002) x 730 = 21.90.
    """
    return refused(ROWS, volume("x", replicas=2, spread="provider", regions=["united_states"]))


def test_a_relaxation_is_short_where_it_is_printed(error: Infeasible) -> None:
    """What to change and what a month costs then; not the whole demand."""
    assert [repr(one) for one in error.relaxations] == [
        "<Relaxation: store 1 replica instead of 2 on x, $7.30/month>",
        "<Relaxation: use `spread: none` instead of provider on x, $14.60/month>",
        "<Relaxation: allow region eu_north on x, $21.90/month>",
    ]


def test_relaxations_are_a_tuple_and_a_frame(error: Infeasible) -> None:
    """They count, compare, and pickle as a tuple does; the frame has their exact costs."""
    ways = error.relaxations
    assert isinstance(ways, Relaxations)
    assert ways == tuple(ways)
    again = pickle.loads(pickle.dumps(ways))  # noqa: S301 -- its own
    assert (again, again.notes) == (ways, ways.notes)
    frame = ways.to_frame(exact=True)
    assert list(frame.columns) == [column.name for column in RELAXATIONS]
    assert records(frame)[2] == {
        "change": "allow region eu_north on x",
        "changes": 1,
        "usd_hr": Decimal("0.03"),
        "usd_month": Decimal("21.9"),
    }
    assert [one["text"] for one in error.data["relaxations"]] == frame["change"].tolist()


def test_a_notebook_shows_what_to_change_and_what_it_costs(error: Infeasible) -> None:
    """A table of the relaxations; and for each one, from what to what."""
    assert look(error.relaxations).rows == [
        ["what to change", "$/month"],
        ["store 1 replica instead of 2 on x", "7.30"],
        ["use `spread: none` instead of provider on x", "14.60"],
        ["allow region eu_north on x", "21.90"],
    ]
    one = look(error.relaxations[2])
    assert one.lines[0] == "allow region eu_north on x: $21.90/month"
    assert one.rows == [
        ["what", "field", "from", "to"],
        ["volume x", "regions", "united_states", "eu_north, united_states"],
    ]


def test_a_notebook_shows_why_there_is_no_plan(error: Infeasible) -> None:
    """The conflict, the relaxations once and as a table, what else to do, and what is odd."""
    error.warnings = ("the market is small",)
    seen = look(error)
    assert seen.lines[0].startswith("No plan satisfies the demand.\n\nx: 2 replicas need")
    assert "Ways to make it feasible" not in seen.text
    assert seen.text.count("allow region eu_north") == 1
    assert seen.rows[1:] == look(error.relaxations).rows[1:]
    assert seen.lines[-2:] == [error.hint, "the market is small"]


def test_a_notebook_says_what_nothing_helps() -> None:
    """Without any relaxation there is no empty table, and the reason is told once."""
    error = refused([], volume("x"))
    assert error.relaxations == ()
    assert "x: no offers in this market" in str(error)
    seen = look(error)
    assert seen.rows == []
    assert seen.text.count("no offers in this market") == 1


def test_the_text_ends_with_the_relaxations(error: Infeasible) -> None:
    """What is printed of the relaxations is the end of what the error says."""
    assert str(error.relaxations).startswith(
        "Ways to make it feasible, cheapest first:\n   $7.30/month   "
    )
    assert str(error).endswith(f"\n{error.relaxations}")
    assert str(Relaxations()) == ""
    assert str(Relaxations((), ["nothing helps: x"])) == "nothing helps: x"


@pytest.mark.parametrize(("evil", "shown"), [*zip(HOSTILE, SHOWN, strict=True)])
def test_hostile_text_is_text(evil: str, shown: str) -> None:
    """In a repr, a relaxation, all of them, and the error they come with."""
    one = made(evil)
    assert shown in repr(one)
    ways = Relaxations([one], [evil])
    assert look(ways).rows[1] == [shown, "14.60"]
    assert look(ways).lines[-1] == shown
    assert look(one).rows[1] == ["volume x", "regions", shown, "\N{EN DASH}"]
    error = Infeasible(f"{evil}\n{ways}", conflicts=[], relaxations=ways, hint=evil)
    error.warnings = (evil,)
    seen = look(error)
    assert seen.text.count(shown) == 5
    assert look(Infeasible(evil, conflicts=[])).lines == [shown]


def test_a_change_of_the_policy_has_no_name() -> None:
    """What is changed is named by its kind, the policy as itself."""
    change = {"policy": True, "field": "max_sites", "from": 1, "to": 2, "text": "raise max_sites"}
    one = Relaxation((change,), "x", Decimal(1), Decimal(730), made("x").demand)
    assert look(one).rows[1] == ["policy", "max_sites", "1", "2"]
