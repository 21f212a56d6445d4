"""Why this plan: every choice with its alternatives, and what each requirement costs.

Every amount is the exact difference between two plans: the plan, and the best one with a volume
elsewhere or without a requirement. Nothing else is held fixed, so that what has to move does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from planner.analysis.answers import NEAR_OPTIMAL, NOT_EVALUATED, RANGES, Answer, ExtraCosts
from planner.analysis.changes import edited, rented_from
from planner.demand.fields import MAX_CAP
from planner.formats import batches
from planner.present.progress import tracked, working
from planner.present.table import counted, ranged
from planner.requirements import volume as asked_of_volumes
from planner.requirements import workload as asked_of_workloads
from planner.requirements.policy import policy_requirements
from planner.schema import AMOUNT, EXACT, TEXT, WHOLE, YES_NO, Column, build, from_columns, joined
from planner.solve.candidates import rules_of
from planner.solve.packing import stated_limits
from planner.solve.rentals import gpu_rules_of
from planner.text import visible
from planner.units import averaged_usd_hr, difference, total

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from decimal import Decimal

    import pandas as pd
    from numpy.typing import NDArray

    from planner.analysis.evaluator import Evaluator
    from planner.demand.model import Demand, Group, Volume, Workload
    from planner.solve.problem import Instance
    from planner.solve.rentals import Rentals


_EXTRA = (
    Column("extra_usd_hr", AMOUNT, "the same as an hourly average, see averaged_usd_hr"),
    Column("extra_usd_month", AMOUNT, "how much dearer the whole plan is; null: why"),
    Column("least_extra_usd_month", AMOUNT, "what is proven of that: it is no less"),
    Column("why", TEXT, "why there is no amount, or how sure it is; else empty"),
)
CHOICES = (
    Column("volume", TEXT, "name in the demand"),
    Column("replica", WHOLE, "from 1"),
    Column("offer_id", TEXT, "chosen offer"),
    Column("provider", TEXT, "of the chosen offer"),
    Column("data_center", TEXT, "of the chosen offer; null: unknown"),
    Column("country", TEXT, "of the chosen offer; null: unknown"),
    Column("usd_hr", AMOUNT, "hourly cost of the replica"),
    Column("next_offer_id", TEXT, "where it goes in the best plan without the chosen offer"),
    Column("next_provider", TEXT, "of that offer; null: there is no such plan"),
    Column("next_data_center", TEXT, "of that offer; null: unknown"),
    *_EXTRA,
)
"""Columns of the choices, in the demand's order.

The runner-up of a replica belongs to the best plan in which its volume has no replica at the
chosen offer; amounts compare that whole plan with this one.
"""
OFFERS = (
    Column("volume", TEXT, "name in the demand"),
    Column("offer_id", TEXT, "short id of the offer, of the dearest row where several are one"),
    Column("provider", TEXT, "where; null: the row names none"),
    Column("data_center", TEXT, "where; null: unknown"),
    Column("country", TEXT, "where; null: unknown"),
    Column("chosen", YES_NO, "a replica of the volume is there"),
    Column("rules", EXACT, "tuple of every rule it breaks, see RULES; empty: a candidate"),
    *_EXTRA,
)
"""Columns of every volume at every offer: by volume, what is possible first, cheapest first."""
WORKLOAD_GPUS = (
    Column("workload", TEXT, "name in the demand"),
    Column("offer_id", TEXT, "short id of the GPU offer"),
    Column("provider", TEXT, "where"),
    Column("data_center", TEXT, "where; null: unknown"),
    Column("country", TEXT, "where; null: unknown"),
    Column("gpu_type", TEXT, "model"),
    Column("socket", TEXT, "null: unknown"),
    Column("chosen", YES_NO, "the workload runs there"),
    Column("rules", EXACT, "tuple of every rule it breaks, see GPU_RULES; empty: a candidate"),
    *_EXTRA,
)
"""Columns of every workload at every GPU offer: by workload, then as for volumes."""


def choices(evaluator: Evaluator, volumes: Sequence[int]) -> pd.DataFrame:
    """Return where volumes are and where they would be otherwise (columns ``CHOICES``)."""
    pairs, base = evaluator.instance.pairs, evaluator.instance.pairs.base
    moves: dict[int, list[tuple[int, int | None, Answer]]] = {}
    for v in tracked(_dearest(evaluator, volumes), "Testing volumes elsewhere"):
        mine = [*map(base, evaluator.chosen[v])]
        asked = {o: _elsewhere(evaluator, v, o) for o in dict.fromkeys(mine)}
        moves[v] = [
            (o, _next(mine, o, [*map(base, asked[o].chosen.get(v, ()))]), asked[o]) for o in mine
        ]
    listed = [(v, move) for v in sorted(moves) for move in moves[v]]
    here = np.array([o for _, (o, _, _) in listed], np.int64)
    there = np.array([-1 if o is None else o for _, (_, o, _) in listed], np.int64)
    columns: dict[str, Any] = {
        "volume": [pairs.volumes[v].name for v, _ in listed],
        "replica": [replica for v in sorted(moves) for replica, _ in enumerate(moves[v], 1)],
        "usd_hr": [pairs.usd_hr(v, o) for v in sorted(moves) for o in evaluator.chosen[v]],
        **evaluator.extra_costs([answer for _, (_, _, answer) in listed])._asdict(),
    }
    for name in _PLACE:
        known = np.array([*(row[name] for row in pairs.facts.rows), None], object)
        columns |= {name: known[here], f"next_{name}": known[there]}
    return from_columns(columns, CHOICES)


def _dearest(evaluator: Evaluator, volumes: Sequence[int]) -> list[int]:
    """Return volumes by cost, the dearest first: where not all are answered, these are."""
    instance, chosen = evaluator.instance, evaluator.chosen
    return sorted(volumes, key=lambda v: -instance.disk_usd_hr({v: chosen[v]}))


_PLACE = ("offer_id", "provider", "data_center", "country")


def _elsewhere(evaluator: Evaluator, v: int, o: int) -> Answer:
    pairs = evaluator.instance.pairs
    if v in evaluator.live and (v, o) in evaluator.instance.kept:
        return Answer(None, {}, {}, "existing disk, kept")
    admissible = np.flatnonzero(pairs.broken[v] == 0)
    if not pairs.shared:
        is_only = len(admissible) == 1
    else:
        is_only = len({*map(pairs.base, admissible.tolist())}) == 1
    if is_only:
        return Answer(None, {}, {}, "no other offer is admissible")
    return evaluator.evaluate_without(v, o)


def _next(mine: Sequence[int], gone: int, others: Sequence[int]) -> int | None:
    """Return where the replica goes that was at an offer: the first place that is new."""
    kept = Counter(mine)
    del kept[gone]
    new = sorted((Counter(others) - kept).elements())
    return new[0] if new else None


def _costs(evaluator: Evaluator, answer: Answer) -> dict[str, Any]:
    return {name: value for name, (value,) in evaluator.extra_costs([answer])._asdict().items()}


def offers(
    evaluator: Evaluator, volumes: Sequence[int], wanted: Sequence[int] | None = None
) -> pd.DataFrame:
    """Return what every offer would cost or break (columns ``OFFERS``).

    Parameters
    ----------
    wanted : sequence of int | None
        Offers to look at; None looks at all.
    """
    return joined(offer_blocks(evaluator, volumes, wanted), OFFERS)


_VOLUMES = 64
"""Volumes whose offers are listed together."""


def offer_blocks(
    evaluator: Evaluator, volumes: Sequence[int], wanted: Sequence[int] | None = None
) -> Iterator[pd.DataFrame]:
    """Yield the same for a few volumes at a time; see `offers`.

    Where programs are solved, the most expensive volumes are answered first, and then all listed.
    """
    pairs, title = evaluator.instance.pairs, "Testing the offers of volumes"
    every = np.arange(pairs.own) if wanted is None else np.array(wanted, np.int64)
    at: dict[int, _AtOffers] = {}
    if not evaluator.is_free(volumes):
        at = {v: _at(evaluator, v, every) for v in tracked(_dearest(evaluator, volumes), title)}
    with working("" if at else title, len(volumes)) as task:
        for some in batches(volumes, _VOLUMES):
            mine = [at.pop(v) if v in at else _at(evaluator, v, every) for v in some]
            place = np.concatenate([every[:0], *(every[each.order] for each in mine)])
            listed = pairs.offers[[*_PLACE]].iloc[place].reset_index(drop=True)
            columns: dict[str, Any] = {
                name: [x for each in mine for x in each.sorted(name)] for name in _AT
            }
            names = np.array([pairs.volumes[v].name for v in some], object)
            columns |= {"volume": np.repeat(names, len(every)), **listed}
            yield from_columns(columns, OFFERS)
            task.advance(len(some))


_AT = ("chosen", "rules", *ExtraCosts._fields)


@dataclass(frozen=True)
class _AtOffers:
    """What each offer costs or breaks for a volume, and in which order they are shown."""

    chosen: list[bool]
    rules: list[tuple[str, ...]]
    costs: ExtraCosts

    @cached_property
    def order(self) -> list[int]:
        """Return the numbers of offers: the chosen first, what is possible, cheapest first."""
        more, nothing = self.costs.extra_usd_month, total([])
        keys = [
            (not here, len(rules), usd is None, usd or nothing)
            for here, rules, usd in zip(self.chosen, self.rules, more, strict=True)
        ]
        return sorted(range(len(keys)), key=keys.__getitem__)

    def sorted(self, name: str) -> list[Any]:
        """Return a column in that order."""
        column = getattr(self.costs if name in ExtraCosts._fields else self, name)
        return [column[n] for n in self.order]


def _at(evaluator: Evaluator, v: int, offers: NDArray[np.int64]) -> _AtOffers:
    pairs = evaluator.instance.pairs
    bits, here = pairs.rules_at(v)[offers], np.isin(offers, [*map(pairs.base, evaluator.chosen[v])])
    possible = np.flatnonzero((bits == 0) & ~here)
    usd = [total([]) if is_here else None for is_here in (here & (bits == 0)).tolist()]
    why = ["it breaks rules" if each else "" for each in bits.tolist()]
    columns: tuple[list[Any], ...] = ([*usd], [*usd], [*usd], why)
    answers = evaluator.evaluate_at(v, offers[possible].tolist())
    for column, known in zip(columns, answers, strict=True):
        for n, value in zip(possible.tolist(), known, strict=True):
            column[n] = value
    return _AtOffers(here.tolist(), [*map(rules_of, bits.tolist())], ExtraCosts(*columns))


def gpus(evaluator: Evaluator, workloads: Sequence[int]) -> pd.DataFrame:
    """Return what every GPU offer would cost or break (columns ``WORKLOAD_GPUS``)."""
    rentals = evaluator.instance.rentals
    if rentals is None:
        return build([], WORKLOAD_GPUS)
    rows: list[dict[str, Any]] = []
    for w in tracked(workloads, "Testing the GPUs of workloads"):
        rows += sorted(_gpus_of(evaluator, rentals, w), key=_cheapest_first)
    return build(rows, WORKLOAD_GPUS)


def _cheapest_first(row: dict[str, Any]) -> tuple[Any, ...]:
    amount: Decimal | None = row["extra_usd_month"]
    return (not row["chosen"], len(row["rules"]), amount is None, amount or 0)


def _gpus_of(evaluator: Evaluator, rentals: Rentals, w: int) -> Iterator[dict[str, Any]]:
    """Yield a row for each GPU offer; those that meet the same disks are asked about at once."""
    several, known = rentals.several_nodes(w), dict[tuple[bytes, bool], tuple[int, Answer]]()
    for g, row in enumerate(tracked(rentals.rows, "Testing GPU offers")):
        rules = gpu_rules_of(int(rentals.broken[w, g]))
        here = evaluator.rented[w] == g
        amounts = _costs(evaluator, Answer(None, {}, {}, "it breaks rules"))
        if here:
            amounts = _costs(evaluator, Answer(evaluator.usd_month, {}, {}))
        elif not rules:
            look = rentals.meets[g].tobytes(), bool(several[g])
            if look not in known:
                alike = (rentals.meets == rentals.meets[g]).all(axis=1) & (several == several[g])
                known[look] = _anywhere_of(evaluator, rentals, w, alike)
            best, answer = known[look]
            if answer.usd_month is not None:
                dearer = difference(rentals.usd_month(w, g), rentals.usd_month(w, best))
                least = answer.least_month and total([answer.least_month, dearer])
                answer = Answer(total([answer.usd_month, dearer]), {}, {}, answer.why, least)
            amounts = _costs(evaluator, answer)
        yield {
            **row,
            "workload": rentals.workloads[w].name,
            "chosen": here,
            "rules": rules,
        } | amounts


def _anywhere_of(
    evaluator: Evaluator, rentals: Rentals, w: int, alike: np.ndarray[Any, np.dtype[np.bool_]]
) -> tuple[int, Answer]:
    """Return the cheapest of GPU offers at one place, and the best plan on it."""
    best = rentals.best(w, alike)
    assert best is not None, "one of them is a candidate"  # noqa: S101 -- the caller looked
    only = np.zeros(len(alike), np.bool_)
    only[best] = True
    part = evaluator.part_of(rentals.mounts[w][0])
    return best, evaluator.evaluate(part, rented_from(rentals.workloads[w].name, only))


# What requirements cost.


REQUIREMENTS = (
    Column("about", TEXT, "volume or workload; null: a group or the policy"),
    Column("requirement", TEXT, "what is asked, as the demand file has it"),
    Column("without", TEXT, "what the comparison does instead"),
    Column("saves_usd_hr", AMOUNT, "the same as an hourly average, see averaged_usd_hr"),
    Column("saves_usd_month", AMOUNT, "how much cheaper the best plan is without it"),
    Column("most_saves_usd_month", AMOUNT, "what is proven of that: it is no more"),
    Column("why", TEXT, "why there is no amount, or how sure it is; else empty"),
)
"""Columns of the requirements: the dearest first, then those that cost nothing, as demanded."""

_Edit = Callable[["Demand"], "Demand"]


@dataclass(frozen=True, slots=True)
class _Requirement:
    """One thing asked; ``volume`` is one it is about, None where it is about all.

    What is asked of that volume and of nothing else has ``lifted``, the volume without it.
    """

    about: str | None
    text: str
    instead: str
    edit: _Edit | None
    volume: int | None = None
    lifted: Callable[[Volume], Volume] | None = None

    @property
    def edited(self) -> _Edit:
        """Return what takes it from a demand."""
        if self.edit is not None:
            return self.edit
        assert self.about is not None, "a volume has a name"  # noqa: S101
        assert self.lifted is not None, "it is asked of a volume"  # noqa: S101
        return _edit("volumes", self.about, self.lifted)


def requirements(evaluator: Evaluator, volume: int | None = None) -> pd.DataFrame:
    """Return what every requirement costs (columns ``REQUIREMENTS``).

    A requirement that makes nothing dearer saves zero: also where the demand is harder without
    it, as one replica less may leave one provider with too large a share.

    Parameters
    ----------
    volume : int | None
        Only those of a volume, its groups and its workloads; None takes all, and the policy's.
    """
    asked = [*_all(evaluator.instance, volume)]
    order: dict[int | None, int] = {None: len(evaluator.chosen)}  # the policy comes last
    order |= {v: n for n, v in enumerate(_dearest(evaluator, [*evaluator.chosen]))}
    place = sorted(range(len(asked)), key=lambda n: order[asked[n].volume])
    savings = {
        n: _saving(evaluator, answer)
        for n, answer in zip(place, _answers(evaluator, [asked[n] for n in place]), strict=True)
    }
    place.sort(key=lambda n: _dearest_first(savings[n], n))
    saves = [savings[n].usd_month for n in place]
    hours = evaluator.hours
    columns = {
        "about": [asked[n].about for n in place],
        "requirement": [asked[n].text for n in place],
        "without": [asked[n].instead for n in place],
        "saves_usd_hr": [None if usd is None else averaged_usd_hr(usd, hours) for usd in saves],
        "saves_usd_month": saves,
        "most_saves_usd_month": [savings[n].most_month for n in place],
        "why": [savings[n].why for n in place],
    }
    return from_columns(columns, REQUIREMENTS)


_TOGETHER = 1000
"""Volumes that are looked at together, each without something that it asks for."""


def _answers(evaluator: Evaluator, asked: Sequence[_Requirement]) -> Iterator[Answer]:
    volumes = evaluator.instance.volumes
    with working("Testing requirements", len(asked)) as task:
        for start in range(0, len(asked), _TOGETHER):
            block = asked[start : start + _TOGETHER]
            own = [
                (n, each.volume, each.lifted(volumes[each.volume]))
                for n, each in enumerate(block)
                if each.lifted is not None and each.volume is not None
            ]
            answers = evaluator.evaluate_volumes([(v, changed) for _, v, changed in own])
            known = dict(zip((n for n, _, _ in own), answers, strict=True))
            for n, requirement in enumerate(block):
                yield known.get(n) or _answer(evaluator, requirement)
                task.advance()


class _Saving(NamedTuple):
    """What a plan without a requirement saves, what is proven of that, and how sure it is."""

    usd_month: Decimal | None
    most_month: Decimal | None
    why: str


def _saving(evaluator: Evaluator, answer: Answer) -> _Saving:
    least = answer.usd_month if answer.least_month is None else answer.least_month
    saves, most = (
        None if usd_month is None else max(difference(evaluator.usd_month, usd_month), total([]))
        for usd_month in (answer.usd_month, least)
    )
    if most is None and answer.why != NOT_EVALUATED:
        return _Saving(total([]), total([]), "")  # what has no plan without it has none with it
    saves = total([]) if saves is None and most == 0 else saves
    return _Saving(saves, most, answer.why if most is None or saves != most else "")


def _dearest_first(saving: _Saving, place: int) -> tuple[bool, Decimal, int]:
    usd = saving.usd_month or saving.most_month
    return (usd is None, -(usd or total([])), place)


def _answer(evaluator: Evaluator, requirement: _Requirement) -> Answer:
    if requirement.volume is None:
        return evaluator.evaluate_whole(edited(requirement.edited))
    part = evaluator.part_of(requirement.volume)
    lonely = [w for w in requirement.edited(part.instance.demand).workloads if not w.mounts]
    if not lonely:
        return evaluator.evaluate(part, edited(requirement.edited))
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
            for field in asked_of_volumes.priced_of(volume):
                text, instead = field.text, field.instead
                yield _Requirement(volume.name, text, instead, None, v, field.lifted)
    for group in demand.groups:
        if name is None or name in group.volumes:
            yield from _of_group(group, at)
    for workload in demand.workloads:
        if name is None or name in workload.mounts:
            for field in asked_of_workloads.priced_of(workload):
                edit = _edit("workloads", workload.name, field.lifted)
                mounted = at[workload.mounts[0]]
                yield _Requirement(workload.name, field.text, field.instead, edit, mounted)
    yield from _of_pods(instance, only)
    if only is None:
        yield from _of_policy(demand)


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


def _of_pods(instance: Instance, only: int | None) -> Iterator[_Requirement]:
    """Yield how many disks one pod of a provider can mount, where a job may need more there."""
    limits, rentals, demand = instance.limits, instance.rentals, instance.demand
    if limits is None or rentals is None:
        return
    jobs = [w for w, mounts in enumerate(rentals.mounts) if only is None or only in mounts]
    possible = (rentals.broken[jobs] == 0)[limits.limited[jobs]].any(axis=0)
    providers = rentals.gpus["provider"][possible].tolist()
    for provider, most in sorted(stated_limits(demand).items()):
        if provider not in providers:
            continue
        pods = {**demand.policy.attach_limits, provider: MAX_CAP}

        def edit(demand: Demand, pods: dict[str, int] = pods) -> Demand:
            policy = demand.policy.model_copy(update={"attach_limits": pods})
            return demand.model_copy(update={"policy": policy})

        text = f"policy attach_limits: {{{visible(provider)}: {most}}}"
        yield _Requirement(None, text, "no limit", edit)


def _of_policy(demand: Demand) -> Iterator[_Requirement]:
    for requirement in policy_requirements(demand.policy):
        changed = requirement.lifted(demand.policy)

        def edit(demand: Demand, changed: Any = changed) -> Demand:  # noqa: ANN401 -- a policy
            return demand.model_copy(update={"policy": changed})

        yield _Requirement(None, f"policy {requirement.text}", "no limit", edit)


def costly(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the requirements that cost something, or may."""
    answers = zip(frame["saves_usd_month"], frame["why"], strict=True)
    return frame[[why in RANGES or (saves is not None and saves > 0) for saves, why in answers]]


def with_range(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with a range for its amount, where no more is known of it."""
    if row["why"] not in RANGES:
        return {**row}
    if "saves_usd_month" in row:
        amount = ranged(row["saves_usd_month"], row["most_saves_usd_month"], "usd_month")
        return {**row, "saves_usd_month": amount}
    amount = ranged(row["least_extra_usd_month"], row["extra_usd_month"], "difference")
    return {**row, "extra_usd_month": amount}


def sureness(frame: pd.DataFrame) -> list[str]:
    """Return what there is to say of amounts that are not exact."""
    why, notes = frame["why"].tolist(), []
    ranges = sum(each in RANGES for each in why)
    if NEAR_OPTIMAL in why:
        notes.append("amounts are proven to a millionth of the plan's cost, not to the cent")
    if ranges:
        what = "1 amount is a range" if ranges == 1 else f"{ranges} amounts are ranges"
        notes.append(f"{what}; --volume NAME solves those of one volume")
    return notes


def unanswered(frame: pd.DataFrame) -> int:
    """Return how many rows of an answer were not worked out."""
    return int((frame["why"] == NOT_EVALUATED).sum())


def free_notes(frame: pd.DataFrame) -> list[str]:
    """Return what there is to say of the requirements that are not `costly`."""
    left = unanswered(frame)
    free = len(frame) - len(costly(frame)) - left
    more = "more requirement" if len(costly(frame)) else "requirement"
    notes = sureness(frame)
    notes += [f"{counted(free, more)} cost{'s' * (free == 1)} nothing alone"] if free else []
    asked = f"{counted(left, 'more requirement')} not worked out; ask for a volume with --volume"
    return [*notes, *([asked] if left else [])]
