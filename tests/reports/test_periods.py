"""Time and money: months, rates, and what has accrued."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.reports.lines import Month, RunRate, in_hours
from planner.units import hours_left, part, percent_of, usd_elapsed
from tests.reports.world import READ, held, live, planned, report


@pytest.mark.parametrize(
    ("moment", "name", "hours"),
    [
        (datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC), "2026-02", 672),
        (datetime(2028, 2, 1, tzinfo=UTC), "2028-02", 696),
        (datetime(2026, 12, 31, 23, tzinfo=UTC), "2026-12", 744),
        (datetime(2026, 4, 30, tzinfo=UTC), "2026-04", 720),
    ],
)
def test_a_calendar_month_has_its_own_hours(moment: datetime, name: str, hours: int) -> None:
    """Leap years and the end of the year included."""
    month = Month.of(moment)
    assert (month.name, month.hours) == (name, hours)
    assert month.start <= moment < month.end


def test_a_month_is_utc() -> None:
    """A moment that is January in Tokyo may be December in the bill."""
    tokyo = datetime.fromisoformat("2026-01-01T08:00:00+09:00")
    assert Month.of(tokyo).name == "2025-12"


def test_what_a_disk_has_accrued() -> None:
    """0.02 USD an hour since the 9th: 60 hours by noon of the 11th, 252 of 672 are gone."""
    (accrual,) = report(None, held(live("disk-0001"))).lines
    assert accrual.hours == 60
    assert accrual.accrued_usd == Decimal("1.2")
    assert accrual.month_so_far_usd == Decimal("1.2")
    assert accrual.rest_of_month_usd == Decimal("0.02") * (672 - 252)


def test_a_disk_of_an_earlier_month_counts_its_month_from_the_first() -> None:
    """Accrued is all of it; the month so far only what fell into it."""
    (line,) = report(None, held(live("disk-0001", "2026-01-31T12:00:00"))).lines
    accrual = line
    assert accrual.accrued_usd == Decimal("0.02") * (252 + 12)
    assert accrual.month_so_far_usd == Decimal("0.02") * 252


@pytest.mark.parametrize(
    ("created", "hours"),
    [
        ("2026-01-01T00:00:00", 672),
        ("2026-02-09T00:00:00", 672 - 8 * 24),
        (None, 672),
        ("2026-02-11T12:00:00", 672 - 252),
    ],
)
def test_the_calendar_month_counts_the_hours_in_it(created: str | None, hours: int) -> None:
    """A disk of the 9th costs 20 of February's 28 days; one to be bought, what is left of them."""
    made = report(None, held(live("disk-0001", created)))
    assert made.after.usd_calendar_month == Decimal("0.02") * hours
    (total,) = (one for one in made.groups("site"))
    assert total.rate.usd_calendar_month == made.after.usd_calendar_month
    new = report(planned()).new
    assert new.usd_calendar_month == new.usd_hr * (672 - 252)


@pytest.mark.parametrize("created", [None, "yesterday", "", "2026-13-01T00:00:00"])
def test_nobody_says_when(created: str | None) -> None:
    """Without a time of creation nothing has accrued that anybody knows; the rest is known."""
    made = report(None, held(live("disk-0001", created)))
    accrual = made.lines[0]
    assert (accrual.hours, accrual.accrued_usd, accrual.month_so_far_usd) == (None, None, None)
    assert accrual.rest_of_month_usd == Decimal("8.4")
    assert made.to_document()["totals"]["undated"] == 1


def test_a_clock_that_is_behind_owes_nothing() -> None:
    """A disk from the future has accrued nothing, rather than less than that."""
    (line,) = report(None, held(live("disk-0001", "2026-02-12T00:00:00"))).lines
    assert line.accrued_usd == 0


def test_a_new_disk_has_the_rest_of_the_month_only() -> None:
    """It was not there, so it accrued nothing; from now on it costs."""
    line = report(planned()).lines[0]
    accrual = line
    assert (accrual.accrued_usd, accrual.rest_of_month_usd) == (None, Decimal("4.2"))


@settings(deadline=None)
@given(
    st.decimals(0, 1000, places=9),
    st.integers(0, 10**15),
)
def test_elapsed_is_the_exact_quotient_rounded(usd_hr: Decimal, microseconds: int) -> None:
    """Within half of the last of twelve places of the exact fraction."""
    exact = Fraction(usd_hr) * microseconds / 3_600_000_000
    assert abs(Fraction(usd_elapsed(usd_hr, microseconds)) - exact) <= Fraction(1, 2 * 10**12)


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(st.decimals(0, 10, places=6), max_size=8))
def test_a_rate_is_the_sum_of_its_disks(prices: list[Decimal]) -> None:
    """However the disks are grouped, their rates add up."""
    rows = [live(f"disk-{n:04}", usd_hr=str(price)) for n, price in enumerate(prices)]
    lines = report(None, held(*rows)).lines
    whole = RunRate.of(lines)
    assert whole.usd_hr == sum(prices, Decimal(0))
    rates = [RunRate.of([one]) for one in lines]
    assert sum(one.usd_hr for one in rates) == whole.usd_hr
    assert sum(one.disks for one in rates) == whole.disks
    assert whole.per(730) == sum(prices, Decimal(0)) * 730


def test_unpriced_is_counted_and_never_free() -> None:
    """A disk without a price is in the number of disks, in `unpriced`, and in no amount."""
    made = report(None, held(live("disk-0001"), live("disk-0002", usd_hr=None)))
    assert (made.after.disks, made.after.unpriced) == (2, 1)
    assert made.after.usd_hr == Decimal("0.02")
    assert made.lines[1].rest_of_month_usd is None
    assert "has no price" in made.warnings[0]
    (totals,) = (one for one in made.sections() if one.name == "totals")
    assert "unpriced" in totals.rows[0][0]


@pytest.mark.parametrize("price", [None, "0", "0.0"])
def test_a_price_of_zero_is_none(price: str | None) -> None:
    """Nothing is free: a gate that counts it as such would open."""
    made = report(None, held(live("disk-0001", usd_hr=price)))
    assert made.after.unpriced == 1
    assert made.lines[0].usd_hr is None


def test_a_balance_lasts_until_it_is_used_up() -> None:
    """Rounded down, nothing of a debt, for ever where nothing costs."""
    assert hours_left(Decimal(100), Decimal("0.3")) == Decimal("333.333333")
    assert hours_left(Decimal(-5), Decimal("0.3")) == 0
    assert hours_left(Decimal(5), Decimal(0)) is None
    assert in_hours(Decimal(10) ** 9 * 1000, READ) is None
    assert in_hours(Decimal("1.5"), READ) == READ + timedelta(minutes=90)


def test_percentages_are_exact_where_they_decide() -> None:
    """80 % of 0.1 is 0.08; a share is rounded for the eye only."""
    assert part(Decimal("0.1"), Decimal(80)) == Decimal("0.08")
    assert percent_of(Decimal(1), Decimal(3)) == Decimal("33.3333")
    assert percent_of(Decimal(1), Decimal(0)) is None


def test_a_disk_that_was_created_later_is_left_out_and_said() -> None:
    """A file is read as of any time; what was not there yet costs nothing then."""
    later = live("disk-0002", created="2026-02-12T10:00:00")
    made = report(None, held(live("disk-0001"), later, base_url=None))
    assert [line.disk_id for line in made.lines] == ["disk-0001"]
    (told,) = [one for one in made.warnings if "left out" in one]
    assert told == (
        "1 disk created after 2026-02-11 12:00 UTC left out: "
        "disk-0002 (created 2026-02-12 10:00 UTC)"
    )
    alone = report(None, held(later, base_url=None))
    assert alone.lines == ()
    assert alone.after.usd_hr == 0


def test_a_live_disk_is_never_left_out() -> None:
    """A clock that is behind the marketplace's hides nothing that is billed; it starts later."""
    (line,) = report(None, held(live("disk-0001", created="2026-02-12T12:00:00"))).lines
    accrual = line
    assert (accrual.accrued_usd, accrual.month_so_far_usd) == (Decimal(0), Decimal(0))
    assert accrual.rest_of_month_usd == Decimal("0.02") * (672 - 276)


def test_a_disk_of_a_later_month_costs_nothing_in_this_one() -> None:
    """What begins after the month has no rest of it."""
    (line,) = report(None, held(live("disk-0001", created="2026-03-05T00:00:00"))).lines
    assert line.rest_of_month_usd == 0
