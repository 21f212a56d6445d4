"""Names of volumes: what counts expand them to, and what groups and workloads call them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from planner.demand.fields import MAX_COUNT, MAX_NAME, MAX_VOLUMES, NAME
from planner.demand.problems import Problem
from planner.demand.words import FieldPath, shown
from planner.text import nearest

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
        """Return the volumes a name stands for: all of a counted one, or the one numbered so.

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


def too_many(sound: Counted) -> str | None:
    """Return what is wrong where the counts expand beyond what is planned."""
    total = sum(count or 1 for _, _, count in sound)
    if total <= MAX_VOLUMES:
        return None
    return f"expands to {total:,} volumes; at most {MAX_VOLUMES:,} are planned"


def clashes(sound: Counted) -> Iterator[Problem]:
    """Yield each entry whose names are taken, or too long once they are numbered."""
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
