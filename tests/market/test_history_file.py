"""The file of the market's history: nothing twice, nothing secret, never in a plan's way."""

from __future__ import annotations

import os
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from planner.errors import StateUnusable
from planner.market import history_file
from planner.market.history_file import FILE, Recorder, read_readings, read_targets
from planner.market.snapshot import Snapshot
from tests.market.rows import disk

START = datetime(2026, 10, 1, tzinfo=UTC)
TARGET = {"base_url": "https://a", "team_id": None}


def record(
    folder: Path,
    *rows: Any,
    at: datetime = START,
    team: str | None = None,
    heard: Any = pytest.fail,
) -> None:
    Recorder(folder, "https://a", team, heard)("disks", Snapshot([*rows], "test", at))


def counts(folder: Path) -> dict[str, int]:
    with sqlite3.connect(folder / FILE) as base:
        return {
            table: base.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 -- ours
            for table in ("readings", "listings", "disk_offers")
        }


def test_an_unchanged_market_is_one_more_reading(tmp_path: Path) -> None:
    """In whatever order it is listed; a row that changed is one more row."""
    first, second = disk(), disk(provider="beta")
    record(tmp_path, first, second)
    record(tmp_path, second, first)
    assert counts(tmp_path) == {"readings": 2, "listings": 1, "disk_offers": 2}
    record(tmp_path, first, {**second, "stockStatus": "Low"})
    assert counts(tmp_path) == {"readings": 3, "listings": 2, "disk_offers": 3}


def test_people_can_open_it(tmp_path: Path) -> None:
    """The view has a line for each offer of each reading, in plain columns."""
    record(tmp_path, disk(), disk(provider="beta", spec={"pricePerUnit": Decimal("1E-7")}))
    with sqlite3.connect(tmp_path / FILE) as base:
        query = "SELECT seen_at, provider, usd_gb_hr, stock FROM disk_history ORDER BY provider"
        assert base.execute(query).fetchall() == [
            ("2026-10-01T00:00:00+00:00", "alpha", "0.0001", "Available"),
            ("2026-10-01T00:00:00+00:00", "beta", "0.0000001", "Available"),
        ]
        assert base.execute("SELECT count(*) FROM gpu_history").fetchone() == (0,)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_each_team_has_its_own(tmp_path: Path) -> None:
    """What one account is offered is not what another is."""
    record(tmp_path, disk())
    record(tmp_path, disk(provider="beta"), team="t", at=START + timedelta(hours=1))
    assert [(each.team_id, str(each)) for each in read_targets(tmp_path)] == [
        ("t", "https://a, team t"),
        (None, "https://a, personal account"),
    ]
    read = read_readings(tmp_path, "disks", TARGET)
    assert [read.rows[row]["provider"] for row in read.row_ids[read.listing_ids[0]]] == ["alpha"]


def test_hostile_rows_are_kept_and_do_no_harm(tmp_path: Path) -> None:
    """SQL in a name, a lone surrogate, a number beyond any column, a row that is no row."""
    rows = (
        disk(provider="x'); DROP TABLE readings; --"),
        disk(dataCenter="\ud800"),
        disk(spec={"maxCount": 10**40}),
        7,
    )
    record(tmp_path, *rows)
    assert counts(tmp_path) == {"readings": 1, "listings": 1, "disk_offers": 4}


def test_old_readings_go_with_all_that_only_they_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kept 400 days, and the newest so many."""
    record(tmp_path, disk(provider="old"))
    record(tmp_path, disk(), at=START + timedelta(days=100))
    record(tmp_path, disk(), at=START + timedelta(days=429))
    assert counts(tmp_path) == {"readings": 3, "listings": 2, "disk_offers": 2}
    record(tmp_path, disk(), at=START + timedelta(days=431))
    assert counts(tmp_path) == {"readings": 3, "listings": 1, "disk_offers": 1}
    monkeypatch.setattr(history_file, "MAX_READINGS", 2)
    monkeypatch.setattr(history_file, "_SPARE_READINGS", 0)
    record(tmp_path, disk(), at=START + timedelta(days=432))
    assert counts(tmp_path)["readings"] == 2


def _foreign(path: Path) -> None:
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE mine (x)")


def _later(path: Path) -> None:
    record(path.parent, disk())
    with sqlite3.connect(path) as base:
        base.execute("PRAGMA user_version = 99")


def _torn(path: Path) -> None:
    record(path.parent, *(disk(provider=f"p{n}") for n in range(200)))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: path.write_bytes(b"not a database" * 100), "damaged"),
        (_torn, "damaged"),
        (_foreign, "not a history of planner"),
        (_later, "another version"),
        (lambda path: path.mkdir(), "not a file"),
        (lambda path: path.symlink_to(path), "symbolic links"),
        (os.mkfifo, "not a file"),
    ],
)
def test_a_file_that_cannot_be_used_stops_nothing(tmp_path: Path, spoil: Any, why: str) -> None:
    """One sentence however often it is tried, the file as it was; `history` says why."""
    path = tmp_path / FILE
    spoil(path)
    before = path.read_bytes() if path.is_file() else None
    heard: list[str] = []
    again = Recorder(tmp_path, "https://a", None, heard.append)
    for _ in range(2):
        again("disks", Snapshot([disk(provider="new")], "test", START))
    assert len(heard) == 1
    assert "market history not recorded" in heard[0]
    assert why in heard[0]
    assert before is None or path.read_bytes() == before
    if why != "symbolic links":
        with pytest.raises(StateUnusable, match="cannot be read"):
            read_readings(tmp_path, "disks", TARGET)


@pytest.mark.slow
def test_a_file_that_another_run_holds_is_not_waited_for(tmp_path: Path) -> None:
    """Half a second, and the plan goes on."""
    record(tmp_path, disk())
    heard: list[str] = []
    with sqlite3.connect(tmp_path / FILE) as base:
        base.execute("BEGIN EXCLUSIVE")
        begun = time.monotonic()
        record(tmp_path, disk(), heard=heard.append)
        assert time.monotonic() - begun < 5
    assert "locked" in heard[0]


def test_a_place_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    """A state directory that is a file."""
    (tmp_path / "state").write_text("")
    heard: list[str] = []
    record(tmp_path / "state", disk(), heard=heard.append)
    assert len(heard) == 1


def test_without_a_home_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that is called ~ is not a home."""
    monkeypatch.chdir(tmp_path)
    heard: list[str] = []
    record(Path("~/.local/state/planner"), disk(), heard=heard.append)
    assert "no home directory" in heard[0]
    assert list(tmp_path.iterdir()) == []
