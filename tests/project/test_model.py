"""A model of an owner's life: plans, runs, faults, kills, strangers, time, destroy; and the rules.

Whatever happens in whatever order, the world's own log has to agree with the promise.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from planner.errors import PlannerError
from planner.project.context import Context
from planner.project.destroy import destroy
from planner.project.journal import Journal
from planner.project.state import State
from tests.project.checker import broken
from tests.project.faults import FAULTS
from tests.project.world import Killed, World, plan_of

if TYPE_CHECKING:
    from planner.project.outcome import ApplyOutcome
    from planner.project.state import Slot

pytestmark = pytest.mark.slow

TROUBLE = sorted(set(FAULTS) - {"twice", "large_after"})
"""Delivered twice is beyond the promise; it is reported, and tested elsewhere."""


class Owner(RuleBasedStateMachine):
    """One plan of three disks, one state directory, one marketplace."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.state = Path(self.folder.name) / "state"
        self.world = World()
        self.plan = plan_of(3)
        self.report: ApplyOutcome | None = None
        self.deleted: set[str] = set()
        self.strangers: list[str] = []

    def teardown(self) -> None:
        self.folder.cleanup()

    @rule(names=st.lists(st.sampled_from(TROUBLE), max_size=2))
    def trouble(self, names: list[str]) -> None:
        self.world._faults += names

    @rule(parallel=st.sampled_from([1, 3]))
    def run(self, parallel: int) -> None:
        self.world.kill_at = None
        self.report = self.world.apply(self.state, self.plan, parallel=parallel)

    @rule(step=st.integers(1, 60))
    def run_and_die(self, step: int) -> None:
        self.world.kill_at = self.world.steps + step
        try:
            self.report = self.world.apply(self.state, self.plan)
        except Killed:
            self.report = None
        self.world.kill_at = None

    @rule(seconds=st.sampled_from([1, 100, 1000, 5000]))
    def wait(self, seconds: int) -> None:
        self.world.clock.sleep(seconds)

    @rule()
    def stranger(self) -> None:
        self.strangers.append(self.world.foreign(f"theirs-{len(self.strangers)}"))

    @rule(scarce=st.booleans())
    def market(self, scarce: bool) -> None:
        self.world.offers[0]["stockStatus"] = "Unavailable" if scarce else "High"

    @rule()
    def destroy_all(self) -> None:
        self.world.kill_at = None
        before = len(self.world.log)
        with (
            self.world.account() as account,
            Journal(self.state, write=True, now=self.world.clock.now) as journal,
        ):
            ctx = Context(account, journal, State(journal.records), self.world.pace())
            mine = [one for one in ctx.state.entries.values() if one.stage == "created"]
            try:
                for one in destroy(ctx, mine, confirm=lambda _: True):
                    self.deleted |= set(one.entry.ids)
            except PlannerError:
                pass
        # What destroy sends is its own business; apply sends no DELETE.
        self.world.log[before:] = [one for one in self.world.log[before:] if one.method != "DELETE"]

    @invariant()
    def the_promise_holds(self) -> None:
        if self.state.exists():
            report = self.report
            assert broken(self.world, self.state, report, self.plan) == []

    @invariant()
    def strangers_are_left_alone(self) -> None:
        assert all(self.world.status(one) == "ACTIVE" for one in self.strangers)

    @invariant()
    def no_name_lives_twice(self) -> None:
        names = [disk.name for disk in self.world.live]
        ours = [name for name in names if name in {one.name for one in self.slots()}]
        assert len(ours) == len(set(ours))

    def slots(self) -> list[Slot]:
        from planner.project.state import slots_of

        return list(slots_of(self.plan))


TestOwner = Owner.TestCase
TestOwner.settings = settings(
    max_examples=25,
    stateful_step_count=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
