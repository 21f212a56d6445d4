"""Numbers out of proportion are said, once, and nothing is dropped for them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

import planner
from planner.demand.read import demand_from
from planner.market.offers import offers_frame
from planner.plans.advice import price_warnings
from planner.schema import records
from tests.market.rows import disk


def listed(*prices: str, **fields: Any) -> list[dict[str, Any]]:
    return [
        disk(dataCenter=f"A-{at}", spec={"pricePerUnit": Decimal(price)}, **fields)
        for at, price in enumerate(prices)
    ]


def warnings(rows: list[dict[str, Any]], volume: dict[str, Any], **policy: Any) -> list[str]:
    document = {
        "version": 1,
        "volumes": [{"name": "x", "size_gb": 100, **volume}],
        "policy": policy,
    }
    return list(planner.plan(demand_from(document), offers_frame(rows)).warnings)


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        (("0.0001", "0.0002", "0.001"), []),
        (("0.0001", "0.0001", "0.001"), []),
        (("0.0001", "0.0001", "0.0010001"), ["10 times above the market's median ($0.0001/GB/h)"]),
        (("0.0001", "0.0001", "0.00001"), []),
        (("0.0001", "0.0001", "0.000009"), ["10 times below the market's median"]),
        (("0.0001", "0.0001", "0.0001", "0.07", "0.000001"), ["10 times below", "10 times above"]),
        (("0.0001", "7"), []),
        ((), []),
    ],
)
def test_prices_far_from_the_median(prices: tuple[str, ...], said: list[str]) -> None:
    """More than ten times either way is said with place and price; two prices cannot tell."""
    found = list(price_warnings(records(offers_frame(listed(*prices)))))
    assert len(found) == len(said)
    assert all(word in text for word, text in zip(said, found, strict=True))
    assert all("alpha A-" in text and "check it with the provider" in text for text in found)


def test_what_cannot_be_bought_counts_for_nothing() -> None:
    """Rows that are unavailable or unpriced are neither odd nor part of the median."""
    rows = listed("0.0001", "0.0001", "0.0001")
    gone = listed("9", "9", "9", "9", stockStatus="Unavailable", provider="beta")
    assert (
        list(price_warnings(records(offers_frame([*rows, *gone, disk(spec={"step": -1})])))) == []
    )


def test_an_odd_price_is_still_bought() -> None:
    """The cheapest offer is the plan, however odd: it is said, not dropped."""
    rows = listed("0.0001", "0.0001", "0.000001")
    (said,) = warnings(rows, {})
    assert "alpha A-2 (US) $0.000001/GB/h" in said


def test_a_limit_above_every_offer() -> None:
    """A monthly price in an hourly field never binds, and is asked about."""
    rows = listed("0.0001", "0.0002", "0.0003")
    (said,) = warnings(rows, {"max_usd_gb_hr": "0.07"})
    assert said == ("max_usd_gb_hr 0.07 is above every offer ($0.0003); is it a monthly price? (x)")
    assert warnings(rows, {"max_usd_gb_hr": "0.003"}) == []  # a cap with room is no mistake


def test_a_budget_that_nothing_could_reach() -> None:
    """100 GB cost at most $21.90 a month here: ten times that is still a budget, more is not."""
    rows = listed("0.0001", "0.0002", "0.0003")
    assert warnings(rows, {}, budget_usd_month=219) == []
    (said,) = warnings(rows, {}, budget_usd_month="219.01")
    assert said == (
        "the budget, $219.01/month, is more than 10 times what the dearest offers would cost "
        "($21.90/month); is it for a year?"
    )
    said, *more = warnings(rows, {"owner": "ada", "replicas": 2}, budgets={"ada": 439})
    assert said.startswith("the budget of ada, $439.00/month")
    assert "($43.80/month)" in said
    assert more == []


def test_a_disk_far_dearer_than_its_size_is_worth() -> None:
    """A minimum size of 9 TB makes 10 GB cost what 9 TB cost; the rest of the market is not so."""
    large = disk(region="eu_north", dataCenter="N", spec={"minCount": 9000, "maxCount": 9999})
    rows = [*listed("0.0001", "0.0001", "0.0001"), large]
    (said,) = warnings(rows, {"size_gb": 10, "regions": ["eu_north"]})
    assert said.startswith(
        "x: its disk costs $657.00/month, more than 10 times the market's median"
    )
    assert "($0.73)" in said
    assert warnings(rows, {"size_gb": 10}) == []
