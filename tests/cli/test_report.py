"""`planner report` as a user runs it: on a plan, on a live account, on both, merged, gated."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from planner.marketplace.sim.local import Sim
from planner.plans.plan import Plan
from planner.units import plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Ran, Run

QUICK = {"PLANNER_SETTLE": "1", "PLANNER_QUARANTINE": "1"}


@pytest.fixture
def plan(run: Run) -> str:
    """Save the plan of the shipped research group."""
    made = run("plan", "shipped:research", "--offers", "shipped:disk-offers", "--out", "plan.json")
    assert made.code == 0
    return "plan.json"


@pytest.fixture
def sim() -> Iterator[Sim]:
    """Yield a marketplace whose clock moves only when told to."""
    now = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    with Sim(clock_speed=0, now=now, balance_usd=500, provisioning_s=0) as market:
        yield market


@pytest.mark.slow
def test_the_shipped_research_group(run: Run, plan: str, tmp_path: Path) -> None:
    """The same total as the plan's own, in every format."""
    usd_month = Plan.load(tmp_path / plan).exact_totals["usd_month"]
    document = run("report", plan, "-o", "json").json()
    assert document["format"] == "planner.report/1"
    assert document["totals"]["after"]["usd_month"] == plain(usd_month)
    for output in ("table", "md"):
        assert f"{usd_month:,.2f}" in run("report", plan, "-o", output).out
    rows = csv.DictReader(io.StringIO(run("report", plan, "-o", "csv").out))
    assert sum(Decimal(one["usd_month"]) for one in rows if one["section"] == "disk") == Decimal(
        usd_month
    )


@pytest.mark.slow
def test_files_of_a_report(run: Run, plan: str, tmp_path: Path) -> None:
    """A page, charts in three formats and a saved report that can be read again."""
    words = ("--html", "r.html", "--charts", "pictures", "--out", "r.json")
    formats = ("--chart-format", "svg", "--chart-format", "png", "--chart-format", "pdf")
    ran = run("report", plan, *words, *formats)
    assert ran.code == 0
    page = (tmp_path / "r.html").read_text()
    assert "1,340.51" in page
    assert "<svg" in page
    starts = {path.suffix: path.read_bytes()[:4] for path in (tmp_path / "pictures").iterdir()}
    assert starts == {".svg": b"<svg", ".png": b"\x89PNG", ".pdf": b"%PDF"}
    again = run("report", "r.json", "-o", "json").json()
    assert again["totals"]["after"]["usd_month"].startswith("1340.507")


@pytest.mark.slow
def test_a_budget_gate(run: Run, plan: str, tmp_path: Path) -> None:
    """Above the threshold: exit 10, by how much, whose; the report is printed all the same."""
    ran = run("report", plan, "--fail-above", "85%")
    assert ran.code == 10
    assert "By owner" in ran.out
    assert "of research: $1,298.02 of $1,500.00/month (86.5 %), $23.02 above 85 %" in ran.err
    failed = run("report", plan, "--fail-above", "85", "-o", "json")
    document = failed.json()
    assert (failed.code, document["exit_code"]) == (10, 10)
    assert document["over"][0]["owner"] == "research"
    assert document["over"][0]["above_usd_month"] == "23.021111111111103"
    assert document["totals"]["after"]["disks"] == 11
    (tmp_path / "failed.json").write_text(failed.out)
    assert run("report", "failed.json", "-o", "json").json()["totals"] == document["totals"]
    assert run("report", plan, "--fail-above", "100%").code == 0


@pytest.mark.slow
def test_a_plan_over_a_budget_of_today(run: Run, plan: str) -> None:
    """A budget that was set after the plan was made: by everybody and by one owner."""
    ran = run("report", plan, "--budget", "1000", "--budget", "serving=40", "--fail-above", "100%")
    assert ran.code == 10
    assert "$1,340.51 of $1,000.00/month (134.1 %), $340.51 above 100 %" in ran.err
    assert "budget of serving, everything: $42.49 of $40.00" in ran.err


@pytest.mark.slow
def test_a_warning_is_no_failure(run: Run, plan: str) -> None:
    """`--warn-above` speaks on standard error and exits 0."""
    ran = run("report", plan, "--warn-above", "86%")
    assert ran.code == 0
    assert len(re.findall(r"^warning: budget", ran.err, re.MULTILINE)) == 1


def test_a_section_without_anything_to_show_is_no_mistake(run: Run, plan: str) -> None:
    """What a report has depends on the day: a script that asks for idle disks goes on."""
    ran = run("report", plan, "--section", "idle", "--section", "totals")
    assert (ran.code, ran.err) == (0, "idle: nothing to show\n")
    assert "What it costs" in ran.out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--fail-above", "0.8"), "ambiguous"),
        (("--fail-above", "much"), "not a percentage"),
        (("--budget", "=5"), "names no owner"),
        (("--budget", "-5"), "no amount"),
        (("--budget", "5", "--budget", "6"), "second"),
        (("--wallet", "w.json"), "--disks"),
        (("--section", "ownr"), "no section"),
        (("-o", "csv", "--section", "disks", "--section", "gpus"), "one section"),
        (("--html", "plan.json"), "would overwrite"),
        (("--html", "x", "--out", "x"), "written already"),
        (("--budget", "reserch=600", "--fail-above", "100%"), "did you mean research?"),
        (("-o", "md", "--section", "disks"), "--section"),
        (("-o", "json", "--section", "disks"), "--section"),
        (("--live", "--disks", "d.json"), "different accounts"),
        (("--as-of", "2026-01-01"), "--disks"),
        (("--as-of", "yesterday", "--disks", "d.json"), "is no time"),
        (("--out", ""), "names a file"),
        (("--month", "2026-13"), "is not a month"),
        (("--month", "2026-01", "--compare", "2026-1"), "compared with itself"),
        (("--compare", "2026-01"), "comes with --month"),
        (("--forecast", "f.csv"), "comes with -o focus"),
        (("-o", "focus"), "has cost nothing yet"),
        (("--month", "2026-01", "--budget", "5"), "--budget does not go with --month"),
    ],
)
def test_wrong_words(words: tuple[str, ...], says: str, run: Run, plan: str) -> None:
    """Exit 2, and what to write instead."""
    ran = run("report", plan, *words)
    assert ran.code == 2
    assert says in ran.err


@pytest.mark.slow
def test_a_gate_without_a_budget(run: Run) -> None:
    """A plan without budgets cannot be held against one."""
    run("plan", "-", "--offers", "shipped:disk-offers", "--out", "p.json", stdin=SMALL)
    assert run("report", "p.json", "--fail-above", "100%").code == 2
    assert run("report", "p.json", "--fail-above", "100%", "--budget", "900").code == 0


SMALL = "version: 1\nvolumes:\n- {name: a, size: 1 TB}\n"


def test_what_cannot_be_read(run: Run, tmp_path: Path) -> None:
    """A missing file, one that is no plan, a changed plan, no key for the live account."""
    assert run("report", "none.json").code == 2
    (tmp_path / "x.json").write_text("{}")
    assert run("report", "x.json").code == 5
    ran = run("report")
    assert ran.code == 2
    assert "key" in ran.err


@pytest.mark.slow
def test_without_the_charts_everything_else_works(
    run: Run, plan: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without altair: tables, a page without charts, and a word on what to install."""
    monkeypatch.setitem(sys.modules, "altair", None)
    ran = run("report", plan, "--html", "r.html")
    assert ran.code == 0
    assert "1,340.51" in ran.out
    assert "the page has no charts: pip install altair" in ran.err
    page = (tmp_path / "r.html").read_text()
    assert "1,340.51" in page
    assert "<svg" not in page
    assert "pip install altair" in page
    ran = run("report", plan, "--charts", "pictures")
    assert ran.code == 2
    assert "pip install altair" in ran.err


def live(run: Run, sim: Sim, *words: str) -> Ran:
    return run("report", *words, "--state", "state", env={**sim.environ, **QUICK})


def bought(run: Run, sim: Sim) -> None:
    env = {**sim.environ, **QUICK}
    assert run("plan", "shipped:minimal", "--out", "p.json", "--state", "state", env=env).code == 0
    assert run("apply", "p.json", "--yes", "--state", "state", env=env).code == 0


@pytest.mark.slow
def test_a_live_account(run: Run, sim: Sim) -> None:
    """Attached, idle, errored and foreign disks, and a wallet, beside the simulator's own books."""
    bought(run, sim)
    theirs = sim.add_disk(name="theirs", usd_hr="0.02")
    broken = sim.add_disk(name="broken", usd_hr="0.03")
    sim.change_disk(broken["id"], status="ERROR")
    sim.attach(theirs["id"])
    sim.advance(hours=50)
    books = {disk["id"]: disk["cost_usd"] for disk in sim.disks()}
    document: Any = live(run, sim, "p.json", "--live", "-o", "json").json()
    disks = {one["disk_id"]: one for one in document["disks"]}
    assert {key: Decimal(one["accrued_usd"]) for key, one in disks.items()} == books
    assert [one["standing"] for one in document["disks"]] == ["bought"] * 3 + ["other"] * 2
    assert document["totals"]["new"]["disks"] == 0
    assert document["totals"]["idle"]["disks"] == 4
    (runway,) = document["runways"]
    assert Decimal(runway["balance_usd"]) == sim.balance_usd == 500 - sum(books.values())
    words = ("--budget", "1", "--fail-above", "100", "--min-runway", "9000h", "-o", "json")
    closed = live(run, sim, *words)
    assert (closed.code, len(closed.json()["over"])) == (10, 2)
    assert "less than the 375.0 days asked for" in closed.json()["error"]
    assert live(run, sim, "--min-runway", "1h").code == 0
    alone = live(run, sim)
    assert "How long the wallet lasts" in alone.out
    assert "is ERROR and still billed: $0.0300/h" in alone.err
    assert sim.environ["PRIME_API_KEY"] not in alone.out + alone.err
    listed = live(run, sim, "--section", "by-volume").out
    assert "corpus" in listed  # the journal knows what the disks were bought as


@pytest.mark.slow
def test_the_journal_knows_what_was_bought_whatever_it_is_called(run: Run, sim: Sim) -> None:
    """A renamed disk is the plan's; a disk of another plan of ours is named for its volume."""
    bought(run, sim)
    disk, *_ = sim.live()
    sim.change_disk(disk["id"], name="precious")
    document = live(run, sim, "p.json", "--live", "-o", "json").json()
    found = {one["disk_id"]: one for one in document["disks"]}
    assert found[disk["id"]]["standing"] == "bought"
    assert document["totals"]["new"]["disks"] == 0
    env = {**sim.environ, **QUICK}
    run("plan", "shipped:research", "--out", "q.json", "--state", "state", env=env)
    other = live(run, sim, "q.json", "--live", "-o", "json").json()
    found = {one["disk_id"]: one for one in other["disks"] if one["disk_id"]}
    assert {one["standing"] for one in found.values()} == {"other"}
    assert {one["project"] for one in found.values()} == {"my-first-plan"}


@pytest.mark.slow
def test_the_account_alone_knows_who_pays(run: Run, sim: Sim, tmp_path: Path) -> None:
    """A month later, without plan file or demand: by owner and tag, the superseded disk too."""
    env = {**sim.environ, **QUICK}
    text = "version: 1\nproject: lab\nvolumes:\n- {name: a, size: SIZE, owner: research, "
    text += "tags: {team: vision}}\n"
    for size in ("100 GB", "150 GB"):
        (tmp_path / "d.yaml").write_text(text.replace("SIZE", size))
        assert run("apply", "d.yaml", "--yes", "--state", "state", env=env).code == 0
    sim.advance(hours=30 * 24)
    (tmp_path / "d.yaml").unlink()
    document = live(run, sim, "-o", "json").json()
    old, new = sorted(document["disks"], key=lambda one: one["size_gb"])
    assert (old["standing"], new["standing"]) == ("superseded", "other")
    assert {one["owner"] for one in document["disks"]} == {"research"}
    assert {one["tags"]["team"] for one in document["disks"]} == {"vision"}
    assert "research" in live(run, sim, "--section", "by-owner").out
    adopted = run("adopt", "again.yaml", "--state", "state", env=env)
    assert adopted.code == 0, adopted.err
    assert "a later disk replaced it" in adopted.err
    text = (tmp_path / "again.yaml").read_text()
    assert 'owner: "research"' in text
    assert new["disk_id"] in text


@pytest.mark.slow
def test_an_unknown_outcome_closes_the_gate(run: Run, sim: Sim) -> None:
    """A create with an unknown outcome may cost money that no sum has."""
    env = {**sim.environ, **QUICK}
    run("plan", "shipped:minimal", "--out", "p.json", "--state", "state", env=env)
    sim.fault("POST /disks/#1:drop-before")
    assert run("apply", "p.json", "--yes", "--state", "state", env=env).code == 6
    ran = live(run, sim, "p.json", "--live", "--budget", "9999", "--fail-above", "100%")
    assert ran.code == 10
    assert "is unknown" in ran.err
    document = live(run, sim, "p.json", "--live", "-o", "json").json()
    assert len(document["doubts"]) == 1


@pytest.mark.slow
def test_reports_are_merged(run: Run, sim: Sim, plan: str) -> None:
    """A saved report of the account and a plan: one report, every disk once."""
    bought(run, sim)
    assert live(run, sim, "--out", "account.json").code == 0
    merged = run("report", "account.json", plan, "p.json", "-o", "json").json()
    assert merged["projects"] == ["llm-research", "my-first-plan"]
    assert merged["totals"]["now"]["disks"] == 3
    assert merged["totals"]["new"]["disks"] == 11
    assert [one["standing"] for one in merged["disks"]].count("bought") == 3


@pytest.mark.slow
def test_a_month_with_disks_that_are_gone(run: Run, tmp_path: Path) -> None:
    """As the simulator's own books have it: a month of disks that live, and one destroyed."""
    now = datetime.now(UTC)
    with Sim(clock_speed=0, now=now - timedelta(days=40), provisioning_s=0) as sim:
        bought(run, sim)
        sim.advance(hours=40 * 24)
        disk, *_ = sim.live()
        env = {**sim.environ, **QUICK}
        words = ("destroy", "my-first-plan", "--id", disk["id"], "--yes", "--confirm")
        assert run(*words, "my-first-plan", "--state", "state", env=env).code == 0
        books = {one["id"]: one["cost_usd"] for one in sim.disks()}
        months = [f"{now - timedelta(days=days):%Y-%m}" for days in (40, 20, 0)]
        found = [live(run, sim, "--month", one, "-o", "json").json() for one in sorted(set(months))]
        sums = dict.fromkeys(books, Decimal(0))
        for one in (one for document in found for one in document["disks"]):
            sums[one["disk_id"]] += Decimal(one["list_usd"])
        assert {key: round(usd, 1) for key, usd in sums.items()} == {
            key: round(usd, 1) for key, usd in books.items()
        }
        assert {one["ending"] for one in found[0]["disks"]} == {"live", "deleted"}
        focus = live(run, sim, "-o", "focus", "--forecast", "next.csv")
        assert focus.code == 0
        assert focus.out.startswith("AvailabilityZone,BilledCost,")
        rows = list(csv.DictReader((tmp_path / "next.csv").read_text().splitlines()))
        assert len(rows) == len(sim.live()) == 2
        words = ("--month", months[2], "--compare", months[0], "--html", "m.html")
        ran = live(run, sim, *words)
        assert ran.code == 0
        assert f"compared with {months[0]}" in ran.out
        page = (tmp_path / "m.html").read_text()
        assert f"compared with {months[0]}" in page
        assert "Cost by month and owner" in page


def test_a_marketplace_that_does_not_answer(run: Run, sim: Sim) -> None:
    """Exit 4, as JSON where JSON was asked for."""
    sim.fault("GET /disks/#1-:status=500")
    ran = live(run, sim, "-o", "json")
    assert (ran.code, ran.json()["exit_code"]) == (4, 4)


@pytest.mark.slow
def test_an_account_from_files(run: Run, plan: str, tmp_path: Path) -> None:
    """`--disks` and `--wallet` read what the API answered."""
    row = {
        "id": "disk-0001",
        "name": "x",
        "size": 5,
        "priceHr": 0.5,
        "providerType": "p",
    }
    (tmp_path / "d.json").write_text(json.dumps([row]))
    (tmp_path / "w.json").write_text(
        json.dumps({"balance_usd": 100, "total_billings": 0, "recent_billings": []})
    )
    assert run("report", "--disks", "d.json", "--as-of", "9999-12-31T23:59").code == 0
    words = ("--disks", "d.json", "--wallet", "w.json", "--as-of", "2026-03-01T12:00")
    document = run("report", *words, "-o", "json").json()
    assert document["as_of"] == "2026-03-01T12:00:00+00:00"
    assert document["totals"]["now"]["usd_hr"] == "0.5"
    assert document["runways"][0]["now"]["hours_left"] == "200"
    (tmp_path / "none.json").write_text("[]")
    empty = run("report", "--disks", "none.json", "--charts", "pictures")
    assert empty.code == 0
    assert "nothing to draw" in empty.err
    both = run("report", plan, "--disks", "d.json", "-o", "json").json()
    assert both["totals"]["after"]["disks"] == 12


@pytest.mark.slow
def test_why(run: Run, plan: str) -> None:
    """`--why` adds the market, the requirements and the trade-offs; of one plan."""
    ran = run("report", plan, "--why", "--section", "sites", "--section", "requirements")
    assert ran.code == 0
    assert "1,790.23" in ran.out  # with three sites, as a plan of its own costs
    assert "283.24" in ran.out
    assert run("report", plan, plan, "--why").code == 2
    document = run("report", plan, "--why", "-o", "json").json()
    points = {point["max_sites"]: point for point in document["why"]["sites"]}
    assert points[3]["usd_month"] == points[3]["least_usd_month"]
    assert points[3]["usd_month"].startswith("1790.22766")
    rows = run("report", plan, "--why", "-o", "csv", "--section", "sites").out.splitlines()
    assert rows[0].startswith("max_sites,feasible,status,usd_hr,usd_month,extra_usd_month,least_")
    assert len(rows) == len(points) + 1
