"""Rentals: every workload held against every GPU offer, and where GPUs meet disks.

What `candidates` is for volumes and disk offers. Rows are workloads, columns are GPU offers; a
pair that cannot be keeps every rule that it breaks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from planner.market.gpus import gpus_by_key, meeting
from planner.market.wire import STOCK_RANK
from planner.requirements.offer import At, OfferColumns
from planner.requirements.workload import OF_GPUS, of_gpus
from planner.schema import AMOUNT, EXACT, TEXT, WHOLE, YES_NO, Column, build
from planner.units import averaged_usd_hr, usd_hr, usd_month

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    import pandas as pd
    from numpy.typing import NDArray

    from planner.demand.model import Demand, Workload
    from planner.requirements.offer import OfferRequirement

GPU_RULES = {
    "malformed": "its row in the listing has errors",
    "unpriced": "it has no usable price",
    "unavailable": "it is out of stock",
    **{rule: meaning for kind in OF_GPUS for rule, meaning in kind.rules},
}
"""Every rule a pair of workload and GPU offer can break, and what breaking it means."""

CHOSEN_GPUS = (
    Column("workload", TEXT, "name in the demand"),
    Column("offer_id", TEXT, "short id of the GPU offer"),
    Column("provider", TEXT, "where"),
    Column("cloud_id", TEXT, "which; null: unknown"),
    Column("gpu_type", TEXT, "model, such as H100_80GB"),
    Column("gpus", WHOLE, "GPUs in one offer"),
    Column("nodes", WHOLE, "how many of the offer are rented"),
    Column("socket", TEXT, "null: unknown"),
    Column("spot", YES_NO, "can be interrupted; unknown counts as false"),
    Column("security", TEXT, "secure_cloud, community_cloud; null: unknown"),
    Column("data_center", TEXT, "where; null: unknown"),
    Column("country", TEXT, "where; null: unknown"),
    Column("region", TEXT, "where; null: unknown"),
    Column("hours_per_month", WHOLE, "hours the job runs in a month"),
    Column("usd_hr_on", AMOUNT, "hourly cost of all nodes while it runs"),
    Column("usd_hr", AMOUNT, "the month's cost over the policy's hours, see averaged_usd_hr"),
)
"""Columns of the GPUs of a plan as a frame, in the demand's order."""

_WHERE = {"workload", "offer_id", "provider", "data_center"}
_RENTED = _WHERE | {"cloud_id", "country", "usd_hr_on", "usd_hr"}
RENTAL_CANDIDATES = tuple(column for column in CHOSEN_GPUS if column.name in _RENTED)
"""Columns of the admissible pairs."""
RENTAL_REJECTIONS = (
    *(column for column in CHOSEN_GPUS if column.name in _WHERE),
    Column("rules", EXACT, "tuple of every rule it breaks, see GPU_RULES"),
)
"""Columns of the other pairs; the provider is null where the row names none."""

_BIT = {rule: 1 << index for index, rule in enumerate(GPU_RULES)}


@dataclass(frozen=True)
class Gpu:
    """The GPU offer chosen for a workload; fields as in ``CHOSEN_GPUS``."""

    workload: str
    offer_id: str
    provider: str
    cloud_id: str | None
    gpu_type: str
    gpus: int
    nodes: int
    socket: str | None
    spot: bool
    security: str | None
    data_center: str | None
    country: str | None
    region: str | None
    hours_per_month: int
    usd_hr_on: Decimal
    usd_hr: Decimal


@dataclass(frozen=True)
class Rentals:
    """All pairs of W workloads and G GPU offers, and what of V volumes at O disk offers they reach.

    Amounts are those of priced GPU offers: a pair that breaks no rule has one.

    Attributes
    ----------
    workloads : tuple of Workload
        In the demand's order.
    gpus : DataFrame
        Columns ``GPUS``, G rows, every one listed, by create key (null first), then by the other
        columns as declared; ``row``, the place in the listing, decides between equal rows only.
    broken : ndarray of uint32, shape (W, G)
        Rules broken, as bits; zero is a candidate.
    meets : ndarray of bool, shape (G, O)
        Whether a disk offer lies where the GPU is.
    multinode : ndarray of bool, shape (O,)
        Whether several nodes can mount a disk of the offer; unknown is no.
    mounts : tuple of tuple of int
        For each workload the volumes that it mounts, as indices of the demand's.
    shared : ndarray of bool, shape (V,)
        Volumes that several workloads mount, and maybe at the same time: the policy is not
        sequential, or their hours together do not fit into its month.
    hours : tuple of int
        Hours that each workload runs in a month.
    hours_per_month : int
        Hours of the policy's month.
    """

    workloads: tuple[Workload, ...]
    gpus: pd.DataFrame
    broken: NDArray[np.uint32]
    meets: NDArray[np.bool_]
    multinode: NDArray[np.bool_]
    mounts: tuple[tuple[int, ...], ...]
    shared: NDArray[np.bool_]
    hours: tuple[int, ...]
    hours_per_month: int

    def usd_hr_on(self, w: int, g: int) -> Decimal:
        """Return the exact hourly cost of all nodes of a workload while it runs."""
        return usd_hr(self.workloads[w].nodes, self.rows[g]["usd_hr"])

    def usd_month(self, w: int, g: int) -> Decimal:
        """Return the exact cost of a workload's hours in a month, all nodes."""
        return usd_month(self.usd_hr_on(w, g), self.hours[w])

    def usd_hr(self, w: int, g: int) -> Decimal:
        """Return the hourly cost averaged over the policy's month, see `averaged_usd_hr`."""
        return averaged_usd_hr(self.usd_month(w, g), self.hours_per_month)

    def mountable(self, w: int, v: int, g: int) -> NDArray[np.bool_]:
        """Return where a replica of a volume lets a workload run on a GPU offer, shape (O,).

        There, and where several nodes can mount it if they must: more than one is rented, the
        offer is of the multi-node listing, or the volume is ``shared``. What the volume itself
        asks for is not looked at; that is in ``Pairs``.
        """
        here: NDArray[np.bool_] = self.meets[g]
        needs = self.shared[v] or self.several_nodes(w)[g]
        return here & self.multinode if needs else here.copy()

    def several_nodes(self, w: int) -> NDArray[np.bool_]:
        """Return for which GPU offers a workload runs on several nodes, shape (G,)."""
        return self._listed_multinode | (self.workloads[w].nodes > 1)

    def with_nodes(self, w: int, nodes: int) -> Rentals:
        """Return the same rentals for a workload on another number of nodes."""
        asked = self.workloads[w].model_copy(update={"nodes": nodes})
        workloads = (*self.workloads[:w], asked, *self.workloads[w + 1 :])
        held = replace(self, workloads=workloads)
        vars(held)["columns"] = self.columns  # a cached property: the rows are the same
        return held

    @cached_property
    def _listed_multinode(self) -> NDArray[np.bool_]:
        return (self.gpus["listing"] == "multi-node").to_numpy(np.bool_)

    def best(self, w: int, allowed: NDArray[np.bool_]) -> int | None:
        """Return the GPU offer to take for a workload, None where no allowed one is admissible.

        The least by (exact month's cost, 3 - stock rank, row); ``allowed`` has shape (G,).
        """
        fit = np.flatnonzero(allowed & (self.broken[w] == 0))
        return int(fit[np.argmin(self._position[fit])]) if fit.size else None

    @cached_property
    def columns(self) -> OfferColumns:
        """Return what requirements look at."""
        return OfferColumns(self.gpus)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Return the GPU offers as plain values, None for null."""
        return self.columns.rows

    @cached_property
    def _position(self) -> NDArray[np.int64]:
        """Return each GPU offer's place when sorted for `best`, which no nodes or hours change."""
        keys = [
            (row["usd_hr"] is None, row["usd_hr"] or 0, 3 - STOCK_RANK[row["stock"]], g)
            for g, row in enumerate(self.rows)
        ]
        return np.argsort([key[-1] for key in sorted(keys)])

    def candidates(self) -> pd.DataFrame:
        """Return the admissible pairs (columns ``RENTAL_CANDIDATES``), by workload and GPU row."""
        rows = [
            self._pair(w, g, usd_hr_on=self.usd_hr_on(w, g), usd_hr=self.usd_hr(w, g))
            for w, g in np.argwhere(self.broken == 0).tolist()
        ]
        return build(rows, RENTAL_CANDIDATES)

    def rejections(self) -> pd.DataFrame:
        """Return the other pairs (columns ``RENTAL_REJECTIONS``), by workload and GPU row."""
        rows = [
            self._pair(w, g, rules=gpu_rules_of(int(self.broken[w, g])))
            for w, g in np.argwhere(self.broken != 0).tolist()
        ]
        return build(rows, RENTAL_REJECTIONS)

    def _pair(self, w: int, g: int, **values: Any) -> dict[str, Any]:  # noqa: ANN401 -- cells
        return {**self.rows[g], "workload": self.workloads[w].name, **values}


def rent(demand: Demand, offers: pd.DataFrame, gpus: pd.DataFrame) -> Rentals:
    """Hold every workload against every GPU offer.

    Parameters
    ----------
    demand : Demand
        W workloads that mount some of V volumes.
    offers : DataFrame
        Columns ``ADDRESSABLE``, O rows: the disk offers of the same ``Pairs``.
    gpus : DataFrame
        Columns ``GPUS``, G rows in any order; one row is one offer, however many are alike.
    """
    listed = gpus_by_key(gpus)
    at = {volume.name: v for v, volume in enumerate(demand.volumes)}
    return Rentals(
        workloads=demand.workloads,
        gpus=listed,
        broken=broken_by(demand.workloads, listed),
        meets=meeting(offers, listed),
        multinode=offers["multinode"].fillna(value=False).to_numpy(np.bool_),
        mounts=tuple(tuple(at[name] for name in job.mounts) for job in demand.workloads),
        shared=shared_volumes(demand),
        hours=tuple(demand.hours_of(job) for job in demand.workloads),
        hours_per_month=demand.policy.hours_per_month,
    )


def gpu_rules_of(bits: int) -> tuple[str, ...]:
    """Return the rules of ``GPU_RULES`` that bits stand for."""
    return tuple(rule for rule, bit in _BIT.items() if bits & bit)


def gpu_choice(rentals: Rentals, w: int, g: int) -> Gpu:
    """Return the GPU offer chosen for a workload, in the words of the plan."""
    row, workload = rentals.rows[g], rentals.workloads[w]
    named = ("offer_id", "provider", "cloud_id", "gpu_type", "gpus", "socket", "security")
    return Gpu(
        workload=workload.name,
        **{name: row[name] for name in (*named, "data_center", "country", "region")},
        nodes=workload.nodes,
        spot=row["spot"] is True,
        hours_per_month=rentals.hours[w],
        usd_hr_on=rentals.usd_hr_on(w, g),
        usd_hr=rentals.usd_hr(w, g),
    )


def broken_by(workloads: Sequence[Workload], gpus: pd.DataFrame) -> NDArray[np.uint32]:
    """Return the rules that each workload breaks at each GPU offer as bits, shape (W, G)."""
    at = At(OfferColumns(gpus))
    facts = (
        _bits("malformed", gpus["problem"].notna().to_numpy())
        | _bits("unpriced", gpus["usd_hr"].isna().to_numpy())
        | _bits("unavailable", (gpus["stock"] == "Unavailable").to_numpy(np.bool_))
    )
    known: dict[OfferRequirement, NDArray[np.uint32]] = {}  # workloads often ask for the same
    broken = np.tile(facts, (len(workloads), 1))
    for w, workload in enumerate(workloads):
        for requirement in of_gpus(workload):
            if requirement not in known:
                known[requirement] = _bits(requirement.rule, requirement.breaks(at))
            broken[w] |= known[requirement]
    return broken


def _bits(rule: str, broken: NDArray[np.bool_]) -> NDArray[np.uint32]:
    return np.where(broken, np.uint32(_BIT[rule]), np.uint32(0))


def shared_volumes(demand: Demand) -> NDArray[np.bool_]:
    """Return the volumes that several workloads mount, and maybe at the same time, shape (V,)."""
    hours: dict[str, list[int]] = {volume.name: [] for volume in demand.volumes}
    for workload in demand.workloads:
        for name in workload.mounts:
            hours[name].append(demand.hours_of(workload))
    in_turn = demand.policy.hours_per_month if demand.policy.sequential else 0
    return np.array([len(each) > 1 and sum(each) > in_turn for each in hours.values()], np.bool_)
