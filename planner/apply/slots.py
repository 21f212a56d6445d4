"""Slots: the disks of a plan, each with its name, what is sent for it and what it may cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.exact_json import digest_of
from planner.market.offers import KEY
from planner.units import usd_hr

if TYPE_CHECKING:
    from collections.abc import Mapping

    from planner.api import Disk
    from planner.plan import Plan

_PLACE = {"cloudId": "cloud_id", "dataCenterId": "data_center", "country": "country"}
_SHARE, _LEAST = Decimal("0.005"), Decimal("0.0001")


@dataclass(frozen=True)
class Slot:
    """One disk of a plan.

    Attributes
    ----------
    volume, replica, disk : str, int, int
        Which disk of the demand it is.
    name : str
        The key: a function of plan and slot, never of the attempt.
    body : dict
        Exactly what is sent.
    offer : tuple of str | None
        Create key of its offer: provider, cloud id, data centre, country.
    usd_gb_hr : Decimal
        What the plan says a GB costs per hour.
    stock : str | None
        Weakest stock level that the demand accepts.
    """

    volume: str
    replica: int
    disk: int
    name: str
    body: dict[str, Any]
    offer: tuple[str | None, ...]
    usd_gb_hr: Decimal
    stock: str | None

    @property
    def key(self) -> str:
        """Return the slot's short name: volume/replica/disk."""
        return f"{self.volume}/{self.replica}/{self.disk}"

    @property
    def digest(self) -> str:
        """Return a hash of what is sent."""
        return digest_of(self.body)

    @property
    def size_gb(self) -> int:
        """Return the size that is sent."""
        return int(self.body["disk"]["size"])

    @property
    def usd_hr(self) -> Decimal:
        """Return what the plan says it costs per hour."""
        return usd_hr(self.size_gb, self.usd_gb_hr)

    @property
    def facts(self) -> Facts:
        """Return what the created disk has to be."""
        disk = self.body["disk"]
        return Facts(
            name=self.name,
            size_gb=disk["size"],
            provider=self.body["provider"]["type"],
            cloud_id=disk.get("cloudId"),
            data_center=disk.get("dataCenterId"),
            country=disk.get("country"),
            usd_hr=self.usd_hr,
        )


@dataclass(frozen=True)
class Facts:
    """What a disk was asked to be; None was not sent, and may be anything."""

    name: str
    size_gb: int
    provider: str
    cloud_id: str | None
    data_center: str | None
    country: str | None
    usd_hr: Decimal

    def to_record(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        return {**vars(self), "usd_hr": str(self.usd_hr)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Facts:
        """Return the facts that ``to_record`` described."""
        return cls(**{**record, "usd_hr": Decimal(record["usd_hr"])})

    def at(self, usd_hr: Decimal) -> Facts:
        """Return the same disk at another accepted price."""
        return replace(self, usd_hr=usd_hr)

    def differences(self, disk: Disk) -> tuple[str, ...]:
        """Return what about a disk contradicts what was sent, its name apart.

        An absent field is no contradiction: the marketplace promises only name, provider, user.
        """
        return tuple(
            f"{field.replace('_', ' ')} {found!r} where {sent!r} was sent"
            for field in ("size_gb", "provider", *_PLACE.values())
            if (sent := getattr(self, field)) is not None
            and (found := getattr(disk, field)) is not None
            and found != sent
        )

    def is_like(self, disk: Disk) -> bool:
        """Return whether size and provider are those that were sent, under whatever name."""
        return disk.size_gb == self.size_gb and disk.provider == self.provider

    def is_dearer(self, disk: Disk) -> bool:
        """Return whether the price is higher than planned, rounding apart."""
        spare = max(self.usd_hr * _SHARE, _LEAST)
        return disk.usd_hr is not None and disk.usd_hr > self.usd_hr + spare

    def counted(self, price: Decimal | None) -> Decimal:
        """Return what a disk counts as: its price, or the planned one where rounding differs."""
        if price is None or abs(price - self.usd_hr) <= max(self.usd_hr * _SHARE, _LEAST):
            return self.usd_hr
        return price


def slots_of(plan: Plan, target: Mapping[str, str | None]) -> tuple[Slot, ...]:
    """Return the slots of a plan, in its order, as they are sent to a marketplace.

    Parameters
    ----------
    plan : Plan
        What is to be bought.
    target : mapping
        ``base_url`` and ``team_id``: a plan made offline takes those of its first apply.
    """
    bound = replace(plan, target=dict(target))
    placed = {(one.volume, one.replica): one for one in plan.placements}
    weakest = {volume.name: volume.stock for volume in plan.demand.volumes}
    slots = []
    for request in bound.requests:
        placement = placed[request["volume"], request["replica"]]
        slots.append(
            Slot(
                volume=request["volume"],
                replica=request["replica"],
                disk=request["disk"],
                name=request["body"]["disk"]["name"],
                body=request["body"],
                offer=tuple(getattr(placement, name) for name in KEY),
                usd_gb_hr=placement.usd_gb_hr,
                stock=weakest.get(request["volume"]),
            )
        )
    return tuple(slots)
