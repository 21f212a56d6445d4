"""The least sufficient value of each limit that a set of steps opens.

Limits take their values one after another, in the order of ``LIMITS``: each the strictest beside
those before it, with those after it open. Every value is read off a solution in exact numbers, so
that the last solution is a plan under all of them.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Context
from typing import TYPE_CHECKING, Any

from planner.analysis.elastic import Elastic, Incumbent, limit_order, offer_limit
from planner.requirements.policy import ProviderShare

if TYPE_CHECKING:
    from planner.analysis.evaluator import SearchBudget
    from planner.analysis.needs import Catalogue
    from planner.requirements.field import Step

SHARE_PLACES = 12
_CEILING = Context(prec=200, rounding=ROUND_CEILING)


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
