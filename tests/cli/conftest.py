"""Run the command line as a user does: another process, an empty home, no colour."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pytest

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

    def __call__(self, *words: str, stdin: str = "", env: dict[str, str] | None = None) -> Ran: ...


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that runs ``planner`` in an empty directory without a key."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PRIME_") and name not in {"COLUMNS", "NO_COLOR", "FORCE_COLOR"}
    }

    def planner(*words: str, stdin: str = "", env: dict[str, str] | None = None) -> Ran:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "planner", *words],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**kept, "HOME": str(tmp_path), **(env or {})},
            timeout=120,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    return planner
