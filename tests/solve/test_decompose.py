"""Large programs are solved around their relaxation; what units have is dealt to their volumes."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from planner.solve import decompose as module
from planner.solve.decompose import PROOF, counts_of, disaggregate, solve_scope
from planner.solve.model import Outcome, Program
from planner.solve.optimum import optimum
from planner.solve.presolve import Columns, VolumeClass, every_column, presolve
from planner.solve.solver import Run
from planner.solve.stats import ScopeOptimum, SolveStats, Undecided
from tests.solve import exact
from tests.solve.hand import coupled, demanded, instance_of, row, violations, volume

if TYPE_CHECKING:
    from planner.solve.problem import Chosen, Instance


class Ways:
    """Which ways through the relaxation were taken, and how often to what end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, small: int) -> None:
        self.taken = {"relaxed": 0, "rounded": 0, "core": 0}
        monkeypatch.setattr(module, "SMALL", small)
        for name, way in (
            ("_around_relaxation", "relaxed"),
            ("_rounded", "rounded"),
            ("_from_core", "core"),
        ):
            monkeypatch.setattr(module, name, self._counted(getattr(module, name), way))

    def _counted(self, function: Any, way: str) -> Any:
        def counted(*args: Any) -> Any:
            found = function(*args)
            self.taken[way] += found is not None
            return found

        return counted


@pytest.mark.slow
@pytest.mark.parametrize("block", range(2))
def test_around_the_relaxation_the_enumerated_optimum_is_found(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every program a large one: within the stated gap of the optimum, which is in the bound.

    Proven where the gap is below ``PROOF``, infeasible exactly where nothing can be enumerated.
    """
    ways, feasible = Ways(monkeypatch, small=1), 0
    for seed in range(5000 + block * 40, 5040 + block * 40):
        document, rows, gpus, nodes = coupled(seed)
        expected = exact.best(document, rows, gpus, nodes)
        instance = instance_of(document, rows, gpus, nodes)
        found = optimum(instance)
        if expected is None:
            assert (seed, found) == (seed, None)
            continue
        assert found is not None, seed
        feasible += 1
        assert (seed, violations(instance, found.chosen, found.rented)) == (seed, ())
        cost, best = Fraction(found.usd_month), expected[0]
        bound = cost if found.bound_month is None else Fraction(found.bound_month)
        assert bound <= best <= cost, seed
        assert cost - bound <= Fraction(PROOF) * cost, seed
    assert feasible >= 15
    assert ways.taken["relaxed"] >= 5
    assert ways.taken["core"] >= 5


@pytest.mark.slow
def test_what_the_relaxation_uses_is_searched_first_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same plan, ties included, as of all columns at once; often the first few are enough."""
    exactly, calls = module.exactly, list[int]()

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls[-1] += 1
        return exactly(*args, **kwargs)

    for seed in range(5200, 5225):
        instance = instance_of(*coupled(seed))
        monkeypatch.setattr(module, "_ENUMERATED", 10**9)
        monkeypatch.setattr(module, "exactly", exactly)
        whole = optimum(instance)
        monkeypatch.setattr(module, "_ENUMERATED", 0)
        monkeypatch.setattr(module, "exactly", counted)
        calls.append(0)
        found = optimum(instance)
        assert (found is None) == (whole is None), seed
        if found is not None and whole is not None:
            assert (seed, found.usd_month) == (seed, whole.usd_month)
            assert (seed, found.chosen, found.bound_month) == (seed, whole.chosen, None)
    assert calls.count(1) >= 3
    assert max(calls) >= 2


def fleet(seed: int, share: float = 0.4, **policy: int) -> Instance:
    """Return 24 volumes at 24 offers of four providers, one much cheaper, under a binding share."""
    rng = random.Random(seed)
    rows = [
        row(name, str(Decimal(rng.randint(6000, 9000) + 4000 * n) / 10**8), str(site))
        for n, name in enumerate(("alpha", "beta", "gamma", "delta"))
        for site in range(6)
    ]
    volumes = [
        volume(
            f"v{n}",
            rng.randint(50, 4000),
            replicas=rng.choice([1, 1, 1, 2]),
            spread=rng.choice(["provider", "data_center", "none"]),
            exclude={"providers": [rng.choice(["alpha", "beta", "gamma"])]},
        )
        for n in range(24)
    ]
    return instance_of(demanded(*volumes, policy={"max_provider_share": share, **policy}), rows)


@pytest.mark.slow
def test_a_binding_share_is_filled_by_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    """The relaxation in whole volumes keeps the share, and costs what all pairs at once cost."""
    ways = Ways(monkeypatch, small=20)
    for seed in range(2):
        instance = fleet(seed)
        found = optimum(instance)
        assert found is not None
        assert found.bound_month is not None
        assert violations(instance, found.chosen, found.rented) == ()
        whole = solve_scope(instance, instance.whole, SolveStats(full=True))
        assert whole is not None
        best = float(whole.usd_month)
        assert float(found.bound_month) <= best * (1 + 1e-9)
        assert float(found.usd_month) - float(found.bound_month) <= PROOF * best
        assert float(found.usd_month) <= best * (1 + PROOF)
    assert ways.taken["relaxed"] == 2
    assert ways.taken["rounded"] >= 1


@pytest.mark.slow
@pytest.mark.parametrize("share", ["0.25", "0.11"])
def test_middle_sizes_are_proven_without_a_solver(share: str) -> None:
    """Four providers at a quarter each just hold all; at 0.11 nine are full, and a tenth is not."""
    rng = random.Random(7)
    rows = [row(f"p{n}", f"0.00015{n:02}") for n in range(12)]
    volumes = [volume(f"v{n}", rng.randint(100, 8000)) for n in range(150)]
    instance = instance_of(demanded(*volumes, policy={"max_provider_share": share}), rows)
    found = optimum(instance, tie_break=False)
    assert found is not None
    assert violations(instance, found.chosen, found.rented) == ()
    assert not found.stats.runs
    bound = found.usd_month if found.bound_month is None else found.bound_month
    assert found.usd_month - bound <= Decimal(str(PROOF)) * found.usd_month


@pytest.mark.slow
def test_groups_under_a_share_keep_a_plan_when_the_work_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Groups are rounded as one: without a node of search the gap is proven to be small."""
    monkeypatch.setattr(module, "SMALL", 20)
    monkeypatch.setattr(module, "_WORK", 0)
    rng = random.Random(7)
    rows = [
        row(
            f"p{n % 6}",
            str(Decimal(rng.randint(6000, 20000)) / 10**8),
            str(n // 12),
            cloudId=f"{n}",
        )
        for n in range(36)
    ]
    volumes = [volume(f"v{n}", rng.randint(50, 4000)) for n in range(60)]
    groups = [{"volumes": [f"v{k + n}" for n in range(4)], "same": "site"} for k in range(0, 60, 4)]
    document = demanded(*volumes, groups=groups, policy={"max_provider_share": 0.25})
    instance = instance_of(document, rows)
    found = optimum(instance)
    assert found is not None
    assert violations(instance, found.chosen, found.rented) == ()
    assert found.bound_month is not None
    assert found.usd_month <= found.bound_month * Decimal("1.005")


def test_candidates_grow_until_the_core_has_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three volumes that share no place need three: halves at the cheapest two are no plan."""
    ways = Ways(monkeypatch, small=0)
    names = "abc"
    groups = [{"volumes": list(two), "different": "data_center"} for two in ("ab", "bc", "ac")]
    rows = [row("p", f"0.000{n}", str(n)) for n in range(1, 7)]
    document = demanded(*(volume(n, 10) for n in names), groups=groups)
    found = optimum(instance_of(document, rows))
    assert found is not None
    assert found.usd_month == Decimal("0.006") * 730
    assert ways.taken["core"] == 1
    assert optimum(instance_of(document, rows[:2])) is None


def test_a_relaxation_without_a_plan_is_a_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """No fractions of volumes keep a share that three providers of a quarter each cannot."""
    Ways(monkeypatch, small=0)
    rows = [row(name, "0.0001") for name in "abc"]
    document = demanded(*(volume(f"v{n}") for n in range(4)), policy={"max_provider_share": 0.25})
    assert optimum(instance_of(document, rows)) is None


class Hurried(SolveStats):
    """Statistics whose time is over, whatever the clock says, and whose solvers are let finish."""

    @property
    def left_s(self) -> float | None:
        return None

    @property
    def is_over(self) -> bool:
        return True


@pytest.mark.slow
def test_time_that_ends_leaves_the_rounded_relaxation_and_its_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With no time for more, what is in hand keeps every rule, and the bound is still a proof."""
    ways = Ways(monkeypatch, small=0)
    rows = [row(f"p{n}", f"0.000{n}") for n in range(1, 7)]
    for seed in range(6):
        rng = random.Random(seed)
        volumes = [volume(f"v{n}", rng.randint(300, 600)) for n in range(9)]
        instance = instance_of(demanded(*volumes, policy={"max_provider_share": 0.25}), rows)
        best = solve_scope(instance, instance.whole, SolveStats(full=True))
        found = solve_scope(instance, instance.whole, Hurried())
        assert best is not None
        assert best.bound_month is None
        assert found is not None
        assert found.bound_month is not None
        assert violations(instance, found.chosen, {}) == ()
        assert found.bound_month <= float(best.usd_month) * (1 + 1e-9)
        assert best.usd_month <= found.usd_month <= best.usd_month * Decimal("1.01")
    assert ways.taken["rounded"] + ways.taken["core"] == 6


@pytest.mark.slow
def test_runs_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs, the size of the largest program and what was dominated are there for the record."""
    monkeypatch.setattr(module, "_listed", lambda *_: None)
    instance = fleet(2)
    stats = SolveStats()
    assert stats.left_s is None
    assert not stats.is_over
    found = solve_scope(instance, instance.whole, stats)
    assert found is not None
    assert stats.runs
    assert stats.variables > stats.constraints > 0
    assert stats.dominated == presolve(instance, instance.whole).dominated > 0
    assert stats.seconds == sum(run.seconds for run in stats.runs) > 0


def random_hands(rng: random.Random, instance: Instance, unit: VolumeClass) -> Chosen:
    """Return offers for each member of a unit whose replicas are apart as the unit asks."""
    offers = range(len(instance.pairs.offers))
    hands = {}
    for v in unit.members:
        hand: list[int] = []
        while len(hand) < unit.replicas:
            o = rng.choice(offers)
            places = instance.places(unit.spread) if unit.spread else None
            if places is None or all(places[o].isdisjoint(places[other]) for other in hand):
                hand.append(o)
        hands[v] = sorted(hand)
    return hands


@pytest.mark.slow
@pytest.mark.parametrize("spread", ["none", "site", "data_center", "provider", "country"])
def test_what_is_dealt_respects_the_spread_and_is_what_was_counted(spread: str) -> None:
    """However members share counts, each gets its replicas, in places apart, and none is lost."""
    rng = random.Random(spread)
    rows = [
        row(name, "0.0001", str(site), country=country, cloudId=cloud)
        for name, country in (("alpha", "US"), ("beta", "NO"), ("gamma", "IS"), ("delta", "SE"))
        for site in (1, 2)
        for cloud in ("c1", "c2")
    ]
    for _ in range(15):
        members, replicas = rng.randint(1, 5), rng.randint(1, 4)
        document = demanded(
            *(volume(f"v{n}", replicas=replicas, spread=spread) for n in range(members))
        )
        instance = instance_of(document, rows)
        columns = every_column(instance, instance.whole)
        (unit,) = presolve(instance, instance.whole).units
        assert unit.members == tuple(range(members))
        together = Columns(
            (unit,), np.zeros(len(rows), np.int64), np.arange(len(rows)), columns.dominated
        )
        counts = counts_of(together, random_hands(rng, instance, unit))
        dealt = disaggregate(instance, together, counts)
        assert np.array_equal(counts_of(together, dealt), counts)
        for hand in dealt.values():
            assert hand == sorted(hand)
            assert len(hand) == replicas
            if unit.spread is not None:
                places = [instance.places(spread)[o] for o in hand]
                assert len(frozenset().union(*places)) == replicas


def test_replicas_are_dealt_by_create_key() -> None:
    """Without a spread the first volume gets the first offers."""
    document = demanded(*(volume(n, replicas=2, spread="none") for n in "ab"))
    instance = instance_of(document, [row(name, "0.0001") for name in "xyz"])
    (unit,) = presolve(instance, instance.whole).units
    columns = Columns((unit,), np.zeros(3, np.int64), np.arange(3), 0)
    assert disaggregate(instance, columns, np.array([1, 2, 1])) == {0: [0, 1], 1: [1, 2]}


@pytest.mark.slow
def test_a_solver_that_ends_at_the_deadline_with_nothing_is_undecided(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever second the clock strikes between two looks at it, there is no empty solution."""
    instance = fleet(1, max_providers=3)
    looks = iter([False, True])

    def nothing(*_: Program, **__: Any) -> Outcome:
        return Outcome(Run("unknown", "time_limit", 0.1), None, None, None, None)

    monkeypatch.setattr(Program, "cheapest", nothing)
    monkeypatch.setattr(SolveStats, "is_over", property(lambda _: next(looks, True)))
    with pytest.raises(Undecided):
        solve_scope(instance, instance.whole, SolveStats(deadline=1e12))


@pytest.mark.parametrize(("bound", "kept"), [(100.0, 99.99995), (99.99995, 99.99995), (99.9, 0.0)])
def test_what_a_dearer_solution_proves_is_kept_where_it_is_near(bound: float, kept: float) -> None:
    """A search of all columns that may be in a cheaper one proves as much of the one in hand."""
    columns = Columns((), np.zeros(0, np.int64), np.zeros(0, np.int64), 0)
    best = ScopeOptimum({0: [0]}, Decimal("99.99995"), 0.0, columns)
    other = ScopeOptimum({0: [1]}, Decimal(101), bound, columns)
    assert module._better(best, other) == replace(best, bound_month=kept)
    cheaper = replace(other, usd_month=Decimal(99))
    assert module._better(best, cheaper) is cheaper
    assert module._better(best, None) is best
