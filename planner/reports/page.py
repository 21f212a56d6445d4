"""Reports as HTML: one page that needs nothing else.

The page's charts are pictures first, drawn here; its scripts, where they run, draw them again with
tooltips. Its policy allows these scripts and this style, by their digests, and nothing more.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from planner.present.charts.base import INSTALL, drawable
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from planner.present.charts.base import AnyChart
    from planner.present.table import Reading, Section
    from planner.reports.figures import FirstScreen


_HERE = Path(__file__).parent
_MANY = 3
"""Sections from which on a page has links to them."""
_WIDE_PX, _NARROW_PX = 680, 328
"""Widths of the pictures: for desks and paper, and for a phone of 360 px with its margins."""
_AMOUNT = re.compile(r"(-?\$\d[\d,]*(?:\.\d+)?)")
_ENDS_SCRIPT = re.compile(r"<(?=/script|!--)", re.IGNORECASE)
_DATA_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


_SHORT = 26
"""Characters of a text that is not broken, such as a site."""


@dataclass(frozen=True)
class _Picture:
    """A chart as a page has it: twice as a picture, once as what the script draws."""

    title: str
    subtitle: str
    wide: Markup
    narrow: Markup
    spec: Markup


@dataclass(frozen=True)
class _PagePart:
    """A section with its place in the page, and its chart where it has one."""

    id: str
    title: str
    section: Section
    picture: _Picture | None

    @property
    def rows(self) -> list[tuple[Reading, ...]]:
        """Return what a person reads of the rows, the footer last."""
        return [*self.section.readings()]

    def align(self, column: int, text: str = "") -> Markup:
        """Return the class of a cell: a sign, a number, a short text that stays on its line."""
        chosen = self.section.columns[column]
        if chosen.kind == "action":
            return Markup(' class="s"')
        if chosen.is_right:
            return Markup(' class="n"')
        return Markup(' class="k"') if column and len(text) <= _SHORT else Markup()


def page(
    title: str,
    lead: Sequence[str],
    sections: Sequence[Section],
    charts: Mapping[str, AnyChart],
    warnings: Sequence[str] = (),
    first: FirstScreen | None = None,
) -> str:
    """Return a report as one HTML page that loads nothing else.

    Parameters
    ----------
    lead : sequence of str
        What to know first, a sentence each; amounts of dollars stand out.
    sections : sequence of Section
        In their order; from three on, the page begins with links to them.
    charts : mapping
        Section name → the chart that stands above its table; those of sections that are not there
        are left out. Where the extra ``charts`` is not installed there are none, and the page says
        what to install.
    first : FirstScreen | None
        Key figures, and what is said below them.

    Raises
    ------
    InputError
        When a chart cannot be drawn: its data lies elsewhere, or what draws it is not installed.
    """
    parts = list(_parts(sections, charts))
    style = _asset("page.css")
    scripts = _scripts() if any(part.picture for part in parts) else []
    template = _environment().get_template("page.html.j2")
    return template.render(
        title=title,
        lead=[list(_pieces(sentence)) for sentence in lead],
        warnings=list(warnings),
        figures=[] if first is None else [(*_unit(one.value), one) for one in first.figures],
        below=[] if first is None else [list(_pieces(text)) for text in first.sentences],
        parts=parts,
        linked=len(parts) >= _MANY,
        install=None if drawable() else INSTALL,
        style=_raw(style),
        scripts=[_raw(script) for script in scripts],
        policy=_policy(style, scripts),
    )


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(value: Any) -> Any:  # noqa: ANN401 -- whatever a template prints
    """Return text with nothing invisible in it; what is markup already stays."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _asset(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _unit(value: str) -> tuple[str, str]:
    """Return a number and its unit, which a narrow page may break before."""
    number, slash, unit = value.partition("/")
    return number, slash + unit


def _pieces(sentence: str) -> Iterator[tuple[str, bool]]:
    """Yield the pieces of a sentence, and whether each is an amount of dollars."""
    for at, piece in enumerate(_AMOUNT.split(sentence)):
        if piece:
            yield piece, at % 2 == 1


def _parts(sections: Sequence[Section], charts: Mapping[str, AnyChart]) -> Iterator[_PagePart]:
    taken_ids: set[str] = {"content"}
    taken_titles: set[str] = set()
    for section in sections:
        slug = re.sub(r"[^a-z0-9]+", "-", section.name.lower()).strip("-") or "section"
        chart = charts.get(section.name)
        yield _PagePart(
            _unlike(f"s-{slug}", taken_ids, "{}-{}"),
            _unlike(visible(section.title), taken_titles, "{} ({})"),
            section.filled(),
            None if chart is None else _picture(chart),
        )


def _unlike(name: str, taken: set[str], numbered: str) -> str:
    """Return a name that is not taken yet, and take it."""
    times, found = 1, name
    while found in taken:
        times += 1
        found = numbered.format(name, times)
    taken.add(found)
    return found


def _picture(chart: AnyChart) -> _Picture:
    from planner.present.charts.base import caption, page_spec, page_svg  # noqa: PLC0415 -- an extra

    title, subtitle = caption(chart)
    data = json.dumps(page_spec(chart), separators=(",", ":"), sort_keys=True)
    for character, escape in _DATA_ESCAPES.items():
        data = data.replace(character, escape)
    wide, narrow = (page_svg(chart, width) for width in (_WIDE_PX, _NARROW_PX))
    return _Picture(title, subtitle, _raw(wide), _raw(narrow), _raw(data))


def _raw(text: str) -> Markup:
    """Return text that goes into the page as it is: ours, or written by what draws."""
    return Markup(text)  # noqa: S704 -- the one place: styles, scripts, pictures, escaped data


def _scripts() -> list[str]:
    """Return the scripts of a page with charts; none holds what would end its element early."""
    from planner.present.charts.base import bundle  # noqa: PLC0415 -- an extra

    return [_ENDS_SCRIPT.sub(r"\\x3c", script) for script in (bundle(), _asset("page.js"))]


def _policy(style: str, scripts: Sequence[str]) -> str:
    """Return the page's content-security policy: its own style and scripts, and an empty icon."""
    allowed = [
        "default-src 'none'",
        f"style-src {_digest(style)}",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    if scripts:
        allowed.insert(1, f"script-src {' '.join(_digest(script) for script in scripts)}")
    return "; ".join(allowed)


def _digest(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
