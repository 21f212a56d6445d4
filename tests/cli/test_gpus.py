"""``planner gpus``: every listed row, filters, groups, disks beside GPUs, snapshots."""

from __future__ import annotations

import csv
import json
import re
from typing import TYPE_CHECKING

import pytest

from planner.shipped import shipped_path

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run

GPUS = ("--gpus-file", "shipped:gpu-offers")
MARKET = (*GPUS, "--offers", "shipped:disk-offers")


def test_gpus_json_has_every_listed_row(run: Run) -> None:
    """A bare array, cheapest GPU first, with every key named in --help."""
    rows = run("gpus", *MARKET, "-o", "json").json()
    assert len(rows) == 9
    assert (rows[0]["gpu_type"], rows[0]["data_center"]) == ("A100_80GB", "US-KS-2")
    assert (rows[0]["usd_gpu_hr"], rows[0]["disks"]) == ("1.6568", "yes")
    help_text = " ".join(run("gpus", "--help", env={"COLUMNS": "200"}).out.split())
    assert all(key in help_text for key in rows[0])
    grouped = run("gpus", *MARKET, "--group-by", "model", "-o", "json").json()
    assert [row["offers"] for row in grouped] == [5, 4]
    assert [row["disk_sites"] for row in grouped] == [4, 0]


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("words", "count"),
    [
        (("--gpu", "A100_80GB"), 5),
        (("--gpu", "A100_80GB:1", "--gpu", "H100_80GB:8"), 5),
        (("--provider", "hyperstack"), 1),
        (("--country", "CA", "--country", "US"), 9),
        (("--region", "canada"), 4),
        (("--data-center", "US-KS-2"), 2),
        (("--stock", "Medium"), 1),
        (("--security", "community_cloud"), 0),
        (("--spot",), 0),
        (("--no-spot",), 9),
        (("--multinode",), 0),
    ],
)
def test_gpus_filters(run: Run, words: tuple[str, ...], count: int) -> None:
    """Each filter keeps the rows of the documented market that it should."""
    assert len(run("gpus", *GPUS, "-o", "json", *words).json()) == count


@pytest.mark.sweep
@pytest.mark.parametrize("words", [("gpus", *GPUS), ("offers", "--offers", "shipped:disk-offers")])
def test_nothing_that_matches_is_a_sentence(run: Run, words: tuple[str, ...]) -> None:
    """Not the head of a table without rows; a file for a spreadsheet keeps its head."""
    shown = run(*words, "--provider", "nobody").out
    assert re.fullmatch(r"None of \d+ (?:GPU )?offers listed by \S+ matches the filters\.\n", shown)
    assert "provider" in run(*words, "--provider", "nobody", "-o", "csv").out


def test_what_is_not_there_is_said(run: Run) -> None:
    """A model, a number and a place that no offer has are answered with what was likely meant."""
    ran = run("gpus", *GPUS, "--gpu", "A100", "--gpu", "H100_80GB:8", "--region", "canda")
    assert ran.code == 0
    assert "no GPU offer has the model A100; did you mean A100_80GB?" in ran.err
    assert "no offer has 8 H100_80GB; offers have 1" in ran.err
    assert "did you mean canada?" in ran.err


@pytest.mark.sweep
@pytest.mark.parametrize(
    "words",
    [
        *((), ("--group-by", "model"), ("--group-by", "site")),
        *(("--group-by", "provider"), ("--group-by", "region")),
    ],
)
def test_gpus_fit_the_terminal(run: Run, words: tuple[str, ...]) -> None:
    """At 80 columns no line is longer, and what is left out is named."""
    ran = run("gpus", *MARKET, *words, env={"COLUMNS": "80"})
    assert ran.code == 0
    assert max(map(len, ran.out.splitlines())) <= 80
    assert "81.11" in ran.out
    assert "Not shown at this width" in ran.out


def test_without_disks_their_price_is_unknown(run: Run) -> None:
    """A snapshot of GPUs alone needs no key, and says what it leaves open."""
    ran = run("gpus", *GPUS)
    assert ran.code == 0
    assert "unknown" in ran.out
    assert "give --offers FILE too" in ran.out


@pytest.mark.slow
def test_csv_has_no_column_of_its_own(run: Run) -> None:
    """Filtered and sorted, the columns are those of the JSON."""
    words = ("--gpu", "H100_80GB", "--sort", "usd_hr", "--desc")
    table = [*csv.reader(run("gpus", *GPUS, *words, "-o", "csv").out.splitlines())]
    rows = run("gpus", *GPUS, *words, "-o", "json").json()
    assert table[0] == list(rows[0])
    assert len(table) == 1 + len(rows)
    offers = ("offers", "--offers", "shipped:disk-offers", "--provider", "runpod")
    assert run(*offers, "-o", "csv").out.startswith("row,")


@pytest.mark.slow
def test_saved_gpus_read_back_the_same(run: Run, tmp_path: Path) -> None:
    """--save keeps the listing in the API's shape; a part of it is not what is saved."""
    first = run("gpus", *GPUS, "-o", "json").json()
    assert run("gpus", *GPUS, "--gpu", "A100_80GB", "--save", "kept.json").code == 0
    assert run("gpus", "--gpus-file", "kept.json", "-o", "json").json() == first
    several = json.loads(shipped_path("gpu-offers").read_text())["items"][:2]
    (tmp_path / "m.json").write_text(json.dumps(several))
    both = (*GPUS, "--multinode-file", "m.json")
    assert len(run("gpus", *both, "--multinode", "-o", "json").json()) == 2
    assert run("gpus", *both, "--save-multinode", "kept-m.json").code == 0
    assert len(json.loads((tmp_path / "kept-m.json").read_text())["items"]) == 2


@pytest.mark.parametrize(
    "words",
    [
        ("--gpu", "A100:none"),
        ("--stock", "high"),
        ("--security", "secure"),
        ("--sort", "price"),
        ("--group-by", "planet"),
        ("--save", "x", "--save-multinode", "x"),
        ("--save-multinode", "x"),
        ("--offers", "shipped:gpu-offers"),
    ],
)
def test_wrong_words_of_gpus_are_two(run: Run, words: tuple[str, ...]) -> None:
    """A value that means nothing is exit 2, not an empty table."""
    assert run("gpus", *GPUS, *words).code == 2


def test_a_row_that_cannot_be_used_is_said_and_stays(run: Run, tmp_path: Path) -> None:
    """It is listed last, without a price."""
    document = json.loads(shipped_path("gpu-offers").read_text())
    document["items"][0]["prices"]["currency"] = "EUR"
    (tmp_path / "g.json").write_text(json.dumps(document))
    ran = run("gpus", "--gpus-file", "g.json", "-o", "json")
    assert ran.json()[-1]["usd_gpu_hr"] is None
    assert "GPU row 1" in ran.err
    assert "left out" in run("gpus", "--gpus-file", "g.json").out
