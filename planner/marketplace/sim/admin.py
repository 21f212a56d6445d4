"""What can be done beside the API, under ``/sim/``: move the clock, change the market, look in.

These requests need no key, since the server listens on loopback only, and no web page may send
them. They are neither audited nor faulted.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from planner.errors import InputError
from planner.marketplace.sim.catalogue import change_offers
from planner.marketplace.sim.faults import KINDS, parse_fault
from planner.marketplace.sim.wire import Refused, SimResponse, StrictBody, read_body
from planner.marketplace.sim.world import SECOND_US, SimDisk, number, stamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from planner.marketplace.sim.service import Service
    from planner.marketplace.sim.wire import Request


PREFIX = "/sim/"

_Text = Annotated[str, Field(min_length=1, max_length=1000)]
_Amount = Annotated[Decimal, Field(ge=0, lt=10**9, allow_inf_nan=False)]
_Status = Literal["PROVISIONING", "PENDING", "ACTIVE", "STOPPED", "ERROR", "DELETING", "UNKNOWN"]


class Advance(StrictBody):
    """How far the clock is moved."""

    hours: _Amount = Decimal(0)
    seconds: _Amount = Decimal(0)


class ForeignDisk(StrictBody):
    """A disk that was created beside the API; without an id it gets a new one."""

    id: Annotated[str, Field(pattern="^[0-9A-Za-z_-]{8,64}$")] | None = None
    name: _Text = "somebody-elses"
    size: Annotated[int, Field(gt=0, lt=10**12)] = 100
    provider: _Text = "runpod"
    cloud_id: str | None = None
    data_center: str | None = "US-CA-2"
    country: str | None = "US"
    multinode: bool | None = True
    usd_hr: _Amount = Decimal("0.01")
    team_id: str | None = None


class DiskChange(StrictBody):
    """What becomes of a disk, beside the API."""

    name: _Text | None = None
    status: _Status | None = None
    usd_hr: _Amount | None = None
    size: Annotated[int, Field(gt=0, lt=10**12)] | None = None
    vanish: bool = False


class Pod(StrictBody):
    """What a disk is attached to."""

    pod: _Text = "pod-1"


class OfferChange(StrictBody):
    """What becomes of the offers that agree with ``match``."""

    listing: Literal["disks", "gpus", "multi-node"] = "disks"
    match: dict[str, Any]
    price: _Amount | None = None
    stock: _Text | None = None
    vanish: bool = False


class Balance(StrictBody):
    """What is to be left in the wallet."""

    balance_usd: Annotated[Decimal, Field(gt=-(10**9), lt=10**9, allow_inf_nan=False)]


class NewFault(StrictBody):
    """A fault, as ``--fault`` takes it."""

    fault: Annotated[str, Field(min_length=1, max_length=2**20)]


class Nothing(StrictBody):
    """No body."""


def advance(service: Service, change: Advance, _: str) -> dict[str, Any]:
    """Move the clock forward by ``hours`` and ``seconds``."""
    seconds = change.hours * 3600 + change.seconds
    service.world.clock.advance(int(seconds * SECOND_US))
    return clock(service, Nothing(), "")


def clock(service: Service, _: Nothing, __: str) -> dict[str, Any]:
    """Show the marketplace's time."""
    return {"now": f"{stamp(service.world.clock.now_us())}Z"}


def disks(service: Service, _: Nothing, __: str) -> dict[str, Any]:
    """Show every disk ever, with its cost and the requests that changed it."""
    return {"disks": service.disks()}


def pods(service: Service, _: Nothing, __: str) -> dict[str, Any]:
    """Show every pod ever, with its cost."""
    return {"pods": service.pods()}


def add_disk(service: Service, disk: ForeignDisk, _: str) -> dict[str, Any]:
    """Add a disk that no request made, ACTIVE at once."""
    now_us = service.world.clock.now_us()
    made = SimDisk(
        **disk.model_dump(exclude={"size", "id"}),
        id=disk.id or service.account.new_id(),
        size_gb=disk.size,
        created_us=now_us,
        updated_us=now_us,
        billed_from_us=now_us,
        ready_us=now_us,
        shown_us=now_us,
        origin="admin",
    )
    service.world.disks[made.id] = made
    return service.account.shown(made)


def change_disk(service: Service, change: DiskChange, disk_id: str) -> dict[str, Any]:
    """Change ``name``, ``status``, ``usd_hr`` or ``size`` of a disk, or let it ``vanish``."""
    disk, now_us = _disk(service, disk_id), service.world.clock.now_us()
    disk.name = change.name or disk.name
    disk.size_gb = change.size or disk.size_gb
    disk.forced = change.status or disk.forced
    if change.usd_hr is not None:
        disk.reprice(change.usd_hr, now_us)
    if change.vanish:
        disk.terminated_us = now_us
    disk.updated_us = now_us
    return service.account.shown(disk)


def attach(service: Service, body: Pod, disk_id: str) -> dict[str, Any]:
    """Attach a disk to a ``pod``; it cannot be deleted then."""
    disk = _disk(service, disk_id)
    disk.pods = [*dict.fromkeys([*disk.pods, body.pod])]
    return service.account.shown(disk)


def detach(service: Service, body: Pod, disk_id: str) -> dict[str, Any]:
    """Detach a disk from a ``pod``; for a while it cannot be deleted yet."""
    disk = _disk(service, disk_id)
    if body.pod not in disk.pods:
        raise Refused(404, f"The disk is not attached to {body.pod}")
    disk.detach(body.pod, service.world.clock.now_us(), service.delays.detaching_us)
    return service.account.shown(disk)


def change_offer(service: Service, change: OfferChange, _: str) -> dict[str, Any]:
    """Change ``price`` or ``stock`` of the offers that ``match``, or let them ``vanish``."""
    count = change_offers(
        service.world,
        change.listing,
        change.match,
        price=change.price,
        stock=change.stock,
        vanish=change.vanish,
    )
    if not count:
        raise Refused(404, "No offer agrees with match")
    return {"changed": count}


def set_balance(service: Service, change: Balance, _: str) -> dict[str, Any]:
    """Pay in or out, so that ``balance_usd`` is left."""
    service.world.set_balance(change.balance_usd)
    return {"balance_usd": number(service.world.balance_usd())}


def requests(service: Service, _: Nothing, __: str) -> dict[str, Any]:
    """Show the audit: an entry for each request to the API."""
    return {"requests": service.store.audit()}


def faults(service: Service, _: Nothing, __: str) -> dict[str, Any]:
    """Show the faults, how many requests each has met, and every kind there is."""
    counts = service.world.fault_counts
    scripted = [{"fault": fault.text, "met": counts.get(fault.text, 0)} for fault in service.faults]
    return {"faults": scripted, "kinds": {kind.name: kind.summary for kind in KINDS.values()}}


def add_fault(service: Service, body: NewFault, _: str) -> dict[str, Any]:
    """Add a ``fault``; it counts from now on."""
    try:
        fault = parse_fault(body.fault)
    except InputError as error:
        raise Refused(422, f"{error}; {error.hint}", "body", "fault") from error
    service.faults = [old for old in service.faults if old.text != fault.text] + [fault]
    service.world.fault_counts.pop(fault.text, None)
    return {"fault": fault.text}


def clear_faults(service: Service, _: Nothing, __: str) -> dict[str, Any]:
    """Forget all faults."""
    service.faults = []
    return {"faults": []}


def _disk(service: Service, disk_id: str) -> SimDisk:
    disk = service.world.disks.get(disk_id)
    if disk is None or disk.terminated_us is not None:
        raise Refused(404, "Disk not found")
    return disk


_ROUTES: tuple[tuple[str, str, type[StrictBody], Callable[..., dict[str, Any]]], ...] = (
    ("GET", "clock", Nothing, clock),
    ("POST", "clock", Advance, advance),
    ("GET", "disks", Nothing, disks),
    ("POST", "disks", ForeignDisk, add_disk),
    ("GET", "pods", Nothing, pods),
    ("PATCH", "disks/ID", DiskChange, change_disk),
    ("POST", "disks/ID/attach", Pod, attach),
    ("POST", "disks/ID/detach", Pod, detach),
    ("PATCH", "offers", OfferChange, change_offer),
    ("POST", "wallet", Balance, set_balance),
    ("GET", "audit", Nothing, requests),
    ("GET", "faults", Nothing, faults),
    ("POST", "faults", NewFault, add_fault),
    ("DELETE", "faults", Nothing, clear_faults),
)


def index() -> dict[str, str]:
    """Return every request there is, and what it does."""
    return {
        f"{method} {PREFIX}{path}": (act.__doc__ or "").partition("\n")[0]
        for method, path, _, act in _ROUTES
    }


def answer(service: Service, request: Request) -> SimResponse:
    """Return the answer of a request under ``/sim/``."""
    path = request.path.removeprefix(PREFIX).rstrip("/")
    if not path:
        return SimResponse(200, index())
    for method, route, shape, act in _ROUTES:
        match = re.fullmatch(route.replace("ID", "([^/]+)"), path)
        if match and method == request.method:
            named = match[1] if match.groups() else ""
            try:
                with service.lock:
                    document = act(service, read_body(shape, request.body.strip() or b"{}"), named)
                    service.store.save(service.world)
                return SimResponse(200, document)
            except Refused as refused:
                return refused.answer(service.dialect)
    return Refused(404, f"There is no such request; GET {PREFIX} shows all").answer(service.dialect)
