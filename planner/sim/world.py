"""What the marketplace knows: its clock, its offers, the account's disks and the wallet."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

from planner.units import difference, plain, total

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SECOND_US = 1_000_000
BILLED_US = 3_600_000
"""Time is billed in whole thousandths of an hour, so that every amount is an exact decimal."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WIDE = Context(prec=200)


class Clock:
    """The marketplace's own time, in microseconds since 1970.

    Parameters
    ----------
    now_us : int
        What it shows at first.
    speed : float
        Its seconds to one real second; at 0 it moves only when it is told to.
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


@dataclass
class Disk:
    """One disk of the account, kept after its end.

    Attributes
    ----------
    ready_us : int | None
        When PROVISIONING becomes ACTIVE; None: never.
    shown_us : int
        When listings begin to show it.
    forced : str | None
        A status that it was given, whatever its times say.
    held_us : int
        Until when a delete is refused, since it was attached.
    billed_usd, billed_from_us
        What was settled at an earlier price, and from when the present one counts.
    origin : str
        ``api``: created by a request; ``admin``: put there beside the API.
    """

    id: str
    name: str
    size_gb: int
    provider: str
    cloud_id: str | None
    data_center: str | None
    country: str | None
    multinode: bool | None
    usd_hr: Decimal
    created_us: int
    updated_us: int
    billed_from_us: int
    ready_us: int | None
    shown_us: int
    team_id: str | None = None
    origin: str = "api"
    forced: str | None = None
    terminated_us: int | None = None
    held_us: int = 0
    billed_usd: Decimal = Decimal(0)
    pods: list[str] = field(default_factory=list)
    clusters: list[str] = field(default_factory=list)

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

    def twin(self, new_id: str, *, later_us: int) -> Disk:
        """Return another disk just like it, which listings show later."""
        return replace(self, id=new_id, shown_us=self.shown_us + later_us, pods=[], clusters=[])

    def saved(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            **asdict(self),
            "usd_hr": str(self.usd_hr),
            "billed_usd": str(self.billed_usd),
        }

    @classmethod
    def loaded(cls, saved: Mapping[str, Any]) -> Disk:
        """Return it from JSON values."""
        amounts = {name: Decimal(saved[name]) for name in ("usd_hr", "billed_usd")}
        return cls(**{**saved, **amounts})


@dataclass
class World:
    """Everything that is to survive a restart, apart from the audit.

    Attributes
    ----------
    clock : Clock
        The marketplace's time.
    listings : dict
        Rows of ``disks``, ``gpus`` and ``multi-node``, as the API shows them.
    disks : dict
        Every disk ever, by id, oldest first.
    paid_usd : Decimal
        What was ever paid into the wallet.
    fault_counts : dict
        Of each scripted fault, how many requests have matched it.
    """

    clock: Clock
    listings: dict[str, list[Any]]
    disks: dict[str, Disk] = field(default_factory=dict)
    paid_usd: Decimal = Decimal(0)
    fault_counts: dict[str, int] = field(default_factory=dict)

    def live(self) -> list[Disk]:
        """Return the disks that are not gone, newest first."""
        now_us = self.clock.now_us()
        return [disk for disk in reversed(self.disks.values()) if not disk.ended(now_us)]

    def balance_usd(self) -> Decimal:
        """Return what is left in the wallet, exactly."""
        now_us = self.clock.now_us()
        spent = total(disk.cost_usd(now_us) for disk in self.disks.values())
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
