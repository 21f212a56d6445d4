"""Live disks that already are volumes: kept where they are, at their price, and never bought."""

from __future__ import annotations

import itertools
import random
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner.demand.read import demand_from
from planner.errors import Infeasible, InputError
from planner.market.gpus import gpus_frame
from planner.market.market import addressable
from planner.market.offers import offers_frame
from planner.plans.explain import explain
from planner.plans.plan import Plan
from planner.solve.existing import Leftover, keep
from planner.solve.optimise import optimise
from planner.solve.optimum import optimum
from planner.solve.problem import Instance
from planner.solve.verify import verify
from tests.market.rows import disk_rows
from tests.solve import brute, exact, instances
from tests.solve.live_disks import MARKET, disk, frame, gpu, held, offer, plan

if TYPE_CHECKING:
    from pathlib import Path

A: dict[str, Any] = {"name": "a"}
B: dict[str, Any] = {"name": "b"}
NAMED: dict[str, Any] = {"name": "a", "disks": ["disk-0001"]}


def test_a_named_disk_is_kept_at_its_live_price() -> None:
    """0.0371 an hour as billed, although 100 GB there sell for 0.01: and nothing is bought."""
    made = plan([NAMED], disk("disk-0001", usd_hr="0.0371"))
    assert held(made) == [("a", 1, "keep", "alpha", "0.0371")]
    assert made.placements[0].disk_ids == ("disk-0001",)
    assert made.placements[0].offer_id is None
    assert made.requests == []
    assert made.exact_totals["new_usd_hr"] == Decimal(0)
    assert made.exact_totals["disk_usd_hr"] == Decimal("0.0371")
    assert made.exact_totals["usd_month"] == Decimal("27.083")  # 0.0371 * 730
    assert made.warnings == ()


def test_only_what_is_bought_is_new() -> None:
    """Fleet: 0.02 live + 0.01 bought; the plan adds, and may spend, 0.01."""
    made = plan([NAMED, B], disk("disk-0001"))
    assert held(made) == [("a", 1, "keep", "alpha", "0.02"), ("b", 1, "create", "alpha", "0.01")]
    assert made.exact_totals["new_usd_hr"] == Decimal("0.01")
    assert made.exact_totals["disk_usd_hr"] == Decimal("0.03")
    assert made.to_document()["limit_usd_hr"] == "0.01"
    assert [one["volume"] for one in made.requests] == ["b"]


def test_a_disk_that_costs_nothing_is_kept() -> None:
    """Zero is a price: a fleet of it costs nothing, and that is proven."""
    made = plan([NAMED], disk("disk-0001", usd_hr="0"))
    assert held(made) == [("a", 1, "keep", "alpha", "0")]
    assert made.solver.status == "optimal"


def test_a_kept_disk_needs_no_market() -> None:
    """Where nothing is sold any more, what exists still stays."""
    assert held(plan([NAMED], disk("disk-0001"), market=[])) == [("a", 1, "keep", "alpha", "0.02")]


def test_a_price_of_many_digits_is_kept_exactly(tmp_path: Path) -> None:
    """A price that size does not divide comes back to the last digit, also from the file."""
    made = plan([NAMED, B], disk("disk-0001", 300, usd_hr="0.02222222222222222"))
    assert made.exact_totals["disk_usd_hr"] == Decimal("0.03222222222222222")
    made.save(tmp_path / "p.json")
    assert Plan.load(tmp_path / "p.json") == made


# -- the policy sees the fleet ------------------------------------------------------------------


@pytest.mark.slow
def test_budgets_count_what_is_kept() -> None:
    """0.02 live + 0.01 new is 21.90 a month: so much is enough, and a cent less is not."""
    volumes = [{**NAMED, "owner": "ada"}, {**B, "owner": "ada"}]
    for policy in ({"budget_usd_month": "21.90"}, {"budgets": {"ada": "21.90"}}):
        assert plan(volumes, disk("disk-0001"), policy=policy).exact_totals["usd_month"] == Decimal(
            "21.9"
        )
    for policy in ({"budget_usd_month": "21.89"}, {"budgets": {"ada": "21.89"}}):
        with pytest.raises(Infeasible):
            plan(volumes, disk("disk-0001"), policy=policy)


@pytest.mark.slow
def test_shares_count_what_is_kept() -> None:
    """300 GB are kept at alpha; of 400 GB it may hold three quarters, so the rest goes to beta."""
    made = plan([NAMED, B], disk("disk-0001", 300), policy={"max_provider_share": "0.75"})
    assert held(made)[1] == ("b", 1, "create", "beta", "0.02")
    with pytest.raises(Infeasible):
        plan([NAMED, B], disk("disk-0001", 300), policy={"max_provider_share": "0.7"})


@pytest.mark.parametrize("cap", ["max_sites", "max_providers"])
def test_caps_count_what_is_kept(cap: str) -> None:
    """One place is allowed and gamma is taken: the new volume goes there, at 0.03 for 0.01."""
    made = plan([NAMED, B], disk("disk-0001", provider="gamma"), policy={cap: 1})
    assert held(made)[1] == ("b", 1, "create", "gamma", "0.03")


def test_a_group_follows_a_kept_disk() -> None:
    """Same site: the other volume goes to gamma, where the disk is, though alpha is cheaper."""
    group = {"volumes": ["a", "b"], "same": "site"}
    made = plan([NAMED, B], disk("disk-0001", provider="gamma"), groups=[group])
    assert held(made)[1] == ("b", 1, "create", "gamma", "0.03")


def test_a_group_keeps_away_from_a_kept_disk() -> None:
    """Different provider: alpha is the disk's, so the other volume pays 0.02 at beta."""
    group = {"volumes": ["a", "b"], "different": "provider"}
    made = plan([NAMED, B], disk("disk-0001"), groups=[group])
    assert held(made)[1] == ("b", 1, "create", "beta", "0.02")


def test_a_region_is_that_of_the_market_at_the_place() -> None:
    """Disks do not tell a region: gamma is in eu_north, and so is beta, the cheaper there."""
    group = {"volumes": ["a", "b"], "same": "region"}
    made = plan([NAMED, B], disk("disk-0001", provider="gamma"), groups=[group])
    assert [one.region for one in made.placements] == ["eu_north", "eu_north"]
    assert held(made)[1] == ("b", 1, "create", "beta", "0.02")


@pytest.mark.slow
def test_jobs_run_beside_kept_disks() -> None:
    """GPUs at alpha cost 1 and at beta 2: the disk is at beta, so the job is."""
    job = {"name": "train", "gpu": "H100_80GB", "mounts": ["a"]}
    made = plan(
        [NAMED],
        disk("disk-0001", provider="beta"),
        gpus=[gpu("alpha", "1"), gpu("beta", "2")],
        workloads=[job],
    )
    assert (made.gpus[0].provider, made.exact_totals["gpu_usd_hr"]) == ("beta", Decimal(2))
    with pytest.raises(Infeasible):
        plan([NAMED], disk("disk-0001", provider="beta"), gpus=[gpu("alpha", "1")], workloads=[job])


@pytest.mark.slow
def test_two_nodes_need_a_kept_disk_that_both_can_mount() -> None:
    """What a disk does not tell is no yes: then there is no plan, and the disk is named."""
    job = {"name": "train", "gpu": "H100_80GB", "nodes": 2, "mounts": ["a"]}
    assert plan([NAMED], disk("disk-0001"), gpus=[gpu("alpha", "1")], workloads=[job]).gpus
    for multinode in (False, None):
        with pytest.raises(Infeasible, match="disk-0001"):
            plan(
                [NAMED],
                disk("disk-0001", multinode=multinode),
                gpus=[gpu("alpha", "1")],
                workloads=[job],
            )


# -- replicas -----------------------------------------------------------------------------------


def test_a_kept_replica_keeps_its_number() -> None:
    """Replica 2 was bought at beta and stays replica 2; the new one is replica 1, at alpha."""
    made = plan(
        [{**A, "replicas": 2}],
        disk("disk-0002", provider="beta"),
        recorded={("a", 2): ("disk-0002",)},
    )
    assert held(made) == [("a", 1, "create", "alpha", "0.01"), ("a", 2, "keep", "beta", "0.02")]
    (request,) = made.requests
    assert (request["replica"], request["disk"]) == (1, 1)


def test_new_replicas_keep_apart_from_kept_ones() -> None:
    """One is kept at alpha, the cheapest: the two others go to beta and gamma."""
    made = plan([{**NAMED, "replicas": 3, "spread": "provider"}], disk("disk-0001"))
    assert [row[2:4] for row in held(made)] == [
        ("keep", "alpha"),
        ("create", "beta"),
        ("create", "gamma"),
    ]


def test_without_spread_several_are_kept_in_one_place() -> None:
    """Two of three are kept at alpha, and the third is bought there too."""
    named = {**A, "replicas": 3, "spread": "none", "disks": ["disk-0001", "disk-0002"]}
    made = plan([named], disk("disk-0001"), disk("disk-0002", usd_hr="0.05"))
    assert held(made) == [
        ("a", 1, "keep", "alpha", "0.02"),
        ("a", 2, "keep", "alpha", "0.05"),
        ("a", 3, "create", "alpha", "0.01"),
    ]


def test_of_volumes_alike_only_the_named_one_is_kept() -> None:
    """Five equal volumes, the third of which has a disk: four are bought, each at 0.01."""
    volumes = [{"name": f"v-{n}"} for n in range(5)]
    made = plan(
        [*volumes[:2], {**volumes[2], "disks": ["disk-0001"]}, *volumes[3:]], disk("disk-0001")
    )
    actions = [one.action for one in made.placements]
    assert actions == ["create", "create", "keep", "create", "create"]
    assert made.exact_totals["new_usd_hr"] == Decimal("0.04")


def test_a_disk_is_nobody_elses_place() -> None:
    """At 0.001 an hour the disk is the cheapest there is; still the other volume buys its own."""
    made = plan([NAMED, B], disk("disk-0001", usd_hr="0.001"))
    assert held(made)[1] == ("b", 1, "create", "alpha", "0.01")


@pytest.mark.slow
def test_copies_that_exist_in_one_place_are_told_by_their_ids() -> None:
    """Two disks in one data centre cannot be copies apart: exit 3 names them and the ways out."""
    named = {**A, "replicas": 2, "disks": ["disk-0001", "disk-0002"]}
    with pytest.raises(Infeasible) as caught:
        plan([named], disk("disk-0001"), disk("disk-0002"))
    (conflict,) = caught.value.conflicts
    assert (conflict["reason"], conflict["disks"]) == ("kept", ["disk-0001", "disk-0002"])
    # One stays at 0.02 and another is bought at beta for 0.02: 0.04 * 730.
    assert "without disk-0002 for a: $29.20/month" in str(caught.value)


def test_what_is_impossible_anyway_is_not_blamed_on_disks() -> None:
    """A volume that no offer is large enough for is told as ever."""
    with pytest.raises(Infeasible) as caught:
        plan([NAMED, {**B, "size_gb": 5000}], disk("disk-0001"))
    assert [one["volume"] for one in caught.value.conflicts] == ["b"]


# -- disks that serve no more -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (None, "disk-0001 no longer exists; replica 1 will be created again"),
        ({"status": "TERMINATED"}, "disk-0001 no longer exists; replica 1 will be created again"),
        ({"status": "ERROR"}, "disk-0001 is ERROR; replica 1 will be replaced"),
        ({"status": "DELETING"}, "disk-0001 is DELETING; replica 1 will be replaced"),
        ({"size": 99}, "has 99 GB, and 100 GB are needed; replica 1 will be replaced"),
    ],
)
def test_a_named_disk_that_is_lost_or_outgrown_is_replaced_and_said(
    row: dict[str, Any] | None, words: str
) -> None:
    """What is gone is created again, what exists is replaced by id, and one sentence says why."""
    rows = () if row is None else (disk("disk-0001", **row),)
    made = plan([NAMED], *rows)
    (placement,) = made.placements
    is_there = "replaced" in words
    assert placement.action == ("replace" if is_there else "create")
    assert placement.replaces == (("disk-0001",) if is_there else ())
    (warning,) = made.warnings
    assert words in warning


BROKEN: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"multinode": True}, {"multinode": False}, "is not multi-node"),
    ({"multinode": True}, {"multinode": None}, "is not multi-node, or unknown"),
    ({"providers": ["beta"]}, {}, "is at provider alpha, and providers are beta"),
    ({"exclude": {"providers": ["alpha"]}}, {}, "is at provider alpha, which is excluded"),
    ({"data_centers": ["B-1"]}, {}, "is at data center A-1"),
    ({"exclude": {"data_centers": ["A-1"]}}, {}, "is at data center A-1, which is excluded"),
    ({"countries": ["NO"]}, {}, "is at country US"),
    ({"exclude": {"countries": ["US"]}}, {}, "is at country US"),
    ({"regions": ["eu_north"]}, {}, "is at region united_states"),
    ({"exclude": {"regions": ["united_states"]}}, {}, "is at region united_states"),
    ({"replicas": 2, "spread": "country"}, {"country": None}, "is at an unknown country"),
    ({"replicas": 2, "spread": "region"}, {"country": "XX"}, "is at an unknown region"),
    (
        {"max_usd_gb_hr": "0.0003"},
        {"usd_hr": "0.0371"},
        "costs 0.000371 USD per GB and hour, and max_usd_gb_hr is 0.0003",
    ),
]


@pytest.mark.parametrize(("volume", "row", "words"), BROKEN)
def test_a_named_disk_that_breaks_a_requirement_contradicts_the_demand(
    volume: dict[str, Any], row: dict[str, Any], words: str
) -> None:
    """It is neither kept nor quietly replaced: the demand asks for both, and that is said."""
    with pytest.raises(Infeasible) as caught:
        plan([{**NAMED, **volume}], disk("disk-0001", **row))
    assert f"disk disk-0001 is named in `disks` and {words}" in str(caught.value)
    assert "without disk-0001: $" in str(caught.value)
    assert "take disk-0001 out of `disks`" in str(caught.value.hint)
    (conflict,) = caught.value.conflicts
    assert (conflict["reason"], conflict["volume"]) == ("kept", "a")


@pytest.mark.parametrize(("volume", "row", "words"), BROKEN)
def test_a_recorded_disk_that_breaks_a_requirement_is_replaced_and_said(
    volume: dict[str, Any], row: dict[str, Any], words: str
) -> None:
    """What planner bought for the volume under an older demand is bought again elsewhere."""
    made = plan([{**A, **volume}], disk("disk-0001", **row), recorded={("a", 1): ("disk-0001",)})
    placement = made.placements[0]
    assert (placement.action, placement.replaces) == ("replace", ("disk-0001",))
    (warning,) = [one for one in made.warnings if one.startswith("volume a: ")]
    assert words in warning
    assert "replica 1 will be replaced" in warning


def test_a_disk_at_the_price_cap_is_kept() -> None:
    """0.03 an hour for 100 GB is the cap to the last digit; by list it is sold for less."""
    made = plan([{**NAMED, "max_usd_gb_hr": "0.0003"}], disk("disk-0001", usd_hr="0.03"))
    assert held(made)[0][2] == "keep"


def test_every_broken_requirement_is_named() -> None:
    """Price and place at once: both stand in one sentence."""
    volume = {**NAMED, "max_usd_gb_hr": "0.0001", "countries": ["NO", "IS"]}
    with pytest.raises(
        Infeasible, match=r"costs .* and is at country US, and countries are IS, NO"
    ):
        plan([volume], disk("disk-0001"))


def test_what_a_listing_of_disks_lacks_is_said_and_not_claimed() -> None:
    """No disk tells its security or stock: one warning, and the closing sentence leaves it out."""
    volume = {**NAMED, "security": "secure_cloud", "stock": "Low", "countries": ["US"]}
    made = plan([volume, {**B, "security": "secure_cloud"}], disk("disk-0001", country=None))
    lacking = "security of a; stock of a; countries of a"
    (told,) = [one for one in made.warnings if "not checked" in one]
    assert told.startswith(f"not checked for existing disks, whose listing lacks it: {lacking}; ")
    (closing,) = [note for note in made.summary().notes if "optimal" in note]
    assert closing.startswith("optimal: no cheaper plan keeps the existing disks, proven exactly")
    assert closing.endswith(f"but not for existing disks: {lacking}")


def test_what_a_disk_answers_is_claimed() -> None:
    """Place, size, price and multi-node are held against it: nothing is left out."""
    volume = {**NAMED, "countries": ["US"], "regions": ["united_states"], "multinode": True}
    made = plan([{**volume, "max_usd_gb_hr": "0.0002"}], disk("disk-0001"))
    assert made.warnings == ()
    (closing,) = [note for note in made.summary().notes if "optimal" in note]
    assert closing.endswith("every constraint and cost checked again without the solver")
    (alone,) = [note for note in plan([A]).summary().notes if "optimal" in note]
    assert alone.startswith("optimal: no cheaper plan exists, proven exactly")


@pytest.mark.parametrize("missing", ["usd_hr", "size", "providerType"])
def test_no_second_one_is_bought_for_what_a_disk_does_not_tell(missing: str) -> None:
    """It may well be the volume, so nothing is planned before somebody has looked."""
    untold: dict[str, Any] = {missing: None}
    with pytest.raises(InputError, match="is not listed in the account"):
        plan([NAMED], disk("disk-0001", **untold))


def test_an_outgrown_disk_is_replaced_and_nothing_else_is_said_of_it(tmp_path: Path) -> None:
    """One sentence, one request, and the file keeps which disk is replaced."""
    made = plan([NAMED], disk("disk-0001", 99))
    assert made.warnings == (
        "volume a: disk disk-0001 has 99 GB, and 100 GB are needed; replica 1 will be replaced",
    )
    assert [one["body"]["disk"]["size"] for one in made.requests] == [100]
    assert made.exact_totals["new_usd_hr"] == Decimal("0.01")
    made.save(tmp_path / "p.json")
    (placement,) = Plan.load(tmp_path / "p.json").placements
    assert (placement.action, placement.replaces) == ("replace", ("disk-0001",))


def test_what_a_disk_does_not_tell_is_not_held_against_lists() -> None:
    """It is named by its user: a country that nobody tells is not the wrong one."""
    made = plan([{**NAMED, "countries": ["NO"]}], disk("disk-0001", country=None))
    assert [one.action for one in made.placements] == ["keep"]


def test_headroom_is_for_what_is_bought() -> None:
    """120 GB would be bought for 100 GB of data; a disk of 100 GB holds them, and is kept."""
    volume = {**NAMED, "headroom": "20%"}
    assert held(plan([volume], disk("disk-0001")))[0][2] == "keep"
    assert plan([{**A, "headroom": "20%"}]).placements[0].provision_gb == 120


# -- what the journal recorded ------------------------------------------------------------------


def test_two_disks_are_one_replica() -> None:
    """150 and 50 GB hold 200 GB together, the larger first, at the sum of their prices."""
    rows = disk("disk-0001", 50, usd_hr="0.005"), disk("disk-0002", 150, usd_hr="0.015")
    recorded = {("a", 1): ("disk-0001", "disk-0002")}
    made = plan([{**A, "size_gb": 200, "max_disks": 2}], *rows, recorded=recorded)
    (one,) = made.placements
    assert one.disk_ids == ("disk-0002", "disk-0001")
    assert one.disk_sizes_gb == (150, 50)
    assert (one.provision_gb, one.usd_hr) == (200, Decimal("0.020"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"status": "ERROR"}, "is ERROR"),
        ({"country": None}, "are not at one place"),
        ({"provider": "beta"}, "are not at one place"),
        ({"multinode": False}, "is not multi-node"),
        ({"size": 50}, "has 150 GB"),
        ({"status": "TERMINATED"}, "are no longer complete (disk-0002 is gone)"),
    ],
)
def test_each_of_two_disks_has_to_serve(change: dict[str, Any], words: str) -> None:
    """Whichever of them fails, the replica is replaced: what is left of the disks, by id."""
    volume = {**A, "size_gb": 200, "multinode": True, "max_disks": 2}
    recorded = {("a", 1): ("disk-0001", "disk-0002")}
    made = plan([volume], disk("disk-0001"), disk("disk-0002", **change), recorded=recorded)
    (placement,) = made.placements
    there = ("disk-0001",) if "gone" in words else ("disk-0001", "disk-0002")
    assert (placement.action, placement.replaces) == ("replace", there)
    assert words in made.warnings[0]


def test_what_is_named_beats_what_is_recorded() -> None:
    """The user says which disk replica 1 is, whatever was bought as it; the other is orphaned."""
    made = plan(
        [{**A, "disks": ["disk-0002"]}],
        disk("disk-0001"),
        disk("disk-0002", usd_hr="0.07"),
        recorded={("a", 1): ("disk-0001",)},
    )
    assert held(made) == [("a", 1, "keep", "alpha", "0.07")]
    assert [disk.id for disk in made.leftover] == ["disk-0001"]


def test_named_and_recorded_replicas_stand_side_by_side() -> None:
    """Replica 1 is named and replica 2 recorded: both are kept."""
    made = plan(
        [{**NAMED, "replicas": 2}],
        disk("disk-0001"),
        disk("disk-0002", provider="beta"),
        recorded={("a", 2): ("disk-0002",)},
    )
    assert [one.disk_ids for one in made.placements] == [("disk-0001",), ("disk-0002",)]


def test_a_disk_named_for_another_volume_is_no_recorded_replica() -> None:
    """It was bought as a and is named as b: it is b's, and a is bought."""
    made = plan(
        [A, {**B, "disks": ["disk-0001"]}], disk("disk-0001"), recorded={("a", 1): ("disk-0001",)}
    )
    assert [one.action for one in made.placements] == ["create", "keep"]


@pytest.mark.parametrize(
    "recorded",
    [
        {("a", 1): ("disk-0001", "disk-0001")},
        {("a", 1): ("disk-0001",), ("a", 2): ("disk-0001",)},
    ],
)
def test_one_disk_is_one_replica(recorded: dict[tuple[str, int], tuple[str, ...]]) -> None:
    """Whatever a record claims, it is kept once and billed once."""
    made = plan([{**A, "replicas": 2, "spread": "none"}, B], disk("disk-0001"), recorded=recorded)
    assert [one.action for one in made.placements].count("keep") == 1
    assert made.exact_totals["disk_usd_hr"] == Decimal("0.04")


def test_replicas_beyond_those_asked_for_are_orphans() -> None:
    """Two were bought and one is wanted now: the second is reported and left alone."""
    made = plan(
        [A],
        disk("disk-0001"),
        disk("disk-0002", provider="beta"),
        recorded={("a", 1): ("disk-0001",), ("a", 2): ("disk-0002",), ("gone", 1): ("disk-0003",)},
    )
    assert [one.action for one in made.placements] == ["keep"]
    assert made.leftover == (Leftover("disk-0002", "a", 2, superseded=False),)
    assert made.warnings == ()
    page = made.summary()
    assert page.commands == ("planner destroy p --id disk-0002",)
    assert "1 disk that the plan no longer needs: $14.60/month until you delete it." in page.notes
    assert page.notes[0] == "Plan: 1 unchanged, 1 to retire. -$14.60/month ($29.20 → $14.60)."


def test_a_superseded_disk_is_neither_kept_nor_replaced() -> None:
    """It is billed until it is retired, and the plan says how; the volume is on the later disk."""
    made = plan(
        [A],
        disk("disk-0001"),
        disk("disk-0002"),
        recorded={("a", 1): ("disk-0002",)},
        superseded={("a", 1): ("disk-0001",)},
    )
    assert [one.disk_ids for one in made.placements] == [("disk-0002",)]
    assert made.leftover == (Leftover("disk-0001", "a", 1, superseded=True),)
    assert made.warnings == ()
    assert made.summary().commands == ("planner retire p",)


def test_a_named_disk_that_was_replaced_gives_way_to_its_replacement() -> None:
    """The demand still names the disk that was outgrown: the one bought for it is kept."""
    made = plan(
        [{**A, "size_gb": 150, "disks": ["disk-0001"]}],
        disk("disk-0001"),
        disk("disk-0002", 150),
        recorded={("a", 1): ("disk-0002",)},
    )
    (placement,) = made.placements
    assert (placement.action, placement.disk_ids) == ("keep", ("disk-0002",))
    (warning,) = [text for text in made.warnings if text.startswith("volume a")]
    assert warning.endswith("a disk that was bought later is used: take this one out of `disks`")


# -- what else the account has ------------------------------------------------------------------


def test_orphans_are_told_with_price_and_never_touched() -> None:
    """Id, name and price; a name that looks like a volume's suggests the line that keeps it."""
    made = plan(
        [A],
        disk("disk-0001", name="theirs"),
        disk("disk-0002", name="a-0123456789ab", usd_hr=None),
    )
    ours, theirs = made.warnings
    alone = "is not used by this plan; planner will not touch it"
    assert theirs == f"disk disk-0001 (theirs, $0.0200 an hour) {alone}"
    assert ours == (
        f"disk disk-0002 (a-0123456789ab, price unknown) {alone}; its name looks "
        "like volume a: `disks: [disk-0002]` keeps it"
    )
    assert [one.action for one in made.placements] == ["create"]


def test_many_disks_that_are_not_used_are_one_sentence() -> None:
    """The first three by id, and how many more there are."""
    rows = [disk(f"disk-000{n}", name=f"x{n}") for n in range(1, 6)]
    (warning,) = plan([A], *rows).warnings
    assert warning.startswith("5 disks of the account are not used by this plan; planner will not")
    assert warning.endswith("disk-0003 (x3, $0.0200 an hour); and 2 more")


@pytest.mark.parametrize(
    "change",
    [
        {"status": "ERROR"},
        {"size": 99},
        {"name": "a-0123456789a"},
        {"name": "b-0123456789ab"},
        {"name": "a-0123456789AB"},
    ],
)
def test_nothing_is_suggested_that_would_not_be_kept(change: dict[str, Any]) -> None:
    """A broken disk, one that is too small, and names that only begin like ours."""
    made = plan([A], disk("disk-0001", **{"name": "a-0123456789ab", **change}))
    assert "not used by this plan" in made.warnings[0]
    assert not [one for one in made.warnings if "keeps it" in one]


def test_a_disk_without_id_cannot_be_named() -> None:
    """It is told, and no line is suggested that no demand could have."""
    (told,) = plan([A], disk("not an id", name="a-0123456789ab")).warnings
    assert told.startswith("disk without id")
    assert "keeps it" not in told


def test_hostile_names_of_disks_are_made_visible() -> None:
    """An escape sequence in a disk's name reaches no warning."""
    (told,) = plan([A], disk("disk-0001", name="\x1b[2J\n")).warnings
    assert told.isprintable()


def test_naming_disks_without_an_account_is_wrong_input() -> None:
    """What nobody listed cannot be kept; buying it again would be a wrong plan."""
    demand = demand_from({"version": 1, "volumes": [{"size_gb": 100, **NAMED}]})
    with pytest.raises(InputError, match="live disks") as caught:
        planner.plan(demand, offers_frame(MARKET))
    assert "--disks FILE" in str(caught.value.hint)


def test_explaining_a_plan_leaves_kept_disks_where_they_are() -> None:
    """Every answer keeps them: the runner-up of b is beta, and a's disk is offered to nobody."""
    made = plan([NAMED, B], disk("disk-0001", usd_hr="0.001"))
    why = explain(made, exact=True)
    rows = {row["volume"]: row for row in why.choices.to_dict("records")}
    assert set(rows) == {"a", "b"}
    offers = why.offers[why.offers["volume"] == "b"]
    (closed,) = offers[offers["offer_id"] == "disk-0001"].to_dict("records")
    assert closed["rules"] == ("kept",)
    assert len(why.requirements) >= 0
    assert len(why.prices) > 0


# -- held against the full program and against brute force --------------------------------------


def account_of(
    rng: random.Random, demand: dict[str, Any], rows: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], dict[tuple[str, int], tuple[str, ...]]]:
    """Return live disks at random places of the market, most of them replicas of volumes."""
    disks: list[dict[str, Any]] = []
    recorded: dict[tuple[str, int], tuple[str, ...]] = {}
    for volume in demand["volumes"]:
        for replica in range(1, volume.get("replicas", 1) + 1):
            if rng.random() < 0.45:
                at = rng.choice(rows)
                disk_id = f"disk-{len(disks):04}"
                disks.append(
                    {
                        "id": disk_id,
                        "status": "ACTIVE",
                        "providerType": at["provider"],
                        "size": volume["size_gb"] + rng.choice([0, 0, 3, -1]),
                        "priceHr": Decimal(rng.choice(["0", "0.0001", "0.0023", "0.00333333333"])),
                        "info": {
                            "cloudId": at["cloudId"],
                            "dataCenterId": at["dataCenter"],
                            "country": at["country"],
                            "isMultinode": rng.choice([True, True, False, None]),
                        },
                    }
                )
                recorded[volume["name"], replica] = (disk_id,)
    return disks, recorded


@pytest.mark.slow
@pytest.mark.parametrize("block", range(2))
def test_presolve_gives_the_plan_of_the_full_program(block: int) -> None:
    """On random instances both give one plan, which keeps every disk, and verify accepts it."""
    compared = 0
    for seed in range(block * 25, block * 25 + 25):
        rng = random.Random(seed)
        rows, (gpus, _) = instances.coupled_market(rng), instances.gpu_market(rng)
        demanded = instances.coupled_demand(rng)
        disks, recorded = account_of(rng, demanded, rows)
        demand, offers = demand_from(demanded), addressable(offers_frame(rows), exact=True)
        listed = gpus_frame(gpus) if demand.workloads else None
        kept = keep(demand, frame(*disks), recorded, offers).kept
        instance = Instance.of(demand, offers, listed, kept)
        if optimum(instance) is None:
            assert (seed, optimum(instance, full=True)) == (seed, None)
            continue
        quick = optimise(demand, offers, listed, kept=kept)
        compared += bool(kept)
        full = optimise(demand, offers, listed, kept=kept, full=True)
        assert (seed, full.placements, full.gpus) == (seed, quick.placements, quick.gpus)
        have = {(one.volume, one.replica): one.disk_ids for one in kept}
        mine = {(p.volume, p.replica): p.disk_ids for p in quick.placements if p.action == "keep"}
        assert mine == have
        problems = verify(
            demand,
            offers,
            quick.placements,
            gpus=listed,
            rented=quick.gpus,
            disks=frame(*disks),
        )
        assert (seed, problems) == (seed, ())
    assert compared >= 5


def _serves(
    demand: dict[str, Any], volume: dict[str, Any], live: dict[str, Any], rows: list[dict[str, Any]]
) -> bool:
    """Return whether a disk meets all that its row answers, in the plainest words."""
    info, price, size = live["info"], Fraction(live["priceHr"]), live["size"]
    site = (live["providerType"], info["dataCenterId"], info["country"])
    regions = {
        row["region"]
        for row in rows
        if (row["provider"], row["dataCenter"], row["country"]) == site
    } or {None}
    here = {"providers": {site[0]}, "data_centers": {site[1]}, "countries": {site[2]}}
    for word, names in {**here, "regions": regions}.items():
        known = names - {None}
        if word in volume and not known <= set(volume[word]):
            return False
        if known & set(volume.get("exclude", {}).get(word, [])):
            return False
    levels = [level for _, level in exact.looked_at(demand, volume)]
    if volume.get("replicas", 1) > 1:
        levels.append(volume.get("spread", "data_center"))
    if ("country" in levels and site[2] is None) or ("region" in levels and None in regions):
        return False
    if volume.get("multinode") and info["isMultinode"] is not True:
        return False
    limit = volume.get("max_usd_gb_hr")
    return size >= volume["size_gb"] and (limit is None or price <= size * Fraction(str(limit)))


@pytest.mark.slow
def test_every_requirement_is_held_against_existing_disks() -> None:
    """On random demands with all kinds of wishes the disks that are kept are those that serve."""
    kept_ones = replaced = 0
    for seed in range(150):
        rng = random.Random(seed)
        rows, demanded = instances.market(rng, 20), instances.demand(rng)
        if not rows:
            continue
        for volume in demanded["volumes"]:
            if rng.random() < 0.4:
                volume["max_usd_gb_hr"] = rng.choice([0.00005, 0.0001, 0.0002])
        disks, recorded = account_of(rng, demanded, rows)
        demand, offers = demand_from(demanded), addressable(offers_frame(rows), exact=True)
        volumes = {volume["name"]: volume for volume in demanded["volumes"]}
        listed = {one["id"]: one for one in disks}
        expected = {
            (name, replica)
            for (name, replica), (disk_id,) in recorded.items()
            if _serves(demanded, volumes[name], listed[disk_id], rows)
        }
        found = keep(demand, frame(*disks), recorded, offers)
        assert (seed, {(one.volume, one.replica) for one in found.kept}) == (seed, expected)
        assert len(found.kept) + len(found.notes) == len(recorded)
        kept_ones += len(expected)
        replaced += len(recorded) - len(expected)
    assert min(kept_ones, replaced) >= 50


@pytest.mark.slow
@pytest.mark.parametrize("block", range(2))
def test_cost_equals_brute_force(block: int) -> None:
    """Of all choices that the enumeration finds, the cheapest that has every kept disk."""
    feasible = 0
    for seed in range(1000 + block * 25, 1025 + block * 25):
        rng = random.Random(seed)
        rows, demanded = instances.coupled_market(rng), instances.coupled_demand(rng)
        demanded.pop("workloads", None)
        disks, recorded = account_of(rng, demanded, rows)
        demand, offers = demand_from(demanded), addressable(offers_frame(rows), exact=True)
        kept = keep(demand, frame(*disks), recorded, offers).kept
        expected = _least(demanded, rows, kept)
        if optimum(Instance.of(demand, offers, None, kept)) is None:
            assert (seed, expected) == (seed, None)
            continue
        found = optimise(demand, offers, kept=kept)
        feasible += bool(kept)
        cost = sum((Fraction(one.usd_hr) for one in found.placements), Fraction(0))
        hours = demand.policy.hours_per_month
        assert (seed, cost * hours) == (seed, expected)
    assert feasible >= 5


def _least(demand: dict[str, Any], rows: list[dict[str, Any]], kept: Any) -> Fraction | None:
    """Return the least monthly cost: a kept replica is an offer of one size at one price."""
    offers = brute.merge(rows)
    options = []
    for volume in demand["volumes"]:
        mine = [one for one in kept if one.volume == volume["name"]]
        stand_ins = [_stand_in(one, volume, offers) for one in mine]
        options.append(list(_with(demand, volume, offers, mine, stand_ins)))
    best = exact._search(demand, [sorted(o, key=lambda x: x.usd_month) for o in options], (), None)
    return None if best is None else best.usd_month


def _stand_in(one: Any, volume: dict[str, Any], offers: list[dict[str, Any]]) -> dict[str, Any]:
    place = (one.provider, one.data_center, one.country)
    regions = {
        region
        for other in offers
        if (other["provider"], other["data_center"], other["country"]) == place
        for region in other["regions"]
    }
    return {
        "provider": one.provider,
        "cloud_id": one.cloud_id,
        "data_center": one.data_center,
        "country": one.country,
        "price": Fraction(1),  # never asked for: what is billed is known
        "security": volume.get("security"),
        "sizes": [sum(one.sizes_gb)],
        "stock": 3,
        "regions": regions or {None},
        "multinode": one.multinode,
    }


def _with(
    demand: dict[str, Any],
    volume: dict[str, Any],
    offers: list[dict[str, Any]],
    kept: list[Any],
    stand_ins: list[dict[str, Any]],
) -> Any:
    """Yield every way to place the other replicas beside the kept ones."""
    replicas, spread = volume.get("replicas", 1), volume.get("spread", "data_center")
    places = [(o, h[0]) for o in offers if (h := brute.provision_of(volume, o)) is not None]
    fixed = sum((Fraction(one.usd_hr) for one in kept), Fraction(0))
    for combo in itertools.combinations_with_replacement(places, replicas - len(kept)):
        chosen = (*stand_ins, *(one for one, _ in combo))
        if replicas > 1 and spread != "none" and not brute.are_apart(list(chosen), spread):
            continue
        looked_at = exact.looked_at(demand, volume)
        if any(None in exact.present(chosen, *kind) for kind in looked_at):
            continue
        usd_hr = fixed + sum((gb * one["price"] for one, gb in combo), Fraction(0))
        gb = sum(sum(one.sizes_gb) for one in kept) + sum(gb for _, gb in combo)
        yield exact.Option(usd_hr * exact.hours(demand), 0, chosen, gb)


def test_one_more_offer_never_costs_more_beside_kept_disks() -> None:
    """A cheaper newcomer takes what is bought, and what is kept stays."""
    newcomer = {**offer("gamma", "0.00001", "eu_north"), "cloudId": "new"}
    before = plan([NAMED, B], disk("disk-0001"))
    after = plan([NAMED, B], disk("disk-0001"), market=[*MARKET, newcomer])
    assert held(after) == [held(before)[0], ("b", 1, "create", "gamma", "0.001")]


@pytest.mark.slow
def test_a_plan_with_kept_disks_is_read_back_equal(tmp_path: Path) -> None:
    """File, frame and document have the disks, and the plan they say."""
    made = plan(
        [{**NAMED, "replicas": 2, "owner": "ada", "tags": {"x": "y"}}, B],
        disk("disk-0001"),
        disk("disk-0009", name="theirs"),
        groups=[{"volumes": ["a", "b"], "same": "site"}],
    )
    made.save(tmp_path / "p.json")
    again = Plan.load(tmp_path / "p.json")
    assert again == made
    assert again.plan_id == made.plan_id
    document = made.to_document()
    assert document["market"]["disks"] == disk_rows(
        frame(disk("disk-0001"), disk("disk-0009", name="theirs"))
    )
    assert document["inputs"]["disks"]["rows"] == 2
    assert document["placements"][0]["disk_ids"] == ["disk-0001"]
    assert made.to_frame(exact=True)["disk_ids"].tolist() == [("disk-0001",), (), ()]


@pytest.mark.slow
def test_the_plan_id_is_of_the_account_too() -> None:
    """Another orphan is another input, and so another plan; the listing's order is nothing."""
    one, two = disk("disk-0001"), disk("disk-0002")
    assert plan([NAMED], one, two).plan_id == plan([NAMED], two, one).plan_id
    assert plan([NAMED], one, two).plan_id != plan([NAMED], one).plan_id


def test_what_a_requirement_costs_is_told_beside_kept_disks() -> None:
    """Free of its allow-list b would be at alpha for 0.01, not on a's disk for 0.001: 7.30 less."""
    volumes = [{**NAMED, "replicas": 2, "spread": "none"}, {**B, "providers": ["beta"]}]
    made = plan(volumes, disk("disk-0001", usd_hr="0.001"))
    rows = explain(made, exact=True).requirements.to_dict("records")
    saved = {(row["about"], row["requirement"]): row["saves_usd_month"] for row in rows}
    assert {name: saves for name, saves in saved.items() if saves} == {
        ("b", "providers: [beta]"): Decimal("7.30"),
        ("a", "replicas: 2"): Decimal("7.30"),
    }
