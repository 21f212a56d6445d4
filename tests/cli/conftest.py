"""Run the command line in this process, as a user does: an empty home, no key, no colour."""

from __future__ import annotations

import io
import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from planner.cli.main import main

if TYPE_CHECKING:
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


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs ``planner`` in an empty directory without a key."""

    def planner(
        *words: str, stdin: str = "", env: dict[str, str] | None = None, terminal: bool = False
    ) -> Ran:
        with monkeypatch.context() as here:
            for name in os.environ:
                if name.startswith("PRIME_") or name in {"COLUMNS", "NO_COLOR", "FORCE_COLOR"}:
                    here.delenv(name)
            for name, value in {"HOME": str(tmp_path), **(env or {})}.items():
                here.setenv(name, value)
            here.chdir(tmp_path)
            out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
            here.setattr(sys, "argv", ["planner", *words])
            reader = Typed if terminal else io.TextIOWrapper
            here.setattr(sys, "stdin", reader(io.BytesIO(stdin.encode()), "utf-8"))
            here.setattr(sys, "stdout", out)
            here.setattr(sys, "stderr", err)
            code = 0
            try:
                main()
            except SystemExit as stop:
                code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
            out.seek(0)
            err.seek(0)
            return Ran(code, out.read(), err.read())

    return planner
