"""Plans come and go, the project stays: what an earlier plan left open is reconciled first."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner.demand.read import demand_from
from planner.project.journal import Journal
from planner.project.state import State
from planner.project.status import read_status
from tests.project.checker import broken
from tests.project.world import QUARANTINE_S, URL, Killed, World, offer, plan_of, planned_live

if TYPE_CHECKING:
    from pathlib import Path

    from planner.demand.model import Demand
    from planner.plans.plan import Plan

TARGET: dict[str, str | None] = {"base_url": URL, "team_id": None}
SECOND = "nonce-2"
STAGES = {"429_after": "limited", "401_after": "paused"}


def killed_in_post(world: World, folder: Path, plan: Plan) -> None:
    """Die once the marketplace has the create, before its answer is recorded."""
    world.on_create = lambda _: world.__setattr__("kill_at", 1)
    with pytest.raises(Killed):
        world.apply(folder, plan)
    world.kill_at, world.on_create = None, lambda _: None


def planned_again(world: World, folder: Path, nonce: str, demand: Demand | None = None) -> Plan:
    """Plan as with a key: the account's disks and the journal are read."""
    return planned_live(world, folder, demand or plan_of(2).demand, nonce)


def state_of(folder: Path) -> State:
    with Journal(folder, write=False) as journal:
        return State(journal.records)


@pytest.mark.slow
def test_killed_during_a_create_and_planned_again_it_converges(tmp_path: Path) -> None:
    """The disk listed under the pending name serves the slot of the new plan."""
    world, first, second = World(), plan_of(2), plan_of(2, nonce=SECOND)
    killed_in_post(world, tmp_path, first)
    outcome = world.apply(tmp_path, second)
    assert outcome.exit_code == 0
    assert [row.state for row in outcome.rows] == ["created"] * 2
    assert len(world.live) == len(world.posts) == 2
    assert broken(world, tmp_path, outcome, first, second) == []
    with world.account() as account, Journal(tmp_path, write=False) as journal:
        standing = read_status(journal.records, account)
    assert (standing.exit_code, len(standing.disks)) == (0, len(world.live))
    again = world.apply(tmp_path, second)
    assert (again.exit_code, len(world.live)) == (0, len(world.posts))


def test_what_the_new_plan_does_not_want_is_recorded_and_not_bought_again(tmp_path: Path) -> None:
    """Another size: the disk is recorded for its own plan, and nothing more is sent."""
    world = World()
    killed_in_post(world, tmp_path, plan_of(1))
    other = plan_of(1, nonce=SECOND)
    (volume,) = other.demand.volumes
    demand = other.demand.model_copy(
        update={"volumes": (volume.model_copy(update={"size_gb": 250}),)}
    )
    larger = planner.plan(demand, world.market(), target=TARGET, now=world.clock.now())
    outcome = world.apply(tmp_path, larger)
    assert (outcome.exit_code, len(world.posts)) == (7, 1)
    assert world.live[0].id in str(outcome.stop)
    assert "plan again" in (outcome.stop.hint or "" if outcome.stop else "")


@pytest.mark.slow
def test_a_lost_create_of_an_earlier_plan_holds_the_next_until_its_quarantine(
    tmp_path: Path,
) -> None:
    """Exit 6 with the time, then exit 0: nothing was created, and no one has to decide."""
    world, second = World(), plan_of(2, nonce=SECOND)
    world.fault("lost_before")
    assert world.apply(tmp_path).exit_code == 6
    held = world.apply(tmp_path, second)
    assert (held.exit_code, len(world.posts)) == (6, 1)
    assert any("2026-01-01 12:1" in text for text in held.advice)
    assert held.to_document()["pending"] == [world.posts[0]]
    world.clock.sleep(QUARANTINE_S + 60)
    outcome = world.apply(tmp_path, second)
    assert (outcome.exit_code, len(world.posts), len(world.live)) == (0, 3, 2)


@pytest.mark.slow
def test_an_earlier_create_that_surfaces_after_all_is_reported(tmp_path: Path) -> None:
    """Later than the quarantine promises: exit 7 with its id, never silent."""
    world, second = World(), plan_of(1, nonce=SECOND)
    world.fault("lost_before")
    world.apply(tmp_path, plan_of(1))
    world.clock.sleep(QUARANTINE_S + 60)
    assert world.apply(tmp_path, second).exit_code == 0
    late = world.duplicate(world.posts[0])
    outcome = world.apply(tmp_path, second)
    assert outcome.exit_code == 7
    assert late in str(outcome.stop)


@pytest.mark.slow
def test_another_target_is_not_reconciled_here(tmp_path: Path) -> None:
    """A create that is pending for another team does not hold this one."""
    world = World()
    world.fault("lost_before")
    world.apply(tmp_path, plan_of(1))
    elsewhere = state_of(tmp_path)
    (entry,) = elsewhere.entries.values()
    assert elsewhere.is_at(entry, TARGET)
    assert not elsewhere.is_at(entry, {**TARGET, "team_id": "team-2"})
    other = plan_of(1, "else", nonce=SECOND)
    assert world.apply(tmp_path, other).exit_code == 0


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_killed_anywhere_then_planned_again_it_converges(part: int, tmp_path: Path) -> None:
    """Kill points of the first run; then plan and apply, at most three times."""
    probe = World()
    probe.apply(tmp_path / "probe", plan_of(2))
    for step in range(1 + 3 * part, probe.steps + 1, 12):
        world, folder = World(), tmp_path / str(step)
        world.kill_at = step
        with pytest.raises(Killed):
            world.apply(folder, plan_of(2))
        world.kill_at = None
        codes, plans = [], [plan_of(2)]
        for turn in range(3):
            plans.append(planned_again(world, folder, f"again-{turn}"))
            outcome = world.apply(folder, plans[-1])
            codes.append(outcome.exit_code)
            if codes[-1] == 0:
                break
            world.clock.sleep(QUARANTINE_S + 60)
        assert codes[-1] == 0, (step, codes)
        assert len(world.live) == 2, step


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["429_after", "401_after"])
def test_a_disk_that_was_refused_and_exists_is_kept_by_the_next_plan(
    fault: str, tmp_path: Path
) -> None:
    """The refusal is recorded, then the run is gone before it lists: nobody has to decide."""
    died = 0
    for step in range(25, 45):
        world, folder = World(), tmp_path / str(step)
        world.fault("ok", fault)
        world.kill_at = step
        with contextlib.suppress(Killed):
            world.apply(folder, plan_of(2))
        world.kill_at = None
        if STAGES[fault] not in {entry.stage for entry in state_of(folder).entries.values()}:
            continue
        died += 1
        again = planned_again(world, folder, SECOND)
        outcome = world.apply(folder, again)
        assert outcome.exit_code == 0, step
        assert len(world.live) == len(set(world.posts)) == 2
        assert broken(world, folder, outcome, plan_of(2), again) == []
    assert died


BIG = {"name": "big", "size_gb": 9000, "max_disks": 2}


@pytest.mark.slow
@pytest.mark.sweep
@pytest.mark.parametrize("fault", ["", "409_stock", "401", "lost_before"])
def test_the_rest_of_a_replica_is_bought_by_the_next_plan(fault: str, tmp_path: Path) -> None:
    """One disk of two was bought, then killed or refused: the next plan's first slot has it."""
    demand = demand_from({"version": 1, "project": "lab", "volumes": [BIG]})
    for step in range(15, 40):  # until one disk is recorded, and nothing of the next
        world, folder = World(), tmp_path / str(step)
        first = planner.plan(demand, world.market(), target=TARGET, now=world.clock.now())
        world.fault("ok", *([fault] if fault else []))
        world.kill_at = None if fault else step
        with contextlib.suppress(Killed):
            world.apply(folder, first)
        entries = state_of(folder).entries.values()
        if fault or [entry.stage for entry in entries] == ["created"]:
            break
    world.kill_at = None
    world.clock.sleep(QUARANTINE_S + 60)
    plan = planned_again(world, folder, SECOND, demand)
    assert [one.action for one in plan.placements] == ["replace"]
    outcome = world.apply(folder, plan)
    assert (outcome.exit_code, len(world.live)) == (0, 2)
    assert [row.state for row in outcome.rows] == ["created"] * 2
    assert broken(world, folder, outcome, first, plan) == []
    last = planned_again(world, folder, "nonce-3", demand)
    assert [one.action for one in last.placements] == ["keep"]


@pytest.mark.slow
def test_half_a_replica_that_does_not_fit_is_replaced(tmp_path: Path) -> None:
    """The first place sells no more: two disks are bought at the other, the first is superseded."""
    world = World()
    demand = demand_from({"version": 1, "project": "lab", "volumes": [BIG]})
    first = planner.plan(demand, world.market(), target=TARGET, now=world.clock.now())
    world.fault("ok", "401")
    assert world.apply(tmp_path, first).exit_code == 4
    world.set_offers([offer("hyperstack", "NO-1", price=0.0002)])
    outcome = world.apply(tmp_path, planned_again(world, tmp_path, SECOND, demand))
    assert (outcome.exit_code, len(world.live)) == (0, 3)
    states = [row["state"] for row in outcome.to_document()["slots"]]
    assert sorted(states) == ["created", "created", "superseded"]


def test_an_intent_holds_all_that_reconciling_needs(tmp_path: Path) -> None:
    """Place, size, price, offer, owner, tags and origin, without the plan file."""
    world = World()
    world.apply(tmp_path, plan_of(1))
    with Journal(tmp_path, write=False) as journal:
        (intent,) = [record for record in journal.records if record["kind"] == "intent"]
    assert intent["offer"] == ["runpod", "cloud-1", "US-1", "US"]
    assert {"owner", "tags", "origin", "facts", "project", "server_at"} <= intent.keys()


def test_an_intent_lists_only_ids_of_the_same_provider_and_size(tmp_path: Path) -> None:
    """An account of thousands of disks does not make every record long."""
    world = World()
    like = world.foreign("theirs", size=100, provider="runpod")
    for number in range(20):
        world.foreign(f"other-{number}")
    assert world.apply(tmp_path, plan_of(1)).exit_code == 0
    with Journal(tmp_path, write=False) as journal:
        (intent,) = [record for record in journal.records if record["kind"] == "intent"]
    assert intent["baseline"] == [like]


@pytest.mark.sweep
@pytest.mark.parametrize("status", ["ERROR", "DELETING", "STOPPED", "UNKNOWN", "MIGRATING"])
def test_a_status_that_needs_attention_is_seven_everywhere(status: str, tmp_path: Path) -> None:
    """Documented or not: apply and status exit 7 and show it."""
    world = World()
    assert world.apply(tmp_path).exit_code == 0
    world.live[0].forced = status
    outcome = world.apply(tmp_path)
    assert outcome.exit_code == 7
    assert status in str(outcome.stop)
    with world.account() as account, Journal(tmp_path, write=False) as journal:
        assert read_status(journal.records, account).exit_code == 7


@pytest.mark.slow
def test_exit_0_is_what_a_listing_of_this_run_shows(tmp_path: Path) -> None:
    """A vanished disk is 7, an unlisted one 6, an unreadable account 4; nothing is sent."""
    world = World()
    assert world.apply(tmp_path).exit_code == 0
    world.hide()
    assert world.apply(tmp_path).exit_code == 6
    world.service.faults.clear()
    world.order("GET /disks/:status=500")
    assert world.apply(tmp_path).exit_code == 4
    world.service.faults.clear()
    gone = world.live[0].id
    world.terminate(gone)
    outcome = world.apply(tmp_path)
    assert outcome.exit_code == 7
    assert gone in str(outcome.stop)
    assert len(world.posts) == 2


@pytest.mark.sweep
@pytest.mark.parametrize("change", [{"usd_hr": 5}, {"size_gb": 99}, {"terminated_us": 0}, {}])
def test_kept_disks_are_proved_too(change: dict[str, Any], tmp_path: Path) -> None:
    """A plan that keeps everything holds only while the account shows it."""
    world = World()
    world.apply(tmp_path, plan_of(2))
    plan = planned_again(world, tmp_path, SECOND)
    assert {placement.action for placement in plan.placements} == {"keep"}
    vars(world.live[0]).update(change)
    assert world.apply(tmp_path, plan).exit_code == (7 if change else 0)


def test_waiting_ends_ready_or_needs_attention(tmp_path: Path) -> None:
    """With --wait only ACTIVE is ready."""
    world = World()
    world.apply(tmp_path, plan_of(1))
    world.live[0].forced = "PROVISIONING"
    calls = 0
    real = world.handle_request

    def fail_later(request: Any) -> Any:
        nonlocal calls
        calls += f"/disks/{world.live[0].id}" in request.url.path
        if calls == 2:
            world.live[0].forced = "ERROR"
        return real(request)

    world.handle_request = fail_later  # type: ignore[method-assign]
    outcome = world.apply(tmp_path, plan_of(1), wait=True)
    assert outcome.exit_code == 7
    assert "ERROR" in str(outcome.stop)


@pytest.mark.sweep
@pytest.mark.parametrize("jump_s", [7200.0, 61.0, 30.0, -30.0, -61.0, -7200.0])
def test_a_server_date_that_jumps_ends_no_quarantine(jump_s: float, tmp_path: Path) -> None:
    """Ours counts as well, and alone where they differ by more than a minute."""
    world = World()
    world.fault("lost_before")
    assert world.apply(tmp_path, plan_of(1)).exit_code == 6
    sent_at = world.requests("POST")[0].at
    world.ahead_s = jump_s
    both = -jump_s if -60 <= jump_s < 0 else 0.0
    world.clock.sleep(sent_at + QUARANTINE_S + both - 100 - world.clock.passed)
    assert world.apply(tmp_path, plan_of(1)).exit_code == 6
    assert len(world.posts) == 1
    world.clock.sleep(sent_at + QUARANTINE_S + both + 2 - world.clock.passed)
    assert world.apply(tmp_path, plan_of(1)).exit_code == 0
    first, second = (sent.at for sent in world.requests("POST"))
    assert second - first >= QUARANTINE_S + both
