"""The journal: torn tails are forgotten, damage is refused, one run writes, nothing is lost."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from planner.errors import JournalLocked, StateUnusable
from planner.formats import state_home
from planner.project.journal import FILE, FORMAT, LOCK, Journal
from planner.project.state import State
from tests.project.world import World, plan_of

if TYPE_CHECKING:
    from pathlib import Path


def written(folder: Path, count: int = 3) -> bytes:
    """Return the content of a journal with so many records after its first."""
    with Journal(folder, write=True) as journal:
        for number in range(count):
            journal.append("seen", number=number)
    return (folder / FILE).read_bytes()


def numbers(folder: Path, *, write: bool = False) -> list[Any]:
    with Journal(folder, write=write) as journal:
        return [record.get("number") for record in journal.records]


def test_what_is_appended_is_read_again(tmp_path: Path) -> None:
    """Across runs, in order, after the line that names the format."""
    written(tmp_path)
    with Journal(tmp_path, write=True) as journal:
        assert [record["kind"] for record in journal.records] == ["journal", *["seen"] * 3]
        assert journal.records[0]["format"] == FORMAT
        journal.append("seen", number=3)
    assert numbers(tmp_path) == [None, 0, 1, 2, 3]


@pytest.mark.slow
def test_cut_at_every_byte(tmp_path: Path) -> None:
    """Whole lines before the cut are kept, the torn one is forgotten, and writing goes on."""
    content = written(tmp_path / "whole")
    ends = [index + 1 for index, byte in enumerate(content) if byte == ord("\n")]
    for cut in range(len(content) + 1):
        folder = tmp_path / str(cut)
        folder.mkdir(mode=0o700)
        (folder / FILE).write_bytes(content[:cut])
        kept = sum(end - 1 <= cut for end in ends)  # a line without its newline is whole as well
        assert len(numbers(folder)) == kept
        with Journal(folder, write=True) as journal:
            assert len(journal.records) == max(kept, 1)
            journal.append("seen", number="next")
        assert numbers(folder)[-1] == "next"
        assert len(numbers(folder)) == max(kept, 1) + 1


@pytest.mark.slow
def test_damage_anywhere_is_refused(tmp_path: Path) -> None:
    """A changed byte in any line that is not torn is exit 8, and says how to go on."""
    content = written(tmp_path)
    for place in range(len(content) - 1):
        changed = bytearray(content)
        changed[place] ^= 1
        (tmp_path / FILE).write_bytes(changed)
        with pytest.raises(StateUnusable, match=r"damaged|another version") as caught:
            numbers(tmp_path)
        assert "move the file away" in (caught.value.hint or "")


@pytest.mark.parametrize("change", ["drop", "swap", "repeat"])
def test_lines_stand_in_one_order(change: str, tmp_path: Path) -> None:
    """A line that is taken out, moved or repeated is damage: each is bound to those before it."""
    lines = written(tmp_path).splitlines(keepends=True)
    if change == "drop":
        del lines[2]
    elif change == "swap":
        lines[1], lines[2] = lines[2], lines[1]
    else:
        lines.insert(2, lines[2])
    (tmp_path / FILE).write_bytes(b"".join(lines))
    with pytest.raises(StateUnusable):
        numbers(tmp_path)


def test_a_tail_of_zeros_is_torn(tmp_path: Path) -> None:
    """What a power cut leaves on some file systems."""
    content = written(tmp_path)
    (tmp_path / FILE).write_bytes(content + b"\0" * 512)
    assert numbers(tmp_path, write=True) == [None, 0, 1, 2]


def test_modes(tmp_path: Path) -> None:
    """The directory is the user's alone, and so is every file."""
    folder = tmp_path / "a" / "state"
    written(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    folder.chmod(0o755)
    written(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_one_writer(tmp_path: Path) -> None:
    """The second learns who holds it, and a reader may look all the while."""
    with Journal(tmp_path, write=True):
        with pytest.raises(JournalLocked, match=f"process {os.getpid()}"):
            Journal(tmp_path, write=True)
        assert numbers(tmp_path) == [None]
    assert numbers(tmp_path, write=True) == [None]


def test_a_deleted_lock_file_lets_no_second_writer_in(tmp_path: Path) -> None:
    """The journal itself is locked; the lock file only names who holds it."""
    with Journal(tmp_path, write=True) as journal:
        (tmp_path / LOCK).unlink()
        with pytest.raises(JournalLocked):
            Journal(tmp_path, write=True)
        journal.append("seen", number=1)
    assert numbers(tmp_path) == [None, 1]


def test_a_journal_that_was_moved_away_is_written_no_more(tmp_path: Path) -> None:
    """A second run may begin a new file; the first sends nothing after that."""
    with Journal(tmp_path, write=True) as journal:
        for path in list(tmp_path.iterdir()):
            path.unlink()
        with Journal(tmp_path, write=True) as second:
            second.append("seen", number=2)
            with pytest.raises(StateUnusable, match="moved or deleted"):
                journal.append("seen", number=1)
        with pytest.raises(StateUnusable):
            journal.append("seen", number=1)
    assert numbers(tmp_path) == [None, 2]


def test_a_reader_touches_nothing(tmp_path: Path) -> None:
    """Neither a directory nor a file is made, and what it appends stays with it."""
    with Journal(tmp_path / "none", write=False) as journal:
        journal.append("seen", number=1)
        assert journal.records[-1]["number"] == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", [FILE, LOCK])
def test_links_are_not_followed(what: str, tmp_path: Path) -> None:
    """A link in the state directory could point anywhere."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    (folder / what).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateUnusable):
        Journal(folder, write=True)
    assert not (tmp_path / "elsewhere").exists()


def test_a_place_that_is_no_directory(tmp_path: Path) -> None:
    """Exit 8, before anything is sent."""
    (tmp_path / "file").write_text("")
    world = World()
    with pytest.raises(StateUnusable, match="cannot be used"):
        world.apply(tmp_path / "file")
    assert world.log == []


def test_a_full_disk_leaves_no_torn_line_behind(tmp_path: Path) -> None:
    """What was half written is cut off again, and nothing more is accepted in this run."""

    def full(word: str) -> None:
        if word == "fsync" and armed:
            raise OSError(28, "No space left on device")

    armed: list[str] = []
    with Journal(tmp_path, write=True, step=full) as journal:
        armed.append("now")
        for _ in range(2):
            with pytest.raises(StateUnusable):
                journal.append("seen", number=1)
    assert numbers(tmp_path) == [None]


def test_a_full_disk_leaves_no_half_of_a_plan_behind(tmp_path: Path) -> None:
    """Beside the journal there is the whole file or none."""

    def full(word: str) -> None:
        if word == "stored":
            raise OSError(28, "No space left on device")

    with Journal(tmp_path, write=True, step=full) as journal, pytest.raises(StateUnusable):
        journal.store("plans/one.json", b"{}")
    assert [*(tmp_path / "plans").iterdir()] == []


def test_a_record_of_the_future_is_refused(tmp_path: Path) -> None:
    """A kind that this version does not know is not skipped."""
    with Journal(tmp_path, write=True) as journal:
        journal.append("teleported", name="x")
        with pytest.raises(StateUnusable, match="record 2"):
            State(journal.records)


def test_where_the_state_lives(tmp_path: Path) -> None:
    """XDG's state home, and the default where that is not an absolute path."""
    assert state_home({"XDG_STATE_HOME": "/var/s"}, tmp_path).as_posix() == "/var/s/planner"
    for environ in ({}, {"XDG_STATE_HOME": ""}, {"XDG_STATE_HOME": "relative"}):
        assert state_home(environ, tmp_path) == tmp_path / ".local" / "state" / "planner"


RACE = """
import sys, time
from pathlib import Path
from planner.project.journal import Journal
from planner.errors import JournalLocked
try:
    with Journal(Path(sys.argv[1]), write=True) as journal:
        journal.append("seen", who=sys.argv[2])
        time.sleep(0.3)
        journal.append("seen", who=sys.argv[2])
except JournalLocked:
    sys.exit(9)
"""


@pytest.mark.slow
def test_races_have_one_winner(tmp_path: Path) -> None:
    """Several processes at once: one works, the others exit 9, and the lines are whole."""
    for number in range(3):
        folder = tmp_path / str(number)
        runs = [
            subprocess.Popen([sys.executable, "-c", RACE, str(folder), str(who)])
            for who in range(3)
        ]
        codes = sorted(run.wait() for run in runs)
        with Journal(folder, write=False) as journal:
            writers = [record["who"] for record in journal.records[1:]]
        assert set(codes) <= {0, 9}
        assert codes.count(0) * 2 == len(writers)
        assert all(writers[i] == writers[i + 1] for i in range(0, len(writers), 2))


@pytest.mark.slow
def test_a_journal_cut_anywhere_is_healed_by_the_account(tmp_path: Path) -> None:
    """Whatever the cut loses is found by its name: never a second disk, at every tenth byte."""
    world = World()
    assert world.apply(tmp_path / "state").exit_code == 0
    content = (tmp_path / "state" / FILE).read_bytes()
    for cut in range(0, len(content), 97):
        folder = tmp_path / f"cut-{cut}"
        folder.mkdir(mode=0o700)
        (folder / FILE).write_bytes(content[:cut])
        assert world.apply(folder, plan_of()).exit_code == 0
        assert len(world.posts) == 2
