"""Axes of a grid: lists of values, each held against what the demand file may say."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from planner.analysis.grid import MAX_POINTS, axes_of
from planner.demand.read import demand_from
from planner.errors import InputError

if TYPE_CHECKING:
    from planner.analysis.grid import Axis

DEMAND = demand_from(
    {
        "version": 1,
        "volumes": [
            {"name": "corpus", "size_gb": 100, "owner": "ada"},
            {"name": "scratch", "size_gb": 10, "count": 2},
        ],
        "workloads": [{"name": "train", "gpu": "H100_80GB", "mounts": ["corpus"]}],
    }
)


def axes(grid: Any) -> tuple[Axis, ...]:
    return axes_of(grid, DEMAND, {"price_factor": {"alpha"}, "gpu_price_factor": {"alpha"}})


def settings(key: str, *values: Any) -> tuple[Any, ...]:
    return axes({key: list(values)})[0].settings


@pytest.mark.parametrize(
    ("given", "values"),
    [
        ([1, 2], (1, 2)),
        ((1, 2), (1, 2)),
        (range(1, 3), (1, 2)),
        ((n for n in (1, 2)), (1, 2)),
        (np.array([1, 2]), (1, 2)),
        ([np.int64(1), 2], (1, 2)),
        (pd.Series([1, 2]), (1, 2)),
        (2, (2,)),
        (np.int64(2), (2,)),
        (None, (None,)),
    ],
)
def test_a_list_is_the_values_and_anything_else_is_one(given: Any, values: Any) -> None:
    """Whatever can be gone through in order is a list of values; a number or null is a value."""
    (axis,) = axes({"replicas": given})
    assert axis.given == values
    assert {type(value) for value in axis.given} <= {int, type(None)}


def test_text_is_one_value() -> None:
    """The letters of a region are no values."""
    assert axes({"regions": "canada"})[0].given == ("canada",)


def test_a_list_of_places_is_a_value_of_the_list() -> None:
    """Each value is a list of places or the name of one; null lifts; the order is nobody's."""
    found = settings("regions", "canada", ["eu_north", "canada"], ("canada",), None)
    assert found == (("canada",), ("canada", "eu_north"), ("canada",), None)


@pytest.mark.parametrize(
    ("key", "value", "setting"),
    [
        ("size", "4 TB", 4000),
        ("size_gb", 7, 7),
        ("headroom", "25%", Decimal(25)),
        ("headroom", None, Decimal(0)),
        ("replicas", None, 1),
        ("spread", "provider", "provider"),
        ("spread", None, "data_center"),
        ("multinode", True, True),
        ("multinode", None, False),
        ("stock", None, None),
        ("security", None, "any"),
        ("max_usd_gb_hr", 0.00012, Decimal("0.00012")),
        ("disks", ["disk-0001"], ("disk-0001",)),
        ("disks", None, ()),
        ("owner", "bob", "bob"),
        ("exclude.regions", "canada", ("canada",)),
        ("exclude.regions", None, ()),
        ("exclude", {"regions": ["canada"], "countries": None}, {"regions": ("canada",)}),
        ("max_provider_share", "70%", Decimal("0.70")),
        ("max_sites", None, None),
        ("hours_per_month", None, 730),
        ("budget_usd_month", "899.50", Decimal("899.50")),
        ("budgets", {"ada": 5, "bob": None}, {"ada": Decimal(5)}),
        ("budgets.ada", None, None),
        ("workloads.hours_per_month", None, None),
        ("mounts", "scratch", ("scratch-1", "scratch-2")),
        ("mounts", ["scratch-2", "corpus"], ("corpus", "scratch-2")),
        ("price_factor", 1.1, Decimal("1.1")),
        ("price_factor", 2, Decimal(2)),
        ("price_factor", " 0.95 ", Decimal("0.95")),
        ("price_factor", Decimal("1.25"), Decimal("1.25")),
        ("price_factor", "1e-2", Decimal("0.01")),
        ("gpu_price_factor", 0.1 + 0.2, Decimal("0.30000000000000004")),
    ],
)
def test_a_value_is_read_as_the_file_reads_it(key: str, value: Any, setting: Any) -> None:
    """Units, percentages, exact amounts, one place for a list of one, null for the default."""
    (found,) = settings(key, value)
    assert found == setting
    assert type(found) is type(setting)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("replicas", "2", "`replicas` = '2': a whole number was expected, not '2'; write it"),
        ("replicas", 0, "`replicas` = 0: at least 1 was expected, not 0"),
        ("replicas", True, "`replicas` = true: a whole number was expected, not true"),
        ("replicas", [1, 2], "`replicas` = [1, 2]: a whole number was expected, not a list"),
        ("size", 4, "`size` = 4: 4 has no unit; write '4 GB', or size_gb: 4"),
        ("corpus.size", None, "`corpus.size` = null: a volume has a size"),
        ("spread", "provder", "`spread` = 'provder': 'provder' is not one of none, site, "),
        ("max_provider_share", 70, "`max_provider_share` = 70: 70 has no sign; write '70%' or 0.7"),
        ("headroom", 0.25, "`headroom` = 0.25: 0.25 is ambiguous; write '25%' or '0.25%'"),
        ("regions", [], "`regions` = []: an empty list allows nothing"),
        ("regions", [1], "`regions` = [1]: text was expected, not 1"),
        ("exclude", {"region": ["x"]}, "`exclude` = a mapping: no such field; did you mean `regi"),
        ("budgets.ada", -1, "`budgets.ada` = -1: a budget is at least 0, not -1"),
        ("hours_per_month", 100, "`hours_per_month` = 100: at least 672 was expected, not 100"),
        ("gpu", None, "`gpu` = null: text was expected, not null"),
        ("mounts", ["corpsu"], "`mounts` = ['corpsu']: no volume is called 'corpsu'; did you mean"),
        ("price_factor", 0, "`price_factor` = 0: a factor on prices is a number above 0"),
        ("price_factor", -1, "`price_factor` = -1: a factor on prices is a number above 0"),
        ("price_factor", None, "`price_factor` = null: a factor on prices is a number above 0"),
        ("price_factor", True, "`price_factor` = true: a factor on prices is a number above 0"),
        ("price_factor", "1.1x", "`price_factor` = '1.1x': a factor on prices is a number above"),
        ("price_factor", "110%", "`price_factor` = '110%': a factor on prices is a number above"),
        ("price_factor", float("nan"), "`price_factor` = nan: a factor on prices is a number"),
        ("price_factor", float("inf"), "`price_factor` = inf: a factor on prices is a number"),
        ("price_factor", "1e99", "`price_factor` = '1e99': a factor on prices is a number above"),
        ("price_factor", [1.1], "`price_factor` = [1.1]: a factor on prices is a number above 0"),
    ],
)
def test_a_value_that_the_file_may_not_have_is_an_error(key: str, value: Any, message: str) -> None:
    """The message names key and value, and says what the file's would."""
    with pytest.raises(InputError) as caught:
        axes({key: [value]})
    assert str(caught.value).startswith(message)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("max_sites", "policy.max_sites"),
        ("replicas", "volumes.replicas"),
        ("corpus.size", "volumes.corpus.size_gb"),
    ],
)
def test_two_keys_for_one_thing_are_an_error(first: str, second: str) -> None:
    """Which of the two would hold, nobody could say."""
    value = {"size": "1 GB"}.get(first.rpartition(".")[2], 1)
    with pytest.raises(InputError, match=f"`{first}` and `{second}` change the same thing"):
        axes({first: [value], second: [1]})


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ([("replicas", [1])], "a grid is a mapping of what is changed"),
        ("replicas", "a grid is a mapping of what is changed to the values to try, not 'replicas'"),
        ({1: [1]}, "a key of a grid is text, not 1"),
        ({"replicas": []}, "`replicas`: there are no values to try"),
        ({"replicas": {1, 2}}, "`replicas`: its values are a set, which has no order"),
        (
            {"replicas": range(1, 101), "max_sites": range(1, 1002)},
            "the grid has 100,100 points; at most 100,000 are planned",
        ),
    ],
)
def test_what_is_no_grid_is_an_error(grid: Any, message: str) -> None:
    """No mapping, no text for a key, no values, no order, or no end."""
    with pytest.raises(InputError) as caught:
        axes(grid)
    assert str(caught.value).startswith(message)
    assert caught.value.hint


def test_the_largest_grid_is_allowed() -> None:
    """As many points as there may be."""
    found = axes({"replicas": range(1, 101), "max_sites": range(1, 1001)})
    assert len(found[0].given) * len(found[1].given) == MAX_POINTS


def test_an_owner_of_the_grid_may_have_a_budget() -> None:
    """Who owns nothing yet, but will at a point, is known."""
    assert len(axes({"corpus.owner": ["bob"], "budgets.bob": [5]})) == 2
