"""Relaxations as values: what changes in the demand, and what the plan costs then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from planner.present.html import to_html
from planner.present.table import UNKNOWN, Section, TableColumn
from planner.schema import EXACT, TEXT, WHOLE, Column, build
from planner.text import visible
from planner.units import money, plain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from planner.demand.model import Demand
    from planner.schema import Table

RELAXATIONS = (
    Column("change", TEXT, "what to change, as a person reads it"),
    Column("changes", WHOLE, "how many fields of the demand change"),
    Column("usd_hr", EXACT, "hourly cost of the best plan with exactly these changes, Decimal"),
    Column("usd_month", EXACT, "the same in a month of the policy's hours, exact Decimal"),
)
"""Columns of relaxations as a frame, cheapest first."""
_HEADING = "Ways to make it feasible, cheapest first:"
_KINDS = ("volume", "workload", "group", "owner", "policy")


@dataclass(frozen=True, repr=False)
class Relaxation:
    """One of the least sets of changes that give a plan.

    Attributes
    ----------
    changes : tuple of dict
        Each with what is changed (``volume``, ``workload``, ``group``, ``owner`` or ``policy``),
        ``field``, ``from``, ``to`` and ``text``.
    text : str
        What a person reads.
    usd_hr, usd_month : Decimal
        Exact cost of the best plan with exactly these changes.
    demand : Demand
        The demand with these changes.
    """

    changes: tuple[dict[str, Any], ...]
    text: str
    usd_hr: Decimal
    usd_month: Decimal
    demand: Demand

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        cost = {"usd_hr": plain(self.usd_hr), "usd_month": plain(self.usd_month)}
        return {"text": self.text, "changes": list(self.changes), **cost}

    def __repr__(self) -> str:
        return f"<Relaxation: {visible(self.text)}, ${money(self.usd_month)}/month>"

    def _repr_html_(self) -> str:
        columns = tuple(
            TableColumn(one, one, null=UNKNOWN) for one in ("what", "field", "from", "to")
        )
        title = f"{self.text}: ${money(self.usd_month)}/month"
        return to_html([Section("changes", title, columns, tuple(map(_row, self.changes)))])


def _row(change: dict[str, Any]) -> tuple[Any, ...]:
    kind = next((kind for kind in _KINDS if kind in change), "")
    what = kind if kind == "policy" else f"{kind} {change.get(kind, '')}"
    return (what, change.get("field"), change.get("from"), change.get("to"))


class Relaxations(tuple[Relaxation, ...]):  # noqa: SLOT001 -- the notes are its own
    """The relaxations of a demand, cheapest first.

    Attributes
    ----------
    notes : tuple of str
        What there is to say about the search: whether it was cut, what nothing helps.
    """

    notes: tuple[str, ...]

    def __new__(cls, found: Iterable[Relaxation] = (), notes: Iterable[str] = ()) -> Self:
        """Return relaxations with what there is to say about the search."""
        made = super().__new__(cls, found)
        made.notes = tuple(notes)
        return made

    def to_frame(self) -> Table:
        """Return them as a frame (columns ``RELAXATIONS``)."""
        rows = [
            {
                "change": one.text,
                "changes": len(one.changes),
                "usd_hr": one.usd_hr,
                "usd_month": one.usd_month,
            }
            for one in self
        ]
        return build(rows, RELAXATIONS)

    def __str__(self) -> str:
        costs = [f"${money(one.usd_month)}/month" for one in self]
        width = max(map(len, costs), default=0)
        lines = [f"  {cost:>{width}}   {one.text}" for cost, one in zip(costs, self, strict=True)]
        return "\n".join([*([_HEADING] if lines else []), *lines, *self.notes])

    def _repr_html_(self) -> str:
        columns = (
            TableColumn("change", "what to change"),
            TableColumn("usd_month", "$/month", "usd_month"),
        )
        rows = tuple((one.text, one.usd_month) for one in self)
        notes = tuple(note.strip() for note in self.notes)
        return to_html(
            [Section("relaxations", columns=columns if rows else (), rows=rows, notes=notes)]
        )
