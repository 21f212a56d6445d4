"""Ask a marketplace as any client would: plain HTTP, nothing followed, nothing retried."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

API = "/api/v1"
DISKS = f"{API}/disks/"

HERE = {"provider": "acme", "dataCenter": "A-1", "country": "US", "region": "united_states"}
THERE = {"provider": "acme", "dataCenter": "B-1", "country": "NO", "region": "eu_north"}


def offer(place: Mapping[str, Any] = HERE, price: str = "0.0001", **over: Any) -> dict[str, Any]:
    """Return a disk offer: 0 to 1,000 GB in steps of 10."""
    spec = {"minCount": 0, "defaultCount": 0, "maxCount": 1000, "step": 10}
    return {
        "cloudId": None,
        **place,
        "spec": {**spec, "pricePerUnit": Decimal(price), "defaultIncludedInPrice": False},
        "stockStatus": "Available",
        "security": "secure_cloud",
        "isMultinode": False,
        **over,
    }


def gpu(place: Mapping[str, Any] = HERE, **over: Any) -> dict[str, Any]:
    """Return a GPU offer."""
    return {
        "cloudId": "a100",
        "gpuType": "A100_80GB",
        "socket": "SXM4",
        **place,
        "gpuCount": 1,
        "gpuMemory": 80,
        "stockStatus": "Available",
        "security": "secure_cloud",
        "prices": {"onDemand": Decimal("1.5"), "communityPrice": None, "currency": "USD"},
        "images": [],
        **over,
    }


class Addressed(Protocol):
    """Whatever has a base URL."""

    @property
    def base_url(self) -> str: ...


@dataclass(frozen=True)
class Answer:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body, parse_float=Decimal)


def ask(
    sim: Addressed,
    method: str,
    path: str,
    body: Any = None,
    *,
    key: str | None = "sim-key",
    headers: Mapping[str, str] | None = None,
    timeout: float = 5.0,
) -> Answer:
    """Send one request on a connection of its own."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    sent = {} if key is None else {"Authorization": f"Bearer {key}"}
    connection = http.client.HTTPConnection(str(urlsplit(sim.base_url).netloc), timeout=timeout)
    try:
        connection.request(method, path, raw, {**sent, **(headers or {})})
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, headers, answer.read())
    finally:
        connection.close()


def wanted(name: str = "corpus", size: int = 500, **disk: Any) -> dict[str, Any]:
    """Return a create request for the offer that is here."""
    place = {"dataCenterId": "A-1", "country": "US"}
    return {"disk": {"size": size, "name": name, **place, **disk}, "provider": {"type": "acme"}}


def create(sim: Addressed, name: str = "corpus", size: int = 500, **disk: Any) -> Answer:
    """Create a disk."""
    return ask(sim, "POST", DISKS, wanted(name, size, **disk))
