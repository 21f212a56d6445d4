"""``planner init``: a commented demand file to start from."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from planner.cli.render import to_stderr, to_stdout
from planner.errors import InputError


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
    from planner.demand.schema import example as text_of
    from planner.formats import write_atomic
    from planner.project.adopt import safe_name

    text = text_of(example.value)
    # Two directories in which this is typed are two projects.
    folder = Path.cwd().name if file == "-" else Path(file).absolute().parent.name
    text = re.sub(r"(?m)^project: \S+", f"project: {safe_name(folder, 'project')}", text, count=1)
    if file == "-":
        to_stdout(text)
        return
    there = False
    with contextlib.suppress(OSError):
        there = Path(file).exists()
    if there and not force:
        raise InputError(f"{file}: is already there", hint="name another file, or use --force")
    write_atomic(file, text.encode())
    to_stderr(f"wrote {file}; try: planner plan {shlex.quote(file)} --offers shipped:disk-offers")


def schema() -> None:
    """Print the JSON Schema of the demand file, for editors."""
    from planner.demand.schema import demand_schema

    to_stdout(json.dumps(demand_schema(), indent=2))
