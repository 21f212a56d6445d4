"""Sections and charts as the page's tests have them, with whatever somebody may call things."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from planner.present.charts.budget import CHART_BUDGETS, budget_chart
from planner.present.charts.cost import COST_DISKS, cost_chart
from planner.present.charts.tradeoff import tradeoff_chart
from planner.present.table import Section, TableColumn
from planner.schema import build
from planner.text import visible
from tests.present.charts.drawn import HOSTILE
from tests.present.charts.test_tradeoff import GRID

if TYPE_CHECKING:
    import altair as alt

    from planner.present.table import Kind

EVIL = "</script></style><script>alert(1)</script><img src=x onerror='alert(2)'>&\"`\u2028"
"""What ends a script, a style and an attribute; ``EVIL`` is seen as ``SEEN``."""
SEEN = visible(EVIL)

USD: Kind = "usd_month"
BUDGETS = Section(
    "budgets",
    "Budgets",
    (
        TableColumn("budget", "budget"),
        TableColumn("projected", "projected", USD),
        TableColumn("limit", "limit", USD),
        TableColumn("state", "status", "status"),
    ),
    (
        ("whole plan", Decimal("1340.507"), Decimal(1600), "within"),
        ("ann", Decimal(60), Decimal(50), "over"),
    ),
    notes=("a month is 730 hours",),
)
OWNERS = Section(
    "by-owner",
    "By owner",
    (
        TableColumn("owner", "owner"),
        TableColumn("usd_month", "$/month", USD),
        TableColumn("usd_hr", "$/hour", "usd_hr"),
        TableColumn("disks", "disks", "count"),
        TableColumn("size_gb", "size GB", "size_gb"),
        TableColumn("where", "where they are and what for"),
    ),
    (
        *((name or "nobody", Decimal(73), Decimal("0.1"), 1, 1000, name[:60]) for name in HOSTILE),
        ("a" * 80, Decimal(73), Decimal("0.1"), 1, 1000, "b" * 80),
    ),
    ("total", Decimal(1022), Decimal("1.4"), 14, 14000, ""),
)
CURVE = Section(
    "trade-off",
    "Sites",
    (TableColumn("sites", "sites"), TableColumn("usd_month", "$/month")),
    (("1", "no plan"),),
)
ASSUMPTIONS = Section(
    "assumptions", "Assumptions", (TableColumn("a", "assumption"),), (("a",), ("b",))
)
EMPTY = Section("idle", "Idle", (TableColumn("disk", "disk"), TableColumn("usd", "$/month", USD)))
SECTIONS = (BUDGETS, OWNERS, CURVE, ASSUMPTIONS, EMPTY)
LEAD = ("11 disks cost $1,340.51 a month, $1.8363 an hour", "budget: $1,340.51 of $1,600.00")
WARNINGS = ("one data centre has no name", SEEN)


def charts() -> dict[str, alt.LayerChart]:
    """Return a chart of budgets, one of owners of any name, and a curve."""
    amounts = {"now_usd_month": Decimal(20), "limit_usd_month": Decimal(50)}
    budgets = [
        {"project": "lab", "owner": owner, "projected_usd_month": Decimal(usd), "state": state}
        for owner, usd, state in ((None, "40", "within"), ("ann", "60", "over"))
    ]
    disks = [
        {"owner": owner, "site": owner, "standing": standing, "usd_hr": Decimal(20 - at)}
        for at, owner in enumerate(HOSTILE)
        for standing in ("kept", "new")
    ]
    return {
        "budgets": budget_chart(build([{**one, **amounts} for one in budgets], CHART_BUDGETS)),
        "by-owner": cost_chart(build(disks, COST_DISKS)),
        "trade-off": tradeoff_chart(GRID, "max_sites", "policy.max_provider_share"),
    }
