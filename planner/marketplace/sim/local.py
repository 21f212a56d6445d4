"""A marketplace in this process, for tests, notebooks and rehearsals."""

from __future__ import annotations

import hashlib
import secrets
import threading
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs

import httpx

from planner.errors import InputError
from planner.market.providers import documented_limits
from planner.market.snapshot import read_snapshot
from planner.marketplace.sim import admin
from planner.marketplace.sim.account import Delays
from planner.marketplace.sim.faults import MAX_SECONDS, parse_fault
from planner.marketplace.sim.server import Server
from planner.marketplace.sim.service import Service
from planner.marketplace.sim.wire import Refused, Request, bearer
from planner.marketplace.sim.world import Clock, Store, World, number, to_time, to_us

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from planner.marketplace.sim.wire import Dialect, SimResponse

DOCUMENTED = {"disks": "shipped:disk-offers", "gpus": "shipped:gpu-offers"}
"""Where the documented market lies: what is sold unless rows are given."""


class Sim:
    """A local marketplace, to be used in a ``with`` statement.

    Parameters
    ----------
    offers_rows, gpu_rows, multinode_rows : sequence | None
        Rows of the three listings, in the API's own shape. None: what the state has, else the
        documented market, which has no multi-node offers.
    faults : iterable of str
        What is to go wrong, such as ``POST /disks/#2:drop-after``; see `parse_fault`.
    dialect : {"openapi", "guide"}
        ``openapi``, the default, is what the vendor's client reads: listings as ``{items,
        totalCount}``, ``total_count`` for disks, creates answered with 200, faulty fields as
        ``errors``. ``guide``: a bare list, ``totalCount``, 201, ``detail``.
    balance_usd : Decimal | str | int | None
        What is in the wallet; None: as the state has it, else 1000.
    state : str | Path | None
        File in which everything survives a restart; None keeps it in memory.
    audit_path : str | Path | None
        File to which the audit is written as well, a JSON line for each request.
    now : datetime | None
        What the clock shows at first; None: as the state has it, else the real time.
    clock_speed : float
        Seconds of the clock to a real one; at 0 it moves only by `advance`.
    provisioning_s, detaching_s : float
        How long it takes from PROVISIONING to ACTIVE, and after detaching, by that clock.
    attach_limits : mapping of str to int | None
        How many disks one pod of a provider can mount; a provider that is missing has no limit.
        None: the documented limits, see `providers`.
    host, port
        Where to listen: loopback only, port 0 is any that is free.
    seed : str | None
        Makes the ids of disks and pods the same in every run; None makes them at random.

    Attributes
    ----------
    key : str
        The key that may do everything; ``sim-read`` may only see availability, and
        ``sim-no-wallet`` everything but the wallet.

    Raises
    ------
    InputError
        When a file, a fault, the host or the port cannot be used.

    Examples
    --------
    >>> with Sim(clock_speed=0) as sim:
    ...     added = sim.add_disk(name="theirs", size=100, usd_hr="0.02")
    ...     sim.advance(hours=10)
    ...     sim.balance_usd
    Decimal('999.8')
    """

    key = "sim-key"

    def __init__(
        self,
        offers_rows: Sequence[Any] | None = None,
        gpu_rows: Sequence[Any] | None = None,
        multinode_rows: Sequence[Any] | None = None,
        *,
        faults: Iterable[str] = (),
        dialect: Dialect = "openapi",
        balance_usd: Decimal | str | int | None = None,
        state: str | Path | None = None,
        audit_path: str | Path | None = None,
        now: datetime | None = None,
        clock_speed: float = 1.0,
        provisioning_s: float = 5.0,
        detaching_s: float = 30.0,
        attach_limits: Mapping[str, int] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: str | None = None,
    ) -> None:
        _check_number("clock_speed", clock_speed)
        _check_number("provisioning_s", provisioning_s)
        _check_number("detaching_s", detaching_s)
        scripted = [parse_fault(text) for text in faults]
        given = {"disks": offers_rows, "gpus": gpu_rows, "multi-node": multinode_rows}
        self._store = Store(state, audit_path)
        try:
            kept = self._store.load(speed=clock_speed)
            world = kept or _new_world(balance_usd, now, clock_speed, given)
            if kept is not None:
                _change_world(kept, balance_usd, given)
            self._service = Service(
                world,
                self._store,
                dialect=dialect,
                delays=Delays(provisioning_s, detaching_s),
                faults=scripted,
                new_id=_ids(world, seed),
                attach_limits=documented_limits() if attach_limits is None else attach_limits,
            )
            self._server = Server(self._service, host, port)
        except BaseException:
            self._store.close()
            raise
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to answer, in a thread of its own."""
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="planner-sim", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop answering; the state is already written."""
        self._service.closing.set()
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()
        with self._service.lock:
            self._store.close()

    @property
    def base_url(self) -> str:
        """Return the base URL, as ``PRIME_API_BASE_URL`` takes it."""
        return self._server.base_url

    def transport(self) -> httpx.BaseTransport:
        """Return what carries requests here without sockets, as ``transport`` of a client."""
        return SimTransport(self._service)

    @property
    def environ(self) -> dict[str, str]:
        """Return the variables that lead planner and the vendor's client here."""
        return {"PRIME_API_BASE_URL": self.base_url, "PRIME_API_KEY": self.key}

    @property
    def now(self) -> datetime:
        """Return the clock's time, UTC."""
        return to_time(self._service.world.clock.now_us())

    @property
    def balance_usd(self) -> Decimal:
        """Return what is left in the wallet, exactly."""
        with self._service.lock:
            return number(self._service.world.balance_usd())

    @balance_usd.setter
    def balance_usd(self, amount: Decimal | str | int) -> None:
        self._do(admin.set_balance, admin.Balance(balance_usd=Decimal(amount)))

    @property
    def arrived(self) -> int:
        """Return how many requests have begun, those still waiting included."""
        return self._service.arrived

    def disks(self) -> list[dict[str, Any]]:
        """Return every disk ever, oldest first, as the API shows it.

        Beside the API's keys: ``origin`` (api or admin), ``cost_usd`` (exact), and ``requests``:
        the numbers of the requests that created, renamed and deleted it.
        """
        return self._service.disks()

    def live(self) -> list[dict[str, Any]]:
        """Return the disks that are not terminated, oldest first."""
        return [disk for disk in self.disks() if disk["status"] != "TERMINATED"]

    def pods(self) -> list[dict[str, Any]]:
        """Return every pod ever, oldest first, as the API shows it, with ``cost_usd`` (exact)."""
        return self._service.pods()

    def running(self) -> list[dict[str, Any]]:
        """Return the pods that are not terminated, oldest first."""
        return [pod for pod in self.pods() if pod["status"] != "TERMINATED"]

    def audit(self) -> list[dict[str, Any]]:
        """Return an entry for each request to the API: see `planner.marketplace.sim.service`."""
        with self._service.lock:
            return self._store.audit()

    def advance(self, *, hours: float | Decimal = 0, seconds: float | Decimal = 0) -> None:
        """Move the clock forward."""
        change = admin.Advance(hours=Decimal(str(hours)), seconds=Decimal(str(seconds)))
        self._do(admin.advance, change)

    def fault(self, text: str) -> None:
        """Add a fault, which counts from now on."""
        parse_fault(text)
        self._do(admin.add_fault, admin.NewFault(fault=text))

    def clear_faults(self) -> None:
        """Forget all faults."""
        self._do(admin.clear_faults, admin.Nothing())

    def add_disk(self, **disk: Any) -> dict[str, Any]:  # noqa: ANN401 -- the fields of ForeignDisk
        """Add a disk that no request made; see `planner.marketplace.sim.admin.ForeignDisk`."""
        return self._do(admin.add_disk, admin.ForeignDisk(**disk))

    def change_disk(self, disk_id: str, **change: Any) -> dict[str, Any]:  # noqa: ANN401 -- as above
        """Change a disk beside the API; see `planner.marketplace.sim.admin.DiskChange`."""
        return self._do(admin.change_disk, admin.DiskChange(**change), disk_id)

    def attach(self, disk_id: str, pod: str = "pod-1") -> None:
        """Attach a disk to a pod; it cannot be deleted then."""
        self._do(admin.attach, admin.Pod(pod=pod), disk_id)

    def detach(self, disk_id: str, pod: str = "pod-1") -> None:
        """Detach a disk; for ``detaching_s`` it cannot be deleted yet."""
        self._do(admin.detach, admin.Pod(pod=pod), disk_id)

    def change_offer(self, match: dict[str, Any], **change: Any) -> int:  # noqa: ANN401 -- as above
        """Change the offers that agree with ``match``; see `OfferChange`."""
        done = self._do(admin.change_offer, admin.OfferChange(match=match, **change))
        return int(done["changed"])

    def _do(
        self,
        act: Callable[..., dict[str, Any]],
        change: object,
        disk_id: str = "",
    ) -> dict[str, Any]:
        """Do what ``/sim/`` would, and save it."""
        with self._service.lock:
            try:
                document = act(self._service, change, disk_id)
            except Refused as refused:
                raise InputError(str(refused)) from refused
            self._store.save(self._service.world)
            return document


def _new_world(
    balance_usd: Decimal | str | int | None,
    now: datetime | None,
    speed: float,
    given: dict[str, Sequence[Any] | None],
) -> World:
    rows = {
        name: read_snapshot(path).rows for name, path in DOCUMENTED.items() if given[name] is None
    }
    rows |= {name: list(listed) for name, listed in given.items() if listed is not None}
    clock = Clock(to_us(now or datetime.now(UTC)), speed)
    paid = Decimal(1000 if balance_usd is None else balance_usd)
    return World(clock, {"multi-node": [], **rows}, paid_usd=paid)


def _change_world(
    world: World,
    balance_usd: Decimal | str | int | None,
    given: dict[str, Sequence[Any] | None],
) -> None:
    """Let what is given win over what was saved."""
    if balance_usd is not None:
        world.set_balance(Decimal(balance_usd))
    world.listings |= {name: list(rows) for name, rows in given.items() if rows is not None}


def _check_number(what: str, value: float) -> None:
    if not 0 <= value <= MAX_SECONDS:
        raise InputError(f"{what} is {value}", hint=f"a number from 0 to {MAX_SECONDS}")


def _ids(world: World, seed: str | None) -> Callable[[], str]:
    """Return a maker of ids of 32 hex digits, never one that is taken."""

    def new_id() -> str:
        if seed is None:
            return secrets.token_hex(16)
        number = len(world.disks) + len(world.pods)
        while True:
            made = hashlib.sha256(f"{seed}/{number}".encode()).hexdigest()[:32]
            if made not in world.disks and made not in world.pods:
                return made
            number += 1

    return new_id


_DRIP_S = 0.02


class SimTransport(httpx.BaseTransport):
    """Carry requests to one service; what a server does to a connection becomes httpx's errors.

    A wait beyond the request's read timeout is a `httpx.ReadTimeout` at once.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Return the answer to a request, or raise what the network would."""
        authorization = request.headers.get("authorization", "")
        others = [value for name, value in request.headers.items() if name != "authorization"]
        answer = self._service.answer(
            Request(
                method=request.method,
                path=request.url.path,
                query=parse_qs(request.url.query.decode("ascii"), keep_blank_values=True),
                body=request.read(),
                token=bearer(authorization),
                other_headers="\n".join(others),
                base_url=str(request.url.copy_with(path="/", query=None)).rstrip("/"),
            )
        )
        if answer.wait_s >= request.extensions.get("timeout", {}).get("read", float("inf")):
            raise httpx.ReadTimeout("no answer in time", request=request)
        self._service.closing.wait(answer.wait_s)
        if answer.manner == "drop":
            raise httpx.RemoteProtocolError("closed without an answer", request=request)
        now = to_time(self._service.world.clock.now_us()).replace(microsecond=0)
        headers = {"Date": format_datetime(now, usegmt=True), **answer.headers}
        if answer.manner == "whole":
            return httpx.Response(answer.status, headers=headers, content=answer.content)
        return httpx.Response(
            answer.status, headers=headers, stream=_Broken(answer, self._service.closing)
        )


class _Broken(httpx.SyncByteStream):
    """A body that is cut off in the middle, or comes a byte at a time without end."""

    def __init__(self, answer: SimResponse, closing: threading.Event) -> None:
        self._answer, self._closing = answer, closing

    def __iter__(self) -> Iterator[bytes]:
        if self._answer.manner == "cut":
            content = self._answer.content
            yield content[: len(content) // 2]
            raise httpx.RemoteProtocolError("closed in the middle of the answer")
        while not self._closing.wait(_DRIP_S):
            yield b" "
