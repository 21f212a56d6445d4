"""What an account holds: read whole from a marketplace, or from files; what a key may not see."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

import planner
from planner import read_holdings
from planner.errors import InputError, MarketError
from planner.marketplace.credentials import Credentials
from planner.marketplace.fetch import connect
from planner.marketplace.sim.local import Sim
from planner.reports.holdings import GONE, account_holdings, wallet_of
from tests.looks import texts
from tests.reports.world import READ, bill, held, live

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from planner.reports.holdings import Holdings

START = datetime(2026, 3, 1, tzinfo=UTC)


@contextmanager
def market(**options: Any) -> Iterator[Sim]:
    with Sim(clock_speed=0, now=START, seed="holdings", **options) as sim:
        yield sim


def read(sim: Sim, key: str | None = None) -> Holdings:
    credentials = Credentials(
        api_key=SecretStr(key or sim.key), base_url=sim.base_url, team_id=None
    )
    with connect(credentials, pause_s=0.01) as marketplace:
        return account_holdings(marketplace, datetime.now(UTC))


def test_disks_wallet_and_bills_of_a_marketplace() -> None:
    """What accrued agrees with the marketplace's own billing, disk by disk, to the last digit."""
    with market(balance_usd=100) as sim:
        ours = [sim.add_disk(name=f"d{n}", usd_hr=f"0.0{n}7") for n in range(1, 6)]
        sim.attach(ours[0]["id"])
        sim.change_disk(ours[1]["id"], status="ERROR")
        sim.advance(hours=36)
        sim.change_disk(ours[2]["id"], vanish=True)
        sim.advance(hours=12)
        made = planner.report(None, read(sim))
        costs = {disk["id"]: disk["cost_usd"] for disk in sim.disks()}
        balance = sim.balance_usd
    assert made.as_of == "2026-03-03T00:00:00+00:00"
    rows = made.to_document()["disks"]
    assert len(rows) == 4
    for row in rows:
        assert Decimal(row["accrued_usd"]) == costs[row["disk_id"]] == Decimal(row["billed_usd"])
    (wallet,) = made.wallets
    assert wallet.balance_usd == balance
    assert {one.kind: (one.rows, one.usd) for one in wallet.billed} == {
        "disks": (4, sum(Decimal(row["billed_usd"]) for row in rows)),
        GONE: (1, costs[ours[2]["id"]]),
    }
    (runway,) = made.runways()
    usd_hr = Decimal("0.017") + Decimal("0.027") + Decimal("0.047") + Decimal("0.057")
    assert Decimal(runway["now"]["usd_hr"]) == usd_hr
    assert abs(Decimal(runway["now"]["hours_left"]) - balance / usd_hr) < Decimal("1e-5")
    assert made.to_document()["totals"]["idle"]["disks"] == 3
    assert [text for text in made.warnings if "is ERROR and still billed" in text]


def test_the_wallet_lasts_as_long_as_is_said() -> None:
    """Advance the clock by the hours that are left, and the balance is used up."""
    with market(balance_usd="10") as sim:
        sim.add_disk(usd_hr="0.25")
        (runway,) = planner.report(None, read(sim)).runways()
        assert (runway["now"]["hours_left"], runway["now"]["empty_at"]) == (
            "40",
            "2026-03-02T16:00:00+00:00",
        )
        sim.advance(hours=40)
        assert sim.balance_usd == 0


@pytest.mark.slow
def test_more_bills_than_a_page() -> None:
    """Every billing row is read once, however many pages there are."""
    with market(balance_usd=10) as sim:
        for n in range(130):
            sim.add_disk(name=f"d{n}", usd_hr="0.01")
        sim.advance(hours=10)
        found = read(sim)
    assert len({one.key for one in found.bills}) == len(found.bills) == 130
    assert found.unread_bills == 0
    assert sum(one.amount_usd or 0 for one in found.bills) == 13


def test_a_key_that_may_not_see_the_wallet() -> None:
    """The report is made without it, and says so; nothing is taken for zero."""
    with market() as sim:
        sim.add_disk()
        made = planner.report(None, read(sim, "sim-no-wallet"))
    assert made.wallets[0].balance_usd is None
    assert "the balance is unknown" in made.warnings[-1]
    (wallet,) = (one for one in made.sections() if one.name == "wallet")
    assert "unknown" in texts(wallet)[0]
    assert made.runways()[0]["now"]["hours_left"] is None


def test_an_account_that_cannot_be_read_is_an_error() -> None:
    """Half an account is no account."""
    with market(faults=["GET /disks/#1-:status=500"]) as sim, pytest.raises(MarketError):
        read(sim)


@pytest.mark.sweep
@pytest.mark.parametrize("fault", ["status=500", "404", "garbage", "drop-before"])
def test_a_wallet_that_cannot_be_read_loses_the_balance_only(fault: str) -> None:
    """The disks were read whole: their costs stand."""
    with market(faults=[f"GET /billing/wallet#1-:{fault}"]) as sim:
        sim.add_disk(usd_hr="0.5")
        made = planner.report(None, read(sim))
    assert made.after.usd_hr == Decimal("0.5")
    assert made.wallets[0].balance_usd is None
    assert "the balance is unknown" in made.warnings[-1]


def test_an_empty_listing_is_asked_again() -> None:
    """Endpoints are known to answer with nothing, and to recover: one such answer is no account."""
    with market(faults=["GET /disks/#1:list-empty"]) as sim:
        sim.add_disk(usd_hr="0.5")
        assert planner.report(None, read(sim)).after.disks == 1
        sim.fault("GET /disks/#1-:list-empty")
        assert planner.report(None, read(sim)).after.disks == 0  # twice nothing is believed


@pytest.mark.parametrize("balance", ["1e300", "1e-300", "9" * 60])
def test_an_implausible_balance_is_refused(balance: str, tmp_path: Path) -> None:
    """A number beyond reason is refused, not computed with."""
    disks, wallet = tmp_path / "d.json", tmp_path / "w.json"
    disks.write_text("[]")
    wallet.write_text(f'{{"balance_usd": {balance}}}')
    with pytest.raises(InputError, match="implausible balance"):
        read_holdings(disks, wallet)


def test_files_in_the_api_s_shape(tmp_path: Path) -> None:
    """Disks and wallet as they were answered, at a time that the caller knows."""
    disks, wallet = tmp_path / "d.json", tmp_path / "w.json"
    row = {**live("disk-0001"), "priceHr": 0.02}
    disks.write_text(json.dumps({"data": [row], "totalCount": 1}))
    rows = [{"id": "b1", "amount_usd": 1.25, "resource_type": "disks", "resource_id": "disk-0001"}]
    wallet.write_text(
        json.dumps(
            {"balance_usd": 5, "currency": "USD", "total_billings": 3, "recent_billings": rows}
        )
    )
    found = read_holdings(disks, wallet, now=READ)
    assert found.balance_usd == 5
    assert (found.unread_bills, found.base_url) == (2, None)
    (line,) = planner.report(None, found).lines
    assert line.billed_usd == Decimal("1.25")
    assert read_holdings(disks).balance_usd is None


@pytest.mark.parametrize(
    "text",
    ["[]", "{}", '{"balance_usd": "5"}', '{"balance_usd": 1, "currency": "EUR"}', "x"],
)
def test_a_file_that_is_no_wallet(text: str, tmp_path: Path) -> None:
    """A list, no balance, a balance as text, another currency, no JSON."""
    disks, wallet = tmp_path / "d.json", tmp_path / "w.json"
    disks.write_text("[]")
    wallet.write_text(text)
    with pytest.raises(InputError, match="is no wallet"):
        read_holdings(disks, wallet)


def test_bills_that_cannot_be_read_are_no_amount() -> None:
    """A row without an amount is counted as such; its disk's bill is unknown, not part of it."""
    account = held(
        live("disk-0001"),
        live("disk-0002"),
        bills=[
            bill("disk-0001", "1", key="1"),
            bill("disk-0001", None, key="2"),
            bill("disk-0002", "-0.5", key="3"),
            bill(None, "9", "compute", key="4"),
        ],
        unread=None,
    )
    made = planner.report(None, account)
    assert [line.billed_usd for line in made.lines] == [None, Decimal("-0.5")]
    disks, compute = wallet_of(account, None).billed
    assert (disks.rows, disks.unreadable, disks.usd) == (3, 1, Decimal("0.5"))
    assert (compute.kind, compute.rows) == ("compute", 1)
    assert compute.usd == 9
    (section,) = (one for one in made.sections() if one.name == "billed")
    assert [note for note in section.notes if "have no amount" in note]
    assert [note for note in section.notes if "more billing rows" in note]
