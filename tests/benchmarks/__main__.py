"""How long plans take beside the best programs for the same problems, in one run and one table.

``python -m tests.benchmarks`` checks small sizes in a minute, in one process; its times say little.
``--full`` takes the whole sizes, each solver in a process of its own, and some forty minutes. Names
of lines take only those. ``growing``, ``history``, ``sweeping`` and ``commands`` are other tables.

planner   from a demand held against a market to the settled, exact choice; timed right before and
          right after the others, and averaged; MB is the peak of its process.
HiGHS     the best formulation, from numpy to HiGHS called directly.
CP-SAT    the same, by OR-Tools.
PuLP      the program pair by pair, as people write it, solved by HiGHS.

Seconds are of the processor, of one thread. Beside each is how many times as long as planner it
took; >= where it was stopped before its proof. The others may stop at the gap that planner proved.
Lines that are held against one plan have no rival. Markets and fleets are random but seeded. Exit
code 1: results differ, a gap or ratio is above its aim, or planner is behind: on a line of a second
or more at all, on others by over a tenth of a second.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from importlib.metadata import version
from typing import Any

from planner.solve.optimise import prove
from planner.solve.optimum import Optimum, optimum
from planner.solve.problem import Instance
from planner.solve.solver import _silent_stdout
from tests.benchmarks import beside, commands, growing, history, sweeping
from tests.benchmarks.instances import Size, inputs
from tests.benchmarks.rivals import RIVALS, Measured, Program, by_highs, measured

GAP, AGREE = 1e-6, 2e-6
TABLES: dict[str, Any] = {
    "growing": growing,
    "history": history,
    "sweeping": sweeping,
    "commands": commands,
}


@dataclass(frozen=True)
class Line:
    """What is solved, to which gap, and at which size in a minute."""

    name: str
    size: Size
    small: Size
    gap: float = GAP


SHARE = Size(2000, 500, share="0.25")
GROUPS = Size(200, 100, share="0.2", groups=50, team=4, even=True, wishes=0)
LINES = [
    Line("share 0.25", SHARE, Size(300, 60, share="0.25")),
    Line("share 0.11", replace(SHARE, share="0.11"), Size(20, 40, share="0.35"), 1e-4),
    Line("share middle", Size(200, 200, share="0.15"), Size(100, 100, share="0.25")),
    Line("groups of 4", GROUPS, Size(16, 40, share="0.5", groups=4, team=4, even=True), 5e-3),
    Line("budgets", Size(100, 100, share="0.35", team=1), Size(20, 40, share="0.4")),
    Line("jobs 40", Size(100, 100, jobs=40, gpus=60), Size(20, 40, jobs=8, gpus=40)),
    Line("max_sites 7", Size(100, 100, sites=7, team=1), Size(20, 40, sites=2, team=1)),
    Line("jobs 500", Size(500, 200, jobs=500, gpus=300, wishes=0), Size(40, 60, jobs=20, gpus=60)),
    Line("large", Size(10_000, 1000, share="0.25"), Size(600, 60, share="0.3")),
    Line("1,000 groups", Size(5000, 500, groups=1000), Size(50, 40, groups=10)),
]


def ours(size: Size) -> tuple[Measured, Instance, Optimum | None]:
    """Return what a fleet costs, and the processor time from a demand to the choice."""
    asked, start = inputs(size), time.process_time()
    held = Instance.of(*asked)
    found = optimum(held)
    cpu = time.process_time() - start
    if found is None:
        return Measured(None, math.inf, cpu), held, None
    assert held.holds(held.whole, found.chosen)
    usd = float(found.usd_month)
    return Measured(usd, usd * (1 - prove(held, found).solver.gap), cpu), held, found


def measure(who: str, size: Size, gap: float, limit_s: float) -> Measured:
    """Return what one of them takes in this process, which has loaded and warmed everything."""
    with _silent_stdout():
        tiny = Program()
        tiny.one_of([tiny.add(1), tiny.add(2)])
        by_highs(tiny, 0, 1)
        if who == "planner":
            done, *_ = ours(size)
        else:
            done = measured(who, Instance.of(*inputs(size)), gap, limit_s)
    return replace(done, mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)


def apart(who: str, size: Size, gap: float, limit_s: float) -> Measured:
    """Return the same of a process of its own."""
    what = json.dumps([who, asdict(size), gap, limit_s])
    words = [sys.executable, "-m", "tests.benchmarks", "--measure", what]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    late = None if who == "planner" else 3 * limit_s + 60
    try:  # HiGHS does not always look at the clock
        said = subprocess.check_output(words, env=one_thread, timeout=late)
    except subprocess.TimeoutExpired:
        return Measured(None, -math.inf, limit_s, stopped=True)
    return Measured(**json.loads(said.splitlines()[-1]))


def with_budgets(size: Size) -> Size:
    """Return a size whose four owners have budgets, of which the first binds."""
    free = replace(size, budgets=tuple((f"team-{n}", "1000000000") for n in range(4)))
    _, held, found = ours(free)
    assert found is not None
    spent: dict[str, Decimal] = defaultdict(Decimal)
    for v, volume in enumerate(held.demand.volumes):
        spent[volume.owner or ""] += held.usd_month({v: found.chosen[v]}, {})
    least = {"team-0": Decimal("0.9995")}
    limits = ((o, f"{spent[o] * least.get(o, Decimal('1.02')):.2f}") for o, _ in free.budgets)
    return replace(size, budgets=tuple(limits))


def row(line: Line, limit_s: float, *, full: bool) -> tuple[str, bool]:
    """Return a line of the table, and whether results agree and planner is not behind."""
    size, run = line.size if full else line.small, apart if full else measure
    if line.name == "budgets":
        size = with_budgets(size)
    before = run("planner", size, line.gap, limit_s)
    assert before.usd is not None
    usd, gap = before.usd, 1 - before.bound / before.usd
    theirs = {who: run(who, size, max(GAP, gap), limit_s) for who in RIVALS}
    after = run("planner", size, line.gap, limit_s)
    cpu = (before.cpu + after.cpu) / 2
    cells = [line.name, f"{cpu:.2f}", f"{gap:.0e}", f"{max(before.mb, after.mb):.0f}"]
    wrong = [] if gap <= line.gap else [f"gap {gap:.1e} above {line.gap:g}"]
    for who, other in theirs.items():
        least = ">=" if other.stopped else ""
        cells += [f"{other.cpu:.2f}", f"{least}{other.cpu / cpu:.1f}x"]
        if not agree(before, other):
            wrong.append(f"{who} DIFFERS: planner {usd} bound {before.bound}, {who} {other}")
        behind = cpu - other.cpu
        if full and not other.stopped and behind > (0 if cpu >= 1 else 0.1):
            wrong.append(f"{behind:.2f} s behind {who}")
    return "\n  ".join([_line(cells), *wrong]), not wrong


def agree(ours: Measured, other: Measured) -> bool:
    """Return whether two results can both be right: each bound is below the other's cost."""
    if ours.usd is None or (other.usd is None and not other.stopped):
        return ours.usd is None and other.usd is None
    mine, cost = ours.usd, math.inf if other.usd is None else other.usd
    return ours.bound <= cost * (1 + AGREE) and other.bound <= mine * (1 + AGREE)


HEADS = "line,planner s,gap,MB,HiGHS s,,CP-SAT s,,PuLP s,"
WIDTHS = (-13, 9, 6, 6, 8, 8, 9, 8, 8, 9)


def _line(cells: list[str]) -> str:
    padded = (f"{c:{'<' if w < 0 else '>'}{abs(w)}}" for c, w in zip(cells, WIDTHS, strict=True))
    return " ".join(padded).rstrip()


def main(words: list[str] | None = None) -> int:
    """Print the table; return 1 where something is wrong with a line."""
    words = sys.argv[1:] if words is None else words
    if words and words[0] in TABLES:
        return int(TABLES[words[0]].main(words[1:]))
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("lines", nargs="*", help="only these")
    parser.add_argument("--full", action="store_true", help="the whole sizes")
    parser.add_argument("--limit", type=float, help="seconds of a rival (60; small sizes: 2)")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    asked = parser.parse_args(words)
    if asked.measure:
        who, size, gap, limit_s = json.loads(asked.measure)
        print(json.dumps(asdict(measure(who, Size(**size), gap, limit_s))))
        return 0
    known = [*(line.name for line in LINES), *beside.ROWS]
    if unknown := {*asked.lines} - {*known}:
        parser.error(f"no line {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    libraries = (f"{name} {version(name)}" for name in ("highspy", "ortools", "pulp", "numpy"))
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print("Python", platform.python_version(), *libraries)
    print(_line(HEADS.split(",")), flush=True)
    held = True
    for line in LINES:
        if line.name in (asked.lines or known):
            limit_s = asked.limit or (60 if asked.full else 2)
            text, is_held = row(line, limit_s, full=asked.full)
            held &= is_held
            print(text, flush=True)
    return 0 if beside.table(asked.lines or known, full=asked.full) and held else 1


if __name__ == "__main__":
    sys.exit(main())
