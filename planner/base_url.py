"""Where a key may be sent: https anywhere, http to this machine only."""

from __future__ import annotations

import ipaddress
import re

from planner.errors import InputError

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
