"""Time whole commands as ratios to importing the libraries, in processor time.

Run it with ``python -m tests.benchmarks commands``.

The market and the fleet are random but seeded. Runs alternate, so that a machine that changes its
speed changes both sides; a ratio is the median of the pairs.
"""

from __future__ import annotations

import json
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.instances import market

RUNS = 9
_UNCOMPILED = "PYTHONDONTWRITEBYTECODE"
BASE = [sys.executable, "-c", "import pandas, pulp, httpx"]


def fleet(volumes: int, seed: int = 2) -> dict[str, Any]:
    """Return a demand of so many volumes with up to three replicas."""
    rng = random.Random(seed)
    return {
        "version": 1,
        "volumes": [
            {
                "name": f"volume-{n}",
                "size_gb": rng.randint(100, 9000),
                "replicas": rng.choice([1, 1, 2, 3]),
                "spread": rng.choice(["data_center", "provider", "region", "none"]),
                "max_disks": 2,
                "owner": rng.choice(["research", "serving"]),
            }
            for n in range(volumes)
        ],
    }


def seconds(command: list[str], cwd: Path) -> float:
    """Return the processor time of a command, of the system too."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # As where planner is installed: what is imported was compiled before.
    environment = {key: value for key, value in os.environ.items() if key != _UNCOMPILED}
    subprocess.run(command, cwd=cwd, check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(_: list[str] | None = None) -> int:
    """Print a table: volumes, offers, output, seconds, and the ratio to the imports."""
    print(f"{platform.python_version()}, {os.cpu_count()} cores, median of {RUNS} pairs")
    print(f"{'volumes':>8} {'offers':>7} {'output':>7} {'seconds':>8} {'imports':>8} {'ratio':>6}")
    for volumes, offers in ((1, 13), (50, 500), (500, 500)):
        for output in ("json", "table"):
            with tempfile.TemporaryDirectory() as place:
                cwd = Path(place)
                (cwd / "market.json").write_text(json.dumps(market(offers)))
                (cwd / "fleet.json").write_text(json.dumps(fleet(volumes)))
                words = ["plan", "fleet.json", "--offers", "market.json", "-o", output]
                command = [sys.executable, "-m", "planner", *words]
                seconds(command, cwd)
                pairs = [(seconds(command, cwd), seconds(BASE, cwd)) for _ in range(RUNS)]
            ours, base = (statistics.median(side) for side in zip(*pairs, strict=True))
            ratio = statistics.median(one / other for one, other in pairs)
            print(f"{volumes:8} {offers:7} {output:>7} {ours:8.2f} {base:8.2f} {ratio:6.2f}")
    return 0
