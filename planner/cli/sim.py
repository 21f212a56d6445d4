"""``planner sim``: a local marketplace that speaks the same API."""

from __future__ import annotations

import threading
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner.cli.options import number
from planner.cli.purchases import stopping
from planner.cli.render import to_stderr, to_stdout
from planner.errors import InputError

if TYPE_CHECKING:
    from decimal import Decimal

    from planner.marketplace.protocol import ListingName
    from planner.marketplace.sim.local import Sim


class Dialect(StrEnum):
    """Where the vendor's guide and its API description differ, which one is spoken."""

    openapi = "openapi"
    guide = "guide"


EPILOG = (
    "Standard output has one line, the base URL; everything else goes to standard error. Ctrl-C, "
    "SIGTERM or SIGHUP stops it with exit code 0, after saying what exists. A fault is METHOD "
    "PATH[#N]:KIND[=VALUE][+KIND...], such as 'POST /disks/#2:drop-after'; --fault list shows "
    "every kind. GET /sim/ shows what can be done beside the API: move the clock, attach a disk, "
    "change an offer, read the audit."
)


def sim(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any that is free.")
    ] = 0,
    host: Annotated[
        str, typer.Option(help="Address of this machine to listen on; no other is allowed.")
    ] = "127.0.0.1",
    state: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Keep disks, clock, wallet and audit there."),
    ] = None,
    offers_file: Annotated[
        str | None,
        typer.Option(
            "--offers",
            "--seed-disks",
            metavar="FILE",
            help="Disk offers it sells, a snapshot in the API's shape; without it the documented "
            "market.",
        ),
    ] = None,
    gpus_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="GPU offers it shows, a snapshot.")
    ] = None,
    multinode_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="Multi-node GPU offers, a snapshot.")
    ] = None,
    balance: Annotated[
        str | None,
        typer.Option(metavar="USD", help="Balance of the wallet; by default 1000, or as saved."),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SPEC", help="A fault to inject; may be given several times. list shows them."
        ),
    ] = None,
    audit: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Append a JSON line there for each request."),
    ] = None,
    dialect: Annotated[
        Dialect,
        typer.Option(help="The API description, as the vendor's client reads it, or the guide."),
    ] = Dialect.openapi,
    clock_speed: Annotated[
        float,
        typer.Option(
            min=0,
            help="Seconds of its clock for each real one; 0: it stands still until it is moved.",
        ),
    ] = 1.0,
    provisioning: Annotated[
        float, typer.Option(min=0, help="Seconds of its clock until a new disk is ACTIVE.")
    ] = 5.0,
    detaching: Annotated[
        float, typer.Option(min=0, help="Seconds of its clock that detaching goes on.")
    ] = 30.0,
) -> None:
    """Run a local marketplace that speaks the API, for rehearsals: it buys nothing.

    Point planner, or the vendor's client, at it with the two lines that it prints.
    """
    from planner.marketplace.sim.faults import __doc__ as grammar
    from planner.marketplace.sim.faults import describe
    from planner.marketplace.sim.local import Sim

    if fault and "list" in fault:
        to_stdout(f"{grammar}\n{describe()}")
        return
    market = Sim(
        offers_rows=_rows(offers_file, "disks"),
        gpu_rows=_rows(gpus_file, "gpus"),
        multinode_rows=_rows(multinode_file, "multi-node"),
        faults=fault or [],
        dialect=dialect.value,
        balance_usd=_usd(balance),
        state=state,
        audit_path=audit,
        clock_speed=clock_speed,
        provisioning_s=provisioning,
        detaching_s=detaching,
        host=host,
        port=port,
    )
    stopped = threading.Event()
    with stopping(lambda *_: stopped.set()), market:
        _welcome(market, state, fault or [])
        while not stopped.wait(3600):
            pass
        _farewell(market, state)


def _welcome(market: Sim, state: str | None, faults: list[str]) -> None:
    """Say where it is and how to get there."""
    to_stderr(
        f"a marketplace for rehearsals at {market.base_url}, key {market.key}; it buys nothing"
    )
    for name, value in market.environ.items():
        to_stderr(f"  export {name}={value}")
    kept = f"kept in {state}" if state else "in memory only; --state FILE keeps it"
    to_stderr(f"state: {kept}; {_holdings(market)}")
    for text in faults:
        to_stderr(f"fault: {text}")
    to_stderr(f"Ctrl-C stops it; {market.base_url}/sim/ shows what can be done beside the API")
    to_stdout(market.base_url)


def _farewell(market: Sim, state: str | None) -> None:
    """Say what exists."""
    to_stderr(f"stopped after {market.arrived} requests; {_holdings(market)}")
    for disk in market.live():
        to_stderr(f"  {disk['id']} {disk['name']} {disk['size']} GB {disk['status']}")
    for pod in market.running():
        gpus = f"{pod['gpuCount']} {pod['gpuName']}"
        to_stderr(f"  {pod['id']} {pod['name']} {gpus} {pod['status']}")
    if state is None and (market.live() or market.running()):
        to_stderr("nothing of this is kept, since there was no --state FILE")


def _holdings(market: Sim) -> str:
    from planner.units import money, plain, total

    disks, pods = market.live(), market.running()
    usd_hr = plain(total(each["priceHr"] for each in (*disks, *pods)))
    rented = f", pods: {len(pods)}" if pods else ""
    return f"disks: {len(disks)}{rented} at ${usd_hr}/hour, balance ${money(market.balance_usd)}"


def _rows(path: str | None, listing: ListingName) -> list[Any] | None:
    if path is None:
        return None
    from planner.market.snapshot import read_snapshot

    return read_snapshot(path, listing).rows


def _usd(text: str | None) -> Decimal | None:
    if text is None:
        return None
    amount = number(text)
    if not amount.is_finite() or abs(amount) >= 10**9:
        raise InputError("--balance is no amount in USD", hint="such as 250 or 0.5")
    return amount
