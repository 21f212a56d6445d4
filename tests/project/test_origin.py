"""Where a demand lives: repository and path, never a password, or else the absolute path."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from planner.project.preflight import is_known_place, origin_of

if TYPE_CHECKING:
    from pathlib import Path


def demand_in(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "demand.yaml"
    path.write_text("version: 1\n")
    return str(path)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("git@github.com:acme/infra.git", "git@github.com:acme/infra.git"),
        ("https://user:secret@git.example/infra", "https://git.example/infra"),
    ],
)
def test_a_file_of_a_repository_is_known_by_it(url: str, expected: str, tmp_path: Path) -> None:
    """Wherever it is checked out; what logs in to it is left out."""
    source = demand_in(tmp_path / "data")
    config = tmp_path / ".git" / "config"
    config.parent.mkdir()
    config.write_text(
        f'[core]\n\tbare = false\n[remote "fork"]\n\turl = x\n[remote "origin"]\n\turl = {url}\n'
    )
    assert origin_of(source) == f"{expected}#data/demand.yaml"
    assert is_known_place(origin_of(source))


def test_another_file_is_known_by_its_path(tmp_path: Path) -> None:
    """Two directories are two places; standard input and shipped files are none."""
    first, second = (origin_of(demand_in(tmp_path / name)) for name in ("a", "b"))
    assert first != second
    assert is_known_place(first)
    for text in ("-", "shipped:minimal", "demand"):
        assert origin_of(text) == text
        assert not is_known_place(text)
