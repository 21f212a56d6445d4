"""What became of each disk and each workload between two documents, and what it costs.

Disks are matched by id, then by volume: first at the same place and of the same size, so that
replicas that only changed their number are unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from planner.plans.summary import money_change
from planner.reports.lines import GpuLine, Line
from planner.schema import AMOUNT, EXACT, TEXT, WHOLE, Column
from planner.text import visible
from planner.units import difference, percent_of, product, total, usd_month

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

CHANGES = (
    Column("change", EXACT, "tuple: added, removed, or of moved, resized, repriced and others"),
    Column("kind", TEXT, "disk, or gpus of a workload"),
    Column("project", TEXT, "the new one's, else the old one's; null: unknown"),
    Column("name", TEXT, "volume or workload; else the disk's name; null: it has none"),
    Column("replica", WHOLE, "from 1; null: unknown, or GPUs"),
    Column("disk", WHOLE, "of the replica, from 1; null: unknown, or GPUs"),
    Column("old_disk_id", TEXT, "null: not bought yet, unknown, or GPUs"),
    Column("new_disk_id", TEXT, "null: not bought yet, unknown, or GPUs"),
    Column("old_owner", TEXT, "null: none"),
    Column("new_owner", TEXT, "null: none"),
    Column("old_site", TEXT, "null: added"),
    Column("new_site", TEXT, "null: removed"),
    Column("old_size_gb", WHOLE, "null: added, unknown, or GPUs"),
    Column("new_size_gb", WHOLE, "null: removed, unknown, or GPUs"),
    Column("old_gpus", TEXT, "nodes, GPUs and model; null: added, or a disk"),
    Column("new_gpus", TEXT, "nodes, GPUs and model; null: removed, or a disk"),
    Column("old_usd_month", AMOUNT, "before; null: added, or price unknown"),
    Column("new_usd_month", AMOUNT, "after; null: removed, or price unknown"),
    Column("difference_usd_month", AMOUNT, "new minus old; unknown prices count 0"),
)
"""Columns of what changed: disks in the new document's order, removed disks, then GPUs."""

_CENT = Decimal("0.005")
"""USD per month below which a price is the same: listings round prices that offers have exact."""
ARROW = " \N{RIGHTWARDS ARROW} "
_COST = ("old_usd_month", "new_usd_month", "difference_usd_month")
_SIGNS = {"added": "+", "removed": "-", "unchanged": "="}
Item = TypeVar("Item")


@dataclass(frozen=True)
class Cost:
    """USD per month before and after, exactly; None where there is nothing, or no known price."""

    old_usd_month: Decimal | None
    new_usd_month: Decimal | None

    @classmethod
    def sum(cls, costs: Iterable[Cost]) -> Cost:
        """Return several costs as one; what is unknown counts nothing."""
        taken = list(costs)
        return cls(
            total(cost.old_usd_month or Decimal(0) for cost in taken),
            total(cost.new_usd_month or Decimal(0) for cost in taken),
        )

    @property
    def difference_usd_month(self) -> Decimal:
        """Return how much more it costs after."""
        return difference(self.new_usd_month or Decimal(0), self.old_usd_month or Decimal(0))

    @property
    def percent(self) -> Decimal | None:
        """Return the same as per cent of the cost before; None where that was nothing."""
        return percent_of(self.difference_usd_month, self.old_usd_month or Decimal(0))

    def row(self) -> dict[str, Decimal | None]:
        """Return before, after, difference and percentage."""
        return {name: getattr(self, name) for name in (*_COST, "percent")}

    def __str__(self) -> str:
        old, new = (usd or Decimal(0) for usd in (self.old_usd_month, self.new_usd_month))
        return f"{money_change(old, new, percent=True)}."


@dataclass(frozen=True)
class Change:
    """What became of one disk, or of the GPUs of one workload.

    Attributes
    ----------
    changes : tuple of str
        ``added``; ``removed``; of disks ``moved``, ``resized``, ``repriced``, ``regrouped`` (shared
        with other volumes), ``renamed`` (another volume) and ``reassigned`` (another owner); of
        GPUs ``moved``, ``reconfigured`` (another model or number), ``rescheduled`` (other hours)
        and ``repriced``; or ``unchanged``.
    """

    changes: tuple[str, ...]
    old: Line | GpuLine | None
    new: Line | GpuLine | None
    cost: Cost

    @property
    def sign(self) -> str:
        """Return ``+``, ``-``, ``~`` or ``=``, for the left of a table."""
        return _SIGNS.get(self.changes[0], "~")

    @property
    def item(self) -> Line | GpuLine:
        """Return what there is after; of what was removed, what there was."""
        item = self.old if self.new is None else self.new
        if item is None:
            raise ValueError("a change is of something")
        return item

    @property
    def text(self) -> str:
        """Return what changed, as people read it."""
        if self.old is None or self.new is None:
            return f"{self.changes[0]}: {_amount(self.item)} at {self.item.site}"
        both = (self.old, self.new)
        details: dict[str, Callable[[Any], str]] = {
            "moved": lambda side: str(side.site),
            "resized": _amount,
            "reconfigured": _amount,
            "renamed": lambda side: side.title,
            "regrouped": lambda side: " + ".join(side.disk_group or ("a disk of its own",)),
            "reassigned": lambda side: visible(side.owner or "no owner"),
            "rescheduled": lambda side: f"{side.hours_per_month} h",
        }
        return ", ".join(
            f"{word}: {ARROW.join(map(details[word], both))}" if word in details else word
            for word in self.changes
        )

    def row(self) -> dict[str, Any]:
        """Return it as a row of ``CHANGES``."""
        item = self.item
        known = vars(item)
        row: dict[str, Any] = {
            "change": self.changes,
            "kind": "gpus" if isinstance(item, GpuLine) else "disk",
            "project": known["project"],
            "name": known.get("workload") or known.get("volume") or known.get("name"),
            "replica": known.get("replica"),
            "disk": known.get("disk"),
        }
        for prefix, side in (("old", self.old), ("new", self.new)):
            fields = {} if side is None else vars(side)
            row |= {f"{prefix}_{name}": fields.get(name) for name in ("disk_id", "owner")}
            row[f"{prefix}_site"] = None if side is None else side.site
            row[f"{prefix}_size_gb"] = fields.get("size_gb")
            row[f"{prefix}_gpus"] = side.title if isinstance(side, GpuLine) else None
        return row | self.cost.row()


def disk_changes(
    old: Sequence[Line], new: Sequence[Line], hours: int, *, several: bool
) -> Iterator[Change]:
    """Yield what became of every disk, in the new order; removed disks last.

    Parameters
    ----------
    several : bool
        Whether there are several projects, which tell volumes of one name apart.
    """
    for pair in _pairs(old, new, _disk_keys(several=several)):
        changes = tuple(_disk_changes(*pair, hours, several=several)) or ("unchanged",)
        yield Change(changes, *pair, Cost(*(_usd_month(line, hours) for line in pair)))


def gpu_changes(
    old: Sequence[GpuLine], new: Sequence[GpuLine], *, several: bool
) -> Iterator[Change]:
    """Yield what became of the GPUs of every workload, in the new order; removed ones last."""
    for pair in _pairs(old, new, [lambda gpu: (several and gpu.project, gpu.workload)]):
        changes = tuple(_gpu_changes(*pair)) or ("unchanged",)
        cost = Cost(*(None if gpu is None else gpu.usd_month for gpu in pair))
        yield Change(changes, *pair, cost)


def _usd_month(line: Line | None, hours: int) -> Decimal | None:
    return None if line is None or line.usd_hr is None else usd_month(line.usd_hr, hours)


def _place(line: Line) -> tuple[str | None, ...]:
    return (line.provider, line.data_center, line.country)


def _disk_keys(*, several: bool) -> tuple[Callable[[Line], object], ...]:
    """Return what makes two disks the same, the surest first; None where it cannot be known."""

    def keyed(*values: Callable[[Line], object]) -> Callable[[Line], object]:
        def key(line: Line) -> object:
            if line.volume is None:
                return None
            return (several and line.project, line.volume, *(value(line) for value in values))

        return key

    return (
        lambda line: line.disk_id and (line.disk_id, line.project, line.volume),
        lambda line: line.disk_id,
        keyed(_place, lambda line: line.size_gb, lambda line: line.replica),
        keyed(_place, lambda line: line.size_gb),
        keyed(_place),
        keyed(),
    )


def _pairs(
    old: Sequence[Item], new: Sequence[Item], keys: Iterable[Callable[[Item], object]]
) -> list[tuple[Item | None, Item | None]]:
    """Return which items are the same: by the first key that is equal, each item once.

    In the new items' order; then those that are gone.
    """
    partner: dict[int, Item] = {}
    left = [*enumerate(old)]
    for key in keys:
        waiting: dict[object, list[tuple[int, Item]]] = {}
        for at, item in left:
            if key(item) is not None:
                waiting.setdefault(key(item), []).append((at, item))
        for number, item in enumerate(new):
            if number not in partner and waiting.get(key(item)):
                same = waiting[key(item)].pop(0)
                partner[number] = same[1]
                left.remove(same)
    pairs = [(partner.get(number), item) for number, item in enumerate(new)]
    return [*pairs, *((item, None) for _, item in left)]


def _disk_changes(
    old: Line | None, new: Line | None, hours: int, *, several: bool
) -> Iterator[str]:
    if old is None or new is None:
        yield "added" if old is None else "removed"
        return
    moved = _place(old) != _place(new)
    if moved:
        yield "moved"
    if old.size_gb != new.size_gb:
        yield "resized"
    if not moved and _is_repriced(old, new, hours):
        yield "repriced"
    if old.disk_group != new.disk_group:
        yield "regrouped"
    if old.volume != new.volume or (several and old.project != new.project):
        yield "renamed"
    if old.owner != new.owner:
        yield "reassigned"


def _is_repriced(old: Line, new: Line, hours: int) -> bool:
    """Return whether a GB costs something else: by a cent a month for the disk, or more."""
    if old.usd_hr is None or new.usd_hr is None:
        return old.usd_hr != new.usd_hr
    before = after = Decimal(1)
    if old.size_gb and new.size_gb:
        before, after = Decimal(old.size_gb), Decimal(new.size_gb)
    more = difference(product(new.usd_hr, before), product(old.usd_hr, after))
    return product(abs(more), Decimal(hours)) >= product(_CENT, before)


def _gpu_changes(old: GpuLine | None, new: GpuLine | None) -> Iterator[str]:
    if old is None or new is None:
        yield "added" if old is None else "removed"
        return
    moved, other = old.site != new.site, old.title != new.title
    if moved:
        yield "moved"
    if other:
        yield "reconfigured"
    if old.hours_per_month != new.hours_per_month:
        yield "rescheduled"
    if not moved and not other and old.usd_hr_on != new.usd_hr_on:
        yield "repriced"


def _amount(side: Line | GpuLine) -> str:
    if isinstance(side, GpuLine):
        return visible(side.title)
    return "unknown size" if side.size_gb is None else f"{side.size_gb:,} GB"
