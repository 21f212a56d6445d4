"""The libraries that draw are an extra, loaded by the first chart."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from planner.analysis.explain import REQUIREMENTS
from planner.errors import InputError
from planner.market.offers import OFFERS
from planner.present.charts.base import drawable, svg
from planner.present.charts.budget import CHART_BUDGETS, budget_chart
from planner.present.charts.cost import COST_DISKS, cost_chart
from planner.present.charts.price import price_chart, requirement_chart
from planner.present.charts.tradeoff import SWEPT, tradeoff_chart
from planner.schema import build

if TYPE_CHECKING:
    from collections.abc import Callable

CHARTS: dict[str, Callable[[], object]] = {
    "price": lambda: price_chart(build([], OFFERS)),
    "cost": lambda: cost_chart(build([], COST_DISKS)),
    "budget": lambda: budget_chart(build([], CHART_BUDGETS)),
    "requirement": lambda: requirement_chart(build([], REQUIREMENTS)),
    "tradeoff": lambda: tradeoff_chart(build([], SWEPT), "sites"),
}


@pytest.mark.parametrize("name", CHARTS)
def test_without_altair_a_chart_says_what_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every chart needs the extra, even one with nothing to draw."""
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(InputError, match="charts need altair") as caught:
        CHARTS[name]()
    assert caught.value.hint == "pip install altair vl-convert-python"
    assert not drawable()


def test_without_vl_convert_a_picture_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chart can be described without it, not drawn."""
    chart = cost_chart(build([], COST_DISKS))
    assert drawable()
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(InputError, match="vl-convert-python") as caught:
        svg(chart)
    assert "pip install" in str(caught.value.hint)
    assert not drawable()


def test_the_room_is_entered_without_them() -> None:
    """Importing the charts, and asking whether they can be drawn, loads neither library."""
    asks = (
        "import sys; from planner.present.charts.base import drawable; drawable();"
        "print({'altair', 'vl_convert'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", asks],
        capture_output=True,
        check=True,
        text=True,
    )
    assert done.stdout.strip() == "set()"


def test_a_frame_of_something_else_is_refused() -> None:
    """The columns that a chart reads are declared."""
    with pytest.raises(InputError, match="column owner is missing"):
        cost_chart(pd.DataFrame({"site": ["a"]}))
