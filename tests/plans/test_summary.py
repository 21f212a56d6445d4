"""What a person reads of a plan: rounded for reading, exact where it matters, safe in a page."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner import Plan
from planner.analysis.baselines import Baseline
from planner.demand.read import demand_from
from planner.market.gpus import gpus_frame
from planner.market.offers import offers_frame
from planner.plans.summary import (
    budgets,
    certainty,
    compared,
    gpu_lines,
    origin,
    outcome,
    placements_section,
)
from planner.present.writers import to_html
from tests.looks import HOSTILE, SHOWN, Look, look, texts
from tests.shipped_plans import finetune, research
from tests.solve.hand import demanded, gpu, row, volume

if TYPE_CHECKING:
    from planner.solve.solution import Placement


@pytest.fixture(scope="module")
def joint() -> Plan:
    return finetune()


def small(**gpu_fields: Any) -> Plan:
    """Return 100 GB beside two nodes of eight GPUs, $1.79 each node, for ten hours."""
    job = {
        "name": "job",
        "gpu": "A100_80GB",
        "gpus": 8,
        "nodes": 2,
        "spot": True,
        "hours_per_month": 10,
        "mounts": ["x"],
    }
    document = demanded(volume("x", replicas=2, spread="none"), workloads=[job])
    offers = offers_frame([row("alpha", "0.0001", isMultinode=True)])
    rented = gpus_frame([gpu("alpha", "1.79", gpuCount=8, **gpu_fields)])
    return planner.plan(demand_from(document), offers, rented)


@pytest.mark.slow
def test_each_workload_says_what_it_rents_where_for_how_much() -> None:
    """Nodes, GPUs, model, socket, site, offer, price an hour, hours and the month they make."""
    plan = small(isSpot=True)
    lines = gpu_lines(plan.gpus, plan.exact_totals)
    (first,) = plan.gpus
    assert lines == [
        (
            f"GPUs of job: 2 x 8 A100_80GB SXM4 at alpha alpha-1 (US) ({first.offer_id}, spot), "
            "$3.5800 an hour x 10 h = $35.80 a month"
        ),
        "disks and GPUs together: $50.40 a month",
    ]
    plain = small(socket=None)
    assert "8 A100_80GB at alpha" in gpu_lines(plain.gpus, plain.exact_totals)[0]
    assert gpu_lines((), research().exact_totals) == []


def test_rows_of_copies_are_numbered_and_add_up() -> None:
    """Two copies are two rows with their number, and the total is of both."""
    plan = small()
    *rows, total = texts(placements_section("x", plan.placements, 730, {}, ()))
    assert [one[:2] for one in rows] == [("+", "x #1"), ("+", "x #2")]
    assert rows[0][3:] == ("100", "0.0100", "7.30")
    assert total == ("", "total", "", "200", "0.0200", "14.60")


def grown(*volumes: str) -> tuple[list[Placement], dict[str, dict[str, Any]]]:
    """Return 7 TB for $0.49 an hour in place of 6 TB for $0.42, and 1 TB at $0.07 that stays."""
    (kept,) = research_placements("weights")
    kept = replace(kept, action="keep", usd_hr=Decimal("0.07"), disk_sizes_gb=(1000,))
    new = replace(
        kept,
        action="replace",
        usd_hr=Decimal("0.49"),
        disk_sizes_gb=(7000,),
        provision_gb=7000,
    )
    old = {**vars(kept), "usd_hr": Decimal("0.42"), "size_gb": 6000}
    placements = [replace(new, volume=name, replaces=(f"old-{name}",)) for name in volumes]
    return [*placements, kept], {f"old-{name}": old for name in volumes}


def research_placements(volume: str) -> list[Placement]:
    """Return the placements of a volume of the shipped research group."""
    return [placement for placement in research().placements if placement.volume == volume]


def test_the_line_of_a_plan_counts_and_says_the_money() -> None:
    """What is created, replaced and unchanged; how much more a month, from what to what."""
    first = research_placements("corpus")
    assert outcome(first, 730, {}) == ["Plan: 2 to create. +$487.64/month."]
    placements, disks = grown()
    assert outcome(placements, 730, disks) == ["Plan: 1 unchanged. $51.10/month, as before."]
    both = [*placements, *first]
    assert outcome(both, 730, disks) == [
        "Plan: 2 to create, 1 unchanged. +$487.64/month ($51.10 → $538.74)."
    ]
    assert outcome(both, 700, disks)[0].endswith("+$467.60/month ($49.00 → $516.60).")


def test_a_replacement_says_what_both_copies_cost() -> None:
    """The old disk is billed until it is retired: before, after, and while both exist."""
    placements, disks = grown("corpus")
    assert outcome(placements, 730, disks) == [
        "Plan: 1 to replace, 1 unchanged. +$51.10/month ($357.70 → $408.80).",
        "While both copies of corpus exist you pay $715.40/month.",
    ]
    row, kept, _ = texts(placements_section("x", placements, 730, disks, ()))
    assert row[:2] + row[3:] == ("~", "corpus", "6,000 → 7,000", "0.4900", "357.70")
    assert kept[0] == "="
    fewer = [replace(placements[0], usd_hr=Decimal("0.35")), *placements[1:]]
    assert outcome(fewer, 730, disks)[0].endswith("-$51.10/month ($357.70 → $306.60).")
    disks["old-corpus"]["usd_hr"] = None
    assert "you pay at least $408.80/month" in outcome(placements, 730, disks)[1]


@pytest.mark.slow
def test_several_replacements_are_named_or_counted() -> None:
    """Three by name, more by number."""
    assert "of a and b exist" in outcome(*_with_hours("a", "b"))[1]
    assert "of a, b and c exist" in outcome(*_with_hours("a", "b", "c"))[1]
    assert "of 4 volumes exist" in outcome(*_with_hours("a", "b", "c", "d"))[1]


def _with_hours(*volumes: str) -> tuple[list[Placement], int, dict[str, dict[str, Any]]]:
    placements, disks = grown(*volumes)
    return placements, 730, disks


def test_a_replica_that_moves_shows_where_from() -> None:
    """Another site is an arrow, the same is not; the same size is no arrow either."""
    placements, disks = grown("corpus")
    (row, *_) = texts(placements_section("x", placements, 730, disks, ()))
    assert "→" not in row[2]
    disks["old-corpus"] |= {"provider": "elsewhere", "size_gb": 7000}
    (row, *_) = texts(placements_section("x", placements, 730, disks, ()))
    assert row[2].startswith("elsewhere ")
    assert "→ hyperstack NORWAY-1" in row[2]
    assert row[3] == "7,000"


@pytest.mark.slow
def test_the_summary_of_a_joint_plan_says_what_the_disks_alone_would_cost(joint: Plan) -> None:
    """GPUs, budget, every baseline, how sure and from where: one note each."""
    notes = joint.summary().notes
    text = "\n".join(notes)
    assert [note.split(":")[0] for note in notes[:5]] == [
        "Plan",
        "corpus + checkpoints on one disk of 3,000 GB, as directories",
        "GPUs of finetune",
        "GPUs of evaluate",
        "disks and GPUs together",
    ]
    assert notes[0].startswith("Plan: 2 to create."), "a disk that volumes share is one"
    assert "budget: $" in text
    assert "Cheapest offer per volume" in text
    assert "Cheapest disks, then GPUs: impossible (no A100_80GB for" in text
    assert "less than the plan's" in text
    assert "optimal: " in text
    assert f"plan {joint.plan_id} on 13 offers of shipped:disk-offers" in notes[-1]


def test_baselines_are_more_less_the_same_or_impossible() -> None:
    """The difference is of whole months, and what rules one out is said, with its disks' cost."""
    others = (
        Baseline("dear", "alpha", Decimal("12.5")),
        Baseline("cheap", None, Decimal("7.5")),
        Baseline("equal", None, Decimal("10.00")),
        Baseline("never", None, None, "no place for x"),
        Baseline("disks", None, None, "no GPUs", Decimal(3)),
    )
    assert compared(Decimal(10), Decimal(4), others) == [
        "Dear (alpha): $12.50/month ($2.50 more)",
        "Cheap: $7.50/month ($2.50 less)",
        "Equal: $10.00/month (same as this plan)",
        "Never: impossible (no place for x)",
        "Disks: impossible (no GPUs); its disks are $3.00/month, $1.00 less than the plan's",
    ]


def test_how_sure_a_plan_is_depends_on_its_proof() -> None:
    """Exactly proven, proven nearly, allowed by a slack, or not proven: four sentences."""
    record = replace(
        research().solver,
        objective_usd_hr=Decimal(2),
        bound_usd_hr=Decimal(2),
        variables=1200,
        constraints=34,
        seconds=1.5,
    )
    exact = certainty(record)
    assert exact.startswith("optimal: no cheaper plan exists, proven exactly (HiGHS, 1,200 var")
    assert "34 constraints, 1.50 s)" in exact
    near = replace(record, bound_usd_hr=Decimal("1.999999"), gap=5e-7)
    assert certainty(near).startswith("optimal: proven to 5.0e-07 of its cost, $0.000001 an hour")
    stopped = replace(near, bound_usd_hr=Decimal("1.9"), gap=0.05, termination="time_limit")
    unsure = replace(stopped, status="feasible")
    assert certainty(unsure).startswith("NOT PROVEN (time limit): at most 5.00 % of its cost")
    worked = certainty(replace(unsure, termination="work_limit"))
    assert worked.startswith("NOT PROVEN (work limit): at most 5.00 % of its cost")
    slack = replace(unsure, status="optimal", cost_slack_percent=Decimal(6))
    assert certainty(slack).startswith("within 6 % of the least cost, $1.9000 an hour, as was")
    alone = replace(record, variables=0, constraints=0)
    assert "(by presolve, without a solver)" in certainty(alone)
    searched = certainty(replace(record, seconds=0.0))
    assert "(by planner's own search, 1,200 variables, 34 constraints, without a so" in searched


def test_budgets_say_what_is_spent_of_them(joint: Plan) -> None:
    """Disks only, of all and of each owner, with the share of the budget."""
    policy = joint.demand.policy.model_copy(update={"budgets": {"research": Decimal(500)}})
    spent = Decimal(joint.exact_totals["disk_usd_hr"]) * 730
    whole, mine = budgets(joint.placements, policy)
    assert whole == f"budget: ${spent:.2f} of $450.00 a month ({spent / 450 * 100:.0f} %)"
    assert mine == f"budget of research: ${spent:.2f} of $500.00 a month ({spent / 5:.0f} %)"


def test_html_is_escaped_and_has_no_scripts() -> None:
    """What the market says reaches the page as text, of disks and of GPUs."""
    evil = "<script>alert(1)</script>"
    where: dict[str, Any] = {
        "dataCenter": '"><img src=x onerror=alert(1)>',
        "region": "\x1b[2J",
    }
    job = {"name": "job", "gpu": evil, "mounts": ["x"]}
    demand = demand_from(demanded(volume("x", 1), workloads=[job]))
    offers = offers_frame([row(evil, "0.0001", **where)])
    gpus = gpus_frame([gpu(evil, "1", gpuType=evil, cloudId=evil, socket=evil, **where)])
    html = planner.plan(demand, offers, gpus)._repr_html_()
    assert "<script" not in html
    assert "<img" not in html
    assert "\x1b" not in html
    assert html.count("&lt;script&gt;") >= 3


@pytest.mark.slow
def test_a_notebook_shows_rows_total_notes_and_warnings(joint: Plan) -> None:
    """What the summary says, in its order: nothing more, nothing less."""
    summary = joint.summary()
    seen = look(joint)
    assert seen.lines[0] == joint.project
    assert seen.rows[0] == ["", "volume", "where", "size GB", "$/hour", "$/month"]
    assert seen.rows[1:] == [*map(list, texts(summary))]
    assert [line for line in seen.lines if line][1:] == [*summary.notes, *joint.warnings]


def test_a_fleet_is_counted_and_its_total_is_of_all() -> None:
    """Sixty rows of many, and the last one is the sum of everything."""
    (placement,) = small().placements[:1]
    fleet = [replace(placement, volume=f"v{n}", provider="here") for n in range(500)]
    section = placements_section("fleet", fleet, 730, {}, ())
    seen = Look(to_html([section]))
    assert len(seen.rows) == 62
    assert seen.rows[-2:] == [
        list(texts(section)[59]),
        ["", "total", "", "50,000", "5.0000", "3,650.00"],
    ]
    assert "500 placements, the first 60 shown" in seen.lines


@pytest.mark.sweep
@pytest.mark.parametrize(("evil", "shown"), [*zip(HOSTILE, SHOWN, strict=True)])
def test_hostile_text_is_text_in_every_part(evil: str, shown: str) -> None:
    """In the title, a row, a note and a warning."""
    (placement,) = small().placements[:1]
    section = placements_section(evil, [replace(placement, volume=evil)], 730, {}, (evil,))
    seen = Look(to_html([section]))
    assert seen.rows[1][1] == shown
    assert [line for line in seen.lines if line] == [shown, shown]


def test_one_offer_is_one_offer() -> None:
    """The last note counts the market as people do, thousands with a comma."""
    about = {"rows": 1, "source": "one.json", "fetched_at": None}
    assert origin("0ab1", about, 730).startswith("plan 0ab1 on 1 offer of one.json;")
    assert "on 2,000 offers of" in origin("0ab1", {**about, "rows": 2000}, 730)
