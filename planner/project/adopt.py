"""Adopt: write a demand for the live disks of an account.

A disk that planner bought is the volume and replica of the journal; every other disk is a
volume of its own. Nothing is guessed from names.
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from planner.demand.fields import MAX_NAME, MAX_REPLICAS, NAME
from planner.demand.read import read_demand
from planner.errors import Defect, DemandError, InputError
from planner.market.disks import NOT_KEPT
from planner.schema import records
from planner.text import visible
from planner.units import MAX_GB, money, total

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pandas as pd

    from planner.plans.sharing import DiskShare
    from planner.project.state import Entry, State


DiskRow = dict[str, Any]
"""A live disk: the columns ``DISKS``."""

MAX_TEXT = 200
_PLACES = {"providers": "provider", "data_centers": "data_center", "countries": "country"}
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._]+", re.ASCII)


@dataclass(frozen=True)
class AdoptedVolume:
    """An existing volume.

    Attributes
    ----------
    disks : tuple of dict
        Its live disks, one for each replica: columns ``DISKS``.
    known_as : str | None
        Project and volume in planner's journal; None for a disk that planner did not buy.
    share_gb : int | None
        What it has of disks that it shares with other volumes; None where they are its own.
    """

    name: str
    disks: tuple[DiskRow, ...]
    known_as: str | None
    owner: str | None = None
    tags: Mapping[str, str] | None = None
    share_gb: int | None = None

    @property
    def size_gb(self) -> int:
        """Return the size that every replica has."""
        return self.share_gb or int(min(disk["size_gb"] for disk in self.disks))

    @property
    def multinode(self) -> bool:
        """Return whether several nodes can mount every replica, where that is known."""
        return all(disk["multinode"] is True for disk in self.disks)

    @property
    def spread(self) -> str | None:
        """Return the spread that its replicas satisfy, None for the default."""
        places = [
            (disk["data_center"],)
            if disk["data_center"] is not None
            else (None, disk["provider"], disk["country"])
            for disk in self.disks
        ]
        return None if len(set(places)) == len(places) else "none"

    def allowed(self) -> dict[str, tuple[str, ...]]:
        """Return allow-lists of its places; a field that is unknown for a replica is left out."""
        lists = {}
        for field, column in _PLACES.items():
            values = [disk[column] for disk in self.disks]
            if all(_is_usable(value) for value in values):
                lists[field] = tuple(sorted(set(values)))
        return lists


@dataclass(frozen=True)
class Adopted:
    """What an account has.

    Attributes
    ----------
    volumes : tuple of AdoptedVolume
        Those bought by planner first, then by name.
    left_out : tuple of (dict, str)
        Disks that cannot be used, each with the reason.
    """

    project: str
    volumes: tuple[AdoptedVolume, ...]
    left_out: tuple[tuple[DiskRow, str], ...]
    source: str

    @property
    def disks(self) -> list[DiskRow]:
        """Return every disk that is in a volume, or in several."""
        return [*{disk["id"]: disk for each in self.volumes for disk in each.disks}.values()]

    @property
    def groups(self) -> list[tuple[str, ...]]:
        """Return the volumes that share a disk, each group once."""
        on_disk: dict[str, list[str]] = {}
        for volume in self.volumes:
            for disk in volume.disks:
                on_disk.setdefault(disk["id"], []).append(volume.name)
        return [*dict.fromkeys(tuple(names) for names in on_disk.values() if len(names) > 1)]

    @property
    def usd_hr(self) -> Decimal:
        """Return the sum of the known prices per hour."""
        return total(disk["usd_hr"] or Decimal(0) for disk in self.disks)


def adopt(
    disks: pd.DataFrame,
    state: State,
    *,
    target: Mapping[str, str | None] | None = None,
    project: str | None = None,
    otherwise: str = "adopted",
) -> Adopted:
    """Return the volumes of an account's live disks.

    Parameters
    ----------
    disks : DataFrame
        Columns ``DISKS``: every live disk of the account, ``attrs`` with its source.
    state : State
        The journal: which disk is which volume and replica.
    target : mapping | None
        ``base_url`` and ``team_id`` of the account; None matches ids alone.
    project : str | None
        Name of the demand; None uses the only project that the disks were bought for.
    otherwise : str
        Its name where there is no such project, made safe.

    Raises
    ------
    InputError
        When the project is not a name, a disk is listed twice, or there is nothing to adopt.
    """
    if project is not None and not NAME.fullmatch(project):
        hint = f"1 to {MAX_NAME} letters, digits, - _ and ."
        raise InputError(f"--project: {visible(project)[:80]!r} is not a name", hint=hint)
    rows = records(disks)
    sound, left_out = _sorted_out(rows)
    known = _known(sound, state, target)
    superseded = [row for row in sound if row["id"] in known and known[row["id"]].is_superseded]
    left_out += [(row, "a later disk replaced it: planner retire") for row in superseded]
    sound = [row for row in sound if row not in superseded]
    projects = {entry.project for entry in known.values()}
    name = project or (projects.pop() if len(projects) == 1 else safe_name(otherwise, "adopted"))
    grouped = [*_grouped(sound, known, state)]
    if not grouped:
        raise InputError(
            "no live disk to adopt"
            + (f", and {len(left_out)} that cannot be used" if left_out else ""),
            hint="planner init writes a demand to start from",
        )
    volumes = _named(grouped, name, state)
    return Adopted(name, tuple(volumes), tuple(left_out), str(disks.attrs.get("source", "")))


def safe_name(text: str | None, otherwise: str) -> str:
    """Return a name of a volume that resembles a text.

    >>> safe_name("Zürich: weights/v2", "disk")
    'Zurich-weights-v2'
    """
    letters = unicodedata.normalize("NFKD", (text or "")[:1000])
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return _NOT_IN_NAMES.sub("-", plain).strip("-.")[:MAX_NAME].strip("-.") or otherwise


def _is_usable(value: object) -> bool:
    """Return whether a demand can state the value."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_TEXT
        and value != "\N{REPLACEMENT CHARACTER}"
        and not any("\ud800" <= character <= "\udfff" for character in value)
    )


def _sorted_out(rows: Sequence[DiskRow]) -> tuple[list[DiskRow], list[tuple[DiskRow, str]]]:
    """Return the disks that can be volumes, by name, and those that cannot, with the reason."""
    sound: list[DiskRow] = []
    left_out: list[tuple[DiskRow, str]] = []
    seen: set[str] = set()
    for row in sorted(rows, key=lambda row: (row["name"] or "", row["id"] or "")):
        if row["id"] is not None and row["id"] in seen:
            raise InputError(f"disk {row['id']} is listed twice", hint="save the listing again")
        seen.add(row["id"])
        reason = _unreliable(row)
        if reason is None:
            sound.append(row)
        else:
            left_out.append((row, reason))
    return sound, left_out


def _unreliable(row: DiskRow) -> str | None:
    if row["status"] in NOT_KEPT:
        return f"is {row['status']}"
    if row["id"] is None:
        return "has no usable id"
    if row["size_gb"] is None or not 1 <= row["size_gb"] <= MAX_GB:
        return "has no known size"
    return None


def _known(
    rows: Iterable[DiskRow], state: State, target: Mapping[str, str | None] | None
) -> dict[str, Entry]:
    """Return the journal's entries of the listed disks, by id."""
    listed = {row["id"] for row in rows}
    entries = state.entries.values() if target is None else state.at(target)
    created = (entry for entry in entries if entry.stage == "created" and entry.ids)
    return {entry.ids[0]: entry for entry in created if entry.ids[0] in listed}


@dataclass(frozen=True)
class _Group:
    """The disks of a volume, and its preferred name."""

    wish: str
    disks: tuple[DiskRow, ...]
    entry: Entry | None
    shares: tuple[DiskShare, ...] = ()


def _grouped(rows: Sequence[DiskRow], known: Mapping[str, Entry], state: State) -> Iterator[_Group]:
    """Yield volumes, those of the journal first.

    A replica on several disks cannot be named by one id: every disk becomes a volume. So does a
    disk of volumes of which some replicas share a disk and others do not.
    """
    split = {
        (entry.project, entry.volume)
        for entry in state.entries.values()
        if entry.disk > 1 and entry.may_exist
    } | _partly_shared(known.values())
    sets: dict[tuple[str, str], list[dict[int, tuple[DiskRow, DiskShare]]]] = defaultdict(list)
    held = [
        (known[row["id"]], row, share)
        for row in rows
        if row["id"] in known
        for share in known[row["id"]].paying
    ]
    for entry, row, share in sorted(held, key=lambda each: _order(*each)):
        key = (entry.project, share.volume)
        if key in split:
            wish = f"{share.volume}-{share.replica}-{entry.disk}"
            yield _Group(wish, (row,), entry, (share,))
            continue
        # A second set of the same volume, bought on purpose, is a volume of its own.
        free = (s for s in sets[key] if share.replica not in s and len(s) < MAX_REPLICAS)
        own = next(free, None)
        if own is None:
            sets[key].append(own := {})
        own[share.replica] = row, share
    for (_, volume), copies in sets.items():
        for own in copies:
            disks, shares = zip(*(held for _, held in sorted(own.items())), strict=True)
            yield _Group(volume, disks, known[disks[0]["id"]], shares)
    for row in rows:
        if row["id"] not in known:
            yield _Group(safe_name(row["name"], "disk"), (row,), None)


def _partly_shared(entries: Iterable[Entry]) -> set[tuple[str, str]]:
    """Return the volumes whose replicas do not all share a disk with the same volumes.

    A group wants every replica of its volumes on one disk, so no group says this.
    """
    together: dict[tuple[str, str], set[frozenset[str]]] = defaultdict(set)
    for entry in entries:
        for volume in entry.volumes:
            together[entry.project, volume].add(frozenset(entry.volumes))
    return {
        (project, volume)
        for (project, _), groups in together.items()
        if len(groups) > 1
        for group in groups
        for volume in group
    }


def _order(entry: Entry, row: DiskRow, share: DiskShare) -> tuple[Any, ...]:
    return entry.project, share.volume, share.replica, entry.disk, entry.plan, row["id"]


def _named(groups: Iterable[_Group], project: str, state: State) -> Iterator[AdoptedVolume]:
    """Yield volumes under names of their own.

    The name of a recorded volume of this project is given to no other disk: a plan would confuse
    the two.
    """
    mine = (e for e in state.entries.values() if e.project == project and e.may_exist)
    kept = {volume for entry in mine for volume in entry.volumes}
    taken: set[str] = set()
    for group in groups:
        entry, share = group.entry, next(iter(group.shares), None)
        known_as = f"{entry.project}/{share.volume}" if entry and share else None
        is_owned = known_as == f"{project}/{group.wish}"
        name = _unique(group.wish, taken if is_owned else taken | kept)
        taken.add(name)
        if entry is None or share is None:
            yield AdoptedVolume(name, group.disks, None)
            continue
        share_gb = min(each.size_gb for each in group.shares) if entry.group else None
        yield AdoptedVolume(name, group.disks, known_as, share.owner, share.tags, share_gb)


def _unique(wish: str, taken: set[str]) -> str:
    name, number = wish[:MAX_NAME], 1
    while name in taken:
        number += 1
        name = f"{wish[: MAX_NAME - 1 - len(str(number))]}-{number}"
    return name


_SHOWN = 120
_WIDE = 100_000
"""Long lines are not folded."""

_HEADER = """\
The disks that this account has, as a demand for planner.
Read from {source}: {disks} disks, {size_gb} GB, {usd_hr} USD/h.
Each volume names its disks by id: planner plan keeps them and buys none of them again.
Add what you need, or take out what planner should not count. An allow-list says where a disk
is now; it also applies to disks bought for that volume later."""
_LEFT_OUT = "Disks that exist, and are billed until deleted, but cannot be relied on:"


def to_yaml(adopted: Adopted) -> str:
    """Return a demand file (YAML) of everything that was adopted.

    Raises
    ------
    Defect
        When planner could not read back what it would write.
    """
    document = CommentedMap()
    document["version"] = 1
    document["project"] = _text(adopted.project)
    document["volumes"] = volumes = CommentedSeq()
    document.yaml_set_start_comment(
        _HEADER.format(
            source=_shown(adopted.source),
            disks=len(adopted.disks),
            size_gb=f"{sum(disk['size_gb'] for disk in adopted.disks):,}",
            usd_hr=money(adopted.usd_hr, 4),
        )
    )
    for index, volume in enumerate(adopted.volumes):
        volumes.append(_volume(volume))
        about = "\n".join(_about(volume))
        volumes.yaml_set_comment_before_after_key(index, before=about, indent=2)
    if adopted.groups:
        document["groups"] = groups = CommentedSeq()
        for names in adopted.groups:
            groups.append(CommentedMap(volumes=_list(names), same="disk"))
    if adopted.left_out:
        lines = (f"{_disk(row)}: {reason}" for row, reason in adopted.left_out)
        before = "\n".join([_LEFT_OUT, *lines])
        document.yaml_set_comment_before_after_key("volumes", before=before, indent=0)
    return _checked(_dumped(document), adopted)


def _volume(volume: AdoptedVolume) -> CommentedMap:
    entry = CommentedMap()
    entry["name"] = _text(volume.name)
    entry["size_gb"] = volume.size_gb
    if len(volume.disks) > 1:
        entry["replicas"] = len(volume.disks)
    if volume.spread is not None:
        entry["spread"] = volume.spread
    entry["disks"] = _list(disk["id"] for disk in volume.disks)
    for field, values in volume.allowed().items():
        entry[field] = _list(values)
    if volume.multinode:
        entry["multinode"] = True
    if volume.owner is not None:
        entry["owner"] = _text(volume.owner)
    if volume.tags:
        entry["tags"] = CommentedMap({_text(key): _text(tag) for key, tag in volume.tags.items()})
    return entry


def _about(volume: AdoptedVolume) -> Iterable[str]:
    if volume.known_as is not None:
        yield f"bought by planner as {_shown(volume.known_as)}"
    if volume.spread is not None:
        yield "its replicas share a data centre, or their data centres are unknown"
    for row in volume.disks:
        yield _disk(row)


def _disk(row: DiskRow) -> str:
    """Return a description of a disk; hostile text is escaped."""
    price = "price unknown" if row["usd_hr"] is None else f"${money(row['usd_hr'], 4)}/h"
    place = " ".join(_shown(row[name] or "?") for name in ("provider", "data_center", "country"))
    size = "size unknown" if row["size_gb"] is None else f"{row['size_gb']:,} GB"
    parts = [row["id"] or "no id", f"'{_shown(row['name'] or '')}'", place, size, price]
    parts.append(_shown(row["status"]))
    if row["attached"]:
        parts.append("attached to " + ", ".join(_shown(user) for user in row["attached"][:3]))
    return ", ".join(parts)


def _shown(text: str) -> str:
    """Return text for a comment: one line, escaped, shortened."""
    shown = visible(text[:_SHOWN])
    return shown + ("…" if len(text) > _SHOWN else "")


def _text(value: str) -> DoubleQuotedScalarString:
    """Return a quoted text: unquoted, YAML reads `NO` as false."""
    quoted: DoubleQuotedScalarString = DoubleQuotedScalarString(value)
    return quoted


def _list(values: Iterable[str]) -> CommentedSeq:
    listed = CommentedSeq(_text(value) for value in values)
    listed.fa.set_flow_style()
    return listed


def _dumped(document: CommentedMap) -> str:
    yaml = YAML()
    yaml.width = _WIDE
    yaml.allow_unicode = False
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()


def _checked(text: str, adopted: Adopted) -> str:
    """Return the text after reading it back."""
    try:
        demand = read_demand(io.StringIO(text))
    except DemandError as error:
        raise Defect(f"the demand to be written is not valid: {error}") from error
    meant: list[Any] = [
        (v.name, v.size_gb, tuple(disk["id"] for disk in v.disks), v.allowed())
        for v in adopted.volumes
    ]
    read: list[Any] = []
    for volume in demand.volumes:
        lists = {name: getattr(volume, name) for name in ("providers", "data_centers", "countries")}
        allowed = {name: values for name, values in lists.items() if values is not None}
        read.append((volume.name, volume.size_gb, volume.disks, allowed))
    if read != meant or demand.project != adopted.project:
        raise Defect("the demand to be written reads back differently")
    return text
