"""The least sufficient value of each limit that a set of steps opens.

Limits take their values one after another, in the order of ``LIMITS``: each the strictest beside
those before it, with those after it open. Every value is read off a solution in exact numbers, so
that the last solution is a plan under all of them.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Context, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from planner.analysis.elastic import Elastic, Incumbent, limit_order, offer_limit
from planner.requirements.policy import BudgetLimit, ProviderShare
from planner.units import MAX_PRICE_DIGITS, usd_month

if TYPE_CHECKING:
    from planner.analysis.evaluator import SearchBudget
    from planner.analysis.needs import Catalogue
    from planner.requirements.field import Step
    from planner.solve.problem import Chosen, Instance

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
        if isinstance(model.limits.get(step), ProviderShare):
            incumbent = _least_share(model)
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
    if isinstance(limit, ProviderShare):
        share = _rounded(share_of(instance, incumbent))
        model.add(model.share_terms(float(share)), "<=", model.share_shift + 1e-9)
        return share
    terms = model.limit_terms(step)
    reached = sum(c * (x.value() or 0) for x, c in terms)
    model.add(terms, "<=", reached * (1 + 1e-9))
    least = limit.least(instance, chosen)
    return fitted(least) if isinstance(limit, BudgetLimit) else least


def spent_month(instance: Instance, chosen: Chosen, owner: str | None) -> Decimal:
    """Return what chosen disks cost in a month, those of one owner or all."""
    volumes = instance.pairs.volumes
    mine = {v: o for v, o in chosen.items() if owner is None or volumes[v].owner == owner}
    return usd_month(instance.disk_usd_hr(mine), instance.demand.policy.hours_per_month)


def _least_share(model: Elastic) -> Incumbent | None:
    """Return a solution in which the largest share is least (Dinkelbach's method)."""
    best = model.cheapest()
    while best is not None:
        share = share_of(model.instance, best)
        better = model.least(model.share_terms(float(share)))
        if better is None or share_of(model.instance, better) >= share:
            return best
        best = better
    return None


def share_of(instance: Instance, incumbent: Incumbent) -> Fraction:
    """Return the largest share of all GB that a provider holds in a solution."""
    pairs = instance.pairs
    providers = pairs.offers["provider"].tolist()
    held: dict[str, int] = {}
    for v, offers in incumbent.chosen.items():
        for o in offers:
            held[providers[o]] = held.get(providers[o], 0) + int(pairs.provision_gb[v, o])
    return Fraction(max(held.values()), sum(held.values()))


def _rounded(share: Fraction) -> Decimal:
    """Return a share with the places that a demand may have, rounded up."""
    scaled = -(-share.numerator * 10**SHARE_PLACES // share.denominator)
    return Decimal(max(scaled, 1)).scaleb(-SHARE_PLACES).normalize()


def fitted(amount: Decimal) -> Decimal:
    """Return an amount with no more digits than a demand may have, rounded up."""
    places = MAX_PRICE_DIGITS - max(1, amount.adjusted() + 1)
    exponent = amount.as_tuple().exponent
    if isinstance(exponent, int) and -exponent > places:
        return amount.quantize(Decimal(1).scaleb(-places), context=_CEILING)
    return amount
