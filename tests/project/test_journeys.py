"""Buying, stock-outs, faults and kills: the same commands typed again converge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from planner.project import buy, execute
from planner.project.journal import Journal
from tests.project.journeys import Journey, after_a_stock_out, play, sample

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.sweep
@pytest.mark.parametrize("journey", sample(), ids=str)
def test_killed_anywhere_it_converges(journey: Journey, tmp_path: Path) -> None:
    """Each history of each project, with or without planning again."""
    assert play(journey, tmp_path / "state") == []


@pytest.mark.slow
@pytest.mark.parametrize("journey", [*after_a_stock_out(every=50)], ids=str)
def test_every_fault_after_a_stock_out(journey: Journey, tmp_path: Path) -> None:
    """What the create at the other offer can meet, and a kill."""
    assert play(journey, tmp_path / "state") == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("owners", "name", "faults"),
    [
        ((execute, buy), "check_ceilings", ("ok", "409_stock", "409_stock")),
        ((Journal,), "store", ("ok", "409_stock", "lost_before")),
    ],
    ids=["limits", "plans are kept first"],
)
def test_without_a_rule_journeys_break(
    owners: tuple[object, ...],
    name: str,
    faults: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What they are held to can fail."""
    journey = Journey(faults, (70,), plans_again=False)
    assert play(journey, tmp_path / "with") == []
    for owner in owners:
        monkeypatch.setattr(owner, name, lambda *_, **__: None)
    assert play(journey, tmp_path / "without") != []
