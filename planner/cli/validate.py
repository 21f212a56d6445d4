"""``planner validate``: are demand files right? Reads no market."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli import purchases
from planner.cli.render import Output, render, to_stdout
from planner.errors import InputError
from planner.present.table import Section, TableColumn, View, counted
from planner.text import visible

if TYPE_CHECKING:
    from planner.demand.read import DemandProblem

EPILOG = (
    "JSON: an object with files (how many) and problems: file, line, column, field, message. "
    "github: one annotation a problem, as a workflow's log shows them beside the file. "
    "Exit code: 2 where a file has a problem."
)


class ProblemOutput(StrEnum):
    """How problems are written."""

    table = "table"
    json = "json"
    csv = "csv"
    md = "md"
    github = "github"


def validate(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="DEMAND", help="Demand files (YAML, JSON, TOML); - reads standard input."
        ),
    ],
    output: Annotated[
        ProblemOutput, typer.Option("--output", "-o", help="How to write the problems.")
    ] = ProblemOutput.table,
) -> None:
    """Check demand files, without a market, a key or the network."""
    from planner.demand.read import validate as problems_of

    problems = problems_of(*files)
    failure = _failure(problems, len(files))
    if output is ProblemOutput.github:
        if problems:
            to_stdout("\n".join(map(_annotation, problems)))
        purchases.exit_with(failure, Output.table)
        return
    render(
        View(
            lambda: [_section(problems, len(files))],
            lambda: {
                **(failure.to_document() if failure else {}),
                "files": len(files),
                "problems": [problem._asdict() for problem in problems],
            },
            lambda: _rows(problems),
        ),
        Output(output),
    )
    purchases.exit_with(failure, Output(output))


def _failure(problems: list[DemandProblem], files: int) -> InputError | None:
    if not problems:
        return None
    wrong = {problem.file for problem in problems}
    where = min(wrong) if files == 1 else f"{len(wrong)} of {files} files"
    return InputError(
        f"{counted(len(problems), 'problem')} in {where}",
        hint="`planner docs demand-file` shows every field",
    )


def _annotation(problem: DemandProblem) -> str:
    text = f"{problem.field}: {problem.message}" if problem.field else problem.message
    return annotation(text, file=problem.file, line=problem.line, column=problem.column)


def _section(problems: list[DemandProblem], files: int) -> Section:
    """Return what people read: a line for each problem, or that there is none."""
    if not problems:
        return Section("problems", notes=(f"{counted(files, 'file')}, no problems.",))
    shown = {"place": "place", "field": "field", "message": "problem"}
    columns = (TableColumn(*pair) for pair in shown.items())
    return Section.of("problems", "", columns, problems)


def _rows(problems: list[DemandProblem]) -> Section:
    columns = (TableColumn(name, name) for name in ("file", "line", "column", "field", "message"))
    return Section.of("problems", "", columns, problems)


_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A", ":": "%3A", ",": "%2C"})
"""What GitHub's runner decodes again, in a message and in a property of it."""


def annotation(
    message: str, *, file: str, line: int | None = None, column: int | None = None
) -> str:
    r"""Return a workflow command that marks an error; no text in it can become another command.

    >>> annotation("100 % of\n::stop", file="a,b.yaml", line=3, column=7)
    '::error file=a%2Cb.yaml,line=3,col=7::100 %25 of\\n::stop'
    """
    places = {"file": visible(file), "line": line, "col": column}
    named = ",".join(
        f"{name}={str(value).translate(_PROPERTY)}"
        for name, value in places.items()
        if value is not None
    )
    return f"::error {named}::{visible(message).translate(_DATA)}"
