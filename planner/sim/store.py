"""The state file: the world, and the audit of every request.

SQLite, so that each request is one transaction: a reader, or a restart after a kill, sees the
request whole or not at all. Without a file it lives in memory.
"""

from __future__ import annotations

import json
import sqlite3
import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.errors import InputError
from planner.exact_json import JsonError, parse
from planner.sim.answer import written
from planner.sim.world import SECOND_US, Clock, Disk, World
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FORMAT = "planner.sim/1"
_MARK = 0x706C6E72

_SCHEMA = """
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS disks (id TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS audit (n INTEGER PRIMARY KEY, entry TEXT NOT NULL);
"""


class Store:
    """One state file, or none; one process uses it at a time.

    Parameters
    ----------
    path : str | Path | None
        The state file, made where there is none; None keeps the state in memory.
    audit_path : str | Path | None
        A file to which the audit is also written, a JSON line for each request.

    Raises
    ------
    InputError
        When a file cannot be used, or is no state of a marketplace.
    """

    def __init__(self, path: str | Path | None, audit_path: str | Path | None = None) -> None:
        self._shown = visible(str(path))
        try:
            self._lines = None if audit_path is None else Path(audit_path).open("a")  # noqa: SIM115 -- closed by close
        except (OSError, ValueError) as error:
            message = f"{visible(str(audit_path))}: the audit cannot be written there"
            raise InputError(message, hint="name a writable place") from error
        try:
            self._base = sqlite3.connect(
                ":memory:" if path is None else path, check_same_thread=False, timeout=1.0
            )
        except (sqlite3.Error, ValueError) as error:
            self._close_lines()
            raise self._unusable(error) from error
        try:
            with self._base:
                self._base.execute("PRAGMA locking_mode = EXCLUSIVE")
                self._base.execute(
                    "PRAGMA synchronous = OFF"
                )  # a kill loses nothing, and is all we fear
                self._base.execute("BEGIN EXCLUSIVE")
                self._check()
                for statement in _SCHEMA.split(";"):
                    self._base.execute(statement)
        except sqlite3.Error as error:
            self.close()
            raise self._unusable(error) from error

    def _check(self) -> None:
        """Refuse a database that is somebody else's."""
        (mark,) = self._base.execute("PRAGMA application_id").fetchone()
        (tables,) = self._base.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and mark != _MARK:
            raise sqlite3.DatabaseError("it is a database of something else")
        self._base.execute(f"PRAGMA application_id = {_MARK}")

    def _unusable(self, why: object) -> InputError:
        message = f"{self._shown}: cannot be used as state ({visible(str(why))[:80]})"
        hint = "name a file that no other `planner sim` uses, or a new one"
        return InputError(message, hint=hint)

    def _close_lines(self) -> None:
        if self._lines is not None:
            self._lines.close()

    def close(self) -> None:
        """Close both files."""
        self._base.close()
        self._close_lines()

    def load(self, *, speed: float) -> World | None:
        """Return the world that was saved, None where nothing was.

        While nobody ran it, its clock went on in real time; with ``speed`` 0 it stood still.

        Raises
        ------
        InputError
            When what is there is no state of a marketplace.
        """
        try:
            row = self._base.execute("SELECT document FROM state").fetchone()
            if row is None:
                return None
            saved = parse(row[0].encode())
            if saved["format"] != FORMAT:
                raise self._unusable(f"its format is {saved['format']}")
            away_s = max(0.0, time.time() - float(saved["saved_at_s"])) if speed else 0.0
            found = self._base.execute("SELECT document FROM disks ORDER BY rowid")
            disks = [Disk.loaded(parse(document.encode())) for (document,) in found]
            return World(
                clock=Clock(saved["now_us"] + int(away_s * SECOND_US), speed),
                listings=saved["listings"],
                disks={disk.id: disk for disk in disks},
                paid_usd=Decimal(saved["paid_usd"]),
                fault_counts=saved["fault_counts"],
            )
        except (sqlite3.Error, JsonError, KeyError, TypeError, ValueError) as error:
            raise self._unusable(error) from error

    def save(
        self,
        world: World,
        entry: Mapping[str, Any] | None = None,
        *,
        changed: Iterable[str] | None = None,
    ) -> None:
        """Write the world, and the entry of one request, in one transaction.

        Parameters
        ----------
        changed : iterable of str | None
            Ids of the disks that have changed; None: any may have.
        """
        ids = world.disks if changed is None else changed
        document = {
            "format": FORMAT,
            "now_us": world.clock.now_us(),
            "saved_at_s": Decimal(str(time.time())),
            "paid_usd": str(world.paid_usd),
            "fault_counts": world.fault_counts,
            "listings": world.listings,
        }
        with self._base:
            self._base.execute("REPLACE INTO state VALUES ('world', ?)", (written(document),))
            self._base.executemany(
                "INSERT INTO disks VALUES (?, ?) "
                "ON CONFLICT DO UPDATE SET document = excluded.document",
                [(disk_id, written(world.disks[disk_id].saved())) for disk_id in ids],
            )
            if entry is not None:
                line = json.dumps(entry)
                self._base.execute("REPLACE INTO audit VALUES (?, ?)", (entry["n"], line))
        if entry is not None and self._lines is not None:
            self._lines.write(f"{line}\n")
            self._lines.flush()

    def audit(self) -> list[dict[str, Any]]:
        """Return the entries of all requests, in the order in which they arrived."""
        found = self._base.execute("SELECT entry FROM audit ORDER BY n")
        return [json.loads(entry) for (entry,) in found]

    def count(self) -> int:
        """Return the number of the last entry, 0 where there is none."""
        return int(self._base.execute("SELECT coalesce(max(n), 0) FROM audit").fetchone()[0])
