from collections.abc import Callable
from typing import Any

import pytest

from planner.demand.read import demand_from
from planner.errors import DemandError

Problems = Callable[..., dict[str, str]]


@pytest.mark.parametrize(
    ("top", "volume", "field", "meant"),
    [
        ({"polcy": {}}, {}, "polcy", "policy"),
        ({"defaults": {"replica": 2}}, {}, "defaults.replica", "replicas"),
        ({}, {"replica": 2}, "volumes[0].replica", "replicas"),
        ({}, {"exclude": {"region": ["x"]}}, "volumes[0].exclude.region", "regions"),
        ({"policy": {"budget": 3}}, {}, "policy.budget", "budgets"),
        ({"policy": {"max_site": 3}}, {}, "policy.max_site", "max_sites"),
        ({"group": []}, {}, "group", "groups"),
        ({"groups": [{"volume": ["a"]}]}, {}, "groups[0].volume", "volumes"),
        ({"workloads": [{"mount": ["a"]}]}, {}, "workloads[0].mount", "mounts"),
        ({"workloads": [{"node": 8}]}, {}, "workloads[0].node", "nodes"),
    ],
)
def test_an_unknown_key_is_an_error_with_the_nearest_name(
    problems: Problems, top: dict[str, Any], volume: dict[str, Any], field: str, meant: str
) -> None:
    """A misspelt constraint never goes unnoticed, at whatever level it stands."""
    assert f"no such field; did you mean `{meant}`?" in problems(volume, **top)[field]


def test_a_default_has_no_name_and_a_strange_key_no_neighbour(problems: Problems) -> None:
    """Where nothing is near, nothing is suggested."""
    assert problems(defaults={"name": "x"})["defaults.name"] == "no such field here"
    assert problems(zzz=1)["zzz"] == "no such field here"


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("stock", "low", "'low' is not one of Low, Medium, Available, High; did you mean Low?"),
        ("spread", "provder", "did you mean provider?"),
        ("security", "private", "is not one of secure_cloud, community_cloud, any"),
        ("stock", 3, "3 is not one of Low"),
        ("multinode", "yes", "true or false was expected, not 'yes'"),
        ("multinode", 1, "true or false was expected, not 1"),
        ("replicas", "2", "a whole number was expected, not '2'; write it without quotes"),
        ("replicas", 0, "at least 1 was expected, not 0"),
        ("replicas", 101, "at most 100 is possible, not 101"),
        ("owner", 5, "text was expected, not 5; write it in quotes"),
        ("owner", "", "the text is empty; leave it out"),
        ("owner", "x" * 300, "is longer than 200 characters"),
        ("exclude", [], "a mapping was expected, not a list"),
        ("tags", "x", "a mapping was expected, not 'x'"),
        ("regions", 5, "a list was expected, not 5"),
    ],
)
def test_a_sentence_says_what_would_be_right(
    problems: Problems, field: str, value: object, sentence: str
) -> None:
    """No word of the validator's own reaches the user."""
    message = problems({field: value})[f"volumes[0].{field}"]
    assert sentence in message
    assert message.endswith("(volume 'a')")


def test_tags_are_text(problems: Problems) -> None:
    """A number among the tags is refused, with the key that has it."""
    wrong = problems({"tags": {"year": 2024, "": "x"}})
    assert "write it in quotes" in wrong["volumes[0].tags.year"]
    assert len(wrong) == 2


@pytest.mark.parametrize(
    ("top", "field", "sentence"),
    [
        ({"workloads": [{}]}, "workloads[0].name", "every workload needs a name"),
        (
            {"workloads": [{}]},
            "workloads[0].gpu",
            "missing; name the GPU, such as `gpu: A100_80GB`",
        ),
        ({"workloads": [{}]}, "workloads[0].mounts", "missing; list the volumes it mounts"),
        ({"groups": [{"same": "site"}]}, "groups[0].volumes", "missing; list the volumes of the"),
        ({"groups": [{"volumes": []}]}, "groups[0].volumes", "name at least one volume"),
        ({"workloads": [{"mounts": []}]}, "workloads[0].mounts", "name at least one volume"),
        ({"workloads": [{"mounts": "a"}]}, "workloads[0].mounts", "write a list: [a]"),
        ({"groups": [{"same": "provder"}]}, "groups[0].same", "did you mean provider?"),
        ({"groups": [{"different": "none"}]}, "groups[0].different", "'none' is not one of site"),
        ({"groups": {"volumes": []}}, "groups", "a list was expected, not a mapping"),
        ({"workloads": [{"gpu": 4090}]}, "workloads[0].gpu", "write it in quotes"),
        ({"workloads": [{"gpus": "8"}]}, "workloads[0].gpus", "write it without quotes"),
        ({"workloads": [{"gpus": 10_001}]}, "workloads[0].gpus", "at most 10,000 is possible"),
        ({"workloads": [{"hours_per_month": 0}]}, "workloads[0].hours_per_month", "at least 1"),
        ({"workloads": [{}] * 10_001}, "workloads", "at most 10000 are possible"),
        ({"groups": [{}] * 10_001}, "groups", "at most 10000 are possible"),
    ],
)
def test_groups_and_workloads_are_told_what_would_be_right(
    problems: Problems, top: dict[str, Any], field: str, sentence: str
) -> None:
    """The same plain words as for volumes."""
    assert sentence in problems(**top)[field]


def test_a_workload_is_named_in_what_is_wrong_with_it(problems: Problems) -> None:
    """In a long file the name is found before the index."""
    wrong = problems(workloads=[{"name": "train", "gpu": "", "mounts": ["a"]}])
    assert wrong["workloads[0].gpu"].endswith("(workload 'train')")


def test_every_problem_is_reported_at_once() -> None:
    """A file with five mistakes is corrected in one go."""
    document = {
        "volumes": [
            {"size": "4 TB"},
            {"name": "b", "size": 4, "replicas": 0},
            {"name": "b", "size": "1 GB"},
            7,
        ],
    }
    with pytest.raises(DemandError) as caught:
        demand_from(document)
    assert {row[2] for row in caught.value.problems} == {
        "version",
        "volumes[0].name",
        "volumes[1].size",
        "volumes[1].replicas",
        "volumes[2].name",
        "volumes[3]",
    }


def test_keys_must_be_text(problems: Problems) -> None:
    """A mapping from a notebook may have other keys; they are refused."""
    with pytest.raises(DemandError, match="a key must be text"):
        demand_from({"version": 1, "volumes": [{"name": "a", "size": "1 GB"}], 5: 1})  # type: ignore[dict-item]
    assert problems({"\ud800": 1})


def test_one_bad_value_is_shown_short_and_harmless(problems: Problems) -> None:
    """A value from the file cannot carry escape sequences into the terminal."""
    message = problems({"stock": "\x1b[2J" + "x" * 500})["volumes[0].stock"]
    assert "\x1b" not in message
    assert len(message) < 200


def test_a_name_that_is_too_long_says_the_limit() -> None:
    """How long it is and how long it may be, not which letters there are."""
    document = {"version": 1, "volumes": [{"name": "a" * 65, "size": "1 TB"}]}
    with pytest.raises(DemandError, match="has 65 characters; at most 64 are possible"):
        demand_from(document)


def test_an_id_of_a_disk_that_is_none_is_not_called_a_name() -> None:
    """A short id is not whole, and is said to be so."""
    volumes = [{"name": "a", "size_gb": 1, "disks": ["fdb5205"]}]
    with pytest.raises(DemandError, match="'fdb5205' is not the id of a disk; ids have 8 to 64"):
        demand_from({"version": 1, "volumes": volumes})
