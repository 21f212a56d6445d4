"""A complete listing: all pages, a total that holds, no id twice; or an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from planner.errors import ContractBroken, IncompleteListing, MarketError
from planner.marketplace.prime.client import ATTEMPTS
from tests.project.world import World, answer

if TYPE_CHECKING:
    import httpx

    from planner.marketplace.protocol import DiskListing


def listed(world: World, scans: int = 1) -> DiskListing:
    with world.account() as account:
        return account.disks(readings=scans)


def with_disks(count: int, **more: Any) -> World:
    world = World(**more)
    for number in range(count):
        world.foreign(f"disk-{number}")
    return world


@pytest.mark.parametrize("total_key", ["totalCount", "total_count", None])
@pytest.mark.parametrize(("count", "page_size"), [(0, 100), (1, 1), (7, 3), (250, 50)])
def test_every_page_is_read(count: int, page_size: int, total_key: str | None) -> None:
    """Advancing by rows received, whatever page size the server allows, in each dialect."""
    world = with_disks(count, page_size=page_size, total_key=total_key)
    found = listed(world)
    assert len({disk.id for disk in found.disks}) == count
    assert found.date is not None


def pages(world: World, *documents: Any) -> None:
    """Answer the listing with these documents, the last one for ever."""
    left = list(documents)

    def script(request: httpx.Request) -> httpx.Response | None:
        if request.url.path != "/api/v1/disks/":
            return None
        return answer(200, left.pop(0) if len(left) > 1 else left[0])

    world.get_faults.append(script)


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
def test_what_is_not_whole_is_refused(document: Any) -> None:
    """Too few, too many, one twice, or none of those that are claimed."""
    world = World()
    pages(world, document)
    with pytest.raises(IncompleteListing):
        listed(world)
    assert len(world.requests("GET")) <= 12


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
def test_what_is_not_understood_is_refused(document: Any) -> None:
    """Neither half a page nor a page with two meanings is a listing."""
    world = World()
    pages(world, document)
    with pytest.raises((ContractBroken, IncompleteListing)):
        listed(world)


def test_a_flaw_that_passes_is_read_again() -> None:
    """The third reading is whole, and is believed."""
    world = World()
    short, whole = {"data": [ONE], "totalCount": 2}, {"data": [ONE], "totalCount": 1}
    pages(world, short, {"data": [], "totalCount": 2}, short, {"data": []}, whole)
    assert [disk.id for disk in listed(world).disks] == [ONE["id"]]


def test_two_scans_have_to_agree() -> None:
    """Where a disk shows in every other reading, sending again is never decided."""
    world = World()
    one, none = {"data": [ONE], "totalCount": 1}, {"data": [], "totalCount": 0}
    pages(world, *[one, none] * 20)
    with pytest.raises(IncompleteListing, match="different disks"):
        listed(world, scans=2)


def test_a_total_that_changes_between_pages_is_a_flaw() -> None:
    """The account changed while it was read."""
    world = World()
    pages(world, *[{"data": [ONE], "totalCount": 2}, {"data": [TWO], "totalCount": 3}] * 20)
    with pytest.raises(IncompleteListing, match="claims 3 rows"):
        listed(world)


def test_terminated_disks_are_not_live() -> None:
    """They are listed, and not billed; every other word is."""
    world = World()
    world.foreign("gone", status="TERMINATED")
    world.foreign("odd", status="SOMETHING_NEW")
    found = listed(world)
    assert [disk.name for disk in found.live] == ["odd"]


def test_a_failing_page_is_asked_again_and_then_raised() -> None:
    """Five times, with pauses."""
    world = World()
    world.get_faults.append(lambda _request: answer(503, {}))
    with pytest.raises(MarketError):
        listed(world)
    assert len(world.log) == ATTEMPTS
    assert world.clock.passed > 1


@pytest.mark.parametrize(("empty", "found"), [(0, 1), (1, 1), (2, 0)])
def test_nothing_is_believed_when_it_is_said_twice(empty: int, found: int) -> None:
    """Who plans or reports on an account asks an empty listing again, once."""
    world = World()
    nothing = {"data": [], "totalCount": 0}
    pages(world, *[nothing] * empty, {"data": [ONE], "totalCount": 1})
    with world.account() as account:
        assert len(account.disks(trust_empty=False).disks) == found
