"""Each constraint of the program by itself: four offers, and what it makes of the cheapest."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from planner.solve.decompose import disaggregate
from planner.solve.model import Program
from planner.solve.presolve import Columns, every_column
from tests.solve.hand import demanded, gpu, instance_of, row, volume

if TYPE_CHECKING:
    from planner.solve.problem import Instance

A1 = row("alpha", "0.0001")
A2 = row("alpha", "0.0002", "2", country="NO", region="eu_north")
B1 = row("beta", "0.0003", isMultinode=True)
C1 = row("gamma", "0.0004", country="NO", region="eu_north")
MARKET = [A1, A2, B1, C1]
NORWAY = {"country": "NO", "region": "eu_north"}
GPUS = [
    gpu("beta", "1"),
    gpu("gamma", "1", **NORWAY),
    gpu("gamma", "2", gpuType="H100_80GB", **NORWAY),
]
PAIR = (volume("a"), volume("b", 50))


def job(**fields: Any) -> dict[str, Any]:
    return {"name": "job", "gpu": "A100_80GB", "hours_per_month": 1, "mounts": ["a"], **fields}


def group(kind: str, level: str, *names: str) -> dict[str, Any]:
    return {"groups": [{"volumes": list(names or ("a", "b")), kind: level}]}


CASES: dict[str, tuple[dict[str, Any], list[list[str]] | None]] = {
    "no rule": (demanded(*PAIR), [["A1"], ["A1"]]),
    "copies": (demanded(volume("a", replicas=2)), [["A1", "A2"]]),
    "copies at providers": (
        demanded(volume("a", replicas=3, spread="provider")),
        [["A1", "B1", "C1"]],
    ),
    "copies in countries": (demanded(volume("a", replicas=2, spread="country")), [["A1", "A2"]]),
    "too many copies": (demanded(volume("a", replicas=3, spread="country")), None),
    "copies anywhere": (demanded(volume("a", replicas=2, spread="none")), [["A1", "A1"]]),
    "same site": (
        demanded(volume("a"), volume("b", multinode=True), **group("same", "site")),
        [["B1"], ["B1"]],
    ),
    "same country": (
        demanded(volume("a"), volume("b", providers=["gamma"]), **group("same", "country")),
        [["A2"], ["C1"]],
    ),
    "fewer copies lie with the others": (
        demanded(
            volume("a", replicas=2, exclude={"data_centers": ["alpha-1"]}),
            volume("b"),
            **group("same", "provider"),
        ),
        [["A2", "B1"], ["A1"]],
    ),
    "equal copies lie in equal places": (
        demanded(
            volume("a", replicas=2),
            volume("b", replicas=2, spread="provider"),
            **group("same", "provider"),
        ),
        [["A1", "B1"], ["A1", "B1"]],
    ),
    "different sites": (demanded(*PAIR, **group("different", "site")), [["A1"], ["A2"]]),
    "different providers": (demanded(*PAIR, **group("different", "provider")), [["A1"], ["B1"]]),
    "no third country": (
        demanded(*PAIR, volume("c"), **group("different", "country", "a", "b", "c")),
        None,
    ),
    "beside GPUs": (demanded(*PAIR, workloads=[job()]), [["B1"], ["A1"]]),
    "beside that GPU": (demanded(*PAIR, workloads=[job(gpu="H100_80GB")]), [["C1"], ["A1"]]),
    "both mounts beside it": (demanded(*PAIR, workloads=[job(mounts=["a", "b"])]), [["B1"]] * 2),
    "several nodes": (
        demanded(volume("a", providers=["gamma"]), workloads=[job(nodes=2)]),
        None,
    ),
    "a copy beside GPUs": (
        demanded(volume("a", replicas=2), workloads=[job()]),
        [["A1", "B1"]],
    ),
    "sites": (
        demanded(volume("a"), volume("b", multinode=True), policy={"max_sites": 1}),
        [["B1"], ["B1"]],
    ),
    "providers": (
        demanded(volume("a"), volume("b", countries=["NO"]), policy={"max_providers": 1}),
        [["A1"], ["A2"]],
    ),
    "a share": (
        demanded(*PAIR, volume("c", 225), policy={"max_provider_share": 0.6}),
        [["B1"], ["B1"], ["A1"]],
    ),
    "a share that sizes cannot make": (
        demanded(*PAIR, volume("c", 226), policy={"max_provider_share": 0.6}),
        None,
    ),
    "a budget": (
        demanded(*PAIR, **group("different", "provider"), policy={"budget_usd_month": "18.25"}),
        [["A1"], ["B1"]],
    ),
    "a budget too small": (
        demanded(*PAIR, **group("different", "provider"), policy={"budget_usd_month": "18.249"}),
        None,
    ),
    "an owner's budget": (
        demanded(
            volume("a"),
            volume("b", owner="ada"),
            **group("different", "provider"),
            policy={"budgets": {"ada": "7.3"}},
        ),
        [["B1"], ["A1"]],
    ),
}
NAMES = {"alpha-1": "A1", "alpha-2": "A2", "beta-1": "B1", "gamma-1": "C1"}


def solved(instance: Instance) -> tuple[Columns, list[list[str]] | None, Program]:
    columns = every_column(instance, instance.whole)
    program = Program(instance, instance.whole, columns)
    outcome = program.cheapest(time_limit_s=None)
    if outcome.counts is None:
        assert outcome.run.status == "infeasible"
        return columns, None, program
    chosen = disaggregate(instance, columns, outcome.counts)
    at = instance.pairs.offers["data_center"].tolist()
    return columns, [[NAMES[at[o]] for o in chosen[v]] for v in sorted(chosen)], program


@pytest.mark.sweep
@pytest.mark.parametrize("case", CASES)
def test_the_cheapest_that_a_constraint_allows(case: str) -> None:
    """What one rule makes of the cheapest offers was worked out by hand."""
    document, expected = CASES[case]
    instance = instance_of(document, MARKET, GPUS)
    assert solved(instance)[1] == expected


def test_an_offer_in_two_regions_fills_both() -> None:
    """Copies and groups that look at regions count an ambiguous offer in each of its own."""
    both = {**A1, "region": "eu_north"}
    copies = instance_of(demanded(volume("a", replicas=2, spread="region")), [A1, both, B1, C1])
    assert solved(copies)[1] == [["B1", "C1"]]
    apart = instance_of(demanded(*PAIR, **group("different", "region")), [A1, both, B1, C1])
    assert sorted(solved(apart)[1] or []) == [["B1"], ["C1"]]
    together = instance_of(demanded(*PAIR, **group("same", "region")), [A1, both, B1])
    assert solved(together)[1] == [["A1"], ["A1"]]


def test_a_question_holds_a_volume_to_some_offers() -> None:
    """One replica at least lies at one of the offers that are asked about."""
    instance = instance_of(demanded(volume("a", replicas=2, spread="none")), MARKET)
    asked = replace(instance, forced=((0, frozenset({2, 3})),))
    assert solved(asked)[1] == [["A1", "B1"]]


def test_gpus_that_want_the_same_disks_are_one_variable() -> None:
    """Of many GPU offers at one site only the cheapest is in the program."""
    gpus = [gpu("beta", str(Decimal(n) / 10), cloudId=f"c{n}") for n in range(20, 10, -1)]
    instance = instance_of(demanded(volume("a"), workloads=[job()]), MARKET, gpus)
    _, where, program = solved(instance)
    assert where == [["B1"]]
    assert instance.rentals is not None
    ((_, g),) = program.z
    assert instance.rentals.rows[g]["usd_hr"] == Decimal("1.1")


def test_a_budget_has_a_hair_of_room_that_is_decided_later() -> None:
    """Floats must not lose a plan that meets its budget exactly."""
    price = "0.00011545611010752688"
    exact = Decimal(price) * 800 * 730
    for budget, fits in ((exact, True), (exact - Decimal("1e-15"), False)):
        document = demanded(volume("a", 800), policy={"budget_usd_month": str(budget)})
        instance = instance_of(document, [row("alpha", price)])
        assert solved(instance)[1] == [["A1"]]
        assert instance.within_policy({0: [0]}) is fits
