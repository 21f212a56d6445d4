"""What every part of a run works with: marketplace, journal, state, time, and who is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from planner.marketplace.protocol import LISTING_S, target_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from planner.market.disks import Disk
    from planner.marketplace.protocol import Marketplace
    from planner.project.journal import Journal
    from planner.project.pace import Pace
    from planner.project.state import Entry, Facts, Slot, State


Event = dict[str, Any]


def _silent(_event: Event) -> None:
    """Tell nobody."""


@dataclass
class Context:
    """One run's tools.

    Attributes
    ----------
    marketplace : Marketplace
        The account that disks are created in.
    journal, state : Journal, State
        What was done, and what it comes to.
    pace : Pace
        Time.
    plan, project : str
        Digest of the plan, and its project.
    names : frozenset of str
        The names of all slots of the plan.
    tell : callable
        Gets one event for each record.
    warnings : list of str
        What a person should know.
    """

    marketplace: Marketplace
    journal: Journal
    state: State
    pace: Pace
    plan: str = ""
    project: str = ""
    names: frozenset[str] = frozenset()
    tell: Callable[[Event], None] = _silent
    warnings: list[str] = field(default_factory=list)

    @property
    def target(self) -> dict[str, str | None]:
        """Return the marketplace and team that the key is for."""
        return target_of(self.marketplace)

    def offers(self) -> pd.DataFrame:
        """Return the live disk offers, complete (columns ``OFFERS``)."""
        within_s = min(LISTING_S, 4 * self.pace.timeout_s)
        return self.marketplace.listing("disks", within_s=within_s).offers()

    def record(self, kind: str, **fields: Any) -> None:  # noqa: ANN401 -- JSON values
        """Write a record to the disk, then move the state by it, then tell.

        Raises
        ------
        StateUnusable
            When it cannot be written.
        """
        with self.journal.mutex:
            self.state.take(self.journal.append(kind, **fields))
        shown = {key: value for key, value in fields.items() if key not in {"baseline", "facts"}}
        self.tell({"event": kind, **shown})

    def intend(
        self, slot: Slot, facts: Facts, live: list[str], date: datetime | None, *, sends: int
    ) -> Entry:
        """Write down what is about to be sent, and return its entry."""
        self.record(
            "intent",
            name=slot.name,
            plan=self.plan,
            project=self.project,
            volume=slot.volume,
            replica=slot.replica,
            disk=slot.disk,
            facts=facts.to_record(),
            body=slot.digest,
            sends=sends,
            baseline=sorted(live),
            server_at=date.isoformat() if date else None,
        )
        return self.state.entries[slot.name]

    def created(self, entry: Entry, disk: Disk, how: str, note: str = "") -> None:
        """Write down a disk that was read back.

        Raises
        ------
        StateUnusable
            When it cannot be written; the message carries the id.
        """
        self.record(
            "created",
            name=entry.name,
            id=disk.id,
            usd_hr=None if disk.usd_hr is None else str(disk.usd_hr),
            as_name=disk.name or "",
            status=disk.status,
            created_at=disk.created_at,
            how=how,
            note=note,
        )

    def conflict(self, entry: Entry, ids: list[str], why: str, disk: Disk | None = None) -> None:
        """Write down what a person has to look at."""
        price = None if disk is None or disk.usd_hr is None else str(disk.usd_hr)
        self.record("conflict", name=entry.name, ids=ids, why=why, usd_hr=price)

    def quarantine_s(self, entry: Entry, date: datetime | None) -> float:
        """Return the seconds for which a name must not be sent again, by the server's clock.

        That clock counts whole seconds: where it agrees with ours, ours gives the fraction.
        """
        if entry.local_at is None:
            return self.pace.quarantine_s
        passed = (self.pace.now() - entry.local_at).total_seconds()
        if entry.server_at is not None and date is not None:
            served = (date - entry.server_at).total_seconds()
            passed = passed if abs(served - passed) <= _TICK_S else served - 1
        return max(0.0, self.pace.quarantine_s - passed)

    def sends_again_at(self, entry: Entry) -> datetime:
        """Return from when a rerun may send a slot in doubt, by our clock."""
        return self.pace.now() + timedelta(seconds=self.quarantine_s(entry, None))


_TICK_S = 1.5
