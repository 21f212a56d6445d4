"""Ways out of demands without a plan: held against the enumeration, and worked out by hand."""

from __future__ import annotations

import itertools
import random
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from planner.demand.model import Demand
from planner.demand.read import demand_from
from planner.errors import Infeasible
from planner.market.market import addressable
from planner.market.offers import offers_frame
from planner.solve.optimise import optimise
from planner.solve.optimum import optimum
from planner.solve.problem import Instance
from planner.solve.whynot.parts import parts_of
from planner.solve.whynot.relax import ways_out
from planner.solve.whynot.steps import Step, relaxed
from planner.solve.whynot.trials import Bench
from planner.solve.whynot.ways import steps_of
from planner.units import plain
from tests.solve import exact, instances
from tests.solve.plans import listings

if TYPE_CHECKING:
    from planner.solve.whynot.relaxation import Relaxation

Row = dict[str, Any]


def file_of(demand: Demand) -> Row:
    """Return a demand as its file would say it, for the enumeration."""
    made: Row = demand.model_dump(exclude_none=True)
    for volume in made["volumes"]:
        volume["headroom"] = str(volume.pop("headroom_percent"))
        volume["exclude"] = {word: list(names) for word, names in volume["exclude"].items()}
    for workload in made["workloads"]:
        workload["mounts"] = list(workload["mounts"])
    return made


class World:
    """A demand without a plan, its market, and both ways to solve it."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        self.rows = instances.coupled_market(rng)
        self.gpus, self.nodes = instances.gpu_market(rng)
        self.demand = demand_from(instances.coupled_demand(rng))
        self.offers = addressable(offers_frame(self.rows))
        self.instance = Instance.of(self.demand, self.offers, listings(self.gpus, self.nodes))

    @classmethod
    def of_lists(cls, seed: int) -> World:
        """Return an uncoupled world, where volumes have lists, levels of stock and headroom."""
        world, rng = cls.__new__(cls), random.Random(seed)
        world.rows, world.gpus, world.nodes = instances.market(rng), [], []
        world.demand = demand_from(instances.demand(rng))
        world.offers = addressable(offers_frame(world.rows))
        world.instance = Instance.of(world.demand, world.offers, None)
        return world

    @property
    def is_infeasible(self) -> bool:
        return optimum(self.instance, settled=False) is None

    def cost(self, demand: Demand) -> Fraction | None:
        found = exact.best(file_of(demand), self.rows, self.gpus, self.nodes)
        return None if found is None else found[0]


@pytest.mark.parametrize("block", range(4))
def test_every_way_out_costs_what_it_promises_and_no_smaller_one_works(block: int) -> None:
    """The enumeration gives the promised cost; no single step works where two are reported."""
    seen = {1: 0, 2: 0}
    for seed in range(block * 14, block * 14 + 14):
        world = World(seed)
        if not world.is_infeasible:
            continue
        sizes = hold_against_enumeration(world, seed)
        for size in sizes & {*seen}:
            seen[size] += 1
    assert seen[1] + seen[2] >= 2


def test_the_same_where_volumes_have_lists_and_levels() -> None:
    """Uncoupled volumes with every kind of wish: the enumeration agrees as well."""
    found = 0
    for seed in range(60):
        world = World.of_lists(seed)
        if world.is_infeasible:
            found += bool(hold_against_enumeration(world, seed))
    assert found >= 15


def hold_against_enumeration(world: World, seed: int) -> set[int]:
    """Assert what is promised of the ways out of a world, and return how large they are."""
    bench = Bench(world.instance)
    ways = ways_out(bench, parts_of(world.instance))
    assert not ways.is_stopped
    assert ways.relaxations or ways.stuck
    costs = [one.usd_month for one in ways.relaxations]
    assert costs == sorted(costs)
    for one in ways.relaxations:
        assert (seed, one.text, world.cost(one.demand)) == (
            seed,
            one.text,
            Fraction(one.usd_month),
        )
        assert Demand.from_document(one.demand.to_document()) == one.demand
    steps = steps_of(world.demand, bench)
    working = [step for step in steps if world.cost(relaxed(world.demand, {step})) is not None]
    sizes = {len(one.changes) for one in ways.relaxations}
    if working:
        assert sizes == {1}, seed
        assert len(ways.relaxations) == min(10, len(working)), seed
    else:
        assert 1 not in sizes or _takes_two_of_one_field(ways.relaxations), seed
    return sizes


def _takes_two_of_one_field(found: list[Relaxation]) -> bool:
    """Return whether a change of one field takes several steps: replicas by two, two places."""
    return all(isinstance(change["from"], (int, list)) for one in found for change in one.changes)


def test_pairs_are_all_reported() -> None:
    """Where no step works alone, the pairs that work are those that trying all pairs finds."""
    compared = 0
    for seed in (7, 18, 47, 57):
        world = World(seed)
        bench = Bench(world.instance)
        ways = ways_out(bench, parts_of(world.instance))
        assert not ways.is_stopped
        steps = steps_of(world.demand, bench)
        expected = [
            pair
            for pair in itertools.combinations(steps, 2)
            if optimum(bench.instance(relaxed(world.demand, pair)), settled=False)
        ]
        if expected:
            compared += 1
            assert (seed, len(ways.relaxations)) == (seed, min(10, len(expected)))
    assert compared == 4


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
    """Return the ways out of a demand that has no plan, by way of the error."""
    policy = rest.pop("policy", {})
    demand = demand_from({"version": 1, "volumes": list(volumes), "policy": policy, **rest})
    offers = addressable(offers_frame(rows))
    with pytest.raises(Infeasible) as caught:
        optimise(demand, offers)
    found: list[Relaxation] = list(caught.value.relaxations)
    for one in found:
        again = optimise(one.demand, offers)
        assert again.solver.objective_usd_hr == one.usd_hr
        assert one.usd_month == one.usd_hr * demand.policy.hours_per_month
    assert caught.value.data["relaxations"] == [one.to_document() for one in found]
    return found


ONE_STEP: list[tuple[list[Row], Row, str]] = [
    ([row("a", "0.0001", **NORWAY)], {"regions": ["united_states"]}, "allow region eu_north"),
    ([row("a", "0.0001", **NORWAY)], {"countries": ["US"]}, "allow country NO"),
    ([row("a", "0.0001")], {"data_centers": ["b-1"]}, "allow data centre a-1"),
    ([row("a", "0.0001")], {"providers": ["b"]}, "allow provider a"),
    ([row("a", "0.0001")], {"exclude": {"providers": ["a"]}}, "no longer exclude provider a"),
    (
        [row("a", "0.0001", security="community_cloud")],
        {"security": "secure_cloud"},
        "any security instead of secure_cloud",
    ),
    ([row("a", "0.0001", stockStatus="Medium")], {"stock": "High"}, "stock Medium instead of High"),
    ([row("a", "0.0001", stockStatus="odd")], {"stock": "Low"}, "stock unknown instead of Low"),
    ([row("a", "0.0001", isMultinode=False)], {"multinode": True}, "without multi-node"),
    (
        [row("a", "0.0003"), row("b", "0.0002")],
        {"max_usd_gb_hr": 0.0001},
        "raise max_usd_gb_hr from 0.0001 to 0.0002",
    ),
    ([row("a", "0.0001")], {"size_gb": 2500}, "raise max_disks from 1 to 3"),
]


@pytest.mark.parametrize(("rows", "wish", "text"), ONE_STEP)
def test_each_kind_of_relaxation_of_a_volume(rows: list[Row], wish: Row, text: str) -> None:
    """One wish that nothing fulfils has one way out, in the user's words."""
    (found,) = ways(rows, {**X, **wish})
    assert found.text == f"volume x: {text}"


def test_two_replicas_in_one_place_have_three_ways_out() -> None:
    """One replica less, another offer of the place, or none: the cheapest comes first."""
    rows = [row("a", "0.0001"), row("a", "0.0003", dataCenter="a-2")]
    found = ways(rows, {**X, "replicas": 2, "spread": "provider"})
    assert [(one.text, one.usd_hr) for one in found] == [
        ("volume x: 1 replica instead of 2", Decimal("0.01")),
        ("replicas of x: not spread instead of provider", Decimal("0.02")),
        ("replicas of x: spread over data_center instead of provider", Decimal("0.04")),
        ("replicas of x: spread over site instead of provider", Decimal("0.04")),
    ]


def test_stock_two_levels_down_takes_two_steps() -> None:
    """From High to Low is one change of two steps; a single other step is preferred to it."""
    low = row("a", "0.0001", stockStatus="Low")
    (found,) = ways([low], {**X, "stock": "High"})
    assert [(c["from"], c["to"]) for c in found.changes] == [("High", "Low")]
    (found,) = ways([low, row("b", "0.0009")], {**X, "stock": "High", "max_usd_gb_hr": 0.0005})
    assert found.text == "volume x: raise max_usd_gb_hr from 0.0005 to 0.0009"


def test_a_value_that_the_market_lacks_is_not_proposed() -> None:
    """What is out of stock, or elsewhere too small, is no reason to allow its region."""
    rows = [
        row("a", "0.0001", **NORWAY),
        row("b", "0.0001", region="asia", stockStatus="Unavailable"),
        row("c", "0.0001", region="africa", spec={"pricePerUnit": None}),
    ]
    (found,) = ways(rows, {**X, "regions": ["mars"]})
    assert found.text == "volume x: allow region eu_north"


def test_groups_are_dropped_one_at_a_time() -> None:
    """A group that nothing can satisfy goes, and is named by its members and what it asks."""
    group = {"volumes": ["x", "y"], "different": "provider"}
    (found,) = ways([row("a", "0.0001")], X, {**X, "name": "y"}, groups=[group])
    assert found.text == "drop the group of x, y (different provider)"
    assert found.changes[0]["group"] == "x, y (different provider)"
    assert found.changes[0]["from"] == {"volumes": ["x", "y"], "different": "provider"}
    assert found.demand.groups == ()
    both = ways([row("a", "0.0001")], X, {**X, "name": "y"}, groups=[group, group])
    assert [len(one.changes) for one in both] == [2]


def _infeasible(one: Relaxation, offers: list[Row], **policy: Any) -> bool:
    demand = one.demand.model_copy(update={"policy": one.demand.policy.model_copy(update=policy)})
    frame = addressable(offers_frame(offers))
    return optimum(Instance.of(demand, frame, None), settled=False) is None


def test_a_budget_rises_to_the_least_that_works_and_not_an_atom_less() -> None:
    """The value is exact; the text rounds it up to cents, which is enough as well."""
    rows = [row("a", "0.00011545611010752688")]
    found = ways(rows, X, policy={"budget_usd_month": 5})
    exactly = Decimal("0.00011545611010752688") * 100 * 730
    assert [one.changes[0]["to"] for one in found] == [plain(exactly)]
    assert found[0].text == "raise budget_usd_month by 3.43 to 8.43"
    assert found[0].demand.policy.budget_usd_month == exactly
    assert _infeasible(found[0], rows, budget_usd_month=exactly - Decimal("1e-18"))


def test_budgets_of_owners_rise_each_on_its_own() -> None:
    """An owner's budget needs what her volumes cost at least, whoever else pays."""
    mine = {**X, "owner": "ada"}
    found = ways([row("a", "0.0001")], mine, {**X, "name": "y"}, policy={"budgets": {"ada": 7}})
    assert [one.text for one in found] == ["raise budget of ada by 0.30 to 7.30"]
    assert found[0].changes[0] == {
        "owner": "ada",
        "field": "budgets",
        "from": "7",
        "to": "7.3",
        "text": "raise budget of ada by 0.30 to 7.30",
    }


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
    offers, listed = addressable(offers_frame(rows)), listings(gpus, [])
    with pytest.raises(Infeasible) as caught:
        optimise(demand_from(document), offers, listed)
    (found,) = caught.value.relaxations
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


@pytest.mark.parametrize(
    ("wish", "offer", "text"),
    [
        ({}, {"isSpot": True}, "accept spot offers"),
        ({"socket": "PCIe"}, {}, "any socket instead of PCIe"),
        ({"regions": ["mars"]}, {}, "allow region united_states"),
        ({"providers": ["b"]}, {}, "allow provider a"),
        (
            {"security": "secure_cloud"},
            {"security": None},
            "any security instead of secure_cloud",
        ),
    ],
)
def test_each_kind_of_relaxation_of_a_workload(wish: Row, offer: Row, text: str) -> None:
    """A job that no GPU suits has one way out."""
    document = {
        "version": 1,
        "volumes": [X],
        "workloads": [{"name": "ft", "gpu": "A100_80GB", "mounts": ["x"], **wish}],
    }
    offers, listed = (
        addressable(offers_frame([row("a", "0.0001")])),
        listings([gpu("a", "1", **offer)], []),
    )
    with pytest.raises(Infeasible) as caught:
        optimise(demand_from(document), offers, listed)
    (found,) = caught.value.relaxations
    assert found.text == f"workload ft: {text}"
    again = optimise(found.demand, offers, listed)
    assert again.solver.objective_usd_hr == found.usd_hr == Decimal("1.01")


SPLIT: Row = {**X, "replicas": 3, "spread": "data_center"}


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


def test_a_share_rises_to_the_least_that_works_rounded_up() -> None:
    """Of 300 GB one provider must hold 200 or 100 of 3: two thirds, rounded up at 12 places."""
    rows = [row("a", "0.0001"), row("b", "0.0002")]
    found = ways(rows, *({**X, "name": name} for name in "xyz"), policy={"max_provider_share": 0.5})
    (one,) = found
    share = one.demand.policy.max_provider_share
    assert share == Decimal("0.666666666667")
    assert _infeasible(one, rows, max_provider_share=share - Decimal("1e-6"))
    assert one.usd_hr == Decimal("0.04")


def test_independent_parts_take_one_step_each_and_the_ten_cheapest_are_kept() -> None:
    """Two volumes with four ways each have sixteen pairs, of which ten are reported."""
    rows = [
        row("a", f"0.000{n}", dataCenter=f"a-{n}", region=f"r{n}", country=f"C{n}")
        for n in range(1, 5)
    ]
    volumes = [{**X, "name": name, "regions": ["mars"]} for name in "xy"]
    found = ways(rows, *volumes)
    assert len(found) == 10
    assert found[0].text == "volume x: allow region r1; volume y: allow region r1"
    assert found[0].usd_hr == Decimal("0.02")
    costs = sorted(a + b for a in range(1, 5) for b in range(1, 5))[:10]
    assert [one.usd_hr for one in found] == [Decimal(cost) / 100 for cost in costs]


def test_the_policy_has_its_say_about_every_combination() -> None:
    """The cheapest region breaks the budget of an owner who can pay for none but the cheaper."""
    rows = [
        row("a", "0.0001", region="r1"),
        row("b", "0.0002", region="r2"),
    ]
    volume = {**X, "regions": ["mars"]}
    (found,) = ways(rows, volume, policy={"budget_usd_month": 8})
    assert found.text == "volume x: allow region r1"
    both = ways(rows, volume, policy={"budget_usd_month": 1})
    assert [len(one.changes) for one in both] == [2, 2]
    assert both[0].text == "volume x: allow region r1; raise budget_usd_month by 6.30 to 7.30"


def test_nothing_helps_where_facts_are_in_the_way() -> None:
    """Out of stock is a fact: no relaxation is proposed, and the sentence says which fact."""
    offers = addressable(offers_frame([row("a", "0.0001", stockStatus="Unavailable")]))
    demand = demand_from({"version": 1, "volumes": [{**X, "regions": ["mars"]}]})
    with pytest.raises(Infeasible, match="no relaxation helps: volume x: 1 of 1: it is out of"):
        optimise(demand, offers)


def test_a_step_changes_nothing_else() -> None:
    """A relaxation is a pure function of the demand, and steps that name nothing do nothing."""
    demand = demand_from({"version": 1, "volumes": [X]})
    assert relaxed(demand, {Step("volume", "nobody", "multinode", "set", value=False)}) == demand


def test_one_of_many_volumes_is_found_at_once() -> None:
    """2,000 volumes of which one asks for too much: its ways out, and the cost of the fleet."""
    rng = random.Random(5)
    rows = [row(f"p{n % 9}", f"0.000{n + 100}", dataCenter=f"d{n}") for n in range(50)]
    volumes: list[Row] = [
        {**X, "name": f"v{n}", "size_gb": rng.randint(1, 900)} for n in range(500)
    ]
    volumes[77]["regions"] = ["mars"]
    (found,) = ways(rows, *volumes)
    assert found.text == "volume v77: allow region united_states"
