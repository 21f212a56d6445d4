"""An independent optimiser for demands that grow: months in turn, every disk that may be bought.

Written against the words of the design: what one volume may be in a month is `brute`'s, what
couples volumes is `exact`'s, and here is only time. A state is what each replica is on and until
when; the least cost of the months that are left is remembered for each state.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from functools import cache
from math import ceil
from typing import TYPE_CHECKING

from tests.solve import brute, exact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.solve.brute import Row

On = tuple[int, int]
"""Offer, and the month until which a replica is on its disk there."""
State = tuple[tuple[On, ...], ...]
"""For each volume what its replicas are on, in order."""


def need_gb(volume: Row, month: int) -> int:
    """Return what a volume, or all that are on its disk, need at the end of a month."""
    if "on_disk" in volume:
        return sum(need_gb(each, month) for each in volume["on_disk"])
    base = brute.need_gb(volume)
    amount = str(volume.get("growth", "0 GB/month")).removesuffix("/month")
    if amount.endswith("%"):
        return ceil(base * (1 + Fraction(amount[:-1]) / 100) ** (month + 1))
    return ceil(base + Fraction(amount.removesuffix(" GB")) * (month + 1))


def least_usd(demand: Row, rows: list[Row]) -> Fraction | None:
    """Return the least cost of all disks over the horizon; None where there is no schedule."""
    asked = as_one(demand)
    return _Months(asked, brute.merge(rows)).left(0, tuple(() for _ in asked["volumes"]))


def as_one(demand: Row) -> Row:
    """Return a demand in which the volumes of a group of one disk are one entry, the first's.

    They have one owner, equally many replicas, and no other group.
    """
    groups, by_name = demand.get("groups", []), {each["name"]: each for each in demand["volumes"]}
    shared = [group["volumes"] for group in groups if group.get("same") == "disk"]
    units = {names[0]: _unit([by_name[name] for name in names]) for names in shared}
    others = {name for names in shared for name in names[1:]}
    volumes = [units.get(name, each) for name, each in by_name.items() if name not in others]
    first = {name: names[0] for names in shared for name in names}
    rest = [
        {**group, "volumes": [first.get(name, name) for name in group["volumes"]]}
        for group in groups
        if group.get("same") != "disk"
    ]
    return {**demand, "volumes": volumes, "groups": rest}


def _unit(members: list[Row]) -> Row:
    """Return volumes of one disk as one, within the rules of all."""
    unit = {**members[0], "on_disk": members, "max_disks": 1}
    unit["spread"] = max(
        (each.get("spread", "data_center") for each in members), key=_SPREADS.index
    )
    for word in ("providers", "data_centers"):
        lists = [set(each[word]) for each in members if word in each]
        if lists:
            unit[word] = sorted(set.intersection(*lists))
    denied = {name for each in members for name in each.get("exclude", {}).get("providers", ())}
    unit["exclude"] = {"providers": sorted(denied)}
    unit["multinode"] = any(each.get("multinode") for each in members)
    kinds = {each.get("security", "any") for each in members} - {"any"}
    unit["security"] = "any" if not kinds else kinds.pop() if len(kinds) == 1 else "neither"
    return unit


_SPREADS = ("none", "site", "data_center", "provider")


class _Months:
    """A demand, and what is sold in every month."""

    def __init__(self, demand: Row, offers: list[Row]) -> None:
        self.demand, self.offers, self.policy = demand, offers, demand["policy"]
        self.volumes, self.horizon = demand["volumes"], self.policy["horizon"]
        self.bought = cache(self._bought)
        self.left = cache(self._left)

    def _bought(self, v: int, end: int) -> dict[int, tuple[int, Fraction]]:
        """Return what may be bought for the needs until a month: offer → GB and USD per hour."""
        volume = self.volumes[v]
        asked = {**volume, "size_gb": need_gb(volume, end - 1), "headroom": "0"}
        looked_at = (level for _, level in exact.looked_at(self.demand, volume))
        levels = tuple(level for level in looked_at if level != "data_center")
        bought = {}
        for o, offer in enumerate(self.offers):
            held = brute.provision_of(asked, offer, levels)
            if held is not None:
                bought[o] = held[0], held[0] * offer["price"]
        return bought

    def _usd(self, v: int, start: int, on: On) -> Fraction:
        """Return what a disk costs that is bought in a month."""
        (offer, end), move = on, self.policy.get("move", {})
        hours = Fraction(exact.hours(self.demand) * (end - start))
        egress = Fraction(0)
        if end < self.horizon:
            hours += Fraction(str(move.get("overlap_hours", 72)))
            price = Fraction(str(move.get("egress_usd_gb", 0)))
            egress = price * need_gb(self.volumes[v], end - 1)
        return self.bought(v, end)[offer][1] * hours + egress

    def _placings(
        self, v: int, before: tuple[On, ...], month: int
    ) -> Iterator[tuple[Fraction, tuple[On, ...]]]:
        """Yield what is paid for new disks in a month, and what the replicas are on then."""
        volume, ends = self.volumes[v], range(month + 1, self.horizon + 1)
        stay = tuple(on for on in before if on[1] > month)
        new = [(o, end) for end in ends for o in self.bought(v, end)]
        replicas = volume.get("replicas", 1)
        apart = replicas > 1 and volume.get("spread", "data_center") != "none"
        for more in itertools.combinations_with_replacement(new, replicas - len(stay)):
            here = [self.offers[o] for o, _ in (*stay, *more)]
            if not apart or brute.are_apart(here, volume["spread"]):
                paid = sum((self._usd(v, month, on) for on in more), Fraction(0))
                yield paid, tuple(sorted((*stay, *more)))

    def _holds(self, state: State) -> bool:
        """Return whether what is there in a month is within the policy and the groups."""
        options, gb = [], dict[str, int]()
        for v, mine in enumerate(state):
            here = [self.bought(v, end)[o] for o, end in mine]
            places = tuple(self.offers[o] for o, _ in mine)
            usd = sum((usd_hr for _, usd_hr in here), Fraction(0)) * exact.hours(self.demand)
            options.append(exact.Option(usd, 0, places, sum(size for size, _ in here)))
            for (size, _), place in zip(here, places, strict=True):
                gb[place["provider"]] = gb.get(place["provider"], 0) + size
        rest = {word: limit for word, limit in self.policy.items() if word != "max_provider_share"}
        if not exact.holds({**self.demand, "policy": rest}, tuple(options)):
            return False
        share = Fraction(str(self.policy.get("max_provider_share", 1)))
        return all(mine <= share * sum(gb.values()) for mine in gb.values())

    def _left(self, month: int, state: State) -> Fraction | None:
        """Return the least cost of the months that are left."""
        if month == self.horizon:
            return Fraction(0)
        best: Fraction | None = None
        volumes = range(len(self.volumes))
        for combo in itertools.product(
            *(sorted(self._placings(v, state[v], month)) for v in volumes)
        ):
            now = sum((usd for usd, _ in combo), Fraction(0))
            after = tuple(on for _, on in combo)
            if (best is None or now < best) and self._holds(after):
                rest = self.left(month + 1, after)
                if rest is not None and (best is None or now + rest < best):
                    best = now + rest
        return best
