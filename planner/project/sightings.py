"""Sightings: when planner last saw each disk of an account, and since when it saw it unattached.

The marketplace does not list when a disk was detached. A small file in the state directory does,
as far as planner has read complete listings. It decides nothing: where it cannot be read, locked
or written, what is not known is unknown, and nothing stops.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from pydantic import AwareDatetime, TypeAdapter

from planner.errors import InputError
from planner.formats import read_bytes, write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FILE, LOCK = "sightings.json", "sightings.lock"
IDLE_DAYS = 7
"""Days unattached from which a disk is marked where nothing else is asked for."""
_KEPT = timedelta(days=400)
"""How long a disk that is gone is remembered."""
_MAX_BYTES = 2**26


@dataclass(frozen=True)
class Sighting:
    """What complete listings showed of a disk.

    Attributes
    ----------
    seen_at : datetime
        When one last had it, UTC.
    unattached_since : datetime | None
        Of those since which it was always unattached, the first; None where the last one had it
        attached, or could not be read.
    """

    seen_at: AwareDatetime
    unattached_since: AwareDatetime | None

    def later(self, at: datetime, attached: tuple[str, ...] | None) -> Sighting:
        """Return what is known after another listing; one that is older changes nothing."""
        if at < self.seen_at:
            return self
        return Sighting(at, None if attached != () else self.unattached_since or at)


@dataclass(frozen=True)
class _Sightings:
    """The file: sightings by account and id."""

    accounts: dict[str, dict[str, Sighting]]
    format: Literal["planner.sightings/1"] = "planner.sightings/1"


_JSON = TypeAdapter(_Sightings)


def record_sightings(
    folder: Path,
    target: Mapping[str, str | None],
    listed: Mapping[str, tuple[str, ...] | None],
    at: datetime,
) -> dict[str, Sighting]:
    """Write down a complete listing, and return what is known of every disk by id.

    Parameters
    ----------
    target : mapping
        Base URL and team of the account.
    listed : mapping
        Id of each live disk → pods and clusters that it is attached to; None where unknown.
    at : datetime
        When it was listed, UTC.
    """
    account = f"{target['base_url']} {target['team_id'] or ''}".strip()
    with _locked(folder) as is_writable:
        known = _read(folder)
        before = known.get(account, {})
        nothing = Sighting(at, None)
        now = {key: before.get(key, nothing).later(at, on) for key, on in listed.items()}
        gone = {key: last for key, last in before.items() if at - last.seen_at < _KEPT}
        known[account] = {**gone, **now}
        if is_writable:
            with contextlib.suppress(InputError, OSError):
                write_atomic(folder / FILE, _JSON.dump_json(_Sightings(known), indent=1))
    return known[account]


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Hold the lock of the file; false where another run has it, or it cannot be had."""
    descriptor = None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(folder / LOCK, flags, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_held = True
    except OSError:
        is_held = False
    try:
        yield is_held
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _read(folder: Path) -> dict[str, dict[str, Sighting]]:
    """Return what the file has; nothing where it is missing, damaged or another version's."""
    try:
        content = read_bytes(folder / FILE, what="sightings", limit=_MAX_BYTES)
        return _JSON.validate_json(content).accounts
    except (InputError, ValueError):
        return {}
