"""What an answer to a create means: the protocol's table as a pure function.

| seen | verdict |
|---|---|
| 2xx, a whole object, id well-formed, name, size, provider and place as sent | ``as_sent`` |
| 2xx, a whole object that says anything else | ``odd`` |
| nothing left this machine | ``not_sent`` |
| 429 | ``limited`` |
| 401, 402, 403, a redirect | ``paused`` |
| 409 | ``taken`` |
| 400, 404, 405, 413, 415, 422 | ``refused`` |
| everything else | ``unknown`` |
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from planner.api.disks import read_disk
from planner.errors import (
    MarketError,
    PaymentRequired,
    RateLimited,
    RequestNotSent,
    RequestRefused,
    Unauthorized,
)

if TYPE_CHECKING:
    from typing import Any

    from planner.api import Disk, Reply
    from planner.apply.slots import Facts

Kind = Literal["as_sent", "odd", "not_sent", "limited", "paused", "taken", "refused", "unknown"]

_CONFLICT = 409
_FINAL = frozenset({400, 404, 405, 413, 415, 422})
_STOCK = re.compile(r"stock|sold.?out|capacity|(?:no longer|not|un) ?available", re.IGNORECASE)


@dataclass(frozen=True)
class Verdict:
    """What an answer means.

    Attributes
    ----------
    kind : str
        See the table.
    why : str
        In words, safe to show.
    id : str | None
        The id a 2xx named, where it is one.
    wait_s : float | None
        How long the marketplace asked to wait.
    stock : bool
        Whether a refusal says that the offer is sold out.
    """

    kind: Kind
    why: str
    id: str | None = None
    wait_s: float | None = None
    stock: bool = False


def classify(outcome: Reply[dict[str, Any]] | MarketError, facts: Facts) -> Verdict:
    """Return what came of a create.

    Parameters
    ----------
    outcome : Reply or MarketError
        The object of a 2xx, or the failure.
    facts : Facts
        What was sent.
    """
    if isinstance(outcome, MarketError):
        return _failed(outcome)
    disk = read_disk(outcome.value)
    odd = echo_oddities(disk, facts)
    if odd:
        return Verdict("odd", "the answer does not say what was asked: " + "; ".join(odd), disk.id)
    return Verdict("as_sent", "", disk.id)


def echo_oddities(disk: Disk, facts: Facts) -> tuple[str, ...]:
    """Return what an answer lacks or says differently; empty where it may be believed."""
    odd = [] if disk.id else ["no usable id"]
    if disk.name != facts.name:
        odd.append("no name" if disk.name is None else f"name {disk.name!r}")
    odd += [
        f"no {field.replace('_', ' ')}"
        for field in ("size_gb", "provider")
        if getattr(disk, field) is None
    ]
    return (*odd, *facts.differences(disk))


def _failed(failure: MarketError) -> Verdict:
    kind: Kind = "unknown"
    status = failure.status if isinstance(failure, RequestRefused) else 0
    if isinstance(failure, RequestNotSent):
        kind = "not_sent"
    elif isinstance(failure, RateLimited):
        kind = "limited"
    elif isinstance(failure, Unauthorized | PaymentRequired) or 300 <= status <= 399:  # noqa: PLR2004 -- HTTP
        kind = "paused"
    elif status == _CONFLICT:
        kind = "taken"
    elif status in _FINAL:
        kind = "refused"
    stock = kind == "taken" or (kind == "refused" and _is_sold_out(failure, status))
    return Verdict(kind, str(failure), wait_s=failure.retry_after, stock=stock)


def _is_sold_out(failure: MarketError, status: int) -> bool:
    """Return whether the marketplace's own words speak of stock."""
    return bool(_STOCK.search(str(failure).partition(f"({status})")[2]))
