"""After the purchase: status, resolve, rename and destroy touch only what is ours and unchanged."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from planner.errors import Conflict, InputError, Interrupted, PendingActions, RequestRefused
from planner.marketplace.sim.wire import to_json
from planner.marketplace.sim.world import SECOND_US
from planner.project.context import Context
from planner.project.destroy import destroy, selected
from planner.project.journal import Journal
from planner.project.resolve import find_entry, give_up, rename, resolve_id, resolve_not
from planner.project.state import State, known_id
from planner.project.status import Status, read_status
from tests.project.world import URL, World, plan_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TARGET: dict[str, str | None] = {"base_url": URL, "team_id": None}


@contextmanager
def opened(world: World, folder: Path) -> Iterator[Context]:
    with world.account() as account, Journal(folder, write=True, now=world.clock.now) as journal:
        yield Context(account, journal, State(journal.records), world.pace())


def status(world: World, folder: Path) -> Status:
    with world.account() as account, Journal(folder, write=False) as journal:
        return read_status(journal.records, account)


def bought(folder: Path, slots: int = 2, *faults: str) -> World:
    world = World()
    world.fault(*faults)
    world.apply(folder, plan_of(slots))
    return world


def end(world: World, folder: Path, **more: Any) -> list[str]:
    """Delete everything that was created, and return the ids."""
    with opened(world, folder) as ctx:
        mine = [one for one in ctx.state.entries.values() if one.stage == "created"]
        done = destroy(ctx, mine, confirm=more.get("confirm", lambda _: True))
        return [one.entry.ids[0] for one in done]


def test_in_order(tmp_path: Path) -> None:
    """What was bought is as it was bought: exit 0, and the run-rate."""
    result = status(bought(tmp_path), tmp_path)
    assert [one.condition for one in result.disks] == ["in order"] * 2
    assert (result.exit_code, str(result.usd_hr)) == (0, "0.03")


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"name": "x\x1b[2J"}, "drifted", "renamed"),
        ({"usd_hr": Decimal(5)}, "drifted", "repriced"),
        ({"size_gb": 9}, "drifted", "size"),
        ({"forced": "ERROR"}, "drifted", "ERROR"),
        ({"terminated_us": 0}, "vanished", "terminated"),
        ({"pods": ["pod-1"]}, "in order", "attached to pod-1"),
    ],
)
def test_drift(change: dict[str, Any], kind: str, words: str, tmp_path: Path) -> None:
    """Renamed, repriced, resized, failed or gone is exit 7; attached is no drift."""
    world = bought(tmp_path, 1)
    vars(world.live[0]).update(change)
    result = status(world, tmp_path)
    assert result.disks[0].condition == kind
    assert words in " ".join(result.disks[0].notes)
    assert result.exit_code == (0 if kind == "in order" else 7)


def test_vanished_and_duplicate(tmp_path: Path) -> None:
    """A disk the account no longer has, and a name that lives twice."""
    world = bought(tmp_path, 2)
    first, second = list(world.disks)
    world.duplicate(world.disks[second].name)
    del world.disks[first]
    kinds = {one.condition for one in status(world, tmp_path).disks}
    assert kinds == {"vanished", "duplicate"}


def test_pending_is_six(tmp_path: Path) -> None:
    """And a disk that appeared since is shown as unrecorded."""
    world = bought(tmp_path, 1, "lost_after_very_late")
    assert status(world, tmp_path).exit_code == 6
    world.clock.sleep(1000)
    assert status(world, tmp_path).disks[0].condition == "unrecorded"


def test_a_person_names_the_disk(tmp_path: Path) -> None:
    """--id records it as it is; the next run goes on with the rest."""
    world = bought(tmp_path, 2, "lost_other_name")
    (_, disk_id) = world.made[0]
    with opened(world, tmp_path) as ctx:
        entry = find_entry(ctx.state, "v1/1/1", TARGET)
        assert entry.stage == "conflict"
        resolve_id(ctx, entry, disk_id)
    assert world.apply(tmp_path).exit_code == 0
    assert len(world.posts) == 2
    with opened(world, tmp_path) as ctx, pytest.raises(InputError, match="recorded for"):
        resolve_id(ctx, find_entry(ctx.state, "v2/1/1", TARGET), disk_id)


def test_an_id_is_known_by_its_first_characters() -> None:
    """As tables show it: eight characters, or more where two begin alike."""
    ids = ["258191e6c8f590e5", "7457dd2b38f9085e", "7457dd2b99999999"]
    assert known_id("258191e6", ids) == known_id("258191e6c8", ids) == ids[0]
    assert known_id(ids[1], [*ids, ids[1] + "0"]) == ids[1]
    for text, why in {
        "7457dd2b": "2 ids begin with",
        "258191e": "no disk",
        "99999999": "no disk",
    }.items():
        with pytest.raises(InputError, match=why):
            known_id(text, ids)


def test_destroy_knows_everything_that_it_is_asked_for(tmp_path: Path) -> None:
    """One name or id of several that is not recorded: nothing is selected; a short id selects."""
    world = bought(tmp_path)
    first, second = world.disks
    with opened(world, tmp_path) as ctx:
        for volumes, ids, why in (
            (["v1", "v22"], [], "is volume 'v22'"),
            ([], [first, "nosuchid"], "no disk has the id"),
            ([], [first[:8]], "2 ids begin with"),
        ):
            with pytest.raises(InputError, match=why):
                selected(ctx, "lab", volumes, ids)
        assert [entry.ids for entry in selected(ctx, "lab", ids=[second])[0]] == [(second,)]
        with pytest.raises(InputError) as wrong:
            selected(ctx, "labb")
        assert "did you mean lab?" in str(wrong.value.hint)
        with pytest.raises(InputError, match="matches 2 disks"):
            find_entry(ctx.state, first[:8], TARGET)


@pytest.mark.slow
def test_a_person_disowns_the_suspect(tmp_path: Path) -> None:
    """--not ID: after the quarantine the slot is sent again, once."""
    world = bought(tmp_path, 1, "lost_before")
    twin = world.foreign("theirs", size=100, provider="runpod")
    assert world.apply(tmp_path, plan_of(1)).exit_code == 7
    with opened(world, tmp_path) as ctx:
        resolve_not(ctx, find_entry(ctx.state, "v1/1/1", TARGET), twin)
    world.clock.sleep(2000)
    assert world.apply(tmp_path, plan_of(1)).exit_code == 0
    assert len(world.posts) == 2
    assert world.status(twin) != "TERMINATED"


@pytest.mark.slow
def test_a_person_gives_up(tmp_path: Path) -> None:
    """--give-up: never sent again, and a created disk cannot be given up."""
    world = bought(tmp_path, 2, "ghost")
    with opened(world, tmp_path) as ctx:
        give_up(ctx, find_entry(ctx.state, "v1/1/1", TARGET))
    assert world.apply(tmp_path).exit_code == 0
    assert len(world.posts) == 2
    with opened(world, tmp_path) as ctx, pytest.raises(InputError, match="exists"):
        give_up(ctx, find_entry(ctx.state, "v2/1/1", TARGET))


def test_rename_and_what_it_refuses(tmp_path: Path) -> None:
    """Only ours, only as recorded, never to another slot's name; and status agrees."""
    world = bought(tmp_path)
    other = world.posts[1]
    with opened(world, tmp_path) as ctx:
        entry = find_entry(ctx.state, "v1/1/1", TARGET)
        for name in ("", "x\n", "x" * 256, " x", other):
            with pytest.raises(InputError):
                rename(ctx, entry, name)
        rename(ctx, entry, "my data")
    assert status(world, tmp_path).exit_code == 0
    assert world.apply(tmp_path).exit_code == 0
    assert len(world.posts) == 2
    world.disks[entry.ids[0]].name = "somebody-else-did"
    with opened(world, tmp_path) as ctx, pytest.raises(Conflict):
        rename(ctx, find_entry(ctx.state, "v1/1/1", TARGET), "again")


def test_destroy_deletes_what_was_bought_and_nothing_else(tmp_path: Path) -> None:
    """One DELETE a disk, the foreign disk stays; the plan buys nothing again, and is not met."""
    world = bought(tmp_path)
    theirs = world.foreign()
    assert len(end(world, tmp_path)) == 2
    assert len(world.requests("DELETE")) == 2
    assert [disk.id for disk in world.live] == [theirs]
    assert world.apply(tmp_path).exit_code == 7
    assert len(world.posts) == 2


@pytest.mark.sweep
@pytest.mark.parametrize(
    "change",
    [
        {"name": "renamed"},
        {"size": 9},
        {"pods": ["pod-1"]},
        {"clusters": ["c"]},
        {"pods": None},
        {"pods": "none"},
        {"providerType": "other"},
        {"name": None},
        {"size": None},
    ],
)
def test_destroy_refuses_what_is_not_as_recorded(change: dict[str, Any], tmp_path: Path) -> None:
    """Attached, renamed, changed or not understood: exit 7, and no DELETE of any disk."""
    world = bought(tmp_path)
    disk = world.live[1]
    shown = to_json({**world.service.account.shown(disk), **change})
    world.order(f"GET /disks/{disk.id}:body={quote(shown)}")
    with pytest.raises(Conflict):
        end(world, tmp_path)
    assert world.requests("DELETE") == []


def test_destroy_asks(tmp_path: Path) -> None:
    """Declined is 130 and nothing is deleted."""
    world = bought(tmp_path)
    with pytest.raises(Interrupted):
        end(world, tmp_path, confirm=lambda _: False)
    assert world.requests("DELETE") == []


def test_another_account_is_no_proof(tmp_path: Path) -> None:
    """A 404 may come of another key: what was not deleted by us is not called deleted."""
    world = bought(tmp_path, 1)
    kept = dict(world.disks)
    world.disks.clear()
    with pytest.raises(Conflict, match="no such disk"):
        end(world, tmp_path)
    world.disks.update(kept)
    assert len(end(world, tmp_path)) == 1


def test_still_detaching_is_waited_for(tmp_path: Path) -> None:
    """A refusal that speaks of detaching is asked again; another is not."""
    world = bought(tmp_path, 1)
    world.disks[world.made[0][1]].held_us = world.clock.simulated.now_us() + 5 * SECOND_US
    assert len(end(world, tmp_path)) == 1
    assert len(world.requests("DELETE")) > 1


def test_a_refusal_is_a_refusal(tmp_path: Path) -> None:
    """403 is exit 4 at once, and the disk stays recorded as created."""
    world = bought(tmp_path, 1)
    world.order("DELETE /disks/*:403")
    with pytest.raises(RequestRefused):
        end(world, tmp_path)
    assert len(world.requests("DELETE")) == 1
    assert status(world, tmp_path).exit_code == 0


@pytest.mark.sweep
@pytest.mark.parametrize("done", [True, False])
def test_a_lost_answer_to_delete_is_decided_by_a_get(done: bool, tmp_path: Path) -> None:
    """Done: recorded. Not done: exit 6, one DELETE, and the next run asks again."""
    world = bought(tmp_path, 1)
    world.order(f"DELETE /disks/*#1:{'drop-after' if done else 'drop-before'}")
    if not done:
        with pytest.raises(PendingActions):
            end(world, tmp_path)
        assert len(world.requests("DELETE")) == 1
    assert len(end(world, tmp_path)) == 1
    assert world.live == []


def test_what_belongs_to_another_marketplace_is_left_alone(tmp_path: Path) -> None:
    """A key for another place neither finds nor touches what was bought here."""
    world = bought(tmp_path, 1)
    with opened(world, tmp_path) as ctx:
        elsewhere = {"base_url": "https://other.test", "team_id": None}
        with pytest.raises(InputError):
            find_entry(ctx.state, "v1/1/1", elsewhere)
        assert not ctx.state.is_at(next(iter(ctx.state.entries.values())), elsewhere)


@pytest.mark.parametrize("project", [None, "lab"])
def test_an_empty_selection_is_two_and_names_who_has_it(
    project: str | None, tmp_path: Path
) -> None:
    """Another team's key: status does not show an empty account as in order."""
    world = bought(tmp_path, 1)
    with world.account() as account, Journal(tmp_path, write=False) as journal:
        account._credentials = replace(account._credentials, team_id="team-9")
        with pytest.raises(InputError, match=r"no recorded disk.* matches at .*team-9") as caught:
            read_status(journal.records, account, project=project)
    assert f"{URL}, the personal account" in (caught.value.hint or "")
    with world.account() as account, Journal(tmp_path, write=False) as journal:
        with pytest.raises(InputError, match="no recorded disk of other"):
            read_status(journal.records, account, project="other")
        assert read_status([], account).exit_code == 0
