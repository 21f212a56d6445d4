"""What a chart draws, read back from its specification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair as alt

HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "datum['usd'] > 0 ? 'a' : 'b'",
    "a.b[0].c",
    "{{ 7 * 7 }}",
    "__proto__",
    "constructor",
    "signal",
    "\"quoted\" & 'both'",
    "\x1b[2J",
    "\u202etxet",
    "line\nbreak",
    "",
    "é" * 200,
)
"""Names that a marketplace, or whoever names things there, may send."""


def layers(chart: alt.TopLevelMixin) -> list[dict[str, Any]]:
    """Return the layers of a chart, each with its own rows as ``rows``."""
    spec = chart.to_dict()
    found = []
    for layer in spec["layer"]:
        data = layer.get("data", spec.get("data"))
        found.append({**layer, "rows": spec["datasets"][data["name"]]})
    return found


def pieces(chart: alt.TopLevelMixin) -> list[dict[str, Any]]:
    """Return the stretches of all bars."""
    return next(one["rows"] for one in layers(chart) if one.get("name") == "bars")


def rows(chart: alt.TopLevelMixin) -> list[tuple[str, str]]:
    """Return the label and the amount of each bar, from the top."""
    texts = [one for one in layers(chart) if one["mark"]["type"] == "text"]
    labels = next(one for one in texts if one["encoding"]["text"]["field"] == "row")
    drawn = [(row["row"], row["amount"]) for row in labels["rows"]]
    assert labels["encoding"]["y"]["scale"]["domain"] == [label for label, _ in drawn]
    return drawn


def kinds(chart: alt.TopLevelMixin) -> dict[str, str]:
    """Return the colour of each kind."""
    scale = next(one for one in layers(chart) if one.get("name") == "bars")["encoding"]["color"]
    return dict(zip(scale["scale"]["domain"], scale["scale"]["range"], strict=True))


def subtitle(chart: alt.TopLevelMixin) -> str:
    """Return what stands below the title."""
    return " ".join(chart.to_dict()["title"]["subtitle"])


def is_empty(chart: alt.TopLevelMixin) -> bool:
    """Return whether a chart says that there is nothing to draw."""
    return [one["rows"] for one in layers(chart)] == [[{"said": "nothing to draw"}]]
