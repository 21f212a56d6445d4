"""Run the command line in this process, as a user does: an empty home, no key, no colour."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TextIO
from unittest.mock import patch

import pytest

from planner.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Ran:
    """What came of a command."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Return standard output as JSON."""
        return json.loads(self.out)


class Run(Protocol):
    """Runs ``planner`` with words, standard input and environment."""

    def __call__(
        self,
        *words: str,
        stdin: str = "",
        env: dict[str, str] | None = None,
        terminal: bool = False,
    ) -> Ran: ...


class Typed(io.TextIOWrapper):
    """Standard input at which a person types, as far as a program can see."""

    def isatty(self) -> bool:
        return True


class Screen(io.TextIOWrapper):
    """A stream that remembers what was written."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), "utf-8", newline="", write_through=True)

    @property
    def text(self) -> str:
        self.seek(0)
        return self.read()


def run_here(
    words: Sequence[str],
    *,
    folder: Path,
    environ: Mapping[str, str],
    streams: tuple[TextIO, TextIO, TextIO],
) -> int:
    """Run ``planner`` in this process, as in a folder and an environment; return its exit code."""
    stdin, stdout, stderr = streams
    argv = ["planner", *words]
    with (
        patch.dict(os.environ, environ, clear=True),
        patch.multiple(sys, argv=argv, stdin=stdin, stdout=stdout, stderr=stderr),
        contextlib.chdir(folder),
    ):
        try:
            main()
        except SystemExit as stop:
            return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that runs ``planner`` in an empty directory without a key."""

    def planner(
        *words: str, stdin: str = "", env: dict[str, str] | None = None, terminal: bool = False
    ) -> Ran:
        environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("PRIME_") and name not in {"COLUMNS", "NO_COLOR", "FORCE_COLOR"}
        }
        reader = Typed if terminal else io.TextIOWrapper
        out, err = Screen(), Screen()
        code = run_here(
            words,
            folder=tmp_path,
            environ={**environ, "HOME": str(tmp_path), **(env or {})},
            streams=(reader(io.BytesIO(stdin.encode()), "utf-8"), out, err),
        )
        return Ran(code, out.text, err.text)

    return planner
