from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from planner.demand import Demand, Exclude, Policy, Volume
from planner.errors import DemandError

NAMES = st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
AMOUNTS = st.decimals(min_value=0, max_value=10**6, places=20)
PLACES = st.lists(TEXTS, max_size=3).map(tuple)
ALLOWED = st.none() | st.lists(TEXTS, min_size=1, max_size=3).map(tuple)
VOLUMES = st.builds(
    Volume,
    name=NAMES,
    size_gb=st.integers(1, 10**9),
    headroom_percent=st.decimals(min_value=0, max_value=1000, places=6),
    replicas=st.integers(1, 100),
    spread=st.sampled_from(["none", "site", "data_center", "provider", "country", "region"]),
    multinode=st.booleans(),
    stock=st.sampled_from([None, "Low", "Medium", "Available", "High"]),
    regions=ALLOWED,
    countries=ALLOWED,
    data_centers=ALLOWED,
    providers=ALLOWED,
    exclude=st.builds(
        Exclude, regions=PLACES, countries=PLACES, data_centers=PLACES, providers=PLACES
    ),
    security=st.sampled_from(["secure_cloud", "community_cloud", "any"]),
    max_usd_gb_hr=st.none() | st.decimals(min_value=Decimal("1E-20"), max_value=1, places=20),
    max_disks=st.integers(1, 1000),
    owner=st.none() | TEXTS,
    tags=st.dictionaries(TEXTS, TEXTS, max_size=3),
)
DEMANDS = st.builds(
    Demand,
    project=NAMES,
    volumes=st.lists(VOLUMES, min_size=1, max_size=4, unique_by=lambda each: each.name).map(tuple),
    policy=st.builds(
        Policy,
        budget_usd_month=st.none() | AMOUNTS,
        budgets=st.dictionaries(TEXTS, AMOUNTS, max_size=3),
        hours_per_month=st.integers(672, 744),
    ),
)


def _demand(**fields: Any) -> Demand:
    return Demand(project="p", volumes=(Volume(name="a", size_gb=800, **fields),))


@given(DEMANDS)
def test_a_document_is_read_back_to_an_equal_demand(demand: Demand) -> None:
    """The plan file keeps the whole demand, to the last decimal."""
    document = demand.to_document()
    again = Demand.from_document(document)
    assert again == demand
    assert again.to_document() == document
    assert again.digest == demand.digest


def test_equal_demands_have_equal_documents() -> None:
    """Order and repetition in a list of places, trailing zeros and key order say nothing."""
    one = _demand(
        regions=("b", "a", "a"), headroom_percent=Decimal("25.0"), tags={"x": "1", "w": "2"}
    )
    other = _demand(regions=("a", "b"), headroom_percent=25, tags={"w": "2", "x": "1"})
    assert one == other
    assert one.digest == other.digest
    assert list(one.to_document()["volumes"][0]["tags"]) == ["w", "x"]
    assert one.to_document()["volumes"][0]["headroom_percent"] == "25"


def test_the_digest_ignores_the_project_and_nothing_else() -> None:
    """Renaming the file changes no decision; a GB more does."""
    one = _demand()
    assert one.model_copy(update={"project": "q"}).digest == one.digest
    assert _demand(owner="x").digest != one.digest
    assert one.model_copy(update={"policy": Policy(hours_per_month=744)}).digest != one.digest


@pytest.mark.parametrize(
    ("size_gb", "percent", "need_gb"),
    [(800, "25", 1000), (801, "25", 1002), (100, "0", 100), (1, "0.1", 2), (3, "1000", 33)],
)
def test_need_is_the_size_with_headroom_rounded_up(
    size_gb: int, percent: str, need_gb: int
) -> None:
    """A disk is never bought smaller than asked, not by a fraction of a GB."""
    volume = Volume(name="a", size_gb=size_gb, headroom_percent=Decimal(percent))
    assert volume.need_gb == need_gb


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"size_gb": "800"}, "volumes[0].size_gb"),
        ({"name": "a b"}, "volumes[0].name"),
        ({"regions": []}, "volumes[0].regions"),
        ({"max_usd_gb_hr": "cheap"}, "volumes[0].max_usd_gb_hr"),
        ({"headroom_percent": "1001"}, "volumes[0].headroom_percent"),
        ({"size": "800 GB"}, "volumes[0].size"),
    ],
)
def test_a_document_that_planner_did_not_write_is_refused(
    changes: dict[str, Any], field: str
) -> None:
    """A plan with a demand that was edited by hand says which field is wrong."""
    document = _demand().to_document()
    document["volumes"][0] |= changes
    with pytest.raises(DemandError) as caught:
        Demand.from_document(document)
    assert caught.value.path == "plan"
    assert caught.value.field == field


@pytest.mark.parametrize("nonsense", [None, [], 5, {}, {"project": "p", "volumes": []}])
def test_a_document_that_is_no_demand_is_refused(nonsense: Any) -> None:
    """Whatever stands where the demand should, the error is ours."""
    with pytest.raises(DemandError):
        Demand.from_document(nonsense)


def test_names_differ_within_a_demand() -> None:
    """Two volumes of one name could not be told apart in a plan."""
    volume = Volume(name="a", size_gb=1)
    with pytest.raises(ValidationError, match="2 volumes are called 'a'"):
        Demand(project="p", volumes=(volume, volume))


def test_a_demand_cannot_be_changed() -> None:
    """What was planned is what was asked."""
    with pytest.raises(ValidationError):
        _demand().project = "q"  # type: ignore[misc]
