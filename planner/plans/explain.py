"""Why a plan is as it is: questions to a saved plan, answered as frames.

Demand and market are in the plan, so every answer is a plan solved again with one thing changed.
Nothing is kept: asking leaves the plan as it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from planner.analysis import explain as answers
from planner.analysis.alternatives import alternatives as best_others
from planner.analysis.alternatives import placements_frame, to_frame
from planner.analysis.evaluator import Evaluator
from planner.analysis.explain import requirements
from planner.analysis.sensitivity import prices
from planner.errors import Defect, InputError
from planner.market.market import Sold
from planner.plans.given import a_plan
from planner.present.table import counted
from planner.present.writers import paragraph_html, title_html
from planner.schema import frame_html, frame_rows, handed_out, records
from planner.solve.rentals import gpu_choice
from planner.text import suggestion, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd

    from planner.plans.plan import Plan
    from planner.solve.problem import Chosen


_ANSWERS = ("choices", "offers", "gpus", "requirements", "prices")


@dataclass(frozen=True, repr=False)
class Explanation:
    """Answers about one plan, each worked out when first read.

    Where all volumes are asked about at once, only so many programs are solved as people wait
    for; what is left over says so in ``why`` or ``then``, and is answered when asked for by name.

    Attributes
    ----------
    volume : int | None
        The volume that is asked about; None asks about all.
    offers_asked : tuple of int | None
        The disk offers that are asked about; None asks about all.
    exact : bool
        Amounts are Decimals; else floats.
    """

    plan: Plan
    volume: int | None
    offers_asked: tuple[int, ...] | None
    exact: bool = False

    @cached_property
    def choices(self) -> pd.DataFrame:
        """Return where each replica is and where it would be otherwise (``CHOICES``)."""
        return self._handed_out(answers.choices(self._evaluator, self._volumes))

    @cached_property
    def offers(self) -> pd.DataFrame:
        """Return what each volume would break or cost at every offer (``OFFERS``)."""
        shown = answers.offers(self._evaluator, self._volumes, self.offers_asked)
        return self._handed_out(shown)

    def offer_rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of `offers` as JSON values: there may be millions."""
        for block in answers.offer_blocks(self._evaluator, self._volumes, self.offers_asked):
            yield from frame_rows(self._handed_out(block))

    @cached_property
    def gpus(self) -> pd.DataFrame:
        """Return what each workload would break or cost on every GPU offer (``WORKLOAD_GPUS``)."""
        return self._handed_out(answers.gpus(self._evaluator, self._workloads))

    @cached_property
    def requirements(self) -> pd.DataFrame:
        """Return what each requirement costs (``REQUIREMENTS``)."""
        return self._handed_out(requirements(self._evaluator, self.volume))

    @cached_property
    def prices(self) -> pd.DataFrame:
        """Return how far prices may rise or have to fall (``PRICES``)."""
        return self._handed_out(prices(self._evaluator, self.offers_asked))

    @cached_property
    def larger(self) -> pd.DataFrame:
        """Return what larger first disks of a growing plan cost more (``LARGER``)."""
        answer = self.plan.outlook.larger()
        if self.volume is not None:
            name = self.plan.demand.volumes[self.volume].name
            answer = answer[answer["volume"] == name].reset_index(drop=True)
        return self._handed_out(answer)

    def _handed_out(self, answer: pd.DataFrame) -> pd.DataFrame:
        hours = self.plan.demand.policy.hours_per_month
        return handed_out(answer, exact=self.exact, hours_per_month=hours)

    def __repr__(self) -> str:
        return f"<Explanation of {self._about}>"

    def _repr_html_(self) -> str:
        about_all = self.volume is None and self.offers_asked is None
        shown = "choices" if about_all else "offers"
        others = ", ".join(f".{name}" for name in _ANSWERS if name != shown)
        note = f"these are its .{shown}; there are also {others}"
        return title_html(self._about) + frame_html(getattr(self, shown)) + paragraph_html(note)

    @property
    def _about(self) -> str:
        volumes = self.plan.demand.volumes
        about = "every volume" if self.volume is None else f"volume {volumes[self.volume].name}"
        which = "" if self.offers_asked is None else " at one offer"
        return f"plan {self.plan.plan_id}: {about}{which}"

    @property
    def _evaluator(self) -> Evaluator:
        """Return the evaluator, with a budget of its own for each of the answers."""
        if self.volume is None and self.offers_asked is None:
            self._all_answers.ration()
        return self._all_answers

    @cached_property
    def _all_answers(self) -> Evaluator:
        return evaluator_of(self.plan)

    @property
    def _volumes(self) -> list[int]:
        return [*range(len(self.plan.demand.volumes))] if self.volume is None else [self.volume]

    @property
    def _workloads(self) -> list[int]:
        demand = self.plan.demand
        name = None if self.volume is None else demand.volumes[self.volume].name
        return [w for w, job in enumerate(demand.workloads) if name is None or name in job.mounts]


def explain(
    plan: Plan, volume: str | None = None, offer_id: str | None = None, *, exact: bool = False
) -> Explanation:
    """Return why a plan is as it is.

    Parameters
    ----------
    plan : Plan
        Stays as it is.
    volume : str | None
        Ask about one volume, its groups and its workloads.
    offer_id : str | None
        Ask about one disk offer, by the id of any row of it.
    exact : bool
        Amounts are Decimals; else floats.

    Raises
    ------
    InputError
        When the plan has no such volume, or its market no such offer.

    Examples
    --------
    >>> import planner
    >>> demand = planner.read_demand("shipped:minimal")
    >>> offers = planner.read_offers("shipped:disk-offers")
    >>> plan = planner.plan(demand, offers)
    >>> explain(plan).choices["replica"].tolist()
    [1, 2, 1]
    """
    names = [each.name for each in a_plan(plan).demand.volumes]
    if volume is not None and volume not in names:
        raise _unknown("the plan has no volume", volume, names)
    wanted: tuple[int, ...] | None = None
    if offer_id is not None:
        ids = plan.instance.pairs.offers["offer_ids"].tolist()
        wanted = tuple(o for o, each in enumerate(ids) if offer_id in each)
        if not wanted:
            known = {offer_id for each in ids for offer_id in each}
            raise _unknown("the plan's market has no disk offer", offer_id, known)
    return Explanation(plan, None if volume is None else names.index(volume), wanted, exact)


@dataclass(frozen=True, repr=False)
class Alternatives:
    """The best other plans.

    Attributes
    ----------
    frame : DataFrame
        Columns ``ALTERNATIVES``, cheapest first.
    placements : DataFrame
        Columns ``ALTERNATIVE_PLACEMENTS``, the placements of each.
    """

    frame: pd.DataFrame
    placements: pd.DataFrame

    def __repr__(self) -> str:
        return f"<Alternatives: {counted(len(self.frame), 'plan')}>"

    def _repr_html_(self) -> str:
        note = "this is its .frame; .placements says where each puts every replica"
        return frame_html(self.frame) + paragraph_html(note)


def alternatives(plan: Plan, k: int, *, exact: bool = False) -> Alternatives:
    """Return the k cheapest plans that place some volume at other offers.

    Plans of equal cost count, this plan does not, and GPUs are the cheapest that the disks allow.
    Fewer than k are all there are.

    Parameters
    ----------
    plan : Plan
        Stays as it is.
    k : int
        How many.
    exact : bool
        Amounts are Decimals; else floats.

    Raises
    ------
    InputError
        When ``k`` is less than 1.
    """
    if k < 1:
        raise InputError(f"{k} alternatives cannot be shown", hint="ask for 1 or more")
    evaluator = evaluator_of(plan)
    others = best_others(evaluator, k)
    hours = plan.demand.policy.hours_per_month
    frames = (to_frame(evaluator, others), placements_frame(evaluator.instance, others))
    return Alternatives(
        *(handed_out(frame, exact=exact, hours_per_month=hours) for frame in frames)
    )


def evaluator_of(plan: Plan) -> Evaluator:
    """Return the evaluator of a plan."""
    instance = a_plan(plan).instance
    rows = records(instance.pairs.offers)
    disks = {(v, rows[o]["offer_id"]): o for v, o in instance.kept}
    sold = Sold(rows[: instance.pairs.sold])
    shared = {(disk.members, disk.offer): o for o, disk in instance.pairs.shared.items()}
    names = {volume.name: v for v, volume in enumerate(plan.demand.volumes)}
    chosen: Chosen = {v: [] for v in range(len(names))}
    for placement in plan.placements:
        place = (
            placement.provider,
            placement.cloud_id,
            placement.data_center,
            placement.country,
        )
        sizes = placement.disk_sizes_gb
        kept, v = placement.disk_ids, names[placement.volume]
        offer = disks[v, kept[0]] if kept else sold.numbers(place, sizes[0])[0]
        # What is known of pods may have changed since: then the volume is taken to be alone there.
        chosen[v].append(shared.get((placement.disk_group or (), offer), offer))
    multipliers = plan.solver.multipliers
    return Evaluator(instance, chosen, _rented(plan), multipliers=multipliers)


def _rented(plan: Plan) -> dict[int, int]:
    """Return the GPU row of each workload: the first of those that are alike."""
    rentals, rented = plan.instance.rentals, dict[int, int]()
    for w, gpu in enumerate(plan.gpus):
        if rentals is None:
            raise Defect("the plan has GPUs and no workloads")
        alike = (
            g
            for g in np.flatnonzero(rentals.broken[w] == 0).tolist()
            if gpu_choice(rentals, w, g) == gpu
        )
        rented[w] = next(alike)
    return rented


def _unknown(what: str, name: str, known: Iterable[str]) -> InputError:
    hint = suggestion(name, known, None)
    return InputError(f"{what} {visible(name)!r}", hint=hint)
