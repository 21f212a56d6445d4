"""Columns: what is alike becomes one unit, what is dominated goes, what a constraint sees stays."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from planner.solve.optimum import optimum
from planner.solve.presolve import every_column, lacks_places, presolve
from tests.solve.hand import coupled, demanded, gpu, instance_of, row, volume

if TYPE_CHECKING:
    from planner.solve.problem import Instance

DEAR_IN_EVERY_VIEW = [
    row("alpha", "0.0001", "1", cloudId="c1"),
    row("alpha", "0.0002", "1", cloudId="c2"),  # nothing sets it apart but the price
    row("alpha", "0.0003", "1", cloudId="c3", isMultinode=True),
    row("alpha", "0.0004", "2"),
    row("beta", "0.0005", "1"),
    row("gamma", "0.0006", "1", country="NO"),
    row("gamma", "0.0007", "1", country="IS", region="eu_north"),
]


def kept(instance: Instance, v: int = 0) -> list[str]:
    """Return the prices of the candidates that a program over everything gets of a volume."""
    columns = presolve(instance, instance.whole)
    (k,) = [k for k, unit in enumerate(columns.units) if v in unit.members]
    prices = instance.pairs.offers["usd_gb_hr"].tolist()
    return sorted(str(prices[o]) for o in columns.offer[columns.unit == k])


def test_volumes_that_are_alike_are_one_unit() -> None:
    """Three equal volumes are decided as one, with their replicas counted together."""
    volumes = [volume(name, replicas=2) for name in "abc"]
    columns = presolve(*_whole(demanded(*volumes, volume("d", 101, replicas=2))))
    assert [unit.members for unit in columns.units] == [(0, 1, 2), (3,)]
    assert [(unit.count, unit.most) for unit in columns.units] == [(6, 3), (2, 1)]


def _whole(document: dict[str, Any], rows: Any = DEAR_IN_EVERY_VIEW) -> tuple[Instance, Any]:
    instance = instance_of(document, rows)
    return instance, instance.whole


@pytest.mark.sweep
@pytest.mark.parametrize(
    "differing",
    [
        {"size_gb": 101},
        {"headroom": "25%"},
        {"replicas": 2},
        {"replicas": 2, "spread": "provider"},
        {"max_usd_gb_hr": "0.0005"},
        {"providers": ["alpha", "beta"]},
        {"countries": ["US"]},
        {"regions": ["united_states"]},
        {"data_centers": ["alpha-1"]},
        {"exclude": {"providers": ["gamma"]}},
    ],
)
def test_volumes_that_differ_in_a_wish_are_apart(differing: dict[str, Any]) -> None:
    """Whatever changes where a volume may be, or what it costs, keeps it out of the unit."""
    volumes = [volume("a"), volume("b", **{"size_gb": 100, **differing})]
    columns = presolve(*_whole(demanded(*volumes)))
    assert [unit.members for unit in columns.units] == [(0,), (1,)]


@pytest.mark.parametrize(
    "differing", [{"max_disks": 2}, {"stock": "Low"}, {"security": "secure_cloud"}]
)
def test_a_requirement_that_excludes_nothing_keeps_no_volume_apart(
    differing: dict[str, Any],
) -> None:
    """Volumes with the same candidates at the same costs are one unit, whatever they ask."""
    columns = presolve(*_whole(demanded(volume("a"), volume("b", **differing))))
    assert [unit.members for unit in columns.units] == [(0, 1)]


def test_an_owner_sets_volumes_apart_only_where_he_has_a_budget() -> None:
    """Names, owners and tags do not matter to a program that has no budget for them."""
    volumes = [volume("a", owner="ada"), volume("b", owner="bob", tags={"x": "y"})]
    without = presolve(*_whole(demanded(*volumes)))
    assert [unit.members for unit in without.units] == [(0, 1)]
    budgeted = presolve(*_whole(demanded(*volumes, policy={"budgets": {"ada": 500}})))
    assert [unit.members for unit in budgeted.units] == [(0,), (1,)]


def test_what_groups_workloads_and_questions_speak_of_stays_alone() -> None:
    """A volume that a tie, a job or a what-if names has a unit of its own."""
    volumes = [volume(name) for name in "abcdefg"]
    groups = [{"volumes": ["a", "b"], "same": "provider"}]
    job = {"name": "job", "gpu": "A100_80GB", "mounts": ["c"]}
    document = demanded(*volumes, groups=groups, workloads=[job])
    instance = instance_of(document, DEAR_IN_EVERY_VIEW, [gpu("alpha", "1")])
    asked = replace(instance, forced=((3, frozenset({0})),))
    units = [unit.members for unit in presolve(asked, asked.whole).units]
    assert units == [(0,), (1,), (2,), (3,), (4, 5, 6)]


def test_copies_that_lie_in_several_regions_are_never_dealt() -> None:
    """Counts by region say nothing of volumes where an offer may lie in two of them."""
    twice = [row("alpha", "0.0001"), row("alpha", "0.0001", region="eu_north")]
    volumes = [volume(name, replicas=2, spread="region") for name in "ab"]
    apart = presolve(*_whole(demanded(*volumes), [*twice, *DEAR_IN_EVERY_VIEW]))
    assert [unit.members for unit in apart.units] == [(0,), (1,)]
    single = presolve(*_whole(demanded(*volumes), DEAR_IN_EVERY_VIEW[:6]))
    assert [unit.members for unit in single.units] == [(0, 1)]


def test_copies_are_never_dealt_where_two_providers_sell_one_data_center() -> None:
    """There counts by provider do not say which copies of one volume share a building."""
    shared = [row("alpha", "0.0001"), row("beta", "0.0002", dataCenter="alpha-1")]
    volumes = [volume(name, replicas=2, spread="provider") for name in "ab"]
    apart = presolve(*_whole(demanded(*volumes), [*shared, row("beta", "0.0003")]))
    assert [unit.members for unit in apart.units] == [(0,), (1,)]


VIEWS: dict[str, tuple[dict[str, Any], dict[str, Any], list[int]]] = {
    "nothing": ({}, {}, [1]),
    "spread over sites": ({"replicas": 2, "spread": "site"}, {}, [1, 4, 5, 6, 7]),
    "spread over data centres": ({"replicas": 2, "spread": "data_center"}, {}, [1, 4, 5, 6]),
    "spread over providers": ({"replicas": 2, "spread": "provider"}, {}, [1, 5, 6]),
    "spread over countries": ({"replicas": 2, "spread": "country"}, {}, [1, 6, 7]),
    "spread over regions": ({"replicas": 2, "spread": "region"}, {}, [1, 6, 7]),
    "one replica spreads nowhere": ({"spread": "site"}, {}, [1]),
    "a group at one site": (
        {},
        {"groups": [{"volumes": ["a", "b"], "same": "site"}]},
        [1, 4, 5, 6, 7],
    ),
    "a group at one data centre": (
        {},
        {"groups": [{"volumes": ["a", "b"], "same": "data_center"}]},
        [1, 4, 5, 6, 7],
    ),
    "a group in other data centres": (
        {},
        {"groups": [{"volumes": ["a", "b"], "different": "data_center"}]},
        [1, 4, 5, 6],
    ),
    "a group in one country": (
        {},
        {"groups": [{"volumes": ["a", "b"], "same": "country"}]},
        [1, 6, 7],
    ),
    "mounted": (
        {},
        {"workloads": [{"name": "job", "gpu": "A100_80GB", "mounts": ["a"]}]},
        [1, 3, 4, 5, 6, 7],
    ),
    "max_sites": ({}, {"policy": {"max_sites": 1}}, [1, 4, 5, 6, 7]),
    "max_providers": ({}, {"policy": {"max_providers": 1}}, [1, 5, 6]),
    "max_provider_share": ({}, {"policy": {"max_provider_share": 0.6}}, [1, 5, 6]),
    "budgets see costs only": ({"owner": "x"}, {"policy": {"budgets": {"x": 9}}}, [1]),
}


@pytest.mark.slow
@pytest.mark.parametrize("view", VIEWS)
def test_only_the_cheapest_of_what_looks_the_same_stays(view: str) -> None:
    """Of seven offers each dearer than the last, one stays for each look they have here."""
    wishes, more, expected = VIEWS[view]
    document = demanded(volume("a", **wishes), volume("b", 1), **more)
    instance = instance_of(document, DEAR_IN_EVERY_VIEW, [gpu("alpha", "1")])
    assert kept(instance) == [f"0.000{n}" for n in expected]


def test_under_a_share_the_sizes_that_are_bought_are_seen() -> None:
    """With 10 GB asked, 12 GB at the same provider let others hold more: not the same thing."""
    coarse = row("alpha", "0.0002", cloudId="c9", spec={"step": 4})
    rows = [*DEAR_IN_EVERY_VIEW[:2], coarse, row("beta", "0.0001")]
    without = instance_of(demanded(volume("a", 10), policy={"max_providers": 2}), rows)
    share = instance_of(demanded(volume("a", 10), policy={"max_provider_share": 0.9}), rows)
    assert kept(without) == ["0.0001", "0.0001"]
    assert kept(share) == ["0.0001", "0.0001", "0.0002"]


def test_a_dearer_price_on_a_finer_grid_dominates() -> None:
    """What counts is what the volume costs: 10 GB at 0.00011 are less than 16 GB at 0.0001."""
    coarse = row("alpha", "0.0001", cloudId="c1", spec={"step": 16})
    fine = row("alpha", "0.00011", cloudId="c2")
    for gb, expected in ((10, "0.00011"), (16, "0.0001")):
        instance = instance_of(demanded(volume("a", gb)), [coarse, fine])
        assert kept(instance) == [expected]


def test_equal_costs_are_told_apart_by_stock_then_key() -> None:
    """Of two offers at one price in one site the better stocked stays, then the first by key."""
    low = row("alpha", "0.0001", cloudId="c1", stockStatus="Low")
    high = [row("alpha", "0.0001", cloudId=key, security="community_cloud") for key in ("c3", "c2")]
    instance = instance_of(demanded(volume("a"), policy={"max_sites": 1}), [low, *high])
    columns = presolve(instance, instance.whole)
    assert instance.pairs.offers["cloud_id"].iloc[columns.offer].tolist() == ["c2"]


def test_a_difference_that_floats_cannot_see_decides() -> None:
    """Of prices that are one number to a float, the lower decimal stays."""
    rows = [
        row("alpha", "0.00010000000000000000002", cloudId="c1"),
        row("alpha", "0.00010000000000000000001", cloudId="c2"),
    ]
    instance = instance_of(demanded(volume("a")), rows)
    assert kept(instance) == ["0.00010000000000000000001"]


def test_what_is_left_out_is_counted_for_every_volume() -> None:
    """Two alike volumes of seven candidates, of which one stays: twelve are dominated."""
    columns = presolve(*_whole(demanded(volume("a"), volume("b"))))
    assert (len(columns), columns.dominated) == (1, 12)
    everything = every_column(*_whole(demanded(volume("a"), volume("b"))))
    assert (len(everything), everything.dominated) == (14, 0)
    assert len(columns) * 2 + columns.dominated == len(everything)


def test_a_forced_volume_keeps_every_candidate() -> None:
    """A question about one offer is not answered by leaving the offer out."""
    instance = instance_of(demanded(volume("a")), DEAR_IN_EVERY_VIEW)
    asked = replace(instance, forced=((0, frozenset({5})),))
    assert len(presolve(asked, asked.whole)) == 7


def test_a_volume_without_a_candidate_is_told() -> None:
    """Columns that lack a unit cannot be solved, with presolve or without."""
    instance = instance_of(
        demanded(volume("a"), volume("b", providers=["nobody"])), DEAR_IN_EVERY_VIEW
    )
    assert presolve(instance, instance.whole).has_empty_domain
    assert every_column(instance, instance.whole).has_empty_domain
    assert not presolve(*_whole(demanded(volume("a")))).has_empty_domain


@pytest.mark.slow
def test_columns_are_some_of_all_candidates_in_order() -> None:
    """On random instances no column is inadmissible or twice, and none of a volume is missing."""
    for seed in range(40):
        instance = instance_of(*coupled(seed))
        columns = presolve(instance, instance.whole)
        pairs = list(zip(columns.unit.tolist(), columns.offer.tolist(), strict=True))
        assert pairs == sorted(set(pairs))
        assert not instance.pairs.broken[columns.volume, columns.offer].any()
        members = [v for unit in columns.units for v in unit.members]
        assert sorted(members) == list(range(len(instance.pairs.volumes)))
        sizes = [len(columns.units[k].members) for k, _ in pairs]
        assert sum(sizes) + columns.dominated == int((instance.pairs.broken == 0).sum())


@pytest.mark.parametrize(
    ("policy", "lacks"),
    [
        ({"max_provider_share": "0.34", "max_sites": 2}, True),
        ({"max_provider_share": "0.34", "max_providers": 2}, True),
        ({"max_provider_share": "0.34", "max_providers": 3}, False),
        ({"max_provider_share": "0.5", "max_sites": 2}, False),
        ({"max_disks_per_site": 1, "max_sites": 3}, True),
        ({"max_disks_per_site": 1, "max_providers": 3}, False),
        ({"max_disks_per_site": 2, "max_sites": 2}, False),
    ],
)
def test_a_share_needs_places_that_there_may_not_be(policy: dict[str, Any], *, lacks: bool) -> None:
    """Four volumes: a share of 0.34 is of three providers, and a disk a site takes four sites."""
    volumes = [volume(name) for name in "abcd"]
    instance, whole = _whole(demanded(*volumes, policy=policy))
    assert lacks_places(instance, presolve(instance, whole)) == lacks
    assert lacks <= (optimum(instance) is None)
    assert lacks <= (optimum(instance, full=True) is None)
