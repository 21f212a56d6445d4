"""Several demand files planned together, under one policy."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import planner

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run

OFFERS = planner.read_offers("shipped:disk-offers")


def _demand(project: str, *volumes: dict[str, Any], **more: Any) -> planner.Demand:
    return planner.demand_from(
        {"version": 1, "project": project, "volumes": [*volumes], **more}, project=project
    )


CORPUS = {"name": "corpus", "size": "2 TB"}
VISION = _demand("vision", CORPUS, {"name": "cache", "size": "1 TB", "owner": "shared"})
SEARCH = _demand("search", CORPUS)


def test_names_and_owners_follow_the_project() -> None:
    """Volumes, mounts and members are renamed together; an owner that is named stays."""
    job = {"name": "train", "gpu": "A100_80GB", "mounts": ["corpus"]}
    group = {"volumes": ["corpus", "cache"], "different": "site"}
    cache = {"name": "cache", "size": "1 TB", "owner": "shared"}
    asked = _demand("vision", CORPUS, cache, workloads=[job], groups=[group])
    whole = planner.fleet([asked, SEARCH])
    assert whole.project == "search-vision"
    owners = [(volume.name, volume.owner) for volume in whole.volumes]
    assert owners == [
        ("vision.corpus", "vision"),
        ("vision.cache", "shared"),
        ("search.corpus", "search"),
    ]
    assert [(each.name, each.mounts) for each in whole.workloads] == [
        ("vision.train", ("vision.corpus",))
    ]
    assert [each.volumes for each in whole.groups] == [("vision.corpus", "vision.cache")]
    assert planner.Demand.from_document(whole.to_document()) == whole


def test_without_a_policy_it_costs_what_the_parts_cost() -> None:
    """Nothing couples them: the sum of both plans, each with its own disks."""
    parts = [planner.plan(each, OFFERS) for each in (VISION, SEARCH)]
    whole = planner.plan(planner.fleet([VISION, SEARCH]), OFFERS)
    months = [part.exact_totals["usd_month"] for part in parts]
    assert whole.exact_totals["usd_month"] == sum(months)


def test_a_large_fleet_is_told_by_owner() -> None:
    """Owners by cost with their budgets, whose sums are the plan's; the budget of all is said."""
    volumes = [{"name": f"v{n}", "size": f"{n + 1} TB"} for n in range(8)]
    teams = [
        _demand(f"team-{n}", *volumes, policy={"budget_usd_month": 1900 if n else 1800})
        for n in range(8)
    ]
    policy = planner.Policy(budget_usd_month=Decimal(20000), over_budget="allow")
    plan = planner.plan(planner.fleet(teams, policy), OFFERS)
    first, owners = plan.sections()
    assert owners.footer is not None
    assert (len(owners.rows), owners.rows[0][0]) == (8, "team-0")
    assert [row[-1] for row in owners.rows] == ["over"] + ["within"] * 7
    assert owners.footer[3] == plan.exact_totals["usd_month"]
    assert sum(row[3] for row in owners.rows) == owners.footer[3]
    budgets = [note for note in first.notes if note.startswith("budget")]
    assert len(budgets) == 1
    assert planner.plan(teams[1], OFFERS).sections()[1:] == []


def test_a_shared_limit_couples_what_each_would_choose_alone() -> None:
    """Half of 5 TB at the cheapest provider: the rest goes elsewhere, at the least cost."""
    half = planner.Policy(max_provider_share=Decimal("0.5"))
    whole = planner.plan(planner.fleet([VISION, SEARCH], half), OFFERS)
    gb = {place.provider: 0 for place in whole.placements}
    for place in whole.placements:
        gb[place.provider] += place.provision_gb
    assert max(gb.values()) * 2 <= sum(gb.values()) == 5000
    # 2 TB at $0.00007, 2 TB at $0.000097 and 1 TB at one of the two, for 730 hours: with 5 TB,
    # neither may hold more than 2.5 TB, so a third provider has the last one.
    third = min(
        price
        for price in map(Decimal, OFFERS["usd_gb_hr"].astype(str))
        if price > Decimal("0.000097")
    )
    least = (2000 * Decimal("0.00007") + 2000 * Decimal("0.000097") + 1000 * third) * 730
    assert abs(Decimal(whole.totals["usd_month"]) - least) < Decimal("0.01")


def test_budgets_become_those_of_owners() -> None:
    """A file's own budget is its only owner's; budgets by owner are joined."""
    own = _demand("search", CORPUS, policy={"budget_usd_month": 500})
    budgets = _demand("vision", CORPUS, policy={"budgets": {"vision": 300}, "sequential": False})
    whole = planner.fleet([own, budgets], planner.Policy(budget_usd_month=Decimal(700)))
    assert whole.policy.budgets == {"search": 500, "vision": 300}
    assert whole.policy.budget_usd_month == 700


@pytest.mark.parametrize(
    ("demands", "message"),
    [
        ((VISION, VISION), "two demand files are of the project vision"),
        ((_demand("a", CORPUS, policy={"max_sites": 2}), SEARCH), "a: policy.max_sites is for"),
        (
            (
                _demand(
                    "a",
                    CORPUS,
                    {**CORPUS, "name": "b", "owner": "x"},
                    policy={"budget_usd_month": 9},
                ),
                SEARCH,
            ),
            "a: policy.budget_usd_month is for this file alone",
        ),
        (
            (
                _demand("a", CORPUS, policy={"budgets": {"x": 1}}),
                _demand("b", CORPUS, policy={"budgets": {"x": 2}}),
            ),
            "b: another budget of x is given elsewhere",
        ),
        (
            (_demand("a", CORPUS, policy={"hours_per_month": 720}), SEARCH),
            "search: policy.hours_per_month is 730, elsewhere it is 720",
        ),
        ((_demand("a" * 60, CORPUS), SEARCH), "is longer than 64 characters"),
        (
            tuple(_demand(name, {**CORPUS, "disks": ["disk-0001"]}) for name in ("a", "b")),
            r"volumes\[1\].disks: disk 'disk-0001' is named by volume 'a.corpus' already",
        ),
    ],
)
def test_what_contradicts_is_refused(demands: tuple[planner.Demand, ...], message: str) -> None:
    """Nothing of a file is dropped: what cannot hold for all is named."""
    with pytest.raises(planner.InputError, match=message) as caught:
        planner.fleet(demands)
    assert caught.value.hint


def _files(folder: Path) -> None:
    for project in ("vision", "search"):
        text = f"version: 1\nproject: {project}\nvolumes: [{{name: corpus, size: 2 TB}}]\n"
        (folder / f"{project}.yaml").write_text(text)
    (folder / "fleet.yaml").write_text("version: 1\npolicy: {max_sites: 1}\n")


def test_files_and_a_policy_make_one_plan(run: Run, tmp_path: Path) -> None:
    """It is named after the policy file, and says where it is wrong."""
    _files(tmp_path)
    words = ("plan", "vision.yaml", "search.yaml", "--offers", "shipped:disk-offers")
    made = run(*words, "--policy", "fleet.yaml", "-o", "json").json()
    assert (made["project"], len(made["placements"])) == ("fleet", 2)
    assert made["demand"]["policy"]["max_sites"] == 1
    (tmp_path / "fleet.yaml").write_text("version: 1\npolicy:\n  max_sitess: 1\n")
    wrong = run(*words, "--policy", "fleet.yaml")
    assert wrong.code == 2
    assert "fleet.yaml:3:3: policy.max_sitess" in wrong.err
    (tmp_path / "fleet.yaml").write_text("version: 1\ngroups: []\npolicy: {}\n")
    assert "a policy file has no 'groups'" in run(*words, "--policy", "fleet.yaml").err
    alone = run("plan", "vision.yaml", "--policy", "fleet.yaml", "--offers", "shipped:disk-offers")
    assert (alone.code, "--policy comes with several" in alone.err) == (2, True)


@pytest.mark.slow
def test_a_project_that_was_bought_alone_is_not_bought_again(run: Run, tmp_path: Path) -> None:
    """Planned together, its disks would be another project's; together from the start, kept."""
    _files(tmp_path)
    together = ("plan", "vision.yaml", "search.yaml", "--policy", "fleet.yaml")
    with planner.Sim(provisioning_s=0.1) as sim:
        env = {**sim.environ, "PLANNER_SETTLE": "5"}
        assert run(*together, "--out", "fleet.json", env=env).code == 0
        assert run("apply", "fleet.json", "--yes", env=env).code == 0
        again = run(*together, "--detailed-exitcode", env=env)
        assert again.code == 0, again.err
        assert run("apply", "vision.yaml", "--yes", env=env).code == 0
        refused = run(*together, env=env)
        assert refused.code == 2
        assert "project vision has disks of its own" in refused.err
