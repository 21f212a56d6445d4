"""``planner doctor`` and ``planner adopt`` as a user runs them, against a local marketplace."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner.demand.read import demand_from, read_demand
from planner.market.snapshot import read_offers
from planner.marketplace.sim.local import Sim
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Ran, Run

HOSTILE = "x\x1b[2J\n- name: evil\u202e"


@pytest.fixture
def sim() -> Iterator[Sim]:
    with Sim(provisioning_s=0.1) as market:
        yield market


def ran(run: Run, sim: Sim, *words: str, key: str | None = None, **more: Any) -> Ran:
    env = {**sim.environ, "PLANNER_SETTLE": "1", "PLANNER_TIMEOUT": "10"}
    done = run(*words, env={**env, "PRIME_API_KEY": key or sim.key}, **more)
    assert (key or sim.key) not in done.out + done.err
    assert all(visible(line) == line for line in (done.out + done.err).split("\n"))
    return done


@pytest.mark.slow
def test_doctor_finds_all_in_order(run: Run, sim: Sim) -> None:
    """Exit 0, and the table says what could not be tried."""
    done = ran(run, sim, "doctor")
    assert done.code == 0, done.err
    assert "failed" not in done.out
    assert "without buying one" in done.out
    assert sim.live() == []


@pytest.mark.parametrize(("key", "code"), [("sim-read", 0), ("no-such-key", 4)])
def test_doctor_with_lesser_keys(run: Run, sim: Sim, key: str, code: int) -> None:
    """One that may plan is in order; one that nobody knows is not."""
    done = ran(run, sim, "doctor", "-o", "json", key=key)
    assert done.code == code
    document = done.json()
    assert document["exit_code"] == code
    states = {one["name"]: one["state"] for one in document["checks"]}
    assert states["disks_read"] == ("warning" if code == 0 else "skipped")
    assert set(document["checks"][0]) == {"name", "state", "says", "do", "facts"}


@pytest.mark.slow
def test_doctor_without_a_key(run: Run, tmp_path: Path) -> None:
    """Exit 2, and what needs no key is checked all the same; a worse code wins."""
    done = run("doctor", "-o", "json")
    assert done.code == 2
    states = {one["name"]: one["state"] for one in done.json()["checks"]}
    assert states["solver"] == states["state_directory"] == "ok"
    assert "prime login" in run("doctor").out
    (tmp_path / "file").write_text("")
    assert run("doctor", "--state", "file").code == 8
    assert run("doctor", "-o", "csv").code == 2


@pytest.mark.slow
def test_adopt_what_planner_and_others_bought(run: Run, sim: Sim, tmp_path: Path) -> None:
    """Replicas are one volume, the rest one each, and what is in ERROR is a comment."""
    volumes = [{"name": "corpus", "size_gb": 200, "replicas": 2, "providers": ["hyperstack"]}]
    target: dict[str, str | None] = {"base_url": sim.base_url, "team_id": None}
    demand = demand_from({"version": 1, "project": "tour", "volumes": volumes})
    plan = planner.plan(demand, read_offers("shipped:disk-offers"), target=target)
    plan.save(tmp_path / "p.json")
    assert ran(run, sim, "apply", "p.json", "--yes").code == 0
    theirs = sim.add_disk(name=HOSTILE, data_center=None)
    broken = sim.add_disk(name=HOSTILE)
    sim.change_disk(broken["id"], status="ERROR")
    posts = sum(entry["method"] == "POST" for entry in sim.audit())
    done = ran(run, sim, "adopt")
    assert done.code == 0, done.err
    assert done.out == ""
    assert "planner plan demand.yaml" in done.err
    assert broken["id"] in done.err
    text = (tmp_path / "demand.yaml").read_text()
    assert sim.key not in text
    assert f"# {broken['id']}" in text
    found = read_demand(tmp_path / "demand.yaml")
    assert found.project == "tour"
    corpus, other = found.volumes
    ours = {one["id"] for one in sim.live()} - {theirs["id"], broken["id"]}
    assert (corpus.name, corpus.replicas, set(corpus.disks)) == ("corpus", 2, ours)
    assert (other.disks, other.data_centers) == ((theirs["id"],), None)
    assert sum(entry["method"] != "GET" for entry in sim.audit()) == posts
    again = ran(run, sim, "plan", "demand.yaml", "-o", "json")
    assert again.code == 0, again.err
    assert again.json()["totals"]["new_usd_hr"] == "0"
    assert again.json()["requests"] == []
    assert ran(run, sim, "adopt").code == 2
    assert (tmp_path / "demand.yaml").read_text() == text
    assert ran(run, sim, "adopt", "--force", "--project", "mine").code == 0
    assert read_demand(tmp_path / "demand.yaml").project == "mine"


@pytest.mark.parametrize("shape", ["bare", "data", "part"])
def test_adopt_from_a_file(run: Run, sim: Sim, shape: str, tmp_path: Path) -> None:
    """In the API's shape, whole or not at all, without a key."""
    made = sim.add_disk(name="weights")
    rows = [json.loads(json.dumps(made, default=float))]
    total = 2 if shape == "part" else 1
    document = rows if shape == "bare" else {"data": rows, "offset": 0, "totalCount": total}
    (tmp_path / "disks.json").write_text(json.dumps(document))
    done = run("adopt", "-", "--disks", "disks.json")
    assert done.code == (2 if shape == "part" else 0)
    if shape != "part":
        (tmp_path / "out.yaml").write_text(done.out)
        assert read_demand(tmp_path / "out.yaml").volumes[0].disks == (made["id"],)


@pytest.mark.slow
def test_adopt_that_cannot_be(run: Run, sim: Sim, tmp_path: Path) -> None:
    """No key, no scope, no disk, no name, a damaged journal: nothing is written."""
    assert run("adopt").code == 2
    assert ran(run, sim, "adopt", key="sim-read").code == 4
    assert ran(run, sim, "adopt").code == 2
    sim.add_disk()
    assert ran(run, sim, "adopt", "--project", "no name").code == 2
    assert ran(run, sim, "adopt", "no/such/place.yaml").code == 2
    (tmp_path / "bad").mkdir(mode=0o700)
    (tmp_path / "bad" / "journal.jsonl").write_text("nonsense\nmore\n")
    assert ran(run, sim, "adopt", "--state", "bad").code == 8
    assert not (tmp_path / "demand.yaml").exists()
