"""The commands against a live marketplace: the whole market or exit 4, and the key goes nowhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from planner.marketplace.sim.local import Sim
from planner.shipped import shipped_path
from tests.benchmarks.instances import market
from tests.marketplace.simulated import asked, body
from tests.raw import Raw

if TYPE_CHECKING:
    from pathlib import Path

    from planner.marketplace.sim.wire import Dialect
    from tests.cli.conftest import Run

ROWS = market(250)
SMALL = "version: 1\nvolumes:\n  - {name: x, size_gb: 100}\n"
KEY = Sim.key

READ_TWICE = ("disks/", "disks/")
"""An empty account is read again, once."""


def environment(sim: Sim) -> dict[str, str]:
    url = f"{sim.base_url}/api/v1/"
    return {"PRIME_API_KEY": KEY, "PRIME_API_BASE_URL": url, "PRIME_TEAM_ID": "team-9"}


def requested(sim: Sim) -> list[str]:
    """Return what was read, in order: listings of offers, and the account's disks."""
    paths = [one["path"].removeprefix("/api/v1/") for one in asked(sim)]
    return [path.removeprefix("availability/") for path in paths]


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["openapi", "guide"])
def test_the_whole_market_is_read_and_planned_on(run: Run, dialect: Dialect) -> None:
    """All 250 offers over three pages, in both documented shapes; the plan knows its target."""
    with Sim(ROWS, dialect=dialect) as sim:
        ran = run("plan", "-", "-o", "json", stdin=SMALL, env=environment(sim))
        assert ran.code == 0
        plan = ran.json()
        assert plan["inputs"]["offers"]["rows"] == 250
        assert plan["target"] == {"base_url": sim.base_url, "team_id": "team-9"}
        assert plan["requests"][0]["body"]["team"] == {"teamId": "team-9"}
        assert len(run("offers", "-o", "json", env=environment(sim)).json()) == 250
        assert all(one["key"] == "right" and not one["key_elsewhere"] for one in sim.audit())
        assert KEY not in ran.out + ran.err


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault", ["401", "403", "404", "garbage", "list-short-total", body({"items": [7]})]
)
def test_anything_less_is_four(run: Run, fault: str) -> None:
    """A market that cannot be read whole is exit 4, in prose and JSON, without the key."""
    with Sim(ROWS) as sim:
        sim.fault(f"GET /availability/disks#2-:{fault}")
        ran = run("plan", "-", "-o", "json", stdin=SMALL, env=environment(sim))
    assert ran.code == 4
    assert ran.json()["exit_code"] == 4
    assert KEY not in ran.out + ran.err


def test_a_redirect_never_gets_the_key(run: Run) -> None:
    """The other port hears nothing, and the message names it."""
    with Sim(ROWS) as sim, Raw() as other:
        sim.fault(f"GET /availability/disks:redirect={other.url}/api/v1/availability/disks")
        ran = run("offers", env=environment(sim))
        assert ran.code == 4
        assert other.requests == []
        assert f"127.0.0.1:{other.port}" in ran.err


@pytest.mark.slow
def test_credentials_of_the_vendors_client_are_enough(run: Run, tmp_path: Path) -> None:
    """A user who has logged in with the vendor's client needs no variable."""
    with Sim(ROWS) as sim:
        config = tmp_path / ".prime" / "config.json"
        config.parent.mkdir()
        config.write_text(json.dumps({"api_key": KEY, "base_url": sim.base_url, "team_id": None}))
        assert len(run("offers", "-o", "json").json()) == 250


@pytest.mark.parametrize("name", ["PRIME_API_KEY", "PRIME_API_BASE_URL", "PRIME_CONTEXT"])
def test_an_empty_variable_is_two(run: Run, name: str) -> None:
    """Set but empty is a mistake, never a fall-back to production."""
    ran = run("offers", env={"PRIME_API_KEY": KEY, name: ""})
    assert ran.code == 2
    assert name in ran.err


@pytest.mark.slow
def test_gpus_are_read_from_both_listings_and_saved(run: Run, tmp_path: Path) -> None:
    """--gpus asks for GPUs and multi-node GPUs, and --save-gpus keeps the first."""
    disks = json.loads(shipped_path("disk-offers").read_text())["items"]
    gpus = json.loads(shipped_path("gpu-offers").read_text())["items"]
    with Sim(disks, gpus) as sim:
        words = ("--gpus", "H100_80GB", "--save-gpus", "gpus.json", "-o", "json")
        ran = run("offers", *words, env=environment(sim))
        assert ran.code == 0
        assert set(requested(sim)) == {"disks", "gpus", "multi-node"}
        assert len(json.loads((tmp_path / "gpus.json").read_text())["items"]) == 9
        assert {row["gpu"] for row in ran.json()} == {"no", None}


@pytest.mark.slow
def test_an_empty_market_is_asked_twice_and_then_four(run: Run) -> None:
    """Live, no offers at all is not believed."""
    with Sim([]) as sim:
        ran = run("offers", env=environment(sim))
        assert ran.code == 4
        assert len(requested(sim)) == 2


def listings() -> dict[str, Any]:
    """Return the shipped disks and GPUs, and one of these as a multi-node offer at half price."""
    disks, gpus = (
        json.loads(shipped_path(name).read_text())["items"]
        for name in ("disk-offers", "gpu-offers")
    )
    half = {**gpus[0], "prices": {**gpus[0]["prices"], "onDemand": 0.8}}
    return {"offers_rows": disks, "gpu_rows": gpus, "multinode_rows": [half]}


@pytest.mark.slow
def test_a_demand_with_workloads_reads_three_listings(run: Run) -> None:
    """Disks, GPUs and multi-node GPUs, all live, and the plan knows where it is to be bought."""
    with Sim(**listings()) as sim:
        ran = run("plan", "shipped:finetune", "-o", "json", env=environment(sim))
        assert ran.code == 0, ran.err
        listed = ["disks", "gpus", "multi-node"]
        assert requested(sim) == [*listed, *READ_TWICE]
        plan = ran.json()
        assert plan["target"] == {"base_url": sim.base_url, "team_id": "team-9"}
        assert {name: one["rows"] for name, one in plan["inputs"].items()} == {
            "demand": 3,
            "offers": 13,
            "gpus": 10,
            "disks": 0,
        }
        assert plan["inputs"]["gpus"]["fetched_at"] is not None
        assert {row["listing"] for row in plan["market"]["gpus"]} == {"gpus", "multi-node"}
        assert KEY not in ran.out + ran.err


@pytest.mark.slow
def test_a_demand_without_workloads_asks_for_disks_only(run: Run) -> None:
    """What is not needed is not asked for."""
    with Sim(**listings()) as sim:
        ran = run("plan", "-", "-o", "json", stdin=SMALL, env=environment(sim))
        assert ran.code == 0
        assert set(requested(sim)) == {"disks", "disks/"}
        assert "gpus" not in ran.json()["inputs"]


@pytest.mark.slow
def test_what_a_file_gives_is_not_asked_live(run: Run) -> None:
    """With a file of GPUs only disks are read, and with both files nothing is."""
    gpus = ("--gpus-file", "shipped:gpu-offers")
    with Sim(**listings()) as sim:
        words = ("plan", "shipped:finetune", *gpus, "-o", "json")
        plan = run(*words, env=environment(sim)).json()
        assert requested(sim) == ["disks", *READ_TWICE]
        assert plan["inputs"]["gpus"]["source"] == "shipped:gpu-offers"
        assert plan["target"]["base_url"] == sim.base_url
        before = len(sim.audit())
        offline = run(*words, "--offers", "shipped:disk-offers", env=environment(sim))
        assert offline.json()["target"] is None
        assert len(sim.audit()) == before


@pytest.mark.parametrize("listing", ["gpus", "multi-node"])
def test_gpus_that_cannot_be_read_whole_are_four(run: Run, listing: str) -> None:
    """A plan on half of the GPUs could be a wrong one, so there is none."""
    with Sim(**listings()) as sim:
        sim.fault(f"GET /availability/{listing}:403")
        ran = run("plan", "shipped:finetune", "-o", "json", env=environment(sim))
    assert ran.code == 4
    assert ran.json()["exit_code"] == 4


@pytest.mark.slow
def test_gpus_and_where_read_the_live_market(run: Run) -> None:
    """`gpus` reads all three listings; `where` reads GPUs only where it is asked for one."""
    with Sim(**listings()) as sim:
        shown = run("gpus", "-o", "json", env=environment(sim))
        assert shown.code == 0, shown.err
        assert {row["listing"] for row in shown.json()} == {"gpus", "multi-node"}
        assert {row["disks"] for row in shown.json()} == {"yes", "no"}
        assert {*requested(sim)} == {"gpus", "disks", "multi-node"}
    with Sim(**listings()) as sim:
        alone = run("where", "4TB", "-o", "json", env=environment(sim))
        assert (alone.code, len(alone.json()["sites"])) == (0, 13)
        assert {*requested(sim)} == {"disks"}
        beside = run("where", "4TB", "--gpu", "A100_80GB", "-o", "json", env=environment(sim))
        assert beside.json()["sites"][0]["data_center"] == "US-KS-2"
        assert {*requested(sim)} == {"gpus", "disks", "multi-node"}
        assert KEY not in shown.out + shown.err + beside.out + beside.err
