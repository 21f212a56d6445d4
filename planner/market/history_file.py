"""The market's history on disk: every complete listing that was read live, in one SQLite file.

::

    readings   when a listing was read, at which marketplace and team; points to
    listings   what it listed, once for each different listing; its rows are numbers of
    disk_offers, gpu_offers    one row for each offer as it was listed, in plain columns

The views ``disk_history`` and ``gpu_history`` join them. Nothing a plan needs is in it: where it
cannot be written, planner says so once and goes on.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from planner.errors import StateUnusable
from planner.formats import identity
from planner.market.gpus import FACTS, GPUS, gpu_facts
from planner.market.offers import MARKET, OFFERS, offer_facts
from planner.schema import WHOLE, YES_NO, json_rows
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from planner.market.shapes import Listing
    from planner.market.snapshot import Snapshot

FILE = "history.sqlite"
KEPT_DAYS = 400
"""How long a reading is kept; older ones are deleted about once a month."""
MAX_READINGS = 20_000
"""Readings that are kept at most, the newest."""
_SPARE_DAYS, _SPARE_READINGS = 30, 1_000
_APPLICATION, _VERSION = 0x506C616E, 1
"""What marks the file as planner's, and how it is laid out."""
_WAIT_S = 0.5
"""How long another run that is writing is waited for."""

TABLES: Mapping[Listing, str] = {
    "disks": "disk_offers",
    "gpus": "gpu_offers",
    "multi-node": "gpu_offers",
}
_DECLARED = {
    "disk_offers": (MARKET, {column.name: column.dtype for column in OFFERS}),
    "gpu_offers": (FACTS, {column.name: column.dtype for column in GPUS}),
}
_BATCH = 500
"""Rows that are looked up at once."""


def _schema() -> Iterator[str]:
    yield f"PRAGMA application_id = {_APPLICATION}"
    yield f"PRAGMA user_version = {_VERSION}"
    for table, (names, dtypes) in _DECLARED.items():
        # Amounts are text: a number would not be exact.
        types = {WHOLE: "INTEGER", YES_NO: "INTEGER"}
        columns = ", ".join(f"{name} {types.get(dtypes[name], 'TEXT')}" for name in names)
        yield f"CREATE TABLE {table} (row_id INTEGER PRIMARY KEY, digest TEXT UNIQUE, {columns})"
    yield (
        "CREATE TABLE listings (listing_id INTEGER PRIMARY KEY, listing TEXT NOT NULL, "
        "digest TEXT NOT NULL UNIQUE, row_ids TEXT NOT NULL)"
    )
    yield (
        "CREATE TABLE readings (reading_id INTEGER PRIMARY KEY, seen_at TEXT NOT NULL, "
        "base_url TEXT NOT NULL, team_id TEXT, "
        "listing_id INTEGER NOT NULL REFERENCES listings (listing_id))"
    )
    yield "CREATE INDEX readings_by_time ON readings (seen_at)"
    for table, (names, _) in _DECLARED.items():
        columns = ", ".join(f"offer.{name}" for name in names)
        selected = f"SELECT seen_at, base_url, team_id, {columns} FROM readings"  # noqa: S608 -- ours
        yield (
            f"CREATE VIEW {table.removesuffix('_offers')}_history AS {selected} "
            "JOIN listings USING (listing_id), json_each(listings.row_ids) AS listed "
            f"JOIN {table} AS offer ON offer.row_id = listed.value "
            f"WHERE listings.listing {'=' if table == 'disk_offers' else '<>'} 'disks'"
        )


def utc_text(moment: datetime) -> str:
    """Return a time as the file has it, UTC to the second."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Recorder:
    """Write down each complete live listing of one marketplace and team.

    Attributes
    ----------
    folder : Path
        The state directory; made with mode 0700 where it is not there.
    on_failure : callable
        Called with a sentence the first time that the history cannot be written.
    """

    folder: Path
    base_url: str
    team_id: str | None
    on_failure: Callable[[str], object] = lambda _: None
    _failures: list[str] = field(default_factory=list)

    def __call__(self, name: Listing, snapshot: Snapshot) -> None:
        """Record a listing; whatever is wrong with the file, it is said once and nothing raised."""
        try:
            self._record(name, snapshot)
        except (sqlite3.Error, OSError, ValueError, OverflowError, StateUnusable) as error:
            if not self._failures:
                self._failures.append(_reason(error))
                path = visible(str(self.folder / FILE))
                self.on_failure(f"market history not recorded: {path}: {_reason(error)}")

    def _record(self, name: Listing, snapshot: Snapshot) -> None:
        if self.folder.parts[:1] == ("~",):
            raise StateUnusable("there is no home directory; name one with --state")
        seen_at = utc_text(snapshot.fetched_at or datetime.now(UTC))
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / FILE
        if not path.exists():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        with _open(path, write=True) as base:
            listing_id = _listing(base, name, snapshot.rows)
            base.execute(
                "INSERT INTO readings (seen_at, base_url, team_id, listing_id) VALUES (?, ?, ?, ?)",
                (seen_at, self.base_url, self.team_id, listing_id),
            )
            _prune(base, datetime.fromisoformat(seen_at))


def _reason(error: Exception) -> str:
    """Return why the file cannot be used, without what it holds."""
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        return (
            "it is damaged or not a history of planner; move it away and planner starts a new file"
        )
    reason = getattr(error, "strerror", None) or str(error)
    return visible(reason)


@contextlib.contextmanager
def _open(path: Path, *, write: bool) -> Iterator[sqlite3.Connection]:
    """Open the file in one transaction; a new one is laid out, and any other one refused."""
    if path.exists() and not path.is_file():
        raise StateUnusable("it is not a file")
    # A connection that reads may still have to roll back what a killed run left.
    base = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None)
    try:
        # No plan waits for the disk here: what a power cut may cost is history.
        base.execute("PRAGMA synchronous = OFF")
        base.execute("BEGIN IMMEDIATE" if write else "BEGIN")
        marks = [
            base.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("application_id", "user_version")
        ]
        if marks == [0, 0] and not base.execute("SELECT 1 FROM sqlite_master").fetchone():
            if write:
                for statement in _schema():
                    base.execute(statement)
        elif marks[0] != _APPLICATION:
            raise StateUnusable("it is not a history of planner; move it away")
        elif marks[1] != _VERSION:
            raise StateUnusable("it was written by another version of planner; use that version")
        yield base
        base.execute("COMMIT")
    finally:
        base.close()


def _listing(base: sqlite3.Connection, name: Listing, rows: Sequence[Any]) -> int:
    """Return the number of a listing, which is written where no equal one is there."""
    by_digest = {_digest(f"{name} {identity(row)}"): row for row in rows}
    digests = sorted(by_digest)
    digest = _digest(" ".join((name, *digests)))
    known = base.execute("SELECT listing_id FROM listings WHERE digest = ?", (digest,)).fetchone()
    if known is not None:
        return int(known[0])
    table = TABLES[name]
    row_ids = _row_ids(base, table, digests)
    added = [each for each in digests if each not in row_ids]
    _add(base, name, added, [by_digest[each] for each in added])
    row_ids |= _row_ids(base, table, added)
    listed = json.dumps(sorted(row_ids.values()), separators=(",", ":"))
    written = base.execute(
        "INSERT INTO listings (listing, digest, row_ids) VALUES (?, ?, ?)", (name, digest, listed)
    )
    return int(written.lastrowid or 0)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]


def _row_ids(base: sqlite3.Connection, table: str, digests: Sequence[str]) -> dict[str, int]:
    """Return the numbers of rows that are written already, by digest."""
    numbers: dict[str, int] = {}
    for at in range(0, len(digests), _BATCH):
        batch = digests[at : at + _BATCH]
        marks = ", ".join("?" * len(batch))
        numbers |= base.execute(
            f"SELECT digest, row_id FROM {table} WHERE digest IN ({marks})",  # noqa: S608 -- ours
            batch,
        )
    return numbers


def _add(
    base: sqlite3.Connection, name: Listing, digests: Sequence[str], rows: Sequence[Any]
) -> None:
    """Write rows of a listing, as planner understands them."""
    facts = [
        offer_facts(place, row) if name == "disks" else gpu_facts(place, row, name)
        for place, row in enumerate(rows, 1)
    ]
    table = TABLES[name]
    names, _ = _DECLARED[table]
    written = (row.values() for row in json_rows(facts, names))
    values = [(digest, *cells) for digest, cells in zip(digests, written, strict=True)]
    marks = ", ".join("?" * (len(names) + 1))
    base.executemany(
        f"INSERT INTO {table} (digest, {', '.join(names)}) VALUES ({marks})",  # noqa: S608 -- ours
        values,
    )


def _prune(base: sqlite3.Connection, now: datetime) -> None:
    """Delete what is older than is kept, and all that nothing points to any more."""
    oldest, first, last = base.execute(
        "SELECT min(seen_at), min(reading_id), max(reading_id) FROM readings"
    ).fetchone()
    limit = utc_text(now - timedelta(days=KEPT_DAYS + _SPARE_DAYS))
    if oldest >= limit and last - first < MAX_READINGS + _SPARE_READINGS:
        return
    base.execute(
        "DELETE FROM readings WHERE seen_at < ? OR reading_id <= ?",
        (utc_text(now - timedelta(days=KEPT_DAYS)), last - MAX_READINGS),
    )
    base.execute("DELETE FROM listings WHERE listing_id NOT IN (SELECT listing_id FROM readings)")
    for table in _DECLARED:
        kinds = [name for name, of in TABLES.items() if of == table]
        marks = ", ".join("?" * len(kinds))
        query = f"SELECT row_ids FROM listings WHERE listing IN ({marks})"  # noqa: S608 -- ours
        kept = {row_id for (text,) in base.execute(query, kinds) for row_id in json.loads(text)}
        written = {row_id for (row_id,) in base.execute(f"SELECT row_id FROM {table}")}  # noqa: S608
        base.executemany(
            f"DELETE FROM {table} WHERE row_id = ?",  # noqa: S608 -- ours
            [(row_id,) for row_id in written - kept],
        )


@dataclass(frozen=True)
class RecordedTarget:
    """A marketplace and team whose listings were recorded, and when last."""

    base_url: str
    team_id: str | None
    seen_at: str

    def __str__(self) -> str:
        return f"{self.base_url}, {f'team {self.team_id}' if self.team_id else 'personal account'}"


@dataclass(frozen=True)
class Readings:
    """What was listed when, of one listing at one marketplace and team.

    Attributes
    ----------
    seen_at : tuple of str
        Times of the readings, in order.
    rows : mapping of int to dict
        The rows as they were listed, amounts as text.
    """

    seen_at: tuple[str, ...] = ()
    listing_ids: tuple[int, ...] = ()
    row_ids: Mapping[int, frozenset[int]] = field(default_factory=dict)
    rows: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)


@contextlib.contextmanager
def _reading(folder: Path) -> Iterator[sqlite3.Connection | None]:
    """Open the file to read, None where nothing was recorded yet."""
    path = folder / FILE
    if not path.exists() or (path.is_file() and not path.stat().st_size):
        yield None
        return
    try:
        with _open(path, write=False) as base:
            yield base
    except (sqlite3.Error, OSError, StateUnusable) as error:
        message = f"{visible(str(path))}: the market history cannot be read: {_reason(error)}"
        raise StateUnusable(message, hint="plans do not need it") from error


def check_file(folder: Path) -> int:
    """Return how many listings were recorded, after a look at the whole file.

    Raises
    ------
    StateUnusable
        When the file cannot be read, or is damaged anywhere.
    """
    with _reading(folder) as base:
        if base is None:
            return 0
        if base.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError
        return int(base.execute("SELECT count(*) FROM readings").fetchone()[0])


def read_targets(folder: Path) -> tuple[RecordedTarget, ...]:
    """Return the marketplaces and teams that have a history, the one read last first.

    Raises
    ------
    StateUnusable
        When the file cannot be read.
    """
    with _reading(folder) as base:
        if base is None:
            return ()
        query = (
            "SELECT base_url, team_id, max(seen_at) FROM readings "
            "GROUP BY base_url, team_id ORDER BY 3 DESC"
        )
        return tuple(RecordedTarget(*row) for row in base.execute(query))


def read_readings(
    folder: Path,
    listing: Listing,
    target: Mapping[str, str | None],
    *,
    since: datetime | None = None,
    where: Mapping[str, Sequence[str | None]] | None = None,
) -> Readings:
    """Return the history of one listing.

    Parameters
    ----------
    target : mapping
        ``base_url`` and ``team_id``.
    where : mapping | None
        Column → values: keep rows that have any of them. None is a value.

    Raises
    ------
    StateUnusable
        When the file cannot be read.
    """
    with _reading(folder) as base:
        if base is None:
            return Readings()
        at = (target["base_url"], target["team_id"])
        read = base.execute(
            "SELECT seen_at, listing_id FROM readings JOIN listings USING (listing_id) "
            "WHERE base_url = ? AND team_id IS ? AND listing = ? AND seen_at >= ? "
            "ORDER BY seen_at, reading_id",
            (*at, listing, "" if since is None else utc_text(since)),
        ).fetchall()
        table = TABLES[listing]
        wanted = {name: values for name, values in (where or {}).items() if values}
        tests = [
            "(" + " OR ".join(f"{name} IS ?" for _ in values) + ")"
            for name, values in wanted.items()
        ]
        names, _ = _DECLARED[table]
        query = f"SELECT row_id, {', '.join(names)} FROM {table}"  # noqa: S608 -- ours
        query += f" WHERE {' AND '.join(tests)}" if tests else ""
        given = [value for values in wanted.values() for value in values]
        rows = {
            row_id: dict(zip(names, values, strict=True))
            for row_id, *values in base.execute(query, given)
        }
        query = "SELECT listing_id, row_ids FROM listings WHERE listing = ?"
        row_ids = {
            listing_id: frozenset(json.loads(text))
            for listing_id, text in base.execute(query, (listing,))
        }
    if tests:
        row_ids = {number: ids.intersection(rows) for number, ids in row_ids.items()}
    seen_at, listing_ids = zip(*read, strict=True) if read else ((), ())
    return Readings(seen_at, listing_ids, row_ids, rows)
