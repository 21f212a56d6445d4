"""The libraries that draw: an extra, loaded by the first chart and not before."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, TypeVar

from planner.errors import InputError
from planner.formats import write_atomic
from planner.present.progress import working
from planner.text import visible
from planner.units import money

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from decimal import Decimal
    from types import ModuleType


INSTALL = "pip install altair vl-convert-python"
"""What brings the libraries, wherever planner itself came from."""


def drawable() -> bool:
    """Return whether both libraries of the extra are installed, without loading them."""
    return all(find_spec(name) is not None for name in ("altair", "vl_convert"))


def altair() -> ModuleType:
    """Return altair, which describes charts.

    Raises
    ------
    InputError
        When the extra is not installed.
    """
    try:
        import altair as alt  # noqa: PLC0415 -- an extra, and slow to load
    except ImportError as error:
        raise _missing("altair") from error
    return alt


def vl_convert() -> ModuleType:
    """Return vl-convert, which turns charts into pictures without a browser.

    Raises
    ------
    InputError
        When the extra is not installed.
    """
    try:
        import vl_convert as library  # noqa: PLC0415 -- an extra, and large
    except ImportError as error:
        raise _missing("vl-convert-python") from error
    return library


def _missing(name: str) -> InputError:
    message = f"charts need {name}, which is not installed"
    return InputError(message, hint=INSTALL)


COLOURS = ("#0072b2", "#bc8906", "#a94a1f", "#73975c", "#a086aa")
"""For kinds, the largest first."""
REST = "#6b7075"
"""For all that have no colour of their own, and for what is unknown."""
WITHIN, WARN, OVER = COLOURS[:3]
"""For budgets that hold, nearly break, and are broken."""

PAPER, INK = "#ffffff", "#1c2024"
"""Background and text of a picture that stands alone."""
PAGE_INK = "currentColor"
"""Text of a picture in a page: whatever the page's text is, light or dark."""

WIDTH = 640
"""Of a chart in px, axes and labels included."""
LABEL_PX = 180
"""Width of a legend's label, at most."""
PALE = 0.3
"""Opacity of what is not there yet, or cannot be had now."""

_FONT = "Arial, Helvetica, 'Liberation Sans', sans-serif"
"""Families of the same widths, so that what was measured here fits elsewhere."""


def config(ink: str = INK, paper: str | None = PAPER) -> dict[str, Any]:
    """Return a Vega-Lite configuration.

    Marks carry no texts for screen readers: a picture is one image, and its text the table beside.

    Parameters
    ----------
    ink : str
        Colour of texts, marks of no kind and the grid.
    paper : str | None
        Colour of the background; None leaves it out.
    """
    quiet = {"titleFontWeight": "normal", "titleFontSize": 11, "titleColor": ink}
    return {
        "aria": False,
        "mark": {"aria": False},
        "background": paper,
        "font": _FONT,
        "padding": 14 if paper else {"left": 0, "right": 0, "top": 2, "bottom": 2},
        "view": {"stroke": None},
        "title": {
            "anchor": "start",
            "color": ink,
            "fontSize": 15,
            "frame": "bounds",
            "offset": 14,
            "subtitleColor": ink,
            "subtitleFontSize": 12,
            "subtitleLineHeight": 16,
            "subtitlePadding": 6,
        },
        "axis": {
            **quiet,
            "domain": False,
            "gridColor": ink,
            "gridOpacity": 0.14,
            "labelColor": ink,
            "labelFontSize": 11,
            "labelPadding": 6,
            "ticks": False,
            "titlePadding": 8,
        },
        "legend": {
            **quiet,
            "labelColor": ink,
            "labelFontSize": 12,
            "labelLimit": LABEL_PX,
            "offset": 10,
            "orient": "top",
            "symbolSize": 110,
            "symbolType": "square",
            "title": None,
        },
        "text": {"color": ink, "fontSize": 12},
        "point": {"color": ink},
        "tick": {"color": ink},
    }


if TYPE_CHECKING:
    import altair as alt

    AnyChart = alt.TopLevelMixin
    """A chart of any kind that altair can draw on its own."""

SUFFIXES = (".svg", ".png", ".pdf")
"""What a chart can be saved as."""
_SCALE = 2
"""Pixels of a PNG for each px of the chart."""


def svg(chart: AnyChart) -> str:
    """Return a chart as the text of an SVG: dark ink on white, no scripts, nothing to fetch.

    Raises
    ------
    InputError
        When the chart's data lies elsewhere, or the extra is not installed.
    """
    return _drawn(_spec(chart), "svg").decode()


def save_chart(chart: AnyChart, path: str | Path) -> None:
    """Write a chart as SVG, PNG or PDF, as the file's suffix says, whole or not at all.

    Raises
    ------
    InputError
        When the suffix is another, the place cannot be written, the chart's data lies elsewhere,
        or the extra is not installed.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        message = f"{visible(str(path))}: a chart cannot be saved as {visible(suffix or 'this')}"
        raise InputError(message, hint=f"name a file that ends in {', '.join(SUFFIXES)}")
    write_atomic(path, _drawn(_spec(chart), suffix[1:]))


@working("Drawing")
def _drawn(spec: dict[str, Any], kind: str) -> bytes:
    """Return a specification as a picture; nothing is fetched for it.

    Raises
    ------
    InputError
        When its data lies elsewhere, or the extra is not installed.
    """
    convert = getattr(vl_convert(), f"vegalite_to_{kind}")
    options = {"scale": _SCALE} if kind == "png" else {}
    try:
        picture = convert(spec, vl_version=_version(), allowed_base_urls=[], **options)
    except ValueError as error:
        message = f"the chart cannot be drawn: {visible(str(error))}"
        raise InputError(message, hint="draw it from a frame, not from a URL") from error
    content: bytes = picture.encode() if isinstance(picture, str) else picture
    return content


def caption(chart: AnyChart) -> tuple[str, str]:
    """Return a chart's title and what stands below it, each one text, empty where there is none."""
    title = _spec(chart).get("title") or ""
    if not isinstance(title, dict):
        title = {"text": title}
    return _joined(title.get("text", "")), _joined(title.get("subtitle", ""))


def _joined(lines: str | list[str]) -> str:
    return lines if isinstance(lines, str) else " ".join(lines)


def page_spec(chart: AnyChart, width: int | str = "container") -> dict[str, Any]:
    """Return a chart's Vega-Lite specification as a page draws it.

    Text takes the colour of the page's text, there is no background, and title and subtitle are
    left to the page, where they can wrap.

    Parameters
    ----------
    width : int | str
        In px, everything included; ``container`` takes that of the element it is drawn in.
    """
    spec = _spec(chart)
    spec.pop("title", None)
    spec.pop("background", None)
    spec["config"] = {**spec.get("config", {}), **config(PAGE_INK, None)}
    if "mark" in spec or "layer" in spec:
        spec["width"] = width
        spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    return spec


def page_svg(chart: AnyChart, width: int = WIDTH) -> str:
    """Return a chart as the text of an SVG that lies in a page, see ``page_spec``.

    Raises
    ------
    InputError
        When the chart's data lies elsewhere, or the extra is not installed.
    """
    return _drawn(page_spec(chart, width), "svg").decode()


@cache
def bundle() -> str:
    """Return the script that brings charts to life: it sets ``vegaEmbed``, and fetches nothing.

    Raises
    ------
    InputError
        When the extra is not installed.
    """
    script: str = vl_convert().javascript_bundle(vl_version=_version())
    return script


def _spec(chart: AnyChart) -> dict[str, Any]:
    spec: dict[str, Any] = chart.to_dict()
    return spec


def _version() -> str | None:
    """Return the version of Vega-Lite that altair writes, None (the latest) where it is unknown."""
    version = ".".join(altair().SCHEMA_VERSION.lstrip("v").split(".")[:2])
    return version if version in vl_convert().get_vegalite_versions() else None


_Key = TypeVar("_Key")
_Name = TypeVar("_Name", str, str | None)
_LINE = 100
"""Characters of a subtitle that fit into one line."""


def labels(texts: Mapping[_Key, str]) -> dict[_Key, str]:
    """Return a visible label for each key that no other key has: equal ones are numbered.

    >>> labels({1: "US-1", 2: "US-1"})
    {1: 'US-1', 2: 'US-1 (2)'}
    """
    taken: set[str] = set()
    by_key = {}
    for key, text in texts.items():
        name, times = visible(text) or '""', 1
        label = name
        while label in taken:
            times += 1
            label = f"{name} ({times})"
        taken.add(label)
        by_key[key] = label
    return by_key


def named(amounts: Mapping[_Name, Decimal | int], most: int, noun: str) -> dict[_Name, str]:
    """Return a label for each name, that of the largest amount first, and one for all beyond most.

    Where only one would be beyond, it keeps its own: that takes no more room. None is no name.

    >>> named({"a": 1, None: 3, "b": 2, "c": 1}, 2, "owner")
    {None: '(no owner)', 'b': 'b', 'a': '2 more owners', 'c': '2 more owners'}
    """
    order = sorted(amounts, key=lambda name: (-amounts[name], name is None, name or ""))
    cut = len(order) if len(order) <= most + 1 else most
    texts: dict[object, str] = {
        name: f"(no {noun})" if name is None else name for name in order[:cut]
    }
    others = tuple(order[cut:])
    if others:
        texts[others] = f"{len(others)} more {noun}s"
    shown = labels(texts)
    return {name: shown[name if name in order[:cut] else others] for name in order}


def usd(amount: Decimal) -> str:
    """Return an amount of dollars, exact to the cent.

    >>> from decimal import Decimal
    >>> usd(Decimal("1340.505"))
    '$1,340.51'
    """
    text = money(amount)
    return f"-${text[1:]}" if text.startswith("-") else f"${text}"


def counted(number: int, noun: str, many: str | None = None) -> str:
    """Return a number with its noun.

    >>> counted(1, "site"), counted(1200, "site")
    ('1 site', '1,200 sites')
    """
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"


def lines(sentences: Iterable[str]) -> list[str]:
    """Return sentences as lines of a subtitle; empty sentences are left out."""
    return wrap(" ".join(f"{sentence}." for sentence in sentences if sentence), _LINE)


def save_charts(
    charts: Mapping[str, Any], folder: str | Path, formats: Sequence[str]
) -> tuple[Path, ...]:
    """Write charts as files, each under its name, and return their paths.

    Parameters
    ----------
    formats : sequence of str
        ``svg``, ``png`` and ``pdf``.

    Raises
    ------
    InputError
        When the folder cannot be written, a format is none of these, or the library that draws
        is not installed.
    """
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"{visible(str(folder))}: cannot be made: {error.strerror}"
        raise InputError(message, hint="name another directory") from error
    paths = []
    for name, chart in charts.items():
        for suffix in formats:
            path = place / f"{name}.{suffix}"
            save_chart(chart, path)
            paths.append(path)
    return tuple(paths)
