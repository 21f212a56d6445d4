"""``planner doctor``: are key, clock, market and solver in order."""

from __future__ import annotations

import json
import os
from pathlib import Path

import typer

from planner.cli import purchases
from planner.cli.options import OutputOption
from planner.cli.purchases import StateOption
from planner.cli.render import Output, paragraphs, result, table, working

EPILOG = (
    "JSON: exit_code, checks (name; state: ok, warning, failed or skipped; says; do, null where "
    "there is nothing to; facts, figures by name). Names: credentials, base_url, key, "
    "availability_read, disks_read, wallet_read, disks_write, clock (skew_s), runway (balance_usd, "
    "live_disks, unpriced_disks, usd_hr, hours_left), market_disks, market_gpus, market_multi_node "
    "(rows, seconds), state_directory, journal, in_doubt (names), solver, "
    "versions; and network, where the proxies or certificates of the environment cannot be used. "
    "Exit codes: 0 nothing failed, 2 no usable key or solver, 4 the marketplace is unreachable or "
    "refuses the key, 8 the state is unusable; of several, the highest."
)


def doctor(state: StateOption = None, output: OutputOption = Output.table) -> None:
    """Check key, clock, money, market, state and solver; nothing is bought, written or locked.

    The key itself is never shown. Whether it may create disks cannot be tried without buying one.
    """
    from planner.project.doctor import examine

    purchases.check_output(output)
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 -- no home is no error
    folder = purchases.state_folder(state)
    with working("looking"):
        found = examine(os.environ, home, folder, purchases.pace(None, None, None))
    if output is Output.json:
        result(json.dumps(found.to_document(), indent=2))
    else:
        rows = [(one.name.replace("_", " "), one.state, one.says) for one in found.checks]
        table(("check", "is", "finding"), rows, {"is"})
        paragraphs(
            f"{one.name.replace('_', ' ')}: {one.do}" for one in found.checks if one.do is not None
        )
    raise typer.Exit(found.exit_code)
