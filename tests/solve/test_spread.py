"""Nested spread: copies in two providers, countries or regions are in two data centres too."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from planner.analysis.baselines import cheapest_in_turn
from planner.analysis.reasons import first_conflict
from planner.errors import Infeasible
from planner.solve.bound import SeparableBound
from planner.solve.optimise import optimise
from planner.solve.optimum import optimum
from tests.solve import exact
from tests.solve.hand import Row, demanded, instance_of, providers, row, violations, volume

RESOLD = [
    row("alpha", "0.0001", dataCenter="central-1"),
    row("beta", "0.00011", dataCenter="central-1"),
    row("alpha", "0.00013", dataCenter="west-1"),
    row("gamma", "0.00015", dataCenter="north-1"),
]
"""Alpha and beta sell one building. Cheapest apart: beta there and alpha in the west."""
TWO_BUILDINGS = demanded(volume("x", 100, replicas=2, spread="provider"))


def test_copies_over_providers_never_share_a_building() -> None:
    """0.0001 and 0.00011 are one data centre; 0.00024 in two buildings is the least."""
    instance = instance_of(TWO_BUILDINGS, RESOLD)
    assert SeparableBound(instance.pairs).cost(0) == Decimal("0.024")
    found = optimum(instance)
    assert found is not None
    assert found.usd_month == Decimal("17.52")
    assert providers(instance, found.chosen) == [["alpha", "beta"]]
    assert violations(instance, found.chosen, {}) == ()
    assert exact.best(TWO_BUILDINGS, RESOLD) == (Fraction("17.52"), 0)


def test_greedy_takes_the_next_building() -> None:
    """The greedy user starts at the cheapest and goes to another provider and building."""
    instance = instance_of({**TWO_BUILDINGS, "policy": {"max_sites": 2}}, RESOLD)
    chosen = cheapest_in_turn(instance)
    assert isinstance(chosen, dict)
    assert providers(instance, chosen) == [["alpha", "gamma"]]


def test_the_check_refuses_two_copies_in_one_building() -> None:
    """Two providers do not make two places of one data centre."""
    instance = instance_of(TWO_BUILDINGS, RESOLD)
    at = {(provider, data_center): o for o, (provider, data_center, _) in enumerate(instance.sites)}
    shared = [at["alpha", "central-1"], at["beta", "central-1"]]
    assert violations(instance, {0: shared}, {}) == ("x: two replicas share a data_center",)


@pytest.mark.parametrize(
    ("level", "other"),
    [
        ("provider", {}),
        ("country", {"country": "NO"}),
        ("region", {"region": "eu_north"}),
    ],
)
def test_one_building_listed_in_two_places_is_infeasible(level: str, other: Row) -> None:
    """Whatever the level, equal names of data centres are one building, and it is said."""
    rows = [RESOLD[0], {**RESOLD[1], **other}]
    document = demanded(volume("x", 100, replicas=2, spread=level))
    instance = instance_of(document, rows)
    said = "and in 1 data centre, which copies must not share either"
    assert said in first_conflict(instance)
    with pytest.raises(Infeasible):
        optimise(instance.demand, instance.pairs.offers)
    assert exact.best(document, rows) is None


def test_sites_of_one_building_still_do_for_a_spread_over_sites() -> None:
    """A site is a provider's place in a building, and lies below the data centre."""
    document = demanded(volume("x", 100, replicas=2, spread="site"))
    found = optimum(instance_of(document, RESOLD))
    assert found is not None
    assert found.usd_month == Decimal("15.33")


def test_unnamed_data_centers_are_one_each() -> None:
    """Where two providers name no data centre, nothing says that it is the same."""
    rows = [row("alpha", "0.0001", dataCenter=None), row("beta", "0.0001", dataCenter=None)]
    found = optimum(instance_of(TWO_BUILDINGS, rows))
    assert found is not None
    assert found.usd_month == Decimal("14.60")


@pytest.mark.slow
@pytest.mark.sweep
@pytest.mark.parametrize("full", [False, True])
def test_the_program_keeps_fleets_apart(full: bool) -> None:
    """Under a provider share a solver decides; enumeration finds the same cost."""
    volumes = [volume(f"v{n}", 50 + n, replicas=2, spread="provider") for n in range(3)]
    document = demanded(*volumes, policy={"max_provider_share": 0.4})
    instance = instance_of(document, RESOLD)
    found = optimum(instance, full=full)
    assert found is not None
    expected = exact.best(document, RESOLD)
    assert expected is not None
    assert Fraction(found.usd_month) == expected[0]
    assert violations(instance, found.chosen, {}) == ()
