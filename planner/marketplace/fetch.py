"""The live market in one call: find the credentials, connect, read."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.errors import InputError
from planner.formats import JsonError, default_state, read_bytes
from planner.market.history_file import Recorder
from planner.market.snapshot import join_gpus
from planner.marketplace.credentials import Credentials, read_credentials
from planner.marketplace.prime.client import Client
from planner.marketplace.prime.wire import read_wallet
from planner.marketplace.protocol import LISTING_S
from planner.present.progress import tracked
from planner.schema import handed_out
from planner.shipped import resolve
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from planner.market.snapshot import Snapshot
    from planner.marketplace.protocol import ListingName, Marketplace, WalletStatement


def find_credentials() -> Credentials:
    """Return the credentials of this user: environment first, then the vendor's config file.

    Raises
    ------
    InputError
        When there is no key, or what is there cannot be used.
    """
    return read_credentials(os.environ, Path(os.path.expanduser("~")))  # noqa: PTH111 -- no home is no error


def connect(
    credentials: Credentials | None = None,
    *,
    state: Path | None = None,
    on_failure: Callable[[str], object] = lambda _: None,
    **pacing: Any,  # noqa: ANN401 -- as Client
) -> Marketplace:
    """Return the marketplace of these credentials, to be used in a ``with`` statement.

    Parameters
    ----------
    credentials : Credentials | None
        None finds them as the vendor's client does.
    state : Path | None
        State directory whose market history records each complete listing; None records none.
    on_failure : callable
        Called with a sentence where the history cannot be written; nothing else comes of that.
    **pacing
        Timeouts and pauses: see `Client`.

    Raises
    ------
    InputError
        When there is no usable key.
    """
    credentials = credentials or find_credentials()
    if state is not None:
        of = (state, credentials.base_url, credentials.team_id)
        pacing["on_listing"] = Recorder(*of, on_failure)
    return Client(credentials, **pacing)


def fetch_market(
    *names: ListingName,
    credentials: Credentials | None = None,
    state: Path | None = None,
    on_failure: Callable[[str], object] = lambda _: None,
) -> tuple[Snapshot, ...]:
    """Return complete live listings, all within `LISTING_S`; the market history records them.

    Parameters
    ----------
    credentials : Credentials | None
        None finds them as the vendor's client does.
    state, on_failure
        As of `connect`; None is planner's own state directory.

    Raises
    ------
    InputError
        When there is no usable key.
    MarketError
        When the marketplace is unreachable, refuses, or a listing cannot be read whole.
    """
    deadline = time.monotonic() + LISTING_S
    with connect(credentials, state=state or default_state(), on_failure=on_failure) as market:
        listed = tracked(names, "Reading the market's listings")
        return tuple(market.listing(name, within_s=deadline - time.monotonic()) for name in listed)


def fetch_offers(credentials: Credentials | None = None, *, exact: bool = False) -> pd.DataFrame:
    """Return the live disk offers as a frame (columns ``OFFERS``), every listed row.

    Parameters
    ----------
    credentials : Credentials | None
        None finds them as the vendor's client does.
    exact : bool
        Amounts are Decimals; else floats.

    Raises
    ------
    InputError, MarketError
        As `fetch_market`.
    """
    (disks,) = fetch_market("disks", credentials=credentials)
    return handed_out(disks.offers(), exact=exact)


def fetch_gpus(credentials: Credentials | None = None, *, exact: bool = False) -> pd.DataFrame:
    """Return the live GPU offers of both listings as a frame (columns ``GPUS``).

    Parameters
    ----------
    credentials : Credentials | None
        None finds them as the vendor's client does.
    exact : bool
        Amounts are Decimals; else floats.

    Raises
    ------
    InputError, MarketError
        As `fetch_market`.
    """
    single, multinode = fetch_market("gpus", "multi-node", credentials=credentials)
    both = join_gpus(single.gpus(), multinode.gpus(listing="multi-node"))
    return handed_out(both, exact=exact)


def read_wallet_file(path: str | Path) -> WalletStatement:
    """Return the wallet of a file that holds what ``GET /api/v1/billing/wallet`` answered.

    Raises
    ------
    InputError
        When the file cannot be read, or is not of that shape.
    """
    try:
        return read_wallet(read_bytes(resolve(str(path)), what="wallet"))
    except JsonError as error:
        hint = "a file of a wallet is what `GET /api/v1/billing/wallet` answers"
        raise InputError(f"{visible(str(path))}: is no wallet: {error}", hint=hint) from error
