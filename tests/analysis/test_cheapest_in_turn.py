"""The greedy user: what somebody pays who never takes a choice back, and where that ends."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from planner.analysis.baselines import cheapest_in_turn
from planner.solve.optimum import optimum
from tests.solve import exact
from tests.solve.hand import coupled, demanded, gpu, instance_of, providers, row, violations, volume

TOGETHER = [{"volumes": ["a", "b"], "same": "site"}]


def test_greedy_is_dearer_where_the_first_choice_binds_the_second() -> None:
    """1 GB goes where it is cheapest, and the 999 GB that must be beside it follow it there."""
    rows = [
        row("near", "0.0001", cloudId="small", spec={"maxCount": 10}),
        row("near", "0.0009", cloudId="large"),
        row("far", "0.0002"),
    ]
    instance = instance_of(demanded(volume("a", 1), volume("b", 999), groups=TOGETHER), rows)
    chosen, best = cheapest_in_turn(instance), optimum(instance)
    assert isinstance(chosen, dict)
    assert best is not None
    assert providers(instance, chosen) == [["near"], ["near"]]
    assert providers(instance, best.chosen) == [["far"], ["far"]]
    assert instance.disk_usd_hr(chosen) == Decimal("0.8992")
    assert best.usd_month == Decimal("0.2") * 730


def test_greedy_ends_where_the_next_volume_finds_nothing() -> None:
    """The sentence names the volume that is left over; a plan exists all the same."""
    rows = [row("near", "0.0001"), row("far", "0.0002", isMultinode=True)]
    document = demanded(volume("a"), volume("b", multinode=True), groups=TOGETHER)
    instance = instance_of(document, rows)
    assert cheapest_in_turn(instance) == "after the cheapest choices before it, none is left for b"
    best = optimum(instance)
    assert best is not None
    assert providers(instance, best.chosen) == [["far"], ["far"]]


def test_greedy_passes_by_what_a_group_apart_has_taken() -> None:
    """Where the cheapest place is taken by the other member, the next cheapest will do."""
    rows = [row("near", "0.0001"), row("near", "0.0002", "2"), row("far", "0.0003")]
    apart = [{"volumes": ["a", "b"], "different": "provider"}]
    instance = instance_of(demanded(volume("a"), volume("b"), groups=apart), rows)
    chosen = cheapest_in_turn(instance)
    assert isinstance(chosen, dict)
    assert providers(instance, chosen) == [["near"], ["far"]]


def test_greedy_shares_a_disk_where_a_pod_mounts_no_second() -> None:
    """The second volume of the job joins the first on one disk, of 200 GB."""
    rows = [row("near", "0.0001"), row("far", "0.0002")]
    job = {"name": "job", "gpu": "A100_80GB", "mounts": ["a", "b"]}
    document = demanded(
        volume("a"), volume("b"), workloads=[job], policy={"attach_limits": {"near": 1}}
    )
    instance = instance_of(document, rows, [gpu("near", "1")])
    chosen = cheapest_in_turn(instance)
    assert isinstance(chosen, dict)
    assert chosen[0] == chosen[1]
    assert instance.is_packed(chosen[0][0])
    assert instance.rent([0], chosen) == {0: 0}


def test_greedy_looks_for_gpus_beside_the_first_replica() -> None:
    """What is mounted goes to the cheapest offer that has GPUs beside it, not the cheapest."""
    rows = [row("none", "0.0001"), row("some", "0.0002"), row("more", "0.0003")]
    job = {"name": "job", "gpu": "A100_80GB", "mounts": ["a"]}
    instance = instance_of(
        demanded(volume("a"), workloads=[job]), rows, [gpu("some", "9"), gpu("more", "1")]
    )
    chosen = cheapest_in_turn(instance)
    assert isinstance(chosen, dict)
    assert providers(instance, chosen) == [["some"]]


def test_greedy_stays_at_the_sites_it_has() -> None:
    """Once as many sites or providers are used as may be, others are passed by."""
    rows = [row("alpha", "0.0001", spec={"maxCount": 50}), row("beta", "0.0002")]
    volumes = volume("large", 100), volume("small", 50)
    for policy in ({"max_sites": 1}, {"max_providers": 1}):
        instance = instance_of(demanded(*volumes, policy=policy), rows)
        chosen = cheapest_in_turn(instance)
        assert isinstance(chosen, dict)
        assert providers(instance, chosen) == [["beta"], ["beta"]]
    free = instance_of(demanded(*volumes), rows)
    chosen = cheapest_in_turn(free)
    assert isinstance(chosen, dict)
    assert providers(free, chosen) == [["beta"], ["alpha"]]


@pytest.mark.slow
def test_greedy_is_never_cheaper_and_keeps_the_rules_it_knows() -> None:
    """On random instances it breaks no rule but budgets and share, and never beats the optimum."""
    placed, dearer = 0, 0
    for seed in range(7000, 7040):
        document, rows, gpus, nodes = coupled(seed)
        for word in ("budget_usd_month", "budgets", "max_provider_share"):
            document["policy"].pop(word, None)
        instance = instance_of(document, rows, gpus, nodes)
        chosen = cheapest_in_turn(instance)
        best = exact.best(document, rows, gpus, nodes)
        if isinstance(chosen, str):
            assert any(chosen.endswith(f" {one['name']}") for one in document["volumes"])
            continue
        rented = {w: instance.rent_best(w, chosen) for w in range(len(instance.demand.workloads))}
        ready = {w: g for w, g in rented.items() if g is not None}
        if violations(instance, chosen, ready):
            assert not instance.holds(instance.whole, chosen), seed
            continue
        placed += 1
        cost = Fraction(instance.usd_month(chosen, ready))
        assert best is not None, seed
        assert cost >= best[0], seed
        dearer += cost > best[0]
    assert placed >= 20
    assert dearer >= 5
