"""``planner explain``: why the plan is as it is, and what would change it."""

from __future__ import annotations

from decimal import Decimal
from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner.cli.options import OutputOption
from planner.cli.render import Output, render
from planner.present.progress import working
from planner.present.table import Cell, Section, TableColumn, View, counted, ranged, reading
from planner.text import titles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from planner.plans.explain import Alternatives, Explanation
    from planner.plans.plan import Plan

EPILOG = (
    "JSON: an object with plan_id, usd_month, hours_per_month and arrays. choices: volume, "
    "replica, offer_id, provider, data_center, country, usd_hr, next_offer_id, next_provider, "
    "next_data_center, extra_usd_hr, extra_usd_month, least_extra_usd_month, why. offers: volume, "
    "offer_id, provider, data_center, country, chosen, rules, extra_usd_hr, extra_usd_month, "
    "least_extra_usd_month, why. gpus: workload, offer_id, provider, data_center, country, "
    "gpu_type, socket, chosen, rules, extra_usd_hr, extra_usd_month, least_extra_usd_month, why. "
    "requirements: about, requirement, without, saves_usd_hr, saves_usd_month, "
    "most_saves_usd_month, why. prices: offer_id, provider, data_center, country, chosen, "
    "usd_gb_hr, threshold_usd_gb_hr, proven_usd_gb_hr, change_percent, then. With --alternatives "
    "instead: alternatives: rank, usd_hr, usd_month, extra_usd_month, changes, placements. Amounts "
    "are exact decimals as text; null is unknown or none, and why says which. least_ and most_ are "
    "what is proven of an amount, equal to it where it is exact. CSV is one of these: choices, "
    "with --volume or --offer offers, with --alternatives alternatives."
)
_PRICES = 12
_MOST = 40
_MORE = TableColumn("extra_usd_month", "+ $/month", "difference")
_WHY_NOT = (_MORE, TableColumn("why", "why not"))


def explain(
    plan: Annotated[str, typer.Argument(help="Plan file, from `planner plan --out FILE`.")],
    volume: Annotated[
        str | None, typer.Option(metavar="NAME", help="Ask about one volume: every offer for it.")
    ] = None,
    offer: Annotated[
        str | None, typer.Option(metavar="ID", help="Ask about one disk offer, by its short id.")
    ] = None,
    alternatives: Annotated[
        int | None, typer.Option(min=1, metavar="K", help="Show the K best other plans instead.")
    ] = None,
    output: OutputOption = Output.table,
) -> None:
    """Show why a plan is as it is; the plan is not changed.

    For every volume the runner-up and what it would cost, what each requirement costs, and how
    far prices may move before the plan changes. Amounts compare whole plans: with a volume
    elsewhere, all that has to move along does.
    """
    from planner.plans.explain import alternatives as others
    from planner.plans.explain import explain as ask
    from planner.plans.plan import Plan

    made = Plan.load(plan)
    with working("Testing alternatives"):
        if alternatives is not None:
            view = _alternatives(made, others(made, alternatives, exact=True))
        else:
            view = _explanation(made, ask(made, volume, offer, exact=True))
        render(view, output)


def _explanation(made: Plan, asked: Explanation) -> View:
    from planner.schema import frame_rows, frame_section

    about_one = asked.volume is not None or asked.offers_asked is not None
    names = ["choices", "offers", "gpus", "requirements", "prices"]
    names += ["larger"] if made.schedule else []

    def rows(name: str) -> Iterator[dict[str, Any]]:
        yield from asked.offer_rows() if name == "offers" else frame_rows(getattr(asked, name))

    return View(
        lambda: _sections(asked),
        lambda: _head(made) | {name: rows(name) for name in names},
        lambda: frame_section(asked.offers if about_one else asked.choices),
    )


def _alternatives(made: Plan, found: Alternatives) -> View:
    from planner.schema import frame_document, frame_section, records

    def document() -> dict[str, Any]:
        listed = frame_document(found.frame)
        for one in listed:
            placements = found.placements[found.placements["rank"] == one["rank"]]
            one["placements"] = frame_document(placements.drop(columns="rank"))
        return _head(made) | {"alternatives": listed}

    columns = (
        TableColumn("rank", "rank", "count"),
        TableColumn("usd_month", "$/month", "usd_month"),
        _MORE,
        TableColumn("changes", "changes"),
    )
    return View(
        lambda: [Section.of("alternatives", "", columns, records(found.frame))],
        document,
        lambda: frame_section(found.frame),
    )


def _head(made: Plan) -> dict[str, Any]:
    totals = made.exact_totals
    return {
        "plan_id": made.plan_id,
        "usd_month": totals["usd_month"],
        "hours_per_month": totals["hours_per_month"],
    }


def _sections(asked: Explanation) -> Iterator[Section]:
    """Yield what a person reads, in the order of the questions."""
    about_offer = asked.offers_asked is not None
    if not about_offer:
        yield _choices(asked)
        if len(asked.larger):
            yield _larger(asked)
    if about_offer or asked.volume is not None:
        yield _offers(asked)
    if not about_offer:
        if asked.plan.demand.workloads:
            yield _gpus(asked)
        yield _requirements(asked)
    if about_offer or asked.volume is None:
        yield _prices(asked)


def _larger(asked: Explanation) -> Section:
    """Return the next larger first disk of each replica that moves, and the largest."""
    from planner.schema import records

    months = asked.plan.demand.policy.months
    columns = (
        TableColumn("volume", "volume"),
        TableColumn("size_gb", "GB now", "size_gb"),
        TableColumn("larger_gb", "instead", "size_gb"),
        TableColumn("until_month", "lasts months", "count"),
        TableColumn("moves", "fewer moves", "count"),
        TableColumn("extra_usd", f"+ $/{months} months", "usd"),
    )
    listed = records(asked.larger)
    rows = (
        {**one, "volume": name}
        for one, name, after in zip_longest(listed, _names(listed), listed[1:])
        if one["moves"] == 1 or after is None or after["moves"] == 1
    )
    title = "Why not bigger: a larger disk at once, and the rest of the schedule as planned"
    return Section.of("larger", title, columns, rows)


def _names(listed: Sequence[Mapping[str, Any]]) -> list[str]:
    return titles([(one["volume"], one["replica"]) for one in listed])


def _where(one: Mapping[str, Any]) -> str:
    from planner.market.offers import place_text

    return f"{place_text(one)} ({one['offer_id']})"


def _choices(asked: Explanation) -> Section:
    from planner.analysis.answers import AT_LEAST
    from planner.analysis.explain import sureness, unanswered, with_range
    from planner.plans.track_record import track_record
    from planner.schema import records

    named, frame, many = ("offer_id", "provider", "data_center"), asked.choices, len(asked.choices)
    names = titles([*zip(frame["volume"], frame["replica"], strict=True)])
    if asked.volume is None and many > _MOST:
        usd = (frame[name].tolist() for name in ("extra_usd_month", "least_extra_usd_month"))
        order = [-(more or least or Decimal(0)) for more, least in zip(*usd, strict=True)]
        first = sorted(range(many), key=order.__getitem__)[:_MOST]
        frame, names = frame.iloc[first], [names[place] for place in first]
    rows = []
    for one, volume in zip(records(frame), names, strict=True):
        after = {"country": None, **{name: one[f"next_{name}"] for name in named}}
        why = "no plan known" if one["why"] == AT_LEAST else one["why"]
        other = _where(after) if after["offer_id"] else why
        rows.append({**with_range(one), "volume": volume, "where": _where(one), "next": other})
    columns = (
        TableColumn("volume", "volume"),
        TableColumn("where", "where"),
        TableColumn("next", "otherwise"),
        _MORE,
    )
    title = "Chosen, and the best plan without it"
    left = unanswered(asked.choices)
    some = (
        f"{counted(many - left, 'replica')} of {many} worked out, the most expensive "
        "first; ask for another with --volume NAME"
    )
    notes = [*([some] if left else []), *sureness(asked.choices)]
    if asked.volume is None and many > _MOST:
        notes.append(
            f"the {_MOST} of {many:,} that would cost most elsewhere are shown; "
            "--volume NAME shows another, -o csv lists all"
        )
    notes += track_record(asked.plan)
    return Section.of("choices", title, columns, rows[:_MOST], notes=tuple(notes))


def _offers(asked: Explanation) -> Section:
    from planner.schema import records
    from planner.solve.candidates import RULES

    about_one = asked.volume is not None
    volume = () if about_one else (TableColumn("volume", "volume"),)
    columns = (*volume, TableColumn("offer", "offer"), *_WHY_NOT)
    rows = (
        _why_not(one, "; ".join(RULES[rule] for rule in one["rules"]) or one["why"])
        for one in records(asked.offers)
    )
    return Section.of("offers", "Every offer: what it costs more, or why not", columns, rows)


def _why_not(one: Mapping[str, Any], why: str) -> dict[str, Any]:
    """Return what an offer costs more than the chosen one, or why it cannot be chosen."""
    from planner.analysis.explain import with_range

    chosen = {"extra_usd_month": None, "why": "chosen"} if one["chosen"] else {}
    return {**with_range(one), "offer": _where(one), "why": why, **chosen}


def _gpus(asked: Explanation) -> Section:
    from planner.schema import records

    found = records(asked.gpus)
    rows = [_why_not(one, one["why"]) for one in found if not one["rules"]]
    columns = (TableColumn("workload", "workload"), TableColumn("offer", "GPUs"), *_WHY_NOT)
    excluded = len(found) - len(rows)
    note = f"{counted(excluded, 'offer')} excluded by its requirements; -o json lists them"
    notes = (note,) * bool(excluded)
    return Section.of("gpus", "GPUs of each workload", columns, rows, notes=notes)


def _requirements(asked: Explanation) -> Section:
    from planner.analysis.explain import costly, free_notes, with_range
    from planner.schema import records

    columns = (
        TableColumn("about", "of"),
        TableColumn("requirement", "requirement"),
        TableColumn("without", "without it"),
        TableColumn("saves_usd_month", "saves $/month", "usd_month"),
    )
    frame = costly(asked.requirements)
    rows = map(with_range, records(frame.iloc[:_MOST]))
    notes = free_notes(asked.requirements)
    if len(frame) > _MOST:
        notes.insert(
            0, f"the {_MOST} of {len(frame):,} that cost most are shown; -o json lists all"
        )
    title = "What requirements cost: the plan without each"
    return Section.of("requirements", title, columns, rows, notes=tuple(notes))


def _prices(asked: Explanation) -> Section:
    from planner.analysis.answers import NOT_EVALUATED
    from planner.schema import records

    rows: list[dict[str, Any]] = []
    never, skipped, unknown = 0, 0, 0
    for one in records(asked.prices):
        if one["threshold_usd_gb_hr"] is None and not one["chosen"] and asked.offers_asked is None:
            skipped += one["then"] == NOT_EVALUATED
            unknown += one["proven_usd_gb_hr"] is not None
            never += one["then"] != NOT_EVALUATED and one["proven_usd_gb_hr"] is None
            continue
        percent = one["change_percent"]
        shown = {
            "offer": _where(one),
            "threshold_usd_gb_hr": _threshold(one),
            "chosen": "chosen" if one["chosen"] else "rival",
            "change_percent": None if percent is None else Cell(percent, f"{percent:+f}"),
            "then": _short(one["then"]),
        }
        rows.append({**one, **shown})
    notes = []
    if never:
        notes.append(f"{counted(never, 'other offer')} would not change the plan at any price")
    if unknown:
        notes.append(
            f"no price is known at which {counted(unknown, 'other offer')} would change it"
        )
    if any(isinstance(row["threshold_usd_gb_hr"], Cell) for row in rows):
        notes.append("between two prices it may change: up to the nearer one no plan is cheaper")
    if skipped:
        notes.append(f"{counted(skipped, 'offer')} not worked out; ask for one with --offer")
    if len(rows) > _PRICES and asked.offers_asked is None:
        notes.append(f"the nearest {_PRICES} of {len(rows)} are shown; -o json lists all")
        rows = rows[:_PRICES]
    columns = (
        TableColumn("offer", "offer"),
        TableColumn("chosen", "status", "status"),
        TableColumn("usd_gb_hr", "$/GB/h", "usd_gb_hr"),
        TableColumn("threshold_usd_gb_hr", "changes at", "usd_gb_hr"),
        TableColumn("change_percent", "%", "percent"),
        TableColumn("then", "then"),
    )
    return Section.of(
        "prices",
        "Prices at which the plan changes",
        columns,
        rows,
        notes=tuple(notes),
        expendable=("then", "usd_gb_hr"),
    )


def _threshold(one: Mapping[str, Any]) -> Any:  # noqa: ANN401 -- a cell
    threshold, proven = one["threshold_usd_gb_hr"], one["proven_usd_gb_hr"]
    if threshold is None or proven is None:
        return (
            threshold
            if proven is None
            else Cell(proven, f"beyond {reading(proven, 'usd_gb_hr').text}")
        )
    return ranged(min(threshold, proven), max(threshold, proven), "usd_gb_hr")


def _short(moves: str) -> str:
    first, *rest = moves.split("; ")
    return f"{first}; and {len(rest)} more" if rest else first
