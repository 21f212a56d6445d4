"""Where should this much data live? The question in one call: a demand of one volume, planned.

Every other site is answered too: what planning with the data there would cost, or what it lacks.
"""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from planner.analysis.sites import candidate_sites
from planner.demand.read import demand_from
from planner.errors import DemandError, InputError
from planner.formats import write_atomic
from planner.market.gpu_view import parse_gpu
from planner.market.offers import place_text
from planner.plans.explain import evaluator_of
from planner.plans.planning import plan
from planner.plans.track_record import track_record
from planner.present.table import UNKNOWN, Cell, Section, TableColumn, counted
from planner.present.writers import to_html
from planner.schema import frame_document, handed_out, records
from planner.text import visible
from planner.units import money, parse_size_gb, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from planner.demand.model import Demand
    from planner.plans.plan import Plan

_VOLUME, _JOB = "data", "job"
_CHOSEN = "\N{CHECK MARK}"
_CANDIDATES, _OTHERS = 5, 4
"""Sites that a person is shown at most: candidates, and others, one of each kind."""


@dataclass(frozen=True)
class WhereQuestion:
    """What is to be stored, and beside which GPUs, in the shape of a demand file.

    Attributes
    ----------
    document : mapping
        One volume, and the job that mounts it where a GPU is asked for.
    """

    document: Mapping[str, Any]
    demand: Demand

    @classmethod
    def of(
        cls,
        size: str,
        *,
        gpu: str | None = None,
        hours_per_month: int | None = None,
        multinode: bool = False,
        replicas: int = 1,
        security: str | None = None,
        stock: str | None = None,
        **places: Sequence[str],
    ) -> WhereQuestion:
        """Return the question; see `where`.

        Raises
        ------
        InputError
            When a value is not understood; the message says what to write.
        """
        if hours_per_month is not None and gpu is None:
            raise InputError("hours are given without a GPU", hint="name the GPU: --gpu MODEL")
        asked: dict[str, Any] = {
            "replicas": replicas if replicas != 1 else None,
            "multinode": multinode or None,
        }
        asked |= {name: list(names) for name, names in places.items() if names}
        asked |= {"security": security, "stock": stock}
        volume = {"name": _VOLUME, "size": size, **_given(asked)}
        document: dict[str, Any] = {"version": 1, "volumes": [volume]}
        if gpu is not None:
            model, gpus = parse_gpu(gpu)
            job = {"gpus": gpus, "security": security, "hours_per_month": hours_per_month}
            document["workloads"] = [{"name": _JOB, "gpu": model, **_given(job)}]
            document["workloads"][0]["mounts"] = [_VOLUME]
        try:
            parse_size_gb(str(size))
            return cls(document, demand_from(document))
        except DemandError as error:
            problems = (f"{field.split('.')[-1]}: {text}" for *_, field, text in error.problems)
            raise InputError("\n".join(problems)) from error
        except ValueError as error:
            raise InputError(f"size: {error}") from error

    def __str__(self) -> str:
        volume, jobs = self.demand.volumes[0], self.demand.workloads
        text = f"{volume.size_gb:,} GB"
        if volume.replicas > 1:
            text = f"{volume.replicas} copies of {text}" + ", one" * bool(jobs)
        if not jobs:
            return text
        count = "one" if jobs[0].gpus == 1 else str(jobs[0].gpus)
        hours = self.demand.hours_of(jobs[0])
        return f"{text} next to {count} {visible(jobs[0].gpu)}, {hours} h a month"

    def to_yaml(self, project: str) -> str:
        """Return the demand file that asks the same."""
        from ruamel.yaml import YAML  # noqa: PLC0415 -- only where a file is written

        yaml, out = YAML(), io.StringIO()
        yaml.indent(mapping=2, sequence=4, offset=2)
        yaml.dump({"version": 1, "project": project, **self.document}, out)
        return f"# {visible(str(self))}\n{out.getvalue()}"


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, repr=False)
class WhereAnswer:
    """Where the data goes, and every other site.

    Attributes
    ----------
    question : WhereQuestion
        What was asked.
    plan : Plan
        The cheapest plan, proven and checked.
    track_record : tuple of str
        How its offers did so far, where the marketplace is known.
    """

    question: WhereQuestion
    plan: Plan
    track_record: tuple[str, ...] = ()

    @property
    def sites(self) -> pd.DataFrame:
        """Return every site of the market (columns ``SITES``): the chosen ones first.

        The cost of a candidate is that of the cheapest plan with a replica there. Amounts are
        floats; those of ``exact_sites`` are Decimals.
        """
        return handed_out(self.exact_sites, exact=False)

    @cached_property
    def exact_sites(self) -> pd.DataFrame:
        """Return `sites` with amounts as Decimals."""
        return candidate_sites(evaluator_of(self.plan))

    def save(self, path: str | Path, project: str) -> None:
        """Write the demand file that asks the same, to go on with.

        Raises
        ------
        InputError
            When the place cannot be written.
        """
        write_atomic(path, self.question.to_yaml(project).encode())

    def to_document(self) -> dict[str, Any]:
        """Return the answer as JSON values, amounts as exact text."""
        demand = self.question.demand
        job = demand.workloads[0] if demand.workloads else None
        return {
            "size_gb": demand.volumes[0].size_gb,
            "replicas": demand.volumes[0].replicas,
            "gpu": job and job.gpu,
            "gpus": job and job.gpus,
            "gpu_hours_per_month": job and demand.hours_of(job),
            "hours_per_month": demand.policy.hours_per_month,
            "usd_month": plain(self.plan.exact_totals["usd_month"]),
            "status": self.plan.solver.status,
            "plan_id": self.plan.plan_id,
            "sites": frame_document(self.exact_sites),
        }

    def section(self, *, every: bool = False) -> Section:
        """Return the sites as a table, and under it what is not shown.

        Parameters
        ----------
        every : bool
            Show every site; else the cheapest, and one of each kind that lacks something.
        """
        rows = records(self.exact_sites)
        candidates = [row for row in rows if row["usd_month"] is not None]
        others = [row for row in rows if row["usd_month"] is None]
        kinds = {row["missing"][0]: row for row in reversed(others)}
        first = [row for row in others if kinds[row["missing"][0]] is row]
        shown = rows if every else [*candidates[:_CANDIDATES], *first[:_OTHERS]]
        hidden = [row for row in rows if row not in shown]
        copies = self.question.demand.volumes[0].replicas
        gpus = (TableColumn("gpu_usd_month", "GPU/month", "usd_month"),)
        columns = (
            TableColumn("chosen", "", "action"),
            TableColumn("site", "site"),
            TableColumn("disk_usd_month", "a copy" if copies > 1 else "disk/month", "usd_month"),
            *(gpus if self.question.demand.workloads else ()),
            TableColumn("usd_month", "total", "usd_month"),
            TableColumn("extra_usd_month", ""),
        )
        notes = (*self._notes(len(rows), hidden), *self.track_record)
        title = str(self.question)
        return Section.of("sites", title, columns, map(_row, shown), notes=notes, noun="site")

    def _notes(self, count: int, hidden: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        copies = self.question.demand.volumes[0].replicas
        proven = ", proven" * (self.plan.solver.status == "optimal")
        dearer = sum(row["usd_month"] is not None for row in hidden)
        lacking = Counter(row["missing"][0] for row in hidden if row["usd_month"] is None)
        parts = [f"{counted(dearer, 'site')} that cost{'s' * (dearer == 1)} more"] if dearer else []
        parts += [f"{number} more ({what})" for what, number in lacking.most_common()]
        rest = f" Not shown: {', '.join(parts)}; --all shows every site." if parts else ""
        yield f"Cheapest of {counted(count, 'site')}{proven}.{rest}"
        if copies > 1:
            yield f"Total: all {copies} copies, one of them at that site."

    def __repr__(self) -> str:
        usd_month = self.plan.exact_totals["usd_month"]
        return f"<WhereAnswer: {self.question}, ${money(usd_month)}/month>"

    def _repr_html_(self) -> str:
        return to_html([self.section(every=True)])


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cells of a site."""
    sign = _CHOSEN if row["chosen"] else "" if row["usd_month"] is not None else UNKNOWN
    extra = row["extra_usd_month"]
    text = "" if extra is None else f"+${money(extra)}"
    amounts = {name: row[name] for name in ("disk_usd_month", "gpu_usd_month", "usd_month")}
    return {
        "chosen": Cell(row["chosen"], sign),
        "site": place_text(row),
        "extra_usd_month": Cell(extra, "; ".join(row["missing"]) or text),
        **{
            name: Cell(usd, UNKNOWN if usd is None else f"${money(usd)}")
            for name, usd in amounts.items()
        },
    }


def where(
    size: str,
    offers: pd.DataFrame,
    gpus: pd.DataFrame | None = None,
    *,
    gpu: str | None = None,
    hours_per_month: int | None = None,
    multinode: bool = False,
    replicas: int = 1,
    regions: Sequence[str] = (),
    countries: Sequence[str] = (),
    providers: Sequence[str] = (),
    data_centers: Sequence[str] = (),
    security: str | None = None,
    stock: str | None = None,
    target: dict[str, str | None] | None = None,
    state: str | Path | None = None,
) -> WhereAnswer:
    """Return the cheapest place for this much data, and what every other site costs or lacks.

    Parameters
    ----------
    size : str
        What is stored: a number and a unit, such as ``4TB``.
    offers : DataFrame
        Columns ``OFFERS``: see `read_offers` and `fetch_offers`.
    gpus : DataFrame | None
        Columns ``GPUS``, see `read_gpus` and `fetch_gpus`; needed with ``gpu``.
    gpu : str | None
        A GPU that mounts the data, such as ``A100_80GB``, or ``A100_80GB:8`` for eight.
    hours_per_month : int | None
        Hours that it runs in a month; None is the whole month.
    multinode : bool
        Whether several nodes must be able to mount the disk.
    replicas : int
        Copies, each in another data centre.
    regions, countries, providers, data_centers : sequence of str
        The only ones allowed; empty allows all.
    security : str | None
        ``secure_cloud`` or ``community_cloud``, of disk and GPU.
    stock : str | None
        Weakest stock level of the disk.
    target : dict | None
        ``base_url`` and ``team_id`` of the marketplace whose market this is: the answer then says
        how its offers did so far, see `history`.
    state : str | Path | None
        State directory with that history; None is planner's own.

    Raises
    ------
    InputError
        When a value is not understood.
    Infeasible
        When no site qualifies; ``conflicts`` says why, ``relaxations`` what would help.

    Examples
    --------
    >>> import planner
    >>> offers = planner.read_offers("shipped:disk-offers")
    >>> where("4TB", offers).sites["provider"].iloc[0]
    'dc_roan'
    """
    question = WhereQuestion.of(
        size,
        gpu=gpu,
        hours_per_month=hours_per_month,
        multinode=multinode,
        replicas=replicas,
        regions=regions,
        countries=countries,
        providers=providers,
        data_centers=data_centers,
        security=security,
        stock=stock,
    )
    return answer(question, offers, gpus, target=target, state=state)


def answer(
    question: WhereQuestion,
    offers: pd.DataFrame,
    gpus: pd.DataFrame | None = None,
    *,
    target: dict[str, str | None] | None = None,
    state: str | Path | None = None,
) -> WhereAnswer:
    """Return the answer to a question on a market; see `where`."""
    made = plan(question.demand, offers, gpus, target=target, demand_source=str(question))
    return WhereAnswer(question, made, track_record(made, state))
