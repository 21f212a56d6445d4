"""The least value of a limit that is enough for a plan, everything else as demanded.

Prices, disks, sites and providers are searched among the few values that can matter. A share is
lowered from plan to plan until none has less. A budget is what the disks that it covers cost at
least, in a program of their own where GPUs or other owners have a say in the total.
"""

from __future__ import annotations

import time
from contextlib import suppress
from decimal import ROUND_CEILING, Context, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from planner.solve.decompose import Effort, Undecided
from planner.solve.whynot.spending import floor_spending, least_spending, spent_month
from planner.solve.whynot.steps import LIMITS, Step, relaxed
from planner.solve.whynot.trials import Exhausted, Plan, Unclear
from planner.units import MAX_PRICE_DIGITS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from planner.demand.model import Demand
    from planner.solve.whynot.trials import Bench

SHARE_PLACES = 12
_NEAR = (1e-9, 1e-8, 1e-7, 1e-6)
"""How far below a share the next is looked for; the first that a solver can tell from it."""
_PATIENCE_S = 10.0
_CEILING = Context(prec=200, rounding=ROUND_CEILING)


class _Plan(Plan):
    """A plan, and what limits ask of it."""

    def offers_of(self, name: str) -> list[int]:
        """Return the offers of a volume."""
        names = [volume.name for volume in self.instance.pairs.volumes]
        return self.found.chosen[names.index(name)]

    @property
    def share(self) -> Fraction:
        """Return the largest share of all GB that a provider holds."""
        pairs = self.instance.pairs
        providers = pairs.offers["provider"].tolist()
        held: dict[str, int] = {}
        for v, offers in self.found.chosen.items():
            for o in offers:
                held[providers[o]] = held.get(providers[o], 0) + int(pairs.provision_gb[v, o])
        return Fraction(max(held.values()), sum(held.values()))


def sufficient(bench: Bench, demand: Demand, steps: Collection[Step]) -> dict[Step, Any] | None:
    """Return the least sufficient value of each limit that steps open; None where none is.

    Where there are several, each is the least beside those before it, and those after it open:
    prices, disks, sites, providers, share, then budgets.

    Parameters
    ----------
    demand : Demand
        As it was, without the steps.

    Raises
    ------
    Exhausted
        When no more questions may be asked.
    """
    values: dict[Step, Any] = {}
    for step in sorted((step for step in steps if step.is_limit), key=_order):

        def attempt(value: Any, step: Step = step) -> _Plan | None:  # noqa: ANN401 -- the limit's
            tried = {**values, step: value}
            instance, found = bench.solved(relaxed(demand, steps, tried))
            return None if found is None else _Plan(instance, found)

        instance, found = bench.solved(relaxed(demand, steps, values))
        if found is None:
            return None
        values[step] = _least(step, demand, _Plan(instance, found), attempt)
    return values


def _order(step: Step) -> tuple[int, str]:
    return LIMITS.index(step.field) if step.field in LIMITS else len(LIMITS), step.name


def _least(step: Step, demand: Demand, plan: _Plan, attempt: Callable[[Any], _Plan | None]) -> Any:  # noqa: ANN401 -- the limit's
    pairs = plan.instance.pairs
    if step.kind == "owner" or step.field == "budget_usd_month":
        return fitted(_least_budget(plan, step.name or None))
    if step.field == "max_provider_share":
        return _least_share(Fraction(demand.policy.max_provider_share or 0), plan, attempt)
    if step.kind == "volume":
        volume = next(one for one in demand.volumes if one.name == step.name)
        asked = getattr(volume, step.field)
        used = plan.offers_of(step.name)
        v = [one.name for one in pairs.volumes].index(step.name)
        if step.field == "max_disks":
            known = {int(pairs.disks[v, o]) for o in range(len(pairs.offers))}
            most: Any = max(int(pairs.disks[v, o]) for o in used)
        else:
            prices = pairs.offers["usd_gb_hr"].tolist()
            known = {price for price in prices if price is not None}
            most = max(prices[o] for o in used)
        return _first([x for x in sorted(known) if asked < x < most], most, attempt)
    asked = getattr(demand.policy, step.field)
    offers = {o for each in plan.found.chosen.values() for o in each}
    providers = pairs.offers["provider"].tolist()
    places = plan.instance.sites if step.field == "max_sites" else providers
    most = len({places[o] for o in offers})
    return _first(list(range(asked + 1, most)), most, attempt)


def _first(values: Sequence[Any], most: Any, attempt: Callable[[Any], _Plan | None]) -> Any:  # noqa: ANN401 -- the limit's
    """Return the first of ascending values that is enough, else the one that is known to be."""
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        if attempt(values[middle]) is None:
            low = middle + 1
        else:
            high = middle
    return values[low] if low < len(values) else most


def _least_share(asked: Fraction, plan: _Plan, attempt: Callable[[Any], _Plan | None]) -> Decimal:
    """Return the least share that works, rounded up to as many places as a demand may have."""
    low, high = asked, plan.share
    while (below := _below(high, attempt)) is not None:
        high = below.share
        middle = attempt(_rounded((low + high) / 2))
        if middle is None:
            low = (low + high) / 2
        else:
            high = min(high, middle.share)
    return _rounded(high)


def _below(share: Fraction, attempt: Callable[[Any], _Plan | None]) -> _Plan | None:
    """Return a plan of less than a share, as near to it as a solver can tell; None without one."""
    for near in _NEAR:
        with suppress(Unclear):
            plan = attempt(_rounded(share - Fraction(near)))
            if plan is None or plan.share < share:
                return plan
    return None


def _rounded(share: Fraction) -> Decimal:
    """Return a share with the places that a demand may have, rounded up."""
    scaled = -(-share.numerator * 10**SHARE_PLACES // share.denominator)
    return Decimal(max(scaled, 1)).scaleb(-SHARE_PLACES).normalize()


def _least_budget(plan: _Plan, owner: str | None) -> Decimal:
    """Return the least that disks can cost in a month, of one owner or of all."""
    instance, found = plan.instance, plan.found
    spent = spent_month(instance, found.chosen, owner)
    is_all = owner is None and not instance.demand.workloads and found.bound_month is None
    if is_all or spent == floor_spending(instance, owner):
        return spent
    try:
        chosen = least_spending(instance, owner, Effort(deadline=time.monotonic() + _PATIENCE_S))
    except Undecided as error:
        raise Exhausted from error
    return spent if chosen is None else min(spent, spent_month(instance, chosen, owner))


def fitted(amount: Decimal) -> Decimal:
    """Return an amount with no more digits than a demand may have, rounded up."""
    places = MAX_PRICE_DIGITS - max(1, amount.adjusted() + 1)
    exponent = amount.as_tuple().exponent
    if isinstance(exponent, int) and -exponent > places:
        return amount.quantize(Decimal(1).scaleb(-places), context=_CEILING)
    return amount
