"""Files: read with bounds, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from planner.errors import InputError
from planner.text import visible

MAX_BYTES = 16 * 2**20
"""The largest demand file or snapshot that is read."""


def read_bytes(path: str | Path, *, what: str, limit: int = MAX_BYTES) -> bytes:
    """Return the content of a file, never reading past the limit.

    Raises
    ------
    InputError
        When the file is missing, a directory, unreadable, or larger than the limit.
    """
    shown = visible(str(path))
    try:
        with Path(path).open("rb") as file:
            content = file.read(limit + 1)
    except FileNotFoundError as error:
        raise InputError(f"{shown}: there is no such {what}", hint="check the path") from error
    except IsADirectoryError as error:
        raise InputError(f"{shown}: is a directory, not a {what}", hint="name a file") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable path"
        raise InputError(f"{shown}: cannot be read: {reason}", hint="check the path") from error
    if len(content) > limit:
        message = f"{shown}: is larger than {limit // 2**20} MiB, which no {what} is"
        raise InputError(message, hint="check that this is the right file")
    return content


def write_atomic(path: str | Path, content: bytes) -> None:
    """Replace a file so that a reader sees the old or the new content and nothing between.

    A link stays a link. What is no regular file, such as ``/dev/stdout``, is written to directly.

    Raises
    ------
    InputError
        When the place cannot be written.
    """
    try:
        with contextlib.suppress(FileNotFoundError):
            Path(path).stat()  # from Python 3.13 on, resolve() alone passes a loop of links
        target = Path(path).resolve()
        if target.exists() and not target.is_file():
            target.write_bytes(content)
        else:
            _replace(target, content)
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable path"
        message = f"{visible(str(path))}: cannot be written: {reason}"
        raise InputError(message, hint="name a writable place") from error


def _replace(target: Path, content: bytes) -> None:
    temporary = target.with_name(f".planner-{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o777)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
