"""``planner apply``: buy what a plan asks for, safely."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner.cli import options, purchases
from planner.cli.options import OutputOption
from planner.cli.purchases import (
    EventsOption,
    QuarantineOption,
    SettleOption,
    StateOption,
    stopping,
    titles_of,
)
from planner.cli.purchases import TimeoutOption as Timeout
from planner.cli.render import Output, render, show, to_stderr
from planner.errors import InputError
from planner.present.table import FIRST, MANY, Cell, Section, TableColumn, View, counted, moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from planner.plans.plan import Plan
    from planner.project.context import Pace
    from planner.project.execute import Order
    from planner.project.outcome import ApplyOutcome
    from planner.project.preflight import Funds
    from planner.project.state import Slot

EPILOG = (
    "JSON: plan_id, project, exit_code, slots (every disk of the project: volume, replica, disk, "
    "name, state, id, ids, size_gb, usd_hr, planned_usd_hr, status, created_at, why), volumes "
    "(ids by volume), pending and to_send (names), totals, usd_hr (of the project, pending disks "
    "included), superseded (volume, replica, id, by, usd_hr), pods and commands (to paste), "
    "workloads (project, workload, offer_id, nodes, disks, beside_disks: yes, no or unconfirmed, "
    "why), advice, warnings; a run that stopped early also has error and hint. States: planned, "
    "waiting, pending, created, superseded, kept, conflict, refused, given_up, destroyed. Exit "
    "codes: 0 done, 2 usage, 4 unreachable or refused, 5 stale, over a limit or out of stock, 6 "
    "unknown or unfinished, 7 needs a decision, 8 state unusable, 9 locked, 130 interrupted or "
    "declined."
)
_PLACE = ("cloud_id", "data_center", "country", "multinode")
"""What a rehearsal's marketplace takes as it is from a disk that the plan keeps or replaces."""
_COLUMNS = (
    TableColumn("volume", "volume"),
    TableColumn("disk", "disk", "count"),
    TableColumn("size_gb", "size GB", "size_gb"),
    TableColumn("usd_hr", "$/hour", "usd_hr"),
    TableColumn("state", "status", "status"),
    TableColumn("ids", "id", "id"),
    TableColumn("name", "name"),
)


def apply(
    plan: Annotated[
        str,
        typer.Argument(
            metavar="PLAN|DEMAND",
            help="Plan file, from `planner plan --out FILE`; or a demand file, which is planned on "
            "the live market first.",
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Buy without asking.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, send and write nothing.")
    ] = False,
    state: StateOption = None,
    wait: Annotated[
        bool,
        typer.Option("--wait", help="Wait until disks are ready, through quarantines as well."),
    ] = False,
    parallel: Annotated[
        int,
        typer.Option(
            min=1, max=16, help="Creates in flight at once, after the first has succeeded."
        ),
    ] = 1,
    max_age: Annotated[
        str, typer.Option(metavar="TIME", help="Refuse plans older than this: 24h or 2d.")
    ] = "24h",
    price_tolerance: Annotated[
        str,
        typer.Option(metavar="PCT", help="How much prices may have risen since the plan: 5 or 5%."),
    ] = "0",
    max_usd_hr: Annotated[
        str | None,
        typer.Option(
            metavar="USD",
            help="Never let the disks of the whole project cost more per hour, failover included.",
        ),
    ] = None,
    min_runway: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Refuse to buy if the wallet would last less than this: 72h or 30d.",
        ),
    ] = None,
    rehearse: Annotated[
        bool,
        typer.Option(
            "--rehearse",
            help="Practise on a local marketplace with the plan's offers; needs no key.",
        ),
    ] = False,
    failover: Annotated[
        str | None,
        typer.Option(
            metavar="PCT",
            help="After a stock-out, buy the rest elsewhere if the disks then cost at most this "
            "much more than the plan.",
        ),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Buy a second set on purpose.")] = False,
    settle: SettleOption = None,
    quarantine: QuarantineOption = None,
    timeout: Timeout = None,
    events: EventsOption = False,
    output: OutputOption = Output.table,
) -> None:
    """Buy the disks of a plan, each at most once, whatever goes wrong.

    Run it again after any failure: existing disks are recognised by name, never bought twice.
    Nothing is ever deleted. A demand file is planned, shown and bought in one step.
    """
    from planner.project.execute import Order, apply_plan
    from planner.project.preflight import Limits

    tolerance = options.percent(price_tolerance, "--price-tolerance")
    order = Order(
        limits=Limits(
            price_tolerance=tolerance or Decimal(0),
            max_usd_hr=options.price(max_usd_hr, "--max-usd-hr"),
            min_runway_hr=purchases.hours(min_runway, "--min-runway"),
            max_age=purchases.duration(max_age, "--max-age"),
            again=again,
        ),
        parallel=parallel,
        wait=wait,
        dry_run=dry_run,
        failover=options.percent(failover, "--failover"),
    )
    if not (yes or dry_run or rehearse or sys.stdin.isatty()):
        raise InputError(
            "no terminal to prompt on", hint="pass --yes to buy without asking, or --dry-run"
        )
    folder = purchases.state_folder(state)
    pace = replace(purchases.pace(settle, quarantine, timeout), waits_long=wait)
    made = _plan_of(plan, state, records=not dry_run)
    if rehearse:
        outcome = rehearsal(made, order, purchases.event_logger(events=events))
        render(_view(outcome, dry_run=False), output)
        to_stderr("this was a rehearsal on a local marketplace: nothing real was sent")
        purchases.exit_with(outcome.stop, output)
        return
    account = purchases.marketplace(pace, state, records=not dry_run)
    with account as marketplace, _signals(pace):
        outcome = apply_plan(
            made,
            marketplace,
            folder=folder,
            pace=pace,
            order=order,
            confirm=_always_confirm if yes else partial(confirm_purchase, made),
            on_event=purchases.event_logger(events=events),
        )
    render(_view(outcome, dry_run=dry_run), output)
    purchases.exit_with(outcome.stop, output)


def _plan_of(source: str, state: str | None, *, records: bool) -> Plan:
    """Return the plan in a file; of a demand, the plan on the live market and account, shown."""
    from planner.cli.plan import planned, warn
    from planner.formats import read_bytes
    from planner.plans.file import is_plan
    from planner.plans.plan import MAX_BYTES, Plan
    from planner.shipped import resolve

    if source != "-":
        content = read_bytes(resolve(source), what="plan or demand file", limit=MAX_BYTES)
        if is_plan(content):
            return Plan.load(source)
    made = planned(source, state=state, needs_account=True, records=records)
    show(made.sections())
    warn(made.warnings)
    return made


def rehearsal(made: Plan, order: Order, on_event: Callable[[dict[str, Any]], None]) -> ApplyOutcome:
    """Run the real apply against a local marketplace that has and sells what the plan saw."""
    from pydantic import SecretStr

    from planner.market.shapes import api_gpu_rows, api_rows
    from planner.marketplace.credentials import Credentials
    from planner.marketplace.fetch import connect
    from planner.marketplace.sim.local import Sim
    from planner.project.context import Pace
    from planner.project.execute import apply_plan

    # The account is as the plan saw it, and no plan is too old to be rehearsed.
    limits = replace(order.limits, max_age=timedelta.max, min_runway_hr=None)
    pace = Pace(settle_s=5.0, quarantine_s=5.0, timeout_s=10.0)
    gpus = api_gpu_rows(made.market.gpu_rows)
    with (
        tempfile.TemporaryDirectory() as folder,
        Sim(
            api_rows(made.market.offer_rows), gpus["gpus"], gpus["multi-node"], provisioning_s=0.5
        ) as sim,
        connect(Credentials(SecretStr(sim.key), sim.base_url), **pace.pacing) as marketplace,
    ):
        existing = {i for p in made.placements for i in (*p.disk_ids, *p.replaces)}
        for row in made.market.disk_records:
            if row["id"] in existing:
                place = {name: row[name] for name in _PLACE}
                known = {"provider": row["provider"] or "unknown", "usd_hr": row["usd_hr"] or 0}
                sim.add_disk(id=row["id"], size=row["size_gb"] or 1, **place, **known)
        return apply_plan(
            replace(made, target={"base_url": sim.base_url, "team_id": None}),
            marketplace,
            folder=Path(folder) / "state",
            pace=pace,
            order=replace(order, limits=limits),
            on_event=on_event,
        )


def _always_confirm(*_: object) -> bool:
    return True


@contextmanager
def _signals(pace: Pace) -> Iterator[None]:
    """Finish the open request at the first Ctrl-C, leave at once at the second."""

    def heard(_number: int, _frame: Any) -> None:  # noqa: ANN401 -- the interpreter's own
        if pace.stop.is_set():
            os._exit(130)
        pace.stop.set()
        os.write(2, b"\nstopping after the open request; interrupt again to leave at once\n")

    with stopping(heard):
        yield


def _view(outcome: ApplyOutcome, *, dry_run: bool) -> View:
    document = outcome.to_document()
    return View(lambda: [_section(outcome, document, dry_run=dry_run)], lambda: document)


def _section(outcome: ApplyOutcome, document: dict[str, Any], *, dry_run: bool) -> Section:
    from planner.units import money

    totals = document["totals"]
    usd_hr = Decimal(totals["usd_hr"])
    since = f", billed since {moment(totals['since'])}" if totals["since"] else ""
    unread = "" if outcome.is_read else ", as recorded: the account was not read"
    rate = f"{document['project']} costs ${money(usd_hr, 4)}/h now{since}{unread}"
    notes = [f"{_counts(outcome, document)}. {rate}."]
    notes += [f"warning: {warning}" for warning in document["warnings"]]
    notes += [reach.text for reach in outcome.reach]
    if dry_run and outcome.stop is None:
        notes.append(
            f"dry run: {counted(len(outcome.to_send), 'disk')} would be bought; nothing was sent"
        )
    rows: list[dict[str, Any]] = document["slots"]
    if len(rows) > MANY:
        rows = sorted(rows, key=_is_open, reverse=True)
    return Section.of(
        "slots",
        "",
        _COLUMNS,
        map(_cells, rows, titles_of(rows)),
        footer={"volume": "now", "usd_hr": usd_hr},
        notes=(*notes, *document["advice"]),
        commands=(*document["pods"], *document["commands"]),
        expendable=("name", "size_gb"),
        noun="slot",
        first=max(FIRST, sum(map(_is_open, rows))),
    )


def _is_open(row: dict[str, Any]) -> bool:
    """Return whether something about a slot is left to do, or to look at."""
    return row["state"] not in {"created", "kept", "planned"}


def _counts(outcome: ApplyOutcome, document: dict[str, Any]) -> str:
    """Return how many disks the plan has created, how many it keeps, and what became of others."""
    own = {row.slot.name for row in outcome.rows}
    counts = Counter(
        "kept" if row["state"] == "created" and row["name"] not in own else row["state"]
        for row in document["slots"]
    )
    first = ("created", "kept")
    states = [*(state for state in first if counts[state]), *sorted(counts.keys() - {*first})]
    return ", ".join(f"{counts[state]} {state.replace('_', ' ')}" for state in states) or "no disk"


def _cells(row: dict[str, Any], title: str) -> dict[str, Any]:
    from planner.units import money

    price, planned = Decimal(row["usd_hr"]), Decimal(row["planned_usd_hr"])
    status = f" ({row['status']})" if row["status"] else ""
    return {
        **row,
        "volume": title,
        "usd_hr": price or Cell(planned, f"({money(planned, 4)})"),
        "state": f"{row['state'].replace('_', ' ')}{status}",
    }


_REPLACES = TableColumn("replaces", "replaces", "id")


def confirm_purchase(
    plan: Plan,
    slots: Sequence[Slot],
    now_usd_hr: Decimal,
    after_usd_hr: Decimal,
    funds: Funds,
) -> bool:
    """Show what is bought and what the project costs then; return whether `yes` was typed.

    Parameters
    ----------
    plan : Plan
        The slots are of it, or of one that continues it.
    now_usd_hr, after_usd_hr : Decimal
        Run-rate of the project before and after.
    funds : Funds
        The wallet, and every disk that it pays for.
    """
    table = _table(plan, slots)
    notes = [_cost(plan, slots, now_usd_hr, after_usd_hr)]
    if funds.balance_usd is not None:
        notes.append(
            _runway(funds.balance_usd, funds.usd_hr, has_others=funds.usd_hr > after_usd_hr)
        )
    show([replace(table, notes=tuple(notes))])
    to_stderr("Type 'yes' to buy: ")
    # Ctrl-C at the prompt declines; nothing is open that would have to be awaited.
    kept = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return _typed_yes()
    except KeyboardInterrupt:
        return False
    finally:
        signal.signal(signal.SIGINT, kept)


def _typed_yes() -> bool:
    while True:
        answer = sys.stdin.readline().strip()
        if answer == "yes":
            return True
        if answer.lower() not in {"y", "yes"}:
            return False
        to_stderr("Type the whole word 'yes' to buy; anything else buys nothing: ")


def _table(plan: Plan, slots: Sequence[Slot]) -> Section:
    from planner.market.offers import KEY, place_text
    from planner.plans.summary import PLACED
    from planner.units import total, usd_month

    hours = plan.demand.policy.hours_per_month
    several = {placement.volume for placement in plan.placements if placement.replica > 1}
    split = {slot.volume for slot in slots if slot.disk > 1}
    replaces = (_REPLACES,) if any(slot.replaces for slot in slots) else ()

    def row(slot: Slot) -> dict[str, Any]:
        title = slot.volume + (f" #{slot.replica}" if slot.volume in several else "")
        title += f", disk {slot.disk}" if slot.volume in split else ""
        return {
            "action": "~" if slot.replaces else "+",
            "volume": title,
            "where": place_text(dict(zip(KEY, slot.offer, strict=True))),
            "size_gb": slot.size_gb,
            "usd_hr": slot.usd_hr,
            "usd_month": usd_month(slot.usd_hr, hours),
            "replaces": slot.replaces,
        }

    usd_hr = total(slot.usd_hr for slot in slots)
    sums = {"size_gb": sum(slot.size_gb for slot in slots), "usd_hr": usd_hr}
    footer = {"volume": "total", **sums, "usd_month": usd_month(usd_hr, hours)}
    columns, rows = (*PLACED, *replaces), map(row, slots)
    return Section.of("slots", "To buy", columns, rows, footer=footer, expendable=("usd_hr",))


def _cost(plan: Plan, slots: Sequence[Slot], now_usd_hr: Decimal, after_usd_hr: Decimal) -> str:
    """Return what the project costs now and then; of a replacement, between them as well."""
    from planner.text import visible
    from planner.units import difference, money, total, usd_month

    def month(usd_hr: Decimal) -> str:
        usd = usd_month(usd_hr, plan.demand.policy.hours_per_month)
        return f"${money(usd_hr, 4)}/h (${money(usd)}/month)"

    old = {disk_id for slot in slots for disk_id in slot.replaces}
    what = f"{visible(plan.project)} costs {month(now_usd_hr)} now"
    if not old:
        return f"{what} and {month(after_usd_hr)} afterwards."
    saved = total(
        row["usd_hr"] for row in plan.market.disk_records if row["id"] in old and row["usd_hr"]
    )
    retired = "the old disk is" if len(old) == 1 else f"the {len(old)} old disks are"
    left = month(difference(after_usd_hr, saved))
    return (
        f"{what}, {month(after_usd_hr)} while both copies exist, and {left} once {retired} retired."
    )


def _runway(balance: Decimal, usd_hr: Decimal, *, has_others: bool) -> str:
    """Return how long the wallet lasts; it pays for every disk of the account."""
    from planner.units import hours_left, lasting, money

    hours = hours_left(balance, usd_hr)
    if hours is None:
        return f"The wallet has ${money(balance)}."
    what = " for all disks of the account" * has_others
    lasts = f"which lasts {lasting(hours)} at ${money(usd_hr, 4)}/h{what}"
    return f"The wallet has ${money(balance)}, {lasts}."
