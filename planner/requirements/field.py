"""What a field of a volume or a workload asks, and how it is relaxed."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from planner.text import visible
from planner.units import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

FieldValue: TypeAlias = Any
"""A value of a field of the demand."""
Subject: TypeAlias = Any
"""A volume or a workload."""


@dataclass(frozen=True)
class Step:
    """One relaxation.

    Attributes
    ----------
    kind : str
        What is changed: ``volume``, ``workload``, ``group``, ``policy``, ``owner`` or ``provider``.
    name : str
        Its name; the label of a group; empty for the policy.
    field : str
        As in the demand; ``exclude.regions`` for a list in an exclusion.
    action : str
        ``add`` a value to a list or ``take`` one from it; ``set`` it; ``lower`` it by one;
        ``open`` a limit (spread is one too) as far as is needed; ``drop`` it.
    value : Any
        The value of ``add``, ``take`` and ``set``; of ``lower`` the number of the step, which
        counts only where those before it are taken too; of ``drop`` which of equal groups. GPUs
        are set together with the nodes they are on: (gpus, nodes).
    """

    kind: str
    name: str
    field: str
    action: str
    value: Any = None

    @property
    def is_limit(self) -> bool:
        """Return whether the step opens a limit, to a value that is determined later."""
        return self.action == "open"

    @property
    def requirement(self) -> tuple[str, str, str, Any]:
        """Return which requirement the step relaxes: kind, name, field, which of equal groups."""
        which = self.value if self.kind == "group" else None
        return self.kind, self.name, self.field, which


@dataclass(frozen=True)
class FieldRequirement:
    """What one field asks."""

    value: FieldValue
    fields: ClassVar[Sequence[str]]
    """Fields of this kind, as in the demand; ``exclude.regions`` for a list in an exclusion."""
    without: ClassVar[FieldValue]
    """The field's value that asks nothing, or as little as can be."""
    instead: ClassVar[str] = ""
    """What is done without it; empty where there is nothing without it."""
    change: ClassVar[str] = "raise `{field}` to {new}"
    """A relaxation in the user's words, as a template."""
    is_limit: ClassVar[bool] = False
    """Whether relaxations give it its least sufficient value."""

    @classmethod
    def of(cls, subject: Subject) -> Iterator[Self]:
        """Yield what a volume or a workload asks of this kind."""
        value = getattr(subject, cls.fields[0])
        if value != cls.without:
            yield cls(value)

    @property
    def field(self) -> str:
        """Return the field that asks it."""
        return self.fields[0]

    @property
    def which(self) -> FieldValue:
        """Return what tells it from others of one field; None where there are no others."""
        return None

    @property
    def shown(self) -> str:
        """Return what is asked as a demand writes it."""
        return shown(self.value)

    @property
    def text(self) -> str:
        """Return it as the demand says it."""
        return f"{self.field.replace('.', ' ')}: {self.shown}"

    def lifted(self, subject: Subject) -> Subject:
        """Return the volume or workload without it."""
        return with_value(subject, self.field, self.without)

    @classmethod
    def relaxed(cls, subject: Subject, field: str, values: Sequence[FieldValue]) -> Subject:
        """Return the volume or workload after steps of these values on a field."""
        old = value_of(subject, field)
        return with_value(subject, field, cls.relaxed_value(old, values))

    @classmethod
    def relaxed_value(cls, old: FieldValue, values: Sequence[FieldValue]) -> FieldValue:
        """Return a field's value after steps of these values."""
        del old
        return values[-1]

    @classmethod
    def changed(cls, field: str, old: FieldValue, new: FieldValue) -> str:
        """Return a relaxation in the user's words."""
        return cls.change.format(field=field, old=shown(old), new=shown(new))


def value_of(subject: Subject, field: str) -> FieldValue:
    """Return a field, such as ``exclude.regions``; None where workloads have no such field."""
    for name in field.split("."):
        subject = getattr(subject, name, None)
    return subject


def with_value(subject: Subject, field: str, value: FieldValue) -> Subject:
    """Return a volume or workload with another value of a field."""
    first, _, rest = field.partition(".")
    value = with_value(getattr(subject, first), rest, value) if rest else value
    return subject.model_copy(update={first: value})


def shown(value: FieldValue) -> str:
    """Return a value as a demand writes it, safe to show.

    >>> shown(("eu_north", "eu_west")), shown(False), shown(Decimal("1E-4"))
    ('[eu_north, eu_west]', 'false', '0.0001')
    """
    if isinstance(value, tuple):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return plain(value) if isinstance(value, Decimal) else visible(str(value))


def levels_down(steps: Sequence[int]) -> int:
    """Return how many levels numbered steps lead down: only those that follow on one another."""
    return next(count for count in range(len(steps) + 1) if count + 1 not in steps)
