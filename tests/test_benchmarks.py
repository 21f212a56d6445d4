"""The benchmark of the solver, at small sizes: what it compares agrees."""

from __future__ import annotations

import pytest

from tests.benchmarks import solving
from tests.benchmarks.solving import Case, Measured, Size


def test_small_sizes_cost_what_the_programs_written_by_hand_say(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every case runs, pair by pair and on the pruned matrix, and no cost differs."""
    assert solving.main(["--quick"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[3:]] == [
        case.name for case in solving.cases(quick=True)
    ]


@pytest.mark.parametrize(
    ("theirs", "agree"),
    [
        (Measured(100.0, 100.0, 1, 1), True),
        (Measured(100.1, 100.0, 1, 1), False),
        (Measured(99.9, 99.9, 1, 1), False),
        (Measured(100.1, 99.9, 1, 1, stopped=True), True),
        (Measured(99.9, 90.0, 1, 1, stopped=True), False),
        (Measured(None, 99.0, 1, 1, stopped=True), True),
        (Measured(None, 101.0, 1, 1, stopped=True), False),
    ],
)
def test_a_different_cost_is_told(
    monkeypatch: pytest.MonkeyPatch, theirs: Measured, *, agree: bool
) -> None:
    """Another cost is told; one that was stopped has to leave ours between bound and cost."""
    ours = Measured(100.0, 100.0, 1, 1)
    monkeypatch.setattr(solving, "measure", lambda who, *_: ours if who == "ours" else theirs)
    line, agreed = solving.row(Case("any", Size(1, 3), "pairs"), {"pairs": 1.0}, quick=True)
    assert agreed is agree
    assert ("COSTS DIFFER" in line) is not agree
