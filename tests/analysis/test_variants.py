"""Variants: a changed demand is what the edited file says, a changed market what the rows say."""

from __future__ import annotations

import copy
import pickle
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from planner.analysis.grid import axes_of
from planner.analysis.variants import Variants
from planner.demand.read import demand_from
from planner.errors import InputError
from planner.market.gpus import gpus_frame
from planner.market.market import addressable
from planner.market.offers import offers_frame
from planner.schema import records
from tests.solve.live_disks import MARKET, gpu

if TYPE_CHECKING:
    from collections.abc import Callable

Document = dict[str, Any]
GPUS = [gpu("alpha", "2.5"), gpu("beta", "1.79")]


def document() -> Document:
    return {
        "version": 1,
        "project": "p",
        "volumes": [
            {
                "name": "corpus",
                "size": "2 TB",
                "replicas": 2,
                "spread": "provider",
                "regions": ["eu_north"],
                "exclude": {"countries": ["IS"], "providers": ["beta"]},
                "owner": "ada",
                "tags": {"project": "llm"},
            },
            {"name": "scratch", "size_gb": 500, "count": 2, "max_usd_gb_hr": 0.0002},
            {"name": "a.b", "size_gb": 10, "headroom": "25%", "security": "secure_cloud"},
        ],
        "workloads": [
            {"name": "train", "gpu": "H100_80GB", "hours_per_month": 100, "mounts": ["corpus"]},
            {"name": "serve", "gpu": "H100_80GB", "regions": ["eu_north"], "mounts": ["a.b"]},
        ],
        "groups": [{"volumes": ["corpus", "scratch"], "different": "site"}],
        "policy": {"budgets": {"ada": 600}, "max_sites": 4, "hours_per_month": 720},
    }


def variants(grid: dict[str, Any], said: Document | None = None) -> Variants:
    demand = demand_from(said or document())
    offers, gpus = offers_frame(MARKET), gpus_frame(GPUS)
    known = set(offers["provider"])
    axes = axes_of(grid, demand, {"price_factor": known, "gpu_price_factor": known})
    return Variants(demand, offers, gpus, axes)


def only_point(grid: dict[str, Any], said: Document | None = None) -> Any:
    made = variants({key: [value] for key, value in grid.items()}, said)
    return made.demand_at((0,) * len(made.axes))


def every(**fields: Any) -> Callable[[Document], None]:
    """Edit all volumes of the file."""

    def edit(said: Document) -> None:
        for volume in said["volumes"]:
            volume.update(fields)

    return edit


def of(number: int, section: str = "volumes", **fields: Any) -> Callable[[Document], None]:
    """Edit one entry of a section."""
    return lambda said: said[section][number].update(fields)


def both(*edits: Callable[[Document], None]) -> Callable[[Document], None]:
    """Make one edit after the other."""

    def edit(said: Document) -> None:
        for one in edits:
            one(said)

    return edit


def policy(**fields: Any) -> Callable[[Document], None]:
    return lambda said: said["policy"].update(fields)


def resized(said: Document) -> None:
    for volume in said["volumes"]:
        volume.pop("size", None)
        volume["size_gb"] = 4000


def scratch_at(said: Document) -> None:
    """Write the two scratch volumes one by one."""
    entry = said["volumes"].pop(1)
    del entry["count"]
    pair = [{**entry, "name": "scratch-1"}, {**entry, "name": "scratch-2", "replicas": 3}]
    said["volumes"][1:1] = pair
    said["groups"][0]["volumes"] = ["corpus", "scratch-1", "scratch-2"]


CASES: list[tuple[dict[str, Any], Callable[[Document], None]]] = [
    ({}, lambda _: None),
    ({"replicas": 3}, every(replicas=3)),
    ({"replicas": None}, every(replicas=None)),
    ({"size": "4 TB"}, resized),
    ({"volumes.size_gb": 4000}, resized),
    ({"corpus.size": "900 GB"}, of(0, size="900 GB")),
    ({"headroom": "10%"}, every(headroom="10%")),
    ({"a.b.headroom": None}, of(2, headroom=None)),
    ({"spread": "country"}, every(spread="country")),
    ({"multinode": True}, every(multinode=True)),
    ({"stock": "Medium"}, every(stock="Medium")),
    ({"security": "community_cloud"}, every(security="community_cloud")),
    ({"max_disks": 3}, every(max_disks=3)),
    ({"max_usd_gb_hr": "0.0003"}, every(max_usd_gb_hr="0.0003")),
    ({"scratch.max_usd_gb_hr": None}, of(1, max_usd_gb_hr=None)),
    ({"scratch-2.replicas": 3}, scratch_at),
    ({"regions": "canada"}, every(regions=["canada"])),
    ({"regions": ["united_states", "canada"]}, every(regions=["canada", "united_states"])),
    ({"corpus.regions": None}, of(0, regions=None)),
    ({"countries": "NO"}, every(countries=["NO"])),
    ({"data_centers": ["B-1"]}, every(data_centers=["B-1"])),
    ({"providers": ["alpha", "beta"]}, every(providers=["alpha", "beta"])),
    (
        {"corpus.exclude.countries": None},
        of(0, exclude={"providers": ["beta"]}),
    ),
    (
        {"corpus.exclude.regions": "canada"},
        of(0, exclude={"countries": ["IS"], "providers": ["beta"], "regions": ["canada"]}),
    ),
    ({"exclude": {"countries": ["US"]}}, every(exclude={"countries": ["US"]})),
    ({"exclude": None}, every(exclude=None)),
    ({"owner": "bob"}, every(owner="bob")),
    ({"corpus.disks": ["disk-0001", "disk-0002"]}, of(0, disks=["disk-0001", "disk-0002"])),
    ({"max_sites": 2}, policy(max_sites=2)),
    ({"policy.max_sites": None}, policy(max_sites=None)),
    ({"max_providers": 1}, policy(max_providers=1)),
    ({"max_disks_per_site": 2}, policy(max_disks_per_site=2)),
    ({"attach_limits": {"runpod": 4}}, policy(attach_limits={"runpod": 4})),
    ({"max_provider_share": "70%"}, policy(max_provider_share="70%")),
    ({"budget_usd_month": 900}, policy(budget_usd_month=900)),
    ({"budgets.ada": "512.50"}, policy(budgets={"ada": "512.50"})),
    ({"budgets.ada": None}, policy(budgets=None)),
    ({"budgets": {"ada": 1, "bob": 2}}, policy(budgets={"ada": 1, "bob": 2})),
    ({"hours_per_month": 744}, policy(hours_per_month=744)),
    ({"sequential": True}, policy(sequential=True)),
    ({"packing": "never"}, policy(packing="never")),
    ({"over_budget": "allow"}, policy(over_budget="allow")),
    ({"growth": "10%/month", "horizon": 6}, both(every(growth="10%/month"), policy(horizon=6))),
    ({"move": {"overlap": "1 day"}}, policy(move={"overlap": "1 day"})),
    ({"move.overlap": "36 hours"}, policy(move={"overlap": "36 hours"})),
    (
        {"policy.move.payback": "2 weeks", "move.egress_usd_gb": "0.01"},
        policy(move={"payback": "14 days", "egress_usd_gb": "0.01"}),
    ),
    ({"move.overlap": None}, policy(move={"overlap": None})),
    ({"workloads.serve.regions": None}, of(1, "workloads", regions=None)),
    ({"workloads.train.hours_per_month": 50}, of(0, "workloads", hours_per_month=50)),
    ({"workloads.train.mounts": "scratch"}, of(0, "workloads", mounts=["scratch"])),
    ({"workloads.serve.nodes": 2}, of(1, "workloads", nodes=2)),
    (
        {"workloads.providers": "alpha"},
        both(of(0, "workloads", providers=["alpha"]), of(1, "workloads", providers=["alpha"])),
    ),
    (
        {"spot": True},
        both(of(0, "workloads", spot=True), of(1, "workloads", spot=True)),
    ),
]


@pytest.mark.sweep
@pytest.mark.parametrize(("grid", "edit"), CASES, ids=[str(grid) for grid, _ in CASES])
def test_a_variant_is_the_edited_file(
    grid: dict[str, Any], edit: Callable[[Document], None]
) -> None:
    """Whatever a key changes, the demand is the one that the file would give if it said so."""
    said = document()
    edit(said)
    assert only_point(grid) == demand_from(said)


def test_every_field_is_among_the_cases() -> None:
    """No field goes untried; what a workload has alone is tried by two of its own."""
    tried = " ".join(key for grid, _ in CASES for key in grid)
    for model in (demand_from(document()).volumes[0], demand_from(document()).policy):
        for name in type(model).model_fields.keys() - {"name", "tags"}:
            assert name.removesuffix("_percent") in tried, name


@pytest.mark.parametrize(
    ("grid", "edit"),
    [
        (
            {"corpus.replicas": 3, "replicas": 1},
            both(every(replicas=1), of(0, replicas=3)),
        ),
        (
            {"replicas": 1, "corpus.replicas": 3},
            both(every(replicas=1), of(0, replicas=3)),
        ),
        (
            {"exclude.regions": "canada", "exclude": {"countries": ["US"]}},
            every(exclude={"countries": ["US"], "regions": ["canada"]}),
        ),
        (
            {"budgets.bob": 7, "owner": "bob", "budgets": {"ada": 1}},
            both(every(owner="bob"), policy(budgets={"ada": 1, "bob": 7})),
        ),
        ({"corpus.size_gb": 5, "size": "4 TB"}, both(resized, of(0, size_gb=5))),
    ],
)
def test_what_is_said_of_less_goes_before_what_is_said_of_more(
    grid: dict[str, Any], edit: Callable[[Document], Any]
) -> None:
    """One volume before all, a part of a field before the whole, in whatever order they stand."""
    said = document()
    edit(said)
    assert only_point(grid) == demand_from(said)


def test_the_demand_stays_as_it_is() -> None:
    """A variant is another value; and what changes nothing is the demand itself."""
    made = variants({"replicas": [3], "exclude.regions": ["canada"], "budgets.ada": [1]})
    before = copy.deepcopy(made.demand)
    assert made.demand_at((0, 0, 0)) != before
    assert made.demand == before
    assert variants({"price_factor": [2]}).demand_at((0,)) == before


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (
            {"corpus.disks": [["disk-0001", "disk-0002"]], "replicas": [1]},
            (
                "at corpus.disks = ['disk-0001', 'disk-0002'], replicas = 1: 2 disks for 1 "
                "replica; name one for each, or write `replicas: 2` (volume 'corpus')"
            ),
        ),
        (
            {"disks": ["disk-0001"]},
            (
                "at disks = 'disk-0001': disk 'disk-0001' is named by volume 'corpus' already; "
                "volumes share a disk only in a group with `same: disk` (volume 'scratch-1')"
            ),
        ),
        (
            {"hours_per_month": [672], "workloads.train.hours_per_month": [700]},
            (
                "at hours_per_month = 672, workloads.train.hours_per_month = 700: the policy's "
                "month has 672 hours; write at most 672, not 700 (workload 'train')"
            ),
        ),
    ],
)
def test_values_that_contradict_each_other_are_an_error(grid: dict[str, Any], message: str) -> None:
    """Each alone is sound; the message names the point and says what does not go together."""
    with pytest.raises(InputError) as caught:
        only_point({key: values[0] if len(values) == 1 else values for key, values in grid.items()})
    assert str(caught.value) == message
    assert caught.value.hint


# -- the market ---------------------------------------------------------------------------------


def prices(grid: dict[str, Any]) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    made = variants(grid)
    offers, gpus = made.market_at((0,) * len(made.axes))
    assert gpus is not None
    return (
        {row["provider"]: row["usd_gb_hr"] for row in records(offers)},
        {row["provider"]: row["usd_hr"] for row in records(gpus)},
    )


@pytest.mark.parametrize(
    ("grid", "disks", "gpus"),
    [
        ({}, ("0.0001", "0.0002", "0.0003"), ("2.5", "1.79")),
        ({"price_factor": 1.1}, ("0.00011", "0.00022", "0.00033"), ("2.5", "1.79")),
        ({"price_factor.beta": "0.5"}, ("0.0001", "0.0001", "0.0003"), ("2.5", "1.79")),
        (
            {"price_factor": 2, "price_factor.beta": 3},
            ("0.0002", "0.0012", "0.0006"),
            ("2.5", "1.79"),
        ),
        ({"gpu_price_factor": 0.1}, ("0.0001", "0.0002", "0.0003"), ("0.25", "0.179")),
        ({"gpu_price_factor.beta": 2}, ("0.0001", "0.0002", "0.0003"), ("2.5", "3.58")),
        (
            {"price_factor": "1.00000000000000000000000000000000001"},
            (
                "0.000100000000000000000000000000000000001",
                "0.000200000000000000000000000000000000002",
                "0.000300000000000000000000000000000000003",
            ),
            ("2.5", "1.79"),
        ),
    ],
)
def test_factors_multiply_prices_exactly(
    grid: dict[str, Any], disks: tuple[str, ...], gpus: tuple[str, ...]
) -> None:
    """1.1 is eleven tenths, not the binary float next to it; factors of one price multiply."""
    of_disks, of_gpus = prices(grid)
    assert tuple(map(str, of_disks.values())) == disks
    assert tuple(map(str, of_gpus.values())) == gpus


def test_a_price_that_is_none_stays_none() -> None:
    """An unpriced offer gets no price by a factor."""
    rows = copy.deepcopy(MARKET)
    rows[0]["spec"]["pricePerUnit"] = None
    demand = demand_from(document())
    axes = axes_of({"price_factor": [2]}, demand, {"price_factor": {"alpha"}})
    offers, gpus = Variants(demand, offers_frame(rows), None, axes).market_at((0,))
    assert gpus is None
    assert [row["usd_gb_hr"] for row in records(offers)] == [
        None,
        Decimal("0.0004"),
        Decimal("0.0006"),
    ]


def test_without_factors_the_market_is_the_market() -> None:
    """Nothing is computed where nothing changes."""
    made = variants({"replicas": [2]})
    offers, gpus = made.market_at((0,))
    assert gpus is made.gpus
    assert records(offers) == records(addressable(made.offers, exact=True))


@pytest.mark.parametrize("factor", ["1." + "1" * 38, "999999", Decimal("1e-39")])
def test_a_price_beyond_all_prices_is_an_error(factor: Any) -> None:
    """More digits than a price is believed to have, or more than anybody pays."""
    rows = copy.deepcopy(MARKET)
    rows[0]["spec"]["pricePerUnit"] = Decimal("3.14")
    demand = demand_from(document())
    axes = axes_of({"price_factor": [factor]}, demand, {"price_factor": {"alpha"}})
    with pytest.raises(
        InputError, match=r"at price_factor = .*: a price becomes .*, which is none"
    ):
        Variants(demand, offers_frame(rows), None, axes).market_at((0,))


def test_points_fall_apart_into_demand_and_market() -> None:
    """Points that differ in prices alone have one demand, those that do not have one market."""
    made = variants({"price_factor": [1, 2], "replicas": [1, 2], "gpu_price_factor": [3, 4]})
    assert made.of_demand((0, 1, 1)) == (1,)
    assert made.of_market((0, 1, 1)) == (0, 1)
    assert made.text((0, 1, 1)) == "price_factor = 1, replicas = 2, gpu_price_factor = 4"


def test_variants_can_be_sent_to_another_process() -> None:
    """Pickled and back, they give the same demand and the same prices."""
    made = variants({"price_factor": [1.1], "corpus.regions": [None], "budgets.ada": ["5.10"]})
    back = pickle.loads(pickle.dumps(made))  # noqa: S301 -- our own
    assert back.axes == made.axes
    assert back.demand_at((0, 0, 0)) == made.demand_at((0, 0, 0))
    for one, other in zip(back.market_at((0, 0, 0)), made.market_at((0, 0, 0)), strict=True):
        assert one is not None
        assert other is not None
        assert records(one) == records(other)
