"""The entry point: commands, failures, and signs in ASCII where an encoding lacks them."""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import sys
import unicodedata
from importlib import import_module
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner import __version__
from planner.cli.complete import whole_words_of_bash
from planner.cli.help import COMMAND_PANELS, HELP, epilog, helped, unlabelled
from planner.cli.render import to_stderr, to_stdout
from planner.errors import InputError, PlannerError
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

_UsageError: type[Exception] = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)
"""What typer raises for a command line that it refuses: its own, or click's."""

COMMANDS = (
    *("where", "offers", "gpus", "history", "watch", "providers"),
    *("init", "validate", "plan", "explain", "diff", "emit", "schema"),
    *("apply", "status", "resolve", "rename", "retire", "destroy", "adopt"),
    *("report", "doctor", "sim", "mcp", "docs"),
)
"""The commands, in the order of the help; each is a function of that name."""


def command_line(names: Iterable[str] = COMMANDS) -> Any:  # noqa: ANN401 -- click's, as below
    """Return the command line with these commands; others are not even imported."""
    app = typer.Typer(
        name="planner",
        help="Where should my data live? Plans network disks on the Prime Intellect marketplace.",
        invoke_without_command=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": HELP},
    )
    app.callback(epilog=_EXIT_CODES)(_planner)
    for name in names:
        module = import_module(f"planner.cli.{'init' if name == 'schema' else name}")
        more = getattr(module, "EPILOG", None)
        panel = COMMAND_PANELS.get(name, "Help")
        command = app.command(name, epilog=epilog(name, more), rich_help_panel=panel)
        command(helped(getattr(module, name)))
    group = typer.main.get_command(app)
    for one in (group, *getattr(group, "commands", {}).values()):
        unlabelled(one)
    return group


_EXIT_CODES = (
    "Exit codes: 0 done, 2 wrong input, 3 no feasible plan, 4 marketplace unreachable or "
    "refused, 5 plan damaged, stale, over its limit or out of stock, 6 unknown or unfinished: run "
    "again, 7 a person must look, 8 state unusable, 9 locked, 10 a budget or an increase is "
    "exceeded, 11 not proven in time, 12 something to buy (--detailed-exitcode), 130 interrupted, "
    "1 a defect in planner."
)


def _version(value: bool) -> None:
    if value:
        to_stdout(f"planner {__version__}")
        raise typer.Exit


def _planner(
    ctx: typer.Context,
    version: Annotated[  # noqa: ARG001 -- its callback shows it
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Where should my data live? Plans network disks on the Prime Intellect marketplace."""
    if ctx.invoked_subcommand is None:
        ctx.get_help()  # typer writes it


def main() -> None:
    """Run the command line and exit with the code that DESIGN gives to what happened."""
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 -- as below
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 -- closed by the caller
    register_glyphs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors=GLYPHS)  # type: ignore[union-attr]
    try:
        # Returns the code of a typer.Exit; a command that ends by itself returns None.
        asked = [word for word in sys.argv[1:2] if word in COMMANDS]
        with whole_words_of_bash():
            sys.exit(command_line(asked or COMMANDS)(prog_name="planner", standalone_mode=False))
    except _UsageError as error:
        _report(_usage(error))
        sys.exit(2)
    except PlannerError as error:
        _report(error)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)


def _usage(error: Any) -> InputError:  # noqa: ANN401 -- click's, which typer may carry itself
    """Return what typer refuses as planner's own error."""
    message = " ".join(error.format_message().split()).rstrip(".").replace("Value error, ", "")
    command = error.ctx.command_path if error.ctx is not None else "planner"
    return InputError(visible(message), hint=f"`{command} --help` lists what it takes")


def _report(error: PlannerError) -> None:
    if _wants_json(sys.argv[1:]):
        to_stdout(json.dumps(error.to_document(), indent=2))
    to_stderr(f"planner: {error}")
    if error.hint:
        to_stderr(f"  {error.hint}")


def _wants_json(words: list[str]) -> bool:
    """Return whether the command's standard output is read as JSON."""
    if words[:1] == ["emit"] and "-o" not in words:
        return _last(words, ("--format",)) in {None, "json"}
    return words[:1] == ["schema"] or _last(words, ("--output", "-o")) == "json"


def _last(words: list[str], names: tuple[str, ...]) -> str | None:
    """Return the value that an option was given last, None where it was not given."""
    value = None
    for word, following in zip_longest(words, words[1:]):
        for name in names:
            joined = f"{name}=" if name.startswith("--") else name
            if word == name and following is not None:
                value = following
            elif word.startswith(joined):
                value = word[len(joined) :]
    return value


GLYPHS = "planner.ascii"
"""The name of the error handler, for ``TextIOWrapper.reconfigure(errors=…)``."""
_SIGNS = {
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{RIGHTWARDS ARROW}": "->",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{LESS-THAN OR EQUAL TO}": "<=",
    "\N{GREATER-THAN OR EQUAL TO}": ">=",
    "\N{MINUS SIGN}": "-",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{BULLET}": "*",
    "\N{CHECK MARK}": "v",
}


def register_glyphs() -> None:
    """Make the error handler known to Python's codecs."""
    codecs.register_error(GLYPHS, _in_ascii)


def _in_ascii(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(map(_sign, text)), error.end


def _sign(character: str) -> str:
    """Return an ASCII sign that looks alike, or the character as a visible escape.

    >>> _sign("─"), _sign("│"), _sign("┼")
    ('-', '|', '+')
    """
    name = unicodedata.name(character, "")
    if name.startswith("BOX DRAWINGS"):
        lines = {"HORIZONTAL": "-", "VERTICAL": "|"}
        return "+" if " AND " in name else lines.get(name.split()[-1], "+")
    return _SIGNS.get(character) or character.encode("ascii", "backslashreplace").decode()
