"""A marketplace in memory with a clock that only waiting moves, and faults to order.

::

    world = World()
    world.fault("drop_after")              # the next create is done and its answer lost
    report = world.apply(tmp_path)
    assert world.posts == ["data-…"]

What is true is what the world's own log of disks says, never what planner claims.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx
from pydantic import SecretStr

from planner.demand.read import demand_from
from planner.market.offers import offers_frame
from planner.marketplace.credentials import Credentials
from planner.marketplace.prime.client import Client
from planner.plans.planning import make_plan
from planner.project.execute import Order, apply_plan
from planner.project.pace import Pace
from planner.project.preflight import Limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

    from planner.plans.plan import Plan
    from planner.project.outcome import Report

KEY = "pit_made-up-key-0123456789"
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
    return make_plan(
        demand,
        offers_frame([offer()]),
        target={"base_url": URL, "team_id": None},
        now=START - timedelta(hours=1),
        nonce=nonce,
    )


class Clock:
    """UTC and monotonic seconds that only sleeping moves."""

    def __init__(self) -> None:
        self.passed = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return START + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.passed += max(0.0, seconds)


@dataclass
class Sent:
    """One request that arrived."""

    at: float
    method: str
    path: str
    body: Any
    headers: dict[str, str]


@dataclass
class World(httpx.BaseTransport):
    """The marketplace; ``kill_at`` counts every step of network and journal."""

    offers: list[Any] = field(default_factory=lambda: [offer()])
    page_size: int = 100
    total_key: str | None = "totalCount"
    lag_s: float = 0.0
    kill_at: int | None = None
    status: int = 201

    def __post_init__(self) -> None:
        self.clock = Clock()
        self.disks: dict[str, dict[str, Any]] = {}
        self.shown_at: dict[str, float] = {}
        self.log: list[Sent] = []
        self.made: list[tuple[str, str]] = []
        self.creates: list[str] = []
        self.balance: Any = 1000
        self.wallet_status = 200
        self.hidden = False
        self.get_faults: list[Callable[[httpx.Request], httpx.Response | None]] = []
        self.steps = 0
        self.killed = False
        self.stop = threading.Event()
        self._faults: list[str] = []
        self._lock = threading.RLock()
        self.on_create: Callable[[int], None] = lambda _: None
        self.spent: list[Decimal] = []
        self.read: set[str] = set()
        self.named: set[str] = set()
        self.resent: list[str] = []

    # -- scripting ------------------------------------------------------------------------------

    def fault(self, *names: str) -> None:
        """Order what the next creates meet, one name each; ``ok`` is none."""
        self._faults += names

    def foreign(self, name: str = "somebody-elses", size: int = 77, **more: Any) -> str:
        """Put somebody else's disk there, and return its id."""
        return self._make({"disk": {"size": size, "name": name}, "provider": {"type": "x"}}, **more)

    def step(self, _word: str = "") -> None:
        """Count a step, and die there if that is ordered."""
        with self._lock:
            self.steps += 1
            if self.kill_at is not None and self.steps >= self.kill_at:
                self.killed = True
                raise Killed(self.steps)

    @property
    def live(self) -> list[dict[str, Any]]:
        """Return the disks that exist."""
        return [disk for disk in self.disks.values() if disk["status"] != "TERMINATED"]

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

    def apply(self, folder: Path, plan: Plan | None = None, **more: Any) -> Report:
        """Run apply once."""
        names = ("price_tolerance", "max_usd_hr", "min_runway_hr", "max_age", "again")
        limits = Limits(**{name: more.pop(name) for name in names if name in more})
        pace = self.pace(**more.pop("pace", {}))
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
        with self._lock:
            response = self._answer(request)
        self.step()
        response.headers.setdefault("Date", format_datetime(self.clock.now(), usegmt=True))
        return response

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        body = json.loads(request.content) if request.content else None
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.log.append(Sent(self.clock.passed, request.method, path, body, headers))
        if headers.get("authorization") != f"Bearer {KEY}":
            return answer(401, {"detail": "Invalid API key"})
        for script in list(self.get_faults):
            found = script(request) if request.method == "GET" else None
            if found is not None:
                return found
        if path.startswith("/api/v1/availability/"):
            return answer(200, {"items": self.offers, "totalCount": len(self.offers)})
        if path == "/api/v1/billing/wallet":
            return answer(self.wallet_status, wallet(self.balance))
        if path == "/api/v1/disks/":
            return self._list(request) if request.method == "GET" else self._create(body)
        return self._one(request.method, path.rpartition("/")[2], body)

    def _list(self, request: httpx.Request) -> httpx.Response:
        offset = int(request.url.params["offset"])
        limit = min(int(request.url.params["limit"]), self.page_size)
        now = self.clock.passed
        shown = [d for key, d in self.disks.items() if self.shown_at[key] <= now]
        shown = [] if self.hidden else shown
        self.read |= {disk["id"] for disk in shown}
        page: dict[str, Any] = {"data": shown[offset : offset + limit], "offset": offset}
        if self.total_key is not None:
            page[self.total_key] = len(shown)
        return answer(200, page)

    def _one(self, method: str, disk_id: str, body: Any) -> httpx.Response:
        disk = self.disks.get(disk_id)
        if disk is None:
            return answer(404, {"detail": "Disk not found"})
        if method == "PATCH":
            disk["name"] = body["name"]
            return answer(200, {"id": disk_id, "name": disk["name"]})
        if method == "DELETE":
            if disk["pods"]:
                return answer(409, {"detail": "the disk is still detaching"})
            disk["status"] = "TERMINATED"
            return answer(200, {"status": "TERMINATED"})
        self.read.add(disk_id)
        return answer(200, disk)

    def _make(self, body: dict[str, Any], **more: Any) -> str:
        disk_id = f"disk{len(self.disks):028x}"
        wanted = body["disk"]
        lag_s = more.pop("lag_s", self.lag_s)
        self.disks[disk_id] = {
            "id": disk_id,
            "name": wanted["name"],
            "createdAt": self.clock.now().isoformat(),
            "status": "PROVISIONING",
            "providerType": body["provider"]["type"],
            "size": wanted["size"],
            "info": {
                key: wanted[key] for key in ("cloudId", "dataCenterId", "country") if key in wanted
            },
            "priceHr": round(wanted["size"] * PRICE, 6),
            "userId": "u",
            "pods": [],
            "clusters": [],
            **more,
        }
        self.shown_at[disk_id] = self.clock.passed + lag_s
        return disk_id

    def _create(self, body: Any) -> httpx.Response:
        self.creates.append(body["disk"]["name"])
        self.spent.append(usd_hr(self) + Decimal(body["disk"]["size"]) * Decimal(str(PRICE)))
        name = self._faults.pop(0) if self._faults else "ok"
        self.on_create(len(self.creates))
        if body["disk"]["name"] in self.named:
            self.resent.append(body["disk"]["name"])
        response = FAULTS[name](self, body)
        if response.status_code in {200, 201, 202} and name in {"ok", "ghost", "ok_200"}:
            self.named.add(body["disk"]["name"])
        return response

    def make(self, body: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Create what a request asks for, and remember that it was ours."""
        disk_id = self._make(body, **more)
        self.made.append((body["disk"]["name"], disk_id))
        return self.disks[disk_id]


def credentials() -> Credentials:
    return Credentials(SecretStr(KEY), URL)


def answer(status: int, document: Any, **headers: str) -> httpx.Response:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return httpx.Response(
        status, content=content, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


def wallet(balance: Any) -> dict[str, Any]:
    return {"wallet_id": "w", "balance_usd": balance, "currency": "USD"}


def usd_hr(world: World) -> Decimal:
    """Return what our live disks cost, by the world's own account."""
    ours = {disk_id for _, disk_id in world.made}
    prices = (d["priceHr"] or d["size"] * PRICE for d in world.live if d["id"] in ours)
    return sum((Decimal(str(price)) for price in prices), Decimal(0))


from tests.project.faults import FAULTS  # noqa: E402 -- faults are functions of the world
