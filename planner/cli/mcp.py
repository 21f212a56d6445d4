"""``planner mcp``: planner's commands as tools of an assistant."""

from __future__ import annotations

from planner.errors import InputError

EPILOG = (
    "Tools: where, offers, gpus, validate, plan, explain, rehearse, status and report change "
    "nothing. buy needs the id of a plan that was made here, the most that the project may cost "
    "an hour, and your confirmation in the client's own dialogue. Example of a client's "
    'configuration: {"command": "planner", "args": ["mcp"]}'
)


def mcp() -> None:
    """Serve planner to an assistant by the Model Context Protocol, on standard input and output.

    It is an extra of the package, named mcp.
    """
    try:
        from planner.cli.assistant import serve
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("mcp"):
            raise
        message = "the Model Context Protocol is not installed"
        raise InputError(message, hint="pip install 'disk-planner[mcp]'") from error
    serve()
