"""Progress: shown to who watches, gone in the end, and nowhere else."""

from __future__ import annotations

import io
import re
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING

import nbformat
import pytest
from nbclient import NotebookClient

from planner.analysis.workers import work_on
from planner.cli import render
from planner.cli.options import _heard
from planner.cli.render import Output, to_stderr
from planner.present import progress
from planner.present.progress import Progress, tracked, working
from planner.present.table import Section, View

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any


class Terminal(io.StringIO):
    """A standard error that a person looks at."""

    def isatty(self) -> bool:
        return True

    @property
    def screen(self) -> str:
        """Return what the last line shows, as a terminal overwrites it."""
        cells = ""
        for part in self.getvalue().split("\n")[-1].split("\r"):
            cells = part + cells[len(part) :]
        return cells.rstrip()

    def await_text(self, pattern: str) -> None:
        """Wait until something was shown."""
        end = time.monotonic() + 10
        while not re.search(pattern, self.getvalue()):
            assert time.monotonic() < end, self.getvalue()
            time.sleep(0.01)


def _watch(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO) -> None:
    """Put a stream in place of standard error, which pytest would put back."""
    for module in (progress, render):
        monkeypatch.setattr(module, "sys", SimpleNamespace(stderr=stream, modules=sys.modules))


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """Return a terminal on which progress is shown at once, and see that no thread is left."""
    terminal = Terminal()
    _watch(monkeypatch, terminal)
    monkeypatch.setattr(progress, "_AFTER_S", 0.0)
    monkeypatch.setattr(progress, "_EVERY_S", 0.01)
    monkeypatch.setattr(progress, "_quiet", False)
    monkeypatch.setenv("TERM", "xterm")
    yield terminal
    assert not [each for each in threading.enumerate() if each.name == "planner-progress"]
    assert progress._tasks == []
    assert not progress.is_shown()


def test_what_how_far_and_how_long_are_shown_and_gone_in_the_end(terminal: Terminal) -> None:
    """Items come out as they went in."""
    seen = []
    for item in tracked(["a", "b", "c"], "Reading plans"):
        seen.append(item)
        terminal.await_text(rf"Reading plans: {len(seen) - 1} of 3, 0 s")
    assert seen == ["a", "b", "c"]
    assert terminal.screen == ""


def test_the_outermost_count_is_shown_and_a_prompt_hides_it(terminal: Terminal) -> None:
    """What happens inside a counted step is no news; what is uncounted gives way."""
    with working("Planning"):
        terminal.await_text(r"Planning, 0 s")
        with working("Points", 5) as task, working("Parts", 2):
            task.advance(4)
            terminal.await_text(r"Points: 4 of 5, 0 s")
            with working(""):
                time.sleep(0.05)
                assert terminal.screen == ""
    assert "Parts" not in terminal.getvalue()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupt_leaves_nothing_behind(terminal: Terminal, error: type[BaseException]) -> None:
    """The line is erased, with the ^C that the terminal echoes behind it."""
    with pytest.raises(error):  # noqa: PT012 -- the line has to be there first
        for _ in tracked(range(2), "Testing prices"):
            terminal.await_text("0 of 2")
            terminal.write("^C")
            raise error
    assert terminal.screen == ""


def test_a_message_stands_on_a_line_of_its_own(terminal: Terminal) -> None:
    """It does not follow what is left of the progress."""
    with working("Creating disks", 2):
        terminal.await_text("0 of 2")
        to_stderr("corpus created")
    assert terminal.getvalue().partition("\n")[0].split("\r")[-1] == "corpus created"


def test_nothing_is_shown_where_nobody_watches(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a pipe, beside JSON, on a dumb terminal, where it is off, and in other threads."""

    def work() -> None:
        with working("Planning", 3):
            assert not progress.is_shown()
            time.sleep(0.02)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()
    _heard(Output.json)
    work()
    _heard(Output.table)
    with monkeypatch.context() as patch:
        patch.setenv("TERM", "dumb")
        work()
    with monkeypatch.context() as patch:
        patch.setenv("PLANNER_PROGRESS", "off")
        work()
    with monkeypatch.context() as patch:
        _watch(patch, io.StringIO())
        work()
    assert terminal.getvalue() == ""
    with working("Planning"):
        terminal.await_text("Planning")


def test_chunks_that_others_work_on_are_counted(terminal: Terminal) -> None:
    """Each counts for its points, and the answers are in the order of the points."""
    first = threading.Event()

    def work(points: Sequence[int]) -> list[int]:
        if 0 in points:
            first.wait(10)
        return [point * 2 for point in points]

    def release() -> None:
        terminal.await_text(r"Planning points: (2[4-9]|3\d) of 40")  # all but the first chunk
        first.set()

    watcher = threading.Thread(target=release)
    watcher.start()
    with ThreadPoolExecutor(2) as pool:
        answers = work_on(work, range(40), pool, what="Planning points")
    watcher.join()
    assert answers == [2 * n for n in range(40)]


@pytest.mark.parametrize(
    ("done", "seconds", "text"),
    [
        (0, 61, "Planning: 0 of 1,000, 1 min 6 s"),
        (10, 1, "Planning: 10 of 1,000, 6 s"),
        (10, 3, "Planning: 10 of 1,000, 8 s, about 4 min 57 s left"),
        (1000, 3700, "Planning: 1,000 of 1,000, 1 h 1 min"),
    ],
)
def test_what_is_left_is_estimated_once_enough_is_done(
    done: int, seconds: float, text: str
) -> None:
    """By what was counted, which began five seconds after the whole."""
    task = Progress("Planning", 1000, done, started=105.0)
    assert task.text(now=105.0 + seconds, since=100.0) == text


@pytest.mark.slow
def test_a_notebook_shows_it_in_one_output() -> None:
    """Which is empty in the end."""
    code = (
        "import time\n"
        "from planner.present import progress\n"
        "progress._AFTER_S, progress._EVERY_S, shown = 0, 0.01, []\n"
        "show = progress._Display.show\n"
        "progress._Display.show = lambda line, text: (shown.append(text), show(line, text))\n"
        "for _ in progress.tracked(range(2), 'Planning'):\n"
        "    time.sleep(0.2)\n"
        "print(any('Planning: 1 of 2' in text for text in shown))"
    )
    new: Any = nbformat.v4
    notebook = new.new_notebook(cells=[new.new_code_cell(code)])
    NotebookClient(notebook, timeout=60).execute()
    display, printed = notebook.cells[0].outputs
    assert display["data"]["text/plain"] == ""
    assert printed["text"] == "True\n"


def test_writing_a_long_answer_is_work_too(capsys: pytest.CaptureFixture[str]) -> None:
    """Sections are made while it is shown, and nothing is left of it when they are written."""
    seen: list[str] = []

    def sections() -> list[Section]:
        seen.extend(task.what for task in progress._tasks)
        return [Section("one", "One", notes=("a note",))]

    render.render(View(sections, dict), Output.table)
    assert seen == ["Writing the answer"]
    assert "a note" in capsys.readouterr().out
    assert not progress._tasks
