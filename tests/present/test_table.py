"""Tables as text: safe in a spreadsheet and a page, exact, the same rows in every format."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.formats import Stream, digest_of, whole
from planner.present.table import Section, TableColumn
from planner.present.writers import markdown_text, to_csv, to_json, to_markdown
from planner.schema import (
    EXACT,
    TEXT,
    WHOLE,
    YES_NO,
    Column,
    build,
    frame_document,
    frame_section,
)

COLUMNS = (
    Column("name", TEXT, "who"),
    Column("size_gb", WHOLE, "how large"),
    Column("ready", YES_NO, "whether"),
    Column("usd_hr", EXACT, "how much"),
    Column("rules", EXACT, "which"),
    Column("tags", EXACT, "what"),
)
ROWS: list[dict[str, Any]] = [
    {
        "name": "=1+1",
        "size_gb": 5,
        "ready": True,
        "usd_hr": Decimal("0.00012328767123287671"),
        "rules": ("region", "stock"),
        "tags": {"team": "llm", "tier": "hot"},
    },
    dict.fromkeys(("name", "size_gb", "ready", "usd_hr", "rules", "tags")),
]


def csv_text(names: list[str], rows: list[list[Any]]) -> str:
    columns = tuple(TableColumn(name, name) for name in names)
    return to_csv(Section("rows", columns=columns, rows=tuple(map(tuple, rows))))


def read_csv(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


TAGS = '{"team":"llm","tier":"hot"}'


def test_tags_are_read_back_from_csv() -> None:
    """Blanks, equals signs, quotes, formulas and control characters in a tag stay in it."""
    tags = {"a": "x b=y", "b": 'z"', "=c": "\x1b\n\u202e", "": "é,;"}
    text = csv_text(["tags"], [[tags], [{}]])
    assert json.loads(read_csv(text)[1][0]) == tags
    assert read_csv(text)[2] == [""]


def test_a_frame_as_csv() -> None:
    """Exact amounts, parts in one cell, nothing for null, and no formula for a spreadsheet."""
    assert read_csv(to_csv(frame_section(build(ROWS, COLUMNS)))) == [
        ["name", "size_gb", "ready", "usd_hr", "rules", "tags"],
        ["'=1+1", "5", "true", "0.00012328767123287671", "region stock", TAGS],
        ["", "", "", "", "", ""],
    ]


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(_VALUES)
def test_json_made_record_by_record_is_the_same_text(value: Any) -> None:
    """However deep, and of whatever text: as if it had been written at once."""
    assert to_json(value) == json.dumps(value, indent=2)


def test_a_stream_is_written_as_its_list_and_read_again() -> None:
    rows = [{"a": [1, {}], "b": "\n"}, {"a": [], "b": None}]
    document = {"rows": Stream(lambda: iter(rows)), "none": Stream(lambda: iter(()))}
    for _ in range(2):
        assert to_json(document) == json.dumps({"rows": rows, "none": []}, indent=2)
    assert whole(document) == {"rows": rows, "none": []}
    assert digest_of(document) == digest_of(whole(document))


def test_a_frame_as_json() -> None:
    """Amounts are text, tuples lists, and text stays what it is."""
    assert json.loads(to_json(frame_document(build(ROWS, COLUMNS)))) == [
        {**ROWS[0], "usd_hr": "0.00012328767123287671", "rules": ["region", "stock"]},
        ROWS[1],
    ]
    assert json.loads(to_json(frame_document(build([], COLUMNS)))) == []


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        (Decimal("-41.20"), "-41.2"),
        (Decimal("1E-7"), "0.0000001"),
        (-5, "-5"),
        (-0.5, "-0.5"),
        (False, "false"),
        (None, ""),
        ("-5", "'-5"),
        ("+ $/month", "'+ $/month"),
        ("@import", "'@import"),
        (["=1", "2"], "'=1 2"),
        ({"=cmd": "x"}, '{"=cmd":"x"}'),
        ("two\nlines", "two\\nlines"),
        ("\x1b[2J", "\\x1b[2J"),
    ],
)
def test_numbers_keep_their_sign_and_text_is_no_formula(cell: Any, written: str) -> None:
    """A negative difference is a number; text that opens like a formula is quoted."""
    assert read_csv(csv_text(["a"], [[cell]])) == [["a"], [written]]


def test_headings_are_text_from_outside_too() -> None:
    """A tag may be a heading, and is no formula there either."""
    assert read_csv(csv_text(["=a", "b"], [])) == [["'=a", "b"]]


@pytest.mark.slow
@given(st.lists(st.text(), min_size=1))
def test_no_cell_of_text_is_a_formula_or_breaks_its_row(texts: list[str]) -> None:
    """Whatever the texts are, there is one line, and no cell opens as a spreadsheet's formula."""
    lines = csv_text(["x"] * len(texts), [texts]).splitlines()
    assert len(lines) == 2
    (cells,) = csv.reader(lines[1:])
    assert len(cells) == len(texts)
    assert not [one for one in cells if one.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_markdown_is_a_table() -> None:
    """Headings, alignment, rows; a bar in a cell is no border."""
    columns = (TableColumn("who", "who"), TableColumn("usd", "$", "usd"))
    assert to_markdown([Section("rows", "", columns, (("a|b", Decimal(1)),))]) == (
        "| who | $ |\n| --- | ---: |\n| a\\|b | 1.00 |\n"
    )


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("<script>", "&lt;script&gt;"),
        ("[x](http://evil)", "\\[x\\](http&#58;//evil)"),
        ("www.evil.example", "www&#46;evil.example"),
        ("@everyone", "&#64;everyone"),
        ("*a* _b_ `c` ~d~ !e", "\\*a\\* \\_b\\_ \\`c\\` \\~d\\~ \\!e"),
        ("&lt;", "&amp;lt;"),
        ("\x1b[2J\u202e", "\\\\x1b\\[2J\\\\u202e"),
    ],
)
def test_markdown_shows_text_as_it_is(text: str, written: str) -> None:
    """No markup, no link, nobody called, no mark that reorders the line."""
    assert markdown_text(text) == written
