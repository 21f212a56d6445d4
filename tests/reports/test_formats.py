"""The same sums in every format, recomputed from the placements; nothing hostile gets through."""

from __future__ import annotations

import csv
import io
import json
import re
from decimal import ROUND_HALF_UP, Decimal
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest

from planner import Report
from planner.errors import InputError
from tests.looks import texts
from tests.reports.world import bill, held, live, planned, report
from tests.shipped_plans import finetune, research

if TYPE_CHECKING:
    from pathlib import Path

    from planner.plans.plan import Plan

EVIL = '<script>alert(1)</script>\x1b[2J\u202e=HYPERLINK("http://evil")|`x`'


def cents(amount: Decimal) -> str:
    """Round as money is rounded, written apart from the project's own rounding."""
    return f"{amount.quantize(Decimal('0.01'), ROUND_HALF_UP):,}"


def outside(plan: Plan) -> dict[str, Any]:
    """Recompute a plan's sums from sizes and prices alone."""
    document = plan.to_document()
    owners: dict[str, Decimal] = {}
    for one in document["placements"]:
        usd_hr = sum(one["disk_sizes_gb"]) * Decimal(one["usd_gb_hr"])
        if (one.get("disk_group") or [one["volume"]])[0] != one["volume"]:
            continue  # a shared disk is one disk; its volumes have one owner here
        owners[one["owner"]] = owners.get(one["owner"], Decimal(0)) + usd_hr
    return {"hr": sum(owners.values(), Decimal(0)), "owners": owners}


@pytest.mark.sweep
@pytest.mark.parametrize("plan", [research(), finetune()], ids=["research", "finetune"])
def test_every_format_says_the_same_to_the_cent(plan: Plan) -> None:
    """Per hour, day, month and calendar month: table, Markdown, HTML, CSV and JSON."""
    made, sums = report(plan), outside(plan)
    assert made.month.hours == 28 * 24
    hr, hours = sums["hr"], 28 * 24 - 252  # bought now, at noon of the 11th
    shown = {cents(hr * 24), cents(hr * 730), cents(hr * hours)}
    owners = {cents(usd * 730) for usd in sums["owners"].values()}
    (totals,) = (one for one in made.sections() if one.name == "totals")
    assert shown <= set(texts(totals)[0])
    markdown, page = made.to_markdown(), made.to_html(charts=False)
    for amount in shown | owners:
        assert f" {amount} |" in markdown
        assert re.search(rf">\s*{re.escape(amount)}\s*<", page)
    document = json.loads(made.to_json())
    after = document["totals"]["after"]
    assert Decimal(after["usd_hr"]) == hr
    assert Decimal(after["usd_month"]) == hr * 730
    assert round(Decimal(after["usd_calendar_month"]), 9) == round(hr * hours, 9)
    once = list(csv.DictReader(io.StringIO(made.to_csv())))
    assert sum(Decimal(row["usd_month"]) for row in once) == hr * 730 + made.gpu_usd_month
    rows = list(csv.DictReader(io.StringIO(made.to_csv("sums"))))
    for section in ("owner", "site", "region", "provider", "volume"):
        mine = [row for row in rows if row["section"] == section]
        assert sum(Decimal(row["usd_month"]) for row in mine) == hr * 730


@pytest.mark.slow
@pytest.mark.sweep
@pytest.mark.parametrize("section", ["disks", "budgets", "groups", "gpus", "comparisons"])
def test_a_section_as_csv_has_its_own_columns(section: str) -> None:
    """One row each, amounts exact; also where there is none of it."""
    for made in (report(finetune()), report(None, held(live("disk-0001")))):
        rows = list(csv.reader(io.StringIO(made.to_csv(section))))
        assert len(set(map(len, rows))) == 1
        assert len(rows[0]) > 5


def test_an_unknown_section_is_an_error_with_the_nearest() -> None:
    """`--section disk` means disks."""
    with pytest.raises(InputError, match="no section 'disk'") as caught:
        report(planned()).to_csv("disk")
    assert caught.value.hint == "did you mean disks?"


def everything() -> Report:
    """Return a report with something of every section."""
    account = held(
        live("disk-0001", name=EVIL, pods=["pod-1"]),
        live("disk-0002", provider="beta", status="ERROR"),
        live("disk-0003", usd_hr=None, created=None),
        balance="12.5",
        bills=[bill("disk-0001", "1.5"), bill("gone-0001", "3"), bill(None, "7", EVIL)],
        unread=4,
    )
    return report(finetune(), account, budgets={None: Decimal(1), "research": Decimal(2)})


@pytest.mark.slow
def test_a_saved_report_is_the_same_report(tmp_path: Path) -> None:
    """What is read back is equal, sums and all; a byte changed is refused."""
    made, path = everything(), tmp_path / "report.json"
    made.save(path)
    again = Report.load(path)
    assert again == made
    assert again.to_json() == made.to_json()
    text = path.read_text()
    for old, new in (
        ('"usd_month": "', '"usd_month": "1'),
        ('"other"', '"new"'),
        ("disk-0001", "disk-0009"),
    ):
        assert old in text
        path.write_text(text.replace(old, new, 1))
        with pytest.raises(InputError, match="was changed after it was made"):
            Report.load(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"format": "planner.report/2"}',
        b'{"format": "planner.report/1"}',
        b"\xff",
    ],
)
def test_what_is_no_report_is_refused(content: bytes, tmp_path: Path) -> None:
    """An empty file, another document, a future version, a part of one."""
    path = tmp_path / "r.json"
    path.write_bytes(content)
    with pytest.raises(InputError):
        Report.load(path)


@pytest.mark.sweep
@pytest.mark.parametrize("price", ["1E+99999", "-1", "NaN", "1.50", "", "1e3"])
def test_amounts_of_a_saved_report_are_plain_or_refused(price: str, tmp_path: Path) -> None:
    """An exponent, a sign, a needless zero: planner writes none of these."""
    path = tmp_path / "r.json"
    document = json.loads(report(planned()).to_json())
    document["disks"][0]["usd_hr"] = price
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match="was changed"):
        Report.load(path)


@pytest.mark.slow
def test_hostile_text_is_harmless_everywhere() -> None:
    """A name out of the API is text: no tag, no escape sequence, no formula, no table cell."""
    made = everything()
    page, markdown, table = made.to_html(charts=False), made.to_markdown(), made.to_csv("disks")
    for text in (page, made._repr_html_()):
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert" in text
    for text in (page, markdown, table, made.to_csv()):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "<script>" not in markdown
    assert "http://evil" not in markdown
    cells = [cell for row in csv.reader(io.StringIO(table)) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]
    assert "evil" in made.to_json()


@pytest.mark.slow
def test_a_page_has_every_section() -> None:
    """Each section's title is in the page and in Markdown."""
    made = everything()
    titles = [one.title for one in made.sections()]
    assert len(titles) == len(set(titles)) > 12
    page, markdown = unescape(made.to_html(charts=False)), made.to_markdown()
    for title in titles:
        assert title in page
        assert title in markdown
    for sentence in made.assumptions:
        assert sentence in page


@pytest.mark.slow
def test_a_report_in_jupyter_has_tables_and_no_formulas() -> None:
    """Every section with its sums; signs of dollars stand alone, so that none opens a formula."""
    made = report(finetune())
    shown = made._repr_html_()
    for one in made.sections():
        assert one.title in shown
    assert cents(made.after.per(730)) in shown
    assert "<script" not in shown
    assert "$" not in shown.replace("<span>$</span>", "")


def test_an_account_alone_has_no_table_of_nobody() -> None:
    """Where nothing is known of volumes and owners, one row would say just that."""
    names = {one.name for one in report(None, held(live("disk-0001"))).sections()}
    assert not names & {"by-volume", "by-owner"}
    assert {"by-provider", "by-site", "by-region", "disks", "accrued", "idle"} <= names


def test_markdown_for_a_pull_request_links_nothing() -> None:
    """A replica's number is no issue, a tag's name is as it is, nobody is called."""
    made = report(planned())
    markdown = made.to_markdown()
    assert "b &#35;1" in markdown
    assert not re.search(r"#\d", markdown.replace("&#35;", ""))
    tagged = planned(volumes=[{"name": "a", "size_gb": 100, "tags": {"cost_center": "@ann"}}])
    text = report(tagged).to_markdown()
    assert "<summary>By tag cost_center</summary>" in text
    assert "@" not in text
