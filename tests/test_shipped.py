from pathlib import Path

import pytest

from planner.errors import InputError
from planner.shipped import resolve, shipped_names, shipped_path


def test_every_shipped_file_has_a_name() -> None:
    """The market and both examples are there, and each name leads to its file."""
    assert {"disk-offers", "gpu-offers", "minimal", "research"} <= set(shipped_names())
    assert all(shipped_path(name).is_file() for name in shipped_names())


def test_a_name_is_understood_with_its_suffix_too() -> None:
    """`shipped:research.yaml` is what a file listing suggests."""
    assert shipped_path("research.yaml") == shipped_path("research")


def test_resolve_leaves_other_paths_alone() -> None:
    """Only the prefix makes a path a shipped one."""
    assert resolve("research") == Path("research")
    assert resolve("shipped:research") == shipped_path("research")


@pytest.mark.parametrize("name", ["", "../pyproject", "/etc/passwd", "nothing-like-it", "x\x1b"])
def test_what_is_not_shipped_is_refused(name: str) -> None:
    """A name is looked up in the listing and never followed as a path."""
    with pytest.raises(InputError, match="planner ships no file called") as caught:
        shipped_path(name)
    assert caught.value.hint
    assert "\x1b" not in str(caught.value)
