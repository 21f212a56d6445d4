"""Charts as pictures."""

from __future__ import annotations

import re
import struct
from decimal import Decimal
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import altair as alt
import pytest

from planner.errors import InputError
from planner.present.charts.base import INK, bundle, caption, page_spec, page_svg, save_chart, svg
from planner.present.charts.cost import COST_DISKS, cost_chart
from planner.schema import build
from tests.present.charts.drawn import HOSTILE

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "{http://www.w3.org/2000/svg}text"


@pytest.fixture(scope="module")
def chart() -> alt.LayerChart:
    names = [name for name in HOSTILE if len(name) < 60]
    return cost_chart(
        build(
            [
                {"owner": name, "site": name, "standing": "kept", "usd_hr": Decimal(9 - at)}
                for at, name in enumerate(names[:8])
            ],
            COST_DISKS,
        )
    )


def size(picture: str) -> tuple[float, float]:
    found = re.search(r'<svg[^>]* width="([\d.]+)" height="([\d.]+)"', picture)
    assert found is not None
    return float(found[1]), float(found[2])


def texts(picture: str) -> set[str]:
    return {node.text or "" for node in ET.fromstring(picture).iter(TEXT)}  # noqa: S314 -- our own


@pytest.mark.slow
def test_an_svg_is_text_on_white_with_nothing_to_fetch(chart: alt.LayerChart) -> None:
    """Hostile names are text in it, whole, and no element of theirs appears."""
    picture = svg(chart)
    assert set(HOSTILE[:3]) <= texts(picture)
    assert INK in picture
    names = {node.tag.rpartition("}")[2] for node in ET.fromstring(picture).iter()}  # noqa: S314 -- our own
    assert names <= {"svg", "g", "path", "line", "rect", "text", "defs", "clipPath"}
    assert not re.search(r"\b(?:href|src|style|on\w+)=", re.sub(r">[^<]*<", "><", picture))
    assert "url(" not in picture


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "begins"),
    [(".svg", b"<svg "), (".png", b"\x89PNG\r\n\x1a\n"), (".pdf", b"%PDF-"), (".PNG", b"\x89PNG")],
)
def test_the_suffix_decides(
    suffix: str, begins: bytes, chart: alt.LayerChart, tmp_path: Path
) -> None:
    """SVG, PNG or PDF, and nothing else beside it."""
    path = tmp_path / f"chart{suffix}"
    save_chart(chart, path)
    assert path.read_bytes().startswith(begins)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_a_png_has_two_pixels_for_each(chart: alt.LayerChart, tmp_path: Path) -> None:
    """So that it is sharp on the screens and papers of today."""
    save_chart(chart, tmp_path / "chart.png")
    header = (tmp_path / "chart.png").read_bytes()[16:24]
    assert struct.unpack(">II", header) == tuple(round(2 * length) for length in size(svg(chart)))


@pytest.mark.parametrize("name", ["chart.gif", "chart", "chart.svg.txt"])
def test_another_suffix_is_refused(name: str, chart: alt.LayerChart, tmp_path: Path) -> None:
    """The hint names those there are."""
    with pytest.raises(InputError, match="cannot be saved as") as caught:
        save_chart(chart, tmp_path / name)
    assert caught.value.hint == "name a file that ends in .svg, .png, .pdf"
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_place_that_cannot_be_written_is_said(chart: alt.LayerChart, tmp_path: Path) -> None:
    """As for every file."""
    with pytest.raises(InputError, match="cannot be written"):
        save_chart(chart, tmp_path / "nowhere" / "chart.svg")


@pytest.mark.slow
def test_nothing_is_fetched() -> None:
    """A chart of one's own whose data lies behind a URL is refused, not asked for."""
    away = alt.Chart("http://127.0.0.1:9/data.json").mark_point().encode(x="a:Q")
    with pytest.raises(InputError, match="cannot be drawn") as caught:
        svg(away)
    assert "not from a URL" in str(caught.value.hint)


@pytest.mark.slow
def test_in_a_page_text_takes_the_pages_colour(chart: alt.LayerChart) -> None:
    """There is no background, no ink of its own, and no title: the page has it."""
    picture = page_svg(chart)
    assert INK not in picture
    assert "#000" not in picture
    assert 'fill="currentColor"' in picture
    assert not re.search(r'<rect[^>]*fill="white"', picture)
    assert caption(chart)[0] not in texts(picture)
    assert caption(chart) == (
        "Cost a month by owner and site",
        "8 disks, $32,120.00 a month of 730 hours.",
    )


@pytest.mark.slow
@pytest.mark.sweep
@pytest.mark.parametrize("width", [328, 680])
def test_in_a_page_a_chart_is_as_wide_as_it_is_told(width: int, chart: alt.LayerChart) -> None:
    """Everything included, to the pixel."""
    assert size(page_svg(chart, width))[0] == width


def test_another_chart_can_stand_in_a_page() -> None:
    """One's own, without a title, or of parts side by side, which keep their width."""
    one = alt.Chart(alt.InlineData([{"a": 1}])).mark_point().encode(x="a:Q")
    assert caption(one) == ("", "")
    assert caption(one.properties(title=["two", "lines"])) == ("two lines", "")
    assert page_spec(one)["width"] == "container"
    assert "width" not in page_spec(one | one)
    assert page_svg(one | one).startswith("<svg ")


@pytest.mark.slow
def test_the_same_chart_is_the_same_picture(chart: alt.LayerChart) -> None:
    """To the byte."""
    assert page_svg(chart) == page_svg(chart)
    assert svg(chart) == svg(chart)


@pytest.mark.slow
def test_the_script_fits_into_a_page() -> None:
    """It sets what the page's script calls, and is not much more than a megabyte."""
    script = bundle()
    assert "window.vegaEmbed=" in script
    assert len(script) < 1_200_000
