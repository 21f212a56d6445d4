"""The README tells the truth: its commands run, and print what it says they print."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sysconfig
import textwrap
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

import planner
from planner import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
LOCK = (ROOT / ".ci" / "requirements.txt").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VOLATILE = ((re.compile(r"\b\d+\.\d\d s\b"), "0.00 s"), (re.compile(r"-[0-9a-f]{12}\b"), "-hash"))
"""What differs from run to run: the solver's seconds, and the nonce in the names of disks."""
ANYTHING = "…"
"""A line that stands for all that is not shown."""


class Block(NamedTuple):
    """A fenced block: its language and its text."""

    language: str
    text: str


class Step(NamedTuple):
    """A line typed at a prompt, and what the README shows below it."""

    command: str
    shown: str


BLOCKS = [Block(*match.groups()) for match in FENCE.finditer(README)]


def _texts(language: str) -> list[str]:
    return [block.text for block in BLOCKS if block.language == language]


def _steps() -> Iterator[Step]:
    for text in _texts("console"):
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            yield Step(command, shown)


SETUP = [text.strip() for text in _texts("sh") if ".venv" in text]
NO_KEY = ("planner sim", "--rehearse", "sim-key")
LIVE = [
    text.strip()
    for text in _texts("sh")
    if ".venv" not in text and not any(word in text for word in NO_KEY)
]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand where a fresh clone has its data, with no key anywhere, at 80 columns."""
    shutil.copytree(ROOT / "data", tmp_path / "data")
    for name in [name for name in os.environ if name.startswith("PRIME_")]:
        monkeypatch.delenv(name)
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    scripts = sysconfig.get_path("scripts")
    settings = {
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "COLUMNS": "80",
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",
        "NO_COLOR": "1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _typed(command: str) -> subprocess.CompletedProcess[str]:
    """Run a line as a terminal would, both streams in the order in which they are written."""
    bash = shutil.which("bash")
    assert bash is not None
    return subprocess.run(
        [bash, "-c", command],
        check=False,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
    )


def _comparable(text: str) -> list[str]:
    """Return lines without trailing blanks, empty lines and what differs from run to run."""
    for pattern, instead in VOLATILE:
        text = pattern.sub(instead, text)
    return [line.rstrip() for line in text.splitlines() if line.strip()]


@pytest.mark.slow
@pytest.mark.usefixtures("clone")
def test_every_command_prints_what_is_shown() -> None:
    """Typed one after the other in a fresh clone, each does what the README says."""
    steps = [*_steps()]
    assert len(steps) > len(_texts("console"))
    for command, shown in steps:
        ran = _typed(command)
        assert ran.returncode == 0, ran.stdout
        assert "Traceback" not in ran.stdout
        printed, wanted = _comparable(ran.stdout), _comparable(shown)
        if ANYTHING in wanted:
            at = wanted.index(ANYTHING)
            printed[at : len(printed) - len(wanted) + at + 1] = [ANYTHING]
        assert (command, printed) == (command, wanted)


@pytest.mark.slow
@pytest.mark.usefixtures("clone")
def test_the_python_runs() -> None:
    """Each block of Python runs, and prints what stands in the block of text after it."""
    runs = 0
    for index, block in enumerate(BLOCKS):
        if block.language != "python":
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block.text, "README.md", "exec"), {})  # noqa: S102 -- our own page
        after = BLOCKS[index + 1]
        assert after.language == "text"
        assert _comparable(printed.getvalue()) == _comparable(after.text)
        runs += 1
    assert runs


@pytest.mark.slow
@pytest.mark.usefixtures("clone")
@pytest.mark.parametrize("command", LIVE)
def test_what_needs_a_key_says_so(command: str) -> None:
    """The lines that ask the live market are understood, and end with what is missing."""
    ran = _typed(command)
    assert ran.returncode == errors.InputError.exit_code
    assert "there is no API key" in ran.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("clone")
def test_the_tour_of_buying_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rehearse, plan, buy, buy nothing twice, grow, retire and delete, at a local marketplace."""
    (rehearsal,) = [text for text in _texts("sh") if "--rehearse" in text]
    made = _typed("planner plan shipped:minimal --offers shipped:disk-offers --out plan.json")
    assert made.returncode == 0
    assert _typed(rehearsal).returncode == 0
    (tour,) = [text for text in _texts("sh") if "sim-key" in text]
    setting, _, commands = tour.partition("\n")
    with planner.Sim(provisioning_s=0.1) as sim:
        assert setting.startswith(f"export PRIME_API_KEY={sim.key} PRIME_API_BASE_URL=http://127.")
        for name, value in sim.environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PLANNER_SETTLE", "5")
        ran = _typed(f"set -e\n{commands}")
        assert ran.returncode == 0, ran.stdout
        created = [disk for disk in sim.disks() if disk["requests"]["created"]]
        assert len(created) == 5
        assert {disk["status"] for disk in created} == {"TERMINATED"}


def test_both_ways_to_set_up_are_one_line_each() -> None:
    """The first installs and plans what ships; the second installs for development and tests."""
    plan, test = SETUP
    assert "\n" not in plan + test
    assert plan == (
        "python3 -m venv .venv && .venv/bin/pip install --quiet . && "
        ".venv/bin/planner plan data/research.yaml --offers data/disk-offers.json"
    )
    assert test in CI.splitlines()
    assert test.endswith(_verbs()["test"])


@pytest.mark.slow
@pytest.mark.usefixtures("clone")
def test_the_first_command_ends_with_a_plan() -> None:
    """What it runs after the installation is a command of the tour, without --out."""
    command = SETUP[0].rpartition(".venv/bin/")[2]
    assert any(step.command.startswith(command) for step in _steps())
    ran = _typed(command)
    assert ran.returncode == 0
    assert "optimal: no cheaper plan exists" in ran.stdout


def _verbs() -> dict[str, str]:
    rows = re.findall(r"^\| (\w+) \| `([^`]+)` \|$", README, re.MULTILINE)
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
    needed = {re.split(r"[\[<>=~!,; ]", one)[0].lower() for one in wanted} - {"planner"}
    assert needed <= names
    assert "export PIP_CONSTRAINT=.ci/requirements.txt" in CI


def test_the_demand_shown_is_sound_and_complete() -> None:
    """The example is accepted, and has every field that the format has."""
    (text,) = _texts("yaml")
    stream = io.StringIO(text)
    demand = planner.read_demand(stream)
    names = [volume.name for volume in demand.volumes]
    assert names == ["corpus", "checkpoints", "scratch-1", "scratch-2", "scratch-3"]
    schema = planner.demand_schema()
    places = [schema, *schema["$defs"].values()]
    fields = {field for place in places for field in place.get("properties", {})}
    assert len(fields) > 30
    assert not {field for field in fields if not re.search(rf"\b{field}\b", text)}


def test_the_exit_codes_are_all_there() -> None:
    """The table has the code of every error, and those of done, changes and interrupted."""
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    kinds = [one for one in vars(errors).values() if isinstance(one, type)]
    used = {one.exit_code for one in kinds if issubclass(one, errors.PlannerError)}
    assert told == used | {0, 12, 130}


def test_every_room_is_drawn() -> None:
    """The drawing of the package has all its rooms, and no other."""
    (drawing,) = [text for text in _texts("text") if text.startswith("planner/")]
    drawn: set[str] = set()
    for line in textwrap.dedent(drawing.partition("\n")[2]).splitlines():
        if line.startswith("  "):
            drawn |= {name.strip("/") for name in re.split(r"\s{2,}", line.strip())[:-1]}
    rooms = {path.stem for path in (ROOT / "planner").iterdir() if path.name[0] not in "_."}
    assert drawn == rooms - {"py", "data"}


def test_links_lead_somewhere() -> None:
    """Files and headings that the page links to exist."""
    headings = {
        re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", FENCE.sub("", README), re.MULTILINE)
    }
    targets = re.findall(r"\]\(([^)]+)\)", FENCE.sub("", README))
    assert targets
    for target in targets:
        if target.startswith("#"):
            assert target[1:] in headings
        elif not target.startswith("https://"):
            assert (ROOT / target).is_file()
