"""What a person reads of a plan that grows: what is bought when, and what that saves."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING

from planner.market.offers import place_text
from planner.present.table import Cell, Section, TableColumn, counted
from planner.schema import EXACT, TEXT, WHOLE, Column, build
from planner.solve.optimum import optimum
from planner.solve.problem import Instance
from planner.solve.stats import Undecided
from planner.solve.tenures import horizon_usd
from planner.text import titles
from planner.units import difference, money, percent_of, product, total, usd_month

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from planner.demand.model import Demand, Volume
    from planner.solve.existing import Kept
    from planner.solve.solution import Placement
    from planner.solve.tenures import Tenure

LARGER = (
    Column("volume", TEXT, "name in the demand"),
    Column("replica", WHOLE, "which copy"),
    Column("size_gb", WHOLE, "what its first disk holds for it"),
    Column("larger_gb", WHOLE, "a later disk of the schedule, bought at once instead"),
    Column("until_month", WHOLE, "how many months that one lasts"),
    Column("moves", WHOLE, "how many moves fewer there are then"),
    Column("extra_usd", EXACT, "what it costs more over the horizon, exact Decimal"),
)
"""Columns of what larger first disks cost, by volume, replica and size."""

_NODES = 20_000
"""Branch-and-bound nodes after which a comparison is left out: work, never a clock."""


def month_text(created_at: str, month: int) -> str:
    """Return in which calendar month a month of the horizon begins.

    >>> month_text("2026-11-27T08:00:00+00:00", 2)
    '2027-01'
    """
    months = int(created_at[:4]) * 12 + int(created_at[5:7]) - 1 + month
    return f"{months // 12}-{months % 12 + 1:02}"


@dataclass(frozen=True)
class PlannedMonth:
    """A volume in a month of a schedule; fields as in ``PLANNED_MONTHS``."""

    month: str
    project: str
    volume: str
    owner: str | None
    size_gb: int
    disk_usd: Decimal
    moves: int
    move_usd: Decimal


@dataclass(frozen=True)
class Outlook:
    """The months of a plan that grows.

    Attributes
    ----------
    demand : Demand
        What grows, and how far ahead that is planned.
    """

    demand: Demand
    placements: tuple[Placement, ...]
    schedule: tuple[Tenure, ...]
    created_at: str

    def later(self, placement: Placement) -> list[Tenure]:
        """Return what a replica is moved to, in turn."""
        return self._later.get((placement.volume, placement.replica), [])

    @cached_property
    def _later(self) -> dict[tuple[str, int], list[Tenure]]:
        later: defaultdict[tuple[str, int], list[Tenure]] = defaultdict(list)
        for row in self.schedule:
            later[row.volume, row.replica].append(row)
        return later

    @cached_property
    def _volumes(self) -> dict[str, Volume]:
        return {volume.name: volume for volume in self.demand.volumes}

    def _alone_usd(self, placement: Placement, later: Sequence[Tenure]) -> Decimal:
        """Return what a replica costs over the horizon, without a look at the other volumes."""
        alone = self.demand.model_copy(update={"volumes": (self._volumes[placement.volume],)})
        return horizon_usd(alone, [placement], later)

    def section(self) -> Section:
        """Return one row for each replica that moves: what it is on now, next, and at the end."""
        months, rows = self.demand.policy.months, []
        names = titles([(each.volume, each.replica) for each in self.placements])
        for placement, name in zip(self.placements, names, strict=True):
            mine = self.later(placement)
            if not mine:
                continue
            rows.append(
                (
                    name,
                    placement.provision_gb,
                    month_text(self.created_at, mine[0].month),
                    mine[0].provision_gb,
                    place_text(vars(mine[0])),
                    len(mine),
                    mine[-1].provision_gb,
                    self._alone_usd(placement, mine),
                )
            )
        columns = (
            TableColumn("volume", "volume"),
            TableColumn("now_gb", "GB now", "size_gb"),
            TableColumn("month", "move in"),
            TableColumn("next_gb", "to GB", "size_gb"),
            TableColumn("where", "at"),
            TableColumn("moves", "moves", "count"),
            TableColumn("last_gb", "last GB", "size_gb"),
            TableColumn("horizon_usd", f"$/{months} months", "usd"),
        )
        title = "What moves next, and what each volume costs"
        return Section("schedule", title, columns, tuple(rows), expendable=("last_gb", "moves"))

    def months(self) -> Iterator[PlannedMonth]:
        """Yield what each volume costs in each month, by month; together the horizon's cost."""
        policy, volumes = self.demand.policy, self._volumes
        # What shares a disk moves with its first volume, and is counted there.
        aboard = {each.volume for each in self.placements if not each.leads}
        paths: defaultdict[str, list[list[tuple[int, int, int, Decimal]]]] = defaultdict(list)
        for placement in self.placements:
            later = self.later(placement)
            starts = [0, *(row.month for row in later)]
            sizes = [placement.provision_gb, *(row.provision_gb for row in later)]
            prices = [placement.usd_hr, *(row.usd_hr for row in later)]
            ends = [*starts[1:], policy.months]
            paths[placement.volume].append([*zip(starts, ends, sizes, prices, strict=True)])
        for month in range(policy.months if self.demand.grows else 0):
            for name, each in paths.items():
                stays = [stay for path in each for stay in path]
                here = [stay for stay in stays if stay[0] <= month < stay[1]]
                ended = [usd_hr for _, end, _, usd_hr in stays if end == month]
                disks = total(product(stay[3], Decimal(policy.hours_per_month)) for stay in here)
                egress = policy.moving.egress_usd_gb
                gb = Decimal(volumes[name].need_at(month - 1)) if ended else Decimal(0)
                once = [product(usd_hr, policy.moving.overlap_hours) for usd_hr in ended]
                once += [product(egress, gb)] * len(ended)
                yield PlannedMonth(
                    month=month_text(self.created_at, month),
                    project=self.demand.project,
                    volume=name,
                    owner=volumes[name].owner,
                    size_gb=sum(stay[2] for stay in here),
                    disk_usd=disks,
                    moves=0 if name in aboard else len(ended),
                    move_usd=total(once),
                )

    def larger(self) -> pd.DataFrame:
        """Return what larger first disks cost more (columns ``LARGER``).

        They are the later disks of the schedule, each bought at once instead of the first; what
        comes after them stays as it is. Where the first exists, that would be no move less.
        """
        rows = []
        for placement in self.placements:
            mine = self.later(placement) if placement.action != "keep" else []
            if not mine:
                continue
            planned = self._alone_usd(placement, mine)
            for moves, disk in enumerate(mine, 1):
                at_once = replace(placement, usd_hr=disk.usd_hr)
                usd = self._alone_usd(at_once, mine[moves:])
                sizes = (placement.provision_gb, disk.provision_gb, disk.until_month)
                which = (placement.volume, placement.replica)
                rows.append((*which, *sizes, moves, difference(usd, planned)))
        names = [column.name for column in LARGER]
        return build([dict(zip(names, row, strict=True)) for row in rows], LARGER)

    def lines(self, offers: pd.DataFrame, kept: Sequence[Kept]) -> Iterator[str]:
        """Yield what the horizon costs, beside buying the final sizes, or today's, at once."""
        if not self.demand.grows:
            return
        months = self.demand.policy.months
        usd = horizon_usd(self.demand, self.placements, self.schedule)
        moves = counted(sum(row.leads for row in self.schedule), "move")
        total = f"Over {months} months the disks cost ${money(usd)}, {moves} included"
        final = self._final(offers, kept)
        if final is None:
            yield f"{total}."
        else:
            saved = difference(final[1], usd)
            share = money(percent_of(abs(saved), final[1]) or Decimal(0), 0)
            less = f"${money(abs(saved))} ({share} %) {'less' if saved >= 0 else 'more'}"
            yield f"{total}: {less} than buying {final[0]:,} GB today."
        full = [
            month
            for volume in self.demand.volumes
            for month in range(months)
            if volume.growth is not None and volume.held_gb(month) > volume.need_gb
        ]
        if full:
            when = month_text(self.created_at, min(full))
            yield f"Disks of today's sizes with their headroom would be too small in {when}."

    def _final(self, offers: pd.DataFrame, kept: Sequence[Kept]) -> tuple[int, Decimal] | None:
        """Return how many GB all final sizes are, and what buying them today costs to the end.

        Existing disks stay where they last that long; None where that is no plan.
        """
        months = self.demand.policy.months
        volumes = tuple(volume.bought_for(months - 1) for volume in self.demand.volumes)
        final = self.demand.model_copy(update={"volumes": volumes, "workloads": ()})
        moved = {(row.volume, row.replica) for row in self.schedule}
        stay = [each for each in kept if (each.volume, each.replica) not in moved]
        instance = Instance.of(final, offers, None, stay)
        try:
            best = optimum(instance, tie_break=False, nodes=_NODES)
        except Undecided:
            return None
        if best is None:
            return None
        size_gb = sum(instance.gb(v, o) for v, places in best.chosen.items() for o in places)
        return size_gb, usd_month(best.usd_month, months)


def planned_section(months: Sequence[PlannedMonth]) -> Section:
    """Return what each month of plans that grow costs."""
    by_month: defaultdict[str, list[PlannedMonth]] = defaultdict(list)
    for each in months:
        by_month[each.month].append(each)
    rows = [
        (name, sum(each.size_gb for each in here), *_sums(here))
        for name, here in sorted(by_month.items())
    ]
    columns = (
        TableColumn("month", "month"),
        TableColumn("size_gb", "GB", "size_gb"),
        TableColumn("moves", "moves", "count"),
        TableColumn("disk_usd", "$ disks", "usd"),
        TableColumn("move_usd", "$ moving", "usd"),
        TableColumn("usd", "$ together", "usd"),
    )
    footer = ("total", Cell(None, ""), *_sums(months))
    note = "Moving: both disks are billed while data is copied, and egress."
    return Section("months", "Planned months", columns, tuple(rows), footer, notes=(note,))


def _sums(months: Sequence[PlannedMonth]) -> tuple[int, Decimal, Decimal, Decimal]:
    disks, moving = total(m.disk_usd for m in months), total(m.move_usd for m in months)
    return sum(month.moves for month in months), disks, moving, total([disks, moving])
