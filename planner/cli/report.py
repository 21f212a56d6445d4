"""``planner report``: what a plan, the account, or both cost, against what they may."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner.cli import options, purchases
from planner.cli.complete import SECTIONS
from planner.cli.options import OffersOption, PictureFormat
from planner.cli.purchases import StateOption
from planner.cli.render import Output, render, to_stderr, to_stdout
from planner.errors import BudgetGate, InputError
from planner.present.progress import working
from planner.present.table import View
from planner.text import suggestion, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from decimal import Decimal
    from pathlib import Path

    import pandas as pd

    from planner.plans.plan import Plan
    from planner.present.table import Section
    from planner.reports.holdings import Holdings
    from planner.reports.insights import Insights
    from planner.reports.months import MonthReport
    from planner.reports.report import Report

EPILOG = (
    "JSON: format, digest, created_at, as_of, calendar_month (name, hours), projects, totals (now,"
    " new, after, idle, outside_plans, gpus, together, accrued_usd, month_so_far_usd, "
    "rest_of_month_usd, undated; a rate has disks, unpriced, size_gb, usd_hr, usd_day, usd_month "
    "(730 h), usd_calendar_month), budgets (project, owner, limit_usd_month, hours_per_month, "
    "now_usd_month, projected_usd_month, left_usd_month, percent, unpriced, state), by (volume, "
    "owner, tag:NAME, provider, site, region: value, a rate, now, gpu_usd_month), comparisons, "
    "runways, disks, gpus, baselines, wallets, limits, sources, warn_above, warnings, doubts, "
    "alerts, assumptions, planned_months where volumes grow; why (requirements, sites, share) with "
    "--why. With --month: month, hours, is_over, "
    "account, as_of, totals (disks, usd = billed_usd + unbilled_usd, expected_usd when it ends), "
    "by, disks (hours, usd, billed_usd, unbilled_usd, list_usd, ending and others), unknown (name,"
    " why, most_usd), notes, before (the month of --compare); CSV has the disks, or --section "
    "groups. Amounts are exact decimals as text, null is unknown. If --fail-above or --min-runway "
    "fails, error, hint, exit_code and over are added. CSV: section, name, disks, unpriced, "
    "size_gb, usd_hr, usd_day, usd_month, usd_calendar_month of every disk and workload, once; "
    "--section sums has every sum, disks, budgets, groups, gpus, months or comparisons that "
    "table's own columns, and with --why requirements, sites or share. Exit codes: 10 a budget is "
    "above --fail-above or a wallet below --min-runway, or neither can be shown not to be; 4 the "
    "account cannot be read; 5 a plan is damaged."
)


class ReportOutput(StrEnum):
    """How a report is written."""

    table = "table"
    json = "json"
    csv = "csv"
    md = "md"
    focus = "focus"


_FIRST = frozenset({"low-wallet", "summary", "notices"})
"""Sections that stand before those that can be asked for."""
_SHORT = frozenset(
    {
        *("by-owner", "changes", "by-site", "totals", "budgets", "wallet", "billed", "idle"),
        *("comparisons", "gpus", "history", "assumptions"),
        *("market", "requirements", "share", "sites"),
    }
)
"""Sections that a terminal shows where none are asked for."""
_SHORT_MONTH = frozenset({"unknown", "by-owner", "by-volume", "by-site", "assumptions"})
"""Sections of a month that a terminal shows where none are asked for."""
_MOST_PAGE = 20
"""Rows of a table in Markdown before it sums the rest."""


def report(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE",
            help="Plan files, and reports saved with --out: several become one report. Without "
            "any, the live account.",
        ),
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Compare the plans with the live account and its wallet.")
    ] = False,
    disks_file: Annotated[
        str | None,
        typer.Option("--disks", metavar="FILE", help="Read the account's disks from a file."),
    ] = None,
    wallet_file: Annotated[
        str | None,
        typer.Option("--wallet", metavar="FILE", help="Read the wallet from a file, with --disks."),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="When the files of --disks were read, such as 2026-03-01T12:00."
        ),
    ] = None,
    offers_file: OffersOption = None,
    month: Annotated[
        str | None,
        typer.Option(
            metavar="YYYY-MM",
            help="Show what a calendar month cost, deleted disks included: as billed where "
            "there are billing rows, else at list price.",
        ),
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(metavar="YYYY-MM", help="Compare --month with this month."),
    ] = None,
    budget: Annotated[
        list[str] | None,
        typer.Option(
            metavar="USD|OWNER=USD",
            help="A budget for a month of 730 h over everything in the report, or over the disks "
            "of one owner; may be given several times.",
        ),
    ] = None,
    warn_above: Annotated[
        str | None,
        typer.Option(metavar="PCT", help="Warn if more than this of a budget is spent: 80 or 80%."),
    ] = None,
    fail_above: Annotated[
        str | None,
        typer.Option(
            metavar="PCT", help="Exit 10 if more than this of a budget is spent: 100 or 100%."
        ),
    ] = None,
    min_runway: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Exit 10 if a wallet lasts less than this: 72h or 30d."),
    ] = None,
    idle_after: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Count a disk as idle once planner has seen it unattached for this long: 7d "
            "or 48h. Without it, every unattached disk counts.",
        ),
    ] = None,
    why: Annotated[
        bool,
        typer.Option(
            "--why",
            help="Show why one plan costs what it does: the market, what each requirement costs, "
            "and what fewer sites or a smaller share for one provider would cost. Plans again for "
            "each of them.",
        ),
    ] = False,
    html: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write a self-contained HTML page.")
    ] = None,
    charts: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Write each chart to a file in this directory."),
    ] = None,
    chart_format: Annotated[
        list[PictureFormat] | None,
        typer.Option("--chart-format", help="Format of the charts; may be given several times."),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Save the report; saved reports can be merged later."),
    ] = None,
    section: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Show this section only; may be given several times. `all` shows every one.",
        ),
    ] = None,
    state: StateOption = None,
    forecast: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="With -o focus: write a forecast of the rest of the month to this file, "
            "planned disks included.",
        ),
    ] = None,
    report_output: Annotated[
        ReportOutput,
        typer.Option(
            "--output",
            "-o",
            help="How to write the result; focus: CSV in the FOCUS format, for --month or the "
            "month so far.",
        ),
    ] = ReportOutput.table,
) -> None:
    """Report what a plan, the live account, or both cost, against their budgets.

    Reads only: nothing is bought, changed or deleted.
    """
    from planner.reports.make import read_inputs
    from planner.reports.merge import merge_reports
    from planner.reports.months import months_named

    is_focus = report_output is ReportOutput.focus
    output = Output.csv if is_focus else Output(report_output.value)
    fail = options.percent(fail_above, "--fail-above")
    runway_hr = purchases.hours(min_runway, "--min-runway")
    warn = options.percent(warn_above, "--warn-above")
    limits = options.budgets(budget or [])
    wanted = section or []
    _check(
        (live and disks_file, "--live and --disks read different accounts", "give one of them"),
        (
            wanted and output in {Output.json, Output.md},
            "--section chooses tables, or one table of CSV",
            "leave it out",
        ),
        (
            output is Output.csv and len(wanted) > 1,
            "CSV has one section",
            "give one --section, or none",
        ),
        (forecast and not is_focus, "--forecast comes with -o focus", "give both"),
        (compare and month is None, "--compare comes with --month", "give both"),
        (as_of and disks_file is None, "--as-of comes with --disks", "give both"),
        (wallet_file and disks_file is None, "--wallet comes with --disks", "give both, or --live"),
        *(
            (month and given, f"{name} does not go with --month", "use only one of the two")
            for name, given in {
                "--budget": budget,
                "--warn-above": warn_above,
                "--fail-above": fail_above,
                "--min-runway": min_runway,
                "--idle-after": idle_after,
                "--why": why,
                "--out": out,
            }.items()
        ),
    )
    if month is not None:
        months_named(month, compare)
    files_out = (("--out", out, html), ("--html", html, out), ("--forecast", forecast, html))
    for name, path, other in files_out:
        inputs = (*(files or []), disks_file, wallet_file, offers_file)
        options.check_out(path, *inputs, name=name, other=other)
    plans, saved = read_inputs(files or [])
    read_at = options.moment(as_of, "--as-of")
    is_live = live or not files or (month is not None and disks_file is None)
    folder = purchases.state_folder(state)
    holdings = _holdings(disks_file, wallet_file, read_at, folder if is_live else None)
    needs_offers = holdings is not None and not plans and disks_file is None
    offers = _offers(offers_file, state, live=needs_offers)
    records = _records(state) if holdings is not None else []
    with working("Adding up"):
        made = [*saved, *_made(plans, holdings, records, offers, purchases.state_folder(state))]
        whole = merge_reports(made) if len(made) > 1 else made[0]
    if is_focus or month is not None:
        made_month = _month(whole, holdings, records, offers, (month, compare))
        if is_focus:
            _write_focus(whole, made_month, forecast)
        elif made_month is not None:
            made_formats = chart_format or [PictureFormat.svg]
            _keep_pages(made_month.to_html, made_month.charts, (html, charts), made_formats)
            _warn(made_month.warnings, output)
            render(_month_view(made_month, wanted), output)
        return
    whole = whole.against(limits, warn)
    if idle_after is not None:
        whole = replace(whole, idle_after_hr=purchases.hours(idle_after, "--idle-after"))
    insights = _insights(plans) if why else None
    gate = _gate(whole, fail, runway_hr)
    if out is not None:
        whole.save(out)
        to_stderr(f"saved to {out}")
    drawn = partial(whole.to_html, insights), partial(whole.charts, insights)
    _keep_pages(*drawn, (html, charts), chart_format or [PictureFormat.svg])
    _warn(whole.first_notices, output)
    render(_view(whole, insights, wanted, gate), output)
    purchases.exit_with(gate, output)


def _gate(whole: Report, fail: Decimal | None, runway_hr: Decimal | None) -> BudgetGate | None:
    """Return what closes the gates that were asked for, as one error."""
    closed: list[BudgetGate] = []
    for check, asked in ((whole.check, fail), (whole.check_runway, runway_hr)):
        if asked is not None:
            try:
                check(asked)
            except BudgetGate as error:
                closed.append(error)
    if not closed:
        return None
    hints = dict.fromkeys(error.hint for error in closed if error.hint)
    return BudgetGate(
        "\n".join(map(str, closed)),
        over=[each for error in closed for each in error.over],
        hint=" ".join(hints),
    )


def _check(*rules: tuple[object, str, str]) -> None:
    """Refuse words that contradict each other: whether they do, a message and a hint each."""
    for is_broken, message, hint in rules:
        if is_broken:
            raise InputError(message, hint=hint)


def _warn(warnings: Sequence[str], output: Output) -> None:
    """Write warnings beside a result that does not hold them."""
    for warning in warnings if output is not Output.json else ():
        to_stderr(f"warning: {warning}")


def _holdings(
    disks: str | None, wallet: str | None, read_at: datetime | None, folder: Path | None
) -> Holdings | None:
    from planner.reports.holdings import account_holdings, read_holdings

    if disks is not None:
        return read_holdings(disks, wallet, now=read_at)
    if folder is None:
        return None
    pace = purchases.pace(None, None, None)
    with working("Reading the account"), purchases.marketplace(pace) as marketplace:
        return account_holdings(marketplace, pace.now(), folder)


def _offers(file: str | None, state: str | None, *, live: bool) -> pd.DataFrame | None:
    """Return the market that tells the region of a place; without it, regions are unknown."""
    if file is not None:
        from planner.market.snapshot import read_offers

        return read_offers(file, exact=True)
    if not live:
        return None
    from planner.errors import MarketError
    from planner.marketplace.fetch import fetch_market

    folder = purchases.state_folder(state)
    try:
        (disks,) = fetch_market("disks", state=folder, on_failure=purchases.warn)
    except MarketError as error:
        to_stderr(f"warning: the regions of disks are unknown: {error}")
        return None
    return disks.offers()


def _insights(plans: Sequence[tuple[str, Plan]]) -> Insights:
    from planner.reports.insights import Insights

    if len(plans) != 1:
        raise InputError("--why is about one plan", hint="give one plan file")
    with working("Testing alternatives"):
        return Insights.of(plans[0][1])


def _records(state: str | None) -> list[dict[str, Any]]:
    """Return the records of the journal."""
    from planner.project.journal import Journal

    with Journal(purchases.state_folder(state), write=False) as journal:
        return journal.records


def _made(
    plans: Sequence[tuple[str, Plan]],
    holdings: Holdings | None,
    records: list[dict[str, Any]],
    offers: pd.DataFrame | None,
    folder: Path,
) -> list[Report]:
    """Return a report for each plan, or one of the account; the journal says what was bought."""
    from planner.reports import make

    if holdings is None and not plans:
        return []
    known: list[tuple[str, Plan | None]] = [*plans] or [("", None)]
    return [
        make.report(plan, holdings, records=records, offers=offers, plan_source=file, state=folder)
        for file, plan in known
    ]


def _month(
    whole: Report,
    holdings: Holdings | None,
    records: list[dict[str, Any]],
    offers: pd.DataFrame | None,
    months: tuple[str | None, str | None],
) -> MonthReport | None:
    """Return what a month cost, the present one where none is named; None without an account."""
    from planner.reports.make import month_of, regions_of

    if holdings is None:
        return None
    month, compare = months
    named = (month or whole.month.name, compare)
    return month_of(whole, holdings, named, records, regions_of(None, offers))


def _write_focus(whole: Report, made: MonthReport | None, forecast: str | None) -> None:
    """Write what the month cost to standard output, and what the rest of it will to a file."""
    from planner.formats import write_atomic
    from planner.present.writers import to_csv
    from planner.reports.focus import forecast_rows

    if made is None and forecast is None:
        raise InputError(
            "A plan has cost nothing yet.",
            hint="Add --live for what disks cost, or --forecast FILE for what they will.",
        )
    if forecast is not None:
        write_atomic(forecast, whole.to_focus_forecast().encode())
        to_stderr(f"forecast: {forecast}")
    nothing = to_csv(forecast_rows((), whole.month, whole.month.end))
    to_stdout(nothing if made is None else made.to_focus())


def _month_view(made: MonthReport, wanted: Sequence[str]) -> View:
    from planner.reports.months import MOST

    return View(
        lambda: _shown(made.sections(None if wanted else MOST), wanted, _SHORT_MONTH),
        made.to_document,
        lambda: made.rows(next(iter(wanted), None)),
        made.sections,
    )


def _keep_pages(
    page: Callable[[], str],
    drawn: Callable[[], Mapping[str, Any]],
    places: tuple[str | None, str | None],
    formats: Sequence[PictureFormat],
) -> None:
    """Write a page and charts where they were asked for."""
    from planner.formats import write_atomic
    from planner.present.charts.base import INSTALL, drawable, save_charts

    html, charts = places
    if html is not None:
        with working("Writing the page"):
            write_atomic(html, page().encode())
        to_stderr(f"page: {html}")
        if not drawable():
            to_stderr(f"warning: the page has no charts: {INSTALL}")
    if charts is not None:
        paths = save_charts(drawn(), charts, formats)
        for path in paths:
            to_stderr(f"chart: {path}")
        if not paths:
            to_stderr("there is nothing to draw: no chart was written")


def _view(
    whole: Report, insights: Insights | None, wanted: Sequence[str], gate: BudgetGate | None
) -> View:
    from planner.reports.sections import MOST
    from planner.schema import frame_document, frame_section

    most = None if wanted else MOST
    why, first = {} if insights is None else insights.frames, next(iter(wanted), None)
    return View(
        lambda: _shown(whole.page_sections(insights, most), wanted, _SHORT),
        lambda: {
            **(gate.to_document() if gate else {}),
            **whole.streamed(),
            **({"why": {name: frame_document(each) for name, each in why.items()}} if why else {}),
        },
        lambda: frame_section(why[first]) if first in why else whole.rows(first),
        lambda: whole.page_sections(insights, _MOST_PAGE),
    )


def _shown(
    sections: Sequence[Section], wanted: Sequence[str], short: frozenset[str]
) -> list[Section]:
    """Return what a terminal shows: the sections asked for, else the ones that matter most."""
    found = {one.name: one for one in sections if one.name not in _FIRST}
    if wanted:
        return _chosen(found, wanted)
    left = ", ".join(name for name in found if name not in short)
    to_stderr(f"more with --section: {left}, or all")
    return [one for one in sections if one.name in {*short, *_FIRST} - {"notices"}]


def _chosen(found: Mapping[str, Section], wanted: Sequence[str]) -> list[Section]:
    if "all" in wanted:
        return [*found.values()]
    for name in wanted:
        if name in {*SECTIONS} - {*found}:
            to_stderr(f"{name}: nothing to show")
        elif name not in found:
            hint = suggestion(name, found, f"one of {', '.join(found)}")
            raise InputError(f"the report has no section {visible(name)!r}", hint=hint)
    return [found[name] for name in dict.fromkeys(wanted) if name in found]
