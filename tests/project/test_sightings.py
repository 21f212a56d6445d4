"""What planner saw of disks: since when unattached; no state of the file stops anything."""

from __future__ import annotations

import fcntl
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

import planner
from planner.project.journal import Journal
from planner.project.sightings import FILE, LOCK, record_sightings
from planner.project.status import read_status
from planner.reports.holdings import account_holdings
from tests.project.world import START, URL, World

if TYPE_CHECKING:
    from pathlib import Path

    from planner.project.sightings import Sighting

ACCOUNT: dict[str, str | None] = {"base_url": URL, "team_id": None}
DAY = timedelta(days=1)
NOW = datetime(2026, 3, 1, tzinfo=UTC)
ON, OFF = ("pod-1",), ()


def seen(
    folder: Path, day: int, attached: tuple[str, ...] | None, disk_id: str = "disk-0001"
) -> Sighting:
    return record_sightings(folder, ACCOUNT, {disk_id: attached}, NOW + day * DAY)[disk_id]


def test_the_first_of_the_listings_that_had_it_unattached(tmp_path: Path) -> None:
    """Attached in between, or unreadable, begins again; an older listing changes nothing."""
    assert seen(tmp_path, 0, ON).unattached_since is None
    assert seen(tmp_path, 1, OFF).unattached_since == NOW + DAY
    assert seen(tmp_path, 5, OFF).unattached_since == NOW + DAY
    assert seen(tmp_path, 4, ON).unattached_since == NOW + DAY
    assert seen(tmp_path, 6, None).unattached_since is None
    assert seen(tmp_path, 7, OFF).unattached_since == NOW + 7 * DAY


def test_accounts_are_apart_and_gone_disks_are_remembered_for_a_while(tmp_path: Path) -> None:
    """Of the same id another team's disk is another; a gone one is forgotten after 400 days."""
    seen(tmp_path, 0, OFF)
    other = {**ACCOUNT, "team_id": "team-1"}
    assert record_sightings(tmp_path, other, {"disk-0001": ON}, NOW)["disk-0001"].seen_at == NOW
    assert seen(tmp_path, 1, OFF).unattached_since == NOW
    later = record_sightings(tmp_path, ACCOUNT, {}, NOW + 399 * DAY)
    assert later["disk-0001"].seen_at == NOW + DAY
    assert record_sightings(tmp_path, ACCOUNT, {}, NOW + 402 * DAY) == {}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"format": "planner.sightings/9", "accounts": {}}',
        b'{"format": "planner.sightings/1", "accounts": []}',
        b'{"format": "planner.sightings/1", "accounts": {"https://market.test": {"disk-0001": 5}}}',
        b"".join(
            (
                b'{"format": "planner.sightings/1", "accounts": {"https://market.test": ',
                b'{"disk-0001": {"seen_at": "2026-01-01", "unattached_since": null}}}}',
            )
        ),
    ],
)
def test_a_damaged_file_is_begun_again(content: bytes, tmp_path: Path) -> None:
    """It decides nothing: what it had is unknown, and the next listing is kept."""
    (tmp_path / FILE).write_bytes(content)
    assert seen(tmp_path, 0, OFF).unattached_since == NOW
    assert seen(tmp_path, 3, OFF).unattached_since == NOW


@pytest.mark.slow
def test_a_torn_file_at_every_byte(tmp_path: Path) -> None:
    """Cut anywhere, it is read or begun again."""
    seen(tmp_path, 0, OFF)
    whole = (tmp_path / FILE).read_bytes()
    for cut in range(len(whole)):
        (tmp_path / FILE).write_bytes(whole[:cut])
        assert seen(tmp_path, 2, OFF).unattached_since in {NOW, NOW + 2 * DAY}


def test_a_locked_or_unusable_place_stops_nothing(tmp_path: Path) -> None:
    """Another run holds the lock, or the state directory is a file: known until then, unwritten."""
    seen(tmp_path, 0, OFF)
    with (tmp_path / LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert seen(tmp_path, 3, ON).unattached_since is None
    assert seen(tmp_path, 4, OFF).unattached_since == NOW
    (tmp_path / "file").write_text("")
    assert seen(tmp_path / "file", 0, OFF).unattached_since == NOW
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).mkdir()
    assert seen(tmp_path, 5, OFF).unattached_since == NOW + 5 * DAY


@pytest.mark.slow
def test_apply_status_and_report_see_the_same(tmp_path: Path) -> None:
    """Bought and never attached: after eight days status marks it and the report says its cost."""
    world = World()
    assert world.apply(tmp_path).exit_code == 0
    document = json.loads((tmp_path / FILE).read_text())
    assert set(document["accounts"][URL]) == {disk.id for disk in world.live}
    world.live[0].pods = ["pod-1"]
    world.clock.sleep(8 * 86400)
    with world.account() as account, Journal(tmp_path, write=False) as journal:
        status = read_status(journal.records, account, folder=tmp_path)
        holdings = account_holdings(account, world.clock.now(), tmp_path)
        made = planner.report(None, holdings, records=journal.records, now=world.clock.now())
    attached, idle = sorted(status.disks, key=lambda one: one.unattached_since is not None)
    assert (attached.unattached_since, attached.disk and attached.disk.attached) == (
        None,
        ("pod-1",),
    )
    assert idle.unattached_since is not None
    assert idle.unattached_since - START < timedelta(minutes=2)
    assert [note for note in idle.notes if note.startswith("unattached since 2026-01-01 (")]
    (line,) = made.idle
    assert line.unattached_since == idle.unattached_since.isoformat()
    assert round(line.idle_usd or 0, 1) == round(Decimal(8 * 24) * (line.usd_hr or 0), 1)


def test_idle_is_what_is_so_for_long_enough(tmp_path: Path) -> None:
    """From the threshold on, to the second; what is unknown is not counted, and said."""
    from dataclasses import replace

    from tests.reports.world import READ, held, live

    week = held(live("disk-0001", usd_hr="0.5"), live("disk-0002"), live("disk-0003"))
    for disk_id, days in (("disk-0001", 7), ("disk-0002", 6)):
        record_sightings(tmp_path, ACCOUNT, {disk_id: OFF}, READ - days * DAY)
    seen = record_sightings(tmp_path, ACCOUNT, {"disk-0001": OFF, "disk-0002": OFF}, READ)
    made = planner.report(None, replace(week, seen=seen), now=READ)
    assert len(made.idle) == 3
    asked = replace(made, idle_after_hr=Decimal(7 * 24))
    assert [line.disk_id for line in asked.idle] == ["disk-0001"]
    assert asked.idle[0].idle_usd == 7 * 24 * Decimal("0.5")
    assert "the oldest for 7 days" in " ".join(asked.summary)
    (section,) = (one for one in asked.sections() if one.name == "idle")
    assert section.notes[-1].startswith("2 more disks unattached for less than 168 hours")
    assert asked.to_document()["totals"]["idle"]["disks"] == 1
