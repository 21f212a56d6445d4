import itertools
import json
from decimal import Decimal
from typing import Any

import pytest

from planner.demand.model import Demand, Volume
from planner.demand.read import read_demand
from planner.demand.schema import init
from planner.errors import InputError
from planner.shipped import shipped_path
from planner.units import total, usd_hr, usd_month

_COLUMNS = {
    "regions": "region",
    "countries": "country",
    "data_centers": "dataCenter",
    "providers": "provider",
}
_STOCK = {None: 1, "Low": 1, "Medium": 2, "Available": 3, "High": 3}


def _admits(volume: Volume, offer: dict[str, Any]) -> bool:
    allowed = all(
        (names is None or offer[column] in names)
        and offer[column] not in getattr(volume.exclude, field)
        for field, column in _COLUMNS.items()
        for names in [getattr(volume, field)]
    )
    return (
        allowed
        and volume.need_gb <= offer["spec"]["maxCount"] * volume.max_disks
        and (offer["isMultinode"] or not volume.multinode)
        and _STOCK[offer["stockStatus"]] >= _STOCK[volume.stock]
        and volume.security in {"any", offer["security"]}
        and offer["spec"]["pricePerUnit"] <= (volume.max_usd_gb_hr or 1)
    )


def _cheapest_month(volume: Volume, offers: list[dict[str, Any]], hours: int) -> Decimal:
    """Return the least monthly cost of a volume, by trying every choice of offers."""
    column = {"provider": "provider", "country": "country", "data_center": "dataCenter"}
    level = column[volume.spread]
    choices = itertools.combinations([o for o in offers if _admits(volume, o)], volume.replicas)
    prices = [
        total(offer["spec"]["pricePerUnit"] for offer in choice)
        for choice in choices
        if len({offer[level] for offer in choice}) == volume.replicas
    ]
    return usd_month(usd_hr(volume.need_gb, min(prices)), hours)


def _by_owner(demand: Demand) -> dict[str | None, Decimal]:
    text = shipped_path("disk-offers").read_text(encoding="utf-8")
    offers = json.loads(text, parse_float=Decimal)["items"]
    hours = demand.policy.hours_per_month
    costs: dict[str | None, Decimal] = {}
    for volume in demand.volumes:
        cost = _cheapest_month(volume, offers, hours)
        costs[volume.owner] = costs.get(volume.owner, Decimal(0)) + cost
    return costs


def test_the_research_group_fits_its_budgets_with_some_to_spare() -> None:
    """On the documented market: feasible, and 10 to 25 % below the whole budget."""
    demand = read_demand("shipped:research")
    costs = _by_owner(demand)
    budget = demand.policy.budget_usd_month
    assert budget is not None
    assert Decimal("0.10") < 1 - total(costs.values()) / budget < Decimal("0.25")
    for owner, amount in demand.policy.budgets.items():
        assert costs[owner] <= amount


def test_the_minimal_demand_is_feasible() -> None:
    """What `planner init` writes can be planned at once."""
    assert _by_owner(read_demand("shipped:minimal"))[None] == Decimal("294.92")


def test_the_research_group_is_worth_looking_at() -> None:
    """It shows replicas, spread, splitting, growth, counts, exclusions, owners and tags."""
    volumes = read_demand("shipped:research").volumes
    assert {volume.spread for volume in volumes} >= {"provider", "country"}
    assert any(volume.need_gb > 8192 and volume.max_disks > 1 for volume in volumes)
    assert any(volume.multinode for volume in volumes)
    assert any(volume.headroom_percent for volume in volumes)
    assert any(volume.exclude.providers for volume in volumes)
    assert len({volume.owner for volume in volumes}) > 1


@pytest.mark.parametrize("name", ["minimal", "research"])
def test_an_example_is_the_shipped_file_and_explains_itself(name: Any) -> None:
    """More than a third of its lines have a word for the newcomer."""
    text = init(name)
    assert text == shipped_path(name).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip()]
    assert sum("#" in line for line in lines) > len(lines) / 3


def test_an_unknown_example_names_the_nearest() -> None:
    """A typing slip is answered with what was meant."""
    with pytest.raises(InputError) as caught:
        init("reserch")  # type: ignore[arg-type]
    assert caught.value.hint == "did you mean research?"
    with pytest.raises(InputError, match="no example called 'disk-offers'"):
        init("disk-offers")  # type: ignore[arg-type]
