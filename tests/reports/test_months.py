"""What a month cost: disks for the hours that they lived, billed where rows say so."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner.errors import InputError
from planner.marketplace.protocol import Bill
from planner.plans.sharing import DiskShare
from planner.project.destroy import destroy
from planner.project.journal import Journal
from planner.project.sightings import Sighting
from planner.reports.holdings import account_holdings
from planner.reports.lines import Month
from planner.reports.months import MonthSums
from planner.reports.past import PastDisk, month_costs, past_disks
from planner.reports.shares import with_shares
from tests.project import test_replace
from tests.project.test_after import opened
from tests.reports.world import held, live, planned

if TYPE_CHECKING:
    from pathlib import Path

    from planner.reports.holdings import Holdings
    from planner.reports.months import MonthReport
    from tests.project.world import World

MARCH = datetime(2026, 3, 10, tzinfo=UTC)
PRICE = Decimal("0.01")
"""USD an hour of 100 GB at the only place of the world."""


def wait_until(world: World, at: datetime) -> None:
    world.clock.sleep((at - world.clock.now()).total_seconds())


def row(disk_id: str | None, usd: str | None, since: str, until: str, kind: str = "disks") -> Bill:
    """Return a billing row with its times, days of 2026 such as 01-15."""
    begin, end = (f"2026-{day}T00:00:00+00:00" for day in (since, until))
    return Bill(
        f"{disk_id}-{since}", None if usd is None else Decimal(usd), kind, disk_id, begin, end
    )


def month(holdings: Holdings, name: str, compare: str | None = None, **more: Any) -> MonthReport:
    return planner.report(None, holdings, month=name, compare=compare, now=MARCH, **more)


def amounts(made: MonthReport) -> dict[str, Any]:
    """Return hours, cost and ending of each disk."""
    return {str(one.line.disk_id): (one.hours, one.usd, one.ending) for one in made.lines}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return an account with a year's story.

    On 1 January at noon corpus (600 GB) and ckpt (100 GB) are bought; on 20 January corpus grows
    to 700 GB; the old disk is retired on 1 February at noon, ckpt is destroyed on 3 February, and
    the new corpus is deleted by hand on 5 March.
    """
    world = test_replace.bought(tmp_path)
    wait_until(world, datetime(2026, 1, 20, tzinfo=UTC))
    test_replace.grown(world, tmp_path)
    test_replace.make_active(world)
    wait_until(world, datetime(2026, 2, 1, 12, tzinfo=UTC))
    test_replace.retired(world, tmp_path)
    wait_until(world, datetime(2026, 2, 3, tzinfo=UTC))
    with opened(world, tmp_path) as ctx:
        ckpt = [entry for entry in ctx.state.entries.values() if entry.volume == "ckpt"]
        destroy(ctx, ckpt, confirm=lambda _: True)
    wait_until(world, datetime(2026, 3, 5, tzinfo=UTC))
    for disk in world.live:
        world.terminate(disk.id)
    wait_until(world, MARCH)
    return world


def read(world: World, folder: Path, *, bills: bool = True) -> dict[str, Any]:
    """Return holdings and records, as `planner.report` takes them."""
    with world.account() as account, Journal(folder, write=False) as journal:
        holdings = account_holdings(account, MARCH)
        records = list(journal.records)
    if not bills:
        holdings = replace(holdings, bills=())
    return {"holdings": holdings, "records": records}


@pytest.mark.slow
def test_disks_count_for_the_hours_that_they_lived(world: World, tmp_path: Path) -> None:
    """January and February at list price; the new corpus was seen last when it was bought."""
    there = read(world, tmp_path, bills=False)
    january = month(there["holdings"], "2026-01", records=there["records"])
    old, ckpt, _ = (disk.id for disk in world.disks.values())
    assert january.is_over
    lived = {
        key: (round(hours or 0), ending) for key, (hours, _, ending) in amounts(january).items()
    }
    assert lived == {old: (744 - 12, "retired"), ckpt: (744 - 12, "deleted")}
    for one in january.lines:
        assert one.usd == one.list_usd == one.unbilled_usd
        assert one.billed_usd is None
        assert one.start_at is not None
        assert one.end_at is not None
        hours = Decimal((one.end_at - one.start_at) // timedelta(microseconds=1)) / 3_600_000_000
        price = PRICE * (one.line.size_gb or 0) / 100
        assert one.usd == (hours * price).quantize(Decimal("1E-12"))
    february = month(there["holdings"], "2026-02", records=there["records"])
    assert {key: round(hours or 0) for key, (hours, _, _) in amounts(february).items()} == {
        old: 12,
        ckpt: 48,
    }
    assert january.total.usd == sum(one.usd or 0 for one in january.lines)


@pytest.mark.slow
def test_what_is_gone_counts_until_it_was_seen_last(world: World, tmp_path: Path) -> None:
    """The new corpus was seen last on 20 January: later cost is unknown, at most so much."""
    there = read(world, tmp_path, bills=False)
    new = list(world.disks)[-1]
    for name, hours in (("2026-02", 672), ("2026-03", 9 * 24)):
        made = month(there["holdings"], name, records=there["records"])
        assert new not in amounts(made)
        (unknown,) = made.unknown
        assert new in unknown.name
        assert round(unknown.most_usd or 0, 2) == PRICE * 7 * hours
        assert "1 unknown cost" in made.summary[-1]


@pytest.mark.slow
def test_billing_rows_know_more_than_the_journal(world: World, tmp_path: Path) -> None:
    """The simulator's row covers a disk's whole life: it shows when a disk that is gone ended."""
    there = read(world, tmp_path)
    january = month(there["holdings"], "2026-01", records=there["records"])
    assert {one.billed_usd for one in january.lines} == {None}
    march = month(there["holdings"], "2026-03", records=there["records"])
    assert march.unknown == ()
    assert [(one.ending, round(one.hours or 0)) for one in march.lines] == [("gone", 4 * 24)]
    assert round(march.total.usd, 2) == PRICE * 7 * 96


def test_billed_and_list_price_add_up() -> None:
    """One row lies in the month, one covers two months, one is of a disk that is nobody's."""
    account = held(
        live("disk-0001", "2026-02-01T00:00:00", usd_hr="0.02"),
        live("disk-0002", "2026-01-01T00:00:00", usd_hr="0.03"),
        bills=(
            row("disk-0001", "3.5", "02-01", "02-11"),
            row("disk-0002", "9", "01-01", "02-11"),
            row("disk-0003", "4", "02-02", "02-03"),
            row("disk-0004", "5", "01-20", "02-02"),
            row("disk-0005", "6", "01-01", "01-02"),
            row("pod-00001", "70", "02-01", "02-05", "compute"),
        ),
        read_at=datetime(2026, 2, 11, tzinfo=UTC),
    )
    made = month(account, "2026-02", "2026-01")
    assert amounts(made) == {
        "disk-0002": (240, Decimal("7.2"), "live"),
        "disk-0003": (24, Decimal(4), "gone"),
        "disk-0001": (240, Decimal("3.5"), "live"),
    }
    assert (made.total.billed_usd, made.total.unbilled_usd) == (Decimal("7.5"), Decimal("7.2"))
    assert made.total.usd == Decimal("14.7")
    assert [(one.name, one.most_usd) for one in made.unknown] == [("disk disk-0004", Decimal(5))]
    assert made.notes == ("Other charges, not in these sums: compute $70.00 billed.",)
    # 18 days are left: 432 hours of 0.05 USD.
    assert made.expected_usd == Decimal("14.7") + 432 * Decimal("0.05")
    assert made.title == "Storage costs, 2026-02 so far"
    before = made.before
    assert before is not None
    assert amounts(before) == {
        "disk-0002": (744, Decimal("22.32"), "live"),
        "disk-0005": (24, Decimal(6), "gone"),
    }
    change = "-$13.62 (-48.1 %) compared with 2026-01 ($28.32); 2026-02 is not over."
    assert made.summary[3] == change


@pytest.mark.slow
def test_every_format_has_the_same_sums(world: World, tmp_path: Path) -> None:
    """Groups and disks add up to the total in frames, JSON and CSV; the rest says it in words."""
    there = read(world, tmp_path, bills=False)
    made = month(there["holdings"], "2026-02", "2026-01", records=there["records"])
    document = made.to_document()
    json.dumps(document)
    total = made.total.usd
    assert Decimal(document["totals"]["usd"]) == total
    for rows in (document["disks"], *document["by"].values()):
        assert sum(Decimal(one["usd"]) for one in rows) == total
    for rows in document["by"].values():
        assert sum(Decimal(one["before_usd"]) for one in rows) == made.before.total.usd  # type: ignore[union-attr]
    cells = csv.DictReader(io.StringIO(made.to_csv()))
    assert sum(Decimal(one["usd"]) for one in cells) == total
    for by, group in made.groups_frame(exact=True).groupby("by"):
        assert sum(group["usd"]) == total, by
    shown = f"{total:.2f}"
    for text in (made.to_markdown(), made.to_html(), made._repr_html_()):
        assert shown in text
        assert "2026-01" in text


def test_owners_of_live_disks_are_those_of_a_plan() -> None:
    """A disk that a plan keeps by its id is its owner's, though planner did not buy it."""
    volumes = [{"name": "a", "size_gb": 100, "disks": ["disk-0001"], "owner": "ann"}]
    disk = live("disk-0001", "2026-01-01T00:00:00")
    plan = planned(disk, volumes=volumes, policy={})
    made = planner.report(plan, held(disk), month="2026-01")
    assert made.groups("owner")["ann"].usd == 744 * Decimal("0.02")


@pytest.mark.parametrize(
    ("name", "compare", "says"),
    [
        ("2026-04", None, "2026-04 has not begun"),
        ("2026-13", None, "is not a month"),
        ("october", None, "is not a month"),
        ("2026-02", "2026-02", "with itself"),
    ],
)
def test_a_month_that_cannot_be_reported(name: str, compare: str | None, says: str) -> None:
    """Later than the reading, no month, or twice the same."""
    with pytest.raises(InputError, match=says):
        month(held(live("disk-0001")), name, compare)
    with pytest.raises(InputError, match="of an account"):
        planner.report(planned(), month="2026-02")


def test_what_has_no_price_or_no_time_is_unknown() -> None:
    """It is in no sum, and listed with what it comes to at most."""
    account = held(live("disk-0001", None), live("disk-0002", usd_hr=None))
    made = month(account, "2026-02")
    assert made.lines == ()
    most = {one.name.split("(")[1]: one.most_usd for one in made.unknown}
    assert most == {"disk-0001)": Decimal("0.02") * 252, "disk-0002)": None}


def test_a_shared_disk_is_billed_once_and_divided_by_gb() -> None:
    """300 and 100 GB on one disk: three quarters and a quarter of its row, and one disk."""
    account = held(
        live("disk-0001", "2026-02-01T00:00:00", size=400),
        bills=[row("disk-0001", "4", "02-01", "02-11")],
    )
    (line,) = planner.report(None, account).lines
    shares = (DiskShare("a", 1, 300, "ann", {}), DiskShare("b", 1, 100, "bob", {}))
    disk = PastDisk(with_shares(line, shares), "live", account.read_at, account.read_at)
    lines, _ = month_costs([disk], account, Month.named("2026-02"))
    billed = {one.line.owner: one.billed_usd for one in lines}
    assert billed == {"ann": Decimal(3), "bob": Decimal(1)}
    assert MonthSums(lines).disks == 1
    assert sum(one.list_usd or 0 for one in lines) == Decimal("0.02") * 252


def test_a_month_is_written_as_people_write_it() -> None:
    """Year and month."""
    assert Month.named("2028-02").hours == 29 * 24


def assigned(world: World, folder: Path, at: datetime, owner: str) -> None:
    wait_until(world, at)
    tags = {"team": owner}
    plan = test_replace.planned(world, folder, 600, f"nonce-{owner}", owner=owner, tags=tags)
    assert world.apply(folder, plan).exit_code == 0


@pytest.mark.slow
def test_a_disk_that_changed_its_owner_counts_for_each_by_time(tmp_path: Path) -> None:
    """A month that is over keeps its owner; a hand-over in mid-month divides it, billed or not."""
    world = test_replace.bought(tmp_path)
    assigned(world, tmp_path, datetime(2026, 1, 11, tzinfo=UTC), "ann")
    assigned(world, tmp_path, datetime(2026, 2, 15, tzinfo=UTC), "bob")
    wait_until(world, MARCH)
    there = read(world, tmp_path, bills=False)
    (corpus,) = (disk.id for disk in world.live if disk.size_gb == 600)

    def hours(name: str, **more: Any) -> dict[str | None, int]:
        made = month(name=name, records=there["records"], **{"holdings": there["holdings"], **more})
        lines = [one for one in made.lines if one.line.disk_id == corpus]
        assert sum(one.leads for one in lines) == 1
        assert made.total.disks == 2
        return {one.line.owner: round(one.hours or 0) for one in lines}

    assert hours("2026-01") == {None: 10 * 24 - 12, "ann": 21 * 24}
    assert hours("2026-02") == {"ann": 14 * 24, "bob": 14 * 24}
    assert hours("2026-03") == {"bob": 9 * 24}
    billed = replace(there["holdings"], bills=(row(corpus, "28", "02-01", "03-01"),))
    made = month(billed, "2026-02", records=there["records"])
    assert {k: round(v.billed_usd, 3) for k, v in made.groups("owner").items()} == {
        "ann": 14,
        "bob": 14,
        None: 0,
    }
    march = month(there["holdings"], "2026-03", records=there["records"])
    assert march.expected_usd == 31 * 24 * PRICE * 7


@pytest.mark.slow
def test_a_deletion_is_timed_by_the_marketplace(tmp_path: Path) -> None:
    """The local clock is forty days behind: the disk is billed until the marketplace's time."""
    world = test_replace.bought(tmp_path)
    test_replace.grown(world, tmp_path)
    test_replace.make_active(world)
    world.ahead_s = timedelta(days=40).total_seconds()
    old = test_replace.retired(world, tmp_path)[0]
    there = read(world, tmp_path, bills=False)
    at = world.clock.now() + timedelta(days=40)
    (past,) = past_disks(there["records"], there["holdings"], {})
    assert past.line.disk_id == old
    assert past.ended_at is not None
    assert abs(past.ended_at - at) < timedelta(minutes=1)


@pytest.mark.slow
def test_a_deletion_by_a_clock_that_is_behind_hides_no_cost(tmp_path: Path) -> None:
    """The local clock is a month late: what is deleted counts until it was listed last."""
    world = test_replace.bought(tmp_path)
    test_replace.grown(world, tmp_path)
    test_replace.make_active(world)
    old = test_replace.retired(world, tmp_path)[0]
    there = read(world, tmp_path, bills=False)
    seen = Sighting(datetime(2026, 2, 3, tzinfo=UTC), None)
    account = replace(there["holdings"], read_at=MARCH, seen={old: seen})
    january, february = (month(account, f"2026-0{n}", records=there["records"]) for n in (1, 2))
    assert round(amounts(january)[old][0]) == 744 - 12
    assert round(amounts(february)[old][0]) == 48
    assert [one.most_usd for one in february.unknown] == [26 * 24 * PRICE * 6]
