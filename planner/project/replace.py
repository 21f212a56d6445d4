"""Replacements: which disks later ones have replaced, and how they are copied and retired."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from planner.market.disks import NOT_KEPT
from planner.plans.sharing import titled
from planner.project.state import Entry, sorted_entries
from planner.units import money, plain, total, usd_month

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from planner.market.disks import Disk
    from planner.plans.plan import Plan
    from planner.project.context import Context


def supersede(ctx: Context) -> None:
    """Record which disks of the project have been replaced: all disks of their successor exist.

    A disk that volumes share is replaced once every one of them is elsewhere. A disk that is gone
    from the account is replaced by its second purchase.
    """
    moved = _moved(ctx.entries)
    for entry in ctx.entries:
        elsewhere = moved.get(entry.ids[0], {}) if entry.is_in_use else {}
        by = set().union(*elsewhere.values())
        # A disk may serve its own successor.
        if by and len(elsewhere) >= len(entry.shares) and entry.name not in by:
            ctx.record("superseded", name=entry.name, by=sorted(by))
    last = {key: e.name for e in ctx.entries if e.stage == "created" for key in e.keys}
    for entry in ctx.entries:
        later = {last[key] for key in entry.keys} if entry.is_in_use else {entry.name}
        if entry.name not in later and not ctx.is_live(entry, ctx.listing):
            ctx.record("superseded", name=entry.name, by=sorted(later))


def _moved(entries: Iterable[Entry]) -> dict[str, dict[str, set[str]]]:
    """Return, by id of a replaced disk, the volumes that are complete elsewhere, and their disks.

    The disks are named as in the journal.
    """
    replicas: dict[tuple[str, str, int], list[Entry]] = {}
    for entry in entries:
        if entry.replaces and entry.stage == "created":
            for share in entry.shares:
                replicas.setdefault((entry.plan, share.volume, share.replica), []).append(entry)
    moved: dict[str, dict[str, set[str]]] = {}
    for (_, volume, _), created in replicas.items():
        if len(created) >= created[0].disks:
            for old in created[0].replaces:
                names = moved.setdefault(old, {}).setdefault(volume, set())
                names.update(entry.name for entry in created)
    return moved


@dataclass(frozen=True)
class Superseded:
    """A disk that later ones replaced, which ones, and whether it still holds its data."""

    entry: Entry
    successors: tuple[Entry, ...]
    holds_data: bool

    @property
    def by(self) -> tuple[str, ...]:
        """Return the ids of the disks that replaced it."""
        return tuple(disk_id for entry in self.successors for disk_id in entry.ids)

    @property
    def copies(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """Yield what is copied: the volumes, from where, and to where, as paths under ``/mnt``.

        Volumes that stay together are copied as one; on a shared disk each is a directory.
        """
        old = self.entry
        if all({*new.volumes} == {*old.volumes} for new in self.successors) or not self.successors:
            title = titled(old.shares, numbered=True)
            yield title, f"{old.ids[0]}/", tuple(f"{disk_id}/" for disk_id in self.by)
            return
        for share in old.shares:
            holders = [new for new in self.successors if share.volume in new.volumes]
            to = tuple(_directory(new, share.volume) for new in holders or self.successors)
            yield titled([share], numbered=True), _directory(old, share.volume), to

    def to_document(self) -> dict[str, Any]:
        """Return the disk as JSON values."""
        entry = self.entry
        return {
            "volume": entry.volume,
            "disk_group": entry.disk_group,
            "replica": entry.replica,
            "id": entry.ids[0],
            "by": list(self.by),
            "usd_hr": plain(entry.counted_usd_hr),
        }


def _directory(entry: Entry, volume: str) -> str:
    """Return where a volume is on a disk: at its top, or in the directory of its name."""
    inside = f"{volume}/" if entry.group and volume in entry.volumes else ""
    return f"{entry.ids[0]}/{inside}"


def successors(entry: Entry, entries: Mapping[str, Entry]) -> list[Entry]:
    """Return what has replaced a disk in the end: a replacement may have been replaced as well."""
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
            tuple(successors(entry, listed)),
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
        f"Copy {what} from {_brief(start)} to {' and '.join(map(_brief, to))}, check the copy, "
        "then retire the old disk."
        for disk in superseded
        if disk.holds_data
        for what, start, to in disk.copies
    ]
    return [f"{len(superseded)} superseded {noun} ${usd}/month.", *copies]


def _brief(path: str) -> str:
    """Return a directory of a disk with the disk's short id, to read and not to paste."""
    disk_id, _, directory = path.partition("/")
    return f"{disk_id[:8]}/{directory}".rstrip("/")


def commands_for(superseded: Sequence[Superseded]) -> Iterator[str]:
    """Yield the commands that copy superseded disks, mounted under their ids, and retire them."""
    for disk in superseded:
        for _, start, to in disk.copies if disk.holds_data else ():
            if len(to) == 1:
                yield f"rsync -aHAX --info=progress2 /mnt/{start} /mnt/{to[0]}"
    for project in dict.fromkeys(disk.entry.project for disk in superseded):
        yield f"planner retire {shlex.quote(project)}"


def foreign_advice(ctx: Context, plan: Plan) -> list[str]:
    """Return which replaced disks planner cannot retire, as it did not buy them."""
    ours = ctx.state.recorded_ids()
    foreign: dict[str, list[str]] = {}
    for placement in plan.placements:
        for disk_id in placement.replaces:
            if disk_id not in ours:
                foreign.setdefault(disk_id, []).append(f"{placement.volume} #{placement.replica}")
    return [
        f"Copy {' + '.join(what)} from {disk_id}, check the copy, then delete {disk_id} by hand: "
        "it is not in this journal, so `planner retire` leaves it."
        for disk_id, what in foreign.items()
    ]
