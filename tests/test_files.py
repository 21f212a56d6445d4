"""Files are read with bounds, and written whole or not at all."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from planner.errors import InputError
from planner.formats import read_bytes, write_atomic

if TYPE_CHECKING:
    from pathlib import Path


def names(folder: Path) -> list[str]:
    """Return what lies in a folder."""
    return [each.name for each in folder.iterdir()]


def test_read(tmp_path: Path) -> None:
    """The content comes back as it is, up to the very limit."""
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_bytes(path, what="thing") == b"12345"
    assert read_bytes(str(path), what="thing", limit=5) == b"12345"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("none", "there is no such thing"),
        ("none/none", "there is no such thing"),
        (".", "is a directory, not a thing"),
        ("file/none", "cannot be read: Not a directory"),
        ("a\x00b", "cannot be read: not a usable path"),
        ("x" * 5000, "cannot be read: File name too long"),
        ("big", "is larger than 1 MiB, which no thing is"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, name: str, why: str) -> None:
    """Each failure is one error that names the path, the reason and what to do."""
    (tmp_path / "file").touch()
    with (tmp_path / "big").open("wb") as file:
        file.truncate(2**20 + 1)
    with pytest.raises(InputError) as caught:
        read_bytes(tmp_path / name, what="thing", limit=2**20)
    assert why in str(caught.value)
    assert str(caught.value).isprintable()
    assert caught.value.hint


def test_endless_file_is_left_at_the_limit() -> None:
    """A device without end is not read to its end."""
    with pytest.raises(InputError, match="is larger than"):
        read_bytes("/dev/zero", what="thing", limit=2**20)


def test_written_whole_and_nothing_else_left(tmp_path: Path) -> None:
    """A new file has the content, and an old one is replaced; no temporary file stays."""
    path = tmp_path / "a.json"
    for content in (b"one", b"", b"two" * 100_000):
        write_atomic(path, content)
        assert path.read_bytes() == content
        assert names(tmp_path) == ["a.json"]


def test_reader_keeps_the_old_content(tmp_path: Path) -> None:
    """Who has the old file open reads the old content to its end."""
    path = tmp_path / "a"
    write_atomic(path, b"old content")
    with path.open("rb") as file:
        assert file.read(3) == b"old"
        write_atomic(path, b"new")
        assert file.read() == b" content"


def test_failure_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up while writing leaves the old content and no temporary file."""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "a"
    write_atomic(path, b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="cannot be written: No space left on device"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_interrupt_leaves_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the middle of a write cleans up too."""

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "a", b"new")
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["missing/a", ".", "file/a", "a\x00b", "x" * 300])
def test_place_that_cannot_be_written(tmp_path: Path, name: str) -> None:
    """Each failure is one error, and nothing is left behind."""
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written") as caught:
        write_atomic(tmp_path / name, b"new")
    assert caught.value.hint
    assert str(caught.value).isprintable()
    assert names(tmp_path) == ["file"]


def test_longest_name(tmp_path: Path) -> None:
    """A name as long as the file system allows can be written."""
    path = tmp_path / ("x" * 255)
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_new_file_obeys_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    """A user who keeps files private gets a private file."""
    path = tmp_path / "a"
    before = os.umask(umask)
    try:
        write_atomic(path, b"new")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_old_file_keeps_its_mode(tmp_path: Path) -> None:
    """Replacing a file does not open it to others."""
    path = tmp_path / "a"
    path.touch(0o600)
    write_atomic(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_link_stays_a_link(tmp_path: Path) -> None:
    """Writing through a symbolic link changes the file it names."""
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "a", tmp_path / "link"
    link.symlink_to(target)
    for content in (b"one", b"two"):
        write_atomic(link, content)
        assert link.is_symlink()
        assert target.read_bytes() == content


def test_loop_of_links(tmp_path: Path) -> None:
    """A link to itself is an error like any other."""
    link = tmp_path / "link"
    link.symlink_to(link)
    with pytest.raises(InputError, match="cannot be written"):
        write_atomic(link, b"new")
    assert names(tmp_path) == ["link"]


def test_what_is_no_file_is_written_to(tmp_path: Path) -> None:
    """A pipe, as ``/dev/stdout`` often is, gets the content and stays what it is."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_atomic(pipe, b"new")
        assert os.read(reader, 100) == b"new"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert names(tmp_path) == ["pipe"]
