from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.demand.model import Demand, Group, Policy, Volume, Workload
from planner.demand.read import demand_from, located, merged
from planner.errors import DemandError

Problems = Callable[..., dict[str, str]]
VALUES = st.dictionaries(st.sampled_from(["owner", "stock", "regions"]), st.none() | st.integers())
MAPS = st.dictionaries(st.sampled_from("abc"), st.none() | st.integers())


def _demand(*volumes: dict[str, Any], **top: object) -> Demand:
    return demand_from({"version": 1, "volumes": list(volumes), **top})


def _merged(defaults: dict[str, Any], **own: object) -> Volume:
    return _demand({"name": "a", **own}, defaults=defaults).volumes[0]


def test_a_bare_volume_has_the_documented_defaults() -> None:
    """One replica, another data centre each, one disk, any security, everything allowed."""
    assert _demand({"name": "a", "size": "4 TB"}).volumes == (Volume(name="a", size_gb=4000),)
    volume = Volume(name="a", size_gb=4000)
    assert (volume.replicas, volume.spread, volume.max_disks) == (1, "data_center", 1)
    assert (volume.security, volume.stock, volume.regions) == ("any", None, None)


@pytest.mark.slow
@given(VALUES, VALUES)
def test_scalars_and_lists_are_replaced(defaults: dict[str, Any], own: dict[str, Any]) -> None:
    """A volume's own value wins, null included; what it does not name is the default's."""
    result = merged(defaults, own)
    for key in defaults.keys() | own.keys():
        assert result[key] == (own[key] if key in own else defaults[key])


@pytest.mark.slow
@given(MAPS, MAPS, st.sampled_from(["exclude", "tags"]))
def test_exclude_and_tags_merge_by_key(
    defaults: dict[str, Any], own: dict[str, Any], field: str
) -> None:
    """Each key is the volume's where it names it, and the default's where it does not."""
    result = merged({field: defaults}, {field: own})[field]
    assert result == {
        key: own[key] if key in own else defaults[key] for key in defaults.keys() | own.keys()
    }


def test_exclusions_and_tags_of_defaults_and_volume_both_hold() -> None:
    """Adding one exclusion does not lift another."""
    volume = _merged(
        {"size": "1 GB", "exclude": {"regions": ["x"]}, "tags": {"a": "1", "b": "2"}},
        exclude={"providers": ["y"]},
        tags={"b": "3", "a": None},
    )
    assert (volume.exclude.regions, volume.exclude.providers) == (("x",), ("y",))
    assert volume.tags == {"b": "3"}


def test_null_lifts_a_default() -> None:
    """Explicit null says: not what the defaults say."""
    defaults = {
        "size": "1 GB",
        "regions": ["x"],
        "replicas": 3,
        "exclude": {"regions": ["z"], "providers": ["y"]},
        "count": 2,
    }
    volume = _merged(defaults, regions=None, replicas=None, exclude={"regions": None}, count=None)
    assert (volume.name, volume.regions, volume.replicas) == ("a", None, 1)
    assert (volume.exclude.regions, volume.exclude.providers) == ((), ("y",))
    assert _merged(defaults, count=None, exclude=None).exclude.providers == ()


@pytest.mark.parametrize(
    ("defaults", "own", "size_gb"),
    [
        ({"size": "1 TB"}, {}, 1000),
        ({"size": "1 TB"}, {"size_gb": 5}, 5),
        ({"size_gb": 7}, {"size": "2 TB"}, 2000),
        ({"size_gb": 7}, {"size": None}, 7),
    ],
)
def test_a_size_replaces_a_size_in_either_form(
    defaults: dict[str, Any], own: dict[str, Any], size_gb: int
) -> None:
    """A volume that says its size does not also have the default's."""
    assert _merged(defaults, **own).size_gb == size_gb


def test_exactly_one_size(problems: Problems) -> None:
    """Two sizes contradict each other and none is no size, also when a null lifts it."""
    assert "not both" in problems({"size_gb": 5})["volumes[0].size_gb"]
    assert "missing; write `size: 800 GB`" in problems({"size": None})["volumes[0].size"]
    both = problems(defaults={"size": "1 GB", "size_gb": 1})
    assert list(both) == ["defaults.size_gb"]
    assert "volumes[0].size" in problems({"size": None}, defaults={"size": "1 GB"})


def test_count_expands_to_numbered_names() -> None:
    """The volumes of one entry differ in nothing but the name, and stand where it stands."""
    demand = _demand(
        {"name": "s", "size": "1 GB", "count": 3, "owner": "x"}, {"name": "t", "size": "1 GB"}
    )
    assert [volume.name for volume in demand.volumes] == ["s-1", "s-2", "s-3", "t"]
    assert {volume.owner for volume in demand.volumes[:3]} == {"x"}


def test_a_count_of_one_is_numbered_too() -> None:
    """Going from one to two adds a volume and renames none."""
    one = _demand({"name": "s", "size": "1 GB", "count": 1})
    two = _demand({"name": "s", "size": "1 GB", "count": 2})
    assert one.volumes == two.volumes[:1]


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"name": "s"}, "volumes[0] is called 's' already"),
        ({"name": "s-2"}, "'s-2' is also a name of volumes[0]"),
        ({"name": "s", "count": 2}, "volumes[0] is called 's' already"),
    ],
)
def test_a_clash_of_expanded_names_is_an_error(other: dict[str, Any], sentence: str) -> None:
    """A plan speaks of volumes by their names, so no two may share one."""
    first = {"name": "s", "size": "1 GB", "count": 3}
    with pytest.raises(DemandError) as caught:
        _demand(first, {**other, "size": "1 GB"})
    assert [row[2:] for row in caught.value.problems] == [("volumes[1].name", sentence)]


def test_a_numbered_name_is_not_too_long_either(problems: Problems) -> None:
    """The bound holds for the names that the plan will show."""
    wrong = problems({"name": "x" * 63, "count": 10})
    assert wrong["volumes[0].name"].endswith("is longer than 64 characters")


def test_an_expansion_beyond_bounds_is_refused() -> None:
    """A hundred thousand volumes are the most; one more is a typing mistake."""
    eleven = [{"name": f"v{n}", "size": "1 GB", "count": 10_000} for n in range(10)]
    with pytest.raises(DemandError, match=r"expands to 100,001 volumes; at most 100,000"):
        _demand(*eleven, {"name": "w", "size": "1 GB"})


@pytest.mark.parametrize(
    ("volumes", "sentence"),
    [
        ([], "the list is empty; name at least one volume"),
        (None, "a list was expected, not null"),
        ({"name": "a"}, "a list was expected, not a mapping"),
    ],
)
def test_there_is_something_to_store(problems: Problems, volumes: object, sentence: str) -> None:
    """A demand for nothing is a mistake."""
    assert problems(volumes=volumes) == {"volumes": sentence}


def test_a_missing_list_of_volumes_and_version_are_named() -> None:
    """An empty mapping says everything that it lacks."""
    with pytest.raises(DemandError) as caught:
        demand_from({})
    assert {row[2] for row in caught.value.problems} == {"version", "volumes"}


def test_null_sections_are_empty_sections() -> None:
    """`policy:` with nothing under it is what an editor leaves behind."""
    demand = _demand({"name": "a", "size": "1 GB"}, policy=None, defaults=None, project=None)
    assert demand.policy.budgets == {}


def test_a_null_budget_is_no_budget() -> None:
    """Null lifts, here as elsewhere."""
    policy = {"budgets": {"x": None, "y": 5}}
    assert list(_demand({"name": "a", "size": "1 GB"}, policy=policy).policy.budgets) == ["y"]


def test_workloads_and_groups_name_volumes_as_the_file_does() -> None:
    """The name of a counted volume means all of it, a numbered one that one, each once."""
    demand = _demand(
        {"name": "s", "size": "1 GB", "count": 3},
        {"name": "t", "size": "1 GB"},
        groups=[
            {"volumes": ["t", "s"], "same": "site"},
            {"volumes": ["s-3", "s-1"], "same": "country", "different": "provider"},
            {"volumes": ["s"], "different": "provider", "same": None},
        ],
        workloads=[
            {"name": "x", "gpu": "A100_80GB", "mounts": ["t", "s-2", "s", "s"]},
            {"name": "t", "gpu": "H100_80GB", "mounts": ["s-2"]},
        ],
    )
    assert demand.groups == (
        Group(volumes=("s-1", "s-2", "s-3", "t"), same="site"),
        Group(volumes=("s-1", "s-3"), same="country", different="provider"),
        Group(volumes=("s-1", "s-2", "s-3"), different="provider"),
    )
    assert [each.mounts for each in demand.workloads] == [("s-1", "s-2", "s-3", "t"), ("s-2",)]
    assert Demand.from_document(demand.to_document()) == demand


def test_a_workload_inherits_nothing() -> None:
    """Security and places of volumes and defaults are the disks', not the GPUs'."""
    bare = {"name": "w", "gpu": "A100_80GB", "mounts": ["a"]}
    defaults = {"security": "secure_cloud", "regions": ["x"], "providers": ["y"]}
    demand = _demand({"name": "a", "size": "1 GB"}, defaults=defaults, workloads=[bare])
    assert demand.workloads == (Workload(name="w", gpu="A100_80GB", mounts=("a",)),)
    workload = demand.workloads[0]
    assert (workload.gpus, workload.nodes, workload.spot, workload.socket) == (1, 1, False, None)
    assert (workload.security, workload.regions, workload.providers) == ("any", None, None)
    nulls = dict.fromkeys(Workload.model_fields) | bare
    again = _demand({"name": "a", "size": "1 GB"}, workloads=[nulls])
    assert again.workloads == demand.workloads


def test_a_workload_says_what_it_needs() -> None:
    """Every field arrives; lists of places are sorted sets."""
    job = {
        "name": "w",
        "gpu": "A100_80GB",
        "gpus": 8,
        "nodes": 2,
        "socket": "SXM4",
        "spot": True,
        "security": "secure_cloud",
        "regions": ["b", "a", "a"],
        "providers": ["p"],
        "hours_per_month": 200,
        "mounts": ["a"],
    }
    demand = _demand({"name": "a", "size": "1 GB"}, workloads=[job])
    expected = job | {"regions": ["a", "b"]}
    assert demand.to_document()["workloads"] == [expected]


@pytest.mark.parametrize("nothing", [None, []])
def test_no_groups_and_workloads_are_none(nothing: object) -> None:
    """`groups:` with nothing under it ties nothing."""
    demand = _demand({"name": "a", "size": "1 GB"}, groups=nothing, workloads=nothing)
    assert (demand.groups, demand.workloads) == ((), ())


def test_the_rules_of_the_policy_arrive() -> None:
    """Caps, share and turns."""
    rules = {"max_sites": 3, "max_providers": 2, "max_provider_share": "70%", "sequential": True}
    policy = _demand({"name": "a", "size": "1 GB"}, policy=rules).policy
    assert policy == Policy(**{**rules, "max_provider_share": Decimal("0.7")})


def test_a_problem_is_placed_at_the_nearest_thing_around_it() -> None:
    """What is missing has no line of its own; problems come in the order of the file."""
    places = {(): (1, 1), ("volumes", 0): (3, 5), ("policy",): (2, 1)}
    rows = located(
        [(("volumes", 0, "name"), "m"), (("policy", "x"), "n"), (("version",), "o")], places
    )
    assert rows == [(1, 1, "version", "o"), (2, 1, "policy.x", "n"), (3, 5, "volumes[0].name", "m")]
