"""Replacements: which disks later ones have replaced, and how they are copied and retired."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from planner.market.disks import NOT_KEPT
from planner.project.state import Entry, sorted_entries
from planner.units import money, plain, total, usd_month

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from planner.market.disks import Disk
    from planner.plans.plan import Plan
    from planner.project.context import Context


def supersede(ctx: Context) -> None:
    """Record which disks of the project have been replaced: all disks of their successor exist.

    A disk that is gone from the account is replaced by its second purchase.
    """
    replicas: dict[tuple[str, str, int], list[Entry]] = {}
    for entry in ctx.entries:
        if entry.replaces and entry.stage == "created":
            replicas.setdefault((entry.plan, entry.volume, entry.replica), []).append(entry)
    for created in replicas.values():
        if len(created) < created[0].disks:
            continue
        by = sorted(entry.name for entry in created)
        replaced = {*created[0].replaces}
        for entry in ctx.entries:
            is_in_use = entry.stage == "created" and not entry.superseded_by
            is_in_use = is_in_use and entry.name not in by  # a disk that serves its own successor
            if is_in_use and not replaced.isdisjoint(entry.ids):
                ctx.record("superseded", name=entry.name, by=by)
    last = {entry.key: entry.name for entry in ctx.entries if entry.stage == "created"}
    for entry in ctx.entries:
        is_in_use = entry.stage == "created" and not entry.superseded_by
        if is_in_use and last[entry.key] != entry.name and not ctx.is_live(entry, ctx.listing):
            ctx.record("superseded", name=entry.name, by=[last[entry.key]])


@dataclass(frozen=True)
class Superseded:
    """A disk that later ones replaced, their ids, and whether it still holds its data."""

    entry: Entry
    by: tuple[str, ...]
    holds_data: bool

    def to_document(self) -> dict[str, Any]:
        """Return the disk as JSON values."""
        entry = self.entry
        return {
            "volume": entry.volume,
            "replica": entry.replica,
            "id": entry.ids[0],
            "by": list(self.by),
            "usd_hr": plain(entry.counted_usd_hr),
        }


def successors(entry: Entry, entries: Mapping[str, Entry]) -> list[Entry]:
    """Return what has replaced a disk in the end: a replacement may have been replaced as well.

    Parameters
    ----------
    entry : Entry
        A superseded disk.
    entries : mapping of str to Entry
        Entries of the project, by name.
    """
    last: dict[str, Entry] = {}
    waiting, seen = [*entry.superseded_by], {entry.name}
    while waiting:
        name = waiting.pop(0)
        if name in seen or name not in entries:
            continue
        seen.add(name)
        if entries[name].superseded_by:
            waiting += entries[name].superseded_by
        else:
            last[name] = entries[name]
    return list(last.values())


def superseded_of(
    entries: Iterable[Entry], disks: Mapping[str | None, Disk]
) -> tuple[Superseded, ...]:
    """Return the superseded disks among the entries of a target, given the account's by id."""
    listed = {entry.name: entry for entry in entries}
    return tuple(
        Superseded(
            entry,
            tuple(disk_id for other in successors(entry, listed) for disk_id in other.ids),
            entry.ids[0] not in disks or disks[entry.ids[0]].status not in NOT_KEPT,
        )
        for entry in sorted_entries(listed.values())
        if entry.is_superseded
    )


def copy_advice(superseded: Sequence[Superseded]) -> list[str]:
    """Return what superseded disks cost, and what is to be copied before they are retired."""
    if not superseded:
        return []
    usd = money(usd_month(total(disk.entry.counted_usd_hr for disk in superseded)))
    noun = "disk costs" if len(superseded) == 1 else "disks cost"
    copies = [
        f"Copy {disk.entry.volume} #{disk.entry.replica} from {disk.entry.ids[0]} to "
        f"{' and '.join(disk.by)}, check the copy, then retire the old disk."
        for disk in superseded
        if disk.holds_data
    ]
    return [f"{len(superseded)} superseded {noun} ${usd}/month.", *copies]


def commands_for(superseded: Sequence[Superseded]) -> Iterator[str]:
    """Yield the commands that copy superseded disks, mounted under their ids, and retire them."""
    for disk in superseded:
        if len(disk.by) == 1 and disk.holds_data:
            yield f"rsync -aHAX --info=progress2 /mnt/{disk.entry.ids[0]}/ /mnt/{disk.by[0]}/"
    for project in dict.fromkeys(disk.entry.project for disk in superseded):
        yield f"planner retire {shlex.quote(project)}"


def foreign_advice(ctx: Context, plan: Plan) -> list[str]:
    """Return which replaced disks planner cannot retire, as it did not buy them."""
    ours = ctx.state.recorded_ids()
    return [
        f"Copy {placement.volume} #{placement.replica} from {disk_id}, check the copy, then delete "
        f"{disk_id} by hand: it is not in this journal, so `planner retire` leaves it."
        for placement in plan.placements
        for disk_id in placement.replaces
        if disk_id not in ours
    ]
