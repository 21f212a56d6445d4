"""What is given where a plan is needed."""

from __future__ import annotations

from planner.errors import InputError
from planner.plans.plan import Plan


def a_plan(value: object) -> Plan:
    """Return a plan as it is.

    Raises
    ------
    InputError
        When it is none, such as a file's name.
    """
    if not isinstance(value, Plan):
        raise InputError(
            f"a plan is needed, not {type(value).__name__}",
            hint="planner.Plan.load(FILE) reads one that was saved",
        )
    return value
