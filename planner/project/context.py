"""What every part of a run works with: marketplace, journal, state, time and events."""

from __future__ import annotations

import math
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

from planner.errors import InputError, NotFound
from planner.marketplace.protocol import LISTING_S, target_of, utc_now
from planner.project.journal import plan_file
from planner.project.state import SENDABLE, kept_disks, slots_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pandas as pd

    from planner.market.disks import Disk
    from planner.marketplace.protocol import DiskListing, Marketplace
    from planner.plans.plan import Plan
    from planner.project.journal import Journal
    from planner.project.state import Entry, ExpectedDisk, Slot, State


SETTLE_S, QUARANTINE_S, TIMEOUT_S = 90.0, 900.0, 60.0
_STEPS_S = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0)
"""Seconds before each listing; together the default settling time."""
_LONGEST_S = 7 * 86400.0
_SHORT_S, _READS_WAIT_S = 1.0, 30.0


@dataclass(frozen=True)
class Pace:
    """How long things are waited for, and by which clock.

    Attributes
    ----------
    settle_s : float
        How long a new disk may take to show in a listing.
    quarantine_s : float
        How long after a lost answer the same name is not sent again.
    timeout_s : float
        How long the answer to a create is waited for.
    now, clock, sleep : callable
        UTC, monotonic seconds, and the pause.
    stop : threading.Event
        Set to send nothing more and to finish what is open.
    waits_long : bool
        Whether pauses that the marketplace asks for are kept however long they are.
    """

    settle_s: float = SETTLE_S
    quarantine_s: float = QUARANTINE_S
    timeout_s: float = TIMEOUT_S
    now: Callable[[], datetime] = utc_now
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    waits_long: bool = False

    @classmethod
    def of(
        cls,
        environ: Mapping[str, str],
        *,
        settle_s: float | None = None,
        quarantine_s: float | None = None,
        timeout_s: float | None = None,
    ) -> Pace:
        """Return the pace of a run: what is given, else the environment's, else the defaults.

        Raises
        ------
        InputError
            When one is not a number of seconds.
        """
        return cls(
            settle_s=seconds_from("settle", settle_s, environ, SETTLE_S),
            quarantine_s=seconds_from("quarantine", quarantine_s, environ, QUARANTINE_S),
            timeout_s=seconds_from("timeout", timeout_s, environ, TIMEOUT_S),
        )

    @property
    def scale(self) -> float:
        """Return how much shorter than usual every pause is."""
        return min(1.0, self.settle_s / SETTLE_S)

    def listing_pauses(self) -> tuple[float, ...]:
        """Return the seconds before each listing; together the settling time."""
        return tuple(step * self.settle_s / SETTLE_S for step in _STEPS_S)

    @property
    def max_wait_s(self) -> float:
        """Return the longest pause asked for by the marketplace that a run waits for."""
        return math.inf if self.waits_long else max(self.settle_s, _SHORT_S)

    @property
    def pacing(self) -> dict[str, Any]:
        """Return how a client of a marketplace waits: see `planner.marketplace.fetch.connect`."""
        return {
            "clock": self.clock,
            "now": self.now,
            "sleep": self.pause,
            "timeout_s": self.timeout_s,
            "pause_s": 0.5 * self.scale,
            "max_wait_s": max(self.max_wait_s, _READS_WAIT_S),
        }

    def pause(self, seconds: float) -> None:
        """Wait; asking to stop ends the wait."""
        if self.sleep is not None:
            self.sleep(seconds)
        else:
            self.stop.wait(seconds)


def seconds_from(
    name: str, given: float | None, environ: Mapping[str, str], otherwise: float
) -> float:
    """Return a number of seconds: an option, else ``PLANNER_NAME``, else the default.

    Raises
    ------
    InputError
        When it is not a number of seconds between 0 and a week.
    """
    variable = f"PLANNER_{name.upper()}"
    text = environ.get(variable) if given is None else str(given)
    if text is None:
        return otherwise
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _LONGEST_S:
        source = f"--{name}" if given is not None else variable
        raise InputError(f"{source} is not a number of seconds", hint="such as 90 or 0.5")
    return seconds


Event = dict[str, Any]
SILENCE_S = 9.0
"""The longest time without an event."""


class Heartbeat:
    """A callback for events that adds one whenever there was none for a while.

    Parameters
    ----------
    every_s : float
        The longest silence, in seconds of this machine's clock.
    """

    def __init__(self, on_event: Callable[[Event], None], every_s: float = SILENCE_S) -> None:
        self._on_event, self._every_s = on_event, every_s
        self._started = self._last = time.monotonic()
        self._ended, self._is_asking = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="planner-heartbeat", daemon=True)

    def __call__(self, event: Event) -> None:
        """Pass an event on."""
        self._last = time.monotonic()
        self._on_event(event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Report silence until the block ends."""
        self._thread.start()
        try:
            yield
        finally:
            self._ended.set()
            self._thread.join()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Report nothing while a person is asked."""
        self._is_asking = True
        try:
            yield
        finally:
            self._is_asking, self._last = False, time.monotonic()

    def _run(self) -> None:
        while not self._ended.wait(max(0.0, self._last + self._every_s - time.monotonic())):
            now = time.monotonic()
            if self._is_asking:
                self._last = now
            elif now - self._last >= self._every_s:
                why = f"{now - self._started:.0f} s since the start; interrupt to stop"
                self({"event": "waiting", "why": why})


@dataclass
class Context:
    """One run's tools.

    Attributes
    ----------
    marketplace : Marketplace
        The account that disks are created in.
    journal, state : Journal, State
        What was done, and what it comes to.
    plans : tuple of Plan
        The plan that was agreed to, and those that continue it: the last is applied. None where no
        plan is.
    again : bool
        Whether a second set is bought on purpose: no disk of an earlier plan serves this plan.
    failover : Decimal | None
        By how much the run-rate of the plan that was agreed to may rise after a stock-out; None
        takes what an earlier run of the plan recorded.
    listing : DiskListing | None
        The account's disks as they were last read.
    gone : set of str
        Ids of recorded disks that were asked for by id and do not exist.
    """

    marketplace: Marketplace
    journal: Journal
    state: State
    pace: Pace
    plans: tuple[Plan, ...] = ()
    again: bool = False
    failover: Decimal | None = None
    listing: DiskListing | None = None
    gone: set[str] = field(default_factory=set)
    on_event: Callable[[Event], None] = lambda _: None
    warnings: list[str] = field(default_factory=list)

    @property
    def target(self) -> dict[str, str | None]:
        """Return the marketplace and team that the key is for."""
        return target_of(self.marketplace)

    @cached_property
    def chain(self) -> tuple[str, ...]:
        """Return the digests of `plans`."""
        return tuple(plan.digest for plan in self.plans)

    @property
    def plan(self) -> str:
        """Return the digest of the plan that is applied; empty where none is."""
        return self.chain[-1] if self.chain else ""

    @cached_property
    def slots(self) -> dict[str, Slot]:
        """Return the slots of the plan, by name."""
        return {slot.name: slot for plan in self.plans[-1:] for slot in slots_of(plan)}

    @cached_property
    def kept(self) -> dict[str, dict[str, Any]]:
        """Return the disks that the plan keeps, by id, as they were then: of `ExpectedDisk`."""
        return kept_disks(self.plans[-1]) if self.plans else {}

    @property
    def percent(self) -> Decimal | None:
        """Return by how much the run-rate of the plan that was agreed to may rise, in per cent."""
        recorded = self.state.plans.get(self.plan, {}).get("percent")
        if self.failover is not None or recorded is None:
            return self.failover
        return Decimal(recorded)

    @property
    def entries(self) -> list[Entry]:
        """Return the journal's entries of the project and target, of every plan."""
        return self.state.at(self.target, self.plans[-1].project if self.plans else "")

    @property
    def listed(self) -> Mapping[str | None, Disk]:
        """Return the account's disks as they were last read, by id; none before."""
        return self.listing.by_id if self.listing else {}

    def is_open(self, slot: Slot) -> bool:
        """Return whether a slot is still to be sent: perhaps again, after its quarantine."""
        entry = self.state.entries.get(slot.name)
        return entry is None or entry.stage in SENDABLE or entry.is_pending

    def disks(self, *, readings: int = 1) -> DiskListing:
        """Return every disk of the account, and remember it as `listing`."""
        self.listing = self.marketplace.disks(readings=readings)
        return self.listing

    def saw(self, disk: Disk) -> None:
        """Remember a disk that was read by itself, in place of what `listing` has of it."""
        if self.listing is not None:
            disks = (disk if other.id == disk.id else other for other in self.listing.disks)
            self.listing = replace(self.listing, disks=tuple(disks))

    def offers(self) -> pd.DataFrame:
        """Return the live disk offers, complete (columns ``OFFERS``)."""
        within_s = min(LISTING_S, 4 * self.pace.timeout_s)
        return self.marketplace.listing("disks", within_s=within_s).offers()

    def record(self, kind: str, **fields: Any) -> None:  # noqa: ANN401 -- JSON values
        """Write a record to the disk, update the state with it, and report the event.

        Raises
        ------
        StateUnusable
            When it cannot be written.
        """
        date = self.marketplace.date if kind in _TIMED else None
        dated = {"server_at": date.isoformat()} if date else {}
        with self.journal.mutex:
            self.state.take(self.journal.append(kind, **fields, **dated))
        event = {key: value for key, value in fields.items() if key not in {"baseline", "facts"}}
        self.on_event({"event": kind, **event})

    def intend(
        self,
        slot: Slot,
        expected: ExpectedDisk,
        listing: DiskListing | None,
        *,
        sends: int,
    ) -> Entry:
        """Write down what is about to be sent, and return its entry.

        The record holds all that a later run of any plan needs to reconcile it.
        """
        plan, live = self.plans[-1], listing.live if listing else ()
        date = listing.date if listing else None
        self.record(
            "intent",
            name=slot.name,
            plan=self.plan,
            project=plan.project,
            volume=slot.volume,
            replica=slot.replica,
            disk=slot.disk,
            facts=expected.to_record(),
            offer=list(slot.offer),
            owner=slot.owner,
            tags=slot.tags,
            replaces=list(slot.replaces),
            disks=slot.disks,
            **({"shares": [vars(share) for share in slot.group]} if slot.group else {}),
            origin=plan.origin or str(plan.inputs["demand"]["source"]),
            body=slot.digest,
            sends=sends,
            baseline=sorted(disk.key for disk in live if expected.is_like(disk)),
            server_at=date.isoformat() if date else None,
        )
        return self.state.entries[slot.name]

    def created(self, entry: Entry, disk: Disk, how: str, note: str = "") -> None:
        """Write down a disk that was read back.

        A disk that an earlier plan of the project left pending goes to the slot of this plan that
        it fits, in one record; otherwise the slot would be bought a second time.

        Raises
        ------
        StateUnusable
            When it cannot be written; the message carries the id.
        """
        fields = {
            "id": disk.id,
            "usd_hr": _text(disk.usd_hr),
            "as_name": disk.name or "",
            "status": disk.status,
            "created_at": disk.created_at,
            "how": how,
            "note": note,
        }
        slot = self.slot_served_by(entry, disk)
        if slot is None:
            self.record("created", name=entry.name, **fields)
            return
        self.record_plan()
        self.intend(slot, slot.expected, None, sends=0)
        self.record("transferred", name=slot.name, source=entry.name, **fields)

    def slot_served_by(self, entry: Entry, disk: Disk) -> Slot | None:
        """Return the slot of this plan that a disk of an earlier plan is bought for, if any."""
        if entry.plan == self.plan or self.again:
            return None
        for slot in self.slots.values():
            own = self.state.entries.get(slot.name)
            is_open = own is None or (own.stage == "not_sent" and own.attempts == 0)
            wanted = slot.expected
            if slot.keys == entry.keys and is_open:
                fits = not wanted.differences(disk) and not wanted.costs_more(disk)
                return slot if fits else None
        return None

    def is_complete(self, entry: Entry) -> bool:
        """Return whether all disks of a replica were created, those that were replaced as well."""
        replica = (entry.plan, entry.volume, entry.replica)
        created = [
            other
            for other in self.entries
            if (other.plan, other.volume, other.replica) == replica and other.stage == "created"
        ]
        return len(created) >= max(other.disks for other in created)

    def record_plan(self) -> None:
        """Keep the plan and record it with its target, once, before its first slot."""
        if self.plan in self.state.plans:
            return
        plan = self.plans[-1]
        self.journal.store(plan_file(self.plan), plan.content)
        continues = {"continues": self.chain[0], "percent": str(self.percent)}
        self.record(
            "plan",
            plan=self.plan,
            plan_id=plan.plan_id,
            project=plan.project,
            target=self.target,
            **(continues if len(self.plans) > 1 else {}),
        )

    def conflict(self, entry: Entry, ids: list[str], why: str, disk: Disk | None = None) -> None:
        """Write down what a person has to decide."""
        price = None if disk is None else _text(disk.usd_hr)
        self.record("conflict", name=entry.name, ids=ids, why=why, usd_hr=price)

    def record_seen(self, entry: Entry, disk: Disk) -> None:
        """Write down status and price of a created disk by now."""
        self.record("seen", name=entry.name, status=disk.status, usd_hr=_text(disk.usd_hr))

    def is_live(self, entry: Entry, listing: DiskListing | None = None) -> bool:
        """Return whether the recorded disk exists, by a listing or else by its id."""
        disk = listing.find(entry.ids[0]) if listing else None
        if disk is None:
            try:
                disk = self.marketplace.disk(entry.ids[0])
            except NotFound:
                disk = None
        if disk is None or not disk.is_live:
            self.gone.add(entry.ids[0])
            return False
        return True

    def quarantine_s(self, entry: Entry, date: datetime | None) -> float:
        """Return the seconds for which a name must not be sent again, by both clocks.

        The server counts whole seconds: where it agrees with ours, ours gives the fraction. A date
        that has moved by more than a minute against ours is not trusted, and ours decides.
        """
        if entry.local_at is None:
            return self.pace.quarantine_s
        passed = (self.pace.now() - entry.local_at).total_seconds()
        if entry.server_at is not None and date is not None:
            served = (date - entry.server_at).total_seconds()
            if _TICK_S < abs(served - passed) <= _JUMP_S:
                passed = min(passed, served - 1)
        return max(0.0, self.pace.quarantine_s - passed)

    def sends_again_at(self, entry: Entry) -> datetime:
        """Return from when a rerun may send a slot whose outcome is unknown, by our clock."""
        return self.pace.now() + timedelta(seconds=self.quarantine_s(entry, None))


_TICK_S, _JUMP_S = 1.5, 60.0
_TIMED = frozenset({"created", "transferred", "seen", "assigned", "deleting", "destroyed"})
"""Records that say when a disk was paid for, and by whom: by the marketplace's clock, as bills."""


def _text(usd_hr: Decimal | None) -> str | None:
    return None if usd_hr is None else str(usd_hr)
