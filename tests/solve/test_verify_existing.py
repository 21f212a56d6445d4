"""The independent check of what is kept: every field of it is held against account and demand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from planner.errors import PlanCorrupt, PlanInvalid
from planner.formats import digest_of
from planner.plans.plan import Plan
from tests.solve.live_disks import disk, plan

if TYPE_CHECKING:
    from pathlib import Path

VOLUMES = [
    {"name": "a", "disks": ["disk-0001"], "replicas": 2, "multinode": True, "owner": "ada"},
    {"name": "b", "size_gb": 200, "max_disks": 2},
]
ACCOUNT = [
    disk("disk-0001"),
    disk("disk-0002", usd_hr="0.03"),
    disk("disk-0003", usd_hr="0.03"),
    disk("disk-0004", 100, usd_hr="0.02"),
]
RECORDED = {("b", 1): ("disk-0002", "disk-0003")}


def made() -> Plan:
    """Return a plan that keeps a #1 (one disk) and b (two), and buys a #2 at beta."""
    return plan(VOLUMES, *ACCOUNT, recorded=RECORDED)


@pytest.mark.slow
def test_the_plan_holds() -> None:
    """What every mutation starts from has no violation."""
    assert [one.action for one in made().placements] == ["keep", "create", "keep"]
    assert made().violations() == ()


CHANGES: dict[str, tuple[int, dict[str, Any], str]] = {
    "no such disk": (0, {"disk_ids": ("disk-9999",)}, "no such disk"),
    "one of two is gone": (2, {"disk_ids": ("disk-0002", "disk-9999")}, "no such disk"),
    "no disk": (0, {"disk_ids": ()}, "no such disk"),
    "another disk than named": (0, {"disk_ids": ("disk-0004",)}, "the demand names another disk"),
    "a disk beside the named one": (
        0,
        {"disk_ids": ("disk-0001", "disk-0004")},
        "the demand names another disk",
    ),
    "the disk of another volume": (2, {"disk_ids": ("disk-0002", "disk-0001")}, "another replica"),
    "one disk twice": (2, {"disk_ids": ("disk-0002", "disk-0002")}, "counted twice"),
    "another size": (0, {"disk_sizes_gb": (120,), "provision_gb": 120}, "have other sizes"),
    "a sum that is none": (0, {"provision_gb": 101}, "not the sum of the disks"),
    "fewer GB than are stored": (2, {"provision_gb": 100}, "cannot hold 200 GB"),
    "a lower price": (0, {"usd_hr": Decimal("0.01")}, "not what the disks cost"),
    "another provider": (0, {"provider": "beta"}, "the disk is elsewhere"),
    "a cloud id": (0, {"cloud_id": "c"}, "the disk is elsewhere"),
    "another data centre": (0, {"data_center": "A-2"}, "the disk is elsewhere"),
    "another country": (0, {"country": "NO"}, "the disk is elsewhere"),
    "another region": (0, {"region": "eu_north"}, "not what the market says"),
    "no region": (0, {"region": None}, "not what the market says"),
    "an offer": (0, {"offer_id": "abcdef"}, "has no offer"),
    "another owner": (0, {"owner": None}, "owner or tags"),
    "other tags": (0, {"tags": {"x": "y"}}, "owner or tags"),
    "another replica": (0, {"replica": 2}, "is not placed"),
    "another volume": (0, {"volume": "b"}, "is not placed"),
    "bought all the same": (0, {"action": "create"}, "offer_id is not the offer's"),
    "bought with an id": (1, {"disk_ids": ("disk-0004",)}, "what is to be bought has an id"),
    "kept but not there": (1, {"action": "keep"}, "no such disk"),
}


@pytest.mark.sweep
@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_what_is_kept_is_refused(change: str, tmp_path: Path) -> None:
    """By the check, and by whoever loads a file that says so and seals it anew."""
    number, fields, sentence = CHANGES[change]
    before = made()
    placements = list(before.placements)
    placements[number] = replace(placements[number], **fields)
    after = replace(before, placements=tuple(placements))
    assert [one for one in after.violations() if sentence in one]
    path = tmp_path / "p.json"
    after.save(path)
    with pytest.raises((PlanInvalid, PlanCorrupt)):
        Plan.load(path)


def test_the_price_per_gb_of_what_is_kept_is_what_is_billed() -> None:
    """Shown only, and still not free to say anything."""
    before = made()
    first, *others = before.placements
    after = replace(before, placements=(replace(first, usd_gb_hr=Decimal(1)), *others))
    assert any("price by size" in one for one in after.violations())


ACCOUNTS: dict[str, tuple[dict[str, Any], str]] = {
    "in error": ({"status": "ERROR"}, "keeps nothing"),
    "being deleted": ({"status": "DELETING"}, "keeps nothing"),
    "not multi-node": ({"multinode": False}, "it is not multi-node, or unknown"),
    "perhaps multi-node": ({"multinode": None}, "it is not multi-node, or unknown"),
    "dearer": ({"usd_hr": "0.05"}, "not what the disks cost"),
    "without a price": ({"usd_hr": None}, "its price is not listed"),
    "smaller": ({"size_gb": 99}, "have other sizes"),
    "elsewhere": ({"country": "NO"}, "the disk is elsewhere"),
}


@pytest.mark.sweep
@pytest.mark.parametrize("change", ACCOUNTS)
def test_what_the_account_does_not_have_cannot_be_kept(change: str, tmp_path: Path) -> None:
    """The same plan beside another account is refused, however well its digests agree."""
    fields, sentence = ACCOUNTS[change]
    before = made()
    first, *others = before.market.disk_rows
    disks = ({**first, **fields}, *others)
    sealed = {**before.inputs["disks"], "digest": digest_of(list(disks))}
    after = replace(
        before,
        market=replace(before.market, disk_rows=disks),
        inputs={**before.inputs, "disks": sealed},
    )
    assert [one for one in after.violations() if sentence in one]
    after.save(tmp_path / "p.json")
    with pytest.raises((PlanInvalid, PlanCorrupt)):
        Plan.load(tmp_path / "p.json")


def test_a_second_one_bought_beside_a_named_disk_is_refused(tmp_path: Path) -> None:
    """A consistent plan that buys what is named and there does not load."""
    honest = plan([{"name": "a", "disks": ["disk-0001"]}], disk("disk-0001"))
    greedy = plan([{"name": "a"}], disk("disk-0001"))
    after = replace(honest, placements=greedy.placements, solver=greedy.solver)
    after.save(tmp_path / "p.json")
    with pytest.raises(PlanInvalid):
        Plan.load(tmp_path / "p.json")


@pytest.mark.slow
def test_a_kept_disk_where_the_volume_must_not_be_is_refused() -> None:
    """The demand forbids the place afterwards: lists, exclusions and the market's region."""
    before = plan([{"name": "a"}], disk("disk-0001"), recorded={("a", 1): ("disk-0001",)})
    for wish in (
        {"providers": ("beta",)},
        {"data_centers": ("B-1",)},
        {"countries": ("NO",)},
        {"regions": ("eu_north",)},
    ):
        volume = before.demand.volumes[0].model_copy(update=wish)
        demand = before.demand.model_copy(update={"volumes": (volume,)})
        problems = replace(before, demand=demand).violations()
        assert [one for one in problems if "not allowed" in one], wish


@pytest.mark.slow
def test_without_the_account_nothing_can_be_kept() -> None:
    """A plan whose disks are left out of the file is no plan."""
    bare = replace(made(), market=replace(made().market, disk_rows=()))
    assert [one for one in bare.violations() if "no such disk" in one]
