"""Create requests for other tools: as JSON, as curl commands, for the vendor's client.

Source: the vendor's API description of ``POST /disks/`` and ``POST /pods/``, and its command-line
client, 0.18.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any, Literal

import simplejson

from planner.errors import InputError
from planner.marketplace.credentials import checked_base_url
from planner.marketplace.prime.wire import pod_body
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from planner.marketplace.protocol import PodRequest


EmitFormat = Literal["json", "curl", "prime"]


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
        return [_curl(json.dumps(body), "disks", base_url) for body in bodies]
    if how == "prime":
        return [_prime(body) for body in bodies]
    raise InputError(f"there is no format {visible(str(how))!r}", hint="json, curl or prime")


def emit_pods(
    requests: Sequence[PodRequest],
    how: EmitFormat,
    *,
    team_id: str | None = None,
    base_url: str | None = None,
) -> list[str]:
    """Return one line for each pod, as `emit` does for each disk.

    The vendor's client has no option for a price cap; the other two send ``maxPrice``.
    """
    if how == "prime":
        return [_prime_pod(request, team_id) for request in requests]
    bodies = [
        simplejson.dumps(pod_body(request, team_id), use_decimal=True) for request in requests
    ]
    return bodies if how == "json" else [_curl(body, "pods", base_url) for body in bodies]


def _prime_pod(request: PodRequest, team_id: str | None) -> str:
    """Return the command of the vendor's client that rents a pod with its disks attached."""
    command = ["prime", "pods", "create", "--id", request.offer_id, "--name", request.name]
    command += [part for disk_id in request.disk_ids for part in ("--disks", disk_id)]
    return shlex.join([*command, *(() if team_id is None else ("--team-id", team_id))])


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


def _curl(body: str, collection: Literal["disks", "pods"], base_url: str | None) -> str:
    send = (
        f"{_KEY} | curl --header @- --fail-with-body --silent --show-error --request POST "
        f"--header 'Content-Type: application/json' --data-raw {shlex.quote(body)} "
    )
    if base_url is not None:
        url = shlex.quote(f"{checked_base_url(base_url, 'base_url')}/api/v1/{collection}/")
        return f"({_NEEDS_KEY}; {send}--url {url})"
    return (
        f"({_NEEDS_KEY}; {_FOUND_URL}; {_IS_SAFE} || {_REFUSED}; "
        f'{send}--url "$url/api/v1/{collection}/")'
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
    arguments = [f"--{name}={value}" for name, value in options.items() if value is not None]
    return shlex.join(["prime", "disks", "create", *arguments])
