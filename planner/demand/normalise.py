"""From the file's shape to the demand: check what fields say together, merge, expand."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from planner.demand.fields import MAX_COUNT, MAX_NAME, MAX_VOLUMES, NAME
from planner.demand.model import Demand, Policy, Volume
from planner.demand.problems import Problem, plain_problems
from planner.demand.shape import DemandShape
from planner.demand.words import FieldPath, dotted, shown

_SIZES = ("size", "size_gb")
_MERGED = ("exclude", "tags")


def check(document: Mapping[str, Any]) -> tuple[DemandShape | None, list[Problem]]:
    """Return the file's shape, and everything that is wrong with the document.

    Parameters
    ----------
    document : Mapping
        As the file says it, not yet validated; whatever it holds, this does not raise.

    Returns
    -------
    shape : DemandShape | None
        None where a single field is wrong by itself.
    problems : list of (path, message)
        Empty for a sound document.
    """
    shape: DemandShape | None = None
    found: list[Problem] = []
    try:
        shape = DemandShape.model_validate(dict(document))
    except ValidationError as error:
        found += plain_problems(error, DemandShape)
    defaults = document.get("defaults")
    defaults = defaults if isinstance(defaults, Mapping) else {}
    volumes = document.get("volumes")
    entries = [
        (index, entry)
        for index, entry in enumerate(volumes if isinstance(volumes, (list, tuple)) else ())
        if isinstance(entry, Mapping)
    ]
    found += _sizes(defaults, entries)
    found += _names(defaults, entries)
    return shape, [(path, _naming_volume(message, path, document)) for path, message in found]


def normalised(shape: DemandShape, project: str) -> Demand:
    """Return the demand of a shape in which `check` finds nothing wrong.

    The project is taken where the shape names none.
    """
    defaults = _written(shape.defaults) if shape.defaults else {}
    volumes = [
        volume for entry in shape.volumes for volume in _expanded(merged(defaults, _written(entry)))
    ]
    policy = _without_null(_written(shape.policy)) if shape.policy else {}
    return Demand(
        project=shape.project or project,
        volumes=tuple(volumes),
        policy=Policy(**{key: policy[key] for key in Policy.model_fields if key in policy}),
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


def numbered(name: str, count: int | None) -> list[str]:
    """Return the names a volume expands to.

    A count of 1 gives ``name-1``, so that going from 1 to 2 adds a volume and renames none.

    >>> numbered("scratch", 2), numbered("corpus", None)
    (['scratch-1', 'scratch-2'], ['corpus'])
    """
    return [name] if count is None else [f"{name}-{number}" for number in range(1, count + 1)]


def _written(model: BaseModel) -> dict[str, Any]:
    """Return the fields the file sets, nulls included."""
    values = {name: getattr(model, name) for name in model.model_fields_set}
    return {
        name: _written(value) if isinstance(value, BaseModel) else value
        for name, value in values.items()
    }


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


def _sizes(defaults: Mapping[str, Any], entries: list[tuple[int, Any]]) -> Iterator[Problem]:
    """Yield each place without exactly one of size and size_gb."""
    twice = "write either `size` or `size_gb`, not both"
    if all(defaults.get(key) is not None for key in _SIZES):
        yield ("defaults", "size_gb"), twice
    for index, entry in entries:
        values = merged(
            {key: defaults.get(key) for key in _SIZES},
            {key: entry[key] for key in _SIZES if key in entry},
        )
        sizes = [key for key in _SIZES if values.get(key) is not None]
        if not sizes:
            yield ("volumes", index, "size"), "missing; write `size: 800 GB` or `size_gb: 800`"
        elif all(entry.get(key) is not None for key in _SIZES):
            yield ("volumes", index, "size_gb"), twice


def _names(defaults: Mapping[str, Any], entries: list[tuple[int, Any]]) -> Iterator[Problem]:
    """Yield each entry whose names are taken, or too long once they are numbered."""
    counted = [
        (index, entry["name"], entry.get("count", defaults.get("count")))
        for index, entry in entries
        if isinstance(entry.get("name"), str) and NAME.fullmatch(entry["name"])
    ]
    counted = [row for row in counted if _is_count(row[2])]
    total = sum(count or 1 for _, _, count in counted)
    if total > MAX_VOLUMES:
        yield ("volumes",), f"expands to {total:,} volumes; at most {MAX_VOLUMES:,} are planned"
        return
    written: dict[str, int] = {}
    taken: dict[str, int] = {}
    for index, name, count in counted:
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


def _is_count(count: object) -> bool:
    return count is None or (type(count) is int and 1 <= count <= MAX_COUNT)


def _naming_volume(message: str, path: FieldPath, document: Mapping[str, Any]) -> str:
    """Return the message with the name of the volume it is about, where that is known."""
    match path:
        case ("volumes", int(index), str(field), *_) if field != "name":
            entry = document["volumes"][index]
            name = entry.get("name") if isinstance(entry, Mapping) else None
            return f"{message} (volume {shown(name)})" if isinstance(name, str) else message
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
