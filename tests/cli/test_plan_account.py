"""`planner plan` and `apply --failover` beside what the account has, as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from planner.marketplace.sim.local import Sim
from planner.plans.plan import Plan
from tests.solve.live_disks import MARKET, offer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Ran, Run

QUICK = {"PLANNER_SETTLE": "1", "PLANNER_QUARANTINE": "1", "PLANNER_TIMEOUT": "10"}
DEMAND = """\
version: 1
project: lab
volumes:
  - {name: a, size: 100 GB}
  - {name: b, size: 200 GB, replicas: 2}
"""
"""At `MARKET`: a and b #1 at alpha for 0.01 and 0.02, b #2 at beta for 0.04: 0.07 an hour."""
TWO = "version: 1\nproject: lab\nvolumes:\n- {name: a, size: 100 GB}\n- {name: b, size: 100 GB}\n"
ROW = {
    "id": "disk-0001",
    "name": "old",
    "status": "ACTIVE",
    "providerType": "alpha",
    "size": 100,
    "priceHr": 0.0371,
    "userId": "u",
    "info": {"dataCenterId": "A-1", "country": "US", "isMultinode": True},
}
NAMED = "version: 1\nvolumes:\n- {name: a, size: 100 GB, disks: [disk-0001]}\n"


def as_json(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows with prices as JSON has them."""
    return [
        {**row, "spec": {**row["spec"], "pricePerUnit": float(row["spec"]["pricePerUnit"])}}
        for row in rows
    ]


@pytest.fixture
def sim() -> Iterator[Sim]:
    """Yield a marketplace of three places."""
    with Sim(offers_rows=MARKET, gpu_rows=[], provisioning_s=0.2) as market:
        yield market


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "d.yaml").write_text(DEMAND)
    (tmp_path / "offers.json").write_text(json.dumps(as_json(MARKET)))
    return tmp_path


def ran(run: Run, sim: Sim, *words: str, **env: str) -> Ran:
    done = run(*words, env={**sim.environ, **QUICK, **env})
    assert sim.key not in done.out + done.err
    return done


def creates(sim: Sim) -> int:
    return sum(one["method"] == "POST" for one in sim.audit())


# -- from a file --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("document", [[ROW], {"data": [ROW], "totalCount": 1}])
def test_disks_of_a_file_are_kept(document: Any, run: Run, folder: Path) -> None:
    """Both shapes, no key and no network: the named disk stays at its price."""
    (folder / "disks.json").write_text(json.dumps(document))
    (folder / "n.yaml").write_text(NAMED)
    words = ("plan", "n.yaml", "--offers", "offers.json", "--disks", "disks.json")
    done = run(*words, "-o", "json", "--out", "p.json")
    assert done.code == 0, done.err
    plan = done.json()
    assert plan["requests"] == []
    assert plan["totals"]["disk_usd_hr"] == "0.0371"
    assert plan["placements"][0]["disk_ids"] == ["disk-0001"]
    assert plan["inputs"]["disks"]["rows"] == 1
    assert Plan.load(folder / "p.json").to_json() == done.out
    shown = run(*words)
    assert " =   " in shown.out
    emitted = run("emit", "p.json")
    assert (emitted.code, emitted.out) == (0, "")
    why = run("explain", "p.json")
    assert why.code == 0, why.err


@pytest.mark.slow
@pytest.mark.sweep
@pytest.mark.parametrize("form", ["table", "json"])
def test_the_detailed_exit_code(form: str, run: Run, folder: Path) -> None:
    """12 where a disk is to be bought, 0 where every volume has its disk; saved either way."""
    (folder / "disks.json").write_text(json.dumps([ROW]))
    (folder / "n.yaml").write_text(NAMED)
    account = ("--offers", "offers.json", "--disks", "disks.json", "-o", form)
    detailed = (*account, "--detailed-exitcode", "--out", "p.json")
    assert run("plan", "n.yaml", *detailed).code == 0
    (folder / "n.yaml").write_text(NAMED + "- {name: b, size: 100 GB}\n")
    more = run("plan", "n.yaml", *detailed)
    assert more.code == 12
    assert len(Plan.load(folder / "p.json").requests) == 1
    plain = run("plan", "n.yaml", *account)
    assert plain.code == 0
    assert "planner: " not in more.err


def test_a_part_of_the_disks_is_refused(run: Run, folder: Path) -> None:
    """One page of two is exit 2, in prose and in JSON."""
    (folder / "disks.json").write_text(json.dumps({"data": [ROW], "totalCount": 2}))
    words = ("plan", "d.yaml", "--offers", "offers.json", "--disks", "disks.json", "-o", "json")
    done = run(*words)
    assert done.code == 2
    assert "holds 1 of 2 disks" in done.json()["error"]


def test_named_disks_offline_want_the_file(run: Run, folder: Path) -> None:
    """Without a key nobody knows the account: exit 2 names the option."""
    (folder / "n.yaml").write_text(NAMED)
    done = run("plan", "n.yaml", "--offers", "offers.json")
    assert done.code == 2
    assert "--disks FILE" in done.err


def test_the_plan_is_not_written_over_its_disks(run: Run, folder: Path) -> None:
    """--out and --disks are two files."""
    (folder / "disks.json").write_text("[]")
    words = ("--offers", "offers.json", "--disks", "disks.json", "--out", "disks.json")
    assert run("plan", "d.yaml", *words).code == 2
    assert (folder / "disks.json").read_text() == "[]"


def test_copies_that_exist_in_one_place_are_three(run: Run, folder: Path) -> None:
    """Two disks in one data centre that should be apart: the ids and the cheapest way out."""
    other = {**ROW, "id": "disk-0002", "priceHr": 0.05}
    (folder / "disks.json").write_text(json.dumps([ROW, other]))
    (folder / "n.yaml").write_text(
        "version: 1\nvolumes:\n"
        "- {name: a, size: 100 GB, replicas: 2, disks: [disk-0001, disk-0002]}\n"
    )
    words = ("--offers", "offers.json", "--disks", "disks.json", "-o", "json")
    done = run("plan", "n.yaml", *words)
    assert done.code == 3
    (conflict,) = done.json()["conflicts"]
    assert (conflict["reason"], conflict["disks"]) == ("kept", ["disk-0001", "disk-0002"])
    assert "without disk-0002 for a: $" in done.json()["error"]


# -- live ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
def test_after_an_apply_everything_is_kept(run: Run, sim: Sim) -> None:
    """Plan, apply, plan again: no request, the same fleet; and its apply sends nothing."""
    assert ran(run, sim, "plan", "d.yaml", "--out", "p.json").code == 0
    assert ran(run, sim, "apply", "p.json", "--yes").code == 0
    assert creates(sim) == 3
    again = ran(run, sim, "plan", "d.yaml", "--out", "q.json", "-o", "json")
    assert again.code == 0, again.err
    plan = again.json()
    assert plan["requests"] == []
    assert {one["action"] for one in plan["placements"]} == {"keep"}
    assert (plan["totals"]["disk_usd_hr"], plan["totals"]["new_usd_hr"]) == ("0.07", "0")
    assert {i for one in plan["placements"] for i in one["disk_ids"]} == {
        disk["id"] for disk in sim.live()
    }
    assert "warning" not in again.err
    assert ran(run, sim, "apply", "q.json", "--yes").code == 0
    assert creates(sim) == 3
    # Another state directory bought nothing: the disks' names are all that tells.
    other = ran(run, sim, "plan", "d.yaml", "--state", "empty", "-o", "json")
    assert len(other.json()["requests"]) == 3
    assert other.err.count("its name looks like volume") == 3


@pytest.mark.slow
def test_a_grown_volume_is_a_replacement(run: Run, sim: Sim, folder: Path) -> None:
    """After an apply a needs 150 GB: the same two commands again, and then retire."""
    assert ran(run, sim, "plan", "d.yaml", "--out", "p.json").code == 0
    assert ran(run, sim, "apply", "p.json", "--yes").code == 0
    (folder / "d.yaml").write_text(DEMAND.replace("100 GB", "150 GB"))
    grown = ran(run, sim, "plan", "d.yaml", "--out", "q.json", "-o", "json")
    (request,) = grown.json()["requests"]
    assert (request["volume"], request["body"]["disk"]["size"]) == ("a", 150)
    assert "has 100 GB, and 150 GB are needed; replica 1 will be replaced" in grown.err
    bought = ran(run, sim, "apply", "q.json", "--yes", "--wait", "-o", "json")
    assert bought.code == 0
    (superseded,) = bought.json()["superseded"]
    assert bought.json()["commands"][-1] == "planner retire lab"
    status = ran(run, sim, "status", "lab", "-o", "json").json()
    assert [disk["condition"] for disk in status["disks"]].count("superseded") == 1
    told_apart = ran(run, sim, "destroy", "lab", "--volume", "a", "--yes", "--confirm", "lab")
    assert told_apart.code == 2
    assert superseded["id"] in told_apart.err
    assert len(sim.live()) == 4
    gone = ran(run, sim, "retire", "--yes", "--confirm", "lab", "-o", "json")
    assert gone.code == 0, gone.err
    assert [disk["id"] for disk in gone.json()["retired"]] == [superseded["id"]]
    assert len(sim.live()) == 3
    assert ran(run, sim, "retire", "lab", "--yes", "--confirm", "lab").code == 0
    assert ran(run, sim, "retire", "q", "--yes", "--confirm", "q").code == 2


@pytest.mark.slow
def test_a_key_that_may_not_read_disks_is_warned(run: Run, sim: Sim, folder: Path) -> None:
    """Planned as if there were none, and said; but what is named has to be read: exit 4."""
    blind = ran(run, sim, "plan", "d.yaml", "-o", "json", PRIME_API_KEY="sim-read")
    assert blind.code == 0, blind.err
    assert "planned as if the account had no disks" in blind.err
    assert len(blind.json()["requests"]) == 3
    assert "disks" not in blind.json()["inputs"]
    (folder / "n.yaml").write_text(NAMED)
    assert ran(run, sim, "plan", "n.yaml", PRIME_API_KEY="sim-read").code == 4


def test_an_account_that_is_not_read_whole_is_not_taken_for_an_empty_one(
    run: Run, sim: Sim, folder: Path
) -> None:
    """Exit 4, and no plan: it would buy a second time what is there."""
    sim.add_disk(name="theirs", size=100, provider="gamma", data_center="C-1", country="IS")
    sim.fault("GET /disks/:list-short-total")
    failed = ran(run, sim, "plan", "d.yaml", "--out", "p.json", "--detailed-exitcode")
    assert failed.code == 4
    assert "could not be read whole" in failed.err
    assert not (folder / "p.json").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
def test_what_was_not_read_is_not_claimed(run: Run, sim: Sim) -> None:
    """With a wrong key, apply says that its table is as recorded; a deleted disk is not in it."""
    assert ran(run, sim, "plan", "d.yaml", "--out", "p.json").code == 0
    assert ran(run, sim, "apply", "p.json", "--yes").code == 0
    assert ran(run, sim, "plan", "d.yaml", "--out", "p.json").code == 0
    words = ("destroy", "lab", "--volume", "a", "--yes", "--confirm", "lab")
    assert ran(run, sim, *words).code == 0
    left = sum(Decimal(str(disk["priceHr"])) for disk in sim.live())
    refused = ran(run, sim, "apply", "p.json", "--yes", PRIME_API_KEY="wrong")
    assert refused.code == 4
    assert f"lab costs ${left:.4f}/h now" in refused.out
    assert "as recorded: the account was not read" in " ".join(refused.out.split())


@pytest.mark.slow
def test_somebody_elses_disk_is_reported_and_left(run: Run, sim: Sim, folder: Path) -> None:
    """It is an orphan with id and price, and named it is kept."""
    theirs = sim.add_disk(
        name="theirs", size=100, provider="gamma", data_center="C-1", country="IS"
    )
    done = ran(run, sim, "plan", "d.yaml")
    assert f"disk {theirs['id']} (theirs, $0.0100 an hour) is not used by this plan" in done.err
    named = DEMAND.replace("size: 100 GB}", f"size: 100 GB, disks: [{theirs['id']}]}}")
    (folder / "d.yaml").write_text(named)
    plan = ran(run, sim, "plan", "d.yaml", "-o", "json").json()
    first = plan["placements"][0]
    assert (first["action"], first["provider"], first["usd_hr"]) == ("keep", "gamma", "0.01")
    assert len(plan["requests"]) == 2


# -- failover -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_stock_out_at_the_second_slot_goes_elsewhere(run: Run, sim: Sim, folder: Path) -> None:
    """The first is kept, b refused at alpha and bought at beta: three creates, two disks."""
    (folder / "d.yaml").write_text(TWO)
    assert ran(run, sim, "plan", "d.yaml", "--out", "p.json").code == 0
    sim.fault("POST /disks/#2:out-of-stock")
    done = ran(run, sim, "apply", "p.json", "--yes", "--failover", "50%", "-o", "json")
    assert done.code == 0, done.err
    assert [(disk["providerType"]) for disk in sim.live()] == ["alpha", "beta"]
    assert creates(sim) == 3
    assert [slot["state"] for slot in done.json()["slots"]] == ["created"] * 2
    assert done.json()["usd_hr"] == "0.03"
    assert {path.name for path in folder.glob("*.json")} == {"p.json", "offers.json"}
    copies = [Plan.load(path) for path in folder.glob(".local/state/planner/plans/*.json")]
    kept = {disk_id for plan in copies for one in plan.placements for disk_id in one.disk_ids}
    assert kept == {sim.live()[0]["id"]}
    assert len(copies) == 2
    assert ran(run, sim, "apply", "p.json", "--yes", "--failover", "50%").code == 0
    assert creates(sim) == 3
    assert ran(run, sim, "plan", "d.yaml", "-o", "json").json()["requests"] == []


@pytest.mark.slow
def test_killed_during_a_failover_the_same_command_goes_on(
    run: Run, sim: Sim, folder: Path
) -> None:
    """Kill -9 with the create at beta on its way: no other plan is made, no third disk bought."""
    (folder / "d.yaml").write_text(TWO)
    assert ran(run, sim, "plan", "d.yaml", "--out", "p.json").code == 0
    sim.fault("POST /disks/#2:out-of-stock")
    sim.fault("POST /disks/#3:hang-after=3")
    words = ("apply", "p.json", "--yes", "--failover", "50%", "--max-usd-hr", "0.03")
    process = subprocess.Popen(
        [sys.executable, "-m", "planner", *words],
        cwd=folder,
        env={**os.environ, **sim.environ, **QUICK, "HOME": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while creates(sim) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait()
    done = ran(run, sim, *words, "-o", "json")
    assert done.code == 0, done.err
    assert (creates(sim), len(sim.live())) == (3, 2)
    assert done.json()["totals"]["limit_usd_hr"] == done.json()["usd_hr"] == "0.03"
    assert len(list(folder.glob(".local/state/planner/plans/*.json"))) == 2


@pytest.mark.slow
def test_above_the_percentage_is_five(run: Run, sim: Sim, folder: Path) -> None:
    """From 0.02 to 0.03 is more than 49 per cent: what exists stays and is shown."""
    (folder / "d.yaml").write_text(TWO)
    assert ran(run, sim, "plan", "d.yaml", "--out", "p.json").code == 0
    sim.fault("POST /disks/#2:out-of-stock")
    done = ran(run, sim, "apply", "p.json", "--yes", "--failover", "49", "-o", "json")
    assert done.code == 5
    document = done.json()
    assert "more" in document["error"]
    assert document["exit_code"] == 5
    assert document["volumes"] == {"a": [sim.live()[0]["id"]]}
    assert (len(sim.live()), creates(sim)) == (1, 2)
    assert len(list(folder.glob(".local/state/planner/plans/*.json"))) == 1


@pytest.mark.slow
def test_no_other_place_is_five(run: Run, folder: Path) -> None:
    """One offer alone: exit 5, the first disk is shown, and nothing more is sent."""
    (folder / "d.yaml").write_text(TWO)
    only = [offer("alpha", "0.0001", "united_states")]
    with Sim(offers_rows=only, gpu_rows=[], provisioning_s=0.2) as sim:
        assert ran(run, sim, "plan", "d.yaml", "--out", "p.json").code == 0
        sim.fault("POST /disks/#2:out-of-stock")
        done = ran(run, sim, "apply", "p.json", "--yes", "--failover", "1000")
        assert done.code == 5
        assert "no other place is left" in done.err
        assert sim.live()[0]["id"][:8] in done.out
        assert (len(sim.live()), creates(sim)) == (1, 2)


@pytest.mark.slow
def test_without_failover_a_stock_out_is_five(run: Run, sim: Sim, folder: Path) -> None:
    """Nobody is moved to another place without having asked for it."""
    (folder / "d.yaml").write_text(TWO)
    assert ran(run, sim, "plan", "d.yaml", "--out", "p.json").code == 0
    sim.fault("POST /disks/#2:out-of-stock")
    assert ran(run, sim, "apply", "p.json", "--yes").code == 5
    assert (len(sim.live()), creates(sim)) == (1, 2)
