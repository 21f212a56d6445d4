"""The marketplace API: credentials, one client, and the failures it can report.

::

    environment, ~/.prime ─► Credentials ─► Client ─► Listing(rows, fetched_at, source)
                                    │         └► MarketError (exit code 4)
                                    └─► Account ─► Disk, DiskPage, Wallet
                                           └► RequestNotSent, RequestRefused, OutcomeUnknown

Rows are handed on as the marketplace sent them; what they mean is the business of
``planner.market``. httpx is imported here and nowhere else.
"""

from planner.api.account import Account, Reply
from planner.api.client import Client
from planner.api.credentials import Credentials, read_credentials
from planner.api.disks import Disk, DiskPage, Wallet
from planner.api.listing import Listing

__all__ = [
    "Account",
    "Client",
    "Credentials",
    "Disk",
    "DiskPage",
    "Listing",
    "Reply",
    "Wallet",
    "read_credentials",
]
