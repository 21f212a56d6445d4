"""Amounts are floats where a frame is handed out, and exact again where it is taken in."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import pytest

import planner
from planner.errors import InputError
from planner.market.snapshot import Snapshot, save_snapshot
from planner.schema import as_pandas
from tests.market.rows import disk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

DISKS, GPUS = "shipped:disk-offers", "shipped:gpu-offers"
LONG = "0.000123287671232876712"
"""A price of more digits than a float has."""


def market(folder: Path, *prices: str) -> str:
    """Return the name of a snapshot of offers at these prices, written as they stand here."""
    rows = [
        disk(dataCenter=f"A-{n}", spec={"pricePerUnit": Decimal(price)})
        for n, price in enumerate(prices)
    ]
    save_snapshot(Snapshot(rows, "here"), folder / "market.json")
    return str(folder / "market.json")


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("read", "column"),
    [
        (lambda **exact: planner.read_offers(DISKS, **exact), "usd_gb_hr"),
        (lambda **exact: planner.read_gpus(GPUS, **exact), "usd_hr"),
        (lambda **exact: planner.read_gpus(GPUS, **exact), "usd_month"),
        (
            lambda **exact: planner.addressable(planner.read_offers(DISKS), **exact),
            "usd_gb_hr",
        ),
        (
            lambda **exact: planner.offers(
                planner.read_offers(DISKS), planner.Filter(size_gb=4000), **exact
            ),
            "usd_month",
        ),
        (
            lambda **exact: planner.offers(
                planner.read_offers(DISKS), group_by="provider", **exact
            ),
            "min_usd_gb_hr",
        ),
        (lambda **exact: planner.gpus(planner.read_gpus(GPUS), **exact), "usd_gpu_hr"),
        (
            lambda **exact: planner.mark_gpus(
                planner.read_offers(DISKS), planner.read_gpus(GPUS), "A100_80GB", **exact
            ),
            "gpu_usd_hr",
        ),
    ],
)
def test_amounts_are_floats_unless_asked_otherwise(
    read: Callable[..., pd.DataFrame], column: str
) -> None:
    """Both have the same columns and values: a float is the nearest to the exact amount."""
    floats, exact = read(), read(exact=True)
    assert list(floats.columns) == list(exact.columns)
    assert str(floats[column].dtype) == "float64"
    known = exact[column].dropna()
    assert len(known)
    assert {type(value) for value in known} == {Decimal}
    assert floats[column].dropna().tolist() == [float(value) for value in known]
    assert floats[column].isna().tolist() == exact[column].isna().tolist()


def changed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame as people leave it that say nothing new: other order, more columns."""
    shuffled = frame.sample(frac=1, random_state=3).assign(usd_tb_hr=frame["usd_gb_hr"] * 1000)
    return shuffled.query("usd_gb_hr > 0 or usd_gb_hr.isna()")


@pytest.mark.sweep
@pytest.mark.parametrize("prices", [("0.0001", "0.00012"), (LONG, "0.0002"), ("1e-4", LONG)])
def test_a_frame_from_pandas_gives_the_same_plan(prices: tuple[str, ...], tmp_path: Path) -> None:
    """Whatever pandas did that says nothing new, to the last digit of a price."""
    volume = {"name": "a", "size": "500 GB"}
    demand = planner.demand_from({"version": 1, "volumes": [volume]})
    file = market(tmp_path, *prices)
    exact = planner.plan(demand, planner.read_offers(file, exact=True))
    offers = planner.read_offers(file)
    for frame in (offers, changed(offers), offers.copy(), offers[offers["usd_gb_hr"].notna()]):
        assert planner.plan(demand, frame).plan_id == exact.plan_id
    assert exact.placements[0].usd_gb_hr == min(map(Decimal, prices))


def test_a_price_that_was_changed_is_the_shortest_decimal_that_reads_so() -> None:
    """A tenth more of 0.1 is 0.11, as the float prints, and not its binary digits."""
    offers = planner.read_offers(DISKS)
    dearer = planner.plan(
        planner.read_demand("shipped:minimal"), offers.assign(usd_gb_hr=0.1 * 1.1)
    )
    assert {placement.usd_gb_hr for placement in dearer.placements} == {Decimal(repr(0.1 * 1.1))}


class OtherFrame:
    """A frame as polars has them: columns by name, each with a name and values."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.columns = list(frame.columns)
        self._frame = frame

    def iter_columns(self) -> Any:
        for name in self.columns:
            values = self._frame[name]
            yield OtherColumn(name, values.astype(object).where(values.notna(), None).tolist())


class OtherColumn:
    def __init__(self, name: str, values: list[Any]) -> None:
        self.name, self._values = name, values

    def to_list(self) -> list[Any]:
        return self._values


@pytest.mark.slow
def test_frames_of_polars_are_taken() -> None:
    """Every function that takes a frame takes it, and the plan is the same."""
    offers, gpus = planner.read_offers(DISKS), planner.read_gpus(GPUS)
    others, other_gpus = (cast("pd.DataFrame", OtherFrame(frame)) for frame in (offers, gpus))
    demand = planner.read_demand("shipped:finetune")
    plan = planner.plan(demand, offers, gpus)
    assert planner.plan(demand, others, other_gpus).plan_id == plan.plan_id
    which = planner.Filter(size_gb=1000)
    assert len(planner.offers(others, which)) == len(planner.offers(offers, which))
    marks = (planner.mark_gpus(frame, gpus, "A100_80GB")["gpu"] for frame in (others, offers))
    assert next(marks).equals(next(marks))


@pytest.mark.slow
def test_polars_itself() -> None:
    """The library that the test above stands in for, where it is installed."""
    polars = pytest.importorskip("polars")
    offers = planner.read_offers(DISKS)
    demand = planner.read_demand("shipped:minimal")
    values = {column.name: column.to_list() for column in OtherFrame(offers).iter_columns()}
    frame = polars.DataFrame(values, strict=False)
    assert planner.plan(demand, frame).plan_id == planner.plan(demand, offers).plan_id


def test_what_is_no_frame_is_said() -> None:
    """A list is no market, and the answer names the function that reads one."""
    with pytest.raises(InputError, match="a frame is needed, not list") as caught:
        as_pandas([1, 2])
    assert "read_offers" in (caught.value.hint or "")
