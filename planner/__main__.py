"""The entry point: ``planner``, and ``python -m planner``.

Ctrl-C ends planner quietly from its first moment, while it is still being imported.
"""

import gc
import os
import signal
from typing import Any


def main() -> None:
    """Import the command line and run it."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
    gc.set_threshold(
        100_000, 50, 50
    )  # a command leaves few cycles, and pandas much to look through
    from planner.cli.main import main as run  # noqa: PLC0415 -- what Ctrl-C is to interrupt

    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


def _leave(_number: int, _frame: Any) -> None:  # noqa: ANN401 -- the interpreter's own
    # An exception could be taken for a failed import, and nothing is open yet.
    os._exit(130)


if __name__ == "__main__":
    main()
