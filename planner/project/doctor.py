"""Doctor: check key, clock, wallet, market, state and solver. Nothing is changed."""

from __future__ import annotations

import os
import platform
import stat
import time
from collections.abc import Mapping
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
from planner.market.history_file import check_file
from planner.market.market import addressable
from planner.market.offers import offers_frame
from planner.marketplace.credentials import DEFAULT_BASE_URL, read_credentials
from planner.marketplace.failures import pause
from planner.marketplace.fetch import connect
from planner.marketplace.protocol import Access, Probe
from planner.project.journal import FILE, LOCK, Journal
from planner.project.preflight import LEAST_HOURS
from planner.project.state import State, sorted_entries
from planner.solve.optimise import SOLVER, optimise
from planner.text import visible
from planner.units import lasting, money, plain, total

if TYPE_CHECKING:
    from pathlib import Path

    from planner.market.disks import Disk
    from planner.marketplace.credentials import Credentials
    from planner.marketplace.protocol import ListingName, Marketplace
    from planner.project.context import Pace
    from planner.solve.optimise import SolverRecord


CheckState = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True)
class Check:
    """The result of a check.

    Attributes
    ----------
    name : str
        What, in lower case with underscores; stable.
    do : str | None
        What a person can do about it.
    exit_code : int
        What it exits with where it failed.
    facts : dict
        Figures behind the sentence, as JSON values; amounts as text.
    """

    name: str
    state: CheckState
    says: str
    do: str | None = None
    exit_code: int = 0
    facts: dict[str, Any] = field(default_factory=dict)

    def to_document(self) -> dict[str, Any]:
        """Return the check as JSON values."""
        names = ("name", "state", "says", "do", "facts")
        return {name: getattr(self, name) for name in names}


def ok(name: str, says: str, **facts: Any) -> Check:  # noqa: ANN401 -- JSON values
    """Return a check that passed."""
    return Check(name, "ok", says, facts=facts)


def warning(name: str, says: str, do: str, **facts: Any) -> Check:  # noqa: ANN401 -- JSON values
    """Return a check that passed with a warning."""
    return Check(name, "warning", says, do, facts=facts)


def skipped(name: str, says: str, do: str | None = None) -> Check:
    """Return a check that could not be made."""
    return Check(name, "skipped", says, do)


def failed(name: str, error: PlannerError) -> Check:
    """Return a check that ended with an error."""
    return Check(name, "failed", str(error), error.hint, error.exit_code)


@dataclass(frozen=True)
class DoctorReport:
    """All checks, in the order in which they were made."""

    checks: tuple[Check, ...]

    @property
    def exit_code(self) -> int:
        """Return 0 where nothing failed, else the highest code of a failure."""
        return max((check.exit_code for check in self.checks if check.state == "failed"), default=0)

    def to_document(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "exit_code": self.exit_code,
            "checks": [check.to_document() for check in self.checks],
        }


def examine(environ: Mapping[str, str], home: Path, folder: Path, pace: Pace) -> DoctorReport:
    """Check everything that planner depends on.

    Without a key, only this machine is checked. A key that may only read offers is enough to plan,
    so other missing permissions are warnings.

    Parameters
    ----------
    environ : mapping
        The environment variables that credentials are read from.
    folder : Path
        The state directory; it is neither made nor locked.
    pace : Pace
        Time: the clock that is compared, and pauses.
    """
    credentials, checks = check_credentials(environ, home)
    if credentials is None:
        checks += skip_marketplace("no key")
    else:
        try:
            with connect(credentials, **pace.pacing) as marketplace:
                checks += check_marketplace(marketplace, pace)
        except InputError as error:
            unusable = failed("network", error)
            checks += [unusable, *skip_marketplace("the network settings cannot be used")]
    checks += state_checks(folder)
    checks.append(solver_check())
    return DoctorReport((*checks, versions()))


LIBRARIES = ("planner", "pandas", "pulp", "highspy", "httpx", "pydantic", "typer")
_ELSEWHERE = "give it to yourself, or name another place with --state DIR"
_SECONDS = 20.0
_SHOWN = 5


def state_checks(folder: Path) -> list[Check]:
    """Check state directory, journal and unknown outcomes; nothing is changed."""
    try:
        directory = _directory(folder)
        with Journal(folder, write=False) as journal:
            records = journal.records
        state = State(records)
    except StateUnusable as error:
        return [failed("state_directory", error), skipped("pending", "the state is unusable")]
    except OSError as error:
        message = f"{visible(str(folder))}: cannot be used: {error.strerror}"
        broken = failed("state_directory", StateUnusable(message, hint=_ELSEWHERE))
        return [broken, skipped("pending", "the state is unusable")]
    text = "nothing recorded yet"
    if records:
        text = f"readable; records: {len(records)}, disks: {len(state.entries)}"
    facts = {"records": len(records), "disks": len(state.entries), "plans": len(state.plans)}
    return [directory, ok("journal", text, **facts), _history(folder), _pending(state)]


def _history(folder: Path) -> Check:
    """Check the record of the market, which no plan or purchase needs."""
    try:
        readings = check_file(folder)
    except StateUnusable as error:
        return warning("history", str(error), f"move it away; {error.hint}")
    return ok("history", f"readable; listings: {readings}", listings=readings)


def _directory(folder: Path) -> Check:
    """Check the directory; raise where it cannot be used."""
    shown = visible(str(folder))
    facts = {"path": str(folder)}
    if not os.path.lexists(folder):
        parent = next(path for path in folder.absolute().parents if os.path.lexists(path))
        if not (parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)):
            raise StateUnusable(f"{shown}: cannot be created", hint=_ELSEWHERE)
        return ok(
            "state_directory",
            f"{shown} does not exist yet; apply creates it with mode 0700",
            **facts,
        )
    if not folder.is_dir():
        raise StateUnusable(f"{shown}: is not a directory", hint=_ELSEWHERE)
    if folder.stat().st_uid != os.geteuid():
        raise StateUnusable(f"{shown}: belongs to another user", hint=_ELSEWHERE)
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise StateUnusable(f"{shown}: cannot be written", hint=_ELSEWHERE)
    files = [path for name in (FILE, LOCK) if os.path.lexists(path := folder / name)]
    for path in files:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise StateUnusable(f"{visible(str(path))}: is not a regular file", hint=_ELSEWHERE)
        if not os.access(path, os.R_OK | os.W_OK):
            raise StateUnusable(f"{visible(str(path))}: cannot be written", hint=_ELSEWHERE)
    shared = [path for path in (folder, *files) if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if shared:
        names = ", ".join(visible(str(path)) for path in shared)
        return warning(
            "state_directory",
            f"others may read or write {names}",
            "the next apply removes these rights; or: chmod -R go= DIR",
            **facts,
        )
    return ok("state_directory", f"{shown} is yours, writable and private", **facts)


def _pending(state: State) -> Check:
    unresolved = [
        entry
        for entry in sorted_entries(state.entries.values())
        if entry.is_pending or entry.stage == "conflict"
    ]
    if not unresolved:
        return ok("pending", "no create has an unknown outcome", names=[])
    keys = ", ".join(entry.key for entry in unresolved[:_SHOWN])
    more = f" and {len(unresolved) - _SHOWN} more" if len(unresolved) > _SHOWN else ""
    return warning(
        "pending",
        f"unknown outcome or conflict: {keys}{more}; each may be a disk that is billed",
        "planner status shows them; run the same apply again, or use planner resolve",
        names=[entry.name for entry in unresolved],
    )


def solver_check() -> Check:
    """Check that the solver works: it must find a known optimum."""
    name = "solver"
    # A broken solver may raise anything; the future holds it, and it becomes a failed check.
    with ThreadPoolExecutor(1) as pool:
        solving = pool.submit(_tiny)
    error = solving.exception()
    if isinstance(error, PlannerError):
        return failed(name, error)
    if error is not None:
        says = f"{SOLVER} failed: {type(error).__name__}: {visible(str(error))[:200]}"
        return failed(name, Defect(says, hint="reinstall highspy and pulp"))
    record, cost = solving.result()
    if record.status != "optimal" or cost != _LEAST or not record.variables:
        says = f"{SOLVER} returned {cost} USD/h, the optimum is {_LEAST}"
        return failed(name, Defect(says, hint="please report this"))
    says = f"{SOLVER} proved a plan of {record.variables} variables in {record.seconds:.2f} s"
    return ok(name, says, seconds=round(record.seconds, 3))


def _tiny() -> tuple[SolverRecord, Decimal]:
    """Solve two volumes that must share the more expensive of two providers."""
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
    offers = addressable(offers_frame(rows), exact=True)
    solved = optimise(demand, offers, time_limit_s=_SECONDS, full=True)
    return solved.solver, solved.solver.objective_usd_hr


_LEAST = Decimal("0.06")
"""Both at `wide`: 300 GB at 0.0002 USD."""


def versions() -> Check:
    """Return the versions of Python and of the libraries."""
    installed = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            installed[name] = metadata.version({"planner": "disk-planner"}.get(name, name))
        except metadata.PackageNotFoundError:
            installed[name] = "not installed"
    return ok(
        "versions",
        ", ".join(f"{name} {version}" for name, version in installed.items()),
        **installed,
    )


MAX_SKEW_S = 30.0
_ATTEMPTS = 3
_OK, _UNKNOWN_KEY = 200, 401

_SCOPES: dict[Access, tuple[str, str]] = {
    "availability_read": ("offers", "live planning needs it"),
    "disks_read": ("the account's disks", "apply, status and adopt need it"),
    "wallet_read": ("the wallet", "apply needs it for --min-runway"),
}
_MARKETS: tuple[tuple[ListingName, str, str], ...] = (
    ("disks", "market_disks", "disk offers"),
    ("gpus", "market_gpus", "GPU offers"),
    ("multi-node", "market_multi_node", "multi-node GPU offers"),
)
_GIVE = "add this permission to the key, or use another key"
_REACHED = ("disks_write", "clock", "runway", *(name for _, name, _ in _MARKETS))


def check_credentials(
    environ: Mapping[str, str], home: Path
) -> tuple[Credentials | None, list[Check]]:
    """Return the credentials, None where they are missing, and their checks."""
    try:
        credentials = read_credentials(environ, home)
    except InputError as error:
        return None, [failed("credentials", error), _base_url_without_key(environ, home)]
    files = _files(environ)
    source = "PRIME_API_KEY" if "PRIME_API_KEY" in environ else files
    team = f"for team {credentials.team_id}" if credentials.team_id else "for the personal account"
    says = f"key from {source}, {team}"
    facts = {"source": source, "team_id": credentials.team_id}
    return credentials, [ok("credentials", says, **facts), _base_url(credentials, environ)]


def _files(environ: Mapping[str, str]) -> str:
    context = environ.get("PRIME_CONTEXT")
    return f"~/.prime, context {context}" if context else "~/.prime/config.json"


def _base_url(credentials: Credentials, environ: Mapping[str, str]) -> Check:
    names = ("PRIME_API_BASE_URL", "PRIME_BASE_URL")
    otherwise = "the default" if credentials.base_url == DEFAULT_BASE_URL else _files(environ)
    source = next((name for name in names if name in environ), otherwise)
    here = ", a marketplace on this machine" if credentials.is_local else ""
    facts = {"base_url": credentials.base_url, "source": source}
    return ok("base_url", f"{credentials.base_url} ({source}){here}", **facts)


def _base_url_without_key(environ: Mapping[str, str], home: Path) -> Check:
    """Return where a key would be sent."""
    try:
        credentials = read_credentials({**environ, "PRIME_API_KEY": "none"}, home)
    except InputError:
        return skipped("base_url", "unknown: see credentials")
    return _base_url(credentials, environ)


def skip_marketplace(why: str) -> list[Check]:
    """Return the checks of the marketplace, skipped."""
    return [skipped(name, why) for name in ("key", *_SCOPES, *_REACHED)]


Probes = Mapping[Access, Probe]
"""The answer for each permission."""


def _refused(probes: Probes) -> MarketError | None:
    """Return the failure that all permissions share: a rejected key, or no answer."""
    unknown = all(probe.status == _UNKNOWN_KEY for probe in probes.values())
    unreached = all(probe.status is None for probe in probes.values())
    return next(iter(probes.values())).failure if unknown or unreached else None


def check_marketplace(marketplace: Marketplace, pace: Pace) -> list[Check]:
    """Check the key, its permissions and the market; nothing is written there."""
    probes = _probe_all(marketplace, pace)
    if (refused := _refused(probes)) is not None:
        why = "the marketplace did not answer"
        if isinstance(refused, Unauthorized):
            why = "the key is not accepted"
        left = (*_SCOPES, *(name for name in _REACHED if name != "clock"))
        return [
            failed("key", refused),
            _clock(probes),
            *(skipped(name, why) for name in left),
        ]
    opened = [_SCOPES[scope][0] for scope in _SCOPES if probes[scope].failure is None]
    return [
        ok("key", f"accepted; it may read {', '.join(opened) or 'nothing that planner needs'}"),
        *(_scope(scope, probes) for scope in _SCOPES),
        skipped(
            "disks_write",
            "permission to create disks cannot be tested without buying one",
            "the key needs Disks: read and write; the first create of an apply is the test",
        ),
        _clock(probes),
        _runway(marketplace, probes),
        *_markets(marketplace, probes),
    ]


def _probe_all(marketplace: Marketplace, pace: Pace) -> Probes:
    probes: dict[Access, Probe] = {}
    for scope in _SCOPES:
        probes[scope] = _probe(marketplace, scope, pace)
        if probes[scope].status is None:
            # The marketplace is unreachable: the other requests would only wait as long.
            return dict.fromkeys(_SCOPES, probes[scope])
    return probes


def _probe(marketplace: Marketplace, scope: Access, pace: Pace) -> Probe:
    """Return an answer; temporary failures are retried."""
    for attempt in range(_ATTEMPTS - 1):
        probe = marketplace.probe(scope)
        if probe.failure is None or (probe.status is not None and probe.status < 429):  # noqa: PLR2004 -- HTTP
            return probe
        wait_s = probe.failure.retry_after
        if wait_s is not None and wait_s > pace.max_wait_s:
            return probe
        pace.pause(0.5 * 2**attempt * pace.scale if wait_s is None else wait_s)
    return marketplace.probe(scope)


def _scope(scope: Access, probes: Probes) -> Check:
    what, without = _SCOPES[scope]
    failure = probes[scope].failure
    if failure is None:
        return ok(scope, f"the key may read {what}")
    if isinstance(failure, Unauthorized) and scope != "availability_read":
        return warning(scope, f"the key may not read {what}: {without}", _GIVE)
    if isinstance(failure, Unauthorized):
        return Check(scope, "failed", str(failure), f"{without}; {_GIVE}", failure.exit_code)
    if scope == "wallet_read" and probes[scope].status is not None:
        return warning(scope, f"the balance is unknown: {failure}", without)
    return failed(scope, failure)


def _clock(probes: Probes) -> Check:
    known = [skew for probe in probes.values() if (skew := probe.skew_s) is not None]
    if not known:
        return skipped("clock", "the marketplace's time is unknown")
    skew = min(known, key=abs)
    direction = "ahead of" if skew > 0 else "behind"
    rounded = round(skew, 1)
    if abs(skew) > MAX_SKEW_S:
        says = f"this clock is {pause(abs(skew))} {direction} the marketplace's"
        do = "set it (NTP): plan age and the quarantine of lost creates depend on it"
        return warning("clock", says, do, skew_s=rounded)
    says = "this clock agrees with the marketplace's"
    if abs(rounded) >= 1:
        says = (
            f"this clock is {abs(rounded):g} s {direction} the marketplace's, which is acceptable"
        )
    return ok("clock", says, skew_s=rounded)


def _runway(marketplace: Marketplace, probes: Probes) -> Check:
    balance: Decimal | None = None
    disks: tuple[Disk, ...] | None = None
    try:
        if probes["wallet_read"].failure is None:
            balance = marketplace.wallet().balance_usd
        if probes["disks_read"].failure is None:
            disks = marketplace.disks().live
    except MarketError as error:
        return failed("runway", error)
    if balance is None and disks is None:
        return skipped("runway", "the key may read neither the wallet nor the disks")
    return _lasts(balance, disks)


def _lasts(balance: Decimal | None, disks: tuple[Disk, ...] | None) -> Check:
    """Return how long the wallet lasts at the run-rate of the live disks."""
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
    held = "balance unknown" if balance is None else f"${money(balance)} in the wallet"
    least = f" or more ({unpriced} without a price)" if unpriced else ""
    costs = "disks unknown"
    if disks is not None and usd_hr is not None:
        costs = f"{len(disks)} live disks cost ${money(usd_hr, 4)}/h{least}"
    lasts = f": it lasts {lasting(hours)}" if hours is not None else ""
    says = f"{held}, {costs}{lasts}"
    if balance is not None and balance <= 0:
        do = "add funds: nothing can be bought, and unpaid disks may be lost"
        return warning("runway", says, do, **facts)
    if hours is not None and hours < LEAST_HOURS:
        do = (
            f"add funds: disks are billed until they are deleted, and this is under {LEAST_HOURS} h"
        )
        return warning("runway", says, do, **facts)
    return ok("runway", says, **facts)


def _markets(marketplace: Marketplace, probes: Probes) -> list[Check]:
    if probes["availability_read"].failure is not None:
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
