"""What commands read of the market: snapshots, or the live marketplace where no file is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.cli.render import to_stderr

if TYPE_CHECKING:
    import pandas as pd

    from planner.market.snapshot import Snapshot
    from planner.marketplace.protocol import ListingName


def snapshots(files: dict[ListingName, str | None]) -> dict[ListingName, Snapshot]:
    """Return listings by name: from the file where there is one, the rest live."""
    from planner.cli.purchases import warn
    from planner.market.snapshot import read_snapshot

    read = {name: read_snapshot(file, name) for name, file in files.items() if file is not None}
    missing = [name for name in files if name not in read]
    if missing:
        from planner.marketplace.fetch import fetch_market

        read |= dict(zip(missing, fetch_market(*missing, on_failure=warn), strict=True))
    return read


def keep(snapshot: Snapshot | None, path: str | None, what: str) -> None:
    """Write a listing where a person asked for it."""
    if snapshot is not None and path is not None:
        from planner.market.snapshot import save_snapshot

        save_snapshot(snapshot, path)
        to_stderr(f"saved {len(snapshot.rows)} {what} to {path}")


def gpu_frame(single: Snapshot, multi: Snapshot | None) -> pd.DataFrame:
    """Return the GPU listings as one frame, and say which rows cannot be used."""
    from planner.market.snapshot import join_gpus
    from planner.plans.advice import market_warnings
    from planner.schema import records

    frame = single.gpus()
    if multi is not None:
        frame = join_gpus(frame, multi.gpus(listing="multi-node"))
    for warning in market_warnings(records(frame)):
        to_stderr(f"warning: GPU {warning}")
    return frame
