"""The least sets of changes that give a demand a plan, cheapest first.

Each part without a plan of its own has its elastic program, and one set of each part together are
the sets of the whole. Where the policy couples everything, there is one program.
"""

from __future__ import annotations

import heapq
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from planner.analysis.elastic import LOOSE, STRICT, Elastic, Incumbent, limit_order, offer_limit
from planner.analysis.evaluator import OutOfBudget, SearchBudget
from planner.analysis.needs import Catalogue
from planner.analysis.reasons import separable_bound
from planner.analysis.relaxation import Relaxation, changes, policy_steps, relaxed
from planner.requirements.field import Step
from planner.requirements.policy import BudgetLimit, ProviderShare
from planner.solve.optimum import optimum
from planner.solve.problem import Instance
from planner.solve.stats import Undecided
from planner.units import total

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal

    import pandas as pd

    from planner.analysis.evaluator import PartsOptimum
    from planner.demand.model import Demand
    from planner.solve.existing import Kept

MOST = 10
"""Sets that are listed at most."""
_MOST_TIES = 20
"""Sets beyond those that are looked at where their costs may still be among the least."""
MANY_PAIRS = 60_000
"""Pairs of volumes and offers above which a policy is not part of an elastic program."""
_CLOSE = 1 + 1e-7


@dataclass(frozen=True)
class Option:
    """A set of steps with the values of the limits it opens, and what planning with it costs."""

    steps: frozenset[Step]
    limits: dict[Step, Any]
    usd_month: Decimal
    usd_hr: Decimal

    def named(self, old: str, new: str) -> Option:
        """Return the same for a volume that is alike."""
        other = {s: replace(s, name=new) if s.name == old else s for s in self.steps}
        values = {other[s]: value for s, value in self.limits.items()}
        return Option(frozenset(other.values()), values, self.usd_month, self.usd_hr)


@dataclass
class Options:
    """The least sets of a demand, cheapest first.

    Attributes
    ----------
    listed : list of Option
        A true beginning of the whole list.
    is_cut : bool
        Whether there are more, or may be.
    is_stopped : bool
        Whether the search ended before it was complete.
    """

    listed: list[Option] = field(default_factory=list)
    is_cut: bool = False
    is_stopped: bool = False


@dataclass
class Search:
    """What was searched for.

    Attributes
    ----------
    stuck : list of Demand
        Parts of the demand for which no set of relaxations is enough.
    is_cut, is_stopped : bool
        See `Options`.
    """

    relaxations: list[Relaxation] = field(default_factory=list)
    stuck: list[Demand] = field(default_factory=list)
    is_cut: bool = False
    is_stopped: bool = False


@dataclass(frozen=True)
class Offers:
    """What a demand is planned on: market frames as in `optimise`, and the account's disks.

    Attributes
    ----------
    disks, gpus : DataFrame
        Columns ``ADDRESSABLE`` and ``GPUS``.
    kept : function
        The replicas of a demand that live disks already are.
    """

    disks: pd.DataFrame
    gpus: pd.DataFrame | None
    kept: Callable[[Demand], Sequence[Kept]] = lambda _: ()

    def instance(self, demand: Demand, *, everywhere: bool = False) -> Instance:
        """Return a demand held against this market; see `Instance.of`."""
        kept = self.kept(demand)
        return Instance.of(demand, self.disks, self.gpus, kept, everywhere=everywhere)


def relaxations(
    instance: Instance, offers: Offers, parts: PartsOptimum, budget: SearchBudget
) -> Search:
    """Return at most ten least sets of changes that give an instance a plan, cheapest first."""
    demand = instance.demand
    search = Search()
    if demand.workloads and instance.rentals is None:
        return search
    if instance.requirements and instance.pairs.broken.size > MANY_PAIRS:
        options = _of_large(demand, parts, offers, budget, search)
    elif instance.requirements:
        options = least_sets(demand, offers, budget)
        search.stuck = [] if options.listed or options.is_stopped else [demand]
    else:
        options = _combined(parts, offers, budget, search)
    search.is_cut, search.is_stopped = options.is_cut, options.is_stopped
    search.relaxations = [_relaxation(demand, option) for option in options.listed]
    return search


def _relaxation(demand: Demand, option: Option) -> Relaxation:
    after = relaxed(demand, option.steps, option.limits)
    changed = changes(demand, after, option.steps)
    text = "; ".join(change["text"] for change in changed)
    return Relaxation(changed, text, option.usd_hr, option.usd_month, after)


def planned(demand: Demand, offers: Offers) -> tuple[Decimal, Decimal] | None:
    """Return what a demand costs in a month and in an hour; None without a plan.

    Raises
    ------
    OutOfBudget
        When the solver cannot tell.
    """
    instance = offers.instance(demand)
    try:
        best = optimum(instance, tie_break=False)
    except Undecided as error:
        raise OutOfBudget from error
    if best is None:
        return None
    rentals = instance.rentals
    gpus = () if rentals is None else (rentals.usd_hr(w, g) for w, g in best.rented.items())
    return best.usd_month, total([instance.disk_usd_hr(best.chosen), *gpus])


def least_sets(demand: Demand, offers: Offers, budget: SearchBudget) -> Options:
    """Return the least sets of steps that give a demand a plan, at most ten, cheapest first.

    A set is priced by planning with it. The elastic cost, with every limit fully open, is never
    above that, so a set is listed once no later one can be cheaper.
    """
    catalogue = Catalogue(offers.instance(demand, everywhere=True))
    options, failed, tolerance = Options(), list[frozenset[Step]](), LOOSE
    try:
        while not options.listed and not options.is_stopped:
            model = Elastic(catalogue, budget, tolerance=tolerance)
            for steps in failed:
                model.exclude(steps)
            fewest = model.fewest()
            if fewest is None:
                break
            model.at_most(len(fewest.steps))
            beyond = _enumerate(model, demand, offers, options)
            failed += beyond if tolerance == STRICT else []
            tolerance = STRICT
    except OutOfBudget:
        options.is_stopped = True
    options.is_cut = options.is_stopped or len(options.listed) > MOST
    options.listed = sorted(options.listed, key=_rank)[:MOST]
    return options


def _enumerate(
    model: Elastic, demand: Demand, offers: Offers, options: Options
) -> list[frozenset[Step]]:
    """List the sets of a model, cheapest first; return those that are not enough after all.

    What is listed when no more work may be done is a true beginning of the list, or, where that
    has nothing in it, what there is.
    """
    hours = demand.policy.hours_per_month
    priced, failed = list[Option](), list[frozenset[Step]]()
    bound = 0.0
    try:
        for _ in range(MOST + _MOST_TIES):
            best = model.cheapest()
            bound = float("inf") if best is None else best.objective * hours * _CLOSE
            options.listed = [option for option in priced if float(option.usd_month) <= bound]
            if best is None or len(options.listed) > MOST:
                return failed
            model.exclude(best.steps)
            option = _priced(demand, offers, model.catalogue, best.steps, model.budget)
            priced += [] if option is None else [option]
            failed += [best.steps] if option is None else []
    except OutOfBudget:
        options.is_stopped = True
    options.is_stopped |= len(options.listed) < MOST
    options.listed = options.listed or priced
    return failed


def _priced(
    demand: Demand,
    offers: Offers,
    catalogue: Catalogue,
    steps: frozenset[Step],
    budget: SearchBudget,
) -> Option | None:
    """Return a set of steps with its limits and what planning with it costs."""
    values = least_limits(catalogue, steps, budget)
    if values is None:
        return None
    cost = planned(relaxed(demand, steps, values), offers)
    return None if cost is None else Option(steps, values, *cost)


def _of_large(
    demand: Demand, parts: PartsOptimum, offers: Offers, budget: SearchBudget, search: Search
) -> Options:
    """Return sets of a demand that is too large for one program: there may be others.

    Where parts fail, their least sets, as far as the policy allows them; else one limit of the
    policy at a time.
    """
    options = Options(is_cut=True, is_stopped=True)
    if parts.failing:
        for combined in _combined(parts, offers, budget, search).listed:
            cost = planned(relaxed(demand, combined.steps, combined.limits), offers)
            if cost is not None:
                options.listed.append(Option(combined.steps, combined.limits, *cost))
    else:
        for step in policy_steps(demand):
            with suppress(OutOfBudget):
                option = _one_limit(demand, offers, step, budget)
                options.listed += [] if option is None else [option]
    options.listed.sort(key=_rank)
    return options


def _one_limit(demand: Demand, offers: Offers, step: Step, budget: SearchBudget) -> Option | None:
    """Return one limit of the policy at its least sufficient value, and what planning costs.

    A budget needs no search where the cheapest plan without it also spends least.
    """
    steps = frozenset([step])
    if "budget" in step.field:
        instance = offers.instance(relaxed(demand, steps))
        best = optimum(instance, tie_break=False)
        if best is None:
            return None
        limit = BudgetLimit(None, step.name or None)
        spent = limit.least(instance, best.chosen)
        if spent == separable_bound(instance, limit.owner):
            limits = {step: limit.fitted(spent)}
            cost = planned(relaxed(demand, steps, limits), offers)
            return None if cost is None else Option(steps, limits, *cost)
    catalogue = Catalogue(offers.instance(demand, everywhere=True))
    return _priced(demand, offers, catalogue, steps, budget)


def _rank(option: Option) -> tuple[Any, ...]:
    return option.usd_month, sorted(map(str, option.steps))


def _combined(parts: PartsOptimum, offers: Offers, budget: SearchBudget, search: Search) -> Options:
    """Return one set of each failing part together: no part has a say in another."""
    lists: list[Options] = []
    alike: dict[str, tuple[str, Options]] = {}
    for part in parts.failing:
        options = _of_part(part, offers, budget, alike)
        if not options.listed and not options.is_stopped:
            search.stuck.append(part)
        lists.append(options)
    if search.stuck or not all(options.listed for options in lists):
        return Options(is_stopped=any(options.is_stopped for options in lists))
    return _sums(lists, Option(frozenset(), {}, parts.usd_month, parts.usd_hr))


def _of_part(
    part: Demand, offers: Offers, budget: SearchBudget, alike: dict[str, tuple[str, Options]]
) -> Options:
    """Return the least sets of a part; a single volume may be like another one."""
    if len(part.volumes) > 1 or part.workloads:
        return least_sets(part, offers, budget)
    (volume,) = part.volumes
    same: dict[str, Any] = {"name": "x", "owner": None, "tags": {}, "disks": ()}
    key = volume.model_copy(update=same).model_dump_json()
    if key not in alike:
        alike[key] = volume.name, least_sets(part, offers, budget)
    name, options = alike[key]
    return replace(options, listed=[option.named(name, volume.name) for option in options.listed])


def _sums(lists: list[Options], rest: Option) -> Options:
    """Return the cheapest sums of one option of each list, the cheapest first."""
    made = Options(is_stopped=any(options.is_stopped for options in lists))
    limit = min(
        (_next_sum(lists, n) for n, options in enumerate(lists) if options.is_stopped), default=None
    )
    start = (0,) * len(lists)
    heap = [(_sum_month(lists, start), start)]
    seen = {start}
    while heap and len(made.listed) <= MOST:
        usd_month, at = heapq.heappop(heap)
        if limit is not None and usd_month > limit:
            break
        chosen = [options.listed[n] for options, n in zip(lists, at, strict=True)]
        made.listed.append(
            Option(
                frozenset().union(*(option.steps for option in chosen)),
                {step: value for option in chosen for step, value in option.limits.items()},
                total([rest.usd_month, *(option.usd_month for option in chosen)]),
                total([rest.usd_hr, *(option.usd_hr for option in chosen)]),
            )
        )
        for n, options in enumerate(lists):
            after = (*at[:n], at[n] + 1, *at[n + 1 :])
            if after[n] < len(options.listed) and after not in seen:
                seen.add(after)
                heapq.heappush(heap, (_sum_month(lists, after), after))
    made.is_cut = (
        made.is_stopped or len(made.listed) > MOST or any(options.is_cut for options in lists)
    )
    made.listed = made.listed[:MOST]
    return made


def _sum_month(lists: list[Options], at: tuple[int, ...]) -> Decimal:
    return total(options.listed[n].usd_month for options, n in zip(lists, at, strict=True))


def _next_sum(lists: list[Options], stopped: int) -> Decimal:
    """Return what a sum costs at least that takes what a stopped list does not have."""
    last = (len(options.listed) - 1 if n == stopped else 0 for n, options in enumerate(lists))
    return _sum_month(lists, tuple(last))


# The least sufficient value of each limit that a set of steps opens. Limits take theirs one after
# another, in the order of `LIMITS`: each the strictest beside those before it, with those after it
# open. Every value is read off a solution, so that the last solution is a plan under all of them.


def least_limits(
    catalogue: Catalogue, steps: frozenset[Step], budget: SearchBudget
) -> dict[Step, Any] | None:
    """Return the value of each limit that steps open; None where the steps are not enough.

    Raises
    ------
    OutOfBudget
        When no more work may be done.
    """
    limits = sorted((step for step in steps if step.is_limit), key=limit_order)
    if not limits:
        return {}
    model = Elastic(catalogue, budget, taken=steps)
    values: dict[Step, Any] = {}
    for step in limits:
        limit = model.limits.get(step)
        if isinstance(limit, ProviderShare):
            incumbent = _least_share(model, limit)
        else:
            incumbent = model.least(model.limit_terms(step))
        if incumbent is None:
            return None
        values[step] = _value(model, step, incumbent)
    return values


def _value(model: Elastic, step: Step, incumbent: Incumbent) -> Any:  # noqa: ANN401 -- the limit's
    """Return what a solution asks of a limit, and hold it from now on."""
    instance, chosen = model.instance, incumbent.chosen
    if step.kind == "provider":
        return model.hold_pods(step)
    if step.kind == "volume":
        v = instance.index[step.name]
        on_offers = offer_limit(step)
        if on_offers is None:
            level = incumbent.spread[v]
            model.hold_spread(v, level)
            return level
        most = max(on_offers.measure(instance, v, o) for o in chosen[v])
        model.hold_places(v, lambda o: bool(on_offers.measure(instance, v, o) <= most))
        return most
    limit = model.limits[step]
    least = limit.fitted(limit.least(instance, chosen))
    if isinstance(limit, ProviderShare):
        terms, reached = limit.excess(model, float(least))
        model.add(terms, "<=", reached + 1e-9)
    else:
        terms = model.limit_terms(step)
        reached = sum(c * (x.value() or 0) for x, c in terms)
        model.add(terms, "<=", reached * (1 + 1e-9))
    return least


def _least_share(model: Elastic, limit: ProviderShare) -> Incumbent | None:
    """Return a solution in which the largest share is least (Dinkelbach's method)."""
    best = model.cheapest()
    while best is not None:
        share = limit.least(model.instance, best.chosen)
        better = model.least(limit.excess(model, float(share))[0])
        if better is None or limit.least(model.instance, better.chosen) >= share:
            return best
        best = better
    return None
