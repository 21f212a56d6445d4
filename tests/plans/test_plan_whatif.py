"""What if: a plan asked about changes, in one call that leaves it as it is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import pytest
from pandas.testing import assert_frame_equal

from planner import Plan, sweep
from planner.analysis.points import SWEEP
from planner.errors import InputError
from planner.plans.sharing import by_disk
from planner.schema import records
from tests.shipped_plans import finetune, research
from tests.solve.live_disks import disk, plan

if TYPE_CHECKING:
    from pathlib import Path

A: dict[str, Any] = {"name": "a"}
B: dict[str, Any] = {"name": "b"}
NAMED: dict[str, Any] = {"name": "a", "disks": ["disk-0001"]}


@pytest.fixture(scope="module")
def joint() -> Plan:
    return finetune()


def kept() -> Plan:
    """Return a plan of 14.60 USD a month for a named disk and 7.30 for one that was bought."""
    recorded = {("b", 1): ("disk-0002",)}
    live = [disk("disk-0001"), disk("disk-0002", usd_hr="0.01", provider="beta")]
    return plan([NAMED, B], *live, recorded=recorded)


def slack() -> Plan:
    return research(cost_slack=Decimal(5))


@pytest.mark.sweep
@pytest.mark.parametrize("made", [research, finetune, kept, slack])
def test_with_nothing_changed_it_is_the_plan(made: Any) -> None:
    """One row with the plan's own totals, to the last digit, and nothing extra."""
    asked = made()
    (row,) = records(asked.what_if(exact=True))
    totals = asked.exact_totals
    assert (row["usd_hr"], row["usd_month"]) == (totals["usd_hr"], totals["usd_month"])
    assert (row["extra_usd_month"], row["status"]) == (Decimal(0), asked.solver.status)
    assert row["gb"] == sum(one.provision_gb for one in asked.placements)
    disks = by_disk(asked.placements)
    assert row["disks"] == sum(len(members[0].disk_sizes_gb) for members in disks)


@pytest.mark.slow
def test_extra_is_the_exact_difference() -> None:
    """7.30 at alpha; a copy at beta is 14.60 more, or half as much again; for four no place is."""
    made = plan([A])
    frame = made.what_if({"price_factor.beta": [1, "1.5"]}, replicas=[1, 2, 4], exact=True)
    assert [*frame.columns] == [
        "price_factor.beta",
        "replicas",
        *(column.name for column in SWEEP[:4]),
        "extra_usd_month",
        *(column.name for column in SWEEP[4:]),
    ]
    told = [None if usd is None else str(usd) for usd in frame["extra_usd_month"]]
    assert told == ["0", "14.6", None, "0", "21.9", None]
    assert str(frame["extra_usd_month"].dtype) == "object"


def test_what_saves_is_negative() -> None:
    """Half the price: 3.65 less than 7.30."""
    assert str(plan([A]).what_if(price_factor="0.5", exact=True)["extra_usd_month"][0]) == "-3.65"


@pytest.mark.slow
def test_one_value_needs_no_list(joint: Plan) -> None:
    """A number, a text, null; a list is a list of values, and one of lists has places in each."""
    assert len(joint.what_if(max_sites=3, exact=True)) == 1
    assert len(joint.what_if(max_sites=None, spread="site", exact=True)) == 1
    assert [*joint.what_if(regions=["canada", "eu_north"], exact=True)["regions"]] == [
        "canada",
        "eu_north",
    ]
    both = joint.what_if(regions=[["united_states", "eu_north"]], exact=True)
    assert [*both["regions"]] == [("united_states", "eu_north")]


@pytest.mark.slow
def test_it_is_a_sweep_of_what_the_plan_was_made_of(joint: Plan) -> None:
    """The same rows as a sweep of demand and markets, by any executor."""
    grid = {"max_sites": [1, 2, None], "gpu_price_factor": [1, "1.2"]}
    expected = sweep(joint.demand, joint.market.offers, grid, joint.market.gpus, exact=True)
    with ThreadPoolExecutor(2) as threads:
        frame = joint.what_if(grid, executor=threads, exact=True)
    assert_frame_equal(frame.drop(columns="extra_usd_month"), expected, check_exact=True)


@pytest.mark.slow
def test_the_plan_stays_as_it_is(joint: Plan, tmp_path: Path) -> None:
    """Not a byte of its document is another one afterwards; and one from a file answers alike."""
    before = joint.to_json()
    frame = joint.what_if(replicas=[1, 2], exact=True)
    assert joint.to_json() == before
    joint.save(tmp_path / "plan.json")
    loaded = Plan.load(tmp_path / "plan.json")
    assert_frame_equal(loaded.what_if(replicas=[1, 2], exact=True), frame, check_exact=True)


@pytest.mark.slow
def test_kept_disks_stay_and_named_ones_may_change() -> None:
    """One that outgrows its disk is bought anew; one that names another, or none, loses its own."""
    made = kept()
    frame = made.what_if({"a.size": ["100 GB", "101 GB"], "price_factor": [1, 10]}, exact=True)
    assert [str(usd) for usd in frame["usd_month"]] == [
        "21.9",  # 0.02 and 0.01 an hour, both kept
        "21.9",
        "14.673",  # 101 GB at 0.0001 and 0.01 kept
        "81.03",  # 101 GB at 0.001 and 0.01 kept
    ]
    named = made.what_if({"a.disks": [None, "disk-0001"]}, exact=True)
    assert [str(usd) for usd in named["usd_month"]] == ["14.6", "21.9"]
    assert made.what_if({"b.replicas": 2}, exact=True)["disks"][0] == 3


def test_hours_of_the_month_are_those_of_the_point() -> None:
    """0.01 an hour in months of 672, 730 and 744 hours, against 7.30."""
    frame = plan([A]).what_if(hours_per_month=[672, None, 744], exact=True)
    assert [str(usd) for usd in frame["usd_month"]] == ["6.72", "7.3", "7.44"]
    assert [str(usd) for usd in frame["extra_usd_month"]] == ["-0.58", "0", "0.14"]


@pytest.mark.slow
def test_what_is_wrong_is_told(joint: Plan) -> None:
    """Said twice, misspelt, or what the plan has nothing of."""
    with pytest.raises(InputError, match="`max_sites` is in the grid and among the changes"):
        joint.what_if({"max_sites": [1]}, max_sites=[2], exact=True)
    with pytest.raises(InputError, match="a grid is a mapping of what is changed"):
        joint.what_if(cast("Any", [("max_sites", 2)]), exact=True)
    with pytest.raises(InputError, match="unknown setting `max_site`") as caught:
        joint.what_if(max_site=2, exact=True)
    assert caught.value.hint == "did you mean `max_sites`?"
    with pytest.raises(InputError, match="there are no GPU offers to change the price of"):
        plan([A]).what_if(gpu_price_factor=2, exact=True)
    with pytest.raises(InputError, match="the account's disks are not given"):
        research().what_if({"cache.disks": ["disk-0001"]}, exact=True)
