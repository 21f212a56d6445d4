"""Where should my data live? Cost-optimal placement of disks on a GPU marketplace.

::

    market (httpx) ─► offers (pandas) ──┐
                                        ├─► candidates ─► program (PuLP) ─► solution ─► plan
    demand file ─► volumes, policy ─────┘       └► rejections                  │
                                                                 verify ◄──────┴─► requests

Every command of the command line is one of these functions; importing this module is light, and
what is heavy is imported when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from planner.api import Client, Credentials, read_credentials
    from planner.demand import (
        Demand,
        Group,
        Policy,
        Volume,
        Workload,
        demand_from,
        demand_schema,
        example,
        read_demand,
    )
    from planner.errors import (
        DemandError,
        Infeasible,
        InputError,
        MarketError,
        NotProven,
        PlanError,
        PlannerError,
    )
    from planner.live import fetch_gpus, fetch_offers
    from planner.make import make_plan
    from planner.market import (
        Filter,
        addressable,
        group_offers,
        list_offers,
        mark_gpus,
        read_gpus,
        read_offers,
    )
    from planner.plan import Plan
    from planner.report import (
        Holdings,
        Report,
        fetch_holdings,
        make_report,
        merge_reports,
        read_holdings,
    )
    from planner.requests import emit
    from planner.sim import Sim
    from planner.solve.baselines import baselines
    from planner.solve.candidates import pair
    from planner.solve.optimise import optimise
    from planner.solve.sweep import sweep
    from planner.solve.verify import verify
    from planner.why import alternatives, explain

__version__ = "0.1.0"

_HOME = {
    "planner.api": ("Client", "Credentials", "read_credentials"),
    "planner.demand": (
        "Demand",
        "Group",
        "Policy",
        "Volume",
        "Workload",
        "demand_from",
        "demand_schema",
        "example",
        "read_demand",
    ),
    "planner.errors": (
        "DemandError",
        "Infeasible",
        "InputError",
        "MarketError",
        "NotProven",
        "PlanError",
        "PlannerError",
    ),
    "planner.live": ("fetch_gpus", "fetch_offers"),
    "planner.make": ("make_plan",),
    "planner.market": (
        "Filter",
        "addressable",
        "group_offers",
        "list_offers",
        "mark_gpus",
        "read_gpus",
        "read_offers",
    ),
    "planner.plan": ("Plan",),
    "planner.report": (
        "Holdings",
        "Report",
        "fetch_holdings",
        "make_report",
        "merge_reports",
        "read_holdings",
    ),
    "planner.requests": ("emit",),
    "planner.sim": ("Sim",),
    "planner.solve.baselines": ("baselines",),
    "planner.solve.candidates": ("pair",),
    "planner.solve.optimise": ("optimise",),
    "planner.solve.sweep": ("sweep",),
    "planner.solve.verify": ("verify",),
    "planner.why": ("alternatives", "explain"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "Client",
    "Credentials",
    "Demand",
    "DemandError",
    "Filter",
    "Group",
    "Holdings",
    "Infeasible",
    "InputError",
    "MarketError",
    "NotProven",
    "Plan",
    "PlanError",
    "PlannerError",
    "Policy",
    "Report",
    "Sim",
    "Volume",
    "Workload",
    "__version__",
    "addressable",
    "alternatives",
    "baselines",
    "demand_from",
    "demand_schema",
    "emit",
    "example",
    "explain",
    "fetch_gpus",
    "fetch_holdings",
    "fetch_offers",
    "group_offers",
    "list_offers",
    "make_plan",
    "make_report",
    "mark_gpus",
    "merge_reports",
    "optimise",
    "pair",
    "read_credentials",
    "read_demand",
    "read_gpus",
    "read_holdings",
    "read_offers",
    "sweep",
    "verify",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 -- whatever the name stands for
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
