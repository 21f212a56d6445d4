"""Why nothing qualifies: rule by rule as the demand asks it, and in one sentence."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from planner.market.offers import KEY
from planner.requirements.group import GroupPlace
from planner.requirements.packing import OneDisk
from planner.requirements.volume import of_offers
from planner.requirements.workload import of_gpus
from planner.solve.candidates import rules_of
from planner.solve.rentals import gpu_rules_of
from planner.text import visible
from planner.units import difference, money, total, usd_month

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from decimal import Decimal

    from planner.requirements.offer import OfferRequirement
    from planner.solve.problem import Instance

_FACTS = {
    "malformed": "the row is malformed",
    "unpriced": "no usable price",
    "unavailable": "out of stock",
    "unsellable": "sells no size of at least 1 GB",
    "group": GroupPlace.wrong,
    "one_disk": OneDisk.wrong,
    "shared": "other volumes share the disk",
    "kept": "an existing disk already is this volume, or belongs to another",
}
_PLURAL = {"data_center": "data centres", "country": "countries"}


class Shortage(NamedTuple):
    """Why a volume or workload has no place, whatever else is asked.

    Attributes
    ----------
    reason : str
        ``no_offer`` or ``no_gpu``: none qualifies; ``spread``: too few places of those that do.
    offers : int
        Offers, or GPU offers, of the market.
    rules : dict of int
        How many of them break each rule, most first.
    sentence : str
        What a person reads, with the name of the volume or workload.
    meanings : tuple of str
        What breaking each of the rules means here.
    """

    reason: Literal["no_offer", "spread", "no_gpu"]
    offers: int
    rules: dict[str, int]
    sentence: str
    meanings: tuple[str, ...]

    @property
    def text(self) -> str:
        """Return the sentence, and a line for each rule."""
        width = len(str(max(self.rules.values(), default=0)))
        counts = zip(self.rules.values(), self.meanings, strict=True)
        return self.sentence + "".join(f"\n  {n:>{width}}  {meaning}" for n, meaning in counts)

    @property
    def short(self) -> str:
        """Return the sentence, with the rule that most offers break where none qualifies."""
        if self.reason == "spread" or not self.rules:
            return self.sentence
        most = next(iter(self.rules.values()))
        return f"{self.sentence}; {self.meanings[0]} ({most} of {self.offers})"


def volume_shortage(instance: Instance, v: int) -> Shortage:
    """Return why a volume has no place on its own."""
    volume = instance.pairs.volumes[v]
    sold = len(instance.pairs.offers) - len(instance.kept)
    broken = instance.pairs.broken[v]
    rules = _counted(map(rules_of, broken[:sold].tolist()))
    meanings = rule_meanings(rules, of_offers(volume))
    admissible = np.flatnonzero(broken == 0).tolist()
    name = visible(volume.name)
    if not admissible:
        sold_at = instance.pairs.offers[[*KEY]].iloc[:sold]
        by = " by place and size" if sold_at.duplicated().any() else ""
        sentence = _none_qualifies(sold, "offer", by)
        return Shortage("no_offer", sold, rules, f"{name}: {sentence}", meanings)
    places = instance.places(volume.spread)
    inside = {domain for o in admissible for domain in places[o]}
    many = len(admissible)
    qualify = f"{many} offers that qualify lie" if many > 1 else "only offer that qualifies lies"
    level = _PLURAL.get(volume.spread, f"{volume.spread}s")
    sentence = (
        f"{name}: {volume.replicas} replicas need as many {level}, and the {qualify} in "
        f"{len(inside)}{instance.least.shared_data_centers(v, admissible)}"
    )
    return Shortage("spread", sold, rules, sentence, meanings)


def workload_shortage(instance: Instance, w: int) -> Shortage:
    """Return why a workload has no GPUs, wherever its volumes are."""
    workload = instance.demand.workloads[w]
    broken = [] if instance.rentals is None else instance.rentals.broken[w].tolist()
    rules = _counted(map(gpu_rules_of, broken))
    meanings = rule_meanings(rules, of_gpus(workload))
    count = len(broken)
    none = _none_qualifies(count, "GPU offer")
    return Shortage("no_gpu", count, rules, f"{visible(workload.name)}: {none}", meanings)


def _none_qualifies(count: int, noun: str, by: str = "") -> str:
    """Return that no offer qualifies, of as many as there are."""
    if count == 0:
        return f"no {noun}s in this market"
    return (
        f"the only {noun} does not qualify"
        if count == 1
        else f"none of {count} {noun}s{by} qualifies"
    )


def first_conflict(instance: Instance) -> str:
    """Return why an instance has no plan, in one sentence: the first of these that holds.

    A volume has no admissible offer, or too few places for its replicas; a workload has no GPUs;
    the cheapest disks exceed a budget; else all that ties volumes together is named.

    Parameters
    ----------
    instance : Instance
        What is known to have no plan.
    """
    return next(_sentences(instance))


def _sentences(instance: Instance) -> Iterator[str]:
    volumes = range(len(instance.pairs.volumes))
    unplaced = [v for v in volumes if instance.least.cost(v) is None]
    for v in unplaced:
        yield volume_shortage(instance, v).short + _more(len(unplaced) - 1, "volume")
    if instance.rentals is not None:
        unrented = np.flatnonzero((instance.rentals.broken != 0).all(axis=1)).tolist()
        for w in unrented:
            yield workload_shortage(instance, w).short + _more(len(unrented) - 1, "workload")
    for owner, limit, needed in overspent_budgets(instance):
        yield over_budget(owner, limit, needed)
    yield _together(instance)


def _more(count: int, kind: str) -> str:
    return f"; the same for {count} more {kind}{'s' * (count > 1)}" if count else ""


def separable_bound(instance: Instance, owner: str | None) -> Decimal:
    """Return what disks cost in a month at least, of one owner or all, were every volume alone."""
    costs = (
        instance.least.cost(v)
        for v, volume in enumerate(instance.pairs.volumes)
        if owner is None or volume.owner == owner
    )
    hours = instance.demand.policy.hours_per_month
    return usd_month(total(cost for cost in costs if cost is not None), hours)


def overspent_budgets(instance: Instance) -> Iterator[tuple[str | None, Decimal, Decimal]]:
    """Yield the budgets that are less than the least choices of their volumes: owner and both."""
    for owner, limit in instance.demand.policy.enforced:
        needed = separable_bound(instance, owner)
        if needed > limit:
            yield owner, limit, needed


def over_budget(
    owner: str | None, limit: Decimal, needed: Decimal, least: str = "the cheapest plan needs"
) -> str:
    """Return the sentence about a budget that is less than what is needed at least."""
    field = "policy.budget_usd_month" if not owner else f"policy.budgets.{visible(owner)}"
    return (
        f"{field} is ${money(limit)}, and {least} ${money(needed, is_enough=True)}/month, "
        f"${money(difference(needed, limit), is_enough=True)} more"
    )


def _together(instance: Instance) -> str:
    demand = instance.demand
    asked = [
        f"{limit.field if limit.owner is None else f'budgets.{visible(limit.owner)}'} {limit.shown}"
        for limit in instance.requirements
    ]
    asked += ["the groups"] if demand.groups else []
    asked += ["the workloads"] if demand.workloads else []
    asked += ["the existing disks"] if instance.kept else []
    listed = ", ".join(asked[:-1]) + " and " * (len(asked) > 1) + "".join(asked[-1:])
    return f"no plan satisfies {listed or 'the demand'}{' together' * (len(asked) > 1)}"


# The rules.


def _counted(rules: Iterable[Sequence[str]]) -> dict[str, int]:
    return dict(Counter(rule for each in rules for rule in each).most_common())


def rule_meanings(rules: Iterable[str], asked: Iterable[OfferRequirement]) -> tuple[str, ...]:
    """Return what breaking each rule means, for what is asked."""
    reasons = _FACTS | {requirement.rule: requirement.reason for requirement in asked}
    return tuple(reasons.get(rule, rule) for rule in rules)
