"""What the key opens: where it was found, what it may read, the server's clock, money, market."""

from __future__ import annotations

import time
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from planner.account.checks import Check, failed, ok, skipped, warning
from planner.api import Account, Client, read_credentials
from planner.api.credentials import DEFAULT_BASE_URL
from planner.api.probe import Probe, probe
from planner.apply.listing import complete_listing
from planner.errors import InputError, MarketError, Unauthorized
from planner.live import DEADLINE_S
from planner.market import fetch_snapshot
from planner.units import money, plain, total

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from planner.api import Credentials, Disk
    from planner.apply import Pace

MAX_SKEW_S = 30.0
LEAST_HOURS = 72
_ATTEMPTS = 3
_OK, _UNKNOWN_KEY = 200, 401

Scope = Literal["availability_read", "disks_read", "wallet_read"]
_OPENS: dict[Scope, tuple[str, str]] = {
    "availability_read": ("offers", "nothing can be planned live without it"),
    "disks_read": ("the account's disks", "apply, status and adopt need it"),
    "wallet_read": ("the wallet", "apply can promise no --min-runway without it"),
}
_MARKETS: tuple[tuple[Literal["disks", "gpus", "multi-node"], str, str], ...] = (
    ("disks", "market_disks", "disk offers"),
    ("gpus", "market_gpus", "GPU offers"),
    ("multi-node", "market_multi_node", "multi-node GPU offers"),
)
_GIVE = "give the key this permission where it was made, or use one that has it"
_REACHED = ("disks_write", "clock", "runway", *(name for _, name, _ in _MARKETS))


def find(environ: Mapping[str, str], home: Path) -> tuple[Credentials | None, list[Check]]:
    """Return the credentials, None where there are none, and what is to be said of them."""
    try:
        found = read_credentials(environ, home)
    except InputError as error:
        return None, [failed("credentials", error), _place_without_key(environ, home)]
    files = _files(environ)
    source = "PRIME_API_KEY" if "PRIME_API_KEY" in environ else files
    team = f"for team {found.team_id}" if found.team_id else "for the personal account"
    says = f"a key was found in {source}, {team}"
    facts = {"source": source, "team_id": found.team_id}
    return found, [ok("credentials", says, **facts), _place(found, environ)]


def _files(environ: Mapping[str, str]) -> str:
    context = environ.get("PRIME_CONTEXT")
    return f"~/.prime, context {context}" if context else "~/.prime/config.json"


def _place(found: Credentials, environ: Mapping[str, str]) -> Check:
    names = ("PRIME_API_BASE_URL", "PRIME_BASE_URL")
    otherwise = "the default" if found.base_url == DEFAULT_BASE_URL else _files(environ)
    source = next((name for name in names if name in environ), otherwise)
    here = ", a marketplace on this machine" if found.is_local else ""
    facts = {"base_url": found.base_url, "source": source}
    return ok("base_url", f"{found.base_url} ({source}){here}", **facts)


def _place_without_key(environ: Mapping[str, str], home: Path) -> Check:
    """Return where a key would be sent, were there one."""
    try:
        found = read_credentials({**environ, "PRIME_API_KEY": "none"}, home)
    except InputError:
        return skipped("base_url", "not known: see credentials")
    return _place(found, environ)


def unasked(why: str) -> list[Check]:
    """Return what cannot be checked without asking."""
    return [skipped(name, why) for name in ("key", *_OPENS, *_REACHED)]


@dataclass(frozen=True)
class _Asked:
    """One answer for each scope."""

    probes: Mapping[Scope, Probe]

    def opens(self, scope: Scope) -> bool:
        return self.probes[scope].failure is None

    @property
    def refused(self) -> MarketError | None:
        """Return the failure where every scope met the same: not the key, or not the place."""
        failures = [one.failure for one in self.probes.values()]
        unknown = all(one.status == _UNKNOWN_KEY for one in self.probes.values())
        unreached = all(one.status is None for one in self.probes.values())
        return failures[0] if unknown or unreached else None


def ask(credentials: Credentials, pace: Pace) -> list[Check]:
    """Return what the marketplace says to the key; nothing is written there."""
    asked = _ask_all(credentials, pace)
    if asked.refused is not None:
        why = "the marketplace did not answer"
        if isinstance(asked.refused, Unauthorized):
            why = "the key is not accepted"
        left = (*_OPENS, *(name for name in _REACHED if name != "clock"))
        return [
            failed("key", asked.refused),
            _clock(asked),
            *(skipped(name, why) for name in left),
        ]
    opened = [_OPENS[scope][0] for scope in _OPENS if asked.opens(scope)]
    return [
        ok("key", f"accepted; it may read {', '.join(opened) or 'nothing that planner asks for'}"),
        *(_scope(scope, asked) for scope in _OPENS),
        skipped(
            "disks_write",
            "whether the key may create disks cannot be tried without buying one",
            "the key needs Disks: read and write; the first create of an apply is the test",
        ),
        _clock(asked),
        _runway(credentials, pace, asked),
        *_markets(credentials, pace, asked),
    ]


def _ask_all(credentials: Credentials, pace: Pace) -> _Asked:
    team = {} if credentials.team_id is None else {"teamId": credentials.team_id}
    requests: dict[Scope, tuple[str, dict[str, str]]] = {
        "availability_read": ("availability/disks", {"page": "1", "page_size": "1"}),
        "disks_read": ("disks/", {"offset": "0", "limit": "1"}),
        "wallet_read": ("billing/wallet", {"offset": "0", "limit": "1", **team}),
    }
    probes: dict[Scope, Probe] = {}
    for scope, (path, query) in requests.items():
        probes[scope] = _probe(credentials, path, query, pace)
        if probes[scope].status is None:
            # Nobody is there: the others would only wait as long.
            return _Asked(dict.fromkeys(requests, probes[scope]))
    return _Asked(probes)


def _probe(credentials: Credentials, path: str, query: dict[str, str], pace: Pace) -> Probe:
    """Return an answer, asked for again after failures that may pass."""
    for attempt in range(_ATTEMPTS - 1):
        found = probe(credentials, path, query, now=pace.now)
        if found.failure is None or (found.status is not None and found.status < 429):  # noqa: PLR2004 -- HTTP
            return found
        pause = min(found.failure.retry_after or 0.5 * 2**attempt, 10.0)
        pace.pause(pause * pace.scale)
    return probe(credentials, path, query, now=pace.now)


def _scope(scope: Scope, asked: _Asked) -> Check:
    what, without = _OPENS[scope]
    failure = asked.probes[scope].failure
    if failure is None:
        return ok(scope, f"the key may read {what}")
    if isinstance(failure, Unauthorized) and scope != "availability_read":
        return warning(scope, f"the key may not read {what}: {without}", _GIVE)
    if isinstance(failure, Unauthorized):
        return Check(scope, "failed", str(failure), f"{without}; {_GIVE}", failure.exit_code)
    if scope == "wallet_read" and asked.probes[scope].status is not None:
        return warning(scope, f"the balance is unknown: {failure}", without)
    return failed(scope, failure)


def _clock(asked: _Asked) -> Check:
    known = [skew for one in asked.probes.values() if (skew := one.skew_s) is not None]
    if not known:
        return skipped("clock", "the marketplace does not say what time it is")
    skew = min(known, key=abs)
    way = "ahead of" if skew > 0 else "behind"
    rounded = round(skew, 1)
    if abs(skew) > MAX_SKEW_S:
        says = f"this clock is {abs(rounded):g} s {way} the marketplace's"
        do = "set it (NTP): how old a plan is, and when a lost create may be sent again, rest on it"
        return warning("clock", says, do, skew_s=rounded)
    says = "this clock agrees with the marketplace's"
    if abs(rounded) >= 1:
        says = f"this clock is {abs(rounded):g} s {way} the marketplace's, which is little"
    return ok("clock", says, skew_s=rounded)


def _runway(credentials: Credentials, pace: Pace, asked: _Asked) -> Check:
    balance: Decimal | None = None
    disks: tuple[Disk, ...] | None = None
    with Account(
        credentials, sleep=pace.pause, timeout_s=pace.timeout_s, pause_s=0.5 * pace.scale
    ) as account:
        try:
            if asked.opens("wallet_read"):
                balance = account.wallet().value.balance_usd
            if asked.opens("disks_read"):
                disks = complete_listing(account, pace).live
        except MarketError as error:
            return failed("runway", error)
    if balance is None and disks is None:
        return skipped("runway", "the key may read neither the wallet nor the disks")
    return _lasts(balance, disks)


def _lasts(balance: Decimal | None, disks: tuple[Disk, ...] | None) -> Check:
    """Return how long the wallet lasts at what the live disks cost."""
    usd_hr = None if disks is None else total(disk.usd_hr or Decimal(0) for disk in disks)
    unpriced = sum(disk.usd_hr is None for disk in disks or ())
    hours = None if balance is None or not usd_hr else max(Decimal(0), balance) / usd_hr
    facts = {
        "balance_usd": None if balance is None else plain(balance),
        "live_disks": None if disks is None else len(disks),
        "unpriced_disks": unpriced,
        "usd_hr": None if usd_hr is None else plain(usd_hr),
        "hours_left": None if hours is None else money(hours, 1).replace(",", ""),
    }
    held = "balance unknown" if balance is None else f"{money(balance)} USD in the wallet"
    least = f" or more ({unpriced} without a price)" if unpriced else ""
    costs = "disks unknown"
    if disks is not None and usd_hr is not None:
        costs = f"{len(disks)} live disks cost {money(usd_hr, 4)} USD/h{least}"
    lasts = f": {money(hours, 0)} hours" if hours is not None else ""
    says = f"{held}, {costs}{lasts}"
    if balance is not None and balance <= 0:
        do = "pay in: nothing can be bought, and nobody promises that unpaid disks are kept"
        return warning("runway", says, do, **facts)
    if hours is not None and hours < LEAST_HOURS:
        do = f"pay in: disks are billed until they are deleted, and this is under {LEAST_HOURS} h"
        return warning("runway", says, do, **facts)
    return ok("runway", says, **facts)


def _markets(credentials: Credentials, pace: Pace, asked: _Asked) -> list[Check]:
    if not asked.opens("availability_read"):
        return [skipped(name, "the key may not read offers") for _, name, _ in _MARKETS]
    checks = []
    for listing, name, what in _MARKETS:
        started = time.monotonic()
        try:
            with Client(
                credentials,
                sleep=lambda seconds: pace.pause(seconds * pace.scale),
                deadline_s=DEADLINE_S,
            ) as client:
                rows = len(fetch_snapshot(client, listing).rows)
        except MarketError as error:
            checks.append(failed(name, error))
            continue
        seconds = round(time.monotonic() - started, 2)
        says = f"{rows} {what}, read whole in {seconds:g} s"
        checks.append(ok(name, says, rows=rows, seconds=seconds))
    return checks
