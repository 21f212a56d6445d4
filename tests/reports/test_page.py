"""The page without a browser: everything is there, everything is escaped, nothing is fetched."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from html.parser import HTMLParser

import altair as alt
import pytest

from planner.errors import InputError
from planner.present.table import Section, TableColumn
from planner.reports.page import page
from planner.text import visible
from tests.looks import texts
from tests.reports.pages import BUDGETS, EVIL, LEAD, OWNERS, SECTIONS, SEEN, WARNINGS, charts

VOID = {"meta", "link"}


class Reader(HTMLParser):
    """Reads a page: elements with their attributes and their own text, in order.

    Attributes
    ----------
    found : list of [tag, attributes, text]
        Elements as they begin.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str], list[str]]] = []
        self._open: list[int] = []
        self.feed(text)
        self.close()
        assert not self._open, "an element is never closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}, []))
        if tag not in VOID:
            self._open.append(len(self.found) - 1)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}, []))

    def handle_endtag(self, tag: str) -> None:
        assert self.found[self._open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.found[self._open[-1]][2].append(data)

    def all(self, tag: str) -> list[tuple[dict[str, str], str]]:
        """Return attributes and text of every element of a kind."""
        return [(attrs, "".join(text)) for name, attrs, text in self.found if name == tag]

    def texts(self, tag: str) -> list[str]:
        """Return the text of every element of a kind."""
        return [text for _, text in self.all(tag)]

    def tags(self) -> set[str]:
        """Return every kind of element."""
        return {name for name, _, _ in self.found}


@pytest.fixture(scope="module")
def whole() -> str:
    """Return a page with charts."""
    return page("Storage of lab", LEAD, SECTIONS, charts(), WARNINGS)


@pytest.fixture(scope="module")
def read(whole: str) -> Reader:
    return Reader(whole)


def policy(read: Reader) -> dict[str, list[str]]:
    """Return the directives of a page's content-security policy."""
    (content,) = (
        attrs["content"]
        for attrs, _ in read.all("meta")
        if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert content.startswith("default-src 'none';")
    return {name: values for name, *values in map(str.split, content.split(";"))}


def digest(content: str) -> str:
    made = hashlib.sha256(content.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(made).decode()}'"


@pytest.mark.slow
def test_the_policy_allows_the_pages_own_and_nothing_more(read: Reader) -> None:
    """The digests are those of the scripts and the style that are there, byte for byte."""
    scripts = [text for attrs, text in read.all("script") if "type" not in attrs]
    assert len(scripts) == 2
    assert policy(read) == {
        "default-src": ["'none'"],
        "script-src": [digest(script) for script in scripts],
        "style-src": [digest(style) for style in read.texts("style")],
        "img-src": ["data:"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }


@pytest.mark.slow
def test_the_policy_comes_before_what_it_is_about(whole: str) -> None:
    """A policy in a page holds from where it stands."""
    assert whole.index("Content-Security-Policy") < whole.index("<style>") < whole.index("<script")
    assert len(whole[: whole.index("Content-Security-Policy")]) < 200


def test_without_charts_there_are_no_scripts_and_the_page_is_small() -> None:
    """Nothing but tables and a style."""
    text = page("Storage of lab", LEAD, SECTIONS, {}, WARNINGS)
    read = Reader(text)
    assert "script-src" not in policy(read)
    assert not read.tags() & {"script", "svg", "figure"}
    assert len(text) < 20_000


@pytest.mark.slow
def test_nothing_is_asked_for(read: Reader) -> None:
    """No address in any attribute, but links within the page and an empty icon."""
    found = {
        attrs[name]
        for _, attrs, _ in read.found
        for name in ("src", "href", "xlink:href", "action", "data", "srcset")
        if name in attrs
    }
    assert found == {"data:,", "#content", *(f"#s-{one.name}" for one in SECTIONS)}
    assert not any(name.startswith("on") for _, attrs, _ in read.found for name in attrs)
    assert not any("style" in attrs for _, attrs, _ in read.found)
    assert not re.search(r"url\(|@import", "".join(read.texts("style")))


def test_a_page_has_a_title_headings_in_order_and_a_language(read: Reader) -> None:
    """One h1, and an h2 for each section; ids are there once."""
    assert read.texts("h1") == read.texts("title") == ["Storage of lab"]
    assert read.texts("h2") == ["Warnings", *(one.title for one in SECTIONS)]
    assert not read.tags() & {"h3", "h4"}
    assert read.all("html")[0][0] == {"lang": "en"}
    ids = [attrs["id"] for _, attrs, _ in read.found if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = [attrs["href"][1:] for attrs, _ in read.all("a")]
    assert set(links) <= set(ids)


def test_every_cell_is_there(read: Reader) -> None:
    """Rows, totals, headings and notes of every section, the first column as a row's heading."""
    cells = [
        text for name, _, parts in read.found if name in {"td", "th"} for text in ["".join(parts)]
    ]
    wanted = [
        visible(cell)
        for one in SECTIONS
        if one.rows
        for row in ([column.heading for column in one.columns], *texts(one))
        for cell in row
    ]
    assert cells == wanted
    by_scope = [(attrs["scope"], text) for attrs, text in read.all("th")]
    assert [text for scope, text in by_scope if scope == "row"] == [
        visible(row[0]) for one in SECTIONS if len(one.columns) > 1 for row in texts(one)
    ]
    assert "Nothing to show." in read.texts("p")
    assert set(BUDGETS.notes) <= set(read.texts("li"))
    assert len(read.all("tfoot")) == 1


def test_columns_of_numbers_are_aligned(read: Reader) -> None:
    """Heading, cells and total alike."""
    aligned = [text for attrs, text in read.all("td") if attrs.get("class") == "n"]
    assert {"1,340.51", "0.1000", "14,000"} <= set(aligned)
    assert not {"within", "over", "a"} & set(aligned)
    assert ({"class": "n", "scope": "col"}, "limit") in read.all("th")


def test_a_table_has_a_caption_and_a_region_to_scroll(read: Reader) -> None:
    """The region can be reached with the keyboard and is called like its table."""
    captions = {attrs["id"]: text for attrs, text in read.all("caption")}
    assert list(captions.values()) == [f"{one.title}, table" for one in SECTIONS if one.rows]
    regions = [attrs for attrs, _ in read.all("div") if attrs.get("role") == "region"]
    assert [one["aria-labelledby"] for one in regions] == list(captions)
    assert all(one["tabindex"] == "0" for one in regions)


def test_a_chart_is_there_twice_and_described(read: Reader, whole: str) -> None:
    """For desks and for phones, beside its table, with what is to be drawn as data."""
    assert len(read.all("figure")) == 3
    plots = [attrs["aria-label"] for attrs, _ in read.all("div") if attrs.get("role") == "img"]
    assert plots[0] == "Chart: Budgets, and what is projected. The table below has the figures."
    widths = [attrs["width"] for attrs, _ in read.all("svg")]
    assert widths == ["680", "328"] * 3
    data = [text for attrs, text in read.all("script") if attrs.get("type") == "application/json"]
    specs = [json.loads(text) for text in data]
    assert [spec["width"] for spec in specs] == ["container"] * 3
    assert not any("title" in spec for spec in specs)
    assert not any(set(text) & set("<>&\u2028\u2029") for text in data)
    assert whole.index("<figure>") < whole.index("<table>")


def test_amounts_in_the_lead_stand_out(read: Reader) -> None:
    """The figures that matter are the first thing seen."""
    assert read.texts("strong")[:4] == ["$1,340.51", "$1.8363", "$1,340.51", "$1,600.00"]


HOSTILE = Section(
    EVIL,
    EVIL,
    (TableColumn(EVIL, EVIL), TableColumn("b", f"{EVIL}2")),
    ((EVIL, EVIL),),
    (EVIL, ""),
    (EVIL,),
)


@pytest.mark.sweep
@pytest.mark.parametrize("drawn", [False, True])
def test_whatever_is_said_stays_text(drawn: bool) -> None:
    """In every place that text can come to: no element, no attribute, nothing invisible."""
    chart = alt.Chart(alt.InlineData([{"a": EVIL}])).mark_text().encode(text="a:N")
    chart = chart.properties(title=alt.Title(EVIL, subtitle=EVIL))
    section = HOSTILE
    text = page(EVIL, [EVIL], [section] * 3, {EVIL: chart} if drawn else {}, [EVIL])
    read = Reader(text)
    assert not read.tags() & {"img", "iframe"}
    assert len(read.all("script")) == (3 + 2 if drawn else 0)
    assert not any(name.startswith("on") for _, attrs, _ in read.found for name in attrs)
    assert read.texts("h1") == [SEEN]
    assert read.texts("h2") == ["Warning", SEEN, f"{SEEN} (2)", f"{SEEN} (3)"]
    assert read.texts("td")[0] == SEEN
    assert "\u2028" not in text
    assert text.count("alert(1)") >= 12
    assert "<script>alert" not in text
    ids = [attrs["id"] for _, attrs, _ in read.found if "id" in attrs]
    assert all(re.fullmatch(r"[a-z0-9-]+", one) for one in ids)
    assert len(ids) == len(set(ids))


def test_amounts_of_dollars_may_be_hostile_too() -> None:
    """What is set apart is escaped like the rest."""
    read = Reader(page("t", ["a <b>$1,000.00</b> & -$5"], [BUDGETS], {}))
    assert read.texts("strong") == ["$1,000.00", "-$5"]
    assert "b" not in read.tags()


@pytest.mark.slow
def test_the_same_report_is_the_same_page(whole: str) -> None:
    """To the byte, so that a difference is one of figures."""
    assert page("Storage of lab", LEAD, SECTIONS, charts(), WARNINGS) == whole


def test_few_sections_need_no_links() -> None:
    """Nor a link to skip them."""
    read = Reader(page("t", [], [BUDGETS, OWNERS], {}))
    assert not read.tags() & {"nav", "a"}
    assert read.texts("h2") == ["Budgets", "By owner"]


def test_without_the_extra_the_page_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the charts is there."""
    monkeypatch.setitem(sys.modules, "altair", None)
    read = Reader(page("t", LEAD, SECTIONS, {}))
    assert any("pip install altair" in text for text in read.texts("p"))
    assert len(read.all("table")) == 4


def test_with_the_extra_it_does_not() -> None:
    """There may simply be nothing to draw."""
    assert "pip install" not in page("t", LEAD, SECTIONS, {})


@pytest.mark.slow
def test_a_chart_needs_what_draws_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page is never made without the charts it was given."""
    drawn = charts()
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(InputError, match="vl-convert-python"):
        page("t", LEAD, SECTIONS, drawn)
