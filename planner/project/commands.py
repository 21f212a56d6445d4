"""The commands that touch the account, as functions for Python and notebooks.

Nothing is bought or deleted without ``confirm``: the plan's id, or the project's name.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from planner.errors import InputError
from planner.formats import default_state
from planner.market.disks import disks_frame, read_disks
from planner.marketplace.fetch import connect
from planner.marketplace.protocol import target_of
from planner.plans.given import a_plan
from planner.present.table import counted
from planner.project import adopt as adoption
from planner.project import destroy as deletion
from planner.project import resolve as decisions
from planner.project.context import Context, Pace
from planner.project.doctor import DoctorReport, examine
from planner.project.execute import Order, apply_plan
from planner.project.journal import Journal
from planner.project.preflight import Limits
from planner.project.state import State
from planner.project.status import Status, read_status
from planner.units import as_decimal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from decimal import Decimal

    from planner.marketplace.credentials import Credentials
    from planner.plans.plan import Plan
    from planner.project.context import Event
    from planner.project.destroy import DeletionTarget
    from planner.project.outcome import ApplyOutcome


@contextmanager
def opened(
    credentials: Credentials | None,
    state: str | Path | None,
    pace: Pace | None = None,
    on_event: Callable[[Event], None] = lambda _: None,
) -> Iterator[Context]:
    """Open journal and account for what writes both."""
    pace = pace or Pace.of(os.environ)
    with (
        connect(credentials, **pace.pacing) as marketplace,
        Journal(_folder(state), write=True) as journal,
    ):
        yield Context(marketplace, journal, State(journal.records), pace, on_event=on_event)


def _folder(state: str | Path | None) -> Path:
    return default_state() if state is None else Path(state)


def apply(
    plan: Plan,
    *,
    confirm: str | None = None,
    dry_run: bool = False,
    wait: bool = False,
    max_usd_hr: Decimal | float | None = None,
    price_tolerance: Decimal | float = 0,
    failover: Decimal | float | None = None,
    again: bool = False,
    credentials: Credentials | None = None,
    state: str | Path | None = None,
) -> ApplyOutcome:
    """Buy the disks of a plan, at most one for each slot; applied again, nothing is bought twice.

    Parameters
    ----------
    plan : Plan
        What to buy, made on the live market.
    confirm : str | None
        The plan's id, ``plan.plan_id``: nothing is bought without it.
    dry_run : bool
        Check everything, send and write nothing.
    wait : bool
        Wait until the disks are ready.
    max_usd_hr : Decimal | float | None
        Run-rate of the whole project that is never exceeded.
    price_tolerance : Decimal | float
        Per cent by which prices may have risen since the plan.
    failover : Decimal | float | None
        After a stock-out, buy the rest elsewhere if the disks then cost at most so many per cent
        more.
    again : bool
        Buy although another plan of the project has bought the same.
    credentials : Credentials | None
        None finds them as the vendor's client does.
    state : str | Path | None
        State directory; None is planner's own.

    Raises
    ------
    InputError
        When the plan's id is not confirmed, or there is no usable key.
    PlannerError
        What ended the run before everything was done; `status` says what was bought.
    """
    if confirm != a_plan(plan).plan_id and not dry_run:
        raise InputError(
            f"buying {counted(len(plan.requests), 'disk')} is not confirmed",
            hint=f"pass confirm={plan.plan_id!r}, or dry_run=True to check only",
        )
    limits = Limits(
        price_tolerance=as_decimal(price_tolerance),
        max_usd_hr=None if max_usd_hr is None else as_decimal(max_usd_hr),
        max_age=timedelta(hours=24),
        again=again,
    )
    order = Order(
        limits=limits,
        wait=wait,
        dry_run=dry_run,
        failover=None if failover is None else as_decimal(failover),
    )
    pace, folder = Pace.of(os.environ), _folder(state)
    with connect(credentials, state=None if dry_run else folder, **pace.pacing) as marketplace:
        outcome = apply_plan(plan, marketplace, folder=folder, pace=pace, order=order)
    if outcome.stop is not None:
        raise outcome.stop
    return outcome


def status(
    project: str | None = None,
    *,
    credentials: Credentials | None = None,
    state: str | Path | None = None,
) -> Status:
    """Return what was bought and its state in the account now; nothing is changed.

    Parameters
    ----------
    project : str | None
        Only this project; None takes everything recorded.
    credentials, state
        As of `apply`.

    Raises
    ------
    InputError
        When nothing of that name is recorded, or there is no usable key.
    MarketError
        When the account cannot be read whole.
    """
    folder = _folder(state)
    with Journal(folder, write=False) as journal:
        records = journal.records
    with connect(credentials, **Pace.of(os.environ).pacing) as marketplace:
        return read_status(records, marketplace, project=project, folder=folder)


def retire(
    project: str,
    *,
    confirm: str,
    credentials: Credentials | None = None,
    state: str | Path | None = None,
) -> list[DeletionTarget]:
    """Delete superseded disks: those that a later plan replaced. Copy their data first.

    Parameters
    ----------
    project : str
        Whose disks.
    confirm : str
        The project's name again: the data is lost.
    credentials, state
        As of `apply`.

    Raises
    ------
    InputError
        When it is not confirmed, or nothing is superseded.
    Conflict
        When a disk is attached or changed, or its replacement does not exist.
    """
    _check_confirmed(project, confirm)
    with opened(credentials, state) as ctx:
        _, chosen = deletion.superseded(ctx, project)
        return deletion.retire(ctx, chosen, confirm=lambda _: True)


def destroy(
    project: str,
    *,
    confirm: str,
    volumes: Sequence[str] = (),
    ids: Sequence[str] = (),
    credentials: Credentials | None = None,
    state: str | Path | None = None,
) -> list[DeletionTarget]:
    """Delete disks that planner bought. Their data is lost.

    Parameters
    ----------
    project : str
        Whose disks.
    confirm : str
        The project's name again.
    volumes, ids : sequence of str
        Only these volumes, only these disks; empty takes all.
    credentials, state
        As of `apply`.

    Raises
    ------
    InputError
        When it is not confirmed, or nothing is recorded.
    Conflict
        When a disk is attached, renamed or changed: nothing was deleted.
    """
    _check_confirmed(project, confirm)
    with opened(credentials, state) as ctx:
        chosen, _ = deletion.selected(ctx, project, volumes, ids)
        return deletion.destroy(ctx, chosen, confirm=lambda _: True)


def _check_confirmed(project: str, confirm: str) -> None:
    if confirm != project:
        raise InputError("the deletion is not confirmed", hint=f"pass confirm={project!r}")


def resolve(
    slot: str,
    *,
    disk_id: str | None = None,
    not_id: str | None = None,
    give_up: bool = False,
    credentials: Credentials | None = None,
    state: str | Path | None = None,
) -> str:
    """Record what became of a disk whose outcome is unknown; nothing is deleted.

    Parameters
    ----------
    slot : str
        The disk's name, or volume/replica/disk.
    disk_id, not_id : str | None
        This disk is the slot's, or is not.
    give_up : bool
        Neither look for it nor send it again.
    credentials, state
        As of `apply`.

    Returns
    -------
    str
        What the slot is now, such as ``created``.

    Raises
    ------
    InputError
        When it is not exactly one of the three, or there is no such slot.
    """
    if sum((disk_id is not None, not_id is not None, give_up)) != 1:
        raise InputError("use exactly one of disk_id, not_id and give_up")
    with opened(credentials, state) as ctx:
        entry = decisions.find_entry(ctx.state, slot, ctx.target)
        if disk_id is not None:
            decisions.resolve_id(ctx, entry, disk_id)
        elif not_id is not None:
            decisions.resolve_not(ctx, entry, not_id)
        else:
            decisions.give_up(ctx, entry)
        return entry.stage


def rename(
    disk: str,
    name: str,
    *,
    credentials: Credentials | None = None,
    state: str | Path | None = None,
) -> None:
    """Rename a disk that planner bought, or a volume that has another name in the demand now.

    Parameters
    ----------
    disk : str
        The disk's id, first name or volume/replica/disk; or a volume: project/volume.
    name : str
        Its new name.
    credentials, state
        As of `apply`.

    Raises
    ------
    InputError
        When there is no such disk or volume.
    """
    project, slash, volume = disk.partition("/")
    with opened(credentials, state) as ctx:
        if slash and "/" not in volume:
            decisions.rename_volume(ctx, project, volume, name)
        else:
            decisions.rename(ctx, decisions.find_entry(ctx.state, disk, ctx.target), name)


def adopt(
    disks: str | Path | None = None,
    *,
    project: str | None = None,
    credentials: Credentials | None = None,
    state: str | Path | None = None,
) -> str:
    """Return the demand file of an account that has disks already; nothing is changed there.

    Parameters
    ----------
    disks : str | Path | None
        A file in the API's shape; None reads the live account.
    project : str | None
        Name of the demand; None takes that of the purchases, else ``adopted``.
    credentials, state
        As of `apply`.

    Raises
    ------
    InputError
        When there is nothing to adopt.
    """
    with Journal(_folder(state), write=False) as journal:
        known = State(journal.records)
    if disks is not None:
        listed, target = read_disks(disks, exact=True), None
    else:
        with connect(credentials, **Pace.of(os.environ).pacing) as marketplace:
            listing = marketplace.disks(trust_empty=False)
            listed, target = disks_frame(listing.disks), target_of(marketplace)
            listed.attrs = {"source": listing.source}
    adopted = adoption.adopt(listed, known, target=target, project=project, otherwise="adopted")
    return adoption.to_yaml(adopted)


def doctor(*, state: str | Path | None = None) -> DoctorReport:
    """Return the checks of key, clock, money, market, state and solver; nothing is changed.

    Parameters
    ----------
    state : str | Path | None
        State directory; None is planner's own.
    """
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 -- no home is no error
    return examine(os.environ, home, _folder(state), Pace.of(os.environ))
