"""``planner emit``: the create requests of a plan, for other tools to send."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from planner.cli.render import to_stderr, to_stdout


class Format(StrEnum):
    """How a create request is written."""

    json = "json"
    curl = "curl"
    prime = "prime"


def emit(
    plan: Annotated[str, typer.Argument(help="Plan file, from `planner plan --out FILE`.")],
    how: Annotated[
        Format, typer.Option("--format", help="One request a line as this.")
    ] = Format.json,
) -> None:
    """Print the create requests of a plan; nothing is sent.

    json prints the body of each POST /api/v1/disks/. curl commands read the key from
    PRIME_API_KEY, and the marketplace from PRIME_API_BASE_URL where the plan was made offline.
    prime prints commands of the vendor's client, which asks before it buys.
    """
    from datetime import UTC, datetime

    from planner.marketplace.prime.emit import emit as lines
    from planner.plans.advice import attach_warnings
    from planner.plans.plan import Plan

    made = Plan.load(plan)
    base_url = made.target["base_url"] if made.target else None
    bodies = [request["body"] for request in made.requests]
    for line in lines(bodies, how.value, base_url=base_url):
        to_stdout(line)
    today = datetime.now(UTC).date()
    for warning in attach_warnings(made.demand, made.placements, made.gpus, today):
        to_stderr(f"warning: {warning}")
    to_stderr(f"requests: {len(bodies)}; nothing was sent, and sending one twice buys two disks")
