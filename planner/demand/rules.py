"""What the fields of a demand say together, held against each other.

The rules are stated once, over a document: a demand file as it was written, whatever it holds, and
a demand made in Python, whose fields are such a document too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from planner.demand.fields import (
    HOURS_OF_MONTH,
    MAX_COUNT,
    MAX_MEMBERS,
    MAX_NAME,
    MAX_VOLUMES,
    NAME,
    FieldPath,
    cut,
    shown,
)
from planner.text import nearest
from planner.units import HOURS_PER_MONTH

if TYPE_CHECKING:
    from planner.demand.problems import Problem

_COMPARED = 30_000
"""Names that one demand's misspelt ones are compared with: a hint, not a wait."""

Counted = Sequence[tuple[int, str, int | None]]
"""Index, name and count of every entry in which they are sound."""


def numbered(name: str, count: int | None) -> list[str]:
    """Return the names a volume expands to.

    A count of 1 gives ``name-1``, so that going from 1 to 2 adds a volume and renames none.

    >>> numbered("scratch", 2), numbered("corpus", None)
    (['scratch-1', 'scratch-2'], ['corpus'])
    """
    return [name] if count is None else [f"{name}-{number}" for number in range(1, count + 1)]


class VolumeNames:
    """The volumes of a demand, by every name that may stand for them.

    Parameters
    ----------
    entries : iterable of (str, sequence of str)
        Each name as written and what it expands to, in the demand's order of volumes.

    Examples
    --------
    >>> names = VolumeNames([("corpus", ["corpus"]), ("scratch", ["scratch-1", "scratch-2"])])
    >>> names.ordered(["scratch", "corpus", "scratch-2"])
    ('corpus', 'scratch-1', 'scratch-2')
    """

    def __init__(self, entries: Iterable[tuple[str, Sequence[str]]]) -> None:
        self._written = dict(entries)
        self._names = [name for names in self._written.values() for name in names]
        self._place = {name: place for place, name in enumerate(self._names)}
        self._hints = _COMPARED // max(1, len(self._written))
        self._unknown: dict[str, str] = {}

    def meant_by(self, name: str) -> Sequence[str]:
        """Return the volumes that a name means: all of a counted entry, or a single numbered one.

        Raises
        ------
        ValueError
            When it stands for none, or could stand for two things; the message says what to write.
        """
        names = self._written.get(name)
        if names is None and name not in self._place:
            raise ValueError(self._no_such(name))
        if names is None:
            return (name,)
        if name in self._place and name not in names:
            raise ValueError(
                f"{shown(name)} is one volume of a counted entry and all volumes of another; "
                "give one of the two entries another name"
            )
        return names

    def ordered(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the volumes that names stand for, each once, in the demand's order.

        Raises
        ------
        ValueError
            As `meant_by` does.
        """
        unique = dict.fromkeys(names)
        places = {self._place[each] for name in unique for each in self.meant_by(name)}
        return tuple(self._names[place] for place in sorted(places))

    def _no_such(self, name: str) -> str:
        """Return the sentence about an unknown name; equal names share one search."""
        if name not in self._unknown:
            self._unknown[name] = f"no volume is called {shown(name)}{self._advice(name)}"
        return self._unknown[name]

    def _advice(self, name: str) -> str:
        stem, _, number = name.rpartition("-")
        counted = self._written.get(stem, ())
        if counted and number.isdecimal() and stem not in counted:
            return f"; `{stem}` stands for {counted[0]} to {counted[-1]}"
        if self._hints <= 0:
            return ""
        self._hints -= 1
        meant = nearest(name[:100], self._written)
        return f"; did you mean {meant}?" if meant else ""


def counted(
    defaults: Mapping[str, Any], volumes: Sequence[tuple[int, Mapping[str, Any]]]
) -> tuple[Counted, set[str]]:
    """Return the volumes whose name and count are sound, and the names without a sound count."""
    sound: list[tuple[int, str, int | None]] = []
    unsure: set[str] = set()
    for index, entry in volumes:
        name, count = entry.get("name"), entry.get("count", defaults.get("count"))
        if not isinstance(name, str) or not NAME.fullmatch(name):
            continue
        if count is None or (type(count) is int and 1 <= count <= MAX_COUNT):
            sound.append((index, name, count))
        else:
            unsure.add(name)
    return sound, unsure


def clashes(sound: Counted) -> Iterator[Problem]:
    """Yield each entry whose names are taken or too long, or that there are too many."""
    total = sum(count or 1 for _, _, count in sound)
    if total > MAX_VOLUMES:
        yield ("volumes",), f"expands to {total:,} volumes; at most {MAX_VOLUMES:,} are planned"
        return
    written: dict[str, int] = {}
    taken: dict[str, int] = {}
    for index, name, count in sound:
        names = numbered(name, count)
        clash = next((each for each in names if each in taken), None)
        if name in written:
            yield _name_of(index), f"volumes[{written[name]}] is called {shown(name)} already"
        elif len(names[-1]) > MAX_NAME:
            yield _name_of(index), f"{shown(names[-1])} is longer than {MAX_NAME} characters"
        elif clash is not None:
            yield _name_of(index), f"{shown(clash)} is also a name of volumes[{taken[clash]}]"
        written.setdefault(name, index)
        for each in names:
            taken.setdefault(each, index)


def _name_of(index: int) -> FieldPath:
    return ("volumes", index, "name")


def whole_problems(document: Mapping[str, Any]) -> list[Problem]:
    """Return what the fields of a document contradict each other in.

    Parameters
    ----------
    document : Mapping
        A demand file, not yet validated: whatever it holds, this does not raise. Or the fields of a
        demand, which has no defaults and no counts.
    """
    defaults = section(document, "defaults")
    problems = [*_of_workloads(document), *_of_disks(document, defaults), *_of_growth(document)]
    sound, unsure = counted(defaults, entries(document, "volumes"))
    problems += (clashing := [*clashes(sound)])
    is_tied = any(document.get(kind) for kind in ("groups", "workloads"))
    if is_tied and sound and not any(path == ("volumes",) for path, _ in clashing):
        names = VolumeNames((name, numbered(name, count)) for _, name, count in sound)
        problems += _of_members(document, names, unsure)
        problems += _of_copies(document, defaults, names, sound)
    return named(problems, document)


def section(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a mapping of the document; an empty one where it has none."""
    value = document.get(name)
    return value if isinstance(value, Mapping) else {}


def entries(document: Mapping[str, Any], name: str) -> list[tuple[int, Mapping[str, Any]]]:
    """Return the mappings in a list of the document, each with its index."""
    listed = document.get(name)
    return [
        (index, entry)
        for index, entry in enumerate(listed if isinstance(listed, (list, tuple)) else ())
        if isinstance(entry, Mapping)
    ]


def named(problems: Iterable[Problem], document: Mapping[str, Any]) -> list[Problem]:
    """Return problems with the names of what they are about, where these are known."""
    return [(path, _naming(message, path, document)) for path, message in problems]


def _naming(message: str, path: FieldPath, document: Mapping[str, Any]) -> str:
    match path:
        case ("volumes" | "workloads" as kind, int(index), str(field), *_) if field != "name":
            entry = document[kind][index]
            name = entry.get("name") if isinstance(entry, Mapping) else None
            return f"{message} ({kind[:-1]} {shown(name)})" if isinstance(name, str) else message
    return message


def _of_workloads(document: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield each workload whose name is taken, or that runs longer than the policy's month."""
    month = section(document, "policy").get("hours_per_month")
    month = HOURS_PER_MONTH if month is None else month
    shortest, longest = HOURS_OF_MONTH
    is_month = type(month) is int and shortest <= month <= longest
    taken: dict[str, int] = {}
    for index, entry in entries(document, "workloads"):
        name, hours = entry.get("name"), entry.get("hours_per_month")
        if isinstance(name, str) and taken.setdefault(name, index) != index:
            sentence = f"workloads[{taken[name]}] is called {shown(name)} already"
            yield ("workloads", index, "name"), sentence
        if is_month and type(hours) is int and month < hours <= longest:
            sentence = f"the policy's month has {month} hours; write at most {month}, not {hours}"
            yield ("workloads", index, "hours_per_month"), sentence


def _of_growth(document: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield each place that says how something grows where no horizon is given."""
    if section(document, "policy").get("horizon") is not None:
        return
    places: list[tuple[FieldPath, Mapping[str, Any]]] = [
        (("defaults",), section(document, "defaults")),
        *((("volumes", index), entry) for index, entry in entries(document, "volumes")),
    ]
    for path, entry in places:
        if isinstance(entry.get("growth"), str):
            advice = "write how far ahead to plan: `policy: {horizon: 12 months}`"
            yield (*path, "growth"), f"growth needs a horizon; {advice}"


def _of_disks(document: Mapping[str, Any], defaults: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield each volume whose named disks cannot be its replicas."""
    if defaults.get("disks"):
        yield ("defaults", "disks"), "disks belong to one volume; name them there"
    together = [
        {name for name in group["volumes"] if isinstance(name, str)}
        for _, group in entries(document, "groups")
        if group.get("same") == "disk" and isinstance(group.get("volumes"), (list, tuple))
    ]
    taken: dict[str, tuple[int, object]] = {}
    for index, entry in entries(document, "volumes"):
        listed, name = entry.get("disks"), entry.get("name")
        if not isinstance(listed, (list, tuple)) or not listed:
            continue
        path = ("volumes", index, "disks")
        if entry.get("count", defaults.get("count")) is not None:
            yield path, "`count` makes several volumes; write the one with disks on its own"
        replicas = entry.get("replicas", defaults.get("replicas"))
        replicas = 1 if replicas is None else replicas
        if type(replicas) is int and len(listed) > replicas:
            copies = f"{replicas} {'replica' if replicas == 1 else 'replicas'}"
            advice = f"name one for each, or write `replicas: {len(listed)}`"
            yield path, f"{len(listed)} disks for {copies}; {advice}"
        texts = [disk for disk in listed if isinstance(disk, str)]
        for disk in sorted({disk for disk in texts if texts.count(disk) > 1}):
            yield path, f"disk {shown(disk)} is named twice; each replica is a disk of its own"
        for disk in dict.fromkeys(texts):
            first, other = taken.setdefault(disk, (index, name))
            if first != index and not any({name, other} <= names for names in together):
                owner = f"volume {shown(other)}" if isinstance(other, str) else f"volumes[{first}]"
                twice = f"disk {shown(disk)} is named by {owner} already"
                yield path, f"{twice}; volumes share a disk only in a group with `same: disk`"


def _of_members(
    document: Mapping[str, Any], names: VolumeNames, unsure: set[str]
) -> Iterator[Problem]:
    """Yield each name that stands for no volume, and each group of fewer than two.

    Parameters
    ----------
    names : VolumeNames
        The volumes whose names and counts are sound.
    unsure : set of str
        Volumes whose count is wrong; nothing is said about what they would expand to.
    """
    total = 0
    for kind, field in (("workloads", "mounts"), ("groups", "volumes")):
        for index, entry in entries(document, kind):
            path = (kind, index, field)
            meant, wrong = _meant(entry.get(field), path, names, unsure)
            yield from wrong
            total += sum(len(each) for each in meant or ())
            if total > MAX_MEMBERS:
                sentence = f"groups and workloads name more than {MAX_MEMBERS:,} volumes in all"
                yield (kind,), f"{sentence}, counts expanded; name fewer"
                return
            if kind == "groups" and meant and len(distinct := set().union(*meant)) == 1:
                only = shown(distinct.pop())
                yield path, f"a group has at least two volumes; here is only {only}"


def _meant(
    listed: object, path: FieldPath, names: VolumeNames, unsure: set[str]
) -> tuple[list[Sequence[str]] | None, list[Problem]]:
    """Return what each name of a list stands for, None where that cannot be said, and why not."""
    if not isinstance(listed, (list, tuple)):
        return None, []
    meant: dict[str, Sequence[str]] = {}
    wrong: list[Problem] = []
    known = True
    for index, name in enumerate(listed):
        is_name = isinstance(name, str) and NAME.fullmatch(name)
        if not is_name or {name, name.rpartition("-")[0]} & unsure:
            known = False
            continue
        try:
            meant[name] = names.meant_by(name)
        except ValueError as error:
            wrong.append(((*path, index), str(error)))
    return list(meant.values()) if known and not wrong else None, wrong


def _of_copies(
    document: Mapping[str, Any], defaults: Mapping[str, Any], names: VolumeNames, sound: Counted
) -> Iterator[Problem]:
    """Yield each group of one disk whose volumes have different numbers of replicas."""
    groups = [each for each in entries(document, "groups") if each[1].get("same") == "disk"]
    volumes = document["volumes"]
    replicas = {
        each: volumes[index].get("replicas", defaults.get("replicas")) or 1
        for index, name, count in (sound if groups else ())
        for each in numbered(name, count)
    }
    for index, entry in groups:
        meant, wrong = _meant(entry.get("volumes"), (), names, set())
        mine = {name: replicas[name] for each in meant or () for name in each}
        if not wrong and len(set(mine.values())) > 1:
            listed = cut(", ".join(f"{name} has {count}" for name, count in mine.items()))
            sentence = f"volumes on one disk have equally many replicas; here {listed}"
            yield ("groups", index, "same"), sentence
