import re
from pathlib import Path

import pytest

from planner.cli.docs import page_sections
from planner.errors import InputError
from planner.present.terminal import to_terminal
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


PAGES = sorted(path.stem for path in (ROOT / "planner" / "manual").glob("*.md"))


def test_every_page_of_the_manual_is_listed_with_its_title() -> None:
    """Without a topic, one line a page."""
    lines = docs().splitlines()
    assert sorted(line.split()[0] for line in lines) == PAGES
    assert lines[0].startswith("market "), "in the order in which they are read"
    assert all(
        docs(name).startswith(f"# {title.strip()}\n")
        for name, _, title in (line.partition(" ") for line in lines)
    )


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_read_on_a_terminal(page: str) -> None:
    """At 80 columns: no line is longer but code, which is as it was written, nothing is lost."""
    written = docs(page)
    sections = [*page_sections(written, 80)]
    code = [line for section in sections for line in section.commands]
    assert code == [
        line
        for text in re.findall(r"(?ms)^```\w*\n(.*?)^```$", written)
        for line in text.splitlines()
    ]
    shown = to_terminal(sections, width=80)
    assert [line for line in shown.splitlines() if len(line) > 80 and line not in code] == []
    words = re.findall(r"[\w.%$-]+", re.sub(r"```\w*|\]\([^)]*\)", " ", written).replace("**", ""))
    assert {word for word in words if not word.strip("-_")} | set(
        re.findall(r"[\w.%$-]+", shown)
    ) >= {*words}


@pytest.mark.parametrize(
    "topic", ["glosary", "../README", "/etc/passwd", "", "x\x1b", "glossary.md.md"]
)
def test_a_page_that_is_not_there_is_refused(topic: str) -> None:
    """A topic is looked up in the listing and never followed as a path."""
    with pytest.raises(InputError, match="the manual has no page") as caught:
        docs(topic)
    assert any(name in (caught.value.hint or "") for name in PAGES)
    assert "\x1b" not in str(caught.value)
