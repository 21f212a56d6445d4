"""Workers: whoever works, the answers come in the order of the points, and failures are ours."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from planner.analysis import workers
from planner.analysis.workers import FEW, work_on
from planner.errors import Defect, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

POINTS = list(range(37))
SQUARES = [n * n for n in POINTS]


def squares(points: Sequence[int]) -> list[int]:
    return [n * n for n in points]


def padded(_: str, points: Sequence[int]) -> list[int]:
    """Answer by work that is long to send."""
    return squares(points)


def squares_late(points: Sequence[int]) -> list[int]:
    """Answer the first points last."""
    time.sleep(0.2 if points[0] == 0 else 0)
    return squares(points)


def where(points: Sequence[int]) -> list[tuple[int, int]]:
    return [(os.getpid(), len(points)) for _ in points]


def dies(points: Sequence[int]) -> list[int]:
    if 30 in points:
        time.sleep(0.5)
        os._exit(1)
    return squares(points)


def fails(points: Sequence[int]) -> list[int]:
    if 30 in points:
        raise Defect("point 30 fails its own check")
    if 36 in points:
        raise InputError("point 36", hint="leave it out")
    return squares(points)


@pytest.fixture(scope="module")
def processes() -> Any:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("forkserver")) as pool:
        yield pool


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_cores", lambda: 2)


class Asked(Future[Any]):
    """An answer that is worked out when somebody asks for it."""

    def __init__(self, executor: Backwards) -> None:
        super().__init__()
        self.executor = executor

    def result(self, timeout: float | None = None) -> Any:
        self.executor.work()
        return super().result(timeout)


class Backwards(Executor):
    """Works only when asked for an answer, on the last first."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []

    def work(self) -> None:
        while self.waiting:
            future, fn, given, named = self.waiting.pop()
            future.set_result(fn(*given, **named))

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future = Asked(self)
        self.waiting.append((future, fn, args, kwargs))
        return future


def test_answers_are_in_the_order_of_the_points(processes: ProcessPoolExecutor) -> None:
    """Here, in threads, in processes, or by an executor that begins with the last."""
    assert work_on(squares, POINTS) == SQUARES
    with ThreadPoolExecutor(3) as threads:
        assert work_on(squares_late, POINTS, threads) == SQUARES
    assert work_on(squares_late, POINTS, processes) == SQUARES
    assert work_on(squares, POINTS, Backwards()) == SQUARES


def test_nothing_to_do_is_done() -> None:
    """No points, no answers, and nobody is asked."""
    assert work_on(squares, []) == []
    assert work_on(squares, [], Backwards()) == []


@pytest.mark.usefixtures("two_cores")
def test_few_points_are_worked_on_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """One fewer than `FEW` here, `FEW` by others; heavier points count as several; one is here."""
    asked = []

    def others(cores: int, work: Any, chunks: Sequence[Sequence[int]], _: str) -> list[int]:
        asked.append(cores)
        return [answer for chunk in chunks for answer in work(chunk)]

    monkeypatch.setattr(workers, "_by_processes", others)
    for count, weight, is_here in [
        (FEW - 1, 1, True),
        (FEW, 1, False),
        (FEW // 4, 3, True),
        (FEW // 4, 4, False),
        (1, 10 * FEW, True),
        (2, 10 * FEW, False),
    ]:
        asked.clear()
        points = list(range(count))
        assert work_on(squares, points, weight=weight) == squares(points)
        assert asked == ([] if is_here else [2])


def test_one_core_works_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second process would take turns with this one."""
    monkeypatch.setattr(workers, "_cores", lambda: 1)
    assert work_on(where, list(range(2 * FEW)))[0] == (os.getpid(), 2 * FEW)


@pytest.mark.usefixtures("two_cores")
def test_processes_are_for_each_core_and_never_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two work, neither is this one, and what is sent at once is a chunk."""
    seen = []
    made: Any = ProcessPoolExecutor

    def pool(*given: Any, mp_context: Any, **named: Any) -> Any:
        seen.append(mp_context.get_start_method())
        return made(*given, mp_context=mp_context, **named)

    monkeypatch.setattr(workers, "ProcessPoolExecutor", pool)
    before = set(multiprocessing.active_children())
    answers = work_on(where, list(range(FEW)))
    assert seen == ["forkserver"]
    assert os.getpid() not in {pid for pid, _ in answers}
    assert len({pid for pid, _ in answers}) <= 2
    assert {size for _, size in answers} == {8, FEW % 8}
    assert set(multiprocessing.active_children()) <= before


@pytest.mark.usefixtures("two_cores")
def test_points_alone_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """However large the work is: a full pipe keeps a pool from ever ending once its workers died.

    Pipes hold 64 kB, and a pool has one chunk more on its way than it has workers.
    """
    sent = []
    submit: Any = ProcessPoolExecutor.submit

    def weighed(*given: Any) -> Any:
        sent.append(len(pickle.dumps(given[1:])))
        return submit(*given)

    monkeypatch.setattr(ProcessPoolExecutor, "submit", weighed)
    points = list(range(FEW))
    assert work_on(partial(padded, "x" * 1_000_000), points) == squares(points)
    assert max(sent) < 500


@pytest.mark.parametrize(("points", "sizes"), [(3, {1}), (17, {3, 2}), (64, {8}), (1000, {8})])
@pytest.mark.usefixtures("two_cores")
def test_chunks_keep_everybody_busy(points: int, sizes: set[int]) -> None:
    """Four for each core at least, and never more than eight points at once."""
    with ThreadPoolExecutor(2) as threads:
        answers = work_on(where, list(range(points)), threads)
    assert {size for _, size in answers} == sizes


def test_the_first_point_that_fails_is_the_error(processes: ProcessPoolExecutor) -> None:
    """In the order of the points, with its type and hint, and the executor works on."""
    for executor in (processes, ThreadPoolExecutor(2)):
        with pytest.raises(Defect, match="point 30 fails its own check"):
            work_on(fails, POINTS, executor)
        with pytest.raises(InputError, match="point 36") as caught:
            work_on(fails, POINTS[31:], executor)
        assert caught.value.hint == "leave it out"
        assert work_on(squares, POINTS, executor) == SQUARES
        if executor is not processes:
            executor.shutdown()


def test_a_worker_that_dies_is_told() -> None:
    """The caller's process pool breaks: what happened, what may help, and that it is of no use."""
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        with pytest.raises(InputError, match="a worker died before it had answered") as caught:
            work_on(dies, POINTS, pool)
        assert "memory" in str(caught.value.hint)
        with pytest.raises(InputError, match="the executor takes no work: A child process term"):
            work_on(squares, POINTS, pool)


def test_workers_that_die_before_any_answer_are_told() -> None:
    """Most likely at their start, as where a script has no guard."""
    context = multiprocessing.get_context("forkserver")
    with (
        ProcessPoolExecutor(1, mp_context=context) as pool,
        pytest.raises(InputError, match="the workers ended before any had an answer") as caught,
    ):
        work_on(dies, [30], pool)
    assert '`if __name__ == "__main__":`' in str(caught.value.hint)
    assert caught.value.__notes__ == [caught.value.hint]


@pytest.mark.usefixtures("two_cores")
def test_processes_that_cannot_be_started_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that comes to the same call as it imports the script, or a system that is full."""

    def refuse(*_: Any) -> Any:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(ProcessPoolExecutor, "submit", refuse)
    with pytest.raises(InputError, match="the workers cannot be started") as caught:
        work_on(squares, POINTS, weight=FEW)
    assert "executor=ThreadPoolExecutor()" in str(caught.value.hint)


@pytest.mark.usefixtures("two_cores")
def test_a_disk_that_is_full_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nowhere to write what workers read; threads need no file."""

    def refuse(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(InputError, match=r"cannot be written: .*No space left") as caught:
        work_on(squares, POINTS, weight=FEW)
    assert "executor=ThreadPoolExecutor()" in str(caught.value.hint)


@pytest.mark.usefixtures("two_cores")
def test_a_worker_of_ours_that_dies_at_work_is_told() -> None:
    """Others had answered: it was not the start that failed, and no process is left."""
    before = set(multiprocessing.active_children())
    with pytest.raises(InputError, match="a worker died before it had answered"):
        work_on(dies, POINTS, weight=FEW)
    for one in set(multiprocessing.active_children()) - before:
        one.join(60)
        assert not one.is_alive()


def test_an_executor_that_is_shut_down_is_told() -> None:
    """It takes no work."""
    threads = ThreadPoolExecutor(2)
    threads.shutdown()
    with pytest.raises(InputError, match="the executor takes no work: cannot schedule") as caught:
        work_on(squares, POINTS, threads)
    assert caught.value.hint == "give one that is open, and keep it open meanwhile"


class Counting(ThreadPoolExecutor):
    """One thread, and an event once so many chunks are submitted."""

    def __init__(self, chunks: int) -> None:
        super().__init__(1)
        self.left = chunks
        self.has_all = threading.Event()

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future = super().submit(fn, *args, **kwargs)
        self.left -= 1
        if not self.left:
            self.has_all.set()
        return future


@pytest.mark.usefixtures("two_cores")
def test_an_executor_that_is_shut_down_meanwhile_is_told() -> None:
    """37 points are 8 chunks of 5: those that had not begun are cancelled, and that is said."""
    executor = Counting(8)

    def shut(points: Sequence[int]) -> list[int]:
        assert executor.has_all.wait(60)
        executor.shutdown(wait=False, cancel_futures=True)
        return squares(points)

    with pytest.raises(InputError, match="the executor was shut down before all was planned"):
        work_on(shut, POINTS, executor)


def test_what_is_no_executor_is_told() -> None:
    """The class in place of one of it, or anything else."""
    wrong: Any
    for wrong in (ThreadPoolExecutor, "threads", 2):
        with pytest.raises(InputError, match=r"the executor is none of concurrent\.futures"):
            work_on(squares, POINTS, wrong)


def test_an_interruption_cancels_what_has_not_begun() -> None:
    """Ctrl-C leaves at once: a chunk that has begun ends by itself, the others never begin."""
    threads = ThreadPoolExecutor(1)
    done: list[int] = []
    going = threading.Event()

    def work(points: Sequence[int]) -> list[int]:
        if points[0] == 0:
            raise KeyboardInterrupt
        going.wait(60)
        done.extend(points)
        return squares(points)

    with pytest.raises(KeyboardInterrupt):
        work_on(work, POINTS, threads)
    going.set()
    threads.shutdown()
    assert len(done) <= 8
