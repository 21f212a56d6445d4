"""What a workload asks of the GPU offer that it runs on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.requirements.offer import AllowedPlaces, ExactValue, OfferRequirement, SecurityClass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray

    from planner.demand.model import Workload
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


def asked_by(workload: Workload) -> list[OfferRequirement]:
    """Return the same, where GPUs are before their terms."""
    return [item for kind in (*GPUS, *WHERE, *TERMS) for item in kind.of(workload)]
