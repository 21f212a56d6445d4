"""Cost by owner and site: what is drawn adds up to what was given."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.present.charts.bars import MOST_KINDS, MOST_ROWS
from planner.present.charts.base import REST
from planner.present.charts.cost import COST_DISKS, cost_chart
from planner.schema import build
from tests.market.rows import brief
from tests.present.charts.drawn import HOSTILE, is_empty, kinds, pieces, rows, subtitle

if TYPE_CHECKING:
    import pandas as pd


def disk(
    owner: str | None, site: str, usd_hr: str | None, standing: str = "kept"
) -> dict[str, Any]:
    return {
        "owner": owner,
        "site": site,
        "standing": standing,
        "usd_hr": None if usd_hr is None else Decimal(usd_hr),
    }


def frame(*disks: dict[str, Any]) -> pd.DataFrame:
    return build(disks, COST_DISKS)


@pytest.mark.slow
def test_a_bar_for_each_owner_and_a_colour_for_each_site() -> None:
    """0.1 USD an hour are 73 a month; an owner's sites lie side by side, the dearest first."""
    chart = cost_chart(
        frame(
            disk("bob", "S", "0.1"),
            disk("ann", "N", "0.2"),
            disk("ann", "S", "0.3"),
            disk("ann", "S", "0.1"),
        )
    )
    assert rows(chart) == [("ann", "$438.00"), ("bob", "$73.00")]
    assert list(kinds(chart)) == ["S", "N"]
    drawn = [
        (p["row"], p["kind"], p["start"], p["end"], p["amount"], p["disks"]) for p in pieces(chart)
    ]
    assert drawn == [
        ("ann", "S", 0, 292, "$292.00", "2 (kept)"),
        ("ann", "N", 292, 438, "$146.00", "1 (kept)"),
        ("bob", "S", 0, 73, "$73.00", "1 (kept)"),
    ]
    assert subtitle(chart) == "4 disks, $511.00 a month of 730 hours."


@pytest.mark.slow
def test_a_month_of_other_hours() -> None:
    """The hours are the caller's, and said."""
    chart = cost_chart(frame(disk("a", "S", "0.1")), hours_per_month=700)
    assert rows(chart) == [("a", "$70.00")]
    assert "a month of 700 hours" in subtitle(chart)


def test_amounts_are_exact() -> None:
    """A tenth of a cent that floats cannot hold is rounded as the decimal says."""
    chart = cost_chart(frame(disk("a", "S", "0.0015")), hours_per_month=730)
    assert rows(chart) == [("a", "$1.10")]  # 1.095


@pytest.mark.slow
def test_the_unpriced_are_counted_not_drawn() -> None:
    """Nothing without a price looks free."""
    chart = cost_chart(frame(disk("a", "S", "1"), disk("b", "S", None), disk("a", "N", None)))
    assert [owner for owner, _ in rows(chart)] == ["a"]
    assert list(kinds(chart)) == ["S"]
    assert "2 disks are unpriced and not drawn" in subtitle(chart)
    none = cost_chart(frame(disk("a", "S", None)))
    assert is_empty(none)
    assert "1 disk is unpriced and not drawn" in subtitle(none)


def test_without_disks_the_chart_says_so() -> None:
    """A report without disks has a chart all the same."""
    chart = cost_chart(frame())
    assert is_empty(chart)
    assert subtitle(chart) == "There are no disks."


@pytest.mark.slow
def test_what_is_not_bought_yet_is_outlined() -> None:
    """Beside what is there; where all is new, nothing has to be told apart."""
    mixed = cost_chart(frame(disk("a", "S", "1", "new"), disk("a", "S", "1", "other")))
    assert [(p["pale"], p["disks"]) for p in pieces(mixed)] == [
        (False, "1 (other)"),
        (True, "1 (new)"),
    ]
    assert "Outlined: not bought yet" in subtitle(mixed)
    new = cost_chart(frame(disk("a", "S", "1", "new")))
    assert [p["pale"] for p in pieces(new)] == [False]
    assert "Outlined" not in subtitle(new)


@pytest.mark.slow
def test_many_owners_and_sites_are_summed_up() -> None:
    """30 owners at 30 sites: the dearest have bars and colours, the others one, in grey."""
    disks = [disk(f"owner-{at:02}", f"site-{at:02}", f"{30 - at}") for at in range(30)]
    chart = cost_chart(frame(*disks))
    assert len(rows(chart)) == MOST_ROWS + 1
    rest = sum(range(1, 11)) * 730
    assert rows(chart)[-1] == ("10 more owners", f"${rest:,}.00")
    assert list(kinds(chart))[-1] == "25 more sites"
    assert list(kinds(chart).values())[-1] == REST
    assert len(kinds(chart)) == MOST_KINDS + 1
    assert subtitle(chart) == f"30 disks, ${sum(range(31)) * 730:,}.00 a month of 730 hours."


@pytest.mark.slow
def test_owners_of_any_name() -> None:
    """Each has a bar of its own, nobody too, and no text is cut out of what is drawn."""
    disks = [disk(name, f"at {name}", str(len(HOSTILE) - at)) for at, name in enumerate(HOSTILE)]
    chart = cost_chart(frame(*disks, disk(None, "x", "99"), disk("(no owner)", "x", "98")))
    labels = [label for label, _ in rows(chart)]
    assert labels[:4] == ["(no owner)", "(no owner) (2)", HOSTILE[0], HOSTILE[1]]
    assert "\\x1b[2J" in labels
    assert "\\u202etxet" in labels
    assert len(set(labels)) == len(HOSTILE) + 2
    assert {piece["row"] for piece in pieces(chart)} == set(labels)


DISKS = st.lists(
    st.tuples(
        st.sampled_from([None, *"abcdefghijklmnopqrstuvwxyz"]),
        st.sampled_from("STUVWXYZ"),
        st.one_of(st.none(), st.decimals("0.0001", "99", places=4)),
        st.sampled_from(["kept", "bought", "new", "other"]),
    ),
    min_size=1,
    max_size=60,
)


@pytest.mark.slow
@brief
@given(DISKS)
def test_what_is_drawn_adds_up(disks: list[tuple[str | None, str, Decimal | None, str]]) -> None:
    """Bars have no gaps, end at their sums, and hold every priced disk once."""
    chart = cost_chart(frame(*({**disk(o, s, None, k), "usd_hr": p} for o, s, p, k in disks)))
    priced = [one for one in disks if one[2] is not None]
    if not priced:
        assert is_empty(chart)
        return
    drawn = pieces(chart)
    ends: dict[str, float] = {}
    for piece in drawn:
        assert piece["start"] == ends.get(piece["row"], 0)
        ends[piece["row"]] = piece["end"]
    assert sum(int(piece["disks"].split()[0]) for piece in drawn) == len(priced)
    exact = sum((one[2] or Decimal(0) for one in priced), Decimal(0)) * 730
    assert abs(sum(ends.values()) - float(exact)) < 1e-6 * float(exact)
    named = {one[0] for one in priced}
    if len(named) <= MOST_ROWS:
        for owner in named:
            mine = sum((p for o, _, p, _ in priced if o == owner and p is not None), Decimal(0))
            assert ends["(no owner)" if owner is None else owner] == float(mine * 730)
