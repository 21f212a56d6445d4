"""Asks of many variants of one demand, on one market, whether there is a plan and what it costs.

What a volume finds at the offers is worked out once for each variant of the volume. Questions are
counted, for the smallest conflicts and relaxations of a large demand are not always worth theirs.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from planner.market.places import PLACES
from planner.schema import records
from planner.solve.bound import Least
from planner.solve.candidates import Market, Pairs
from planner.solve.decompose import Undecided
from planner.solve.optimum import Optimum, optimum
from planner.solve.problem import Instance
from planner.solve.rentals import Rentals, broken_by, shared_volumes
from planner.units import total, usd_month

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from decimal import Decimal

    from numpy.typing import NDArray

    from planner.demand.model import Demand, Volume

CALLS = 2000
"""Questions about small demands that are asked at most; large ones count for more."""
SECONDS = 20.0
_PAIRS_A_CALL = 50_000
_PAIRS_A_RUN = 2_000
_COMBINATIONS = 32
"""Numbers of replicas that are tried at most where any of several would do."""


class Exhausted(Exception):
    """No more questions may be asked."""


class Unclear(Exhausted):
    """A question that no solver can answer: its numbers are too near to one another."""


@dataclass
class Allowance:
    """How many questions may still be asked, and until when.

    Attributes
    ----------
    calls : float
        Questions that are left.
    deadline : float
        On the monotonic clock: a stop that small demands never see.
    """

    calls: float = CALLS
    deadline: float = field(default_factory=lambda: time.monotonic() + SECONDS)

    def spend(self, calls: float) -> None:
        """Take some questions.

        Raises
        ------
        Exhausted
            When none was left.
        """
        if self.calls <= 0 or time.monotonic() >= self.deadline:
            raise Exhausted
        self.calls -= calls

    @contextmanager
    def keeping(self, share: float) -> Iterator[None]:
        """Keep a share of what is left from what is asked meanwhile."""
        calls, deadline = self.calls, self.deadline
        now = time.monotonic()
        self.calls, self.deadline = calls * (1 - share), now + (deadline - now) * (1 - share)
        try:
            yield
        finally:
            self.calls, self.deadline = self.calls + calls * share, deadline


@dataclass(frozen=True)
class Plan:
    """A variant of the demand with its optimum."""

    instance: Instance
    found: Optimum


class Bench:
    """Variants of a demand held against its market.

    Parameters
    ----------
    instance : Instance
        The demand that has no plan, and the market.
    """

    def __init__(self, instance: Instance) -> None:
        self.whole = instance
        self.offers = instance.pairs.offers
        self.allowance = Allowance()
        self._market = Market(self.offers)
        self._least: dict[Any, Decimal | None] = {}
        self._rows: dict[Any, tuple[NDArray[Any], NDArray[Any], NDArray[Any]]] = {}

    @cached_property
    def places(self) -> dict[str, list[tuple[str | None, ...]]]:
        """Return the places of each offer, by the demand's word for their list; None: unknown."""
        found: dict[str, list[tuple[str | None, ...]]] = {}
        for level, word in PLACES.items():
            if level == "region":
                found[word] = self.offers["regions"].tolist()
            else:
                column = self.offers[level]
                found[word] = [(None if pd.isna(name) else str(name),) for name in column]
        return found

    @cached_property
    def told(self) -> dict[str, NDArray[np.bool_]]:
        """Return which offers tell all of their places, by the demand's word for the list."""
        return {
            word: np.array([None not in names for names in places], np.bool_)
            for word, places in self.places.items()
        }

    @cached_property
    def qualities(self) -> dict[str, list[Any]]:
        """Return security, multi-node and price of each offer, None where unknown."""
        rows = records(self.offers)
        names = ("security", "multinode", "usd_gb_hr")
        return {name: [row[name] for row in rows] for name in names}

    def row(
        self, volume: Volume, levels: frozenset[str] = frozenset()
    ) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.int64]]:
        """Return broken rules, disks and GB of a volume at every offer, three of shape (O,)."""
        key = (_look(volume), levels)
        if key not in self._rows:
            disks, gb = self._market.sizes.provision(volume.need_gb)
            self._rows[key] = (self._market.broken_rules(volume, disks, levels), disks, gb)
        return self._rows[key]

    def instance(self, demand: Demand) -> Instance:
        """Return the instance of a variant: some of the volumes, with other wishes."""
        levels: dict[str, set[str]] = {}
        for group in demand.groups:
            asked = {level for level in (group.same, group.different) if level is not None}
            for name in group.volumes:
                levels.setdefault(name, set()).update(asked)
        rows = [self.row(v, frozenset(levels.get(v.name, ()))) for v in demand.volumes]
        broken, disks, gb = (np.stack(kind) for kind in zip(*rows, strict=True))
        rentals = self.whole.rentals
        if not demand.workloads:
            rentals = None
        elif rentals is not None:
            rentals = rented_by(rentals, demand)
        return Instance(demand, Pairs(demand.volumes, self.offers, broken, disks, gb), rentals)

    def best(self, demand: Demand) -> Optimum | None:
        """Return the optimum of a variant, None where it has no plan.

        Raises
        ------
        Exhausted
            When no more questions may be asked.
        """
        return None if self._cannot_pay(demand) else self.solved(demand)[1]

    def solved(self, demand: Demand) -> tuple[Instance, Optimum | None]:
        """Return a variant as an instance, and its optimum; see `best`."""
        pairs = len(demand.volumes) * len(self.offers)
        self.allowance.spend(1 + pairs / _PAIRS_A_CALL)
        instance = self.instance(demand)
        left = max(0.1, self.allowance.deadline - time.monotonic())
        try:
            found = optimum(instance, settled=False, time_limit_s=left)
        except Undecided as error:
            is_over = time.monotonic() >= self.allowance.deadline - 1
            raise (Exhausted if is_over else Unclear) from error
        if found is not None:
            self.allowance.calls -= len(found.effort.runs) * pairs / _PAIRS_A_RUN
        return instance, found

    def _cannot_pay(self, demand: Demand) -> bool:
        """Return whether a budget is less than the least choices of its volumes."""
        self.allowance.spend(0.1)
        limits, hours = demand.policy.limits, demand.policy.hours_per_month
        if not limits:
            return False
        least = self.least(demand.volumes)
        for owner, limit in limits:
            mine = (
                cost
                for volume, cost in zip(demand.volumes, least, strict=True)
                if cost is not None and owner in {None, volume.owner}
            )
            if usd_month(total(mine), hours) > limit:
                return True
        return False

    @cached_property
    def _own(self) -> dict[int, tuple[Any, int]]:
        """Return what decides the least cost of each volume of the demand itself, by identity."""
        return {id(one): (_look(one), one.replicas) for one in self.whole.demand.volumes}

    def least(self, volumes: Sequence[Volume]) -> list[Decimal | None]:
        """Return what volumes cost an hour at least, each on its own; None where one has no place.

        What groups look at is left out.
        """
        own = self._own
        keys = [own.get(id(one)) or (_look(one), one.replicas) for one in volumes]
        new = {
            key: volume for key, volume in zip(keys, volumes, strict=True) if key not in self._least
        }
        if new:
            broken, disks, provision_gb = zip(*map(self.row, new.values()), strict=True)
            stacked = np.stack(broken), np.stack(disks), np.stack(provision_gb)
            least = Least(Pairs(tuple(new.values()), self.offers, *stacked))
            self._least.update((key, least.cost(v)) for v, key in enumerate(new))
        return [self._least[key] for key in keys]

    def may_have_plan(self, demand: Demand, fewest: Mapping[str, int]) -> tuple[bool, Plan | None]:
        """Return whether a demand may have a plan, where some volumes may have fewer replicas.

        Parameters
        ----------
        fewest : mapping
            Replicas that a volume must have at least, by name; others have theirs.

        Returns
        -------
        bool, Plan | None
            No is certain. Yes comes with the plan, or without one where too many numbers of
            replicas would have to be tried.
        """
        choices = [_counts(demand, v, fewest.get(v.name, v.replicas)) for v in demand.volumes]
        if prod(map(len, choices)) > _COMBINATIONS:
            return True, None
        for counts in product(*choices):
            volumes = tuple(
                v if v.replicas == count else v.model_copy(update={"replicas": count})
                for v, count in zip(demand.volumes, counts, strict=True)
            )
            variant = demand.model_copy(update={"volumes": volumes})
            if self._cannot_pay(variant):
                continue
            instance, found = self.solved(variant)
            if found is not None:
                return True, Plan(instance, found)
        return False, None


def rented_by(rentals: Rentals, demand: Demand) -> Rentals:
    """Return the same GPU offers held against a variant of the demand."""
    at = {volume.name: v for v, volume in enumerate(demand.volumes)}
    held = replace(
        rentals,
        workloads=demand.workloads,
        broken=broken_by(demand.workloads, rentals.gpus),
        mounts=tuple(tuple(at[name] for name in one.mounts) for one in demand.workloads),
        shared=shared_volumes(demand),
        hours=tuple(demand.hours_of(one) for one in demand.workloads),
    )
    vars(held)["rows"] = rentals.rows  # a cached property: the rows are the same
    return held


def _counts(demand: Demand, volume: Volume, fewest: int) -> tuple[int, ...]:
    """Return the numbers of replicas to try: the least will do where fewer are never in the way."""
    if fewest == volume.replicas:
        return (fewest,)
    mounted = sum(volume.name in workload.mounts for workload in demand.workloads)
    tied = any(g.same is not None and volume.name in g.volumes for g in demand.groups)
    if demand.policy.max_provider_share is None and not tied and mounted <= 1:
        return (fewest,)
    return tuple(range(fewest, volume.replicas + 1))


def _look(volume: Volume) -> tuple[Any, ...]:
    """Return everything that decides what a volume finds at the offers."""
    spread = volume.spread if volume.replicas > 1 else None
    wishes = volume.stock, volume.security, volume.multinode, volume.max_usd_gb_hr
    lists = tuple(getattr(volume, word) for word in PLACES.values())
    excluded = tuple(getattr(volume.exclude, word) for word in PLACES.values())
    return volume.need_gb, volume.max_disks, spread, *wishes, lists, excluded
