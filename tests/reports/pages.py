"""Sections and charts as the page's tests have them, with whatever somebody may call things."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from planner.present.charts.budget import CHART_BUDGETS, budget_chart
from planner.present.charts.cost import COST_DISKS, cost_chart
from planner.present.charts.tradeoff import tradeoff_chart
from planner.reports.section import Section
from planner.schema import build
from planner.text import visible
from tests.present.charts.drawn import HOSTILE
from tests.present.charts.test_tradeoff import GRID

if TYPE_CHECKING:
    import altair as alt

EVIL = "</script></style><script>alert(1)</script><img src=x onerror='alert(2)'>&\"`\u2028"
"""What ends a script, a style and an attribute; ``EVIL`` is seen as ``SEEN``."""
SEEN = visible(EVIL)

BUDGETS = Section(
    name="budgets",
    title="Budgets",
    headings=("budget", "projected", "limit", "is"),
    rows=(("whole plan", "1,340.51", "1,600.00", "within"), ("ann", "60.00", "50.00", "over")),
    right=frozenset({"projected", "limit"}),
    notes=("a month is 730 hours",),
)
OWNERS = Section(
    name="by-owner",
    title="By owner",
    headings=("owner", "$/month", "$/hour", "disks", "size GB", "where they are and what for"),
    rows=(
        *(
            (visible(name) or "nobody", "73.00", "0.1000", "1", "1,000", name[:60])
            for name in HOSTILE
        ),
        ("a" * 80, "73.00", "0.1000", "1", "1,000", "b" * 80),
    ),
    right=frozenset({"$/month", "$/hour", "disks", "size GB"}),
    footer=("total", "1,022.00", "1.4000", "14", "14,000", ""),
)
CURVE = Section("trade-off", "Sites", ("sites", "$/month"), (("1", "no plan"),), frozenset())
ASSUMPTIONS = Section(
    "assumptions", "What it rests on", ("assumption",), (("a",), ("b",)), frozenset()
)
EMPTY = Section("idle", "Idle", ("disk", "$/month"), (), frozenset({"$/month"}))
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
