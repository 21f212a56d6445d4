"""The demand file: what to store and under which rules.

::

    text ─► plain values ─► file shape ─► Demand
    reader   formats         shape         normalise, model, jobs
             yaml_text       problems      names, members
"""

from planner.demand.jobs import Group, Workload
from planner.demand.model import Demand, Exclude, Policy, Volume
from planner.demand.reader import demand_from, read_demand
from planner.demand.shape import demand_schema
from planner.demand.template import example

__all__ = [
    "Demand",
    "Exclude",
    "Group",
    "Policy",
    "Volume",
    "Workload",
    "demand_from",
    "demand_schema",
    "example",
    "read_demand",
]
