"""Text from outside is made safe to show, and stays readable."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.present.writers import csv_cell
from planner.text import nearest, visible

TEXTS = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize("plain", ["", "US-1", "a b", "caf\u00e9", "\u6771\u4eac", "\u00a7 <b> \\"])
def test_what_can_be_shown_is_shown(plain: str) -> None:
    """Letters of any script and ordinary signs stay."""
    assert visible(plain) == plain


@pytest.mark.parametrize(
    ("character", "shown"),
    [
        ("\x00", "\\x00"),
        ("\x07", "\\x07"),
        ("\t", "\\t"),
        ("\n", "\\n"),
        ("\r", "\\r"),
        ("\x1b", "\\x1b"),
        ("\x7f", "\\x7f"),
        ("\x85", "\\x85"),
        ("\x9b", "\\x9b"),
        ("\u00ad", "\\xad"),
        ("\u034f", "\\u034f"),
        ("\u061c", "\\u061c"),
        ("\u115f", "\\u115f"),
        ("\u200b", "\\u200b"),
        ("\u200d", "\\u200d"),
        ("\u200f", "\\u200f"),
        ("\u2028", "\\u2028"),
        ("\u2029", "\\u2029"),
        ("\u202e", "\\u202e"),
        ("\u2066", "\\u2066"),
        ("\u2800", "\\u2800"),
        ("\u3164", "\\u3164"),
        ("\ufe0f", "\\ufe0f"),
        ("\ufeff", "\\ufeff"),
        ("\uffa0", "\\uffa0"),
        ("\ufff9", "\\ufff9"),
        ("\uffff", "\\uffff"),
        ("\ue000", "\\ue000"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("\U000e0100", "\\U000e0100"),
        ("\U0010ffff", "\\U0010ffff"),
    ],
)
def test_what_must_not_reach_a_terminal(character: str, shown: str) -> None:
    """Controls, direction marks, tags, fillers and halves of characters become escapes."""
    assert visible(f"a{character}b") == f"a{shown}b"


@settings(deadline=None)
@given(TEXTS)
def test_visible_text_is_harmless(anything: str) -> None:
    """Whatever comes in, what goes out has one line, one direction, and can be written."""
    shown = visible(anything)
    assert not {unicodedata.category(each) for each in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert len(shown.splitlines()) <= 1
    shown.encode()
    assert visible(shown) == shown


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_formula_is_neutralised(start: str) -> None:
    """A cell that a spreadsheet would run is text; the same sign further on is nothing."""
    assert csv_cell(f"{start}cmd|' /C calc'!A0").startswith("'")
    assert csv_cell(f"a{start}1") == visible(f"a{start}1")


@pytest.mark.slow
@settings(deadline=None)
@given(TEXTS)
def test_cells_are_harmless(anything: str) -> None:
    """No cell starts a formula or a line."""
    cell = csv_cell(anything)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert "\n" not in cell


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("Canada", "canada"),
        ("canda", "canada"),
        ("CANADA", "canada"),
        ("us_states", "united_states"),
        ("", None),
        ("zzz", None),
        ("\x1b[2J", None),
    ],
)
def test_nearest(word: str, meant: str | None) -> None:
    """The name that was most likely meant, whatever its case, or none."""
    assert nearest(word, ["eu_north", "canada", "united_states"]) == meant


def test_nearest_does_not_depend_on_order() -> None:
    """Equally near names are chosen the same way each time."""
    names = ["node-1", "node-2", "node-3"]
    assert (
        nearest("node-", names) == nearest("node-", reversed(names)) == nearest("node-", {*names})
    )
    assert nearest("x", []) is None
