"""Growth, horizon and moves in a demand."""

from __future__ import annotations

import io
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.demand.growth import grown, span_hours
from planner.demand.model import Demand, Policy, Volume
from planner.demand.read import check, normalised, validate
from planner.errors import DemandError


def _file(**policy: Any) -> dict[str, Any]:
    volume = {"name": "corpus", "size": "4 TB", "growth": "10%/month"}
    return {"version": 1, "volumes": [volume], "policy": policy}


def _demand(document: dict[str, Any]) -> Demand:
    values, problems = check(document)
    assert not problems
    assert values is not None
    return normalised(values, "demo")


@pytest.mark.slow
@given(
    base=st.integers(1, 10**6),
    percent=st.decimals(0, 100, places=3),
    gb=st.decimals(0, 1000, places=3),
    month=st.integers(0, 24),
)
def test_what_a_volume_holds_is_exact(base: int, percent: Any, gb: Any, month: int) -> None:
    """Compound for a percentage, linear for an amount, rounded up to whole GB once."""
    rate = (100 + Fraction(percent)) / 100
    assert grown(base, f"{percent}%/month", month) == ceil(base * rate ** (month + 1))
    assert grown(base, f"{gb} GB/month", month) == ceil(base + Fraction(gb) * (month + 1))
    assert grown(base, None, month) == base


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("10%/month", "10%/month"),
        (" 2.50 % per month", "2.5%/month"),
        ("0.5 TB/month", "500 GB/month"),
        ("500 MB a month", "0.5 GB/month"),
        ("1 GiB/month", "1.073741824 GB/month"),
    ],
)
def test_growth_has_one_form(written: str, canonical: str) -> None:
    """However it is written, the demand, and so the plan id, is the same; and read back equal."""
    demand = _demand(
        {**_file(horizon=12), "volumes": [{**_file()["volumes"][0], "growth": written}]}
    )
    assert demand.volumes[0].growth == canonical
    assert demand.policy.horizon == "12 months"
    assert Demand.from_document(demand.to_document()) == demand


@pytest.mark.parametrize(
    ("field", "value", "advice"),
    [
        ("growth", "10%", "write '10%/month'"),
        ("growth", 10, "growth such as '10%/month'"),
        ("growth", "lots/month", "is not a size"),
        ("growth", "2000%/month", "at most 1000%/month"),
    ],
)
def test_a_growth_without_sense_is_refused(field: str, value: object, advice: str) -> None:
    """The message says what to write."""
    document = _file(horizon="12 months")
    document["volumes"][0][field] = value
    (path, message), *_ = check(document)[1]
    assert path == ("volumes", 0, field)
    assert advice in message


@pytest.mark.parametrize(
    ("policy", "field", "advice"),
    [
        ({"horizon": "0 months"}, ("horizon",), "1 to 120 whole months"),
        ({"horizon": "3 days"}, ("horizon",), "such as '12 months'"),
        ({"horizon": 12, "move": {"payback": "60"}}, ("move", "payback"), "such as '3 days'"),
        ({"horizon": 12, "move": {"overlap": "2 years"}}, ("move", "overlap"), "such as '3 days'"),
        ({"horizon": 12, "move": {"egress_usd_gb": -1}}, ("move", "egress_usd_gb"), "at least 0"),
    ],
)
def test_a_policy_without_sense_is_refused(
    policy: dict[str, Any], field: tuple[str, ...], advice: str
) -> None:
    """Each at its field."""
    (path, message), *_ = check(_file(**policy))[1]
    assert path == ("policy", *field)
    assert advice in message


def test_growth_without_a_horizon_is_an_error_that_says_so() -> None:
    """At the field that grows, in the file and in Python."""
    ((path, message),) = check(_file())[1]
    assert path == ("volumes", 0, "growth")
    assert "write how far ahead to plan: `policy: {horizon: 12 months}`" in message
    volume = Volume(name="corpus", size_gb=1, growth="1%/month")
    with pytest.raises(ValueError, match="growth needs a horizon"):
        Demand(project="demo", volumes=(volume,))
    document = Demand(project="demo", volumes=(volume,), policy=Policy(horizon=1)).to_document()
    with pytest.raises(DemandError, match="growth needs a horizon"):
        Demand.from_document({**document, "policy": {}})


def test_growth_beyond_every_disk_is_refused() -> None:
    """Doubling every month for two years is a mistake."""
    volume = Volume(name="corpus", size_gb=10**6, growth="100%/month")
    with pytest.raises(ValueError, match=r"at most 1,000,000,000 GB are planned"):
        Demand(project="demo", volumes=(volume,), policy=Policy(horizon="2 years"))
    text = "version: 1\npolicy: {horizon: 2 years}\nvolumes:\n- {name: a, size: 1 TB}\n"
    text += "- {name: b, size: 1 PB, growth: 100%/month, count: 2}\n"
    (problem,) = validate(io.StringIO(text))
    assert (problem.line, problem.field) == (5, "volumes[1].growth")


def test_what_moving_costs_has_defaults() -> None:
    """Three days of both disks, no price for the copy, and no move for a better price."""
    move = Policy().moving
    assert (move.overlap_hours, move.egress_usd_gb) == (Decimal(72), Decimal(0))
    assert move.payback_hours is None
    policy = _demand(_file(horizon=6, move={"payback": "2 weeks", "overlap": "36 hours"})).policy
    assert (policy.moving.payback, policy.moving.payback_hours) == ("14 days", Decimal(336))
    assert span_hours(policy.moving.overlap) == 36
    assert policy.months == 6


def test_a_demand_that_does_not_grow_is_written_as_before() -> None:
    """Its digest, and so its plan id, is that of a planner without growth."""
    document = Demand(project="demo", volumes=(Volume(name="corpus", size_gb=1),)).to_document()
    assert "growth" not in document["volumes"][0]
    assert document["policy"].keys().isdisjoint({"horizon", "move"})


def test_a_demand_in_a_month_grows_no_more() -> None:
    """It asks for what is held then."""
    demand = _demand(_file(horizon=3))
    assert demand.grows
    assert [demand.in_month(t).volumes[0].size_gb for t in range(3)] == [4400, 4840, 5324]
    assert not demand.in_month(2).grows
