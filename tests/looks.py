"""Reading what a notebook would show, strictly: which tags, which texts, row by row."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from planner.present.table import Section

HOSTILE = (
    "<script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "\x1b[2Jgone",
    "\u202egnp.exe",
    "=1+1",
    "$x$ \\(y\\)",
    "a&amp;b",
)
"""What a market may say: markup, a terminal's escape, a direction mark, a formula, mathematics."""
SHOWN = (
    *HOSTILE[:2],
    "\\x1b[2Jgone",
    "\\u202egnp.exe",
    *HOSTILE[4:],
)
"""The same as a person should read it."""

_TAGS = frozenset(
    {"div", "strong", "span", "wbr", "ul", "li", "table", "caption"}
    | {"thead", "tbody", "tfoot", "tr", "th", "td"}
)
_STYLES = frozenset(
    {
        "list-style:disc",
        "margin:.5em 0",
        "padding-left:1.5em",
        "overflow-x:auto",
        "margin-left:0",
        "caption-side:bottom",
        "text-align:left",
        "text-align:right",
        "white-space:nowrap",
        "white-space:pre-wrap",
        "min-width:18em",
        "opacity:.75",
    }
)
"""No style names a colour, so that dark notebooks stay readable."""


@dataclass
class Look(HTMLParser):
    """A piece of HTML as it is read; it fails on whatever planner does not write.

    Attributes
    ----------
    rows : list of list of str
        Texts of the cells of every table, headings and totals included.
    titles : list of str
        What is shown when something is pointed at.
    text : str
        All text in its order.
    lines : list of str
        The paragraphs and items of lists outside tables, and captions.
    """

    html: str
    rows: list[list[str]] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    text: str = ""
    lines: list[str] = field(default_factory=list)
    _open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.html)
        self.close()
        assert self._open == [], "every tag is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert tag in _TAGS
        assert given.keys() <= {"style", "class", "title"}
        assert {*(given.get("style") or "opacity:.75").split(";")} <= _STYLES
        assert given.get("class") in {None, "dataframe", "tex2jax_ignore mathjax_ignore"}
        self.titles += [given["title"] or ""] if "title" in given else []
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")
        elif tag in {"div", "caption"}:
            self.lines.append("")
        if tag != "wbr":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if {"td", "th"} & {*self._open}:
            self.rows[-1][-1] += data
        elif self.lines:
            self.lines[-1] += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(decl)


def look(value: Any) -> Look:
    """Return what a notebook shows of a value."""
    return Look(value._repr_html_())


def texts(section: Section) -> list[tuple[str, ...]]:
    """Return what a person reads of a section: its rows, then its total."""
    return [tuple(cell.text for cell in row) for row in section.readings()]
