"""How many replicas a volume has, and how far they lie apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from planner.requirements.field import FieldRequirement, FieldValue, Subject, levels_down
from planner.requirements.offer import OfferRequirement

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from typing import Self

    from numpy.typing import NDArray

    from planner.requirements.base import ProgramRows
    from planner.requirements.offer import At, LiveReplica, Moves

SPREADS = ("none", "site", "data_center", "provider", "country", "region")
"""Levels of spread, weakest first."""
MAY_BE_UNKNOWN = frozenset({"country", "region"})
"""Levels at which a null is no place: a null data centre is one of its own at its site."""


def spreads(replicas: int, level: str) -> bool:
    """Return whether replicas must be kept apart at all."""
    return replicas > 1 and level != "none"


class KnownPlace(OfferRequirement):
    """A place that other replicas or volumes are held against; its value is the level."""

    def breaks(self, at: At) -> NDArray[np.bool_]:
        """Return the offers of which no place is known at the level."""
        if self.value in MAY_BE_UNKNOWN:
            return at.offers.inside(self.value, (None,), every=False)
        return np.zeros(len(at.disks), np.bool_)

    def moves(self, at: At, offer: int) -> Moves | None:
        """Return nothing: what makes the place matter is relaxed as a whole."""
        del at, offer
        return ()

    def broken_by(self, live: LiveReplica) -> Iterator[str]:
        """Yield that the place is unknown."""
        if self.value in MAY_BE_UNKNOWN and None in live.places[self.value]:
            yield f"is at an unknown {self.value}, which copies or a group look at"


class ReplicaSpread(KnownPlace):
    """The level at which the replicas of a volume must differ."""

    rules = (("spread", "copies must differ by a place that is unknown here"),)
    fields = ("spread",)
    without = "none"
    instead = "anywhere"
    wrong = "{value} is unknown, and replicas must differ by it"
    change = "use `spread: {new}` instead of {old}"
    is_limit = True

    @classmethod
    def of(cls, subject: Subject) -> Iterator[Self]:
        """Yield the level, where replicas must differ."""
        if spreads(subject.replicas, subject.spread):
            yield cls(subject.spread)

    def constrain(
        self,
        program: ProgramRows,
        volume: int,
        most: int,
        only_if: Any = None,  # noqa: ANN401 -- a variable
    ) -> None:
        """Let a place hold one replica of each of ``most`` volumes that are decided as one.

        With ``only_if``, a variable, let it hold one of ``most`` replicas where that is 1.
        """
        places = program.view.spread_domains(self.value)
        for terms in program.inside(volume, places).values():
            if only_if is not None:
                program.add([*terms, (only_if, most - 1)], "<=", most)
            elif len(terms) > 1:
                program.add(terms, "<=", most)

    @property
    def levels(self) -> tuple[str, ...]:
        """Return the levels that it can be relaxed to, weakest first, and its own."""
        return SPREADS[: SPREADS.index(self.value) + 1]

    def relax(
        self,
        program: ProgramRows,
        volume: int,
        chosen: Mapping[str, Any],
        opened: Any,  # noqa: ANN401 -- a variable
        single: Any,  # noqa: ANN401 -- a variable
        unknown: Iterable[tuple[Any, Collection[str]]],
    ) -> None:
        """Spread a volume's replicas over one level: the one asked, or, where opened, a weaker one.

        Parameters
        ----------
        chosen : mapping
            For each of its levels the variable that is 1 if it is the level.
        single : variable
            1 where there is one replica only.
        unknown : iterable of (variable, collection of str)
            Replicas at an offer, and the levels at which its place is unknown.
        """
        replicas = program.view.volumes[volume].replicas
        program.add([(a, 1.0) for a in chosen.values()], "==", 1)
        weak = [(a, 1.0) for level, a in chosen.items() if level != self.value]
        program.add([*weak, (opened, -1.0)], "<=", 0)
        for x, bad in unknown:  # another level, or a single replica
            good = [(a, -replicas) for level, a in chosen.items() if level not in bad]
            program.add([(x, 1.0), *good, (single, -replicas)], "<=", 0)
        for level, a in chosen.items():
            if level != self.without:
                ReplicaSpread(level).constrain(program, volume, replicas, only_if=a)


class ReplicaCount(FieldRequirement):
    """How many replicas there are, where there are several."""

    fields = ("replicas",)

    @classmethod
    def of(cls, subject: Subject) -> Iterator[Self]:
        """Yield the number, where it can be less."""
        if subject.replicas > 1:
            yield cls(subject.replicas)

    @property
    def without(self) -> FieldValue:
        """Return one replica less."""
        return self.value - 1

    @property
    def instead(self) -> str:  # type: ignore[override]
        """Return the same as a text."""
        return str(self.without)

    @classmethod
    def relaxed(cls, subject: Subject, field: str, values: Sequence[FieldValue]) -> Subject:
        """Return the volume with fewer replicas, and no more named disks than those."""
        left = subject.replicas - levels_down(values)
        return subject.model_copy(update={field: left, "disks": subject.disks[:left]})

    @classmethod
    def changed(cls, field: str, old: FieldValue, new: FieldValue) -> str:
        """Return how many replicas are stored."""
        del field
        return f"store {new} replica{'s' * (new != 1)} instead of {old}"
