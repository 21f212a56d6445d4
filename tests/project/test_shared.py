"""Volumes on one disk: bought once, kept, replaced and deleted whole, and never unasked."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner.demand.read import demand_from
from planner.errors import InputError
from planner.market.gpus import gpus_frame
from planner.market.offers import offers_frame
from planner.plans.explain import explain
from planner.plans.sharing import DiskShare, by_disk
from planner.project.destroy import check_shared
from planner.project.journal import Journal
from planner.project.resolve import find_entry, rename_volume
from planner.project.state import State, slots_of
from planner.project.status import read_status
from tests.plans.packed import packed
from tests.project.test_after import opened
from tests.project.test_pods import gpu
from tests.project.test_replace import conditions, make_active, retired
from tests.project.world import START, URL, Killed, World, offer, planned_live

if TYPE_CHECKING:
    from pathlib import Path

    from planner.plans.plan import Plan
    from planner.project.state import Entry

TARGET: dict[str, str | None] = {"base_url": URL, "team_id": None}
CORPUS = {"name": "corpus", "size_gb": 2000, "owner": "ann"}
CKPT = {"name": "ckpt", "size_gb": 1000, "owner": "bob", "tags": {"team": "llm"}}


def demand(*volumes: dict[str, Any], **policy: Any) -> Any:
    document = {"version": 1, "project": "lab", "volumes": [*volumes], "policy": policy}
    return demand_from(document)


def planned(world: World, folder: Path, nonce: str, *volumes: dict[str, Any], **more: Any) -> Plan:
    """Plan as with a key, every volume on a disk of its own unless it is on one already."""
    return planned_live(world, folder, demand(*volumes, **more), nonce)


def bought(folder: Path) -> tuple[World, Plan]:
    world = World()
    plan = packed(planned(world, folder, "nonce-1", CORPUS, CKPT), "corpus", "ckpt")
    assert world.apply(folder, plan).exit_code == 0
    return world, plan


def entries(folder: Path) -> list[Entry]:
    with Journal(folder, write=False) as journal:
        return [*State(journal.records).entries.values()]


def test_one_disk_is_bought_for_both(tmp_path: Path) -> None:
    """One request of 3,000 GB, named for both; the journal knows each one's share and owner."""
    world, plan = bought(tmp_path)
    (request,) = plan.requests
    assert (request["volume"], request["replica"], request["disk"]) == ("corpus", 1, 1)
    assert request["body"]["disk"]["size"] == 3000
    (disk,) = world.live
    assert disk.size_gb == 3000
    assert disk.name.startswith("corpus-ckpt-")
    (entry,) = entries(tmp_path)
    assert entry.shares == (
        DiskShare("corpus", 1, 2000, "ann"),
        DiskShare("ckpt", 1, 1000, "bob", {"team": "llm"}),
    )
    assert entry.keys == ("corpus/1/1", "ckpt/1/1")
    document = world.apply(tmp_path, plan).to_document()
    assert document["volumes"] == {"corpus": [disk.id], "ckpt": [disk.id]}
    (row,) = document["slots"]
    assert (row["volume"], row["disk_group"]) == ("corpus", ["corpus", "ckpt"])
    assert len(world.posts) == 1


def test_the_demands_of_both_volumes_are_held_against_the_market(tmp_path: Path) -> None:
    """The weakest stock that all accept is that of the one that asks for more."""
    del tmp_path
    base = planner.plan(
        demand(CORPUS, {**CKPT, "stock": "High"}), offers_frame([offer()]), now=START
    )

    (slot,) = slots_of(packed(base, "corpus", "ckpt"))
    assert (slot.stock, slot.size_gb, slot.usd_hr) == ("High", 3000, Decimal("0.3"))


@pytest.mark.slow
def test_a_later_plan_keeps_it_for_both(tmp_path: Path) -> None:
    """Each has its share; they add up to the disk, in GB and to the last decimal in USD."""
    world, _ = bought(tmp_path)
    again = planned(world, tmp_path, "nonce-2", CORPUS, CKPT)
    disk = world.live[0]
    assert [(p.volume, p.action, p.disk_ids) for p in again.placements] == [
        ("corpus", "keep", (disk.id,)),
        ("ckpt", "keep", (disk.id,)),
    ]
    assert [(p.provision_gb, p.disk_sizes_gb) for p in again.placements] == [
        (2000, (3000,)),
        (1000, (3000,)),
    ]
    assert {p.disk_group for p in again.placements} == {("corpus", "ckpt")}
    assert sum(p.usd_hr for p in again.placements) == disk.usd_hr
    assert again.requests == []
    assert len(by_disk(again.placements)) == 1
    again.save(tmp_path / "plan.json")
    assert planner.Plan.load(tmp_path / "plan.json").placements == again.placements
    outcome = world.apply(tmp_path, again)
    assert (outcome.exit_code, len(outcome.disks)) == (0, 1)


@pytest.mark.slow
def test_a_volume_that_is_dropped_leaves_its_room_to_the_other(tmp_path: Path) -> None:
    """The disk is kept whole for the one that is left, which pays for all of it."""
    world, _ = bought(tmp_path)
    plan = planned(world, tmp_path, "nonce-2", CKPT)
    (placement,) = plan.placements
    assert (placement.action, placement.provision_gb, placement.disk_group) == ("keep", 3000, None)
    assert plan.leftover == ()


def paid(folder: Path) -> list[tuple[str, str | None, int]]:
    return [(s.volume, s.owner, s.size_gb) for entry in entries(folder) for s in entry.paying]


@pytest.mark.slow
def test_the_journal_divides_a_kept_disk_as_the_last_plan_does(tmp_path: Path) -> None:
    """Each owner is who the plan names, written down once; a dropped volume leaves only data."""
    world, _ = bought(tmp_path)
    for number, (volumes, expected, times) in enumerate(
        (
            ((CORPUS, CKPT), [("corpus", "ann", 2000), ("ckpt", "bob", 1000)], 0),
            (
                (CORPUS, {**CKPT, "owner": "cyd"}),
                [("corpus", "ann", 2000), ("ckpt", "cyd", 1000)],
                1,
            ),
            ((CORPUS,), [("corpus", "ann", 3000)], 2),
            ((CORPUS, CKPT), [("corpus", "ann", 2000), ("ckpt", "bob", 1000)], 3),
        )
    ):
        plan = planned(world, tmp_path, f"nonce-{number}", *volumes)
        for _ in range(2):
            assert world.apply(tmp_path, plan).exit_code == 0
        assert paid(tmp_path) == expected
        with Journal(tmp_path, write=False) as journal:
            assert [r["kind"] for r in journal.records].count("assigned") == times
        with pytest.raises(InputError, match="also holds ckpt"):
            check_shared(entries(tmp_path), ["corpus"])
    assert len(world.live) == 1


def test_a_kept_disk_that_vanished_is_not_counted(tmp_path: Path) -> None:
    """Apply asks for it by its id, does not list it as created, and stops with exit 7."""
    world, _ = bought(tmp_path)
    plan = planned(world, tmp_path, "nonce-2", CORPUS, CKPT)
    world.terminate(world.live[0].id)
    outcome = world.apply(tmp_path, plan)
    assert (outcome.exit_code, outcome.usd_hr) == (7, Decimal(0))
    assert not outcome.disks


def growing(world: World, folder: Path) -> Plan:
    more = {**CORPUS, "size_gb": 2500}
    return packed(planned(world, folder, "nonce-2", more, CKPT), "corpus", "ckpt")


@pytest.mark.slow
def test_a_growing_volume_replaces_the_whole_disk(tmp_path: Path) -> None:
    """Both are copied as one; the old disk is retired once the new one is ready."""
    world, _ = bought(tmp_path)
    (old,) = world.live
    plan = growing(world, tmp_path)
    assert [(p.action, p.replaces) for p in plan.placements] == [("replace", (old.id,))] * 2
    assert plan.warnings[0] == (
        f"volumes corpus + ckpt: disk {old.id} has 3,000 GB, and 3,500 GB are needed; replica 1 "
        "will be replaced"
    )
    outcome = world.apply(tmp_path, plan)
    assert (outcome.exit_code, len(world.posts)) == (0, 2)
    (new,) = [disk for disk in world.live if disk.size_gb == 3500]
    (superseded,) = outcome.superseded
    assert superseded.by == (new.id,)
    advice = outcome.to_document()["advice"]
    assert (
        f"Copy corpus #1 + ckpt #1 from {old.id[:8]} to {new.id[:8]}, check the copy" in advice[1]
    )
    make_active(world)
    assert retired(world, tmp_path) == [old.id]
    assert [disk.size_gb for disk in world.live] == [3500]


def apart(world: World, folder: Path) -> Plan:
    return planned(world, folder, "nonce-2", CORPUS, CKPT, packing="never")


@pytest.mark.slow
def test_a_group_that_falls_apart_is_replaced_once_both_are_elsewhere(tmp_path: Path) -> None:
    """With one of the two bought, the old disk still is the other one, and is not superseded."""
    world, _ = bought(tmp_path)
    (old,) = world.live
    plan = apart(world, tmp_path)
    assert [p.replaces for p in plan.placements] == [(old.id,), (old.id,)]
    assert "`packing: never` rules out" in plan.warnings[0]
    world.fault("ok", "409_stock")
    assert world.apply(tmp_path, plan).exit_code == 5
    assert ("corpus", "superseded") not in conditions(world, tmp_path)
    with opened(world, tmp_path) as ctx:
        assert find_entry(ctx.state, f"{old.id}", TARGET).superseded_by == ()


@pytest.mark.slow
def test_volumes_that_part_are_copied_from_their_directories(tmp_path: Path) -> None:
    """One command each, from the directory of its name to the top of its own disk."""
    world, _ = bought(tmp_path)
    (old,) = world.live
    outcome = world.apply(tmp_path, apart(world, tmp_path))
    new = {disk.size_gb: disk.id for disk in world.live if disk.id != old.id}
    (superseded,) = outcome.superseded
    assert [*superseded.copies] == [
        ("corpus #1", f"{old.id}/corpus/", (f"{new[2000]}/",)),
        ("ckpt #1", f"{old.id}/ckpt/", (f"{new[1000]}/",)),
    ]
    make_active(world)
    assert retired(world, tmp_path) == [old.id]


@pytest.mark.slow
def test_volumes_that_meet_are_copied_into_their_directories(tmp_path: Path) -> None:
    """Both old disks are superseded by the one that they share now."""
    world = World()
    assert world.apply(tmp_path, planned(world, tmp_path, "nonce-1", CORPUS, CKPT)).exit_code == 0
    old = {disk.size_gb: disk.id for disk in world.live}
    grown = ({**CORPUS, "size_gb": 2500}, {**CKPT, "size_gb": 1500})
    plan = packed(planned(world, tmp_path, "nonce-2", *grown), "corpus", "ckpt")
    outcome = world.apply(tmp_path, plan)
    (new,) = [disk.id for disk in world.live if disk.size_gb == 4000]
    copies = [copy for each in outcome.superseded for copy in each.copies]
    assert sorted(copies) == [
        ("ckpt #1", f"{old[1000]}/", (f"{new}/ckpt/",)),
        ("corpus #1", f"{old[2000]}/", (f"{new}/corpus/",)),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("again", [False, True], ids=["apply", "plan && apply"])
@pytest.mark.parametrize("first", [True, False], ids=["bought", "grown"])
def test_killed_anywhere_it_is_bought_once(tmp_path: Path, first: bool, again: bool) -> None:
    """Typed again, with or without planning again, one disk of each size is there."""
    world, plan = begun(tmp_path / "all", first=first)
    before = world.steps
    world.apply(tmp_path / "all", plan)
    for step in range(1, world.steps - before, 7):
        killed, folder = killed_at(tmp_path / str(step), step, first=first, again=again)
        sizes = sorted(disk.size_gb for disk in killed.live)
        assert sizes == ([3000] if first else [3000, 3500]), step
        (in_use,) = [e for e in entries(folder) if e.stage == "created" and not e.superseded_by]
        assert in_use.volumes == ("corpus", "ckpt")


def begun(folder: Path, *, first: bool) -> tuple[World, Plan]:
    if first:
        world = World()
        return world, packed(planned(world, folder, "nonce-1", CORPUS, CKPT), "corpus", "ckpt")
    world, _ = bought(folder)
    return world, growing(world, folder)


def killed_at(folder: Path, step: int, *, first: bool, again: bool) -> tuple[World, Path]:
    world, plan = begun(folder, first=first)
    world.kill_at = world.steps + step
    with pytest.raises(Killed):
        world.apply(folder, plan)
    world.kill_at = None
    for number in range(3):
        world.clock.sleep(1200)
        if again:
            size = 2000 if first else 2500
            plan = planned(world, folder, f"n{number}", {**CORPUS, "size_gb": size}, CKPT)
            if plan.requests:
                plan = packed(plan, "corpus", "ckpt")
        if world.apply(folder, plan).exit_code == 0:
            break
    return world, folder


@pytest.mark.slow
def test_it_is_not_bought_a_second_time_by_either_name(tmp_path: Path) -> None:
    """A plan made without the account wants a disk for one of them: exit 7, and the disk's id."""
    world, _ = bought(tmp_path)
    blind = planner.plan(
        demand(CKPT, {"name": "other", "size_gb": 1}),
        world.market(),
        target=TARGET,
        nonce="n",
        now=world.clock.now(),
    )
    outcome = world.apply(tmp_path, blind)
    assert outcome.exit_code == 7
    assert world.live[0].id in str(outcome.stop)


def test_status_and_resolve_know_both_names(tmp_path: Path) -> None:
    """One disk, two volumes."""
    world, _ = bought(tmp_path)
    with world.account() as account, Journal(tmp_path, write=False) as journal:
        result = read_status(journal.records, account)
    (row,) = result.to_document()["disks"]
    assert (row["volume"], row["disk_group"]) == ("corpus", ["corpus", "ckpt"])
    assert (row["size_gb"], result.usd_hr) == (3000, world.live[0].usd_hr)
    with opened(world, tmp_path) as ctx:
        assert find_entry(ctx.state, "ckpt/1/1", TARGET) is find_entry(
            ctx.state, "corpus/1/1", TARGET
        )


@pytest.mark.slow
def test_a_renamed_volume_is_kept_under_its_new_name(tmp_path: Path) -> None:
    """Either of the two may have another name in the demand."""
    world, _ = bought(tmp_path)
    with opened(world, tmp_path) as ctx:
        assert rename_volume(ctx, "lab", "ckpt", "weights") == 1
    (entry,) = entries(tmp_path)
    assert entry.volumes == ("corpus", "weights")
    with opened(world, tmp_path) as ctx:
        rename_volume(ctx, "lab", "corpus", "text")
        with pytest.raises(InputError, match="is on other disks already"):
            rename_volume(ctx, "lab", "text", "weights")
    plan = planned(
        world, tmp_path, "nonce-2", {**CORPUS, "name": "text"}, {**CKPT, "name": "weights"}
    )
    assert [(p.volume, p.action) for p in plan.placements] == [
        ("text", "keep"),
        ("weights", "keep"),
    ]


def test_a_volume_is_not_deleted_with_another(tmp_path: Path) -> None:
    """Naming one of two asks for both, with the command that says so."""
    bought(tmp_path)
    with pytest.raises(InputError, match="also holds ckpt") as caught:
        check_shared(entries(tmp_path), ["corpus"])
    assert caught.value.hint == (
        "to delete all of them: planner destroy lab --volume corpus --volume ckpt"
    )
    check_shared(entries(tmp_path), ["ckpt", "corpus"])


def test_a_pod_mounts_it_once_and_says_where_each_volume_is(tmp_path: Path) -> None:
    """One --disks, and the directories."""
    world = World(gpus=[gpu()])
    job = {"name": "train", "gpu": "A100_80GB", "hours_per_month": 10, "mounts": ["corpus", "ckpt"]}
    document = {"version": 1, "project": "lab", "volumes": [CORPUS, CKPT], "workloads": [job]}
    plan = planner.plan(
        demand_from({**document, "policy": {"attach_limits": {"runpod": 2}}}),
        offers_frame([offer()]),
        gpus_frame([gpu()]),
        target=TARGET,
        now=START - timedelta(hours=1),
        nonce="nonce-1",
    )
    outcome = world.apply(tmp_path, packed(plan, "corpus", "ckpt"))
    (disk,) = world.live
    (command,) = outcome.pods
    assert command.count("--disks") == 1
    assert disk.id in command
    assert (
        f"train mounts disk {disk.id[:8]} once; its volumes are directories there: corpus/, ckpt/"
        in outcome.advice
    )


@pytest.mark.slow
def test_a_plan_says_what_is_on_one_disk_and_counts_it_once(tmp_path: Path) -> None:
    """Each row has its part; the total, and what is replaced, are of one disk."""
    world, plan = bought(tmp_path)
    page = plan.summary()
    assert "corpus + ckpt on one disk of 3,000 GB, as directories" in page.notes
    assert page.footer is not None
    assert page.footer[3] == 3000
    assert [row[3].text for row in page.rows] == ["2,000", "1,000"]
    grown = growing(world, tmp_path).summary()
    assert grown.notes[0] == "Plan: 1 to replace. +$36.50/month ($219.00 → $255.50)."
    assert "While both copies of corpus and ckpt exist you pay $474.50/month." in grown.notes
    frame = plan.to_frame()
    assert (frame["provision_gb"].sum(), [*frame["disk_sizes_gb"]]) == (3000, [(3000,), (3000,)])


@pytest.mark.slow
def test_a_shared_disk_that_is_no_longer_needed_is_left_over_once(tmp_path: Path) -> None:
    """Both volumes are gone from the demand: one disk, one command, both names."""
    world, _ = bought(tmp_path)
    plan = planned(world, tmp_path, "nonce-2", {"name": "other", "size_gb": 1})
    (left,) = plan.leftover
    assert left.disk_group == ("corpus", "ckpt")
    page = plan.summary()
    assert page.commands == (f"planner destroy lab --id {left.id}",)
    assert page.rows[-1][1].startswith("corpus + ckpt (")
    plan.save(tmp_path / "plan.json")
    assert planner.Plan.load(tmp_path / "plan.json").leftover == plan.leftover


@pytest.mark.slow
def test_naming_the_disk_for_one_volume_keeps_it_for_both(tmp_path: Path) -> None:
    """The journal has both on it, so the other one is not bought again."""
    world, _ = bought(tmp_path)
    (disk,) = world.live
    plan = planned(world, tmp_path, "nonce-2", {**CORPUS, "disks": [disk.id]}, CKPT)
    assert [(p.volume, p.action) for p in plan.placements] == [("corpus", "keep"), ("ckpt", "keep")]
    assert plan.placements[1].disk_group == ("corpus", "ckpt")


@pytest.mark.slow
def test_questions_about_one_volume_of_a_group_on_one_disk_are_answered(tmp_path: Path) -> None:
    """What each requirement costs is asked volume by volume, whether or not the disk is there."""
    rows = [offer(), offer("hyperstack", "NO-1", price=0.00015)]
    volumes = [{**CORPUS, "max_usd_gb_hr": 0.0002}, CKPT, {"name": "other", "size_gb": 10}]
    group = {"volumes": ["corpus", "ckpt"], "same": "disk"}
    document = {"version": 1, "project": "lab", "volumes": volumes, "groups": [group]}
    world = World(offers=rows)
    plan = planned_live(world, tmp_path, demand_from(document), "nonce-1")
    assert {p.volume for p in plan.placements if p.disk_group} == {"corpus", "ckpt"}
    assert len(explain(plan).requirements) > 0
    world.apply(tmp_path, plan)
    kept = planned_live(world, tmp_path, demand_from(document), "nonce-2")
    assert [p.action for p in kept.placements] == ["keep", "keep", "keep"]
    assert len(explain(kept).choices) == 3
    assert len(explain(kept).requirements) > 0
