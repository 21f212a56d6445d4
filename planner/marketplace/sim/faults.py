"""Faults on request: what can go wrong, and which requests it goes wrong with.

A fault is written ``METHOD PATH[#N]:KIND[=VALUE][+KIND[=VALUE]…]``::

    POST /disks/#2:drop-after              the second create is done, and its answer lost
    POST /disks/#1:late=60+drop-after      the same, and listings show the disk a minute later
    GET /disks/#3-5:status=503             the third to fifth listing fail
    * /disks/*#*:429=2                     every request about a single disk: wait 2 s

``METHOD`` may be ``*``. The path is written without ``/api/v1``; ``*`` in it stands for anything.
``#N`` counts the requests that match, ``#N-M`` is a range, ``#N-`` has no end; ``#*``, like
no number at all, is every request. Each fault counts for itself; all that match a request apply.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Context, Decimal
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote_to_bytes

from planner.errors import InputError
from planner.marketplace.sim.wire import SimResponse, refusal, to_json
from planner.text import suggestion, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from planner.marketplace.sim.wire import Dialect, Manner

Stage = Literal["instead", "effect", "listing", "answer", "sending"]

PREFIX = "/api/v1"
MAX_SECONDS = 10**7
ELSEWHERE = "ELSEWHERE-1"
_WIDE = Context(prec=200)

_SPEC = re.compile(
    r"(?P<method>[A-Z]+|\*)\s+(?P<path>/[^#:\s]*)"
    r"(?:#(?P<first>\d{1,9}|\*)(?P<range>-(?P<last>\d{1,9})?)?)?"
    r":(?P<kinds>\S.*)"
)
_HINT = "write METHOD PATH[#N]:KIND[=VALUE], such as 'POST /disks/#2:drop-after'"


@dataclass(frozen=True)
class Kind:
    """One kind of fault.

    Attributes
    ----------
    stage : str
        ``instead``: nothing is done; ``effect``: something else is done; ``listing``, ``answer``:
        it is done, and the answer is wrong; ``sending``: it is done, and the sending goes wrong.
    value : str | None
        The unit of its value; None: it has no value.
    default : str | None
        The value where none is given; None: a value that it has must be given.
    """

    name: str
    stage: Stage
    summary: str
    value: Literal["seconds", "status", "factor", "url", "text"] | None = None
    default: str | None = None


_KINDS = (
    Kind("drop-before", "instead", "the connection closes before anything is done"),
    Kind("hang-before", "instead", "waits SECONDS of real time, then goes on", "seconds"),
    Kind("status", "instead", "answers with a STATUS; nothing is done", "status"),
    Kind("401", "instead", "the key is refused"),
    Kind("402", "instead", "the balance is refused"),
    Kind("403", "instead", "the key's scope is refused"),
    Kind("404", "instead", "nothing is found"),
    Kind("409", "instead", "a conflict"),
    Kind("422", "instead", "the request is refused as invalid"),
    Kind("429", "instead", "too many requests; Retry-After with a value", "seconds", ""),
    Kind("out-of-stock", "instead", "the offer is reported out of stock", "status", "409"),
    Kind("hostile-error", "instead", "a refusal whose text has escape sequences", "status", "422"),
    Kind("redirect", "instead", "a 307 to URL; nothing is done", "url"),
    Kind("double", "effect", "makes two disks; the second is listed later", "seconds", "0"),
    Kind("late", "effect", "listings show the disk SECONDS of the clock later", "seconds"),
    Kind("error-status", "effect", "the disk that is created becomes ERROR"),
    Kind("stuck", "effect", "the disk that is created stays PROVISIONING"),
    Kind("made-name", "effect", "the disk is created under another name"),
    Kind("made-size", "effect", "the disk is created larger by 1 GB"),
    Kind("made-place", "effect", "the disk is created in another data centre"),
    Kind("made-price", "effect", "the disk is created at FACTOR times its price", "factor"),
    Kind("slow-delete", "effect", "a deleted disk is DELETING for SECONDS", "seconds"),
    Kind("list-omit", "listing", "leaves out the newest disk, or the first offer"),
    Kind("list-dup", "listing", "shows the first row of the page twice, and counts it"),
    Kind("list-shift", "listing", "starts a row late, as if one had gone meanwhile"),
    Kind("list-short-total", "listing", "counts one row less than it shows"),
    Kind("list-empty", "listing", "is empty, with a total of 0"),
    Kind("wrong-id", "answer", "done, and answered with another id"),
    Kind("wrong-name", "answer", "done, and answered with another name"),
    Kind("wrong-size", "answer", "done, and answered with another size"),
    Kind("wrong-provider", "answer", "done, and answered with another provider"),
    Kind("wrong-place", "answer", "done, and answered with another data centre"),
    Kind("wrong-price", "answer", "done, and answered with FACTOR times the price", "factor"),
    Kind("no-id", "answer", "done, and answered without an id"),
    Kind("no-name", "answer", "done, and answered without a name"),
    Kind("hostile-name", "answer", "done, and answered with a name of escape sequences"),
    Kind("hostile-id", "answer", "done, and answered with an id that is a path"),
    Kind("nan", "answer", "done, and answered with NaN as the price"),
    Kind("dupkeys", "answer", "done, and answered with keys twice in one object"),
    Kind("deep", "answer", "done, and answered in JSON nested beyond reason"),
    Kind("huge", "answer", "done, and answered with more than 16 MiB"),
    Kind("no-price", "answer", "done, and answered without a price"),
    Kind("retry-after", "answer", "asks to wait SECONDS, whatever the answer is", "seconds"),
    Kind("body", "answer", "done, and answered with TEXT, percent-encoded", "text"),
    Kind("garbage", "answer", "done, and answered with HTML, which is not JSON"),
    Kind("empty-body", "answer", "done, and answered with an empty body"),
    Kind("status-after", "answer", "done, and answered with a STATUS", "status"),
    Kind("hang-after", "sending", "done, and answered after SECONDS of real time", "seconds"),
    Kind("drop-after", "sending", "done; the connection closes without an answer"),
    Kind("truncate", "sending", "done; the connection closes in the middle of the answer"),
    Kind("drip", "sending", "done, and answered a byte at a time, without end"),
)
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _KINDS}
"""Every kind of fault, by name."""


@dataclass(frozen=True)
class Act:
    """One kind with its value, applied to one request."""

    kind: Kind
    value: str

    @property
    def number(self) -> float:
        """Return the value as a number."""
        return float(self.value)

    def __str__(self) -> str:
        return f"{self.kind.name}={self.value}" if self.value else self.kind.name


@dataclass(frozen=True)
class Fault:
    """A scripted fault: which requests, and what goes wrong with them."""

    text: str
    method: str
    path: str
    first: int
    last: float
    acts: tuple[Act, ...]

    def meets(self, method: str, path: str) -> bool:
        """Return whether it counts a request."""
        return self.method in {"*", method} and fnmatchcase(path, self.path)


def parse_fault(text: str) -> Fault:
    """Return the fault that a text describes.

    >>> parse_fault("POST /disks/#2:drop-after").acts[0].kind.summary
    'done; the connection closes without an answer'

    Raises
    ------
    InputError
        When it is no fault, or a kind is unknown or has the wrong value.
    """
    match = _SPEC.fullmatch(text.strip())
    if match is None:
        raise InputError(f"{visible(text)[:100]!r} is not a fault", hint=_HINT)
    every = match["first"] in {None, "*"}
    if every and match["range"]:
        raise InputError(f"{visible(text)[:100]!r}: a range begins with a number", hint=_HINT)
    first = 1 if every else int(match["first"])
    endless = every or (match["range"] and match["last"] is None)
    last = math.inf if endless else int(match["last"] or first)
    if not 1 <= first <= last:
        raise InputError(f"{visible(text)[:100]!r}: requests are numbered from 1", hint=_HINT)
    path = match["path"].removeprefix(PREFIX)
    acts = tuple(_act(word) for word in match["kinds"].split("+"))
    return Fault(text.strip(), match["method"], PREFIX + path, first, last, acts)


def _act(word: str) -> Act:
    name, given, value = word.strip().partition("=")
    kind = KINDS.get(name)
    if kind is None:
        hint = suggestion(name, KINDS, f"kinds are {', '.join(KINDS)}")
        raise InputError(f"there is no fault of kind {visible(name)[:60]!r}", hint=hint)
    if not given and kind.default is not None:
        return Act(kind, kind.default)
    if bool(given) != (kind.value is not None):
        wants = f"{name}={kind.value.upper()}" if kind.value else f"{name}, without a value"
        problem = "needs a value" if kind.value else "takes no value"
        raise InputError(f"{visible(word)[:60]!r} {problem}", hint=f"use {wants}")
    if kind.value is not None and not _fits(kind.value, value):
        message = f"{visible(word)[:60]!r}: the value is not a valid {kind.value}"
        raise InputError(message, hint=kind.summary)
    return Act(kind, value)


def _fits(what: str, value: str) -> bool:
    """Return whether a value is what it has to be."""
    if what in {"url", "text"}:
        return value.isascii() and value.isprintable() and bool(value)
    if what == "status":
        return re.fullmatch(r"[2-5]\d\d", value, re.ASCII) is not None
    number = re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value, re.ASCII)
    return number is not None and float(value) <= MAX_SECONDS


def take(
    faults: Iterable[Fault], counts: dict[str, int], method: str, path: str
) -> tuple[Act, ...]:
    """Count a request, and return what is to go wrong with it."""
    acts: list[Act] = []
    for fault in faults:
        if fault.meets(method, path):
            counts[fault.text] = counts.get(fault.text, 0) + 1
            if fault.first <= counts[fault.text] <= fault.last:
                acts += fault.acts
    return tuple(acts)


def describe() -> str:
    """Return every kind with its sentence, one a line."""
    lines = []
    for kind in _KINDS:
        value = f"={kind.value.upper()}" if kind.value else ""
        shown = f"[{value}]" if kind.default is not None else value
        lines.append(f"{kind.name + shown:<23} {kind.summary}")
    return "\n".join(lines)


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


def scaled(amount: Decimal, factor: str) -> Decimal:
    """Return an amount times a factor, exactly."""
    return _WIDE.multiply(amount, Decimal(factor))


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
