"""What is on offer: the availability listings, their filters and pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from planner.market.gpus import LISTINGS, gpu_facts
from planner.market.offers import offer_facts, short_id
from planner.marketplace.sim.wire import Refused, SimResponse
from planner.marketplace.sim.world import number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from planner.marketplace.sim.wire import Dialect
    from planner.marketplace.sim.world import SimDisk, World


MAX_PAGE = 100

_EQUAL = {
    "data_center_id": "dataCenter",
    "cloud_id": "cloudId",
    "gpu_type": "gpuType",
    "socket": "socket",
    "security": "security",
}
_FILTERS = {
    "disks": {"regions", "data_center_id", "cloud_id"},
    "gpus": {"regions", "gpu_count", "disks", *_EQUAL},
    "multi-node": {"regions", "gpu_count", "disks", *_EQUAL},
}
_SPEC = (
    "minCount",
    "defaultCount",
    "maxCount",
    "pricePerUnit",
    "step",
    "defaultIncludedInPrice",
    "additionalInfo",
)
_MACHINE = {"vcpu": 8, "memory": 64, "disk": 100}
"""Parts of a GPU row that the vendor's client needs and the documented rows leave out: made up."""


def availability(
    world: World,
    listing: str,
    query: Mapping[str, Sequence[str]],
    *,
    dialect: Dialect,
    kinds: frozenset[str],
) -> SimResponse:
    """Return a page of a listing: a bare list (guide) or items with their count (OpenAPI)."""
    place = whole(query, "page", 1, least=1)
    size = whole(query, "page_size", MAX_PAGE, least=1, most=MAX_PAGE)
    rows = _filtered(world, listing, query)
    page, count = window(rows, (place - 1) * size, size, kinds)
    if listing != "disks":
        page = [_completed(row) for row in page]
    if dialect == "guide":
        return SimResponse(200, page)
    return SimResponse(200, {"items": page, "totalCount": count})


def _completed(row: Any) -> Any:  # noqa: ANN401 -- a listing may hold anything
    """Return a GPU row with every part that the vendor's client needs."""
    if not isinstance(row, dict):
        return row
    parts = {name: {**dict.fromkeys(_SPEC), "defaultCount": n} for name, n in _MACHINE.items()}
    return {**parts, **row}


def _filtered(world: World, listing: str, query: Mapping[str, Sequence[str]]) -> list[Any]:
    """Return the rows that pass every filter the listing has."""
    asked = {name: values for name, values in query.items() if name in _FILTERS[listing]}
    rows = world.listings[listing]
    if asked.get("regions"):
        rows = [row for row in rows if _part(row, "region") in asked["regions"]]
    for name, key in _EQUAL.items():
        if asked.get(name):
            rows = [row for row in rows if _part(row, key) == asked[name][-1]]
    if "gpu_count" in asked:
        count = whole(asked, "gpu_count", 1, least=1)
        rows = [row for row in rows if _part(row, "gpuCount") == count]
    for disk_id in asked.get("disks", ()):
        disk = world.disks.get(disk_id)
        if disk is None or disk.ended(world.clock.now_us()):
            raise Refused(404, "Disk not found", "query", "disks")
        rows = [row for row in rows if is_beside(row, disk)]
    return rows


def is_beside(row: Any, disk: SimDisk) -> bool:  # noqa: ANN401 -- a listing may hold anything
    """Return whether GPUs are where a disk is."""
    country = _part(row, "country")
    return (
        _part(row, "provider") == disk.provider
        and _part(row, "dataCenter") == disk.data_center
        and (None in {country, disk.country} or country == disk.country)
    )


def _part(row: Any, key: str) -> Any:  # noqa: ANN401 -- a listing may hold anything
    return row.get(key) if isinstance(row, dict) else None


def window(
    rows: Sequence[Any], start: int, size: int, kinds: frozenset[str]
) -> tuple[list[Any], int]:
    """Return a page of rows and the total that is claimed, faults of listings applied."""
    if "list-empty" in kinds:
        return [], 0
    shown = list(rows[1:] if "list-omit" in kinds else rows)
    count = len(shown)
    start += "list-shift" in kinds
    page = shown[start : start + size]
    if "list-dup" in kinds and page:
        page, count = [page[0], *page], count + 1
    return page, max(0, count - ("list-short-total" in kinds))


def whole(
    query: Mapping[str, Sequence[str]],
    name: str,
    default: int,
    *,
    least: int,
    most: int = 10**12,
) -> int:
    """Return a whole number of the query.

    Raises
    ------
    Refused
        When it is not a whole number, or out of its bounds.
    """
    if not query.get(name):
        return default
    text = query[name][-1]
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most))):
        raise Refused(422, "Input should be a valid integer", "query", name)
    if not least <= int(text) <= most:
        raise Refused(422, f"Input should be from {least} to {most}", "query", name)
    return int(text)


@dataclass(frozen=True)
class Terms:
    """What an offer sells or rents: its row, as listed, and as planner reads it."""

    row: Mapping[str, Any]
    facts: Mapping[str, Any]

    @property
    def price(self) -> Decimal | None:
        """Return USD per hour: of a GB, or of the GPUs."""
        price: Decimal | None = self.facts.get("usd_gb_hr", self.facts.get("usd_hr"))
        return price

    @property
    def in_stock(self) -> bool:
        """Return whether there is any."""
        return bool(self.facts["stock"] != "Unavailable")

    @property
    def sizes(self) -> str:
        """Return the sizes of disks as text."""
        facts = self.facts
        most = "" if facts["max_gb"] is None else f" to {facts['max_gb']}"
        return f"{facts['min_gb']}{most} GB in steps of {facts['step_gb']}"


def offers_for(world: World, body: Mapping[str, Any], provider: str) -> list[Terms]:
    """Return the offers that a create request names, the dearest first.

    ``cloudId`` and ``dataCenterId`` must be sent where the offer has them; the country narrows.
    """
    offers = [
        Terms(row, offer_facts(place, row))
        for place, row in enumerate(world.listings["disks"], 1)
        if isinstance(row, dict)
        and row.get("provider") == provider
        and all((row.get(name) or None) == body[name] for name in ("cloudId", "dataCenter"))
        and body["country"] in {None, row.get("country")}
    ]
    return sorted(offers, key=lambda terms: terms.price or 0, reverse=True)


def gpu_offers_for(world: World, wanted: Mapping[str, Any]) -> list[Terms]:
    """Return the GPU offers that have the values wanted (keys of a row), the dearest first."""
    offers = [
        Terms(row, gpu_facts(place, row, listing))
        for listing in LISTINGS
        for place, row in enumerate(world.listings[listing], 1)
        if isinstance(row, dict) and all(row.get(key) == value for key, value in wanted.items())
    ]
    return sorted(offers, key=lambda terms: terms.price or 0, reverse=True)


def gpu_summary(world: World) -> SimResponse:
    """Return the cheapest price of each GPU model and count that is in stock."""
    cheapest: dict[str, dict[str, Terms]] = {}
    for terms in gpu_offers_for(world, {}):
        model, count = terms.row.get("gpuType"), terms.row.get("gpuCount")
        if model and count and terms.price is not None and terms.in_stock:
            cheapest.setdefault(str(model), {})[str(count)] = terms  # the cheapest comes last
    document = {
        model: {count: {"cheapest": _shown_price(terms)} for count, terms in sorted(counts.items())}
        for model, counts in sorted(cheapest.items())
    }
    return SimResponse(200, document)


def _shown_price(terms: Terms) -> dict[str, Any]:
    prices = terms.row.get("prices") or {}
    shown = {name: prices.get(name) for name in ("onDemand", "communityPrice")}
    return {**shown, "spotPrice": terms.price if terms.row.get("isSpot") else None}


def change_offers(
    world: World,
    listing: str,
    match: Mapping[str, Any],
    *,
    price: Decimal | None = None,
    stock: str | None = None,
    vanish: bool = False,
) -> int:
    """Change every offer that agrees with ``match``; return how many there were.

    Parameters
    ----------
    match : mapping
        Keys of a row, or ``offer_id``, and what they have to be.
    price : Decimal | None
        USD per GB and hour of a disk, per hour of a GPU offer.
    """
    rows, count = [], 0
    for row in world.listings[listing]:
        if not (isinstance(row, dict) and _agrees(row, match)):
            rows.append(row)
            continue
        count += 1
        if vanish:
            continue
        changed = {**row} if stock is None else {**row, "stockStatus": stock}
        if price is not None:
            part, key = ("spec", "pricePerUnit") if listing == "disks" else ("prices", "onDemand")
            prices = row.get(part) or {}
            key = "communityPrice" if prices.get("communityPrice") is not None else key
            changed[part] = {**prices, key: number(price)}
        rows.append(changed)
    world.listings[listing] = rows
    return count


def _agrees(row: Mapping[str, Any], match: Mapping[str, Any]) -> bool:
    return all(
        (short_id(row) if key == "offer_id" else row.get(key)) == value
        for key, value in match.items()
    )
