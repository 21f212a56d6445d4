"""The constraints of the program, as `program` lists them, written row by row."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pulp
    from numpy.typing import NDArray

    from planner.solve.instance import Tie
    from planner.solve.program import Program

    Terms = list[tuple[pulp.LpVariable, float]]


def constrain(program: Program) -> None:
    """Add every constraint of a program's scope."""
    _replicas(program)
    for v, offers in program.instance.forced:
        mine = program.of_unit[program.unit_of[v]] if v in program.unit_of else []
        if mine:
            program.add([(program.x[i], -1) for i in mine if program.offer[i] in offers], "<=", -1)
    at = dict(zip(zip(program.volume, program.offer, strict=True), program.x, strict=True))
    for place in program.instance.kept:
        if place in at:
            program.add([(at[place], 1)], "==", 1)
        elif place[0] in program.unit_of:  # left out of these columns: there is no such plan
            mine = program.of_unit[program.unit_of[place[0]]]
            program.add([(program.x[i], 1) for i in mine], "<=", 0)
    for tie in program.scope.ties:
        _same(program, tie) if tie.same else _different(program, tie)
    for w in program.scope.workloads:
        _workload(program, w)
    if program.scope.capped:
        _caps(program)
        _budgets(program)
        _share(program)


def _replicas(program: Program) -> None:
    """Place every replica, those of one volume apart where they must be."""
    for k, unit in enumerate(program.columns.units):
        program.add([(program.x[i], 1) for i in program.of_unit[k]], "==", unit.count)
        if unit.spread is not None:
            for inside in _inside(program, k, unit.spread).values():
                if len(inside) > 1:
                    program.add([(program.x[i], 1) for i in inside], "<=", len(unit.members))


def _inside(program: Program, k: int, level: str) -> dict[Any, list[int]]:
    """Return the columns of a unit in each place of a level."""
    places, inside = program.instance.places(level), defaultdict[Any, list[int]](list)
    for i in program.of_unit[k]:
        for place in places[program.offer[i]]:
            inside[place].append(i)
    return inside


def _present(program: Program, v: int, level: str) -> dict[Any, Terms]:
    """Return for each place of a level what is 1 if a volume has a replica there."""
    k = program.unit_of[v]
    unit, inside = program.columns.units[k], _inside(program, k, level)
    if unit.replicas == 1 or unit.spread == level:
        return {place: [(program.x[i], 1) for i in members] for place, members in inside.items()}
    found = {}
    for number, (place, members) in enumerate(inside.items()):
        y = program.variable(f"y_{program.rows}_{v}_{number}", 1)
        for i in members:
            program.add([(program.x[i], 1), (y, -unit.most)], "<=", 0)
        program.add([(y, 1), *((program.x[i], -1) for i in members)], "<=", 0)
        found[place] = [(y, 1.0)]
    return found


def _same(program: Program, tie: Tie) -> None:
    present = [_present(program, v, tie.level) for v in tie.members]
    replicas = [program.instance.pairs.volumes[v].replicas for v in tie.members]
    for fewer, more, are_equal in zip(present, present[1:], np.diff(replicas) == 0, strict=False):
        for place in sorted({*fewer, *more}, key=str):
            terms = [*fewer.get(place, ()), *((y, -c) for y, c in more.get(place, ()))]
            if are_equal:
                program.add(terms, "==", 0)
            elif place in fewer:
                program.add(terms, "<=", 0)


def _different(program: Program, tie: Tie) -> None:
    inside: defaultdict[Any, list[Terms]] = defaultdict(list)
    for v in tie.members:
        for place, terms in _present(program, v, tie.level).items():
            inside[place].append(terms)
    for present in inside.values():
        if len(present) > 1:
            program.add([term for terms in present for term in terms], "<=", 1)


def _workload(program: Program, w: int) -> None:
    rentals = program.instance.rentals
    if rentals is None:
        return
    for g, needs in _runnable(program, w):
        z = program.z[w, g] = program.variable(f"z_{w}_{g}", 1)
        for members in needs:
            program.add([(z, 1), *((program.x[i], -1) for i in members)], "<=", 0)
    program.add([(z, 1) for (job, _), z in program.z.items() if job == w], "==", 1)


def _runnable(program: Program, w: int) -> Iterator[tuple[int, list[tuple[int, ...]]]]:
    """Yield the first of all GPU offers that want the same, with what each mount wants."""
    rentals = program.instance.rentals
    if rentals is None:
        return
    alike: dict[tuple[tuple[int, ...], ...], NDArray[np.bool_]] = {}
    for g in np.flatnonzero(rentals.broken[w] == 0).tolist():
        wants = []
        for v in rentals.mounts[w]:
            mountable = rentals.mountable(w, v, g)
            mine = program.of_unit[program.unit_of[v]]
            wants.append(tuple(i for i in mine if mountable[program.offer[i]]))
        if all(wants):
            mask = alike.setdefault(tuple(wants), np.zeros(len(rentals.gpus), np.bool_))
            mask[g] = True
    for each, mask in alike.items():
        best = rentals.best(w, mask)
        if best is not None:
            yield best, list(each)


def used(program: Program, level: str) -> list[pulp.LpVariable]:
    """Return for each place of a level what is 1 if anything is there."""
    used: dict[Any, pulp.LpVariable] = {}
    for k, unit in enumerate(program.columns.units):
        for place, members in _inside(program, k, level).items():
            if place not in used:
                used[place] = program.variable(f"u_{level}_{program.rows}", 1)
            terms: Terms = [(program.x[i], 1) for i in members]
            most = unit.most if unit.spread == level else unit.count
            program.add([*terms, (used[place], -most)], "<=", 0)
    return list(used.values())


def _caps(program: Program) -> None:
    policy = program.instance.demand.policy
    for level, most in (("site", policy.max_sites), ("provider", policy.max_providers)):
        if most is not None:
            program.add([(u, 1) for u in used(program, level)], "<=", most)


def _budgets(program: Program) -> None:
    policy, volumes = program.instance.demand.policy, program.instance.pairs.volumes
    for owner, limit in policy.limits:
        mine = [
            (x, usd_hr)
            for x, v, usd_hr in zip(program.x, program.volume, program.usd_hr, strict=True)
            if owner is None or volumes[v].owner == owner
        ]
        if not mine:
            continue
        limit_usd_hr = limit / policy.hours_per_month
        scale = max([limit_usd_hr, *(usd_hr for _, usd_hr in mine)])
        spent = [(x, float(usd_hr / scale)) for x, usd_hr in mine]
        program.add(spent, "<=", float(limit_usd_hr / scale) * (1 + program.hair))


def _share(program: Program) -> None:
    share = program.instance.demand.policy.max_provider_share
    if share is None:
        return
    gb = program.instance.pairs.provision_gb[program.volume, program.offer].tolist()
    all_gb = program.variable("t", None, whole=False)
    sizes: Terms = [(x, float(size)) for x, size in zip(program.x, gb, strict=True)]
    program.add([*sizes, (all_gb, -1)], "==", 0)
    providers = program.instance.pairs.offers["provider"].tolist()
    held: defaultdict[str, Terms] = defaultdict(list)
    for term, o in zip(sizes, program.offer, strict=True):
        held[providers[o]].append(term)
    for terms in held.values():
        program.add([*terms, (all_gb, -float(share))], "<=", 0)
