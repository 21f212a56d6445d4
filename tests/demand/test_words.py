from datetime import date
from decimal import Decimal

import pytest

from planner.demand.fields import SHOWN, cut, dotted, shown


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        ("4 TB", "'4 TB'"),
        (7, "7"),
        (0.5, "0.5"),
        (Decimal("NaN"), "NaN"),
        (10**4000, "a number with a great many digits"),
        ([1], "a list"),
        ({"a": 1}, "a mapping"),
        (date(2020, 1, 1), "a date or time"),
        (object(), "a value of another kind"),
    ],
)
def test_a_value_is_shown_in_plain_words(value: object, words: str) -> None:
    """A message names a value as its author would, whatever its type."""
    assert shown(value) == words


def test_long_and_invisible_text_is_cut_and_escaped() -> None:
    """Nothing from a file can flood or rewrite the terminal."""
    assert len(cut("x" * 1000)) == SHOWN
    assert cut("a\x1b[2Jb") == "a\\x1b[2Jb"
    assert len(cut("\x1b" * 1000)) == SHOWN


def test_a_path_is_dotted_and_odd_keys_are_quoted() -> None:
    """A field reads as it would be looked up, and an odd key cannot pass for a path."""
    assert dotted(("volumes", 2, "replicas")) == "volumes[2].replicas"
    assert dotted(("tags", "a.b")) == "tags.'a.b'"
    assert dotted(()) == ""
