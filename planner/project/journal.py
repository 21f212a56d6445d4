"""The journal: what was intended and what came of it, on disk before it is acted on.

One file of lines, each a checksum over itself and all before it, and a JSON record; a line is
flushed to the disk before the next step is taken. A torn last line was never acted
on, and is dropped. Damage anywhere else is refused. The state is the fold of the records: there
is no second file.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import socket
import stat
import threading
from typing import TYPE_CHECKING, Any, Self

from planner.errors import JournalLocked, StateUnusable
from planner.marketplace.protocol import utc_now
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path


FORMAT = "planner.journal/1"
FILE, LOCK = "journal.jsonl", "lock"
MAX_BYTES = 2**30
_SUM = 16

Record = dict[str, Any]


def plan_file(digest: str) -> str:
    """Return where in a state directory a plan is kept."""
    return f"plans/{digest}.json"


class Journal:
    """An append-only record in a directory that one run at a time may write.

    Parameters
    ----------
    folder : Path
        The state directory; made with mode 0700 when writing.
    write : bool
        Take the lock and allow appends. Otherwise nothing is touched, and what is appended stays
        in memory.
    now : callable
        UTC, for the records.
    step : callable
        Called with a name before and after every write and fsync; tests inject failures there.

    Attributes
    ----------
    mutex : threading.RLock
        The lock under which a decision and its record are one step.

    Raises
    ------
    JournalLocked
        When another run holds the lock; the message names it.
    StateUnusable
        When the directory cannot be used, or the journal is damaged.
    """

    def __init__(
        self,
        folder: Path,
        *,
        write: bool,
        now: Callable[[], datetime] = utc_now,
        step: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.folder = folder
        self._path = folder / FILE
        self._write = write
        self._now = now
        self._step = step
        self._sum = b""
        self.mutex = threading.RLock()
        self._file: int | None = None
        self._broken = False
        self.records: list[Record] = []
        try:
            self._open()
        except OSError as error:
            self.close()
            raise self._unusable(f"cannot be used: {error.strerror}") from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, which releases the lock."""
        if self._file is not None:
            os.close(self._file)
        self._file = None

    def append(self, kind: str, **fields: Any) -> Record:  # noqa: ANN401 -- JSON values
        """Add a record; when this returns, it is on the disk.

        Raises
        ------
        StateUnusable
            When it cannot be written; nothing may be sent then.
        """
        record: Record = {"kind": kind, "at": self._now().isoformat(), **fields}
        text = json.dumps(record, separators=(",", ":")).encode("ascii")
        with self.mutex:
            checksum = _checksum(self._sum, text)
            if self._write:
                self._append(checksum + b" " + text + b"\n")
            self._sum = checksum
            self.records.append(record)
        return record

    def store(self, name: str, content: bytes) -> None:
        """Keep a file beside the journal, whole and once: a file that is there stays as it is.

        Raises
        ------
        StateUnusable
            When it cannot be written; nothing may be sent then.
        """
        path = self.folder / name
        if not self._write or path.exists():
            return
        unfinished = path.with_suffix(".part")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            self._step("store")
            descriptor = os.open(unfinished, flags, 0o600)
            try:
                _write_all(descriptor, content)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            self._step("stored")
            unfinished.replace(path)
            _sync_folder(path.parent)
            _sync_folder(self.folder)
        except OSError as error:
            with contextlib.suppress(OSError):
                unfinished.unlink()
            raise self._unusable(f"{name} cannot be written: {error.strerror}") from error

    def _append(self, line: bytes) -> None:
        if self._file is None or self._broken:
            raise self._unusable("cannot be written any more")
        if not self._holds_path():
            self._broken = True
            raise self._unusable("was moved or deleted while this run was using it")
        end = os.lseek(self._file, 0, os.SEEK_END)
        self._broken = True
        try:
            self._step("write")
            _write_all(self._file, line)
            self._step("fsync")
            os.fsync(self._file)
            self._step("written")
        except OSError as error:
            # Otherwise a half-written line would end up in the middle of the file.
            self._cut(end)
            raise self._unusable(f"cannot be written: {error.strerror}") from error
        self._broken = False

    def _cut(self, end: int) -> None:
        try:
            os.ftruncate(self._file or -1, end)
            os.fsync(self._file or -1)
        except OSError:
            return  # a torn line at the end, which the next run drops

    def _open(self) -> None:
        if self._write:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._own_folder()
            self._file = self._open_file()
            self._take_lock()
            while not self._holds_path():  # replaced between opening and locking
                os.close(self._file)
                self._file = self._open_file()
                self._take_lock()
            os.fchmod(self._file, 0o600)
            content = self._content(self._file)
        elif self._path.exists():
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                content = self._content(descriptor)
            finally:
                os.close(descriptor)
        else:
            content = b""
        self.records, sound = self._parse(content)
        if self._write and self._file is not None:
            if sound < len(content):
                os.ftruncate(self._file, sound)
            elif content and not content.endswith(b"\n"):
                _write_all(self._file, b"\n")
            if not self.records:
                self.append("journal", format=FORMAT)
            _sync_folder(self.folder)

    def _open_file(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(self._path, flags, 0o600)

    def _holds_path(self) -> bool:
        """Return whether the path still is the file that is open: only then the lock is good."""
        try:
            return os.path.samestat(os.fstat(self._file or -1), self._path.stat())
        except FileNotFoundError:
            return False

    def _own_folder(self) -> None:
        mode = self.folder.stat()
        if mode.st_uid != os.geteuid():
            raise self._unusable("belongs to another user")
        if stat.S_IMODE(mode.st_mode) & 0o077:
            # Rights of others are removed; the owner's are left as they are.
            self.folder.chmod(stat.S_IMODE(mode.st_mode) & 0o700)

    def _take_lock(self) -> None:
        """Lock the journal itself; the lock file only says who holds it, and may be deleted."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(self.folder / LOCK, flags, 0o600), "r+b") as holder:
            try:
                fcntl.flock(self._file or -1, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                who = visible(holder.read(300).decode("utf-8", "replace").strip())
                raise JournalLocked(
                    f"{visible(str(self.folder))}: another run is using it"
                    + (f": {who}" if who else ""),
                    hint="wait until it ends, or use another state directory with --state DIR",
                ) from None
            os.fchmod(holder.fileno(), 0o600)
            holder.truncate()
            since = f"{utc_now():%Y-%m-%d %H:%M:%S} UTC"
            holder.write(
                f"process {os.getpid()} on {socket.gethostname()} since {since}\n".encode()
            )

    def _content(self, descriptor: int) -> bytes:
        size = os.fstat(descriptor).st_size
        if size > MAX_BYTES:
            raise self._unusable("is too large for a journal")
        parts = []
        os.lseek(descriptor, 0, os.SEEK_SET)
        while part := os.read(descriptor, 2**20):
            parts.append(part)
        return b"".join(parts)

    def _parse(self, content: bytes) -> tuple[list[Record], int]:
        """Return the records, and how many bytes of the file they are."""
        records: list[Record] = []
        sound = 0
        while sound < len(content):
            end = content.find(b"\n", sound)
            line = content[sound:] if end < 0 else content[sound:end]
            record = self._record(line)
            if record is None:
                if end < 0 or not content[sound:].strip(b"\0"):
                    return records, sound  # torn: never acted on
                raise self._unusable(f"is damaged in record {len(records) + 1}")
            records.append(record)
            sound = len(content) if end < 0 else end + 1
        if records and records[0].get("format") != FORMAT:
            raise self._unusable("was written by another version of planner")
        return records, sound

    def _record(self, line: bytes) -> Record | None:
        """Return the record of a line, None where the line is not whole or not the next one."""
        checksum, _, text = line.partition(b" ")
        if _checksum(self._sum, text) != checksum:
            return None
        self._sum = checksum
        record = json.loads(text)
        return record if isinstance(record, dict) else None

    def _unusable(self, what: str) -> StateUnusable:
        return StateUnusable(
            f"{visible(str(self._path))}: {what}",
            hint="nothing was sent. Free some space or fix the permissions, or choose "
            "another directory with --state DIR. If it is damaged, move the file away, wait 15 "
            "minutes (until a lost create would be listed), and run the same apply again: disks "
            "with the plan's names are adopted from the account's listing, not bought twice",
        )


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _checksum(before: bytes, text: bytes) -> bytes:
    return hashlib.sha256(before + text).hexdigest()[:_SUM].encode("ascii")


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
