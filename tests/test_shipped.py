from pathlib import Path

import pytest

from planner.errors import InputError
from planner.shipped import docs, resolve, shipped_names, shipped_path

ROOT = Path(__file__).parent.parent


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


PAGES = sorted(path.stem for path in (ROOT / "planner" / "manual").iterdir())


def test_every_page_of_the_manual_is_listed_with_its_title() -> None:
    """Without a topic, one line a page."""
    lines = docs().splitlines()
    assert [line.split()[0] for line in lines] == PAGES
    assert {"changelog", "glossary"} <= set(PAGES)
    assert all(
        docs(name).startswith(f"# {line.split('  ', 1)[1].strip()}\n")
        for name, line in zip(PAGES, lines, strict=True)
    )


@pytest.mark.parametrize(
    "topic", ["glosary", "../README", "/etc/passwd", "", "x\x1b", "glossary.md.md"]
)
def test_a_page_that_is_not_there_is_refused(topic: str) -> None:
    """A topic is looked up in the listing and never followed as a path."""
    with pytest.raises(InputError, match="the manual has no page") as caught:
        docs(topic)
    assert any(name in (caught.value.hint or "") for name in PAGES)
    assert "\x1b" not in str(caught.value)
