"""A complete listing of disks: all pages, a total that holds, no id twice; or an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from planner.errors import ContractBroken, IncompleteListing, MarketError
from planner.marketplace.prime.client import ATTEMPTS
from planner.marketplace.sim.local import Sim
from tests.marketplace.simulated import FakeTime, answers, asked, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from planner.marketplace.protocol import DiskListing
    from planner.marketplace.sim.wire import Dialect

DISKS = "GET /disks/"


@pytest.fixture
def sim() -> Iterator[Sim]:
    """Yield an account without disks."""
    market = Sim([], [], clock_speed=0)
    yield market
    market.stop()


def listed(sim: Sim, readings: int = 1) -> DiskListing:
    with opened(sim) as client:
        return client.disks(readings=readings)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["openapi", "guide"])
@pytest.mark.parametrize("count", [0, 1, 100, 250])
def test_every_page_is_read(count: int, dialect: Dialect) -> None:
    """Advancing by rows received, in each dialect."""
    with Sim([], [], clock_speed=0, dialect=dialect) as sim:
        for number in range(count):
            sim.add_disk(name=f"disk-{number}")
        found = listed(sim)
        assert len({disk.id for disk in found.disks}) == count
        assert found.date == sim.now.replace(microsecond=0)
        assert len(asked(sim)) == max(1, -(-count // 100))


ONE = {"id": "aaaaaaaaaaaa", "name": "a", "providerType": "x", "size": 1}
TWO = {**ONE, "id": "bbbbbbbbbbbb"}


@pytest.mark.parametrize(
    "document",
    [
        {"data": [ONE], "totalCount": 2},
        {"data": [ONE, TWO], "totalCount": 1},
        {"data": [ONE, ONE], "totalCount": 2},
        {"data": [], "totalCount": 5},
        {"data": [ONE], "totalCount": 0},
    ],
)
def test_what_is_not_whole_is_refused(document: Any, sim: Sim) -> None:
    """Too few, too many, one twice, or none of those that are claimed."""
    answers(sim, DISKS, document)
    with pytest.raises(IncompleteListing):
        listed(sim)
    assert len(asked(sim)) <= 12


@pytest.mark.parametrize(
    "document",
    [
        [ONE],
        {"data": None},
        {"data": [ONE, "text"], "totalCount": 2},
        {"data": [ONE], "totalCount": 1, "total_count": 2},
        {"data": [ONE], "totalCount": "1"},
        {"data": [ONE], "totalCount": True},
        {"data": [ONE], "totalCount": -1},
        {"data": [ONE], "totalCount": [1]},
        b'{"data": [{"id": "aaaaaaaaaaaa", "priceHr": NaN}], "totalCount": 1}',
        b'{"data": [], "data": [], "totalCount": 0}',
        b"<html>",
    ],
)
def test_what_is_not_understood_is_refused(document: Any, sim: Sim) -> None:
    """Neither half a page nor a page with two meanings is a listing."""
    answers(sim, DISKS, document)
    with pytest.raises((ContractBroken, IncompleteListing)):
        listed(sim)


def test_a_flaw_that_passes_is_read_again(sim: Sim) -> None:
    """The third reading is whole, and is believed."""
    short, whole = {"data": [ONE], "totalCount": 2}, {"data": [ONE], "totalCount": 1}
    answers(sim, DISKS, short, {"data": [], "totalCount": 2}, short, {"data": []}, whole)
    assert [disk.id for disk in listed(sim).disks] == [ONE["id"]]


def test_two_readings_have_to_agree(sim: Sim) -> None:
    """Where a disk shows in every other reading, sending again is never decided."""
    one, none = {"data": [ONE], "totalCount": 1}, {"data": [], "totalCount": 0}
    answers(sim, DISKS, *[one, none] * 20)
    with pytest.raises(IncompleteListing, match="different disks"):
        listed(sim, readings=2)


def test_a_total_that_changes_between_pages_is_a_flaw(sim: Sim) -> None:
    """The account changed while it was read."""
    changing = [{"data": [ONE], "totalCount": 2}, {"data": [TWO], "totalCount": 3}]
    answers(sim, DISKS, *changing * 20)
    with pytest.raises(IncompleteListing, match="claims 3 rows"):
        listed(sim)


def test_a_listing_without_a_total_ends_with_an_empty_page(sim: Sim) -> None:
    """Smaller pages than asked for, and no total: read until nothing more comes."""
    answers(sim, DISKS, {"data": [ONE]}, {"data": [TWO]}, {"data": []})
    assert [disk.id for disk in listed(sim).disks] == [ONE["id"], TWO["id"]]
    assert [one["query"]["offset"] for one in asked(sim)][:3] == [["0"], ["1"], ["2"]]


def test_terminated_disks_are_not_live(sim: Sim) -> None:
    """They may be listed, and are not billed; a disk of any other status is."""
    rows = [{**ONE, "status": "TERMINATED"}, {**TWO, "status": "SOMETHING_NEW"}]
    answers(sim, DISKS, {"data": rows, "totalCount": 2})
    assert [disk.id for disk in listed(sim).live] == [TWO["id"]]


def test_a_failing_page_is_asked_again_and_then_raised(sim: Sim) -> None:
    """Five times, with pauses."""
    sim.fault(f"{DISKS}:status=503")
    time = FakeTime()
    with opened(sim, time) as client, pytest.raises(MarketError):
        client.disks()
    assert len(asked(sim)) == ATTEMPTS
    assert sum(time.slept) > 1


@pytest.mark.parametrize(("empty", "found"), [(0, 1), (1, 1), (2, 0)])
def test_an_empty_account_is_believed_when_it_is_read_twice(
    empty: int, found: int, sim: Sim
) -> None:
    """Planning and reporting read an empty listing again, once."""
    nothing = {"data": [], "totalCount": 0}
    answers(sim, DISKS, *[nothing] * empty, {"data": [ONE], "totalCount": 1})
    with opened(sim) as client:
        assert len(client.disks(trust_empty=False).disks) == found
