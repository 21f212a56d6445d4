"""The live market in one call: credentials, client and listing put together."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from planner.api import Client, Credentials, read_credentials
from planner.market import fetch_snapshot, join_gpus

if TYPE_CHECKING:
    import pandas as pd

    from planner.market import Snapshot


def find_credentials() -> Credentials:
    """Return the credentials of this user: environment first, then the vendor's config file.

    Raises
    ------
    InputError
        When there is no key, or what is there cannot be used.
    """
    return read_credentials(os.environ, Path.home())


def fetch_market(credentials: Credentials | None = None) -> Snapshot:
    """Return the complete listing of disk offers.

    Raises
    ------
    InputError
        When there is no usable key.
    MarketError
        When the marketplace is unreachable, refuses, or the listing cannot be read whole.
    """
    with Client(credentials or find_credentials()) as client:
        return fetch_snapshot(client, "disks")


def fetch_gpu_market(credentials: Credentials | None = None) -> tuple[Snapshot, Snapshot]:
    """Return the complete listings of GPU offers: single-node and multi-node.

    Raises
    ------
    InputError, MarketError
        As `fetch_market`.
    """
    with Client(credentials or find_credentials()) as client:
        return fetch_snapshot(client, "gpus"), fetch_snapshot(client, "multi-node")


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
    return fetch_market(credentials).offers()


def fetch_gpus(credentials: Credentials | None = None) -> pd.DataFrame:
    """Return the live GPU offers of both listings as a frame (columns ``GPUS``).

    Raises
    ------
    InputError, MarketError
        As `fetch_market`.
    """
    single, multinode = fetch_gpu_market(credentials)
    return join_gpus(single.gpus(), multinode.gpus(listing="multi-node"))
