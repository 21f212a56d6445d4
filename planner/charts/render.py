"""Charts as pictures: SVG, PNG and PDF, without a browser."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.charts.extra import altair, vl_convert
from planner.charts.theme import PAGE_INK, WIDTH, config
from planner.errors import InputError
from planner.files import write_atomic
from planner.text import visible

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
    chart : Chart or LayerChart
        Another kind keeps its own width.
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
