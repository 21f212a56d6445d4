"""One notification: a JSON post that Slack and others take, without the key, to one address."""

from __future__ import annotations

import ipaddress
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from planner.errors import InputError, PendingActions
from planner.marketplace.http import open_client
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable

_ATTEMPTS = 3
_PAUSE_S = 2.0
_ANSWER_S = 10.0
_LIMITED, _BROKEN = 429, 500
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
"""What Slack reads as mentions and links."""


def checked_url(url: str) -> str:
    """Return a URL that a notification can be posted to.

    Raises
    ------
    InputError
        When it is anything but https, or http to this machine; it may be a secret, so the message
        has none of it.
    """
    try:
        parts = urlsplit(url)
        host, scheme, _ = parts.hostname or "", parts.scheme, parts.port
    except ValueError:
        host = scheme = ""
    usable = bool(host) and (scheme == "https" or (scheme == "http" and _is_local(host)))
    if not usable or visible(url) != url:
        message = "the address of the notification is not a URL that planner posts to"
        hint = "https (http only to this machine), such as https://hooks.slack.com/services/…"
        raise InputError(message, hint=hint)
    return url


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def notify(url: str, text: str, *, sleep: Callable[[float], object] = time.sleep) -> None:
    """Post ``{"text": …}`` to a URL; redirects are not followed, and no key is sent.

    Parameters
    ----------
    url : str
        See `checked_url`.
    text : str
        Slack's signs for mentions and links are escaped.
    sleep : callable
        The pause between attempts, of which there are three.

    Raises
    ------
    PendingActions
        When no attempt was answered with 2xx; the URL is not shown, only its host.
    """
    host = urlsplit(checked_url(url)).hostname or ""
    document = {"text": visible(text).translate(_ESCAPES)}
    problem = ""
    with open_client(None, is_local=_is_local(host)) as client:
        for attempt in range(_ATTEMPTS):
            sleep(attempt * _PAUSE_S)
            try:
                with client.stream("POST", url, json=document, timeout=_ANSWER_S) as answer:
                    status = answer.status_code
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                problem = type(error).__name__
                continue
            if httpx.codes.is_success(status):
                return
            problem = f"answered with {status}"
            if status != _LIMITED and status < _BROKEN:
                break
    message = f"the notification was not delivered: {visible(host)}: {problem}"
    # Raised here, away from the handler: the library's error may show the URL, a secret.
    raise PendingActions(message, hint="what was waited for is so; check the URL")
