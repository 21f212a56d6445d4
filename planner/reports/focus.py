"""FOCUS: what disks cost as rows of the FinOps Open Cost and Usage Specification.

A row is one disk (of a shared disk, one volume's part) in one calendar month, so that every cost
column can be summed. What is forecast is never among them: it has rows of its own.

Source: the column table of the specification's dataset Cost and Usage, in its version 1.4.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.present.table import Section, TableColumn
from planner.reports.lines import usd_between
from planner.units import quotient, usd_month

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planner.reports.lines import Line, Month
    from planner.reports.past import MonthLine

VERSION = "1.4"
ISSUER = "Prime Intellect"
UNIT = "GB-Hours"
COLUMNS = (
    *("AvailabilityZone", "BilledCost", "BillingAccountId", "BillingAccountName"),
    *("BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory"),
    *("ChargeClass", "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd"),
    *("ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit", "ContractedCost"),
    *("EffectiveCost", "HostProviderName", "InvoiceIssuerName", "ListCost", "ListUnitPrice"),
    *("PricingCategory", "PricingQuantity", "PricingUnit", "RegionId", "RegionName"),
    *("ResourceId", "ResourceName", "ResourceType", "ServiceCategory", "ServiceName"),
    *("ServiceProviderName", "ServiceSubcategory", "SkuId", "SkuMeter", "SkuPriceDetails"),
    *("SkuPriceId", "Tags"),
    *("x_CostBasis", "x_Owner", "x_Project", "x_Replica", "x_SizeGb", "x_Volume"),
)
"""Columns of the file: those of the specification in its order, then planner's own."""


def focus_rows(lines: Sequence[MonthLine], month: Month, until: datetime) -> Section:
    """Return what a month cost, a row for each disk.

    Billed amounts are costs as billed; where no billing row shows the month's part, a cost is the
    list price of the hours, and ``x_CostBasis`` says so.

    Parameters
    ----------
    lines : sequence of MonthLine
        What disks cost in the month.
    """
    rows = []
    for one in lines:
        start, end = one.start_at or month.start, one.end_at or until
        basis = "list price" if one.billed_usd is None else "billed"
        listed = one.usd if one.list_usd is None else one.list_usd
        costs = (one.usd or Decimal(0), listed or Decimal(0))
        rows.append(_row(one.line, month, (start, end), costs, basis))
    return _section(rows)


def forecast_rows(lines: Sequence[Line], month: Month, now: datetime) -> Section:
    """Return what the rest of a month will cost at list price, a row for each priced disk.

    Parameters
    ----------
    lines : sequence of Line
        Disks that are there, and those that are to be bought.
    """
    period = (max(now, month.start), month.end)
    rows = []
    for line in lines:
        usd = usd_between(line.usd_hr, period[1] - period[0])
        if usd is not None and period[0] < period[1]:
            rows.append(_row(line, month, period, (usd, usd), "forecast"))
    return _section(rows)


def _section(rows: Sequence[dict[str, Any]]) -> Section:
    return Section.of("focus", "", [TableColumn(name, name) for name in COLUMNS], rows)


def _row(
    line: Line,
    month: Month,
    period: tuple[datetime, datetime],
    costs: tuple[Decimal, Decimal],
    basis: str,
) -> dict[str, Any]:
    cost, listed = costs
    start, end = period
    hours = usd_between(Decimal(1), end - start) or Decimal(0)
    size = line.size_gb
    quantity = None if not size else usd_month(hours, size)
    price = None if not size or line.usd_hr is None else quotient(line.usd_hr, size)
    sku = f"network-disk/{line.provider or 'unknown'}/{line.data_center or 'unnamed'}"
    named = {"owner": line.owner, "project": line.project, "volume": line.volume}
    return {
        "AvailabilityZone": line.data_center,
        "BilledCost": cost,
        "BillingAccountId": line.account or "unknown",
        "BillingAccountName": None,
        "BillingCurrency": "USD",
        "BillingPeriodEnd": _time(month.end),
        "BillingPeriodStart": _time(month.start),
        "ChargeCategory": "Usage",
        "ChargeClass": None,
        "ChargeDescription": f"Network disk {line.title}, {size or 'unknown'} GB",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodEnd": _time(end),
        "ChargePeriodStart": _time(start),
        "ConsumedQuantity": quantity,
        "ConsumedUnit": None if quantity is None else UNIT,
        "ContractedCost": listed,
        "EffectiveCost": cost,
        "HostProviderName": line.provider or "unknown",
        "InvoiceIssuerName": ISSUER,
        "ListCost": listed,
        "ListUnitPrice": price,
        "PricingCategory": None if quantity is None else "Standard",
        "PricingQuantity": quantity,
        "PricingUnit": None if quantity is None else UNIT,
        "RegionId": line.region,
        "RegionName": line.region,
        "ResourceId": line.disk_id,
        "ResourceName": line.name,
        "ResourceType": "Disk",
        "ServiceCategory": "Storage",
        "ServiceName": "Network disks",
        "ServiceProviderName": ISSUER,
        "ServiceSubcategory": "Other (Storage)",
        "SkuId": None if quantity is None else sku,
        "SkuMeter": None if quantity is None else UNIT,
        "SkuPriceDetails": None,
        "SkuPriceId": None if quantity is None else sku,
        "Tags": {**line.tags, **{key: value for key, value in named.items() if value is not None}},
        "x_CostBasis": basis,
        "x_Owner": line.owner,
        "x_Project": line.project,
        "x_Replica": line.replica,
        "x_SizeGb": size,
        "x_Volume": line.volume,
    }


def _time(at: datetime) -> str:
    """Return a time in the specification's format: ISO 8601, UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
