from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from planner.demand.model import Demand, Group, Volume, Workload

LEVELS = ("site", "data_center", "provider", "country", "region")


@pytest.mark.parametrize("level", LEVELS)
def test_a_group_is_of_one_mind_at_a_level(level: Any) -> None:
    """Each level may be asked for either way, and not both ways at once."""
    assert Group(volumes=("a", "b"), same=level).different is None
    assert Group(volumes=("a", "b"), different=level).same is None
    with pytest.raises(ValidationError, match=f"`different: {level}` contradict each other"):
        Group(volumes=("a", "b"), same=level, different=level)


def test_a_group_may_ask_for_both_at_different_levels() -> None:
    """One country and two providers is a sensible wish."""
    group = Group(volumes=("a", "b"), same="country", different="provider")
    assert (group.same, group.different) == ("country", "provider")


def test_a_group_asks_for_something() -> None:
    """A list of volumes alone ties nothing, and nobody writes it to mean nothing."""
    with pytest.raises(ValidationError, match="write `same: site`, or `different: provider`"):
        Group(volumes=("a", "b"))


@pytest.mark.parametrize("volumes", [(), ("a",), ("a", "a")])
def test_a_group_has_two_volumes(volumes: tuple[str, ...]) -> None:
    """A volume is neither together with itself nor apart from it."""
    stored = (Volume(name="a", size_gb=1), Volume(name="b", size_gb=1))
    with pytest.raises(ValidationError):
        Demand(project="p", volumes=stored, groups=(Group(volumes=volumes, same="site"),))


def test_members_are_named_once() -> None:
    """Repetition says nothing; without a demand the order is the one given."""
    assert Group(volumes=("b", "a", "b"), same="site").volumes == ("b", "a")
    assert Workload(name="w", gpu="g", mounts=("b", "a", "b")).mounts == ("b", "a")


@pytest.mark.parametrize(
    ("field", "low", "high"),
    [("gpus", 1, 10_000), ("nodes", 1, 10_000), ("hours_per_month", 1, 744)],
)
def test_numbers_of_a_workload_have_bounds(field: str, low: int, high: int) -> None:
    """Both bounds are accepted, and the next number beyond either is not."""
    base: dict[str, Any] = {"name": "w", "gpu": "g", "mounts": ("a",)}
    for value in (low, high):
        assert getattr(Workload(**base, **{field: value}), field) == value
    wrong: tuple[Any, ...] = (low - 1, high + 1, "2", True, Decimal("2.0"), 2.5)
    for each in wrong:
        with pytest.raises(ValidationError):
            Workload(**base, **{field: each})


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "a b"},
        {"gpu": ""},
        {"mounts": ()},
        {"mounts": "a"},
        {"socket": ""},
        {"spot": 1},
        {"security": "private"},
        {"regions": ()},
        {"data_centers": ("x",)},
    ],
)
def test_a_workload_without_sense_is_refused(changes: dict[str, Any]) -> None:
    """What cannot be meant is not planned for."""
    with pytest.raises(ValidationError):
        Workload(**{"name": "w", "gpu": "g", "mounts": ("a",), **changes})
