"""One plan, one sum: whatever asks for its cost gets the same answer."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest

import planner
from planner.errors import Infeasible
from planner.units import difference, product

OFFERS, GPUS = "shipped:disk-offers", "shipped:gpu-offers"


def demanded(seed: int) -> dict[str, Any]:
    """Return volumes of all kinds, with what couples them, from a seed."""
    dice = random.Random(seed)

    def some(chance: float, **fields: Any) -> dict[str, Any]:
        return fields if dice.random() < chance else {}

    volumes = [
        {
            "name": f"v{n}",
            "size_gb": dice.choice([50, 333, 800, 2000, 9000]),
            "max_disks": 4,
            **some(0.3, replicas=2, spread="provider"),
            **some(0.3, headroom="33.3%"),
            **some(0.3, owner=dice.choice(["ann", "bob"])),
            **some(0.3, growth=dice.choice(["7%/month", "100 GB/month"])),
        }
        for n in range(dice.randint(2, 5))
    ]
    grows = any("growth" in volume for volume in volumes)
    policy: dict[str, Any] = {
        **({"horizon": "4 months"} if grows else {}),
        **some(0.3, max_sites=3),
        **some(0.3, hours_per_month=744),
        **some(0.3, budget_usd_month=2000),
    }
    job = {"name": "job", "gpu": "A100_80GB", "hours_per_month": 100, "mounts": ["v0"]}
    same = {"volumes": ["v0", "v1"], "same": "provider"}
    return {
        "version": 1,
        "volumes": volumes,
        "policy": policy,
        "workloads": [] if grows or dice.random() < 0.5 else [job],
        "groups": [same] if dice.random() < 0.4 else [],
    }


@pytest.mark.slow
def test_every_question_has_the_same_total() -> None:
    """The frame, the requests, a report, a sweep and a comparison with itself add up alike."""
    offers, gpus = planner.read_offers(OFFERS), planner.read_gpus(GPUS)
    planned = 0
    for seed in range(9):
        try:
            plan = planner.plan(demanded(seed), offers, gpus)
        except Infeasible as error:
            assert error.conflicts, seed  # noqa: PT017 -- what is found is under test
            continue
        planned += 1
        totals, frame = plan.exact_totals, plan.to_frame(exact=True)
        month = product(totals["disk_usd_hr"], Decimal(totals["hours_per_month"]))
        assert sum(frame["usd_hr"]) == totals["disk_usd_hr"], seed
        assert sum(frame["usd_month"]) == month, seed
        assert sum(one["body"]["disk"]["size"] for one in plan.requests) == sum(
            frame["provision_gb"]
        ), seed
        now = planner.report(plan).to_document()["totals"]["after"]
        assert Decimal(now["usd_hr"]) == totals["disk_usd_hr"], seed
        (row,) = plan.what_if({"price_factor": [1]}, exact=True).to_dict("records")
        assert row["usd_hr"] == totals["usd_hr"], seed
        assert row["disks"] == len(plan.requests), seed
        assert row["extra_usd_month"] == 0, seed
        assert planner.diff(plan, plan).summary.startswith("Diff: no changes."), seed
        for each in plan.baselines():
            if each.usd_month is not None and not plan.schedule:
                assert difference(each.usd_month, totals["usd_month"]) >= 0, (seed, each)
    assert planned > 4
