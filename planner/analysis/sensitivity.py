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
one side of a price. A rival counts only where it keeps within them; one that is cheaper and
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

from planner.analysis.alternatives import changes_between
from planner.analysis.answers import NOT_EVALUATED, Answer
from planner.analysis.changes import without_budgets
from planner.analysis.evaluator import cheaper, size_of
from planner.analysis.price_parts import ABOVE_ROUNDING, EVERYTHING, PriceParts, budget_name
from planner.present.progress import tracked
from planner.requirements.spread import spreads
from planner.schema import AMOUNT, TEXT, YES_NO, Column, build
from planner.solve.candidates import BIT, rules_of, tiered
from planner.solve.optimum import optimum
from planner.units import difference

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from planner.analysis.evaluator import Evaluator, PlanChoice
    from planner.solve.problem import Instance


_FAR = 10**6
"""How many times dearer an offer is looked at that no plan does without."""
_ABOVE = 1 + Fraction(1, 10**6)
"""How far above a budget's limit the search goes on: programs allow budgets a tolerance."""
_NEVER_DEARER = "no plan has less there, were it a million times dearer"
_NEVER_CHEAPER = "no price, however low, changes the plan"
_FINE = 60
"""Digits of the prices at which plans are compared."""


@dataclass(frozen=True)
class Threshold:
    """Where the plan changes with one price, exactly; None where no price changes it.

    What it changes to is the rival; without one, ``then`` says what is broken, or why not. Where it
    is not exact, no plan is cheaper up to the proven price, but for a millionth.
    """

    usd_gb_hr: Fraction | None
    then: str
    rival: PlanChoice | None = None
    proven: Fraction | None = None


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

    def __init__(self, instance: Instance, plan: PlanChoice, offer: int) -> None:
        self.instance, self.plan, self.offer = instance, plan, offer
        self.alike = instance.pairs.alike(offer)
        self.price = Fraction(instance.pairs.usd_gb_hr(offer))
        limits = [volume.max_usd_gb_hr for volume in instance.pairs.volumes]
        self.limits = {v: Fraction(most) for v, most in enumerate(limits) if most is not None}
        self.line = self.line_of(plan)
        self.programs = 0

    def line_of(self, plan: PlanChoice, volumes: Collection[int] | None = None) -> _Line:
        """Return the line of a plan, or of what some of its volumes cost without GPUs."""
        chosen, rented = plan.chosen, plan.rented
        if volumes is not None:
            chosen, rented = {v: at for v, at in chosen.items() if v in volumes}, {}
        gb = sum(
            int(self.instance.pairs.provision_gb[v, o]) * at.count(o)
            for v, at in chosen.items()
            for o in self.alike
        )
        slope = Fraction(gb * self.instance.demand.policy.hours_per_month)
        return _Line(Fraction(self.instance.usd_month(chosen, rented)) - slope * self.price, slope)

    def cheaper(self, price: Fraction, *, admitted_at: Fraction, up: bool) -> PlanChoice | None:
        """Return the best plan at a price where it is strictly cheaper than this one.

        Parameters
        ----------
        admitted_at : Fraction
            Price at which it is decided which volumes the offer is not too dear for.
        up : bool
            Whether a price that does not end is rounded up, away from where lines meet.
        """
        exact = rounded(price, _FINE, up=up)
        self.programs += 1
        rival = cheaper(self.at(exact, admitted_at), self.line.at(Fraction(exact)))
        return rival if rival is not None and self.line_of(rival).b != self.line.b else None

    def at(self, price: Decimal, admitted_at: Fraction) -> Instance:
        """Return the instance with another price of the offer."""
        pairs, bit = self.instance.pairs, np.uint32(BIT["max_usd_gb_hr"])
        prices = [*pairs.facts.prices]
        for o in self.alike:
            prices[o] = price
        broken = pairs.broken.copy()
        for v, most in self.limits.items():
            broken[v, self.alike] &= ~bit
            if admitted_at > most:
                broken[v, self.alike] |= bit
        facts = pairs.facts.repriced(prices)
        priced = replace(pairs, offers=facts.offers, broken=broken, known=facts)
        return replace(self.instance, pairs=tiered(priced))

    def newton(
        self, start: Fraction, *, admitted_at: Fraction, up: bool
    ) -> tuple[Fraction, PlanChoice] | None:
        """Return where the first plan that is cheaper at the start, or nearer, meets this one.

        A plan that a budget allows only at lower prices is no rival before the price is as low.
        """
        rival = self.cheaper(start, admitted_at=admitted_at, up=not up)
        last: tuple[Fraction, PlanChoice] | None = None
        while rival is not None:
            meeting = self.line_of(rival).meets(self.line)
            kept, _ = min(self.budgets(rival), default=(meeting, ""))
            edge = meeting if up else min(meeting, kept)
            if last is not None and (edge >= last[0] if up else edge <= last[0]):
                break
            last = edge, rival
            start = edge if edge == meeting else edge * _ABOVE
            rival = self.cheaper(start, admitted_at=admitted_at, up=not up)
        return last

    def changes_to(self, plan: PlanChoice) -> str:
        """Return what sets a plan apart from this one."""
        return changes_between(self.instance, self.plan, plan)

    # A price that rises.

    def rise(self) -> Threshold:
        """Return how far the price of a chosen offer may rise."""
        first = self.climb()
        if not self.instance.demand.policy.enforced:
            return first
        sooner = Question(without_budgets(self.instance), self.plan, self.offer).climb()
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
            first = self._before(top)
            if first is not None:
                return Threshold(first[0], "", first[1])
        return Threshold(end, broken)

    def _before(self, top: Fraction | None) -> tuple[Fraction, PlanChoice] | None:
        """Return where the plan changes on the piece that ends at a price; None: nowhere."""
        if top is not None:
            return self.newton(top, admitted_at=top, up=True)
        beyond = max([self.price, *self.limits.values()]) * _FAR
        away = self.at(Decimal(1), beyond)
        broken = away.pairs.broken.copy()
        broken[:, self.alike] |= np.uint32(BIT["unavailable"])
        gone = tiered(replace(away.pairs, broken=broken))
        far = optimum(replace(away, pairs=gone), tie_break=False)
        if far is None:
            return self.newton(beyond, admitted_at=beyond, up=True)
        meeting = self.line_of(far).meets(self.line)
        return self.newton(meeting, admitted_at=beyond, up=True) or (meeting, far)

    def allowed(self) -> tuple[Fraction | None, str]:
        """Return up to which price the plan keeps what is asked of it, and what it breaks then."""
        there = (v for v in self.limits if not {*self.alike}.isdisjoint(self.plan.chosen[v]))
        never = (None, _NEVER_DEARER)
        return min([*_dear(self.instance, there), *self.budgets(self.plan)], default=never)

    def budgets(self, plan: PlanChoice) -> Iterator[tuple[Fraction, str]]:
        """Yield up to which price a plan keeps within each budget that sees the offer."""
        volumes = self.instance.pairs.volumes
        for owner, limit in self.instance.demand.policy.enforced:
            mine = [v for v in plan.chosen if owner in {None, volumes[v].owner}]
            line = self.line_of(plan, mine)
            if line.b:
                yield (Fraction(limit) - line.a) / line.b, f"the plan exceeds {budget_name(owner)}"

    # A price that falls.

    def fall(self) -> Threshold:
        """Return how far the price of an offer that is not chosen has to fall."""
        steps = sorted({most for most in self.limits.values() if most < self.price}, reverse=True)
        above = self.price
        for bottom in (*steps, Fraction(0)):
            first = self.newton(bottom, admitted_at=above, up=False)
            if first is not None:
                return Threshold(first[0], "", first[1])
            above = bottom
            if bottom and (better := self.cheaper(bottom, admitted_at=bottom, up=False)):
                return Threshold(bottom, "", better)
        return Threshold(None, _NEVER_CHEAPER)


def rounded(value: Fraction, digits: int, *, up: bool) -> Decimal:
    """Return a quotient with so many significant digits, rounded up or down."""
    how = Context(prec=digits, rounding=ROUND_CEILING if up else ROUND_FLOOR)
    return how.divide(Decimal(value.numerator), Decimal(value.denominator))


PRICES = (
    Column("offer_id", TEXT, "short id of the offer"),
    Column("provider", TEXT, "where"),
    Column("data_center", TEXT, "where; null: unknown"),
    Column("country", TEXT, "where; null: unknown"),
    Column("chosen", YES_NO, "the plan has a disk there: the price may rise; else it has to fall"),
    Column("usd_gb_hr", AMOUNT, "today's price"),
    Column("threshold_usd_gb_hr", AMOUNT, "price at which the plan changes, 15 digits; null: none"),
    Column(
        "proven_usd_gb_hr",
        AMOUNT,
        "up to here, or down to here, no plan is cheaper by a millionth; the threshold where exact",
    ),
    Column("change_percent", AMOUNT, "from today's price to the threshold, three digits"),
    Column("then", TEXT, "what the plan changes to, or what it breaks; why there is no threshold"),
)
"""Columns of the prices: chosen offers first, then by the distance to the threshold."""
_DIGITS = 15


def prices(evaluator: Evaluator, wanted: Sequence[int] | None = None) -> pd.DataFrame:
    """Return how far prices of some or all offers may rise, or have to fall (``PRICES``)."""
    pairs = evaluator.instance.pairs
    offers = pairs.facts.rows
    used, parts = evaluator.placed, PriceParts(evaluator)
    rows = []
    every = [o for o in range(pairs.own) if offers[o]["offer_ids"]] if wanted is None else wanted
    chosen_first = sorted(every, key=lambda o: o not in used)  # the budget is for those first
    for o in tracked(chosen_first, "Testing prices"):
        threshold = _threshold(evaluator, parts, o, chosen=o in used)
        if threshold.then == NOT_EVALUATED:
            threshold = _near(evaluator, parts, o, rises=o in used) or threshold
        proven = threshold.usd_gb_hr if threshold.proven is None else threshold.proven
        price, edge = offers[o]["usd_gb_hr"], threshold.usd_gb_hr
        shown = None if edge is None else rounded(edge, _DIGITS, up=o in used)
        percent = None if edge is None or price is None else (edge / Fraction(price) - 1) * 100
        rows.append(
            {
                **offers[o],
                "chosen": o in used,
                "threshold_usd_gb_hr": shown,
                "change_percent": None if percent is None else rounded(percent, 3, up=o in used),
                "proven_usd_gb_hr": proven and rounded(proven, _DIGITS, up=o not in used),
                "then": threshold.then,
                "order": (o not in used, percent is None, abs(percent or 0)),
            }
        )
    return build(sorted(rows, key=lambda row: row["order"]), PRICES)


def _threshold(evaluator: Evaluator, parts: PriceParts, o: int, *, chosen: bool) -> Threshold:
    bits = evaluator.instance.pairs.broken_at(o)
    if np.any(bits & BIT["tier"]):  # another size costs less, or takes fewer disks at any price
        free = Question(evaluator.instance, evaluator.plan, o).at(Decimal(0), Fraction(0))
        bits = free.pairs.broken_at(o)
    bits = bits & ~np.uint32(BIT["max_usd_gb_hr"])
    if np.all(bits):
        rules = rules_of(int(np.bitwise_and.reduce(bits)))
        return Threshold(None, f"no volume may be there: {', '.join(rules) or 'several rules'}")
    if not evaluator.is_cheapest:
        return Threshold(None, "another plan is cheaper, even at today's price")
    volumes = np.array(evaluator.placed[o], np.int64) if chosen else np.flatnonzero(bits == 0)
    near = _near(evaluator, parts, o, rises=chosen) if evaluator.is_without_programs else None
    return near or _of_parts(evaluator, parts, o, volumes, chosen=chosen)


def _of_parts(
    evaluator: Evaluator, parts: PriceParts, o: int, volumes: NDArray[np.int64], *, chosen: bool
) -> Threshold:
    """Return the nearest threshold of the parts that a price decides."""
    nearest: tuple[Threshold, int] | None = None

    def highest() -> Fraction:
        """Return the price below which a part that changes there is of no interest."""
        return (None if chosen or nearest is None else nearest[0].usd_gb_hr) or Fraction(0)

    for p in parts.at(o, volumes, highest):
        above = highest()
        if not chosen and _together(evaluator, p, o) < above:
            continue
        if nearest is not None and p < nearest[1]:
            above = above / _ABOVE  # of equals the first part counts
        threshold = _of_part(evaluator, p, o, None if chosen else above)
        if threshold is None:
            continue
        if threshold.then == NOT_EVALUATED:
            return threshold
        if nearest is None or _is_nearer(threshold, p, *nearest, chosen=chosen):
            nearest = threshold, p
    first, _ = nearest or (Threshold(None, _NEVER_CHEAPER), -1)
    if chosen and evaluator.instance.demand.policy.enforced and not evaluator.is_capped:
        spent = Threshold(*Question(evaluator.instance, evaluator.plan, o).allowed())
        return spent if _is_nearer(spent, 0, first, -1, chosen=True) else first
    return first


def _is_nearer(threshold: Threshold, p: int, other: Threshold, q: int, *, chosen: bool) -> bool:
    """Return whether a part changes before another; of equals the first does."""
    mine, theirs = threshold.usd_gb_hr, other.usd_gb_hr
    if mine is None or theirs is None:
        return mine is not None or (theirs is None and p < q)
    return (p < q) if mine == theirs else (mine < theirs) == chosen


def _of_part(evaluator: Evaluator, p: int, o: int, above: Fraction | None) -> Threshold | None:
    """Return where a part changes as a price rises; or, not below an amount, as it falls."""
    if p != EVERYTHING and _is_free(evaluator, evaluator.members[p][0][0]):
        return _alone(evaluator, evaluator.members[p][0][0], o)
    question = _question(evaluator, p, o)
    programs = _ONE_VOLUME if p in evaluator.groups else 1
    if evaluator.is_capped:
        programs = _WHOLE * size_of(question.instance)
    if not evaluator.spend(question.instance, programs):
        return Threshold(None, NOT_EVALUATED)
    if above is None:
        threshold = question.rise()
    elif above and not question.cheaper(above, admitted_at=above, up=False):
        return None
    else:
        threshold = question.fall()
    if evaluator.is_capped:  # each is a program of the whole
        evaluator.spend(question.instance, programs * max(0, question.programs - 1))
    if threshold.rival is not None:
        threshold = replace(threshold, then=question.changes_to(threshold.rival))
    return threshold


def _near(evaluator: Evaluator, parts: PriceParts, o: int, *, rises: bool) -> Threshold | None:
    """Return what is known of a threshold without a program."""
    instance, placed = evaluator.instance, evaluator.placed.get(o, [])
    price = Fraction(instance.usd_gb_hr(o))
    end, broken = Fraction(0), _NEVER_CHEAPER
    if rises:
        never = price * _FAR, _NEVER_DEARER
        end, broken = min([*_dear(instance, placed), *parts.budgets(o, {})], default=never)
    gb = sum(instance.gb(v, o) * evaluator.chosen[v].count(o) for v in placed)
    near = evaluator.near_threshold(o, gb, rises=rises, end=float(end))
    if near is None:
        return None
    proven = Fraction(near.proven)
    edge = None if near.rival is None else parts.meeting(o, near.rival, rises=rises)
    if rises and broken != _NEVER_DEARER and (edge is None or end <= edge):
        return Threshold(end, broken, proven=min(proven, end))
    if edge is None or near.rival is None:
        return (
            Threshold(None, broken)
            if proven == end
            else Threshold(None, _UNKNOWN_RIVAL, proven=proven)
        )
    moved = Answer(None, near.rival, {})
    first = (min if rises else max)(proven, edge)
    return Threshold(edge, changes_between(instance, evaluator.plan, moved), proven=first)


def _dear(instance: Instance, volumes: Iterable[int]) -> Iterator[tuple[Fraction, str]]:
    """Yield up to which price of an offer volumes may be there."""
    for v in volumes:
        volume = instance.volumes[v]
        if volume.max_usd_gb_hr is not None:
            yield Fraction(volume.max_usd_gb_hr), f"{volume.name} {_TOO_DEAR}"


_TOO_DEAR = "exceeds its max_usd_gb_hr"
_UNKNOWN_RIVAL = "no change is known; none comes before the proven price"


def _question(evaluator: Evaluator, p: int, o: int) -> Question:
    if p == EVERYTHING:
        return Question(evaluator.instance, evaluator.plan, o)
    return Question(evaluator.part(p).instance, evaluator.plan_of(p), o)


def _together(evaluator: Evaluator, p: int, o: int) -> float:
    """Return a price of an offer above which one group of single copies costs no less there.

    Infinite for a part that is anything else.
    """
    if p not in evaluator.groups:
        return np.inf
    instance = evaluator.part(p).instance
    broken = instance.pairs.broken[:, o] & ~np.uint32(BIT["max_usd_gb_hr"])
    if (broken & BIT["tier"]).any():
        return np.inf
    places = instance.places(instance.ties[0].level)
    here = [each for each, place in enumerate(places) if place == places[o] and each != o]
    other = instance.least.float_usd_hr(slice(None))[:, here].min(axis=1, initial=np.inf)
    gb = np.where(broken == 0, instance.pairs.provision_gb[:, o], 0)
    left = float(instance.disk_usd_hr(evaluator.plan_of(p).chosen)) - other[gb == 0].sum()
    ratios = other[gb > 0] / gb[gb > 0]
    order = np.argsort(ratios)  # the volumes that leave the offer first as its price rises
    ratios, each, sizes = ratios[order], other[gb > 0][order], gb[gb > 0][order]
    price = 0.0
    for n, ratio in enumerate(ratios.tolist()):
        price = min(max(left, 0.0) / sizes[n:].sum(), ratio)
        if price < ratio:
            break
        left -= each[n]
    return price * ABOVE_ROUNDING


def _is_free(evaluator: Evaluator, v: int) -> bool:
    """Return whether a volume is a part, whose replicas differ by place or are all together."""
    volume = evaluator.instance.volumes[v]
    if evaluator.is_capped or v not in evaluator.alone or v in evaluator.live:
        return False
    return spreads(volume.replicas, volume.spread) or len(set(evaluator.chosen[v])) == 1


def _alone(evaluator: Evaluator, v: int, o: int) -> Threshold:
    """Return where a volume that nothing ties changes."""
    instance, mine = evaluator.instance, evaluator.chosen[v]
    volume, least = instance.volumes[v], instance.least
    most = None if volume.max_usd_gb_hr is None else Fraction(volume.max_usd_gb_hr)
    here = [o] * mine.count(o)
    other: list[int] | None = mine
    beside: list[int] | None = [each for each in mine if each != o]
    if here:
        other = least.choice_without(v, [o])
    elif spreads(volume.replicas, volume.spread):
        here, beside = [o], _beside(instance, v, o, mine)
    else:
        here, beside = [o] * volume.replicas, []
    if other is None:
        dear = f"{volume.name} {_TOO_DEAR}"
        return Threshold(most, _NEVER_DEARER if most is None else dear)
    edge = Fraction(0)
    if beside is not None:
        usd_hr = difference(instance.disk_usd_hr({v: other}), instance.disk_usd_hr({v: beside}))
        edge = Fraction(usd_hr) / (instance.gb(v, o) * len(here))
    if edge <= 0:
        return Threshold(None, _NEVER_CHEAPER)
    if o in mine and most is not None and edge > most:
        return Threshold(most, f"{volume.name} {_TOO_DEAR}")
    rival = Answer(None, {v: sorted(other if o in mine else [*(beside or []), *here])}, {})
    edge = edge if most is None else min(edge, most)
    return Threshold(edge, changes_between(instance, evaluator.plan, rival), rival)


def _beside(instance: Instance, v: int, o: int, mine: list[int]) -> list[int] | None:
    """Return the best choice of all replicas but one that is at an offer."""
    places = instance.spread_domains(instance.volumes[v].spread)
    taken = [each for each, place in enumerate(places) if place & places[o]]
    if not instance.least.is_simple(v):
        return instance.least.choice_without(v, taken, len(mine) - 1)
    near = {*mine}.intersection(taken)
    gone = next(iter(near), None)
    if gone is None:
        gone = max(mine, key=lambda each: (instance.usd_hr(v, each), each))
    return [each for each in mine if each != gone]


_WHOLE, _ONE_VOLUME = 9, 0.05
"""Programs that one of all volumes under a policy counts as, many times so in a large instance, and
the best choice of one volume, or of one group, which needs no solver."""
