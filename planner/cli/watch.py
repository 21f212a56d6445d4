"""``planner watch``: wait until a demand is feasible, in stock or cheaper."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli import purchases
from planner.cli.purchases import StateOption
from planner.cli.render import to_stderr, to_stdout
from planner.errors import InputError, PendingActions
from planner.present.table import Section, TableColumn, moment
from planner.present.writers import to_csv
from planner.text import visible

if TYPE_CHECKING:
    from planner.project.watch import WatchChange

EPILOG = (
    "JSON: a line for each change: at (UTC), event (plan, no_plan, cost, stock, price, moved, "
    "unread, read, reached), text, usd_month (exact decimal as text; null: no plan). The last is "
    "reached. CSV: the same in columns. Exit codes: 0 the condition holds, 6 it does, but the "
    "command or the notification failed, 130 interrupted. --exec splits CMD into words as a shell "
    "does, and runs it without a shell: no variables, pipes or wildcards. Nothing of the market is"
    " on its command line; its standard input is the last change as JSON, and its output goes to "
    'standard error. The post of --notify is {"text": "…"}, without the key.'
)


class WatchOutput(StrEnum):
    """How changes are written."""

    table = "table"
    json = "json"
    csv = "csv"


def watch(
    demand: Annotated[
        str, typer.Argument(help="Demand file (YAML, JSON, TOML); - reads standard input.")
    ],
    until: Annotated[
        str,
        typer.Option(metavar="WHAT", help="feasible, stock, cheaper, or cheaper:5% for 5 % less."),
    ] = "feasible",
    interval: Annotated[
        str,
        typer.Option("--every", metavar="TIME", help="How often to read the market: 10m, 2h."),
    ] = "10m",
    command: Annotated[
        str | None,
        typer.Option("--exec", metavar="CMD", help="Run this command then, without a shell."),
    ] = None,
    notify: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Post to this URL then, such as a Slack webhook."),
    ] = None,
    state: StateOption = None,
    output: Annotated[
        WatchOutput, typer.Option("--output", "-o", help="How to write the changes.")
    ] = WatchOutput.table,
) -> None:
    """Read the market at intervals, show what changes, and end when the condition holds.

    Buys nothing.
    """
    from planner.demand.read import read_demand
    from planner.marketplace.notify import checked_url
    from planner.marketplace.notify import notify as post
    from planner.project.watch import watch as changes

    command_words = _split(command)
    if notify is not None:
        checked_url(notify)
    asked, last = read_demand(demand), None
    for change in changes(
        asked,
        until=until,
        every_s=purchases.duration(interval, "--every").total_seconds(),
        state=purchases.state_folder(state),
        sleep=_sleep,
        on_failure=purchases.warn,
    ):
        _show(change, output, is_first=last is None)
        last = change
    if last is not None and notify is not None:
        post(notify, f"{asked.project}: {last.text}")
    if last is not None and command_words:
        _run(command_words, last)


def _sleep(seconds: float) -> None:
    time.sleep(seconds)


def _split(command: str | None) -> list[str]:
    """Return the words of a command line."""
    if command is None:
        return []
    try:
        split = shlex.split(command)
    except ValueError as error:
        message = f"--exec: {visible(command[:100])!r} cannot be split into words: {error}"
        raise InputError(message, hint="close the quotes") from error
    if not split:
        raise InputError("--exec is empty", hint='such as --exec "planner apply demand.yaml --yes"')
    return split


def _show(change: WatchChange, output: WatchOutput, *, is_first: bool) -> None:
    if output is WatchOutput.json:
        to_stdout(json.dumps(change.to_document()))
    elif output is WatchOutput.csv:
        document = change.to_document()
        columns = tuple(TableColumn(name, name) for name in document)
        lines = to_csv(Section("changes", columns=columns, rows=(tuple(document.values()),)))
        to_stdout(lines if is_first else lines.partition("\n")[2])
    else:
        to_stdout(f"{moment(change.at.isoformat())}  {visible(change.text)}")


def _run(command: list[str], change: WatchChange) -> None:
    """Run a command as it was given; the change is its input, never a part of it."""
    to_stderr(f"running: {shlex.join(command)}")
    document = json.dumps(change.to_document()).encode()
    try:
        ended = subprocess.run(command, input=document, stdout=2, check=False)  # noqa: S603 -- as given
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable command"
        message = f"--exec: {visible(command[0])!r} cannot be run: {reason}"
        raise PendingActions(message, hint="the condition holds: run it yourself") from error
    if ended.returncode:
        message = f"--exec: {visible(command[0])!r} ended with {ended.returncode}"
        raise PendingActions(message, hint="the condition holds: look at the command's output")
