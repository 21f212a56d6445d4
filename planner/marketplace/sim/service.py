"""What becomes of a request: who asks, what is to go wrong, what is done, what is recorded.

Every request has an entry in the audit, made for checkers that count from the server's own log:
``n``, ``at``, ``method``, ``path``, ``query``, ``body``; ``key`` (right, wrong or missing, never
the key itself) and ``key_elsewhere`` (whether it stood anywhere but in its header); ``fault``,
``status`` (null: the connection closed without one), and the ids of the disks and pods that were
``created``, ``renamed`` and ``deleted``.
"""

from __future__ import annotations

import json
import re
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from planner.marketplace.sim.account import Delays, SimAccount, members, teams, whoami
from planner.marketplace.sim.catalogue import availability, gpu_summary
from planner.marketplace.sim.faults import PREFIX, Fault, apply_faults, instead, take
from planner.marketplace.sim.pods import SimPods
from planner.marketplace.sim.wire import Dialect, Refused, Request, SimResponse
from planner.marketplace.sim.world import number, stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from planner.marketplace.sim.faults import Act
    from planner.marketplace.sim.world import Store, World


KEYS: Mapping[str, frozenset[str]] = {
    "sim-key": frozenset({"availability", "disks", "instances", "billing"}),
    "sim-read": frozenset({"availability"}),
    "sim-no-wallet": frozenset({"availability", "disks", "instances"}),
}
"""The keys that are known, and what each may do."""

MASK = "[key]"
_MAX_SHOWN = 10_000
_LONG = 16
"""From so many characters on, a key is masked wherever it stands; a shorter one as a word."""

_ROUTES = (
    (f"{PREFIX}/availability/(disks|gpus|multi-node)", "availability", "availability"),
    (f"{PREFIX}/availability/gpu-summary()", "summary", "availability"),
    (f"{PREFIX}/disks/()", "disks", "disks"),
    (f"{PREFIX}/disks/([^/]+)", "disk", "disks"),
    (f"{PREFIX}/pods/()", "pods", "instances"),
    (f"{PREFIX}/pods/history()", "history", "instances"),
    (f"{PREFIX}/pods/status()", "statuses", "instances"),
    (f"{PREFIX}/pods/([^/]+)", "pod", "instances"),
    (f"{PREFIX}/billing/wallet()", "wallet", "billing"),
    (f"{PREFIX}/user/whoami()", "whoami", None),
    (f"{PREFIX}/user/teams()", "teams", None),
    (f"{PREFIX}/teams/([^/]+)/members", "members", None),
)
"""Paths, the first that matches; what each is, and the permission that it needs, if any."""


class Service:
    """The marketplace as one function from request to answer; safe to share by threads.

    Parameters
    ----------
    store : Store
        Where every change and every request is recorded before it is answered.
    new_id : callable
        Makes the ids of disks and pods.
    attach_limits : mapping of str to int
        How many disks a pod of a provider can mount; a provider that is missing has no limit.
    """

    def __init__(
        self,
        world: World,
        store: Store,
        *,
        dialect: Dialect,
        delays: Delays,
        faults: Sequence[Fault],
        new_id: Callable[[], str],
        attach_limits: Mapping[str, int] | None = None,
    ) -> None:
        self.world, self.store, self.dialect, self.delays = world, store, dialect, delays
        self.faults = list(dict.fromkeys(faults))
        self.account = SimAccount(world, delays, dialect, new_id)
        self.rented = SimPods(world, delays, new_id, attach_limits or {})
        self.lock = threading.RLock()
        self.closing = threading.Event()
        self.arrived = store.count()
        store.save(world)

    def answer(self, request: Request) -> SimResponse:
        """Return the answer of one request, everything done and recorded."""
        with self.lock:
            self.arrived += 1
            entry = _arrival(request, self.arrived, self.world.clock.now_us(), KEYS)
            acts = take(self.faults, self.world.fault_counts, request.method, request.path)
        for act in acts:
            if act.kind.name == "hang-before":
                self.closing.wait(act.number)
        with self.lock:
            if self.closing.is_set():
                return SimResponse(0, manner="drop")
            answer = instead(acts, self.dialect) or self._done(request, acts)
            apply_faults(answer, acts)
            self.store.save(self.world, entry | _outcome(answer, acts), changed=answer.changed)
        return answer

    def _done(self, request: Request, acts: Sequence[Act]) -> SimResponse:
        """Do what is asked, if it may be."""
        try:
            return self._routed(request, acts)
        except Refused as refused:
            return refused.answer(self.dialect)

    def _routed(self, request: Request, acts: Sequence[Act]) -> SimResponse:
        known = _route(request.path)
        if known is None:
            other = request.path[:-1] if request.path.endswith("/") else f"{request.path}/"
            if _route(other) is None:
                raise Refused(404, "Not Found")
            query = f"?{urlencode(request.query, doseq=True)}" if request.query else ""
            return SimResponse(
                307, None, {"Location": f"{request.base_url}{other}{query}"}, body=b""
            )
        route, name, scope = known
        self._check_key(request.token, scope)
        return self._do(route, name, request, acts)

    def _check_key(self, token: str | None, scope: str | None) -> None:
        scopes = KEYS.get(token or "")
        if scopes is None:
            raise Refused(401, "Invalid API key" if token else "Not authenticated")
        if scope is not None and scope not in scopes:
            raise Refused(403, f"The API key does not have the permission: {scope}")

    def _do(self, route: str, name: str, request: Request, acts: Sequence[Act]) -> SimResponse:
        account, rented, query = self.account, self.rented, request.query
        kinds = frozenset(act.kind.name for act in acts if act.kind.stage == "listing")
        does: dict[tuple[str, str], Callable[[], SimResponse]] = {
            ("availability", "GET"): lambda: availability(
                self.world, name, query, dialect=self.dialect, kinds=kinds
            ),
            ("disks", "GET"): lambda: account.listed(query, kinds),
            ("disks", "POST"): lambda: account.create(request.body, acts),
            ("disk", "GET"): lambda: account.read(name),
            ("disk", "PATCH"): lambda: account.rename(name, request.body),
            ("disk", "DELETE"): lambda: account.delete(name, acts),
            ("summary", "GET"): lambda: gpu_summary(self.world),
            ("pods", "GET"): lambda: rented.listed(query, kinds),
            ("pods", "POST"): lambda: rented.create(request.body),
            ("pod", "GET"): lambda: rented.read(name),
            ("pod", "DELETE"): lambda: rented.terminate(name),
            ("history", "GET"): lambda: rented.history(query),
            ("statuses", "GET"): lambda: rented.statuses(query),
            ("wallet", "GET"): lambda: account.wallet(query),
            ("whoami", "GET"): lambda: whoami(KEYS[request.token or ""]),
            ("teams", "GET"): lambda: teams(query),
            ("members", "GET"): lambda: members(name, query),
        }
        act = does.get((route, request.method))
        if act is None:
            raise Refused(405, "Method Not Allowed")
        return act()

    def disks(self) -> list[dict[str, Any]]:
        """Return every disk ever, oldest first: as the API shows it, and what checkers count by.

        Beside the API's keys: ``origin`` (api or admin), ``cost_usd``, and ``requests``, the
        numbers of the requests that created, renamed and deleted it.
        """
        with self.lock:
            now_us = self.world.clock.now_us()
            numbers: dict[str, dict[str, list[int]]] = {}
            for entry in self.store.audit():
                for what in ("created", "renamed", "deleted"):
                    for disk_id in entry[what]:
                        numbers.setdefault(disk_id, {}).setdefault(what, []).append(entry["n"])
            return [
                {
                    **self.account.shown(disk),
                    "origin": disk.origin,
                    "cost_usd": number(disk.cost_usd(now_us)),
                    "requests": numbers.get(disk.id, {}),
                }
                for disk in self.world.disks.values()
            ]

    def pods(self) -> list[dict[str, Any]]:
        """Return every pod ever, oldest first: as the API shows it, with ``cost_usd``."""
        with self.lock:
            now_us = self.world.clock.now_us()
            return [
                {**self.rented.shown(pod), "cost_usd": number(pod.cost_usd(now_us))}
                for pod in self.world.pods.values()
            ]


def _route(path: str) -> tuple[str, str, str | None] | None:
    """Return what a path is, the id in it, and the permission it needs; None: no such path."""
    for pattern, route, scope in _ROUTES:
        match = re.fullmatch(pattern, path)
        if match:
            return route, match[1], scope
    return None


def _arrival(request: Request, n: int, now_us: int, keys: Collection[str]) -> dict[str, Any]:
    """Return what is recorded when a request arrives."""
    token = request.token
    masked = _Masked({*keys, token or ""} - {""})
    entry = {
        "n": n,
        "at": f"{stamp(now_us)}Z",
        "method": request.method,
        "path": masked(request.path),
        "query": {
            masked(name): [masked(value) for value in values]
            for name, values in request.query.items()
        },
        "body": _body(masked(request.body.decode("utf-8", "backslashreplace"))),
        "key": "missing" if token is None else "right" if token in keys else "wrong",
    }
    masked(request.other_headers)
    return {**entry, "key_elsewhere": masked.any}


def _outcome(answer: SimResponse, acts: Sequence[Act]) -> dict[str, Any]:
    """Return what is recorded when a request has been done."""
    return {
        "fault": [str(act) for act in acts],
        "status": None if answer.manner == "drop" else answer.status,
        "created": answer.created,
        "renamed": answer.renamed,
        "deleted": answer.deleted,
    }


class _Masked:
    """Replace keys in texts, and remember whether there were any."""

    def __init__(self, secrets: Collection[str]) -> None:
        self.any = False
        patterns = [
            re.escape(secret)
            if len(secret) >= _LONG
            else rf"(?<![\w-]){re.escape(secret)}(?![\w-])"
            for secret in secrets
        ]
        self._pattern = re.compile("|".join(patterns) or r"(?!)")

    def __call__(self, text: str) -> str:
        masked, count = self._pattern.subn(MASK, text)
        self.any = self.any or count > 0
        return masked


def _body(text: str) -> Any:  # noqa: ANN401 -- a JSON value
    """Return a body as JSON where it is any, as text where it is not, cut where it is long."""
    if len(text) > _MAX_SHOWN:
        return text[:_MAX_SHOWN]
    try:
        value = json.loads(text or "null")
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return text
    return value
