"""Every site as a place for a volume: what the whole plan costs with it there, or what it lacks."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from planner.analysis.answers import Answer
from planner.analysis.reasons import rule_meanings
from planner.market.gpus import gpus_are_known
from planner.market.market import key_order
from planner.present.progress import tracked
from planner.requirements.volume import of_offers
from planner.requirements.workload import of_gpus
from planner.schema import AMOUNT, EXACT, TEXT, WHOLE, YES_NO, Column, build, records
from planner.solve.candidates import rules_of
from planner.solve.rentals import gpu_rules_of
from planner.text import visible
from planner.units import difference, total, usd_month

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    import pandas as pd

    from planner.analysis.evaluator import Evaluator
    from planner.solve.places import Site
    from planner.solve.problem import Instance

SITES = (
    Column("provider", TEXT, "null: the rows name none"),
    Column("data_center", TEXT, "null: unknown"),
    Column("country", TEXT, "null: unknown"),
    Column("region", TEXT, "of the offer; null: unknown"),
    Column("chosen", YES_NO, "a replica is there in the cheapest plan"),
    Column("offer_id", TEXT, "short id of the disk offer there, the cheapest that qualifies"),
    Column("disks", WHOLE, "disks that hold one replica; null: none can"),
    Column("provision_gb", WHOLE, "what they hold together"),
    Column("disk_usd_month", AMOUNT, "one replica there; null: unpriced"),
    Column("gpu_usd_month", AMOUNT, "the GPUs of the plan with a replica there; null: none"),
    Column("usd_month", AMOUNT, "cheapest plan with a replica there; null: see missing"),
    Column("extra_usd_month", AMOUNT, "how much dearer that is than the cheapest plan"),
    Column("missing", EXACT, "tuple of what keeps the volume away; empty: a candidate"),
)
"""Columns of the sites of a market: the chosen ones, candidates by cost, then the others."""

_NO_PRICE = frozenset({"malformed", "unpriced", "unsellable", "max_disks"})
"""Rules that an offer breaks which has no price for the volume."""


def candidate_sites(evaluator: Evaluator) -> pd.DataFrame:
    """Return every site of the market as a place for a volume (columns ``SITES``).

    Parameters
    ----------
    evaluator : Evaluator
        Of a plan of one volume without existing disks and policy, which at most one workload
        mounts.
    """
    instance = evaluator.instance
    here: dict[Site, list[int]] = {}
    for o, site in enumerate(instance.sites):
        here.setdefault(site, []).append(o)
    copies, rows = _Copies(instance), records(instance.pairs.offers)
    sites = tracked(sorted(here, key=key_order), "Comparing sites")
    listed = [_site(evaluator, copies, rows, here[site]) for site in sites]
    return build(sorted(listed, key=_cheapest_first), SITES)


class _Copies:
    """The cheapest replicas of the volume with one of them at a given offer.

    The volume is all there is to decide, so no program has to be solved: a workload mounts the
    replica there or one in another domain, and the rest are the cheapest in domains of their own.
    """

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._replicas = instance.volumes[0].replicas
        self._domains = instance.spread_domains(instance.volumes[0].spread)
        offers = np.flatnonzero(instance.pairs.broken[0] == 0).tolist()
        self._usd = {o: instance.usd_month({0: [o]}, {}) for o in offers}
        self._mounted = {o: usd for o in offers if (usd := self._with_gpus([o])) is not None}
        self._cheapest = self._first_of_domains(self._usd)
        self._mounting = self._first_of_domains(self._mounted)

    def _with_gpus(self, offers: list[int]) -> Decimal | None:
        """Return what replicas cost with the GPUs beside one of them; None where there are none."""
        rented = self.rented(offers)
        if len(rented) < len(self._instance.demand.workloads):
            return None
        return self._instance.usd_month({0: offers}, rented)

    def rented(self, offers: Sequence[int]) -> dict[int, int]:
        """Return the GPU offer of each workload that can run beside replicas at these offers."""
        jobs = range(len(self._instance.demand.workloads))
        best = {w: self._instance.rent_best(w, {0: offers}) for w in jobs}
        return {w: g for w, g in best.items() if g is not None}

    def _first_of_domains(self, usd: Mapping[int, Decimal]) -> list[int]:
        """Return the cheapest offer of each failure domain, the cheapest first."""
        first: dict[frozenset[Any], int] = {}
        for o in sorted(usd, key=lambda o: (usd[o], o)):
            first.setdefault(self._domains[o], o)
        return list(first.values())

    def _others(self, offers: list[int]) -> list[int] | None:
        """Return the cheapest offers of the replicas that are left; None for too few domains."""
        taken = [self._domains[o] for o in offers]
        left = self._replicas - len(offers)
        free = (o for o in self._cheapest if self._domains[o] not in taken)
        others = list(islice(free, left))
        return others if len(others) == left else None

    def at(self, offer: int) -> Answer:
        """Return the cheapest plan with a replica at an offer."""
        best = Answer(None, {}, {})
        starts = [[offer]] if offer in self._mounted else []
        if self._replicas > 1 and self._instance.demand.workloads:
            elsewhere = (m for m in self._mounting if self._domains[m] != self._domains[offer])
            starts += [[offer, m] for m in elsewhere]
        for start in starts:
            known = total([self._usd[offer], self._mounted[start[-1]]])
            if len(start) > 1 and best.usd_month is not None and known >= best.usd_month:
                break  # the other starts cost more, before any other replica
            others = self._others(start)
            if others is None:
                continue
            chosen = sorted([*start, *others])
            usd = self._with_gpus(chosen)
            if usd is not None and (best.usd_month is None or usd < best.usd_month):
                best = Answer(usd, {0: chosen}, self.rented(chosen))
        return best


def _cheapest_first(row: Mapping[str, Any]) -> tuple[Any, ...]:
    amount: Decimal | None = row["usd_month"]
    disk: Decimal | None = row["disk_usd_month"]
    return (not row["chosen"], amount is None, amount or 0, disk is None, disk or 0)


def _site(
    evaluator: Evaluator,
    copies: _Copies,
    rows: Sequence[Mapping[str, Any]],
    offers: Sequence[int],
) -> dict[str, Any]:
    instance, pairs = evaluator.instance, evaluator.instance.pairs
    is_chosen = any(o in evaluator.chosen[0] for o in offers)
    answer = Answer(evaluator.usd_month, evaluator.chosen, evaluator.rented)
    if not is_chosen:
        answers = [copies.at(o) for o in offers if not pairs.broken[0, o]]
        possible = [each for each in answers if each.usd_month is not None]
        answer = min(possible, key=lambda each: each.usd_month or 0, default=Answer(None, {}, {}))
    at = [o for o in answer.chosen.get(0, ()) if o in offers]
    o = at[0] if at else min(offers, key=lambda o: _nearest_first(instance, o))
    rules = rules_of(int(pairs.broken[0, o]))
    has_price = not _NO_PRICE & {*rules}
    missing: tuple[str, ...] = ()
    if answer.usd_month is None:
        asked = of_offers(pairs.volumes[0])
        missing = rule_meanings(rules, asked) or _lacking_gpus(instance, rows, offers)
        missing = missing or ("no place for the other copies",)
    hours, rentals = evaluator.hours, instance.rentals
    rented = [rentals.usd_month(w, g) for w, g in answer.rented.items()] if rentals else []
    extra = None
    if answer.usd_month is not None and not is_chosen:
        extra = difference(answer.usd_month, evaluator.usd_month)
    return {
        **rows[o],
        "chosen": is_chosen,
        "disks": instance.disks(0, o) if has_price else None,
        "provision_gb": instance.gb(0, o) if has_price else None,
        "disk_usd_month": usd_month(instance.usd_hr(0, o), hours) if has_price else None,
        "gpu_usd_month": total(rented) if rented else None,
        "usd_month": answer.usd_month,
        "extra_usd_month": extra,
        "missing": missing,
    }


def _nearest_first(instance: Instance, o: int) -> tuple[Any, ...]:
    """Return what sorts the offers of a site that has none to take: what it is nearest to."""
    rules = rules_of(int(instance.pairs.broken[0, o]))
    return (len(rules), 0 if _NO_PRICE & {*rules} else instance.usd_hr(0, o), o)


def _lacking_gpus(
    instance: Instance, rows: Sequence[Mapping[str, Any]], offers: Sequence[int]
) -> tuple[str, ...]:
    """Return what the GPUs at a site lack; empty where a workload can run there."""
    rentals = instance.rentals
    if rentals is None:
        return ()
    asked = rentals.workloads[0]
    model = visible(asked.gpu)
    near = np.flatnonzero(rentals.meets[:, list(offers)].any(axis=1)).tolist()
    alike = [g for g in near if rentals.rows[g]["gpu_type"] == asked.gpu]
    if not alike:
        is_known = gpus_are_known(rows[offers[0]], {row["provider"] for row in rentals.rows})
        return (f"no {model}" if is_known else "GPUs unknown",)
    nearest = min(alike, key=lambda g: (int(rentals.broken[0, g]).bit_count(), g))
    rules = gpu_rules_of(int(rentals.broken[0, nearest]))
    if not rules and not any(instance.reachable(0, {0: [o]})[alike].any() for o in offers):
        return ("its disks are not multi-node, as its GPUs need",)
    return tuple(
        f"no offer of {asked.gpus} {model}" if rule == "gpu_count" else f"{model}: {meaning}"
        for rule, meaning in zip(rules, rule_meanings(rules, of_gpus(asked)), strict=True)
    )
