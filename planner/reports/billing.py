"""Billing: how long wallets last, and what was billed, as tables."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.present.table import Cell, Section, TableColumn, reading
from planner.reports.holdings import GONE
from planner.reports.lines import HOURS_PER_DAY, Accrual
from planner.units import difference, total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planner.reports.aggregates import Aggregates
    from planner.reports.lines import Line


def wallet_section(report: Aggregates) -> Section:
    """Return how long each wallet lasts: now, with the plan, and with its GPUs."""
    asked = {
        "now": "days now",
        **({"after": "with the plan"} if report.projects else {}),
        **({"with_gpus": "with GPUs"} if report.gpus else {}),
    }
    rows = []
    for one in report.runways():
        balance = one["balance_usd"]
        rows.append(
            (
                one["account"],
                None if balance is None else Decimal(balance),
                *(_days(one[name], knows_balance=balance is not None) for name in asked),
                one["after"]["empty_at"],
            )
        )
    columns = (
        TableColumn("account", "account", null="a file"),
        TableColumn("balance_usd", "balance $", "usd", "unknown"),
        *(TableColumn(f"{name}_days", heading, "days") for name, heading in asked.items()),
        TableColumn("empty_at", "empty on", "date"),
    )
    return Section(
        "wallet", "How long the wallet lasts", columns, tuple(rows), expendable=("empty_at",)
    )


def _days(lasts: dict[str, Any] | None, *, knows_balance: bool) -> Any:  # noqa: ANN401 -- a cell
    if not knows_balance:
        return Cell(None, "unknown")
    if lasts is None:
        return None
    if lasts["hours_left"] is None:
        costs = Decimal(lasts["usd_hr"]) or lasts["unpriced"]
        return Cell(None, "unknown" if costs else "no end")
    days = Decimal(lasts["hours_left"]) / HOURS_PER_DAY
    return Cell(days, f"at most {reading(days, 'days').text}") if lasts["unpriced"] else days


def billed_section(report: Aggregates) -> Section:
    """Return estimated and billed cost side by side, for what planner can estimate: disks."""
    rows, notes = [], []
    for wallet in report.wallets:
        live = [line for line in report.lines if line.is_live and line.account == wallet.account]
        for one in wallet.billed:
            estimate, apart = None, None
            if one.kind == "disks":
                estimate, apart, left_out = _estimated(live)
                notes += [_LEFT_OUT.format(left_out)] if left_out else []
            rows.append((one.kind, one.rows, estimate, one.usd, apart))
            if one.unreadable:
                notes.append(f"{one.kind}: {one.unreadable} rows have no amount in USD")
            if one.kind == GONE:
                notes.append(f"{GONE}: their cost is known from their billing rows only")
        if wallet.unread_bills != 0:
            many = "more" if wallet.unread_bills is None else f"{wallet.unread_bills:,} more"
            notes.append(f"there may be {many} billing rows, which were not read")
    columns = (
        TableColumn("kind", "what"),
        TableColumn("rows", "rows", "count"),
        TableColumn("accrued_usd", "estimated $", "usd"),
        TableColumn("billed_usd", "billed $", "usd"),
        TableColumn("more_usd", "billed more $", "usd"),
    )
    return Section(
        "billed",
        "Estimated and billed cost",
        columns,
        tuple(rows),
        notes=tuple(dict.fromkeys(notes)),
    )


_LEFT_OUT = "the estimate and the difference leave out disks without either amount: {}"


def _estimated(live: Sequence[Line]) -> tuple[Decimal, Decimal, int]:
    """Return what disks accrued, what was billed for them more, and how many lack either."""
    both = [
        (accrued, line.billed_usd)
        for line in live
        if (accrued := Accrual.of(line).accrued_usd) is not None and line.billed_usd is not None
    ]
    estimate, billed = total(one for one, _ in both), total(one for _, one in both)
    return estimate, difference(billed, estimate), len(live) - len(both)
