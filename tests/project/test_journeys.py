"""Buying, stock-outs, faults and kills: the same commands typed again converge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from planner.project import buy, execute
from planner.project.journal import Journal
from tests.project.journeys import (
    HISTORIES,
    PROJECTS,
    Journey,
    after_a_stock_out,
    journeys,
    play,
    sample,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.sweep
@pytest.mark.parametrize("journey", sample()[::4], ids=str)
def test_killed_anywhere_it_converges(journey: Journey, tmp_path: Path) -> None:
    """A few of the sample, with and without planning again."""
    assert play(journey, tmp_path / "state") == []


@pytest.mark.slow
@pytest.mark.parametrize("project", PROJECTS)
@pytest.mark.parametrize("faults", HISTORIES, ids=" ".join)
def test_killed_at_many_steps_it_converges(
    faults: tuple[str, ...], project: str, tmp_path: Path
) -> None:
    """Each history, with both ways to go on, killed at every so many steps."""
    every = 9 if project == "two volumes" else 37
    for number, journey in enumerate(journeys([faults], projects=[project], every=every)):
        assert play(journey, tmp_path / str(number)) == []


@pytest.mark.slow
@pytest.mark.parametrize("journey", [*after_a_stock_out(every=43)], ids=str)
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
