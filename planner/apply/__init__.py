"""Buying safely: at most one disk for each slot of a plan, and nobody guesses.

::

    plan ─► slots ─► doubts ─► preflight ─► buy, slot by slot ─► proof ─► report
                        │                       │
                     state ◄──── journal ◄──────┘

A create has no idempotency key, so the name is the key, the intent is on disk before anything is
sent, and a lost answer is a state of its own. Nothing is ever deleted by itself.
"""

from planner.apply.execute import Order, apply_plan
from planner.apply.journal import Journal, state_home
from planner.apply.pace import Pace, seconds_from
from planner.apply.preflight import Limits
from planner.apply.report import Report

__all__ = [
    "Journal",
    "Limits",
    "Order",
    "Pace",
    "Report",
    "apply_plan",
    "seconds_from",
    "state_home",
]
