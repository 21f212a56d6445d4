"""Plans beside existing disks: baselines on one basis, and what moving the disks would save."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest

from planner.analysis.baselines import baselines
from planner.demand.read import demand_from
from planner.errors import DemandError
from planner.market.market import addressable
from planner.market.offers import offers_frame
from planner.solve.existing import keep
from planner.solve.moving import moving
from planner.solve.optimum import optimum
from planner.solve.problem import Instance
from tests.solve import instances
from tests.solve.live_disks import disk, frame, plan
from tests.solve.test_existing import account_of

NAMED = {"name": "a", "disks": ["disk-0001"]}


def test_baselines_keep_the_existing_disks() -> None:
    """0.0371 an hour is kept though 0.01 is sold: every simpler plan keeps it too."""
    made = plan([NAMED], disk("disk-0001", usd_hr="0.0371"))
    assert [one.usd_month for one in made.baselines()] == [Decimal("27.083")] * 3
    text = "\n".join(made.summary().notes)
    assert "Compared with simpler plans; each keeps the existing disks:" in text
    assert "Cheapest offer per volume: $27.08/month (same as this plan)" in text
    assert " less)" not in text


def test_what_moving_saves_and_costs_is_said() -> None:
    """0.0371 - 0.01 = 0.0271 * 730 = 19.783 a month; three days of 0.0371 are 2.6712 once."""
    made = plan([NAMED], disk("disk-0001", usd_hr="0.0371"))
    found = made.moving()
    assert found is not None
    assert found.disk_ids == ("disk-0001",)
    assert (found.saves_usd_month, found.once_usd) == (Decimal("19.783"), Decimal("2.6712"))
    (line,) = [note for note in made.summary().notes if note.startswith("Moving")]
    assert line == (
        "Moving existing disks (disk-000) would save $19.78/month, and costs $2.67 once (3 days "
        "of both disks, transfer at no cost assumed), paid back in 4.1 days; `policy.move: "
        "{payback: 60 days}` lets it happen"
    )


def test_nothing_is_said_where_moving_saves_nothing() -> None:
    """A disk at the market's price or below stays, and so does a plan without existing disks."""
    for made in (
        plan([NAMED], disk("disk-0001", usd_hr="0.01")),
        plan([{"name": "a"}], disk("disk-0001")),
    ):
        assert made.moving() is None
        assert not [note for note in made.summary().notes if note.startswith("Moving")]


def test_only_the_disks_that_move_are_paid_for() -> None:
    """One of two is dear: 0.05 - 0.02 = 0.03 an hour at beta, for three days of 0.05."""
    volume = {"name": "a", "replicas": 2, "disks": ["disk-0001", "disk-0002"]}
    made = plan(
        [volume],
        disk("disk-0001", usd_hr="0.001"),
        disk("disk-0002", provider="gamma", usd_hr="0.05"),
    )
    found = made.moving()
    assert found is not None
    assert found.disk_ids == ("disk-0002",)
    assert (found.saves_usd_month, found.once_usd) == (Decimal("21.90"), Decimal("3.600"))


def test_a_disk_at_the_price_of_the_market_stays() -> None:
    """Moving it would be as cheap, for nothing: only the dear one is named, and paid for."""
    made = plan(
        [NAMED, {"name": "b", "disks": ["disk-0002"]}],
        disk("disk-0001", usd_hr="0.0371"),
        disk("disk-0002", usd_hr="0.01"),
    )
    found = made.moving()
    assert found is not None
    assert (found.disk_ids, found.once_usd) == (("disk-0001",), Decimal("2.6712"))


def test_one_disk_never_stands_in_for_two_copies() -> None:
    """Where copies may share a place, a cheap disk is still only one of them."""
    volume = {"name": "a", "replicas": 2, "spread": "none", "disks": ["disk-0001", "disk-0002"]}
    made = plan([volume], disk("disk-0001", usd_hr="0.001"), disk("disk-0002", usd_hr="0.002"))
    assert made.moving() is None


@pytest.mark.slow
def test_a_simpler_plan_that_breaks_an_owners_budget_says_so() -> None:
    """Nothing beside a proven plan is only "less"."""
    volumes: list[dict[str, Any]] = [
        {"name": "a", "owner": "ada"},
        {"name": "b", "size_gb": 300},
    ]
    group = {"volumes": ["a", "b"], "different": "provider"}
    made = plan(volumes, groups=[group], policy={"budgets": {"ada": "7.30"}})
    less = [note for note in made.summary().notes if " less" in note]
    assert all("over a budget" in note for note in less)


@pytest.mark.slow
def test_no_baseline_is_cheaper_than_the_plan_beside_existing_disks() -> None:
    """On random instances without budgets none costs less, and moving saves what is left out."""
    compared = saved = 0
    for seed in range(60):
        rng = random.Random(seed)
        rows, demanded = instances.coupled_market(rng), instances.coupled_demand(rng)
        demanded.pop("workloads", None)
        for word in ("budgets", "budget_usd_month"):
            demanded["policy"].pop(word, None)
        disks, recorded = account_of(rng, demanded, rows)
        for one in disks:
            one["priceHr"] = Decimal(rng.choice(["0.0001", "0.0023", "0.02"]))
        demand, offers = demand_from(demanded), addressable(offers_frame(rows), exact=True)
        kept = keep(demand, frame(*disks), recorded, offers).kept
        instance = Instance.of(demand, offers, None, kept)
        found = optimum(instance)
        if found is None or not kept:
            continue
        compared += 1
        for baseline in baselines(instance):
            if baseline.usd_month is not None:
                assert baseline.usd_month >= found.usd_month, (seed, baseline)
        move = moving(instance, found.usd_month)
        free = optimum(Instance.of(demand, offers, None))
        if free is not None and free.usd_month < found.usd_month:
            assert move is not None, seed
            assert move.saves_usd_month >= found.usd_month - free.usd_month, seed
            saved += 1
    assert compared >= 8
    assert saved >= 4


BOUGHT = {("a", 1): ("disk-0001",)}


def test_a_move_that_pays_for_itself_in_time_is_planned() -> None:
    """2.6712 once are back after 4.1 days of 19.783 a month: within 5 days, not within 4."""
    for days, action in ((5, "replace"), (4, "keep")):
        made = plan(
            [{"name": "a"}],
            disk("disk-0001", usd_hr="0.0371"),
            recorded=BOUGHT,
            policy={"move": {"payback": f"{days} days"}},
        )
        (placement,) = made.placements
        assert placement.action == action
        assert placement.replaces == (("disk-0001",) if action == "replace" else ())
        assert made.violations() == ()


def test_overlap_and_egress_are_what_a_move_costs() -> None:
    """24 hours of 0.0371 and 100 GB at 0.02: 2.8904 once, 4.45 days."""
    move = {"overlap": "1 day", "egress_usd_gb": "0.02"}
    for payback, action in (("5 days", "replace"), ("4 days", "keep")):
        policy = {"move": {**move, "payback": payback}}
        disks = disk("disk-0001", usd_hr="0.0371")
        made = plan([{"name": "a"}], disks, recorded=BOUGHT, policy=policy)
        assert [placement.action for placement in made.placements] == [action]


def test_a_disk_that_the_demand_names_never_moves() -> None:
    """Naming it says that it is the volume: there is advice, and no move."""
    policy = {"move": {"payback": "1 year"}}
    with pytest.raises(DemandError):
        plan([NAMED], disk("disk-0001", usd_hr="0.0371"), policy=policy)
    policy = {"move": {"payback": "300 days"}}
    made = plan([NAMED], disk("disk-0001", usd_hr="0.0371"), policy=policy)
    assert [placement.action for placement in made.placements] == ["keep"]
    assert made.moving() is not None


def test_each_move_pays_for_itself() -> None:
    """A saving of one disk does not pay for the slow move of another: 0.011 to 0.01 takes long."""
    made = plan(
        [{"name": "a"}, {"name": "b"}],
        disk("disk-0001", usd_hr="0.5"),
        disk("disk-0002", usd_hr="0.011"),
        recorded={("a", 1): ("disk-0001",), ("b", 1): ("disk-0002",)},
        policy={"move": {"payback": "10 days"}},
    )
    assert [placement.action for placement in made.placements] == ["replace", "keep"]
    assert made.violations() == ()
    assert any("disk-0001 costs more than moving" in warning for warning in made.warnings)


@pytest.mark.slow
def test_moves_pay_wherever_brute_force_says_so() -> None:
    """Of random disks of single volumes exactly those move that save their cost within 60 days."""
    for seed in range(40):
        rng = random.Random(seed)
        names = [f"v{n}" for n in range(rng.randint(1, 4))]
        prices = [round(rng.uniform(0.009, 0.014), 5) for _ in names]
        rows = [disk(f"disk-{n:04}", usd_hr=str(price)) for n, price in enumerate(prices)]
        made = plan(
            [{"name": name} for name in names],
            *rows,
            recorded={(name, 1): (f"disk-{n:04}",) for n, name in enumerate(names)},
            policy={"move": {"payback": "60 days"}},
        )
        pays = [
            (Decimal(str(price)) - Decimal("0.01")) * 60 * 24 >= Decimal(str(price)) * 72
            and price > 0.01
            for price in prices
        ]
        assert [each.action == "replace" for each in made.placements] == pays
