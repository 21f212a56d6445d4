"""Shared disks in reports: one line for each volume, which add up to the disk exactly."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from planner.plans.sharing import DiskShare
from planner.reports.lines import Line
from planner.units import split_gb, split_usd, total

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_FIELDS = tuple(field.name for field in fields(Line))
_DIVIDED = ("usd_hr", "billed_usd")


@dataclass(frozen=True)
class WholeDisk(Line):
    """A disk that volumes share, before it is divided: named for the first of them.

    Attributes
    ----------
    shares : tuple of DiskShare
        What each volume has of it, by GB.
    """

    shares: tuple[DiskShare, ...] = ()

    @property
    def weights(self) -> list[int]:
        """Return by what amounts are divided: GB; equal parts where no GB are known."""
        sizes = [share.size_gb for share in self.shares]
        return sizes if any(sizes) else [1] * len(sizes)

    def divided(self) -> tuple[Line, ...]:
        """Return one line for each volume."""
        weights, number = self.weights, len(self.shares)
        sizes = [None] * number if self.size_gb is None else split_gb(self.size_gb, weights)
        amounts = {
            name: split_usd(usd, weights)
            for name in _DIVIDED
            if (usd := getattr(self, name)) is not None
        }
        whole = plain_fields(self)
        group = tuple(share.volume for share in self.shares)
        return tuple(
            Line(
                **{
                    **whole,
                    **{name: getattr(share, name) for name in ("volume", "replica", "owner")},
                    **{name: parts[at] for name, parts in amounts.items()},
                    "tags": dict(share.tags),
                    "size_gb": sizes[at],
                    "disk_group": group,
                }
            )
            for at, share in enumerate(self.shares)
        )


def plain_fields(line: Line) -> dict[str, Any]:
    """Return the fields of a line, without the shares of a whole disk."""
    return {name: getattr(line, name) for name in _FIELDS}


def with_shares(line: Line, shares: Sequence[DiskShare]) -> Line:
    """Return a line of a whole disk with what its volumes have of it; itself where it has one."""
    return WholeDisk(**vars(line), shares=tuple(shares)) if shares else line


def divided(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Return lines with shared disks divided among their volumes."""
    return tuple(
        part
        for line in lines
        for part in (line.divided() if isinstance(line, WholeDisk) else (line,))
    )


def whole(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Return lines with the parts of shared disks put together again, where the first was."""
    together: dict[object, list[Line]] = {}
    for number, line in enumerate(lines):
        disk = (line.account, line.disk_id, line.name, line.disk_group)
        together.setdefault(number if line.disk_group is None else disk, []).append(line)
    return tuple(
        parts[0] if parts[0].disk_group is None else _joined(parts) for parts in together.values()
    )


def _joined(parts: Sequence[Line]) -> WholeDisk:
    sums: dict[str, Any] = {}
    for name in _DIVIDED:
        known = [usd for part in parts if (usd := getattr(part, name)) is not None]
        sums[name] = total(known) if len(known) == len(parts) else None
    sizes = [part.size_gb for part in parts if part.size_gb is not None]
    sums["size_gb"] = sum(sizes) if len(sizes) == len(parts) else None
    shares = (
        DiskShare(
            str(part.volume), part.replica or 1, part.size_gb or 0, part.owner, dict(part.tags)
        )
        for part in parts
    )
    return WholeDisk(**{**vars(parts[0]), **sums, "disk_group": None}, shares=tuple(shares))
