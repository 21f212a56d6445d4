"""What a create can meet, by name: each is done or not, and answered somehow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.project.world import World

Fault = "Callable[[World, dict[str, Any]], httpx.Response]"


def _says(status: int, document: Any, **headers: str) -> httpx.Response:
    from tests.project.world import answer

    return answer(status, document, **headers)


def _done(code: int = 201, /, **more: Any) -> Callable[[World, dict[str, Any]], httpx.Response]:
    """Create, and answer with the disk."""

    def act(world: World, body: dict[str, Any]) -> httpx.Response:
        return _says(code, world.make(body, **more))

    return act


def _lost(error: type[httpx.TransportError], *, done: bool, **more: Any) -> Any:
    """Create or not, and break the exchange."""

    def act(world: World, body: dict[str, Any]) -> httpx.Response:
        if done:
            world.make(body, **more)
        raise error("lost")

    return act


def _status(status: int, *, done: bool = False, text: Any = None, **headers: str) -> Any:
    """Create or not, and answer with a status."""

    def act(world: World, body: dict[str, Any]) -> httpx.Response:
        if done:
            world.make(body)
        return _says(status, {"detail": text or "no"}, **headers)

    return act


def _bytes(content: bytes, *, done: bool = True, status: int = 201) -> Any:
    """Create or not, and answer with these bytes."""

    def act(world: World, body: dict[str, Any]) -> httpx.Response:
        if done:
            world.make(body)
        return _says(status, content)

    return act


def _echo(*, done: bool = True, **changes: Any) -> Any:
    """Create what was asked, and answer with something else; None leaves a field out."""

    def act(world: World, body: dict[str, Any]) -> httpx.Response:
        disk = dict(world.make(body)) if done else {**body["disk"], "id": "ghost" + "0" * 20}
        disk.setdefault("providerType", body["provider"]["type"])
        disk |= changes
        return _says(201, {key: value for key, value in disk.items() if value is not None})

    return act


def _twice(world: World, body: dict[str, Any]) -> httpx.Response:
    """Create twice, as when a proxy delivers the request twice."""
    world.make(body)
    return _says(201, world.make(body))


def _foreign_echo(world: World, body: dict[str, Any]) -> httpx.Response:
    """Answer with the id of a disk that was there before."""
    disk = dict(world.make(body))
    others = [key for key in world.disks if key != disk["id"]]
    return _says(201, {**disk, "id": others[0] if others else disk["id"]})


FAULTS: dict[str, Callable[[World, dict[str, Any]], httpx.Response]] = {
    "ok": lambda world, body: _says(world.status, world.make(body)),
    "ok_200": _done(200),
    "ok_202": _done(202),
    "listed_late": _done(lag_s=40.0),
    "timeout_before": _lost(httpx.ReadTimeout, done=False),
    "timeout_after": _lost(httpx.ReadTimeout, done=True),
    "timeout_after_late": _lost(httpx.ReadTimeout, done=True, lag_s=60.0),
    "timeout_after_very_late": _lost(httpx.ReadTimeout, done=True, lag_s=600.0),
    "reset_before": _lost(httpx.ReadError, done=False),
    "reset_after": _lost(httpx.ReadError, done=True),
    "eof_after": _lost(httpx.RemoteProtocolError, done=True),
    "write_error": _lost(httpx.WriteError, done=False),
    "refused_connection": _lost(httpx.ConnectError, done=False),
    "500_before": _status(500),
    "500_after": _status(500, done=True),
    "502_after": _status(502, done=True),
    "503_told": _status(503, retry_after="7"),
    "503_after_told": _status(503, done=True, retry_after="7"),
    "504_after": _status(504, done=True),
    "408_after": _status(408, done=True),
    "425_before": _status(425),
    "418_after": _status(418, done=True),
    "499_before": _status(499),
    "429": _status(429),
    "429_told": _status(429, retry_after="20"),
    "429_long": _status(429, retry_after="1800"),
    "429_after": _status(429, done=True),
    "400": _status(400),
    "401": _status(401),
    "402": _status(402),
    "403": _status(403),
    "404": _status(404),
    "405": _status(405),
    "413": _status(413),
    "415": _status(415),
    "422": _status(422, text=[{"loc": ["body", "size"], "msg": "too large"}]),
    "422_stock": _status(422, text="Out of stock"),
    "422_after": _status(422, done=True),
    "409_stock": _status(409),
    "409_own": _status(409, done=True),
    "307": _status(307, location="https://elsewhere.test/api/v1/disks/"),
    "204_after": _bytes(b"", status=204),
    "empty_after": _bytes(b""),
    "empty_before": _bytes(b"", done=False),
    "html_after": _bytes(b"<html>"),
    "cut_after": _bytes(b'{"id": "disk00000000000'),
    "nan_after": _bytes(b'{"id": "disk0000000000000", "priceHr": NaN}'),
    "twice_key_after": _bytes(b'{"id": "aaaaaaaaaaaa", "id": "bbbbbbbbbbbb"}'),
    "deep_after": _bytes(b'{"a":' * 200 + b"1" + b"}" * 200),
    "list_after": _bytes(b"[]"),
    "large_after": _bytes(b'"' + b"x" * (17 * 2**20) + b'"'),
    "echo_no_id": _echo(id=None),
    "echo_bad_id": _echo(id="../../etc/passwd"),
    "echo_no_name": _echo(name=None),
    "echo_other_name": _echo(name="something-else"),
    "echo_other_size": _echo(size=1),
    "echo_size_text": _echo(size="100"),
    "echo_other_provider": _echo(providerType="elsewhere"),
    "echo_other_place": _echo(info={"dataCenterId": "EU-9"}),
    "echo_no_place": _echo(info=None),
    "echo_no_price": _echo(priceHr=None),
    "echo_foreign_id": _foreign_echo,
    "ghost": _echo(done=False),
    "made_other_name": _done(name="something-else"),
    "made_other_size": _done(size=1),
    "made_other_place": _done(info={"dataCenterId": "EU-9"}),
    "made_dearer": _done(priceHr=9.0),
    "made_no_price": _done(priceHr=None),
    "made_error": _done(status="ERROR"),
    "made_terminated": _done(status="TERMINATED"),
    "lost_other_name": _lost(httpx.ReadTimeout, done=True, name="something-else"),
    "lost_dearer": _lost(httpx.ReadTimeout, done=True, priceHr=9.0),
    "twice": _twice,
}
