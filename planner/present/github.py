"""Annotations: what GitHub shows beside a line of a file in a pull request."""

from __future__ import annotations

from planner.text import visible

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
