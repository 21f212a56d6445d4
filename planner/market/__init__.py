"""Offers and GPUs as frames; snapshots of the market."""

from planner.market.disks import (
    DISKS,
    LISTED,
    disk_rows,
    disks_frame,
    disks_from_rows,
    read_disks,
)
from planner.market.gpu_rows import gpu_rows, gpus_by_key, gpus_from_rows, rental_notes
from planner.market.gpus import GPUS, gpus_frame, mark_gpus, meeting, meets
from planner.market.merge import ADDRESSABLE, addressable
from planner.market.offers import (
    OFFERS,
    market_rows,
    offers_frame,
    offers_from_market,
    place_text,
)
from planner.market.snapshot import (
    Snapshot,
    fetch_snapshot,
    join_gpus,
    read_gpus,
    read_offers,
    read_snapshot,
    save_snapshot,
)
from planner.market.view import (
    GROUPS,
    Filter,
    group_offers,
    list_offers,
    sort_frame,
    unknown_places,
)

__all__ = [
    "ADDRESSABLE",
    "DISKS",
    "GPUS",
    "GROUPS",
    "LISTED",
    "OFFERS",
    "Filter",
    "Snapshot",
    "addressable",
    "disk_rows",
    "disks_frame",
    "disks_from_rows",
    "fetch_snapshot",
    "gpu_rows",
    "gpus_by_key",
    "gpus_frame",
    "gpus_from_rows",
    "group_offers",
    "join_gpus",
    "list_offers",
    "mark_gpus",
    "market_rows",
    "meeting",
    "meets",
    "offers_frame",
    "offers_from_market",
    "place_text",
    "read_disks",
    "read_gpus",
    "read_offers",
    "read_snapshot",
    "rental_notes",
    "save_snapshot",
    "sort_frame",
    "unknown_places",
]
