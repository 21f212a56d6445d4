"""Insights: each amount is a plan solved again; each table stands beside its chart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from planner.errors import InputError
from planner.present.charts.base import save_charts
from planner.reports.insights import Insights
from tests.looks import texts
from tests.reports.world import planned, report

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def insights() -> Insights:
    """Return why the small plan costs what it does."""
    return Insights.of(planned())


@pytest.mark.slow
def test_what_fewer_sites_cost(insights: Insights) -> None:
    """One site cannot hold two copies of b; two can, at what the plan costs: 51.10."""
    (section,) = (one for one in insights.sections(None) if one.name == "sites")
    assert [row[:3] for row in texts(section)][:2] == [
        ("1", "no plan", ""),
        ("2", "51.10", "+0.00"),
    ]
    assert texts(section)[0][3]
    assert "beta B-1 (NO)" in texts(section)[1][3]


@pytest.mark.slow
def test_what_a_smaller_share_costs(insights: Insights) -> None:
    """Of 500 GB alpha has 300; at most half sends a (0.01) to gamma (0.03): 14.60 more."""
    (section,) = (one for one in insights.sections(None) if one.name == "share")
    told = {row[0]: row[1:3] for row in texts(section)}
    assert told["60 %"] == ("51.10", "+0.00")
    assert told["50 %"] == ("65.70", "+14.60")
    assert told["30 %"] == ("no plan", "")


def test_budgets_are_left_aside(insights: Insights) -> None:
    """A cap that costs more than the budget shows what it costs, not that nobody may pay."""
    assert insights.by_share["usd_month"].max() > 60
    assert [one for one in insights.sections(None) if "budgets are not applied here" in one.notes]


def test_the_market_and_what_requirements_cost(insights: Insights) -> None:
    """Every offer, the cheapest first; what the second copy of b costs: 29.20 a month."""
    sections = {one.name: one for one in insights.sections(None)}
    assert [row[1] for row in texts(sections["market"])] == ["73.00", "146.00", "219.00"]
    assert [row[-1] for row in texts(sections["market"])] == ["chosen", "chosen", ""]
    rows = {row[2]: row[1] for row in texts(sections["requirements"])}
    assert rows["replicas: 2"] == "29.20"


@pytest.mark.slow
def test_each_section_has_its_chart(insights: Insights, tmp_path: Path) -> None:
    """In the page, and as files named for their sections."""
    made = report(planned())
    drawn = made.charts(insights)
    names = {one.name for one in (*made.sections(), *insights.sections(None))}
    assert set(drawn) <= names
    assert {"market", "requirements", "sites", "share", "by-owner"} <= set(drawn)
    page = made.to_html(insights)
    assert page.count("<svg") >= len(drawn)
    for one in insights.sections(None):
        assert one.title in page
    assert "What each requirement costs" in made.to_markdown(insights)
    paths = save_charts({"sites": drawn["sites"]}, tmp_path / "new" / "place", ["svg", "png"])
    assert [path.name for path in paths] == ["sites.svg", "sites.png"]
    with pytest.raises(InputError):
        save_charts(drawn, tmp_path, ["gif"])
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        save_charts(drawn, tmp_path / "file" / "place", ["svg"])
