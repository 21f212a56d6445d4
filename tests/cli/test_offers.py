"""``planner offers``: every listed row, filters, sorting, sites with GPUs, and what is reported."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from planner.shipped import shipped_path

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run

MARKET = ("--offers", "shipped:disk-offers")
SMALL = "version: 1\nvolumes:\n  - {name: x, size_gb: 100}\n"


@pytest.mark.slow
def test_offers_json_has_every_listed_row(run: Run) -> None:
    """The JSON of offers is a bare array with one object a listed row, documented in --help."""
    ran = run("offers", *MARKET, "-o", "json")
    rows = ran.json()
    assert len(rows) == 13
    help_text = " ".join(run("offers", "--help", env={"COLUMNS": "200"}).out.split())
    assert all(key in help_text for key in rows[0])


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("words", "count"),
    [
        (("--region", "eu_north"), 2),
        (("--region", "eu_north", "--region", "united_states"), 13),
        (("--country", "NO"), 1),
        (("--provider", "runpod"), 7),
        (("--data-center", "US-1"), 1),
        (("--security", "community_cloud"), 0),
        (("--multinode",), 8),
        (("--stock", "High"), 13),
        (("--size", "9TB"), 2),
        (("--max-price", "0.0001"), 3),
    ],
)
def test_offers_filters(run: Run, words: tuple[str, ...], count: int) -> None:
    """Each filter keeps the rows of the documented market that it should."""
    assert len(run("offers", *MARKET, "-o", "json", *words).json()) == count


def test_offers_priced_for_a_size_and_sorted(run: Run) -> None:
    """With a size each row has its exact monthly price, and sorting by it starts with dc_roan."""
    rows = run("offers", *MARKET, "-o", "json", "--size", "4TB", "--sort", "usd_month").json()
    assert (rows[0]["provider"], rows[0]["usd_month"]) == ("dc_roan", "204.4")
    down = run("offers", *MARKET, "-o", "json", "--sort", "usd_gb_hr", "--desc").json()
    assert down[-1]["provider"] == "dc_roan"


def test_offers_grouped(run: Run) -> None:
    """Grouping counts offers and sites."""
    rows = run("offers", *MARKET, "-o", "json", "--group-by", "provider").json()
    assert [(row["provider"], row["offers"]) for row in rows] == [
        ("dc_roan", 1),
        ("hyperstack", 2),
        ("runpod", 7),
        ("crusoecloud", 3),
    ]


@pytest.mark.slow
def test_offers_mark_sites_with_the_gpu(run: Run) -> None:
    """--gpus marks the four runpod sites of the documented market that have an A100."""
    gpus = ("--gpus-file", "shipped:gpu-offers")
    rows = run("offers", *MARKET, *gpus, "--gpus", "A100_80GB", "-o", "json").json()
    have = {row["data_center"]: row["gpu_usd_hr"] for row in rows if row["gpu"] == "yes"}
    assert have == {
        "US-CA-2": "1.7568",
        "US-KS-2": "1.6568",
        "US-MO-1": "1.7568",
        "US-WA-1": "1.7568",
    }
    ran = run("offers", *MARKET, *gpus, "--gpus", "A100_80G")
    assert "did you mean A100_80GB" in ran.err


@pytest.mark.sweep
@pytest.mark.parametrize("columns", ["80", "160"])
def test_offers_table_fits_and_says_what_it_leaves_out(run: Run, columns: str) -> None:
    """Narrow terminals lose columns, never rows, and a line under the table names them."""
    ran = run("offers", *MARKET, "--size", "4TB", env={"COLUMNS": columns})
    assert max(len(line) for line in ran.out.splitlines()) <= int(columns)
    assert ran.out.count("runpod") == 7
    assert ("Not shown at this width" in ran.out) == (columns == "80")


def test_saved_offers_read_back_the_same(run: Run) -> None:
    """--save keeps the listing in the API's shape, to the last digit."""
    first = run("offers", *MARKET, "--save", "kept.json", "-o", "json")
    assert run("offers", "--offers", "kept.json", "-o", "json").json() == first.json()


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("--stock", "high"),
        ("--security", "secure"),
        ("--sort", "price"),
        ("--group-by", "planet"),
        ("--size", "4 XB"),
        ("--size", "0"),
        ("--max-price", "cheap"),
        ("--max-price", "nan"),
        ("--multinode-file", "x.json"),
        ("--gpus-file", "shipped:gpu-offers"),
    ],
)
def test_wrong_words_of_offers_are_two(run: Run, words: tuple[str, ...]) -> None:
    """A value that means nothing is exit 2, not an empty table."""
    assert run("offers", *MARKET, *words).code == 2


def test_malformed_rows_are_reported_and_stay(run: Run, tmp_path: Path) -> None:
    """A row that cannot be believed is named with place and reason, and is in the JSON."""
    document: dict[str, Any] = json.loads(shipped_path("disk-offers").read_text())
    document["items"][6]["spec"]["pricePerUnit"] = "0.0001"
    (tmp_path / "m.json").write_text(json.dumps(document))
    ran = run("offers", "--offers", "m.json", "-o", "json")
    assert len(ran.json()) == 13
    assert "row 7" in ran.err
    assert "pricePerUnit" in ran.err
    plan = run("plan", "shipped:research", "--offers", "m.json", "-o", "json").json()
    assert any("row 7" in warning for warning in plan["warnings"])


def test_malformed_gpu_rows_are_reported(run: Run, tmp_path: Path) -> None:
    """A GPU row that marks no site because it cannot be believed is said, not passed over."""
    document: dict[str, Any] = json.loads(shipped_path("gpu-offers").read_text())
    document["items"][1]["prices"]["currency"] = "EUR"
    (tmp_path / "g.json").write_text(json.dumps(document))
    ran = run("offers", *MARKET, "--gpus", "A100_80GB", "--gpus-file", "g.json")
    assert ran.code == 0
    assert "GPU row 2 (runpod US-KS-2 (US)) is left out" in ran.err
    assert "only USD is understood" in ran.err
