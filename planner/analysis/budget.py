"""How much a search may do: work, not time."""

from __future__ import annotations

import time
from dataclasses import dataclass


class OutOfBudget(Exception):
    """The search has done all the work that it may do."""


@dataclass
class SearchBudget:
    """Work that may still be done, in solver calls; large programs count for more.

    Without a deadline nothing here looks at a clock, so the same question has the same answer on
    every machine.

    Attributes
    ----------
    calls : float
        What is left.
    deadline : float | None
        On the monotonic clock, where the user set a time limit.
    """

    calls: float = 600.0
    deadline: float | None = None

    @property
    def left_s(self) -> float | None:
        """Return the seconds that are left of an explicit time limit."""
        return None if self.deadline is None else max(0.01, self.deadline - time.monotonic())

    @property
    def is_late(self) -> bool:
        """Return whether an explicit time limit is over."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    @property
    def is_spent(self) -> bool:
        """Return whether no more work may be done."""
        return self.calls <= 0 or self.is_late

    def spend(self, calls: float = 1.0) -> None:
        """Pay for work, of which the last piece may be larger than what is left.

        Raises
        ------
        OutOfBudget
            When nothing was left.
        """
        if self.is_spent:
            raise OutOfBudget
        self.calls -= calls
