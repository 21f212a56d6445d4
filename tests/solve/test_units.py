"""Groups, jobs and kept disks as units of the dual, against enumeration."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from planner.demand.read import demand_from
from planner.market.market import addressable
from planner.market.offers import offers_frame
from planner.solve import decompose
from planner.solve.bundles import Bundles
from planner.solve.certificate import as_multipliers, bound_month, coupled, limits_of, proves
from planner.solve.dual import Lagrangian
from planner.solve.existing import Kept
from planner.solve.model import Program
from planner.solve.optimum import optimum
from planner.solve.presolve import presolve
from planner.solve.problem import Instance
from tests.solve.hand import demanded, every_plan, gpu, row, volume
from tests.solve.plans import listings

if TYPE_CHECKING:
    from planner.solve.certificate import Multiplier
    from planner.solve.presolve import Columns

    Found = tuple[Columns, Any, Lagrangian, tuple[Multiplier, ...], np.ndarray[Any, Any]]


def mixed(seed: int) -> Instance:
    """Return two to four volumes with a group, jobs and kept disks under limits on sums."""
    rng = random.Random(seed)
    rows = [
        row(
            f"p{n % 3}",
            str(Decimal(rng.randint(5000, 20000)) / 10**8),
            str(n // 3 % 2),
            cloudId=f"c{n}",
            isMultinode=rng.choice([True, False]),
            spec={"step": rng.choice([1, 1, 7])},
        )
        for n in range(rng.choice([6, 8, 9]))
    ]
    volumes, kept = [], []
    for n in range(rng.choice([2, 3, 4])):
        wanted = volume(
            f"v{n}",
            rng.randint(10, 300),
            replicas=rng.choice([1, 1, 1, 2]),
            spread=rng.choice(["provider", "site", "none"]),
            owner=rng.choice(["ada", "bob"]),
        )
        volumes.append(wanted)
        if rng.random() < 0.3:
            size_gb, where = wanted["size_gb"] + rng.randint(0, 20), rng.choice(rows)
            usd_hr = Decimal(rng.randint(100, 900)) / 10**4
            place = [where[name] for name in ("provider", "cloudId", "dataCenter", "country")]
            shared = rng.choice([True, False])
            kept.append(Kept(f"v{n}", 1, (f"d{n}",), (size_gb,), usd_hr, shared, *place))
    single = [each["name"] for each in volumes if each["replicas"] == 1]
    more: dict[str, Any] = {}
    if len(single) > 1 and rng.random() < 0.8:
        more["groups"] = [
            {"volumes": rng.sample(single, 2), "same": rng.choice(["site", "provider"])}
        ]
    if single and rng.random() < 0.6:
        mounts = rng.sample(single, min(len(single), rng.choice([1, 2])))
        job = {"name": "j", "gpu": "A100_80GB", "hours_per_month": 100, "mounts": mounts}
        more["workloads"] = [{**job, "nodes": rng.choice([1, 1, 2])}]
    gpus = [
        gpu(f"p{rng.randrange(3)}", f"0.{rng.randint(1, 60):02}", str(rng.randrange(2)))
        for _ in range(5)
    ]
    policy: dict[str, Any] = {"max_provider_share": rng.choice(["0.6", "0.75", "1"])}
    if rng.random() < 0.4:
        policy["max_disks_per_site"] = rng.choice([2, 3])
    if rng.random() < 0.4:
        policy["budgets"] = {"ada": str(rng.randint(10, 60))}
    offers = addressable(offers_frame(rows), exact=True)
    rented = listings(gpus, []) if "workloads" in more else None
    return Instance.of(demand_from(demanded(*volumes, policy=policy, **more)), offers, rented, kept)


def solved(instance: Instance) -> Found | None:
    """Return columns, choice, dual, multipliers and prices; None where nothing is possible."""
    columns = presolve(instance, instance.whole)
    columns = columns.take(Bundles.of(instance, instance.whole, columns).possible)
    if columns.has_empty_domain:
        return None
    choice = coupled(instance, columns, limits_of(instance))
    dual = Lagrangian(choice.coupled)
    best = dual.best() if len(choice.column) else None
    if best is None:
        return None
    return columns, choice, dual, *as_multipliers(limits_of(instance), best.prices)


@pytest.mark.slow
def test_units_prove_what_the_linear_program_proves_and_no_plan_is_below() -> None:
    """Bound and reduced costs hold for every enumerated plan, and the exact bound."""
    seen = Counter[str]()
    for seed in range(45):
        instance = mixed(seed)
        plans, found = every_plan(instance, most=1200), solved(instance)
        if plans is None or found is None or not proves(instance, instance.whole):
            assert found is not None or not plans, seed
            continue
        columns, choice, dual, multipliers, prices = found
        bound = bound_month(instance, multipliers)
        assert bound is not None, seed
        least = dual.bound(prices) * 730
        assert float(bound) >= least * (1 - 1e-7), seed  # more where GB are whole
        if not plans:
            continue
        program = Program(instance, instance.whole, columns, relaxed=True)
        linear = program.cheapest(time_limit_s=None).bound_usd_hr
        assert linear is not None
        assert float(bound) >= linear * 730 * (1 - 3e-7), seed
        reduced = choice.on_columns(dual.reduced(prices), never=np.inf) * 730
        at = {pair: i for i, pair in enumerate(zip(columns.volume, columns.offer, strict=True))}
        for chosen, _, cost in plans:
            pairs = [(v, o) for v, offers in chosen.items() for o in offers if (v, o) in at]
            mine = [
                at[v, o]
                for v, o in pairs
                if len(columns.units[columns.unit[at[v, o]]].members) == 1
            ]
            assert bound <= cost, seed
            assert float(cost) >= least + max(reduced[mine], default=0) - 1e-6, seed
        kinds = bool(instance.ties), bool(instance.demand.workloads), bool(instance.kept)
        seen.update(
            name for name, is_so in zip(("ties", "jobs", "kept"), kinds, strict=True) if is_so
        )
    assert min(seen[name] for name in ("ties", "jobs", "kept")) >= 1


@pytest.mark.slow
def test_with_units_the_enumerated_optimum_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """With every program a large one: within the proof, and none where none is possible."""
    monkeypatch.setattr(decompose, "SMALL", 0)
    feasible = 0
    for seed in range(100, 130):
        instance = mixed(seed)
        plans = every_plan(instance, most=1200)
        if plans is None:
            continue
        least, found = min((cost for *_, cost in plans), default=None), optimum(instance)
        assert (found is None) == (least is None), seed
        if found is not None and least is not None:
            assert least <= found.usd_month <= least * Decimal("1.000001"), seed
            feasible += 1
    assert feasible >= 8


@pytest.mark.slow
def test_a_bound_is_of_its_own_groups_jobs_and_disks() -> None:
    """Without one of them, or with another member or place, the same prices prove another bound."""
    rows = [row(f"p{n % 3}", f"0.000{n + 1}", str(n), isMultinode=True) for n in range(6)]
    gpus = [gpu("p0", "1", "0"), gpu("p1", "0.5", "4"), gpu("p2", "0.9", "2")]
    volumes = [volume(f"v{n}", 100 + n, replicas=1 + (n == 4), spread="none") for n in range(6)]
    kept = Kept("v4", 1, ("d",), (150,), Decimal("0.09"), None, "p1", None, "p1-1", "US")
    group = {"volumes": ["v0", "v5"], "same": "site"}
    job = {"name": "j", "gpu": "A100_80GB", "mounts": ["v1"]}
    policy = {"max_provider_share": "0.5"}
    exclude = {"providers": ["p0"]}
    changes: dict[str, tuple[dict[str, Any], list[Kept]]] = {
        "": ({}, [kept]),
        "no group": ({"groups": []}, [kept]),
        "another member": ({"groups": [{"volumes": ["v0", "v5", "v3"], "same": "site"}]}, [kept]),
        "another level": ({"groups": [{**group, "same": "country"}]}, [kept]),
        "no job": ({"workloads": []}, [kept]),
        "another mount": ({"workloads": [{**job, "mounts": ["v1", "v2"]}]}, [kept]),
        "no disk": ({}, []),
        "a dearer disk": ({}, [replace(kept, usd_hr=Decimal("0.1"))]),
        "a larger disk": ({}, [replace(kept, sizes_gb=(170,))]),
    }
    bounds, multipliers = {}, None
    for name, (change, disks) in changes.items():
        mine = [{**volumes[0], "exclude": exclude}, *volumes[1:]]
        document = demanded(
            *mine, **{"groups": [group], "workloads": [job], "policy": policy, **change}
        )
        rented = listings(gpus, []) if document["workloads"] else None
        offers = addressable(offers_frame(rows), exact=True)
        instance = Instance.of(demand_from(document), offers, rented, disks)
        if multipliers is None:
            found = solved(instance)
            assert found is not None
            multipliers = found[3]
            assert multipliers
        bounds[name] = bound_month(instance, multipliers)
    assert None not in bounds.values()
    assert [name for name, bound in bounds.items() if bound == bounds[""]] == [""], bounds
