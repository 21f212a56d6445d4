"""A probe says how the marketplace answers, refusals and its clock included."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from pydantic import SecretStr

from planner.errors import RequestNotSent, Unauthorized, Unavailable
from planner.marketplace.credentials import Credentials
from planner.marketplace.prime.client import Client
from planner.marketplace.protocol import Probe

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
WHO = Credentials(SecretStr("made-up-key"))


def probed(answer: httpx.Response | Exception) -> Probe:
    def serve(request: httpx.Request) -> httpx.Response:
        assert request.headers["Authorization"] == "Bearer made-up-key"
        if isinstance(answer, Exception):
            raise answer
        return answer

    with Client(WHO, now=lambda: NOW, transport=httpx.MockTransport(serve)) as client:
        return client.probe("disks_read")


def test_an_answer_has_status_and_time() -> None:
    """A success has no failure."""
    found = probed(httpx.Response(200, headers={"Date": "Wed, 01 Jul 2026 11:59:00 GMT"}))
    assert (found.status, found.failure) == (200, None)
    assert found.skew_s == 59


def test_a_refusal_still_tells_the_time() -> None:
    """That is what the probe is for; the key is masked where the answer repeats it."""
    headers = {"Date": "Wed, 01 Jul 2026 12:02:00 GMT"}
    found = probed(httpx.Response(403, headers=headers, json={"detail": "made-up-key?"}))
    assert found.status == 403
    assert isinstance(found.failure, Unauthorized)
    assert "made-up" not in str(found.failure)
    assert found.skew_s == -120


@pytest.mark.parametrize(
    ("error", "kind"),
    [(httpx.ConnectError("no"), RequestNotSent), (httpx.ReadError("cut"), Unavailable)],
)
def test_no_answer_is_a_failure_without_status(error: Exception, kind: type) -> None:
    """Nothing is raised."""
    found = probed(error)
    assert (found.status, found.date, found.skew_s) == (None, None, None)
    assert isinstance(found.failure, kind)


@pytest.mark.parametrize(
    ("date_s", "took_s", "skew_s"),
    [(0, 0.5, 0), (-1, 0.5, 0), (3, 5, 0), (-61, 1, 60), (45, 5, -40)],
)
def test_the_skew_is_what_cannot_be_otherwise(date_s: float, took_s: float, skew_s: float) -> None:
    """Whole seconds of the server, and a request that takes its time, are no skew."""
    date, answered = NOW + timedelta(seconds=date_s), NOW + timedelta(seconds=took_s)
    assert Probe(200, date, NOW, answered, None).skew_s == skew_s
