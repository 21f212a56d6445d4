from decimal import Decimal
from typing import Any

import pytest
from ruamel.yaml import YAML

from planner.demand import texts
from planner.demand.texts import UnreadableError, _value, parse_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO", "NO"),
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("null", None),
        ("~", None),
        ("1e-4", Decimal("0.0001")),
        ("0.00012", Decimal("0.00012")),
        ("0.00011545611010752688123", Decimal("0.00011545611010752688123")),
        ("-7", -7),
        ("0x10", 16),
        ("0o17", 15),
        ("'5'", "5"),
        ("!!str 5", "5"),
        ("12:30", "12:30"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    """Norway is a country, 1e-4 is a number, and no number is a binary float."""
    result = parse_yaml(f"x: {text}").value["x"]
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize("text", [".nan", ".inf", "-.inf", ".NaN", "-.INF"])
def test_what_is_not_finite_is_still_read(text: str) -> None:
    """It is the field's to refuse it, with its own words and beside the other problems."""
    assert not parse_yaml(f"x: {text}").value["x"].is_finite()


def test_places_are_those_of_keys_and_items() -> None:
    """Lines and columns count from 1."""
    places = parse_yaml("a: 1\nb:\n  - {c: 2}\n").places()
    assert places == {
        (): (1, 1),
        ("a",): (1, 1),
        ("b",): (2, 1),
        ("b", 0): (3, 5),
        ("b", 0, "c"): (3, 6),
    }


def test_an_alias_is_a_copy() -> None:
    """Sharing a list by anchor is plain YAML."""
    assert parse_yaml("a: &x [1]\nb: *x\n").value == {"a": [1], "b": [1]}


def test_an_anchor_may_be_used_again() -> None:
    """The later definition holds, and no warning escapes."""
    assert parse_yaml("a: &x 1\nb: &x 2\nc: *x\n").value["c"] == 2


_BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "the key 'a' appears here for the second time"),
        ("a: 1\n---\nb: 2\n", 2, "a second document begins here"),
        ("a:\n\tb: 1\n", 2, "a tab cannot indent YAML"),
        ("a: [1\nb: 2\n", 2, "not valid YAML"),
        ("a: *x\n", 1, "not valid YAML"),
        ("a: 1\nb: &x [*x]\n", 2, "contains itself"),
        (_BOMB, None, "counting every alias in full"),
        ("a: " + "[" * 5000, 1, "nested too deeply"),
        ("a: 1\nb: 2020-01-01\n", 2, "'2020-01-01' reads as a date; write it in quotes"),
        ("a: !foo 1\n", 1, "the tag !foo is not understood"),
        ("a: !!binary aGk=\n", 1, "the tag !!binary is not understood"),
        ("a: !!set {x}\n", 1, "the tag !!set is not understood"),
        ("a: !!timestamp [x]\n", 1, "a list reads as a date"),
        ("a: !!int many\n", 1, "'many' is not a value"),
        ("a: !!bool many\n", 1, "'many' is not a value"),
        ("a: !!float many\n", 1, "'many' is not a value"),
        ("a: " + "9" * 5000, 1, "is not a value"),
        ("5: 1\n", 1, "a key must be text; write '5' in quotes"),
        ("[a]: 1\n", 1, "a key must be text, not a list"),
        ("a: &x {b: 1}\nc: {<<: *x}\n", 2, "merge keys"),
        ("%YAML 3.0\n---\na: 1\n", None, "not valid YAML"),
        ("a: \x07\n", None, "not valid YAML"),
    ],
)
def test_what_a_demand_cannot_hold_is_one_clear_error(
    text: str, line: int | None, message: str
) -> None:
    """Syntax, bombs and YAML's other types end in a sentence with their line."""
    with pytest.raises(UnreadableError, match=message) as caught:
        parse_yaml(text)
    assert line is None or caught.value.line == line
    assert len(caught.value.message) < 200


_PLAIN = """
# A comment.
version: 1
volumes:
- {name: a, size: 4 TB, tags: {team: 'x', "n": "5"}}
- name: b
  size_gb: 0x10
  regions: [eu_north, "no", NO, ~]
  max_usd_gb_hr: 1e-4
  note: |
    two
    lines
"""


@pytest.mark.parametrize(
    "text",
    [
        _PLAIN,
        "[]",
        "{}",
        "a: >-\n  b\n  c\n",
        "a: 1\n...\n",
        "---\na: 1\n",
        "%YAML 1.2\n---\na: yes\n",
        "? a\n: 1\n",
        "a: &x 1\nb: *x\n",
        "a: !!str 1\n",
        "a: ''\nb: null\nc:\n",
        "plain",
        "",
        "- [1, [2, {a: [3]}]]\n",
        "[" * 64 + "]" * 64,
        "a: !\n",
        "a: ! 1\n",
    ],
)
def test_a_text_is_what_its_nodes_stand_for(text: str) -> None:
    """What is read event by event is what ruamel composes, aliases and directives included."""
    composed = YAML(typ="safe", pure=True).compose(text)
    assert parse_yaml(text).value == (None if composed is None else _of(composed))


def _of(node: Any) -> Any:
    if node.id == "mapping":
        return {_of(key): _of(item) for key, item in node.value}
    return [*map(_of, node.value)] if node.id == "sequence" else _value(str(node.tag), node.value)


def test_places_are_worked_out_where_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long file has millions of them."""
    read = parse_yaml(_PLAIN)
    places = read.places()
    assert places["volumes", 1, "regions", 2] == (8, 29)
    monkeypatch.setattr(texts, "_place", None)
    assert parse_yaml(_PLAIN).value == read.value


def test_what_is_repeated_stands_where_it_is_written() -> None:
    """An alias at its own place, the fields of what it repeats at theirs; keys may be aliases."""
    read = parse_yaml("a: &x {b: [1, &k c]}\nd: [*x]\n*k : 2\n")
    assert read.value == {"a": {"b": [1, "c"]}, "d": [{"b": [1, "c"]}], "c": 2}
    places = read.places()
    assert places["d", 0] == (2, 5)
    assert places["d", 0, "b", 1] == places["a", "b", 1] == (1, 15)
