"""What the commands that touch the account share: state, time, account, events, endings."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner.cli.render import Output, to_stderr
from planner.errors import InputError, PlannerError
from planner.present.progress import be_quiet, is_shown
from planner.text import titles, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from planner.marketplace.protocol import Marketplace
    from planner.project.context import Context, Pace

StateOption = Annotated[
    str | None,
    typer.Option(
        "--state", metavar="DIR", help="State directory; by default planner's under the user's."
    ),
]
SettleOption = Annotated[
    float | None, typer.Option(help="Seconds a new disk may take to be listed (90).")
]
QuarantineOption = Annotated[
    float | None, typer.Option(help="Seconds before a lost create may be sent again (900).")
]
TimeoutOption = Annotated[
    float | None, typer.Option(help="Seconds to wait for the answer to a create (60).")
]
EventsOption = Annotated[
    bool, typer.Option("--events", help="Write every step to standard error as a JSON line.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; needs --confirm.")]
ConfirmOption = Annotated[
    str | None,
    typer.Option(metavar="PROJECT", help="The project's name again, to delete unattended."),
]
_TIME = re.compile(r"\s*(\d{1,6}(?:\.\d{1,6})?)\s*(h|d|m)?\s*", re.ASCII)
_HOURS = {"m": Decimal(1) / 60, "h": Decimal(1), "d": Decimal(24)}
_EVENT_TEXT = {
    "intent": "sending",
    "claimed": "answered",
    "created": "created",
    "unknown": "outcome unknown",
    "conflict": "needs a decision",
    "refused": "refused",
    "paused": "refused for now",
    "limited": "rate limited",
    "not_sent": "not sent",
    "seen": "now",
    "listing_failed": "the listing failed",
    "unreadable": "cannot be read",
    "deleting": "deleting",
    "destroyed": "deleted",
    "renamed": "renamed",
    "failover": "out of stock; the rest is planned elsewhere:",
    "waiting": "still waiting,",
    "transferred": "created by an earlier plan, used by this plan",
}


def hours(text: str | None, name: str) -> Decimal | None:
    """Return hours for ``72h``, ``30d`` or a bare number of hours.

    Raises
    ------
    InputError
        When it is not a time.
    """
    if text is None:
        return None
    match = _TIME.fullmatch(text)
    if match is None:
        raise InputError(f"{name}: {visible(text)!r} is not a time", hint="such as 10m, 72h or 30d")
    return Decimal(match[1]) * _HOURS[match[2] or "h"]


def duration(text: str, name: str) -> timedelta:
    """Return a time span: see `hours`."""
    return timedelta(hours=float(hours(text, name) or 0))


def state_folder(given: str | None) -> Path:
    """Return the state directory."""
    from planner.formats import default_state

    if given == "":
        raise InputError("--state is empty", hint="name a directory")
    return default_state() if given is None else Path(given)


def pace(settle: float | None, quarantine: float | None, timeout: float | None) -> Pace:
    """Return how long things are waited for: options, then environment, then defaults."""
    from planner.project.context import Pace

    return Pace.of(os.environ, settle_s=settle, quarantine_s=quarantine, timeout_s=timeout)


def marketplace(pace: Pace, state: str | None = None, *, records: bool = True) -> Marketplace:
    """Return the marketplace of this user's key, which records what it lists."""
    from planner.marketplace.fetch import connect

    folder = state_folder(state) if records else None
    return connect(state=folder, on_failure=warn, **pace.pacing)


def warn(text: str) -> None:
    """Write a warning to standard error."""
    to_stderr(f"warning: {text}")


def context(state: str | None, *, settle: float | None = None) -> AbstractContextManager[Context]:
    """Open journal and account for a command that writes both."""
    from planner.project.commands import opened

    logger = event_logger(events=False)
    return opened(None, state_folder(state), pace(settle, None, None), logger)


def titles_of(slots: Sequence[dict[str, Any]]) -> list[str]:
    """Return what a person calls slots: volumes, and the replica where there are several."""
    return titles(
        [(" + ".join(one["disk_group"] or (one["volume"],)), one["replica"]) for one in slots]
    )


def event_logger(*, events: bool) -> Callable[[dict[str, Any]], None]:
    """Return a callback that writes each event: as a JSON line if `events`, else as text."""

    def as_json(event: dict[str, Any]) -> None:
        sys.stderr.write(json.dumps(event) + "\n")
        sys.stderr.flush()

    def as_text(event: dict[str, Any]) -> None:
        text = _EVENT_TEXT.get(event["event"])
        if text is None or (event["event"] == "waiting" and is_shown()):
            return
        what = [event.get("name", ""), text]
        what += [str(event[key]) for key in ("id", "status", "why") if event.get(key)]
        to_stderr(" ".join(part for part in what if part))

    if events:
        be_quiet(quiet=True)
    return as_json if events else as_text


def exit_with(stop: PlannerError | None, output: Output) -> None:
    """Exit with the outcome's code; its JSON is already written."""
    if stop is None:
        return
    if output is Output.json:
        to_stderr(f"planner: {stop}")
        if stop.hint:
            to_stderr(f"  {stop.hint}")
        raise typer.Exit(stop.exit_code)
    raise stop


_STOPPING = ("SIGINT", "SIGTERM", "SIGHUP")
"""Ctrl-C, an orderly stop, and a terminal that went away; Windows has no SIGHUP."""


@contextmanager
def stopping(heard: Callable[[int, Any], None]) -> Iterator[None]:
    """Call a function at each signal that asks to stop; under ``nohup``, SIGHUP stays ignored."""
    numbers = [getattr(signal, name) for name in _STOPPING if hasattr(signal, name)]
    if signal.getsignal(numbers[-1]) is signal.SIG_IGN and len(numbers) == len(_STOPPING):
        numbers.pop()
    kept = {number: signal.signal(number, heard) for number in numbers}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
