from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from planner.demand.model import Demand, Exclude, Group, Policy, Volume, Workload
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
    disks=st.just(()),
    owner=st.none() | TEXTS,
    tags=st.dictionaries(TEXTS, TEXTS, max_size=3),
)
LEVELS = st.sampled_from(["site", "data_center", "provider", "country", "region"])
SHARES = st.decimals(min_value=Decimal("1E-12"), max_value=1, places=12)
POLICIES = st.builds(
    Policy,
    budget_usd_month=st.none() | AMOUNTS,
    budgets=st.dictionaries(TEXTS, AMOUNTS, max_size=3),
    hours_per_month=st.integers(672, 744),
    max_sites=st.none() | st.integers(1, 9),
    max_providers=st.none() | st.integers(1, 9),
    max_provider_share=st.none() | SHARES,
    sequential=st.booleans(),
)


@st.composite
def demands(draw: st.DrawFn) -> Demand:
    """Any demand, with workloads and groups over its volumes in any order."""
    volumes = draw(st.lists(VOLUMES, min_size=1, max_size=4, unique_by=lambda each: each.name))
    names = [volume.name for volume in volumes]
    workloads = st.builds(
        Workload,
        name=NAMES,
        gpu=TEXTS,
        gpus=st.integers(1, 10_000),
        nodes=st.integers(1, 10_000),
        socket=st.none() | TEXTS,
        spot=st.booleans(),
        security=st.sampled_from(["secure_cloud", "community_cloud", "any"]),
        regions=ALLOWED,
        providers=ALLOWED,
        hours_per_month=st.none() | st.integers(1, 672),
        mounts=st.lists(st.sampled_from(names), min_size=1, max_size=5).map(tuple),
    )
    members = st.lists(st.sampled_from(names), min_size=2, unique=True).map(tuple)
    levels = st.tuples(st.none() | LEVELS, st.none() | LEVELS).filter(lambda two: two[0] != two[1])
    groups = st.builds(
        lambda volumes, two: Group(volumes=volumes, same=two[0], different=two[1]), members, levels
    )
    return Demand(
        project=draw(NAMES),
        volumes=tuple(volumes),
        policy=draw(POLICIES),
        workloads=tuple(draw(st.lists(workloads, max_size=3, unique_by=lambda each: each.name))),
        groups=tuple(draw(st.lists(groups, max_size=3))) if len(names) > 1 else (),
    )


def _demand(**fields: Any) -> Demand:
    return Demand(project="p", volumes=(Volume(name="a", size_gb=800, **fields),))


@pytest.mark.slow
@given(demands())
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
    with pytest.raises(ValidationError, match=r"volumes\[0\] is called 'a' already"):
        Demand(project="p", volumes=(volume, volume))


def _tied(**fields: Any) -> Demand:
    volumes = tuple(Volume(name=name, size_gb=1) for name in ("b", "a", "c"))
    return Demand(project="p", volumes=volumes, **fields)


def _job(name: str = "train", **fields: Any) -> Workload:
    return Workload(name=name, gpu="H100_80GB", **{"mounts": ("a",), **fields})


def test_names_in_groups_and_mounts_take_the_order_of_the_volumes() -> None:
    """In whatever order they are named, equal ties are equal demands."""
    one = _tied(
        groups=(Group(volumes=("c", "a", "b", "a"), same="site"),),
        workloads=(_job(mounts=("a", "b", "a")),),
    )
    other = _tied(
        groups=(Group(volumes=("b", "a", "c"), same="site"),),
        workloads=(_job(mounts=("b", "a")),),
    )
    assert one.groups[0].volumes == ("b", "a", "c")
    assert one.workloads[0].mounts == ("b", "a")
    assert one == other
    assert one.digest == other.digest


def test_groups_workloads_and_their_order_are_part_of_the_digest() -> None:
    """Another tie, or another order to decide in, is another demand."""
    apart = Group(volumes=("a", "b"), different="provider")
    together = Group(volumes=("a", "c"), same="site")
    demands = [
        _tied(),
        _tied(groups=(apart,)),
        _tied(groups=(apart, together)),
        _tied(workloads=(_job("x"), _job("y"))),
        _tied(workloads=(_job("y"), _job("x"))),
        _tied(policy=Policy(max_provider_share="0.7")),
        _tied(policy=Policy(sequential=True)),
    ]
    assert len({demand.digest for demand in demands}) == len(demands)


def test_a_share_is_written_as_text() -> None:
    """Like every exact number, in its shortest form."""
    for share in ("0.70", "70%", Decimal("0.7000")):
        document = _tied(policy=Policy(max_provider_share=share)).to_document()
        assert document["policy"]["max_provider_share"] == "0.7"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"groups": (Group(volumes=("a", "d"), same="site"),)},
            r"groups\.0\.volumes\.1\n.*no volume is called 'd'",
        ),
        (
            {"workloads": (_job(mounts=("A",)),)},
            r"no volume is called 'A'; did you mean a\? \(workload 'train'\)",
        ),
        ({"workloads": (_job(), _job())}, r"workloads\[0\] is called 'train' already"),
        (
            {"workloads": (_job(hours_per_month=731),)},
            r"the policy's month has 730 hours; write at most 730, not 731 \(workload 'train'\)",
        ),
        (
            {"policy": Policy(hours_per_month=672), "workloads": (_job(hours_per_month=700),)},
            "write at most 672, not 700",
        ),
    ],
)
def test_ties_fit_the_demand_they_are_in(fields: dict[str, Any], sentence: str) -> None:
    """A demand made in Python is held to the same rules as a file."""
    with pytest.raises(ValidationError, match=sentence):
        _tied(**fields)


@pytest.mark.parametrize(
    ("section", "changes", "field"),
    [
        ("groups", {"volumes": ["a", "z"]}, "groups[0].volumes[1]"),
        ("groups", {"volumes": ["a"]}, "groups[0].volumes"),
        ("groups", {"same": "planet"}, "groups[0].same"),
        ("groups", {"same": None}, "groups[0]"),
        ("workloads", {"mounts": ["z"]}, "workloads[0].mounts[0]"),
        ("workloads", {"mounts": []}, "workloads[0].mounts"),
        ("workloads", {"gpus": 0}, "workloads[0].gpus"),
        ("workloads", {"hours": 3}, "workloads[0].hours"),
    ],
)
def test_ties_that_planner_did_not_write_are_refused(
    section: str, changes: dict[str, Any], field: str
) -> None:
    """A plan whose ties were edited by hand says where."""
    group = Group(volumes=("a", "b"), same="site")
    document = _tied(groups=(group,), workloads=(_job(),)).to_document()
    document[section][0] |= changes
    with pytest.raises(DemandError) as caught:
        Demand.from_document(document)
    assert caught.value.field == field


def test_the_hours_of_a_workload_are_its_own_or_the_policys() -> None:
    """A job that does not say runs the whole month."""
    jobs = (_job("x", hours_per_month=200), _job("y"))
    demand = _tied(workloads=jobs, policy=Policy(hours_per_month=744))
    assert [demand.hours_of(each) for each in demand.workloads] == [200, 744]


def test_a_demand_cannot_be_changed() -> None:
    """What was planned is what was asked."""
    with pytest.raises(ValidationError):
        _demand().project = "q"  # type: ignore[misc]


def test_named_disks_are_part_of_the_document_and_its_digest() -> None:
    """Read back in their order; another order is another demand."""
    one = _demand(disks=("disk-0002", "disk-0001"), replicas=2)
    other = _demand(disks=("disk-0001", "disk-0002"), replicas=2)
    assert one.to_document()["volumes"][0]["disks"] == ["disk-0002", "disk-0001"]
    assert Demand.from_document(one.to_document()) == one
    assert one.digest != other.digest


def test_a_document_that_names_a_disk_twice_is_none() -> None:
    """In two volumes, or more disks than replicas: however it was made."""
    document = _demand(disks=("disk-0001",)).to_document()
    (volume,) = document["volumes"]
    for volumes in (
        [volume, {**volume, "name": "b"}],
        [{**volume, "disks": ["disk-0001", "disk-0002"]}],
    ):
        with pytest.raises(DemandError):
            Demand.from_document({**document, "volumes": volumes})
