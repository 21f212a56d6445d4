"""What is said of a solve that was stopped: the incumbent, its gap, and never ``optimal``."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from planner.demand.read import demand_from
from planner.errors import Defect, NotProven
from planner.market.market import addressable
from planner.market.offers import offers_frame
from planner.solve import decompose as coupled
from planner.solve.optimise import PROOF, Solution, optimise, prove
from planner.solve.optimum import Optimum
from planner.solve.solver import Run
from planner.solve.stats import SolveStats
from tests.solve.hand import demanded, gpu, instance_of, row, volume

if TYPE_CHECKING:
    from planner.solve.problem import Instance

ROWS = [row("cheap", "0.0001"), row("dear", "0.00012")]
CHEAP, DEAR = 0, 1


def an_instance(**policy: Any) -> Instance:
    return instance_of(demanded(volume("x", 10), policy=policy), ROWS)


def proved(
    offer: int, bound_month: str | None, slack: str = "0", *, deadline: float | None = 0.0
) -> Solution:
    """Return what is said of ten GB at an offer, given a solver's bound of the monthly cost."""
    instance = an_instance()
    run = Run("feasible", "time_limit", 0.25)
    bound = None if bound_month is None else Decimal(bound_month)
    stats = SolveStats(deadline, runs=[run, run], variables=2, constraints=1, dominated=7)
    cost = instance.usd_month({0: [offer]}, {})
    found = Optimum({0: [offer]}, {}, cost, bound, stats)
    return prove(instance, found, Decimal(slack))


def test_an_incumbent_keeps_its_placements_and_its_gap() -> None:
    """A stopped run returns what it had, with the solver's bound and the gap to it."""
    solution = proved(DEAR, "0.803")
    assert [one.provider for one in solution.placements] == ["dear"]
    record = solution.solver
    assert (record.status, record.termination) == ("feasible", "time_limit")
    assert (record.objective_usd_hr, record.bound_usd_hr) == (Decimal("0.0012"), Decimal("0.0011"))
    assert record.gap == pytest.approx(1 / 12)
    assert (record.name, record.seconds) == ("HiGHS", 0.5)
    assert (record.variables, record.constraints, record.dominated) == (2, 1, 7)


@pytest.mark.slow
def test_a_bound_is_at_least_what_needs_no_solver_and_at_most_the_cost() -> None:
    """A solver that proves next to nothing does not lower it, one that errs does not raise it."""
    assert proved(DEAR, "0").solver.bound_usd_hr == Decimal("0.001")
    assert proved(DEAR, "0").solver.gap == pytest.approx(1 / 6)
    over = proved(DEAR, "0.99").solver
    assert (over.bound_usd_hr, over.status, over.gap) == (Decimal("0.0012"), "optimal", 0)


def test_an_incumbent_that_meets_the_exact_bound_is_optimal() -> None:
    """The bound is a proof of its own, whatever the solver had time to say."""
    record = proved(CHEAP, "0.5").solver
    assert (record.status, record.termination, record.gap) == ("optimal", "proven", 0)


def test_what_is_near_enough_is_proven_with_its_gap() -> None:
    """Within ``PROOF`` is optimal and says how near; a hair more is an incumbent."""
    cost = Decimal("0.876")
    near = proved(DEAR, str(cost * (1 - PROOF))).solver
    assert (near.status, near.termination) == ("optimal", "proven")
    assert near.gap == pytest.approx(1e-6)
    far = proved(DEAR, str(cost * (1 - PROOF * 2))).solver
    assert (far.status, far.termination) == ("feasible", "time_limit")
    unlimited = proved(DEAR, "0.8", deadline=None).solver
    assert (unlimited.status, unlimited.termination) == ("feasible", "work_limit")


@pytest.mark.slow
def test_a_cost_that_was_allowed_is_no_missing_proof() -> None:
    """With a slack of a fifth the dearer offer is what was asked for; with less it is not."""
    assert proved(DEAR, "0.73", "20").solver.status == "optimal"
    assert proved(DEAR, "0.73", "20").solver.cost_slack_percent == 20
    assert proved(DEAR, "0.73", "19").solver.status == "feasible"


def test_a_cost_below_what_the_market_allows_is_a_defect() -> None:
    """Cheaper than every volume at its cheapest: planner is wrong somewhere, and says so."""
    instance = an_instance()
    impossible = Optimum({0: [CHEAP]}, {}, Decimal("0.7"), None, SolveStats())
    with pytest.raises(Defect, match="below its exact limit"):
        prove(instance, impossible)


def test_gpus_are_in_cost_and_bound() -> None:
    """A job of 100 hours at $3 is averaged over the month, and its cheapest GPUs are the floor."""
    job = {"name": "job", "gpu": "A100_80GB", "hours_per_month": 100, "mounts": ["x"]}
    document = demanded(volume("x", 10), workloads=[job])
    instance = instance_of(document, ROWS, [gpu("dear", "3"), gpu("else", "2.19")])
    found = Optimum(
        {0: [DEAR]}, {0: 0}, instance.usd_month({0: [DEAR]}, {0: 0}), None, SolveStats()
    )
    (rented,) = prove(instance, found).gpus
    assert rented.usd_hr == Decimal("0.410958904110")
    record = prove(instance, found).solver
    assert record.objective_usd_hr == rented.usd_hr + Decimal("0.0012")
    stopped = Optimum(found.chosen, found.rented, found.usd_month, Decimal(0), SolveStats())
    low = prove(instance, stopped).solver
    assert low.bound_usd_hr == Decimal("0.301")  # 219 / 730, and 10 GB at the cheapest
    assert low.status == "feasible"


@pytest.mark.slow
def test_no_time_for_coupled_volumes_is_not_proven() -> None:
    """With no time there is no plan and no claim that none exists; with time there is one."""
    rows = [row(f"p{n}", f"0.000{100 + n * 7 % 31}") for n in range(30)]
    volumes = [volume(f"v{n}", 100 + 37 * n % 90, replicas=2) for n in range(60)]
    apart = [{"volumes": ["v0", "v1"], "different": "provider"}]
    policy = {"max_sites": 7, "max_provider_share": 0.17}
    document = demanded(*volumes, groups=apart, policy=policy)
    offers = addressable(offers_frame(rows), exact=True)
    with pytest.raises(NotProven) as caught:
        optimise(demand_from(document), offers, time_limit_s=0.0)
    assert caught.value.exit_code == 11
    assert caught.value.plan is None
    assert "--time-limit" in str(caught.value.hint)


def test_a_solver_that_knows_nothing_without_a_limit_is_not_proven(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A solver may end with nothing though nobody stopped it: no plan, and no crash over it."""
    monkeypatch.setattr(coupled, "_TRIES", 0)
    monkeypatch.setattr(coupled, "_rounded", lambda *_: None)
    document = demanded(volume("x"), volume("y"), policy={"max_provider_share": 0.5})
    with pytest.raises(NotProven, match=r"no plan was found$"):
        optimise(demand_from(document), addressable(offers_frame(ROWS), exact=True))


def test_what_needs_no_solver_needs_no_time() -> None:
    """Uncoupled volumes are proven in no time at all, and no solver is said to have run."""
    document = demanded(*(volume(f"v{n}", replicas=2) for n in range(50)))
    record = optimise(
        demand_from(document), addressable(offers_frame(ROWS), exact=True), time_limit_s=0
    ).solver
    assert (record.status, record.gap, record.seconds) == ("optimal", 0, 0)
    assert (record.variables, record.constraints) == (0, 0)
