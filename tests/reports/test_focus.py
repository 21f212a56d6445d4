"""FOCUS: the columns of the specification, and costs that can be summed."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import planner
from planner.reports.focus import COLUMNS
from tests.reports.test_months import row
from tests.reports.world import held, live, planned, report

TABLE = Path(__file__).parent.parent / "data" / "focus_columns.csv"
NOON = datetime(2026, 2, 11, 12, tzinfo=UTC)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
COSTS = ("BilledCost", "EffectiveCost", "ContractedCost", "ListCost")


def specification() -> dict[str, dict[str, str]]:
    """Return the specification's own table of columns."""
    lines = [one for one in TABLE.read_text().splitlines() if not one.startswith("#")]
    return {one["column"]: one for one in csv.DictReader(lines)}


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def month() -> str:
    """Return the file of an account: a disk that is billed, two at list price, one of no size."""
    account = held(
        live("disk-0001", "2026-02-01T00:00:00", usd_hr="0.02"),
        live("disk-0002", "2026-01-01T00:00:00", usd_hr="0.03", name="=1+1"),
        live("disk-0003", "2026-02-10T00:00:00", size=0, usd_hr="0.01"),
        bills=[row("disk-0001", "3.5", "02-01", "02-11"), row("disk-0009", "4", "02-02", "02-03")],
        read_at=NOON,
    )
    return planner.report(None, account, month="2026-02").to_focus()


def test_the_columns_are_the_specification_s() -> None:
    """All mandatory ones, none that it does not have, in its order; planner's own last, as x_."""
    table = specification()
    own = [name for name in COLUMNS if name.startswith("x_")]
    theirs = [name for name in COLUMNS if not name.startswith("x_")]
    assert (*theirs, *own) == COLUMNS
    assert theirs == [name for name in table if name in theirs]
    mandatory = {name for name, one in table.items() if one["feature_level"] == "Mandatory"}
    assert len(mandatory) == 21
    assert mandatory <= set(theirs) <= set(table)


@pytest.mark.parametrize(
    "text", [month(), report(planned()).to_focus_forecast()], ids=["month", "forecast"]
)
def test_every_cell_is_what_its_column_may_hold(text: str) -> None:
    """Decimals, times and JSON can be read; nulls stand only where they are allowed."""
    rows = rows_of(text)
    assert tuple(rows[0]) == COLUMNS
    for name, column in specification().items():
        for cell in (one[name] for one in rows if name in one):
            if not cell:
                assert column["allows_nulls"] == "yes", name
            elif column["data_type"] == "Decimal":
                assert Decimal(cell).is_finite()
                assert "E" not in cell
            elif column["data_type"] == "Date/Time":
                assert TIME.fullmatch(cell), name
            elif column["data_type"] == "JSON":
                assert isinstance(json.loads(cell), dict)
    for one in rows:
        start, end = one["ChargePeriodStart"], one["ChargePeriodEnd"]
        assert one["BillingPeriodStart"] <= start < end <= one["BillingPeriodEnd"]
        priced = (one["PricingQuantity"], one["PricingUnit"], one["SkuPriceId"])
        assert all(priced) or not any(priced)


def test_costs_can_be_summed() -> None:
    """3.5 and 4 are billed; 252 hours of 0.03 and 36 of 0.01 are list price."""
    rows = rows_of(month())
    found = {one["ResourceId"]: one for one in rows}
    assert {key: one["x_CostBasis"] for key, one in found.items()} == {
        "disk-0001": "billed",
        "disk-0002": "list price",
        "disk-0003": "list price",
        "disk-0009": "billed",
    }
    sums = {name: sum(Decimal(one[name]) for one in rows) for name in COSTS}
    assert sums["BilledCost"] == sums["EffectiveCost"] == Decimal("7.5") + Decimal("7.92")
    assert sums["ListCost"] == 252 * Decimal("0.05") + Decimal("0.36") + 4
    assert found["disk-0001"]["PricingQuantity"] == str(100 * 252)
    assert Decimal(found["disk-0001"]["ListUnitPrice"]) == Decimal("0.0002")
    assert found["disk-0002"]["ResourceName"] == "'=1+1"


def test_a_forecast_is_apart() -> None:
    """The rest of February of what is there and what is to be bought: 420 hours each."""
    account = held(live("disk-0001", "2026-01-01T00:00:00", usd_hr="0.02"), read_at=NOON)
    made = report(planned(), account)
    rows = rows_of(made.to_focus_forecast())
    assert {one["x_CostBasis"] for one in rows} == {"forecast"}
    assert sum(Decimal(one["BilledCost"]) for one in rows) == 420 * Decimal("0.09")
    tags: list[dict[str, Any]] = [json.loads(one["Tags"]) for one in rows if one["Tags"]]
    assert {"team": "one", "owner": "ann", "project": "lab", "volume": "a"} in tags
