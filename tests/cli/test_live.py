"""The commands against a live marketplace: the whole market or exit 4, and the key goes nowhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from planner.shipped import shipped_path
from tests.benchmarks.commands import market
from tests.servers import ACCOUNT, KEY, Marketplace, claims, redirect, repeats, says, status

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Run
    from tests.servers import Exchange

ROWS = market(250)
SMALL = "version: 1\nvolumes:\n  - {name: x, size_gb: 100}\n"

ASKED_TWICE = (ACCOUNT, ACCOUNT)
"""An account that is empty is asked again, once."""


def environment(url: str) -> dict[str, str]:
    return {"PRIME_API_KEY": KEY, "PRIME_API_BASE_URL": f"{url}/api/v1/", "PRIME_TEAM_ID": "team-9"}


@pytest.mark.parametrize("shape", [{}, {"bare": True}, {"bare": True, "paged": False}])
def test_the_whole_market_is_read_and_planned_on(run: Run, shape: dict[str, Any]) -> None:
    """All 250 offers over three pages, in both documented shapes; the plan knows its target."""
    with Marketplace(ROWS, **shape) as server:
        ran = run("plan", "-", "-o", "json", stdin=SMALL, env=environment(server.url))
        assert ran.code == 0
        plan = ran.json()
        assert plan["inputs"]["offers"]["rows"] == 250
        assert plan["target"] == {"base_url": server.url, "team_id": "team-9"}
        assert plan["requests"][0]["body"]["team"] == {"teamId": "team-9"}
        assert len(run("offers", "-o", "json", env=environment(server.url)).json()) == 250
        assert all(one.headers["authorization"] == f"Bearer {KEY}" for one in server.requests)
        assert KEY not in ran.out + ran.err


@pytest.mark.parametrize(
    "fault", [status(401), status(403), status(404), says(b"<html>"), claims(999), repeats(1)]
)
def test_anything_less_is_four(run: Run, fault: Callable[[Exchange], None]) -> None:
    """A market that cannot be read whole is exit 4, in prose and JSON, without the key."""
    with Marketplace(ROWS) as server:
        server.fault(fault, page=2)
        ran = run("plan", "-", "-o", "json", stdin=SMALL, env=environment(server.url))
    assert ran.code == 4
    assert ran.json()["exit_code"] == 4
    assert KEY not in ran.out + ran.err


def test_a_redirect_never_gets_the_key(run: Run) -> None:
    """The other port hears nothing, and the message names it."""
    with Marketplace(ROWS) as server, Marketplace(ROWS) as other:
        server.fault(redirect(f"{other.url}/api/v1/availability/disks"))
        ran = run("offers", env=environment(server.url))
        assert ran.code == 4
        assert other.requests == []
        assert f"127.0.0.1:{other.port}" in ran.err


def test_credentials_of_the_vendors_client_are_enough(run: Run, tmp_path: Path) -> None:
    """A user who has logged in with the vendor's client needs no variable."""
    with Marketplace(ROWS) as server:
        config = tmp_path / ".prime" / "config.json"
        config.parent.mkdir()
        config.write_text(json.dumps({"api_key": KEY, "base_url": server.url, "team_id": None}))
        assert len(run("offers", "-o", "json").json()) == 250


@pytest.mark.parametrize("name", ["PRIME_API_KEY", "PRIME_API_BASE_URL", "PRIME_CONTEXT"])
def test_an_empty_variable_is_two(run: Run, name: str) -> None:
    """Set but empty is a mistake, never a fall-back to production."""
    ran = run("offers", env={"PRIME_API_KEY": KEY, name: ""})
    assert ran.code == 2
    assert name in ran.err


def test_gpus_are_read_from_both_listings_and_saved(run: Run, tmp_path: Path) -> None:
    """--gpus asks for GPUs and multi-node GPUs, and --save-gpus keeps the first."""
    disks = json.loads(shipped_path("disk-offers").read_text())["items"]
    gpus = json.loads(shipped_path("gpu-offers").read_text())["items"]
    with Marketplace({"disks": disks, "gpus": gpus, "multi-node": []}) as server:
        words = ("--gpus", "H100_80GB", "--save-gpus", "gpus.json", "-o", "json")
        ran = run("offers", *words, env=environment(server.url))
        assert ran.code == 0
        assert {one.listing for one in server.requests} == {"disks", "gpus", "multi-node"}
        assert len(json.loads((tmp_path / "gpus.json").read_text())["items"]) == 9
        assert {row["gpu"] for row in ran.json()} == {"no"}


def test_an_empty_market_is_asked_twice_and_then_four(run: Run) -> None:
    """Live, no offers at all is not believed."""
    with Marketplace([]) as server:
        ran = run("offers", env=environment(server.url))
        assert ran.code == 4
        assert len(server.requests) == 2


def listings() -> dict[str, list[Any]]:
    """Return the shipped disks and GPUs, and one of these as a multi-node offer at half price."""
    disks, gpus = (
        json.loads(shipped_path(name).read_text())["items"]
        for name in ("disk-offers", "gpu-offers")
    )
    half = {**gpus[0], "prices": {**gpus[0]["prices"], "onDemand": 0.8}}
    return {"disks": disks, "gpus": gpus, "multi-node": [half]}


def test_a_demand_with_workloads_reads_three_listings(run: Run) -> None:
    """Disks, GPUs and multi-node GPUs, all live, and the plan knows where it is to be bought."""
    with Marketplace(listings()) as server:
        ran = run("plan", "shipped:finetune", "-o", "json", env=environment(server.url))
        assert ran.code == 0, ran.err
        listed = ["disks", "gpus", "multi-node"]
        assert [one.listing for one in server.requests] == [*listed, *ASKED_TWICE]
        plan = ran.json()
        assert plan["target"] == {"base_url": server.url, "team_id": "team-9"}
        assert {name: one["rows"] for name, one in plan["inputs"].items()} == {
            "demand": 3,
            "offers": 13,
            "gpus": 10,
            "disks": 0,
        }
        assert plan["inputs"]["gpus"]["fetched_at"] is not None
        assert {row["listing"] for row in plan["market"]["gpus"]} == {"gpus", "multi-node"}
        assert KEY not in ran.out + ran.err


def test_a_demand_without_workloads_asks_for_disks_only(run: Run) -> None:
    """What is not needed is not asked for."""
    with Marketplace(listings()) as server:
        ran = run("plan", "-", "-o", "json", stdin=SMALL, env=environment(server.url))
        assert ran.code == 0
        assert {one.listing for one in server.requests} == {"disks", ACCOUNT}
        assert "gpus" not in ran.json()["inputs"]


def test_what_a_file_gives_is_not_asked_live(run: Run) -> None:
    """With a file of GPUs only disks are read, and with both files nothing is."""
    gpus = ("--gpus-file", "shipped:gpu-offers")
    with Marketplace(listings()) as server:
        words = ("plan", "shipped:finetune", *gpus, "-o", "json")
        plan = run(*words, env=environment(server.url)).json()
        assert [one.listing for one in server.requests] == ["disks", *ASKED_TWICE]
        assert plan["inputs"]["gpus"]["source"] == "shipped:gpu-offers"
        assert plan["target"]["base_url"] == server.url
        server.requests.clear()
        offline = run(*words, "--offers", "shipped:disk-offers", env=environment(server.url))
        assert offline.json()["target"] is None
        assert server.requests == []


@pytest.mark.parametrize("listing", ["gpus", "multi-node"])
def test_gpus_that_cannot_be_read_whole_are_four(run: Run, listing: str) -> None:
    """A plan on half of the GPUs could be a wrong one, so there is none."""
    with Marketplace(listings()) as server:
        server.fault(status(403), listing=listing)
        ran = run("plan", "shipped:finetune", "-o", "json", env=environment(server.url))
    assert ran.code == 4
    assert ran.json()["exit_code"] == 4
