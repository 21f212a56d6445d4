"""The plan: a document that decides, explains and can be carried out on its own.

What is stored is the decision, its inputs and its record; totals, requests and ``plan_id`` follow
from them and are held against them, and the decision has to hold against the demand and the market
in the same file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Self

from pydantic import ValidationError

from planner.errors import InputError, PlanCorrupt, PlanInvalid
from planner.formats import digest_of, digest_of_list, read_bytes, write_atomic
from planner.market.canonical import Market
from planner.market.offers import place_text
from planner.plans.checks import horizon_totals, record_violations, schedule_violations, totals
from planner.plans.file import EDITED, Written, read, values_of, write
from planner.plans.growth import Outlook
from planner.plans.requests import PlannedDisk, each_planned_disk, requests
from planner.plans.summary import (
    budgets,
    by_owner,
    certainty,
    compared,
    gpu_lines,
    moving_lines,
    origin,
    outcome,
    placements_section,
    shared_disks,
)
from planner.present.progress import working
from planner.present.table import Section
from planner.present.writers import to_html
from planner.schema import AMOUNT, Column, build, handed_out, json_value, with_columns
from planner.solve.existing import Kept, Leftover, keep
from planner.solve.moving import Moving, moving
from planner.solve.packing import PARTLY_TRIED
from planner.solve.problem import Instance
from planner.solve.rentals import CHOSEN_GPUS, Gpu
from planner.solve.solution import PLACEMENTS, Placement
from planner.solve.tenures import SCHEDULE, Tenure, bought_now
from planner.solve.timeline import Timeline
from planner.solve.unchecked import unchecked_existing
from planner.solve.verify import violations
from planner.text import visible
from planner.units import difference, plain, usd_month

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from pathlib import Path

    import pandas as pd

    from planner.analysis.baselines import Baselines
    from planner.demand.model import Demand
    from planner.solve.candidates import Pairs
    from planner.solve.optimise import SolverRecord


@dataclass(frozen=True, repr=False)
class Decision:
    """What was decided, from what, and what follows from it.

    Attributes
    ----------
    created_at : str
        UTC, ISO 8601.
    nonce : str
        Made once with the plan; disk names are made of it.
    target : dict | None
        ``base_url`` and ``team_id`` it was made for; None when planned offline.
    inputs : dict
        ``demand``, ``offers`` and maybe ``gpus``, each with source, digest, rows and fetched_at.
    solver : SolverRecord
        How the decision was made, with its exact cost and bound.
    warnings : tuple of str
        What it assumes, and what to check before buying.
    placements : tuple of Placement
        The decision, in the demand's order.
    gpus : tuple of Gpu
        What the workloads run on, in the demand's order.
    market : Market
        The offers and GPU offers it was chosen from, and the disks that the account had.
    leftover : tuple of Leftover
        Disks of the project that it neither keeps nor replaces.
    origin : str
        Where the demand file lives; empty where unknown.
    schedule : tuple of Tenure
        What is bought in later months, where volumes grow.
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
    market: Market
    leftover: tuple[Leftover, ...] = ()
    origin: str = ""
    schedule: tuple[Tenure, ...] = ()

    @cached_property
    def plan_id(self) -> str:
        """Return a hash of the canonical inputs and the placements, 16 hex digits."""
        document = self.demand.streamed()
        del document["project"]
        placed = map(values_of, self.placements)
        rented = map(values_of, self.gpus)
        return _plan_id(document, *self.market.to_document().values(), placed, rented)

    @property
    def totals(self) -> dict[str, Any]:
        """Return the run-rate in numbers: USD per hour and month."""
        return {
            name: float(value) if isinstance(value, Decimal) else value
            for name, value in self.exact_totals.items()
        }

    @property
    def exact_totals(self) -> dict[str, Any]:
        """Return the run-rate with amounts as Decimals."""
        now = totals(self.placements, self.gpus, self.demand.policy.hours_per_month)
        return now | horizon_totals(self.demand, self.placements, self.schedule)

    @property
    def _stated_totals(self) -> dict[str, Any]:
        return {name: json_value(value) for name, value in self.exact_totals.items()}

    @property
    def requests(self) -> list[dict[str, Any]]:
        """Return the create requests: volume, replica, disk and the body to POST."""
        return list(self._each_request())

    def _each_request(self) -> Iterator[dict[str, Any]]:
        team_id = self.target["team_id"] if self.target else None
        return requests(each_planned_disk(self.placements, self.nonce), team_id)

    @property
    def buys(self) -> bool:
        """Return whether there is anything to create."""
        return any(placement.action != "keep" for placement in self.placements)

    @property
    def planned_disks(self) -> tuple[PlannedDisk, ...]:
        """Return the disks that it creates, in its order."""
        return tuple(each_planned_disk(self.placements, self.nonce))

    @cached_property
    def instance(self) -> Instance:
        """Return demand and market as they are solved, at what is bought now: see `pairs`."""
        demand = self.demand
        if demand.grows:
            demand = bought_now(demand, self.placements, self.schedule)
        return Instance.of(demand, self.market.addressable, self.market.gpus, self.kept)

    @property
    def kept(self) -> tuple[Kept, ...]:
        """Return the replicas that live disks already were."""
        recorded = {(p.volume, p.replica): p.disk_ids for p in self.placements if p.disk_ids}
        return keep(self.demand, self.market.disks, recorded, self.market.addressable)[0]

    @property
    def pairs(self) -> Pairs:
        """Return every pair of volume and offer: candidates and rejections."""
        return self.instance.pairs

    def baselines(self) -> Baselines:
        """Return what simpler plans of the same demand would cost; existing disks are kept."""
        from planner.analysis.baselines import baselines  # noqa: PLC0415 -- only for people

        return baselines(self.instance)

    def moving(self) -> Moving | None:
        """Return what moving existing disks would save; None where it saves nothing.

        Of a growing demand the schedule says when to move, and at what cost in all.
        """
        if not self.instance.kept or self.schedule:
            return None
        return moving(self.instance, self.exact_totals["usd_month"])

    def to_frame(self, *, exact: bool = False) -> pd.DataFrame:
        """Return the placements as a frame (columns ``PLACEMENTS`` and ``usd_month``).

        Parameters
        ----------
        exact : bool
            Amounts are Decimals; else floats.

        Examples
        --------
        >>> import planner
        >>> offers = planner.read_offers("shipped:disk-offers")
        >>> plan = planner.plan(planner.read_demand("shipped:minimal"), offers)
        >>> plan.to_frame().groupby("volume")["usd_month"].sum().round(2).to_dict()
        {'checkpoints': 51.1, 'corpus': 243.82}
        """
        made = build([vars(placement) for placement in self.placements], PLACEMENTS)
        hours = self.demand.policy.hours_per_month
        return handed_out(made, exact=exact, hours_per_month=hours)

    def gpus_to_frame(self, *, exact: bool = False) -> pd.DataFrame:
        """Return the GPUs of the workloads as a frame (columns ``CHOSEN_GPUS``, ``usd_month``).

        Parameters
        ----------
        exact : bool
            Amounts are Decimals; else floats.
        """
        months = [usd_month(gpu.usd_hr_on, gpu.hours_per_month) for gpu in self.gpus]
        made = build([vars(gpu) for gpu in self.gpus], CHOSEN_GPUS)
        return handed_out(with_columns(made, {RENTED_MONTH: months}), exact=exact)

    def schedule_to_frame(self, *, exact: bool = False) -> pd.DataFrame:
        """Return what is bought later as a frame (columns ``SCHEDULE`` and ``usd_month``)."""
        rows = [{**vars(each), "provision_gb": each.provision_gb} for each in self.schedule]
        hours = self.demand.policy.hours_per_month
        return handed_out(build(rows, SCHEDULE), exact=exact, hours_per_month=hours)

    def _record_violations(self) -> tuple[str, ...]:
        if self.demand.grows:
            gpus = self.market.gpus if self.demand.workloads else None
            line = Timeline.of(self.demand, self.market.addressable, gpus, self.kept)
            line = replace(line, limits_pods=False)  # what is documented may have been otherwise
            return tuple(schedule_violations(self.solver, line, self.placements, self.schedule))
        try:
            instance = self.instance
        except InputError as error:
            return (str(error),)
        return tuple(record_violations(self.solver, instance, self.placements, self.gpus))

    def choice_violations(self, limits: Mapping[str, int] | None = None) -> tuple[str, ...]:
        """Return every way in which the choice breaks the demand: the independent check.

        Parameters
        ----------
        limits : mapping | None
            How many disks one pod can mount, by provider; None for what the demand itself states.
        """
        market = self.market
        return violations(
            self.demand,
            market.sold,
            self.placements,
            market.gpu_records,
            self.gpus,
            market.disk_records,
            self.schedule,
            limits=limits,
        )

    def violations(self) -> tuple[str, ...]:
        """Return every way in which the plan breaks its demand or its own record."""
        return (
            *self.choice_violations(),
            *self._record_violations(),
            *(() if self.project == self.demand.project else ("the project is not the demand's",)),
        )


RENTED_MONTH = Column("usd_month", AMOUNT, "usd_hr_on times the hours of the job")
EXTRA_MONTH = Column("extra_usd_month", AMOUNT, "how much more than the plan; null: no plan")


def _plan_id(*inputs_and_choice: Any) -> str:  # noqa: ANN401 -- JSON values
    return digest_of_list(inputs_and_choice)[:16]


MAX_BYTES = 256 * 2**20
"""The largest plan file that is read."""
_REQUEST = ("volume", "replica", "disk", "body")


@dataclass(frozen=True, repr=False)
class Plan(Decision):
    """A decision as a document: saved, loaded, shown."""

    def to_document(self) -> dict[str, Any]:
        """Return the plan as JSON values, as the file has them."""
        return dict(json.loads(self.to_json()))

    def to_json(self) -> str:
        """Return the plan as the text of its file, in format 2; a loaded text stays as it is."""
        return self._written.text

    def pieces(self) -> Iterator[str]:
        """Yield the same text in pieces."""
        return (block.decode("ascii") for block in self._written)

    @cached_property
    def _written(self) -> Written:
        document = {
            "plan_id": self.plan_id,
            "project": self.project,
            "created_at": self.created_at,
            "nonce": self.nonce,
            "target": self.target,
            "origin": self.origin,
            "limit_usd_hr": self._stated_totals["new_usd_hr"],
            "inputs": self.inputs,
            "solver": values_of(self.solver),
            "totals": self._stated_totals,
            "warnings": list(self.warnings),
            "placements": map(values_of, self.placements),
            "gpus": map(values_of, self.gpus),
            "schedule": map(values_of, self.schedule),
            "requests": self._each_request(),
            "leftover": map(vars, self.leftover),
            "demand": self.demand.streamed(),
            "market": self.market.to_document(),
        }
        return write(document)

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the file, in hex: which file a journal or a report means."""
        return str(vars(self).get("_stated_digest") or self._written.digest)

    @property
    def content(self) -> bytes:
        """Return the bytes that `digest` is of; of a loaded plan those of its file."""
        return b"".join(vars(self).get("_original", self._written))

    @property
    def plan_id(self) -> str:
        """Return a hash of the canonical inputs and the placements, 16 hex digits."""
        return str(vars(self).get("_stated_id") or super().plan_id)

    def save(self, path: str | Path) -> None:
        """Write the plan, whole or not at all.

        Raises
        ------
        InputError
            When the place cannot be written.
        """
        write_atomic(path, self._written)

    @classmethod
    @working("Reading the plan")
    def load(cls, path: str | Path) -> Self:
        """Read a plan and check it: format, digest, every constraint and every cent.

        Raises
        ------
        InputError
            When the file cannot be read.
        PlanCorrupt
            When it is no plan, or a byte of it changed.
        PlanVersionUnknown
            When it was written in a format this version does not know.
        PlanInvalid
            When it contradicts its own demand or market; ``violations`` says how.
        """
        shown = visible(str(path))
        content = read_bytes(path, what="plan", limit=MAX_BYTES)
        document, written = read(content, shown)
        # `save` writes a file of an older format in the newest; a journal keeps it as it is.
        original = written if document.get("digest") == written.digest else (content,)
        del content
        try:
            plan = cls._from_document(document, written)
            vars(plan)["_original"] = original
            contradictions = tuple(plan.contradictions(document))
            document.clear()  # a long one is larger than all that is made of it
            violations = (*plan.violations(), *contradictions)
        except (ValidationError, InputError, *_NO_MARKET) as error:
            raise PlanCorrupt(f"{shown}: changed after it was made", hint=EDITED) from error
        if violations:
            listed = "\n".join(f"  {visible(violation)}" for violation in violations)
            raise PlanInvalid(f"{shown}: contradicts itself:\n{listed}", violations=violations)
        return plan

    def contradictions(self, document: Mapping[str, Any]) -> Iterator[str]:
        """Yield what a plan's document states that does not follow from its decision."""
        totals = self._stated_totals
        written = {name: document["totals"].get(name) for name in totals}
        if written != totals or document.get("limit_usd_hr") != totals["new_usd_hr"]:
            yield "the totals are not the sums of the placements and GPUs"
        listed = ({name: row.get(name) for name in _REQUEST} for row in document["requests"])
        if any(row != made for row, made in zip_longest(listed, self._each_request())):
            yield "the requests are not those of the placements"
        asked = {key: value for key, value in document["demand"].items() if key != "project"}
        hashed = [asked, *self.market.to_document().values()]
        if _plan_id(*hashed, document["placements"], document["gpus"]) != document["plan_id"]:
            yield "plan_id is not the hash of the inputs and placements"
        held = {"demand": (digest_of(asked), len(self.demand.volumes)), **self.market.digests}
        for name, (digest, rows) in held.items():
            stated = self.inputs.get(name)
            if (rows or stated) and stated is None:
                yield f"the {name} of the plan are not among its inputs"
            elif stated is not None and (stated["digest"], stated["rows"]) != (digest, rows):
                yield f"the record of the {name} is not that of the {name} in the plan"
        for name in self.market.written_otherwise():
            yield f"the rows of the {name} are not written as planner writes them"

    @classmethod
    def _from_document(cls, document: dict[str, Any], written: Written) -> Self:
        from planner.plans.stored import StoredPlan, demand_from  # noqa: PLC0415 -- only to load

        stored = StoredPlan.model_validate(document)
        plan = cls(
            project=stored.project,
            created_at=stored.created_at,
            nonce=stored.nonce,
            target=stored.target.model_dump() if stored.target else None,
            inputs=stored.inputs.present(),
            solver=stored.solver,
            warnings=tuple(stored.warnings),
            placements=stored.placements,
            gpus=stored.gpus,
            origin=stored.origin,
            leftover=stored.leftover,
            schedule=stored.schedule,
            demand=demand_from(stored.demand),
            market=Market(
                tuple(stored.market.offers), tuple(stored.market.gpus), tuple(stored.market.disks)
            ),
        )
        stated = {"_stated_digest": document["digest"], "_stated_id": document["plan_id"]}
        vars(plan).update(stated, _written=written)
        return plan

    def what_if(
        self,
        grid: Mapping[str, Any] | None = None,
        /,
        *,
        executor: Executor | None = None,
        exact: bool = False,
        **changes: Any,  # noqa: ANN401 -- whatever a demand file may say
    ) -> pd.DataFrame:
        """Return what the plan would be with something changed, for every combination of changes.

        Demand, market, the disks that are kept and the slack are the plan's own; the plan stays as
        it is. One that was not proven may be beaten by the demand as it is.

        Parameters
        ----------
        grid : mapping | None
            What is changed → the values to try, as in `planner.sweep`.
        executor : Executor | None
            Who solves, as in `planner.sweep`.
        exact : bool
            Amounts are Decimals; else floats.
        **changes
            The same as `grid`, for what can be written so: ``max_sites=2``, ``replicas=[1, 2]``. A
            list is always a list of values to try: ``regions=["canada", "eu_north"]`` tries one
            after the other, and ``regions=[["canada", "eu_north"]]`` both together.

        Returns
        -------
        DataFrame
            As of `planner.sweep`, with ``extra_usd_month`` after ``usd_month``: how much more than
            the plan it costs, null where there is no plan.

        Raises
        ------
        InputError
            As of `planner.sweep`, and when something is both in the grid and among the changes.

        Examples
        --------
        >>> import planner
        >>> demand = planner.read_demand("shipped:minimal")
        >>> offers = planner.read_offers("shipped:disk-offers")
        >>> plan = planner.plan(demand, offers)
        >>> plan.what_if(price_factor=[1, "1.5"])["extra_usd_month"].tolist()
        [0.0, 147.46]
        """
        from planner.analysis.sweep import sweep  # noqa: PLC0415 -- only for this question

        asked: Mapping[str, Any] = {} if grid is None else grid
        if isinstance(asked, Mapping):
            if twice := sorted(changes.keys() & asked.keys()):
                message = f"`{twice[0]}` is in the grid and among the changes"
                raise InputError(message, hint="say it once")
            asked = {**asked, **changes}
        # Disks that the demand names are its own to say: a change may name others, or none.
        named = {volume.name: set(volume.disks) for volume in self.demand.volumes}
        frame = sweep(
            self.demand,
            self.market.offers,
            asked,
            self.market.gpus if "gpus" in self.inputs else None,
            disks=self.market.disks if "disks" in self.inputs else None,
            recorded={
                (placement.volume, placement.replica): placement.disk_ids
                for placement in self.placements
                if placement.disk_ids and named[placement.volume].isdisjoint(placement.disk_ids)
            },
            executor=executor,
            exact=True,
            cost_slack=self.solver.cost_slack_percent,
        )
        mine = self.exact_totals["usd_month"]
        more = [
            None if usd is None else Decimal(plain(difference(usd, mine)))
            for usd in frame["usd_month"]
        ]
        return handed_out(with_columns(frame, {EXTRA_MONTH: more}, "usd_month"), exact=exact)

    def summary(self) -> Section:
        """Return what a person reads of the plan: rows, total and notes."""
        hours, record = self.demand.policy.hours_per_month, self.solver
        keeps = any(placement.action == "keep" for placement in self.placements)
        disks = {row["id"]: row for row in self.market.disk_records}
        return placements_section(
            self.project,
            self.placements,
            hours,
            disks,
            (
                *outcome(self.placements, hours, disks, self.leftover),
                *shared_disks(self.placements),
                *self.outlook.lines(self.market.addressable, self.kept),
                *gpu_lines(self.gpus, self.exact_totals),
                *budgets(self.placements, self.demand.policy),
                *compared(
                    self.exact_totals["usd_month"],
                    usd_month(self.exact_totals["disk_usd_hr"], hours),
                    self.baselines(),
                    keeps=keeps,
                    grows=bool(self.schedule),
                    proven=record.status == "optimal" and not record.cost_slack_percent,
                ),
                *moving_lines(self.moving(), self.demand.policy.moving),
                certainty(
                    record,
                    keeps=keeps,
                    unchecked=unchecked_existing(self.demand, self.placements),
                    partly=any(text.startswith(PARTLY_TRIED) for text in self.warnings),
                ),
                origin(self.plan_id, self.inputs["offers"], hours),
            ),
            self.leftover,
        )

    @property
    def outlook(self) -> Outlook:
        """Return the months of a plan that grows."""
        return Outlook(self.demand, self.placements, self.schedule, self.created_at)

    def sections(self) -> list[Section]:
        """Return the whole plan as a person reads it: what is done now, and what comes later."""
        later = self.outlook.section() if self.schedule else None
        owners = by_owner(self.placements, self.demand.policy)
        return [self.summary(), *filter(None, (later, owners))]

    def plot(self) -> Any:  # noqa: ANN401 -- a chart of Altair
        """Return what the disks cost a month as a chart: a bar for each volume, colours for sites.

        Raises
        ------
        InputError
            When the extra ``charts`` is not installed.

        Examples
        --------
        >>> import planner
        >>> offers = planner.read_offers("shipped:disk-offers")
        >>> plan = planner.plan(planner.read_demand("shipped:minimal"), offers)
        >>> plan.plot().to_dict()["title"]["text"]
        'Cost a month by volume and site'
        """
        from planner.present.charts.cost import cost_chart  # noqa: PLC0415 -- an extra

        placed = self.to_frame(exact=True)
        placed["site"] = [place_text(vars(placement)) for placement in self.placements]
        placed["standing"] = placed["action"].map({"keep": "kept"}).fillna("new")
        hours = self.demand.policy.hours_per_month
        return cost_chart(placed, by="volume", hours_per_month=hours)

    def __repr__(self) -> str:
        totals, record = self._stated_totals, self.solver
        return (
            f"<Plan {self.plan_id} of {self.project}: {len(self.placements)} placements, "
            f"{totals['usd_hr']} USD/h, {record.status}>"
        )

    def _repr_html_(self) -> str:
        return to_html([*self.sections(), Section("warnings", notes=self.warnings)])


_NO_MARKET = (KeyError, TypeError, ValueError, ArithmeticError)
"""What rows of a market raise that are none: see `offers_from_market`."""
