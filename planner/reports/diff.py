"""What changed between two plans, or two reports: in disks, in GPUs and in dollars."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

from planner.errors import CostIncrease, InputError
from planner.plans.given import a_plan
from planner.present.table import UNKNOWN, Section, TableColumn, counted, moment
from planner.present.writers import to_html
from planner.reports.changes import CHANGES, Change, Cost, disk_changes, gpu_changes
from planner.reports.ledger import lines_of
from planner.reports.lines import GpuLine, Line, ReplicaLabels, RunRate
from planner.reports.make import gpu_lines_of, planned_with
from planner.reports.report import Report
from planner.schema import build, frame_document, frame_section, handed_out, json_values
from planner.text import visible
from planner.units import HOURS_PER_MONTH, as_decimal, part, plain, total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planner.plans.plan import Plan
    from planner.schema import Table

_MONEY = (
    TableColumn("old_usd_month", "before", "usd_month", UNKNOWN),
    TableColumn("new_usd_month", "after", "usd_month", UNKNOWN),
    TableColumn("difference_usd_month", "$/month", "difference"),
)
_OWNERS = (TableColumn("owner", "owner"), *_MONEY, TableColumn("percent", "%", "percent"))
_VERBS = {"+": "added", "~": "changed", "-": "removed", "=": "unchanged"}


@dataclass(frozen=True)
class Side:
    """One of the two documents, as what a comparison needs of it."""

    kind: str
    plan_id: str | None
    created_at: str
    projects: tuple[str, ...]
    hours_per_month: int
    lines: tuple[Line, ...]
    gpus: tuple[GpuLine, ...]
    pending: tuple[str, ...]

    @classmethod
    def of(cls, document: Plan | Report) -> Side:
        """Return that of a plan or a report."""
        if isinstance(document, Report):
            return cls(
                kind="report",
                plan_id=None,
                created_at=document.created_at,
                projects=document.projects,
                hours_per_month=HOURS_PER_MONTH,
                lines=document.lines,
                gpus=document.gpus,
                pending=document.doubts,
            )
        account = planned_with(document) if "disks" in a_plan(document).inputs else None
        made = datetime.fromisoformat(document.created_at)
        lines, _, _ = lines_of(document, account, {}, {}, made)
        return cls(
            kind="plan",
            plan_id=document.plan_id,
            created_at=document.created_at,
            projects=(document.project,),
            hours_per_month=document.demand.policy.hours_per_month,
            lines=tuple(line for line in lines if line.is_planned),
            gpus=tuple(gpu_lines_of(document, None)),
            pending=(),
        )

    @property
    def unpriced(self) -> int:
        """Return how many disks have no price."""
        return RunRate.of(self.lines).unpriced

    def to_document(self) -> dict[str, Any]:
        """Return what it was as JSON values."""
        return {
            "kind": self.kind,
            "plan_id": self.plan_id,
            "created_at": self.created_at,
            "projects": list(self.projects),
            "disks": sum(line.leads for line in self.lines),
            "unpriced": self.unpriced,
        }

    def __str__(self) -> str:
        what = "report" if self.plan_id is None else f"plan {self.plan_id}"
        projects = ", ".join(map(visible, self.projects)) or "the account"
        return f"{what} of {projects}, {moment(self.created_at)}"


@dataclass(frozen=True)
class Diff:
    """What changed from one plan or report to another: see `diff`.

    Attributes
    ----------
    old, new : Side
        What is compared.
    hours_per_month : int
        Of every amount.
    disks, gpus : tuple of Change
        Every disk, and the GPUs of every workload, before or after; unchanged ones too.
    """

    old: Side
    new: Side
    hours_per_month: int
    disks: tuple[Change, ...]
    gpus: tuple[Change, ...]

    @property
    def changes(self) -> tuple[Change, ...]:
        """Return what changed, disks first."""
        return tuple(one for one in (*self.disks, *self.gpus) if one.sign != "=")

    @cached_property
    def cost(self) -> Cost:
        """Return what disks and GPUs cost together, before and after."""
        return Cost.sum(item.cost for item in (*self.disks, *self.gpus))

    @cached_property
    def owners(self) -> dict[str | None, Cost]:
        """Return what the disks of each owner cost; the largest difference first."""
        costs: dict[str | None, list[Cost]] = {}
        for item in self.disks:
            if isinstance(item.old, Line):
                costs.setdefault(item.old.owner, []).append(Cost(item.cost.old_usd_month, None))
            if isinstance(item.new, Line):
                costs.setdefault(item.new.owner, []).append(Cost(None, item.cost.new_usd_month))
        sums = {owner: Cost.sum(parts) for owner, parts in costs.items()}
        order = sorted(sums, key=lambda who: (-abs(sums[who].difference_usd_month), who or ""))
        return {owner: sums[owner] for owner in order}

    @property
    def summary(self) -> str:
        """Return what changed and what it costs, in one line."""
        counts = Counter(item.sign for item in (*self.disks, *self.gpus))
        counted_all = [f"{counts[sign]} {verb}" for sign, verb in _VERBS.items() if counts[sign]]
        what = ", ".join(counted_all) if self.changes else "no changes"
        return f"Diff: {what}. {self.cost}"

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what was compared, and what the amounts leave out."""
        notes = [
            f"Before: {self.old}",
            f"After: {self.new}",
            f"A month is {self.hours_per_month} hours.",
        ]
        if self.old.unpriced or self.new.unpriced:
            notes.append(
                f"Disks without a price: {self.old.unpriced} before, {self.new.unpriced} after. "
                "No amount includes them."
            )
        return (*notes, *(f"warning: {text}" for text in self.new.pending))

    def to_frame(self, *, exact: bool = False) -> Table:
        """Return what changed as a frame (columns ``CHANGES``)."""
        return handed_out(build([item.row() for item in self.changes], CHANGES), exact=exact)

    def rows(self) -> Section:
        """Return what changed, as CSV writes it."""
        return frame_section(self.to_frame(exact=True))

    def to_document(self) -> dict[str, Any]:
        """Return the comparison as JSON values: exact amounts as text."""
        disks, gpus = (Cost.sum(item.cost for item in part) for part in (self.disks, self.gpus))
        totals = {"disks": disks, "gpus": gpus, "together": self.cost}
        return {
            "old": self.old.to_document(),
            "new": self.new.to_document(),
            "hours_per_month": self.hours_per_month,
            "totals": {name: json_values(cost.row()) for name, cost in totals.items()},
            "owners": [
                json_values({"owner": owner, **cost.row()}) for owner, cost in self.owners.items()
            ],
            "changes": frame_document(self.to_frame(exact=True)),
            "unchanged": len(self.disks) + len(self.gpus) - len(self.changes),
            "notes": list(self.notes),
        }

    def sections(self) -> tuple[Section, ...]:
        """Return the comparison as tables, in the order in which people read."""
        tables = []
        for name, title, noun, items in (
            ("disks", "", "disk", self.disks),
            ("gpus", "GPUs", "workload", self.gpus),
        ):
            if any(item.sign != "=" for item in items):
                tables.append(self._table(name, title, noun, items))
        if any(cost.difference_usd_month for cost in self.owners.values()) and len(self.owners) > 1:
            rows = (
                {"owner": "no owner" if owner is None else visible(owner), **cost.row()}
                for owner, cost in self.owners.items()
            )
            tables.append(Section.of("owners", "Disks by owner", _OWNERS, rows, noun="owner"))
        summary = Section("summary", notes=(self.summary,))
        return (summary, *tables, Section("notes", notes=self.notes))

    def _table(self, name: str, title: str, noun: str, items: Sequence[Change]) -> Section:
        """Return changes as a table; what is unchanged is one row, so that it adds up."""
        labels = ReplicaLabels.of([*self.old.lines, *self.new.lines])
        several = _has_projects(self.old, self.new)
        rows = [
            {
                "sign": item.sign,
                "name": _title(item, labels, several=several),
                "change": item.text,
                **item.cost.row(),
            }
            for item in items
            if item.sign != "="
        ]
        same = [item.cost for item in items if item.sign == "="]
        name_of_same = {"sign": "=", "name": counted(len(same), noun), "change": "unchanged"}
        cost = Cost.sum(item.cost for item in items)
        columns = (
            TableColumn("sign", "", "action"),
            TableColumn("name", "volume" if noun == "disk" else noun),
            TableColumn("change", "change"),
            *_MONEY,
        )
        return Section.of(
            name,
            title,
            columns,
            rows,
            {**name_of_same, **Cost.sum(same).row()} if same else None,
            {"name": "total", **cost.row()},
            expendable=("old_usd_month",),
            noun="change",
        )

    def check(self, percent: Decimal | float) -> None:
        """Let the comparison pass when the cost of disks and GPUs rises by at most a percentage.

        From a cost of zero every increase is too much, whatever the percentage.

        Parameters
        ----------
        percent : Decimal | float
            Of the cost before; 0 allows no increase.

        Raises
        ------
        CostIncrease
            When it rises by more, or cannot be shown not to: a disk has no price, or the outcome
            of a purchase is unknown.
        """
        old, new = self.cost.old_usd_month or Decimal(0), self.cost.new_usd_month or Decimal(0)
        percent = as_decimal(percent)
        data = {"increase": {**json_values(self.cost.row()), "allowed_percent": plain(percent)}}
        if new > total([old, part(old, percent)]):
            raise CostIncrease(
                f"The cost rises by more than {plain(percent)} %: {self.cost}",
                hint="Spend less, or allow more with --fail-on-increase.",
                **data,
            )
        reasons = list(self.new.pending)
        if self.new.unpriced:
            reasons.insert(0, f"{counted(self.new.unpriced, 'disk')} without a price")
        if reasons:
            raise CostIncrease(
                f"The increase cannot be confirmed: {'; '.join(reasons)}",
                hint="Find out what they cost, then compare again.",
                **data,
            )

    def __repr__(self) -> str:
        return f"<{self.summary}>"

    def _repr_html_(self) -> str:
        return to_html(self.sections())


def diff(old: Plan | Report, new: Plan | Report) -> Diff:
    """Return what changed from one plan to another, or from one report to another.

    Disks are matched by id, then by volume: first those at the same place and of the same size, so
    that replicas that only changed their number are unchanged. Projects count only where a document
    has several. A price that differs by less than a cent a month counts as the same.

    Parameters
    ----------
    old, new : Plan or Report
        Two plans, or two reports.

    Raises
    ------
    InputError
        When one is a plan and the other a report.

    Examples
    --------
    >>> from planner import demand_from, plan, read_offers
    >>> def planned(size):
    ...     document = {"version": 1, "volumes": [{"name": "corpus", "size": size}]}
    ...     return plan(demand_from(document), read_offers("shipped:disk-offers"))
    >>> diff(planned("4 TB"), planned("5 TB")).summary
    'Diff: 1 changed. +$51.10/month ($204.40 → $255.50, +25.0 %).'
    """
    before, after = Side.of(old), Side.of(new)
    if before.kind != after.kind:
        raise InputError(
            f"The old file is a {before.kind}, the new file is a {after.kind}.",
            hint="Compare two plans, or two reports: `planner report PLAN --out FILE` makes one.",
        )
    same = before.hours_per_month == after.hours_per_month
    hours = after.hours_per_month if same else HOURS_PER_MONTH
    several = _has_projects(before, after)
    return Diff(
        before,
        after,
        hours,
        tuple(disk_changes(before.lines, after.lines, hours, several=several)),
        tuple(gpu_changes(before.gpus, after.gpus, several=several)),
    )


def _has_projects(*sides: Side) -> bool:
    """Return whether projects tell volumes apart: not where each side has one at most."""
    return any(len({line.project for line in side.lines} - {None}) > 1 for side in sides)


def _title(item: Change, labels: ReplicaLabels, *, several: bool) -> str:
    line = item.item
    title = labels.title_of(line) if isinstance(line, Line) else visible(line.workload)
    return f"{visible(line.project)}: {title}" if several and line.project else title
