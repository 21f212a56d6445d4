"""Budget reports: what a plan, the account, or both cost, against what they may.

::

    plan ──────┐
               ├─► lines ─► report ─► sections ─► table, Markdown, CSV, HTML
    holdings ──┘              └─► document (JSON) ─► load, merge

A line is one disk: there now, or to be bought. Everything else is the sum of lines.
"""

from planner.report.budgets import BUDGETS, Limit
from planner.report.groups import GROUPS
from planner.report.holdings import Holdings, account_holdings, fetch_holdings, read_holdings
from planner.report.inputs import read_inputs
from planner.report.insights import Insights
from planner.report.ledger import Slot, bought_as
from planner.report.lines import LEDGER, RENTALS, GpuLine, Line
from planner.report.make import make_report
from planner.report.merge import merge_reports
from planner.report.parts import COMPARISONS
from planner.report.pictures import pictures, save_pictures
from planner.report.report import Report
from planner.report.section import Section

__all__ = [
    "BUDGETS",
    "COMPARISONS",
    "GROUPS",
    "LEDGER",
    "RENTALS",
    "GpuLine",
    "Holdings",
    "Insights",
    "Limit",
    "Line",
    "Report",
    "Section",
    "Slot",
    "account_holdings",
    "bought_as",
    "fetch_holdings",
    "make_report",
    "merge_reports",
    "pictures",
    "read_holdings",
    "read_inputs",
    "save_pictures",
]
