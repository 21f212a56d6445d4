"""What a project has already: the account's disks, and which replicas they were bought as."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from planner.apply.listing import believed_listing
from planner.apply.state import State
from planner.market import disks_frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from planner.api import Account
    from planner.apply.pace import Pace

Recorded = dict[tuple[str, int], tuple[str, ...]]
"""(volume, replica) → ids of the disks bought as that replica, the first disk first."""


def read_account(account: Account, pace: Pace) -> pd.DataFrame:
    """Return the disks of an account, read whole (columns ``DISKS``).

    Raises
    ------
    MarketError
        When the account cannot be read.
    """
    frame = disks_frame(believed_listing(account, pace).live)
    source = f"{account.credentials.base_url}/api/v1/disks/"
    frame.attrs = {"source": source, "fetched_at": None}
    return frame


def recorded_disks(
    records: Sequence[dict[str, Any]], project: str, target: dict[str, str | None]
) -> tuple[Recorded, tuple[str, ...]]:
    """Return what the journal says was bought for a project, and what is in doubt.

    Of several plans that bought one replica, the last one's disks are taken.

    Parameters
    ----------
    records : sequence of dict
        The journal's.
    project : str
        What plans are about.
    target : dict
        Base URL and team of the marketplace.

    Returns
    -------
    recorded : dict
        Complete replicas only.
    doubts : tuple of str
        One sentence for each slot in which a disk may exist that nobody has seen.
    """
    state = State(records)
    bought: dict[tuple[str, int], dict[str, dict[int, str | None]]] = {}
    doubts: list[str] = []
    for entry in state.of_project(project):
        if not state.is_at(entry, target):
            continue
        if entry.in_doubt:
            doubts.append(
                f"volume {entry.volume}: whether {entry.name} was bought is in doubt; "
                "`planner apply` of that plan finds out, and buys nothing twice"
            )
        is_there = entry.stage == "created" and len(entry.ids) == 1
        plans = bought.setdefault((entry.volume, entry.replica), {})
        plans.setdefault(entry.plan, {})[entry.disk] = entry.ids[0] if is_there else None
    recorded: Recorded = {}
    for slot, plans in bought.items():
        for disks in plans.values():
            ids = [disk_id for _, disk_id in sorted(disks.items()) if disk_id is not None]
            if len(ids) == max(disks):
                recorded[slot] = tuple(ids)
    return recorded, tuple(doubts)
