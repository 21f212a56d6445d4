"""The least sets of changes: held against brute force, and worked out by hand."""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from planner.analysis import relax
from planner.analysis.evaluator import SearchBudget
from planner.analysis.infeasible import infeasible
from planner.analysis.relax import Offers, least_sets
from planner.analysis.relaxation import relaxed
from planner.demand.model import Demand
from planner.demand.read import demand_from
from planner.errors import Infeasible
from planner.market.market import addressable
from planner.market.offers import offers_frame
from planner.market.snapshot import read_offers
from planner.requirements.field import Step
from planner.solve.optimise import optimise
from planner.solve.optimum import optimum
from planner.solve.problem import Instance
from planner.units import plain
from tests.analysis.oracle import World
from tests.solve.plans import listings

if TYPE_CHECKING:
    from planner.analysis.relaxation import Relaxation

Row = dict[str, Any]
ALL_OF_THEM = 10**6


@pytest.fixture
def _unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """List every set there is, not the ten cheapest."""
    monkeypatch.setattr(relax, "MOST", 1000)


def hold_against_enumeration(world: World, seed: int) -> int:
    """Assert that a world's least sets and their costs are those of brute force; return how large.

    Sets of three and more are too many to enumerate; their costs are compared all the same.
    """
    options = least_sets(world.demand, world.offers, SearchBudget(ALL_OF_THEM))
    assert not options.is_stopped
    costs = [option.usd_month for option in options.listed]
    assert costs == sorted(costs)
    for option in options.listed:
        changed = relaxed(world.demand, option.steps, option.limits)
        assert (seed, world.cost(changed)) == (seed, Fraction(option.usd_month))
        assert Demand.from_document(changed.to_document()) == changed
    size = min((len(option.steps) for option in options.listed), default=0)
    if size <= 2:
        expected = world.least_sets(max(size, 1))
        assert (seed, {option.steps for option in options.listed}) == (seed, expected)
    else:
        assert (seed, world.least_sets(1)) == (seed, set())
    return size


@pytest.mark.slow
@pytest.mark.usefixtures("_unlimited")
def test_least_sets_are_those_of_brute_force_where_volumes_have_lists() -> None:
    """Uncoupled volumes with every kind of wish: the same sets, and the same cost of each."""
    worlds = ((seed, World.of_lists(seed)) for seed in range(40))
    sizes = [
        hold_against_enumeration(world, seed)
        for seed, world in worlds
        if not world.is_feasible(world.demand)
    ]
    assert {0, 1, 2} <= {*sizes}


@pytest.mark.slow
@pytest.mark.usefixtures("_unlimited")
def test_least_sets_are_those_of_brute_force_where_everything_is_coupled() -> None:
    """Groups, workloads, budgets, caps and shares together: the same sets and costs."""
    worlds = ((seed, World.coupled(seed)) for seed in range(31))
    sizes = [
        hold_against_enumeration(world, seed)
        for seed, world in worlds
        if not world.is_feasible(world.demand)
    ]
    assert sizes.count(1) >= 5
    assert sizes.count(2) >= 2


def strained(count: int) -> Demand:
    """Return volumes with seven kinds of requirements that conflict, under a strained policy."""
    volumes = [
        {
            "name": f"v{n}",
            "size_gb": 1000 * (n % 5 + 1),
            "replicas": 1 + n % 3,
            "spread": ["provider", "region", "data_center"][n % 3],
            "regions": [["eu_north"], ["united_states"], ["canada", "eu_west"]][n % 3],
            "multinode": n % 2 == 0,
            "security": "secure_cloud",
            "max_usd_gb_hr": 0.00008,
            "stock": ["High", "Medium", "Low"][n % 3],
        }
        for n in range(count)
    ]
    groups = [
        {"volumes": ["v0", "v1"], "different": "provider"},
        {"volumes": ["v2", "v3"], "same": "region"},
    ]
    policy = {
        "budget_usd_month": 300,
        "max_sites": 2,
        "max_providers": 1,
        "max_provider_share": 0.5,
    }
    return demand_from({"version": 1, "volumes": volumes, "groups": groups, "policy": policy})


@pytest.mark.slow
@pytest.mark.parametrize("count", [6, 8])
def test_many_conflicting_requirements_on_the_shipped_market(count: int) -> None:
    """Each way to a plan is as dear as planning with it, the cheapest first."""
    demand = strained(count)
    offers = Offers(addressable(read_offers("shipped:disk-offers"), exact=True), None)
    error = infeasible(demand, offers)
    assert len(error.relaxations) == {6: 4, 8: 8}[count]
    for one in error.relaxations:
        found = optimum(offers.instance(one.demand), tie_break=False)
        assert found is not None
        assert found.usd_month == one.usd_month
    assert error.relaxations[0].usd_month == {6: Decimal("1226.4"), 8: Decimal("1481.9")}[count]


@pytest.mark.slow
def test_the_same_answer_every_time() -> None:
    """Only work bounds the search: repeated runs give the same sentence, word for word."""
    offers = Offers(addressable(read_offers("shipped:disk-offers"), exact=True), None)
    first, again = (str(infeasible(strained(4), offers)) for _ in range(2))
    assert first == again


@pytest.mark.slow
def test_little_work_gives_the_beginning_of_the_list() -> None:
    """Where the search is stopped early, what it lists is how the whole list begins."""
    world = World.coupled(49)
    whole = least_sets(world.demand, world.offers, SearchBudget(ALL_OF_THEM))
    begun = 0
    for calls in range(1, 24, 5):
        part = least_sets(world.demand, world.offers, SearchBudget(float(calls)))
        if part.is_stopped and len(part.listed) < len(whole.listed):
            begun += 1
            costs = [option.usd_month for option in whole.listed[: len(part.listed)]]
            assert [option.usd_month for option in part.listed] == costs
    assert begun


def test_a_time_limit_is_said() -> None:
    """Only an explicit time limit brings the clock in, and the output says that it did."""
    offers = Offers(addressable(offers_frame([row("a", "0.0001")]), exact=True), None)
    demand = demand_from({"version": 1, "volumes": [{**X, "regions": ["mars"]}]})
    error = infeasible(demand, offers, time_limit_s=0)
    assert "The time limit stopped the search; there may be others." in str(error)
    assert "time limit" not in str(infeasible(demand, offers))


# Worked out by hand.


def row(provider: str, price: str, **fields: Any) -> Row:
    spec = {"minCount": 0, "maxCount": 1000, "step": 1, "pricePerUnit": Decimal(price)}
    return {
        "provider": provider,
        "dataCenter": f"{provider}-1",
        "country": "US",
        "region": "united_states",
        "stockStatus": "Available",
        "security": "secure_cloud",
        "isMultinode": True,
        "spec": {**spec, **fields.pop("spec", {})},
        **fields,
    }


NORWAY = {"country": "NO", "region": "eu_north"}
X = {"name": "x", "size_gb": 100}


def ways(rows: list[Row], *volumes: Row, **rest: Any) -> list[Relaxation]:
    """Return the relaxations of a demand that has no plan, by way of the error."""
    policy = rest.pop("policy", {})
    demand = demand_from({"version": 1, "volumes": list(volumes), "policy": policy, **rest})
    offers = addressable(offers_frame(rows), exact=True)
    with pytest.raises(Infeasible):
        optimise(demand, offers)
    error = infeasible(demand, Offers(offers, None))
    found: list[Relaxation] = list(error.relaxations)
    for one in found:
        again = optimise(one.demand, offers)
        assert again.solver.objective_usd_hr == one.usd_hr
        assert one.usd_month == one.usd_hr * demand.policy.hours_per_month
    assert error.data["relaxations"] == [one.to_document() for one in found]
    return found


ONE_STEP: list[tuple[list[Row], Row, str]] = [
    ([row("a", "0.0001", **NORWAY)], {"regions": ["united_states"]}, "allow region eu_north"),
    ([row("a", "0.0001", **NORWAY)], {"countries": ["US"]}, "allow country NO"),
    ([row("a", "0.0001")], {"data_centers": ["b-1"]}, "allow data centre a-1"),
    ([row("a", "0.0001")], {"providers": ["b"]}, "allow provider a"),
    ([row("a", "0.0001")], {"exclude": {"providers": ["a"]}}, "stop excluding provider a"),
    (
        [row("a", "0.0001", security="community_cloud")],
        {"security": "secure_cloud"},
        "accept any security",
    ),
    (
        [row("a", "0.0001", stockStatus="Medium")],
        {"stock": "High"},
        "accept stock Medium instead of High",
    ),
    (
        [row("a", "0.0001", stockStatus="odd")],
        {"stock": "Low"},
        "accept unknown stock instead of Low",
    ),
    ([row("a", "0.0001", isMultinode=False)], {"multinode": True}, "drop `multinode`"),
    (
        [row("a", "0.0003"), row("b", "0.0002")],
        {"max_usd_gb_hr": 0.0001},
        "raise `max_usd_gb_hr` to 0.0002",
    ),
    ([row("a", "0.0001")], {"size_gb": 2500}, "raise `max_disks` to 3"),
]


@pytest.mark.sweep
@pytest.mark.parametrize(("rows", "wish", "text"), ONE_STEP)
def test_each_kind_of_relaxation_of_a_volume(rows: list[Row], wish: Row, text: str) -> None:
    """One wish that nothing fulfils has one relaxation, in the user's words."""
    (found,) = ways(rows, {**X, **wish})
    assert found.text == f"{text} on x"


@pytest.mark.slow
def test_two_replicas_at_one_provider_have_two_ways() -> None:
    """One replica less, or the mildest weaker spread, though no spread at all were cheaper."""
    rows = [row("a", "0.0001"), row("a", "0.0003", dataCenter="a-2")]
    found = ways(rows, {**X, "replicas": 2, "spread": "provider"})
    assert [(one.text, one.usd_hr) for one in found] == [
        ("store 1 replica instead of 2 on x", Decimal("0.01")),
        ("use `spread: data_center` instead of provider on x", Decimal("0.04")),
    ]


@pytest.mark.slow
def test_stock_two_levels_down_takes_two_steps() -> None:
    """From High to Low is one change of two steps; a single other step is preferred to it."""
    low = row("a", "0.0001", stockStatus="Low")
    (found,) = ways([low], {**X, "stock": "High"})
    assert [(c["from"], c["to"]) for c in found.changes] == [("High", "Low")]
    (found,) = ways([low, row("b", "0.0009")], {**X, "stock": "High", "max_usd_gb_hr": 0.0005})
    assert found.text == "raise `max_usd_gb_hr` to 0.0009 on x"


def test_a_value_that_the_market_lacks_is_not_proposed() -> None:
    """What is out of stock, or elsewhere too small, is no reason to allow its region."""
    rows = [
        row("a", "0.0001", **NORWAY),
        row("b", "0.0001", region="asia", stockStatus="Unavailable"),
        row("c", "0.0001", region="africa", spec={"pricePerUnit": None}),
    ]
    (found,) = ways(rows, {**X, "regions": ["mars"]})
    assert found.text == "allow region eu_north on x"


@pytest.mark.slow
def test_groups_are_dropped_one_at_a_time() -> None:
    """A group that nothing can satisfy goes, and is named by its members and what it asks."""
    group = {"volumes": ["x", "y"], "different": "provider"}
    (found,) = ways([row("a", "0.0001")], X, {**X, "name": "y"}, groups=[group])
    assert found.text == "drop the group x, y (different provider)"
    assert found.changes[0]["group"] == "x, y (different provider)"
    assert found.changes[0]["from"] == {"volumes": ["x", "y"], "different": "provider"}
    assert found.demand.groups == ()
    both = ways([row("a", "0.0001")], X, {**X, "name": "y"}, groups=[group, group])
    assert [len(one.changes) for one in both] == [2]


def _infeasible(one: Relaxation, offers: list[Row], **policy: Any) -> bool:
    demand = one.demand.model_copy(update={"policy": one.demand.policy.model_copy(update=policy)})
    frame = addressable(offers_frame(offers), exact=True)
    return optimum(Instance.of(demand, frame, None), tie_break=False) is None


@pytest.mark.slow
def test_a_budget_rises_to_the_least_that_works_and_not_an_atom_less() -> None:
    """The value is exact; the text rounds it up to cents, which is enough as well."""
    rows = [row("a", "0.00011545611010752688")]
    found = ways(rows, X, policy={"budget_usd_month": 5})
    exactly = Decimal("0.00011545611010752688") * 100 * 730
    assert [one.changes[0]["to"] for one in found] == [plain(exactly)]
    assert found[0].text == "raise `budget_usd_month` to $8.43"
    assert found[0].demand.policy.budget_usd_month == exactly
    assert _infeasible(found[0], rows, budget_usd_month=exactly - Decimal("1e-18"))


def test_budgets_of_owners_rise_each_on_its_own() -> None:
    """An owner's budget needs what her volumes cost at least, whoever else pays."""
    mine = {**X, "owner": "ada"}
    found = ways([row("a", "0.0001")], mine, {**X, "name": "y"}, policy={"budgets": {"ada": 7}})
    assert [one.text for one in found] == ["raise the budget of ada to $7.30"]
    assert found[0].changes[0] == {
        "owner": "ada",
        "field": "budgets",
        "from": "7",
        "to": "7.3",
        "text": "raise the budget of ada to $7.30",
    }


@pytest.mark.slow
def test_a_budget_needs_the_cheapest_disks_not_those_beside_the_cheapest_gpus() -> None:
    """GPUs do not count: the least budget is met by dearer GPUs beside cheaper disks."""
    rows = [row("a", "0.0001"), row("b", "0.0002")]
    gpus = [gpu("a", "5"), gpu("b", "1")]
    document = {
        "version": 1,
        "volumes": [X],
        "workloads": [{"name": "ft", "gpu": "A100_80GB", "mounts": ["x"], "hours_per_month": 10}],
        "policy": {"budget_usd_month": 7},
    }
    offers, listed = addressable(offers_frame(rows), exact=True), listings(gpus, [])
    (found,) = infeasible(demand_from(document), Offers(offers, listed)).relaxations
    assert found.changes[0]["to"] == "7.3"
    assert found.usd_month == Decimal("7.3") + 50


def gpu(provider: str, price: str, **fields: Any) -> Row:
    return {
        "gpuType": "A100_80GB",
        "gpuCount": 1,
        "socket": "SXM4",
        "provider": provider,
        "dataCenter": f"{provider}-1",
        "country": "US",
        "region": "united_states",
        "stockStatus": "Available",
        "security": "secure_cloud",
        "prices": {"onDemand": Decimal(price), "currency": "USD"},
        **fields,
    }


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("wish", "offer", "text"),
    [
        ({}, {"isSpot": True}, "accept spot offers"),
        ({"socket": "PCIe"}, {}, "accept any socket"),
        ({"regions": ["mars"]}, {}, "allow region united_states"),
        ({"providers": ["b"]}, {}, "allow provider a"),
        (
            {"security": "secure_cloud"},
            {"security": None},
            "accept any security",
        ),
    ],
)
def test_each_kind_of_relaxation_of_a_workload(wish: Row, offer: Row, text: str) -> None:
    """A job that no GPU suits has one relaxation."""
    document = {
        "version": 1,
        "volumes": [X],
        "workloads": [{"name": "ft", "gpu": "A100_80GB", "mounts": ["x"], **wish}],
    }
    offers, listed = (
        addressable(offers_frame([row("a", "0.0001")]), exact=True),
        listings([gpu("a", "1", **offer)], []),
    )
    (found,) = infeasible(demand_from(document), Offers(offers, listed)).relaxations
    assert found.text == f"{text} on ft"
    again = optimise(found.demand, offers, listed)
    assert again.solver.objective_usd_hr == found.usd_hr == Decimal("1.01")


@pytest.mark.slow
def test_a_job_may_take_another_model_or_spread_its_gpus_over_nodes() -> None:
    """16 GPUs on one node are not sold: 8 on each of 2 nodes are, and another model has 16."""
    document = {
        "version": 1,
        "volumes": [X],
        "workloads": [{"name": "ft", "gpu": "A100_80GB", "gpus": 16, "mounts": ["x"]}],
    }
    offers = addressable(offers_frame([row("a", "0.0001")]), exact=True)
    gpus = [
        gpu("a", "8", gpuCount=8),
        gpu("a", "30", gpuCount=16, gpuType="H100_80GB"),
        gpu("a", "1", gpuCount=5),
    ]
    found = infeasible(demand_from(document), Offers(offers, listings(gpus, []))).relaxations
    assert [(one.text, one.usd_hr) for one in found] == [
        ("use 8 GPUs on each of 2 nodes on ft", Decimal("16.01")),
        ("use GPU H100_80GB instead of A100_80GB on ft", Decimal("30.01")),
    ]
    (job,) = found[0].demand.workloads
    assert (job.gpus, job.nodes) == (8, 2)


@pytest.mark.slow
def test_one_gpu_a_node_is_singular() -> None:
    """A relaxation to single GPUs says one GPU, not one GPUs."""
    document = {
        "version": 1,
        "volumes": [X],
        "workloads": [{"name": "ft", "gpu": "A100_80GB", "gpus": 16, "mounts": ["x"]}],
    }
    market = Offers(
        addressable(offers_frame([row("a", "0.0001")]), exact=True),
        listings([gpu("a", "1", gpuCount=1)], []),
    )
    (only,) = infeasible(demand_from(document), market).relaxations
    assert only.text == "use 1 GPU on each of 16 nodes on ft"


SPLIT: Row = {**X, "replicas": 3, "spread": "data_center"}


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("policy", "least", "below"),
    [({"max_sites": 1}, "3", {"max_sites": 2}), ({"max_providers": 1}, "2", None)],
)
def test_caps_rise_to_the_least_number_that_works(policy: Row, least: str, below: Any) -> None:
    """Three replicas in three data centres of two providers."""
    rows = [row("a", "0.0001"), row("b", "0.0002"), row("b", "0.0003", dataCenter="b-2")]
    rows += [row("c", "0.0009")]
    field = next(iter(policy))
    found = {one.changes[0]["field"]: one for one in ways(rows, SPLIT, policy=policy)}
    assert str(found[field].changes[0]["to"]) == least
    if below is not None:
        assert _infeasible(found[field], rows, **below)


@pytest.mark.slow
def test_a_share_rises_to_the_least_that_works_rounded_up() -> None:
    """Of 300 GB one provider must hold 200 or 100 of 3: two thirds, rounded up at 12 places."""
    rows = [row("a", "0.0001"), row("b", "0.0002")]
    found = ways(rows, *({**X, "name": name} for name in "xyz"), policy={"max_provider_share": 0.5})
    (one,) = found
    share = one.demand.policy.max_provider_share
    assert one.text == "raise `max_provider_share` to 0.6667"
    assert share == Decimal("0.666666666667")
    assert _infeasible(one, rows, max_provider_share=share - Decimal("1e-6"))
    assert one.usd_hr == Decimal("0.04")


@pytest.mark.slow
def test_independent_parts_take_one_step_each_and_the_ten_cheapest_are_kept() -> None:
    """Two volumes with four ways each have sixteen pairs, of which ten are reported."""
    rows = [
        row("a", f"0.000{n}", dataCenter=f"a-{n}", region=f"r{n}", country=f"C{n}")
        for n in range(1, 5)
    ]
    volumes = [{**X, "name": name, "regions": ["mars"]} for name in "xy"]
    found = ways(rows, *volumes)
    assert len(found) == 10
    assert found[0].text == "allow region r1 on x; allow region r1 on y"
    assert found[0].usd_hr == Decimal("0.02")
    costs = sorted(a + b for a in range(1, 5) for b in range(1, 5))[:10]
    assert [one.usd_hr for one in found] == [Decimal(cost) / 100 for cost in costs]


@pytest.mark.slow
def test_the_policy_has_its_say_about_every_combination() -> None:
    """The cheapest region breaks the budget of an owner who can pay for none but the cheaper."""
    rows = [
        row("a", "0.0001", region="r1"),
        row("b", "0.0002", region="r2"),
    ]
    volume = {**X, "regions": ["mars"]}
    (found,) = ways(rows, volume, policy={"budget_usd_month": 8})
    assert found.text == "allow region r1 on x"
    both = ways(rows, volume, policy={"budget_usd_month": 1})
    assert [len(one.changes) for one in both] == [2, 2]
    assert both[0].text == "allow region r1 on x; raise `budget_usd_month` to $7.30"


def test_nothing_helps_where_facts_are_in_the_way() -> None:
    """Out of stock is a fact: no relaxation is proposed, and the sentence says which fact."""
    offers = addressable(offers_frame([row("a", "0.0001", stockStatus="Unavailable")]), exact=True)
    demand = demand_from({"version": 1, "volumes": [{**X, "regions": ["mars"]}]})
    error = infeasible(demand, Offers(offers, None))
    assert "  1  out of stock" in str(error)
    assert "No change to the requirements would help x" in str(error)
    assert error.relaxations == ()


def test_a_step_changes_nothing_else() -> None:
    """A relaxation is a pure function of the demand, and steps that name nothing do nothing."""
    demand = demand_from({"version": 1, "volumes": [X]})
    assert relaxed(demand, {Step("volume", "nobody", "multinode", "set", value=False)}) == demand


@pytest.mark.slow
def test_one_of_many_volumes_is_found_at_once() -> None:
    """2,000 volumes of which one asks for too much: its relaxations, and the cost of the fleet."""
    rng = random.Random(5)
    rows = [row(f"p{n % 9}", f"0.000{n + 100}", dataCenter=f"d{n}") for n in range(50)]
    volumes: list[Row] = [
        {**X, "name": f"v{n}", "size_gb": rng.randint(1, 900)} for n in range(500)
    ]
    volumes[77]["regions"] = ["mars"]
    (found,) = ways(rows, *volumes)
    assert found.text == "allow region united_states on v77"


@pytest.mark.slow
def test_a_large_fleet_over_its_budget_is_told_what_it_needs() -> None:
    """700 volumes on 100 offers are too many for one program; the budget alone needs none."""
    rng = random.Random(5)
    rows = [row(f"p{n % 9}", f"0.000{n + 100}", dataCenter=f"d{n}") for n in range(100)]
    volumes: list[Row] = [
        {**X, "name": f"v{n}", "size_gb": rng.randint(1, 900), "replicas": 1 + n % 2}
        for n in range(700)
    ]
    (found,) = ways(rows, *volumes, policy={"budget_usd_month": 100})
    assert found.demand.policy.budget_usd_month == found.usd_month
    volumes[77]["regions"] = ["mars"]
    budget = {"budget_usd_month": str(found.usd_month)}
    (found,) = ways(rows, *volumes, policy=budget)
    assert found.text == "allow region united_states on v77"
