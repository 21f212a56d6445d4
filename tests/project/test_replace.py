"""A project grows and moves: the new disk is bought, the old one superseded and retired."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from planner.demand.read import demand_from
from planner.errors import Conflict, InputError, PendingActions
from planner.project.destroy import check_generations, destroy, retire
from planner.project.journal import Journal
from planner.project.resolve import rename_volume
from planner.project.state import State
from planner.project.status import read_status
from tests.project.test_after import opened
from tests.project.world import URL, Killed, World, planned_live

if TYPE_CHECKING:
    from pathlib import Path

    from planner.demand.model import Demand
    from planner.plans.plan import Plan
    from planner.project.outcome import ApplyOutcome

TARGET: dict[str, str | None] = {"base_url": URL, "team_id": None}


def planned(world: World, folder: Path, size_gb: int, nonce: str, **volume: Any) -> Plan:
    """Plan the corpus as with a key, beside 100 GB that never change."""
    volumes = [{"name": "corpus", "size_gb": size_gb, **volume}, {"name": "ckpt", "size_gb": 100}]
    return planned_live(world, folder, demand_of(volumes), nonce)


def demand_of(volumes: list[dict[str, Any]]) -> Demand:
    return demand_from({"version": 1, "project": "lab", "volumes": volumes})


def bought(folder: Path) -> World:
    world = World()
    assert world.apply(folder, planned(world, folder, 600, "nonce-1")).exit_code == 0
    return world


def conditions(world: World, folder: Path) -> list[tuple[str, str]]:
    with world.account() as account, Journal(folder, write=False) as journal:
        result = read_status(journal.records, account)
    return [(disk.entry.volume, disk.condition) for disk in result.disks]


def grown(world: World, folder: Path) -> tuple[Plan, ApplyOutcome]:
    plan = planned(world, folder, 700, "nonce-2")
    return plan, world.apply(folder, plan)


def retired(world: World, folder: Path) -> list[str]:
    with opened(world, folder) as ctx:
        old = [entry for entry in ctx.state.entries.values() if entry.is_superseded]
        return [target.entry.ids[0] for target in retire(ctx, old, confirm=lambda _: True)]


def make_active(world: World) -> None:
    for disk in world.live:
        disk.forced = "ACTIVE"


@pytest.mark.slow
def test_a_grown_volume_is_replaced_without_a_flag(tmp_path: Path) -> None:
    """600 GB to 700: one disk is bought, both exist, and the old one waits to be retired."""
    world = bought(tmp_path)
    old = next(disk.id for disk in world.live if disk.size_gb == 600)
    plan, outcome = grown(world, tmp_path)
    assert [(p.action, p.replaces) for p in plan.placements] == [("replace", (old,)), ("keep", ())]
    assert outcome.exit_code == 0
    new = next(disk.id for disk in world.live if disk.size_gb == 700)
    (superseded,) = outcome.superseded
    assert (superseded.entry.ids, superseded.by) == ((old,), (new,))
    document = outcome.to_document()
    assert document["commands"] == [
        f"rsync -aHAX --info=progress2 /mnt/{old}/ /mnt/{new}/",
        "planner retire lab",
    ]
    assert conditions(world, tmp_path) == [
        ("ckpt", "in order"),
        ("corpus", "superseded"),
        ("corpus", "in order"),
    ]
    assert world.requests("DELETE") == []
    again = planned(world, tmp_path, 700, "nonce-3")
    assert [p.action for p in again.placements] == ["keep", "keep"]
    assert [(disk.id, disk.superseded) for disk in again.leftover] == [(old, True)]
    assert world.apply(tmp_path, again).exit_code == 0
    assert len(world.live) == 3


@pytest.mark.slow
def test_retire_deletes_the_superseded_disk_only_when_the_new_one_is_ready(tmp_path: Path) -> None:
    """PROVISIONING: nothing is deleted. ACTIVE: the old one goes, and nothing else."""
    world = bought(tmp_path)
    old = next(disk.id for disk in world.live if disk.size_gb == 600)
    grown(world, tmp_path)
    with pytest.raises(PendingActions, match="PROVISIONING"):
        retired(world, tmp_path)
    assert world.requests("DELETE") == []
    make_active(world)
    assert retired(world, tmp_path) == [old]
    assert sorted(disk.size_gb for disk in world.live) == [100, 700]
    assert retired(world, tmp_path) == []
    assert planned(world, tmp_path, 700, "nonce-3").leftover == ()


@pytest.mark.slow
def test_an_old_disk_that_is_attached_is_not_retired(tmp_path: Path) -> None:
    """The copy may still be under way: exit 7, and no DELETE."""
    world = bought(tmp_path)
    old = next(disk for disk in world.live if disk.size_gb == 600)
    grown(world, tmp_path)
    make_active(world)
    old.pods = ["pod-1"]
    with pytest.raises(Conflict, match="pod-1"):
        retired(world, tmp_path)
    assert world.requests("DELETE") == []


@pytest.mark.slow
def test_an_old_disk_that_is_gone_already_is_recorded_as_retired(tmp_path: Path) -> None:
    """Deleted by hand after the copy: nothing is wrong, and the project costs less."""
    world = bought(tmp_path)
    old = next(disk.id for disk in world.live if disk.size_gb == 600)
    grown(world, tmp_path)
    make_active(world)
    world.terminate(old)
    assert ("corpus", "retired") in conditions(world, tmp_path)
    assert retired(world, tmp_path) == [old]
    assert world.requests("DELETE") == []


@pytest.mark.slow
def test_what_is_destroyed_gives_its_place_back(tmp_path: Path) -> None:
    """The new disk is destroyed before the copy: the old one is in use again."""
    world = bought(tmp_path)
    grown(world, tmp_path)
    make_active(world)
    with opened(world, tmp_path) as ctx:
        new = [e for e in ctx.state.entries.values() if e.expected.size_gb == 700]
        destroy(ctx, new, confirm=lambda _: True)
    back = planned(world, tmp_path, 600, "nonce-3")
    assert [p.action for p in back.placements] == ["keep", "keep"]
    assert back.leftover == ()


@pytest.mark.slow
def test_two_generations_are_told_apart_by_id(tmp_path: Path) -> None:
    """The volume's name alone deletes neither of two."""
    world = bought(tmp_path)
    grown(world, tmp_path)
    with Journal(tmp_path, write=False) as journal:
        entries = [e for e in State(journal.records).entries.values() if e.volume == "corpus"]
    with pytest.raises(InputError, match=r"600 GB, superseded\n.*700 GB, in use"):
        check_generations(entries)
    check_generations(entries[:1])


@pytest.mark.slow
def test_leaving_a_provider_and_an_error_are_replacements(tmp_path: Path) -> None:
    """A provider that is excluded, and a disk in ERROR: each names the disk it replaces."""
    world = bought(tmp_path)
    old = next(disk for disk in world.live if disk.size_gb == 600)
    world.set_offers([*world.offers, {**world.offers[0], "provider": "hyperstack"}])
    elsewhere = planned(world, tmp_path, 600, "n", exclude={"providers": ["runpod"]})
    assert elsewhere.placements[0].replaces == (old.id,)
    old.forced = "ERROR"
    broken_disk = planned(world, tmp_path, 600, "nonce-2")
    assert broken_disk.placements[0].replaces == (old.id,)
    assert world.apply(tmp_path, broken_disk).exit_code == 0
    assert ("corpus", "superseded") in conditions(world, tmp_path)


@pytest.mark.slow
def test_a_replica_on_two_disks_supersedes_only_when_complete(tmp_path: Path) -> None:
    """One of two new disks is there: the old one is still the volume."""
    world = bought(tmp_path)
    plan = planned(world, tmp_path, 8500, "nonce-2", max_disks=2)
    assert len(plan.requests) == 2
    world.fault("ok", "409_stock")
    assert world.apply(tmp_path, plan).exit_code == 5
    assert ("corpus", "superseded") not in conditions(world, tmp_path)


def journey(world: World, folder: Path, *, again: bool) -> ApplyOutcome:
    """Grow; after a kill run the same plan again, or plan again, at most three times."""
    plan, outcome = planned(world, folder, 700, "nonce-2"), None
    for number in range(4):
        try:
            outcome = world.apply(folder, plan)
        except Killed:
            world.kill_at = None
            world.clock.sleep(1)
            if again:
                plan = planned(world, folder, 700, f"nonce-{number + 3}")
            continue
        if outcome.exit_code == 0:
            return outcome
        world.clock.sleep(1200)
    raise AssertionError(str(outcome and outcome.stop))


@pytest.mark.slow
@pytest.mark.parametrize("again", [False, True])
def test_growth_converges_wherever_it_is_killed(again: bool, tmp_path: Path) -> None:
    """One disk is bought, one is superseded, from every step on; no one types resolve."""
    world = bought(tmp_path / "whole")
    before = world.steps
    journey(world, tmp_path / "whole", again=False)
    steps = world.steps - before
    assert steps > 20
    for step in range(1 + again, steps + 1, 5):
        folder = tmp_path / str(step)
        world = bought(folder)
        world.kill_at = world.steps + step
        try:
            outcome = journey(world, folder, again=again)
        except Killed:  # while planning
            world.kill_at = None
            outcome = journey(world, folder, again=again)
        assert len(world.posts) <= 4, step
        assert sorted(disk.size_gb for disk in world.live) == [100, 600, 700], step
        assert conditions(world, folder) == [
            ("ckpt", "in order"),
            ("corpus", "superseded"),
            ("corpus", "in order"),
        ], step
        assert [d.by for d in outcome.superseded], step


def renamed_demand(world: World, folder: Path, nonce: str) -> Plan:
    """Plan the corpus under another name."""
    volumes = [{"name": "corpus-v2", "size_gb": 600}, {"name": "ckpt", "size_gb": 100}]
    return planned_live(world, folder, demand_of(volumes), nonce)


@pytest.mark.slow
def test_a_renamed_volume_is_offered_as_a_rename_and_never_bought_silently(tmp_path: Path) -> None:
    """The plan names the command, apply refuses, and after the rename the disk is kept."""
    world = bought(tmp_path)
    plan = renamed_demand(world, tmp_path, "nonce-2")
    command = "planner rename lab/corpus corpus-v2"
    assert [text for text in plan.warnings if text.endswith(command)]
    assert plan.summary().commands == ()  # nothing to paste that deletes what may be the same data
    refused = world.apply(tmp_path, plan)
    assert (refused.exit_code, len(world.live)) == (7, 2)
    assert refused.stop is not None
    assert command in str(refused.stop.hint)
    with opened(world, tmp_path) as ctx:
        with pytest.raises(InputError, match="corpsu"):
            rename_volume(ctx, "lab", "corpsu", "corpus-v2")
        with pytest.raises(InputError, match="other disks"):
            rename_volume(ctx, "lab", "corpus", "ckpt")
        assert rename_volume(ctx, "lab", "corpus", "corpus-v2") == 1
    again = renamed_demand(world, tmp_path, "nonce-3")
    assert [p.action for p in again.placements] == ["keep", "keep"]
    assert again.leftover == ()
    assert world.apply(tmp_path, again).exit_code == 0
    assert len(world.live) == 2


@pytest.mark.slow
def test_a_second_set_may_still_be_bought_on_purpose(tmp_path: Path) -> None:
    """It is other data of the same size: --again buys it, and the old disk is left over."""
    world = bought(tmp_path)
    plan = renamed_demand(world, tmp_path, "nonce-2")
    assert world.apply(tmp_path, plan, again=True).exit_code == 0
    assert len(world.live) == 3


@pytest.mark.slow
def test_a_disk_that_vanished_is_created_again_and_no_longer_counted(tmp_path: Path) -> None:
    """Deleted beside planner: the new one takes its place in status, limits and the table."""
    world = bought(tmp_path)
    old = next(disk.id for disk in world.live if disk.size_gb == 600)
    world.terminate(old)
    assert ("corpus", "vanished") in conditions(world, tmp_path)
    outcome = world.apply(tmp_path, planned(world, tmp_path, 600, "nonce-2"))
    assert outcome.exit_code == 0
    assert outcome.usd_hr == Decimal("0.07")
    assert [row["ids"] for row in outcome.disks if old in row["ids"]] == []
    assert conditions(world, tmp_path) == [
        ("ckpt", "in order"),
        ("corpus", "retired"),
        ("corpus", "in order"),
    ]


@pytest.mark.slow
def test_a_replacement_that_went_wrong_is_replaced_and_the_data_is_copied_from_the_first(
    tmp_path: Path,
) -> None:
    """The copy goes from the first disk to the third, and both old disks are retired then."""
    world = bought(tmp_path)
    first = next(disk.id for disk in world.live if disk.size_gb == 600)
    grown(world, tmp_path)
    second = next(disk for disk in world.live if disk.size_gb == 700)
    second.forced = "ERROR"
    outcome = world.apply(tmp_path, planned(world, tmp_path, 700, "nonce-3"))
    assert outcome.exit_code == 0
    (last,) = {disk.id for disk in world.live if disk.size_gb == 700} - {second.id}
    assert {(disk.entry.ids[0], disk.by) for disk in outcome.superseded} == {
        (first, (last,)),
        (second.id, (last,)),
    }
    commands = outcome.to_document()["commands"]  # nothing is copied from what keeps nothing
    copy = f"rsync -aHAX --info=progress2 /mnt/{first}/ /mnt/{last}/"
    assert commands == [copy, "planner retire lab"]
    world.disks[last].forced = "ACTIVE"
    assert sorted(retired(world, tmp_path)) == sorted([first, second.id])
    assert sorted(disk.size_gb for disk in world.live) == [100, 700]


@pytest.mark.slow
def test_a_retirement_that_stops_half_way_goes_on(tmp_path: Path) -> None:
    """Of three disks the second is deleted before the first, which is still superseded."""
    world = bought(tmp_path)
    first = next(disk for disk in world.live if disk.size_gb == 600)
    grown(world, tmp_path)
    assert world.apply(tmp_path, planned(world, tmp_path, 800, "nonce-3")).exit_code == 0
    make_active(world)
    with opened(world, tmp_path) as ctx:
        second = [e for e in ctx.state.entries.values() if e.expected.size_gb == 700]
        retire(ctx, second, confirm=lambda _: True)
    assert retired(world, tmp_path) == [first.id]
    assert sorted(disk.size_gb for disk in world.live) == [100, 800]


@pytest.mark.slow
def test_a_kept_disk_is_paid_for_by_whom_the_last_plan_names(tmp_path: Path) -> None:
    """A volume that changes hands is the new owner's in the journal, once, and nothing is sent."""
    world = bought(tmp_path)
    sent = len(world.log)
    plan = planned(world, tmp_path, 600, "nonce-2", owner="vision", tags={"team": "a"})
    for _ in range(2):
        assert world.apply(tmp_path, plan).exit_code == 0
    with Journal(tmp_path, write=False) as journal:
        entries = {e.volume: e for e in State(journal.records).entries.values()}
        assert [r["kind"] for r in journal.records].count("assigned") == 1
    assert (entries["corpus"].owner, entries["corpus"].tags) == ("vision", {"team": "a"})
    assert entries["ckpt"].owner is None
    assert "POST" not in {request.method for request in world.log[sent:]}


@pytest.mark.slow
def test_apply_shows_what_is_listed_and_takes_over_a_price_that_the_plan_keeps(
    tmp_path: Path,
) -> None:
    """A failed disk is not shown as ACTIVE; a dearer one is in order once a plan keeps it.

    Its price is written down once.
    """
    world = bought(tmp_path)
    dear, failed = world.live
    dear.usd_hr, failed.forced = Decimal("1.5"), "ERROR"
    before = conditions(world, tmp_path)
    assert {condition for _, condition in before} == {"drifted"}
    plan = planned(world, tmp_path, 600, "nonce-2")
    outcome = world.apply(tmp_path, plan)
    assert outcome.exit_code == 0
    statuses = {row["id"]: (row["state"], row["status"]) for row in outcome.disks}
    assert statuses[failed.id] == ("superseded", "ERROR")
    after = [condition for _, condition in conditions(world, tmp_path)]
    assert sorted(after) == ["in order", "in order", "superseded"]
    assert world.apply(tmp_path, plan).exit_code == 0
    with Journal(tmp_path, write=False) as journal:
        assert [record["kind"] for record in journal.records].count("seen") == 1
