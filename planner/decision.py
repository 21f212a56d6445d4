"""The decision of a plan: inputs, choice, record, and everything that is computed from them.

Nothing here is stored; `plan` writes a decision down and reads it back.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from planner.errors import InputError
from planner.exact_json import digest_of
from planner.frames import build, json_value
from planner.market import (
    addressable,
    disks_from_rows,
    gpus_from_rows,
    offers_from_market,
)
from planner.record import input_violations, record_violations, totals
from planner.requests import requests
from planner.solve import (
    CHOSEN_GPUS,
    PLACEMENTS,
    Baselines,
    Gpu,
    Instance,
    Kept,
    Pairs,
    Placement,
    SolverRecord,
    baselines,
    keep,
    verify,
)

if TYPE_CHECKING:
    import pandas as pd

    from planner.demand import Demand


@dataclass(frozen=True, repr=False)
class Decision:
    """What was decided, from what, and what follows from it.

    Attributes
    ----------
    project : str
        What the demand file is about.
    created_at : str
        UTC, ISO 8601.
    nonce : str
        Made once with the plan; disk names are made of it.
    target : dict | None
        ``base_url`` and ``team_id`` it was made for; None when planned offline.
    inputs : dict
        ``demand``, ``offers`` and maybe ``gpus``, each with source, digest, rows and fetched_at.
    solver : SolverRecord
        How the decision was found, with its exact cost and bound.
    warnings : tuple of str
        What it rests on that nobody has confirmed.
    placements : tuple of Placement
        The decision, in the demand's order.
    gpus : tuple of Gpu
        What the workloads run on, in the demand's order.
    demand : Demand
        What was asked, normalised.
    market : tuple of dict
        Canonical rows of the offers it was chosen from.
    gpu_market : tuple of dict
        Canonical rows of the GPU offers.
    disks : tuple of dict
        Canonical rows of the disks that the account had.
    """

    project: str
    created_at: str
    nonce: str
    target: dict[str, str | None] | None
    inputs: dict[str, dict[str, Any]]
    solver: SolverRecord
    warnings: tuple[str, ...]
    placements: tuple[Placement, ...]
    gpus: tuple[Gpu, ...]
    demand: Demand
    market: tuple[dict[str, Any], ...]
    gpu_market: tuple[dict[str, Any], ...] = ()
    disks: tuple[dict[str, Any], ...] = ()

    @property
    def plan_id(self) -> str:
        """Return a hash of the canonical inputs and the placements, 16 hex digits."""
        document = self.demand.to_document()
        del document["project"]
        placed = [values_of(placement) for placement in self.placements]
        rented = [values_of(gpu) for gpu in self.gpus]
        market = [list(self.market), list(self.gpu_market), list(self.disks)]
        return digest_of([document, *market, placed, rented])[:16]

    @property
    def totals(self) -> dict[str, Any]:
        """Return the run-rate: exact amounts as text, USD per hour and month."""
        return totals(self.placements, self.gpus, self.demand.policy.hours_per_month)

    @property
    def requests(self) -> list[dict[str, Any]]:
        """Return the create requests: volume, replica, disk and the body to POST."""
        team_id = self.target["team_id"] if self.target else None
        return requests(self.placements, nonce=self.nonce, team_id=team_id)

    @property
    def offers(self) -> pd.DataFrame:
        """Return the market it was chosen from (columns ``OFFERS``)."""
        return offers_from_market(self.market)

    @cached_property
    def addressable(self) -> pd.DataFrame:
        """Return the offers as they can be bought (columns ``ADDRESSABLE``)."""
        return addressable(self.offers)

    @cached_property
    def gpu_offers(self) -> pd.DataFrame:
        """Return the GPU offers it was chosen from (columns ``GPUS``)."""
        return gpus_from_rows(self.gpu_market)

    @cached_property
    def instance(self) -> Instance:
        """Return demand and market as they are solved: see `pairs`."""
        return Instance.of(self.demand, self.addressable, self.gpu_offers, self.kept)

    @cached_property
    def live_disks(self) -> pd.DataFrame:
        """Return the disks that the account had (columns ``DISKS``)."""
        return disks_from_rows(self.disks)

    @property
    def kept(self) -> tuple[Kept, ...]:
        """Return the replicas that live disks already were."""
        recorded = {(p.volume, p.replica): p.disk_ids for p in self.placements if p.disk_ids}
        return keep(self.demand, self.live_disks, recorded, self.addressable)[0]

    @property
    def pairs(self) -> Pairs:
        """Return every pair of volume and offer: candidates and rejections."""
        return self.instance.pairs

    def baselines(self) -> Baselines:
        """Return what simpler ways of placing the same demand would cost."""
        return baselines(Instance.of(self.demand, self.addressable, self.gpu_offers))

    def to_frame(self) -> pd.DataFrame:
        """Return the placements as a frame (columns ``PLACEMENTS``)."""
        return build([vars(placement) for placement in self.placements], PLACEMENTS)

    def gpus_to_frame(self) -> pd.DataFrame:
        """Return the GPUs of the workloads as a frame (columns ``CHOSEN_GPUS``)."""
        return build([vars(gpu) for gpu in self.gpus], CHOSEN_GPUS)

    def _record_violations(self) -> tuple[str, ...]:
        try:
            instance = self.instance
        except InputError as error:
            return (str(error),)
        return tuple(record_violations(self.solver, instance, self.placements, self.gpus))

    def violations(self) -> tuple[str, ...]:
        """Return every way in which the plan breaks its demand; empty when all holds."""
        return (
            *verify(
                self.demand,
                self.addressable,
                self.placements,
                gpus=self.gpu_offers,
                rented=self.gpus,
                disks=self.live_disks,
            ),
            *self._record_violations(),
            *input_violations(
                self.inputs,
                self.demand,
                (self.market, self.offers),
                (self.gpu_market, self.gpu_offers),
                (self.disks, self.live_disks),
            ),
            *(() if self.project == self.demand.project else ("the project is not the demand's",)),
        )


def values_of(one: Placement | Gpu) -> dict[str, Any]:
    """Return the fields of a placement or GPU as JSON values."""
    return {name: json_value(value) for name, value in vars(one).items()}
