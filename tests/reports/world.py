"""A small world whose sums can be worked out by hand: three places, four disks, one wallet.

At `MARKET` 100 GB cost 0.01 USD an hour at alpha, 0.02 at beta and 0.03 at gamma.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import planner
from planner.demand.read import demand_from
from planner.market.disks import disks_frame, read_disk
from planner.market.offers import offers_frame
from planner.marketplace.protocol import Bill
from planner.reports.holdings import Holdings
from tests.solve.live_disks import MARKET, disk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planner.plans.plan import Plan
    from planner.reports.report import Report

MADE = datetime(2026, 2, 10, 0, 0, tzinfo=UTC)
READ = datetime(2026, 2, 11, 12, 0, tzinfo=UTC)
"""February 2026 has 672 hours; 36.5 hours are gone by noon of the 11th since ten hours of the 9th,
and 252 hours since it began."""
URL = "https://market.example"
VOLUMES: list[dict[str, Any]] = [
    {"name": "a", "size_gb": 100, "owner": "ann", "tags": {"team": "one"}},
    {"name": "b", "size_gb": 200, "replicas": 2, "owner": "bob"},
]
"""a at alpha for 0.01, b #1 at alpha for 0.02 and b #2 at beta for 0.04: 0.07 USD an hour."""
POLICY = {"budget_usd_month": 60, "budgets": {"ann": 10, "bob": 50}}


def planned(*disks: dict[str, Any], live: bool = False, **top: Any) -> Plan:
    """Return the plan of the two volumes; beside disks of the account, if it is live."""
    document = {"version": 1, "project": "lab", "volumes": VOLUMES, "policy": POLICY, **top}
    return planner.plan(
        demand_from(document),
        offers_frame(MARKET),
        disks=disks_frame(map(read_disk, disks)) if live or disks else None,
        now=MADE,
        nonce="nonce-1",
    )


def live(disk_id: str, created: str | None = "2026-02-09T00:00:00", **more: Any) -> dict[str, Any]:
    """Return a disk as the API lists it: 100 GB at alpha for 0.02 USD an hour."""
    return disk(disk_id, createdAt=created, pods=more.pop("pods", []), clusters=[], **more)


def held(
    *disks: dict[str, Any],
    balance: str | None = None,
    bills: Sequence[Bill] = (),
    unread: int | None = 0,
    base_url: str | None = URL,
    read_at: datetime = READ,
) -> Holdings:
    """Return what an account holds."""
    return Holdings(
        source=f"{base_url}/api/v1/disks/",
        base_url=base_url,
        team_id=None,
        read_at=read_at,
        listed=disks_frame(map(read_disk, disks)),
        balance_usd=None if balance is None else Decimal(balance),
        bills=tuple(bills),
        unread_bills=unread,
    )


def bill(resource: str | None, usd: str | None, kind: str = "disks", key: str = "") -> Bill:
    """Return a billing row."""
    return Bill(key or f"bill-{resource}", None if usd is None else Decimal(usd), kind, resource)


def report(plan: Plan | None = None, holdings: Holdings | None = None, **more: Any) -> Report:
    """Return a report made at the time of `READ`."""
    made: Report = planner.report(plan, holdings, now=READ, **more)
    return made


def name_of(plan: Plan, volume: str, replica: int = 1) -> str:
    """Return the name that a plan gives a disk."""
    (name,) = (
        one["body"]["disk"]["name"]
        for one in plan.requests
        if (one["volume"], one["replica"]) == (volume, replica)
    )
    return str(name)
