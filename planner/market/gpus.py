"""GPU offers as a frame, and where they meet disks.

Source of the row's meaning: the vendor's API description of ``/availability/gpus`` and
``/availability/multi-node``, and its client's price rule.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from planner.market.market import key_order
from planner.market.offers import KEY, conform_offers, stock_note
from planner.market.wire import REGIONS, SECURITY, SOCKETS, RowReader, id_part, is_price, stock_word
from planner.schema import (
    AMOUNT,
    TEXT,
    WHOLE,
    YES_NO,
    Column,
    as_pandas,
    build,
    conform,
    conformed,
    handed_out,
    json_value,
    records,
    require,
    with_columns,
)
from planner.text import nearest, visible
from planner.units import plain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from decimal import Decimal

    from numpy.typing import NDArray

    from planner.schema import Table


GPUS = (
    Column("row", WHOLE, "place in the listing, from 1"),
    Column("listing", TEXT, "gpus (one node) or multi-node"),
    Column("offer_id", TEXT, "short id, as the vendor's client prints it"),
    Column("provider", TEXT, "null: the row names none and is not rentable"),
    Column("cloud_id", TEXT, "null: unknown"),
    Column("gpu_type", TEXT, "model, such as H100_80GB"),
    Column("gpus", WHOLE, "GPUs in the offer"),
    Column("gpu_gb", WHOLE, "memory of one GPU in GB; null: unknown"),
    Column("socket", TEXT, "null: unknown"),
    Column("data_center", TEXT, "null: unknown"),
    Column("country", TEXT, "null: unknown"),
    Column("region", TEXT, "null: unknown"),
    Column("usd_hr", AMOUNT, "USD per hour for the whole offer; null: unpriced"),
    Column(
        "charged_extra", TEXT, "vcpu, memory, disk that the price leaves out; null: none is named"
    ),
    Column("price_varies", YES_NO, "the price may change while it runs; null: unknown"),
    Column("prepaid_hours", AMOUNT, "hours charged at the start; null: none"),
    Column("spot", YES_NO, "can be interrupted; null: unknown, taken as not spot"),
    Column("stock", TEXT, "level, see STOCK_RANK; a word planner does not know as it is listed"),
    Column("security", TEXT, "secure_cloud, community_cloud; null: unknown"),
    Column("problem", TEXT, "why the row cannot be used; null: it can"),
)
"""Columns of a GPU frame, sorted by type, place and price."""

FACTS = tuple(column.name for column in GPUS[1:])
"""Columns that are facts of the market: what a plan keeps and its digest covers."""

LISTINGS = ("gpus", "multi-node")
"""The two listings that GPU offers come from."""

_SITE = ("provider", "data_center", "country")
_ORDER = ("gpu_type", "provider", "data_center", "country", "cloud_id", "gpus", "usd_hr")


def gpus_frame(rows: Iterable[Any], *, listing: str = "gpus") -> pd.DataFrame:
    """Return rows of the API as a GPU frame (columns ``GPUS``), every row kept.

    Parameters
    ----------
    rows : iterable
        Rows of ``/availability/gpus`` or ``/availability/multi-node``.
    listing : str
        Which of the two: ``gpus`` or ``multi-node``.
    """
    read = [gpu_facts(place, row, listing) for place, row in enumerate(rows, 1)]
    return build(sorted(read, key=gpu_order), GPUS)


def gpu_order(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what sorts the rows of a GPU frame: type, place, price, then every other fact."""
    named = tuple(
        (row[name] is not None, row[name] or 0)
        if name in {"gpus", "usd_hr"}
        else (row[name] is not None, row[name] or "")
        for name in _ORDER
    )
    # Amounts by value: 2.50 and 2.5 are one price, and may not sort rows that differ otherwise.
    return (*named, tuple(str(json_value(row[name])) for name in FACTS), row["row"])


def gpu_facts(place: int, row: Any, listing: str) -> dict[str, Any]:  # noqa: ANN401 -- any JSON value
    """Return what one row of the API says (keys ``GPUS``)."""
    read = RowReader(row)
    currency = read.text("prices.currency")
    community = read.price("prices.communityPrice")
    on_demand = read.price("prices.onDemand")
    listed = read.raw("prices.communityPrice") is not None
    values = {
        "row": place,
        "listing": listing,
        "offer_id": _short_id(row if isinstance(row, dict) else {}),
        "provider": read.text("provider", required=True),
        "cloud_id": read.text("cloudId"),
        "gpu_type": read.text("gpuType", required=True),
        "gpus": read.whole("gpuCount"),
        "gpu_gb": read.whole("gpuMemory"),
        "socket": read.word("socket", SOCKETS),
        "data_center": read.text("dataCenter"),
        "country": read.text("country"),
        "region": read.word("region", REGIONS),
        "usd_hr": community if listed else on_demand,
        "charged_extra": _charged_extra(read),
        "price_varies": read.yes_no("prices.isVariable"),
        "prepaid_hours": read.price("prepaidTime"),
        "spot": read.yes_no("isSpot"),
        "stock": read.stock("stockStatus"),
        "security": read.word("security", SECURITY),
    }
    if currency is None or currency.upper() != "USD":
        shown = visible(currency)[:40] if currency else "missing"
        read.problems.append(f"prices.currency is {shown}, only USD is understood")
    return {**values, "problem": read.problem}


def _charged_extra(read: RowReader) -> str | None:
    """Return the parts of a machine that the price does not include, or may not."""
    parts = []
    for part in ("vcpu", "memory", "disk"):
        included = read.yes_no(f"{part}.defaultIncludedInPrice")
        price = read.price(f"{part}.pricePerUnit")
        if included is False or (included is None and price is not None):
            parts.append(part)
    return ", ".join(parts) or None


def _short_id(row: Mapping[str, Any]) -> str:
    """Return the id that ``prime availability list`` shows (the vendor's client, 0.18)."""

    def default(name: str) -> Any:  # noqa: ANN401 -- whatever the row says
        spec = row.get(name)
        return spec.get("defaultCount") if isinstance(spec, dict) else None

    place = f"{row.get('country') or 'N/A'} - {row.get('dataCenter') or 'N/A'}"
    text = "-".join(
        id_part(part)
        for part in (
            row.get("cloudId"),
            row.get("gpuType"),
            row.get("socket") or "N/A",
            place,
            row.get("provider") or "N/A",
            default("memory"),
            default("vcpu"),
            row.get("gpuCount"),
        )
    )
    digest = hashlib.md5(text.encode(errors="backslashreplace"), usedforsecurity=False)
    return digest.hexdigest()[:6]


def conform_gpus(gpus: pd.DataFrame) -> Table:
    """Return a caller's GPU frame, columns ``GPUS``, held against what a GPU offer can be.

    Raises
    ------
    FrameError
        When a declared column is missing, of another type, or has a value that no listing gives.
    """
    frame = conform(gpus, GPUS, what="gpus")
    is_valid = frame["problem"].isna()
    sound = {
        "listing": frame["listing"].isin(LISTINGS),
        "offer_id": frame["offer_id"].notna(),
        "provider": frame["provider"].notna() | ~is_valid,
        "gpu_type": frame["gpu_type"].notna() | ~is_valid,
        "gpus": frame["gpus"].isna() | (frame["gpus"] >= 0),
        "gpu_gb": frame["gpu_gb"].isna() | (frame["gpu_gb"] >= 0),
        "stock": frame["stock"].notna()
        & pd.Series([stock_word(word) == word for word in frame["stock"].fillna("")]),
    }
    for name in ("usd_hr", "prepaid_hours"):
        amounts = [amount is None or is_price(amount) for amount in frame[name]]
        sound[name] = pd.Series(amounts, dtype="boolean")
    return require(frame, "gpus", sound, "GPU offer")


def meets(offer: Mapping[str, Any], gpu: Mapping[str, Any]) -> bool:
    """Return whether a disk of this offer and this GPU are at one site.

    They are when the provider is equal, and data centre and country where both name them. Where
    one of them names no data centre they may meet: admissible, but unconfirmed. Two missing
    providers are not one provider.

    Parameters
    ----------
    offer, gpu : mapping
        ``provider``, ``data_center`` and ``country``, None where unknown.

    Examples
    --------
    >>> here = {"provider": "alpha", "data_center": "A-1", "country": "US"}
    >>> meets(here, {**here, "country": None})
    True
    >>> meets(here, {**here, "country": "CA"})
    False
    """
    return (
        gpu["provider"] is not None
        and gpu["provider"] == offer["provider"]
        and all(
            None in (gpu[name], offer[name]) or gpu[name] == offer[name]
            for name in ("data_center", "country")
        )
    )


def is_confirmed(offer: Mapping[str, Any], gpu: Mapping[str, Any]) -> bool:
    """Return whether a disk and a GPU that meet both name the data centre they are in."""
    return None not in (offer["data_center"], gpu["data_center"])


def gpus_are_known(offer: Mapping[str, Any], providers: Collection[str]) -> bool:
    """Return whether the listing can say which GPUs are beside a disk.

    It cannot where the disk names no data centre and no GPU of its provider is listed: then the
    marketplace knows only once the disk exists.

    Parameters
    ----------
    offer : mapping
        ``provider`` and ``data_center``, None where unknown.
    providers : collection of str
        Providers with a GPU in the listing, of any model.
    """
    return offer["data_center"] is not None or offer["provider"] in providers


def meeting(offers: pd.DataFrame, gpus: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which disk offers meet which GPUs, as `meets` says, asked once for any two sites.

    Parameters
    ----------
    offers : DataFrame
        Columns ``provider``, ``data_center`` and ``country``, O rows.
    gpus : DataFrame
        The same columns, G rows.

    Returns
    -------
    ndarray of bool, shape (G, O)
        Rows and columns in the order of the frames.
    """
    near = defaultdict(list)
    for offer, o in _by_site(offers):
        near[offer["provider"]].append((offer, o))
    met = np.zeros((len(gpus), len(offers)), dtype=np.bool_)
    for gpu, g in _by_site(gpus):
        for offer, o in near[gpu["provider"]]:
            met[np.ix_(g, o)] = meets(offer, gpu)
    return met


def _by_site(frame: pd.DataFrame) -> list[tuple[dict[str, Any], list[int]]]:
    """Return each site of a frame with the rows that are there."""
    sites: dict[tuple[Any, ...], tuple[dict[str, Any], list[int]]] = {}
    for index, site in enumerate(records(frame[list(_SITE)])):
        sites.setdefault(tuple(site.values()), (site, []))[1].append(index)
    return list(sites.values())


def mark_gpus(
    offers: pd.DataFrame, gpus: pd.DataFrame, gpu_type: str, *, exact: bool = False
) -> pd.DataFrame:
    """Return an offers frame with what is known of a GPU at each offer's site.

    A disk and a GPU meet as `meets` says. Where only GPUs are left that may meet, because one of
    the two names no data centre, the mark is ``unconfirmed``: `apply` and `status` ask the
    marketplace after buying.

    Parameters
    ----------
    offers : DataFrame
        Columns ``OFFERS``.
    gpus : DataFrame
        Columns ``GPUS``.
    gpu_type : str
        GPU model, as listed.
    exact : bool
        Amounts are Decimals; else floats.

    Returns
    -------
    DataFrame
        The offers with ``gpu`` (yes, unconfirmed or no; null: unknown) and ``gpu_usd_hr`` (the
        cheapest price of one such GPU offer there, null where there is none or it is unpriced).

    Raises
    ------
    FrameError
        When a frame is not what it is declared to be.
    """
    listed = records(conform_gpus(gpus))
    providers = {row["provider"] for row in listed}
    rentable = [
        row
        for row in listed
        if row["gpu_type"] == gpu_type and row["problem"] is None and row["stock"] != "Unavailable"
    ]
    offers = as_pandas(offers)
    declared = conform_offers(offers)
    rows = records(declared)
    met: list[tuple[str | None, Decimal | None]] = [
        meeting_price(row, rentable, "usd_hr") if gpus_are_known(row, providers) else (None, None)
        for row in rows
    ]
    marks = ([state for state, _ in met], [usd for _, usd in met])
    marked = with_columns(conformed(offers, declared), dict(zip(_MARKS, marks, strict=True)))
    return handed_out(marked, exact=exact)


_MARKS = (
    Column("gpu", TEXT, "whether the GPU is at the site: yes, unconfirmed or no; null: unknown"),
    Column("gpu_usd_hr", AMOUNT, "cheapest offer of it there; null: none, or unpriced"),
)


def meeting_price(
    row: Mapping[str, Any], others: Iterable[Mapping[str, Any]], price: str
) -> tuple[str, Decimal | None]:
    """Return whether a disk or GPU offer meets some of the others, and their lowest price.

    Parameters
    ----------
    row : mapping
        A disk offer or a GPU offer.
    others : iterable of mapping
        GPU offers for a disk, disk offers for a GPU.
    price : str
        Column of the others with their price.

    Returns
    -------
    str
        ``yes``, ``unconfirmed`` or ``no``.
    Decimal | None
        The lowest price of those that surely meet it, else of those that may; None: unknown.
    """
    possible = [other for other in others if meets(row, other)]
    confirmed = [other for other in possible if is_confirmed(row, other)]
    state = "yes" if confirmed else "unconfirmed" if possible else "no"
    prices = [other[price] for other in confirmed or possible if other[price] is not None]
    return state, min(prices, default=None)


_LISTED_MODELS = 8
"""GPU models that a hint lists at most."""


def unknown_model(model: str, known: Collection[str]) -> str:
    """Return the sentence about a GPU model that no offer has, and what was likely meant.

    >>> unknown_model("a100 80gb", ["A100_80GB", "H100_80GB"])
    'no GPU offer has the model a100 80gb; did you mean A100_80GB?'
    >>> unknown_model("L40", ["A10_24GB", "L40S_48GB"])
    'no GPU offer has the model L40; did you mean L40S_48GB?'
    """
    meant = _nearest_model(model, known)
    hint = f"; did you mean {visible(meant)}?" if meant else ""
    if not meant and known:
        listed = ", ".join(visible(name) for name in sorted(known)[:_LISTED_MODELS])
        hint = f"; there are {listed}" + " and more" * (len(known) > _LISTED_MODELS)
    return f"no GPU offer has the model {visible(model)}{hint}"


def _nearest_model(model: str, known: Collection[str]) -> str | None:
    """Return the model that was likely meant: people leave out the maker or the memory."""

    def letters(name: str) -> str:
        return "".join(filter(str.isalnum, name.casefold())).removeprefix("nvidia")

    if typed := letters(model[:100]):
        for name in sorted(known):
            if letters(name).startswith(typed) or typed.startswith(letters(name)):
                return name
    return nearest(model[:100], known)


_REST = tuple(name for name in FACTS if name not in KEY)


def gpu_records(gpus: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a GPU frame as checked rows in canonical order (keys ``GPUS``).

    The order does not depend on that of the listing or of the frame.

    Raises
    ------
    FrameError
        When the frame is not one of GPU offers.
    """
    return sorted(records(conform_gpus(gpus)), key=gpu_order)


def gpus_by_key(gpus: pd.DataFrame) -> pd.DataFrame:
    """Return a GPU frame sorted for choosing, every row kept, index from 0.

    Parameters
    ----------
    gpus : DataFrame
        Columns ``GPUS``, in any order.

    Returns
    -------
    DataFrame
        Sorted by provider, cloud_id, data_center and country, then by the other facts in the
        order of ``GPUS``, each by value and null first; ``row`` decides between equal rows only.
    """
    result = build(sorted(records(gpus), key=_key_and_rest), GPUS)
    result.attrs = dict(gpus.attrs)
    return result


def _key_and_rest(row: Mapping[str, Any]) -> tuple[Any, ...]:
    rest = tuple((row[name] is not None, 0 if row[name] is None else row[name]) for name in _REST)
    return (key_order([row[name] for name in KEY]), rest, row["row"])


def rental_notes(gpus_row: Mapping[str, Any]) -> list[str]:
    """Return what the reader of a plan should know of a GPU offer, one sentence each.

    Parameters
    ----------
    gpus_row : mapping
        A row with the columns ``GPUS``, None for null.
    """
    notes = []
    if gpus_row["charged_extra"]:
        notes.append(
            f"its price does not include {gpus_row['charged_extra']}; add what the marketplace "
            "charges for it"
        )
    if gpus_row["price_varies"]:
        notes.append("its price may change while it runs; planned at the price listed")
    if gpus_row["prepaid_hours"] is not None:
        hours = plain(gpus_row["prepaid_hours"])
        notes.append(f"hours charged in advance: {hours}; planned by the hours it runs")
    if note := stock_note(gpus_row["stock"]):
        notes.append(note)
    if gpus_row["security"] not in {None, *SECURITY}:
        shown = visible(gpus_row["security"])
        notes.append(f"security is listed as '{shown}', which planner does not know")
    if gpus_row["data_center"] is None:
        notes.append(
            "its data centre is not listed, so it is unconfirmed that it reaches the disks; "
            "`planner apply` and `planner status` ask the marketplace once they are bought"
        )
    return notes
