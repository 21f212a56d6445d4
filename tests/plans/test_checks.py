"""The record: totals from the placements, and whether what is said of a plan follows from it."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner import Plan, read_offers
from planner.demand.read import demand_from
from planner.errors import PlanCorrupt, PlanInvalid
from planner.market.gpus import gpus_frame
from planner.market.offers import offers_frame
from planner.plans.checks import record_violations
from planner.plans.summary import certainty
from planner.solve.optimise import PROOF, SolverRecord
from planner.units import averaged_usd_hr
from tests.shipped_plans import TARGET, finetune, research
from tests.solve.hand import gpu, row
from tests.solve.live_disks import disk, frame

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from planner.solve.certificate import Multiplier


@pytest.fixture(scope="module", params=[research, finetune])
def plan(request: pytest.FixtureRequest) -> Plan:
    made: Plan = request.param(target=TARGET)
    return made


@pytest.fixture(scope="module")
def joint() -> Plan:
    return finetune()


def said(plan: Plan, **changes: Any) -> set[str]:
    """Return what is said of a plan whose record was changed."""
    record = replace(plan.solver, **changes)
    return set(record_violations(record, plan.instance, plan.placements, plan.gpus))


def test_totals_are_the_sum_of_size_times_price(plan: Plan) -> None:
    """Worked out from sizes, hours and published prices, to the last decimal of the month."""
    # A disk that volumes share is counted with the first of them.
    counted = [p for p in plan.placements if not p.disk_group or p.volume == p.disk_group[0]]
    disks = sum((sum(p.disk_sizes_gb) * p.usd_gb_hr for p in counted), Decimal(0))
    gpus = sum((one.usd_hr_on * one.hours_per_month for one in plan.gpus), Decimal(0))
    totals = {name: Decimal(value) for name, value in plan.exact_totals.items()}
    assert totals["disk_usd_hr"] == totals["new_usd_hr"] == disks
    assert totals["usd_month"] == disks * totals["hours_per_month"] + gpus
    assert totals["gpu_usd_hr"] == sum(one.usd_hr for one in plan.gpus)
    assert totals["usd_hr"] == totals["disk_usd_hr"] + totals["gpu_usd_hr"]
    averaged = totals["usd_month"] / totals["hours_per_month"]
    assert abs(totals["usd_hr"] - averaged) <= Decimal("1e-11")


def test_the_month_is_exact_where_the_average_is_rounded(joint: Plan) -> None:
    """A 730th of a price has no end: the average is rounded, what a month costs is not."""
    on = [Fraction(one.usd_hr_on) * one.hours_per_month for one in joint.gpus]
    disks = Fraction(joint.exact_totals["disk_usd_hr"]) * 730
    assert Fraction(joint.exact_totals["usd_month"]) == disks + sum(on)
    assert Fraction(joint.exact_totals["usd_hr"]) * 730 != disks + sum(on)


def test_an_honest_record_follows(plan: Plan) -> None:
    """What the solver's record says of the plan it made is right in every point."""
    assert said(plan) == set()


STATUS = "the solver's status does not follow from its cost and bound"
GAP = "the solver's gap is not its distance from the bound"
LOW = "the solver's bound is below what this market allows"
LEAST = "the solver's bound is not the least that this market allows"
OBJECTIVE = "the solver's objective is not the sum of the placements and GPUs"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"objective_usd_hr": Decimal(1)}, {OBJECTIVE}),
        ({"status": "feasible"}, {STATUS}),
        ({"termination": "time_limit"}, {STATUS}),
        ({"status": "feasible", "termination": "time_limit"}, {STATUS}),
        ({"gap": 0.5}, {GAP}),
        ({"bound_usd_hr": Decimal(0)}, {LOW, STATUS, GAP}),
    ],
)
def test_each_lie_of_a_record_has_its_sentence(
    plan: Plan, changes: dict[str, Any], expected: set[str]
) -> None:
    """Cost, status, termination, gap and bound are each held against the choice."""
    assert said(plan, **changes) == expected


def test_a_bound_above_the_cost_is_no_bound(plan: Plan) -> None:
    """A plan cannot cost less than what was proven, whatever the status says."""
    above = plan.solver.objective_usd_hr + 1
    gap = float((plan.solver.objective_usd_hr - above) / plan.solver.objective_usd_hr)
    assert STATUS in said(plan, bound_usd_hr=above, gap=gap)


def test_where_no_solver_is_needed_the_bound_is_known_exactly() -> None:
    """Uncoupled volumes have one least cost: a higher bound is not believed either."""
    plan = research()
    cost = plan.solver.objective_usd_hr
    slack = {"cost_slack_percent": Decimal(50), "bound_usd_hr": cost * Decimal("0.99")}
    assert LOW in said(plan, gap=0.01, **slack)
    dearer = [replace(one, usd_hr=one.usd_hr * 2) for one in plan.placements]
    record = replace(plan.solver, objective_usd_hr=cost * 2, bound_usd_hr=cost * 2)
    assert set(record_violations(record, plan.instance, dearer, ())) == {LEAST}


def test_what_is_coupled_is_held_between_the_floor_and_the_cost(joint: Plan) -> None:
    """Where a solver proved the bound it is believed down to the floor, with its status and gap."""
    cost = joint.solver.objective_usd_hr
    bound = cost * Decimal("0.999")
    honest: dict[str, Any] = {
        "bound_usd_hr": bound,
        "gap": float((cost - bound) / cost),
        "status": "feasible",
        "termination": "time_limit",
    }
    assert said(joint, **honest) == set()
    assert said(joint, **{**honest, "status": "optimal", "termination": "proven"}) == {STATUS}
    near = cost * (1 - Decimal("1e-7"))
    proven = {"bound_usd_hr": near, "gap": float((cost - near) / cost)}
    assert said(joint, **proven) == set()


def test_a_slack_explains_a_distance_from_the_bound(joint: Plan) -> None:
    """With a per cent allowed, a plan that costs a per cent more than the bound is optimal."""
    cost = joint.solver.objective_usd_hr
    bound = averaged_usd_hr(cost, 1) / Decimal("1.01")
    bound = bound.quantize(Decimal("1e-12")) + Decimal("1e-12")
    gap = float((cost - bound) / cost)
    allowed: dict[str, Any] = {"bound_usd_hr": bound, "gap": gap}
    assert said(joint, **allowed, cost_slack_percent=Decimal(1)) == set()
    assert said(joint, **allowed, cost_slack_percent=Decimal("0.9")) == {STATUS}


def test_a_demand_that_has_no_plan_has_no_record(joint: Plan) -> None:
    """A market that lost its GPUs allows nothing, so no bound is one."""
    bare = replace(joint, market=replace(joint.market, gpu_rows=()))
    found = set(record_violations(joint.solver, bare.instance, joint.placements, joint.gpus))
    assert LOW in found


INPUTS = [("demand", "rows"), ("demand", "digest"), ("offers", "rows"), ("offers", "digest")]


@pytest.mark.sweep
@pytest.mark.parametrize(("name", "key"), [*INPUTS, ("gpus", "rows"), ("gpus", "digest")])
def test_the_record_of_an_input_is_held_against_it(
    joint: Plan, tmp_path: Path, name: str, key: str
) -> None:
    """How many rows, and which: each is named where it is not that of the plan."""
    wrong = {**joint.inputs[name], key: {"rows": 1, "digest": "0" * 64}[key]}
    path = tmp_path / "plan.json"
    replace(joint, inputs={**joint.inputs, name: wrong}).save(path)
    with pytest.raises(PlanInvalid) as caught:
        Plan.load(path)
    assert caught.value.violations == (
        f"the record of the {name} is not that of the {name} in the plan",
    )


@pytest.mark.slow
def test_gpus_that_are_not_recorded_are_missed(joint: Plan, tmp_path: Path) -> None:
    """A GPU market without its record is a plan that nobody can trace."""
    path = tmp_path / "plan.json"
    inputs = {name: one for name, one in joint.inputs.items() if name != "gpus"}
    replace(joint, inputs=inputs).save(path)
    with pytest.raises(PlanInvalid, match="gpus of the plan are not among its inputs"):
        Plan.load(path)


RECORDS: dict[str, dict[str, Any]] = {
    "a gap": {"gap": 0.5},
    "a bound": {"bound_usd_hr": Decimal(0)},
    "a status": {"status": "feasible"},
    "an objective": {"objective_usd_hr": Decimal(1)},
    "an infinite time": {"seconds": float("inf")},
    "a status that is none": {"status": "perfect"},
    "a number below zero": {"dominated": -1},
    "a slack that is no amount": {"cost_slack_percent": Decimal(-1)},
}


@pytest.mark.sweep
@pytest.mark.parametrize("change", RECORDS)
def test_a_record_that_does_not_follow_is_refused(plan: Plan, tmp_path: Path, change: str) -> None:
    """Status, gap and bound have to follow from cost and placements, and be of their kind."""
    path = tmp_path / "plan.json"
    replace(plan, solver=replace(plan.solver, **RECORDS[change])).save(path)
    with pytest.raises((PlanCorrupt, PlanInvalid)):
        Plan.load(path)


def test_every_field_of_the_record_is_in_the_file(plan: Plan) -> None:
    """What a solution says of itself is stored, dominated candidates and slack included."""
    solver = plan.to_document()["solver"]
    assert [*solver, "multipliers"] == list(SolverRecord.__dataclass_fields__)
    assert isinstance(solver["dominated"], int)
    assert solver["cost_slack_percent"] == "0"


@pytest.fixture(scope="module", params=["volumes", "units"])
def certified(request: pytest.FixtureRequest) -> Plan:
    """Return a plan whose bound follows from prices of a share, of volumes or of units of them.

    Units are two groups, of which one has a job and one a disk that exists.
    """
    rng = random.Random(5)
    rows = [
        row(f"p{n % 5}", str(Decimal(rng.randint(5000, 20000)) / 10**8), str(n)) for n in range(60)
    ]
    volumes = [
        {"name": f"v{n}", "size_gb": rng.randint(10, 4000), "owner": "ada"} for n in range(70)
    ]
    policy = {"max_provider_share": "0.3", "budgets": {"ada": "12000"}}
    document: dict[str, Any] = {"version": 1, "volumes": volumes, "policy": policy}
    gpus, disks = None, None
    if request.param == "units":
        volumes[0].update(size_gb=100, disks=["disk-000001"])
        pairs = ["v0", "v1"], ["v2", "v3"]
        document["groups"] = [{"volumes": pair, "same": "site"} for pair in pairs]
        document["workloads"] = [{"name": "job", "gpu": "A100_80GB", "mounts": ["v2"]}]
        gpus = gpus_frame([gpu(f"p{n}", f"1.{n}", str(n)) for n in range(4)])
        place = {"dataCenterId": "p1-1", "country": "US", "cloudId": None, "isMultinode": False}
        live = disk("disk-000001", provider="alpha")
        disks = frame({**live, "name": "v0", "providerType": "p1", "info": place})
    demand = demand_from(document)
    with pytest.MonkeyPatch.context() as patch:
        for most in ("SMALL", "_SEARCHED", "_SEARCHED_TOGETHER"):
            patch.setattr(f"planner.solve.decompose.{most}", 10)
        return planner.plan(demand, offers_frame(rows), gpus, disks=disks, accept_gap=Decimal(1))


@pytest.mark.slow
def test_a_certified_bound_is_kept_and_loaded(certified: Plan, tmp_path: Path) -> None:
    """The file has the multipliers, small and readable, and what is loaded is what was saved."""
    path = tmp_path / "plan.json"
    certified.save(path)
    record = Plan.load(path).solver
    assert record == certified.solver
    assert record.multipliers
    assert all(price.limit == "max_provider_share" for price in record.multipliers)
    assert 0 < record.gap < 1e-2
    assert "and the bound, checked again without the solver" in certainty(record)


MULTIPLIERS: dict[str, Callable[[SolverRecord], SolverRecord]] = {
    "dearer": lambda r: _priced(r, lambda m: replace(m, usd_hr=m.usd_hr * 2)),
    "cheaper": lambda r: _priced(r, lambda m: replace(m, usd_hr=m.usd_hr / 2)),
    "negative": lambda r: _priced(r, lambda m: replace(m, usd_hr=-m.usd_hr)),
    "elsewhere": lambda r: _priced(r, lambda m: replace(m, place=("nowhere",))),
    "of another limit": lambda r: _priced(r, lambda m: replace(m, limit="max_sites")),
    "left out": lambda r: replace(r, multipliers=r.multipliers[1:]),
    "twice": lambda r: replace(r, multipliers=(*r.multipliers, r.multipliers[0])),
    "a higher bound": lambda r: _bounded(r, r.objective_usd_hr),
    "a bound halfway": lambda r: _bounded(r, (r.objective_usd_hr + r.bound_usd_hr) / 2),
}


def _priced(record: SolverRecord, change: Callable[[Multiplier], Multiplier]) -> SolverRecord:
    first, *rest = record.multipliers
    return replace(record, multipliers=(change(first), *rest))


def _bounded(record: SolverRecord, bound: Decimal) -> SolverRecord:
    spare = record.objective_usd_hr - bound
    proven = spare <= record.objective_usd_hr * PROOF
    return replace(
        record,
        bound_usd_hr=bound,
        gap=float(spare / record.objective_usd_hr),
        status="optimal" if proven else "feasible",
        termination="proven" if proven else "work_limit",
    )


@pytest.mark.slow
@pytest.mark.parametrize("change", MULTIPLIERS)
def test_a_bound_that_its_multipliers_do_not_prove_is_refused(
    certified: Plan, tmp_path: Path, change: str
) -> None:
    """Prices, places and the bound itself are held against demand and market, without a solver."""
    path = tmp_path / "plan.json"
    replace(certified, solver=MULTIPLIERS[change](certified.solver)).save(path)
    with pytest.raises((PlanCorrupt, PlanInvalid)):
        Plan.load(path)


@pytest.mark.slow
def test_a_dearer_plan_that_calls_itself_optimal_is_refused(tmp_path: Path) -> None:
    """A consistent record of a dearer placement does not meet the bound of its own market."""
    demand = demand_from({"version": 1, "volumes": [{"name": "x", "size_gb": 10}]})
    best = planner.plan(demand, read_offers("shipped:disk-offers"))
    (placement,) = best.placements
    other = next(one for one in research().placements if one.provider == "runpod")
    cost = other.usd_gb_hr * 10
    moved = replace(
        other,
        volume="x",
        replica=1,
        disk_sizes_gb=(10,),
        provision_gb=10,
        usd_hr=cost,
        owner=None,
        tags={},
    )
    assert cost > placement.usd_hr
    record = replace(best.solver, objective_usd_hr=cost, bound_usd_hr=cost)
    path = tmp_path / "plan.json"
    replace(best, placements=(moved,), solver=record).save(path)
    with pytest.raises(PlanInvalid, match="bound is not the least"):
        Plan.load(path)
