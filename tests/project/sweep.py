"""Kill points times faults: ``python -m tests.project.sweep`` runs all of them.

A run meets one fault and dies at one step of network or journal; then it is run again, three times
at most, until two runs agree. What the world's log says afterwards has to hold.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.project.checker import broken
from tests.project.faults import FAULTS
from tests.project.world import QUARANTINE_S, Killed, World, plan_of

if TYPE_CHECKING:
    from collections.abc import Iterator

RESUMES = 3
SLOTS = 2


@dataclass(frozen=True)
class Case:
    """One fault at one create, and the step at which the first run dies; 0 is never."""

    fault: str
    at: int
    kill_at: int

    def __str__(self) -> str:
        return f"{self.fault} at create {self.at}, killed at step {self.kill_at}"


def world_of(case: Case) -> World:
    world = World()
    world.foreign()
    world.fault(*["ok"] * (case.at - 1), case.fault)
    world.kill_at = case.kill_at or None
    return world


def steps_of(fault: str, at: int) -> int:
    """Return how many steps a run takes that is not killed."""
    with tempfile.TemporaryDirectory() as name:
        world = world_of(Case(fault, at, 0))
        world.apply(Path(name) / "state", plan_of(SLOTS))
        return world.steps


def play(case: Case, folder: Path) -> list[str]:
    """Return what a case broke."""
    world, plan = world_of(case), plan_of(SLOTS)
    codes: list[int] = []
    report = None
    for run in range(RESUMES + 1):
        try:
            report = world.apply(folder, plan)
            codes.append(report.exit_code)
        except Killed:
            report = None
        violations = broken(world, folder, report, plan)
        if violations:
            return [f"{case}, run {run + 1}: {text}" for text in violations]
        world.kill_at = None
        world.clock.sleep(2 * QUARANTINE_S + 60)
    if len(codes) < RESUMES or codes[-1] != codes[-2]:
        return [f"{case}: does not converge: {codes}"]
    return []


def cases(faults: list[str] | None = None, *, every: int = 1) -> Iterator[Case]:
    """Yield cases: each fault at the first and the last create, killed at every so many steps."""
    for number, fault in enumerate(faults or FAULTS):
        for at in (1, SLOTS):
            yield Case(fault, at, 0)
            for step in range(1 + (number + at) % every, steps_of(fault, at) + 1, every):
                yield Case(fault, at, step)


def sample() -> list[Case]:
    """Return one kill for each fault, spread over the steps of a run."""
    return [
        Case(fault, 1 + number % SLOTS, 1 + number * 7 % 44) for number, fault in enumerate(FAULTS)
    ]


def main() -> int:
    """Play everything and print what broke."""
    started, played, failed = time.monotonic(), 0, []
    with tempfile.TemporaryDirectory() as name:
        for played, case in enumerate(cases(), 1):
            failed += play(case, Path(name) / str(played))
    for text in failed:
        sys.stdout.write(f"{text}\n")
    seconds = time.monotonic() - started
    sys.stdout.write(
        f"{len(FAULTS)} faults, {played} cases, {len(failed)} broken, {seconds:.0f} s\n"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
