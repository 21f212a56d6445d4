"""Relaxations in the user's words."""

from __future__ import annotations

from decimal import ROUND_CEILING, Context, Decimal
from typing import TYPE_CHECKING, Any

from planner.market.places import PLACES
from planner.solve.whynot.steps import Step, labelled
from planner.text import visible
from planner.units import difference, plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from planner.demand.model import Demand

LEVELS = {level: level.replace("_center", " centre") for level in ("site", *PLACES)}
"""What a place at a level is called."""
PLACE_WORDS = {
    word: (LEVELS[level], word.replace("_centers", " centres")) for level, word in PLACES.items()
}
"""For each list of places what one of it is called, and several."""
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
        "volume": [one.name for one in before.volumes],
        "workload": [one.name for one in before.workloads],
    }
    order = {
        (kind, name): (place, n)
        for place, (kind, names) in enumerate(listed.items())
        for n, name in enumerate(names)
    }
    kinds = {"group": 2, "owner": 3, "policy": 4}
    fields = sorted(
        {(s.kind, s.name, s.field, s.value if s.kind == "group" else 0) for s in steps},
        key=lambda one: (order.get(one[:2], (kinds.get(one[0], 0), 0)), *one),
    )
    return tuple(_change(before, after, *one) for one in fields)


def _change(
    before: Demand, after: Demand, kind: str, name: str, field: str, which: int
) -> dict[str, Any]:
    if kind == "group":
        keys = [key for _, key in labelled(before.groups)]
        number = keys.index((name, which))
        asked = before.groups[number].model_dump(mode="json", exclude_none=True)
        text = f"drop the group of {visible(name)}"
        return {"group": name, "field": field, "from": asked, "to": None, "text": text}
    old, new = (_value(demand, kind, name, field) for demand in (before, after))
    subject: dict[str, Any] = {"policy": True} if kind == "policy" else {kind: name}
    text = _told(kind, visible(name), field, old, new)
    return {**subject, "field": field, "from": as_json(old), "to": as_json(new), "text": text}


def _value(demand: Demand, kind: str, name: str, field: str) -> Any:  # noqa: ANN401 -- the field's
    if kind == "policy":
        return getattr(demand.policy, field)
    if kind == "owner":
        return demand.policy.budgets[name]
    held: Any = demand.volumes if kind == "volume" else demand.workloads
    one = next(one for one in held if one.name == name)
    for part in field.split("."):
        one = getattr(one, part)
    return one


def as_json(value: Any) -> Any:  # noqa: ANN401 -- the field's
    """Return a value of the demand as JSON: amounts as exact text, tuples as lists."""
    if isinstance(value, Decimal):
        return plain(value)
    return list(value) if isinstance(value, tuple) else value


def _told(kind: str, name: str, field: str, old: Any, new: Any) -> str:  # noqa: ANN401 -- the field's
    """Return what a person reads of a field that changes."""
    if kind == "owner":
        return _raised(f"budget of {name}", old, new)
    if kind == "policy":
        return _raised(field, old, new) if isinstance(old, Decimal) else _counted(field, old, new)
    if field == "spread":
        over = "not spread" if new == "none" else f"spread over {new}"
        return f"replicas of {name}: {over} instead of {old}"
    return f"{kind} {name}: {_wish(field, old, new)}"


def _wish(field: str, old: Any, new: Any) -> str:  # noqa: ANN401 -- the field's
    word = field.removeprefix("exclude.")
    if word in PLACE_WORDS:
        values = sorted({*old} ^ {*new})
        which = f"{PLACE_WORDS[word][len(values) > 1]} {', '.join(map(visible, values))}"
        return f"allow {which}" if word == field else f"no longer exclude {which}"
    texts = {
        "security": f"any security instead of {old}",
        "stock": f"stock {new or 'unknown'} instead of {old}",
        "multinode": "without multi-node",
        "max_disks": _counted(field, old, new),
        "replicas": f"{new} replica{'s' * (new != 1)} instead of {old}"
        if field == "replicas"
        else "",
        "socket": f"any socket instead of {visible(str(old))}",
        "spot": "accept spot offers",
    }
    return texts[field] if field in texts else _raised(field, old, new)


def _counted(field: str, old: int, new: int) -> str:
    return f"raise {field} from {old} to {new}"


def _raised(field: str, old: Decimal, new: Decimal) -> str:
    """Return by how much an amount has to rise: cents, rounded up, where it is a budget."""
    if "budget" in field:
        new = new.quantize(Decimal("0.01"), context=_UP)
        return f"raise {field} by {difference(new, old):f} to {new:f}"
    return f"raise {field} from {plain(old)} to {plain(new)}"
