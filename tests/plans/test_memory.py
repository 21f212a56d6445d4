"""What a plan of many volumes takes is counted for each volume: no array has all pairs in full."""

from __future__ import annotations

import tracemalloc

import pytest

import planner
from planner.demand.read import demand_from
from tests.benchmarks.beside import market
from tests.benchmarks.instances import Size, fleet

OFFERS = 500
BITS = 4
"""Bytes of the rules that a pair breaks: all that is kept of every pair."""
VOLUME = 8000
"""Bytes of a volume as it is asked, placed and written."""


def peak(volumes: int) -> int:
    """Return the most bytes that are in use at once, from the document to the plan's text."""
    document, offers = fleet(Size(volumes, OFFERS)), market(OFFERS)
    tracemalloc.start()
    try:
        planner.plan(demand_from(document), offers).to_json()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_memory_grows_by_little_for_each_volume() -> None:
    few, many = 250, 1250
    peak(few)  # what is loaded and worked out once
    each = (peak(many) - peak(few)) / (many - few)
    assert each < OFFERS * BITS + VOLUME
