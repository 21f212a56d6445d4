"""The account's disks as a frame: what is read, what is left out, what is refused."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from planner.errors import FrameError, InputError
from planner.market.disks import LISTED, read_disks
from tests.market.rows import cells, disk_rows, disks_from_rows
from tests.solve.live_disks import disk, frame

if TYPE_CHECKING:
    from pathlib import Path

ROW = {
    "id": "disk-0001",
    "name": "corpus",
    "status": "ACTIVE",
    "providerType": "alpha",
    "size": 4000,
    "priceHr": 0.388,
    "userId": "u",
    "info": {"cloudId": "c", "dataCenterId": "A-1", "country": "US", "isMultinode": False},
    "pods": ["pod-1"],
    "clusters": ["cluster-1"],
}


def written(tmp_path: Path, document: Any) -> Path:
    path = tmp_path / "disks.json"
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize(
    "document",
    [
        [ROW],
        {"data": [ROW]},
        {"data": [ROW], "totalCount": 1},
        {"data": [ROW], "total_count": 1, "offset": 0, "limit": 100},
    ],
)
def test_both_shapes_are_read_exactly(document: Any, tmp_path: Path) -> None:
    """A bare list and a page that has all give the same row; a price keeps its digits."""
    path = written(tmp_path, document)
    disks = read_disks(path, exact=True)
    assert cells(disks) == [
        {
            "id": "disk-0001",
            "name": "corpus",
            "status": "ACTIVE",
            "provider": "alpha",
            "cloud_id": "c",
            "data_center": "A-1",
            "country": "US",
            "size_gb": 4000,
            "usd_hr": Decimal("0.388"),
            "usd_month": Decimal("283.240"),
            "multinode": False,
            "attached": ("pod-1", "cluster-1"),
            "created_at": None,
        }
    ]
    assert disks.attrs == {"source": str(path), "fetched_at": None}


@pytest.mark.parametrize("total", ["totalCount", "total_count"])
@pytest.mark.parametrize("stated", [0, 2, 100, "1"])
def test_a_part_of_the_account_is_not_the_account(total: str, stated: Any, tmp_path: Path) -> None:
    """A page that says there is more is refused, with both numbers."""
    with pytest.raises(InputError, match=f"holds 1 of {stated} disks") as caught:
        read_disks(written(tmp_path, {"data": [ROW], total: stated}))
    assert caught.value.exit_code == 2
    assert "every page" in str(caught.value.hint)


@pytest.mark.parametrize(
    "document", [{}, {"data": None}, {"data": {}}, [1], {"data": ["x"]}, "x", 3, {"items": [ROW]}]
)
def test_what_is_no_list_of_disks_is_wrong_input(document: Any, tmp_path: Path) -> None:
    """Every other shape is exit 2, and the hint says what is wanted."""
    with pytest.raises(InputError, match="is no list of disks") as caught:
        read_disks(written(tmp_path, document))
    assert "GET /api/v1/disks/" in str(caught.value.hint)


def test_junk_and_missing_files_are_wrong_input(tmp_path: Path) -> None:
    """A file that is no JSON, and one that is not there."""
    path = tmp_path / "disks.json"
    path.write_bytes(b"{")
    for each in (path, tmp_path / "none.json", tmp_path):
        with pytest.raises(InputError):
            read_disks(each)


@pytest.mark.parametrize(
    ("stamp", "created"),
    [
        ("2026-02-03T04:05:06.789", "2026-02-03T04:05:06.789000+00:00"),
        ("2026-02-03T04:05:06Z", "2026-02-03T04:05:06+00:00"),
        ("2026-02-03T01:05:06+02:00", "2026-02-02T23:05:06+00:00"),
        ("0001-01-01T00:00:00+10:00", None),
        ("soon", None),
        (None, None),
        (7, None),
    ],
)
def test_times_of_creation_are_utc(stamp: Any, created: str | None, tmp_path: Path) -> None:
    """The API leaves out that its times are UTC; one that makes no sense is unknown."""
    (found,) = cells(read_disks(written(tmp_path, [{**ROW, "createdAt": stamp}])))
    assert found["created_at"] == created


def test_what_it_is_attached_to_may_be_unknown(tmp_path: Path) -> None:
    """A list that is none is not the same as nothing, also after a plan has kept it."""
    disks = read_disks(written(tmp_path, [{**ROW, "pods": "pod-1"}]))
    assert cells(disks)[0]["attached"] is None
    assert cells(disks_from_rows(disk_rows(disks)))[0]["attached"] is None


def test_a_disk_is_listed_once(tmp_path: Path) -> None:
    """Two rows of one id are two stories about one disk, and nobody knows which is true."""
    with pytest.raises(InputError, match="lists disk disk-0001 2 times"):
        read_disks(written(tmp_path, [ROW, {**ROW, "priceHr": 0.1}]))


def test_an_account_without_disks_is_believed(tmp_path: Path) -> None:
    """An empty list has the declared columns and no row."""
    disks = read_disks(written(tmp_path, []))
    assert set(disks.columns) == {*(column.name for column in LISTED), "usd_month"}
    assert len(disks) == 0


def test_disks_that_are_gone_are_left_out() -> None:
    """Terminated ones hold nothing and cost nothing; every other state is listed."""
    states = ["TERMINATED", "ERROR", "PROVISIONING", "DELETING", None]
    rows = [disk(f"disk-000{n}", status=state) for n, state in enumerate(states)]
    assert frame(*rows)["status"].tolist() == ["ERROR", "PROVISIONING", "DELETING", "UNKNOWN"]


def test_rows_are_in_the_order_of_their_ids() -> None:
    """Whatever order they are listed in; one without a usable id comes first."""
    listed = frame(disk("disk-0002"), disk("disk-0001"), disk("not an id"))
    assert cells(listed[["id"]]) == [{"id": None}, {"id": "disk-0001"}, {"id": "disk-0002"}]


def test_what_a_disk_does_not_tell_is_unknown() -> None:
    """Absent place, size and price are null, and so are ones that make no sense."""
    bare = {"id": "disk-0001", "providerType": "alpha"}
    odd = {**bare, "id": "disk-0002", "size": -5, "priceHr": -1, "info": "x"}
    for row in cells(frame(bare, odd)):
        known = {name for name, value in row.items() if value is not None}
        assert known == {"id", "status", "provider", "attached"}


def test_rows_are_read_back_to_an_equal_frame() -> None:
    """`disk_rows` and `disks_from_rows` are each other's inverse, nulls and prices included."""
    disks = frame(
        disk("disk-0001", usd_hr="0.1234567890123456789"),
        disk("disk-0002", usd_hr=None, data_center=None),
    )
    rows = disk_rows(disks)
    assert rows[0]["usd_hr"] == "0.1234567890123456789"
    assert json.loads(json.dumps(rows)) == rows
    assert disk_rows(disks_from_rows(rows)) == rows


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"usd_hr": "-1"}, "usd_hr"),
        ({"size_gb": -1}, "size_gb"),
        ({"id": "disk-0002"}, "names one disk twice"),
    ],
)
def test_rows_of_no_disk_are_refused(change: dict[str, Any], sentence: str) -> None:
    """A stored row that no account lists is a faulty frame, not a disk."""
    first, second = disk_rows(frame(disk("disk-0001"), disk("disk-0002")))
    with pytest.raises(FrameError, match=sentence):
        disks_from_rows([{**first, **change}, second])


def test_a_disk_listed_twice_is_refused() -> None:
    """Two rows of one id are not a listing of an account."""
    with pytest.raises(FrameError, match="twice"):
        disk_rows(frame(disk("disk-0001"), disk("disk-0001", size=5)))
