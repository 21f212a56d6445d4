"""Frames have the columns they declare, and a caller's frame is held against them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from planner.errors import FrameError
from planner.frames import EXACT, TEXT, WHOLE, YES_NO, Column, build, conform, records

COLUMNS = (
    Column("name", TEXT, "who"),
    Column("size_gb", WHOLE, "how large"),
    Column("ready", YES_NO, "whether"),
    Column("usd_hr", EXACT, "how much"),
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
        ("usd_hr", 0.1),
        ("usd_hr", 1),
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
        conform(pd.DataFrame({"size_gb": ["x"], "usd_hr": [0.1]}), COLUMNS, what="test")
    assert caught.value.failures == (
        "column name is missing",
        "column size_gb is not Int64",
        "column ready is missing",
        "column usd_hr is not exact (Decimal or tuple)",
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
