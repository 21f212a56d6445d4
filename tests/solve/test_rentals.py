"""Every workload against every GPU offer, on markets that can be worked out by hand."""

from __future__ import annotations

import random
from dataclasses import fields
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.demand.model import Demand, Policy, Volume, Workload
from planner.errors import FrameError
from planner.market.gpus import gpus_frame
from planner.market.market import addressable
from planner.market.offers import offers_frame
from planner.market.snapshot import join_gpus
from planner.schema import build
from planner.solve.optimise import optimise
from planner.solve.rentals import (
    CHOSEN_GPUS,
    GPU_RULES,
    RENTAL_CANDIDATES,
    RENTAL_REJECTIONS,
    Gpu,
    Rentals,
    gpu_choice,
    gpu_rules_of,
    rent,
)
from planner.units import averaged_usd_hr
from tests.market.rows import brief, cells, disk, gpu


def job(name: str = "train", **wishes: Any) -> Workload:
    """Return a workload for one H100 that mounts the corpus, with these wishes in their place."""
    return Workload(**{"name": name, "gpu": "H100_80GB", "mounts": ("corpus",), **wishes})


def demand(*workloads: Workload, **policy: Any) -> Demand:
    """Return a demand of two volumes, corpus and scratch, with these workloads."""
    volumes = tuple(Volume(name=name, size_gb=100) for name in ("corpus", "scratch"))
    return Demand(project="t", volumes=volumes, workloads=workloads, policy=Policy(**policy))


def held(
    workloads: list[Workload],
    gpus: list[dict[str, Any]],
    disks: list[dict[str, Any]] | None = None,
    *,
    multi: list[dict[str, Any]] | None = None,
    **policy: Any,
) -> Rentals:
    """Return the rentals of workloads on rows of the API."""
    listed = join_gpus(gpus_frame(gpus), gpus_frame(multi or [], listing="multi-node"))
    offers = addressable(offers_frame([disk()] if disks is None else disks), exact=True)
    return rent(demand(*workloads, **policy), offers, listed)


def priced(usd: str | None, **fields: Any) -> dict[str, Any]:
    """Return a GPU row at this price."""
    return gpu(prices={"onDemand": None if usd is None else Decimal(usd)}, **fields)


ON_SPOT = {"isSpot": True}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wishes", "row", "rules"),
    [
        ({}, {}, ()),
        ({}, {"gpuCount": "1"}, ("malformed", "gpu_count")),
        ({}, {"stockStatus": "Unavailable"}, ("unavailable",)),
        ({}, {"stockStatus": None}, ()),
        ({}, {"gpuType": "H100_80gb"}, ("gpu_type",)),
        ({"gpus": 8}, {}, ("gpu_count",)),
        ({"gpus": 8}, {"gpuCount": 8}, ()),
        ({}, {"gpuCount": None}, ("gpu_count",)),
        ({"socket": "SXM5"}, {}, ()),
        ({"socket": "PCIe"}, {}, ("socket",)),
        ({"socket": "SXM5"}, {"socket": None}, ("socket",)),
        ({}, {"socket": None}, ()),
        ({}, ON_SPOT, ("spot",)),
        ({"spot": True}, ON_SPOT, ()),
        ({"spot": True}, {"isSpot": False}, ()),
        ({"spot": True}, {"isSpot": None}, ()),
        ({"spot": False}, {"isSpot": None}, ()),
        ({"security": "secure_cloud"}, {}, ()),
        ({"security": "community_cloud"}, {}, ("security",)),
        ({"security": "secure_cloud"}, {"security": None}, ("security",)),
        ({"security": "any"}, {"security": None}, ()),
        ({"providers": ("alpha", "beta")}, {}, ()),
        ({"providers": ("beta",)}, {}, ("provider",)),
        ({"regions": ("canada", "united_states")}, {}, ()),
        ({"regions": ("canada",)}, {}, ("region",)),
        ({"regions": ("canada",)}, {"region": None}, ("region",)),
        ({}, {"region": None, "country": None, "dataCenter": None, "cloudId": None}, ()),
        (
            {"gpus": 2, "socket": "PCIe", "regions": ("canada",), "providers": ("beta",)},
            {"gpuType": "A100_80GB", **ON_SPOT, "stockStatus": "Unavailable"},
            ("unavailable", "gpu_type", "gpu_count", "socket", "spot", "provider", "region"),
        ),
    ],
)
def test_rules(wishes: dict[str, Any], row: dict[str, Any], rules: tuple[str, ...]) -> None:
    """A GPU offer breaks exactly the rules it breaks; missing is unknown, never yes."""
    rentals = held([job(**wishes)], [gpu(**row)])
    assert gpu_rules_of(int(rentals.broken[0, 0])) == rules
    assert set(rules) <= set(GPU_RULES)


@pytest.mark.parametrize("usd", [None, "0", "-1", "NaN"])
def test_unpriced_is_not_free(usd: str | None) -> None:
    """A GPU offer without a usable price is rejected, alone or beside others."""
    rentals = held([job()], [priced(usd), priced("9")])
    assert rentals.rejections()["rules"].tolist() == [("unpriced",)]
    assert rentals.candidates()["usd_hr"].tolist() == [Decimal(9)]


def test_every_row_stays_in_its_place() -> None:
    """Equal rows, malformed ones and both listings are all there, by key, null first."""
    rows = [gpu(provider="beta"), gpu(cloudId=None), gpu(), gpu(), {}]
    rentals = held([job()], rows, multi=[gpu()])
    assert rentals.gpus.index.tolist() == [0, 1, 2, 3, 4, 5]
    assert rentals.gpus["provider"].isna().tolist() == [True, *[False] * 5]
    assert [row["cloud_id"] for row in rentals.rows[1:]] == [None, *["a-h100"] * 4]
    assert rentals.rows[5]["provider"] == "beta"
    assert [row["listing"] for row in rentals.rows[2:5]] == ["gpus", "gpus", "multi-node"]
    assert len(rentals.candidates()) + len(rentals.rejections()) == 6


def test_amounts_by_hand() -> None:
    """Two nodes at 2.5 USD for 200 hours are 1,000 USD a month, or 1.369863… over 730 hours."""
    rentals = held([job(nodes=2, hours_per_month=200)], [priced("2.5")])
    assert rentals.usd_hr_on(0, 0) == Decimal(5)
    assert rentals.usd_month(0, 0) == Decimal(1000)
    assert rentals.usd_hr(0, 0) == Decimal("1.369863013699")
    (row,) = cells(rentals.candidates())
    assert row == {
        "workload": "train",
        "offer_id": rentals.rows[0]["offer_id"],
        "provider": "alpha",
        "cloud_id": "a-h100",
        "data_center": "A-1",
        "country": "US",
        "usd_hr_on": Decimal(5),
        "usd_hr": Decimal("1.369863013699"),
    }


@pytest.mark.parametrize("month", [672, 730, 744])
def test_a_job_without_hours_runs_all_month(month: int) -> None:
    """Then the average is what it costs while it runs, to the last of twenty digits."""
    usd = "1.23456789012345678901"
    rentals = held([job()], [priced(usd)], hours_per_month=month)
    assert rentals.usd_hr(0, 0) == rentals.usd_hr_on(0, 0) == Decimal(usd)
    assert rentals.hours == (month,)


@pytest.mark.slow
@given(
    st.decimals(min_value=0, max_value=10**6, places=12),
    st.integers(1, 744),
    st.integers(672, 744),
)
def test_average_is_exact_or_rounded_half_even(usd: Decimal, hours: int, month: int) -> None:
    """The average equals the quotient where that ends, else it is its twelfth place half-even."""
    amount = usd * hours
    found, quotient = averaged_usd_hr(amount, month), Fraction(amount) / month
    odd = quotient.denominator
    for prime in (2, 5):
        while odd % prime == 0:
            odd //= prime
    if odd == 1:
        assert Fraction(found) == quotient
    else:
        assert Fraction(found) * 10**12 == round(quotient * 10**12)


GPU_AT = [
    ({}, {}, True),
    ({"provider": "beta"}, {}, False),
    ({"dataCenter": "B"}, {}, False),
    ({"country": "CA"}, {}, False),
    ({"country": None}, {}, True),
    ({}, {"country": None}, True),
    ({"country": None}, {"country": None}, True),
    ({"dataCenter": None}, {}, True),
    ({}, {"dataCenter": None}, True),
    ({"dataCenter": None}, {"country": "CA"}, False),
    ({"provider": "beta"}, {"dataCenter": None}, False),
    ({"dataCenter": None}, {"dataCenter": None}, True),
    ({"dataCenter": None, "country": "CA"}, {"dataCenter": None}, False),
    ({"dataCenter": None, "country": None}, {"dataCenter": None}, True),
]


@pytest.mark.sweep
@pytest.mark.parametrize(("where", "place", "met"), GPU_AT)
def test_where_gpus_and_disks_meet(
    where: dict[str, Any], place: dict[str, Any], *, met: bool
) -> None:
    """The provider is equal, and data centre and country where both name them."""
    rentals = held([job()], [gpu(**where)], [disk(**place)])
    assert rentals.meets.tolist() == [[met]]
    assert rentals.mountable(0, 0, 0).tolist() == [met]


DISKS = [
    disk(cloudId="1", isMultinode=True),
    disk(cloudId="2", isMultinode=False),
    disk(cloudId="3", isMultinode=None),
    disk(cloudId="4", dataCenter="B", isMultinode=True),
]
ALL, SEVERAL = [True, True, True, False], [True, False, False, False]


def test_one_node_mounts_any_disk_of_its_site() -> None:
    """One workload on one node of the single-node listing needs no multi-node disk."""
    assert held([job()], [gpu()], DISKS).mountable(0, 0, 0).tolist() == ALL


def test_two_nodes_need_multinode_disks() -> None:
    """More than one node mounts only what several nodes can; unknown is no."""
    assert held([job(nodes=2)], [gpu()], DISKS).mountable(0, 0, 0).tolist() == SEVERAL


def test_multinode_listing_needs_multinode_disks() -> None:
    """One offer of the multi-node listing is several nodes, the same row of the other is not."""
    rentals = held([job()], [gpu()], DISKS, multi=[gpu()])
    assert [row["listing"] for row in rentals.rows] == ["gpus", "multi-node"]
    assert rentals.mountable(0, 0, 0).tolist() == ALL
    assert rentals.mountable(0, 0, 1).tolist() == SEVERAL


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("hours", "policy", "several"),
    [
        ((365, 365), {"sequential": True}, False),
        ((365, 366), {"sequential": True}, True),
        ((365, 365), {"sequential": True, "hours_per_month": 729}, True),
        ((1, 1), {"sequential": False}, True),
        ((1, None), {"sequential": True}, True),
        ((None, None), {}, True),
    ],
)
def test_two_workloads_share_a_volume(
    hours: tuple[int | None, ...], policy: dict[str, Any], *, several: bool
) -> None:
    """They need a multi-node disk unless they run in turn and their hours fit into the month."""
    jobs = [job(f"job-{at}", hours_per_month=each) for at, each in enumerate(hours)]
    rentals = held(jobs, [gpu()], DISKS, **policy)
    for w in (0, 1):
        assert rentals.mountable(w, 0, 0).tolist() == (SEVERAL if several else ALL)
        assert rentals.mountable(w, 1, 0).tolist() == ALL
    assert rentals.shared.tolist() == [several, False]


def test_hours_are_added_over_the_workloads_of_one_volume_only() -> None:
    """Three jobs of 300 hours: the volume of all three is shared, that of two fits in turn."""
    jobs = [
        job("a", mounts=("corpus", "scratch"), hours_per_month=300),
        job("b", mounts=("corpus", "scratch"), hours_per_month=300),
        job("c", hours_per_month=300),
    ]
    rentals = held(jobs, [gpu()], DISKS, sequential=True)
    assert rentals.shared.tolist() == [True, False]
    assert rentals.mounts == ((0, 1), (0, 1), (0,))


def test_a_job_of_two_nodes_asks_for_itself_only() -> None:
    """In turn, the job of one node mounts any disk even where the other needs multi-node."""
    jobs = [job("wide", nodes=2, hours_per_month=10), job("narrow", hours_per_month=10)]
    rentals = held(jobs, [gpu()], DISKS, sequential=True)
    assert rentals.mountable(0, 0, 0).tolist() == SEVERAL
    assert rentals.mountable(1, 0, 0).tolist() == ALL


def test_what_is_mountable_is_the_callers() -> None:
    """Writing into the answer does not move a site."""
    rentals = held([job()], [gpu()], DISKS)
    rentals.mountable(0, 0, 0)[:] = False
    assert rentals.meets.tolist() == [ALL]


def everywhere(rentals: Rentals) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return that every GPU offer is allowed."""
    return np.ones(len(rentals.gpus), dtype=np.bool_)


def test_best_is_cheapest_then_stock_then_order() -> None:
    """Of five offers the cheap one is spot; 2.5 and 2.50 tie, and stock decides, then the key."""
    rows = [
        priced("1", cloudId="a", isSpot=True),
        priced("2.5", cloudId="b", stockStatus="Low"),
        priced("2.50", cloudId="c", stockStatus="High"),
        priced("2.5", cloudId="d", stockStatus="Available"),
        priced("2.5000000000000000001", cloudId="e", stockStatus="High"),
    ]
    rentals = held([job(), job("spot", spot=True)], rows)
    allowed = everywhere(rentals)
    order = []
    while (g := rentals.best(0, allowed)) is not None:
        order.append(rentals.rows[g]["cloud_id"])
        allowed[g] = False
    assert order == ["c", "d", "b", "e"]
    assert rentals.best(1, everywhere(rentals)) == 0


def test_best_of_nothing() -> None:
    """No GPU offer, none allowed or none admissible: none is best."""
    assert held([job()], []).best(0, np.zeros(0, dtype=np.bool_)) is None
    rentals = held([job()], [gpu(), gpu(gpuType="A100_80GB"), priced(None)])
    assert rentals.best(0, np.zeros(3, dtype=np.bool_)) is None
    assert (
        rentals.best(0, np.array([row["gpu_type"] != "H100_80GB" for row in rentals.rows])) is None
    )


def test_chosen_gpu_by_hand() -> None:
    """A choice has the plan's fields: the offer as listed, the job's nodes and hours, its cost."""
    rentals = held([job(nodes=2, hours_per_month=73)], [priced("2.5", socket=None)])
    assert gpu_choice(rentals, 0, 0) == Gpu(
        workload="train",
        offer_id=rentals.rows[0]["offer_id"],
        provider="alpha",
        cloud_id="a-h100",
        gpu_type="H100_80GB",
        gpus=1,
        nodes=2,
        socket=None,
        spot=False,
        security="secure_cloud",
        data_center="A-1",
        country="US",
        region="united_states",
        hours_per_month=73,
        usd_hr_on=Decimal(5),
        usd_hr=Decimal("0.5"),
    )


@pytest.mark.sweep
@pytest.mark.parametrize(("listed", "chosen"), [(True, True), (False, False), (None, False)])
def test_chosen_spot(*, listed: bool | None, chosen: bool) -> None:
    """What nobody says is no spot offer."""
    rentals = held([job(spot=True)], [gpu(isSpot=listed)])
    assert gpu_choice(rentals, 0, 0).spot is chosen


def test_chosen_gpus_as_a_frame() -> None:
    """The declared columns are the fields, in their order, and hold a choice."""
    assert [column.name for column in CHOSEN_GPUS] == [each.name for each in fields(Gpu)]
    frame = build([vars(gpu_choice(held([job()], [gpu()]), 0, 0))], CHOSEN_GPUS)
    assert [str(dtype) for dtype in frame.dtypes] == [column.stored for column in CHOSEN_GPUS]
    assert all(column.meaning for column in (*CHOSEN_GPUS, *RENTAL_REJECTIONS))


@pytest.mark.sweep
@pytest.mark.parametrize("jobs", [0, 2])
@pytest.mark.parametrize("rows", [0, 3])
@pytest.mark.parametrize("disks", [0, 2])
def test_shapes_of_nothing(jobs: int, rows: int, disks: int) -> None:
    """No workloads, no GPU offers and no disks have the same columns and types as some."""
    rentals = held([job(f"j{at}") for at in range(jobs)], [gpu()] * rows, DISKS[:disks])
    assert rentals.broken.shape == (jobs, rows)
    assert rentals.broken.dtype == np.uint32
    assert rentals.meets.shape == (rows, disks)
    assert rentals.meets.dtype == rentals.multinode.dtype == np.bool_
    assert list(rentals.candidates()) == [column.name for column in RENTAL_CANDIDATES]
    assert list(rentals.rejections()) == [column.name for column in RENTAL_REJECTIONS]


def test_columns_of_pairs() -> None:
    """Candidates and rejections have the columns that their readers know."""
    assert " ".join(column.name for column in RENTAL_CANDIDATES) == (
        "workload offer_id provider cloud_id data_center country usd_hr_on usd_hr"
    )
    assert " ".join(column.name for column in RENTAL_REJECTIONS) == (
        "workload offer_id provider data_center rules"
    )


def test_callers_frames_stay_as_they_were() -> None:
    """A frame with the caller's own index and order is read, not changed, and its origin kept."""
    gpus = gpus_frame([gpu(), gpu(provider="beta")]).iloc[[1, 0]]
    gpus.attrs = {"source": "here"}
    offers = addressable(offers_frame(DISKS), exact=True)
    before = gpus.copy(), offers.copy()
    rentals = rent(demand(job()), offers, gpus)
    pd.testing.assert_frame_equal(gpus, before[0])
    pd.testing.assert_frame_equal(offers, before[1])
    assert rentals.gpus["provider"].tolist() == ["alpha", "beta"]
    assert rentals.gpus.attrs == {"source": "here"}


def test_frame_that_is_no_gpu_frame() -> None:
    """A missing column is named."""
    gpus = gpus_frame([gpu()]).drop(columns="usd_hr")
    with pytest.raises(FrameError, match="gpus: column usd_hr is missing"):
        optimise(demand(job()), addressable(offers_frame([]), exact=True), gpus)


@pytest.mark.slow
@brief
@given(st.integers(0, 10**6))
def test_order_of_the_listing_does_not_show(seed: int) -> None:
    """Permuted rows give the same rentals, the same best, and pairs that are all accounted for."""
    rng = random.Random(seed)
    rows = [_random_row(rng) for _ in range(rng.randint(0, 8))]
    jobs = [job(f"j{at}", **_random_wishes(rng)) for at in range(3)]
    left, right = held(jobs, rows, DISKS), held(jobs, rng.sample(rows, len(rows)), DISKS)
    pd.testing.assert_frame_equal(left.gpus.drop(columns="row"), right.gpus.drop(columns="row"))
    assert np.array_equal(left.broken, right.broken)
    assert np.array_equal(left.meets, right.meets)
    assert len(left.candidates()) + len(left.rejections()) == 3 * len(rows)
    for w in range(3):
        fit = [g for g in range(len(rows)) if left.broken[w, g] == 0]
        best = min(fit, key=lambda g: (left.usd_month(w, g), _shortage(left, g), g), default=None)
        assert left.best(w, everywhere(left)) == right.best(w, everywhere(right)) == best


def _shortage(rentals: Rentals, g: int) -> int:
    ranks = {"High": 0, "Available": 0, "Medium": 1, "Low": 2, "unknown": 3, "Unavailable": 4}
    return ranks.get(rentals.rows[g]["stock"], 3)


def _random_row(rng: random.Random) -> dict[str, Any]:
    return priced(
        rng.choice(["1", "1.0", "2", "0.999", None]),
        provider=rng.choice(["alpha", "beta"]),
        cloudId=rng.choice([None, "a"]),
        dataCenter=rng.choice([None, "A-1", "B"]),
        country=rng.choice([None, "US", "CA"]),
        stockStatus=rng.choice(["High", "Available", "Medium", "Low", "Unavailable", "odd"]),
        isSpot=rng.choice([None, None, True]),
        security=rng.choice([None, "secure_cloud"]),
    )


def _random_wishes(rng: random.Random) -> dict[str, Any]:
    return {
        "spot": rng.random() < 0.5,
        "nodes": rng.randint(1, 3),
        "hours_per_month": rng.choice([None, 1, 200]),
        "security": rng.choice(["any", "secure_cloud"]),
        "providers": rng.choice([None, ("alpha",)]),
    }
