"""The pods of the account: rented at a GPU offer's price, with disks attached, until terminated."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from planner.marketplace.sim.account import USER, WALLET, pages
from planner.marketplace.sim.catalogue import gpu_offers_for, is_beside, whole, window
from planner.marketplace.sim.wire import (
    ProviderPart,
    Refused,
    SimResponse,
    StrictBody,
    TeamPart,
    read_body,
)
from planner.marketplace.sim.world import SimDisk, SimPod, World, number, stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from planner.marketplace.sim.account import Delays
    from planner.marketplace.sim.catalogue import Terms


_ADDRESS = "192.0.2.1"
"""An address that is reserved for documentation: there is nothing to log in to."""

_Count = Annotated[int, Field(gt=0)]


class _Variable(StrictBody, strict=True):
    key: str
    value: str


class _PodPart(StrictBody, strict=True):
    """What is rented; the vendor's client sends null for what it leaves open."""

    name: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    cloud_id: str = Field(alias="cloudId")
    gpu_type: str = Field(alias="gpuType")
    socket: str | None
    gpu_count: _Count = Field(alias="gpuCount")
    disk_size: _Count | None = Field(None, alias="diskSize")
    vcpus: _Count | None = None
    memory: _Count | None = None
    max_price: Annotated[Decimal, Field(ge=0, allow_inf_nan=False, strict=False)] | None = Field(
        None, alias="maxPrice"
    )
    image: str | None = None
    custom_template_id: str | None = Field(None, alias="customTemplateId")
    data_center_id: str | None = Field(None, alias="dataCenterId")
    country: str | None = None
    security: Literal["secure_cloud", "community_cloud"] | None = None
    env_vars: list[_Variable] | None = Field(None, alias="envVars")
    jupyter_password: str | None = Field(None, alias="jupyterPassword")
    ssh_key_id: str | None = Field(None, alias="sshKeyId")
    auto_restart: bool | None = Field(None, alias="autoRestart")
    prepaid_for_hr: Annotated[Decimal, Field(gt=0, strict=False)] | None = Field(
        None, alias="prepaidForHr"
    )


class _PodCreate(StrictBody, strict=True):
    """The API description writes ``shared_with_team``, the vendor's client ``sharedWithTeam``."""

    pod: _PodPart
    provider: ProviderPart
    disks: list[str] | None = None
    team: TeamPart | None = None
    team_member_ids: list[str] | None = None
    shared_with_team: bool = False
    team_members: list[str] | None = Field(None, alias="teamMemberIds")
    shared: bool = Field(default=False, alias="sharedWithTeam")


@dataclass(frozen=True)
class SimPods:
    """The pods of one key, and what requests do to them and to the disks that they mount."""

    world: World
    delays: Delays
    new_id: Callable[[], str]
    attach_limits: Mapping[str, int]

    def create(self, body: bytes) -> SimResponse:
        """Rent a pod; the dearest offer that the request could mean rents it."""
        wanted = read_body(_PodCreate, body)
        if self.world.balance_usd() <= 0:
            raise Refused(402, "Insufficient balance")
        terms = self._offer(wanted)
        disks = self._disks(wanted, terms)
        pod = self._made(wanted, terms, disks)
        self.world.pods[pod.id] = pod
        for disk in disks:
            disk.pods.append(pod.id)
        moved = [disk.id for disk in disks]
        return SimResponse(200, self.shown(pod), created=[pod.id], moved=moved)

    def _offer(self, wanted: _PodCreate) -> Terms:
        """Return the offer that rents what is wanted, or refuse."""
        pod = wanted.pod
        keys = {
            "provider": wanted.provider.type,
            "cloudId": pod.cloud_id,
            "gpuType": pod.gpu_type,
            "socket": pod.socket,
            "gpuCount": pod.gpu_count,
        }
        narrowing = {
            "dataCenter": pod.data_center_id,
            "country": pod.country,
            "security": pod.security,
        }
        keys |= {name: value for name, value in narrowing.items() if value is not None}
        offers = gpu_offers_for(self.world, keys)
        if not offers:
            raise Refused(422, "No such GPU offer", "body", "pod", "cloudId")
        stocked = [terms for terms in offers if terms.in_stock]
        if not stocked:
            raise Refused(409, "The GPU offer is out of stock")
        terms = stocked[0]
        if terms.price is None:
            raise Refused(422, "The GPU offer has no price", "body", "pod", "cloudId")
        if pod.max_price is not None and terms.price > pod.max_price:
            message = f"The price is {number(terms.price)}, more than maxPrice {pod.max_price}"
            raise Refused(422, message, "body", "pod", "maxPrice")
        return terms

    def _disks(self, wanted: _PodCreate, terms: Terms) -> list[SimDisk]:
        """Return the disks to attach, or refuse as the provider would."""
        ids = list(dict.fromkeys(wanted.disks or ()))
        disks = [self._attachable(disk_id, terms) for disk_id in ids]
        most = self.attach_limits.get(wanted.provider.type)
        if most is not None and len(disks) > most:
            noun = "disk" if most == 1 else "disks"
            message = f"A pod of {wanted.provider.type} can mount {most} {noun} at most"
            raise Refused(422, message, "body", "disks")
        return disks

    def _attachable(self, disk_id: str, terms: Terms) -> SimDisk:
        """Return a disk that the offer's pod can mount now, or refuse."""
        now_us = self.world.clock.now_us()
        disk = self.world.disks.get(disk_id)
        if disk is None or disk.terminated_us is not None:
            problem = "does not exist"
        elif disk.status(now_us) != "ACTIVE":
            problem = f"is {disk.status(now_us)}, not ACTIVE"
        elif not is_beside(terms.row, disk):
            problem = "is at another location than the GPUs"
        elif not disk.multinode and terms.facts["listing"] == "multi-node":
            problem = "cannot be mounted by several nodes"
        elif not disk.multinode and (disk.pods or disk.clusters):
            problem = "is attached to another instance"
        elif not disk.multinode and disk.held_us > now_us:
            problem = "is still detaching from an instance"
        else:
            return disk
        raise Refused(422, f"Disk {disk_id[:64]} {problem}", "body", "disks")

    def _made(self, wanted: _PodCreate, terms: Terms, disks: Sequence[SimDisk]) -> SimPod:
        asked, new_id, now_us = wanted.pod, self.new_id(), self.world.clock.now_us()
        ready_us = now_us + self.delays.provisioning_us
        request = asked.model_dump(
            include={"image", "vcpus", "memory", "disk_size", "custom_template_id", "auto_restart"}
        )
        return SimPod(
            id=new_id,
            name=asked.name or f"pod-{new_id[:8]}",
            provider=wanted.provider.type,
            cloud_id=asked.cloud_id,
            data_center=terms.row.get("dataCenter"),
            country=terms.row.get("country"),
            usd_hr=terms.price or Decimal(0),
            created_us=now_us,
            updated_us=now_us,
            billed_from_us=ready_us,
            ready_us=ready_us,
            team_id=wanted.team.team_id if wanted.team else None,
            gpu_type=asked.gpu_type,
            gpu_count=asked.gpu_count,
            socket=asked.socket,
            spot=terms.row.get("isSpot"),
            disks=[disk.id for disk in disks],
            request=request,
        )

    def listed(self, query: Mapping[str, Sequence[str]], kinds: frozenset[str]) -> SimResponse:
        """Return a page of the pods that are not terminated, newest first."""
        offset = whole(query, "offset", 0, least=0)
        limit = whole(query, "limit", 100, least=1)
        page, count = window(self.world.running(), offset, limit, kinds)
        shown = [self.shown(pod) for pod in page]
        document = {"total_count": count, "offset": offset, "limit": limit}
        return SimResponse(200, {**document, "data": shown})

    def read(self, pod_id: str) -> SimResponse:
        """Return one pod, also when it is terminated."""
        return SimResponse(200, self.shown(self._known(pod_id)))

    def terminate(self, pod_id: str) -> SimResponse:
        """Terminate a pod; its disks go on detaching for a while."""
        pod = self._known(pod_id)
        if pod.terminated_us is not None:
            raise Refused(404, "Pod not found")
        now_us = self.world.clock.now_us()
        pod.updated_us = pod.terminated_us = now_us
        mounted = [disk for disk in self.world.disks.values() if pod.id in disk.pods]
        for disk in mounted:
            disk.detach(pod.id, now_us, self.delays.detaching_us)
        moved = [disk.id for disk in mounted]
        return SimResponse(200, {"status": "TERMINATED"}, deleted=[pod.id], moved=moved)

    def history(self, query: Mapping[str, Sequence[str]]) -> SimResponse:
        """Return a page of the pods that were terminated, the latest first unless asked."""
        key = _choice(query, "sort_by", ("terminatedAt", "createdAt"))
        order = _choice(query, "sort_order", ("desc", "asc"))
        now_us = self.world.clock.now_us()
        ended = [_past(pod, now_us) for pod in self.world.pods.values() if pod.ended(now_us)]
        ended.sort(key=lambda row: str(row[key]), reverse=order == "desc")
        return pages(query, ended)

    def statuses(self, query: Mapping[str, Sequence[str]]) -> SimResponse:
        """Return the status of each pod that is asked for and known."""
        now_us = self.world.clock.now_us()
        asked = [self.world.pods.get(pod_id) for pod_id in query.get("pod_ids", ())]
        rows = [
            {
                "podId": pod.id,
                "providerType": pod.provider,
                "status": pod.status(now_us),
                "priceHr": number(pod.usd_hr),
                "primePortMapping": [],
                **_installation(pod, now_us),
            }
            for pod in asked
            if pod is not None
        ]
        return SimResponse(200, {"data": rows, "status": None})

    def shown(self, pod: SimPod) -> dict[str, Any]:
        """Return a pod as the API shows it."""
        now_us, asked = self.world.clock.now_us(), pod.request
        return {
            "id": pod.id,
            "userId": USER,
            "teamId": pod.team_id,
            "walletId": WALLET,
            "name": pod.name,
            "type": "HOSTED",
            "providerType": pod.provider,
            "status": pod.status(now_us),
            "createdAt": stamp(pod.created_us),
            "updatedAt": stamp(pod.updated_us),
            "terminatedAt": stamp(pod.terminated_us),
            "gpuName": pod.gpu_type,
            "gpuCount": pod.gpu_count,
            "socket": pod.socket,
            "priceHr": number(pod.usd_hr),
            "stoppedPriceHr": None,
            "provisioningPriceHr": Decimal("0.0"),
            "environmentType": asked["image"] or "ubuntu_22_cuda_12",
            "customTemplateId": asked["custom_template_id"],
            "clusterId": None,
            "primePortMapping": [],
            "resources": {
                "memory": asked["memory"],
                "disk": asked["disk_size"],
                "shared_disk": sum(self.world.disks[each].size_gb for each in pod.disks) or None,
                "vcpus": asked["vcpus"],
            },
            "attachedResources": [self._attached(pod, each, now_us) for each in pod.disks],
            "isSpot": pod.spot,
            "autoRestart": asked["auto_restart"],
            **_installation(pod, now_us),
        }

    def _attached(self, pod: SimPod, disk_id: str, now_us: int) -> dict[str, Any]:
        disk = self.world.disks[disk_id]
        mounted = {"ACTIVE": "MOUNTED", "PROVISIONING": "ATTACHED"}
        return {
            "resourceType": "DISK",
            "id": disk.id,
            "status": mounted.get(pod.status(now_us), "UNATTACHED"),
            "isDetachable": True,
            "mountPath": "/workspace" if len(pod.disks) == 1 else f"/workspace/{disk.id[:8]}",
            "resourcePath": None,
            "size": disk.size_gb,
            "isShared": disk.multinode,
        }

    def _known(self, pod_id: str) -> SimPod:
        pod = self.world.pods.get(pod_id)
        if pod is None:
            raise Refused(404, "Pod not found")
        return pod


def _installation(pod: SimPod, now_us: int) -> dict[str, Any]:
    """Return how far a pod has come, and how it is reached."""
    status = pod.status(now_us)
    stage = {"ACTIVE": "FINISHED", "PROVISIONING": "PENDING"}.get(status, "TERMINATED")
    runs = status == "ACTIVE"
    return {
        "installationStatus": stage,
        "installationFailure": None,
        "installationProgress": 100 if runs else 0,
        "sshConnection": f"root@{_ADDRESS} -p 22" if runs else None,
        "ip": _ADDRESS if runs else None,
    }


def _past(pod: SimPod, now_us: int) -> dict[str, Any]:
    """Return a terminated pod as the history shows it."""
    return {
        "id": pod.id,
        "name": pod.name,
        "providerType": pod.provider,
        "provisionedBy": None,
        "type": "Instance",
        "createdAt": stamp(pod.created_us),
        "terminatedAt": stamp(pod.terminated_us),
        "gpuName": pod.gpu_type,
        "gpuCount": pod.gpu_count,
        "socket": pod.socket,
        "priceHr": number(pod.usd_hr),
        "userId": USER,
        "teamId": pod.team_id,
        "totalBilledPrice": number(pod.cost_usd(now_us)),
    }


def _choice(query: Mapping[str, Sequence[str]], name: str, choices: Sequence[str]) -> str:
    """Return a choice of the query, the first of those allowed where it is missing."""
    chosen = query[name][-1] if query.get(name) else choices[0]
    if chosen not in choices:
        raise Refused(422, f"Input should be {' or '.join(choices)}", "query", name)
    return chosen
