"""Time, injected: every wait of apply and its companions goes through one `Pace`."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from planner.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


SETTLE_S, QUARANTINE_S, TIMEOUT_S = 90.0, 900.0, 60.0
_STEPS_S = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0)
"""Pauses before each look for a lost disk; they add up to the default settling time."""
_LONGEST_S = 7 * 86400.0


def utc_now() -> datetime:
    """Return the time of this machine."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Pace:
    """How long things are waited for, and by which clock.

    Attributes
    ----------
    settle_s : float
        How long a new disk may take to show in a listing.
    quarantine_s : float
        How long after a lost answer the same name is not sent again.
    timeout_s : float
        How long the answer to a create is waited for.
    now, clock, sleep : callable
        UTC, monotonic seconds, and the pause.
    stop : threading.Event
        Set to send nothing more and to finish what is open.
    """

    settle_s: float = SETTLE_S
    quarantine_s: float = QUARANTINE_S
    timeout_s: float = TIMEOUT_S
    now: Callable[[], datetime] = utc_now
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def scale(self) -> float:
        """Return how much shorter than usual every pause is."""
        return min(1.0, self.settle_s / SETTLE_S)

    def looks(self) -> tuple[float, ...]:
        """Return the pauses before each look for a disk, together the settling time."""
        return tuple(step * self.settle_s / SETTLE_S for step in _STEPS_S)

    @property
    def pacing(self) -> dict[str, Any]:
        """Return how a client of a marketplace waits: see `planner.marketplace.fetch.connect`."""
        return {
            "clock": self.clock,
            "now": self.now,
            "sleep": self.pause,
            "timeout_s": self.timeout_s,
            "pause_s": 0.5 * self.scale,
        }

    def pause(self, seconds: float) -> None:
        """Wait; asking to stop ends the wait."""
        if self.sleep is not None:
            self.sleep(seconds)
        else:
            self.stop.wait(seconds)


def seconds_from(
    name: str, given: float | None, environ: Mapping[str, str], otherwise: float
) -> float:
    """Return a number of seconds: an option, else ``PLANNER_NAME``, else the default.

    Raises
    ------
    InputError
        When it is no number of seconds between 0 and a week.
    """
    variable = f"PLANNER_{name.upper()}"
    text = environ.get(variable) if given is None else str(given)
    if text is None:
        return otherwise
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _LONGEST_S:
        source = f"--{name}" if given is not None else variable
        raise InputError(f"{source} is no number of seconds", hint="such as 90 or 0.5")
    return seconds
