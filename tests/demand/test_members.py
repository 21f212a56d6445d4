from collections.abc import Callable
from typing import Any

import pytest

from planner.demand.model import Demand, Group
from planner.demand.read import demand_from
from planner.errors import DemandError

Problems = Callable[..., dict[str, str]]


def _found(volumes: list[dict[str, Any]], **top: object) -> dict[str, str]:
    entries = [{"size": "1 GB", **volume} for volume in volumes]
    with pytest.raises(DemandError) as caught:
        demand_from({"version": 1, "volumes": entries, **top})
    return {field: message for _, _, field, message in caught.value.problems}


def _job(name: str = "w", **fields: object) -> dict[str, Any]:
    return {"name": name, "gpu": "A100_80GB", "mounts": ["a"], **fields}


def test_every_unknown_name_is_told_at_its_place() -> None:
    """In mounts and in groups, all at once."""
    wrong = _found(
        [{"name": "corpus"}, {"name": "backup"}],
        groups=[{"volumes": ["corpus", "bakup", "zzz"], "same": "site"}],
        workloads=[{"name": "w", "gpu": "A100_80GB", "mounts": ["corpus", "copus"]}],
    )
    assert wrong == {
        "groups[0].volumes[1]": "no volume is called 'bakup'; did you mean backup?",
        "groups[0].volumes[2]": "no volume is called 'zzz'",
        "workloads[0].mounts[1]": (
            "no volume is called 'copus'; did you mean corpus? (workload 'w')"
        ),
    }


@pytest.mark.parametrize("listed", [["a"], ["a", "a"], ["c"], ["c", "c-1"]])
def test_a_group_of_one_is_told_after_expansion(listed: list[str]) -> None:
    """Twice the same volume is one, and so is a counted one of which there is one."""
    wrong = _found(
        [{"name": "a"}, {"name": "c", "count": 1}], groups=[{"volumes": listed, "same": "site"}]
    )
    assert list(wrong) == ["groups[0].volumes"]
    assert wrong["groups[0].volumes"].startswith("a group has at least two volumes; here is only")


def test_names_of_two_things_are_told() -> None:
    """`s-1` may be one of three or all of two: the file must say which."""
    wrong = _found(
        [{"name": "s", "count": 3}, {"name": "s-1", "count": 2}],
        groups=[{"volumes": ["s-1", "s"], "same": "site"}],
    )
    assert "give one of the two entries another name" in wrong["groups[0].volumes[0]"]


@pytest.mark.parametrize(
    ("volume", "listed"),
    [
        ({"name": "s", "count": 0}, ["s", "a"]),
        ({"name": "s", "count": 0}, ["s-7", "s"]),
        ({"name": "s", "count": "3"}, ["s"]),
        ({"name": "s t"}, ["s t", "a"]),
    ],
)
def test_one_mistake_in_a_volume_is_not_told_twice(
    volume: dict[str, Any], listed: list[str]
) -> None:
    """Names whose count is wrong may be right: only the count is reported, or only the name."""
    wrong = _found(
        [{"name": "a"}, volume],
        groups=[{"volumes": listed, "same": "site"}],
        workloads=[_job(mounts=listed)],
    )
    assert not [message for message in wrong.values() if "no volume is called" in message]
    assert not [message for message in wrong.values() if "at least two" in message]


@pytest.mark.parametrize("volumes", [None, [], "x", [{"size": "1 GB"}]])
def test_without_volumes_nothing_is_said_about_their_names(
    problems: Problems, volumes: object
) -> None:
    """What is missing is the volumes, not each of the names that mean them."""
    wrong = problems(volumes=volumes, workloads=[_job()])
    assert not [field for field in wrong if field.startswith("workloads")]


def test_a_group_of_another_kind_is_told_and_does_not_stop_the_rest(problems: Problems) -> None:
    """Whatever stands in the list, the names beside it are looked at."""
    wrong = problems(
        groups=[7, {"volumes": 5, "same": "site"}, {"volumes": ["b", None], "same": "site"}]
    )
    assert list(wrong) == [
        "groups[0]",
        "groups[1].volumes",
        "groups[2].volumes[1]",
        "groups[2].volumes[0]",
    ]


def test_names_of_workloads_differ(problems: Problems) -> None:
    """A plan speaks of jobs by their names; a volume may have the same."""
    wrong = problems(workloads=[_job("a"), _job("b"), _job("a")])
    assert wrong == {"workloads[2].name": "workloads[0] is called 'a' already"}


@pytest.mark.parametrize(
    ("policy", "hours", "most"),
    [(None, 731, 730), ({}, 731, 730), ({"hours_per_month": 672}, 673, 672)],
)
def test_a_job_fits_the_month_of_the_policy(
    problems: Problems, policy: object, hours: int, most: int
) -> None:
    """One hour more is refused with what may be written; the whole month is not."""
    wrong = problems(policy=policy, workloads=[_job(hours_per_month=hours)])
    assert wrong == {
        "workloads[0].hours_per_month": f"the policy's month has {most} hours; "
        f"write at most {most}, not {hours} (workload 'w')"
    }
    job = _job(hours_per_month=most)
    volumes = [{"name": "a", "size": "1 GB"}]
    document = {"version": 1, "volumes": volumes, "policy": policy, "workloads": [job]}
    assert demand_from(document).workloads[0].hours_per_month == most


def test_a_wrong_month_is_told_once(problems: Problems) -> None:
    """Hours are not measured by a month that is itself refused, nor refused twice."""
    jobs = [_job(hours_per_month=740), _job("x", hours_per_month=745)]
    wrong = problems(policy={"hours_per_month": 5}, workloads=jobs)
    assert set(wrong) == {"policy.hours_per_month", "workloads[1].hours_per_month"}
    assert wrong["workloads[1].hours_per_month"].startswith("at most 744 is possible")


def test_hours_beyond_every_month_are_told_once() -> None:
    """The field has said it; the policy's month has nothing to add."""
    volumes = [{"name": "a", "size": "1 GB"}]
    jobs = [_job(hours_per_month=745)]
    with pytest.raises(DemandError) as caught:
        demand_from({"version": 1, "volumes": volumes, "workloads": jobs})
    (row,) = caught.value.problems
    assert row[3] == "at most 744 is possible, not 745 (workload 'w')"


@pytest.mark.slow
def test_what_groups_name_together_is_bounded() -> None:
    """A few short lines cannot ask for a hundred million names."""
    groups = [{"volumes": ["s"], "same": "site"}] * 101
    wrong = _found([{"name": "s", "count": 10_000}], groups=groups)
    assert wrong == {
        "groups": "groups and workloads name more than 1,000,000 volumes in all, counts expanded; "
        "name fewer"
    }


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (
            {"disks": ["disk-0001", "disk-0002"]},
            {},
            {
                "volumes[0].disks": "2 disks for 1 replica; name one for each, or write "
                "`replicas: 2` (volume 'a')"
            },
        ),
        (
            {"disks": ["disk-0001", "disk-0001"], "replicas": 2},
            {},
            {
                "volumes[0].disks": "disk 'disk-0001' is named twice; each replica is a disk of "
                "its own (volume 'a')"
            },
        ),
        (
            {"disks": ["disk-0001"]},
            {"disks": ["disk-0002", "disk-0001"], "replicas": 2},
            {
                "volumes[1].disks": "disk 'disk-0001' is named by volume 'a' already; volumes "
                "share a disk only in a group with `same: disk` (volume 'b')"
            },
        ),
    ],
)
def test_a_disk_is_one_replica_of_one_volume(
    first: dict[str, Any], second: dict[str, Any], told: dict[str, str]
) -> None:
    """Too many, one twice, and one in two volumes: each is told where it is written."""
    assert _found([{"name": "a", **first}, {"name": "b", **second}]) == told


def test_fewer_disks_than_replicas_are_fine() -> None:
    """The first is named, the second is still to be bought; `replicas` may be a default."""
    document = {
        "version": 1,
        "defaults": {"replicas": 2},
        "volumes": [{"name": "a", "size": "1 GB", "disks": ["disk-0001"]}],
    }
    (volume,) = demand_from(document).volumes
    assert (volume.disks, volume.replicas) == (("disk-0001",), 2)


def test_volumes_on_one_disk_have_equally_many_replicas() -> None:
    """In the file, where a count stands for several, and in a demand that Python makes."""
    group = {"volumes": ["a", "b"], "same": "disk"}
    wrong = "volumes on one disk have equally many replicas; here a-1 has 2, a-2 has 2, b has 1"
    volumes: list[dict[str, Any]] = [{"name": "a", "replicas": 2, "count": 2}, {"name": "b"}]
    assert _found(volumes, groups=[group]) == {"groups[0].same": wrong}
    demand = demand_from({"version": 1, "volumes": [{"name": n, "size": "1 GB"} for n in "ab"]})
    more = demand.volumes[0].model_copy(update={"replicas": 2})
    with pytest.raises(ValueError, match="equally many replicas"):
        Demand(project="p", volumes=(more, demand.volumes[1]), groups=(Group(**group),))


def test_one_disk_is_in_one_place() -> None:
    group = {"volumes": ["a", "b"], "same": "disk", "different": "provider"}
    (message,) = _found([{"name": "a"}, {"name": "b"}], groups=[group]).values()
    assert message.startswith("`same: disk` and `different: provider` contradict each other")


def test_packing_is_in_the_document_only_where_it_is_not_the_default() -> None:
    """A demand that asks for nothing new keeps its digest, and so its plan ids."""
    volumes = [{"name": "a", "size": "1 GB"}]
    plain = demand_from({"version": 1, "volumes": volumes})
    auto, never = (
        demand_from({"version": 1, "volumes": volumes, "policy": {"packing": word}})
        for word in ("auto", "never")
    )
    assert "packing" not in auto.to_document()["policy"]
    assert auto.digest == plain.digest != never.digest
    assert Demand.from_document(never.to_document()) == never
