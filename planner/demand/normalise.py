"""From the file to the demand: check what fields say together, merge, expand."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from planner.demand.fields import (
    HOURS_OF_MONTH,
    MAX_MEMBERS,
    NAME,
    FieldPath,
    beyond_month,
    beyond_replicas,
    dotted,
    shown,
    unequal_copies,
)
from planner.demand.growth import beyond_horizon
from planner.demand.model import (
    Demand,
    Group,
    Policy,
    Volume,
    Workload,
)
from planner.demand.problems import (
    Counted,
    Problem,
    VolumeNames,
    clashes,
    counted,
    numbered,
    plain_problems,
    too_many,
)
from planner.demand.schema import DemandInput
from planner.units import HOURS_PER_MONTH

_SIZES = ("size", "size_gb")
_MERGED = ("exclude", "tags")


def check(document: Mapping[str, Any]) -> tuple[dict[str, Any] | None, list[Problem]]:
    """Return what the file sets, and everything that is wrong with the document.

    Parameters
    ----------
    document : Mapping
        As the file says it, not yet validated; whatever it holds, this does not raise.

    Returns
    -------
    values : dict | None
        Validated, nulls included; None where a single field is wrong by itself.
    problems : list of (path, message)
        Empty for a sound document.
    """
    values: dict[str, Any] | None = None
    problems: list[Problem] = []
    try:
        values = DemandInput.model_validate(dict(document)).model_dump(exclude_unset=True)
    except ValidationError as error:
        problems += plain_problems(error, DemandInput)
    defaults = document.get("defaults")
    defaults = defaults if isinstance(defaults, Mapping) else {}
    volumes = entries(document, "volumes")
    problems += _sizes(defaults, volumes)
    problems += workload_problems(document)
    problems += disk_problems(document)
    problems += growth_problems(document)
    sound, unsure = counted(defaults, volumes)
    if many := too_many(sound):
        problems.append((("volumes",), many))
    elif sound:
        problems += clashes(sound)
        names = VolumeNames((name, numbered(name, count)) for _, name, count in sound)
        problems += member_problems(document, names, unsure)
        problems += _copies(document, defaults, names, sound)
    return values, [(path, _naming(message, path, document)) for path, message in problems]


def normalised(values: Mapping[str, Any], project: str) -> Demand:
    """Return the demand of validated values in which `check` finds nothing wrong.

    The project is taken where the file names none.
    """
    defaults = values.get("defaults") or {}
    expanded = [
        (entry["name"], list(_expanded(merged(defaults, entry)))) for entry in values["volumes"]
    ]
    names = VolumeNames((name, [each.name for each in volumes]) for name, volumes in expanded)
    return Demand(
        project=values.get("project") or project,
        volumes=tuple(volume for _, volumes in expanded for volume in volumes),
        policy=Policy(**_without_null(values.get("policy") or {})),
        workloads=tuple(
            Workload(**{**_without_null(each), "mounts": names.ordered(each["mounts"])})
            for each in values.get("workloads") or ()
        ),
        groups=tuple(
            Group(**{**_without_null(each), "volumes": names.ordered(each["volumes"])})
            for each in values.get("groups") or ()
        ),
    )


def merged(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return a volume's values over the defaults.

    Scalars and lists are replaced, `exclude` and `tags` merge by key, a size in either form
    replaces a size in either form, and an explicit null lifts the default.

    >>> merged({"size": 5, "tags": {"a": "1"}}, {"size_gb": 7, "tags": {"b": "2"}})
    {'tags': {'a': '1', 'b': '2'}, 'size_gb': 7}
    """
    sized = any(own.get(key) is not None for key in _SIZES)
    base = {key: value for key, value in defaults.items() if not (sized and key in _SIZES)}
    result = {**base, **own}
    for key in _MERGED:
        if base.get(key) is not None and own.get(key) is not None:
            result[key] = {**base[key], **own[key]}
    return result


def _without_null(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_null(value) if isinstance(value, Mapping) else value
        for key, value in values.items()
        if value is not None
    }


def _expanded(values: dict[str, Any]) -> Iterator[Volume]:
    """Yield the volumes of one entry; they differ in nothing but their names."""
    known = _without_null(values)
    known["size_gb"] = known[next(key for key in _SIZES if key in known)]
    known["headroom_percent"] = known.get("headroom", 0)
    names = numbered(known["name"], known.get("count"))
    fields = {key: known[key] for key in Volume.model_fields if key in known}
    volume = Volume(**{**fields, "name": names[0]})
    yield volume
    for name in names[1:]:
        yield volume.model_copy(update={"name": name})


def _sizes(
    defaults: Mapping[str, Any], volumes: list[tuple[int, Mapping[str, Any]]]
) -> Iterator[Problem]:
    """Yield each place without exactly one of size and size_gb."""
    twice = "write either `size` or `size_gb`, not both"
    if all(defaults.get(key) is not None for key in _SIZES):
        yield ("defaults", "size_gb"), twice
    for index, entry in volumes:
        values = merged(
            {key: defaults.get(key) for key in _SIZES},
            {key: entry[key] for key in _SIZES if key in entry},
        )
        sizes = [key for key in _SIZES if values.get(key) is not None]
        if not sizes:
            yield ("volumes", index, "size"), "missing; write `size: 800 GB` or `size_gb: 800`"
        elif all(entry.get(key) is not None for key in _SIZES):
            yield ("volumes", index, "size_gb"), twice


def entries(document: Mapping[str, Any], section: str) -> list[tuple[int, Mapping[str, Any]]]:
    """Return the mappings in a list of the document, each with its index."""
    listed = document.get(section)
    return [
        (index, entry)
        for index, entry in enumerate(listed if isinstance(listed, (list, tuple)) else ())
        if isinstance(entry, Mapping)
    ]


def workload_problems(document: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield each workload whose name is taken, or that runs longer than the policy's month."""
    policy = document.get("policy")
    month = policy.get("hours_per_month") if isinstance(policy, Mapping) else None
    month = HOURS_PER_MONTH if month is None else month
    shortest, longest = HOURS_OF_MONTH
    is_month = type(month) is int and shortest <= month <= longest
    taken: dict[str, int] = {}
    for index, entry in entries(document, "workloads"):
        name, hours = entry.get("name"), entry.get("hours_per_month")
        if isinstance(name, str) and taken.setdefault(name, index) != index:
            sentence = f"workloads[{taken[name]}] is called {shown(name)} already"
            yield ("workloads", index, "name"), sentence
        if is_month and type(hours) is int and hours <= longest:
            wrong = beyond_month(hours, month)
            if wrong is not None:
                yield ("workloads", index, "hours_per_month"), wrong


def growth_problems(document: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield each place that says how something grows where no horizon is given."""
    policy = document.get("policy")
    if isinstance(policy, Mapping) and policy.get("horizon") is not None:
        return
    defaults = document.get("defaults")
    places: list[tuple[FieldPath, object]] = [(("defaults",), defaults)]
    places += [(("volumes", index), entry) for index, entry in entries(document, "volumes")]
    for path, entry in places:
        growth = entry.get("growth") if isinstance(entry, Mapping) else None
        if isinstance(growth, str) and (wrong := beyond_horizon(1, growth, 0)):
            yield (*path, "growth"), wrong


def disk_problems(document: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield each volume whose named disks cannot be its replicas."""
    defaults = document.get("defaults")
    defaults = defaults if isinstance(defaults, Mapping) else {}
    if defaults.get("disks"):
        yield ("defaults", "disks"), "disks belong to one volume; name them there"
    together = [
        {name for name in group["volumes"] if isinstance(name, str)}
        for _, group in entries(document, "groups")
        if group.get("same") == "disk" and isinstance(group.get("volumes"), (list, tuple))
    ]
    taken: dict[str, tuple[int, object]] = {}
    for index, entry in entries(document, "volumes"):
        named, name = entry.get("disks"), entry.get("name")
        if not isinstance(named, (list, tuple)) or not named:
            continue
        path = ("volumes", index, "disks")
        if entry.get("count", defaults.get("count")) is not None:
            yield path, "`count` makes several volumes; write the one with disks on its own"
        replicas = entry.get("replicas", defaults.get("replicas"))
        replicas = 1 if replicas is None else replicas
        if type(replicas) is int and (wrong := beyond_replicas(len(named), replicas)):
            yield path, wrong
        texts = [disk for disk in named if isinstance(disk, str)]
        for disk in sorted({disk for disk in texts if texts.count(disk) > 1}):
            yield path, f"disk {shown(disk)} is named twice; each replica is a disk of its own"
        for disk in dict.fromkeys(texts):
            first, other = taken.setdefault(disk, (index, name))
            if first != index and not any({name, other} <= names for names in together):
                twice = f"disk {shown(disk)} is named by volumes[{first}] already"
                yield path, f"{twice}; volumes share a disk only in a group with `same: disk`"


def member_problems(
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
    for section, field in (("workloads", "mounts"), ("groups", "volumes")):
        for index, entry in entries(document, section):
            path = (section, index, field)
            meant, wrong = _meant(entry.get(field), path, names, unsure)
            yield from wrong
            total += sum(len(each) for each in meant or ())
            if total > MAX_MEMBERS:
                sentence = f"groups and workloads name more than {MAX_MEMBERS:,} volumes in all"
                yield (section,), f"{sentence}, counts expanded; name fewer"
                return
            if section == "groups" and meant and len(distinct := set().union(*meant)) == 1:
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


def _copies(
    document: Mapping[str, Any], defaults: Mapping[str, Any], names: VolumeNames, sound: Counted
) -> Iterator[Problem]:
    """Yield each group of one disk whose volumes have different numbers of replicas."""
    volumes = document["volumes"]
    replicas = {
        each: entry.get("replicas", defaults.get("replicas")) or 1
        for index, name, count in sound
        for entry in [volumes[index]]
        for each in numbered(name, count)
    }
    for index, entry in entries(document, "groups"):
        meant, wrong = _meant(entry.get("volumes"), (), names, set())
        mine = {name: replicas[name] for each in meant or () for name in each}
        if not wrong and (sentence := unequal_copies(entry.get("same"), mine)):
            yield ("groups", index, "same"), sentence


def _naming(message: str, path: FieldPath, document: Mapping[str, Any]) -> str:
    """Return the message with the name of what it is about, where that is known."""
    match path:
        case ("volumes" | "workloads" as section, int(index), str(field), *_) if field != "name":
            entry = document[section][index]
            name = entry.get("name") if isinstance(entry, Mapping) else None
            known = isinstance(name, str)
            return f"{message} ({section[:-1]} {shown(name)})" if known else message
    return message


def located(
    problems: list[Problem], places: Mapping[FieldPath, tuple[int, int]]
) -> list[tuple[int | None, int | None, str, str]]:
    """Return problems as rows of (line, column, field, message), in the order of the file.

    A field that is not there is placed at the nearest thing around it.
    """
    rows: list[tuple[int | None, int | None, str, str]] = []
    for path, message in problems:
        around = (path[:length] for length in range(len(path), -1, -1))
        place = next((places[each] for each in around if each in places), (None, None))
        rows.append((*place, dotted(path), message))
    return sorted(rows, key=lambda row: (row[0] or 0, row[1] or 0))
