"""Baselines: the cheapest single provider and site, or the volumes that rule them out."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from planner.demand import demand_from
from planner.market import addressable, offers_frame
from planner.solve import Baseline, baselines, pair


def row(provider: str, site: str, price: str, **fields: Any) -> dict[str, Any]:
    return {
        "provider": provider,
        "dataCenter": site,
        "stockStatus": "High",
        "security": "secure_cloud",
        "spec": {"pricePerUnit": Decimal(price)},
        **fields,
    }


MARKET = [
    row("alpha", "A-1", "0.0001", isMultinode=True),
    row("alpha", "A-2", "0.0003"),
    row("beta", "B-1", "0.0002", isMultinode=True),
    row("gamma", "G-1", "0.00001"),
]


def compared(*volumes: dict[str, Any]) -> tuple[Baseline, ...]:
    demand = demand_from({"version": 1, "volumes": list(volumes)})
    return baselines(pair(demand, addressable(offers_frame(MARKET))))


def test_the_cheapest_single_provider_and_site() -> None:
    """Only one node can mount gamma, so alpha's first site is the simple way."""
    provider, site = compared({"name": "x", "size_gb": 100, "multinode": True})
    assert (provider.place, provider.usd_hr) == ("alpha", Decimal("0.01"))
    assert (site.place, site.usd_hr) == ("alpha A-1 unnamed", Decimal("0.01"))


def test_copies_that_need_two_sites_rule_a_single_site_out() -> None:
    """Two data centres are two sites; one provider that has two still does."""
    provider, site = compared({"name": "x", "size_gb": 100, "replicas": 2})
    assert (provider.place, provider.usd_hr) == ("alpha", Decimal("0.04"))
    assert site.usd_hr is None
    assert "x" in site.why_not


def test_copies_at_two_providers_rule_a_single_provider_out() -> None:
    """The volume that stands in the way is named."""
    provider, _ = compared(
        {"name": "fine", "size_gb": 1},
        {"name": "apart", "size_gb": 1, "replicas": 2, "spread": "provider"},
    )
    assert provider.usd_hr is None
    assert "apart" in provider.why_not
    assert "fine" not in provider.why_not
