"""Groups: every way of grouping takes every disk once."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.reports.aggregates import GROUPS
from planner.reports.merge import merge_reports
from tests.reports.world import READ, held, live, name_of, planned, report
from tests.shipped_plans import finetune, research

DISKS = ("a", "b #1", "b #2")


def amounts(made: object, by: str) -> dict[str | None, Decimal]:
    return {one.value: one.rate.usd_hr for one in made.groups(by)}  # type: ignore[attr-defined]


def test_the_ways_of_grouping() -> None:
    """By volume, owner, each tag there is, provider, site and region; the dearest first."""
    made = report(planned())
    assert made.by == ("volume", "owner", "tag:team", "provider", "site", "region")
    assert amounts(made, "volume") == {"b": Decimal("0.06"), "a": Decimal("0.01")}
    assert list(amounts(made, "owner")) == ["bob", "ann"]
    assert amounts(made, "tag:team") == {None: Decimal("0.06"), "one": Decimal("0.01")}
    assert amounts(made, "provider") == {"beta": Decimal("0.04"), "alpha": Decimal("0.03")}
    assert amounts(made, "site") == {
        "beta B-1 (NO)": Decimal("0.04"),
        "alpha A-1 (US)": Decimal("0.03"),
    }
    assert amounts(made, "region") == {
        "eu_north": Decimal("0.04"),
        "united_states": Decimal("0.03"),
    }


def test_the_copies_of_a_volume_are_told_apart_where_a_plan_changes_them() -> None:
    """B has two copies, at two prices; a has one, and no number."""
    (section,) = (one for one in report(planned()).sections() if one.name == "changes")
    assert [row[1] for row in section.rows] == ["b #2", "b #1", "a"]


def test_volumes_of_several_projects_are_told_apart() -> None:
    """Two plans have a volume a: each table names the project, as the groups do."""
    other = replace(planned(project="other"), nonce="nonce-2")
    both = merge_reports([report(planned()), report(other)], now=READ)
    for name in ("changes", "disks"):
        (section,) = (one for one in both.sections() if one.name == name)
        column = [one.name for one in section.columns].index("disk")
        titles = {row[column] for row in section.rows}
        assert titles == {f"{project}/{disk}" for project in ("lab", "other") for disk in DISKS}


def test_now_and_after_stand_side_by_side() -> None:
    """What is there of a group, and what the group comes to with the rest bought."""
    plan = planned()
    bought = live("disk-0001", name=name_of(plan, "a"), usd_hr="0.01")
    made = report(plan, held(bought, live("disk-0002", provider="beta")))
    found = {one.value: one for one in made.groups("provider")}
    assert found["beta"].now is not None
    assert found["beta"].now.usd_hr == Decimal("0.02")
    assert found["beta"].rate.usd_hr == Decimal("0.06")
    assert {one.now for one in report(plan).groups("provider")} == {None}


@pytest.mark.slow
def test_gpus_are_at_places_and_belong_to_nobody() -> None:
    """Their cost stands at the provider, site and region where they are, once."""
    made = report(finetune())
    whole = made.gpu_usd_month
    assert whole == sum(gpu.usd_hr_on * gpu.hours_per_month for gpu in finetune().gpus) > 300
    for by in ("provider", "site", "region"):
        assert sum(one.gpu_usd_month or 0 for one in made.groups(by)) == whole
    assert {one.gpu_usd_month for one in made.groups("owner")} == {None}


PLAN = planned()


@pytest.mark.slow
@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["alpha", "beta", "gamma"]),
            st.decimals(0, 5, places=7) | st.none(),
            st.integers(1, 9999),
        ),
        max_size=10,
    )
)
def test_each_way_adds_up_to_the_total(disks: list[tuple[str, Decimal | None, int]]) -> None:
    """Whatever there is: disks, GB, unpriced and money of the groups are those of the whole."""
    rows = [
        live(f"disk-{n:04}", size=size, provider=at, usd_hr=None if usd is None else str(usd))
        for n, (at, usd, size) in enumerate(disks)
    ]
    made = report(PLAN, held(*rows))
    for by in made.by:
        found = [one.rate for one in made.groups(by)]
        assert sum(one.usd_hr for one in found) == made.after.usd_hr
        assert sum(one.disks for one in found) == made.after.disks == len(disks) + 3
        assert sum(one.size_gb for one in found) == made.after.size_gb
        assert sum(one.unpriced for one in found) == made.after.unpriced


def test_groups_as_a_frame() -> None:
    """Declared columns; each way one after the other, and each adds up."""
    made = report(research())
    frame = made.groups_frame(exact=True)
    assert list(frame.columns) == [column.name for column in GROUPS]
    for _, part in frame.groupby("by"):
        assert sum(part["usd_month"]) == made.after.per(730)
    assert set(made.groups_frame("owner", exact=True)["by"]) == {"owner"}
