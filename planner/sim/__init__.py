"""A local marketplace that speaks the API: for rehearsals, tests, notebooks and the tour.

::

    HTTP ─► server ─► service ─► faults: what is to go wrong with this request
                        │  └──► account, catalogue: what the marketplace does
                        │            └► world: clock, offers, disks, wallet
                        └► store: one file, and the audit of every request

It buys nothing and knows nothing of the real marketplace: it listens on loopback only, and its
keys are made up. What it does is what the vendor's guide and API description say; where they
differ, ``dialect`` chooses.
"""

from planner.sim.faults import KINDS, Fault, Kind, parse_fault
from planner.sim.local import Sim
from planner.sim.rows import api_rows

__all__ = ["KINDS", "Fault", "Kind", "Sim", "api_rows", "parse_fault"]
