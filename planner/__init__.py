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
    from planner.analysis.sweep import sweep
    from planner.demand.fleet import fleet
    from planner.demand.model import Demand, Group, Policy, Volume, Workload
    from planner.demand.read import demand_from, read_demand, read_policy, validate
    from planner.demand.schema import demand_schema, init
    from planner.errors import (
        DemandError,
        Infeasible,
        InputError,
        MarketError,
        NotProven,
        PlanError,
        PlannerError,
    )
    from planner.market.gpu_view import GpuFilter, gpus
    from planner.market.gpus import mark_gpus
    from planner.market.history import history
    from planner.market.market import addressable
    from planner.market.providers import providers
    from planner.market.snapshot import read_gpus, read_offers
    from planner.market.view import Filter, offers
    from planner.marketplace.credentials import Credentials, read_credentials
    from planner.marketplace.fetch import fetch_gpus, fetch_offers
    from planner.marketplace.prime.client import Client
    from planner.marketplace.prime.emit import emit
    from planner.marketplace.sim.local import Sim
    from planner.plans.explain import alternatives, explain
    from planner.plans.plan import Plan
    from planner.plans.planning import plan
    from planner.plans.where import where
    from planner.project.commands import (
        adopt,
        apply,
        destroy,
        doctor,
        rename,
        resolve,
        retire,
        status,
    )
    from planner.project.watch import watch
    from planner.reports.diff import Diff, diff
    from planner.reports.holdings import Holdings, fetch_holdings, read_holdings
    from planner.reports.make import report
    from planner.reports.merge import merge_reports
    from planner.reports.report import Report
    from planner.shipped import docs
    from planner.solve.candidates import pair
    from planner.solve.optimise import optimise
    from planner.solve.verify import verify

__version__ = "0.1.0"

_HOME = {
    "planner.analysis.sweep": ("sweep",),
    "planner.demand.fleet": ("fleet",),
    "planner.demand.model": ("Demand", "Group", "Policy", "Volume", "Workload"),
    "planner.demand.read": ("demand_from", "read_demand", "read_policy", "validate"),
    "planner.demand.schema": ("demand_schema", "init"),
    "planner.errors": (
        "DemandError",
        "Infeasible",
        "InputError",
        "MarketError",
        "NotProven",
        "PlanError",
        "PlannerError",
    ),
    "planner.market.gpu_view": ("GpuFilter", "gpus"),
    "planner.market.gpus": ("mark_gpus",),
    "planner.market.history": ("history",),
    "planner.market.market": ("addressable",),
    "planner.market.providers": ("providers",),
    "planner.market.snapshot": ("read_gpus", "read_offers"),
    "planner.market.view": ("Filter", "offers"),
    "planner.marketplace.credentials": ("Credentials", "read_credentials"),
    "planner.marketplace.fetch": ("fetch_gpus", "fetch_offers"),
    "planner.marketplace.prime.client": ("Client",),
    "planner.marketplace.sim.local": ("Sim",),
    "planner.plans.explain": ("alternatives", "explain"),
    "planner.plans.plan": ("Plan",),
    "planner.plans.planning": ("plan",),
    "planner.plans.where": ("where",),
    "planner.project.watch": ("watch",),
    "planner.marketplace.prime.emit": ("emit",),
    "planner.project.commands": (
        "adopt",
        "apply",
        "destroy",
        "doctor",
        "rename",
        "resolve",
        "retire",
        "status",
    ),
    "planner.reports.diff": ("Diff", "diff"),
    "planner.reports.holdings": ("Holdings", "fetch_holdings", "read_holdings"),
    "planner.reports.make": ("report",),
    "planner.reports.merge": ("merge_reports",),
    "planner.reports.report": ("Report",),
    "planner.shipped": ("docs",),
    "planner.solve.candidates": ("pair",),
    "planner.solve.optimise": ("optimise",),
    "planner.solve.verify": ("verify",),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "Client",
    "Credentials",
    "Demand",
    "DemandError",
    "Diff",
    "Filter",
    "GpuFilter",
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
    "adopt",
    "alternatives",
    "apply",
    "demand_from",
    "demand_schema",
    "destroy",
    "diff",
    "docs",
    "doctor",
    "emit",
    "explain",
    "fetch_gpus",
    "fetch_holdings",
    "fetch_offers",
    "fleet",
    "gpus",
    "history",
    "init",
    "mark_gpus",
    "merge_reports",
    "offers",
    "optimise",
    "pair",
    "plan",
    "providers",
    "read_credentials",
    "read_demand",
    "read_gpus",
    "read_holdings",
    "read_offers",
    "read_policy",
    "rename",
    "report",
    "resolve",
    "retire",
    "status",
    "sweep",
    "validate",
    "verify",
    "watch",
    "where",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 -- whatever the name stands for
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
