"""Who the key belongs to: the user, what the key may do, and the team."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from planner.marketplace.sim.account import USER
from planner.marketplace.sim.catalogue import whole
from planner.marketplace.sim.wire import Refused, SimResponse

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence


TEAM = "sim-team"
_SINCE = "2026-01-01T00:00:00.000000"
_READ_ONLY = frozenset({"availability", "billing"})
_NAME, _EMAIL = "Simulated User", "user@example.com"


def whoami(scopes: Collection[str]) -> SimResponse:
    """Return the user, and what the key may read and write."""
    allowed = {scope: {"read": True, "write": scope not in _READ_ONLY} for scope in sorted(scopes)}
    user = {"id": USER, "role": "USER", "createdAt": _SINCE, "name": _NAME, "email": _EMAIL}
    return SimResponse(200, {"data": {**user, "slug": None, "scope": allowed}, "status": None})


def teams(query: Mapping[str, Sequence[str]]) -> SimResponse:
    """Return a page of the user's teams: there is one."""
    team = {"teamId": TEAM, "name": "Simulated team", "slug": TEAM}
    return pages(query, [{**team, "role": "ADMIN", "createdAt": _SINCE}])


def members(team_id: str, query: Mapping[str, Sequence[str]]) -> SimResponse:
    """Return a page of a team's members."""
    if team_id != TEAM:
        raise Refused(404, "Team not found")
    user = {"userId": USER, "userName": _NAME, "userEmail": _EMAIL}
    return pages(query, [{**user, "role": "ADMIN", "joinedAt": _SINCE}])


def pages(query: Mapping[str, Sequence[str]], rows: Sequence[dict[str, Any]]) -> SimResponse:
    """Return the part of rows that a query asks for by ``offset`` and ``limit``."""
    offset = whole(query, "offset", 0, least=0)
    limit = whole(query, "limit", 100, least=1)
    document = {"total_count": len(rows), "offset": offset, "limit": limit}
    return SimResponse(200, {**document, "data": list(rows[offset : offset + limit])})
