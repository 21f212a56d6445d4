"""Clients of the simulator without sockets, and the faults that tests order from it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pydantic import SecretStr

from planner.marketplace.credentials import Credentials
from planner.marketplace.prime.client import Client

if TYPE_CHECKING:
    from planner.marketplace.sim.local import Sim


class FakeTime:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def opened(sim: Sim, time: FakeTime | None = None, *, key: str = "", **more: Any) -> Client:
    """Return a client of a simulator whose pauses take no time."""
    fake = time or FakeTime()
    credentials = Credentials(
        SecretStr(key or sim.key), sim.base_url + more.pop("path", ""), more.pop("team_id", None)
    )
    return Client(
        credentials, transport=sim.transport(), clock=fake.clock, sleep=fake.sleep, **more
    )


def body(document: Any) -> str:
    """Return the fault that answers with a document, or with bytes."""
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return f"body={quote(content)}"


def answers(sim: Sim, request: str, *documents: Any) -> None:
    """Answer a request with these documents in turn, the last one for ever."""
    for number, document in enumerate(documents, 1):
        last = "-" if number == len(documents) else ""
        sim.fault(f"{request}#{number}{last}:{body(document)}")


def asked(sim: Sim, method: str = "GET", path: str = "") -> list[dict[str, Any]]:
    """Return the audit of the requests of a method whose path has a part."""
    return [one for one in sim.audit() if one["method"] == method and path in one["path"]]


def pages(sim: Sim) -> list[int]:
    """Return the pages of offers that were asked for, in order."""
    return [int(one["query"]["page"][0]) for one in asked(sim, path="/availability/")]
