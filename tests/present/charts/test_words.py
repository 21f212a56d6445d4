"""Texts of charts."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.present.charts.base import counted, labels, lines, named, usd
from planner.text import visible

NAMES = st.one_of(st.none(), st.text(max_size=4), st.sampled_from(["a", "a (2)", "(no site)"]))


@pytest.mark.slow
@given(st.lists(st.text(alphabet="ab\x1b\\ (2)", max_size=6)))
def test_no_two_labels_are_equal(texts: list[str]) -> None:
    """Whatever things are called, each has a visible label of its own."""
    found = labels(dict(enumerate(texts)))
    assert list(found) == list(range(len(texts)))
    assert len(set(found.values())) == len(texts)
    assert all(visible(label) == label for label in found.values())
    assert all(found[at].startswith(visible(text)) for at, text in enumerate(texts))


@pytest.mark.slow
@given(st.dictionaries(NAMES, st.integers(-5, 5), max_size=9), st.integers(1, 4))
def test_the_largest_have_names_of_their_own(amounts: dict[str | None, int], most: int) -> None:
    """At most one more than most, the largest first; the others share the last."""
    found = named(amounts, most, "site")
    assert set(found) == set(amounts)
    order = [amounts[name] for name in found]
    assert order == sorted(order, reverse=True)
    shown = list(dict.fromkeys(found.values()))
    assert len(shown) == min(len(amounts), most + 1)
    if len(amounts) > most + 1:
        assert list(found.values()).count(shown[-1]) == len(amounts) - most
        assert shown[-1].startswith(f"{len(amounts) - most} more sites")


def test_one_more_is_not_summed_up() -> None:
    """Where one name would be left over, it takes the place of the rest."""
    assert list(named({"a": 3, "b": 2, "c": 1}, 2, "owner").values()) == ["a", "b", "c"]


def test_names_of_nothing_and_of_the_rest_can_be_taken() -> None:
    """An owner who is called like no owner, or like the others, is still told apart."""
    amounts = {None: 5, "(no owner)": 4, "2 more owners": 3, "x": 1, "y": 1}
    assert list(named(amounts, 3, "owner").values()) == [
        "(no owner)",
        "(no owner) (2)",
        "2 more owners",
        "2 more owners (2)",
        "2 more owners (2)",
    ]


def test_amounts_and_counts() -> None:
    """Amounts are rounded half up from the exact decimal, counts have their noun."""
    assert usd(Decimal("1340.505")) == "$1,340.51"
    assert usd(Decimal("-0.125")) == "-$0.13"
    assert usd(Decimal("-0.001")) == "$0.00"
    assert counted(1, "site") == "1 site"
    assert counted(1200, "disk is", "disks are") == "1,200 disks are"


def test_sentences_become_lines() -> None:
    """What there is to say is wrapped, what there is not leaves no trace."""
    assert lines([]) == []
    assert lines(["One", "", "Two"]) == ["One. Two."]
    assert all(len(line) <= 100 for line in lines(["word " * 50]))
