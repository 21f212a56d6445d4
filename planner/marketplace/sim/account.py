"""The account: create, list, read, rename and delete disks, read the wallet, and say who it is."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from planner import units
from planner.market.tiers import grid_of
from planner.marketplace.sim.catalogue import offers_for, whole, window
from planner.marketplace.sim.faults import ELSEWHERE, Act, scaled
from planner.marketplace.sim.wire import (
    ProviderPart,
    Refused,
    SimResponse,
    StrictBody,
    TeamPart,
    read_body,
)
from planner.marketplace.sim.world import SECOND_US, SimDisk, World, number, stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from planner.marketplace.sim.catalogue import Terms
    from planner.marketplace.sim.wire import Dialect
    from planner.marketplace.sim.world import SimResource

USER, WALLET = "sim-user", "sim-wallet"
_MAX_NAME = 255

_Name = Annotated[str, Field(max_length=_MAX_NAME)]


class _DiskBody(StrictBody, strict=True):
    size: Annotated[int, Field(gt=0)]
    name: _Name | None = None
    country: str | None = None
    cloud_id: str | None = Field(None, alias="cloudId")
    data_center_id: str | None = Field(None, alias="dataCenterId")


class _Create(StrictBody, strict=True):
    disk: _DiskBody
    provider: ProviderPart
    team: TeamPart | None = None


class _Rename(StrictBody, strict=True):
    name: Annotated[_Name, Field(min_length=1)]


@dataclass(frozen=True)
class Delays:
    """How long things take, in seconds of the marketplace's clock.

    Attributes
    ----------
    detaching_s : float
        From the last detaching until a delete is not refused any more.
    """

    provisioning_s: float = 5.0
    detaching_s: float = 30.0

    @property
    def provisioning_us(self) -> int:
        """Return the first in microseconds."""
        return round(self.provisioning_s * SECOND_US)

    @property
    def detaching_us(self) -> int:
        """Return the second in microseconds."""
        return round(self.detaching_s * SECOND_US)


@dataclass(frozen=True)
class SimAccount:
    """The account of one key: its disks, its wallet, and what requests do to them."""

    world: World
    delays: Delays
    dialect: Dialect
    new_id: Callable[[], str]

    def create(self, body: bytes, acts: Sequence[Act]) -> SimResponse:
        """Create a disk; the dearest offer that the request could mean sells it."""
        wanted = read_body(_Create, body)
        if self.world.balance_usd() <= 0:
            raise Refused(402, "Insufficient balance")
        terms = self._offer(wanted)
        disk = self._made(wanted, terms, {act.kind.name: act for act in acts})
        self.world.disks[disk.id] = disk
        made = [disk]
        for act in acts:
            if act.kind.name == "double":
                twin = disk.twin(self.new_id(), later_us=round(act.number * SECOND_US))
                self.world.disks[twin.id] = twin
                made.append(twin)
        status = 201 if self.dialect == "guide" else 200
        return SimResponse(status, self.shown(disk), created=[each.id for each in made])

    def _offer(self, wanted: _Create) -> Terms:
        """Return the offer that sells what is wanted, or refuse."""
        disk, provider = wanted.disk, wanted.provider.type
        key = {"cloudId": disk.cloud_id, "dataCenter": disk.data_center_id, "country": disk.country}
        offers = offers_for(self.world, key, provider)
        if not offers:
            raise Refused(422, "No such disk offer", "body", "disk", "dataCenterId")
        fitting = [terms for terms in offers if disk.size in grid_of(terms.facts)]
        if not fitting:
            sizes = " or ".join(terms.sizes for terms in offers)
            raise Refused(422, f"Size must be {sizes}", "body", "disk", "size")
        stocked = [terms for terms in fitting if terms.in_stock]
        if not stocked:
            raise Refused(409, "The disk offer is out of stock")
        if stocked[0].price is None:
            raise Refused(422, "The disk offer has no price", "body", "disk", "dataCenterId")
        return stocked[0]

    def _made(self, wanted: _Create, terms: Terms, acts: Mapping[str, Act]) -> SimDisk:
        """Return the disk, with whatever is to go wrong with it."""
        asked, new_id, now_us = wanted.disk, self.new_id(), self.world.clock.now_us()
        late = acts["late"].number if "late" in acts else 0
        ready_us = now_us + self.delays.provisioning_us
        size = asked.size + ("made-size" in acts)
        price = units.usd_hr(size, terms.price or Decimal(0))
        if "made-price" in acts:
            price = scaled(price, acts["made-price"].value)
        name = asked.name or f"disk-{new_id[:8]}"
        return SimDisk(
            id=new_id,
            name=f"other-{name}"[:_MAX_NAME] if "made-name" in acts else name,
            size_gb=size,
            provider=wanted.provider.type,
            cloud_id=terms.row.get("cloudId"),
            data_center=ELSEWHERE if "made-place" in acts else terms.row.get("dataCenter"),
            country=terms.row.get("country"),
            multinode=terms.row.get("isMultinode"),
            usd_hr=price,
            created_us=now_us,
            updated_us=now_us,
            billed_from_us=now_us,
            ready_us=None if "stuck" in acts else ready_us,
            shown_us=now_us + round(late * SECOND_US),
            team_id=wanted.team.team_id if wanted.team else None,
            forced="ERROR" if "error-status" in acts else None,
        )

    def listed(self, query: Mapping[str, Sequence[str]], kinds: frozenset[str]) -> SimResponse:
        """Return a page of the disks, newest first; what is terminated is not listed."""
        guide = self.dialect == "guide"
        offset = whole(query, "offset", 0, least=0)
        most = 200 if guide else 10**6
        limit = whole(query, "limit", 50 if guide else 100, least=1, most=most)
        now_us = self.world.clock.now_us()
        disks = [disk for disk in self.world.live() if disk.shown_us <= now_us]
        page, count = window(disks, offset, limit, kinds)
        total = "totalCount" if guide else "total_count"
        shown = [self.shown(disk) for disk in page]
        return SimResponse(200, {total: count, "data": shown, "limit": limit, "offset": offset})

    def read(self, disk_id: str) -> SimResponse:
        """Return one disk, also when it is terminated."""
        return SimResponse(200, self.shown(self._known(disk_id)))

    def rename(self, disk_id: str, body: bytes) -> SimResponse:
        """Change the name; nothing else can be changed."""
        name = read_body(_Rename, body).name
        disk = self._live(disk_id)
        disk.name, disk.updated_us = name, self.world.clock.now_us()
        return SimResponse(200, {"id": disk.id, "name": name}, renamed=[disk.id])

    def delete(self, disk_id: str, acts: Sequence[Act]) -> SimResponse:
        """Terminate a disk, unless it is attached or still detaching."""
        disk = self._live(disk_id)
        now_us = self.world.clock.now_us()
        if disk.pods or disk.clusters:
            raise Refused(409, "Disk is attached to an instance")
        if disk.held_us > now_us:
            raise Refused(409, "Disk is still detaching from an instance")
        slow = next((act.number for act in acts if act.kind.name == "slow-delete"), 0)
        disk.updated_us, disk.terminated_us = now_us, now_us + round(slow * SECOND_US)
        return SimResponse(200, {"status": disk.status(now_us)}, deleted=[disk.id])

    def wallet(self, query: Mapping[str, Sequence[str]]) -> SimResponse:
        """Return the balance and what each disk and pod has cost, the latest bill first."""
        limit = whole(query, "limit", 20, least=1, most=100)
        offset = whole(query, "offset", 0, least=0)
        now_us = self.world.clock.now_us()
        bills = [_bill(disk, "disks", now_us) for disk in reversed(self.world.disks.values())]
        bills += [_bill(pod, "compute", now_us) for pod in reversed(self.world.pods.values())]
        bills.sort(key=lambda bill: str(bill["last_billed_at"]), reverse=True)
        document = {
            "wallet_id": WALLET,
            "team_id": query["teamId"][-1] if query.get("teamId") else None,
            "balance_usd": number(self.world.balance_usd()),
            "currency": "USD",
            "total_billings": len(bills),
            "recent_billings": bills[offset : offset + limit],
        }
        return SimResponse(200, document)

    def shown(self, disk: SimDisk) -> dict[str, Any]:
        """Return a disk as the API shows it."""
        now_us = self.world.clock.now_us()
        ended = disk.terminated_us is not None and disk.ended(now_us)
        return {
            "id": disk.id,
            "name": disk.name,
            "createdAt": stamp(disk.created_us),
            "updatedAt": stamp(disk.updated_us),
            "terminatedAt": stamp(disk.terminated_us) if ended else None,
            "status": disk.status(now_us),
            "providerType": disk.provider,
            "size": disk.size_gb,
            "info": {
                "cloudId": disk.cloud_id,
                "country": disk.country,
                "isMultinode": disk.multinode,
                "dataCenterId": disk.data_center,
            },
            "priceHr": number(disk.usd_hr),
            "stoppedPriceHr": number(disk.usd_hr),
            "provisioningPriceHr": Decimal("0.0"),
            "userId": USER,
            "teamId": disk.team_id,
            "walletId": WALLET,
            "pods": list(disk.pods),
            "clusters": list(disk.clusters),
        }

    def _known(self, disk_id: str) -> SimDisk:
        disk = self.world.disks.get(disk_id)
        if disk is None:
            raise Refused(404, "Disk not found")
        return disk

    def _live(self, disk_id: str) -> SimDisk:
        disk = self._known(disk_id)
        if disk.terminated_us is not None:
            raise Refused(404, "Disk not found")
        return disk


def _bill(resource: SimResource, resource_type: str, now_us: int) -> dict[str, Any]:
    ended_us = resource.terminated_us
    until_us = now_us if ended_us is None else min(now_us, ended_us)
    return {
        "id": f"bill-{resource.id}",
        "created_at": stamp(resource.created_us),
        "updated_at": stamp(until_us),
        "last_billed_at": stamp(until_us),
        "amount_usd": number(resource.cost_usd(now_us)),
        "currency": "USD",
        "resource_type": resource_type,
        "resource_id": resource.id,
    }


TEAM = "sim-team"
_SINCE = "2026-01-01T00:00:00.000000"
_READ_ONLY = frozenset({"availability", "billing"})
_NAME, _EMAIL = "Simulated User", "user@example.com"


def whoami(scopes: Collection[str]) -> SimResponse:
    """Return the user, and what the key may read and write."""
    allowed = {scope: {"read": True, "write": scope not in _READ_ONLY} for scope in sorted(scopes)}
    user = {"id": USER, "role": "USER", "createdAt": _SINCE, "name": _NAME, "email": _EMAIL}
    return SimResponse(200, {"data": {**user, "slug": None, "scope": allowed}, "status": None})


def teams(query: Mapping[str, Sequence[str]]) -> SimResponse:
    """Return a page of the user's teams: there is one."""
    team = {"teamId": TEAM, "name": "Simulated team", "slug": TEAM}
    return pages(query, [{**team, "role": "ADMIN", "createdAt": _SINCE}])


def members(team_id: str, query: Mapping[str, Sequence[str]]) -> SimResponse:
    """Return a page of a team's members."""
    if team_id != TEAM:
        raise Refused(404, "Team not found")
    user = {"userId": USER, "userName": _NAME, "userEmail": _EMAIL}
    return pages(query, [{**user, "role": "ADMIN", "joinedAt": _SINCE}])


def pages(query: Mapping[str, Sequence[str]], rows: Sequence[dict[str, Any]]) -> SimResponse:
    """Return the part of rows that a query asks for by ``offset`` and ``limit``."""
    offset = whole(query, "offset", 0, least=0)
    limit = whole(query, "limit", 100, least=1)
    document = {"total_count": len(rows), "offset": offset, "limit": limit}
    return SimResponse(200, {**document, "data": list(rows[offset : offset + limit])})
