"""The benchmarks at small sizes: what they compare agrees, and what does not is said."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from tests.benchmarks import __main__ as benchmarks
from tests.benchmarks import beside, growing, history, sweeping
from tests.benchmarks.__main__ import LINES, Line, agree, ours, row, with_budgets
from tests.benchmarks.rivals import RIVALS, Measured, measured

QUICK = [line for line in LINES if line.name not in {"share 0.25", "share middle", "large"}]
"""Those whose small sizes every solver proves."""


@pytest.mark.slow
@pytest.mark.parametrize("line", QUICK, ids=lambda line: line.name)
def test_what_is_compared_agrees(line: Line) -> None:
    """HiGHS, CP-SAT and PuLP cost what planner does, on each kind of problem at a small size."""
    pytest.importorskip("ortools")
    size = with_budgets(line.small) if line.name == "budgets" else line.small
    mine, held, _ = ours(size)
    assert mine.usd is not None
    for who in RIVALS:
        other = measured(who, held, line.gap, 30)
        assert not other.stopped
        assert agree(mine, other)
        assert other.usd == pytest.approx(mine.usd, rel=max(line.gap, 2e-6))


def test_what_differs_and_who_is_behind_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cost below planner's bound, a gap above the line's, and a second behind."""
    results = {who: Measured(100.0, 100.0, 1.0) for who in ("planner", *RIVALS)}
    monkeypatch.setattr(benchmarks, "apart", lambda who, *_: results[who])
    line = QUICK[0]
    text, is_held = row(line, 1, full=True)
    assert (text.count("\n"), is_held) == (0, True)
    results["planner"] = Measured(100.0, 99.0, 2.0)
    results["CP-SAT"] = Measured(98.0, 98.0, 1.5, stopped=True)
    text, is_held = row(line, 1, full=True)
    assert not is_held
    assert "gap 1.0e-02 above" in text
    assert "1.00 s behind HiGHS" in text
    assert "CP-SAT DIFFERS" in text
    assert "behind CP-SAT" not in text


@pytest.mark.slow
def test_rows_beside_one_plan_run_at_small_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    """Each has its two times; aims are of the whole sizes."""
    names = [name for name in beside.ROWS if name not in {"volumes", "yaml"}]
    assert beside.table(names, full=False)
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[2:]] == names


@pytest.mark.slow
def test_no_way_of_buying_beats_whoever_knows_the_months(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The back-test's least is the clairvoyant's; a schedule costs less than buying once."""
    growing.back_test(2)
    order = [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()[2:]]
    assert order[0] == "clairvoyant"
    assert order.index("schedule") < order.index("once")


@pytest.mark.parametrize(
    ("theirs", "agrees"),
    [
        (Measured(100.0, 100.0, 1), True),
        (Measured(100.1, 100.1, 1), False),
        (Measured(99.9, 99.9, 1), False),
        (Measured(100.1, 99.9, 1, stopped=True), True),
        (Measured(99.9, 90.0, 1, stopped=True), False),
        (Measured(None, 99.0, 1, stopped=True), True),
        (Measured(None, 101.0, 1, stopped=True), False),
        (Measured(None, 0.0, 1), False),
    ],
)
def test_results_agree_where_both_can_be_right(theirs: Measured, *, agrees: bool) -> None:
    """One that was stopped has to leave planner's cost between bound and cost."""
    assert agree(Measured(100.0, 100.0, 1), theirs) is agrees


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
