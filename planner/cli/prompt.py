"""What a person is shown and asked before money is spent."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Any

from planner.cli.render import show, to_stderr
from planner.present.table import Section, TableColumn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from planner.plans.plan import Plan
    from planner.project.preflight import Funds
    from planner.project.state import Slot

_COLUMNS = (
    TableColumn("action", "", "action"),
    TableColumn("volume", "volume"),
    TableColumn("where", "where"),
    TableColumn("size_gb", "size GB", "size_gb"),
    TableColumn("usd_hr", "$/hour", "usd_hr"),
    TableColumn("usd_month", "$/month", "usd_month"),
)


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
    slots : sequence of Slot
        What is bought.
    now_usd_hr, after_usd_hr : Decimal
        Run-rate of the project before and after.
    funds : Funds
        The wallet, and every disk that it pays for.
    """
    hours = plan.demand.policy.hours_per_month
    show([_table(slots, hours)])
    to_stderr(_cost(plan.project, now_usd_hr, after_usd_hr, hours))
    if funds.balance_usd is not None:
        to_stderr(_runway(funds.balance_usd, funds.usd_hr, is_alone=funds.usd_hr <= after_usd_hr))
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


def _table(slots: Sequence[Slot], hours: int) -> Section:
    from planner.market.offers import KEY, place_text
    from planner.units import total, usd_month

    several = {slot.volume for slot in slots if slot.replica > 1}
    split = {slot.volume for slot in slots if slot.disk > 1}

    def row(slot: Slot) -> tuple[Any, ...]:
        title = slot.volume + (f" #{slot.replica}" if slot.volume in several else "")
        title += f", disk {slot.disk}" if slot.volume in split else ""
        place: Mapping[str, Any] = dict(zip(KEY, slot.offer, strict=True))
        month = usd_month(slot.usd_hr, hours)
        return ("+", title, place_text(place), slot.size_gb, slot.usd_hr, month)

    usd_hr = total(slot.usd_hr for slot in slots)
    size_gb = sum(slot.size_gb for slot in slots)
    footer = ("", "to buy", "", size_gb, usd_hr, usd_month(usd_hr, hours))
    return Section("slots", "", _COLUMNS, tuple(map(row, slots)), footer, expendable=("usd_hr",))


def _cost(project: str, now_usd_hr: Decimal, after_usd_hr: Decimal, hours: int) -> str:
    from planner.units import money, usd_month

    now, after = (
        f"${money(usd, 4)}/h (${money(usd_month(usd, hours))}/month)"
        for usd in (now_usd_hr, after_usd_hr)
    )
    return f"{project} costs {now} now and {after} afterwards."


def _runway(balance: Decimal, usd_hr: Decimal, *, is_alone: bool) -> str:
    from planner.units import hours_left, money

    hours = hours_left(balance, usd_hr)
    if hours is None:
        return f"The wallet has ${money(balance)}."
    days = f"The wallet has ${money(balance)}, which lasts {money(hours / 24, 1)} days"
    if is_alone:
        return f"{days} at that rate."
    return f"{days}: all disks of the account then cost ${money(usd_hr, 4)}/h."
