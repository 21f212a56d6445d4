"""What a person is shown and asked before money is spent."""

from __future__ import annotations

import signal
import sys
from dataclasses import replace
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
    slots : sequence of Slot
        What is bought.
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
    from planner.units import total, usd_month

    hours = plan.demand.policy.hours_per_month
    several = {placement.volume for placement in plan.placements if placement.replica > 1}
    split = {slot.volume for slot in slots if slot.disk > 1}
    replaces = any(slot.replaces for slot in slots)

    def row(slot: Slot) -> tuple[Any, ...]:
        title = slot.volume + (f" #{slot.replica}" if slot.volume in several else "")
        title += f", disk {slot.disk}" if slot.volume in split else ""
        place: Mapping[str, Any] = dict(zip(KEY, slot.offer, strict=True))
        month = usd_month(slot.usd_hr, hours)
        sign = "~" if slot.replaces else "+"
        cells = (sign, title, place_text(place), slot.size_gb, slot.usd_hr, month)
        return (*cells, slot.replaces) if replaces else cells

    usd_hr = total(slot.usd_hr for slot in slots)
    size_gb = sum(slot.size_gb for slot in slots)
    footer = ("", "total", "", size_gb, usd_hr, usd_month(usd_hr, hours))
    return Section(
        "slots",
        "To buy",
        (*_COLUMNS, _REPLACES) if replaces else _COLUMNS,
        tuple(map(row, slots)),
        (*footer, ()) if replaces else footer,
        expendable=("usd_hr",),
    )


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
    from planner.units import hours_left, money

    hours = hours_left(balance, usd_hr)
    if hours is None:
        return f"The wallet has ${money(balance)}."
    what = " for all disks of the account" * has_others
    days = money(hours / 24, 1)
    return (
        f"The wallet has ${money(balance)}, which lasts {days} days at ${money(usd_hr, 4)}/h{what}."
    )
