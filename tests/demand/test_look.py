"""What a notebook shows of a demand: all that is asked, in tables that end."""

from __future__ import annotations

from decimal import Decimal

import pytest

from planner.demand.model import Demand, Group, Policy, Volume, Workload
from tests.looks import HOSTILE, SHOWN, look

DASH = "\N{EN DASH}"
ASKS = (
    "headroom_percent: 25; spread: provider; regions: canada, united_states; "
    "exclude countries: IS; tags team: a"
)
DEMAND = Demand(
    project="llm",
    volumes=(
        Volume(
            name="corpus",
            size_gb=4000,
            headroom_percent=Decimal(25),
            replicas=2,
            spread="provider",
            regions=("canada", "united_states"),
            owner="research",
            tags={"team": "a"},
            exclude={"countries": ("IS",)},
        ),
        Volume(name="scratch", size_gb=500),
    ),
    workloads=(Workload(name="job", gpu="A100_80GB", spot=True, mounts=("corpus",)),),
    groups=(Group(volumes=("corpus", "scratch"), same="site"),),
    policy=Policy(budget_usd_month=Decimal("900.5"), budgets={"research": Decimal(600)}),
)


def test_everything_that_is_asked_is_shown() -> None:
    """A row for each volume and workload, a line for each group and rule; defaults are silent."""
    seen = look(DEMAND)
    assert seen.lines[0] == "llm"
    assert seen.rows[:3] == [
        ["name", "size_gb", "replicas", "owner", "asks"],
        [
            "corpus",
            "4,000",
            "2",
            "research",
            ASKS,
        ],
        ["scratch", "500", "1", DASH, ""],
    ]
    assert seen.rows[3:] == [
        ["name", "gpu", "gpus", "nodes", "hours_per_month", "mounts", "asks"],
        ["job", "A100_80GB", "1", "1", DASH, "corpus", "spot: yes"],
    ]
    for line in (
        "corpus, scratch: same site",
        "policy: budget_usd_month: 900.5",
        "policy: budgets research: 600",
    ):
        assert line in seen.lines


def test_a_demand_without_workloads_has_no_table_of_them() -> None:
    """Only what is there: no table of workloads, no column of wishes."""
    alone = Demand(project="x", volumes=(Volume(name="x", size_gb=1),))
    assert look(alone).rows == [
        ["name", "size_gb", "replicas", "owner"],
        ["x", "1", "1", DASH],
    ]


def test_a_fleet_is_counted() -> None:
    """Ten thousand volumes do not fill the page, nor do their groups."""
    volumes = tuple(Volume(name=f"v{n}", size_gb=1) for n in range(500))
    groups = tuple(Group(volumes=(f"v{n}", f"v{n + 1}"), same="site") for n in range(0, 400, 2))
    seen = look(Demand(project="fleet", volumes=volumes, groups=groups))
    assert len(seen.rows) == 61
    assert "500 volumes, the first 60 shown" in seen.lines
    assert seen.lines[-1] == "and 140 more"


@pytest.mark.parametrize(("evil", "shown"), [*zip(HOSTILE, SHOWN, strict=True)])
def test_hostile_text_is_text(evil: str, shown: str) -> None:
    """Owners, tags and places are anybody's words."""
    volume = Volume.model_construct(name="x", size_gb=1, owner=evil, regions=(evil,))
    demand = Demand.model_construct(project=evil, volumes=(volume,))
    seen = look(demand)
    assert seen.lines[0] == shown
    assert seen.rows[1] == ["x", "1", "1", shown, f"regions: {shown}"]
