"""What planner decided before the rooms were rebuilt, and decides still.

``python -m tests.test_frozen`` writes the record again; a change of it is read before it is
accepted, and the commit says why each line changed.
"""

from __future__ import annotations

import json
import random
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import simplejson

import planner
from planner.market.snapshot import join_gpus
from planner.units import plain
from tests.solve import instances

RECORD = Path(__file__).parent / "data" / "frozen.json"
SHIPPED = ("minimal", "research", "finetune")
MARKETS = 3
DEMANDS = 14


def _decision(plan: planner.Plan) -> dict[str, Any]:
    return {
        "plan_id": plan.plan_id,
        "usd_month": plain(plan.exact_totals["usd_month"]),
        "disks": [
            f"{one.volume}#{one.replica} {one.offer_id} {'+'.join(map(str, one.disk_sizes_gb))}"
            for one in plan.placements
        ],
        "gpus": [f"{one.workload} {one.offer_id} {one.nodes}" for one in plan.gpus],
    }


def _decide(demand: planner.Demand, offers: Any, gpus: Any) -> dict[str, Any]:
    try:
        return _decision(planner.plan(demand, offers, gpus))
    except planner.Infeasible as error:
        return {"exit_code": error.exit_code}


def _market(seed: int, folder: Path) -> tuple[Any, Any]:
    rng = random.Random(seed)
    rows = [row for _ in range(3) for row in instances.coupled_market(rng)]
    rented, together = instances.gpu_market(rng)
    files = {"disks": rows, "gpus": rented, "multinode": together}
    for name, listed in files.items():
        text = simplejson.dumps(listed, use_decimal=True)
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
    offers = planner.read_offers(folder / "disks.json")
    single, multinode = (planner.read_gpus(folder / f"{name}.json") for name in list(files)[1:])
    return offers, join_gpus(single, multinode)


def decisions() -> dict[str, dict[str, Any]]:
    """Return every decision by what it decides."""
    offers = planner.read_offers("shipped:disk-offers")
    gpus = planner.read_gpus("shipped:gpu-offers")
    made = {
        f"shipped {name}": _decide(planner.read_demand(f"shipped:{name}"), offers, gpus)
        for name in SHIPPED
    }
    for market in range(MARKETS):
        with TemporaryDirectory() as folder:
            offers, gpus = _market(market, Path(folder))
        for number in range(DEMANDS):
            asked = instances.coupled_demand(random.Random(number))
            demand = planner.demand_from(asked)
            made[f"market {market} demand {number}"] = _decide(demand, offers, gpus)
    return made


@pytest.mark.slow
def test_every_decision_is_what_it_was() -> None:
    """Costs, placements, GPUs and plan ids of some 45 plans, infeasible ones too."""
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))
    made = decisions()
    assert sum("plan_id" in one for one in made.values()) > len(made) / 3
    assert {k: v for k, v in made.items() if recorded.get(k) != v} == {}
    assert set(made) == set(recorded)


def test_the_shipped_costs_are_the_documented_ones() -> None:
    """The figure that the README names is the record's too."""
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))
    assert Decimal(recorded["shipped research"]["usd_month"]).quantize(Decimal("0.01")) == Decimal(
        "1340.51"
    )


if __name__ == "__main__":
    text = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in decisions().items())
    RECORD.parent.mkdir(exist_ok=True)
    RECORD.write_text(f"{{\n{text}\n}}\n", encoding="utf-8")
