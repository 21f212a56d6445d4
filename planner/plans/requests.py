"""Create requests: exactly what is POSTed, and how to send it by other means.

Source: the vendor's API description of ``POST /disks/`` and its command-line client, 0.18.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from planner.errors import InputError
from planner.marketplace.credentials import checked_base_url
from planner.marketplace.prime.wire import create_body
from planner.marketplace.protocol import DiskRequest
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from planner.solve.solution import Placement


EmitFormat = Literal["json", "curl", "prime"]
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
        if placement.action == "create"
        for disk, size_gb in enumerate(placement.disk_sizes_gb, 1)
    )


def requests(disks: Iterable[PlannedDisk], team_id: str | None) -> list[dict[str, Any]]:
    """Return the create requests as they are posted: volume, replica, disk and body."""
    return [
        {
            "volume": one.volume,
            "replica": one.replica,
            "disk": one.disk,
            "body": create_body(one.request, team_id),
        }
        for one in disks
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


def emit(
    bodies: Sequence[Mapping[str, Any]], how: EmitFormat, *, base_url: str | None = None
) -> list[str]:
    """Return one line for each create request.

    Parameters
    ----------
    bodies : sequence of dict
        Bodies of requests.
    how : str
        ``json``: the body itself; ``curl``: a command that reads the key from the environment and
        keeps it out of the process list; ``prime``: a command of the vendor's client.
    base_url : str | None
        Marketplace of the curl commands; None leaves it to ``PRIME_API_BASE_URL`` or
        ``PRIME_BASE_URL``, and to the vendor's where neither is set.

    Raises
    ------
    InputError
        When there is no such format.
    """
    if how == "json":
        return [json.dumps(body) for body in bodies]
    if how == "curl":
        return [_curl(body, base_url) for body in bodies]
    if how == "prime":
        return [_prime(body) for body in bodies]
    raise InputError(f"there is no format {visible(str(how))!r}", hint="json, curl or prime")


_NEEDS_KEY = """: "${PRIME_API_KEY:?is not set}\""""
_KEY = """printf 'Authorization: Bearer %s\\n' "$PRIME_API_KEY\""""
_FOUND_URL = (
    'url="$(printf %s "${PRIME_API_BASE_URL-${PRIME_BASE_URL-https://api.primeintellect.ai}}"'
    " | sed 's,/*$,,; s,/api/v1$,,')\""
)
"""The marketplace as the vendor's client finds it, set but empty being no marketplace at all."""
_IS_SAFE = (
    'case "$url" in *@*) false ;; https://*|http://127.0.0.1:*|http://localhost:*) ;; '
    "*) false ;; esac"
)
_REFUSED = "{ echo 'PRIME_API_BASE_URL is no URL that a key can be sent to' >&2; exit 2; }"


def _curl(body: Mapping[str, Any], base_url: str | None) -> str:
    send = (
        f"{_KEY} | curl --header @- --fail-with-body --silent --show-error --request POST "
        f"--header 'Content-Type: application/json' --data-raw {shlex.quote(json.dumps(body))} "
    )
    if base_url is not None:
        url = shlex.quote(f"{checked_base_url(base_url, 'base_url')}/api/v1/disks/")
        return f"({_NEEDS_KEY}; {send}--url {url})"
    return (
        f'({_NEEDS_KEY}; {_FOUND_URL}; {_IS_SAFE} || {_REFUSED}; {send}--url "$url/api/v1/disks/")'
    )


def _prime(body: Mapping[str, Any]) -> str:
    disk = body["disk"]
    options = {
        "size": disk["size"],
        "name": disk["name"],
        "country": disk.get("country"),
        "cloud-id": disk.get("cloudId"),
        "data-center-id": disk.get("dataCenterId"),
        "provider-type": body["provider"]["type"],
        "team-id": body.get("team", {}).get("teamId"),
    }
    words = [f"--{name}={value}" for name, value in options.items() if value is not None]
    return shlex.join(["prime", "disks", "create", *words])
