"""What a notebook shows of a demand: its volumes and workloads, and what is asked of them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from planner.markup import MOST_ROWS, Cell, cell, counted, list_html, table_html, title_html

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from planner.demand.fields import Value
    from planner.demand.jobs import Workload
    from planner.demand.model import Demand, Volume

_OF_VOLUME = ("name", "size_gb", "replicas", "owner")
_OF_WORKLOAD = ("name", "gpu", "gpus", "nodes", "hours_per_month", "mounts")
_NUMBERS = frozenset({"size_gb", "replicas", "gpus", "nodes", "hours_per_month"})


def demand_html(demand: Demand) -> str:
    """Return a demand as a piece of HTML: tables of volumes and workloads, groups and policy."""
    jobs = _table("workload", demand.workloads, _OF_WORKLOAD) if demand.workloads else ""
    rules = [*(_group(asked) for asked in demand.groups)]
    rules += [f"policy: {one}" for one in _asked(demand.policy)]
    shown = [*islice(rules, MOST_ROWS)]
    if len(rules) > len(shown):
        shown.append(f"and {len(rules) - len(shown):,} more")
    return (
        title_html(demand.project)
        + _table("volume", demand.volumes, _OF_VOLUME)
        + jobs
        + list_html(shown)
    )


def _table(what: str, rows: Sequence[Volume | Workload], fields: Sequence[str]) -> str:
    few = rows[:MOST_ROWS]
    return table_html(
        (*fields, "asks"),
        [_row(one, fields) for one in few],
        {at for at, field in enumerate(fields) if field in _NUMBERS},
        caption=counted(len(rows), what, len(few)),
    )


def _row(one: Volume | Workload, fields: Sequence[str]) -> list[Cell]:
    return [
        *(cell(getattr(one, field), field) for field in fields),
        Cell("; ".join(_asked(one, fields))),
    ]


def _group(group: Value) -> str:
    asked = group.model_dump(mode="json", exclude_none=True)
    members = ", ".join(asked.pop("volumes"))
    return f"{members}: {', '.join(f'{kind} {level}' for kind, level in asked.items())}"


def _asked(one: Value, told: Collection[str] = ()) -> Iterator[str]:
    """Yield every field that is not at its default, but those that are told elsewhere."""
    yield from _flat(one.model_dump(mode="json", exclude_defaults=True, exclude={*told}))


def _flat(values: Mapping[str, Any], of: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{of}{key} ")
        else:
            yield f"{of}{key}: {cell(value).text}"
