"""Relaxations in the user's words."""

from __future__ import annotations

from decimal import ROUND_CEILING, Context, Decimal
from typing import TYPE_CHECKING, Any

from planner.requirements import volume, workload
from planner.requirements.group import labelled
from planner.text import visible
from planner.units import plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from planner.demand.model import Demand
    from planner.requirements.field import Step

_UP = Context(prec=120, rounding=ROUND_CEILING)


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
    kinds = {"group": 2, "owner": 3, "policy": 4}
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
    if kind == "policy":
        return f"raise `{field}` to {_usd(new) if 'budget' in field else as_json(new)}"
    kinds = volume.KIND_OF if kind == "volume" else workload.KIND_OF
    return f"{kinds[field].changed(field, old, new)} on {name}"


def _usd(amount: Decimal) -> str:
    """Return a budget in cents, rounded up: what a person can write and is enough."""
    return f"${amount.quantize(Decimal('0.01'), context=_UP):,f}"
