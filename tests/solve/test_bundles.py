"""Bundles: what groups keep together is decided as one, against enumeration."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from planner.solve.bundles import Bundles
from planner.solve.presolve import every_column
from tests.solve.hand import demanded, instance_of, row, volume


def bundles(seed: int) -> Bundles:
    """Return three volumes at one site and two that are free, at nine offers of three sites."""
    rng = random.Random(seed)
    rows = [row("p", "0.0001", str(n % 3), cloudId=f"c{n}") for n in range(9)]
    volumes = [
        volume(f"v{n}", spread="none", max_usd_gb_hr="0.0001", multinode=False) for n in range(5)
    ]
    groups = [
        {"volumes": ["v0", "v2"], "same": "site"},
        {"volumes": ["v2", "v4"], "same": "site"},
    ]
    instance = instance_of(demanded(*volumes, groups=groups), rows)
    columns = every_column(instance, instance.whole)
    kept = np.array([rng.random() < 0.5 for _ in range(len(columns))])
    return Bundles.of(instance, instance.whole, columns.take(kept))


@pytest.mark.parametrize("seed", range(20))
def test_the_least_weight_with_each_column_is_that_of_all_ways_to_take_it(seed: int) -> None:
    """And a column that no way to place its bundle has is not possible."""
    found = bundles(seed)
    columns, rng = found.columns, np.random.default_rng(seed)
    weight = rng.integers(0, 9, len(columns)).astype(float)
    least = found.at_best(weight)
    assert found.of_unit.tolist() == [0, 1, 0, 3, 0]
    for i in range(len(columns)):
        mine = np.flatnonzero(found.of_unit == found.of_unit[columns.unit[i]])
        options = [np.flatnonzero(columns.unit == k).tolist() for k in mine]
        ways = [
            way
            for way in itertools.product(*options)
            if i in way and len({int(columns.offer[j]) % 3 for j in way}) == 1
        ]
        assert found.possible[i] == bool(ways)
        if ways:
            assert least[i] == min(weight[list(way)].sum() for way in ways)


def test_what_groups_of_several_levels_connect_is_no_bundle() -> None:
    """One site with one and one country with another: no single place says where all can be."""
    rows = [row("p", "0.0001", str(n)) for n in range(3)]
    groups = [
        {"volumes": ["v0", "v1"], "same": "site"},
        {"volumes": ["v1", "v2"], "same": "country"},
    ]
    instance = instance_of(demanded(*(volume(f"v{n}") for n in range(3)), groups=groups), rows)
    columns = every_column(instance, instance.whole)
    assert Bundles.of(instance, instance.whole, columns).of_unit.tolist() == [0, 1, 2]
