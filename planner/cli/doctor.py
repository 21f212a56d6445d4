"""``planner doctor``: check key, clock, market and solver."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from planner.cli import purchases
from planner.cli.options import OutputOption
from planner.cli.purchases import StateOption
from planner.cli.render import Output, render
from planner.present.progress import working
from planner.present.table import Section, TableColumn, View

EPILOG = (
    "JSON: exit_code, checks (name; state: ok, warning, failed or skipped; says; do, null where "
    "there is nothing to; facts, figures by name). Names: credentials, base_url, key, "
    "availability_read, disks_read, wallet_read, disks_write, clock (skew_s), runway (balance_usd, "
    "live_disks, unpriced_disks, usd_hr, hours_left), market_disks, market_gpus, market_multi_node "
    "(rows, seconds), state_directory, journal, history (listings), pending (names), solver, "
    "versions; and network, where the proxies or certificates of the environment cannot be used. "
    "Exit codes: 0 nothing failed, 2 no usable key or solver, 4 the marketplace is unreachable or "
    "refuses the key, 8 the state is unusable; of several, the highest."
)
_COLUMNS = (
    TableColumn("check", "check"),
    TableColumn("state", "status", "status"),
    TableColumn("says", "result"),
)


def doctor(state: StateOption = None, output: OutputOption = Output.table) -> None:
    """Check key, clock, money, market, state and solver; nothing is bought, written or locked.

    The key itself is never shown. Whether it may create disks cannot be tried without buying check.
    """
    from planner.project.doctor import examine

    home = Path(os.path.expanduser("~"))  # noqa: PTH111 -- no home is no error
    folder = purchases.state_folder(state)
    with working("Checking"):
        report = examine(os.environ, home, folder, purchases.pace(None, None, None))
    rows = [{**vars(each), "check": each.name.replace("_", " ")} for each in report.checks]
    notes = tuple(f"{row['check']}: {row['do']}" for row in rows if row["do"])
    section = Section.of("checks", "", _COLUMNS, rows, notes=notes)
    render(View(lambda: [section], report.to_document), output)
    raise typer.Exit(report.exit_code)
