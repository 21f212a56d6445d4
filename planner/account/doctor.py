"""Doctor: are key, clock, money, market, state and solver in order? Nothing is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.account import access, machine
from planner.account.checks import Report, failed
from planner.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from planner.apply import Pace


def examine(environ: Mapping[str, str], home: Path, folder: Path, pace: Pace) -> Report:
    """Return how everything stands that planner rests on.

    Every check is made that can be made: without a key, those of this machine. A key that may read
    offers only is enough to plan, so that what else it may not read is a warning.

    Parameters
    ----------
    environ : mapping
        The variables that credentials are found by.
    home : Path
        Where the vendor's configuration lies.
    folder : Path
        The state directory; it is neither made nor locked.
    pace : Pace
        Time: the clock that is compared, and pauses.
    """
    credentials, checks = access.find(environ, home)
    if credentials is None:
        checks += access.unasked("there is no key to ask with")
    else:
        try:
            checks += access.ask(credentials, pace)
        except InputError as error:
            unusable = failed("network", error)
            checks += [unusable, *access.unasked("the network cannot be used as it is set up")]
    checks += machine.state_checks(folder)
    checks += machine.solver_checks()
    return Report((*checks, machine.versions()))
