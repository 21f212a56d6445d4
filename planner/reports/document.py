"""The document of a report: JSON, versioned, with every sum; what of it is read back."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from planner.errors import InputError
from planner.formats import JsonError, digest_of, parse, read_bytes
from planner.reports.lines import row_of
from planner.reports.periods import Accrual, Rate
from planner.schema import json_value
from planner.text import visible
from planner.units import HOURS_PER_MONTH, plain, total

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from planner.reports.report import Report


FORMAT = "planner.report/1"
_MAX_BYTES = 256 * 2**20

_STORED = {
    "created_at": "created_at",
    "sources": "sources",
    "lines": "disks",
    "gpus": "gpus",
    "limits": "limits",
    "baselines": "baselines",
    "wallets": "wallets",
    "warnings": "warnings",
    "doubts": "doubts",
    "warn_above": "warn_above",
}
"""What a saved report is made of again, and where its file has it."""
_FAILURE = ("error", "hint", "exit_code", "over")
"""What the command line puts before a report that fails its gate."""
_AGAIN = "make it again with `planner report … -o json`; it is not edited by hand"


def to_document(report: Report) -> dict[str, Any]:
    """Return a report as JSON values: what was read, and every sum of it."""
    month = report.month
    document = {
        "created_at": report.created_at,
        "as_of": report.as_of,
        "calendar_month": {"name": month.name, "hours": month.hours},
        "projects": list(report.projects),
        "totals": _totals(report),
        "budgets": [_values(one.row(report.warn_above)) for one in report.budgets],
        "by": {by: [g.to_document(month) for g in report.groups(by)] for by in report.by},
        "comparisons": [
            {**_values(vars(one)), "saves_usd_month": json_value(one.saves_usd_month)}
            for one in report.comparisons
        ],
        "runways": list(report.runways()),
        "disks": [_values(row_of(line)) for line in report.lines],
        "gpus": [
            {**_values(vars(one)), "site": one.site, "usd_month": plain(one.usd_month)}
            for one in report.gpus
        ],
        "baselines": [_values(vars(one)) for one in report.baselines],
        "wallets": [_values(asdict(one)) for one in report.wallets],
        "limits": [_values(vars(one)) for one in report.limits],
        "sources": [_values(vars(one)) for one in report.sources],
        "warn_above": json_value(report.warn_above),
        "warnings": list(report.warnings),
        "doubts": list(report.doubts),
        "alerts": list(report.alerts),
        "assumptions": list(report.assumptions),
    }
    return {"format": FORMAT, "digest": digest_of(document), **document}


def _totals(report: Report) -> dict[str, Any]:
    month, hr = report.month, total([report.after.usd_hr, report.gpu_usd_hr])
    monthly = report.gpu_usd_month
    accruals = [Accrual.of(line) for line in report.lines if line.is_live]
    sums = {}
    for name in ("accrued_usd", "month_so_far_usd", "rest_of_month_usd"):
        known = [usd for one in accruals if (usd := getattr(one, name)) is not None]
        sums[name] = plain(total(known)) if known else None
    idle = Rate.of(one for one in report.lines if one.is_idle)
    outside = Rate.of(one for one in report.lines if not one.is_planned)
    return {
        "now": None if report.now is None else report.now.to_document(month),
        "new": report.new.to_document(month),
        "after": report.after.to_document(month),
        "idle": idle.to_document(month),
        "outside_plans": outside.to_document(month),
        "gpus": {"usd_hr": plain(report.gpu_usd_hr), "usd_month": plain(monthly)},
        "together": {
            "usd_hr": plain(hr),
            "usd_month": plain(total([report.after.per(HOURS_PER_MONTH), monthly])),
            "usd_calendar_month": plain(total([report.after.per(month.hours), monthly])),
        },
        **sums,
        "undated": sum(one.is_live and one.created_at is None for one in report.lines),
    }


def read_stored(path: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the document of a saved report, and of it what a report is made of again.

    Raises
    ------
    InputError
        When the file cannot be read, or is no report.
    """
    shown = visible(str(path))
    try:
        document = parse(read_bytes(path, what="report", limit=_MAX_BYTES))
    except JsonError as error:
        raise InputError(f"{shown}: is no report: {error}", hint=_AGAIN) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError(f"{shown}: is no report that this version reads", hint=_AGAIN)
    for name in _FAILURE:
        document.pop(name, None)
    try:
        return document, {name: document[key] for name, key in _STORED.items()}
    except KeyError as error:
        raise changed(path) from error


def changed(path: str | Path) -> InputError:
    """Return the error of a report that is not as it was made."""
    message = f"{visible(str(path))}: was changed after it was made, or made by another version"
    return InputError(message, hint=_AGAIN)


def _values(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields as JSON values, amounts as exact text."""
    return {name: _value(value) for name, value in row.items()}


def _value(value: Any) -> Any:  # noqa: ANN401 -- a field
    if isinstance(value, dict):
        return _values(value)
    if isinstance(value, tuple):
        return [_value(one) for one in value]
    return json_value(value)
