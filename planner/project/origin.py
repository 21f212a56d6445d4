"""Where a demand file lives: two files that give a project one name may not mean one project."""

from __future__ import annotations

import re
from pathlib import Path

_REMOTE = re.compile(r'\[remote "origin"\][^\[]*?^\s*url\s*=\s*(\S+)', re.MULTILINE)
_SECRET = re.compile(r"(?<=//)[^/@]*@")


def origin_of(source: str) -> str:
    """Return where a demand file lives: repository and path in it, or else the absolute path.

    Parameters
    ----------
    source : str
        As it was typed. Standard input and shipped files live nowhere: the text stays as it is.
    """
    path = Path(source)
    if source == "-" or not path.exists():
        return source
    path = path.resolve()
    for folder in path.parents:
        config = folder / ".git" / "config"
        try:
            remote = _REMOTE.search(config.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            continue
        if remote is not None:
            url = _SECRET.sub("", remote[1])
            return f"{url}#{path.relative_to(folder).as_posix()}"
        break
    return str(path)


def is_known_place(origin: str) -> bool:
    """Return whether an origin says where a file lives, and can be compared with another."""
    return origin.startswith("/") or "#" in origin
