"""What volumes and workloads ask of offers: breaking it, relaxing it, doing without it."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from planner.analysis.relaxation import relaxed
from planner.demand.read import demand_from
from planner.requirements import volume, workload
from planner.requirements.field import Step
from planner.requirements.offer import At, OfferColumns
from planner.solve.candidates import RULES
from planner.solve.rentals import GPU_RULES
from tests.solve import instances
from tests.solve.hand import instance_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from planner.requirements.offer import OfferRequirement
    from planner.solve.problem import Instance

ASKED: dict[str, Any] = {
    "providers": ["alpha", "beta"],
    "data_centers": ["DC-1", "DC-2"],
    "countries": ["US"],
    "regions": ["eu_north"],
    "exclude": {
        "providers": ["alpha"],
        "data_centers": ["DC-1"],
        "countries": ["NO"],
        "regions": ["united_states"],
    },
    "security": "secure_cloud",
    "stock": "Medium",
    "multinode": True,
    "max_usd_gb_hr": 0.0001,
    "max_disks": 1,
    "replicas": 2,
    "spread": "region",
}
OF_GPUS: dict[str, Any] = {
    "socket": "SXM4",
    "security": "secure_cloud",
    "regions": ["eu_north"],
    "providers": ["alpha"],
}


def _instances() -> Iterator[Instance]:
    for seed in range(40):
        rng = random.Random(seed)
        size = {"name": "v", "size_gb": rng.choice([9, 50, 90])}
        wishes = {name: value for name, value in ASKED.items() if rng.random() < 0.4}
        job = {"name": "job", "gpu": "A100_80GB", "gpus": rng.choice([1, 8]), "mounts": ["v"]}
        job |= {name: value for name, value in OF_GPUS.items() if rng.random() < 0.4}
        document = {"version": 1, "volumes": [{**size, **wishes}], "workloads": [job]}
        yield instance_of(document, instances.coupled_market(rng), *instances.gpu_market(rng))


def _steps(kind: str, name: str, asked: OfferRequirement, moves: Any) -> list[Step]:
    return [Step(kind, name, asked.field, *move) for move in moves]


@pytest.mark.slow
def test_what_is_relaxed_for_an_offer_does_not_exclude_it_any_more() -> None:
    """Of every kind: the steps that it names are enough, and no other kind is touched."""
    seen = Counter[str]()
    for instance in _instances():
        (asks,) = instance.demand.volumes
        at = At(OfferColumns(instance.pairs.offers), instance.pairs.disks[0])
        for asked in volume.of_offers(asks):
            for o in np.flatnonzero(asked.breaks(at)).tolist():
                moves = asked.moves(at, o)
                if not moves:
                    continue
                seen[asked.rule] += 1
                after = relaxed(instance.demand, _steps("volume", "v", asked, moves)).volumes[0]
                left = {one.rule: one for one in volume.of_offers(after)}
                assert asked.rule not in left or not left[asked.rule].breaks(at)[o]
                others = [one for one in volume.of_offers(asks) if one != asked]
                assert others == [one for one in left.values() if one.rule != asked.rule]
    kinds = {rule for kind in volume.OF_OFFERS for rule, _ in kind.rules}
    assert seen.keys() == kinds - {"spread"}  # its level is chosen together with the offers


@pytest.mark.slow
def test_what_is_relaxed_for_a_gpu_offer_does_not_exclude_it_any_more() -> None:
    """The same for workloads; GPUs and nodes together stay as many as they were."""
    seen = Counter[str]()
    for instance in _instances():
        (job,), rentals = instance.demand.workloads, instance.rentals
        assert rentals is not None
        at = At(rentals.columns)
        for asked in workload.of_gpus(job):
            for g in np.flatnonzero(asked.breaks(at)).tolist():
                moves = asked.moves(at, g)
                if moves is None:
                    continue
                seen[asked.rule] += 1
                steps = _steps("workload", "job", asked, moves)
                after = relaxed(instance.demand, steps).workloads[0]
                assert after.gpus * after.nodes == job.gpus * job.nodes
                left = {one.rule: one for one in workload.of_gpus(after)}
                assert asked.rule not in left or not left[asked.rule].breaks(at)[g]
    assert seen.keys() == {rule for kind in workload.OF_GPUS for rule, _ in kind.rules}


def test_every_rule_has_a_sentence_of_its_own() -> None:
    """In general, and about one volume or workload."""
    assert len({*RULES.values()}) == len(RULES)
    assert len({*GPU_RULES.values()}) == len(GPU_RULES)
    demand = demand_from({"version": 1, "volumes": [{"name": "v", "size_gb": 9, **ASKED}]})
    reasons = [one.reason for one in volume.of_offers(demand.volumes[0])]
    assert len({*reasons}) == len(reasons) == len(RULES) - 9  # facts, groups and existing disks


@pytest.mark.parametrize("field", [*volume.KIND_OF])
def test_a_volume_is_planned_without_each_thing_that_it_asks(field: str) -> None:
    """One field changes, and what is asked without it is not asked any more."""
    demand = demand_from({"version": 1, "volumes": [{"name": "v", "size_gb": 9, **ASKED}]})
    (asks,) = demand.volumes
    (asked,) = (one for one in volume.asked_by(asks) if one.field == field)
    left = volume.asked_by(asked.lifted(asks))
    assert asked not in left
    gone = {"replicas": {"replicas", "spread"}}.get(field, {field})
    assert [one for one in left if one.field not in {*gone, "max_disks"}] == [
        one for one in volume.asked_by(asks) if one.field not in {*gone, "max_disks"}
    ]
