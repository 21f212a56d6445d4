"""The prices at which a plan changes, offer by offer.

Where no policy ties the volumes, each part changes at a price of its own, and the plan with the
first of them. A volume that nothing ties needs no solver: its plans with a disk at the offer have
one slope, its plans without one have none, and the cheapest of each kind meet once.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from planner.frames import EXACT, TEXT, YES_NO, Column, build, records
from planner.solve.least import Least, spreads
from planner.solve.rules import BIT, rules_of
from planner.solve.why.questions import forbid
from planner.solve.why.sensitivity import Plan, Question, Threshold, rounded
from planner.solve.why.whatif import ASK, Answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from planner.solve.instance import Instance
    from planner.solve.why.whatif import WhatIf

PRICES = (
    Column("offer_id", TEXT, "short id of the offer"),
    Column("provider", TEXT, "where"),
    Column("data_center", TEXT, "where; null: unknown"),
    Column("country", TEXT, "where; null: unknown"),
    Column("chosen", YES_NO, "the plan has a disk there: the price may rise; else it has to fall"),
    Column("usd_gb_hr", EXACT, "today's price, exact Decimal"),
    Column("threshold_usd_gb_hr", EXACT, "price at which the plan changes, 15 digits; null: none"),
    Column("change_percent", EXACT, "from today's price to the threshold, three digits"),
    Column("then", TEXT, "what the plan changes to, or what it breaks; why there is no threshold"),
)
"""Columns of the prices: chosen offers first, then by the distance to the threshold."""
_DIGITS = 15


def prices(whatif: WhatIf, wanted: Sequence[int] | None = None) -> pd.DataFrame:
    """Return how far prices of some or all offers may rise, or have to fall (``PRICES``)."""
    offers = records(whatif.instance.pairs.offers)
    used = {o for at in whatif.chosen.values() for o in at}
    rows = []
    every = range(len(offers)) if wanted is None else wanted
    for o in sorted(every, key=lambda o: o not in used):  # the patience is for the chosen first
        threshold = _threshold(whatif, o, chosen=o in used)
        price, edge = offers[o]["usd_gb_hr"], threshold.usd_gb_hr
        shown = None if edge is None else rounded(edge, _DIGITS, up=o in used)
        percent = None if edge is None or price is None else (edge / Fraction(price) - 1) * 100
        rows.append(
            {
                **offers[o],
                "chosen": o in used,
                "threshold_usd_gb_hr": shown,
                "change_percent": None if percent is None else rounded(percent, 3, up=o in used),
                "then": threshold.then,
                "order": (o not in used, percent is None, abs(percent or 0)),
            }
        )
    return build(sorted(rows, key=lambda row: row["order"]), PRICES)


def _threshold(whatif: WhatIf, o: int, *, chosen: bool) -> Threshold:
    bits = whatif.instance.pairs.broken[:, o] & ~np.uint32(BIT["max_usd_gb_hr"])
    if np.all(bits):
        rules = rules_of(int(np.bitwise_and.reduce(bits)))
        return Threshold(None, f"no volume may be there: {', '.join(rules) or 'several rules'}")
    if not whatif.is_cheapest:
        return Threshold(None, "another plan is cheaper, even at today's price")
    found: list[tuple[Threshold, Question]] = []
    there = [v for v, at in whatif.chosen.items() if o in at]
    for instance, plan in _questions(whatif, there or np.flatnonzero(bits == 0).tolist()):
        question = Question(instance, plan, o)
        if not whatif.is_capped and _is_alone(instance, plan):
            one = _alone(whatif, question)
        elif whatif.spend(instance):
            one = question.rise() if chosen else question.fall()
        else:
            one = Threshold(None, ASK)
        if one.then == ASK:
            return one
        found.append((one, question))
    if chosen and not whatif.is_capped:
        whole = Question(whatif.instance, whatif.plan(), o)
        found.append((Threshold(*whole.allowed()), whole))
    known = [one for one in found if one[0].usd_gb_hr is not None]
    nearest = min if chosen else max
    first, question = nearest(known, key=lambda one: one[0].usd_gb_hr or 0) if known else found[0]
    return first if first.rival is None else replace(first, then=question.told(first.rival))


def _questions(whatif: WhatIf, volumes: Sequence[int]) -> Iterator[tuple[Instance, Plan]]:
    """Yield what the price decides: all together, or where no policy ties them the parts."""
    if whatif.is_capped:
        yield whatif.instance, whatif.plan()
        return
    for p in sorted({whatif.number_of(v) for v in volumes}):
        yield whatif.part(p).instance, whatif.plan(p)


def _is_alone(instance: Instance, plan: Plan) -> bool:
    """Return whether a part is one volume, whose replicas differ by place or are all together."""
    if len(instance.pairs.volumes) > 1 or instance.demand.workloads:
        return False
    volume = instance.pairs.volumes[0]
    return spreads(volume.replicas, volume.spread) or len(set(plan.chosen[0])) == 1


def _alone(whatif: WhatIf, question: Question) -> Threshold:
    """Return where a volume that nothing ties changes."""
    instance, o = question.instance, question.offer
    pairs, mine = instance.pairs, list(question.plan.chosen[0])
    volume = pairs.volumes[0]
    apart, here = spreads(volume.replicas, volume.spread), o in mine
    if (apart or here) and not whatif.spend(instance, _LEAST):
        return Threshold(None, ASK)
    there = [o] if apart else [o] * volume.replicas
    other: list[int] | None
    kept: list[int] | None = []
    if here:
        other = Least(forbid(instance, 0, [o]).pairs).settle()[0]
        kept = [each for each in mine if each != o]
    else:
        other = mine
        if apart:
            kept = _beside(instance, o)
    if other is None:
        return Threshold(*question.allowed())
    cost = Fraction(0 if kept is None else instance.disk_usd_hr({0: kept}))
    edge = (Fraction(instance.disk_usd_hr({0: other})) - cost) / (
        int(pairs.provision_gb[0, o]) * len(there)
    )
    if kept is None or edge <= 0:
        return Threshold(None, "no price, however low, changes the plan")
    most = volume.max_usd_gb_hr
    if here and most is not None and edge > Fraction(most):
        return Threshold(*question.allowed())
    rival = Answer(None, {0: sorted(other if here else [*kept, *there])}, {})
    return Threshold(edge if most is None else min(edge, Fraction(most)), "", rival)


_LEAST = 0.05
"""What the least choice of one volume takes of the patience for a program."""


def _beside(instance: Instance, o: int) -> list[int] | None:
    """Return the least choice of all replicas but one that is at an offer."""
    volume, places = instance.pairs.volumes[0], instance.places(instance.pairs.volumes[0].spread)
    taken = [each for each, place in enumerate(places) if place & places[o]]
    pairs = forbid(instance, 0, taken).pairs
    fewer = volume.model_copy(update={"replicas": volume.replicas - 1})
    return Least(replace(pairs, volumes=(fewer,))).settle()[0]
