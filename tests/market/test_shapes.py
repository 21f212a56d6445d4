"""A file is taken for what it is: planner's own table is read back, anything else is named."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner import Plan
from planner.demand.read import demand_from
from planner.errors import InputError
from planner.market.disks import read_disks
from planner.market.snapshot import read_gpus, read_offers, read_snapshot
from planner.market.view import group_offers
from planner.present.writers import to_json
from planner.schema import frame_document
from tests.market.rows import disk, gpu, gpu_rows, market_rows
from tests.market.test_disks import ROW

if TYPE_CHECKING:
    from pathlib import Path


def file(tmp_path: Path, document: Any) -> Path:
    path = tmp_path / "seen.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document, default=float))
    return path


def plan() -> Plan:
    demand = demand_from({"version": 1, "volumes": [{"name": "x", "size_gb": 100}]})
    return planner.plan(demand, read_offers("shipped:disk-offers", exact=True))


def test_the_own_table_is_read_back(tmp_path: Path) -> None:
    """What `planner offers -o json` prints is the same market, id for id and price for price."""
    offers = read_offers("shipped:disk-offers", exact=True)
    again = read_offers(file(tmp_path, to_json(frame_document(offers))), exact=True)
    assert market_rows(again) == market_rows(offers)


def test_what_was_left_out_stays_left_out(tmp_path: Path) -> None:
    """An odd stock word survives; a row with a problem has no price, and is never bought."""
    rows = [disk(stockStatus="Plenty"), disk(dataCenter="B", currency="EUR")]
    offers = read_offers(file(tmp_path, rows), exact=True)
    again = read_offers(file(tmp_path, to_json(frame_document(offers))), exact=True)
    assert market_rows(again)[0] == market_rows(offers)[0]
    assert again["stock"].tolist() == ["Plenty", "Available"]
    assert again["usd_gb_hr"].tolist() == [Decimal("0.0001"), None]


@pytest.mark.parametrize("change", [{"usd_gb_hr": "-1"}, {"min_gb": "many"}, {"stock": "low"}])
def test_an_own_table_that_was_changed_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    """A value that planner cannot have written refuses the file."""
    rows = json.loads(to_json(frame_document(read_offers("shipped:disk-offers", exact=True))))
    with pytest.raises(InputError, match="planner offers -o json`, changed since"):
        read_offers(file(tmp_path, [*rows, {**rows[0], **change}]), exact=True)
    del rows[0]["step_gb"]
    with pytest.raises(InputError, match=r"row 1 of `planner offers -o json` has no step_gb"):
        read_offers(file(tmp_path, rows), exact=True)


OFFERS = read_offers("shipped:disk-offers", exact=True)
OTHERS: list[tuple[Any, str]] = [
    ([gpu(), gpu()], "is a listing of GPU offers, not of disk offers"),
    ({"items": [gpu()], "totalCount": 1}, "is a listing of GPU offers, not of disk offers"),
    ([disk(), gpu()], "row 2 is from a listing of GPU offers, not a disk offer"),
    ([ROW], "is a list of the account's disks, not of disk offers"),
    ({"data": [ROW]}, "is a list of the account's disks, not a market"),
    ([disk(), {}], "row 2 has none of the fields of a disk offer"),
    ([{"a": 1}], "row 1 has none of the fields of a disk offer"),
    ([5], "row 1 has none of the fields of a disk offer"),
    ({"version": 1, "volumes": []}, "is a demand file, not a market"),
    ({"format": "planner.report/1", "lines": []}, "is a report of planner, not a market"),
    ({"error": "x", "hint": None, "exit_code": 2}, "is the error of a planner command"),
    (
        to_json(frame_document(group_offers(OFFERS, "region", exact=True))),
        "is the output of `planner offers` or `gpus` with --group-by",
    ),
    (
        gpu_rows(read_gpus("shipped:gpu-offers", exact=True)),
        "is a table of GPU offers that planner wrote",
    ),
    (plan().to_json(), "is a plan file of planner, not a market"),
]


@pytest.mark.parametrize(("document", "what"), OTHERS, ids=[what for _, what in OTHERS])
def test_another_file_is_refused_by_its_name(tmp_path: Path, document: Any, what: str) -> None:
    """The error says what the file is, and what to give instead."""
    with pytest.raises(InputError) as caught:
        read_offers(file(tmp_path, document), exact=True)
    assert what in str(caught.value)
    assert caught.value.hint


def test_gpu_files_and_disk_files_are_held_to_the_same(tmp_path: Path) -> None:
    """Disk offers are no GPUs, and neither is a disk of the account."""
    single = file(tmp_path, [gpu()])
    assert len(read_gpus(single, exact=True)) == 1
    with pytest.raises(InputError, match="is a listing of GPU offers, not of disk offers"):
        read_offers(single, exact=True)
    with pytest.raises(InputError, match="is a listing of GPU offers"):
        read_disks(single)
    offers = file(tmp_path, [disk()])
    for read in (
        read_gpus,
        lambda path: read_gpus("shipped:gpu-offers", multinode=path, exact=True),
    ):
        with pytest.raises(InputError, match="is a listing of disk offers, not of GPU offers"):
            read(offers)
    with pytest.raises(InputError, match="is a listing of disk offers"):
        read_disks(offers)
    with pytest.raises(InputError, match="row 2 is not a disk's"):
        read_disks(file(tmp_path, [ROW, {"a": 1}]))
    with pytest.raises(InputError, match="is a plan file of planner"):
        read_disks(file(tmp_path, plan().to_json()))


def test_a_row_that_says_little_is_still_one(tmp_path: Path) -> None:
    """Any documented field makes an offer, and rows are not looked at where nothing is asked."""
    assert (
        len(read_offers(file(tmp_path, [{"provider": "alpha"}, {"security": None}]), exact=True))
        == 2
    )
    assert len(read_snapshot(file(tmp_path, [{}, 5])).rows) == 2
