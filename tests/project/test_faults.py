"""The protocol's table, row by row: what each answer to a create leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.project.checker import broken
from tests.project.faults import FAULTS
from tests.project.sweep import Case, play, sample
from tests.project.world import QUARANTINE_S, World, plan_of

if TYPE_CHECKING:
    from pathlib import Path

UNKNOWN = (
    "lost_before",
    "500_before",
    "503_told",
    "425_before",
    "499_before",
    "empty_before",
)
"""The outcome is unknown, nothing was created: exit 6, one more create after the quarantine."""
LATE = ("lost_after_very_late",)
"""Done, but not listed in time: exit 6, and adopted by the next run."""
AGAIN = ("refused_connection", "429", "429_told")
"""Not done, and sent again in the same run."""
FOR_NOW = ("401", "402", "403", "307")
"""Refused now: exit 4, and sent again by the next run."""
FINAL = ("400", "404", "405", "413", "415", "422")
"""Refused for good: exit 4, and never sent again."""
SOLD_OUT = ("422_stock", "409_stock")
"""Out of stock: exit 5, and never sent again."""
JUDGED = (
    "made_other_name",
    "made_other_size",
    "made_other_place",
    "made_dearer",
    "made_terminated",
    "lost_other_name",
    "lost_dearer",
    "twice",
)
"""Something is there that a person has to judge: exit 7."""


def expected(fault: str) -> tuple[int, int, int]:
    """Return the exit code at first and at last, and how many creates arrive."""
    for names, outcome in (
        (UNKNOWN, (6, 0, 3)),
        (LATE, (6, 0, 2)),
        (AGAIN, (0, 0, 3)),
        (FOR_NOW, (4, 0, 3)),
        (FINAL, (4, 4, 2)),
        (SOLD_OUT, (5, 5, 2)),
        (JUDGED, (7, 7, 2)),
        (("429_long",), (4, 0, 3)),
        (("ghost",), (6, 6, 2)),
        (("made_error",), (7, 7, 2)),
    ):
        if fault in names:
            return outcome
    return 0, 0, 2


@pytest.mark.sweep
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_ends_as_the_table_says(fault: str, tmp_path: Path) -> None:
    """The first exit code, the last one, and not one create more than that."""
    world = World()
    world.foreign()
    world.fault("ok", fault)
    codes = []
    for _ in range(4):
        report = world.apply(tmp_path / "state")
        codes.append(report.exit_code)
        assert broken(world, tmp_path / "state", report, plan_of()) == []
        world.clock.sleep(QUARANTINE_S + 60)
    assert (codes[0], codes[-1], len(world.posts)) == expected(fault)
    assert codes[-1] == codes[-2]


@pytest.mark.slow
@pytest.mark.parametrize("fault", [*UNKNOWN, *LATE, *JUDGED, "ghost"])
def test_every_stop_says_what_to_do(fault: str, tmp_path: Path) -> None:
    """Every exit 6 or 7 says what to do."""
    world = World()
    world.fault("ok", fault)
    report = world.apply(tmp_path)
    texts = " ".join((*report.advice, report.stop.hint or "" if report.stop else ""))
    assert "planner resolve" in texts
    if fault in UNKNOWN:
        assert "from 2026-01-01 12:1" in texts  # the quarantine ends a quarter of an hour later


@pytest.mark.slow
@pytest.mark.parametrize("fault", [*FINAL, *SOLD_OUT, *JUDGED, *UNKNOWN, *FOR_NOW, "ghost"])
def test_a_stop_ends_the_run(fault: str, tmp_path: Path) -> None:
    """After a refusal, an unknown outcome or a conflict no other slot is begun."""
    world = World()
    world.fault("ok", fault)
    world.apply(tmp_path, plan_of(4))
    assert len(world.posts) == 2


@pytest.mark.slow
@pytest.mark.parametrize("case", sample(), ids=str)
def test_killed_anywhere_it_converges(case: Case, tmp_path: Path) -> None:
    """A sample of the sweep: no duplicate, no orphan, no blind retry, at most three resumes."""
    assert play(case, tmp_path / "state") == []
