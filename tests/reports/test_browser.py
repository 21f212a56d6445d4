"""The page in a real browser: at two widths, in two lights, with scripts and without, offline."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import expect, sync_playwright

import planner
from planner.reports.page import page as write_page
from tests.reports.pages import LEAD, SECTIONS, WARNINGS, charts
from tests.shipped_plans import research

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.slow,  # a browser takes seconds to start
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("CI"), reason="there is no Chromium"
    ),
]
SWITCHES = (
    "--no-sandbox",  # a container's root cannot have one
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PHONE, DESK = (360, 740), (1280, 900)
LOOKS = [
    pytest.param(name, size, scheme, id=f"{name}-{'phone' if size == PHONE else 'desk'}-{scheme}")
    for name, size, scheme in (
        ("sample", PHONE, "light"),
        ("sample", PHONE, "dark"),
        ("sample", DESK, "light"),
        ("sample", DESK, "dark"),
        ("research", PHONE, "dark"),
        ("research", DESK, "light"),
    )
]
"""The hand-made page in every look, the shipped research group's at both widths, in both lights."""


@dataclass
class Watched:
    """A page, and all that was heard of it since it was opened."""

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM is not None, "CI has to have a Chromium"
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=list(SWITCHES))
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the pages as files: the hand-made, the shipped research group's, without scripts."""
    folder = tmp_path_factory.mktemp("pages")
    made = {
        "sample": write_page("Storage of lab", LEAD, SECTIONS, charts(), WARNINGS),
        "research": planner.report(research()).to_html(),
    }
    found = {}
    for name, text in made.items():
        still = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
        assert still.count("<script") == still.count("<figure>") > 0
        for shown, kind in ((text, name), (still, f"{name}-still")):
            found[kind] = folder / f"{kind}.html"
            found[kind].write_text(shown, encoding="utf-8")
    return found


@contextmanager
def opened(
    browser: Browser,
    path: Path,
    size: tuple[int, int] = DESK,
    scheme: Any = "light",
    *,
    scripts: bool = True,
) -> Iterator[Watched]:
    """Open a page where there is no network, and listen."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,
        java_script_enabled=scripts,
        offline=True,
    )
    context.set_default_timeout(10_000)
    watched = Watched(context.new_page())
    watched.page.on("console", lambda one: watched.said.append(f"{one.type}: {one.text}"))
    watched.page.on("pageerror", lambda one: watched.said.append(f"error: {one}"))
    watched.page.on("dialog", lambda one: watched.said.append(f"dialog: {one.message}"))
    watched.page.on("request", lambda one: watched.asked.append(one.url))
    watched.page.goto(path.as_uri())
    yield watched
    context.close()


def alive(page: Page, *, but: int = 0) -> None:
    """Wait until all charts but some are drawn by the script."""
    expect(page.locator("figure.live")).to_have_count(page.locator("figure").count() - but)


def violations(page: Page) -> list[str]:
    """Return what axe-core finds: the rule and the element."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]


def sideways(page: Page) -> int:
    """Return by how many px the page is wider than the window."""
    width: int = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return width


def test_what_is_amiss_is_found(browser: Browser, tmp_path: Path) -> None:
    """The check can fail: a picture without words, a page too wide, a request, a message."""
    amiss = tmp_path / "amiss.html"
    body = '<p style="width: 400px"><img src="http://127.0.0.1:9/a.png"><script>no()</script>'
    amiss.write_text(body, encoding="utf-8")
    with opened(browser, amiss, PHONE) as watched:
        assert any(one.startswith("image-alt: <img") for one in violations(watched.page))
        assert sideways(watched.page) > 0
        assert watched.asked == [amiss.as_uri(), "http://127.0.0.1:9/a.png"]
        assert any("no is not defined" in one for one in watched.said)


@pytest.mark.parametrize(("name", "size", "scheme"), LOOKS)
def test_with_scripts_the_charts_are_alive(
    name: str, size: tuple[int, int], scheme: str, browser: Browser, paths: dict[str, Path]
) -> None:
    """Quietly, accessibly, without a request, and never wider than the window."""
    with opened(browser, paths[name], size, scheme) as watched:
        page = watched.page
        alive(page)
        assert page.locator(".view svg.marks .mark-rect").first.is_visible()
        assert not any(one.is_visible() for one in page.locator(".still").all())
        assert sideways(page) <= 0
        assert violations(page) == []
        assert watched.said == []
        assert watched.asked == [paths[name].as_uri()]


@pytest.mark.parametrize(("name", "size", "scheme"), LOOKS)
def test_without_scripts_the_charts_are_pictures(
    name: str, size: tuple[int, int], scheme: str, browser: Browser, paths: dict[str, Path]
) -> None:
    """One for each chart, of the width that fits; all else as before."""
    with opened(browser, paths[name], size, scheme, scripts=False) as watched:
        page = watched.page
        fits, other = ("narrow", "wide") if size == PHONE else ("wide", "narrow")
        assert all(one.is_visible() for one in page.locator(f".still.{fits} svg").all())
        assert not any(one.is_visible() for one in page.locator(f".still.{other} svg").all())
        assert page.locator(".view").count() == 0
        assert sideways(page) <= 0
        assert watched.said == []
        assert watched.asked == [paths[name].as_uri()]
    # axe is a script: it looks at the same page, from which the scripts were taken.
    with opened(browser, paths[f"{name}-still"], size, scheme) as watched:
        assert violations(watched.page) == []


def test_text_follows_the_light(browser: Browser, paths: dict[str, Path]) -> None:
    """A picture's text has the colour of the page's, which stands out from its background."""
    seen = set()
    for scheme in ("light", "dark"):
        with opened(browser, paths["sample"], scheme=scheme, scripts=False) as watched:
            fill = watched.page.locator(".still.wide text").first.evaluate(
                "one => getComputedStyle(one).fill"
            )
            ink, paper = watched.page.locator("body").evaluate(
                "one => [getComputedStyle(one).color, getComputedStyle(one).backgroundColor]"
            )
            assert fill == ink
            assert ink != paper
            seen.add((ink, paper))
    assert len(seen) == 2


def test_pointing_at_a_bar_shows_its_figures(browser: Browser, paths: dict[str, Path]) -> None:
    """As text, whatever it is, within the window, until Escape."""
    with opened(browser, paths["sample"], PHONE) as watched:
        page = watched.page
        alive(page)
        tip = page.locator(".tip")
        assert not tip.is_visible()
        figure = page.locator("figure").nth(1)
        figure.scroll_into_view_if_needed()
        page.evaluate("() => new Promise(done => setTimeout(done, 200))")  # scrolling hides it
        figure.locator(".view .bars_marks path").first.hover()
        expect(tip).to_be_visible()
        assert tip.locator("dt").all_inner_texts() == ["owner", "site", "USD a month", "disks"]
        assert tip.locator("dd").all_inner_texts() == [
            "</script><img src=x onerror=alert(1)>",
            "</script><img src=x onerror=alert(1)>",
            "$14,600.00",
            "1 (kept)",
        ]
        box = tip.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE[0]
        page.keyboard.press("Escape")
        assert not tip.is_visible()
        assert page.locator("main img").count() == 0
        assert watched.said == []


def test_pointing_at_the_legend_sets_a_kind_apart(browser: Browser, paths: dict[str, Path]) -> None:
    """What is of another kind grows pale."""
    with opened(browser, paths["sample"]) as watched:
        page = watched.page
        alive(page)
        figure = page.locator("figure").nth(0)
        bars = figure.locator(".view .bars_marks path")
        assert [one.get_attribute("opacity") for one in bars.all()] == ["1", "1"]
        box = figure.locator(".view .role-legend-label text").last.bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + 4, box["y"] + 4)
        assert [one.get_attribute("opacity") for one in bars.all()] == ["0.3", "1"]


def test_where_a_chart_fails_its_picture_stays(
    browser: Browser, paths: dict[str, Path], tmp_path: Path
) -> None:
    """And the others come alive."""
    text = paths["sample"].read_text(encoding="utf-8")
    broken = tmp_path / "broken.html"
    data = re.compile(r'(<script type="application/json">).*?(</script>)')
    broken.write_text(data.sub(r'\1{"mark":7}\2', text, count=1), encoding="utf-8")
    with opened(browser, broken) as watched:
        page = watched.page
        alive(page, but=1)
        assert page.locator("figure").nth(0).locator(".still.wide svg").is_visible()
        expect(page.locator(".view")).to_have_count(2)


def test_the_policy_is_in_force(browser: Browser, paths: dict[str, Path]) -> None:
    """A script that is not the page's own does not run."""
    with opened(browser, paths["sample"]) as watched:
        page = watched.page
        alive(page)
        page.evaluate(
            "document.body.append(Object.assign(document.createElement('script'),"
            " {textContent: 'window.ran = true'}))"
        )
        assert page.evaluate("window.ran") is None
        assert any("Content Security Policy" in one for one in watched.said)


def test_on_paper_there_are_pictures(browser: Browser, paths: dict[str, Path]) -> None:
    """Dark ink on white, no links, and tables that are not cut, though the screen was dark."""
    with opened(browser, paths["sample"], scheme="dark") as watched:
        page = watched.page
        alive(page)
        page.emulate_media(media="print")
        assert page.locator(".still.wide svg").first.is_visible()
        assert not page.locator(".view, nav, .skip, .still.narrow").first.is_visible()
        assert not any(one.is_visible() for one in page.locator(".view").all())
        colour = page.locator("body").evaluate("one => getComputedStyle(one).color")
        assert colour == "rgb(28, 32, 36)"
        scrolls = "all => all.some(one => getComputedStyle(one).overflowX !== 'visible')"
        assert not page.locator(".scroll").evaluate_all(scrolls)
        assert page.pdf(format="A4").startswith(b"%PDF-")


def test_what_is_folded_is_on_paper(browser: Browser, paths: dict[str, Path]) -> None:
    """On a screen a title that opens; on paper there is nothing to click."""
    for scripts in (True, False):
        with opened(browser, paths["research"], scripts=scripts) as watched:
            table = watched.page.locator("details table").first
            assert not table.is_visible()
            watched.page.emulate_media(media="print")
            assert table.is_visible()
            watched.page.emulate_media(media="screen")
            watched.page.locator("details > summary").first.click()
            assert table.is_visible()


def test_the_keyboard_reaches_everything(browser: Browser, paths: dict[str, Path]) -> None:
    """The link that skips comes first and into sight; a wide table can be scrolled."""
    with opened(browser, paths["sample"], PHONE) as watched:
        page = watched.page
        alive(page)
        page.keyboard.press("Tab")
        skip = page.locator(".skip")
        expect(skip).to_be_focused()
        box = skip.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.locator(".scroll").first).to_be_focused()
        wide = page.locator(".scroll").nth(1)
        assert wide.evaluate("one => one.scrollWidth > one.clientWidth")
        wide.focus()
        expect(wide).to_be_focused()
