"""The benchmarks of solver and sweeps, at small sizes: what they compare agrees."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from tests.benchmarks import growing, history, solving, sweeping
from tests.benchmarks.solving import Case, Measured, Size


@pytest.mark.slow
def test_small_sizes_cost_what_the_programs_written_by_hand_say(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every case runs, pair by pair and on the pruned matrix, and no cost differs."""
    assert solving.main(["--quick"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[3:]] == [
        case.name for case in solving.cases(quick=True)
    ]


@pytest.mark.slow
def test_no_way_of_buying_beats_whoever_knows_the_months(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The back-test's least is the clairvoyant's; a schedule costs less than buying once."""
    growing.back_test()
    order = [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()[2:]]
    assert order[0] == "clairvoyant"
    assert order.index("schedule") < order.index("once")


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


@pytest.mark.slow
def test_sweeps_of_a_few_points_are_the_same_by_one_and_by_two(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A thread, a process and two of them give one frame, of plans and of what has none."""
    assert sweeping.main(["--quick"]) == 0
    lines = capsys.readouterr().out.splitlines()[3:]
    assert [(line.split()[0], line.split()[1], line.split()[-1]) for line in lines] == [
        ("finetune", "8", "same"),
    ]


def test_the_whole_sweeps_have_200_points() -> None:
    """Ten by five by four, of which some have a plan and some have none."""
    for case in sweeping.cases(quick=False):
        assert math.prod(len(values) for values in case.grid.values()) == 200


def test_frames_that_differ_or_two_that_are_slower_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Either is a failure of the benchmark; the ratio is of the least times."""
    case, frame = sweeping.cases(quick=True)[0], pd.DataFrame({"feasible": [True, False]})
    seconds = {"thread": 1.0, "one": 3.0, "two": 2.0}
    monkeypatch.setattr(sweeping, "timed", lambda _, way: (seconds[way], frame.copy()))
    line, held = sweeping.row(case, 2)
    assert line.split() == ["finetune", "2", "1", "1.00", "3.00", "2.00", "1.50", "same"]
    assert held
    seconds["two"] = 3.1
    assert sweeping.row(case, 2)[1] is False
    seconds["two"] = 2.0
    other = pd.DataFrame({"feasible": [True, True]})
    monkeypatch.setattr(
        sweeping, "timed", lambda _, way: (seconds[way], other if way == "two" else frame)
    )
    line, held = sweeping.row(case, 1)
    assert (line.split()[-1], held) == ("DIFFER", False)


def test_a_small_history_is_recorded_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Every line of the table has its times."""
    assert history.main(["--quick"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("20 listings of 30 offers")
    assert len(lines) == 9
