"""Create requests: what a plan creates, under which names.

A name is a function of plan and slot, so that a disk can be recognised after a lost answer.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from planner.marketplace.prime.emit import emit_pods
from planner.marketplace.prime.wire import create_body
from planner.marketplace.protocol import DiskRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from planner.marketplace.protocol import PodRequest
    from planner.solve.solution import Placement


_MAX_NAME = 48
_HASH = 12


@dataclass(frozen=True)
class PlannedDisk:
    """A disk that a plan creates: which disk of the demand (``disk`` from 1), and what is sent."""

    volume: str
    replica: int
    disk: int
    request: DiskRequest


def planned_disks(placements: Sequence[Placement], nonce: str) -> tuple[PlannedDisk, ...]:
    """Return one create request for each disk of the placements that does not exist already.

    Parameters
    ----------
    placements : sequence of Placement
        In the plan's order.
    nonce : str
        The plan's own: the same plan always makes the same names.
    """
    return tuple(
        PlannedDisk(
            placement.volume,
            placement.replica,
            disk,
            DiskRequest(
                name=disk_name(placement, size_gb, disk, nonce=nonce),
                size_gb=size_gb,
                provider=placement.provider,
                cloud_id=placement.cloud_id,
                data_center=placement.data_center,
                country=placement.country,
            ),
        )
        for placement in placements
        if placement.action != "keep"
        for disk, size_gb in enumerate(placement.disk_sizes_gb, 1)
    )


def requests(disks: Iterable[PlannedDisk], team_id: str | None) -> list[dict[str, Any]]:
    """Return the create requests as they are posted: volume, replica, disk and body."""
    return [
        {
            "volume": slot.volume,
            "replica": slot.replica,
            "disk": slot.disk,
            "body": create_body(slot.request, team_id),
        }
        for slot in disks
    ]


def disk_name(placement: Placement, size_gb: int, disk: int, *, nonce: str) -> str:
    """Return the disk's name: the volume's, readable, and a hash of plan and slot.

    At most 48 characters of ``[a-z0-9-]``, starting with a letter; never a function of the
    attempt, so that a disk can be recognised after a lost answer.
    """
    slot = [nonce, placement.volume, placement.replica, disk, placement.offer_id, size_gb]
    slot += [placement.provider, placement.cloud_id, placement.data_center, placement.country]
    digest = hashlib.sha256(json.dumps(slot).encode("ascii")).hexdigest()[:_HASH]
    return f"{slug(placement.volume)}-{digest}"


def slug(volume: str) -> str:
    """Return the readable part of the names of a volume's disks."""
    text = re.sub(r"[^a-z0-9]+", "-", volume.lower()).strip("-")
    text = text if text[:1].isalpha() else f"v-{text}".rstrip("-")
    return text[: _MAX_NAME - _HASH - 1].rstrip("-")


def pod_commands(pods: Sequence[PodRequest], team_id: str | None) -> tuple[str, ...]:
    """Return the command of the vendor's client for each pod."""
    return tuple(emit_pods(pods, "prime", team_id=team_id))
