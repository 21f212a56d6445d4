"""From the file to the demand: check, merge defaults, expand counts."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from planner.demand.fields import FieldPath, dotted
from planner.demand.model import Demand, Group, Policy, Volume, Workload
from planner.demand.problems import Problem, invalid, plain_problems
from planner.demand.rules import VolumeNames, entries, named, numbered, section, whole_problems
from planner.demand.schema import DemandInput

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
    problems += _sizes(section(document, "defaults"), entries(document, "volumes"))
    return values, [*named(problems, document), *whole_problems(document)]


def normalised(values: Mapping[str, Any], project: str) -> Demand:
    """Return the demand of validated values in which `check` finds nothing wrong.

    The project is taken where the file names none.

    Raises
    ------
    ValidationError
        What only shows once sizes are read and merged, at its place in the file.
    """
    defaults = values.get("defaults") or {}
    expanded = [
        (entry["name"], list(_expanded(merged(defaults, entry)))) for entry in values["volumes"]
    ]
    names = VolumeNames((name, [each.name for each in volumes]) for name, volumes in expanded)
    try:
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
    except ValidationError as error:
        entry_of = [index for index, (_, volumes) in enumerate(expanded) for _ in volumes]
        wrong = {
            (part, entry_of[int(volume)], *rest): message
            for (part, volume, *rest), message in plain_problems(error, Demand)
        }
        raise invalid("Demand", wrong.items()) from error


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
