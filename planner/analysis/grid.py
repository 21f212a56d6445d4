"""The axes of a grid: what each changes, and to which values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ValidationError

from planner.demand.fields import SHOWN, cut, shown
from planner.demand.growth import Move
from planner.demand.model import Exclude, Policy, Volume, Workload
from planner.demand.problems import plain_problems
from planner.demand.rules import VolumeNames
from planner.demand.schema import (
    DefaultsInput,
    ExcludeInput,
    MoveInput,
    PolicyInput,
    WorkloadInput,
)
from planner.errors import InputError
from planner.market.wire import is_price
from planner.text import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from planner.demand.model import Demand


Section = Literal["policy", "volumes", "workloads", "price_factor", "gpu_price_factor"]
FACTORS: tuple[Section, ...] = ("price_factor", "gpu_price_factor")

_FIXED = {
    "count": "`count` has been expanded to volumes of their own; vary `size` or `replicas`",
    "name": "a name changes no plan",
    "tags": "tags change no plan",
    "groups": "a group is no single value; change the demand, and sweep again",
    "project": "the project changes no plan",
}
_EXCLUDED = tuple(f"exclude.{word}" for word in ExcludeInput.model_fields)
VOLUME_WORDS = (*(word for word in DefaultsInput.model_fields if word not in _FIXED), *_EXCLUDED)
POLICY_WORDS = (*PolicyInput.model_fields, *(f"move.{word}" for word in MoveInput.model_fields))
WORKLOAD_WORDS = tuple(word for word in WorkloadInput.model_fields if word != "name")
_JOB_ONLY = tuple(w for w in WORKLOAD_WORDS if w not in {*VOLUME_WORDS, *POLICY_WORDS})
_MOST_SHOWN = 8
_WRITE = "write a field of the demand file: `replicas`, `NAME.replicas`, `policy.max_sites`"


@dataclass(frozen=True)
class Subject:
    """What a key is about.

    Attributes
    ----------
    part : str
        ``policy``, ``volumes``, ``workloads``, or the prices by ``price_factor`` or
        ``gpu_price_factor``.
    names : tuple of str
        Volumes, workloads or providers; empty for the policy and for all prices.
    word : str
        The demand file's word for the field, such as ``exclude.regions`` or ``budgets.research``;
        empty for factors.
    """

    part: Section
    names: tuple[str, ...]
    word: str = ""


class Known:
    """The names that a key may have in it.

    Parameters
    ----------
    demand : Demand
        Its volumes, workloads and owners.
    providers : mapping
        Those of disks under ``price_factor``, those of GPUs under ``gpu_price_factor``; a listing
        that is not there has no entry.
    owners : iterable of str
        Owners that the grid itself gives to volumes.
    """

    def __init__(
        self, demand: Demand, providers: Mapping[Section, Collection[str]], owners: Iterable[str]
    ) -> None:
        self.volumes = tuple(volume.name for volume in demand.volumes)
        self.workloads = tuple(workload.name for workload in demand.workloads)
        entries = counted_again(self.volumes)
        self.names = VolumeNames(entries)
        self.called = (*self.volumes, *(name for name, _ in entries))
        self.providers = providers
        given = (volume.owner for volume in demand.volumes)
        self.owners = {*filter(None, given), *demand.policy.budgets, *owners}

    def meant_by(self, name: str) -> tuple[str, ...]:
        """Return the volumes that a name stands for; none where it stands for none."""
        try:
            return tuple(self.names.meant_by(name))
        except ValueError:
            return ()


def counted_again(names: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Return names of volumes by what a file may have called them: runs from -1 up by their stem.

    A demand has only the names that counts were expanded to. Volumes that are called as a count
    would call them, one after the other from 1, go by the common name too, where no volume has it.

    >>> counted_again(["corpus", "scratch-1", "scratch-2"])
    [('corpus', ('corpus',)), ('scratch', ('scratch-1', 'scratch-2'))]
    """
    named: dict[str, list[str]] = {}
    taken = set(names)
    for before, name in pairwise(["", *names]):
        stem, _, number = name.rpartition("-")
        run = named.get(stem, [])
        follows = run[-1] == before if run else number == "1"
        if stem and stem not in taken and follows and number == str(len(run) + 1):
            named.setdefault(stem, []).append(name)
        else:
            named[name] = [name]
    return [(name, tuple(each)) for name, each in named.items()]


def subject(key: str, known: Known) -> Subject:
    """Return what a key is about: the first of prices, policy, volumes and workloads that it is.

    Raises
    ------
    InputError
        When it is about nothing, or could be about two volumes; the hint has the nearest name.
    """
    readers: tuple[Callable[[str, Known], Subject | None], ...]
    readers = (_of_prices, _of_policy, _of_volumes, _of_workloads)
    meant = next(filter(None, (read(key, known) for read in readers)), None)
    if meant is None:
        raise _unknown(key, known)
    return meant


def _of_prices(key: str, known: Known) -> Subject | None:
    head, dot, provider = key.partition(".")
    part = next((factor for factor in FACTORS if factor == head), None)
    if part is None:
        return None
    if part not in known.providers:
        raise InputError(
            f"`{cut(key)}`: there are no GPU offers to change the price of", hint="give gpus= too"
        )
    if dot and provider not in known.providers[part]:
        raise InputError(
            f"`{cut(key)}`: no provider '{cut(provider)}' in this market",
            hint=_meant(provider, known.providers[part], f"{part}."),
        )
    return Subject(part, (provider,) if dot else ())


def _of_policy(key: str, known: Known) -> Subject | None:
    word = key.removeprefix("policy.")
    head, _, owner = word.partition(".")
    if head == "budgets" and owner and owner not in known.owners:
        raise InputError(
            f"`{cut(key)}`: no volume is owned by '{cut(owner)}'",
            hint=_meant(owner, known.owners, "budgets."),
        )
    is_one = word in POLICY_WORDS or (head == "budgets" and owner)
    return Subject("policy", (), word) if is_one else None


def _of_volumes(key: str, known: Known) -> Subject | None:
    rest = key.removeprefix("volumes.")
    if key in VOLUME_WORDS:
        return Subject("volumes", known.volumes, key)
    for text in dict.fromkeys((rest, key)):
        readings = [
            Subject("volumes", volumes, word)
            for name, word in _splits(text, VOLUME_WORDS)
            if (volumes := known.meant_by(name))
        ]
        if len(readings) > 1:
            raise InputError(
                f"`{cut(key)}` could mean `{readings[0].word}` of one volume and "
                f"`{readings[1].word}` of another",
                hint="give one of the two volumes another name",
            )
        if readings:
            return readings[0]
    return Subject("volumes", known.volumes, rest) if rest in VOLUME_WORDS else None


def _of_workloads(key: str, known: Known) -> Subject | None:
    rest = key.removeprefix("workloads.")
    is_prefixed = rest != key
    for name, word in _splits(rest, WORKLOAD_WORDS) if is_prefixed else ():
        if name in known.workloads:
            return Subject("workloads", (name,), word)
    if rest not in (WORKLOAD_WORDS if is_prefixed else _JOB_ONLY):
        return None
    if not known.workloads:
        raise InputError(f"`{cut(key)}`: the demand has no workloads", hint="leave it out")
    return Subject("workloads", known.workloads, rest)


def _splits(text: str, fields: Collection[str]) -> list[tuple[str, str]]:
    """Return the ways to read text as a name and a field; either may have dots."""
    parts = text.split(".")
    cuts = ((".".join(parts[:n]), ".".join(parts[n:])) for n in range(1, len(parts)))
    return [(name, word) for name, word in cuts if word in fields]


def _unknown(key: str, known: Known) -> InputError:
    """Return the error of a key that is about nothing; what is nearest depends on what is wrong."""
    prefix = next((p for p in ("policy.", "volumes.", "workloads.") if key.startswith(p)), "")
    rest, last = key.removeprefix(prefix), key.rpartition(".")[2]
    if last in _FIXED:
        return InputError(f"`{cut(key)}` cannot be varied", hint=_FIXED[last])
    if prefix == "policy.":
        hint = _meant(rest, POLICY_WORDS, prefix)
        return InputError(f"the policy has no field `{cut(rest)}`", hint=hint)
    if prefix == "workloads.":
        error = _misnamed(rest, prefix, WORKLOAD_WORDS, known.workloads)
    else:
        error = _misnamed(rest, prefix, VOLUME_WORDS, known.called)
        name, _, word = rest.rpartition(".")
        if name in known.workloads and name not in known.called:
            error = InputError(
                f"`{cut(key)}` is about a workload", hint=f"write `workloads.{name}.{cut(word)}`"
            )
    if error is not None:
        return error
    every = (*POLICY_WORDS, *VOLUME_WORDS, *_JOB_ONLY, *FACTORS)
    hint = _meant(rest, every) if nearest(rest[:100], every) else _WRITE
    return InputError(f"unknown setting `{cut(key)}`", hint=hint)


def _misnamed(
    rest: str, prefix: str, fields: Collection[str], names: Collection[str]
) -> InputError | None:
    """Return the error of a field that a known one has not, or of one of who is not known."""
    kind = "workload" if prefix == "workloads." else "volume"
    parts = rest.split(".")
    for n in range(len(parts) - 1, 0, -1):
        name, field = ".".join(parts[:n]), ".".join(parts[n:])
        if name in names:
            hint = _meant(field, fields, f"{prefix}{name}.")
            return InputError(f"{kind} {name} has no field `{cut(field)}`", hint=hint)
    for name, word in _splits(rest, fields):
        hint = _meant(name, names, prefix, f".{word}")
        return InputError(f"no {kind} is called '{cut(name)}'", hint=hint)
    return None


def _meant(word: str, known: Iterable[str], before: str = "", after: str = "") -> str:
    """Return the nearest that there is as a hint, or what there is at all."""
    names = sorted(known)
    meant = nearest(word[:100], names)
    if meant is not None:
        return f"did you mean `{cut(before + meant + after)}`?"
    listed = ", ".join(cut(name) for name in names[:_MOST_SHOWN])
    return f"there is {listed or 'none'}{' and more' * (len(names) > _MOST_SHOWN)}"


NAMED = {"size": "size_gb", "headroom": "headroom_percent"}
"""Fields that the demand has under another name than the file."""
_SHAPES: dict[str, tuple[type[BaseModel], dict[str, Any]]] = {
    "volumes": (DefaultsInput, {}),
    "policy": (PolicyInput, {}),
    "workloads": (WorkloadInput, {"name": "job", "gpu": "any", "mounts": ["any"]}),
}
"""What the file may say of each part, and what has to be there beside the field in question."""
_MODELS: dict[str, type[BaseModel]] = {
    "volumes": Volume,
    "policy": Policy,
    "workloads": Workload,
    "exclude": Exclude,
    "move": Move,
}
_LISTS = frozenset({"regions", "countries", "data_centers", "providers", "disks", "mounts"})
_FACTOR = re.compile(r"\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,2})?", re.ASCII)


def written(value: object) -> str:
    """Return a value as a message names it, with the members of a list.

    >>> written(["eu_north", "canada"]), written(2)
    ("['eu_north', 'canada']", '2')
    """
    if not isinstance(value, (list, tuple)):
        return shown(value)
    text = f"[{', '.join(shown(item) for item in value[:SHOWN])}]"
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 2]}…]"


def setting(key: str, about: Subject, value: object, names: VolumeNames) -> Any:  # noqa: ANN401 -- the field's
    """Return a value as the demand has it, held against what its file may say there.

    Parameters
    ----------
    key : str
        As the caller wrote it, for the message.
    about : Subject
        What it sets.
    value : object
        As the caller gave it: text where a list of places belongs is a list of one, and None is
        the file's null.
    names : VolumeNames
        What mounts may name.

    Raises
    ------
    InputError
        When the file may not say so.
    """
    try:
        if about.part in FACTORS:
            return _factor(value)
        return _as_demanded(about, _validated(about, value), names)
    except ValueError as error:
        raise InputError(
            f"`{cut(key)}` = {written(value)}: {error}",
            hint="write what the demand file may have there; `planner schema` shows every field",
        ) from error


def _validated(about: Subject, value: object) -> Any:  # noqa: ANN401 -- the field's
    """Return what the file's shape makes of a value."""
    shape, beside = _SHAPES[about.part]
    outer, _, inner = about.word.partition(".")
    said = [value] if (inner or outer) in _LISTS and isinstance(value, str) else value
    try:
        model = shape.model_validate({**beside, outer: {inner: said} if inner else said})
    except ValidationError as error:
        raise ValueError(next(plain_problems(error, shape))[1]) from error
    held = getattr(model, outer)
    if not inner:
        return held
    return held[inner] if isinstance(held, dict) else getattr(held, inner)


def _as_demanded(about: Subject, value: Any, names: VolumeNames) -> Any:  # noqa: ANN401 -- the field's
    outer, _, inner = about.word.partition(".")
    if value is None:
        if outer in {"size", "size_gb"}:
            raise ValueError("a volume has a size")
        return None if outer == "budgets" and inner else _default(about.part, outer, inner)
    if outer == "mounts":
        return names.ordered(value)
    if isinstance(value, (ExcludeInput, MoveInput)):
        value = dict(value)
    if isinstance(value, dict):
        return {name: each for name, each in value.items() if each is not None}
    return tuple(value) if isinstance(value, list) else value


def _default(part: str, outer: str, inner: str) -> Any:  # noqa: ANN401 -- the field's
    """Return what null leaves of a field."""
    model, name = (_MODELS[outer], inner) if inner else (_MODELS[part], NAMED.get(outer, outer))
    return model.model_fields[name].get_default(call_default_factory=True)


def _factor(value: object) -> Decimal:
    """Return a factor on prices, exactly as it is written."""
    text = float.__repr__(value) if isinstance(value, float) else str(value).strip()
    is_number = isinstance(value, (int, float, Decimal, str)) and not isinstance(value, bool)
    factor = Decimal(text) if is_number and _FACTOR.fullmatch(text) else Decimal(0)
    if not is_price(factor):
        raise ValueError("a factor on prices is a number above 0, such as 1.1 or '0.95'")
    return factor


MAX_POINTS = 100_000
"""Plans that one grid may ask for: beyond it lies a mistake, or a night."""


@dataclass(frozen=True)
class Axis:
    """One key of a grid with its values.

    Attributes
    ----------
    key : str
        As the caller wrote it.
    about : Subject
        What it changes.
    given : tuple
        The values, as the caller gave them.
    settings : tuple
        The same as the demand has them; factors on prices are decimals.
    """

    key: str
    about: Subject
    given: tuple[Any, ...]
    settings: tuple[Any, ...]

    @property
    def is_factor(self) -> bool:
        """Return whether it changes prices, and not the demand."""
        return self.about.part in FACTORS

    @property
    def is_of_all(self) -> bool:
        """Return whether it multiplies the prices of all disk offers."""
        return self.about.part == "price_factor" and not self.about.names


def axes_of(
    grid: Mapping[str, Any], demand: Demand, providers: Mapping[Section, Collection[str]]
) -> tuple[Axis, ...]:
    """Return the axes of a grid, in its order.

    Parameters
    ----------
    grid : mapping
        What is changed → the values to try; see `planner.sweep`.
    demand : Demand
        What is changed.
    providers : mapping
        Providers of the listings there are, by the factor that is on their prices.

    Raises
    ------
    InputError
        When a key stands for nothing, two stand for one thing, a value is not one that the demand
        file may have there, or the grid has more than ``MAX_POINTS`` points; the hint has the
        nearest name.
    """
    if not isinstance(grid, Mapping):
        raise InputError(
            f"a grid is a mapping of what is changed to the values to try, not {written(grid)}",
            hint="write it as {'replicas': [1, 2, 3], 'policy.max_sites': [1, 2]}",
        )
    listed = {_checked(key): _values(str(key), given) for key, given in grid.items()}
    points = prod(len(values) for values in listed.values())
    if points > MAX_POINTS:
        raise InputError(
            f"the grid has {points:,} points; at most {MAX_POINTS:,} are planned",
            hint="try fewer values of each",
        )
    known = Known(demand, providers, _owners(listed))
    axes = tuple(_axis(key, values, known) for key, values in listed.items())
    _each_once(axes)
    return axes


def _checked(key: object) -> str:
    if isinstance(key, str):
        return key
    raise InputError(
        f"a key of a grid is text, not {written(key)}", hint="name a field of the demand file"
    )


def _values(key: str, given: object) -> tuple[Any, ...]:
    """Return the values of an axis; what is no list of values is one value."""
    if isinstance(given, AbstractSet):
        raise InputError(
            f"`{cut(key)}`: its values are a set, which has no order", hint="write a list"
        )
    listed = given.tolist() if hasattr(given, "tolist") else given
    if isinstance(listed, (str, bytes, Mapping)) or not isinstance(listed, Iterable):
        return (listed,)
    values = tuple(value.item() if isinstance(value, np.generic) else value for value in listed)
    if not values:
        raise InputError(f"`{cut(key)}`: there are no values to try", hint="give at least one")
    return values


def _owners(listed: Mapping[str, tuple[Any, ...]]) -> list[str]:
    """Return the owners that a grid gives to volumes."""
    given = (values for key, values in listed.items() if key.rpartition(".")[2] == "owner")
    return [owner for values in given for owner in values if isinstance(owner, str)]


def _axis(key: str, values: tuple[Any, ...], known: Known) -> Axis:
    about = subject(key, known)
    return Axis(
        key, about, values, tuple(setting(key, about, value, known.names) for value in values)
    )


def _each_once(axes: Sequence[Axis]) -> None:
    seen: dict[tuple[Any, ...], str] = {}
    for axis in axes:
        word = "size" if axis.about.word == "size_gb" else axis.about.word
        first = seen.setdefault((axis.about.part, axis.about.names, word), axis.key)
        if first != axis.key:
            raise InputError(
                f"`{cut(first)}` and `{cut(axis.key)}` change the same thing",
                hint="keep one of them",
            )
