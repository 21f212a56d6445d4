"""The GPU market as a person looks at it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.errors import FrameError, InputError
from planner.market.gpu_view import GPU_GROUPS, GpuFilter, gpus, parse_gpu, unknown_gpus
from planner.market.gpus import gpus_frame, mark_gpus, unknown_model
from planner.market.offers import offers_frame
from planner.market.snapshot import join_gpus
from planner.schema import records
from tests.market.rows import brief, cells, disk, gpu

TB_MONTH = 1000 * 730
LISTING = gpus_frame(
    [
        gpu(gpuCount=8, prices={"onDemand": Decimal(16)}),
        gpu(gpuCount=1, prices={"onDemand": Decimal("2.5")}, isSpot=True),
        gpu(gpuType="A100_80GB", dataCenter="A-2", prices={"onDemand": Decimal("1.5")}),
        gpu(gpuType="A100_80GB", provider="beta", stockStatus="Unavailable", region="canada"),
        gpu(provider="beta", prices={"currency": "EUR"}, security="community_cloud"),
    ]
)


def shown(which: GpuFilter | None = None, **asked: Any) -> list[dict[str, Any]]:
    return cells(gpus(LISTING, None, which, **asked, exact=True))


def test_sorted_by_the_price_of_one_gpu() -> None:
    """Eight for 16 dollars are cheaper than one for 2.50; what cannot be rented comes last."""
    listed = [(row["gpu_type"], row["gpus"], row["usd_gpu_hr"]) for row in shown()]
    assert listed == [
        ("A100_80GB", 1, Decimal("1.5")),
        ("H100_80GB", 8, Decimal(2)),
        ("A100_80GB", 1, Decimal("2.5")),
        ("H100_80GB", 1, Decimal("2.5")),
        ("H100_80GB", 1, None),
    ]
    assert next(row["gpus"] for row in shown(sort="gpus", descending=True)) == 8


@pytest.mark.parametrize(
    ("which", "rows"),
    [
        (GpuFilter(gpus=["H100_80GB"]), [1, 2, 5]),
        (GpuFilter(gpus=["H100_80GB:8"]), [1]),
        (GpuFilter(gpus=["H100_80GB:8", "A100_80GB"]), [1, 3, 4]),
        (GpuFilter(providers=["beta"]), [4, 5]),
        (GpuFilter(regions=["canada"]), [4]),
        (GpuFilter(data_centers=["A-2"]), [3]),
        (GpuFilter(countries=["CA"]), []),
        (GpuFilter(security="community_cloud"), [5]),
        (GpuFilter(stock="Low"), [1, 2, 3, 5]),
        (GpuFilter(spot=True), [2]),
        (GpuFilter(spot=False), [1, 3, 4, 5]),
        (GpuFilter(multinode=True), []),
    ],
)
def test_filters(which: GpuFilter, rows: list[int]) -> None:
    """Each filter keeps the rows that it names; unknown is not spot."""
    assert sorted(row["row"] for row in shown(which)) == rows


def test_disks_beside_gpus() -> None:
    """The cheapest disk in stock at the site, by the listing's own rules of who meets whom."""
    disks = offers_frame(
        [
            disk(spec={"pricePerUnit": Decimal("0.0003")}),
            disk(cloudId="b", spec={"pricePerUnit": Decimal("0.0002")}),
            disk(cloudId="c", spec={"pricePerUnit": Decimal("0.0001")}, stockStatus="Sold out"),
            disk(provider="beta", dataCenter=None, spec={"pricePerUnit": Decimal("0.0004")}),
        ]
    )
    beside = {
        (row["provider"], row["data_center"]): (row["disks"], row["disk_usd_tb_month"])
        for row in cells(gpus(LISTING, disks, exact=True))
    }
    assert beside == {
        ("alpha", "A-1"): ("yes", TB_MONTH * Decimal("0.0002")),
        ("alpha", "A-2"): ("no", None),
        ("beta", "A-1"): ("unconfirmed", TB_MONTH * Decimal("0.0004")),
    }


@pytest.mark.slow
def test_a_cluster_needs_disks_that_several_nodes_mount() -> None:
    """What is beside an offer of the multi-node listing is the multi-node disk, at its price."""
    both = join_gpus(gpus_frame([gpu()]), gpus_frame([gpu(gpuCount=16)], listing="multi-node"))
    cheap = disk(isMultinode=False, spec={"pricePerUnit": Decimal("0.0001")})
    shared = disk(cloudId="b", spec={"pricePerUnit": Decimal("0.0005")})
    prices = {
        row["listing"]: row["disk_usd_tb_month"]
        for row in cells(gpus(both, offers_frame([cheap, shared]), exact=True))
    }
    assert prices == {
        "gpus": TB_MONTH * Decimal("0.0001"),
        "multi-node": TB_MONTH * Decimal("0.0005"),
    }
    alone = cells(gpus(both, offers_frame([cheap]), exact=True))
    assert {row["listing"]: row["disks"] for row in alone} == {"gpus": "yes", "multi-node": "no"}


places = st.builds(
    lambda provider, center, country: {
        "provider": provider,
        "dataCenter": center,
        "country": country,
    },
    st.sampled_from(["alpha", "beta"]),
    st.sampled_from(["A-1", "A-2", None]),
    st.sampled_from(["US", None]),
)


@pytest.mark.slow
@brief
@given(st.lists(places, min_size=1, max_size=4), st.lists(places, min_size=1, max_size=4))
def test_gpus_and_offers_agree_on_who_meets_whom(
    disks: list[dict[str, Any]], rented: list[dict[str, Any]]
) -> None:
    """A site has the GPU in one table exactly where the GPU has a disk in the other."""
    offers = offers_frame([disk(cloudId=str(n), **place) for n, place in enumerate(disks)])
    listing = gpus_frame([gpu(**place) for place in rented])
    of_gpus = {row["disks"] for row in cells(gpus(listing, offers, exact=True))}
    of_disks = {row["gpu"] for row in cells(mark_gpus(offers, listing, "H100_80GB", exact=True))}
    assert ("yes" in of_gpus) == ("yes" in of_disks)
    assert (of_gpus == {"no"}) == (of_disks <= {"no", None})  # null: only the disk could tell


def test_groups() -> None:
    """Counts, the prices of one GPU, and the sites with disks, the cheapest group first."""
    disks = offers_frame([disk()])
    grouped = cells(gpus(LISTING, disks, group_by="model", exact=True))
    assert grouped[0] == {
        "gpu_type": "A100_80GB",
        "offers": 2,
        "in_stock": 1,
        "sites": 2,
        "models": ("A100_80GB",),
        "gpus": (1,),
        "min_usd_gpu_hr": Decimal("1.5"),
        "max_usd_gpu_hr": Decimal("2.5"),
        "disk_sites": 0,
        "disk_usd_tb_month": None,
    }
    assert grouped[1]["gpus"] == (1, 8)
    assert (grouped[1]["disk_sites"], grouped[1]["disk_usd_tb_month"]) == (1, Decimal(73))
    assert cells(gpus(LISTING, group_by="model", exact=True))[0]["disk_sites"] is None


@pytest.mark.parametrize("by", GPU_GROUPS)
def test_groups_count_every_row_once(by: str) -> None:
    """No offer is lost in a table of groups."""
    assert sum(row["offers"] for row in cells(gpus(LISTING, group_by=by, exact=True))) == len(
        LISTING
    )


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ({"group_by": "models"}, "did you mean model?"),
        ({"group_by": "x"}, "choose from"),
        ({"sort": "price"}, "did you mean usd_gpu_hr?"),
        ({"group_by": "model", "sort": "price"}, "did you mean min_usd_gpu_hr?"),
    ],
)
def test_wrong_columns(asked: dict[str, Any], hint: str) -> None:
    """A column that is not there is answered with the one that was likely meant."""
    with pytest.raises(InputError) as caught:
        shown(**asked)
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize("text", ["", ":8", "A100:", "A100:0", "A100:x", "A100:-1", "A100:8:8"])
def test_what_is_no_gpu(text: str) -> None:
    """A model, or a model and a number."""
    with pytest.raises(InputError):
        parse_gpu(text)
    with pytest.raises(InputError):
        GpuFilter(gpus=[text])


def test_filters_are_lists() -> None:
    """A text where a list belongs is an error, not a list of letters."""
    with pytest.raises(InputError):
        GpuFilter(gpus="A100_80GB")
    with pytest.raises(InputError):
        GpuFilter(regions="canada")
    with pytest.raises(InputError):
        GpuFilter(stock="high")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("a100_80gb", "A100_80GB"),
        ("A100", "A100_80GB"),
        ("NVIDIA A100 80GB PCIe", "A100_80GB"),
        ("H100-80GB", "H100_80GB"),
        ("L40", "L40S_48GB"),
        ("H10_80GB", "H100_80GB"),
    ],
)
def test_models_are_recognised(typed: str, meant: str) -> None:
    """Case, signs, maker, memory and slips of the keyboard do not hide what was meant."""
    known = ["A100_80GB", "H100_80GB", "L40S_48GB"]
    assert f"did you mean {meant}?" in unknown_model(typed, known)


def test_a_model_that_is_like_none_is_answered_with_what_there_is() -> None:
    """And hostile text is shown, not obeyed."""
    sentence = unknown_model("TPU\x1b[2J", ["B200_180GB", "A100_80GB"])
    assert sentence == "no GPU offer has the model TPU\\x1b[2J; there are A100_80GB, B200_180GB"
    assert unknown_model("A100", []) == "no GPU offer has the model A100"


def test_a_number_that_no_offer_has() -> None:
    """The numbers that offers do have are said."""
    rows = records(LISTING)
    asked = GpuFilter(gpus=["H100_80GB:4", "H100_80GB:8", "H10_80GB"])
    assert list(unknown_gpus(rows, asked)) == [
        "no offer has 4 H100_80GB; offers have 1, 8",
        "no GPU offer has the model H10_80GB; did you mean H100_80GB?",
    ]


def test_a_frame_that_is_no_listing() -> None:
    """What is not a GPU listing is refused with the columns it lacks."""
    with pytest.raises(FrameError, match="gpu_type"):
        gpus(LISTING.drop(columns="gpu_type"), exact=True)
