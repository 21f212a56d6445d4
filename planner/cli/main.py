"""The entry point: commands, and what a failure looks like."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from planner import __version__
from planner.cli import (
    adopt,
    apply,
    destroy,
    doctor,
    emit,
    explain,
    init,
    offers,
    plan,
    rename,
    report,
    resolve,
    sim,
    status,
)
from planner.cli import (
    init as schema,
)
from planner.cli.render import result, talk
from planner.errors import PlannerError

app = typer.Typer(
    name="planner",
    help="Where should my data live? Plans network disks on the Prime Intellect marketplace.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("offers", epilog=offers.EPILOG)(offers.offers)
app.command("plan", epilog=plan.EPILOG)(plan.plan)
app.command("explain", epilog=explain.EPILOG)(explain.explain)
app.command("emit")(emit.emit)
app.command("report", epilog=report.EPILOG)(report.report)
app.command("apply", epilog=apply.EPILOG)(apply.apply)
app.command("status", epilog=status.EPILOG)(status.status)
app.command("resolve")(resolve.resolve)
app.command("rename")(rename.rename)
app.command("destroy", epilog=destroy.EPILOG)(destroy.destroy)
app.command("doctor", epilog=doctor.EPILOG)(doctor.doctor)
app.command("adopt", epilog=adopt.EPILOG)(adopt.adopt)
app.command("init")(init.init)
app.command("schema")(schema.schema)
app.command("sim", epilog=sim.EPILOG)(sim.sim)


def _version(value: bool) -> None:
    if value:
        result(f"planner {__version__}")
        raise typer.Exit


@app.callback(
    epilog="Exit codes: 0 done, 2 wrong input, 3 no feasible plan, 4 marketplace unreachable or "
    "refused, 5 plan damaged, stale, over its limit or out of stock, 6 unknown or unfinished: run "
    "again, 7 a person must look, 8 state unusable, 9 locked, 10 a budget is exceeded, 11 not "
    "proven in time, 130 interrupted, 1 a defect in planner."
)
def _planner(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Where should my data live? Plans network disks on the Prime Intellect marketplace."""


def main() -> None:
    """Run the command line and exit with the code that DESIGN gives to what happened."""
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 -- as below
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 -- closed by the caller: nobody listens
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        app()
    except PlannerError as error:
        _report(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except SystemExit as stop:
        said = isinstance(stop.__context__, typer.Exit)  # by the command, which wrote its result
        if stop.code == 2 and not said and _wants_json(sys.argv[1:]):  # noqa: PLR2004 -- usage, see DESIGN
            usage = "the command line was not understood; standard error says why"
            result(_failure(usage, "see `planner --help`", 2, {}))
        raise


def _report(error: PlannerError) -> None:
    if _wants_json(sys.argv[1:]):
        result(_failure(str(error), error.hint, error.exit_code, error.data))
    talk(f"planner: {error}")
    if error.hint:
        talk(f"  {error.hint}")


def _failure(message: str, hint: str | None, exit_code: int, data: dict[str, object]) -> str:
    return json.dumps({"error": message, "hint": hint, "exit_code": exit_code, **data}, indent=2)


def _wants_json(words: list[str]) -> bool:
    """Return whether the command's standard output is read as JSON."""
    if words[:1] == ["emit"]:
        return _last(words, ("--format",)) in {None, "json"}
    return words[:1] == ["schema"] or _last(words, ("--output", "-o")) == "json"


def _last(words: list[str], names: tuple[str, ...]) -> str | None:
    """Return the value that an option was given last, None where it was not given."""
    value = None
    for word, following in zip(words, [*words[1:], None], strict=True):
        for name in names:
            joined = f"{name}=" if name.startswith("--") else name
            if word == name:
                value = following
            elif word.startswith(joined):
                value = word[len(joined) :]
    return value
