"""The JSON of Prime Intellect's API: request bodies written, answers read strictly.

Source: the vendor's guide and its API description of ``/availability``, ``/disks`` and
``/billing/wallet``. Of a disk only name, provider and user are required there: a field that is
absent is unknown, and one that makes no sense equals nothing that was sent.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.formats import JsonError, identity, parse
from planner.market.disks import Disk, amount_field, read_disk, text_field, utc_text
from planner.marketplace.paging import Page
from planner.marketplace.protocol import Bill, WalletStatement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from planner.marketplace.protocol import DiskRequest, PodRequest


MAX_DEPTH = 32
_USD = ("USD", "usd")


def create_body(request: DiskRequest, team_id: str | None) -> dict[str, Any]:
    """Return the body of ``POST /disks/``; a key without a value is left out."""
    place = {
        "country": request.country,
        "cloudId": request.cloud_id,
        "dataCenterId": request.data_center,
    }
    body: dict[str, Any] = {
        "disk": {
            "size": request.size_gb,
            "name": request.name,
            **{key: value for key, value in place.items() if value is not None},
        },
        "provider": {"type": request.provider},
    }
    if team_id is not None:
        body["team"] = {"teamId": team_id}
    return body


def pod_body(request: PodRequest, team_id: str | None) -> dict[str, Any]:
    """Return the body of ``POST /pods/``; a key without a value is left out."""
    asked = {
        "name": request.name,
        "cloudId": request.cloud_id,
        "gpuType": request.gpu_type,
        "socket": request.socket,
        "gpuCount": request.gpus,
        "maxPrice": request.max_usd_hr,
        "dataCenterId": request.data_center,
        "country": request.country,
        "security": request.security,
    }
    body: dict[str, Any] = {
        "pod": {key: value for key, value in asked.items() if value is not None},
        "provider": {"type": request.provider},
        "disks": list(request.disk_ids),
    }
    if team_id is not None:
        body["team"] = {"teamId": team_id}
    return body


def read_offers(body: bytes) -> Page[Any]:
    """Return a page of offers, in either documented shape; rows may hold anything.

    Raises
    ------
    JsonError
        When it is neither a list nor ``{items, totalCount}`` with a list and a whole number.
    """
    document = parse(body)
    if isinstance(document, list):
        return Page(document, [identity(row) for row in document], None)
    if not isinstance(document, dict) or not isinstance(document.get("items"), list):
        raise JsonError("neither a list nor an object with a list of items")
    rows, total = document["items"], document.get("totalCount")
    if not _is_count(total):
        raise JsonError("a list of items whose totalCount is not a whole number")
    return Page(rows, [identity(row) for row in rows], total)


def read_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object of an answer.

    Raises
    ------
    JsonError
        When it is anything else: not JSON, a key twice, NaN or infinite, nested too deeply.
    """
    document = parse(body)
    if not isinstance(document, dict):
        raise JsonError("not a JSON object")
    for value, depth in _values(document):
        if depth > MAX_DEPTH:
            raise JsonError("nested too deeply")
        if isinstance(value, Decimal) and not value.is_finite():
            raise JsonError("JSON with a number that is not finite")
    return document


def _values(document: Any) -> Iterator[tuple[Any, int]]:  # noqa: ANN401 -- any JSON value
    """Yield every value and its depth, without recursion, no deeper than the caller asks."""
    waiting = [(document, 1)]
    while waiting:
        value, depth = waiting.pop()
        yield value, depth
        if isinstance(value, dict):
            waiting += [(part, depth + 1) for part in value.values()]
        elif isinstance(value, list):
            waiting += [(part, depth + 1) for part in value]


def read_disks(body: bytes) -> Page[Disk]:
    """Return a page of the account's disks, whichever name its total has.

    Raises
    ------
    JsonError
        When there is no list of objects, or the totals make no sense.
    """
    document = read_object(body)
    rows = document.get("data")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise JsonError("an object without a list of disks")
    named = [document.get(name) for name in ("totalCount", "total_count")]
    totals = [total for total in named if total is not None]
    if not all(map(_is_count, totals)):
        raise JsonError("a page whose total is not a whole number")
    if len(set(totals)) > 1:
        raise JsonError("a page with two totals that differ")
    disks = [read_disk(row) for row in rows]
    return Page(disks, [disk.key for disk in disks], totals[0] if totals else None)


def read_wallet(body: bytes) -> WalletStatement:
    """Return the balance, and the billing rows of this page.

    Raises
    ------
    JsonError
        When there is no balance in USD.
    """
    document = read_object(body)
    balance = document.get("balance_usd")
    if not isinstance(balance, int | Decimal) or isinstance(balance, bool):
        raise JsonError("a wallet without a balance")
    if document.get("currency", "USD") not in _USD:
        raise JsonError("a wallet that is not in USD")
    if balance and amount_field(abs(balance)) is None:
        raise JsonError("a wallet with an implausible balance")
    rows, total = document.get("recent_billings"), document.get("total_billings")
    return WalletStatement(
        Decimal(balance),
        tuple(_bill(row) for row in rows) if isinstance(rows, list) else (),
        total if _is_count(total) else None,
    )


def _bill(listed: Any) -> Bill:  # noqa: ANN401 -- a listing may hold anything
    row = listed if isinstance(listed, dict) else {}
    raw_id, amount, is_credit = row.get("id"), row.get("amount_usd"), False
    if isinstance(amount, int | Decimal) and amount < 0:
        amount, is_credit = -amount, True
    usd = amount_field(amount) if row.get("currency", "USD") in _USD else None
    return Bill(
        key=identity(raw_id if isinstance(raw_id, str) else listed),
        amount_usd=-usd if usd is not None and is_credit else usd,
        resource_type=text_field(row.get("resource_type")) or "unknown",
        resource_id=text_field(row.get("resource_id")),
        created_at=utc_text(text_field(row.get("created_at"))),
        billed_until=utc_text(text_field(row.get("last_billed_at"))),
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
