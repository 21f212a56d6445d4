"""Relaxations: steps that relax a demand, what they change in it, and what the plan costs then.

A step says what it changes and how; `relaxed` applies steps to a demand and changes nothing else.
Every step only widens what is allowed, with two exceptions: fewer replicas may be in the way of
what looks at all of them, and a spread over sites or countries need not be implied by a stronger
one: only the data centre is.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self

from planner.demand.fields import MAX_CAP
from planner.market.providers import documented_limits
from planner.present.table import UNKNOWN, Section, TableColumn
from planner.present.writers import to_html
from planner.requirements import volume, workload
from planner.requirements.field import Step
from planner.requirements.group import labelled
from planner.requirements.policy import KINDS, BudgetLimit, policy_requirements
from planner.schema import AMOUNT, TEXT, WHOLE, Column, build, handed_out
from planner.text import visible
from planner.units import money, plain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from planner.demand.model import Demand, Policy
    from planner.requirements.field import FieldRequirement
    from planner.schema import Table

LIMITS = (
    *(field for kind in (*volume.COPIES, *volume.LIMITS) if kind.is_limit for field in kind.fields),
    *(kind.field for kind in KINDS if kind is not BudgetLimit),
    "attach_limits",
    "budgets",
    BudgetLimit.field,
)
"""Limits, in the order in which each takes its least sufficient value; spread its strongest."""


def relaxed(
    demand: Demand, steps: Collection[Step], values: Mapping[Step, Any] | None = None
) -> Demand:
    """Return a demand with relaxations applied.

    Parameters
    ----------
    steps : collection of Step
        What to relax; what names nothing in the demand is passed over.
    values : mapping
        Values of the limits that steps open; a limit without one is none at all.
    """
    mine = defaultdict[tuple[str, str], list[Step]](list)
    for step in steps:
        mine[step.kind, step.name].append(step)
    if not mine:
        return demand
    values = values or {}
    volumes = tuple(
        _relaxed(item, volume.KIND_OF, mine["volume", item.name], values) for item in demand.volumes
    )
    workloads = tuple(
        _relaxed(item, workload.KIND_OF, mine["workload", item.name], values)
        for item in demand.workloads
    )
    gone = {(step.name, step.value) for step in steps if step.kind == "group"}
    groups = tuple(group for group, key in labelled(demand.groups) if key not in gone)
    about = [step for step in steps if step.kind in {"policy", "owner", "provider"}]
    policy = _policy(demand.policy, about, values)
    changed = {"volumes": volumes, "workloads": workloads, "groups": groups, "policy": policy}
    return demand.model_copy(update=changed)


def policy_steps(demand: Demand) -> list[Step]:
    """Return the steps that open a limit of the policy."""
    owners = {volume.owner for volume in demand.volumes}
    return [
        Step(*limit.step, "open")
        for limit in policy_requirements(demand.policy)
        if limit.owner is None or limit.owner in owners
    ]


def _relaxed(
    subject: Any,  # noqa: ANN401 -- a volume or a workload
    kinds: Mapping[str, type[FieldRequirement]],
    steps: list[Step],
    values: Mapping[Step, Any],
) -> Any:  # noqa: ANN401 -- the same
    by_field: dict[str, list[Any]] = defaultdict(list)
    for step in steps:
        value = values.get(step, kinds[step.field].without) if step.is_limit else step.value
        by_field[step.field].append(value)
    for field, moves in by_field.items():
        subject = kinds[field].relaxed(subject, field, moves)
    return subject


def _policy(policy: Policy, steps: list[Step], values: Mapping[Step, Any]) -> Policy:
    if not steps:
        return policy
    update: dict[str, Any] = {}
    budgets, pods = dict(policy.budgets), dict(policy.attach_limits)
    for step in steps:
        if step.kind == "provider":
            pods[step.name] = values.get(step, MAX_CAP)
        elif step.kind == "policy":
            update[step.field] = values.get(step) if step.is_limit else step.value
        elif (value := values.get(step)) is None:
            budgets.pop(step.name, None)
        else:
            budgets[step.name] = value
    return policy.model_copy(update={**update, "budgets": budgets, "attach_limits": pods})


# What steps change.


def changes(before: Demand, after: Demand, steps: Iterable[Step]) -> tuple[dict[str, Any], ...]:
    """Return what a relaxation changes, field by field, in the order of the demand.

    Returns
    -------
    tuple of dict
        Each with the name of what is changed under its kind (``volume``, ``workload``, ``group``,
        ``owner``; ``policy`` is true), ``field``, ``from``, ``to`` and ``text``. Amounts are exact
        text, lists are lists.
    """
    listed = {
        "volume": [item.name for item in before.volumes],
        "workload": [item.name for item in before.workloads],
    }
    order = {
        (kind, name): (place, n)
        for place, (kind, names) in enumerate(listed.items())
        for n, name in enumerate(names)
    }
    kinds = {"group": 2, "owner": 3, "policy": 4, "provider": 5}
    fields = sorted(
        {(s.kind, s.name, s.field, s.value if s.kind == "group" else 0) for s in steps},
        key=lambda key: (order.get(key[:2], (kinds.get(key[0], 0), 0)), *key),
    )
    return tuple(_change(before, after, *key) for key in fields)


def _change(
    before: Demand, after: Demand, kind: str, name: str, field: str, which: int
) -> dict[str, Any]:
    if kind == "group":
        keys = [key for _, key in labelled(before.groups)]
        number = keys.index((name, which))
        asked = before.groups[number].model_dump(mode="json", exclude_none=True)
        text = f"drop the group {visible(name)}"
        return {"group": name, "field": field, "from": asked, "to": None, "text": text}
    old, new = (_value(demand, kind, name, field) for demand in (before, after))
    subject: dict[str, Any] = {"policy": True} if kind == "policy" else {kind: name}
    text = _text(kind, visible(name), field, old, new)
    return {**subject, "field": field, "from": as_json(old), "to": as_json(new), "text": text}


def _value(demand: Demand, kind: str, name: str, field: str) -> Any:  # noqa: ANN401 -- the field's
    if kind == "policy":
        return getattr(demand.policy, field)
    if kind == "owner":
        return demand.policy.budgets[name]
    if kind == "provider":
        return demand.policy.attach_limits.get(name, documented_limits().get(name))
    held: Any = demand.volumes if kind == "volume" else demand.workloads
    item = next(item for item in held if item.name == name)
    if field == "gpus":
        return item.gpus, item.nodes
    for part in field.split("."):
        item = getattr(item, part)
    return item


def as_json(value: Any) -> Any:  # noqa: ANN401 -- the field's
    """Return a value of the demand as JSON: amounts as exact text, tuples as lists."""
    if isinstance(value, Decimal):
        return plain(value)
    return list(value) if isinstance(value, tuple) else value


def _text(kind: str, name: str, field: str, old: Any, new: Any) -> str:  # noqa: ANN401 -- the field's
    """Return a changed field in the user's words."""
    if kind == "owner":
        return f"raise the budget of {name} to {_usd(new)}"
    if kind == "provider":
        disks = f"{new} disk{'s' * (new != 1)}"
        return f"write `attach_limits: {{{name}: {new}}}` if one pod there can mount {disks}"
    if kind == "policy" and field == "packing":
        return "use `packing: auto`: volumes of a job may share a disk"
    if kind == "policy":
        return f"raise `{field}` to {_usd(new) if 'budget' in field else _enough(new)}"
    kinds = volume.KIND_OF if kind == "volume" else workload.KIND_OF
    return f"{kinds[field].changed(field, old, new)} on {name}"


def _usd(amount: Decimal) -> str:
    """Return a budget in cents, rounded up: what a person can write and is enough."""
    return f"${money(amount, is_enough=True)}"


def _enough(limit: int | Decimal) -> str:
    """Return a number of places or disks, or a share rounded up to four places."""
    return (
        plain(Decimal(money(limit, 4, is_enough=True)))
        if isinstance(limit, Decimal)
        else f"{limit}"
    )


# Relaxations as values.


RELAXATIONS = (
    Column("change", TEXT, "what to change, as a person reads it"),
    Column("changes", WHOLE, "how many fields of the demand change"),
    Column("usd_hr", AMOUNT, "hourly cost of the best plan with exactly these changes"),
    Column("usd_month", AMOUNT, "the same in a month of the policy's hours"),
)
"""Columns of relaxations as a frame, cheapest first."""
_HEADING = "Ways to make it feasible, cheapest first:"
_KINDS = ("volume", "workload", "group", "owner", "policy", "provider")


@dataclass(frozen=True, repr=False)
class Relaxation:
    """One of the least sets of changes that give a plan.

    Attributes
    ----------
    changes : tuple of dict
        Each with what is changed (``volume``, ``workload``, ``group``, ``owner`` or ``policy``),
        ``field``, ``from``, ``to`` and ``text``.
    usd_hr, usd_month : Decimal
        Exact cost of the best plan with exactly these changes.
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
            TableColumn(name, name, null=UNKNOWN) for name in ("what", "field", "from", "to")
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

    def __new__(cls, relaxations: Iterable[Relaxation] = (), notes: Iterable[str] = ()) -> Self:
        """Return relaxations with what there is to say about the search."""
        made = super().__new__(cls, relaxations)
        made.notes = tuple(notes)
        return made

    def to_frame(self, *, exact: bool = False) -> Table:
        """Return them as a frame (columns ``RELAXATIONS``), amounts as floats or Decimals."""
        rows = [
            {
                "change": relaxation.text,
                "changes": len(relaxation.changes),
                "usd_hr": relaxation.usd_hr,
                "usd_month": relaxation.usd_month,
            }
            for relaxation in self
        ]
        return handed_out(build(rows, RELAXATIONS), exact=exact)

    def __str__(self) -> str:
        costs = [f"${money(relaxation.usd_month)}/month" for relaxation in self]
        width = max(map(len, costs), default=0)
        lines = [
            f"  {cost:>{width}}   {relaxation.text}"
            for cost, relaxation in zip(costs, self, strict=True)
        ]
        return "\n".join([*([_HEADING] if lines else []), *lines, *self.notes])

    def _repr_html_(self) -> str:
        columns = (
            TableColumn("change", "what to change"),
            TableColumn("usd_month", "$/month", "usd_month"),
        )
        rows = tuple((relaxation.text, relaxation.usd_month) for relaxation in self)
        notes = tuple(note.strip() for note in self.notes)
        return to_html(
            [Section("relaxations", columns=columns if rows else (), rows=rows, notes=notes)]
        )
