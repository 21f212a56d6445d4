import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.demand.texts import UnreadableError, parse_json, parse_toml

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)


def _paths(value: object, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    inner = (
        list(value.items())
        if isinstance(value, dict)
        else list(enumerate(value if isinstance(value, list) else ()))
    )
    return {path}.union(*(_paths(item, (*path, key)) for key, item in inner))


@pytest.mark.slow
@given(JSON, st.sampled_from([None, 1]), st.booleans())
def test_every_field_of_a_json_text_has_a_place(
    value: object, indent: int | None, ascii_only: bool
) -> None:
    """The places are those of exactly the values that the text holds."""
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    parsed = parse_json(text)
    assert parsed.value == value
    assert set(parsed.places()) == _paths(value)


def test_places_of_json_are_those_of_keys_and_items() -> None:
    """Lines and columns count from 1."""
    places = parse_json('{"a": [1,\n  {"b": 2}]}').places()
    assert places["a",] == (1, 2)
    assert places["a", 0] == (1, 8)
    assert places["a", 1, "b"] == (2, 4)


@pytest.mark.parametrize("number", ["0.00011545611010752688123", "1e-4", "0.1"])
def test_decimals_are_exact(number: str) -> None:
    """No number passes through a binary float on its way in."""
    assert parse_json(number).value == Decimal(number)
    assert parse_toml(f"x = {number}").value["x"] == Decimal(number)


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ('{"a": 1,\n "b" 2}', 2, 6, "not valid JSON"),
        (
            '{"a": {"c": 1},\n "b": 2, "a": 3}',
            2,
            10,
            "the key 'a' appears here for the second time",
        ),
        (
            '{"v": [{"a": 1}, {"a": 1,\n"a": 2}]}',
            2,
            1,
            "the key 'a' appears here for the second time",
        ),
        ("[" * 100_000, None, None, "nested too deeply"),
        ("9" * 5000, None, None, "a number is too large"),
        ("1e99999999999999999999", None, None, "a number is too large"),
    ],
)
def test_what_is_not_json_is_one_clear_error(
    text: str, line: int | None, column: int | None, message: str
) -> None:
    """Syntax, repeated keys, depth and monstrous numbers, each with its place where it has one."""
    with pytest.raises(UnreadableError, match=message) as caught:
        parse_json(text)
    assert (caught.value.line, caught.value.column) == (line, column)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a = 1\nb =\n", 2, "not valid TOML"),
        ("a = 1\na = 2\n", 2, "not valid TOML"),
        ("a = " + "[" * 100_000, None, "nested too deeply"),
        ("a = " + "9" * 5000, None, "a number is too large"),
        ("a = 1e99999999999999999999", None, "a number is too large"),
        ("a = ", None, "not valid TOML"),
    ],
)
def test_what_is_not_toml_is_one_clear_error(text: str, line: int | None, message: str) -> None:
    """As for JSON."""
    with pytest.raises(UnreadableError, match=message) as caught:
        parse_toml(text)
    assert line is None or caught.value.line == line


def test_places_of_toml_are_those_of_keys_and_tables() -> None:
    """Fields of an array of tables are found in the table they stand in."""
    text = """version = 1
[[volumes]]
name = "a"
[volumes.exclude]
  regions = ["x"]   # indented
[[volumes]]
name = "b"
[policy]
budgets.research = 1
"""
    places = parse_toml(text).places()
    assert places["volumes", 0, "exclude", "regions"] == (5, 3)
    assert places["volumes", 1] == (6, 1)
    assert places["volumes", 1, "name"] == (7, 1)
    assert places["policy", "budgets", "research"] == (9, 1)
