"""The keys of a grid: what each is about, in the words of the demand file.

A key is a field of all volumes or of one, of the policy, of workloads, or a factor on prices.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from planner.demand.names import VolumeNames
from planner.demand.shape import ExcludeShape, PolicyShape, VolumeFields, WorkloadShape
from planner.demand.words import cut
from planner.errors import InputError
from planner.text import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from planner.demand import Demand

Part = Literal["policy", "volumes", "workloads", "price_factor", "gpu_price_factor"]
FACTORS: tuple[Part, ...] = ("price_factor", "gpu_price_factor")

_FIXED = {
    "count": "`count` has been expanded to volumes of their own; vary `size` or `replicas`",
    "name": "a name changes no plan",
    "tags": "tags change no plan",
    "groups": "a group is no single value; change the demand, and sweep again",
    "project": "the project changes no plan",
}
_EXCLUDED = tuple(f"exclude.{word}" for word in ExcludeShape.model_fields)
VOLUME_WORDS = (*(word for word in VolumeFields.model_fields if word not in _FIXED), *_EXCLUDED)
POLICY_WORDS = tuple(PolicyShape.model_fields)
WORKLOAD_WORDS = tuple(word for word in WorkloadShape.model_fields if word != "name")
_JOB_ONLY = tuple(w for w in WORKLOAD_WORDS if w not in {*VOLUME_WORDS, *POLICY_WORDS})
_TOLD = 8
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

    part: Part
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
        self, demand: Demand, providers: Mapping[Part, Collection[str]], owners: Iterable[str]
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
    found: dict[str, list[str]] = {}
    taken = set(names)
    for before, name in pairwise(["", *names]):
        stem, _, number = name.rpartition("-")
        run = found.get(stem, [])
        follows = run[-1] == before if run else number == "1"
        if stem and stem not in taken and follows and number == str(len(run) + 1):
            found.setdefault(stem, []).append(name)
        else:
            found[name] = [name]
    return [(name, tuple(each)) for name, each in found.items()]


def subject(key: str, known: Known) -> Subject:
    """Return what a key is about: the first of prices, policy, volumes and workloads that it is.

    Raises
    ------
    InputError
        When it is about nothing, or could be about two volumes; the hint has the nearest name.
    """
    readers: tuple[Callable[[str, Known], Subject | None], ...]
    readers = (_of_prices, _of_policy, _of_volumes, _of_workloads)
    found = next(filter(None, (read(key, known) for read in readers)), None)
    if found is None:
        raise _unknown(key, known)
    return found


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
            f"`{cut(key)}`: the market has no provider called '{cut(provider)}'",
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
        found = [
            Subject("volumes", volumes, word)
            for name, word in _splits(text, VOLUME_WORDS)
            if (volumes := known.meant_by(name))
        ]
        if len(found) > 1:
            raise InputError(
                f"`{cut(key)}` could mean `{found[0].word}` of one volume and `{found[1].word}` "
                "of another",
                hint="give one of the two volumes another name",
            )
        if found:
            return found[0]
    return Subject("volumes", known.volumes, rest) if rest in VOLUME_WORDS else None


def _of_workloads(key: str, known: Known) -> Subject | None:
    rest = key.removeprefix("workloads.")
    is_told = rest != key
    for name, word in _splits(rest, WORKLOAD_WORDS) if is_told else ():
        if name in known.workloads:
            return Subject("workloads", (name,), word)
    if rest not in (WORKLOAD_WORDS if is_told else _JOB_ONLY):
        return None
    if not known.workloads:
        raise InputError(f"`{cut(key)}`: the demand has no workloads", hint="leave it out")
    return Subject("workloads", known.workloads, rest)


def _splits(text: str, words: Collection[str]) -> list[tuple[str, str]]:
    """Return the ways to read text as a name and a field; either may have dots."""
    parts = text.split(".")
    cuts = ((".".join(parts[:n]), ".".join(parts[n:])) for n in range(1, len(parts)))
    return [(name, word) for name, word in cuts if word in words]


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
        found = _misnamed(rest, prefix, WORKLOAD_WORDS, known.workloads)
    else:
        found = _misnamed(rest, prefix, VOLUME_WORDS, known.called)
        name, _, word = rest.rpartition(".")
        if name in known.workloads and name not in known.called:
            found = InputError(
                f"`{cut(key)}` is about a workload", hint=f"write `workloads.{name}.{cut(word)}`"
            )
    if found is not None:
        return found
    every = (*POLICY_WORDS, *VOLUME_WORDS, *_JOB_ONLY, *FACTORS)
    hint = _meant(rest, every) if nearest(rest[:100], every) else _WRITE
    return InputError(f"`{cut(key)}` is nothing that can be changed", hint=hint)


def _misnamed(
    rest: str, prefix: str, words: Collection[str], names: Collection[str]
) -> InputError | None:
    """Return the error of a field that a known one has not, or of one of who is not known."""
    kind = "workload" if prefix == "workloads." else "volume"
    parts = rest.split(".")
    for n in range(len(parts) - 1, 0, -1):
        name, field = ".".join(parts[:n]), ".".join(parts[n:])
        if name in names:
            hint = _meant(field, words, f"{prefix}{name}.")
            return InputError(f"{kind} {name} has no field `{cut(field)}`", hint=hint)
    for name, word in _splits(rest, words):
        hint = _meant(name, names, prefix, f".{word}")
        return InputError(f"no {kind} is called '{cut(name)}'", hint=hint)
    return None


def _meant(word: str, known: Iterable[str], before: str = "", after: str = "") -> str:
    """Return the nearest that there is as a hint, or what there is at all."""
    names = sorted(known)
    meant = nearest(word[:100], names)
    if meant is not None:
        return f"did you mean `{cut(before + meant + after)}`?"
    told = ", ".join(cut(name) for name in names[:_TOLD])
    return f"there is {told or 'none'}{' and more' * (len(names) > _TOLD)}"
