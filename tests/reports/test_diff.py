"""What changed between two plans or two reports: each disk once, and sums that add up."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner import Diff, diff
from planner.demand.read import demand_from
from planner.errors import CostIncrease, InputError
from planner.market.gpus import gpus_frame
from planner.market.offers import offers_frame
from planner.present.table import UNKNOWN
from planner.present.terminal import to_terminal
from planner.present.writers import to_csv
from planner.reports.changes import CHANGES
from planner.reports.merge import merge_reports
from tests.looks import HOSTILE, SHOWN, look, texts
from tests.reports.world import VOLUMES, held, live, planned, report
from tests.solve.hand import demanded, gpu, row, volume
from tests.solve.live_disks import offer

if TYPE_CHECKING:
    from planner.plans.plan import Plan

A, B = VOLUMES


def changed(made: Diff) -> list[tuple[str, ...]]:
    """Return the signs and texts of what changed."""
    return [(item.sign, str(item.row()["name"]), item.text) for item in made.changes]


def of(*volumes: dict[str, Any], **top: Any) -> Plan:
    """Return the plan of these volumes."""
    return planned(volumes=list(volumes), policy={"budget_usd_month": 500}, **top)


def test_the_same_plan_twice_has_no_changes() -> None:
    """Nothing is listed, and the cost is as before."""
    made = diff(planned(), planned())
    assert made.summary == "Diff: no changes. $51.10/month, as before."
    assert made.changes == ()
    assert [section.name for section in made.sections()] == ["summary", "notes"]
    made.check(Decimal(0))


def test_disks_are_added_removed_resized_and_moved() -> None:
    """A grows from 100 to 300 GB and moves, b goes, c comes; every amount by hand."""
    after = of(
        {**A, "size_gb": 300, "providers": ["beta"]}, {"name": "c", "size_gb": 100, "owner": "bob"}
    )
    made = diff(planned(), after)
    assert changed(made) == [
        ("~", "a", "moved: alpha A-1 (US) → beta B-1 (NO), resized: 100 GB → 300 GB"),
        ("+", "c", "added: 100 GB at alpha A-1 (US)"),
        ("-", "b", "removed: 200 GB at alpha A-1 (US)"),
        ("-", "b", "removed: 200 GB at beta B-1 (NO)"),
    ]
    # 0.01 + 0.02 + 0.04 before; 0.06 + 0.01 after: the same money for other disks.
    assert made.summary == "Diff: 1 added, 1 changed, 2 removed. $51.10/month, as before."
    disks, owners = (one for one in made.sections() if one.columns)
    assert texts(disks) == [
        ("~", "a", made.changes[0].text, "7.30", "43.80", "+36.50"),
        ("+", "c", "added: 100 GB at alpha A-1 (US)", UNKNOWN, "7.30", "+7.30"),
        ("-", "b #1", "removed: 200 GB at alpha A-1 (US)", "14.60", UNKNOWN, "-14.60"),
        ("-", "b #2", "removed: 200 GB at beta B-1 (NO)", "29.20", UNKNOWN, "-29.20"),
        ("", "total", "", "51.10", "51.10", "+0.00"),
    ]
    assert texts(owners) == [
        ("ann", "7.30", "43.80", "+36.50", "500.0"),
        ("bob", "43.80", "7.30", "-36.50", "-83.3"),
    ]


def test_what_is_unchanged_is_one_row() -> None:
    """The table adds up to the whole, though only changes are listed."""
    made = diff(planned(), of(A, {**B, "replicas": 1}))
    disks = next(one for one in made.sections() if one.columns)
    assert texts(disks) == [
        ("-", "b #2", "removed: 200 GB at beta B-1 (NO)", "29.20", UNKNOWN, "-29.20"),
        ("=", "2 disks", "unchanged", "21.90", "21.90", "+0.00"),
        ("", "total", "", "51.10", "21.90", "-29.20"),
    ]
    assert made.summary.endswith("-$29.20/month ($51.10 → $21.90, -57.1 %).")


def test_replicas_that_only_change_their_number_are_unchanged() -> None:
    """The replica that is left is matched by its place, whatever its number was."""
    made = diff(planned(), of(A, {**B, "replicas": 1, "providers": ["beta"]}))
    assert changed(made) == [("-", "b", "removed: 200 GB at alpha A-1 (US)")]


def test_owner_and_price() -> None:
    """Another owner of the same disk, and another price at the same place."""
    demand = planned(volumes=[{**A, "owner": "bob"}], policy={}).demand
    after = planner.plan(demand, offers_frame([offer("alpha", "0.0002", "united_states")]))
    made = diff(of(A), after)
    assert changed(made) == [("~", "a", "repriced, reassigned: ann → bob")]
    assert made.cost.difference_usd_month == Decimal("7.3")


def test_buying_a_plan_is_no_change() -> None:
    """A disk that was to be bought and now is, at a price rounded by the listing, is the same."""
    before = report(of(A))
    name = before.lines[0].name
    there = live("disk-0001", name=name, usd_hr="0.0100000001")
    after = report(of(A), held(there))
    assert [line.standing for line in after.lines] == ["bought"]
    assert diff(before, after).changes == ()


def test_a_disk_is_known_by_its_id() -> None:
    """A disk of the account that a plan later keeps for a volume got a name, and nothing else."""
    account = held(live("disk-0001"))
    adopted = planned(
        live("disk-0001"), volumes=[{"name": "a", "size_gb": 100, "disks": ["disk-0001"]}]
    )
    made = diff(report(None, account), report(adopted, account))
    assert [item.changes for item in made.disks] == [("renamed",)]


@pytest.mark.slow
def test_projects_tell_volumes_apart_only_where_there_are_several() -> None:
    """Another project name is no change of the disks; two projects in one report are."""
    one, other = planned(), planned(project="shop")
    assert diff(one, other).changes == ()
    both = merge_reports([report(one), report(replace(of(A, project="shop"), nonce="nonce-2"))])
    made = diff(report(one), both)
    assert changed(made) == [("+", "a", "added: 100 GB at alpha A-1 (US)")]
    assert texts(made.sections()[1])[0][1] == "shop: a"


def test_a_month_is_that_of_both_plans_or_730_hours() -> None:
    """Amounts of plans with other months are made comparable."""
    short = {"hours_per_month": 700}
    one, other = of(A), planned(volumes=[A], policy=short)
    assert diff(other, other).cost.new_usd_month == Decimal(7)
    made = diff(other, one)
    assert made.hours_per_month == 730
    assert made.summary == "Diff: no changes. $7.30/month, as before."


@pytest.mark.slow
def test_gpus_of_workloads_count() -> None:
    """Another number of GPUs and other hours, and a workload that goes."""

    def rented(gpus: int, hours: int, *, several: bool) -> Plan:
        job = {"name": "job", "gpu": "A100_80GB", "gpus": gpus, "hours_per_month": hours}
        jobs = [{**job, "mounts": ["x"]}, *([{**job, "name": "eval", "mounts": ["x"]}] * several)]
        document = demanded(volume("x"), workloads=jobs, policy={"sequential": True})
        offers = offers_frame([row("alpha", "0.0001", isMultinode=True)])
        market = gpus_frame([gpu("alpha", "1.5"), gpu("alpha", "4", gpuCount=2)])
        return planner.plan(demand_from(document), offers, market)

    made = diff(rented(1, 10, several=True), rented(2, 20, several=False))
    assert changed(made) == [
        ("~", "job", "reconfigured: 1 A100_80GB SXM4 → 2 A100_80GB SXM4, rescheduled: 10 h → 20 h"),
        ("-", "eval", "removed: 1 A100_80GB SXM4 at alpha alpha-1 (US)"),
    ]
    assert [item.cost.difference_usd_month for item in made.changes] == [65, -15]
    with pytest.raises(CostIncrease):
        made.check(Decimal(100))


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("percent", "fails"), [("99.9", True), ("100", False), ("0", True), ("1000", False)]
)
def test_the_gate_is_exact(percent: str, fails: bool) -> None:
    """The cost doubles: 100 % more is allowed by 100 %, not by less."""
    made = diff(of(A), of(A, {**A, "name": "c"}))
    if not fails:
        made.check(Decimal(percent))
        return
    with pytest.raises(
        CostIncrease, match=r"\+\$7.30/month \(\$7.30 → \$14.60, \+100.0 %\)"
    ) as error:
        made.check(Decimal(percent))
    assert error.value.exit_code == 10
    assert error.value.data["increase"]["difference_usd_month"] == "7.3"


def test_the_gate_from_nothing() -> None:
    """From zero, any cost is too much, and none is not; the percentage is unknown."""
    nothing, some = report(None, held()), report(None, held(live("disk-0001")))
    diff(nothing, nothing).check(Decimal(0))
    made = diff(nothing, some)
    assert made.cost.percent is None
    with pytest.raises(CostIncrease, match=r"by more than 1000 %: \+\$14.60/month\."):
        made.check(Decimal(1000))
    diff(some, nothing).check(Decimal(0))


def test_the_gate_needs_prices() -> None:
    """A disk without a price, or a purchase whose outcome is unknown, cannot be shown to fit."""
    cheap = report(None, held(live("disk-0001")))
    unpriced = report(None, held(live("disk-0001", usd_hr=None)))
    made = diff(cheap, unpriced)
    assert changed(made)[0][2] == "repriced"
    assert any("Disks without a price: 0 before, 1 after." in note for note in made.notes)
    with pytest.raises(CostIncrease, match="cannot be confirmed: 1 disk without a price"):
        made.check(Decimal(100))
    pending = replace(cheap, doubts=("whether x was bought is unknown",))
    with pytest.raises(CostIncrease, match="whether x was bought"):
        diff(cheap, pending).check(Decimal(100))


def test_a_plan_is_not_compared_with_a_report() -> None:
    """They are of different things: the error says how to make one of the other."""
    with pytest.raises(InputError, match="The old file is a plan, the new file is a report"):
        diff(planned(), report(planned()))


def test_every_format_has_the_same_amounts() -> None:
    """JSON, CSV, frame and tables agree, and JSON adds up to its totals."""
    made = diff(planned(), of({**A, "size_gb": 300}, B, {"name": "c", "size_gb": 10}))
    document = json.loads(json.dumps(made.to_document()))
    frame = made.to_frame(exact=True)
    assert list(frame.columns) == [column.name for column in CHANGES]
    differences = [one["difference_usd_month"] for one in document["changes"]]
    assert differences == ["14.6", "0.73"]
    assert document["totals"]["disks"]["difference_usd_month"] == "15.33"
    assert document["unchanged"] == 2
    csv = to_csv(made.rows()).splitlines()
    assert len(csv) == len(frame) + 1
    assert csv[1].startswith("resized,disk,lab,a,1,1,,,ann,ann,")
    assert "+14.60" in to_terminal(made.sections(), width=80)
    assert "+$15.33/month" in look(made).text


def test_hostile_names_are_shown() -> None:
    """Names and owners come from outside, and are escaped wherever they are shown."""
    evil = [live(f"disk-000{n}", name=text) for n, text in enumerate(HOSTILE)]
    made = diff(report(None, held()), report(None, held(*evil)))
    shown = look(made).text
    assert all(text in shown for text in SHOWN)
    assert "\x1b" not in to_terminal(made.sections(), width=200)
