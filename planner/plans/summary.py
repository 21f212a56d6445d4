"""What a person sees of a plan: the rows and sentences that every format shares.

Amounts are rounded here for reading; the plan itself stays exact.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.market.offers import place_text
from planner.plans.sharing import by_disk
from planner.present.table import FIRST, MANY, SHORT_ID, Cell, Section, TableColumn, counted, moment
from planner.text import some, titles, visible
from planner.units import difference, money, percent_of, plain, total, usd_month

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from planner.analysis.baselines import Baseline
    from planner.demand.growth import Move
    from planner.demand.model import Policy
    from planner.solve.existing import Leftover
    from planner.solve.moving import Moving
    from planner.solve.optimise import SolverRecord
    from planner.solve.rentals import Gpu
    from planner.solve.solution import Placement


PLACED = (
    TableColumn("action", "", "action"),
    TableColumn("volume", "volume"),
    TableColumn("where", "where"),
    TableColumn("size_gb", "size GB", "size_gb"),
    TableColumn("usd_hr", "$/hour", "usd_hr"),
    TableColumn("usd_month", "$/month", "usd_month"),
)
"""Columns of what is, or will be, bought."""
_OWNERS = (
    TableColumn("owner", "owner"),
    TableColumn("disks", "disks", "count"),
    TableColumn("size_gb", "size GB", "size_gb"),
    TableColumn("usd_month", "$/month", "usd_month"),
    TableColumn("budget", "budget", "usd_month"),
    TableColumn("percent", "%", "percent"),
    TableColumn("status", "status", "status"),
)
_ACTIONS = {
    "create": ("+", "to create"),
    "replace": ("~", "to replace"),
    "keep": ("=", "unchanged"),
}
"""Action of a placement → its sign at the left of the table, and how it is counted."""
_ARROW = " \N{RIGHTWARDS ARROW} "
_NAMED = 3
"""Volumes that a sentence names before it counts them."""

Disks = Mapping[str, Mapping[str, Any]]
"""Id of a live disk → its record (keys ``DISKS``)."""


def placements_section(
    title: str,
    placements: Sequence[Placement],
    hours: int,
    disks: Disks,
    notes: tuple[str, ...],
    leftover: Sequence[Leftover] = (),
) -> Section:
    """Return the placements of a plan as a table with their total.

    Parameters
    ----------
    placements : sequence of Placement
        In the plan's order.
    disks : mapping
        The account's disks: what is replaced is shown as it is, with an arrow to what it becomes.
    leftover : sequence of Leftover
        Disks that are no longer needed; they are not in the total.
    """
    if len(placements) > MANY:
        placements = sorted(
            placements, key=lambda placement: (placement.action == "keep", -placement.usd_hr)
        )
    left = [(" + ".join(disk.disk_group or (disk.volume,)), disk.replica) for disk in leftover]
    names = titles([*((placement.volume, placement.replica) for placement in placements), *left])
    replaced = Counter(disk_id for placement in placements for disk_id in placement.replaces)
    shared = frozenset(disk_id for disk_id, volumes in replaced.items() if volumes > 1)
    rows = [
        {
            "action": Cell(placement.action, _ACTIONS[placement.action][0]),
            "volume": name,
            "where": _place(placement, disks),
            "size_gb": Cell(placement.provision_gb, _size(placement, disks, shared)),
            "usd_hr": placement.usd_hr,
            "usd_month": usd_month(placement.usd_hr, hours),
        }
        for placement, name in zip(placements, names, strict=False)
    ]
    rows += [
        _leftover_row(disks[disk.id], name, hours)
        for disk, name in zip(leftover, names[len(rows) :], strict=True)
    ]
    keep = renamed(placements, leftover, {disk.id: disks[disk.id]["size_gb"] for disk in leftover})
    usd = total(placement.usd_hr for placement in placements)
    size = sum(placement.provision_gb for placement in placements)
    sums = {"size_gb": size, "usd_hr": usd, "usd_month": usd_month(usd, hours)}
    return Section.of(
        "placements",
        title,
        PLACED,
        rows,
        footer={"volume": "total", **sums},
        notes=notes,
        commands=tuple(_deletions(title, leftover, keep)),
        expendable=("usd_hr",),
        noun="placement",
        first=FIRST,
    )


def by_owner(placements: Sequence[Placement], policy: Policy) -> Section | None:
    """Return what each owner of a long plan pays, largest first, beside its budget.

    None where the plan is short enough to be read row by row, or has a single owner.
    """
    groups: dict[str, list[Placement]] = {}
    for placement in placements:
        groups.setdefault(placement.owner or "", []).append(placement)
    if len(placements) <= MANY or len(groups) == 1:
        return None
    limits = dict(policy.limits)
    rows = []
    for owner, mine in [*groups.items(), (None, [*placements])]:
        usd = usd_month(total(placement.usd_hr for placement in mine), policy.hours_per_month)
        limit = limits.get(owner)
        share = None if not limit else percent_of(usd, limit)
        status = "" if limit is None else "over" if usd > limit else "within"
        size = sum(placement.provision_gb for placement in mine)
        name = "total" if owner is None else owner or "(no owner)"
        rows.append((name, len(by_disk(mine)), size, usd, limit, share, status))
    ranked = sorted(rows[:-1], key=lambda row: row[3], reverse=True)
    return Section("by-owner", "By owner", _OWNERS, tuple(ranked), rows[-1], noun="owner")


def _leftover_row(row: Mapping[str, Any], name: str, hours: int) -> dict[str, Any]:
    return {
        **row,
        "action": Cell("retire", "-"),
        "volume": f"{name} ({row['id'][:SHORT_ID]})",
        "where": place_text(row),
        "usd_month": None if row["usd_hr"] is None else usd_month(row["usd_hr"], hours),
    }


def renamed(
    placements: Sequence[Placement], leftover: Sequence[Leftover], sizes: Mapping[str, int | None]
) -> dict[str, tuple[str, str]]:
    """Return disks whose volume may have another name now: id to its former and its new name."""
    volumes = {placement.volume for placement in placements}
    known = {p.volume for p in placements if p.action != "create"}
    known.update(disk.volume for disk in leftover)
    new = [p for p in placements if p.action == "create" and p.volume not in known]
    return {
        disk.id: (disk.volume, p.volume)
        for disk in leftover
        if not (disk.superseded or disk.disk_group) and disk.volume not in volumes
        for p in reversed(new)
        if sizes[disk.id] in p.disk_sizes_gb
    }


def _deletions(project: str, leftover: Sequence[Leftover], keep: Container[str]) -> Iterator[str]:
    """Yield the commands that delete disks which are no longer needed, but for some."""
    name = shlex.quote(project)
    if any(disk.superseded for disk in leftover):
        yield f"planner retire {name}"
    gone = [disk.id for disk in leftover if not disk.superseded and disk.id not in keep]
    ids = " ".join(f"--id {disk_id}" for disk_id in gone)
    if ids:
        yield f"planner destroy {name} {ids}"


def outcome(
    placements: Sequence[Placement], hours: int, disks: Disks, leftover: Sequence[Leftover] = ()
) -> list[str]:
    """Return what the plan does and what its disks cost then, and while old and new both exist."""
    counts = Counter[str](members[0].action for members in by_disk(placements))
    parts = [f"{counts[name]:,} {text}" for name, (_, text) in _ACTIONS.items() if counts[name]]
    parts += [f"{len(leftover):,} to retire"] if leftover else []
    replaced = [placement for placement in placements if placement.action == "replace"]
    gone = dict.fromkeys(disk_id for placement in replaced for disk_id in placement.replaces)
    old = [disks[disk_id]["usd_hr"] for disk_id in gone]
    old += [disks[disk.id]["usd_hr"] for disk in leftover]
    old_usd_hr = total(usd for usd in old if usd is not None)
    kept = total(placement.usd_hr for placement in placements if placement.action == "keep")
    new = total(placement.usd_hr for placement in placements)
    rates = (total((kept, old_usd_hr)), new, total((new, old_usd_hr)))
    before, after, both = (usd_month(usd_hr, hours) for usd_hr in rates)
    lines = [f"Plan: {', '.join(parts)}. {money_change(before, after)}."]
    least = "at least " if None in old else ""
    if replaced:
        lines.append(
            f"While both copies of {_volumes(replaced)} exist you pay {least}${money(both)}/month."
        )
    if leftover:
        left = usd_month(total(usd for usd in old[-len(leftover) :] if usd is not None), hours)
        noun, them = ("disk", "it") if len(leftover) == 1 else ("disks", "them")
        lines.append(
            f"{len(leftover):,} {noun} that the plan no longer needs: {least}${money(left)}/month "
            f"until you delete {them}."
        )
    return lines


def money_change(before: Decimal, after: Decimal, *, percent: bool = False) -> str:
    """Return what something costs in a month, and how much more or less that is than before.

    >>> money_change(Decimal("428.51"), Decimal("479.61"))
    '+$51.10/month ($428.51 → $479.61)'
    >>> money_change(Decimal(0), Decimal(50)), money_change(Decimal(50), Decimal(50))
    ('+$50.00/month', '$50.00/month, as before')
    """
    more = difference(after, before)
    if not more:
        return f"${money(after)}/month, as before"
    sign = "-" if more < 0 else "+"
    share = percent_of(abs(more), before) if percent else None
    share_text = "" if share is None else f", {sign}{money(share, 1)} %"
    amounts = f" (${money(before)}{_ARROW}${money(after)}{share_text})" if before else ""
    return f"{sign}${money(abs(more))}/month{amounts}"


def shared_disks(placements: Sequence[Placement]) -> list[str]:
    """Return which volumes share a disk, in sentences; equal ones once, with their number."""
    texts = Counter(
        f"{' + '.join(visible(placement.volume) for placement in members)} on one disk of "
        f"{members[0].disk_sizes_gb[0]:,} GB"
        for members in by_disk(placements)
        if members[0].disk_group is not None
    )
    return [
        f"{text}, as directories" + (f" ({number} such disks)" if number > 1 else "")
        for text, number in texts.items()
    ]


def _volumes(placements: Sequence[Placement]) -> str:
    names = [*dict.fromkeys(visible(placement.volume) for placement in placements)]
    if len(names) > _NAMED:
        return f"{len(names)} volumes"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _place(placement: Placement, disks: Disks) -> str:
    """Return where a replica is; of one that moves, where it was as well."""
    places = [place_text(disks[disk_id]) for disk_id in placement.replaces]
    return _ARROW.join(dict.fromkeys((*places, place_text(vars(placement)))))


def _size(placement: Placement, disks: Disks, shared: Container[str]) -> str:
    """Return the sizes of a replica's disks; of one that is replaced, the old sizes as well.

    Of a disk that volumes share, or did, the whole size is not one volume's.
    """
    if placement.disk_group is not None:
        return f"{placement.provision_gb:,}"
    new = _sizes(placement.disk_sizes_gb)
    if any(disk_id in shared for disk_id in placement.replaces):
        return new
    known = [disks[disk_id]["size_gb"] for disk_id in placement.replaces]
    old = _sizes(tuple(size for size in known if size is not None))
    return _ARROW.join(dict.fromkeys(filter(None, (old, new))))


def _sizes(sizes: tuple[int, ...]) -> str:
    groups = [(size, sizes.count(size)) for size in dict.fromkeys(sizes)]
    return " + ".join(f"{size:,}" if n == 1 else f"{n} x {size:,}" for size, n in groups)


def certainty(
    record: SolverRecord, *, keeps: bool = False, unchecked: str = "", partly: bool = False
) -> str:
    """Return how sure the plan is, and of what.

    Parameters
    ----------
    keeps : bool
        Whether the plan keeps existing disks: no plan that moves them was looked at.
    unchecked : str
        Requirements that were not held against them, see `unchecked_existing`.
    partly : bool
        Whether not every way of sharing disks was tried.
    """
    spare = difference(record.objective_usd_hr, record.bound_usd_hr)
    if record.cost_slack_percent:
        percent = plain(record.cost_slack_percent)
        sure = (
            f"within {percent} % of the least cost, ${money(record.bound_usd_hr, 4)} an hour, as "
            "was allowed for better stock and fewer sites"
        )
    elif record.status == "optimal" and not spare:
        which = "no cheaper plan keeps the existing disks" if keeps else "no cheaper plan exists"
        which += " among the ways of sharing disks that were tried" * partly
        sure = f"optimal: {which}, proven exactly"
    elif record.status == "optimal":
        sure = f"optimal: proven to {record.gap:.1e} of its cost, ${money(spare, 6)} an hour"
    else:
        gap = money(Decimal(record.gap) * 100, 2)
        ended = record.termination.replace("_", " ")
        sure = f"NOT PROVEN ({ended}): at most {gap} % of its cost above the best plan"
    size = f"{record.variables:,} variables, {record.constraints:,} constraints"
    how = f"{record.name}, {size}, {record.seconds:.2f} s"
    if not record.variables:
        how = "by presolve, without a solver"
    elif not record.seconds:
        by = "prices of the limits and rounding" if record.multipliers else "planner's own search"
        how = f"by {by}, {size}, without a solver"
    checked = "every constraint and cost checked again without the solver"
    if record.multipliers:
        checked = "every constraint and cost, and the bound, checked again without the solver"
    if unchecked:
        checked += f", but not for existing disks: {unchecked}"
    return f"{sure} ({how}); {checked}"


def gpu_lines(gpus: Sequence[Gpu], totals: Mapping[str, Any]) -> list[str]:
    """Return where each workload runs, at what cost, and what disks and GPUs cost together."""
    lines = []
    for gpu in gpus:
        nodes = f"{gpu.nodes} x " if gpu.nodes > 1 else ""
        socket = f" {visible(gpu.socket)}" if gpu.socket else ""
        spot = ", spot" if gpu.spot else ""
        month = money(usd_month(gpu.usd_hr_on, gpu.hours_per_month))
        lines.append(
            f"GPUs of {visible(gpu.workload)}: {nodes}{gpu.gpus} {visible(gpu.gpu_type)}{socket} "
            f"at {visible(place_text(vars(gpu)))} ({visible(gpu.offer_id)}{spot}), "
            f"${money(gpu.usd_hr_on, 4)} an hour x {gpu.hours_per_month} h = ${month} a month"
        )
    if gpus:
        lines.append(f"disks and GPUs together: ${money(totals['usd_month'])} a month")
    return lines


def budgets(placements: Sequence[Placement], policy: Policy) -> list[str]:
    """Return what is spent of each budget; without those of owners where a table has them."""
    has_table = by_owner(placements, policy) is not None
    lines = []
    for owner, limit in policy.limits:
        if owner is not None and has_table:
            continue
        mine = (p.usd_hr for p in placements if owner is None or p.owner == owner)
        spent = usd_month(total(mine), policy.hours_per_month)
        share = f" ({money(spent / limit * 100, 0)} %)" if limit else ""
        if spent > limit:
            share += f", ${money(difference(spent, limit))} OVER"
        name = "budget" if owner is None else f"budget of {visible(owner)}"
        lines.append(f"{name}: ${money(spent)} of ${money(limit)} a month{share}")
    return lines


def compared(
    cost_usd_month: Decimal,
    disks_usd_month: Decimal,
    others: Sequence[Baseline],
    *,
    keeps: bool = False,
    grows: bool = False,
    proven: bool = False,
) -> list[str]:
    """Return what simpler plans would cost, beside the plan's cost and that of its disks.

    Parameters
    ----------
    keeps : bool
        Whether there are existing disks: they are kept in all of them, and that is said.
    grows : bool
        Whether volumes grow: what is compared is the first month.
    proven : bool
        Whether only a budget, which simpler plans leave aside, can let one of them cost less.
    """
    when, kept = " in the first month" * grows, "; each keeps the existing disks" * keeps
    lines = [f"Compared with simpler plans{when}{kept}:"] if grows or keeps else []
    for baseline in others:
        name = f"{baseline.name[:1].upper()}{baseline.name[1:]}"
        if baseline.usd_month is None:
            lines.append(f"{name}: impossible ({visible(baseline.why_not)})")
            if baseline.disks_usd_month is not None:
                saved = money(difference(disks_usd_month, baseline.disks_usd_month))
                disks = money(baseline.disks_usd_month)
                lines[-1] += f"; its disks are ${disks}/month, ${saved} less than the plan's"
            continue
        extra = difference(baseline.usd_month, cost_usd_month)
        dearer = "same as this plan"
        if extra:
            dearer = f"${money(abs(extra))} {'more' if extra > 0 else 'less'}"
            dearer += ", but over a budget" * (proven and extra < 0)
        where = "" if baseline.place is None else f" ({visible(baseline.place)})"
        lines.append(f"{name}{where}: ${money(baseline.usd_month)}/month ({dearer})")
    return lines


def moving_lines(moving: Moving | None, move: Move) -> Iterator[str]:
    """Yield what moving existing disks would save, what it costs once, and when that is back."""
    if moving is None:
        return
    listed = some([disk_id[:SHORT_ID] for disk_id in moving.disk_ids])
    price = move.egress_usd_gb
    copying = f"${plain(price)}/GB" if price else "no cost assumed"
    line = (
        f"Moving existing disks ({listed}) would save ${money(moving.saves_usd_month)}/month, and "
        f"costs ${money(moving.once_usd)} once ({move.overlap} of both disks, transfer at "
        f"{copying}), paid back in {money(moving.payback_days, 1)} days"
    )
    yield line if move.payback else f"{line}; `policy.move: {{payback: 60 days}}` lets it happen"


def origin(plan_id: str, offers: Mapping[str, Any], hours: int) -> str:
    """Return which plan this is, of which offers."""
    asked = f", fetched {moment(offers['fetched_at'])}" if offers["fetched_at"] else ""
    source = visible(str(offers["source"]))
    listed = counted(offers["rows"], "offer")
    return f"plan {plan_id} on {listed} of {source}{asked}; a month is {hours} hours"
