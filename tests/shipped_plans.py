"""The plans of the shipped demands on the shipped market: disks alone, and disks with GPUs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import planner
from planner import Plan, read_demand, read_gpus, read_offers

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NONCE = "0123456789abcdef"
TARGET: dict[str, str | None] = {"base_url": "https://market.example", "team_id": "team-1"}


def research(**options: Any) -> Plan:
    """Return the plan of disks alone."""
    demand, offers = read_demand("shipped:research"), read_offers("shipped:disk-offers")
    return planner.plan(demand, offers, **{"now": NOW, "nonce": NONCE, **options})


def finetune(**options: Any) -> Plan:
    """Return the plan of disks and the GPUs that mount them."""
    demand, offers = read_demand("shipped:finetune"), read_offers("shipped:disk-offers")
    gpus = read_gpus("shipped:gpu-offers")
    return planner.plan(demand, offers, gpus, **{"now": NOW, "nonce": NONCE, **options})
