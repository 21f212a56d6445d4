"""The least choice for one volume at a time, in exact decimals.

Nothing that the program may do costs less than the least choice of every volume on its own: the
sum is a bound that needs no solver. Where nothing couples the volumes the least choice *is* the
optimum, and of all choices of that cost this module takes the one with

1. better stock: least sum of ``3 - rank`` over the replicas,
2. fewer sites: at each volume the tied site that is tied for most volumes,
3. the least create keys (provider, cloud id, data centre, country; null first).

Where every offer lies in one failure domain, the least replicas are the cheapest offers of the
cheapest domains. Ambiguous offers lie in several regions, and one data centre can lie in several
providers or countries; then a depth-first search over the cheapest offer of each set of domains
finds the least disjoint ones.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from planner.requirements.spread import spreads
from planner.solve.places import Site
from planner.units import difference, total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from planner.solve.candidates import Pairs


CLOSE = 1 + 1e-9
"""Relative distance within which float costs are compared exactly; doubles err by 1e-15."""

_EVERY = slice(None)

Weight = tuple[Decimal, int, int]
"""Cost, stock penalty, and minus how many volumes are tied at the site; these add up."""


class _Choice(NamedTuple):
    """One candidate of a volume: its offer, the domains it lies in, what it weighs."""

    offer: int
    domains: frozenset[Any]
    weight: Weight


class SeparableBound:
    """The least choice of every volume of a set of pairs.

    Parameters
    ----------
    pairs : Pairs
        All pairs of volumes and offers.

    Notes
    -----
    A volume whose replicas find no room in disjoint domains has no choice: None.
    """

    def __init__(self, pairs: Pairs) -> None:
        self._pairs = pairs
        self._sites, self._penalty = pairs.facts.sites, pairs.facts.penalty
        self._survived: dict[int, list[_Choice]] = {}
        self._least: dict[int, list[_Choice] | None] = {}
        self._without: dict[tuple[int, tuple[int, ...], int], list[int] | None] = {}

    def float_usd_hr(self, volume: Any, offer: Any = _EVERY) -> NDArray[np.float64]:  # noqa: ANN401 -- what an array is read with
        """Return about what a replica costs an hour, infinite where it cannot be.

        One volume at some offers, some volumes at all, or pairs: never asked of all pairs at once.
        """
        pairs = self._pairs
        usd_hr = pairs.provision_gb[volume, offer] * pairs.facts.float_prices[offer]
        return np.where(pairs.broken[volume, offer] == 0, usd_hr, np.inf)

    def cost(self, volume: int) -> Decimal | None:
        """Return the exact least hourly cost of all replicas of a volume."""
        chosen = self._cheapest(volume)
        return None if chosen is None else total(choice.weight[0] for choice in chosen)

    def choices(self) -> list[list[int] | None]:
        """Return the chosen offers of each volume, by create key, one entry for each replica."""
        return [self.choice(volume) for volume in range(len(self._pairs.volumes))]

    def choice(self, volume: int) -> list[int] | None:
        """Return the chosen offers of one volume; see `choices`."""
        replicas = self._pairs.volumes[volume].replicas
        return self._weighed(volume, self._survivors(volume), self.tied, replicas)

    def choice_without(
        self, volume: int, offers: Sequence[int], replicas: int | None = None
    ) -> list[int] | None:
        """Return what one volume alone would choose without some offers; see `choices`.

        Parameters
        ----------
        replicas : int | None
            How many; None: all of them.
        """
        asked = volume, tuple(offers), replicas or self._pairs.volumes[volume].replicas
        if asked not in self._without:
            usd_hr = self.float_usd_hr(volume)
            usd_hr[list(offers)] = np.inf
            choices = self._surviving(volume, usd_hr, asked[2])
            tied = self._tied_sites(self._pick(volume, choices, asked[2]), choices)
            self._without[asked] = self._weighed(volume, choices, Counter(tied), asked[2])
        return self._without[asked]

    def _weighed(
        self, volume: int, choices: Sequence[_Choice], tied: Counter[Site], replicas: int
    ) -> list[int] | None:
        weighed = [
            choice._replace(weight=(*choice.weight[:2], -tied[self._sites[choice.offer]]))
            for choice in choices
        ]
        picked = self._pick(volume, weighed, replicas)
        return None if picked is None else sorted(choice.offer for choice in picked)

    def costs_with(self, volume: int, offers: Sequence[int]) -> list[Decimal] | None:
        """Return the exact least hourly costs of all replicas, one of them at each of some offers.

        None where this takes a search: a volume without a choice, or copies kept apart by places
        of which an offer lies in several.
        """
        picked, demanded = self._cheapest(volume), self._pairs.volumes[volume]
        if picked is None or not self.is_simple(volume):
            return None
        costs = self._pairs.usd_hr_at(volume, offers)
        if demanded.replicas == 1:
            return costs
        each = [choice.weight[0] for choice in picked]
        others = difference(total(each), each[0])
        if not spreads(demanded.replicas, demanded.spread):
            return [total([others, usd_hr]) for usd_hr in costs]
        every = self.spread_domains(demanded.spread)
        dearest = max(picked, key=_order)
        gone = {choice.domains: choice.weight[0] for choice in picked}
        return [
            total([difference(total(each), gone.get(every[o], dearest.weight[0])), usd_hr])
            for o, usd_hr in zip(offers, costs, strict=True)
        ]

    @cached_property
    def tied(self) -> Counter[Site]:
        """Return for how many volumes each site is tied, were each volume alone."""
        tied = Counter[Site]()
        for volume in range(len(self._pairs.volumes)):
            tied.update(self._tied_sites(self._cheapest(volume), self._survivors(volume)))
        return tied

    def is_simple(self, volume: int) -> bool:
        """Return whether copies of a volume lie in one place each, or need not be apart."""
        demanded = self._pairs.volumes[volume]
        apart = spreads(demanded.replicas, demanded.spread)
        return not apart or self.is_single(demanded.spread)

    def domains(self, level: str) -> list[frozenset[Any]]:
        """Return the failure domains of each offer at a level."""
        return self._pairs.facts.domains(level)

    def spread_domains(self, level: str) -> list[frozenset[Any]]:
        """Return the domains of each offer that copies spread over a level may not share."""
        return self._pairs.facts.grouped(level)[0]

    def shared_data_centers(self, v: int, admissible: Sequence[int]) -> str:
        """Return how data centres keep copies out that have places enough at their own level."""
        volume, data_centers = self._pairs.volumes[v], self.domains("data_center")
        own = self.domains(volume.spread)
        if len({place for o in admissible for place in own[o]}) < volume.replicas:
            return ""
        inside = len({data_centers[o] for o in admissible})
        plural = "s" * (inside > 1)
        return f" and in {inside} data centre{plural}, which copies must not share either"

    def is_single(self, level: str) -> bool:
        """Return whether each offer is in one domain, for copies spread over a level."""
        return self._pairs.facts.grouped(level)[2]

    def _survivors(self, volume: int) -> list[_Choice]:
        if volume not in self._survived:
            usd_hr, replicas = self.float_usd_hr(volume), self._pairs.volumes[volume].replicas
            self._survived[volume] = self._surviving(volume, usd_hr, replicas)
        return self._survived[volume]

    def _surviving(self, volume: int, usd_hr: NDArray[np.float64], replicas: int) -> list[_Choice]:
        """Return the candidates that some least choice may use, and those close to them.

        Of each set of domains only the cheapest can be used, and none that is too dear even
        beside the cheapest of all the others: some replicas that are apart cost less.
        """
        offers = np.flatnonzero(np.isfinite(usd_hr))
        if offers.size == 0:
            return []
        spread = self._pairs.volumes[volume].spread
        if spreads(replicas, spread):
            every, codes, _ = self._pairs.facts.grouped(spread)
            ascending = offers[np.argsort(usd_hr[offers], kind="stable")]
            cheapest = ascending[np.sort(np.unique(codes[ascending], return_index=True)[1])]
            least = np.full(codes.max() + 1, np.inf)
            least[codes[cheapest]] = usd_hr[cheapest]
            apart = _apart(cheapest.tolist(), every, replicas)
            others = usd_hr[cheapest[: replicas - 1]].sum()
            most = usd_hr[apart].sum() * CLOSE - others if apart else np.inf
            limit = np.minimum(least[codes[offers]], most)
        else:
            every = [frozenset()] * len(usd_hr)
            limit = usd_hr[offers].min()
        return [
            _Choice(o, every[o], (self._pairs.usd_hr(volume, o), self._penalty[o], 0))
            for o in offers[usd_hr[offers] <= limit * CLOSE].tolist()
        ]

    def _cheapest(self, volume: int) -> list[_Choice] | None:
        """Return the least set of replicas, however many volumes are tied at their sites."""
        if volume not in self._least:
            replicas = self._pairs.volumes[volume].replicas
            self._least[volume] = self._pick(volume, self._survivors(volume), replicas)
        return self._least[volume]

    def _pick(self, volume: int, choices: Sequence[_Choice], replicas: int) -> list[_Choice] | None:
        """Return the least set of replicas among a volume's survivors, as they are weighed."""
        if not spreads(replicas, self._pairs.volumes[volume].spread):
            best = min(choices, key=_order, default=None)
            return None if best is None else [best] * replicas
        return _disjoint([*_best_of(choices).values()], replicas)

    def _tied_sites(
        self, picked: Sequence[_Choice] | None, choices: Sequence[_Choice]
    ) -> set[Site]:
        """Return the sites that some choice of least cost and best stock can use."""
        if picked is None:
            return set()
        limit = max(choice.weight for choice in picked)
        best_of = _best_of(choices)
        equal = [choice for choice in choices if choice.weight == best_of[choice.domains].weight]
        if any(len(choice.domains) > 1 for choice in choices):
            tied = _in_a_least_set(list(best_of.values()), picked)
            return {self._sites[choice.offer] for choice in equal if choice.domains in tied}
        return {self._sites[choice.offer] for choice in equal if choice.weight <= limit}


def _order(choice: _Choice) -> tuple[Weight, int]:
    """Sort by weight, then create key; offers are numbered by their keys."""
    return choice.weight, choice.offer


def _apart(offers: Sequence[int], domains: Sequence[frozenset[Any]], count: int) -> list[int]:
    """Return the first offers, so many of them, that share no domain; none where they run out."""
    apart: list[int] = []
    used: set[Any] = set()
    for offer in offers:
        if used.isdisjoint(domains[offer]):
            used |= domains[offer]
            apart.append(offer)
            if len(apart) == count:
                return apart
    return []


def _best_of(choices: Sequence[_Choice]) -> dict[frozenset[Any], _Choice]:
    """Return the least choice of each set of domains, in their order."""
    best: dict[frozenset[Any], _Choice] = {}
    for choice in sorted(choices, key=_order):
        best.setdefault(choice.domains, choice)
    return best


def _disjoint(choices: Sequence[_Choice], count: int) -> list[_Choice] | None:
    """Return the lightest ``count`` choices, in disjoint domains, of those with the least keys.

    Parameters
    ----------
    choices : sequence of _Choice
        By weight and create key, the sets of domains all different.
    """
    if all(len(choice.domains) == 1 for choice in choices):
        return list(choices[:count]) if len(choices) >= count else None
    best: tuple[Weight, list[int]] | None = None
    lightest: list[_Choice] | None = None

    def descend(start: int, chosen: list[_Choice], used: frozenset[Any]) -> None:
        nonlocal best, lightest
        missing = count - len(chosen)
        if missing == 0:
            rank = _sum(chosen), sorted(choice.offer for choice in chosen)
            if best is None or rank < best:
                best, lightest = rank, chosen
            return
        left = [choice for choice in choices[start:] if used.isdisjoint(choice.domains)]
        if not _has_room(left, missing):
            return
        least_keys = sorted(choice.offer for choice in left)[:missing]
        for index in range(len(left) - missing + 1):
            bound = (
                _sum([*chosen, *left[index : index + missing]]),
                sorted([*(choice.offer for choice in chosen), *least_keys]),
            )
            if best is not None and bound >= best:
                return
            choice = left[index]
            descend(choices.index(choice, start) + 1, [*chosen, choice], used | choice.domains)

    descend(0, [], frozenset())
    return lightest


def _in_a_least_set(choices: Sequence[_Choice], least: Sequence[_Choice]) -> set[frozenset[Any]]:
    """Return the sets of domains that some disjoint set of least weight uses."""
    others, best = len(least) - 1, _sum(least)
    lightest = _sum(choices[:others])
    tied = set()
    for choice in choices:
        if _plus(choice.weight, lightest) > best:
            break
        apart = [other for other in choices if choice.domains.isdisjoint(other.domains)]
        rest = _disjoint(apart, others)
        if rest is not None and _sum([choice, *rest]) == best:
            tied.add(choice.domains)
    return tied


def _plus(left: Weight, right: Weight) -> Weight:
    return total([left[0], right[0]]), left[1] + right[1], left[2] + right[2]


def _has_room(choices: Sequence[_Choice], count: int) -> bool:
    """Return whether so many disjoint choices could fit into the domains there are."""
    if len(choices) < count:
        return False
    needed = sum(sorted([len(choice.domains) for choice in choices])[:count])
    there: set[Any] = set()
    for choice in choices:
        there |= choice.domains
        if len(there) >= needed:
            return True
    return False


def _sum(choices: Sequence[_Choice]) -> Weight:
    weights = [choice.weight for choice in choices]
    return total(w[0] for w in weights), sum(w[1] for w in weights), sum(w[2] for w in weights)
