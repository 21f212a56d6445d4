"""No clock decides: without a time limit, the same demand and market give the same answer."""

from __future__ import annotations

import itertools
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from planner.analysis import evaluator, infeasible
from planner.analysis.relax import Offers
from planner.market.market import addressable
from planner.market.offers import offers_frame
from planner.solve import decompose, optimum, solver, stats
from planner.solve.optimise import prove
from tests.solve.hand import demanded, instance_of, row, volume

ROWS = [row(f"p{n}", f"0.000{n}", str(site)) for n in range(1, 7) for site in (1, 2)]


def answer(**policy: Any) -> tuple[Any, ...]:
    """Return the plan of nine volumes under a policy, how it was proven, and how it ended."""
    volumes = [volume(f"v{n}", 300 + 37 * n) for n in range(9)]
    instance = instance_of(demanded(*volumes, policy=policy), ROWS)
    best = optimum.optimum(instance)
    if best is None:
        return (
            str(
                infeasible.infeasible(
                    instance.demand, Offers(addressable(offers_frame(ROWS)), None)
                )
            ),
        )
    record = prove(instance, best).solver
    return best.chosen, best.usd_month, best.bound_month, record.termination


def hours_a_look() -> Any:
    """Return a clock on which an hour passes between any two looks."""
    clock = itertools.count(0, 3600)
    return SimpleNamespace(monotonic=lambda: next(clock))


def nothing() -> float:
    raise AssertionError("a clock was read")


@pytest.mark.sweep
@pytest.mark.parametrize(
    "policy",
    [
        {"max_provider_share": 0.25},
        {"max_sites": 3},
        pytest.param({"max_sites": 1, "max_provider_share": 0.5}, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("small", [0, 3000])
def test_a_slow_clock_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, policy: dict[str, Any], small: int
) -> None:
    """Only the record of how long the solver took reads a clock; small and large programs alike."""
    monkeypatch.setattr(decompose, "SMALL", small)
    expected = answer(**policy)
    for module in (stats, optimum, evaluator, infeasible):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=nothing))
    monkeypatch.setattr(solver, "time", hours_a_look())
    assert answer(**policy) == expected


@pytest.mark.slow
def test_work_that_ends_leaves_a_plan_and_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no work allowed for the proof there is a plan within its gap, and why it is unproven."""
    policy = {"max_provider_share": 0.25}
    best = answer(**policy)
    monkeypatch.setattr(decompose, "SMALL", 0)
    monkeypatch.setattr(decompose, "_WORK", 0.0)
    _, usd_month, bound, termination = answer(**policy)
    assert bound is not None
    assert bound <= best[1] <= usd_month <= bound * Decimal("1.2")
    assert termination in {"proven", "work_limit"}


def test_a_node_is_more_work_in_a_wide_program() -> None:
    """The limit shrinks with the columns, and is one node at least."""
    nodes = [decompose.nodes_of(1e8, n) for n in (0, 100, 1000, 10**7)]
    assert nodes == [100_000_000, 100_000, 3162, 1]
    assert decompose.nodes_of(None, 9) > nodes[0]
