"""Time sweeps of 200 plans by one process and by two, in one run and in one table.

Run it with ``python -m tests.benchmarks sweeping``; ``--quick`` checks a few points in
seconds, and its times say nothing.

The shipped demands on the shipped market: `research`, whose volumes nothing but budgets ties
together, and `finetune`, with GPU jobs, groups, a cap and a share, whose every point is an integer
program. Pools are started anew each time, and their start counts; turns are taken, and the least
time of each is told, with what one thread of this process needs beside it. Exit code 1: the frames
differ, or two are no faster than one.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from planner import read_demand, read_gpus, read_offers, sweep

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

RUNS = 3
HEADS = ("sweep", "points", "plans", "thread s", "one s", "two s", "one/two", "frames")
WIDTHS = (-10, 7, 6, 9, 7, 7, 8, 7)
FACTORS = [f"{n / 20:.2f}" for n in range(16, 26)]
"""Ten, from 0.80 to 1.25."""


@dataclass(frozen=True)
class Case:
    """A shipped demand and what is changed about it."""

    name: str
    grid: dict[str, Any]

    def sweep(self, executor: Executor) -> pd.DataFrame:
        """Return the frame, of the shipped market."""
        offers, gpus = read_offers("shipped:disk-offers"), read_gpus("shipped:gpu-offers")
        demand = read_demand(f"shipped:{self.name}")
        return sweep(demand, offers, self.grid, gpus, executor=executor)


def cases(*, quick: bool) -> list[Case]:
    """Return the rows of the table: ten price factors, times five, times four."""
    home = ["united_states"]
    replicas: dict[str, list[Any]] = {
        "price_factor": FACTORS,
        "corpus.replicas": [1, 2, 3, 4, 5],
        "corpus.regions": [home, [*home, "eu_north"], [*home, "canada"], None],
    }
    caps: dict[str, list[Any]] = {
        "price_factor": FACTORS,
        "max_provider_share": ["55%", "65%", "75%", "85%", None],
        "max_sites": [1, 2, 3, None],
    }
    if quick:
        return [Case("finetune", {key: values[-2:] for key, values in caps.items()})]
    return [Case("research", replicas), Case("finetune", caps)]


def processes(workers: int) -> ProcessPoolExecutor:
    """Return a pool of processes that are not forked."""
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("forkserver"))


WAYS: dict[str, Callable[[], Executor]] = {
    "thread": lambda: ThreadPoolExecutor(1),
    "one": lambda: processes(1),
    "two": lambda: processes(2),
}


def timed(case: Case, way: str) -> tuple[float, pd.DataFrame]:
    """Return the seconds of a sweep, its workers' start among them, and the frame."""
    started = time.perf_counter()
    with WAYS[way]() as executor:
        frame = case.sweep(executor)
    return time.perf_counter() - started, frame


def row(case: Case, runs: int) -> tuple[str, bool]:
    """Return a line of the table, and whether frames are the same and two faster than one."""
    least: dict[str, float] = {}
    frames = []
    for _ in range(runs):
        for way in WAYS:
            seconds, frame = timed(case, way)
            least[way] = min(seconds, least.get(way, seconds))
            frames.append(frame)
    same = all(frame.equals(frames[0]) for frame in frames)
    ratio = least["one"] / least["two"]
    cells = [case.name, len(frames[0]), int(frames[0]["feasible"].sum())]
    cells += [f"{least[way]:.2f}" for way in WAYS]
    return line([*cells, f"{ratio:.2f}", "same" if same else "DIFFER"]), same and ratio > 1


def line(cells: list[Any]) -> str:
    """Return cells in their columns."""
    padded = (f"{c!s:{'<' if w < 0 else '>'}{abs(w)}}" for c, w in zip(cells, WIDTHS, strict=True))
    return " ".join(padded).rstrip()


def main(words: list[str] | None = None) -> int:
    """Print the table; return 1 where frames differ, or two are no faster than one."""
    parser = argparse.ArgumentParser(description="Time sweeps; see the module.")
    parser.add_argument("--quick", action="store_true", help="a few points, in seconds")
    asked = parser.parse_args(words)
    libraries = (f"{name} {version(name)}" for name in ("highspy", "pulp", "numpy", "pandas"))
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print("Python", platform.python_version(), *libraries)
    print(line([*HEADS]), flush=True)
    held = True
    for case in cases(quick=asked.quick):
        told, is_held = row(case, 1 if asked.quick else RUNS)
        held &= is_held or (asked.quick and told.endswith("same"))
        print(told, flush=True)
    return 0 if held else 1
