"""What each requirement costs: the optimum without it, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from planner.analysis.evaluator import NOT_EVALUATED, Answer, Evaluator, edited
from planner.requirements.field import with_value
from planner.requirements.policy import policy_requirements
from planner.requirements.volume import priced_of
from planner.requirements.workload import of_gpus
from planner.schema import EXACT, TEXT, Column, build
from planner.units import averaged_usd_hr, difference, total

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal

    import pandas as pd

    from planner.demand.model import Demand, Group, Workload
    from planner.solve.problem import Instance


REQUIREMENTS = (
    Column("about", TEXT, "volume or workload; null: a group or the policy"),
    Column("requirement", TEXT, "what is asked, as the demand file has it"),
    Column("without", TEXT, "what the comparison does instead"),
    Column("saves_usd_hr", EXACT, "the same as an hourly average, see averaged_usd_hr"),
    Column("saves_usd_month", EXACT, "how much cheaper the best plan is without it, exact Decimal"),
    Column("why", TEXT, "why there is no amount, or how sure it is; else empty"),
)
"""Columns of the requirements: the dearest first, then those that cost nothing, as demanded."""

_Edit = Callable[["Demand"], "Demand"]


@dataclass(frozen=True)
class _Requirement:
    """One thing asked; ``volume`` is one it is about, None where it is about all."""

    about: str | None
    text: str
    instead: str
    edit: _Edit
    volume: int | None = None


def requirements(evaluator: Evaluator, volume: int | None = None) -> pd.DataFrame:
    """Return what every requirement costs (columns ``REQUIREMENTS``).

    A requirement that makes nothing dearer saves zero: also where the demand is harder without
    it, as one replica less may leave one provider with too large a share.

    Parameters
    ----------
    volume : int | None
        Only those of a volume, its groups and its workloads; None takes all, and the policy's.
    """
    rows: list[dict[str, Any]] = []
    for requirement in _all(evaluator.instance, volume):
        answer = _answer(evaluator, requirement)
        saves = None
        if answer.usd_month is not None:
            saves = max(difference(evaluator.usd_month, answer.usd_month), total([]))
        elif answer.why != NOT_EVALUATED:
            saves, answer = total([]), Answer(None, {}, {})
        rows.append(
            {
                "about": requirement.about,
                "requirement": requirement.text,
                "without": requirement.instead,
                "saves_usd_hr": None if saves is None else averaged_usd_hr(saves, evaluator.hours),
                "saves_usd_month": saves,
                "why": answer.why,
            }
        )
    rows.sort(key=_dearest_first)
    return build(rows, REQUIREMENTS)


def _dearest_first(row: dict[str, Any]) -> tuple[bool, Decimal]:
    saves: Decimal | None = row["saves_usd_month"]
    return (saves is None, -(saves or total([])))


def _answer(evaluator: Evaluator, requirement: _Requirement) -> Answer:
    if requirement.volume is None:
        return evaluator.evaluate_whole(edited(requirement.edit))
    part = evaluator.part_of(requirement.volume)
    lonely = [w for w in requirement.edit(part.instance.demand).workloads if not w.mounts]
    if not lonely:
        return evaluator.evaluate(part, edited(requirement.edit))
    return _on_cheapest_gpus(evaluator, requirement, lonely[0])


def _on_cheapest_gpus(evaluator: Evaluator, requirement: _Requirement, job: Workload) -> Answer:
    """Return the best plan where a workload runs wherever it is cheapest."""
    instance = evaluator.instance
    w = [each.name for each in instance.demand.workloads].index(job.name)
    rentals = instance.rentals
    best = None if rentals is None else rentals.best(w, np.ones(len(rentals.gpus), np.bool_))

    def alone(demand: Demand) -> Demand:
        kept = tuple(each for each in demand.workloads if each.name != job.name)
        return demand.model_copy(update={"workloads": kept})

    part = evaluator.part_of(requirement.volume or 0)
    answer = evaluator.evaluate(part, edited(alone))
    if answer.usd_month is None or rentals is None or best is None:
        return answer
    return replace(answer, usd_month=total([answer.usd_month, rentals.usd_month(w, best)]))


def _all(instance: Instance, only: int | None) -> Iterator[_Requirement]:
    """Yield every requirement of a demand, as it stands there."""
    demand = instance.demand
    at = {volume.name: v for v, volume in enumerate(demand.volumes)}
    name = None if only is None else demand.volumes[only].name
    for v, volume in enumerate(demand.volumes):
        if only in {None, v}:
            for one in priced_of(volume):
                edit = _edit("volumes", volume.name, one.lifted)
                yield _Requirement(volume.name, one.text, one.instead, edit, v)
    for group in demand.groups:
        if name is None or name in group.volumes:
            yield from _of_group(group, at)
    for workload in demand.workloads:
        if name is None or name in workload.mounts:
            for text, instead, lifted in _of_workload(workload):
                edit = _edit("workloads", workload.name, lifted)
                yield _Requirement(workload.name, text, instead, edit, at[workload.mounts[0]])
    if only is None:
        yield from _of_policy(demand)


_Wish = tuple[str, str, Callable[[Any], Any]]
"""What is asked, what the comparison does instead, and what changes the volume or workload so."""


def _of_workload(workload: Workload) -> Iterator[_Wish]:
    for one in of_gpus(workload):
        if one.instead:
            yield one.text, one.instead, one.lifted
    for name in workload.mounts:
        left = tuple(each for each in workload.mounts if each != name)
        yield f"mounts: {name}", "not beside it", partial(with_value, field="mounts", value=left)


def _edit(kind: str, name: str, lifted: Callable[[Any], Any]) -> _Edit:
    """Return what changes one volume or workload of a demand."""

    def edit(demand: Demand) -> Demand:
        changed = tuple(
            lifted(each) if each.name == name else each for each in getattr(demand, kind)
        )
        return demand.model_copy(update={kind: changed})

    return edit


def _of_group(group: Group, at: dict[str, int]) -> Iterator[_Requirement]:
    for kind in ("same", "different"):
        level = getattr(group, kind)
        if level is None:
            continue
        other = "different" if kind == "same" else "same"
        left = () if getattr(group, other) is None else (group.model_copy(update={kind: None}),)

        def edit(demand: Demand, left: tuple[Group, ...] = left) -> Demand:
            place = demand.groups.index(group)
            groups = (*demand.groups[:place], *left, *demand.groups[place + 1 :])
            return demand.model_copy(update={"groups": groups})

        text = f"group [{', '.join(group.volumes)}] {kind}: {level}"
        yield _Requirement(None, text, "not asked", edit, at[group.volumes[0]])


def _of_policy(demand: Demand) -> Iterator[_Requirement]:
    for requirement in policy_requirements(demand.policy):
        changed = requirement.lifted(demand.policy)

        def edit(demand: Demand, changed: Any = changed) -> Demand:  # noqa: ANN401 -- a policy
            return demand.model_copy(update={"policy": changed})

        yield _Requirement(None, f"policy {requirement.text}", "no limit", edit)


def costly(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the requirements that cost something."""
    costs: Sequence[bool] = [saves is not None and saves > 0 for saves in frame["saves_usd_month"]]
    return frame[list(costs)]
