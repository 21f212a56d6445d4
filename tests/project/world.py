"""A marketplace with a clock that only waiting moves, faults to order, and a kill switch.

::

    world = World()
    world.fault("lost_after")              # the next create is done and its answer lost
    report = world.apply(tmp_path)
    assert world.posts == ["data-…"]

It is the simulator, without sockets. What is true is what the simulator's own log of disks shows,
never what planner claims.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx
from pydantic import SecretStr

import planner
from planner.demand.read import demand_from
from planner.market.offers import offers_frame
from planner.marketplace.credentials import Credentials
from planner.marketplace.prime.client import Client
from planner.marketplace.sim import admin
from planner.marketplace.sim.account import Delays
from planner.marketplace.sim.admin import ForeignDisk
from planner.marketplace.sim.faults import parse_fault
from planner.marketplace.sim.local import SimTransport
from planner.marketplace.sim.service import Service
from planner.marketplace.sim.world import SECOND_US, SimDisk, Store, to_time, to_us
from planner.marketplace.sim.world import Clock as SimClock
from planner.marketplace.sim.world import World as SimWorld
from planner.project.context import Pace
from planner.project.execute import Order, apply_plan
from planner.project.journal import Journal
from planner.project.preflight import Limits, read_account, recorded_disks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pandas as pd

    from planner.demand.model import Demand
    from planner.plans.plan import Plan
    from planner.project.outcome import ApplyOutcome

KEY = "sim-key"
URL = "https://market.test"
START = datetime(2026, 1, 1, 12, 0, 0, 400_000, tzinfo=UTC)
PRICE = 0.0001
SETTLE_S, QUARANTINE_S = 90.0, 900.0


class Killed(BaseException):
    """The process is gone at this point."""


def offer(provider: str = "runpod", data_center: str = "US-1", **more: Any) -> dict[str, Any]:
    """Return a row of the availability listing."""
    spec = {"minCount": 0, "maxCount": 8000, "step": 1, "pricePerUnit": more.pop("price", PRICE)}
    return {
        "cloudId": more.pop("cloud_id", "cloud-1"),
        "provider": provider,
        "dataCenter": data_center,
        "country": "US",
        "region": "united_states",
        "spec": {**spec, **more.pop("spec", {})},
        "stockStatus": more.pop("stock", "High"),
        "security": "secure_cloud",
        "isMultinode": True,
        **more,
    }


@cache
def plan_of(slots: int = 2, project: str = "lab", nonce: str = "nonce-1") -> Plan:
    """Return a plan of so many disks of one offer."""
    volumes = [{"name": f"v{n}", "size_gb": 100 * n} for n in range(1, slots + 1)]
    demand = demand_from({"version": 1, "project": project, "volumes": volumes})
    return planner.plan(
        demand,
        offers_frame([offer()]),
        target={"base_url": URL, "team_id": None},
        now=START - timedelta(hours=1),
        nonce=nonce,
    )


def planned_live(world: World, folder: Path, demand: Demand, nonce: str) -> Plan:
    """Plan as with a key: the account's disks and the journal are read."""
    target: dict[str, str | None] = {"base_url": URL, "team_id": None}
    with world.account() as account:
        disks = read_account(account)
    with Journal(folder, write=False) as journal:
        known = recorded_disks(journal.records, "lab", target, disks)
    return planner.plan(
        demand,
        world.market(),
        disks=disks,
        recorded=known.in_use,
        superseded=known.superseded,
        target=target,
        now=world.clock.now(),
        nonce=nonce,
    )


class Clock:
    """UTC and monotonic seconds that only sleeping moves: the simulator's clock."""

    def __init__(self) -> None:
        self.simulated = SimClock(to_us(START), 0)

    @property
    def passed(self) -> float:
        return (self.now() - START).total_seconds()

    def now(self) -> datetime:
        return to_time(self.simulated.now_us())

    def monotonic(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        self.simulated.advance(max(0, round(seconds * SECOND_US)))


@dataclass
class Sent:
    """One request that arrived."""

    at: float
    method: str
    path: str
    body: Any
    headers: dict[str, str]


class World(httpx.BaseTransport):
    """The marketplace; ``kill_at`` counts every step of network and journal.

    ``ahead_s`` is by how much the dates of its answers are ahead of its own clock.
    """

    def __init__(
        self,
        offers: list[Any] | None = None,
        *,
        gpus: Sequence[Any] = (),
        nodes: Sequence[Any] = (),
        lag_s: float = 0.0,
    ) -> None:
        self.clock = Clock()
        self.offers = [offer()] if offers is None else offers
        self._world = SimWorld(
            self.clock.simulated,
            {"disks": self.offers, "gpus": list(gpus), "multi-node": list(nodes)},
            paid_usd=Decimal(1000),
        )
        self.service = Service(
            self._world,
            Store(None),
            dialect="openapi",
            delays=Delays(provisioning_s=1e9, detaching_s=30.0),
            faults=[],
            new_id=self.next_id,
        )
        self._transport = SimTransport(self.service)
        self._lag_s = lag_s
        self.ahead_s = 0.0
        self.pair: threading.Barrier | None = None
        self.kill_at: int | None = None
        self.log: list[Sent] = []
        self.creates: list[str] = []
        self.steps = 0
        self.killed = False
        self.stop = threading.Event()
        self._faults: list[str] = []
        self._lock = threading.RLock()
        self.on_create: Callable[[int], None] = lambda _: None
        self.spent: list[Decimal] = []
        self.read: set[str] = set()
        self.claimed_ids: set[str] = set()
        self.resent: list[str] = []
        self._others: list[tuple[str, str]] = []

    # -- scripting ------------------------------------------------------------------------------

    def fault(self, *names: str) -> None:
        """Order what the next creates meet, one name each; ``ok`` is none."""
        self._faults += names

    def order(self, *texts: str) -> None:
        """Order faults of the simulator for requests of any kind."""
        self.service.faults += [parse_fault(text) for text in texts]

    def in_pairs(self) -> None:
        """Let the creates after the first wait for each other, two at a time."""
        self.pair = threading.Barrier(2, timeout=60)

    def hide(self) -> None:
        """Show no disk in any listing."""
        self.order("GET /disks/:list-empty")

    def set_offers(self, offers: list[Any]) -> None:
        """Sell something else."""
        self.offers = self._world.listings["disks"] = offers

    def foreign(self, name: str = "somebody-elses", size: int = 77, **more: Any) -> str:
        """Put somebody else's disk there, and return its id."""
        place = {"provider": "x", "data_center": None, "country": None, "multinode": None}
        shape = ForeignDisk(name=name, size=size, **{**place, **more})
        return str(admin.add_disk(self.service, shape, "")["id"])

    def duplicate(self, name: str, size: int = 100) -> str:
        """Put another disk of ours there, under a name that may live already."""
        disk_id = self.foreign(name, size, provider="runpod")
        self._others.append((name, disk_id))
        return disk_id

    def next_id(self) -> str:
        """Return the id of the next disk."""
        return f"disk{len(self._world.disks):028x}"

    def step(self, _word: str = "") -> None:
        """Count a step, and die there if that is ordered."""
        with self._lock:
            self.steps += 1
            if self.kill_at is not None and self.steps >= self.kill_at:
                self.killed = True
                raise Killed(self.steps)

    @property
    def disks(self) -> dict[str, SimDisk]:
        """Return every disk ever, oldest first."""
        return self._world.disks

    @property
    def live(self) -> list[SimDisk]:
        """Return the disks that exist, oldest first."""
        return self._world.live()[::-1]

    def status(self, disk_id: str) -> str:
        """Return the status of a disk."""
        return self.disks[disk_id].status(self._world.clock.now_us())

    def terminate(self, disk_id: str) -> None:
        """End a disk beside the API."""
        self.disks[disk_id].terminated_us = self._world.clock.now_us()

    @property
    def made(self) -> list[tuple[str, str]]:
        """Return name and id of every disk that our creates made, in order."""
        entries = [one for one in self.service.store.audit() if one["method"] == "POST"]
        bought = [(one["body"]["disk"]["name"], key) for one in entries for key in one["created"]]
        return [*bought, *self._others]

    @property
    def heard_resent(self) -> list[str]:
        """Return the names sent again though an answer named an id; a kill may lose an answer."""
        return [] if self.killed else self.resent

    @property
    def posts(self) -> list[str]:
        """Return the names of the creates that arrived, in order."""
        return self.creates

    def requests(self, method: str, part: str = "/disks/") -> list[Sent]:
        """Return the requests of a method whose path has a part."""
        return [one for one in self.log if one.method == method and part in one.path]

    # -- planner's side -------------------------------------------------------------------------

    def pace(self, **more: Any) -> Pace:
        clock = self.clock
        return Pace(
            **{"settle_s": SETTLE_S, "quarantine_s": QUARANTINE_S, **more},
            now=clock.now,
            clock=clock.monotonic,
            sleep=clock.sleep,
            stop=self.stop,
        )

    def account(self) -> Client:
        clock = self.clock
        return Client(
            credentials(),
            transport=self,
            clock=clock.monotonic,
            now=clock.now,
            sleep=clock.sleep,
        )

    def market(self) -> pd.DataFrame:
        with self.account() as client:
            return client.listing("disks").offers()

    def apply(self, folder: Path, plan: Plan | None = None, **more: Any) -> ApplyOutcome:
        """Run apply once."""
        names = ("price_tolerance", "max_usd_hr", "min_runway_hr", "max_age", "again")
        limits = Limits(**{name: more.pop(name) for name in names if name in more})
        pace = self.pace(**{"waits_long": more.get("wait", False), **more.pop("pace", {})})
        hooks = {name: more.pop(name) for name in ("confirm", "tell") if name in more}
        with self.account() as account:
            return apply_plan(
                plan or plan_of(),
                account,
                folder=folder,
                pace=pace,
                order=Order(limits=limits, **more),
                step=self.step,
                **hooks,
            )

    # -- the server -----------------------------------------------------------------------------

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.step()
        if self.pair is not None and request.method == "POST" and self.creates:
            self.pair.wait()
        with self._lock:
            response = self._answer(request)
        if self.ahead_s:
            date = self.clock.now() + timedelta(seconds=self.ahead_s)
            response.headers["Date"] = format_datetime(date, usegmt=True)
        self.step()
        return response

    def _answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        headers = {name.lower(): value for name, value in request.headers.items()}
        path = request.url.path
        self.log.append(Sent(self.clock.passed, request.method, path, body, headers))
        if request.method == "POST":
            return self._create(request, body)
        response = self._transport.handle_request(request)
        if request.method == "GET" and "/disks/" in path and response.status_code == HTTPStatus.OK:
            self.read |= _ids(response.read())
        return response

    def _create(self, request: httpx.Request, body: Any) -> httpx.Response:
        wanted = body["disk"]["name"]
        self.creates.append(wanted)
        self.spent.append(usd_hr(self) + Decimal(body["disk"]["size"]) * self._price(body))
        if wanted in self.claimed_ids:
            self.resent.append(wanted)
        name = self._faults.pop(0) if self._faults else "ok"
        before = self.service.faults
        self.service.faults = [
            *before,
            *(parse_fault(f"POST /disks/:{t}") for t in self._met(name, body)),
        ]
        try:
            if name == "refused_connection":
                raise httpx.ConnectError("refused")
            response = self._transport.handle_request(request)
        finally:
            self.service.faults = before
            self.on_create(len(self.creates))
        if name == "made_terminated":
            self.terminate(list(self.disks)[-1])
        if name == "made_no_price":
            self.order("GET /disks/*:no-price")
        if response.status_code in {200, 201, 202} and name in {"ok", "ghost", "ok_202"}:
            self.claimed_ids.add(wanted)
        return response

    def _price(self, body: Any) -> Decimal:
        """Return what the market asks for a GB of what is created."""
        place = body["provider"]["type"], body["disk"].get("dataCenterId")
        prices = [
            row["spec"]["pricePerUnit"]
            for row in self.offers
            if (row["provider"], row["dataCenter"]) == place
        ]
        return Decimal(str(prices[0] if prices else PRICE))

    def _met(self, name: str, body: Any) -> list[str]:
        """Return the faults that a create meets."""
        fault = FAULTS[name]
        text = fault(self, body) if callable(fault) else fault
        late = [f"late={self._lag_s}"] if self._lag_s else []
        return [*late, *([text] if text else [])]


def _ids(content: bytes) -> set[str]:
    """Return the ids of an answer, where it can be read."""
    try:
        document = json.loads(content)
    except ValueError:
        return set()
    rows = document.get("data", [document]) if isinstance(document, dict) else []
    return {row["id"] for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)}


def credentials() -> Credentials:
    return Credentials(SecretStr(KEY), URL)


def usd_hr(world: World) -> Decimal:
    """Return what our live disks cost, by the simulator's own account."""
    ours = {disk_id for _, disk_id in world.made}
    return sum((disk.usd_hr for disk in world.live if disk.id in ours), Decimal(0))


from tests.project.faults import FAULTS  # noqa: E402 -- faults are functions of the world
