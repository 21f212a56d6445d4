"""Plans of demands that grow: the document, its totals, its check, and what a person reads."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner.demand.read import demand_from
from planner.errors import Infeasible, InputError, PlanCorrupt, PlanInvalid
from planner.market.gpus import gpus_frame
from planner.market.offers import offers_frame
from planner.plans.plan import Plan
from tests.solve.hand import gpu, row
from tests.solve.live_disks import disk, frame

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)
# A step of 100 GB: 100, 200, 300 … at 0.0001 or, elsewhere, 0.0002 an hour and GB.
OFFERS = [
    row("alpha", "0.0001", spec={"minCount": 100, "step": 100}),
    row("beta", "0.0002", spec={"minCount": 100, "step": 100}),
]
CORPUS = {"name": "corpus", "size_gb": 100, "growth": "100 GB/month"}


def made(*volumes: dict[str, Any], rows: Any = OFFERS, **policy: Any) -> Plan:
    """Return a plan of growing volumes over three months, unless said otherwise."""
    disks = policy.pop("disks", None)
    recorded = policy.pop("recorded", None)
    document = {"version": 1, "project": "demo", "volumes": list(volumes)}
    demand = demand_from({**document, "policy": {"horizon": 3, **policy}})
    return planner.plan(
        demand, offers_frame(rows), disks=disks, recorded=recorded, now=NOW, nonce="0" * 16
    )


def test_each_month_buys_what_it_needs() -> None:
    """200, 300 and 400 GB at 0.0001: a month more of 100 GB is 7.30, three days of 200 are 1.44."""
    plan = made(CORPUS)
    assert [placement.disk_sizes_gb for placement in plan.placements] == [(200,)]
    assert [(t.month, t.until_month, t.disk_sizes_gb) for t in plan.schedule] == [
        (1, 2, (300,)),
        (2, 3, (400,)),
    ]
    # 730 h of 0.02, 0.03, 0.04, and 72 h of 0.02 and 0.03.
    assert plan.exact_totals["horizon_usd"] == Decimal("69.3")
    assert plan.totals["horizon_months"] == 3
    assert plan.exact_totals["usd_month"] == Decimal("14.6")


def test_moving_that_costs_more_than_it_saves_is_not_planned() -> None:
    """At 0.10 USD a GB copied, 400 GB now: 730 h x 3 of 0.04."""
    plan = made(CORPUS, move={"egress_usd_gb": "0.10"})
    assert [placement.disk_sizes_gb for placement in plan.placements] == [(400,)]
    assert plan.schedule == ()
    assert plan.exact_totals["horizon_usd"] == Decimal("87.6")


def test_the_file_has_the_schedule_and_loads(tmp_path: Path) -> None:
    """One record a tenure, with what is to be bought where; loaded, it is the same plan."""
    plan = made({**CORPUS, "replicas": 2})
    plan.save(tmp_path / "plan.json")
    document = json.loads((tmp_path / "plan.json").read_text())
    assert document["schedule"][0] == {
        "month": 1,
        "until_month": 2,
        "volume": "corpus",
        "replica": 1,
        "action": "replace",
        "offer_id": plan.placements[0].offer_id,
        "provider": "alpha",
        "cloud_id": None,
        "data_center": "alpha-1",
        "country": "US",
        "region": "united_states",
        "disk_sizes_gb": [300],
        "usd_hr": "0.03",
    }
    assert len(document["requests"]) == 2
    loaded = Plan.load(tmp_path / "plan.json")
    assert (loaded.schedule, loaded.totals) == (plan.schedule, plan.totals)
    assert plan.schedule_to_frame()["month"].tolist() == [1, 2, 1, 2]


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"disk_sizes_gb": (200,)}, "200 GB cannot hold 300 GB"),
        ({"disk_sizes_gb": (350,)}, "the offer sells no disk of 350 GB"),
        ({"usd_hr": Decimal("0.02")}, "usd_hr is not size times price"),
        ({"until_month": 3}, "the disks before and after it do not meet"),
        ({"month": 2}, "the disks before and after it do not meet"),
        ({"provider": "gamma"}, "no such offer in this market"),
        ({"replica": 2}, "no such replica"),
    ],
)
def test_a_changed_schedule_is_not_verified(change: dict[str, Any], problem: str) -> None:
    """Every size, price, place and month is held against demand and market."""
    plan = made(CORPUS)
    changed = replace(plan, schedule=(replace(plan.schedule[0], **change), plan.schedule[1]))
    assert any(problem in sentence for sentence in changed.violations())
    assert made(CORPUS).violations() == ()


@pytest.mark.slow
def test_requirements_hold_in_later_months() -> None:
    """A schedule that brings copies together, or breaks a budget in a later month, is found out."""
    plan = made({**CORPUS, "replicas": 2})
    first, *rest = plan.schedule
    other = next(tenure for tenure in rest if tenure.replica == 2)
    same = replace(first, provider=other.provider, data_center=other.data_center)
    joined = replace(plan, schedule=(replace(same, offer_id=other.offer_id), *rest))
    assert any("two replicas share a data_center" in text for text in joined.violations())
    plan = made(CORPUS)
    policy = plan.demand.policy.model_copy(update={"budget_usd_month": Decimal(25)})
    poor = replace(plan, demand=plan.demand.model_copy(update={"policy": policy}))
    assert any(text.startswith("in month 2: the plan spends 29.2") for text in poor.violations())


@pytest.mark.slow
def test_a_schedule_that_costs_too_much_is_not_the_optimum(tmp_path: Path) -> None:
    """Buying 400 GB now is a plan, but not the cheapest: the record of a proof is refuted."""
    plan = made(CORPUS)
    dear = made(CORPUS, move={"egress_usd_gb": "0.10"})
    false = replace(plan, placements=dear.placements, schedule=())
    assert "the solver's objective is not the average of the schedule" in false.violations()
    record = replace(plan.solver, objective_usd_hr=Decimal("0.04"), bound_usd_hr=Decimal("0.04"))
    false = replace(false, solver=record)
    assert false.violations() == ("the solver's bound is not the least that this market allows",)
    false.save(tmp_path / "plan.json")
    with pytest.raises((PlanInvalid, PlanCorrupt)):
        Plan.load(tmp_path / "plan.json")


@pytest.mark.slow
def test_a_budget_holds_in_every_month() -> None:
    """400 GB in the last month are 29.20; less than that is no plan, and the month is named."""
    assert made(CORPUS, budget_usd_month="29.20").exact_totals["horizon_usd"] == Decimal("69.3")
    with pytest.raises(Infeasible, match="No plan satisfies the demand in month 3 of 3"):
        made(CORPUS, budget_usd_month="29.19")


def test_an_existing_disk_is_the_first_disk() -> None:
    """300 GB hold two months; the third buys 400 GB. Nothing is bought now."""
    live = frame(disk("disk-0001", size=300, usd_hr="0.05"))
    plan = made(CORPUS, disks=live, recorded={("corpus", 1): ("disk-0001",)})
    assert [(p.action, p.disk_ids) for p in plan.placements] == [("keep", ("disk-0001",))]
    assert [(t.month, t.disk_sizes_gb) for t in plan.schedule] == [(2, (400,))]
    # 2 months and 3 days of 0.05, a month of 0.04.
    assert plan.exact_totals["horizon_usd"] == Decimal("105.8")
    assert plan.violations() == ()
    # A disk of today's size would be cheaper and full within the month: nothing is advised.
    assert plan.moving() is None


def test_a_disk_that_is_full_this_month_is_replaced_now() -> None:
    """150 GB cannot hold the 200 GB of the end of this month."""
    live = frame(disk("disk-0001", size=150, usd_hr="0.05"))
    plan = made(CORPUS, disks=live, recorded={("corpus", 1): ("disk-0001",)})
    assert [(p.action, p.replaces) for p in plan.placements] == [("replace", ("disk-0001",))]


def test_what_a_person_reads() -> None:
    """The total, what it saves, when today's size is full, and the next move of each replica."""
    plan = made({**CORPUS, "headroom": "100%"})
    notes = plan.summary().notes
    assert (
        "Over 3 months the disks cost $92.64, 2 moves included: $16.86 (15 %) less than buying 500 "
        "GB today."
    ) in notes
    assert "Disks of today's sizes with their headroom would be too small in 2026-12." in notes
    assert "Compared with simpler plans in the first month:" in notes
    assert "Compared" not in str(made({"name": "logs", "size_gb": 50}))
    comparisons = next(one for one in planner.report(plan).sections() if one.name == "comparisons")
    assert "of volumes that grow, the first month is compared" in comparisons.notes
    (section,) = plan.sections()[1:]
    ((volume, now, month, then, *_),) = section.rows
    assert (volume, now, month, then) == ("corpus", 300, "2026-12", 400)


def test_a_plan_without_growth_has_no_schedule() -> None:
    """A horizon alone changes nothing that is bought."""
    plan = made({"name": "corpus", "size_gb": 100})
    assert plan.schedule == ()
    assert plan.exact_totals["horizon_usd"] == Decimal("21.9")
    assert "horizon_usd" not in made({"name": "corpus", "size_gb": 100}, horizon=None).totals


@pytest.mark.slow
def test_what_if_takes_growth_and_horizon() -> None:
    """Each is solved as a plan of its own: today's cost, and that of the whole horizon."""
    plan = made(CORPUS)
    frame_ = plan.what_if(growth=["100 GB/month", "200 GB/month", "1 TB/month"], exact=True)
    costs = [str(usd) for usd in frame_["horizon_usd"]]
    sizes = (made({**CORPUS, "growth": growth}) for growth in frame_["growth"])
    assert costs == [str(each.totals["horizon_usd"]) for each in sizes]
    assert plan.what_if(horizon=["1 month", "3 months"])["usd_month"].tolist() == [14.6, 14.6]
    last = plan.what_if(growth=["9 TB/month"]).iloc[0]
    assert (last["feasible"], last["why"][:16]) == (False, "within 3 months:")


def test_why_the_first_disk_is_not_larger() -> None:
    """Each later disk bought at once instead: one move fewer, and the months it is larger for."""
    plan = made({**CORPUS, "headroom": "100%"})
    larger = planner.explain(plan, exact=True).larger
    # 300 GB for a month, 400 for another and 500 at last, at 0.0001: an hour of 100 GB is 0.01.
    # Bought at once, 400 GB save the 3 days of 300 GB (2.16) for a month of 100 GB more (7.30).
    assert larger[["size_gb", "larger_gb", "until_month", "moves"]].to_numpy().tolist() == [
        [300, 400, 2, 1],
        [300, 500, 3, 2],
    ]
    assert larger["extra_usd"].tolist() == [Decimal("5.14"), Decimal("16.86")]


def test_the_months_of_a_plan_cost_what_its_horizon_does(tmp_path: Path) -> None:
    """By volume and month, with moves and egress; a saved report has them again."""
    move = {"egress_usd_gb": "0.003", "overlap": "2 days"}
    plan = made({**CORPUS, "replicas": 2}, {"name": "logs", "size_gb": 50}, horizon=6, move=move)
    months = [*plan.outlook.months()]
    assert [(m.month, m.volume) for m in months[:3]] == [
        ("2026-11", "corpus"),
        ("2026-11", "logs"),
        ("2026-12", "corpus"),
    ]
    assert sum(m.disk_usd + m.move_usd for m in months) == plan.exact_totals["horizon_usd"]
    assert sum(m.moves for m in months) == len(plan.schedule) > 0
    report = planner.report(plan)
    assert next(one for one in report.sections() if one.name == "months").footer is not None
    report.save(tmp_path / "report.json")
    assert planner.reports.report.Report.load(tmp_path / "report.json") == report
    assert not [*made({"name": "logs", "size_gb": 50}).outlook.months()]


def test_a_disk_that_exists_is_in_the_months() -> None:
    """300 GB at 0.02 an hour until full: 0.02 for 730 h, and 72 h beside the disk after it."""
    live = frame(disk("a" * 32, 300, data_center="alpha-1", country="US"))
    plan = made(CORPUS, horizon=4, disks=live, recorded={("corpus", 1): ("a" * 32,)})
    usd = [(m.disk_usd, m.moves, m.move_usd) for m in plan.outlook.months()]
    assert usd[0] == (Decimal("14.6"), 0, Decimal(0))
    assert usd[2] == (Decimal("29.2"), 1, Decimal("1.44"))
    assert plan.schedule
    assert not len(plan.outlook.larger())  # a larger one now would be a move as well


@pytest.mark.parametrize(
    ("created", "warned"), [("2026-10-20", True), ("2026-11-20", False), ("then", False)]
)
def test_a_size_of_a_month_ago_is_asked_about(created: str, warned: bool) -> None:
    """Whoever does not raise `size` plans as if nothing had grown, and the disk fills."""
    row_ = {**disk("a" * 32, 300, data_center="alpha-1", country="US"), "createdAt": created}
    known = {"disks": frame(row_), "recorded": {("corpus", 1): ("a" * 32,)}}
    said = [each for each in made(CORPUS, horizon=4, **known).warnings if "`size`" in each]
    assert [each.split("; ")[0].rpartition(" ")[2] for each in said] == ["corpus"] * warned
    assert not [w for w in made({"name": "corpus", "size_gb": 100}, **known).warnings if "`s" in w]


def job(**policy: Any) -> Plan:
    """Return a plan of two volumes that a job mounts; alpha is cheaper than beta."""
    document = {
        "version": 1,
        "volumes": [CORPUS, {"name": "logs", "size_gb": 100}],
        "workloads": [{"name": "train", "gpu": "A100_80GB", "mounts": ["corpus", "logs"]}],
        "policy": {"horizon": 3, **policy},
    }
    gpus = gpus_frame([gpu("alpha", "1.00"), gpu("beta", "1.00")])
    return planner.plan(demand_from(document), offers_frame(OFFERS), gpus, now=NOW)


@pytest.mark.slow
def test_a_job_runs_where_a_pod_mounts_a_disk_for_each_volume(tmp_path: Path) -> None:
    """No schedule has shared disks: where the pod mounts one, the job is elsewhere, and says so."""
    assert {each.provider for each in job().placements} == {"alpha"}
    made = job(attach_limits={"alpha": 1})
    parts: tuple[Any, ...] = (*made.placements, *made.gpus, *made.schedule)
    assert {each.provider for each in parts} == {"beta"}
    assert [w for w in made.warnings if "train cannot run at alpha" in w]
    made.save(tmp_path / "plan.json")
    assert Plan.load(tmp_path / "plan.json") == made
    with pytest.raises(InputError, match="where train could run") as caught:
        job(attach_limits={"alpha": 1, "beta": 1})
    assert "same: disk" in str(caught.value.hint)


LOGS = {"name": "logs", "size_gb": 50, "growth": "100 GB/month", "owner": "ada"}


def on_one_disk(rows: Any = OFFERS, **more: Any) -> Plan:
    """Return a plan of two growing volumes that share every disk, over three months."""
    document = {
        "version": 1,
        "volumes": [CORPUS, LOGS],
        "groups": [{"volumes": ["corpus", "logs"], "same": "disk"}],
        "policy": {"horizon": 3, **more.pop("policy", {})},
    }
    return planner.plan(demand_from(document), offers_frame(rows), now=NOW, nonce="0" * 16, **more)


def test_volumes_of_one_disk_grow_as_one(tmp_path: Path) -> None:
    """350, 550 and 750 GB in steps of 100: 400, 600, 800 at 0.0001; each month bought anew."""
    plan = on_one_disk()
    assert [(p.disk_sizes_gb, p.provision_gb) for p in plan.placements] == [
        ((400,), 250),
        ((400,), 150),
    ]
    assert [(t.month, t.volume, t.disk_sizes_gb, t.provision_gb) for t in plan.schedule] == [
        (1, "corpus", (600,), 350),
        (2, "corpus", (800,), 450),
        (1, "logs", (600,), 250),
        (2, "logs", (800,), 350),
    ]
    # 730 h of 0.04, 0.06, 0.08, and 72 h of 0.04 and 0.06.
    assert plan.exact_totals["horizon_usd"] == Decimal("138.6")
    assert len(plan.requests) == 1
    months = [*plan.outlook.months()]
    assert sum(m.disk_usd + m.move_usd for m in months) == Decimal("138.6")
    assert sum(m.moves for m in months) == 2
    assert any("2 moves included" in note for note in plan.summary().notes)
    plan.save(tmp_path / "plan.json")
    assert Plan.load(tmp_path / "plan.json") == plan
    assert plan.schedule_to_frame()["disk_group"].tolist() == [("corpus", "logs")] * 4


def test_a_share_that_is_too_small_in_a_later_month_is_not_verified() -> None:
    """The disk and each volume's part of it are held against what they need in every month."""
    plan = on_one_disk()
    first, *rest = plan.schedule
    wrong = replace(plan, schedule=(replace(first, share_gb=340), *rest))
    assert any("the share of corpus is not 350 GB" in text for text in wrong.violations())
    wrong = replace(plan, schedule=(replace(first, disk_group=None, share_gb=None), *rest))
    assert any("not all of them are on it" in text for text in wrong.violations())
    assert plan.violations() == ()


def test_an_existing_disk_that_volumes_share_is_their_first() -> None:
    """560 GB hold both for two months (300 and 250 GB); parts are what each needs to the end."""
    live = frame(disk("disk-0001", size=560, usd_hr="0.056"))
    recorded = {("corpus", 1): ("disk-0001",), ("logs", 1): ("disk-0001",)}
    plan = on_one_disk(disks=live, recorded=recorded)
    assert [(p.action, p.provision_gb, p.usd_hr) for p in plan.placements] == [
        ("keep", 310, Decimal("0.031")),
        ("keep", 250, Decimal("0.025")),
    ]
    assert {(t.month, t.disk_sizes_gb) for t in plan.schedule} == {(2, (800,))}
    # 2 months and 3 days of 0.056, a month of 0.08.
    assert plan.exact_totals["horizon_usd"] == Decimal("144.192")
    assert plan.violations() == ()


def test_budgets_of_two_owners_on_one_growing_disk_are_an_error() -> None:
    """Which of the months each may pay for is not planned; the error says what to change."""
    assert on_one_disk(policy={"budget_usd_month": "100"}).schedule
    with pytest.raises(InputError, match="different budgets: corpus, logs") as caught:
        on_one_disk(policy={"budgets": {"ada": "100"}})
    assert "one `owner`" in str(caught.value.hint)


def test_a_disk_that_is_shared_without_a_group_is_an_error() -> None:
    """Its volumes may part, or not: a group says that they do not."""
    live = frame(disk("disk-0001", size=560, usd_hr="0.056"))
    recorded = {("corpus", 1): ("disk-0001",), ("logs", 1): ("disk-0001",)}
    with pytest.raises(InputError, match="corpus, logs share a disk, and no group") as caught:
        made(CORPUS, LOGS, disks=live, recorded=recorded)
    assert "same: disk" in str(caught.value.hint)
