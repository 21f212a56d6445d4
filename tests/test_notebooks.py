"""Every notebook runs from top to bottom, on shipped data, and its saved outputs still hold.

``python -m tests.test_notebooks`` runs them all and saves them, as these tests want them.
"""

from __future__ import annotations

import base64
import os
import re
import struct
import warnings
from collections import deque
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

with warnings.catch_warnings():
    # What the Jupyter libraries deprecate of one another is not ours to repair.
    warnings.simplefilter("ignore", DeprecationWarning)
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

if TYPE_CHECKING:
    from collections.abc import Iterator

READ: Any = nbformat.read  # which has no types
WRITE: Any = nbformat.write
NEW: Any = nbformat.v4
FOLDER = Path(__file__).parent.parent / "notebooks"
NAMES = ("budgets", "tour", "what-if")
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}

NOWHERE = "http://127.0.0.1:9"
"""A proxy that nobody runs: what would go through it goes nowhere."""
OFFLINE = """\
def stay_here():
    import os
    import sys

    os.environ["PLANNER_PROGRESS"] = "off"  # a slow machine would show it, and save it
    here = {None, "", "127.0.0.1", "::1", "localhost"}
    about = {"socket.connect": 1, "socket.sendto": 1, "socket.sendmsg": 1, "socket.getaddrinfo": 0}

    def refuse(event, args):
        if event in about:
            at = args[about[event]]
            if event != "socket.getaddrinfo":
                at = at[0] if isinstance(at, tuple) else None
            if at not in here:
                with open(os.environ["PLANNER_TEST_CALLS"], "a", encoding="utf-8") as calls:
                    calls.write(f"{event} {at}\\n")
                raise OSError(f"a notebook may not call {at}")

    sys.addaudithook(refuse)


stay_here()
del stay_here
"""
"""What the kernel runs first: who calls another machine is refused, and written down."""

SOLVER_TIME = re.compile(r"\b\d+\.\d\d s\b")
WIDE_PX, LEAST_BYTES = 600, 4_000
MOST_LINES, MOST_ROWS = 25, 60

jupyter_may_deprecate = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:(jupyter|nbclient|nbformat|zmq|tornado)"
)
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def _read(path: Path) -> Any:
    return READ(path, as_version=4)


def _code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _environment(folder: Path) -> dict[str, str]:
    """Return an environment without home, key, network or anything else of the person's."""
    startup = folder / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00-offline.py").write_text(OFFLINE, encoding="utf-8")
    (folder / "empty").mkdir()
    proxies = ("http_proxy", "https_proxy", "all_proxy")
    return {
        "HOME": str(folder),
        "IPYTHONDIR": str(folder / "ipython"),
        "PLANNER_TEST_CALLS": str(folder / "calls"),
        **dict.fromkeys([*proxies, *map(str.upper, proxies)], NOWHERE),
        **dict.fromkeys(["no_proxy", "NO_PROXY"], "127.0.0.1,localhost"),
    }


def _run(notebook: Any, folder: Path) -> None:
    """Run a notebook in an empty directory, its outputs in place of those it had."""
    NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        coalesce_streams=True,
        record_timing=False,
        resources={"metadata": {"path": str(folder / "empty")}},
    ).execute()


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Yield a directory that is home and knows no network."""
    monkeypatch.delenv("PRIME_API_KEY", raising=False)
    for name, value in _environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    return tmp_path


def _shown(cell: Any) -> Iterator[tuple[str, str]]:
    """Yield what a cell shows, without what differs from run to run or library to library.

    Of a table that is its HTML, which planner writes; of a picture only that it is one.
    """
    for output in cell.outputs:
        if output.output_type == "stream":
            kind, text = output.name, output.text
        elif "image/png" in output.data:
            kind, text = "image/png", ""
        else:
            kind = next(name for name in ("text/html", "text/plain") if name in output.data)
            text = output.data[kind]
        yield kind, SOLVER_TIME.sub("- s", text)


def _pictures(notebook: Any) -> Iterator[bytes]:
    for cell in _code(notebook):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                yield base64.b64decode(output.data["image/png"])


def _check_picture(picture: bytes) -> None:
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">I", picture[16:20])[0] >= WIDE_PX
    assert len(picture) >= LEAST_BYTES


def test_the_notebooks_are_there() -> None:
    """The tests below have something to hold on to, and nothing else lies beside it."""
    assert tuple(path.stem for path in NOTEBOOKS) == NAMES


@pytest.mark.slow
@jupyter_may_deprecate
@each
def test_a_notebook_runs(path: Path, offline: Path) -> None:
    """It runs in an empty directory, without key or network, and shows what was saved with it."""
    saved, fresh = _read(path), _read(path)
    _run(fresh, offline)
    for before, after in zip(_code(saved), _code(fresh), strict=True):
        stale = f"{before.id} is stale: python -m tests.test_notebooks"
        assert [*_shown(before)] == [*_shown(after)], stale
    deque(map(_check_picture, _pictures(fresh)), maxlen=0)
    assert not (offline / "calls").exists(), "it called somebody"
    assert not [*(offline / "empty").iterdir()], "it left something behind"


@pytest.mark.slow
@jupyter_may_deprecate
@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("socket.socket().connect(('192.0.2.1', 80))", "socket.connect 192.0.2.1"),
        ("socket.getaddrinfo('market.example', 443)", "socket.getaddrinfo market.example"),
    ],
)
def test_a_notebook_that_calls_out_is_caught(call: str, told: str, offline: Path) -> None:
    """Nothing but this machine can be reached from a notebook that is run here, and it shows."""
    calls = NEW.new_code_cell(f"import socket\n{call}")
    with pytest.raises(CellExecutionError, match="a notebook may not call"):
        _run(NEW.new_notebook(cells=[calls]), offline)
    assert (offline / "calls").read_text(encoding="utf-8") == f"{told}\n"


@pytest.mark.slow
@jupyter_may_deprecate
def test_a_stale_table_is_found(offline: Path) -> None:
    """Tables are compared too, not only what is printed; the solver's seconds are not."""
    source = "import planner\nplanner.read_demand('shipped:minimal')"
    notebook = NEW.new_notebook(cells=[NEW.new_code_cell(source)])
    _run(notebook, offline)
    ((kind, text),) = _shown(notebook.cells[0])
    assert kind == "text/html"
    notebook.cells[0].outputs[0].data["text/html"] += "<p>proven in 0.01 s</p>"
    assert [*_shown(notebook.cells[0])] == [(kind, f"{text}<p>proven in - s</p>")]


@each
def test_a_notebook_is_saved_as_it_ran(path: Path) -> None:
    """It can be read without running it: run once, in order, without errors; nothing of ours."""
    notebook = _read(path)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata == METADATA
    assert not any(cell.metadata for cell in notebook.cells)
    cells = _code(notebook)
    assert [cell.execution_count for cell in cells] == [*range(1, len(cells) + 1)]
    kinds = {output.output_type for cell in cells for output in cell.outputs}
    assert kinds == {"stream", "execute_result"}
    assert not [cell for cell in cells if any(o.get("name") == "stderr" for o in cell.outputs)]
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"/(home|root|tmp|Users)/", text)
    assert not re.search(r"(localhost|127\.0\.0\.1):\d", text), "a port is another one each time"


@each
def test_a_notebook_reads_well_where_it_is_hosted(path: Path) -> None:
    """Hosts run no scripts and fetch nothing: pictures are images, tables are small HTML."""
    notebook = _read(path)
    pictures = [*_pictures(notebook)]
    assert pictures
    deque(map(_check_picture, pictures), maxlen=0)
    types = {
        name
        for cell in _code(notebook)
        for output in cell.outputs
        for name in output.get("data", ())
    }
    assert types == {"text/plain", "text/html", "image/png"}
    for cell in _code(notebook):
        for kind, text in _shown(cell):
            assert not re.search(r"<(script|img|link|iframe|svg)|\bsrc=|\bhref=", text), cell.id
            assert kind == "text/html" or text.count("\n") <= MOST_LINES, cell.id
            assert text.count("<tr") <= MOST_ROWS, cell.id


@each
def test_a_notebook_explains_itself(path: Path) -> None:
    """It opens with a title; before and after each cell of code there are words, no formulas."""
    cells = _read(path).cells
    kinds = [cell.cell_type for cell in cells]
    assert cells[0].source.startswith("# ")
    assert kinds[0] == kinds[-1] == "markdown"
    assert ("code", "code") not in pairwise(kinds)
    for cell in cells:
        if cell.cell_type == "markdown":
            words = re.sub(r"`[^`]*`", "", cell.source)
            # Two dollar signs in a line are taken for a formula between them.
            assert not re.search(r"(?<!\\)\$", words), cell.id


@each
def test_links_lead_somewhere(path: Path) -> None:
    """What a notebook points to lies beside it."""
    text = "\n".join(cell.source for cell in _read(path).cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert links
    assert [link for link in links if not (FOLDER / link).is_file()] == []


def main() -> None:
    """Run every notebook and save it, with nothing in it of where and when it ran."""
    for path in NOTEBOOKS:
        saved, notebook = _read(path), _read(path)
        with TemporaryDirectory() as folder:
            os.environ.pop("PRIME_API_KEY", None)
            os.environ.update(_environment(Path(folder)))
            _run(notebook, Path(folder))
        notebook.metadata.clear()
        notebook.metadata.update(METADATA)
        for number, cell in enumerate(notebook.cells, start=1):
            cell.id = f"cell-{number:02d}"
            cell.metadata.clear()
        for before, after in zip(_code(saved), _code(notebook), strict=True):
            shown = [*_shown(after)]
            if shown == [*_shown(before)] and ("image/png", "") not in shown:
                after.outputs = before.outputs  # only the solver's seconds may differ
        WRITE(notebook, path)


if __name__ == "__main__":
    main()
