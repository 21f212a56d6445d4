"""Amounts read as the array of all pairs that they stand for, which is never made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import planner
from planner.demand.model import Volume
from planner.demand.read import demand_from
from planner.requirements.volume import asks_alike, of_offers
from planner.solve.amounts import Amounts, Rules
from planner.solve.candidates import OfferRules, pair
from tests.benchmarks.beside import market
from tests.benchmarks.instances import Size, fleet, frames

RNG = np.random.default_rng(7)
SMALL = Amounts(
    RNG.integers(0, 99, (3, 4)), np.array([2, 0, 0, 1, 2]), np.array([3, 3, 0, 1, 2, 0])
)
KEYS = (
    2,
    (2, 3),
    (slice(None), 3),
    (3, slice(1, 4)),
    (3, [1, 5]),
    (slice(2, 4), [0, 1]),
    (np.array([1, 4, 4]), np.array([5, 0, 3])),
    [4, 1],
    (1, np.array([True, False, True, True, False, False])),
)


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_amounts_are_read_as_an_array_is(key: Any) -> None:
    assert np.array_equal(SMALL[key], np.asarray(SMALL)[key])


def test_amounts_change_as_an_array_does() -> None:
    dense = np.asarray(SMALL)
    assert SMALL.shape == dense.shape
    assert np.array_equal(SMALL.take([4, 0], [1, 2]), dense[np.ix_([4, 0], [1, 2])])
    same = SMALL.beside([7, 8])
    assert np.array_equal(same, np.hstack([dense, [[7, 8]] * 5]))
    assert np.array_equal(same.set_columns([6, 0], [1, 2])[:, [6, 0]], [[1, 2]] * 5)
    every = RNG.integers(0, 9, (5, 2))
    assert np.array_equal(SMALL.beside(every), np.hstack([dense, every]))
    for more in (SMALL, Amounts(dense[:2])):
        assert np.array_equal(SMALL.above(more), np.vstack([dense, more]))
    wide, other = same.take([1, 3]).beside([9]), np.asarray(same.beside([9]))
    assert np.array_equal(wide.above(wide), np.vstack([other[[1, 3]]] * 2))
    for key in ((3, 6), (3, slice(4, 9)), (slice(None), 7), ([0, 4], [8, 2]), [2, 0]):
        assert np.array_equal(same.beside([9])[key], other[key])


def test_offers_where_volumes_are_alike_take_no_row() -> None:
    """What is existing disks is one number for each, however many volumes there are."""
    wider = SMALL.beside(range(1000)).set_columns([2], [5])
    assert wider.distinct is SMALL.distinct
    assert (wider.shape, wider[3, 2], wider[4, 1000]) == ((5, 1006), 5, 994)
    assert np.array_equal(Amounts(np.empty((2, 0), np.int64)).beside([3, 4]), [[3, 4]] * 2)


def test_volumes_alike_are_held_against_the_offers_once(monkeypatch: pytest.MonkeyPatch) -> None:
    document = fleet(Size(20, 30))
    for entry in document["volumes"]:
        entry["count"] = 40
    offers, _ = frames(Size(20, 30))
    demand, asked, broken_rules = demand_from(document), [], OfferRules.broken_rules

    def counted(self: OfferRules, *args: Any, **named: Any) -> Any:
        asked.append(args)
        return broken_rules(self, *args, **named)

    monkeypatch.setattr(OfferRules, "broken_rules", counted)
    pairs = pair(demand, offers)
    assert len(pairs.volumes) == 800
    assert len(asked) <= 20
    for v in range(0, 800, 41):
        alone = pair(demand.model_copy(update={"volumes": demand.volumes[v : v + 1]}), offers)
        assert np.array_equal(pairs.broken[v], alone.broken[0])
        assert np.array_equal(pairs.provision_gb[v], alone.provision_gb[0])


def test_what_is_asked_of_offers_depends_on_nothing_else() -> None:
    others = {
        "stock": "High",
        "security": "secure_cloud",
        "multinode": True,
        "regions": ("eu_north",),
        "countries": ("NO",),
        "data_centers": ("OSL-1",),
        "providers": ("provider-1",),
        "max_usd_gb_hr": "0.0001",
        "max_disks": 2,
        "replicas": 2,
        "exclude": {"regions": ("eu_north",)},
        "spread": "region",
        "size_gb": 8,
        "headroom_percent": "5",
        "owner": "lab",
        "tags": {"a": "b"},
        "disks": ("disk-00001",),
        "growth": "5%/month",
        "name": "b",
    }
    assert others.keys() == Volume.model_fields.keys()
    base = {"name": "a", "size_gb": 5}
    two = base | {"replicas": 2}
    for first in (base, two):
        before = Volume.model_validate(first)
        for field, value in others.items():
            after = Volume.model_validate(first | {field: value})
            if asks_alike(before) == asks_alike(after):
                assert of_offers(before) == of_offers(after), field
    assert asks_alike(before) == asks_alike(
        Volume.model_validate(two | {"name": "c", "owner": "x"})
    )


@pytest.mark.parametrize("seed", range(3))
def test_rules_that_repeat_read_as_an_array(seed: int) -> None:
    """Of many pairs only the different rows are kept; whoever reads or compares sees all."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 4, 9)
    rules = Rules(rng.integers(0, 3, (4, 7)).astype(np.uint32), rows)
    whole = rules.copy()
    bit, offers = np.uint32(2), rng.integers(0, 2, 7).astype(np.uint32)
    assert (rules.shape, rules.size) == (whole.shape, whole.size)
    keys: list[Any] = [
        3,
        (3, 4),
        (slice(2, 5), slice(None)),
        (slice(None), [1, 1, 6]),
        (slice(None), 2),
    ]
    for key in [*keys, [8, 0], ([1, 2], slice(3)), ([1, 2], [3, 4]), np.arange(9) > 3]:
        np.testing.assert_array_equal(rules[key], whole[key])
    for mine, theirs in (
        (rules == 0, whole == 0),
        (rules != 0, whole != 0),
        (rules & bit, whole & bit),
        (rules | offers, whole | offers),
        (np.vstack([rules, rules]), np.vstack([whole, whole])),
        (np.where(rules == 0, rules, bit), np.where(whole == 0, whole, bit)),
    ):
        np.testing.assert_array_equal(mine, theirs)


def test_a_large_market_has_the_same_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether rows that repeat are kept once or not decides nothing."""
    demand, offers = demand_from(fleet(Size(30, 30))), market(30)
    small = planner.plan(demand, offers)
    monkeypatch.setattr("planner.solve.amounts._LARGE", 0)
    large = planner.plan(demand, offers)
    assert isinstance(large.pairs.broken, Rules)
    assert (large.plan_id, large.summary()) == (small.plan_id, small.summary())
    np.testing.assert_array_equal(large.pairs.broken, small.pairs.broken)
