"""What the figures of a report rest on, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.reports.parts import FILE
from planner.text import visible
from planner.units import HOURS_PER_MONTH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from planner.reports.report import Report


def assumptions(report: Report) -> tuple[str, ...]:
    """Return every assumption that a figure of the report rests on."""
    return tuple(_assumptions(report))


def _assumptions(report: Report) -> Iterator[str]:
    month = report.month
    yield (
        "amounts are list cost: size times price per GB and hour, billed or not; what was billed "
        "is called billed"
    )
    yield "amounts are exact, and rounded to the cent one by one, where they are shown"
    yield (
        f"a day is 24 hours, a month {HOURS_PER_MONTH}, and the calendar month {month.name} (UTC) "
        f"{month.hours}"
    )
    for source in report.sources:
        if source.kind != "plan":
            told = "are those of"
            if (source.account or "").startswith(FILE):
                told = "are taken to be, since a file does not say when it was read, those of"
            yield f"disks and prices of {visible(source.name)} {told} {source.as_of}"
            continue
        prices = visible(str(source.prices))
        since = source.prices_at or "a time that it does not say"
        yield (
            f"prices of what {visible(str(source.project))} is to buy are those of {prices}, "
            f"fetched at {since}; the plan was made at {source.as_of}"
        )
        if source.hours_per_month != HOURS_PER_MONTH:
            yield (
                f"budgets and comparisons of {visible(str(source.project))} count a month of "
                f"{source.hours_per_month} hours, as its policy says"
            )
    yield from _of_the_account(report)
    if report.gpus:
        yield (
            "GPUs cost the hours that the demand names, at list price, in any month; pods that "
            "are running now are not looked at"
        )


def _of_the_account(report: Report) -> Iterator[str]:
    if not report.knows_now:
        yield "nobody looked at the account: what it has already is not counted"
        return
    yield "carrying out a plan deletes nothing: disks that it does not keep go on costing"
    yield (
        "accrued is today's list price since creation, since no earlier price is told; the rest "
        "of the month assumes that nothing is created or deleted before it ends"
    )
    unpriced = report.after.unpriced
    if unpriced:
        yield f"disks without a price ({unpriced}) are in no amount: every sum is the least"
    if report.wallets:
        yield "a wallet lasts as long as nothing else is paid from it, and nothing paid in"
