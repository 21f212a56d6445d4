"""A snapshot is one complete listing in the API's own shape, or it is an error."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from planner.errors import InputError
from planner.market.snapshot import (
    Snapshot,
    read_gpus,
    read_offers,
    read_snapshot,
    save_snapshot,
)
from planner.marketplace.credentials import Credentials
from planner.marketplace.fetch import connect
from planner.marketplace.sim.local import Sim
from tests.market.rows import brief, cells, disk, gpu

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(), max_size=5),
    lambda values: (
        st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=3), values, max_size=3)
    ),
    max_leaves=6,
)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes | str], Path]:
    """Return a function: content → a file that holds it."""

    def file(content: bytes | str) -> Path:
        path = tmp_path / "snapshot.json"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return file


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ("[]", 0),
        (" [ ] \n", 0),
        ("[{}, {}]", 2),
        ('{"items": []}', 0),
        ('{"items": [{}], "totalCount": 1}', 1),
        ('{"items": [{}], "totalCount": 1.0}', 1),
        ('{"items": [{}], "totalCount": null}', 1),
        ('{"items": [{}], "page": 3, "next": "x", "totalCount": 1}', 1),
        ('\ufeff{"items": [{}]}', 1),
        ('[1, "x", null]', 3),
    ],
)
def test_both_shapes_are_understood(
    write: Callable[[bytes | str], Path], content: str, rows: int
) -> None:
    """A bare list, or items with an optional total; unknown keys are ignored, empty is believed."""
    path = write(content)
    snapshot = read_snapshot(path)
    assert len(snapshot.rows) == rows
    assert (snapshot.source, snapshot.fetched_at) == (str(path), None)
    assert len(snapshot.offers()) == rows


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "is empty"),
        (" \n\t", "is empty"),
        ("\ufeff", "is not JSON"),
        ("<html>", "is not JSON"),
        ("[1, 2", "is not JSON"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "is not UTF-8"),
        (b"\x00" * 100, "is not JSON"),
        ('[{"a": 1}]'.encode("utf-16"), "is not UTF-8"),
        ("[" * 50_000, "is nested too deeply"),
        ('[{"provider": "a", "provider": "b"}]', "same key twice"),
        ("null", "neither a list of rows nor an object"),
        ("5", "neither a list of rows nor an object"),
        ('"items"', "neither a list of rows nor an object"),
        ("{}", "neither a list of rows nor an object"),
        ('{"items": null}', "neither a list of rows nor an object"),
        ('{"items": {}}', "neither a list of rows nor an object"),
        ('{"data": []}', "neither a list of rows nor an object"),
        ('{"items": [{}], "totalCount": 2}', "holds 1 of 2 rows"),
        ('{"items": [{}, {}], "totalCount": 1}', "holds 2 of 1 rows"),
        ('{"items": [{}], "totalCount": 0}', "holds 1 of 0 rows"),
        ('{"items": [{}], "totalCount": NaN}', "holds 1 of NaN rows"),
        ('{"items": [{}], "totalCount": 1e999}', "holds 1 of "),
        ('{"items": [{}], "totalCount": true}', "totalCount is not a number"),
        ('{"items": [{}], "totalCount": "1"}', "totalCount is not a number"),
        ('{"items": [], "totalCount": []}', "totalCount is not a number"),
    ],
)
def test_what_is_no_snapshot(
    write: Callable[[bytes | str], Path], content: bytes | str, why: str
) -> None:
    """Anything else, and a part of a listing, is one error that names the file and a way out."""
    path = write(content)
    with pytest.raises(InputError) as caught:
        read_snapshot(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert why in str(caught.value)
    assert caught.value.hint


def test_missing_directory_and_huge(tmp_path: Path) -> None:
    """A missing file, a directory and a file beyond 16 MiB are one error each."""
    with pytest.raises(InputError, match="there is no such snapshot"):
        read_snapshot(tmp_path / "none.json")
    with pytest.raises(InputError, match="is a directory"):
        read_snapshot(tmp_path)
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(50 * 2**20)
    with pytest.raises(InputError, match="is larger than 16 MiB"):
        read_snapshot(huge)
    with pytest.raises(InputError, match="not a usable path"):
        read_snapshot("a\x00b")
    with pytest.raises(InputError, match="planner ships no file"):
        read_snapshot("shipped:nothing")


def test_path_is_shown_harmless(tmp_path: Path) -> None:
    """An escape sequence in a file name does not reach the terminal."""
    with pytest.raises(InputError) as caught:
        read_snapshot(tmp_path / "a\x1b[2J")
    assert str(caught.value).isprintable()


def test_constants_in_prices_are_one_rows_matter(write: Callable[[bytes | str], Path]) -> None:
    """NaN and the infinities in a file make their rows unpriced; the rest stands."""
    rows = [
        f'{{"provider": "p", "dataCenter": "{at}", "spec": {{"pricePerUnit": {price}}}}}'
        for at, price in enumerate(["NaN", "Infinity", "-Infinity", "1e-4", '"1e-4"', "1e99999"])
    ]
    found = cells(read_offers(write(f"[{', '.join(rows)}]"), exact=True))
    assert [row["usd_gb_hr"] for row in found] == [None, None, None, Decimal("1e-4"), None, None]
    assert [row["problem"] is None for row in found] == [True, True, True, True, False, False]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"2025-03-01T12:00:00+00:00"', datetime(2025, 3, 1, 12, tzinfo=UTC)),
        ('"2025-03-01T12:00:00Z"', datetime(2025, 3, 1, 12, tzinfo=UTC)),
        ('"2025-03-01T14:00:00+02:00"', datetime(2025, 3, 1, 12, tzinfo=UTC)),
        ('"2025-03-01T12:00:00"', datetime(2025, 3, 1, 12, tzinfo=UTC)),
        ('"0001-01-01T00:00:00+14:00"', None),
        ('"9999-12-31T23:00:00-10:00"', None),
        ('"yesterday"', None),
        ('""', None),
        ("5", None),
        ("null", None),
    ],
)
def test_fetched_at(
    write: Callable[[bytes | str], Path], text: str, expected: datetime | None
) -> None:
    """The time is UTC, and what is no time says nothing."""
    snapshot = read_snapshot(write(f'{{"items": [], "fetched_at": {text}}}'))
    assert snapshot.fetched_at == expected
    assert snapshot.fetched_at is None or snapshot.fetched_at.tzinfo is UTC


def test_origin_travels_with_the_frame(write: Callable[[bytes | str], Path]) -> None:
    """A frame says where its rows came from, and when."""
    path = write('{"items": [], "fetched_at": "2025-03-01T12:00:00Z"}')
    expected = {"source": str(path), "fetched_at": "2025-03-01T12:00:00+00:00"}
    assert read_offers(path, exact=True).attrs == expected
    assert read_gpus(path, multinode=path, exact=True).attrs == expected


def test_saved_and_read_back(tmp_path: Path) -> None:
    """What was listed comes back: every digit, every key, odd texts, and the time in UTC."""
    price = Decimal("0.000123456789012345678901234567890")
    rows = [
        disk(spec={"pricePerUnit": price}, future={"a": [1, None, True]}),
        disk(dataCenter="\x1b\u202e\ud800\u00e9", spec={"pricePerUnit": Decimal("1E-7")}),
        None,
        "row",
        {"n": 2**100, "d": Decimal("-0.0"), "big": Decimal("1E+400")},
    ]
    at = datetime(2025, 3, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    path = tmp_path / "market.json"
    save_snapshot(Snapshot(rows, "https://example.test", at), path)
    back = read_snapshot(path)
    assert back.rows == rows
    assert str(back.rows[0]["spec"]["pricePerUnit"]) == str(price)
    assert back.fetched_at == at
    assert back.source == str(path)
    assert [each.name for each in tmp_path.iterdir()] == ["market.json"]


@pytest.mark.slow
@brief
@given(rows=st.lists(JSON_VALUES, max_size=4))
def test_any_listing_round_trips(rows: list[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Any JSON rows are read as they were saved, numbers by value and without rounding."""
    path = tmp_path_factory.getbasetemp() / "any.json"
    save_snapshot(Snapshot(rows, "here"), path)
    assert read_snapshot(path).rows == rows
    assert read_snapshot(path).fetched_at is None


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_constants_round_trip(tmp_path: Path, constant: str) -> None:
    """A price that is no number is saved as it was listed."""
    path = tmp_path / "market.json"
    save_snapshot(Snapshot([{"spec": {"pricePerUnit": Decimal(constant)}}], "here"), path)
    assert str(read_snapshot(path).rows[0]["spec"]["pricePerUnit"]) == constant


def test_same_market_after_saving(tmp_path: Path) -> None:
    """The shipped market, saved and read again, is the same frame."""
    path = tmp_path / "market.json"
    save_snapshot(read_snapshot("shipped:disk-offers.json"), path)
    assert read_offers(path, exact=True).equals(read_offers("shipped:disk-offers.json", exact=True))


@pytest.mark.parametrize("place", ["missing/market.json", "", ".", "a\x00b"])
def test_place_that_cannot_be_written(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A place that does not exist, or is a directory, is an error with a hint; nothing is left."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="cannot be written") as caught:
        save_snapshot(Snapshot([], "here"), place)
    assert caught.value.hint
    assert [each.name for each in tmp_path.iterdir()] == []


def test_row_that_cannot_be_saved(tmp_path: Path) -> None:
    """A row nested too deeply for JSON is an error, and the old file stays."""
    path = tmp_path / "market.json"
    path.write_text("old")
    row: list[Any] = []
    for _ in range(50_000):
        row = [row]
    with pytest.raises(InputError, match="nested too deeply"):
        save_snapshot(Snapshot([row], "here"), path)
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["market.json"]
    while row:
        row = row.pop()


def test_gpus_of_both_listings(tmp_path: Path) -> None:
    """Two files are one frame that says which row was listed where."""
    single, multi = tmp_path / "one.json", tmp_path / "many.json"
    save_snapshot(Snapshot([gpu(), gpu(dataCenter="B")], "here"), single)
    save_snapshot(Snapshot([gpu(gpuCount=8)], "here"), multi)
    assert read_gpus(single, exact=True)["listing"].tolist() == ["gpus", "gpus"]
    both = read_gpus(single, multinode=multi, exact=True)
    assert both["listing"].tolist() == ["gpus", "gpus", "multi-node"]
    assert both["gpus"].tolist() == [1, 1, 8]
    assert both.attrs["source"] == str(single)


def test_live_listing() -> None:
    """A live listing is a snapshot with the marketplace's address and the time it was asked."""
    rows = [disk(dataCenter=f"A-{at}", spec={"pricePerUnit": 0.0001}) for at in range(3)]
    with Sim(rows) as sim, connect(Credentials(SecretStr(sim.key), sim.base_url)) as marketplace:
        snapshot = marketplace.listing("disks")
    assert snapshot.source.startswith(sim.base_url)
    assert snapshot.fetched_at is not None
    assert snapshot.fetched_at.tzinfo is UTC
    assert [row["spec"]["pricePerUnit"] for row in snapshot.rows] == [Decimal("0.0001")] * 3
    assert snapshot.offers()["problem"].isna().all()
