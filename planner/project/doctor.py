"""Doctor: are key, clock, money, market, state and solver in order? Nothing is changed."""

from __future__ import annotations

import os
import platform
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from importlib import metadata
from typing import TYPE_CHECKING, Any, Literal

from planner.demand.read import demand_from
from planner.errors import (
    Defect,
    InputError,
    MarketError,
    PlannerError,
    StateUnusable,
    Unauthorized,
)
from planner.market.market import addressable
from planner.market.offers import offers_frame
from planner.marketplace.credentials import DEFAULT_BASE_URL, read_credentials
from planner.marketplace.fetch import connect
from planner.project.journal import FILE, LOCK, Journal
from planner.project.state import State, in_order
from planner.solve.optimise import optimise
from planner.solve.solver import SOLVER
from planner.text import visible
from planner.units import money, plain, total

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from planner.market.disks import Disk
    from planner.marketplace.credentials import Credentials
    from planner.marketplace.protocol import Access, ListingName, Marketplace, Probe
    from planner.project.pace import Pace
    from planner.solve.optimise import SolverRecord


Standing = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    name : str
        What, in lower case with underscores; stable.
    state : {"ok", "warning", "failed", "skipped"}
        How it stands.
    says : str
        In a sentence.
    do : str | None
        What a person can do about it.
    exit_code : int
        What it exits with where it failed.
    facts : dict
        Figures behind the sentence, as JSON values; amounts as text.
    """

    name: str
    state: Standing
    says: str
    do: str | None = None
    exit_code: int = 0
    facts: dict[str, Any] = field(default_factory=dict)

    def to_document(self) -> dict[str, Any]:
        """Return the check as JSON values."""
        names = ("name", "state", "says", "do", "facts")
        return {name: getattr(self, name) for name in names}


def ok(name: str, says: str, **facts: Any) -> Check:  # noqa: ANN401 -- JSON values
    """Return a check that found nothing wrong."""
    return Check(name, "ok", says, facts=facts)


def warning(name: str, says: str, do: str, **facts: Any) -> Check:  # noqa: ANN401 -- JSON values
    """Return a check that found what a person should know."""
    return Check(name, "warning", says, do, facts=facts)


def skipped(name: str, says: str, do: str | None = None) -> Check:
    """Return a check that could not be made."""
    return Check(name, "skipped", says, do)


def failed(name: str, error: PlannerError) -> Check:
    """Return a check that ended with an error."""
    return Check(name, "failed", str(error), error.hint, error.exit_code)


@dataclass(frozen=True)
class Diagnosis:
    """All checks, in the order in which they were made."""

    checks: tuple[Check, ...]

    @property
    def exit_code(self) -> int:
        """Return 0 where nothing failed, else the code of the gravest failure: the highest."""
        return max((one.exit_code for one in self.checks if one.state == "failed"), default=0)

    def to_document(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "exit_code": self.exit_code,
            "checks": [one.to_document() for one in self.checks],
        }


def examine(environ: Mapping[str, str], home: Path, folder: Path, pace: Pace) -> Diagnosis:
    """Return how everything stands that planner rests on.

    Every check is made that can be made: without a key, those of this machine. A key that may read
    offers only is enough to plan, so that what else it may not read is a warning.

    Parameters
    ----------
    environ : mapping
        The variables that credentials are found by.
    home : Path
        Where the vendor's configuration lies.
    folder : Path
        The state directory; it is neither made nor locked.
    pace : Pace
        Time: the clock that is compared, and pauses.
    """
    credentials, checks = find(environ, home)
    if credentials is None:
        checks += unasked("there is no key to ask with")
    else:
        try:
            with connect(credentials, **pace.pacing) as marketplace:
                checks += ask(marketplace, pace)
        except InputError as error:
            unusable = failed("network", error)
            checks += [unusable, *unasked("the network cannot be used as it is set up")]
    checks += state_checks(folder)
    checks.append(solver_check())
    return Diagnosis((*checks, versions()))


LIBRARIES = ("planner", "pandas", "pulp", "highspy", "httpx", "pydantic", "typer")
_ELSEWHERE = "give it to yourself, or name another place with --state DIR"
_SECONDS = 20.0
_SHOWN = 5


def state_checks(folder: Path) -> list[Check]:
    """Return how the state directory, the journal and what is in doubt stand; nothing changes."""
    try:
        directory = _directory(folder)
        with Journal(folder, write=False) as journal:
            records = journal.records
        state = State(records)
    except StateUnusable as error:
        return [failed("state_directory", error), skipped("in_doubt", "the state is unusable")]
    except OSError as error:
        message = f"{visible(str(folder))}: cannot be used: {error.strerror}"
        broken = failed("state_directory", StateUnusable(message, hint=_ELSEWHERE))
        return [broken, skipped("in_doubt", "the state is unusable")]
    said = "nothing recorded yet"
    if records:
        said = f"readable; records: {len(records)}, disks: {len(state.entries)}"
    facts = {"records": len(records), "disks": len(state.entries), "plans": len(state.plans)}
    return [directory, ok("journal", said, **facts), _doubts(state)]


def _directory(folder: Path) -> Check:
    """Return how the directory stands; raise where it cannot be used."""
    shown = visible(str(folder))
    facts = {"path": str(folder)}
    if not os.path.lexists(folder):
        parent = next(one for one in folder.absolute().parents if os.path.lexists(one))
        if not (parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)):
            raise StateUnusable(f"{shown}: cannot be made", hint=_ELSEWHERE)
        return ok("state_directory", f"{shown} is not there yet; apply makes it, private", **facts)
    if not folder.is_dir():
        raise StateUnusable(f"{shown}: is no directory", hint=_ELSEWHERE)
    if folder.stat().st_uid != os.geteuid():
        raise StateUnusable(f"{shown}: belongs to another user", hint=_ELSEWHERE)
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise StateUnusable(f"{shown}: cannot be written", hint=_ELSEWHERE)
    files = [path for name in (FILE, LOCK) if os.path.lexists(path := folder / name)]
    for path in files:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise StateUnusable(f"{visible(str(path))}: is no regular file", hint=_ELSEWHERE)
        if not os.access(path, os.R_OK | os.W_OK):
            raise StateUnusable(f"{visible(str(path))}: cannot be written", hint=_ELSEWHERE)
    shared = [path for path in (folder, *files) if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if shared:
        names = ", ".join(visible(str(path)) for path in shared)
        return warning(
            "state_directory",
            f"others may read or write {names}",
            "the next apply takes their rights away; or: chmod -R go= DIR",
            **facts,
        )
    return ok("state_directory", f"{shown} is yours, writable and private", **facts)


def _doubts(state: State) -> Check:
    open_ = [
        entry
        for entry in in_order(state.entries.values())
        if entry.in_doubt or entry.stage == "conflict"
    ]
    if not open_:
        return ok("in_doubt", "no create is in doubt", names=[])
    keys = ", ".join(entry.key for entry in open_[:_SHOWN])
    more = f" and {len(open_) - _SHOWN} more" if len(open_) > _SHOWN else ""
    return warning(
        "in_doubt",
        f"in doubt or in conflict: {keys}{more}; each may be a disk that is billed",
        "planner status shows them; run the same apply again, or end it with planner resolve",
        names=[entry.name for entry in open_],
    )


def solver_check() -> Check:
    """Return whether the solver is there and finds an optimum that is known."""
    name = "solver"
    # A solver that is broken raises whatever it likes; a future holds it, so that it is a finding.
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(_tiny)
    error = asked.exception()
    if isinstance(error, PlannerError):
        return failed(name, error)
    if error is not None:
        says = f"{SOLVER} broke: {type(error).__name__}: {visible(str(error))[:200]}"
        return failed(name, Defect(says, hint="install highspy and pulp anew"))
    record, cost = asked.result()
    if record.status != "optimal" or cost != _LEAST or not record.variables:
        says = f"{SOLVER} found {cost} USD/h where the least is {_LEAST}"
        return failed(name, Defect(says, hint="please report this"))
    says = f"{SOLVER} proved a plan of {record.variables} variables in {record.seconds:.2f} s"
    return ok(name, says, seconds=round(record.seconds, 3))


def _tiny() -> tuple[SolverRecord, Decimal]:
    """Return what the solver makes of two volumes that share the dearer of two providers."""
    rows = [
        {
            "provider": provider,
            "dataCenter": f"{provider}-1",
            "country": "US",
            "spec": {"minCount": 1, "maxCount": most, "pricePerUnit": Decimal(price), "step": 1},
            "stockStatus": "Available",
            "security": "secure_cloud",
        }
        for provider, most, price in (("narrow", 100, "0.0001"), ("wide", 900, "0.0002"))
    ]
    demand = demand_from(
        {
            "version": 1,
            "volumes": [{"name": "a", "size_gb": 100}, {"name": "b", "size_gb": 200}],
            "groups": [{"volumes": ["a", "b"], "same": "provider"}],
        }
    )
    offers = addressable(offers_frame(rows))
    solved = optimise(demand, offers, time_limit_s=_SECONDS, full=True)
    return solved.solver, solved.solver.objective_usd_hr


_LEAST = Decimal("0.06")
"""Both at the wide one: 300 GB at 0.0002 USD."""


def versions() -> Check:
    """Return the versions of what matters."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return ok(
        "versions", ", ".join(f"{name} {version}" for name, version in found.items()), **found
    )


MAX_SKEW_S = 30.0
LEAST_HOURS = 72
_ATTEMPTS = 3
_OK, _UNKNOWN_KEY = 200, 401

_OPENS: dict[Access, tuple[str, str]] = {
    "availability_read": ("offers", "nothing can be planned live without it"),
    "disks_read": ("the account's disks", "apply, status and adopt need it"),
    "wallet_read": ("the wallet", "apply can promise no --min-runway without it"),
}
_MARKETS: tuple[tuple[ListingName, str, str], ...] = (
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

    probes: Mapping[Access, Probe]

    def opens(self, scope: Access) -> bool:
        return self.probes[scope].failure is None

    @property
    def refused(self) -> MarketError | None:
        """Return the failure where every scope met the same: not the key, or not the place."""
        failures = [one.failure for one in self.probes.values()]
        unknown = all(one.status == _UNKNOWN_KEY for one in self.probes.values())
        unreached = all(one.status is None for one in self.probes.values())
        return failures[0] if unknown or unreached else None


def ask(marketplace: Marketplace, pace: Pace) -> list[Check]:
    """Return what the marketplace says to the key; nothing is written there."""
    asked = _ask_all(marketplace, pace)
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
        _runway(marketplace, asked),
        *_markets(marketplace, asked),
    ]


def _ask_all(marketplace: Marketplace, pace: Pace) -> _Asked:
    probes: dict[Access, Probe] = {}
    for scope in _OPENS:
        probes[scope] = _probe(marketplace, scope, pace)
        if probes[scope].status is None:
            # The marketplace is unreachable: the other requests would only wait as long.
            return _Asked(dict.fromkeys(_OPENS, probes[scope]))
    return _Asked(probes)


def _probe(marketplace: Marketplace, scope: Access, pace: Pace) -> Probe:
    """Return an answer, asked for again after failures that may pass."""
    for attempt in range(_ATTEMPTS - 1):
        found = marketplace.probe(scope)
        if found.failure is None or (found.status is not None and found.status < 429):  # noqa: PLR2004 -- HTTP
            return found
        pause = min(found.failure.retry_after or 0.5 * 2**attempt, 10.0)
        pace.pause(pause * pace.scale)
    return marketplace.probe(scope)


def _scope(scope: Access, asked: _Asked) -> Check:
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


def _runway(marketplace: Marketplace, asked: _Asked) -> Check:
    balance: Decimal | None = None
    disks: tuple[Disk, ...] | None = None
    try:
        if asked.opens("wallet_read"):
            balance = marketplace.wallet().balance_usd
        if asked.opens("disks_read"):
            disks = marketplace.disks().live
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


def _markets(marketplace: Marketplace, asked: _Asked) -> list[Check]:
    if not asked.opens("availability_read"):
        return [skipped(name, "the key may not read offers") for _, name, _ in _MARKETS]
    checks = []
    for listing, name, what in _MARKETS:
        started = time.monotonic()
        try:
            rows = len(marketplace.listing(listing).rows)
        except MarketError as error:
            checks.append(failed(name, error))
            continue
        seconds = round(time.monotonic() - started, 2)
        says = f"{rows} {what}, read whole in {seconds:g} s"
        checks.append(ok(name, says, rows=rows, seconds=seconds))
    return checks
