"""Charts: functions from frames to altair charts, and charts to pictures.

altair and vl-convert are the extra ``charts``; they are loaded by the first chart that is drawn.
"""

from planner.charts.bars import MOST_KINDS, MOST_ROWS
from planner.charts.budget import CHART_BUDGETS, budget_chart
from planner.charts.cost import COST_DISKS, cost_chart
from planner.charts.extra import INSTALL, drawable
from planner.charts.price import price_chart
from planner.charts.render import SUFFIXES, save_chart, svg
from planner.charts.requirement import requirement_chart
from planner.charts.tradeoff import SWEPT, tradeoff_chart

__all__ = [
    "CHART_BUDGETS",
    "COST_DISKS",
    "INSTALL",
    "MOST_KINDS",
    "MOST_ROWS",
    "SUFFIXES",
    "SWEPT",
    "budget_chart",
    "cost_chart",
    "drawable",
    "price_chart",
    "requirement_chart",
    "save_chart",
    "svg",
    "tradeoff_chart",
]
