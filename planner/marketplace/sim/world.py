"""What the marketplace knows: its clock, its offers, the account's disks and pods, the wallet."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from planner.errors import InputError
from planner.formats import JsonError, parse
from planner.marketplace.sim.wire import to_json
from planner.text import visible
from planner.units import difference, plain, total

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


SECOND_US = 1_000_000
BILLED_US = 3_600_000
"""Time is billed in whole thousandths of an hour, so that every amount is an exact decimal."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WIDE = Context(prec=200)


class Clock:
    """The marketplace's own time, in microseconds since 1970.

    Parameters
    ----------
    speed : float
        Its seconds to one real second; at 0 only `advance` moves it.
    wall : callable
        Real seconds.
    """

    def __init__(
        self, now_us: int, speed: float = 1.0, wall: Callable[[], float] = time.time
    ) -> None:
        self._shown_us, self._speed, self._wall = now_us, speed, wall
        self._read_at = wall()
        self._lock = threading.Lock()

    def now_us(self) -> int:
        """Return the time; it never goes back."""
        with self._lock:
            read_at = self._wall()
            self._shown_us += max(0, int((read_at - self._read_at) * self._speed * SECOND_US))
            self._read_at = read_at
            return self._shown_us

    def advance(self, microseconds: int) -> None:
        """Move it forward."""
        with self._lock:
            self._shown_us += microseconds


@dataclass(kw_only=True)
class SimResource:
    """What the account pays for, kept after its end.

    Attributes
    ----------
    ready_us : int | None
        When PROVISIONING becomes ACTIVE; None: never.
    forced : str | None
        A status set by hand, which overrides its times.
    billed_usd, billed_from_us
        What was settled at an earlier price, and from when the present one counts.
    """

    id: str
    name: str
    provider: str
    cloud_id: str | None
    data_center: str | None
    country: str | None
    usd_hr: Decimal
    created_us: int
    updated_us: int
    billed_from_us: int
    ready_us: int | None
    team_id: str | None = None
    forced: str | None = None
    terminated_us: int | None = None
    billed_usd: Decimal = Decimal(0)

    def status(self, now_us: int) -> str:
        """Return the status at a time."""
        if self.terminated_us is not None:
            return "TERMINATED" if self.terminated_us <= now_us else "DELETING"
        if self.forced is not None:
            return self.forced
        ready = self.ready_us is not None and self.ready_us <= now_us
        return "ACTIVE" if ready else "PROVISIONING"

    def ended(self, now_us: int) -> bool:
        """Return whether it is gone."""
        return self.status(now_us) == "TERMINATED"

    def cost_usd(self, now_us: int) -> Decimal:
        """Return what it has cost: exact, in whole thousandths of an hour."""
        until = now_us if self.terminated_us is None else min(now_us, self.terminated_us)
        hours = Decimal(max(0, until - self.billed_from_us) // BILLED_US).scaleb(-3)
        return total([self.billed_usd, _WIDE.multiply(self.usd_hr, hours)])

    def reprice(self, usd_hr: Decimal, now_us: int) -> None:
        """Settle what it has cost, and go on at another price."""
        self.billed_usd, self.billed_from_us, self.usd_hr = self.cost_usd(now_us), now_us, usd_hr

    def saved(self) -> dict[str, Any]:
        """Return it as JSON values."""
        amounts = {"usd_hr": str(self.usd_hr), "billed_usd": str(self.billed_usd)}
        return {**asdict(self), **amounts}

    @classmethod
    def loaded(cls, saved: Mapping[str, Any]) -> Self:
        """Return it from JSON values."""
        amounts = {name: Decimal(saved[name]) for name in ("usd_hr", "billed_usd")}
        return cls(**{**saved, **amounts})


@dataclass(kw_only=True)
class SimDisk(SimResource):
    """One disk of the account.

    Attributes
    ----------
    held_us : int
        Until when a delete is refused, since it was attached.
    origin : str
        ``api``: created by a request; ``admin``: put there beside the API.
    """

    size_gb: int
    multinode: bool | None
    shown_us: int
    origin: str = "api"
    held_us: int = 0
    pods: list[str] = field(default_factory=list)
    clusters: list[str] = field(default_factory=list)

    def twin(self, new_id: str, *, later_us: int) -> SimDisk:
        """Return another disk just like it, which listings show later."""
        return replace(self, id=new_id, shown_us=self.shown_us + later_us, pods=[], clusters=[])

    def detach(self, pod: str, now_us: int, held_us: int) -> None:
        """Detach it from a pod; a delete is refused for so long."""
        self.pods.remove(pod)
        self.held_us = now_us + held_us


@dataclass(kw_only=True)
class SimPod(SimResource):
    """One pod of the account.

    Attributes
    ----------
    disks : list of str
        Ids of the disks that it mounts.
    request : dict
        What its create asked for beside that: ``image``, ``vcpus``, ``memory``, ``diskSize``,
        ``customTemplateId`` and ``autoRestart``.
    """

    gpu_type: str
    gpu_count: int
    socket: str | None
    spot: bool | None
    disks: list[str]
    request: dict[str, Any]


@dataclass
class World:
    """Everything that is to survive a restart, apart from the audit.

    Attributes
    ----------
    listings : dict
        Rows of ``disks``, ``gpus`` and ``multi-node``, as the API shows them.
    disks, pods : dict
        Every disk and pod ever, by id, oldest first.
    paid_usd : Decimal
        What was ever paid into the wallet.
    fault_counts : dict
        Of each scripted fault, how many requests have matched it.
    """

    clock: Clock
    listings: dict[str, list[Any]]
    disks: dict[str, SimDisk] = field(default_factory=dict)
    pods: dict[str, SimPod] = field(default_factory=dict)
    paid_usd: Decimal = Decimal(0)
    fault_counts: dict[str, int] = field(default_factory=dict)

    def live(self) -> list[SimDisk]:
        """Return the disks that are not gone, newest first."""
        now_us = self.clock.now_us()
        return [disk for disk in reversed(self.disks.values()) if not disk.ended(now_us)]

    def running(self) -> list[SimPod]:
        """Return the pods that are not gone, newest first."""
        now_us = self.clock.now_us()
        return [pod for pod in reversed(self.pods.values()) if not pod.ended(now_us)]

    def balance_usd(self) -> Decimal:
        """Return what is left in the wallet, exactly."""
        now_us = self.clock.now_us()
        spent = total(each.cost_usd(now_us) for each in (*self.disks.values(), *self.pods.values()))
        return difference(self.paid_usd, spent)

    def set_balance(self, balance_usd: Decimal) -> None:
        """Pay in, or out, so that this is left."""
        self.paid_usd = total([self.paid_usd, difference(balance_usd, self.balance_usd())])


def to_us(moment: datetime) -> int:
    """Return microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def to_time(microseconds: int) -> datetime:
    """Return the moment, UTC."""
    return _EPOCH + timedelta(microseconds=microseconds)


def stamp(microseconds: int | None) -> str | None:
    """Return a time as the API writes it: UTC without saying so."""
    if microseconds is None:
        return None
    return to_time(microseconds).replace(tzinfo=None).isoformat(timespec="microseconds")


def number(amount: Decimal) -> Decimal:
    """Return an exact amount in the shape in which it is shown."""
    return Decimal(plain(amount))


FORMAT = "planner.sim/1"
_MARK = 0x706C6E72

_SCHEMA = """
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS disks (id TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS pods (id TEXT PRIMARY KEY, document TEXT NOT NULL);
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
                self._base.execute("PRAGMA synchronous = OFF")  # a killed process loses nothing
                self._base.execute("BEGIN EXCLUSIVE")
                self._check()
                for statement in _SCHEMA.split(";"):
                    self._base.execute(statement)
        except sqlite3.Error as error:
            self.close()
            raise self._unusable(error) from error

    def _check(self) -> None:
        """Refuse a database of another program."""
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

        While the server was down, its clock went on in real time; with ``speed`` 0 it stood still.

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
            disks = [SimDisk.loaded(each) for each in self._documents("disks")]
            pods = [SimPod.loaded(each) for each in self._documents("pods")]
            return World(
                clock=Clock(saved["now_us"] + int(away_s * SECOND_US), speed),
                listings=saved["listings"],
                disks={disk.id: disk for disk in disks},
                pods={pod.id: pod for pod in pods},
                paid_usd=Decimal(saved["paid_usd"]),
                fault_counts=saved["fault_counts"],
            )
        except (sqlite3.Error, JsonError, KeyError, TypeError, ValueError) as error:
            raise self._unusable(error) from error

    def _documents(self, table: Literal["disks", "pods"]) -> list[Any]:
        rows = self._base.execute(f"SELECT document FROM {table} ORDER BY rowid")  # noqa: S608 -- one of two words
        return [parse(document.encode()) for (document,) in rows]

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
            Ids of the disks and pods that have changed; None: any may have.
        """
        document = {
            "format": FORMAT,
            "now_us": world.clock.now_us(),
            "saved_at_s": Decimal(str(time.time())),
            "paid_usd": str(world.paid_usd),
            "fault_counts": world.fault_counts,
            "listings": world.listings,
        }
        with self._base:
            self._base.execute("REPLACE INTO state VALUES ('world', ?)", (to_json(document),))
            self._keep("disks", world.disks, changed)
            self._keep("pods", world.pods, changed)
            if entry is not None:
                line = json.dumps(entry)
                self._base.execute("REPLACE INTO audit VALUES (?, ?)", (entry["n"], line))
        if entry is not None and self._lines is not None:
            self._lines.write(f"{line}\n")
            self._lines.flush()

    def _keep(
        self,
        table: Literal["disks", "pods"],
        resources: Mapping[str, SimResource],
        changed: Iterable[str] | None,
    ) -> None:
        ids = resources if changed is None else [each for each in changed if each in resources]
        self._base.executemany(
            f"INSERT INTO {table} VALUES (?, ?) "  # noqa: S608 -- one of two words
            "ON CONFLICT DO UPDATE SET document = excluded.document",
            [(each, to_json(resources[each].saved())) for each in ids],
        )

    def audit(self) -> list[dict[str, Any]]:
        """Return the entries of all requests, in the order in which they arrived."""
        rows = self._base.execute("SELECT entry FROM audit ORDER BY n")
        return [json.loads(entry) for (entry,) in rows]

    def count(self) -> int:
        """Return the number of the last entry, 0 where there is none."""
        return int(self._base.execute("SELECT coalesce(max(n), 0) FROM audit").fetchone()[0])
