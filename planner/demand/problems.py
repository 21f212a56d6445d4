"""What is wrong with a demand, in plain English."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from planner.demand.fields import MAX_COUNT, MAX_NAME, MAX_VOLUMES, NAME, FieldPath, shown
from planner.text import nearest

Problem = tuple[FieldPath, str]

_MISSING = {
    ("version",): "missing; write `version: 1`",
    ("volumes",): "missing; list what is to be stored under `volumes:` "
    "(a policy of several files is for `planner plan --policy`)",
    ("volumes", "name"): "every volume needs a name",
    ("workloads", "name"): "every workload needs a name",
    ("workloads", "gpu"): "missing; name the GPU, such as `gpu: A100_80GB`",
    ("workloads", "mounts"): "missing; list the volumes it mounts, such as `mounts: [corpus]`",
    ("groups", "volumes"): "missing; list the volumes of the group",
}
_EXPECTED = {
    "int_type": "a whole number was expected, not {value}",
    "bool_type": "true or false was expected, not {value}",
    "string_type": "text was expected, not {value}",
    "dict_type": "a mapping was expected, not {value}",
    "model_type": "a mapping was expected, not {value}",
    "model_attributes_type": "a mapping was expected, not {value}",
    "tuple_type": "a list was expected, not {value}",
    "list_type": "a list was expected, not {value}",
    "string_pattern_mismatch": "{value} is not a name; use 1 to 64 letters (A to Z), digits, "
    "`-`, `_` or `.`",
    "string_too_short": "the text is empty; leave it out",
    "string_too_long": "{value} is longer than {max_length} characters",
    "string_unicode": "this is not valid Unicode text",
    "greater_than_equal": "at least {ge} was expected, not {value}",
    "less_than_equal": "at most {le} is possible, not {value}",
    "too_long": "at most {max_length} are possible",
    "invalid_key": "a key must be text; write it in quotes",
}


def plain_problems(error: ValidationError, root: type[BaseModel]) -> Iterator[Problem]:
    """Yield the path and the sentence of every failure.

    Parameters
    ----------
    root : type of BaseModel
        The model that was validated; its fields are what a misspelt key is compared with.
    """
    for detail in error.errors(include_url=False):
        path = tuple(part for part in detail["loc"] if part != "[key]")
        yield path, _sentence(detail, path, root)


def _sentence(detail: Any, path: FieldPath, root: type[BaseModel]) -> str:  # noqa: ANN401 -- pydantic's ErrorDetails
    kind, value = detail["type"], detail["input"]
    context: dict[str, Any] = detail.get("ctx", {})
    special: dict[str, Callable[[], str]] = {
        "value_error": lambda: str(context["error"]),
        "missing": lambda: _MISSING.get(_keys(path), "missing"),
        "extra_forbidden": lambda: _unknown(str(path[-1]), _model_at(root, path[:-1])),
        "literal_error": lambda: _not_one_of(value, _choices(root, path)),
        "too_short": lambda: _too_short(path),
    }
    if kind in special:
        return special[kind]()
    if kind in {"list_type", "tuple_type"} and isinstance(value, str):
        return f"a list was expected; write a list: [{shown(value).strip(chr(39))}]"
    if kind == "string_pattern_mismatch" and "disks" in path:
        return (
            f"{shown(value)} is not the id of a disk; ids have 8 to 64 letters, digits, `-` or "
            "`_`: paste the whole id, as `planner report` shows it"
        )
    if kind == "string_pattern_mismatch" and len(value) > MAX_NAME:
        return f"{shown(value)} has {len(value)} characters; at most {MAX_NAME} are possible"
    template = _EXPECTED.get(kind)
    if template is None:
        return f"{shown(value)} is not understood here"
    return template.format(value=shown(value), **context) + _advice(kind, value)


def _advice(kind: str, value: object) -> str:
    if kind == "string_type" and not isinstance(value, (list, tuple, dict, type(None))):
        return "; write it in quotes"
    if kind == "int_type" and isinstance(value, str) and value.strip().isdecimal():
        return "; write it without quotes"
    return ""


def _keys(path: FieldPath) -> tuple[str, ...]:
    return tuple(part for part in path if isinstance(part, str))


def _too_short(path: FieldPath) -> str:
    if path[-1] in {"volumes", "mounts"}:
        return "the list is empty; name at least one volume"
    return "an empty list allows nothing; leave it out, or null, to allow everything"


def _unknown(key: str, model: type[BaseModel] | None) -> str:
    known = list(model.model_fields) if model else []
    meant = nearest(key[:100], known)
    return f"no such field; did you mean `{meant}`?" if meant else "no such field here"


def _not_one_of(value: object, choices: tuple[str, ...]) -> str:
    sentence = f"{shown(value)} is not one of {', '.join(choices)}"
    meant = nearest(value[:100], choices) if isinstance(value, str) else None
    return f"{sentence}; did you mean {meant}?" if meant else sentence


def _model_at(root: type[BaseModel], path: FieldPath) -> type[BaseModel] | None:
    """Return the model whose fields are the keys at a path."""
    model: type[BaseModel] | None = root
    for part in path:
        if isinstance(part, str) and model is not None:
            field = model.model_fields.get(part)
            model = _inner_model(field.annotation) if field else None
    return model


def _inner_model(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 -- any type form
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_inner_model(argument) for argument in get_args(annotation))
    return next((model for model in inner if model is not None), None)


def _choices(root: type[BaseModel], path: FieldPath) -> tuple[str, ...]:
    model = _model_at(root, path[:-1])
    field = model.model_fields.get(str(path[-1])) if model else None
    return tuple(_texts(field.annotation)) if field else ()


def _texts(annotation: Any) -> Iterator[str]:  # noqa: ANN401 -- any type form
    for argument in get_args(annotation):
        if isinstance(argument, str):
            yield argument
        else:
            yield from _texts(argument)


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
