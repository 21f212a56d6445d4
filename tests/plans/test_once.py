"""A value is checked at the door: a plan converts each of its inputs once, and digests it once."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner import formats, schema
from planner.demand.read import demand_from
from planner.market import gpus, market, offers
from planner.plans.plan import Plan
from tests.solve import live_disks
from tests.solve.live_disks import disk, frame, gpu

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

DEMAND = {
    "version": 1,
    "volumes": [
        {"name": "corpus", "size_gb": 100, "replicas": 2, "disks": ["disk-0001"]},
        {"name": "scratch", "size_gb": 50},
    ],
    "workloads": [{"name": "train", "gpu": "H100_80GB", "mounts": ["scratch"]}],
}
COUNTED = (
    schema.conform,
    schema.records,
    schema.build,
    formats.digest_of,
    formats.digest_of_list,
    offers.conform_offers,
    market.as_sold,
)
CODE = {function.__code__: function.__name__.removesuffix("_list") for function in COUNTED}

CHECKED = {
    "conform offers": 1,
    "conform_offers": 1,
    "conform gpus": 1,
    "conform disks": 1,
    "as_sold": 1,
}
"""What holds each listing against its declaration, and merges what is sold."""


def conversions(run: Callable[[], object]) -> Counter[str]:
    """Return how often a call converts or digests, by function; `conform` by what it checks."""
    found: Counter[str] = Counter()

    def watch(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and (name := CODE.get(frame.f_code)) is not None:
            found[f"{name} {frame.f_locals['what']}" if name == "conform" else name] += 1

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        run()
    finally:
        sys.setprofile(before)
    return found


def planning() -> Callable[[], Plan]:
    """Return what plans the demand, all frames made before."""
    asked = demand_from(DEMAND)
    listed, disks = offers.offers_frame(live_disks.MARKET), frame(disk("disk-0001"))
    rentable = gpus.gpus_frame([gpu("alpha", "2"), gpu("beta", "3")])
    return lambda: planner.plan(asked, listed, rentable, disks=disks)


@pytest.mark.slow
def test_a_plan_converts_each_input_once() -> None:
    """One check, digest and merge of each input; the solver sorts GPUs and counts places."""
    assert conversions(planning()) == {
        **CHECKED,
        "digest_of": 4,  # of the demand and of each listing
        "build": 5,  # what is sold, disks, GPUs, kept disks as offers, GPUs by create key
        "records": 9,  # of each listing; disks by id, GPUs by create key, sites, what was chosen
    }


@pytest.mark.slow
def test_a_plan_is_saved_and_loaded_through_the_same_door(tmp_path: Path) -> None:
    """Saving hashes the plan's id, no input again; loading checks each listing once."""
    made, path = planning()(), tmp_path / "plan.json"
    assert conversions(lambda: made.save(path)) == {"digest_of": 1}
    found = conversions(lambda: Plan.load(path))
    assert {name: found[name] for name in CHECKED} == CHECKED
    rows = len(live_disks.MARKET) + 2 + 1
    # The demand, each listing, plan_id; each row as it is stored, and as planner writes it.
    assert found["digest_of"] == 1 + 3 + 1 + 2 * rows


def test_a_plan_without_workloads_reads_no_gpus() -> None:
    """What a demand does not ask for costs nothing: no GPU frame, no program, no kept offers."""
    asked = demand_from({"version": 1, "volumes": [{"name": "a", "size_gb": 100}]})
    listed = offers.offers_frame(live_disks.MARKET)
    found = conversions(lambda: planner.plan(asked, listed))
    assert found["digest_of"] == 1 + 3
    assert {name for name in found if name.startswith("conform")} == {
        "conform offers",
        "conform_offers",
    }


def test_a_report_checks_and_digests_the_accounts_disks_once() -> None:
    """However many disks there are: the account of a file is named by one digest of them all."""
    asked = demand_from({"version": 1, "volumes": [{"name": "a", "size_gb": 100}]})
    listed = offers.offers_frame(live_disks.MARKET)
    disks = frame(*(disk(f"disk-000{n}") for n in range(9)))
    made = planner.plan(asked, listed, disks=disks)
    assert conversions(lambda: planner.report(made)) == {
        "conform disks": 1,
        "records": 2,  # the account's disks by id, and for its digest
        "digest_of": 2,  # of the account's disks, and plan_id
    }
