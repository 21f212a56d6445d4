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
from planner.plans.sharing import DiskShare, by_disk, shares_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from planner.marketplace.protocol import PodRequest
    from planner.solve.solution import Placement


_MAX_NAME = 48
_HASH = 12


@dataclass(frozen=True)
class PlannedDisk:
    """A disk that a plan creates: which disk of the demand (``disk`` from 1), and what is sent.

    Of a disk that volumes share, ``volume`` and ``replica`` are the first one's, and ``group`` says
    what each of them has of it; of any other disk it is empty.
    """

    volume: str
    replica: int
    disk: int
    request: DiskRequest
    group: tuple[DiskShare, ...] = ()


def each_planned_disk(placements: Sequence[Placement], nonce: str) -> Iterator[PlannedDisk]:
    """Yield one create request for each disk of the placements that does not exist already.

    Parameters
    ----------
    placements : sequence of Placement
        In the plan's order.
    nonce : str
        The plan's own: the same plan always makes the same names.
    """
    return (
        PlannedDisk(
            leader.volume,
            leader.replica,
            disk,
            DiskRequest(
                name=disk_name(leader, size_gb, disk, nonce=nonce),
                size_gb=size_gb,
                provider=leader.provider,
                cloud_id=leader.cloud_id,
                data_center=leader.data_center,
                country=leader.country,
            ),
            shares_of((leader, *others)),
        )
        for leader, *others in by_disk(placements)
        if leader.action != "keep"
        for disk, size_gb in enumerate(leader.disk_sizes_gb, 1)
    )


def requests(disks: Iterable[PlannedDisk], team_id: str | None) -> Iterator[dict[str, Any]]:
    """Yield the create requests as they are posted: volume, replica, disk and body."""
    return (
        {
            "volume": slot.volume,
            "replica": slot.replica,
            "disk": slot.disk,
            "body": create_body(slot.request, team_id),
        }
        for slot in disks
    )


def disk_name(placement: Placement, size_gb: int, disk: int, *, nonce: str) -> str:
    """Return the disk's name: its volumes', readable, and a hash of plan and slot.

    At most 48 characters of ``[a-z0-9-]``, starting with a letter; never a function of the
    attempt, so that a disk can be recognised after a lost answer.
    """
    slot = [nonce, placement.volume, placement.replica, disk, placement.offer_id, size_gb]
    slot += [placement.provider, placement.cloud_id, placement.data_center, placement.country]
    slot += placement.disk_group or ()
    digest = hashlib.sha256(json.dumps(slot).encode("ascii")).hexdigest()[:_HASH]
    return f"{slug('-'.join(placement.disk_group or (placement.volume,)))}-{digest}"


def slug(volume: str) -> str:
    """Return the readable part of the names of a volume's disks."""
    text = re.sub(r"[^a-z0-9]+", "-", volume.lower()).strip("-")
    text = text if text[:1].isalpha() else f"v-{text}".rstrip("-")
    return text[: _MAX_NAME - _HASH - 1].rstrip("-")


def pod_commands(pods: Sequence[PodRequest], team_id: str | None) -> tuple[str, ...]:
    """Return the command of the vendor's client for each pod."""
    return tuple(emit_pods(pods, "prime", team_id=team_id))
