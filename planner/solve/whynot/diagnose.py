"""When there is no plan: what cannot hold together, and the cheapest ways out.

First what is impossible on its own, a volume or a workload; then volumes that groups and workloads
connect; and where each of these has a plan, the whole with its policy.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from planner.solve.candidates import BIT, RULES, rules_of
from planner.solve.rentals import GPU_RULES, broken_by, gpu_rules_of
from planner.solve.whynot.conflict import Conflict, job_conflict, smallest_conflict
from planner.solve.whynot.parts import Parts, is_capped, part_of, parts_of
from planner.solve.whynot.relax import Ways, ways_out
from planner.solve.whynot.relaxation import Relaxations
from planner.solve.whynot.steps import Step, relaxed
from planner.solve.whynot.sufficient import sufficient
from planner.solve.whynot.trials import Bench, Exhausted
from planner.solve.whynot.ways import steps_of
from planner.text import visible
from planner.units import difference, money, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from planner.demand.model import Demand
    from planner.solve.problem import Instance
    from planner.solve.whynot.requirements import Requirement

_LEVELS = {
    "site": "sites",
    "data_center": "data centres",
    "provider": "providers",
    "country": "countries",
    "region": "regions",
}
_SHOWN = 20
"""Conflicts that a person is told of at most, and requirements of one kind told one by one."""


@dataclass(frozen=True)
class Diagnosis:
    """Why there is no plan, and what would give one.

    Attributes
    ----------
    conflicts : tuple of dict
        What cannot hold. Each has ``conflict`` (its number: entries of one number cannot hold
        together), ``reason``, ``message`` and ``smallest``: whether fewer requirements that
        conflict are ruled out. ``no_offer`` and ``spread`` are about one ``volume``, ``no_gpu``
        about one ``workload``; they have ``offers``, ``rules`` (rule → offers that fell to it) and
        ``requirements``, the smallest conflict among its own. Any other reason is a
        ``requirement`` (or ``budget``), with what asks it, ``field`` and ``value``.
    relaxations : Relaxations
        The least sets of changes that give a plan, cheapest first.
    sentence : str
        What a person reads.
    hint : str
        What a person can change.
    """

    conflicts: tuple[dict[str, Any], ...]
    relaxations: Relaxations
    sentence: str
    hint: str


def diagnose(instance: Instance, offers: pd.DataFrame, gpus: pd.DataFrame | None) -> Diagnosis:
    """Return why an instance has no plan.

    Parameters
    ----------
    instance : Instance
        What has no plan.
    offers : DataFrame
        Columns ``ADDRESSABLE``: the disk offers it was made of.
    gpus : DataFrame | None
        Columns ``GPUS``: the GPU offers it was made of.
    """
    del offers, gpus  # the instance has them
    parts = parts_of(instance)
    bench = Bench(instance)
    with bench.allowance.keeping(0.7):
        found = conflicts(bench, parts)
    ways = ways_out(bench, parts)
    relaxations = Relaxations(ways.relaxations, _notes(ways, bench))
    told = ["no plan satisfies the demand:", *_told(found), *filter(None, [str(relaxations)])]
    return Diagnosis(tuple(found), relaxations, "\n".join(told), _hint(found, ways))


def conflicts(bench: Bench, parts: Parts) -> list[dict[str, Any]]:
    """Return what keeps a demand from having a plan, see `Diagnosis`.

    Conflicts that share no requirement, until all that is in none of them can hold.
    """
    demand, instance = bench.whole.demand, bench.whole
    if demand.workloads and instance.rentals is None:
        message = "the demand has workloads, and there is no listing of GPUs"
        return [{"conflict": 1, "reason": "no_gpu", "message": message, "smallest": True}]
    found, known, is_stuck = _impossible(bench)
    numbers = count(len(found) + 1)
    for part in [*parts.failing, *([demand] if is_capped(demand) else [])]:
        for _ in range(_SHOWN):
            if is_stuck or (conflict := smallest_conflict(bench, part, known)) is None:
                break
            found += _together(bench, next(numbers), conflict)
            known.update(conflict.requirements)
            is_stuck = not conflict.requirements
    return found


def _impossible(bench: Bench) -> tuple[list[dict[str, Any]], set[Requirement], bool]:
    """Return what is impossible on its own, its conflicts, and whether the market alone is one."""
    demand, instance = bench.whole.demand, bench.whole
    found: list[dict[str, Any]] = []
    known: set[Requirement] = set()
    is_stuck = False
    alike: dict[str, Conflict] = {}
    least = bench.least(demand.volumes)
    for v, volume in enumerate(demand.volumes):
        if least[v] is not None:
            continue
        alone = part_of(demand, [v]).model_copy(update={"groups": (), "workloads": ()})
        key = volume.model_copy(update={"name": "x", "owner": None, "tags": {}}).model_dump_json()
        if key not in alike:
            alike[key] = smallest_conflict(bench, alone) or Conflict((), alone, is_smallest=False)
        mine = [replace(one, name=volume.name) for one in alike[key].requirements]
        found.append(_unplaced(instance, v, mine, is_smallest=alike[key].is_smallest))
        known.update(mine)
        is_stuck |= not mine
    for w in range(len(demand.workloads)):
        if instance.rentals is not None and instance.rentals.broken[w].all():
            conflict = job_conflict(bench, demand, w)
            found.append(_unrented(instance, w, conflict))
            known.update(conflict.requirements)
            is_stuck |= not conflict.requirements
    return [{"conflict": n, **one} for n, one in enumerate(found, 1)], known, is_stuck


def _unplaced(
    instance: Instance, v: int, conflict: Sequence[Requirement], *, is_smallest: bool
) -> dict[str, Any]:
    """Return why a volume has no place, whatever else is asked."""
    volume, broken = instance.pairs.volumes[v], instance.pairs.broken[v]
    rules = {rule: int(np.count_nonzero(broken & bit)) for rule, bit in BIT.items()}
    fallen = Counter({rule: count for rule, count in rules.items() if count})
    facts = {
        "volume": volume.name,
        "offers": len(broken),
        "rules": dict(fallen),
        "requirements": [one.document for one in conflict],
        "smallest": is_smallest,
    }
    admissible = np.flatnonzero(broken == 0).tolist()
    reasons = _reasons(fallen, RULES, len(broken))
    if not admissible:
        told = f"none of {len(broken)} offers is admissible{reasons}"
        if not len(broken):
            told = "the market has no offers"
        return {"reason": "no_offer", "message": f"volume {volume.name}: {told}", **facts}
    places = instance.places(volume.spread)
    inside = {domain for o in admissible for domain in places[o]}
    message = (
        f"volume {volume.name}: {volume.replicas} replicas need as many "
        f"{_LEVELS[volume.spread]} of their own, and the {len(admissible)} admissible offers lie "
        f"in {len(inside)}{instance.least.shared_data_centers(v, admissible)}{reasons}"
    )
    return {"reason": "spread", "message": message, **facts}


def _unrented(instance: Instance, w: int, conflict: Conflict) -> dict[str, Any]:
    """Return why a workload has no GPUs, wherever its volumes are."""
    workload, rentals = instance.demand.workloads[w], instance.rentals
    broken = np.empty(0, np.uint32) if rentals is None else rentals.broken[w]
    fallen = Counter(rule for bits in broken.tolist() for rule in gpu_rules_of(bits))
    told = f"none of {len(broken)} GPU offers will do{_reasons(fallen, GPU_RULES, len(broken))}"
    if not len(broken):
        told = "the market has no GPUs"
    return {
        "reason": "no_gpu",
        "message": f"workload {workload.name}: {told}",
        "workload": workload.name,
        "offers": len(broken),
        "rules": dict(fallen),
        "requirements": [one.document for one in conflict.requirements],
        "smallest": conflict.is_smallest,
    }


def _reasons(fallen: Counter[str], meaning: Mapping[str, str], offers: int) -> str:
    return "".join(f"\n    {part}" for part in _parts(fallen, meaning, offers))


def _parts(fallen: Counter[str], meaning: Mapping[str, str], offers: int) -> list[str]:
    return [f"{n} of {offers}: {meaning[rule]} ({rule})" for rule, n in fallen.most_common()]


def _together(bench: Bench, number: int, conflict: Conflict) -> list[dict[str, Any]]:
    """Return one entry for each requirement of a conflict."""
    facts = {"conflict": number, "smallest": conflict.is_smallest}
    if not conflict.requirements:
        names = ", ".join(volume.name for volume in conflict.demand.volumes)
        message = f"the market has no place for {names}, whatever is asked of it"
        return [{"reason": "market", "message": message, **facts}]
    entries = []
    alike: dict[tuple[str, str], list[Requirement]] = {}
    for one in conflict.requirements:
        alike.setdefault((one.kind, one.field), []).append(one)
    for one in conflict.requirements:
        many = alike[one.kind, one.field]
        if len(many) > _SHOWN and one.kind != "policy":
            if one is many[0]:
                entries.append({"reason": "requirement", **facts, **_summed(many)})
            continue
        entry = {"reason": "requirement", **facts, **one.document}
        entry["message"] = entry.pop("text")
        if isinstance(one.value, Decimal) and "budget" in one.field:
            entry |= _over_budget(bench, one)
        entries.append(entry)
    return entries


def _summed(many: Sequence[Requirement]) -> dict[str, Any]:
    """Return what is asked in one field of very many volumes, workloads or groups as one."""
    names = [one.name for one in many]
    first = many[0]
    message = f"{first.text}; and likewise {len(names) - 1} more {first.kind}s"
    return {f"{first.kind}s": names, "field": first.field, "message": message}


def _over_budget(bench: Bench, one: Requirement) -> dict[str, Any]:
    """Return what there is to say about a budget, with the least that works where one does."""
    owner = one.name or None
    field = "policy.budget_usd_month" if owner is None else f"policy.budgets.{visible(owner)}"
    facts: dict[str, Any] = {"reason": "budget", "owner": owner}
    facts["limit_usd_month"] = plain(one.value)
    step = Step(one.kind, one.name, one.field, "open")
    demand = bench.whole.demand
    try:
        values = sufficient(bench, demand, {step})
    except Exhausted:
        values = None
    if values is None:
        return facts
    hours, needed = demand.policy.hours_per_month, values[step]
    message = (
        f"{field} is {plain(one.value)}, and the cheapest plan needs {plain(needed)} USD a month "
        f"of {hours} h, {money(difference(needed, one.value))} more"
    )
    return {**facts, "needed_usd_month": plain(needed), "message": message}


# What a person reads.


def _told(found: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    by_number: dict[int, list[Mapping[str, Any]]] = {}
    for one in found:
        by_number.setdefault(one["conflict"], []).append(one)
    for entries in list(by_number.values())[:_SHOWN]:
        if len(entries) == 1:
            is_told = entries[0]["reason"] != "requirement"
            yield f"  {'' if is_told else 'this cannot hold: '}{entries[0]['message']}"
        else:
            yield "  these cannot hold together:"
            yield from (f"    {one['message']}" for one in entries)
    if len(by_number) > _SHOWN:
        yield f"  and {len(by_number) - _SHOWN} more conflicts"


def _notes(ways: Ways, bench: Bench) -> Iterable[str]:
    if ways.relaxations and ways.is_cut:
        yield "  and others, none of them cheaper or smaller"
    if ways.is_stopped:
        yield "the search for ways out was stopped before its end; there may be others"
    for part in ways.stuck:
        yield f"no relaxation helps: {stuck_at(part, bench)}"


def stuck_at(part: Demand, bench: Bench) -> str:
    """Return what no relaxation changes, of a part that none helps."""
    wide = relaxed(part, steps_of(part, bench))
    for volume in wide.volumes:
        broken = bench.row(volume)[0]
        if (broken != 0).all():
            fallen = Counter(rule for bits in broken.tolist() for rule in rules_of(bits))
            parts = "; ".join(_parts(fallen, RULES, len(broken)))
            return f"volume {volume.name}: {parts or 'the market has no offers'}"
    rentals = bench.whole.rentals
    if rentals is not None and wide.workloads:
        each = broken_by(wide.workloads, rentals.gpus)
        for workload, broken in zip(wide.workloads, each, strict=True):
            if (broken != 0).all():
                fallen = Counter(rule for bits in broken.tolist() for rule in gpu_rules_of(bits))
                parts = "; ".join(_parts(fallen, GPU_RULES, len(broken)))
                return f"workload {workload.name}: {parts or 'the market has no GPUs'}"
    conflict = smallest_conflict(bench, wide)
    texts = [] if conflict is None else [one.text for one in conflict.requirements]
    return " and ".join(texts) or "the market has too few places"


def _hint(found: Sequence[Mapping[str, Any]], ways: Ways) -> str:
    reasons = {one["reason"] for one in found}
    if reasons == {"budget"}:
        return "raise the budget to at least what the sentence says, or ask for less"
    if reasons <= {"no_offer", "spread", "no_gpu"}:
        return "`planner offers` shows the market; relax the rule that most offers fall to"
    if ways.relaxations:
        return "change the demand by one of the ways out"
    return "`planner offers` shows the market; leave out one of what cannot hold together"
