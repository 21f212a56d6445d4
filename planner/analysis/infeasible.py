"""When there is no plan: which requirements conflict, and the cheapest ways to make it feasible.

First what is impossible on its own, a volume or a workload; then volumes that groups and workloads
connect; and where each of these has a plan, the whole with its policy. Where only existing disks
are in the way, the elastic program has nothing to relax but them: each kept replica has a step that
releases it, and the fewest releases, then their cost, are minimised.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any

from planner.analysis.conflict import ConflictSearch, Key
from planner.analysis.elastic import LOOSE, STRICT, Elastic
from planner.analysis.evaluator import OutOfBudget, SearchBudget, optimum_of_parts
from planner.analysis.needs import Catalogue
from planner.analysis.reasons import (
    Shortage,
    first_conflict,
    over_budget,
    overspent_budgets,
    separable_bound,
    volume_shortage,
    workload_shortage,
)
from planner.analysis.relax import (
    MANY_PAIRS,
    MOST,
    Offers,
    Search,
    least_limits,
    relaxations,
)
from planner.analysis.relaxation import Relaxations
from planner.errors import Infeasible
from planner.requirements.field import Step
from planner.solve.existing import movable
from planner.solve.optimum import optimum
from planner.solve.stats import Undecided
from planner.text import visible
from planner.units import money, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from planner.analysis.conflict import Requirement
    from planner.analysis.evaluator import PartsOptimum
    from planner.demand.model import Demand
    from planner.solve.existing import Existing, Kept
    from planner.solve.problem import Instance

_SHOWN = 20
"""Conflicts that a person is shown at most, and requirements of one kind named one by one."""
_CONFLICT_CALLS = 300.0


def infeasible(
    demand: Demand,
    offers: Offers,
    existing: Existing | None = None,
    *,
    name: str = "the demand",
    time_limit_s: float | None = None,
) -> Infeasible:
    """Return the error of a demand that has no plan, with its conflicts and relaxations.

    Parameters
    ----------
    existing : Existing | None
        What the account's disks are to the demand.
    name : str
        What the demand is called, such as its file.
    time_limit_s : float | None
        Seconds for the search; None bounds it by work alone, so that every machine answers alike.

    Returns
    -------
    Infeasible
        Its ``conflicts`` each have ``conflict`` (a number: entries of one number cannot hold
        together), ``reason``, ``message`` and ``irreducible``: whether it is proven that nothing
        in it can be left out. ``no_offer`` and ``spread`` are about one ``volume``, ``no_gpu``
        about one ``workload``; they have ``offers``, ``rules`` (rule → offers that break it) and
        ``requirements``, the conflict among its own. Any other reason is a ``requirement`` (or
        ``budget``), with what asks it, ``field`` and ``value``.
    """
    deadline = None if time_limit_s is None else time.monotonic() + time_limit_s
    if existing is not None:
        error = _existing_conflict(demand, offers, existing, SearchBudget(deadline=deadline))
        if error is not None:
            return error
    instance = offers.instance(demand)
    parts = optimum_of_parts(instance)
    analysis = _Conflicts(instance, offers, SearchBudget(_CONFLICT_CALLS, deadline))
    conflicts = analysis.all(parts)
    budget = SearchBudget(deadline=deadline)
    search = relaxations(instance, offers, parts, budget)
    is_empty = offers.disks.empty
    notes = () if is_empty else _notes(search, is_late=budget.is_late)
    listed = Relaxations(search.relaxations, notes)
    blocks = [f"No plan satisfies {visible(name)}.", *_blocks(conflicts), str(listed)]
    return Infeasible(
        "\n\n".join(filter(None, blocks)),
        conflicts=conflicts,
        relaxations=listed,
        hint=_EMPTY if is_empty else _hint(conflicts, search),
    )


class _Conflicts:
    """The conflicts of an instance, as entries."""

    def __init__(self, instance: Instance, offers: Offers, budget: SearchBudget) -> None:
        self._instance, self._offers, self._budget = instance, offers, budget
        self._numbers = count(1)
        self._known: set[Key] = set()
        self._alike: dict[str, tuple[tuple[Requirement, ...], bool]] = {}

    def all(self, parts: PartsOptimum) -> list[dict[str, Any]]:
        """Return what cannot hold, part by part, then of the whole with its policy."""
        demand, conflicts = self._instance.demand, list[dict[str, Any]]()
        if demand.workloads and self._instance.rentals is None:
            message = "the demand has workloads, and there is no listing of GPUs"
            return [{"conflict": 1, "reason": "no_gpu", "message": message, "irreducible": True}]
        for part in parts.failing:
            conflicts += self._of_part(part)
        if self._instance.requirements and self._instance.pairs.broken.size <= MANY_PAIRS:
            conflicts += self._together(demand)
            conflicts = conflicts or list(self._together(demand, STRICT))
        elif self._instance.requirements and not conflicts:
            conflicts += self._budgets()
            if not conflicts:
                message = first_conflict(self._instance)
                facts = {"conflict": 1, "irreducible": False}
                conflicts.append({"reason": "policy", "message": message, **facts})
        return conflicts

    def _of_part(self, part: Demand) -> Iterator[dict[str, Any]]:
        is_alone = False
        for volume in part.volumes:
            if self._instance.least.cost(self._instance.index[volume.name]) is None:
                yield self._unplaced(part, volume.name)
                is_alone = True
        jobs = [workload.name for workload in self._instance.demand.workloads]
        rentals = self._instance.rentals
        for workload in part.workloads:
            w = jobs.index(workload.name)
            if rentals is not None and rentals.broken[w].all():
                yield self._unrented(part, w)
                is_alone = True
        if not is_alone:
            yield from self._together(part)

    def _unplaced(self, part: Demand, name: str) -> dict[str, Any]:
        """Return why a volume has no place, whatever else is asked."""
        v = self._instance.index[name]
        volume = self._instance.pairs.volumes[v]
        alone = part.model_copy(update={"volumes": (volume,), "groups": (), "workloads": ()})
        return self._short(volume_shortage(self._instance, v), alone, {"volume": name})

    def _unrented(self, part: Demand, w: int) -> dict[str, Any]:
        """Return why a workload has no GPUs, wherever its volumes are."""
        workload = self._instance.demand.workloads[w]
        mounted = tuple(volume for volume in part.volumes if volume.name in workload.mounts)
        alone = part.model_copy(update={"volumes": mounted, "groups": (), "workloads": (workload,)})
        about = {"workload": workload.name}
        return self._short(workload_shortage(self._instance, w), alone, about)

    def _short(self, shortage: Shortage, alone: Demand, about: dict[str, Any]) -> dict[str, Any]:
        conflict, is_irreducible = self._own(alone)
        return {
            "conflict": next(self._numbers),
            "reason": shortage.reason,
            "message": shortage.text,
            **about,
            "offers": shortage.offers,
            "rules": shortage.rules,
            "requirements": [requirement.document for requirement in conflict],
            "irreducible": is_irreducible,
        }

    def _own(self, alone: Demand) -> tuple[tuple[Requirement, ...], bool]:
        """Return the conflict among what one volume or workload asks."""
        try:
            search = ConflictSearch(
                Catalogue(self._offers.instance(alone, everywhere=True)), self._budget
            )
            return next(search.conflicts(self._known, 1), ((), False))
        except OutOfBudget:
            return (), False

    def _together(self, demand: Demand, tolerance: float = LOOSE) -> Iterator[dict[str, Any]]:
        """Yield one entry for each requirement of the conflicts of a demand."""
        catalogue = Catalogue(self._offers.instance(demand, everywhere=True))
        try:
            search = ConflictSearch(catalogue, self._budget, tolerance)
        except OutOfBudget:
            return
        for conflict, is_irreducible in search.conflicts(self._known, _SHOWN):
            facts = {"conflict": next(self._numbers), "irreducible": is_irreducible}
            if not conflict:
                names = ", ".join(visible(volume.name) for volume in demand.volumes)
                message = f"no offer in this market can hold {names}, whatever is relaxed"
                yield {"reason": "market", "message": message, **facts}
                return
            yield from self._entries(conflict, facts)

    def _entries(
        self, conflict: Sequence[Requirement], facts: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        alike: dict[tuple[str, str], list[Requirement]] = {}
        for requirement in conflict:
            alike.setdefault((requirement.kind, requirement.field), []).append(requirement)
        for requirement in conflict:
            many = alike[requirement.kind, requirement.field]
            if len(many) > _SHOWN and requirement.kind != "policy":
                if requirement is many[0]:
                    yield {"reason": "requirement", **facts, **_summed(many)}
                continue
            entry = {"reason": "requirement", **facts, **requirement.document}
            entry["message"] = entry.pop("text")
            if isinstance(requirement.value, Decimal) and "budget" in requirement.field:
                entry |= self._over_budget(
                    requirement.kind, requirement.name, requirement.field, requirement.value
                )
            yield entry

    def _over_budget(self, kind: str, name: str, field: str, limit: Decimal) -> dict[str, Any]:
        """Return what a budget needs at least, where nothing else has to change."""
        facts: dict[str, Any] = {"reason": "budget", "owner": name or None}
        facts["limit_usd_month"] = plain(limit)
        step = Step(kind, name, field, "open")
        try:
            values = least_limits(Catalogue(self._instance), frozenset([step]), self._budget)
        except OutOfBudget:
            values = None
        owner = name or None
        if values is not None:
            message = over_budget(owner, limit, values[step])
            return {**facts, "needed_usd_month": plain(values[step]), "message": message}
        needed = separable_bound(self._instance, owner)  # other limits have to change too
        message = over_budget(owner, limit, needed, "its volumes need at least")
        return {**facts, "message": message} if needed > limit else facts

    def _budgets(self) -> Iterator[dict[str, Any]]:
        """Yield the budgets that are less than the least choices of their volumes."""
        for owner, limit, needed in overspent_budgets(self._instance):
            yield {
                "conflict": next(self._numbers),
                "reason": "budget",
                "irreducible": True,
                "owner": owner,
                "field": "budget_usd_month" if owner is None else "budgets",
                "value": plain(limit),
                "limit_usd_month": plain(limit),
                "needed_usd_month": plain(needed),
                "message": over_budget(owner, limit, needed),
            }


def _summed(many: Sequence[Requirement]) -> dict[str, Any]:
    """Return what is asked in one field of very many volumes, workloads or groups as one."""
    first = many[0]
    message = f"{first.text}, and on {len(many) - 1} more {first.kind}s"
    return {
        f"{first.kind}s": [requirement.name for requirement in many],
        "field": first.field,
        "message": message,
    }


# What a person reads.


def _blocks(conflicts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    by_number: dict[int, list[Mapping[str, Any]]] = {}
    for entry in conflicts:
        by_number.setdefault(entry["conflict"], []).append(entry)
    for entries in list(by_number.values())[:_SHOWN]:
        if len(entries) > 1:
            lines = (f"  {entry['message']}" for entry in entries)
            yield "\n".join(["These requirements conflict:", *lines])
        elif str(entries[0]["message"]).startswith("`"):
            yield f"This requirement cannot hold: {entries[0]['message']}"
        else:
            yield str(entries[0]["message"])
    if len(by_number) > _SHOWN:
        yield f"{len(by_number) - _SHOWN} more conflicts"


def _notes(search: Search, *, is_late: bool) -> Iterator[str]:
    fewest = min((len(relaxation.changes) for relaxation in search.relaxations), default=0)
    if fewest > 1:
        yield "Dropping any single requirement would not help."
    if is_late:
        yield "The time limit stopped the search; there may be others."
    elif search.is_stopped:
        yield "The search reached its limit of work; there may be others."
    elif search.relaxations and search.is_cut:
        yield f"Only the {MOST} cheapest are listed."
    for part in search.stuck:
        names = [*(v.name for v in part.volumes[:_SHOWN]), *(w.name for w in part.workloads)]
        yield f"No change to the requirements would help {', '.join(map(visible, names))}."


_EMPTY = (
    "No disk offers in this market. Run `planner offers` to see it; a saved listing may be empty "
    "or out of date."
)


def _hint(conflicts: Sequence[Mapping[str, Any]], search: Search) -> str:
    reasons = {entry["reason"] for entry in conflicts}
    if reasons == {"budget"}:
        needed = [entry["needed_usd_month"] for entry in conflicts if "needed_usd_month" in entry]
        amount = (
            f"at least ${money(Decimal(needed[0]), is_enough=True)}"
            if len(needed) == 1
            else "what is needed"
        )
        return f"Raise the budget to {amount}, or store less."
    if search.relaxations:
        return "Make one of these changes to the demand; `planner offers` shows the market."
    return "Relax the requirement that excludes the most offers; `planner offers` shows the market."


# Existing disks: there may be a plan, but none that keeps every one of them where it is.


def _existing_conflict(
    demand: Demand, offers: Offers, existing: Existing, budget: SearchBudget
) -> Infeasible | None:
    """Return the error of a demand that only its existing disks make impossible; else None."""
    if existing.contradictions:
        return _contradicted(demand, offers, existing, budget)
    return _kept_apart(demand, offers, existing.kept, budget) if existing.kept else None


def _contradicted(
    demand: Demand, offers: Offers, existing: Existing, budget: SearchBudget
) -> Infeasible:
    """Return the error of a demand that names disks which break its requirements."""
    wrong, messages = existing.contradictions, existing.messages
    lines = [f"  {message}" for message in messages[:_SHOWN]]
    if len(messages) > _SHOWN:
        lines.append(f"  and {len(messages) - _SHOWN} more")
    ids = ", ".join(kept.disk_ids[0] for kept, _ in wrong[:_SHOWN])
    usd_month = _cost(demand, offers, existing.kept, budget)
    if usd_month is not None:
        lines.append(f"  without {ids}: ${money(usd_month)}/month")
    return Infeasible(
        "\n".join(["named disks break the requirements of their volumes:", *lines]),
        conflicts=[
            {
                "conflict": number,
                "reason": "kept",
                "message": message,
                "volume": kept.volume,
                "disks": list(kept.disk_ids),
                "irreducible": True,
            }
            for number, (message, (kept, _)) in enumerate(zip(messages, wrong, strict=True), 1)
        ],
        hint=f"take {ids} out of `disks` to buy new disks, or relax what they break",
    )


def _kept_apart(
    demand: Demand, offers: Offers, kept: Sequence[Kept], budget: SearchBudget
) -> Infeasible | None:
    """Return the error of a demand whose kept disks cannot all stay; None where they can."""
    listed: list[tuple[Decimal, str]] = []
    with suppress(OutOfBudget):
        for released in _released(demand, offers, budget):
            gone = [kept[n] for n in sorted(released)]
            released_ids = {each.disk_ids for each in gone}
            left = [each for each in kept if each.disk_ids not in released_ids]
            usd_month = _cost(demand, offers, left, budget)
            if usd_month is not None:
                which = (
                    f"{' and '.join(k.disk_ids)} for "
                    f"{' + '.join(map(visible, k.disk_group or (k.volume,)))}"
                    for k in gone
                )
                listed.append((usd_month, f"without {', '.join(which)}"))
    if not listed:
        usd_month = _cost(demand, offers, (), budget)
        if usd_month is None:
            return None
        listed.append((usd_month, "keeping none of them"))
    lines = [f"  {text}: ${money(usd_month)}/month" for usd_month, text in sorted(listed)]
    ids = list(dict.fromkeys(disk for each in kept for disk in each.disk_ids))
    message = f"no plan keeps the disks {', '.join(ids[:_SHOWN])} where they are"
    facts = {"reason": "kept", "message": message, "disks": ids, "irreducible": False}
    return Infeasible(
        "\n".join([f"{message}:", *lines]),
        conflicts=[{"conflict": 1, **facts}],
        hint="name fewer of them, or ask less of spread, groups and policy; disks cannot be moved",
    )


def _released(demand: Demand, offers: Offers, budget: SearchBudget) -> Iterator[frozenset[int]]:
    """Yield the smallest sets of kept replicas without which there is a plan, cheapest first."""
    instance = offers.instance(demand)
    pairs = movable(instance.pairs)
    catalogue = Catalogue(replace(instance, pairs=pairs))
    model = Elastic(catalogue, budget, taken=frozenset(), releasing=True)
    fewest = model.fewest()
    if fewest is None or not fewest.steps:
        return
    model.at_most(len(fewest.steps))
    for _ in range(MOST):
        best = model.cheapest()
        if best is None:
            return
        yield frozenset(step.value for step in best.steps)
        model.exclude(best.steps)


def _cost(
    demand: Demand, offers: Offers, kept: Sequence[Kept], budget: SearchBudget
) -> Decimal | None:
    """Return what the best plan that keeps some disks costs in a month; None without one."""
    instance = replace(offers, kept=lambda _: kept).instance(demand)
    try:
        best = optimum(instance, tie_break=False, time_limit_s=budget.left_s)
    except Undecided:
        return None
    return None if best is None else best.usd_month
