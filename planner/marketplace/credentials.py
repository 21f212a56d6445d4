"""Who is asking, and where: the key, the team and the base URL.

They are found where the vendor's client finds them, so that a user who has run ``prime login``
is already set up. Nothing is ever written, and no message repeats a key, a URL or the contents
of a file.
"""

from __future__ import annotations

import ipaddress
import json
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from planner.errors import InputError
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


MAX_NAME = 253
MAX_PORT = 65535

_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<authority>(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?)"
    r"(?P<path>(?:/[a-z0-9._~-]*)*)",
    re.ASCII | re.IGNORECASE,
)
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_URL_HINT = (
    "write a URL such as https://api.primeintellect.ai: https (http only to this machine), "
    "no user name or password, no query, no fragment"
)


def checked_base_url(text: str, source: str) -> str:
    """Return a base URL that a key may be sent to, in its shortest form.

    Parameters
    ----------
    text : str
        A trailing slash or ``/api/v1`` is tolerated.
    source : str
        Where the text came from, for the message; the text itself may hold a password.

    Raises
    ------
    InputError
        When it is anything but https, or http to this machine, or has more than host and path.
    """
    match = _URL.fullmatch(text.strip())
    if match is None or not _is_allowed(match):
        raise InputError(f"{source} is not a base URL that a key can be sent to", hint=_URL_HINT)
    path = match["path"].rstrip("/").removesuffix("/api/v1").rstrip("/")
    return f"{match['scheme'].lower()}://{match['authority']}{path}"


def _is_allowed(url: re.Match[str]) -> bool:
    """Return whether port and host exist, and the key would not cross a network in the clear."""
    if url["port"] and not 1 <= int(url["port"]) <= MAX_PORT:
        return False
    host = url["host"].strip("[]").lower()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _is_name(host) and (url["scheme"].lower() == "https" or host == "localhost")
    return url["scheme"].lower() == "https" or address.is_loopback


def _is_name(host: str) -> bool:
    """Return whether a host is a domain name; one that ends in a number is a broken address."""
    labels = host.removesuffix(".").split(".")
    return (
        len(host) <= MAX_NAME
        and all(_LABEL.fullmatch(label) for label in labels)
        and not labels[-1].isdigit()
    )


DEFAULT_BASE_URL = "https://api.primeintellect.ai"
MAX_CONFIG_BYTES = 2**20

_TEAM = re.compile(r"[!-~]{1,200}", re.ASCII)
_CONTEXT = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_NO_KEY = (
    "run `prime login` or set PRIME_API_KEY; a saved market needs no key: "
    "`planner offers --offers FILE`, `planner plan DEMAND --offers FILE`"
)


@dataclass(frozen=True)
class Credentials:
    """A key and the place it may be sent to, checked when made.

    Attributes
    ----------
    api_key : SecretStr
        Printable ASCII without white space; its repr is masked.
    base_url : str
        https, or http to this machine; without a trailing slash or ``/api/v1``.
    team_id : str | None
        The team that pays, None for the personal account.

    Raises
    ------
    InputError
        When the key or the URL cannot be used; the message repeats neither.
    """

    api_key: SecretStr
    base_url: str = DEFAULT_BASE_URL
    team_id: str | None = None

    def __post_init__(self) -> None:
        key = _checked_key(self.api_key.get_secret_value(), "api_key")
        object.__setattr__(self, "api_key", SecretStr(key))
        object.__setattr__(self, "base_url", checked_base_url(self.base_url, "base_url"))
        if self.team_id is not None and not _TEAM.fullmatch(self.team_id):
            raise InputError("the team id is not printable ASCII", hint="check PRIME_TEAM_ID")

    @property
    def is_local(self) -> bool:
        """Return whether the base URL is plain http, which is allowed to this machine only."""
        return self.base_url.startswith("http:")


def read_credentials(environ: Mapping[str, str], home: Path) -> Credentials:
    """Return the credentials of the environment, completed from the vendor's config files.

    Parameters
    ----------
    environ : Mapping of str to str
        ``PRIME_API_KEY``, ``PRIME_TEAM_ID`` (blank is not set), ``PRIME_API_BASE_URL``,
        ``PRIME_BASE_URL`` and ``PRIME_CONTEXT`` are read; each wins over the files.
    home : Path
        The directory whose ``.prime/config.json`` and ``.prime/environments/`` are read.
        Neither has to exist, and neither is created.

    Raises
    ------
    InputError
        When there is no key, when a variable is set but empty (an empty variable never means
        production), when a file or the context cannot be used, or when key or URL are malformed.

    Notes
    -----
    Precedence and file layout are those of the vendor's open-source client, version 0.18.
    """
    key = _variable(environ, "PRIME_API_KEY")
    urls = {name: _variable(environ, name) for name in ("PRIME_API_BASE_URL", "PRIME_BASE_URL")}
    settings = _settings(_variable(environ, "PRIME_CONTEXT"), home / ".prime")
    if key is None:
        key = _text(settings, "api_key")
    if not key:
        raise InputError("there is no API key", hint=_NO_KEY)
    name, url = next(((n, u) for n, u in urls.items() if u is not None), (None, None))
    if url is None:
        url = _text(settings, "base_url") if "base_url" in settings else DEFAULT_BASE_URL
    team_id = environ.get("PRIME_TEAM_ID", "").strip() or _text(settings, "team_id").strip()
    return Credentials(
        api_key=SecretStr(_checked_key(key, "the API key")),
        base_url=checked_base_url(url, name or "base_url of the prime configuration"),
        team_id=team_id or None,
    )


def _variable(environ: Mapping[str, str], name: str) -> str | None:
    """Return a variable, None where it is not set; a variable that is set must have a value."""
    value = environ.get(name)
    if value is not None and not value.strip():
        raise InputError(f"{name} is set but empty", hint=f"give {name} a value, or unset it")
    return value


def _settings(context: str | None, folder: Path) -> dict[str, Any]:
    """Return the settings of config.json under those of the context."""
    path = folder / "config.json"
    config = _read_object(path) or {}
    if context is None:
        return config
    # A context replaces place and team whole: it must not inherit the team or URL of another.
    own_key = {"api_key": config["api_key"]} if "api_key" in config else {}
    if context.casefold() == "production":
        return own_key
    if not _CONTEXT.fullmatch(context):
        raise InputError(
            f"PRIME_CONTEXT is not a context name: {visible(context)[:80]!r}",
            hint="use letters, digits, - and _, as in `prime config envs`",
        )
    own = _read_object(folder / "environments" / f"{context}.json")
    if own is None:
        raise InputError(
            f"PRIME_CONTEXT names a context that does not exist: {context}",
            hint=f"save it with `prime config save {context}`, or unset PRIME_CONTEXT",
        )
    return own_key | own


def _read_object(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file, None where there is no file."""
    problem = "is not a JSON object"
    value: object = None
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            problem = "is not a regular file"
        elif path.stat().st_size > MAX_CONFIG_BYTES:
            problem = "is far too large for a configuration"
        else:
            value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if not path.is_symlink():
            return None
        problem = "is a link to nothing"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except (ValueError, RecursionError):
        problem = "is not JSON"
    # Raised outside the handlers: a decoding error carries the contents, and so the key.
    if not isinstance(value, dict):
        raise InputError(f"{path} {problem}", hint="run `prime login` to write it again")
    return value


def _text(settings: Mapping[str, Any], name: str) -> str:
    """Return a setting that has to be text; null is empty."""
    value = settings.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InputError(f"{name} of the prime configuration is not text")
    return value


def _checked_key(key: str, source: str) -> str:
    """Return a key that is safe in a header."""
    key = key.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise InputError(
            f"{source} is not a key: a key is printable ASCII without white space", hint=_NO_KEY
        )
    return key
