"""``planner emit``: the create requests of a plan, for other tools to send."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli import purchases
from planner.cli.purchases import StateOption
from planner.cli.render import to_stderr, to_stdout
from planner.errors import InputError

if TYPE_CHECKING:
    from planner.plans.plan import Plan


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
    pods: Annotated[
        bool,
        typer.Option("--pods", help="The pods of its workloads instead, once their disks exist."),
    ] = False,
    state: StateOption = None,
) -> None:
    """Print the create requests of a plan; nothing is sent.

    json prints the body of each POST /api/v1/disks/, or of each POST /api/v1/pods/, which has the
    planned price as its cap. curl commands read the key from
    PRIME_API_KEY, and the marketplace from PRIME_API_BASE_URL where the plan was made offline.
    prime prints commands of the vendor's client, which asks before it buys.
    """
    from datetime import UTC, datetime

    from planner.marketplace.prime.emit import emit as lines
    from planner.plans.advice import attach_warnings
    from planner.plans.plan import Plan

    made = Plan.load(plan)
    base_url = made.target["base_url"] if made.target else None
    if pods:
        _emit_pods(made, how, state, base_url)
        return
    bodies = [request["body"] for request in made.requests]
    for line in lines(bodies, how.value, base_url=base_url):
        to_stdout(_pasted(line, how))
    today = datetime.now(UTC).date()
    for warning in attach_warnings(made.demand, made.placements, made.gpus, today):
        to_stderr(f"warning: {warning}")
    to_stderr(f"requests: {len(bodies)}; nothing was sent, and sending one twice buys two disks")


def _pasted(line: str, how: Format) -> str:
    """Return a request as it is sent; on a terminal, a command that fits its width."""
    if how is not Format.prime or not sys.stdout.isatty():
        return line
    from planner.present.terminal import folded, terminal_width

    return folded(line, terminal_width())


def _emit_pods(made: Plan, how: Format, state: str | None, base_url: str | None) -> None:
    """Print one line for each pod of the workloads whose disks exist, by the journal."""
    from planner.marketplace.prime.emit import emit_pods
    from planner.project.journal import Journal
    from planner.project.pods import jobs_of
    from planner.project.state import State

    with Journal(purchases.state_folder(state), write=False) as journal:
        jobs = jobs_of(made, State(journal.records).entries)
    ready = {job.gpu.workload for job in jobs}
    waiting = [gpu.workload for gpu in made.gpus if gpu.workload not in ready]
    if not jobs:
        missing = f"the disks of {', '.join(waiting)} are not bought" if waiting else "no workloads"
        raise InputError(f"the plan has no pods to create: {missing}", hint="planner apply PLAN")
    team_id = made.target["team_id"] if made.target else None
    requests = [pod for job in jobs for pod in job.pods]
    for line in emit_pods(requests, how.value, team_id=team_id, base_url=base_url):
        to_stdout(_pasted(line, how))
    for text in dict.fromkeys(text for job in jobs for text in job.mounted):
        to_stderr(text)
    if waiting:
        to_stderr(f"warning: left out, since their disks are not bought: {', '.join(waiting)}")
    to_stderr(f"pods: {len(requests)}; nothing was sent, and sending one twice rents two pods")
