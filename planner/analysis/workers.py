"""Work on many points by any executor, in chunks, with the answers in the order of the points.

Left to itself, a handful of points is worked on in this process, and more by one process for each
core. Those are never forked: a solver keeps threads, which a fork copies in whatever state they
are. They read the work from a file, and are sent points alone: before Python 3.11.6, a pool whose
workers end while its pipe is full waits for ever (python/cpython#94777).
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
)
from contextlib import ExitStack
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar, cast

from planner.errors import InputError
from planner.present.progress import working
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.process import BaseProcess

    from planner.present.progress import Progress


Point = TypeVar("Point")
Answer = TypeVar("Answer")

FEW = 100
"""Points from which on processes are worth their start. Two of them need a second or more to import
what they work with; of the shipped demands, at 10 and 45 ms a point, they are the quicker ones from
about 160 points on and from about 60 on."""
_MOST_IN_A_CHUNK = 8
"""Points that are sent to a worker at once at most: so much is still done after an interruption."""
_CHUNKS_A_CORE = 4
_MOST_QUOTED = 200
"""Characters of somebody else's message that ours repeats."""
_GUARD = (
    "each worker process imports the script that is run: put the call under "
    '`if __name__ == "__main__":` there, or give executor=ThreadPoolExecutor()'
)


def work_on(
    work: Callable[[Sequence[Point]], list[Answer]],
    points: Sequence[Point],
    executor: Executor | None = None,
    *,
    weight: float = 1,
    what: str = "",
) -> list[Answer]:
    """Return the answer to every point, in the order of the points.

    Parameters
    ----------
    work : callable
        Answers a chunk of points; has to pickle where workers are processes.
    executor : Executor | None
        Who works; stays open. None works here where there are fewer than ``FEW`` points, or only
        one core, and starts processes otherwise.
    weight : float
        How many of the lightest points one of these counts as.

    Raises
    ------
    InputError
        When workers cannot start, die, or are shut down before all is answered, or what they work
        with cannot be written to a temporary file.
    """
    if executor is not None:
        if not isinstance(executor, Executor):
            raise InputError(
                "the executor is none of concurrent.futures",
                hint="give one such as ThreadPoolExecutor() or ProcessPoolExecutor()",
            )
        return _answers(executor, work, _chunks(points), what)
    cores = _cores()
    is_daemon = multiprocessing.current_process().daemon  # those may have no children
    if len(points) < 2 or len(points) * weight < FEW or cores == 1 or is_daemon:  # noqa: PLR2004
        return work(points)
    return _by_processes(cores, work, _chunks(points), what)


def _cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _chunks(points: Sequence[Point]) -> list[Sequence[Point]]:
    """Return the points in pieces: enough for everybody, and what they share is sent with each."""
    most = -(-len(points) // (_CHUNKS_A_CORE * _cores()))
    size = max(1, min(_MOST_IN_A_CHUNK, most))
    return [points[start : start + size] for start in range(0, len(points), size)]


def _by_processes(
    workers: int,
    work: Callable[[Sequence[Point]], list[Answer]],
    chunks: Sequence[Sequence[Point]],
    what: str,
) -> list[Answer]:
    """Return the answers of processes of our own, which read the work from a file."""
    with ExitStack() as until_answered:
        try:
            folder = TemporaryDirectory(prefix="planner-", ignore_cleanup_errors=True)
            path = Path(until_answered.enter_context(folder), "work")
            path.write_bytes(pickle.dumps(work))
        except OSError as error:
            raise InputError(
                f"the workers' file cannot be written: {_quoted(error)}",
                hint="make room in the folder of temporary files, or give "
                "executor=ThreadPoolExecutor()",
            ) from error
        return _by_pool(workers, partial(_as_written, path), chunks, what)


def _as_written(path: Path, points: Sequence[Point]) -> list[Answer]:
    """Answer a chunk of points by the work in a file."""
    return cast("list[Answer]", _read(path)(points))


@lru_cache(maxsize=1)
def _read(path: Path) -> Callable[[Sequence[Point]], list[Answer]]:
    """Return the work that `_by_processes` wrote; once in the life of a worker."""
    work = pickle.loads(path.read_bytes())  # noqa: S301 - in a folder that is this user's alone
    return cast("Callable[[Sequence[Point]], list[Answer]]", work)


def _by_pool(
    workers: int,
    work: Callable[[Sequence[Point]], list[Answer]],
    chunks: Sequence[Sequence[Point]],
    what: str,
) -> list[Answer]:
    """Return the answers of a pool that ends with them, or at once when they are not wanted."""
    known = multiprocessing.get_all_start_methods()
    method = "forkserver" if "forkserver" in known else "spawn"
    pool = ProcessPoolExecutor(
        min(workers, len(chunks)),
        mp_context=multiprocessing.get_context(method),
        initializer=signal.signal,  # who presses Ctrl-C means this process, which ends its workers
        initargs=(signal.SIGINT, signal.SIG_IGN),
    )
    answers = None
    try:
        answers = _answers(pool, work, chunks, what, is_ours=True)
    finally:
        # The pool has no public way to be left at once before Python 3.14.
        processes: list[BaseProcess] = list((getattr(pool, "_processes", None) or {}).values())
        pool.shutdown(wait=answers is not None, cancel_futures=True)
        if answers is None:
            for process in processes:
                process.terminate()
    return answers


def _answers(
    executor: Executor,
    work: Callable[[Sequence[Point]], list[Answer]],
    chunks: Sequence[Sequence[Point]],
    what: str,
    *,
    is_ours: bool = False,
) -> list[Answer]:
    futures: list[Future[list[Answer]]] = []
    try:
        for chunk in chunks:  # one by one: those before one that fails are cancelled
            try:
                futures.append(executor.submit(work, chunk))
            except (RuntimeError, OSError, EOFError) as error:
                raise _refused(error, is_ours=is_ours) from error
        # Not before all have started: some fork, and progress has a thread.
        with working(what, sum(map(len, chunks))) as task:
            for future, chunk in zip(futures, chunks, strict=True):
                future.add_done_callback(partial(_counted, task, len(chunk)))
            return [answer for future in futures for answer in future.result()]
    except CancelledError as error:
        raise InputError(
            "the executor was shut down before all was planned", hint="keep it open meanwhile"
        ) from error
    except BrokenExecutor as error:
        raise _died(futures, error) from error
    finally:
        for future in futures:
            future.cancel()


def _counted(task: Progress, points: int, _: Future[Any]) -> None:
    task.advance(points)


def _refused(error: RuntimeError | OSError | EOFError, *, is_ours: bool) -> InputError:
    """Return the error of an executor that takes no work: closed, broken, or unable to start."""
    if is_ours:
        return _unstarted("cannot be started")
    return InputError(
        f"the executor takes no work: {_quoted(error)}",
        hint="give one that is open, and keep it open meanwhile",
    )


def _died(futures: Sequence[Future[list[Answer]]], error: BrokenExecutor) -> InputError:
    """Return the error of workers that ended by themselves: at their start, or at work."""
    if not any(
        future.done() and not future.cancelled() and not future.exception() for future in futures
    ):
        return _unstarted("ended before any had an answer")
    return InputError(
        f"a worker died before it had answered: {_quoted(error)}",
        hint="memory may have run out: give an executor with fewer workers",
    )


def _unstarted(how: str) -> InputError:
    error = InputError(f"the workers {how}", hint=_GUARD)
    error.add_note(_GUARD)  # whoever meets this meets it in a script's traceback, without hints
    return error


def _quoted(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return visible(text[:_MOST_QUOTED])
