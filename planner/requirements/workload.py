"""What a workload asks of the GPU offer that it runs on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.requirements.base import negated
from planner.requirements.field import FieldRequirement, shown, with_value
from planner.requirements.offer import AllowedPlaces, ExactValue, OfferRequirement, SecurityClass

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray

    from planner.demand.model import Workload
    from planner.requirements.base import ProgramRows, Terms
    from planner.requirements.field import FieldValue, Step, Subject
    from planner.requirements.offer import At, Moves


class GpuModel(ExactValue):
    """The GPU model."""

    rules = (("gpu_type", "it is another GPU model"),)
    fields = ("gpu",)
    column = "gpu_type"
    without = None
    wrong = "different GPU model"
    change = "use GPU {new} instead of {old}"

    def moves(self, at: At, offer: int) -> Moves | None:
        """Return the offer's model, where it is known."""
        model = at.offers.rows[offer][self.column]
        return None if model is None else (("set", model),)


class GpuCount(ExactValue):
    """The number of GPUs on one node; its value is that and the number of nodes."""

    rules = (("gpu_count", "it has a different number of GPUs, or unknown"),)
    fields = ("gpus",)
    column = "gpus"
    without = None

    @classmethod
    def of(cls, subject: Subject) -> Iterator[Self]:
        """Yield the numbers of GPUs and nodes."""
        yield cls((subject.gpus, subject.nodes))

    @property
    def accepted(self) -> int:
        """Return the number on one node."""
        return int(self.value[0])

    @property
    def shown(self) -> str:
        """Return both numbers as a demand writes them."""
        return f"{self.value[0]}, nodes: {self.value[1]}"

    @property
    def reason(self) -> str:
        """Return that the number differs."""
        return f"does not have {self.accepted} GPU{'s' * (self.accepted != 1)}"

    def moves(self, at: At, offer: int) -> Moves | None:
        """Return the offer's number on as many nodes as make the same number of GPUs."""
        here, wanted = at.offers.rows[offer][self.column], self.value[0] * self.value[1]
        return (("set", (here, wanted // here)),) if here and wanted % here == 0 else None

    @classmethod
    def nodes(cls, workload: Workload, steps: Iterable[Step]) -> int:
        """Return the number of nodes after steps."""
        return next((step.value[1] for step in steps if step.field in cls.fields), workload.nodes)

    @classmethod
    def relaxed(cls, subject: Subject, field: str, values: Sequence[FieldValue]) -> Subject:
        """Return the workload on other numbers of GPUs and nodes."""
        gpus, nodes = values[-1]
        return subject.model_copy(update={field: gpus, "nodes": nodes})

    @classmethod
    def changed(cls, field: str, old: FieldValue, new: FieldValue) -> str:
        """Return the numbers that are used."""
        del field, old
        counted = zip(new, ("GPU", "node"), strict=True)
        gpus, nodes = (f"{n} {word}{'s' * (n != 1)}" for n, word in counted)
        return f"use {gpus} on each of {nodes}"


class Socket(ExactValue):
    """The socket of the GPU."""

    rules = (("socket", "its socket is not the one asked for, or unknown"),)
    fields = ("socket",)
    column = "socket"
    without = None
    instead = "any"
    wrong = "socket is not {value}, or unknown"
    change = "accept any socket"


class NoSpot(OfferRequirement):
    """Offers that cannot be interrupted."""

    rules = (("spot", "it can be interrupted, and the workload does not accept spot offers"),)
    fields = ("spot",)
    without = True
    instead = "spot offers too"
    wrong = "spot offer, can be interrupted"
    change = "accept spot offers"

    def breaks(self, at: At) -> NDArray[np.bool_]:
        """Return the spot offers; unknown counts as not spot."""
        return at.offers.column("spot").fillna(value=False).to_numpy(bool)


class GpuPlaces(AllowedPlaces):
    """The only providers or regions allowed."""

    levels = ("region", "provider")
    rules = tuple(rule for rule in AllowedPlaces.rules if rule[0] in {"region", "provider"})
    fields = ("regions", "providers")


class Mount(FieldRequirement):
    """A volume that it needs at its site."""

    fields = ("mounts",)
    without = None
    instead = "not beside it"

    @classmethod
    def of(cls, subject: Subject) -> Iterator[Self]:
        """Yield each volume."""
        yield from map(cls, subject.mounts)

    @property
    def which(self) -> FieldValue:
        """Return the volume."""
        return self.value

    @property
    def shown(self) -> str:
        """Return it as a list of one."""
        return shown((self.value,))

    @property
    def text(self) -> str:
        """Return it as the demand says it."""
        return f"{self.field}: {shown(self.value)}"

    def lifted(self, subject: Subject) -> Subject:
        """Return the workload without this mount."""
        left = tuple(name for name in subject.mounts if name != self.value)
        return with_value(subject, self.field, left)

    @staticmethod
    def constrain(
        program: ProgramRows,
        running: Terms,
        volume: int,
        offers: Collection[int],
        ignored: Terms | None = None,
    ) -> None:
        """Let a workload run on GPUs only where a replica is at an offer that they reach."""
        program.add(
            [*running, *negated(program.replicas(volume, offers)), *(ignored or [])], "<=", 0
        )


GPUS: tuple[type[OfferRequirement], ...] = (GpuModel, GpuCount, Socket)
"""Which GPUs."""
TERMS: tuple[type[OfferRequirement], ...] = (NoSpot, SecurityClass)
"""On which terms."""
WHERE: tuple[type[OfferRequirement], ...] = (GpuPlaces,)
"""Where they are."""
OF_GPUS: tuple[type[OfferRequirement], ...] = (*GPUS, *TERMS, *WHERE)
"""What single GPU offers can break, in the order of their rules."""
KIND_OF: dict[str, type[OfferRequirement]] = {
    field: kind for kind in OF_GPUS for field in kind.fields
}
"""Field → its kind."""


def of_gpus(workload: Workload) -> tuple[OfferRequirement, ...]:
    """Return what a workload asks of each GPU offer."""
    return tuple(item for kind in OF_GPUS for item in kind.of(workload))


def asked_by(workload: Workload) -> list[FieldRequirement]:
    """Return all that a workload asks: GPUs, their place and terms, and what it mounts."""
    kinds: tuple[type[FieldRequirement], ...] = (*GPUS, *WHERE, *TERMS, Mount)
    return [item for kind in kinds for item in kind.of(workload)]


def priced_of(workload: Workload) -> list[FieldRequirement]:
    """Return what a workload can be planned without, to see what it costs."""
    kinds: tuple[type[FieldRequirement], ...] = (*OF_GPUS, Mount)
    return [item for kind in kinds if kind.instead for item in kind.of(workload)]
