"""The commands that spend money, as a user runs them, against a local marketplace."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner.demand.read import demand_from
from planner.market.snapshot import read_offers
from planner.marketplace.sim.local import Sim

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Ran, Run

DEMAND = {
    "version": 1,
    "project": "tour",
    "volumes": [
        {"name": "corpus", "size_gb": 2000, "providers": ["hyperstack"]},
        {"name": "ckpt", "size_gb": 300, "providers": ["hyperstack"]},
    ],
}
QUICK = {"PLANNER_SETTLE": "1", "PLANNER_QUARANTINE": "1", "PLANNER_TIMEOUT": "10"}


@pytest.fixture
def sim() -> Iterator[Sim]:
    """Yield a marketplace."""
    with Sim(provisioning_s=0.2) as market:
        yield market


def planned(folder: Path, sim: Sim, name: str = "p.json") -> None:
    """Save a plan for the marketplace, without another process."""
    target: dict[str, str | None] = {"base_url": sim.base_url, "team_id": None}
    offers = read_offers("shipped:disk-offers")
    planner.plan(demand_from(DEMAND), offers, target=target).save(folder / name)


def ran(run: Run, sim: Sim, *words: str, **more: Any) -> Ran:
    done = run(*words, env={**sim.environ, **QUICK}, **more)
    assert sim.key not in done.out + done.err
    return done


@pytest.mark.slow
def test_the_tour(run: Run, sim: Sim, tmp_path: Path) -> None:
    """Plan, apply, apply again without a create, status, rename, destroy, status."""
    planned(tmp_path, sim)
    first = ran(run, sim, "apply", "p.json", "--yes", "--wait", "-o", "json")
    assert first.code == 0, first.err
    document = first.json()
    assert [slot["state"] for slot in document["slots"]] == ["created"] * 2
    assert {slot["status"] for slot in document["slots"]} == {"ACTIVE"}
    assert document["totals"]["usd_hr"] == document["totals"]["limit_usd_hr"] == "0.2231"
    again = ran(run, sim, "apply", "p.json", "--yes")
    assert again.code == 0
    assert sum(entry["method"] == "POST" for entry in sim.audit()) == 2
    assert ran(run, sim, "status", "tour").code == 0
    assert ran(run, sim, "rename", "corpus/1/1", "my-corpus").code == 0
    assert "my-corpus" in {disk["name"] for disk in sim.live()}
    assert ran(run, sim, "status").code == 0
    assert ran(run, sim, "destroy", "tour", "--yes", "--confirm", "other").code == 2
    assert ran(run, sim, "destroy", "tour").code == 2  # nobody is there to ask
    assert len(sim.live()) == 2
    unattended = ("destroy", "tour", "--yes", "--confirm", "tour")
    assert ran(run, sim, *unattended, "--volume", "none").code == 2
    gone = ran(run, sim, *unattended, "-o", "json")
    assert gone.code == 0
    assert gone.json()["usd_hr_saved"] == "0.2231"
    assert sim.live() == []
    assert ran(run, sim, "status", "-o", "json").json()["usd_hr"] == "0"
    assert ran(run, sim, "apply", "p.json", "--yes").code == 7  # a plan is single-use, and not met
    assert sim.live() == []


@pytest.mark.slow
def test_a_dry_run_sends_and_writes_nothing(run: Run, sim: Sim, tmp_path: Path) -> None:
    """It needs no --yes, makes no state directory, and says what would be bought."""
    planned(tmp_path, sim)
    dry = ran(run, sim, "apply", "p.json", "--dry-run", "--state", "s")
    assert dry.code == 0
    assert "2 disks would be bought" in dry.out
    assert not (tmp_path / "s").exists()
    assert {entry["method"] for entry in sim.audit()} == {"GET"}


def test_nobody_is_asked_without_a_terminal(run: Run, sim: Sim, tmp_path: Path) -> None:
    """Exit 2 names the flag, and nothing is sent."""
    planned(tmp_path, sim)
    refused = ran(run, sim, "apply", "p.json", stdin="yes\n")
    assert refused.code == 2
    assert "--yes" in refused.err
    assert sim.live() == []


@pytest.mark.slow
def test_the_prompt_shows_what_it_costs(run: Run, sim: Sim, tmp_path: Path) -> None:
    """A table of what is bought, the project's cost now and afterwards, the wallet; then `yes`."""
    planned(tmp_path, sim)
    sim.balance_usd = 500
    bought = ran(run, sim, "apply", "p.json", stdin="yes\n", terminal=True)
    assert bought.code == 0, bought.err
    assert re.search(r"\+ +corpus +hyperstack \S+ \(\w\w\) +2,000 +0.1940 +141.62", bought.err)
    assert re.search(r"total +2,300 +0.2231 +162.86", bought.err)
    said = " ".join(bought.err.split())
    assert "tour costs $0.0000/h ($0.00/month) now and $0.2231/h ($162.86/month) after" in said
    assert "The wallet has $500.00, which lasts 93.4 days at $0.2231/h." in said
    assert len(sim.live()) == 2


@pytest.mark.slow
def test_the_wallet_pays_for_other_disks_too(run: Run, sim: Sim, tmp_path: Path) -> None:
    """Somebody else's disk in the account shortens how long the wallet lasts, and is said."""
    planned(tmp_path, sim)
    sim.balance_usd = 500
    sim.add_disk(size=100, usd_hr="0.1")
    declined = ran(run, sim, "apply", "p.json", terminal=True)
    said = " ".join(declined.err.split())
    assert "tour costs $0.0000/h" in said
    assert "which lasts 64.5 days at $0.3231/h for all disks of the account." in said


@pytest.mark.slow
@pytest.mark.sweep
@pytest.mark.parametrize("typed", ["y\nyes\n", "Yes\nyes\n"])
def test_only_the_whole_word_buys(typed: str, run: Run, sim: Sim, tmp_path: Path) -> None:
    """What may have been meant as yes is asked again."""
    planned(tmp_path, sim)
    bought = ran(run, sim, "apply", "p.json", stdin=typed, terminal=True)
    assert bought.code == 0, bought.err
    assert bought.err.count("Type the whole word 'yes' to buy") == 1
    assert len(sim.live()) == 2


@pytest.mark.slow
@pytest.mark.sweep
@pytest.mark.parametrize("typed", ["", "\n", "y\n", "y\nn\n", "no\nyes\n", "yes please\n"])
def test_anything_else_buys_nothing(typed: str, run: Run, sim: Sim, tmp_path: Path) -> None:
    """Enter, the end of the input, and any other word decline: exit 130."""
    planned(tmp_path, sim)
    declined = ran(run, sim, "apply", "p.json", stdin=typed, terminal=True)
    assert declined.code == 130
    assert "declined; nothing was sent" in declined.err
    assert sim.live() == []


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"price": "0.0002"}, "was planned"),
        ({"stock": "Unavailable"}, "stock"),
        ({"vanish": True}, "gone"),
    ],
)
def test_a_market_that_moved_is_five(
    change: dict[str, Any], words: str, run: Run, sim: Sim, tmp_path: Path
) -> None:
    """The price doubles, the stock ends, the offer vanishes: no create."""
    planned(tmp_path, sim)
    assert sim.change_offer({"provider": "hyperstack"}, **change)
    moved = ran(run, sim, "apply", "p.json", "--yes", "-o", "json")
    assert moved.code == 5
    assert words in moved.json()["error"]
    assert moved.json()["exit_code"] == 5
    assert sim.live() == []


@pytest.mark.slow
def test_a_lost_answer_is_found(run: Run, sim: Sim, tmp_path: Path) -> None:
    """The create is done and its answer lost: one disk, exit 0."""
    planned(tmp_path, sim)
    sim.fault("POST /disks/#1:drop-after")
    assert ran(run, sim, "apply", "p.json", "--yes").code == 0
    assert len(sim.live()) == 2


@pytest.mark.slow
def test_a_doubt_is_six_and_a_person_may_end_it(run: Run, sim: Sim, tmp_path: Path) -> None:
    """Exit 6 prints the ways out; giving up lets the rest be bought."""
    planned(tmp_path, sim)
    sim.fault("POST /disks/#1:drop-before")
    env = {**sim.environ, **QUICK, "PLANNER_QUARANTINE": "900"}
    doubt = run("apply", "p.json", "--yes", "-o", "json", env=env)
    assert doubt.code == 6
    (name,) = doubt.json()["pending"]
    assert f"planner resolve {name} --id ID | --not ID | --give-up" in doubt.json()["advice"][0]
    assert ran(run, sim, "status").code == 6
    assert ran(run, sim, "resolve", name).code == 2
    assert ran(run, sim, "resolve", "nonsense", "--give-up").code == 2
    assert ran(run, sim, "resolve", name, "--id", "../../x").code == 2
    assert ran(run, sim, "resolve", name, "--id", "no-such-disk").code == 7
    assert ran(run, sim, "resolve", name, "--give-up").code == 0
    assert ran(run, sim, "apply", "p.json", "--yes").code == 0
    assert len(sim.live()) == 1


@pytest.mark.slow
def test_a_second_plan_of_a_project_is_seven(run: Run, sim: Sim, tmp_path: Path) -> None:
    """Unless a second set is wanted."""
    planned(tmp_path, sim)
    planned(tmp_path, sim, "q.json")
    assert ran(run, sim, "apply", "p.json", "--yes").code == 0
    twice = ran(run, sim, "apply", "q.json", "--yes")
    assert twice.code == 7
    assert sim.live()[0]["id"] in twice.err
    assert ran(run, sim, "apply", "q.json", "--yes", "--again").code == 0
    assert len(sim.live()) == 4


@pytest.mark.slow
def test_events_are_json_lines(run: Run, sim: Sim, tmp_path: Path) -> None:
    """One object a line on standard error; the result stays alone on standard output."""
    planned(tmp_path, sim)
    done = ran(run, sim, "apply", "p.json", "--yes", "--events", "-o", "json")
    events = [json.loads(line)["event"] for line in done.err.splitlines()]
    assert events == ["plan", *["intent", "claimed", "created"] * 2]
    assert done.json()["exit_code"] == 0


@pytest.mark.slow
def test_a_rehearsal_needs_no_key(run: Run, sim: Sim, tmp_path: Path) -> None:
    """It buys on a marketplace of its own, and leaves no state behind."""
    planned(tmp_path, sim)
    done = run("apply", "p.json", "--rehearse", "-o", "json")
    assert done.code == 0, done.err
    assert [slot["state"] for slot in done.json()["slots"]] == ["created"] * 2
    assert sim.live() == []
    assert not (tmp_path / ".local").exists()


def begun(tmp_path: Path, sim: Sim, *words: str) -> subprocess.Popen[str]:
    """Start planner and return while its first create is open."""
    process = subprocess.Popen(
        [sys.executable, "-m", "planner", *words],
        cwd=tmp_path,
        env={**os.environ, **sim.environ, **QUICK, "HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 20
    journal = tmp_path / "s" / "journal.jsonl"
    while not (journal.exists() and b'"kind":"intent"' in journal.read_bytes()):
        assert time.monotonic() < deadline, process.communicate()
        time.sleep(0.02)
    time.sleep(0.2)
    return process


@pytest.mark.slow
def test_a_second_apply_is_nine(run: Run, sim: Sim, tmp_path: Path) -> None:
    """It names the holder, and the first goes on."""
    planned(tmp_path, sim)
    sim.fault("POST /disks/#1:hang-after=2")
    first = begun(tmp_path, sim, "apply", "p.json", "--yes", "--state", "s")
    second = ran(run, sim, "apply", "p.json", "--yes", "--state", "s")
    assert second.code == 9
    assert str(first.pid) in second.err
    assert first.wait(timeout=30) == 0
    first.communicate()
    assert len(sim.live()) == 2


@pytest.mark.slow
def test_killed_with_a_create_on_its_way(run: Run, sim: Sim, tmp_path: Path) -> None:
    """Kill -9, then the same command: two disks, two creates."""
    planned(tmp_path, sim)
    sim.fault("POST /disks/#1:hang-after=2")
    process = begun(tmp_path, sim, "apply", "p.json", "--yes", "--state", "s")
    process.kill()
    process.communicate()
    assert ran(run, sim, "apply", "p.json", "--yes", "--state", "s").code == 0
    assert len(sim.live()) == 2
    assert sum(entry["method"] == "POST" for entry in sim.audit()) == 2


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_interrupted_once(run: Run, sim: Sim, tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C, or the terminal is closed: the open create is awaited and recorded, exit 130."""
    planned(tmp_path, sim)
    sim.fault("POST /disks/#1:hang-after=5")
    process = begun(tmp_path, sim, "apply", "p.json", "--yes", "--state", "s", "-o", "json")
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert sorted(slot["state"] for slot in json.loads(out)["slots"]) == ["created", "planned"]
    assert "run the same apply again" in out
    assert len(sim.live()) == 1
    assert ran(run, sim, "apply", "p.json", "--yes", "--state", "s").code == 0
    assert len(sim.live()) == 2


@pytest.mark.slow
def test_interrupted_twice(run: Run, sim: Sim, tmp_path: Path) -> None:
    """Ctrl-C again leaves at once; the intent is on disk, and the next run adopts."""
    planned(tmp_path, sim)
    sim.fault("POST /disks/#1:hang-after=3")
    process = begun(tmp_path, sim, "apply", "p.json", "--yes", "--state", "s")
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 130
    assert time.monotonic() - started < 2
    process.communicate()
    assert ran(run, sim, "apply", "p.json", "--yes", "--state", "s").code == 0
    assert len(sim.live()) == 2


@pytest.mark.slow
def test_a_state_that_cannot_be_used_is_eight(run: Run, sim: Sim, tmp_path: Path) -> None:
    """A file where the directory should be, and a damaged journal: nothing is sent."""
    planned(tmp_path, sim)
    (tmp_path / "file").write_text("")
    assert ran(run, sim, "apply", "p.json", "--yes", "--state", "file").code == 8
    (tmp_path / "bad").mkdir(mode=0o700)
    (tmp_path / "bad" / "journal.jsonl").write_text("nonsense\nmore\n")
    damaged = ran(run, sim, "apply", "p.json", "--yes", "--state", "bad", "-o", "json")
    assert damaged.code == 8
    assert damaged.json()["exit_code"] == 8
    assert ran(run, sim, "status", "--state", "bad").code == 8
    assert sim.live() == []


@pytest.mark.sweep
@pytest.mark.parametrize(
    "words",
    [
        ("--settle", "-1"),
        ("--min-runway", "soon"),
        ("--max-age", "x"),
        ("--max-usd-hr", "free"),
        ("--price-tolerance", "0.5"),
        ("--state", ""),
    ],
)
def test_wrong_options_are_two(words: tuple[str, str], run: Run, sim: Sim, tmp_path: Path) -> None:
    """Before anything is asked of the marketplace."""
    planned(tmp_path, sim)
    asked = len(sim.audit())
    assert ran(run, sim, "apply", "p.json", "--yes", *words).code == 2
    assert len(sim.audit()) == asked


@pytest.mark.slow
def test_a_runway_that_is_too_short_is_five(run: Run, sim: Sim, tmp_path: Path) -> None:
    """The wallet has to last; where the key may not read it, nothing can be promised."""
    planned(tmp_path, sim)
    sim.balance_usd = 10
    short = ran(run, sim, "apply", "p.json", "--yes", "--min-runway", "30d")
    assert short.code == 5
    assert "less than the 30.0 days" in short.err
    env = {**sim.environ, **QUICK, "PRIME_API_KEY": "sim-no-wallet"}
    assert run("apply", "p.json", "--yes", "--min-runway", "1h", env=env).code == 5
    assert sim.live() == []
    unknown = run("apply", "p.json", "--yes", env=env)
    assert unknown.code == 0
    assert "balance unknown" in unknown.out
