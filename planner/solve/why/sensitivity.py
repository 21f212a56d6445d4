"""How far a price may move before the plan changes.

A plan changes at a price when another one is strictly cheaper there, all volumes together, or
when the plan itself is not allowed any more: its price is above a volume's ``max_usd_gb_hr``, or
the plan exceeds a budget. Against one price the cost of every plan is a straight line, so the
cheapest of them is concave and piecewise linear, and Newton's method finds where it leaves this
plan's line: look at the far end of the range; where a cheaper plan is there, go to the point where
the two lines meet, and look again, until nothing is cheaper.

What `max_usd_gb_hr` admits depends on the price too. It divides the range into pieces on which
nothing of it changes; they are searched from today's price outwards.

A budget by owner (or of the whole, where GPUs cost something too) can rule a cheaper plan out on
one side of a price. A rival is believed only where it keeps within them; one that is cheaper and
allowed only for a while, between today's price and the threshold, may go unseen.

Where a program is so large that plans are proven to a millionth only, so are thresholds.

Thresholds are exact quotients. They are shown with 15 significant digits, rounded away from
today's price: at the price shown the plan has changed, or is about to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from planner.solve.optimum import Optimum, optimum
from planner.solve.rules import BIT
from planner.solve.why.alternatives import moves
from planner.solve.why.whatif import Answer

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from planner.solve.instance import Instance

Plan = Answer | Optimum
"""What has the offers and GPUs of a plan: ``chosen`` and ``rented``."""

_FAR = 10**6
"""How many times dearer an offer is looked at that no plan does without."""
_ABOVE = 1 + Fraction(1, 10**6)
"""How far above a budget's limit the search goes on: programs see budgets with a hair to spare."""
_FINE = 60
"""Digits of the prices at which plans are compared."""


@dataclass(frozen=True)
class Threshold:
    """Where the plan changes with one price, exactly; None where no price changes it.

    What it changes to is the rival; without one, ``then`` says what is broken, or why not.
    """

    usd_gb_hr: Fraction | None
    then: str
    rival: Plan | None = None


@dataclass(frozen=True)
class _Line:
    """A plan against the price of one offer: its monthly cost is a + b * price."""

    a: Fraction
    b: Fraction

    def at(self, price: Fraction) -> Fraction:
        return self.a + self.b * price

    def meets(self, other: _Line) -> Fraction:
        return (other.a - self.a) / (self.b - other.b)


class Question:
    """One plan, on a whole instance or a part, and one offer whose price moves."""

    def __init__(self, instance: Instance, plan: Plan, offer: int) -> None:
        self.instance, self.plan, self.offer = instance, plan, offer
        self.price = Fraction(instance.pairs.offers["usd_gb_hr"].tolist()[offer])
        limits = [volume.max_usd_gb_hr for volume in instance.pairs.volumes]
        self.limits = {v: Fraction(most) for v, most in enumerate(limits) if most is not None}
        self.line = self.line_of(plan)

    def line_of(self, plan: Plan, volumes: Collection[int] | None = None) -> _Line:
        """Return the line of a plan, or of what some of its volumes cost without GPUs."""
        chosen, rented = plan.chosen, plan.rented
        if volumes is not None:
            chosen, rented = {v: at for v, at in chosen.items() if v in volumes}, {}
        gb = sum(
            int(self.instance.pairs.provision_gb[v, self.offer]) * at.count(self.offer)
            for v, at in chosen.items()
        )
        slope = Fraction(gb * self.instance.demand.policy.hours_per_month)
        return _Line(Fraction(self.instance.usd_month(chosen, rented)) - slope * self.price, slope)

    def cheaper(self, price: Fraction, *, admitted_at: Fraction, up: bool) -> Plan | None:
        """Return the best plan at a price where it is strictly cheaper than this one.

        Parameters
        ----------
        admitted_at : Fraction
            Price at which it is decided which volumes the offer is not too dear for.
        up : bool
            Whether a price that does not end is rounded up, away from where lines meet.
        """
        exact = rounded(price, _FINE, up=up)
        found = optimum(self.at(exact, admitted_at), settled=False)
        if found is None:
            return None
        other, shown = self.line_of(found), Fraction(exact)
        return found if other.at(shown) < self.line.at(shown) and other.b != self.line.b else None

    def at(self, price: Decimal, admitted_at: Fraction) -> Instance:
        """Return the instance with another price of the offer."""
        pairs, bit = self.instance.pairs, np.uint32(BIT["max_usd_gb_hr"])
        prices = pairs.offers["usd_gb_hr"].tolist()
        prices[self.offer] = price
        broken = pairs.broken.copy()
        for v, most in self.limits.items():
            broken[v, self.offer] &= ~bit
            if admitted_at > most:
                broken[v, self.offer] |= bit
        offers = pairs.offers.assign(usd_gb_hr=pd.Series(prices, dtype=object))
        return replace(self.instance, pairs=replace(pairs, offers=offers, broken=broken))

    def newton(
        self, start: Fraction, *, admitted_at: Fraction, up: bool
    ) -> tuple[Fraction, Plan] | None:
        """Return where the first plan that is cheaper at the start, or nearer, meets this one.

        A plan that a budget allows only at lower prices is no rival before the price is as low.
        """
        found = self.cheaper(start, admitted_at=admitted_at, up=not up)
        last: tuple[Fraction, Plan] | None = None
        while found is not None:
            meeting = self.line_of(found).meets(self.line)
            kept, _ = min(self.budgets(found), default=(meeting, ""))
            edge = meeting if up else min(meeting, kept)
            if last is not None and (edge >= last[0] if up else edge <= last[0]):
                break
            last = edge, found
            start = edge if edge == meeting else edge * _ABOVE
            found = self.cheaper(start, admitted_at=admitted_at, up=not up)
        return last

    def told(self, plan: Plan) -> str:
        """Return what sets a plan apart from this one."""
        mine = self.plan
        return "; ".join(moves(self.instance, mine.chosen, mine.rented, plan.chosen, plan.rented))

    # A price that rises.

    def rise(self) -> Threshold:
        """Return how far the price of a chosen offer may rise."""
        first = self.climb()
        policy = self.instance.demand.policy
        if not policy.limits:
            return first
        policy = policy.model_copy(update={"budget_usd_month": None, "budgets": {}})
        demand = self.instance.demand.model_copy(update={"policy": policy})
        sooner = Question(replace(self.instance, demand=demand), self.plan, self.offer).climb()
        edge, rival = sooner.usd_gb_hr, sooner.rival
        if edge is None or rival is None or (first.usd_gb_hr or edge + 1) <= edge:
            return first
        return sooner if all(edge < most for most, _ in self.budgets(rival)) else first

    def climb(self) -> Threshold:
        """Return the same, of rivals that the budgets allow at the end they are looked at."""
        end, broken = self.allowed()
        steps = sorted({most for most in self.limits.values() if most > self.price})
        pieces = [*(step for step in steps if end is None or step < end), end]
        for top in pieces:
            found = self._before(top)
            if found is not None:
                return Threshold(found[0], "", found[1])
        return Threshold(end, broken)

    def _before(self, top: Fraction | None) -> tuple[Fraction, Plan] | None:
        """Return where the plan changes on the piece that ends at a price; None: nowhere."""
        if top is not None:
            return self.newton(top, admitted_at=top, up=True)
        beyond = max([self.price, *self.limits.values()]) * _FAR
        away = self.at(Decimal(1), beyond)
        broken = away.pairs.broken.copy()
        broken[:, self.offer] |= np.uint32(BIT["unavailable"])
        far = optimum(replace(away, pairs=replace(away.pairs, broken=broken)), settled=False)
        if far is None:
            return self.newton(beyond, admitted_at=beyond, up=True)
        meeting = self.line_of(far).meets(self.line)
        return self.newton(meeting, admitted_at=beyond, up=True) or (meeting, far)

    def allowed(self) -> tuple[Fraction | None, str]:
        """Return up to which price the plan keeps what is asked of it, and what it breaks then."""
        dear = [
            (most, f"{self.instance.pairs.volumes[v].name} exceeds its max_usd_gb_hr")
            for v, most in self.limits.items()
            if self.offer in self.plan.chosen[v]
        ]
        never = (None, "no plan has less there, were it a million times dearer")
        return min([*dear, *self.budgets(self.plan)], default=never)

    def budgets(self, plan: Plan) -> Iterator[tuple[Fraction, str]]:
        """Yield up to which price a plan keeps within each budget that sees the offer."""
        volumes = self.instance.pairs.volumes
        for owner, limit in self.instance.demand.policy.limits:
            mine = [v for v in plan.chosen if owner in {None, volumes[v].owner}]
            line = self.line_of(plan, mine)
            if line.b:
                name = "budget_usd_month" if owner is None else f"the budget of {owner}"
                yield (Fraction(limit) - line.a) / line.b, f"the plan exceeds {name}"

    # A price that falls.

    def fall(self) -> Threshold:
        """Return how far the price of an offer that is not chosen has to fall."""
        steps = sorted({most for most in self.limits.values() if most < self.price}, reverse=True)
        above = self.price
        for bottom in (*steps, Fraction(0)):
            found = self.newton(bottom, admitted_at=above, up=False)
            if found is not None:
                return Threshold(found[0], "", found[1])
            above = bottom
            if bottom and (better := self.cheaper(bottom, admitted_at=bottom, up=False)):
                return Threshold(bottom, "", better)
        return Threshold(None, "no price, however low, changes the plan")


def rounded(value: Fraction, digits: int, *, up: bool) -> Decimal:
    """Return a quotient with so many significant digits, rounded up or down."""
    how = Context(prec=digits, rounding=ROUND_CEILING if up else ROUND_FLOOR)
    return how.divide(Decimal(value.numerator), Decimal(value.denominator))
