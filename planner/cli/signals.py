"""The signals that ask planner to stop, and who listens to them."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_STOPPING = ("SIGINT", "SIGTERM", "SIGHUP")
"""Ctrl-C, an orderly stop, and a terminal that went away; Windows has no SIGHUP."""


@contextmanager
def stopping(heard: Callable[[int, Any], None]) -> Iterator[None]:
    """Call a function at each signal that asks to stop; under ``nohup``, SIGHUP stays ignored."""
    numbers = [getattr(signal, name) for name in _STOPPING if hasattr(signal, name)]
    if signal.getsignal(numbers[-1]) is signal.SIG_IGN and len(numbers) == len(_STOPPING):
        numbers.pop()
    kept = {number: signal.signal(number, heard) for number in numbers}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
