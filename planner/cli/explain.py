"""``planner explain``: why the plan is as it is, and what would change it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner.cli.options import OutputOption
from planner.cli.render import Output, paragraphs, result, table, working
from planner.present.table import frame_csv, frame_json, markdown, markdown_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from decimal import Decimal

    from planner.plans.explain import Alternatives, Explanation
    from planner.plans.plan import Plan

EPILOG = (
    "JSON: an object with plan_id, usd_month, hours_per_month and arrays. choices: volume, "
    "replica, offer_id, provider, data_center, country, usd_hr, next_offer_id, next_provider, "
    "next_data_center, extra_usd_hr, extra_usd_month, why. offers: volume, offer_id, provider, "
    "data_center, country, chosen, rules, extra_usd_hr, extra_usd_month, why. gpus: workload, "
    "offer_id, provider, data_center, country, gpu_type, socket, chosen, rules, extra_usd_hr, "
    "extra_usd_month, why. requirements: about, requirement, without, saves_usd_hr, "
    "saves_usd_month, why. prices: offer_id, provider, data_center, country, chosen, usd_gb_hr, "
    "threshold_usd_gb_hr, change_percent, then. With --alternatives instead: alternatives: rank, "
    "usd_hr, usd_month, extra_usd_month, changes, placements. Amounts are exact decimals as text; "
    "null is unknown or none, and why says which. CSV is one of these: choices, with --volume or "
    "--offer offers, with --alternatives alternatives."
)
_RIGHT = frozenset({"$/month", "+ $/month", "saves $/month", "$/GB/h", "changes at", "%", "rank"})
_PRICES = 12
_Section = tuple[str, "Sequence[str]", "Sequence[tuple[str, ...]]", "Sequence[str]"]
"""Title, headings, rows, and the columns that a narrow terminal can do without."""


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
    """Say why a plan is as it is; the plan stays as it is.

    For every volume the runner-up and what it would cost, what each requirement costs, and how
    far prices may move before the plan changes. Amounts compare whole plans: with a volume
    elsewhere, all that has to move along does.
    """
    from planner.plans.explain import alternatives as others
    from planner.plans.explain import explain as ask
    from planner.plans.plan import Plan

    made = Plan.load(plan)
    asked = ask(made, volume, offer)
    with working("asking what would be otherwise"):
        if alternatives is not None:
            found = others(made, alternatives)
            _write_alternatives(made, found, output)
        else:
            _write(made, asked, output)


def _write(made: Plan, asked: Explanation, output: Output) -> None:
    about_one = asked.volume is not None or asked.offers_asked is not None
    if output is Output.csv:
        result(frame_csv(asked.offers if about_one else asked.choices))
    elif output is Output.json:
        names = ("choices", "offers", "gpus", "requirements", "prices")
        arrays = {name: json.loads(frame_json(getattr(asked, name))) for name in names}
        result(json.dumps(_head(made) | arrays, indent=2))
    elif output is Output.md:
        for title, headings, rows, _ in _sections(asked):
            result(f"**{markdown_text(title)}**\n\n{markdown(headings, rows, _RIGHT)}")
    else:
        for title, headings, rows, expendable in _sections(asked):
            paragraphs([title])
            table(headings, rows, _RIGHT, expendable=expendable)


def _head(made: Plan) -> dict[str, Any]:
    totals = made.totals
    return {
        "plan_id": made.plan_id,
        "usd_month": totals["usd_month"],
        "hours_per_month": totals["hours_per_month"],
    }


def _sections(asked: Explanation) -> Iterator[_Section]:
    """Yield what a person reads, in the order of the questions."""
    about_offer = asked.offers_asked is not None
    if not about_offer:
        yield _choices(asked)
    if about_offer or asked.volume is not None:
        yield _offers(asked)
    if not about_offer:
        if asked.plan.demand.workloads:
            yield _gpus(asked)
        yield _requirements(asked)
    if about_offer or asked.volume is None:
        yield _prices(asked)


def _choices(asked: Explanation) -> _Section:
    from planner.market.offers import place_text
    from planner.schema import records

    rows = []
    for one in records(asked.choices):
        after = {"country": None, **{name: one[f"next_{name}"] for name in _NAMED}}
        other = place_text(after) + f" ({after['offer_id']})" if after["offer_id"] else one["why"]
        rows.append(
            (
                f"{one['volume']} #{one['replica']}",
                f"{place_text(one)} ({one['offer_id']})",
                other,
                _more(one["extra_usd_month"]),
            )
        )
    return "chosen, and the best plan without it", _CHOICE, rows, ()


_NAMED = ("offer_id", "provider", "data_center")
_CHOICE = ("volume", "where", "otherwise", "+ $/month")


def _offers(asked: Explanation) -> _Section:
    from planner.market.offers import place_text
    from planner.schema import records
    from planner.solve.candidates import RULES

    rows = [
        (
            one["volume"],
            f"{place_text(one)} ({one['offer_id']})",
            "" if one["chosen"] else _more(one["extra_usd_month"]),
            "chosen" if one["chosen"] else _told(one, RULES),
        )
        for one in records(asked.offers)
    ]
    return "every offer: how much dearer, or why not", _OFFER, rows, ()


_OFFER = ("volume", "offer", "+ $/month", "why not")


def _gpus(asked: Explanation) -> _Section:
    from planner.market.offers import place_text
    from planner.schema import records

    rows, barred = [], 0
    for one in records(asked.gpus):
        if one["rules"]:
            barred += 1
            continue
        where = f"{place_text(one)} ({one['offer_id']})"
        told = "chosen" if one["chosen"] else one["why"]
        more = "" if one["chosen"] else _more(one["extra_usd_month"])
        rows.append((one["workload"], where, more, told))
    title = f"GPUs of each workload ({barred} offers break its rules: -o json has them)"
    return title, ("workload", "GPUs", "+ $/month", "why not"), rows, ()


def _requirements(asked: Explanation) -> _Section:
    from planner.analysis.requirement_costs import costly
    from planner.schema import records

    rows = [
        (one["about"] or "", one["requirement"], one["without"], _usd(one["saves_usd_month"]))
        for one in records(costly(asked.requirements))
    ]
    left = len(asked.requirements) - len(rows)
    title = (
        f"what requirements cost: the plan without each ({left} more cost nothing by themselves)"
    )
    return title, ("of", "requirement", "without it", "saves $/month"), rows, ()


def _prices(asked: Explanation) -> _Section:
    from planner.analysis.evaluator import ASK
    from planner.market.offers import place_text
    from planner.schema import records

    rows, never, later = [], 0, 0
    for one in records(asked.prices):
        edge, percent = one["threshold_usd_gb_hr"], one["change_percent"]
        if edge is None and not one["chosen"] and asked.offers_asked is None:
            later += one["then"] == ASK
            never += one["then"] != ASK
            continue
        rows.append(
            (
                f"{place_text(one)} ({one['offer_id']})",
                "chosen" if one["chosen"] else "rival",
                _price(one["usd_gb_hr"]),
                _price(edge),
                "" if percent is None else f"{percent:+f}",
                _short(one["then"]),
            )
        )
    title = "prices at which the plan changes"
    if never:
        title += f" ({never} other offers change it at no price)"
    if later:
        title += f" ({later} were not worked out: ask with --offer)"
    if len(rows) > _PRICES and asked.offers_asked is None:
        title += f"; the nearest {_PRICES}, -o json has all"
        rows = rows[:_PRICES]
    headings = ("offer", "is", "$/GB/h", "changes at", "%", "then")
    return title, headings, rows, ("then", "$/GB/h")


def _write_alternatives(made: Plan, found: Alternatives, output: Output) -> None:
    from planner.schema import records

    if output is Output.csv:
        result(frame_csv(found.frame))
        return
    if output is Output.json:
        listed = json.loads(frame_json(found.frame))
        for one in listed:
            mine = found.placements[found.placements["rank"] == one["rank"]]
            one["placements"] = json.loads(frame_json(mine.drop(columns="rank")))
        result(json.dumps(_head(made) | {"alternatives": listed}, indent=2))
        return
    rows = [
        (str(one["rank"]), _usd(one["usd_month"]), _more(one["extra_usd_month"]), one["changes"])
        for one in records(found.frame)
    ]
    headings = ("rank", "$/month", "+ $/month", "changes")
    if output is Output.md:
        result(markdown(headings, rows, _RIGHT))
    else:
        table(headings, rows, _RIGHT)


def _told(one: Mapping[str, Any], rules: Mapping[str, str]) -> str:
    return "; ".join(rules[rule] for rule in one["rules"]) or one["why"]


def _short(moves: str) -> str:
    first, *rest = moves.split("; ")
    return f"{first}; and {len(rest)} more" if rest else first


def _usd(amount: Decimal | None) -> str:
    """Return an amount for people; what would round to nothing keeps two digits."""
    from decimal import Context

    from planner.units import money, plain

    if amount is None:
        return ""
    small = amount and abs(amount) < Context().create_decimal("0.005")
    return plain(Context(prec=2).plus(amount)) if small else money(amount)


def _more(amount: Decimal | None) -> str:
    return "" if amount is None else f"{'+' if amount >= 0 else ''}{_usd(amount)}"


def _price(amount: Decimal | None) -> str:
    from decimal import Context

    from planner.units import plain

    return "" if amount is None else plain(Context(prec=9).plus(amount))
