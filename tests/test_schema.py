"""Frames have the columns they declare, and a caller's frame is held against them."""

from __future__ import annotations

import copy
import pickle
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from planner.errors import FrameError
from planner.schema import (
    AMOUNT,
    EXACT,
    TEXT,
    WHOLE,
    YES_NO,
    Column,
    Table,
    build,
    conform,
    records,
)
from tests.looks import HOSTILE, SHOWN, look

if TYPE_CHECKING:
    from collections.abc import Callable

COLUMNS = (
    Column("name", TEXT, "who"),
    Column("size_gb", WHOLE, "how large"),
    Column("ready", YES_NO, "whether"),
    Column("usd_hr", AMOUNT, "how much"),
)
GOOD = {"name": "a", "size_gb": 5, "ready": True, "usd_hr": Decimal("0.1")}
NULLS: list[Any] = [None, float("nan"), np.float64("nan"), pd.NA, pd.NaT]


def frame(**columns: list[Any]) -> pd.DataFrame:
    """Return a frame of one row of each kind, with these columns in place of its own."""
    return pd.DataFrame({**{name: [value] for name, value in GOOD.items()}, **columns})


@pytest.mark.parametrize("count", [0, 1, 3])
def test_build_has_declared_types(count: int) -> None:
    """Types are declared, not guessed from the values: for no rows, for all null, for some."""
    for row in (GOOD, dict.fromkeys(GOOD)):
        built = build([row] * count, COLUMNS)
        assert [str(dtype) for dtype in built.dtypes] == [TEXT, WHOLE, YES_NO, EXACT]
        assert records(built) == [row] * count


def test_build_keeps_none_in_exact_columns() -> None:
    """An amount that is missing is None under every pandas, so ``is None`` and isna agree."""
    built = build([GOOD, dict.fromkeys(GOOD)], COLUMNS)
    assert built["usd_hr"].tolist() == [Decimal("0.1"), None]
    assert built["usd_hr"].isna().tolist() == [False, True]


def test_build_leaves_other_keys_out() -> None:
    """Only declared columns, in the declared order."""
    assert list(build([{"other": 1, **GOOD}], COLUMNS).columns) == list(GOOD)


@pytest.mark.parametrize("null", NULLS, ids=repr)
def test_records_have_one_null(null: object) -> None:
    """Whatever pandas calls a missing value, a record calls it None."""
    loose = pd.DataFrame({"a": pd.Series([null, "x"], dtype="object")})
    assert records(loose) == [{"a": None}, {"a": "x"}]


def test_records_are_plain_values() -> None:
    """A record holds Python's own types, which JSON can be written from."""
    (row,) = records(build([GOOD], COLUMNS))
    assert [type(value) for value in row.values()] == [str, int, bool, Decimal]


def test_records_of_nothing() -> None:
    """No rows are no records, and no columns neither."""
    assert records(build([], COLUMNS)) == []
    assert records(pd.DataFrame()) == []


def test_conform_takes_what_pandas_makes_of_data() -> None:
    """Columns as a caller's pandas has them are understood where nothing is lost."""
    loose = pd.DataFrame(
        {
            "size_gb": [5.0, float("nan")],
            "usd_hr": [Decimal("0.1"), float("nan")],
            "extra": [1, 2],
            "ready": [True, None],
            "name": ["a", None],
        },
        index=[7, 3],
    )
    found = conform(loose, COLUMNS, what="test")
    assert list(found.columns) == list(GOOD)
    assert list(found.index) == [0, 1]
    assert [str(dtype) for dtype in found.dtypes] == [TEXT, WHOLE, YES_NO, EXACT]
    assert records(found) == [GOOD, dict.fromkeys(GOOD)]
    assert found["usd_hr"].tolist() == [Decimal("0.1"), None]


def test_conform_twice_is_once() -> None:
    """A frame that conforms stays as it is."""
    built = build([GOOD, dict.fromkeys(GOOD)], COLUMNS)
    pd.testing.assert_frame_equal(conform(built, COLUMNS, what="test"), built)


def test_conform_keeps_attrs_and_changes_nothing() -> None:
    """The caller's frame keeps index, columns, types and attrs; the result has its own attrs."""
    loose = frame(extra=[1])
    loose.index = pd.Index(["x"])
    loose.attrs = {"source": "here"}
    before = loose.copy()
    found = conform(loose, COLUMNS, what="test")
    found.attrs["source"] = "there"
    found.loc[0, "name"] = "changed"
    pd.testing.assert_frame_equal(loose, before)
    assert loose.attrs == {"source": "here"}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("name", 5),
        ("name", ["a"]),
        ("name", b"a"),
        ("size_gb", "5"),
        ("size_gb", 5.5),
        ("size_gb", float("inf")),
        ("size_gb", 2**70),
        ("size_gb", [5]),
        ("ready", "True"),
        ("ready", 2),
        ("usd_hr", True),
        ("usd_hr", "0.1"),
        ("usd_hr", [Decimal(1)]),
    ],
)
def test_conform_refuses_other_types(column: str, value: object) -> None:
    """A value of another type is refused by its column, not turned into what was declared."""
    with pytest.raises(FrameError, match=f"things: column {column} is not ") as caught:
        conform(frame(**{column: [value]}), COLUMNS, what="things")
    assert len(caught.value.failures) == 1


def test_conform_names_every_failure() -> None:
    """All that is wrong is said at once."""
    with pytest.raises(FrameError) as caught:
        conform(pd.DataFrame({"size_gb": ["x"], "usd_hr": ["0.1"]}), COLUMNS, what="test")
    assert caught.value.failures == (
        "column name is missing",
        "column size_gb is not Int64",
        "column ready is missing",
        "column usd_hr is not of numbers",
    )
    assert caught.value.exit_code == 2


def test_conform_of_a_repeated_column() -> None:
    """A column that is there twice is not one column."""
    twice = pd.concat([frame(), frame()[["name"]]], axis=1)
    with pytest.raises(FrameError, match="column name"):
        conform(twice, COLUMNS, what="test")


def test_tuples_are_exact_values() -> None:
    """Tuples, of several ids for example, are kept as they are."""
    column = (Column("ids", EXACT, "ids"),)
    built = build([{"ids": ("a", "b")}, {"ids": ()}], column)
    assert records(conform(built, column, what="test")) == [{"ids": ("a", "b")}, {"ids": ()}]


# What a notebook shows.

NAMES = list(GOOD)
RULES = tuple(f"rule_number_{n}" for n in range(12))
DASH = "\N{EN DASH}"


def many(count: int) -> Table:
    """Return a table of so many rows, their sizes from 0."""
    return build([{**GOOD, "size_gb": n} for n in range(count)], COLUMNS)


def test_a_notebook_shows_every_value_once() -> None:
    """Headings, yes and no, a dash for null, amounts in short, and how many rows there are."""
    rows = [GOOD | {"usd_hr": Decimal("1234.567891"), "size_gb": 8192}, dict.fromkeys(GOOD)]
    seen = look(build(rows, COLUMNS))
    assert seen.rows == [NAMES, ["a", "8,192", "yes", "1,234.5679"], [DASH] * 4]
    assert seen.lines[-1] == "2 rows"
    assert seen.titles == ["who", "how large", "whether", "how much", "1234.567891"]


def test_numbers_are_right_and_words_left() -> None:
    """Also where some, or all, are unknown."""
    html = build([GOOD, dict.fromkeys(GOOD)], COLUMNS)._repr_html_()
    assert html is not None
    aligned = [cell.split('"')[1].split(";")[0] for cell in html.split("<t")[4:] if "style" in cell]
    expected = ["text-align:left", "text-align:right", "text-align:left", "text-align:right"]
    assert [one for one in aligned if one.startswith("text-align")] == expected * 3


@pytest.mark.parametrize(("evil", "shown"), [*zip(HOSTILE, SHOWN, strict=True)])
def test_a_notebook_shows_hostile_text_as_text(evil: str, shown: str) -> None:
    """In a cell, a tuple, a mapping, a heading, an index and the name of a source."""
    frame = build(
        [{"a": evil, "b": (evil,), "c": {evil: evil}}], [Column(n, EXACT, evil) for n in "abc"]
    )
    frame = frame.rename(columns={"c": evil}).set_index("a", drop=False)
    frame.attrs = {"source": evil, "fetched_at": evil}
    seen = look(frame)
    assert seen.rows == [["a", "a", "b", shown], [shown, shown, shown, f"{shown}={shown}"]]
    assert seen.titles == [shown] * 3
    assert seen.lines[-1] == f"1 row; from {shown}; fetched {shown}"


def test_nothing_is_cut() -> None:
    """Every rule of a long tuple is there, whatever width pandas would give it."""
    with pd.option_context("display.max_colwidth", 10):
        seen = look(build([{"rules": RULES}], [Column("rules", EXACT, "all")]))
    assert seen.rows[1] == [", ".join(RULES)]


@pytest.mark.parametrize(
    ("most", "count", "shown"),
    [(60, 60, 60), (60, 61, 60), (5, 61, 5), (None, 200, 200), (0, 200, 200)],
)
def test_rows_beyond_the_limit_are_counted(most: int | None, count: int, shown: int) -> None:
    """As many as pandas' own option says, sixty where nobody set it, from the first."""
    with pd.option_context("display.max_rows", most):
        seen = look(many(count))
    assert [row[1] for row in seen.rows[1:]] == [str(n) for n in range(shown)]
    rest = "" if shown == count else f", the first {shown} shown"
    assert seen.lines[-1] == f"{count} rows{rest}"


def test_columns_beyond_sixty_are_counted() -> None:
    """A pivot of thousands of columns does not fill the page."""
    wide = Table({f"c{n}": [n] for n in range(70)})
    seen = look(wide)
    assert seen.rows[1] == [str(n) for n in range(60)]
    assert seen.lines[-1] == "1 row; 70 columns, the first 60 shown"


def test_an_empty_table_is_shown_as_one() -> None:
    """Its columns are there, and that it has no rows."""
    seen = look(build([], COLUMNS))
    assert (seen.rows, seen.lines[-1]) == ([NAMES], "no rows")
    assert look(Table()).lines[-1] == "no rows"


def test_an_index_is_shown_where_it_says_something() -> None:
    """Row numbers from zero say nothing; the labels of a filtered table lead to its rows."""
    table = many(3)
    assert look(table).rows[0] == NAMES
    assert look(table[table["size_gb"] > 0]).rows[1:] == [
        ["1", "a", "1", "yes", "0.1000"],
        ["2", "a", "2", "yes", "0.1000"],
    ]
    assert look(table.set_index(["name", "size_gb"])).rows[:2] == [
        ["name", "size_gb", "ready", "usd_hr"],
        ["a", "0", "yes", "0.1000"],
    ]
    with_labels = look(table.pivot_table(index="ready", columns=["name"], values=["size_gb"]))
    assert with_labels.rows == [["ready", "size_gb, a"], ["yes", "1"]]


def test_columns_of_one_name_are_both_shown() -> None:
    """A caller's frame may have a name twice."""
    twice = pd.concat([many(1), many(1)], axis=1)
    assert look(twice).rows[0] == [*NAMES, *NAMES]


def test_a_person_may_turn_it_off() -> None:
    """Where pandas is told to show plain text, this one does too."""
    with pd.option_context("display.notebook_repr_html", False):  # noqa: FBT003 -- pandas' own
        assert many(1)._repr_html_() is None


HANDLED: dict[str, Callable[[Table], pd.DataFrame]] = {
    "filter": lambda table: table[table["size_gb"] == 1],
    "query": lambda table: table.query("size_gb == 1"),
    "sort": lambda table: table.sort_values("size_gb", ascending=False),
    "columns": lambda table: table[["name", "usd_hr"]],
    "head": lambda table: table.head(1),
    "loc": lambda table: table.loc[1:, ["name"]],
    "assign": lambda table: table.assign(more=1),
    "copy": lambda table: table.copy(),
    "deep copy": copy.deepcopy,
    "pickle": lambda table: pickle.loads(pickle.dumps(table)),  # noqa: S301 -- its own
    "concat": lambda table: pd.concat([table, table], ignore_index=True),
    "merge": lambda table: table.merge(pd.DataFrame({"name": ["a"], "more": [1]}), on="name"),
    "explode": lambda table: table.explode("name"),
    "rename": lambda table: table.rename(columns={"name": "who"}),
    "reset": lambda table: table.reset_index(drop=True),
    "conform": lambda table: conform(table, COLUMNS, what="test"),
}


@pytest.mark.parametrize("name", HANDLED)
def test_what_a_table_becomes_is_shown_as_one(name: str) -> None:
    """Whatever a person does to it gives what pandas gives, and still looks well."""
    table = many(3)
    handled, plain = HANDLED[name](table), HANDLED[name](pd.DataFrame(many(3)))  # type: ignore[arg-type]
    assert type(handled) is Table
    pd.testing.assert_frame_equal(handled, plain, check_frame_type=False)
    assert look(handled).lines[-1].endswith(("row", "rows"))


@pytest.mark.parametrize("name", ["filter", "sort", "columns", "copy", "pickle", "conform"])
def test_headings_go_on_saying_what_they_mean(name: str) -> None:
    """The declaration goes along with the columns."""
    assert "how much" in look(HANDLED[name](many(3))).titles


def test_showing_changes_nothing() -> None:
    """Values, types and attrs stay, and so does what pandas prints."""
    table = build([GOOD, dict.fromkeys(GOOD)], COLUMNS)
    table.attrs = {"source": "here"}
    before = pd.DataFrame(table).copy()
    look(table)
    pd.testing.assert_frame_equal(pd.DataFrame(table), before)
    assert records(table) == [GOOD, dict.fromkeys(GOOD)]
    assert table.attrs == {"source": "here"}
    assert repr(table) == repr(before)


@pytest.mark.parametrize("value", [[1], {1}, object, np.array([1, 2]), 1j], ids=repr)
def test_a_value_of_any_kind_is_shown(value: object) -> None:
    """A caller may put anything in; it is shown as Python writes it, never an error."""
    frame = Table({"a": pd.Series([value], dtype=object)})
    assert len(look(frame).rows) == 2
