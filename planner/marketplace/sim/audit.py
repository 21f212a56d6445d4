"""The record of every request: made for checkers that count from the server's own log.

One entry a request: ``n``, ``at``, ``method``, ``path``, ``query``, ``body``; ``key`` (right,
wrong or missing, never the key itself) and ``key_elsewhere`` (whether it stood anywhere but in its
header); ``fault``, ``status`` (null: the connection closed without one), and the ids of the disks
that were ``created``, ``renamed`` and ``deleted``.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from planner.marketplace.sim.world import stamp

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from planner.marketplace.sim.faults import Act
    from planner.marketplace.sim.wire import Request, SimResponse


MASK = "[key]"
_MAX_SHOWN = 10_000
_LONG = 16
"""From so many characters on, a key is masked wherever it stands; a shorter one as a word."""


def arrival(request: Request, n: int, now_us: int, keys: Collection[str]) -> dict[str, Any]:
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
    return {**entry, "key_elsewhere": masked.found}


def outcome(answer: SimResponse, acts: Sequence[Act]) -> dict[str, Any]:
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
        self.found = False
        patterns = [
            re.escape(secret)
            if len(secret) >= _LONG
            else rf"(?<![\w-]){re.escape(secret)}(?![\w-])"
            for secret in secrets
        ]
        self._pattern = re.compile("|".join(patterns) or r"(?!)")

    def __call__(self, text: str) -> str:
        masked, count = self._pattern.subn(MASK, text)
        self.found = self.found or count > 0
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
