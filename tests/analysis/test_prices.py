"""How far prices may move: by hand, and held against enumeration on both sides of a threshold."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from planner.analysis.evaluator import Evaluator
from planner.analysis.price_parts import PriceParts
from planner.analysis.sensitivity import _threshold as threshold
from planner.analysis.sensitivity import prices
from planner.schema import records
from tests.analysis.questions import Case, case
from tests.analysis.test_explain import asked

if TYPE_CHECKING:
    from planner.analysis.sensitivity import Threshold

X = {"name": "x", "size_gb": 100, "security": "secure_cloud"}


def found(case: Case) -> dict[str, tuple[Any, str]]:
    return {
        one["provider"]: (one["threshold_usd_gb_hr"], one["then"])
        for one in records(prices(case.evaluator))
    }


def test_thresholds_of_one_volume_by_hand() -> None:
    """Alpha may rise to beta's price; beta and gamma have to fall to alpha's; delta never may."""
    made = found(asked(X))
    assert made["alpha"][0] == Decimal("0.0002")
    assert made["beta"][0] == made["gamma"][0] == Decimal("0.0001")
    assert made["delta"] == (None, "no volume may be there: security")
    assert "alpha alpha-1 (US)" in made["beta"][1]
    assert "beta beta-1 (US)" in made["beta"][1]


@pytest.mark.slow
def test_a_limit_ends_the_range_before_a_rival_does() -> None:
    """A budget or the volume's own limit is reached before beta's price is."""
    limited = found(asked({**X, "max_usd_gb_hr": 0.00015}))
    assert limited["alpha"] == (Decimal("0.00015"), "x exceeds its max_usd_gb_hr")
    assert limited["beta"][0] == Decimal("0.0001")
    poor = found(asked(X, policy={"budget_usd_month": "8.03"}))
    assert poor["alpha"] == (Decimal("0.00011"), "the plan exceeds budget_usd_month")


def test_one_price_is_the_price_of_all_its_volumes() -> None:
    """Two volumes in one site move together, where their common cost says so."""
    y = {**X, "name": "y", "size_gb": 300, "providers": ["alpha", "gamma"]}
    made = found(asked(X, y, groups=[{"volumes": ["x", "y"], "same": "site"}]))
    assert made["alpha"][0] == Decimal("0.0004")
    assert made["gamma"][0] == Decimal("0.0001")
    assert made["beta"][0] is None


def test_an_offer_that_nothing_replaces_may_cost_anything() -> None:
    """Where no other offer will do, no price changes the plan."""
    made = found(asked({**X, "providers": ["alpha"]}))
    assert made["alpha"] == (None, "no plan has less there, were it a million times dearer")


@pytest.mark.slow
def test_quotients_are_rounded_away_from_today() -> None:
    """A third of a price rises to its ceiling, and falls to its floor, at 15 digits."""
    rows = [one | {"spec": {**one["spec"], "minCount": 300}} for one in asked(X).rows[:1]]
    market = [*rows, *asked(X).rows[1:2]]
    market[1] = market[1] | {"spec": {**market[1]["spec"], "pricePerUnit": Decimal("0.0005")}}
    made = found(asked(X, rows=market))
    assert made["alpha"][0] == Decimal("0.000166666666666667")
    assert made["beta"][0] == Decimal("0.0003")


def test_the_part_that_changes_first_decides_however_many_there_are() -> None:
    """Z leaves delta at $0.00005, the group leaves alpha at $0.0001: beta falls to the higher."""
    pair = [{"name": name, "size_gb": size, "security": "secure_cloud"} for name, size in SIZES]
    groups = [{"volumes": ["x", "y"], "same": "site"}]
    beside = {"provider": "alpha", "cloudId": "beside"}
    rows = [one | beside if one["provider"] == "beta" else one for one in asked(X).rows]
    for row in rows:
        row["dataCenter"] = f"{row['provider']}-1"
    volumes = [{"name": "z", "size_gb": 100}, *pair]
    made = asked(*volumes, rows=rows, groups=groups).evaluator
    clouds = [one["cloud_id"] for one in records(made.instance.pairs.offers)]
    answer = threshold(made, PriceParts(made), clouds.index("beside"), chosen=False)
    assert answer.usd_gb_hr == Fraction("0.0001")
    assert answer.then.startswith("x:")


SIZES = (("x", 100), ("y", 300))


def test_a_plan_that_is_not_the_cheapest_has_no_range() -> None:
    """Where another plan is cheaper already, nothing is said about prices."""
    made = asked(X).evaluator
    beta = made.instance.pairs.offers["provider"].tolist().index("beta")
    other = Evaluator(made.instance, {0: [beta]}, {})
    assert {one["then"] for one in records(prices(other, [beta]))} == {
        "another plan is cheaper, even at today's price"
    }


@pytest.mark.slow
@pytest.mark.parametrize("block", range(2))
def test_plans_change_at_their_thresholds_and_not_before(block: int) -> None:
    """Up to a threshold the enumerated optimum costs what the plan does; beyond it it does not."""
    looked = 0
    for seed in range(200 + block * 8, 208 + block * 8):
        made = case(seed)
        for o in range(len(made.keys)) if made is not None else ():
            if made is not None and made.keys[o][0] is not None:
                looked += _hold(seed, made, o)
    assert looked >= 30


def _hold(seed: int, made: Case, o: int) -> int:
    evaluator, today = made.evaluator, made.evaluator.instance.pairs.offers["usd_gb_hr"].tolist()[o]
    if today is None:
        return 0
    used = any(o in at for at in evaluator.chosen.values())
    found = threshold(evaluator, PriceParts(evaluator), o, chosen=used)
    provision = evaluator.instance.pairs.provision_gb
    gb = sum(int(provision[v, o]) * at.count(o) for v, at in evaluator.chosen.items())
    points = _points(found, Fraction(today), used=used)
    for price, is_same in points:
        shown = Fraction(Decimal(price.numerator) / Decimal(price.denominator))
        cost = Fraction(evaluator.usd_month) + gb * evaluator.hours * (shown - Fraction(today))
        best = made.best_at(made.keys[o], shown)
        assert (seed, o, price, best == cost) == (seed, o, price, is_same)
    return len(points)


def _points(found: Threshold, today: Fraction, *, used: bool) -> list[tuple[Fraction, bool]]:
    """Return prices to look at, and whether the plan is still the best there."""
    edge, hair = found.usd_gb_hr, Fraction(1, 10**14)
    if edge is None:
        return [(today * times, True) for times in ((3, 1000) if used else (Fraction(1, 2), hair))]
    inside, outside = edge * (1 - hair), edge * (1 + hair)
    if not used:
        inside, outside = outside, inside
    if inside < today if used else inside > today:
        return [(outside, False)]
    return [(outside, False), (inside, True), ((inside + today) / 2, True)]
