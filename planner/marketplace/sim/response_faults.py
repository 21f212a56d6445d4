"""Faults in answers: what was done stays done, and the answer is wrong about it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from planner.marketplace.sim.account import ELSEWHERE, scaled
from planner.marketplace.sim.wire import SimResponse, refusal, to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from planner.marketplace.sim.faults import Act
    from planner.marketplace.sim.wire import Dialect, Manner


HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202egnp.exe\r\n=cmd|' /C calc'!A0<script>alert(1)</script>[red]"
"""Clears a screen, sets a title, reverses a line, breaks it, calculates, scripts and colours."""
HUGE_BYTES = 17 * 2**20
_DEPTH = 100_000

_SENTENCES = {
    401: "Invalid API key",
    402: "Insufficient balance",
    403: "The API key does not have the permission",
    404: "Not found",
    409: "Conflict",
    422: "The request is invalid",
    429: "Too many requests",
}


def instead(acts: Sequence[Act], dialect: Dialect) -> SimResponse | None:
    """Return the answer that replaces the request's effect, None where no fault does."""
    for act in acts:
        name = act.kind.name
        if name == "drop-before":
            return SimResponse(0, manner="drop")
        if name == "redirect":
            return SimResponse(307, {"detail": "moved"}, {"Location": act.value})
        if act.kind.stage == "instead" and name != "hang-before":
            return _refused(act, dialect)
    return None


def _refused(act: Act, dialect: Dialect) -> SimResponse:
    """Return a refusal that the request did not earn."""
    name = act.kind.name
    status = int(name) if name.isdecimal() else int(act.value)
    special = {"out-of-stock": "The disk offer is out of stock", "hostile-error": HOSTILE}
    sentence = special.get(name) or _SENTENCES.get(status, f"Answered {status} on request")
    answer = refusal(status, [(("body",), sentence)], dialect)
    if name == "429" and act.value:
        answer.headers["Retry-After"] = act.value
    return answer


def apply_faults(answer: SimResponse, acts: Sequence[Act]) -> None:
    """Change an answer, and how it is sent."""
    for act in acts:
        name = act.kind.name
        if name in _ROWS:
            for row in _disks(answer.document):
                _ROWS[name](row, act.value)
        elif name in _BODIES:
            answer.body = _BODIES[name](answer, act.value)
        elif name in _MANNERS:
            answer.manner = _MANNERS[name]
        elif name == "retry-after":
            answer.headers["Retry-After"] = act.value
        elif name == "status-after":
            answer.status = int(act.value)
        elif name == "hang-after":
            answer.wait_s += act.number


def _disks(document: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 -- any answer
    """Yield the disks of an answer: itself, or those that it lists."""
    rows = document.get("data", [document]) if isinstance(document, dict) else []
    yield from (row for row in rows if isinstance(row, dict) and "id" in row)


def _put(key: str, change: Callable[[Any, str], Any]) -> Callable[[dict[str, Any], str], None]:
    """Return a change of one key, where a disk has it."""

    def act(row: dict[str, Any], value: str) -> None:
        if key in row:
            row[key] = change(row[key], value)

    return act


def _without(key: str) -> Callable[[dict[str, Any], str], None]:
    def act(row: dict[str, Any], _value: str) -> None:
        row.pop(key, None)

    return act


_ROWS: dict[str, Callable[[dict[str, Any], str], None]] = {
    "wrong-id": _put("id", lambda old, _: old[::-1]),
    "wrong-name": _put("name", lambda old, _: f"other-{old}"),
    "wrong-size": _put("size", lambda old, _: old + 1),
    "wrong-provider": _put("providerType", lambda _, __: "other"),
    "wrong-place": _put("info", lambda old, _: {**old, "dataCenterId": ELSEWHERE}),
    "wrong-price": _put("priceHr", scaled),
    "no-id": _without("id"),
    "no-name": _without("name"),
    "no-price": _without("priceHr"),
    "hostile-name": _put("name", lambda _, __: HOSTILE),
    "hostile-id": _put("id", lambda _, __: "../../../etc/passwd?x=\x1b[2J"),
    "nan": _put("priceHr", lambda _, __: Decimal("NaN")),
}


def _twice(answer: SimResponse, _value: str) -> bytes:
    """Return the answer with its first key, or one made up, written twice."""
    text = to_json(answer.document)
    keys = '"id":"0000000000000000","id":"1111111111111111",'
    return (text.replace("{", "{" + keys, 1) if "{" in text else "{" + keys[:-1] + "}").encode()


_BODIES: dict[str, Callable[[SimResponse, str], bytes]] = {
    "body": lambda _, value: unquote_to_bytes(value),
    "dupkeys": _twice,
    "deep": lambda _, __: b"[" * _DEPTH + b"]" * _DEPTH,
    "huge": lambda answer, _: answer.content + b" " * HUGE_BYTES,
    "garbage": lambda _, __: b"<html><body>502 Bad Gateway</body></html>",
    "empty-body": lambda _, __: b"",
}
_MANNERS: dict[str, Manner] = {"drop-after": "drop", "truncate": "cut", "drip": "drip"}
