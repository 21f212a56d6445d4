"""The live market in one call: credentials, client and listing put together."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from planner.market.snapshot import join_gpus
from planner.marketplace.credentials import Credentials, read_credentials
from planner.marketplace.prime.client import Client

if TYPE_CHECKING:
    import pandas as pd

    from planner.market.snapshot import Snapshot
    from planner.marketplace.prime.client import ListingName


DEADLINE_S = 40.0
"""Seconds for all listings of one command together."""


def find_credentials() -> Credentials:
    """Return the credentials of this user: environment first, then the vendor's config file.

    Raises
    ------
    InputError
        When there is no key, or what is there cannot be used.
    """
    return read_credentials(os.environ, Path(os.path.expanduser("~")))  # noqa: PTH111 -- no home is no error


def fetch_market(
    *names: ListingName, credentials: Credentials | None = None
) -> tuple[Snapshot, ...]:
    """Return complete live listings, all within `DEADLINE_S`.

    Parameters
    ----------
    *names : {"disks", "gpus", "multi-node"}
        Which listings.
    credentials : Credentials | None
        None finds them as the vendor's client does.

    Raises
    ------
    InputError
        When there is no usable key.
    MarketError
        When the marketplace is unreachable, refuses, or a listing cannot be read whole.
    """
    found = credentials or find_credentials()
    started = time.monotonic()
    snapshots = []
    for name in names:
        left = DEADLINE_S - (time.monotonic() - started)
        with Client(found, deadline_s=left) as client:
            snapshots.append(client.listing(name))
    return tuple(snapshots)


def fetch_offers(credentials: Credentials | None = None) -> pd.DataFrame:
    """Return the live disk offers as a frame (columns ``OFFERS``), every listed row.

    Parameters
    ----------
    credentials : Credentials | None
        None finds them as the vendor's client does.

    Raises
    ------
    InputError, MarketError
        As `fetch_market`.
    """
    (disks,) = fetch_market("disks", credentials=credentials)
    return disks.offers()


def fetch_gpus(credentials: Credentials | None = None) -> pd.DataFrame:
    """Return the live GPU offers of both listings as a frame (columns ``GPUS``).

    Raises
    ------
    InputError, MarketError
        As `fetch_market`.
    """
    single, multinode = fetch_market("gpus", "multi-node", credentials=credentials)
    return join_gpus(single.gpus(), multinode.gpus(listing="multi-node"))
