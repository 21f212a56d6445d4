"""What is being done, how far it is, and for how long: a line that is gone when the work is done.

It is shown where a person watches: at a terminal, on standard error, and in a notebook, from the
second second on. The clock decides what is displayed, and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from planner.present.terminal import terminal_width
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

Item = TypeVar("Item")

_AFTER_S, _EVERY_S = 1.0, 0.2
_ENOUGH_S = 2.0
"""How long something has to be counted before what is left of it is estimated."""
_MINUTE, _HOUR = 60, 3600
_LOCK = threading.RLock()
_quiet = False


@dataclass(eq=False)
class Progress:
    """Something that is being done, of which ``done`` of ``total`` parts are done; 0: uncounted."""

    what: str
    total: int = 0
    done: int = 0
    started: float = field(default_factory=time.monotonic)

    def advance(self, parts: int = 1) -> None:
        """Count parts that are done; from any thread."""
        with _LOCK:
            self.done += parts

    def text(self, now: float, since: float) -> str:
        """Return the line about it, given the time and when the whole work began."""
        count = f": {self.done:,} of {self.total:,}" if self.total > 1 else ""
        counted = now - self.started
        left = counted / self.done * (self.total - self.done) if self.done else 0
        about = f", about {_span(left)} left" if left > 1 and counted > _ENOUGH_S else ""
        return f"{visible(self.what)}{count}, {_span(now - since)}{about}"


def _span(seconds: float) -> str:
    """Return a time in words.

    >>> _span(8.2), _span(125), _span(7300)
    ('8 s', '2 min 5 s', '2 h 1 min')
    """
    whole = int(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"


_tasks: list[Progress] = []
"""What is being done, the outermost first."""


def _shown() -> Progress | None:
    """Return what is shown: the outermost that is counted, else the innermost."""
    if not _tasks or not _tasks[-1].what:
        return None
    return next((task for task in _tasks if task.total > 1), _tasks[-1])


class _Display:
    """A line of a terminal or notebook that a thread of its own keeps up to date."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write, self._since, self._shown = write, time.monotonic(), ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="planner-progress", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        pause = _AFTER_S
        while not self._ended.wait(pause):
            with _LOCK:
                task = _shown()
                self.show("" if task is None else task.text(time.monotonic(), self._since))
            pause = _EVERY_S

    def show(self, text: str) -> None:
        """Show a text instead; empty erases the line."""
        with _LOCK, contextlib.suppress(OSError, ValueError):  # of a stream that is gone
            if text != self._shown:
                self._write(text)
                self._shown = text

    def end(self) -> None:
        """Erase the line and end its thread."""
        self._ended.set()
        self._thread.join()
        self.show("")


_line: _Display | None = None


@contextlib.contextmanager
def working(what: str, total: int = 0) -> Iterator[Progress]:
    """Show that something is being done, where a person watches and the main thread does it.

    Parameters
    ----------
    what : str
        What, as a sentence begins; empty shows nothing meanwhile.
    total : int
        How many parts it has, which `Progress.advance` counts; 0: unknown.
    """
    global _line  # noqa: PLW0603 -- there is one terminal
    task, mine = Progress(what, total), None
    if threading.current_thread() is not threading.main_thread():
        yield task
        return
    try:
        with _LOCK:
            _tasks.append(task)
            if _line is None and (write := _writer()):
                _line = mine = _Display(write)
        yield task
    finally:
        with _LOCK, contextlib.suppress(ValueError):  # interrupted before it was there
            _tasks.remove(task)
        if mine is not None:
            mine.end()
            _line = None


def tracked(items: Collection[Item], what: str) -> Iterator[Item]:
    """Yield items, and show how many are done."""
    with working(what, len(items)) as task:
        for item in items:
            yield item
            task.advance()


def erase() -> None:
    """Erase the line, before something else is written; it comes back by itself."""
    if _line is not None:
        _line.show("")


def be_quiet(*, quiet: bool) -> None:
    """Show no progress from now on, or show it again."""
    global _quiet  # noqa: PLW0603 -- as above
    _quiet = quiet


def is_shown() -> bool:
    """Return whether a line is being kept up to date."""
    return _line is not None


def _writer() -> Callable[[str], None] | None:
    """Return what shows a text where a person watches; None elsewhere."""
    if _quiet or os.environ.get("PLANNER_PROGRESS") == "off":
        return None
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if hasattr(shell, "kernel"):
        return _in_notebook()
    if sys.stderr is None or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return None
    import multiprocessing  # noqa: PLC0415 -- seldom needed

    return None if multiprocessing.parent_process() else _at_terminal()


def _at_terminal() -> Callable[[str], None]:
    before = 0

    def write(text: str) -> None:
        nonlocal before
        text = text[: terminal_width() - 3]  # two columns are left for the ^C of an interrupt
        blank = " " * (before + 2)
        sys.stderr.write(f"\r{blank}\r{text}")
        sys.stderr.flush()
        before = len(text)

    return write


def _in_notebook() -> Callable[[str], None]:
    display: Any = sys.modules["IPython.display"].display
    handle: Any = None

    def write(text: str) -> None:
        nonlocal handle
        if handle is None:
            handle = display({"text/plain": text}, raw=True, display_id=True)
        else:
            handle.update({"text/plain": text}, raw=True)

    return write
