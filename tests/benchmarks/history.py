"""Time the market history: 2,000 listings recorded, shown, and asked about one offer.

Run it with ``python -m tests.benchmarks history``. The market is random but seeded: in each listing
one offer in twenty has another stock level, and one in a hundred another price. Times are processor
times, as other work on the machine would count otherwise, and the wall's beside them.
"""

from __future__ import annotations

import argparse
import platform
import random
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import planner
from planner.market.history import offer_records
from planner.market.history_file import FILE, Recorder
from planner.market.snapshot import Snapshot
from tests.benchmarks.instances import market

if TYPE_CHECKING:
    from collections.abc import Callable

TARGET: dict[str, str | None] = {"base_url": "https://market.test", "team_id": None}
START = datetime(2026, 1, 1, tzinfo=UTC)


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """Return the processor seconds and the seconds that work takes."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.process_time() - processor, time.perf_counter() - wall


def moved(rows: list[dict[str, Any]], rng: random.Random) -> list[dict[str, Any]]:
    """Return a listing in which some offers are not as they were."""
    later = list(rows)
    for at in rng.sample(range(len(rows)), max(1, len(rows) // 20)):
        spec = dict(rows[at]["spec"])
        if rng.random() < 1 / 5:
            spec["pricePerUnit"] = round(rng.uniform(5e-5, 3e-4), 9)
        stock = rng.choice(["Low", "High", "Unavailable"])
        later[at] = {**rows[at], "spec": spec, "stockStatus": stock}
    return later


def recorded(folder: Path, listings: int, offers: int) -> list[tuple[float, float]]:
    """Record so many listings, an hour apart, and return what each took."""
    rng, rows = random.Random(1), market(offers)
    record, took = Recorder(folder, str(TARGET["base_url"]), None), []
    for hour in range(listings):
        rows = moved(rows, rng)
        snapshot = Snapshot(rows, "benchmark", START + timedelta(hours=hour))
        took.append(measured(lambda: record("disks", snapshot)))  # noqa: B023 -- called at once
    return took


def main(arguments: list[str] | None = None) -> int:
    """Print what recording, showing and asking take."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small history")
    quick = parser.parse_args(arguments).quick
    listings, offers = (20, 30) if quick else (2000, 300)
    print(f"{platform.python_version()}, {listings} listings of {offers} offers")
    print(f"{'what':<28} {'processor ms':>12} {'wall ms':>10}")

    def line(what: str, seconds: tuple[float, float]) -> None:
        print(f"{what:<28} {seconds[0] * 1e3:12.1f} {seconds[1] * 1e3:10.1f}")

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        took = recorded(folder, listings, offers)
        processor, wall = (sorted(times) for times in zip(*took, strict=True))
        for what, at in (("record, median", 1 / 2), ("record, slowest of a hundred", 99 / 100)):
            rank = int(at * listings)
            line(what, (processor[rank], wall[rank]))
        line("show", measured(lambda: planner.history(state=folder)))
        some = ["provider-1"]
        line("show a provider", measured(lambda: planner.history(state=folder, providers=some)))
        line("show every change", measured(lambda: planner.history(state=folder, changes=True)))
        row = market(offers)[0]
        key = (row["provider"], row["cloudId"], row["dataCenter"], row["country"])
        line("one offer's record", measured(lambda: offer_records([(key, 1000)], TARGET, folder)))
        print(f"{'file':<28} {(folder / FILE).stat().st_size / 1e6:12.1f} MB")
    return 0
