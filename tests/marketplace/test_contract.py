"""What every marketplace promises, held against Prime's client on the simulator and against a toy.

A new marketplace is added to `MARKETPLACES` and is done when these tests pass.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

import planner
from planner.demand.read import demand_from
from planner.errors import NotFound, RequestRefused
from planner.marketplace.credentials import Credentials
from planner.marketplace.fetch import connect
from planner.marketplace.protocol import DiskRequest, GpuListing, Marketplace, target_of
from planner.marketplace.sim.local import Sim
from planner.project.context import Pace
from planner.project.execute import Order, apply_plan
from planner.project.journal import Journal
from planner.project.preflight import read_account
from planner.project.status import read_status
from planner.reports.holdings import account_holdings
from tests.marketplace.toy import Toy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


OFFER = {
    "cloudId": "cloud-1",
    "provider": "runpod",
    "dataCenter": "US-1",
    "country": "US",
    "region": "united_states",
    "spec": {"minCount": 0, "maxCount": 8000, "step": 1, "pricePerUnit": Decimal("0.0001")},
    "stockStatus": "High",
    "security": "secure_cloud",
    "isMultinode": True,
}
DEAR = {**OFFER, "dataCenter": "EU-1", "spec": {**OFFER["spec"], "pricePerUnit": Decimal("0.0002")}}  # type: ignore[dict-item]
GPU_LISTINGS: tuple[GpuListing, ...] = ("gpus", "multi-node")
WANTED = DiskRequest("data-1", 100, "runpod", "cloud-1", "US-1", "US")
PACE = Pace(settle_s=1.0, quarantine_s=1.0, timeout_s=20.0)


@contextmanager
def prime(balance_usd: int = 1000) -> Iterator[Marketplace]:
    """Connect Prime's client with a simulator."""
    with (
        Sim([OFFER, DEAR], [], balance_usd=balance_usd, provisioning_s=0) as sim,
        connect(Credentials(SecretStr(sim.key), sim.base_url), **PACE.pacing) as marketplace,
    ):
        yield marketplace


@contextmanager
def toy(balance_usd: int = 1000) -> Iterator[Marketplace]:
    """Open the toy."""
    with Toy([OFFER, DEAR], Decimal(balance_usd)) as marketplace:
        yield marketplace


Opened = Callable[..., AbstractContextManager[Marketplace]]
MARKETPLACES: dict[str, Opened] = {"prime": prime, "toy": toy}


@pytest.fixture(params=MARKETPLACES)
def opened(request: pytest.FixtureRequest) -> Opened:
    """Return what opens each marketplace."""
    return MARKETPLACES[str(request.param)]


def test_offers_are_listed_complete(opened: Opened) -> None:
    """Rows in the fields of a snapshot, with where and when they were read."""
    with opened() as marketplace:
        snapshot = marketplace.listing("disks")
        assert marketplace.listing("multi-node").rows == []
    offers = snapshot.offers()
    assert sorted(offers["data_center"]) == ["EU-1", "US-1"]
    assert offers["problem"].isna().all()
    assert snapshot.source
    assert snapshot.fetched_at is not None
    assert snapshot.fetched_at.tzinfo is not None


def test_a_disk_lives_from_its_create_to_its_delete(opened: Opened) -> None:
    """Created as asked, listed, read, renamed, deleted, and gone."""
    with opened() as marketplace:
        assert marketplace.disks(trust_empty=False).disks == ()
        made = marketplace.create(WANTED)
        assert made.id is not None
        assert {name: getattr(made, name) for name in vars(WANTED)} == vars(WANTED)
        assert made.usd_hr == Decimal("0.01")
        assert made.attached == ()
        assert [disk.id for disk in marketplace.disks(readings=2).live] == [made.id]
        assert marketplace.disks().source
        assert marketplace.disk(made.id).name == "data-1"
        marketplace.rename(made.id, "data-2")
        assert marketplace.disk(made.id).name == "data-2"
        marketplace.delete(made.id)
        assert marketplace.disks().live == ()


def test_gpus_beside_disks_may_be_none(opened: Opened) -> None:
    """An empty answer is an answer; a disk that the account lacks is refused."""
    with opened() as marketplace:
        made = marketplace.create(WANTED)
        assert made.id is not None
        for listing in GPU_LISTINGS:
            shown = marketplace.gpus_beside([made.id], "A100_80GB", listing=listing)
            assert shown.rows == []
        with pytest.raises(RequestRefused):
            marketplace.gpus_beside(["no-such-disk"], "A100_80GB")


def test_refusals_are_types(opened: Opened) -> None:
    """An unknown disk is NotFound; an unknown offer is refused, and nothing is created."""
    with opened() as marketplace:
        with pytest.raises(NotFound):
            marketplace.disk("no-such-disk")
        with pytest.raises(RequestRefused):
            marketplace.create(DiskRequest("x", 100, "runpod", "cloud-1", "MARS-1", "US"))
        assert marketplace.disks().live == ()


def test_an_empty_wallet_buys_nothing(opened: Opened) -> None:
    """The balance is exact, and a create is refused."""
    with opened(0) as marketplace:
        assert marketplace.wallet().balance_usd == 0
        with pytest.raises(RequestRefused):
            marketplace.create(WANTED)


@pytest.mark.parametrize("access", ["availability_read", "disks_read", "wallet_read"])
def test_a_probe_reports_instead_of_raising(opened: Opened, access: Any) -> None:
    """Allowed, with the server's time."""
    with opened() as marketplace:
        probe = marketplace.probe(access)
    assert probe.failure is None
    assert probe.skew_s == pytest.approx(0, abs=2)


def test_what_was_billed_is_counted(opened: Opened) -> None:
    """A row for each disk, all of them read."""
    with opened() as marketplace:
        made = marketplace.create(WANTED)
        wallet = marketplace.wallet(bills=True)
    assert [bill.resource_id for bill in wallet.bills] == [made.id]
    assert wallet.unread_bills == 0


@pytest.mark.slow
@pytest.mark.sweep
def test_plan_apply_status_report(opened: Opened, tmp_path: Path) -> None:
    """The whole way: planned on its offers, bought once however often applied, seen, reported."""
    volumes = [{"name": "a", "size_gb": 100}, {"name": "b", "size_gb": 200, "replicas": 2}]
    demand = demand_from({"version": 1, "project": "lab", "volumes": volumes})
    with opened() as marketplace:
        offers = marketplace.listing("disks").offers()
        target = target_of(marketplace)
        plan = planner.plan(demand, offers, target=target)
        for _ in range(2):
            report = apply_plan(
                plan, marketplace, folder=tmp_path, pace=PACE, order=Order(wait=True)
            )
            assert report.exit_code == 0
        live = marketplace.disks().live
        assert sorted(disk.name or "" for disk in live) == sorted(
            one.request.name for one in plan.planned_disks
        )
        with Journal(tmp_path, write=False) as journal:
            standing = read_status(journal.records, marketplace, project="lab")
        assert standing.exit_code == 0
        assert len(standing.disks) == 3
        again = planner.plan(demand, offers, target=target, disks=read_account(marketplace))
        assert again.plan_id != plan.plan_id
        holdings = account_holdings(marketplace, datetime.now(UTC) + timedelta(hours=1))
        assert len(holdings.disks) == 3
        assert holdings.balance_usd is not None
