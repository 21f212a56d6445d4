"""Whether demand files are right, without a market: every problem, with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from planner.demand.read import read_demand
from planner.errors import DemandError

if TYPE_CHECKING:
    from pathlib import Path

    from planner.demand.read import Readable


class DemandProblem(NamedTuple):
    """What is wrong at a place of a demand file; line and column are 1-based, None is unknown."""

    file: str
    line: int | None
    column: int | None
    field: str
    message: str

    @property
    def place(self) -> str:
        """Return file, line and column as editors and terminals link them."""
        parts = (self.file, self.line, self.column)
        return ":".join(str(part) for part in parts if part is not None)


def validate(*sources: str | Path | Readable) -> list[DemandProblem]:
    r"""Return every problem of demand files; none is an empty list. Reads no market.

    Parameters
    ----------
    *sources : str | Path | file-like
        Demand files, as of `planner.read_demand`.

    Examples
    --------
    >>> import io
    >>> validate("shipped:minimal")
    []
    >>> validate(io.StringIO("version: 1\nvolumes: [{name: corpus, size: 4}]"))[0].field
    'volumes[0].size'
    """
    problems: list[DemandProblem] = []
    for source in sources:
        try:
            read_demand(source)
        except DemandError as error:
            problems += (DemandProblem(error.path, *problem) for problem in error.problems)
    return problems
