"""Adopt: every live disk once, under a safe name, in a file that planner reads."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

import planner
from planner.demand.fields import NAME
from planner.demand.read import read_demand
from planner.errors import DemandError, InputError
from planner.market.disks import disks_frame, read_disk
from planner.market.offers import offers_frame
from planner.plans.sharing import DiskShare
from planner.project.adopt import Adopted, adopt, safe_name, to_yaml
from planner.project.state import Entry, ExpectedDisk, Stage, State
from planner.text import visible
from tests.project.world import START, offer

if TYPE_CHECKING:
    import pandas as pd

    from planner.demand.model import Demand

HOSTILE = "x\x1b[2J\r\n- name: evil\n  size_gb: 1\u202e\u2028 # {[: '\"\\"
FACTS = ExpectedDisk("n", 100, "runpod", None, None, None, Decimal("0.01"))


def disk(number: int, **given: Any) -> dict[str, Any]:
    """Return a row as the API lists it."""
    info = {"cloudId": None, "country": "US", "dataCenterId": "US-CA-2", "isMultinode": True}
    info |= given.pop("info", {})
    return {
        "id": f"disk-{number:04}",
        "name": f"name-{number}",
        "status": "ACTIVE",
        "size": 100,
        "providerType": "runpod",
        "priceHr": Decimal("0.02"),
        "info": info,
        **given,
    }


def frame(*rows: dict[str, Any]) -> pd.DataFrame:
    listed = disks_frame(read_disk(row) for row in rows)
    listed.attrs = {"source": "a test"}
    return listed


def known(*slots: tuple[int, str, int, int], stage: Stage = "created", plan: str = "p") -> State:
    """Return a state in which disks are slots of the project ``tour``."""
    state = State()
    state.plans[plan] = {"target": {"base_url": "https://here", "team_id": None}}
    for number, volume, replica, part in slots:
        name = f"{volume}-{plan}-{number}"
        entry = Entry(name, plan, "tour", volume, replica, part, FACTS, stage)
        entry.ids = (f"disk-{number:04}",)
        state.entries[name] = entry
    return state


def read(adopted: Adopted) -> Demand:
    return read_demand(io.StringIO(to_yaml(adopted)))


def test_a_disk_is_a_volume() -> None:
    """Its name, size, id and place; nothing is made up."""
    demand = read(adopt(frame(disk(1)), State(), otherwise="my demand"))
    (volume,) = demand.volumes
    assert demand.project == "my-demand"
    assert (volume.name, volume.size_gb, volume.disks) == ("name-1", 100, ("disk-0001",))
    assert volume.providers == ("runpod",)
    assert (volume.data_centers, volume.countries) == (("US-CA-2",), ("US",))
    assert (volume.multinode, volume.owner, volume.regions) == (True, None, None)


def test_what_is_unknown_is_left_out() -> None:
    """Null is no place, and no yes."""
    info = {"country": None, "dataCenterId": None, "isMultinode": None}
    (volume,) = read(adopt(frame(disk(1, info=info, priceHr=None)), State())).volumes
    assert (volume.data_centers, volume.countries, volume.multinode) == (None, None, False)


def test_a_text_that_is_none_is_left_out() -> None:
    """A provider that is a number, too long or half a character cannot be allowed."""
    rows = [
        disk(number, providerType=value)
        for number, value in enumerate([7, "x" * 201, "", "\ud800"])
    ]
    assert {volume.providers for volume in read(adopt(frame(*rows), State())).volumes} == {None}


def test_the_journal_knows_replicas() -> None:
    """Two disks of one volume are its replicas, in the journal's order, under its project."""
    rows = [disk(1, info={"dataCenterId": "US-1"}), disk(2, name="renamed", size=120), disk(3)]
    demand = read(adopt(frame(*rows), known((2, "corpus", 1, 1), (1, "corpus", 2, 1))))
    assert demand.project == "tour"
    corpus, other = demand.volumes
    assert (corpus.name, corpus.replicas, corpus.size_gb) == ("corpus", 2, 100)
    assert corpus.disks == ("disk-0002", "disk-0001")
    assert corpus.data_centers == ("US-1", "US-CA-2")
    assert corpus.spread == "data_center"
    assert other.disks == ("disk-0003",)


def test_replicas_side_by_side() -> None:
    """Copies in one data centre are what is there: spread says so."""
    demand = read(adopt(frame(disk(1), disk(2)), known((1, "a", 1, 1), (2, "a", 2, 1))))
    assert demand.volumes[0].spread == "none"
    nowhere = {"dataCenterId": None}
    rows = [disk(1, info=nowhere), disk(2, info=nowhere, providerType="other")]
    (volume,) = read(adopt(frame(*rows), known((1, "a", 1, 1), (2, "a", 2, 1)))).volumes
    assert (volume.spread, volume.data_centers) == ("data_center", None)


def test_a_replica_on_several_disks() -> None:
    """No one id names it: every disk is a volume."""
    state = known((1, "big", 1, 1), (2, "big", 1, 2))
    names = [volume.name for volume in adopt(frame(disk(1), disk(2)), state).volumes]
    assert names == ["big-1-1", "big-1-2"]


def test_a_second_set_is_a_volume_of_its_own() -> None:
    """Bought on purpose with --again."""
    state = known((1, "a", 1, 1))
    state.entries |= known((2, "a", 1, 1), plan="q").entries
    adopted = adopt(frame(disk(1), disk(2)), state)
    assert [(one.name, one.disks[0]["id"]) for one in adopted.volumes] == [
        ("a", "disk-0001"),
        ("a-2", "disk-0002"),
    ]


def test_what_another_account_or_a_doubt_recorded_is_no_slot() -> None:
    """Only what was created, where the disks are."""
    here: dict[str, str | None] = {"base_url": "https://here", "team_id": None}
    there: dict[str, str | None] = {"base_url": "https://there", "team_id": None}
    state = known((1, "a", 1, 1))
    assert adopt(frame(disk(1)), state, target=here).volumes[0].name == "a"
    assert adopt(frame(disk(1)), state, target=there).volumes[0].name == "name-1"
    destroyed = known((1, "a", 1, 1), stage="destroyed")
    assert adopt(frame(disk(1)), destroyed).volumes[0].known_as is None


def test_a_name_of_the_journal_goes_to_no_other_disk() -> None:
    """Somebody else's disk that is called like a pending volume does not become it."""
    state = known((9, "corpus", 1, 1), stage="unknown")
    adopted = adopt(frame(disk(1, name="corpus")), state, project="tour")
    assert adopted.volumes[0].name == "corpus-2"


def test_a_project_that_is_given_wins() -> None:
    """What the journal calls a volume of another project keeps its name where it is free."""
    state = known((1, "corpus", 1, 1))
    adopted = adopt(frame(disk(1), disk(2, name="corpus")), state, project="other")
    assert adopted.project == "other"
    assert [one.name for one in adopted.volumes] == ["corpus", "corpus-2"]
    with pytest.raises(InputError, match="is not a name"):
        adopt(frame(disk(1)), state, project="no name\x1b")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": "ERROR"}, "is ERROR"),
        ({"status": "DELETING"}, "is DELETING"),
        ({"id": "../../x"}, "has no usable id"),
        ({"size": "large"}, "has no known size"),
        ({"size": 0}, "has no known size"),
    ],
)
def test_what_cannot_be_relied_on_is_a_comment(change: dict[str, Any], reason: str) -> None:
    """It is billed all the same, so it is named."""
    adopted = adopt(frame(disk(1), disk(2, **change)), State())
    text = to_yaml(adopted)
    (line,) = [line for line in text.splitlines() if "'name-2'" in line]
    assert line.startswith("# ")
    assert reason in line
    assert [volume.disks for volume in read(adopted).volumes] == [("disk-0001",)]


def test_nothing_to_adopt() -> None:
    """A demand needs a volume; terminated disks are none."""
    with pytest.raises(InputError, match="no live disk"):
        adopt(frame(disk(1, status="TERMINATED")), State())
    with pytest.raises(InputError, match="1 that cannot be used"):
        adopt(frame(disk(1, status="ERROR")), State())


def test_a_disk_that_is_listed_twice() -> None:
    """Such a listing is not the account."""
    with pytest.raises(InputError, match="listed twice"):
        adopt(frame(disk(1), disk(1, size=200)), State())


def test_the_order_of_the_listing_does_not_matter() -> None:
    """The same account gives the same file."""
    rows = [disk(number, name="same") for number in range(5)]
    state = known((3, "b", 1, 1), (1, "a", 1, 1))
    assert to_yaml(adopt(frame(*rows), state)) == to_yaml(adopt(frame(*rows[::-1]), state))


def test_hostile_text_is_data() -> None:
    """It ends no line, opens no key, and reaches no terminal; places are kept to the letter."""
    row = disk(1, name=HOSTILE, providerType=HOSTILE, status=HOSTILE, pods=[HOSTILE])
    adopted = adopt(frame(row, disk(2, name=HOSTILE, status="ERROR")), State())
    text = to_yaml(adopted)
    assert all(visible(line) == line for line in text.split("\n"))
    (volume,) = read(adopted).volumes
    assert volume.providers == (HOSTILE,)
    assert volume.name == "x-2J-name-evil-size-gb-1".replace("size-gb", "size_gb")


def test_other_readers_of_yaml_see_the_same() -> None:
    """Norway stays Norway, and a number stays text, in YAML 1.1 too."""
    info = {"country": "NO", "dataCenterId": "1e3"}
    text = to_yaml(adopt(frame(disk(1, info=info, id="12345678")), State(), project="0x1F"))
    for version in ("1.1", "1.2"):
        yaml = YAML(typ="safe", pure=True)
        yaml.version = version
        document = yaml.load(text)
        volume = document["volumes"][0]
        assert document["project"] == "0x1F"
        assert (volume["countries"], volume["data_centers"]) == (["NO"], ["1e3"])
        assert volume["disks"] == ["12345678"]


@pytest.mark.slow
@given(st.text())
def test_a_safe_name_is_one(text: str) -> None:
    """Whatever a disk is called."""
    assert NAME.fullmatch(safe_name(text, "disk"))


@pytest.mark.slow
@given(st.lists(st.tuples(st.text(), st.text(), st.none() | st.text()), min_size=1, max_size=5))
def test_every_account_makes_a_demand(texts: list[tuple[str, str, str | None]]) -> None:
    """Every disk is named once, whatever names and places say; comments add nothing."""
    rows = [
        disk(number, name=name, providerType=provider, info={"dataCenterId": center})
        for number, (name, provider, center) in enumerate(texts)
    ]
    adopted = adopt(frame(*rows), State())
    named = [one for volume in read(adopted).volumes for one in volume.disks]
    assert sorted(named) == [row["id"] for row in rows]


def shared(number: int, *volumes: tuple[str, int, int]) -> State:
    """Return a state in which a disk holds several volumes: name, replica and GB of each."""
    name, replica, _ = volumes[0]
    state = known((number, name, replica, 1))
    entry = state.entries[f"{name}-p-{number}"]
    entry.group = tuple(DiskShare(*volume, owner=f"owner of {volume[0]}") for volume in volumes)
    return state


def test_a_shared_disk_is_volumes_in_a_group() -> None:
    """Each with its own size and owner; the disk is named by both, and they share it."""
    adopted = adopt(frame(disk(1, size=300)), shared(1, ("corpus", 1, 200), ("ckpt", 1, 100)))
    demand = read(adopted)
    assert [(v.name, v.size_gb, v.disks, v.owner) for v in demand.volumes] == [
        ("ckpt", 100, ("disk-0001",), "owner of ckpt"),
        ("corpus", 200, ("disk-0001",), "owner of corpus"),
    ]
    (group,) = demand.groups
    assert (group.same, {*group.volumes}) == ("disk", {"corpus", "ckpt"})
    assert len(adopted.disks) == 1
    made = planner.plan(
        demand, offers_frame([offer()]), disks=frame(disk(1, size=300)), now=START, nonce="n"
    )
    assert [(p.action, p.provision_gb) for p in made.placements] == [("keep", 100), ("keep", 200)]


def test_replicas_that_share_differently_are_volumes_of_their_own() -> None:
    """One copy of the corpus is beside the checkpoints, the other is alone: no group says that."""
    state = shared(1, ("corpus", 1, 200), ("ckpt", 1, 100))
    state.entries |= known((2, "corpus", 2, 1)).entries
    demand = read(adopt(frame(disk(1, size=300), disk(2, size=200)), state))
    assert {v.name: v.disks for v in demand.volumes} == {
        "corpus-1-1": ("disk-0001",),
        "corpus-2-1": ("disk-0002",),
        "ckpt-1-1": ("disk-0001",),
    }
    assert [{*group.volumes} for group in demand.groups] == [{"corpus-1-1", "ckpt-1-1"}]


def test_a_disk_is_named_twice_only_in_a_group() -> None:
    """Without `same: disk` it is still one volume's."""
    text = "version: 1\nvolumes:\n" + "".join(
        f"  - {{name: {name}, size_gb: 10, disks: [disk-0001]}}\n" for name in ("a", "b")
    )
    with pytest.raises(DemandError, match="share a disk only in a group with `same: disk`"):
        read_demand(io.StringIO(text))
    group = "groups:\n  - {volumes: [a, b], same: disk}\n"
    assert read_demand(io.StringIO(text + group)).volumes[1].disks == ("disk-0001",)
