"""Disks and wallet as the marketplace shows them: parsed strictly, believed field by field.

Source: the vendor's guide and its API description of ``/disks`` and ``/billing/wallet``. Only
name, provider and user are required there, so a field that is absent is unknown, never wrong; one
that is there and makes no sense is never equal to anything that was sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner import formats as exact_json
from planner.formats import identity
from planner.market.disks import Disk, amount_field, read_disk, text_field

if TYPE_CHECKING:
    from collections.abc import Iterator


MAX_DEPTH = 32
_USD = ("USD", "usd")


@dataclass(frozen=True)
class DiskPage:
    """One page of the account's disks; ``total`` is None where the answer has none."""

    disks: tuple[Disk, ...]
    total: int | None


@dataclass(frozen=True)
class Bill:
    """One row of the wallet's billing: what something has cost so far.

    Attributes
    ----------
    key : str
        What tells rows apart: the id, or the whole row where it has no usable id.
    amount_usd : Decimal | None
        None where it is not believable, or not in USD.
    resource_type : str
        Such as ``disks`` or ``compute``; ``unknown`` where nobody says.
    resource_id : str | None
        Which disk, pod or run; None where nobody says.
    """

    key: str
    amount_usd: Decimal | None
    resource_type: str
    resource_id: str | None


@dataclass(frozen=True)
class WalletStatement:
    """What is left to spend, in USD, and a page of what was billed, the latest first.

    Attributes
    ----------
    balance_usd : Decimal
        Negative where more was spent than paid in.
    bills : tuple of Bill
        Of this page.
    total_bills : int | None
        Of all pages; None where the answer does not say.
    """

    balance_usd: Decimal
    bills: tuple[Bill, ...] = ()
    total_bills: int | None = None


def understood(body: bytes) -> dict[str, Any]:
    """Return the JSON object of an answer.

    Raises
    ------
    JsonError
        When it is anything else: not JSON, a key twice, NaN or infinite, nested too deeply.
    """
    document = exact_json.parse(body)
    if not isinstance(document, dict):
        raise exact_json.JsonError("not a JSON object")
    for value, depth in _values(document):
        if depth > MAX_DEPTH:
            raise exact_json.JsonError("nested too deeply")
        if isinstance(value, Decimal) and not value.is_finite():
            raise exact_json.JsonError("JSON with a number that is none")
    return document


def _values(document: Any) -> Iterator[tuple[Any, int]]:  # noqa: ANN401 -- whatever JSON says
    """Yield every value and its depth, without recursion, no deeper than is asked."""
    waiting = [(document, 1)]
    while waiting:
        value, depth = waiting.pop()
        yield value, depth
        if isinstance(value, dict):
            waiting += [(part, depth + 1) for part in value.values()]
        elif isinstance(value, list):
            waiting += [(part, depth + 1) for part in value]


def read_disk_page(document: dict[str, Any]) -> DiskPage:
    """Return a page of disks, whichever name its total has.

    Raises
    ------
    JsonError
        When there is no list of objects, or the totals make no sense.
    """
    rows = document.get("data")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise exact_json.JsonError("an object without a list of disks")
    stated = {document[name] for name in ("totalCount", "total_count") if _is_there(document, name)}
    if len(stated) > 1:
        raise exact_json.JsonError("a page with two totals that differ")
    total = stated.pop() if stated else None
    if total is not None and (not isinstance(total, int) or isinstance(total, bool) or total < 0):
        raise exact_json.JsonError("a page whose total is not a whole number")
    return DiskPage(tuple(read_disk(row) for row in rows), total)


def read_wallet(document: dict[str, Any]) -> WalletStatement:
    """Return the wallet.

    Raises
    ------
    JsonError
        When there is no balance in USD.
    """
    balance = document.get("balance_usd")
    if not isinstance(balance, int | Decimal) or isinstance(balance, bool):
        raise exact_json.JsonError("a wallet without a balance")
    if document.get("currency", "USD") not in _USD:
        raise exact_json.JsonError("a wallet that is not in USD")
    if balance and amount_field(abs(balance)) is None:
        raise exact_json.JsonError("a wallet with a balance that nobody has")
    rows, stated = document.get("recent_billings"), document.get("total_billings")
    is_count = isinstance(stated, int) and not isinstance(stated, bool) and stated >= 0
    return WalletStatement(
        Decimal(balance),
        tuple(_bill(row) for row in rows) if isinstance(rows, list) else (),
        stated if is_count else None,
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
    )


def _is_there(document: dict[str, Any], name: str) -> bool:
    value = document.get(name)
    if isinstance(value, dict | list):
        raise exact_json.JsonError("a page whose total is not a whole number")
    return value is not None
