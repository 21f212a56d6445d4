"""``planner init``: a commented demand file to start from."""

from __future__ import annotations

import json
import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from planner.cli.options import refuse_existing
from planner.cli.render import to_stderr, to_stdout


class Example(StrEnum):
    """Demand files that travel with planner."""

    minimal = "minimal"
    research = "research"


def init(
    file: Annotated[str, typer.Argument(help="File to write; - prints it.")] = "demand.yaml",
    example: Annotated[Example, typer.Option(help="Which example.")] = Example.minimal,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write a commented demand file to start from. The project is named after the directory."""
    from planner.demand.schema import init as text_of
    from planner.formats import write_atomic

    text = text_of(example.value, project=project_of(file))
    if file == "-":
        to_stdout(text)
        return
    refuse_existing(file, force=force)
    write_atomic(file, text.encode())
    to_stderr(f"Wrote {file}. Next:\nplanner plan {shlex.quote(file)} --offers shipped:disk-offers")


def project_of(file: str) -> str:
    """Return the project of a new demand file: two directories are two projects."""
    from planner.project.adopt import safe_name

    folder = Path.cwd().name if file == "-" else Path(file).absolute().parent.name
    return safe_name(folder, "project")


def schema() -> None:
    """Print the JSON Schema of the demand file, for editors."""
    from planner.demand.schema import demand_schema

    to_stdout(json.dumps(demand_schema(), indent=2))
