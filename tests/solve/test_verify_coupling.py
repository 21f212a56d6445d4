"""The independent check of groups, workloads and caps: by hand, and against the enumeration.

The demand below has one solution on the market below, so that every step away from it is wrong.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from planner.demand.read import demand_from
from planner.market.market import addressable
from planner.market.offers import offers_frame
from planner.schema import records
from planner.solve.verify import verify
from tests.solve import exact
from tests.solve.plans import KEY, key, listings, place, rent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from planner.demand.model import Demand
    from planner.solve.rentals import Gpu
    from planner.solve.solution import Placement

    Plan = tuple[list[Placement], list[Gpu]]


def disk(provider: str, data_center: str | None, country: str | None, **fields: Any) -> Any:
    region = {"US": "united_states", "NO": "eu_north"}.get(country or "")
    spec = {"minCount": 0, "maxCount": 1000, "step": 10, "pricePerUnit": Decimal("0.0001")}
    return {
        "provider": provider,
        "dataCenter": data_center,
        "country": country,
        "region": region,
        "stockStatus": "Available",
        "security": "secure_cloud",
        "isMultinode": True,
        "spec": spec,
        **fields,
    }


def gpu(provider: str, data_center: str | None, country: str | None, **fields: Any) -> Any:
    return {
        "cloudId": fields.get("dataCenter", "A100"),
        "gpuType": "A100_80GB",
        "socket": "SXM4",
        "provider": provider,
        "dataCenter": data_center,
        "country": country,
        "region": "united_states",
        "gpuCount": 1,
        "stockStatus": "Low",
        "security": "secure_cloud",
        "prices": {"onDemand": Decimal("1.79"), "communityPrice": None, "currency": "USD"},
        **fields,
    }


DISKS = [
    disk("alpha", "A-1", "US"),
    disk("alpha", "A-2", "NO"),
    disk("beta", "B-1", "US", isMultinode=False),
    disk("beta", "A-1", "US"),
    disk("gamma", None, None),
]
GPUS = [
    gpu("alpha", "A-1", "US"),
    gpu("beta", "B-1", None),
    gpu("beta", "A-1", "US"),
    gpu("gamma", None, "US"),
    gpu("alpha", "A-1", "NO"),
    gpu("alpha", "A-1", "US", isSpot=True),
    gpu("alpha", "A-1", "US", socket="PCIe"),
    gpu("alpha", "A-1", "US", stockStatus="Unavailable"),
    gpu("alpha", "A-1", "US", gpuCount=8),
    gpu("alpha", "A-1", "US", gpuType="H100_80GB"),
    gpu("alpha", "A-1", "US", security="community_cloud"),
    gpu("alpha", "A-1", "US", prices={"onDemand": 2, "currency": "EUR"}),
    gpu("alpha", "A-1", "US", prices={"onDemand": None, "currency": "USD"}),
]
NODES = [gpu("beta", "B-1", "US", prices={"onDemand": 1, "currency": "USD"})]
SECURE = {"gpu": "A100_80GB", "socket": "SXM4", "security": "secure_cloud"}
DOCUMENT: dict[str, Any] = {
    "version": 1,
    "volumes": [
        {"name": "corpus", "size_gb": 100, "replicas": 2},
        {"name": "checkpoints", "size_gb": 50},
        {"name": "backup", "size_gb": 100},
    ],
    "groups": [
        {"volumes": ["corpus", "checkpoints"], "same": "site"},
        {"volumes": ["corpus", "backup"], "different": "provider"},
    ],
    "workloads": [
        {"name": "train", **SECURE, "nodes": 2, "hours_per_month": 200, "mounts": ["corpus"]},
        {"name": "serve", **SECURE, "mounts": ["checkpoints"]},
        {"name": "copy", **SECURE, "hours_per_month": 1, "mounts": ["backup"]},
    ],
    "policy": {"max_sites": 3, "max_providers": 2, "max_provider_share": 0.75},
}
DISKS_AT, GPUS_AT = [[0, 1], [0], [2]], [0, 0, 1]


def listed() -> pd.DataFrame:
    return listings(GPUS, NODES)


def plan(
    demand: Demand,
    disks: Sequence[Any] = DISKS,
    disks_at: Sequence[Sequence[int]] = DISKS_AT,
    gpus_at: Sequence[int] = GPUS_AT,
) -> Plan:
    """Return the plan with replicas at these rows of disks and workloads at these rows of GPUs."""
    offers = records(addressable(offers_frame(disks), exact=True))
    at = {tuple(offer[name] for name in KEY): offer for offer in offers}
    by_row = [
        at[row["provider"], row.get("cloudId"), row["dataCenter"], row["country"]] for row in disks
    ]
    rows = {(row["listing"], row["row"]): row for row in records(listed())}
    chosen = [
        place(volume, replica, offer)
        for volume, rows in zip(demand.volumes, disks_at, strict=True)
        for replica, offer in enumerate(sorted((by_row[row] for row in rows), key=key), 1)
    ]
    return chosen, [rent(demand, index, rows["gpus", row + 1]) for index, row in enumerate(gpus_at)]


def check(
    demand: Demand, made: Plan, disks: Sequence[Any] = DISKS, gpus: pd.DataFrame | None = None
) -> tuple[str, ...]:
    offers = addressable(offers_frame(disks), exact=True)
    gpus = listed() if gpus is None else gpus
    return verify(demand, offers, made[0], gpus=gpus, rented=made[1])


DEMAND = demand_from(DOCUMENT)


def test_the_solution_passes_and_is_the_only_one() -> None:
    """The plan by hand has no violation, and the enumeration finds it."""
    assert check(DEMAND, plan(DEMAND)) == ()
    found = exact.optimum(DOCUMENT, DISKS, GPUS, NODES)
    assert found is not None
    assert [gpu.row for gpu in found.gpus] == [GPUS[row] for row in GPUS_AT]


DEMANDS: dict[str, tuple[dict[str, Any], str]] = {
    "max_sites": ({"policy": {"max_sites": 2}}, "the plan uses 3 sites, max_sites is 2"),
    "max_providers": (
        {"policy": {"max_providers": 1}},
        "the plan uses 2 providers, max_providers is 1",
    ),
    "max_provider_share": (
        {"policy": {"max_provider_share": 0.7142}},
        "alpha holds 250 of 350 GB, max_provider_share is 0.7142",
    ),
    "budget": (
        {"policy": {"budget_usd_month": 25.54}},
        "the plan spends 25.55 USD a month, the budget is 25.54",
    ),
    "same": (
        {"groups": [{"volumes": ["corpus", "backup"], "same": "country"}]},
        "",
    ),
    "same, fewer within more": (
        {"groups": [{"volumes": ["corpus", "backup"], "same": "data_center"}]},
        "group 1: backup is in a data_center where corpus is not",
    ),
    "same, as many": (
        {"groups": [{"volumes": ["checkpoints", "backup"], "same": "provider"}]},
        "group 1: checkpoints is in a provider where backup is not",
    ),
    "different": (
        {"groups": [{"volumes": ["checkpoints", "backup"], "different": "region"}]},
        "group 1: checkpoints and backup share a region",
    ),
}
"""Other demands, with the sentence about the plan; none where it is still right."""


@pytest.mark.sweep
@pytest.mark.parametrize("change", DEMANDS)
def test_a_plan_for_another_demand_is_rejected(change: str) -> None:
    """Changing a cap or a group that the plan rests on is one violation that names it."""
    fields, sentence = DEMANDS[change]
    demand = demand_from({**DOCUMENT, **fields})
    assert check(demand, plan(demand)) == ((sentence,) if sentence else ())


@pytest.mark.slow
def test_a_budget_that_is_met_to_the_cent_is_met() -> None:
    """Caps, shares and budgets are compared exactly; GPUs count in none of them."""
    policy = {"budget_usd_month": 25.55, "max_provider_share": 0.75}
    demand = demand_from({**DOCUMENT, "policy": policy})
    assert check(demand, plan(demand)) == ()
    third = {**DOCUMENT["volumes"][2], "size_gb": 83}
    volumes = [*DOCUMENT["volumes"][:2], third]  # 90 GB: alpha holds 250 of 340
    demand = demand_from({**DOCUMENT, "volumes": volumes, "policy": {"max_provider_share": 0.7353}})
    assert check(demand, plan(demand)) == ()
    demand = demand_from({**DOCUMENT, "volumes": volumes, "policy": {"max_provider_share": 0.7352}})
    assert "alpha holds 250 of 340 GB" in check(demand, plan(demand))[0]


def pair(level: str, kind: str, first: Any, second: Any) -> tuple[str, ...]:
    """Check two volumes in a group, one at each of two offers."""
    volumes = [{"name": name, "size_gb": 10} for name in ("a", "b")]
    group = {"volumes": ["a", "b"], kind: level}
    demand = demand_from({"version": 1, "volumes": volumes, "groups": [group]})
    at = [[0], [0 if first == second else 1]]
    disks = [first] if first == second else [first, second]
    return check(demand, plan(demand, disks, disks_at=at, gpus_at=[]), disks)


@pytest.mark.slow
def test_a_data_center_is_a_name_for_copies_and_a_site_for_company() -> None:
    """One name at two providers keeps nobody apart, and brings nobody together."""
    here, there = disk("alpha", "A-1", "US"), disk("beta", "A-1", "US")
    assert pair("data_center", "different", here, there) == (
        "group 1: a and b share a data_center",
    )
    assert pair("data_center", "same", here, there) == (
        "group 1: a is in a data_center where b is not",
    )
    assert pair("data_center", "same", here, here) == ()


@pytest.mark.slow
def test_a_null_data_center_is_its_own_domain_at_its_site() -> None:
    """Two offers of one provider and country without a data centre are one place."""
    here = disk("gamma", None, "US")
    cloud, abroad = {**here, "cloudId": "c"}, disk("gamma", None, "NO")
    assert pair("data_center", "same", here, cloud) == ()
    assert pair("data_center", "different", here, abroad) == ()
    assert pair("data_center", "different", here, cloud) == (
        "group 1: a and b share a data_center",
    )


@pytest.mark.sweep
@pytest.mark.parametrize("kind", ["same", "different"])
@pytest.mark.parametrize("level", ["country", "region"])
def test_a_group_that_looks_at_an_unknown_place_is_broken(kind: str, level: str) -> None:
    """A null country or region is known to be neither the same nor different."""
    nowhere = disk("gamma", None, None)
    found = pair(level, kind, disk("alpha", "A-1", "US"), nowhere)
    assert f"group 1: the {level} of b is unknown" in found
    assert pair("provider", "different", disk("alpha", "A-1", "US"), nowhere) == ()


@pytest.mark.slow
def test_an_offer_of_two_regions_is_in_both() -> None:
    """Rows of one key in two regions: together only with what is in both, apart from neither."""
    volumes = [{"name": name, "size_gb": 10} for name in ("a", "b")]
    rows = [disk("alpha", "A-1", "US"), disk("alpha", "A-1", "US", region="eu_north")]
    disks = [*rows, disk("beta", "B-1", "US")]
    for kind, sentence in [
        ("same", "a is in a region where b is not"),
        ("different", "a and b share a region"),
    ]:
        group = {"volumes": ["a", "b"], kind: "region"}
        demand = demand_from({"version": 1, "volumes": volumes, "groups": [group]})
        made = plan(demand, disks, disks_at=[[0], [2]], gpus_at=[])
        assert check(demand, made, disks) == (f"group 1: {sentence}",)


GPU_FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "offer id": ({"offer_id": "000000"}, "no such GPU offer in this market"),
    "provider": ({"provider": "beta"}, "provider is not the GPU offer's"),
    "cloud id": ({"cloud_id": None}, "cloud_id is not the GPU offer's"),
    "gpu type": ({"gpu_type": "H100_80GB"}, "gpu_type is not the GPU offer's"),
    "gpus": ({"gpus": 2}, "gpus is not the GPU offer's"),
    "socket": ({"socket": None}, "socket is not the GPU offer's"),
    "security": ({"security": None}, "security is not the GPU offer's"),
    "data center": ({"data_center": "A-2"}, "data_center is not the GPU offer's"),
    "country": ({"country": None}, "country is not the GPU offer's"),
    "region": ({"region": None}, "region is not the GPU offer's"),
    "spot": ({"spot": True}, "it is a spot offer, and spot was not asked for"),
    "nodes": ({"nodes": 1}, "nodes is 1, 2 was asked for"),
    "hours": ({"hours_per_month": 201}, "hours_per_month is 201, 200 was asked for"),
    "price": ({"usd_hr_on": Decimal("3.5800000001")}, "usd_hr_on is not nodes times price"),
    "average": (
        {"usd_hr": Decimal("0.980821917809")},
        "usd_hr is not usd_hr_on averaged over the month",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("field", GPU_FIELDS)
def test_a_mutated_gpu_is_rejected(field: str) -> None:
    """Changing any one field of a GPU is one violation that names it."""
    chosen, (train, *others) = plan(DEMAND)
    assert train.usd_hr == Decimal("0.980821917808")
    change, sentence = GPU_FIELDS[field]
    found = check(DEMAND, (chosen, [replace(train, **change), *others]))
    assert found == (f"workload train: {sentence}",)


def test_an_average_that_decimals_can_write_is_not_rounded() -> None:
    """A job that runs all month costs its price, however many digits that has."""
    usd_hr = Decimal("1.79000000000000005")
    rows = [{**one, "prices": {"onDemand": usd_hr, "currency": "USD"}} for one in GPUS[:2]]
    chosen, (train, serve, copy) = plan(DEMAND)
    train = replace(train, usd_hr_on=usd_hr * 2)
    copy = replace(copy, usd_hr_on=usd_hr, usd_hr=Decimal("0.002452054795"))
    gpus = listings(rows, NODES)
    for average, right in [(usd_hr, True), (Decimal("1.79"), False)]:
        serve = replace(serve, usd_hr_on=usd_hr, usd_hr=average)
        found = check(DEMAND, (chosen, [train, serve, copy]), gpus=gpus)
        expected = "workload serve: usd_hr is not usd_hr_on averaged over the month"
        assert list(found) == ([] if right else [expected])


@pytest.mark.slow
def test_a_missing_repeated_or_strange_gpu_is_rejected() -> None:
    """Each workload has one GPU, in the demand's order, and nobody else has."""
    chosen, (train, serve, copy) = plan(DEMAND)
    for gpus, found in [
        ([train, serve], "workload copy: no GPU is rented"),
        (
            [train, serve, serve, copy],
            "workload serve: a GPU is rented but was not asked for, or twice",
        ),
        ([serve, train, copy], "GPUs are not in the demand's order"),
        (
            [replace(train, workload="other"), train, serve, copy],
            "workload other: a GPU is rented but was not asked for, or twice",
        ),
    ]:
        assert check(DEMAND, (chosen, gpus)) == (found,)


def test_without_a_gpu_market_no_workload_is_placed() -> None:
    """A plan with GPUs is not valid on a market that has none; one without needs none."""
    chosen, rented = plan(DEMAND)
    offers = addressable(offers_frame(DISKS), exact=True)
    found = verify(DEMAND, offers, chosen, rented=rented)
    assert found[0] == "workload train: no such GPU offer in this market"
    assert verify(DEMAND, offers, chosen)[0] == "workload train: no GPU is rented"
    assert verify(DEMAND.model_copy(update={"workloads": ()}), offers, chosen) == ()


GPU_MARKETS: dict[str, tuple[dict[str, Any], str]] = {
    "out of stock": ({"stockStatus": "Unavailable"}, "the GPU offer is out of stock"),
    "another price": (
        {"prices": {"onDemand": Decimal("1.7900000001"), "currency": "USD"}},
        "usd_hr_on is not nodes times price",
    ),
    "a community price": (
        {"prices": {"onDemand": Decimal("1.79"), "communityPrice": 1, "currency": "USD"}},
        "usd_hr_on is not nodes times price",
    ),
    "unpriced": ({"prices": {"currency": "USD"}}, "the GPU offer cannot be rented"),
    "another currency": (
        {"prices": {"onDemand": Decimal("1.79"), "currency": "EUR"}},
        "the GPU offer cannot be rented",
    ),
    "spot now": ({"isSpot": True}, "it is a spot offer, and spot was not asked for"),
    "spot, and not as planned": ({"isSpot": True}, "spot is not the GPU offer's"),
    "another count": ({"gpuCount": 8}, "no such GPU offer in this market"),
    "no security": ({"security": None}, "security is None, secure_cloud was asked for"),
}


@pytest.mark.sweep
@pytest.mark.parametrize("change", GPU_MARKETS)
def test_a_plan_on_another_gpu_market_is_rejected(change: str) -> None:
    """When the GPU offer is not what it was, the plan fails, and the reason is said."""
    fields, sentence = GPU_MARKETS[change]
    gpus = listings([{**GPUS[0], **fields}, GPUS[1]], NODES)
    assert f"workload train: {sentence}" in check(DEMAND, plan(DEMAND), gpus=gpus)


WORKLOADS: dict[str, tuple[dict[str, Any], str]] = {
    "gpu": ({"gpu": "H100_80GB"}, "gpu_type is A100_80GB, H100_80GB was asked for"),
    "gpus": ({"gpus": 8}, "gpus is 1, 8 was asked for"),
    "socket": ({"socket": "PCIe"}, "socket is SXM4, PCIe was asked for"),
    "security": (
        {"security": "community_cloud"},
        "security is secure_cloud, community_cloud was asked for",
    ),
    "regions": ({"regions": ["canada"]}, "region united_states is not allowed"),
    "providers": ({"providers": ["beta"]}, "provider alpha is not allowed"),
    "mounts": ({"mounts": ["backup"]}, "no copy of backup is at the GPU's site"),
}


@pytest.mark.sweep
@pytest.mark.parametrize("change", WORKLOADS)
def test_a_gpu_for_another_workload_is_rejected(change: str) -> None:
    """Each wish of a workload is held against the offer, as is each volume that it mounts."""
    fields, sentence = WORKLOADS[change]
    train, *others = DOCUMENT["workloads"]
    demand = demand_from({**DOCUMENT, "workloads": [{**train, **fields}, *others]})
    assert check(demand, plan(demand))[0] == f"workload train: {sentence}"


SEVERAL = "backup is not on multi-node disks at the GPU's site"


@pytest.mark.slow
def test_several_nodes_need_a_disk_that_they_can_mount() -> None:
    """More than one node, the multi-node listing, or two jobs at one time."""
    train, serve, copy = DOCUMENT["workloads"]
    both = demand_from({**DOCUMENT, "workloads": [train, serve, {**copy, "nodes": 2}]})
    assert check(both, plan(both)) == (f"workload copy: {SEVERAL}",)
    chosen, rented = plan(DEMAND)
    (row,) = (row for row in records(listed()) if row["listing"] == "multi-node")
    rented[2] = rent(DEMAND, 2, row)
    assert check(DEMAND, (chosen, rented)) == (f"workload copy: {SEVERAL}",)


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("sequential", "hours", "right"), [(True, 729, True), (True, 730, False), (False, 1, False)]
)
def test_jobs_in_turn_share_a_disk(*, sequential: bool, hours: int, right: bool) -> None:
    """Two jobs mount one volume on its only node where they take turns within the month."""
    train, serve, copy = DOCUMENT["workloads"]
    again = {**copy, "name": "again", "hours_per_month": hours}
    document = {**DOCUMENT, "workloads": [train, serve, copy, again]}
    demand = demand_from({**document, "policy": {"sequential": sequential}})
    found = check(demand, plan(demand, gpus_at=[0, 0, 1, 1]))
    expected = [f"workload {name}: {SEVERAL}" for name in ("copy", "again")]
    assert list(found) == ([] if right else expected)


@pytest.mark.slow
def test_every_step_away_from_the_only_solution_is_rejected() -> None:
    """Another offer, size, GPU or number, less or more of anything: none of it passes."""
    tried = 0
    for mutated in mutations():
        assert check(DEMAND, mutated), mutated
        tried += 1
    assert tried > 80


def mutations() -> Iterator[Plan]:
    """Yield the plan with one thing changed, and all that follows from it put right."""
    chosen, rented = plan(DEMAND)
    offers = records(addressable(offers_frame(DISKS), exact=True))
    volumes = {volume.name: volume for volume in DEMAND.volumes}
    for index, one in enumerate(chosen):
        before, after = chosen[:index], chosen[index + 1 :]
        moved = [place(volumes[one.volume], one.replica, offer) for offer in offers]
        steps = [one.provision_gb + step for step in (-10, -1, 1, 10)]
        sized = [
            replace(one, disk_sizes_gb=(gb,), provision_gb=gb, usd_hr=gb * one.usd_gb_hr)
            for gb in steps
        ]
        cents = [replace(one, usd_hr=one.usd_hr + Decimal(unit)) for unit in ("1E-12", "-1E-12")]
        for other in (*moved, *sized, *cents):
            if other != one:
                yield sorted_replicas([*before, other, *after]), rented
        yield [*before, *after], rented
        yield [*before, one, one, *after], rented
    rows = records(listed())
    for index, gpu in enumerate(rented):
        before_, after_ = rented[:index], rented[index + 1 :]
        cents_ = [
            replace(gpu, **{name: getattr(gpu, name) + Decimal("1E-12")})
            for name in ("usd_hr_on", "usd_hr")
        ]
        for other_ in (*(rent(DEMAND, index, row) for row in rows), *cents_):
            if other_ != gpu:
                yield chosen, [*before_, other_, *after_]
        yield chosen, [*before_, *after_]
        yield chosen, [*before_, gpu, gpu, *after_]


def sorted_replicas(chosen: list[Placement]) -> list[Placement]:
    """Return placements with replicas numbered by create key, so that only the move is wrong."""
    order = {volume.name: index for index, volume in enumerate(DEMAND.volumes)}
    ranked = sorted(chosen, key=lambda one: (order[one.volume], key(asdict(one))))
    numbers = [
        sum(other.volume == one.volume for other in ranked[:index])
        for index, one in enumerate(ranked)
    ]
    return [replace(one, replica=number + 1) for one, number in zip(ranked, numbers, strict=True)]
