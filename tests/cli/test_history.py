"""``planner history``: what is read live is recorded, shown and drawn, and never in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import planner
from planner.marketplace.sim.local import Sim
from tests.cli.test_live import environment

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run

SMALL = "version: 1\nvolumes:\n  - {name: x, size_gb: 100}\n"


def test_without_a_record_it_says_so(run: Run) -> None:
    """Nothing was ever read live: an empty table, and no file is made."""
    ran = run("history")
    assert ran.code == 0
    assert ran.out.startswith("No market history yet")
    assert run("history", "-o", "json").json() == []


@pytest.mark.slow
def test_every_live_listing_is_recorded_and_shown(run: Run, tmp_path: Path) -> None:
    """Offers, GPUs, a question and a plan: four listings of disks, of which three had it."""
    with Sim() as sim:
        env = environment(sim)
        run("offers", env=env)
        sim.change_offer({"provider": "hyperstack"}, stock="Unavailable", price="0.00005")
        run("gpus", env=env)
        sim.change_offer({"provider": "hyperstack"}, stock="High")
        assert run("where", "1TB", env=env).code == 0
        assert run("plan", "-", env=env, stdin=SMALL).code == 0
        rows = run("history", "--provider", "hyperstack", "-o", "json", env=env).json()
        assert [(row["listings"], row["in_stock"], row["usd_gb_hr"]) for row in rows] == [
            (4, 3, "0.00005")
        ] * len(rows)
        assert rows
        table = run("history", "--provider", "hyperstack", env=env)
        assert "75 %" in table.out
        assert f"4 listings read at {sim.base_url}" in table.out
        assert run("history", "--gpu", "H100_80GB", "-o", "csv", env=env).out.count("\n") > 1
        assert "not listed" not in run("history", "--changes", env=env).out
        assert run("history", "--since", "2999-01-01", "-o", "json", env=env).json() == []
        chart = run("history", "--chart", "chart.svg", env=env)
        assert (chart.code, chart.err) == (0, "chart: chart.svg\n")
        assert (tmp_path / "chart.svg").read_text().startswith("<svg")
        file = (tmp_path / ".local" / "state" / "planner" / "history.sqlite").read_bytes()
        assert sim.key.encode() not in file
        other = run("history", env={**env, "PRIME_TEAM_ID": "other"})
        assert (other.code, "recorded for" in other.err) == (2, True)
    assert run("history", "-o", "json").json()


@pytest.mark.slow
def test_the_state_directory_of_a_plan_has_its_history(run: Run, tmp_path: Path) -> None:
    """--state is where the listings of that run are recorded."""
    with Sim() as sim:
        assert run("plan", "-", "--state", "mine", env=environment(sim), stdin=SMALL).code == 0
    assert (tmp_path / "mine" / "history.sqlite").is_file()
    assert not (tmp_path / ".local").exists()


@pytest.mark.slow
def test_a_file_that_cannot_be_written_is_a_line(run: Run, tmp_path: Path) -> None:
    """The plan is the same; `history` exits 8."""
    with Sim() as sim:
        env = environment(sim)
        whole = run("plan", "-", env=env, stdin=SMALL)
        path = tmp_path / ".local" / "state" / "planner" / "history.sqlite"
        path.write_bytes(b"torn" * 1000)
        ran = run("plan", "-", env=env, stdin=SMALL)
        assert ran.code == 0
        lines = set(ran.err.splitlines()) - set(whole.err.splitlines())
        assert len(lines) == 1
        assert "market history not recorded" in lines.pop()
        assert run("history", env=env).code == 8


@pytest.mark.slow
def test_where_explain_and_report_say_how_the_choice_did(run: Run, tmp_path: Path) -> None:
    """From the second listing on; a plan of files has no history, and says nothing."""
    sentence = "in stock in 100 % of {} listings since 2"
    with Sim() as sim:
        env = environment(sim)
        first = run("where", "4TB", env=env)
        assert "listings since" not in first.out
        assert run("plan", "-", "--out", "plan.json", env=env, stdin=SMALL).code == 0
        again = run("where", "4TB", env=env)
        assert sentence.format(3) in " ".join(again.out.split())
        assert "price unchanged" in again.out
        for command, *more in (("explain",), ("report",), ("report", "-o", "md")):
            ran = run(command, "plan.json", *more, env=env)
            assert sentence.format(3) in " ".join(ran.out.split()), (command, more)
        state = tmp_path / ".local" / "state" / "planner"
        plan = planner.Plan.load(tmp_path / "plan.json")
        offers = planner.read_offers("shipped:disk-offers")
        answer = planner.where("4TB", offers, target=plan.target, state=state)
        for said in (answer.track_record, planner.report(plan, state=state).track_record):
            assert sentence.format(3) in said[0]
        assert not planner.where("4TB", offers).track_record
        run("report", "plan.json", "--html", "page.html", "--out", "saved.json", env=env)
        assert run("report", "saved.json", env=env).code == 0
        free = run(
            "plan", "-", "--offers", "shipped:disk-offers", "--out", "free.json", stdin=SMALL
        )
        assert free.code == 0
        assert "listings since" not in run("explain", "free.json", env=env).out
