"""An account as it is found: whether all is in order, and the demand that it amounts to.

::

    environment ─► access ─┐
                           ├─► Report(checks)          doctor
    state, solvers ────────┘
    live disks, journal ─► Adopted(volumes) ─► YAML    adopt
"""

from planner.account.adopt import Adopted, adopt
from planner.account.checks import Check, Report
from planner.account.doctor import examine
from planner.account.written import to_yaml

__all__ = ["Adopted", "Check", "Report", "adopt", "examine", "to_yaml"]
