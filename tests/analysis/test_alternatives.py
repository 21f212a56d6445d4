"""The best other plans: all of them, in order, once each."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import prod

import pytest

from planner.analysis.alternatives import alternatives, placements_frame, to_frame
from tests.analysis.questions import Case, case, key_of
from tests.analysis.test_explain import asked
from tests.solve import brute, exact


def test_by_hand_the_next_offers_in_order() -> None:
    """One volume on a market of three: two other plans, and then there are no more."""
    made = asked({"name": "x", "size_gb": 100, "security": "secure_cloud"}).evaluator
    found = alternatives(made, 5)
    frame = to_frame(made, found)
    assert frame["rank"].tolist() == [1, 2]
    assert frame["extra_usd_month"].map(str).tolist() == ["7.3000", "21.9000"]
    assert frame["changes"][0].startswith("x: alpha alpha-1 (US)")
    assert placements_frame(made.instance, found)["provider"].tolist() == ["beta", "gamma"]


@pytest.mark.slow
@pytest.mark.parametrize("block", range(2))
def test_the_k_best_equal_enumeration(block: int) -> None:
    """Their costs are those of the cheapest plans there are, this one left out, none twice."""
    compared = 0
    for seed in range(300 + block * 16, 316 + block * 16):
        made = case(seed)
        if made is None:
            continue
        options = exact.options_of(made.demand, brute.merge(made.rows))
        if prod(map(len, options)) > 1500:
            continue
        expected = _every_cost(made, options)
        found = alternatives(made.evaluator, 9)
        assert (seed, [Fraction(one.usd_month) for one in found]) == (seed, expected[1:10])
        sets = {tuple(map(frozenset, one.chosen.values())) for one in found}
        assert len(sets) == len(found)
        assert tuple(map(frozenset, made.evaluator.chosen.values())) not in sets
        compared += 1
    assert compared >= 3


def _every_cost(made: Case, options: list[list[exact.Option]]) -> list[Fraction]:
    """Return the cost of the best plan of every choice of sets of offers, in order."""
    volumes, costs = made.demand["volumes"], dict[tuple[frozenset[object], ...], Fraction]()
    rentals = exact.rentals(made.demand, made.gpus, made.nodes)
    for chosen in product(*options):
        if not exact.holds(made.demand, chosen):
            continue
        placed = list(zip(volumes, chosen, strict=True))
        for gpus in rentals:  # the cheapest first
            if all(exact.serves(made.demand, volume, one, gpus) for volume, one in placed):
                parts = [one.usd_month for one in chosen] + [gpu.usd_month for gpu in gpus]
                usd = sum(parts, Fraction(0))
                sets = tuple(frozenset(map(key_of, one.offers)) for one in chosen)
                costs[sets] = min(usd, costs.get(sets, usd))
                break
    return sorted(costs.values())
