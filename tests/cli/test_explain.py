"""``planner explain`` as a user meets it."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner import Plan, read_demand, read_offers
from planner.errors import InputError
from planner.plans.explain import alternatives, explain
from planner.units import plain

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run


@pytest.fixture(scope="module")
def plan() -> Plan:
    return planner.plan(read_demand("shipped:research"), read_offers("shipped:disk-offers"))


@pytest.fixture(autouse=True)
def saved(plan: Plan, tmp_path: Path) -> Path:
    plan.save(tmp_path / "plan.json")
    return tmp_path / "plan.json"


@pytest.mark.slow
def test_asking_changes_nothing_in_the_plan(plan: Plan) -> None:
    """After every question the plan is, byte for byte, what it was."""
    before = plan.to_json()
    asked = explain(plan, exact=True)
    for frame in (asked.choices, asked.offers, asked.gpus, asked.requirements, asked.prices):
        assert frame is not None
    assert len(alternatives(plan, 2, exact=True).frame) == 2
    assert plan.to_json() == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ("80", ()),
        ("160", ()),
        ("80", ("--volume", "corpus")),
        ("80", ("--offer", "a869c3")),
        ("80", ("--alternatives", "2")),
    ],
)
def test_tables_fit_the_terminal(run: Run, columns: str, words: tuple[str, ...]) -> None:
    """No line is wider than the terminal, whatever is asked."""
    ran = run("explain", "plan.json", *words, env={"COLUMNS": columns})
    assert ran.code == 0
    assert 0 < max(len(line) for line in ran.out.splitlines()) <= int(columns)


@pytest.mark.slow
def test_json_has_every_answer(run: Run, plan: Plan) -> None:
    """Choices for every placement, an answer for every pair, exact amounts as text."""
    found: dict[str, Any] = run("explain", "plan.json", "-o", "json").json()
    assert (found["plan_id"], found["usd_month"]) == (
        plan.plan_id,
        plain(plan.exact_totals["usd_month"]),
    )
    assert len(found["choices"]) == len(plan.placements)
    assert len(found["offers"]) == len(plan.demand.volumes) * len(plan.market.addressable)
    assert all(
        bool(one["rules"]) or one["extra_usd_month"] is not None or one["why"]
        for one in found["offers"]
    )
    saves = [Decimal(one["saves_usd_month"]) for one in found["requirements"]]
    assert saves == sorted(saves, reverse=True)
    assert min(saves) == 0
    assert len(found["prices"]) == len(plan.market.addressable)


@pytest.mark.slow
def test_an_offer_is_answered_for_every_volume(run: Run, plan: Plan) -> None:
    """--offer gives a row for each volume and one price."""
    found = run("explain", "plan.json", "--offer", "a869c3", "-o", "json").json()
    assert [one["volume"] for one in found["offers"]] == [v.name for v in plan.demand.volumes]
    assert {one["offer_id"] for one in found["prices"]} == {"a869c3"}


@pytest.mark.slow
def test_alternatives_are_dearer_and_whole(run: Run, plan: Plan) -> None:
    """Each alternative has its cost, its moves and all its placements."""
    found = run("explain", "plan.json", "--alternatives", "3", "-o", "json").json()
    listed = found["alternatives"]
    assert [one["rank"] for one in listed] == [1, 2, 3]
    assert all(Decimal(one["extra_usd_month"]) >= 0 for one in listed)
    assert all(len(one["placements"]) == len(plan.placements) for one in listed)


@pytest.mark.slow
def test_csv_is_one_frame(run: Run, plan: Plan) -> None:
    """Choices by default, offers of a volume, alternatives."""

    def rows(*words: str) -> list[dict[str, str]]:
        ran = run("explain", "plan.json", "-o", "csv", *words)
        return list(csv.DictReader(io.StringIO(ran.out)))

    assert len(rows()) == len(plan.placements)
    assert {row["volume"] for row in rows("--volume", "corpus")} == {"corpus"}
    assert [row["rank"] for row in rows("--alternatives", "2")] == ["1", "2"]


@pytest.mark.slow
def test_markdown_has_the_tables(run: Run) -> None:
    """Every section has a heading and a table."""
    text = run("explain", "plan.json", "-o", "md").out
    assert text.count("**") == 6
    assert text.count("\n| ---") == 3


@pytest.mark.parametrize(
    ("option", "word", "meant"), [("--volume", "corpu", "corpus"), ("--offer", "a869c", "a869c3")]
)
def test_unknown_names_are_two_with_the_nearest(
    run: Run, option: str, word: str, meant: str
) -> None:
    """A wrong name exits 2 and says what was meant."""
    ran = run("explain", "plan.json", option, word, "-o", "json")
    assert ran.code == 2
    assert meant in ran.json()["hint"]
    assert ran.json()["exit_code"] == 2


def test_no_alternatives_cannot_be_asked_for(plan: Plan) -> None:
    """Fewer than one is wrong input."""
    with pytest.raises(InputError):
        alternatives(plan, 0, exact=True)


@pytest.mark.slow
def test_a_large_plan_shows_what_would_cost_most_elsewhere(run: Run, tmp_path: Path) -> None:
    """Forty replicas as a table, the dearest move first; every one of them as CSV."""
    volumes = [{"name": f"v{n}", "size_gb": 100 + n} for n in range(45)]
    plan = planner.plan({"version": 1, "volumes": volumes}, read_offers("shipped:disk-offers"))
    plan.save(tmp_path / "many.json")
    out = run("explain", "many.json").out
    shown = [line.split()[0] for line in out.splitlines() if line.startswith(" v")][1:]
    assert shown == [f"v{n}" for n in range(44, 4, -1)]
    assert "the 40 of 45 that would cost most elsewhere are shown" in out.replace("\n", " ")
    assert len(run("explain", "many.json", "-o", "csv").out.splitlines()) == 46


def test_about_one_volume_no_column_repeats_its_name(run: Run) -> None:
    """Every offer has a line of its own, whatever the length of the name."""
    heading = next(
        line
        for line in run("explain", "plan.json", "--volume", "corpus").out.splitlines()
        if "why not" in line and "offer" in line and "Every" not in line
    )
    assert heading.split() == ["offer", "+", "$/month", "why", "not"]
