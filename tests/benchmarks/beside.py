"""What should cost little more than one plan, as ratios to that plan, in processor time.

existing   1,836 of 2,000 disks are there already, beside none.
loose      12 owners have a budget that nothing can exceed, beside none; 2,000 volumes.
prices     A sweep of 100 price factors, beside one plan; 300 volumes.
explain    Why each of 300 volumes is where it is, and every offer for it, beside their plan;
           300 offers.
why        The answers of `report --why` for 300 volumes, beside their plan; 300 offers.
share      The same where a share ties them together.
coupled    `explain` where a share, budgets of owners and groups tie them together.
volumes    The whole command for 100,000 volumes, files read and plan written, beside 2,000.
yaml       The same of a demand in YAML.

The peak is that of the command, in MB, where it is one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import planner
from planner.demand.read import demand_from
from planner.market.disks import disks_frame, read_disk
from planner.market.offers import offers_frame
from planner.reports.insights import Insights
from tests.benchmarks.instances import Size, fleet, listing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pandas as pd

    from planner.demand.model import Demand

AIMS = {
    "existing": 3.0,
    "loose": 1.5,
    "prices": 20.0,
    "explain": 20.0,
    "coupled": 20.0,
    "why": 20.0,
    "share": 20.0,
    "volumes": 60.0,
    "yaml": 60.0,
}
MOST_MB = 1000


def market(offers: int = 500) -> pd.DataFrame:
    """Return disk offers, three at a site."""
    rows = listing(Size(1, offers))
    for row in rows:
        row["spec"]["pricePerUnit"] = Decimal(str(row["spec"]["pricePerUnit"]))
    return offers_frame(rows)


def existing(volumes: int = 2000, disks: int = 1836) -> tuple[float, float]:
    """Return the seconds of a plan that keeps disks, and of the plan that bought them."""
    document, offers = fleet(Size(volumes, 500)), market()
    plain, bought = timed(lambda: planner.plan(demand_from(document), offers))
    rows = [listed(placement, n) for n, placement in enumerate(bought.placements[:disks])]
    named = {row["name"]: [row["id"]] for row in rows}
    for volume in document["volumes"]:
        volume["disks"] = named.get(volume["name"], [])
    live = disks_frame(read_disk(row) for row in rows)
    keeping, kept = timed(lambda: planner.plan(demand_from(document), offers, disks=live))
    assert sum(placement.action == "keep" for placement in kept.placements) == disks
    return keeping, plain


def listed(placement: Any, number: int) -> dict[str, Any]:
    """Return what was bought as the account lists it."""
    places = {"cloudId": "cloud_id", "dataCenterId": "data_center", "country": "country"}
    return {
        "id": f"disk-{number:06}",
        "name": placement.volume,
        "status": "ACTIVE",
        "providerType": placement.provider,
        "size": placement.provision_gb,
        "priceHr": placement.usd_hr,
        "userId": "u",
        "info": {key: getattr(placement, name) for key, name in places.items()},
    }


def loose(volumes: int = 2000) -> tuple[float, float]:
    """Return the seconds of a plan under budgets that do not bind, and without them."""
    document, offers = fleet(Size(volumes, 500)), market()
    for n, volume in enumerate(document["volumes"]):
        volume["owner"] = f"team-{n % 12}"
    plain, free = timed(lambda: planner.plan(demand_from(document), offers))
    limits = {f"team-{n}": 1_000_000 for n in range(12)}
    document["policy"] = {"budgets": limits}
    limited, within = timed(lambda: planner.plan(demand_from(document), offers))
    assert within.totals["usd_month"] == free.totals["usd_month"]
    return limited, plain


def why(volumes: int = 300, offers: int = 300, share: str | None = None) -> tuple[float, float]:
    """Return the seconds of the answers of `report --why`, and of the plan."""
    demand, listed = demand_from(fleet(Size(volumes, offers, share=share))), market(offers)
    plain, plan = timed(lambda: planner.plan(demand, listed))
    answered, insights = timed(lambda: Insights.of(plan))
    assert len(insights.by_sites)
    return answered, plain


def prices(volumes: int = 300, factors: int = 100) -> tuple[float, float]:
    """Return the seconds of a sweep of price factors, and of one plan."""
    demand, offers = demand_from(fleet(Size(volumes, 500))), market()
    plain, _ = timed(lambda: planner.plan(demand, offers))
    grid = {"price_factor": [f"{1 + n / 200:.3f}" for n in range(factors)]}
    swept, frame = timed(lambda: planner.sweep(demand, offers, grid))
    assert len(frame) == factors
    return swept, plain


def explain(volumes: int = 300, offers: int = 300) -> tuple[float, float]:
    """Return the seconds of explaining every volume of a plan, and of the plan."""
    return _explained(demand_from(fleet(Size(volumes, offers))), market(offers))


def coupled(volumes: int = 300, offers: int = 100, spare: str = "1.02") -> tuple[float, float]:
    """Return the same, of volumes that a share, budgets and groups tie together."""
    document, listed = fleet(Size(volumes, offers)), market(offers)
    names = [volume["name"] for volume in document["volumes"]]
    document["groups"] = [
        {"volumes": names[n : n + 5], "same": "site"} for n in range(0, len(names) // 6, 5)
    ]
    for n, volume in enumerate(document["volumes"]):
        volume["owner"] = f"team-{n % 5}"
    plan = planner.plan(demand_from(document), listed)
    held: dict[str, int] = {}
    spent: dict[str, Decimal] = {}
    for placement, volume in zip(plan.placements, plan.demand.volumes, strict=True):
        held[placement.provider] = held.get(placement.provider, 0) + placement.provision_gb
        owner = str(volume.owner)
        spent[owner] = spent.get(owner, Decimal(0)) + placement.usd_hr * 730
    share = min(1, max(held.values()) / sum(held.values()) * 0.96 * float(spare))
    limits = {owner: f"{usd * Decimal(spare):.2f}" for owner, usd in spent.items()}
    document["policy"] = {"max_provider_share": f"{share:.4f}", "budgets": limits}
    return _explained(demand_from(document), listed)


def _explained(demand: Demand, offers: pd.DataFrame) -> tuple[float, float]:
    plain, plan = timed(lambda: planner.plan(demand, offers))
    explained, answers = timed(lambda: planner.explain(plan))
    names = ("choices", "offers", "requirements", "prices")
    read, _ = timed(lambda: [getattr(answers, name) for name in names])
    return explained + read, plain


def volumes(suffix: str = ".json", many: int = 100_000, few: int = 2000) -> tuple[float, ...]:
    """Return the seconds of the command for many volumes and for few, and the peak of many."""
    with tempfile.TemporaryDirectory() as folder:
        offers = Path(folder, "offers.json")
        offers.write_text(json.dumps(listing(Size(1, 500))))
        plain, _ = command(few, suffix, offers)
        took, peak = command(many, suffix, offers)
    return took, plain, peak


def command(volumes: int, suffix: str, offers: Path) -> tuple[float, float]:
    """Return the processor time and the peak in MB of `planner plan`, in a process of its own."""
    demand = offers.with_name(f"demand{suffix}")
    document = fleet(Size(volumes, 500))
    entries = [json.dumps(volume) for volume in document.pop("volumes")]
    separator = ",\n" if suffix == ".json" else "\n- "
    listed = separator.join(entries)
    if suffix == ".json":
        demand.write_text(f'{{"version": 1, "volumes": [\n{listed}\n]}}')
    else:
        demand.write_text(f"version: 1\nvolumes:\n- {listed}\n")
    words = ["plan", str(demand), "--offers", str(offers), "-o", "json"]
    with offers.with_name("plan.json").open("wb") as plan:
        process = subprocess.Popen([sys.executable, "-m", "planner", *words], stdout=plan)
        _, process.returncode, used = os.wait4(process.pid, 0)
    assert process.returncode == 0
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Return the processor time of a call, and what it returned."""
    before = time.process_time()
    result = run()
    return time.process_time() - before, result


ROWS: dict[str, tuple[Callable[..., tuple[float, ...]], tuple[Any, ...]]] = {
    "existing": (existing, (40, 36)),
    "loose": (loose, (60,)),
    "prices": (prices, (5, 6)),
    "explain": (explain, (3,)),
    "coupled": (coupled, (12, 40, "2")),
    "why": (why, (5, 9)),
    "share": (partial(why, share="0.34"), (8, 60)),
    "volumes": (volumes, (".json", 60, 30)),
    "yaml": (partial(volumes, ".yaml"), (60, 30)),
}
"""Name → what is timed, and the sizes of a minute."""


def table(names: Iterable[str], *, full: bool) -> bool:
    """Print the rows of some names; return whether no ratio or peak is above its aim."""
    planner.plan(demand_from(fleet(Size(3, 30))), market(30))  # what is loaded once
    print(f"\n{'row':10} {'seconds':>8} {'one plan':>9} {'ratio':>6} {'aim':>6} {'peak':>6}")
    held = True
    for name, (work, few) in ROWS.items():
        if name in names:
            took, plain, *peak = work() if full else work(*few)
            most = AIMS[name] * plain
            held &= not full or (took <= most and max(peak, default=0) <= MOST_MB)
            cells = [f"{took:8.2f} {plain:9.2f} {took / plain:6.1f} {AIMS[name]:6.1f}"]
            print(f"{name:10}", *cells, *(f"{mb:6.0f}" for mb in peak), flush=True)
    return held
