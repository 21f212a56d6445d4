"""How charts look: colours, ink and type, in one place.

Every colour stands out from white and from the page's dark background by at least 3:1 and from
the other colours to eyes that see no red, no green or no blue, so that one picture serves all.
"""

from __future__ import annotations

from typing import Any

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
