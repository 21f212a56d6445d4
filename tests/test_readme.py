"""The README and the manual tell the truth: their commands run, and print what is shown.

``python -m tests.test_readme`` writes what the commands print today below them, and the picture of
the report; the diff is read before it is committed.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sysconfig
import textwrap
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import pytest

import planner
from planner import errors
from planner.shipped import docs
from planner.solve import model
from tests.cli.conftest import Screen, run_here

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
MANUAL = ROOT / "planner" / "manual"
README = ROOT / "README.md"
PAGES = {path.stem: path for path in (README, *sorted(MANUAL.glob("*.md")))}
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
LOCK = (ROOT / ".ci" / "requirements.txt").read_text(encoding="utf-8")
PICTURE = ROOT / "notebooks" / "report.png"
MOST_BYTES = 10_000
"""Of the README: what a newcomer reads before deciding."""
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLAIN = re.compile(r"planner [^$<>|&;*?`\\#()]+")
"""A command that a shell would only divide into words."""
PROMPT = re.compile(r"^\$ ", re.MULTILINE)
VOLATILE = ((re.compile(r"\b\d+\.\d\d s\b"), "0.00 s"), (re.compile(r"-[0-9a-f]{12}\b"), "-hash"))
"""What differs from run to run: the solver's seconds, and the nonce in the names of disks."""
ANYTHING = "…"
"""A line that stands for all that is not shown."""


class Block(NamedTuple):
    """A fenced block: its language and its text."""

    language: str
    text: str


class Step(NamedTuple):
    """A line typed at a prompt, and what a page shows below it."""

    command: str
    shown: str


def _text(page: str) -> str:
    return PAGES[page].read_text(encoding="utf-8")


def _blocks(page: str) -> list[Block]:
    return [Block(*match.groups()) for match in FENCE.finditer(_text(page))]


def _texts(page: str, language: str) -> list[str]:
    return [block.text for block in _blocks(page) if block.language == language]


def _steps(text: str) -> Iterator[Step]:
    for part in PROMPT.split(text)[1:]:
        command, _, shown = part.partition("\n")
        yield Step(command, shown)


SETUP = [text.strip() for text in _texts("README", "sh") if ".venv" in text]
WITH_PAGES = [
    name for name in PAGES if {"console", "python", "sh"} & {block[0] for block in _blocks(name)}
]


class Clone:
    """A fresh clone's data, no key anywhere, 80 columns."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "data", folder / "data")
        dropped = ("FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
        self.environ = {
            **{k: v for k, v in os.environ.items() if k[:6] != "PRIME_" and k not in dropped},
            "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "COLUMNS": "80",
            "PYTHONUNBUFFERED": "1",
            "PYTHONIOENCODING": "utf-8",
            "NO_COLOR": "1",
        }

    def type(self, command: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a line as a terminal would, both streams in the order in which they are written.

        A command that needs nothing of a shell is run in this process.
        """
        environ = {**self.environ, **environ}
        if PLAIN.fullmatch(command):
            screen, (_, *words) = Screen(), shlex.split(command)
            streams = (io.TextIOWrapper(io.BytesIO()), screen, screen)
            code = run_here(words, folder=self.folder, environ=environ, streams=streams)
            return subprocess.CompletedProcess(command, code, screen.text)
        bash = shutil.which("bash")
        assert bash is not None
        return subprocess.run(
            [bash, "-c", command],
            check=False,
            cwd=self.folder,
            encoding="utf-8",
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
        )

    def succeed(self, command: str) -> str:
        """Run a line that is to succeed, and return what it prints."""
        ran = self.type(command)
        assert ran.returncode == 0, f"{command}\n{ran.stdout}"
        assert "Traceback" not in ran.stdout
        return ran.stdout

    def execute(self, source: str) -> str:
        """Run a block of Python, and return what it prints."""
        printed = io.StringIO()
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(printed):
            exec(compile(source, "page", "exec"), {})  # noqa: S102 -- our own page
        return printed.getvalue()


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """Stand where a fresh clone has its data."""
    return Clone(tmp_path)


def _comparable(text: str) -> list[str]:
    """Return lines without trailing blanks, empty lines and what differs from run to run."""
    for pattern, instead in VOLATILE:
        text = pattern.sub(instead, text)
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def _abridged(printed: list[str], shown: list[str]) -> list[str]:
    """Return printed lines with those left out that a page leaves out."""
    if ANYTHING not in shown:
        return printed
    at = shown.index(ANYTHING)
    return [*printed[:at], ANYTHING, *printed[len(printed) - (len(shown) - at - 1) :]]


def _agrees(printed: str, shown: str) -> bool:
    wanted = _comparable(shown)
    return _abridged(_comparable(printed), wanted) == wanted


def _runs_offline(text: str) -> bool:
    return "shipped:" in text or "--rehearse" in text or text.startswith("planner init")


def _is_elsewhere(text: str) -> bool:
    """Return whether a block has a test of its own, or is of another program."""
    return not text.startswith("planner") or any(
        word in text for word in (".venv", "planner sim", "sim-key")
    )


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_PAGES)
def test_a_page_is_true(page: str, clone: Clone) -> None:
    """From top to bottom: each command and each piece of Python does what the page says.

    What needs the live market is understood, and ends with what is missing: a key, or a terminal.
    """
    blocks = _blocks(page)
    for block, after in zip(blocks, [*blocks[1:], Block("", "")], strict=True):
        match block.language:
            case "console":
                for command, shown in _steps(block.text):
                    printed = clone.succeed(command)
                    wanted = _comparable(shown)
                    assert (command, _abridged(_comparable(printed), wanted)) == (command, wanted)
            case "python":
                assert after.language == "text"
                assert _comparable(clone.execute(block.text)) == _comparable(after.text)
            case "sh" if not _is_elsewhere(block.text):
                for line in block.text.splitlines():
                    if _runs_offline(line) or "shipped:" in block.text:
                        clone.succeed(line)
                        continue
                    ran = clone.type(line)
                    assert ran.returncode == errors.InputError.exit_code, line
                    assert re.search(r"there is no API key|no terminal to prompt on", ran.stdout)


@pytest.mark.slow
def test_the_tour_of_buying_works(clone: Clone) -> None:
    """Plan, buy, buy nothing twice, grow, retire and delete, at a local marketplace."""
    (tour,) = [text for text in _texts("buying", "sh") if "sim-key" in text]
    setting, _, commands = tour.partition("\n")
    with planner.Sim(provisioning_s=0.1) as sim:
        assert setting.startswith(f"export PRIME_API_KEY={sim.key} PRIME_API_BASE_URL=http://127.")
        ran = clone.type(f"set -e\n{commands}", **sim.environ, PLANNER_SETTLE="5")
        assert ran.returncode == 0, ran.stdout
        created = [disk for disk in sim.disks() if disk["requests"]["created"]]
        assert len(created) == 5
        assert {disk["status"] for disk in created} == {"TERMINATED"}


def test_the_readme_is_short() -> None:
    """A newcomer reads it to the end; the rest is in the manual."""
    assert len(README.read_bytes()) <= MOST_BYTES


def test_every_page_of_the_manual_is_listed_in_the_readme() -> None:
    """By its topic, as `planner docs` takes it."""
    listed = re.findall(
        r"^\| \[([\w-]+)\]\(planner/manual/\1\.md\) \|", _text("README"), re.MULTILINE
    )
    assert listed == [line.split()[0] for line in docs().splitlines()]


def test_both_ways_to_set_up_are_one_line_each() -> None:
    """The first installs and plans what ships; the second installs for development and tests."""
    plan, test = SETUP
    assert "\n" not in plan + test
    assert plan.startswith("python3 -m venv .venv && echo '")
    assert "' && .venv/bin/pip install --quiet . && .venv/bin/planner plan data/" in plan
    assert CI.splitlines()[-1] == test
    assert test.endswith(_verbs()["test"])


@pytest.mark.slow
def test_the_first_command_ends_with_a_plan(clone: Clone) -> None:
    """What it runs after the installation is the plan that the page opens with."""
    command = SETUP[0].rpartition(".venv/bin/")[2]
    (first,) = [*_steps(_texts("README", "console")[0])]
    printed = clone.succeed(command)
    assert printed.splitlines()[:-4][:8] == first.shown.splitlines()[:8]
    assert "optimal: no cheaper plan exists" in printed
    assert re.search(r"HiGHS, \d+ variables", printed), "the integer program decides"


def _verbs() -> dict[str, str]:
    rows = re.findall(r"^\| (\w+) \| `([^`]+)` \|$", _text("extending"), re.MULTILINE)
    return dict(rows)


@pytest.mark.parametrize("verb", ["fmt", "lint", "types", "test"])
def test_a_verb_is_what_ci_runs(verb: str) -> None:
    """Developers and CI type the same commands; CI only checks the format."""
    command = _verbs()[verb].replace("ruff format", "ruff format --check")
    assert any(line == command or line.endswith(f"&& {command}") for line in CI.splitlines())


def test_the_fast_tests_are_tests_that_ci_runs() -> None:
    """They are the same command, less the slow ones."""
    assert _verbs()["fast"] == f'{_verbs()["test"]} -m "not slow"'


def test_ci_installs_versions_that_are_written_down() -> None:
    """A new release of anything that planner or its tests import breaks nothing on its day."""
    locked = re.findall(r"^([\w.-]+)==\S+$", LOCK, re.MULTILINE)
    names = {name.lower() for name in locked}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["dev"],
        *project["project"]["optional-dependencies"]["charts"],
    ]
    needed = {re.split(r"[\[<>=~!,; ]", one)[0].lower() for one in wanted}
    assert needed - {project["project"]["name"]} <= names
    assert "export PIP_CONSTRAINT=.ci/requirements.txt" in CI


def test_the_package_is_installed_by_its_name() -> None:
    """Every line that installs it without a clone names what the project is called."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = re.findall(r"`((?:uvx|uv tool|pipx|pip) [^`]+)`", _text("README"))
    assert len(lines) > 3
    assert [line for line in lines if project["name"] not in line] == []
    assert project["scripts"] == {"planner": "planner.__main__:main"}


@pytest.mark.parametrize("page", PAGES)
def test_the_demands_shown_are_sound(page: str) -> None:
    """Each is accepted."""
    for text in _texts(page, "yaml"):
        if text.startswith("version:"):
            assert planner.read_demand(io.StringIO(text)).volumes


def test_the_demand_shown_is_complete() -> None:
    """The example has every field that the format has."""
    text = next(text for text in _texts("demand-file", "yaml") if text.startswith("version:"))
    demand = planner.read_demand(io.StringIO(text))
    names = [volume.name for volume in demand.volumes]
    assert names == ["corpus", "checkpoints", "scratch-1", "scratch-2", "scratch-3"]
    schema = planner.demand_schema()
    places = [schema, *schema["$defs"].values()]
    fields = {field for place in places for field in place.get("properties", {})}
    assert len(fields) > 30
    assert not {field for field in fields if not re.search(rf"\b{field}\b", text)}


def test_the_program_of_the_manual_is_the_program() -> None:
    """It has every kind of constraint that the model opens with, and no other."""
    assert model.__doc__ is not None
    rows = re.compile(r"^ *(\w+) {2,}\S*[Σyxz≤]", re.MULTILINE)
    stated = {*rows.findall(model.__doc__.partition("Constraints\n")[2])}
    (shown,) = [text for text in _texts("how-it-decides", "text") if "minimise" in text]
    assert len(stated) > 8
    assert stated == {*rows.findall(shown)} - {"minimise"}


def test_the_exit_codes_are_all_there() -> None:
    """The table has the code of every error, and those of done, changes and interrupted."""
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", _text("ci"), re.MULTILINE)}
    kinds = [one for one in vars(errors).values() if isinstance(one, type)]
    used = {one.exit_code for one in kinds if issubclass(one, errors.PlannerError)}
    assert listed == used | {0, 12, 130}


def test_every_room_is_drawn() -> None:
    """The drawing of the package has all its rooms, and no other."""
    (drawing,) = [text for text in _texts("extending", "text") if text.startswith("planner/")]
    drawn: set[str] = set()
    for line in textwrap.dedent(drawing.partition("\n")[2]).splitlines():
        if line.startswith("  "):
            drawn |= {name.strip("/") for name in re.split(r"\s{2,}", line.strip())[:-1]}
    rooms = {path.stem for path in (ROOT / "planner").iterdir() if path.name[0] not in "_."}
    assert drawn == rooms - {"py", "data"}


def _headings(page: str) -> set[str]:
    """Return the anchors of a page."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", _text(page)), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Files and headings that a page links to exist; a page of the manual links to pages alone."""
    prose = re.sub(r"`[^`\n]*`", "", FENCE.sub("", _text(page)))
    for target in re.findall(r"\]\(([^)]+)\)", prose):
        if target.startswith("https://"):
            continue
        file, _, heading = target.partition("#")
        path = (PAGES[page].parent / file).resolve() if file else PAGES[page]
        assert path.is_file(), target
        assert page == "README" or path.parent == MANUAL, target
        assert not heading or heading in _headings(path.stem), target


def _rewritten(page: str, clone: Clone) -> str:
    """Return a page with what its commands print today."""
    after_python: list[str] = []

    def block(match: re.Match[str]) -> str:
        language, text = match.groups()
        if language == "console":
            parts = []
            for command, shown in _steps(text):
                printed = clone.type(command).stdout
                lines = [line.rstrip() for line in printed.strip("\n").splitlines()]
                kept = _abridged(lines, shown.rstrip("\n").splitlines())
                new = "\n".join(kept) + "\n" if kept else ""
                parts.append(f"$ {command}\n{shown if _agrees(printed, shown) else new}")
            text = "".join(parts)
        elif language == "python":
            after_python.append(clone.execute(text))
        elif language == "text" and after_python:
            text = after_python.pop()
        elif language == "sh" and not _is_elsewhere(text) and _runs_offline(text):
            for line in text.splitlines():
                if _runs_offline(line) or "shipped:" in text:
                    clone.succeed(line)
        return f"```{language}\n{text}```"

    return FENCE.sub(block, _text(page))


def _draw(clone: Clone) -> None:
    """Write the README's picture: the top of the page that `planner report --html` writes."""
    from playwright.sync_api import sync_playwright

    from tests.reports.test_browser import CHROMIUM, SWITCHES

    clone.succeed("planner plan shipped:research --offers shipped:disk-offers --out plan.json")
    clone.succeed("planner report plan.json --html report.html")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(SWITCHES))
        page = browser.new_page(viewport={"width": 1000, "height": 800})
        page.goto((clone.folder / "report.html").as_uri())
        page.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    import sys

    for name in sys.argv[1:] or [*WITH_PAGES, "picture"]:
        with TemporaryDirectory() as place:
            if name == "picture":
                _draw(Clone(Path(place)))
                continue
            PAGES[name].write_text(_rewritten(name, Clone(Path(place))), encoding="utf-8")
